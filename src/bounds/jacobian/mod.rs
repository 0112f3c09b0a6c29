//! Jacobians of single layers in closed form, with their norms: exact where there is a formula, bounds
//! with a direction otherwise. Each is tested against the explicit matrix.
//!
//! All are local: at the activations given. Global constants of normalizations and of attention are
//! useless (`1/sqrt(eps)`) or do not exist.
//!
//! | layer | call | worth |
//! |---|---|---|
//! | softmax | [`softmax::norm`] | exact to rounding |
//! | attention, one head or several | [`attention::Attention`], [`attention::MultiHead`] | explicit Jacobian, and an upper bound |
//! | layer, RMS, batch normalization | [`normalization`] | exact without `gamma` |
//! | residual block `I + B` | [`residual::residual`] | bounds on both sides |
//! | activation, dropout, pooling, embedding | [`elementwise`] | exact; overlapping pooling from above |
//!
//! ```
//! use isometer::bounds::jacobian::{normalization, softmax};
//!
//! // layer normalization divides by the standard deviation, sqrt 1.25 here
//! let n = normalization::layer(&[1.0, 2.0, 3.0, 4.0], &[], 0.0).unwrap();
//! assert!((n.norm - 1.0 / 1.25f64.sqrt()).abs() < 1e-14 && n.smallest == 0.0);
//! // softmax never stretches by more than 1/2, which two equal entries reach
//! assert!((softmax::norm(&[0.5, 0.5]).unwrap() - 0.5).abs() < 1e-15);
//! ```

pub mod attention;
pub mod elementwise;
pub mod normalization;
pub mod residual;
pub mod softmax;

use thiserror::Error;

/// Why a layer has no Jacobian here.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum JacobianError {
    /// Nothing to differentiate.
    #[error("an empty vector has no Jacobian")]
    Empty,
    /// Two lengths that should agree.
    #[error("{what}: {given} values where {wanted} are needed")]
    Length {
        /// Which.
        what: &'static str,
        /// How many there are.
        given: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// NaN or an infinity.
    #[error("{what}: value {index} is {value}")]
    NonFinite {
        /// Which vector.
        what: &'static str,
        /// From 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A normalization of a vector without spread and with `eps = 0`.
    #[error("the {what} of the vector is 0 and eps is 0: the layer is not differentiable there")]
    Degenerate {
        /// `variance` or `mean square`.
        what: &'static str,
    },
}

/// Refuses empty vectors, NaN and infinities.
pub(crate) fn checked(what: &'static str, x: &[f64]) -> Result<(), JacobianError> {
    if x.is_empty() {
        return Err(JacobianError::Empty);
    }
    match x.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(JacobianError::NonFinite {
            what,
            index,
            value: x[index],
        }),
        None => Ok(()),
    }
}
