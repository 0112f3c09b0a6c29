//! `isometer step descent`.

use super::frame;
use crate::linalg::symmetric::Signed;
use crate::report::predict::short;
use crate::report::table::{Column, Table, csv};
use crate::report::{Format, Style, document};
use crate::scale::Certainty;
use crate::theory::descent::{Judgement, Outcome, steps_to};
use crate::theory::multiplier::Optimizer;
use crate::theory::optimisation::{Method, Tuned};
use serde_json::{Map, Value, json};

/// Steps are counted until the error has shrunk by this factor.
pub const TARGET: f64 = 1e-6;

/// A learning rate as it acts on the effective weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaled {
    /// The multiplier.
    pub alpha: f64,
    /// The update rule.
    pub optimizer: Optimizer,
    /// The learning rate is multiplied by this power of alpha.
    pub exponent: i32,
}

/// A learning rate of scale-invariant weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Invariant {
    /// Norm of the weights.
    pub weight_norm: f64,
    /// `eta/|w|^2` (SGD), `eta/|w|` (Adam, sign), `eta` (LARS, LAMB): the rate at which the direction of the weights moves.
    pub effective: f64,
    /// Angle in radians per step once norms have settled, where there is weight decay.
    pub equilibrium_angle: Option<f64>,
}

/// The learning rate asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// As given.
    pub given: f64,
    /// As it acts on the effective weights.
    pub effective: f64,
    /// What happens; none where the update rule rescales gradients and a quadratic does not decide.
    pub judgement: Option<Judgement>,
}

/// Everything there is to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Where the curvature comes from.
    pub source: String,
    /// Smallest curvature; of the curved directions if `flat` is not zero.
    pub smallest: Signed,
    /// Largest.
    pub largest: Signed,
    /// What the curvatures are worth.
    pub certainty: Certainty,
    /// Directions of zero curvature.
    pub flat: usize,
    /// The method of the learning rate asked about.
    pub method: Method,
    /// Effective learning rates below this converge.
    pub below: Option<Signed>,
    /// Above this plain descent overshoots.
    pub overshoot: Option<Signed>,
    /// Learning rate and what it does.
    pub asked: Option<Asked>,
    /// The multiplier, if there is one.
    pub scaled: Option<Scaled>,
    /// Scale invariance, if asked for.
    pub invariant: Option<Invariant>,
    /// Best constants: descent, heavy ball, Nesterov; none without a positive smallest curvature.
    pub tuned: Vec<Tuned>,
}

fn method_name(m: Method) -> &'static str {
    match m {
        Method::GradientDescent => "gradient descent",
        Method::HeavyBall { .. } => "heavy ball",
        Method::Nesterov { .. } => "nesterov",
    }
}

fn momentum(m: Method) -> f64 {
    match m {
        Method::GradientDescent => 0.0,
        Method::HeavyBall { beta } | Method::Nesterov { beta } => beta,
    }
}

fn signed(s: &Signed) -> Value {
    json!({"value": document::number(s.value), "lo": document::number(s.lo), "hi": document::number(s.hi)})
}

/// A factor on the error; near 1 what matters is the distance from it.
fn rate_text(rate: f64) -> String {
    match 1.0 - rate {
        gap if gap > 0.0 && gap < 1e-4 => format!("1 - {}", short(gap)),
        _ => short(rate),
    }
}

impl Report {
    /// The word used in JSON.
    pub fn verdict(&self) -> &'static str {
        match self.outcome() {
            Some(outcome) => outcome.as_str(),
            None => match self.asked {
                Some(Asked {
                    judgement: None, ..
                }) => "not-decided-by-curvature",
                _ => "computed",
            },
        }
    }

    /// What the learning rate does; without one, whether there is any that converges.
    fn outcome(&self) -> Option<Outcome> {
        match &self.asked {
            Some(a) => a.judgement.map(|j| j.outcome),
            None => (self.smallest.hi < 0.0).then_some(Outcome::NoMinimum),
        }
    }

    /// Whether the verdict is a finding.
    pub fn is_finding(&self) -> bool {
        matches!(
            self.outcome(),
            Some(Outcome::Bounces | Outcome::Diverges | Outcome::NoMinimum)
        )
    }

    /// Power of alpha in the limits of the given learning rate.
    fn given(&self, effective: f64) -> f64 {
        self.scaled
            .map_or(effective, |s| effective / s.alpha.powi(s.exponent))
    }

    fn advice(&self) -> String {
        match self.tuned.first() {
            Some(best) => format!(
                "the best is {} ({} steps to 1e-6)",
                short(self.given(best.step)),
                short(steps_to(best.rate, TARGET))
            ),
            None => match self.below {
                Some(b) => format!("stay below {}", short(self.given(b.value))),
                None => "there is none that converges".into(),
            },
        }
    }

    /// The verdict for people.
    pub fn sentence(&self) -> String {
        let plain = self.method == Method::GradientDescent;
        let Some(asked) = &self.asked else {
            return match (self.below, self.smallest.hi < 0.0) {
                (_, true) => format!(
                    "the smallest curvature {} is negative: a saddle, from which no learning rate converges.",
                    short(self.smallest.value)
                ),
                (Some(b), _) => format!(
                    "{} converges for learning rates in (0, {}); {}.",
                    method_name(self.method),
                    short(self.given(b.value)),
                    self.advice()
                ),
                (None, _) => "there is no curvature: nothing moves.".into(),
            };
        };
        let lr = short(asked.given);
        let Some(j) = asked.judgement else {
            let name = self.scaled.map_or("this rule", |s| s.optimizer.name());
            return format!(
                "{name} rescales gradients, so curvature alone does not decide; learning rate {lr} acts on the effective weights as {}.",
                short(asked.effective)
            );
        };
        let limit = self
            .below
            .map_or("-".into(), |b| short(self.given(b.value)));
        match j.outcome {
            Outcome::Converges => format!(
                "learning rate {lr} converges, factor {} a step; {}.",
                rate_text(j.rate),
                self.advice()
            ),
            Outcome::Overshoots => format!(
                "learning rate {lr} overshoots and converges: {}, factor {} a step; {}.",
                if plain {
                    "the steepest direction jumps across the minimum at every step"
                } else {
                    "the steepest direction oscillates"
                },
                rate_text(j.rate),
                self.advice()
            ),
            Outcome::Bounces => format!(
                "learning rate {lr} is exactly the limit: the steepest direction jumps from side to side for ever; {}.",
                self.advice()
            ),
            Outcome::Diverges => format!(
                "learning rate {lr} is above {limit}: the error grows by {} a step; {}.",
                short(j.rate),
                self.advice()
            ),
            Outcome::NoMinimum => format!(
                "the smallest curvature {} is negative: the iterate escapes by {} a step at this learning rate, and no other converges.",
                short(self.smallest.value),
                short(j.rate)
            ),
            Outcome::Undecided => format!(
                "learning rate {lr} is within what is known of the limit {limit}; take a smaller one: {}.",
                self.advice()
            ),
        }
    }

    /// The report in a layout.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => self.csv(),
            Format::Table | Format::Markdown => self.table().render(format, style),
        }
    }

    /// Name, learning rate, momentum, rate; the one asked about first.
    fn lines(&self) -> Vec<(String, f64, f64, f64)> {
        let asked = self.asked.and_then(|a| Some((a.effective, a.judgement?)));
        let own = asked.map(|(lr, j)| ("yours".to_string(), lr, momentum(self.method), j.rate));
        let tuned = self.tuned.iter().map(|t| {
            let name = match t.method {
                Method::Nesterov { .. } => "nesterov, standard".to_string(),
                m => format!("best {}", method_name(m)),
            };
            (name, t.step, momentum(t.method), t.rate)
        });
        own.into_iter().chain(tuned).collect()
    }

    fn json(&self) -> Map<String, Value> {
        let mut map = frame("descent", self.verdict(), &self.sentence());
        map.insert("source".into(), self.source.clone().into());
        map.insert(
            "curvature".into(),
            json!({
                "min": signed(&self.smallest),
                "max": signed(&self.largest),
                "certainty": self.certainty.as_str(),
                "flat_directions": self.flat,
            }),
        );
        let kappa = (self.smallest.lo > 0.0).then(|| self.largest.value / self.smallest.value);
        map.insert("cond".into(), document::optional(kappa));
        map.insert("method".into(), method_name(self.method).into());
        map.insert("momentum".into(), document::number(momentum(self.method)));
        let at = |s: &Option<Signed>| s.as_ref().map_or(Value::Null, signed);
        map.insert("converges_below".into(), at(&self.below));
        map.insert("overshoots_above".into(), at(&self.overshoot));
        if let Some(a) = &self.asked {
            map.insert("lr".into(), document::number(a.given));
            map.insert("effective_lr".into(), document::number(a.effective));
            map.insert(
                "rate".into(),
                document::optional(a.judgement.map(|j| j.rate)),
            );
            let steps = a.judgement.map(|j| steps_to(j.rate, TARGET));
            map.insert("steps_to_1e-6".into(), document::optional(steps));
        }
        if let Some(s) = &self.scaled {
            map.insert(
                "alpha".into(),
                json!({
                    "value": document::number(s.alpha),
                    "optimizer": s.optimizer.name(),
                    "exponent": s.exponent,
                    "factor": document::number(s.alpha.powi(s.exponent)),
                    "lr_converges_below": document::optional(self.below.map(|b| self.given(b.value))),
                }),
            );
        }
        if let Some(i) = &self.invariant {
            map.insert(
                "scale_invariant".into(),
                json!({
                    "weight_norm": document::number(i.weight_norm),
                    "effective_lr": document::number(i.effective),
                    "equilibrium_angle": document::optional(i.equilibrium_angle),
                }),
            );
        }
        let methods: Vec<Value> = self
            .tuned
            .iter()
            .map(|t| {
                json!({
                    "method": method_name(t.method),
                    "lr": document::number(t.step),
                    "momentum": document::number(momentum(t.method)),
                    "rate": document::number(t.rate),
                    "steps_to_1e-6": document::number(steps_to(t.rate, TARGET)),
                    "certainty": "exact",
                })
            })
            .collect();
        map.insert("methods".into(), methods.into());
        map
    }

    fn table(&self) -> Table {
        let rows = self.lines().into_iter().map(|(name, lr, beta, rate)| {
            vec![
                name,
                short(lr),
                short(beta),
                rate_text(rate),
                short(steps_to(rate, TARGET)),
            ]
        });
        let mut remarks = vec![String::new()];
        let flat = match self.flat {
            0 => String::new(),
            k => format!("; {k} more directions are flat and do not move"),
        };
        remarks.push(format!(
            "curvature {} to {} ({}){flat}",
            short(self.smallest.value),
            short(self.largest.value),
            self.certainty
        ));
        if self.smallest.lo > 0.0 {
            remarks.push(format!(
                "condition number {}",
                short(self.largest.value / self.smallest.value)
            ));
        }
        if let Some(b) = self.below {
            remarks.push(format!(
                "{} converges for 0 < lr < {}",
                method_name(self.method),
                short(b.value)
            ));
        }
        if let (Some(o), Method::GradientDescent) = (self.overshoot, self.method) {
            remarks.push(format!(
                "and jumps across the minimum above {}: overshooting is no divergence",
                short(o.value)
            ));
        }
        if let Some(s) = &self.scaled {
            remarks.push(format!(
                "W = alpha w, alpha = {}, {}: a learning rate on w acts on W as alpha^{} = {} times as large{}",
                short(s.alpha),
                s.optimizer.name(),
                s.exponent,
                short(s.alpha.powi(s.exponent)),
                match self.below {
                    Some(b) if s.exponent == 2 => format!("; on w it converges below {}", short(self.given(b.value))),
                    _ => String::new(),
                }
            ));
        }
        if let Some(i) = &self.invariant {
            remarks.push(format!(
                "scale-invariant weights of norm {}: effective learning rate {}",
                short(i.weight_norm),
                short(i.effective)
            ));
            if let Some(angle) = i.equilibrium_angle {
                remarks.push(format!(
                    "with decay the angle per step settles at {} rad, whatever alpha is",
                    short(angle)
                ));
            }
        }
        remarks.push(String::new());
        Table {
            columns: vec![
                Column::text("method"),
                Column::number("lr"),
                Column::number("momentum"),
                Column::number("factor"),
                Column::number("steps to 1e-6"),
            ],
            rows: rows.collect(),
            remarks,
            verdict: format!("{}: {}", self.verdict(), self.sentence()),
            alarming: self.is_finding(),
        }
    }

    fn csv(&self) -> Vec<u8> {
        let header = ["method", "lr", "momentum", "rate", "steps_to_1e-6"];
        let mut records = vec![header.map(String::from).to_vec()];
        records.extend(self.lines().into_iter().map(|(name, lr, beta, rate)| {
            vec![
                name,
                format!("{lr}"),
                format!("{beta}"),
                format!("{rate}"),
                format!("{}", steps_to(rate, TARGET)),
            ]
        }));
        csv(&records)
    }
}
