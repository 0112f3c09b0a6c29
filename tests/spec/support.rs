//! How properties are run and numbers compared.

use super::structured::Exact;
use isometer::linalg::condition::{ConditionOptions, condition};
use isometer::linalg::norms;
use isometer::scale::Enclosure;
use nalgebra::DMatrix;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::cell::Cell;
use std::fmt::Debug;

/// Unit roundoff of `f64`.
pub const U: f64 = f64::EPSILON / 2.0;

/// `gamma_k = k u/(1 - k u)`, the relative error of `k` roundings in a row, itself rounded up.
pub fn gamma(k: usize) -> f64 {
    let ku = k as f64 * U;
    ku / (1.0 - ku) * (1.0 + 4.0 * U)
}

/// What became of a draw.
pub type Outcome = Result<(), TestCaseError>;

/// Runs a property on drawn values; `PROPTEST_CASES` sets how many.
pub fn check<S: Strategy>(strategy: S, property: impl Fn(S::Value) -> Outcome)
where
    S::Value: Debug,
{
    check_few(1, strategy, property);
}

/// The same on one draw in `share` of the usual number.
pub fn check_few<S: Strategy>(share: u32, strategy: S, property: impl Fn(S::Value) -> Outcome)
where
    S::Value: Debug,
{
    let usual = ProptestConfig::default();
    let config = ProptestConfig {
        cases: usual.cases.div_ceil(share),
        // a failing draw prints all there is to it
        failure_persistence: None,
        ..usual
    };
    if let Err(e) = TestRunner::new(config).run(&strategy, property) {
        panic!("{e}");
    }
}

/// Runs a property with a hypothesis that not every draw meets. `None` is such a draw; more than
/// `percent` of them and the property is not being tested.
pub fn check_given<S: Strategy>(
    percent: u32,
    strategy: S,
    property: impl Fn(S::Value) -> Option<Outcome>,
) where
    S::Value: Debug,
{
    let (drawn, rejected) = (Cell::new(0u32), Cell::new(0u32));
    check(strategy, |value| {
        drawn.set(drawn.get() + 1);
        property(value).unwrap_or_else(|| {
            rejected.set(rejected.get() + 1);
            Ok(())
        })
    });
    let (drawn, rejected) = (drawn.get(), rejected.get());
    assert!(
        100 * rejected <= percent * drawn,
        "{rejected} of {drawn} draws do not meet the hypothesis"
    );
}

/// Proved limits of a positive number in the range of `f64`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub lo: f64,
    pub hi: f64,
}

impl From<Enclosure> for Limits {
    fn from(e: Enclosure) -> Limits {
        let (_, lo, hi) = e.to_linear().expect("in range");
        Limits { lo, hi }
    }
}

impl Limits {
    pub fn point(x: f64) -> Limits {
        Limits { lo: x, hi: x }
    }

    pub fn times(self, other: Limits) -> Limits {
        Limits {
            lo: (self.lo * other.lo).next_down().max(0.0),
            hi: (self.hi * other.hi).next_up(),
        }
    }

    pub fn over(self, other: Limits) -> Limits {
        let hi = if other.lo > 0.0 {
            (self.hi / other.lo).next_up()
        } else {
            f64::INFINITY
        };
        let lo = if other.hi == f64::INFINITY || other.hi == 0.0 {
            0.0
        } else {
            (self.lo / other.hi).next_down().max(0.0)
        };
        Limits { lo, hi }
    }

    pub fn sqrt(self) -> Limits {
        Limits {
            lo: self.lo.sqrt().next_down().max(0.0),
            hi: self.hi.sqrt().next_up(),
        }
    }

    /// Refuted: every number of `self` is above every number of `other`.
    pub fn is_above(self, other: Limits) -> bool {
        self.lo > other.hi
    }

    pub fn meets(self, other: Limits) -> bool {
        self.lo <= other.hi && other.lo <= self.hi
    }

    pub fn contains(self, x: f64) -> bool {
        self.lo <= x && x <= self.hi
    }

    /// Equal up to a relative width.
    pub fn is_narrow(self, relative: f64) -> bool {
        self.hi - self.lo <= relative * self.lo
    }
}

pub fn frobenius(a: &Exact) -> Limits {
    a.view(|v| norms::frobenius(v).expect("finite").into())
}

pub fn two(a: &Exact) -> Limits {
    a.view(|v| norms::two(v).expect("finite").into())
}

/// Largest, smallest singular value and their quotient, as the library proves them.
pub fn conditioning(a: &Exact) -> [Limits; 3] {
    a.view(|v| {
        let c = condition(v, &ConditionOptions::default()).expect("finite");
        [&c.sigma_max, &c.sigma_min, &c.cond].map(|m| {
            let (_, lo, hi, e) = m.enclosure.scaled();
            if lo.is_infinite() {
                return Limits { lo, hi };
            }
            let unit = 2f64.powi(e as i32);
            Limits {
                lo: lo * unit,
                hi: hi * unit,
            }
        })
    })
}

pub fn cond(a: &Exact) -> Limits {
    conditioning(a)[2]
}

pub fn foreign(a: &Exact) -> DMatrix<f64> {
    DMatrix::from_fn(a.rows, a.cols, |i, j| a.at(i, j))
}

/// Singular values by an independent library, largest first, with an error for all of them. Its iteration can fail silently, so the
/// sum of squares is compared with the entries: `None` where they differ.
pub fn second_opinion(a: &Exact) -> Option<(Vec<f64>, f64)> {
    let m = foreign(a);
    let total: f64 = a.doubles().iter().map(|x| x * x).sum();
    let svd = m.try_svd(false, false, f64::EPSILON, 10_000)?;
    let mut values: Vec<f64> = svd.singular_values.iter().copied().collect();
    values.sort_by(|x, y| y.total_cmp(x));
    let found: f64 = values.iter().map(|x| x * x).sum();
    // reflections of both sides and rotations to convergence: a backward error of a few roundings
    // each (Golub and Van Loan, section 8.6)
    let steps = 16 * (a.rows + a.cols + 10);
    let relative = gamma(steps);
    if (found - total).abs() > 2.0 * relative * total {
        return None;
    }
    Some((values, relative * total.sqrt()))
}
