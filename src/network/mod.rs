//! Inert description of a network: widths, activation, initializer, multiplier alpha, normalization,
//! residual branches, dropout, number format. Nothing here draws or predicts.
//!
//! A [`Model`] says what the user named; [`Model::layer`] resolves it to the law of the weights and
//! the bias of one layer. [`Model::from_toml`] and [`Model::to_toml`] are exact inverses, and every
//! small type has one text form, shared by the file and the command line.

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
