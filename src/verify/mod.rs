//! Prediction and measurement brought together: comparisons with an error budget that is derived,
//! and one verdict with a family-wise error rate.

pub mod check;
pub mod claims;
pub mod comparison;
pub mod histogram;
pub mod law_sampler;
pub mod statistics;
pub mod suite;

#[cfg(test)]
mod tests;
