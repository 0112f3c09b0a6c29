//! Sectors of activations: the range of their difference quotients.
//!
//! Upper bounds of a network need nothing else of its activation: a slope between `lower` and `upper` everywhere,
//! rounded outward ([`SlopeRange::of`], certified).
//!
//! ```
//! use isometer::bounds::slope::{SlopeError, SlopeRange};
//! use isometer::network::activation::Activation;
//!
//! let leaky = SlopeRange::of(&Activation::LeakyRelu { slope: -0.5 }).unwrap();
//! assert_eq!((leaky.lower, leaky.upper, leaky.lipschitz()), (-0.5, 1.0, 1.0));
//! let squared: Activation = "squared_relu".parse().unwrap();
//! assert!(matches!(SlopeRange::of(&squared), Err(SlopeError::Unbounded { .. })));
//! ```

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
    ///
    /// # Examples
    /// ```
    /// use isometer::bounds::slope::SlopeRange;
    /// assert_eq!(SlopeRange::new(-2.0, 0.5).unwrap().lipschitz(), 2.0);
    /// assert!(SlopeRange::new(1.0, 0.0).is_err());
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// use isometer::bounds::slope::SlopeRange;
    /// use isometer::network::activation::Activation;
    /// let relu = SlopeRange::of(&Activation::Relu).unwrap();
    /// assert_eq!((relu.lower, relu.upper), (0.0, 1.0));
    /// // GELU falls a little on the left and overshoots on the right
    /// let gelu = SlopeRange::of(&Activation::Gelu).unwrap();
    /// assert!((gelu.lower + 0.128905).abs() < 1e-5 && (gelu.upper - 1.128905).abs() < 1e-5);
    /// ```
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Theorem: slope-ranges. The factors of `phi''` whose roots make the extremes, each with a derivative of size 1 at
    /// the root, change sign within a unit of the tenth decimal; and `phi'` there is the constant.
    #[test]
    fn roots_of_the_second_derivative_are_bracketed() {
        let silu = |x: f64| 2.0 - x * (0.5 * x).tanh();
        let gelu = |x: f64| {
            let (a, c) = (0.044715, (2.0 / std::f64::consts::PI).sqrt());
            let (square, u) = (x * x, c * (x + a * x * x * x));
            let first = (1.0 + 6.0 * a * square) / (c * x * (1.0 + 3.0 * a * square).powi(2));
            first - u.tanh()
        };
        let mish = |x: f64| {
            let s = 1.0 / (1.0 + (-x).exp());
            let t = x.exp().ln_1p().tanh();
            2.0 + x * ((1.0 - s) - 2.0 * t * s)
        };
        type Factor<'a> = &'a dyn Fn(f64) -> f64;
        let cases: [(Factor<'_>, f64, Activation, bool); 4] = [
            (&silu, 2.399_357_280_5, Activation::Silu, true),
            (&gelu, 1.418_504_008_8, Activation::GeluTanh, true),
            (&mish, -2.256_376_396_4, Activation::Mish, false),
            (&mish, 1.490_571_179_5, Activation::Mish, true),
        ];
        for (factor, root, phi, top) in cases {
            let (below, above) = (factor(root - 1e-10), factor(root + 1e-10));
            assert!(below * above < 0.0, "{phi} {root}: {below:e} {above:e}");
            // far above the rounding of the factor
            assert!(below.abs().min(above.abs()) > 1e-13, "{phi} {root}");
            let range = SlopeRange::of(&phi).unwrap();
            let wanted = if top { range.upper } else { range.lower };
            // rounded outward in the fifteenth decimal, and the derivative itself rounds
            assert!(
                (phi.derivative(root) - wanted).abs() < 3e-15,
                "{phi} {root}"
            );
        }
    }
}
