//! The number range that a network's gradients ask for: underflow, overflow, loss scale, lost updates.
//!
//! *Do these gradients fit into half precision, and does one loss scale serve all layers?* Start with [`budget`].
//! As exact or asymptotic as the laws of the norms it is made of; each layer says which.
//!
//! ```
//! use isometer::network::{Model, NumberFormat, activation::Activation};
//! use isometer::theory::budget::budget;
//! use isometer::theory::precision::LossScale;
//!
//! // every layer loses a factor of 4 on the squared gradient: 2^-20 over 20 layers
//! let mut model = Model::new(vec![64; 21], Activation::Linear);
//! model.weights = "gaussian:sigma_w2=0.25".parse().unwrap();
//! let b = budget(&model, None).unwrap();
//! assert!((b.growth.chi - 0.25).abs() < 1e-12);
//! let f16 = b.formats.iter().find(|f| f.format == NumberFormat::F16).unwrap();
//! // the root mean square halves a layer, so it meets 2^-25, where f16 rounds to zero, within 25 layers
//! assert!((f16.underflow.depth_mean - 22.0).abs() < 3.5);
//! let f32 = b.formats.iter().find(|f| f.format == NumberFormat::F32).unwrap();
//! assert!(matches!(f32.loss_scale, LossScale::Fits { .. }));
//! ```

use crate::network::{Model, NumberFormat};
use crate::scale::Certainty;
use crate::theory::precision::{
    Direction, GRADIENT_FORMATS, LayerRange, LossScale, Subnormals, depth_to_threshold, loss_scale,
    p_element_below,
};
use crate::theory::predict::{Options, PredictError, element_law, predict};
use crate::theory::prediction::{Growth, Law, Prediction};

/// Elements are asked to survive down to this many bits below the root mean square element of their
/// layer: what is smaller is below the resolution of a half-precision sum of squares.
pub const ELEMENT_BITS: f64 = 10.0;

/// Absolute error of distribution functions that come from an inversion.
const INVERSION: f64 = 1e-10;

/// When and how often a threshold is crossed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    /// Depth at which the root mean square of a gradient that starts at 1 meets it; `inf` for never.
    pub depth_mean: f64,
    /// Depth at which the typical one does.
    pub depth_typical: Option<f64>,
    /// Probability that an element of the input gradient of this network, one output, is beyond it.
    pub probability: Option<f64>,
}

/// Gradients of one layer, for an input with `|x_0|^2 = n_0` and one output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerBudget {
    /// From 1; the readout is `depth + 1`.
    pub layer: usize,
    /// `ln` of the root mean square element.
    pub ln_rms_element: f64,
    /// The same for the typical norm.
    pub ln_typical_element: Option<f64>,
    /// Below: [`ELEMENT_BITS`] under the root mean square element of a draw at the 5% quantile.
    /// Above: the norm at the 95% quantile, which no element exceeds.
    pub range: LayerRange,
    /// Root mean square of the stored weights.
    pub weight: f64,
    /// What the norms are worth.
    pub certainty: Certainty,
}

/// Updates too small to change a weight.
#[derive(Clone, Debug, PartialEq)]
pub struct LostUpdates {
    /// Largest lost step, relative to a weight of root mean square size: smallest and largest over
    /// the layers.
    pub relative: (f64, f64),
    /// Layers where a plain step of the given learning rate on the root mean square element is lost at such a
    /// weight; none if no learning rate was given.
    pub layers: Option<Vec<usize>>,
}

/// One number format.
#[derive(Clone, Debug, PartialEq)]
pub struct FormatBudget {
    /// Which.
    pub format: NumberFormat,
    /// Rounding to zero with gradual underflow.
    pub underflow: Crossing,
    /// The same where subnormal numbers are flushed.
    pub flushed: Crossing,
    /// Rounding to infinity.
    pub overflow: Crossing,
    /// Whether one loss scale fits all layers.
    pub loss_scale: LossScale,
    /// The same where subnormal numbers are flushed.
    pub loss_scale_flushed: LossScale,
    /// Lost updates.
    pub lost: LostUpdates,
}

/// Whose gradients the layers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The stored weights.
    Weights,
    /// The outputs of the layers, where weight gradients are not predicted.
    Outputs,
}

/// Everything about the range.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// f16, bf16, f32.
    pub formats: Vec<FormatBudget>,
    /// Layers, a sample where there are very many.
    pub layers: Vec<LayerBudget>,
    /// Whose gradients they are.
    pub of: Of,
    /// Growth.
    pub growth: Growth,
    /// Hidden layers.
    pub depth: usize,
    /// What it rests on.
    pub hypotheses: Vec<String>,
}

/// Probability that the square of one element of the input gradient is at most `e^x`, and the error.
type Cdf = Box<dyn Fn(f64) -> (f64, f64)>;

fn distribution(model: &Model, p: &Prediction) -> Result<Option<Cdf>, PredictError> {
    if let Some(law) = element_law(model)? {
        let dead = law.p_zero();
        return Ok(Some(Box::new(move |x| {
            let below = law.cdf_ln_square(x);
            (dead + (1.0 - dead) * below.value, below.error)
        })));
    }
    let n = model.widths[0];
    let log_normal = |l: &Law| Some((l.mean_ln_square?, l.var_ln_square?, l.p_zero));
    Ok(p.input_gradient
        .as_ref()
        .and_then(log_normal)
        .map(|(mean, variance, p_zero)| {
            let scale = (2.0 * variance).sqrt();
            let norm = move |x: f64| {
                if scale > 0.0 {
                    0.5 * libm::erfc((mean - x) / scale)
                } else {
                    f64::from(u8::from(x >= mean))
                }
            };
            let cdf: Cdf = Box::new(move |x| {
                let below = p_element_below(n, p_zero, 0.5 * x, norm);
                (below.value, below.error)
            });
            cdf
        }))
}

/// The range that gradients ask for, and what each number format makes of it. With a learning rate, also which plain gradient
/// steps are lost.
///
/// # Errors
/// [`PredictError`].
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::theory::budget::budget;
/// let b = budget(&Model::new(vec![32; 11], Activation::Relu), Some(1e-3)).unwrap();
/// // He keeps the mean square: the mean never underflows, the typical gradient does
/// assert!(b.formats.iter().all(|f| f.underflow.depth_mean == f64::INFINITY));
/// assert!(b.formats.iter().all(|f| f.underflow.depth_typical.unwrap().is_finite()));
/// ```
pub fn budget(model: &Model, learning_rate: Option<f64>) -> Result<Budget, PredictError> {
    let p = predict(model, &Options::default())?;
    let law = distribution(model, &p)?;
    let beyond = |threshold: f64, above: bool| {
        law.as_ref().map(|cdf| {
            let (below, error) = cdf(2.0 * threshold);
            let p = if above { 1.0 - below } else { below };
            // a complement below its own error is none
            if above && p <= error.max(INVERSION) {
                return 0.0;
            }
            p.clamp(0.0, 1.0)
        })
    };
    let crossing = |threshold: f64, above: bool| {
        let depth = |ln| depth_to_threshold(0.0, ln, threshold).unwrap_or(f64::INFINITY);
        Crossing {
            depth_mean: depth(p.growth.ln_chi),
            depth_typical: p.growth.typical_ln_square_per_layer.map(depth),
            probability: beyond(threshold, above),
        }
    };
    let (of, layers) = layers(model, &p);
    let ranges: Vec<LayerRange> = layers.iter().map(|l| l.range).collect();
    let formats = GRADIENT_FORMATS
        .into_iter()
        .map(|format| FormatBudget {
            format,
            underflow: crossing(format.ln_zero_threshold(Subnormals::Kept), false),
            flushed: crossing(format.ln_zero_threshold(Subnormals::Flushed), false),
            overflow: crossing(format.ln_overflow_threshold(), true),
            loss_scale: loss_scale(&ranges, format, Subnormals::Kept),
            loss_scale_flushed: loss_scale(&ranges, format, Subnormals::Flushed),
            lost: lost_updates(format, &layers, of, learning_rate),
        })
        .collect();
    Ok(Budget {
        formats,
        layers,
        of,
        growth: p.growth,
        depth: model.depth(),
        hypotheses: p.hypotheses,
    })
}

fn quantile(law: &Law, p: f64) -> Option<f64> {
    let found = law.quantiles_ln_square.iter().find(|(q, _)| *q == p);
    found.map(|(_, x)| *x)
}

/// A layer from the law of its squared norm and its number of elements.
fn layer_budget(model: &Model, layer: usize, law: &Law, ln_count: f64) -> LayerBudget {
    let element = |ln_square: f64| 0.5 * (ln_square - ln_count);
    let drawn = model.layer(layer);
    let low = quantile(law, 0.05).unwrap_or(law.ln_mean_square);
    let high = quantile(law, 0.95).unwrap_or(law.ln_mean_square);
    LayerBudget {
        layer,
        ln_rms_element: element(law.ln_mean_square),
        ln_typical_element: law.mean_ln_square.map(element),
        range: LayerRange {
            ln_min: element(low) - ELEMENT_BITS * std::f64::consts::LN_2,
            ln_max: 0.5 * high,
        },
        weight: drawn.entry_variance().sqrt() / drawn.multiplier.abs(),
        certainty: law.certainty,
    }
}

fn layers(model: &Model, p: &Prediction) -> (Of, Vec<LayerBudget>) {
    if !p.weight_gradients.is_empty() {
        let layers = p
            .weight_gradients
            .iter()
            .map(|(l, law)| {
                let drawn = model.layer(*l);
                let ln_count = (drawn.fan_in as f64).ln() + (drawn.fan_out as f64).ln();
                layer_budget(model, *l, law, ln_count)
            })
            .collect();
        return (Of::Weights, layers);
    }
    let readout = model.layer(model.depth() + 1).weight.sigma_w2.ln();
    let layers = p
        .layers
        .iter()
        .map(|picture| {
            let law = Law {
                certainty: p.growth.certainty,
                ln_mean_square: readout + picture.ln_mean_square_gradient,
                mean_ln_square: picture.typical_ln_square_gradient.map(|x| x + readout),
                var_ln_square: None,
                ln_kurtosis_ratio: None,
                p_zero: 0.0,
                quantiles_ln_square: Vec::new(),
                cdf_ln_square: Vec::new(),
                error: None,
            };
            layer_budget(model, picture.layer, &law, (picture.width as f64).ln())
        })
        .collect();
    (Of::Outputs, layers)
}

fn lost_updates(
    format: NumberFormat,
    layers: &[LayerBudget],
    of: Of,
    learning_rate: Option<f64>,
) -> LostUpdates {
    let lost = |l: &LayerBudget| format.lost_step(l.weight, Direction::Increase).step;
    let relative = layers
        .iter()
        .map(|l| lost(l) / l.weight)
        .fold((f64::INFINITY, 0.0f64), |(low, high), x| {
            (low.min(x), high.max(x))
        });
    let learning_rate = learning_rate.filter(|_| of == Of::Weights);
    LostUpdates {
        relative,
        layers: learning_rate.map(|eta| {
            layers
                .iter()
                .filter(|l| eta * l.ln_rms_element.exp() < lost(l))
                .map(|l| l.layer)
                .collect()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::activation::Activation;
    use crate::network::{Normalization, WeightInit};

    const F16: usize = 0;

    fn relu(depth: usize, width: usize) -> Model {
        Model::new(vec![width; depth + 1], Activation::Relu)
    }

    /// theory.csv R261 with the tie half a subnormal lower, R265: growth by 1/6 from 1.
    #[test]
    fn depth_of_underflow_with_and_without_subnormals() {
        let mut model = relu(40, 64);
        model.weights = WeightInit::gaussian(1.0 / 3.0);
        let b = budget(&model, None).unwrap();
        let f16 = &b.formats[F16];
        assert!((f16.flushed.depth_mean - 10.831_878_602_567_164).abs() < 1e-9);
        assert!((f16.underflow.depth_mean - 18.568_934_747_257_995 * 25.0 / 24.0).abs() < 1e-9);
        assert_eq!(f16.overflow.depth_mean, f64::INFINITY);
        // forty layers on, every element is lost, and none of them in f32
        assert!(f16.underflow.probability.unwrap() > 0.999);
        assert!(b.formats[2].underflow.probability.unwrap() < 1e-3);
        assert!(f16.flushed.probability.unwrap() >= f16.underflow.probability.unwrap());
    }

    /// The probability is that of the prediction.
    #[test]
    fn agrees_with_the_prediction() {
        let model = relu(60, 16);
        let b = budget(&model, None).unwrap();
        let p = predict(&model, &Options::default()).unwrap();
        for (ours, theirs) in b.formats.iter().zip(&p.precision) {
            assert_eq!(ours.format.name(), theirs.format);
            assert_eq!(Some(ours.underflow.depth_mean), theirs.underflow_depth_mean);
            assert_eq!(ours.underflow.depth_typical, theirs.underflow_depth_typical);
            let (a, b) = (ours.underflow.probability, theirs.p_underflow);
            assert!((a.unwrap() - b.unwrap()).abs() < 1e-12);
        }
    }

    #[test]
    fn one_loss_scale_fits_a_stable_network_and_no_other() {
        let stable = budget(&relu(10, 256), None).unwrap();
        assert!(matches!(
            stable.formats[F16].loss_scale,
            LossScale::Fits { power: Some(_), .. }
        ));
        let mut model = relu(60, 256);
        model.weights = WeightInit::gaussian(4.0);
        model.alpha.at = crate::network::AlphaAt::Layer(1);
        let grown = budget(&model, None).unwrap();
        // weight gradients of a Gaussian network all have one law: none conflicts with another
        assert!(matches!(
            grown.formats[F16].loss_scale,
            LossScale::Fits { .. }
        ));
        model.activation = Activation::Tanh;
        model.weights = WeightInit::gaussian(9.0);
        let chaotic = budget(&model, None).unwrap();
        let LossScale::Conflict {
            underflows,
            overflows,
            missing_bits,
        } = chaotic.formats[F16].loss_scale
        else {
            panic!("{:?}", chaotic.formats[F16]);
        };
        // gradients grow on their way to the input
        assert!(overflows < underflows && missing_bits > 0.0);
        assert!(matches!(
            chaotic.formats[2].loss_scale,
            LossScale::Fits { .. }
        ));
    }

    /// Weights of He's law at width 128 have deviation 1/8: the largest lost step there is half of f16's spacing.
    #[test]
    fn steps_below_half_a_spacing_are_lost() {
        let b = budget(&relu(3, 128), Some(1e-12)).unwrap();
        let lost = &b.formats[F16].lost;
        assert!((lost.relative.0 - 2f64.powi(-11)).abs() < 1e-15);
        assert_eq!(lost.layers.as_deref(), Some(&[1, 2, 3, 4][..]));
        let large = budget(&relu(3, 128), Some(1.0)).unwrap();
        assert_eq!(large.formats[F16].lost.layers.as_deref(), Some(&[][..]));
    }

    #[test]
    fn normalized_networks_are_judged_by_their_outputs() {
        let mut model = relu(50, 64);
        model.normalization = Normalization::Layer;
        let b = budget(&model, Some(0.1)).unwrap();
        assert_eq!((b.of, b.layers.len()), (Of::Outputs, 50));
        assert_eq!(b.formats[F16].lost.layers, None);
    }
}
