//! Norms of the inverse in the 1-, infinity- and Frobenius norm.
//!
//! For any approximate inverse `X` of a square `A` with `|I - XA| <= alpha < 1` in a submultiplicative
//! norm, `A^-1 = (I - (I - XA))^-1 X`, so `|X|/(1+alpha) <= |A^-1| <= |X|/(1-alpha)`.
//! Theorem: approximate-inverse-norm.

use super::Method;
use super::doubledouble;
use super::factor::norm1_up;
use super::gram::{Limits, Problem, abs_apply, abs_apply_transposed};
use crate::linalg::dense;
use crate::linalg::norms::Norm;
use crate::linalg::rounding::{down, gamma, max_up, up};
use faer::Mat;

/// Limits of `|A^-1|` for every `A` within `moved` of the scaled matrix in the given norm, and how
/// they were proved. `None` when no approximate inverse was accurate enough.
pub fn certify_inverse_norm(p: &Problem, norm: Norm, moved: f64) -> Option<(Limits, Method)> {
    let n = p.order();
    let double = double_inverse(p).and_then(|x| {
        let e = residual(&x, &p.a);
        // rounding of the product and of the subtraction from I
        let rounding = gamma(n + 3) * product_norm(&x, &p.a, norm);
        limits(
            &x,
            up(norm_up(&e, norm) + rounding + norm_up(&x, norm) * moved + 1e-290),
            0.0,
            norm,
            p.multiplicity,
        )
    });
    let narrow = |l: &Limits| l.hi - l.lo <= 1e-10 * l.lo;
    if let Some(l) = double.filter(narrow) {
        return Some((l, Method::InverseFactor));
    }
    let affordable = (n as f64).powi(3) <= super::DOUBLE_DOUBLE_WORK;
    let precise = affordable
        .then(|| doubledouble::approximate_inverse(p))
        .flatten()
        .and_then(|(x, e)| {
            // e bounds |I - XA|_F, and no 1- or infinity-norm exceeds sqrt(n) times that
            let alpha = up(e * (n as f64).sqrt() + 1.01 * norm_up(&x, norm) * moved);
            let dropped = up(f64::EPSILON / 2.0 * norm_up(&x, norm));
            limits(&x, alpha, dropped, norm, p.multiplicity)
        });
    match (precise, double) {
        (Some(l), _) => Some((l, Method::DoubleDouble)),
        (None, Some(l)) => Some((l, Method::InverseFactor)),
        (None, None) => None,
    }
}

/// `|X|` widened by `dropped` and divided by `1 -+ alpha`.
fn limits(
    x: &Mat<f64>,
    alpha: f64,
    dropped: f64,
    norm: Norm,
    multiplicity: usize,
) -> Option<Limits> {
    if !(alpha < 0.5) {
        return None;
    }
    let (lo, hi) = stored_norm(x, norm, multiplicity);
    let lo = down(down(lo - dropped) / (1.0 + alpha));
    let hi = up(up(hi + dropped) / (1.0 - alpha));
    (lo > 0.0 && hi.is_finite()).then_some(Limits { lo, hi })
}

fn double_inverse(p: &Problem) -> Option<Mat<f64>> {
    use faer::linalg::solvers::DenseSolveCore;
    let n = p.order();
    let mut x = p.a.partial_piv_lu().inverse();
    if p.multiplicity == 2 {
        // make the embedding exact: [[B, -C], [C, B]] from its first block column
        let h = n / 2;
        for j in 0..h {
            for i in 0..h {
                x[(h + i, h + j)] = x[(i, j)];
                x[(i, h + j)] = -x[(h + i, j)];
            }
        }
    }
    (0..n)
        .all(|j| x.col_as_slice(j).iter().all(|v| v.is_finite()))
        .then_some(x)
}

/// `fl(I - XA)`.
fn residual(x: &Mat<f64>, a: &Mat<f64>) -> Mat<f64> {
    let mut e = dense::product(x.as_ref(), a.as_ref());
    for j in 0..a.ncols() {
        for (i, v) in e.col_as_slice_mut(j).iter_mut().enumerate() {
            *v = if i == j { 1.0 - *v } else { -*v };
        }
    }
    e
}

/// Upper bound of a norm of the matrix as it stands (an embedding included).
fn norm_up(m: &Mat<f64>, norm: Norm) -> f64 {
    match norm {
        Norm::One => norm1_up(m),
        Norm::Inf | Norm::Two => {
            let rows = abs_apply(m, &vec![1.0; m.ncols()]);
            let top = max_up(rows);
            up(top * (1.0 + gamma(m.ncols() + 2)))
        }
        Norm::Frobenius => {
            let s: f64 = (0..m.ncols())
                .map(|j| dense::dot(m.col_as_slice(j), m.col_as_slice(j)))
                .sum();
            up(s.sqrt() * (1.0 + gamma(m.nrows() + m.ncols() + 4)) + 1e-150)
        }
    }
}

/// Upper bound of `| |X||A| |` in a norm, plus that of the identity.
fn product_norm(x: &Mat<f64>, a: &Mat<f64>, norm: Norm) -> f64 {
    let n = a.ncols();
    let ones = vec![1.0; n];
    let top = |v: Vec<f64>| max_up(v) + 1.0;
    let s = match norm {
        Norm::One => top(abs_apply_transposed(a, &abs_apply_transposed(x, &ones))),
        Norm::Inf | Norm::Two => top(abs_apply(x, &abs_apply(a, &ones))),
        Norm::Frobenius => norm_up(x, norm) * norm_up(a, norm) + (n as f64).sqrt(),
    };
    up(s * (1.0 + gamma(2 * n + 8)))
}

/// Limits of the norm of the matrix that `m` stands for: of the complex matrix where `m` embeds one.
pub fn stored_norm(m: &Mat<f64>, norm: Norm, multiplicity: usize) -> (f64, f64) {
    let rows = m.nrows() / multiplicity;
    let cols = m.ncols() / multiplicity;
    let modulus = |i: usize, j: usize| {
        if multiplicity == 2 {
            libm::hypot(m[(i, j)], m[(rows + i, j)])
        } else {
            m[(i, j)].abs()
        }
    };
    let value = match norm {
        Norm::One => (0..cols)
            .map(|j| (0..rows).map(|i| modulus(i, j)).sum::<f64>())
            .fold(0.0, f64::max),
        Norm::Inf | Norm::Two => (0..rows)
            .map(|i| (0..cols).map(|j| modulus(i, j)).sum::<f64>())
            .fold(0.0, f64::max),
        Norm::Frobenius => (0..cols)
            .map(|j| (0..rows).map(|i| modulus(i, j).powi(2)).sum::<f64>())
            .sum::<f64>()
            .sqrt(),
    };
    let g = gamma(rows + cols + 8);
    (down(value * (1.0 - g)), up(value * (1.0 + g)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::certify::gram::tests::{BUDGET, exactly, graded};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Theorem: approximate-inverse-norm. The exact inverse is rounded to `2^-52`, far inside
        /// the slack `2^-45` of every limit.
        #[test]
        fn limits_hold_the_exact_norm(n in 1usize..6, grade in 0i32..10, seed: u64) {
            let p = graded(n, n, grade, seed);
            let r = exactly(&p.a).inverse(BUDGET).unwrap().rounded();
            let x = Mat::from_fn(n, n, |i, j| crate::scale::ldexp(r.entries[i * n + j], r.exponent));
            for norm in [Norm::One, Norm::Inf, Norm::Frobenius] {
                let Some((l, _)) = certify_inverse_norm(&p, norm, 0.0) else { continue };
                let (lo, hi) = stored_norm(&x, norm, 1);
                prop_assert!(l.lo <= hi && lo <= l.hi, "{l:?} misses [{lo}, {hi}]");
                prop_assert!(grade > 0 || l.hi <= l.lo * (1.0 + 1e-6));
                // Notices: what scaling may have lost widens the limits, and then refuses them.
                let moved = 1e-3 / hi;
                if let Some((w, _)) = certify_inverse_norm(&p, norm, moved) {
                    prop_assert!(w.lo < lo * (1.0 - 9e-4) && w.hi > hi * (1.0 + 9e-4));
                }
                prop_assert!(certify_inverse_norm(&p, norm, 1.0 / lo).is_none());
            }
        }
    }
}
