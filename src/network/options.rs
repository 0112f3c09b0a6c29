//! The smaller choices of a model, each with one text form.

use super::text::{TextError, finite, folded, number};
use std::fmt;
use std::str::FromStr;

/// The scalar multiplier on weights: `W = alpha w`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alpha {
    /// The factor; finite and not 0.
    pub value: f64,
    /// Which weights it multiplies, and whether they are stored with it.
    pub at: AlphaAt,
}

impl Default for Alpha {
    /// 1, which is no multiplier.
    fn default() -> Alpha {
        Alpha {
            value: 1.0,
            at: AlphaAt::Weights,
        }
    }
}

/// Where alpha multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlphaAt {
    /// The stored weights of all layers, the readout included: the initializer is scaled.
    #[default]
    Weights,
    /// Outside the stored weights of all layers, the readout included: `h = alpha w x + b`, so that
    /// gradients with respect to `w` carry the factor as well.
    Multiplier,
    /// The stored weights of one layer, counted from 1; depth + 1 is the readout.
    Layer(usize),
}

impl fmt::Display for AlphaAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AlphaAt::Weights => f.write_str("weights"),
            AlphaAt::Multiplier => f.write_str("multiplier"),
            AlphaAt::Layer(k) => write!(f, "layer:{k}"),
        }
    }
}

impl FromStr for AlphaAt {
    type Err = TextError;

    /// `weights`, `multiplier` or `layer:K`.
    fn from_str(text: &str) -> Result<AlphaAt, TextError> {
        let key = folded(text);
        match key.split_once(':') {
            None if key == "weights" => Ok(AlphaAt::Weights),
            None if key == "multiplier" => Ok(AlphaAt::Multiplier),
            Some((name, layer)) if name.trim() == "layer" => match layer.trim().parse() {
                Ok(k) if k >= 1 => Ok(AlphaAt::Layer(k)),
                _ => Err(TextError::Number {
                    what: "the layer of alpha",
                    given: layer.into(),
                    wanted: "layers are counted from 1",
                }),
            },
            _ => Err(TextError::Unknown {
                what: "place of alpha",
                given: text.into(),
                expected: "weights, multiplier or layer:K",
            }),
        }
    }
}

/// What normalizes the pre-activations (or the activations), without learned scale or shift and
/// with `eps = 0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalization {
    /// Nothing.
    #[default]
    None,
    /// Each unit over the examples of a batch, with the statistics of the batch.
    Batch {
        /// Examples in the batch.
        size: BatchSize,
    },
    /// Each example over the units: mean 0, variance 1.
    Layer,
    /// Each example over the units: mean square 1.
    Rms,
}

/// Examples in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// This many.
    Finite(usize),
    /// The limit of large batches.
    Infinite,
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Normalization::None => f.write_str("none"),
            Normalization::Batch {
                size: BatchSize::Finite(b),
            } => write!(f, "batch:{b}"),
            Normalization::Batch {
                size: BatchSize::Infinite,
            } => f.write_str("batch:inf"),
            Normalization::Layer => f.write_str("layer"),
            Normalization::Rms => f.write_str("rms"),
        }
    }
}

impl FromStr for Normalization {
    type Err = TextError;

    /// `none`, `batch:B` with an integer or `inf`, `layer` or `rms`.
    fn from_str(text: &str) -> Result<Normalization, TextError> {
        let key = folded(text);
        let (name, size) = match key.split_once(':') {
            Some((name, size)) => (name.trim(), Some(size.trim())),
            None => (key.as_str(), None),
        };
        match (name, size) {
            ("none", None) => Ok(Normalization::None),
            ("layer", None) => Ok(Normalization::Layer),
            ("rms", None) => Ok(Normalization::Rms),
            ("batch", Some("inf" | "infinity")) => Ok(Normalization::Batch {
                size: BatchSize::Infinite,
            }),
            ("batch", size) => match size.unwrap_or_default().parse() {
                Ok(b) => Ok(Normalization::Batch {
                    size: BatchSize::Finite(b),
                }),
                Err(_) => Err(TextError::Number {
                    what: "the batch size of batch normalization",
                    given: size.unwrap_or_default().into(),
                    wanted: "an integer or inf is needed, as in batch:32",
                }),
            },
            _ => Err(TextError::Unknown {
                what: "normalization",
                given: text.into(),
                expected: "none, batch:B (B an integer or inf), layer or rms",
            }),
        }
    }
}

/// Scale of the branch in `x + beta W phi(x)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Residual {
    /// The same number in every block. `Constant(0.0)` says the same as `Zero`, and is read back as
    /// that.
    Constant(f64),
    /// `1 / sqrt(depth)` (Hanin and Rolnick 2018; Hayou et al. 2021).
    InverseSqrtDepth,
    /// 0 at initialization (ReZero, SkipInit): the network starts as the identity.
    Zero,
}

impl Residual {
    /// The scale for a network of `depth` blocks.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::Residual;
    /// assert_eq!(Residual::InverseSqrtDepth.beta(16), 0.25);
    /// ```
    pub fn beta(self, depth: usize) -> f64 {
        match self {
            Residual::Constant(beta) => beta,
            Residual::InverseSqrtDepth => (depth as f64).sqrt().recip(),
            Residual::Zero => 0.0,
        }
    }
}

impl fmt::Display for Residual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Residual::Constant(beta) => f.write_str(&number(*beta)),
            Residual::InverseSqrtDepth => f.write_str("1/sqrt(L)"),
            Residual::Zero => f.write_str("0"),
        }
    }
}

impl FromStr for Residual {
    type Err = TextError;

    /// A number, `1/sqrt(L)`, or `0`.
    fn from_str(text: &str) -> Result<Residual, TextError> {
        let key: String = folded(text).split_whitespace().collect();
        if key == "1/sqrt(l)" {
            return Ok(Residual::InverseSqrtDepth);
        }
        match key.parse::<f64>() {
            Ok(0.0) => Ok(Residual::Zero),
            Ok(beta) if beta.is_finite() => Ok(Residual::Constant(beta)),
            _ => Err(TextError::Unknown {
                what: "residual scale",
                given: text.into(),
                expected: "a finite number, 1/sqrt(L) or 0",
            }),
        }
    }
}

/// What the biases start from; alike in all layers, the readout included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum BiasInit {
    /// What the initializer of the weights implies: that of `nn.Linear` for `torch:linear`, none
    /// otherwise. (The functions of `torch.nn.init` fill the tensor they are given, and leave the
    /// bias of an `nn.Linear` at `torch:linear`; say so by that name.)
    #[default]
    FrameworkDefault,
    /// Uniform on `+-1/sqrt(fan_in)`, the bias of PyTorch's `nn.Linear`.
    TorchLinear,
    /// No bias, or zeros.
    None,
    /// Independent normal entries with mean 0.
    Gaussian {
        /// `sigma_b^2`.
        variance: f64,
    },
    /// Independent entries, uniform about 0.
    Uniform {
        /// Largest magnitude.
        half_width: f64,
    },
    /// All entries equal.
    Constant(f64),
}

impl fmt::Display for BiasInit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BiasInit::FrameworkDefault => f.write_str("default"),
            BiasInit::TorchLinear => f.write_str("torch:linear"),
            BiasInit::None => f.write_str("none"),
            BiasInit::Gaussian { variance } => write!(f, "gaussian:{}", number(*variance)),
            BiasInit::Uniform { half_width } => write!(f, "uniform:{}", number(*half_width)),
            BiasInit::Constant(c) => write!(f, "constant:{}", number(*c)),
        }
    }
}

impl FromStr for BiasInit {
    type Err = TextError;

    /// `default`, `none`, `gaussian:VARIANCE`, `uniform:HALF_WIDTH`, `constant:C` or `torch:linear`.
    fn from_str(text: &str) -> Result<BiasInit, TextError> {
        let unknown = || TextError::Unknown {
            what: "bias",
            given: text.into(),
            expected: "default, none, gaussian:VARIANCE, uniform:HALF_WIDTH, constant:C or torch:linear",
        };
        let size = |what, text| {
            let x = finite(what, text)?;
            if x < 0.0 {
                return Err(TextError::Number {
                    what,
                    given: text.into(),
                    wanted: "it must not be negative",
                });
            }
            Ok(x)
        };
        let key = folded(text);
        match key.split_once(':') {
            None => match key.as_str() {
                "default" => Ok(BiasInit::FrameworkDefault),
                "none" | "zeros" | "zero" => Ok(BiasInit::None),
                _ => Err(unknown()),
            },
            Some((name, value)) => match (name.trim(), value.trim()) {
                ("torch", "linear") => Ok(BiasInit::TorchLinear),
                ("gaussian" | "normal", v) => Ok(BiasInit::Gaussian {
                    variance: size("the variance of the bias", v)?,
                }),
                ("uniform", w) => Ok(BiasInit::Uniform {
                    half_width: size("the half-width of the bias", w)?,
                }),
                ("constant", c) => Ok(BiasInit::Constant(finite("the bias", c)?)),
                _ => Err(unknown()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn round_trip<T: FromStr + ToString + PartialEq + Debug>(values: &[T]) {
        for value in values {
            let text = value.to_string();
            assert_eq!(text.parse::<T>().ok().as_ref(), Some(value), "{text}");
        }
    }

    #[test]
    fn text_forms_round_trip() {
        round_trip(&[
            AlphaAt::Weights,
            AlphaAt::Multiplier,
            AlphaAt::Layer(1),
            AlphaAt::Layer(77),
        ]);
        let batch = |size| Normalization::Batch { size };
        round_trip(&[
            Normalization::None,
            batch(BatchSize::Finite(32)),
            batch(BatchSize::Infinite),
            Normalization::Layer,
            Normalization::Rms,
        ]);
        round_trip(&[
            Residual::Zero,
            Residual::InverseSqrtDepth,
            Residual::Constant(0.1),
            Residual::Constant(-1e-300),
        ]);
        round_trip(&[
            BiasInit::FrameworkDefault,
            BiasInit::TorchLinear,
            BiasInit::None,
            BiasInit::Gaussian { variance: 0.05 },
            BiasInit::Uniform { half_width: 1e-9 },
            BiasInit::Constant(-0.3),
        ]);
        assert_eq!("1 / sqrt( L )".parse(), Ok(Residual::InverseSqrtDepth));
        assert_eq!("0.0".parse(), Ok(Residual::Zero));
    }

    #[test]
    fn refusals_say_what_to_write() {
        fn refusal<T: FromStr<Err = TextError> + Debug>(text: &str, hint: &str) {
            let message = text.parse::<T>().unwrap_err().to_string();
            assert!(message.contains(hint), "{text}: {message}");
        }
        refusal::<AlphaAt>("layers", "layer:K");
        refusal::<AlphaAt>("layer:0", "counted from 1");
        refusal::<Normalization>("batch", "batch:32");
        refusal::<Normalization>("batch:-3", "integer or inf");
        refusal::<Normalization>("layer:3", "batch:B");
        refusal::<Residual>("sqrt(L)", "1/sqrt(L)");
        refusal::<Residual>("nan", "finite");
        refusal::<BiasInit>("gaussian", "gaussian:VARIANCE");
        refusal::<BiasInit>("gaussian:-1", "not be negative");
        refusal::<BiasInit>("constant:inf", "finite");
    }

    #[test]
    fn branches_are_scaled_by_depth() {
        assert_eq!(Residual::InverseSqrtDepth.beta(16), 0.25);
        assert_eq!(Residual::Constant(0.3).beta(16), 0.3);
        assert_eq!(Residual::Zero.beta(16), 0.0);
    }
}
