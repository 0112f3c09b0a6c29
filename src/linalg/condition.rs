//! Condition numbers with what they are worth.
//!
//! *How much can a relative error in the data grow in a solution?* By `kappa = sigma_max / sigma_min` at most: a
//! solve loses about `log10(kappa)` of the digits that the format has. Start with [`condition`].
//!
//! | [`Effort`] | what comes back | worth |
//! |---|---|---|
//! | [`Certified`](Effort::Certified) (default) | an interval that contains the true value for the stored entries | certified |
//! | [`Estimate`](Effort::Estimate) | Lanczos values with a predicted error | estimate |
//! | [`Spectrum`](Effort::Spectrum) | all singular values with a predicted error | estimate |
//!
//! The proof climbs a ladder until a rung holds ([`Method`] names it): structure, Cholesky of the Gram matrix with
//! the Kato-Temple inequality, an approximate inverse judged by its residual, the same in double-double, integer
//! arithmetic. Where none shows that `sigma_min > 0`, the upper limit is infinite and the remark says what was
//! tried.
//!
//! ```
//! use isometer::linalg::condition::{ConditionOptions, Method, condition};
//! use isometer::linalg::view::MatrixRef;
//!
//! let options = ConditionOptions::default();
//! // sigma^2 = 15 +- sqrt 221, so kappa = (15 + sqrt 221) / 2
//! let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
//! let c = condition(&a, &options).unwrap();
//! let (_, lo, hi) = c.cond.enclosure.to_linear().unwrap();
//! assert!(lo <= 14.933034373659252 && 14.933034373659252 <= hi && hi - lo < 1e-12);
//!
//! // row 1 is twice row 0: singular, and known to be
//! let b = MatrixRef::row_major(&[1.0, 2.0, 2.0, 4.0], 2, 2).unwrap();
//! let c = condition(&b, &options).unwrap();
//! assert_eq!((c.method, c.rank.exact), (Method::Structure, Some(1)));
//! assert!(c.cond.enclosure.lo().is_infinite());
//! ```

pub use super::certify::Method;
use super::certify::{
    self,
    gram::Problem,
    inverse::{certify_inverse_norm, stored_norm},
};
use super::element::ElementType;
use super::estimate;
pub use super::norms::Norm;
use super::rounding::{down, up};
use super::singular::{SingularError, rank_threshold as threshold_of, singular_values};
use super::view::{MatrixRef, NonFinite};
use super::widen::Widened;
use crate::scale::{Certainty, Enclosure};

/// How much work to spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// A proved enclosure of the stored numbers.
    #[default]
    Certified,
    /// Lanczos estimates with a predicted error.
    Estimate,
    /// A full singular value decomposition.
    Spectrum,
}

/// What to compute.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConditionOptions {
    /// Norm of the condition number.
    pub norm: Norm,
    /// Certified enclosure, quick estimate or full spectrum.
    pub effort: Effort,
}

/// A number with its limits and what they are worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Value and limits.
    pub enclosure: Enclosure,
    /// Whether the limits are proved or predicted.
    pub certainty: Certainty,
}

/// Rank of a matrix, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// Singular values above the rounding level of the storage format; `None` where only the
    /// extreme singular values were computed and the matrix is not shown to have full rank.
    pub numerical: Option<usize>,
    /// The rank of the stored numbers, where it is proved.
    pub exact: Option<usize>,
}

/// Conditioning of one matrix.
#[derive(Clone, Debug)]
pub struct Conditioning {
    /// Rows as stored.
    pub rows: usize,
    /// Columns as stored.
    pub cols: usize,
    /// Format of the entries.
    pub element_type: ElementType,
    /// Norm of [`Conditioning::cond`].
    pub norm: Norm,
    /// Condition number in that norm.
    pub cond: Measured,
    /// Largest singular value.
    pub sigma_max: Measured,
    /// Smallest of the `min(rows, cols)` singular values.
    pub sigma_min: Measured,
    /// Rank, numerical and proved.
    pub rank: Rank,
    /// The rung that gave the weakest part of the answer.
    pub method: Method,
    /// False when `u * cond > 1`: entries of this format, if they were rounded, cannot tell the
    /// matrix from a singular one.
    pub resolvable: bool,
    /// All singular values (largest first, as `value * 2^exponent`), where the spectrum was asked for.
    pub singular_values: Option<super::singular::SingularValues>,
    /// Why the matrix is singular, or why nothing better could be proved: one sentence for people.
    pub remark: Option<String>,
}

/// Why no condition number was computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConditionError {
    /// The matrix has no entries.
    #[error("a {rows} x {cols} matrix is empty and has no condition number")]
    Empty {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },
    /// An entry is NaN or infinite.
    #[error(
        "the matrix holds {0}; repair the entry or find what wrote it before asking for a condition number"
    )]
    NonFinite(NonFinite),
    /// The norm needs an inverse and the matrix is not square.
    #[error(
        "the condition number in norm {norm} needs a square matrix, this one is {rows} x {cols}; use --norm 2"
    )]
    NotSquare {
        /// Name of the norm.
        norm: &'static str,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },
    /// The decomposition failed.
    #[error("the singular value iteration did not converge on a {rows} x {cols} matrix")]
    NoConvergence {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },
}

impl From<SingularError> for ConditionError {
    fn from(e: SingularError) -> Self {
        match e {
            SingularError::Empty { rows, cols } => ConditionError::Empty { rows, cols },
            SingularError::NonFinite(n) => ConditionError::NonFinite(n),
            SingularError::NoConvergence { rows, cols } => {
                ConditionError::NoConvergence { rows, cols }
            }
        }
    }
}

/// Condition number of an `m x n` matrix as stored, with its limits: `sigma_max / sigma_min` of the `min(m, n)`
/// singular values for [`Norm::Two`], `|A| |A^-1|` for the others, which want a square matrix. At least 1, and that
/// of any multiple of the matrix. The limits are proved for [`Effort::Certified`] and predicted otherwise.
///
/// Theorems: certified-enclosures, condition-at-least-one, condition-of-multiples.
///
/// # Errors
/// [`ConditionError`] on empty, non-finite or (for norms other than 2) non-square input.
///
/// # Examples
/// ```
/// use isometer::linalg::condition::{ConditionOptions, Norm, condition};
/// use isometer::linalg::view::MatrixRef;
///
/// let a = MatrixRef::row_major(&[2.0, 0.0, 1.0, 1.0], 2, 2).unwrap();
/// let options = ConditionOptions { norm: Norm::One, ..Default::default() };
/// // |A|_1 |A^-1|_1 = 3 * 1 (the column sums of |A^-1|, [[1/2, 0], [1/2, 1]], are 1 and 1)
/// let (kappa, ..) = condition(&a, &options).unwrap().cond.enclosure.to_linear().unwrap();
/// assert!((kappa - 3.0).abs() < 1e-12);
/// ```
pub fn condition(
    a: &MatrixRef<'_>,
    options: &ConditionOptions,
) -> Result<Conditioning, ConditionError> {
    let (rows, cols) = (a.rows(), a.cols());
    if rows == 0 || cols == 0 {
        return Err(ConditionError::Empty { rows, cols });
    }
    if options.norm != Norm::Two && rows != cols {
        return Err(ConditionError::NotSquare {
            norm: options.norm.as_str(),
            rows,
            cols,
        });
    }
    let w = a.widen().map_err(ConditionError::NonFinite)?;
    match options.effort {
        Effort::Certified => Ok(certified(a, w, options.norm)),
        Effort::Estimate => estimated(a, w, options.norm),
        Effort::Spectrum => spectrum(a, w, options.norm),
    }
}

fn certified(a: &MatrixRef<'_>, w: Widened, norm: Norm) -> Conditioning {
    let seen = norm_of(norm, w.transposed);
    let p = Problem::new(w.mat, w.multiplicity);
    let x = certify::certify(a, &p, w.exponent, w.rounded);
    let make = |enclosure| Measured {
        enclosure,
        certainty: Certainty::Certified,
    };
    let mut c = assemble(a, make(x.largest), make(x.smallest), x.method);
    c.rank.exact = x.rank;
    if x.second > rank_threshold(a) && !above_threshold(&c, rank_threshold(a)) {
        // one singular value lies below the threshold, the next is proved to lie above
        c.rank.numerical = Some(smaller_dimension(a) - 1);
    }
    c.remark = x.remark;
    if norm != Norm::Two {
        let (cond, method) = other_norm(&p, &c, seen, Certainty::Certified, w.rounded);
        c.set_cond(norm, cond, method);
    }
    finish(a, c)
}

fn estimated(a: &MatrixRef<'_>, w: Widened, norm: Norm) -> Result<Conditioning, ConditionError> {
    let e = estimate::extremes(&w.mat).ok_or(ConditionError::NoConvergence {
        rows: a.rows(),
        cols: a.cols(),
    })?;
    let make = |x: f64, err: f64| Measured {
        enclosure: Enclosure::new(x, (x - err).max(0.0), x + err, w.exponent)
            .unwrap_or(Enclosure::UNKNOWN),
        certainty: Certainty::Estimate,
    };
    let seen = norm_of(norm, w.transposed);
    let top = make(e.largest, e.largest_error);
    let bottom = make(e.smallest, e.smallest_error);
    let mut c = assemble(a, top, bottom, Method::Lanczos);
    if norm != Norm::Two {
        let p = Problem::new(w.mat, w.multiplicity);
        let (cond, method) = other_norm(&p, &c, seen, Certainty::Estimate, w.rounded);
        c.set_cond(norm, cond, method);
    }
    Ok(finish(a, c))
}

/// The norm of the widened matrix that equals `norm` of the stored one.
fn norm_of(norm: Norm, transposed: bool) -> Norm {
    match norm {
        Norm::One if transposed => Norm::Inf,
        Norm::Inf if transposed => Norm::One,
        other => other,
    }
}

/// Condition number in the 1-, infinity- or Frobenius norm of a square matrix.
fn other_norm(
    p: &Problem,
    two: &Conditioning,
    norm: Norm,
    certainty: Certainty,
    rounded: usize,
) -> (Measured, Method) {
    let measured = |enclosure| Measured {
        enclosure,
        certainty,
    };
    if two.sigma_min.enclosure.is_zero() {
        return (measured(Enclosure::infinite()), two.method);
    }
    let moved = certify::moved(rounded);
    let (lo, hi) = stored_norm(&p.a, norm, p.multiplicity);
    let (lo, hi) = if moved == 0.0 {
        (lo, hi)
    } else {
        (down(lo - moved), up(hi + moved))
    };
    let size = Enclosure::new(0.5 * (lo + hi), lo, hi, 0).unwrap_or(Enclosure::UNKNOWN);
    match certify_inverse_norm(p, norm, moved) {
        Some((l, method)) => {
            let inverse =
                Enclosure::new(0.5 * (l.lo + l.hi), l.lo, l.hi, 0).unwrap_or(Enclosure::UNKNOWN);
            (measured(size.times(&inverse)), method)
        }
        None => {
            // equivalence of norms: kappa_2 / n <= kappa <= n kappa_2
            let n = (p.order() / p.multiplicity) as f64;
            let k = &two.cond.enclosure;
            let range =
                Enclosure::new(1.0, (1.0 / n).next_down(), n, 0).unwrap_or(Enclosure::UNKNOWN);
            (measured(k.times(&range)), two.method)
        }
    }
}

/// Fills in what follows from the enclosures: rank and remark.
fn finish(a: &MatrixRef<'_>, mut c: Conditioning) -> Conditioning {
    let threshold = rank_threshold(a);
    if c.rank.numerical.is_none() {
        c.rank.numerical = if c.sigma_max.enclosure.is_zero() {
            Some(0)
        } else if above_threshold(&c, threshold) {
            Some(smaller_dimension(a))
        } else {
            numerical_rank(a, threshold, c.sigma_max.certainty)
        };
    }
    if c.remark.is_none() && !c.resolvable {
        c.remark = Some(format!(
            "kappa is beyond {:.1e}, the largest that {} entries can tell from singular: if these numbers were rounded, the rounding dominates",
            c.element_type.largest_resolvable_cond(),
            c.element_type
        ));
    }
    c
}

/// The smaller dimension: how many singular values there are.
fn smaller_dimension(a: &MatrixRef<'_>) -> usize {
    a.rows().min(a.cols())
}

/// Singular values below this fraction of the largest count as zero: `max(rows, cols) * 2u`, the
/// convention of `numpy.linalg.matrix_rank` for the storage format.
fn rank_threshold(a: &MatrixRef<'_>) -> f64 {
    threshold_of(a.rows(), a.cols(), a.element_type().unit_roundoff())
}

fn above_threshold(c: &Conditioning, threshold: f64) -> bool {
    let (top, bottom) = (c.sigma_max.enclosure.value(), c.sigma_min.enclosure.value());
    (bottom / top).ln() > threshold.ln()
}

/// Largest `m n^2` for which a near-singular matrix gets a full decomposition to count its rank.
const FULL_SPECTRUM_WORK: f64 = 3e8;

/// Singular values above `threshold * sigma_max`: by a full decomposition of a small matrix, by the
/// inertia of the shifted Gram matrix of a large one where that resolves the threshold and the
/// answer is more than an estimate.
fn numerical_rank(a: &MatrixRef<'_>, threshold: f64, certainty: Certainty) -> Option<usize> {
    let (rows, cols) = (a.rows(), a.cols());
    let work = rows as f64 * cols as f64 * rows.min(cols) as f64;
    if work <= FULL_SPECTRUM_WORK {
        let u = a.element_type().unit_roundoff();
        return singular_values(a)
            .ok()
            .map(|s| s.numerical_rank(rows, cols, u));
    }
    // counting would cost as much again as an estimate
    if certainty == Certainty::Estimate {
        return None;
    }
    // squared singular values are known to about (m + n) u of the largest
    let resolved = threshold * threshold > 1e3 * (rows + cols) as f64 * f64::EPSILON;
    let w = a.widen().ok().filter(|_| resolved)?;
    let multiplicity = w.multiplicity;
    let count = Problem::new(w.mat, multiplicity).count_above(threshold)?;
    Some(count / multiplicity)
}

impl Conditioning {
    /// Puts together what is known about the extreme singular values of a map of `shape.0` rows and `shape.1`
    /// columns; the rank is left open unless the smallest lies above the rounding level.
    pub(crate) fn of_map(
        shape: (usize, usize),
        element_type: ElementType,
        top: Measured,
        bottom: Measured,
        method: Method,
    ) -> Conditioning {
        let (rows, cols) = shape;
        let single = rows.min(cols) == 1 && !top.enclosure.is_zero();
        let enclosure = match Enclosure::point(1.0, 0) {
            // one singular value is both the largest and the smallest
            Some(one) if single => one,
            _ => top.enclosure.ratio(&bottom.enclosure),
        };
        let mut c = Conditioning {
            rows,
            cols,
            element_type,
            norm: Norm::Two,
            cond: Measured {
                enclosure,
                certainty: bottom.certainty,
            },
            sigma_max: top,
            sigma_min: bottom,
            rank: Rank {
                numerical: None,
                exact: None,
            },
            method,
            resolvable: is_resolvable(&enclosure, element_type),
            singular_values: None,
            remark: None,
        };
        let threshold = threshold_of(rows, cols, element_type.unit_roundoff());
        if top.enclosure.is_zero() {
            c.rank = Rank {
                numerical: Some(0),
                exact: Some(0),
            };
        } else if bottom.enclosure.is_positive() && above_threshold(&c, threshold) {
            c.rank.numerical = Some(rows.min(cols));
        }
        c
    }

    /// Says in which format the numbers behind an explicit `f64` matrix are stored.
    pub(crate) fn set_element_type(&mut self, a: &MatrixRef<'_>, ty: ElementType) {
        self.element_type = ty;
        self.resolvable = is_resolvable(&self.cond.enclosure, ty);
        let threshold = threshold_of(self.rows, self.cols, ty.unit_roundoff());
        if self.rank.exact.is_none() && !above_threshold(self, threshold) {
            let s = singular_values(a).ok();
            let u = ty.unit_roundoff();
            self.rank.numerical = s.map(|s| s.numerical_rank(self.rows, self.cols, u));
        }
    }

    fn set_cond(&mut self, norm: Norm, cond: Measured, method: Method) {
        self.norm = norm;
        self.cond = cond;
        self.method = method;
        self.resolvable = is_resolvable(&cond.enclosure, self.element_type);
    }
}

fn is_resolvable(cond: &Enclosure, ty: ElementType) -> bool {
    cond.value().ln() <= ty.largest_resolvable_cond().ln()
}

fn assemble(a: &MatrixRef<'_>, top: Measured, bottom: Measured, method: Method) -> Conditioning {
    let shape = (a.rows(), a.cols());
    let mut c = Conditioning::of_map(shape, a.element_type(), top, bottom, method);
    c.rank.numerical = None;
    c
}

fn spectrum(a: &MatrixRef<'_>, w: Widened, norm: Norm) -> Result<Conditioning, ConditionError> {
    let s = singular_values(a)?;
    let make = |x: f64| Measured {
        enclosure: Enclosure::new(x, (x - s.error).max(0.0), x + s.error, s.exponent)
            .unwrap_or(Enclosure::UNKNOWN),
        certainty: Certainty::Estimate,
    };
    let seen = norm_of(norm, w.transposed);
    let (top, bottom) = (make(s.values[0]), make(s.values[s.values.len() - 1]));
    let mut c = assemble(a, top, bottom, Method::Svd);
    let u = c.element_type.unit_roundoff();
    c.rank.numerical = Some(s.numerical_rank(a.rows(), a.cols(), u));
    c.singular_values = Some(s);
    if norm != Norm::Two {
        let p = Problem::new(w.mat, w.multiplicity);
        let (cond, method) = other_norm(&p, &c, seen, Certainty::Estimate, w.rounded);
        c.set_cond(norm, cond, method);
    }
    Ok(finish(a, c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[[1, 2, 3], [0, 1, 4], [0, 0, 1]]` has inverse `[[1, -2, 5], [0, 1, -4], [0, 0, 1]]`: 1-norms 8 and 10,
    /// infinity-norms 6 and 8. (At order 2 the two condition numbers always agree.)
    #[test]
    fn one_and_inf_are_not_confused_by_the_layout() {
        let rows = [1.0, 2.0, 3.0, 0.0, 1.0, 4.0, 0.0, 0.0, 1.0];
        let cols = [1.0, 0.0, 0.0, 2.0, 1.0, 0.0, 3.0, 4.0, 1.0];
        for a in [
            MatrixRef::row_major(&rows, 3, 3).unwrap(),
            MatrixRef::col_major(&cols, 3, 3).unwrap(),
        ] {
            for effort in [Effort::Certified, Effort::Estimate, Effort::Spectrum] {
                for (norm, kappa) in [(Norm::One, 80.0), (Norm::Inf, 48.0)] {
                    let c = condition(&a, &ConditionOptions { norm, effort }).unwrap();
                    let (value, lo, hi) = c.cond.enclosure.to_linear().unwrap();
                    assert!(lo <= kappa && kappa <= hi, "{norm:?} {effort:?}: {value}");
                    assert_eq!(c.norm, norm);
                }
            }
        }
    }
}
