//! Normalized layers.

use super::networks::{backward, number, probe};
use super::support::{check, check_few, gamma};
use isometer::network::activation::Activation;
use isometer::network::{BatchSize, Normalization};
use isometer::reference::random::{Purpose, stream};
use isometer::reference::{Architecture, Dense, Mlp, Scaled};
use isometer::theory::averages::{mean, moments};
use isometer::theory::mean_field::LengthMap;
use isometer::theory::normalization::{
    self as rates, NormalizationError, Position, growth, rms_linear_mean_square,
    scale_invariant_factors,
};
use proptest::prelude::*;
use proptest::sample::select;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::PI;

fn rate(
    phi: Activation,
    sigma_w2: f64,
    norm: rates::Normalization,
) -> Result<f64, NormalizationError> {
    let map = LengthMap::new(phi, sigma_w2, 0.0).unwrap();
    growth(&map, norm, Position::Before).map(|a| a.value)
}

fn activations() -> impl Strategy<Value = Activation> {
    select(vec![
        Activation::Relu,
        Activation::Tanh,
        Activation::Gelu,
        Activation::LeakyRelu { slope: 0.3 },
    ])
}

/// What is normalized before the activation does not see the scale of its weights: the gradient is orthogonal to them and
/// is divided by what they are multiplied with.
///
/// Theorem: scale-invariance.
mod gradients_of_scale_invariant_weights_are_orthogonal_to_them {
    use super::*;

    fn net(seed: u64, factor: f64, normalization: Normalization, bias: bool) -> Mlp {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut layer = |m, n, f: f64| {
            let entries = (0..m * n)
                .map(|_| f * rng.random_range(-1.0..1.0))
                .collect();
            Dense::new(m, n, entries)
        };
        let mut first = layer(6, 5, factor);
        if bias {
            first = first.with_bias(vec![1.0; 6]);
        }
        let layers = vec![first, layer(6, 6, 1.0), layer(1, 6, 1.0)];
        let architecture = Architecture {
            normalization,
            ..Architecture::new(Activation::Tanh)
        };
        Mlp::from_layers(layers, architecture).unwrap()
    }

    /// Output, pairing of the first layer with its gradient, and that gradient.
    fn look(mlp: &Mlp, seed: u64) -> (f64, f64, Vec<f64>) {
        backward(mlp, &probe(5, seed), |y, g| {
            (y, number(g.euler(1)), g.weight(1).to_vec())
        })
    }

    const BOTH: [Normalization; 2] = [Normalization::Layer, Normalization::Rms];

    #[test]
    fn holds() {
        check((any::<u64>(), select(&BOTH[..])), |(seed, norm)| {
            let mlp = net(seed, 1.0, norm, false);
            let (_, pairing, g) = look(&mlp, seed);
            let size = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
            let w = size(&mlp.layer(1).weights);
            // the gradient is what is left of a vector after projection; its rounding is relative to that
            // vector, which is at most |c| |W_3| |W_2| sqrt(6)^2/|h|^2 times |x|: 6 units, all slopes at most 1
            let x = probe(5, seed).to_vec();
            let h = mlp.forward(&probe(5, seed)).pre_activation(1).to_vec();
            let centre = if norm == Normalization::Layer {
                h.iter().sum::<f64>() / 6.0
            } else {
                0.0
            };
            let spread = h.iter().map(|v| (v - centre).powi(2)).sum::<f64>().sqrt();
            let g2 = mlp.forward(&probe(5, seed)).pre_activation(2).to_vec();
            let centre = if norm == Normalization::Layer {
                g2.iter().sum::<f64>() / 6.0
            } else {
                0.0
            };
            let second = g2.iter().map(|v| (v - centre).powi(2)).sum::<f64>().sqrt();
            let back =
                6.0 / (spread * second) * size(&mlp.layer(2).weights) * size(&mlp.layer(3).weights);
            let bound = gamma(200) * back * size(&x) * w * (1.0 + size(&h) / spread);
            prop_assert!(pairing.abs() <= bound, "{pairing:e} {bound:e} {}", size(&g));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // powers of two pass through without rounding: same output, gradient divided exactly
        check(
            (any::<u64>(), select(&BOTH[..]), -6..=6i32),
            |(seed, norm, e)| {
                let factor = 2f64.powi(e);
                let (y, _, g) = look(&net(seed, 1.0, norm, false), seed);
                let (z, _, h) = look(&net(seed, factor, norm, false), seed);
                prop_assert_eq!(y, z);
                let (gradient, relative) = scale_invariant_factors(factor);
                prop_assert!(g.iter().zip(&h).all(|(g, h)| g * gradient == *h));
                prop_assert_eq!(relative, factor.powi(-2));
                Ok(())
            },
        );
    }

    #[test]
    fn notices() {
        // neither without normalization nor with a bias
        for (norm, bias) in [(Normalization::None, false), (Normalization::Rms, true)] {
            let (y, pairing, _) = look(&net(1, 1.0, norm, bias), 1);
            let (z, ..) = look(&net(1, 2.0, norm, bias), 1);
            assert!(y != z && pairing.abs() > 1e-3, "{pairing}");
        }
    }
}

/// `E phi'^2/Var phi` per layer for large batches, and its value for each finite one.
///
/// Theorem: batch-norm-growth.
mod batch_normalization_grows_gradients_whatever_the_weights {
    use super::*;

    const WHOLE: rates::Normalization = rates::Normalization::Batch(None);

    #[test]
    fn holds() {
        check((activations(), 0.01..100.0f64), |(phi, w)| {
            let m = moments(&phi, 1.0);
            let variance = m.second.value - mean(&phi, 1.0).value.powi(2);
            let found = rate(phi, w, WHOLE).unwrap();
            prop_assert!((found * variance / m.slope.value - 1.0).abs() <= 1e-9);
            Ok(())
        });
    }

    #[test]
    fn tight() {
        let limit = PI / (PI - 1.0);
        assert!((rate(Activation::Relu, 1.0, WHOLE).unwrap() - limit).abs() < 1e-12);
        // linear layers: (B-2)/(B-3)
        for b in [4, 5, 64] {
            let found = rate(
                Activation::Linear,
                1.0,
                rates::Normalization::Batch(Some(b)),
            )
            .unwrap();
            let n = b as f64;
            assert!((found - (n - 2.0) / (n - 3.0)).abs() < 1e-8, "{b}: {found}");
        }
    }

    #[test]
    fn notices() {
        // three examples are too few, and the mean matters: RMS in the place of batch statistics is another rate
        let few = rate(Activation::Relu, 1.0, rates::Normalization::Batch(Some(3)));
        assert!(matches!(few, Err(NormalizationError::BatchTooSmall { .. })));
        let rms = rate(Activation::Relu, 1.0, rates::Normalization::Rms).unwrap();
        assert!((rate(Activation::Relu, 1.0, WHOLE).unwrap() - rms).abs() > 0.4);
    }
}

/// `E phi'^2/E phi^2` per layer.
///
/// Theorem: layer-norm-growth.
mod layer_normalization_grows_gradients_by_a_ratio_of_averages {
    use super::*;

    #[test]
    fn holds() {
        check(
            (activations(), 0.01..100.0f64, any::<bool>()),
            |(phi, w, rms)| {
                let norm = if rms {
                    rates::Normalization::Rms
                } else {
                    rates::Normalization::Layer
                };
                let m = moments(&phi, 1.0);
                let found = rate(phi, w, norm).unwrap();
                prop_assert!((found * m.second.value / m.slope.value - 1.0).abs() <= 1e-9);
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // homogeneous activations: exactly isometric
        for slope in [0.0, 0.3, 1.0] {
            let found = rate(
                Activation::LeakyRelu { slope },
                3.0,
                rates::Normalization::Layer,
            );
            assert!((found.unwrap() - 1.0).abs() < 1e-13);
        }
    }

    #[test]
    fn notices() {
        let tanh = rate(Activation::Tanh, 1.0, rates::Normalization::Layer).unwrap();
        assert!((tanh - 1.1778).abs() < 1e-4 && tanh > 1.1);
    }
}

/// A quotient of chi-squares, with mean `(n-1)/(n-2)`.
///
/// Theorem: rms-norm-linear-law.
mod an_rms_normalized_gaussian_layer_stretches_by_a_quotient_of_chi_squares {
    use super::*;
    use isometer::network::Model;

    /// `n_0/n |J u|^2` of one drawn layer, `u` orthogonal to the input; and the same from its weights.
    fn drawn(n: usize, sample: u64) -> [f64; 2] {
        let mut model = Model::new(vec![n, n], Activation::Linear);
        model.weights = "gaussian:sigma_w2=1".parse().unwrap();
        model.normalization = Normalization::Rms;
        let mlp = Mlp::draw(&model, 11, sample).unwrap();
        let x = Scaled::new(vec![1.0; n]);
        let u: Vec<f64> = (0..n)
            .map(|i| {
                if i == 0 {
                    0.5f64.sqrt()
                } else if i == 1 {
                    -(0.5f64.sqrt())
                } else {
                    0.0
                }
            })
            .collect();
        let ju = mlp.forward(&x).jvp(&Scaled::new(u.clone()));
        let w = &mlp.layer(1).weights;
        let times = |v: &[f64]| -> Vec<f64> {
            (0..n)
                .map(|i| (0..n).map(|j| w[i * n + j] * v[j]).sum())
                .collect()
        };
        let (h, k) = (times(&vec![1.0; n]), times(&u));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let across = dot(&k, &k) - dot(&h, &k).powi(2) / dot(&h, &h);
        [ju.ln_square().exp(), n as f64 * across / dot(&h, &h)]
    }

    #[test]
    fn holds() {
        for sample in 0..200 {
            let [found, formula] = drawn(8, sample);
            // a difference of squares: rounding relative to |Wu|^2, which is at most 1e3 times the result here
            assert!(
                (found / formula - 1.0).abs() <= gamma(64) * 1e4,
                "{found} {formula}"
            );
        }
    }

    #[test]
    fn tight() {
        // the mean of 4000 draws at n = 12 meets 11/10 within six standard errors, and not 1
        let n = 12;
        let draws: Vec<f64> = (0..4000).map(|s| drawn(n, s)[0]).collect();
        let count = draws.len() as f64;
        let average = draws.iter().sum::<f64>() / count;
        let variance = draws.iter().map(|x| (x - average).powi(2)).sum::<f64>() / (count - 1.0);
        let error = 6.0 * (variance / count).sqrt();
        let claimed = rms_linear_mean_square(n).unwrap();
        assert!(
            (average - claimed).abs() <= error,
            "{average} {claimed} +- {error}"
        );
        assert!((average - 1.0).abs() > error);
    }

    #[test]
    fn notices() {
        // two units have no mean
        assert_eq!(rms_linear_mean_square(2), None);
        assert_eq!(rms_linear_mean_square(3), Some(2.0));
    }
}

/// `dy/dh = (P - y y^T/n)/s`, symmetric, and 0 along `h`.
///
/// Theorem: standardisation-derivative.
mod normalizing_has_a_symmetric_derivative_that_vanishes_along_its_input {
    use super::*;

    const BATCH: Normalization = Normalization::Batch {
        size: BatchSize::Finite(5),
    };
    const KINDS: [Normalization; 3] = [Normalization::Layer, Normalization::Rms, BATCH];

    /// One number for each unit of each example.
    type Rows = Vec<Vec<f64>>;

    /// Normalizes its input and nothing else; of `n` units.
    fn bare(kind: Normalization, n: usize) -> Mlp {
        let unit = (0..n * n).map(|k| f64::from(u8::from(k % (n + 1) == 0)));
        let layers = vec![
            Dense::new(n, n, unit.collect()),
            Dense::new(1, n, vec![1.0; n]),
        ];
        let architecture = Architecture {
            normalization: kind,
            ..Architecture::new(Activation::Linear)
        };
        Mlp::from_layers(layers, architecture).unwrap()
    }

    /// Example `b` times a power of two: very different ones unless they meet.
    fn exponent(kind: Normalization, b: usize) -> i64 {
        match kind == BATCH {
            true => 4000,
            false => 2000 * b as i64,
        }
    }

    fn scaled(kind: Normalization, rows: &Rows, sign: i64) -> Vec<Scaled> {
        let each = rows.iter().enumerate();
        each.map(|(b, r)| Scaled::with_exponent(r.clone(), sign * exponent(kind, b)))
            .collect()
    }

    fn normalized(kind: Normalization, h: &Rows) -> Rows {
        let mlp = bare(kind, h[0].len());
        let trace = mlp.forward_batch(&scaled(kind, h, 1));
        trace.activations(1).iter().map(Scaled::to_vec).collect()
    }

    /// `J u` and `J^T u`, `h` and `u` being in the units of their example.
    fn derivative(kind: Normalization, h: &Rows, u: &Rows) -> [Rows; 2] {
        let mlp = bare(kind, h[0].len());
        let trace = mlp.forward_batch(&scaled(kind, h, 1));
        let forward = trace.jvps(&scaled(kind, u, 1));
        let unscaled: Vec<Scaled> = u.iter().map(|u| Scaled::new(u.clone())).collect();
        let back = trace.vjps(&unscaled).into_iter().enumerate();
        let back = back.map(|(b, v)| v.times_power_of_two(exponent(kind, b)));
        [
            forward.iter().map(Scaled::to_vec).collect(),
            back.map(|v| v.to_vec()).collect(),
        ]
    }

    /// What is normalized together, as rows.
    fn groups(kind: Normalization, rows: &Rows) -> Rows {
        match kind == BATCH {
            true => (0..rows[0].len())
                .map(|i| rows.iter().map(|r| r[i]).collect())
                .collect(),
            false => rows.clone(),
        }
    }

    fn dot(x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).map(|(a, b)| a * b).sum()
    }

    fn size(x: &[f64]) -> f64 {
        dot(x, x).sqrt()
    }

    fn rows(n: usize, seed: u64, salt: u32) -> Rows {
        let mut rng = stream(seed, 0, Purpose::Other(salt));
        let mut row = || {
            (0..n)
                .map(|_| f64::from(rng.random_range(-9..10i32)))
                .collect()
        };
        (0..5).map(|_| row()).collect()
    }

    #[test]
    fn holds() {
        check_few(
            2,
            (0..3usize, 3..=5usize, any::<u64>()),
            |(kind, n, seed)| {
                let kind = KINDS[kind];
                let mut h = rows(n, seed, 0);
                // something is left after the mean
                for (b, row) in h.iter_mut().enumerate() {
                    row[b % n] += 40.0;
                }
                let u = rows(n, seed, 1);
                // a step each way
                let step = 2f64.powi(-17);
                let moved = |t: f64| {
                    let each = h
                        .iter()
                        .zip(&u)
                        .map(|(h, u)| h.iter().zip(u).map(|(h, u)| h + t * u).collect());
                    groups(kind, &normalized(kind, &each.collect()))
                };
                let (up, down) = (moved(step), moved(-step));
                let [forward, back] = derivative(kind, &h, &u).map(|x| groups(kind, &x));
                let still = groups(kind, &derivative(kind, &h, &h)[0]);
                let y = groups(kind, &normalized(kind, &h));
                let (h, u) = (groups(kind, &h), groups(kind, &u));
                for g in 0..h.len() {
                    let (m, y) = (h[g].len() as f64, &y[g]);
                    // s, in the units of the group
                    let s = dot(&h[g], y) / m;
                    let spread = s * m.sqrt();
                    prop_assert!((dot(y, y) / m - 1.0).abs() < 1e-14);
                    prop_assert!(kind == Normalization::Rms || y.iter().sum::<f64>().abs() < 1e-13);
                    let rounding = 64.0 * f64::EPSILON * size(&h[g]) / spread;
                    // h^2 times a sixth of a third derivative, and rounding over h
                    let relative = size(&u[g]) / spread;
                    let tolerance =
                        m.sqrt() * (10.0 * step * step * relative.powi(3) + rounding / step);
                    for i in 0..h[g].len() {
                        let difference = (up[g][i] - down[g][i]) / (2.0 * step);
                        let error = (difference - forward[g][i]).abs();
                        prop_assert!(error <= tolerance, "{kind} {error:e} {tolerance:e}");
                        let slack = m * rounding * (1.0 + relative);
                        prop_assert!((forward[g][i] - back[g][i]).abs() <= slack);
                        prop_assert!(
                            still[g][i].abs() <= m * rounding * (1.0 + size(&h[g]) / spread)
                        );
                    }
                }
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // s = 2 and y = (1, -1, 1, -1): the formula entry by entry, and the norm 1/s is attained
        let h = vec![vec![2.0, -2.0, 2.0, -2.0]; 5];
        let y = [1.0, -1.0, 1.0, -1.0];
        for kind in [Normalization::Layer, Normalization::Rms] {
            let centred = f64::from(u8::from(kind == Normalization::Layer));
            assert_eq!(normalized(kind, &h)[0], y);
            for j in 0..4 {
                let unit: Vec<f64> = (0..4).map(|i| f64::from(u8::from(i == j))).collect();
                let [forward, back] = derivative(kind, &h, &vec![unit.clone(); 5]);
                let entry = |i: usize| 0.5 * (unit[i] - 0.25 * centred - 0.25 * y[i] * y[j]);
                let column: Vec<f64> = (0..4).map(entry).collect();
                assert_eq!([&forward[0], &back[0]], [&column, &column]);
            }
            let across = vec![1.0, 1.0, -1.0, -1.0];
            let [forward, _] = derivative(kind, &h, &vec![across.clone(); 5]);
            assert_eq!(2.0 * size(&forward[0]), size(&across));
        }
    }

    #[test]
    fn notices() {
        // the mean is a direction of its own: kept by one, removed by the other two
        let h = rows(4, 3, 0);
        let ones = vec![vec![1.0; 4]; 5];
        for (kind, kept) in KINDS.into_iter().zip([false, true, false]) {
            let [forward, _] = derivative(kind, &h, &ones);
            let largest = forward
                .iter()
                .flatten()
                .fold(0.0, |m: f64, x| m.max(x.abs()));
            assert_eq!(largest > 1e-3, kept, "{kind}");
        }
        // n - 1 in place of n leaves something along h
        let (kind, at) = (Normalization::Rms, &h[0]);
        let y = &normalized(kind, &h)[0];
        let s = size(at) / 2.0;
        let along_h = dot(y, at);
        let along = |n: f64| {
            let left = at.iter().zip(y).map(|(h, y)| (h - y * along_h / n) / s);
            size(&left.collect::<Vec<_>>())
        };
        assert!(along(4.0) < 1e-13 && along(3.0) > 0.1);
        // nothing left of h: no direction, and no derivative
        let [forward, back] = derivative(Normalization::Layer, &ones, &h);
        assert!(forward.iter().chain(&back).flatten().all(|x| *x == 0.0));
    }
}
