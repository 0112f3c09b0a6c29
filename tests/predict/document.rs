//! The JSON document and the layouts, from the binary.

use assert_cmd::Command;
use serde_json::Value;

fn isometer(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isometer"));
    command.arg("predict").args(args).env_remove("NO_COLOR");
    command
}

fn json(args: &[&str]) -> Value {
    let out = isometer(args)
        .arg("--json")
        .assert()
        .success()
        .get_output()
        .clone();
    serde_json::from_slice(&out.stdout).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("{value} is no object"));
    object.keys().map(String::as_str).collect()
}

#[track_caller]
fn has(value: &Value, wanted: &[&str]) {
    let found = keys(value);
    for key in wanted {
        assert!(found.contains(key), "{key} is missing among {found:?}");
    }
}

/// Every regime has every key.
#[test]
fn all_keys_are_there() {
    let shape = ["--depth", "6", "--width", "12"];
    let law = [
        "certainty",
        "ln_mean_square",
        "mean_ln_square",
        "var_ln_square",
        "kurtosis_ratio",
        "p_zero",
        "quantiles_ln_square",
        "cdf_ln_square",
    ];
    for more in [
        &["--cdf", "0"][..],
        &["--activation", "tanh"],
        &["--normalization", "batch:inf"],
        &["--normalization", "rms", "--activation", "gelu"],
        &["--residual", "1/sqrt(L)"],
        &["--tied", "--activation", "linear", "--init", "orthogonal"],
        &["--activation", "linear", "--init", "orthogonal"],
    ] {
        let d = json(&[&shape, more].concat());
        has(
            &d,
            &[
                "schema",
                "command",
                "verdict",
                "verdict_sentence",
                "model",
                "mean_field",
                "forward",
                "jvp",
                "input_gradient",
                "weight_gradients",
                "growth",
                "jacobian",
                "kernel",
                "critical_alpha",
                "precision",
                "hypotheses",
            ],
        );
        assert_eq!(
            (&d["schema"], &d["command"]),
            (&"isometer/1".into(), &"predict".into())
        );
        assert!(["stable", "vanishing", "exploding"].contains(&d["verdict"].as_str().unwrap()));
        has(
            &d["mean_field"],
            &[
                "q_star",
                "chi_1",
                "chi_parallel",
                "c_star",
                "xi_q",
                "xi_c",
                "phase",
            ],
        );
        has(&d["growth"], &["chi", "typical_ln_square_per_layer"]);
        has(
            &d["jacobian"],
            &[
                "expected_rank",
                "expected_trace",
                "expected_trace_of_square",
                "variance",
                "log2_lyapunov",
                "spectral_edge",
            ],
        );
        has(&d["jacobian"]["spectral_edge"], &["lower", "upper"]);
        has(&d["kernel"], &["nngp", "ntk"]);
        has(&d["critical_alpha"], &["mean_square", "typical"]);
        for format in ["f16", "bf16", "f32"] {
            has(
                &d["precision"][format],
                &[
                    "underflow_depth_mean",
                    "underflow_depth_typical",
                    "p_underflow",
                ],
            );
        }
        for name in ["forward", "jvp", "input_gradient"] {
            if !d[name].is_null() {
                has(&d[name], &law);
                assert!(d[name]["ln_mean_square"].is_number());
            }
        }
        for gradient in d["weight_gradients"].as_array().unwrap() {
            has(gradient, &law);
        }
        assert!(d["growth"]["chi"].is_number());
        assert!(!d["hypotheses"].as_array().unwrap().is_empty());
    }
}

#[test]
fn infinities_are_words() {
    let d = json(&[
        "--depth", "50", "--width", "16", "--cdf", "0", "--cdf", "-1.5",
    ]);
    assert_eq!(d["mean_field"]["gradient_depth_scale"], "inf");
    assert_eq!(d["precision"]["f16"]["underflow_depth_mean"], "inf");
    let quantiles = &d["jvp"]["quantiles_ln_square"];
    assert_eq!(keys(quantiles), ["0.05", "0.5", "0.95"]);
    // theory.csv R226, through the command line
    let p = d["jvp"]["cdf_ln_square"]["0"].as_f64().unwrap();
    assert!((p - 0.9770622334409549).abs() <= 1e-7);
    assert!(d["jvp"]["cdf_ln_square"]["-1.5"].as_f64().unwrap() < p);
}

#[test]
fn magnitudes_outside_f64_stay_logarithms() {
    let d = json(&["--depth", "1000000", "--width", "3", "--alpha", "7"]);
    let ln = d["jvp"]["ln_mean_square"].as_f64().unwrap();
    assert!((ln / (2e6 * 7f64.ln()) - 1.0).abs() < 1e-12);
    assert_eq!(d["jvp"]["kurtosis_ratio"], Value::Null);
    assert!(d["jvp"]["ln_kurtosis_ratio"].as_f64().unwrap() > 9e5);
    assert_eq!(
        d["verdict"], "vanishing",
        "some layer is dead in every draw"
    );
}

#[test]
fn the_flags_and_the_file_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("net.toml");
    let flags = json(&[
        "--widths",
        "5,10,6",
        "--activation",
        "gelu",
        "--sigma-w2",
        "1.7",
        "--sigma-b2",
        "0.1",
    ]);
    let text = "widths = [5, 10, 6]\nactivation = \"gelu\"\ninit = \"gaussian:sigma_w2=1.7\"\nbias = \"gaussian:0.1\"\n";
    std::fs::write(&path, text).unwrap();
    let file = json(&["--model", path.to_str().unwrap()]);
    assert_eq!(flags, file);
    // flags change what the file says
    let other = json(&["--model", path.to_str().unwrap(), "--activation", "relu"]);
    assert_eq!(other["model"]["activation"], "relu");
}

#[test]
fn csv_has_a_line_for_each_layer() {
    let out = isometer(&["--depth", "4", "--width", "5", "--format", "csv"])
        .assert()
        .success()
        .get_output()
        .clone();
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines.iter().all(|l| l.split(',').count() == 6), "{text}");
}
