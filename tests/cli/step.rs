//! `isometer step`: norms at the ends of the range, names, findings and exit codes.

use super::files::{directory, f32s, safetensors};
use super::{run, run_in};
use serde_json::Value;

const COUNT: usize = 64;

fn file(tensors: &[(&str, &[usize], Vec<f32>)]) -> Vec<u8> {
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, shape, x)| (*name, "F32", shape.to_vec(), f32s(x)))
        .collect();
    safetensors(&tensors)
}

fn near(value: &Value, truth: f64) {
    let x = value.as_f64().unwrap();
    assert!((x / truth - 1.0).abs() < 1e-6, "{x} is not {truth}");
}

/// Squares of 1e-23 and of 1e19 leave the range of f32: the norms do not.
#[test]
fn lars_matches_names_and_survives_any_scale() {
    let flat = |x: f32| vec![x; COUNT];
    let weights = file(&[
        ("tiny.weight", &[8, 8], flat(1e-23)),
        ("huge.weight", &[8, 8], flat(1e19)),
        ("fc.weight", &[2, 2], vec![3.0, 0.0, 0.0, 4.0]),
        ("fc.bias", &[2], vec![1.0, 1.0]),
        ("zero.weight", &[2, 2], vec![0.0; 4]),
        ("frozen.weight", &[2, 2], vec![1.0; 4]),
    ]);
    let gradients = file(&[
        ("huge.weight", &[8, 8], flat(1e19)),
        ("module.tiny.weight", &[8, 8], flat(1e-23)),
        ("fc.weight.grad", &[2, 2], vec![0.0, 2.0, 0.0, 0.0]),
        ("fc.bias", &[2], vec![1.0, 1.0]),
        ("zero.weight", &[2, 2], vec![1.0; 4]),
        ("stray", &[2, 2], vec![1.0; 4]),
    ]);
    let here = directory(&[("w.safetensors", weights), ("g.safetensors", gradients)]);
    let args = [
        "step",
        "lars",
        "w.safetensors",
        "--gradients",
        "g.safetensors",
        "--trust",
        "0.5",
        "--json",
    ];
    let done = run_in(here.path(), &args, b"");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let document = done.json();
    assert_eq!(
        (&document["command"], &document["step"]),
        (&"step".into(), &"lars".into())
    );
    let row = |name: &str| {
        let results = document["results"].as_array().unwrap();
        let mut found = results
            .iter()
            .filter(|r| r["source"].as_str().unwrap().ends_with(name));
        found
            .next()
            .unwrap_or_else(|| panic!("{name}: {document:#}"))
    };
    near(&row("tiny.weight")["weight_norm"]["value"], 8e-23);
    near(&row("huge.weight")["weight_norm"]["value"], 8e19);
    near(&row("tiny.weight")["trust_ratio"], 0.5);
    near(&row("fc.weight")["trust_ratio"], 1.25);
    assert_eq!(row("fc.bias")["rule"], "excluded-1d");
    assert_eq!(
        (
            &row("zero.weight")["rule"],
            &row("zero.weight")["trust_ratio"]
        ),
        (&"zero-weights".into(), &Value::from(1.0))
    );
    let unmatched: Vec<&str> = document["unmatched"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| u["source"].as_str().unwrap())
        .collect();
    assert_eq!(
        unmatched,
        ["w.safetensors::frozen.weight", "g.safetensors::stray"]
    );
    for format in ["table", "markdown", "csv"] {
        let text = run_in(
            here.path(),
            &[&args[..7], &["--format", format]].concat(),
            b"",
        );
        assert!(
            text.code == 0 && text.stdout.contains("fc.bias"),
            "{}",
            text.stdout
        );
    }
    let lamb = run_in(
        here.path(),
        &[
            "step",
            "lamb",
            "w.safetensors",
            "--gradients",
            "g.safetensors",
            "--lr",
            "0.01",
            "--json",
        ],
        b"",
    )
    .json();
    for r in lamb["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["rule"] == "formula")
    {
        near(&r["relative_update"], 0.01);
    }
}

#[test]
fn broken_gradients_are_findings_and_strangers_are_refused() {
    let weights = file(&[
        ("a", &[1, 2], vec![1.0, 2.0]),
        ("b", &[1, 2], vec![1.0, 2.0]),
    ]);
    let bad = file(&[
        ("a", &[1, 2], vec![1.0, f32::NAN]),
        ("b", &[2, 1], vec![1.0, 2.0]),
    ]);
    let other = file(&[
        ("x", &[1, 2], vec![1.0, 2.0]),
        ("y", &[1, 2], vec![1.0, 2.0]),
    ]);
    let here = directory(&[
        ("w.safetensors", weights),
        ("bad.safetensors", bad),
        ("other.safetensors", other),
    ]);
    let step = |gradients: &str| {
        run_in(
            here.path(),
            &[
                "step",
                "lars",
                "w.safetensors",
                "--gradients",
                gradients,
                "--json",
            ],
            b"",
        )
    };
    let broken = step("bad.safetensors");
    assert_eq!(broken.code, 1);
    let reasons: Vec<Value> = broken.json()["broken"].as_array().unwrap().clone();
    assert!(
        reasons[0]["reason"]
            .as_str()
            .unwrap()
            .contains("NaN at [0, 1]"),
        "{reasons:?}"
    );
    assert!(
        reasons[1]["reason"].as_str().unwrap().contains("2 x 1"),
        "{reasons:?}"
    );
    assert_eq!(step("other.safetensors").code, 2);
    let clip = run_in(
        here.path(),
        &[
            "step",
            "clip",
            "bad.safetensors",
            "--max-norm",
            "1",
            "--json",
        ],
        b"",
    );
    assert_eq!((clip.code, &clip.json()["verdict"]), (1, &"broken".into()));
}

#[test]
fn clipping_by_tensor_turns_the_step() {
    let grads = file(&[("a", &[1, 2], vec![3.0, 4.0]), ("b", &[2], vec![0.6, 0.8])]);
    let here = directory(&[("g.safetensors", grads)]);
    let clip = |more: &[&str]| {
        let args = [
            &["step", "clip", "g.safetensors", "--json", "--max-norm"],
            more,
        ]
        .concat();
        let done = run_in(here.path(), &args, b"");
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.json()
    };
    let global = clip(&["1"]);
    assert_eq!(global["verdict"], "clipped");
    near(&global["factor"], 1.0 / 26f64.sqrt());
    assert_eq!(global["ways"]["global_norm"]["angle_degrees"], 0.0);
    // (3, 4) and (0.6, 0.8) clipped to unit length: cos = 6 / sqrt(26 * 2)
    near(
        &global["ways"]["per_tensor"]["angle_degrees"],
        (6.0 / 52f64.sqrt()).acos().to_degrees(),
    );
    let own = clip(&["1", "--per-tensor"]);
    near(&own["results"][0]["factor"], 0.2);
    assert_eq!(clip(&["100"])["verdict"], "unchanged");
}

/// Exact statements, and the exit code of each.
#[test]
fn descent_tells_overshooting_from_divergence() {
    for (lr, verdict, code) in [
        ("0.1", "converges", 0),
        ("0.25", "converges", 0),
        ("0.3", "overshoots", 0),
        ("0.5", "bounces", 1),
        ("0.51", "diverges", 1),
    ] {
        let done = run(
            &[
                "step",
                "descent",
                "--curvature",
                "1,4",
                "--lr",
                lr,
                "--json",
            ],
            "",
        );
        assert_eq!(
            (done.code, done.json()["verdict"].as_str()),
            (code, Some(verdict)),
            "{lr}"
        );
    }
    let saddle = run(&["step", "descent", "--curvature", "-1,4", "--json"], "");
    assert_eq!(
        (saddle.code, saddle.json()["verdict"].as_str()),
        (1, Some("no-minimum"))
    );
    let document = run(
        &["step", "descent", "--matrix", "-", "--json"],
        "2 1\n1 2\n",
    )
    .json();
    let limit = &document["converges_below"];
    assert!(
        limit["lo"].as_f64().unwrap() <= 2.0 / 3.0 && 2.0 / 3.0 <= limit["hi"].as_f64().unwrap()
    );
    near(&limit["value"], 2.0 / 3.0);
    assert_eq!(document["curvature"]["certainty"], "certified");
    let gram = run(
        &[
            "step", "descent", "--matrix", "-", "--gram", "--lr", "0.3", "--json",
        ],
        "1 0\n0 2\n0 0\n",
    );
    assert_eq!(gram.json()["verdict"], "overshoots");
    let refused = run(
        &["step", "descent", "--matrix", "-", "--json"],
        "1 2\n3 4\n",
    );
    assert_eq!(
        (refused.code, refused.json()["error"]["kind"].as_str()),
        (2, Some("unusable-input"))
    );
    assert!(refused.stderr.contains("--gram"), "{}", refused.stderr);
}

#[test]
fn alpha_acts_on_the_learning_rate_by_optimizer() {
    for (optimizer, power) in [
        ("sgd", 2),
        ("momentum", 2),
        ("adam", 1),
        ("adamw", 1),
        ("lars", 0),
        ("lion", 1),
    ] {
        let done = run(
            &[
                "step",
                "descent",
                "--curvature",
                "1,4",
                "--lr",
                "0.01",
                "--alpha",
                "3",
                "--optimizer",
                optimizer,
                "--json",
            ],
            "",
        );
        near(&done.json()["effective_lr"], 0.01 * 3f64.powi(power));
    }
    let invariant = run(
        &[
            "step",
            "descent",
            "--curvature",
            "1,4",
            "--lr",
            "0.1",
            "--scale-invariant",
            "--weight-norm",
            "10",
            "--weight-decay",
            "0.05",
            "--json",
        ],
        "",
    )
    .json();
    near(&invariant["scale_invariant"]["effective_lr"], 1e-3);
    near(&invariant["scale_invariant"]["equilibrium_angle"], 0.1);
    // alpha 3 brings 0.1 over the limit 0.5/9 of stored weights
    let done = run(
        &[
            "step",
            "descent",
            "--curvature",
            "1,4",
            "--lr",
            "0.1",
            "--alpha",
            "3",
            "--json",
        ],
        "",
    );
    assert_eq!(done.code, 1);
    near(&done.json()["alpha"]["lr_converges_below"], 0.5 / 9.0);
}
