//! Underflow of the gradient's elements in the formats it may be kept in.
//!
//! Depths are those at which a gradient that starts at size 1 rounds to zero, from growth per layer;
//! the probability is for an element of the input gradient of the model as it is.

use super::setting::Setting;
use crate::theory::laws::ProductLaw;
use crate::theory::precision::{GRADIENT_FORMATS, Subnormals, depth_to_threshold, p_element_below};
use crate::theory::prediction::{Growth, Law, Underflow};

fn table(growth: &Growth, p_underflow: impl Fn(f64) -> Option<f64>) -> Vec<Underflow> {
    GRADIENT_FORMATS
        .iter()
        .map(|format| {
            let threshold = format.ln_zero_threshold(Subnormals::Kept);
            // never: the gradient grows, or stays
            let depth = |ln: f64| depth_to_threshold(0.0, ln, threshold).unwrap_or(f64::INFINITY);
            Underflow {
                format: format.name(),
                underflow_depth_mean: Some(depth(growth.ln_chi)),
                underflow_depth_typical: growth.typical_ln_square_per_layer.map(depth),
                p_underflow: p_underflow(threshold),
            }
        })
        .collect()
}

/// From the exact law of the square of an element.
pub(super) fn exact(growth: &Growth, element: &ProductLaw) -> Vec<Underflow> {
    table(growth, |threshold| {
        let below = element.cdf_ln_square(2.0 * threshold).value;
        let dead = element.p_zero();
        Some((dead + (1.0 - dead) * below).clamp(0.0, 1.0))
    })
}

/// From a log-normal law.
pub(super) fn log_normal(setting: &Setting<'_>, growth: &Growth, law: &Law) -> Vec<Underflow> {
    let n = setting.model.widths[0];
    table(growth, |threshold| {
        let (mean, variance) = (law.mean_ln_square?, law.var_ln_square?);
        let scale = (2.0 * variance).sqrt();
        let cdf = |x: f64| {
            if scale > 0.0 {
                0.5 * libm::erfc((mean - x) / scale)
            } else {
                f64::from(u8::from(x >= mean))
            }
        };
        let p = p_element_below(n, law.p_zero, threshold, cdf);
        Some(p.value.clamp(0.0, 1.0))
    })
}

/// Where only growth is known.
pub(super) fn means(_setting: &Setting<'_>, growth: &Growth) -> Vec<Underflow> {
    table(growth, |_| None)
}
