//! The numerical kernel: stored matrices, norms, singular values, conditioning, certificates,
//! long products and convolutions.
//!
//! *How far is a matrix that exists from an isometry?* Its singular values say so: the lengths to which it can
//! bring a unit vector lie between `sigma_min` and `sigma_max`, and `kappa = sigma_max / sigma_min` is 1 for
//! multiples of isometries alone.
//!
//! | you have | you want | call | worth |
//! |---|---|---|---|
//! | numbers in memory | a matrix | [`view::MatrixRef`] | borrowed, no copy |
//! | a matrix | its condition number | [`condition::condition`] | certified |
//! | a matrix | `norm 2, 1, inf, Frobenius` | [`norms`] | certified |
//! | a matrix | all singular values | [`singular::singular_values`], [`spectrum::spectrum`] | estimate |
//! | a matrix | rank, inverse, counts of singular values | [`exact::IntegerMatrix`] | exact |
//! | a matrix | why it is singular at a glance | [`structure::structure`] | exact |
//! | a matrix | NaN, zeros, subnormals | [`entries::entries`] | exact |
//! | a symmetric matrix | its extreme eigenvalues | [`symmetric::extreme_eigenvalues`] | certified |
//! | two rows of a layer | whether they are copies | [`symmetry::symmetry`] | exact |
//! | many layers | singular values of their product | [`product::spectrum`], [`product::leading`] | estimate |
//! | a kernel | the norm of its convolution | [`convolution::Convolution`] | certified |
//! | products with a map only | the interface for it | [`operator::LinearOperator`] | |
//!
//! Entries are read as stored (f16, bf16, f32, f64, FP8, complex) and widened exactly; results carry a power of
//! two, so that neither overflow nor underflow is possible on the way.
//!
//! ```
//! use isometer::linalg::condition::{ConditionOptions, condition};
//! use isometer::linalg::view::MatrixRef;
//!
//! // a rotation times 5: an isometry up to scale
//! let a = MatrixRef::row_major(&[3.0, -4.0, 4.0, 3.0], 2, 2).unwrap();
//! let (_, lo, hi) = condition(&a, &ConditionOptions::default()).unwrap().cond.enclosure.to_linear().unwrap();
//! assert!(lo <= 1.0 && 1.0 <= hi && hi - lo < 1e-12);
//! ```

#![allow(
    clippy::neg_cmp_op_on_partial_ord,
    reason = "`!(x < limit)` also refuses NaN, which is what a proof must do"
)]

pub(crate) mod block_tridiagonal;
mod certify;
pub mod condition;
pub mod convolution;
pub mod dd;
pub(crate) mod dense;
pub mod element;
pub mod entries;
mod estimate;
pub mod exact;
mod extended;
mod lanczos;
mod matching;
pub mod norms;
pub mod operator;
pub mod parallel;
pub mod product;
pub(crate) mod rounding;
pub mod singular;
pub mod spectrum;
pub mod structure;
pub mod symmetric;
pub mod symmetry;
mod tridiagonal;
pub(crate) mod vectorised;
pub mod view;
pub mod widen;

/// What the certificates are made of, for the specification (`tests/spec`) to examine part by part.
/// Not an interface to build on.
#[doc(hidden)]
pub mod parts {
    pub use super::block_tridiagonal::{BlockTridiagonal, Diagonal};
    pub use super::certify::factor::{Smallest, certify_smallest};
    pub use super::certify::gram::{
        Bottom, Gram, Limits, Problem, Top, certify_bottom, certify_top, collatz_wielandt,
    };
    pub use super::certify::inverse::{certify_inverse_norm, stored_norm};
    pub use super::certify::temple::{Quotient, quotient};
    pub use super::convolution::symbol::{Frequency, Stencil};
    pub use super::dense::{cholesky_lower, dot, gram_lower, product, qr_factor_lower};
    pub use super::extended::{Bounded, DdVec, apply, apply_transposed, frobenius_up};
    pub use super::rounding::gamma;
}
