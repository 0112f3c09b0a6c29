//! The prediction in words: model, hypotheses, reasons, verdict, and the line of code that changes it.

use super::setting::{Regime, Setting};
use super::{NOTABLE, total_drift};
use crate::network::framework::{keras_code, torch_code};
use crate::network::{AlphaAt, BatchSize, BiasLaw, WeightInit, WeightKind};
use crate::theory::prediction::{Fix, Prediction, Verdict};
use serde_json::{Value, json};
use std::f64::consts::LOG10_E;

/// Widths listed in full in a document; beyond, the first and last few.
const WIDTHS: usize = 64;

/// Fills in everything that is words.
pub(super) fn explain(setting: &Setting<'_>, p: &mut Prediction) {
    p.description = description(setting);
    p.hypotheses = hypotheses(setting, p);
    p.reasons = reasons(setting, p);
    p.fix = fix(setting, p);
    p.sentence = sentence(setting, p);
}

fn description(setting: &Setting<'_>) -> Vec<(String, Value)> {
    let m = setting.model;
    let widths: Value = if m.widths.len() <= WIDTHS {
        m.widths.clone().into()
    } else {
        let equal = m.widths.iter().all(|n| *n == m.widths[0]);
        if equal {
            json!([m.widths[0]])
        } else {
            json!(m.widths[..WIDTHS])
        }
    };
    let first = &setting.layers[0];
    let entries = [
        ("depth", json!(m.depth())),
        ("widths", widths),
        ("widths_listed", json!(m.widths.len() <= WIDTHS)),
        ("activation", json!(m.activation.to_string())),
        ("init", json!(m.weights.to_string())),
        ("bias", json!(m.bias.to_string())),
        ("sigma_w2", json!(first.weight.sigma_w2)),
        ("sigma_b2", json!(first.bias.variance())),
        ("alpha", json!(m.alpha.value)),
        ("alpha_at", json!(m.alpha.at.to_string())),
        ("normalization", json!(m.normalization.to_string())),
        ("normalization_after", json!(m.normalization_after)),
        (
            "residual",
            m.residual.map_or(Value::Null, |r| json!(r.to_string())),
        ),
        ("dropout", json!(m.dropout)),
        ("readout", json!(m.readout)),
        ("number_format", json!(m.number_format.to_string())),
        ("tied", json!(m.tied)),
    ];
    entries
        .into_iter()
        .map(|(k, v)| (k.to_string(), v))
        .collect()
}

fn hypotheses(setting: &Setting<'_>, p: &Prediction) -> Vec<String> {
    let m = setting.model;
    let mut out = Vec::new();
    let mut say = |text: &str| out.push(text.to_string());
    match setting.regime {
        Regime::Homogeneous { exact, .. } => {
            say("initialization, any fixed input other than 0");
            if exact {
                say(
                    "exact arithmetic; laws of squared norms hold at these widths, nothing is asymptotic",
                );
            } else {
                say(
                    "the mean squares are exact; the rest of the laws is that of Gaussian weights, from which these weights differ by O(1/width)",
                );
            }
            if setting.biased() {
                say(
                    "biases symmetric about 0: they change neither the Jacobian nor the input gradient",
                );
            }
        }
        Regime::Field => {
            say("initialization, an input with |x|^2 = n_0");
            if p.growth.typical_ln_square_per_layer.is_some() {
                say("infinite width for the means; spreads to first order in 1/width (asymptotic)");
            } else {
                say(
                    "infinite width (asymptotic); spreads are not given: not known for this model, or too large for first order in 1/width",
                );
            }
        }
        Regime::Normalized { batch, .. } => {
            say(
                "infinite width, at the fixed point of the normalized network; the first and the last layer differ by a constant factor",
            );
            if batch.is_some() {
                say("batch statistics of a training step, eps = 0, no learned scale or shift");
            } else {
                say("eps = 0, no learned scale or shift");
            }
        }
        Regime::Residual { .. } => {
            say("infinite width; every block is x + beta W phi(x) with weights of its own")
        }
        Regime::Tied => say("one matrix for all layers; linear activation"),
    }
    let kind = setting.layers[0].weight.kind;
    if matches!(
        setting.regime,
        Regime::Field | Regime::Normalized { .. } | Regime::Residual { .. }
    ) && matches!(kind, WeightKind::Orthogonal)
    {
        say(
            "orthogonal weights have the mean field of Gaussian ones; their spreads are smaller than stated",
        );
    }
    if matches!(setting.regime, Regime::Field)
        && setting
            .layers
            .iter()
            .any(|l| matches!(l.bias, BiasLaw::Uniform { .. }))
    {
        say("uniform biases are taken as Gaussian ones of their variance");
    }
    if m.dropout > 0.0 {
        say("inverted dropout: mean squares grow by 1/keep in every layer");
    }
    out
}

fn format_factor(ln_square: f64) -> String {
    // of the norm, not of its square
    let log10 = 0.5 * ln_square * LOG10_E;
    if log10.abs() < 3.0 {
        format!("{:.3}", 10f64.powf(log10))
    } else {
        format!("10^{log10:.1}")
    }
}

fn reasons(setting: &Setting<'_>, p: &Prediction) -> Vec<String> {
    let m = setting.model;
    let mut out = Vec::new();
    let chi = p.growth.chi;
    match setting.regime {
        Regime::Homogeneous { slopes: (below, above), .. } => {
            let mean = 0.5 * (above * above + below * below);
            out.push(format!(
                "the mean square gradient changes by sigma_w^2 E phi'^2{} = {chi:.6} per layer (E phi'^2 = {mean})",
                if m.dropout > 0.0 { " / keep" } else { "" }
            ));
            if let Some(typical) = p.growth.typical_ln_square_per_layer
                && (typical - p.growth.ln_chi).abs() * setting.depth() as f64 > 0.1
            {
                out.push(format!(
                    "finite width: the typical square is multiplied by {:.6} per layer against {:.6} of the mean square; the mean is made by rare large draws",
                    typical.exp(), chi
                ));
            }
        }
        Regime::Field => {
            out.push(format!(
                "per layer the mean square gradient changes by {chi:.6} on average over the depth ({})",
                p.mean_field.phase
            ));
        }
        Regime::Normalized { batch: Some(size), .. } => {
            let b = match size {
                BatchSize::Finite(b) => b.to_string(),
                BatchSize::Infinite => "infinity".into(),
            };
            out.push(format!(
                "batch normalization (B = {b}) multiplies the squared gradient by {chi:.6} per layer, whatever the scale of the weights"
            ));
        }
        Regime::Normalized { .. } => out.push(format!(
            "normalization over units makes the squared gradient change by {chi:.6} per layer, whatever the scale of the weights"
        )),
        Regime::Residual { beta } => out.push(format!(
            "each block adds beta^2 sigma_w^2 E phi'^2 to 1: {chi:.6} per block at beta = {beta}"
        )),
        Regime::Tied => out.push(format!(
            "the same matrix acts at every step; its spectral radius gives {:.6} per step on norms", chi.sqrt()
        )),
    }
    if m.alpha.value != 1.0 {
        let effect = match setting.regime {
            Regime::Homogeneous { .. } | Regime::Tied => {
                "every layer it multiplies contributes its square to growth"
            }
            Regime::Normalized { .. } => {
                "the normalization cancels it: growth does not depend on it, the gradient of the stored weights goes as its inverse"
            }
            Regime::Field => "it acts through the length map: the fixed point moves with it",
            Regime::Residual { .. } => "it acts on the branch only",
        };
        let at = match m.alpha.at {
            AlphaAt::Layer(k) => format!("layer {k}"),
            _ => "all layers".into(),
        };
        out.push(format!("alpha = {} on {at}: {effect}", m.alpha.value));
    }
    if let Some(l) = &p.input_gradient
        && l.p_zero > 1e-3
    {
        out.push(format!(
            "in {:.2}% of draws some layer is dead and the gradient is exactly zero",
            100.0 * l.p_zero
        ));
    }
    out
}

fn fix(setting: &Setting<'_>, p: &Prediction) -> Option<Fix> {
    if p.verdict == Verdict::Stable {
        return None;
    }
    let m = setting.model;
    let code = |init: WeightInit, what: String| Fix {
        torch: torch_code(&init, &m.activation),
        keras: keras_code(&init, &m.activation)
            .unwrap_or_else(|| "no Keras initializer does this".into()),
        what,
    };
    match setting.regime {
        Regime::Homogeneous { slopes: (below, above), .. } => {
            let mean = 0.5 * (above * above + below * below) / m.keep();
            let critical = mean.recip();
            let drift = p.growth.typical_ln_square_per_layer.unwrap_or(0.0) - p.growth.ln_chi;
            let at_critical = drift * setting.depth() as f64;
            // the drift is that of these weights, so the advice keeps their law
            let init = |sigma_w2: f64| match setting.layers[0].weight.kind {
                WeightKind::Orthogonal => WeightInit::Orthogonal {
                    gain: sigma_w2.sqrt(),
                },
                _ => WeightInit::gaussian(sigma_w2),
            };
            if at_critical.abs() < NOTABLE {
                Some(code(
                    init(critical),
                    format!("sigma_w^2 = {critical:.6} (alpha = 1) keeps the mean square gradient in every layer"),
                ))
            } else {
                let typical = critical * (-drift).exp();
                Some(code(
                    init(typical),
                    format!(
                        "these layers are too narrow for their number: at sigma_w^2 = {critical:.6} the typical gradient still changes by {}; sigma_w^2 = {typical:.6} keeps it, but not its spread; widen the layers or use residual branches",
                        format_factor(at_critical)
                    ),
                ))
            }
        }
        Regime::Field => super::field::fix(setting).map(|(sigma_w2, sigma_b2)| {
            code(
                WeightInit::gaussian(sigma_w2),
                format!(
                    "the edge of chaos: sigma_w^2 = {sigma_w2:.6} with biases of variance {sigma_b2:.6}, where chi_1 = 1"
                ),
            )
        }).or_else(|| Some(Fix {
            what: format!("no variance keeps gradients through {} at any depth: residual branches with beta = 1/sqrt(L) do, or another activation such as relu", m.activation),
            torch: "x = x + f(x) / math.sqrt(L)".into(),
            keras: "x = x + f(x) / L ** 0.5".into(),
        })),
        Regime::Normalized { batch: Some(_), .. } => Some(Fix {
            what: "no initializer changes this; add residual branches around the normalized layers, or normalize over units before ReLU, which keeps the mean square".into(),
            torch: "x = x + f(bn(x)), or nn.LayerNorm(n) and nn.ReLU() for nn.BatchNorm1d(n)".into(),
            keras: "keras.layers.LayerNormalization() and activation=\"relu\" for keras.layers.BatchNormalization()".into(),
        }),
        Regime::Normalized { .. } => Some(Fix {
            what: "no initializer changes this; use an activation whose E phi'^2 / E phi^2 is nearer 1 (ReLU: exactly 1), or residual branches".into(),
            torch: "nn.ReLU()".into(),
            keras: "activation=\"relu\"".into(),
        }),
        Regime::Residual { .. } => Some(Fix {
            what: "beta = 1/sqrt(L) and sigma_w^2 = 1 on the branches keep growth bounded at any depth".into(),
            torch: "x = x + f(x) / math.sqrt(L); nn.init.normal_(layer.weight, std=layer.in_features ** -0.5)".into(),
            keras: "x = x + f(x) / L ** 0.5; kernel_initializer=\"lecun_normal\"".into(),
        }),
        Regime::Tied => Some(code(
            WeightInit::Orthogonal { gain: 1.0 },
            "orthogonal recurrent weights of gain 1 are an isometry at every step".into(),
        )),
    }
}

fn sentence(setting: &Setting<'_>, p: &Prediction) -> String {
    let depth = setting.depth();
    let total = total_drift(&p.growth, depth as f64);
    let kind = if p.growth.typical_ln_square_per_layer.is_some() {
        "typical"
    } else {
        "root mean square"
    };
    let factor = format_factor(total);
    let layers = if depth == 1 {
        "1 layer".to_string()
    } else {
        format!("{depth} layers")
    };
    let dead = p.input_gradient.as_ref().map_or(0.0, |l| l.p_zero);
    match p.verdict {
        Verdict::Stable => format!(
            "the {kind} gradient norm changes by a factor of {factor} over {layers}; nothing to do."
        ),
        Verdict::Vanishing if dead > 0.5 => format!(
            "in {:.1}% of draws a layer is dead and no gradient arrives at all; widen the layers or use an activation without a flat side.",
            100.0 * dead
        ),
        Verdict::Vanishing => format!(
            "the {kind} gradient norm shrinks by a factor of {factor} over {layers}; see the fix above."
        ),
        Verdict::Exploding => format!(
            "the {kind} gradient norm grows by a factor of {factor} over {layers}; see the fix above."
        ),
    }
}
