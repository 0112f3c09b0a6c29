//! The reference MLP: weights drawn, forward and backward passes computed, nothing predicted. It
//! cannot see [`crate::theory`], so that agreement between the two means something.

mod checkpoint;
pub mod deferred;
mod dense;
mod draw;
mod elementwise;
mod gradients;
mod jacobian;
mod low_precision;
pub mod matrices;
pub mod measure;
mod mlp;
pub mod monte_carlo;
mod normalize;
pub mod random;
mod scaled;
mod trace;
mod truncated;
mod weights;

pub use checkpoint::{CheckpointError, FromCheckpoint, Layout, bias_names, dense_layers};
pub use dense::Dense;
pub use draw::{DrawError, MAX_WEIGHTS};
pub use gradients::Gradients;
pub use jacobian::Jacobian;
pub use low_precision::{Losses, Updates};
pub use mlp::{Architecture, LayersError, Mlp};
pub use scaled::Scaled;
pub use trace::Trace;

#[cfg(test)]
mod core_tests;
