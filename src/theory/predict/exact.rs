//! (Leaky) ReLU and linear networks: exact laws at finite width.

use super::setting::{Regime, Setting};
use super::{
    BANDS, GradientBand, Laws, Options, PredictError, field, pictures, precision, spectrum,
};
use crate::scale::Certainty;
use crate::theory::laws::{Ensemble, Factor, LawError, Network, ProductLaw};
use crate::theory::prediction::{CriticalAlpha, Growth, Law, Prediction, QUANTILES, Verdict};
use std::collections::HashMap;

/// Weight gradients of this many layers are computed where each has a law of its own.
const OWN_LAWS: usize = 33;

/// A product law as the numbers that are reported.
pub(super) fn summary(law: &ProductLaw, certainty: Certainty, options: &Options) -> Law {
    let mut error = 0.0f64;
    let quantiles = QUANTILES
        .iter()
        .map(|&p| (p, law.quantile_ln_square(p).value))
        .collect();
    let cdf = options
        .cdf
        .iter()
        .map(|&x| {
            let p = law.cdf_ln_square(x);
            error = error.max(p.error);
            (x, p.value)
        })
        .collect();
    Law {
        certainty,
        ln_mean_square: law.ln_mean_square(),
        mean_ln_square: Some(law.mean_ln_square()),
        var_ln_square: Some(law.var_ln_square()),
        ln_kurtosis_ratio: Some(law.ln_kurtosis_ratio()),
        p_zero: law.p_zero(),
        quantiles_ln_square: quantiles,
        cdf_ln_square: cdf,
        error: (!options.cdf.is_empty()).then_some(error),
    }
}

/// Mean logs of factors, each distinct one computed once.
#[derive(Default)]
struct MeanLogs(HashMap<(usize, usize, bool, u64), f64>);

impl MeanLogs {
    fn get(&mut self, key: (usize, usize, bool, u64), factor: Factor) -> Result<f64, LawError> {
        if let Some(x) = self.0.get(&key) {
            return Ok(*x);
        }
        let x = ProductLaw::new(&[(factor, 1)])?.mean_ln_square();
        self.0.insert(key, x);
        Ok(x)
    }
}

/// `E ln` of the squared gradient at the output of each layer over that at the last one, given that
/// no layer is dead: `[l]` for `l = 0..=L`, 0 the input.
///
/// From the gradient `w` of a linear readout: `J_l^T w` is a product of one gated factor for each
/// layer above and a plain one for the last matrix (theorem: sign-symmetric-gates, read backwards).
fn typical(network: &Network<'_>) -> Result<Vec<f64>, LawError> {
    let widths = network.widths;
    let depth = widths.len() - 1;
    let mut logs = MeanLogs::default();
    let mut out = vec![0.0; depth + 1];
    // E ln of the gates and matrices between the readout and the output of layer l
    let mut gated = 0.0;
    let top = mean_log(network, depth, 1, 1.0, false, &mut logs)?;
    for l in (0..depth).rev() {
        // the gates of layer l + 1 act on what a matrix with l + 2's law has produced
        let above = if l + 1 == depth { 1 } else { widths[l + 2] };
        let sigma = if l + 1 == depth {
            1.0
        } else {
            network.sigma_w2[l + 1]
        };
        gated += mean_log(network, l + 1, above, sigma, true, &mut logs)?;
        let plain = mean_log(
            network,
            l,
            widths[l + 1],
            network.sigma_w2[l],
            false,
            &mut logs,
        )?;
        out[l] = gated + plain - top;
    }
    Ok(out)
}

/// `E ln` of one factor on the way back: a matrix from `from` outputs to layer `layer`, with its gates
/// or without.
fn mean_log(
    network: &Network<'_>,
    layer: usize,
    from: usize,
    sigma_w2: f64,
    gated: bool,
    logs: &mut MeanLogs,
) -> Result<f64, LawError> {
    logs.get(
        (network.widths[layer], from, gated, sigma_w2.to_bits()),
        network.backward_factor(layer, from, sigma_w2, gated),
    )
}

fn worth(exact: bool) -> Certainty {
    if exact {
        Certainty::Exact
    } else {
        Certainty::Asymptotic
    }
}

fn network<'a>(
    setting: &'a Setting<'_>,
    sigma_w2: &'a [f64],
    (below, above): (f64, f64),
    ensemble: Ensemble,
) -> Network<'a> {
    Network {
        widths: &setting.model.widths,
        sigma_w2,
        slopes: (above, below),
        keep: setting.model.keep(),
        ensemble,
        symmetric_biases: setting.biased(),
    }
}

/// The law of the squared input gradient, where there is one at finite width.
pub(super) fn gradient_law(
    setting: &Setting<'_>,
) -> Result<Option<(ProductLaw, Certainty)>, PredictError> {
    let Regime::Homogeneous {
        slopes,
        ensemble,
        exact,
    } = setting.regime
    else {
        return Ok(None);
    };
    let sigma_w2 = setting.sigma_w2();
    let law = network(setting, &sigma_w2, slopes, ensemble).input_gradient()?;
    Ok(Some((law, worth(exact))))
}

/// Quantiles of the gradient at the output of a layer: the input gradient of the network above it, over the
/// mean square of the readout, which is its `sigma_w2`.
pub(super) fn gradient_bands(setting: &Setting<'_>) -> Result<Vec<GradientBand>, PredictError> {
    let Regime::Homogeneous {
        slopes, ensemble, ..
    } = setting.regime
    else {
        return Ok(Vec::new());
    };
    let sigma_w2 = setting.sigma_w2();
    let whole = network(setting, &sigma_w2, slopes, ensemble);
    let depth = setting.depth();
    let count = (depth - 1).min(BANDS);
    let readout = sigma_w2.get(depth).map_or(0.0, |s| s.ln());
    (0..count)
        .map(|i| {
            let layer = 1 + i * (depth - 2) / (count - 1).max(1);
            let above = Network {
                widths: &whole.widths[layer..],
                sigma_w2: &whole.sigma_w2[layer..],
                ..whole
            };
            let law = above.input_gradient()?.scaled(-readout);
            let at = |p| law.quantile_ln_square(p).value;
            Ok(GradientBand {
                layer,
                ln_square: (at(0.05), at(0.95)),
            })
        })
        .collect()
}

/// Law of one squared element of the input gradient.
pub(super) fn element_law(setting: &Setting<'_>) -> Result<Option<ProductLaw>, PredictError> {
    let Regime::Homogeneous {
        slopes, ensemble, ..
    } = setting.regime
    else {
        return Ok(None);
    };
    let sigma_w2 = setting.sigma_w2();
    let network = network(setting, &sigma_w2, slopes, ensemble);
    Ok(Some(network.input_gradient_element()?))
}

/// All laws, with the weight gradients of the given layers.
pub(super) fn laws(setting: &Setting<'_>, layers: &[usize]) -> Result<Option<Laws>, PredictError> {
    let Regime::Homogeneous {
        slopes,
        ensemble,
        exact,
    } = setting.regime
    else {
        return Ok(None);
    };
    let sigma_w2 = setting.sigma_w2();
    let network = network(setting, &sigma_w2, slopes, ensemble);
    let jvp = network.jvp()?;
    let mut weight_gradients = Vec::new();
    if !setting.biased() {
        let ln_input = (setting.model.widths[0] as f64).ln();
        for &l in layers {
            let stored = 2.0 * setting.layers[l - 1].multiplier.abs().ln();
            let law = network.weight_gradient(l, ln_input)?;
            weight_gradients.push((l, law.scaled(stored)));
        }
    }
    Ok(Some(Laws {
        certainty: worth(exact),
        forward: (!setting.biased()).then(|| jvp.clone()),
        jvp,
        input_gradient: network.input_gradient()?,
        input_gradient_element: network.input_gradient_element()?,
        weight_gradients,
    }))
}

pub(super) fn predict(
    setting: &Setting<'_>,
    options: &Options,
) -> Result<Prediction, PredictError> {
    let Regime::Homogeneous {
        slopes: (below, above),
        ensemble,
        exact,
    } = setting.regime
    else {
        unreachable!("only homogeneous networks come here");
    };
    let model = setting.model;
    let depth = setting.depth();
    let sigma_w2 = setting.sigma_w2();
    let network = network(setting, &sigma_w2, (below, above), ensemble);
    let certainty = worth(exact);
    let jvp = network.jvp()?;
    let jvp_summary = summary(&jvp, certainty, options);
    let forward = (!setting.biased()).then(|| jvp_summary.clone());
    let input_gradient = network.input_gradient()?;
    let typical = typical(&network)?;
    // E phi'^2 is a mean over two fair coins
    let slope = 0.5 * (above * above + below * below) / model.keep();
    let ln_chi: Vec<f64> = (0..depth)
        .map(|i| (setting.layers[i].weight.sigma_w2 * slope).ln())
        .collect();
    let mean_field = field::fixed_point(setting)?;
    let lengths = field::lengths(setting)?;
    let layers = pictures(
        setting,
        &ln_chi,
        |l| Some(lengths[l - 1].q()),
        |l| Some(typical[l]),
    );
    let mean_ln_chi = ln_chi.iter().sum::<f64>() / depth as f64;
    let growth = Growth {
        chi: mean_ln_chi.exp(),
        ln_chi: mean_ln_chi,
        typical_ln_square_per_layer: Some(typical[0] / depth as f64),
        certainty,
    };
    let weight_gradients = weight_gradients(setting, &network, certainty, options)?;
    Ok(Prediction {
        description: Vec::new(),
        mean_field,
        forward,
        jvp: Some(jvp_summary),
        precision: precision::exact(&growth, &network.input_gradient_element()?),
        input_gradient: Some(summary(&input_gradient, certainty, options)),
        weight_gradients,
        jacobian: spectrum::homogeneous(setting)?,
        kernel: field::kernel(setting, &lengths),
        critical_alpha: critical_alpha(setting, &growth),
        growth,
        layers,
        hypotheses: Vec::new(),
        reasons: Vec::new(),
        fix: None,
        verdict: Verdict::Stable,
        sentence: String::new(),
    })
}

/// Growth goes with the square of alpha: exact for every homogeneous activation.
fn critical_alpha(setting: &Setting<'_>, growth: &Growth) -> CriticalAlpha {
    super::special::alpha_from_growth(setting, growth.ln_chi, growth.typical_ln_square_per_layer)
}

fn weight_gradients(
    setting: &Setting<'_>,
    network: &Network<'_>,
    certainty: Certainty,
    options: &Options,
) -> Result<Vec<(usize, Law)>, PredictError> {
    if setting.biased() {
        return Ok(field::weight_gradients(setting, &field::lengths(setting)?));
    }
    let ln_input = (setting.model.widths[0] as f64).ln();
    let stored = |l: usize| 2.0 * setting.layers[l - 1].multiplier.abs().ln();
    let count = setting.depth() + 1;
    if network.ensemble == Ensemble::Gaussian {
        // one law up to n_(l-1) / sigma_w2_l (theorem: weight-gradient-law)
        let first = network.weight_gradient(1, ln_input)?;
        let first = summary(&first, certainty, options);
        let scale = |l: usize| (setting.model.widths[l - 1] as f64 / network.sigma_w2[l - 1]).ln();
        return Ok(super::sample(count)
            .into_iter()
            .map(|l| (l, first.shifted(scale(l) - scale(1) + stored(l))))
            .collect());
    }
    let mut chosen = super::sample(count);
    if chosen.len() > OWN_LAWS {
        let last = chosen.len() - 1;
        chosen = (0..OWN_LAWS)
            .map(|i| chosen[i * last / (OWN_LAWS - 1)])
            .collect();
    }
    let mut out = Vec::new();
    for l in chosen {
        let law = network.weight_gradient(l, ln_input)?.scaled(stored(l));
        out.push((l, summary(&law, certainty, options)));
    }
    Ok(out)
}
