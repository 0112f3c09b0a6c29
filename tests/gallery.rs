//! Classical ill-conditioned matrices against 25-digit reference values.

#[path = "support/gallery.rs"]
mod gallery;

use dashu_int::IBig;
use gallery::{Dense, by_name, decimal, dyadic};
use isometer::linalg::condition::{ConditionOptions, Conditioning, condition};
use isometer::linalg::exact::IntegerMatrix;
use isometer::linalg::view::MatrixRef;
use isometer::scale::{Certainty, Enclosure};

const BUDGET: u64 = 2_000_000_000;

struct Case {
    label: String,
    matrix: Dense,
    sigma_max: String,
    sigma_min: String,
    cond: String,
    rank: usize,
}

/// Rows whose truth is that of the matrix in `f64`.
fn cases() -> Vec<Case> {
    let text = include_str!("data/reference/gallery.csv");
    let cases: Vec<Case> = text
        .lines()
        .skip(1)
        .filter_map(|line| {
            let f: Vec<&str> = line.split(',').collect();
            let (name, n, entries) = (f[0], f[1].parse().unwrap(), f[4]);
            if entries == "exact" {
                return None;
            }
            let matrix = by_name(name, n).unwrap_or_else(|| panic!("no generator for {name}"));
            assert_eq!(
                (matrix.rows.to_string(), matrix.cols.to_string()),
                (f[2].to_string(), f[3].to_string())
            );
            Some(Case {
                label: format!("{name} {n}"),
                matrix,
                sigma_max: f[5].into(),
                sigma_min: f[6].into(),
                cond: f[7].into(),
                rank: f[8].parse().unwrap(),
            })
        })
        .collect();
    assert!(cases.len() >= 68, "only {} rows were read", cases.len());
    cases
}

impl Case {
    fn view(&self) -> MatrixRef<'_> {
        MatrixRef::row_major(&self.matrix.data, self.matrix.rows, self.matrix.cols).unwrap()
    }

    fn certified(&self) -> Conditioning {
        let c = condition(&self.view(), &ConditionOptions::default()).unwrap();
        for part in [&c.sigma_max, &c.sigma_min, &c.cond] {
            let proved = matches!(part.certainty, Certainty::Certified | Certainty::Exact);
            assert!(proved, "{}: only {}", self.label, part.certainty);
        }
        c
    }
}

/// Whether a decimal rounded to 22 digits or more lies in an enclosure.
fn holds(enclosure: &Enclosure, truth: &str) -> bool {
    let (_, lo, hi, e) = enclosure.scaled();
    if truth == "inf" {
        return hi == f64::INFINITY;
    }
    let (num, den) = decimal(truth).unwrap();
    let unit = IBig::from(10).pow(21);
    // truth (1 + 1e-21) >= lo and truth (1 - 1e-21) <= hi.
    let (a, b) = dyadic(lo, e);
    let above = &num * (&unit + 1u8) * b >= a * &den * &unit;
    let below = hi == f64::INFINITY || {
        let (a, b) = dyadic(hi, e);
        &num * (&unit - 1u8) * b <= a * &den * &unit
    };
    above && below
}

/// The generators, the reference values and the exact oracle agree on both extreme singular values
/// to within neighbouring doubles, so a wrong entry anywhere would show.
///
/// Theorems: integer-rank-by-primes, inertia-counts-singular-values.
#[test]
fn generators_agree_with_the_reference() {
    for case in cases() {
        let a = IntegerMatrix::new(&case.view()).unwrap();
        assert_eq!(a.rank(BUDGET), Ok(case.rank), "{}", case.label);
        let top: f64 = case.sigma_max.parse().unwrap();
        let bottom: f64 = case.sigma_min.parse().unwrap();
        let ok = a.proves_sigma_max_in(top.next_down(), top.next_up(), 0, BUDGET);
        assert_eq!(ok, Ok(true), "{}: largest", case.label);
        let (lo, hi) = (bottom.next_down().max(0.0), bottom.next_up());
        let hi = if bottom == 0.0 { 0.0 } else { hi };
        let ok = a.proves_sigma_min_in(lo, hi, 0, BUDGET);
        assert_eq!(ok, Ok(true), "{}: smallest", case.label);
        // Notices: the neighbouring intervals do not hold it.
        let up = 1.0 + 1e-14;
        assert_eq!(
            a.proves_sigma_max_in(top * up, 2.0 * top, 0, BUDGET),
            Ok(false)
        );
        if bottom > 0.0 {
            assert_eq!(
                a.proves_sigma_min_in(0.0, bottom / up, 0, BUDGET),
                Ok(false)
            );
        }
    }
}

#[test]
fn truths_lie_in_the_enclosures() {
    for case in cases() {
        let c = case.certified();
        let parts = [
            ("largest", &c.sigma_max, &case.sigma_max),
            ("smallest", &c.sigma_min, &case.sigma_min),
            ("cond", &c.cond, &case.cond),
        ];
        for (name, part, truth) in parts {
            assert!(
                holds(&part.enclosure, truth),
                "{}: {name} {truth} is not in {:?}",
                case.label,
                part.enclosure
            );
        }
        if let Some(rank) = c.rank.exact {
            assert_eq!(rank, case.rank, "{}", case.label);
        }
    }
}

/// Nonsingular: positive lower limits and a finite condition number; singular: never finite.
#[test]
fn singular_matrices_are_told_from_nearly_singular_ones() {
    for case in cases() {
        let c = case.certified();
        let (_, _, hi, _) = c.cond.enclosure.scaled();
        if case.cond == "inf" {
            assert_eq!(hi, f64::INFINITY, "{}", case.label);
            assert!(!c.sigma_min.enclosure.is_positive(), "{}", case.label);
        } else {
            assert!(hi.is_finite(), "{}: cond unbounded", case.label);
            assert!(c.sigma_min.enclosure.is_positive(), "{}", case.label);
        }
    }
}

#[test]
fn enclosures_are_narrow_where_the_matrix_allows() {
    for case in cases() {
        let kappa: f64 = case.cond.parse().unwrap();
        if kappa <= 1e8 {
            let c = case.certified();
            for part in [&c.sigma_max, &c.sigma_min, &c.cond] {
                let width = part.enclosure.relative_width();
                assert!(width <= 1e-9, "{}: width {width:.1e}", case.label);
            }
        }
    }
}

/// Notices: a truth moved by twice the width of its enclosure is refused.
#[test]
fn moved_truths_are_refused() {
    for case in cases() {
        let c = condition(&case.view(), &ConditionOptions::default()).unwrap();
        let (value, lo, hi, e) = c.sigma_max.enclosure.scaled();
        let moved = Enclosure::new(value, hi + 2.0 * (hi - lo) + 1e-12 * hi, f64::MAX, e).unwrap();
        assert!(!holds(&moved, &case.sigma_max), "{}", case.label);
        let moved = Enclosure::new(0.0, 0.0, lo - 2.0 * (hi - lo) - 1e-12 * hi, e).unwrap();
        assert!(!holds(&moved, &case.sigma_max), "{}", case.label);
    }
}
