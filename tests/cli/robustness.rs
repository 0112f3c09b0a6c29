//! The command met by strangers and by people who mean harm: whatever is typed and whatever the files hold, a
//! run ends soon, in words, with one of the three exit codes.

use super::files::{directory, f32s, f64s, npy, safetensors};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Slow machines and unoptimised builds included; what runs away takes hours.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn finish(mut child: Child, what: &dyn std::fmt::Debug) -> Output {
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let drain = |stream: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                let _ = stream.read_to_end(&mut bytes);
            }
            bytes
        })
    };
    let stdout = drain(stdout.map(|s| Box::new(s) as _));
    let stderr = drain(stderr.map(|s| Box::new(s) as _));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{what:?} still runs after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Output {
        status,
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    }
}

/// Runs with at most so many bytes of address space, where the shell can say so.
pub(crate) fn limited(here: &Path, args: &[String], kilobytes: u64) -> Output {
    let binary = env!("CARGO_BIN_EXE_isometer");
    let mut command = if cfg!(target_os = "linux") {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -v {kilobytes}; ulimit -c 0; exec \"$0\" \"$@\"");
        shell.args(["-c", &script, binary]);
        shell
    } else {
        Command::new(binary)
    };
    let child = command
        .args(args)
        .current_dir(here)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    finish(child, &args)
}

pub(crate) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(String::from).collect()
}

/// The exit code is one of three, JSON is one document, and a refusal has words.
pub(crate) fn judge(args: &[String], output: &Output) -> Result<Option<Value>, String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let code = output.status.code();
    if !matches!(code, Some(0..=2)) || stderr.contains("panicked") {
        return Err(format!("{args:?} ended with {}\n{stderr}", output.status));
    }
    if code == Some(2) && stderr.trim().is_empty() {
        return Err(format!("{args:?} was refused without a word"));
    }
    let help = args.iter().any(|a| a == "--help" || a == "--version");
    if help || !args.iter().any(|a| a == "--json") {
        return Ok(None);
    }
    serde_json::from_str(&stdout)
        .map(Some)
        .map_err(|e| format!("{args:?}: {e}\n{stdout}\n{stderr}"))
}

#[test]
fn absurd_sizes_are_refused_with_words() {
    let kernel = safetensors(&[("w", "F32", vec![1, 1, 3, 3], f32s(&[0.5; 9]))]);
    let here = directory(&[("k.safetensors", kernel)]);
    for (line, word) in [
        ("predict --depth 100000000 --width 100000000", "layers"),
        ("predict --depth 3 --width 1000000000000", "units"),
        ("predict --depth 3 --width 18446744073709551615", "units"),
        (
            "predict --depth 3 --width 4 --readout 1000000000000",
            "readout",
        ),
        (
            "predict --depth 3 --width 4 --normalization batch:1000000000000",
            "batch:inf",
        ),
        ("alpha --depth 3 --width 1000000000000", "units"),
        (
            "alpha --depth 3 --width 4 --from 1 --to 2 --steps 1000000000000",
            "--steps",
        ),
        ("precision --depth 3 --width 1000000000000", "units"),
        (
            "check --depth 3 --width 4 --samples 1000000000000000000",
            "--samples",
        ),
        (
            "check --depth 1000000 --width 3000 --samples 10000000",
            "--samples",
        ),
        ("product --gaussian 100000000x100000000", "--gaussian"),
        (
            "product --gaussian 18446744073709551615x18446744073709551615",
            "--gaussian",
        ),
        ("product --gaussian 1000000000000x2", "--gaussian"),
        ("product --gaussian 1000000x10000", "--gaussian"),
        ("bound --gaussian 100000000x100000000", "--gaussian"),
        ("cond k.safetensors --conv 100000x100000", "positions"),
        (
            "cond k.safetensors --conv 100000x100000 --padding zeros",
            "positions",
        ),
        (
            "cond k.safetensors --conv 8x8 --padding zeros:100000",
            "positions",
        ),
        (
            "phase --activation tanh --out x.svg --resolution 1000000",
            "--resolution",
        ),
        ("gain --at-q 1e300", "1e300"),
        ("gain --threads 10000", "1024"),
    ] {
        let mut args = words(line);
        args.push("--json".into());
        let start = Instant::now();
        let output = limited(here.path(), &args, 2_000_000);
        let document = judge(&args, &output).unwrap().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {document:#}");
        let message = document["error"]["message"].as_str().unwrap();
        assert!(
            message.contains(word) && message.len() < 400,
            "{line}: {message}"
        );
        assert!(start.elapsed() < PATIENCE / 2, "{line}: refused too late");
    }
}

/// What a command takes, as clap describes it: new flags join by themselves.
struct Interface {
    command: String,
    flags: Vec<Flag>,
}

struct Flag {
    name: String,
    /// `None` for a switch; the values that it knows, if it knows them all.
    values: Option<Vec<String>>,
}

fn interface() -> Vec<Interface> {
    let output = Command::new(env!("CARGO_BIN_EXE_isometer"))
        .arg("--json")
        .output()
        .unwrap();
    let greeting: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = |v: &Value| v.as_array().unwrap().clone();
    let text = |v: &Value| v.as_str().map(String::from);
    let flag = |a: &Value| {
        let values = list(&a["values"]).iter().filter_map(text).collect();
        Some(Flag {
            // the whole grid of networks takes minutes, whatever else is asked for
            name: text(&a["flag"]).filter(|name| name != "--suite")?,
            values: text(&a["value"]).map(|_| values),
        })
    };
    let command = |c: &Value| Interface {
        command: text(&c["command"]).unwrap(),
        flags: list(&c["arguments"]).iter().filter_map(flag).collect(),
    };
    list(&greeting["interface"]).iter().map(command).collect()
}

const VALUES: [&str; 68] = [
    "NaN",
    "nan",
    "inf",
    "-inf",
    "-1",
    "-0",
    "0",
    "1",
    "2",
    "3",
    "0.5",
    "0.999",
    "1e400",
    "1e-400",
    "1e308",
    "-1e308",
    "1000000000000",
    "18446744073709551615",
    "99999999999999999999999",
    "",
    " ",
    "\u{e9}",
    "\u{1f600}",
    "x",
    "1x1",
    "3x4",
    "8x8",
    "100000x100000",
    "1:2",
    "-1:1",
    "0:1e308",
    "1,2,3",
    "4,4,4",
    "relu",
    "tanh",
    "leaky_relu:1e308",
    "leaky_relu:nan",
    "selu",
    "orthogonal",
    "xavier_normal",
    "torch:linear",
    "batch:8",
    "batch:inf",
    "batch:1000000000000",
    "layer",
    "rms",
    "weights",
    "layer:2",
    "1/sqrt(L)",
    "circular",
    "zeros",
    "zeros:1000000000",
    "f16",
    "sgd",
    "json",
    "csv",
    "error",
    "nan=1",
    "*",
    "[",
    "none",
    "out.svg",
    "m.txt",
    "a.safetensors",
    "model.toml",
    "-",
    "\u{202e}\u{1b}[2J",
    "/dev/full",
];

const FILES: [&str; 14] = [
    "a.safetensors",
    "a.safetensors::w",
    "bad.safetensors",
    "torn.safetensors",
    "m.txt",
    "empty",
    "folder",
    "huge.npy",
    "none.npy",
    "noise.bin",
    "model.toml",
    "missing",
    "-",
    "\u{1f600}::",
];

pub(crate) fn playground() -> tempfile::TempDir {
    let tensors = safetensors(&[
        ("w", "F32", vec![2, 2], f32s(&[1.0, 2.0, 3.0, 5.0])),
        ("k", "F32", vec![2, 1, 3, 3], f32s(&[0.5; 18])),
        ("b\u{1b}[2J\n", "F32", vec![2], f32s(&[0.0, 1.0])),
    ]);
    let torn = tensors[..tensors.len() - 9].to_vec();
    let bad = safetensors(&[("w", "F32", vec![2, 1], f32s(&[f32::NAN, f32::INFINITY]))]);
    let here = directory(&[
        ("a.safetensors", tensors),
        ("bad.safetensors", bad),
        ("torn.safetensors", torn),
        ("m.txt", b"2 1\n1 3\n".to_vec()),
        ("empty", Vec::new()),
        ("huge.npy", npy("<f8", &[1 << 40, 1 << 20], &f64s(&[1.0]))),
        ("none.npy", npy("<f8", &[1 << 60, 0], &[])),
        (
            "noise.bin",
            (0..999u32).map(|i| (i * i % 251) as u8).collect(),
        ),
        (
            "model.toml",
            b"widths = [4, 4]\nactivation = \"relu\"\n".to_vec(),
        ),
    ]);
    std::fs::create_dir(here.path().join("folder")).unwrap();
    here
}

/// What makes a case complete and quick where it does not say so itself.
fn tamed(command: &str, args: &mut Vec<String>) {
    let named = |flags: &[&str]| {
        let name = |a: &String| a.split('=').next().unwrap_or_default().to_string();
        args.iter().any(|a| flags.contains(&name(a).as_str()))
    };
    let (model, drawn) = (
        "--depth 2 --width 4",
        ["--model", "--depth", "--width", "--widths"],
    );
    let plain = match command {
        "check" if !named(&["--samples"]) => "--samples 3",
        "phase" if !named(&["--resolution"]) => "--activation tanh --resolution 4",
        "gain" if !named(&["--activation"]) => "--activation relu",
        "audit" | "diff" if !named(&["--budget"]) => "--budget 0.1",
        "step clip" if !named(&["--max-norm"]) => "--max-norm 1",
        "step descent" if !named(&["--curvature", "--matrix"]) => "--curvature 1,2",
        "claims" => "no-such-claim",
        _ => "",
    };
    let shape = match command {
        "predict" | "alpha" | "check" | "precision" if !named(&drawn) => model,
        "phase" if !named(&["--out"]) => "--out out.svg",
        "step lars" | "step lamb" if !named(&["--gradients"]) => "--gradients a.safetensors",
        _ => "",
    };
    args.extend(words(plain));
    args.extend(words(shape));
}

/// Where a command reads files, some.
fn with_sources(command: &str, args: &mut Vec<String>) {
    args.extend(words(match command {
        "audit" | "symmetry" | "product" | "bound" | "step lars" | "step lamb" | "step clip" => {
            "a.safetensors"
        }
        "cond" => "m.txt",
        "diff" => "a.safetensors bad.safetensors",
        "completions" => "bash",
        _ => "",
    }));
}

/// Every flag of every command meets values that it was not made for, one at a time.
#[test]
fn every_flag_meets_a_hostile_value() {
    let here = playground();
    let hostile = [
        "nan",
        "-1",
        "",
        "1e400",
        "inf",
        "-1e308",
        "0",
        "\u{202e}\u{1b}[2J",
    ];
    let mut runs = 0;
    for Interface { command, flags } in interface() {
        // what all commands share is tried once
        let shared = [
            "--format",
            "--json",
            "--quiet",
            "--color",
            "--threads",
            "--seed",
        ];
        let own = |f: &&Flag| command == "cond" || !shared.contains(&f.name.as_str());
        for flag in flags.iter().filter(own) {
            let mut args = words(&command);
            let value = hostile[runs % hostile.len()];
            args.push(match &flag.values {
                Some(_) => format!("{}={value}", flag.name),
                None => flag.name.clone(),
            });
            with_sources(&command, &mut args);
            tamed(&command, &mut args);
            args.push("--json".into());
            let output = limited(here.path(), &args, 4_000_000);
            judge(&args, &output).unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(
                !stderr.contains(['\u{202e}', '\u{1b}']),
                "{args:?}: {stderr:?}"
            );
            runs += 1;
        }
    }
    assert!(
        runs > 200,
        "{runs}: the description of the commands is read"
    );
}

type Draw = (usize, Vec<(usize, usize, bool)>, Vec<usize>, bool);

fn draws() -> impl Strategy<Value = Draw> {
    let choice = || 0..usize::MAX;
    (
        choice(),
        prop::collection::vec((choice(), choice(), any::<bool>()), 0..5),
        prop::collection::vec(choice(), 0..3),
        any::<bool>(),
    )
}

fn random_commands(cases: u32, kilobytes: u64) {
    let here = playground();
    let known = interface();
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 40,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&draws(), |(command, chosen, files, json)| {
        let Interface { command, flags } = &known[command % known.len()];
        let mut args = words(command);
        for (flag, value, fitting) in chosen {
            let Flag { name, values } = &flags[flag % flags.len()];
            let hostile = VALUES[value % VALUES.len()];
            match values {
                Some(own) if fitting && !own.is_empty() => {
                    args.push(format!("{name}={}", own[value % own.len()]));
                }
                Some(_) if fitting => args.push(format!("{name}={hostile}")),
                Some(_) => args.extend([name.clone(), hostile.to_string()]),
                None => args.push(name.clone()),
            }
        }
        args.extend(files.iter().map(|f| FILES[f % FILES.len()].to_string()));
        tamed(command, &mut args);
        if json {
            args.push("--json".into());
        }
        let output = limited(here.path(), &args, kilobytes);
        judge(&args, &output)
            .map(|_| ())
            .map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn random_commands_end_in_words() {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|c| c.parse().ok());
    random_commands(cases.unwrap_or(400), 4_000_000);
}

#[test]
fn a_hundred_broken_files_are_refused_by_every_reader() {
    let whole = safetensors(&[("w", "F32", vec![2, 2], f32s(&[1.0, 2.0, 3.0, 5.0]))]);
    let here = directory(&[]);
    for k in 0..whole.len().min(40) {
        let mut bytes = whole.clone();
        bytes[k] ^= 0x80 | k as u8;
        std::fs::write(here.path().join(format!("{k}.safetensors")), bytes).unwrap();
        let cut = whole[..k].to_vec();
        std::fs::write(here.path().join(format!("cut{k}.safetensors")), cut).unwrap();
    }
    // one run for all: a damaged source is a finding of an audit, and the others are still read
    let mut args = words("audit --json --budget 0.1");
    let mut names: Vec<String> = std::fs::read_dir(here.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    args.extend(names);
    let document = judge(&args, &limited(here.path(), &args, 4_000_000))
        .unwrap()
        .unwrap();
    assert_eq!(document["verdict"], "broken", "{document:#}");
}
