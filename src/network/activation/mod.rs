//! Scalar activation functions with their derivatives, by the names PyTorch and Keras use.
//!
//! An [`Activation`] is parsed from a name, or made from functions ([`Custom`]). Everything in
//! [`theory`](crate::theory) works for each, through value, derivative and the points where a derivative jumps.
//!
//! ```
//! use isometer::network::activation::Activation;
//!
//! let leaky: Activation = "leaky_relu:0.2".parse().unwrap();
//! assert_eq!((leaky.value(-5.0), leaky.derivative(-5.0)), (-1.0, 0.2));
//! assert_eq!((leaky.kinks(), leaky.slopes()), (vec![0.0], Some((0.2, 1.0))));
//! assert!("rleu".parse::<Activation>().is_err());
//! ```

mod names;

pub use names::ActivationError;

use std::fmt;
use std::sync::Arc;

const SQRT_2: f64 = std::f64::consts::SQRT_2;
/// 1 / sqrt(2 pi)
const INV_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
/// Klambauer et al., arXiv:1706.02515: the constants of SELU.
const SELU_ALPHA: f64 = 1.673_263_242_354_377_3;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

/// A scalar activation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// `x`.
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `x` above 0, `slope x` below; PReLU at a given slope is the same function.
    LeakyRelu {
        /// Slope below 0 (PyTorch's default 0.01, Keras' 0.3, PReLU's start 0.25).
        slope: f64,
    },
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x` above 0, `alpha (e^x - 1)` below.
    Elu {
        /// Minus the limit on the left.
        alpha: f64,
    },
    /// Scaled ELU with the constants of Klambauer et al. 2017.
    Selu,
    /// `x` above 0, `alpha (e^(x/alpha) - 1)` below.
    Celu {
        /// Minus the limit on the left.
        alpha: f64,
    },
    /// `x Phi(x)`, `Phi` the normal distribution function.
    Gelu,
    /// The tanh approximation of GELU: `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `x / (1 + e^-x)`, also called swish.
    Silu,
    /// `x tanh(softplus(x))`.
    Mish,
    /// `ln(1 + e^(beta x)) / beta`.
    Softplus {
        /// Sharpness.
        beta: f64,
    },
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `ln sigmoid(x)`.
    LogSigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x - tanh x`.
    TanhShrink,
    /// The error function.
    Erf,
    /// `x` clipped to `[-1, 1]`.
    HardTanh,
    /// `relu6(x + 3) / 6`.
    HardSigmoid,
    /// `x relu6(x + 3) / 6`.
    HardSwish,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x` moved towards 0 by `lambda`, 0 within `lambda` of it.
    SoftShrink {
        /// Half-width of the dead zone.
        lambda: f64,
    },
    /// `(x + sqrt(x^2 + 4)) / 2`.
    Squareplus,
    /// Sine.
    Sin,
    /// Absolute value.
    Abs,
    /// `max(x, 0)^2`.
    SquaredRelu,
    /// A function of the user's.
    Custom(Custom),
}

/// An activation given by functions.
#[derive(Clone)]
pub struct Custom {
    name: String,
    value: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
    derivative: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
    kinks: Vec<f64>,
}

impl Custom {
    /// A continuous function with its derivative; `kinks` are the points where the derivative, or
    /// a higher one, jumps. Between kinks the function should be analytic: quadrature is split
    /// there and nowhere else.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::{Activation, Custom};
    /// let slope = |x| f64::from(x > -1.0 && x <= 1.0);
    /// let phi = Activation::Custom(Custom::new("clamp", |x| x.clamp(-1.0, 1.0), slope, [-1.0, 1.0]));
    /// assert_eq!((phi.value(3.0), phi.derivative(0.5), phi.name()), (1.0, 1.0, "clamp"));
    /// ```
    pub fn new(
        name: impl Into<String>,
        value: impl Fn(f64) -> f64 + Send + Sync + 'static,
        derivative: impl Fn(f64) -> f64 + Send + Sync + 'static,
        kinks: impl Into<Vec<f64>>,
    ) -> Custom {
        let mut kinks = kinks.into();
        kinks.sort_by(f64::total_cmp);
        Custom {
            name: name.into(),
            value: Arc::new(value),
            derivative: Arc::new(derivative),
            kinks,
        }
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom")
            .field("name", &self.name)
            .field("kinks", &self.kinks)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Custom {
    /// Functions are compared by identity.
    fn eq(&self, other: &Custom) -> bool {
        self.name == other.name
            && Arc::ptr_eq(&self.value, &other.value)
            && Arc::ptr_eq(&self.derivative, &other.derivative)
            && self.kinks == other.kinks
    }
}

fn sigmoid(x: f64) -> f64 {
    // the smaller exponential on both sides, so that neither tail loses digits
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Normal distribution function; accurate relatively in the left tail.
fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

fn normal_density(x: f64) -> f64 {
    INV_SQRT_TAU * (-0.5 * x * x).exp()
}

/// `sqrt(2/pi) (x + 0.044715 x^3)` and its derivative.
fn gelu_inner(x: f64) -> (f64, f64) {
    const C: f64 = 0.797_884_560_802_865_4;
    (
        C * (x + 0.044_715 * x * x * x),
        C * (1.0 + 0.134_145 * x * x),
    )
}

impl Activation {
    /// `phi(x)`.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// // GELU is x Phi(x)
    /// assert!((Activation::Gelu.value(1.0) - 0.8413447460685429).abs() < 1e-15);
    /// ```
    pub fn value(&self, x: f64) -> f64 {
        match self {
            Activation::Linear => x,
            Activation::Relu => x.max(0.0),
            Activation::LeakyRelu { slope } => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::Elu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * x.exp_m1()
                }
            }
            Activation::Selu => SELU_SCALE * if x > 0.0 { x } else { SELU_ALPHA * x.exp_m1() },
            Activation::Celu { alpha } => {
                if x > 0.0 {
                    x
                } else {
                    alpha * (x / alpha).exp_m1()
                }
            }
            Activation::Gelu => x * normal_cdf(x),
            // 1 + tanh(u) = 2 sigmoid(2u), without cancellation on the left
            Activation::GeluTanh => x * sigmoid(2.0 * gelu_inner(x).0),
            Activation::Silu => x * sigmoid(x),
            Activation::Mish => x * softplus(x).tanh(),
            Activation::Softplus { beta } => softplus(beta * x) / beta,
            Activation::Sigmoid => sigmoid(x),
            Activation::LogSigmoid => -softplus(-x),
            Activation::Tanh => x.tanh(),
            Activation::TanhShrink => {
                if x.abs() < 0.02 {
                    // x - tanh x = x^3/3 - 2 x^5/15 + 17 x^7/315 - ...
                    let s = x * x;
                    x * s * (1.0 / 3.0 - s * (2.0 / 15.0 - s * (17.0 / 315.0 - s * 62.0 / 2835.0)))
                } else {
                    x - x.tanh()
                }
            }
            Activation::Erf => libm::erf(x),
            Activation::HardTanh => x.clamp(-1.0, 1.0),
            Activation::HardSigmoid => (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Activation::Softsign => x / (1.0 + x.abs()),
            Activation::SoftShrink { lambda } => x - x.clamp(-lambda, *lambda),
            Activation::Squareplus => {
                let root = x.hypot(2.0);
                if x > 0.0 {
                    0.5 * (x + root)
                } else {
                    2.0 / (root - x)
                }
            }
            Activation::Sin => x.sin(),
            Activation::Abs => x.abs(),
            Activation::SquaredRelu => x.max(0.0).powi(2),
            Activation::Custom(c) => (c.value)(x),
        }
    }

    /// `phi'(x)`; at a kink, the limit from the left, as automatic differentiation frameworks take
    /// it for ReLU.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// let d = Activation::Tanh.derivative(0.5);
    /// assert!((d - (1.0 - 0.5f64.tanh().powi(2))).abs() < 1e-15);
    /// assert_eq!(Activation::Relu.derivative(0.0), 0.0); // from the left
    /// ```
    pub fn derivative(&self, x: f64) -> f64 {
        let step = |on: bool| f64::from(u8::from(on));
        match self {
            Activation::Linear => 1.0,
            Activation::Relu => step(x > 0.0),
            Activation::LeakyRelu { slope } => {
                if x > 0.0 {
                    1.0
                } else {
                    *slope
                }
            }
            Activation::Relu6 => step(x > 0.0 && x <= 6.0),
            Activation::Elu { alpha } => {
                if x > 0.0 {
                    1.0
                } else {
                    alpha * x.exp()
                }
            }
            Activation::Selu => SELU_SCALE * if x > 0.0 { 1.0 } else { SELU_ALPHA * x.exp() },
            Activation::Celu { alpha } => {
                if x > 0.0 {
                    1.0
                } else {
                    (x / alpha).exp()
                }
            }
            Activation::Gelu => normal_cdf(x) + x * normal_density(x),
            Activation::GeluTanh => {
                let (u, du) = gelu_inner(x);
                let s = sigmoid(2.0 * u);
                s + 2.0 * x * du * s * sigmoid(-2.0 * u)
            }
            Activation::Silu => {
                let s = sigmoid(x);
                s * (1.0 + x * sigmoid(-x))
            }
            Activation::Mish => {
                let t = softplus(x).tanh();
                let sech = softplus(x).cosh().recip();
                t + x * sigmoid(x) * sech * sech
            }
            Activation::Softplus { beta } => sigmoid(beta * x),
            Activation::Sigmoid => sigmoid(x) * sigmoid(-x),
            Activation::LogSigmoid => sigmoid(-x),
            Activation::Tanh => {
                let sech = x.cosh().recip();
                sech * sech
            }
            Activation::TanhShrink => x.tanh().powi(2),
            Activation::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
            Activation::HardTanh => step(x > -1.0 && x <= 1.0),
            Activation::HardSigmoid => step(x > -3.0 && x <= 3.0) / 6.0,
            Activation::HardSwish => {
                if x <= -3.0 {
                    0.0
                } else if x <= 3.0 {
                    (2.0 * x + 3.0) / 6.0
                } else {
                    1.0
                }
            }
            Activation::Softsign => (1.0 + x.abs()).powi(-2),
            Activation::SoftShrink { lambda } => step(x <= -lambda || x > *lambda),
            Activation::Squareplus => {
                let root = x.hypot(2.0);
                if x > 0.0 {
                    0.5 * (1.0 + x / root)
                } else {
                    2.0 / (root * (root - x))
                }
            }
            Activation::Sin => x.cos(),
            Activation::Abs => {
                if x > 0.0 {
                    1.0
                } else {
                    -1.0
                }
            }
            Activation::SquaredRelu => 2.0 * x.max(0.0),
            Activation::Custom(c) => (c.derivative)(x),
        }
    }

    /// Points where `phi` or one of its derivatives jumps, ascending; analytic between them.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// assert_eq!(Activation::Relu6.kinks(), [0.0, 6.0]);
    /// assert!(Activation::Tanh.kinks().is_empty());
    /// ```
    pub fn kinks(&self) -> Vec<f64> {
        match self {
            Activation::Relu
            | Activation::LeakyRelu { .. }
            | Activation::Elu { .. }
            | Activation::Selu
            | Activation::Celu { .. }
            | Activation::Softsign
            | Activation::Abs
            | Activation::SquaredRelu => vec![0.0],
            Activation::Relu6 => vec![0.0, 6.0],
            Activation::HardTanh => vec![-1.0, 1.0],
            Activation::HardSigmoid | Activation::HardSwish => vec![-3.0, 3.0],
            Activation::SoftShrink { lambda } => vec![-lambda, *lambda],
            Activation::Custom(c) => c.kinks.clone(),
            _ => Vec::new(),
        }
    }

    /// `(below, above)` with `phi(x) = below x` for `x <= 0` and `above x` for `x > 0`, for the
    /// positively homogeneous activations: the ones with exact laws at finite width.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// assert_eq!(Activation::Relu.slopes(), Some((0.0, 1.0)));
    /// assert_eq!(Activation::Tanh.slopes(), None); // no exact law at finite width
    /// ```
    pub fn slopes(&self) -> Option<(f64, f64)> {
        match self {
            Activation::Linear => Some((1.0, 1.0)),
            Activation::Relu => Some((0.0, 1.0)),
            Activation::LeakyRelu { slope } => Some((*slope, 1.0)),
            Activation::Abs => Some((-1.0, 1.0)),
            _ => None,
        }
    }

    /// Whether `phi(-x) = -phi(x)`.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// assert!(Activation::Tanh.is_odd() && !Activation::Sigmoid.is_odd());
    /// ```
    pub fn is_odd(&self) -> bool {
        match self {
            Activation::Linear
            | Activation::Tanh
            | Activation::TanhShrink
            | Activation::Erf
            | Activation::HardTanh
            | Activation::Softsign
            | Activation::SoftShrink { .. }
            | Activation::Sin => true,
            Activation::LeakyRelu { slope } => *slope == 1.0,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_values() {
        for phi in Activation::all() {
            let kinks = phi.kinks();
            for i in -4000..=4000 {
                let x = f64::from(i) * 0.0025 + 0.000_7;
                let h = 1e-4;
                if kinks.iter().any(|k| (k - x).abs() < 2.0 * h) {
                    continue;
                }
                // fourth-order central difference
                let d = (8.0 * (phi.value(x + h) - phi.value(x - h))
                    - (phi.value(x + 2.0 * h) - phi.value(x - 2.0 * h)))
                    / (12.0 * h);
                // eps |phi| / h of cancellation; h^4 phi^(5) is far below it
                let tolerance = 8.0 * f64::EPSILON * (1.0 + phi.value(x).abs()) / h;
                assert!((d - phi.derivative(x)).abs() <= tolerance, "{phi} at {x}");
            }
        }
    }

    #[test]
    fn kinks_are_all_named() {
        // A jump of the derivative anywhere else would show between neighbouring grid points.
        for phi in Activation::all() {
            let kinks = phi.kinks();
            for i in -8000..8000 {
                let (x, y) = (f64::from(i) * 1e-3, f64::from(i + 1) * 1e-3);
                if kinks.iter().any(|k| x <= *k && *k <= y) {
                    continue;
                }
                let jump = (phi.derivative(y) - phi.derivative(x)).abs();
                assert!(jump < 4e-3, "{phi} near {x}: {jump}");
            }
        }
    }

    #[test]
    fn tails_keep_their_digits() {
        // Leading terms of the asymptotic expansions.
        let near =
            |a: f64, b: f64, relative: f64| assert!((a / b - 1.0).abs() < relative, "{a} {b}");
        near(
            Activation::Silu.value(-40.0),
            -40.0 * (-40.0f64).exp(),
            1e-14,
        );
        near(
            Activation::Sigmoid.derivative(40.0),
            (-40.0f64).exp(),
            1e-14,
        );
        near(
            Activation::Tanh.derivative(30.0),
            4.0 * (-60.0f64).exp(),
            1e-14,
        );
        near(
            Activation::Mish.value(-40.0),
            -40.0 * (-40.0f64).exp(),
            1e-14,
        );
        near(Activation::Squareplus.value(-1e6), 1e-6, 1e-11);
        // Mills' ratio: x Phi(-x) = density (1 - 1/x^2 + 3/x^4 - ...)
        near(
            Activation::Gelu.value(-30.0),
            -normal_density(30.0),
            2.0 / 900.0,
        );
        near(
            Activation::TanhShrink.value(0.01),
            3.333_200_005_396_6e-7,
            1e-9,
        );
        assert_eq!(Activation::Mish.derivative(-800.0), 0.0);
        assert_eq!(Activation::Mish.derivative(800.0), 1.0);
    }

    #[test]
    fn slopes_describe_the_homogeneous_ones() {
        for phi in Activation::all() {
            let Some((below, above)) = phi.slopes() else {
                continue;
            };
            for x in [0.3, 2.0, 1e5] {
                assert_eq!(phi.value(x), above * x);
                assert_eq!(phi.value(-x), -below * x);
            }
        }
    }

    #[test]
    fn odd_functions_are_known() {
        for phi in Activation::all() {
            let odd = [0.1, 0.7, 2.0, 9.0]
                .iter()
                .all(|&x| (phi.value(-x) + phi.value(x)).abs() < 1e-15 * (1.0 + x));
            assert_eq!(odd, phi.is_odd(), "{phi}");
        }
    }
}
