//! From the name of an initializer to the law of a layer's weights.

use super::{Ensemble, FanMode, KaimingGain, ScalingDistribution, Shape, WeightInit};
use crate::network::activation::Activation;
use crate::network::law::{WeightKind, WeightLaw};
use crate::network::truncated;

/// Standard normal cut at two standard deviations: limits that Keras and TensorFlow use.
const TWO_SIGMA: WeightKind = WeightKind::TruncatedNormal {
    lower: -2.0,
    upper: 2.0,
};
/// A normal variable leaves this many standard deviations with probability below `2^-64`: no draw
/// of a framework does, so limits beyond leave the law Gaussian.
pub(in crate::network) const NEVER_MET: f64 = 9.2;

impl FanMode {
    /// `fan_in / fan`: what turns variance times fan into `sigma_w2`.
    fn ratio(self, fan_in: usize, fan_out: usize) -> f64 {
        let (n, m) = (fan_in as f64, fan_out as f64);
        match self {
            FanMode::FanIn => 1.0,
            FanMode::FanOut => n / m,
            FanMode::FanAvg => 2.0 * n / (n + m),
        }
    }
}

impl WeightInit {
    /// The initializer that draws `factor` times what this one draws, for a factor above 0. Only
    /// weights: `torch:linear` loses its bias.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{WeightInit, activation::Activation};
    /// let relu = Activation::Relu;
    /// let half = "kaiming_normal".parse::<WeightInit>().unwrap().scaled(0.5, &relu);
    /// assert!((half.law(&relu, 10, 10).sigma_w2 - 0.5).abs() < 1e-15); // a quarter of 2
    /// ```
    #[must_use]
    pub fn scaled(&self, factor: f64, activation: &Activation) -> WeightInit {
        let f = factor;
        match self {
            WeightInit::SigmaW2 { sigma_w2, ensemble } => WeightInit::SigmaW2 {
                sigma_w2: sigma_w2 * f * f,
                ensemble: *ensemble,
            },
            WeightInit::Xavier { shape, gain } => WeightInit::Xavier {
                shape: *shape,
                gain: gain * f,
            },
            WeightInit::Kaiming { shape, mode, gain } => WeightInit::Kaiming {
                shape: *shape,
                mode: *mode,
                gain: KaimingGain::Explicit(gain.squared(activation).sqrt() * f),
            },
            WeightInit::VarianceScaling {
                scale,
                mode,
                distribution,
            } => WeightInit::VarianceScaling {
                scale: scale * f * f,
                mode: *mode,
                distribution: *distribution,
            },
            WeightInit::Normal { mean, std } => WeightInit::Normal {
                mean: mean * f,
                std: std * f,
            },
            WeightInit::Uniform { low, high } => WeightInit::Uniform {
                low: low * f,
                high: high * f,
            },
            WeightInit::TruncNormal {
                mean,
                std,
                low,
                high,
            } => WeightInit::TruncNormal {
                mean: mean * f,
                std: std * f,
                low: low * f,
                high: high * f,
            },
            WeightInit::TruncatedNormal { mean, std } => WeightInit::TruncatedNormal {
                mean: mean * f,
                std: std * f,
            },
            WeightInit::Orthogonal { gain } => WeightInit::Orthogonal { gain: gain * f },
            WeightInit::Identity { gain } => WeightInit::Identity { gain: gain * f },
            WeightInit::Dirac => WeightInit::Identity { gain: f },
            WeightInit::Constant { value } => WeightInit::Constant { value: value * f },
            WeightInit::Sparse { sparsity, std } => WeightInit::Sparse {
                sparsity: *sparsity,
                std: std * f,
            },
            WeightInit::TorchLinear => WeightInit::Kaiming {
                shape: Shape::Uniform,
                mode: FanMode::FanIn,
                gain: KaimingGain::Explicit(f / 3.0f64.sqrt()),
            },
            WeightInit::KerasDense => WeightInit::VarianceScaling {
                scale: f * f,
                mode: FanMode::FanAvg,
                distribution: ScalingDistribution::Uniform,
            },
        }
    }

    /// The law of the entries of a `fan_out x fan_in` matrix in a model with `activation`. Parameters
    /// are taken as they are: [`WeightInit::validate`] refuses the ones without a law.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{WeightInit, activation::Activation};
    /// let xavier: WeightInit = "xavier_normal".parse().unwrap();
    /// // 2 / (fan_in + fan_out) times the fan-in
    /// assert!((xavier.law(&Activation::Tanh, 30, 10).sigma_w2 - 1.5).abs() < 1e-14);
    /// ```
    pub fn law(&self, activation: &Activation, fan_in: usize, fan_out: usize) -> WeightLaw {
        let (n, m) = (fan_in as f64, fan_out as f64);
        let centred = |sigma_w2: f64, kind| WeightLaw {
            sigma_w2,
            mean: 0.0,
            kind,
        };
        let shaped = |shape: Shape| match shape {
            Shape::Normal => WeightKind::Gaussian,
            Shape::Uniform => WeightKind::Uniform,
        };
        let isometry = |gain: f64, kind| centred(gain * gain * (n / n.max(m)), kind);
        let diagonal = |gain: f64| WeightLaw {
            mean: gain / n.max(m),
            ..isometry(gain, WeightKind::Identity)
        };
        let law = match self {
            WeightInit::SigmaW2 { sigma_w2, ensemble } => centred(
                *sigma_w2,
                match ensemble {
                    Ensemble::Gaussian => WeightKind::Gaussian,
                    Ensemble::Uniform => WeightKind::Uniform,
                    Ensemble::TruncatedNormal => TWO_SIGMA,
                    Ensemble::Orthogonal => WeightKind::Orthogonal,
                },
            ),
            WeightInit::Xavier { shape, gain } => centred(
                gain * gain * FanMode::FanAvg.ratio(fan_in, fan_out),
                shaped(*shape),
            ),
            WeightInit::Kaiming { shape, mode, gain } => centred(
                gain.squared(activation) * mode.ratio(fan_in, fan_out),
                shaped(*shape),
            ),
            WeightInit::VarianceScaling {
                scale,
                mode,
                distribution,
            } => centred(
                scale * mode.ratio(fan_in, fan_out),
                match distribution {
                    ScalingDistribution::TruncatedNormal => TWO_SIGMA,
                    ScalingDistribution::UntruncatedNormal => WeightKind::Gaussian,
                    ScalingDistribution::Uniform => WeightKind::Uniform,
                },
            ),
            WeightInit::Normal { mean, std } => WeightLaw {
                sigma_w2: std * std * n,
                mean: *mean,
                kind: WeightKind::Gaussian,
            },
            WeightInit::Uniform { low, high } => WeightLaw {
                sigma_w2: (high - low) * (high - low) / 12.0 * n,
                mean: 0.5 * low + 0.5 * high,
                kind: WeightKind::Uniform,
            },
            WeightInit::TruncNormal {
                mean,
                std,
                low,
                high,
            } => cut_normal(*mean, *std, (low - mean) / std, (high - mean) / std, n),
            WeightInit::TruncatedNormal { mean, std } => cut_normal(*mean, *std, -2.0, 2.0, n),
            WeightInit::Orthogonal { gain } => isometry(*gain, WeightKind::Orthogonal),
            WeightInit::Identity { gain } => diagonal(*gain),
            WeightInit::Dirac => diagonal(1.0),
            WeightInit::Constant { value } => WeightLaw {
                sigma_w2: 0.0,
                mean: *value,
                kind: WeightKind::Constant,
            },
            WeightInit::Sparse { sparsity, std } => {
                let density = (m - (sparsity * m).ceil()) / m;
                centred(std * std * density * n, WeightKind::Sparse { density })
            }
            WeightInit::TorchLinear => centred(1.0 / 3.0, WeightKind::Uniform),
            WeightInit::KerasDense => {
                centred(FanMode::FanAvg.ratio(fan_in, fan_out), WeightKind::Uniform)
            }
        };
        // a law without spread is a constant
        let kind = match law.sigma_w2 == 0.0 {
            true => WeightKind::Constant,
            false => law.kind,
        };
        WeightLaw { kind, ..law }
    }
}

/// A normal law with limits in standard deviations from its mean.
fn cut_normal(mean: f64, std: f64, lower: f64, upper: f64, fan_in: f64) -> WeightLaw {
    let whole = lower <= -NEVER_MET && upper >= NEVER_MET;
    let (shift, variance, kind) = match whole {
        true => (0.0, 1.0, WeightKind::Gaussian),
        false => {
            let cut = truncated::moments(lower, upper);
            let kind = WeightKind::TruncatedNormal { lower, upper };
            (cut.mean, cut.variance, kind)
        }
    };
    WeightLaw {
        sigma_w2: std * std * variance * fan_in,
        mean: mean + std * shift,
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law(text: &str, phi: &Activation, fan_in: usize, fan_out: usize) -> WeightLaw {
        let init: WeightInit = text.parse().unwrap();
        init.validate().unwrap();
        init.law(phi, fan_in, fan_out)
    }

    fn close(a: f64, b: f64, relative: f64) {
        assert!((a - b).abs() <= relative * b.abs(), "{a} {b}");
    }

    /// Variance of an entry, as the frameworks' documentation states it, for a layer 784 -> 256.
    #[test]
    fn variances_are_those_of_the_frameworks() {
        let relu = Activation::Relu;
        for (text, variance) in [
            ("xavier_normal", 2.0 / 1040.0),
            ("xavier_uniform", 2.0 / 1040.0),
            ("xavier_normal:gain=1.667", 1.667 * 1.667 * 2.0 / 1040.0),
            ("torch:xavier_uniform_:gain=2", 8.0 / 1040.0),
            ("kaiming_normal", 2.0 / 784.0),
            ("kaiming_uniform:mode=fan_out", 2.0 / 256.0),
            ("torch:kaiming_uniform", 2.0 / 784.0),
            ("kaiming_normal:a=0.2", 2.0 / 1.04 / 784.0),
            ("kaiming_normal:nonlinearity=tanh", 25.0 / 9.0 / 784.0),
            ("kaiming_normal:nonlinearity=selu", 9.0 / 16.0 / 784.0),
            ("kaiming_normal:gain=3", 9.0 / 784.0),
            ("torch:linear", 1.0 / 3.0 / 784.0),
            ("keras:dense", 2.0 / 1040.0),
            ("glorot_normal", 2.0 / 1040.0),
            ("glorot_uniform", 2.0 / 1040.0),
            ("he_normal", 2.0 / 784.0),
            ("he_uniform", 2.0 / 784.0),
            ("lecun_normal", 1.0 / 784.0),
            ("lecun_uniform", 1.0 / 784.0),
            ("variance_scaling", 1.0 / 784.0),
            ("variance_scaling:scale=2,mode=fan_out", 2.0 / 256.0),
            ("normal", 1.0),
            ("normal:std=0.02", 4e-4),
            ("keras:random_normal", 0.0025),
            ("keras:normal", 0.0025),
            ("uniform", 1.0 / 12.0),
            ("uniform:a=-0.5,b=1", 2.25 / 12.0),
            ("keras:random_uniform", 0.01 / 12.0),
            ("trunc_normal", 0.773_741_303_549_923_2),
            ("trunc_normal:std=0.02", 4e-4),
            ("truncated_normal", 0.0025 * 0.773_741_303_549_923_2),
            ("gaussian:sigma_w2=1.5", 1.5 / 784.0),
            ("uniform:sigma_w2=1.5", 1.5 / 784.0),
            ("truncated_normal:sigma_w2=1.5", 1.5 / 784.0),
            ("orthogonal", 1.0 / 784.0),
            ("orthogonal:gain=1.4", 1.96 / 784.0),
            ("sparse:sparsity=0.1", 1e-4 * 230.0 / 256.0), // ceil(25.6) = 26 zeros in a column
            ("zeros", 0.0),
            ("constant:value=0.3", 0.0),
        ] {
            close(law(text, &relu, 784, 256).sigma_w2 / 784.0, variance, 4e-15);
        }
    }

    #[test]
    fn rectangular_layers_have_the_known_factors() {
        let relu = Activation::Relu;
        let factor = |text, fan: f64| law(text, &relu, 784, 256).sigma_w2 / 784.0 * fan / 2.0;
        close(
            factor("xavier_normal", 784.0),
            0.753_846_153_846_153_8,
            1e-14,
        ); // R128
        close(factor("kaiming_normal", 784.0), 1.0, 1e-14); // R130
        close(factor("kaiming_normal:mode=fan_out", 256.0), 1.0, 1e-14); // R133
        let default = law("torch:linear", &relu, 300, 300).sigma_w2 / 300.0;
        assert!((default - 0.001_111_111_111_111_111_1).abs() < 1e-17); // R138
        let cut = law("trunc_normal", &relu, 1, 1).sigma_w2;
        assert!((cut - 0.773_741_303_549_923_2).abs() < 1e-13); // R140
        // R144: nominally 2, cut at two standard deviations without correction, 50 layers
        let nominal = WeightInit::TruncatedNormal {
            mean: 0.0,
            std: (2.0f64 / 300.0).sqrt(),
        };
        let gain = (0.5 * nominal.law(&relu, 300, 300).sigma_w2).powi(50);
        assert!((gain - 2.690_227_702_887_352_6e-6).abs() < 1e-13);
    }

    #[test]
    fn he_is_exactly_two() {
        // so that the growth of a ReLU network is exactly 1, not 1 + 2e-16
        let relu = law("kaiming_normal", &Activation::Relu, 100, 100);
        assert_eq!((relu.sigma_w2, relu.kind), (2.0, WeightKind::Gaussian));
        for (phi, sigma_w2) in [
            ("linear", 1.0),
            ("sigmoid", 1.0),
            ("tanh", 25.0 / 9.0),
            ("selu", 9.0 / 16.0),
            ("leaky_relu:0.5", 1.6),
            ("gelu", 2.0),
            ("silu", 2.0),
        ] {
            let phi = phi.parse().unwrap();
            close(law("kaiming_normal", &phi, 9, 9).sigma_w2, sigma_w2, 4e-16);
            assert_eq!(law("torch:kaiming_normal", &phi, 9, 9).sigma_w2, 2.0);
        }
    }

    #[test]
    fn shapes_are_those_of_the_frameworks() {
        let kind = |text| law(text, &Activation::Relu, 100, 100).kind;
        for normal in [
            "kaiming_normal",
            "xavier_normal",
            "normal",
            "gaussian:sigma_w2=2",
        ] {
            assert_eq!(kind(normal), WeightKind::Gaussian, "{normal}");
        }
        for cut in [
            "he_normal",
            "glorot_normal",
            "lecun_normal",
            "truncated_normal",
            "trunc_normal",
        ] {
            assert_eq!(kind(cut), TWO_SIGMA, "{cut}");
        }
        for flat in [
            "he_uniform",
            "xavier_uniform",
            "torch:linear",
            "keras:dense",
            "uniform",
        ] {
            assert_eq!(kind(flat), WeightKind::Uniform, "{flat}");
        }
        // cut at -2 and 2, which is at 100 standard deviations
        assert_eq!(kind("trunc_normal:std=0.02"), WeightKind::Gaussian);
        assert_eq!(
            kind("variance_scaling:distribution=untruncated_normal"),
            WeightKind::Gaussian
        );
        assert_eq!(
            kind("sparse:sparsity=0.5"),
            WeightKind::Sparse { density: 0.5 }
        );
        assert_eq!(kind("sparse:sparsity=1"), WeightKind::Constant);
        assert_eq!(kind("eye"), WeightKind::Identity);
        assert_eq!(kind("dirac"), WeightKind::Identity);
    }

    #[test]
    fn means_are_kept() {
        let relu = Activation::Relu;
        assert_eq!(law("uniform", &relu, 9, 9).mean, 0.5);
        assert_eq!(law("normal:mean=0.5", &relu, 9, 9).mean, 0.5);
        assert_eq!(law("constant:value=-0.5", &relu, 9, 9).mean, -0.5);
        let one_sided = law("trunc_normal:a=0,b=inf", &relu, 9, 9);
        close(one_sided.mean, (2.0 / std::f64::consts::PI).sqrt(), 1e-14);
        close(
            one_sided.sigma_w2,
            9.0 * (1.0 - 2.0 / std::f64::consts::PI),
            1e-14,
        );
    }

    #[test]
    fn rectangular_isometries_have_the_gain_as_singular_value() {
        let tall = law("orthogonal:gain=2", &Activation::Relu, 10, 40);
        assert_eq!(tall.sigma_w2, 1.0);
        assert_eq!(
            law("identity:gain=2", &Activation::Relu, 10, 40).sigma_w2,
            1.0
        );
        assert_eq!(
            law("orthogonal:gain=2", &Activation::Relu, 40, 10).sigma_w2,
            4.0
        );
    }

    #[test]
    fn the_sign_of_a_diagonal_is_kept() {
        for (fan_in, fan_out) in [(10, 40), (40, 10), (7, 7)] {
            let layer = crate::network::Layer {
                fan_in,
                fan_out,
                weight: law("identity:gain=-0.5", &Activation::Relu, fan_in, fan_out).scaled(3.0),
                bias: crate::network::BiasLaw::Zero,
                multiplier: 1.0,
            };
            close(layer.diagonal().unwrap(), -1.5, 1e-15);
            close(layer.singular_value().unwrap(), 1.5, 1e-15);
        }
    }

    #[test]
    fn scaling_scales_the_law() {
        let tanh = Activation::Tanh;
        for text in [
            "gaussian:sigma_w2=1.5",
            "orthogonal:sigma_w2=2",
            "xavier_uniform:gain=2",
            "kaiming_normal",
            "kaiming_uniform:mode=fan_out,a=0.2",
            "he_normal",
            "normal:mean=0.1,std=0.3",
            "uniform",
            "trunc_normal:mean=0.5",
            "truncated_normal:mean=0.1",
            "orthogonal",
            "eye",
            "dirac",
            "ones",
            "sparse:sparsity=0.3",
            "torch:linear",
            "keras:dense",
        ] {
            let init: WeightInit = text.parse().unwrap();
            let (a, b) = (
                init.law(&tanh, 12, 30).scaled(1.7),
                init.scaled(1.7, &tanh).law(&tanh, 12, 30),
            );
            assert!(
                (a.sigma_w2 - b.sigma_w2).abs() <= 4e-15 * a.sigma_w2,
                "{text}"
            );
            assert!((a.mean - b.mean).abs() <= 4e-15 * a.mean.abs(), "{text}");
            close(b.kurtosis(12, 30), a.kurtosis(12, 30), 1e-13);
        }
    }
}
