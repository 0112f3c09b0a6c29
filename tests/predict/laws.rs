//! Exact laws of homogeneous networks: moments by direct sums, distribution functions by direct
//! convolution, powers of alpha.

use super::{equal, model, near, predicted};
use isometer::network::{Alpha, AlphaAt, BiasInit};
use isometer::scale::Certainty;
use isometer::theory::laws::{Ensemble, Network};
use isometer::theory::predict::{Options, predict};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use statrs::function::gamma::{digamma, ln_gamma};
use std::f64::consts::{LN_2, PI};

/// `P(K = k)` of `n` fair coins given that one at least is up, for `k = 1..=n`.
fn open_gates(n: usize) -> Vec<f64> {
    let mut binomial = 1.0;
    let all = 2f64.powi(n as i32);
    (1..=n)
        .map(|k| {
            binomial *= (n + 1 - k) as f64 / k as f64;
            binomial / (all - 1.0)
        })
        .collect()
}

/// `psi'(k/2)` by recurrence.
fn trigamma_half(k: usize) -> f64 {
    let (mut x, mut value) = match k % 2 {
        0 => (1.0, PI * PI / 6.0),
        _ => (0.5, PI * PI / 2.0),
    };
    while x < 0.5 * k as f64 - 0.25 {
        value -= 1.0 / (x * x);
        x += 1.0;
    }
    value
}

/// Mean and variance of the log of `sigma_w2/n chi2_K`, given `K > 0`.
fn he_layer(n: usize, sigma_w2: f64) -> (f64, f64) {
    let p = open_gates(n);
    let scale = (2.0 * sigma_w2 / n as f64).ln();
    let log = |k: usize| digamma(0.5 * k as f64) + scale;
    let mean: f64 = (1..=n).map(|k| p[k - 1] * log(k)).sum();
    let square: f64 = (1..=n)
        .map(|k| p[k - 1] * ((log(k) - mean).powi(2) + trigamma_half(k)))
        .sum();
    (mean, square)
}

#[test]
fn narrow_networks_by_direct_sums() {
    for n in 1..=3 {
        for depth in [1, 2, 1_000_000] {
            let p = predicted(&equal(depth, n, "relu", 1.7));
            let jvp = p.jvp.unwrap();
            assert_eq!(jvp.certainty, Certainty::Exact);
            let (mean, variance) = he_layer(n, 1.7);
            let l = depth as f64;
            near(jvp.mean_ln_square.unwrap() / l, mean, 1e-12);
            near(jvp.var_ln_square.unwrap() / l, variance, 1e-11);
            near(jvp.ln_mean_square / l, 0.85f64.ln(), 1e-12);
            near(
                jvp.ln_kurtosis_ratio.unwrap() / l,
                (5.0 / n as f64).ln_1p(),
                1e-12,
            );
            let dead = -(l * (-(0.5f64.powi(n as i32))).ln_1p()).exp_m1();
            near(jvp.p_zero, dead, 1e-11);
        }
    }
}

/// `P(ln X_1 X_2 <= t)` for two layers of width `n`, by the trapezoidal rule over `ln X_1`; the integrand is
/// analytic and falls exponentially on both sides, so that the rule is exact to rounding.
fn two_layers_cdf(n: usize, sigma_w2: f64, t: f64) -> f64 {
    let p = open_gates(n);
    let scale = sigma_w2 / n as f64;
    let second: Vec<_> = (1..=n)
        .map(|k| ChiSquared::new(k as f64).unwrap())
        .collect();
    let step = 0.05;
    let mut sum = 0.0;
    for i in -1500..120 {
        let u = f64::from(i) * step;
        // density of ln chi2_k at u
        let density: f64 = (1..=n)
            .map(|k| {
                let h = 0.5 * k as f64;
                p[k - 1] * (h * u - 0.5 * u.exp() - h * LN_2 - ln_gamma(h)).exp()
            })
            .sum();
        let rest = (t - u - 2.0 * scale.ln()).exp();
        let below: f64 = (1..=n).map(|k| p[k - 1] * second[k - 1].cdf(rest)).sum();
        sum += step * density * below;
    }
    sum
}

#[test]
fn distribution_of_two_layers_by_convolution() {
    let cdf = vec![-9.0, -3.0, -1.0, 0.0, 1.0, 2.5];
    for n in 1..=3 {
        let options = Options { cdf: cdf.clone() };
        let p = predict(&equal(2, n, "relu", 2.0), &options).unwrap();
        let jvp = p.jvp.unwrap();
        assert_eq!(jvp.cdf_ln_square.len(), cdf.len());
        for (x, value) in jvp.cdf_ln_square {
            near(value, two_layers_cdf(n, 2.0, x), 1e-8);
        }
        assert!(jvp.error.unwrap() < 1e-8);
        // quantiles invert it
        for (q, x) in jvp.quantiles_ln_square {
            near(two_layers_cdf(n, 2.0, x), q, 1e-7);
        }
    }
}

#[test]
fn a_million_layers_are_normal() {
    for n in 1..=3 {
        let jvp = predicted(&equal(1_000_000, n, "relu", 2.0)).jvp.unwrap();
        let (mean, deviation) = (
            jvp.mean_ln_square.unwrap(),
            jvp.var_ln_square.unwrap().sqrt(),
        );
        for ((_, x), z) in jvp
            .quantiles_ln_square
            .iter()
            .zip([-1.644854, 0.0, 1.644854])
        {
            // Berry and Esseen: 0.56 rho / (sigma^3 sqrt(L)) in probability, rho < 5 sigma^3 here, and
            // at 5% the density is 0.103
            near((x - mean) / deviation, z, 0.0028 / 0.103);
        }
    }
}

#[test]
fn published_distribution_and_moments() {
    // theory.csv R226
    let mut he = equal(50, 16, "relu", 2.0);
    let options = Options { cdf: vec![0.0] };
    let jvp = predict(&he, &options).unwrap().jvp.unwrap();
    near(jvp.cdf_ln_square[0].1, 0.9770622334409549, 1e-7);
    he.widths.pop();
    let other = predict(&he, &options).unwrap().jvp.unwrap();
    assert!((other.cdf_ln_square[0].1 - 0.9770622334409549).abs() > 1e-5);
    // R187, R188, R189, R190, R192, R196; with biases the Jacobian and the input gradient are the same
    for sigma_b2 in [0.0, 1.0] {
        let mut m = model(&[5, 10, 6, 12], "relu", "gaussian:sigma_w2=1.7");
        if sigma_b2 > 0.0 {
            m.bias = BiasInit::Gaussian { variance: sigma_b2 };
        }
        let p = predicted(&m);
        let (jvp, gradient) = (p.jvp.unwrap(), p.input_gradient.unwrap());
        near(jvp.ln_mean_square.exp(), 1.4739000000000002, 1e-12);
        near(jvp.mean_ln_square.unwrap(), -0.7027514982398104, 1e-11);
        near(jvp.var_ln_square.unwrap(), 3.409316351205301, 1e-11);
        near(gradient.ln_mean_square.exp(), 1.0440125, 1e-12);
        near(
            gradient.ln_kurtosis_ratio.unwrap().exp(),
            5.454166666666664,
            1e-12,
        );
        assert_eq!(p.weight_gradients.len(), 4);
        if sigma_b2 == 0.0 {
            // |x_0|^2 = n_0 here and 6.78 in R190
            for (l, law) in &p.weight_gradients {
                let per_input = law.ln_mean_square.exp() / m.widths[l - 1] as f64;
                near(
                    per_input * 6.779999999999999 / 5.0,
                    0.8327534999999999,
                    1e-12,
                );
                near(
                    law.ln_kurtosis_ratio.unwrap().exp(),
                    3.895833333333331,
                    1e-11,
                );
            }
        } else {
            assert!(p.forward.is_none(), "biases add to the signal");
        }
    }
}

#[test]
fn rank_and_traces() {
    // theory.csv R209, R213
    let p = predicted(&equal(5, 16, "relu", 2.0));
    near(p.jacobian.expected_rank.unwrap(), 5.695645746044668, 1e-12);
    let p = predicted(&equal(5, 16, "linear", 1.0));
    near(p.jacobian.ln_expected_trace.unwrap().exp(), 16.0, 1e-10);
    near(p.jacobian.expected_rank.unwrap(), 16.0, 1e-12);
    // one linear layer: pairings of w_ij w_ik w_lk w_lj give 2n + 1
    let p = predicted(&equal(1, 7, "linear", 1.0));
    near(
        p.jacobian.ln_expected_trace_of_square.unwrap().exp(),
        15.0,
        1e-11,
    );
    // R218, R219 in bits
    let p = predicted(&equal(9, 2, "linear", 1.0));
    near(
        p.jacobian.log2_lyapunov[0] * LN_2,
        -0.28860783245076643,
        1e-13,
    );
    near(
        p.jacobian.log2_lyapunov[1] * LN_2,
        -0.9817550130107118,
        1e-13,
    );
    // R148, R156
    let p = predicted(&equal(2, 50, "linear", 1.0));
    near(p.jacobian.edge.unwrap().1, 6.75, 1e-9);
    near(
        predicted(&equal(4, 50, "relu", 2.0))
            .jacobian
            .variance
            .unwrap(),
        8.0,
        1e-12,
    );
}

#[test]
fn alpha_enters_by_its_powers() {
    let widths = [5, 10, 6, 12];
    let at = |value: f64, at: AlphaAt| {
        let mut m = model(&widths, "relu", "kaiming_normal");
        m.alpha = Alpha { value, at };
        predicted(&m)
    };
    let one = at(1.0, AlphaAt::Weights);
    let layers = 3.0;
    for alpha in [1e-9, 0.3, -2.0, 1e12] {
        let ln = 2.0 * f64::abs(alpha).ln();
        let tolerance = 1e-14 * (1.0 + 8.0 * ln.abs());
        let shift = |p: &isometer::theory::prediction::Prediction, jvp: f64, gradient: f64| {
            let (a, b) = (p.jvp.as_ref().unwrap(), one.jvp.as_ref().unwrap());
            near(a.ln_mean_square - b.ln_mean_square, jvp * ln, tolerance);
            near(
                a.mean_ln_square.unwrap() - b.mean_ln_square.unwrap(),
                jvp * ln,
                tolerance,
            );
            let (a, b) = (
                p.input_gradient.as_ref().unwrap(),
                one.input_gradient.as_ref().unwrap(),
            );
            near(
                a.ln_mean_square - b.ln_mean_square,
                gradient * ln,
                tolerance,
            );
        };
        let weights = at(alpha, AlphaAt::Weights);
        shift(&weights, layers, layers + 1.0);
        let multiplier = at(alpha, AlphaAt::Multiplier);
        shift(&multiplier, layers, layers + 1.0);
        let second = at(alpha, AlphaAt::Layer(2));
        shift(&second, 1.0, 1.0);
        for i in 0..4 {
            let gain = |p: &isometer::theory::prediction::Prediction| {
                p.weight_gradients[i].1.ln_mean_square - one.weight_gradients[i].1.ln_mean_square
            };
            // all layers but the own one; the multiplier outside the weights adds that too
            near(gain(&weights), layers * ln, tolerance);
            near(gain(&multiplier), (layers + 1.0) * ln, tolerance);
            let others = f64::from(u8::from(i != 1));
            near(gain(&second), others * ln, tolerance);
        }
        // the critical alpha does not depend on where one starts
        near(
            weights.critical_alpha.mean_square.unwrap(),
            one.critical_alpha.mean_square.unwrap(),
            1e-12,
        );
    }
    // and is critical
    let typical = one.critical_alpha.typical.unwrap();
    let there = at(typical, AlphaAt::Weights);
    near(
        there.growth.typical_ln_square_per_layer.unwrap(),
        0.0,
        1e-13,
    );
}

#[test]
fn orthogonal_weights_lose_the_spread_of_gaussian_ones() {
    let haar = predicted(&model(&[9; 5], "linear", "orthogonal:gain=1.5"));
    let jvp = haar.jvp.unwrap();
    near(jvp.ln_mean_square, 8.0 * 1.5f64.ln(), 1e-13);
    near(jvp.var_ln_square.unwrap(), 0.0, 1e-14);
    // ReLU: K open gates leave a Beta(K/2, (n-K)/2) share of a unit vector
    let n = 9;
    let p = open_gates(n);
    let log = |k: usize| digamma(0.5 * k as f64) - digamma(0.5 * n as f64);
    let spread = |k: usize| trigamma_half(k) - trigamma_half(n);
    let mean: f64 = (1..=n).map(|k| p[k - 1] * log(k)).sum();
    let variance: f64 = (1..=n)
        .map(|k| p[k - 1] * ((log(k) - mean).powi(2) + spread(k)))
        .sum();
    let relu = predicted(&model(&[n; 5], "relu", "orthogonal:sigma_w2=2"));
    let jvp = relu.jvp.unwrap();
    near(jvp.mean_ln_square.unwrap(), 4.0 * (mean + LN_2), 1e-12);
    near(jvp.var_ln_square.unwrap(), 4.0 * variance, 1e-11);
    let gaussian = predicted(&equal(4, n, "relu", 2.0)).jvp.unwrap();
    assert!(jvp.var_ln_square.unwrap() < 0.8 * gaussian.var_ln_square.unwrap());
    near(jvp.ln_mean_square, gaussian.ln_mean_square, 1e-13);
}

/// Theorem: element-of-a-gradient. The law of an element against the law of the norm averaged over a uniform
/// direction.
#[test]
fn an_element_by_its_direction() {
    let (widths, sigma_w2) = ([3, 6, 5], [0.02, 0.02, 0.02]);
    let network = Network {
        widths: &widths,
        sigma_w2: &sigma_w2,
        slopes: (1.0, 0.0),
        keep: 1.0,
        ensemble: Ensemble::Gaussian,
        symmetric_biases: false,
    };
    let norm = network.input_gradient().unwrap();
    let element = network.input_gradient_element().unwrap();
    near(
        element.ln_mean_square(),
        norm.ln_mean_square() - 3f64.ln(),
        1e-14,
    );
    // three dimensions: |cos| of the angle is uniform on [0, 1]; midpoints in v = cos^(1/2) tame its end
    let x = norm.mean_ln_square();
    let count = 200;
    let direct: f64 = (0..count)
        .map(|i| {
            let v = (f64::from(i) + 0.5) / f64::from(count);
            2.0 * v * norm.cdf_ln_square(x - 4.0 * v.ln()).value / f64::from(count)
        })
        .sum();
    near(element.cdf_ln_square(x).value, direct, 1e-4);
}
