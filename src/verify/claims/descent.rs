//! Learning rates and directions.

use super::tools::normals;
use super::{Case, Claim, ClaimError, Evidence, Verdict};
use crate::linalg::symmetric::Signed;
use crate::network::NumberFormat;
use crate::theory::descent::{Outcome, judge};
use crate::theory::optimisation::{Method, OptimisationError, clipping_factor, lars_trust_ratio};
use crate::theory::precision::{Direction, Subnormals};

pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "walk-down-the-learning-rate",
        statement: "Lowering the learning rate from 0.833 to 0.437 in steps of 0.01 finds one that converges.",
        origin: "a worked example in which each rate is tried until the loss stops jumping",
        verdict: Verdict::OnlyIf,
        condition: "the largest curvature is below 2/0.443 = 4.515: exactly the rates in (0, 2/lambda_max) converge, so one division replaces the walk; 0.396 is no whole number of 0.01 steps, and the walk ends at 0.443",
        theorem: "overshoot-interval",
        command: "isometer step descent --curvature 0.1,4 --lr 0.437",
        compute: walk,
    },
    Claim {
        id: "overshooting-diverges",
        statement: "A step that overshoots the minimum is the beginning of divergence.",
        origin: "pictures of a ball that jumps higher and higher",
        verdict: Verdict::OnlyIf,
        condition: "the learning rate exceeds 2/lambda; between 1/lambda and 2/lambda every step jumps across the minimum and the error still shrinks",
        theorem: "overshoot-interval",
        command: "isometer step descent --curvature 1,4 --lr 0.3",
        compute: overshooting,
    },
    Claim {
        id: "direction-kept-is-enough",
        statement: "As long as the direction of the gradient is kept, training reaches the minimum.",
        origin: "clipping keeps the direction and is harmless",
        verdict: Verdict::False,
        condition: "the length decides too: steps below half the spacing of the weights are lost, gradients below the format are zero, steps above 2/lambda diverge",
        theorem: "ties-to-even-thresholds",
        command: "isometer step descent --curvature 1,4 --lr 0.6",
        compute: direction_kept,
    },
    Claim {
        id: "rescaling-keeps-the-direction",
        statement: "Methods that rescale gradients only change the length of the step.",
        origin: "a rescaling is thought of as one number",
        verdict: Verdict::OnlyIf,
        condition: "one number multiplies the whole gradient (clipping by global norm, a learning rate); a number for each layer (LARS, clipping by tensor) or for each element (Adam, sign, clipping by value) turns the step",
        theorem: "layerwise-rescaling",
        command: "isometer step clip grads.safetensors --max-norm 1",
        compute: rescaling,
    },
    Claim {
        id: "lars-repairs-divergence",
        statement: "Layer-wise trust ratios repair a run that has diverged.",
        origin: "LARS keeps large-batch runs from diverging",
        verdict: Verdict::False,
        condition: "the ratio bounds each step relative to the weights, before they are lost; NaN stays NaN, and weights that have grown by a factor need ln(factor)/trust steps to come back",
        theorem: "lars-step",
        command: "isometer step lars weights.safetensors --gradients grads.safetensors",
        compute: lars_repairs,
    },
    Claim {
        id: "clipping-cures-explosion",
        statement: "Clipping gradients cures exploding gradients.",
        origin: "clipped runs do not overflow",
        verdict: Verdict::False,
        condition: "clipping bounds the step and keeps the direction; it does not change the ratio between layers, the curvature limit 2/lambda (the iterate jumps about the minimum), or an infinity that is already there",
        theorem: "common-factor-keeps-ratios",
        command: "isometer step clip grads.safetensors --max-norm 1",
        compute: clipping_cures,
    },
];

/// Theorem: overshoot-interval.
fn walk() -> Result<Evidence, ClaimError> {
    // thousandths, so that every rate is the nearest double to its decimal
    let rates: Vec<f64> = (0..)
        .map(|k| 833 - 10 * k)
        .take_while(|r| *r >= 437)
        .map(|r| f64::from(r) / 1000.0)
        .collect();
    let last = rates.last().copied().unwrap_or(0.0);
    let mut cases = Vec::new();
    for lambda in [2.0, 4.0, 4.5, 4.6, 8.0] {
        let outcome = |eta: f64| {
            Ok::<_, ClaimError>(
                judge(
                    Method::GradientDescent,
                    eta,
                    Signed::point(0.1),
                    Signed::point(lambda),
                )?
                .outcome,
            )
        };
        let mut first = None;
        for eta in &rates {
            if matches!(outcome(*eta)?, Outcome::Converges | Outcome::Overshoots) {
                first = Some(*eta);
                break;
            }
        }
        let case = Case::new(
            format!(
                "largest curvature {lambda}: one of {} rates converges",
                rates.len()
            ),
            first.is_some(),
        )
        .with("exact_limit", 2.0 / lambda)
        .with("overshoots_above", 1.0 / lambda)
        .with("last_rate_of_the_walk", last)
        .with("steps_of_0.01_from_0.833_to_0.437", (0.833 - 0.437) / 0.01);
        let case = match first {
            Some(eta) => case.with("first_rate_that_converges", eta),
            None => case,
        };
        cases.push(if 2.0 / lambda > last {
            case.under_condition()
        } else {
            case
        });
    }
    Ok(Evidence { cases })
}

/// Theorem: overshoot-interval.
fn overshooting() -> Result<Evidence, ClaimError> {
    let lambda = 4.0;
    let mut cases = Vec::new();
    for eta in [0.3, 0.45, 0.51, 0.6] {
        let mut x = 1.0f64;
        let mut crossings = 0;
        for _ in 0..40 {
            let next = x - eta * lambda * x;
            crossings += u32::from(next * x < 0.0);
            x = next;
        }
        let case = Case::new(
            format!("curvature 4, learning rate {eta}, 40 steps"),
            x.abs() > 1.0,
        )
        .with("jumps_across_the_minimum", f64::from(crossings))
        .with("error_at_the_end_over_first", x.abs());
        cases.push(if eta > 2.0 / lambda {
            case.under_condition()
        } else {
            case
        });
    }
    Ok(Evidence { cases })
}

/// Theorems: ties-to-even-thresholds, overshoot-interval.
fn direction_kept() -> Result<Evidence, ClaimError> {
    let f16 = NumberFormat::F16;
    // the minimum lies at 0.5; each step points there
    let small = 2f64.powi(-13);
    let after = (0..1000).fold(1.0, |w, _| f16.round(w - small, Subnormals::Kept));
    let lost = f16.lost_step(1.0, Direction::Decrease).step;
    let gradient = f16.round(2f64.powi(-26), Subnormals::Kept);
    let diverged = (0..50).fold(1.0f64, |x, _| x - 0.6 * 4.0 * x).abs();
    let calm = (0..200).fold(1.0f64, |x, _| x - 0.1 * 4.0 * x).abs();
    Ok(Evidence {
        cases: vec![
            Case::new(
                "1000 steps of 2^-13 in f16 from weight 1 to 0.5",
                after <= 0.5,
            )
            .with("weight_at_the_end", after)
            .with("largest_lost_step", lost),
            Case::new("gradient 2^-26, kept in f16, is not zero", gradient != 0.0)
                .with("stored_gradient", gradient),
            Case::new(
                "50 exact steps along the gradient, rate 0.6, curvature 4",
                diverged < 1.0,
            )
            .with("error_over_first", diverged),
            Case::new(
                "200 exact steps along the gradient, rate 0.1, curvature 4",
                calm < 1.0,
            )
            .with("error_over_first", calm),
        ],
    })
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Each of two layers times a factor that follows from the norms of its gradient and weights.
fn by_layer(
    g: &[f64],
    w: &[f64],
    factor: impl Fn(f64, f64) -> Result<f64, OptimisationError>,
) -> Result<Vec<f64>, ClaimError> {
    let half = g.len() / 2;
    let mut out = Vec::new();
    for (g, w) in g.chunks(half).zip(w.chunks(half)) {
        let factor = factor(norm(g), norm(w))?;
        out.extend(g.iter().map(|x| factor * x));
    }
    Ok(out)
}

/// Angle in degrees between two vectors.
fn angle(a: &[f64], b: &[f64]) -> f64 {
    let (na, nb) = (norm(a), norm(b));
    // half the angle is the arc tangent of the ratio of diagonals: no digits are lost at zero
    let (mut plus, mut minus) = (0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        plus += (x / na + y / nb).powi(2);
        minus += (x / na - y / nb).powi(2);
    }
    (2.0 * minus.sqrt().atan2(plus.sqrt())).to_degrees()
}

/// Theorem: layerwise-rescaling.
fn rescaling() -> Result<Evidence, ClaimError> {
    // a layer with weights and gradients of size 1, and one of a hundredth with gradients of 10
    let g: Vec<f64> = normals(64, 41)
        .into_iter()
        .chain(normals(64, 42).iter().map(|x| 10.0 * x))
        .collect();
    let w: Vec<f64> = normals(64, 43)
        .into_iter()
        .chain(normals(64, 44).iter().map(|x| 0.01 * x))
        .collect();
    let c = clipping_factor(norm(&g), 1.0)?;
    let global: Vec<f64> = g.iter().map(|x| c * x).collect();
    let tensor = by_layer(&g, &w, |g, _| clipping_factor(g, 1.0))?;
    let lars = by_layer(&g, &w, |g, w| lars_trust_ratio(w, g, 0.0, 1e-3))?;
    let sign: Vec<f64> = g.iter().map(|x| x.signum()).collect();
    let adam: Vec<f64> = g.iter().map(|x| x / (x.abs() + 1e-8)).collect();
    let value: Vec<f64> = g.iter().map(|x| x.clamp(-1.0, 1.0)).collect();
    // rounding of 128 products
    let case = |name: &str, step: &[f64]| {
        let turned = angle(&g, step);
        Case::new(name, turned < 1e-6).with("angle_degrees", turned)
    };
    Ok(Evidence {
        cases: vec![
            case("clipping by the global norm", &global).under_condition(),
            case("clipping each layer by its norm", &tensor),
            case("clipping each element", &value),
            case("LARS", &lars),
            case("sign of the gradient", &sign),
            case("first step of Adam", &adam),
        ],
    })
}

/// Steps of LARS without decay on a quadratic until the error is below 1, at most `most`.
fn lars_steps(start: f64, trust: f64, most: usize) -> Result<(usize, f64), ClaimError> {
    let mut w = start;
    for step in 0..most {
        if w.abs() < 1.0 {
            return Ok((step, w));
        }
        let g = 4.0 * w;
        w -= lars_trust_ratio(w.abs(), g.abs(), 0.0, trust)? * g;
    }
    Ok((most, w))
}

/// Theorem: lars-step.
fn lars_repairs() -> Result<Evidence, ClaimError> {
    let trust = 1e-3;
    // rate 0.6 at curvature 4 has multiplied the error by 1.4 for 100 steps
    let start = 1.4f64.powi(100);
    let (steps, _) = lars_steps(start, trust, 1_000_000)?;
    // descent at a rate below 2/lambda comes back faster
    let mut x = start;
    let mut plain = 0;
    while x.abs() >= 1.0 {
        x -= 0.3 * 4.0 * x;
        plain += 1;
    }
    let broken = f64::NAN;
    // the library refuses to make a ratio of NaN; a framework steps with it
    let refused = lars_trust_ratio(broken, broken, 0.0, trust).is_err();
    let updated = broken - trust * broken;
    Ok(Evidence {
        cases: vec![
            Case::new(
                "error 1.4^100 after 100 diverging steps: LARS needs no more steps than went wrong",
                steps <= 100,
            )
            .with("steps_of_lars_to_error_1", steps as f64)
            .with("predicted_steps", (start.ln() / -(-trust).ln_1p()).ceil())
            .with("steps_of_descent_below_2_over_lambda", f64::from(plain)),
            Case::new(
                "weights that are NaN become finite",
                !refused && updated.is_finite(),
            )
            .with(
                "finite_after_a_step",
                f64::from(u8::from(updated.is_finite())),
            ),
        ],
    })
}

/// Theorems: common-factor-keeps-ratios, overshoot-interval.
fn clipping_cures() -> Result<Evidence, ClaimError> {
    // two layers with gradients six orders of magnitude apart
    let (first, last) = (1e6, 1.0f64);
    let c = clipping_factor(f64::hypot(first, last), 1.0)?;
    let ratio = (c * first) / (c * last);
    let mut x = 1.0f64;
    for _ in 0..1000 {
        let g = 4.0 * x;
        x -= 0.6 * clipping_factor(g.abs(), 1.0)? * g;
    }
    let infinite = f64::INFINITY;
    let clipped = (1.0 / infinite) * infinite;
    Ok(Evidence {
        cases: vec![
            Case::new(
                "layers a million apart are closer after clipping by the global norm",
                (ratio / 1e6 - 1.0).abs() > 1e-12,
            )
            .with("ratio_after", ratio),
            Case::new(
                "curvature 4, rate 0.6, clipped at 1, 1000 steps: the minimum is reached",
                x.abs() < 1e-3,
            )
            .with("distance_from_the_minimum", x.abs()),
            Case::new("an infinite gradient becomes finite", clipped.is_finite()).with(
                "finite_after_clipping",
                f64::from(u8::from(clipped.is_finite())),
            ),
        ],
    })
}
