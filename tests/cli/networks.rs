//! `gain` and `phase`.

use super::files::directory;
use super::{run, run_in};
use serde_json::json;
use std::fs;

#[test]
fn gain_lists_every_activation_with_pytorch_beside_it() {
    let document = run(&["gain", "--json"], "").json();
    let results = document["results"].as_array().unwrap();
    assert!(results.len() >= 26);
    let of = |name: &str| results.iter().find(|r| r["activation"] == name).unwrap();
    // the fixed point of gain 5/3, theory.csv R095
    let tanh = of("tanh");
    assert!((tanh["frameworks"]["torch"].as_f64().unwrap() - 5.0 / 3.0).abs() < 1e-15);
    assert!((tanh["chi_at_torch_gain"].as_f64().unwrap() - 1.2098313203828288).abs() < 1e-12);
    assert_eq!(tanh["effect_of_torch_gain"], "grows");
    assert_eq!(of("relu")["effect_of_torch_gain"], "keeps");
    assert!(of("gelu")["frameworks"]["torch"].is_null());
    assert_eq!(of("gelu")["forward_gain_unstable"], true);
    let csv = run(&["gain", "--format", "csv"], "").stdout;
    assert_eq!(csv.lines().count(), results.len() + 1);
    let markdown = run(&["gain", "--format", "markdown"], "").stdout;
    assert!(markdown.starts_with("| activation |"), "{markdown}");
    for q in ["0", "-1", "nan", "inf"] {
        let refused = run(&["gain", "--json", "--at-q", q], "");
        assert_eq!(
            (refused.code, &refused.json()["error"]["kind"]),
            (2, &json!("usage")),
            "{q}"
        );
    }
}

#[test]
fn phase_draws_axes_edge_and_model() {
    let here = directory(&[]);
    let args =
        "phase --activation tanh --sigma-w2 2.25 --sigma-b2 0.05 --resolution 60 --json --out";
    let args = |out: &'static str| args.split(' ').chain([out]).collect::<Vec<_>>();
    let drawn = run_in(here.path(), &args("t.svg"), b"");
    assert_eq!(drawn.code, 0, "{}", drawn.stderr);
    let document = drawn.json();
    assert_eq!(document["verdict"], "chaotic");
    assert!((document["model"]["chi_1"].as_f64().unwrap() - 1.0923379294862612).abs() < 1e-9);
    let edge = document["edge"].as_array().unwrap();
    assert!(!edge.is_empty() && edge.len() <= 64);
    let svg = fs::read_to_string(here.path().join("t.svg")).unwrap();
    assert_eq!(document["bytes"], svg.len());
    for word in [
        "<svg",
        "sigma_w^2",
        "sigma_b^2",
        "ln chi_1",
        "edge of chaos",
        "your model",
    ] {
        assert!(svg.contains(word), "{word}");
    }

    // an existing file is replaced as a whole, and nothing else is left behind
    fs::write(here.path().join("t.png"), "old").unwrap();
    assert_eq!(run_in(here.path(), &args("t.png"), b"").code, 0);
    let png = fs::read(here.path().join("t.png")).unwrap();
    assert_eq!(png[..8], [0x89, b'P', b'N', b'G', 13, 10, 26, 10]);
    assert_eq!(png[png.len() - 8..png.len() - 4], *b"IEND");
    let mut names: Vec<_> = fs::read_dir(here.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["t.png", "t.svg"]);
}

#[test]
fn phase_without_an_edge_and_over_depth() {
    let here = directory(&[]);
    let phase = |args: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        run_in(
            here.path(),
            &[&["phase", "--json", "--resolution", "30"], &args[..]].concat(),
            b"",
        )
    };
    let none = phase("--activation softplus --out s.svg").json();
    assert_eq!(
        (&none["edge_exists"], &none["edge"]),
        (&json!(false), &json!([]))
    );
    assert!(
        none["verdict_sentence"]
            .as_str()
            .unwrap()
            .contains("no edge of chaos")
    );
    // kaiming weights times 1/2 over 10 layers: norms times 2^-10
    let relu = phase("--activation relu --init kaiming_normal --alpha 0.5 --depth 10 --width 64 --axes depth-alpha --out r.svg").json();
    let ln = relu["model"]["ln_mean_square_gradient"].as_f64().unwrap();
    assert!((ln + 20.0 * 2f64.ln()).abs() < 1e-10, "{relu:#}");
    assert_eq!(relu["verdict"], "ordered");
}

#[test]
fn phase_refuses_what_it_cannot_draw_before_computing() {
    let here = directory(&[]);
    for (args, kind) in [
        ("--activation tanh --out x.pdf", "usage"),
        ("--activation tanh --out missing/x.svg", "usage"),
        ("--out x.svg", "usage"),
        ("--activation tanh", "usage"),
        ("--activation tanh --out x.svg --x 3:1", "usage"),
        ("--activation tanh --out x.svg --resolution 1", "usage"),
        (
            "--activation tanh --init normal:std=0.1 --out x.svg",
            "usage",
        ),
        (
            "--activation tanh --depth 3 --width 9 --dropout 0.5 --out x.svg",
            "unusable-input",
        ),
    ] {
        let args: Vec<&str> = ["phase", "--json"]
            .into_iter()
            .chain(args.split(' '))
            .collect();
        let refused = run_in(here.path(), &args, b"");
        assert_eq!(
            (refused.code, &refused.json()["error"]["kind"]),
            (2, &json!(kind)),
            "{args:?}"
        );
    }
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
}
