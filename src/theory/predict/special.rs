//! Normalization, residual branches, tied weights.

use super::setting::{Regime, Setting};
use super::{Options, PredictError, mean_only, pictures, precision, sample, spectrum};
use crate::network::Normalization as Kind;
use crate::network::{AlphaAt, BatchSize, Residual, WeightKind};
use crate::scale::Certainty;
use crate::theory::mean_field::LengthMap;
use crate::theory::normalization::{Normalization, Position, growth as normalized_growth};
use crate::theory::prediction::{
    CriticalAlpha, Growth, Jacobian, Kernel, Law, MeanField, Prediction, Verdict,
};
use crate::theory::residual::stream;

/// alpha times what stops growth, where growth goes with the square of alpha in every layer that it
/// multiplies. Arguments are logs per layer, of the mean square and of the typical square.
pub(super) fn alpha_from_growth(
    setting: &Setting<'_>,
    mean: f64,
    typical: Option<f64>,
) -> CriticalAlpha {
    let depth = setting.depth();
    // layers between the input and the last hidden layer that alpha acts on
    let acted = match setting.model.alpha.at {
        AlphaAt::Weights | AlphaAt::Multiplier => depth,
        AlphaAt::Layer(k) if k <= depth => 1,
        AlphaAt::Layer(_) => 0,
    };
    if acted == 0 {
        return CriticalAlpha::default();
    }
    let share = depth as f64 / acted as f64;
    let stop = |ln: f64| {
        let alpha = setting.model.alpha.value.abs() * (-0.5 * ln * share).exp();
        (alpha.is_finite() && alpha > 0.0).then_some(alpha)
    };
    CriticalAlpha {
        mean_square: stop(mean),
        typical: typical.and_then(stop),
    }
}

fn blank(growth: Growth, mean_field: MeanField) -> Prediction {
    Prediction {
        description: Vec::new(),
        mean_field,
        forward: None,
        jvp: None,
        input_gradient: None,
        weight_gradients: Vec::new(),
        growth,
        jacobian: Jacobian::default(),
        kernel: Kernel::default(),
        critical_alpha: CriticalAlpha::default(),
        precision: Vec::new(),
        layers: Vec::new(),
        hypotheses: Vec::new(),
        reasons: Vec::new(),
        fix: None,
        verdict: Verdict::Stable,
        sentence: String::new(),
    }
}

pub(super) fn predict(
    setting: &Setting<'_>,
    options: &Options,
) -> Result<Prediction, PredictError> {
    match setting.regime {
        Regime::Normalized { batch, after } => normalized(setting, batch, after),
        Regime::Residual { beta } => residual(setting, beta),
        _ => tied(setting, options),
    }
}

fn map(setting: &Setting<'_>) -> Result<LengthMap, PredictError> {
    let layer = &setting.layers[0];
    Ok(LengthMap::new(
        setting.model.activation.clone(),
        layer.weight.sigma_w2,
        layer.bias.variance(),
    )?)
}

fn normalized(
    setting: &Setting<'_>,
    batch: Option<BatchSize>,
    after: bool,
) -> Result<Prediction, PredictError> {
    let not_covered = |reason: String| PredictError::NotCovered {
        what: format!("{} normalization here", setting.model.normalization),
        reason,
    };
    if !setting.uniform() {
        return Err(not_covered(
            "growth per layer is known for equal widths; use --depth and --width".into(),
        ));
    }
    let map = map(setting)?;
    let kind = match (setting.model.normalization, batch) {
        (_, Some(BatchSize::Finite(b))) => Normalization::Batch(Some(b)),
        (_, Some(BatchSize::Infinite)) => Normalization::Batch(None),
        (Kind::Layer, _) => Normalization::Layer,
        _ => Normalization::Rms,
    };
    let position = if after {
        Position::After
    } else {
        Position::Before
    };
    let chi = normalized_growth(&map, kind, position).map_err(|e| not_covered(e.to_string()))?;
    let growth = Growth {
        chi: chi.value,
        ln_chi: chi.value.ln(),
        typical_ln_square_per_layer: None,
        certainty: Certainty::Asymptotic,
    };
    let ln_chi = vec![chi.value.ln(); setting.depth()];
    let q = if after {
        map.sigma_w2() + map.sigma_b2()
    } else {
        1.0
    };
    let field = MeanField {
        q_star: Some(q),
        chi_1: Some(chi.value),
        gradient_depth_scale: Some(chi.value.ln().recip()),
        phase: "normalized".into(),
        note: Some("the normalization holds the variance; growth does not depend on alpha".into()),
        ..MeanField::default()
    };
    let mut out = blank(growth, field);
    out.layers = pictures(setting, &ln_chi, |_| Some(q), |_| None);
    out.precision = precision::means(setting, &growth);
    Ok(out)
}

fn residual(setting: &Setting<'_>, beta: f64) -> Result<Prediction, PredictError> {
    let depth = setting.depth();
    let keep = setting.model.keep();
    let layer = &setting.layers[0];
    // dropout acts on phi(x), inside the branch
    let branch = LengthMap::new(
        setting.model.activation.clone(),
        layer.weight.sigma_w2 / keep,
        layer.bias.mean_square(),
    )?;
    let blocks = stream(&branch, Residual::Constant(beta), 0.0, depth);
    let ln_chi: Vec<f64> = blocks.iter().map(|b| b.ln_chi).collect();
    let total: f64 = ln_chi.iter().sum();
    let growth = Growth {
        chi: (total / depth as f64).exp(),
        ln_chi: total / depth as f64,
        typical_ln_square_per_layer: None,
        certainty: Certainty::Asymptotic,
    };
    let last = blocks.last().map_or(0.0, |b| b.ln_q);
    let field = MeanField {
        chi_1: Some(growth.chi),
        phase: "residual".into(),
        note: Some(
            "variance and gradients grow from block to block; there is no fixed point".into(),
        ),
        ..MeanField::default()
    };
    let mut out = blank(growth, field);
    let readout = setting.layers[depth].weight.sigma_w2.ln();
    out.forward = Some(mean_only(Certainty::Asymptotic, last));
    out.jvp = Some(mean_only(Certainty::Asymptotic, total));
    out.input_gradient = Some(mean_only(Certainty::Asymptotic, total + readout));
    out.weight_gradients = branch_gradients(setting, &branch, &blocks, beta);
    let before = |l: usize| if l == 1 { 0.0 } else { blocks[l - 2].ln_q };
    out.layers = pictures(setting, &ln_chi, |l| Some(before(l).exp()), |_| None);
    out.precision = precision::means(setting, &growth);
    Ok(out)
}

/// Means of the squared weight gradients: `beta^2 |dy/dx_l|^2 |phi(x_(l-1))|^2` in block `l`.
fn branch_gradients(
    setting: &Setting<'_>,
    branch: &LengthMap,
    blocks: &[crate::theory::residual::Block],
    beta: f64,
) -> Vec<(usize, Law)> {
    let depth = setting.depth();
    let keep = setting.model.keep();
    let readout = setting.layers[depth].weight.sigma_w2.ln();
    let ln_n = (setting.model.widths[0] as f64).ln();
    let total: f64 = blocks.iter().map(|b| b.ln_chi).sum();
    let mut field = crate::theory::propagation::Field::new(branch.activation());
    sample(depth + 1)
        .into_iter()
        .map(|l| {
            let ln_q = if l == 1 { 0.0 } else { blocks[l - 2].ln_q };
            let stored = 2.0 * setting.layers[l - 1].multiplier.abs().ln();
            let ln_mean = if l == depth + 1 {
                ln_n + ln_q
            } else {
                let above = readout + total - blocks[l - 1].ln_gradient;
                above + 2.0 * beta.abs().ln() + ln_n + field.at(ln_q).ln_second - keep.ln()
            };
            (l, mean_only(Certainty::Asymptotic, ln_mean + stored))
        })
        .collect()
}

fn tied(setting: &Setting<'_>, options: &Options) -> Result<Prediction, PredictError> {
    if setting.model.activation.slopes() != Some((1.0, 1.0)) {
        return Err(PredictError::NotCovered {
            what: format!("a tied network with {}", setting.model.activation),
            reason: "gates depend on a matrix that is met again at every step; use a linear activation, or untie the layers".into(),
        });
    }
    let layer = &setting.layers[0];
    let depth = setting.depth();
    let isometric = matches!(
        layer.weight.kind,
        WeightKind::Orthogonal | WeightKind::Identity
    );
    let certainty = if isometric {
        Certainty::Exact
    } else {
        Certainty::Asymptotic
    };
    // orthogonal: all singular values of W^L are g^L. Gaussian: the spectral radius tends to
    // sigma_w (circular law)
    let ln = layer.weight.sigma_w2.ln();
    let growth = Growth {
        chi: ln.exp(),
        ln_chi: ln,
        typical_ln_square_per_layer: isometric.then_some(ln),
        certainty,
    };
    let field = MeanField {
        phase: "tied".into(),
        note: Some(
            if isometric {
                "a power of a scaled orthogonal matrix: every singular value is g^L"
            } else {
                "a power of one matrix: the spectral radius rules the rate, the singular values rule the transient"
            }
            .into(),
        ),
        ..MeanField::default()
    };
    let mut out = blank(growth, field);
    if isometric {
        let point = |ln: f64| {
            let mut law = super::log_normal(ln, 0.0, options);
            law.certainty = Certainty::Exact;
            law
        };
        let total = ln * depth as f64;
        out.forward = (!setting.biased()).then(|| point(total));
        out.jvp = Some(point(total));
    }
    let ln_chi = vec![ln; depth];
    out.layers = pictures(
        setting,
        &ln_chi,
        |_| None,
        |l| isometric.then(|| ln * (depth - l) as f64),
    );
    out.critical_alpha = alpha_from_growth(setting, ln, isometric.then_some(ln));
    out.precision = precision::means(setting, &growth);
    out.jacobian = spectrum::tied(setting);
    Ok(out)
}
