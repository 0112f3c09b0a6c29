//! A grid of networks across all families the theory covers, under one family-wise error rate.

use super::check::{CheckError, Method, Options, compare_once};
use super::comparison::{self, Comparison, judge};
use crate::network::activation::Activation;
use crate::network::{Alpha, AlphaAt, Model};
use crate::reference::monte_carlo::Control;

/// A network of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What it stands for.
    pub name: &'static str,
    /// The network.
    pub model: Model,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What it stands for.
    pub name: &'static str,
    /// Networks measured, at each width.
    pub samples: u64,
    /// How they were drawn.
    pub method: Method,
    /// Everything compared, judged over the whole grid.
    pub comparisons: Vec<Comparison>,
}

impl Outcome {
    /// Whether anything disagrees.
    pub fn disagrees(&self) -> bool {
        comparison::disagree(&self.comparisons)
    }

    /// The comparison that deviates most.
    pub fn worst(&self) -> Option<&Comparison> {
        comparison::worst(&self.comparisons)
    }
}

/// The outcome of the whole grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// Case by case; fewer than asked for if the run was ended.
    pub outcomes: Vec<Outcome>,
    /// Cases of the grid.
    pub cases: usize,
    /// Probability of a false alarm anywhere.
    pub alpha: f64,
    /// Seed of the networks.
    pub seed: u64,
}

impl Suite {
    /// Whether anything disagrees.
    pub fn disagrees(&self) -> bool {
        self.outcomes.iter().any(Outcome::disagrees)
    }
}

/// The grid.
///
/// # Panics
/// Never: the descriptions are constants.
///
/// # Examples
/// ```
/// use isometer::verify::suite::grid;
/// assert!(grid().len() > 10 && grid().iter().all(|case| case.model.validate().is_ok()));
/// ```
pub fn grid() -> Vec<Case> {
    let leaky = || Activation::LeakyRelu { slope: 0.2 };
    let case = |name, widths: &[usize], activation, init: &str, change: &dyn Fn(&mut Model)| {
        let mut model = Model::new(widths.to_vec(), activation);
        model.weights = init.parse().unwrap_or_default();
        change(&mut model);
        Case { name, model }
    };
    let plain = |_: &mut Model| {};
    let bias = |text: &'static str| move |m: &mut Model| m.bias = text.parse().unwrap_or_default();
    let alpha = |value, at| move |m: &mut Model| m.alpha = Alpha { value, at };
    let normalized = |text: &'static str| {
        move |m: &mut Model| m.normalization = text.parse().unwrap_or_default()
    };
    vec![
        case(
            "relu, narrow",
            &[4; 6],
            Activation::Relu,
            "kaiming_normal",
            &plain,
        ),
        case(
            "relu, deep",
            &[32; 41],
            Activation::Relu,
            "kaiming_normal",
            &plain,
        ),
        case(
            "relu, rectangular",
            &[30, 8, 20, 12],
            Activation::Relu,
            "xavier_normal",
            &plain,
        ),
        case("leaky relu", &[10; 9], leaky(), "kaiming_normal", &plain),
        case(
            "absolute value",
            &[9; 7],
            Activation::Abs,
            "normal:sigma_w2=1",
            &plain,
        ),
        case(
            "linear",
            &[6; 11],
            Activation::Linear,
            "normal:sigma_w2=1",
            &plain,
        ),
        case(
            "linear, Haar",
            &[7; 8],
            Activation::Linear,
            "orthogonal",
            &plain,
        ),
        case(
            "relu, Haar",
            &[12; 9],
            Activation::Relu,
            "orthogonal:gain=1.4142135623730951",
            &plain,
        ),
        case(
            "leaky relu, Haar, rectangular",
            &[9, 14, 6, 11],
            leaky(),
            "orthogonal:gain=1.3",
            &plain,
        ),
        case(
            "relu, Gaussian bias",
            &[10; 7],
            Activation::Relu,
            "kaiming_normal",
            &bias("gaussian:0.3"),
        ),
        case(
            "relu, uniform bias",
            &[10; 7],
            Activation::Relu,
            "kaiming_normal",
            &bias("uniform:0.8"),
        ),
        case(
            "relu, dropout",
            &[16; 7],
            Activation::Relu,
            "kaiming_normal",
            &|m: &mut Model| m.dropout = 0.25,
        ),
        case(
            "absolute value, dropout",
            &[16; 5],
            Activation::Abs,
            "normal",
            &|m: &mut Model| m.dropout = 0.4,
        ),
        case(
            "relu, alpha in the weights",
            &[12; 7],
            Activation::Relu,
            "kaiming_normal",
            &alpha(1.7, AlphaAt::Weights),
        ),
        case(
            "relu, alpha outside",
            &[12; 7],
            Activation::Relu,
            "kaiming_normal",
            &alpha(-0.6, AlphaAt::Multiplier),
        ),
        case(
            "relu, alpha in layer 2",
            &[12; 7],
            Activation::Relu,
            "kaiming_normal",
            &alpha(3.0, AlphaAt::Layer(2)),
        ),
        case(
            "relu, ten outputs",
            &[10; 5],
            Activation::Relu,
            "kaiming_normal",
            &|m: &mut Model| m.readout = 10,
        ),
        case(
            "tanh",
            &[32; 6],
            Activation::Tanh,
            "normal:sigma_w2=1.5",
            &plain,
        ),
        case(
            "tanh, bias",
            &[32; 6],
            Activation::Tanh,
            "normal:sigma_w2=2",
            &bias("gaussian:0.1"),
        ),
        case(
            "tanh, Haar",
            &[32; 5],
            Activation::Tanh,
            "orthogonal:gain=1.2",
            &plain,
        ),
        case("gelu", &[32; 5], Activation::Gelu, "kaiming_normal", &plain),
        case("silu", &[32; 5], Activation::Silu, "kaiming_normal", &plain),
        case(
            "erf",
            &[32; 5],
            Activation::Erf,
            "normal:sigma_w2=1.2",
            &plain,
        ),
        case(
            "relu, constant bias",
            &[32; 4],
            Activation::Relu,
            "kaiming_normal",
            &bias("constant:0.2"),
        ),
        case(
            "relu, torch:linear",
            &[24; 4],
            Activation::Relu,
            "torch:linear",
            &plain,
        ),
        case(
            "relu, uniform weights",
            &[24; 4],
            Activation::Relu,
            "kaiming_uniform",
            &plain,
        ),
        case(
            "relu, truncated weights",
            &[24; 4],
            Activation::Relu,
            "keras:he_normal",
            &plain,
        ),
        case(
            "relu, sparse weights",
            &[24; 4],
            Activation::Relu,
            "sparse:sparsity=0.5,std=0.4",
            &|m: &mut Model| m.readout = 8,
        ),
        case(
            "relu, residual",
            &[12; 5],
            Activation::Relu,
            "kaiming_normal",
            &|m: &mut Model| m.residual = "0.5".parse().ok(),
        ),
        case(
            "tanh, residual",
            &[12; 5],
            Activation::Tanh,
            "normal",
            &|m: &mut Model| m.residual = "1/sqrt(L)".parse().ok(),
        ),
        case(
            "tanh, rms norm",
            &[16; 5],
            Activation::Tanh,
            "normal",
            &normalized("rms"),
        ),
        case(
            "relu, layer norm",
            &[16; 5],
            Activation::Relu,
            "normal",
            &normalized("layer"),
        ),
    ]
}

/// Checks the cases at `options.samples` networks each, asymptotic predictions at a fifth of it
/// for each of their three widths, and judges all comparisons together. `done` is told after each case.
///
/// # Errors
/// A case that cannot be predicted or drawn; none of [`grid`] is.
///
/// # Examples
/// ```
/// use isometer::reference::monte_carlo::Control;
/// use isometer::verify::{check::Options, suite::{grid, run}};
/// let one: Vec<_> = grid().into_iter().filter(|c| c.model.widths.iter().all(|n| *n <= 10)).take(1).collect();
/// let found = run(&one, &Options { samples: 200, ..Options::default() }, &Control::default()).unwrap();
/// assert!(found.cases == 1 && !found.disagrees());
/// ```
pub fn run(cases: &[Case], options: &Options, control: &Control<'_>) -> Result<Suite, CheckError> {
    let mut outcomes = Vec::new();
    for (k, case) in cases.iter().enumerate() {
        let quiet = Control {
            progress: None,
            cancel: control.cancel,
        };
        let own = Options {
            seed: options.seed.wrapping_add(1000 * k as u64),
            ..*options
        };
        let (comparisons, samples, method) = compare_once(&case.model, &own, 5, &quiet)?;
        if control.cancelled() {
            break;
        }
        outcomes.push(Outcome {
            name: case.name,
            samples,
            method,
            comparisons,
        });
        if let Some(progress) = control.progress {
            progress(k as u64 + 1, cases.len() as u64);
        }
    }
    let alpha = 1.0 - options.confidence;
    let mut all: Vec<Comparison> = outcomes
        .iter()
        .flat_map(|o| o.comparisons.clone())
        .collect();
    judge(&mut all, alpha);
    let mut judged = all.into_iter();
    for outcome in &mut outcomes {
        for comparison in &mut outcome.comparisons {
            if let Some(next) = judged.next() {
                *comparison = next;
            }
        }
    }
    Ok(Suite {
        outcomes,
        cases: cases.len(),
        alpha,
        seed: options.seed,
    })
}
