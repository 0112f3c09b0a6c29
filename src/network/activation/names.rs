//! Activations as text.

use super::Activation;
use crate::network::text::{did_you_mean, folded};
use std::fmt;
use std::str::FromStr;

impl Activation {
    /// Name without parameters, as `FromStr` reads it.
    pub fn name(&self) -> &str {
        match self {
            Activation::Linear => "linear",
            Activation::Relu => "relu",
            Activation::LeakyRelu { .. } => "leaky_relu",
            Activation::Relu6 => "relu6",
            Activation::Elu { .. } => "elu",
            Activation::Selu => "selu",
            Activation::Celu { .. } => "celu",
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu_tanh",
            Activation::Silu => "silu",
            Activation::Mish => "mish",
            Activation::Softplus { .. } => "softplus",
            Activation::Sigmoid => "sigmoid",
            Activation::LogSigmoid => "log_sigmoid",
            Activation::Tanh => "tanh",
            Activation::TanhShrink => "tanhshrink",
            Activation::Erf => "erf",
            Activation::HardTanh => "hard_tanh",
            Activation::HardSigmoid => "hard_sigmoid",
            Activation::HardSwish => "hard_swish",
            Activation::Softsign => "softsign",
            Activation::SoftShrink { .. } => "softshrink",
            Activation::Squareplus => "squareplus",
            Activation::Sin => "sin",
            Activation::Abs => "abs",
            Activation::SquaredRelu => "squared_relu",
            Activation::Custom(c) => &c.name,
        }
    }

    /// Parameter of the family, if it has one.
    pub fn parameter(&self) -> Option<f64> {
        match self {
            Activation::LeakyRelu { slope } => Some(*slope),
            Activation::Elu { alpha } | Activation::Celu { alpha } => Some(*alpha),
            Activation::Softplus { beta } => Some(*beta),
            Activation::SoftShrink { lambda } => Some(*lambda),
            _ => None,
        }
    }

    /// Every built-in activation, families at PyTorch's default parameter.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// for phi in Activation::all() {
    ///     assert_eq!(phi.to_string().parse::<Activation>().unwrap(), phi); // text forms are read back
    /// }
    /// ```
    pub fn all() -> Vec<Activation> {
        NAMES
            .iter()
            .map(|(_, activation)| activation.clone())
            .collect()
    }
}

/// Names with the activation at its default parameter; the first of each is the canonical one.
const NAMES: [(&str, Activation); 26] = [
    ("linear", Activation::Linear),
    ("relu", Activation::Relu),
    ("leaky_relu", Activation::LeakyRelu { slope: 0.01 }),
    ("relu6", Activation::Relu6),
    ("elu", Activation::Elu { alpha: 1.0 }),
    ("selu", Activation::Selu),
    ("celu", Activation::Celu { alpha: 1.0 }),
    ("gelu", Activation::Gelu),
    ("gelu_tanh", Activation::GeluTanh),
    ("silu", Activation::Silu),
    ("mish", Activation::Mish),
    ("softplus", Activation::Softplus { beta: 1.0 }),
    ("sigmoid", Activation::Sigmoid),
    ("log_sigmoid", Activation::LogSigmoid),
    ("tanh", Activation::Tanh),
    ("tanhshrink", Activation::TanhShrink),
    ("erf", Activation::Erf),
    ("hard_tanh", Activation::HardTanh),
    ("hard_sigmoid", Activation::HardSigmoid),
    ("hard_swish", Activation::HardSwish),
    ("softsign", Activation::Softsign),
    ("softshrink", Activation::SoftShrink { lambda: 0.5 }),
    ("squareplus", Activation::Squareplus),
    ("sin", Activation::Sin),
    ("abs", Activation::Abs),
    ("squared_relu", Activation::SquaredRelu),
];

const ALIASES: [(&str, Activation); 12] = [
    ("identity", Activation::Linear),
    ("prelu", Activation::LeakyRelu { slope: 0.25 }),
    ("lrelu", Activation::LeakyRelu { slope: 0.01 }),
    ("swish", Activation::Silu),
    ("hardtanh", Activation::HardTanh),
    ("hardsigmoid", Activation::HardSigmoid),
    ("hardswish", Activation::HardSwish),
    ("hard_silu", Activation::HardSwish),
    ("logsigmoid", Activation::LogSigmoid),
    ("tanh_shrink", Activation::TanhShrink),
    ("soft_shrink", Activation::SoftShrink { lambda: 0.5 }),
    ("relu_squared", Activation::SquaredRelu),
];

/// Why a text is no activation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActivationError {
    /// The name is not known.
    #[error(
        "no activation is called '{name}'{}; the names are {}",
        meant(name),
        names()
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// A parameter where the function has none.
    #[error("{name} takes no parameter, '{parameter}' given; write {name}")]
    NoParameter {
        /// The activation.
        name: String,
        /// What was given.
        parameter: String,
    },
    /// A parameter the function is not defined for.
    #[error("parameter '{parameter}' of {name}: {reason}")]
    Parameter {
        /// The activation.
        name: String,
        /// What was given.
        parameter: String,
        /// What is wanted.
        reason: &'static str,
    },
}

/// The closest name, as a half-sentence; other spellings count.
fn meant(name: &str) -> String {
    let known: Vec<&str> = NAMES.iter().chain(&ALIASES).map(|(n, _)| *n).collect();
    did_you_mean(&folded(name).replace('-', "_"), &known)
}

fn names() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}

impl FromStr for Activation {
    type Err = ActivationError;

    /// `name` or `name:parameter`, such as `leaky_relu:0.2`; case and hyphens do not matter.
    fn from_str(text: &str) -> Result<Activation, ActivationError> {
        let (name, parameter) = match text.split_once(':') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (text, None),
        };
        let key = name.trim().to_ascii_lowercase().replace('-', "_");
        let known = NAMES.iter().chain(&ALIASES).find(|(n, _)| *n == key);
        let Some((_, activation)) = known else {
            return Err(ActivationError::Unknown { name: name.into() });
        };
        let Some(parameter) = parameter else {
            return Ok(activation.clone());
        };
        let refuse = |reason| ActivationError::Parameter {
            name: key.clone(),
            parameter: parameter.into(),
            reason,
        };
        let x: f64 = parameter
            .trim()
            .parse()
            .map_err(|_| refuse("not a number"))?;
        if !x.is_finite() {
            return Err(refuse("not a finite number"));
        }
        let positive = |made: Activation| {
            if x > 0.0 {
                Ok(made)
            } else {
                Err(refuse("it must be above 0"))
            }
        };
        match activation {
            Activation::LeakyRelu { .. } => Ok(Activation::LeakyRelu { slope: x }),
            Activation::Elu { .. } => positive(Activation::Elu { alpha: x }),
            Activation::Celu { .. } => positive(Activation::Celu { alpha: x }),
            Activation::Softplus { .. } => positive(Activation::Softplus { beta: x }),
            Activation::SoftShrink { .. } => positive(Activation::SoftShrink { lambda: x }),
            _ => Err(ActivationError::NoParameter {
                name: key,
                parameter: parameter.into(),
            }),
        }
    }
}

impl fmt::Display for Activation {
    /// What [`FromStr`] reads back (custom ones by name only).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parameter() {
            Some(p) => write!(f, "{}:{p}", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for phi in Activation::all() {
            assert_eq!(phi.to_string().parse::<Activation>().unwrap(), phi);
            assert_eq!(phi.name().parse::<Activation>().unwrap(), phi);
        }
        let leaky: Activation = "Leaky-ReLU:0.2".parse().unwrap();
        assert_eq!(leaky, Activation::LeakyRelu { slope: 0.2 });
        assert_eq!("swish".parse::<Activation>().unwrap(), Activation::Silu);
    }

    #[test]
    fn what_is_not_an_activation_is_named() {
        let message = |t: &str| t.parse::<Activation>().unwrap_err().to_string();
        assert!(message("rleu").contains("'rleu'") && message("rleu").contains("leaky_relu"));
        assert!(message("rleu").contains("(did you mean relu?)"));
        assert!(message("Sigmoidd:3").contains("(did you mean sigmoid?)"));
        assert!(!message("zzzz").contains("did you") && !message("").contains("did you"));
        assert!(message("relu:2").contains("no parameter"));
        assert!(message("elu:-1").contains("above 0"));
        assert!(message("elu:nan").contains("finite"));
        assert!(message("elu:x").contains("not a number"));
    }
}
