//! Growth against alpha: a prediction for each value, the critical values, and the values that keep a
//! gradient within a factor.
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//! use isometer::theory::sweep::{Response, sweep};
//!
//! // linear layers are homogeneous: alpha = 2 on 10 of them is 2^10 on every gradient
//! let s = sweep(&Model::new(vec![4; 11], Activation::Linear), &[1.0, 2.0], 10.0, 0.9, || ()).unwrap();
//! let gain = s.points[1].log10_rms_gradient - s.points[0].log10_rms_gradient;
//! assert!((gain - 10.0 * 2f64.log10()).abs() < 1e-9 && s.response == Response::Grows);
//! assert!((s.critical.mean_square.unwrap() - 1.0).abs() < 1e-12);
//! ```

use crate::network::{AlphaAt, Model, Normalization};
use crate::scale::Certainty;
use crate::theory::effects::{Effect, effects};
use crate::theory::multiplier::{WithinFactorError, alpha_within_factor};
use crate::theory::predict::{Options, PredictError, gradient_law, growth, predict};
use crate::theory::prediction::{CriticalAlpha, Prediction, Verdict};
use rayon::prelude::*;
use std::f64::consts::LOG10_E;

/// Values of a default sweep.
const DEFAULT_COUNT: usize = 9;
/// Its ends, as factors on the critical value.
const DEFAULT_REACH: f64 = 4.0;
/// Beyond this factor from where it starts the search for a limit ends.
const LN_REACH: f64 = 46.0;

/// The network at one alpha. Gradients are those at the input over those at the output of the last hidden layer,
/// as norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The multiplier.
    pub alpha: f64,
    /// Factor on the mean square gradient per layer.
    pub chi: f64,
    /// Drift of the mean log of the squared gradient per layer.
    pub typical_ln_square_per_layer: Option<f64>,
    /// `log10` of the root mean square gradient over the whole depth.
    pub log10_rms_gradient: f64,
    /// `log10` of the typical gradient (exp of the mean log) over the whole depth.
    pub log10_typical_gradient: Option<f64>,
    /// `ln E |x_L|^2 / |x_0|^2`.
    pub ln_mean_square_forward: Option<f64>,
    /// Probability that the gradient is exactly zero.
    pub p_zero: f64,
    /// What growth is worth.
    pub certainty: Certainty,
    /// The verdict at this alpha.
    pub verdict: Verdict,
}

impl Point {
    /// `log10` of the typical gradient over the depth, or of the root mean square where that is all there is.
    pub fn log10_gradient(&self) -> f64 {
        self.log10_typical_gradient
            .unwrap_or(self.log10_rms_gradient)
    }
}

/// How gradients answer to alpha, over the values computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// They grow with its size.
    Grows,
    /// They shrink with its size.
    Falls,
    /// They do one and then the other.
    Turns,
    /// They do not change.
    Independent,
    /// There is one value only.
    Unknown,
}

impl Response {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Response::Grows => "grows-with-alpha",
            Response::Falls => "falls-with-alpha",
            Response::Turns => "not-monotone",
            Response::Independent => "independent-of-alpha",
            Response::Unknown => "one-value",
        }
    }
}

/// Values of alpha that keep the gradient at the input within a factor of that at the last hidden layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Within {
    /// The factor on norms, up or down.
    pub factor: f64,
    /// The probability asked for.
    pub probability: f64,
    /// Smallest and largest such alpha; none if no alpha is enough. `(0, inf)` where alpha does not matter.
    pub interval: Option<(f64, f64)>,
    /// The most probable alpha and its probability, where a law is known at finite width.
    pub best: Option<(f64, f64)>,
    /// What it is worth.
    pub certainty: Certainty,
}

/// Everything about a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// One for each alpha, in the order given.
    pub points: Vec<Point>,
    /// Critical values.
    pub critical: CriticalAlpha,
    /// The network at the critical values: `mean_square` or `typical`, and the point.
    pub at_critical: Vec<(&'static str, Point)>,
    /// Staying within a factor.
    pub within: Within,
    /// How gradients answer.
    pub response: Response,
    /// The alpha of the factors in the list of consequences.
    pub effects_at: f64,
    /// Consequences.
    pub effects: Vec<Effect>,
    /// Layers.
    pub depth: usize,
    /// Where some point lies beyond it: the alpha from which a bounded activation leaves less than one unit
    /// of the narrowest layer in its steep part, so that mean and typical gradient part.
    pub saturated_beyond: Option<f64>,
    /// What the predictions rest on.
    pub hypotheses: Vec<String>,
}

/// Why there is no sweep.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SweepError {
    /// One of the networks cannot be predicted.
    #[error("alpha = {alpha}: {source}")]
    Predict {
        /// Its multiplier.
        alpha: f64,
        /// Why.
        source: PredictError,
    },
    /// The factor or the probability is wrong.
    #[error(transparent)]
    Within(#[from] WithinFactorError),
}

fn with_alpha(model: &Model, alpha: f64) -> Model {
    let mut model = model.clone();
    model.alpha.value = alpha;
    model
}

fn predict_at(model: &Model, alpha: f64) -> Result<Prediction, SweepError> {
    predict(&with_alpha(model, alpha), &Options::default())
        .map_err(|source| SweepError::Predict { alpha, source })
}

fn point(model: &Model, alpha: f64, p: &Prediction) -> Point {
    let depth = model.depth() as f64;
    let log10 = |ln_square: f64| 0.5 * depth * ln_square * LOG10_E;
    let law = p.input_gradient.as_ref().or(p.jvp.as_ref());
    Point {
        alpha,
        chi: p.growth.chi,
        typical_ln_square_per_layer: p.growth.typical_ln_square_per_layer,
        log10_rms_gradient: log10(p.growth.ln_chi),
        log10_typical_gradient: p.growth.typical_ln_square_per_layer.map(log10),
        ln_mean_square_forward: p.forward.as_ref().map(|l| l.ln_mean_square),
        p_zero: law.map_or(0.0, |l| l.p_zero),
        certainty: p.growth.certainty,
        verdict: p.verdict,
    }
}

/// Log-spaced values around the critical alpha: the typical one where it is known, else that of the mean square,
/// and `alpha` where there is neither.
///
/// # Examples
/// ```
/// use isometer::theory::{prediction::CriticalAlpha, sweep::default_alphas};
/// let critical = |mean_square| CriticalAlpha { mean_square, typical: None };
/// let has = |alphas: Vec<f64>, x: f64| alphas.iter().any(|a| (a - x).abs() < 1e-12);
/// assert!(has(default_alphas(&critical(Some(0.5)), 3.0), 0.5));
/// assert!(has(default_alphas(&critical(None), 3.0), 3.0));
/// ```
pub fn default_alphas(critical: &CriticalAlpha, alpha: f64) -> Vec<f64> {
    let centre = critical.typical.or(critical.mean_square).unwrap_or(alpha);
    let half = (DEFAULT_COUNT / 2) as f64;
    (0..DEFAULT_COUNT)
        .map(|i| centre * DEFAULT_REACH.powf((i as f64 - half) / half))
        .collect()
}

/// Predicts the network at every alpha; the default values where there are none. `done` is called once for each.
///
/// # Errors
/// [`SweepError`].
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::theory::sweep::sweep;
/// let mut model = Model::new(vec![4; 101], Activation::Linear);
/// model.weights = "gaussian:sigma_w2=4".parse().unwrap();
/// // a hundred 4 x 4 matrices of standard normal entries
/// let s = sweep(&model, &[1.0], 10.0, 0.5, || ()).unwrap();
/// assert!((s.critical.mean_square.unwrap() - 0.5).abs() < 1e-9); // keeps the mean square
/// assert!((s.critical.typical.unwrap() - 0.5724).abs() < 1e-4); // keeps what one run sees
/// ```
pub fn sweep(
    model: &Model,
    alphas: &[f64],
    factor: f64,
    probability: f64,
    done: impl Fn() + Sync,
) -> Result<Sweep, SweepError> {
    let own = predict_at(model, model.alpha.value)?;
    let critical = own.critical_alpha;
    let defaults;
    let alphas = if alphas.is_empty() {
        defaults = default_alphas(&critical, model.alpha.value);
        &defaults
    } else {
        alphas
    };
    let points = alphas
        .par_iter()
        .map(|&alpha| {
            let p = point(model, alpha, &predict_at(model, alpha)?);
            done();
            Ok(p)
        })
        .collect::<Result<Vec<_>, SweepError>>()?;
    let at_critical = [
        ("mean_square", critical.mean_square),
        ("typical", critical.typical),
    ]
    .into_iter()
    .filter_map(|(name, alpha)| Some((name, alpha?)))
    .map(|(name, alpha)| Ok((name, point(model, alpha, &predict_at(model, alpha)?))))
    .collect::<Result<Vec<_>, SweepError>>()?;
    let response = response(points.iter().chain(at_critical.iter().map(|(_, p)| p)));
    let effects_at = if model.alpha.value != 1.0 {
        model.alpha.value
    } else {
        critical.typical.or(critical.mean_square).unwrap_or(1.0)
    };
    Ok(Sweep {
        saturated_beyond: saturated_beyond(model, &points),
        within: within(model, &critical, factor, probability)?,
        effects: effects(model, effects_at),
        points,
        critical,
        at_critical,
        response,
        effects_at,
        depth: model.depth(),
        hypotheses: own.hypotheses,
    })
}

fn response<'a>(points: impl Iterator<Item = &'a Point>) -> Response {
    let mut levels: Vec<(f64, f64)> = points
        .map(|p| (p.alpha.abs(), p.log10_gradient()))
        .collect();
    levels.sort_by(|a, b| a.0.total_cmp(&b.0));
    levels.dedup_by(|a, b| (a.0 / b.0 - 1.0).abs() < 1e-9);
    if levels.len() < 2 {
        return Response::Unknown;
    }
    // growth is computed to 1e-9 and better
    let step = |w: &[(f64, f64)]| w[1].1 - w[0].1;
    let noise = |w: &[(f64, f64)]| 1e-9 * (1.0 + w[0].1.abs());
    let up = levels.windows(2).any(|w| step(w) > noise(w));
    let down = levels.windows(2).any(|w| step(w) < -noise(w));
    match (up, down) {
        (true, false) => Response::Grows,
        (false, true) => Response::Falls,
        (true, true) => Response::Turns,
        (false, false) => Response::Independent,
    }
}

/// Pre-activations have size `alpha sigma_w`, and a share of about its inverse lies in the steep part.
fn saturated_beyond(model: &Model, points: &[Point]) -> Option<f64> {
    let phi = &model.activation;
    let flat = |x: f64| (phi.value(10.0 * x) - phi.value(x)).abs() < 1e-3;
    let plain = model.normalization == Normalization::None && model.residual.is_none();
    if !(plain && flat(1e5) && flat(-1e5)) {
        return None;
    }
    let narrowest = model.widths.iter().min().map_or(1.0, |n| *n as f64);
    let sigma_w = with_alpha(model, 1.0).layer(1).weight.sigma_w2.sqrt();
    let limit = narrowest / sigma_w;
    let beyond = points.iter().any(|p| p.alpha.abs() > limit);
    beyond.then_some(limit)
}

/// Hidden layers that alpha multiplies.
fn acted(model: &Model) -> usize {
    match model.alpha.at {
        AlphaAt::Weights | AlphaAt::Multiplier => model.depth(),
        AlphaAt::Layer(k) => usize::from(k <= model.depth()),
    }
}

/// For which alpha the gradient at the input stays within `factor` of the root mean square one at the last hidden layer.
fn within(
    model: &Model,
    critical: &CriticalAlpha,
    factor: f64,
    probability: f64,
) -> Result<Within, SweepError> {
    let own = model.alpha.value.abs();
    let law = gradient_law(model).map_err(|source| SweepError::Predict { alpha: own, source })?;
    if let (Some((law, certainty)), layers @ 1..) = (law, acted(model)) {
        // relative to the gradient that the readout starts with
        let readout = model.layer(model.depth() + 1);
        let start = readout
            .singular_value()
            .map_or(readout.weight.sigma_w2, |g| g * g)
            .ln();
        let found = alpha_within_factor(layers, factor, probability, law.p_zero(), |x| {
            law.cdf_ln_square(x + start).value
        })?;
        return Ok(Within {
            factor,
            probability,
            interval: found.interval.map(|(a, b)| (a * own, b * own)),
            best: Some((found.best_alpha * own, found.best_probability)),
            certainty,
        });
    }
    if !(factor > 1.0 && factor.is_finite()) {
        return Err(WithinFactorError::Factor { factor }.into());
    }
    if !(probability > 0.0 && probability < 1.0) {
        return Err(WithinFactorError::Probability { probability }.into());
    }
    let start = critical.mean_square.or(critical.typical).unwrap_or(own);
    let inside = |ln: f64| -> Result<bool, SweepError> {
        let alpha = start * ln.exp();
        let (growth, variance) = growth(&with_alpha(model, alpha))
            .map_err(|source| SweepError::Predict { alpha, source })?;
        let reach = 2.0 * factor.ln();
        let depth = model.depth() as f64;
        Ok(match (growth.typical_ln_square_per_layer, variance) {
            (Some(typical), Some(variance)) if variance > 0.0 => {
                let scale = (2.0 * variance).sqrt();
                let below = |x: f64| 0.5 * libm::erfc((typical * depth - x) / scale);
                below(reach) - below(-reach) >= probability
            }
            // wide layers: no spread
            _ => (growth.ln_chi * depth).abs() <= reach,
        })
    };
    let interval = if !inside(0.0)? {
        None
    } else {
        let (low, high) = rayon::join(|| limit(-1.0, inside), || limit(1.0, inside));
        Some((start * low?.exp(), start * high?.exp()))
    };
    Ok(Within {
        factor,
        probability,
        interval,
        best: None,
        certainty: Certainty::Asymptotic,
    })
}

/// Where, going from 0 in one direction, a property is lost; infinite if it never is.
fn limit<E>(sign: f64, inside: impl Fn(f64) -> Result<bool, E>) -> Result<f64, E> {
    let (mut good, mut bad) = (0.0, 0.125);
    while inside(sign * bad)? {
        good = bad;
        bad *= 2.0;
        if bad > LN_REACH {
            return Ok(sign * f64::INFINITY);
        }
    }
    // to 1e-6 of alpha
    while bad - good > 1e-6 {
        let middle = 0.5 * (good + bad);
        if inside(sign * middle)? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Ok(sign * good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::WeightInit;
    use crate::network::activation::Activation;

    /// The product of d2l, section on numerical stability: 100 matrices of 4 x 4 standard Gaussians.
    fn product() -> Model {
        let mut model = Model::new(vec![4; 101], Activation::Linear);
        model.weights = WeightInit::gaussian(4.0);
        model
    }

    fn run(model: &Model, alphas: &[f64]) -> Sweep {
        sweep(model, alphas, 10.0, 0.9, || ()).unwrap()
    }

    #[test]
    fn a_product_of_gaussians_at_its_critical_alpha() {
        let s = run(&product(), &[]);
        let typical = s.critical.typical.unwrap();
        // psi(2) = 1 - gamma: exp(-(ln 2 + psi(2)) / 2)
        let truth = (-0.5 * (2f64.ln() + 1.0 - 0.577_215_664_901_532_9)).exp();
        assert!((typical - truth).abs() < 1e-10, "{typical} {truth}");
        assert!((s.critical.mean_square.unwrap() - 0.5).abs() < 1e-12);
        let at = s
            .at_critical
            .iter()
            .find(|(n, _)| *n == "typical")
            .unwrap()
            .1;
        assert!(at.log10_typical_gradient.unwrap().abs() < 1e-9);
        // the mean square grows by (4 alpha^2)^100
        let rms = 100.0 * (2.0 * truth).log10();
        assert!((at.log10_rms_gradient - rms).abs() < 1e-9);
        assert_eq!(s.points.len(), 9);
        assert!((s.points[4].alpha - typical).abs() < 1e-12);
        assert_eq!(s.response, Response::Grows);
    }

    /// Moments move with alpha as its power does: every point follows from one.
    #[test]
    fn the_law_only_shifts() {
        let s = run(&product(), &[0.3, 0.6, 1.2]);
        for w in s.points.windows(2) {
            let shift = 100.0 * (w[1].alpha / w[0].alpha).log10();
            let rms = w[1].log10_rms_gradient - w[0].log10_rms_gradient;
            let typical =
                w[1].log10_typical_gradient.unwrap() - w[0].log10_typical_gradient.unwrap();
            assert!((rms - shift).abs() < 1e-9 && (typical - shift).abs() < 1e-9);
        }
    }

    #[test]
    fn limits_are_where_the_probability_is_met() {
        let mut model = product();
        model.widths = vec![64; 11];
        model.weights = WeightInit::gaussian(1.0);
        let s = run(&model, &[]);
        let (low, high) = s.within.interval.unwrap();
        assert!(low < 1.0 && 1.0 < high);
        let probability = |alpha: f64| {
            let (law, _) = gradient_law(&with_alpha(&model, alpha)).unwrap().unwrap();
            // the readout is multiplied as well
            let start = 2.0 * alpha.ln();
            let reach = 2.0 * 10f64.ln();
            law.cdf_ln_square(start + reach).value - law.cdf_ln_square(start - reach).value
        };
        for alpha in [low, high] {
            assert!((probability(alpha) - 0.9).abs() < 1e-6, "{alpha}");
        }
        assert!(probability(1.02 * high) < 0.9 && probability(0.98 * low) < 0.9);
        // too deep for its width: no alpha holds nine draws in ten
        assert_eq!(run(&product(), &[]).within.interval, None);
        // alpha on the model moves nothing
        let scaled = run(&with_alpha(&model, 0.25), &[]);
        assert!((scaled.within.interval.unwrap().0 / low - 1.0).abs() < 1e-9);
    }

    #[test]
    fn limits_of_a_smooth_activation_are_log_normal() {
        let model = Model::new(vec![100; 21], Activation::Tanh);
        let s = run(&model, &[0.5, 2.0]);
        let (low, high) = s.within.interval.unwrap();
        let reach = 2.0 * 10f64.ln();
        for alpha in [low, high] {
            let (growth, variance) = growth(&with_alpha(&model, alpha)).unwrap();
            let mean = 20.0 * growth.typical_ln_square_per_layer.unwrap();
            let scale = (2.0 * variance.unwrap()).sqrt();
            let below = |x: f64| 0.5 * libm::erfc((mean - x) / scale);
            let p = below(reach) - below(-reach);
            // the search ends at a part in 10^6 of alpha
            assert!((p - 0.9).abs() < 1e-5, "{alpha}: {p}");
        }
        assert_eq!(s.within.certainty, Certainty::Asymptotic);
        assert_eq!(s.saturated_beyond, None);
        let large = run(&model, &[1000.0]).saturated_beyond.unwrap();
        assert!((50.0..200.0).contains(&large), "{large}");
    }

    #[test]
    fn questions_without_an_answer_are_refused() {
        let refused = |f, p| sweep(&product(), &[], f, p, || ()).unwrap_err();
        assert!(matches!(refused(0.5, 0.9), SweepError::Within(_)));
        assert!(matches!(refused(10.0, 1.0), SweepError::Within(_)));
        let zero = sweep(&product(), &[0.0], 10.0, 0.9, || ()).unwrap_err();
        assert!(zero.to_string().starts_with("alpha = 0:"), "{zero}");
    }
}
