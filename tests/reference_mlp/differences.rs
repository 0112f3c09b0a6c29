//! Gradients against central differences of the forward pass, along one direction that moves inputs,
//! weights and biases together.

use crate::dual::{Direction, along};
use crate::networks::{Case, READOUT};
use isometer::reference::{Dense, Mlp, Scaled};

/// The network and the inputs moved by `t` along the direction.
fn objective(case: &Case, direction: &Direction, t: f64) -> f64 {
    let s = case.structure;
    let moved = |v: &[f64], d: &[f64], factor: f64| -> Vec<f64> {
        v.iter().zip(d).map(|(v, d)| factor * (v + t * d)).collect()
    };
    let dense = |l: usize| {
        let ((w, b), (dw, db)) = (&case.stored[l - 1], &direction.stored[l - 1]);
        let dense = Dense::new(
            case.widths[l],
            case.widths[l - 1],
            moved(w, dw, s.multiplier),
        );
        if s.bias {
            dense.with_bias(moved(b, db, 1.0))
        } else {
            dense
        }
    };
    let architecture = case.mlp.architecture().clone();
    let mut mlp = match s.tied {
        true => Mlp::recurrent(dense(1), case.depth, dense(case.depth + 1), architecture),
        false => Mlp::from_layers((1..=case.depth + 1).map(dense).collect(), architecture),
    }
    .unwrap();
    if s.dropout {
        let factors = (1..=case.depth).map(|l| case.mlp.dropout(l).unwrap().to_vec());
        mlp = mlp.with_dropout(factors.collect()).unwrap();
    }
    let inputs = case.inputs.iter().zip(&direction.inputs);
    let inputs: Vec<Scaled> = inputs
        .map(|(x, d)| Scaled::new(moved(&x.to_vec(), d, 1.0)))
        .collect();
    let trace = mlp.forward_batch(&inputs);
    let pairs = trace.outputs().iter().zip(&case.cotangents);
    pairs
        .map(|(y, c)| (0..READOUT).map(|i| y.get(i) * c.get(i)).sum::<f64>())
        .sum()
}

/// With a step `h` the error is `h^2 f'''/6` and rounding of `f` over `h`. The former is a third of how much the
/// quotient changes when the step doubles, up to terms in `h^4`; it is granted three times. The latter:
/// each value is off by at most 2000 units in the last place of numbers of order 10.
#[test]
fn gradients_are_limits_of_difference_quotients() {
    let h = 2f64.powi(-18);
    let rounding = 2000.0 * 10.0 * f64::EPSILON / h;
    for case in Case::all() {
        let direction = Direction::everything(&case);
        let quotient = |h: f64| {
            (objective(&case, &direction, h) - objective(&case, &direction, -h)) / (2.0 * h)
        };
        let (near, far) = (quotient(h), quotient(2.0 * h));
        let exact = along(&case, &direction);
        let error = (far - near).abs() + rounding;
        assert!(rounding < 2e-6);
        assert!(
            (near - exact).abs() <= error,
            "{}: {near}, not {exact}",
            case.label()
        );
        // noticed: a gradient off by one part in a thousand
        let wrong = exact + 1e-3 * exact.abs().max(1e-2);
        assert!((near - wrong).abs() > error, "{}", case.label());
    }
}
