//! Lipschitz bounds of fully connected networks without a semidefinite solver.
//!
//! `f(x) = W_L phi(W_(L-1) .. phi(W_1 x))`, biases of any value, `phi` with slopes in a sector. The bounds
//! from loosest to tightest: the product of spectral norms, two closed forms, and descent on a diagonal
//! certificate (the layered form of LipSDP-Neuron; Fazlyab et al., arXiv:1906.04893, and Xu and Sivaranjani,
//! arXiv:2404.01813, for its factorisation along layers). Any positive diagonal is a proof; the one that is
//! found is verified once with rounding included.
//!
//! Start with [`lipschitz`]. Certified, all of them, in the Euclidean norm:
//!
//! ```
//! use isometer::bounds::{chain::Chain, lipschitz::{LipschitzOptions, lipschitz}, slope::SlopeRange};
//! use isometer::linalg::view::MatrixRef;
//! use isometer::network::activation::Activation;
//!
//! // tanh(x) - tanh(-x) is 2 tanh(x): steepness 2, and the product of norms happens to be tight
//! let layers = [
//!     MatrixRef::row_major(&[1.0, -1.0], 2, 1).unwrap(),
//!     MatrixRef::row_major(&[1.0, -1.0], 1, 2).unwrap(),
//! ];
//! let chain = Chain::new(&layers, SlopeRange::of(&Activation::Tanh).unwrap()).unwrap();
//! let best = lipschitz(&chain, &LipschitzOptions::default()).best.value.to_linear().unwrap();
//! assert!((2.0 - 1e-12..2.0 + 1e-9).contains(&best));
//! ```

mod certificate;

mod descent;
mod objective;

use super::Bound;
use super::chain::Chain;
use crate::linalg::dense::{self, Matrix};
use crate::scale::{Certainty, LogScale};
use objective::{Objective, Point};

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub struct LipschitzOptions {
    /// Iterations of the descent for one segment.
    pub iterations: usize,
    /// Stop when ten iterations gain less than this in the logarithm of the squared bound.
    pub tolerance: f64,
    /// Layers treated as one; longer networks are cut and the bounds of the pieces multiplied.
    pub longest: usize,
}

impl Default for LipschitzOptions {
    fn default() -> LipschitzOptions {
        LipschitzOptions {
            iterations: 300,
            tolerance: 1e-5,
            longest: 64,
        }
    }
}

/// Upper bounds of the Lipschitz constant in the Euclidean norm, loosest kind first.
#[derive(Clone, Debug, PartialEq)]
pub struct LipschitzBounds {
    /// Each kind.
    pub all: Vec<Bound>,
    /// The least of them.
    pub best: Bound,
}

/// Bounds the Lipschitz constant of a chain from above.
///
/// # Examples
/// ```
/// use isometer::bounds::{chain::Chain, lipschitz::{LipschitzOptions, lipschitz}, slope::SlopeRange};
/// use isometer::linalg::view::MatrixRef;
/// use isometer::scale::Certainty;
/// let w = MatrixRef::row_major(&[3.0, 0.0, 0.0, 1.0], 2, 2).unwrap();
/// let chain = Chain::new(&[w, w], SlopeRange::new(0.0, 1.0).unwrap()).unwrap();
/// let b = lipschitz(&chain, &LipschitzOptions::default());
/// assert!(b.all.iter().all(|x| x.value >= b.best.value) && b.best.certainty == Certainty::Certified);
/// assert!((b.best.value.to_linear().unwrap() - 9.0).abs() < 1e-6); // both units on
/// ```
pub fn lipschitz(chain: &Chain, options: &LipschitzOptions) -> LipschitzBounds {
    let naive = Bound {
        name: "product of norms",
        value: naive(chain),
        certainty: Certainty::Certified,
    };
    let mut all = vec![naive];
    if chain.depth() > 1 && !chain.vanishes() {
        let kinds: [(&'static str, Kind); 3] = [
            ("ECLipsE-Fast", Kind::Uniform),
            ("diagonal closed form", Kind::Diagonal),
            ("diagonal certificate", Kind::Descent),
        ];
        for (name, kind) in kinds {
            if let Some(value) = by_segments(chain, kind, options) {
                all.push(Bound {
                    name,
                    value,
                    certainty: Certainty::Certified,
                });
            }
        }
    }
    let best = all
        .iter()
        .min_by(|a, b| a.value.ln().total_cmp(&b.value.ln()))
        .unwrap_or(&all[0])
        .clone();
    LipschitzBounds { all, best }
}

/// `|W_L| prod |phi| |W_k|`, rounded up.
fn naive(chain: &Chain) -> LogScale {
    if chain.vanishes() || chain.slope.lipschitz() == 0.0 && chain.depth() > 1 {
        return LogScale::ZERO;
    }
    let norms: f64 = chain.norms.iter().map(|n| n.log10().2).sum();
    let slopes = (chain.depth() - 1) as f64 * chain.slope.lipschitz().log10();
    let sum = norms + slopes;
    // every term rounds by an ulp of its size at most
    let size: f64 = chain.norms.iter().map(|n| n.log10().2.abs()).sum::<f64>() + slopes.abs();
    let slack = size * (chain.depth() as f64 + 4.0) * f64::EPSILON;
    LogScale::from_ln((sum + slack) * std::f64::consts::LN_10).map_or(LogScale::INFINITY, raised)
}

/// A logarithm that went through a few more roundings.
fn raised(x: LogScale) -> LogScale {
    let ln = x.ln();
    LogScale::from_ln(ln + ln.abs() * 1e-15 + 1e-300).unwrap_or(x)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Uniform,
    Diagonal,
    Descent,
}

/// Bounds pieces of at most `longest` layers and multiplies them: activations between pieces are
/// Lipschitz with their greatest slope.
fn by_segments(chain: &Chain, kind: Kind, options: &LipschitzOptions) -> Option<LogScale> {
    let depth = chain.depth();
    let pieces = depth.div_ceil(options.longest.max(2));
    let mut ln = (pieces - 1) as f64 * chain.slope.lipschitz().ln();
    let mut size = ln.abs();
    for p in 0..pieces {
        let (from, to) = (p * depth / pieces, (p + 1) * depth / pieces);
        let segment = chain.segment(from, to);
        let whole = segment_bound(&segment, kind, options);
        let plain = naive(&segment).ln();
        let best = whole.map_or(plain, |w| w.min(plain));
        ln += best;
        size += best.abs();
    }
    LogScale::from_ln(ln + size * (pieces as f64 + 2.0) * f64::EPSILON).map(raised)
}

/// Certified `ln` of the Lipschitz constant of one segment.
fn segment_bound(chain: &Chain, kind: Kind, options: &LipschitzOptions) -> Option<f64> {
    if chain.depth() < 2 {
        return None;
    }
    let mut objective = Objective::new(chain);
    let m2 = objective.middle_square();
    let uniform = |k: &Matrix| closed_form(k, m2, false);
    let diagonal = |k: &Matrix| closed_form(k, m2, true);
    let proved = match kind {
        Kind::Uniform => proved(chain, &objective, &objective.start(uniform)?)?,
        Kind::Diagonal => proved(chain, &objective, &objective.start(diagonal)?)?,
        Kind::Descent => {
            let starts = [objective.start(uniform), objective.start(diagonal)];
            let start = starts
                .into_iter()
                .flatten()
                .filter_map(|p| objective.at(&p).map(|s| (s.value, p)))
                .min_by(|a, b| a.0.total_cmp(&b.0))?
                .1;
            let end = refine(&mut objective, start.clone(), options)?;
            // with few outputs the optimum lies at the boundary, where rounding leaves nothing to prove
            [0.0, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0]
                .into_iter()
                .find_map(|back| proved(chain, &objective, &between(&end, &start, back)))?
        }
    };
    let shift = chain.exponent() as f64 * std::f64::consts::LN_2;
    let ln = 0.5 * proved + shift;
    Some(ln + (proved.abs() + 2.0 * shift.abs()) * f64::EPSILON)
}

/// The descent in stages: smoothly first, then with the largest eigenvalue nearly alone; behind a
/// barrier that is lowered where the sector is symmetric about 0.
fn refine(
    objective: &mut Objective<'_>,
    start: Point,
    options: &LipschitzOptions,
) -> Option<Point> {
    let barriers: &[f64] = match objective.middle_square() < 1e-6 {
        true => &[0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4],
        false => &[0.0],
    };
    let mut point = start;
    let mut best: Option<(Point, f64)> = None;
    for (sharpness, share) in [(64.0, 2), (1024.0, 1)] {
        objective.sharpness = sharpness;
        for barrier in barriers {
            objective.barrier = *barrier;
            let steps = options.iterations * share / 3;
            let (next, state) = descent::descend(objective, point, steps, options.tolerance)?;
            point = next;
            if best.as_ref().is_none_or(|b| state.ln_square < b.1) {
                best = Some((point.clone(), state.ln_square));
            }
        }
    }
    best.map(|b| b.0)
}

/// `ln` of the squared bound that is proved at a point.
fn proved(chain: &Chain, objective: &Objective<'_>, theta: &Point) -> Option<f64> {
    let state = objective.at(theta)?;
    certificate::prove(chain, &state.lambda, state.ln_square)
}

/// The point a share of the way from one to another.
fn between(from: &Point, to: &Point, share: f64) -> Point {
    let mix = |(a, b): (&f64, &f64)| a + share * (b - a);
    let layer = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(mix).collect();
    from.iter().zip(to).map(layer).collect()
}

/// The certificate of one layer in closed form from `K = W X^-1 W^T`: `1/(2 m^2 |K|)` on all units (Xu and
/// Sivaranjani's ECLipsE-Fast), or `a/K_ii` with the same rule for the matrix of correlations.
fn closed_form(k: &Matrix, middle2: f64, by_unit: bool) -> Vec<f64> {
    let n = k.nrows();
    let mean = (0..n).map(|i| k[(i, i)]).sum::<f64>() / n as f64;
    let floor = (mean * 1e-12).max(f64::MIN_POSITIVE);
    let unit: Vec<f64> = (0..n)
        .map(|i| if by_unit { k[(i, i)].max(floor) } else { 1.0 })
        .collect();
    let scaled = dense::from_fn(n, n, |i, j| k[(i, j)] / (unit[i] * unit[j]).sqrt());
    let top = dense::symmetric_eigen(&scaled)
        .and_then(|(values, _)| values.last().copied())
        .filter(|t| *t > 0.0)
        .unwrap_or(1.0);
    let a = 0.5 / (middle2.max(1e-3) * top);
    unit.iter().map(|u| a / u).collect()
}

#[cfg(test)]
mod tests;
