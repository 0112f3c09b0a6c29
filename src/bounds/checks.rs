//! Assertions for a user's own tests: conditioning of a matrix, the norm of a matrix, the gradient of a whole
//! chain. They fail with the number, what it is worth, and the worst layer.
//!
//! ```
//! use isometer::bounds::checks::{GradientBudget, assert_well_conditioned};
//! use isometer::linalg::view::MatrixRef;
//!
//! let w = MatrixRef::row_major(&[2.0, 1.0, 1.0, 2.0], 2, 2).unwrap();
//! assert_well_conditioned(&w, 3.5);
//! // three such layers may stretch a gradient by 3^3 at most
//! GradientBudget::at_most(27.5).assert(&[w, w, w]);
//! assert!(GradientBudget::at_most(26.5).check(&[w, w, w]).is_err());
//! ```

use super::chain::ChainError;
use super::product;
use crate::linalg::condition::{ConditionError, ConditionOptions, condition};
use crate::linalg::norms;
use crate::linalg::view::{MatrixRef, NonFinite};
use crate::scale::{Certainty, LogScale};
use thiserror::Error;

/// Why a check fails.
#[derive(Clone, Debug, Error)]
pub enum Violation {
    /// The condition number is, or may be, above the limit.
    #[error("kappa is {found}, limit {limit:e}: {certainty} ({method}){advice}", certainty = certainty.as_str())]
    Condition {
        /// Its enclosure, as text.
        found: String,
        /// The limit.
        limit: f64,
        /// What the enclosure is worth.
        certainty: Certainty,
        /// How it was found.
        method: String,
        /// What follows.
        advice: &'static str,
    },
    /// The norm is above the limit.
    #[error("the norm is at least {at_least:e}, limit {limit:e}")]
    Norm {
        /// Certified lower end.
        at_least: f64,
        /// The limit.
        limit: f64,
    },
    /// The chain may stretch a gradient beyond the budget.
    #[error(
        "the chain stretches by at most 10^{log10_bound:.3} ({name}), budget 10^{log10_budget:.3}; layer {worst} has the largest norm, 10^{log10_worst:.3}; found from below: {below}"
    )]
    Budget {
        /// Tightest certified upper bound.
        log10_bound: f64,
        /// Which.
        name: &'static str,
        /// What was allowed.
        log10_budget: f64,
        /// The layer of the largest norm, counted from 1.
        worst: usize,
        /// Its norm.
        log10_worst: f64,
        /// The largest lower bound, as text.
        below: String,
    },
    /// No condition number.
    #[error(transparent)]
    Unconditioned(#[from] ConditionError),
    /// NaN or an infinity.
    #[error("the matrix holds {0}")]
    NonFinite(NonFinite),
    /// No chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Whether `kappa_2(A) <= limit` is proved.
///
/// # Errors
///
/// [`Violation`], also where the enclosure contains the limit and so does not decide.
///
/// # Examples
/// ```
/// use isometer::bounds::checks::check_well_conditioned;
/// use isometer::linalg::view::MatrixRef;
/// let w = MatrixRef::row_major(&[2.0, 1.0, 1.0, 2.0], 2, 2).unwrap(); // kappa = 3
/// assert!(check_well_conditioned(&w, 3.1).is_ok());
/// assert!(check_well_conditioned(&w, 2.9).is_err());
/// ```
pub fn check_well_conditioned(a: &MatrixRef<'_>, limit: f64) -> Result<(), Violation> {
    let c = condition(a, &ConditionOptions::default())?;
    let hi = c.cond.enclosure.hi();
    if hi.ln() <= limit.ln() {
        return Ok(());
    }
    let (lo, hi) = (c.cond.enclosure.lo(), hi);
    let proved = lo.ln() > limit.ln();
    Err(Violation::Condition {
        found: format!("in [10^{:.3}, 10^{:.3}]", lo.log10(), hi.log10()),
        limit,
        certainty: c.cond.certainty,
        method: c.method.as_str().into(),
        advice: match proved {
            true => "",
            false => "; the limits do not decide, so it is not proved to be below",
        },
    })
}

/// Whether `|A|_2 <= limit` up to the width of a certified enclosure (about `1e-15`).
///
/// # Errors
///
/// [`Violation`].
///
/// # Examples
/// ```
/// use isometer::bounds::checks::check_norm_at_most;
/// use isometer::linalg::view::MatrixRef;
/// let w = MatrixRef::row_major(&[3.0, 0.0, 4.0, 0.0], 2, 2).unwrap(); // norm 5
/// assert!(check_norm_at_most(&w, 5.0).is_ok() && check_norm_at_most(&w, 4.999).is_err());
/// ```
pub fn check_norm_at_most(a: &MatrixRef<'_>, limit: f64) -> Result<(), Violation> {
    let norm = norms::two(a).map_err(Violation::NonFinite)?;
    match norm.lo().to_linear_saturating() <= limit {
        true => Ok(()),
        false => Err(Violation::Norm {
            at_least: norm.lo().to_linear_saturating(),
            limit,
        }),
    }
}

/// Panics unless `kappa_2(A) <= limit` is proved.
///
/// # Panics
///
/// With the enclosure, its certificate and the limit.
///
/// # Examples
/// ```should_panic
/// use isometer::bounds::checks::assert_well_conditioned;
/// use isometer::linalg::view::MatrixRef;
/// let singular = MatrixRef::row_major(&[1.0, 2.0, 2.0, 4.0], 2, 2).unwrap();
/// assert_well_conditioned(&singular, 1e6);
/// ```
#[track_caller]
pub fn assert_well_conditioned(a: &MatrixRef<'_>, limit: f64) {
    if let Err(violation) = check_well_conditioned(a, limit) {
        panic!("not well-conditioned: {violation}");
    }
}

/// Panics unless `|A|_2 <= limit`.
///
/// # Panics
///
/// With the certified norm and the limit.
///
/// # Examples
/// ```
/// use isometer::bounds::checks::assert_norm_at_most;
/// use isometer::linalg::view::MatrixRef;
/// assert_norm_at_most(&MatrixRef::row_major(&[0.0, 1.0, -1.0, 0.0], 2, 2).unwrap(), 1.0);
/// ```
#[track_caller]
pub fn assert_norm_at_most(a: &MatrixRef<'_>, limit: f64) {
    if let Err(violation) = check_norm_at_most(a, limit) {
        panic!("{violation}");
    }
}

/// How much a chain of layers may stretch a gradient.
///
/// # Examples
/// ```
/// use isometer::bounds::checks::GradientBudget;
/// use isometer::linalg::view::MatrixRef;
/// let halving = MatrixRef::row_major(&[0.5, 0.0, 0.0, 0.25], 2, 2).unwrap();
/// assert!(GradientBudget::at_most(0.126).check(&[halving; 3]).is_ok()); // 1/8
/// assert!(GradientBudget::at_most(0.124).check(&[halving; 3]).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientBudget {
    limit: LogScale,
}

impl GradientBudget {
    /// At most this factor; nothing is allowed for a limit that is not a positive number.
    pub fn at_most(factor: f64) -> GradientBudget {
        GradientBudget {
            limit: LogScale::from_linear(factor).unwrap_or(LogScale::ZERO),
        }
    }

    /// Whether the product of the layers, first applied first, is proved to stretch no more than that; with
    /// activations of slopes in `[-1, 1]` between them the product of norms bounds the network as well.
    ///
    /// # Errors
    ///
    /// [`Violation`].
    ///
    /// # Examples
    /// ```
    /// use isometer::bounds::checks::{GradientBudget, Violation};
    /// use isometer::linalg::view::MatrixRef;
    /// let (w, big) = (MatrixRef::row_major(&[1.0], 1, 1).unwrap(), MatrixRef::row_major(&[9.0], 1, 1).unwrap());
    /// let Err(error) = GradientBudget::at_most(2.0).check(&[w, big, w]) else { panic!() };
    /// assert!(!matches!(error, Violation::Condition { .. }) && error.to_string().contains('2')); // the worst layer
    /// ```
    pub fn check(&self, layers: &[MatrixRef<'_>]) -> Result<(), Violation> {
        let upper = product::upper_bounds(layers)?;
        let Some(best) = upper
            .iter()
            .min_by(|a, b| a.value.ln().total_cmp(&b.value.ln()))
        else {
            return Ok(());
        };
        if best.value.ln() <= self.limit.ln() {
            return Ok(());
        }
        let norms = layers
            .iter()
            .map(|w| norms::two(w).map_or(f64::INFINITY, |e| e.hi().log10()));
        let (worst, log10_worst) = norms
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((0, f64::NEG_INFINITY));
        let below = product::lower_bounds(layers)?
            .into_iter()
            .map(|b| b.value.log10())
            .reduce(f64::max);
        Err(Violation::Budget {
            log10_bound: best.value.log10(),
            name: best.name,
            log10_budget: self.limit.log10(),
            worst: worst + 1,
            log10_worst,
            below: below.map_or("nothing".into(), |x| format!("10^{x:.3}")),
        })
    }

    /// Panics unless the budget is kept.
    ///
    /// # Panics
    ///
    /// With the bound, the budget and the worst layer.
    #[track_caller]
    pub fn assert(&self, layers: &[MatrixRef<'_>]) {
        if let Err(violation) = self.check(layers) {
            panic!("{violation}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn m(x: &[f64]) -> MatrixRef<'_> {
        MatrixRef::row_major(x, 2, 2).unwrap()
    }

    #[test]
    fn failures_say_what_and_where() {
        let (a, b) = ([2.0, 1.0, 1.0, 2.0], [0.0, 5.0, 5.0, 0.0]);
        assert!(check_well_conditioned(&m(&a), 3.1).is_ok());
        let text = check_well_conditioned(&m(&a), 2.9).unwrap_err().to_string();
        assert!(
            text.contains("certified") && text.contains("limit 2.9e0"),
            "{text}"
        );
        assert!(check_norm_at_most(&m(&a), 3.0).is_ok());
        assert!(check_norm_at_most(&m(&a), 3.0 - 1e-12).is_err());
        let text = GradientBudget::at_most(10.0)
            .check(&[m(&a), m(&b)])
            .unwrap_err()
            .to_string();
        assert!(text.contains("layer 2 has the largest norm"), "{text}");
        assert!(check_well_conditioned(&m(&[1.0, 1.0, 1.0, 1.0]), 1e300).is_err());
        assert!(check_norm_at_most(&m(&[f64::NAN; 4]), 1.0).is_err());
        assert!(GradientBudget::at_most(f64::NAN).check(&[m(&a)]).is_err());
    }

    #[test]
    #[should_panic(expected = "not well-conditioned")]
    fn assertions_panic() {
        assert_well_conditioned(&m(&[1.0, 2.0, 2.0, 4.0]), 1e6);
    }
}
