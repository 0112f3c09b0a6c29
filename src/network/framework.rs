//! The other way round: the line of PyTorch or Keras that sets up an initializer.
//!
//! ```
//! use isometer::network::{WeightInit, activation::Activation, framework::{torch_code, torch_gain}};
//!
//! assert_eq!(torch_gain(&Activation::Relu), Some(2f64.sqrt()));
//! let init = WeightInit::gaussian(2.0);
//! assert_eq!(torch_code(&init, &Activation::Relu), "nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.in_features))");
//! ```

use super::activation::Activation;
use super::initializer::{
    Ensemble, FanMode, KaimingGain, NEVER_MET, ScalingDistribution, Shape, WeightInit,
};
use super::text::number;

/// Standard deviation of a standard normal variable cut at -2 and 2.
const TWO_SIGMA_STD: &str = "0.8796256610342398";

/// What PyTorch's `calculate_gain` returns; `None` for activations it does not know.
///
/// # Examples
/// ```
/// use isometer::network::{activation::Activation, framework::torch_gain};
/// assert_eq!(torch_gain(&Activation::Tanh), Some(5.0 / 3.0));
/// assert_eq!(torch_gain(&Activation::Gelu), None);
/// ```
pub fn torch_gain(activation: &Activation) -> Option<f64> {
    match activation {
        Activation::Tanh => Some(5.0 / 3.0),
        Activation::Selu => Some(0.75),
        other => torch_gain_squared(other).map(f64::sqrt),
    }
}

/// The square of [`torch_gain`], without the rounding of a square root: exactly 2 for ReLU.
pub fn torch_gain_squared(activation: &Activation) -> Option<f64> {
    match activation {
        Activation::Linear | Activation::Sigmoid => Some(1.0),
        Activation::Tanh => Some(25.0 / 9.0),
        Activation::Relu => Some(2.0),
        Activation::LeakyRelu { slope } => Some(2.0 / (1.0 + slope * slope)),
        Activation::Selu => Some(0.5625),
        _ => None,
    }
}

/// Name and `a` that PyTorch's functions take, for the activations `calculate_gain` knows.
fn torch_nonlinearity(activation: &Activation) -> Option<String> {
    match activation {
        Activation::LeakyRelu { slope } => Some(format!("a={}", number(*slope))),
        known => torch_gain(known).map(|_| format!("nonlinearity='{}'", known.name())),
    }
}

fn torch_fan(mode: FanMode) -> &'static str {
    match mode {
        FanMode::FanIn => "layer.in_features",
        FanMode::FanOut => "layer.out_features",
        FanMode::FanAvg => "(layer.in_features + layer.out_features)",
    }
}

/// Normal or uniform entries of variance `square / fan`.
fn torch_scaled(shape: ScalingDistribution, square: f64, mode: FanMode) -> String {
    // the average is half the sum that is written
    let sum = if mode == FanMode::FanAvg { 2.0 } else { 1.0 };
    let fan = torch_fan(mode);
    match shape {
        ScalingDistribution::UntruncatedNormal => format!(
            "nn.init.normal_(layer.weight, std=math.sqrt({} / {fan}))",
            number(sum * square)
        ),
        ScalingDistribution::Uniform => format!(
            "bound = math.sqrt({} / {fan}); nn.init.uniform_(layer.weight, -bound, bound)",
            number(3.0 * sum * square)
        ),
        ScalingDistribution::TruncatedNormal => format!(
            "std = math.sqrt({} / {fan}) / {TWO_SIGMA_STD}; nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)",
            number(sum * square)
        ),
    }
}

fn scaling(shape: Shape) -> ScalingDistribution {
    match shape {
        Shape::Normal => ScalingDistribution::UntruncatedNormal,
        Shape::Uniform => ScalingDistribution::Uniform,
    }
}

fn arguments(parts: &[String]) -> String {
    parts.iter().map(|part| format!(", {part}")).collect()
}

fn argument(name: &str, value: f64, default: f64) -> Vec<String> {
    match value == default {
        true => Vec::new(),
        false => vec![format!("{name}={}", number(value))],
    }
}

/// A line of Python that draws the weights of `layer`, an `nn.Linear`, so, with `from torch import nn`
/// and `import math`. Biases are not touched.
///
/// # Examples
/// ```
/// use isometer::network::{WeightInit, activation::Activation, framework::torch_code};
/// let init: WeightInit = "kaiming_normal".parse().unwrap();
/// assert!(torch_code(&init, &Activation::Relu).starts_with("nn.init.kaiming_normal_(layer.weight"));
/// ```
pub fn torch_code(init: &WeightInit, activation: &Activation) -> String {
    let call = |function: &str, parts: &[String]| {
        format!("nn.init.{function}_(layer.weight{})", arguments(parts))
    };
    match init {
        WeightInit::SigmaW2 { sigma_w2, ensemble } => {
            let distribution = match ensemble {
                Ensemble::Gaussian => ScalingDistribution::UntruncatedNormal,
                Ensemble::Uniform => ScalingDistribution::Uniform,
                Ensemble::TruncatedNormal => ScalingDistribution::TruncatedNormal,
                Ensemble::Orthogonal => {
                    return call(
                        "orthogonal",
                        &[format!("gain=math.sqrt({})", number(*sigma_w2))],
                    );
                }
            };
            torch_scaled(distribution, *sigma_w2, FanMode::FanIn)
        }
        WeightInit::Xavier { shape, gain } => {
            call(&format!("xavier_{shape}"), &argument("gain", *gain, 1.0))
        }
        WeightInit::Kaiming { shape, mode, gain } => {
            let nonlinearity = match gain {
                KaimingGain::Explicit(gain) => {
                    return torch_scaled(scaling(*shape), gain * gain, *mode);
                }
                KaimingGain::OfModel => torch_nonlinearity(activation),
                KaimingGain::Nonlinearity(named) => torch_nonlinearity(named),
            };
            let mut parts = Vec::new();
            if *mode != FanMode::FanIn {
                parts.push(format!("mode='{mode}'"));
            }
            // a=0 is what a call without arguments means
            parts.extend(nonlinearity.filter(|given| given != "a=0"));
            call(&format!("kaiming_{shape}"), &parts)
        }
        WeightInit::VarianceScaling {
            scale,
            mode,
            distribution,
        } => torch_scaled(*distribution, *scale, *mode),
        WeightInit::Normal { mean, std } => {
            let mut parts = argument("mean", *mean, 0.0);
            parts.extend(argument("std", *std, 1.0));
            call("normal", &parts)
        }
        WeightInit::Uniform { low, high } => {
            let mut parts = argument("a", *low, 0.0);
            parts.extend(argument("b", *high, 1.0));
            call("uniform", &parts)
        }
        WeightInit::TruncNormal {
            mean,
            std,
            low,
            high,
        } => {
            let mut parts = argument("mean", *mean, 0.0);
            parts.extend(argument("std", *std, 1.0));
            parts.extend(argument("a", *low, -2.0).into_iter().map(python_infinity));
            parts.extend(argument("b", *high, 2.0).into_iter().map(python_infinity));
            call("trunc_normal", &parts)
        }
        WeightInit::TruncatedNormal { mean, std } => {
            let mut parts = argument("mean", *mean, 0.0);
            parts.push(format!("std={}", number(*std)));
            parts.push(format!("a={}", number(mean - 2.0 * std)));
            parts.push(format!("b={}", number(mean + 2.0 * std)));
            call("trunc_normal", &parts)
        }
        WeightInit::Orthogonal { gain } => call("orthogonal", &argument("gain", *gain, 1.0)),
        WeightInit::Identity { gain: 1.0 } | WeightInit::Dirac => call("eye", &[]),
        WeightInit::Identity { gain } => {
            format!("nn.init.eye_(layer.weight).data.mul_({})", number(*gain))
        }
        WeightInit::Constant { value: 0.0 } => call("zeros", &[]),
        WeightInit::Constant { value: 1.0 } => call("ones", &[]),
        WeightInit::Constant { value } => call("constant", &[number(*value)]),
        WeightInit::Sparse { sparsity, std } => {
            let mut parts = vec![format!("sparsity={}", number(*sparsity))];
            parts.extend(argument("std", *std, 0.01));
            call("sparse", &parts)
        }
        WeightInit::TorchLinear => "layer.reset_parameters()".into(),
        WeightInit::KerasDense => call("xavier_uniform", &[]),
    }
}

/// Infinite limits as Python writes them.
fn python_infinity(part: String) -> String {
    part.replace("-inf", "-math.inf")
        .replace("=inf", "=math.inf")
}

/// The argument of `keras.layers.Dense` that draws its weights so; `None` where Keras has no such
/// initializer (sparse, limits other than two standard deviations, a scaled normal law off 0 cut).
/// Biases are not touched.
///
/// # Examples
/// ```
/// use isometer::network::{WeightInit, activation::Activation, framework::keras_code};
/// let init: WeightInit = "keras:glorot_uniform".parse().unwrap();
/// assert!(keras_code(&init, &Activation::Tanh).unwrap().starts_with("kernel_initializer="));
/// ```
pub fn keras_code(init: &WeightInit, activation: &Activation) -> Option<String> {
    let call = |class: &str, parts: &[String]| {
        Some(format!(
            "kernel_initializer=keras.initializers.{class}({})",
            parts.join(", ")
        ))
    };
    let scaled = |distribution: ScalingDistribution, scale: f64, mode: FanMode| {
        let family = match (scale, mode) {
            (1.0, FanMode::FanAvg) => "Glorot",
            (2.0, FanMode::FanIn) => "He",
            (1.0, FanMode::FanIn) => "Lecun",
            _ => "",
        };
        match distribution {
            // Keras takes no scale of 0
            _ if scale == 0.0 => call("Zeros", &[]),
            ScalingDistribution::TruncatedNormal if !family.is_empty() => {
                call(&format!("{family}Normal"), &[])
            }
            ScalingDistribution::Uniform if !family.is_empty() => {
                call(&format!("{family}Uniform"), &[])
            }
            _ => call(
                "VarianceScaling",
                &[
                    format!("scale={}", number(scale)),
                    format!("mode='{mode}'"),
                    format!("distribution='{distribution}'"),
                ],
            ),
        }
    };
    let normal = |mean: f64, std: f64| {
        vec![
            format!("mean={}", number(mean)),
            format!("stddev={}", number(std)),
        ]
    };
    match init {
        WeightInit::SigmaW2 { sigma_w2, ensemble } => match ensemble {
            Ensemble::Gaussian => scaled(
                ScalingDistribution::UntruncatedNormal,
                *sigma_w2,
                FanMode::FanIn,
            ),
            Ensemble::Uniform => scaled(ScalingDistribution::Uniform, *sigma_w2, FanMode::FanIn),
            Ensemble::TruncatedNormal => scaled(
                ScalingDistribution::TruncatedNormal,
                *sigma_w2,
                FanMode::FanIn,
            ),
            Ensemble::Orthogonal => call(
                "Orthogonal",
                &[format!("gain=math.sqrt({})", number(*sigma_w2))],
            ),
        },
        WeightInit::Xavier { shape, gain } => scaled(scaling(*shape), gain * gain, FanMode::FanAvg),
        WeightInit::Kaiming { shape, mode, gain } => {
            scaled(scaling(*shape), gain.squared(activation), *mode)
        }
        WeightInit::VarianceScaling {
            scale,
            mode,
            distribution,
        } => scaled(*distribution, *scale, *mode),
        WeightInit::Normal { mean, std } => call("RandomNormal", &normal(*mean, *std)),
        WeightInit::Uniform { low, high } => call(
            "RandomUniform",
            &[
                format!("minval={}", number(*low)),
                format!("maxval={}", number(*high)),
            ],
        ),
        WeightInit::TruncNormal {
            mean,
            std,
            low,
            high,
        } => {
            let cut = [(low - mean) / std, (high - mean) / std];
            match cut {
                [-2.0, 2.0] => call("TruncatedNormal", &normal(*mean, *std)),
                [a, b] if a <= -NEVER_MET && b >= NEVER_MET => {
                    call("RandomNormal", &normal(*mean, *std))
                }
                _ => None,
            }
        }
        WeightInit::TruncatedNormal { mean, std } => call("TruncatedNormal", &normal(*mean, *std)),
        WeightInit::Orthogonal { gain } => call("Orthogonal", &argument("gain", *gain, 1.0)),
        WeightInit::Identity { gain } => call("Identity", &argument("gain", *gain, 1.0)),
        WeightInit::Dirac => call("Identity", &[]),
        WeightInit::Constant { value: 0.0 } => call("Zeros", &[]),
        WeightInit::Constant { value: 1.0 } => call("Ones", &[]),
        WeightInit::Constant { value } => call("Constant", &[number(*value)]),
        WeightInit::Sparse { .. } => None,
        WeightInit::TorchLinear => scaled(ScalingDistribution::Uniform, 1.0 / 3.0, FanMode::FanIn),
        WeightInit::KerasDense => scaled(ScalingDistribution::Uniform, 1.0, FanMode::FanAvg),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn torch(text: &str, phi: &str) -> String {
        torch_code(&text.parse().unwrap(), &phi.parse().unwrap())
    }

    fn keras(text: &str, phi: &str) -> Option<String> {
        keras_code(&text.parse().unwrap(), &phi.parse().unwrap())
    }

    #[test]
    fn gains_are_those_of_calculate_gain() {
        let gain = |phi: &str| torch_gain(&phi.parse().unwrap());
        assert_eq!(gain("linear"), Some(1.0));
        assert_eq!(gain("sigmoid"), Some(1.0));
        assert_eq!(gain("tanh"), Some(5.0 / 3.0));
        assert_eq!(gain("relu"), Some(std::f64::consts::SQRT_2));
        assert_eq!(gain("leaky_relu:0.2"), Some((2.0f64 / 1.04).sqrt()));
        assert_eq!(gain("selu"), Some(0.75));
        for unknown in ["gelu", "silu", "erf", "abs", "elu", "relu6"] {
            assert_eq!(gain(unknown), None);
        }
        for phi in Activation::all() {
            if let (Some(g), Some(s)) = (torch_gain(&phi), torch_gain_squared(&phi)) {
                assert!((g * g - s).abs() < 1e-15 * s);
            }
        }
    }

    #[test]
    fn lines_of_pytorch() {
        for (init, phi, line) in [
            (
                "kaiming_normal",
                "relu",
                "nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')",
            ),
            (
                "kaiming_normal",
                "gelu",
                "nn.init.kaiming_normal_(layer.weight)",
            ),
            (
                "torch:kaiming_normal",
                "tanh",
                "nn.init.kaiming_normal_(layer.weight)",
            ),
            (
                "kaiming_uniform:mode=fan_out",
                "leaky_relu:0.2",
                "nn.init.kaiming_uniform_(layer.weight, mode='fan_out', a=0.2)",
            ),
            (
                "kaiming_normal:gain=2",
                "relu",
                "nn.init.normal_(layer.weight, std=math.sqrt(4 / layer.in_features))",
            ),
            (
                "xavier_normal",
                "tanh",
                "nn.init.xavier_normal_(layer.weight)",
            ),
            (
                "xavier_normal:gain=1.667",
                "tanh",
                "nn.init.xavier_normal_(layer.weight, gain=1.667)",
            ),
            (
                "gaussian:sigma_w2=1.5",
                "tanh",
                "nn.init.normal_(layer.weight, std=math.sqrt(1.5 / layer.in_features))",
            ),
            (
                "orthogonal:sigma_w2=1.5",
                "tanh",
                "nn.init.orthogonal_(layer.weight, gain=math.sqrt(1.5))",
            ),
            (
                "glorot_uniform",
                "tanh",
                "bound = math.sqrt(6 / (layer.in_features + layer.out_features)); nn.init.uniform_(layer.weight, -bound, bound)",
            ),
            (
                "he_normal",
                "relu",
                "std = math.sqrt(2 / layer.in_features) / 0.8796256610342398; nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)",
            ),
            (
                "trunc_normal:std=0.02",
                "relu",
                "nn.init.trunc_normal_(layer.weight, std=0.02)",
            ),
            (
                "trunc_normal:a=-inf",
                "relu",
                "nn.init.trunc_normal_(layer.weight, a=-math.inf)",
            ),
            (
                "truncated_normal",
                "relu",
                "nn.init.trunc_normal_(layer.weight, std=0.05, a=-0.1, b=0.1)",
            ),
            (
                "identity:gain=0.5",
                "relu",
                "nn.init.eye_(layer.weight).data.mul_(0.5)",
            ),
            (
                "sparse:sparsity=0.9",
                "relu",
                "nn.init.sparse_(layer.weight, sparsity=0.9)",
            ),
            ("torch:linear", "relu", "layer.reset_parameters()"),
        ] {
            assert_eq!(torch(init, phi), line);
        }
    }

    #[test]
    fn arguments_of_keras() {
        let call = |c: &str| Some(format!("kernel_initializer=keras.initializers.{c}"));
        for (init, phi, code) in [
            (
                "kaiming_normal",
                "relu",
                call("VarianceScaling(scale=2, mode='fan_in', distribution='untruncated_normal')"),
            ),
            ("kaiming_uniform", "relu", call("HeUniform()")),
            ("he_normal", "relu", call("HeNormal()")),
            ("xavier_uniform", "tanh", call("GlorotUniform()")),
            ("orthogonal:gain=1.4", "tanh", call("Orthogonal(gain=1.4)")),
            (
                "normal:std=0.02",
                "tanh",
                call("RandomNormal(mean=0, stddev=0.02)"),
            ),
            (
                "trunc_normal:std=0.02",
                "tanh",
                call("RandomNormal(mean=0, stddev=0.02)"),
            ),
            (
                "trunc_normal",
                "tanh",
                call("TruncatedNormal(mean=0, stddev=1)"),
            ),
            ("gaussian:sigma_w2=0", "tanh", call("Zeros()")),
            ("keras:dense", "tanh", call("GlorotUniform()")),
            ("trunc_normal:a=-1", "tanh", None),
            ("sparse:sparsity=0.5", "tanh", None),
        ] {
            assert_eq!(keras(init, phi), code);
        }
    }
}
