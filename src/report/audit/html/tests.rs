//! The page of audits that are put together by hand: what is on it, how large it is, and that it is well-formed.

use super::row::rows;
use crate::audit::checkpoint::{Audit, Audited};
use crate::audit::roles::{Gates, KernelLayout, Orientation, Role};
use crate::audit::rules::Finding;
use crate::audit::spectra::{Part, from_spectrum};
use crate::linalg::condition::Measured;
use crate::linalg::norms;
use crate::linalg::spectrum::spectrum;
use crate::linalg::view::MatrixRef;
use crate::report::audit::Report;
use crate::report::text::visible;
use crate::report::{Format, Style};
use crate::scale::Certainty;
use serde_json::Value;

/// Elements that have no end.
const VOID: [&str; 2] = ["meta", "input"];

/// What is between the tags, and the stack of open elements must come out empty; the content of scripts and styles is skipped.
fn check_balanced(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        // no attribute holds an unescaped >
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "before {:.80}", rest);
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()), "{tag}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if tag.ends_with('/') || VOID.contains(&name) {
            continue;
        }
        open.push(name);
        if name == "script" || name == "style" {
            let close = rest.find("</").expect("an end");
            rest = &rest[close..];
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// A diagonal matrix, whose singular values are known.
fn part(name: Option<&'static str>, n: usize, value: impl Fn(usize) -> f64) -> Part {
    let mut x = vec![0.0; n * n];
    (0..n).for_each(|i| x[i * n + i] = value(i));
    let a = MatrixRef::row_major(&x, n, n).unwrap();
    let frobenius = Measured {
        enclosure: norms::frobenius(&a).unwrap(),
        certainty: Certainty::Certified,
    };
    from_spectrum(name, spectrum(&a, a.max_component()).unwrap(), frobenius)
}

fn tensor(label: &str, role: Role, parts: Vec<Part>) -> Audited {
    Audited {
        label: label.into(),
        source: format!("dir/model.safetensors::{label}"),
        name: label.into(),
        shape: vec![4, 4],
        dtype: "F32".into(),
        parameters: 16,
        role,
        entries: None,
        frobenius: None,
        parts,
        lines: None,
        scale: None,
        scales: None,
        skipped: None,
        damaged: false,
        element: None,
        lowest: None,
        unindexed: false,
    }
}

fn report(tensors: Vec<Audited>, findings: Vec<Finding>) -> Report {
    Report {
        audit: Audit {
            tensors,
            findings,
            ..Audit::default()
        },
        fail_on: Vec::new(),
        notes: Vec::new(),
        seconds: None,
    }
}

fn page(report: &Report) -> String {
    let page = String::from_utf8(report.html()).unwrap();
    check_balanced(&page);
    page
}

const MATRIX: Role = Role::Matrix(Orientation::OutIn);

/// The data of the script.
fn data(page: &str) -> Value {
    let start = "<script type=\"application/json\" id=\"data\">";
    let from = page.find(start).unwrap() + start.len();
    let to = from + page[from..].find("</script>").unwrap();
    serde_json::from_str(&page[from..to]).unwrap()
}

/// The cells of a row as text.
fn cells(page: &str, id: usize) -> Vec<String> {
    let from = page.find(&format!("<tr id=\"r{id}\"")).unwrap();
    let row = &page[from..from + page[from..].find("</tr>").unwrap()];
    row.split("<td")
        .skip(1)
        .map(|c| {
            let content = &c[c.find('>').unwrap() + 1..];
            content.trim_end_matches("</td>").to_string()
        })
        .collect()
}

#[test]
fn the_check_of_balance_notices() {
    for bad in [
        "<p><b></p></b>",
        "<p>",
        "</p>",
        "<td></td></tr>",
        "<p class=\"a>\"></p>",
    ] {
        let page = format!("<!DOCTYPE html>{bad}");
        assert!(
            std::panic::catch_unwind(|| check_balanced(&page)).is_err(),
            "{bad}"
        );
    }
    check_balanced("<!DOCTYPE html><a><meta x=\"1\"/><script>if (1 < 2) {}</script></a>");
}

#[test]
fn hostile_names_stay_text() {
    for name in [
        "</script><img src=x onerror=alert(1)>",
        "\" onmouseover=\"alert(1)",
        "'><svg onload=alert(1)>",
        "</title></style><!--",
        "a\u{2028}b\u{202e}c\u{0}\n",
        "&lt;img&gt;",
        &"<".repeat(5000),
    ] {
        let mut t = tensor(name, MATRIX, vec![part(None, 4, |i| 1.0 + i as f64)]);
        t.dtype = name.into();
        t.skipped = Some(name.into());
        let found = Finding {
            rule: "spike",
            tensor: name.into(),
            message: format!("like {name}"),
        };
        let mut report = report(vec![t], vec![found]);
        report.notes = vec![name.into()];
        let page = page(&report);
        for markup in [
            "<img",
            "<svg onload",
            "<!--",
            " onerror=alert(1)>",
            "\" onmouseover=\"",
        ] {
            assert!(!page.contains(markup), "{name:.40}: {markup}");
        }
        assert!(
            !page.contains(['\u{2028}', '\u{202e}', '\u{0}']),
            "{name:.40}"
        );
        assert_eq!(page.matches("</script>").count(), 2, "{name:.40}");
        // what stood there can still be read
        let facts = data(&page)["rows"]["0"]["facts"].clone();
        let source = format!("dir/model.safetensors::{name}");
        let source = visible(&source);
        assert!(
            facts
                .as_array()
                .unwrap()
                .contains(&serde_json::json!(["source", source]))
        );
    }
}

#[test]
fn nothing_is_fetched_and_only_what_is_marked_runs() {
    let page = page(&report(
        vec![tensor("a", MATRIX, vec![part(None, 4, |_| 1.0)])],
        vec![],
    ));
    for word in [
        "http:",
        "https:",
        " src=",
        "@import",
        "url(",
        " style=\"",
        "<link",
    ] {
        // the name of the SVG namespace is no address
        let rest = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!rest.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'"));
    for tag in ["<script", "<style"] {
        let runs = page.matches(tag).count()
            - page.matches("<script type=\"application/json\"").count()
                * usize::from(tag == "<script");
        assert_eq!(
            runs,
            page.matches(&format!("{tag} nonce=\"isometer\">")).count()
        );
    }
}

#[test]
fn numbers_are_those_of_the_document() {
    let gates = Role::Gates(Gates::Lstm);
    let members = ["input", "forget", "cell", "output"];
    let parts =
        std::iter::once(part(None, 20, |i| 0.37 * (1.0 + i as f64)))
            .chain(members.iter().enumerate().map(|(k, name)| {
                part(Some(name), 20, move |i| (1.1 + k as f64) / (1.0 + i as f64))
            }))
            .collect();
    let report = report(vec![tensor("lstm.weight_hh", gates, parts)], vec![]);
    let page = page(&report);
    let style = Style {
        width: None,
        colour: false,
    };
    let document: Value = serde_json::from_slice(&report.render(Format::Json, &style)).unwrap();
    let whole = &document["tensors"][0];
    let list: Vec<&Value> = std::iter::once(whole)
        .chain(whole["parts"].as_array().unwrap())
        .collect();
    assert_eq!(list.len(), 5);
    for (id, value) in list.iter().enumerate() {
        let cells = cells(&page, id);
        let expected = [
            (3, &value["sigma_max"]["value"], 5e-4),
            (4, &value["cond"]["value"], 5e-4),
            (5, &value["stable_rank"], 5e-3),
            (6, &value["effective_rank"], 5e-3),
            (8, &value["marchenko_pastur_distance"], 5e-3),
        ];
        for (column, exact, digits) in expected {
            let (shown, exact): (f64, f64) =
                (cells[column].parse().unwrap(), exact.as_f64().unwrap());
            assert!(
                (shown / exact - 1.0).abs() <= digits,
                "row {id} column {column}: {shown} {exact}"
            );
        }
        let random = 10f64.powf(value["log_excess"].as_f64().unwrap());
        assert!((cells[7].parse::<f64>().unwrap() / random - 1.0).abs() <= 5e-3);
        // the plot starts at the largest singular value
        let first = data(&page)["rows"][id.to_string()]["sigma"][0]
            .as_f64()
            .unwrap()
            / 1000.0;
        let log = value["sigma_max"]["value"].as_f64().unwrap().log10();
        assert!((first - log).abs() <= 5.1e-4);
    }
    assert!(page.contains("<b>forget</b>"));
}

#[test]
fn zeros_and_infinities_have_a_place() {
    let singular = tensor("s", MATRIX, vec![part(None, 4, |i| i as f64)]);
    let zero = tensor(
        "z",
        Role::Convolution(KernelLayout::OutInTaps),
        vec![part(None, 3, |_| 0.0)],
    );
    let page = page(&report(vec![singular, zero], vec![]));
    assert!(page.contains(">inf</text>") && page.contains(">0</text>"));
    assert!(
        !page.contains("NaN ") && !page.contains("MNaN"),
        "no coordinate is NaN"
    );
    let data = data(&page);
    // three of four values are positive; of the zero matrix none
    assert_eq!(data["rows"]["0"]["sigma"].as_array().unwrap().len(), 3);
    assert_eq!(data["rows"]["1"]["sigma"].as_array().unwrap().len(), 0);
}

#[test]
fn empty_finite_and_interrupted_audits_have_pages() {
    let nothing = page(&report(vec![], vec![]));
    assert!(nothing.contains("an empty checkpoint") && !nothing.contains("<table"));
    let mut cut = report(vec![tensor("late", MATRIX, vec![])], vec![]);
    cut.audit.interrupted = true;
    let text = page(&cut);
    assert!(
        text.contains("interrupted")
            && text.contains("not reached")
            && !text.contains("<svg class=\"overview\"")
    );
    cut.audit.interrupted = false;
    cut.audit.finite_only = true;
    let text = page(&cut);
    assert!(text.contains(">subnormal</th>") && !text.contains("stable rank</th>"));
}

#[test]
fn findings_lead_to_rows_and_long_lists_fold() {
    let names: Vec<String> = (0..50).map(|k| format!("layer{k}.weight")).collect();
    let tensors = names.iter().map(|n| tensor(n, MATRIX, vec![])).collect();
    let findings = names
        .iter()
        .map(|n| Finding {
            rule: "dead-units",
            tensor: n.clone(),
            message: "1 unit".into(),
        })
        .collect();
    let report = report(tensors, findings);
    let page = page(&report);
    assert!(page.contains("<summary>30 more</summary>"));
    for row in rows(&report) {
        let link = format!(
            "<a href=\"#r{}\"><bdi>{}</bdi></a>",
            row.id, row.tensor.label
        );
        assert!(page.contains(&link), "{link}");
        assert!(page.contains(&format!(
            "<tr id=\"r{}\" data-found=\"dead-units warning\"",
            row.id
        )));
    }
}

/// A kilobyte for the spectrum, another for the row and the marks; a name of any length counts twice.
#[test]
fn a_large_checkpoint_has_a_page_of_moderate_size() {
    let one = part(None, 256, |i| 1.0 / (1.0 + i as f64));
    let tensors = (0..300).map(|k| {
        tensor(
            &format!("model.layers.{k}.mlp.down_proj.weight"),
            MATRIX,
            vec![one.clone()],
        )
    });
    let page = page(&report(tensors.collect(), vec![]));
    let fixed = super::STYLE.len() + super::SCRIPT.len() + 10_000;
    assert!(page.len() - fixed < 300 * 3000, "{} bytes", page.len());
    assert_eq!(
        data(&page)["laws"].as_array().unwrap().len(),
        1,
        "one law for one shape"
    );
}

#[test]
fn an_endless_checkpoint_has_a_page_that_opens() {
    let names: Vec<String> = (0..super::MOST + 500)
        .map(|k| format!("layer{k}.weight"))
        .collect();
    let tensors = names.iter().map(|n| tensor(n, MATRIX, vec![])).collect();
    let late = names.iter().skip(super::MOST + 300).map(|n| Finding {
        rule: "dead-units",
        tensor: n.clone(),
        message: "1 unit".into(),
    });
    let report = report(tensors, late.collect());
    let page = page(&report);
    assert_eq!(page.matches("<tr id=").count(), super::MOST);
    assert_eq!(
        page.matches("<tr id=\"r").count() - page.matches("data-found=\"dead").count(),
        super::MOST - 200
    );
    assert!(page.contains("500 of 10500 rows are left out"));
    // every finding leads to its row
    assert_eq!(page.matches("<li><a href=\"#r").count(), 200);
    assert!(page.contains(&format!("<tr id=\"r{}\"", super::MOST + 499)));
}
