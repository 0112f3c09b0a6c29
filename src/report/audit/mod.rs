//! `isometer audit`: one row for each layer, the findings, the verdict.
//!
//! ```
//! use isometer::audit::checkpoint::{AuditOptions, Unobserved, audit, subjects};
//! use isometer::formats::open_bytes;
//! use isometer::report::{Format, Style, audit::{Report, Verdict}};
//!
//! let file = open_bytes("w.txt", b"1 nan\n2 3\n".to_vec()).unwrap();
//! let labels = ["w".to_string()];
//! let audit = audit(&subjects(&file, &labels), &AuditOptions::default(), &Unobserved);
//! let report = Report { audit, fail_on: vec![], notes: vec![], seconds: None };
//! assert!(report.verdict() == Verdict::Broken && report.fails());
//! assert!(String::from_utf8(report.render(Format::Table, &Style::PLAIN)).unwrap().contains("nan"));
//! ```

mod explain;
mod html;
mod json;

pub use explain::{explain, list};

use super::number::{Rounding, decimal_of_log10, value_text};
use super::table::{Column, Table, csv};
use super::{Format, Style};
use crate::audit::checkpoint::{Audit, Audited};
use crate::audit::rules::{Finding, Level};
use crate::audit::spectra::Part;
use std::collections::{BTreeMap, HashMap};

/// What a `--fail-on` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    /// Any finding of a rule.
    Rule(&'static str),
    /// Any finding at least as grave.
    Level(Level),
}

impl FailOn {
    fn hits(self, finding: &Finding) -> bool {
        match self {
            FailOn::Rule(name) => finding.rule == name,
            FailOn::Level(level) => finding.level() >= level,
        }
    }
}

/// What the findings come to. Ordered from harmless to grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing found.
    Fine,
    /// Notes only.
    Notes,
    /// Something out of line.
    Warnings,
    /// The checkpoint is broken.
    Broken,
    /// No tensor could be read.
    Unusable,
}

impl Verdict {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Fine => "fine",
            Verdict::Notes => "notes",
            Verdict::Warnings => "warnings",
            Verdict::Broken => "broken",
            Verdict::Unusable => "unusable",
        }
    }
}

/// Everything `isometer audit` has to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was found.
    pub audit: Audit,
    /// Findings that make the run a failure, besides errors.
    pub fail_on: Vec<FailOn>,
    /// Remarks about the files as a whole.
    pub notes: Vec<String>,
    /// Seconds it took; `None` where the report must not depend on it.
    pub seconds: Option<f64>,
}

/// Findings of one rule shown in a table; the rest is counted.
const SHOWN: usize = 5;

impl Report {
    /// The gravest thing found.
    pub fn verdict(&self) -> Verdict {
        let read = self.audit.tensors.iter().any(|t| t.entries.is_some());
        match self.audit.level() {
            Some(Level::Error) => Verdict::Broken,
            _ if !read && !self.audit.interrupted => Verdict::Unusable,
            Some(Level::Warning) => Verdict::Warnings,
            Some(Level::Note) => Verdict::Notes,
            None => Verdict::Fine,
        }
    }

    /// Whether the run is a failure: an error, or what the user named.
    pub fn fails(&self) -> bool {
        let named = |f: &Finding| self.fail_on.iter().any(|on| on.hits(f));
        self.verdict() == Verdict::Broken || self.audit.findings.iter().any(named)
    }

    /// What it means and what to do, in one line.
    pub fn sentence(&self) -> String {
        let tensors = self.audit.tensors.len();
        let parameters: u64 = self.audit.tensors.iter().map(|t| t.parameters).sum();
        let of = |level: Level| {
            self.audit
                .findings
                .iter()
                .filter(|f| f.level() == level)
                .count()
        };
        let checked = self
            .audit
            .tensors
            .iter()
            .filter(|t| t.entries.is_some())
            .count();
        let size = format!("{} of {}", count(checked, "tensor"), human(parameters));
        let cut = if self.audit.interrupted {
            "interrupted: "
        } else {
            ""
        };
        let depth = if self.audit.finite_only {
            " (numbers only; without --finite-only the spectra are judged, too)"
        } else {
            ""
        };
        let counts: Vec<String> = [Level::Error, Level::Warning, Level::Note]
            .into_iter()
            .filter(|l| of(*l) > 0)
            .map(|l| count(of(l), l.as_str()))
            .collect();
        match (self.verdict(), self.audit.findings.first()) {
            (Verdict::Unusable, _) if tensors == 0 => {
                "no tensor in the input: the sources hold none, or --include and --exclude left none".into()
            }
            (Verdict::Unusable, _) => {
                let why = self.audit.tensors.iter().find_map(|t| t.skipped.clone());
                format!("none of {} could be read: {}", count(tensors, "tensor"), why.unwrap_or_default())
            }
            (Verdict::Fine | Verdict::Notes, first) => {
                let notes = match first {
                    Some(_) => format!("; {}", counts.join(", ")),
                    None => String::new(),
                };
                format!("{cut}{size} parameters, all finite, none out of line{notes}{depth}.")
            }
            (_, Some(first)) if checked == 0 => format!(
                "{cut}no tensor could be read: {}; first {}: {}. To do: {}",
                counts.join(", "),
                place(first),
                first.message,
                first.remedy(),
            ),
            (_, Some(first)) => format!(
                "{cut}{} in {size} parameters; first {}: {}. To do: {}",
                counts.join(", "),
                place(first),
                first.message,
                first.remedy(),
            ),
            (_, None) => format!("{cut}{size} parameters."),
        }
    }

    /// The report in one of the layouts.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => self.json(),
            Format::Csv => self.csv(),
            Format::Table | Format::Markdown => self.table().render(format, style),
        }
    }

    fn table(&self) -> Table {
        let verdict = self.verdict();
        let columns = vec![
            Column::text("tensor"),
            Column::text("role").expendable(3),
            Column::number("shape").expendable(4),
            Column::text("dtype").expendable(6),
            Column::number("sigma_max"),
            Column::number("kappa"),
            Column::number("stable rank").expendable(2),
            Column::number("eff. rank").expendable(5),
            Column::number("x random").expendable(1),
            Column::text("findings"),
        ];
        let flags = self.flags();
        let mut rows = Vec::new();
        for t in &self.audit.tensors {
            let found = flagged(&flags, t);
            let shown = !t.parts.is_empty() || !found.is_empty();
            if !shown {
                continue;
            }
            if t.parts.is_empty() {
                rows.push(row(&t.label, t, None, found));
                continue;
            }
            for (k, part) in t.parts.iter().enumerate() {
                let label = match part.name {
                    None => t.label.clone(),
                    Some(name) => format!("  {name}"),
                };
                let found = if k == 0 { found.clone() } else { String::new() };
                rows.push(row(&label, t, Some(part), found));
            }
        }
        Table {
            columns,
            rows,
            remarks: self.remarks(&flags),
            verdict: format!("{}: {}", verdict.as_str(), self.sentence()),
            alarming: self.fails() || verdict >= Verdict::Warnings,
        }
    }

    /// Names of the rules that found something, by the label of the tensor.
    fn flags(&self) -> Flags<'_> {
        let mut flags = Flags::new();
        for f in &self.audit.findings {
            let names = flags.entry(f.tensor.as_str()).or_default();
            if names.last() != Some(&f.rule) {
                names.push(f.rule);
            }
        }
        flags
    }

    fn remarks(&self, flags: &Flags<'_>) -> Vec<String> {
        let mut out = Vec::new();
        let mut plain: BTreeMap<&str, usize> = BTreeMap::new();
        for t in &self.audit.tensors {
            if t.parts.is_empty() && t.is_finite() && !flags.contains_key(t.label.as_str()) {
                *plain.entry(t.role.as_str()).or_default() += 1;
            }
        }
        if !plain.is_empty() {
            let parts: Vec<String> = plain
                .iter()
                .map(|(role, n)| format!("{n} {role}"))
                .collect();
            let what = if self.audit.finite_only {
                "finite"
            } else {
                "finite, without a row"
            };
            out.push(format!("{what}: {}", parts.join(", ")));
        }
        for c in &self.audit.chains {
            out.push(format!(
                "chain {} .. {}, {} layers: gradients grow by at most a factor {} (slopes up to 1), as residual branches {} ({})",
                c.tensors[0],
                c.tensors[c.tensors.len() - 1],
                c.tensors.len(),
                factor(c.log10_plain),
                factor(c.log10_residual),
                c.certainty
            ));
        }
        for s in &self.audit.stacks {
            let (first, steepest) = (&s.blocks[0], s.steepest());
            out.push(format!(
                "{} blocks like {} .. {}: |W_out| |W_in| at most {} ({}); gradients grow by at most a factor {} through all of them with their skip connections (slopes up to 1, normalization and attention apart; {})",
                s.blocks.len(),
                first.input,
                first.output,
                factor(steepest.norm.log10().2),
                steepest.input,
                factor(s.log10_growth),
                s.certainty
            ));
        }
        let degraded: Vec<&str> = self
            .audit
            .tensors
            .iter()
            .flat_map(|t| &t.parts)
            .filter_map(|p| p.degraded.as_deref())
            .collect();
        if let Some(first) = degraded.first() {
            out.push(format!(
                "{}: {first}; a larger --budget does all",
                count(degraded.len(), "matrix with less than a full spectrum")
            ));
        }
        let mut by_rule: BTreeMap<(std::cmp::Reverse<Level>, &str), Vec<&Finding>> =
            BTreeMap::new();
        for f in &self.audit.findings {
            by_rule
                .entry((std::cmp::Reverse(f.level()), f.rule))
                .or_default()
                .push(f);
        }
        for ((level, rule), list) in by_rule {
            for f in list.iter().take(SHOWN) {
                out.push(format!("{} {rule}: {}: {}", level.0, place(f), f.message));
            }
            if list.len() > SHOWN {
                out.push(format!(
                    "{} {rule}: and {} more",
                    level.0,
                    list.len() - SHOWN
                ));
            }
        }
        if !self.audit.findings.is_empty() {
            out.push("isometer explain RULE tells what a finding means and what to do".into());
        }
        out
    }

    fn csv(&self) -> Vec<u8> {
        const HEADER: [&str; 22] = [
            "name",
            "part",
            "role",
            "shape",
            "dtype",
            "parameters",
            "nan",
            "inf",
            "zero",
            "subnormal",
            "first_nonfinite",
            "frobenius",
            "sigma_max",
            "sigma_min",
            "cond",
            "certainty",
            "stable_rank",
            "effective_rank",
            "log_excess",
            "log_cond_excess",
            "findings",
            "skipped",
        ];
        let flags = self.flags();
        let mut records = vec![HEADER.map(String::from).to_vec()];
        for t in &self.audit.tensors {
            let parts: Vec<Option<&Part>> = match t.parts.is_empty() {
                true => vec![None],
                false => t.parts.iter().map(Some).collect(),
            };
            for part in parts {
                records.push(record(t, part, flagged(&flags, t)));
            }
        }
        csv(&records)
    }
}

/// The factor `10^log10`, rounded up: what is said to be an upper bound stays one.
fn factor(log10: f64) -> String {
    decimal_of_log10(log10, 4, Rounding::Up)
}

/// Rules by label.
type Flags<'a> = HashMap<&'a str, Vec<&'static str>>;

fn flagged(flags: &Flags<'_>, t: &Audited) -> String {
    let names = flags.get(t.label.as_str());
    names.map_or(String::new(), |names| names.join(" "))
}

fn record(t: &Audited, part: Option<&Part>, found: String) -> Vec<String> {
    let counted = |f: fn(&crate::linalg::entries::Entries) -> u64| {
        t.entries
            .as_ref()
            .map_or(String::new(), |e| f(e).to_string())
    };
    let of = |f: &dyn Fn(&Part) -> Option<f64>| {
        part.and_then(f).map_or(String::new(), |x| x.to_string())
    };
    let linear =
        |m: &crate::linalg::condition::Measured| m.enclosure.to_linear().map(|(v, _, _)| v);
    let index = t
        .first_nonfinite()
        .map_or(String::new(), |(i, _)| join(&i, " "));
    vec![
        t.label.clone(),
        part.and_then(|p| p.name).unwrap_or_default().into(),
        t.role.as_str().into(),
        join(&t.shape, "x"),
        t.format().to_string(),
        t.parameters.to_string(),
        counted(|e| e.nan),
        counted(|e| e.inf),
        counted(|e| e.zero),
        counted(|e| e.subnormal),
        index,
        t.frobenius
            .as_ref()
            .and_then(linear)
            .map_or(String::new(), |x| x.to_string()),
        of(&|p| linear(&p.sigma_max)),
        of(&|p| linear(p.sigma_min.as_ref()?)),
        of(&|p| linear(p.cond.as_ref()?)),
        part.map_or(String::new(), |p| p.sigma_max.certainty.as_str().into()),
        of(&|p| Some(p.stable_rank)),
        of(&|p| p.effective_rank),
        of(&|p| Some(p.baseline.log_excess)),
        of(&|p| p.baseline.log_cond_excess),
        found,
        t.skipped.clone().unwrap_or_default(),
    ]
}

fn row(label: &str, t: &Audited, part: Option<&Part>, found: String) -> Vec<String> {
    let dash = || "-".to_string();
    let shape = match part {
        Some(p) if p.name.is_some() || t.parts.len() == 1 && t.shape.len() == 2 => {
            format!("{}x{}", p.rows, p.cols)
        }
        _ => join(&t.shape, "x"),
    };
    let short = |x: f64| format!("{x:.1}");
    vec![
        label.into(),
        t.role.as_str().into(),
        shape,
        t.format().to_string(),
        part.map_or_else(dash, |p| value_text(&p.sigma_max.enclosure, 4)),
        part.and_then(|p| p.cond)
            .map_or_else(dash, |c| value_text(&c.enclosure, 4)),
        part.map_or_else(dash, |p| short(p.stable_rank)),
        part.and_then(|p| p.effective_rank).map_or_else(dash, short),
        part.map_or_else(dash, |p| {
            format!("{:.2}", 10f64.powf(p.baseline.log_excess))
        }),
        found,
    ]
}

fn place(f: &Finding) -> &str {
    if f.tensor.is_empty() {
        "the checkpoint"
    } else {
        &f.tensor
    }
}

fn join<T: ToString>(list: &[T], by: &str) -> String {
    list.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(by)
}

fn count(n: usize, what: &str) -> String {
    match (n, what.strip_prefix("matrix")) {
        (1, _) => format!("1 {what}"),
        (_, Some(rest)) => format!("{n} matrices{rest}"),
        _ => format!("{n} {what}s"),
    }
}

/// 22.5 million, 1,234.
fn human(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..1_000_000 => format!("{:.0} thousand", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} million", n as f64 / 1e6),
        _ => format!("{:.2} billion", n as f64 / 1e9),
    }
}
