//! The command line as scripts and people meet it: transcripts, exit codes, JSON, pipes.

#[path = "cli/alpha.rs"]
mod alpha;
#[path = "cli/audit.rs"]
mod audit;
#[path = "cli/bounds.rs"]
mod bounds;
#[path = "cli/check.rs"]
mod check;
#[path = "cli/claims.rs"]
mod claims;
#[path = "cli/comfort.rs"]
mod comfort;
#[path = "cli/contract.rs"]
mod contract;
#[path = "cli/convolutions.rs"]
mod convolutions;
#[path = "cli/diff.rs"]
mod diff;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/frame.rs"]
mod frame;
#[path = "cli/hostile_files.rs"]
mod hostile_files;
#[path = "cli/networks.rs"]
mod networks;
#[path = "cli/peers_failures.rs"]
mod peers_failures;
#[path = "cli/plots.rs"]
mod plots;
#[path = "cli/results.rs"]
mod results;
#[path = "cli/robustness.rs"]
mod robustness;
#[path = "cli/step.rs"]
mod step;

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// How a run ended.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    /// The one JSON document on stdout; its frame is checked on the way.
    #[track_caller]
    fn json(&self) -> Value {
        let document: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e}\nstdout: {}\nstderr: {}", self.stdout, self.stderr));
        assert_eq!(document["schema"], "isometer/1");
        assert!(document["verdict"].is_string(), "{document:#}");
        assert!(document.get("command").is_some(), "{document:#}");
        if self.code == 2 {
            assert!(document["error"]["kind"].is_string(), "{document:#}");
            assert!(document["error"]["message"].is_string(), "{document:#}");
        }
        document
    }

    /// The only result of `cond --json`.
    #[track_caller]
    fn result(&self) -> Value {
        let document = self.json();
        let results = document["results"].as_array().unwrap();
        assert_eq!(results.len(), 1, "{document:#}");
        results[0].clone()
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isometer"));
    command.args(args).env_remove("NO_COLOR");
    command
}

fn run_in(directory: &Path, args: &[&str], stdin: &[u8]) -> Run {
    let mut child = command(args)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments closes stdin unread.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run {
        code: output.status.code().expect("not killed by a signal"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn run(args: &[&str], stdin: &str) -> Run {
    run_in(Path::new("."), args, stdin.as_bytes())
}

#[test]
fn transcripts() {
    trycmd::TestCases::new().case("tests/cli/*.toml");
}
