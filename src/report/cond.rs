//! Condition numbers of the matrices of one or more sources: the verdict and every layout.

use super::convolution::Detail;
use super::number::{MOST_DIGITS, limits_text, value_text};
use super::table::{Column, Table, csv};
use super::{Format, Style, document};
use crate::linalg::condition::{Conditioning, Measured};
use crate::scale::Certainty;
use serde_json::{Map, Value, json};

/// One matrix and its conditioning.
#[derive(Clone, Debug)]
pub struct Row {
    /// Where the matrix came from, as a source the command line would accept.
    pub source: String,
    /// The short name that tells it from its neighbours in a table.
    pub label: String,
    /// Shape of the tensor as stored; the matrix is `conditioning.rows x conditioning.cols`.
    pub shape: Vec<usize>,
    /// What the reader of the file has to say about the conversion.
    pub note: Option<String>,
    /// What was computed.
    pub conditioning: Conditioning,
    /// How the tensor acts as a convolution, where it was taken as one.
    pub convolution: Option<Detail>,
}

impl Row {
    /// Everything that no column holds, in one line.
    fn remark(&self) -> Option<String> {
        let convolution = self.convolution.as_ref();
        let convolution = convolution.map(|d| d.remark(&self.conditioning.sigma_max));
        let parts = [&convolution, &self.conditioning.remark, &self.note];
        let said: Vec<&str> = parts.iter().filter_map(|p| p.as_deref()).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// Why a tensor has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipKind {
    /// A scalar, a vector, or integers.
    NotAMatrix,
    /// A number format or compression that is not read.
    Unsupported,
    /// No entries.
    Empty,
    /// NaN or an infinity: a finding, the tensor is broken.
    NonFinite,
    /// The bytes could not be read: a finding when the rest of the file can be.
    Unreadable,
    /// The norm needs a square matrix.
    NotSquare,
    /// The iteration did not converge.
    NoConvergence,
    /// Kernel and input do not make a convolution.
    NotAConvolution,
}

impl SkipKind {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipKind::NotAMatrix => "not-a-matrix",
            SkipKind::Unsupported => "unsupported",
            SkipKind::Empty => "empty",
            SkipKind::NonFinite => "non-finite",
            SkipKind::Unreadable => "unreadable",
            SkipKind::NotSquare => "not-square",
            SkipKind::NoConvergence => "no-convergence",
            SkipKind::NotAConvolution => "not-a-convolution",
        }
    }
}

/// A tensor without a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it came from.
    pub source: String,
    /// The short name that tells it from its neighbours.
    pub label: String,
    /// What kind of obstacle.
    pub kind: SkipKind,
    /// One sentence for people.
    pub reason: String,
}

/// What the results come to. Ordered from harmless to grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every condition number is within what its number format resolves.
    Fine,
    /// Some kappa exceeds `1/u` of its number format.
    IllConditioned,
    /// Some matrix is exactly singular.
    Singular,
    /// Some kappa exceeds the threshold the user set.
    AboveThreshold,
    /// Some tensor holds NaN or an infinity, or cannot be read.
    Broken,
    /// Nothing could be computed.
    Unusable,
}

impl Verdict {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Fine => "fine",
            Verdict::IllConditioned => "ill-conditioned",
            Verdict::Singular => "singular",
            Verdict::AboveThreshold => "above-threshold",
            Verdict::Broken => "broken",
            Verdict::Unusable => "unusable",
        }
    }
}

/// Everything `isometer cond` has to say.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Matrices with a condition number, in the order of the sources.
    pub rows: Vec<Row>,
    /// Tensors without one.
    pub skipped: Vec<Skipped>,
    /// The threshold on kappa, where the user set one.
    pub fail_above: Option<f64>,
    /// Whether all singular values were asked for.
    pub spectrum: bool,
}

impl Report {
    /// The gravest thing found.
    pub fn verdict(&self) -> Verdict {
        let broken = |s: &&Skipped| matches!(s.kind, SkipKind::NonFinite | SkipKind::Unreadable);
        let nonfinite = self.skipped.iter().any(|s| s.kind == SkipKind::NonFinite);
        if nonfinite || (!self.rows.is_empty() && self.skipped.iter().any(|s| broken(&s))) {
            Verdict::Broken
        } else if self.rows.is_empty() {
            Verdict::Unusable
        } else if self.rows.iter().any(|r| self.above(r)) {
            Verdict::AboveThreshold
        } else if self.rows.iter().any(is_singular) {
            Verdict::Singular
        } else if self.rows.iter().any(|r| !r.conditioning.resolvable) {
            Verdict::IllConditioned
        } else {
            Verdict::Fine
        }
    }

    fn above(&self, row: &Row) -> bool {
        let cond = &row.conditioning.cond.enclosure;
        self.fail_above.is_some_and(|k| match cond.to_linear() {
            Some((value, _, _)) => value > k,
            None => cond.log10().0 > k.log10(),
        })
    }

    /// Whether the limits of a row leave open on which side of the threshold the truth lies.
    fn undecided(&self, row: &Row) -> bool {
        let cond = &row.conditioning.cond.enclosure;
        self.fail_above.is_some_and(|k| match cond.to_linear() {
            Some((_, lo, hi)) => lo <= k && k < hi,
            None => {
                let (_, lo, hi) = cond.log10();
                lo <= k.log10() && k.log10() < hi
            }
        })
    }

    fn worst(&self) -> Option<&Row> {
        let key = |r: &Row| r.conditioning.cond.enclosure.log10().0;
        // The first of equals: `max_by` would name the last.
        self.rows
            .iter()
            .reduce(|best, row| if key(row) > key(best) { row } else { best })
    }

    /// What it means and what to do, in one line.
    pub fn sentence(&self) -> String {
        let verdict = self.verdict();
        let Some(worst) = self.worst() else {
            return self.sentence_without_rows(verdict);
        };
        let c = &worst.conditioning;
        let name = &worst.label;
        let kappa = value_text(&c.cond.enclosure, 4);
        let format = c.element_type;
        match verdict {
            Verdict::Broken => self.sentence_without_rows(verdict),
            Verdict::AboveThreshold => {
                let above = self.rows.iter().filter(|r| self.above(r)).count();
                let k = self.fail_above.unwrap_or(f64::INFINITY);
                let open = if self.undecided(worst) && above == 1 {
                    ", though its limits do not exclude the other side"
                } else {
                    ""
                };
                format!(
                    "{above} of {} above the threshold {k:e}: the worst is {name} with kappa {kappa}{open}.",
                    count(self.rows.len(), "matrix", "matrices"),
                )
            }
            Verdict::Singular => {
                let singular = self.rows.iter().find(|r| is_singular(r)).unwrap_or(worst);
                let c = &singular.conditioning;
                let rank = match c.rank.exact.or(c.rank.numerical) {
                    Some(r) => format!(" (rank {r} of {})", c.rows.min(c.cols)),
                    None => String::new(),
                };
                format!(
                    "{} is singular{rank}: some direction is lost whatever the precision; remove the dependent rows or columns, or solve in the least-squares sense.",
                    singular.label
                )
            }
            Verdict::IllConditioned => format!(
                "{name} has kappa {kappa}: rounded {format} entries cannot tell it from a singular matrix (limit {:.1e}); the answer holds for the stored numbers, input rounding dominates: store it wider or drop directions.",
                format.largest_resolvable_cond(),
            ),
            Verdict::Fine | Verdict::Unusable => {
                let lost = c.cond.enclosure.log10().0.max(0.0);
                let digits = -format.unit_roundoff().log10();
                let which = if self.rows.len() == 1 {
                    format!("{name}: kappa {kappa}")
                } else {
                    format!(
                        "Worst of {} matrices: {name}, kappa {kappa}",
                        self.rows.len()
                    )
                };
                let threshold = match self.fail_above {
                    Some(k) if self.undecided(worst) => {
                        format!("; its limits straddle the threshold {k:e}")
                    }
                    Some(k) => format!("; none above {k:e}"),
                    None => String::new(),
                };
                let about = match c.cond.certainty {
                    Certainty::Lower => "at least",
                    _ => "about",
                };
                format!(
                    "{which}: a solve loses {about} {lost:.1} of the {digits:.1} digits of {format}{threshold}.",
                )
            }
        }
    }

    fn sentence_without_rows(&self, verdict: Verdict) -> String {
        let broken: Vec<&Skipped> = self
            .skipped
            .iter()
            .filter(|s| matches!(s.kind, SkipKind::NonFinite | SkipKind::Unreadable))
            .collect();
        match (verdict, broken.first().or(self.skipped.first().as_ref())) {
            (Verdict::Broken, Some(first)) => format!(
                "{} broken: {}: {}",
                count(broken.len(), "tensor is", "tensors are"),
                first.label,
                first.reason
            ),
            (_, Some(first)) => format!(
                "no matrix with a condition number in {}: {}: {}",
                count(self.skipped.len(), "tensor", "tensors"),
                first.label,
                first.reason
            ),
            (_, None) => "no matrix in the input: the sources hold no tensor, or --include and --exclude left none".into(),
        }
    }

    /// The report in one of the layouts.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => self.csv(),
            Format::Table | Format::Markdown => self.table(format).render(format, style),
        }
    }

    fn json(&self) -> Map<String, Value> {
        let verdict = self.verdict();
        let sentence = self.sentence();
        let mut map = document::frame(Some("cond"), verdict.as_str(), &sentence);
        if verdict == Verdict::Unusable {
            map.insert("error".into(), document::error("unusable-input", &sentence));
        }
        map.insert(
            "results".into(),
            self.rows.iter().map(|r| self.row_json(r)).collect(),
        );
        map.insert(
            "skipped".into(),
            self.skipped
                .iter()
                .map(|s| json!({"source": s.source, "kind": s.kind.as_str(), "reason": s.reason}))
                .collect(),
        );
        if let Some(k) = self.fail_above {
            map.insert("fail_above".into(), document::number(k));
        }
        map
    }

    fn row_json(&self, row: &Row) -> Value {
        let c = &row.conditioning;
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| {
            map.insert(key.into(), value);
        };
        put("source", row.source.as_str().into());
        put("shape", json!(row.shape));
        if row.shape != [c.rows, c.cols] {
            put("matrix", json!([c.rows, c.cols]));
        }
        put("dtype", c.element_type.as_str().into());
        put("norm", c.norm.as_str().into());
        put("cond", document::measured(&c.cond));
        put("log10_cond", document::log10(&c.cond.enclosure));
        put("sigma_max", document::measured(&c.sigma_max));
        put("log10_sigma_max", document::log10(&c.sigma_max.enclosure));
        put("sigma_min", document::measured(&c.sigma_min));
        put("log10_sigma_min", document::log10(&c.sigma_min.enclosure));
        put("rank", json!(c.rank.exact.or(c.rank.numerical)));
        if let Some(rank) = c.rank.exact {
            put("exact_rank", json!(rank));
        }
        put("certainty", c.cond.certainty.as_str().into());
        put("method", c.method.as_str().into());
        put("resolvable", json!(c.resolvable));
        put(
            "largest_resolvable_cond",
            json!(c.element_type.largest_resolvable_cond()),
        );
        if let Some(detail) = &row.convolution {
            put("sigma_max_certainty", c.sigma_max.certainty.as_str().into());
            put("sigma_min_certainty", c.sigma_min.certainty.as_str().into());
            put("convolution", detail.json(&c.sigma_max));
        }
        if self.fail_above.is_some() {
            put("above", json!(self.above(row)));
            put("undecided", json!(self.undecided(row)));
        }
        if let Some(remark) = row.remark() {
            put("remark", remark.into());
        }
        if self.spectrum
            && let Some(s) = &c.singular_values
        {
            let plain: Vec<Value> = (0..s.values.len())
                .map(
                    |i| match (crate::scale::ldexp(s.values[i], s.exponent), s.log(i)) {
                        (x, log) if (x == 0.0 || x.is_infinite()) && !log.is_zero() => Value::Null,
                        (x, _) => json!(x),
                    },
                )
                .collect();
            if plain.iter().any(Value::is_null) {
                let logs = (0..s.values.len()).map(|i| document::number(s.log(i).log10()));
                put("log10_singular_values", logs.collect());
            }
            put("singular_values", plain.into());
            put("stable_rank", json!(s.stable_rank()));
            put("effective_rank", json!(s.effective_rank()));
        }
        Value::Object(map)
    }

    fn csv(&self) -> Vec<u8> {
        const HEADER: [&str; 20] = [
            "source",
            "shape",
            "dtype",
            "norm",
            "cond",
            "cond_lo",
            "cond_hi",
            "log10_cond",
            "sigma_max",
            "sigma_max_lo",
            "sigma_max_hi",
            "sigma_min",
            "sigma_min_lo",
            "sigma_min_hi",
            "rank",
            "certainty",
            "method",
            "resolvable",
            "remark",
            "skipped",
        ];
        let mut records = vec![HEADER.map(String::from).to_vec()];
        for row in &self.rows {
            let c = &row.conditioning;
            let mut record = vec![
                row.source.clone(),
                shape_text(&row.shape),
                c.element_type.to_string(),
                c.norm.as_str().to_string(),
            ];
            record.extend(csv_measured(&c.cond));
            record.push(bare(&document::number(c.cond.enclosure.log10().0)));
            record.extend(csv_measured(&c.sigma_max));
            record.extend(csv_measured(&c.sigma_min));
            let rank = c.rank.exact.or(c.rank.numerical);
            record.push(rank.map_or(String::new(), |r| r.to_string()));
            record.push(c.cond.certainty.to_string());
            record.push(c.method.to_string());
            record.push(c.resolvable.to_string());
            record.push(row.remark().unwrap_or_default());
            record.push(String::new());
            records.push(record);
        }
        for s in &self.skipped {
            let mut record = vec![String::new(); HEADER.len()];
            record[0] = s.source.clone();
            record[HEADER.len() - 1] = s.reason.clone();
            records.push(record);
        }
        csv(&records)
    }

    fn table(&self, format: Format) -> Table {
        let markdown = format == Format::Markdown;
        let mut columns = vec![
            Column::text("tensor"),
            Column::text("shape"),
            Column::text("dtype").expendable(2),
            Column::number("kappa"),
            Column::text("limits").expendable(4),
            Column::number("sigma_max").expendable(1),
            Column::number("sigma_min").expendable(1),
            Column::number("rank").expendable(3),
            Column::text("worth"),
        ];
        if markdown {
            columns.push(Column::text("note"));
        }
        let rows = self
            .rows
            .iter()
            .map(|row| {
                let c = &row.conditioning;
                let mut cells = vec![
                    row.label.clone(),
                    shape_text(&row.shape),
                    c.element_type.to_string(),
                    value_text(&c.cond.enclosure, MOST_DIGITS),
                    limits_text(&c.cond.enclosure),
                    value_text(&c.sigma_max.enclosure, 5),
                    sigma_min_text(&c.sigma_min),
                    (c.rank.exact.or(c.rank.numerical)).map_or("?".into(), |r| r.to_string()),
                    worth(row).into(),
                ];
                if markdown {
                    cells.push(row.remark().unwrap_or_default());
                }
                cells
            })
            .collect();
        let mut remarks = Vec::new();
        if !markdown {
            for row in &self.rows {
                if let Some(remark) = row.remark() {
                    remarks.push(format!("{}: {remark}", row.label));
                }
            }
        }
        remarks.extend(self.skipped_lines());
        let verdict = self.verdict();
        Table {
            columns,
            rows,
            remarks,
            verdict: format!("{}: {}", verdict.as_str(), self.sentence()),
            alarming: verdict != Verdict::Fine,
        }
    }

    /// Tensors that are no matrices are counted, the others are named.
    fn skipped_lines(&self) -> Vec<String> {
        let (plain, named): (Vec<&Skipped>, Vec<&Skipped>) = self
            .skipped
            .iter()
            .partition(|s| s.kind == SkipKind::NotAMatrix);
        let mut lines: Vec<String> = named
            .iter()
            .map(|s| format!("skipped {}: {}", s.label, s.reason))
            .collect();
        match plain.as_slice() {
            [] => {}
            [one] => lines.push(format!("skipped {}: {}", one.label, one.reason)),
            many => lines.push(format!(
                "skipped {} tensors that are no matrices ({}, ...)",
                many.len(),
                many[0].label
            )),
        }
        lines
    }
}

/// Proved singular; an estimate of infinity is only ill-conditioned.
fn is_singular(row: &Row) -> bool {
    row.conditioning.cond.enclosure.lo().is_infinite()
}

/// What the number is worth, in the one word that matters most.
fn worth(row: &Row) -> &'static str {
    let c = &row.conditioning;
    match c.cond.certainty {
        Certainty::Certified | Certainty::Exact if c.cond.enclosure.lo().is_infinite() => {
            "singular"
        }
        other => other.as_str(),
    }
}

fn sigma_min_text(m: &Measured) -> String {
    let proved = matches!(m.certainty, Certainty::Certified | Certainty::Exact);
    if m.enclosure.is_zero() && proved {
        "0 (exact)".into()
    } else {
        value_text(&m.enclosure, 5)
    }
}

fn csv_measured(m: &Measured) -> [String; 3] {
    let json = document::measured(m);
    ["value", "lo", "hi"].map(|key| bare(&json[key]))
}

/// A JSON number or `inf` without quotes; nothing for null.
fn bare(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

fn shape_text(shape: &[usize]) -> String {
    let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
    sides.join("x")
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
