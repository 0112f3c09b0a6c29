//! Findings about tensors that exist: whether a checkpoint is broken, which of its layers are out of line, and
//! what an optimizer step, a clipping threshold or a symmetry means for them.

pub mod clip;
pub mod roles;
pub mod steps;
