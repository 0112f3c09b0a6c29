//! All singular values of one matrix, by a full decomposition: the plain route every faster or
//! certified route is compared with.
//!
//! Start with [`singular_values`]. The values come scaled by a power of two, with one predicted absolute error for
//! all of them: an estimate, good for the large values and relatively poor for those near `u sigma_max`.
//! [`condition`](crate::linalg::condition::condition) proves the two extreme ones,
//! [`product`](crate::linalg::product) keeps the small ones of products, [`spectrum`](crate::linalg::spectrum) is
//! faster where that is accurate enough.
//!
//! ```
//! use isometer::linalg::{singular::singular_values, view::MatrixRef};
//!
//! let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
//! let s = singular_values(&a).unwrap();
//! let sigma: Vec<f64> = (0..2).map(|i| s.log(i).to_linear().unwrap()).collect();
//! assert!((sigma[0] * sigma[1] - 2.0).abs() < 1e-14); // |det A|
//! assert!((sigma[0].powi(2) + sigma[1].powi(2) - 30.0).abs() < 1e-13); // |A|_F^2
//! ```

use super::view::{MatrixRef, NonFinite};
use crate::scale::LogScale;

/// Why singular values could not be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SingularError {
    /// The matrix has no entries.
    #[error("a {rows} x {cols} matrix has no singular values")]
    Empty {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },
    /// An entry is NaN or infinite.
    #[error("the matrix holds {0}; singular values are undefined; find what wrote it")]
    NonFinite(NonFinite),
    /// The iteration did not converge (not seen on finite scaled input).
    #[error("the singular value iteration did not converge on a {rows} x {cols} matrix")]
    NoConvergence {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },
}

/// All singular values of a matrix, largest first, as `values[i] * 2^exponent`.
#[derive(Clone, Debug)]
pub struct SingularValues {
    /// Scaled values, non-increasing, `min(rows, cols)` of them.
    pub values: Vec<f64>,
    /// Power of two that scales them back.
    pub exponent: i64,
    /// Predicted absolute error of every value, in the scaled unit:
    /// `2 (m + n + 10) eps sigma_max` for the `m x n` matrix that was decomposed. The computed values
    /// are those of `A + E` with `|E| <= p(m, n) eps |A|` (Golub and Van Loan, Matrix
    /// Computations, section 8.6). Each of the `m + n` reflections of a bidiagonalisation costs a few
    /// roundings, hence the factor; the constant covers the final iteration, which dominates in
    /// small matrices. Not proved: `condition` proves.
    pub error: f64,
}

impl SingularValues {
    /// Value `i` as a logarithm.
    pub fn log(&self, i: usize) -> LogScale {
        LogScale::from_scaled(self.values[i], self.exponent).unwrap_or(LogScale::ZERO)
    }

    /// Values counted as non-zero: above `max(rows, cols) * u_format * sigma_max`.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::{element::ElementType, singular::singular_values, view::MatrixRef};
    /// let a = MatrixRef::row_major(&[1.0, 0.0, 0.0, 1e-9], 2, 2).unwrap();
    /// let s = singular_values(&a).unwrap();
    /// assert_eq!(s.numerical_rank(2, 2, ElementType::F64.unit_roundoff()), 2);
    /// assert_eq!(s.numerical_rank(2, 2, ElementType::F32.unit_roundoff()), 1);
    /// ```
    pub fn numerical_rank(&self, rows: usize, cols: usize, unit_roundoff: f64) -> usize {
        let top = self.values.first().copied().unwrap_or(0.0);
        let threshold = rank_threshold(rows, cols, unit_roundoff) * top;
        self.values.iter().filter(|&&s| s > threshold).count()
    }

    /// Stable rank `|A|_F^2 / |A|_2^2`; 0 for the zero matrix.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::{singular::singular_values, view::MatrixRef};
    /// let a = MatrixRef::row_major(&[2.0, 0.0, 0.0, 1.0], 2, 2).unwrap();
    /// assert!((singular_values(&a).unwrap().stable_rank() - 1.25).abs() < 1e-14); // (4 + 1) / 4
    /// ```
    pub fn stable_rank(&self) -> f64 {
        let top = self.values.first().copied().unwrap_or(0.0);
        if top == 0.0 {
            return 0.0;
        }
        self.values.iter().map(|s| (s / top).powi(2)).sum()
    }

    /// Effective rank `exp(H)` with `H` the entropy of `sigma_i / sum sigma`
    /// (Roy and Vetterli, EUSIPCO 2007); 0 for the zero matrix.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::{singular::singular_values, view::MatrixRef};
    /// let a = MatrixRef::row_major(&[5.0, 0.0, 0.0, 5.0], 2, 2).unwrap();
    /// assert!((singular_values(&a).unwrap().effective_rank() - 2.0).abs() < 1e-14);
    /// ```
    pub fn effective_rank(&self) -> f64 {
        let sum: f64 = self.values.iter().sum();
        if sum == 0.0 {
            return 0.0;
        }
        let entropy: f64 = self
            .values
            .iter()
            .filter(|&&s| s > 0.0)
            .map(|s| {
                let p = s / sum;
                -p * p.ln()
            })
            .sum();
        entropy.exp()
    }
}

/// All singular values by bidiagonalisation; NaN and infinities are refused before anything runs.
///
/// # Errors
/// [`SingularError`] on empty or non-finite input.
///
/// # Examples
/// ```
/// use isometer::linalg::{singular::singular_values, view::MatrixRef};
/// let a = MatrixRef::row_major(&[0.0, 3.0, 4.0, 0.0], 2, 2).unwrap();
/// let s = singular_values(&a).unwrap();
/// assert!((s.log(0).to_linear().unwrap() - 4.0).abs() < 1e-14);
/// assert!((s.log(1).to_linear().unwrap() - 3.0).abs() < 1e-14);
/// ```
pub fn singular_values(a: &MatrixRef<'_>) -> Result<SingularValues, SingularError> {
    let (rows, cols) = (a.rows(), a.cols());
    if rows == 0 || cols == 0 {
        return Err(SingularError::Empty { rows, cols });
    }
    let w = a.widen().map_err(SingularError::NonFinite)?;
    let all = w
        .mat
        .singular_values()
        .map_err(|_| SingularError::NoConvergence { rows, cols })?;
    let values: Vec<f64> = all.into_iter().step_by(w.multiplicity).collect();
    let top = values.first().copied().unwrap_or(0.0);
    let steps = (w.mat.nrows() + w.mat.ncols() + 10) as f64;
    Ok(SingularValues {
        error: 2.0 * steps * f64::EPSILON * top,
        exponent: w.exponent,
        values,
    })
}
/// Singular values below this share of the largest count as zero: `max(rows, cols)` times the
/// spacing of the stored numbers, but never above a half.
pub(super) fn rank_threshold(rows: usize, cols: usize, unit_roundoff: f64) -> f64 {
    (rows.max(cols) as f64 * 2.0 * unit_roundoff).min(0.5)
}
