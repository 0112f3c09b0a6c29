//! The numerical kernel: stored matrices, norms, singular values, conditioning, certificates and
//! long products.

pub mod condition;
pub mod dd;
pub mod element;
pub mod parallel;
pub mod product;
pub mod singular;
pub mod view;
