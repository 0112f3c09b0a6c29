//! The numerical kernel: stored matrices, norms, singular values, conditioning, certificates and
//! long products.

pub mod condition;
pub mod dd;
pub mod element;
pub mod exact;
mod matching;
pub mod singular;
pub mod structure;
pub mod view;
