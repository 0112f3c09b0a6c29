//! A fully connected network that exists: numbers for every weight.

use super::dense::Dense;
use super::elementwise::Elementwise;
use super::low_precision::rounded;
use super::scaled::Scaled;
use crate::network::activation::Activation;
use crate::network::{Normalization, NumberFormat};

/// Everything about a network but its weights.
///
/// Plain: `x_l = A(W_l x_(l-1) + b_l)`. Residual: `x_l = x_(l-1) + beta (W_l A(x_(l-1)) + b_l)`. The stage
/// `A` is the activation, with the normalization before or after it, then dropout. The readout
/// `y = W_(L+1) x_L + b_(L+1)` has no activation.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// The activation.
    pub activation: Activation,
    /// What normalizes, if anything. A batch is normalized with its own statistics, whatever its size.
    pub normalization: Normalization,
    /// Whether it acts on the activation instead of the pre-activation.
    pub normalization_after: bool,
    /// Scale of the residual branches, if there are any.
    pub beta: Option<f64>,
}

impl Architecture {
    /// Plain layers of one activation.
    pub fn new(activation: Activation) -> Architecture {
        Architecture {
            activation,
            normalization: Normalization::None,
            normalization_after: false,
            beta: None,
        }
    }
}

/// Why layers make no network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LayersError {
    /// No hidden layer.
    #[error("{given} layers are no network: at least one and a readout are needed")]
    TooFew {
        /// Layers given.
        given: usize,
    },
    /// A layer of no units or inputs.
    #[error("layer {layer} is {rows} x {cols}: it has no entries")]
    Empty {
        /// The layer, from 1.
        layer: usize,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
    },
    /// Numbers of entries that contradict the shape.
    #[error("layer {layer} is {rows} x {cols} with {weights} weights and {biases} biases")]
    Entries {
        /// The layer, from 1.
        layer: usize,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
        /// Weights given.
        weights: usize,
        /// Biases given.
        biases: usize,
    },
    /// Consecutive layers do not fit.
    #[error("layer {layer} takes {cols} inputs, but layer {} gives {rows} outputs", layer - 1)]
    Shapes {
        /// The layer, from 1.
        layer: usize,
        /// Outputs of the layer before.
        rows: usize,
        /// Its inputs.
        cols: usize,
    },
    /// A sum of vectors of unequal lengths.
    #[error(
        "layer {layer} is {rows} x {cols}; residual and tied layers are square, all of one width"
    )]
    NotSquare {
        /// The layer, from 1.
        layer: usize,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
    },
    /// An entry that is NaN or infinite.
    #[error("layer {layer} holds {value}")]
    NonFinite {
        /// The layer, from 1.
        layer: usize,
        /// The entry.
        value: f64,
    },
    /// No stored weights have the effective ones.
    #[error("the multiplier of layer {layer} is {value}: a finite number other than 0 is needed")]
    Multiplier {
        /// The layer, from 1.
        layer: usize,
        /// The multiplier.
        value: f64,
    },
    /// Entries so large or small that products leave the range of `f64`.
    #[error(
        "the largest weight of layer {layer} is {value:e}; from 1e-250 to 1e250 can be multiplied safely"
    )]
    Magnitude {
        /// The layer, from 1.
        layer: usize,
        /// The largest magnitude.
        value: f64,
    },
    /// Dropout factors that do not fit the layers.
    #[error("{given} dropout factors for layer {layer} of {width} units")]
    Masks {
        /// The layer, from 1.
        layer: usize,
        /// Its units.
        width: usize,
        /// Factors given.
        given: usize,
    },
}

/// A network with its weights; see [`Architecture`] for what it computes.
#[derive(Clone, Debug)]
pub struct Mlp {
    pub(super) layers: Vec<Dense>,
    pub(super) depth: usize,
    pub(super) architecture: Architecture,
    pub(super) elementwise: Elementwise,
    /// Factors of the units of each layer, example after example; empty without dropout.
    pub(super) masks: Vec<Vec<f64>>,
    /// What everything stored is rounded to.
    pub(super) format: Option<NumberFormat>,
}

impl Mlp {
    /// A network from its layers, the first applied first, the last the readout.
    ///
    /// # Errors
    ///
    /// Layers that do not fit each other, or entries that cannot be used.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::reference::{Architecture, Dense, LayersError, Mlp};
    /// let layers = vec![Dense::new(2, 3, vec![1.0; 6]), Dense::new(1, 2, vec![1.0; 2])];
    /// let mlp = Mlp::from_layers(layers.clone(), Architecture::new(Activation::Relu)).unwrap();
    /// assert_eq!((mlp.depth(), mlp.width(0), mlp.width(2)), (1, 3, 1));
    /// let alone = Mlp::from_layers(layers[..1].to_vec(), Architecture::new(Activation::Relu));
    /// assert!(matches!(alone, Err(LayersError::TooFew { given: 1 })));
    /// ```
    pub fn from_layers(layers: Vec<Dense>, architecture: Architecture) -> Result<Mlp, LayersError> {
        match layers.len() {
            0 | 1 => Err(LayersError::TooFew {
                given: layers.len(),
            }),
            n => Mlp::checked(layers, n - 1, architecture),
        }
    }

    /// A recurrent network: `layer`, weights and bias, is applied `depth` times, then the readout once.
    ///
    /// # Errors
    ///
    /// As [`Mlp::from_layers`].
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::reference::{Architecture, Dense, Mlp, Scaled};
    /// let (w, readout) = (Dense::new(1, 1, vec![2.0]), Dense::new(1, 1, vec![1.0]));
    /// let rnn = Mlp::recurrent(w, 10, readout, Architecture::new(Activation::Linear)).unwrap();
    /// assert_eq!(rnn.forward(&Scaled::new(vec![1.0])).output().get(0), 1024.0);
    /// ```
    pub fn recurrent(
        layer: Dense,
        depth: usize,
        readout: Dense,
        architecture: Architecture,
    ) -> Result<Mlp, LayersError> {
        if depth == 0 {
            return Err(LayersError::TooFew { given: 1 });
        }
        Mlp::checked(vec![layer, readout], depth, architecture)
    }

    fn checked(
        layers: Vec<Dense>,
        depth: usize,
        architecture: Architecture,
    ) -> Result<Mlp, LayersError> {
        let mlp = Mlp::assembled(layers, depth, architecture)?;
        for (i, dense) in mlp.layers.iter().enumerate() {
            let last = i + 1 == mlp.layers.len();
            check_entries(if last { depth + 1 } else { i + 1 }, dense)?;
        }
        Ok(mlp)
    }

    /// From layers with entries that are known to be sound: `depth` and a readout, or one for all and a
    /// readout.
    pub(super) fn assembled(
        layers: Vec<Dense>,
        depth: usize,
        architecture: Architecture,
    ) -> Result<Mlp, LayersError> {
        let tied = depth + 1 != layers.len();
        let square = tied || architecture.beta.is_some();
        for (i, dense) in layers.iter().enumerate() {
            let layer = if tied && i == 1 { depth + 1 } else { i + 1 };
            let Dense { rows, cols, .. } = *dense;
            if rows == 0 || cols == 0 {
                return Err(LayersError::Empty { layer, rows, cols });
            }
            let biases = dense.bias.as_ref().map_or(rows, Vec::len);
            if rows.checked_mul(cols) != Some(dense.weights.len()) || biases != rows {
                let weights = dense.weights.len();
                return Err(LayersError::Entries {
                    layer,
                    rows,
                    cols,
                    weights,
                    biases,
                });
            }
            if i > 0 && layers[i - 1].rows != cols {
                let rows = layers[i - 1].rows;
                return Err(LayersError::Shapes { layer, rows, cols });
            }
            if square && layer <= depth && rows != cols {
                return Err(LayersError::NotSquare { layer, rows, cols });
            }
        }
        Ok(Mlp {
            layers,
            depth,
            elementwise: Elementwise::new(architecture.activation.clone()),
            architecture,
            masks: Vec::new(),
            format: None,
        })
    }

    /// The network with the units of each layer multiplied by factors after the activation: 0 where
    /// dropped, `1/keep` elsewhere. One list a layer; a list longer than the layer is wide has one factor
    /// after the other for each example of a batch (further examples start over).
    ///
    /// # Errors
    ///
    /// A wrong number of lists or factors.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::reference::{Architecture, Dense, Mlp, Scaled};
    /// let layers = vec![Dense::new(2, 1, vec![1.0, 1.0]), Dense::new(1, 2, vec![1.0, 1.0])];
    /// let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Relu)).unwrap();
    /// let dropped = mlp.with_dropout(vec![vec![0.0, 2.0]]).unwrap(); // inverted dropout at 1/2
    /// assert_eq!(dropped.forward(&Scaled::new(vec![3.0])).output().get(0), 6.0);
    /// ```
    pub fn with_dropout(mut self, factors: Vec<Vec<f64>>) -> Result<Mlp, LayersError> {
        if factors.len() != self.depth {
            return Err(LayersError::TooFew {
                given: factors.len(),
            });
        }
        for (i, list) in factors.iter().enumerate() {
            let width = self.width(i + 1);
            if list.is_empty() || list.len() % width != 0 {
                return Err(LayersError::Masks {
                    layer: i + 1,
                    width,
                    given: list.len(),
                });
            }
        }
        self.masks = factors;
        Ok(self)
    }

    /// `L`, the number of layers before the readout.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// `n_l`: of the input for `l = 0`, of layer `l`, of the readout for `l = L + 1`.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    pub fn width(&self, l: usize) -> usize {
        match l {
            0 => self.layers[0].cols,
            l => self.layer(l).rows,
        }
    }

    /// Weights and bias of layer `l`, from 1; `L + 1` is the readout. Tied layers are one.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    pub fn layer(&self, l: usize) -> &Dense {
        assert!(
            (1..=self.depth + 1).contains(&l),
            "layer {l} of {}",
            self.depth + 1
        );
        match self.tied() {
            true if l <= self.depth => &self.layers[0],
            true => &self.layers[1],
            false => &self.layers[l - 1],
        }
    }

    /// Whether layers `1..=L` are one.
    pub fn tied(&self) -> bool {
        self.layers.len() != self.depth + 1
    }

    /// Everything but the weights.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The dropout factors of layer `l`, from 1, if any.
    pub fn dropout(&self, l: usize) -> Option<&[f64]> {
        self.masks.get(l - 1).map(Vec::as_slice)
    }

    /// Vectors as the network stores them.
    pub(super) fn stored(&self, batch: Vec<Scaled>) -> Vec<Scaled> {
        match self.format {
            None => batch,
            Some(format) => batch.iter().map(|v| rounded(v, format)).collect(),
        }
    }

    /// Those of one example.
    pub(super) fn mask(&self, l: usize, example: usize) -> Option<&[f64]> {
        let factors = self.masks.get(l - 1)?;
        let width = self.width(l);
        let at = example % (factors.len() / width) * width;
        Some(&factors[at..at + width])
    }
}

/// Finite, and of a size that products with numbers of order 1 leave within the range of `f64`.
fn check_entries(layer: usize, dense: &Dense) -> Result<(), LayersError> {
    let biases = dense.bias.iter().flatten();
    let mut entries = dense.weights.iter().chain(biases);
    if let Some(value) = entries.find(|x| !x.is_finite()).copied() {
        return Err(LayersError::NonFinite { layer, value });
    }
    let value = dense.multiplier;
    if value == 0.0 || !value.is_finite() {
        return Err(LayersError::Multiplier { layer, value });
    }
    check_magnitude(
        layer,
        dense.weights.iter().fold(0.0f64, |m, x| m.max(x.abs())),
    )
}

/// The largest magnitude of the weights of a layer.
pub(super) fn check_magnitude(layer: usize, value: f64) -> Result<(), LayersError> {
    match value == 0.0 || (1e-250..=1e250).contains(&value) {
        true => Ok(()),
        false => Err(LayersError::Magnitude { layer, value }),
    }
}
