//! One test for each regime beside the exact laws, the verdicts, the fixes and the refusals.

use super::{equal, model, near, predicted};
use isometer::network::{BatchSize, BiasInit, Model, Normalization, Residual};
use isometer::theory::predict::{Options, PredictError, predict};
use isometer::theory::prediction::Verdict;
use std::f64::consts::LN_2;

fn with_biases(mut m: Model, variance: f64) -> Model {
    m.bias = BiasInit::Gaussian { variance };
    m
}

#[test]
fn dropout_and_leaky_slopes() {
    for (sigma_w2, a, dropout) in [
        (2.0, 0.0, 0.2),
        (1.3, 0.2, 0.0),
        (1.9, 0.3, 0.5),
        (1.0, 1.0, 0.1),
    ] {
        let mut m = equal(6, 30, &format!("leaky_relu:{a}"), sigma_w2);
        m.dropout = dropout;
        let chi = sigma_w2 * (1.0 + a * a) / (2.0 * (1.0 - dropout));
        near(predicted(&m).growth.chi, chi, 1e-12);
    }
}

#[test]
fn the_default_of_pytorch_underflows() {
    let p = predicted(&model(&[64; 51], "relu", "torch:linear"));
    near(p.growth.chi, 1.0 / 6.0, 1e-14);
    assert_eq!(p.verdict, Verdict::Vanishing);
    assert_eq!(p.precision[0].format, "f16");
    // 2^-25 rounds to zero; chi acts on squares
    let depth = 50.0 * LN_2 / 6f64.ln();
    near(p.precision[0].underflow_depth_mean.unwrap(), depth, 1e-12);
    assert!((depth - 19.34).abs() < 0.005);
}

#[test]
fn the_typical_gradient_of_a_narrow_network_underflows_at_the_critical_variance() {
    // theory.csv R174: the typical square falls by 0.1764 a layer
    let drift = -0.17639732440705025;
    let depth = 50.0 * LN_2 / -drift;
    assert!((depth - 196.5).abs() < 0.1);
    let p = predicted(&equal(196, 16, "relu", 2.0));
    near(p.growth.typical_ln_square_per_layer.unwrap(), drift, 1e-12);
    near(p.precision[0].underflow_depth_typical.unwrap(), depth, 1e-8);
    assert_eq!(p.precision[0].underflow_depth_mean, Some(f64::INFINITY));
    let jvp = p.jvp.unwrap();
    near(jvp.mean_ln_square.unwrap(), 196.0 * drift, 1e-9);
    // the median is a skewness sigma / 6 above the mean, 0.1 here
    let median = jvp.quantiles_ln_square[1].1;
    assert!((median + 50.0 * LN_2).abs() < 0.5, "{median}");
    assert_eq!(p.verdict, Verdict::Vanishing);
}

#[test]
fn tanh_on_its_edge_and_off_it() {
    // theory.csv R024, R122 to R124
    let b = 1.0 - 2.15330264890279 * 0.3942944903978412;
    let edge = with_biases(equal(40, 100, "tanh", 2.15330264890279), b);
    let p = predicted(&edge);
    near(p.mean_field.chi_1.unwrap(), 1.0, 1e-9);
    near(p.mean_field.q_star.unwrap(), 1.0, 1e-9);
    assert_eq!(p.verdict, Verdict::Stable);
    let p = predicted(&equal(11, 100, "tanh", 1.0));
    near(p.layers[0].chi, 0.4644029024482682, 1e-12);
    near(p.layers[1].q.unwrap(), 0.39429449039784115, 1e-12);
    near(p.layers[10].q.unwrap(), 0.05220008278702869, 1e-12);
    let off = predicted(&with_biases(equal(100, 100, "tanh", 2.25), 0.05));
    near(off.mean_field.chi_1.unwrap(), 1.0923379294862612, 1e-10);
    near(off.mean_field.xi_c.unwrap(), 15.117086452825244, 1e-7);
    assert_eq!(off.verdict, Verdict::Exploding);
}

#[test]
fn kernels() {
    // theory.csv R291, R296, R297, R300
    let kernel =
        |depth, phi: &str, w, b| predicted(&with_biases(equal(depth, 40, phi, w), b)).kernel;
    near(kernel(5, "relu", 2.0, 0.1).nngp.unwrap(), 2.6, 1e-11);
    near(
        kernel(60, "erf", 2.0, 0.1).ntk.unwrap(),
        8452.4129726286,
        8.5e-6,
    );
    let gelu = kernel(5, "gelu", 1.9830582574375475, 0.1729223907560664);
    near(gelu.nngp.unwrap(), 2.1605588538730993, 1e-11);
    near(
        kernel(5, "leaky_relu:0.2", 1.9, 0.0).ntk.unwrap(),
        10.732220187115312,
        1.1e-8,
    );
}

#[test]
fn normalization_sets_growth_whatever_the_weights() {
    // theory.csv R227, R228, R232, R233, R237, R238, R242
    let finite = |size| Normalization::Batch {
        size: BatchSize::Finite(size),
    };
    let infinite = Normalization::Batch {
        size: BatchSize::Infinite,
    };
    for (phi, normalization, chi) in [
        ("relu", finite(4), 3.084060948087733),
        ("relu", finite(8), 1.7881899766587483),
        ("linear", finite(4), 2.0),
        ("relu", infinite, 1.2111738962363165f64.powi(2)),
        ("silu", infinite, 1.2120811147571104),
        ("relu", Normalization::Layer, 1.0),
        ("tanh", Normalization::Layer, 1.1778072323041797),
        ("tanh", Normalization::Rms, 1.1778072323041797),
    ] {
        for sigma_w2 in [0.1, 2.0] {
            let mut m = equal(60, 50, phi, sigma_w2);
            m.normalization = normalization;
            let p = predicted(&m);
            near(p.growth.chi, chi, 1e-11);
            let verdict = match chi {
                1.0 => Verdict::Stable,
                _ => Verdict::Exploding,
            };
            assert_eq!(p.verdict, verdict, "{phi} {normalization}");
        }
    }
}

#[test]
fn residual_branches() {
    for depth in [1, 10, 1000] {
        let mut m = equal(depth, 64, "relu", 2.0);
        m.residual = Some(Residual::InverseSqrtDepth);
        let p = predicted(&m);
        let l = depth as f64;
        near(p.jvp.unwrap().ln_mean_square, l * l.recip().ln_1p(), 1e-11);
        assert_eq!(p.verdict, Verdict::Stable);
    }
    let mut m = equal(50, 64, "relu", 2.0);
    m.residual = Some(Residual::Constant(1.0));
    let p = predicted(&m);
    near(p.jvp.unwrap().ln_mean_square, 50.0 * LN_2, 1e-11);
    assert_eq!(p.verdict, Verdict::Exploding);
    m.residual = Some(Residual::Zero);
    near(predicted(&m).jvp.unwrap().ln_mean_square, 0.0, 1e-15);
}

#[test]
fn tied_orthogonal_weights_are_a_power() {
    let mut m = model(&[8; 31], "linear", "orthogonal:gain=0.8");
    m.tied = true;
    let p = predicted(&m);
    let jvp = p.jvp.unwrap();
    near(jvp.ln_mean_square, 60.0 * 0.8f64.ln(), 1e-12);
    assert_eq!(jvp.var_ln_square, Some(0.0));
    near(p.critical_alpha.mean_square.unwrap(), 1.25, 1e-14);
    assert_eq!(p.verdict, Verdict::Vanishing);
    m.weights = "orthogonal".parse().unwrap();
    assert_eq!(predicted(&m).verdict, Verdict::Stable);
}

#[test]
fn verdicts() {
    // a factor of ten on norms over the depth, of the typical gradient where that is known
    for (sigma_w2, verdict) in [
        (0.99, Verdict::Vanishing),
        (0.9999, Verdict::Stable),
        (1.0001, Verdict::Stable),
        (1.01, Verdict::Exploding),
    ] {
        let m = model(
            &[6; 1001],
            "linear",
            &format!("orthogonal:sigma_w2={sigma_w2}"),
        );
        assert_eq!(predicted(&m).verdict, verdict, "{sigma_w2}");
    }
    // a dead layer in most draws is a vanished gradient, whatever the mean
    let p = predicted(&equal(3, 1, "relu", 50.0));
    assert_eq!(p.verdict, Verdict::Vanishing);
    assert!(p.sentence.contains("dead"), "{}", p.sentence);
    // no layer typical: 100 layers of width 4 at the critical variance
    assert_eq!(
        predicted(&equal(100, 4, "linear", 1.0)).verdict,
        Verdict::Vanishing
    );
}

/// The number after `key` in a sentence.
fn number_after(text: &str, key: &str) -> Option<f64> {
    let rest = text.split(key).nth(1)?;
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || "+-.e".contains(c)))
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[test]
fn what_a_fix_promises_is_kept() {
    let mut broken = vec![
        model(&[64; 41], "tanh", "kaiming_normal"),
        model(&[64; 41], "sigmoid", "xavier_normal"),
        model(&[64; 41], "gelu", "kaiming_normal"),
        model(&[64; 61], "silu", "xavier_normal"),
        model(&[64; 41], "erf", "gaussian:sigma_w2=4"),
        model(&[300; 31], "relu", "torch:linear"),
        model(&[20; 31], "leaky_relu:0.1", "xavier_normal"),
        model(&[8; 201], "linear", "orthogonal:gain=0.9"),
        model(&[40; 61], "softplus", "kaiming_normal"),
        model(&[40; 61], "softplus", "gaussian:sigma_w2=0.5"),
    ];
    let mut dropped = model(&[500; 31], "relu", "kaiming_normal");
    dropped.dropout = 0.3;
    broken.push(dropped);
    for scale in [Residual::Constant(1.0), Residual::InverseSqrtDepth] {
        let mut m = equal(50, 64, "relu", 30.0);
        m.residual = Some(scale);
        broken.push(m);
    }
    for m in broken {
        let p = predicted(&m);
        assert_ne!(p.verdict, Verdict::Stable, "{m:?}");
        let fix = p.fix.unwrap();
        let mut fixed = m.clone();
        if fix.what.contains("1/sqrt(L)") {
            fixed.residual = Some(Residual::InverseSqrtDepth);
        }
        if fix.torch.contains("orthogonal_") {
            let gain = number_after(&fix.torch, "gain=").unwrap_or(1.0);
            fixed.weights = format!("orthogonal:gain={gain}").parse().unwrap();
        } else if let Some(w) = number_after(&fix.what, "sigma_w^2 = ") {
            fixed.weights = format!("gaussian:sigma_w2={w}").parse().unwrap();
        }
        if let Some(variance) = number_after(&fix.what, "biases of variance ") {
            fixed.bias = BiasInit::Gaussian { variance };
        }
        assert_ne!(fixed, m, "{}", fix.what);
        let after = predicted(&fixed);
        assert_eq!(after.verdict, Verdict::Stable, "{}: {m:?}", fix.what);
        assert!(after.fix.is_none());
    }
}

#[test]
fn refusals_name_the_reason() {
    let refused = |m: &Model| -> PredictError { predict(m, &Options::default()).unwrap_err() };
    let base = equal(4, 10, "relu", 2.0);
    let mut small = base.clone();
    small.normalization = "batch:3".parse().unwrap();
    let mut tied = equal(4, 10, "tanh", 2.0);
    tied.tied = true;
    let mut both = base.clone();
    both.normalization = Normalization::Layer;
    both.residual = Some(Residual::Constant(1.0));
    let mut rectangular = model(&[4, 5, 5], "relu", "kaiming_normal");
    rectangular.normalization = Normalization::Layer;
    let mut zero = base.clone();
    zero.widths[2] = 0;
    for (m, reason) in [
        (small, "variance of the gradient is infinite"),
        (tied, "gates depend on a matrix"),
        (both, "where in the block the normalization sits"),
        (rectangular, "equal widths"),
        (zero, "at least one unit"),
        (model(&[4; 4], "relu", "zeros"), "exactly zero"),
        (model(&[4; 4], "relu", "ones"), "same gradient"),
        (model(&[4; 4], "relu", "constant:val=0.3"), "same gradient"),
        (model(&[4; 4], "relu", "eye"), "not random"),
        (model(&[4, 3, 4], "linear", "eye"), "identity weights"),
        (
            model(&[4; 4], "relu", "uniform:a=0,b=1"),
            "mean is not zero",
        ),
    ] {
        let message = refused(&m).to_string();
        assert!(message.contains(reason), "{message}");
    }
}
