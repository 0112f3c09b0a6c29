//! What a description must satisfy to be of a network.

use super::{MAX_DEPTH, MAX_WIDTH, Model};
use crate::network::initializer::{Ensemble, InitError, WeightInit};
use crate::network::law::{Layer, WeightKind};
use crate::network::options::{AlphaAt, BatchSize, BiasInit, Normalization};

/// Why a description is of no network, or of one that contradicts itself.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// No layer.
    #[error(
        "{given} widths are no network: the first is the input, each further one a layer; write at least two, such as 784,256"
    )]
    NoLayer {
        /// Widths given.
        given: usize,
    },
    /// More layers than can be described.
    #[error("{depth} layers are more than the {MAX_DEPTH} that can be described")]
    TooDeep {
        /// Layers asked for.
        depth: usize,
    },
    /// A layer of no units.
    #[error("width 0 at position {index} (0 is the input): every layer needs at least one unit")]
    ZeroWidth {
        /// Position in the widths.
        index: usize,
    },
    /// More units, outputs or examples than can be described.
    #[error("{count} {what} are more than the {MAX_WIDTH} that can be described{hint}")]
    TooWide {
        /// The key of the TOML form.
        key: &'static str,
        /// What there are too many of.
        what: &'static str,
        /// How many.
        count: usize,
        /// What to write instead, if anything.
        hint: &'static str,
    },
    /// A readout of no outputs.
    #[error("a readout of 0 outputs has no gradient; write readout = 1 for a scalar")]
    ZeroReadout,
    /// A parameter of the activation that is not finite.
    #[error("the activation {activation} has a parameter that is not a finite number")]
    Activation {
        /// The activation.
        activation: String,
    },
    /// The initializer has no law.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A Haar matrix by its variance where that has two meanings.
    #[error(
        "layer {layer} widens from {fan_in} to {fan_out}, where sigma_w2 of orthogonal weights could mean the variance of entries or the squared singular values; write orthogonal:gain=G, all singular values G"
    )]
    ExpandingOrthogonal {
        /// The layer, from 1.
        layer: usize,
        /// Its inputs.
        fan_in: usize,
        /// Its outputs.
        fan_out: usize,
    },
    /// A bias that is no law.
    #[error(
        "the bias {bias}: a number whose square is within the range of double precision is needed, not negative for a variance or a half-width"
    )]
    Bias {
        /// The bias.
        bias: String,
    },
    /// alpha is NaN, infinite or 0.
    #[error(
        "alpha = {value}: a finite number other than 0 is needed ({})",
        if *.value == 0.0 { "alpha = 0 makes every weight 0; to study that, write init = \"zeros\"" } else { "it multiplies the weights" }
    )]
    Alpha {
        /// The value.
        value: f64,
    },
    /// alpha at a layer that is not there.
    #[error("alpha at layer {layer}: layers are 1 to {readout}, where {readout} is the readout")]
    AlphaLayer {
        /// The layer asked for.
        layer: usize,
        /// The number of the readout.
        readout: usize,
    },
    /// Weights beyond the range of double precision.
    #[error(
        "the weights of layer {layer} have a variance beyond the range of double precision; alpha and the initializer together are too {}",
        if *.large { "large" } else { "small" }
    )]
    OutOfRange {
        /// The layer, from 1.
        layer: usize,
        /// Too large, or rounded to 0.
        large: bool,
    },
    /// A batch whose gradients have no variance.
    #[error(
        "batch normalization over a batch of {size}: with 3 examples or fewer the variance of the gradient is infinite; write batch:4 or more, or batch:inf for the limit"
    )]
    BatchTooSmall {
        /// Examples in the batch.
        size: usize,
    },
    /// A normalization that leaves nothing of the gradient.
    #[error(
        "{normalization} normalization of a layer of width {width} gives the same values for every input, so that all gradients are exactly 0; use a width of at least {needed}"
    )]
    NormalizesAll {
        /// The normalization.
        normalization: Normalization,
        /// The width.
        width: usize,
        /// The least width with gradients.
        needed: usize,
    },
    /// A place for a normalization that is not there.
    #[error(
        "normalization after the activation, but normalization is none; choose one (batch:B, layer, rms) or leave its place out"
    )]
    NothingAfter,
    /// A residual scale that is not finite.
    #[error("residual scale {beta}: a finite number is needed")]
    ResidualScale {
        /// The scale.
        beta: f64,
    },
    /// A sum of vectors of unequal lengths.
    #[error(
        "residual branches need equal widths, since x and W phi(x) are added; position {index} has {width}, the input {input}"
    )]
    ResidualWidths {
        /// Position in the widths.
        index: usize,
        /// Its width.
        width: usize,
        /// Width of the input.
        input: usize,
    },
    /// A probability outside its range.
    #[error("dropout = {probability}: the probability of being dropped is at least 0 and below 1")]
    Dropout {
        /// The value.
        probability: f64,
    },
    /// One matrix for layers of different shapes.
    #[error(
        "tied layers share one square matrix; position {index} has width {width}, the input {input}"
    )]
    TiedWidths {
        /// Position in the widths.
        index: usize,
        /// Its width.
        width: usize,
        /// Width of the input.
        input: usize,
    },
    /// A tied network whose law is not known.
    #[error(
        "tied {weights} weights with {activation}: gates depend on a matrix that is met again, and no exact law is known; use a linear activation, orthogonal weights, or untie the layers"
    )]
    TiedNonlinear {
        /// The initializer.
        weights: String,
        /// The activation.
        activation: String,
    },
    /// A factor on one of several layers that are one.
    #[error(
        "tied layers share one matrix, so alpha cannot multiply layer {layer} alone; write weights, multiplier, or layer:{readout} for the readout"
    )]
    TiedAlpha {
        /// The layer.
        layer: usize,
        /// The number of the readout.
        readout: usize,
    },
}

impl ModelError {
    /// The key of the TOML form that the complaint is about.
    pub fn key(&self) -> &'static str {
        match self {
            ModelError::NoLayer { .. }
            | ModelError::ZeroWidth { .. }
            | ModelError::NormalizesAll { .. }
            | ModelError::ResidualWidths { .. }
            | ModelError::TiedWidths { .. } => "widths",
            ModelError::TooDeep { .. } => "depth",
            ModelError::TooWide { key, .. } => key,
            ModelError::ZeroReadout => "readout",
            ModelError::Activation { .. } => "activation",
            ModelError::Init(_) | ModelError::ExpandingOrthogonal { .. } => "init",
            ModelError::Bias { .. } => "bias",
            ModelError::Alpha { .. } | ModelError::OutOfRange { .. } => "alpha",
            ModelError::AlphaLayer { .. } | ModelError::TiedAlpha { .. } => "alpha_at",
            ModelError::BatchTooSmall { .. } => "normalization",
            ModelError::NothingAfter => "normalization_after",
            ModelError::ResidualScale { .. } => "residual",
            ModelError::Dropout { .. } => "dropout",
            ModelError::TiedNonlinear { .. } => "tied",
        }
    }
}

impl Model {
    /// Whether the description is of a network that can exist and does not contradict itself.
    ///
    /// # Errors
    ///
    /// The first complaint, with what to write instead.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, activation::Activation};
    /// let mut model = Model::new(vec![4, 4], Activation::Relu);
    /// assert!(model.validate().is_ok());
    /// model.dropout = 1.5;
    /// assert_eq!(model.validate().unwrap_err().key(), "dropout");
    /// ```
    pub fn validate(&self) -> Result<(), ModelError> {
        self.validate_widths()?;
        if let Some(p) = self.activation.parameter()
            && !p.is_finite()
        {
            let activation = self.activation.to_string();
            return Err(ModelError::Activation { activation });
        }
        let sound = match self.bias {
            BiasInit::FrameworkDefault | BiasInit::TorchLinear | BiasInit::None => true,
            BiasInit::Gaussian { variance: size } | BiasInit::Uniform { half_width: size } => {
                size >= 0.0 && size.is_finite()
            }
            BiasInit::Constant(c) => c.is_finite(),
        };
        // a half-width can be finite and its square not
        if !sound || !self.bias_law(1).mean_square().is_finite() {
            let bias = self.bias.to_string();
            return Err(ModelError::Bias { bias });
        }
        if !self.alpha.value.is_finite() || self.alpha.value == 0.0 {
            let value = self.alpha.value;
            return Err(ModelError::Alpha { value });
        }
        let readout = self.depth() + 1;
        if let AlphaAt::Layer(layer) = self.alpha.at
            && !(1..=readout).contains(&layer)
        {
            return Err(ModelError::AlphaLayer { layer, readout });
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let probability = self.dropout;
            return Err(ModelError::Dropout { probability });
        }
        self.weights.validate()?;
        self.validate_layers()?;
        self.validate_normalization()?;
        self.validate_residual()?;
        self.validate_tied()
    }

    fn validate_widths(&self) -> Result<(), ModelError> {
        let given = self.widths.len();
        if given < 2 {
            return Err(ModelError::NoLayer { given });
        }
        if self.depth() > MAX_DEPTH {
            let depth = self.depth();
            return Err(ModelError::TooDeep { depth });
        }
        if let Some(index) = self.widths.iter().position(|n| *n == 0) {
            return Err(ModelError::ZeroWidth { index });
        }
        let batch = match self.normalization {
            Normalization::Batch {
                size: BatchSize::Finite(size),
            } => size,
            _ => 0,
        };
        let widest = self.widths.iter().copied().max().unwrap_or(0);
        let limits = [
            ("widths", "units of a layer", widest, ""),
            ("readout", "outputs of the readout", self.readout, ""),
            (
                "normalization",
                "examples of a batch",
                batch,
                "; batch:inf is the limit of large batches",
            ),
        ];
        if let Some((key, what, count, hint)) = limits.into_iter().find(|l| l.2 > MAX_WIDTH) {
            return Err(ModelError::TooWide {
                key,
                what,
                count,
                hint,
            });
        }
        match self.readout {
            0 => Err(ModelError::ZeroReadout),
            _ => Ok(()),
        }
    }

    fn validate_layers(&self) -> Result<(), ModelError> {
        let haar = matches!(
            self.weights,
            WeightInit::SigmaW2 {
                ensemble: Ensemble::Orthogonal,
                ..
            }
        );
        let readout = self.depth() + 1;
        let alone = match self.alpha.at {
            AlphaAt::Layer(k) => k,
            _ => 0,
        };
        for l in 1..=readout {
            // like the layer before, in a run of equal ones
            let same = (2..readout).contains(&l)
                && self.widths[l - 2] == self.widths[l - 1]
                && self.widths[l - 1] == self.widths[l]
                && l != alone;
            if same {
                continue;
            }
            let Layer {
                fan_in,
                fan_out,
                weight,
                ..
            } = self.layer(l);
            if haar && fan_out > fan_in {
                return Err(ModelError::ExpandingOrthogonal {
                    layer: l,
                    fan_in,
                    fan_out,
                });
            }
            let drawn = self.weights.law(&self.activation, fan_in, fan_out);
            let large = !weight.sigma_w2.is_finite() || !weight.mean.is_finite();
            let lost = weight.is_zero() && !drawn.is_zero();
            if large || lost {
                return Err(ModelError::OutOfRange { layer: l, large });
            }
        }
        Ok(())
    }

    fn validate_normalization(&self) -> Result<(), ModelError> {
        let needed = match self.normalization {
            Normalization::None if self.normalization_after => {
                return Err(ModelError::NothingAfter);
            }
            Normalization::None => return Ok(()),
            Normalization::Batch { size } => {
                return match size {
                    BatchSize::Finite(size) if size <= 3 => Err(ModelError::BatchTooSmall { size }),
                    _ => Ok(()),
                };
            }
            // the Jacobian projects out the mean and the length
            Normalization::Layer => 3,
            Normalization::Rms => 2,
        };
        match self.widths[1..].iter().find(|n| **n < needed) {
            Some(&width) => Err(ModelError::NormalizesAll {
                normalization: self.normalization,
                width,
                needed,
            }),
            None => Ok(()),
        }
    }

    /// The first width that differs from that of the input.
    fn unequal(&self) -> Option<(usize, usize)> {
        let input = self.widths[0];
        let index = self.widths.iter().position(|n| *n != input)?;
        Some((index, self.widths[index]))
    }

    fn validate_residual(&self) -> Result<(), ModelError> {
        let Some(beta) = self.beta() else {
            return Ok(());
        };
        if !beta.is_finite() {
            return Err(ModelError::ResidualScale { beta });
        }
        match self.unequal() {
            Some((index, width)) => Err(ModelError::ResidualWidths {
                index,
                width,
                input: self.widths[0],
            }),
            None => Ok(()),
        }
    }

    fn validate_tied(&self) -> Result<(), ModelError> {
        if !self.tied {
            return Ok(());
        }
        if let Some((index, width)) = self.unequal() {
            return Err(ModelError::TiedWidths {
                index,
                width,
                input: self.widths[0],
            });
        }
        let readout = self.depth() + 1;
        if let AlphaAt::Layer(layer) = self.alpha.at
            && layer != readout
        {
            return Err(ModelError::TiedAlpha { layer, readout });
        }
        let isometric = matches!(
            self.layer(1).weight.kind,
            WeightKind::Orthogonal | WeightKind::Identity
        );
        let linear = self.activation.slopes() == Some((1.0, 1.0));
        match linear || isometric {
            true => Ok(()),
            false => Err(ModelError::TiedNonlinear {
                weights: self.weights.to_string(),
                activation: self.activation.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
