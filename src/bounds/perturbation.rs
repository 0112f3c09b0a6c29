//! What a change of a matrix can do to its singular values and its condition number.

use crate::scale::{Enclosure, LogScale};

/// Interval of each singular value of `A + E` from those of `A`: `|sigma_i(A+E) - sigma_i(A)| <= |E|_2` (Weyl;
/// Horn and Johnson, Matrix Analysis, corollary 7.3.5). Theorem: singular-value-perturbation.
pub fn weyl(singular_value: f64, norm_of_change: f64) -> (f64, f64) {
    let lo = (singular_value - norm_of_change).next_down().max(0.0);
    (lo, (singular_value + norm_of_change).next_up())
}

/// Mirsky's bound on all singular values together: `sqrt(sum (sigma_i(A+E) - sigma_i(A))^2) <= |E|_F`. The excess of
/// the left side over the right one, for two spectra of one length in descending order: positive beyond
/// rounding means that they are not those of matrices that far apart.
pub fn mirsky_excess(before: &[f64], after: &[f64], frobenius_of_change: f64) -> f64 {
    let squares: f64 = before.iter().zip(after).map(|(a, b)| (a - b).powi(2)).sum();
    squares.sqrt() - frobenius_of_change
}

/// Interval of `kappa(A + E)` for `|E|_2 <= change`, from enclosures of the extreme singular values of `A`; no
/// upper end where `A + E` may be singular.
pub fn cond_after(
    sigma_max: &Enclosure,
    sigma_min: &Enclosure,
    change: f64,
) -> Option<(f64, Option<f64>)> {
    let (_, max_lo, max_hi) = sigma_max.to_linear()?;
    let (_, min_lo, min_hi) = sigma_min.to_linear()?;
    let top = (weyl(max_lo, change).0, weyl(max_hi, change).1);
    let bottom = (weyl(min_lo, change).0, weyl(min_hi, change).1);
    let hi = (bottom.0 > 0.0).then(|| (top.1 / bottom.0).next_up());
    Some(((top.0 / bottom.1).next_down().max(1.0), hi))
}

/// Interval of `ln sigma_i(D_1 A D_2)` relative to `ln sigma_i(A)` for nonsingular `D_1`, `D_2`, from the natural logarithms of
/// their extreme singular values `(smallest, largest)`: a relative bound, which holds for the smallest values as
/// well (Eisenstat and Ipsen, SIAM J. Numer. Anal. 32, 1995, theorem 3.3; Ostrowski). What rescaling
/// rows, columns or whole layers by `alpha` can do. Theorem: multiplicative-perturbation.
pub fn multiplicative(left: (f64, f64), right: (f64, f64)) -> (f64, f64) {
    (left.0 + right.0, left.1 + right.1)
}

/// `|J|` after some layers are multiplied by `alpha`, from the logarithm of the norm before: every
/// singular value moves by the same factor `|alpha|^count`, so the condition number does not move.
/// Theorem: cond-of-scaled.
pub fn scaled(norm: LogScale, alpha: f64, count: u32) -> LogScale {
    match LogScale::from_linear(alpha.abs()) {
        Some(a) => norm * a.powf(f64::from(count)),
        None => norm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::singular::singular_values;
    use crate::linalg::view::MatrixRef;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};

    fn spectrum(x: &[f64], n: usize) -> Vec<f64> {
        let s = singular_values(&MatrixRef::row_major(x, x.len() / n, n).unwrap()).unwrap();
        let scale = 2f64.powi(s.exponent as i32);
        s.values.iter().map(|v| v * scale).collect()
    }

    fn random(n: usize, rng: &mut impl rand::Rng) -> Vec<f64> {
        (0..n).map(|_| rng.random::<f64>() - 0.5).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Theorem: singular-value-perturbation.
        #[test]
        fn weyl_and_mirsky_hold(m in 1usize..7, n in 1usize..7, size in -12i32..2, seed: u64) {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let a = random(m * n, &mut rng);
            let e: Vec<f64> = random(m * n, &mut rng).iter().map(|x| x * 2f64.powi(size)).collect();
            let b: Vec<f64> = a.iter().zip(&e).map(|(a, e)| a + e).collect();
            let (before, after, change) = (spectrum(&a, n), spectrum(&b, n), spectrum(&e, n));
            // three decompositions and the rounding of a + e
            let slack = 4.0 * 2.0 * (m + n + 10) as f64 * f64::EPSILON * (1.0 + before[0] + change[0]);
            for (x, y) in before.iter().zip(&after) {
                let (lo, hi) = weyl(*x, change[0]);
                prop_assert!(lo <= y + slack && *y <= hi + slack);
            }
            let fro = change.iter().map(|x| x * x).sum::<f64>().sqrt();
            prop_assert!(mirsky_excess(&before, &after, fro) <= slack * (m + n) as f64);
        }

        /// Theorem: multiplicative-perturbation.
        #[test]
        fn rescaled_rows_and_columns_move_every_value_relatively(n in 1usize..7, grade in 0i32..60, seed: u64) {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            // diagonal, so that tiny values are known to their last digits
            let a: Vec<f64> = (0..n).map(|i| 2f64.powi(-grade * i as i32 / 6) * (1.0 + rng.random::<f64>())).collect();
            let d: Vec<f64> = (0..n).map(|_| 0.5 + rng.random::<f64>()).collect();
            let mut b: Vec<f64> = a.iter().zip(&d).map(|(a, d)| a * d).collect();
            b.sort_by(|x, y| y.total_cmp(x));
            let mut a = a;
            a.sort_by(|x, y| y.total_cmp(x));
            let ends = d.iter().fold((f64::INFINITY, 0.0f64), |(l, h), d| (l.min(*d), h.max(*d)));
            let (lo, hi) = multiplicative((ends.0.ln(), ends.1.ln()), (0.0, 0.0));
            for (x, y) in a.iter().zip(&b) {
                let moved = (y / x).ln();
                prop_assert!(moved >= lo - 1e-13 && moved <= hi + 1e-13);
            }
        }
    }

    #[test]
    fn the_bounds_are_attained_and_a_larger_change_is_noticed() {
        assert_eq!(weyl(3.0, 1.0), (2f64.next_down(), 4f64.next_up()));
        assert_eq!(mirsky_excess(&[3.0, 1.0], &[4.0, 1.0], 1.0), 0.0);
        assert!(mirsky_excess(&[3.0, 1.0], &[4.1, 1.0], 1.0) > 0.09);
        let e = |x: f64| Enclosure::point(x, 0).unwrap();
        let (lo, hi) = cond_after(&e(8.0), &e(2.0), 1.0).unwrap();
        assert!((lo - 7.0 / 3.0).abs() < 1e-14 && (hi.unwrap() - 9.0).abs() < 1e-14);
        assert_eq!(cond_after(&e(8.0), &e(2.0), 2.0).unwrap().1, None);
        let norm = LogScale::from_ln(1.0).unwrap();
        assert!((scaled(norm, -2.0, 3).ln() - 1.0 - 3.0 * 2f64.ln()).abs() < 1e-14);
    }
}
