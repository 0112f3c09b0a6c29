//! What a scalar on the weights does.

use super::tools::{SEED, input, ln_weight_gradients, log10_input_gradient, median, network};
use super::{Case, Claim, ClaimError, Evidence, Verdict};
use crate::network::activation::Activation;
use crate::network::{AlphaAt, Model, Normalization, NumberFormat};
use crate::reference::{Mlp, Scaled};
use crate::theory::multiplier::{Optimizer, Placement, scaling};
use crate::theory::precision::Subnormals;

pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "large-alpha-vanishes",
        statement: "Multiplying the weights by a large alpha makes gradients vanish, by a small one makes them explode.",
        origin: "answers that reason about normalized layers, or about saturation, and state the result for all networks",
        verdict: Verdict::False,
        condition: "homogeneous networks do the reverse, as alpha^(L+1); only the gradient with respect to weights in front of a normalization goes as 1/alpha",
        theorem: "multiplier-powers",
        command: "isometer alpha --depth 10 --width 64 --activation relu",
        compute: large_alpha_vanishes,
    },
    Claim {
        id: "large-alpha-explodes",
        statement: "A large alpha makes gradients explode, a small one makes them vanish.",
        origin: "the product of layer Jacobians carries alpha^L",
        verdict: Verdict::OnlyIf,
        condition: "the activation is homogeneous (ReLU, leaky ReLU, linear), or alpha stays below about the width; beyond it the median gradient of a saturating network falls, long before the mean over networks does",
        theorem: "multiplier-powers",
        command: "isometer alpha --depth 20 --width 100 --activation tanh --sigma-w2 1 --from 0.5 --to 400 --steps 12",
        compute: large_alpha_explodes,
    },
    Claim {
        id: "one-factor-for-all-gradients",
        statement: "Scaling the weights by alpha scales all gradients by the same factor.",
        origin: "linearity, carried over from one layer to many",
        verdict: Verdict::OnlyIf,
        condition: "every layer is multiplied, the activation is homogeneous and there are no biases; the factor is then alpha^L (stored once) or alpha^(L+1) (multiplier), not alpha",
        theorem: "multiplier-powers",
        command: "isometer alpha --depth 6 --width 32 --activation relu --alpha 3 --alpha-at layer:2",
        compute: one_factor,
    },
    Claim {
        id: "alpha-is-a-learning-rate",
        statement: "Scaling the weights by alpha is the same as changing the learning rate.",
        origin: "folding a constant into the step",
        verdict: Verdict::OnlyIf,
        condition: "W = alpha w is a reparametrisation (same function): the rate on W is alpha^2 eta for SGD and momentum, alpha eta for Adam and sign methods, eta for LARS and LAMB; scaling stored weights once changes the function",
        theorem: "multiplier-equivalence",
        command: "isometer step descent --curvature 1,100 --lr 0.1 --alpha 0.25",
        compute: alpha_is_a_learning_rate,
    },
    Claim {
        id: "alpha-changes-l1-l2",
        statement: "Scaling the weights changes the strength of weight penalties.",
        origin: "a penalty measures the stored numbers",
        verdict: Verdict::OnlyIf,
        condition: "the penalty is part of the loss: L2 becomes lambda/alpha^2 and L1 lambda/alpha on W = alpha w; decoupled decay (AdamW) shrinks by eta lambda a step at every alpha",
        theorem: "multiplier-equivalence",
        command: "isometer alpha --depth 10 --width 64 --activation relu --alpha 3 --alpha-at multiplier",
        compute: penalties,
    },
    Claim {
        id: "scaling-stops-learning",
        statement: "If the weights are multiplied by a scalar, learning stops altogether.",
        origin: "a run that stalled in a narrow number format or at an unsuitable learning rate",
        verdict: Verdict::OnlyIf,
        condition: "gradients leave the range of the number format; otherwise they are not zero and a learning rate exists that moves every weight",
        theorem: "ties-to-even-thresholds",
        command: "isometer precision --depth 10 --width 64 --activation relu --alpha 1e-5",
        compute: learning_stops,
    },
    Claim {
        id: "batch-norm-undoes-scaling",
        statement: "Normalization undoes a scaling of the weights in front of it.",
        origin: "the forward pass does not change",
        verdict: Verdict::OnlyIf,
        condition: "one looks at the function alone; the gradient with respect to the weights goes as 1/alpha and the effective learning rate of SGD as 1/alpha^2",
        theorem: "multiplier-equivalence",
        command: "isometer alpha --depth 6 --width 32 --activation relu --normalization layer --alpha 3 --alpha-at layer:2",
        compute: normalization_undoes,
    },
    Claim {
        id: "large-alpha-nan-small-stalls",
        statement: "A very large alpha gives NaN, a very small one a network that does not move.",
        origin: "overflow and underflow of alpha^L",
        verdict: Verdict::OnlyIf,
        condition: "alpha^L leaves the range of the number format: with 10 layers f16 overflows from alpha 3.03, f32 from 7132",
        theorem: "ties-to-even-thresholds",
        command: "isometer precision --depth 10 --width 64 --activation relu --alpha 4",
        compute: format_range,
    },
];

fn with_alpha(model: &Model, value: f64, at: AlphaAt) -> Model {
    let mut model = model.clone();
    model.alpha.value = value;
    model.alpha.at = at;
    model
}

/// Theorems: multiplier-powers, multiplier-equivalence.
fn large_alpha_vanishes() -> Result<Evidence, ClaimError> {
    const DEPTH: usize = 10;
    let relu = network(DEPTH, 64, Activation::Relu, 2.0);
    let start = log10_input_gradient(&relu, 0)?;
    let mut cases = Vec::new();
    for alpha in [0.5, 2.0] {
        let measured =
            log10_input_gradient(&with_alpha(&relu, alpha, AlphaAt::Weights), 0)? - start;
        let power = scaling(Placement::Weights, DEPTH + 1, 1).input_gradient as f64;
        cases.push(
            Case::new(
                format!("ReLU, {DEPTH} layers and a readout, all times {alpha}"),
                (measured < 0.0) == (alpha > 1.0),
            )
            .with("log10_gradient_ratio", measured)
            .with("predicted_log10_ratio", power * f64::log10(alpha)),
        );
    }
    let mut normalized = relu.clone();
    normalized.normalization = Normalization::Layer;
    let first = |m: &Model| Ok::<f64, ClaimError>(ln_weight_gradients(m, 0)?[1]);
    let start = first(&normalized)?;
    for alpha in [0.5, 2.0] {
        let measured = first(&with_alpha(&normalized, alpha, AlphaAt::Layer(2)))? - start;
        cases.push(
            Case::new(
                format!(
                    "layer norm, weights of layer 2 times {alpha}, gradient with respect to them"
                ),
                (measured < 0.0) == (alpha > 1.0),
            )
            .with("log10_gradient_ratio", measured / std::f64::consts::LN_10)
            .with("predicted_log10_ratio", -f64::log10(alpha)),
        );
    }
    Ok(Evidence { cases })
}

/// Theorem: multiplier-powers.
fn large_alpha_explodes() -> Result<Evidence, ClaimError> {
    const SAMPLES: u64 = 15;
    let relu = network(10, 64, Activation::Relu, 2.0);
    let start = log10_input_gradient(&relu, 0)?;
    let grown = log10_input_gradient(&with_alpha(&relu, 1e4, AlphaAt::Weights), 0)?;
    let mut cases = vec![
        Case::new("ReLU, alpha 10000 against 1", grown > start)
            .with("log10_gradient_ratio", grown - start)
            .under_condition(),
    ];
    let (depth, width) = (20, 100);
    let tanh = network(depth, width, Activation::Tanh, 1.0);
    let at = |alpha: f64| -> Result<(f64, f64), ClaimError> {
        let model = with_alpha(&tanh, alpha, AlphaAt::Weights);
        let logs: Vec<f64> = (0..SAMPLES)
            .map(|s| log10_input_gradient(&model, s))
            .collect::<Result<_, _>>()?;
        let top = logs.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x));
        let mean = match top.is_finite() {
            true => {
                top + (logs.iter().map(|l| 10f64.powf(l - top)).sum::<f64>() / SAMPLES as f64)
                    .log10()
            }
            false => top,
        };
        Ok((median(&logs), mean))
    };
    let (start, _) = at(1.0)?;
    for alpha in [0.5, 10.0, 50.0, 400.0] {
        let (typical, mean) = at(alpha)?;
        let case = Case::new(
            format!("tanh, {depth} layers of {width}, alpha {alpha} against 1, {SAMPLES} networks"),
            (typical > start) == (alpha > 1.0),
        )
        .with("log10_median_gradient_ratio", typical - start)
        .with("log10_mean_gradient_ratio", mean - start);
        cases.push(match alpha < width as f64 {
            true => case.under_condition(),
            false => case,
        });
    }
    Ok(Evidence { cases })
}

/// Theorem: multiplier-powers.
fn one_factor() -> Result<Evidence, ClaimError> {
    let alpha = 3.0;
    let relu = network(6, 32, Activation::Relu, 2.0);
    let tanh = network(6, 32, Activation::Tanh, 1.0);
    let mut cases = Vec::new();
    for (name, model, at, condition) in [
        ("ReLU, every layer", &relu, AlphaAt::Weights, true),
        (
            "ReLU, every layer, multiplier outside the weights",
            &relu,
            AlphaAt::Multiplier,
            true,
        ),
        ("ReLU, layer 2 alone", &relu, AlphaAt::Layer(2), false),
        ("tanh, every layer", &tanh, AlphaAt::Weights, false),
    ] {
        let before = ln_weight_gradients(model, 0)?;
        let after = ln_weight_gradients(&with_alpha(model, alpha, at), 0)?;
        let powers: Vec<f64> = after
            .iter()
            .zip(&before)
            .map(|(a, b)| (a - b) / f64::ln(alpha))
            .collect();
        let low = powers.iter().fold(f64::INFINITY, |m, p| m.min(*p));
        let high = powers.iter().fold(f64::NEG_INFINITY, |m, p| m.max(*p));
        // each power is a sum of a dozen logarithms
        let case = Case::new(
            format!("{name}, alpha {alpha}, 6 layers and a readout"),
            high - low < 1e-10,
        )
        .with("smallest_power_of_alpha", low)
        .with("largest_power_of_alpha", high);
        cases.push(if condition {
            case.under_condition()
        } else {
            case
        });
    }
    Ok(Evidence { cases })
}

/// Slope of the loss `(W^2 - 2)^2 / 8`.
fn slope(w: f64) -> f64 {
    0.5 * w * (w * w - 2.0)
}

const STEPS: usize = 30;

/// Adam without epsilon from `w` with the slope `g`, weights `scale` times what is stored; trajectory of the effective weight.
fn adam(start: f64, rate: f64, scale: f64) -> Vec<f64> {
    let (mut w, mut m, mut v) = (start / scale, 0.0, 0.0);
    (1..=STEPS)
        .map(|t| {
            let g = scale * slope(scale * w);
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m_hat, v_hat) = (
                m / (1.0 - 0.9f64.powi(t as i32)),
                v / (1.0 - 0.999f64.powi(t as i32)),
            );
            w -= rate * m_hat / v_hat.sqrt();
            scale * w
        })
        .collect()
}

/// Plain descent with an L2 and an L1 penalty.
fn sgd(start: f64, rate: f64, scale: f64, (l2, l1): (f64, f64)) -> Vec<f64> {
    let mut w = start / scale;
    (0..STEPS)
        .map(|_| {
            w -= rate * (scale * slope(scale * w) + l2 * w + l1 * w.signum());
            scale * w
        })
        .collect()
}

/// Largest distance of two trajectories.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(x, y)| (x - y).abs())
        .fold(0.0, f64::max)
}

/// Trajectories of numbers near 1 that are equal but for rounding.
const SAME: f64 = 1e-12;

/// Theorem: multiplier-equivalence.
fn alpha_is_a_learning_rate() -> Result<Evidence, ClaimError> {
    let (alpha, eta, start) = (3.0f64, 0.01, 0.5);
    let power = |o: Optimizer| alpha.powi(o.equivalent().learning_rate);
    let none = (0.0, 0.0);
    let reparametrised = apart(
        &sgd(start, eta, alpha, none),
        &sgd(start, eta * power(Optimizer::Sgd), 1.0, none),
    );
    let adaptive = apart(
        &adam(start, eta, alpha),
        &adam(start, eta * power(Optimizer::Adam), 1.0),
    );
    let once = apart(
        &sgd(alpha * start, eta, 1.0, none),
        &sgd(start, eta * power(Optimizer::Sgd), 1.0, none),
    );
    let case = |name: &str, distance: f64| {
        Case::new(name, distance < SAME).with("largest_distance_of_trajectories", distance)
    };
    Ok(Evidence {
        cases: vec![
            case(
                "SGD on w, W = 3 w, against SGD on W at 9 times the rate",
                reparametrised,
            )
            .under_condition(),
            case(
                "Adam on w, W = 3 w, against Adam on W at 3 times the rate",
                adaptive,
            )
            .under_condition(),
            case(
                "stored weights times 3 once, against 9 times the rate",
                once,
            ),
        ],
    })
}

/// Theorem: multiplier-equivalence.
fn penalties() -> Result<Evidence, ClaimError> {
    let (alpha, eta, start, lambda) = (3.0f64, 0.01, 0.5, 0.2);
    let rate = eta * alpha * alpha;
    let e = Optimizer::Sgd.equivalent();
    let mut cases = Vec::new();
    for (name, stored, effective) in [
        (
            "L2 of lambda on w against lambda/9 on W",
            (lambda, 0.0),
            (lambda * alpha.powi(e.l2), 0.0),
        ),
        (
            "L1 of lambda on w against lambda/3 on W",
            (0.0, lambda),
            (0.0, lambda * alpha.powi(e.l1)),
        ),
    ] {
        let scaled = apart(
            &sgd(start, eta, alpha, stored),
            &sgd(start, rate, 1.0, effective),
        );
        let kept = apart(
            &sgd(start, eta, alpha, stored),
            &sgd(start, rate, 1.0, stored),
        );
        cases.push(
            Case::new(name, scaled < SAME && kept > SAME)
                .with("distance_with_the_strength_changed", scaled)
                .with("distance_with_the_strength_kept", kept)
                .under_condition(),
        );
    }
    // decoupled: w <- (1 - eta lambda) w, whatever alpha
    let shrink = |alpha: f64| {
        let w = start / alpha;
        alpha * (w - eta * lambda * w) / start
    };
    let change = (shrink(alpha) - shrink(1.0)).abs();
    cases.push(
        Case::new(
            "decoupled decay: factor on W in one step at alpha 3 against 1",
            change > SAME,
        )
        .with("factor", shrink(alpha))
        .with("change_of_the_factor", change),
    );
    Ok(Evidence { cases })
}

/// `log10` of the gradient of the first layer, and of its largest element.
fn gradients(alpha: f64) -> Result<(f64, f64), ClaimError> {
    let model = with_alpha(
        &network(10, 64, Activation::Relu, 2.0),
        alpha,
        AlphaAt::Weights,
    );
    let mlp = Mlp::draw(&model, SEED, 0)?;
    let trace = mlp.forward(&input(64));
    let all = trace.backward(&Scaled::new(vec![1.0]));
    let g = all.weight(1);
    let largest = g.values().iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let log10 = std::f64::consts::LOG10_2;
    Ok((
        0.5 * g.ln_square() / std::f64::consts::LN_10,
        largest.log10() + g.exponent() as f64 * log10,
    ))
}

/// Theorem: ties-to-even-thresholds.
fn learning_stops() -> Result<Evidence, ClaimError> {
    let f32 = NumberFormat::F32;
    let mut cases = Vec::new();
    for alpha in [0.1, 0.5, 2.0, 1e-6] {
        let (norm, largest) = gradients(alpha)?;
        let stored = f32.round(10f64.powf(largest), Subnormals::Kept);
        let zero = stored == 0.0;
        let case = Case::new(
            format!(
                "ReLU, 10 layers of 64, alpha {alpha}: every gradient of layer 1 is zero in f32"
            ),
            zero,
        )
        .with("log10_gradient_norm", norm)
        .with("largest_element_in_f32", stored);
        let outside = largest * std::f64::consts::LN_10 <= f32.ln_zero_threshold(Subnormals::Kept);
        cases.push(if outside {
            case.under_condition()
        } else {
            case
        });
    }
    Ok(Evidence { cases })
}

/// Theorem: multiplier-equivalence.
fn normalization_undoes() -> Result<Evidence, ClaimError> {
    let alpha = 3.0;
    let mut model = network(6, 32, Activation::Relu, 2.0);
    model.normalization = Normalization::Layer;
    let scaled = with_alpha(&model, alpha, AlphaAt::Layer(2));
    let output = |m: &Model| -> Result<f64, ClaimError> {
        Ok(Mlp::draw(m, SEED, 0)?.forward(&input(32)).output().get(0))
    };
    let (before, after) = (output(&model)?, output(&scaled)?);
    let own = |m: &Model| Ok::<f64, ClaimError>(ln_weight_gradients(m, 0)?[1]);
    let ratio = (own(&scaled)? - own(&model)?).exp();
    Ok(Evidence {
        cases: vec![
            Case::new(
                "output, weights of layer 2 times 3",
                (after / before - 1.0).abs() < 1e-10,
            )
            .with("ratio", after / before)
            .under_condition(),
            Case::new(
                "gradient with respect to the weights of layer 2",
                (ratio - 1.0).abs() < 1e-10,
            )
            .with("ratio", ratio),
            Case::new(
                "step over weight of SGD, the effective learning rate",
                (ratio / alpha - 1.0).abs() < 1e-10,
            )
            .with("ratio", ratio / alpha)
            .with(
                "predicted_ratio",
                alpha.powi(Optimizer::Sgd.angular_step_if_scale_invariant()),
            ),
        ],
    })
}

/// Theorem: ties-to-even-thresholds.
fn format_range() -> Result<Evidence, ClaimError> {
    const LAYERS: i32 = 10;
    let mut cases = Vec::new();
    for (format, alpha) in [
        (NumberFormat::F16, 4.0f64),
        (NumberFormat::F32, 4.0),
        (NumberFormat::F32, 1e4),
        (NumberFormat::F16, 0.1),
        (NumberFormat::F32, 0.1),
    ] {
        let factor = alpha.powi(LAYERS);
        let stored = format.round(factor, Subnormals::Kept);
        let broken = stored == 0.0 || stored.is_infinite();
        let threshold = match alpha > 1.0 {
            true => format.ln_overflow_threshold(),
            false => format.ln_zero_threshold(Subnormals::Kept),
        };
        let limit = (threshold / f64::from(LAYERS)).exp();
        let case = Case::new(
            format!(
                "a signal of size 1 times alpha^10, alpha {alpha}, is {} in {}",
                if alpha > 1.0 { "infinite" } else { "zero" },
                format.name()
            ),
            broken,
        )
        .with("log10_factor", f64::from(LAYERS) * alpha.log10())
        .with("alpha_at_the_end_of_the_range", limit);
        let outside = if alpha > 1.0 {
            alpha >= limit
        } else {
            alpha <= limit
        };
        cases.push(if outside {
            case.under_condition()
        } else {
            case
        });
    }
    Ok(Evidence { cases })
}
