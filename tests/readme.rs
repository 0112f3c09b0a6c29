//! Every command of the README is run from the root of the repository.
//!
//! In ```` ```console ```` blocks a line `$ isometer ...` is a command, `? 1` on the next line says
//! that it exits with 1, and the lines below are its stdout: numbers may differ in value, `...` on
//! a line of its own stands for any lines. In ```` ```sh ```` blocks each line that starts with
//! `isometer`, `cargo run` or `printf` is a command, and `# exit 1` at its end says how it exits.
//! Commands run under `sh`, so pipes work; what they write goes to a scratch directory.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::Command;

#[derive(Debug, Default, PartialEq)]
struct Example {
    line: usize,
    command: String,
    code: i32,
    /// Lines of stdout, where the README shows them.
    shown: Vec<String>,
}

fn examples(readme: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut block: Option<&str> = None;
    for (at, line) in readme.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            block = match block {
                Some(_) => None,
                None => Some(language.trim()),
            };
            if block.is_some_and(|b| b == "console" || b == "sh") {
                // A separator, so that output never attaches to a command of an earlier block.
                found.push(Example::default());
            }
            continue;
        }
        let example = |command: &str, code| Example {
            line: at + 1,
            command: command.trim().to_string(),
            code,
            shown: Vec::new(),
        };
        match block {
            Some("console") => match (line.strip_prefix("$ "), found.last_mut()) {
                (Some(command), _) => found.push(example(command, 0)),
                (None, Some(last)) => match line.strip_prefix("? ") {
                    Some(code) if last.shown.is_empty() => {
                        last.code = code.trim().parse().expect("a number after `? `");
                    }
                    _ => last.shown.push(line.to_string()),
                },
                (None, None) => {}
            },
            Some("sh") => {
                let (command, code) = match line.split_once("# exit ") {
                    Some((command, code)) => (command, code.trim().parse().expect("a code")),
                    None => (line.split(" #").next().unwrap_or(line), 0),
                };
                if ["isometer", "cargo run", "printf"]
                    .iter()
                    .any(|p| command.starts_with(p))
                {
                    found.push(example(command, code));
                }
            }
            _ => {}
        }
    }
    found.retain(|e| runs_isometer(&e.command));
    found
}

fn runs_isometer(command: &str) -> bool {
    command.split(['|', ';', '&']).any(|part| {
        let part = part.trim_start();
        part.starts_with("isometer") || part.starts_with("cargo run")
    })
}

/// `cargo run --release -- cond x` is `isometer cond x`.
fn without_cargo(command: &str) -> String {
    match (command.starts_with("cargo run"), command.split_once(" -- ")) {
        (true, Some((_, arguments))) => format!("isometer {arguments}"),
        _ => command.to_string(),
    }
}

fn run(command: &str, directory: &Path) -> (i32, String, String) {
    let binary = Path::new(env!("CARGO_BIN_EXE_isometer"));
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-c", &without_cargo(command)])
        .current_dir(directory)
        .env(
            "PATH",
            format!("{}:{path}", binary.parent().unwrap().display()),
        )
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// The words of a line with every number replaced: digits may differ between processors.
fn words(line: &str) -> String {
    let mut out = String::new();
    let mut in_number = false;
    for ch in line.chars() {
        let numeric = ch.is_ascii_digit() || (in_number && matches!(ch, '.' | 'e' | '-' | '+'));
        if numeric && !in_number {
            out.push('#');
        }
        in_number = numeric;
        if !numeric && ch != '-' {
            out.push(ch);
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn matches(shown: &[String], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((gap, rest)) if gap.trim() == "..." => {
            (0..=printed.len()).any(|skip| matches(rest, &printed[skip..]))
        }
        Some((line, rest)) => printed
            .split_first()
            .is_some_and(|(first, others)| words(line) == words(first) && matches(rest, others)),
    }
}

/// Why an example does not hold, if it does not.
fn failure(example: &Example, directory: &Path) -> Option<String> {
    let (code, stdout, stderr) = run(&example.command, directory);
    let place = format!("README.md:{}: {}", example.line, example.command);
    if code != example.code {
        return Some(format!(
            "{place}\n  exits with {code}, the README says {}\n{stderr}",
            example.code
        ));
    }
    let mut shown = example.shown.clone();
    while shown.last().is_some_and(|l| l.trim().is_empty()) {
        shown.pop();
    }
    let printed: Vec<&str> = stdout.trim_end().lines().collect();
    (!shown.is_empty() && !matches(&shown, &printed)).then(|| {
        format!(
            "{place}\n  the README shows\n{}\n  it prints\n{stdout}",
            shown.join("\n")
        )
    })
}

/// A scratch directory that looks like the repository, so that nothing is written into it.
fn scratch() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "target" {
            std::os::unix::fs::symlink(entry.path(), directory.path().join(entry.file_name()))
                .unwrap();
        }
    }
    directory
}

#[test]
fn every_command_of_the_readme_runs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).expect("README.md");
    let found = examples(&readme);
    assert!(!found.is_empty(), "the README shows no command");
    let directory = scratch();
    let wrong: Vec<String> = found
        .iter()
        .filter_map(|e| failure(e, directory.path()))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}

#[test]
fn a_readme_that_is_wrong_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let verdicts = |readme: &str| -> Vec<bool> {
        let found = examples(readme);
        found
            .iter()
            .map(|e| failure(e, directory.path()).is_none())
            .collect()
    };
    let block = |language: &str, text: &str| format!("prose\n```{language}\n{text}\n```\n");
    assert_eq!(verdicts(&block("sh", "isometer --version\nls")), [true]);
    assert_eq!(verdicts(&block("sh", "isometer cond missing.npy")), [false]);
    assert_eq!(
        verdicts(&block("sh", "isometer cond missing.npy  # exit 2")),
        [true]
    );
    assert_eq!(
        verdicts(&block("sh", "cargo run --release -- --version # fine")),
        [true]
    );
    assert_eq!(
        verdicts(&block("console", "$ isometer --version\nisometer 9.9.9")),
        [true]
    );
    assert_eq!(
        verdicts(&block("console", "$ isometer --version\nsomething else")),
        [false]
    );
    assert_eq!(verdicts(&block("console", "$ isometer bogus\n? 2")), [true]);
    assert_eq!(
        verdicts(&block("console", "$ isometer\nisometer: [..]")),
        [false]
    );
    assert_eq!(
        verdicts(&block("console", "$ isometer | head -n 1\n...")),
        [true]
    );
    assert_eq!(
        verdicts(&block("rust", "isometer bogus")),
        Vec::<bool>::new()
    );
}
