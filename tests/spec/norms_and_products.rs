//! Norms of products of matrices of any shapes that fit, against certified norms: a claim is refuted
//! where the proved limits exclude it, and no tolerance enters.

use super::structured::{Exact, chains, matrices, product, squares};
use super::support::{Limits, check, check_given, conditioning, frobenius, second_opinion, two};
use isometer::linalg::product::{ProductOptions, spectrum};
use proptest::prelude::*;

/// The largest of the `n` singular values is a proved norm; another library agrees within its error.
///
/// Theorem: certified-enclosures.
mod the_spectral_norm_is_the_largest_singular_value {
    use super::*;

    #[test]
    fn holds() {
        check_given(1, matrices(8), |a| {
            let (values, error) = second_opinion(&a)?;
            let norm = two(&a);
            let agrees = norm.lo <= values[0] + error && values[0] - error <= norm.hi;
            Some(if agrees {
                Ok(())
            } else {
                Err(TestCaseError::fail(format!("{norm:?} {values:?}")))
            })
        });
    }

    #[test]
    fn tight() {
        check(matrices(8), |a| {
            prop_assert!(two(&a).is_narrow(1e-12), "{:?}", two(&a));
            Ok(())
        });
    }

    #[test]
    fn notices() {
        // sigma_max [[1, 1], [0, 1]] is the golden ratio, not its neighbour in single precision
        let a = Exact::from_fn(2, 2, |i, j| i64::from(j >= i));
        let golden = 0.5 * (1.0 + 5f64.sqrt());
        assert!(two(&a).contains(golden) || two(&a).contains(golden.next_up()));
        assert!(!two(&a).contains(f64::from(golden as f32)));
    }
}

/// `|W_L ... W_1|_F <= |W_L|_F ... |W_1|_F`.
///
/// Theorem: frobenius-submultiplicativity.
mod the_frobenius_norm_of_a_product_is_at_most_the_product_of_norms {
    use super::*;

    fn bound(chain: &[Exact]) -> Limits {
        chain
            .iter()
            .map(frobenius)
            .fold(Limits::point(1.0), Limits::times)
    }

    #[test]
    fn holds() {
        check(chains(6, 3), |chain| {
            let whole = frobenius(&product(&chain));
            prop_assert!(!whole.is_above(bound(&chain)));
            // one factor may be measured by its largest singular value
            let mixed = two(&chain[1]).times(frobenius(&chain[0]));
            let pair = frobenius(&product(&chain[..2]));
            prop_assert!(!pair.is_above(mixed) && !mixed.is_above(bound(&chain[..2])));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // outer products that meet in a common vector: equality up to the rounding of the norms
        check(
            (prop::collection::vec(1..=9i64, 1..6), 1..=9i64, 1..=9i64),
            |(v, x, y)| {
                let n = v.len();
                let below = Exact::from_fn(n, 2, |i, j| v[i] * [x, y][j]);
                let above = Exact::from_fn(2, n, |i, j| v[j] * [y, x][i]);
                let chain = [below, above];
                let ratio = frobenius(&product(&chain)).over(bound(&chain));
                prop_assert!(ratio.contains(1.0) && ratio.is_narrow(1e-13));
                Ok(())
            },
        );
    }

    #[test]
    fn notices() {
        // without one of the factors, or with a bound one part in 10^12 smaller, the claim is refuted
        let chain = [
            Exact::from_fn(3, 1, |i, _| [3, 4, 12][i]),
            Exact::from_fn(1, 3, |_, j| [3, 4, 12][j]),
        ];
        let whole = frobenius(&product(&chain));
        assert!(!whole.is_above(bound(&chain)));
        assert!(whole.is_above(bound(&chain).times(Limits::point(1.0 - 1e-12))));
        assert!(whole.is_above(bound(&chain[..1])));
    }
}

/// `|W_L ... W_1|_2 <= |W_L|_2 ... |W_1|_2`.
///
/// Theorem: operator-norm-submultiplicativity.
mod the_spectral_norm_of_a_product_is_at_most_the_product_of_norms {
    use super::*;

    fn bound(chain: &[Exact]) -> Limits {
        chain
            .iter()
            .map(two)
            .fold(Limits::point(1.0), Limits::times)
    }

    #[test]
    fn holds() {
        check(chains(6, 3), |chain| {
            prop_assert!(!two(&product(&chain)).is_above(bound(&chain)));
            // and as the library states it for products that are never formed
            let layers: Vec<_> = chain.iter().map(Exact::layer).collect();
            let s = spectrum(&mut &layers[..], &ProductOptions::default()).unwrap();
            let claimed = s.log2_norm_bound.expect("factors were asked for");
            prop_assert!(s.log2_norm() - s.log2_error_estimate[0] <= claimed);
            prop_assert!(
                claimed == f64::NEG_INFINITY || claimed.exp2() >= bound(&chain).lo * (1.0 - 1e-15)
            );
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // multiples of orthogonal matrices stretch every direction alike
        check(prop::collection::vec((-2..=2i64, -2..=2i64), 2..4), |vs| {
            let chain: Vec<Exact> = vs
                .iter()
                .map(|&(a, b)| Exact::reflection(3, 3, &[1, a, b]).0)
                .collect();
            let ratio = two(&product(&chain)).over(bound(&chain));
            prop_assert!(ratio.contains(1.0) && ratio.is_narrow(1e-12));
            Ok(())
        });
    }

    #[test]
    fn notices() {
        let (q, c) = Exact::reflection(4, 4, &[1, 2, 0, -1]);
        let square = two(&q.times(&q));
        let claim = (c * c) as f64;
        assert!(square.contains(claim));
        assert!(square.is_above(Limits::point(claim * (1.0 - 1e-12))));
        // the largest entry is not submultiplicative
        let ones = Exact::from_fn(4, 4, |_, _| 1);
        let largest = |a: &Exact| a.entries.iter().copied().max().unwrap();
        assert!(largest(&ones.times(&ones)) > largest(&ones) * largest(&ones));
    }
}

/// `|AB| >= sigma_min(A) |B|` when `A` is square or tall, `>= |A| sigma_min(B)` when `B` is square or wide.
///
/// Theorem: norms-of-products-from-below.
mod a_product_is_no_smaller_than_the_smallest_singular_value_allows {
    use super::*;

    #[test]
    fn holds() {
        check(chains(5, 2), |chain| {
            let (b, a) = (&chain[0], &chain[1]);
            let ab = product(&chain);
            let least = |m: &Exact| conditioning(m)[1];
            for norm in [frobenius, two] {
                if a.rows >= a.cols {
                    prop_assert!(!least(a).times(norm(b)).is_above(norm(&ab)));
                }
                if b.cols >= b.rows {
                    prop_assert!(!norm(a).times(least(b)).is_above(norm(&ab)));
                }
            }
            if a.rows >= a.cols && b.rows >= b.cols {
                prop_assert!(!least(a).times(least(b)).is_above(least(&ab)));
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // B made of the last right singular vector of A
        let (a, c) = Exact::with_spectrum(4, 3, &[5, 3, 2], 3);
        let (q, d) = {
            // the same right factor: A^T A has it, so A's columns in its basis are orthogonal
            let gram = a.transposed().times(&a);
            let shifted = Exact::from_fn(3, 3, |i, j| {
                gram.get(i, j) - if i == j { 25 * c * c } else { 0 }
            });
            let again = Exact::from_fn(3, 3, |i, j| {
                gram.get(i, j) - if i == j { 9 * c * c } else { 0 }
            });
            // both other eigenvectors removed
            (shifted.times(&again), 0)
        };
        assert_eq!(d, 0);
        let column = (0..3).find(|&j| (0..3).any(|i| q.get(i, j) != 0)).unwrap();
        let common = (0..3).map(|i| q.get(i, column).unsigned_abs()).fold(0, gcd) as i64;
        let b = Exact::from_fn(3, 1, |i, _| q.get(i, column) / common);
        let ratio = two(&a.times(&b)).over(conditioning(&a)[1].times(two(&b)));
        assert!(ratio.contains(1.0) && ratio.is_narrow(1e-12), "{ratio:?}");
    }

    fn gcd(a: u64, b: u64) -> u64 {
        if b == 0 { a } else { gcd(b, a % b) }
    }

    #[test]
    fn notices() {
        // a wide A annihilates what it does not see, although its one singular value is 1
        let a = Exact::from_fn(1, 2, |_, j| i64::from(j == 0));
        let b = Exact::from_fn(2, 1, |i, _| i64::from(i == 1));
        let claim = conditioning(&a)[1].times(frobenius(&b));
        assert!(claim.is_above(frobenius(&a.times(&b))));
        // the largest singular value in the place of the smallest is refuted
        let d = Exact::from_fn(2, 2, |i, j| if i == j { [3, 1][i] } else { 0 });
        let e = Exact::from_fn(2, 1, |i, _| i64::from(i == 1));
        assert!(
            !conditioning(&d)[1]
                .times(two(&e))
                .is_above(two(&d.times(&e)))
        );
        assert!(two(&d).times(two(&e)).is_above(two(&d.times(&e))));
    }
}

/// `|A|_2 <= sqrt(|A|_1 |A|_inf)`.
///
/// Theorem: spectral-norm-by-sums.
mod the_spectral_norm_is_at_most_the_root_of_row_and_column_sums {
    use super::*;
    use isometer::linalg::norms;

    fn bound(a: &Exact) -> Limits {
        a.view(|v| {
            let (one, inf) = (norms::one(v).unwrap(), norms::inf(v).unwrap());
            Limits::from(one).times(inf.into()).sqrt()
        })
    }

    #[test]
    fn holds() {
        check(matrices(8), |a| {
            prop_assert!(!two(&a).is_above(bound(&a)));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // non-negative with equal row sums and equal column sums
        for (m, n) in [(1, 1), (2, 5), (7, 3)] {
            let a = Exact::from_fn(m, n, |_, _| 3);
            let ratio = two(&a).over(bound(&a));
            assert!(ratio.contains(1.0) && ratio.is_narrow(1e-12));
        }
    }

    #[test]
    fn notices() {
        // either sum alone is no bound
        let column = Exact::from_fn(4, 1, |_, _| 1);
        column.view(|v| {
            let inf = Limits::from(norms::inf(v).unwrap());
            assert!(two(&column).is_above(inf));
        });
        let row = column.transposed();
        row.view(|v| assert!(two(&row).is_above(norms::one(v).unwrap().into())));
        // and the root of a slightly smaller product is refuted for a matrix of ones
        let ones = Exact::from_fn(3, 3, |_, _| 1);
        assert!(two(&ones).is_above(bound(&ones).times(Limits::point(1.0 - 1e-12))));
    }
}

/// Eigenvalues of a product are not bounded by products of eigenvalues; singular values bound them.
///
/// Theorem: eigenvalues-of-products.
mod eigenvalues_of_a_product_can_exceed_every_product_of_eigenvalues {
    use super::*;

    fn trace(a: &Exact) -> i64 {
        (0..a.rows).map(|i| a.get(i, i)).sum()
    }

    #[test]
    fn holds() {
        // the bound that is true: |trace AB| <= n |A| |B|, and so for every eigenvalue by itself
        check((squares(5), any::<u64>()), |(a, seed)| {
            let draw = super::super::structured::Draw {
                structure: super::super::structured::Structure::Integers,
                grade: 0,
                seed,
            };
            let b = draw.build(a.rows, a.rows);
            let ab = a.times(&b);
            let size = trace(&ab).unsigned_abs() as f64 * 2f64.powi(ab.exponent);
            let bound = two(&a).times(two(&b)).times(Limits::point(a.rows as f64));
            prop_assert!(!Limits::point(size).is_above(bound));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // A = [[0, 2], [0, 0]], B = A^T: both have eigenvalue 0 alone, AB has 4 = |A| |B|
        let a = Exact::from_fn(2, 2, |i, j| if (i, j) == (0, 1) { 2 } else { 0 });
        let b = a.transposed();
        assert!(a.times(&a).is_zero() && b.times(&b).is_zero());
        let ab = a.times(&b);
        let e = Exact::from_fn(2, 1, |i, _| i64::from(i == 0));
        assert_eq!(ab.times(&e), e.scaled(4));
        assert!(two(&a).times(two(&b)).contains(4.0));
    }

    #[test]
    fn notices() {
        // for commuting matrices the eigenvalues do multiply: such a pair is no witness
        check(
            (prop::collection::vec(-9..=9i64, 1..6), any::<u64>()),
            |(d, shift)| {
                let n = d.len();
                let a = Exact::from_fn(n, n, |i, j| if i == j { d[i] } else { 0 });
                let b = Exact::from_fn(n, n, |i, j| {
                    if i == j {
                        d[(i + shift as usize % n) % n]
                    } else {
                        0
                    }
                });
                let radius = |m: &Exact| (0..n).map(|i| m.get(i, i).abs()).max().unwrap();
                prop_assert!(radius(&a.times(&b)) <= radius(&a) * radius(&b));
                Ok(())
            },
        );
    }
}
