//! Sectors of activations: the range of their difference quotients.

use crate::network::activation::Activation;
use thiserror::Error;

/// `lower <= (phi(x) - phi(y)) / (x - y) <= upper` for all `x != y`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlopeRange {
    /// Least slope.
    pub lower: f64,
    /// Greatest slope.
    pub upper: f64,
}

/// Why an activation has no sector.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum SlopeError {
    /// Slopes without limit.
    #[error("{activation} has slopes without limit, so no global Lipschitz bound exists")]
    Unbounded {
        /// Its name.
        activation: String,
    },
    /// A function of the user's, whose slopes are not known.
    #[error("the slopes of {activation} are not known; give their range")]
    Unknown {
        /// Its name.
        activation: String,
    },
    /// Limits out of order or not finite.
    #[error("slopes from {lower} to {upper}: two finite numbers in ascending order are needed")]
    Order {
        /// As given.
        lower: f64,
        /// As given.
        upper: f64,
    },
}

impl SlopeRange {
    /// No activation at all.
    pub const IDENTITY: SlopeRange = SlopeRange {
        lower: 1.0,
        upper: 1.0,
    };

    /// A range of the caller's own.
    ///
    /// # Errors
    ///
    /// [`SlopeError::Order`].
    pub fn new(lower: f64, upper: f64) -> Result<SlopeRange, SlopeError> {
        match lower <= upper && lower.is_finite() && upper.is_finite() {
            true => Ok(SlopeRange { lower, upper }),
            false => Err(SlopeError::Order { lower, upper }),
        }
    }

    /// The range of a named activation, limits rounded outward. Where the extreme slope is not a
    /// simple number it is attained at the root of `phi''`; Theorem: slope-ranges.
    ///
    /// # Errors
    ///
    /// Squared ReLU has none; that of a custom function is not known.
    pub fn of(activation: &Activation) -> Result<SlopeRange, SlopeError> {
        let (lower, upper) = match activation {
            Activation::Linear => (1.0, 1.0),
            Activation::LeakyRelu { slope } => (slope.min(1.0), slope.max(1.0)),
            Activation::Abs | Activation::Sin => (-1.0, 1.0),
            Activation::Relu
            | Activation::Relu6
            | Activation::Softplus { .. }
            | Activation::LogSigmoid
            | Activation::Tanh
            | Activation::TanhShrink
            | Activation::HardTanh
            | Activation::Softsign
            | Activation::SoftShrink { .. }
            | Activation::Squareplus => (0.0, 1.0),
            Activation::Sigmoid => (0.0, 0.25),
            Activation::HardSigmoid => (0.0, (1.0f64 / 6.0).next_up()),
            Activation::HardSwish => (-0.5, 1.5),
            Activation::Erf => (0.0, std::f64::consts::FRAC_2_SQRT_PI.next_up()),
            // slopes alpha e^x, or e^(x/alpha), on the left
            Activation::Elu { alpha } => (alpha.min(0.0), alpha.max(1.0)),
            Activation::Celu { .. } => (0.0, 1.0),
            // scale * alpha at 0-
            Activation::Selu => (0.0, 1.758_099_340_847_377),
            Activation::Gelu => (-0.128_904_145_185_155, 1.128_904_145_185_155),
            Activation::GeluTanh => (-0.128_993_068_658_772, 1.128_993_068_658_772),
            Activation::Silu => (-0.099_839_320_128_867, 1.099_839_320_128_867),
            Activation::Mish => (-0.112_526_122_389_463, 1.088_498_161_251_728),
            Activation::SquaredRelu => {
                return Err(SlopeError::Unbounded {
                    activation: activation.to_string(),
                });
            }
            Activation::Custom(_) => {
                return Err(SlopeError::Unknown {
                    activation: activation.to_string(),
                });
            }
        };
        SlopeRange::new(lower, upper)
    }

    /// Greatest absolute slope, the Lipschitz constant of the activation.
    pub fn lipschitz(self) -> f64 {
        self.lower.abs().max(self.upper.abs())
    }
}
