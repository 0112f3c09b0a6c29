//! The reference MLP: weights drawn, forward and backward passes computed, nothing predicted. It
//! cannot see [`crate::theory`], so that agreement between the two means something.
//!
//! *What happens in this one network?* The same question as [`theory`](crate::theory), asked of numbers. Vectors
//! are [`Scaled`] (`2^e` times plain numbers), so that a thousand layers neither overflow nor underflow.
//!
//! | you want | call |
//! |---|---|
//! | a network from a description | [`Mlp::draw`], a function of (model, seed, sample) |
//! | from layers of your own, or a file | [`Mlp::from_layers`], [`Mlp::from_checkpoint`] |
//! | a forward pass | [`Mlp::forward`], a [`Trace`] |
//! | `J u`, `J^T v`, the factors and singular values of `J` | [`Trace::jvp`], [`Trace::vjp`], [`Trace::jacobian`] |
//! | gradients of the output | [`Trace::backward`], a [`Gradients`] |
//! | what rounding to a format does | [`Mlp::in_format`], [`Losses`], [`Updates`] |
//! | thousands of networks, measured | [`monte_carlo::Measurement`] with [`deferred::Deferred`] or [`matrices::Matrices`] |
//!
//! Passes are exact up to f64 rounding; Monte Carlo values are estimates and carry their standard errors in
//! [`verify`](crate::verify).
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::reference::{Architecture, Dense, Mlp, Scaled};
//!
//! // y = (1, 1) relu(diag(2, 3) x) at x = (1, -1): the second unit is off
//! let layers = vec![Dense::new(2, 2, vec![2.0, 0.0, 0.0, 3.0]), Dense::new(1, 2, vec![1.0, 1.0])];
//! let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Relu)).unwrap();
//! let trace = mlp.forward(&Scaled::new(vec![1.0, -1.0]));
//! assert_eq!(trace.output().get(0), 2.0);
//! let gradients = trace.backward(&Scaled::new(vec![1.0]));
//! assert_eq!(gradients.input().to_vec(), [2.0, 0.0]);
//! assert_eq!(gradients.weight(1).to_vec(), [1.0, -1.0, 0.0, 0.0]); // delta x^T
//! // <W, dy/dW> = y for every layer of a homogeneous network
//! let (m, e) = gradients.euler(1);
//! assert_eq!(m * 2f64.powi(e as i32), 2.0);
//! ```

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
