//! Layer-wise trust ratios (LARS, LAMB) of stored weights and gradients.
//!
//! ```
//! use isometer::audit::steps::{Lars, lars};
//! use isometer::linalg::view::MatrixRef;
//!
//! let w = MatrixRef::row_major(&[0.0, 5.0], 1, 2).unwrap();
//! let g = MatrixRef::row_major(&[3.0, 4.0], 1, 2).unwrap();
//! let s = lars(&w, &g, false, Lars { trust: 0.001, weight_decay: 0.0, learning_rate: 2.0 }).unwrap();
//! assert!((s.ratio - 0.001).abs() < 1e-15); // eta |w| / |g|, both 5
//! assert!((s.relative.to_linear().unwrap() - 0.002).abs() < 1e-12);
//! ```

use crate::linalg::norms;
use crate::linalg::view::{MatrixRef, NonFinite};
use crate::scale::{Enclosure, LogScale};
use crate::theory::optimisation::{OptimisationError, lamb_trust_ratio, lars_trust_ratio};

/// Hyperparameters of LARS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lars {
    /// Trust coefficient `eta`.
    pub trust: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Global learning rate `gamma`.
    pub learning_rate: f64,
}

/// Hyperparameters of LAMB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lamb {
    /// Weight decay, added to Adam's direction before the norm is taken.
    pub weight_decay: f64,
    /// Learning rate.
    pub learning_rate: f64,
}

/// Constants of Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Steps taken, from 1, for the bias correction.
    pub step: u32,
}

/// What gives the direction of LAMB.
#[derive(Clone, Copy, Debug)]
pub enum Direction<'a> {
    /// Adam's direction itself.
    Given(MatrixRef<'a>),
    /// The first step from this gradient: bias-corrected moments are `g` and `g^2`.
    FirstStep(MatrixRef<'a>, Adam),
    /// First and second moment as an optimizer stores them, without bias correction.
    Moments(MatrixRef<'a>, MatrixRef<'a>, Adam),
}

/// Why the ratio is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The formula.
    Formula,
    /// The weights are all zero: ratio 1.
    ZeroWeights,
    /// The gradient, or the update, is all zero: ratio 1.
    ZeroUpdate,
    /// Biases and norm scales are left out by convention: ratio 1, no decay.
    OneDimensional,
}

impl Rule {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::Formula => "formula",
            Rule::ZeroWeights => "zero-weights",
            Rule::ZeroUpdate => "zero-update",
            Rule::OneDimensional => "excluded-1d",
        }
    }
}

/// One tensor's step. Norms are Frobenius norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// `|w|`.
    pub weights: Enclosure,
    /// `|g|`, or `|r|` for LAMB.
    pub gradient: Enclosure,
    /// `|g + lambda w|`, or `|r + lambda w|`.
    pub direction: Enclosure,
    /// Trust ratio.
    pub ratio: f64,
    /// Where it comes from.
    pub rule: Rule,
    /// Norm of the step without momentum: learning rate times ratio times `direction`.
    pub update: LogScale,
    /// The step over the weights; infinite for zero weights.
    pub relative: LogScale,
}

/// Why there is no step.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StepError {
    /// The shapes differ.
    #[error("the weights are {} x {}, {what} is {} x {}: they are not of one parameter", weights.0, weights.1, other.0, other.1)]
    Shape {
        /// Shape of the weights as a matrix.
        weights: (usize, usize),
        /// Which tensor.
        what: &'static str,
        /// Its shape.
        other: (usize, usize),
    },
    /// Complex tensors have no sign to step by.
    #[error("complex tensors are not handled; save real and imaginary parts")]
    Complex,
    /// NaN or an infinity.
    #[error("{what} holds {entry}")]
    NonFinite {
        /// Which tensor.
        what: &'static str,
        /// Position and value.
        entry: NonFinite,
    },
    /// A second moment is negative.
    #[error("the second moment holds {value}, which is negative")]
    NegativeMoment {
        /// The entry.
        value: f64,
    },
    /// A hyperparameter.
    #[error(transparent)]
    Optimisation(#[from] OptimisationError),
}

/// Norm of a combination of the weights (first) and other tensors of their shape.
fn combined(
    tensors: &[(&'static str, &MatrixRef<'_>)],
    f: impl FnMut(&[f64]) -> f64,
) -> Result<Enclosure, StepError> {
    let shape = |a: &MatrixRef<'_>| (a.rows(), a.cols());
    let first = shape(tensors[0].1);
    for (what, a) in tensors {
        if a.components() != 1 {
            return Err(StepError::Complex);
        }
        if shape(a) != first {
            return Err(StepError::Shape {
                weights: first,
                what,
                other: shape(a),
            });
        }
    }
    let views: Vec<&MatrixRef<'_>> = tensors.iter().map(|t| t.1).collect();
    norms::entrywise(&views, f).map_err(|(k, entry)| StepError::NonFinite {
        what: tensors.get(k).map_or("the update", |t| t.0),
        entry,
    })
}

/// Numbers that a ratio of norms is taken of, divided by one power of two so that they fit `f64`: the ratio does not see it.
fn together(a: &Enclosure, b: &Enclosure) -> (f64, f64) {
    let top = if a.value() > b.value() { a } else { b };
    let shift = match top.value().log2() {
        x if x.is_finite() => x.round() as i64,
        _ => 0,
    };
    let value = |e: &Enclosure| e.shifted(-shift).to_linear().map_or(0.0, |v| v.0);
    (value(a), value(b))
}

fn finish(
    weights: Enclosure,
    gradient: Enclosure,
    direction: Enclosure,
    (ratio, rule): (f64, Rule),
    learning_rate: f64,
) -> Result<Step, StepError> {
    let of = |what, x: f64| {
        LogScale::from_linear(x)
            .filter(|x| !x.is_infinite())
            .ok_or(OptimisationError::Negative { what, value: x })
    };
    let update =
        of("learning rate", learning_rate)? * of("trust ratio", ratio)? * direction.value();
    Ok(Step {
        weights,
        gradient,
        direction,
        ratio,
        rule,
        update,
        relative: update / weights.value(),
    })
}

/// LARS on one tensor; `excluded` for biases and norm scales. The relative step is at most `trust * learning_rate`
/// and without decay exactly that. Theorem: lars-step.
///
/// # Errors
/// [`StepError`].
///
/// # Examples
/// ```
/// use isometer::audit::steps::{Lars, Rule, lars};
/// use isometer::linalg::view::MatrixRef;
/// let zero = MatrixRef::row_major(&[0.0, 0.0], 1, 2).unwrap();
/// let g = MatrixRef::row_major(&[3.0, 4.0], 1, 2).unwrap();
/// let options = Lars { trust: 0.001, weight_decay: 0.0, learning_rate: 2.0 };
/// let s = lars(&zero, &g, false, options).unwrap();
/// assert_eq!((s.rule, s.ratio), (Rule::ZeroWeights, 1.0));
/// ```
pub fn lars(
    weights: &MatrixRef<'_>,
    gradient: &MatrixRef<'_>,
    excluded: bool,
    options: Lars,
) -> Result<Step, StepError> {
    let decay = if excluded { 0.0 } else { options.weight_decay };
    let both = [
        ("the tensor of weights", weights),
        ("the gradient", gradient),
    ];
    let w = combined(&both[..1], |p| p[0])?;
    let g = combined(&both[1..], |p| p[0])?;
    let direction = combined(&both, |p| p[1] + decay * p[0])?;
    let (weight_norm, gradient_norm) = together(&w, &g);
    let ratio = lars_trust_ratio(weight_norm, gradient_norm, decay, options.trust)?;
    let rule = match (excluded, w.is_zero(), g.is_zero()) {
        (true, ..) => Rule::OneDimensional,
        (_, true, _) => Rule::ZeroWeights,
        (_, _, true) => Rule::ZeroUpdate,
        _ => Rule::Formula,
    };
    let ratio = if rule == Rule::Formula { ratio } else { 1.0 };
    finish(w, g, direction, (ratio, rule), options.learning_rate)
}

impl Adam {
    /// Bias-corrected direction of one element.
    fn direction(&self, m: f64, v: f64) -> f64 {
        let corrected = |x: f64, beta: f64| x / -(f64::from(self.step) * beta.ln()).exp_m1();
        corrected(m, self.beta1) / (corrected(v, self.beta2).sqrt() + self.epsilon)
    }
}

/// LAMB on one tensor; `excluded` for biases and norm scales.
///
/// # Errors
/// [`StepError`].
///
/// # Examples
/// ```
/// use isometer::audit::steps::{Direction, Lamb, lamb};
/// use isometer::linalg::view::MatrixRef;
/// let w = MatrixRef::row_major(&[3.0, 4.0], 1, 2).unwrap();
/// let r = MatrixRef::row_major(&[0.0, 10.0], 1, 2).unwrap();
/// let options = Lamb { weight_decay: 0.0, learning_rate: 0.1 };
/// let s = lamb(&w, Direction::Given(r), false, options).unwrap();
/// assert!((s.ratio - 0.5).abs() < 1e-14); // 5 / 10
/// assert!((s.relative.to_linear().unwrap() - 0.1).abs() < 1e-12);
/// ```
pub fn lamb(
    weights: &MatrixRef<'_>,
    direction: Direction<'_>,
    excluded: bool,
    options: Lamb,
) -> Result<Step, StepError> {
    let decay = if excluded { 0.0 } else { options.weight_decay };
    let w = ("the tensor of weights", weights);
    let norm = combined(&[w], |p| p[0])?;
    // zero over zero is a parameter that has never had a gradient
    let still = |r: f64| if r.is_nan() { 0.0 } else { r };
    let (r, update) = match &direction {
        Direction::Given(r) => {
            let r = ("the direction", r);
            (
                combined(&[r], |p| p[0])?,
                combined(&[w, r], |p| p[1] + decay * p[0])?,
            )
        }
        Direction::FirstStep(g, adam) => {
            let g = ("the gradient", g);
            let first = |g: f64| still(g / (g.abs() + adam.epsilon));
            (
                combined(&[g], |p| first(p[0]))?,
                combined(&[w, g], |p| first(p[1]) + decay * p[0])?,
            )
        }
        Direction::Moments(m, v, adam) => {
            let (m, v) = (("the first moment", m), ("the second moment", v));
            let mut negative = None;
            let r = combined(&[m, v], |p| {
                if p[1] < 0.0 {
                    negative = Some(p[1]);
                    return 0.0;
                }
                still(adam.direction(p[0], p[1]))
            })?;
            if let Some(value) = negative {
                return Err(StepError::NegativeMoment { value });
            }
            let sum = combined(&[w, m, v], |p| {
                still(adam.direction(p[1], p[2])) + decay * p[0]
            })?;
            (r, sum)
        }
    };
    let (weight_norm, update_norm) = together(&norm, &update);
    let rule = match (excluded, norm.is_zero(), update.is_zero()) {
        (true, ..) => Rule::OneDimensional,
        (_, true, _) => Rule::ZeroWeights,
        (_, _, true) => Rule::ZeroUpdate,
        _ => Rule::Formula,
    };
    let ratio = match rule {
        Rule::Formula => lamb_trust_ratio(weight_norm, update_norm)?,
        _ => 1.0,
    };
    finish(norm, r, update, (ratio, rule), options.learning_rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<T: crate::linalg::view::Element>(x: &[T]) -> MatrixRef<'_> {
        MatrixRef::row_major(x, 1, x.len()).unwrap()
    }

    const LARS: Lars = Lars {
        trust: 1e-3,
        weight_decay: 0.1,
        learning_rate: 2.0,
    };

    #[test]
    fn lars_is_the_formula() {
        let (w, g) = ([3.0, 4.0], [0.0, 2.0]);
        let s = lars(&row(&w), &row(&g), false, LARS).unwrap();
        // |w| = 5, |g| = 2: ratio 1e-3 * 5 / 2.5; |g + 0.1 w| = |(0.3, 2.4)|
        assert!((s.ratio - 2e-3).abs() < 1e-18);
        let update = 2.0 * 2e-3 * 0.3f64.hypot(2.4);
        assert!((s.update.to_linear().unwrap() / update - 1.0).abs() < 1e-14);
        assert!((s.relative.to_linear().unwrap() - update / 5.0).abs() < 1e-15);
        let plain = lars(
            &row(&w),
            &row(&g),
            false,
            Lars {
                weight_decay: 0.0,
                ..LARS
            },
        )
        .unwrap();
        assert!((plain.relative.to_linear().unwrap() / 2e-3 - 1.0).abs() < 1e-14);
        let excluded = lars(&row(&w), &row(&g), true, LARS).unwrap();
        assert_eq!((excluded.ratio, excluded.rule), (1.0, Rule::OneDimensional));
        assert!((excluded.update.to_linear().unwrap() - 4.0).abs() < 1e-14);
    }

    /// Squares of these leave the range of f32, and of f64.
    #[test]
    fn ratios_survive_any_scale() {
        for (w, g) in [
            (1e-23f32, 1e-23f32),
            (1e19, 1e19),
            (1e-38, 1e38),
            (1e38, 1e-38),
        ] {
            let s = lars(
                &row(&[w; 64]),
                &row(&[g; 64]),
                false,
                Lars {
                    weight_decay: 0.0,
                    ..LARS
                },
            )
            .unwrap();
            let truth = 1e-3 * f64::from(w) / f64::from(g);
            assert!(
                (s.ratio / truth - 1.0).abs() < 1e-13,
                "{w} {g}: {}",
                s.ratio
            );
            assert!(s.weights.value().ln().is_finite());
        }
        let s = lars(&row(&[1e-200; 4]), &row(&[1e-200; 4]), false, LARS).unwrap();
        assert!((s.ratio - 1e-3 / 1.1).abs() < 1e-17);
        let zero = lars(&row(&[0.0; 4]), &row(&[1.0; 4]), false, LARS).unwrap();
        assert_eq!((zero.ratio, zero.rule), (1.0, Rule::ZeroWeights));
        assert!(zero.relative.is_infinite());
        let still = lars(&row(&[1.0; 4]), &row(&[0.0; 4]), false, LARS).unwrap();
        assert_eq!((still.ratio, still.rule), (1.0, Rule::ZeroUpdate));
    }

    const ADAM: Adam = Adam {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        step: 1,
    };
    const LAMB: Lamb = Lamb {
        weight_decay: 0.01,
        learning_rate: 1e-3,
    };

    #[test]
    fn the_first_step_of_lamb_is_that_of_its_moments() {
        let w = [0.5, -2.0, 0.0];
        let g = [1e-3, -4.0, 0.0];
        let m = g.map(|x: f64| 0.1 * x);
        let v = g.map(|x: f64| (1.0 - 0.999) * x * x);
        let first = lamb(&row(&w), Direction::FirstStep(row(&g), ADAM), false, LAMB).unwrap();
        let stored = lamb(
            &row(&w),
            Direction::Moments(row(&m), row(&v), ADAM),
            false,
            LAMB,
        )
        .unwrap();
        assert!((first.ratio / stored.ratio - 1.0).abs() < 1e-12);
        let r = g.map(|x: f64| if x == 0.0 { 0.0 } else { x / (x.abs() + 1e-8) });
        let given = lamb(&row(&w), Direction::Given(row(&r)), false, LAMB).unwrap();
        assert!((first.ratio / given.ratio - 1.0).abs() < 1e-15);
        let update = (r[0] + 0.01 * w[0]).hypot(r[1] + 0.01 * w[1]);
        assert!((given.ratio - 0.5f64.hypot(2.0) / update).abs() < 1e-14);
        // whatever the gradient, the step is the learning rate times the weights
        assert!((given.relative.to_linear().unwrap() / 1e-3 - 1.0).abs() < 1e-14);
    }

    #[test]
    fn refusals_name_the_entry() {
        let bad = lars(&row(&[1.0, 2.0]), &row(&[1.0, f64::NAN]), false, LARS).unwrap_err();
        assert!(
            bad.to_string()
                .starts_with("the gradient holds NaN at [0, 1]"),
            "{bad}"
        );
        assert!(matches!(
            lars(&row(&[1.0]), &row(&[1.0, 2.0]), false, LARS),
            Err(StepError::Shape { .. })
        ));
        let v = Direction::Moments(row(&[1.0]), row(&[-1.0]), ADAM);
        assert!(matches!(
            lamb(&row(&[1.0]), v, false, LAMB),
            Err(StepError::NegativeMoment { .. })
        ));
    }
}
