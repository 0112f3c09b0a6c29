//! `cond --conv`: kernels as the convolutions they are.

use super::files::{directory, f32s, f64s, npy, safetensors};
use super::run_in;
use serde_json::{Value, json};
use std::path::Path;

fn result(here: &Path, args: &[&str]) -> Value {
    let run = run_in(here, &[&["cond", "--json"], args].concat(), b"");
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.result()
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("{v} is no number"))
}

/// A mean filter on one channel: norm 1 on any torus, a third of it as a matrix.
fn mean_filter() -> Vec<u8> {
    npy("<f8", &[1, 1, 3, 3], &f64s(&[1.0; 9]))
}

#[test]
fn a_kernel_on_a_torus() {
    let here = directory(&[("k.npy", mean_filter())]);
    let r = result(here.path(), &["k.npy", "--conv", "8x6"]);
    assert_eq!(
        (&r["shape"], &r["matrix"]),
        (&json!([1, 1, 3, 3]), &json!([48, 48]))
    );
    assert_eq!((&r["source"], &r["norm"]), (&json!("k.npy"), &json!("2")));
    assert_eq!(r["certainty"], "certified");
    assert!(number(&r["sigma_max"]["lo"]) <= 9.0 && number(&r["sigma_max"]["hi"]) >= 9.0);
    let c = &r["convolution"];
    assert_eq!(
        (&c["input"], &c["output"], &c["kernel"]),
        (&json!([8, 6]), &json!([8, 6]), &json!([3, 3]))
    );
    assert_eq!(
        (&c["padding"], &c["layout"]),
        (&json!("circular"), &json!("oihw"))
    );
    assert!((number(&c["reshaped_norm"]["value"]) - 3.0).abs() < 1e-14);
    assert!((number(&c["norm_over_reshaped_norm"]["value"]) - 3.0).abs() < 1e-12);
    let s = result(here.path(), &["k.npy", "--conv", "8x6", "--spectrum"]);
    let values: Vec<f64> = serde_json::from_value(s["singular_values"].clone()).unwrap();
    assert_eq!(
        (values.len(), s["certainty"].as_str()),
        (48, Some("estimate"))
    );
    let table = run_in(here.path(), &["cond", "k.npy", "--conv", "8x6"], b"");
    assert!(
        table.stdout.contains("on a 8x6 torus: norm 9.0") && table.stdout.contains("spectral_norm"),
        "{}",
        table.stdout
    );
    assert!(table.stderr.is_empty(), "{}", table.stderr);
}

#[test]
fn zeros_give_bounds_with_labels() {
    let here = directory(&[("k.npy", npy("<f8", &[2, 2, 3, 3], &f64s(&[1.0; 36])))]);
    let args = ["k.npy", "--conv", "40x40", "--padding", "zeros"];
    let r = result(here.path(), &args);
    assert_eq!(
        (&r["certainty"], &r["sigma_min_certainty"]),
        (&json!("lower"), &json!("upper"))
    );
    assert_eq!(
        (&r["sigma_max_certainty"], &r["method"]),
        (&json!("certified"), &json!("torus-embedding"))
    );
    // 2 (1 + 2 cos(pi / 41))^2: the zero-padded sum of three neighbours, on both axes
    let truth = 2.0 * (1.0 + 2.0 * (std::f64::consts::PI / 41.0).cos()).powi(2);
    let bounds = r["convolution"]["bounds"].as_array().unwrap();
    assert_eq!(bounds.len(), 3);
    for b in bounds {
        let value = number(&b["value"]);
        let right = match b["kind"].as_str() {
            Some("upper") => value >= truth,
            _ => value <= truth,
        };
        assert!(right && (value / truth - 1.0).abs() < 0.02, "{b:#}");
        assert_eq!(
            b["certainty"] == "probabilistic",
            b.get("failure_probability").is_some()
        );
    }
    // a small map is written down and proved
    let args = ["k.npy", "--conv", "6", "--padding", "zeros:1"];
    let small = result(here.path(), &args);
    assert_eq!(small["certainty"], "certified");
    let truth = 2.0 * (1.0 + 2.0 * (std::f64::consts::PI / 7.0).cos()).powi(2);
    assert!((number(&small["sigma_max"]["value"]) / truth - 1.0).abs() < 1e-12);
}

#[test]
fn layout_stride_groups_and_one_dimension() {
    let count = 2 * 3 * 2;
    let torch: Vec<f64> = (0..count).map(|k| ((k * 7) % 5) as f64 - 2.0).collect();
    // [o, i, w] to [w, i, o]
    let keras: Vec<f64> = (0..count)
        .map(|k| torch[(k % 2 * 3 + k / 2 % 3) * 2 + k / 6])
        .collect();
    let here = directory(&[
        ("torch.npy", npy("<f8", &[2, 3, 2], &f64s(&torch))),
        ("keras.npy", npy("<f8", &[2, 3, 2], &f64s(&keras))),
    ]);
    let a = result(here.path(), &["torch.npy", "--conv", "8", "--stride", "2"]);
    let args = [
        "keras.npy",
        "--conv",
        "8",
        "--stride",
        "2",
        "--layout",
        "hwio",
    ];
    let b = result(here.path(), &args);
    assert_eq!(a["sigma_max"], b["sigma_max"]);
    assert_eq!(a["convolution"]["output"], json!([4]));
    assert_eq!(a["matrix"], json!([8, 24]));
    let g = result(here.path(), &["torch.npy", "--conv", "8", "--groups", "2"]);
    assert_eq!(g["matrix"], json!([16, 48]));
}

#[test]
fn what_does_not_fit_is_named_and_flags_go_together() {
    let here = directory(&[("k.npy", mean_filter())]);
    let run = |args: &[&str]| {
        run_in(
            here.path(),
            &[&["cond", "--json", "k.npy"], args].concat(),
            b"",
        )
    };
    let odd = run(&["--conv", "7x8", "--stride", "2"]);
    assert_eq!(
        (odd.code, &odd.json()["skipped"][0]["kind"]),
        (2, &json!("not-a-convolution"))
    );
    assert!(
        odd.stderr.contains("stride 2 must divide the size 7"),
        "{}",
        odd.stderr
    );
    for args in [
        &["--stride", "2"][..],
        &["--conv", "8x0"],
        &["--conv", "8x8", "--norm", "1"],
        &["--conv", "8x8", "--padding", "same"],
    ] {
        let refused = run(args);
        assert_eq!(
            (refused.code, &refused.json()["error"]["kind"]),
            (2, &json!("usage")),
            "{args:?}"
        );
    }
}

#[test]
fn without_the_flag_a_note_points_to_it() {
    let file = safetensors(&[
        ("conv", "F32", vec![1, 1, 3, 3], f32s(&[1.0; 9])),
        ("fc", "F32", vec![2, 2], f32s(&[1.0, 0.0, 0.0, 2.0])),
    ]);
    let here = directory(&[("m.safetensors", file)]);
    let plain = run_in(here.path(), &["cond", "m.safetensors", "--json"], b"");
    assert!(plain.stderr.contains("--conv HxW"), "{}", plain.stderr);
    assert_eq!(
        plain.json()["results"][0]["source"],
        "m.safetensors::conv#reshape(d0,-1)"
    );
    let quiet = run_in(
        here.path(),
        &["cond", "m.safetensors", "--json", "--quiet"],
        b"",
    );
    assert!(quiet.stderr.is_empty(), "{}", quiet.stderr);
    // matrices stay matrices beside convolutions
    let both = run_in(
        here.path(),
        &["cond", "m.safetensors", "--json", "--conv", "8x8"],
        b"",
    );
    let document = both.json();
    assert_eq!(document["results"][1]["cond"]["value"], 2.0);
    assert!(document["results"][1].get("convolution").is_none());
    assert!(document["results"][0]["convolution"].is_object());
}
