//! All bounds on one chain, from loosest to tightest, beside lower bounds.

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
    /// `log10` of the tightest upper bound over the largest lower one; `None` without a lower one.
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

/// Bounds a chain: with an activation of that sector between layers, or the plain product (`None`).
///
/// # Errors
///
/// [`ChainError`].
pub fn overview(
    layers: &[MatrixRef<'_>],
    activation: Option<(&Activation, SlopeRange)>,
    options: &OverviewOptions,
) -> Result<Overview, ChainError> {
    let slope = activation.map_or(
        SlopeRange {
            lower: 1.0,
            upper: 1.0,
        },
        |a| a.1,
    );
    let chain = Chain::new(layers, slope)?;
    let plain = product::upper_bounds(layers)?;
    let (mut upper, mut lower);
    match activation {
        None => {
            upper = plain;
            lower = product::lower_bounds(layers)?;
            lower.extend(computed(layers));
        }
        Some((phi, slope)) => {
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
            lower = Vec::new();
            if let Some(s) = local::sampled(&chain, phi, options.points, options.seed) {
                let estimate = |name, value| Bound {
                    name,
                    value,
                    certainty: Certainty::Estimate,
                };
                lower.push(estimate("median norm at sampled points", s.median));
                lower.push(estimate("largest norm at sampled points", s.largest));
            }
        }
    }
    upper.sort_by(|a, b| b.value.ln().total_cmp(&a.value.ln()));
    lower.sort_by(|a, b| a.value.ln().total_cmp(&b.value.ln()));
    Ok(Overview {
        depth: chain.depth(),
        widths: chain.widths(),
        upper,
        lower,
    })
}

/// `x e^ln`, rounded up: the gain took three roundings, the sum one.
fn raised(x: LogScale, ln: f64) -> LogScale {
    let sum = x.ln() + ln;
    let slack = 4.0 * f64::EPSILON * (ln.abs() + if sum.is_finite() { sum.abs() } else { 0.0 });
    LogScale::from_ln(sum + slack).unwrap_or(LogScale::INFINITY)
}

/// The norm itself, computed from the singular values kept as logarithms.
fn computed(layers: &[MatrixRef<'_>]) -> Option<Bound> {
    let s = spectrum(&mut MatrixChain::new(layers), &ProductOptions::default()).ok()?;
    Some(Bound {
        name: "computed norm of the product",
        value: s.norm(),
        certainty: Certainty::Estimate,
    })
}
