//! Predictions in closed form or by deterministic quadrature and inversion. Nothing here samples.

pub mod fluctuation;
pub mod lyapunov;
pub mod multiplier;
pub mod optimisation;
pub mod precision;
pub mod quadrature;
pub mod rank;
pub mod special;
pub mod spectrum;
