//! Prediction and measurement brought together: comparisons with an error budget that is derived,
//! and one verdict with a family-wise error rate.
//!
//! *Is the prediction right?* [`check::check`] draws networks of a model and holds every number of
//! [`predict`](crate::theory::predict::predict) against them; [`suite`] does so for a grid of models; [`claims`]
//! decides statements found in print. The tests are those of [`statistics`]: exact where the law is, with Holm's
//! correction over all comparisons, so that a right theory is said to disagree with probability `1 - confidence`
//! over the whole table.
//!
//! What agreement is worth: it excludes deviations well above the standard errors shown, no more; a disagreement is
//! wrong with the probability stated.
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//! use isometer::reference::monte_carlo::Control;
//! use isometer::verify::check::{Options, check};
//!
//! let model = Model::new(vec![4; 4], Activation::Relu);
//! let found = check(&model, &Options { samples: 400, ..Options::default() }, &Control::default()).unwrap();
//! assert!(!found.disagrees() && found.samples == 400);
//! assert!(found.comparisons.iter().any(|c| c.quantity == "jvp.mean_ln_square"));
//! ```

pub mod check;
pub mod claims;
pub mod comparison;
pub mod histogram;
pub mod law_sampler;
pub mod statistics;
pub mod suite;

#[cfg(test)]
mod tests;
