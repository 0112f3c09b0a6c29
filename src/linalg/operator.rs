//! Linear maps that are given by their products, not by their entries.

use super::dense;
use super::rounding::{down, gamma, up};

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
