//! Variance of the log of a gradient to first order in 1/width.

use super::setting::Setting;
use crate::theory::propagation::Layer;

/// Variances of `ln` of squared gradients.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    /// Of the gradient with respect to the input.
    pub total: f64,
    /// Of what the layers above `l` contribute, `[l]` for `l = 0..=L`.
    above: Vec<f64>,
}

impl Spread {
    /// Variance at the output of layer `l`.
    pub fn from(&self, l: usize) -> f64 {
        self.above[l]
    }
}

/// `None` where no first-order theory is at hand.
pub(super) fn gradient(_setting: &Setting<'_>, _lengths: &[Layer]) -> Option<Spread> {
    None
}
