//! The specification: what the library says is true, one chapter to a file, one module to a
//! statement. `cargo test --test spec -- --list` prints it.
//!
//! Every statement has its proof in `proofs/` under the id its module cites, and three tests: it
//! `holds` on whatever can be drawn, it is `tight` (some case attains it), and the test `notices` a
//! statement that is slightly off, or a hypothesis that is not met. `tests/ledger.rs` sees to it that none of these is missing.

#[path = "../support/gallery.rs"]
#[allow(dead_code, reason = "the reference rows are read by tests/gallery.rs")]
mod gallery;
#[path = "../support/networks.rs"]
mod networks;
#[path = "../support/strategies.rs"]
mod strategies;
#[path = "../support/structured.rs"]
mod structured;
mod support;

mod alpha;
mod bounds_of_chains;
mod bounds_of_layers;
mod certificates;
mod condition_numbers;
mod drawing_and_deciding;
mod exact_arithmetic;
mod formats_round_trips;
mod homogeneous_laws;
mod layer_jacobians;
mod mean_field;
mod normalization_and_scale_invariance;
mod norms_and_products;
mod optimization_steps;
mod precision;
mod residuals;
mod rounding_errors;
mod spectra;
mod steps_of_a_certificate;
mod symmetry;
