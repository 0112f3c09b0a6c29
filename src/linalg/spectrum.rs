//! All singular values at the price of a Gram matrix, where that is accurate enough.
//!
//! Eigenvalues of `A^T A` cost an eighth of a bidiagonalisation of a tall matrix, but lose half the digits of the
//! small ones: an error of `E` in `sigma^2` is one of `E / 2 sigma` in `sigma`. [`spectrum`] takes that way as long
//! as the smallest value keeps the digits asked for, and decomposes the matrix itself otherwise. Lines are widened
//! a panel at a time, so that memory beyond the stored matrix is `n^2` numbers. Estimates with a predicted error
//! throughout.
//!
//! [`directions`] are the singular vectors (how far did they turn in training?), [`of_factors`] the singular values
//! of a product `up * down` of low rank that is never formed.
//!
//! ```
//! use isometer::linalg::{spectrum::{of_factors, spectrum}, view::MatrixRef};
//!
//! let a = MatrixRef::row_major(&[0.0, 3.0, 4.0, 0.0], 2, 2).unwrap();
//! let s = spectrum(&a, a.max_component()).unwrap();
//! assert!((s.linear(0) - 4.0).abs() < 1e-12 && (s.linear(1) - 3.0).abs() < 1e-12);
//! assert!((s.frobenius().enclosure.to_linear().unwrap().0 - 5.0).abs() < 1e-12);
//!
//! // an adapter of rank 1: (1, 2)^T (3, 4), so sigma = sqrt 5 * 5
//! let up = MatrixRef::row_major(&[1.0, 2.0], 2, 1).unwrap();
//! let down = MatrixRef::row_major(&[3.0, 4.0], 1, 2).unwrap();
//! let s = of_factors(&up, &down).unwrap();
//! assert!(s.values.len() == 1 && (s.linear(0) - 125f64.sqrt()).abs() < 1e-12);
//! ```

use super::certify::Method;
use super::condition::Measured;
use super::dense;
use super::singular::{SingularError, singular_values};
use super::view::MatrixRef;
use crate::scale::{Certainty, Enclosure, exponent_of, ldexp};
use faer::Mat;

/// Lines widened at a time.
const PANEL: usize = 512;

/// Relative error of the smallest singular value beyond which the matrix itself is decomposed.
const WORTH_DECOMPOSING: f64 = 1e-3;

/// Smallest `min(m, n)` for which squaring saves anything.
const SMALL: usize = 16;

/// All singular values, largest first, as `values[i] * 2^exponent`, with a predicted error.
#[derive(Clone, Debug)]
pub struct Spectrum {
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of the matrix.
    pub cols: usize,
    /// Scaled values, non-increasing, `min(rows, cols)` of them.
    pub values: Vec<f64>,
    /// Power of two that scales them back.
    pub exponent: i64,
    /// [`Method::GramEigenvalues`] or [`Method::Svd`].
    pub method: Method,
    /// Predicted absolute error of every scaled value (decomposed), or of its square.
    error: f64,
}

impl Spectrum {
    /// Value `i` with its predicted limits.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::{spectrum::spectrum, view::MatrixRef};
    /// let s = spectrum(&MatrixRef::row_major(&[3.0, 0.0, 0.0, 2.0], 2, 2).unwrap(), 3.0).unwrap();
    /// let (value, lo, hi) = s.value(1).enclosure.to_linear().unwrap();
    /// assert!(lo <= 2.0 && 2.0 <= hi && (value - 2.0).abs() < 1e-12);
    /// ```
    pub fn value(&self, i: usize) -> Measured {
        let x = self.values[i];
        let (lo, hi) = match self.method {
            Method::Svd => ((x - self.error).max(0.0), x + self.error),
            _ => {
                let square = x * x;
                (
                    (square - self.error).max(0.0).sqrt(),
                    (square + self.error).sqrt(),
                )
            }
        };
        Measured {
            enclosure: Enclosure::new(x, lo, hi, self.exponent).unwrap_or(Enclosure::UNKNOWN),
            certainty: Certainty::Estimate,
        }
    }

    /// Value `i` in the unit of the stored numbers; may overflow or underflow.
    pub fn linear(&self, i: usize) -> f64 {
        ldexp(self.values[i], self.exponent)
    }

    /// Stable rank `|A|_F^2 / |A|_2^2`; 0 for the zero matrix.
    pub fn stable_rank(&self) -> f64 {
        self.as_singular_values().stable_rank()
    }

    /// Effective rank `exp(H)`, `H` the entropy of `sigma_i / sum sigma` (Roy and Vetterli, EUSIPCO 2007).
    pub fn effective_rank(&self) -> f64 {
        self.as_singular_values().effective_rank()
    }

    /// The Frobenius norm by the singular values.
    pub fn frobenius(&self) -> Measured {
        let sum: f64 = self.values.iter().map(|x| x * x).sum();
        let n = self.values.len() as f64;
        // every value off by its error, in the same direction
        let error = match self.method {
            Method::Svd => n.sqrt() * self.error,
            _ => 0.5 * n * self.error / sum.sqrt().max(f64::MIN_POSITIVE),
        };
        let (x, slack) = (sum.sqrt(), error + 4.0 * n * f64::EPSILON * sum.sqrt());
        Measured {
            enclosure: Enclosure::new(x, (x - slack).max(0.0), x + slack, self.exponent)
                .unwrap_or(Enclosure::UNKNOWN),
            certainty: Certainty::Estimate,
        }
    }

    /// The spectrum of a multiple of the matrix by a finite factor that is not negative.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::{spectrum::spectrum, view::MatrixRef};
    /// let a = MatrixRef::row_major(&[2.0, 0.0, 0.0, 1.0], 2, 2).unwrap();
    /// assert!((spectrum(&a, 2.0).unwrap().scaled(0.25).linear(0) - 0.5).abs() < 1e-14);
    /// ```
    pub fn scaled(mut self, factor: f64) -> Spectrum {
        self.values.iter_mut().for_each(|x| *x *= factor);
        self.error *= match self.method {
            Method::Svd => factor,
            _ => factor * factor,
        };
        self
    }

    fn as_singular_values(&self) -> super::singular::SingularValues {
        super::singular::SingularValues {
            values: self.values.clone(),
            exponent: self.exponent,
            error: self.error,
        }
    }
}

/// Floating-point operations of [`spectrum`] for an `m x n` matrix, as far as the shape tells: `m n^2` for the Gram matrix (half of it
/// is computed) and the eigenvalues, whose `4/3 n^3` run at a third of the speed of products.
pub fn work(rows: usize, cols: usize) -> f64 {
    let (m, n) = (rows.max(cols) as f64, rows.min(cols) as f64);
    m * n * n + 4.0 * n * n * n
}

/// All singular values with a predicted error; `max_component` is the largest magnitude of an entry, which must be finite.
///
/// # Errors
/// [`SingularError`] on empty or non-finite input.
///
/// # Examples
/// ```
/// use isometer::linalg::{spectrum::spectrum, view::MatrixRef};
/// let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
/// let s = spectrum(&a, a.max_component()).unwrap();
/// assert!((s.linear(0) / s.linear(1) - 14.933034373659252).abs() < 1e-11);
/// assert!((s.stable_rank() - 30.0 / s.linear(0).powi(2)).abs() < 1e-12);
/// ```
pub fn spectrum(a: &MatrixRef<'_>, max_component: f64) -> Result<Spectrum, SingularError> {
    let (rows, cols) = (a.rows(), a.cols());
    if a.components() == 1
        && rows.min(cols) >= SMALL
        && max_component > 0.0
        && max_component.is_finite()
        && let Some(found) = by_gram(a, max_component)
    {
        return Ok(found);
    }
    let all = singular_values(a)?;
    Ok(Spectrum {
        rows,
        cols,
        values: all.values,
        exponent: all.exponent,
        method: Method::Svd,
        error: all.error,
    })
}

fn by_gram(a: &MatrixRef<'_>, max_component: f64) -> Option<Spectrum> {
    let exponent = i64::from(exponent_of(max_component)) + 1;
    let g = gram(a, exponent)?;
    let mut squares = dense::symmetric_eigenvalues(g)?;
    squares.reverse();
    let (m, n) = (a.rows().max(a.cols()), squares.len());
    let largest = squares[0];
    // Rounding of the Gram matrix grows as the root of m, that of the eigenvalues as n at most; the terms are those of the
    // bounds for either with a margin, and the tests hold them against decompositions.
    let error = (m + 2 * n + 20) as f64 * f64::EPSILON * largest;
    let smallest = squares[n - 1];
    // NaN, which would mean an overflow, is refused too
    if !(smallest > 0.0 && error <= 2.0 * WORTH_DECOMPOSING * smallest) {
        return None;
    }
    Some(Spectrum {
        rows: a.rows(),
        cols: a.cols(),
        values: squares.into_iter().map(f64::sqrt).collect(),
        exponent,
        method: Method::GramEigenvalues,
        error,
    })
}

/// Lower half of the smaller Gram matrix of `A 2^-exponent`.
fn gram(a: &MatrixRef<'_>, exponent: i64) -> Option<Mat<f64>> {
    let factor = 2f64.powi(i32::try_from(-exponent).ok()?);
    if !factor.is_normal() {
        return None;
    }
    // sums run over the longer side: its lines hold one entry for each of the n columns of the Gram matrix
    let by_rows = a.rows() >= a.cols();
    let tall = if by_rows { *a } else { a.transposed() };
    let (m, n) = (tall.rows(), tall.cols());
    let mut g = Mat::zeros(n, n);
    let mut panel = Mat::zeros(n, PANEL.min(m));
    for start in (0..m).step_by(PANEL) {
        let count = PANEL.min(m - start);
        if tall.rows_are_contiguous() {
            for k in 0..count {
                let line = panel.col_as_slice_mut(k);
                tall.decode_line(true, start + k, line);
                line.iter_mut().for_each(|x| *x *= factor);
            }
        } else {
            let mut line = vec![0.0; count];
            let part = tall.block(start..start + count, 0..n);
            for j in 0..n {
                part.decode_line(false, j, &mut line);
                for (k, x) in line.iter().enumerate() {
                    panel[(j, k)] = x * factor;
                }
            }
        }
        dense::add_gram_lower(g.as_mut(), panel.as_ref().subcols(0, count));
    }
    Some(g)
}

/// The leading singular directions of a matrix on its shorter side.
#[derive(Clone, Debug)]
pub struct Directions {
    /// Squares of the singular values, largest first, up to a common factor.
    squares: Vec<f64>,
    /// Unit vectors in the same order, one in each column.
    basis: Mat<f64>,
}

/// Operations of [`directions`].
pub fn directions_work(rows: usize, cols: usize) -> f64 {
    let (m, n) = (rows.max(cols) as f64, rows.min(cols) as f64);
    m * n * n + 12.0 * n * n * n
}

/// Singular vectors on the shorter side (right ones, where the matrix is square), by the Gram matrix; `None`
/// for complex, zero, empty or non-finite matrices. Directions of singular values below `1e-8 sigma_max` are noise.
///
/// # Examples
/// ```
/// use isometer::linalg::{spectrum::directions, view::MatrixRef};
/// let (s, c) = 0.25f64.sin_cos();
/// let before = MatrixRef::row_major(&[5.0, 0.0, 0.0, 1.0], 2, 2).unwrap();
/// let turned = [5.0 * c, 5.0 * s, -s, c]; // the same, its right singular vectors turned by 1/4
/// let after = MatrixRef::row_major(&turned, 2, 2).unwrap();
/// let of = |a: &MatrixRef<'_>| directions(a, a.max_component()).unwrap();
/// assert!((of(&before).angle(&of(&after), 1) - 0.25).abs() < 1e-12);
/// assert_eq!(of(&before).leading(1).0, 1);
/// ```
pub fn directions(a: &MatrixRef<'_>, max_component: f64) -> Option<Directions> {
    let usable = a.components() == 1 && max_component > 0.0 && max_component.is_finite();
    if !usable || a.rows().min(a.cols()) == 0 {
        return None;
    }
    let g = gram(a, i64::from(exponent_of(max_component)) + 1)?;
    let (mut squares, vectors) = dense::symmetric_eigen(&g)?;
    squares.reverse();
    let n = squares.len();
    let basis = Mat::from_fn(n, n, |i, j| vectors[(i, n - 1 - j)]);
    Some(Directions { squares, basis })
}

impl Directions {
    /// How many directions, at most `most`, precede the largest relative gap, and that gap `sigma_k / sigma_{k+1}`.
    pub fn leading(&self, most: usize) -> (usize, f64) {
        let ratio = |k: usize| {
            (self.squares[k - 1] / self.squares[k].max(f64::MIN_POSITIVE))
                .max(1.0)
                .sqrt()
        };
        let last = most.min(self.squares.len().saturating_sub(1));
        (1..=last)
            .map(|k| (k, ratio(k)))
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .unwrap_or((self.squares.len().min(1), f64::INFINITY))
    }

    /// Largest principal angle, in radians, between the spans of the first `k` directions (Bjorck and Golub, Math. Comp. 27, 1973): by the
    /// sine where it is small, since the cosine loses half the digits there.
    ///
    /// # Panics
    /// If the vectors have different lengths, or there are fewer than `k`.
    pub fn angle(&self, other: &Directions, k: usize) -> f64 {
        let (u, v) = (
            self.basis.as_ref().subcols(0, k),
            other.basis.as_ref().subcols(0, k),
        );
        let inner = dense::product(u.transpose(), v);
        let mut outside = v.to_owned();
        let inside = dense::product(u, inner.as_ref());
        for j in 0..k {
            for i in 0..outside.nrows() {
                outside[(i, j)] -= inside[(i, j)];
            }
        }
        let norm = |m: &Mat<f64>, last: bool| {
            let s = singular_values(&MatrixRef::from_faer(m.as_ref())).ok();
            s.and_then(|s| {
                let x = if last {
                    s.values.last()
                } else {
                    s.values.first()
                };
                Some(ldexp(*x?, s.exponent))
            })
            .unwrap_or(0.0)
        };
        norm(&outside, false).atan2(norm(&inner, true))
    }
}

/// Singular values of `up * down` from factors of a common inner dimension `r` (`m x r` and `r x n`), without the product:
/// with `up = Q_1 R_1` and `down^T = Q_2 R_2` they are those of the `r x r` matrix `R_1 R_2^T`. Values beyond `r` are zero and
/// not listed.
///
/// # Errors
/// [`SingularError`] on empty or non-finite factors.
///
/// # Panics
/// If the inner dimensions differ.
///
/// # Examples
/// ```
/// use isometer::linalg::{spectrum::of_factors, view::MatrixRef};
/// let up = MatrixRef::row_major(&[1.0, 0.0, 0.0, 2.0, 0.0, 0.0], 3, 2).unwrap();
/// let down = MatrixRef::row_major(&[3.0, 0.0, 0.0, 0.0, 0.0, 4.0], 2, 3).unwrap();
/// let s = of_factors(&up, &down).unwrap(); // diag(1, 2) times rows of lengths 3 and 4
/// assert!((s.linear(0) - 8.0).abs() < 1e-12 && (s.linear(1) - 3.0).abs() < 1e-12);
/// ```
pub fn of_factors(up: &MatrixRef<'_>, down: &MatrixRef<'_>) -> Result<Spectrum, SingularError> {
    assert_eq!(up.cols(), down.rows(), "inner dimensions");
    let (rows, cols) = (up.rows(), down.cols());
    let mut cores = Vec::new();
    let (mut exponent, mut multiplicity) = (0, 1);
    for side in [*up, down.transposed()] {
        let w = side.widen().map_err(SingularError::NonFinite)?;
        exponent += w.exponent;
        multiplicity = w.multiplicity;
        // widening transposes what is wide or lies better that way
        let tall = if w.transposed {
            w.mat.transpose()
        } else {
            w.mat.as_ref()
        };
        cores.push(if tall.nrows() > tall.ncols() {
            dense::qr_factor_lower(tall).transpose().to_owned()
        } else {
            tall.to_owned()
        });
    }
    if cores.iter().any(|c| c.ncols() != cores[0].ncols()) {
        // one factor complex, the other real
        return Err(SingularError::NoConvergence { rows, cols });
    }
    let core = dense::product(cores[0].as_ref(), cores[1].as_ref().transpose());
    let all = singular_values(&MatrixRef::from_faer(core.as_ref()))?;
    // the errors of two factorisations and a product come on top, relative to the factors and not to the product
    let scale: f64 = cores.iter().map(|c| c.norm_l2()).product();
    let steps = (up.rows() + down.cols() + up.cols() + 10) as f64;
    let error = all.error + ldexp(4.0 * steps * f64::EPSILON * scale, -all.exponent);
    Ok(Spectrum {
        rows,
        cols,
        values: all.values.into_iter().step_by(multiplicity).collect(),
        exponent: all.exponent + exponent,
        method: Method::Svd,
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn drawn(rows: usize, cols: usize, seed: u64) -> Vec<f32> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..rows * cols)
            .map(|_| (0..6).map(|_| rng.random::<f32>() - 0.5).sum::<f32>())
            .collect()
    }

    /// The quick way agrees with a decomposition within its own predicted error, which is not absurdly wide.
    #[test]
    fn squares_agree_with_decompositions() {
        for (k, (rows, cols)) in [
            (16, 16),
            (40, 25),
            (30, 200),
            (700, 64),
            (64, 1100),
            (130, 128),
        ]
        .into_iter()
        .enumerate()
        {
            let x = drawn(rows, cols, k as u64);
            let a = MatrixRef::row_major(&x, rows, cols).unwrap();
            let exact = singular_values(&a).unwrap();
            for view in [a, a.transposed()] {
                let s = spectrum(&view, a.max_component()).unwrap();
                if rows != cols {
                    assert_eq!(s.method, Method::GramEigenvalues);
                }
                assert_eq!(s.values.len(), rows.min(cols));
                for i in 0..s.values.len() {
                    let (value, lo, hi) = s.value(i).enclosure.to_linear().unwrap();
                    let truth = ldexp(exact.values[i], exact.exponent);
                    let slack = ldexp(exact.error, exact.exponent);
                    assert!(
                        lo - slack <= truth && truth <= hi + slack,
                        "{rows}x{cols} {i}: {value} {truth}"
                    );
                    assert!(hi - lo <= 2.5 * WORTH_DECOMPOSING * value);
                }
            }
        }
    }

    #[test]
    fn small_values_are_left_to_a_decomposition() {
        let n = 20;
        let x: Vec<f64> = (0..n * n)
            .map(|k| 1.0 / ((k / n) + (k % n) + 1) as f64)
            .collect();
        let a = MatrixRef::row_major(&x, n, n).unwrap();
        assert_eq!(spectrum(&a, 1.0).unwrap().method, Method::Svd);
        let zeros = vec![0.0; n * n];
        let zero = MatrixRef::row_major(&zeros, n, n).unwrap();
        assert!(
            spectrum(&zero, 0.0)
                .unwrap()
                .values
                .iter()
                .all(|s| *s == 0.0)
        );
        let bad = vec![f64::NAN; n * n];
        assert!(spectrum(&MatrixRef::row_major(&bad, n, n).unwrap(), f64::NAN).is_err());
        let huge = vec![1e308; n * n];
        let huge = MatrixRef::row_major(&huge, n, n).unwrap();
        assert!(spectrum(&huge, 1e308).unwrap().values[0].is_finite());
    }

    #[test]
    fn angles_between_leading_directions_are_the_rotation() {
        // two strong directions in the plane of the first two columns, turned towards the third
        for theta in [0.0, 1e-9, 1e-3, 0.4, 1.5] {
            let (n, turned) = (20, f64::sin_cos(theta));
            let build = |first: [f64; 3]| -> Vec<f64> {
                (0..n * n)
                    .map(|k| {
                        let (i, j) = (k / n, k % n);
                        let noise = if i == j && i > 1 { 1e-3 } else { 0.0 };
                        let strong = match (i, j) {
                            (0, 0..=2) => 2.0 * first[j],
                            (1, 1) => 1.0,
                            _ => 0.0,
                        };
                        strong + noise
                    })
                    .collect()
            };
            let (x, y) = (build([1.0, 0.0, 0.0]), build([turned.1, 0.0, turned.0]));
            let [a, b] = [&x, &y].map(|d| {
                let m = MatrixRef::row_major(d, n, n).unwrap().transposed();
                directions(&m.transposed(), 2.1).unwrap()
            });
            let (k, gap) = a.leading(8);
            assert!(k == 2 && gap > 100.0, "{k} {gap}");
            let found = a.angle(&b, k);
            // the noise turns the directions by its square
            assert!(
                (found - theta).abs() < 1e-5 * theta + 1e-13,
                "{theta} {found}"
            );
        }
    }

    #[test]
    fn factors_have_the_spectrum_of_their_product() {
        for (m, r, n) in [(30, 4, 50), (3, 5, 40), (6, 6, 6), (1, 1, 9)] {
            let (up, down) = (drawn(m, r, 1), drawn(r, n, 2));
            let product: Vec<f64> = (0..m * n)
                .map(|k| {
                    (0..r)
                        .map(|l| f64::from(up[k / n * r + l]) * f64::from(down[l * n + k % n]))
                        .sum()
                })
                .collect();
            let truth = singular_values(&MatrixRef::row_major(&product, m, n).unwrap()).unwrap();
            let s = of_factors(
                &MatrixRef::row_major(&up, m, r).unwrap(),
                &MatrixRef::row_major(&down, r, n).unwrap(),
            )
            .unwrap();
            assert_eq!((s.rows, s.cols, s.values.len()), (m, n, m.min(r).min(n)));
            for i in 0..s.values.len() {
                let (value, lo, hi) = s.value(i).enclosure.to_linear().unwrap();
                let x = ldexp(truth.values[i], truth.exponent);
                let slack = ldexp(truth.error, truth.exponent);
                assert!(lo - slack <= x && x <= hi + slack, "{value} {x}");
                assert!(hi - lo < 1e-11 * x.max(1.0));
            }
        }
    }
}
