//! Statements found in print about alpha, gradients and initialization, each decided by a computation that is run
//! when asked.
//!
//! The evidence of a claim is a list of cases. In each the statement is tried and found right or wrong, and the
//! case says whether it meets the condition of the verdict. [`Evidence::verdict`] follows from the cases alone, so
//! a verdict that is written down cannot drift away from its computation. Start with [`all`] or [`find`], then
//! [`Claim::evidence`].
//!
//! ```
//! use isometer::verify::claims::{Case, Evidence, Verdict, find};
//!
//! let claim = find("large-alpha-vanishes").unwrap();
//! assert_eq!(claim.verdict, Verdict::False);
//! assert!(find("large-alpha-vanish").unwrap_err().nearest == claim.id);
//!
//! let case = |agrees, condition| Case { name: String::new(), figures: vec![], agrees, condition };
//! let cases = vec![case(true, true), case(false, false)];
//! assert_eq!(Evidence { cases }.verdict(), Some(Verdict::OnlyIf)); // right just where the condition holds
//! ```

mod alpha;
mod cures;
mod depth;
mod descent;
mod matrices;
mod tools;

use crate::linalg::condition::ConditionError;
use crate::linalg::product::ProductError;
use crate::linalg::singular::SingularError;
use crate::linalg::view::{NonFinite, ViewError};
use crate::network::InitError;
use crate::reference::{DrawError, LayersError};
use crate::theory::gain::GainError;
use crate::theory::laws::LawError;
use crate::theory::mean_field::LengthMapError;
use crate::theory::normalization::NormalizationError;
use crate::theory::optimisation::OptimisationError;
use crate::theory::predict::PredictError;

/// How a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    True,
    /// It does not, and no simple condition mends it.
    False,
    /// It holds under a condition and fails without.
    OnlyIf,
}

impl Verdict {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::True => "true",
            Verdict::False => "false",
            Verdict::OnlyIf => "true only if",
        }
    }
}

/// One trial of a statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What was tried.
    pub name: String,
    /// Numbers computed, with the unit in the name.
    pub figures: Vec<(&'static str, f64)>,
    /// Whether the statement says what happened.
    pub agrees: bool,
    /// Whether the case meets the condition of the verdict.
    pub condition: bool,
}

impl Case {
    fn new(name: impl Into<String>, agrees: bool) -> Case {
        Case {
            name: name.into(),
            figures: Vec::new(),
            agrees,
            condition: false,
        }
    }

    fn with(mut self, name: &'static str, value: f64) -> Case {
        self.figures.push((name, value));
        self
    }

    /// Marks the case as one that meets the condition.
    fn under_condition(mut self) -> Case {
        self.condition = true;
        self
    }
}

/// What a computation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The trials.
    pub cases: Vec<Case>,
}

impl Evidence {
    /// What follows from the cases: true if the statement agrees with all, true only if when it agrees with exactly those that meet the condition,
    /// otherwise false. `None` without a case.
    pub fn verdict(&self) -> Option<Verdict> {
        let all = |f: fn(&Case) -> bool| self.cases.iter().all(f);
        match () {
            () if self.cases.is_empty() => None,
            () if all(|c| c.agrees) => Some(Verdict::True),
            () if all(|c| c.agrees == c.condition) && !all(|c| !c.condition) => {
                Some(Verdict::OnlyIf)
            }
            () => Some(Verdict::False),
        }
    }
}

/// Why evidence could not be computed; every variant is a limit of the machine or an error in this library.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// A network could not be drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// Layers make no network.
    #[error(transparent)]
    Layers(#[from] LayersError),
    /// An initializer.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A prediction.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// An exact law.
    #[error(transparent)]
    Law(#[from] LawError),
    /// Gains of activations.
    #[error(transparent)]
    Gain(#[from] GainError),
    /// A mean-field map.
    #[error(transparent)]
    LengthMap(#[from] LengthMapError),
    /// Growth under normalization.
    #[error(transparent)]
    Normalization(#[from] NormalizationError),
    /// A long product.
    #[error(transparent)]
    Product(#[from] ProductError),
    /// A condition number.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// Singular values.
    #[error(transparent)]
    Singular(#[from] SingularError),
    /// Steps on a quadratic.
    #[error(transparent)]
    Optimisation(#[from] OptimisationError),
    /// A matrix that does not fit its entries.
    #[error(transparent)]
    View(#[from] ViewError),
    /// NaN or an infinity where none belongs.
    #[error("a matrix holds {0}")]
    NonFinite(NonFinite),
}

impl From<NonFinite> for ClaimError {
    fn from(bad: NonFinite) -> ClaimError {
        ClaimError::NonFinite(bad)
    }
}

/// A statement found in print.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Its permanent name.
    pub id: &'static str,
    /// In our words.
    pub statement: &'static str,
    /// Where the belief comes from.
    pub origin: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// The condition, or what is true instead.
    pub condition: &'static str,
    /// The statement in `proofs/` it rests on.
    pub theorem: &'static str,
    /// A command that shows it.
    pub command: &'static str,
    compute: fn() -> Result<Evidence, ClaimError>,
}

impl Claim {
    /// Runs the computation.
    ///
    /// # Errors
    /// [`ClaimError`].
    ///
    /// # Examples
    /// ```
    /// use isometer::verify::claims::find;
    /// let claim = find("large-alpha-vanishes").unwrap();
    /// assert_eq!(claim.evidence().unwrap().verdict(), Some(claim.verdict)); // computed on the spot
    /// ```
    pub fn evidence(&self) -> Result<Evidence, ClaimError> {
        (self.compute)()
    }
}

/// All claims, by topic.
pub fn all() -> Vec<Claim> {
    [
        alpha::CLAIMS,
        depth::CLAIMS,
        descent::CLAIMS,
        cures::CLAIMS,
        matrices::CLAIMS,
    ]
    .concat()
}

/// No claim of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no claim is called {id:?}; the nearest is {nearest}")]
pub struct UnknownClaim {
    /// The name asked for.
    pub id: String,
    /// The existing name with the fewest edits between.
    pub nearest: &'static str,
}

/// The claim of this name.
///
/// # Errors
/// [`UnknownClaim`] with the nearest name.
///
/// # Examples
/// ```
/// use isometer::verify::claims::{all, find};
/// assert!(all().iter().all(|c| find(c.id).unwrap().verdict == c.verdict));
/// ```
pub fn find(id: &str) -> Result<Claim, UnknownClaim> {
    let mut claims = all();
    if let Some(at) = claims.iter().position(|c| c.id == id) {
        return Ok(claims.swap_remove(at));
    }
    let nearest = claims
        .iter()
        .map(|c| c.id)
        .min_by_key(|known| tools::distance(id, known))
        .unwrap_or_default();
    Err(UnknownClaim {
        id: id.into(),
        nearest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every verdict follows from its evidence. Had the statement been right in every case, or wrong, or had one case that separates the
    /// condition gone the other way, it would not.
    #[test]
    fn verdicts_follow_from_evidence_and_opposite_evidence_is_noticed() {
        let mut wrong = Vec::new();
        for claim in all() {
            let evidence = match claim.evidence() {
                Ok(evidence) => evidence,
                Err(e) => {
                    wrong.push(format!("{}: {e}", claim.id));
                    continue;
                }
            };
            if evidence.verdict() != Some(claim.verdict) {
                wrong.push(format!("{}: {evidence:#?}", claim.id));
                continue;
            }
            let mut opposite = evidence.clone();
            for case in &mut opposite.cases {
                case.agrees = claim.verdict == Verdict::False;
            }
            if opposite.verdict() == Some(claim.verdict) {
                wrong.push(format!("{}: the opposite is not noticed", claim.id));
            }
            for k in 0..evidence.cases.len() {
                let mut turned = evidence.clone();
                turned.cases[k].agrees = !turned.cases[k].agrees;
                if claim.verdict != Verdict::False && turned.verdict() == Some(claim.verdict) {
                    wrong.push(format!("{}: case {k} does not matter", claim.id));
                }
            }
            for case in &evidence.cases {
                if case.figures.is_empty() || case.figures.iter().any(|f| f.1.is_nan()) {
                    wrong.push(format!("{}: {case:?}", claim.id));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn evidence_is_computed_again_the_same() {
        for id in ["large-alpha-vanishes", "hundred-matrices"] {
            let claim = find(id).unwrap();
            assert_eq!(claim.evidence().unwrap(), claim.evidence().unwrap());
        }
    }

    #[test]
    fn names_are_unique_and_near_misses_are_told() {
        let claims = all();
        let names: BTreeSet<&str> = claims.iter().map(|c| c.id).collect();
        assert_eq!(names.len(), claims.len());
        assert_eq!(
            find("large-alpha-vanish").unwrap_err().nearest,
            "large-alpha-vanishes"
        );
        let plain = |s: &str| {
            s.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        assert!(names.iter().all(|n| plain(n)));
    }

    #[test]
    fn theorems_exist() {
        let proofs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("proofs");
        for claim in all() {
            assert!(
                proofs.join(format!("{}.md", claim.theorem)).exists(),
                "{}: {}",
                claim.id,
                claim.theorem
            );
        }
    }

    #[test]
    fn a_verdict_needs_cases() {
        assert_eq!(Evidence { cases: vec![] }.verdict(), None);
    }
}
