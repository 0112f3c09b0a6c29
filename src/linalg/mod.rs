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
pub mod structure;
mod vectorised;
pub mod view;
pub mod widen;
