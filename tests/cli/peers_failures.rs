//! Inputs on which other tools fail, mislead, or never return; each has a good answer.

use super::files::{bf16s, directory, f16s, f32s, npy, safetensors, text};
use super::{run, run_in};
use serde_json::{Value, json};

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("a number, not {v}"))
}

/// Forming the product in f64 says 2.4e18 at depth 200 and fails at depth 400.
///
/// For n x n standard normal layers ln kappa grows by `(psi(n/2) - psi(1/2)) / 2` = 2.7068 a layer
/// for n = 64 (Newman, Comm. Math. Phys. 103, 1986), with a variance below `psi'(1/2) / 2` = 2.47
/// a layer; five standard deviations of room on both sides.
#[test]
fn products_far_beyond_f64() {
    for depth in [200.0f64, 400.0] {
        let run = run(
            &["product", "--gaussian", &format!("{depth}x64"), "--json"],
            "",
        );
        assert_eq!(run.code, 0, "{}", run.stderr);
        let p = run.json();
        let ln10 = std::f64::consts::LN_10;
        let (mean, room) = (2.7068 * depth / ln10, 5.0 * (2.47 * depth).sqrt() / ln10);
        let cond = number(&p["log10_cond"]);
        assert!(
            (cond - mean).abs() < room,
            "depth {depth}: log10 kappa {cond}, expected {mean} +- {room}"
        );
        assert_eq!(p["verdict"], "ill-conditioned");
        let all = |key: &str| p[key].as_array().unwrap().clone();
        assert_eq!(all("log2_singular_values").len(), 64);
        assert!(all("reliable").iter().all(|r| r == true));
        assert!(all("log2_error_estimate").iter().all(|e| number(e) < 1e-9));
        assert!(number(&p["log10_norm"]) < number(&p["log10_norm_bound"]));
        assert!(number(&p["determinant_residual"]) < 1e-6);
    }
}

#[track_caller]
fn assert_proved_singular(matrix: &str, rank: usize) {
    let run = run(&["cond", "-", "--json"], matrix);
    assert_eq!(
        (run.code, &run.json()["verdict"]),
        (0, &json!("singular")),
        "{}",
        run.stdout
    );
    let r = run.result();
    assert_eq!(
        r["cond"],
        json!({"value": "inf", "lo": "inf", "hi": "inf"}),
        "{r:#}"
    );
    assert_eq!(r["log10_cond"]["value"], "inf");
    assert_eq!(r["exact_rank"], rank);
    assert_eq!(r["rank"], rank);
    assert_eq!(number(&r["sigma_min"]["value"]), 0.0);
    assert_eq!(r["resolvable"], false);
    let table = super::run(&["cond", "-"], matrix).stdout;
    assert!(
        table.contains("0 (exact)") && table.contains("singular"),
        "{table}"
    );
}

#[test]
fn singular_matrices_are_proved_singular() {
    assert_proved_singular("1 2\n2 4\n", 1); // numpy: 4.8e16
    assert_proved_singular(&text(3, 3, |_, _| 1.0), 1); // numpy: 1.4e48
    assert_proved_singular(&text(3, 3, |i, j| (3 * i + j) as f64), 2); // numpy: 2.9e16
    assert_proved_singular(&text(3, 3, |_, _| 0.0), 0); // numpy: inf or nan
}

/// Unit upper triangular with -1 above: `x_i = 2^(63-i)`, `x_63 = 1` has `A x = e_63`, so
/// kappa >= |A e_63| |x| >= 8 * 1.15 * 2^62 or so; the provable floor used here is 9.2e18.
#[test]
fn a_triangle_of_ones_is_worse_than_it_looks() {
    let run = run(
        &["cond", "-", "--json"],
        &text(64, 64, |i, j| match j.cmp(&i) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => 1.0,
            std::cmp::Ordering::Greater => -1.0,
        }),
    );
    let r = run.result();
    assert_eq!(r["certainty"], "certified", "{r:#}");
    assert!(number(&r["cond"]["lo"]) >= 9.2e18, "{r:#}");
    assert_eq!(r["resolvable"], false);
}

/// The stored Hilbert matrix of order 20 has kappa 2.34e18, the ideal one 2.45e28.
#[test]
fn hilbert_is_judged_as_stored() {
    let matrix = text(20, 20, |i, j| 1.0 / (i + j + 1) as f64);
    let run = run(&["cond", "-", "--json"], &matrix);
    let r = run.result();
    assert!(
        (number(&r["cond"]["value"]) / 2.34e18 - 1.0).abs() < 5e-3,
        "{r:#}"
    );
    assert_eq!(r["resolvable"], false);
    let document = run.json();
    assert_eq!(document["verdict"], "ill-conditioned");
    let sentence = document["verdict_sentence"].as_str().unwrap();
    assert!(sentence.contains("input rounding dominates"), "{sentence}");
}

#[test]
fn norms_of_tiny_and_huge_f32_vectors() {
    // Squaring in f32 gives 0 and inf.
    for entry in [1e-23f32, 1e19] {
        let file = npy("<f4", &[1, 64], &f32s(&[entry; 64]));
        let run = run_in(directory(&[]).path(), &["cond", "-", "--json"], &file);
        let r = run.result();
        let norm = number(&r["sigma_max"]["value"]);
        assert!(
            (norm / (8.0 * f64::from(entry)) - 1.0).abs() < 1e-14,
            "{r:#}"
        );
        assert_eq!(r["dtype"], "f32");
    }
}

#[test]
fn one_bad_entry_is_named() {
    for (word, name) in [("nan", "NaN"), ("inf", "inf"), ("-inf", "-inf")] {
        let matrix = format!("1 2 3\n4 5 {word}\n7 8 10\n");
        let run = run(&["cond", "-", "--json"], &matrix);
        let document = run.json();
        assert_eq!((run.code, &document["verdict"]), (1, &json!("broken")));
        assert_eq!(document["results"], json!([]));
        let reason = document["skipped"][0]["reason"].as_str().unwrap();
        assert!(
            reason.contains(name) && reason.contains("[1, 2]"),
            "{reason}"
        );
        assert_eq!(document["skipped"][0]["kind"], "non-finite");
    }
}

#[test]
fn an_empty_matrix_is_refused() {
    let here = directory(&[("empty.npy", npy("<f8", &[0, 3], &[]))]);
    let run = run_in(here.path(), &["cond", "empty.npy", "--json"], b"");
    let document = run.json();
    assert_eq!(
        (run.code, &document["error"]["kind"]),
        (2, &json!("unusable-input"))
    );
    assert_eq!(document["skipped"][0]["kind"], "empty");
    assert!(run.stderr.contains("empty.npy"), "{}", run.stderr);
}

#[test]
fn half_precision_is_read_as_stored() {
    // 1/3 in each format; kappa of diag(1, 1/3) is the reciprocal of the stored number.
    let file = safetensors(&[
        (
            "bf16",
            "BF16",
            vec![2, 2],
            bf16s(&[1.0, 0.0, 0.0, 1.0 / 3.0]),
        ),
        ("f16", "F16", vec![2, 2], f16s(&[1.0, 0.0, 0.0, 1.0 / 3.0])),
    ]);
    let here = directory(&[("m.safetensors", file)]);
    let run = run_in(here.path(), &["cond", "m.safetensors", "--json"], b"");
    let document = run.json();
    let truncated = f64::from(f32::from_bits((1.0f32 / 3.0).to_bits() & 0xffff_0000));
    let rounded = half::f16::from_f64(1.0 / 3.0).to_f64();
    for (i, stored) in [truncated, rounded].into_iter().enumerate() {
        let kappa = number(&document["results"][i]["cond"]["value"]);
        assert!((kappa * stored - 1.0).abs() < 1e-14, "{document:#}");
    }
}

#[test]
fn kappa_beyond_f64_is_a_logarithm() {
    let run = run(&["cond", "-", "--json"], "1e300 0\n0 1e-300\n");
    let r = run.result();
    assert_eq!(
        r["cond"],
        json!({"value": null, "lo": null, "hi": null}),
        "{r:#}"
    );
    let (lo, hi) = (
        number(&r["log10_cond"]["lo"]),
        number(&r["log10_cond"]["hi"]),
    );
    assert!(lo <= 600.0 && 600.0 <= hi && hi - lo < 1e-9, "{r:#}");
    assert_eq!(number(&r["sigma_min"]["value"]), 1e-300);
    let table = super::run(&["cond", "-"], "1e300 0\n0 1e-300\n").stdout;
    assert!(table.contains("e600"), "{table}");
}
