//! `isometer step clip`.
//!
//! ```
//! use isometer::audit::clip::clip;
//! use isometer::linalg::view::MatrixRef;
//! use isometer::report::step::clip::{Report, Verdict};
//!
//! let g = MatrixRef::row_major(&[3.0, 4.0], 1, 2).unwrap();
//! let report = Report {
//!     threshold: 1.0,
//!     per_tensor: false,
//!     names: vec![("g".into(), "g".into())],
//!     clipping: Some(clip(&[g], 1.0).unwrap()),
//!     broken: vec![],
//!     skipped: vec![],
//! };
//! assert_eq!(report.verdict(), Verdict::Clipped);
//! ```

use super::{Left, frame, lefts, linear, norm, text};
use crate::audit::clip::{Clipping, Way};
use crate::report::predict::short;
use crate::report::table::{Column, Table, csv};
use crate::report::{Format, Style, document};
use serde_json::{Map, Value, json};

/// Everything there is to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// The threshold.
    pub threshold: f64,
    /// Whether each tensor is clipped by its own norm.
    pub per_tensor: bool,
    /// `(source, label)` of the tensors, in the order of the clipping.
    pub names: Vec<(String, String)>,
    /// What clipping does; none if a tensor is broken or there is none.
    pub clipping: Option<Clipping>,
    /// Tensors with NaN or infinities.
    pub broken: Vec<Left>,
    /// Tensors without numbers.
    pub skipped: Vec<Left>,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Below the threshold.
    Unchanged,
    /// Above it.
    Clipped,
    /// NaN or an infinity: clipping turns every gradient into NaN, or into zero.
    Broken,
    /// No gradients.
    Unusable,
}

impl Verdict {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Unchanged => "unchanged",
            Verdict::Clipped => "clipped",
            Verdict::Broken => "broken",
            Verdict::Unusable => "unusable",
        }
    }
}

fn degrees(w: &Way) -> Option<f64> {
    w.angle.map(f64::to_degrees)
}

impl Report {
    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        match &self.clipping {
            _ if !self.broken.is_empty() => Verdict::Broken,
            None => Verdict::Unusable,
            Some(_) if self.names.is_empty() => Verdict::Unusable,
            Some(c) => {
                let own = c.tensors.iter().any(|t| t.own_factor < 1.0);
                match if self.per_tensor { own } else { c.factor < 1.0 } {
                    true => Verdict::Clipped,
                    false => Verdict::Unchanged,
                }
            }
        }
    }

    /// The line of code that does it.
    fn code(&self) -> String {
        match self.per_tensor {
            false => format!(
                "torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm={}, error_if_nonfinite=True)",
                self.threshold
            ),
            true => format!(
                "for p in model.parameters(): torch.nn.utils.clip_grad_norm_([p], max_norm={}, error_if_nonfinite=True)",
                self.threshold
            ),
        }
    }

    /// The verdict for people.
    pub fn sentence(&self) -> String {
        let c = self.threshold;
        match (self.verdict(), &self.clipping) {
            (Verdict::Unchanged, Some(all)) => format!(
                "nothing is clipped: the norm {} does not exceed {}.",
                text(all.norm.value()),
                short(c)
            ),
            (Verdict::Clipped, Some(all)) if self.per_tensor => {
                let clipped = all.tensors.iter().filter(|t| t.own_factor < 1.0).count();
                format!(
                    "{clipped} of {} tensors are clipped to {}, which turns the step by {} degrees; clipping by the global norm would not turn it.",
                    all.tensors.len(),
                    short(c),
                    short(degrees(&all.per_tensor).unwrap_or(0.0))
                )
            }
            (Verdict::Clipped, Some(all)) => format!(
                "every gradient is multiplied by {}: the norm becomes {}, the direction stays; clipping each tensor would turn the step by {} degrees.",
                short(all.factor),
                short(c),
                short(degrees(&all.per_tensor).unwrap_or(0.0))
            ),
            (Verdict::Broken, _) => {
                let first = &self.broken[0];
                format!(
                    "{}: {}; clipping by the global norm would spread it to every tensor; skip this step.",
                    first.label, first.reason
                )
            }
            _ => "no tensor of gradients was found.".into(),
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

    fn rows(&self) -> impl Iterator<Item = (&(String, String), &crate::audit::clip::Clipped, f64)> {
        let clipping = self.clipping.iter();
        clipping.flat_map(|c| {
            self.names.iter().zip(&c.tensors).map(|(name, t)| {
                let factor = if self.per_tensor {
                    t.own_factor
                } else {
                    c.factor
                };
                (name, t, factor)
            })
        })
    }

    fn json(&self) -> Map<String, Value> {
        let mut map = frame("clip", self.verdict().as_str(), &self.sentence());
        map.insert("max_norm".into(), document::number(self.threshold));
        map.insert("per_tensor".into(), self.per_tensor.into());
        map.insert("code".into(), self.code().into());
        if let Some(c) = &self.clipping {
            map.insert("norm".into(), norm(&c.norm));
            map.insert("log10_norm".into(), document::log10(&c.norm));
            map.insert("factor".into(), document::number(c.factor));
            map.insert("torch_factor".into(), document::number(c.torch_factor));
            let way = |w: &Way| {
                json!({
                    "norm": linear(w.norm),
                    "log10_norm": document::number(w.norm.log10()),
                    "angle_degrees": document::optional(degrees(w)),
                })
            };
            map.insert(
                "ways".into(),
                json!({
                    "global_norm": way(&c.global),
                    "per_tensor": way(&c.per_tensor),
                    "by_value": way(&c.by_value),
                }),
            );
        }
        let results: Vec<Value> = self
            .rows()
            .map(|((source, _), t, factor)| {
                json!({
                    "source": source,
                    "norm": norm(&t.norm),
                    "log10_norm": document::log10(&t.norm),
                    "factor": document::number(factor),
                    "entries_above": t.above,
                    "certainty": "certified",
                })
            })
            .collect();
        map.insert("results".into(), results.into());
        map.insert("broken".into(), lefts(&self.broken));
        map.insert("skipped".into(), lefts(&self.skipped));
        map
    }

    fn table(&self) -> Table {
        let rows = self
            .rows()
            .map(|((_, label), t, factor)| {
                vec![
                    label.clone(),
                    text(t.norm.value()),
                    short(factor),
                    text(
                        t.norm.value()
                            * crate::scale::LogScale::from_linear(factor)
                                .unwrap_or(crate::scale::LogScale::ONE),
                    ),
                    t.above.to_string(),
                ]
            })
            .collect();
        let mut remarks = vec![String::new()];
        if let Some(c) = &self.clipping {
            let angle =
                |w: &Way| degrees(w).map_or("-".into(), |a| format!("{} degrees", short(a)));
            remarks.extend([
                format!(
                    "global norm {}, factor {}; PyTorch adds 1e-6 to the norm: {}",
                    text(c.norm.value()),
                    short(c.factor),
                    short(c.torch_factor)
                ),
                format!(
                    "by global norm:  norm {}, turned by {}: a smaller learning rate for this step",
                    text(c.global.norm),
                    angle(&c.global)
                ),
                format!(
                    "by tensor norm:  norm {}, turned by {}",
                    text(c.per_tensor.norm),
                    angle(&c.per_tensor)
                ),
                format!(
                    "by value:        norm {}, turned by {}",
                    text(c.by_value.norm),
                    angle(&c.by_value)
                ),
                format!("code: {}", self.code()),
            ]);
        }
        remarks.extend(self.broken.iter().map(|l| format!("broken {}", l.line())));
        remarks.extend(self.skipped.iter().map(|l| format!("skipped {}", l.line())));
        remarks.push(String::new());
        Table {
            columns: vec![
                Column::text("tensor"),
                Column::number("|g|"),
                Column::number("factor"),
                Column::number("after"),
                Column::number("entries above").expendable(1),
            ],
            rows,
            remarks,
            verdict: format!("{}: {}", self.verdict().as_str(), self.sentence()),
            alarming: matches!(self.verdict(), Verdict::Broken | Verdict::Unusable),
        }
    }

    fn csv(&self) -> Vec<u8> {
        let header = ["source", "log10_norm", "factor", "entries_above"];
        let mut records = vec![header.map(String::from).to_vec()];
        records.extend(self.rows().map(|((source, _), t, factor)| {
            vec![
                source.clone(),
                format!("{}", t.norm.value().log10()),
                format!("{factor}"),
                t.above.to_string(),
            ]
        }));
        csv(&records)
    }
}
