//! Bounds on a chain of layers: the verdict and every layout.
//!
//! ```
//! use isometer::bounds::overview::{OverviewOptions, overview};
//! use isometer::linalg::view::MatrixRef;
//! use isometer::report::{Format, Style, bound::Report};
//!
//! let w = MatrixRef::row_major(&[2.0, 1.0, 1.0, 2.0], 2, 2).unwrap();
//! let report = Report {
//!     overview: overview(&[w; 3], None, &OverviewOptions::default()).unwrap(),
//!     activation: None,
//!     skipped: vec![],
//!     biases: 0,
//!     branch: None,
//!     model: None,
//!     maps: None,
//! };
//! let text = String::from_utf8(report.render(Format::Table, &Style::PLAIN)).unwrap();
//! assert!(text.contains("product of norms") && text.contains("27"));
//! ```

use super::cond::Skipped;
use super::table::{Column, Table, csv};
use super::{Format, Style, document};
use crate::bounds::Bound;
use crate::bounds::feature_maps::{FeatureMapOverview, Shape};
use crate::bounds::overview::Overview;
use crate::scale::Certainty;
use serde_json::{Map, Value, json};

/// Everything `isometer bound` has to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// The bounds.
    pub overview: Overview,
    /// Activation between layers, with the range of its slopes; none for a plain product.
    pub activation: Option<(String, f64, f64)>,
    /// Tensors of the sources that are neither layers nor biases.
    pub skipped: Vec<Skipped>,
    /// Layers with a bias.
    pub biases: usize,
    /// Scale of residual branches, if there are any.
    pub branch: Option<f64>,
    /// The description of a drawn network.
    pub model: Option<String>,
    /// Feature maps, of a network of convolutions.
    pub maps: Option<Maps>,
}

/// A network of convolutions.
#[derive(Clone, Debug)]
pub struct Maps {
    /// Names of the layers.
    pub names: Vec<String>,
    /// What was found.
    pub found: FeatureMapOverview,
}

impl Maps {
    fn shape(shape: &Shape) -> String {
        match shape.size {
            [1, 1] => shape.channels.to_string(),
            [1, n] => format!("{}x{n}", shape.channels),
            [h, w] => format!("{}x{h}x{w}", shape.channels),
        }
    }

    fn json(&self) -> Value {
        let mut all = Vec::new();
        for (k, (name, norm)) in self.names.iter().zip(&self.found.norms).enumerate() {
            let side = |s: &Shape| json!([s.channels, s.size[0], s.size[1]]);
            all.push(json!({
                "name": name,
                "input": side(&self.found.shapes[k]),
                "output": side(&self.found.shapes[k + 1]),
                "log10_norm_bound": document::number(norm.log10().2),
            }));
        }
        Value::Array(all)
    }

    fn remarks(&self) -> Vec<String> {
        let shapes: Vec<String> = self.found.shapes.iter().map(Maps::shape).collect();
        let mut all = vec![format!("feature maps: {}", shapes.join(" -> "))];
        if let Some(layer) = self.found.pooled {
            all.push(format!(
                "{} reads fewer points than the feature map has: something that does not stretch is taken to pool before it, and only norms of layers are multiplied",
                self.names[layer - 1]
            ));
        }
        if let Some(p) = self.found.failure_probability {
            all.push(format!(
                "a probabilistic bound is wrong with probability {p:e}"
            ));
        }
        all
    }
}

impl Report {
    fn rows(&self) -> impl Iterator<Item = (&'static str, &Bound)> {
        let upper = self.overview.upper.iter().map(|b| ("upper", b));
        upper.chain(self.overview.lower.iter().rev().map(|b| ("lower", b)))
    }

    fn quantity(&self) -> &'static str {
        match self.activation {
            Some(_) => "Lipschitz constant",
            None => "norm of the product",
        }
    }

    /// The word of the verdict.
    pub fn verdict(&self) -> &'static str {
        match self.overview.slack_log10() {
            Some(slack) if slack < 1.0 => "tight",
            Some(_) => "loose",
            None => "open",
        }
    }

    /// What it means, in one line.
    pub fn sentence(&self) -> String {
        let what = self.quantity();
        let (Some(best), Some(worst)) = (self.overview.upper.last(), self.overview.upper.first())
        else {
            return format!("no bound on the {what}.");
        };
        if best.value.is_zero() {
            return format!(
                "the {what} is 0: a layer is zero, so the output does not depend on the input."
            );
        }
        let gain = worst.value.log10() - best.value.log10();
        let mut text = format!(
            "the {what} is at most {} ({}), {gain:.1} orders of magnitude below the loosest bound",
            magnitude(best.value.log10()),
            best.name
        );
        match self.overview.slack_log10() {
            Some(slack) if slack < 0.01 => text.push_str("; the lower bound meets it."),
            Some(slack) => text.push_str(&format!(
                "; {slack:.1} orders of magnitude above what was found from below{}",
                match slack < 1.0 {
                    true => ".",
                    false =>
                        ": the truth lies between, and only the lower end is attained somewhere.",
                }
            )),
            None => text.push_str("; nothing was found from below."),
        }
        text
    }

    /// The report in one of the layouts.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => {
                let header = ["name", "kind", "log10", "certainty"]
                    .map(String::from)
                    .to_vec();
                let records = self.rows().map(|(kind, b)| {
                    vec![
                        b.name.to_string(),
                        kind.to_string(),
                        b.value.log10().to_string(),
                        b.certainty.as_str().to_string(),
                    ]
                });
                csv(&std::iter::once(header).chain(records).collect::<Vec<_>>())
            }
            Format::Table | Format::Markdown => self.table().render(format, style),
        }
    }

    fn json(&self) -> Map<String, Value> {
        let mut map = document::frame(Some("bound"), self.verdict(), &self.sentence());
        map.insert("quantity".into(), json!(self.quantity()));
        map.insert("layers".into(), json!(self.overview.depth));
        map.insert("widths".into(), json!(self.overview.widths));
        if let Some((name, lower, upper)) = &self.activation {
            map.insert("activation".into(), json!(name));
            map.insert("slopes".into(), json!([lower, upper]));
        }
        map.insert("biases".into(), json!(self.biases));
        if let Some(beta) = self.branch {
            map.insert("residual_beta".into(), json!(beta));
        }
        if let Some(model) = &self.model {
            map.insert("model".into(), json!(model));
        }
        if let Some(maps) = &self.maps {
            map.insert("feature_maps".into(), maps.json());
            let pooled = maps.found.pooled.map(|k| maps.names[k - 1].clone());
            map.insert("pooled_before".into(), json!(pooled));
        }
        let bounds: Vec<Value> = self
            .rows()
            .map(|(kind, b)| {
                let mut bound = json!({
                    "name": b.name,
                    "kind": kind,
                    "log10": document::number(b.value.log10()),
                    "certainty": b.certainty.as_str(),
                });
                let failure = self.maps.as_ref().and_then(|m| m.found.failure_probability);
                if let (Certainty::Probabilistic, Some(p)) = (b.certainty, failure) {
                    bound["failure_probability"] = json!(p);
                }
                bound
            })
            .collect();
        map.insert("bounds".into(), Value::Array(bounds));
        map.insert(
            "slack_log10".into(),
            document::optional(self.overview.slack_log10()),
        );
        let skipped: Vec<Value> = self
            .skipped
            .iter()
            .map(|s| json!({ "source": s.source, "reason": s.reason }))
            .collect();
        map.insert("skipped".into(), Value::Array(skipped));
        map
    }

    fn table(&self) -> Table {
        let mut remarks = Vec::new();
        if let Some((name, lower, upper)) = &self.activation {
            let place = match self.branch {
                Some(beta) => format!("in residual branches times {beta}"),
                None => "between them".into(),
            };
            let biases = match self.biases {
                0 => "biases do not matter to the upper bounds, and are taken as 0 for the lower ones".into(),
                1 => "one bias enters the lower bounds and does not matter to the upper ones".into(),
                n => format!("{n} biases enter the lower bounds and do not matter to the upper ones"),
            };
            remarks.push(format!(
                "{} layers with {name} {place} (slopes {lower} to {upper}); {biases}",
                self.overview.depth
            ));
        }
        if let Some(maps) = &self.maps {
            remarks.extend(maps.remarks());
        }
        if !self.skipped.is_empty() {
            remarks.push(format!(
                "{} tensors are no layers: {}",
                self.skipped.len(),
                reasons(&self.skipped)
            ));
        }
        Table {
            columns: vec![
                Column::text("bound"),
                Column::text("kind"),
                Column::number("value"),
                Column::number("log10").expendable(1),
                Column::text("certainty"),
            ],
            rows: self
                .rows()
                .map(|(kind, b)| {
                    vec![
                        b.name.to_string(),
                        kind.to_string(),
                        magnitude(b.value.log10()),
                        format!("{:.4}", b.value.log10()),
                        b.certainty.as_str().to_string(),
                    ]
                })
                .collect(),
            remarks,
            verdict: format!("{}: {}", self.verdict(), self.sentence()),
            alarming: false,
        }
    }
}

/// The reasons why tensors were left out, each once.
fn reasons(skipped: &[Skipped]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for s in skipped {
        if !seen.contains(&s.reason.as_str()) {
            seen.push(&s.reason);
        }
    }
    seen.join("; ")
}

/// Four digits of `10^x`.
fn magnitude(log10: f64) -> String {
    if log10 == f64::NEG_INFINITY {
        return "0".into();
    }
    if (-3.0..6.0).contains(&log10) {
        let x = 10f64.powf(log10);
        let digits = (3 - log10.floor() as i32).max(0) as usize;
        return format!("{x:.digits$}");
    }
    let exponent = log10.floor();
    let mantissa = 10f64.powf(log10 - exponent);
    format!("{mantissa:.3}e{exponent:+}")
}
