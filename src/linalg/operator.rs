//! Linear maps that are given by their products, not by their entries.
//!
//! A map too large to be written down (a convolution, a composition of layers) is known by `A x` and `A^T y`. A
//! type that can do both, and bound its own rounding, is a [`LinearOperator`];
//! [`operator_norm`](crate::bounds::operator::operator_norm) brackets its norm. [`StoredMatrix`] is the plain case.
//!
//! ```
//! use isometer::linalg::operator::{LinearOperator, StoredMatrix};
//! use isometer::linalg::view::MatrixRef;
//!
//! let a = StoredMatrix::new(MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap()).unwrap();
//! let mut y = [0.0; 2];
//! a.apply(&[1.0, 1.0], &mut y);
//! assert_eq!(y, [3.0, 7.0]);
//! a.apply_transposed(&[1.0, 1.0], &mut y);
//! assert_eq!(y, [4.0, 6.0]);
//! ```

use super::dense;
use super::norms;
use super::rounding::{down, gamma, up};
use super::view::{MatrixRef, NonFinite};
use rayon::prelude::*;

/// A real `rows x cols` matrix `A` seen through products with it and with its transpose.
pub trait LinearOperator {
    /// Length of `A x`.
    fn rows(&self) -> usize;
    /// Length of `x`.
    fn cols(&self) -> usize;
    /// `y = A x`; `y` is overwritten.
    fn apply(&self, x: &[f64], y: &mut [f64]);
    /// `x = A^T y`; `x` is overwritten.
    fn apply_transposed(&self, y: &[f64], x: &mut [f64]);
    /// A bound `e` with `|fl(A x) - A x| <= e |x|` for every `x`, and the same for the transpose.
    fn rounding(&self) -> f64;
}

/// Limits of the Euclidean norm of a vector of moderate entries, rounding included.
///
/// Sums of 1024 squares in sixteen lanes, then the sum of those: an addend passes at most
/// `64 + 16` additions inside a chunk and one for each chunk, which is what its rounding amounts to
/// (the proof of theorem: dot-product-error counts additions on the way to the root).
pub(crate) fn norm_limits(x: &[f64]) -> (f64, f64) {
    let mut sum = 0.0;
    let mut chunks = 0;
    for chunk in x.chunks(1024) {
        sum += dense::dot(chunk, chunk);
        chunks += 1;
    }
    let relative = gamma(chunks + 84);
    // squares below the normal range are charged with an absolute term
    let hi = up((sum * (1.0 + 2.0 * relative) + 1e-290).sqrt());
    let lo = down((sum * (1.0 - relative) - 1e-290).max(0.0).sqrt());
    (lo, hi)
}

/// Proved limits of `|A x| / |x|` for a vector that is not zero: the first is a lower bound of the
/// largest singular value, the second, where `cols <= rows`, an upper bound of the smallest.
pub(crate) fn quotient(op: &impl LinearOperator, x: &[f64], transposed: bool) -> (f64, f64) {
    let mut y = vec![0.0; if transposed { op.cols() } else { op.rows() }];
    if transposed {
        op.apply_transposed(x, &mut y);
    } else {
        op.apply(x, &mut y);
    }
    let (x_lo, x_hi) = norm_limits(x);
    let (y_lo, y_hi) = norm_limits(&y);
    if !(x_lo > 0.0) {
        return (0.0, f64::INFINITY);
    }
    let e = op.rounding();
    let lo = down(down(y_lo / x_hi) - e);
    let hi = up(y_hi / x_lo + e);
    (lo, if hi.is_nan() { f64::INFINITY } else { hi })
}

/// A stored real matrix as an operator: lines are widened as they are met, so that no second copy is made.
#[derive(Clone, Copy, Debug)]
pub struct StoredMatrix<'a> {
    matrix: MatrixRef<'a>,
    rounding: f64,
}

impl<'a> StoredMatrix<'a> {
    /// Takes the matrix as it is stored.
    ///
    /// # Errors
    /// The first entry that is NaN or infinite.
    ///
    /// # Panics
    /// If the entries are complex.
    pub fn new(matrix: MatrixRef<'a>) -> Result<StoredMatrix<'a>, NonFinite> {
        assert_eq!(matrix.components(), 1, "a real matrix");
        // every entry of A x is a sum of at most max(m, n) products, in any order. Theorem: dot-product-error.
        let norm = norms::frobenius(&matrix)?;
        let norm = norm.to_linear().map_or(f64::INFINITY, |(_, _, hi)| hi);
        let terms = matrix.rows().max(matrix.cols());
        Ok(StoredMatrix {
            matrix,
            rounding: up(gamma(terms + 1) * norm),
        })
    }
}

impl LinearOperator for StoredMatrix<'_> {
    fn rows(&self) -> usize {
        self.matrix.rows()
    }

    fn cols(&self) -> usize {
        self.matrix.cols()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) {
        multiply(&self.matrix, x, y);
    }

    fn apply_transposed(&self, y: &[f64], x: &mut [f64]) {
        multiply(&self.matrix.transposed(), y, x);
    }

    fn rounding(&self) -> f64 {
        self.rounding
    }
}

/// Lines taken by one thread at a time.
const SHARE: usize = 256;

/// `y = A x`, by whichever lines lie together in memory.
fn multiply(a: &MatrixRef<'_>, x: &[f64], y: &mut [f64]) {
    let by_rows = a.rows_are_contiguous();
    if by_rows {
        y.par_chunks_mut(SHARE).enumerate().for_each(|(k, part)| {
            let mut line = vec![0.0; a.cols()];
            for (i, y) in part.iter_mut().enumerate() {
                a.decode_line(true, k * SHARE + i, &mut line);
                *y = dense::dot(&line, x);
            }
        });
        return;
    }
    // a fixed number of partial sums, so that the result does not depend on the number of threads
    let share = a.cols().div_ceil(SHARES).max(1);
    let partial: Vec<Vec<f64>> = (0..a.cols())
        .step_by(share)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|start| {
            let mut sum = vec![0.0; a.rows()];
            let mut line = vec![0.0; a.rows()];
            let end = (start + share).min(a.cols());
            for (k, x) in x[start..end].iter().enumerate() {
                a.decode_line(false, start + k, &mut line);
                dense::axpy(*x, &line, &mut sum);
            }
            sum
        })
        .collect();
    y.fill(0.0);
    for sum in &partial {
        dense::axpy(1.0, sum, y);
    }
}

/// Partial sums of a product by columns.
const SHARES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_matrices_multiply_like_dense_ones() {
        let (m, n) = (600, 37);
        let data: Vec<f32> = (0..m * n)
            .map(|k| ((k * 7919) % 101) as f32 - 50.0)
            .collect();
        let a = MatrixRef::row_major(&data, m, n).unwrap();
        let x: Vec<f64> = (0..n).map(|j| (j % 5) as f64 - 2.0).collect();
        let z: Vec<f64> = (0..m).map(|i| (i % 7) as f64 - 3.0).collect();
        for (view, flipped) in [(a, false), (a.transposed(), true)] {
            let op = StoredMatrix::new(view).unwrap();
            let (mut forth, mut back) = (vec![1.0; m], vec![1.0; n]);
            if flipped {
                op.apply_transposed(&x, &mut forth);
                op.apply(&z, &mut back);
            } else {
                op.apply(&x, &mut forth);
                op.apply_transposed(&z, &mut back);
            }
            // integers: exact in any order
            for (i, y) in forth.iter().enumerate() {
                let exact: f64 = (0..n).map(|j| a.get(i, j).0 * x[j]).sum();
                assert_eq!(*y, exact);
            }
            for (j, y) in back.iter().enumerate() {
                let exact: f64 = (0..m).map(|i| a.get(i, j).0 * z[i]).sum();
                assert_eq!(*y, exact);
            }
        }
    }
}
