//! Predictions in closed form or by deterministic quadrature and inversion. Nothing here samples.

pub mod laws;
pub mod prediction;
pub mod quadrature;
pub mod special;
