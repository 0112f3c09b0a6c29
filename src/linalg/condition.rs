//! Condition numbers with what they are worth.

use super::element::ElementType;
use super::singular::{SingularError, singular_values};
use super::certify::{self, gram::{Limits, Problem}};
use super::estimate;
use super::view::{MatrixRef, NonFinite, Widened};
use crate::scale::{Certainty, Enclosure};
use std::fmt;

/// The norm a condition number refers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// Spectral norm: largest over smallest singular value.
    #[default]
    Two,
    /// Largest absolute column sum.
    One,
    /// Largest absolute row sum.
    Inf,
    /// Frobenius norm.
    Frobenius,
}

impl Norm {
    /// The word used on the command line and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Norm::Two => "2",
            Norm::One => "1",
            Norm::Inf => "inf",
            Norm::Frobenius => "fro",
        }
    }
}

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

/// How a result was reached: the rung of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read off the matrix: zero, one row or column, or at most one non-zero per row and column.
    Structure,
    /// Cholesky proof on the Gram matrix, sharpened by Kato-Temple.
    Gram,
    /// Approximate inverse factor in double precision.
    InverseFactor,
    /// Approximate inverse factor in double-double.
    DoubleDouble,
    /// Exact rational arithmetic.
    Rational,
    /// Lanczos and inverse Lanczos, not proved.
    Lanczos,
    /// Full singular value decomposition, not proved.
    Svd,
}

impl Method {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Structure => "structure",
            Method::Gram => "gram-kato-temple",
            Method::InverseFactor => "inverse-factor",
            Method::DoubleDouble => "double-double",
            Method::Rational => "exact-rational",
            Method::Lanczos => "lanczos",
            Method::Svd => "svd",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
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

/// Condition number of a stored matrix.
///
/// # Errors
/// [`ConditionError`] on empty, non-finite or (for norms other than 2) non-square input.
pub fn condition(
    a: &MatrixRef<'_>,
    options: &ConditionOptions,
) -> Result<Conditioning, ConditionError> {
    let (rows, cols) = (a.rows(), a.cols());
    if rows == 0 || cols == 0 {
        return Err(ConditionError::Empty { rows, cols });
    }
    let w = a.widen().map_err(ConditionError::NonFinite)?;
    match options.effort {
        Effort::Certified => Ok(certified(a, w)),
        Effort::Estimate => estimated(a, &w),
        Effort::Spectrum => spectrum(a, options),
    }
}

fn certified(a: &MatrixRef<'_>, w: Widened) -> Conditioning {
    let p = Problem::new(w.mat, w.multiplicity);
    let x = certify::extremes(&p);
    let e = w.exponent;
    let make = |l: Limits, v: f64| Measured {
        enclosure: Enclosure::new(v, l.lo, l.hi, e).unwrap_or(Enclosure::ZERO),
        certainty: Certainty::Certified,
    };
    let top = make(x.largest, 0.5 * (x.largest.lo + x.largest.hi));
    let bottom = make(x.smallest, x.smallest_value);
    assemble(a, top, bottom, x.method)
}

fn estimated(a: &MatrixRef<'_>, w: &Widened) -> Result<Conditioning, ConditionError> {
    let e = estimate::extremes(&w.mat).ok_or(ConditionError::NoConvergence {
        rows: a.rows(),
        cols: a.cols(),
    })?;
    let make = |x: f64, err: f64| Measured {
        enclosure: Enclosure::new(x, (x - err).max(0.0), x + err, w.exponent)
            .unwrap_or(Enclosure::ZERO),
        certainty: Certainty::Estimate,
    };
    let top = make(e.largest, e.largest_error);
    let bottom = make(e.smallest, e.smallest_error);
    Ok(assemble(a, top, bottom, Method::Lanczos))
}

fn assemble(a: &MatrixRef<'_>, top: Measured, bottom: Measured, method: Method) -> Conditioning {
    let cond = Measured {
        enclosure: top.enclosure.ratio(&bottom.enclosure),
        certainty: bottom.certainty,
    };
    let u = a.element_type().unit_roundoff();
    let n = a.rows().min(a.cols());
    Conditioning {
        rows: a.rows(),
        cols: a.cols(),
        element_type: a.element_type(),
        norm: Norm::Two,
        cond,
        sigma_max: top,
        sigma_min: bottom,
        rank: Rank {
            numerical: None,
            exact: bottom.enclosure.is_positive().then_some(n),
        },
        method,
        resolvable: cond.enclosure.value().log2() + u.log2() <= 0.0,
        singular_values: None,
        remark: None,
    }
}

fn spectrum(
    a: &MatrixRef<'_>,
    options: &ConditionOptions,
) -> Result<Conditioning, ConditionError> {
    let s = singular_values(a)?;
    let enclosure = |x: f64| {
        Enclosure::new(x, (x - s.error).max(0.0), x + s.error, s.exponent)
            .unwrap_or(Enclosure::ZERO)
    };
    let estimate = |enclosure| Measured {
        enclosure,
        certainty: Certainty::Estimate,
    };
    let top = enclosure(s.values[0]);
    let bottom = enclosure(s.values[s.values.len() - 1]);
    let cond = top.ratio(&bottom);
    let u = a.element_type().unit_roundoff();
    Ok(Conditioning {
        rows: a.rows(),
        cols: a.cols(),
        element_type: a.element_type(),
        norm: options.norm,
        cond: estimate(cond),
        sigma_max: estimate(top),
        sigma_min: estimate(bottom),
        rank: Rank {
            numerical: Some(s.numerical_rank(a.rows(), a.cols(), u)),
            exact: None,
        },
        method: Method::Svd,
        resolvable: cond.value().log2() + u.log2() <= 0.0,
        singular_values: Some(s),
        remark: None,
    })
}
