//! Inert description of a network: widths, activation, initializer, multiplier alpha, normalization,
//! residual branches, dropout, number format. Nothing here draws or predicts.
//!
//! A [`Model`] says what the user named; [`Model::layer`] resolves it to the law of the weights and
//! the bias of one layer. [`Model::from_toml`] and [`Model::to_toml`] are exact inverses, and every
//! small type has one text form, shared by the file and the command line:
//!
//! | type | text |
//! |---|---|
//! | [`activation::Activation`] | `relu`, `gelu`, `leaky_relu:0.2` |
//! | [`WeightInit`] | `kaiming_normal`, `keras:he_normal`, `orthogonal:gain=2`, `gaussian:sigma_w2=1.5` |
//! | [`BiasInit`] | `default`, `none`, `gaussian:0.05`, `uniform:0.1`, `constant:0.5`, `torch:linear` |
//! | [`AlphaAt`] | `weights`, `multiplier`, `layer:3` |
//! | [`Normalization`] | `none`, `batch:32`, `layer`, `rms` |
//! | [`Residual`] | `0.5`, `1/sqrt(L)`, `0` |
//! | [`NumberFormat`] | `f16`, `bf16`, `f32`, `f64` |
//!
//! As a file, of which only the widths and the activation are needed:
//!
//! ```toml
//! widths = [784, 256, 256, 10]   # or: depth = 3, width = 256, input = 784
//! activation = "relu"
//! init = "kaiming_normal"        # or: sigma_w2 = 2.0
//! bias = "default"               # or: sigma_b2 = 0.05
//! alpha = 1.0
//! alpha_at = "weights"
//! normalization = "none"
//! residual = "none"
//! dropout = 0.0
//! readout = 1
//! number_format = "f32"
//! ```
//!
//! A name of an initializer belongs to the framework that uses it, and they differ where one would not expect it:
//! Keras' `he_normal` is cut at two standard deviations, PyTorch's `kaiming_normal` is not. With `sigma_w2` the
//! variance of a weight times the fan-in is meant, throughout.
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//!
//! let mut model = Model::new(vec![100, 50, 50], Activation::Relu);
//! assert_eq!(model.layer(1).weight.sigma_w2, 2.0); // kaiming_normal for ReLU
//! assert_eq!(model.layer(1).entry_variance(), 0.02); // over the fan-in
//! model.alpha.value = 0.5;
//! assert_eq!(model.layer(1).weight.sigma_w2, 0.5); // alpha^2
//! model.weights = "torch:linear".parse().unwrap();
//! assert!((model.layer(1).weight.sigma_w2 - 0.25 / 3.0).abs() < 1e-15); // and nn.Linear's default
//! ```

pub mod activation;
mod file;
pub mod framework;
mod initializer;
mod law;
mod model;
mod number_format;
mod options;
mod text;
mod truncated;

pub use file::{ModelFileError, Place};
pub use initializer::{
    Ensemble, FanMode, InitError, KaimingGain, ScalingDistribution, Shape, WeightInit,
};
pub use law::{BiasLaw, Layer, WeightKind, WeightLaw};
pub use model::{MAX_DEPTH, MAX_WIDTH, Model, ModelError};
pub use number_format::NumberFormat;
pub use options::{Alpha, AlphaAt, BatchSize, BiasInit, Normalization, Residual};
pub use text::TextError;
