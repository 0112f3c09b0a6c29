//! From the description of a network to a network.

use super::dense::Dense;
use super::mlp::{Architecture, LayersError, Mlp};
use super::random::{Purpose, stream};
use super::weights;
use crate::network::{BatchSize, Model, ModelError, Normalization};
use rand::RngExt;

/// More weights than this (4 GiB) are not drawn.
pub const MAX_WEIGHTS: u128 = 1 << 29;

/// Why no network can be drawn from a description.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DrawError {
    /// The description is of no network.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A limit that no network reaches.
    #[error(
        "a batch of infinitely many examples cannot be computed with; write batch:B, such as batch:256"
    )]
    InfiniteBatch,
    /// More weights than are drawn.
    #[error(
        "{weights} weights are more than the {MAX_WEIGHTS} that are drawn; use a smaller width or depth"
    )]
    TooLarge {
        /// Weights of the network.
        weights: u128,
    },
    /// Weights that cannot be computed with.
    #[error(transparent)]
    Layers(#[from] LayersError),
}

impl Mlp {
    /// Sample number `sample` of the networks that `model` describes; the same for the same `seed`.
    ///
    /// Weights of each layer come first from its stream, then its bias. Tied layers share both. Dropout
    /// fixes which units stay: one choice for all inputs, with batch normalization one for each example
    /// of a batch.
    ///
    /// # Errors
    ///
    /// A description of no network, or of one that no machine holds.
    pub fn draw(model: &Model, seed: u64, sample: u64) -> Result<Mlp, DrawError> {
        let batch = check(model)?;
        let readout = model.depth() + 1;
        let distinct = match model.tied {
            true => vec![1, readout],
            false => (1..=readout).collect(),
        };
        let layers: Vec<Dense> = distinct
            .iter()
            .map(|l| draw_layer(model, *l, seed, sample))
            .collect();
        let architecture = Architecture {
            activation: model.activation.clone(),
            normalization: model.normalization,
            normalization_after: model.normalization_after,
            beta: model.beta(),
        };
        let mlp = match <[Dense; 2]>::try_from(layers) {
            Ok([layer, last]) => Mlp::recurrent(layer, model.depth(), last, architecture)?,
            Err(layers) => Mlp::from_layers(layers, architecture)?,
        };
        match model.dropout > 0.0 {
            true => Ok(mlp.with_dropout(masks(model, batch, seed, sample))?),
            false => Ok(mlp),
        }
    }
}

/// Examples in a batch of a description that can be drawn.
fn check(model: &Model) -> Result<usize, DrawError> {
    model.validate()?;
    let batch = match model.normalization {
        Normalization::Batch { size } => match size {
            BatchSize::Finite(size) => size,
            BatchSize::Infinite => return Err(DrawError::InfiniteBatch),
        },
        _ => 1,
    };
    let product = |a: usize, b: usize| a as u128 * b as u128;
    let hidden = model.widths.windows(2).map(|w| product(w[0], w[1]));
    let hidden: u128 = match model.tied {
        true => product(model.widths[0], model.widths[0]),
        false => hidden.sum(),
    };
    let weights = hidden + product(model.widths[model.depth()], model.readout);
    match weights > MAX_WEIGHTS {
        true => Err(DrawError::TooLarge { weights }),
        false => Ok(batch),
    }
}

fn draw_layer(model: &Model, l: usize, seed: u64, sample: u64) -> Dense {
    let law = model.layer(l);
    let mut rng = stream(seed, sample, Purpose::Layer(l));
    let mut entries = Vec::with_capacity(law.fan_in * law.fan_out);
    weights::fill(&law, &mut rng, &mut entries);
    let dense = Dense::new(law.fan_out, law.fan_in, entries).with_multiplier(law.multiplier);
    match weights::bias(law.bias, law.fan_out, &mut rng) {
        Some(bias) => dense.with_bias(bias),
        None => dense,
    }
}

fn masks(model: &Model, examples: usize, seed: u64, sample: u64) -> Vec<Vec<f64>> {
    let keep = model.keep();
    let layer = |l: usize| {
        let mut rng = stream(seed, sample, Purpose::Dropout(l));
        let mut one = || f64::from(u8::from(rng.random::<f64>() < keep)) / keep;
        (0..examples * model.widths[l]).map(|_| one()).collect()
    };
    (1..=model.depth()).map(layer).collect()
}
