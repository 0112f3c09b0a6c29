//! Ranks, inverses and counts of singular values in integers: right or wrong, without tolerance.

use super::structured::{Exact, draws, matrices, squares};
use super::support::{check, check_given, foreign};
use dashu_int::IBig;
use isometer::linalg::exact::IntegerMatrix;
use isometer::linalg::singular::singular_values;
use proptest::prelude::*;

const BUDGET: u64 = 100_000_000_000;

fn integers(a: &Exact) -> IntegerMatrix {
    a.view(|v| IntegerMatrix::new(v).expect("finite"))
}

/// Rank over the rationals by elimination in fractions, an independent route.
fn rank(a: &Exact) -> usize {
    let mut rows: Vec<Vec<IBig>> = (0..a.rows)
        .map(|i| (0..a.cols).map(|j| IBig::from(a.get(i, j))).collect())
        .collect();
    let mut found = 0;
    for j in 0..a.cols {
        let Some(p) = (found..a.rows).find(|&i| rows[i][j] != IBig::ZERO) else {
            continue;
        };
        rows.swap(found, p);
        let pivot = rows[found].clone();
        for row in &mut rows[found + 1..] {
            let factor = row[j].clone();
            for (x, y) in row.iter_mut().zip(&pivot) {
                *x = &*x * &pivot[j] - y * &factor;
            }
        }
        found += 1;
    }
    found
}

/// The signature of `A^T A - s^2 I` counts the singular values below, at and above `s`.
///
/// Theorem: inertia-counts-singular-values.
mod inertia_counts_the_singular_values_below_a_threshold {
    use super::*;

    #[test]
    fn holds() {
        check((matrices(6), 1..400u32), |(a, s)| {
            let s = f64::from(s) / 4.0;
            let c = integers(&a).count_below(s, 0, BUDGET).unwrap();
            prop_assert_eq!(c.below + c.equal + c.above, a.rows.min(a.cols));
            let plain = a.view(|v| singular_values(v).unwrap());
            let unit = 2f64.powi(plain.exponent as i32);
            let error = plain.error * unit;
            let sure =
                |f: &dyn Fn(f64) -> bool| plain.values.iter().filter(|x| f(**x * unit)).count();
            prop_assert!(
                c.below >= sure(&|x| x + error < s) && c.above >= sure(&|x| x - error > s)
            );
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // at a singular value it says equal
        let d = prop::collection::vec(0..=20i64, 1..6);
        check((d, any::<u64>()), |(d, seed)| {
            let n = d.len();
            let (a, c) = Exact::with_spectrum(n, n, &d, seed);
            for x in &d {
                let found = integers(&a).count_below((x * c) as f64, 0, BUDGET).unwrap();
                prop_assert_eq!(found.equal, d.iter().filter(|y| *y == x).count());
                prop_assert_eq!(found.below, d.iter().filter(|y| *y < x).count());
            }
            Ok(())
        });
    }

    #[test]
    fn notices() {
        // one unit in the last place off, and the value is below or above
        let (a, c) = Exact::with_spectrum(3, 3, &[5, 5, 2], 7);
        let at = (5 * c) as f64;
        let count = |s: f64| integers(&a).count_below(s, 0, BUDGET).unwrap();
        assert_eq!((count(at).below, count(at).equal), (1, 2));
        assert_eq!(
            (count(at.next_up()).below, count(at.next_up()).equal),
            (3, 0)
        );
        assert_eq!(
            (count(at.next_down()).above, count(at.next_down()).equal),
            (2, 0)
        );
        assert!(
            !integers(&a)
                .proves_sigma_max_in(at.next_up(), 2.0 * at, 0, BUDGET)
                .unwrap()
        );
    }
}

/// Fraction-free elimination with symmetric exchanges finds the signature whatever is zero.
///
/// Theorem: fraction-free-elimination.
mod fraction_free_elimination_finds_the_signature {
    use super::*;

    #[test]
    fn holds() {
        // zeros on the diagonal of A^T A - s^2 I: columns of one length s
        check(
            (prop::collection::vec(1..=9i64, 1..6), 1..=9i64),
            |(v, c)| {
                let n = v.len() + 1;
                let (q, s) = Exact::reflection(n, n, &[&[c], &v[..]].concat());
                let found = integers(&q).count_below(s as f64, 0, BUDGET).unwrap();
                prop_assert_eq!((found.below, found.equal, found.above), (0, n, 0));
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // an indefinite block with a zero diagonal: A^T A - I = [[0, 1], [1, 0]] + rank-one part
        let a = Exact::from_fn(3, 2, |i, j| [[1, 1], [0, 0], [0, 0]][i][j]);
        let found = integers(&a).count_below(1.0, 0, BUDGET).unwrap();
        assert_eq!((found.below, found.equal, found.above), (1, 0, 1));
    }

    #[test]
    fn notices() {
        // the number of negative diagonal entries is not the answer: here there is none
        let a = Exact::from_fn(2, 2, |_, _| 1);
        let gram = a.transposed().times(&a);
        assert!((0..2).all(|i| gram.get(i, i) - 1 > 0));
        assert_eq!(integers(&a).count_below(1.0, 0, BUDGET).unwrap().below, 1);
    }
}

/// The rank of an integer matrix, proved through primes.
///
/// Theorem: integer-rank-by-primes.
mod the_rank_modulo_enough_primes_is_the_rank {
    use super::*;

    #[test]
    fn holds() {
        check(matrices(8), |a| {
            prop_assert_eq!(integers(&a).rank(BUDGET).unwrap(), rank(&a));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // every rank up to the smaller side is reached
        for r in 0..=5 {
            let a = Exact::from_fn(5, 7, |i, j| i64::from(i < r && i == j));
            assert_eq!(integers(&a).rank(BUDGET).unwrap(), r);
        }
    }

    #[test]
    fn notices() {
        // floating point sees rank 1 here, the integers do not
        let big = 1i64 << 52;
        let a = Exact::from_fn(2, 2, |i, j| big + i64::from(i == 1 && j == 1));
        assert_eq!(integers(&a).rank(BUDGET).unwrap(), 2);
        let values = a.view(|v| singular_values(v).unwrap());
        assert!(values.values[1] <= values.error);
        // and one entry off by one raises the rank of a product of thin factors
        check((draws(), 2..=5usize), |(draw, n)| {
            let mut draw = draw;
            draw.structure = crate::structured::Structure::LowRank;
            draw.grade = 0;
            let mut a = draw.build(n, n);
            let before = integers(&a).rank(BUDGET).unwrap();
            a.entries[0] += 1;
            let after = integers(&a).rank(BUDGET).unwrap();
            prop_assert!(after == rank(&a) && after.abs_diff(before) <= 1);
            Ok(())
        });
    }
}

/// The inverse of an integer matrix, proved through primes.
///
/// Theorem: exact-inverse-by-primes.
mod the_exact_inverse_times_the_matrix_is_the_identity {
    use super::*;

    #[test]
    fn holds() {
        check_given(65, squares(6), |a| {
            if rank(&a) < a.rows {
                return None;
            }
            let n = a.rows;
            let inverse = integers(&a).inverse(BUDGET).unwrap();
            let mut right = true;
            for i in 0..n {
                for j in 0..n {
                    // entries of one row have exponents of their own: compare with common denominators
                    let mut sum = IBig::ZERO;
                    let low = (0..n).map(|k| inverse.entry(i, k).2).min().unwrap();
                    for k in 0..n {
                        let (num, _, e) = inverse.entry(i, k);
                        sum += (num * IBig::from(a.get(k, j))) << (e - low) as usize;
                    }
                    let e = low + i64::from(a.exponent);
                    let den = inverse.entry(i, 0).1.clone();
                    let (left, one) = if e >= 0 {
                        (sum << e as usize, den)
                    } else {
                        (sum, den << (-e) as usize)
                    };
                    right &= left == if i == j { one } else { IBig::ZERO };
                }
            }
            Some(if right {
                Ok(())
            } else {
                Err(TestCaseError::fail("not the inverse"))
            })
        });
    }

    #[test]
    fn tight() {
        // unimodular matrices have integer inverses: found as integers
        let a = Exact::from_fn(5, 5, |i, j| i64::from(j >= i));
        let inverse = integers(&a).inverse(BUDGET).unwrap().rounded();
        let unit = 2f64.powi(inverse.exponent as i32);
        for (t, x) in inverse.entries.iter().enumerate() {
            let (i, j) = (t / 5, t % 5);
            let truth = f64::from(i8::from(i == j) - i8::from(i + 1 == j));
            assert_eq!(x * unit, truth);
        }
    }

    #[test]
    fn notices() {
        // a singular matrix is refused, also where floating point inverts it
        let a = Exact::from_fn(3, 3, |i, j| (3 * i + j) as i64 + 1);
        assert!(integers(&a).inverse(BUDGET).is_err());
        let scaled = foreign(&a) / 10.0;
        assert!(scaled.try_inverse().is_none_or(|x| x.amax() > 1e14));
        // and a matrix one unit away has an inverse
        let mut b = a.clone();
        b.entries[0] += 1;
        assert!(integers(&b).inverse(BUDGET).is_ok());
    }
}
