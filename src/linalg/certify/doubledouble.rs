//! The third rung: the inverse factor in double-double, for condition numbers to about 1e27.
//!
//! Matrices are pairs of `f64` matrices (leading and trailing parts), so that inner loops
//! vectorise. Cost is some thirty times that of the double route; the ladder only climbs here for
//! orders where that is affordable.

use super::factor::{Isometry, Smallest, invert_top, product_size, scale_to_unit};
use super::gram::Problem;
use crate::linalg::dd::{DD_EPS, Dd};
use crate::linalg::rounding::{down, sqrt_down, sqrt_up, up};
use crate::linalg::vectorised::vectorised;
use faer::Mat;

/// Column-major double-double matrix.
pub struct DdMat {
    hi: Mat<f64>,
    lo: Mat<f64>,
}

impl DdMat {
    fn zeros(m: usize, n: usize) -> DdMat {
        DdMat {
            hi: Mat::zeros(m, n),
            lo: Mat::zeros(m, n),
        }
    }

    fn get(&self, i: usize, j: usize) -> Dd {
        Dd {
            hi: self.hi[(i, j)],
            lo: self.lo[(i, j)],
        }
    }

    fn set(&mut self, i: usize, j: usize, x: Dd) {
        self.hi[(i, j)] = x.hi;
        self.lo[(i, j)] = x.lo;
    }

    fn col(&self, j: usize) -> (&[f64], &[f64]) {
        (self.hi.col_as_slice(j), self.lo.col_as_slice(j))
    }
}

/// `x^T y` of double-double slices with eight running sums. Theorem: double-double-error.
#[inline(always)]
fn dot((xh, xl): (&[f64], &[f64]), (yh, yl): (&[f64], &[f64])) -> Dd {
    const LANES: usize = 8;
    let mut acc = [Dd::ZERO; LANES];
    let n = xh.len();
    let (xl, yh, yl) = (&xl[..n], &yh[..n], &yl[..n]);
    let mut i = 0;
    while i + LANES <= n {
        for k in 0..LANES {
            let x = Dd {
                hi: xh[i + k],
                lo: xl[i + k],
            };
            let y = Dd {
                hi: yh[i + k],
                lo: yl[i + k],
            };
            acc[k] += x * y;
        }
        i += LANES;
    }
    let mut s = Dd::ZERO;
    while i < n {
        s += Dd {
            hi: xh[i],
            lo: xl[i],
        } * Dd {
            hi: yh[i],
            lo: yl[i],
        };
        i += 1;
    }
    acc.into_iter().fold(s, |s, a| s + a)
}

/// `y -= c x`.
#[inline(always)]
fn subtract_multiple(c: Dd, (xh, xl): (&[f64], &[f64]), yh: &mut [f64], yl: &mut [f64]) {
    let n = xh.len();
    let (xl, yh, yl) = (&xl[..n], &mut yh[..n], &mut yl[..n]);
    for i in 0..n {
        let p = c * Dd {
            hi: xh[i],
            lo: xl[i],
        };
        let s = Dd {
            hi: yh[i],
            lo: yl[i],
        } - p;
        yh[i] = s.hi;
        yl[i] = s.lo;
    }
}

/// Upper triangular `R` of `A = QR` by modified Gram-Schmidt, whose `R` is backward stable
/// (Bjorck 1967). `None` on a zero or non-finite pivot.
fn qr_upper(a: &Mat<f64>) -> Option<DdMat> {
    let (m, n) = (a.nrows(), a.ncols());
    let mut q = DdMat {
        hi: a.clone(),
        lo: Mat::zeros(m, n),
    };
    let mut r = DdMat::zeros(n, n);
    let mut current = (vec![0.0; m], vec![0.0; m]);
    for k in 0..n {
        if !orthogonalise_step(&mut q, &mut r, k, &mut current) {
            return None;
        }
    }
    Some(r)
}

vectorised! {
/// Step `k` of modified Gram-Schmidt; `false` when column `k` vanishes.
fn orthogonalise_step(q: &mut DdMat, r: &mut DdMat, k: usize, current: &mut (Vec<f64>, Vec<f64>)) -> bool {
    let (m, n) = (q.hi.nrows(), q.hi.ncols());
    let norm = dot(q.col(k), q.col(k)).sqrt();
    if !(norm.hi > 0.0 && norm.hi.is_finite()) {
        return false;
    }
    r.set(k, k, norm);
    let inverse = Dd::ONE / norm;
    for i in 0..m {
        let x = q.get(i, k) * inverse;
        current.0[i] = x.hi;
        current.1[i] = x.lo;
    }
    let pivot = (&current.0[..], &current.1[..]);
    for j in k + 1..n {
        let c = dot(pivot, q.col(j));
        r.set(k, j, c);
        subtract_multiple(c, pivot, q.hi.col_as_slice_mut(j), q.lo.col_as_slice_mut(j));
    }
    true
}
}

/// Inverse of an upper triangular matrix, column by column.
fn invert_upper(r: &DdMat) -> DdMat {
    let n = r.hi.ncols();
    let mut x = DdMat::zeros(n, n);
    for j in 0..n {
        invert_column(r, j, &mut x);
    }
    x
}

vectorised! {
/// Solves `R x = e_j` by back substitution with column updates.
fn invert_column(r: &DdMat, j: usize, x: &mut DdMat) -> () {
    let mut bh = vec![0.0; j + 1];
    let mut bl = vec![0.0; j + 1];
    bh[j] = 1.0;
    for k in (0..=j).rev() {
        let v = Dd { hi: bh[k], lo: bl[k] } / r.get(k, k);
        bh[k] = v.hi;
        bl[k] = v.lo;
        let (ch, cl) = r.col(k);
        subtract_multiple(v, (&ch[..k], &cl[..k]), &mut bh, &mut bl);
    }
    for k in 0..=j {
        x.set(k, j, Dd { hi: bh[k], lo: bl[k] });
    }
}
}

/// `Y = A X` for a double `A` and an upper triangular `X`.
fn multiply_upper(a: &Mat<f64>, x: &DdMat) -> DdMat {
    let (m, n) = (a.nrows(), a.ncols());
    let mut y = DdMat::zeros(m, n);
    for j in 0..n {
        multiply_column(a, x, j, &mut y);
    }
    y
}

vectorised! {
fn multiply_column(a: &Mat<f64>, x: &DdMat, j: usize, y: &mut DdMat) -> () {
    let m = a.nrows();
    for k in 0..=j {
        let c = x.get(k, j);
        let col = &a.col_as_slice(k)[..m];
        let yh = &mut y.hi.col_as_slice_mut(j)[..m];
        let yl = &mut y.lo.col_as_slice_mut(j)[..m];
        for i in 0..m {
            let s = Dd { hi: yh[i], lo: yl[i] } + c.scale(col[i]);
            yh[i] = s.hi;
            yl[i] = s.lo;
        }
    }
}
}

/// Bound of `|Y^T Y - I|_F`, rounding included.
fn orthogonality(y: &DdMat) -> f64 {
    let (m, n) = (y.hi.nrows(), y.hi.ncols());
    let mut sum = 0.0f64;
    let mut size = 0.0f64;
    for j in 0..n {
        let (defects, square) = column_defects(y, j);
        sum += defects;
        size += square;
    }
    // every dot product of m terms errs by at most 2 (m + 10) DD_EPS |y_i||y_j|, and the
    // Frobenius norm of the matrix |y_i||y_j| is the sum of squares of Y
    let rounding = 2.0 * (m as f64 + 10.0) * DD_EPS * size * 1.01;
    up(sqrt_up(up(sum * (1.0 + n as f64 * n as f64 * f64::EPSILON))) + rounding + 1e-300)
}

vectorised! {
/// Sum of squares of column `j` of `Y^T Y - I` and its mirror image, and the squared norm of `y_j`.
fn column_defects(y: &DdMat, j: usize) -> (f64, f64) {
    let mut sum = 0.0f64;
    for i in 0..j {
        let d = dot(y.col(i), y.col(j));
        sum += 2.0 * d.hi * d.hi;
    }
    let square = dot(y.col(j), y.col(j));
    let d = square - Dd::ONE;
    (sum + d.hi * d.hi, square.hi.abs())
}
}

/// Limits of the smallest singular value through the double-double inverse factor; `None` when even
/// that is not accurate enough, or a factorisation breaks down.
pub fn certify_smallest(p: &Problem) -> Option<Smallest> {
    let (m, n) = (p.a.nrows(), p.a.ncols());
    let x = invert_upper(&qr_upper(&p.a)?);
    let finite = |v: &Mat<f64>| (0..n).all(|j| v.col_as_slice(j).iter().all(|e| e.is_finite()));
    if !finite(&x.hi) || (0..n).any(|i| x.hi[(i, i)] == 0.0) {
        return None;
    }
    let y = multiply_upper(&p.a, &x);
    let beta = orthogonality(&y);
    if !(beta < 0.9) {
        return None;
    }
    // each of the n additions and products of an entry errs by DD_EPS relative to |a||x|
    let f =
        up(2.0 * (n as f64 + 4.0) * DD_EPS * product_size(&p.a, &x.hi) * 1.01 + m as f64 * 1e-300);
    let isometry = Isometry {
        lo: down_tight(sqrt_down(1.0 - beta).next_down(), f),
        hi: (sqrt_up((1.0 + beta).next_up()) + f).next_up(),
    };
    if !(isometry.lo > 0.05) {
        return None;
    }
    let mut scaled = x.hi.transpose().to_owned();
    let e = scale_to_unit(&mut scaled)?;
    // dropping the trailing parts: |X - hi|_F <= 2^-53 |hi|_F, plus flushed entries
    let frobenius = crate::linalg::extended::frobenius_up(&scaled);
    let dropped = up(f64::EPSILON / 2.0 * frobenius + (n as f64).powi(2) * 1e-320);
    invert_top(scaled, e, dropped, &isometry, p.multiplicity)
}

/// An approximate inverse of a square matrix, rounded to double from double-double, and a bound of
/// `|I - XA|_F` for the double-double matrix `X` it was rounded from. `None` when a factorisation
/// breaks down.
pub fn approximate_inverse(p: &Problem) -> Option<(Mat<f64>, f64)> {
    let n = p.order();
    // A = Y R with Y orthogonal up to rounding, so A^-1 ~ R^-1 Y^T
    let factor = invert_upper(&qr_upper(&p.a)?);
    let y = multiply_upper(&p.a, &factor);
    let mut x = DdMat::zeros(n, n);
    for j in 0..n {
        inverse_column(&factor, &y, j, &mut x);
    }
    if p.multiplicity == 2 {
        let h = n / 2;
        for j in 0..h {
            for i in 0..h {
                x.set(h + i, h + j, x.get(i, j));
                x.set(i, h + j, -x.get(h + i, j));
            }
        }
    }
    let finite = (0..n).all(|j| x.hi.col_as_slice(j).iter().all(|v| v.is_finite()));
    if !finite {
        return None;
    }
    let mut sum = 0.0;
    for j in 0..n {
        sum += residual_column(&x, &p.a, j);
    }
    let frobenius = crate::linalg::extended::frobenius_up(&x.hi);
    let rounding =
        2.0 * (n as f64 + 4.0) * DD_EPS * (frobenius * p.frobenius * 1.01 + (n as f64).sqrt());
    let bound = up(sqrt_up(up(sum * (1.0 + (n as f64).powi(2) * f64::EPSILON)))
        + rounding
        + n as f64 * 1e-290);
    bound.is_finite().then_some((x.hi, bound))
}

vectorised! {
/// Column `j` of `R^-1 Y^T`: row `j` of `Y` combined from the columns of `R^-1`.
fn inverse_column(factor: &DdMat, y: &DdMat, j: usize, x: &mut DdMat) -> () {
    let n = factor.hi.ncols();
    let mut xh = vec![0.0; n];
    let mut xl = vec![0.0; n];
    for k in 0..n {
        let (ch, cl) = factor.col(k);
        subtract_multiple(-y.get(j, k), (&ch[..=k], &cl[..=k]), &mut xh, &mut xl);
    }
    for i in 0..n {
        x.set(i, j, Dd { hi: xh[i], lo: xl[i] });
    }
}
}

vectorised! {
/// Sum of squares of column `j` of `I - XA`.
fn residual_column(x: &DdMat, a: &Mat<f64>, j: usize) -> f64 {
    let n = a.ncols();
    let mut eh = vec![0.0; n];
    let mut el = vec![0.0; n];
    eh[j] = 1.0;
    for k in 0..n {
        subtract_multiple(Dd::from(a[(k, j)]), x.col(k), &mut eh, &mut el);
    }
    eh.iter().map(|v| v * v).sum()
}
}

/// `a - b` rounded down, without the slack of [`down`] when `b` is negligible.
fn down_tight(a: f64, b: f64) -> f64 {
    let d = (a - b).next_down();
    if d > 0.0 { d } else { down(d) }
}
