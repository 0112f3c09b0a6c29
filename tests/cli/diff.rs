//! `diff`, and the page of an audit.

use super::audit::{matrix, normal, tensor};
use super::files::{Tensor, directory, f32s, safetensors};
use super::run_in;
use serde_json::json;

#[test]
fn differences_are_measured_and_failed_on_demand() {
    let (n, base) = (12, normal(144, 1.0, 1));
    let merged: Vec<f32> = base
        .iter()
        .enumerate()
        .map(|(k, x)| x + 0.1 * ((k / n) as f32) * ((k % n) as f32))
        .collect();
    let dir = directory(&[
        (
            "a.safetensors",
            safetensors(&[
                ("w", "F32", vec![n, n], f32s(&base)),
                ("v", "F32", vec![2], f32s(&[1.0, 2.0])),
            ]),
        ),
        (
            "b.safetensors",
            safetensors(&[
                ("w", "F32", vec![n, n], f32s(&merged)),
                ("u", "F32", vec![1], f32s(&[1.0])),
            ]),
        ),
        (
            "nan.safetensors",
            safetensors(&[
                ("w", "F32", vec![n, n], f32s(&[f32::NAN; 144])),
                ("v", "F32", vec![2], f32s(&[1.0, 2.0])),
            ]),
        ),
    ]);
    let diff = |args: &[&str]| run_in(dir.path(), &[&["diff", "--json"], args].concat(), b"");
    let run = diff(&["a.safetensors", "b.safetensors"]);
    let document = run.json();
    assert_eq!((run.code, &document["verdict"]), (0, &json!("structure")));
    let w = tensor(&document, "w");
    // sum of squares of 0.1 i j over i, j < 12 is (0.1 * 506)^2
    let norm: f64 = base
        .iter()
        .map(|x| f64::from(*x).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!((w["relative_frobenius"].as_f64().unwrap() * norm / 50.6 - 1.0).abs() < 1e-5);
    assert!((w["stable_rank_of_difference"].as_f64().unwrap() - 1.0).abs() < 1e-5);
    let moved = w["sigma_max_difference"]["value"].as_f64().unwrap();
    assert!((moved / 50.6 - 1.0).abs() < 1e-5);
    assert_eq!(
        (
            &tensor(&document, "v")["status"],
            &tensor(&document, "u")["status"]
        ),
        (&json!("missing"), &json!("new"))
    );
    assert_eq!(
        diff(&["a.safetensors", "b.safetensors", "--fail-above", "0.5"]).code,
        1
    );
    assert_eq!(diff(&["a.safetensors", "nan.safetensors"]).code, 1);
    assert_eq!(
        diff(&["a.safetensors", "a.safetensors"]).json()["verdict"],
        "same"
    );
    assert_eq!(diff(&["-", "-"]).code, 2);
    assert_eq!(diff(&["a.safetensors", "gone.safetensors"]).code, 2);
}

#[test]
fn a_page_is_written_beside_the_document() {
    let dir = directory(&[(
        "m.safetensors",
        safetensors(&[matrix("</script><b>", 20, 20, 1.0, 1)]),
    )]);
    let args = ["audit", "m.safetensors", "--json", "--report", "page.html"];
    let run = run_in(dir.path(), &args, b"");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains("the report is in page.html"),
        "{}",
        run.stderr
    );
    let sigma = run.json()["tensors"][0]["sigma_max"]["value"]
        .as_f64()
        .unwrap();
    let page = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    assert!(page.contains("Audit of <bdi>m.safetensors</bdi>") && !page.contains("</script><b>"));
    assert!(page.contains(&format!("{sigma:.3}")), "{sigma}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_the_work() {
    let dir = directory(&[("m.safetensors", safetensors(&[matrix("w", 4, 4, 1.0, 1)]))]);
    std::fs::create_dir(dir.path().join("there.html")).unwrap();
    let mut cases = vec![
        ("missing/page.html", "there is no directory missing"),
        ("there.html", "is a directory"),
        ("page.pdf", "end it in .html"),
    ];
    if cfg!(target_os = "linux") {
        // nobody creates files there, root neither
        cases.push(("/proc/page.html", "cannot write /proc/page.html"));
    }
    for (out, message) in cases {
        let run = run_in(
            dir.path(),
            &["audit", "m.safetensors", "--json", "--report", out],
            b"",
        );
        assert_eq!(run.code, 2, "{out}");
        assert_eq!(run.json()["error"]["kind"], "usage", "{out}");
        assert!(
            run.stderr.contains("--report") && run.stderr.contains(message),
            "{}",
            run.stderr
        );
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}

#[test]
fn a_broken_checkpoint_has_a_page_too() {
    let nan: Tensor<'_> = ("w", "F32", vec![2, 2], f32s(&[1.0, f32::NAN, 0.0, 1.0]));
    let dir = directory(&[("m.safetensors", safetensors(&[nan]))]);
    let run = run_in(
        dir.path(),
        &[
            "audit",
            "m.safetensors",
            "--finite-only",
            "--report",
            "p.html",
        ],
        b"",
    );
    assert_eq!(run.code, 1, "{}", run.stderr);
    let page = std::fs::read_to_string(dir.path().join("p.html")).unwrap();
    assert!(page.contains("id=\"rule-nan\"") && page.contains("broken"));
}
