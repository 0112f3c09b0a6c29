//! Residual streams `x' = x + beta (W phi(x) + b)` of infinite width.
//!
//! Width to infinity. Start with [`stream`].
//!
//! ```
//! use isometer::network::{Residual, activation::Activation};
//! use isometer::theory::{mean_field::LengthMap, residual::homogeneous_growth};
//!
//! let branch = LengthMap::new(Activation::Relu, 2.0, 0.0).unwrap();
//! let over = |depth| homogeneous_growth(&branch, Residual::Constant(1.0), depth).unwrap();
//! assert!((over(10) - 10.0 * 2f64.ln()).abs() < 1e-12); // every block doubles
//! let tamed = homogeneous_growth(&branch, Residual::InverseSqrtDepth, 1000).unwrap();
//! assert!(tamed < 1.0); // below e at any depth
//! ```

use crate::network::Residual;
use crate::scale::LogScale;
use crate::theory::mean_field::LengthMap;
use crate::theory::propagation::Field;

/// The stream after a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// `ln` of the variance of the stream.
    pub ln_q: f64,
    /// `ln` growth of a squared gradient norm through this block.
    pub ln_chi: f64,
    /// `ln` growth of a squared gradient norm through this block and those below.
    pub ln_gradient: f64,
    /// Estimated absolute error of `ln_gradient`.
    pub error: f64,
}

/// `depth` blocks from a stream with Gaussian units of variance `exp(ln_q)`:
/// `q' = q + beta^2 (sigma_w2 E phi(q)^2 + sigma_b2)`, and a squared gradient norm grows by
/// `1 + beta^2 sigma_w2 E phi'(q)^2` (Yang and Schoenholz, arXiv:1712.08969).
///
/// Theorem: residual-growth.
///
/// # Examples
/// ```
/// use isometer::network::{Residual, activation::Activation};
/// use isometer::theory::{mean_field::LengthMap, residual::stream};
/// let branch = LengthMap::new(Activation::Relu, 2.0, 0.0).unwrap();
/// let blocks = stream(&branch, Residual::Constant(1.0), 0.0, 3); // each block doubles
/// assert!((blocks[2].ln_q - 8f64.ln()).abs() < 1e-12 && (blocks[2].ln_gradient - 8f64.ln()).abs() < 1e-12);
/// ```
pub fn stream(branch: &LengthMap, scale: Residual, ln_q: f64, depth: usize) -> Vec<Block> {
    let beta = scale.beta(depth);
    let ln_beta2 = 2.0 * beta.abs().ln();
    let ln_w = branch.sigma_w2().ln();
    let part = |ln: f64| LogScale::from_ln(ln).unwrap_or(LogScale::ZERO);
    let bias = part(branch.sigma_b2().ln());
    let mut field = Field::new(branch.activation());
    let (mut ln_q, mut ln_gradient, mut error) = (ln_q, 0.0, 0.0);
    let mut out = Vec::with_capacity(depth);
    for _ in 0..depth {
        let m = field.at(ln_q);
        let update = part(ln_beta2) * part(ln_w + m.ln_second).plus(bias);
        ln_q = part(ln_q).plus(update).ln();
        let ln_chi = LogScale::ONE.plus(part(ln_beta2 + ln_w + m.ln_slope)).ln();
        ln_gradient += ln_chi;
        error += m.error + 2.0 * f64::EPSILON * (1.0 + ln_q.abs());
        out.push(Block {
            ln_q,
            ln_chi,
            ln_gradient,
            error,
        });
    }
    out
}

/// `ln` growth of signal and squared gradient over a whole network of homogeneous blocks without
/// biases: `depth ln(1 + beta^2 sigma_w2 m)`, `m` the mean squared slope (1/2 for ReLU). `None` for
/// other activations.
///
/// Theorem: residual-growth.
///
/// # Examples
/// ```
/// use isometer::network::{Residual, activation::Activation};
/// use isometer::theory::{mean_field::LengthMap, residual::homogeneous_growth};
/// let branch = LengthMap::new(Activation::Relu, 2.0, 0.0).unwrap();
/// let ln = homogeneous_growth(&branch, Residual::InverseSqrtDepth, 100).unwrap();
/// assert!((ln - 100.0 * 1.01f64.ln()).abs() < 1e-12); // below e at any depth
/// ```
pub fn homogeneous_growth(branch: &LengthMap, scale: Residual, depth: usize) -> Option<f64> {
    let (below, above) = branch.activation().slopes()?;
    let beta = scale.beta(depth);
    let gain = 0.5 * branch.sigma_w2() * (below * below + above * above);
    (branch.sigma_b2() == 0.0).then(|| depth as f64 * (beta * beta * gain).ln_1p())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::activation::Activation;

    fn branch(activation: Activation, w: f64, b: f64) -> LengthMap {
        LengthMap::new(activation, w, b).unwrap()
    }

    /// Theorem: residual-growth.
    #[test]
    fn published_growth() {
        // theory.csv R282, R284, R285
        let relu = branch(Activation::Relu, 2.0, 0.0);
        let growth = |scale, depth| homogeneous_growth(&relu, scale, depth).unwrap();
        let ten = growth(Residual::InverseSqrtDepth, 10);
        assert!((ten.exp() - 2.5937424601).abs() < 1e-12);
        let many = growth(Residual::InverseSqrtDepth, 100_000_000);
        assert!((many.exp() - std::f64::consts::E).abs() < 2e-8);
        let plain = growth(Residual::Constant(1.0), 50);
        assert!((plain.exp() / 1125899906842624.0 - 1.0).abs() < 1e-13);
        assert_eq!(growth(Residual::Constant(0.0), 50), 0.0);
        // notices another variance
        let other = homogeneous_growth(
            &branch(Activation::Relu, 2.01, 0.0),
            Residual::InverseSqrtDepth,
            10,
        );
        assert!((other.unwrap() - ten).abs() > 1e-3);
        assert!(
            homogeneous_growth(
                &branch(Activation::Tanh, 1.0, 0.0),
                Residual::Constant(1.0),
                1
            )
            .is_none()
        );
    }

    #[test]
    fn the_recursion_meets_the_closed_form() {
        let relu = branch(Activation::Relu, 2.0, 0.0);
        for (scale, depth) in [
            (Residual::Constant(1.0), 3000),
            (Residual::Constant(0.3), 40),
            (Residual::InverseSqrtDepth, 64),
        ] {
            let last = *stream(&relu, scale, 0.0, depth).last().unwrap();
            let truth = homogeneous_growth(&relu, scale, depth).unwrap();
            assert!((last.ln_q - truth).abs() <= last.error.max(1e-14) * 8.0);
            assert!((last.ln_gradient - truth).abs() <= last.error.max(1e-14) * 8.0);
        }
    }

    #[test]
    fn bounded_branches_grow_as_powers() {
        // tanh: E phi^2 -> 1, so q ~ q_0 + L, and the gradient grows like exp(c sqrt L)
        let tanh = branch(Activation::Tanh, 1.0, 0.0);
        let blocks = stream(&tanh, Residual::Constant(1.0), 0.0, 400);
        let last = blocks.last().unwrap();
        assert!((last.ln_q.exp() / 400.0 - 1.0).abs() < 0.1);
        let rate = |l: usize| blocks[l].ln_chi * (l as f64).sqrt();
        assert!((rate(399) / rate(199) - 1.0).abs() < 0.05);
        // a block by hand
        let m = crate::theory::averages::moments(&Activation::Tanh, 1.0);
        assert!((blocks[0].ln_q - (1.0 + m.second.value).ln()).abs() < 1e-14);
        assert!((blocks[0].ln_chi - (1.0 + m.slope.value).ln()).abs() < 1e-14);
    }

    #[test]
    fn a_closed_branch_is_the_identity() {
        let gelu = branch(Activation::Gelu, 2.0, 1.0);
        let last = *stream(&gelu, Residual::Constant(0.0), 0.4, 9)
            .last()
            .unwrap();
        assert_eq!((last.ln_q, last.ln_gradient), (0.4, 0.0));
    }
}
