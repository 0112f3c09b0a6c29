//! The numerical kernel: stored matrices, norms, singular values, conditioning, certificates,
//! long products and convolutions.

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
