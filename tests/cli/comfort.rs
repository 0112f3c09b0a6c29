//! What a tired newcomer meets: typos are understood, refusals say what is there and what to do.

use super::files::{directory, f32s, safetensors};
use super::{run, run_in};

#[test]
fn typos_are_met_with_the_nearest_name() {
    let entries = f32s(&[1.0, 2.0, 3.0, 5.0]);
    let here = directory(&[(
        "model.safetensors",
        safetensors(&[("fc1.weight", "F32", vec![2, 2], entries)]),
    )]);
    for (line, meant) in [
        ("condd", "'cond'"),
        ("step lasr", "'lars'"),
        ("cond model.safetensors --includ x", "'--include'"),
        ("cond model.safetensors --format jsn", "'json'"),
        ("completions bsh", "'bash'"),
        ("step descent --curvature 1,2 --optimizer adm", "'adam'"),
        ("cond modle.safetensors", "nearby: model.safetensors"),
        (
            "predict --model modle.safetensors",
            "nearby: model.safetensors",
        ),
        (
            "cond model.safetensors::fc1.wieght",
            "did you mean fc1.weight?",
        ),
        (
            "cond model.safetensors --include fc1.wieght",
            "did you mean fc1.weight?",
        ),
        (
            "audit model.safetensors --fail-on sinular",
            "did you mean singular?",
        ),
        (
            "audit model.safetensors --ignore spkie",
            "did you mean spike?",
        ),
        ("explain ill-condtioned", "did you mean ill-conditioned?"),
        ("claims large-alpha-vanish", "large-alpha-vanishes"),
        ("gain --activation rellu", "did you mean relu?"),
        (
            "gain --activation Leaky-Relo:0.2",
            "did you mean leaky_relu?",
        ),
        (
            "predict --depth 2 --width 3 --init xavier_norml",
            "did you mean xavier_normal?",
        ),
        (
            "predict --depth 2 --width 3 --init torch:linera",
            "did you mean linear?",
        ),
        (
            "predict --depth 2 --width 3 --normalization btch:3",
            "did you mean batch?",
        ),
        (
            "predict --depth 2 --width 3 --alpha-at weigths",
            "did you mean weights?",
        ),
        (
            "predict --depth 2 --width 3 --bias gausian:1",
            "did you mean gaussian?",
        ),
        (
            "predict --depth 2 --width 3 --format-bits bf61",
            "did you mean bf16?",
        ),
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let met = run_in(here.path(), &args, b"");
        assert_eq!(met.code, 2, "{line}");
        assert!(met.stderr.contains(meant), "{line}: {}", met.stderr);
    }
}

#[test]
fn a_pattern_that_matches_nothing_is_no_silence() {
    let entries = f32s(&[1.0, 2.0, 3.0, 5.0]);
    let here = directory(&[(
        "model.safetensors",
        safetensors(&[
            ("fc1.weight", "F32", vec![2, 2], entries.clone()),
            ("fc2.weight", "F32", vec![2, 2], entries),
        ]),
    )]);
    for command in ["cond", "audit", "product", "bound", "symmetry", "precision"] {
        let met = run_in(
            here.path(),
            &[command, "model.safetensors", "--include", "*.wieght"],
            b"",
        );
        assert_eq!(met.code, 2, "{command}: {}", met.stdout);
        let all = "no tensor is left of 2 (fc1.weight, fc2.weight): --include '*.wieght' matches no tensor";
        assert!(met.stderr.contains(all), "{command}: {}", met.stderr);
    }
    // half of a gate left out is worth a word
    let flags = [
        "cond",
        "model.safetensors",
        "--include",
        "fc1*",
        "--include",
        "fc3*",
    ];
    let met = run_in(here.path(), &flags, b"");
    assert_eq!(met.code, 0);
    assert!(
        met.stderr
            .contains("note: --include 'fc3*' matches no tensor"),
        "{}",
        met.stderr
    );
    let met = run_in(
        here.path(),
        &["cond", "model.safetensors", "--exclude", "*"],
        b"",
    );
    assert_eq!(met.code, 2);
    assert!(
        met.stderr.contains("--exclude leaves none"),
        "{}",
        met.stderr
    );
}

#[test]
fn numbers_that_make_no_sense_are_refused_in_words() {
    for (line, word) in [
        (
            "step clip g.npz --max-norm -1",
            "'--max-norm <C>': must be above 0",
        ),
        (
            "predict --depth -1 --width 3",
            "'--depth <L>': write a whole number",
        ),
        (
            "predict --depth 1e3 --width 3",
            "'--depth <L>': write a whole number",
        ),
        (
            "product --gaussian 3x4 --leading nan",
            "write a whole number",
        ),
        (
            "gain --seed 99999999999999999999999",
            "'--seed <S>': too large",
        ),
        (
            "check --depth 2 --width 3 --samples -1",
            "write a whole number",
        ),
        ("cond a.npy --fail-above inf", "finite number"),
        ("cond a.npy --fail-above=", "write a number, such as 1e6"),
        ("gain --at-q nan", "'--at-q <Q>': must be a finite number"),
        (
            "alpha --depth 2 --width 4 --within 1e308",
            "--within: write a factor above 1",
        ),
        (
            "bound a.npy --widths 3,4",
            "--widths: not together with SOURCE",
        ),
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let met = run(&args, "");
        assert_eq!(met.code, 2, "{line}");
        assert!(met.stderr.contains(word), "{line}: {}", met.stderr);
        assert!(!met.stderr.contains("-- -"), "{line}: {}", met.stderr);
    }
}

#[test]
fn a_checkpoint_without_a_tensor_is_told_in_a_sentence() {
    let here = directory(&[
        ("none.safetensors", safetensors(&[])),
        ("torn.safetensors", b"\x10\0\0\0\0\0\0\0{}".to_vec()),
        ("model.safetensors.index.json", Vec::new()),
    ]);
    let met = run_in(here.path(), &["audit", "none.safetensors"], b"");
    assert_eq!(met.code, 2);
    assert!(
        met.stdout
            .contains("no tensor in the input: the sources hold none"),
        "{}",
        met.stdout
    );
    for source in ["torn.safetensors", "."] {
        let met = run_in(here.path(), &["audit", source], b"");
        assert_eq!(met.code, 1, "{}", met.stderr);
        let last = met.stdout.lines().last().unwrap();
        assert!(
            last.starts_with("broken: no tensor could be read: 1 error; first "),
            "{last}"
        );
        assert!(
            last.contains(source) && last.contains("To do: ") && !last.contains(" 0 "),
            "{last}"
        );
    }
    // the directory is named by its path, not by what is left of one
    let met = run_in(here.path(), &["audit", "."], b"");
    assert!(
        met.stdout
            .contains("./model.safetensors.index.json: the file is empty"),
        "{}",
        met.stdout
    );
}

/// A hundred thousand findings, each counted once: what grows as the square of their number would take minutes here.
#[test]
fn many_small_tensors_take_time_and_memory_in_proportion() {
    let names: Vec<String> = (0..30_000).map(|k| format!("layers.{k}.weight")).collect();
    let tensors: Vec<_> = names
        .iter()
        .map(|n| (n.as_str(), "F32", vec![2, 2], vec![0; 16]))
        .collect();
    let here = directory(&[("many.safetensors", safetensors(&tensors))]);
    for (flags, kilobytes) in [
        ("--json", 600_000),
        ("--format table", 600_000),
        ("--finite-only", 400_000),
    ] {
        let args = super::robustness::words(&format!("audit many.safetensors --threads 1 {flags}"));
        let start = std::time::Instant::now();
        let output = super::robustness::limited(here.path(), &args, kilobytes);
        eprintln!("{flags}: {:?}", start.elapsed());
        assert_eq!(
            output.status.code(),
            Some(0),
            "{flags}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            start.elapsed().as_secs() < 45,
            "{flags}: {:?}",
            start.elapsed()
        );
    }
}
