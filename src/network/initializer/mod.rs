//! The initializers of PyTorch and Keras, by their names and with their conventions.
//!
//! A name belongs to the framework that uses it: `kaiming_*`, `xavier_*`, `trunc_normal`, `sparse`
//! are `torch.nn.init`'s, `he_*`, `glorot_*`, `lecun_*`, `truncated_normal`, `random_*` are Keras'. They
//! differ where one would not expect it: `he_normal` and `glorot_normal` are normal laws cut at two
//! standard deviations and rescaled, `kaiming_normal` and `xavier_normal` are not cut; Keras'
//! `truncated_normal` is cut at two standard deviations and not rescaled; PyTorch's `trunc_normal_` is cut
//! at the absolute values -2 and 2. Defaults are those of PyTorch 2 and Keras 3.

mod display;
mod parameters;
mod resolve;
mod text;

pub(super) use resolve::NEVER_MET;

use super::activation::Activation;
use super::framework::torch_gain_squared;

/// How the weights of every layer are drawn, as the user named it.
///
/// Read from text as `name` or `name:key=value,...`, with `torch:` or `keras:` before it where the frameworks
/// differ:
///
/// ```
/// use isometer::network::{WeightInit, activation::Activation};
/// let sigma_w2 = |text: &str| text.parse::<WeightInit>().unwrap().law(&Activation::Relu, 64, 64).sigma_w2;
/// assert_eq!((sigma_w2("kaiming_normal"), sigma_w2("xavier_normal")), (2.0, 1.0));
/// assert!((sigma_w2("torch:linear") - 1.0 / 3.0).abs() < 1e-15); // PyTorch's nn.Linear
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WeightInit {
    /// Variance `sigma_w2 / fan_in` for the given ensemble; `sqrt(sigma_w2)` times a Haar matrix for
    /// orthogonal ones.
    SigmaW2 {
        /// Variance of an entry times the fan-in.
        sigma_w2: f64,
        /// The law.
        ensemble: Ensemble,
    },
    /// `torch.nn.init.xavier_normal_`, `xavier_uniform_`: variance `gain^2 2 / (fan_in + fan_out)`.
    Xavier {
        /// Normal or uniform.
        shape: Shape,
        /// The gain; PyTorch's default is 1.
        gain: f64,
    },
    /// `torch.nn.init.kaiming_normal_`, `kaiming_uniform_`: variance `gain^2 / fan`.
    Kaiming {
        /// Normal or uniform.
        shape: Shape,
        /// `FanIn` (default) or `FanOut`; PyTorch has no average here.
        mode: FanMode,
        /// Where the gain comes from.
        gain: KaimingGain,
    },
    /// `keras.initializers.VarianceScaling` and its named cases: variance `scale / fan`.
    VarianceScaling {
        /// Above 0.
        scale: f64,
        /// Which fan.
        mode: FanMode,
        /// The law.
        distribution: ScalingDistribution,
    },
    /// `torch.nn.init.normal_`, `keras.initializers.RandomNormal`.
    Normal {
        /// Mean of an entry.
        mean: f64,
        /// Standard deviation of an entry.
        std: f64,
    },
    /// `torch.nn.init.uniform_`, `keras.initializers.RandomUniform`.
    Uniform {
        /// Lower limit.
        low: f64,
        /// Upper limit.
        high: f64,
    },
    /// `torch.nn.init.trunc_normal_`: normal, kept within absolute limits.
    TruncNormal {
        /// Mean before the cut.
        mean: f64,
        /// Standard deviation before the cut.
        std: f64,
        /// Lower limit.
        low: f64,
        /// Upper limit.
        high: f64,
    },
    /// `keras.initializers.TruncatedNormal`: normal, kept within two standard deviations of the mean;
    /// `std` is that before the cut, the standard deviation of the entries is 0.87963 of it.
    TruncatedNormal {
        /// Mean.
        mean: f64,
        /// Standard deviation before the cut.
        std: f64,
    },
    /// `torch.nn.init.orthogonal_`, `keras.initializers.Orthogonal`: all singular values are `gain`.
    Orthogonal {
        /// The singular values.
        gain: f64,
    },
    /// `torch.nn.init.eye_`, `keras.initializers.Identity`: `gain` on the main diagonal, also where the
    /// matrix is not square.
    Identity {
        /// The diagonal.
        gain: f64,
    },
    /// `torch.nn.init.dirac_`. It is defined for convolutions; a dense layer is one with a kernel of
    /// one point, where it is the identity.
    Dirac,
    /// `constant_`, `zeros_`, `ones_` and Keras' `Constant`, `Zeros`, `Ones`.
    Constant {
        /// Every entry.
        value: f64,
    },
    /// `torch.nn.init.sparse_`: in each column `ceil(sparsity fan_out)` entries are 0, the others normal.
    Sparse {
        /// Fraction of zeros, from 0 to 1.
        sparsity: f64,
        /// Standard deviation of the others.
        std: f64,
    },
    /// PyTorch's `nn.Linear` as it comes: `kaiming_uniform_(a = sqrt 5)`, which is variance
    /// `1 / (3 fan_in)`, with biases uniform on `+-1/sqrt(fan_in)`.
    TorchLinear,
    /// Keras' `Dense` as it comes: `glorot_uniform`, biases 0.
    KerasDense,
}

/// The laws that can be given a variance directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensemble {
    /// Independent normal entries.
    Gaussian,
    /// Independent uniform entries.
    Uniform,
    /// Independent normal entries cut at two standard deviations, rescaled to the variance.
    TruncatedNormal,
    /// Haar distributed.
    Orthogonal,
}

/// The two laws of `xavier_*` and `kaiming_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Normal.
    Normal,
    /// Uniform about 0.
    Uniform,
}

/// Which number of connections divides the variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanMode {
    /// Inputs of the layer.
    FanIn,
    /// Outputs of the layer.
    FanOut,
    /// Their mean.
    FanAvg,
}

/// The gain of `kaiming_*`.
#[derive(Clone, Debug, PartialEq)]
pub enum KaimingGain {
    /// What `calculate_gain` gives for the activation of the model; where it knows none (gelu, silu and
    /// others), `sqrt 2`, what `kaiming_*_` uses when called without a nonlinearity.
    OfModel,
    /// What `calculate_gain` gives for this activation, whatever the model has. `a` of PyTorch is
    /// `LeakyRelu` with that slope; PyTorch's default is slope 0.
    Nonlinearity(Activation),
    /// This gain.
    Explicit(f64),
}

impl KaimingGain {
    /// The squared gain in a model with `activation`.
    pub fn squared(&self, activation: &Activation) -> f64 {
        match self {
            KaimingGain::OfModel => torch_gain_squared(activation).unwrap_or(2.0),
            KaimingGain::Nonlinearity(named) => torch_gain_squared(named).unwrap_or(f64::NAN),
            KaimingGain::Explicit(gain) => gain * gain,
        }
    }
}

/// The laws of `VarianceScaling`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalingDistribution {
    /// Normal, cut at two standard deviations and rescaled to the variance.
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Uniform about 0.
    Uniform,
}

/// Why a text is no initializer, or an initializer has no law.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InitError {
    /// The name is not known.
    #[error("no initializer{of} is called '{name}'{}; the names are {known}", meant(.suggestion))]
    Unknown {
        /// The name.
        name: String,
        /// ` of PyTorch`, ` of Keras` or nothing.
        of: &'static str,
        /// The nearest known one.
        suggestion: Option<String>,
        /// All known ones.
        known: String,
    },
    /// A parameter that is not `key=value`.
    #[error("'{given}' after {name}: parameters are written key=value, as in {name}:{example}")]
    NoKey {
        /// The initializer.
        name: String,
        /// What was given.
        given: String,
        /// A parameter it takes.
        example: String,
    },
    /// A parameter the initializer does not have.
    #[error("{name} takes no parameter '{key}'; {takes}")]
    UnknownParameter {
        /// The initializer.
        name: String,
        /// The parameter.
        key: String,
        /// A sentence with what it takes.
        takes: String,
    },
    /// A parameter given twice, or two that say the same thing.
    #[error("{name}: {first} and {second} cannot both be given")]
    Exclusive {
        /// The initializer.
        name: String,
        /// One parameter.
        first: String,
        /// The other.
        second: String,
    },
    /// A parameter without which there is no law.
    #[error("{name} needs {key}, as in {name}:{example}")]
    Missing {
        /// The initializer.
        name: String,
        /// The parameter.
        key: &'static str,
        /// How to write it.
        example: &'static str,
    },
    /// A value that is not one of the choices, or no number.
    #[error("{key}={value} of {name}: {wanted}")]
    Value {
        /// The initializer.
        name: String,
        /// The parameter.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is wanted.
        wanted: &'static str,
    },
    /// A variance asked for beside an initializer that has its own.
    #[error(
        "sigma_w2 and {init} each fix the variance; leave one out (sigma_w2 goes with gaussian, uniform, truncated_normal and orthogonal without parameters)"
    )]
    OwnVariance {
        /// The initializer.
        init: String,
    },
}

fn meant(suggestion: &Option<String>) -> String {
    match suggestion {
        Some(word) => format!(" (did you mean {word}?)"),
        None => String::new(),
    }
}

impl Default for WeightInit {
    /// Plain `kaiming_normal`: normal, fan-in, the gain of the model's activation.
    fn default() -> WeightInit {
        WeightInit::Kaiming {
            shape: Shape::Normal,
            mode: FanMode::FanIn,
            gain: KaimingGain::OfModel,
        }
    }
}

impl WeightInit {
    /// Normal entries of variance `sigma_w2 / fan_in`.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{WeightInit, activation::Activation};
    /// assert_eq!(WeightInit::gaussian(1.5).law(&Activation::Tanh, 7, 3).sigma_w2, 1.5);
    /// ```
    pub fn gaussian(sigma_w2: f64) -> WeightInit {
        WeightInit::SigmaW2 {
            sigma_w2,
            ensemble: Ensemble::Gaussian,
        }
    }

    /// The law this names, at the variance `sigma_w2 / fan_in`.
    ///
    /// # Errors
    ///
    /// Where the initializer fixes the variance itself.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{WeightInit, activation::Activation};
    /// let init: WeightInit = "orthogonal".parse().unwrap();
    /// let wider = init.with_sigma_w2(4.0).unwrap();
    /// assert_eq!(wider.law(&Activation::Tanh, 8, 8).sigma_w2, 4.0);
    /// ```
    pub fn with_sigma_w2(self, sigma_w2: f64) -> Result<WeightInit, InitError> {
        let ensemble = match self {
            WeightInit::Normal {
                mean: 0.0,
                std: 1.0,
            } => Ensemble::Gaussian,
            WeightInit::Uniform {
                low: 0.0,
                high: 1.0,
            } => Ensemble::Uniform,
            WeightInit::TruncatedNormal {
                mean: 0.0,
                std: 0.05,
            }
            | WeightInit::TruncNormal {
                mean: 0.0,
                std: 1.0,
                low: -2.0,
                high: 2.0,
            } => Ensemble::TruncatedNormal,
            WeightInit::Orthogonal { gain: 1.0 } => Ensemble::Orthogonal,
            other => {
                return Err(InitError::OwnVariance {
                    init: other.to_string(),
                });
            }
        };
        let made = WeightInit::SigmaW2 { sigma_w2, ensemble };
        made.validate().map(|()| made)
    }

    /// Whether the law exists.
    ///
    /// # Errors
    ///
    /// Numbers that are not finite, negative standard deviations or variances, empty intervals, a
    /// fraction outside `[0, 1]`, a gain PyTorch does not know.
    pub fn validate(&self) -> Result<(), InitError> {
        let name = || {
            let text = self.to_string();
            let name = text.split_once(':').map_or(text.as_str(), |(name, _)| name);
            name.to_string()
        };
        let refuse = |key, value: f64, wanted| {
            Err(InitError::Value {
                name: name(),
                key,
                value: value.to_string(),
                wanted,
            })
        };
        let finite = |key, x: f64| match x.is_finite() {
            true => Ok(()),
            false => refuse(key, x, "a finite number is needed"),
        };
        let size = |key, x: f64| match x >= 0.0 && x.is_finite() {
            true => Ok(()),
            false => refuse(key, x, "a finite number that is not negative is needed"),
        };
        match self {
            WeightInit::SigmaW2 { sigma_w2, .. } => size("sigma_w2", *sigma_w2),
            WeightInit::Xavier { gain, .. }
            | WeightInit::Orthogonal { gain }
            | WeightInit::Identity { gain } => finite("gain", *gain),
            WeightInit::Kaiming { mode, gain, .. } => {
                if *mode == FanMode::FanAvg {
                    return Err(InitError::Value {
                        name: name(),
                        key: "mode",
                        value: mode.to_string(),
                        wanted: "PyTorch has fan_in and fan_out here; xavier_* averages",
                    });
                }
                match gain {
                    KaimingGain::OfModel => Ok(()),
                    KaimingGain::Explicit(gain) => finite("gain", *gain),
                    KaimingGain::Nonlinearity(phi) if gain.squared(phi).is_nan() => {
                        Err(InitError::Value {
                            name: name(),
                            key: "nonlinearity",
                            value: phi.to_string(),
                            wanted: "PyTorch's calculate_gain knows linear, sigmoid, tanh, relu, leaky_relu and selu; write gain=NUMBER",
                        })
                    }
                    KaimingGain::Nonlinearity(phi) => finite("a", phi.parameter().unwrap_or(0.0)),
                }
            }
            WeightInit::VarianceScaling { scale, .. } => {
                if *scale <= 0.0 {
                    return refuse("scale", *scale, "Keras wants it above 0");
                }
                finite("scale", *scale)
            }
            WeightInit::Normal { mean, std } | WeightInit::TruncatedNormal { mean, std } => {
                finite("mean", *mean)?;
                size("std", *std)
            }
            WeightInit::Uniform { low, high } => {
                finite("a", *low)?;
                finite("b", *high)?;
                match low <= high {
                    true => Ok(()),
                    false => refuse("b", *high, "it must not be below a"),
                }
            }
            WeightInit::TruncNormal {
                mean,
                std,
                low,
                high,
            } => {
                finite("mean", *mean)?;
                if !(*std > 0.0 && std.is_finite()) {
                    return refuse("std", *std, "a finite number above 0 is needed");
                }
                if low.is_nan() || high.is_nan() || low >= high {
                    return refuse("b", *high, "it must be above a");
                }
                if !(low - 2.0 * std <= *mean && *mean <= high + 2.0 * std) {
                    return refuse(
                        "mean",
                        *mean,
                        "it is more than two standard deviations outside [a, b], where PyTorch itself warns that its draws may be incorrect",
                    );
                }
                Ok(())
            }
            WeightInit::Constant { value } => finite("value", *value),
            WeightInit::Sparse { sparsity, std } => {
                if !(0.0..=1.0).contains(sparsity) {
                    return refuse(
                        "sparsity",
                        *sparsity,
                        "it is a fraction of zeros, from 0 to 1",
                    );
                }
                size("std", *std)
            }
            WeightInit::Dirac | WeightInit::TorchLinear | WeightInit::KerasDense => Ok(()),
        }
    }
}
