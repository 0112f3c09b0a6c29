//! Condition numbers, by proved enclosures.

use super::structured::{Exact, Structure, draws, matrices, squares};
use super::support::{Limits, check, check_given, cond, conditioning, second_opinion};
use isometer::linalg::condition::{ConditionOptions, condition};
use isometer::linalg::norms::Norm;
use isometer::linalg::product::{ProductOptions, spectrum};
use proptest::prelude::*;

/// In every norm: `cond(A) >= 1`, with equality in the spectral norm for multiples of isometries alone.
///
/// Theorem: condition-at-least-one.
mod a_condition_number_is_at_least_one {
    use super::*;

    #[test]
    fn holds() {
        check(squares(6), |a| {
            for norm in [Norm::Two, Norm::One, Norm::Inf, Norm::Frobenius] {
                let options = ConditionOptions {
                    norm,
                    ..Default::default()
                };
                let c = a.view(|v| condition(v, &options)).unwrap().cond.enclosure;
                prop_assert!(c.scaled().2.is_infinite() || c.hi().ln() >= 0.0, "{c:?}");
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        check((draws(), 1..=6usize, 1..=6usize), |(mut draw, m, n)| {
            draw.structure = Structure::Isometry;
            let c = cond(&draw.build(m, n));
            prop_assert!(c.lo <= 1.0 && c.hi <= 1.0 + 1e-12, "{:?}", c);
            Ok(())
        });
    }

    #[test]
    fn notices() {
        // one singular value off by a part in 2^20 is not an isometry
        let d = [1 << 20, 1 << 20, (1 << 20) + 1];
        let a = Exact::from_fn(3, 3, |i, j| if i == j { d[i] } else { 0 });
        let c = cond(&a);
        assert!(c.lo > 1.0 && c.contains(1.0 + 2f64.powi(-20)), "{c:?}");
    }
}

/// `cond(c A) = cond(A)` for every `c != 0`.
///
/// Theorem: condition-of-multiples.
mod the_condition_number_is_unchanged_by_a_multiplier {
    use super::*;

    #[test]
    fn holds() {
        check(
            (matrices(6), 1..=999i64, any::<bool>()),
            |(a, c, negative)| {
                let (before, after) = (cond(&a), cond(&a.scaled(if negative { -c } else { c })));
                prop_assert!(before.meets(after), "{:?} {:?}", before, after);
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // a power of two changes nothing at all
        check((matrices(6), -40..=40i32), |(a, e)| {
            let mut b = a.clone();
            b.exponent += e;
            let (before, after) = (cond(&a), cond(&b));
            prop_assert_eq!(before, after);
            Ok(())
        });
    }

    #[test]
    fn notices() {
        // a multiplier on one row is not a multiplier on the matrix
        let a = Exact::identity(3);
        let mut b = a.clone();
        b.entries[0] = 7;
        assert!(!cond(&a).meets(cond(&b)));
        assert!(cond(&b).contains(7.0));
    }
}

/// `cond(AB) <= cond(A) cond(B)` when the width between is neither the largest nor, unless it equals another, the smallest.
///
/// Theorem: condition-of-products.
mod the_condition_number_of_a_product_is_at_most_the_product_of_condition_numbers {
    use super::*;

    fn shapes() -> impl Strategy<Value = (Exact, Exact)> {
        (draws(), draws(), 1..=5usize, 1..=5usize, 1..=5usize).prop_map(|(a, b, x, y, z)| {
            // the width between is the middle one
            let mut w = [x, y, z];
            w.sort_unstable();
            let (m, k, n) = if (x + y + z) % 2 == 0 {
                (w[0], w[1], w[2])
            } else {
                (w[2], w[1], w[0])
            };
            (a.build(m, k), b.build(k, n))
        })
    }

    #[test]
    fn holds() {
        check(shapes(), |(a, b)| {
            let bound = cond(&a).times(cond(&b));
            prop_assert!(!cond(&a.times(&b)).is_above(bound));
            let layers = [b.layer(), a.layer()];
            let s = spectrum(&mut &layers[..], &ProductOptions::default()).unwrap();
            let claimed = s.log2_cond_bound.expect("the shapes allow a bound");
            prop_assert!(claimed.is_infinite() || claimed.exp2() >= bound.lo * (1.0 - 1e-9));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // diagonal matrices sorted alike
        let a = Exact::from_fn(3, 3, |i, j| if i == j { [8, 4, 1][i] } else { 0 });
        let b = Exact::from_fn(3, 3, |i, j| if i == j { [9, 5, 1][i] } else { 0 });
        assert!(cond(&a.times(&b)).contains(72.0));
        assert!(cond(&a.times(&b)).meets(cond(&a).times(cond(&b))));
    }

    #[test]
    fn notices() {
        // a wider width between: both factors are isometries, the product is singular or worse conditioned
        let a = Exact::from_fn(2, 3, |i, j| i64::from(i == j));
        let b = Exact::from_fn(3, 2, |i, j| i64::from(i == 2 - j));
        assert!(cond(&a).hi <= 1.0 + 1e-12 && cond(&b).hi <= 1.0 + 1e-12);
        assert!(cond(&a.times(&b)).lo > 1.0);
        let layers = [b.layer(), a.layer()];
        let s = spectrum(&mut &layers[..], &ProductOptions::default()).unwrap();
        assert_eq!(s.log2_cond_bound, None);
        // a narrower width between: the product is singular
        let (a, b) = (b, a);
        assert_eq!(cond(&a.times(&b)).lo, f64::INFINITY);
        let layers = [b.layer(), a.layer()];
        let s = spectrum(&mut &layers[..], &ProductOptions::default()).unwrap();
        assert_eq!(s.log2_cond_bound, Some(f64::INFINITY));
        // the larger of the two condition numbers is no bound
        let d = Exact::from_fn(2, 2, |i, j| if i == j { [3, 1][i] } else { 0 });
        assert!(cond(&d.times(&d)).is_above(cond(&d)));
    }
}

/// `max(cond A/cond B, cond B/cond A) <= cond(AB)` for square matrices.
///
/// Theorem: condition-of-products-from-below.
mod the_condition_number_of_a_product_is_at_least_their_quotient {
    use super::*;

    #[test]
    fn holds() {
        check_given(60, (squares(5), draws()), |(a, draw)| {
            let b = draw.build(a.rows, a.rows);
            let (ka, kb) = (cond(&a), cond(&b));
            if ka.hi.is_infinite() || kb.hi.is_infinite() {
                return None;
            }
            let whole = cond(&a.times(&b));
            let refuted = ka.over(kb).is_above(whole) || kb.over(ka).is_above(whole);
            Some(if refuted {
                Err(TestCaseError::fail(format!("{ka:?} {kb:?} {whole:?}")))
            } else {
                Ok(())
            })
        });
    }

    #[test]
    fn tight() {
        // an isometry, and an inverse up to a factor
        let d = Exact::from_fn(2, 2, |i, j| if i == j { [6, 1][i] } else { 0 });
        let inverse = Exact::from_fn(2, 2, |i, j| if i == j { [1, 3][i] } else { 0 });
        let whole = cond(&d.times(&inverse));
        assert!(whole.contains(2.0) && cond(&d).over(cond(&inverse)).meets(whole));
    }

    #[test]
    fn notices() {
        // the larger condition number itself is no lower bound
        let d = Exact::from_fn(2, 2, |i, j| if i == j { [6, 1][i] } else { 0 });
        let inverse = Exact::from_fn(2, 2, |i, j| if i == j { [1, 6][i] } else { 0 });
        assert!(cond(&d).is_above(cond(&d.times(&inverse))));
        // nor does the bound survive a bottleneck: the product of a column and a row has one singular value
        let column = Exact::from_fn(1, 2, |_, j| [6, 1][j]);
        let narrow = column.times(&d);
        assert!(cond(&d).over(cond(&column)).is_above(cond(&narrow)));
    }
}

/// `|sigma_k(A + E) - sigma_k(A)| <= |E|_2`.
///
/// Theorem: singular-value-perturbation.
mod singular_values_move_no_further_than_the_norm_of_a_perturbation {
    use super::super::support::two;
    use super::*;

    fn extremes(a: &Exact) -> [Limits; 2] {
        let [top, bottom, _] = conditioning(a);
        [top, bottom]
    }

    fn distance(a: Limits, b: Limits) -> Limits {
        Limits {
            lo: (a.lo - b.hi).max(b.lo - a.hi).max(0.0),
            hi: (a.hi - b.lo).max(b.hi - a.lo),
        }
    }

    #[test]
    fn holds() {
        check((matrices(6), draws()), |(a, draw)| {
            let mut e = draw.build(a.rows, a.cols);
            e.exponent = a.exponent;
            let mut sum = a.clone();
            for (x, y) in sum.entries.iter_mut().zip(&e.entries) {
                *x += y;
            }
            let allowed = two(&e).hi;
            for (before, after) in extremes(&a).into_iter().zip(extremes(&sum)) {
                prop_assert!(distance(before, after).lo <= allowed.next_up());
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // both ends move by exactly the norm when the perturbation is a multiple of the matrix's isometry
        let a = Exact::from_fn(2, 2, |i, j| if i == j { [5, 3][i] } else { 0 });
        let sum = Exact::from_fn(2, 2, |i, j| if i == j { [7, 5][i] } else { 0 });
        for (before, after) in extremes(&a).into_iter().zip(extremes(&sum)) {
            assert!(distance(before, after).contains(2.0));
        }
    }

    #[test]
    fn notices() {
        // half the norm would not do; and eigenvalues move much further than singular values
        let a = Exact::from_fn(2, 2, |i, j| if i == j { 4 } else { 0 });
        let b = Exact::from_fn(2, 2, |i, j| if i == j { 6 } else { 0 });
        let moved = distance(extremes(&a)[0], extremes(&b)[0]);
        assert!(moved.lo > 0.5 * 2.0);
        // [[0, 64], [1/64, 0]] has eigenvalues +-1, without its small entry both are 0
        let jordan = Exact::from_fn(2, 2, |i, j| if (i, j) == (0, 1) { 4096 } else { 0 });
        let mut nudged = jordan.clone();
        nudged.entries[2] = 1;
        assert!(nudged.times(&nudged) == Exact::identity(2).scaled(4096));
        assert!(jordan.times(&jordan).is_zero());
        let moved = distance(extremes(&jordan)[1], extremes(&nudged)[1]);
        assert!(moved.lo <= 1.0, "sigma_min moves by no more than the entry");
    }
}

/// The prescribed spectrum of `c P diag(d) Q^T` comes back, from this library and from another.
///
/// Theorem: certified-enclosures.
mod a_prescribed_spectrum_is_found_again {
    use super::*;

    fn prescribed() -> impl Strategy<Value = (Exact, Vec<f64>)> {
        let d = prop::collection::vec(0..=99i64, 1..6);
        (d, 0..3usize, any::<u64>(), any::<bool>()).prop_map(|(d, extra, seed, wide)| {
            let (long, short) = (d.len() + extra, d.len());
            let (rows, cols) = if wide { (short, long) } else { (long, short) };
            let (a, c) = Exact::with_spectrum(rows, cols, &d, seed);
            let mut values: Vec<f64> = d.iter().map(|&x| (x * c) as f64).collect();
            values.sort_by(|x, y| y.total_cmp(x));
            (a, values)
        })
    }

    #[test]
    fn holds() {
        check(prescribed(), |(a, values)| {
            let [top, bottom, _] = conditioning(&a);
            prop_assert!(top.contains(values[0]));
            prop_assert!(bottom.contains(values[values.len() - 1]));
            Ok(())
        });
        check_given(1, prescribed(), |(a, values)| {
            let (found, error) = second_opinion(&a)?;
            let agrees = values
                .iter()
                .zip(&found)
                .all(|(x, y)| (x - y).abs() <= error);
            Some(if agrees {
                Ok(())
            } else {
                Err(TestCaseError::fail(format!("{values:?} {found:?}")))
            })
        });
    }

    #[test]
    fn tight() {
        check(prescribed(), |(a, values)| {
            let [top, bottom, _] = conditioning(&a);
            prop_assert!(top.is_narrow(1e-12));
            prop_assert!(
                values[values.len() - 1] > 0.0 || bottom.hi == 0.0,
                "{:?}",
                bottom
            );
            Ok(())
        });
    }

    #[test]
    fn notices() {
        check(prescribed(), |(a, values)| {
            let [top, ..] = conditioning(&a);
            prop_assert!(values[0] == 0.0 || !top.contains(values[0] * (1.0 + 1e-11)));
            Ok(())
        });
    }
}
