use super::*;
use crate::network::activation::Activation;

fn measure(model: &Model, samples: u64) -> Vec<Vec<f64>> {
    let sampler = Deferred::new(model, 7).unwrap();
    let width = sampler.quantities().len();
    (0..samples)
        .map(|i| {
            let mut row = vec![f64::NAN; width];
            sampler.sample(i, &mut row);
            row
        })
        .collect()
}

fn model(widths: &[usize], activation: Activation, init: &str) -> Model {
    let mut m = Model::new(widths.to_vec(), activation);
    m.weights = init.parse().unwrap();
    m
}

#[test]
fn models_that_need_matrices_are_refused() {
    let mut m = model(&[4, 4], Activation::Relu, "kaiming_uniform");
    assert_eq!(
        Deferred::new(&m, 0).err(),
        Some(DeferredError::Weights { layer: 1 })
    );
    m.weights = "orthogonal".parse().unwrap();
    assert!(Deferred::new(&m, 0).is_ok());
    m.tied = true;
    assert!(Deferred::new(&m, 0).is_err());
    m.tied = false;
    m.normalization = "batch:8".parse().unwrap();
    assert!(Deferred::new(&m, 0).is_err());
    m.normalization = Normalization::None;
    m.residual = Some("0.5".parse().unwrap());
    assert!(Deferred::new(&m, 0).is_err());
}

#[test]
fn depth_ten_thousand_neither_overflows_nor_underflows() {
    for (gain, sign) in [("normal:std=10", 1.0), ("normal:std=1e-3", -1.0)] {
        let m = model(&vec![8; 10_001], Activation::LeakyRelu { slope: 0.5 }, gain);
        for row in measure(&m, 2) {
            assert!(
                row.iter().all(|x| x.is_finite() && x * sign > 3e4),
                "{row:?}"
            );
        }
    }
}

#[test]
fn tiny_signals_of_smooth_activations_are_not_lost() {
    let m = model(&vec![6; 201], Activation::Tanh, "normal:std=1e-4");
    for row in measure(&m, 3) {
        assert!(row.iter().all(|x| x.is_finite()), "{row:?}");
        assert!(row[0] < -3000.0, "{row:?}");
    }
}

#[test]
fn dead_networks_are_exact_zeros() {
    let m = model(&vec![2; 41], Activation::Relu, "kaiming_normal");
    let rows = measure(&m, 50);
    let dead = rows.iter().filter(|r| r[0] == f64::NEG_INFINITY).count();
    assert!(dead > 45, "{dead}");
    for r in rows {
        assert!(!r.iter().any(|x| x.is_nan()), "{r:?}");
        assert_eq!(r[0] == f64::NEG_INFINITY, r[2] == f64::NEG_INFINITY);
    }
}
