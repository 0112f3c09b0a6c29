//! How many singular values lie below a number: exact inertia.

use super::{IntegerMatrix, TooMuchWork, split};
use dashu_int::ops::Abs;
use dashu_int::{IBig, Sign};

/// How many of the `min(rows, cols)` singular values of a matrix lie below, at and above a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SingularValueCount {
    /// Singular values smaller than the number.
    pub below: usize,
    /// Singular values equal to it, exactly.
    pub equal: usize,
    /// Singular values larger than it.
    pub above: usize,
}

impl IntegerMatrix {
    /// Singular values of the stored matrix below, at and above `s * 2^exponent`.
    ///
    /// Theorem: inertia-counts-singular-values. The signature of `A^T A - s^2 I`, an integer matrix
    /// after scaling, counts them (Sylvester's law of inertia); it is found by symmetric
    /// fraction-free elimination, so the answer is right even where `s` is a singular value.
    /// A negative `s` counts as below everything, an infinite one as above.
    ///
    /// # Errors
    /// [`TooMuchWork`] if the estimate exceeds `budget`. The work is about `n^3/3` products of
    /// integers of up to `n (2 b + log2 n)` bits, for entries of `b` bits.
    ///
    /// # Panics
    /// If `s` is NaN.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::exact::{DEFAULT_BUDGET, IntegerMatrix};
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap(); // 0.36597 and 5.46499
    /// let a = IntegerMatrix::new(&a).unwrap();
    /// assert_eq!(a.count_below(0.36596, 0, DEFAULT_BUDGET).unwrap().below, 0);
    /// assert_eq!(a.count_below(0.36597, 0, DEFAULT_BUDGET).unwrap().below, 1);
    /// ```
    pub fn count_below(
        &self,
        s: f64,
        exponent: i64,
        budget: u64,
    ) -> Result<SingularValueCount, TooMuchWork> {
        assert!(!s.is_nan(), "a threshold must be a number");
        let n = self.rows.min(self.cols);
        let all = n / self.multiplicity;
        if s < 0.0 || s == f64::INFINITY {
            let (below, above) = if s < 0.0 { (0, all) } else { (all, 0) };
            return Ok(SingularValueCount {
                below,
                equal: 0,
                above,
            });
        }
        // A = M 2^e, s = t 2^f: the signs are those of M^T M 2^(2e - g) - t^2 2^(2f - g).
        let (t, f) = if s == 0.0 {
            (0, self.exponent)
        } else {
            split(s)
        };
        let f = if s == 0.0 { f } else { f + exponent };
        let common = self.exponent.min(f);
        let lift = |e: i64| 2 * (e - common) as u64;
        let bits = 2 * self.bits() as u64 + lift(self.exponent) + u64::from(n.max(1).ilog2());
        let words = n as f64 * (bits.max(lift(f) + 106) as f64 / 64.0 + 1.0);
        // Minors grow linearly, so the mean square length is a third; two products, one division.
        let work = (n as f64).powi(3) / 3.0 * (40.0 + words * words);
        TooMuchWork::check(work, budget)?;

        let mut gram = self.gram().entries;
        let up = lift(self.exponent) as usize;
        if up > 0 {
            for x in &mut gram {
                *x = std::mem::take(x) << up;
            }
        }
        let square = IBig::from(i128::from(t) * i128::from(t)) << lift(f) as usize;
        for i in 0..n {
            gram[i * n + i] -= &square;
        }
        let (negative, zero, positive) = inertia(gram, n);
        Ok(SingularValueCount {
            below: negative / self.multiplicity,
            equal: zero / self.multiplicity,
            above: positive / self.multiplicity,
        })
    }

    /// Whether the largest singular value lies in `[lo, hi] * 2^exponent`, decided exactly.
    ///
    /// # Errors
    /// [`TooMuchWork`] if the estimate exceeds `budget`.
    ///
    /// # Panics
    /// If a limit is NaN.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::exact::{DEFAULT_BUDGET, IntegerMatrix};
    /// use isometer::linalg::view::MatrixRef;
    /// let a = IntegerMatrix::new(&MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap()).unwrap();
    /// assert!(a.proves_sigma_max_in(5.46498, 5.46499, 0, DEFAULT_BUDGET).unwrap());
    /// assert!(!a.proves_sigma_max_in(5.46499, 5.46500, 0, DEFAULT_BUDGET).unwrap());
    /// ```
    pub fn proves_sigma_max_in(
        &self,
        lo: f64,
        hi: f64,
        exponent: i64,
        budget: u64,
    ) -> Result<bool, TooMuchWork> {
        let at_lo = self.count_below(lo, exponent, budget)?;
        if at_lo.equal + at_lo.above == 0 {
            return Ok(false);
        }
        Ok(self.count_below(hi, exponent, budget)?.above == 0)
    }

    /// Whether the smallest of the `min(rows, cols)` singular values lies in
    /// `[lo, hi] * 2^exponent`, decided exactly.
    ///
    /// # Errors
    /// [`TooMuchWork`] if the estimate exceeds `budget`.
    ///
    /// # Panics
    /// If a limit is NaN.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::exact::{DEFAULT_BUDGET, IntegerMatrix};
    /// use isometer::linalg::view::MatrixRef;
    /// let a = IntegerMatrix::new(&MatrixRef::row_major(&[3.0, 0.0, 0.0, 4.0], 2, 2).unwrap()).unwrap();
    /// assert!(a.proves_sigma_min_in(3.0, 3.0, 0, DEFAULT_BUDGET).unwrap()); // exactly 3
    /// ```
    pub fn proves_sigma_min_in(
        &self,
        lo: f64,
        hi: f64,
        exponent: i64,
        budget: u64,
    ) -> Result<bool, TooMuchWork> {
        if self.count_below(lo, exponent, budget)?.below > 0 {
            return Ok(false);
        }
        let at_hi = self.count_below(hi, exponent, budget)?;
        Ok(at_hi.below + at_hi.equal > 0)
    }
}

/// Negative, zero and positive eigenvalues of a symmetric integer matrix (row-major, order `n`).
///
/// Theorem: fraction-free-elimination. After `k` pivots each remaining entry is the minor of order
/// `k + 1` that borders the leading block, so every division by the previous pivot is exact. Where every remaining diagonal entry is zero but some `a_ij` is not, adding row and
/// column `j` to row and column `i` (a congruence) makes a diagonal entry `2 a_ij`.
fn inertia(mut a: Vec<IBig>, n: usize) -> (usize, usize, usize) {
    let mut count = (0, 0, 0);
    let mut previous = IBig::ONE;
    for k in 0..n {
        let Some(pivot) = diagonal_pivot(&mut a, n, k) else {
            count.1 = n - k;
            break;
        };
        for t in 0..n {
            a.swap(k * n + t, pivot * n + t);
        }
        for t in 0..n {
            a.swap(t * n + k, t * n + pivot);
        }
        let (head, tail) = a.split_at_mut((k + 1) * n);
        let pivot_row = &head[k * n..];
        let d = &pivot_row[k];
        for (i, row) in (k + 1..n).zip(tail.chunks_exact_mut(n)) {
            for j in k + 1..=i {
                let x = d * &row[j] - &pivot_row[i] * &pivot_row[j];
                row[j] = x / &previous;
            }
        }
        // The upper triangle mirrors the lower one.
        for i in k + 1..n {
            for j in k + 1..i {
                a[j * n + i] = a[i * n + j].clone();
            }
        }
        let d = a[k * n + k].clone();
        if (d.sign() == Sign::Negative) == (previous.sign() == Sign::Negative) {
            count.2 += 1;
        } else {
            count.0 += 1;
        }
        previous = d;
    }
    count
}

/// A diagonal position `>= k` with a non-zero entry, made by a congruence if need be; `None` if the
/// remaining matrix is zero.
fn diagonal_pivot(a: &mut [IBig], n: usize, k: usize) -> Option<usize> {
    let smallest = (k..n)
        .filter(|&i| !a[i * n + i].is_zero())
        .min_by_key(|&i| (&a[i * n + i]).abs());
    if smallest.is_some() {
        return smallest;
    }
    let (i, j) = (k..n)
        .flat_map(|i| (k..i).map(move |j| (i, j)))
        .find(|&(i, j)| !a[i * n + j].is_zero())?;
    for t in k..n {
        let x = a[j * n + t].clone();
        a[i * n + t] += x;
    }
    for t in k..n {
        let x = a[t * n + j].clone();
        a[t * n + i] += x;
    }
    Some(i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::exact::DEFAULT_BUDGET;
    use crate::linalg::view::MatrixRef;

    fn integers(data: &[f64], rows: usize, cols: usize) -> IntegerMatrix {
        IntegerMatrix::new(&MatrixRef::row_major(data, rows, cols).unwrap()).unwrap()
    }

    fn count(a: &IntegerMatrix, s: f64) -> (usize, usize, usize) {
        let c = a.count_below(s, 0, DEFAULT_BUDGET).unwrap();
        (c.below, c.equal, c.above)
    }

    /// Theorem: inertia-counts-singular-values.
    #[test]
    fn thresholds_at_singular_values_are_recognised() {
        let a = integers(&[3.0, 0.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0, 2.0], 3, 3);
        assert_eq!(count(&a, 2.0), (0, 2, 1));
        assert_eq!(count(&a, 3.0), (2, 1, 0));
        assert_eq!(count(&a, 2f64.next_up()), (2, 0, 1));
        assert_eq!(count(&a, 0.0), (0, 0, 3));
        assert_eq!(count(&a, f64::INFINITY), (3, 0, 0));
        assert_eq!(count(&a, -1.0), (0, 0, 3));
        // 2^-1080 is below the range of f64.
        let tiny = a.count_below(1.0, -1080, DEFAULT_BUDGET).unwrap();
        assert_eq!(tiny.above, 3);
    }

    /// Theorem: fraction-free-elimination.
    #[test]
    fn zero_diagonals_are_handled() {
        // Singular values of [[0,1],[1,0]]: 1, 1; A^T A - I = 0.
        assert_eq!(
            count(&integers(&[0.0, 1.0, 1.0, 0.0], 2, 2), 1.0),
            (0, 2, 0)
        );
        let off = |x: i32| IBig::from(x);
        let a = [0, 1, 1, 1, 0, 1, 1, 1, 0].map(off).to_vec();
        // Eigenvalues 2, -1, -1.
        assert_eq!(inertia(a, 3), (2, 0, 1));
        // [[0,1,0],[1,0,0],[0,0,0]]: 1, -1, 0.
        let b = [0, 1, 0, 1, 0, 0, 0, 0, 0].map(off).to_vec();
        assert_eq!(inertia(b, 3), (1, 1, 1));
        // Two hyperbolic planes.
        let c = [0, 0, 0, 5, 0, 0, -7, 0, 0, -7, 0, 0, 5, 0, 0, 0]
            .map(off)
            .to_vec();
        assert_eq!(inertia(c, 4), (2, 0, 2));
    }

    /// Theorem: inertia-counts-singular-values.
    #[test]
    fn wrong_enclosures_are_refuted() {
        // Golden ratio and its inverse.
        let a = integers(&[1.0, 1.0, 1.0, 0.0], 2, 2);
        let phi = (1.0 + 5f64.sqrt()) / 2.0;
        let ask_max = |lo, hi| a.proves_sigma_max_in(lo, hi, 0, DEFAULT_BUDGET).unwrap();
        let ask_min = |lo, hi| a.proves_sigma_min_in(lo, hi, 0, DEFAULT_BUDGET).unwrap();
        assert!(ask_max(phi.next_down(), phi.next_up()));
        assert!(!ask_max(phi + 1e-14, phi + 2e-14) && !ask_max(1.0, phi - 1e-14));
        assert!(ask_min(1.0 / phi - 1e-15, 1.0 / phi + 1e-15));
        assert!(!ask_min(0.0, 1.0 / phi - 1e-14) && !ask_min(1.0 / phi + 1e-14, 2.0));
    }

    #[test]
    fn complex_values_count_once() {
        // diag(3i, 1 + i): singular values 3 and sqrt 2.
        let data = [[0.0, 3.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]];
        let a = IntegerMatrix::new(&MatrixRef::row_major(&data, 2, 2).unwrap()).unwrap();
        assert_eq!(count(&a, 3.0), (1, 1, 0));
        assert_eq!(count(&a, 1.5), (1, 0, 1));
    }

    #[test]
    fn a_budget_is_kept() {
        let a = integers(&[1.0, 1e-300, 1e300, 1.0], 2, 2);
        let refusal = a.count_below(1.0, 0, 1).unwrap_err();
        assert!(refusal.operations > 1 && refusal.to_string().contains("limit"));
        assert_eq!(count(&a, 1.0), (1, 0, 1));
    }
}
