//! The second and third rung: an approximate inverse of the triangular factor.
//!
//! Let `X` be any non-singular `n x n` matrix (here the computed `R^-1` of `A = QR`) and `Y = AX`.
//! If `|Y^T Y - I|_2 <= beta < 1`, all singular values of `Y` lie in `[sqrt(1-beta), sqrt(1+beta)]`,
//! and `A = Y X^-1` gives, for every `k`,
//! `sqrt(1-beta) / sigma_k(X) <= sigma_{n+1-k}(A) <= sqrt(1+beta) / sigma_k(X)`.
//! So the bottom of the spectrum of `A` is read off the *top* of the spectrum of `X`, which the Gram
//! rung certifies at any condition number. Works for square and tall `A` alike.
//! Theorem: inverse-factor-enclosure.

use super::gram::{self, Limits, Problem};
use super::temple;
use crate::linalg::dense;
use crate::linalg::rounding::{down, gamma, max_up, sqrt_down, sqrt_up, sum_up, up};
use faer::Mat;

/// Proved bounds on the two smallest singular values of `A`.
#[derive(Clone, Copy, Debug)]
pub struct Smallest {
    /// Limits of the smallest singular value (not squared).
    pub sigma: Limits,
    /// Lower bound of the second smallest singular value (other than copies in an embedding).
    pub second: f64,
}

/// Limits of the singular values of `Y = A X`.
pub struct Isometry {
    /// Proved lower limit, positive.
    pub lo: f64,
    /// Proved upper limit.
    pub hi: f64,
}

/// Reads the smallest singular values of `A` off an approximate inverse factor `X` with
/// `X^T = 2^exponent * scaled` (transposed, so that its Gram matrix `X X^T ~ (A^T A)^-1` inherits
/// the pairing of an embedded complex matrix) up to a perturbation of 2-norm at most `perturbation` (in the scaled
/// unit), given the limits of the singular values of `A X`.
pub fn invert_top(
    scaled: Mat<f64>,
    exponent: i64,
    perturbation: f64,
    y: &Isometry,
    multiplicity: usize,
) -> Option<Smallest> {
    let p = Problem::nearly_paired(scaled, multiplicity);
    let g = p.gram();
    let top = gram::certify_top(&p, &g);
    let x_hi = up(sqrt_up(top.largest.hi) + perturbation);
    let x_lo = down(sqrt_down(top.largest.lo) - perturbation);
    let second_hi = up(sqrt_up(top.second) + perturbation);
    if !(x_lo > 0.0 && x_hi.is_finite()) {
        return None;
    }
    let back = |x: f64| crate::scale::ldexp(x, -exponent);
    let lo = crate::scale::ldexp_down(down_div(y.lo, x_hi), -exponent);
    let hi = crate::scale::ldexp_up(up_div(y.hi, x_lo), -exponent);
    let second = if second_hi == 0.0 {
        f64::INFINITY
    } else {
        down(back(down_div(y.lo, second_hi)))
    };
    (lo > 0.0 && hi.is_finite()).then_some(Smallest {
        sigma: Limits { lo, hi },
        second,
    })
}

fn down_div(a: f64, b: f64) -> f64 {
    (a / b).next_down().max(0.0)
}

fn up_div(a: f64, b: f64) -> f64 {
    (a / b).next_up()
}

/// Scales a matrix in place by a power of two so that its largest entry lies in `[1/2, 1)`; returns
/// the exponent. Entries below 2^-1000 of the largest may round; their effect on the 2-norm is below
/// `m n 2^-1070`.
pub fn scale_to_unit(x: &mut Mat<f64>) -> Option<i64> {
    let mut max = 0.0f64;
    for j in 0..x.ncols() {
        max = x.col_as_slice(j).iter().fold(max, |m, v| m.max(v.abs()));
    }
    if !(max > 0.0 && max.is_finite()) {
        return None;
    }
    let e = i64::from(crate::scale::exponent_of(max)) + 1;
    let n = x.ncols();
    for j in 0..n {
        for v in x.col_as_slice_mut(j) {
            *v = crate::scale::ldexp(*v, -e);
        }
    }
    Some(e)
}

/// Norm bounds that every use of `Y = A X` needs: `| |A||X| |_2` through its row and column sums.
pub fn product_size(a: &Mat<f64>, x: &Mat<f64>) -> f64 {
    let k = a.nrows() + 2 * a.ncols() + 8;
    let ones = vec![1.0; x.ncols()];
    let rows = gram::abs_apply(a, &gram::abs_apply(x, &ones));
    let ones = vec![1.0; a.nrows()];
    let cols = gram::abs_apply_transposed(x, &gram::abs_apply_transposed(a, &ones));
    // an infinite sum times a zero entry is NaN, which must not be dropped
    let max = |v: &[f64]| max_up(v.iter().copied());
    // |M|_2 <= sqrt(|M|_1 |M|_inf); theorem: spectral-norm-by-sums
    sqrt_up(up(max(&rows) * max(&cols) * (1.0 + gamma(2 * k))))
}

/// The second rung in double precision. `l` is the lower triangular `R^T` of a QR factorisation.
/// `None` when the inverse factor is not accurate enough to prove anything.
pub fn certify_smallest(p: &Problem, l: &Mat<f64>) -> Option<Smallest> {
    let n = p.order();
    // lower triangular inverse of R^T; its transpose is X = R^-1
    let x_t = dense::invert_lower(l)?;
    let y = dense::product_upper(p.a.as_ref(), x_t.as_ref().transpose());
    let h = dense::gram_lower(y.as_ref());
    // |fl(Y^T Y) - I| by its largest row sum, which bounds the 2-norm of a symmetric matrix
    let mut rows = vec![0.0f64; n];
    for j in 0..n {
        for i in j..n {
            let v = (h[(i, j)] - if i == j { 1.0 } else { 0.0 }).abs();
            if !v.is_finite() {
                return None;
            }
            rows[i] += v;
            if i != j {
                rows[j] += v;
            }
        }
    }
    let measured = up(max_up(rows) * (1.0 + gamma(n + 2)));
    // rounding of the Gram product: gamma_m | |Y|^T|Y| |
    let ones = vec![1.0; n];
    let size = gram::abs_apply_transposed(&y, &gram::abs_apply(&y, &ones));
    let m = p.a.nrows();
    let size = up(max_up(size) * (1.0 + gamma(m + n + 8)));
    let beta = up(measured + gamma(m + 2) * size + 1e-300);
    if !(beta < 0.9) {
        return None;
    }
    // rounding of Y itself: fl(AX) = AX + F
    let x = x_t.transpose().to_owned();
    let f = up(gamma(n + 2) * product_size(&p.a, &x) + 1e-300);
    let isometry = Isometry {
        lo: down(sqrt_down(down(1.0 - beta)) - f),
        hi: up(sqrt_up(up(1.0 + beta)) + f),
    };
    if !(isometry.lo > 0.05) {
        return None;
    }
    let mut scaled = x_t;
    let e = scale_to_unit(&mut scaled)?;
    let flushed = n as f64 * n as f64 * 1e-320;
    let crude = invert_top(scaled, e, flushed, &isometry, p.multiplicity)?;
    Some(sharpen(p, l, crude))
}

/// Kato-Temple on top of a crude enclosure: the gap is already proved.
pub fn sharpen(p: &Problem, l: &Mat<f64>, crude: Smallest) -> Smallest {
    let Some(ritz) = gram::smallest_ritz(l, 1e-10) else {
        return crude;
    };
    let v = gram::refine(p, l, &ritz.vector, 1.0 / ritz.theta);
    let Some(q) = temple::quotient(&p.a, &v, p.frobenius) else {
        return crude;
    };
    let mut s = crude;
    s.sigma.hi = s.sigma.hi.min(sqrt_up(q.rho_hi));
    let mu = if s.second.is_finite() {
        down(s.second * s.second)
    } else {
        f64::MAX
    };
    if let Some((lo, hi)) = q.smallest(mu) {
        s.sigma.lo = s.sigma.lo.max(sqrt_down(lo));
        s.sigma.hi = s.sigma.hi.min(sqrt_up(hi));
    }
    s
}

/// Largest absolute column sum of a matrix, rounded up: an upper bound of `|M|_1`.
pub fn norm1_up(m: &Mat<f64>) -> f64 {
    max_up((0..m.ncols()).map(|j| sum_up(m.col_as_slice(j).iter().map(|v| v.abs()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::certify::doubledouble;
    use crate::linalg::certify::gram::tests::{BUDGET, exactly, graded};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Theorem: inverse-factor-enclosure, in double and in double-double.
        #[test]
        fn limits_hold_by_exact_inertia(m in 1usize..8, n in 1usize..6, grade in 0i32..16, seed: u64) {
            let p = graded(m, n, grade, seed);
            let exact = exactly(&p.a);
            let l = dense::qr_factor_lower(p.a.as_ref());
            for s in [certify_smallest(&p, &l), doubledouble::certify_smallest(&p)].into_iter().flatten() {
                let Limits { lo, hi } = s.sigma;
                prop_assert!(exact.proves_sigma_min_in(lo, hi, 0, BUDGET).unwrap(), "{s:?}");
                let below = exact.count_below(s.second, 0, BUDGET).unwrap().below;
                prop_assert!(below <= 1, "{below} below {}", s.second);
            }
        }
    }

    /// Notices: limits drawn from a factor twice too large are refuted, so the oracle can tell.
    #[test]
    fn a_wrong_isometry_is_refuted() {
        let p = graded(5, 4, 3, 7);
        let exact = exactly(&p.a);
        let l = dense::qr_factor_lower(p.a.as_ref());
        let mut x = dense::invert_lower(&l).unwrap();
        let e = scale_to_unit(&mut x).unwrap();
        let slack = 1e-12;
        let y = Isometry {
            lo: 1.0 - slack,
            hi: 1.0 + slack,
        };
        for (shift, truth) in [(0, true), (1, false), (-1, false)] {
            let Limits { lo, hi } = invert_top(x.clone(), e + shift, 1e-300, &y, 1)
                .unwrap()
                .sigma;
            assert_eq!(
                exact.proves_sigma_min_in(lo, hi, 0, BUDGET),
                Ok(truth),
                "shift {shift}"
            );
        }
    }
}
