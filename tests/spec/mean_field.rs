//! Infinite width: length and correlation maps, their critical points, and the first correction at finite width.

use super::support::check;
use isometer::network::activation::Activation;
use isometer::network::{Model, WeightInit};
use isometer::reference::Mlp;
use isometer::theory::averages::moments;
use isometer::theory::correlation::pair;
use isometer::theory::criticality::edge_at_q;
use isometer::theory::fluctuation::{FluctuationLayer, fluctuations};
use isometer::theory::laws::{Ensemble, Network};
use isometer::theory::mean_field::LengthMap;
use isometer::theory::padding::zero_padding_factor;
use isometer::theory::quadrature::gaussian_average;
use proptest::prelude::*;
use proptest::sample::select;

fn smooth() -> impl Strategy<Value = Activation> {
    select(vec![
        Activation::Tanh,
        Activation::Erf,
        Activation::Gelu,
        Activation::Silu,
    ])
}

/// The correlation map is convex, keeps 1 fixed, and has slope `chi_1` there.
///
/// Theorem: correlation-map-convexity.
mod the_correlation_map_is_convex_with_slope_chi_at_one {
    use super::super::support::check_few;
    use super::*;

    #[test]
    fn holds() {
        check_few(
            8,
            (
                select(vec![Activation::Tanh, Activation::Erf, Activation::Relu]),
                0.2..1.0f64,
                0.05..1.0f64,
            ),
            |(phi, share, q)| {
                // variances that make q a fixed point, this share of it from the weights
                let unit = LengthMap::new(phi.clone(), 1.0, 0.0).unwrap().next(q).value;
                let map = LengthMap::new(phi, share * q / unit, (1.0 - share) * q).unwrap();
                let at = |g: f64| map.correlate(q, g).gap;
                let gaps: Vec<f64> = (0..=8).map(|k| f64::from(k) / 8.0).collect();
                for t in gaps.windows(3) {
                    let [x, y, z] = [at(t[0]), at(t[1]), at(t[2])];
                    let slack = x.error + 2.0 * y.error + z.error + 1e-14;
                    prop_assert!(x.value + z.value <= 2.0 * y.value + slack);
                }
                prop_assert_eq!(at(0.0).value, 0.0);
                let (slope, chi) = (map.correlate(q, 0.0).slope, map.chi_1(q));
                prop_assert!((slope.value - chi.value).abs() <= slope.error + chi.error + 1e-12);
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // for a linear activation the map is a straight line
        let map = LengthMap::new(Activation::Linear, 1.0, 0.0).unwrap();
        for g in [0.0, 0.25, 0.5, 1.0] {
            assert!((map.correlate(1.0, g).gap.value - g).abs() < 1e-15);
        }
    }

    #[test]
    fn notices() {
        // chaos has a second fixed point, order has not
        let star = |w: f64, b: f64| {
            let map = LengthMap::new(Activation::Tanh, w, b).unwrap();
            let points = map.fixed_points().points;
            let q = points.iter().map(|p| p.q.value).fold(0.0, f64::max);
            map.mean_field(q).c_star_gap.map(|g| g.value)
        };
        assert!(star(2.25, 0.05).unwrap() > 0.1);
        assert!(star(0.8, 0.05).unwrap() < 1e-9);
    }
}

/// `w = 1/E phi'^2`, `b = q - w E phi^2`: one pair of averages says whether `q` belongs to the edge of chaos.
///
/// Theorem: edge-parametrisation.
mod each_length_has_one_point_of_the_edge_of_chaos {
    use super::*;

    #[test]
    fn holds() {
        check((smooth(), 0.05..3.0f64), |(phi, q)| {
            let Some(point) = edge_at_q(&phi, q) else {
                return Ok(());
            };
            let map = LengthMap::new(phi, point.sigma_w2.value, point.sigma_b2.value).unwrap();
            let (next, chi) = (map.next(q), map.chi_1(q));
            let slack =
                point.sigma_w2.error + point.sigma_b2.error + next.error + chi.error + 1e-13;
            prop_assert!((next.value - q).abs() <= slack * (1.0 + q));
            prop_assert!((chi.value - 1.0).abs() <= slack);
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // ReLU: the point (2, 0) whatever q
        for q in [1e-3, 1.0, 40.0] {
            let p = edge_at_q(&Activation::Relu, q).unwrap();
            assert!((p.sigma_w2.value - 2.0).abs() < 1e-14 && p.sigma_b2.value.abs() < 1e-13 * q);
        }
    }

    #[test]
    fn notices() {
        // softplus would need a negative variance; a variance 1% off is not critical
        assert!(edge_at_q(&Activation::Softplus { beta: 1.0 }, 1.0).is_none());
        let p = edge_at_q(&Activation::Tanh, 0.5).unwrap();
        let map =
            LengthMap::new(Activation::Tanh, 1.01 * p.sigma_w2.value, p.sigma_b2.value).unwrap();
        assert!((map.chi_1(0.5).value - 1.0).abs() > 0.009);
    }
}

/// Averages in closed form, against a plain quadrature and against each other.
///
/// Theorem: gaussian-closed-forms.
mod closed_forms_are_the_averages_they_stand_for {
    use super::*;

    fn closed() -> impl Strategy<Value = Activation> {
        select(vec![
            Activation::Erf,
            Activation::Sin,
            Activation::Gelu,
            Activation::Relu,
            Activation::LeakyRelu { slope: 0.25 },
        ])
    }

    #[test]
    fn holds() {
        check((closed(), 0.05..4.0f64), |(phi, q)| {
            let found = moments(&phi, q).second;
            let plain = gaussian_average(|z| phi.value(q.sqrt() * z).powi(2), &[0.0]);
            let slack = found.error + plain.error + 1e-12;
            prop_assert!(
                (found.value - plain.value).abs() <= slack,
                "{phi}: {} {}",
                found.value,
                plain.value
            );
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // the derivative of E phi^2 in q is the parallel moment: differences of closed forms converge as h^2
        for phi in [Activation::Erf, Activation::Sin, Activation::Relu] {
            for q in [0.3, 1.0, 2.5] {
                let f = |q: f64| moments(&phi, q).second.value;
                let error = |h: f64| {
                    ((f(q + h) - f(q - h)) / (2.0 * h) - moments(&phi, q).parallel.value).abs()
                };
                assert!(error(1e-3) <= 1e-6 && error(1e-2) <= 101.0 * error(1e-3) + 1e-10);
            }
        }
    }

    #[test]
    fn notices() {
        // independent arguments: sine is odd, its pair average vanishes at correlation 0 and not at 0.1
        let at = |gap| {
            1.0 - pair(&Activation::Erf, 1.0, gap).deficit.value
                / pair(&Activation::Erf, 1.0, 1.0).deficit.value
        };
        assert!(at(1.0).abs() < 1e-14 && at(0.9) > 0.05);
        // the slope moment is not the parallel one
        let m = moments(&Activation::Erf, 1.0);
        assert!(m.slope.value > m.parallel.value + 0.1);
    }
}

/// Variance and kurtosis of initializers, against weights that are drawn.
///
/// Theorem: initializer-moments.
mod initializers_have_the_moments_they_claim {
    use super::*;

    /// Mean square and mean fourth power of drawn entries.
    fn drawn(text: &str) -> (f64, f64, usize, Model) {
        let mut model = Model::new(vec![300, 300], Activation::Relu);
        model.weights = text.parse::<WeightInit>().unwrap();
        let mlp = Mlp::draw(&model, 7, 0).unwrap();
        let w = &mlp.layer(1).weights;
        let n = w.len();
        let power = |k: i32| w.iter().map(|x| x.powi(k)).sum::<f64>() / n as f64;
        (power(2), power(4), n, model)
    }

    const TEXTS: [&str; 5] = [
        "gaussian:sigma_w2=1.5",
        "xavier_uniform",
        "torch:linear",
        "keras:dense",
        "he_normal",
    ];

    #[test]
    fn holds() {
        for text in TEXTS {
            let (second, _, n, model) = drawn(text);
            let law = model.layer(1);
            let (variance, kurtosis) = (law.entry_variance(), law.kurtosis());
            // six standard errors of a mean of n squares
            let error = 6.0 * variance * ((kurtosis - 1.0) / n as f64).sqrt();
            assert!(
                (second - variance).abs() <= error,
                "{text}: {second} {variance}"
            );
        }
    }

    #[test]
    fn tight() {
        for text in TEXTS {
            let (second, fourth, n, model) = drawn(text);
            let kurtosis = model.layer(1).kurtosis();
            // E z^8 <= 105 (E z^2)^4 for all of them
            let error = 6.0 * (105.0 / n as f64).sqrt();
            assert!(
                (fourth / (second * second) - kurtosis).abs() <= error,
                "{text}"
            );
        }
    }

    #[test]
    fn notices() {
        // the fan_in convention of another framework is outside by far
        let (second, _, n, _) = drawn("torch:linear");
        let he = 2.0 / 300.0;
        assert!((second - he).abs() > 100.0 * he / (n as f64).sqrt());
    }
}

/// The variance of `ln |J u|^2` to leading order in `1/n`.
///
/// Theorem: log-gradient-fluctuations.
mod fluctuations_are_of_order_one_over_width {
    use super::*;

    fn leading(phi: &Activation, n: usize, s: f64, depth: usize) -> f64 {
        let layer = FluctuationLayer {
            width: n,
            sigma_w2: s,
            sigma_b2: 0.0,
        };
        fluctuations(phi, n, 1.0, &vec![layer; depth])
            .unwrap()
            .var_ln_square
    }

    fn exact(below: f64, n: usize, s: f64, depth: usize) -> f64 {
        let (widths, s) = (vec![n; depth + 1], vec![s; depth]);
        let net = Network {
            widths: &widths,
            sigma_w2: &s,
            slopes: (1.0, below),
            keep: 1.0,
            ensemble: Ensemble::Gaussian,
            symmetric_biases: false,
        };
        net.jvp().unwrap().var_ln_square()
    }

    #[test]
    fn holds() {
        // against the exact law: what is left out falls as 1/n^2
        for (below, s) in [(0.0, 2.0), (0.5, 1.6), (1.0, 1.0)] {
            let phi = Activation::LeakyRelu { slope: below };
            let off = |n: usize| (exact(below, n, s, 4) - leading(&phi, n, s, 4)).abs();
            let (coarse, fine) = (off(128), off(256));
            assert!(fine <= 0.27 * coarse, "{below}: {coarse} {fine}");
        }
    }

    #[test]
    fn tight() {
        for n in [512, 2048] {
            let ratio = exact(0.0, n, 2.0, 3) / leading(&Activation::Relu, n, 2.0, 3);
            assert!((ratio - 1.0).abs() <= 10.0 / n as f64);
        }
    }

    #[test]
    fn notices() {
        // the constant of ReLU, 5, is not that of linear layers, 2
        let (relu, linear) = (
            leading(&Activation::Relu, 512, 2.0, 3),
            leading(&Activation::Linear, 512, 1.0, 3),
        );
        assert!((relu / linear - 2.5).abs() < 1e-9);
        assert!((exact(1.0, 512, 1.0, 3) / relu - 1.0).abs() > 0.5);
    }
}

/// Zero padding multiplies the growth by the largest eigenvalue of a band matrix.
///
/// Theorem: zero-padding.
mod zero_padding_leaks_by_the_largest_eigenvalue_of_a_band {
    use super::*;

    /// `A x` of the band with entries `1/k` where `2|i-j| < k`.
    fn band(x: &[f64], k: usize) -> Vec<f64> {
        (0..x.len())
            .map(|i| {
                (0..x.len())
                    .filter(|j| 2 * i.abs_diff(*j) < k)
                    .map(|j| x[j])
                    .sum::<f64>()
                    / k as f64
            })
            .collect()
    }

    #[test]
    fn holds() {
        check((1..30usize, 0..6usize), |(n, half)| {
            let k = 2 * half + 1;
            let found = zero_padding_factor(n, k).unwrap();
            let mut x = vec![1.0; n];
            for _ in 0..60 {
                x = band(&x, k);
                let top = x.iter().copied().fold(0.0, f64::max);
                x.iter_mut().for_each(|v| *v /= top);
            }
            let y = band(&x, k);
            let quotients: Vec<f64> = y.iter().zip(&x).map(|(y, x)| y / x).collect();
            let lo = quotients.iter().copied().fold(f64::INFINITY, f64::min);
            let hi = quotients.iter().copied().fold(0.0, f64::max);
            prop_assert!(
                found.value + found.error >= lo * (1.0 - 1e-13)
                    && found.value - found.error <= hi * (1.0 + 1e-13)
            );
            Ok(())
        });
    }

    #[test]
    fn tight() {
        for n in [1, 4, 100] {
            let path = (1.0 + 2.0 * (std::f64::consts::PI / (n as f64 + 1.0)).cos()) / 3.0;
            assert!((zero_padding_factor(n, 3).unwrap().value - path).abs() < 1e-14);
        }
        assert!((zero_padding_factor(3, 7).unwrap().value - 3.0 / 7.0).abs() < 1e-12);
    }

    #[test]
    fn notices() {
        // circular padding would lose nothing; one position more loses less
        let eight = zero_padding_factor(8, 3).unwrap().value;
        assert!(eight < 0.96 && zero_padding_factor(9, 3).unwrap().value > eight + 1e-3);
        assert!(zero_padding_factor(8, 2).is_err());
    }
}
