//! Findings about tensors that exist: whether a checkpoint is broken, which of its layers are out of line, and
//! what an optimizer step, a clipping threshold or a symmetry means for them.
//!
//! | you want to know | call | worth |
//! |---|---|---|
//! | whether a checkpoint is broken or odd | [`checkpoint::audit`] | counts exact, spectra estimates, findings about conditioning certified |
//! | what a finding means and what to do | [`rules::rule`], [`rules::Finding::remedy`] | |
//! | what changed between two checkpoints | [`diff::diff`] | estimate |
//! | how far gradients can grow through its dense layers | [`chains::chains`] | upper bound |
//! | and through stacks of residual blocks | [`branches::Stack`] | upper bound |
//! | what a tensor is for | [`roles::roles`] | by name and shape |
//! | whether weights still look initialized | [`initial::scale`] | statistics |
//! | dead, repeated, unused units of a layer | [`lines::lines`] | exact |
//! | its singular values beside a random matrix | [`spectra::measure`], [`spectra::certify`] | estimate, certified |
//! | what clipping does to stored gradients | [`clip::clip`] | norms certified |
//! | the step LARS or LAMB would take | [`steps::lars`], [`steps::lamb`] | closed form |
//!
//! Everything starts from a [`Collection`](crate::formats::Collection), which is opened, not read:
//!
//! ```
//! use isometer::audit::checkpoint::{AuditOptions, Unobserved, audit, subjects};
//! use isometer::formats::open_bytes;
//!
//! // the identity of order 8, but for one unit that is dead
//! let entry = |k: usize| if k / 8 == k % 8 && k / 8 != 3 { "1" } else { "0" };
//! let end = |k: usize| if k % 8 == 7 { "\n" } else { " " };
//! let text: String = (0..64).map(|k| entry(k).to_owned() + end(k)).collect();
//! let file = open_bytes("layer.txt", text.into_bytes()).unwrap();
//! let labels = ["layer".to_string()];
//! let found = audit(&subjects(&file, &labels), &AuditOptions::default(), &Unobserved);
//! let rules: Vec<_> = found.findings.iter().map(|f| f.rule).collect();
//! assert!(rules.contains(&"singular") && rules.contains(&"dead-units"));
//! assert!(found.tensors[0].is_finite());
//! ```

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
