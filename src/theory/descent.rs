//! Whether gradient descent on a quadratic converges, overshoots or diverges: exact statements about the product of
//! learning rate and curvature, decided without rounding for plain descent.
//!
//! Start with [`judge`] for a learning rate, [`converging_below`] for the limit of all of them.
//!
//! ```
//! use isometer::linalg::symmetric::Signed;
//! use isometer::theory::descent::{Outcome, Regime, converging_below, judge};
//! use isometer::theory::optimisation::Method;
//!
//! let (flat, steep) = (Signed::point(0.5), Signed::point(4.0));
//! let limit = converging_below(Method::GradientDescent, steep).unwrap();
//! assert!(limit.lo <= 0.5 && 0.5 <= limit.hi); // 2/4
//! let j = judge(Method::GradientDescent, 0.4, flat, steep).unwrap();
//! assert_eq!(j.outcome, Outcome::Overshoots); // 1 - 0.4 * 4 = -0.6
//! assert!((j.rate - 0.8).abs() < 1e-12); // and the flat direction, 1 - 0.2, is the slow one
//! assert_eq!(Regime::of(0.5, 4.0), Regime::Bounces);
//! ```

use crate::linalg::condition::{ConditionError, ConditionOptions, Effort, condition};
use crate::linalg::symmetric::{Extremes, Signed};
use crate::linalg::view::MatrixRef;
use crate::scale::{Certainty, Enclosure};
use crate::theory::optimisation::{Method, OptimisationError};

/// What the error along one eigenvector does under plain gradient descent: it is multiplied by `1 - eta lambda` at every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    /// `lambda < 0`: the loss falls without end and the iterate runs away, at every learning rate.
    Escapes,
    /// `lambda = 0`: nothing moves.
    Flat,
    /// `0 < eta lambda < 1`: shrinks, from one side.
    Approaches,
    /// `eta lambda = 1`: exact in one step.
    Exact,
    /// `1 < eta lambda < 2`: changes sign at every step and shrinks.
    Overshoots,
    /// `eta lambda = 2`: changes sign at every step and keeps its size.
    Bounces,
    /// `eta lambda > 2`: changes sign at every step and grows.
    Diverges,
}

impl Regime {
    /// The regime of a learning rate above zero at one curvature, decided without rounding: a fused
    /// multiply-add has the sign of the exact result. Theorem: overshoot-interval.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::descent::Regime;
    /// let of = |lambda| Regime::of(0.5, lambda);
    /// assert_eq!((of(-1.0), of(0.0), of(1.0), of(2.0)), (Regime::Escapes, Regime::Flat, Regime::Approaches, Regime::Exact));
    /// assert_eq!((of(3.0), of(4.0), of(5.0)), (Regime::Overshoots, Regime::Bounces, Regime::Diverges));
    /// ```
    pub fn of(step: f64, lambda: f64) -> Regime {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let against = |x: f64| step.mul_add(lambda, -x).total_cmp(&0.0);
        match (lambda == 0.0, lambda < 0.0) {
            (true, _) => Regime::Flat,
            (_, true) => Regime::Escapes,
            _ => match (against(1.0), against(2.0)) {
                (Less, _) => Regime::Approaches,
                (Equal, _) => Regime::Exact,
                (Greater, Less) => Regime::Overshoots,
                (Greater, Equal) => Regime::Bounces,
                (Greater, Greater) => Regime::Diverges,
            },
        }
    }
}

/// What a run does, as far as the limits of the curvature tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every direction converges, none oscillates.
    Converges,
    /// Every direction converges, the steepest by jumping across the minimum.
    Overshoots,
    /// The steepest direction neither shrinks nor grows.
    Bounces,
    /// The steepest direction grows.
    Diverges,
    /// A negative curvature: no learning rate converges.
    NoMinimum,
    /// The limits of the curvature do not decide.
    Undecided,
}

impl Outcome {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Converges => "converges",
            Outcome::Overshoots => "overshoots",
            Outcome::Bounces => "bounces",
            Outcome::Diverges => "diverges",
            Outcome::NoMinimum => "no-minimum",
            Outcome::Undecided => "undecided",
        }
    }
}

/// A learning rate against a range of curvatures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// What happens.
    pub outcome: Outcome,
    /// Factor on the error per step in the long run, over all curved directions; above 1 it grows.
    pub rate: f64,
}

/// Learning rates from 0 up to this converge (the limit itself excluded): `2/lambda_max` for plain descent. Limits are rounded outward.
/// Theorem: momentum-stability.
///
/// # Errors
/// [`OptimisationError`] for curvature or momentum out of range.
///
/// # Examples
/// ```
/// use isometer::linalg::symmetric::Signed;
/// use isometer::theory::{descent::converging_below, optimisation::Method};
/// let limit = converging_below(Method::HeavyBall { beta: 0.5 }, Signed::point(4.0)).unwrap();
/// assert!(limit.lo <= 0.75 && 0.75 <= limit.hi); // 2 (1 + beta) / lambda
/// ```
pub fn converging_below(method: Method, largest: Signed) -> Result<Signed, OptimisationError> {
    Ok(Signed {
        value: method.largest_step(largest.value)?,
        lo: outward(method.largest_step(largest.hi)?, largest, -1),
        hi: outward(method.largest_step(largest.lo)?, largest, 1),
    })
}

/// From this learning rate plain descent jumps across the minimum along the steepest direction: `1/lambda_max`.
///
/// # Errors
/// [`OptimisationError::Curvature`].
///
/// # Examples
/// ```
/// use isometer::linalg::symmetric::Signed;
/// use isometer::theory::descent::overshooting_above;
/// let limit = overshooting_above(Signed::point(4.0)).unwrap();
/// assert!(limit.lo <= 0.25 && 0.25 <= limit.hi && limit.hi - limit.lo < 1e-15);
/// ```
pub fn overshooting_above(largest: Signed) -> Result<Signed, OptimisationError> {
    let twice = converging_below(Method::GradientDescent, largest)?;
    Ok(Signed {
        value: 0.5 * twice.value,
        lo: 0.5 * twice.lo,
        hi: 0.5 * twice.hi,
    })
}

/// Two roundings at most, of which a power of two has none.
fn outward(x: f64, largest: Signed, towards: i32) -> f64 {
    if largest.lo == largest.hi && libm::frexp(largest.value).0 == 0.5 {
        return x;
    }
    x * (1.0 + f64::from(towards) * 2.0 * f64::EPSILON)
}

/// Judges a learning rate above zero. Directions of zero curvature are left out: nothing moves along them.
/// Theorems: overshoot-interval, momentum-stability.
///
/// # Errors
/// [`OptimisationError`] for momentum, or a learning rate that is not positive and finite.
///
/// # Examples
/// ```
/// use isometer::linalg::symmetric::Signed;
/// use isometer::theory::{descent::{Outcome, judge}, optimisation::Method};
/// let of = |step| judge(Method::GradientDescent, step, Signed::point(1.0), Signed::point(4.0)).unwrap().outcome;
/// assert_eq!((of(0.2), of(0.4), of(0.6)), (Outcome::Converges, Outcome::Overshoots, Outcome::Diverges));
/// ```
pub fn judge(
    method: Method,
    step: f64,
    smallest: Signed,
    largest: Signed,
) -> Result<Judgement, OptimisationError> {
    if !(step > 0.0 && step.is_finite()) {
        return Err(OptimisationError::LearningRate { eta: step });
    }
    let mut rate = method.radius(step, largest.value)?;
    if smallest.lo > 0.0 {
        rate = rate.max(method.radius(step, smallest.value)?);
    }
    let outcome = if smallest.hi < 0.0 {
        rate = rate.max(1.0 - step * smallest.value);
        Outcome::NoMinimum
    } else if largest.lo <= 0.0 {
        Outcome::Undecided
    } else {
        match method {
            Method::GradientDescent => plain(step, largest),
            _ => with_momentum(method, step, largest)?,
        }
    };
    Ok(Judgement { outcome, rate })
}

fn plain(step: f64, largest: Signed) -> Outcome {
    match (Regime::of(step, largest.lo), Regime::of(step, largest.hi)) {
        (_, Regime::Approaches | Regime::Exact) => Outcome::Converges,
        (Regime::Diverges, _) => Outcome::Diverges,
        (Regime::Bounces, Regime::Bounces) => Outcome::Bounces,
        (Regime::Overshoots, Regime::Overshoots) => Outcome::Overshoots,
        // between one side of 1 and the other it converges all the same
        (Regime::Approaches | Regime::Exact, Regime::Overshoots) => Outcome::Overshoots,
        _ => Outcome::Undecided,
    }
}

fn with_momentum(method: Method, step: f64, largest: Signed) -> Result<Outcome, OptimisationError> {
    let limit = converging_below(method, largest)?;
    Ok(if step < limit.lo {
        match method.oscillates(step, largest.value)? {
            true => Outcome::Overshoots,
            false => Outcome::Converges,
        }
    } else if step > limit.hi {
        Outcome::Diverges
    } else {
        Outcome::Undecided
    })
}

/// Curvatures of the least-squares loss `|A x - b|^2 / 2`: squares of the singular values of `A` that are not zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gram {
    /// Smallest and largest curvature of the directions that are not flat.
    pub extremes: Extremes,
    /// Directions without curvature: columns of `A` less its rank.
    pub flat: usize,
}

/// Why a design matrix gives no curvature.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GramError {
    /// No singular values.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// Complex entries.
    #[error("the design matrix is complex; a least-squares problem here is real")]
    Complex,
    /// The square of a norm is not a double.
    #[error("curvatures leave the range of f64: the norm of the matrix is 10^{log10}")]
    Range {
        /// Its logarithm.
        log10: f64,
    },
}

/// Curvatures from a design matrix. Certified where `A` has full column rank; where it has not, the smallest curvature is that of the
/// singular values above the rounding level of the format, an estimate.
///
/// # Errors
/// [`GramError`].
///
/// # Examples
/// ```
/// use isometer::linalg::view::MatrixRef;
/// use isometer::theory::descent::gram;
/// // one column of three is zero; the others have lengths 2 and 3
/// let a = MatrixRef::row_major(&[2.0, 0.0, 0.0, 0.0, 3.0, 0.0], 2, 3).unwrap();
/// let g = gram(&a).unwrap();
/// assert!(g.flat == 1 && (g.extremes.largest.value - 9.0).abs() < 1e-12);
/// ```
pub fn gram(a: &MatrixRef<'_>) -> Result<Gram, GramError> {
    if a.element_type().is_complex() {
        return Err(GramError::Complex);
    }
    let c = condition(a, &ConditionOptions::default())?;
    let square = |e: &Enclosure| -> Result<Signed, GramError> {
        let e = e.times(e);
        let range = || GramError::Range {
            log10: 0.5 * e.value().log10(),
        };
        let (value, lo, hi) = e.to_linear().ok_or_else(range)?;
        if hi.is_infinite() {
            return Err(range());
        }
        Ok(Signed { value, lo, hi })
    };
    let largest = square(&c.sigma_max.enclosure)?;
    if a.cols() <= a.rows() && c.sigma_min.enclosure.is_positive() {
        let smallest = square(&c.sigma_min.enclosure)?;
        let proved = |c: Certainty| matches!(c, Certainty::Certified | Certainty::Exact);
        let both = proved(c.sigma_min.certainty) && proved(c.sigma_max.certainty);
        return Ok(Gram {
            extremes: Extremes {
                smallest,
                largest,
                certainty: if both {
                    Certainty::Certified
                } else {
                    Certainty::Estimate
                },
            },
            flat: 0,
        });
    }
    let options = ConditionOptions {
        effort: Effort::Spectrum,
        ..ConditionOptions::default()
    };
    let all = condition(a, &options)?;
    let Some(values) = &all.singular_values else {
        return Ok(Gram {
            extremes: Extremes {
                smallest: largest,
                largest,
                certainty: Certainty::Estimate,
            },
            flat: a.cols(),
        });
    };
    let u = a.element_type().unit_roundoff();
    let rank = values.numerical_rank(a.rows(), a.cols(), u);
    let last = match rank.checked_sub(1) {
        None => Enclosure::ZERO,
        Some(k) => {
            let v = values.values[k];
            Enclosure::new(
                v,
                (v - values.error).max(0.0),
                v + values.error,
                values.exponent,
            )
            .unwrap_or(Enclosure::ZERO)
        }
    };
    Ok(Gram {
        extremes: Extremes {
            smallest: square(&last)?,
            largest,
            certainty: Certainty::Estimate,
        },
        flat: a.cols() - rank,
    })
}

/// Steps until the error has shrunk by `factor < 1`; infinite where it does not shrink.
///
/// # Examples
/// ```
/// use isometer::theory::descent::steps_to;
/// assert!((steps_to(0.1, 1e-3) - 3.0).abs() < 1e-12);
/// assert_eq!(steps_to(1.0, 1e-3), f64::INFINITY);
/// ```
pub fn steps_to(rate: f64, factor: f64) -> f64 {
    match rate {
        r if r >= 1.0 => f64::INFINITY,
        0.0 => 1.0,
        r => (factor.ln() / r.ln()).ceil(),
    }
}

/// Angle in radians by which a step of SGD with weight decay turns scale-invariant weights once their norm has settled, `sqrt(2 eta lambda)` to
/// first order in `eta lambda` (van Laarhoven, arXiv:1706.05350; Wan et al., arXiv:2006.08419).
///
/// # Examples
/// ```
/// use isometer::theory::descent::equilibrium_angle;
/// assert!((equilibrium_angle(0.02, 0.01) - 0.02).abs() < 1e-15);
/// ```
pub fn equilibrium_angle(eta: f64, decay: f64) -> f64 {
    (2.0 * eta * decay).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Theorem: overshoot-interval. Each regime against the iteration itself.
    #[test]
    fn regimes_are_what_iterations_do() {
        for (step, regime) in [
            (0.2, Regime::Approaches),
            (0.25, Regime::Exact),
            (0.4, Regime::Overshoots),
            (0.5, Regime::Bounces),
            (0.5f64.next_up(), Regime::Diverges),
            (0.5f64.next_down(), Regime::Overshoots),
            (0.25f64.next_down(), Regime::Approaches),
        ] {
            assert_eq!(Regime::of(step, 4.0), regime, "{step}");
            let x = |t: i32| (1.0 - step * 4.0).powi(t);
            match regime {
                Regime::Approaches => assert!(0.0 < x(2) && x(2) < x(1) && x(1) < 1.0),
                Regime::Exact => assert_eq!(x(1), 0.0),
                Regime::Overshoots => assert!(x(1) < 0.0 && x(2) > 0.0 && x(2) < 1.0),
                Regime::Bounces => assert_eq!((x(1), x(2)), (-1.0, 1.0)),
                _ => assert!(x(1) < -1.0 && x(2) > 1.0),
            }
        }
        assert_eq!(Regime::of(0.1, 0.0), Regime::Flat);
        assert_eq!(Regime::of(0.1, -1.0), Regime::Escapes);
        // 0.1 * 20 rounds to 2, and exactly is above it: the double 0.1 exceeds one tenth
        assert_eq!(0.1 * 20.0, 2.0);
        assert_eq!(Regime::of(0.1, 20.0), Regime::Diverges);
    }

    #[test]
    fn limits_are_outward_and_tight() {
        let exact = converging_below(Method::GradientDescent, Signed::point(4.0)).unwrap();
        assert_eq!((exact.lo, exact.hi), (0.5, 0.5));
        let third = converging_below(Method::GradientDescent, Signed::point(3.0)).unwrap();
        assert!(third.lo < 2.0 / 3.0 && 2.0 / 3.0 < third.hi && third.hi - third.lo < 1e-15);
        let wide = Signed {
            value: 3.0,
            lo: 2.0,
            hi: 4.0,
        };
        let wide = converging_below(Method::GradientDescent, wide).unwrap();
        assert!(wide.lo <= 0.5 && wide.hi >= 1.0);
        assert_eq!(overshooting_above(Signed::point(4.0)).unwrap().value, 0.25);
    }

    #[test]
    fn a_design_matrix_has_squared_curvatures() {
        let a = [3.0, 0.0, 0.0, 0.5, 0.0, 0.0];
        let g = gram(&MatrixRef::row_major(&a, 3, 2).unwrap()).unwrap();
        assert_eq!(g.flat, 0);
        for (s, truth) in [(g.extremes.smallest, 0.25), (g.extremes.largest, 9.0)] {
            assert!(
                s.lo <= truth && truth <= s.hi && s.hi - s.lo < 1e-13,
                "{s:?}"
            );
        }
        // wider than tall: one direction is flat, and the smallest curvature is of those that are not
        let a = [3.0, 0.0, 0.0, 0.0, 0.5, 0.0];
        let wide = gram(&MatrixRef::row_major(&a, 2, 3).unwrap()).unwrap();
        assert_eq!(wide.flat, 1);
        assert!((wide.extremes.smallest.value - 0.25).abs() < 1e-14);
    }

    #[test]
    fn outcomes() {
        let p = Signed::point;
        let plain = |eta: f64| judge(Method::GradientDescent, eta, p(1.0), p(4.0)).unwrap();
        assert_eq!(plain(0.1).outcome, Outcome::Converges);
        assert_eq!(plain(0.3).outcome, Outcome::Overshoots);
        assert_eq!(plain(0.5).outcome, Outcome::Bounces);
        assert_eq!(plain(0.6).outcome, Outcome::Diverges);
        assert!((plain(0.6).rate - 1.4).abs() < 1e-15);
        let heavy = |eta: f64| {
            judge(Method::HeavyBall { beta: 0.9 }, eta, p(1.0), p(4.0))
                .unwrap()
                .outcome
        };
        assert_eq!(heavy(0.6), Outcome::Overshoots);
        assert_eq!(heavy(0.96), Outcome::Diverges);
        assert_eq!(heavy(1e-5), Outcome::Converges);
        let saddle = judge(Method::GradientDescent, 0.1, p(-1.0), p(4.0)).unwrap();
        assert_eq!((saddle.outcome, saddle.rate), (Outcome::NoMinimum, 1.1));
        let unsure = Signed {
            value: 4.0,
            lo: 3.9,
            hi: 4.1,
        };
        let unsure = judge(Method::GradientDescent, 0.5, p(1.0), unsure).unwrap();
        assert_eq!(unsure.outcome, Outcome::Undecided);
        assert!(judge(Method::GradientDescent, 0.0, p(1.0), p(4.0)).is_err());
        assert_eq!(steps_to(0.5, 1e-6), 20.0);
        assert_eq!(steps_to(1.0, 1e-6), f64::INFINITY);
    }
}
