//! What follows with certainty from the factors of a network: bounds on products, Lipschitz
//! constants and layer Jacobians. Every upper bound is sound in floating point.

pub mod chain;
pub mod jacobian;
pub mod lipschitz;
pub mod perturbation;
pub mod product;
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
