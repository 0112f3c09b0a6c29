//! Predictions in closed form or by deterministic quadrature and inversion. Nothing here samples.

pub mod averages;
pub mod correlation;
pub mod criticality;
pub mod diagram;
pub mod fluctuation;
pub mod gain;
pub mod kernel;
pub mod laws;
pub mod lyapunov;
pub mod mean_field;
pub mod multiplier;
pub mod normalization;
pub mod optimisation;
pub mod padding;
pub mod phase;
pub mod precision;
pub mod predict;
pub mod prediction;
pub mod propagation;
pub mod quadrature;
pub mod rank;
pub mod residual;
pub(crate) mod roots;
pub mod special;
pub mod spectrum;
