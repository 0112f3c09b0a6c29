//! Predictions about the whole Jacobian against explicit products of a smaller number of networks.

use super::Comparison;
use crate::linalg::product::ProductOptions;
use crate::network::Model;
use crate::reference::monte_carlo::Control;
use crate::reference::random::{Purpose, stream};
use crate::reference::{Mlp, Scaled};
use crate::scale::Certainty;
use crate::theory::prediction::Prediction;
use crate::verify::statistics::{moments, normal_p_value};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use std::f64::consts::LN_2;

/// Most networks whose Jacobian is decomposed.
const MOST: u64 = 400;
/// One network in so many is decomposed.
const SHARE: u64 = 20;
/// Fewer are no sample.
const FEWEST: u64 = 50;
/// Multiplications and additions spent on all of them, about.
const BUDGET: f64 = 4e9;
/// `E X^2 / (E X)^2` of `|Ju|^2` up to which the mean of a trace over the networks is near normal: the
/// trace, an average over directions, spreads less.
const LIGHT: f64 = 3.0;
/// Seeds of these networks are apart from those of the other measurements by this much.
const SHIFT: u64 = 0x4a00_0000;

/// Singular values of one network.
struct Seen {
    /// `log2` of the non-zero ones.
    log2: Vec<f64>,
    /// Predicted rounding errors, added up.
    error: f64,
}

/// Networks that can be afforded, 0 if too few.
fn affordable(model: &Model, samples: u64) -> u64 {
    let widest = model.widths.iter().copied().max().unwrap_or(1) as f64;
    // QR of every layer and a decomposition at the end
    let one = 8.0 * widest.powi(3) * (model.depth() as f64 + 20.0);
    let count = (samples / SHARE).min(MOST).min((BUDGET / one) as u64);
    if count < FEWEST { 0 } else { count }
}

/// Expected rank, expected trace of `J^T J` and of its square, and the expected log of the volume, as far as
/// they are predicted exactly and the networks are small enough. Empty otherwise.
pub fn compare(
    model: &Model,
    prediction: &Prediction,
    samples: u64,
    seed: u64,
    control: &Control<'_>,
) -> Vec<Comparison> {
    let count = affordable(model, samples);
    let drawable = Mlp::draw(model, seed, 0).is_ok();
    if count == 0 || !drawable {
        return Vec::new();
    }
    let all: Option<Vec<Seen>> = (0..count)
        .into_par_iter()
        .map(|i| {
            if control.cancelled() {
                return None;
            }
            decompose(model, seed.wrapping_add(SHIFT), i)
        })
        .collect();
    let Some(all) = all else { return Vec::new() };
    let mut out = Vec::new();
    let j = &prediction.jacobian;
    if let Some(rank) = j.expected_rank {
        let ranks: Vec<f64> = all.iter().map(|s| s.log2.len() as f64).collect();
        out.push(mean_of(
            "jacobian.expected_rank",
            rank,
            &ranks,
            1e-12 * rank,
        ));
    }
    let ratio = prediction.jvp.as_ref().and_then(|l| l.ln_kurtosis_ratio);
    if let (Some(ln), Some(kurtosis)) = (j.ln_expected_trace, ratio)
        && kurtosis < LIGHT.ln()
    {
        out.push(log_mean_of("jacobian.ln_expected_trace", ln, &all, 2.0));
    }
    // the square of a light tail is not always light
    if let (Some(ln), Some(kurtosis)) = (j.ln_expected_trace_of_square, ratio)
        && 4.0 * kurtosis < LIGHT.ln()
    {
        out.push(log_mean_of(
            "jacobian.ln_expected_trace_of_square",
            ln,
            &all,
            4.0,
        ));
    }
    let n = model.widths[0];
    if j.log2_lyapunov.len() == n && j.expected_rank == Some(n as f64) {
        let depth = model.depth() as f64;
        let volumes: Vec<f64> = all
            .iter()
            .map(|s| s.log2.iter().sum::<f64>() / depth)
            .collect();
        let predicted = j.log2_lyapunov.iter().sum();
        let rounding = all.iter().map(|s| s.error).sum::<f64>() / (all.len() as f64 * depth);
        out.push(
            mean_of(
                "jacobian.log2_volume_per_layer",
                predicted,
                &volumes,
                rounding,
            )
            .with_note("sum of all Lyapunov exponents, in bits: exact at every depth".into()),
        );
    }
    out
}

fn decompose(model: &Model, seed: u64, index: u64) -> Option<Seen> {
    let mlp = Mlp::draw(model, seed, index).ok()?;
    let rng = &mut stream(seed, index, Purpose::Probe);
    let x: Vec<f64> = (0..model.widths[0])
        .map(|_| StandardNormal.sample(rng))
        .collect();
    let trace = mlp.forward(&Scaled::new(x));
    let options = ProductOptions {
        extended: false,
        factors: false,
        ..ProductOptions::default()
    };
    let spectrum = trace.jacobian().spectrum(&options).ok()?;
    let mut log2 = spectrum.log2_singular_values;
    log2.retain(|x| *x > f64::NEG_INFINITY);
    let errors = spectrum.log2_error_estimate.iter();
    let error = errors.filter(|e| e.is_finite()).sum();
    Some(Seen { log2, error })
}

/// A mean that the theory gives, known up to `rounding`.
fn mean_of(key: &str, predicted: f64, values: &[f64], rounding: f64) -> Comparison {
    let m = moments(values);
    let n = m.count as f64;
    let error = (m.variance / n).sqrt();
    let off = ((m.mean - predicted).abs() - rounding).max(0.0);
    let p = if off == 0.0 {
        1.0
    } else if error > 0.0 {
        normal_p_value(off / error)
    } else {
        // all at one whole number: with a mean so near it, no other value may have come up
        (1.0 - off.min(1.0)).powf(n)
    };
    let numbers = (predicted, m.mean, error);
    Comparison::tested(key.into(), numbers, p, Certainty::Exact)
        .with_note(format!("explicit Jacobians of {} networks", m.count))
}

/// `ln` of the mean of `sum sigma^power`.
fn log_mean_of(key: &str, predicted: f64, all: &[Seen], power: f64) -> Comparison {
    let ratios: Vec<f64> = all
        .iter()
        .map(|s| {
            let terms = s.log2.iter().map(|x| (power * LN_2 * x - predicted).exp());
            terms.sum()
        })
        .collect();
    let rounding = power * LN_2 * all.iter().map(|s| s.error).sum::<f64>() / all.len() as f64;
    let mut out = mean_of(key, 1.0, &ratios, rounding);
    out.predicted = predicted;
    out.measured = predicted + out.measured.ln();
    out
}
