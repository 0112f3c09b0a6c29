//! From the description of a network to a network.

use super::dense::Dense;
use super::mlp::{Architecture, LayersError, Mlp, check_magnitude};
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
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, activation::Activation};
    /// use isometer::reference::{Mlp, Scaled};
    /// let model = Model::new(vec![16; 4], Activation::Tanh);
    /// let y = |sample| {
    ///     let mlp = Mlp::draw(&model, 1, sample).unwrap();
    ///     mlp.forward(&Scaled::new(vec![1.0; 16])).output().get(0)
    /// };
    /// assert!(y(0) == y(0) && y(0) != y(1)); // a function of seed and sample
    /// ```
    pub fn draw(model: &Model, seed: u64, sample: u64) -> Result<Mlp, DrawError> {
        draw(model, seed, sample, Vec::new())
    }

    /// As [`Mlp::draw`], in the memory of a network that is no longer needed, which saves half the time.
    ///
    /// # Errors
    ///
    /// As [`Mlp::draw`].
    pub fn redraw(self, model: &Model, seed: u64, sample: u64) -> Result<Mlp, DrawError> {
        let storage = self.layers.into_iter().map(|layer| layer.weights).collect();
        draw(model, seed, sample, storage)
    }
}

fn draw(
    model: &Model,
    seed: u64,
    sample: u64,
    mut storage: Vec<Vec<f64>>,
) -> Result<Mlp, DrawError> {
    let batch = check(model)?;
    let readout = model.depth() + 1;
    let distinct = match model.tied {
        true => vec![1, readout],
        false => (1..=readout).collect(),
    };
    let mut layers: Vec<Dense> = Vec::with_capacity(distinct.len());
    // from the end, as the storage is handed out
    for l in distinct.into_iter().rev() {
        let weights = storage.pop().unwrap_or_default();
        layers.push(draw_layer(model, l, seed, sample, weights)?);
    }
    layers.reverse();
    let architecture = Architecture {
        activation: model.activation.clone(),
        normalization: model.normalization,
        normalization_after: model.normalization_after,
        beta: model.beta(),
    };
    let mlp = Mlp::assembled(layers, model.depth(), architecture)?;
    match model.dropout > 0.0 {
        true => Ok(mlp.with_dropout(masks(model, batch, seed, sample))?),
        false => Ok(mlp),
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

fn draw_layer(
    model: &Model,
    l: usize,
    seed: u64,
    sample: u64,
    mut entries: Vec<f64>,
) -> Result<Dense, LayersError> {
    let law = model.layer(l);
    // the law is of finite numbers, by `validate`
    check_magnitude(l, law.entry_variance().sqrt().max(law.weight.mean.abs()))?;
    let mut rng = stream(seed, sample, Purpose::Layer(l));
    weights::fill(&law, &mut rng, &mut entries);
    let dense = Dense::new(law.fan_out, law.fan_in, entries).with_multiplier(law.multiplier);
    Ok(match weights::bias(law.bias, law.fan_out, &mut rng) {
        Some(bias) => dense.with_bias(bias),
        None => dense,
    })
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
