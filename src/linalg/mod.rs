//! The numerical kernel: stored matrices, norms, singular values, conditioning, certificates and
//! long products.

#![allow(
    clippy::neg_cmp_op_on_partial_ord,
    reason = "`!(x < limit)` also refuses NaN, which is what a proof must do"
)]

mod certify;
pub mod condition;
pub mod dd;
pub(crate) mod dense;
pub mod element;
mod estimate;
pub mod exact;
mod extended;
mod lanczos;
mod matching;
pub mod norms;
pub mod parallel;
pub mod product;
mod rounding;
pub mod singular;
pub mod structure;
pub(crate) mod vectorised;
pub mod view;
pub mod widen;
