//! Independent factors of a squared norm.

use crate::theory::special::binomial_weights;

/// What is wrong with the description of a law.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum LawError {
    /// No factor at all, or fewer than two widths.
    #[error("a law needs at least one layer")]
    NoLayers,
    /// A width of zero.
    #[error("width {index} is 0")]
    ZeroWidth {
        /// Position among the widths (0 is the input) or among the factors.
        index: usize,
    },
    /// Number of variances.
    #[error("{expected} layers need as many variances, got {found}")]
    Variances {
        /// Layers.
        expected: usize,
        /// Variances given.
        found: usize,
    },
    /// A scale or variance that is not a positive number.
    #[error("scale {value} of layer {index} is not positive and finite")]
    Scale {
        /// Position, from 0.
        index: usize,
        /// The scale.
        value: f64,
    },
    /// A gate or keep probability outside `(0, 1]`.
    #[error("probability {value} is not in (0, 1]")]
    Probability {
        /// The probability.
        value: f64,
    },
    /// Slopes that are not finite, or both zero.
    #[error("slopes {above} and {below}: both must be finite and one of them not 0")]
    Slopes {
        /// Slope above 0.
        above: f64,
        /// Slope below 0.
        below: f64,
    },
    /// Dropout after an activation with two different non-zero slopes: three values per unit.
    #[error("no closed law for dropout (keep {keep}) with slopes {above} and {below}, both not 0")]
    LeakyDropout {
        /// Slope above 0.
        above: f64,
        /// Slope below 0.
        below: f64,
        /// Keep probability.
        keep: f64,
    },
    /// A quantity that depends on biases; the Jacobian and input-gradient laws do not.
    #[error("random biases change this law: it is exact without biases only")]
    Biased,
    /// A layer that is not there.
    #[error("layer {layer} is not one of 1..={layers}")]
    NoSuchLayer {
        /// Asked for.
        layer: usize,
        /// Layers of weights, the readout included.
        layers: usize,
    },
    /// A projection to more dimensions than there are.
    #[error("{n} coordinates of a unit vector in {ambient} dimensions")]
    Ambient {
        /// Coordinates.
        n: usize,
        /// Dimensions.
        ambient: usize,
    },
}

/// One independent non-negative factor of a squared norm.
///
/// `K ~ Bin(n, gate)` units pass their input with slope 1, the others with slope `below`
/// (theorem: sign-symmetric-gates). Inverted dropout with keep probability `p` after a ReLU is a
/// gate of probability `p/2` and a further scale `1/p^2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Factor {
    /// `scale * (chi2_K + below^2 chi2_{n-K})`: a Gaussian layer.
    Gated {
        /// Units.
        n: usize,
        /// Probability that a gate is open, 1/2 without dropout.
        gate: f64,
        /// Slope of closed gates: 0 ReLU, 0.01 leaky ReLU, -1 absolute value.
        below: f64,
        /// Multiplies the sum; for a layer `sigma_w^2 / fan_in`.
        scale: f64,
    },
    /// `scale * chi2_n`: a linear Gaussian layer.
    ChiSquare {
        /// Degrees of freedom.
        n: usize,
        /// Multiplies the sum.
        scale: f64,
    },
    /// `scale * (X + below^2 Y) / (X + Y + Z)`, with `X, Y, Z` chi-square of `K`, `n - K`,
    /// `ambient - n` degrees: the gated first `n` coordinates of a uniform unit vector, a Haar layer.
    Sphere {
        /// Coordinates.
        n: usize,
        /// Dimension of the unit vector, at least `n`.
        ambient: usize,
        /// Probability that a gate is open.
        gate: f64,
        /// Slope of closed gates.
        below: f64,
        /// Multiplies the quotient: the squared gain.
        scale: f64,
    },
    /// A constant.
    Constant {
        /// Its value.
        scale: f64,
    },
}

/// A factor without its scale. Normalised so that its size does not depend on the width:
/// Gaussian factors are divided by `base = n`, spherical ones by nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub n: usize,
    pub gate: f64,
    /// Square of the slope of closed gates, never 1 (a gate of probability 1 instead).
    pub below2: f64,
    /// `n` for Gaussian layers, `ambient` for spherical ones.
    pub base: usize,
    pub sphere: bool,
}

impl Factor {
    /// Shape (none for constants) and logarithm of what multiplies it.
    pub(super) fn split(self, index: usize) -> Result<(Option<Shape>, f64), LawError> {
        let (n, base, gate, below, scale, sphere) = match self {
            Factor::Gated {
                n,
                gate,
                below,
                scale,
            } => (n, n, gate, below, scale, false),
            Factor::ChiSquare { n, scale } => (n, n, 1.0, 0.0, scale, false),
            Factor::Sphere {
                n,
                ambient,
                gate,
                below,
                scale,
            } => (n, ambient, gate, below, scale, true),
            Factor::Constant { scale } => (1, 1, 1.0, 0.0, scale, true),
        };
        if n == 0 {
            return Err(LawError::ZeroWidth { index });
        }
        if base < n {
            return Err(LawError::Ambient { n, ambient: base });
        }
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(LawError::Scale {
                index,
                value: scale,
            });
        }
        if !(gate > 0.0 && gate <= 1.0) {
            return Err(LawError::Probability { value: gate });
        }
        if !(below * below).is_finite() {
            return Err(LawError::Slopes { above: 1.0, below });
        }
        let below2 = below * below;
        // without a difference between the slopes there is no gate
        let (gate, below2) = if below2 == 1.0 || gate == 1.0 {
            (1.0, 0.0)
        } else {
            (gate, below2)
        };
        let ln_scale = if sphere {
            scale.ln()
        } else {
            (scale * n as f64).ln()
        };
        let constant = sphere && gate == 1.0 && base == n;
        let shape = Shape {
            n,
            gate,
            below2,
            base,
            sphere,
        };
        Ok(((!constant).then_some(shape), ln_scale))
    }
}

impl Shape {
    /// Logarithm of the mean, zeros included.
    pub fn ln_mean(&self) -> f64 {
        let unit = self.gate + (1.0 - self.gate) * self.below2;
        (unit * self.n as f64 / self.base as f64).ln()
    }

    /// `ln(E S^2 / (E S)^2)`, zeros included.
    ///
    /// A sum of `n` independent `d_i^2 z_i^2` has the ratio `1 + (3 E d^4 / (E d^2)^2 - 1) / n`; on the
    /// sphere the squared radius, independent of the direction, divides it by `1 + 2 / base`.
    pub fn ln_kurtosis_ratio(&self) -> f64 {
        let n = self.n as f64;
        let excess = (3.0 * gate_kurtosis(self.gate, self.below2) - 1.0) / n;
        let radius = if self.sphere {
            (2.0 / self.base as f64).ln_1p()
        } else {
            0.0
        };
        excess.ln_1p() - radius
    }

    /// `ln(1 - P(S = 0))`.
    pub fn ln_alive(&self) -> f64 {
        if self.below2 > 0.0 || self.gate == 1.0 {
            return 0.0;
        }
        let dead = (self.n as f64 * (-self.gate).ln_1p()).exp();
        (-dead).ln_1p()
    }

    /// First number of open gates with a weight of at least `least` times the largest, and the
    /// weights from there on.
    pub fn counts(&self, least: f64) -> (usize, Vec<f64>) {
        let all = binomial_weights(self.n, self.gate);
        let floor = least * all.iter().copied().fold(0.0, f64::max);
        let first = all.iter().position(|w| *w >= floor).unwrap_or(0);
        let last = all.iter().rposition(|w| *w >= floor).unwrap_or(self.n);
        (first, all[first..=last].to_vec())
    }
}

/// `E d^4 / (E d^2)^2` of one gate.
pub(super) fn gate_kurtosis(gate: f64, below2: f64) -> f64 {
    let second = gate + (1.0 - gate) * below2;
    (gate + (1.0 - gate) * below2 * below2) / (second * second)
}
