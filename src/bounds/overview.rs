//! All bounds on one chain, from loosest to tightest, beside lower bounds: what `isometer bound` prints.
//!
//! Start with [`overview`]. Layers come in the order in which they are applied, each `outputs x inputs`. Without an
//! activation the bounds are on `|W_L ... W_1|`; with one on the Lipschitz constant of `W_L phi(... phi(W_1 x +
//! b_1) ...) + b_L` in the Euclidean norm. [`Overview::slack_log10`] says how much is left between the best bound
//! from above and from below.
//!
//! ```
//! use isometer::bounds::overview::{OverviewOptions, overview};
//! use isometer::linalg::view::MatrixRef;
//!
//! let shear = MatrixRef::row_major(&[1.0, 1.0, 0.0, 1.0], 2, 2).unwrap();
//! let o = overview(&[shear; 8], None, &OverviewOptions::default()).unwrap();
//! // the product is [[1, 8], [0, 1]], of norm 4 + sqrt 17, while the norms multiply to golden^8
//! let ln = |b: Option<&isometer::bounds::Bound>| b.unwrap().value.ln();
//! assert!((ln(o.upper.last()) - (4.0 + 17f64.sqrt()).ln()).abs() < 1e-9);
//! assert!(ln(o.upper.first()) >= 8.0 * 1.618033988749894f64.ln());
//! ```

use super::chain::{Chain, ChainError};
use super::lipschitz::{LipschitzOptions, lipschitz};
use super::slope::SlopeRange;
use super::{Bound, local, product};
use crate::linalg::product::{MatrixChain, ProductOptions, spectrum};
use crate::linalg::view::MatrixRef;
use crate::network::activation::Activation;
use crate::scale::{Certainty, LogScale};

/// Bounds on the norm of a product, or on the Lipschitz constant of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// Layers.
    pub depth: usize,
    /// Width of the input, then of each layer.
    pub widths: Vec<usize>,
    /// Upper bounds, loosest first.
    pub upper: Vec<Bound>,
    /// Lower bounds and computed values, tightest last.
    pub lower: Vec<Bound>,
}

impl Overview {
    /// Puts bounds in order.
    pub(in crate::bounds) fn new(
        widths: Vec<usize>,
        mut upper: Vec<Bound>,
        mut lower: Vec<Bound>,
    ) -> Overview {
        upper.sort_by(|a, b| b.value.ln().total_cmp(&a.value.ln()));
        lower.sort_by(|a, b| a.value.ln().total_cmp(&b.value.ln()));
        Overview {
            depth: widths.len() - 1,
            widths,
            upper,
            lower,
        }
    }

    /// `log10` of the tightest upper bound over the largest lower one; `None` without a lower one.
    ///
    /// # Examples
    /// ```
    /// use isometer::bounds::overview::{OverviewOptions, overview};
    /// use isometer::linalg::view::MatrixRef;
    /// let turn = MatrixRef::row_major(&[0.0, -10.0, 10.0, 0.0], 2, 2).unwrap();
    /// let o = overview(&[turn; 3], None, &OverviewOptions::default()).unwrap();
    /// assert!(o.slack_log10().unwrap().abs() < 1e-9); // bounds meet at 1000
    /// ```
    pub fn slack_log10(&self) -> Option<f64> {
        let upper = self.upper.last()?.value.log10();
        let lower = self.lower.last()?.value.log10();
        (lower > f64::NEG_INFINITY).then_some(upper - lower)
    }
}

/// How to bound.
#[derive(Clone, Copy, Debug)]
pub struct OverviewOptions {
    /// The search for a certificate.
    pub lipschitz: LipschitzOptions,
    /// Points at which the Jacobian is measured.
    pub points: usize,
    /// Seed of the points.
    pub seed: u64,
}

impl Default for OverviewOptions {
    fn default() -> OverviewOptions {
        OverviewOptions {
            lipschitz: LipschitzOptions::default(),
            points: 35,
            seed: 0,
        }
    }
}

/// An activation between layers, and where it is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Activated<'a> {
    /// The activation.
    pub activation: &'a Activation,
    /// Its sector.
    pub slope: SlopeRange,
    /// Biases of the layers: none at all, or an entry for each layer. They do not enter the upper bounds.
    pub biases: &'a [Option<Vec<f64>>],
    /// An input at which the norm of the Jacobian is computed beside random ones.
    pub at: Option<&'a [f64]>,
}

/// Bounds a chain: with an activation of that sector between layers, or the plain product (`None`).
///
/// # Errors
///
/// [`ChainError`].
///
/// # Examples
/// ```
/// use isometer::bounds::overview::{Activated, OverviewOptions, overview};
/// use isometer::bounds::slope::SlopeRange;
/// use isometer::linalg::view::MatrixRef;
/// use isometer::network::activation::Activation;
///
/// // relu(x) + relu(-x) = |x|, whose Lipschitz constant is 1; the product of norms says 2
/// let layers = [
///     MatrixRef::row_major(&[1.0, -1.0], 2, 1).unwrap(),
///     MatrixRef::row_major(&[1.0, 1.0], 1, 2).unwrap(),
/// ];
/// let activation = Activation::Relu;
/// let activated =
///     Activated { activation: &activation, slope: SlopeRange::of(&activation).unwrap(), biases: &[], at: None };
/// let o = overview(&layers, Some(&activated), &OverviewOptions::default()).unwrap();
/// let best = o.upper.last().unwrap().value.to_linear().unwrap();
/// let found = o.lower.last().unwrap().value.to_linear().unwrap();
/// assert!((found - 1.0).abs() < 1e-9 && found <= best && best < 1.5);
/// ```
pub fn overview(
    layers: &[MatrixRef<'_>],
    activation: Option<&Activated<'_>>,
    options: &OverviewOptions,
) -> Result<Overview, ChainError> {
    let slope = activation.map_or(SlopeRange::IDENTITY, |a| a.slope);
    let chain = Chain::new(layers, slope)?;
    let plain = product::upper_bounds(layers)?;
    let (mut upper, mut lower);
    match activation {
        None => {
            upper = plain;
            lower = product::lower_bounds(layers)?;
            lower.extend(computed(layers));
        }
        Some(a) => {
            // what does not multiply layers out holds for slopes of absolute value 1, and scales with them
            let gain = slope.lipschitz().ln() * (chain.depth() - 1) as f64;
            let scaled = |b: Bound| Bound {
                value: raised(b.value, gain),
                ..b
            };
            let passes = |b: &Bound| !["segments", "product of norms"].contains(&b.name);
            upper = plain
                .into_iter()
                .filter(passes)
                .map(scaled)
                .collect::<Vec<_>>();
            upper.extend(lipschitz(&chain, &options.lipschitz).all);
            let network = local::Network::of_chain(&chain, a.biases, a.activation)?;
            lower = sampled(&network, options.points, local::ITERATIONS, options.seed);
            if let Some(x) = a.at {
                lower.extend(at_input(local::norm_at(&chain, a.biases, a.activation, x)?));
            }
        }
    }
    Ok(Overview::new(chain.widths(), upper, lower))
}

/// Norms of the Jacobian at random inputs.
pub(in crate::bounds) fn sampled(
    network: &local::Network<'_>,
    points: usize,
    iterations: usize,
    seed: u64,
) -> Vec<Bound> {
    let found = network.sampled(points, iterations, seed);
    let bounds = found.map(|s| {
        [
            estimate("median norm at sampled points", s.median),
            estimate("largest norm at sampled points", s.largest),
        ]
    });
    bounds.into_iter().flatten().collect()
}

/// The norm of the Jacobian at the input that was asked for.
pub(in crate::bounds) fn at_input(value: Option<LogScale>) -> Option<Bound> {
    value.map(|v| estimate("norm at the given input", v))
}

fn estimate(name: &'static str, value: LogScale) -> Bound {
    Bound {
        name,
        value,
        certainty: Certainty::Estimate,
    }
}

/// `x e^ln`, rounded up: the gain took three roundings, the sum one.
pub(in crate::bounds) fn raised(x: LogScale, ln: f64) -> LogScale {
    let sum = x.ln() + ln;
    let slack = 4.0 * f64::EPSILON * (ln.abs() + if sum.is_finite() { sum.abs() } else { 0.0 });
    LogScale::from_ln(sum + slack).unwrap_or(LogScale::INFINITY)
}

/// The norm itself, computed from the singular values kept as logarithms.
fn computed(layers: &[MatrixRef<'_>]) -> Option<Bound> {
    let s = spectrum(&mut MatrixChain::new(layers), &ProductOptions::default()).ok()?;
    Some(estimate("computed norm of the product", s.norm()))
}
