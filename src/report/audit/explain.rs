//! `isometer explain`: what a rule finds, what follows, what to do.

use crate::audit::rules::{RULES, Rule};
use crate::report::table::{Column, Table};
use crate::report::{Format, Style, document};
use serde_json::{Value, json};

fn value(r: &Rule) -> Value {
    json!({
        "rule": r.name,
        "level": r.level.as_str(),
        "finds": r.finds,
        "threshold": r.threshold.map(|(t, unit)| json!({"value": t, "unit": unit})),
        "consequence": r.consequence,
        "remedy": r.remedy,
    })
}

/// One rule in full.
///
/// # Examples
/// ```
/// use isometer::{audit::rules::rule, report::{Format, audit::explain}};
/// let text = String::from_utf8(explain(rule("nan").unwrap(), Format::Table)).unwrap();
/// assert!(text.contains("NaN") && text.contains("--finite-only")); // what to do
/// ```
pub fn explain(r: &Rule, format: Format) -> Vec<u8> {
    if format == Format::Json {
        let mut map = document::frame(Some("explain"), r.level.as_str(), r.consequence);
        map.insert("rules".into(), vec![value(r)].into());
        return document::bytes(map);
    }
    let threshold = r.threshold.map_or(String::new(), |(t, unit)| {
        format!("\nThreshold: {t} {unit}; change it with --fail-on {}=T, which also makes it a failure.", r.name)
    });
    format!(
        "{} ({}): {}.\n\n{}{threshold}\nTo do: {}\nTo silence it: --ignore {}\n",
        r.name, r.level, r.finds, r.consequence, r.remedy, r.name
    )
    .into_bytes()
}

/// All rules in a line each.
pub fn list(format: Format, style: &Style) -> Vec<u8> {
    if format == Format::Json {
        let sentence = format!("{} rules", RULES.len());
        let mut map = document::frame(Some("explain"), "listed", &sentence);
        map.insert("rules".into(), RULES.iter().map(value).collect());
        return document::bytes(map);
    }
    let row = |r: &Rule| {
        let threshold = r.threshold.map_or(String::new(), |(t, _)| t.to_string());
        vec![
            r.name.to_string(),
            r.level.to_string(),
            threshold,
            r.finds.to_string(),
        ]
    };
    if format == Format::Csv {
        let header = ["rule", "level", "threshold", "finds"]
            .map(String::from)
            .to_vec();
        let records: Vec<Vec<String>> = std::iter::once(header)
            .chain(RULES.iter().map(row))
            .collect();
        return crate::report::table::csv(&records);
    }
    Table {
        columns: vec![
            Column::text("rule"),
            Column::text("level"),
            Column::number("threshold").expendable(1),
            Column::text("finds"),
        ],
        rows: RULES.iter().map(row).collect(),
        remarks: Vec::new(),
        verdict: "isometer explain RULE tells what follows and what to do; isometer audit --fail-on RULE[=THRESHOLD] makes it a failure".into(),
        alarming: false,
    }
    .render(format, style)
}
