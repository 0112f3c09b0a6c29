//! The rules of the house, read off the sources: imports point down only, `faer` stays inside
//! `linalg`, the library neither prints nor exits, files stay readable.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by height; an import must point to a lower one. Equal heights never see each other.
const HEIGHTS: [(&str, u32); 11] = [
    ("cli", 6),
    ("report", 5),
    ("audit", 4),
    ("verify", 4),
    ("bounds", 3),
    ("theory", 3),
    ("reference", 3),
    ("network", 2),
    ("formats", 2),
    ("linalg", 1),
    ("scale", 0),
];
const LONGEST_FILE: usize = 600;

fn height(module: &str) -> Option<u32> {
    HEIGHTS.iter().find(|(m, _)| *m == module).map(|(_, h)| *h)
}

/// The source with comments, strings and character literals blanked out, line structure kept.
fn code_only(source: &str) -> String {
    let c: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    let blank = |out: &mut String, from: usize, to: usize| {
        out.extend(
            c[from..to]
                .iter()
                .map(|&ch| if ch == '\n' { '\n' } else { ' ' }),
        );
    };
    while i < c.len() {
        let start = i;
        let next = c.get(i + 1).copied().unwrap_or(' ');
        let word_before = i > 0 && (c[i - 1].is_alphanumeric() || c[i - 1] == '_');
        if c[i] == '/' && next == '/' {
            while i < c.len() && c[i] != '\n' {
                i += 1;
            }
        } else if c[i] == '/' && next == '*' {
            let mut depth = 0;
            loop {
                match (c.get(i), c.get(i + 1)) {
                    (Some('/'), Some('*')) => (depth, i) = (depth + 1, i + 2),
                    (Some('*'), Some('/')) => (depth, i) = (depth - 1, i + 2),
                    (Some(_), _) => i += 1,
                    (None, _) => break,
                }
                if depth == 0 {
                    break;
                }
            }
        } else if c[i] == 'r' && !word_before && (next == '"' || next == '#') {
            let hashes = c[i + 1..].iter().take_while(|ch| **ch == '#').count();
            if c.get(i + 1 + hashes) != Some(&'"') {
                out.push(c[i]); // a raw identifier
                i += 1;
                continue;
            }
            i += 2 + hashes;
            while i < c.len()
                && !(c[i] == '"'
                    && c[i + 1..].iter().take_while(|ch| **ch == '#').count() >= hashes)
            {
                i += 1;
            }
            i += 1 + hashes;
        } else if c[i] == '"' {
            i += 1;
            while i < c.len() && c[i] != '"' {
                i += if c[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c[i] == '\'' && (next == '\\' || c.get(i + 2) == Some(&'\'')) {
            // A character, not a lifetime.
            i += if next == '\\' { 3 } else { 2 };
            while i < c.len() && c[i] != '\'' {
                i += 1;
            }
            i += 1;
        } else {
            out.push(c[i]);
            i += 1;
            continue;
        }
        i = i.min(c.len());
        blank(&mut out, start, i);
    }
    out
}

/// `src/linalg/product/mod.rs` belongs to `linalg`; `src/lib.rs` to the crate root.
fn module_of(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    let first = inner.split('/').next().unwrap_or(inner);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The identifiers that directly follow `crate::` or `isometer::`, with braces expanded.
fn imported_modules(code: &str) -> BTreeSet<String> {
    let dense = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let dense = dense.replace(" ::", "::").replace(":: ", "::");
    let mut found = BTreeSet::new();
    for root in ["crate::", "isometer::"] {
        for (at, _) in dense.match_indices(root) {
            let word_before = dense[..at].ends_with(|ch: char| ch.is_alphanumeric() || ch == '_');
            if word_before {
                continue;
            }
            let rest = dense[at + root.len()..].trim_start();
            let heads: Vec<&str> = match rest.strip_prefix('{') {
                Some(group) => top_level_items(group),
                None => vec![rest],
            };
            found.extend(
                heads
                    .iter()
                    .map(|h| first_word(h))
                    .filter(|w| !w.is_empty()),
            );
        }
    }
    found
}

/// The comma-separated items up to the closing brace, nested braces left alone.
fn top_level_items(group: &str) -> Vec<&str> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (at, ch) in group.char_indices() {
        match ch {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(group[start..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(group[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|ch| ch.is_alphanumeric() || *ch == '_')
        .collect()
}

fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let part = |ch: char| ch.is_alphanumeric() || ch == '_';
        !code[..at].ends_with(part) && !code[at + word.len()..].starts_with(part)
    })
}

/// Everything wrong with one file.
fn complaints(path: &str, source: &str) -> Vec<String> {
    let code = code_only(source);
    let module = module_of(path);
    let in_binary = module == "main" || module == "cli";
    let mut wrong = Vec::new();
    let mut complain = |what: String| wrong.push(format!("{path}: {what}"));

    if module != "lib" && module != "main" {
        match height(module) {
            None => complain(format!(
                "module `{module}` has no place in the order of imports"
            )),
            Some(own) => {
                for target in imported_modules(&code) {
                    // Root items such as macros are no modules.
                    if target != module && height(&target).is_some_and(|h| h >= own) {
                        complain(format!("imports `{target}`, which is not below `{module}`"));
                    }
                }
            }
        }
    }
    if module == "lib" && has_word(&code, "cli") {
        complain("the library must not reach the command line".into());
    }
    if code.replace(' ', "").contains("super::super") {
        complain("`super::super`: name the path from the crate root".into());
    }
    if module != "linalg" && has_word(&code, "faer") {
        complain("faer is imported outside linalg".into());
    }
    if module != "cli"
        && module != "main"
        && ["clap", "anyhow", "indicatif"]
            .iter()
            .any(|c| has_word(&code, c))
    {
        complain("a dependency of the command line in the library".into());
    }
    if path != "src/formats/mmap.rs" && has_word(&code, "unsafe") {
        complain("`unsafe` outside formats/mmap.rs".into());
    }
    for print in ["println", "print", "eprintln", "eprint", "dbg"] {
        let called = code
            .match_indices(&format!("{print}!"))
            .any(|(at, _)| !code[..at].ends_with(|ch: char| ch.is_alphanumeric() || ch == '_'));
        if called {
            complain(format!(
                "`{print}!` panics on a closed pipe; only cli/output.rs writes"
            ));
        }
    }
    if !in_binary && has_word(&code, "process") && code.replace(' ', "").contains("process::exit") {
        complain("the library must not exit".into());
    }
    for unfinished in ["todo", "unimplemented"] {
        if code.contains(&format!("{unfinished}!(")) {
            complain(format!("`{unfinished}!` in the tree"));
        }
    }
    let lines = source.lines().count();
    if lines > LONGEST_FILE {
        complain(format!(
            "{lines} lines, more than {LONGEST_FILE}: split it by mathematics"
        ));
    }
    wrong
}

fn rust_files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn the_sources_keep_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    assert!(files.len() > 10, "found only {files:?}");
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let relative = file
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            complaints(&relative, &fs::read_to_string(file).unwrap())
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn assert_noticed(path: &str, source: &str, what: &str) {
    let wrong = complaints(path, source);
    assert!(
        wrong.iter().any(|w| w.contains(what)),
        "`{source}` in {path} should have been refused for `{what}`: {wrong:?}"
    );
}

#[test]
fn planted_violations_are_noticed() {
    for (path, source, what) in [
        (
            "src/linalg/a.rs",
            "use crate::report::cond;",
            "imports `report`",
        ),
        (
            "src/theory/a.rs",
            "use crate::reference::mlp;",
            "imports `reference`",
        ),
        (
            "src/reference.rs",
            "fn f() { crate::theory::g() }",
            "imports `theory`",
        ),
        (
            "src/formats/a.rs",
            "use crate::{scale::LogScale, network::Model};",
            "imports `network`",
        ),
        (
            "src/scale.rs",
            "use crate::{\n    linalg::{view, dd},\n};",
            "imports `linalg`",
        ),
        (
            "src/report/a.rs",
            "use crate :: cli :: args;",
            "imports `cli`",
        ),
        (
            "src/verify/a.rs",
            "use isometer::audit::x;",
            "imports `audit`",
        ),
        ("src/attic/a.rs", "fn f() {}", "no place in the order"),
        (
            "src/linalg/a/b.rs",
            "use super::super::view;",
            "super::super",
        ),
        (
            "src/bounds/a.rs",
            "use faer::Mat;",
            "faer is imported outside",
        ),
        (
            "src/linalg/a.rs",
            "use anyhow::Result;",
            "dependency of the command line",
        ),
        (
            "src/linalg/a.rs",
            "fn f() { unsafe { g() } }",
            "`unsafe` outside",
        ),
        (
            "src/linalg/a.rs",
            "fn f() { println!(\"x\"); }",
            "`println!`",
        ),
        ("src/cli/a.rs", "fn f() { print!(\"x\"); }", "`print!`"),
        (
            "src/linalg/a.rs",
            "fn f() { std::process::exit(1) }",
            "must not exit",
        ),
        ("src/lib.rs", "mod cli;", "must not reach"),
        ("src/linalg/a.rs", "fn f() { todo!() }", "`todo!`"),
        (
            "src/linalg/a.rs",
            "let q = '\"'; use crate::report::x; let s = \"\";",
            "imports `report`",
        ),
        (
            "src/linalg/a.rs",
            "let s = r#\"a\"b\"#; use crate::report::x;",
            "imports `report`",
        ),
    ] {
        assert_noticed(path, source, what);
    }
    assert_noticed(
        "src/linalg/a.rs",
        &"\n".repeat(LONGEST_FILE + 1),
        "lines, more than",
    );
}

#[test]
fn what_is_allowed_passes() {
    for (path, source) in [
        (
            "src/report/a.rs",
            "use crate::linalg::{condition::Norm, view}; use crate::scale::LogScale;",
        ),
        (
            "src/linalg/a.rs",
            "use super::view; use faer::Mat; use crate::scale;",
        ),
        (
            "src/linalg/a.rs",
            "// use crate::report::x; unsafe println!\nfn f() {}",
        ),
        (
            "src/linalg/a.rs",
            "/* use crate::report /* nested */ */ fn f() -> &'static str { \"unsafe faer\" }",
        ),
        ("src/formats/mmap.rs", "fn f() { unsafe { map() } }"),
        (
            "src/cli/a.rs",
            "use isometer::report::Format; use clap::Parser; use super::args;",
        ),
        (
            "src/audit/a.rs",
            "use crate::bounds::x; use crate::formats::y;",
        ),
        ("src/main.rs", "mod cli;"),
        (
            "src/scale.rs",
            "fn f(process: u8, unsafe_count: u8) { writeln!(x); }",
        ),
    ] {
        assert_eq!(complaints(path, source), Vec::<String>::new(), "{source}");
    }
}
