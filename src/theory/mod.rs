//! Predictions in closed form or by deterministic quadrature and inversion. Nothing here samples.

pub mod averages;
pub mod correlation;
pub mod criticality;
pub mod kernel;
pub mod mean_field;
pub mod normalization;
pub mod padding;
pub mod phase;
pub mod propagation;
pub mod quadrature;
pub mod residual;
pub(crate) mod roots;
pub mod special;
