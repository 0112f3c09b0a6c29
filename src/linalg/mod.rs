//! The numerical kernel: stored matrices, norms, singular values, conditioning, certificates and
//! long products.

mod certify;
pub mod condition;
pub mod dd;
mod dense;
mod estimate;
mod extended;
mod vectorised;
mod lanczos;
pub mod element;
pub mod norms;
pub mod parallel;
mod rounding;
pub mod singular;
pub mod view;
