//! Identities between the passes.

use super::*;
use crate::network::activation::Activation;
use crate::network::{Model, NumberFormat};

fn relu(width: usize, depth: usize) -> Mlp {
    let model = Model::new(vec![width; depth + 1], Activation::Relu);
    assert_eq!(model.number_format, NumberFormat::F32);
    Mlp::draw(&model, 1, 0).unwrap()
}

fn ramp(n: usize) -> Scaled {
    Scaled::new(
        (0..n)
            .map(|i| ((i * 7919) % 101) as f64 / 50.0 - 1.0)
            .collect(),
    )
}

#[test]
fn jacobian_products_are_adjoint() {
    let mlp = relu(30, 12);
    let trace = mlp.forward(&ramp(30));
    let (u, v) = (ramp(30), ramp(30).times(-0.3));
    let (a, b) = (v.dot(&trace.jvp(&u)), trace.vjp(&v).dot(&u));
    let (a, b) = (a.0 * 2f64.powi(a.1 as i32), b.0 * 2f64.powi(b.1 as i32));
    assert!((a - b).abs() < 1e-12 * a.abs().max(1.0));
}

#[test]
fn depth_neither_overflows_nor_underflows() {
    for alpha in [1e-3, 1.0, 1e3] {
        let mut model = Model::new(vec![4; 10_001], Activation::LeakyRelu { slope: 0.5 });
        model.alpha.value = alpha;
        let mlp = Mlp::draw(&model, 2, 3).unwrap();
        let trace = mlp.forward(&ramp(4));
        let gradients = trace.backward(&Scaled::new(vec![1.0]));
        let all = [
            trace.output().ln_square(),
            gradients.input().ln_square(),
            gradients.ln_weight_square(5000),
        ];
        for ln in all {
            assert!(ln.is_finite());
            // each layer contributes ln alpha^2 and at most a few units more
            let drift = ln - 2.0 * 10_000.0 * f64::ln(alpha);
            assert!(drift.abs() < 20_000.0, "{drift}");
        }
        // homogeneous: y = grad . x at any scale
        let (a, b) = (gradients.input().dot(&ramp(4)), trace.output());
        let difference = Scaled::from_terms(&[a]).plus(&b.clone().times(-1.0));
        assert!(difference.ln_square() < b.ln_square() - 2.0 * 1e9f64.ln());
    }
}
