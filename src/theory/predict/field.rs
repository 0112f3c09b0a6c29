//! Any activation: the mean field of infinite width, with spreads to first order in 1/width.

use super::setting::Setting;
use super::{
    NOTABLE, Options, PredictError, log_normal, mean_only, pictures, precision, sample, spectrum,
};
use crate::network::BiasLaw;
use crate::scale::Certainty;
use crate::theory::averages::moments_around;
use crate::theory::criticality::{
    EdgePoint, critical_alphas, edge_at_bias, edge_at_q, half_stable,
};
use crate::theory::mean_field::LengthMap;
use crate::theory::prediction::{
    CriticalAlpha, Growth, Kernel, Law, MeanField, Prediction, Verdict,
};
use crate::theory::propagation::{Field, Layer, layers};

/// Variances of pre-activations and their consequences, layer by layer, for `|x_0|^2 = n_0`.
pub(super) fn lengths(setting: &Setting<'_>) -> Result<Vec<Layer>, PredictError> {
    let variances = setting.variances();
    let constant = |l: &crate::network::Layer| match l.bias {
        BiasLaw::Constant(c) => Some(c),
        _ => None,
    };
    let Some(mean) = constant(&setting.layers[0]) else {
        return Ok(layers(&setting.model.activation, &variances, 0.0)?);
    };
    // a constant bias is a mean, not a variance
    let mut ln_x = 0.0f64;
    let mut ln_gradient = 0.0;
    let mut out: Vec<Layer> = Vec::with_capacity(variances.len());
    for &(sigma_w2, _) in &variances {
        let ln_q = sigma_w2.ln() + ln_x;
        let layer = match out.last() {
            Some(last) if (last.ln_q - ln_q).abs() <= 2.0 * f64::EPSILON * ln_q.abs().max(0.1) => {
                Layer { ln_q, ..*last }
            }
            _ => {
                let m = moments_around(&setting.model.activation, mean, ln_q.exp());
                Layer {
                    ln_q,
                    ln_second: m.second.value.ln(),
                    ln_slope: m.slope.value.ln(),
                    ln_chi: 0.0,
                    ln_gradient: 0.0,
                    error: m.second.error / m.second.value,
                }
            }
        };
        ln_gradient += sigma_w2.ln() + layer.ln_slope;
        ln_x = layer.ln_second;
        out.push(Layer {
            ln_chi: sigma_w2.ln() + layer.ln_slope,
            ln_gradient,
            ..layer
        });
    }
    Ok(out)
}

/// Fixed point of the length map of equal layers.
pub(super) fn fixed_point(setting: &Setting<'_>) -> Result<MeanField, PredictError> {
    let mut out = MeanField::default();
    if !setting.uniform() {
        out.phase = "none: layers differ".into();
        out.note = Some("phases belong to networks whose layers are all alike".into());
        return Ok(out);
    }
    if matches!(setting.layers[0].bias, BiasLaw::Constant(_)) {
        out.phase = "none: constant bias".into();
        out.note = Some("the length map with a constant bias is followed layer by layer".into());
        return Ok(out);
    }
    // layers after the first see dropout
    let keep = setting.model.keep();
    let sigma_w2 = setting.layers[0].weight.sigma_w2 / keep;
    let sigma_b2 = setting.layers[0].bias.variance();
    let map = LengthMap::new(setting.model.activation.clone(), sigma_w2, sigma_b2)?;
    super::phases::describe(&map, map.first(keep), &mut out);
    Ok(out)
}

/// Kernels of the infinitely wide network.
pub(super) fn kernel(setting: &Setting<'_>, lengths: &[Layer]) -> Kernel {
    let keep = setting.model.keep();
    // the tangent kernel of the first layer is its own variance
    let mut ntk = lengths[0].q();
    let variances = |l: usize| {
        let layer = &setting.layers[l];
        (layer.weight.sigma_w2 / keep, layer.bias.mean_square())
    };
    let mut q = lengths[0].q();
    for (l, layer) in lengths.iter().enumerate() {
        let (w, b) = variances(l + 1);
        q = w * layer.ln_second.exp() + b;
        ntk = q + w * layer.ln_slope.exp() * ntk;
    }
    // dropout makes the kernel random; biases with a mean add to it
    let known = setting.model.dropout == 0.0;
    Kernel {
        nngp: (known && q.is_finite()).then_some(q),
        ntk: (known && ntk.is_finite()).then_some(ntk),
    }
}

/// `ln chi` of every layer: on the mean square of a gradient that passes it backwards.
fn ln_chi(setting: &Setting<'_>, lengths: &[Layer]) -> Vec<f64> {
    let keep = setting.model.keep();
    lengths
        .iter()
        .zip(&setting.layers)
        .map(|(l, layer)| layer.weight.sigma_w2.ln() + l.ln_slope - keep.ln())
        .collect()
}

/// Means of the squared weight gradients for `|x_0|^2 = n_0`, of hidden layers and readout.
pub(super) fn weight_gradients(setting: &Setting<'_>, lengths: &[Layer]) -> Vec<(usize, Law)> {
    let chi = ln_chi(setting, lengths);
    let keep = setting.model.keep();
    let depth = setting.depth();
    let readout = setting.layers[depth].weight.sigma_w2.ln();
    let mut above = vec![readout; depth + 1];
    for l in (0..depth).rev() {
        above[l] = above[l + 1] + chi[l];
    }
    sample(depth + 1)
        .into_iter()
        .map(|l| {
            let input = if l == 1 {
                0.0
            } else {
                lengths[l - 2].ln_second - keep.ln()
            };
            let signal = (setting.model.widths[l - 1] as f64).ln() + input;
            // dy/dh_l: the gradient at x_l times the slopes
            let error = if l == depth + 1 {
                0.0
            } else {
                above[l] + lengths[l - 1].ln_slope - keep.ln()
            };
            let stored = 2.0 * setting.layers[l - 1].multiplier.abs().ln();
            (l, mean_only(Certainty::Asymptotic, signal + error + stored))
        })
        .collect()
}

/// Growth, and the variance of the log of the squared input gradient where it is known.
pub(super) fn growth(setting: &Setting<'_>) -> Result<(Growth, Option<f64>), PredictError> {
    let depth = setting.depth() as f64;
    let lengths = lengths(setting)?;
    let total: f64 = ln_chi(setting, &lengths).iter().sum();
    let spread = super::spread::gradient(setting);
    let growth = Growth {
        chi: (total / depth).exp(),
        ln_chi: total / depth,
        typical_ln_square_per_layer: spread.as_ref().map(|v| (total - 0.5 * v.from(0)) / depth),
        certainty: Certainty::Asymptotic,
    };
    Ok((growth, spread.map(|v| v.total)))
}

pub(super) fn predict(
    setting: &Setting<'_>,
    options: &Options,
) -> Result<Prediction, PredictError> {
    let depth = setting.depth();
    let widths = &setting.model.widths;
    let lengths = lengths(setting)?;
    let chi = ln_chi(setting, &lengths);
    let total: f64 = chi.iter().sum();
    let variances = super::spread::gradient(setting);
    let rectangular = (widths[depth] as f64 / widths[0] as f64).ln();
    let jvp_mean = total + rectangular;
    let forward_mean = lengths[depth - 1].ln_second - setting.model.keep().ln() + rectangular;
    let readout = setting.layers[depth].weight.sigma_w2.ln();
    let law = |mean: f64, input: f64| match &variances {
        Some(v) => log_normal(mean, v.from(0) + input * (v.total - v.from(0)), options),
        None => mean_only(Certainty::Asymptotic, mean),
    };
    let input_gradient = law(total + readout, 1.0);
    let typical = variances
        .as_ref()
        .map(|v| (total - 0.5 * v.from(0)) / depth as f64);
    let growth = Growth {
        chi: (total / depth as f64).exp(),
        ln_chi: total / depth as f64,
        typical_ln_square_per_layer: typical,
        certainty: Certainty::Asymptotic,
    };
    let layers = pictures(
        setting,
        &chi,
        |l| Some(lengths[l - 1].q()),
        |l| {
            let v = variances.as_ref()?;
            let mean: f64 = chi[l..].iter().sum();
            Some(mean - 0.5 * v.from(l))
        },
    );
    Ok(Prediction {
        description: Vec::new(),
        mean_field: fixed_point(setting)?,
        forward: Some(mean_only(Certainty::Asymptotic, forward_mean)),
        jvp: Some(law(jvp_mean, 0.0)),
        precision: precision::log_normal(setting, &growth, &input_gradient),
        input_gradient: Some(input_gradient),
        weight_gradients: weight_gradients(setting, &lengths),
        jacobian: spectrum::field(setting, &lengths)?,
        kernel: kernel(setting, &lengths),
        critical_alpha: critical_alpha(setting),
        growth,
        layers,
        hypotheses: Vec::new(),
        reasons: Vec::new(),
        fix: None,
        verdict: Verdict::Stable,
        sentence: String::new(),
    })
}

/// The alphas at which the mean square gradient keeps its size, nearest to the one there is.
fn critical_alpha(setting: &Setting<'_>) -> CriticalAlpha {
    let none = CriticalAlpha::default();
    let alpha = setting.model.alpha;
    if !setting.uniform() || matches!(alpha.at, crate::network::AlphaAt::Layer(_)) {
        return none;
    }
    let layer = &setting.layers[0];
    if matches!(layer.bias, BiasLaw::Constant(_)) {
        return none;
    }
    let map = LengthMap::new(
        setting.model.activation.clone(),
        layer.weight.sigma_w2 / setting.model.keep(),
        layer.bias.variance(),
    );
    let Ok(map) = map else { return none };
    let distance = |a: f64| a.ln().abs();
    let best = critical_alphas(&map)
        .into_iter()
        .map(|c| c.alpha.value)
        .min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
    CriticalAlpha {
        mean_square: best.map(|a| a * alpha.value.abs()),
        typical: None,
    }
}

/// Pre-activation variances beyond this, or below its inverse, have left any fixed point.
const LEAVES: f64 = 1e12;

/// The point of the edge of chaos to recommend, as `(sigma_w2, sigma_b2)`: with the biases there are, at
/// `q = 1`, where the length is held to second order, or at a larger `q`; the first at which this network
/// really keeps its gradients from `|x_0|^2 = n_0` on. `None` if there is none.
pub(super) fn fix(setting: &Setting<'_>) -> Option<(f64, f64)> {
    let phi = &setting.model.activation;
    let keep = setting.model.keep();
    let depth = setting.depth();
    // shared by the candidates, whose lengths overlap
    let mut moments = Field::new(phi);
    let mut holds = |p: &EdgePoint| {
        let (w, b) = (p.sigma_w2.value, p.sigma_b2.value.max(0.0));
        let (mut x, mut total) = (1.0, 0.0f64);
        for i in 0..depth {
            // dropout acts from the first activation on
            let q = if i == 0 { w * keep } else { w } * x + b;
            // a length that has left, or a gradient far beyond what is allowed, does not come back
            if !(q > LEAVES.recip() && q < LEAVES) || total.abs() > 4.0 * NOTABLE {
                return false;
            }
            let m = moments.at(q.ln());
            total += w.ln() + m.ln_slope;
            x = m.ln_second.exp();
        }
        total.abs() < NOTABLE
    };
    edge_at_bias(phi, setting.layers[0].bias.variance())
        .into_iter()
        .filter(|p| p.q.value > 0.0)
        .chain(edge_at_q(phi, 1.0))
        .chain(half_stable(phi))
        .chain((1..8).filter_map(|i| edge_at_q(phi, f64::from(1 << i))))
        .find(|p| holds(p))
        .map(|p| (p.sigma_w2.value * keep, p.sigma_b2.value.max(0.0)))
}
