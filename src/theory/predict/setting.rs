//! The model with its layers resolved, and the theory that applies to it.

use super::PredictError;
use crate::network::{BatchSize, BiasLaw, Layer, Model, Normalization, WeightInit, WeightKind};
use crate::theory::laws::Ensemble;

/// Which theory applies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Regime {
    /// One slope on each side of zero, weights with a law of their own.
    Homogeneous {
        /// Slopes below and above zero.
        slopes: (f64, f64),
        /// The ensemble of the exact law.
        ensemble: Ensemble,
        /// Whether the weights are of that ensemble; otherwise the law is reached at large width.
        exact: bool,
    },
    /// Mean field.
    Field,
    /// Normalization in every layer.
    Normalized {
        /// Batch, `None` for layer and RMS normalization.
        batch: Option<BatchSize>,
        /// After the activation.
        after: bool,
    },
    /// Residual branches of this scale.
    Residual {
        /// Scale of the branch.
        beta: f64,
    },
    /// One matrix for all layers, shared or the same by construction.
    Tied,
}

/// A model with what follows from it directly.
#[derive(Clone, Debug)]
pub(super) struct Setting<'a> {
    pub model: &'a Model,
    /// Hidden layers and the readout.
    pub layers: Vec<Layer>,
    pub regime: Regime,
}

impl<'a> Setting<'a> {
    pub fn new(model: &'a Model) -> Result<Setting<'a>, PredictError> {
        let layers: Vec<Layer> = (1..=model.depth() + 1).map(|l| model.layer(l)).collect();
        let refuse = |reason| PredictError::Weights {
            weights: model.weights.to_string(),
            reason,
        };
        for (index, layer) in layers.iter().enumerate() {
            if layer.weight.is_zero() {
                let sparse = matches!(model.weights, WeightInit::Sparse { .. });
                return Err(refuse(if sparse && index == model.depth() {
                    "the readout's are all zero, since each column loses at least one entry; give it more outputs (--readout)"
                } else {
                    "all weights are zero, so every gradient below the readout is exactly zero; draw them at random"
                }));
            }
            match layer.weight.kind {
                WeightKind::Constant => {
                    return Err(refuse(
                        "equal weights make all units of a layer compute the same and receive the same gradient, at every step; draw them at random",
                    ));
                }
                WeightKind::Identity if model.activation.slopes() != Some((1.0, 1.0)) => {
                    return Err(refuse(
                        "they are not random: which units are on is decided by the signs of the input, there is no law; use orthogonal weights or a linear activation",
                    ));
                }
                _ => {}
            }
            if layer.weight.mean != 0.0 && layer.weight.kind != WeightKind::Identity {
                return Err(refuse(
                    "their mean is not zero, which adds a rank-one part that no law here covers; centre them",
                ));
            }
        }
        let regime = Self::regime(model, &layers)?;
        Ok(Setting {
            model,
            layers,
            regime,
        })
    }

    fn regime(model: &Model, layers: &[Layer]) -> Result<Regime, PredictError> {
        let not_covered = |what: &str, reason: &str| PredictError::NotCovered {
            what: what.into(),
            reason: reason.into(),
        };
        let normalized = model.normalization != Normalization::None;
        if model.tied && (normalized || model.residual.is_some() || model.dropout > 0.0) {
            return Err(not_covered(
                "a tied network with normalization, residual branches or dropout",
                "leave one of them out",
            ));
        }
        if normalized && model.residual.is_some() {
            return Err(not_covered(
                "normalization together with residual branches",
                "growth then depends on where in the block the normalization sits; predict the two parts apart",
            ));
        }
        if normalized && model.dropout > 0.0 {
            return Err(not_covered(
                "normalization together with dropout",
                "leave one of them out",
            ));
        }
        if layers[0].weight.kind == WeightKind::Identity && !model.tied {
            // not random, so no law of a random direction holds: equal layers are a power of one matrix
            let depth = model.depth();
            let alike = layers[..depth].iter().all(|l| *l == layers[0])
                && model.widths.iter().all(|n| *n == model.widths[0]);
            if alike && !normalized && model.residual.is_none() && model.dropout == 0.0 {
                return Ok(Regime::Tied);
            }
            return Err(not_covered(
                "identity weights that are not all alike and square, or with normalization, residual branches or dropout",
                "nothing about them is random; multiply the layers with isometer product",
            ));
        }
        if model.tied {
            return Ok(Regime::Tied);
        }
        if normalized {
            let batch = match model.normalization {
                Normalization::Batch { size } => Some(size),
                _ => None,
            };
            return Ok(Regime::Normalized {
                batch,
                after: model.normalization_after,
            });
        }
        if let Some(beta) = model.beta() {
            return Ok(Regime::Residual { beta });
        }
        let symmetric = layers.iter().all(|l| l.bias.is_symmetric());
        let isometric = layers[0].weight.kind == WeightKind::Orthogonal;
        let leaky_dropout = |(below, above): (f64, f64)| {
            model.dropout > 0.0 && below.abs() != above.abs() && below != 0.0 && above != 0.0
        };
        let ensemble = if isometric {
            Ensemble::Haar
        } else {
            Ensemble::Gaussian
        };
        Ok(match model.activation.slopes() {
            Some(slopes) if symmetric && !leaky_dropout(slopes) => Regime::Homogeneous {
                slopes,
                ensemble,
                exact: matches!(
                    layers[0].weight.kind,
                    WeightKind::Gaussian | WeightKind::Orthogonal
                ),
            },
            _ => Regime::Field,
        })
    }

    /// Hidden layers.
    pub fn depth(&self) -> usize {
        self.model.depth()
    }

    /// Whether any bias of a hidden layer is random or a constant other than zero.
    pub fn biased(&self) -> bool {
        self.layers[..self.depth()]
            .iter()
            .any(|l| l.bias != BiasLaw::Zero)
    }

    /// Hidden layers and readout: `sigma_w2` as the wide limit and the laws take it. For orthogonal
    /// weights the square of the singular values.
    pub fn sigma_w2(&self) -> Vec<f64> {
        self.layers
            .iter()
            .map(|l| l.singular_value().map_or(l.weight.sigma_w2, |g| g * g))
            .collect()
    }

    /// `(sigma_w2, sigma_b2)` of the hidden layers as seen by the length map: inverted dropout scales
    /// the mean square of what it lets through by `1 / keep`.
    pub fn variances(&self) -> Vec<(f64, f64)> {
        let keep = self.model.keep();
        self.layers[..self.depth()]
            .iter()
            .enumerate()
            .map(|(i, l)| {
                let dropped = if i == 0 { 1.0 } else { keep };
                (l.weight.sigma_w2 / dropped, l.bias.variance())
            })
            .collect()
    }

    /// Whether all hidden layers have one width, the input's, and one law.
    pub fn uniform(&self) -> bool {
        let first = &self.layers[0];
        self.model.widths.iter().all(|n| *n == self.model.widths[0])
            && self.layers[..self.depth()].iter().all(|l| l == first)
    }
}
