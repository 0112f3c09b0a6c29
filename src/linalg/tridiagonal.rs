//! Eigenvalues of symmetric tridiagonal matrices without square roots in the inner loop.
//!
//! The QL iteration of Pal, Walker and Kahan (Parlett, The Symmetric Eigenvalue Problem, section 8.15; after Reinsch, CACM
//! 16, 1973, algorithm 464) works on the squares of the off-diagonal entries. One step costs two divisions that do not wait for each
//! other, where rotations cost roots and quotients in a row: less than half the time, at errors of a few units
//! in the last place of the norm.

use crate::scale::exponent_of;

/// Sweeps allowed for each eigenvalue; two are usual.
const SWEEPS: usize = 30;

/// Off-diagonal entries below this share of the norm are dropped, which moves no eigenvalue by more.
const NEGLIGIBLE: f64 = 1.0 / (1u64 << 60) as f64;

/// All eigenvalues, ascending, of the symmetric tridiagonal matrix with diagonal `d` and off-diagonal `e`; `None` where the
/// iteration does not converge or an entry is not finite.
///
/// # Panics
/// If `e` is not one shorter than `d`.
pub fn eigenvalues(d: &[f64], e: &[f64]) -> Option<Vec<f64>> {
    assert_eq!(e.len() + 1, d.len().max(1), "off-diagonal entries");
    let largest = d.iter().chain(e).fold(0.0f64, |m, x| m.max(x.abs()));
    if largest == 0.0 || !d.iter().chain(e).all(|x| x.is_finite()) {
        return (largest == 0.0).then(|| d.to_vec());
    }
    // squares of what is about 1 neither overflow nor lose what matters
    let exponent = exponent_of(largest);
    let scaled = |x: &f64| libm::scalbn(*x, -exponent);
    let mut d: Vec<f64> = d.iter().map(scaled).collect();
    let mut squares: Vec<f64> = e.iter().map(|x| scaled(x).powi(2)).collect();
    iterate(&mut d, &mut squares)?;
    d.iter_mut().for_each(|x| *x = libm::scalbn(*x, exponent));
    d.sort_by(f64::total_cmp);
    d.iter().all(|x| x.is_finite()).then_some(d)
}

fn iterate(d: &mut [f64], squares: &mut [f64]) -> Option<()> {
    let n = d.len();
    let mut sweeps = SWEEPS * n;
    let mut first = 0;
    while first < n {
        let coupled = |k: &usize| {
            let relative = 0.25 * f64::EPSILON * f64::EPSILON * (d[*k] * d[*k + 1]).abs();
            squares[*k] > relative.max(NEGLIGIBLE * NEGLIGIBLE)
        };
        let last = (first..n - 1).find(|k| !coupled(k)).unwrap_or(n - 1);
        match last - first {
            0 => first += 1,
            1 => {
                let middle = 0.5 * (d[first] + d[last]);
                let radius = (0.25 * (d[first] - d[last]).powi(2) + squares[first]).sqrt();
                (d[first], d[last]) = (middle - radius, middle + radius);
                first += 2;
            }
            _ => {
                sweeps = sweeps.checked_sub(1)?;
                sweep(&mut d[first..=last], &mut squares[first..last]);
            }
        }
    }
    Some(())
}

/// One implicit QL step with Wilkinson's shift, from the last entry to the first, where eigenvalues split off.
fn sweep(d: &mut [f64], squares: &mut [f64]) {
    let last = d.len() - 1;
    let shift = {
        let root = squares[0].sqrt();
        let x = (d[1] - d[0]) / (2.0 * root);
        d[0] - root / (x + (x * x + 1.0).sqrt().copysign(x))
    };
    let (mut c, mut s) = (1.0, 0.0);
    let mut gamma = d[last] - shift;
    let mut p = gamma * gamma;
    for i in (0..last).rev() {
        let square = squares[i];
        let r = p + square;
        if i + 1 < last {
            squares[i + 1] = s * r;
        }
        let before = (c, gamma);
        let (inverse, ratio) = (1.0 / r, r / p);
        c = p * inverse;
        s = square * inverse;
        let alpha = d[i];
        gamma = c * (alpha - shift) - s * before.1;
        d[i + 1] = before.1 + (alpha - gamma);
        // gamma^2 / c, or its limit where c vanishes or would be subnormal
        p = if ratio.is_finite() {
            gamma * gamma * ratio
        } else {
            before.0 * square
        };
    }
    squares[0] = s * p;
    d[0] = shift + gamma;
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::{Mat, Side};
    use proptest::prelude::*;

    fn dense(d: &[f64], e: &[f64]) -> Mat<f64> {
        Mat::from_fn(d.len(), d.len(), |i, j| match i.abs_diff(j) {
            0 => d[i],
            1 => e[i.min(j)],
            _ => 0.0,
        })
    }

    /// The count of eigenvalues below `x` by Sylvester's law, with pivots kept away from zero.
    fn below(d: &[f64], e: &[f64], x: f64) -> usize {
        let mut q = 1.0;
        let mut count = 0;
        for (i, d) in d.iter().enumerate() {
            let coupling = if i == 0 { 0.0 } else { e[i - 1] * e[i - 1] / q };
            q = d - x - coupling;
            if q == 0.0 {
                q = -1e-300;
            }
            count += usize::from(q < 0.0);
        }
        count
    }

    #[test]
    fn second_differences_have_their_closed_form() {
        for n in [1, 2, 3, 17, 400] {
            let found = eigenvalues(&vec![2.0; n], &vec![-1.0; n - 1]).unwrap();
            for (k, x) in found.iter().enumerate() {
                let angle = std::f64::consts::PI * (k + 1) as f64 / (2 * (n + 1)) as f64;
                let truth = 4.0 * angle.sin().powi(2);
                // eleven roundings of the norm, 4
                assert!((x - truth).abs() < 1e-14, "{n} {k}: {x} {truth}");
            }
        }
        assert_eq!(eigenvalues(&[], &[]), Some(vec![]));
        // pivots that vanish, or would be subnormal
        for tiny in [0.0, 1e-170, 1e-155, 1e-154] {
            let found = eigenvalues(&[tiny; 4], &[1.0; 3]).unwrap();
            let golden = (1.0 + 5f64.sqrt()) / 2.0;
            for (x, truth) in found
                .iter()
                .zip([-golden, 1.0 - golden, golden - 1.0, golden])
            {
                assert!((x - truth).abs() < 1e-14, "{tiny}: {x} {truth}");
            }
        }
        assert_eq!(eigenvalues(&[1.0, f64::NAN], &[1.0]), None);
        assert_eq!(eigenvalues(&[f64::INFINITY], &[]), None);
    }

    #[test]
    fn pairs_that_agree_to_all_digits_do_not_stop_it() {
        // Wilkinson's W_21^+, and two of it glued
        let half: Vec<f64> = (0..21).map(|k| f64::from(k - 10i32).abs()).collect();
        let glued: Vec<f64> = half.iter().chain(&half).copied().collect();
        let mut e = vec![1.0; 41];
        e[20] = 1e-9;
        let found = eigenvalues(&glued, &e).unwrap();
        // J. H. Wilkinson, The Algebraic Eigenvalue Problem, p. 309
        assert!((found[41] - 10.746_194_182_903_393).abs() < 1e-8);
        assert!(found[41] - found[38] < 1e-8 && found[38] - found[37] > 0.5);
    }

    proptest! {
        /// Sturm counts, which share nothing with the iteration, agree on both sides of every eigenvalue, and so does another
        /// library; entries of all sizes.
        #[test]
        fn every_eigenvalue_is_counted(
            entries in prop::collection::vec((-1.0..1.0f64, -60..3i32, -1.0..1.0f64, -60..3i32), 1..60),
            exponent in -900..1000i32,
        ) {
            let n = entries.len();
            let unit = 2f64.powi(exponent);
            let d: Vec<f64> = entries.iter().map(|x| x.0 * 2f64.powi(x.1)).collect();
            let e: Vec<f64> = entries[1..].iter().map(|x| x.2 * 2f64.powi(x.3)).collect();
            let scale = |x: &[f64]| x.iter().map(|x| x * unit).collect::<Vec<f64>>();
            let found: Vec<f64> =
                eigenvalues(&scale(&d), &scale(&e)).unwrap().iter().map(|x| x / unit).collect();
            let norm = d.iter().chain(&e).fold(0.0f64, |m, x| m.max(x.abs()));
            // a rounding of the norm for every row, which is what a backward stable iteration may cost
            let slack = (8 + n) as f64 * f64::EPSILON * norm + 1e-300;
            let other = dense(&d, &e).self_adjoint_eigenvalues(Side::Lower).unwrap();
            for (k, x) in found.iter().enumerate() {
                prop_assert!(below(&d, &e, x - slack) <= k && below(&d, &e, x + slack) > k, "{k}: {x}");
                prop_assert!((x - other[k]).abs() <= 2.0 * slack);
            }
        }
    }
}
