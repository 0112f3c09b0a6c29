//! Tests of the dense kernels.

use super::*;
use dashu_int::IBig;
use dashu_int::ops::{BitTest, UnsignedAbs};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};

pub(crate) fn random(m: usize, n: usize, seed: u64) -> Mat<f64> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    Mat::from_fn(m, n, |_, _| {
        let e: i32 = rng.random_range(-20..20);
        (rng.random::<f64>() - 0.5) * 2f64.powi(e)
    })
}

/// `v 2^e`, which must be an integer.
pub(crate) fn int(v: f64, e: i32) -> IBig {
    let exp = crate::scale::exponent_of(if v == 0.0 { 1.0 } else { v });
    let m = crate::scale::ldexp(v, i64::from(52 - exp)) as i64;
    let shift = (exp - 52) + e;
    assert!(shift >= 0);
    IBig::from(m) << shift as usize
}

/// Exact `x^T y` minus `s`, through integers: entries are above 2^-300 or zero.
pub(crate) fn defect(x: &[f64], y: &[f64], s: f64) -> f64 {
    let mut sum = IBig::ZERO;
    for (a, b) in x.iter().zip(y) {
        sum += int(*a, 400) * int(*b, 400);
    }
    sum -= int(s, 800);
    // to double, with relative error 2^-52 at most
    let bits = sum.clone().unsigned_abs().bit_len();
    let shift = bits.saturating_sub(62);
    let top = i64::try_from(sum >> shift).unwrap_or(0);
    crate::scale::ldexp(top as f64, shift as i64 - 800)
}

proptest! {
    /// Theorem: dot-product-error. Holds for every kernel the proofs rely on.
    #[test]
    fn products_obey_their_bound(m in 1usize..70, k in 1usize..70, n in 1usize..40, seed: u64) {
        let (x, y) = (random(m, k, seed), random(k, n, seed ^ 1));
        let c = product(x.as_ref(), y.as_ref());
        let g = gram_lower(x.as_ref());
        let gamma = |k: usize| k as f64 * f64::EPSILON / 2.0 * 1.001;
        for (i, j) in [(0, 0), (m - 1, n - 1), (m / 2, n / 3)] {
            let row: Vec<f64> = (0..k).map(|l| x[(i, l)]).collect();
            let col: Vec<f64> = (0..k).map(|l| y[(l, j)]).collect();
            let size: f64 = row.iter().zip(&col).map(|(a, b)| (a * b).abs()).sum();
            prop_assert!(defect(&row, &col, c[(i, j)]).abs() <= gamma(k) * size);
        }
        for (i, j) in [(0, 0), (k - 1, 0), (k - 1, k / 2)] {
            let (a, b): (Vec<f64>, Vec<f64>) = (0..m).map(|l| (x[(l, i)], x[(l, j)])).unzip();
            let size: f64 = a.iter().zip(&b).map(|(a, b)| (a * b).abs()).sum();
            prop_assert!(defect(&a, &b, g[(i, j)]).abs() <= gamma(m) * size);
        }
    }

    /// Theorem: cholesky-proves-definiteness, in its backward-error form.
    #[test]
    fn cholesky_reconstructs(n in 1usize..150, seed: u64) {
        let a = random(n + 3, n, seed);
        let g = gram_lower(a.as_ref());
        let mut l = g.clone();
        if cholesky_lower(l.as_mut()) {
            for i in 0..n { for j in i + 1..n { l[(i, j)] = 0.0; } }
            let back = product(l.as_ref(), l.as_ref().transpose());
            for j in 0..n {
                for i in j..n {
                    let size: f64 = (0..=j).map(|k| (l[(i, k)] * l[(j, k)]).abs()).sum();
                    let bound = 2.0 * (n as f64 + 2.0) * f64::EPSILON * size;
                    prop_assert!((back[(i, j)] - g[(i, j)]).abs() <= bound);
                }
            }
        }
    }

    #[test]
    fn triangular_solves_invert(n in 1usize..100, seed: u64) {
        let a = random(n, n, seed);
        let mut g = gram_lower(a.as_ref());
        for i in 0..n { g[(i, i)] += 2f64.powi(44); }
        prop_assert!(cholesky_lower(g.as_mut()));
        for i in 0..n { for j in i + 1..n { g[(i, j)] = 0.0; } }
        let x: Vec<f64> = (0..n).map(|i| i as f64 - 3.5).collect();
        let column = Mat::from_fn(n, 1, |i, _| x[i]);
        let back = product(g.as_ref(), product(g.as_ref().transpose(), column.as_ref()).as_ref());
        let mut z = back.col_as_slice(0).to_vec();
        solve_lower(&g, &mut z);
        solve_lower_transposed(&g, &mut z);
        for (a, b) in x.iter().zip(&z) {
            prop_assert!((a - b).abs() <= 1e-8 * n as f64, "{a} {b}");
        }
    }
}

/// The inverse that certificates build on is triangular: nothing is written above the diagonal.
#[test]
fn triangular_inverses_are_triangular() {
    for n in [1, 7, 40, 130] {
        let mut l = random(n, n, n as u64);
        for i in 0..n {
            l[(i, i)] = 1.0 + l[(i, i)].abs();
        }
        let x = invert_lower(&l).unwrap();
        assert!((0..n).all(|j| (0..j).all(|i| x[(i, j)] == 0.0)), "n = {n}");
    }
}

#[test]
fn an_indefinite_matrix_is_refused() {
    for n in [1, 5, 33, 80, 200] {
        let mut m = Mat::from_fn(n, n, |i, j| if i == j { 1.0 } else { 0.0 });
        m[(n - 1, n - 1)] = -1e-12;
        assert!(!cholesky_lower(m.as_mut()), "n = {n}");
        let mut m = Mat::from_fn(n, n, |i, j| if i == j { 1.0 } else { 0.0 });
        m[(n / 2, n / 2)] = f64::NAN;
        assert!(!cholesky_lower(m.as_mut()), "NaN at n = {n}");
    }
}
