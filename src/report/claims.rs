//! `isometer claims`: one line a claim, or one claim in full with its evidence.
//!
//! ```
//! use isometer::report::claims::{Entry, Report};
//! use isometer::verify::claims::find;
//!
//! let claim = find("large-alpha-vanishes").unwrap();
//! let evidence = claim.evidence().unwrap();
//! let entry = Entry { claim, evidence };
//! assert!(entry.holds()); // the computation bears out the verdict: false
//! assert!(Report { entries: vec![entry], in_full: true }.holds());
//! ```

use super::predict::short;
use super::table::{Column, Table, csv};
use super::{Format, Style, document};
use crate::verify::claims::{Case, Claim, Evidence, Verdict};
use serde_json::{Map, Value, json};

/// A claim with the computation that was run for it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The claim.
    pub claim: Claim,
    /// What the computation found.
    pub evidence: Evidence,
}

impl Entry {
    /// Whether the computation bears the verdict out.
    pub fn holds(&self) -> bool {
        self.evidence.verdict() == Some(self.claim.verdict)
    }
}

/// Everything `isometer claims` has to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// The claims, in the order of the list.
    pub entries: Vec<Entry>,
    /// Whether one claim was asked for by name.
    pub in_full: bool,
}

/// A number of any size; infinities by name.
fn figure(x: f64) -> String {
    match x {
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "-inf".into(),
        x => short(x),
    }
}

fn case(c: &Case) -> Value {
    let mut map = Map::new();
    map.insert("case".into(), c.name.clone().into());
    map.insert("statement_agrees".into(), c.agrees.into());
    map.insert("meets_condition".into(), c.condition.into());
    for (name, value) in &c.figures {
        map.insert((*name).into(), document::number(*value));
    }
    Value::Object(map)
}

fn entry(e: &Entry) -> Value {
    let c = &e.claim;
    json!({
        "id": c.id,
        "statement": c.statement,
        "verdict": c.verdict.as_str(),
        "condition": c.condition,
        "origin": c.origin,
        "theorem": c.theorem,
        "proof": format!("proofs/{}.md", c.theorem),
        "code": c.command,
        "evidence": {
            "verdict_of_the_computation": e.evidence.verdict().map(Verdict::as_str),
            "holds": e.holds(),
            "cases": e.evidence.cases.iter().map(case).collect::<Vec<Value>>(),
        },
    })
}

impl Report {
    /// Whether every computation bears its verdict out.
    pub fn holds(&self) -> bool {
        self.entries.iter().all(Entry::holds)
    }

    /// The word used in JSON.
    pub fn verdict(&self) -> &'static str {
        if self.holds() {
            "decided"
        } else {
            "contradicted"
        }
    }

    /// The verdict for people.
    pub fn sentence(&self) -> String {
        let count = |v: Verdict| self.entries.iter().filter(|e| e.claim.verdict == v).count();
        match (
            self.entries.iter().find(|e| !e.holds()),
            self.entries.as_slice(),
        ) {
            (Some(e), _) => format!(
                "the computation of {} contradicts its verdict; this is an error in isometer.",
                e.claim.id
            ),
            (None, [one]) => match one.claim.verdict {
                Verdict::True => format!("{} is true.", one.claim.id),
                Verdict::False => format!("{} is false: {}.", one.claim.id, one.claim.condition),
                Verdict::OnlyIf => {
                    format!("{} is true only if {}.", one.claim.id, one.claim.condition)
                }
            },
            _ => format!(
                "of {} statements {} are true, {} are false and {} are true only if a condition holds; isometer claims ID shows the computation.",
                self.entries.len(),
                count(Verdict::True),
                count(Verdict::False),
                count(Verdict::OnlyIf)
            ),
        }
    }

    /// The report in a layout.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => self.csv(),
            Format::Table | Format::Markdown if self.in_full => self.full().render(format, style),
            Format::Table | Format::Markdown => self.list().render(format, style),
        }
    }

    fn json(&self) -> Map<String, Value> {
        let mut map = document::frame(Some("claims"), self.verdict(), &self.sentence());
        let claims: Vec<Value> = self.entries.iter().map(entry).collect();
        map.insert("claims".into(), claims.into());
        map
    }

    fn list(&self) -> Table {
        let rows = self.entries.iter().map(|e| {
            vec![
                e.claim.id.to_string(),
                e.claim.verdict.as_str().to_string(),
                e.claim.statement.to_string(),
            ]
        });
        Table {
            columns: vec![
                Column::text("id"),
                Column::text("verdict"),
                Column::text("statement"),
            ],
            rows: rows.collect(),
            remarks: vec![String::new()],
            verdict: format!("{}: {}", self.verdict(), self.sentence()),
            alarming: !self.holds(),
        }
    }

    fn full(&self) -> Table {
        let mut rows = Vec::new();
        let mut remarks = vec![String::new()];
        for e in &self.entries {
            for c in &e.evidence.cases {
                let figures: Vec<String> = c
                    .figures
                    .iter()
                    .map(|(name, x)| format!("{} {}", name.replace('_', " "), figure(*x)))
                    .collect();
                let says = |yes: bool| if yes { "yes" } else { "no" }.to_string();
                rows.push(vec![
                    c.name.clone(),
                    says(c.condition),
                    says(c.agrees),
                    figures.join("; "),
                ]);
            }
            let c = &e.claim;
            remarks.extend([
                format!("statement:  {}", c.statement),
                format!("believed:   {}", c.origin),
                format!("verdict:    {}", c.verdict.as_str()),
                format!(
                    "{}  {}",
                    if c.verdict == Verdict::OnlyIf {
                        "condition:"
                    } else {
                        "instead:  "
                    },
                    c.condition
                ),
                format!("theorem:    proofs/{}.md", c.theorem),
                format!("try:        {}", c.command),
            ]);
        }
        remarks.push(String::new());
        Table {
            columns: vec![
                Column::text("case"),
                Column::text("condition"),
                Column::text("statement right"),
                Column::text("computed"),
            ],
            rows,
            remarks,
            verdict: format!("{}: {}", self.verdict(), self.sentence()),
            alarming: !self.holds(),
        }
    }

    fn csv(&self) -> Vec<u8> {
        let header = ["id", "verdict", "statement", "condition", "theorem"];
        let mut records = vec![header.map(String::from).to_vec()];
        records.extend(self.entries.iter().map(|e| {
            let c = &e.claim;
            [
                c.id,
                c.verdict.as_str(),
                c.statement,
                c.condition,
                c.theorem,
            ]
            .map(String::from)
            .to_vec()
        }));
        csv(&records)
    }
}
