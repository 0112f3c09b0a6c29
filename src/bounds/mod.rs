//! What follows with certainty from the factors of a network: bounds on products, Lipschitz
//! constants, convolutions and layer Jacobians. Every upper bound is sound in floating point, or states
//! the probability that it fails.

pub mod convolution;
pub mod lipschitz;
pub mod operator;
