//! Passes in narrow number formats.

use crate::networks::{Case, STRUCTURES, rows};
use isometer::network::activation::Activation;
use isometer::network::{Model, NumberFormat};
use isometer::reference::{Architecture, Dense, Losses, Mlp, Scaled, Updates};

/// In double precision nothing is rounded that was not already.
#[test]
fn double_precision_changes_nothing() {
    for s in STRUCTURES {
        let case = Case::new(&Activation::Silu, s);
        let narrow = case.mlp.in_format(NumberFormat::F64);
        let (a, b) = (
            case.mlp.forward_batch(&case.inputs),
            narrow.forward_batch(&case.inputs),
        );
        let (a, b) = (
            a.backward_batch(&case.cotangents),
            b.backward_batch(&case.cotangents),
        );
        // up to the division of effective by stored weights
        let exact = s.multiplier == 1.0;
        for (a, b) in a.inputs().iter().zip(b.inputs()) {
            let error = a.plus(&b.clone().times(-1.0)).ln_square();
            assert!(
                if exact {
                    a == b
                } else {
                    error < a.ln_square() - 60.0
                },
                "{}",
                s.name
            );
        }
        let error = (a.ln_weight_square(1) - b.ln_weight_square(1)).abs();
        assert!(error < 1e-12, "{}: {error}", s.name);
    }
}

/// Everything stored is a number of the format, and the errors are of its roundoff.
#[test]
fn what_is_stored_is_of_the_format() {
    for format in [NumberFormat::F16, NumberFormat::Bf16, NumberFormat::F32] {
        for s in STRUCTURES {
            let case = Case::new(&Activation::Tanh, s);
            let narrow = case.mlp.in_format(format);
            assert_eq!(narrow.format(), Some(format));
            let trace = narrow.forward_batch(&case.inputs);
            let gradients = trace.backward_batch(&case.cotangents);
            let stored = |v: &Scaled| v.to_vec().iter().all(|x| format.nearest(*x) == *x);
            let mut all: Vec<&Scaled> = trace.outputs().iter().chain(gradients.inputs()).collect();
            for l in 1..=case.depth {
                all.extend(trace.pre_activations(l).iter().chain(trace.activations(l)));
                all.extend(trace.weight_inputs(l).iter().chain(gradients.deltas(l)));
            }
            let weight = gradients.weight(1);
            all.push(&weight);
            assert!(all.into_iter().all(stored), "{format} {}", s.name);
            // at most 40 roundings on the way, each made larger 100 times at most
            let reference = case.mlp.forward_batch(&case.inputs);
            for (a, b) in trace.outputs().iter().zip(reference.outputs()) {
                for (a, b) in a.to_vec().iter().zip(b.to_vec()) {
                    let error = 4000.0 * format.unit_roundoff();
                    assert!(
                        (a - b).abs() <= error * (1.0 + b.abs()),
                        "{format} {}: {a} {b}",
                        s.name
                    );
                }
            }
        }
    }
}

/// A gradient below the range of the format becomes 0, unless the loss is scaled.
#[test]
fn small_gradients_underflow_and_a_loss_scale_saves_them() {
    let mlp = Mlp::draw(&Model::new(vec![32; 5], Activation::Relu), 1, 0).unwrap();
    let x = &rows(21, 1, 32)[0];
    let reference = mlp.forward(x);
    let reference = reference.backward(&Scaled::new(vec![1.0]));
    let narrow = mlp.in_format(NumberFormat::F16);
    let trace = narrow.forward(x);
    let losses = |scale: f64| {
        let gradients = trace.backward(&Scaled::new(vec![scale]));
        let input = Losses::between(gradients.input(), reference.input());
        (
            input,
            Losses::between(&gradients.weight(2), &reference.weight(2)),
        )
    };
    let (input, weight) = losses(2f64.powi(-24) * 0.5f64.next_up());
    assert_eq!((input.elements, input.became_zero), (32, 32));
    let alive = reference
        .weight(2)
        .values()
        .iter()
        .filter(|g| **g != 0.0)
        .count();
    // readout weights above 1/2 let a few through
    assert!(weight.elements == 1024 && weight.became_zero > alive * 9 / 10);
    assert!(alive > 100);
    let (input, weight) = losses(1024.0);
    assert_eq!((input.became_zero, input.overflowed), (0, 0));
    // gates of units near 0 may flip
    assert!(weight.became_zero < 40);
    let (input, _) = losses(60_000.0 * 2f64.powi(6));
    assert_eq!(input.overflowed, 32, "the cotangent itself is infinite");
}

/// `w + step == w` up to half the spacing on that side, ties to even.
#[test]
fn steps_below_half_a_spacing_are_lost() {
    // x = 1, so that the gradient of each weight is the cotangent of its row
    let weights = vec![1.0, 1.0, 1.0 + 2f64.powi(-10), 0.5, -1.0, 0.0];
    let layers = vec![Dense::new(6, 1, weights), Dense::new(1, 6, vec![1.0; 6])];
    let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Linear)).unwrap();
    let narrow = mlp.in_format(NumberFormat::F16);
    let trace = narrow.forward(&Scaled::new(vec![1.0]));
    let gradients = trace.backward(&Scaled::new(vec![1.0]));
    let lost = |step: f64| gradients.updates(1, -step).lost;
    // at 1 a spacing is 2^-10 upwards and 2^-11 towards 0, at 0.5 it is 2^-11; 0 moves always
    assert_eq!(lost(2f64.powi(-13)), 5);
    // a tie at 0.5 and at -1: both are even
    assert_eq!(lost(2f64.powi(-12)), 5);
    // a tie at 1, which is even, and at its neighbour, which is odd and moves
    assert_eq!(lost(2f64.powi(-11)), 2);
    assert_eq!(lost(2f64.powi(-11) * 1.001), 0);
    assert_eq!(lost(2f64.powi(-40)), 6);
    let all = gradients.updates(1, 1.0);
    assert_eq!(
        all,
        Updates {
            elements: 6,
            wanted: 6,
            lost: 0
        }
    );
    // the reference itself loses nothing of that size
    let trace = mlp.forward(&Scaled::new(vec![1.0]));
    let gradients = trace.backward(&Scaled::new(vec![1.0]));
    assert_eq!(gradients.updates(1, 2f64.powi(-40)).lost, 0);
}

#[test]
fn large_weights_overflow() {
    let mut model = Model::new(vec![16; 9], Activation::Relu);
    model.alpha.value = 30.0;
    let mlp = Mlp::draw(&model, 2, 0).unwrap();
    let x = &rows(22, 1, 16)[0];
    let reference = mlp.forward(x);
    let in_format = mlp.in_format(NumberFormat::F16);
    let trace = in_format.forward(x);
    let losses = Losses::between(trace.output(), reference.output());
    assert_eq!(losses.overflowed, 1);
    let wide = mlp.in_format(NumberFormat::Bf16);
    assert_eq!(
        Losses::between(wide.forward(x).output(), reference.output()).overflowed,
        0
    );
}
