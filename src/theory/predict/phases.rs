//! The mean field at its fixed point, in the terms of the report.

use crate::theory::correlation::Phase;
use crate::theory::mean_field::{LengthMap, Limit};
use crate::theory::prediction::MeanField;

/// Fills in what follows from the map and the variance of the first pre-activations.
pub(super) fn describe(map: &LengthMap, first: f64, out: &mut MeanField) {
    let m = map.mean_field(first);
    let value = |x: Option<crate::theory::quadrature::Average>| x.map(|a| a.value);
    out.chi_1 = value(m.chi_1);
    out.chi_parallel = value(m.chi_parallel);
    out.xi_q = value(m.xi_q);
    out.xi_c = value(m.xi_c);
    out.c_star = m.c_star_gap.map(|gap| 1.0 - gap.value);
    out.gradient_depth_scale = value(m.gradient_depth_scale);
    out.phase = match m.phase {
        Some(Phase::Ordered) => "ordered",
        Some(Phase::Critical) => "critical",
        Some(Phase::Chaotic) => "chaotic",
        None => "none",
    }
    .into();
    match m.limit {
        Limit::Fixed(p) => {
            out.q_star = Some(p.q.value);
            if p.q.value == 0.0 {
                out.note =
                    Some("signals die out: the variance of pre-activations tends to 0".into());
            }
        }
        Limit::Every(_) => {
            out.q_star = Some(first);
            out.note = Some("every variance is a fixed point".into());
        }
        Limit::Diverges(_) => {
            out.q_star = Some(f64::INFINITY);
            out.note = Some("the variance of pre-activations grows without limit".into());
        }
        Limit::Unsettled => {
            out.note = Some("the variance of pre-activations settles nowhere".into());
        }
    }
}
