//! `isometer check`: predictions beside measurements, and the verdict.
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//! use isometer::reference::monte_carlo::Control;
//! use isometer::report::{Format, Style, check::Report};
//! use isometer::verify::check::{Options, check};
//!
//! let model = Model::new(vec![4; 3], Activation::Relu);
//! let check = check(&model, &Options { samples: 300, ..Options::default() }, &Control::default()).unwrap();
//! let text = Report { model: model.to_toml(), check }.render(Format::Csv, &Style::PLAIN);
//! assert!(String::from_utf8(text).unwrap().contains("jvp.mean_ln_square"));
//! ```

use super::predict::short;
use super::table::{Column, Table, csv};
use super::{Format, Style, document};
use crate::verify::check::{Check, Ended};
use crate::verify::comparison::{Agreement, Comparison};
use crate::verify::suite::{Outcome, Suite};
use serde_json::{Map, Value, json};

/// Everything `isometer check` has to say of one model.
#[derive(Clone, Debug)]
pub struct Report {
    /// The model as TOML.
    pub model: String,
    /// What came out.
    pub check: Check,
}

/// Everything `isometer check --suite` has to say.
#[derive(Clone, Debug)]
pub struct SuiteReport {
    /// What came out.
    pub suite: Suite,
}

const HEADER: [&str; 8] = [
    "quantity",
    "predicted",
    "measured",
    "standard_error",
    "deviation",
    "p_value",
    "p_adjusted",
    "verdict",
];

fn number(x: f64) -> String {
    if x.is_nan() { "-".into() } else { short(x) }
}

fn p_text(p: f64) -> String {
    if p.is_nan() {
        "-".into()
    } else if p == 0.0 {
        "0".into()
    } else {
        format!("{p:.2e}")
    }
}

fn signed(x: f64) -> String {
    if x.is_nan() {
        "-".into()
    } else {
        format!("{x:+.2}")
    }
}

fn comparison_json(c: &Comparison) -> Value {
    json!({
        "quantity": c.quantity,
        "predicted": document::number(c.predicted),
        "measured": document::number(c.measured),
        "standard_error": document::number(c.standard_error),
        "deviation": document::number(c.deviation),
        "p_value": document::number(c.p_value),
        "p_adjusted": document::number(c.p_adjusted),
        "certainty": c.certainty.as_str(),
        "verdict": c.verdict.as_str(),
        "note": c.note,
    })
}

fn record(c: &Comparison) -> Vec<String> {
    let text = |x: f64| {
        if x.is_nan() {
            String::new()
        } else {
            format!("{x}")
        }
    };
    vec![
        c.quantity.clone(),
        text(c.predicted),
        text(c.measured),
        text(c.standard_error),
        text(c.deviation),
        text(c.p_value),
        text(c.p_adjusted),
        c.verdict.as_str().into(),
    ]
}

fn row(c: &Comparison) -> Vec<String> {
    vec![
        c.quantity.clone(),
        number(c.predicted),
        number(c.measured),
        number(c.standard_error),
        signed(c.deviation),
        p_text(c.p_value),
        c.verdict.as_str().into(),
    ]
}

fn columns(first: &'static str) -> Vec<Column> {
    vec![
        Column::text(first),
        Column::number("predicted"),
        Column::number("measured"),
        Column::number("std. error").expendable(2),
        Column::number("deviation"),
        Column::number("p").expendable(1),
        Column::text("verdict"),
    ]
}

fn word(disagrees: bool) -> &'static str {
    if disagrees { "disagrees" } else { "agrees" }
}

/// The deviation in words: standard errors, or certainty.
fn deviation(c: &Comparison) -> String {
    if c.deviation.is_infinite() {
        "beyond any chance".into()
    } else {
        format!("{:.1} standard errors", c.deviation.abs())
    }
}

impl Report {
    /// The report in a layout.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => {
                let mut records = vec![HEADER.map(String::from).to_vec()];
                records.extend(self.check.comparisons.iter().map(record));
                csv(&records)
            }
            Format::Table | Format::Markdown => self.table().render(format, style),
        }
    }

    fn sentence(&self) -> String {
        let c = &self.check;
        let tested = c.comparisons.iter().filter(|c| !c.p_value.is_nan()).count();
        let Some(worst) = c.worst() else {
            return format!(
                "none of {} predictions could be tested on {} networks; the notes say why",
                c.comparisons.len(),
                c.samples
            );
        };
        if c.disagrees() {
            let count = c
                .comparisons
                .iter()
                .filter(|c| c.verdict == Agreement::Disagrees)
                .count();
            return format!(
                "{count} of {tested} predictions deviate from {} networks by more than chance, {} the most, by {}; a right prediction is blamed with probability at most {:.1e}",
                c.samples,
                worst.quantity,
                deviation(worst),
                c.alpha
            );
        }
        format!(
            "{tested} predictions hold on {} networks; the largest deviation, of {}, is {}, which is chance among so many",
            c.samples,
            worst.quantity,
            deviation(worst)
        )
    }

    fn json(&self) -> Map<String, Value> {
        let c = &self.check;
        let mut map = document::frame(Some("check"), word(c.disagrees()), &self.sentence());
        map.insert("model".into(), self.model.clone().into());
        map.insert("samples".into(), c.samples.into());
        map.insert("requested".into(), c.requested.into());
        map.insert(
            "ended".into(),
            match c.ended {
                Ended::Complete => "complete",
                Ended::Disproved => "disproved",
                Ended::Cancelled => "cancelled",
            }
            .into(),
        );
        map.insert("confidence".into(), document::number(1.0 - c.alpha));
        map.insert("alpha_at_look".into(), document::number(c.alpha_at_look));
        map.insert("sampler".into(), c.method.as_str().into());
        map.insert("seed".into(), c.seed.into());
        map.insert(
            "comparisons".into(),
            c.comparisons.iter().map(comparison_json).collect(),
        );
        map
    }

    fn table(&self) -> Table {
        let c = &self.check;
        let mut remarks = vec![
            String::new(),
            "ln_square: natural log of a squared norm, given that it is not zero. deviation: standard errors, by the p-value.".into(),
            format!("networks drawn by {} sampler, seed {}", c.method.as_str(), c.seed),
        ];
        match c.ended {
            Ended::Complete => {}
            Ended::Disproved => remarks.push(format!(
                "ended after {} of {} networks: the disagreement is proved at the level set aside for this look",
                c.samples, c.requested
            )),
            Ended::Cancelled => remarks.push(format!(
                "ended by request after {} of {} networks",
                c.samples, c.requested
            )),
        }
        for comparison in &c.comparisons {
            // a general remark is said by the column already
            let telling = comparison.verdict != Agreement::Agrees
                || comparison.certainty == crate::scale::Certainty::Asymptotic
                || comparison.quantity.contains("ln_moment");
            if let (Some(note), true) = (&comparison.note, telling) {
                remarks.push(format!("{}: {note}", comparison.quantity));
            }
        }
        remarks.push(String::new());
        Table {
            columns: columns("quantity"),
            rows: c.comparisons.iter().map(row).collect(),
            remarks,
            verdict: format!("{}: {}", word(c.disagrees()), self.sentence()),
            alarming: c.disagrees(),
        }
    }
}

impl SuiteReport {
    /// The report in a layout.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => {
                let mut header = vec!["case".to_string()];
                header.extend(HEADER.map(String::from));
                let mut records = vec![header];
                for outcome in &self.suite.outcomes {
                    for c in &outcome.comparisons {
                        let mut fields = vec![outcome.name.to_string()];
                        fields.extend(record(c));
                        records.push(fields);
                    }
                }
                csv(&records)
            }
            Format::Table | Format::Markdown => self.table().render(format, style),
        }
    }

    fn tested(&self) -> usize {
        let all = self.suite.outcomes.iter().flat_map(|o| &o.comparisons);
        all.filter(|c| !c.p_value.is_nan()).count()
    }

    fn sentence(&self) -> String {
        let s = &self.suite;
        let bad: Vec<&str> = s
            .outcomes
            .iter()
            .filter(|o| o.disagrees())
            .map(|o| o.name)
            .collect();
        let ended = if s.outcomes.len() < s.cases {
            format!(
                " (ended by request before the other {})",
                s.cases - s.outcomes.len()
            )
        } else {
            String::new()
        };
        if bad.is_empty() {
            format!(
                "{} predictions hold for {} networks{ended}; a false alarm anywhere has probability at most {:.1e}",
                self.tested(),
                s.outcomes.len(),
                s.alpha
            )
        } else {
            format!(
                "predictions fail for {}{ended}; look at each with isometer check and its model",
                bad.join("; ")
            )
        }
    }

    fn json(&self) -> Map<String, Value> {
        let s = &self.suite;
        let mut map = document::frame(Some("check"), word(s.disagrees()), &self.sentence());
        map.insert("confidence".into(), document::number(1.0 - s.alpha));
        map.insert("seed".into(), s.seed.into());
        let named = |outcome: &Outcome, c: &Comparison| {
            let mut value = comparison_json(c);
            if let Value::Object(entry) = &mut value {
                entry.insert("case".into(), outcome.name.into());
            }
            value
        };
        let cases = s.outcomes.iter().map(|o| {
            json!({
                "case": o.name,
                "samples": o.samples,
                "sampler": o.method.as_str(),
                "compared": o.comparisons.len(),
                "worst": o.worst().map(|c| c.quantity.clone()),
                "verdict": word(o.disagrees()),
            })
        });
        map.insert("suite".into(), cases.collect());
        let all = s
            .outcomes
            .iter()
            .flat_map(|o| o.comparisons.iter().map(move |c| named(o, c)));
        map.insert("comparisons".into(), all.collect());
        map
    }

    fn table(&self) -> Table {
        let rows = self
            .suite
            .outcomes
            .iter()
            .map(|o| {
                let tested = o.comparisons.iter().filter(|c| !c.p_value.is_nan()).count();
                let worst = o.worst();
                vec![
                    o.name.to_string(),
                    o.samples.to_string(),
                    o.method.as_str().into(),
                    tested.to_string(),
                    worst.map_or("-".into(), |c| c.quantity.clone()),
                    worst.map_or("-".into(), |c| signed(c.deviation)),
                    worst.map_or("-".into(), |c| p_text(c.p_adjusted)),
                    word(o.disagrees()).into(),
                ]
            })
            .collect();
        Table {
            columns: vec![
                Column::text("network"),
                Column::number("samples"),
                Column::text("sampler").expendable(2),
                Column::number("tested"),
                Column::text("largest deviation").expendable(1),
                Column::number("std. errors"),
                Column::number("adjusted p"),
                Column::text("verdict"),
            ],
            rows,
            remarks: vec![String::new()],
            verdict: format!("{}: {}", word(self.suite.disagrees()), self.sentence()),
            alarming: self.suite.disagrees(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Model;
    use crate::network::activation::Activation;
    use crate::reference::monte_carlo::Control;
    use crate::verify::check::{Options, check};

    fn report() -> Report {
        let model = Model::new(vec![4, 4], Activation::Relu);
        let options = Options {
            samples: 200,
            ..Options::default()
        };
        let check = check(&model, &options, &Control::default()).unwrap();
        Report {
            model: model.to_toml(),
            check,
        }
    }

    fn text(report: &Report, format: Format) -> String {
        String::from_utf8(report.render(format, &Style::PLAIN)).unwrap()
    }

    #[test]
    fn the_document_has_its_keys() {
        let value: Value = serde_json::from_str(&text(&report(), Format::Json)).unwrap();
        assert_eq!(value["verdict"], "agrees");
        assert_eq!(value["command"], "check");
        let first = &value["comparisons"][0];
        for key in [
            "quantity",
            "predicted",
            "measured",
            "standard_error",
            "p_value",
            "verdict",
        ] {
            assert!(first.get(key).is_some(), "{key}");
        }
    }

    #[test]
    fn tables_end_with_the_verdict_and_say_by_how_much() {
        let mut report = report();
        assert!(
            text(&report, Format::Table)
                .lines()
                .last()
                .unwrap()
                .starts_with("agrees: ")
        );
        report.check.comparisons[1].verdict = Agreement::Disagrees;
        report.check.comparisons[1].deviation = -7.25;
        report.check.comparisons[1].p_value = 0.0;
        let table = text(&report, Format::Table);
        let last = table.lines().last().unwrap();
        assert!(
            last.starts_with("disagrees: 1 of ") && last.contains("7.2 standard errors"),
            "{last}"
        );
        assert_eq!(
            text(&report, Format::Csv).lines().count(),
            1 + report.check.comparisons.len()
        );
    }
}
