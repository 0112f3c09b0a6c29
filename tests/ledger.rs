//! The ledger of theorems: every statement in `proofs/` has a module in the specification with the
//! tests `holds`, `tight` and `notices`, names code and tests that exist, every theorem that code, a test or a module of
//! the specification relies on has a statement, and the index is up to date.
//!
//! `ISOMETER_BLESS=1 cargo test --test ledger` rewrites `proofs/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "ledger/formal.rs"]
mod formal;

/// What a status may say: checked by Coq, all of it or the part that the text names; proved here in
/// full; proved here but for steps named in the text; taken from the literature; believed.
const STATUSES: [&str; 6] = [
    "machine-checked",
    "machine-checked in part",
    "proved",
    "proved on paper",
    "cited",
    "conjectured",
];

/// Header fields, in order.
const FIELDS: [&str; 5] = [
    "Status",
    "Arithmetic",
    "Hypotheses",
    "Implements",
    "Checked-by",
];

/// The header field of statements that name formal theorems.
const FORMAL: &str = "Formal";

/// What every module of the specification must have.
const TESTS: [&str; 3] = ["holds", "tight", "notices"];

/// Where the specification lives, one chapter to a file.
const SPEC: &str = "tests/spec/";

/// What `Implements` says of a statement that no code uses, followed by the reason.
const NO_CODE: &str = "none: ";

/// Files by path from the root of the repository.
type Files = BTreeMap<String, String>;

struct Statement {
    id: String,
    header: BTreeMap<String, String>,
}

impl Statement {
    /// Whether it says that no code uses it, and why.
    fn stands_alone(&self) -> bool {
        let code = self.header.get("Implements").map_or("", String::as_str);
        code.strip_prefix(NO_CODE)
            .is_some_and(|why| !why.is_empty())
    }

    /// `(chapter, module)` of the entries of `Checked-by` that name a module of the specification.
    fn spec_modules(&self) -> Vec<(&str, &str)> {
        self.list("Checked-by")
            .into_iter()
            .filter_map(|entry| entry.split_once("::"))
            .filter(|(path, rest)| path.starts_with(SPEC) && !rest.contains("::"))
            .collect()
    }

    fn list(&self, field: &str) -> Vec<&str> {
        let entries = self.header.get(field).map_or("", String::as_str);
        entries.split(", ").filter(|e| !e.is_empty()).collect()
    }
}

/// The header of a statement; complaints go to `wrong`.
fn parse(id: &str, text: &str, wrong: &mut Vec<String>) -> Statement {
    let mut complain = |what: String| wrong.push(format!("proofs/{id}.md: {what}"));
    let mut lines = text.lines();
    if lines.next() != Some(&format!("# {id}")) {
        complain("the title is not the name of the file".into());
    }
    let mut header = BTreeMap::new();
    for line in lines.by_ref().skip(1).take_while(|l| !l.is_empty()) {
        match line.split_once(": ") {
            Some((key, value)) if FIELDS.contains(&key) || key == FORMAL => {
                header.insert(key.to_string(), value.to_string());
            }
            _ => complain(format!("not a header line: {line}")),
        }
    }
    for field in FIELDS {
        if !header.contains_key(field) {
            complain(format!("no {field}"));
        }
    }
    if let Some(status) = header.get("Status")
        && !STATUSES.contains(&status.as_str())
    {
        complain(format!("unknown status {status}"));
    }
    for section in ["## Statement", "## Proof"] {
        if !text.lines().any(|l| l == section) {
            complain(format!("no section {section}"));
        }
    }
    let proved = header
        .get("Status")
        .is_some_and(|s| s.starts_with("proved") || s.starts_with("machine-checked"));
    if proved && !text.contains("QED") {
        complain("the proof does not end".into());
    }
    Statement {
        id: id.to_string(),
        header,
    }
}

/// Whether `path::Type::name` is a function of an existing file, a test if `test`.
fn names_a_function(files: &Files, entry: &str, test: bool) -> Result<(), String> {
    let (path, rest) = entry.split_once("::").ok_or("no path")?;
    let source = files.get(path).ok_or("no such file")?;
    let parts: Vec<&str> = rest.split("::").collect();
    let (name, owners) = parts.split_last().ok_or("no function")?;
    let lines: Vec<&str> = source.lines().collect();
    let at = lines
        .iter()
        .position(|l| defines(l, name))
        .ok_or("no such function")?;
    for owner in owners {
        let module = *owner == "tests" && source.contains("mod tests {");
        let ty = lines.iter().any(|l| {
            l.starts_with("impl") && l.split(|c: char| !c.is_alphanumeric()).any(|w| w == *owner)
        });
        if !module && !ty {
            return Err(format!("nothing called {owner}"));
        }
    }
    let is_test = lines[..at]
        .iter()
        .rev()
        .map(|l| l.trim())
        .take_while(|l| l.starts_with("#[") || l.starts_with("///"))
        .any(|l| l == "#[test]");
    if test && !is_test {
        return Err("not a test".into());
    }
    Ok(())
}

fn defines(line: &str, name: &str) -> bool {
    line.split_once("fn ").is_some_and(|(_, rest)| {
        rest.strip_prefix(name)
            .is_some_and(|r| r.starts_with(['(', '<']))
    })
}

/// The ids after `Theorem:` or `Theorems:` in the comments of a source, with their line numbers.
fn citations(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (k, line) in source.lines().enumerate() {
        let Some(start) = line.find("//") else {
            continue;
        };
        let comment = &line[start..];
        for keyword in ["heorem: ", "heorems: "] {
            if let Some((_, rest)) = comment.split_once(keyword) {
                let count = if keyword == "heorem: " { 1 } else { usize::MAX };
                for id in rest.split(", ").take(count) {
                    let end = id
                        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
                        .unwrap_or(id.len());
                    if end > 0 {
                        found.push((k + 1, id[..end].to_string()));
                    }
                    if end < id.len() {
                        break;
                    }
                }
            }
        }
    }
    found
}

/// One module of a chapter of the specification.
struct SpecModule<'a> {
    path: &'a str,
    name: &'a str,
    /// What the comment above it cites.
    theorems: Vec<String>,
    tests: BTreeSet<&'a str>,
}

/// The modules of all chapters: `mod name {` at the left margin, up to the brace that closes it.
fn spec_modules(files: &Files) -> Vec<SpecModule<'_>> {
    let mut found = Vec::new();
    for (path, source) in files.iter().filter(|(p, _)| p.starts_with(SPEC)) {
        let lines: Vec<&str> = source.lines().collect();
        for (k, line) in lines.iter().enumerate() {
            let opened = line.strip_prefix("mod ").and_then(|l| l.strip_suffix(" {"));
            let Some(name) = opened else { continue };
            let above = lines[..k].iter().rev();
            let comment: Vec<&str> = above
                .take_while(|l| l.starts_with("//") || l.starts_with("#["))
                .copied()
                .collect();
            let body = lines[k + 1..].iter().take_while(|l| **l != "}");
            let body: Vec<&str> = body.copied().collect();
            let tests = body
                .windows(2)
                .filter(|w| w[0].trim() == "#[test]")
                .filter_map(|w| w[1].trim().strip_prefix("fn ")?.split_once('('))
                .map(|(test, _)| test)
                .collect();
            found.push(SpecModule {
                path,
                name,
                theorems: citations(&comment.join("\n"))
                    .into_iter()
                    .map(|c| c.1)
                    .collect(),
                tests,
            });
        }
    }
    found
}

/// What is wrong between the statements and the specification.
fn compare(statements: &[Statement], modules: &[SpecModule<'_>], wrong: &mut Vec<String>) {
    for m in modules {
        let place = format!("{}::{}", m.path, m.name);
        if m.theorems.is_empty() {
            wrong.push(format!("{place}: the module cites no theorem"));
        }
        for test in TESTS.iter().filter(|t| !m.tests.contains(*t)) {
            wrong.push(format!("{place}: no test {test}"));
        }
        for id in &m.theorems {
            let statement = statements.iter().find(|s| s.id == *id);
            if statement.is_some_and(|s| !s.spec_modules().contains(&(m.path, m.name))) {
                wrong.push(format!("proofs/{id}.md: Checked-by lacks {place}"));
            }
        }
    }
    for s in statements {
        let named = s.spec_modules();
        let of_it: Vec<&SpecModule<'_>> = modules
            .iter()
            .filter(|m| named.contains(&(m.path, m.name)))
            .collect();
        if of_it.is_empty() {
            wrong.push(format!(
                "proofs/{}.md: no module of the specification",
                s.id
            ));
        }
        for m in of_it.iter().filter(|m| !m.theorems.contains(&s.id)) {
            wrong.push(format!("{}::{} does not cite {}", m.path, m.name, s.id));
        }
    }
}

/// Everything that is wrong with a ledger.
fn examine(files: &Files) -> (Vec<Statement>, Vec<String>) {
    let mut wrong = Vec::new();
    let statements: Vec<Statement> = files
        .iter()
        .filter_map(|(path, text)| {
            let id = path.strip_prefix("proofs/")?.strip_suffix(".md")?;
            (id != "README").then(|| parse(id, text, &mut wrong))
        })
        .collect();
    let ids: BTreeSet<&str> = statements.iter().map(|s| s.id.as_str()).collect();
    let mut cited = BTreeSet::new();
    for (path, source) in files.iter().filter(|(p, _)| p.ends_with(".rs")) {
        for (line, id) in citations(source) {
            if !ids.contains(id.as_str()) {
                wrong.push(format!("{path}:{line}: theorem {id} has no statement"));
            }
            if path.starts_with("src/") {
                cited.insert(id);
            }
        }
    }
    let modules = spec_modules(files);
    compare(&statements, &modules, &mut wrong);
    formal::compare(&statements, files, &mut wrong);
    let is_module = |entry: &str| {
        let place = |m: &SpecModule<'_>| format!("{}::{}", m.path, m.name);
        modules.iter().any(|m| place(m) == entry)
    };
    for s in &statements {
        for (field, test) in [("Implements", false), ("Checked-by", true)] {
            if s.list(field).is_empty() {
                wrong.push(format!("proofs/{}.md: {field} is empty", s.id));
            }
            if field == "Implements" && s.stands_alone() {
                continue;
            }
            for entry in s.list(field) {
                if test && is_module(entry) {
                    continue;
                }
                if let Err(why) = names_a_function(files, entry, test) {
                    wrong.push(format!("proofs/{}.md: {field} {entry}: {why}", s.id));
                }
            }
        }
        if !cited.contains(&s.id) && !s.stands_alone() {
            wrong.push(format!("proofs/{}.md: no source cites it", s.id));
        }
    }
    (statements, wrong)
}

/// The table of statements.
fn index(files: &Files) -> String {
    let (statements, modules) = (examine(files).0, spec_modules(files));
    let mut out = String::from(
        "# Theorems\n\n\
         What the certificates and the exact routines rely on, one statement to a file with its proof.\n\
         Each has a module in a chapter of the specification: `cargo test --test spec -- --list`.\n\
         Code and tests refer to a statement by its id (`Theorem: id` in a comment); `Implements` and\n\
         `Checked-by` point back. `tests/ledger.rs` keeps both directions true and generates this\n\
         table: `ISOMETER_BLESS=1 cargo test --test ledger`.\n\n\
         Status: *machine-checked* (all of the statement in exact arithmetic, by Coq: `proofs/check`), *machine-checked\n\
         in part* (the text says which part), *proved* (in full, here), *proved on paper* (with gaps named in the\n\
         text), *cited* (from the literature), *conjectured*. The formal theorems are in `coq/`, what they say and\n\
         the axioms behind each in `coq/statements/`.\n\n\
         | theorem | status | arithmetic | implements | specification | other checks | formal | axioms |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for s in &statements {
        let field = |f: &str| s.header.get(f).map_or("", String::as_str);
        let (checked, axioms) = formal::columns(s, files);
        let named = s.spec_modules();
        let places: Vec<String> = modules
            .iter()
            .filter(|m| named.contains(&(m.path, m.name)))
            .map(|m| {
                let chapter = m.path.trim_start_matches(SPEC).trim_end_matches(".rs");
                format!("{chapter}::{}", m.name)
            })
            .collect();
        out += &format!(
            "| [{id}]({id}.md) | {} | {} | {} | {} | {} | {checked} | {axioms} |\n",
            field("Status"),
            field("Arithmetic"),
            if s.stands_alone() {
                0
            } else {
                s.list("Implements").len()
            },
            places.join(", "),
            s.list("Checked-by").len() - places.len(),
            id = s.id,
        );
    }
    out
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn collect(dir: &Path, extension: &str, files: &mut Files) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, extension, files);
        } else if path.extension().is_some_and(|e| e == extension) {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
            files.insert(name.replace('\\', "/"), fs::read_to_string(&path).unwrap());
        }
    }
}

fn repository() -> Files {
    let mut files = Files::new();
    collect(&root().join("src"), "rs", &mut files);
    collect(&root().join("tests"), "rs", &mut files);
    // this file talks about citations without making any
    files.remove("tests/ledger.rs");
    files.remove("tests/ledger/formal.rs");
    for extension in ["md", "v", "txt"] {
        collect(&root().join("proofs"), extension, &mut files);
    }
    files
}

#[test]
fn the_ledger_is_consistent() {
    let (statements, wrong) = examine(&repository());
    assert!(
        statements.len() >= 15,
        "only {} statements",
        statements.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_index_is_up_to_date() {
    let files = repository();
    let text = index(&files);
    if std::env::var_os("ISOMETER_BLESS").is_some() {
        fs::write(root().join("proofs/README.md"), text).unwrap();
        return;
    }
    let stored = files.get("proofs/README.md").map_or("", String::as_str);
    assert!(
        stored.replace("\r\n", "\n") == text,
        "proofs/README.md is not what the headers say: ISOMETER_BLESS=1 cargo test --test ledger"
    );
}

/// A ledger of one sound statement.
fn small() -> Files {
    let proof = "# one\n\nStatus: proved\nArithmetic: exact\nHypotheses: none\n\
                 Implements: src/a.rs::T::f\n\
                 Checked-by: src/a.rs::tests::works, tests/spec/chapter.rs::the_claim\n\n\
                 ## Statement\n\n## Proof\n\nQED\n";
    let source = "impl T {\n/// Theorem: one.\nfn f(x: u8) {}\n}\nmod tests {\n\
                  /// Theorem: one.\n#[test]\nfn works() {}\n}\n";
    let spec = "/// The claim.\n///\n/// Theorem: one.\nmod the_claim {\n    #[test]\n    fn holds() {\n    }\n\n    \
                #[test]\n    fn tight() {\n    }\n\n    #[test]\n    fn notices() {\n    }\n}\n";
    Files::from([
        ("proofs/one.md".to_string(), proof.to_string()),
        ("src/a.rs".to_string(), source.to_string()),
        ("tests/spec/chapter.rs".to_string(), spec.to_string()),
    ])
}

#[test]
fn planted_faults_are_noticed() {
    assert_eq!(examine(&small()).1, Vec::<String>::new());
    let faults = [
        ("proofs/one.md", "# one", "# two", "title"),
        (
            "proofs/one.md",
            "Status: proved",
            "Status: obvious",
            "unknown status",
        ),
        ("proofs/one.md", "Arithmetic: exact\n", "", "no Arithmetic"),
        ("proofs/one.md", "Status:", "State:", "not a header line"),
        (
            "proofs/one.md",
            "src/a.rs::T::f",
            "src/b.rs::T::f",
            "no such file",
        ),
        (
            "proofs/one.md",
            "src/a.rs::T::f",
            "src/a.rs::U::f",
            "nothing called U",
        ),
        (
            "proofs/one.md",
            "src/a.rs::T::f",
            "src/a.rs::T::fn",
            "no such function",
        ),
        ("proofs/one.md", "src/a.rs::T::f", "src/a.rs", "no path"),
        ("proofs/one.md", "tests::works", "T::f", "not a test"),
        ("proofs/one.md", "## Proof", "## Sketch", "no section"),
        ("proofs/one.md", "QED", "", "does not end"),
        ("src/a.rs", "#[test]", "", "not a test"),
        (
            "src/a.rs",
            "Theorem: one",
            "Theorem: three",
            "has no statement",
        ),
        (
            "src/a.rs",
            "Theorem: one",
            "Note: one",
            "no source cites it",
        ),
        (
            "proofs/one.md",
            ", tests/spec/chapter.rs::the_claim",
            "",
            "no module of the specification",
        ),
        (
            "proofs/one.md",
            ", tests/spec/chapter.rs::the_claim",
            "",
            "Checked-by lacks tests/spec/chapter.rs::the_claim",
        ),
        (
            "proofs/one.md",
            "chapter.rs::the_claim",
            "chapter.rs::another",
            "no such function",
        ),
        (
            "tests/spec/chapter.rs",
            "Theorem: one",
            "Note: one",
            "the module cites no theorem",
        ),
        (
            "tests/spec/chapter.rs",
            "Theorem: one",
            "Note: one",
            "does not cite one",
        ),
        (
            "tests/spec/chapter.rs",
            "Theorem: one",
            "Theorem: four",
            "theorem four has no statement",
        ),
        (
            "tests/spec/chapter.rs",
            "fn holds",
            "fn hold",
            "no test holds",
        ),
        (
            "tests/spec/chapter.rs",
            "fn tight",
            "fn loose",
            "no test tight",
        ),
        (
            "tests/spec/chapter.rs",
            "    #[test]\n    fn notices",
            "    fn notices",
            "no test notices",
        ),
        (
            "proofs/one.md",
            "Implements: src/a.rs::T::f",
            "Implements: none: ",
            "Implements",
        ),
    ];
    for (file, old, new, complaint) in faults {
        let mut files = small();
        let text = files[file].replace(old, new);
        assert_ne!(text, files[file], "the fault was not planted: {old}");
        files.insert(file.into(), text);
        let (_, wrong) = examine(&files);
        assert!(
            wrong.iter().any(|w| w.contains(complaint)),
            "{old} -> {new}: expected {complaint}, got {wrong:?}"
        );
    }
}

/// A statement about the world that no code uses may say so, with a reason.
#[test]
fn statements_without_code_say_why() {
    let mut files = small();
    let text = files["proofs/one.md"].replace("src/a.rs::T::f", "none: a fact about the world");
    files.insert("proofs/one.md".into(), text);
    let source = files["src/a.rs"].replace("Theorem: one", "Note");
    files.insert("src/a.rs".into(), source);
    assert_eq!(examine(&files).1, Vec::<String>::new());
    // no module, and the statement is not in the specification any more
    files.remove("tests/spec/chapter.rs");
    assert!(!examine(&files).1.is_empty());
}

#[test]
fn citations_are_read_in_all_their_forms() {
    let ids = |s: &str| citations(s).into_iter().map(|c| c.1).collect::<Vec<_>>();
    assert_eq!(ids("/// Theorems: a-b, c. Then d-e, f."), ["a-b", "c"]);
    assert_eq!(ids("//! (Higham; theorem: a-b); more"), ["a-b"]);
    assert_eq!(ids("/// Theorem: a-b, in double."), ["a-b"]);
    assert_eq!(ids("let x = \"Theorem: a\";"), Vec::<String>::new());
}
