//! A prediction held against the reference MLP.
//!
//! Start with [`check`]. [`Check::comparisons`] has a row for each number: predicted, measured, standard error,
//! p-value.

use super::comparison::{self, Comparison, asymptotic, exact, jacobian, judge};
use super::histogram::Histogram;
use crate::network::Model;
use crate::reference::DrawError;
use crate::reference::deferred::{Deferred, DeferredError};
use crate::reference::matrices::Matrices;
use crate::reference::measure::{Quantity, Sampler};
use crate::reference::monte_carlo::{Control, Measurement, looks};
use crate::scale::Certainty;
use crate::theory::predict::{Laws, PredictError, laws, predict};

/// Samples of the first look; fewer say little.
const FIRST_LOOK: u64 = 1000;

/// What to measure, and how sure to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Networks, at most.
    pub samples: u64,
    /// One minus the probability that a right prediction is said to disagree, over all comparisons and
    /// looks.
    pub confidence: f64,
    /// Seed of the networks.
    pub seed: u64,
    /// How networks are drawn.
    pub method: Method,
    /// Whether to keep a histogram of one gradient.
    pub histogram: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            samples: 10_000,
            confidence: 0.999,
            seed: 0,
            method: Method::Auto,
            histogram: false,
        }
    }
}

/// How networks are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Deferred where possible.
    #[default]
    Auto,
    /// Whole weight matrices.
    Matrices,
    /// What the passes meet of them, with the same joint law.
    Deferred,
}

impl Method {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Auto => "auto",
            Method::Matrices => "matrices",
            Method::Deferred => "deferred",
        }
    }
}

/// Why nothing was checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no prediction to check.
    #[error("nothing to check, because there is no prediction: {0}")]
    Predict(#[from] PredictError),
    /// The networks cannot be drawn that way.
    #[error("--sampler deferred does not fit this model: {0}; leave it out")]
    Deferred(#[from] DeferredError),
    /// A number of samples or a confidence that is none.
    #[error("{name} = {value}: {wanted}")]
    Option {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is needed.
        wanted: &'static str,
    },
    /// No network can be drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// Predictions of growth alone, of one layer.
    #[error(
        "what the theory says of this model is growth per layer at a fixed point that no network shows from its first layer on; there is nothing to compare"
    )]
    Nothing,
    /// The run was ended before anything could be compared.
    #[error("ended after {samples} networks, before anything could be compared")]
    TooEarly {
        /// Networks measured.
        samples: u64,
    },
}

/// The outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Everything compared.
    pub comparisons: Vec<Comparison>,
    /// Networks measured.
    pub samples: u64,
    /// Networks asked for.
    pub requested: u64,
    /// Why fewer were measured, if they were.
    pub ended: Ended,
    /// Probability of a false alarm, over everything.
    pub alpha: f64,
    /// The part of it that was spent at the look that decided.
    pub alpha_at_look: f64,
    /// How networks were drawn.
    pub method: Method,
    /// Seed of the networks.
    pub seed: u64,
    /// The input gradient, where it was asked for and has a predicted law.
    pub histogram: Option<Histogram>,
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All samples.
    Complete,
    /// An earlier look proved a disagreement.
    Disproved,
    /// By request.
    Cancelled,
}

impl Check {
    /// Whether anything disagrees.
    pub fn disagrees(&self) -> bool {
        comparison::disagree(&self.comparisons)
    }

    /// The comparison that deviates most.
    pub fn worst(&self) -> Option<&Comparison> {
        comparison::worst(&self.comparisons)
    }
}

/// A sampler of the networks of a model, and how it draws them.
///
/// # Errors
/// A method that does not fit the model, or a model of which no network can be drawn.
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::verify::check::{Method, sampler};
/// let (_, method) = sampler(&Model::new(vec![8; 3], Activation::Relu), Method::Auto, 0).unwrap();
/// assert_eq!(method, Method::Deferred); // Gaussian weights need no matrices
/// ```
pub fn sampler(
    model: &Model,
    method: Method,
    seed: u64,
) -> Result<(Box<dyn Sampler>, Method), CheckError> {
    if method != Method::Matrices {
        match Deferred::new(model, seed) {
            Ok(deferred) => return Ok((Box::new(deferred), Method::Deferred)),
            Err(why) if method == Method::Deferred => return Err(why.into()),
            Err(_) => {}
        }
    }
    Ok((Box::new(Matrices::new(model, seed)?), Method::Matrices))
}

/// Predicts, measures, compares. The run looks at the data at doubling sample sizes and ends early only
/// on a proven disagreement; the level of all looks and comparisons together is `1 - confidence` (theorem:
/// spent-levels).
///
/// # Errors
/// [`CheckError`].
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::reference::monte_carlo::Control;
/// use isometer::verify::check::{Method, Options, check};
/// let model = Model::new(vec![4; 3], Activation::Relu);
/// let options = Options { samples: 300, method: Method::Matrices, ..Options::default() };
/// let found = check(&model, &options, &Control::default()).unwrap();
/// assert!(!found.disagrees() && found.requested == 300);
/// ```
pub fn check(model: &Model, options: &Options, control: &Control<'_>) -> Result<Check, CheckError> {
    validate(options)?;
    affordable(model, options)?;
    match laws(model, &weight_layers(model))? {
        Some(laws) if laws.certainty == Certainty::Exact => {
            let (sampler, method) = sampler(model, options.method, options.seed)?;
            let prediction = predict(model, &Default::default())?;
            let whole =
                jacobian::compare(model, &prediction, options.samples, options.seed, control);
            return against_laws(&laws, &whole, sampler.as_ref(), method, options, control);
        }
        _ => {}
    }
    let (mut comparisons, samples, method, first) =
        asymptotic_comparisons(model, options, control)?;
    let alpha = 1.0 - options.confidence;
    judge(&mut comparisons, alpha);
    Ok(Check {
        comparisons,
        samples,
        requested: options.samples,
        ended: if samples < options.samples {
            Ended::Cancelled
        } else {
            Ended::Complete
        },
        alpha,
        alpha_at_look: alpha,
        method,
        seed: options.seed,
        histogram: first.filter(|_| options.histogram),
    })
}

/// A prediction for wide layers, against networks of one, two and four times the width.
fn asymptotic_comparisons(
    model: &Model,
    options: &Options,
    control: &Control<'_>,
) -> Result<(Vec<Comparison>, u64, Method, Option<Histogram>), CheckError> {
    let models = asymptotic::family(model);
    let mut runs = Vec::new();
    let mut used = options.method;
    let total = options.samples * models.len() as u64;
    for (k, model) in models.iter().enumerate() {
        let prediction = predict(model, &Default::default())?;
        let seed = options.seed.wrapping_add(k as u64);
        let (sampler, method) = sampler(model, options.method, seed)?;
        used = method;
        if sampler.quantities().is_empty() {
            return Err(CheckError::Nothing);
        }
        let done_in_all = |done: u64, _: u64| {
            if let Some(progress) = control.progress {
                progress(k as u64 * options.samples + done, total);
            }
        };
        let inner = Control {
            progress: Some(&done_in_all),
            cancel: control.cancel,
        };
        let mut measurement = Measurement::new(sampler.quantities());
        measurement.extend(sampler.as_ref(), options.samples, &inner);
        let samples = measurement.samples();
        if samples < 2 {
            return Err(CheckError::TooEarly { samples });
        }
        runs.push(asymptotic::Run {
            width: model.widths[0] as f64,
            first_order: asymptotic::is_first_order(model),
            prediction,
            measurement,
        });
    }
    let counts = runs.iter().map(|r| r.measurement.samples());
    let samples = counts.min().unwrap_or(0);
    let comparisons = asymptotic::compare(&runs);
    if comparisons.is_empty() {
        return Err(CheckError::Nothing);
    }
    let histogram = runs.first().and_then(|run| {
        let law = run.prediction.input_gradient.as_ref()?;
        let values = run.measurement.column(Quantity::InputGradient)?;
        Histogram::log_normal(values, law)
    });
    Ok((comparisons, samples, used, histogram))
}

/// Everything that can be compared for a model, at one look and not yet judged; asymptotic predictions are
/// given `1/share` of the samples at each of their widths.
pub(super) fn compare_once(
    model: &Model,
    options: &Options,
    share: u64,
    control: &Control<'_>,
) -> Result<(Vec<Comparison>, u64, Method), CheckError> {
    validate(options)?;
    match laws(model, &weight_layers(model))? {
        Some(laws) if laws.certainty == Certainty::Exact => {
            let (sampler, method) = sampler(model, options.method, options.seed)?;
            let mut measurement = Measurement::new(sampler.quantities());
            measurement.extend(sampler.as_ref(), options.samples, control);
            let samples = measurement.samples();
            let mut comparisons = exact::compare(&laws, &measurement);
            let prediction = predict(model, &Default::default())?;
            comparisons.extend(jacobian::compare(
                model,
                &prediction,
                options.samples,
                options.seed,
                control,
            ));
            Ok((comparisons, samples, method))
        }
        _ => {
            let options = Options {
                samples: (options.samples / share).max(2),
                ..*options
            };
            match asymptotic_comparisons(model, &options, control) {
                Err(CheckError::TooEarly { samples }) => Ok((Vec::new(), samples, options.method)),
                Ok((comparisons, samples, method, _)) => Ok((comparisons, samples, method)),
                Err(error) => Err(error),
            }
        }
    }
}

/// Layers whose weight gradients are measured.
fn weight_layers(model: &Model) -> Vec<usize> {
    let all = Quantity::of_depth(model.depth()).into_iter();
    all.filter_map(|q| match q {
        Quantity::WeightGradient(l) => Some(l),
        _ => None,
    })
    .collect()
}

/// Most networks of one check: every measured number is kept.
const MAX_SAMPLES: u64 = 10_000_000;

/// Most units drawn in one check: about a day of one core.
const MAX_UNITS: f64 = 1e12;

/// Refuses what would take days.
fn affordable(model: &Model, options: &Options) -> Result<(), CheckError> {
    let units: f64 = model.widths.iter().map(|n| *n as f64).sum();
    match units * options.samples as f64 > MAX_UNITS {
        false => Ok(()),
        true => Err(CheckError::Option {
            name: "samples",
            value: options.samples as f64,
            wanted: "networks of this size would take days; ask for fewer, or for a smaller network",
        }),
    }
}

fn validate(options: &Options) -> Result<(), CheckError> {
    if !(2..=MAX_SAMPLES).contains(&options.samples) {
        return Err(CheckError::Option {
            name: "samples",
            value: options.samples as f64,
            wanted: "from 2 to 10000000 networks; every measured number is kept",
        });
    }
    if !(0.5..1.0).contains(&options.confidence) {
        return Err(CheckError::Option {
            name: "confidence",
            value: options.confidence,
            wanted: "at least 0.5 and below 1",
        });
    }
    Ok(())
}

/// Exact laws against a sampler, with the looks of the stopping rule; `whole` are comparisons made beforehand,
/// judged with the others at every look.
///
/// # Errors
/// A run that was cancelled before anything could be compared.
pub fn against_laws(
    laws: &Laws,
    whole: &[Comparison],
    sampler: &dyn Sampler,
    method: Method,
    options: &Options,
    control: &Control<'_>,
) -> Result<Check, CheckError> {
    let alpha = 1.0 - options.confidence;
    let mut measurement = Measurement::new(sampler.quantities());
    let mut check = Check {
        comparisons: Vec::new(),
        samples: 0,
        requested: options.samples,
        ended: Ended::Complete,
        alpha,
        alpha_at_look: alpha,
        method,
        seed: options.seed,
        histogram: None,
    };
    let total = options.samples;
    let done_in_all = |done: u64, _: u64| {
        if let Some(progress) = control.progress {
            progress(done, total);
        }
    };
    let inner = Control {
        progress: Some(&done_in_all),
        cancel: control.cancel,
    };
    for look in looks(total, FIRST_LOOK, alpha) {
        measurement.extend(sampler, look.samples, &inner);
        let samples = measurement.samples();
        if samples < 2 {
            return Err(CheckError::TooEarly { samples });
        }
        check.samples = samples;
        check.alpha_at_look = look.alpha;
        check.comparisons = exact::compare(laws, &measurement);
        check.comparisons.extend_from_slice(whole);
        let disagrees = judge(&mut check.comparisons, look.alpha);
        if samples < look.samples {
            check.ended = Ended::Cancelled;
            break;
        }
        if disagrees && samples < total {
            check.ended = Ended::Disproved;
            break;
        }
    }
    if options.histogram {
        let values = measurement.column(Quantity::InputGradient);
        check.histogram = values.and_then(|v| Histogram::exact(v, &laws.input_gradient));
    }
    Ok(check)
}
