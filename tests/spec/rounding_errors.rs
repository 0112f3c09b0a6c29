//! What floating-point arithmetic commits, against the same computation in integers.

use super::support::{check, gamma};
use dashu_int::IBig;
use dashu_int::ops::Abs;
use faer::Mat;
use isometer::linalg::dd::{DD_EPS, Dd, quick_two_sum, two_prod, two_sum};
use isometer::linalg::parts;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `x 2^e` as an integer; every bit of `x` must lie above `2^-e`.
fn int(x: f64, e: i32) -> IBig {
    if x == 0.0 {
        return IBig::ZERO;
    }
    let bits = x.abs().to_bits();
    let biased = (bits >> 52) as i32;
    assert!(biased > 0 && biased < 2047, "{x} is subnormal");
    let mantissa = (bits & ((1 << 52) - 1)) | 1 << 52;
    let shift = biased - 1075 + e;
    assert!(shift >= 0, "{x} has bits below 2^-{e}");
    let n = IBig::from(mantissa) << shift as usize;
    if x < 0.0 { -n } else { n }
}

/// Is `|error| <= factor * size`? `factor` is a double, everything else in one unit.
fn within(error: &IBig, factor: f64, size: &IBig) -> bool {
    (error.clone().abs() << 400usize) <= int(factor, 400) * size
}

/// Numbers of very different magnitudes.
fn vector(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| rng.random_range(-1.0..1.0) * 2f64.powi(rng.random_range(-30..30)))
        .collect()
}

fn exact_dot(x: &[f64], y: &[f64]) -> (IBig, IBig) {
    let (mut sum, mut size) = (IBig::ZERO, IBig::ZERO);
    for (a, b) in x.iter().zip(y) {
        let p = int(*a, 400) * int(*b, 400);
        size += p.clone().abs();
        sum += p;
    }
    (sum, size)
}

/// `|fl(x.y) - x.y| <= gamma_n |x|.|y|`, in any order of summation.
///
/// Theorem: dot-product-error.
mod a_dot_product_errs_by_at_most_gamma_n {
    use super::*;

    #[test]
    fn holds() {
        check((1..90usize, any::<u64>()), |(n, seed)| {
            let (x, y) = (vector(n, seed), vector(n, !seed));
            let (sum, size) = exact_dot(&x, &y);
            let column = Mat::from_fn(n, 1, |i, _| x[i]);
            let row = Mat::from_fn(1, n, |_, j| y[j]);
            let backward: f64 = x.iter().zip(&y).rev().map(|(a, b)| a * b).sum();
            let routes = [
                parts::dot(&x, &y),
                parts::product(row.as_ref(), column.as_ref())[(0, 0)],
                backward,
            ];
            for found in routes {
                let error = int(found, 800) - &sum;
                prop_assert!(within(&error, parts::gamma(n), &size));
            }
            prop_assert!(
                parts::gamma(n) >= gamma(n) && parts::gamma(n) <= gamma(n) * (1.0 + 1e-12)
            );
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // 1 + u/2-sized terms one after the other: each addition loses all it can, u of the sum
        let n = 1000;
        let tiny = f64::EPSILON / 2.0;
        let (x, y) = (
            vec![1.0; n],
            (0..n)
                .map(|k| if k == 0 { 1.0 } else { tiny })
                .collect::<Vec<_>>(),
        );
        let found: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
        let (sum, size) = exact_dot(&x, &y);
        let error = int(found, 800) - &sum;
        assert!(within(&error, gamma(n), &size) && !within(&error, 0.99 * gamma(n - 1), &size));
    }

    #[test]
    fn notices() {
        // one rounding for the whole sum is too few for plain summation
        let x = [1.0, 2f64.powi(-53), 2f64.powi(-53), 2f64.powi(-53)];
        let y = [1.0; 4];
        let found: f64 = x.iter().sum();
        let (sum, size) = exact_dot(&x, &y);
        assert!(!within(&(int(found, 800) - sum), f64::EPSILON / 2.0, &size));
    }
}

/// What rounding takes from a sum or product of two numbers is itself a number, and found.
///
/// Theorem: error-free-transformations.
mod the_error_of_one_operation_is_computed_exactly {
    use super::*;

    fn numbers() -> impl Strategy<Value = (f64, f64)> {
        (any::<u64>(), 0..2usize)
            .prop_map(|(seed, k)| (vector(2, seed)[k], vector(2, !seed)[1 - k]))
    }

    #[test]
    fn holds() {
        check(numbers(), |(a, b)| {
            let (s, e) = two_sum(a, b);
            prop_assert_eq!(int(s, 400) + int(e, 400), int(a, 400) + int(b, 400));
            prop_assert_eq!(s, a + b);
            let (p, e) = two_prod(a, b);
            prop_assert_eq!(int(p, 800) + int(e, 800), int(a, 400) * int(b, 400));
            let (big, small) = if a.abs() >= b.abs() { (a, b) } else { (b, a) };
            prop_assert_eq!(quick_two_sum(big, small), two_sum(a, b));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // the error reaches half a unit in the last place
        let (s, e) = two_sum(1.0, f64::EPSILON / 2.0);
        assert_eq!((s, e), (1.0, f64::EPSILON / 2.0));
        let x = 1.0 + f64::EPSILON;
        assert_eq!(
            two_prod(x, x),
            (1.0 + 2.0 * f64::EPSILON, f64::EPSILON * f64::EPSILON)
        );
    }

    #[test]
    fn notices() {
        // the quick form needs the larger number first
        let (a, b) = (1.0, 2f64.powi(60) + 2f64.powi(9));
        let (s, e) = quick_two_sum(a, b);
        assert_ne!(int(s, 400) + int(e, 400), int(a, 400) + int(b, 400));
        // and the product errs once its error underflows
        let tiny = 2f64.powi(-537) * (1.0 + f64::EPSILON);
        assert_eq!(two_prod(tiny, tiny).1, 0.0);
    }
}

/// Sums, products and quotients of pairs of doubles have relative errors of a few `u^2`.
///
/// Theorem: double-double-error.
mod double_double_operations_obey_their_bounds {
    use super::*;

    fn pairs() -> impl Strategy<Value = (Dd, Dd)> {
        (any::<u64>(), 0..4u8, -999i64..999, -999i64..999).prop_map(|(seed, kind, k, l)| {
            let v = vector(2, seed);
            let tail = |hi: f64, k: i64| Dd {
                hi: hi + 0.0,
                lo: hi * 2f64.powi(-64) * k as f64,
            };
            let second = match kind {
                0 => -v[0],
                1 => (-v[0]).next_up(),
                _ => v[1],
            };
            (tail(v[0], k), tail(second, l))
        })
    }

    fn exact(x: Dd) -> IBig {
        int(x.hi, 600) + int(x.lo, 600)
    }

    #[test]
    fn holds() {
        check(pairs(), |(x, y)| {
            let u2 = 2f64.powi(-106);
            let truth = exact(x) + exact(y);
            prop_assert!(within(
                &(exact(x + y) - &truth),
                4.0 * u2,
                &truth.clone().abs()
            ));
            let truth = exact(x) * exact(y);
            let found = exact(x * y) << 600usize;
            prop_assert!(within(&(found - &truth), 5.0 * u2, &truth.clone().abs()));
            // x/y times y is x
            let found = exact(x / y) * exact(y);
            let truth = exact(x) << 600usize;
            prop_assert!(within(&(found - &truth), 8.0 * u2, &truth.clone().abs()));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // no operation is exact to 2^-112: a bound of that size would be wrong
        let x = Dd::ONE / Dd::from(3.0);
        let off = x * Dd::from(3.0) - Dd::ONE;
        assert!(off.abs().hi <= DD_EPS);
        let three = exact(x) * IBig::from(3) - (IBig::ONE << 600usize);
        assert!(three != IBig::ZERO && !within(&three, 2f64.powi(-112), &(IBig::ONE << 600usize)));
    }

    #[test]
    fn notices() {
        // plain products are outside by far
        let third = Dd::ONE / Dd::from(3.0);
        let truth = exact(third) * exact(third);
        let plain = int(third.hi * third.hi, 1200);
        assert!(!within(
            &(plain - &truth),
            1e6 * DD_EPS,
            &truth.clone().abs()
        ));
    }
}

/// Matrix times vector in twice the working precision.
///
/// Theorem: compensated-product-error.
mod a_compensated_product_errs_by_the_square_of_the_roundoff {
    use super::*;

    /// Largest error of an entry over `sum |a_i v_i|`, as a check against a factor.
    fn entries_within(m: usize, n: usize, seed: u64, factor: f64) -> bool {
        let data = vector(m * n, seed);
        let a = Mat::from_fn(m, n, |i, j| data[i * n + j]);
        let v = vector(n, !seed);
        let y = parts::apply(
            &a,
            &parts::DdVec::from_f64(v.clone()),
            parts::frobenius_up(&a),
        );
        (0..m).all(|i| {
            let (sum, size) = exact_dot(&data[i * n..(i + 1) * n], &v);
            let found = y.vector.get(i);
            let error = int(found.hi, 800) + int(found.lo, 800) - sum;
            within(&error, factor, &size)
        })
    }

    fn claimed(n: usize) -> f64 {
        4.0 * ((n + 4) as f64).powi(2) * 2f64.powi(-106)
    }

    #[test]
    fn holds() {
        check((1..20usize, 1..40usize, any::<u64>()), |(m, n, seed)| {
            prop_assert!(entries_within(m, n, seed, claimed(n)));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // the square of the roundoff is the right order: some error exceeds a hundredth of u^2
        let reached = (0..200).any(|seed| !entries_within(8, 40, seed, 2f64.powi(-113)));
        assert!(reached);
    }

    #[test]
    fn notices() {
        // cancellation that plain arithmetic does not survive
        let a = Mat::from_fn(1, 3, |_, j| [1e16, 1.0, -1e16][j]);
        let v = parts::DdVec::from_f64(vec![1.0; 3]);
        let y = parts::apply(&a, &v, parts::frobenius_up(&a));
        assert_eq!(y.vector.get(0).hi, 1.0);
        assert_ne!(1e16 + 1.0 - 1e16, 1.0);
        assert!(y.error < 1e-13, "{}", y.error);
    }
}
