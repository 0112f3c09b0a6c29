//! The audit as one page that needs nothing else: it opens from a file, asks no network, and reads without a script.

mod escape;
mod overview;
mod row;
mod spectra;
mod table;
#[cfg(test)]
mod tests;

use super::{Report, Verdict, count, human};
use crate::audit::rules::{Finding, Level, rule};
use row::{Row, listed, rows};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Findings of one rule that are listed at once; more are folded away.
const LISTED: usize = 20;

/// Most findings of one rule on the page, and most rows of its table: at a kilobyte and a half for a row no browser is pleasant with more.
const MOST: usize = 10_000;

impl Report {
    /// A page of HTML with everything in it: verdict, findings, an overview plot, a table of all matrices, and their singular values.
    ///
    /// Names are taken for hostile: they are escaped wherever they stand, and the policy in the head lets run only what carries its mark,
    /// so that no attribute could start a script.
    pub fn html(&self) -> Vec<u8> {
        let rows = rows(self);
        let title = escape::text(&self.subject());
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'nonce-isometer'; script-src 'nonce-isometer'; base-uri 'none'; form-action 'none'\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<meta name=\"color-scheme\" content=\"light dark\"/>\n\
             <meta name=\"generator\" content=\"isometer {}\"/>\n\
             <title>Audit of {title}</title>\n<style nonce=\"isometer\">\n{STYLE}</style>\n</head>\n<body>\n",
            env!("CARGO_PKG_VERSION")
        );
        let _ = writeln!(
            out,
            "<header><button type=\"button\" id=\"theme\" hidden>Dark</button>\n<h1>Audit of <bdi>{title}</bdi></h1>\n{}</header>\n<main>",
            self.verdict_html()
        );
        out.push_str(&self.counts_html(&rows));
        let (rows, left_out) = listed(rows, MOST);
        self.findings_html(&rows, &mut out);
        if let Some(figure) = overview::figure(&rows) {
            let _ = write!(
                out,
                "<section aria-labelledby=\"h-overview\">\n<h2 id=\"h-overview\">Overview</h2>\n<figure>\n{figure}\
                 <figcaption>Every matrix of the file, members of stacked weights after the whole. A mark leads to its row.</figcaption>\n</figure>\n</section>\n"
            );
        }
        if !rows.is_empty() {
            let about = match self.audit.finite_only {
                true => "Counts over the numbers of every tensor.",
                false => {
                    "One row for each matrix, members of stacked weights after the whole; tensors without a matrix keep a row without spectrum."
                }
            };
            let cut = match left_out {
                0 => String::new(),
                n => format!(
                    "<strong>{n} of {} rows are left out,</strong> those without a finding first; <code>isometer audit FILE --format csv</code> has all. ",
                    n + rows.len()
                ),
            };
            let _ = write!(
                out,
                "<section aria-labelledby=\"h-table\">\n<h2 id=\"h-table\">Tensors</h2>\n<p>{about} {cut}<span id=\"how\" hidden>Headings sort; a name opens details.</span></p>\n\
                 <noscript><p>Sorting, search, and plots of singular values need JavaScript; everything else is on the page.</p></noscript>\n{}</section>\n",
                table::table(&rows, self.audit.finite_only, self.audit.interrupted)
            );
        }
        out.push_str(NOTATION);
        let _ = write!(
            out,
            "</main>\n<footer><p>isometer {} audit. Numbers are estimates with predicted errors unless marked certified; \
             <code>isometer explain RULE</code> tells more about a rule.</p></footer>\n",
            env!("CARGO_PKG_VERSION")
        );
        let mut data = spectra::Data::default();
        rows.iter().for_each(|r| data.add(r));
        let _ = write!(
            out,
            "<script type=\"application/json\" id=\"data\">{}</script>\n<script nonce=\"isometer\">\n{SCRIPT}</script>\n</body>\n</html>\n",
            escape::json(&data.value())
        );
        out.into_bytes()
    }

    /// The files, in a few words.
    fn subject(&self) -> String {
        let mut files: Vec<&str> = Vec::new();
        for t in &self.audit.tensors {
            let end = format!("::{}", t.name);
            let file = t
                .source
                .find(&end)
                .map_or(t.source.as_str(), |at| &t.source[..at]);
            if files.last() != Some(&file) && !files.contains(&file) {
                files.push(file);
            }
        }
        let short = |f: &str| f.rsplit(['/', '\\']).next().unwrap_or(f).to_string();
        match files[..] {
            [] => match self.audit.findings.first() {
                Some(damaged) if !damaged.tensor.is_empty() => {
                    escape::shortened(&short(&damaged.tensor))
                }
                _ => "an empty checkpoint".into(),
            },
            [one] => escape::shortened(&short(one)),
            [first, ..] => format!(
                "{} and {}",
                escape::shortened(&short(first)),
                count(files.len() - 1, "other file")
            ),
        }
    }

    fn verdict_html(&self) -> String {
        let verdict = self.verdict();
        let class = match verdict {
            Verdict::Fine | Verdict::Notes => "fine",
            Verdict::Warnings => "warning",
            Verdict::Broken | Verdict::Unusable => "error",
        };
        let mut sentence = escape::text(&self.sentence());
        if let Some(first) = sentence.get(..1).map(str::to_uppercase) {
            sentence.replace_range(..1, &first);
        }
        let cut = match self.audit.interrupted {
            true => {
                "<p><strong>The audit was interrupted:</strong> tensors marked &ldquo;not reached&rdquo; were not looked at, and others may lack their spectrum.</p>\n"
            }
            false => "",
        };
        format!(
            "<div class=\"verdict {class}\"><p><strong>{}</strong></p><p>{sentence}</p></div>\n{cut}",
            verdict.as_str()
        )
    }

    fn counts_html(&self, rows: &[Row<'_>]) -> String {
        let a = &self.audit;
        let of = |level: Level| a.findings.iter().filter(|f| f.level() == level).count();
        let read = a.tensors.iter().filter(|t| t.entries.is_some()).count();
        let parameters: u64 = a.tensors.iter().map(|t| t.parameters).sum();
        let tensors = match read == a.tensors.len() {
            true => read.to_string(),
            false => format!("{read} of {} read", a.tensors.len()),
        };
        let matrices = rows
            .iter()
            .filter(|r| r.part.is_some() && r.member().is_none())
            .count();
        let mut list = vec![("tensors", tensors)];
        if !a.finite_only {
            list.push(("matrices", matrices.to_string()));
        }
        list.extend([
            ("parameters", human(parameters)),
            ("numbers", bytes(a.bytes)),
            ("errors", of(Level::Error).to_string()),
            ("warnings", of(Level::Warning).to_string()),
            ("notes", of(Level::Note).to_string()),
        ]);
        if let Some(s) = self.seconds {
            list.push(("time", format!("{s:.1} s")));
        }
        let mut out = String::from("<dl class=\"counts\">");
        for (name, value) in list {
            let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        }
        out.push_str("</dl>\n");
        if !self.notes.is_empty() {
            out.push_str("<ul>");
            for note in &self.notes {
                let _ = write!(out, "<li>{}</li>", escape::text(note));
            }
            out.push_str("</ul>\n");
        }
        out
    }

    fn findings_html(&self, rows: &[Row<'_>], out: &mut String) {
        out.push_str(
            "<section aria-labelledby=\"h-findings\">\n<h2 id=\"h-findings\">Findings</h2>\n",
        );
        if self.audit.findings.is_empty() {
            let text = match self.verdict() {
                Verdict::Unusable => "Nothing could be read.",
                _ => "None.",
            };
            let _ = writeln!(out, "<p>{text}</p>");
        }
        let mut first: HashMap<&str, usize> = HashMap::new();
        for r in rows {
            first.entry(&r.tensor.label).or_insert(r.id);
        }
        let mut groups: BTreeMap<(std::cmp::Reverse<Level>, &str), Vec<&Finding>> = BTreeMap::new();
        for f in &self.audit.findings {
            groups
                .entry((std::cmp::Reverse(f.level()), f.rule))
                .or_default()
                .push(f);
        }
        for ((level, name), list) in groups {
            let level = level.0;
            let _ = writeln!(
                out,
                "<section class=\"rule {level}\" id=\"rule-{name}\">\n<h3><span class=\"level\">{level}</span> {name} <span class=\"many\">{}</span></h3>",
                if list.len() == 1 {
                    "1 finding".into()
                } else {
                    format!("{} findings", list.len())
                }
            );
            let (now, later) = list.split_at(list.len().min(LISTED));
            items(out, now, &first);
            let (later, beyond) = later.split_at(later.len().min(MOST));
            if !later.is_empty() {
                let _ = writeln!(out, "<details><summary>{} more</summary>", later.len());
                items(out, later, &first);
                out.push_str("</details>\n");
            }
            if !beyond.is_empty() {
                let _ = writeln!(
                    out,
                    "<p>{} more are in <code>isometer audit FILE --json</code>.</p>",
                    beyond.len()
                );
            }
            if let Some(r) = rule(name) {
                let remedy = match list[..] {
                    [only] => escape::text(&only.remedy()),
                    _ => escape::text(r.remedy).replace("TENSOR", "<var>TENSOR</var>"),
                };
                let _ = writeln!(
                    out,
                    "<p><i>What follows.</i> {}</p>\n<p><i>To do.</i> {remedy}</p>",
                    escape::text(r.consequence)
                );
            }
            out.push_str("</section>\n");
        }
        out.push_str("</section>\n");
    }
}

fn items(out: &mut String, list: &[&Finding], first: &HashMap<&str, usize>) {
    out.push_str("<ul>\n");
    for f in list {
        let name = escape::text(&escape::shortened(&f.tensor));
        let place = match first.get(f.tensor.as_str()) {
            Some(id) => format!("<a href=\"#r{id}\"><bdi>{name}</bdi></a>"),
            None if f.tensor.is_empty() => "the checkpoint".into(),
            None => format!("<bdi>{name}</bdi>"),
        };
        let _ = writeln!(out, "<li>{place}: {}</li>", escape::text(&f.message));
    }
    out.push_str("</ul>\n");
}

/// 1.24 MB.
fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

const NOTATION: &str = "\
<section aria-labelledby=\"h-notation\">
<h2 id=\"h-notation\">Notation</h2>
<dl class=\"notation\">
<dt>&sigma;<sub>max</sub>, &kappa;</dt><dd>Largest singular value of the matrix, one row for each unit; its ratio to the smallest of min(rows, columns).</dd>
<dt>stable rank</dt><dd>Squared Frobenius norm over squared &sigma;<sub>max</sub>.</dd>
<dt>effective rank</dt><dd>Exponential of the entropy of the singular values, scaled to sum to 1.</dd>
<dt>&times; random</dt><dd>&sigma;<sub>max</sub> over the edge of the spectrum of a random matrix of the same shape and Frobenius norm.</dd>
<dt>MP dist.</dt><dd>Largest gap between the distribution of the singular values and the law of Marchenko and Pastur for that shape: 0 for a large random matrix, at most 1.</dd>
<dt>&alpha; Kaiming</dt><dd>Standard deviation of the entries over that of kaiming_normal with ReLU: the multiplier that would have given it.</dd>
<dt>initializers</dt><dd>Laws of common initializers that the mean, spread and kurtosis of the entries agree with.</dd>
<dt>int8 error</dt><dd>Relative Frobenius error of rounding to 8-bit integers with one scale.</dd>
</dl>
</section>
";
