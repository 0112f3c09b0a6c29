//! What the gains in use do: one entry for each activation. A gain is the root of `sigma_w2`, the variance of a
//! weight times fan-in; [`survey`] sets those that keep signals or gradients beside PyTorch's.
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::theory::gain::survey;
//!
//! let all = survey(&[Activation::Relu, Activation::Linear], 1.0).unwrap();
//! assert!(all[0].ln_gradient_at_torch.unwrap().abs() < 1e-10); // ReLU, sqrt 2: kept over 50 layers
//! assert!((all[1].gains.forward.value - 1.0).abs() < 1e-14);
//! ```

use crate::network::activation::Activation;
use crate::scale::Certainty;
use crate::theory::correlation::Phase;
use crate::theory::criticality::{EdgeOfChaos, Gains, edge_of_chaos, gains};
use crate::theory::mean_field::{LARGEST_Q, Limit, SMALLEST_Q};
use crate::theory::propagation::layers;
use rayon::prelude::*;

/// Layers over which a recommended gain is followed.
pub const LAYERS: usize = 50;

/// A length at which no gain can be given.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GainError {
    /// Not positive, not finite, or beyond what is searched.
    #[error(
        "q = {q:?} is not a variance of pre-activations between {SMALLEST_Q:e} and {LARGEST_Q:e}; 1 is usual"
    )]
    Length {
        /// The variance asked for.
        q: f64,
    },
}

/// The gains of one activation, and where PyTorch's leads. Biases are zero.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationGain {
    /// The activation.
    pub activation: Activation,
    /// Variance of the pre-activations at which the gains are taken.
    pub q: f64,
    /// The gains.
    pub gains: Gains,
    /// The edge of chaos.
    pub edge: EdgeOfChaos,
    /// Log of the factor on the mean squared gradient norm over [`LAYERS`] layers at PyTorch's gain,
    /// the first of which has length `q`.
    pub ln_gradient_at_torch: Option<f64>,
    /// Exact at every width for activations with one slope on each side of zero, otherwise the limit
    /// of infinite width.
    pub certainty: Certainty,
}

impl ActivationGain {
    /// The limit of the length at PyTorch's gain; infinite where it diverges, `None` without a gain
    /// or a limit.
    pub fn q_star(&self) -> Option<f64> {
        match self.gains.torch?.limit {
            Limit::Fixed(p) => Some(p.q.value),
            Limit::Every(_) => Some(self.q),
            Limit::Diverges(_) => Some(f64::INFINITY),
            Limit::Unsettled => None,
        }
    }

    /// What PyTorch's gain does to gradients at that limit.
    pub fn phase_at_torch(&self) -> Option<Phase> {
        Some(Phase::of(self.gains.torch?.chi_1?))
    }

    /// Whether the forward gain holds a length that drifts away when disturbed.
    pub fn forward_is_unstable(&self) -> bool {
        let drift = self.gains.chi_parallel_at_forward;
        drift.value > 1.0 + drift.error
    }
}

/// The gains of each activation at pre-activation variance `q`.
///
/// # Errors
/// [`GainError::Length`].
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::gain::survey;
/// let tanh = &survey(&[Activation::Tanh], 1.0).unwrap()[0];
/// assert!((tanh.gains.torch.as_ref().unwrap().gain - 5.0 / 3.0).abs() < 1e-15);
/// assert!(tanh.ln_gradient_at_torch.unwrap() > 1.0); // 50 layers at 5/3 grow
/// assert!(survey(&[Activation::Tanh], -1.0).is_err());
/// ```
pub fn survey(activations: &[Activation], q: f64) -> Result<Vec<ActivationGain>, GainError> {
    if !(SMALLEST_Q..=LARGEST_Q).contains(&q) {
        return Err(GainError::Length { q });
    }
    let one = |activation: &Activation| {
        let found = gains(activation, q);
        let follow = |gain: f64| {
            let w = gain * gain;
            let run = layers(activation, &[(w, 0.0); LAYERS], (q / w).ln()).ok()?;
            run.last().map(|l| l.ln_gradient)
        };
        ActivationGain {
            activation: activation.clone(),
            q,
            gains: found,
            edge: edge_of_chaos(activation),
            ln_gradient_at_torch: found.torch.and_then(|t| follow(t.gain)),
            certainty: if activation.slopes().is_some() {
                Certainty::Exact
            } else {
                Certainty::Asymptotic
            },
        }
    };
    Ok(activations.par_iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(activation: Activation) -> ActivationGain {
        survey(&[activation], 1.0).unwrap().remove(0)
    }

    #[test]
    fn relu_keeps_and_tanh_grows() {
        let relu = one(Activation::Relu);
        assert_eq!(relu.phase_at_torch(), Some(Phase::Critical));
        assert!(relu.ln_gradient_at_torch.unwrap().abs() < 1e-12);
        assert_eq!(relu.q_star(), Some(1.0));
        let tanh = one(Activation::Tanh);
        assert_eq!(tanh.phase_at_torch(), Some(Phase::Chaotic));
        // theory.csv R095: chi_1 at the fixed point; the first layers differ from it
        let growth = tanh.ln_gradient_at_torch.unwrap() / LAYERS as f64;
        assert!(
            (growth - 1.2098313203828288f64.ln()).abs() < 0.02,
            "{growth}"
        );
        assert!(
            (growth - 1.25f64.ln()).abs() > 0.02,
            "another growth is noticed"
        );
    }

    #[test]
    fn forward_gains_that_do_not_hold_the_length() {
        assert!(one(Activation::Gelu).forward_is_unstable());
        assert!(one(Activation::Silu).forward_is_unstable());
        assert!(!one(Activation::Tanh).forward_is_unstable());
        assert!(!one(Activation::Relu).forward_is_unstable());
    }

    #[test]
    fn lengths_are_checked_and_order_is_kept() {
        for q in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(survey(&[Activation::Relu], q).is_err(), "{q}");
        }
        let all = Activation::all();
        let rows = survey(&all, 1.0).unwrap();
        let names: Vec<_> = rows.iter().map(|r| r.activation.clone()).collect();
        assert_eq!(names, all);
    }
}
