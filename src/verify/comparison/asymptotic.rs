//! Predictions for wide layers, held to the order they claim.
//!
//! Such a prediction is not wrong because a narrow network deviates from it; it is wrong if the
//! deviation does not vanish as the width grows. Networks of `n`, `2n` and `4n` units are measured, each
//! with its own prediction, the deviation is extrapolated as `a + b/n + c/n^2`, and `a = 0` is tested.
//! A variance of first order is compared times the width, so that its coefficient is what is tested;
//! where the law of another ensemble is borrowed (entries that are not normal), only its limit is claimed: the
//! readout's entries are met without a sum over them, so that their kurtosis stays at order `1/n`.
//!
//! Start with [`family`] and [`compare`]; `isometer check` does both for models without an exact law.

use super::Comparison;
use crate::network::{AlphaAt, Model, WeightKind};
use crate::reference::measure::Quantity;
use crate::reference::monte_carlo::Measurement;
use crate::scale::Certainty;
use crate::theory::prediction::{Law, Prediction};
use crate::verify::statistics::{moments, normal_p_value};

/// Relative standard error of a mean square from which it is no longer a number to compare.
const VAGUE: f64 = 0.1;
/// Weights that cancel `1/n` and `1/n^2` at `n`, `2n`, `4n`.
const THREE: [f64; 3] = [1.0 / 3.0, -2.0, 8.0 / 3.0];

/// One width.
#[derive(Clone, Debug)]
pub struct Run {
    /// Units of the input, in proportion to all layers.
    pub width: f64,
    /// What is predicted at this width.
    pub prediction: Prediction,
    /// What was measured.
    pub measurement: Measurement,
    /// Whether variances are claimed to first order in 1/width.
    pub first_order: bool,
}

/// The model at one, two and four times its widths. Weights of a fixed deviation are divided by the root of that
/// factor, by way of alpha, so that the limit exists; where alpha is bound to one layer or to a multiplier, the
/// model alone.
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::verify::comparison::asymptotic::family;
/// let widths: Vec<usize> = family(&Model::new(vec![8; 3], Activation::Tanh)).iter().map(|m| m.widths[1]).collect();
/// assert_eq!(widths, [8, 16, 32]);
/// ```
pub fn family(model: &Model) -> Vec<Model> {
    let grown = |wide: &Model| {
        let ratio = |l: usize| wide.layer(l).weight.sigma_w2 / model.layer(l).weight.sigma_w2;
        (1..=model.depth()).map(ratio).fold(1.0, f64::max)
    };
    let at = |factor: usize| {
        let mut wide = model.clone();
        wide.widths.iter_mut().for_each(|n| *n *= factor);
        if grown(&wide) > 1.5 && wide.alpha.at == AlphaAt::Weights {
            wide.alpha.value /= (factor as f64).sqrt();
        }
        wide
    };
    let widest = at(4);
    if widest.validate().is_ok() && grown(&widest) < 1.5 {
        vec![model.clone(), at(2), widest]
    } else {
        vec![model.clone()]
    }
}

/// Whether the weights are of a law for which fluctuations are predicted.
pub fn is_first_order(model: &Model) -> bool {
    (1..=model.depth() + 1).all(|l| {
        matches!(
            model.layer(l).weight.kind,
            WeightKind::Gaussian | WeightKind::Orthogonal
        )
    })
}

/// One number at one width.
#[derive(Clone, Copy, Debug)]
struct Point {
    predicted: f64,
    measured: f64,
    error: f64,
    /// Multiplies the deviation before it is extrapolated.
    scale: f64,
}

/// Everything that the runs can say about the predictions.
pub fn compare(runs: &[Run]) -> Vec<Comparison> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for &quantity in first.measurement.quantities() {
        for part in ["mean_ln_square", "var_ln_square", "ln_mean_square"] {
            let points: Vec<Point> = runs
                .iter()
                .filter_map(|run| point(run, quantity, part))
                .collect();
            if points.is_empty() {
                continue;
            }
            let key = if quantity == Quantity::Growth {
                "growth.ln_chi".into()
            } else {
                format!("{quantity}.{part}")
            };
            out.push(extrapolate(key, &points, first.width));
        }
    }
    out
}

fn law(prediction: &Prediction, quantity: Quantity) -> Option<&Law> {
    match quantity {
        Quantity::Forward => prediction.forward.as_ref(),
        Quantity::Jvp => prediction.jvp.as_ref(),
        Quantity::InputGradient => prediction.input_gradient.as_ref(),
        Quantity::WeightGradient(l) => prediction
            .weight_gradients
            .iter()
            .find(|(k, _)| *k == l)
            .map(|(_, law)| law),
        Quantity::InputGradientElement | Quantity::Growth => None,
    }
}

/// Prediction and measurement of one part of a law; a mean square is compared only where the law
/// of the logarithm is not predicted.
fn point(run: &Run, quantity: Quantity, part: &str) -> Option<Point> {
    let alive: Vec<f64> = run
        .measurement
        .column(quantity)?
        .iter()
        .copied()
        .filter(|x| *x > f64::NEG_INFINITY)
        .collect();
    if alive.len() < 100 {
        return None;
    }
    let n = alive.len() as f64;
    let m = moments(&alive);
    let point = |predicted, measured, error| {
        Some(Point {
            predicted,
            measured,
            error,
            scale: 1.0,
        })
    };
    let error = (m.variance / n).sqrt();
    if quantity == Quantity::Growth {
        // where a law of the gradient is predicted it says more
        let known = run.prediction.input_gradient.is_some();
        return (part == "mean_ln_square" && !known)
            .then(|| point(run.prediction.growth.ln_chi, m.mean, error))
            .flatten();
    }
    let law = law(&run.prediction, quantity)?;
    match (part, law.mean_ln_square, law.var_ln_square) {
        ("mean_ln_square", Some(mean), _) => point(mean, m.mean, error),
        ("var_ln_square", _, Some(variance)) => {
            let fourth = m.fourth_cumulant.max(-2.0 * m.variance * m.variance);
            let error = (fourth / n + 2.0 * m.variance * m.variance / (n - 1.0)).sqrt();
            Some(Point {
                predicted: variance,
                measured: m.variance,
                error,
                scale: if run.first_order { run.width } else { 1.0 },
            })
        }
        ("ln_mean_square", None, _) => {
            // relative to the prediction; the zeros count
            let all = run.measurement.samples() as f64;
            let ratios: Vec<f64> = alive
                .iter()
                .map(|x| (x - law.ln_mean_square).exp())
                .collect();
            let mean = ratios.iter().sum::<f64>() / all;
            let square = ratios.iter().map(|r| r * r).sum::<f64>() / all;
            let error = ((square - mean * mean) / all).sqrt() / mean;
            point(law.ln_mean_square, law.ln_mean_square + mean.ln(), error)
        }
        _ => None,
    }
}

fn extrapolate(key: String, points: &[Point], width: f64) -> Comparison {
    let first = points[0];
    let values = (first.predicted, first.measured);
    let refuse =
        |why: &str| Comparison::untested(key.clone(), values, Certainty::Asymptotic, why.into());
    if points.len() < 3 {
        return refuse(
            "holds for wide layers, and this model cannot be widened without changing it",
        );
    }
    if points
        .iter()
        .any(|p| !(p.error < VAGUE.max(0.5 * p.measured.abs()) || p.scale != 1.0))
    {
        return refuse("the tail is too heavy for so many samples");
    }
    let deviation = |p: &Point| p.scale * (p.measured - p.predicted);
    let d: Vec<f64> = points.iter().map(deviation).collect();
    let limit: f64 = THREE.iter().zip(&d).map(|(w, d)| w * d).sum();
    let error = THREE
        .iter()
        .zip(points)
        .map(|(w, p)| (w * p.scale * p.error).powi(2))
        .sum::<f64>()
        .sqrt();
    // what the last order of the extrapolation contributes bounds what the next one leaves
    let two = 2.0 * d[2] - d[1];
    let truncation = (limit - two).abs();
    let beyond = (limit.abs() - truncation).max(0.0);
    let p = if error > 0.0 {
        normal_p_value(beyond / error)
    } else {
        f64::from(u8::from(
            limit.abs() <= truncation + 1e-12 * (1.0 + first.predicted.abs()),
        ))
    };
    let slope = (d[0] - d[2]) * width / 0.75;
    let what = if first.scale == 1.0 {
        "deviation"
    } else {
        "deviation times width"
    };
    Comparison::tested(key.clone(), (first.predicted, first.measured, first.error), p, Certainty::Asymptotic)
        .with_note(format!(
            "{what} at widths n, 2n, 4n: {:.2e}, {:.2e}, {:.2e}; slope in 1/n {slope:.2e}; limit {limit:.1e}, standard error {error:.1e}, truncation {truncation:.1e}",
            d[0], d[1], d[2]
        ))
}
