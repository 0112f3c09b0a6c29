//! Exact laws against samples: every number of a law, each with a test whose level is known.
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//! use isometer::reference::{deferred::Deferred, measure::Sampler, monte_carlo::{Control, Measurement}};
//! use isometer::theory::predict::laws;
//! use isometer::verify::comparison::{exact::compare, judge};
//!
//! let mut model = Model::new(vec![4; 3], Activation::Relu);
//! let sampler = Deferred::new(&model, 1).unwrap();
//! let mut found = Measurement::new(sampler.quantities());
//! found.extend(&sampler, 500, &Control::default());
//! assert!(!judge(&mut compare(&laws(&model, &[]).unwrap().unwrap(), &found), 0.001));
//! // the laws of networks that are twice as wide do not fit
//! model.widths = vec![8; 3];
//! assert!(judge(&mut compare(&laws(&model, &[]).unwrap().unwrap(), &found), 0.001));
//! ```

use super::Comparison;
use crate::reference::measure::Quantity;
use crate::reference::monte_carlo::Measurement;
use crate::scale::Certainty;
use crate::theory::laws::{Factor, ProductLaw};
use crate::theory::predict::Laws;
use crate::verify::statistics::{
    EXPECTED_DISTANCE, EXPECTED_DISTANCE_DEVIATION, binomial_p_value, ks_distance, ks_p_value,
    moments, skewed_p_value, variance_p_value,
};

/// Fewer values than this are no sample.
const FEWEST: usize = 20;
/// Skewness of a mean up to which its law is taken as a gamma law.
const SKEWED: f64 = 0.1;
/// Orders of the moment `E X^s`, the most telling first.
const ORDERS: [f64; 10] = [1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.02, 0.01];
/// Quantiles compared.
const QUANTILES: [f64; 3] = [0.05, 0.5, 0.95];

/// Every law of a network against what was measured of it.
pub fn compare(laws: &Laws, measurement: &Measurement) -> Vec<Comparison> {
    measurement
        .quantities()
        .iter()
        .filter_map(|&q| Some((q, law_of(laws, q)?, measurement.column(q)?)))
        .flat_map(|(q, law, values)| compare_law(&q.to_string(), law, values))
        .collect()
}

/// The law of one quantity, where there is one.
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::reference::measure::Quantity;
/// use isometer::{theory::predict::laws, verify::comparison::exact::law_of};
/// let found = laws(&Model::new(vec![4; 3], Activation::Relu), &[]).unwrap().unwrap();
/// assert!(law_of(&found, Quantity::Jvp).is_some() && law_of(&found, Quantity::WeightGradient(1)).is_none());
/// ```
pub fn law_of(laws: &Laws, quantity: Quantity) -> Option<&ProductLaw> {
    match quantity {
        Quantity::Forward => laws.forward.as_ref(),
        Quantity::Jvp => Some(&laws.jvp),
        Quantity::InputGradient => Some(&laws.input_gradient),
        Quantity::InputGradientElement => Some(&laws.input_gradient_element),
        Quantity::WeightGradient(l) => laws
            .weight_gradients
            .iter()
            .find(|(k, _)| *k == l)
            .map(|(_, law)| law),
        Quantity::Growth => None,
    }
}

/// One exact law against a sample of `ln X`, `-inf` for zeros: `P(X = 0)`, mean and variance of `ln X`, three
/// quantiles, the whole distribution function, and one moment of `X`.
///
/// # Examples
/// ```
/// use isometer::theory::laws::{Factor, ProductLaw};
/// use isometer::verify::comparison::{exact::compare_law, judge};
/// // the quantiles of an exponential law with mean 2, evenly spaced, as a sample
/// let law = ProductLaw::new(&[(Factor::ChiSquare { n: 2, scale: 1.0 }, 1)]).unwrap();
/// let sample = |mean: f64| -> Vec<f64> {
///     (0..500).map(|k| (-mean * (1.0 - (f64::from(k) + 0.5) / 500.0).ln()).ln()).collect()
/// };
/// assert!(!judge(&mut compare_law("x", &law, &sample(2.0)), 0.001));
/// assert!(judge(&mut compare_law("x", &law, &sample(3.0)), 0.001)); // another law is noticed
/// ```
pub fn compare_law(name: &str, law: &ProductLaw, ln_values: &[f64]) -> Vec<Comparison> {
    let key = |part: &str| format!("{name}.{part}");
    let mut sorted: Vec<f64> = ln_values
        .iter()
        .copied()
        .filter(|x| *x > f64::NEG_INFINITY)
        .collect();
    sorted.sort_by(f64::total_cmp);
    let not_numbers = ln_values.iter().filter(|x| x.is_nan()).count();
    let alive = sorted.len() + not_numbers;
    let mut out = vec![zeros(key("p_zero"), law, ln_values.len(), alive)];
    let overflown = sorted.last().copied().filter(|x| !x.is_finite());
    if let Some(bad) = overflown.or((not_numbers > 0).then_some(f64::NAN)) {
        out.push(
            Comparison::tested(
                key("mean_ln_square"),
                (law.mean_ln_square(), bad, 0.0),
                0.0,
                Certainty::Exact,
            )
            .with_note("measured a number that is not finite".into()),
        );
        return out;
    }
    if sorted.len() < FEWEST {
        out.push(Comparison::untested(
            key("mean_ln_square"),
            (law.mean_ln_square(), f64::NAN),
            Certainty::Exact,
            format!(
                "{} of {} networks are not exactly zero; more samples are needed",
                sorted.len(),
                ln_values.len()
            ),
        ));
        return out;
    }
    if law.var_ln_square() == 0.0 {
        out.push(constant(key("mean_ln_square"), law, &sorted));
        return out;
    }
    out.extend(logs(&key, law, &sorted));
    out.extend(QUANTILES.map(|p| quantile(&key, law, &sorted, p)));
    out.push(whole(key("distribution"), law, &sorted));
    out.push(moment(&key, law, &sorted));
    out
}

fn zeros(key: String, law: &ProductLaw, all: usize, alive: usize) -> Comparison {
    let dead = (all - alive) as u64;
    let p = law.p_zero();
    let n = all as f64;
    let error = (p * (1.0 - p) / n).sqrt();
    let p_value = binomial_p_value(dead, all as u64, p);
    Comparison::tested(key, (p, dead as f64 / n, error), p_value, Certainty::Exact)
}

/// A law of one value: every sample must have it, up to the rounding of sums of squares.
fn constant(key: String, law: &ProductLaw, sorted: &[f64]) -> Comparison {
    let predicted = law.mean_ln_square();
    let far = |x: f64| (x - predicted).abs();
    let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
    let worst = if far(low) > far(high) { low } else { high };
    // each layer rounds as many products and sums as it has units, and a few scalings
    let (factors, _) = law.factors();
    let operations: f64 = factors
        .iter()
        .map(|(f, count)| *count as f64 * (units(f) + 16) as f64)
        .sum();
    let tolerance = 8.0 * f64::EPSILON * (operations + predicted.abs());
    let p = f64::from(u8::from(far(worst) <= tolerance));
    Comparison::tested(key, (predicted, worst, tolerance), p, Certainty::Exact)
        .with_note("the same for every network; the standard error is a bound on rounding".into())
}

fn units(factor: &Factor) -> usize {
    match *factor {
        Factor::Gated { n, .. } | Factor::ChiSquare { n, .. } => n,
        Factor::Sphere { ambient, .. } => ambient,
        Factor::Constant { .. } => 1,
    }
}

/// Third and fourth cumulants of `ln X` given `X > 0`, by central differences of the exact cumulant
/// generating function; a per cent is enough, they correct p-values.
fn cumulants(law: &ProductLaw) -> Option<(f64, f64)> {
    let h = (0.1 / law.var_ln_square().sqrt()).min(0.05);
    let k = |i: f64| {
        law.ln_moment(i * h)
            .map(|k| k - i * h * law.mean_ln_square())
    };
    let (a, b, c, d) = (k(-2.0)?, k(-1.0)?, k(1.0)?, k(2.0)?);
    let third = (d - 2.0 * c + 2.0 * b - a) / (2.0 * h.powi(3));
    let fourth = (d - 4.0 * c - 4.0 * b + a) / h.powi(4);
    Some((third, fourth))
}

/// Mean and variance of the logarithm; errors are those of the predicted law, not of the sample.
fn logs(key: &dyn Fn(&str) -> String, law: &ProductLaw, sorted: &[f64]) -> Vec<Comparison> {
    let m = moments(sorted);
    let n = m.count as f64;
    let variance = law.var_ln_square();
    let (third, fourth) = cumulants(law).unwrap_or((0.0, m.fourth_cumulant));
    let error = (variance / n).sqrt();
    let skewness = third / variance.powf(1.5) / n.sqrt();
    let p = skewed_p_value((m.mean - law.mean_ln_square()) / error, skewness);
    let mean = Comparison::tested(
        key("mean_ln_square"),
        (law.mean_ln_square(), m.mean, error),
        p,
        Certainty::Exact,
    );
    let name = key("var_ln_square");
    let spread = match variance_p_value(m.variance, variance, fourth, m.count) {
        Some((error, p)) => {
            Comparison::tested(name, (variance, m.variance, error), p, Certainty::Exact)
        }
        None => Comparison::untested(
            name,
            (variance, m.variance),
            Certainty::Exact,
            "the variance of so few samples has no usable law; more samples are needed".into(),
        ),
    };
    vec![mean, spread]
}

/// How many samples lie below the predicted quantile is binomial, exactly.
fn quantile(key: &dyn Fn(&str) -> String, law: &ProductLaw, sorted: &[f64], p: f64) -> Comparison {
    let n = sorted.len();
    let predicted = law.quantile_ln_square(p).value;
    let below = sorted.partition_point(|x| *x <= predicted);
    let p_value = binomial_p_value(below as u64, n as u64, p);
    // order statistics a standard deviation of the count apart
    let spread = (n as f64 * p * (1.0 - p)).sqrt();
    let at = |rank: f64| sorted[(rank.round().max(0.0) as usize).min(n - 1)];
    let middle = n as f64 * p - 0.5;
    let error = 0.5 * (at(middle + spread) - at(middle - spread));
    Comparison::tested(
        key(&format!("quantile_ln_square_{p}")),
        (predicted, at(middle), error),
        p_value,
        Certainty::Exact,
    )
}

/// The whole law, by the largest distance between distribution functions.
fn whole(key: String, law: &ProductLaw, sorted: &[f64]) -> Comparison {
    let n = sorted.len();
    let d = ks_distance(sorted, |x| law.cdf_ln_square(x).value);
    let root = (n as f64).sqrt();
    Comparison::tested(
        key,
        (
            EXPECTED_DISTANCE / root,
            d,
            EXPECTED_DISTANCE_DEVIATION / root,
        ),
        ks_p_value(n, d),
        Certainty::Exact,
    )
    .with_note("largest distance between distribution functions, and what chance makes of it (Kolmogorov-Smirnov)".into())
}

/// Relative variance and skewness of `X^s` given `X > 0`.
fn shape_of_power(law: &ProductLaw, s: f64) -> Option<(f64, f64)> {
    let one = law.ln_moment(s)?;
    let second = (law.ln_moment(2.0 * s)? - 2.0 * one).exp();
    let third = (law.ln_moment(3.0 * s)? - 3.0 * one).exp();
    let variance = second - 1.0;
    let skewness = (third - 3.0 * second + 2.0) / variance.powf(1.5);
    (variance > 1e-10 && skewness.is_finite()).then_some((variance, skewness))
}

/// `ln E(X^s | X > 0)`.
///
/// The plain mean of a heavy tail is made by draws too rare to be in the sample: it is too small, nearly
/// always, and its own standard error does not show it. The law knows: `s` is the first of [`ORDERS`] for which
/// the mean of `n` values of `X^s` has a skewness of at most [`SKEWED`].
fn moment(key: &dyn Fn(&str) -> String, law: &ProductLaw, sorted: &[f64]) -> Comparison {
    let n = sorted.len() as f64;
    let usable = |s: &f64| {
        let (variance, skewness) = shape_of_power(law, *s)?;
        let of_mean = skewness / n.sqrt();
        (of_mean.abs() <= SKEWED).then_some((*s, variance, of_mean))
    };
    let Some((s, variance, skewness)) = ORDERS.iter().find_map(usable) else {
        return Comparison::untested(
            key("ln_moment"),
            (law.ln_mean_square() - law.ln_p_alive(), f64::NAN),
            Certainty::Exact,
            "no moment of so heavy a tail can be judged by so few samples".into(),
        );
    };
    let predicted = law.ln_moment(s).unwrap_or(f64::NAN);
    let ratio = sorted
        .iter()
        .map(|x| (s * x - predicted).exp())
        .sum::<f64>()
        / n;
    let error = (variance / n).sqrt();
    let p = skewed_p_value((ratio - 1.0) / error, skewness);
    let out = Comparison::tested(
        key(&format!("ln_moment_{s}")),
        (predicted, predicted + ratio.ln(), error),
        p,
        Certainty::Exact,
    );
    if s == 1.0 {
        return out.with_note("ln of the mean square, given that it is not zero".into());
    }
    out.with_note(format!(
        "ln E X^{s} instead of ln E X: the mean square is made by draws too rare for {} samples",
        sorted.len()
    ))
}
