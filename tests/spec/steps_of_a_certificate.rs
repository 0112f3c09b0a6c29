//! The inequalities that a certificate is put together from, each by itself.

use super::structured::{Exact, Structure, draws, matrices};
use super::support::{check, check_given, conditioning, gamma, second_opinion};
use faer::Mat;
use isometer::linalg::exact::IntegerMatrix;
use isometer::linalg::norms::Norm;
use isometer::linalg::parts::{self, Problem};
use proptest::prelude::*;

const BUDGET: u64 = 100_000_000_000;

/// The matrix, tall and with its largest entry in `[1/2, 1)`, as the certificates see it.
fn prepared(a: &Exact) -> Option<(Exact, Problem)> {
    let mut a = if a.rows >= a.cols {
        a.clone()
    } else {
        a.transposed()
    };
    let top = a.entries.iter().map(|x| x.unsigned_abs()).max()?;
    if top == 0 {
        return None;
    }
    a.exponent = -(64 - top.leading_zeros() as i32);
    let m = Mat::from_fn(a.rows, a.cols, |i, j| a.at(i, j));
    Some((a, Problem::new(m, 1)))
}

/// Prepared matrices; the zero matrix becomes the identity.
fn problems() -> impl Strategy<Value = Exact> {
    matrices(7).prop_map(|a| {
        let a = if a.is_zero() {
            Exact::identity(a.rows)
        } else {
            a
        };
        prepared(&a).expect("not zero").0
    })
}

fn problem(a: &Exact) -> Problem {
    prepared(a).expect("not zero").1
}

fn integers(a: &Exact) -> IntegerMatrix {
    a.view(|v| IntegerMatrix::new(v).expect("finite"))
}

fn down(x: f64) -> f64 {
    x.max(0.0).sqrt().next_down().max(0.0)
}

fn up(x: f64) -> f64 {
    x.max(0.0).sqrt().next_up()
}

/// `rho <= lambda_1 <= rho + |r|^2/(rho - mu)`, and its mirror image at the other end.
///
/// Theorem: kato-temple.
mod a_rayleigh_quotient_with_a_gap_encloses_its_eigenvalue {
    use super::*;

    /// The quotient of `diag(s)` and a vector.
    fn of(s: &[f64], v: &[f64]) -> parts::Quotient {
        let n = s.len();
        let a = Mat::from_fn(n, n, |i, j| if i == j { s[i] } else { 0.0 });
        let size = parts::frobenius_up(&a);
        parts::quotient(&a, &parts::DdVec::from_f64(v.to_vec()), size).unwrap()
    }

    #[test]
    fn holds() {
        let draws = (1u32..512, 1u32..512, -0.5f64..0.5, -0.5f64..0.5);
        check(draws, |(k, l, x, y)| {
            // squares of multiples of 1/1024 are doubles
            let (a, b) = (f64::from(k.min(l)) / 1024.0, f64::from(k.max(l)) / 1024.0);
            let q = of(&[1.0, a, b], &[1.0, x, y]);
            prop_assert!(q.rho_lo <= q.rho_hi && q.rho_hi <= q.rho_lo * (1.0 + 1e-15));
            if let Some((lo, hi)) = q.largest(b * b) {
                prop_assert!(lo <= 1.0 && 1.0 <= hi);
            }
            if a < b {
                let q = of(&[1.0, a, b], &[x * a, 1.0, y * (b - a)]);
                if let Some((lo, hi)) = q.smallest(b * b) {
                    prop_assert!(lo <= a * a && a * a <= hi);
                }
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // in two dimensions the bound is the eigenvalue itself
        for t in [1e-9, 1e-3, 0.3, 0.7] {
            let (_, hi) = of(&[1.0, 0.5], &[1.0, t]).largest(0.25).unwrap();
            assert!((1.0..1.0 + 1e-12).contains(&hi), "{hi} for {t}");
            let (lo, _) = of(&[1.0, 0.5], &[t / 4.0, 1.0]).smallest(1.0).unwrap();
            assert!((0.25 - 1e-12..=0.25).contains(&lo), "{lo} for {t}");
        }
    }

    #[test]
    fn notices() {
        // with a gap that is not there the bound fails, so the gap has to be proved
        let q = of(&[1.0, 0.5], &[1.0, 0.3]);
        assert!(q.largest(0.1).unwrap().1 < 1.0);
        assert_eq!(q.largest(2.0), None);
        let q = of(&[1.0, 0.5], &[0.1, 1.0]);
        assert!(q.smallest(2.0).unwrap().0 > 0.25);
        assert_eq!(q.smallest(0.1), None);
    }
}

/// The quotients `(Mx)_i/x_i` of a positive vector bound the spectral radius of a non-negative `M`.
///
/// Theorem: collatz-wielandt.
mod quotients_of_a_positive_vector_bound_the_norm {
    use super::*;

    fn moduli(a: &Exact) -> Exact {
        let mut b = a.clone();
        b.entries.iter_mut().for_each(|x| *x = x.abs());
        b
    }

    #[test]
    fn holds() {
        check_given(0, problems(), |a| {
            let p = prepared(&a)?.1;
            let bound = up(parts::collatz_wielandt(&p.a));
            let ok = integers(&moduli(&a)).proves_sigma_max_in(0.0, bound, 0, BUDGET);
            Some(if ok == Ok(true) {
                Ok(())
            } else {
                Err(TestCaseError::fail(format!("{bound}")))
            })
        });
    }

    #[test]
    fn tight() {
        // equal row sums of |A|^T|A|: the vector of ones is the eigenvector
        let a = Exact::from_fn(4, 4, |i, j| ((i + j) % 4) as i64);
        let (scaled, p) = prepared(&a).unwrap();
        let top = conditioning(&scaled)[0];
        let bound = parts::collatz_wielandt(&p.a);
        assert!(bound >= top.lo * top.lo && bound <= top.hi * top.hi * (1.0 + 1e-12));
    }

    #[test]
    fn notices() {
        // the least of the quotients is no bound: for [[1, 1], [0, 1]] they are 1 and 2 of M itself, and of M^T M
        let a = Exact::from_fn(2, 2, |i, j| i64::from(j >= i));
        let (scaled, p) = prepared(&a).unwrap();
        let x = [1.0, 1.0];
        let gram = scaled.transposed().times(&scaled);
        let quotients = [0, 1].map(|i| (gram.at(i, 0) * x[0] + gram.at(i, 1) * x[1]) / x[i]);
        let least = quotients[0].min(quotients[1]);
        assert!(
            !integers(&scaled)
                .proves_sigma_max_in(0.0, up(least), 0, BUDGET)
                .unwrap()
        );
        assert!(parts::collatz_wielandt(&p.a) > least);
    }
}

/// `|fl(A^T A) - A^T A|_2 <= gamma_m | |A|^T|A| |_2`.
///
/// Theorem: gram-error.
mod the_computed_gram_matrix_is_within_its_error {
    use super::*;

    fn worst(a: &Exact, p: &Problem) -> f64 {
        // these products are exact in integers, and in doubles as long as 53 bits hold them
        let exact = a.transposed().times(a);
        let g = p.gram();
        let mut worst = 0f64;
        for i in 0..a.cols {
            for j in 0..=i {
                worst = worst.max((g.lower[(i, j)] - exact.at(i, j)).abs());
            }
        }
        worst
    }

    #[test]
    fn holds() {
        check_given(0, problems(), |a| {
            let p = prepared(&a)?.1;
            Some(if worst(&a, &p) <= p.gram().error {
                Ok(())
            } else {
                Err(TestCaseError::fail("outside"))
            })
        });
    }

    #[test]
    fn tight() {
        // m + 2 roundings of the trace at most: the bound is not loose by more than the order
        check_given(0, problems(), |a| {
            let p = prepared(&a)?.1;
            let limit = 1.01 * gamma(a.rows + 2) * p.frobenius * p.frobenius * a.cols as f64;
            let error = p.gram().error;
            Some(if error > 0.0 && error <= limit {
                Ok(())
            } else {
                Err(TestCaseError::fail(format!("{error:e} {limit:e}")))
            })
        });
    }

    #[test]
    fn notices() {
        // entries of 53 bits make products that round: zero would be a false error
        let mut seen = 0f64;
        for k in 0..40 {
            let x = 0.5 + f64::from(2 * k + 1) * f64::EPSILON;
            let a = Mat::from_fn(3, 1, |i, _| [x, x.next_up(), 0.75][i]);
            let g = Problem::new(a, 1).gram();
            let square = isometer::linalg::dd::Dd::from_product(x, x)
                + isometer::linalg::dd::Dd::from_product(x.next_up(), x.next_up())
                + isometer::linalg::dd::Dd::from(0.5625);
            let off = (square - isometer::linalg::dd::Dd::from(g.lower[(0, 0)]))
                .abs()
                .hi;
            assert!(off <= g.error);
            seen = seen.max(off / g.error);
        }
        assert!(seen > 0.05, "{seen}");
    }
}

/// A Cholesky factorization that runs to completion proves `lambda_min >= -gamma trace`.
///
/// Theorem: cholesky-proves-definiteness.
mod a_completed_cholesky_factorization_proves_definiteness {
    use super::*;

    /// `A^T A - s I` for integers, exactly.
    fn shifted(a: &Exact, s: i64) -> Mat<f64> {
        let gram = a.transposed().times(a);
        Mat::from_fn(a.cols, a.cols, |i, j| {
            gram.at(i, j) - if i == j { s as f64 } else { 0.0 }
        })
    }

    fn integral() -> impl Strategy<Value = Exact> {
        matrices(6).prop_map(|mut a| {
            a.exponent = 0;
            a
        })
    }

    #[test]
    fn holds() {
        check((integral(), 0..60i64), |(a, root)| {
            let s = root * root;
            let m = shifted(&a, s);
            let n = a.cols;
            let trace: f64 = (0..n).map(|i| m[(i, i)].max(0.0)).sum();
            let slack = 1.01 * gamma(n + 1) * trace;
            let done = parts::cholesky_lower(m.clone().as_mut());
            // columns beyond the rows of A have eigenvalue -s
            if done {
                prop_assert!(a.rows >= n || s == 0);
                let least = (s as f64 - slack).max(0.0).sqrt().next_down();
                prop_assert!(integers(&a).count_below(least, 0, BUDGET).unwrap().below == 0);
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // it completes whenever the smallest eigenvalue clears the bound
        check((integral(), 0..60i64), |(a, root)| {
            let s = root * root;
            let m = shifted(&a, s);
            let n = a.cols;
            let trace: f64 = (0..n).map(|i| m[(i, i)].max(0.0)).sum();
            let clear = s as f64 + 4.0 * (n as f64 + 2.0) * gamma(n + 2) * trace;
            let definite = a.rows >= n
                && trace > 0.0
                && integers(&a)
                    .count_below(clear.sqrt().next_up(), 0, BUDGET)
                    .unwrap()
                    .below
                    == 0;
            prop_assert!(!definite || parts::cholesky_lower(m.clone().as_mut()));
            Ok(())
        });
    }

    #[test]
    fn notices() {
        let m = Mat::from_fn(2, 2, |i, j| if i == j { 1.0 } else { 1.0 + 1e-10 });
        assert!(
            !parts::cholesky_lower(m.clone().as_mut()),
            "indefinite by 1e-10"
        );
        // a factorization in single precision would have completed on this one
        let single = m[(1, 1)] as f32 - (m[(1, 0)] as f32) * (m[(1, 0)] as f32);
        assert!(single >= 0.0);
    }
}

/// Completed factorizations of deflated, shifted Gram matrices prove gaps.
///
/// Theorem: deflated-cholesky-gap.
mod a_deflated_factorization_proves_a_gap {
    use super::*;

    #[test]
    fn holds() {
        check_given(0, problems(), |a| {
            let p = prepared(&a)?.1;
            let (exact, g) = (integers(&a), p.gram());
            let top = parts::certify_top(&p, &g);
            let above = exact.count_below(up(top.second), 0, BUDGET).unwrap().above;
            let mut ok = above <= 1
                && exact
                    .proves_sigma_max_in(down(top.largest.lo), up(top.largest.hi), 0, BUDGET)
                    .unwrap();
            if let Some(b) = parts::certify_bottom(&p, &g) {
                let below = exact.count_below(down(b.second), 0, BUDGET).unwrap().below;
                ok &= below <= 1
                    && exact
                        .proves_sigma_min_in(down(b.smallest.lo), up(b.smallest.hi), 0, BUDGET)
                        .unwrap();
            }
            Some(if ok {
                Ok(())
            } else {
                Err(TestCaseError::fail(format!("{top:?}")))
            })
        });
    }

    #[test]
    fn tight() {
        // with a clear gap both ends are known to the last digits, and the gap to within itself
        let (a, c) = Exact::with_spectrum(5, 4, &[40, 11, 9, 2], 5);
        let (scaled, p) = prepared(&a).unwrap();
        let g = p.gram();
        let (top, bottom) = (
            parts::certify_top(&p, &g),
            parts::certify_bottom(&p, &g).unwrap(),
        );
        assert!(top.largest.hi <= top.largest.lo * (1.0 + 1e-13));
        assert!(bottom.smallest.hi <= bottom.smallest.lo * (1.0 + 1e-10));
        let unit = 2f64.powi(scaled.exponent) * c as f64;
        let of = |d: f64| (d * unit).powi(2);
        assert!(top.second >= of(11.0) * (1.0 - 1e-12) && top.second < of(40.0));
        assert!(bottom.second <= of(9.0) * (1.0 + 1e-12) && bottom.second > of(2.0));
    }

    #[test]
    fn notices() {
        // two deflated at most: three equal values leave no gap, whatever vectors are tried
        let (q, _) = Exact::reflection(4, 4, &[1, 1, 0, 1]);
        let p = problem(&q);
        let g = p.gram();
        let top = parts::certify_top(&p, &g);
        assert!(top.second >= top.largest.lo * (1.0 - 1e-12));
        let mu = 0.99 * top.largest.lo;
        let e = [1.0, 0.0, 0.0, 0.0];
        assert_eq!(g.definite(-1.0, mu, 1e6, &[&e]), None);
    }
}

/// `sigma_k` of `A` from `sigma_k` of an approximate inverse factor `X` and the defect of `AX`.
///
/// Theorem: inverse-factor-enclosure.
mod an_approximate_inverse_factor_encloses_the_smallest_singular_value {
    use super::*;

    #[test]
    fn holds() {
        check_given(0, problems(), |a| {
            let p = prepared(&a)?.1;
            let l = parts::qr_factor_lower(p.a.as_ref());
            let exact = integers(&a);
            let ok = parts::certify_smallest(&p, &l).is_none_or(|s| {
                let below = exact.count_below(s.second, 0, BUDGET).unwrap().below;
                below <= 1
                    && exact
                        .proves_sigma_min_in(s.sigma.lo, s.sigma.hi, 0, BUDGET)
                        .unwrap()
            });
            Some(if ok {
                Ok(())
            } else {
                Err(TestCaseError::fail("refuted by inertia"))
            })
        });
    }

    #[test]
    fn tight() {
        for d in [[3, 2, 1], [4000, 70, 1], [1 << 20, 1 << 10, 1]] {
            let (a, _) = Exact::with_spectrum(4, 3, &d, 1);
            let p = problem(&a);
            let s = parts::certify_smallest(&p, &parts::qr_factor_lower(p.a.as_ref())).unwrap();
            let kappa = d[0] as f64 / d[2] as f64;
            // quadratic in the first-order error u kappa, with the dimension in front
            let width = (s.sigma.hi - s.sigma.lo) / s.sigma.lo;
            assert!(
                width <= 1e4 * f64::EPSILON * kappa,
                "{width:e} at {kappa:e}"
            );
        }
    }

    #[test]
    fn notices() {
        // the factor of another matrix proves nothing
        let (a, _) = Exact::with_spectrum(4, 3, &[3, 2, 1], 1);
        let (b, _) = Exact::with_spectrum(4, 3, &[3, 2, 1], 5);
        let (p, q) = (problem(&a), problem(&b));
        assert!(parts::certify_smallest(&p, &parts::qr_factor_lower(q.a.as_ref())).is_none());
        // nor does any factor of a singular one
        let singular = Exact::from_fn(3, 3, |i, j| (3 * i + j) as i64 + 1);
        let p = problem(&singular);
        assert!(parts::certify_smallest(&p, &parts::qr_factor_lower(p.a.as_ref())).is_none());
    }
}

/// `|X|/(1 + alpha) <= |A^-1| <= |X|/(1 - alpha)` when `|I - XA| <= alpha < 1`.
///
/// Theorem: approximate-inverse-norm.
mod an_approximate_inverse_encloses_the_norm_of_the_inverse {
    use super::*;

    const NORMS: [Norm; 3] = [Norm::One, Norm::Inf, Norm::Frobenius];

    /// Norm of the exact inverse, rounded to `2^-52` an entry.
    fn truth(a: &Exact, norm: Norm) -> Option<(f64, f64)> {
        let r = integers(a).inverse(BUDGET).ok()?.rounded();
        let unit = 2f64.powi(r.exponent as i32);
        let n = r.order;
        let x = Mat::from_fn(n, n, |i, j| r.entries[i * n + j] * unit);
        Some(parts::stored_norm(&x, norm, 1))
    }

    fn square() -> impl Strategy<Value = Exact> {
        (draws(), 1..=5usize).prop_map(|(draw, n)| {
            let a = draw.build(n, n);
            let a = if a.is_zero() { Exact::identity(n) } else { a };
            prepared(&a).expect("not zero").0
        })
    }

    #[test]
    fn holds() {
        check_given(65, square(), |a| {
            let p = prepared(&a)?.1;
            let mut ok = true;
            for norm in NORMS {
                let (lo, hi) = truth(&a, norm)?;
                if let Some((l, _)) = parts::certify_inverse_norm(&p, norm, 0.0) {
                    ok &= l.lo <= hi && lo <= l.hi;
                }
            }
            Some(if ok {
                Ok(())
            } else {
                Err(TestCaseError::fail("missed"))
            })
        });
    }

    #[test]
    fn tight() {
        // multiples of orthogonal matrices: the inverse is the transpose
        check((draws(), 1..=5usize), |(mut draw, n)| {
            draw.structure = Structure::Isometry;
            let a = draw.build(n, n);
            let (_, p) = prepared(&a).unwrap();
            for norm in NORMS {
                let (l, _) = parts::certify_inverse_norm(&p, norm, 0.0).unwrap();
                prop_assert!(l.hi <= l.lo * (1.0 + 1e-11));
            }
            Ok(())
        });
    }

    #[test]
    fn notices() {
        // alpha of 1 or more: a matrix that scaling may have moved onto a singular one has no limits
        let a = Exact::from_fn(2, 2, |i, j| if i == j { [64, 1][i] } else { 0 });
        let p = problem(&a);
        let (_, hi) = truth(&prepared(&a).unwrap().0, Norm::One).unwrap();
        assert!(parts::certify_inverse_norm(&p, Norm::One, 1.0 / hi).is_none());
        let (l, _) = parts::certify_inverse_norm(&p, Norm::One, 1e-3 / hi).unwrap();
        let (exact, _) = parts::certify_inverse_norm(&p, Norm::One, 0.0).unwrap();
        assert!(l.hi > exact.hi * 1.0009 && l.lo < exact.lo * 0.9991);
    }
}

/// Certificates and another library meet.
#[test]
fn an_independent_decomposition_agrees_with_the_certificates() {
    check_given(1, matrices(8), |a| {
        let (values, error) = second_opinion(&a)?;
        let [top, bottom, _] = conditioning(&a);
        let last = values[values.len() - 1];
        let agrees = top.lo <= values[0] + error
            && values[0] <= top.hi + error
            && bottom.lo <= last + error
            && last <= bottom.hi + error;
        Some(if agrees {
            Ok(())
        } else {
            Err(TestCaseError::fail(format!(
                "{values:?} {top:?} {bottom:?}"
            )))
        })
    });
}
