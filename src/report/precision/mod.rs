//! `isometer precision`: underflow, overflow, lost updates and the loss scale, predicted or counted.
//!
//! ```
//! use isometer::network::{Model, NumberFormat, activation::Activation};
//! use isometer::report::precision::{Report, Subject, Verdict};
//! use isometer::theory::budget::budget;
//!
//! let subject = Subject::Predicted(budget(&Model::new(vec![8; 3], Activation::Relu), None).unwrap());
//! let report = Report { subject, format: NumberFormat::F32, fail_underflow: None };
//! assert_eq!(report.verdict(), Verdict::Fits);
//! ```

mod tables;

use super::cond::Skipped;
use super::predict::short_or_dash;
use super::table::csv;
use super::{Format, Style, document};
use crate::network::NumberFormat;
use crate::theory::budget::{Budget, Crossing, FormatBudget, Of};
use crate::theory::census::Census;
use crate::theory::precision::{GRADIENT_FORMATS, LayerRange, LossScale, Subnormals, loss_scale};
use serde_json::{Map, Value, json};
use std::f64::consts::LOG2_E;
use tables::scale_text;

/// One tensor of gradients, counted.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Where it came from, as a source the command line would accept.
    pub source: String,
    /// The short name that tells it from its neighbours.
    pub label: String,
    /// Shape as stored.
    pub shape: Vec<usize>,
    /// Format as stored.
    pub dtype: String,
    /// The counts.
    pub census: Census,
}

/// What the question was about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// Gradients of a network that does not exist yet.
    Predicted(Budget),
    /// Gradients in files.
    Counted {
        /// Tensors, in the order of the sources.
        tensors: Vec<Counted>,
        /// Tensors without counts.
        skipped: Vec<Skipped>,
    },
}

/// Everything `isometer precision` has to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was computed.
    pub subject: Subject,
    /// The format that verdict, loss scale and threshold are about.
    pub format: NumberFormat,
    /// Largest share of lost elements that passes, where the user set one.
    pub fail_underflow: Option<f64>,
}

/// What the results come to. Ordered from harmless to grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything fits as it is.
    Fits,
    /// One loss scale makes it fit.
    NeedsLossScale,
    /// No single loss scale fits.
    NoLossScale,
    /// A share of lost elements exceeds the threshold.
    AboveThreshold,
    /// NaN or infinities.
    Broken,
    /// Nothing to judge.
    Unusable,
}

impl Verdict {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Fits => "fits",
            Verdict::NeedsLossScale => "needs-loss-scale",
            Verdict::NoLossScale => "no-loss-scale",
            Verdict::AboveThreshold => "above-threshold",
            Verdict::Broken => "broken",
            Verdict::Unusable => "unusable",
        }
    }
}

fn crossing(c: &Crossing, verb: &str) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert(format!("{verb}_depth_mean"), document::number(c.depth_mean));
    map.insert(
        format!("{verb}_depth_typical"),
        document::optional(c.depth_typical),
    );
    map.insert(format!("p_{verb}"), document::optional(c.probability));
    map
}

/// With names for the layers that conflict.
fn scale(s: &LossScale, name: &dyn Fn(usize) -> Value) -> Value {
    match *s {
        LossScale::Fits {
            above_log2,
            below_log2,
            power,
        } => json!({
            "fits": true,
            "above_log2": document::number(above_log2),
            "below_log2": document::number(below_log2),
            "power": power,
        }),
        LossScale::Conflict {
            underflows,
            overflows,
            missing_bits,
        } => json!({
            "fits": false,
            "underflows": name(underflows),
            "overflows": name(overflows),
            "missing_bits": document::number(missing_bits),
        }),
        LossScale::Empty => Value::Null,
    }
}

impl Report {
    /// The report in a layout.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => self.csv(),
            Format::Table | Format::Markdown => self.table().render(format, style),
        }
    }

    /// The loss scale in a format; layers or tensors by index.
    fn loss_scale(&self, format: NumberFormat, subnormals: Subnormals) -> LossScale {
        let ranges: Vec<LayerRange> = match &self.subject {
            Subject::Predicted(b) => b.layers.iter().map(|l| l.range).collect(),
            Subject::Counted { tensors, .. } => {
                tensors.iter().filter_map(|t| t.census.range()).collect()
            }
        };
        loss_scale(&ranges, format, subnormals)
    }

    /// Names of what [`Report::loss_scale`] counts.
    fn name(&self, index: usize) -> String {
        match &self.subject {
            Subject::Predicted(b) => format!("layer {}", b.layers[index].layer),
            Subject::Counted { tensors, .. } => {
                let mut ranged = tensors.iter().filter(|t| t.census.range().is_some());
                ranged
                    .nth(index)
                    .map_or_else(String::new, |t| t.label.clone())
            }
        }
    }

    /// Largest share of lost elements in the chosen format: over tensors, or the probability that
    /// an element of the input gradient rounds to zero.
    fn worst_share(&self) -> Option<f64> {
        match &self.subject {
            Subject::Predicted(b) => b
                .formats
                .iter()
                .find(|f| f.format == self.format)
                .and_then(|f| f.underflow.probability),
            Subject::Counted { tensors, .. } => tensors
                .iter()
                .map(|t| t.census.share_lost(self.format))
                .max_by(f64::total_cmp),
        }
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        if let Subject::Counted { tensors, skipped } = &self.subject {
            if tensors.iter().any(|t| t.census.broken()) {
                return Verdict::Broken;
            }
            if tensors.is_empty() {
                return Verdict::Unusable;
            }
            if skipped
                .iter()
                .any(|s| s.kind == super::cond::SkipKind::Unreadable)
            {
                return Verdict::Broken;
            }
        }
        if let (Some(limit), Some(share)) = (self.fail_underflow, self.worst_share())
            && share > limit
        {
            return Verdict::AboveThreshold;
        }
        match self.loss_scale(self.format, Subnormals::Kept) {
            LossScale::Fits {
                above_log2,
                below_log2,
                ..
            } if above_log2 < 0.0 && 0.0 < below_log2 => Verdict::Fits,
            LossScale::Fits { .. } => Verdict::NeedsLossScale,
            LossScale::Conflict { .. } => Verdict::NoLossScale,
            LossScale::Empty => Verdict::Fits,
        }
    }

    /// The verdict for people.
    pub fn sentence(&self) -> String {
        let f = self.format;
        let scale = || scale_text(&self.loss_scale(f, Subnormals::Kept), &|i| self.name(i));
        match self.verdict() {
            Verdict::Fits => format!("gradients fit {f} as they are; no loss scale is needed."),
            Verdict::NeedsLossScale => format!(
                "one loss scale keeps all gradients in the range of {f}: {}.",
                scale()
            ),
            Verdict::NoLossScale => format!(
                "no single loss scale keeps all gradients in the range of {f}; {}; use bf16, or scale layers apart.",
                scale()
            ),
            Verdict::AboveThreshold => format!(
                "a share of {} of the elements is lost in {f}, above {}; scale the loss or use bf16.",
                short_or_dash(self.worst_share()),
                short_or_dash(self.fail_underflow)
            ),
            Verdict::Broken => {
                let bad = match &self.subject {
                    Subject::Counted { tensors, .. } => tensors.iter().find(|t| t.census.broken()),
                    Subject::Predicted(_) => None,
                };
                match bad {
                    Some(t) => format!(
                        "{} holds {} NaN and {} infinities; the step that made it overflowed or divided by zero.",
                        t.label, t.census.nan, t.census.infinite
                    ),
                    None => "a tensor could not be read.".into(),
                }
            }
            Verdict::Unusable => "no tensor of gradients was found.".into(),
        }
    }

    fn json(&self) -> Map<String, Value> {
        let mut map = document::frame(Some("precision"), self.verdict().as_str(), &self.sentence());
        let name = |i: usize| match &self.subject {
            Subject::Predicted(b) => Value::from(b.layers[i].layer),
            Subject::Counted { .. } => Value::from(self.name(i)),
        };
        map.insert("format_bits".into(), self.format.name().into());
        let mut formats = Map::new();
        for format in GRADIENT_FORMATS {
            let mut entry = match &self.subject {
                Subject::Predicted(b) => b
                    .formats
                    .iter()
                    .find(|f| f.format == format)
                    .map(predicted)
                    .unwrap_or_default(),
                Subject::Counted { tensors, .. } => counted(tensors, format),
            };
            for (key, subnormals) in [
                ("loss_scale", Subnormals::Kept),
                ("loss_scale_flushed", Subnormals::Flushed),
            ] {
                let value = scale(&self.loss_scale(format, subnormals), &name);
                entry.insert(key.into(), value);
            }
            formats.insert(format.name().into(), Value::Object(entry));
        }
        map.insert("formats".into(), Value::Object(formats));
        let chosen = scale(&self.loss_scale(self.format, Subnormals::Kept), &name);
        map.insert("loss_scale".into(), chosen);
        match &self.subject {
            Subject::Predicted(b) => {
                map.insert("layers_of".into(), layers_of(b.of).into());
                let log2 = |ln: f64| document::number(ln * LOG2_E);
                let layers: Vec<Value> = b
                    .layers
                    .iter()
                    .map(|l| {
                        json!({
                            "layer": l.layer,
                            "log2_rms_element": log2(l.ln_rms_element),
                            "log2_typical_element": l.ln_typical_element.map_or(Value::Null, log2),
                            "log2_range": {"min": log2(l.range.ln_min), "max": log2(l.range.ln_max)},
                            "weight_rms": document::number(l.weight),
                            "certainty": l.certainty.as_str(),
                        })
                    })
                    .collect();
                map.insert("layers".into(), layers.into());
                map.insert("hypotheses".into(), b.hypotheses.clone().into());
            }
            Subject::Counted { tensors, skipped } => {
                map.insert("tensors".into(), tensors.iter().map(tensor).collect());
                let skipped: Vec<Value> = skipped
                    .iter()
                    .map(|s| json!({"source": s.source, "kind": s.kind.as_str(), "reason": s.reason}))
                    .collect();
                map.insert("skipped".into(), skipped.into());
            }
        }
        map
    }

    fn csv(&self) -> Vec<u8> {
        let text = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x}"));
        let mut records: Vec<Vec<String>> = Vec::new();
        match &self.subject {
            Subject::Predicted(b) => {
                let header = [
                    "format",
                    "crossing",
                    "depth_mean",
                    "depth_typical",
                    "probability",
                ];
                records.push(header.map(String::from).to_vec());
                for f in &b.formats {
                    for (name, c) in [
                        ("underflow", &f.underflow),
                        ("underflow_flushed", &f.flushed),
                        ("overflow", &f.overflow),
                    ] {
                        records.push(vec![
                            f.format.to_string(),
                            name.into(),
                            format!("{}", c.depth_mean),
                            text(c.depth_typical),
                            text(c.probability),
                        ]);
                    }
                }
            }
            Subject::Counted { tensors, .. } => {
                let header = [
                    "source",
                    "format",
                    "count",
                    "zeros",
                    "nan",
                    "inf",
                    "min_nonzero",
                    "max",
                    "to_zero",
                    "to_subnormal",
                    "to_infinity",
                ];
                records.push(header.map(String::from).to_vec());
                for t in tensors {
                    for format in GRADIENT_FORMATS {
                        let (c, lost) = (&t.census, t.census.lost(format));
                        let counts = [c.count, c.zeros, c.nan, c.infinite];
                        let mut row = vec![t.source.clone(), format.to_string()];
                        row.extend(counts.map(|n| n.to_string()));
                        row.extend([text(c.smallest), text(c.largest)]);
                        row.extend(
                            [lost.zero, lost.subnormal, lost.overflow].map(|n| n.to_string()),
                        );
                        records.push(row);
                    }
                }
            }
        }
        csv(&records)
    }
}

fn layers_of(of: Of) -> &'static str {
    match of {
        Of::Weights => "stored weights",
        Of::Outputs => "layer outputs",
    }
}

fn predicted(f: &FormatBudget) -> Map<String, Value> {
    let mut map = crossing(&f.underflow, "underflow");
    map.insert(
        "flushed".into(),
        Value::Object(crossing(&f.flushed, "underflow")),
    );
    map.extend(crossing(&f.overflow, "overflow"));
    map.insert(
        "lost_updates".into(),
        json!({
            "largest_relative_step": {
                "min": document::number(f.lost.relative.0),
                "max": document::number(f.lost.relative.1),
            },
            "layers": f.lost.layers,
        }),
    );
    map
}

/// Shares over all tensors.
fn counted(tensors: &[Counted], format: NumberFormat) -> Map<String, Value> {
    let nonzero: u64 = tensors.iter().map(|t| t.census.nonzero()).sum();
    let total = |f: fn(crate::theory::census::Lost) -> u64| {
        let sum: u64 = tensors.iter().map(|t| f(t.census.lost(format))).sum();
        document::number(sum as f64 / nonzero.max(1) as f64)
    };
    let mut map = Map::new();
    map.insert("p_underflow".into(), total(|l| l.zero));
    map.insert(
        "flushed".into(),
        json!({"p_underflow": total(|l| l.zero + l.subnormal)}),
    );
    map.insert("p_subnormal".into(), total(|l| l.subnormal));
    map.insert("p_overflow".into(), total(|l| l.overflow));
    map
}

fn tensor(t: &Counted) -> Value {
    let c = &t.census;
    let formats: Map<String, Value> = GRADIENT_FORMATS
        .into_iter()
        .map(|f| {
            let lost = c.lost(f);
            let share = |k: u64| document::number(k as f64 / c.nonzero().max(1) as f64);
            let value = json!({
                "underflow": share(lost.zero),
                "subnormal": share(lost.subnormal),
                "overflow": share(lost.overflow),
            });
            (f.name().into(), value)
        })
        .collect();
    json!({
        "source": t.source,
        "shape": t.shape,
        "dtype": t.dtype,
        "count": c.count,
        "zeros": c.zeros,
        "nan": c.nan,
        "inf": c.infinite,
        "min_nonzero": document::optional(c.smallest),
        "max": document::optional(c.largest),
        "shares": formats,
        "certainty": "exact",
    })
}
