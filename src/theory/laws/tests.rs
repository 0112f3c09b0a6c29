//! The laws against second routes: published values, finite sums, direct convolution.

use super::*;
use crate::theory::quadrature::{gaussian_averages, integrate};
use crate::theory::special::binomial_weights;
use proptest::prelude::*;
use statrs::distribution::{Beta, ContinuousCDF, Gamma};

pub(super) fn relu(n: usize) -> Factor {
    Factor::Gated {
        n,
        gate: 0.5,
        below: 0.0,
        scale: 2.0 / n as f64,
    }
}

pub(super) fn leaky(n: usize, below: f64) -> Factor {
    Factor::Gated {
        n,
        gate: 0.5,
        below,
        scale: 1.0,
    }
}

pub(super) fn law(factor: Factor, count: u64) -> ProductLaw {
    ProductLaw::new(&[(factor, count)]).unwrap()
}

pub(super) fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} {b}");
}

/// statrs in the bulk, in the lower tail the series of positive terms (DLMF 8.7.1).
fn chi2_cdf(degrees: usize, x: f64) -> f64 {
    let (a, h) = (0.5 * degrees as f64, 0.5 * x);
    if h > 0.8 * a {
        return Gamma::new(a, 0.5).unwrap().cdf(x);
    }
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-18 * sum {
        term *= h / (a + k);
        sum += term;
        k += 1.0;
    }
    sum * (a * h.ln() - h - libm::lgamma(a + 1.0)).exp()
}

#[test]
fn published_probability() {
    // Theorem: shifted-inversion-error. R226, and section "width 16 depth 50" of the same source
    let p = law(relu(16), 50).cdf_ln_square(0.0);
    assert!((p.value - 0.977_062_233_440_954_9).abs() < 1e-7 + p.error);
    assert!(p.error < 1e-12, "{}", p.error);
    near(law(relu(16), 50).cdf_ln_square(-10.0).value, 0.38935, 5e-6);
    // a scale wrong by 1% moves it by far more than the error
    let off = Factor::Gated {
        n: 16,
        gate: 0.5,
        below: 0.0,
        scale: 2.02 / 16.0,
    };
    assert!((law(off, 50).cdf_ln_square(0.0).value - p.value).abs() > 1e-3);
}

/// Distribution of one ReLU layer of unit scale, zeros excluded.
fn one_layer_cdf(n: usize, x: f64) -> f64 {
    let w = binomial_weights(n, 0.5);
    let sum: f64 = (1..=n).map(|k| w[k] * chi2_cdf(k, x.exp())).sum();
    sum / (1.0 - w[0])
}

fn one_layer_density(n: usize, x: f64) -> f64 {
    let w = binomial_weights(n, 0.5);
    let term = |k: usize| {
        let half = 0.5 * k as f64;
        let ln = half * (x - std::f64::consts::LN_2) - 0.5 * x.exp() - libm::lgamma(half);
        w[k] * ln.exp()
    };
    (1..=n).map(term).sum::<f64>() / (1.0 - w[0])
}

#[test]
fn one_layer_is_a_mixture_of_chi_squares() {
    for n in [1, 2, 3, 16, 64, 300] {
        let law = law(leaky(n, 0.0), 1);
        let (mean, deviation) = (law.mean_ln_square(), law.var_ln_square().sqrt());
        for i in -24..=16 {
            let x = mean + 0.5 * f64::from(i) * deviation;
            let p = law.cdf_ln_square(x);
            let truth = one_layer_cdf(n, x);
            assert!((p.value - truth).abs() < 1e-12, "{n} {i} {p:?} {truth}");
            assert!(p.error < 1e-11, "{n} {i} {p:?}");
            // the reference itself is good to 1e-12
            assert!(
                (p.value - truth).abs() < p.error + 1e-12 * truth,
                "{n} {i} {p:?} {truth}"
            );
            // far below the mean the line moves left and keeps relative accuracy, less of it where rare small
            // counts hold the line back
            if i < -6 {
                let relative = if n <= 16 { 1e-8 } else { 1e-3 };
                assert!(p.error < relative * truth, "{n} {i} {p:?} {truth}");
            }
        }
    }
}

#[test]
fn tails_keep_relative_accuracy() {
    let narrow = law(leaky(1, 0.0), 1);
    // P(chi2_1 < e^x) = sqrt(2 e^x / pi) (1 + O(e^x))
    for x in [-30.0, -60.0, -80.0f64] {
        let p = narrow.cdf_ln_square(x);
        let truth = (2.0 / std::f64::consts::PI).sqrt() * (0.5 * x).exp();
        assert!((p.value / truth - 1.0).abs() < 1e-9, "{x} {p:?} {truth}");
        assert!(p.error < 1e-8 * truth, "{x} {p:?}");
    }
    // P(chi2_2 > e^x) = e^(-e^x / 2)
    let pair = law(Factor::ChiSquare { n: 2, scale: 1.0 }, 1);
    for x in [2.0, 3.0, 4.0, 4.3f64] {
        let p = pair.survival_ln_square(x);
        let truth = (-0.5 * x.exp()).exp();
        assert!((p.value / truth - 1.0).abs() < 1e-9, "{x} {p:?} {truth}");
    }
}

#[test]
fn two_and_three_layers_by_convolution() {
    for n in [1, 2, 3] {
        let two = law(leaky(n, 0.0), 2);
        for x in [-12.0, -4.0, -1.0, 0.5, 2.0, 4.0] {
            let f = |u: f64| [one_layer_density(n, u) * one_layer_cdf(n, x - u)];
            let [truth] = integrate(f, -90.0, 6.0, &[-20.0, -5.0, x, 0.0, 3.0], 1e-15);
            let p = two.cdf_ln_square(x);
            assert!(
                (p.value - truth.value).abs() < 1e-11,
                "{n} {x} {p:?} {truth:?}"
            );
        }
    }
    // a mixed product, the second factor against the convolution of the first and the third
    let mixed = ProductLaw::new(&[
        (leaky(2, 0.0), 1),
        (Factor::ChiSquare { n: 3, scale: 0.3 }, 1),
    ]);
    let mixed = mixed.unwrap();
    for x in [-3.0, 0.0, 1.5] {
        let f = |u: f64| [one_layer_density(2, u) * chi2_cdf(3, (x - u).exp() / 0.3)];
        let [truth] = integrate(f, -80.0, 6.0, &[-20.0, x, 0.0, 3.0], 1e-15);
        near(mixed.cdf_ln_square(x).value, truth.value, 1e-11);
    }
}

#[test]
fn leaky_layers_against_convolution_over_the_gates() {
    // Theorem: gated-square-mixture
    // width 2: 1/4 chi2_2, 1/4 a^2 chi2_2, 1/2 (z1^2 + a^2 z2^2)
    for a in [0.01, 0.2, -0.7, 3.0f64] {
        let law = law(leaky(2, a), 1);
        for t in [0.003, 0.1, 1.0, 5.0f64] {
            let inner = |z: f64| {
                let rest = (t - z * z).max(0.0).sqrt() / a.abs();
                [libm::erf(rest / std::f64::consts::SQRT_2)]
            };
            let root = t.sqrt();
            let breaks: Vec<f64> = (0..12)
                .map(|i| root * (1.0 - 0.1f64.powi(i)))
                .flat_map(|x| [x, -x, root, -root])
                .collect();
            let inside = |z: f64| if z.abs() < root { inner(z) } else { [0.0] };
            let [mixed] = gaussian_averages(inside, &breaks);
            let truth = 0.25 * (1.0 - (-0.5 * t).exp())
                + 0.25 * (1.0 - (-0.5 * t / (a * a)).exp())
                + 0.5 * mixed.value;
            let p = law.cdf_ln_square(t.ln());
            assert!(
                (p.value - truth).abs() < 1e-11 + mixed.error,
                "{a} {t} {p:?} {truth}"
            );
        }
    }
}

#[test]
fn leaky_moments_of_any_width() {
    // E S and E S^2 from the transform, against the sums over units
    for n in [1, 2, 3, 10, 64, 500] {
        for a in [1e-3, 0.01, 0.2, -0.5, 4.0] {
            for factor in [
                leaky(n, a),
                Factor::Sphere {
                    n,
                    ambient: n,
                    gate: 0.5,
                    below: a,
                    scale: 1.0,
                },
                Factor::Sphere {
                    n,
                    ambient: 2 * n + 1,
                    gate: 0.5,
                    below: a,
                    scale: 0.7,
                },
            ] {
                let law = law(factor, 3);
                near(law.ln_moment(1.0).unwrap(), law.ln_mean_square(), 2e-13);
                let second = law.ln_moment(2.0).unwrap() - 2.0 * law.ln_mean_square();
                near(second, law.ln_kurtosis_ratio(), 4e-13);
            }
        }
    }
}

#[test]
fn leaky_limits_are_relu_and_linear() {
    // continuity in the slope: the law of a = 1 - e is that of chi2_n to first order in e
    let (lin, almost) = (
        law(Factor::ChiSquare { n: 7, scale: 1.0 }, 4),
        law(leaky(7, 1.0 - 1e-9), 4),
    );
    let flat = law(leaky(60, 1e-9), 4);
    let dead = law(leaky(60, 0.0), 4);
    for x in [4.0, 7.0, 9.0] {
        near(
            almost.cdf_ln_square(x).value,
            lin.cdf_ln_square(x).value,
            1e-7,
        );
        near(
            flat.cdf_ln_square(x + 5.0).value,
            dead.cdf_ln_square(x + 5.0).value,
            1e-10,
        );
    }
    near(
        law(leaky(7, -1.0), 4).cdf_ln_square(7.0).value,
        lin.cdf_ln_square(7.0).value,
        1e-14,
    );
}

#[test]
fn one_haar_layer_is_a_mixture_of_betas() {
    let n = 64;
    let law = law(
        Factor::Sphere {
            n,
            ambient: n,
            gate: 0.5,
            below: 0.0,
            scale: 2.0,
        },
        1,
    );
    near(law.kurtosis_ratio(), 69.0 / 66.0, 1e-14);
    let w = binomial_weights(n, 0.5);
    for x in [-0.9, -0.4, -0.1, 0.0, 0.2, 0.4f64] {
        let b = 0.5 * x.exp();
        let truth: f64 = (1..n)
            .map(|k| {
                w[k] * Beta::new(0.5 * k as f64, 0.5 * (n - k) as f64)
                    .unwrap()
                    .cdf(b)
            })
            .sum();
        let p = law.cdf_ln_square(x);
        assert!((p.value - truth).abs() < 1e-11, "{x} {p:?} {truth}");
    }
    assert_eq!(law.cdf_ln_square(0.7).value, 1.0);
}

#[test]
fn narrow_haar_layers_admit_their_error() {
    // atoms: the transform does not decay
    let n = 4;
    let law = law(
        Factor::Sphere {
            n,
            ambient: n,
            gate: 0.5,
            below: 0.0,
            scale: 1.0,
        },
        1,
    );
    let w = binomial_weights(n, 0.5);
    for x in [-2.0, -0.8, -0.3f64] {
        let beta = |k: usize| Beta::new(0.5 * k as f64, 0.5 * (n - k) as f64).unwrap();
        let sum: f64 = (1..n).map(|k| w[k] * beta(k).cdf(x.exp())).sum();
        let p = law.cdf_ln_square(x);
        assert!(p.error > 1e-4, "{p:?}");
        assert!((p.value - sum / (1.0 - w[0])).abs() < p.error, "{x} {p:?}");
    }
}

#[test]
fn quantiles_invert_probabilities() {
    for (factor, count) in [
        (relu(1), 1),
        (relu(3), 7),
        (relu(16), 50),
        (leaky(9, 0.01), 20),
    ] {
        let law = law(factor, count);
        for p in [1e-9, 0.001, 0.05, 0.5, 0.95, 0.999] {
            let q = law.quantile_ln_square(p);
            let back = law.cdf_ln_square(q.value);
            assert!(
                (back.value - p).abs() < 1e-11 * p + back.error,
                "{factor:?} {p} {q:?} {back:?}"
            );
            assert!(q.error < 1e-8 * law.var_ln_square().sqrt(), "{p} {q:?}");
        }
        assert_eq!(law.quantile_ln_square(1.0).value, f64::INFINITY);
        assert!(law.quantile_ln_square(1.5).value.is_nan());
    }
}

#[test]
fn a_million_layers() {
    // Edgeworth to second order, with cumulants of one layer: its error is of order N^(-3/2)
    let n = 16;
    let count = 1_000_000u64;
    let deep = law(relu(n), count);
    let one = law(relu(n), 1);
    near(deep.mean_ln_square(), 1e6 * one.mean_ln_square(), 1e-14);
    near(deep.var_ln_square(), 1e6 * one.var_ln_square(), 1e-14);
    let k = |s: f64| one.ln_moment(s).unwrap() - s * one.mean_ln_square();
    // third derivative at 0 by central differences
    let third = |h: f64| (k(2.0 * h) - 2.0 * k(h) + 2.0 * k(-h) - k(-2.0 * h)) / (2.0 * h * h * h);
    let third = (4.0 * third(0.01) - third(0.02)) / 3.0;
    let skew = third / one.var_ln_square().powf(1.5) / 1e3;
    let deviation = deep.var_ln_square().sqrt();
    for z in [-2.5, -1.0, 0.0, 0.7, 2.0f64] {
        let phi = 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        let edgeworth = phi - density * skew * (z * z - 1.0) / 6.0;
        let p = deep.cdf_ln_square(deep.mean_ln_square() + z * deviation);
        // the next term has size 1e-6 times cumulants of order 1
        assert!((p.value - edgeworth).abs() < 2e-6, "{z} {p:?} {edgeworth}");
        assert!(
            (p.value - phi).abs() > 1e-6 || (z * z - 1.0).abs() < 0.1,
            "{z}"
        );
        assert!(p.error < 1e-10, "{p:?}");
    }
}

#[test]
fn wide_layers_are_nearly_log_normal_and_dead_with_their_tiny_probability() {
    let law = law(relu(1000), 10);
    assert!((law.p_zero() / (10.0 * 0.5f64.powi(1000)) - 1.0).abs() < 1e-12);
    let wide = self::law(relu(100_000), 3);
    near(wide.var_ln_square(), 15e-5, 1e-4);
    near(wide.cdf_ln_square(wide.mean_ln_square()).value, 0.5, 2e-3);
    assert_eq!(wide.p_zero(), 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Probabilities are in [0, 1] and monotone up to their errors.
    #[test]
    fn distribution_functions_are_monotone(
        widths in prop::collection::vec(1usize..40, 1..4),
        count in 1u64..200,
        below in prop_oneof![Just(0.0), Just(1.0), -2.0..2.0f64],
        sphere in any::<bool>(),
    ) {
        let factors: Vec<(Factor, u64)> = widths
            .iter()
            .enumerate()
            .map(|(i, &n)| {
                let f = if sphere && i == 0 {
                    Factor::Sphere { n, ambient: n + 1, gate: 0.5, below, scale: 1.0 }
                } else {
                    leaky(n, below)
                };
                (f, count)
            })
            .collect();
        let law = ProductLaw::new(&factors).unwrap();
        let (mean, deviation) = (law.mean_ln_square(), law.var_ln_square().sqrt());
        let mut last = Uncertain { value: 0.0, error: 0.0 };
        for i in -15..=15 {
            let p = law.cdf_ln_square(mean + 0.6 * f64::from(i) * deviation);
            prop_assert!((0.0..=1.0).contains(&p.value));
            prop_assert!(p.value >= last.value - p.error - last.error, "{:?} {:?}", last, p);
            if !sphere {
                prop_assert!(p.error < 1e-10, "{:?}", p);
            }
            last = p;
        }
    }
}
