//! Isometer: condition numbers with proof, and backprop treated analytically as a product of
//! layer Jacobians.

#![deny(missing_docs)]

pub mod formats;
pub mod linalg;
pub mod report;
pub mod scale;
