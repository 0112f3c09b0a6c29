//! Rank, traces, Lyapunov exponents and spectral edges of the Jacobian of the model.

use super::PredictError;
use super::setting::{Regime, Setting};
use crate::network::WeightKind;
use crate::theory::lyapunov::VolumeLayer;
use crate::theory::prediction::Jacobian;
use crate::theory::propagation::Layer;
use crate::theory::rank::{GatedLayer, RankLaw, TraceLayer, trace_moments};
use crate::theory::spectrum::{Ensemble, LayerGroup, SquaredSlopes, spectrum};
use std::f64::consts::LOG2_E;

/// Lyapunov exponents that are listed at most.
const EXPONENTS: usize = 128;
/// Groups of equal layers for which edges are computed at most.
const GROUPS: usize = 12;
/// Layers whose `ln q` differ by less than this are one group: the log of an edge moves by less than
/// that per layer.
const SAME: f64 = 1e-7;

fn ensemble(setting: &Setting<'_>) -> Ensemble {
    match setting.layers[0].weight.kind {
        WeightKind::Orthogonal | WeightKind::Identity => Ensemble::Orthogonal,
        _ => Ensemble::Gaussian,
    }
}

/// Exact at finite width, but for the edge and the variance, which are those of the wide limit.
pub(super) fn homogeneous(setting: &Setting<'_>) -> Result<Jacobian, PredictError> {
    let Regime::Homogeneous { slopes, exact, .. } = setting.regime else {
        return Ok(Jacobian::default());
    };
    let model = setting.model;
    let keep = model.keep();
    let (below, above) = slopes;
    let open = if below == 0.0 || above == 0.0 {
        0.5
    } else {
        1.0
    } * keep;
    let hidden = &setting.layers[..setting.depth()];
    let gates: Vec<GatedLayer> = hidden
        .iter()
        .map(|l| GatedLayer {
            width: l.fan_out,
            survive: open,
        })
        .collect();
    let rank = RankLaw::new(model.widths[0], &gates).ok();
    let gaussian = ensemble(setting) == Ensemble::Gaussian;
    let traces = if gaussian && exact {
        let layers: Vec<TraceLayer> = hidden
            .iter()
            .map(|l| TraceLayer::homogeneous(l.fan_out, l.weight.sigma_w2, slopes, keep))
            .collect();
        trace_moments(model.widths[0], &layers).ok()
    } else {
        None
    };
    let mut out = Jacobian {
        expected_rank: rank.as_ref().map(RankLaw::mean),
        ln_expected_trace: traces.map(|t| t.ln_mean_trace),
        ln_expected_trace_of_square: traces.map(|t| t.ln_mean_trace_of_square),
        ..Jacobian::default()
    };
    if setting.uniform() {
        let n = model.widths[0];
        let sigma_w2 = hidden[0].weight.sigma_w2;
        // what survives of the rank, typically
        let typical = rank.as_ref().map_or(0, |r| r.mean().floor() as usize);
        let count = typical.clamp(1, EXPONENTS.min(n));
        let two_sided = below != 0.0 && above != 0.0 && below.abs() != above.abs();
        if exact && !two_sided {
            let steep = above.abs().max(below.abs()) / keep;
            let layer = VolumeLayer::square(ensemble(setting), n, sigma_w2 * steep * steep, open);
            out.log2_lyapunov = layer
                .exponents(count)
                .unwrap_or_default()
                .into_iter()
                .map(|x| x * LOG2_E)
                .collect();
        }
        if let Ok(slopes) = SquaredSlopes::new(&model.activation, 1.0)
            && let Ok(slopes) = slopes.with_dropout(keep)
        {
            edges(
                &mut out,
                &[LayerGroup {
                    ensemble: ensemble(setting),
                    sigma_w2,
                    slopes,
                    count: setting.depth(),
                }],
            );
        }
    }
    Ok(out)
}

fn edges(out: &mut Jacobian, groups: &[LayerGroup]) {
    let Ok(s) = spectrum(groups) else { return };
    out.variance = Some(s.normalised_variance).filter(|v| v.is_finite());
    let (lower, upper) = (s.lower.ln.exp(), s.upper.ln.exp());
    if !lower.is_nan() && upper.is_finite() {
        out.edge = Some((lower, upper));
    }
}

/// Wide limit, with the variances that the layers really have.
pub(super) fn field(setting: &Setting<'_>, lengths: &[Layer]) -> Result<Jacobian, PredictError> {
    let mut out = Jacobian::default();
    let square = setting
        .model
        .widths
        .iter()
        .all(|n| *n == setting.model.widths[0]);
    let centred = !matches!(setting.layers[0].bias, crate::network::BiasLaw::Constant(_));
    if !square || !centred {
        return Ok(out);
    }
    let mut groups: Vec<LayerGroup> = Vec::new();
    let mut last = None;
    for (l, layer) in lengths.iter().zip(&setting.layers) {
        let key = (l.ln_q, layer.weight.sigma_w2);
        let same = |(q, w): (f64, f64)| (q - key.0).abs() < SAME && w == key.1;
        if last.is_some_and(same)
            && let Some(group) = groups.last_mut()
        {
            group.count += 1;
            continue;
        }
        last = Some(key);
        let slopes = SquaredSlopes::new(&setting.model.activation, l.q())
            .and_then(|s| s.with_dropout(setting.model.keep()));
        let (Ok(slopes), true) = (slopes, groups.len() < GROUPS) else {
            // transients of many layers have no cheap edge
            return Ok(out);
        };
        groups.push(LayerGroup {
            ensemble: ensemble(setting),
            sigma_w2: layer.weight.sigma_w2,
            slopes,
            count: 1,
        });
    }
    edges(&mut out, &groups);
    Ok(out)
}

/// A power of one matrix: known for orthogonal weights only.
pub(super) fn tied(setting: &Setting<'_>) -> Jacobian {
    if ensemble(setting) != Ensemble::Orthogonal {
        return Jacobian::default();
    }
    let n = setting.model.widths[0];
    let ln = setting.layers[0].weight.sigma_w2.ln();
    let total = ln * setting.depth() as f64;
    Jacobian {
        expected_rank: Some(n as f64),
        ln_expected_trace: Some((n as f64).ln() + total),
        ln_expected_trace_of_square: Some((n as f64).ln() + 2.0 * total),
        variance: Some(0.0),
        log2_lyapunov: vec![0.5 * ln * LOG2_E; n.min(EXPONENTS)],
        edge: Some((total.exp(), total.exp())),
    }
}
