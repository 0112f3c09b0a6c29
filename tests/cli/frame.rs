//! What holds for every command: streams, exit codes, pipes, threads, colours.

use super::files::{directory, f64s, npy, text};
use super::{command, run, run_in};
use std::io::Write;
use std::process::Stdio;

#[test]
fn json_is_one_document_whatever_happens() {
    for (args, stdin, code, kind) in [
        (&["--json"][..], "", 0, ""),
        (&["cond", "-", "--json"], "1 2\n3 4\n", 0, ""),
        (&["--json", "product", "--gaussian", "3x2"], "", 0, ""),
        (&["--json", "completions", "zsh"], "", 0, ""),
        (&["--json", "man"], "", 0, ""),
        (&["--json", "bogus"], "", 2, "usage"),
        (&["cond", "--json"], "", 2, "usage"),
        (
            &["cond", "-", "--format", "json", "--norm", "7"],
            "",
            2,
            "usage",
        ),
        (
            &["cond", "-", "--format=json", "--fail-above", "0.5"],
            "",
            2,
            "usage",
        ),
        (&["cond", "-", "-", "--json"], "1\n", 2, "usage"),
        (
            &["cond", "-", "--include", "[", "--json"],
            "1\n",
            2,
            "usage",
        ),
        (&["cond", "missing.npy", "--json"], "", 2, "not-found"),
        (&["cond", "-", "--json"], "", 2, "unreadable"),
        (&["cond", "-", "--json"], "1 2\nx y\n", 2, "unreadable"),
        (
            &["product", "-", "--json", "--leading", "9"],
            "1 2\n3 4\n",
            2,
            "usage",
        ),
        (&["product", "--gaussian", "3", "--json"], "", 2, "usage"),
        (&["product", "--json", "missing"], "", 2, "not-found"),
    ] {
        let run = run(args, stdin);
        assert_eq!(run.code, code, "{args:?}\n{}\n{}", run.stdout, run.stderr);
        let document = run.json();
        if code == 2 {
            assert_eq!(document["error"]["kind"], kind, "{args:?} {document:#}");
            assert!(
                !run.stderr.is_empty(),
                "{args:?}: people need to see it too"
            );
        } else {
            assert_eq!(run.stderr, "", "{args:?}");
        }
    }
}

#[test]
fn refusals_leave_stdout_empty_without_json() {
    for args in [
        &["cond", "missing.npy"][..],
        &["cond", "--bogus"],
        &["cond"],
    ] {
        let run = run(args, "");
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}");
        assert!(!run.stderr.is_empty());
    }
}

#[test]
fn a_misspelt_path_is_met_with_its_neighbours() {
    let here = directory(&[("weights.npy", npy("<f8", &[1, 1], &f64s(&[1.0])))]);
    let run = run_in(here.path(), &["cond", "wieghts.npy"], b"");
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("wieghts.npy"), "{}", run.stderr);
    assert!(run.stderr.contains("nearby: weights.npy"), "{}", run.stderr);
    let far = run_in(here.path(), &["cond", "other.txt"], b"");
    assert!(!far.stderr.contains("nearby"), "{}", far.stderr);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    for args in [
        &["cond", "-"][..],
        &["cond", "-", "--json", "--spectrum"],
        &["man"],
        &["--help"],
        &["completions", "bash"],
    ] {
        let mut child = command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let _ = child.stdin.take().unwrap().write_all(b"1 2\n3 4\n");
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
        assert_eq!(stderr, "", "{args:?}");
    }
}

#[test]
fn colour_is_a_choice_and_never_the_message() {
    let plain = run(&["cond", "-"], "1 2\n3 4\n");
    let coloured = run(&["cond", "-", "--color", "always"], "1 2\n3 4\n");
    let never = run(&["cond", "-", "--color=never"], "1 2\n3 4\n");
    assert!(!plain.stdout.contains('\x1b') && coloured.stdout.contains('\x1b'));
    assert_eq!(plain.stdout, never.stdout);
    let stripped = coloured
        .stdout
        .replace("\x1b[36m", "")
        .replace("\x1b[0m", "");
    assert_eq!(stripped, plain.stdout);
}

#[test]
fn the_layout_does_not_change_the_exit_code() {
    for format in ["table", "markdown", "csv", "json"] {
        let args = ["cond", "-", "--fail-above", "10", "--format", format];
        assert_eq!(run(&args, "1 2\n3 4\n").code, 1, "{format}");
    }
}

#[test]
fn manual_pages_are_written_one_for_each_command() {
    let here = directory(&[]);
    let run = run_in(here.path(), &["man", "--out", "man1"], b"");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let mut pages: Vec<String> = std::fs::read_dir(here.path().join("man1"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert_eq!(
        pages,
        [
            "isometer-alpha.1",
            "isometer-audit.1",
            "isometer-bound.1",
            "isometer-check.1",
            "isometer-claims.1",
            "isometer-completions.1",
            "isometer-cond.1",
            "isometer-diff.1",
            "isometer-explain.1",
            "isometer-gain.1",
            "isometer-man.1",
            "isometer-phase.1",
            "isometer-precision.1",
            "isometer-predict.1",
            "isometer-product.1",
            "isometer-step.1",
            "isometer-symmetry.1",
            "isometer.1"
        ]
    );
    for page in pages {
        let roff = std::fs::read_to_string(here.path().join("man1").join(page)).unwrap();
        assert!(roff.contains(".TH isometer"), "{roff}");
    }
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = run(&["completions", shell], "");
        assert_eq!(run.code, 0);
        for word in ["fail-above", "audit", "diff", "explain", "fail-on"] {
            assert!(
                run.stdout.contains(word),
                "{shell} does not complete {word}"
            );
        }
    }
}

/// Most threads a run was ever seen with, from Linux' list of tasks.
#[cfg(target_os = "linux")]
fn most_threads(threads: &str) -> usize {
    let mut child = command(&["product", "--gaussian", "20x160", "--threads", threads])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let tasks = format!("/proc/{}/task", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(std::fs::read_dir(&tasks).map_or(0, Iterator::count));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    most
}

#[cfg(target_os = "linux")]
#[test]
fn one_thread_means_one_thread() {
    assert_eq!(most_threads("1"), 1);
    // The control: the count does see threads.
    assert_eq!(most_threads("3"), 3);
}

#[test]
fn results_do_not_depend_on_threads() {
    // Dominated by its diagonal, hence of full rank.
    let matrix = text(140, 130, |i, j| {
        let noise = ((i * 7919 + j * 104_729) % 1009) as f64 / 1009.0;
        if i == j { 200.0 + noise } else { noise }
    });
    let value = |threads: &str| {
        let run = run(&["cond", "-", "--json", "--threads", threads], &matrix);
        run.result()["log10_cond"].clone()
    };
    let (one, three) = (value("1"), value("3"));
    let get = |v: &serde_json::Value, key: &str| v[key].as_f64().unwrap();
    // Sums may be ordered differently: the enclosures must still overlap.
    assert!(get(&one, "lo") <= get(&three, "hi") && get(&three, "lo") <= get(&one, "hi"));
}
