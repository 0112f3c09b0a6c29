//! Identities that hold for every network of a kind, whatever its weights.

use crate::networks::{Case, STRUCTURES, rows, structure, values};
use isometer::linalg::product::{Layer, ProductOptions};
use isometer::network::activation::Activation;
use isometer::network::{Alpha, AlphaAt, Model, Normalization};
use isometer::reference::{Mlp, Scaled, Trace};

/// Rounding of inner products over the small networks; see `golden::TOLERANCE`.
const TOLERANCE: f64 = 5.5e-12;

fn inner(a: &[Scaled], b: &[Scaled]) -> f64 {
    let pairs = a.iter().zip(b).map(|(a, b)| a.dot(b));
    pairs.map(|(m, e)| m * 2f64.powi(e as i32)).sum()
}

/// Sum of squared magnitudes.
fn square(a: &[Scaled]) -> f64 {
    inner(a, a)
}

#[test]
fn jacobian_products_are_adjoint() {
    for case in Case::all() {
        let examples = case.inputs.len();
        let trace = case.mlp.forward_batch(&case.inputs);
        let u = rows(11, examples, case.widths[0]);
        let v = rows(12, examples, case.widths[case.depth]);
        let (ju, jv) = (trace.jvps(&u), trace.vjps(&v));
        let (a, b) = (inner(&v, &ju), inner(&jv, &u));
        // rounding is relative to the product of the factors' norms, of order 1 here, also where the
        // product of the factors is 0 (a normalized layer with one unit alive)
        let size = (square(&v) * square(&ju).max(square(&u))).sqrt();
        let size = size + (square(&u) * square(&jv)).sqrt();
        assert!(
            (a - b).abs() <= TOLERANCE * size,
            "{}: {a} {b}",
            case.label()
        );
    }
}

/// Euler: a function of degree 1 in `W_l` is `<W_l, dy/dW_l>`.
#[test]
fn homogeneous_networks_satisfy_eulers_identity() {
    for activation in [
        Activation::Linear,
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.2 },
        Activation::Abs,
    ] {
        for name in ["plain", "dropout"] {
            let mut s = structure(name);
            s.bias = false;
            let case = Case::new(&activation, s);
            let trace = case.mlp.forward_batch(&case.inputs);
            let gradients = trace.backward_batch(&case.cotangents);
            let y = inner(trace.outputs(), &case.cotangents);
            assert!(y != 0.0);
            for l in 1..=case.depth + 1 {
                let (m, e) = gradients.euler(l);
                let size = square(trace.outputs()).sqrt() * 10.0;
                assert!(
                    (m * 2f64.powi(e as i32) - y).abs() <= TOLERANCE * size,
                    "{}",
                    case.label()
                );
                let weights = Scaled::from(case.mlp.layer(l).weights.as_slice());
                let by_entries = inner(&[weights], &[gradients.effective_weight(l)]);
                assert!(
                    (by_entries - y).abs() <= TOLERANCE * size,
                    "{}",
                    case.label()
                );
            }
        }
        // a bias ends it
        let case = Case::new(&activation, structure("bias"));
        let trace = case.mlp.forward_batch(&case.inputs);
        let (m, e) = trace.backward_batch(&case.cotangents).euler(1);
        let y = inner(trace.outputs(), &case.cotangents);
        assert!((m * 2f64.powi(e as i32) - y).abs() > 1e-3);
    }
}

/// A layer whose output is normalized does not depend on the scale of its weights, so the gradient is
/// orthogonal to them.
#[test]
fn gradients_of_scale_invariant_layers_are_orthogonal_to_the_weights() {
    for activation in Activation::all() {
        for name in ["layer", "rms", "batch"] {
            let mut s = structure(name);
            s.bias = false;
            let case = Case::new(&activation, s);
            let trace = case.mlp.forward_batch(&case.inputs);
            let gradients = trace.backward_batch(&case.cotangents);
            for l in 1..=case.depth {
                let weights = Scaled::from(case.mlp.layer(l).weights.as_slice());
                let gradient = gradients.effective_weight(l);
                let size = (square(std::slice::from_ref(&weights))
                    * square(std::slice::from_ref(&gradient)))
                .sqrt();
                let along = inner(&[weights], &[gradient]);
                assert!(
                    along.abs() <= TOLERANCE * (size + 1.0),
                    "{} {l}: {along}",
                    case.label()
                );
            }
        }
    }
    // noticed: without normalization it is not
    let case = Case::new(&Activation::Tanh, structure("plain"));
    let trace = case.mlp.forward(&case.inputs[0]);
    let (m, e) = trace.backward(&case.cotangents[0]).euler(2);
    assert!((m * 2f64.powi(e as i32)).abs() > 1e-3);
}

/// The chain of matrices is the Jacobian: its product with a vector, and its Frobenius norm.
#[test]
fn explicit_jacobians_are_the_implicit_ones() {
    for activation in Activation::all() {
        for s in STRUCTURES {
            if matches!(s.normalization, Normalization::Batch { .. }) {
                continue;
            }
            let case = Case::new(&activation, s);
            let trace = case.mlp.forward(&case.inputs[0]);
            let jacobian = trace.jacobian();
            let u = values(13, case.widths[0], 1.0);
            let mut product = u.clone();
            for layer in jacobian.layers() {
                let row = |i: usize| {
                    (0..layer.cols())
                        .map(|j| layer.get(i, j) * product[j])
                        .sum()
                };
                product = (0..layer.rows()).map(row).collect();
            }
            let product = Scaled::with_exponent(product, jacobian.exponent());
            let truth = trace.jvp(&Scaled::new(u));
            let error = product.plus(&truth.clone().times(-1.0)).ln_square();
            // product of the norms of the factors, or 1: that of a normalized layer with one unit alive
            // is 0, and cancels from numbers of order 1
            let norm = |layer: &Layer| layer.entries().iter().map(|x| x * x).sum::<f64>().ln();
            let norms = jacobian.layers().iter().map(norm).sum::<f64>();
            let size = norms + 2.0 * jacobian.exponent() as f64 * std::f64::consts::LN_2;
            let size = size.max(0.0);
            let bound = size + 2.0 * TOLERANCE.ln();
            assert!(error <= bound, "{}: {error} {bound}", case.label());
            let spectrum = jacobian.spectrum(&ProductOptions::default()).unwrap();
            let squares = spectrum
                .log2_singular_values
                .iter()
                .map(|x| (2.0 * x).exp2());
            let (sum, truth) = (squares.sum::<f64>(), frobenius(&trace));
            assert!(
                (sum - truth).abs() <= 2.0 * TOLERANCE * size.exp(),
                "{}: {sum} {truth}",
                case.label()
            );
        }
    }
}

fn frobenius(trace: &Trace<'_>) -> f64 {
    let n = trace.mlp().width(0);
    let unit = |i: usize| Scaled::new((0..n).map(|j| f64::from(u8::from(i == j))).collect());
    (0..n).map(|i| trace.jvp(&unit(i)).ln_square().exp()).sum()
}

/// The spectrum of a deep product lies far outside the range of doubles, and adds up to the determinant.
#[test]
fn spectra_of_deep_networks_have_the_right_determinant() {
    let mut model = Model::new(vec![6; 401], Activation::LeakyRelu { slope: 0.5 });
    model.alpha.value = 0.01;
    let mlp = Mlp::draw(&model, 3, 0).unwrap();
    let trace = mlp.forward(&rows(14, 1, 6)[0]);
    let jacobian = trace.jacobian();
    let spectrum = jacobian.spectrum(&ProductOptions::default()).unwrap();
    let total: f64 = spectrum.log2_singular_values.iter().sum();
    let each = jacobian.layers().iter().map(|layer| {
        let matrix = nalgebra::DMatrix::from_fn(6, 6, |i, j| layer.get(i, j));
        matrix.determinant().abs().log2()
    });
    let truth = each.sum::<f64>() + 6.0 * jacobian.exponent() as f64;
    assert!(truth < -15_000.0);
    let error: f64 = spectrum.log2_error_estimate.iter().sum();
    // 400 determinants of 6 x 6, some of them ill conditioned
    assert!(
        (total - truth).abs() <= error + 400.0 * 1e-11,
        "{total} {truth}"
    );
}

/// alpha outside the weights is the same function, and gradients with respect to stored weights carry it.
#[test]
fn where_alpha_multiplies_does_not_change_the_function() {
    let mut model = Model::new(vec![20, 30, 10], Activation::Gelu);
    model.bias = "gaussian:0.1".parse().unwrap();
    model.alpha = Alpha {
        value: -1.5,
        at: AlphaAt::Weights,
    };
    let stored = Mlp::draw(&model, 5, 1).unwrap();
    model.alpha.at = AlphaAt::Multiplier;
    let outside = Mlp::draw(&model, 5, 1).unwrap();
    let (x, c) = (rows(15, 1, 20), Scaled::new(vec![1.0]));
    let (a, b) = (stored.forward(&x[0]), outside.forward(&x[0]));
    assert_eq!(a.output(), b.output());
    let (a, b) = (a.backward(&c), b.backward(&c));
    assert_eq!(a.input(), b.input());
    for l in 1..=3 {
        assert_eq!(a.effective_weight(l), b.effective_weight(l));
        assert_eq!(a.bias(l), b.bias(l));
        assert_eq!(a.weight(l).times(-1.5), b.weight(l));
        let shift = b.ln_weight_square(l) - a.ln_weight_square(l);
        assert!((shift - 2.0 * 1.5f64.ln()).abs() < 1e-13);
    }
    // one layer alone
    model.alpha.at = AlphaAt::Layer(2);
    let one = Mlp::draw(&model, 5, 1).unwrap();
    assert_eq!(one.layer(2).weights, stored.layer(2).weights);
    assert_ne!(one.layer(1).weights, stored.layer(1).weights);
}

/// Deep networks of every activation stay finite in both directions, and adjoint.
#[test]
fn every_activation_survives_depth() {
    for activation in Activation::all() {
        for (alpha, beta) in [(0.05, None), (1.0, None), (20.0, None), (3.0, Some(2.0))] {
            // beyond, squares of squares leave the range of exponents
            let depth = if activation == Activation::SquaredRelu {
                50
            } else {
                600
            };
            let mut model = Model::new(vec![8; depth + 1], activation.clone());
            model.weights = "orthogonal".parse().unwrap();
            model.alpha.value = alpha;
            model.residual = beta.map(isometer::network::Residual::Constant);
            let mlp = Mlp::draw(&model, 4, 0).unwrap();
            let trace = mlp.forward(&rows(16, 1, 8)[0].clone().times(0.9));
            let gradients = trace.backward(&Scaled::new(vec![1.0]));
            let (u, v) = (&rows(17, 1, 8)[0], &rows(18, 1, 8)[0]);
            let (ju, jv) = (trace.jvp(u), trace.vjp(v));
            for x in [
                trace.output(),
                gradients.input(),
                &ju,
                &jv,
                &gradients.bias(1),
            ] {
                assert!(
                    x.values().iter().all(|x| x.is_finite()),
                    "{activation} {alpha}"
                );
            }
            let (a, b) = (v.dot(&ju), jv.dot(u));
            let difference = Scaled::from_terms(&[(a.0, a.1), (-b.0, b.1)]);
            let rest: f64 = difference.values().iter().sum();
            // relative to |v||Ju|; 600 layers of sums of 8
            let size = 0.5 * (ju.ln_square() + v.ln_square());
            let size = size.max(0.5 * (jv.ln_square() + u.ln_square()));
            let ln = rest.abs().ln() + difference.exponent() as f64 * std::f64::consts::LN_2;
            assert!(
                rest == 0.0 || ln < size + 1e-11f64.ln(),
                "{activation} {alpha} {beta:?}"
            );
        }
    }
}

#[test]
fn kernels_add_up_and_draws_repeat() {
    let model = Model::new(vec![5, 7, 3], Activation::Tanh);
    let mlp = Mlp::draw(&model, 9, 4).unwrap();
    assert_eq!(mlp.layer(2), Mlp::draw(&model, 9, 4).unwrap().layer(2));
    assert_ne!(mlp.layer(2), Mlp::draw(&model, 9, 5).unwrap().layer(2));
    // in memory of another shape
    let other = Mlp::draw(&Model::new(vec![9, 2, 2, 8], Activation::Relu), 1, 0).unwrap();
    let again = other.redraw(&model, 9, 4).unwrap();
    assert!((1..=3).all(|l| again.layer(l) == mlp.layer(l)));
    let trace = mlp.forward(&rows(19, 1, 5)[0]);
    let gradients = trace.backward(&Scaled::new(vec![2.0]));
    let sum: f64 = (1..=3).map(|l| gradients.ln_weight_square(l).exp()).sum();
    assert!((gradients.ln_kernel().exp() / sum - 1.0).abs() < 1e-13);
    let tied = Case::new(&Activation::Tanh, structure("tied"));
    let trace = tied.mlp.forward(&tied.inputs[0]);
    let gradients = trace.backward(&tied.cotangents[0]);
    let sum = gradients.weight(1).ln_square().exp() + gradients.weight(4).ln_square().exp();
    assert!((gradients.ln_kernel().exp() / sum - 1.0).abs() < 1e-13);
    assert!((gradients.ln_bias_square(2) - gradients.bias(1).ln_square()).abs() < 1e-15);
}
