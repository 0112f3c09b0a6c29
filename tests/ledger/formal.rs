//! The machine-checked theorems, as far as they can be watched without Coq: `Formal` in the headers
//! of the statements and the theorems of `proofs/coq` name each other. That the theorems hold, and say
//! what `proofs/coq/statements` says, is for `proofs/check`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Files, Statement};

/// Where the chapters are.
const COQ: &str = "proofs/coq/";

/// Where Coq's own account of them is kept.
const STATEMENTS: &str = "proofs/coq/statements/";

/// Statuses of statements that name formal theorems: all of the statement, or the part that the
/// section `SECTION` describes.
const WHOLE: &str = "machine-checked";
const PART: &str = "machine-checked in part";
const SECTION: &str = "## Machine-checked";

/// A source of Coq without comments, which nest.
fn without_comments(source: &str) -> String {
    let (mut out, mut depth, mut rest) = (String::new(), 0_usize, source);
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("(*") {
            depth += 1;
            rest = &rest[2..];
        } else if depth > 0 && rest.starts_with("*)") {
            depth -= 1;
            rest = &rest[2..];
        } else {
            if depth == 0 || c == '\n' {
                out.push(c);
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// The name that begins `text`.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '\''));
    &text[..end.unwrap_or(text.len())]
}

/// `proofs/coq/chapter.v::name` of every theorem in the sources.
fn theorems(files: &Files) -> BTreeSet<String> {
    let chapters = files
        .iter()
        .filter(|(path, _)| path.starts_with(COQ) && path.ends_with(".v"));
    chapters
        .flat_map(|(path, source)| {
            let plain = without_comments(source);
            let named: Vec<String> = plain
                .lines()
                .filter_map(|l| l.trim_start().strip_prefix("Theorem "))
                .map(|rest| format!("{path}::{}", name(rest.trim_start())))
                .collect();
            named
        })
        .collect()
}

/// The axioms behind each theorem, from the committed account.
fn axioms(files: &Files) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, text) in files {
        let Some(chapter) = path
            .strip_prefix(STATEMENTS)
            .and_then(|p| p.strip_suffix(".txt"))
        else {
            continue;
        };
        let mut last = None;
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("== ") {
                last = heading.strip_prefix("Theorem ");
            } else if let (Some(theorem), Some(list)) = (last, line.strip_prefix("axioms: ")) {
                found.insert(format!("{COQ}{chapter}.v::{theorem}"), list.to_string());
            }
        }
    }
    found
}

/// What is wrong between the statements and the formal theorems.
pub fn compare(statements: &[Statement], files: &Files, wrong: &mut Vec<String>) {
    let (theorems, axioms) = (theorems(files), axioms(files));
    let mut claimed = BTreeSet::new();
    for s in statements {
        let here = format!("proofs/{}.md", s.id);
        let status = s.header.get("Status").map_or("", String::as_str);
        let formal = s.list("Formal");
        if formal.is_empty() == [WHOLE, PART].contains(&status) {
            wrong.push(format!("{here}: {status} does not fit with Formal"));
        }
        let text = files.get(&here).map_or("", String::as_str);
        if status == PART && !text.lines().any(|l| l == SECTION) {
            wrong.push(format!("{here}: which part? no section {SECTION}"));
        }
        for entry in formal {
            if !theorems.contains(entry) {
                wrong.push(format!("{here}: Formal {entry}: no such theorem"));
            }
            claimed.insert(entry.to_string());
        }
    }
    for theorem in theorems.difference(&claimed) {
        wrong.push(format!("{theorem}: no statement claims it"));
    }
    let accounted: BTreeSet<String> = axioms.into_keys().collect();
    for theorem in theorems.symmetric_difference(&accounted) {
        wrong.push(format!(
            "{theorem}: not in both the source and {STATEMENTS}: proofs/check --bless"
        ));
    }
}

/// The columns of the index: names of the theorems, and all axioms they rest on.
pub fn columns(statement: &Statement, files: &Files) -> (String, String) {
    let formal = statement.list("Formal");
    if formal.is_empty() {
        return (String::new(), String::new());
    }
    let axioms = axioms(files);
    let used: BTreeSet<&str> = formal
        .iter()
        .filter_map(|entry| axioms.get(*entry))
        .flat_map(|list| list.split(", "))
        .filter(|a| *a != "none")
        .map(|a| a.rsplit('.').next().unwrap_or(a))
        .collect();
    let names: Vec<String> = formal
        .iter()
        .map(|e| e.trim_start_matches(COQ).replace(".v::", "."))
        .collect();
    let used = if used.is_empty() {
        "none".to_string()
    } else {
        used.into_iter().collect::<Vec<_>>().join(", ")
    };
    (names.join(", "), used)
}

#[test]
fn comments_state_no_theorems() {
    let source =
        "(* Theorem a (* Theorem b *)\nTheorem c *)\nTheorem d (n : nat) :\n  Theorem e: t.";
    let files = Files::from([("proofs/coq/x.v".to_string(), source.to_string())]);
    let found: Vec<String> = theorems(&files).into_iter().collect();
    assert_eq!(found, ["proofs/coq/x.v::d", "proofs/coq/x.v::e"]);
}

#[test]
fn planted_faults_between_statements_and_theorems_are_noticed() {
    let mut sound = super::small();
    let proof = sound["proofs/one.md"]
        .replace("Status: proved", "Status: machine-checked")
        .replace(
            "\n\n## Statement",
            "\nFormal: proofs/coq/x.v::d\n\n## Statement",
        );
    sound.insert("proofs/one.md".into(), proof);
    let source = "(* What it means. *)\nTheorem d : n = n.\nProof. by []. Qed.\n";
    sound.insert("proofs/coq/x.v".into(), source.into());
    let account = "== Definition n\n\n== Theorem d\n  : n = n\naxioms: none\nexact form: 1\n";
    sound.insert("proofs/coq/statements/x.txt".into(), account.into());
    assert_eq!(super::examine(&sound).1, Vec::<String>::new());
    assert!(super::index(&sound).contains("| x.d | none |"));
    let faults = [
        ("proofs/one.md", "x.v::d", "x.v::dd", "no such theorem"),
        ("proofs/one.md", "x.v::d", "y.v::d", "no such theorem"),
        (
            "proofs/one.md",
            "Formal: proofs/coq/x.v::d\n",
            "",
            "does not fit",
        ),
        (
            "proofs/one.md",
            "Formal: proofs/coq/x.v::d\n",
            "",
            "no statement claims it",
        ),
        ("proofs/one.md", "machine-checked", "proved", "does not fit"),
        (
            "proofs/one.md",
            "machine-checked",
            "machine-checked in part",
            "which part?",
        ),
        (
            "proofs/coq/x.v",
            "Theorem d",
            "Theorem e",
            "no such theorem",
        ),
        (
            "proofs/coq/x.v",
            "Theorem d",
            "Theorem e",
            "no statement claims it",
        ),
        ("proofs/coq/x.v", "Theorem d", "Lemma d", "no such theorem"),
        (
            "proofs/coq/statements/x.txt",
            "Theorem d",
            "Theorem e",
            "not in both",
        ),
        (
            "proofs/coq/statements/x.txt",
            "axioms: none",
            "",
            "not in both",
        ),
    ];
    for (file, old, new, complaint) in faults {
        let mut files = sound.clone();
        let text = files[file].replace(old, new);
        assert_ne!(text, files[file], "the fault was not planted: {old}");
        files.insert(file.into(), text);
        let (_, wrong) = super::examine(&files);
        assert!(
            wrong.iter().any(|w| w.contains(complaint)),
            "{old} -> {new}: expected {complaint}, got {wrong:?}"
        );
    }
}
