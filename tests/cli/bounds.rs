//! `bound`: convolutions, biases, drawn networks, and what it refuses.

use super::files::{directory, f64s, npy, safetensors};
use super::run_in;
use serde_json::{Value, json};
use std::path::Path;

fn bound(here: &Path, args: &[&str]) -> Value {
    let run = run_in(here, &[&["bound", "--json"], args].concat(), b"");
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.json()
}

/// `log10` of a bound by its name.
fn log10(report: &Value, name: &str) -> f64 {
    let all = report["bounds"].as_array().unwrap();
    let found = all.iter().find(|b| b["name"] == name);
    found.unwrap_or_else(|| panic!("{name} in {report:#}"))["log10"]
        .as_f64()
        .unwrap()
}

/// Refused with code 2 and these words.
#[track_caller]
fn refused(here: &Path, args: &[&str], words: &[&str]) {
    let run = run_in(here, &[&["bound", "--json"], args].concat(), b"");
    assert_eq!(run.code, 2, "{} {}", run.stdout, run.stderr);
    let message = run.json()["error"]["message"].as_str().unwrap().to_string();
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
}

/// Two mean filters, then the sum of all points: norms 9 and 9 on a torus, and 4 for 16 points.
fn chain() -> Vec<u8> {
    let ones = |n: usize| f64s(&vec![1.0; n]);
    safetensors(&[
        ("a.weight", "F64", vec![1, 1, 3, 3], ones(9)),
        ("b.weight", "F64", vec![1, 1, 3, 3], ones(9)),
        ("c.weight", "F64", vec![1, 16], ones(16)),
    ])
}

#[test]
fn convolutions_of_known_norm() {
    let here = directory(&[("net.safetensors", chain())]);
    let r = bound(here.path(), &["net.safetensors", "--conv", "4x4"]);
    assert_eq!(r["widths"], json!([16, 16, 16, 1]));
    let maps = r["feature_maps"].as_array().unwrap();
    assert_eq!(
        (&maps[2]["name"], &maps[2]["input"], &maps[2]["output"]),
        (&json!("c.weight"), &json!([1, 4, 4]), &json!([1, 1, 1]))
    );
    // all three attain their norms at the constant signal
    let truth = 324f64.log10();
    for name in ["product of norms", "segments", "vector"] {
        assert!((log10(&r, name) - truth).abs() < 1e-12, "{name}");
    }
    assert_eq!(
        (&r["verdict"], &r["pooled_before"]),
        (&json!("tight"), &Value::Null)
    );
    // with zeros at the border the constant signal loses some
    let zeros = ["net.safetensors", "--conv", "4x4", "--padding", "zeros"];
    let r = bound(here.path(), &zeros);
    assert!(log10(&r, "segments") < truth - 0.1);
    assert!((log10(&r, "segments") - log10(&r, "vector")).abs() < 1e-10);
    // one stride for each convolution
    let strided = ["net.safetensors", "--conv", "16x16", "--stride", "2,2"];
    let r = bound(here.path(), &strided);
    assert_eq!(r["widths"], json!([256, 64, 16, 1]));
}

/// A network too large to be written down is bounded by its products.
#[test]
fn large_maps_are_seen_through_products() {
    let here = directory(&[(
        "k.npy",
        npy(
            "<f8",
            &[2, 2, 3, 3],
            &f64s(&(0..36).map(|k| f64::from(k % 7) - 2.5).collect::<Vec<_>>()),
        ),
    )]);
    let args = ["k.npy", "k.npy", "--conv", "20x20", "--padding", "zeros"];
    let r = bound(here.path(), &args);
    let (above, below) = (log10(&r, "Lanczos polynomial"), log10(&r, "a signal"));
    assert!(below <= above && above - below < 1e-3, "{below} {above}");
    assert!(above <= log10(&r, "product of norms"));
    assert!(log10(&r, "product of norms") <= log10(&r, "kernels as matrices"));
    let probabilistic: Vec<&Value> = r["bounds"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|b| b["certainty"] == "probabilistic")
        .collect();
    assert_eq!(probabilistic.len(), 1);
    assert_eq!(probabilistic[0]["failure_probability"], json!(1e-10));
    // the same on a torus, where runs of convolutions are one convolution
    let r = bound(here.path(), &["k.npy", "k.npy", "--conv", "20x20"]);
    assert!(log10(&r, "segments") - log10(&r, "a signal") < 1e-3);
}

#[test]
fn what_does_not_fit_is_named() {
    let one = |shape: &[usize]| npy("<f8", shape, &f64s(&vec![1.0; shape.iter().product()]));
    let here = directory(&[
        ("net.safetensors", chain()),
        ("one.npy", one(&[2, 1, 3, 3])),
        ("three.npy", one(&[1, 3, 3, 3])),
        ("dense.npy", one(&[1, 7])),
        (
            "nan.npy",
            npy("<f8", &[1, 1, 1, 2], &f64s(&[f64::NAN, 1.0])),
        ),
        ("pooled.npy", one(&[1, 2])),
    ]);
    let at = here.path();
    refused(
        at,
        &["one.npy", "three.npy", "--conv", "4x4"],
        &["three.npy", "takes 3 channels", "gives 2"],
    );
    refused(
        at,
        &["one.npy", "dense.npy", "--conv", "4x4"],
        &["dense.npy", "takes 7 inputs"],
    );
    refused(
        at,
        &["dense.npy", "one.npy", "--conv", "4x4"],
        &["one.npy", "is a convolution"],
    );
    refused(at, &["dense.npy", "--conv", "4x4"], &["no convolution"]);
    refused(
        at,
        &["net.safetensors", "--conv", "4x4", "--stride", "1,1,1"],
        &["3 strides for 2"],
    );
    refused(at, &["one.npy", "--conv", "0x4"], &["32x32"]);
    refused(at, &["missing.npy", "--conv", "4x4"], &["missing.npy"]);
    let broken = run_in(at, &["bound", "nan.npy", "--conv", "4x4", "--json"], b"");
    assert_eq!(
        (broken.code, &broken.json()["verdict"]),
        (1, &json!("broken"))
    );
    let pooled = bound(at, &["one.npy", "pooled.npy", "--conv", "4x4"]);
    assert_eq!(
        (&pooled["pooled_before"], &pooled["verdict"]),
        (&json!("pooled.npy"), &json!("open"))
    );
    // without the flag kernels are matrices, and a note says so
    let run = run_in(at, &["bound", "one.npy"], b"");
    assert!(
        run.code == 0 && run.stderr.contains("--conv"),
        "{}",
        run.stderr
    );
}

/// `relu(diag(3, 4) x + b)`, summed: 5 with both units open, 3 where the bias closes the second.
#[test]
fn biases_decide_where_the_jacobian_is_taken() {
    let pair = |w: &str, b: &str| {
        safetensors(&[
            (w, "F64", vec![2, 2], f64s(&[3.0, 0.0, 0.0, 4.0])),
            (b, "F64", vec![2], f64s(&[0.0, -10.0])),
            ("out.weight", "F64", vec![1, 2], f64s(&[1.0, 1.0])),
        ])
    };
    let here = directory(&[
        ("named.safetensors", pair("fc.weight", "fc.bias")),
        ("other.safetensors", pair("fc.weight", "scale")),
        ("x.npy", npy("<f8", &[2], &f64s(&[1.0, 1.0]))),
        ("long.npy", npy("<f8", &[3], &f64s(&[1.0; 3]))),
        ("nan.npy", npy("<f8", &[2], &f64s(&[1.0, f64::NAN]))),
    ]);
    let at = |file: &str| {
        let r = bound(
            here.path(),
            &[file, "--activation", "relu", "--at", "x.npy"],
        );
        let skipped = r["skipped"].as_array().unwrap().len();
        (
            10f64.powf(log10(&r, "norm at the given input")),
            r["biases"].clone(),
            skipped,
        )
    };
    let (value, biases, skipped) = at("named.safetensors");
    assert!((value - 3.0).abs() < 1e-12);
    assert_eq!((biases, skipped), (json!(1), 0));
    let (value, biases, skipped) = at("other.safetensors");
    assert!((value - 5.0).abs() < 1e-12);
    assert_eq!((biases, skipped), (json!(0), 1));
    let file = "named.safetensors";
    refused(
        here.path(),
        &[file, "--at", "x.npy"],
        &["--at", "activation"],
    );
    let relu = [file, "--activation", "relu", "--at"];
    refused(
        here.path(),
        &[&relu[..], &["long.npy"]].concat(),
        &["--at", "3 entries", "takes 2"],
    );
    refused(
        here.path(),
        &[&relu[..], &["nan.npy"]].concat(),
        &["--at", "NaN"],
    );
    refused(
        here.path(),
        &[&relu[..], &["named.safetensors"]].concat(),
        &["3 tensors", "FILE::TENSOR"],
    );
}

#[test]
fn networks_are_drawn_from_a_model() {
    let here = directory(&[("w.npy", npy("<f8", &[2, 2], &f64s(&[1.0; 4])))]);
    let at = here.path();
    let tanh = [
        "--depth",
        "3",
        "--width",
        "6",
        "--activation",
        "tanh",
        "--points",
        "5",
    ];
    let r = bound(at, &tanh);
    assert_eq!(
        (&r["layers"], &r["widths"]),
        (&json!(4), &json!([6, 6, 6, 6, 1]))
    );
    assert!(r["model"].as_str().unwrap().contains("tanh"));
    assert!(log10(&r, "largest norm at sampled points") <= log10(&r, "diagonal certificate"));
    let seeded = bound(at, &[&tanh[..], &["--seed", "1"]].concat());
    assert_ne!(seeded["bounds"], r["bounds"]);
    // alpha multiplies the weights of every layer
    let twice = bound(at, &[&tanh[..], &["--alpha", "2"]].concat());
    let moved = log10(&twice, "product of norms") - log10(&r, "product of norms");
    assert!(moved > 3.0 * 2f64.log10() - 1e-9, "{moved}");
    let residual = bound(at, &[&tanh[..], &["--residual", "0.25"]].concat());
    assert_eq!(residual["residual_beta"], json!(0.25));
    assert!(log10(&residual, "centred branches") <= log10(&residual, "1 + norms of branches"));
    refused(
        at,
        &[&tanh[..], &["--normalization", "rms"]].concat(),
        &["--normalization", "global"],
    );
    refused(
        at,
        &[&tanh[..], &["--dropout", "0.5"]].concat(),
        &["--dropout"],
    );
    refused(at, &[&tanh[..], &["w.npy"]].concat(), &["one place"]);
    refused(
        at,
        &[&tanh[..], &["--gaussian", "3x3"]].concat(),
        &["one place"],
    );
    refused(at, &["w.npy", "--init", "orthogonal"], &["--init", "drawn"]);
    refused(at, &["w.npy", "--alpha", "2"], &["--alpha"]);
    refused(at, &["--gaussian", "3x3", "--conv", "3x3"], &["--conv"]);
    refused(at, &[], &["which layers"]);
    refused(
        at,
        &[
            "--depth",
            "3",
            "--width",
            "4",
            "--activation",
            "squared_relu",
        ],
        &["without limit"],
    );
    refused(at, &["--model", "nowhere.toml"], &["nowhere.toml"]);
}
