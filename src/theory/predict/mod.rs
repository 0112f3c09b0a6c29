//! From a model to everything the theory says about it.
//!
//! Which theory applies is decided by the model alone. (Leaky) ReLU and linear networks with Gaussian or
//! orthogonal weights have exact laws at every width. Any other activation has the mean field of
//! infinite width, with fluctuations to first order in 1/width. Normalization, residual branches and
//! tied weights have laws of their own.
//!
//! Start with [`predict`]; [`gradient_law`] and [`laws`] give the exact laws at any point, [`growth`] the cheapest
//! answer.
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//! use isometer::theory::predict::{Options, predict};
//!
//! // a tanh network of one tenth the critical variance
//! let mut model = Model::new(vec![256; 31], Activation::Tanh);
//! model.weights = "gaussian:sigma_w2=0.1".parse().unwrap();
//! let p = predict(&model, &Options::default()).unwrap();
//! assert_eq!((p.verdict.as_str(), p.mean_field.phase.as_str()), ("vanishing", "ordered"));
//! assert!((p.mean_field.chi_1.unwrap() - 0.1).abs() < 1e-9);
//! ```

mod exact;
mod field;
mod phases;
mod precision;
mod setting;
mod special;
mod spectrum;
mod spread;
mod words;

use crate::network::{Model, ModelError};
use crate::scale::Certainty;
use crate::theory::laws::{LawError, ProductLaw};
use crate::theory::mean_field::LengthMapError;
use crate::theory::prediction::{Growth, Law, LayerPicture, Prediction, QUANTILES, Verdict};
use setting::{Regime, Setting};

/// Layers of which every one is listed; deeper networks are sampled.
pub const LISTED: usize = 1000;
/// Layers of [`gradient_bands`] at most.
pub const BANDS: usize = 17;
/// Layers that a sample holds.
const SAMPLE: usize = 257;
/// Natural logarithm of the factor on squared norms, over the whole depth, from which a gradient
/// counts as vanished or exploded: a factor of ten on norms.
const NOTABLE: f64 = 2.0 * std::f64::consts::LN_10;

/// What else to compute.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where to evaluate distribution functions: values of the log of the squared norm.
    pub cdf: Vec<f64>,
}

/// Why there is no prediction.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PredictError {
    /// The model contradicts itself.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Weights that are not drawn at random about zero.
    #[error("{weights} weights: {reason}")]
    Weights {
        /// The initializer.
        weights: String,
        /// Why there is no law.
        reason: &'static str,
    },
    /// A combination that no theory here covers.
    #[error("{what} is not covered: {reason}")]
    NotCovered {
        /// The combination.
        what: String,
        /// What is missing and what to do.
        reason: String,
    },
    /// The exact law was refused.
    #[error(transparent)]
    Law(#[from] LawError),
    /// The mean field was refused.
    #[error(transparent)]
    Field(#[from] LengthMapError),
}

/// What gradients of this network will do at initialization.
///
/// Gradients are in squared norm, of the output of each layer (after its activation), for inputs with
/// `|x_0|^2 = n_0`.
///
/// # Errors
/// [`PredictError`].
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::theory::predict::{Options, predict};
/// use isometer::theory::prediction::Verdict;
/// // PyTorch's default for nn.Linear loses a factor of 6 on the squared gradient in each ReLU layer
/// let mut model = Model::new(vec![64; 31], Activation::Relu);
/// model.weights = "torch:linear".parse().unwrap();
/// let p = predict(&model, &Options::default()).unwrap();
/// assert!((p.growth.chi - 1.0 / 6.0).abs() < 1e-12 && p.verdict == Verdict::Vanishing);
/// assert!(p.fix.unwrap().torch.contains("std=math.sqrt(2 / layer.in_features)"));
/// ```
pub fn predict(model: &Model, options: &Options) -> Result<Prediction, PredictError> {
    model.validate()?;
    let setting = Setting::new(model)?;
    let mut prediction = match setting.regime {
        Regime::Homogeneous { .. } => exact::predict(&setting, options)?,
        Regime::Field => field::predict(&setting, options)?,
        Regime::Normalized { .. } | Regime::Residual { .. } | Regime::Tied => {
            special::predict(&setting, options)?
        }
    };
    judge(&setting, &mut prediction);
    words::explain(&setting, &mut prediction);
    Ok(prediction)
}

/// The law of the squared input gradient `|dy/dx_0|^2` of one output, at any point and not only at the
/// quantiles of a [`Prediction`], for networks that have one at finite width: (leaky) ReLU and linear
/// layers. With what it is worth.
///
/// # Errors
/// [`PredictError`].
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::theory::predict::gradient_law;
/// let (law, worth) = gradient_law(&Model::new(vec![8; 4], Activation::Relu)).unwrap().unwrap();
/// assert!(worth.as_str() == "exact" && law.p_zero() > 0.0);
/// assert!(gradient_law(&Model::new(vec![8; 4], Activation::Tanh)).unwrap().is_none());
/// ```
pub fn gradient_law(model: &Model) -> Result<Option<(ProductLaw, Certainty)>, PredictError> {
    model.validate()?;
    exact::gradient_law(&Setting::new(model)?)
}

/// The law of one squared element of the input gradient, for the same networks as [`gradient_law`].
///
/// # Errors
/// [`PredictError`].
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::theory::predict::{element_law, gradient_law};
/// let model = Model::new(vec![8; 4], Activation::Relu);
/// let (whole, _) = gradient_law(&model).unwrap().unwrap();
/// let one = element_law(&model).unwrap().unwrap(); // one of 8 inputs has an eighth of the mean square
/// assert!((whole.ln_mean_square() - one.ln_mean_square() - 8f64.ln()).abs() < 1e-12);
/// ```
pub fn element_law(model: &Model) -> Result<Option<ProductLaw>, PredictError> {
    model.validate()?;
    exact::element_law(&Setting::new(model)?)
}

/// The exact laws of a network, at any point and not only at the quantiles of a [`Prediction`].
#[derive(Clone, Debug)]
pub struct Laws {
    /// Exact, or asymptotic where the law is that of another ensemble which wide layers share.
    pub certainty: Certainty,
    /// `|x_L|^2 / |x_0|^2`; none with biases.
    pub forward: Option<ProductLaw>,
    /// `|J u|^2`.
    pub jvp: ProductLaw,
    /// `|dy/dx_0|^2`.
    pub input_gradient: ProductLaw,
    /// `(dy/dx_0)_i^2`.
    pub input_gradient_element: ProductLaw,
    /// `|dy/dW_l|_F^2` of stored weights by layer, for `|x_0|^2 = n_0`; none with biases.
    pub weight_gradients: Vec<(usize, ProductLaw)>,
}

/// The laws of the squared norms of the networks that [`gradient_law`] covers; weight gradients of the
/// layers asked for.
///
/// # Errors
/// [`PredictError`].
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::theory::predict::laws;
/// let found = laws(&Model::new(vec![8; 4], Activation::Relu), &[1, 4]).unwrap().unwrap();
/// assert!(found.jvp.ln_mean_square().abs() < 1e-12 && found.weight_gradients.len() == 2);
/// ```
pub fn laws(model: &Model, layers: &[usize]) -> Result<Option<Laws>, PredictError> {
    model.validate()?;
    exact::laws(&Setting::new(model)?, layers)
}

/// Quantiles of the squared gradient at the output of one layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientBand {
    /// From 1 to `L - 1`.
    pub layer: usize,
    /// 5% and 95% quantile of `ln |dy/dx_l|^2` over the mean square at the output of the last layer, given that it
    /// is not zero.
    pub ln_square: (f64, f64),
}

/// Quantiles of gradients by layer for the networks that [`gradient_law`] covers, at no more than [`BANDS`] layers;
/// empty for others.
///
/// # Errors
/// [`PredictError`].
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::theory::predict::gradient_bands;
/// let bands = gradient_bands(&Model::new(vec![8; 6], Activation::Relu)).unwrap();
/// assert!(bands.iter().all(|b| b.ln_square.0 < b.ln_square.1) && bands.iter().any(|b| b.layer == 1));
/// ```
pub fn gradient_bands(model: &Model) -> Result<Vec<GradientBand>, PredictError> {
    model.validate()?;
    exact::gradient_bands(&Setting::new(model)?)
}

/// Growth alone, and the variance of the log of the squared input gradient where it is known: what
/// [`predict`] says, at less cost.
///
/// # Errors
/// [`PredictError`].
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::theory::predict::growth;
/// let (g, _) = growth(&Model::new(vec![100; 10], Activation::Relu)).unwrap();
/// assert!((g.chi - 1.0).abs() < 1e-12);
/// ```
pub fn growth(model: &Model) -> Result<(Growth, Option<f64>), PredictError> {
    model.validate()?;
    let setting = Setting::new(model)?;
    if setting.regime == Regime::Field {
        return field::growth(&setting);
    }
    let p = predict(model, &Options::default())?;
    Ok((p.growth, p.input_gradient.and_then(|l| l.var_ln_square)))
}

/// Indices from 1 to `depth`: all of them, or an even sample with both ends.
fn sample(depth: usize) -> Vec<usize> {
    if depth <= LISTED {
        return (1..=depth).collect();
    }
    (0..SAMPLE)
        .map(|i| 1 + (i * (depth - 1) + (SAMPLE - 1) / 2) / (SAMPLE - 1))
        .collect()
}

/// Pictures of the sampled layers from `ln chi` of every layer and, where known, the typical log from
/// the last layer down to each.
fn pictures(
    setting: &Setting<'_>,
    ln_chi: &[f64],
    q: impl Fn(usize) -> Option<f64>,
    typical: impl Fn(usize) -> Option<f64>,
) -> Vec<LayerPicture> {
    let depth = ln_chi.len();
    // sums from the last layer down: above[l] belongs to the output of layer l
    let mut above = vec![0.0; depth + 1];
    for l in (0..depth).rev() {
        above[l] = above[l + 1] + ln_chi[l];
    }
    sample(depth)
        .into_iter()
        .map(|l| LayerPicture {
            layer: l,
            width: setting.model.widths[l],
            q: q(l),
            chi: ln_chi[l - 1].exp(),
            ln_mean_square_gradient: above[l],
            typical_ln_square_gradient: typical(l),
        })
        .collect()
}

/// The verdict, from the typical gradient where it is known.
fn judge(setting: &Setting<'_>, p: &mut Prediction) {
    let depth = setting.depth() as f64;
    let total = total_drift(&p.growth, depth);
    let dead = p.input_gradient.as_ref().map_or(0.0, |l| l.p_zero);
    p.verdict = if total < -NOTABLE || dead > 0.5 || total.is_nan() {
        Verdict::Vanishing
    } else if total > NOTABLE {
        Verdict::Exploding
    } else {
        Verdict::Stable
    };
}

/// Log of the factor on the typical squared gradient over the whole depth.
fn total_drift(growth: &Growth, depth: f64) -> f64 {
    growth.typical_ln_square_per_layer.unwrap_or(growth.ln_chi) * depth
}

/// A law of which only the mean is known.
fn mean_only(certainty: Certainty, ln_mean_square: f64) -> Law {
    Law {
        certainty,
        ln_mean_square,
        mean_ln_square: None,
        var_ln_square: None,
        ln_kurtosis_ratio: None,
        p_zero: 0.0,
        quantiles_ln_square: Vec::new(),
        cdf_ln_square: Vec::new(),
        error: None,
    }
}

/// The log-normal law with this mean square and variance of the logarithm.
fn log_normal(ln_mean_square: f64, variance: f64, options: &Options) -> Law {
    let mean = ln_mean_square - 0.5 * variance;
    let deviation = variance.sqrt();
    let normal_cdf = |z: f64| 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
    // quantiles of the standard normal law at QUANTILES
    const Z95: f64 = 1.644_853_626_951_472_7;
    let z = [-Z95, 0.0, Z95];
    Law {
        certainty: Certainty::Asymptotic,
        ln_mean_square,
        mean_ln_square: Some(mean),
        var_ln_square: Some(variance),
        ln_kurtosis_ratio: Some(variance),
        p_zero: 0.0,
        quantiles_ln_square: QUANTILES
            .iter()
            .zip(z)
            .map(|(p, z)| (*p, mean + z * deviation))
            .collect(),
        cdf_ln_square: options
            .cdf
            .iter()
            .map(|&x| {
                let p = if deviation > 0.0 {
                    normal_cdf((x - mean) / deviation)
                } else {
                    f64::from(u8::from(x >= mean))
                };
                (x, p)
            })
            .collect(),
        error: None,
    }
}
