//! Bounds on the norm, the singular values and the condition number of a product `J = W_L .. W_1` from its
//! factors.
//!
//! [`upper_bounds`] and [`lower_bounds`] are certified; [`Majorization`] takes computed singular values and is as
//! good as they are.
//!
//! ```
//! use isometer::bounds::product::{lower_bounds, upper_bounds};
//! use isometer::linalg::view::MatrixRef;
//!
//! let a = MatrixRef::row_major(&[1.0, 0.0, 0.0, 2.0], 2, 2).unwrap();
//! let b = MatrixRef::row_major(&[2.0, 0.0, 0.0, 1.0], 2, 2).unwrap();
//! let all = upper_bounds(&[a, b]).unwrap();
//! let of = |name: &str| all.iter().find(|x| x.name == name).unwrap().value.to_linear().unwrap();
//! assert!((of("product of norms") - 4.0).abs() < 1e-12);
//! assert!((of("segments") - 2.0).abs() < 1e-12); // multiplied out: 2 I
//! let below = lower_bounds(&[a, b]).unwrap();
//! assert!(below.iter().all(|x| x.value.to_linear().unwrap() <= 2.0));
//! ```

use super::Bound;
use super::chain::{Chain, ChainError};
use super::slope::SlopeRange;
use crate::linalg::dense::{self, Matrix};
use crate::linalg::norms;
use crate::linalg::rounding::{gamma, max_up, sqrt_up, sum_up, up};
use crate::linalg::singular::{SingularError, singular_values};
use crate::linalg::view::MatrixRef;
use crate::scale::{Certainty, LogScale};

/// Multiplications that the search over segments may spend, about a second.
const SEGMENT_FLOPS: f64 = 2e10;

/// Upper bounds of `|J|_2`, in no particular order.
///
/// - `product of norms`: `prod |W_k|_2`;
/// - `1- and inf-norms`: `prod sqrt(|W_k|_1 |W_k|_inf)`;
/// - `Frobenius norms`: `prod |W_k|_F`;
/// - `absolute values`: `| |W_L| .. |W_1| |_2`, good where entries have one sign;
/// - `segments`: the least product of norms over all ways to cut the chain into runs of layers, each
///   multiplied out with its rounding charged. Theorem: segment-norm-bound.
///
/// # Errors
///
/// [`ChainError`].
///
/// # Examples
/// ```
/// use isometer::bounds::product::upper_bounds;
/// use isometer::linalg::view::MatrixRef;
/// let w = MatrixRef::row_major(&[2.0, 1.0, 1.0, 2.0], 2, 2).unwrap();
/// // symmetric with one sign: norms multiply, and absolute values are as good
/// let all = upper_bounds(&[w; 3]).unwrap();
/// assert!(all.iter().all(|b| b.value.to_linear().unwrap() >= 27.0 - 1e-9));
/// let best = all.iter().map(|b| b.value.ln()).fold(f64::INFINITY, f64::min);
/// assert!((best - 27f64.ln()).abs() < 1e-12);
/// ```
pub fn upper_bounds(layers: &[MatrixRef<'_>]) -> Result<Vec<Bound>, ChainError> {
    let chain = Chain::new(layers, SlopeRange::IDENTITY)?;
    if chain.vanishes() {
        return Ok(vec![certified("product of norms", f64::NEG_INFINITY)]);
    }
    let sum = |terms: &mut dyn Iterator<Item = f64>| sum_of_logs(terms);
    let two = sum(&mut chain.norms().iter().map(ln_hi));
    let mixed = layers.iter().map(|w| {
        let one = norms::one(w).map_or(f64::INFINITY, |e| ln_hi(&e));
        let inf = norms::inf(w).map_or(f64::INFINITY, |e| ln_hi(&e));
        0.5 * (one + inf)
    });
    let frobenius = layers
        .iter()
        .map(|w| norms::frobenius(w).map_or(f64::INFINITY, |e| ln_hi(&e)));
    Ok(vec![
        certified("product of norms", two),
        certified(
            "1- and inf-norms",
            sum(&mut mixed.collect::<Vec<_>>().into_iter()),
        ),
        certified(
            "Frobenius norms",
            sum(&mut frobenius.collect::<Vec<_>>().into_iter()),
        ),
        certified("absolute values", absolute_values(&chain)),
        certified("segments", segments(&chain)),
    ])
}

pub(in crate::bounds) fn certified(name: &'static str, ln: f64) -> Bound {
    Bound {
        name,
        // NaN bounds nothing
        value: LogScale::from_ln(ln).unwrap_or(LogScale::INFINITY),
        certainty: Certainty::Certified,
    }
}

/// `ln` of the upper end of an enclosure, rounded up.
pub(in crate::bounds) fn ln_hi(e: &crate::scale::Enclosure) -> f64 {
    let x = e.log10().2 * std::f64::consts::LN_10;
    x + x.abs() * 4.0 * f64::EPSILON
}

/// Sum of logarithms, rounded up.
pub(in crate::bounds) fn sum_of_logs(terms: &mut dyn Iterator<Item = f64>) -> f64 {
    let (mut sum, mut size, mut count) = (0.0, 0.0, 0.0);
    for t in terms {
        sum += t;
        size += t.abs();
        count += 1.0;
    }
    sum + size * (count + 2.0) * f64::EPSILON
}

/// `| |W_L| .. |W_1| |_2` by the quotient of Collatz and Wielandt on `B^T B` with `B` never formed:
/// `lambda_max(B^T B) <= max_i (B^T B x)_i / x_i` for any positive `x`. Theorem: collatz-wielandt.
fn absolute_values(chain: &Chain) -> f64 {
    let inputs = chain.weights[0].ncols();
    let mut x = vec![1.0; inputs];
    let mut best = f64::INFINITY;
    // every multiplication sums that many terms at most
    let terms: usize = chain.widths().iter().sum::<usize>() * 2 + 4;
    for _ in 0..20 {
        let (mut y, mut exponent) = (x.clone(), 0);
        for w in &chain.weights {
            y = rescaled(absolute(w, &y, false), &mut exponent);
        }
        for w in chain.weights.iter().rev() {
            y = rescaled(absolute(w, &y, true), &mut exponent);
        }
        let ratio = max_up(y.iter().zip(&x).map(|(y, x)| y / x));
        let ln = exponent as f64 * std::f64::consts::LN_2;
        let bound = 0.5 * (up(ratio * (1.0 + gamma(terms))).ln() + ln);
        best = best.min(bound + (ln.abs() + bound.abs()) * 4.0 * f64::EPSILON);
        let top = y.iter().copied().fold(0.0, f64::max);
        if top == 0.0 {
            break;
        }
        for (x, y) in x.iter_mut().zip(&y) {
            *x = (y / top).max(1e-6);
        }
    }
    let shift = chain.exponent() as f64 * std::f64::consts::LN_2;
    best + shift + shift.abs() * 2.0 * f64::EPSILON
}

fn absolute(w: &Matrix, x: &[f64], transposed: bool) -> Vec<f64> {
    let (m, n) = (w.nrows(), w.ncols());
    match transposed {
        true => (0..n)
            .map(|j| (0..m).map(|i| w[(i, j)].abs() * x[i]).sum())
            .collect(),
        false => {
            let mut y = vec![0.0; m];
            for j in 0..n {
                for i in 0..m {
                    y[i] += w[(i, j)].abs() * x[j];
                }
            }
            y
        }
    }
}

/// Takes a power of two out of a vector of non-negative numbers.
fn rescaled(mut x: Vec<f64>, exponent: &mut i64) -> Vec<f64> {
    let top = x.iter().copied().fold(0.0, f64::max);
    if top > 0.0 && top.is_finite() {
        let e = crate::scale::exponent_of(top);
        for v in &mut x {
            *v = crate::scale::ldexp(*v, -i64::from(e));
        }
        *exponent += i64::from(e);
    }
    x
}

/// A computed product with a bound on its error: `|P - fl(P)|_2 <= error`.
struct Run {
    product: Matrix,
    /// `P 2^exponent` is meant.
    exponent: i64,
    error: f64,
}

impl Run {
    fn start(w: &Matrix) -> Run {
        Run {
            product: w.clone(),
            exponent: 0,
            error: 0.0,
        }
    }

    /// `W P`, rescaled. `|W P - fl(W fl(P))| <= |W| error + gamma_n |W|_F |fl(P)|_F`.
    fn extended(&self, w: &Matrix, norm: f64) -> Option<Run> {
        let product = dense::product(w.as_ref(), self.product.as_ref());
        let rounding = gamma(w.ncols() + 2) * frobenius_up(w) * frobenius_up(&self.product);
        let error = up(norm * self.error + rounding + 1e-290);
        let size = frobenius_up(&product);
        if !(size > 0.0 && size.is_finite() && error < size) {
            return None;
        }
        let e = crate::scale::exponent_of(size);
        let scale = 2f64.powi(-e);
        Some(Run {
            product: dense::from_fn(product.nrows(), product.ncols(), |i, j| {
                product[(i, j)] * scale
            }),
            exponent: self.exponent + i64::from(e),
            // subnormal entries may lose their last bits when scaled
            error: up(error * scale + 1e-300),
        })
    }

    /// Upper bound of `ln |P|`.
    fn ln_norm(&self) -> f64 {
        let norm = norms::two(&MatrixRef::from_faer(self.product.as_ref()))
            .ok()
            .and_then(|e| e.to_linear())
            .map_or(f64::INFINITY, |(_, _, hi)| hi);
        let ln = up(norm + self.error).ln();
        let shift = self.exponent as f64 * std::f64::consts::LN_2;
        ln + shift + (ln.abs() + shift.abs()) * 4.0 * f64::EPSILON
    }
}

pub(in crate::bounds) fn frobenius_up(m: &Matrix) -> f64 {
    let n = m.nrows();
    let squares = (0..m.ncols()).map(|j| {
        let c = m.col_as_slice(j);
        up(dense::dot(c, c) * (1.0 + gamma(n + 2)) + 1e-300)
    });
    sqrt_up(sum_up(squares))
}

/// Dynamic programming over the last cut: `best[j] = min_i best[i] + ln |W_j .. W_(i+1)|`.
fn segments(chain: &Chain) -> f64 {
    let depth = chain.depth();
    let widest = chain.widths().into_iter().max().unwrap_or(1) as f64;
    let each = 40.0 * widest.powi(3);
    let longest = (SEGMENT_FLOPS / (each * depth as f64)).clamp(2.0, 64.0) as usize;
    let norms: Vec<f64> = chain
        .weights
        .iter()
        .map(|w| {
            norms::two(&MatrixRef::from_faer(w.as_ref()))
                .ok()
                .and_then(|e| e.to_linear())
                .map_or(f64::INFINITY, |(_, _, hi)| hi)
        })
        .collect();
    let mut best = vec![f64::INFINITY; depth + 1];
    best[0] = 0.0;
    for from in 0..depth {
        let mut run = Run::start(&chain.weights[from]);
        let mut to = from + 1;
        loop {
            let total = best[from] + run.ln_norm();
            best[to] = best[to].min(total + total.abs() * 2.0 * f64::EPSILON);
            if to == depth || to - from == longest {
                break;
            }
            let Some(next) = run.extended(&chain.weights[to], norms[to]) else {
                break;
            };
            run = next;
            to += 1;
        }
    }
    let shift = chain.exponent() as f64 * std::f64::consts::LN_2;
    best[depth] + shift + shift.abs() * 2.0 * f64::EPSILON
}

/// Lower bounds of `|J|_2`.
///
/// - `vector`: `|J v| / |v|` for a vector found by power iteration, less the rounding of its evaluation;
///   absent where rounding takes all of it;
/// - `companions`: the best of `|W_k|` times the least singular values of the other factors, which
///   holds where those after `k` are injective (no wider in than out) and those before surjective.
///   Theorem: norms-of-products-from-below.
///
/// # Errors
///
/// [`ChainError`].
///
/// # Examples
/// ```
/// use isometer::bounds::product::lower_bounds;
/// use isometer::linalg::view::MatrixRef;
/// let w = MatrixRef::row_major(&[2.0, 1.0, 1.0, 2.0], 2, 2).unwrap();
/// let best = lower_bounds(&[w; 3]).unwrap().iter().map(|b| b.value.ln()).fold(f64::NEG_INFINITY, f64::max);
/// assert!(best <= 27f64.ln() && best > 27f64.ln() - 1e-6);
/// ```
pub fn lower_bounds(layers: &[MatrixRef<'_>]) -> Result<Vec<Bound>, ChainError> {
    let chain = Chain::new(layers, SlopeRange::IDENTITY)?;
    let mut found = Vec::new();
    if let Some(ln) = vector(&chain) {
        found.push(certified("vector", ln));
    }
    if let Some(ln) = companions(layers) {
        found.push(Bound {
            certainty: Certainty::Estimate,
            ..certified("companions", ln)
        });
    }
    Ok(found)
}

/// `ln (|J v| / |v|)` rounded down.
fn vector(chain: &Chain) -> Option<f64> {
    let n = chain.weights[0].ncols();
    // a start that no sensible matrix annihilates
    let mut v: Vec<f64> = (0..n)
        .map(|i| 1.0 + ((i * 37 + 11) % 101) as f64 / 101.0)
        .collect();
    let mut unused = 0;
    for _ in 0..30 {
        for w in &chain.weights {
            v = rescaled_signed(dense::apply(w, &v), &mut unused)?;
        }
        for w in chain.weights.iter().rev() {
            v = rescaled_signed(dense::apply_transposed(w, &v), &mut unused)?;
        }
    }
    let start = up(dense::norm2(&v) * (1.0 + gamma(n + 4)));
    let (mut exponent, mut error) = (0, 0.0);
    for w in &chain.weights {
        let before = up(dense::norm2(&v) * (1.0 + gamma(v.len() + 4)));
        let y = dense::apply(w, &v);
        let norm = frobenius_up(w);
        error = up(norm * error + gamma(w.ncols() + 2) * norm * before + 1e-300);
        let before = exponent;
        v = rescaled_signed(y, &mut exponent)?;
        error = crate::scale::ldexp_up(error, before - exponent);
    }
    let last = dense::norm2(&v) * (1.0 - gamma(v.len() + 4)) - error;
    (last > 0.0).then(|| {
        // the powers of two are summed as integers, so only this product and two sums round
        let shift = (exponent + chain.exponent()) as f64 * std::f64::consts::LN_2;
        let x = (last / start).ln() + shift;
        x - (shift.abs() + x.abs() + 1.0) * 8.0 * f64::EPSILON
    })
}

/// Takes a power of two out; `None` for a zero vector or one that is not finite.
fn rescaled_signed(mut x: Vec<f64>, exponent: &mut i64) -> Option<Vec<f64>> {
    let top = x.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    if !(top > 0.0 && top.is_finite()) {
        return None;
    }
    let e = crate::scale::exponent_of(top);
    for v in &mut x {
        *v = crate::scale::ldexp(*v, -i64::from(e));
    }
    *exponent += i64::from(e);
    Some(x)
}

/// The best lower companion, from computed singular values less their predicted error.
fn companions(layers: &[MatrixRef<'_>]) -> Option<f64> {
    let ends: Vec<(f64, f64)> = layers
        .iter()
        .map(|w| {
            let s = singular_values(w).ok()?;
            let shift = s.exponent as f64 * std::f64::consts::LN_2;
            let down = |x: f64| {
                if x > s.error {
                    (x - s.error).ln() + shift
                } else {
                    f64::NEG_INFINITY
                }
            };
            Some((down(*s.values.first()?), down(*s.values.last()?)))
        })
        .collect::<Option<_>>()?;
    let whole: f64 = ends.iter().map(|e| e.1).sum();
    let candidate = |k: usize| {
        let after = layers[k + 1..].iter().all(|w| w.cols() <= w.rows());
        let before = layers[..k].iter().all(|w| w.rows() <= w.cols());
        let others = if whole.is_finite() {
            whole - ends[k].1
        } else {
            let rest = ends.iter().enumerate().filter(|(i, _)| *i != k);
            rest.map(|(_, e)| e.1).sum()
        };
        (after && before).then_some(ends[k].0 + others)
    };
    (0..layers.len())
        .filter_map(candidate)
        .filter(|x| x.is_finite())
        .reduce(f64::max)
}

/// What the singular values of the factors imply for those of the product. Theorem: horn-majorization.
///
/// # Examples
/// ```
/// use isometer::bounds::product::Majorization;
/// // two factors with singular values e^1, e^-1 each
/// let m = Majorization::of(&[vec![1.0, -1.0], vec![1.0, -1.0]]);
/// assert_eq!(m.partial_sums, [2.0, 0.0]);
/// assert_eq!((m.ln_upper(1), m.ln_lower()), (Some(2.0), Some(0.0)));
/// assert!(m.violation(&[0.0, 0.0]) <= 0.0); // the product may be the identity
/// assert!((m.violation(&[3.0, -3.0]) - 1.0).abs() < 1e-15); // but not that
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Majorization {
    /// `ln prod_(i<=k) sigma_i(J) <= partial_sums[k-1]`, `k = 1..r`, `r` the least width: Horn's inequality.
    pub partial_sums: Vec<f64>,
    /// Whether the last sum is an equality: all factors square of one order.
    pub determinant: bool,
}

impl Majorization {
    /// From singular values of the factors, each descending: natural logarithms.
    pub fn of(factors: &[Vec<f64>]) -> Majorization {
        let r = factors.iter().map(Vec::len).min().unwrap_or(0);
        let mut partial_sums = Vec::with_capacity(r);
        let mut sum = 0.0;
        for i in 0..r {
            sum += factors.iter().map(|f| f[i]).sum::<f64>();
            partial_sums.push(sum);
        }
        Majorization {
            partial_sums,
            determinant: factors.iter().all(|f| f.len() == r),
        }
    }

    /// Upper bound of `ln sigma_k(J)`, `k` from 1: values descend, so the k-th is at most the geometric mean
    /// of the first `k`.
    ///
    /// # Examples
    /// ```
    /// use isometer::bounds::product::Majorization;
    /// let m = Majorization::of(&[vec![3.0, 1.0], vec![2.0, 0.0]]);
    /// assert_eq!(m.ln_upper(2), Some(3.0)); // (3 + 2 + 1 + 0) / 2
    /// ```
    pub fn ln_upper(&self, k: usize) -> Option<f64> {
        let sums = self.partial_sums.get(..k).filter(|s| !s.is_empty())?;
        let means = sums.iter().enumerate().map(|(i, s)| s / (i + 1) as f64);
        means.reduce(f64::min)
    }

    /// Lower bound of `ln sigma_1(J)` where the product of all values is known: their geometric mean.
    pub fn ln_lower(&self) -> Option<f64> {
        let last = self.partial_sums.last()?;
        self.determinant
            .then(|| last / self.partial_sums.len() as f64)
    }

    /// How far a computed spectrum (natural logarithms, descending) violates the inequalities: the greatest
    /// excess of a partial sum, and of the last one in both directions where it is an equality. A result
    /// above rounding says that the spectrum, or a factor, is wrong.
    pub fn violation(&self, spectrum: &[f64]) -> f64 {
        let mut sum = 0.0;
        let mut worst = f64::NEG_INFINITY;
        for (s, bound) in spectrum.iter().zip(&self.partial_sums) {
            sum += s;
            if bound.is_finite() || sum.is_finite() {
                worst = worst.max(sum - bound);
            }
        }
        match (self.determinant, self.partial_sums.last()) {
            (true, Some(last)) if last.is_finite() && spectrum.len() == self.partial_sums.len() => {
                worst.max((sum - last).abs())
            }
            _ => worst,
        }
    }
}

/// Natural logarithms of the singular values of each factor, descending.
///
/// # Errors
///
/// NaN or infinite entries.
///
/// # Examples
/// ```
/// use isometer::bounds::product::factor_spectra;
/// use isometer::linalg::view::MatrixRef;
/// let a = MatrixRef::row_major(&[1.0, 0.0, 0.0, 4.0], 2, 2).unwrap();
/// let s = factor_spectra(&[a]).unwrap();
/// assert!((s[0][0] - 4f64.ln()).abs() < 1e-14 && s[0][1].abs() < 1e-14);
/// ```
pub fn factor_spectra(layers: &[MatrixRef<'_>]) -> Result<Vec<Vec<f64>>, SingularError> {
    layers
        .iter()
        .map(|w| {
            let s = singular_values(w)?;
            Ok((0..s.values.len()).map(|i| s.log(i).ln()).collect())
        })
        .collect()
}

/// Interval of `ln kappa(AB)` from the factors, for square nonsingular `A` and `B` of one order:
/// `max(kappa(A)/kappa(B), kappa(B)/kappa(A)) <= kappa(AB) <= kappa(A) kappa(B)`.
/// Theorems: condition-of-products, condition-of-products-from-below.
///
/// # Examples
/// ```
/// use isometer::bounds::product::ln_cond_of_product;
/// assert_eq!(ln_cond_of_product(5.0, 2.0), (3.0, 7.0));
/// ```
pub fn ln_cond_of_product(ln_a: f64, ln_b: f64) -> (f64, f64) {
    ((ln_a - ln_b).abs(), ln_a + ln_b)
}
