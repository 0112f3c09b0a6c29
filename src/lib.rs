//! Isometer: condition numbers with proof, and backprop treated analytically as a product of
//! layer Jacobians.
//!
//! *How far is a matrix, or a network, from an isometry?* A matrix with condition number 1 stretches
//! every direction alike. Every number here leaves its function with what it is worth: a proved
//! enclosure that includes the rounding of our own arithmetic, an exact value, or an estimate with
//! its error ([`scale::Certainty`]).
//!
//! - [`scale`]: magnitudes kept as logarithms ([`scale::LogScale`]), bounds with a direction, and
//!   enclosures.
//! - [`linalg`]: the numerical kernel. [`linalg::condition::condition`] gives condition numbers of
//!   matrices as stored, [`linalg::norms`] their norms, [`linalg::singular`] all singular values,
//!   [`linalg::product`] the singular values of products of any length, [`linalg::exact`] ranks,
//!   inverses and counts in exact arithmetic, [`linalg::structure`] what can be read off the entries,
//!   [`linalg::convolution`] convolutions as linear maps.
//! - [`formats`]: files and streams to named tensors, memory-mapped; npy, npz, safetensors, PyTorch,
//!   ONNX, GGUF, Matrix Market and text.
//! - [`network`]: inert descriptions of networks, with the conventions of PyTorch and Keras.
//! - [`bounds`]: what follows with certainty. [`bounds::overview::overview`] bounds a product or a network,
//!   [`bounds::convolution`] convolutions, [`bounds::operator`] maps given by their products, [`bounds::jacobian`] single
//!   layers; [`bounds::checks`] are assertions for a test of your own.
//! - [`theory`]: what gradients will do. [`theory::predict::predict`] says everything about a model;
//!   [`theory::laws`] has exact laws at finite width, [`theory::mean_field`] and [`theory::criticality`]
//!   infinite width, [`theory::spectrum`] the singular values of the Jacobian.
//! - [`mod@reference`]: the reference MLP, which draws weights and computes gradients and predicts nothing.
//! - [`audit`]: findings about tensors that exist: trust ratios, clipping.
//! - [`verify`]: predictions against measurements, with honest statistics.
//! - [`report`]: results to tables, markdown, csv and JSON; values in, bytes out.
//!
//! ```
//! use isometer::linalg::condition::{ConditionOptions, condition};
//! use isometer::linalg::view::MatrixRef;
//!
//! let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
//! let c = condition(&a, &ConditionOptions::default()).unwrap();
//! let (value, lo, hi) = c.cond.enclosure.to_linear().unwrap();
//! assert!(lo <= value && value <= hi && hi - lo < 1e-12);
//! ```

#![deny(missing_docs)]

pub mod audit;
pub mod bounds;
pub mod formats;
pub mod linalg;
pub mod network;
pub mod reference;
pub mod report;
pub mod scale;
pub mod theory;
pub mod verify;
