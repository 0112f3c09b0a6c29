//! What follows with certainty from the factors of a network: bounds on products, Lipschitz
//! constants, convolutions and layer Jacobians. Every upper bound is sound in floating point, or states
//! the probability that it fails.

#![allow(
    clippy::neg_cmp_op_on_partial_ord,
    reason = "`!(x < limit)` also refuses NaN, which is what a proof must do"
)]

pub mod affine;
pub mod chain;
pub mod checks;
pub mod convolution;
pub mod feature_maps;
pub mod jacobian;
pub mod lipschitz;
pub mod local;
pub mod operator;
pub mod overview;
pub mod perturbation;
pub mod product;
pub mod residual_chain;
pub mod slope;

use crate::scale::{Certainty, LogScale};

/// One bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// What it is.
    pub name: &'static str,
    /// The bound.
    pub value: LogScale,
    /// What it is worth.
    pub certainty: Certainty,
}
