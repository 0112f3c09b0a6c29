//! `isometer check` as scripts see it.

use super::run;
use serde_json::json;

const RELU: [&str; 9] = [
    "check",
    "--depth",
    "3",
    "--width",
    "8",
    "--activation",
    "relu",
    "--samples",
    "2500",
];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    RELU.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn a_right_prediction_agrees_in_every_layout() {
    let document = run(&with(&["--json"]), "").json();
    assert_eq!(document["verdict"], "agrees");
    assert_eq!(document["samples"], 2500);
    assert_eq!(document["sampler"], "deferred");
    let comparisons = document["comparisons"].as_array().unwrap();
    assert!(comparisons.len() > 40);
    for c in comparisons {
        assert!(
            c["quantity"].is_string() && c["predicted"].is_number(),
            "{c}"
        );
        assert_eq!(c["verdict"], "agrees");
    }
    for format in ["table", "markdown", "csv"] {
        let out = run(&with(&["--format", format]), "");
        assert_eq!((out.code, out.stderr.as_str()), (0, ""));
        assert!(out.stdout.contains("jvp.mean_ln_square"), "{}", out.stdout);
    }
}

#[test]
fn the_output_is_the_same_at_any_number_of_threads() {
    let at = |threads: &str| run(&with(&["--json", "--threads", threads]), "").stdout;
    let one = at("1");
    assert_eq!(one, at("2"));
    assert_eq!(one, at("5"));
    assert_ne!(one, run(&with(&["--json", "--seed", "1"]), "").stdout);
}

#[test]
fn refusals_say_why() {
    let refused = |args: &[&str]| {
        let out = run(args, "");
        assert_eq!(out.code, 2, "{args:?}");
        out.json()["error"].clone()
    };
    let constant = refused(&[
        "check",
        "--depth",
        "2",
        "--width",
        "3",
        "--init",
        "constant:value=0.5",
        "--json",
    ]);
    assert_eq!(constant["kind"], "unusable-input");
    assert!(
        constant["message"]
            .as_str()
            .unwrap()
            .contains("equal weights"),
        "{constant}"
    );
    for more in [
        ["--samples", "1"],
        ["--confidence", "1"],
        ["--confidence", "nan"],
    ] {
        let mut args = vec!["check", "--depth", "2", "--width", "3", "--json"];
        args.extend(more);
        assert_eq!(refused(&args)["kind"], json!("usage"), "{more:?}");
    }
    let uniform = refused(&[
        "check",
        "--depth",
        "2",
        "--width",
        "3",
        "--init",
        "kaiming_uniform",
        "--sampler",
        "deferred",
        "--json",
    ]);
    assert!(
        uniform["message"]
            .as_str()
            .unwrap()
            .contains("Gaussian and Haar"),
        "{uniform}"
    );
    // a model of which only the growth at a fixed point is predicted
    let growth = refused(&[
        "check",
        "--depth",
        "3",
        "--width",
        "8",
        "--activation",
        "tanh",
        "--normalization",
        "batch:4",
        "--samples",
        "100",
        "--json",
    ]);
    let message = growth["message"].as_str().unwrap();
    assert!(message.contains("nothing to compare"), "{growth}");
    let both = refused(&["check", "--suite", "--depth", "2", "--width", "3", "--json"]);
    assert_eq!(both["kind"], "usage");
}
