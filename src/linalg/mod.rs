//! The numerical kernel: stored matrices, norms, singular values, conditioning, certificates and
//! long products.

mod certify;
pub mod condition;
pub mod dd;
mod dense;
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
mod vectorised;
pub mod view;
