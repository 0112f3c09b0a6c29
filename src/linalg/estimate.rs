//! Quick estimates of the extreme singular values: Lanczos on `A^T A`, one factorisation, and
//! inverse Lanczos.

use super::dense;
use super::lanczos::{self, Stop};
use super::vectorised::vectorised;
use faer::Mat;

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
    let stop = Stop {
        tolerance: 1e-6,
        second: f64::INFINITY,
        max_iterations: 400,
    };
    let mut scratch = vec![0.0; STRIP];
    let top = lanczos::largest(n, &stop, |x, y| apply_gram(a, x, y, &mut scratch))?;
    let largest = top.theta.max(0.0).sqrt();
    let u = f64::EPSILON / 2.0;
    // the Ritz value is a lower bound off by residual^2/gap or residual, whichever is smaller
    let gap = top.second.map_or(top.theta, |(t, _)| top.theta - t);
    let off = (top.residual * top.residual / gap.max(f64::MIN_POSITIVE)).min(top.residual);
    let rounding = (m + n) as f64 * u * largest;
    let largest_error = off / largest.max(f64::MIN_POSITIVE) + rounding;
    let smallest = if largest == 0.0 {
        Some((0.0, 0.0))
    } else {
        smallest(a, largest)
    };
    let (smallest, iteration_error) = smallest?;
    Some(Estimate {
        largest,
        largest_error,
        smallest,
        smallest_error: rounding + iteration_error,
    })
}

/// Smallest singular value through one factorisation: LU for square matrices, QR for tall ones.
fn smallest(a: &Mat<f64>, largest: f64) -> Option<(f64, f64)> {
    let n = a.ncols();
    let stop = Stop {
        tolerance: 1e-8,
        second: f64::INFINITY,
        max_iterations: 60,
    };
    let floor = f64::EPSILON * largest * 1e-3;
    let theta = if a.nrows() == n {
        let lu = Lu::new(a, floor);
        lanczos::largest(n, &stop, |x, y| lu.inverse_gram(x, y))
    } else {
        let mut l = dense::qr_factor_lower(a.as_ref());
        for i in 0..n {
            l[(i, i)] = away_from_zero(l[(i, i)], floor);
        }
        lanczos::largest(n, &stop, |x, y| {
            y.copy_from_slice(x);
            dense::solve_lower(&l, y);
            dense::solve_lower_transposed(&l, y);
        })
    };
    let ritz = theta?;
    if !(ritz.theta > 0.0) {
        return None;
    }
    let s = 1.0 / ritz.theta.sqrt();
    Some((s, s * ritz.residual / ritz.theta))
}

fn away_from_zero(x: f64, floor: f64) -> f64 {
    if x.abs() >= floor {
        x
    } else if x < 0.0 {
        -floor
    } else {
        floor
    }
}

/// `P A = L U` with zero pivots moved to the rounding level, so that solves stay finite.
struct Lu {
    /// Unit lower factor, strictly below the diagonal, column-major.
    lower: Mat<f64>,
    /// `U^T`, so that both triangles are walked by columns.
    upper_t: Mat<f64>,
    /// Row `i` of `PA` is row `forward[i]` of `A`.
    forward: Vec<usize>,
}

impl Lu {
    fn new(a: &Mat<f64>, floor: f64) -> Lu {
        let n = a.ncols();
        let lu = a.partial_piv_lu();
        let lower = lu.L().to_owned();
        let mut upper_t = lu.U().transpose().to_owned();
        for i in 0..n {
            upper_t[(i, i)] = away_from_zero(upper_t[(i, i)], floor);
        }
        let (forward, _) = lu.P().arrays();
        Lu {
            lower,
            upper_t,
            forward: forward.to_vec(),
        }
    }

    /// `y = A^-1 A^-T x`.
    fn inverse_gram(&self, x: &[f64], y: &mut [f64]) {
        // A^T z = x: U^T L^T P z = x
        let mut z = x.to_vec();
        dense::solve_lower(&self.upper_t, &mut z);
        dense::solve_lower_transposed(&self.lower, &mut z);
        // A y = P^T z: L U y = P (P^T z) = z
        dense::solve_lower(&self.lower, &mut z);
        dense::solve_lower_transposed(&self.upper_t, &mut z);
        debug_assert_eq!(self.forward.len(), z.len());
        y.copy_from_slice(&z);
    }
}

/// Rows handled at a time so that a strip of the matrix is still in cache for its second use.
const STRIP: usize = 64;

vectorised! {
/// `y = A^T (A x)` in one pass over the matrix.
fn apply_gram(a: &Mat<f64>, x: &[f64], y: &mut [f64], scratch: &mut [f64]) -> () {
    let m = a.nrows();
    y.fill(0.0);
    let mut start = 0;
    while start < m {
        let len = STRIP.min(m - start);
        let s = &mut scratch[..len];
        s.fill(0.0);
        for (j, &xj) in x.iter().enumerate() {
            let c = &a.col_as_slice(j)[start..start + len];
            for (s, &v) in s.iter_mut().zip(c) {
                *s = v.mul_add(xj, *s);
            }
        }
        let (sc, sr) = s.as_chunks::<16>();
        for (j, yj) in y.iter_mut().enumerate() {
            let mut acc = [0.0f64; 16];
            let (cc, cr) = a.col_as_slice(j)[start..start + len].as_chunks::<16>();
            for (c, s) in cc.iter().zip(sc) {
                for k in 0..16 {
                    acc[k] = c[k].mul_add(s[k], acc[k]);
                }
            }
            let rest: f64 = cr.iter().zip(sr).map(|(c, s)| c * s).sum();
            *yj += acc.iter().sum::<f64>() + rest;
        }
        start += len;
    }
}
}
