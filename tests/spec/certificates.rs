//! Certified condition numbers against exact arithmetic, on matrices drawn to be difficult.
//!
//! Every property has its oracle in integers ([`IntegerMatrix::count_below`]): a limit is right or
//! wrong, without tolerance.

use super::gallery::dyadic;
use super::strategies::{Draw, matrices};
use super::support::check;
use isometer::linalg::condition::{ConditionOptions, Conditioning, Measured, Norm, condition};
use isometer::linalg::exact::IntegerMatrix;
use isometer::linalg::singular::singular_values;
use isometer::linalg::view::MatrixRef;
use isometer::scale::{Certainty, Enclosure};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::cell::Cell;

/// Far above what a drawn matrix needs: a refusal would be a skipped case.
const BUDGET: u64 = 100_000_000_000;

fn fail(message: String) -> TestCaseError {
    TestCaseError::fail(message)
}

struct Subject {
    exact: IntegerMatrix,
    rank: usize,
    full: usize,
    answer: Conditioning,
}

fn examine(draw: &Draw) -> Subject {
    let stored = draw.build();
    let exact = IntegerMatrix::new(&stored.view()).unwrap();
    Subject {
        rank: exact.rank(BUDGET).unwrap(),
        full: stored.rows.min(stored.cols),
        answer: condition(&stored.view(), &ConditionOptions::default()).unwrap(),
        exact,
    }
}

fn is_proved(m: &Measured) -> bool {
    matches!(m.certainty, Certainty::Certified | Certainty::Exact)
}

impl Subject {
    fn holds_sigma_max(&self, enclosure: &Enclosure) -> bool {
        let (_, lo, hi, e) = enclosure.scaled();
        self.exact.proves_sigma_max_in(lo, hi, e, BUDGET).unwrap()
    }

    fn holds_sigma_min(&self, enclosure: &Enclosure) -> bool {
        let (_, lo, hi, e) = enclosure.scaled();
        self.exact.proves_sigma_min_in(lo, hi, e, BUDGET).unwrap()
    }

    /// A valid answer is valid in all its parts.
    fn judge(&self) -> Result<(), TestCaseError> {
        let c = &self.answer;
        if !self.holds_sigma_max(&c.sigma_max.enclosure) {
            return Err(fail(format!("sigma_max is not in {:?}", c.sigma_max)));
        }
        if !self.holds_sigma_min(&c.sigma_min.enclosure) {
            return Err(fail(format!("sigma_min is not in {:?}", c.sigma_min)));
        }
        let singular = self.rank < self.full;
        let (_, lo, hi, _) = c.cond.enclosure.scaled();
        if singular && hi.is_finite() {
            return Err(fail(format!(
                "rank {} of {}, yet {:?}",
                self.rank, self.full, c.cond
            )));
        }
        if !singular && lo.is_infinite() {
            return Err(fail(format!("nonsingular, yet {:?}", c.cond)));
        }
        if c.rank.exact.is_some_and(|r| r != self.rank) {
            return Err(fail(format!("rank is {}, not {:?}", self.rank, c.rank)));
        }
        self.judge_quotient()
    }

    /// The condition number encloses every quotient of the limits of both singular values.
    fn judge_quotient(&self) -> Result<(), TestCaseError> {
        let c = &self.answer;
        let (_, max_lo, max_hi, max_e) = c.sigma_max.enclosure.scaled();
        let (_, min_lo, min_hi, min_e) = c.sigma_min.enclosure.scaled();
        let (_, lo, hi, e) = c.cond.enclosure.scaled();
        if self.full == 1 && (lo, hi, e) == (1.0, 1.0, 0) {
            // one singular value, divided by itself
            return Ok(());
        }
        // The order of a b and c, for numbers times powers of two, in integers.
        let order = |a: (f64, i64), b: (f64, i64), c: (f64, i64)| {
            let [(an, ad), (bn, bd), (cn, cd)] = [a, b, c].map(|(x, e)| dyadic(x, e));
            (an * bn * cd).cmp(&(cn * ad * bd))
        };
        // max_lo / min_hi is infinite or unknown where min_hi is 0 or a limit is infinite.
        let low = lo == 0.0
            || min_hi == 0.0
            || lo.is_finite()
                && min_hi.is_finite()
                && order((lo, e), (min_hi, min_e), (max_lo, max_e)).is_le();
        let high = hi.is_infinite()
            || min_lo > 0.0
                && max_hi.is_finite()
                && order((hi, e), (min_lo, min_e), (max_hi, max_e)).is_ge();
        if low && high {
            Ok(())
        } else {
            Err(fail(format!(
                "{:?} is not the quotient of {:?} and {:?}",
                c.cond, c.sigma_max, c.sigma_min
            )))
        }
    }
}

fn for_matrices(property: impl Fn(&Draw) -> Result<(), TestCaseError>) {
    check(matrices(), |draw| property(&draw));
}

/// The limits that [`condition`] returns hold the extreme singular values, and their quotients.
///
/// Theorem: certified-enclosures.
mod every_enclosure_holds_the_exact_value {
    use super::*;

    #[test]
    fn holds() {
        for_matrices(|draw| {
            let s = examine(draw);
            for part in [&s.answer.sigma_max, &s.answer.sigma_min, &s.answer.cond] {
                prop_assert!(is_proved(part), "only {}", part.certainty);
            }
            s.judge()
        });
    }

    /// Narrow where the condition number is moderate; never vacuous on small nonsingular matrices,
    /// but for one in fifty.
    #[test]
    fn tight() {
        let (nonsingular, vacuous) = (Cell::new(0u32), Cell::new(0u32));
        for_matrices(|draw| {
            let s = examine(draw);
            let c = &s.answer;
            prop_assert!(is_proved(&c.sigma_min), "only {}", c.sigma_min.certainty);
            if s.rank == s.full {
                nonsingular.set(nonsingular.get() + 1);
                if !c.sigma_min.enclosure.is_positive() {
                    vacuous.set(vacuous.get() + 1);
                }
            } else {
                prop_assert!(
                    c.sigma_min.enclosure.is_zero(),
                    "rank {} of {} was not proved: {:?}",
                    s.rank,
                    s.full,
                    c.sigma_min
                );
            }
            if c.cond.enclosure.hi().log10() <= 8.0 {
                for part in [&c.sigma_max, &c.sigma_min, &c.cond] {
                    let width = part.enclosure.relative_width();
                    prop_assert!(width <= 1e-9, "width {:.1e} of {:?}", width, part);
                }
            }
            Ok(())
        });
        let (n, v) = (nonsingular.get(), vacuous.get());
        assert!(n > 0 && 50 * v <= n, "{v} of {n} lower limits are zero");
    }

    /// Notices: an enclosure moved off by its own width is refuted by the oracle that accepted it.
    #[test]
    fn notices() {
        for_matrices(|draw| {
            let s = examine(draw);
            let c = &s.answer;
            for (part, holds) in [
                (
                    &c.sigma_max,
                    Subject::holds_sigma_max as fn(&Subject, &Enclosure) -> bool,
                ),
                (&c.sigma_min, Subject::holds_sigma_min),
            ] {
                let (_, lo, hi, e) = part.enclosure.scaled();
                if !holds(&s, &part.enclosure) || !hi.is_finite() {
                    continue;
                }
                let step = (hi - lo) + 1e-12 * hi;
                if step > 0.0 {
                    let above = Enclosure::new(hi, lo + 2.0 * step, hi + 2.0 * step, e);
                    prop_assert!(!holds(&s, &above.unwrap()));
                    let hi = lo - 1e-12 * lo;
                    let below = Enclosure::new(0.0, (hi - 2.0 * step).max(0.0), hi, e);
                    prop_assert!(lo == 0.0 || !holds(&s, &below.unwrap()));
                }
            }
            Ok(())
        });
    }
}

/// Entries that become subnormal when the largest is scaled to 1, in a matrix that they decide.
///
/// Theorems: singular-value-perturbation, approximate-inverse-norm.
#[test]
fn entries_lost_in_scaling_are_charged() {
    for k in -2..38 {
        let a = 2f64.powi(1000);
        let d = (1.0 + f64::from(2 * k + 1) * f64::EPSILON) * 2f64.powi(-23 - k);
        let data = [a, a, 0.0, d];
        let view = MatrixRef::row_major(&data, 2, 2).unwrap();
        let answer = condition(&view, &ConditionOptions::default()).unwrap();
        let subject = Subject {
            exact: IntegerMatrix::new(&view).unwrap(),
            rank: 2,
            full: 2,
            answer,
        };
        subject.judge().unwrap();
        // |A|_1 |A^-1|_1 = (a + d) 2/d and |A|_inf |A^-1|_inf = 2a (1/a + 1/d): both 2a/d, as
        // d/a is far below rounding.
        for (norm, truth) in [(Norm::One, 2.0), (Norm::Inf, 2.0)] {
            let options = ConditionOptions {
                norm,
                ..Default::default()
            };
            let c = condition(&view, &options).unwrap().cond.enclosure;
            let mantissa = truth / (d * 2f64.powi(23 + k));
            let exponent = 1023 + i64::from(k);
            let (lo, hi) = (mantissa.next_down(), mantissa.next_up());
            assert!(
                c.contains_scaled(lo, exponent) && c.contains_scaled(hi, exponent),
                "{k}: {mantissa} 2^{exponent} is not in {c:?}"
            );
        }
    }
}

/// Arithmetic on enclosures stays true where mantissas leave the range of `f64`.
#[test]
fn enclosures_compute_outward_at_the_ends_of_the_range() {
    let root = Enclosure::point(f64::MAX, 1).unwrap().sqrt();
    let (_, lo, hi) = root.to_linear().unwrap();
    assert!(1.89615038162183e154 < lo && lo < hi && hi < 1.89615038162184e154);
    assert!(Enclosure::ZERO.sqrt().is_zero());
    let infinite = Enclosure::infinite();
    let (_, lo, hi, _) = infinite.ratio(&infinite).scaled();
    assert!(lo == 0.0 && hi == f64::INFINITY);
    let (_, lo, hi, _) = Enclosure::UNKNOWN.ratio(&Enclosure::UNKNOWN).scaled();
    assert!(lo == 0.0 && hi == f64::INFINITY);
}

/// The plain decomposition carries a predicted error that no drawn matrix exceeds.
#[test]
fn plain_singular_values_are_as_good_as_they_say() {
    for_matrices(|draw| {
        let stored = draw.build();
        let exact = IntegerMatrix::new(&stored.view()).unwrap();
        let s = singular_values(&stored.view()).unwrap();
        let n = s.values.len();
        for i in [0, n / 2, n - 1] {
            let at = |x: f64| exact.count_below(x, s.exponent, BUDGET).unwrap();
            let (lo, hi) = (s.values[i] - s.error, s.values[i] + s.error);
            let (low, high) = (at(lo.next_down()), at(hi.next_up()));
            prop_assert!(
                high.above <= i && low.below < n - i,
                "{} +- {}",
                s.values[i],
                s.error
            );
        }
        // Notices: a value two errors too large is refuted.
        if s.error > 0.0 {
            let far = exact.count_below(s.values[0] + 1.1 * s.error, s.exponent, BUDGET);
            prop_assert_eq!(far.unwrap().below, n);
        }
        Ok(())
    });
}

/// The draws reach what they are meant to reach: singular and nonsingular matrices, every
/// magnitude of the condition number, both orientations.
#[test]
fn draws_cover_the_difficulties() {
    let seen: Vec<Cell<u32>> = (0..6).map(|_| Cell::new(0)).collect();
    for_matrices(|draw| {
        let stored = draw.build();
        let exact = IntegerMatrix::new(&stored.view()).unwrap();
        let singular = exact.rank(BUDGET).unwrap() < stored.rows.min(stored.cols);
        let (top, bottom) = (exact.bits() as i64 + exact.exponent(), exact.exponent());
        let facts = [
            singular,
            !singular,
            stored.rows > stored.cols,
            stored.rows < stored.cols,
            top - bottom > 100,
            top.abs() > 300,
        ];
        for (cell, fact) in seen.iter().zip(facts) {
            cell.set(cell.get() + u32::from(fact));
        }
        Ok(())
    });
    assert!(seen.iter().all(|c| c.get() > 0), "{seen:?}");
}

/// The singular values of `[[B, -C], [C, B]]` are those of `B + iC`, each twice.
///
/// Theorem: complex-embedding.
mod a_complex_matrix_has_the_singular_values_of_its_real_embedding {
    use super::super::structured::{self, Exact};
    use super::super::support::conditioning;
    use super::*;

    fn complex(b: &Exact, c: &Exact) -> Vec<[f64; 2]> {
        b.doubles()
            .into_iter()
            .zip(c.doubles())
            .map(|(x, y)| [x, y])
            .collect()
    }

    fn embedded(b: &Exact, c: &Exact) -> Exact {
        let (m, n) = (b.rows, b.cols);
        let mut e = Exact::from_fn(2 * m, 2 * n, |i, j| {
            let (x, y) = (b.get(i % m, j % n), c.get(i % m, j % n));
            match (i < m, j < n) {
                (true, false) => -y,
                (false, true) => y,
                _ => x,
            }
        });
        e.exponent = b.exponent;
        e
    }

    fn pairs() -> impl Strategy<Value = (Exact, Exact)> {
        (structured::draws(), any::<u64>(), 1..=4usize, 1..=4usize).prop_map(
            |(draw, seed, m, n)| {
                let b = draw.build(m, n);
                (b, structured::Draw { seed, ..draw }.build(m, n))
            },
        )
    }

    fn counts(exact: &IntegerMatrix, s: f64) -> (usize, usize) {
        let c = exact.count_below(s, 0, BUDGET).unwrap();
        (c.below, c.above)
    }

    #[test]
    fn holds() {
        check(pairs(), |(b, c)| {
            let data = complex(&b, &c);
            let view = MatrixRef::row_major(&data, b.rows, b.cols).unwrap();
            let one = condition(&view, &ConditionOptions::default()).unwrap();
            let two = conditioning(&embedded(&b, &c));
            for (part, found) in [&one.sigma_max, &one.sigma_min].into_iter().zip(two) {
                let (_, lo, hi) = part.enclosure.to_linear().unwrap();
                prop_assert!(lo <= found.hi && found.lo <= hi);
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // each value exactly twice, at every threshold
        check((pairs(), 0..200u32), |((b, c), s)| {
            let data = complex(&b, &c);
            let view = MatrixRef::row_major(&data, b.rows, b.cols).unwrap();
            let one = counts(&IntegerMatrix::new(&view).unwrap(), f64::from(s));
            let real = embedded(&b, &c);
            let two = counts(&real.view(|v| IntegerMatrix::new(v).unwrap()), f64::from(s));
            prop_assert_eq!((2 * one.0, 2 * one.1), two);
            Ok(())
        });
    }

    #[test]
    fn notices() {
        // the wrong sign makes another matrix: |[[1, 1], [1, 1]]| = 2, |1 + i| = sqrt 2
        let wrong = Exact::from_fn(2, 2, |_, _| 1);
        let right = Exact::from_fn(2, 2, |i, j| if (i, j) == (0, 1) { -1 } else { 1 });
        assert!(conditioning(&wrong)[0].contains(2.0));
        assert!(!conditioning(&right)[0].contains(2.0));
        assert!(conditioning(&right)[1].hi > 1.4 && conditioning(&wrong)[1].hi == 0.0);
    }
}
