//! Laws of networks with one slope on each side of zero. Over all sign flips of given integers the gates are
//! coins exactly, so that a law is checked by counting instead of sampling.

use super::networks::{Net, backward, build, nets, number};
use super::support::{check, check_few};
use isometer::network::activation::Activation;
use isometer::reference::{Dense, Mlp, Scaled};
use isometer::theory::laws::{Ensemble, Factor, Network, ProductLaw};
use isometer::theory::lyapunov::{VolumeLayer, ln_volume};
use isometer::theory::rank::{GatedLayer, RankLaw, TraceLayer, trace_moments};
use proptest::prelude::*;
use proptest::sample::select;

/// Equal up to the rounding of a few thousand operations on numbers of this size.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 4096.0 * f64::EPSILON * (1.0 + b.abs())
}

fn gaussian<'a>(widths: &'a [usize], sigma_w2: &'a [f64], below: f64) -> Network<'a> {
    Network {
        widths,
        sigma_w2,
        slopes: (1.0, below),
        keep: 1.0,
        ensemble: Ensemble::Gaussian,
        symmetric_biases: false,
    }
}

fn sign(bits: u32, k: u32) -> f64 {
    if bits >> k & 1 == 0 { 1.0 } else { -1.0 }
}

/// `<W_l, dy/dW_l> = y` for every layer.
///
/// Theorem: euler-identity.
mod every_layer_pairs_with_its_gradient_to_the_output {
    use super::*;

    fn pairings(mlp: &Mlp, x: &Scaled, count: usize) -> (f64, Vec<f64>) {
        backward(mlp, x, |y, g| {
            (y, (1..=count).map(|l| number(g.euler(l))).collect())
        })
    }

    #[test]
    fn holds() {
        check(nets(), |net: Net| {
            let (y, all) = pairings(&net.mlp(), &net.input(), net.matrices());
            prop_assert!(all.iter().all(|e| *e == y), "{y} {all:?}");
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // with positive weights and inputs y is not 0, so that the identity says something in every draw
        check(nets(), |net: Net| {
            let mlp = build(net.dense(true), net.activation());
            let x = Scaled::new(vec![1.0; net.widths[0]]);
            let (y, all) = pairings(&mlp, &x, net.matrices());
            prop_assert!(y > 0.0 && all.iter().all(|e| *e == y));
            Ok(())
        });
    }

    #[test]
    fn notices() {
        // a bias, or tanh, and the layers disagree
        let layers = vec![
            Dense::new(1, 1, vec![2.0]).with_bias(vec![1.0]),
            Dense::new(1, 1, vec![3.0]),
        ];
        let x = Scaled::new(vec![1.0]);
        let (y, all) = pairings(&build(layers.clone(), Activation::Relu), &x, 2);
        assert_eq!((y, all), (9.0, vec![6.0, 9.0]));
        let (y, all) = pairings(&build(layers, Activation::Tanh), &x, 2);
        assert!((all[0] - y).abs() > 0.1);
    }
}

/// Over all sign flips of rows, and of the columns of the layers above the first, gates are independent fair coins.
///
/// Theorem: sign-symmetric-gates.
mod gates_are_fair_coins {
    use super::*;

    /// Entries that make no pre-activation vanish: odd ones, but for the second column above.
    #[derive(Clone, Debug)]
    struct Pair {
        first: [f64; 4],
        second: [f64; 4],
        slope: f64,
        u: [f64; 2],
    }

    fn pairs() -> impl Strategy<Value = Pair> {
        let odd = || select(vec![-3.0, -1.0, 1.0, 3.0]);
        let u = (1..=4i32, -4..=4i32).prop_map(|(a, b)| [f64::from(a), f64::from(b)]);
        (
            [odd(), odd(), odd(), odd()],
            [odd(), odd()],
            select(vec![0.0, 0.25]),
            u,
        )
            .prop_map(|(first, w, slope, u)| Pair {
                first,
                second: [w[0], 2.0, w[1], -2.0],
                slope,
                u,
            })
    }

    /// Sums of `|J u|^2` and `|J u|^4` over all 64 flips.
    fn over_flips(p: &Pair, bias: f64, flip_bias: bool) -> [f64; 2] {
        let mut sums = [0.0; 2];
        for bits in 0..64u32 {
            let flipped = |w: &[f64; 4], rows: u32, cols: Option<u32>| {
                (0..4u32)
                    .map(|t| {
                        w[t as usize]
                            * sign(bits, rows + t / 2)
                            * cols.map_or(1.0, |c| sign(bits, c + t % 2))
                    })
                    .collect::<Vec<f64>>()
            };
            let b = |k: u32| {
                if flip_bias {
                    bias * sign(bits, k)
                } else {
                    bias
                }
            };
            let mut first = Dense::new(2, 2, flipped(&p.first, 0, None));
            if bias != 0.0 {
                first = first.with_bias(vec![b(0), b(1)]);
            }
            let layers = vec![
                first,
                Dense::new(2, 2, flipped(&p.second, 2, Some(4))),
                Dense::new(1, 2, vec![1.0, 1.0]),
            ];
            let mlp = build(layers, Activation::LeakyRelu { slope: p.slope });
            let ju = mlp
                .forward(&Scaled::new(vec![1.0, 2.0]))
                .jvp(&Scaled::new(p.u.to_vec()))
                .to_vec();
            let square = ju[0] * ju[0] + ju[1] * ju[1];
            sums[0] += square;
            sums[1] += square * square;
        }
        sums
    }

    /// The same sums with gates and signs tossed: `|B_2 W_2 T B_1 W_1 u|`, 4 + 2 bits.
    fn over_coins(p: &Pair) -> [f64; 2] {
        let mut sums = [0.0; 2];
        for bits in 0..64u32 {
            let gate = |k| if bits >> k & 1 == 0 { 1.0 } else { p.slope };
            let v = [0, 1].map(|i: usize| {
                sign(bits, 4 + i as u32)
                    * gate(i as u32)
                    * (p.first[2 * i] * p.u[0] + p.first[2 * i + 1] * p.u[1])
            });
            let w = [0, 1].map(|i: usize| {
                gate(2 + i as u32) * (p.second[2 * i] * v[0] + p.second[2 * i + 1] * v[1])
            });
            let square: f64 = w[0] * w[0] + w[1] * w[1];
            sums[0] += square;
            sums[1] += square * square;
        }
        sums
    }

    #[test]
    fn holds() {
        check(pairs(), |p| {
            prop_assert_eq!(over_flips(&p, 0.0, false), over_coins(&p));
            // biases that are flipped with their rows change nothing; 8 keeps pre-activations from vanishing
            prop_assert!(p.slope > 0.0 || over_flips(&p, 8.0, true)[0] == over_coins(&p)[0]);
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // the library's law of one layer has exactly the moments of coins
        for n in 1..12usize {
            for a in [0.0f64, 0.25, 1.0] {
                let law = gaussian(&[3, n], &[1.5], a).jvp().unwrap();
                let mean = 1.5 / 3.0 * n as f64 * (1.0 + a * a) / 2.0;
                assert!(near(law.ln_mean_square(), mean.ln()));
                let ratio =
                    1.0 + (6.0 * (1.0 + a.powi(4)) / (1.0 + a * a).powi(2) - 1.0) / n as f64;
                assert!(near(law.kurtosis_ratio(), ratio));
            }
        }
    }

    #[test]
    fn notices() {
        // a constant bias opens the gates: no coins
        check(pairs(), |p| {
            let (flips, coins) = (over_flips(&p, 100.0, false), over_coins(&p));
            let sees = coins[0] != 0.0;
            prop_assert!(!sees || flips[0] > coins[0]);
            Ok(())
        });
    }
}

/// `dy/dW_l` is the outer product of what comes back and what comes forward; all layers share one law.
///
/// Theorem: weight-gradient-law.
mod weight_gradients_of_all_layers_share_one_law {
    use super::*;

    #[test]
    fn holds() {
        check(nets(), |net: Net| {
            let mlp = net.mlp();
            let trace = mlp.forward(&net.input());
            let g = trace.backward(&Scaled::new(vec![1.0]));
            for l in 1..=net.matrices() {
                let (delta, x) = (g.delta(l).to_vec(), trace.weight_input(l).to_vec());
                let outer: Vec<f64> = delta
                    .iter()
                    .flat_map(|d| x.iter().map(move |x| d * x))
                    .collect();
                prop_assert_eq!(g.weight(l).to_vec(), outer);
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        let (widths, s) = ([5, 7, 3, 6], [1.5, 2.0, 0.7, 1.1]);
        let net = gaussian(&widths, &s, 0.25);
        let laws: Vec<ProductLaw> = (1..=4)
            .map(|l| {
                let law = net.weight_gradient(l, 0.0).unwrap();
                law.scaled((s[l - 1] / widths[l - 1] as f64).ln())
            })
            .collect();
        for law in &laws {
            assert!(near(law.ln_mean_square(), laws[0].ln_mean_square()));
            assert!(near(law.mean_ln_square(), laws[0].mean_ln_square()));
            assert!(near(law.var_ln_square(), laws[0].var_ln_square()));
        }
    }

    #[test]
    fn notices() {
        // without the factor of its layer the laws differ, and with biases there is no such law
        let (widths, s) = ([5, 7, 3, 6], [1.5, 2.0, 0.7, 1.1]);
        let mut net = gaussian(&widths, &s, 0.0);
        let mean = |l| net.weight_gradient(l, 0.0).unwrap().ln_mean_square();
        assert!(!near(mean(1), mean(2)));
        net.symmetric_biases = true;
        assert!(net.weight_gradient(1, 0.0).is_err());
    }
}

/// The moments of `chi2_K + a^2 chi2_(n-K)` with `K` binomial.
///
/// Theorem: gated-square-mixture.
mod moments_of_a_gated_layer_are_binomial_sums {
    use super::*;

    fn factor(n: usize, below: f64) -> ProductLaw {
        let one = Factor::Gated {
            n,
            gate: 0.5,
            below,
            scale: 1.0,
        };
        ProductLaw::new(&[(one, 1)]).unwrap()
    }

    /// `E X^2`, from means and variances of chi-squares.
    fn second(n: usize, a: f64) -> f64 {
        let mut weight = 0.5f64.powi(n as i32);
        let mut sum = 0.0;
        for k in 0..=n {
            let (open, shut) = (k as f64, (n - k) as f64);
            sum += weight * (2.0 * (open + a.powi(4) * shut) + (open + a * a * shut).powi(2));
            weight *= (n - k) as f64 / (k + 1) as f64;
        }
        sum
    }

    #[test]
    fn holds() {
        check_few(4, (1..12usize, 1..=64u32), |(n, a)| {
            let a = f64::from(a) / 64.0;
            let law = factor(n, a);
            let first = 0.5 * n as f64 * (1.0 + a * a);
            prop_assert!((law.ln_moment(1.0).unwrap() - first.ln()).abs() <= 1e-10);
            prop_assert!((law.ln_moment(2.0).unwrap() - second(n, a).ln()).abs() <= 1e-10);
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // equal slopes: a chi-square, at any order
        for n in [1, 2, 9] {
            for s in [-0.25, 0.5, 3.0] {
                let h = 0.5 * n as f64;
                let truth = s * 2f64.ln() + libm::lgamma(h + s) - libm::lgamma(h);
                assert!((factor(n, 1.0).ln_moment(s).unwrap() - truth).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn notices() {
        for n in [2, 8] {
            let law = factor(n, 0.5);
            assert!((law.ln_moment(2.0).unwrap() - second(n, 0.5001).ln()).abs() > 1e-6);
        }
    }
}

/// Probabilities come with an error that holds.
///
/// Theorem: shifted-inversion-error.
mod a_probability_lies_within_its_error {
    use super::*;

    fn law(degrees: usize) -> ProductLaw {
        ProductLaw::new(&[(
            Factor::ChiSquare {
                n: degrees,
                scale: 1.0,
            },
            1,
        )])
        .unwrap()
    }

    /// `P(chi2_(2k) <= e^x)`, a finite sum.
    fn truth(k: usize, x: f64) -> f64 {
        let h = 0.5 * x.exp();
        let mut term = (-h).exp();
        let mut above = 0.0;
        for j in 0..k {
            above += term;
            term *= h / (j + 1) as f64;
        }
        1.0 - above
    }

    #[test]
    fn holds() {
        check_few(32, (1..12usize, -2.0..5.0f64), |(k, x)| {
            let found = law(2 * k).cdf_ln_square(x);
            let rounding = 64.0 * f64::EPSILON;
            prop_assert!(
                (found.value - truth(k, x)).abs() <= found.error + rounding,
                "{found:?}"
            );
            Ok(())
        });
    }

    #[test]
    fn tight() {
        check_few(32, (1..12usize, -2.0..5.0f64), |(k, x)| {
            prop_assert!(law(2 * k).cdf_ln_square(x).error <= 1e-9);
            Ok(())
        });
    }

    #[test]
    fn notices() {
        // a threshold off by a part in 10^7 in the bulk is outside
        for k in [2, 5, 9] {
            let x = (2.0 * k as f64).ln();
            let found = law(2 * k).cdf_ln_square(x);
            assert!((found.value - truth(k, x + 1e-7)).abs() > found.error);
        }
    }
}

/// `rank J = min(n_0, K_1, ..., K_L)`.
///
/// Theorem: rank-law.
mod the_rank_is_the_smallest_number_of_open_gates {
    use super::*;

    fn law(widths: &[usize]) -> RankLaw {
        let layers: Vec<GatedLayer> = widths[1..]
            .iter()
            .map(|&width| GatedLayer {
                width,
                survive: 0.5,
            })
            .collect();
        RankLaw::new(widths[0], &layers).unwrap()
    }

    /// Ranks of `J` over all flips of rows of a generic network of widths 2, 2, 2.
    fn ranks() -> Vec<usize> {
        let (first, second) = ([1.0, 3.0, 5.0, 1.0], [1.0, 2.0, 3.0, -2.0]);
        (0..64u32)
            .map(|bits| {
                let rows = |w: &[f64; 4], k: u32, c: Option<u32>| {
                    (0..4u32)
                        .map(|t| {
                            w[t as usize]
                                * sign(bits, k + t / 2)
                                * c.map_or(1.0, |c| sign(bits, c + t % 2))
                        })
                        .collect::<Vec<f64>>()
                };
                let layers = vec![
                    Dense::new(2, 2, rows(&first, 0, None)),
                    Dense::new(2, 2, rows(&second, 2, Some(4))),
                    Dense::new(1, 2, vec![1.0, 1.0]),
                ];
                let mlp = build(layers, Activation::Relu);
                let trace = mlp.forward(&Scaled::new(vec![1.0, 2.0]));
                let a = trace.jvp(&Scaled::new(vec![1.0, 0.0])).to_vec();
                let b = trace.jvp(&Scaled::new(vec![0.0, 1.0])).to_vec();
                if a[0] * b[1] != a[1] * b[0] {
                    2
                } else {
                    usize::from(a.iter().chain(&b).any(|x| *x != 0.0))
                }
            })
            .collect()
    }

    #[test]
    fn holds() {
        let (law, ranks) = (law(&[2, 2, 2]), ranks());
        for r in 0..=2 {
            let share = ranks.iter().filter(|x| **x == r).count() as f64 / 64.0;
            assert!(
                near(law.probability(r), share),
                "{r}: {share} {}",
                law.probability(r)
            );
        }
    }

    #[test]
    fn tight() {
        // P(full) = P(all gates open), and the input can be the bottleneck
        for n in 1..9 {
            assert!(near(law(&[n, n]).p_full(), 0.5f64.powi(n as i32)));
            assert!(near(law(&[1, n]).mean(), 1.0 - 0.5f64.powi(n as i32)));
        }
    }

    #[test]
    fn notices() {
        // the mean number of open gates of one layer is not the mean rank of two
        let two = law(&[8, 8, 8]).mean();
        assert!(two < law(&[8, 8]).mean() - 0.5 && near(law(&[8, 8]).mean(), 4.0));
    }
}

/// Second moments of the trace of `J^T J` by a linear recursion.
///
/// Theorem: trace-recursion.
mod trace_moments_obey_a_recursion {
    use super::*;

    fn layers(widths: &[usize], s: f64, below: f64) -> Vec<TraceLayer> {
        widths[1..]
            .iter()
            .map(|&n| TraceLayer::homogeneous(n, s, (below, 1.0), 1.0))
            .collect()
    }

    #[test]
    fn holds() {
        // with one input J is a vector: the law of |J u|^2 has the same moments
        let widths = prop::collection::vec(1..12usize, 1..5);
        check_few(
            4,
            (widths, select(vec![0.0, 0.3, 1.0])),
            |(mut widths, a)| {
                widths.insert(0, 1);
                let found = trace_moments(1, &layers(&widths, 1.5, a)).unwrap();
                let s = vec![1.5; widths.len() - 1];
                let law = gaussian(&widths, &s, a).jvp().unwrap();
                prop_assert!(near(found.ln_mean_trace, law.ln_mean_square()));
                let ratio = found.ln_mean_squared_trace - 2.0 * found.ln_mean_trace;
                prop_assert!(near(ratio, law.ln_kurtosis_ratio()));
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // one input: tr (J^T J)^2 = (tr J^T J)^2 always
        let found = trace_moments(1, &layers(&[1, 4, 5], 2.0, 0.0)).unwrap();
        assert!(near(
            found.ln_mean_trace_of_square,
            found.ln_mean_squared_trace
        ));
    }

    #[test]
    fn notices() {
        // with two inputs the two differ, and Cauchy-Schwarz bounds how much
        let found = trace_moments(2, &layers(&[2, 4, 5], 2.0, 0.0)).unwrap();
        let gap = found.ln_mean_squared_trace - found.ln_mean_trace_of_square;
        assert!(gap > 0.05 && gap < 2f64.ln());
    }
}

/// Volumes of boxes grow by products of chi-squares.
///
/// Theorem: volume-growth.
mod volumes_grow_by_independent_factors {
    use super::*;
    use isometer::theory::spectrum::Ensemble as Square;

    #[test]
    fn holds() {
        // lengths: the law of |J u|^2 given that it is not zero
        check_few(
            4,
            (1..20usize, 1..6usize, any::<bool>()),
            |(n, depth, relu)| {
                let survive = if relu { 0.5 } else { 1.0 };
                let layer = VolumeLayer::square(Square::Gaussian, n, 1.5, survive);
                let found = ln_volume(1, &vec![layer; depth]).unwrap();
                let (widths, s) = (vec![n; depth + 1], vec![1.5; depth]);
                let law = gaussian(&widths, &s, if relu { 0.0 } else { 1.0 })
                    .jvp()
                    .unwrap();
                prop_assert!(near(2.0 * found.mean, law.mean_ln_square()));
                prop_assert!(near(4.0 * found.variance, law.var_ln_square()));
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // isometries keep every volume but for the gain
        for i in 1..=6 {
            let layer = VolumeLayer::square(Square::Orthogonal, 6, 4.0, 1.0);
            let v = ln_volume(i, &[layer; 3]).unwrap();
            assert!(near(v.mean, 3.0 * i as f64 * 2f64.ln()) && near(v.variance, 0.0));
        }
    }

    #[test]
    fn notices() {
        // the exponents add up to the growth of volume, and no fewer of them do
        let layer = VolumeLayer::square(Square::Gaussian, 5, 1.0, 1.0);
        let exponents = layer.exponents(5).unwrap();
        let whole = ln_volume(5, &[layer]).unwrap().mean;
        assert!(near(exponents.iter().sum(), whole));
        assert!(!near(exponents[..4].iter().sum(), whole));
    }
}
