//! Findings about tensors that exist: what an optimizer step, a clipping threshold or a symmetry means for them.

pub mod clip;
pub mod steps;
