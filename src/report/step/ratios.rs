//! `isometer step lars` and `isometer step lamb`.

use super::{Left, frame, lefts, linear, norm, text};
use crate::audit::steps::{Adam, Lamb, Lars, Rule, Step};
use crate::report::predict::short;
use crate::report::table::{Column, Table, csv};
use crate::report::{Format, Style, document};
use serde_json::{Map, Value, json};

/// The rule and its hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// LARS.
    Lars(Lars),
    /// LAMB; Adam's constants where the direction was computed.
    Lamb(Lamb, Option<Adam>),
}

/// One tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The source that names the weights.
    pub source: String,
    /// The short name.
    pub label: String,
    /// Shape as stored.
    pub shape: Vec<usize>,
    /// Its step.
    pub step: Step,
}

/// Everything there is to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// The rule.
    pub optimizer: Optimizer,
    /// Tensors with both weights and gradient.
    pub rows: Vec<Row>,
    /// Tensors without a partner, or without numbers.
    pub unmatched: Vec<Left>,
    /// Tensors with NaN, infinities or shapes that disagree: findings.
    pub broken: Vec<Left>,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every pair has a step.
    Stepped,
    /// Some pair is broken.
    Broken,
    /// No pair was found.
    Unusable,
}

impl Verdict {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Stepped => "stepped",
            Verdict::Broken => "broken",
            Verdict::Unusable => "unusable",
        }
    }
}

impl Report {
    fn name(&self) -> &'static str {
        match self.optimizer {
            Optimizer::Lars(_) => "lars",
            Optimizer::Lamb(..) => "lamb",
        }
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        match (self.broken.is_empty(), self.rows.is_empty()) {
            (false, _) => Verdict::Broken,
            (_, true) => Verdict::Unusable,
            _ => Verdict::Stepped,
        }
    }

    /// The verdict for people.
    pub fn sentence(&self) -> String {
        match self.verdict() {
            Verdict::Broken => {
                let first = &self.broken[0];
                format!(
                    "{} of {} tensors have no step; {}: {}. Repair what wrote it before stepping.",
                    self.broken.len(),
                    self.broken.len() + self.rows.len(),
                    first.label,
                    first.reason
                )
            }
            Verdict::Unusable => {
                let mut sentence =
                    "no tensor of the weights has a partner of the same name".to_string();
                if let Some(first) = self.unmatched.first() {
                    sentence.push_str(&format!(
                        "; {} ({}) has none, of {} in all",
                        first.label,
                        first.role,
                        self.unmatched.len()
                    ));
                }
                sentence + "."
            }
            Verdict::Stepped => self.stepped(),
        }
    }

    fn stepped(&self) -> String {
        let by = |f: fn(&Row) -> f64| {
            let rows = || self.rows.iter().filter(|r| r.step.rule == Rule::Formula);
            let low = rows().min_by(|a, b| f(a).total_cmp(&f(b)))?;
            Some((low, rows().max_by(|a, b| f(a).total_cmp(&f(b)))?))
        };
        let ratio = |r: &Row| format!("{} ({})", short(r.step.ratio), r.label);
        let mut parts = Vec::new();
        match by(|r| r.step.ratio) {
            Some((low, high)) if low.label != high.label => {
                parts.push(format!(
                    "trust ratios from {} to {}",
                    ratio(low),
                    ratio(high)
                ));
            }
            Some((one, _)) => parts.push(format!("trust ratio {}", ratio(one))),
            None => parts.push("no tensor takes a trust ratio".into()),
        }
        if let Some((_, most)) = by(|r| r.step.relative.ln()) {
            parts.push(format!(
                "the largest step is {} of its weights ({})",
                text(most.step.relative),
                most.label
            ));
        }
        let count = |rule| self.rows.iter().filter(|r| r.step.rule == rule).count();
        let excluded = count(Rule::OneDimensional);
        if excluded > 0 {
            parts.push(format!(
                "{excluded} one-dimensional left at ratio 1 without decay"
            ));
        }
        let zero = count(Rule::ZeroWeights) + count(Rule::ZeroUpdate);
        if zero > 0 {
            parts.push(format!("{zero} with a zero norm at ratio 1"));
        }
        if !self.unmatched.is_empty() {
            parts.push(format!("{} unmatched", self.unmatched.len()));
        }
        format!("{}.", parts.join("; "))
    }

    /// The line of code that takes the step of one tensor.
    fn code(&self) -> &'static str {
        match self.optimizer {
            Optimizer::Lars(_) => {
                "d = p.grad + weight_decay * p; p -= lr * ratio * d    # ratio = trust * p.norm() / (p.grad.norm() + weight_decay * p.norm())"
            }
            Optimizer::Lamb(..) => {
                "u = r + weight_decay * p; p -= lr * ratio * u    # ratio = p.norm() / u.norm(), r = m_hat / (v_hat.sqrt() + eps)"
            }
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

    fn options(&self) -> Map<String, Value> {
        let number = document::number;
        let pairs: Vec<(&str, Value)> = match self.optimizer {
            Optimizer::Lars(o) => vec![
                ("trust", number(o.trust)),
                ("weight_decay", number(o.weight_decay)),
                ("lr", number(o.learning_rate)),
            ],
            Optimizer::Lamb(o, adam) => {
                let mut pairs = vec![
                    ("weight_decay", number(o.weight_decay)),
                    ("lr", number(o.learning_rate)),
                ];
                if let Some(a) = adam {
                    pairs.extend([
                        ("beta1", number(a.beta1)),
                        ("beta2", number(a.beta2)),
                        ("epsilon", number(a.epsilon)),
                        ("at_step", a.step.into()),
                    ]);
                }
                pairs
            }
        };
        pairs.into_iter().map(|(k, v)| (k.to_string(), v)).collect()
    }

    fn json(&self) -> Map<String, Value> {
        let mut map = frame(self.name(), self.verdict().as_str(), &self.sentence());
        map.insert("options".into(), Value::Object(self.options()));
        map.insert("code".into(), self.code().into());
        let gradient = match self.optimizer {
            Optimizer::Lars(_) => "gradient_norm",
            Optimizer::Lamb(..) => "direction_norm",
        };
        let results: Vec<Value> = self
            .rows
            .iter()
            .map(|r| {
                let s = &r.step;
                json!({
                    "source": r.source,
                    "shape": r.shape,
                    "weight_norm": norm(&s.weights),
                    "log10_weight_norm": document::log10(&s.weights),
                    gradient: norm(&s.gradient),
                    format!("log10_{gradient}"): document::log10(&s.gradient),
                    "trust_ratio": document::number(s.ratio),
                    "rule": s.rule.as_str(),
                    "update_norm": linear(s.update),
                    "log10_update_norm": document::number(s.update.log10()),
                    "relative_update": linear(s.relative),
                    "certainty": "certified",
                })
            })
            .collect();
        map.insert("results".into(), results.into());
        map.insert("unmatched".into(), lefts(&self.unmatched));
        map.insert("broken".into(), lefts(&self.broken));
        map
    }

    fn table(&self) -> Table {
        let (gradient, direction) = match self.optimizer {
            Optimizer::Lars(_) => ("|g|", "g + weight_decay * w"),
            Optimizer::Lamb(..) => ("|r|", "r + weight_decay * w"),
        };
        let rows = self.rows.iter().map(|r| {
            let s = &r.step;
            vec![
                r.label.clone(),
                format!("{:?}", r.shape)
                    .replace(", ", "x")
                    .replace(['[', ']'], ""),
                text(s.weights.value()),
                text(s.gradient.value()),
                short(s.ratio),
                text(s.update),
                text(s.relative),
                match s.rule {
                    Rule::Formula => String::new(),
                    Rule::ZeroWeights => "zero weights: 1".into(),
                    Rule::ZeroUpdate => "zero update: 1".into(),
                    Rule::OneDimensional => "1-D: excluded".into(),
                },
            ]
        });
        let mut remarks = vec![
            String::new(),
            format!(
                "norms are Frobenius norms; step: lr * ratio * |{direction}|, before momentum; step/|w|: relative to the weights."
            ),
            format!("code: {}", self.code()),
        ];
        remarks.extend(self.broken.iter().map(|l| format!("broken {}", l.line())));
        remarks.extend(
            self.unmatched
                .iter()
                .map(|l| format!("unmatched {}", l.line())),
        );
        remarks.push(String::new());
        Table {
            columns: vec![
                Column::text("tensor"),
                Column::text("shape").expendable(2),
                Column::number("|w|"),
                Column::number(gradient),
                Column::number("ratio"),
                Column::number("step"),
                Column::number("step/|w|"),
                Column::text("rule").expendable(1),
            ],
            rows: rows.collect(),
            remarks,
            verdict: format!("{}: {}", self.verdict().as_str(), self.sentence()),
            alarming: self.verdict() != Verdict::Stepped,
        }
    }

    fn csv(&self) -> Vec<u8> {
        let header = [
            "source",
            "log10_weight_norm",
            "log10_gradient_norm",
            "trust_ratio",
            "rule",
            "log10_update_norm",
            "log10_relative_update",
        ];
        let mut records = vec![header.map(String::from).to_vec()];
        records.extend(self.rows.iter().map(|r| {
            let s = &r.step;
            vec![
                r.source.clone(),
                format!("{}", s.weights.value().log10()),
                format!("{}", s.gradient.value().log10()),
                format!("{}", s.ratio),
                s.rule.as_str().into(),
                format!("{}", s.update.log10()),
                format!("{}", s.relative.log10()),
            ]
        }));
        csv(&records)
    }
}
