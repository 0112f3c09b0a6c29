//! The table of the page.

use super::escape;
use super::row::{Row, kappa, sigma_max, three, times_random};
use crate::audit::checkpoint::Audited;
use crate::report::audit::join;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Characters of a name that stay on one line.
const ONE_LINE: usize = 44;

/// A column: heading, what it means, whether it is a number, its text as HTML.
struct Column {
    heading: &'static str,
    meaning: &'static str,
    kind: &'static str,
    cell: fn(&Row<'_>) -> String,
}

const fn column(
    heading: &'static str,
    meaning: &'static str,
    kind: &'static str,
    cell: fn(&Row<'_>) -> String,
) -> Column {
    Column {
        heading,
        meaning,
        kind,
        cell,
    }
}

const DESCRIBED: [Column; 3] = [
    column(
        "role",
        "what the tensor is for, told from its name and shape",
        "",
        |r| r.tensor.role.as_str().into(),
    ),
    column(
        "shape",
        "as stored; of the member for members of a stack",
        "shape",
        shape,
    ),
    column("dtype", "number format", "", |r| {
        escape::text(r.tensor.format())
    }),
];

const SPECTRAL: [Column; 10] = [
    column(
        "&sigma;<sub>max</sub>",
        "largest singular value",
        "n",
        |r| {
            r.part
                .map_or(String::new(), |p| escape::text(&sigma_max(p)))
        },
    ),
    column(
        "&kappa;",
        "condition number: largest over smallest singular value",
        "n",
        |r| escape::text(&r.part.and_then(kappa).unwrap_or_default()),
    ),
    column(
        "stable rank",
        "squared Frobenius norm over squared largest singular value",
        "n",
        |r| three(r.part.map(|p| p.stable_rank)),
    ),
    column(
        "eff. rank",
        "exponential of the entropy of the singular values",
        "n",
        |r| three(r.part.and_then(|p| p.effective_rank)),
    ),
    column(
        "&times; random",
        "largest singular value over the edge of the random spectrum",
        "n",
        |r| three(r.part.map(times_random)),
    ),
    column(
        "MP dist.",
        "Kolmogorov distance of the singular values from the law of Marchenko and Pastur",
        "n",
        |r| three(r.part.and_then(|p| p.baseline.distance)),
    ),
    column("std", "standard deviation of the entries", "n", |r| {
        of_whole(r, |t| t.lines.as_ref().map(|l| l.std))
    }),
    column(
        "&alpha; Kaiming",
        "standard deviation over that of kaiming_normal with ReLU",
        "n",
        |r| of_whole(r, |t| t.scale.as_ref().map(|s| s.alpha_kaiming)),
    ),
    column(
        "initializers",
        "initializers the entries could still be draws of",
        "wide",
        |r| match (&r.tensor.scale, r.member()) {
            (Some(s), None) => escape::text(&s.initializers.join(", ")),
            _ => String::new(),
        },
    ),
    column(
        "int8 error",
        "relative error of rounding to 8-bit integers with one scale",
        "n",
        |r| of_whole(r, |t| t.lines.as_ref().map(|l| l.int8_error)),
    ),
];

const COUNTED: [Column; 6] = [
    column("parameters", "number of entries", "n", |r| {
        r.tensor.parameters.to_string()
    }),
    column("NaN", "entries that are NaN", "n", |r| {
        counted(r, |e| e.nan)
    }),
    column("infinite", "infinite entries", "n", |r| {
        counted(r, |e| e.inf)
    }),
    column("zero", "entries that are zero", "n", |r| {
        counted(r, |e| e.zero)
    }),
    column(
        "subnormal",
        "entries that are subnormal in their format",
        "n",
        |r| counted(r, |e| e.subnormal),
    ),
    column("largest", "largest magnitude of a finite entry", "n", |r| {
        three(r.tensor.entries.map(|e| e.largest))
    }),
];

fn counted(row: &Row<'_>, f: fn(&crate::linalg::entries::Entries) -> u64) -> String {
    row.tensor
        .entries
        .as_ref()
        .map_or(String::new(), |e| f(e).to_string())
}

/// A number that belongs to the tensor and not to a member of it.
fn of_whole(row: &Row<'_>, f: fn(&Audited) -> Option<f64>) -> String {
    match row.member() {
        None => three(f(row.tensor)),
        Some(_) => String::new(),
    }
}

fn shape(row: &Row<'_>) -> String {
    match row.part {
        Some(p) if p.name.is_some() => format!("{}&times;{}", p.rows, p.cols),
        _ => join(&row.tensor.shape, "&times;"),
    }
}

/// Rules that found something, each a link to its section; why nothing is known where nothing is.
fn findings(row: &Row<'_>, interrupted: bool) -> String {
    let mut out = String::new();
    let mut last = "";
    for f in &row.findings {
        if f.rule != last {
            let space = if last.is_empty() { "" } else { " " };
            let _ = write!(
                out,
                "{space}<a class=\"{}\" href=\"#rule-{}\">{}</a>",
                f.level(),
                f.rule,
                f.rule
            );
            last = f.rule;
        }
    }
    let t = row.tensor;
    let why = match &t.skipped {
        Some(why) => Some(format!(
            "not read: {}",
            escape::text(&escape::shortened(why))
        )),
        None if t.entries.is_none() && interrupted => Some("not reached".into()),
        None => None,
    };
    if let Some(why) = why.filter(|_| row.member().is_none()) {
        let space = if out.is_empty() { "" } else { " " };
        let _ = write!(out, "{space}<span class=\"why\">{why}</span>");
    }
    out
}

/// The controls, and the table in a container of its own that scrolls.
pub fn table(rows: &[Row<'_>], finite_only: bool, interrupted: bool) -> String {
    let measured: &[Column] = if finite_only { &COUNTED } else { &SPECTRAL };
    let columns: Vec<&Column> = DESCRIBED.iter().chain(measured).collect();
    let mut out = controls(rows);
    out.push_str("<div class=\"scroll table\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-table\">\n<table>\n<thead><tr><th scope=\"col\">tensor</th>");
    for c in &columns {
        let _ = write!(
            out,
            "<th scope=\"col\"{} title=\"{}\">{}</th>",
            class(c.kind),
            c.meaning,
            c.heading
        );
    }
    out.push_str("<th scope=\"col\" class=\"wide\">findings</th></tr></thead>\n<tbody>\n");
    for row in rows {
        let mut tokens: BTreeSet<&str> = BTreeSet::new();
        for f in &row.findings {
            tokens.extend([f.level().as_str(), f.rule]);
        }
        let _ = write!(out, "<tr id=\"r{}\"", row.id);
        if !tokens.is_empty() {
            let _ = write!(
                out,
                " data-found=\"{}\"",
                tokens.into_iter().collect::<Vec<_>>().join(" ")
            );
        }
        if row.member().is_some() {
            out.push_str(" class=\"member\"");
        }
        out.push_str("><th scope=\"row\"");
        let short = escape::shortened(&row.tensor.label);
        if short.chars().count() > ONE_LINE {
            out.push_str(" class=\"long\"");
        }
        if short != row.tensor.label {
            let _ = write!(out, " title=\"{}\"", escape::text(&row.tensor.label));
        }
        let _ = write!(out, "><bdi>{}</bdi>", escape::text(&short));
        if let Some(member) = row.member() {
            let _ = write!(out, " <b>{member}</b>");
        }
        out.push_str("</th>");
        for c in &columns {
            let _ = write!(out, "<td{}>{}</td>", class(c.kind), (c.cell)(row));
        }
        let _ = writeln!(
            out,
            "<td class=\"wide\">{}</td></tr>",
            findings(row, interrupted)
        );
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    out
}

fn class(kind: &str) -> String {
    match kind {
        "" => String::new(),
        _ => format!(" class=\"{kind}\""),
    }
}

/// Search and filters; the script shows them.
fn controls(rows: &[Row<'_>]) -> String {
    let roles: BTreeSet<&str> = rows.iter().map(|r| r.tensor.role.as_str()).collect();
    let rules: BTreeSet<&str> = rows
        .iter()
        .flat_map(|r| &r.findings)
        .map(|f| f.rule)
        .collect();
    let options = |names: BTreeSet<&str>| -> String {
        names
            .iter()
            .map(|n| format!("<option>{n}</option>"))
            .collect()
    };
    format!(
        "<form class=\"controls\" id=\"controls\" hidden>\
         <label>Name <input type=\"search\" id=\"search\" size=\"24\" autocomplete=\"off\" spellcheck=\"false\" placeholder=\"part of a name\"/></label>\
         <label>Role <select id=\"role\"><option value=\"\">all</option>{}</select></label>\
         <label>Findings <select id=\"found\"><option value=\"\">all rows</option><option value=\"*\">any finding</option>\
         <option>error</option><option>warning</option><option>note</option>{}</select></label>\
         <output id=\"count\" aria-live=\"polite\"></output></form>\n",
        options(roles),
        options(rules)
    )
}
