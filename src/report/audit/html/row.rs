//! The rows of the page: one for each matrix, one for each tensor that has none.

use super::escape;
use crate::audit::checkpoint::Audited;
use crate::audit::rules::Finding;
use crate::audit::spectra::Part;
use crate::report::audit::Report;
use crate::report::number::{Rounding, decimal, value_text};
use std::collections::HashMap;

/// A row of the table, a mark of the overview, a plot.
pub struct Row<'a> {
    /// Number in the page: the anchor is `r` with this behind.
    pub id: usize,
    /// The tensor.
    pub tensor: &'a Audited,
    /// The matrix; `None` where there is none, or none was measured.
    pub part: Option<&'a Part>,
    /// What was found in the tensor; empty for the members of a stack, whose findings stand with the whole.
    pub findings: Vec<&'a Finding>,
}

impl Row<'_> {
    /// Which member of a stack it is.
    pub fn member(&self) -> Option<&'static str> {
        self.part.and_then(|p| p.name)
    }

    /// Name of the tensor, and of the member.
    pub fn label(&self) -> String {
        let name = escape::shortened(&self.tensor.label);
        match self.member() {
            Some(member) => format!("{name} {member}"),
            None => name,
        }
    }
}

/// All rows in the order of the file.
pub fn rows(report: &Report) -> Vec<Row<'_>> {
    let mut found: HashMap<&str, Vec<&Finding>> = HashMap::new();
    for f in &report.audit.findings {
        found.entry(&f.tensor).or_default().push(f);
    }
    let mut out = Vec::new();
    for tensor in &report.audit.tensors {
        let first = out.len();
        let parts = tensor.parts.iter().map(Some);
        let parts: Vec<Option<&Part>> = match tensor.parts.is_empty() {
            true => vec![None],
            false => parts.collect(),
        };
        for part in parts {
            let id = out.len();
            let findings = match id == first {
                true => found
                    .get(tensor.label.as_str())
                    .cloned()
                    .unwrap_or_default(),
                false => Vec::new(),
            };
            out.push(Row {
                id,
                tensor,
                part,
                findings,
            });
        }
    }
    out
}

/// At most so many of the rows, those with findings first in the choice, in the order of the file; and how many are left out.
pub fn listed(mut rows: Vec<Row<'_>>, most: usize) -> (Vec<Row<'_>>, usize) {
    let all = rows.len();
    if all > most {
        let flagged = rows
            .iter()
            .filter(|r| !r.findings.is_empty())
            .count()
            .min(most);
        let mut room = [most - flagged, flagged];
        rows.retain(|r| {
            let room = &mut room[usize::from(!r.findings.is_empty())];
            let stays = *room > 0;
            *room -= usize::from(stays);
            stays
        });
    }
    let left_out = all - rows.len();
    (rows, left_out)
}

/// A number that is not negative with three digits, as the table shows it; empty where there is none.
pub fn three(x: Option<f64>) -> String {
    match x {
        Some(x) if x.is_nan() => String::new(),
        Some(x) if x < 0.0 => format!("-{}", decimal(-x, 3, Rounding::Nearest)),
        Some(x) => decimal(x, 3, Rounding::Nearest),
        None => String::new(),
    }
}

/// The largest singular value with the digits that are known, at most four.
pub fn sigma_max(p: &Part) -> String {
    value_text(&p.sigma_max.enclosure, 4)
}

/// The condition number with the digits that are known, at most four.
pub fn kappa(p: &Part) -> Option<String> {
    p.cond.map(|c| value_text(&c.enclosure, 4))
}

/// The largest singular value over the edge of the random spectrum.
pub fn times_random(p: &Part) -> f64 {
    10f64.powf(p.baseline.log_excess)
}
