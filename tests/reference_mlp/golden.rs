//! PyTorch's gradients.

use crate::networks::{Case, structure, values};
use isometer::reference::Scaled;
use serde_json::Value;
use std::path::Path;

/// Relative error granted to sums over a network. Both sides commit at most about 500 roundings a value (4
/// layers, sums of 6, derivatives of functions), each made larger by at most about 100 on the way, the
/// largest slope of a normalization here: 5e4 units of 1.1e-16.
const TOLERANCE: f64 = 5.5e-12;

/// `[<p, x>, |x|^2]` with its scale: an error relative to the sum of magnitudes.
fn check(label: &str, what: &str, tensor: u64, batch: &[Scaled], expected: &Value) {
    let x: Vec<f64> = batch.iter().flat_map(Scaled::to_vec).collect();
    let p = values(tensor, x.len(), 1.0);
    let size: f64 = x.iter().zip(&p).map(|(x, p)| (x * p).abs()).sum();
    let projected: f64 = x.iter().zip(&p).map(|(x, p)| x * p).sum();
    let square: f64 = x.iter().map(|x| x * x).sum();
    for (got, want, size) in [
        (projected, &expected[0], size),
        (square, &expected[1], square),
    ] {
        let want = want.as_f64().unwrap();
        // a bias that batch normalization removes: rounding on both sides, of numbers of order 1
        let error = TOLERANCE * size + 1e-15;
        assert!(
            (got - want).abs() <= error,
            "{label}, {what}: {got:e}, not {want:e}"
        );
    }
}

#[test]
fn gradients_are_those_of_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/reference_mlp/golden.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 60);
    for expected in cases {
        let activation = expected["activation"].as_str().unwrap().parse().unwrap();
        let case = Case::new(
            &activation,
            structure(expected["structure"].as_str().unwrap()),
        );
        let label = case.label();
        let trace = case.mlp.forward_batch(&case.inputs);
        let gradients = trace.backward_batch(&case.cotangents);
        if case.inputs.len() == 1 {
            for (i, want) in expected["output"].as_array().unwrap().iter().enumerate() {
                let (got, want) = (trace.output().get(i), want.as_f64().unwrap());
                assert!(
                    (got - want).abs() <= TOLERANCE * want.abs().max(0.1),
                    "{label}: output"
                );
            }
        } else {
            check(&label, "output", 600, trace.outputs(), &expected["output"]);
        }
        check(&label, "input", 601, gradients.inputs(), &expected["input"]);
        for l in 1..=case.depth + 1 {
            let (w, b) = (&expected["weights"][l - 1], &expected["biases"][l - 1]);
            let what = format!("weights {l}");
            check(&label, &what, 610 + l as u64, &[gradients.weight(l)], w);
            let square = w[1].as_f64().unwrap();
            let ln = gradients.ln_weight_square(l);
            assert!(
                (ln.exp() - square).abs() <= TOLERANCE * square,
                "{label}, {what}"
            );
            if case.structure.bias {
                check(
                    &label,
                    &format!("bias {l}"),
                    620 + l as u64,
                    &[gradients.bias(l)],
                    b,
                );
            }
        }
        let examples = case.inputs.len();
        let u = crate::networks::rows(500, examples, case.widths[0]);
        let v = crate::networks::rows(501, examples, case.widths[case.depth]);
        check(&label, "jvp", 602, &trace.jvps(&u), &expected["jvp"]);
        check(&label, "vjp", 603, &trace.vjps(&v), &expected["vjp"]);
    }
}
