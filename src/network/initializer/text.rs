//! Initializers as text: `[torch:|keras:]name[:key=value,...]`.

use super::parameters::{Parameters, bare};
use super::{Ensemble, FanMode, InitError, KaimingGain, ScalingDistribution, Shape, WeightInit};
use crate::network::activation::Activation;
use crate::network::text::{folded, nearest};
use std::str::FromStr;

/// `torch.nn.init`'s, and `linear` for the layer's own.
const TORCH: [&str; 15] = [
    "xavier_normal",
    "xavier_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "trunc_normal",
    "orthogonal",
    "normal",
    "uniform",
    "constant",
    "zeros",
    "ones",
    "eye",
    "dirac",
    "sparse",
    "linear",
];
/// `keras.initializers`', the string aliases `normal` and `uniform`, and `dense` for the layer's own.
const KERAS: [&str; 18] = [
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "variance_scaling",
    "truncated_normal",
    "random_normal",
    "random_uniform",
    "orthogonal",
    "normal",
    "uniform",
    "constant",
    "zeros",
    "ones",
    "identity",
    "dense",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framework {
    Torch,
    Keras,
}

impl Framework {
    fn names(framework: Option<Framework>) -> Vec<&'static str> {
        match framework {
            Some(Framework::Torch) => TORCH.to_vec(),
            Some(Framework::Keras) => KERAS.to_vec(),
            None => {
                let mut all: Vec<&str> = TORCH.to_vec();
                all.extend(KERAS.iter().filter(|name| !TORCH.contains(name)));
                all.push("gaussian");
                all.retain(|name| !["linear", "dense"].contains(name));
                all
            }
        }
    }

    /// For "no initializer{} is called".
    fn of(framework: Option<Framework>) -> &'static str {
        match framework {
            Some(Framework::Torch) => " of PyTorch",
            Some(Framework::Keras) => " of Keras",
            None => "",
        }
    }
}

/// The initializer called `p.name`, one of [`Framework::names`].
fn build(framework: Option<Framework>, p: &Parameters) -> Result<WeightInit, InitError> {
    let keras = framework == Some(Framework::Keras);
    // a variance given directly replaces all other parameters
    let ensemble = match p.name {
        "gaussian" | "normal" | "random_normal" => Some(Ensemble::Gaussian),
        "uniform" | "random_uniform" => Some(Ensemble::Uniform),
        "trunc_normal" | "truncated_normal" => Some(Ensemble::TruncatedNormal),
        "orthogonal" => Some(Ensemble::Orthogonal),
        _ => None,
    };
    if let Some(ensemble) = ensemble
        && let Some(sigma_w2) = p.number(&["sigma_w2"])?
    {
        if let Some((other, _)) = p.given.iter().find(|(key, _)| key != "sigma_w2") {
            return Err(p.exclusive("sigma_w2", other));
        }
        return Ok(WeightInit::SigmaW2 { sigma_w2, ensemble });
    }
    let shape = match p.name.ends_with("uniform") {
        true => Shape::Uniform,
        false => Shape::Normal,
    };
    let scaling = |scale, mode| WeightInit::VarianceScaling {
        scale,
        mode,
        distribution: match shape {
            Shape::Uniform => ScalingDistribution::Uniform,
            Shape::Normal => ScalingDistribution::TruncatedNormal,
        },
    };
    Ok(match p.name {
        "xavier_normal" | "xavier_uniform" => WeightInit::Xavier {
            shape,
            gain: p.number(&["gain"])?.unwrap_or(1.0),
        },
        "kaiming_normal" | "kaiming_uniform" => WeightInit::Kaiming {
            shape,
            mode: p
                .choice(
                    "mode",
                    &[("fan_in", FanMode::FanIn), ("fan_out", FanMode::FanOut)],
                    "it is fan_in or fan_out",
                )?
                .unwrap_or(FanMode::FanIn),
            gain: kaiming_gain(framework, p)?,
        },
        "glorot_normal" | "glorot_uniform" => scaling(1.0, FanMode::FanAvg),
        "he_normal" | "he_uniform" => scaling(2.0, FanMode::FanIn),
        "lecun_normal" | "lecun_uniform" => scaling(1.0, FanMode::FanIn),
        "variance_scaling" => variance_scaling(p)?,
        "gaussian" | "normal" | "random_normal" => WeightInit::Normal {
            mean: p.number(&["mean"])?.unwrap_or(0.0),
            std: p.number(&["std", "stddev"])?.unwrap_or(
                match keras || p.name == "random_normal" {
                    true => 0.05,
                    false => 1.0,
                },
            ),
        },
        "uniform" | "random_uniform" => {
            let (low, high) = match keras || p.name == "random_uniform" {
                true => (-0.05, 0.05),
                false => (0.0, 1.0),
            };
            WeightInit::Uniform {
                low: p.number(&["a", "minval"])?.unwrap_or(low),
                high: p.number(&["b", "maxval"])?.unwrap_or(high),
            }
        }
        "trunc_normal" => WeightInit::TruncNormal {
            mean: p.number(&["mean"])?.unwrap_or(0.0),
            std: p.number(&["std"])?.unwrap_or(1.0),
            low: p.number(&["a"])?.unwrap_or(-2.0),
            high: p.number(&["b"])?.unwrap_or(2.0),
        },
        "truncated_normal" => WeightInit::TruncatedNormal {
            mean: p.number(&["mean"])?.unwrap_or(0.0),
            std: p.number(&["std", "stddev"])?.unwrap_or(0.05),
        },
        "orthogonal" => WeightInit::Orthogonal {
            gain: p.number(&["gain"])?.unwrap_or(1.0),
        },
        "eye" => WeightInit::Identity { gain: 1.0 },
        "identity" => WeightInit::Identity {
            gain: p.number(&["gain"])?.unwrap_or(1.0),
        },
        "dirac" => WeightInit::Dirac,
        "zeros" => WeightInit::Constant { value: 0.0 },
        "ones" => WeightInit::Constant { value: 1.0 },
        "constant" => WeightInit::Constant {
            value: match p.number(&["value", "val"])? {
                Some(value) => value,
                None if keras => 0.0,
                None => return Err(p.missing("value", "value=0.1")),
            },
        },
        "sparse" => WeightInit::Sparse {
            sparsity: match p.number(&["sparsity"])? {
                Some(sparsity) => sparsity,
                None => return Err(p.missing("sparsity", "sparsity=0.9")),
            },
            std: p.number(&["std"])?.unwrap_or(0.01),
        },
        "linear" => WeightInit::TorchLinear,
        _ => WeightInit::KerasDense,
    })
}

/// `gain`, `nonlinearity` and `a` of `kaiming_*`.
fn kaiming_gain(framework: Option<Framework>, p: &Parameters) -> Result<KaimingGain, InitError> {
    let explicit = p.number(&["gain"])?;
    let named = p.text(&["nonlinearity"])?.map(|(_, value)| value);
    let slope = p.number(&["a"])?;
    let leaky = |slope| KaimingGain::Nonlinearity(Activation::LeakyRelu { slope });
    match (explicit, named, slope) {
        (Some(_), Some(_), _) => Err(p.exclusive("gain", "nonlinearity")),
        (Some(_), None, Some(_)) => Err(p.exclusive("gain", "a")),
        (Some(gain), None, None) => Ok(KaimingGain::Explicit(gain)),
        (None, Some(name), slope) => {
            let phi: Activation = name
                .parse()
                .map_err(|_| p.value("nonlinearity", name, "no activation is called so"))?;
            match (phi, slope) {
                // PyTorch's own default here is slope 0
                (Activation::LeakyRelu { .. }, slope) => Ok(leaky(slope.unwrap_or(0.0))),
                (phi, None) => Ok(KaimingGain::Nonlinearity(phi)),
                (_, Some(_)) => Err(p.value(
                    "nonlinearity",
                    name,
                    "a is the slope of leaky_relu; it goes with no other",
                )),
            }
        }
        (None, None, Some(slope)) => Ok(leaky(slope)),
        (None, None, None) if framework == Some(Framework::Torch) => Ok(leaky(0.0)),
        (None, None, None) => Ok(KaimingGain::OfModel),
    }
}

fn variance_scaling(p: &Parameters) -> Result<WeightInit, InitError> {
    Ok(WeightInit::VarianceScaling {
        scale: p.number(&["scale"])?.unwrap_or(1.0),
        mode: p
            .choice(
                "mode",
                &[
                    ("fan_in", FanMode::FanIn),
                    ("fan_out", FanMode::FanOut),
                    ("fan_avg", FanMode::FanAvg),
                ],
                "it is fan_in, fan_out or fan_avg",
            )?
            .unwrap_or(FanMode::FanIn),
        distribution: p
            .choice(
                "distribution",
                &[
                    ("truncated_normal", ScalingDistribution::TruncatedNormal),
                    ("untruncated_normal", ScalingDistribution::UntruncatedNormal),
                    ("uniform", ScalingDistribution::Uniform),
                ],
                "it is truncated_normal, untruncated_normal or uniform",
            )?
            .unwrap_or(ScalingDistribution::TruncatedNormal),
    })
}

impl FromStr for WeightInit {
    type Err = InitError;

    /// `name` or `name:key=value,...`, with `torch:` or `keras:` before it to choose the conventions
    /// of a framework where they differ: `torch:kaiming_normal` has the gain `sqrt 2` of a call without
    /// arguments, plain `kaiming_normal` that of the model's activation; `keras:normal` has standard
    /// deviation 0.05, plain `normal` PyTorch's 1.
    fn from_str(text: &str) -> Result<WeightInit, InitError> {
        let (framework, rest) = match text.split_once(':') {
            Some((prefix, rest)) => match folded(prefix).as_str() {
                "torch" | "pytorch" => (Some(Framework::Torch), rest),
                "keras" => (Some(Framework::Keras), rest),
                _ => (None, text),
            },
            None => (None, text),
        };
        let (given, parameters) = rest.split_once(':').unwrap_or((rest, ""));
        let names = Framework::names(framework);
        let name = names.iter().find(|name| bare(name) == bare(given));
        let Some(&name) = name else {
            return Err(InitError::Unknown {
                name: given.trim().into(),
                of: Framework::of(framework),
                suggestion: nearest(&folded(given), &names).map(str::to_string),
                known: match framework {
                    // the layers' own go by their framework
                    None => format!("{}, torch:linear, keras:dense", names.join(", ")),
                    Some(_) => names.join(", "),
                },
            });
        };
        let parameters = Parameters::parse(name, parameters)?;
        let init = build(framework, &parameters)?;
        parameters.finish()?;
        init.validate()?;
        Ok(init)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> WeightInit {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn every_name_is_read_and_written_back() {
        for framework in [None, Some(Framework::Torch), Some(Framework::Keras)] {
            let prefix = match framework {
                None => "",
                Some(Framework::Torch) => "torch:",
                Some(Framework::Keras) => "keras:",
            };
            for name in Framework::names(framework) {
                let needed = match name {
                    "sparse" => ":sparsity=0.9",
                    "constant" => ":value=0.2",
                    _ => "",
                };
                let init = read(&format!("{prefix}{name}{needed}"));
                assert_eq!(read(&init.to_string()), init, "{prefix}{name}");
            }
        }
    }

    #[test]
    fn the_shortest_form_is_written() {
        for text in [
            "xavier_normal:gain=1.667",
            "kaiming_normal",
            "kaiming_normal:mode=fan_out,a=0.2",
            "kaiming_uniform:nonlinearity=tanh",
            "orthogonal:gain=1.4",
            "orthogonal:sigma_w2=1.5",
            "trunc_normal:std=0.02",
            "trunc_normal:std=0.02,a=-0.04,b=0.04",
            "he_normal",
            "variance_scaling:scale=2,mode=fan_in,distribution=untruncated_normal",
            "sparse:sparsity=0.9",
            "constant:value=-1e-7",
            "torch:linear",
        ] {
            assert_eq!(read(text).to_string(), text);
        }
        assert_eq!(
            read("variance_scaling:scale=2,mode=fan_in,distribution=truncated_normal").to_string(),
            "he_normal"
        );
        assert_eq!(
            read("torch:kaiming_normal").to_string(),
            "kaiming_normal:a=0"
        );
    }

    #[test]
    fn spellings_of_the_frameworks_are_read() {
        assert_eq!(read("keras:GlorotUniform"), read("glorot_uniform"));
        assert_eq!(read("torch:xavier_normal_"), read("xavier-normal"));
        assert_eq!(
            read("keras:RandomUniform:minval=-1,maxval=1"),
            read("uniform:a=-1, b=1")
        );
        assert_eq!(
            read("keras:TruncatedNormal:stddev=0.1"),
            read("truncated_normal:std=0.1")
        );
        assert_eq!(read("torch:constant:val=0.5"), read("constant:value=0.5"));
        assert_eq!(
            read("kaiming_normal:nonlinearity=leaky_relu,a=0.2"),
            read("kaiming_normal:a=0.2")
        );
    }

    #[test]
    fn refusals_name_the_place_and_the_fix() {
        for (text, hints) in [
            (
                "xavier_nromal",
                vec!["'xavier_nromal'", "did you mean xavier_normal?"],
            ),
            ("torch:he_normal", vec!["of PyTorch", "'he_normal'"]),
            ("keras:sparse:sparsity=0.9", vec!["of Keras"]),
            ("xavier_normal:1.4", vec!["xavier_normal:gain=1.4"]),
            (
                "xavier_normal:gian=1.4",
                vec!["'gian'", "did you mean gain?"],
            ),
            ("dirac:gain=2", vec!["takes none"]),
            ("xavier_normal:gain=x", vec!["gain=x", "number"]),
            ("xavier_normal:gain=nan", vec!["number"]),
            ("xavier_normal:gain=inf", vec!["finite"]),
            ("xavier_normal:gain=1,gain=2", vec!["cannot both"]),
            ("kaiming_normal:gain=1,a=2", vec!["gain and a"]),
            (
                "kaiming_normal:gain=1,nonlinearity=relu",
                vec!["gain and nonlinearity"],
            ),
            (
                "kaiming_normal:nonlinearity=tanh,a=1",
                vec!["slope of leaky_relu"],
            ),
            (
                "kaiming_normal:nonlinearity=gelu",
                vec!["calculate_gain", "gain=NUMBER"],
            ),
            ("kaiming_normal:nonlinearity=gleu", vec!["no activation"]),
            ("kaiming_normal:mode=fan_avg", vec!["fan_in or fan_out"]),
            ("normal:std=1,stddev=2", vec!["std and stddev"]),
            ("normal:std=-1", vec!["std=-1", "not negative"]),
            ("gaussian:sigma_w2=-1", vec!["not negative"]),
            ("orthogonal:gain=1,sigma_w2=2", vec!["sigma_w2 and gain"]),
            ("variance_scaling:scale=0", vec!["above 0"]),
            (
                "variance_scaling:distribution=normal",
                vec!["untruncated_normal"],
            ),
            ("uniform:a=1,b=0", vec!["below a"]),
            ("trunc_normal:a=1,b=1", vec!["above a"]),
            ("trunc_normal:a=3,b=4", vec!["two standard deviations"]),
            ("trunc_normal:std=0", vec!["above 0"]),
            ("sparse", vec!["needs sparsity", "sparse:sparsity=0.9"]),
            ("sparse:sparsity=1.5", vec!["from 0 to 1"]),
            ("constant", vec!["needs value"]),
            ("", vec!["names are"]),
        ] {
            let message = text.parse::<WeightInit>().unwrap_err().to_string();
            for hint in hints {
                assert!(message.contains(hint), "{text}: {message}");
            }
        }
    }

    #[test]
    fn variances_are_given_to_laws_without_one() {
        let with = |text| read(text).with_sigma_w2(1.5);
        assert_eq!(with("normal").unwrap(), WeightInit::gaussian(1.5));
        assert_eq!(with("orthogonal").unwrap(), read("orthogonal:sigma_w2=1.5"));
        assert_eq!(with("uniform").unwrap(), read("uniform:sigma_w2=1.5"));
        assert_eq!(
            with("trunc_normal").unwrap(),
            read("truncated_normal:sigma_w2=1.5")
        );
        for own in [
            "kaiming_normal",
            "orthogonal:gain=2",
            "normal:std=0.1",
            "he_uniform",
        ] {
            let message = with(own).unwrap_err().to_string();
            assert!(message.contains(own), "{message}");
        }
        assert!(read("normal").with_sigma_w2(f64::NAN).is_err());
    }
}
