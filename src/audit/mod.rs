//! Findings about tensors that exist: whether a checkpoint is broken, which of its layers are out of line, and
//! what an optimizer step, a clipping threshold or a symmetry means for them.

pub mod branches;
pub mod chains;
pub mod checkpoint;
pub mod clip;
pub mod diff;
pub mod initial;
mod judge;
pub mod lines;
pub mod roles;
pub mod rules;
pub mod spectra;
pub mod steps;
mod twins;
