//! Steps that overshoot, steps that turn, transients, and what iterations show from below.

use super::structured::{Exact, matrices, squares};
use super::support::{check, check_given, gamma, two};
use isometer::audit::clip::clip;
use isometer::linalg::norms;
use isometer::linalg::symmetric::extreme_eigenvalues;
use isometer::linalg::symmetry::symmetry;
use isometer::linalg::view::MatrixRef;
use isometer::theory::descent::Regime;
use proptest::prelude::*;

fn length(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Descent on a quadratic approaches below `1/h`, overshoots between `1/h` and `2/h`, and diverges above.
///
/// Theorem: overshoot-interval.
mod descent_overshoots_between_one_and_two_over_the_curvature {
    use super::*;

    /// The error after each of a few steps, exactly: `step` and `h` are small integers over 16.
    fn errors(step: i64, h: i64) -> Vec<i128> {
        // error times 256^t
        let factor = i128::from(256 - step * h);
        (0..8)
            .scan(1i128, |x, _| {
                *x *= factor;
                Some(*x)
            })
            .collect()
    }

    fn grows(e: &[i128]) -> std::cmp::Ordering {
        let last = e[7].unsigned_abs();
        last.cmp(&(256u128.pow(8)))
    }

    fn right(step: i64, h: i64) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let e = errors(step, h);
        let alternates = e[0] < 0;
        let regime = Regime::of(step as f64 / 16.0, h as f64 / 16.0);
        match regime {
            Regime::Exact => e[0] == 0,
            Regime::Approaches => grows(&e) == Less && !alternates,
            Regime::Overshoots => grows(&e) == Less && alternates,
            Regime::Bounces => grows(&e) == Equal && alternates,
            Regime::Diverges => grows(&e) == Greater && alternates,
            Regime::Flat | Regime::Escapes => false,
        }
    }

    #[test]
    fn holds() {
        check((1i64..64, 1i64..64), |(step, h)| {
            prop_assert!(right(step, h));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // one unit in the last place beside the ends
        for h in [1.0f64, 3.0, 0.1, 1e300, 1e-300] {
            let at = |x: f64| Regime::of(x, h);
            let below = (2.0 / h).next_down().next_down();
            let above = (2.0 / h).next_up().next_up();
            assert_eq!(
                (at(below), at(above)),
                (Regime::Overshoots, Regime::Diverges)
            );
        }
        assert_eq!(
            (Regime::of(0.5, 2.0), Regime::of(0.5, 4.0)),
            (Regime::Exact, Regime::Bounces)
        );
    }

    #[test]
    fn notices() {
        assert!(right(20, 20));
        // 20 * 20 / 256 is above 1: it does not approach
        assert_ne!(Regime::of(20.0 / 16.0, 20.0 / 16.0), Regime::Approaches);
        assert_eq!(
            (Regime::of(1.0, 0.0), Regime::of(1.0, -1.0)),
            (Regime::Flat, Regime::Escapes)
        );
    }
}

/// A factor common to all layers keeps ratios and direction; it cannot make a learning rate converge.
///
/// Theorem: common-factor-keeps-ratios.
mod a_common_factor_keeps_ratios_between_layers {
    use super::*;

    fn pair(a: &Exact, b: &Exact, c: f64) -> (f64, Option<f64>, Option<f64>) {
        a.view(|a| {
            b.view(|b| {
                let clipped = clip(&[*a, *b], c).expect("finite");
                (
                    clipped.factor,
                    clipped.global.angle,
                    clipped.per_tensor.angle,
                )
            })
        })
    }

    #[test]
    fn holds() {
        check((matrices(4), matrices(4), -8i32..9), |(a, b, e)| {
            let (factor, angle, _) = pair(&a, &b, 2f64.powi(e));
            prop_assert!(factor > 0.0 && factor <= 1.0);
            prop_assert!(angle.is_none_or(|angle| angle == 0.0));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // one factor for each layer turns the step, by the angle of (3, 4) and (1, 1)
        let (a, b) = (Exact::identity(1).scaled(3), Exact::identity(1).scaled(4));
        let (factor, _, turned) = pair(&a, &b, 1.0);
        assert!((factor - 0.2).abs() < 1e-16);
        let angle = (7.0 / (5.0 * 2f64.sqrt())).acos();
        assert!((turned.expect("not zero") - angle).abs() < 1e-9);
    }

    #[test]
    fn notices() {
        // clipped descent beyond 2/h: within the threshold a step multiplies the error by less than -1
        let (h, eta, c) = (1.0f64, 2.5f64, 0.1);
        let mut x = 1e-6f64;
        for _ in 0..1000 {
            let g = h * x;
            x -= eta * g * (c / g.abs()).min(1.0);
        }
        assert!(x.abs() > 0.5 * c / h, "it does not converge");
        let mut y = 1e-6f64;
        for _ in 0..1000 {
            let g = h * y;
            y -= 1.5 * g * (c / g.abs()).min(1.0);
        }
        assert!(y.abs() < 1e-12, "a rate below 2/h does");
    }
}

/// Powers of a normal matrix decay with its spectral radius; others may grow first.
///
/// Theorem: non-normal-transient.
mod a_spectral_radius_below_one_does_not_stop_a_transient {
    use super::*;

    /// Norms of the first powers of an integer matrix over `2^e`.
    fn powers(w: &Exact, count: usize) -> Vec<f64> {
        let mut p = w.clone();
        let mut norms = vec![two(&p).hi];
        for _ in 1..count {
            p = p.times(w);
            norms.push(two(&p).hi);
        }
        norms
    }

    #[test]
    fn holds() {
        // symmetric matrices: |W^t| = |W|^t
        check(prop::collection::vec(-3i64..4, 5), |x| {
            let w = Exact::from_fn(3, 3, |i, j| x[i + j]);
            let norm = powers(&w, 5);
            for (t, p) in norm.iter().enumerate() {
                let expected = norm[0].powi(t as i32 + 1);
                prop_assert!((p - expected).abs() <= 1e-11 * expected);
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // [[1/2, 8], [0, 1/2]]: entry t 2^(1-t) 8 of the t-th power
        let mut w = Exact::from_fn(2, 2, |i, j| [[1, 16], [0, 1]][i][j]);
        w.exponent = -1;
        for (t, p) in powers(&w, 9).iter().enumerate() {
            let t = t as i32 + 1;
            let entry = f64::from(t) * 2f64.powi(1 - t) * 8.0;
            assert!(*p >= entry && *p <= entry + 2.0 * 2f64.powi(-t), "{t}");
        }
    }

    #[test]
    fn notices() {
        // spectral radius 0.9, coupling 50: beyond 190 at the tenth power, against 0.9^10
        let (mut p, w) = ([0.9, 50.0, 0.0, 0.9], [0.9, 50.0, 0.0, 0.9]);
        for _ in 1..10 {
            p = [
                p[0] * w[0] + p[1] * w[2],
                p[0] * w[1] + p[1] * w[3],
                p[2] * w[0] + p[3] * w[2],
                p[2] * w[1] + p[3] * w[3],
            ];
        }
        let norm = norms::two(&MatrixRef::row_major(&p, 2, 2).expect("2 x 2")).expect("finite");
        assert!(norm.lo().ln() > 190f64.ln() && 0.9f64.powi(10) < 0.35);
    }
}

/// Power iteration approaches a norm from below and never decreases.
///
/// Theorem: power-iteration-is-a-lower-bound.
mod power_iteration_stays_below_the_norm {
    use super::*;

    fn estimates(a: &Exact, steps: usize) -> Vec<f64> {
        let (m, n) = (a.rows, a.cols);
        let mut v: Vec<f64> = (0..n).map(|j| 1.0 + j as f64 / 7.0).collect();
        let mut found = Vec::new();
        for _ in 0..steps {
            let size = length(&v);
            if size == 0.0 {
                break;
            }
            v.iter_mut().for_each(|x| *x /= size);
            let u: Vec<f64> = (0..m)
                .map(|i| (0..n).map(|j| a.at(i, j) * v[j]).sum())
                .collect();
            found.push(length(&u));
            v = (0..n)
                .map(|j| (0..m).map(|i| a.at(i, j) * u[i]).sum())
                .collect();
        }
        found
    }

    /// Relative rounding of one estimate, entries that cancel included: relative to the Frobenius norm.
    fn slack(a: &Exact) -> f64 {
        gamma(4 * (a.rows + a.cols + 8)) * length(&a.doubles())
    }

    #[test]
    fn holds() {
        check(matrices(6), |a| {
            let (found, norm, slack) = (estimates(&a, 6), two(&a), slack(&a));
            prop_assert!(found.iter().all(|e| *e <= norm.hi + slack));
            for pair in found.windows(2) {
                // an estimate near zero is dominated by rounding
                prop_assert!(
                    pair[1] >= pair[0] - 8.0 * slack * (norm.hi / pair[0].max(slack)).powi(2)
                );
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        let flat = Exact::from_fn(4, 4, |_, _| 1);
        let last = estimates(&flat, 3)[2];
        assert!((last - 4.0).abs() < 1e-14);
    }

    #[test]
    fn notices() {
        // two values a per cent apart: ten steps are still visibly below
        let a = Exact::from_fn(2, 2, |i, j| if i == j { [100, 101][i] } else { 0 });
        let last = estimates(&a, 10)[9];
        assert!(last < two(&a).lo - 1e-3);
    }
}

/// Sorting rows by one component misses no near copy.
///
/// Theorem: projection-window.
mod a_window_along_one_direction_misses_no_copy {
    use super::*;

    const WIDTH: usize = 4;

    /// Rows that repeat an earlier one up to sign, by comparing all pairs.
    fn by_pairs(x: &[f64], tolerance: f64) -> Vec<usize> {
        let rows: Vec<&[f64]> = x.chunks(WIDTH).collect();
        let mut taken = vec![false; rows.len()];
        for i in 0..rows.len() {
            if taken[i] {
                continue;
            }
            for j in i + 1..rows.len() {
                let apart = |s: f64| {
                    let d: Vec<f64> = rows[i]
                        .iter()
                        .zip(rows[j])
                        .map(|(a, b)| a - s * b)
                        .collect();
                    length(&d)
                };
                let allowed = tolerance * length(rows[i]).max(length(rows[j]));
                taken[j] |= apart(1.0).min(apart(-1.0)) <= allowed;
            }
        }
        (0..rows.len()).filter(|i| taken[*i]).collect()
    }

    fn by_window(x: &[f64], tolerance: f64) -> Vec<usize> {
        let view = MatrixRef::row_major(x, x.len() / WIDTH, WIDTH).expect("a matrix");
        let found = symmetry(&view, None, tolerance).expect("finite");
        found.copies.iter().map(|c| c.second).collect()
    }

    #[test]
    fn holds() {
        let rows = prop::collection::vec((0usize..3, any::<bool>(), -2e-3f64..2e-3), 2..24);
        check(
            (prop::collection::vec(-1.0f64..1.0, 3 * WIDTH), rows),
            |(base, rows)| {
                let row = |(k, flip, noise): &(usize, bool, f64)| -> Vec<f64> {
                    let factor = if *flip { -1.0 - noise } else { 1.0 + noise };
                    base[k * WIDTH..][..WIDTH]
                        .iter()
                        .map(|v| factor * v)
                        .collect()
                };
                let x: Vec<f64> = rows.iter().flat_map(row).collect();
                prop_assert_eq!(by_window(&x, 1e-3), by_pairs(&x, 1e-3));
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // just within the tolerance
        let x = [1.0, 0.0, 0.0, 0.0, 1.0, 1e-3 * (1.0 - 1e-6), 0.0, 0.0];
        assert_eq!(by_window(&x, 1e-3), [1]);
    }

    #[test]
    fn notices() {
        // just outside, and one bit apart where exactness is asked for
        let x = [1.0, 0.0, 0.0, 0.0, 1.0, 1e-3 * (1.0 + 1e-5), 0.0, 0.0];
        assert!(by_window(&x, 1e-3).is_empty());
        let y = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4f64.next_up()];
        assert!(by_window(&y, 0.0).is_empty() && by_window(&y, 1e-15) == [1]);
    }
}

/// Eigenvalues of a symmetric matrix are singular values of a shifted one, less the shift: signs are told apart.
///
/// Theorem: shifted-eigenvalues.
mod a_shift_turns_eigenvalues_into_singular_values {
    use super::*;

    fn symmetrised(a: &Exact) -> Exact {
        let mut s = Exact::from_fn(a.rows, a.rows, |i, j| a.get(i, j) + a.get(j, i));
        s.exponent = a.exponent;
        s
    }

    /// Extreme eigenvalues by another library, with its error.
    fn truth(a: &Exact) -> Option<(f64, f64, f64)> {
        let m = super::super::support::foreign(a);
        let size = m.norm();
        let e = nalgebra::SymmetricEigen::try_new(m, f64::EPSILON, 10_000)?;
        let error = gamma(64 * (a.rows + 10)) * size;
        Some((e.eigenvalues.min(), e.eigenvalues.max(), error))
    }

    #[test]
    fn holds() {
        check_given(5, squares(6), |a| {
            let a = symmetrised(&a);
            let (least, greatest, error) = truth(&a)?;
            let found = a.view(|v| extreme_eigenvalues(v).expect("symmetric"));
            Some((|| {
                prop_assert!(
                    found.smallest.lo - error <= least && least <= found.smallest.hi + error
                );
                prop_assert!(
                    found.largest.lo - error <= greatest && greatest <= found.largest.hi + error
                );
                Ok(())
            })())
        });
    }

    #[test]
    fn tight() {
        // eigenvalues -3 and 5, told with their signs
        let a = Exact::from_fn(2, 2, |i, j| if i == j { 1 } else { 4 });
        let found = a.view(|v| extreme_eigenvalues(v).expect("symmetric"));
        assert!(
            (found.smallest.value + 3.0).abs() < 1e-13 && (found.largest.value - 5.0).abs() < 1e-13
        );
        assert!(found.smallest.hi - found.smallest.lo < 1e-11);
    }

    #[test]
    fn notices() {
        // singular values alone would say 3 and 5; asymmetry is refused
        let a = Exact::from_fn(2, 2, |i, j| if i == j { 1 } else { 4 });
        let found = a.view(|v| extreme_eigenvalues(v).expect("symmetric"));
        assert!(found.smallest.hi < 0.0);
        let skew = Exact::from_fn(2, 2, |i, j| [[1, 4], [5, 1]][i][j]);
        assert!(skew.view(|v| extreme_eigenvalues(v).is_err()));
    }
}
