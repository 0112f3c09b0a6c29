//! Matrix norms that neither overflow nor underflow.
//!
//! *How large is a matrix?* [`two`] is the greatest factor by which it stretches a vector; the others are cheap and
//! bound it: `|A|_F / sqrt(r) <= |A|_2 <= |A|_F` for rank `r`, and `|A|_2^2 <= |A|_1 |A|_inf`.
//!
//! Every norm is computed on entries scaled by a power of two to magnitude at most 1 and returned
//! as an [`Enclosure`] that covers the rounding of the sum: certified, all of them.
//!
//! ```
//! use isometer::linalg::norms;
//! use isometer::linalg::view::MatrixRef;
//!
//! let a = MatrixRef::row_major(&[1e200, -2e200, 3e200, 4e200], 2, 2).unwrap();
//! let value = |e: isometer::scale::Enclosure| e.to_linear().unwrap().0;
//! assert_eq!(value(norms::one(&a).unwrap()), 6e200); // columns: 4, 6
//! assert_eq!(value(norms::inf(&a).unwrap()), 7e200); // rows: 3, 7
//! assert!((value(norms::frobenius(&a).unwrap()) / 1e200 - 30f64.sqrt()).abs() < 1e-14); // no overflow
//! // sigma^2 = 15 +- 5 sqrt 5
//! let two = norms::two(&a).unwrap();
//! assert!((value(two) / 1e200 - 5.116672736016927).abs() < 1e-14 && two.relative_width() < 1e-13);
//! ```

use super::certify::{self, gram::Problem};
use super::dense;
use super::rounding::{gamma, up};
use super::view::{MatrixRef, NonFinite};
use crate::scale::{Enclosure, exponent_of, ldexp};

/// The norm a condition number refers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// Spectral norm: largest over smallest singular value.
    #[default]
    Two,
    /// Largest absolute column sum.
    One,
    /// Largest absolute row sum.
    Inf,
    /// Frobenius norm.
    Frobenius,
}

impl Norm {
    /// The word used on the command line and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Norm::Two => "2",
            Norm::One => "1",
            Norm::Inf => "inf",
            Norm::Frobenius => "fro",
        }
    }
}

/// Spectral norm `|A|_2`, the largest singular value: a proved enclosure, `O(m n^2)` operations for an
/// `m x n` matrix with `m >= n`. Theorems: kato-temple, certified-enclosures.
///
/// # Errors
/// The first entry that is NaN or infinite.
///
/// # Examples
/// ```
/// use isometer::linalg::{norms::two, view::MatrixRef};
/// let a = MatrixRef::row_major(&[3.0, 0.0, 4.0, 0.0], 2, 2).unwrap(); // one column of length 5
/// let (_, lo, hi) = two(&a).unwrap().to_linear().unwrap();
/// assert!(lo <= 5.0 && 5.0 <= hi && hi - lo < 1e-13);
/// ```
pub fn two(a: &MatrixRef<'_>) -> Result<Enclosure, NonFinite> {
    let w = a.widen()?;
    if a.max_component() == 0.0 {
        return Ok(Enclosure::ZERO);
    }
    let p = Problem::new(w.mat, w.multiplicity);
    Ok(certify::largest(&p, w.exponent, w.rounded))
}

/// Largest absolute column sum `|A|_1`.
///
/// # Errors
/// The first entry that is NaN or infinite.
///
/// # Examples
/// ```
/// use isometer::linalg::{norms::one, view::MatrixRef};
/// let a = MatrixRef::row_major(&[1.0, -2.0, 3.0, 4.0], 2, 2).unwrap();
/// assert_eq!(one(&a).unwrap().to_linear().unwrap().0, 6.0); // |-2| + |4|
/// ```
pub fn one(a: &MatrixRef<'_>) -> Result<Enclosure, NonFinite> {
    inf(&a.transposed()).map_err(|bad| NonFinite {
        row: bad.col,
        col: bad.row,
        ..bad
    })
}

/// Largest absolute row sum `|A|_inf`.
///
/// # Errors
/// The first entry that is NaN or infinite.
///
/// # Examples
/// ```
/// use isometer::linalg::{norms::inf, view::MatrixRef};
/// let a = MatrixRef::row_major(&[1.0, -2.0, 3.0, 4.0], 2, 2).unwrap();
/// assert_eq!(inf(&a).unwrap().to_linear().unwrap().0, 7.0); // |3| + |4|
/// ```
pub fn inf(a: &MatrixRef<'_>) -> Result<Enclosure, NonFinite> {
    let e = scale(a)?;
    let mut best = 0.0f64;
    for i in 0..a.rows() {
        let sum: f64 = (0..a.cols()).map(|j| magnitude(a.get(i, j), e)).sum();
        best = best.max(sum);
    }
    // n additions; the modulus of a complex entry adds two roundings
    Ok(around(best, gamma(a.cols() + 4), e))
}

/// Frobenius norm: the root of the sum of squared moduli. Theorem: frobenius-submultiplicativity.
///
/// # Errors
/// The first entry that is NaN or infinite.
///
/// # Examples
/// ```
/// use isometer::linalg::{norms::frobenius, view::MatrixRef};
/// // 1, 2, 2, 4: a square sum of 25, scaled to where the squares alone would underflow
/// let a = MatrixRef::row_major(&[1e-300, 2e-300, 2e-300, 4e-300], 2, 2).unwrap();
/// assert!((frobenius(&a).unwrap().to_linear().unwrap().0 / 5e-300 - 1.0).abs() < 1e-15);
/// ```
pub fn frobenius(a: &MatrixRef<'_>) -> Result<Enclosure, NonFinite> {
    let e = scale(a)?;
    let unit = i32::try_from(-e).map_or(0.0, |e| 2f64.powi(e));
    let (lines, len) = a.storage_lines();
    let mut line = vec![0.0; len * a.components()];
    let mut total = 0.0f64;
    for k in 0..lines {
        a.read_storage_line(k, &mut line);
        if unit.is_normal() {
            line.iter_mut().for_each(|x| *x *= unit);
        } else {
            line.iter_mut().for_each(|x| *x = ldexp(*x, -e));
        }
        // A sum a line, in whatever order: at most two roundings an entry of a line (complex ones have two parts) and one a
        // line, which the root halves.
        total += dense::dot(&line, &line);
    }
    Ok(around(total.sqrt(), gamma(a.rows() + a.cols() + 6), e))
}

/// Largest modulus of an entry.
///
/// # Errors
/// The first entry that is NaN or infinite.
///
/// # Examples
/// ```
/// use isometer::linalg::{norms::max, view::MatrixRef};
/// let a = MatrixRef::row_major(&[[3.0, 4.0], [0.0, -2.0]], 1, 2).unwrap(); // 3 + 4i, -2i
/// assert!((max(&a).unwrap().to_linear().unwrap().0 - 5.0).abs() < 1e-14);
/// ```
pub fn max(a: &MatrixRef<'_>) -> Result<Enclosure, NonFinite> {
    let e = scale(a)?;
    let mut best = 0.0f64;
    for i in 0..a.rows() {
        for j in 0..a.cols() {
            best = best.max(magnitude(a.get(i, j), e));
        }
    }
    let relative = if a.element_type().is_complex() {
        gamma(4)
    } else {
        0.0
    };
    Ok(around(best, relative, e))
}

/// Frobenius norm of a matrix computed entry by entry from several of one shape: the entries are
/// `f(parts)`, where `parts[k]` is the (real or imaginary) part of the entry of matrix `k`. Neither squares nor sums
/// leave the range of `f64`; the roundings of `f` are not counted in the limits.
///
/// # Errors
/// The first entry that is NaN or infinite, of a matrix (its index comes first) or of the result (index `matrices.len()`).
///
/// # Panics
/// If the shapes differ, or some are complex and some real.
///
/// # Examples
/// ```
/// use isometer::linalg::{norms::entrywise, view::MatrixRef};
/// let a = MatrixRef::row_major(&[4.0, 1.0], 1, 2).unwrap();
/// let b = MatrixRef::row_major(&[1.0, 5.0], 1, 2).unwrap();
/// let distance = entrywise(&[&a, &b], |x| x[0] - x[1]).unwrap(); // |(3, -4)|
/// assert!((distance.to_linear().unwrap().0 - 5.0).abs() < 1e-14);
/// ```
pub fn entrywise(
    matrices: &[&MatrixRef<'_>],
    mut f: impl FnMut(&[f64]) -> f64,
) -> Result<Enclosure, (usize, NonFinite)> {
    let Some(first) = matrices.first() else {
        return Ok(Enclosure::ZERO);
    };
    let (rows, cols, components) = (first.rows(), first.cols(), first.components());
    for (k, a) in matrices.iter().enumerate() {
        assert!(
            (a.rows(), a.cols(), a.components()) == (rows, cols, components),
            "matrix {k} has another shape"
        );
        if let Some(bad) = a.first_nonfinite() {
            return Err((k, bad));
        }
    }
    let mut lines = vec![vec![0.0; cols * components]; matrices.len()];
    let mut parts = vec![0.0; matrices.len()];
    let mut squares = Squares::default();
    for row in 0..rows {
        for (line, a) in lines.iter_mut().zip(matrices) {
            a.read_row(row, line);
        }
        for at in 0..cols * components {
            for (part, line) in parts.iter_mut().zip(&lines) {
                *part = line[at];
            }
            let value = f(&parts);
            if !value.is_finite() {
                let col = at / components;
                return Err((matrices.len(), NonFinite { row, col, value }));
            }
            squares.push(value);
        }
    }
    Ok(squares.root())
}

/// Sum of squares of a stream of finite numbers, scaled so that nothing leaves the range of `f64`.
///
/// # Examples
/// ```
/// use isometer::linalg::norms::Squares;
/// let mut sum = Squares::default();
/// [3e200, 4e200].into_iter().for_each(|x| sum.push(x));
/// assert!((sum.root().to_linear().unwrap().0 / 5e200 - 1.0).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Squares {
    /// Every number so far is below `2^exponent` in magnitude.
    exponent: i64,
    /// In units of `4^exponent`: finished blocks, and the current one.
    total: f64,
    block: f64,
    count: u64,
}

impl Default for Squares {
    fn default() -> Squares {
        Squares {
            exponent: i64::MIN,
            total: 0.0,
            block: 0.0,
            count: 0,
        }
    }
}

impl Squares {
    /// Terms of a block: rounding then grows with the block and the number of blocks, not with their product.
    const BLOCK: u64 = 1024;

    /// Adds the square of a finite number.
    pub fn push(&mut self, x: f64) {
        if x == 0.0 {
            return;
        }
        let own = i64::from(exponent_of(x)) + 1;
        if own > self.exponent {
            if self.exponent != i64::MIN {
                let shift = 2 * (self.exponent - own);
                self.total = ldexp(self.total, shift);
                self.block = ldexp(self.block, shift);
            }
            self.exponent = own;
        }
        let y = ldexp(x, -self.exponent);
        self.block += y * y;
        self.count += 1;
        if self.count.is_multiple_of(Self::BLOCK) {
            self.total += self.block;
            self.block = 0.0;
        }
    }

    /// The root of the sum.
    pub fn root(&self) -> Enclosure {
        if self.count == 0 {
            return Enclosure::ZERO;
        }
        let terms = Self::BLOCK.min(self.count) + self.count / Self::BLOCK + 6;
        let value = (self.total + self.block).sqrt();
        around(value, gamma(terms as usize), self.exponent)
    }
}

/// Exponent that brings the largest component into `[1/2, 1)`.
fn scale(a: &MatrixRef<'_>) -> Result<i64, NonFinite> {
    match a.scan() {
        Some(m) if m > 0.0 => Ok(i64::from(exponent_of(m)) + 1),
        Some(_) => Ok(0),
        None => a.first_nonfinite().map_or(Ok(0), Err),
    }
}

fn magnitude((re, im): (f64, f64), e: i64) -> f64 {
    let (re, im) = (ldexp(re, -e), ldexp(im, -e));
    if im == 0.0 {
        re.abs()
    } else {
        libm::hypot(re, im)
    }
}

/// `x` within a relative error, and within what underflow below 2^-1000 of the largest entry may hide.
fn around(x: f64, relative: f64, e: i64) -> Enclosure {
    if x == 0.0 || relative == 0.0 {
        return Enclosure::point(x, e).unwrap_or(Enclosure::ZERO);
    }
    let slack = up(x * relative + 1e-290);
    Enclosure::new(x, (x - slack).max(0.0), up(x + slack), e).unwrap_or(Enclosure::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};

    fn all(a: &MatrixRef<'_>) -> [Enclosure; 5] {
        [one(a), two(a), inf(a), frobenius(a), max(a)].map(|n| n.unwrap())
    }

    proptest! {
        /// Known relations hold, and a power of two moves every norm exactly, to either end of f64.
        #[test]
        fn relations_and_scaling(m in 1usize..9, n in 1usize..9, seed: u64, shift in -900i64..900) {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let x: Vec<f64> = (0..m * n).map(|_| rng.random::<f64>() - 0.5).collect();
            let a = MatrixRef::row_major(&x, m, n).unwrap();
            let norms = all(&a);
            let [n1, n2, ni, nf, nm] = norms.map(|e| e.to_linear().unwrap());
            // max <= 2-norm <= Frobenius <= sqrt(rank) 2-norm, and |A|_2^2 <= |A|_1 |A|_inf
            prop_assert!(nm.1 <= n2.2 && n2.1 <= nf.2);
            prop_assert!(nf.1 <= (m.min(n) as f64).sqrt() * n2.2 * (1.0 + 1e-14));
            prop_assert!(n2.1 * n2.1 <= n1.2 * ni.2 * (1.0 + 1e-14));
            let y: Vec<f64> = x.iter().map(|&v| ldexp(v, shift)).collect();
            let b = MatrixRef::row_major(&y, m, n).unwrap();
            for (before, after) in norms.iter().zip(all(&b)) {
                let moved = before.shifted(shift);
                prop_assert!((moved.value().ln() - after.value().ln()).abs() < 1e-13 * 700.0);
                prop_assert!(before.relative_width() < 1e-12);
            }
        }
    }

    #[test]
    fn integers_are_exact_where_sums_are() {
        let x = [3.0, -4.0, 0.0, 12.0];
        let a = MatrixRef::row_major(&x, 2, 2).unwrap();
        let [n1, _, ni, nf, nm] = all(&a).map(|e| e.to_linear().unwrap());
        for ((value, lo, hi), truth) in [(n1, 16.0), (ni, 12.0), (nf, 13.0), (nm, 12.0)] {
            assert!(
                value == truth && lo <= truth && truth <= hi,
                "{value} is not {truth}"
            );
        }
    }

    #[test]
    fn squares_may_leave_the_range() {
        for (entry, norm) in [(1e-23f32, 8e-23), (1e19, 8e19)] {
            let x = [entry; 64];
            let f = frobenius(&MatrixRef::row_major(&x, 64, 1).unwrap()).unwrap();
            let (value, ..) = f.to_linear().unwrap();
            assert!((value / norm - 1.0).abs() < 1e-7, "{value} is not {norm}");
        }
        let x = [f64::MAX, f64::MAX];
        let a = MatrixRef::row_major(&x, 1, 2).unwrap();
        let sum = inf(&a).unwrap();
        assert!(sum.to_linear().is_none() && (sum.value().log2() - 1025.0).abs() < 1e-12);
        let x = [0.0, f64::NAN];
        let bad = one(&MatrixRef::row_major(&x, 2, 1).unwrap()).unwrap_err();
        assert_eq!((bad.row, bad.col), (1, 0));
        let zero = MatrixRef::row_major(&[0.0f32; 6], 2, 3).unwrap();
        assert!(all(&zero).iter().all(|n| n.is_zero()));
    }

    #[test]
    fn streams_of_squares_agree_with_matrices() {
        for entries in [
            vec![1e-23, 2.0, -3e5, 0.0, 1e-200],
            vec![1e-320; 3000],
            vec![f64::MAX; 5],
        ] {
            let mut s = Squares::default();
            entries.iter().for_each(|x| s.push(*x));
            let a = MatrixRef::row_major(&entries, 1, entries.len()).unwrap();
            for other in [
                frobenius(&a).unwrap(),
                entrywise(&[&a, &a], |p| 2.0 * p[0] - p[1]).unwrap_or(s.root()),
            ] {
                assert!((other.value().ln() - s.root().value().ln()).abs() < 1e-12);
                assert!(s.root().lo() <= other.hi() && other.lo() <= s.root().hi());
            }
        }
        let (x, bad) = ([1.0, 2.0], [0.0, f64::INFINITY]);
        let a = MatrixRef::row_major(&x, 2, 1).unwrap();
        let b = MatrixRef::row_major(&bad, 2, 1).unwrap();
        let (which, entry) = entrywise(&[&a, &b], |p| p[0]).unwrap_err();
        assert_eq!((which, entry.row), (1, 1));
        assert!(Squares::default().root().is_zero());
    }
}
