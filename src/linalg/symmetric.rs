//! Enclosures of the extreme eigenvalues of a symmetric matrix, signs included.
//!
//! *Is this Hessian positive definite, and how stiff is it?* Singular values forget signs; [`extreme_eigenvalues`]
//! does not. Certified, or an exact point where the matrix is diagonal.
//!
//! ```
//! use isometer::linalg::{symmetric::extreme_eigenvalues, view::MatrixRef};
//!
//! let saddle = MatrixRef::row_major(&[1.0, 2.0, 2.0, 1.0], 2, 2).unwrap(); // eigenvalues -1 and 3
//! let e = extreme_eigenvalues(&saddle).unwrap();
//! assert!(e.smallest.lo <= -1.0 && -1.0 <= e.smallest.hi && e.smallest.hi < 0.0);
//! assert!(e.largest.lo <= 3.0 && 3.0 <= e.largest.hi);
//! ```

use super::condition::{ConditionError, ConditionOptions, condition};
use super::norms;
use super::view::{MatrixRef, NonFinite};
use crate::scale::{Certainty, exponent_of, ldexp};

/// A real number of either sign with its limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signed {
    /// The value.
    pub value: f64,
    /// Lower limit.
    pub lo: f64,
    /// Upper limit.
    pub hi: f64,
}

impl Signed {
    /// A number known exactly.
    pub fn point(x: f64) -> Signed {
        Signed {
            value: x,
            lo: x,
            hi: x,
        }
    }
}

/// Smallest and largest eigenvalue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extremes {
    /// The smallest, which may be negative.
    pub smallest: Signed,
    /// The largest.
    pub largest: Signed,
    /// What the limits are worth.
    pub certainty: Certainty,
}

/// Why there are no eigenvalues.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SymmetricError {
    /// Not square.
    #[error(
        "a {rows} x {cols} matrix has no eigenvalues; of a least-squares design matrix the Hessian is its Gram matrix (--gram)"
    )]
    NotSquare {
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
    },
    /// Complex entries.
    #[error("the matrix is complex; a Hessian is real: save its real part")]
    Complex,
    /// NaN or infinite.
    #[error("the matrix holds {0}; find what wrote it")]
    NonFinite(NonFinite),
    /// Further from symmetric than rounding explains.
    #[error(
        "not symmetric: entry [{row}, {col}] is {above} and [{col}, {row}] is {below}; of a least-squares design matrix the Hessian is its Gram matrix (--gram)"
    )]
    NotSymmetric {
        /// Row of the entry above the diagonal.
        row: usize,
        /// Its column.
        col: usize,
        /// The entry.
        above: f64,
        /// Its mirror image.
        below: f64,
    },
    /// No singular values.
    #[error(transparent)]
    Condition(#[from] ConditionError),
}

/// The extreme eigenvalues of the symmetric part of a matrix that is symmetric up to rounding: mirror images
/// may differ by `2 n u max|a_ij|`, as when each was a rounded inner product of `n` terms.
///
/// Singular values of `A + c` with `c >= |A|` are `lambda + c`, which tells signs; where they prove `A` definite, its own
/// singular values are the sharper limits. Theorem: shifted-eigenvalues.
///
/// # Errors
/// [`SymmetricError`].
///
/// # Examples
/// ```
/// use isometer::linalg::{symmetric::{SymmetricError, extreme_eigenvalues}, view::MatrixRef};
/// let a = MatrixRef::row_major(&[2.0, -1.0, -1.0, 2.0], 2, 2).unwrap();
/// let e = extreme_eigenvalues(&a).unwrap();
/// assert!(e.smallest.lo > 0.0 && (e.smallest.value - 1.0).abs() < 1e-12); // definite: proved
/// let b = MatrixRef::row_major(&[0.0, 1.0, 2.0, 0.0], 2, 2).unwrap();
/// assert!(matches!(extreme_eigenvalues(&b), Err(SymmetricError::NotSymmetric { row: 0, col: 1, .. })));
/// ```
pub fn extreme_eigenvalues(a: &MatrixRef<'_>) -> Result<Extremes, SymmetricError> {
    let (rows, cols) = (a.rows(), a.cols());
    if rows != cols {
        return Err(SymmetricError::NotSquare { rows, cols });
    }
    if a.element_type().is_complex() {
        return Err(SymmetricError::Complex);
    }
    if let Some(bad) = a.first_nonfinite() {
        return Err(SymmetricError::NonFinite(bad));
    }
    let n = rows;
    let top = a.max_component();
    if n > 0 && top == 0.0 {
        return Ok(Extremes {
            smallest: Signed::point(0.0),
            largest: Signed::point(0.0),
            certainty: Certainty::Exact,
        });
    }
    let e = if n == 0 {
        0
    } else {
        i64::from(exponent_of(top)) + 1
    };
    let at = |i: usize, j: usize| ldexp(a.get(i, j).0, -e);
    let tolerance = 2.0 * n as f64 * a.element_type().unit_roundoff();
    let mut scaled = vec![0.0; n * n];
    let mut moved = 0.0f64;
    for i in 0..n {
        scaled[i * n + i] = at(i, i);
        for j in i + 1..n {
            let (above, below) = (at(i, j), at(j, i));
            // the largest entry is below 1 in these units
            if (above - below).abs() > tolerance {
                return Err(SymmetricError::NotSymmetric {
                    row: i,
                    col: j,
                    above: a.get(i, j).0,
                    below: a.get(j, i).0,
                });
            }
            if above != below {
                moved = f64::EPSILON;
            }
            let mean = 0.5 * above + 0.5 * below;
            scaled[i * n + j] = mean;
            scaled[j * n + i] = mean;
        }
    }
    // rounding of means, and entries that underflowed in scaling
    let off = n as f64 * (moved + 1e-300);
    let plain = MatrixRef::row_major(&scaled, n, n).map_err(|_| too_short(n))?;
    let (_, _, bound) = norms::inf(&plain)
        .map_err(SymmetricError::NonFinite)?
        .to_linear()
        .unwrap_or((0.0, 0.0, n as f64));
    let shift = ldexp(1.0, i64::from(exponent_of(bound)) + 1);
    let own = condition(&plain, &ConditionOptions::default())?;
    let mut shifted = scaled.clone();
    for i in 0..n {
        shifted[i * n + i] += shift;
    }
    let view = MatrixRef::row_major(&shifted, n, n).map_err(|_| too_short(n))?;
    let moved = condition(&view, &ConditionOptions::default())?;
    // each diagonal entry of at most 2 shift was rounded once
    let slack = off + 2.0 * shift * f64::EPSILON;
    let back = |m: &super::condition::Measured| {
        let (value, lo, hi) = m.enclosure.to_linear().unwrap_or((shift, 0.0, 4.0 * shift));
        Signed {
            value: value - shift,
            lo: (lo - shift - slack).next_down(),
            hi: (hi - shift + slack).next_up(),
        }
    };
    let direct = |m: &super::condition::Measured, other: Signed| match m.enclosure.to_linear() {
        Some((value, lo, hi)) => Signed {
            value,
            lo: (lo - off).max(other.lo),
            hi: hi + off,
        },
        None => other,
    };
    let (mut smallest, mut largest) = (back(&moved.sigma_min), back(&moved.sigma_max));
    let mut certainty = weakest(moved.sigma_min.certainty, moved.sigma_max.certainty);
    if smallest.lo > 0.0 {
        smallest = direct(&own.sigma_min, smallest);
        largest = direct(&own.sigma_max, largest);
        certainty = weakest(
            certainty,
            weakest(own.sigma_min.certainty, own.sigma_max.certainty),
        );
    }
    let unscale = |s: Signed| Signed {
        value: ldexp(s.value, e),
        lo: ldexp(s.lo, e).next_down(),
        hi: ldexp(s.hi, e).next_up(),
    };
    Ok(Extremes {
        smallest: unscale(smallest),
        largest: unscale(largest),
        certainty,
    })
}

fn too_short(n: usize) -> SymmetricError {
    SymmetricError::NotSquare { rows: n, cols: n }
}

/// `Certified` only if both are; an exact enclosure counts as one.
fn weakest(a: Certainty, b: Certainty) -> Certainty {
    let proved = |c: Certainty| matches!(c, Certainty::Certified | Certainty::Exact);
    match (proved(a), proved(b)) {
        (true, true) => Certainty::Certified,
        (false, _) => a,
        (_, false) => b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(x: &[f64], n: usize) -> Result<Extremes, SymmetricError> {
        extreme_eigenvalues(&MatrixRef::row_major(x, n, n).unwrap())
    }

    /// Theorem: shifted-eigenvalues.
    #[test]
    fn signs_are_told_apart() {
        for (x, low, high) in [
            ([2.0, 1.0, 1.0, 2.0], 1.0, 3.0),
            ([0.0, 2.0, 2.0, 0.0], -2.0, 2.0),
            ([-5.0, 0.0, 0.0, -1.0], -5.0, -1.0),
            ([1e-9, 0.0, 0.0, 1.0], 1e-9, 1.0),
            ([1e200, 0.0, 0.0, 3e200], 1e200, 3e200),
        ] {
            let e = of(&x, 2).unwrap();
            for (s, truth) in [(e.smallest, low), (e.largest, high)] {
                assert!(s.lo <= truth && truth <= s.hi, "{s:?} misses {truth}");
                assert!(s.hi - s.lo <= 1e-14 * high.abs().max(-low), "{s:?} is wide");
            }
            assert_eq!(e.certainty, Certainty::Certified);
        }
        // definite: relative accuracy in the smallest too
        let s = of(&[1e-9, 0.0, 0.0, 1.0], 2).unwrap().smallest;
        assert!(s.hi - s.lo < 1e-20, "{s:?}");
    }

    #[test]
    fn what_is_no_hessian_is_refused() {
        assert!(matches!(
            of(&[1.0, 2.0, 3.0, 4.0], 2),
            Err(SymmetricError::NotSymmetric { row: 0, col: 1, .. })
        ));
        let wide = MatrixRef::row_major(&[1.0, 2.0], 1, 2).unwrap();
        assert!(extreme_eigenvalues(&wide).is_err());
        assert!(of(&[f64::NAN], 1).is_err());
        // an asymmetry of one rounding is not held against the matrix
        let almost = [1.0, 0.1, 0.1 + f64::EPSILON / 16.0, 1.0];
        assert!(of(&almost, 2).unwrap().smallest.lo > 0.89);
        assert_eq!(of(&[0.0; 4], 2).unwrap().largest, Signed::point(0.0));
    }
}
