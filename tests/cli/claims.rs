//! `isometer claims` and `isometer symmetry`.

use super::files::{directory, f32s, safetensors};
use super::{run, run_in};

#[test]
fn a_claim_in_full_and_a_name_that_is_none() {
    let done = run(&["claims", "overshooting-diverges", "--json"], "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let claim = done.json()["claims"][0].clone();
    assert_eq!(claim["id"], "overshooting-diverges");
    assert_eq!(claim["verdict"], "true only if");
    for key in ["statement", "condition", "theorem", "origin", "code"] {
        assert!(claim[key].as_str().is_some_and(|s| !s.is_empty()), "{key}");
    }
    assert_eq!(claim["evidence"]["holds"], true);
    let cases = claim["evidence"]["cases"].as_array().unwrap();
    // learning rate 0.3 jumps across the minimum 40 times and has shrunk the error by 0.2^40
    assert_eq!(cases[0]["jumps_across_the_minimum"], 40.0);
    let left = cases[0]["error_at_the_end_over_first"].as_f64().unwrap();
    assert!((left / 0.2f64.powi(40) - 1.0).abs() < 1e-9, "{left}");
    let typo = run(&["claims", "overshoting-diverge", "--json"], "");
    assert_eq!(typo.code, 2);
    assert!(
        typo.stderr.contains("overshooting-diverges"),
        "{}",
        typo.stderr
    );
    assert_eq!(typo.json()["error"]["kind"], "usage");
}

#[test]
fn all_claims_in_one_line_each() {
    let table = run(&["claims"], "");
    assert_eq!(table.code, 0, "{}", table.stderr);
    assert!(table.stdout.lines().count() > 30);
    for id in [
        "large-alpha-vanishes",
        "bf16-cannot-overflow",
        "power-iteration-bounds-above",
    ] {
        assert_eq!(
            table.stdout.lines().filter(|l| l.starts_with(id)).count(),
            1,
            "{id}"
        );
    }
}

#[test]
fn symmetry_across_files_and_with_biases() {
    let layer = |w: Vec<f32>, b: Vec<f32>| {
        safetensors(&[
            ("fc.weight", "F32", vec![3, 2], f32s(&w)),
            ("fc.bias", "F32", vec![3], f32s(&b)),
        ])
    };
    let here = directory(&[
        (
            "a.safetensors",
            layer(vec![1.0, 2.0, 3.0, 4.0, 1.0, 2.0], vec![0.0, 0.0, 1.0]),
        ),
        (
            "b.safetensors",
            layer(vec![3.0, 4.0, 1.0, 2.0, 1.0, 2.0], vec![0.0; 3]),
        ),
    ]);
    let done = run_in(
        here.path(),
        &["symmetry", "a.safetensors", "b.safetensors", "--json"],
        b"",
    );
    assert_eq!(done.code, 1);
    let document = done.json();
    // the biases of the first file tell its equal rows apart
    assert_eq!(
        document["results"][0]["copies"].as_array().unwrap().len(),
        0
    );
    assert_eq!(document["results"][1]["copies"][0]["second"], 2);
    assert_eq!(
        document["permuted"][0]["order"],
        serde_json::json!([1, 0, 2])
    );
    let single = run(&["symmetry", "-"], "1 2\n3 5\n");
    assert_eq!(single.code, 0, "{}", single.stdout);
}
