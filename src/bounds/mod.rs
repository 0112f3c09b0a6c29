//! What follows with certainty from the factors of a network: bounds on products, Lipschitz
//! constants and layer Jacobians. Every upper bound is sound in floating point.

pub mod lipschitz;
