//! What follows with certainty from the factors of a network: bounds on products, Lipschitz
//! constants, convolutions and layer Jacobians. Every upper bound is sound in floating point, or states
//! the probability that it fails.
//!
//! *How much can these layers amplify a gradient or a disturbance, at most?* Backprop multiplies by `J = D_L W_L
//! ... D_1 W_1`, `D_k` the slopes of the activations, so `|J| <= prod |W_k|` for slopes within `[-1, 1]`. That is
//! the loosest bound; the others look at several factors at once.
//!
//! | you have | call | worth |
//! |---|---|---|
//! | layers, with or without an activation | [`overview::overview`]: every bound beside every lower one | certified above, estimates below |
//! | the same in a test of yours | [`checks`]: assertions with the number in the message | certified |
//! | layers and an activation | [`lipschitz::lipschitz`] for a [`chain::Chain`] | certified |
//! | a residual network | [`residual_chain::overview`] | certified |
//! | convolutions, then dense layers | [`feature_maps::FeatureMaps`] | certified |
//! | one convolution | [`convolution::convolution_condition`] | certified or probabilistic |
//! | a map known by its products | [`operator::operator_norm`] | certified below, probabilistic above |
//! | one layer at a point | [`jacobian`]: softmax, attention, normalization | exact or a bound |
//! | an input | [`local`]: the norm of the Jacobian there, which bounds from below | estimate |
//! | a change of a matrix | [`perturbation`]: what it can do to singular values | exact inequalities |
//! | singular values of factors | [`product::Majorization`]: what they imply for the product | exact inequalities |
//!
//! ```
//! use isometer::bounds::overview::{OverviewOptions, overview};
//! use isometer::linalg::view::MatrixRef;
//!
//! // each layer has norm 2, the product diag(2, 1) diag(1, 2) = 2 I too
//! let layers = [
//!     MatrixRef::row_major(&[1.0, 0.0, 0.0, 2.0], 2, 2).unwrap(),
//!     MatrixRef::row_major(&[2.0, 0.0, 0.0, 1.0], 2, 2).unwrap(),
//! ];
//! let o = overview(&layers, None, &OverviewOptions::default()).unwrap();
//! let value = |b: &isometer::bounds::Bound| b.value.to_linear().unwrap();
//! assert!(value(&o.upper[0]) >= 4.0); // loosest first
//! assert!((value(o.upper.last().unwrap()) - 2.0).abs() < 1e-12); // tightest last
//! assert!(o.slack_log10().unwrap() < 1e-12); // and some vector reaches it
//! ```

#![allow(
    clippy::neg_cmp_op_on_partial_ord,
    reason = "`!(x < limit)` also refuses NaN, which is what a proof must do"
)]

pub mod affine;
pub mod chain;
pub mod checks;
pub mod convolution;
pub mod feature_maps;
pub mod jacobian;
pub mod lipschitz;
pub mod local;
pub mod operator;
pub mod overview;
pub mod perturbation;
pub mod product;
pub mod residual_chain;
pub mod slope;

use crate::scale::{Certainty, LogScale};

/// One bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// What it is.
    pub name: &'static str,
    /// The bound.
    pub value: LogScale,
    /// What it is worth.
    pub certainty: Certainty,
}
