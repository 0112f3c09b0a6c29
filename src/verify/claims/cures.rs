//! Remedies: what each changes and what it cannot.

use super::tools::{SEED, input, log10_input_gradient, network};
use super::{Case, Claim, ClaimError, Evidence, Verdict};
use crate::linalg::norms;
use crate::network::NumberFormat;
use crate::network::activation::Activation;
use crate::reference::{Mlp, Scaled};
use crate::theory::precision::{LayerRange, LossScale, Subnormals, loss_scale};
use std::f64::consts::{LN_2, LN_10};

pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "weight-decay-cures-explosion",
        statement: "Weight decay cures exploding gradients.",
        origin: "smaller weights, smaller Jacobians",
        verdict: Verdict::False,
        condition: "decay shrinks weights by eta lambda a step, which takes ln(alpha)/(eta lambda) steps to undo a factor alpha, while the first step already uses the exploding gradient; conditioning does not change, and in front of a normalization only the effective learning rate does",
        theorem: "multiplier-powers",
        command: "isometer alpha --depth 20 --width 64 --activation relu --sweep 1,1.5",
        compute: weight_decay,
    },
    Claim {
        id: "schedules-cure-vanishing",
        statement: "A learning-rate schedule makes up for vanishing or exploding gradients.",
        origin: "warmup lets deep networks train",
        verdict: Verdict::False,
        condition: "a schedule multiplies the steps of all layers by one number; the ratio between the first layer and the last, which is what depth damages, stays",
        theorem: "common-factor-keeps-ratios",
        command: "isometer predict --depth 30 --width 128 --activation tanh --sigma-w2 0.5",
        compute: schedules,
    },
    Claim {
        id: "loss-scaling-cures-vanishing",
        statement: "Dynamic loss scaling fixes vanishing gradients.",
        origin: "it rescues gradients that f16 would round to zero",
        verdict: Verdict::OnlyIf,
        condition: "the gradients are fine and only the number format loses them, and all layers fit its range together; the scale is divided out again before the step, so a small gradient stays small",
        theorem: "ties-to-even-thresholds",
        command: "isometer precision grads.safetensors --format-bits f16",
        compute: loss_scaling,
    },
    Claim {
        id: "bf16-cannot-overflow",
        statement: "bfloat16 cannot overflow.",
        origin: "it has the exponent range of f32",
        verdict: Verdict::OnlyIf,
        condition: "magnitudes stay below 3.396e38, as in f32: exploding gradients reach it after a few hundred layers at twice the critical weight",
        theorem: "ties-to-even-thresholds",
        command: "isometer precision --depth 300 --width 64 --activation relu --alpha 2 --format-bits bf16",
        compute: bf16_overflow,
    },
];

/// Theorem: multiplier-powers.
fn weight_decay() -> Result<Evidence, ClaimError> {
    const DEPTH: usize = 20;
    let (eta, lambda, alpha) = (0.1f64, 1e-4, 1.5f64);
    let steps = (alpha.ln() / -(-eta * lambda).ln_1p()).ceil();
    let mut model = network(DEPTH, 64, Activation::Relu, 2.0);
    model.alpha.value = alpha;
    let before = log10_input_gradient(&model, 0)?;
    model.alpha.value = alpha * (1.0 - eta * lambda).powi(100);
    let after = log10_input_gradient(&model, 0)?;
    let w = [1.0, 0.5, 0.0, 0.01];
    let kappa = |shrink: f64| -> Result<f64, ClaimError> {
        let w = w.map(|x| shrink * x);
        let view = super::tools::matrix(&w, 2, 2)?;
        Ok(
            crate::linalg::condition::condition(&view, &Default::default())?
                .cond
                .enclosure
                .value()
                .log10(),
        )
    };
    let (own, shrunk) = (kappa(1.0)?, kappa(0.5)?);
    Ok(Evidence {
        cases: vec![
            Case::new("ReLU, 20 layers, weights 1.5 times He: 100 steps at eta lambda = 1e-5 halve the excess of the gradient", after < 0.5 * before)
                .with("log10_gradient_before", before)
                .with("log10_gradient_after", after)
                .with("steps_to_undo_1.5", steps),
            Case::new("halving the weights improves the condition number", shrunk < own - 1e-9).with("log10_cond_before", own).with("log10_cond_after", shrunk),
        ],
    })
}

/// Theorem: common-factor-keeps-ratios.
fn schedules() -> Result<Evidence, ClaimError> {
    let depth = 30;
    let mlp = Mlp::draw(&network(depth, 128, Activation::Tanh, 0.5), SEED, 0)?;
    let trace = mlp.forward(&input(128));
    let gradients = trace.backward(&Scaled::new(vec![1.0]));
    let log10 = |l: usize, rate: f64| (0.5 * gradients.delta(l).ln_square() + rate.ln()) / LN_10;
    let mut cases = Vec::new();
    for rate in [1e-3, 1.0, 1e3] {
        let ratio = log10(1, rate) - log10(depth, rate);
        let unscheduled = log10(1, 1.0) - log10(depth, 1.0);
        cases.push(
            Case::new(format!("tanh, 30 layers, sigma_w2 0.5, learning rate times {rate}: steps of first and last layer are closer"), ratio.abs() < unscheduled.abs() - 1e-9)
                .with("log10_ratio_of_first_to_last", ratio),
        );
    }
    Ok(Evidence { cases })
}

/// Theorem: ties-to-even-thresholds.
fn loss_scaling() -> Result<Evidence, ClaimError> {
    let f16 = NumberFormat::F16;
    let scale = 2f64.powi(15);
    let kept = |g: f64| f16.round(scale * g, Subnormals::Kept) / scale;
    // a gradient the format would lose: is the step what f32 would make?
    let lost = 1.5 * 2f64.powi(-27);
    let mut cases = vec![
        Case::new("gradient 1.1e-8, zero in f16, scaled by 2^15: the step becomes that of exact arithmetic", kept(lost) == lost)
            .with("stored_without_scale", f16.round(lost, Subnormals::Kept))
            .with("stored_with_scale_over_scale", kept(lost))
            .under_condition(),
    ];
    // one that has vanished: is the step any larger than without?
    let vanished = 2f64.powi(-20);
    cases.push(
        Case::new("gradient 9.5e-7 in f16, a millionth of that of the last layer: the step becomes larger", kept(vanished) > vanished)
            .with("step_over_rate_without_scale", vanished)
            .with("step_over_rate_with_scale", kept(vanished)),
    );
    let range = |low: f64, high: f64| LayerRange {
        ln_min: low * LN_2,
        ln_max: high * LN_2,
    };
    let conflict = loss_scale(
        &[range(-50.0, -40.0), range(-10.0, 0.0)],
        f16,
        Subnormals::Kept,
    );
    let (fits, missing) = match conflict {
        LossScale::Conflict { missing_bits, .. } => (false, missing_bits),
        LossScale::Fits { .. } | LossScale::Empty => (true, 0.0),
    };
    cases.push(
        Case::new("layers from 2^-50 and up to 2^0: one scale fits f16", fits)
            .with("missing_bits", missing),
    );
    Ok(Evidence { cases })
}

/// Theorem: ties-to-even-thresholds.
fn bf16_overflow() -> Result<Evidence, ClaimError> {
    let format = NumberFormat::Bf16;
    let mut cases = Vec::new();
    for depth in [50, 200] {
        let mut model = network(depth, 32, Activation::Relu, 2.0);
        model.alpha.value = 2.0;
        let log10 = log10_input_gradient(&model, 0)?;
        let stored = format.round(10f64.powf(log10.min(300.0)), Subnormals::Kept);
        let case = Case::new(
            format!(
                "ReLU, {depth} layers of 32, weights twice He: the gradient norm is finite in bf16"
            ),
            stored.is_finite(),
        )
        .with("log10_gradient_norm", log10)
        .with(
            "log10_largest_number",
            format.ln_overflow_threshold() / LN_10,
        );
        cases.push(if log10 * LN_10 < format.ln_overflow_threshold() {
            case.under_condition()
        } else {
            case
        });
    }
    let entries = [3.4e38; 1];
    let norm = norms::max(&super::tools::matrix(&entries, 1, 1)?)?.value();
    let stored = format.round(norm.to_linear_saturating(), Subnormals::Kept);
    cases.push(
        Case::new(
            "3.4e38, finite in f32, is finite in bf16",
            stored.is_finite(),
        )
        .with("stored", stored),
    );
    Ok(Evidence { cases })
}
