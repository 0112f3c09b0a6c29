//! Quick estimates of the extreme singular values: Lanczos on `A A^T`, one factorisation, and
//! inverse Lanczos.

use super::dense;
use super::lanczos::{self, Stop};
use super::parallel;
use super::vectorised::vectorised;
use faer::Mat;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::lu::partial_pivoting::factor;

/// Estimates, each with its predicted absolute error.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// Largest singular value.
    pub largest: f64,
    /// Its predicted error: Lanczos residual and rounding.
    pub largest_error: f64,
    /// Smallest of the `n` singular values.
    pub smallest: f64,
    /// Its predicted error, about `n u sigma_max`: what any backward stable method commits.
    pub smallest_error: f64,
}

/// Extreme singular values of a tall matrix (`m >= n >= 1`) with entries of magnitude at most 1.
/// `None` if the iteration meets a non-finite number, which finite scaled input does not cause.
pub fn extremes(a: &Mat<f64>) -> Option<Estimate> {
    let (m, n) = (a.nrows(), a.ncols());
    // A tall matrix is reduced to its triangular factor, which has the same singular values.
    let reduced = (m > n).then(|| dense::qr_factor_lower(a.as_ref()));
    let square = reduced.as_ref().unwrap_or(a);
    // The iteration reads the matrix rounded to single precision, at half the memory traffic; its
    // vector is then judged by the matrix itself, where the rounding enters squared.
    let single = Mat::from_fn(n, n, |i, j| square[(i, j)] as f32);
    let stop = Stop {
        tolerance: 5e-6,
        second: f64::INFINITY,
        max_iterations: 400,
    };
    let top = lanczos::largest(n, &stop, |x, y| apply_outer_gram(&single, x, y))?;
    drop(single);
    let (theta, residual) = judge(square, &top.vector)?;
    let largest = theta.max(0.0).sqrt();
    let u = f64::EPSILON / 2.0;
    // the Rayleigh quotient is a lower bound off by residual^2/gap or residual, whichever is smaller
    let gap = top.second.map_or(theta, |(t, _)| theta - t);
    let off = (residual * residual / gap.max(f64::MIN_POSITIVE)).min(residual);
    let rounding = (m + n) as f64 * u * largest;
    let largest_error = off / largest.max(f64::MIN_POSITIVE) + rounding;
    let (smallest, iteration_error) = if largest == 0.0 {
        (0.0, 0.0)
    } else {
        match &reduced {
            Some(l) if vanishes(l) => (0.0, 0.0),
            Some(l) => smallest(n, |x, y| {
                y.copy_from_slice(x);
                dense::solve_lower(l, y);
                dense::solve_lower_transposed(l, y);
            })?,
            None => {
                let lu = Lu::new(a);
                if vanishes(&lu.factors) {
                    (0.0, 0.0)
                } else {
                    smallest(n, |x, y| lu.inverse_gram(x, y))?
                }
            }
        }
    };
    Some(Estimate {
        largest,
        largest_error,
        smallest,
        smallest_error: rounding + iteration_error,
    })
}

/// Smallest singular value and the error that the iteration leaves, from the inverse operator.
fn smallest(n: usize, inverse: impl FnMut(&[f64], &mut [f64])) -> Option<(f64, f64)> {
    let stop = Stop {
        tolerance: 1e-8,
        second: f64::INFINITY,
        max_iterations: 60,
    };
    let ritz = lanczos::largest(n, &stop, inverse)?;
    if !(ritz.theta > 0.0) {
        return None;
    }
    let s = 1.0 / ritz.theta.sqrt();
    Some((s, s * ritz.residual / ritz.theta))
}

/// Whether a pivot of a triangular factor is zero to all intents: the factor is singular, and
/// solves with it would overflow.
fn vanishes(triangle: &Mat<f64>) -> bool {
    (0..triangle.ncols()).any(|i| triangle[(i, i)].abs() < 1e-100)
}

/// `P A = L U`, both factors in one matrix as LAPACK stores them.
struct Lu {
    /// `L` strictly below the diagonal (its diagonal is 1), `U` on and above it.
    factors: Mat<f64>,
}

impl Lu {
    fn new(a: &Mat<f64>) -> Lu {
        let n = a.ncols();
        let mut factors = a.clone();
        let par = parallel::for_work(2.0 / 3.0 * (n as f64).powi(3));
        let mut forward = vec![0usize; n];
        let mut backward = vec![0usize; n];
        let scratch = factor::lu_in_place_scratch::<usize, f64>(n, n, par, Default::default());
        factor::lu_in_place(
            factors.as_mut(),
            &mut forward,
            &mut backward,
            par,
            MemStack::new(&mut MemBuffer::new(scratch)),
            Default::default(),
        );
        Lu { factors }
    }

    /// `y = A^-1 A^-T x`; the row permutation of the two solves cancels.
    fn inverse_gram(&self, x: &[f64], y: &mut [f64]) {
        y.copy_from_slice(x);
        solve_upper_transposed(&self.factors, y);
        solve_unit_lower_transposed(&self.factors, y);
        solve_unit_lower(&self.factors, y);
        solve_upper(&self.factors, y);
    }
}

vectorised! {
/// Solves `U^T y = x` in place; `U` is the upper triangle.
fn solve_upper_transposed(u: &Mat<f64>, x: &mut [f64]) -> () {
    for j in 0..x.len() {
        let col = &u.col_as_slice(j)[..=j];
        let (head, tail) = x.split_at_mut(j);
        tail[0] = (tail[0] - dense::dot_inline(&col[..j], head)) / col[j];
    }
}
}

vectorised! {
/// Solves `U y = x` in place.
fn solve_upper(u: &Mat<f64>, x: &mut [f64]) -> () {
    for j in (0..x.len()).rev() {
        let col = &u.col_as_slice(j)[..=j];
        let (head, tail) = x.split_at_mut(j);
        tail[0] /= col[j];
        dense::axpy_inline(-tail[0], &col[..j], head);
    }
}
}

vectorised! {
/// Solves `L y = x` in place; `L` is the strict lower triangle with a unit diagonal.
fn solve_unit_lower(l: &Mat<f64>, x: &mut [f64]) -> () {
    let n = x.len();
    for j in 0..n {
        let col = &l.col_as_slice(j)[j + 1..n];
        let (head, tail) = x.split_at_mut(j + 1);
        dense::axpy_inline(-head[j], col, tail);
    }
}
}

vectorised! {
/// Solves `L^T y = x` in place.
fn solve_unit_lower_transposed(l: &Mat<f64>, x: &mut [f64]) -> () {
    let n = x.len();
    for j in (0..n).rev() {
        let col = &l.col_as_slice(j)[j + 1..n];
        let (head, tail) = x.split_at_mut(j + 1);
        head[j] -= dense::dot_inline(col, tail);
    }
}
}

/// Rayleigh quotient of `A A^T` at the unit vector `v`, and the norm of its residual.
fn judge(a: &Mat<f64>, v: &[f64]) -> Option<(f64, f64)> {
    let mut w = vec![0.0; v.len()];
    for j in 0..a.ncols() {
        let c = a.col_as_slice(j);
        dense::axpy(dense::dot(c, v), c, &mut w);
    }
    let theta = dense::dot(&w, v);
    dense::axpy(-theta, v, &mut w);
    let residual = dense::norm2(&w);
    (theta.is_finite() && residual.is_finite()).then_some((theta, residual))
}

/// Entries handled at a time, in locals, so that the loops vectorise.
const LANES: usize = 16;

/// `c^T x` with a column in single precision, widened exactly.
#[inline(always)]
fn mixed_dot(c: &[f32], x: &[f64]) -> f64 {
    let mut acc = [0.0f64; LANES];
    let (cc, cr) = c.as_chunks::<LANES>();
    let (xc, xr) = x.as_chunks::<LANES>();
    for (c, x) in cc.iter().zip(xc) {
        let c = c.map(f64::from);
        for k in 0..LANES {
            acc[k] = c[k].mul_add(x[k], acc[k]);
        }
    }
    let tail: f64 = cr.iter().zip(xr).map(|(&c, x)| f64::from(c) * x).sum();
    acc.iter().sum::<f64>() + tail
}

/// `y += s c + t d`.
#[inline(always)]
fn mixed_axpys(s: f64, c: &[f32], t: f64, d: &[f32], y: &mut [f64]) {
    let (cc, cr) = c.as_chunks::<LANES>();
    let (dc, dr) = d.as_chunks::<LANES>();
    let (yc, yr) = y.as_chunks_mut::<LANES>();
    for ((c, d), y) in cc.iter().zip(dc).zip(yc) {
        let (c, d) = (c.map(f64::from), d.map(f64::from));
        let mut block = *y;
        for k in 0..LANES {
            block[k] = d[k].mul_add(t, c[k].mul_add(s, block[k]));
        }
        *y = block;
    }
    for ((&c, &d), y) in cr.iter().zip(dr).zip(yr) {
        *y = f64::from(d).mul_add(t, f64::from(c).mul_add(s, *y));
    }
}

vectorised! {
/// `y = A A^T x` in one pass over the columns, two at a time, each used twice while it is in cache.
fn apply_outer_gram(a: &Mat<f32>, x: &[f64], y: &mut [f64]) -> () {
    let (m, n) = (x.len(), a.ncols());
    y.fill(0.0);
    for j in (0..n).step_by(2) {
        let c = &a.col_as_slice(j)[..m];
        // an odd last column is paired with itself, with weight zero
        let d = if j + 1 < n { &a.col_as_slice(j + 1)[..m] } else { c };
        let t = if j + 1 < n { mixed_dot(d, x) } else { 0.0 };
        mixed_axpys(mixed_dot(c, x), c, t, d, y);
    }
}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};

    proptest! {
        /// The quick route against the plain one, a full decomposition.
        #[test]
        fn agrees_with_the_decomposition(m in 1usize..60, n in 1usize..60, seed: u64, graded in 0i32..12) {
            let (m, n) = (m.max(n), m.min(n));
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let a = Mat::from_fn(m, n, |_, j| {
                (rng.random::<f64>() - 0.5) * 2f64.powi(-(graded * j as i32) / n as i32)
            });
            let e = extremes(&a).unwrap();
            let s = a.singular_values().unwrap();
            let rounding = 10.0 * (m + n) as f64 * f64::EPSILON * s[0];
            prop_assert!((e.largest - s[0]).abs() <= e.largest_error + rounding);
            prop_assert!((e.smallest - s[n - 1]).abs() <= e.smallest_error + rounding);
            prop_assert!(e.smallest_error <= 1e-6 * s[n - 1] + rounding);
        }
    }

    #[test]
    fn an_exactly_singular_factor_is_an_estimate_of_zero() {
        // a zero column leaves the triangular factor with zero pivots, where solves would overflow
        for m in [40, 45] {
            let a = Mat::from_fn(m, 40, |i, j| {
                if j == 0 {
                    0.0
                } else {
                    (((i * 7 + j * 13).pow(2)) % 101) as f64 / 128.0
                }
            });
            let e = extremes(&a).unwrap();
            assert_eq!(e.smallest, 0.0);
            assert!(e.smallest_error > 0.0 && e.smallest_error < 1e-12);
        }
    }
}
