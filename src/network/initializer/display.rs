//! Initializers written as [`std::str::FromStr`] reads them.

use super::{Ensemble, FanMode, KaimingGain, ScalingDistribution, Shape, WeightInit};
use crate::network::activation::Activation;
use crate::network::text::number;
use std::fmt;

/// `name`, then the parameters that are not at their defaults.
fn write(f: &mut fmt::Formatter<'_>, name: &str, parameters: &[(&str, f64, f64)]) -> fmt::Result {
    f.write_str(name)?;
    let mut separator = ':';
    for (key, value, default) in parameters {
        if value != default {
            write!(f, "{separator}{key}={}", number(*value))?;
            separator = ',';
        }
    }
    Ok(())
}

/// No default: always written.
const ALWAYS: f64 = f64::NAN;

impl fmt::Display for WeightInit {
    /// What [`std::str::FromStr`] reads back, in the shortest form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WeightInit::SigmaW2 { sigma_w2, ensemble } => {
                let name = match ensemble {
                    Ensemble::Gaussian => "gaussian",
                    Ensemble::Uniform => "uniform",
                    Ensemble::TruncatedNormal => "truncated_normal",
                    Ensemble::Orthogonal => "orthogonal",
                };
                write(f, name, &[("sigma_w2", *sigma_w2, ALWAYS)])
            }
            WeightInit::Xavier { shape, gain } => {
                write(f, &format!("xavier_{shape}"), &[("gain", *gain, 1.0)])
            }
            WeightInit::Kaiming { shape, mode, gain } => {
                let mut parameters = Vec::new();
                if *mode != FanMode::FanIn {
                    parameters.push(format!("mode={mode}"));
                }
                match gain {
                    KaimingGain::OfModel => {}
                    KaimingGain::Explicit(gain) => {
                        parameters.push(format!("gain={}", number(*gain)))
                    }
                    KaimingGain::Nonlinearity(Activation::LeakyRelu { slope }) => {
                        parameters.push(format!("a={}", number(*slope)));
                    }
                    KaimingGain::Nonlinearity(phi) => {
                        parameters.push(format!("nonlinearity={phi}"))
                    }
                }
                write!(f, "kaiming_{shape}")?;
                match parameters.is_empty() {
                    true => Ok(()),
                    false => write!(f, ":{}", parameters.join(",")),
                }
            }
            WeightInit::VarianceScaling {
                scale,
                mode,
                distribution,
            } => {
                let law = match distribution {
                    ScalingDistribution::TruncatedNormal => "normal",
                    ScalingDistribution::Uniform => "uniform",
                    ScalingDistribution::UntruncatedNormal => "",
                };
                let family = match (*scale, mode) {
                    (1.0, FanMode::FanAvg) => "glorot",
                    (2.0, FanMode::FanIn) => "he",
                    (1.0, FanMode::FanIn) => "lecun",
                    _ => "",
                };
                if law.is_empty() || family.is_empty() {
                    let scale = number(*scale);
                    return write!(
                        f,
                        "variance_scaling:scale={scale},mode={mode},distribution={distribution}"
                    );
                }
                write!(f, "{family}_{law}")
            }
            WeightInit::Normal { mean, std } => {
                write(f, "normal", &[("mean", *mean, 0.0), ("std", *std, 1.0)])
            }
            WeightInit::Uniform { low, high } => {
                write(f, "uniform", &[("a", *low, 0.0), ("b", *high, 1.0)])
            }
            WeightInit::TruncNormal {
                mean,
                std,
                low,
                high,
            } => write(
                f,
                "trunc_normal",
                &[
                    ("mean", *mean, 0.0),
                    ("std", *std, 1.0),
                    ("a", *low, -2.0),
                    ("b", *high, 2.0),
                ],
            ),
            WeightInit::TruncatedNormal { mean, std } => write(
                f,
                "truncated_normal",
                &[("mean", *mean, 0.0), ("std", *std, 0.05)],
            ),
            WeightInit::Orthogonal { gain } => write(f, "orthogonal", &[("gain", *gain, 1.0)]),
            WeightInit::Identity { gain } => write(f, "identity", &[("gain", *gain, 1.0)]),
            WeightInit::Dirac => f.write_str("dirac"),
            WeightInit::Constant { value: 0.0 } => f.write_str("zeros"),
            WeightInit::Constant { value: 1.0 } => f.write_str("ones"),
            WeightInit::Constant { value } => write(f, "constant", &[("value", *value, ALWAYS)]),
            WeightInit::Sparse { sparsity, std } => write(
                f,
                "sparse",
                &[("sparsity", *sparsity, ALWAYS), ("std", *std, 0.01)],
            ),
            WeightInit::TorchLinear => f.write_str("torch:linear"),
            WeightInit::KerasDense => f.write_str("keras:dense"),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shape::Normal => "normal",
            Shape::Uniform => "uniform",
        })
    }
}

impl fmt::Display for FanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FanMode::FanIn => "fan_in",
            FanMode::FanOut => "fan_out",
            FanMode::FanAvg => "fan_avg",
        })
    }
}

impl fmt::Display for ScalingDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ScalingDistribution::TruncatedNormal => "truncated_normal",
            ScalingDistribution::UntruncatedNormal => "untruncated_normal",
            ScalingDistribution::Uniform => "uniform",
        })
    }
}
