//! Extreme singular values of one layer: Householder bidiagonalisation (Golub and Van Loan,
//! algorithm 5.4.2) and bisection with Sturm counts on the zero-diagonal tridiagonal form of Golub
//! and Kahan, `P [0 B; B^T 0] P^T`, whose counts are accurate to a few ulps of each entry (Demmel
//! and Kahan 1990). Nobody needs the values between, which is where a decomposition spends its time.

use super::inner::Inner;
use super::kernel::{inline_norm, norm};
use super::source::Layer;
use crate::linalg::dense;
use crate::linalg::vectorised::vectorised;

/// Largest order for which plain loops beat a reduction that minds the cache.
const IN_CACHE: usize = 96;

/// Off-diagonal of the Golub-Kahan form: diagonal and superdiagonal of `B`, alternating.
pub(super) struct Bidiagonal {
    off: Vec<f64>,
    scale: f64,
}

impl Bidiagonal {
    /// Reduces a layer with at least as many rows as columns.
    pub fn of(mut w: Layer) -> Bidiagonal {
        let (m, n) = (w.rows(), w.cols());
        let scale = norm(w.entries());
        let off = if n <= IN_CACHE {
            let mut off = Vec::with_capacity(2 * n);
            reduce(w.entries_mut(), (m, n), &mut off);
            off
        } else {
            dense::bidiagonal(w.entries_mut(), m, n)
        };
        Bidiagonal { off, scale }
    }

    fn size(&self) -> usize {
        self.off.len().div_ceil(2)
    }

    /// Narrows a bracket of the `index`-th smallest value (from 1) to relative width 1e-12.
    fn narrow(&self, index: usize, mut lo: f64, mut hi: f64) -> (f64, f64) {
        let tiny = f64::MIN_POSITIVE.max(self.scale * self.scale * 1e-290);
        while hi > lo * (1.0 + 1e-12) {
            let step = (hi - lo) / (POINTS + 1) as f64;
            let points: [f64; POINTS] = std::array::from_fn(|k| lo + step * (k + 1) as f64);
            if points[0] <= lo || points[POINTS - 1] >= hi {
                break;
            }
            let counts = below(&self.off, tiny, points);
            let above = counts.iter().position(|&c| c >= index).unwrap_or(POINTS);
            if above > 0 {
                lo = points[above - 1];
            }
            if above < POINTS {
                hi = points[above];
            }
        }
        (lo, hi)
    }

    /// Upper end of a bracket of the largest value, relative width 1e-12.
    pub fn largest(&self) -> f64 {
        let start = self.off.iter().fold(0.0f64, |m, b| m.max(b.abs()));
        let hi = (start * 2.0).min(self.scale) * (1.0 + 1e-13);
        if hi == 0.0 {
            return 0.0;
        }
        self.narrow(self.size(), start * 0.999, hi).1
    }

    /// Lower end of a bracket of the smallest value, relative width 1e-12; 0 where it lies below
    /// `1e-18` of the norm.
    pub fn smallest(&self) -> f64 {
        let tiny = f64::MIN_POSITIVE.max(self.scale * self.scale * 1e-290);
        let mut hi = self.scale * (1.0 + 1e-13);
        while hi > 1e-18 * self.scale {
            let points: [f64; POINTS] = std::array::from_fn(|k| hi * 0.25f64.powi(k as i32 + 1));
            let counts = below(&self.off, tiny, points);
            if let Some(k) = counts.iter().position(|&c| c == 0) {
                let hi = if k == 0 { hi } else { points[k - 1] };
                return self.narrow(1, points[k], hi).0;
            }
            hi = points[POINTS - 1];
        }
        0.0
    }
}

/// Shifts counted together: the recurrences are independent, one alone waits for its divisions.
const POINTS: usize = 8;

vectorised! {
/// How many singular values lie below each of the positive `points`.
fn below(off: &[f64], tiny: f64, points: [f64; POINTS]) -> [usize; POINTS] {
    let mut q = points.map(|x| -x);
    let mut negative = [1.0f64; POINTS];
    for b in off {
        let square = b * b;
        for k in 0..POINTS {
            let next = -points[k] - square / q[k];
            q[k] = if next.abs() < tiny { -tiny } else { next };
            negative[k] += if q[k] < 0.0 { 1.0 } else { 0.0 };
        }
    }
    // of 2n eigenvalues +-sigma, n are below zero
    negative.map(|count| count as usize - off.len().div_ceil(2))
}
}

vectorised! {
/// Householder reduction of an `m x n` matrix, which is overwritten.
fn reduce(a: &mut [f64], shape: (usize, usize), off: &mut Vec<f64>) -> () {
    let (m, n) = shape;
    let mut row = vec![0.0; n];
    let mut image = vec![0.0; m];
    for j in 0..n {
        let (left, right) = a.split_at_mut((j + 1) * m);
        let x = &mut left[j * m + j..];
        let (d, tau) = reflector(x);
        off.push(d);
        if j + 1 == n {
            break;
        }
        for column in right.chunks_exact_mut(m) {
            let y = &mut column[j..];
            let s = -tau * f64::dot(x, y);
            f64::axpy(y, s, x);
        }
        // row j, columns beyond j
        let row = &mut row[j + 1..];
        for (r, column) in row.iter_mut().zip(right.chunks_exact(m)) {
            *r = column[j];
        }
        let (e, tau) = reflector(row);
        off.push(e);
        let image = &mut image[j + 1..];
        image.fill(0.0);
        for (r, column) in row.iter().zip(right.chunks_exact(m)) {
            f64::axpy(image, *r, &column[j + 1..]);
        }
        for (r, column) in row.iter().zip(right.chunks_exact_mut(m)) {
            f64::axpy(&mut column[j + 1..], -tau * r, image);
        }
    }
}
}

/// Overwrites `x` by the Householder vector `v` (`v[0] = 1`) that maps it to a multiple of the
/// first axis; returns that multiple and `tau`.
#[inline(always)]
fn reflector(x: &mut [f64]) -> (f64, f64) {
    let alpha = x[0];
    let length = inline_norm(x);
    if x.len() == 1 || length < 1e-300 {
        x[0] = 1.0;
        return (alpha, 0.0);
    }
    let beta = if alpha >= 0.0 { -length } else { length };
    let inverse = 1.0 / (alpha - beta);
    x[0] = 1.0;
    for v in &mut x[1..] {
        *v *= inverse;
    }
    (beta, (beta - alpha) / beta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_agree_with_a_full_decomposition() {
        let mut x = 7u64;
        for (m, n) in [
            (1, 1),
            (2, 1),
            (3, 3),
            (9, 4),
            (16, 16),
            (40, 33),
            (96, 70),
            (130, 130),
            (400, 97),
        ] {
            let w = Layer::from_fn(m, n, |_, _| {
                x = x
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                (x >> 11) as f64 / (1u64 << 53) as f64 - 0.5
            });
            let full = faer::MatRef::from_column_major_slice(w.entries(), m, n)
                .singular_values()
                .expect("finite");
            let b = Bidiagonal::of(w);
            assert!((b.largest() / full[0] - 1.0).abs() < 1e-11);
            assert!((b.smallest() / full[n - 1] - 1.0).abs() < 1e-9);
        }
        let zero = Bidiagonal::of(Layer::from_fn(3, 2, |_, _| 0.0));
        assert_eq!((zero.largest(), zero.smallest()), (0.0, 0.0));
    }
}
