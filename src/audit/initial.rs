//! Which initializer the weights still look like, and the multiplier that would have given their scale.
//!
//! [`scale`] compares mean, deviation and kurtosis of the entries with those that initializers have, within four
//! standard errors of sampling: weights that have been trained match none.

use super::lines::Lines;
use super::roles::{KernelLayout, Orientation, Role};
use crate::network::WeightInit;
use crate::network::activation::Activation;

/// Named laws with the kurtosis of their entries: 3 normal, 1.8 uniform; the truncated ones are Keras'.
const CANDIDATES: [&str; 8] = [
    "kaiming_normal",
    "xavier_normal",
    "kaiming_uniform",
    "xavier_uniform",
    "he_normal",
    "glorot_normal",
    "lecun_normal",
    "lecun_uniform",
];

/// Inputs and outputs of one unit of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fans {
    /// Inputs of a unit, taps included.
    pub fan_in: usize,
    /// Units an input reaches, taps included.
    pub fan_out: usize,
}

/// Fans of a weight by its role; `None` for roles that no initializer of layers draws.
///
/// # Examples
/// ```
/// use isometer::audit::{initial::fans, roles::{KernelLayout, Role}};
/// let f = fans(&Role::Convolution(KernelLayout::OutInTaps), &[8, 4, 3, 3]).unwrap();
/// assert_eq!((f.fan_in, f.fan_out), (36, 72));
/// ```
pub fn fans(role: &Role, shape: &[usize]) -> Option<Fans> {
    let (fan_in, fan_out) = match (role, shape) {
        (Role::Matrix(Orientation::OutIn) | Role::Gates(_), [out, inputs]) => (*inputs, *out),
        (Role::FusedQkv(Orientation::OutIn, _), [out, inputs]) => (*inputs, *out),
        (
            Role::Matrix(Orientation::InOut) | Role::FusedQkv(Orientation::InOut, _),
            [inputs, out],
        ) => (*inputs, *out),
        (Role::Convolution(KernelLayout::OutInTaps), [out, inputs, taps @ ..]) => {
            let taps: usize = taps.iter().product();
            (inputs * taps, out * taps)
        }
        (Role::Convolution(KernelLayout::TapsInOut), [taps @ .., inputs, out]) => {
            let taps: usize = taps.iter().product();
            (inputs * taps, out * taps)
        }
        _ => return None,
    };
    (fan_in > 0 && fan_out > 0).then_some(Fans { fan_in, fan_out })
}

/// How the scale of weights compares with what initializers draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// Standard deviation over that of `kaiming_normal` with ReLU: the alpha that would give it.
    pub alpha_kaiming: f64,
    /// Standard deviation over that of `xavier_normal` with gain 1.
    pub alpha_xavier: f64,
    /// Initializers whose mean, standard deviation and kurtosis the entries have within sampling error; empty for trained weights.
    pub initializers: Vec<String>,
}

/// Standard errors within which a moment counts as that of a law: one in 16,000 draws of a normal variable is beyond.
const ERRORS: f64 = 4.0;

/// Compares moments of entries with those of the initializers; `None` for fewer than 64 entries, or entries that
/// are all equal.
///
/// # Examples
/// ```
/// use isometer::audit::{initial::{Fans, scale}, lines::lines};
/// use isometer::linalg::view::MatrixRef;
/// // deviation 1/2 at a fan-in of 8, as He's initialization has it: sqrt(2/8)
/// let w: Vec<f64> = (0..64).map(|k| if k % 2 == 0 { 0.5 } else { -0.5 }).collect();
/// let l = lines(&MatrixRef::row_major(&w, 8, 8).unwrap(), true, 0.5);
/// let s = scale(&l, Fans { fan_in: 8, fan_out: 8 }).unwrap();
/// assert!((s.alpha_kaiming - 1.0).abs() < 0.01 && (s.alpha_xavier - 2f64.sqrt()).abs() < 0.02);
/// ```
pub fn scale(lines: &Lines, fans: Fans) -> Option<Scale> {
    let n = lines.count as f64;
    // NaN, too, is no spread to compare
    let spread = lines.std > 0.0;
    if lines.count < 64 || !spread {
        return None;
    }
    let std_of = |init: &WeightInit| {
        let law = init.law(&Activation::Relu, fans.fan_in, fans.fan_out);
        (law.sigma_w2 / fans.fan_in as f64).sqrt()
    };
    let parse = |name: &str| name.parse::<WeightInit>().ok();
    // sampling errors for the kurtosis k: variance of s is (k - 1) / 4n, of the kurtosis at most 24 / n
    let error_of_std = ((lines.kurtosis - 1.0).max(0.1) / (4.0 * n)).sqrt();
    let has = |std: f64, kurtosis: f64| {
        (lines.std / std - 1.0).abs() < ERRORS * error_of_std
            && (lines.kurtosis - kurtosis).abs() < ERRORS * (24.0 / n).sqrt()
            && lines.mean.abs() < ERRORS * lines.std / n.sqrt()
    };
    let kurtosis_of = |name: &str| match name {
        "kaiming_uniform" | "xavier_uniform" | "lecun_uniform" => 1.8,
        "he_normal" | "glorot_normal" | "lecun_normal" => TWO_SIGMA_KURTOSIS,
        _ => 3.0,
    };
    let mut initializers: Vec<String> = CANDIDATES
        .iter()
        .filter(|name| parse(name).is_some_and(|init| has(std_of(&init), kurtosis_of(name))))
        .map(ToString::to_string)
        .collect();
    // torch.nn.Linear and its like: U(-1/sqrt(fan_in), 1/sqrt(fan_in))
    if has((1.0 / (3.0 * fans.fan_in as f64)).sqrt(), 1.8) {
        initializers.push("torch default".into());
    }
    if has(0.02, 3.0) {
        initializers.push("normal(std=0.02)".into());
    }
    Some(Scale {
        alpha_kaiming: lines.std / std_of(&parse("kaiming_normal")?),
        alpha_xavier: lines.std / std_of(&parse("xavier_normal")?),
        initializers,
    })
}

/// Kurtosis of a normal law cut at two standard deviations: with the density `f` at 2 and `P = erf(sqrt 2)`, the variance is
/// `v = 1 - 4 f / P` and the fourth moment `3 v - 16 f / P`.
const TWO_SIGMA_KURTOSIS: f64 = 2.365_536_717;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::lines::lines;
    use crate::linalg::view::MatrixRef;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal, Uniform};

    fn found(draw: impl Fn(&mut rand_chacha::ChaCha8Rng) -> f64) -> Scale {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let (rows, cols) = (64, 256);
        let x: Vec<f64> = (0..rows * cols).map(|_| draw(&mut rng)).collect();
        let a = MatrixRef::row_major(&x, rows, cols).unwrap();
        let f = fans(&Role::Matrix(Orientation::OutIn), &[rows, cols]).unwrap();
        scale(&lines(&a, true, a.max_component()), f).unwrap()
    }

    #[test]
    fn fresh_weights_are_recognised_and_multiples_measured() {
        let normal = |r: &mut _| -> f64 { StandardNormal.sample(r) };
        let he = (2.0f64 / 256.0).sqrt();
        let fresh = found(|r| he * normal(r));
        assert_eq!(fresh.initializers, ["kaiming_normal"]);
        assert!((fresh.alpha_kaiming - 1.0).abs() < 0.02);
        let scaled = found(|r| 0.3 * he * normal(r));
        assert!(scaled.initializers.is_empty() && (scaled.alpha_kaiming - 0.3).abs() < 0.01);
        let uniform = Uniform::new(-1.0 / 16.0, 1.0 / 16.0).unwrap();
        assert_eq!(found(|r| uniform.sample(r)).initializers, ["torch default"]);
        // normal entries of the right spread are not uniform ones
        assert!(
            !found(|r| (1.0f64 / 3.0).sqrt() / 16.0 * normal(r))
                .initializers
                .contains(&"torch default".to_string())
        );
        let cut = found(|r| {
            loop {
                let z = normal(r);
                if z.abs() < 2.0 {
                    break z / 16.0 / 0.879_625_66;
                }
            }
        });
        assert_eq!(cut.initializers, ["lecun_normal"]);
    }

    #[test]
    fn the_kurtosis_of_a_cut_normal_law_is_the_integral() {
        let steps = 100_000;
        let h = 4.0 / f64::from(steps);
        let (mut mass, mut second, mut fourth) = (0.0, 0.0, 0.0);
        for k in 0..steps {
            let z = -2.0 + (f64::from(k) + 0.5) * h;
            let w = (-0.5 * z * z).exp();
            mass += w;
            second += w * z * z;
            fourth += w * z.powi(4);
        }
        let kurtosis = fourth * mass / (second * second);
        assert!((kurtosis - TWO_SIGMA_KURTOSIS).abs() < 1e-6, "{kurtosis}");
    }
}
