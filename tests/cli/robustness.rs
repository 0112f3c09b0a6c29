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

fn finish(mut child: Child, what: &dyn std::fmt::Debug) -> Output {
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
fn limited(here: &Path, args: &[String], kilobytes: u64) -> Output {
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

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(String::from).collect()
}

/// The exit code is one of three, JSON is one document, and a refusal has words.
fn judge(args: &[String], output: &Output) -> Result<Option<Value>, String> {
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

/// Flags of a command, with whether they take a value, as its help lists them: new ones join by themselves.
fn flags(command: &str) -> Vec<(String, bool)> {
    let output = Command::new(env!("CARGO_BIN_EXE_isometer"))
        .args(command.split(' '))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let lines = help.lines().map(str::trim_start);
    lines
        .filter_map(|l| l.split_once("--").filter(|(before, _)| before.len() <= 4))
        .filter_map(|(_, rest)| {
            let name = rest.split([' ', '.', '[']).next()?;
            // the whole grid of networks takes minutes, whatever else is asked for
            (!name.is_empty() && !["suite", "help"].contains(&name))
                .then(|| (format!("--{name}"), rest.contains('<')))
        })
        .collect()
}

const COMMANDS: [&str; 17] = [
    "cond",
    "product",
    "bound",
    "predict",
    "gain",
    "phase",
    "alpha",
    "precision",
    "step lars",
    "step lamb",
    "step clip",
    "step descent",
    "symmetry",
    "claims",
    "check",
    "audit",
    "diff",
];

const VALUES: [&str; 66] = [
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

fn playground() -> tempfile::TempDir {
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

/// Small sizes where a random command names none, so that a case is quick.
fn tamed(command: &str, args: &mut Vec<String>) {
    let mut unless = |flag: &str, value: &str| {
        if !args.iter().any(|a| a == flag) {
            args.extend([flag.to_string(), value.to_string()]);
        }
    };
    match command {
        "check" => unless("--samples", "3"),
        "phase" => {
            unless("--resolution", "4");
            unless("--out", "out.svg");
        }
        "gain" => unless("--activation", "relu"),
        "audit" | "diff" => unless("--budget", "0.1"),
        "claims" => args.push("no-such-claim".into()),
        _ => {}
    }
    if ["predict", "alpha", "check", "precision"].contains(&command) {
        let shaped = ["--model", "--depth", "--width", "--widths"];
        if !args.iter().any(|a| shaped.contains(&a.as_str())) {
            args.extend(words("--depth 2 --width 4"));
        }
    }
}

type Draw = (usize, Vec<(usize, usize)>, Vec<usize>, bool);

fn draws() -> impl Strategy<Value = Draw> {
    let choice = || 0..usize::MAX;
    (
        choice(),
        prop::collection::vec((choice(), choice()), 0..5),
        prop::collection::vec(choice(), 0..3),
        any::<bool>(),
    )
}

fn random_commands(cases: u32, kilobytes: u64) {
    let here = playground();
    let known: Vec<Vec<(String, bool)>> = COMMANDS.iter().map(|c| flags(c)).collect();
    assert!(known.iter().all(|f| f.len() > 6), "help is read: {known:?}");
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 40,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&draws(), |(command, chosen, files, json)| {
        let at = command % COMMANDS.len();
        let mut args = words(COMMANDS[at]);
        for (flag, value) in chosen {
            let (name, takes) = &known[at][flag % known[at].len()];
            args.push(name.clone());
            if *takes {
                args.push(VALUES[value % VALUES.len()].to_string());
            }
        }
        args.extend(files.iter().map(|f| FILES[f % FILES.len()].to_string()));
        tamed(COMMANDS[at], &mut args);
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
    random_commands(cases.unwrap_or(24), 4_000_000);
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

#[cfg(target_os = "linux")]
mod files {
    use super::*;

    #[test]
    fn what_is_no_file_is_refused() {
        let here = playground();
        let link = here.path().join("loop");
        std::os::unix::fs::symlink(&link, &link).unwrap();
        for (source, word) in [
            ("loop", "symbolic links"),
            ("folder", "in this directory"),
            ("empty", "empty"),
            ("/dev/zero", "device"),
            ("/dev/full", "device"),
            ("a.safetensors/x", "a.safetensors/x"),
        ] {
            let args = words(&format!("cond {source}"));
            let output = limited(here.path(), &args, 2_000_000);
            judge(&args, &output).unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{source}: {stderr}");
            assert!(stderr.contains(word) && stderr.contains(source), "{stderr}");
        }
        let args = words("predict --model /dev/zero");
        let output = limited(here.path(), &args, 2_000_000);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("--model"));
    }

    #[test]
    fn names_that_are_no_text_are_refused() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"\xff\xfe.npy");
        let output = Command::new(env!("CARGO_BIN_EXE_isometer"))
            .arg("cond")
            .arg(name)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(!output.stderr.is_empty());
    }

    #[test]
    fn names_of_tensors_cannot_drive_the_terminal() {
        let here = playground();
        for command in ["cond", "audit", "symmetry", "precision"] {
            let args = words(&format!("{command} a.safetensors"));
            let output = limited(here.path(), &args, 2_000_000);
            judge(&args, &output).unwrap();
            let all = [output.stdout, output.stderr].concat();
            assert!(!all.contains(&0x1b), "{command}");
        }
    }

    /// Every byte to a full disk fails: the code says so.
    #[test]
    fn a_full_disk_is_no_success() {
        let here = playground();
        for line in [
            "cond m.txt",
            "man",
            "completions bash",
            "--help",
            "cond --json nowhere",
        ] {
            let full = std::fs::File::options()
                .write(true)
                .open("/dev/full")
                .unwrap();
            let child = Command::new(env!("CARGO_BIN_EXE_isometer"))
                .args(words(line))
                .current_dir(here.path())
                .stdout(full)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            assert_eq!(finish(child, &line).status.code(), Some(2), "{line}");
        }
        std::os::unix::fs::symlink("/dev/full", here.path().join("full.svg")).unwrap();
        let args = words("phase --activation tanh --resolution 4 --out full.svg");
        let output = limited(here.path(), &args, 2_000_000);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains("--out") && stderr.contains("full.svg"),
            "{stderr}"
        );
        // the device was not replaced by a file
        assert!(!std::fs::metadata("/dev/full").unwrap().is_file());
    }

    /// A run that the system ends while it writes leaves the old file as it was.
    #[test]
    fn a_killed_run_leaves_no_half_file() {
        let here = playground();
        for (line, file) in [
            (
                "phase --activation tanh --resolution 4 --out fig.svg",
                "fig.svg",
            ),
            ("man --out .", "isometer-cond.1"),
        ] {
            let path = here.path().join(file);
            std::fs::write(&path, "old").unwrap();
            // a file may grow to one block only; the signal for more ends the process
            let script = "ulimit -f 1; ulimit -c 0; exec \"$0\" \"$@\"";
            let output = Command::new("sh")
                .args(["-c", script, env!("CARGO_BIN_EXE_isometer")])
                .args(words(line))
                .current_dir(here.path())
                .output()
                .unwrap();
            assert!(!output.status.success(), "{line}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "old", "{line}");
            let args = words(line);
            judge(&args, &limited(here.path(), &args, 2_000_000)).unwrap();
            assert_ne!(std::fs::read_to_string(&path).unwrap(), "old", "{line}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let here = playground();
        for line in [
            "phase --activation tanh --resolution 4 --out /proc/fig.svg",
            "man --out /proc/pages",
        ] {
            let args = words(line);
            let output = limited(here.path(), &args, 2_000_000);
            judge(&args, &output).unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{stderr}");
            assert!(
                stderr.contains("--out") && stderr.contains("/proc/"),
                "{stderr}"
            );
        }
    }
}
