//! One number of a prediction beside one of a measurement, and what the difference says.
//!
//! Predictions and measurements are different types, so they cannot change places. [`exact`] tests laws,
//! [`asymptotic`] limits, by extrapolation over widths, [`jacobian`] the whole matrix; [`judge`] gives the verdicts
//! of a table at one error rate.

pub mod asymptotic;
pub mod exact;
pub mod jacobian;

use crate::scale::Certainty;
use crate::verify::statistics::{equivalent_deviation, holm};

/// What a comparison has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Within what chance explains.
    Agrees,
    /// Beyond it, at the family-wise error rate of the whole table.
    Disagrees,
    /// Not judged; the note says why.
    NotTestable,
}

impl Agreement {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Agreement::Agrees => "agrees",
            Agreement::Disagrees => "disagrees",
            Agreement::NotTestable => "not testable",
        }
    }
}

/// A quantity predicted and measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Which squared norm, then which number of its law: `jvp.mean_ln_square`.
    pub quantity: String,
    /// What the theory says.
    pub predicted: f64,
    /// What was measured.
    pub measured: f64,
    /// Standard error of what was measured, if the prediction is right.
    pub standard_error: f64,
    /// Deviation in standard errors, with its sign: the normal deviate of the p-value.
    pub deviation: f64,
    /// Two-sided p-value of this comparison alone; NaN where not testable.
    pub p_value: f64,
    /// After Holm's correction for all comparisons of the table.
    pub p_adjusted: f64,
    /// What the prediction is worth.
    pub certainty: Certainty,
    /// The verdict at the family-wise error rate.
    pub verdict: Agreement,
    /// How it was tested, where that is not plain, or why not.
    pub note: Option<String>,
}

impl Comparison {
    /// A test with its p-value; the verdict comes with [`judge`].
    pub(crate) fn tested(
        quantity: String,
        (predicted, measured, standard_error): (f64, f64, f64),
        p_value: f64,
        certainty: Certainty,
    ) -> Comparison {
        let size = equivalent_deviation(p_value);
        Comparison {
            quantity,
            predicted,
            measured,
            standard_error,
            deviation: if measured < predicted { -size } else { size },
            p_value,
            p_adjusted: p_value,
            certainty,
            verdict: Agreement::Agrees,
            note: None,
        }
    }

    /// A prediction that this measurement cannot judge.
    pub(crate) fn untested(
        quantity: String,
        (predicted, measured): (f64, f64),
        certainty: Certainty,
        why: String,
    ) -> Comparison {
        Comparison {
            quantity,
            predicted,
            measured,
            standard_error: f64::NAN,
            deviation: f64::NAN,
            p_value: f64::NAN,
            p_adjusted: f64::NAN,
            certainty,
            verdict: Agreement::NotTestable,
            note: Some(why),
        }
    }

    pub(crate) fn with_note(mut self, note: String) -> Comparison {
        self.note = Some(note);
        self
    }
}

/// Whether any of them disagrees.
pub fn disagree(comparisons: &[Comparison]) -> bool {
    comparisons
        .iter()
        .any(|c| c.verdict == Agreement::Disagrees)
}

/// The one that deviates most: of the least p-value, where there is one.
pub fn worst(comparisons: &[Comparison]) -> Option<&Comparison> {
    comparisons
        .iter()
        .filter(|c| !c.p_value.is_nan())
        .min_by(|a, b| a.p_value.total_cmp(&b.p_value))
}

/// Judges all comparisons at one family-wise error rate (theorem: spent-levels); whether any disagrees.
///
/// # Examples
/// ```
/// use isometer::theory::laws::{Factor, ProductLaw};
/// use isometer::verify::comparison::{exact::compare_law, judge, worst};
/// let law = ProductLaw::new(&[(Factor::ChiSquare { n: 2, scale: 1.0 }, 1)]).unwrap();
/// let mut rows = compare_law("x", &law, &vec![f64::NEG_INFINITY; 100]); // zeros, which the law excludes
/// assert!(judge(&mut rows, 0.001) && worst(&rows).unwrap().p_value < 1e-9);
/// ```
pub fn judge(comparisons: &mut [Comparison], alpha: f64) -> bool {
    let p: Vec<f64> = comparisons.iter().map(|c| c.p_value).collect();
    let mut any = false;
    for (c, adjusted) in comparisons.iter_mut().zip(holm(&p)) {
        c.p_adjusted = adjusted;
        if adjusted.is_nan() {
            c.verdict = Agreement::NotTestable;
        } else if adjusted <= alpha {
            c.verdict = Agreement::Disagrees;
            any = true;
        } else {
            c.verdict = Agreement::Agrees;
        }
    }
    any
}
