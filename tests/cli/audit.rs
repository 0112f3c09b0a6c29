//! `audit` and `explain`: truths of a real checkpoint, one broken file for each rule, what fails and what does not.

use super::files::{Tensor, bf16s, directory, f16s, f32s, f64s, npy, safetensors};
use super::{Run, run, run_in};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::{Value, json};

const SILERO: &str = "tests/data/checkpoints/silero_vad_16k.safetensors";

pub fn normal(n: usize, std: f64, seed: u64) -> Vec<f32> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let z: f64 = StandardNormal.sample(&mut rng);
            (std * z) as f32
        })
        .collect()
}

pub fn matrix(name: &str, rows: usize, cols: usize, std: f64, seed: u64) -> Tensor<'_> {
    (
        name,
        "F32",
        vec![rows, cols],
        f32s(&normal(rows * cols, std, seed)),
    )
}

/// An audit of a file of these tensors.
fn audit(tensors: &[Tensor<'_>], flags: &[&str]) -> Run {
    let dir = directory(&[("m.safetensors", safetensors(tensors))]);
    let args = [&["audit", "m.safetensors", "--json"], flags].concat();
    run_in(dir.path(), &args, b"")
}

/// `rule tensor` of each finding.
fn findings(run: &Run) -> Vec<String> {
    run.json()["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            format!(
                "{} {}",
                f["rule"].as_str().unwrap(),
                f["tensor"].as_str().unwrap()
            )
        })
        .collect()
}

pub fn tensor(document: &Value, name: &str) -> Value {
    let all = document["tensors"].as_array().unwrap();
    let found = all.iter().find(|t| t["name"] == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {document:#}"))
        .clone()
}

#[track_caller]
fn encloses(t: &Value, key: &str, truth: f64) {
    let (lo, hi) = (
        t[key]["lo"].as_f64().unwrap(),
        t[key]["hi"].as_f64().unwrap(),
    );
    assert!(
        lo <= truth && truth <= hi && hi - lo <= 2e-3 * truth,
        "{key}: {truth} in {t:#}"
    );
}

/// Singular values of the flattened weights by LAPACK in double precision (tests/data/reference/silero_vad_16k.csv has them, too).
#[test]
fn a_real_checkpoint_has_its_true_numbers() {
    let run = run(&["audit", SILERO, "--json"], "");
    assert_eq!(run.code, 0);
    let document = run.json();
    assert_eq!(document["verdict"], "warnings");
    let truths = [
        ("conv1.weight", 39.03042066068524, 0.20479905291445888),
        ("conv2.weight", 6.200729335429845, 0.36216159548382043),
    ];
    for (name, largest, smallest) in truths {
        let t = tensor(&document, name);
        encloses(&t, "sigma_max", largest);
        encloses(&t, "sigma_min", smallest);
        encloses(&t, "cond", largest / smallest);
        assert_eq!(t["role"], "convolution");
    }
    let basis = tensor(&document, "stft_conv.weight");
    assert_eq!(
        (&basis["cond"]["value"], &basis["certainty"]),
        (&json!("inf"), &json!("certified"))
    );
    assert!(findings(&run).contains(&"singular stft_conv.weight".into()));
    let gates = tensor(&document, "lstm_cell.weight_ih");
    let parts: Vec<&Value> = gates["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["part"])
        .collect();
    assert_eq!(parts, ["input", "forget", "cell", "output"]);
    let certified = super::run(
        &[
            "audit",
            SILERO,
            "--json",
            "--certify",
            "--include",
            "conv2.weight",
        ],
        "",
    )
    .json();
    let t = tensor(&certified, "conv2.weight");
    assert_eq!(t["certainty"], "certified");
    let width = t["cond"]["hi"].as_f64().unwrap() / t["cond"]["lo"].as_f64().unwrap();
    assert!(width < 1.0 + 1e-9);
}

#[test]
fn broken_numbers_are_named_with_their_place() {
    let mut x = normal(6 * 5, 1.0, 1);
    x[17] = f32::NAN;
    x[22] = f32::INFINITY;
    let found = audit(
        &[
            ("a.weight", "F32", vec![6, 5], f32s(&x)),
            matrix("b.weight", 4, 4, 1.0, 2),
        ],
        &["--finite-only"],
    );
    assert_eq!(found.code, 1);
    assert_eq!(findings(&found), ["nan a.weight", "inf a.weight"]);
    let document = found.json();
    assert_eq!(document["verdict"], "broken");
    let t = tensor(&document, "a.weight");
    assert_eq!(
        (&t["nan"], &t["inf"], &t["first_nonfinite"]),
        (&json!(1), &json!(1), &json!([3, 2]))
    );
    assert!(t.get("sigma_max").is_none());
    // with spectra, too, and the healthy tensor is still measured
    let full = audit(
        &[
            ("a.weight", "F32", vec![6, 5], f32s(&x)),
            matrix("b.weight", 4, 4, 1.0, 2),
        ],
        &[],
    );
    assert!(tensor(&full.json(), "b.weight")["sigma_max"]["value"].is_f64());
    // a vector and a number, in other formats
    let bias = (
        "b.bias",
        "BF16",
        vec![3],
        bf16s(&[1.0, f32::NEG_INFINITY, 2.0]),
    );
    let scalar = ("s", "F16", vec![], f16s(&[f64::NAN]));
    let found = audit(&[bias, scalar], &[]);
    assert_eq!(findings(&found), ["inf b.bias", "nan s"]);
}

#[test]
fn every_other_rule_has_a_file_that_breaks_it() {
    let n = 24;
    let mut dead = normal(n * n, 0.1, 3);
    dead[5 * n..6 * n].fill(0.0);
    let twice = normal(n * n, 0.1, 4);
    let mut copied = normal(n * n, 0.1, 5);
    copied.copy_within(0..n, 7 * n);
    // one entry of 50 standard deviations among thousands
    let mut outlier = normal(64 * 64, 0.1, 6);
    outlier[40] = 5.0;
    let ones = vec![1.0f32; n];
    let mut scales = ones.clone();
    scales[2] = 0.0;
    let tiny: Vec<f64> = (0..n * n).map(|k| 1e-6 * (k as f64).sin()).collect();
    let found = audit(
        &[
            ("dead.weight", "F32", vec![n, n], f32s(&dead)),
            ("first.weight", "F32", vec![n, n], f32s(&twice)),
            ("second.weight", "F32", vec![n, n], f32s(&twice)),
            ("copied.weight", "F32", vec![n, n], f32s(&copied)),
            ("zero.weight", "F32", vec![n, n], vec![0; 4 * n * n]),
            (
                "constant.weight",
                "F32",
                vec![n, n],
                f32s(&vec![0.5; n * n]),
            ),
            ("outlier.weight", "F32", vec![64, 64], f32s(&outlier)),
            ("norm.weight", "F32", vec![n], f32s(&scales)),
            ("bn.running_var", "F32", vec![n], f32s(&normal(n, 1.0, 8))),
            ("small.weight", "F16", vec![n, n], f16s(&tiny)),
            ("large.bias", "F32", vec![2], f32s(&[1.0, 1e5])),
            ("codes", "I8", vec![4], vec![1, 2, 3, 4]),
        ],
        &[],
    );
    let mut expected = [
        "negative-variance bn.running_var",
        "dead-units dead.weight",
        "singular dead.weight",
        "duplicate-units copied.weight",
        "singular copied.weight",
        "zero-tensor zero.weight",
        "constant-tensor constant.weight",
        "subnormal-flood small.weight",
        "closed-channels norm.weight",
        "f16-overflow large.bias",
        "quantizes-badly outlier.weight",
        "duplicate-tensor second.weight",
        "not-read ",
    ];
    let mut names = findings(&found);
    names.sort();
    expected.sort_unstable();
    for rule in expected {
        assert!(names.iter().any(|n| n == rule), "{rule} not in {names:?}");
    }
    assert_eq!(
        found.json()["findings"][0]["level"],
        "error",
        "gravest first"
    );
}

#[test]
fn fresh_networks_adapters_and_vocabularies_are_left_in_peace() {
    let he = |fan_in: usize| (2.0 / fan_in as f64).sqrt();
    let mut tensors = vec![matrix("embed_tokens.weight", 300, 32, 1.0, 1)];
    let names: Vec<String> = (0..6).map(|l| format!("layers.{l}.weight")).collect();
    for (l, name) in names.iter().enumerate() {
        tensors.push(matrix(name, 64, 48, he(48), 10 + l as u64));
    }
    let found = audit(&tensors, &["--fail-on", "warning"]);
    assert_eq!(
        (found.code, findings(&found)),
        (0, vec![]),
        "{}",
        found.stdout
    );
    let t = tensor(&found.json(), "layers.2.weight");
    assert_eq!(t["initializers"], json!(["kaiming_normal"]));
    assert!((t["alpha_kaiming"].as_f64().unwrap() - 1.0).abs() < 0.05);
    assert!(t["log_excess"].as_f64().unwrap().abs() < 0.1);
    // one column of a vocabulary that hardly counts: large kappa, no finding
    let mut table = normal(300 * 32, 1.0, 2);
    table.iter_mut().step_by(32).for_each(|x| *x *= 1e-6);
    let found = audit(
        &[("wte.weight", "F32", vec![300, 32], f32s(&table))],
        &["--fail-on", "note"],
    );
    assert_eq!((found.code, findings(&found)), (0, vec![]));
    let lora = [
        matrix("q.lora_A.weight", 4, 40, 1.0, 3),
        ("q.lora_B.weight", "F32", vec![30, 4], vec![0; 480]),
    ];
    assert_eq!(findings(&audit(&lora, &[])), Vec::<String>::new());
}

/// `[[3, 0], [0, 4]]` times scale: the update is judged, not its factors.
#[test]
fn adapters_are_judged_by_their_product_and_scale() {
    let down = (
        "m.lora_down.weight",
        "F32",
        vec![2, 3],
        f32s(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
    );
    let up = (
        "m.lora_up.weight",
        "F32",
        vec![4, 2],
        f32s(&[3.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0]),
    );
    let alpha = ("m.alpha", "F32", vec![], f32s(&[1.0]));
    let of = |run: &Run| tensor(&run.json(), "m.lora_up.weight");
    let t = of(&audit(&[down.clone(), up.clone(), alpha], &[]));
    encloses(&t, "sigma_max", 2.0);
    encloses(&t, "cond", 4.0 / 3.0);
    encloses(
        &of(&audit(&[down.clone(), up.clone()], &[])),
        "sigma_max",
        4.0,
    );
    encloses(
        &of(&audit(&[down.clone(), up.clone()], &["--lora-alpha", "4"])),
        "sigma_max",
        8.0,
    );
    // PEFT writes it beside the file
    let dir = directory(&[
        ("m.safetensors", safetensors(&[down, up])),
        (
            "adapter_config.json",
            b"{\"lora_alpha\": 6, \"r\": 2}".to_vec(),
        ),
    ]);
    let run = run_in(dir.path(), &["audit", "m.safetensors", "--json"], b"");
    encloses(&of(&run), "sigma_max", 12.0);
}

#[test]
fn outliers_are_flagged_certified_and_failed_on_demand() {
    let n = 32;
    let names: Vec<String> = (0..6).map(|l| format!("h.{l}.weight")).collect();
    let mut tensors: Vec<Tensor<'_>> = names
        .iter()
        .enumerate()
        .map(|(l, name)| matrix(name, n, 2 * n, 0.1, l as u64))
        .collect();
    let mut weak = normal(2 * n * n, 0.1, 9);
    for (k, x) in weak.iter_mut().enumerate() {
        *x *= if k / (2 * n) == 3 { 1e-6 } else { 1.0 };
    }
    tensors[4].3 = f32s(&weak);
    tensors.push(matrix("loud.weight", n, 2 * n, 5.0, 20));
    let found = audit(&tensors, &[]);
    assert_eq!(
        (found.code, findings(&found)),
        (
            0,
            vec![
                "ill-conditioned h.4.weight".into(),
                "norm-outlier loud.weight".into()
            ]
        )
    );
    assert_eq!(
        tensor(&found.json(), "h.4.weight")["certainty"],
        "certified"
    );
    assert_eq!(audit(&tensors, &["--fail-on", "norm-outlier"]).code, 1);
    assert_eq!(audit(&tensors, &["--fail-on", "spike"]).code, 0);
    assert_eq!(audit(&tensors, &["--fail-on", "norm-outlier=3"]).code, 0);
    assert_eq!(audit(&tensors, &["--fail-on", "warning"]).code, 1);
    assert_eq!(audit(&tensors, &["--fail-on", "error"]).code, 0);
    let silent = audit(
        &tensors,
        &[
            "--ignore",
            "ill-conditioned",
            "--ignore",
            "norm-outlier",
            "--fail-on",
            "note",
        ],
    );
    assert_eq!((silent.code, findings(&silent).len()), (0, 0));
}

/// Norms 3, 4 and 5 on the diagonal; shapes that do not fit end a chain.
#[test]
fn chains_bound_the_growth_of_gradients() {
    let diagonal = |rows: usize, cols: usize, top: f32| {
        let mut x = vec![0.0f32; rows * cols];
        (0..rows.min(cols)).for_each(|i| x[i * cols + i] = top / (i + 1) as f32);
        f32s(&x)
    };
    let found = audit(
        &[
            ("fc1.weight", "F32", vec![3, 5], diagonal(3, 5, 3.0)),
            ("fc1.bias", "F32", vec![3], f32s(&[0.0; 3])),
            ("fc2.weight", "F32", vec![4, 3], diagonal(4, 3, 4.0)),
            ("fc3.weight", "F32", vec![2, 4], diagonal(2, 4, 5.0)),
            ("head.weight", "F32", vec![2, 2], diagonal(2, 2, 9.0)),
        ],
        &["--fail-on", "gradient-growth=1.7"],
    );
    let chain = found.json()["chains"].clone();
    assert_eq!(
        chain[0]["tensors"],
        json!(["fc1.weight", "fc2.weight", "fc3.weight"])
    );
    assert!((chain[0]["log10_norm_bound"].as_f64().unwrap() - 60f64.log10()).abs() < 1e-9);
    assert!(
        (chain[0]["log10_norm_bound_residual"].as_f64().unwrap() - 120f64.log10()).abs() < 1e-9
    );
    assert_eq!((found.code, chain.as_array().unwrap().len()), (1, 1));
    assert_eq!(chain[0]["certainty"], "estimate");
    // the fourth row of the second layer is zero
    assert_eq!(
        findings(&found),
        ["dead-units fc2.weight", "gradient-growth fc1.weight"]
    );
}

#[test]
fn layouts_are_told_apart() {
    // GPT-2 stores [in, out]: the bias has one entry for each column
    let conv1d = [
        matrix("h.0.attn.c_attn.weight", 16, 48, 0.02, 1),
        ("h.0.attn.c_attn.bias", "F32", vec![48], f32s(&[0.0; 48])),
    ];
    let t = tensor(&audit(&conv1d, &[]).json(), "h.0.attn.c_attn.weight");
    assert_eq!(t["role"], "fused-qkv");
    assert_eq!(t["parts"][2]["shape"], json!([16, 16]));
    // taps first: 3 x 3, 4 inputs, 8 outputs is a matrix of 8 rows
    let dir = directory(&[(
        "kernel.npy",
        npy(
            "<f8",
            &[3, 3, 4, 8],
            &f64s(&(0..288).map(|k| f64::from(k).sin()).collect::<Vec<_>>()),
        ),
    )]);
    let run = run_in(dir.path(), &["audit", "kernel.npy", "--json"], b"");
    let t = tensor(&run.json(), "kernel.npy");
    assert_eq!(t["role"], "convolution");
    let x: Vec<f64> = (0..288).map(|k| f64::from(k).sin()).collect();
    let by_output = nalgebra::DMatrix::from_fn(8, 36, |o, k| x[k * 8 + o]);
    let s = by_output
        .try_svd(false, false, 1e-15, 1000)
        .unwrap()
        .singular_values;
    // the proved interval is narrower than the rounding of the other route
    let value = t["sigma_max"]["value"].as_f64().unwrap();
    assert!((value / s.max() - 1.0).abs() < 1e-13);
}

#[test]
fn what_cannot_be_judged_is_refused_in_words() {
    let bad = |flags: &[&str]| {
        let run = audit(&[matrix("a", 4, 4, 1.0, 1)], flags);
        assert_eq!(run.code, 2, "{flags:?}");
        run.json()["error"]["message"].as_str().unwrap().to_string()
    };
    assert!(bad(&["--fail-on", "spikes"]).contains("the rules are nan, inf"));
    assert!(bad(&["--fail-on", "nan=3"]).contains("takes no threshold"));
    assert!(bad(&["--fail-on", "spike=high"]).contains("not a threshold"));
    assert!(bad(&["--ignore", "x"]).contains("no rule 'x'"));
    assert!(bad(&["--exclude", "*"]).contains("--exclude leaves none"));
    assert_eq!(run(&["explain", "nope"], "").code, 2);
    let codes = audit(&[("codes", "I8", vec![4], vec![1, 2, 3, 4])], &[]);
    assert_eq!(
        (codes.code, codes.json()["verdict"].as_str()),
        (2, Some("unusable"))
    );
}

#[test]
fn a_file_cut_short_is_a_broken_checkpoint() {
    let whole = safetensors(&[matrix("a", 8, 8, 1.0, 1)]);
    let dir = directory(&[
        ("cut.safetensors", whole[..whole.len() - 40].to_vec()),
        (
            "well.safetensors",
            safetensors(&[matrix("b", 8, 8, 1.0, 1)]),
        ),
    ]);
    let run = run_in(
        dir.path(),
        &["audit", "cut.safetensors", "well.safetensors", "--json"],
        b"",
    );
    assert_eq!(run.code, 1);
    let document = run.json();
    assert_eq!(
        (&document["verdict"], &document["findings"][0]["rule"]),
        (&json!("broken"), &json!("unreadable"))
    );
    assert!(
        document["findings"][0]["message"]
            .as_str()
            .unwrap()
            .contains("truncated")
    );
    // the other file was looked at all the same
    assert!(document["tensors"][0]["sigma_max"]["value"].is_f64());
    assert_eq!(
        run_in(dir.path(), &["audit", "none.safetensors"], b"").code,
        2
    );
}

#[test]
fn every_layout_has_the_findings() {
    let dead = |flags: &[&str]| {
        let mut x = normal(64, 1.0, 1);
        x[8..16].fill(0.0);
        let dir = directory(&[(
            "m.safetensors",
            safetensors(&[("fc.weight", "F32", vec![8, 8], f32s(&x))]),
        )]);
        run_in(
            dir.path(),
            &[&["audit", "m.safetensors"], flags].concat(),
            b"",
        )
        .stdout
    };
    for flags in [
        &[][..],
        &["--format", "markdown"],
        &["--format", "csv"],
        &["--json"],
    ] {
        assert!(dead(flags).contains("dead-units"), "{flags:?}");
    }
    let rules = run(&["explain", "--json"], "").json();
    for r in rules["rules"].as_array().unwrap() {
        let name = r["rule"].as_str().unwrap();
        assert!(
            run(&["explain", name], "")
                .stdout
                .contains(r["consequence"].as_str().unwrap())
        );
    }
}
