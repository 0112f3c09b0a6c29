//! Singular values of long matrix products `J = W_L ... W_1`, as base-2 logarithms with errors.
//!
//! # Method
//!
//! Forming `J` in floating point keeps its largest singular value and loses the others by
//! hundreds of bits. Instead the product is never formed:
//!
//! 1. *Discrete QR* (Benettin et al. 1980; Golub, Solna and Van Dooren, SIAM J. Matrix Anal. 22,
//!    2000): `W_k Q_{k-1} = Q_k R_k`, so that `J = Q_L (R_L ... R_1) Q_0^T`. The start `Q_0` is the
//!    order of a column-pivoted QR of `W_1`, or, for chains with a narrower level than their
//!    input, a basis of the row space carried backward through the transposed layers.
//! 2. The triangular product is accumulated as `diag(2^e) U` with integer exponents.
//! 3. One-sided Jacobi with an exponent per column (Demmel and Veselic, SIAM J. Matrix Anal. 13,
//!    1992).
//!
//! # What the numbers are worth
//!
//! Each step commits a backward error `E_k` in its layer. To first order
//!
//! ```text
//! d ln sigma_i = sum_k p_k^T E_k m_{k-1} / (p_k^T W_k m_{k-1})
//! ```
//!
//! with the forward and backward covariant vectors `m`, `p` of index `i` (Ginelli et al., Phys.
//! Rev. Lett. 99, 2007), which a backward pass gets from `C_{k-1} = R_k^-1 C_k` and the rows of
//! `C_k^-1`. So `a_{k,i} = |p_k| |m_{k-1}| / |p_k^T W_k m_{k-1}|` is what counts: the angle between
//! what the past stretches and what the future listens to, not the conditioning of the layers. It
//! is inherent: weights known to a relative error `eps` leave `ln sigma_i` uncertain by
//! `eps sum_k a_{k,i} |W_k|_F` ([`ProductSpectrum::log2_error`], a first-order bound).
//!
//! For rounding, errors are modelled as independent (Higham and Mary 2019): one step moves
//! `p^T E m` by about `u s_k`, `s_k` the largest norm of a row or column of `W_k`, and distinct
//! layers add in squares. Errors that mix two indices are followed separately: they matter where
//! growth is undone later in the chain, or where two values agree. Layers that recur bit for bit are added in full, because there the same
//! error can be made every time. The estimate is [`ROUNDING`] such standard errors; it is of first
//! order and statistical, not a proof. It is compared with the tolerance; values beyond it are
//! computed again from a start carried backward through the whole chain, then in double-double,
//! and what still fails is marked unreliable.
//!
//! # Limits
//!
//! Exact zeros are found from the pattern of zeros (dead units, bottlenecks). A layer that is
//! singular without showing it in its pattern yields a tiny value marked unreliable. Layers are
//! scaled by powers of two; entries 2^-1022 below the largest of their layer are lost, which only
//! matters for values whose sensitivity is beyond any tolerance anyway.
//!
//! Memory is `O(n^2)` for the passes and one record of `O(n^2)` per layer for the backward pass
//! until 64 MiB, from where on only about `sqrt(L)` of them are held and segments are recomputed.
//!
//! # Example
//!
//! Two thousand layers `diag(2, 1/2)` have the singular values 2^2000 and 2^-2000, a condition number of 2^4000:
//!
//! ```
//! use isometer::linalg::product::{MatrixChain, ProductOptions, spectrum};
//! use isometer::linalg::view::MatrixRef;
//!
//! let layer = MatrixRef::row_major(&[2.0, 0.0, 0.0, 0.5], 2, 2).unwrap();
//! let layers = vec![layer; 2000];
//! let s = spectrum(&mut MatrixChain::new(&layers), &ProductOptions::default()).unwrap();
//! assert!((s.log2_singular_values[0] - 2000.0).abs() < 1e-9);
//! assert!((s.log2_singular_values[1] + 2000.0).abs() < 1e-9);
//! assert!(s.reliable.iter().all(|&r| r) && (s.log2_cond() - 4000.0).abs() < 1e-9);
//! ```

mod bidiagonal;
mod graded;
mod inner;
mod kernel;
mod leading;
mod planes;
mod scan;
mod source;
mod splitting;
mod sweep;

pub use leading::{Leading, leading};
pub use source::{GaussianChain, Layer, LayerSource, MatrixChain};

use crate::linalg::dd::Dd;
use crate::linalg::view::NonFinite;
use crate::scale::LogScale;
use kernel::Kernel;
use scan::Live;
use std::f64::consts::{LN_2, LOG10_2};
use sweep::{Pass, analyse, backward_basis, pivoted_start, random_basis, refine};

/// Standard errors in a predicted rounding error; see the module documentation.
pub const ROUNDING: f64 = 4.0;

/// A predicted error within this multiple of the tolerance is not blamed on the start.
const NEAR_MISS: f64 = 100.0;

/// Why a product has no spectrum.
#[derive(Debug, thiserror::Error)]
pub enum ProductError {
    /// The chain is empty.
    #[error("a product of no layers has no singular values")]
    NoLayers,
    /// A layer has no entries.
    #[error("layer {layer} is {rows} x {cols}: it has no entries")]
    EmptyLayer {
        /// Layer, from 0.
        layer: usize,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
    },
    /// Consecutive layers do not fit.
    #[error("layer {layer} takes {cols} inputs, but layer {previous} gives {rows} outputs")]
    Shapes {
        /// Layer, from 0.
        layer: usize,
        /// The layer before.
        previous: usize,
        /// Rows of the layer before.
        rows: usize,
        /// Columns of the layer.
        cols: usize,
    },
    /// An entry is NaN or infinite.
    #[error("layer {layer} holds {entry}")]
    NonFinite {
        /// Layer, from 0.
        layer: usize,
        /// Position and value.
        entry: NonFinite,
    },
    /// The source could not deliver a layer.
    #[error("layer {layer} could not be read: {source}")]
    Source {
        /// Layer, from 0.
        layer: usize,
        /// What the source said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// More leading values were asked for than there are, or none.
    #[error("{asked} leading values asked for, the product has {available}")]
    Count {
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        available: usize,
    },
}

/// What a chain is being read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Shapes, finiteness, norms of the layers.
    Scan,
    /// A start basis, backward.
    Start,
    /// The QR pass.
    Forward,
    /// The error prediction, backward.
    Backward,
}

/// Observer of `(stage, layers done, layers in all)`.
pub type Observer<'a> = &'a dyn Fn(Stage, usize, usize);

#[derive(Clone, Copy)]
struct Progress<'a>(Option<Observer<'a>>);

impl Progress<'_> {
    fn report(self, stage: Stage, done: usize, total: usize) {
        if let Some(f) = self.0 {
            f(stage, done, total);
        }
    }
}

/// What to compute and how far to go.
#[derive(Clone, Copy)]
pub struct ProductOptions<'a> {
    /// Tolerated predicted error of each log2 value before more work is spent; default 1e-9.
    pub tolerance: f64,
    /// Whether double-double arithmetic may be used; default true.
    pub extended: bool,
    /// Whether to decompose every layer for the bounds and the determinant; default true.
    pub factors: bool,
    /// Called after each layer of each pass.
    pub progress: Option<Observer<'a>>,
}

impl Default for ProductOptions<'_> {
    fn default() -> Self {
        ProductOptions {
            tolerance: 1e-9,
            extended: true,
            factors: true,
            progress: None,
        }
    }
}

impl std::fmt::Debug for ProductOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProductOptions")
            .field("tolerance", &self.tolerance)
            .field("extended", &self.extended)
            .field("factors", &self.factors)
            .finish_non_exhaustive()
    }
}

/// Arithmetic a result was computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// IEEE binary64.
    Double,
    /// Unevaluated sums of two doubles.
    DoubleDouble,
}

impl Arithmetic {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Arithmetic::Double => "double",
            Arithmetic::DoubleDouble => "double-double",
        }
    }

    fn roundoff(self) -> f64 {
        match self {
            Arithmetic::Double => <f64 as crate::linalg::dd::Real>::EPS,
            Arithmetic::DoubleDouble => <Dd as crate::linalg::dd::Real>::EPS,
        }
    }
}

/// All singular values of a product. Certainty: estimates with a predicted error, save for the
/// exact zeros and the two upper bounds.
#[derive(Clone, Debug)]
pub struct ProductSpectrum {
    /// Rows of the product.
    pub rows: usize,
    /// Columns of the product.
    pub cols: usize,
    /// Number of layers.
    pub layers: usize,
    /// `min(rows, cols)` values, largest first; `-inf` for zero.
    pub log2_singular_values: Vec<f64>,
    /// Predicted absolute error of each; 0 for exact zeros, `inf` where nothing is known.
    pub log2_error_estimate: Vec<f64>,
    /// Whether the predicted error of each is within the tolerance.
    pub reliable: Vec<bool>,
    /// Relative change of each value for a relative change one (in the Frobenius norm) of every
    /// layer, to first order: an upper bound.
    pub sensitivity: Vec<f64>,
    /// How many values are zero for certain, by the pattern of zeros in the layers.
    pub exact_zeros: usize,
    /// Arithmetic of the final run.
    pub arithmetic: Arithmetic,
    /// Upper bound on log2 of the norm: the sum of log2 of the layer norms; `-inf` with a zero layer.
    /// Theorem: operator-norm-submultiplicativity.
    pub log2_norm_bound: Option<f64>,
    /// Upper bound on log2 of the condition number, the sum of those of the layers; `inf` when one
    /// is singular to working precision, or when a level inside the chain is narrower than both its ends, which makes the
    /// product singular. `None` where such a bound does not exist: when a level
    /// inside the chain is wider than one on each of its sides. Theorem: condition-of-products.
    pub log2_cond_bound: Option<f64>,
    /// `|sum log2 sigma_i - sum log2 |det W_k||`, zero in exact arithmetic, for chains of square
    /// layers without exact zeros.
    pub determinant_residual: Option<f64>,
    /// What rounding explains of it, predicted.
    pub determinant_tolerance: Option<f64>,
}

impl ProductSpectrum {
    /// log2 of the spectral norm; `-inf` for the zero product.
    pub fn log2_norm(&self) -> f64 {
        self.log2_singular_values[0]
    }

    /// The spectral norm as a magnitude.
    pub fn norm(&self) -> LogScale {
        LogScale::from_log2(self.log2_norm()).unwrap_or(LogScale::ZERO)
    }

    /// log2 of largest over smallest singular value; `inf` for rank-deficient products.
    pub fn log2_cond(&self) -> f64 {
        let last = self.log2_singular_values[self.log2_singular_values.len() - 1];
        if last == f64::NEG_INFINITY {
            f64::INFINITY
        } else {
            self.log2_norm() - last
        }
    }

    /// log10 of the spectral norm.
    pub fn log10_norm(&self) -> f64 {
        self.log2_norm() * LOG10_2
    }

    /// log10 of the condition number.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::product::{MatrixChain, ProductOptions, spectrum};
    /// use isometer::linalg::view::MatrixRef;
    /// let layers = vec![MatrixRef::row_major(&[10.0, 0.0, 0.0, 1.0], 2, 2).unwrap(); 500];
    /// let s = spectrum(&mut MatrixChain::new(&layers), &ProductOptions::default()).unwrap();
    /// assert!((s.log10_cond() - 500.0).abs() < 1e-9 && (s.log10_norm() - 500.0).abs() < 1e-9);
    /// ```
    pub fn log10_cond(&self) -> f64 {
        self.log2_cond() * LOG10_2
    }

    /// log10 of the product of the layer norms.
    pub fn log10_norm_bound(&self) -> Option<f64> {
        self.log2_norm_bound.map(|x| (x * LOG10_2).next_up())
    }

    /// log10 of the product of the layer condition numbers.
    pub fn log10_cond_bound(&self) -> Option<f64> {
        self.log2_cond_bound.map(|x| (x * LOG10_2).next_up())
    }

    /// Uncertainty of each log2 value that the storage format leaves: weights rounded with unit
    /// roundoff `eps` (2^-24 for f32, 2^-8 for bf16) may have been any within `eps` of theirs.
    /// First order; meaningful while well below 1.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::product::{MatrixChain, ProductOptions, spectrum};
    /// use isometer::linalg::view::MatrixRef;
    /// let layers = vec![MatrixRef::row_major(&[2.0, 0.0, 0.0, 0.5], 2, 2).unwrap(); 100];
    /// let s = spectrum(&mut MatrixChain::new(&layers), &ProductOptions::default()).unwrap();
    /// let error = s.log2_error(2f64.powi(-24)); // had the weights been f32
    /// assert!(error.iter().all(|e| *e > 0.0 && *e < 1e-4));
    /// ```
    pub fn log2_error(&self, eps: f64) -> Vec<f64> {
        self.sensitivity.iter().map(|s| eps * s / LN_2).collect()
    }
}

/// Values of one run, with predicted errors, before zeros are appended.
struct Estimate {
    log2: Vec<f64>,
    error: Vec<f64>,
    sensitivity: Vec<f64>,
    arithmetic: Arithmetic,
}

impl Estimate {
    fn new(pass: Pass, shift: i64, arithmetic: Arithmetic, multiplicity: usize) -> Estimate {
        let log2: Vec<f64> = pass
            .values
            .values
            .iter()
            .map(|v| v.map_or(f64::NEG_INFINITY, |(e, l)| (e + shift) as f64 + l))
            .collect();
        let sensitivity = over_clusters(&log2, &pass.sensitivity);
        let steps = spilled(&over_clusters(&log2, &pass.rounding), arithmetic.roundoff());
        let error = log2
            .iter()
            .zip(&steps)
            .map(|(l, s)| {
                if *l == f64::NEG_INFINITY || !pass.values.converged {
                    return f64::INFINITY;
                }
                // the logarithm itself is a rounded double
                let rounding = 2.0 * f64::EPSILON * (1.0 + l.abs());
                ROUNDING * arithmetic.roundoff() * s / LN_2 + rounding
            })
            .collect();
        let pick = |v: Vec<f64>| v.into_iter().step_by(multiplicity).collect();
        Estimate {
            log2: pick(log2),
            error: pick(error),
            sensitivity: pick(sensitivity),
            arithmetic,
        }
    }

    fn within(&self, tolerance: f64) -> bool {
        self.error.iter().all(|&e| e <= tolerance)
    }
}

/// Values within a factor 2 of a neighbour share their vectors: the largest of the cluster holds.
fn over_clusters(log2: &[f64], x: &[f64]) -> Vec<f64> {
    let mut out = x.to_vec();
    let mut start = 0;
    for i in 1..=log2.len() {
        if i == log2.len() || log2[i - 1] - log2[i] > 1.0 {
            let max = x[start..i].iter().copied().fold(0.0, f64::max);
            out[start..i].fill(max);
            start = i;
        }
    }
    out
}

/// Share of a predicted error that reaches the next value: off the diagonal, triangular factors hand
/// what mixes one pair of indices on to the next, which first order does not follow. Measured on
/// 300,000 values of random chains: about a tenth where a neighbour's error is large.
const SPILL: f64 = 1.0 / 4.0;

/// A value with a relative error above this is lost, and says nothing of the others.
const LOST: f64 = 1e-6;

/// Charges each value with its share of the errors of the others; `x` in units of the roundoff.
fn spilled(x: &[f64], roundoff: f64) -> Vec<f64> {
    let mut out = x.to_vec();
    let spill = |out: &mut [f64], from: usize, to: usize| {
        if out[from] * roundoff < LOST {
            out[to] = out[to].max(SPILL * out[from]);
        }
    };
    for i in 1..out.len() {
        spill(&mut out, i - 1, i);
    }
    for i in (1..out.len()).rev() {
        spill(&mut out, i, i - 1);
    }
    out
}

fn attempt<T: Kernel, S: LayerSource>(
    live: &mut Live<'_, S>,
    from_the_end: bool,
    arithmetic: Arithmetic,
    progress: Progress<'_>,
) -> Result<Estimate, ProductError> {
    let (rank, depth) = (live.rank, live.depth());
    let start = if from_the_end && live.width(0) == rank {
        let end = random_basis::<f64>(live.width(depth), rank);
        refine::<T>(&backward_basis(live, end, progress)?)
    } else if from_the_end || live.width(0) > rank {
        let end = random_basis::<T>(live.width(depth), rank);
        backward_basis(live, end, progress)?
    } else {
        pivoted_start::<T, S>(live)?
    };
    let pass = analyse(live, start, progress)?;
    let shift = live.scales.iter().sum();
    Ok(Estimate::new(pass, shift, arithmetic, live.multiplicity()))
}

/// All singular values of the product of a chain of layers.
///
/// Cost: about `8 n^3` flops per layer and pass for width `n`, plus one singular value
/// decomposition per layer for the bounds ([`ProductOptions::factors`]).
///
/// # Errors
/// [`ProductError`]; non-finite entries and misfitting shapes are found before anything else.
///
/// # Examples
/// ```
/// use isometer::linalg::product::{GaussianChain, ProductOptions, spectrum};
/// let mut chain = GaussianChain { depth: 60, width: 3, alpha: 1.0, seed: 7 };
/// let s = spectrum(&mut chain, &ProductOptions::default()).unwrap();
/// assert_eq!(s.log2_singular_values.len(), 3);
/// // sum log2 sigma = log2 |det J|, which the layers know independently
/// assert!(s.determinant_residual.unwrap().abs() < 1e-9);
/// ```
pub fn spectrum<S: LayerSource>(
    source: &mut S,
    options: &ProductOptions<'_>,
) -> Result<ProductSpectrum, ProductError> {
    let progress = Progress(options.progress);
    let mut live = Live::scan(source, options.factors, progress)?;
    let multiplicity = live.multiplicity();
    let estimate = if live.rank == 0 {
        Estimate {
            log2: Vec::new(),
            error: Vec::new(),
            sensitivity: Vec::new(),
            arithmetic: Arithmetic::Double,
        }
    } else {
        escalate(&mut live, options, progress)?
    };
    Ok(assemble(&live, estimate, options.tolerance, multiplicity))
}

fn escalate<S: LayerSource>(
    live: &mut Live<'_, S>,
    options: &ProductOptions<'_>,
    progress: Progress<'_>,
) -> Result<Estimate, ProductError> {
    let narrow = live.width(0) > live.rank;
    let worst = |e: &Estimate| e.error.iter().copied().fold(0.0, f64::max);
    let mut best = attempt::<f64, S>(live, false, Arithmetic::Double, progress)?;
    // a start in the wrong order costs many digits; a near miss is inherent, and on small layers
    // double-double is as cheap as finding out
    let near = options.extended
        && live.rank <= kernel::SMALL
        && worst(&best) <= NEAR_MISS * options.tolerance;
    if !best.within(options.tolerance) && !narrow && !near {
        let again = attempt::<f64, S>(live, true, Arithmetic::Double, progress)?;
        if worst(&again) < worst(&best) {
            best = again;
        }
    }
    if !best.within(options.tolerance) && options.extended {
        best = attempt::<Dd, S>(live, true, Arithmetic::DoubleDouble, progress)?;
    }
    Ok(best)
}

fn assemble<S: LayerSource>(
    live: &Live<'_, S>,
    estimate: Estimate,
    tolerance: f64,
    multiplicity: usize,
) -> ProductSpectrum {
    let depth = live.depth();
    let (rows, cols) = (
        live.widths[depth] / multiplicity,
        live.widths[0] / multiplicity,
    );
    let count = rows.min(cols);
    let Estimate {
        mut log2,
        mut error,
        mut sensitivity,
        arithmetic,
    } = estimate;
    let mut reliable: Vec<bool> = error.iter().map(|&e| e <= tolerance).collect();
    let exact_zeros = count - log2.len();
    log2.resize(count, f64::NEG_INFINITY);
    error.resize(count, 0.0);
    sensitivity.resize(count, 0.0);
    reliable.resize(count, true);
    let square = live.widths.windows(2).all(|w| w[0] == w[1]) && exact_zeros == 0;
    let sum: f64 = log2.iter().sum::<f64>() * multiplicity as f64;
    let determinant = live
        .factors
        .filter(|f| square && f.log2_det.is_finite() && sum.is_finite());
    ProductSpectrum {
        rows,
        cols,
        layers: depth,
        determinant_residual: determinant.map(|f| (sum - f.log2_det).abs()),
        determinant_tolerance: determinant.map(|f| {
            let own = ROUNDING * Arithmetic::Double.roundoff() * f.det_sensitivity / LN_2;
            // every accumulated logarithm is rounded
            let rounding = f64::EPSILON * (f.log2_det.abs() + 1.0) * (depth as f64).sqrt();
            own * 2.0 + rounding + error.iter().sum::<f64>()
        }),
        log2_norm_bound: live.factors.map(|f| outward(f.log2_norm_bound, depth)),
        log2_cond_bound: live
            .factors
            .map(|f| outward(f.log2_cond_bound, depth))
            .filter(|x| !x.is_nan()),
        log2_singular_values: log2,
        log2_error_estimate: error,
        reliable,
        sensitivity,
        exact_zeros,
        arithmetic,
    }
}

/// A sum of `terms` rounded logarithms, moved up by what rounding can have taken.
fn outward(x: f64, terms: usize) -> f64 {
    if x.is_infinite() {
        return x;
    }
    x + (x.abs() + terms as f64) * terms as f64 * f64::EPSILON
}
