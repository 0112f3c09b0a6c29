//! Variance of the log of a gradient to first order in 1/width.

use super::setting::Setting;
use crate::network::{BiasLaw, WeightKind};
use crate::theory::fluctuation::{FluctuationLayer, profile};

/// Variances of `ln` of squared gradients.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    /// Of the gradient with respect to the input.
    pub total: f64,
    /// Of `|J u|^2` up to layer `l`, `[l]` for `l = 0..=L`.
    below: Vec<f64>,
}

impl Spread {
    /// What the layers above `l` add.
    pub fn from(&self, l: usize) -> f64 {
        (self.below[self.below.len() - 1] - self.below[l]).max(0.0)
    }
}

/// Variances of the log beyond this are not of first order: the width is too small for the depth.
const SMALL: f64 = 4.0;

/// `None` where the first order is not known (constant biases, Haar weights, whose lengths fluctuate less), does not exist (slopes without a
/// fourth moment), or is no longer small.
pub(super) fn gradient(setting: &Setting<'_>) -> Option<Spread> {
    let keep = setting.model.keep();
    let constant = |l: &crate::network::Layer| matches!(l.bias, BiasLaw::Constant(_));
    let haar = |l: &crate::network::Layer| l.weight.kind == WeightKind::Orthogonal;
    if keep < 1.0 || setting.layers.iter().any(|l| constant(l) || haar(l)) {
        return None;
    }
    let layers: Vec<FluctuationLayer> = setting.layers[..setting.depth()]
        .iter()
        .map(|l| FluctuationLayer {
            width: l.fan_out,
            sigma_w2: l.weight.sigma_w2,
            sigma_b2: l.bias.variance(),
        })
        .collect();
    let n0 = setting.model.widths[0];
    let mut below = vec![0.0];
    let f = profile(&setting.model.activation, n0, 1.0, &layers, |v| {
        below.push(v)
    })
    .ok()?;
    let total = f.var_ln_input_gradient(n0);
    (total <= SMALL).then_some(Spread { total, below })
}
