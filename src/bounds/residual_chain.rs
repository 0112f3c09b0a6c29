//! Bounds of residual networks: `x_k = x_(k-1) + beta (W_k phi(x_(k-1)) + b_k)`, then a linear readout.
//!
//! ```
//! use isometer::bounds::{overview::{Activated, OverviewOptions}, residual_chain, slope::SlopeRange};
//! use isometer::linalg::view::MatrixRef;
//! use isometer::network::activation::Activation;
//!
//! // x + relu(x) / 2, then the identity: steepness 3/2
//! let layers = [MatrixRef::row_major(&[1.0], 1, 1).unwrap(); 2];
//! let relu = Activation::Relu;
//! let activated = Activated { activation: &relu, slope: SlopeRange::of(&relu).unwrap(), biases: &[], at: None };
//! let o = residual_chain::overview(&layers, 0.5, &activated, &OverviewOptions::default()).unwrap();
//! assert!((o.upper.last().unwrap().value.to_linear().unwrap() - 1.5).abs() < 1e-9);
//! assert!((o.lower.last().unwrap().value.to_linear().unwrap() - 1.5).abs() < 1e-9);
//! ```

use super::chain::{Chain, ChainError};
use super::local::{self, Network};
use super::overview::{self, Activated, Overview, OverviewOptions};
use super::product::{certified, frobenius_up, ln_hi, sum_of_logs};
use crate::linalg::dense;
use crate::linalg::norms;
use crate::linalg::rounding::{U, sqrt_up, up};
use crate::linalg::view::MatrixRef;
use crate::scale::ldexp_up;

/// Bounds on the Lipschitz constant of a residual network; the last layer is the readout.
///
/// - `1 + norms of branches`: `|W_L| prod (1 + |beta| l |W_k|)`, `l` the greatest absolute slope;
/// - `centred branches`: `|W_L| prod (|I + beta m W_k| + |beta| r |W_k|)` for slopes in `m +- r`, never
///   looser but for rounding. Theorem: residual-block-bounds.
///
/// # Errors
///
/// [`ChainError`]; layers other than the last must be square.
pub fn overview(
    layers: &[MatrixRef<'_>],
    beta: f64,
    activated: &Activated<'_>,
    options: &OverviewOptions,
) -> Result<Overview, ChainError> {
    let slope = activated.slope;
    let chain = Chain::new(layers, slope)?;
    let blocks = &layers[..layers.len() - 1];
    for (k, w) in blocks.iter().enumerate() {
        if w.rows() != w.cols() {
            return Err(ChainError::Branch {
                layer: k + 1,
                rows: w.rows(),
                cols: w.cols(),
            });
        }
    }
    let readout = ln_hi(&chain.norms[blocks.len()]);
    let branches: Vec<Branch> = (0..blocks.len()).map(|k| branch(&chain, k, beta)).collect();
    let total = |each: &dyn Fn(&Branch) -> f64| {
        if readout == f64::NEG_INFINITY {
            return readout;
        }
        let mut terms = branches.iter().map(|b| {
            let ln = up(each(b)).ln();
            ln + ln.abs() * 4.0 * f64::EPSILON
        });
        sum_of_logs(&mut terms.by_ref().chain([readout]))
    };
    let plain = total(&|b| 1.0 + up(b.size * slope.lipschitz()));
    let centred = total(&|b| b.centred + up(b.size * b.radius));
    let upper = vec![
        certified("1 + norms of branches", plain),
        certified("centred branches", centred.min(plain)),
    ];
    let network =
        Network::of_chain(&chain, activated.biases, activated.activation)?.with_branches(beta);
    let mut lower = overview::sampled(&network, options.points, local::ITERATIONS, options.seed);
    if let Some(x) = activated.at {
        local::check_input(network.inputs(), x)?;
        // no start of zeros, and none that a sensible matrix annihilates
        let start = (0..x.len()).map(|i| 1.0 + ((i * 37 + 11) % 101) as f64 / 101.0);
        let ln = network.ln_norm_at(x, start.collect(), 20 * local::ITERATIONS);
        lower.extend(overview::at_input(
            ln.and_then(crate::scale::LogScale::from_ln),
        ));
    }
    Ok(Overview::new(chain.widths(), upper, lower))
}

/// Upper bounds about one block.
struct Branch {
    /// `|beta| |W|`.
    size: f64,
    /// `|I + beta m W|`.
    centred: f64,
    /// `r`.
    radius: f64,
}

fn branch(chain: &Chain, k: usize, beta: f64) -> Branch {
    let (w, exponent) = (&chain.weights[k], chain.exponents[k]);
    let slope = chain.slope();
    let (_, _, norm, shift) = chain.norms[k].scaled();
    let size = up(beta.abs() * ldexp_up(norm, shift));
    let middle = 0.5 * (slope.lower + slope.upper);
    let radius = up((slope.upper - middle).max(middle - slope.lower));
    let n = w.nrows();
    let factor = crate::scale::ldexp(beta * middle, exponent);
    let m = dense::from_fn(n, n, |i, j| {
        let x = factor * w[(i, j)];
        if i == j { 1.0 + x } else { x }
    });
    // the factor took two roundings, each entry two more
    let scaled = up(factor.abs() * frobenius_up(w));
    let error = up(8.0 * U * up(sqrt_up(n as f64) + scaled) + 1e-290);
    let centred = norms::two(&MatrixRef::from_faer(m.as_ref()))
        .ok()
        .and_then(|e| e.to_linear())
        .map_or(f64::INFINITY, |(_, _, hi)| up(hi + error));
    Branch {
        size,
        centred,
        radius,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::slope::SlopeRange;
    use crate::network::activation::Activation;

    fn bounds(w: &[f64], beta: f64) -> Result<(f64, f64, f64), ChainError> {
        let readout = [1.0, 0.0];
        let layers = [
            MatrixRef::row_major(w, w.len() / 2, 2).unwrap(),
            MatrixRef::row_major(&readout, 1, 2).unwrap(),
        ];
        let activated = Activated {
            activation: &Activation::Relu,
            slope: SlopeRange::of(&Activation::Relu).unwrap(),
            biases: &[],
            at: Some(&[1.0, 1.0]),
        };
        let o = overview(&layers, beta, &activated, &OverviewOptions::default())?;
        let last = |b: &[crate::bounds::Bound]| b.last().unwrap().value.ln().exp();
        Ok((o.upper[0].value.ln().exp(), last(&o.upper), last(&o.lower)))
    }

    /// A branch that takes away: `x - phi(x)` has slopes between 0 and 1, so the constant is 1, which the centred
    /// bound attains and the other one misses by a factor of 2.
    #[test]
    fn a_contracting_branch_is_seen_by_the_centred_bound_alone() {
        let (plain, centred, lower) = bounds(&[1.0, 0.0, 0.0, 1.0], -1.0).unwrap();
        assert!((plain - 2.0).abs() < 1e-12 && (centred - 1.0).abs() < 1e-12);
        assert!(lower <= 1.0 + 1e-12);
    }

    /// A branch that adds attains both bounds.
    #[test]
    fn an_expanding_branch_attains_both() {
        let (plain, centred, lower) = bounds(&[3.0, 0.0, 0.0, 1.0], 1.0).unwrap();
        for x in [plain, centred, lower] {
            assert!((x - 4.0).abs() < 1e-10, "{x}");
        }
    }

    #[test]
    fn what_cannot_be_added_is_refused() {
        let error = bounds(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 1.0).unwrap_err();
        assert!(matches!(error, ChainError::Shape { .. }), "{error}");
    }
}
