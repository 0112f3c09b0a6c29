//! `alpha` and `precision`: what scripts read.

use super::run;
use serde_json::Value;

const PRODUCT: [&str; 9] = [
    "alpha",
    "--depth",
    "100",
    "--width",
    "4",
    "--activation",
    "linear",
    "--sigma-w2",
    "4",
];

#[test]
fn alpha_as_json() {
    let r = run(
        &[&PRODUCT[..], &["--json", "--sweep", "0.25,1"]].concat(),
        "",
    );
    assert_eq!(r.code, 0, "{}", r.stderr);
    let d = r.json();
    assert_eq!(d["command"], "alpha");
    assert_eq!(d["verdict"], "grows-with-alpha");
    let results = d["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert_eq!(results[0]["verdict"], "vanishing");
    let typical = d["critical_alpha"]["typical"].as_f64().unwrap();
    assert!((typical - 0.5724).abs() < 5e-5);
    assert_eq!(d["at_critical"]["typical"]["verdict"], "stable");
    assert_eq!(d["within"]["lower"], Value::Null);
    let consequences = d["consequences"].as_array().unwrap();
    assert!(consequences.iter().all(|c| c["certainty"] == "exact"));
    assert_eq!(consequences[0]["exponent"], 101);
}

#[test]
fn alpha_refuses_what_is_no_sweep() {
    for (flags, word) in [
        (&["--sweep", "0"][..], "--sweep"),
        (&["--from", "-1", "--to", "2"], "--from"),
        (&["--within", "0.5"], "--within"),
        (&["--probability", "2"], "--probability"),
    ] {
        let r = run(&[&PRODUCT[..], flags, &["--json"]].concat(), "");
        assert_eq!(r.code, 2, "{flags:?}");
        assert_eq!(r.json()["error"]["kind"], "usage");
        assert!(r.stderr.contains(word), "{}", r.stderr);
    }
    assert_eq!(run(&["alpha"], "").code, 2);
}

#[test]
fn layouts() {
    let lines = |args: &[&str], format: &str| {
        let r = run(&[args, &["--format", format]].concat(), "");
        assert_eq!(r.code, 0, "{}", r.stderr);
        r.stdout
    };
    assert_eq!(lines(&PRODUCT, "csv").lines().count(), 10);
    assert!(lines(&PRODUCT, "markdown").starts_with("| alpha |"));
    let precision = ["precision", "--depth", "5", "--width", "8"];
    assert_eq!(lines(&precision, "csv").lines().count(), 10);
    assert!(lines(&precision, "markdown").starts_with("| rounding |"));
}

#[test]
fn gradients_in_files_are_counted() {
    let r = run(
        &["precision", "-", "--json"],
        "1 0 1e-9\n-2e-8 70000 1e-5\n",
    );
    assert_eq!(r.code, 0, "{}", r.stderr);
    let d = r.json();
    assert_eq!(d["command"], "precision");
    assert_eq!(d["verdict"], "no-loss-scale");
    let t = &d["tensors"][0];
    assert_eq!(
        (t["count"].as_u64(), t["zeros"].as_u64()),
        (Some(6), Some(1))
    );
    // of five values that are not zero: 2^-25 is 3e-8, 2^-14 is 6e-5
    assert_eq!(t["shares"]["f16"]["underflow"], 0.4);
    assert_eq!(t["shares"]["f16"]["subnormal"], 0.2);
    assert_eq!(t["shares"]["f16"]["overflow"], 0.2);
    assert_eq!(t["shares"]["bf16"]["underflow"], 0.0);
    assert!(d["loss_scale"]["missing_bits"].as_f64().unwrap() > 4.0);
}

#[test]
fn findings_have_their_exit_code() {
    let gradients = "1 1e-9\n1 1\n";
    let code = |flags: &[&str]| run(&[&["precision", "-"], flags].concat(), gradients).code;
    assert_eq!(code(&[]), 0);
    assert_eq!(code(&["--fail-underflow", "0.3"]), 0);
    assert_eq!(code(&["--fail-underflow", "0.2"]), 1);
    assert_eq!(
        code(&["--fail-underflow", "0.2", "--format-bits", "bf16"]),
        0
    );
    let broken = run(&["precision", "-", "--json"], "1 nan\n");
    assert_eq!(broken.code, 1);
    assert_eq!(broken.json()["verdict"], "broken");
    assert_eq!(run(&["precision"], "").code, 2);
    let both = ["precision", "-", "--depth", "2", "--width", "2"];
    assert_eq!(run(&both, gradients).code, 2);
}

#[test]
fn a_network_and_its_formats() {
    let args = [
        "precision",
        "--depth",
        "40",
        "--width",
        "64",
        "--sigma-w2",
        "0.3333333333333333",
        "--lr",
        "0.1",
        "--json",
    ];
    let d = run(&args, "").json();
    let f16 = &d["formats"]["f16"];
    let depth = f16["flushed"]["underflow_depth_mean"].as_f64().unwrap();
    assert!((depth - 10.831_878_602_567_164).abs() < 1e-6);
    assert_eq!(f16["overflow_depth_mean"], "inf");
    assert!(f16["p_underflow"].as_f64().unwrap() > 0.99);
    assert!(f16["lost_updates"]["layers"].is_array());
    assert!(d["loss_scale"]["fits"].is_boolean());
    let strict = run(&[&args[..], &["--fail-underflow", "0.5"]].concat(), "");
    assert_eq!(strict.code, 1);
    assert_eq!(strict.json()["verdict"], "above-threshold");
}
