//! `isometer diff`: what changed between two checkpoints.
//!
//! ```
//! use isometer::audit::{checkpoint::{AuditOptions, Unobserved, subjects}, diff::diff};
//! use isometer::formats::open_bytes;
//! use isometer::report::diff::Report;
//!
//! let file = |text: &str| open_bytes("w.txt", text.as_bytes().to_vec()).unwrap();
//! let (before, after, labels) = (file("3 0\n0 4\n"), file("3 0\n0 9\n"), ["w".to_string()]);
//! let options = AuditOptions::default().spectral;
//! let difference = diff(&subjects(&before, &labels), &subjects(&after, &labels), &options, &Unobserved);
//! let report = Report { difference, fail_above: Some(0.5), all: false };
//! assert!(report.fails()); // it changed by 5 of 5
//! ```

use super::number::value_text;
use super::table::{Column, Table, csv};
use super::{Format, Style, document};
use crate::audit::diff::{Compared, Difference, MatrixChange, Status};
use crate::linalg::condition::Measured;
use crate::report::document::{measured, number};
use serde_json::{Map, Value, json};

/// Everything `isometer diff` has to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was found.
    pub difference: Difference,
    /// Threshold on the relative Frobenius norm of a change, where the user set one.
    pub fail_above: Option<f64>,
    /// Whether tensors that did not change have rows, too.
    pub all: bool,
}

impl Report {
    fn of(&self, status: Status) -> usize {
        self.difference
            .tensors
            .iter()
            .filter(|t| t.status == status)
            .count()
    }

    /// Tensors that hold NaN or infinities after but not before.
    fn broken(&self) -> impl Iterator<Item = &Compared> {
        let got_worse = |t: &&Compared| {
            t.change
                .as_ref()
                .is_some_and(|c| c.nonfinite.1 > c.nonfinite.0)
        };
        self.difference.tensors.iter().filter(got_worse)
    }

    fn above(&self) -> impl Iterator<Item = &Compared> {
        let limit = self.fail_above.unwrap_or(f64::INFINITY);
        self.difference.tensors.iter().filter(move |t| {
            t.change
                .as_ref()
                .is_some_and(|c| c.relative_frobenius > limit)
        })
    }

    /// The word used in JSON.
    pub fn verdict(&self) -> &'static str {
        let structure = [Status::New, Status::Missing, Status::Reshaped];
        match () {
            () if self.difference.tensors.is_empty() => "unusable",
            () if self.broken().next().is_some() => "broken",
            () if self.above().next().is_some() => "above-threshold",
            () if structure.iter().any(|s| self.of(*s) > 0) => "structure",
            () if self.of(Status::Unread) > 0 => "unread",
            () if self.of(Status::Changed) > 0 => "changed",
            () => "same",
        }
    }

    /// Whether it is a finding.
    pub fn fails(&self) -> bool {
        matches!(self.verdict(), "broken" | "above-threshold")
    }

    /// What it means, in one line.
    pub fn sentence(&self) -> String {
        let d = &self.difference;
        let cut = if d.interrupted { "interrupted: " } else { "" };
        let counts: Vec<String> = [
            Status::Same,
            Status::Changed,
            Status::New,
            Status::Missing,
            Status::Reshaped,
            Status::Unread,
        ]
        .into_iter()
        .filter(|s| self.of(*s) > 0)
        .map(|s| format!("{} {}", self.of(s), s.as_str()))
        .collect();
        let counts = counts.join(", ");
        let largest = d
            .tensors
            .iter()
            .filter_map(|t| Some((t, t.change.as_ref()?)))
            .filter(|(_, c)| c.share > 0.0)
            .reduce(|best, next| {
                if next.1.relative_frobenius > best.1.relative_frobenius {
                    next
                } else {
                    best
                }
            });
        let first_broken = self.broken().next();
        let first_above = self.above().next();
        let tail = match (self.verdict(), largest) {
            ("unusable", _) => {
                return "no tensor in the first checkpoint, or --include and --exclude left none"
                    .into();
            }
            ("broken", _) => first_broken.map_or(String::new(), |t| {
                let bad = t.change.as_ref().map_or(0, |c| c.nonfinite.1);
                format!(
                    "; {} now holds {bad} entries that are NaN or infinite: go back",
                    t.label
                )
            }),
            ("above-threshold", _) => first_above.map_or(String::new(), |t| {
                let c = t.change.as_ref().map_or(0.0, |c| c.relative_frobenius);
                format!("; {} moved by {} of its norm", t.label, percent(c))
            }),
            ("same", _) => "; the numbers are the same".into(),
            (_, Some((t, c))) => format!(
                "; the largest change is {} of the norm, in {}",
                percent(c.relative_frobenius),
                t.label
            ),
            (_, None) => String::new(),
        };
        let prefixes = match (&d.prefixes.0, &d.prefixes.1) {
            (a, b) if a.is_empty() && b.is_empty() => String::new(),
            (a, b) => format!("; names compared without '{a}' and '{b}'"),
        };
        format!("{cut}{counts}{tail}{prefixes}.")
    }

    /// The report in one of the layouts.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => self.csv(),
            Format::Table | Format::Markdown => self.table().render(format, style),
        }
    }

    fn table(&self) -> Table {
        let columns = vec![
            Column::text("tensor"),
            Column::text("status"),
            Column::number("shape").expendable(5),
            Column::number("|B-A|/|A|"),
            Column::number("sigma_max A").expendable(3),
            Column::number("sigma_max B").expendable(2),
            Column::number("sigma_max B-A").expendable(4),
            Column::number("rank of B-A").expendable(6),
            Column::number("angle").expendable(1),
            Column::number("of").expendable(1),
        ];
        let shown = |t: &&Compared| self.all || t.status != Status::Same;
        let rows = self
            .difference
            .tensors
            .iter()
            .filter(shown)
            .map(row)
            .collect();
        let remarks = self
            .difference
            .tensors
            .iter()
            .filter_map(|t| Some(format!("{}: {}", t.label, t.remark.as_ref()?)))
            .chain(self.difference.tensors.iter().filter_map(retyped))
            .collect();
        Table {
            columns,
            rows,
            remarks,
            verdict: format!("{}: {}", self.verdict(), self.sentence()),
            alarming: self.fails(),
        }
    }

    fn json(&self) -> Map<String, Value> {
        let sentence = self.sentence();
        let mut map = document::frame(Some("diff"), self.verdict(), &sentence);
        if self.verdict() == "unusable" {
            map.insert("error".into(), document::error("unusable-input", &sentence));
        }
        map.insert("interrupted".into(), self.difference.interrupted.into());
        let prefixes = json!([self.difference.prefixes.0, self.difference.prefixes.1]);
        map.insert("prefixes".into(), prefixes);
        map.insert(
            "tensors".into(),
            self.difference.tensors.iter().map(value).collect(),
        );
        if let Some(limit) = self.fail_above {
            map.insert("fail_above".into(), number(limit));
        }
        map
    }

    fn csv(&self) -> Vec<u8> {
        const HEADER: [&str; 14] = [
            "name",
            "status",
            "shape_before",
            "shape_after",
            "dtype_before",
            "dtype_after",
            "relative_frobenius",
            "max_abs_change",
            "share_changed",
            "sigma_max_before",
            "sigma_max_after",
            "sigma_max_difference",
            "angle_degrees",
            "directions",
        ];
        let mut records = vec![HEADER.map(String::from).to_vec()];
        for t in &self.difference.tensors {
            let of = |x: Option<f64>| x.map_or(String::new(), |x| x.to_string());
            let c = t.change.as_ref();
            let m = c.and_then(|c| c.matrix.as_ref());
            let linear = |f: fn(&MatrixChange) -> &Measured| {
                of(m.and_then(|m| f(m).enclosure.to_linear()).map(|x| x.0))
            };
            let angle = m.and_then(|m| m.angle);
            records.push(vec![
                t.label.clone(),
                t.status.as_str().into(),
                shape(t.shapes.0.as_deref()),
                shape(t.shapes.1.as_deref()),
                t.dtypes.0.clone().unwrap_or_default(),
                t.dtypes.1.clone().unwrap_or_default(),
                of(c.map(|c| c.relative_frobenius)),
                of(c.map(|c| c.largest)),
                of(c.map(|c| c.share)),
                linear(|m| &m.before),
                linear(|m| &m.after),
                linear(|m| &m.difference),
                of(angle.map(|a| a.degrees)),
                angle.map_or(String::new(), |a| a.directions.to_string()),
            ]);
        }
        csv(&records)
    }
}

fn shape(s: Option<&[usize]>) -> String {
    s.map_or(String::new(), |s| {
        s.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("x")
    })
}

fn percent(share: f64) -> String {
    match 100.0 * share {
        p if p.is_infinite() => "all".into(),
        p if p >= 0.01 => format!("{p:.2}%"),
        p => format!("{p:.1e}%"),
    }
}

fn retyped(t: &Compared) -> Option<String> {
    match &t.dtypes {
        (Some(a), Some(b)) if a != b => Some(format!("{}: {a} became {b}", t.label)),
        _ => None,
    }
}

fn row(t: &Compared) -> Vec<String> {
    let dash = || "-".to_string();
    let m = t.change.as_ref().and_then(|c| c.matrix.as_ref());
    let shapes = match (&t.shapes, t.status) {
        ((Some(a), Some(b)), Status::Reshaped) => {
            format!("{} > {}", shape(Some(a)), shape(Some(b)))
        }
        ((a, b), _) => shape(a.as_deref().or(b.as_deref())),
    };
    let four = |m: &Measured| value_text(&m.enclosure, 4);
    let angle = m.and_then(|m| m.angle);
    vec![
        t.label.clone(),
        t.status.as_str().into(),
        shapes,
        t.change
            .as_ref()
            .map_or_else(dash, |c| format!("{:.2e}", c.relative_frobenius)),
        m.map_or_else(dash, |m| four(&m.before)),
        m.map_or_else(dash, |m| four(&m.after)),
        m.map_or_else(dash, |m| four(&m.difference)),
        m.map_or_else(dash, |m| format!("{:.1}", m.stable_rank)),
        angle.map_or_else(dash, |a| format!("{:.2}", a.degrees)),
        angle.map_or_else(dash, |a| a.directions.to_string()),
    ]
}

fn value(t: &Compared) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| {
        map.insert(key.into(), value);
    };
    put("name", t.label.as_str().into());
    put("status", t.status.as_str().into());
    put("shape_before", json!(t.shapes.0));
    put("shape_after", json!(t.shapes.1));
    put("dtype_before", json!(t.dtypes.0));
    put("dtype_after", json!(t.dtypes.1));
    if let Some(c) = &t.change {
        put("relative_frobenius", number(c.relative_frobenius));
        put("max_abs_change", number(c.largest));
        put("share_changed", number(c.share));
        put("nonfinite_before", c.nonfinite.0.into());
        put("nonfinite_after", c.nonfinite.1.into());
        if let Some(m) = &c.matrix {
            put("sigma_max_before", measured(&m.before));
            put("sigma_max_after", measured(&m.after));
            put("sigma_max_difference", measured(&m.difference));
            put("certainty", m.difference.certainty.as_str().into());
            put("stable_rank_of_difference", number(m.stable_rank));
            if let Some(a) = m.angle {
                put("angle_degrees", number(a.degrees));
                put("directions", a.directions.into());
                put("gap", number(a.gap));
            }
        }
    }
    if let Some(remark) = &t.remark {
        put("remark", remark.as_str().into());
    }
    Value::Object(map)
}
