//! `isometer symmetry`: units that are copies of each other, dead or constant, and layers that are permutations of each other.
//!
//! ```
//! use isometer::linalg::{symmetry::symmetry, view::MatrixRef};
//! use isometer::report::symmetry::{Report, Row};
//!
//! let w = MatrixRef::row_major(&[1.0, 2.0, 1.0, 2.0], 2, 2).unwrap();
//! let found = symmetry(&w, None, 0.0).unwrap();
//! let row = Row { source: "w".into(), label: "w".into(), units: 2, inputs: 2, bias: None, found };
//! let report = Report { tolerance: 0.0, rows: vec![row], permuted: vec![], broken: vec![], skipped: vec![] };
//! assert!(report.verdict() == "symmetric" && report.sentence().starts_with("1 units repeat"));
//! ```

use super::table::{Column, Table, csv};
use super::{Format, Style, document};
use crate::linalg::symmetry::Symmetry;
use serde_json::{Map, Value, json};

/// Indices listed in a sentence.
const LISTED: usize = 4;

/// One weight matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The source that names it.
    pub source: String,
    /// The short name.
    pub label: String,
    /// Units: rows.
    pub units: usize,
    /// Inputs: columns.
    pub inputs: usize,
    /// The biases compared along with the rows, if any.
    pub bias: Option<String>,
    /// What was found.
    pub found: Symmetry,
}

/// Two matrices with the same rows in another order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permuted {
    /// The earlier matrix.
    pub first: String,
    /// The later one.
    pub second: String,
    /// `order[i]`: the row of the second equal to row `i` of the first.
    pub order: Vec<usize>,
}

impl Permuted {
    fn identical(&self) -> bool {
        self.order.iter().enumerate().all(|(i, j)| i == *j)
    }
}

/// Everything there is to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// Relative distance up to which rows count as equal; 0 for exact equality.
    pub tolerance: f64,
    /// One for each matrix.
    pub rows: Vec<Row>,
    /// Matrices that are permutations of an earlier one.
    pub permuted: Vec<Permuted>,
    /// `(source, reason)` of matrices that hold NaN or infinities.
    pub broken: Vec<(String, String)>,
    /// `(source, reason)` of tensors that are no matrices.
    pub skipped: Vec<(String, String)>,
}

impl Report {
    /// The word used in JSON.
    pub fn verdict(&self) -> &'static str {
        match () {
            () if !self.broken.is_empty() => "broken",
            () if self.rows.is_empty() => "unusable",
            () if self.rows.iter().any(|r| !r.found.is_empty()) || !self.permuted.is_empty() => {
                "symmetric"
            }
            () => "distinct",
        }
    }

    /// The verdict for people.
    pub fn sentence(&self) -> String {
        match self.verdict() {
            "broken" => format!(
                "{} holds {}; units cannot be compared.",
                self.broken[0].0, self.broken[0].1
            ),
            "unusable" => "no weight matrix was found.".into(),
            "distinct" => "no two units are copies of each other, and none is dead.".into(),
            _ => {
                let sum = |f: fn(&Symmetry) -> usize| {
                    self.rows.iter().map(|r| f(&r.found)).sum::<usize>()
                };
                let mut parts = Vec::new();
                let copies = sum(|s| s.copies.len());
                if copies > 0 {
                    parts.push(format!(
                        "{copies} units repeat another: with equal outgoing weights they get equal gradients and stay copies for ever; draw them at random"
                    ));
                }
                let dead = sum(|s| s.zero.len());
                if dead > 0 {
                    parts.push(format!("{dead} units have no incoming weight"));
                }
                let constant = sum(|s| s.constant.len());
                if constant > 0 {
                    parts.push(format!("{constant} units weigh all inputs alike"));
                }
                let unused = sum(|s| s.unused.len());
                if unused > 0 {
                    parts.push(format!("{unused} inputs are not used"));
                }
                if !self.permuted.is_empty() {
                    parts.push(format!(
                        "{} matrices have the rows of another",
                        self.permuted.len()
                    ));
                }
                format!("{}.", parts.join("; "))
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

    fn json(&self) -> Map<String, Value> {
        let mut map = document::frame(Some("symmetry"), self.verdict(), &self.sentence());
        map.insert("tolerance".into(), document::number(self.tolerance));
        let results: Vec<Value> = self
            .rows
            .iter()
            .map(|r| {
                let copies: Vec<Value> = r
                    .found
                    .copies
                    .iter()
                    .map(|c| json!({"first": c.first, "second": c.second, "negated": c.negated}))
                    .collect();
                json!({
                    "source": r.source,
                    "units": r.units,
                    "inputs": r.inputs,
                    "bias": r.bias,
                    "copies": copies,
                    "dead_units": r.found.zero,
                    "constant_units": r.found.constant,
                    "unused_inputs": r.found.unused,
                    "certainty": "exact",
                })
            })
            .collect();
        map.insert("results".into(), results.into());
        let permuted: Vec<Value> = self
            .permuted
            .iter()
            .map(|p| json!({"first": p.first, "second": p.second, "identical": p.identical(), "order": p.order}))
            .collect();
        map.insert("permuted".into(), permuted.into());
        for (key, list) in [("broken", &self.broken), ("skipped", &self.skipped)] {
            let list: Vec<Value> = list
                .iter()
                .map(|(s, r)| json!({"source": s, "reason": r}))
                .collect();
            map.insert(key.into(), list.into());
        }
        map
    }

    fn table(&self) -> Table {
        let rows = self.rows.iter().map(|r| {
            let f = &r.found;
            let listed: Vec<String> = f
                .copies
                .iter()
                .take(LISTED)
                .map(|c| {
                    format!(
                        "{} = {}{}",
                        c.second,
                        if c.negated { "-" } else { "" },
                        c.first
                    )
                })
                .collect();
            let more = if f.copies.len() > LISTED { ", ..." } else { "" };
            vec![
                r.label.clone(),
                r.units.to_string(),
                r.inputs.to_string(),
                f.copies.len().to_string(),
                f.zero.len().to_string(),
                f.constant.len().to_string(),
                f.unused.len().to_string(),
                format!("{}{more}", listed.join(", ")),
            ]
        });
        let mut remarks = vec![String::new()];
        for p in &self.permuted {
            remarks.push(match p.identical() {
                true => format!("{} equals {}", p.second, p.first),
                false => format!("{} has the rows of {} in another order", p.second, p.first),
            });
        }
        remarks.push(match self.tolerance > 0.0 {
            true => format!("rows within a relative distance of {} count as copies; biases of the same name belong to the rows.", self.tolerance),
            false => "rows are compared exactly, up to sign; biases of the same name belong to the rows.".into(),
        });
        remarks.extend(
            self.broken
                .iter()
                .map(|(s, r)| format!("broken {s}: it holds {r}")),
        );
        remarks.push(String::new());
        Table {
            columns: vec![
                Column::text("tensor"),
                Column::number("units"),
                Column::number("inputs"),
                Column::number("copies"),
                Column::number("dead"),
                Column::number("constant").expendable(2),
                Column::number("unused inputs").expendable(1),
                Column::text("which").expendable(3),
            ],
            rows: rows.collect(),
            remarks,
            verdict: format!("{}: {}", self.verdict(), self.sentence()),
            alarming: self.verdict() != "distinct",
        }
    }

    fn csv(&self) -> Vec<u8> {
        let header = [
            "source",
            "units",
            "inputs",
            "copies",
            "dead_units",
            "constant_units",
            "unused_inputs",
        ];
        let mut records = vec![header.map(String::from).to_vec()];
        records.extend(self.rows.iter().map(|r| {
            let f = &r.found;
            let counts = [
                r.units,
                r.inputs,
                f.copies.len(),
                f.zero.len(),
                f.constant.len(),
                f.unused.len(),
            ];
            std::iter::once(r.source.clone())
                .chain(counts.map(|c| c.to_string()))
                .collect()
        }));
        csv(&records)
    }
}
