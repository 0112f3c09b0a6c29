use super::*;
use crate::network::activation::{Activation, Custom};

fn group(
    ensemble: Ensemble,
    sigma_w2: f64,
    activation: Activation,
    q: f64,
    count: usize,
) -> LayerGroup {
    LayerGroup {
        ensemble,
        sigma_w2,
        slopes: SquaredSlopes::new(&activation, q).unwrap(),
        count,
    }
}

fn one(
    ensemble: Ensemble,
    sigma_w2: f64,
    activation: Activation,
    q: f64,
    count: usize,
) -> Spectrum {
    spectrum(&[group(ensemble, sigma_w2, activation, q, count)]).unwrap()
}

fn near(a: f64, b: f64, relative: f64) {
    assert!((a / b - 1.0).abs() <= relative, "{a} against {b}");
}

use Ensemble::{Gaussian, Orthogonal};

/// Theorem: s-transform-edges. Linear layers: the Fuss-Catalan edge (theory.csv R148, R149, R150).
#[test]
fn linear_gaussian_edges_are_fuss_catalan() {
    for (depth, edge) in [(2, 6.75), (5, 14.929_92), (10, 28.531_167_061_1)] {
        near(ln_edge_fuss_catalan(depth).exp(), edge, 1e-14);
        let s = one(Gaussian, 1.0, Activation::Linear, 1.0, depth);
        near(s.upper.ln.exp(), edge, 1e-13);
        assert!((s.upper.ln - edge.ln()).abs() <= s.upper.error);
        assert_eq!(s.lower.ln, f64::NEG_INFINITY);
        near(s.normalised_variance, depth as f64, 1e-14);
    }
}

/// Theorem: relu-gaussian-edge (theory.csv R155, R156, R159, R160).
#[test]
fn relu_gaussian_edges_have_two_routes() {
    for (depth, edge) in [(4, 21.858_249_318_046_912), (20, 108.753_915_114_743)] {
        near(ln_edge_relu_gaussian(depth, 0.5).exp(), edge, 1e-13);
        let s = one(Gaussian, 2.0, Activation::Relu, 0.7, depth);
        near(s.upper.ln.exp(), edge, 1e-12);
        near(s.normalised_variance, 2.0 * depth as f64, 1e-13);
        assert_eq!(s.nonzero, 0.5);
        assert!(s.ln_mean.abs() < 1e-13);
        // notices another gain
        let other = one(Gaussian, 2.001, Activation::Relu, 0.7, depth);
        assert!((other.upper.ln - edge.ln()).abs() > 1e-3);
    }
    // one layer is a Wishart matrix of aspect ratio 1/2: Marchenko and Pastur's edges
    let s = one(Gaussian, 2.0, Activation::Relu, 1.0, 1);
    near(s.upper.ln.exp(), 2.0 * (1.0 + 0.5f64.sqrt()).powi(2), 1e-12);
    near(s.lower.ln.exp(), 2.0 * (1.0 - 0.5f64.sqrt()).powi(2), 1e-11);
    // depth 10^6 costs the same
    let s = one(Gaussian, 2.0, Activation::Relu, 1.0, 1_000_000);
    assert!((s.upper.ln - ln_edge_relu_gaussian(1_000_000, 0.5)).abs() < 1e-8);
}

/// Theorem: s-transform-edges (theory.csv R158, R161).
#[test]
fn relu_orthogonal_edges_and_their_atom() {
    near(
        ln_edge_relu_orthogonal(20, 0.5).exp(),
        53.000_686_532_808_9,
        1e-13,
    );
    for depth in [1, 2, 3, 4, 20, 300] {
        let s = one(Orthogonal, 2.0, Activation::Relu, 3.0, depth);
        assert!(
            (s.upper.ln - ln_edge_relu_orthogonal(depth, 0.5)).abs() < 1e-10,
            "{depth}"
        );
        near(s.normalised_variance, depth as f64, 1e-13);
        assert_eq!(s.mass_at_upper, if depth == 1 { 0.5 } else { 0.0 });
    }
    // hard tanh at small variance: p near 1, isometry but for an atom at zero
    let q = 0.1f64;
    let p = 1.0 - libm::erfc((0.5 / q).sqrt());
    for depth in [5, 400, 1200] {
        let s = one(Orthogonal, 1.0 / p, Activation::HardTanh, q, depth);
        assert!(
            (s.upper.ln - ln_edge_relu_orthogonal(depth, p)).abs() < 1e-9,
            "{depth}"
        );
        let mass = 1.0 - depth as f64 * (1.0 - p);
        assert!((s.mass_at_upper - mass.max(0.0)).abs() < 1e-12);
    }
}

/// Theorem: s-transform-edges. Two free projections of ranks `a` and `b`: the continuous part of `PQP` lies
/// between `a + b - 2ab -+ sqrt(4ab(1-a)(1-b))` (Voiculescu, Dykema and Nica 1992, example 3.6.7).
#[test]
fn unequal_projections_have_both_edges() {
    let (a, b) = (0.5, 0.3);
    // clipped between its kinks; inverted dropout 1/keep^2 is undone by the weights
    let relu = SquaredSlopes::new(&Activation::Relu, 1.0).unwrap();
    let line = SquaredSlopes::new(&Activation::Linear, 1.0)
        .unwrap()
        .with_dropout(b)
        .unwrap();
    let layer = |slopes, sigma_w2| LayerGroup {
        ensemble: Orthogonal,
        sigma_w2,
        slopes,
        count: 1,
    };
    let s = spectrum(&[layer(relu, 1.0), layer(line, b * b)]).unwrap();
    let root = (4.0 * a * b * (1.0 - a) * (1.0 - b)).sqrt();
    near(s.upper.ln.exp(), a + b - 2.0 * a * b + root, 1e-11);
    near(s.lower.ln.exp(), a + b - 2.0 * a * b - root, 1e-9);
    assert_eq!(s.nonzero, 0.3);
}

/// Theorem: s-transform-edges. Inverting every factor inverts the law, so the lower edge of one is the reciprocal of the upper of
/// the other: the two branches check each other.
#[test]
fn lower_edges_are_upper_edges_of_the_inverse() {
    let leaky = |slope| Activation::LeakyRelu { slope };
    for depth in [1, 2, 3, 10, 1000] {
        let s = one(Orthogonal, 1.3, leaky(0.5), 1.0, depth);
        let inverse = one(Orthogonal, 1.0 / 1.3, leaky(2.0), 1.0, depth);
        assert!(
            (s.lower.ln + inverse.upper.ln).abs() < 1e-9 * (1.0 + s.lower.ln.abs()),
            "{depth}"
        );
        assert!(
            (s.upper.ln + inverse.lower.ln).abs() < 1e-9 * (1.0 + s.upper.ln.abs()),
            "{depth}"
        );
    }
    // slopes between 1/2 and 1, varying smoothly
    let bent = |inverse: bool| {
        let slope = |x: f64| 0.75 + 0.25 * x.tanh();
        let derivative = move |x: f64| if inverse { slope(x).recip() } else { slope(x) };
        Activation::Custom(Custom::new("bent", |x| x, derivative, []))
    };
    for depth in [2, 7] {
        let s = one(Orthogonal, 1.0, bent(false), 0.8, depth);
        let inverse = one(Orthogonal, 1.0, bent(true), 0.8, depth);
        assert!((s.lower.ln + inverse.upper.ln).abs() < 1e-9, "{depth}");
        assert!(s.lower.ln > (depth as f64) * 0.25f64.ln() && s.upper.ln < 0.0);
    }
}

/// Theorem: s-transform-edges (theory.csv R165, R166).
#[test]
fn critical_erf_edges() {
    let q = 0.1f64;
    // chi_1 = 1: E phi'^2 = 4 / (pi sqrt(1 + 4q)), here phi' = 2/sqrt(pi) e^(-x^2)
    let sigma_w2 = std::f64::consts::PI * (1.0 + 4.0 * q).sqrt() / 4.0;
    for (ensemble, edge) in [
        (Orthogonal, 2.527_193_285_399_325),
        (Gaussian, 29.726_748_497_476_226),
    ] {
        let s = one(ensemble, sigma_w2, Activation::Erf, q, 10);
        near(s.upper.ln.exp(), edge, 1e-9);
        assert!(s.upper.error < 1e-10);
        assert!(s.ln_mean.abs() < 1e-13);
        // slopes of erf come arbitrarily close to zero
        assert_eq!(s.lower.ln, f64::NEG_INFINITY);
    }
}

/// Theorem: smooth-universal-limit (theory.csv R170).
#[test]
fn smooth_activations_share_a_limit() {
    let (lower, upper) = ln_edges_smooth_limit(0.25);
    near(upper.exp(), 2.423_762_600_435_224, 1e-13);
    assert!((lower + upper + 0.25).abs() < 1e-14);
    for phi in [Activation::Tanh, Activation::Erf, Activation::Sin] {
        let mut last = f64::INFINITY;
        for q in [4e-3, 1e-3, 2.5e-4] {
            let slopes = SquaredSlopes::new(&phi, q).unwrap();
            let (mu1, mu2) = (slopes.moment(1).value, slopes.moment(2).value);
            let count = (0.25 / (mu2 / (mu1 * mu1) - 1.0)).round() as usize;
            let s = one(Orthogonal, 1.0 / mu1, phi.clone(), q, count);
            let (_, limit) = ln_edges_smooth_limit(s.normalised_variance);
            // first order in q: a quarter at each step, well within a third
            let off = (s.upper.ln - limit).abs();
            assert!(off < last / 3.0, "{phi} at {q}: {off} after {last}");
            last = off;
        }
        assert!(last < 1e-2);
    }
}

#[test]
fn moments_are_fuss_catalan_numbers() {
    for depth in [1, 2, 3, 10] {
        let moments =
            normalised_moments(&[group(Gaussian, 3.0, Activation::Linear, 1.0, depth)], 7).unwrap();
        for (k, m) in moments.iter().enumerate() {
            near(*m, fuss_catalan_moment(depth, k + 1), 1e-13);
        }
    }
    // depth 1: Catalan numbers
    assert_eq!(fuss_catalan_moment(1, 5), 42.0);
}

#[test]
fn moments_agree_with_variance_and_order_of_layers() {
    let groups = [
        group(Gaussian, 1.5, Activation::Tanh, 0.6, 3),
        group(Orthogonal, 0.8, Activation::Relu, 1.0, 2),
        group(Orthogonal, 2.0, Activation::Gelu, 1.1, 4),
    ];
    let s = spectrum(&groups).unwrap();
    let moments = normalised_moments(&groups, 40).unwrap();
    near(moments[0], 1.0, 1e-14);
    near(moments[1], 1.0 + s.normalised_variance, 1e-13);
    let reversed: Vec<LayerGroup> = groups.iter().rev().cloned().collect();
    let other = spectrum(&reversed).unwrap();
    assert!((s.upper.ln - other.upper.ln).abs() <= s.upper.error + other.upper.error);
    // (E lambda^k)^(1/k) and the ratio of moments increase to the largest lambda
    let edge = (s.upper.ln - s.ln_mean).exp();
    let ratio = moments[39] / moments[38];
    assert!(ratio < edge && ratio > 0.9 * edge, "{ratio} {edge}");
    // a square-root edge: m_(k+1)/m_k = edge (1 - 3/(2k) + O(1/k^2))
    near(ratio * (1.0 + 1.5 / 39.0), edge, 5e-3);
}

#[test]
fn supports_of_all_activations() {
    for phi in Activation::all() {
        for q in [0.2, 1.0, 30.0] {
            let slopes = SquaredSlopes::new(&phi, q).unwrap();
            let (inf, sup) = slopes.support();
            assert!(inf >= 0.0 && inf <= sup);
            let mean = slopes.moment(1);
            assert!(
                mean.value <= sup && mean.error < 1e-10 * mean.value,
                "{phi} {q}"
            );
            let s = spectrum(&[LayerGroup {
                ensemble: Orthogonal,
                sigma_w2: 1.0,
                slopes,
                count: 6,
            }])
            .unwrap();
            // between the mean and the product of the norms
            assert!(s.upper.ln >= s.ln_mean - 1e-9, "{phi} {q} {s:?}");
            assert!(s.upper.ln <= 6.0 * sup.ln() + 1e-9, "{phi} {q} {s:?}");
            assert!(s.upper.error < 1e-6 || sup.is_infinite(), "{phi} {q} {s:?}");
        }
    }
    let unbounded = SquaredSlopes::new(&Activation::SquaredRelu, 1.0).unwrap();
    assert_eq!(unbounded.support(), (0.0, f64::INFINITY));
    assert_eq!(unbounded.nonzero(), 0.5);
}

#[test]
fn one_orthogonal_layer_keeps_its_slopes() {
    // largest slopes of GELU at sqrt(2), of softplus only in the limit
    let gelu = one(Orthogonal, 1.0, Activation::Gelu, 1.0, 1);
    let top = Activation::Gelu.derivative(2f64.sqrt()).powi(2);
    near(gelu.upper.ln.exp(), top, 1e-12);
    let softplus = one(Orthogonal, 1.0, Activation::Softplus { beta: 1.0 }, 1.0, 1);
    assert!(softplus.upper.ln.abs() < 1e-9, "{softplus:?}");
}

#[test]
fn dropout_thins_the_slopes() {
    let s = SquaredSlopes::new(&Activation::Relu, 1.0).unwrap();
    let thin = s.clone().with_dropout(0.8).unwrap();
    near(thin.moment(1).value, 0.5 / 0.8, 1e-15);
    near(thin.moment(2).value, 0.5 / 0.8f64.powi(3), 1e-14);
    near(thin.nonzero(), 0.4, 1e-15);
    let tanh = SquaredSlopes::new(&Activation::Tanh, 1.0).unwrap();
    let thin = tanh.clone().with_dropout(0.5).unwrap();
    near(thin.moment(1).value, 2.0 * tanh.moment(1).value, 1e-14);
    assert_eq!(
        s.with_dropout(0.0).unwrap_err(),
        SpectrumError::Keep { keep: 0.0 }
    );
}

#[test]
fn refusals_carry_their_numbers() {
    let relu_at_zero = SquaredSlopes::new(&Activation::Relu, 0.0).unwrap_err();
    assert_eq!(relu_at_zero, SpectrumError::Variance { q: 0.0 });
    assert!(SquaredSlopes::new(&Activation::Tanh, f64::NAN).is_err());
    assert_eq!(spectrum(&[]).unwrap_err(), SpectrumError::Empty);
    let bad = group(Gaussian, -1.0, Activation::Tanh, 1.0, 1);
    assert_eq!(
        spectrum(&[bad]).unwrap_err(),
        SpectrumError::Weights { sigma_w2: -1.0 }
    );
    let tanh = SquaredSlopes::new(&Activation::Tanh, 0.0).unwrap();
    assert_eq!(tanh.support(), (1.0, 1.0));
}
