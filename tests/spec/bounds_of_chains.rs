//! Bounds on products of layers and on networks.

use super::structured::{Exact, chains, product};
use super::support::{
    Limits, check, check_few, check_given, conditioning, gamma, second_opinion, two,
};
use faer::Mat;
use isometer::bounds::chain::Chain;
use isometer::bounds::lipschitz::{LipschitzBounds, LipschitzOptions, lipschitz};
use isometer::bounds::product::{Majorization, factor_spectra, lower_bounds, upper_bounds};
use isometer::bounds::slope::SlopeRange;
use isometer::bounds::{local, perturbation};
use isometer::linalg::parts::{BlockTridiagonal, Diagonal};
use isometer::linalg::view::MatrixRef;
use isometer::network::activation::Activation;
use isometer::reference::random::{Purpose, stream};
use proptest::prelude::*;
use rand::RngExt;
use rand_distr::StandardNormal;

/// Matrices of doubles with their shapes.
type Layers = Vec<(Vec<f64>, usize, usize)>;

fn doubles(chain: &[Exact]) -> Layers {
    chain
        .iter()
        .map(|a| (a.doubles(), a.rows, a.cols))
        .collect()
}

fn with_views<T>(layers: &Layers, f: impl FnOnce(&[MatrixRef<'_>]) -> T) -> T {
    let views: Vec<MatrixRef<'_>> = layers
        .iter()
        .map(|(x, r, c)| MatrixRef::row_major(x, *r, *c).expect("a matrix"))
        .collect();
    f(&views)
}

fn network(layers: &Layers, slope: (f64, f64)) -> Chain {
    with_views(layers, |v| {
        Chain::new(v, SlopeRange::new(slope.0, slope.1).expect("a range")).expect("a chain")
    })
}

/// The norm of a product is at most the product of the norms of runs of layers, rounding of the runs
/// included, and at least what a vector and the companions show.
///
/// Theorem: segment-norm-bound.
mod runs_multiplied_out_bound_the_norm {
    use super::*;

    /// `ln` of the bounds above and below, by name.
    fn bounds(chain: &[Exact]) -> [Vec<(&'static str, f64)>; 2] {
        with_views(&doubles(chain), |v| {
            [upper_bounds(v), lower_bounds(v)].map(|b| {
                let b = b.expect("finite layers that fit");
                b.iter().map(|b| (b.name, b.value.ln())).collect()
            })
        })
    }

    fn holds_for(chain: &[Exact]) -> bool {
        let norm = two(&product(chain));
        let [upper, lower] = bounds(chain);
        // logarithms of proved limits: an ulp each way
        let slack = |ln: f64| 8.0 * f64::EPSILON * (1.0 + ln.abs());
        let above = upper
            .iter()
            .all(|(_, ln)| norm.lo == 0.0 || *ln >= norm.lo.ln() - slack(*ln));
        above && lower.iter().all(|(_, ln)| *ln <= norm.hi.ln() + slack(*ln))
    }

    #[test]
    fn holds() {
        check(chains(5, 4), |chain| {
            prop_assert!(holds_for(&chain), "{:?}", bounds(&chain));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // integer layers multiplied out in one run: the norm itself, which the factors overstate
        let turn = |k: i64| Exact::from_fn(2, 2, |i, j| [[3, k], [-k, 1]][i][j]);
        let chain = [turn(1), turn(-5), turn(4)];
        let norm = two(&product(&chain));
        let [upper, lower] = bounds(&chain);
        let named = |list: &[(&str, f64)], name: &str| {
            list.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, ln)| ln.exp())
                .expect("a bound")
        };
        let segments = named(&upper, "segments");
        assert!(segments / norm.hi - 1.0 < 1e-12);
        assert!(named(&upper, "product of norms") > 1.05 * segments);
        assert!(1.0 - named(&lower, "vector") / norm.lo < 1e-6);
    }

    #[test]
    fn notices() {
        // a chain whose norm is larger than that of the one that was bounded
        let chain = [Exact::identity(2).scaled(3), Exact::identity(2)];
        let [upper, lower] = bounds(&chain);
        let larger = two(&product(&[chain[0].scaled(2), chain[1].clone()]));
        assert!(upper.iter().any(|(_, ln)| *ln < larger.lo.ln()));
        let smaller = two(&chain[1]);
        assert!(lower.iter().any(|(_, ln)| *ln > smaller.hi.ln()));
    }
}

/// `prod_(i<=k) sigma_i(J) <= prod_l prod_(i<=k) sigma_i(W_l)`, with equality at `k = n` for square factors.
///
/// Theorem: horn-majorization.
mod partial_products_of_singular_values_are_majorized {
    use super::*;

    fn of(chain: &[Exact]) -> Majorization {
        with_views(&doubles(chain), |v| {
            Majorization::of(&factor_spectra(v).expect("finite"))
        })
    }

    /// Natural logarithms of the singular values of the exact product, where they are known to a relative
    /// error of `2^-20`.
    fn spectrum(chain: &[Exact]) -> Option<Vec<f64>> {
        let (values, error) = second_opinion(&product(chain))?;
        let known = values.last().is_some_and(|s| *s > error * 1048576.0);
        known.then(|| values.iter().map(|s| s.ln()).collect())
    }

    /// Each factor's logarithms are off by its error over its least value.
    fn slack(chain: &[Exact]) -> Option<f64> {
        let relative = chain.iter().map(|a| {
            let (values, error) = second_opinion(a)?;
            let least = values.last().copied().filter(|s| *s > 1048576.0 * error)?;
            Some(2.0 * error / least * values.len() as f64)
        });
        relative
            .sum::<Option<f64>>()
            .map(|s| s + 7.0 * 2f64.powi(-20))
    }

    #[test]
    fn holds() {
        let square = (2usize..5, prop::collection::vec(any::<u64>(), 1..4));
        check_given(60, square, |(n, seeds)| {
            let chain: Vec<Exact> = seeds
                .iter()
                .map(|s| {
                    let mut rng = stream(*s, 0, Purpose::Probe);
                    Exact::from_fn(n, n, |_, _| rng.random_range(-9i64..10))
                })
                .collect();
            let (ln, slack) = (spectrum(&chain)?, slack(&chain)?);
            let m = of(&chain);
            Some((|| {
                prop_assert!(m.violation(&ln) <= slack, "{} {slack}", m.violation(&ln));
                prop_assert!(m.ln_upper(1).unwrap_or(f64::INFINITY) >= ln[0] - slack);
                prop_assert!(m.ln_lower().unwrap_or(f64::NEG_INFINITY) <= ln[0] + slack);
                Ok(())
            })())
        });
    }

    #[test]
    fn tight() {
        // diagonal factors in one order: equality for every k
        let d = |x: [i64; 3]| Exact::from_fn(3, 3, |i, j| if i == j { x[i] } else { 0 });
        let m = of(&[d([8, 4, 1]), d([5, 3, 2])]);
        let sums = [40.0, 480.0, 960.0].map(f64::ln);
        for (found, exact) in m.partial_sums.iter().zip(sums) {
            assert!((found - exact).abs() < 1e-13);
        }
        assert!(m.determinant && (m.ln_lower().unwrap() - 960f64.ln() / 3.0).abs() < 1e-13);
    }

    #[test]
    fn notices() {
        let d = |x: [i64; 3]| Exact::from_fn(3, 3, |i, j| if i == j { x[i] } else { 0 });
        let m = of(&[d([8, 4, 1]), d([5, 3, 2])]);
        let right = [40.0f64, 12.0, 2.0].map(f64::ln);
        assert!(m.violation(&right) < 1e-13);
        for k in 0..3 {
            let mut wrong = right;
            wrong[k] += 1e-9;
            assert!(m.violation(&wrong) > 9e-10);
        }
        let mut small = right;
        small[2] -= 1e-9;
        assert!(
            m.violation(&small) > 9e-10,
            "the determinant is an equality"
        );
    }
}

/// Rescaling rows, columns or layers moves every singular value by a factor within that of the scales.
///
/// Theorem: multiplicative-perturbation.
mod rescaling_moves_every_singular_value_relatively {
    use super::*;

    fn scales(n: usize, seed: u64) -> Vec<i64> {
        let mut rng = stream(seed, 0, Purpose::Probe);
        (0..n).map(|_| rng.random_range(1i64..9)).collect()
    }

    fn rescaled(a: &Exact, rows: &[i64], cols: &[i64]) -> Exact {
        let mut b = Exact::from_fn(a.rows, a.cols, |i, j| rows[i] * a.get(i, j) * cols[j]);
        b.exponent = a.exponent;
        b
    }

    fn ends(s: &[i64]) -> (f64, f64) {
        let least = *s.iter().min().unwrap_or(&1) as f64;
        let most = *s.iter().max().unwrap_or(&1) as f64;
        (least.ln(), most.ln())
    }

    fn within(before: Limits, after: Limits, moved: (f64, f64)) -> bool {
        // an ulp of the logarithms
        let (lo, hi) = (moved.0.exp() * (1.0 - 1e-14), moved.1.exp() * (1.0 + 1e-14));
        after.hi >= before.lo * lo && after.lo <= before.hi * hi
    }

    #[test]
    fn holds() {
        check(
            (
                super::super::structured::squares(5),
                any::<u64>(),
                any::<u64>(),
            ),
            |(a, s, t)| {
                let (rows, cols) = (scales(a.rows, s), scales(a.cols, t));
                let moved = perturbation::multiplicative(ends(&rows), ends(&cols));
                let (before, after) = (conditioning(&a), conditioning(&rescaled(&a, &rows, &cols)));
                // largest and smallest, the smallest relatively as well
                prop_assert!(
                    within(before[0], after[0], moved) && within(before[1], after[1], moved)
                );
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        let a = Exact::identity(3).scaled(5);
        let after = conditioning(&rescaled(&a, &[2, 3, 7], &[1, 1, 1]));
        assert!(after[0].contains(35.0) && after[1].contains(10.0));
        let (lo, hi) = perturbation::multiplicative(ends(&[2, 3, 7]), (0.0, 0.0));
        assert_eq!((lo, hi), (2f64.ln(), 7f64.ln()));
    }

    #[test]
    fn notices() {
        let a = Exact::identity(3).scaled(5);
        let after = conditioning(&rescaled(&a, &[2, 3, 7], &[1, 1, 1]));
        assert!(!within(
            Limits::point(5.0),
            after[0],
            (2f64.ln(), 6.9f64.ln())
        ));
        assert!(!within(
            Limits::point(5.0),
            after[1],
            (2.1f64.ln(), 7f64.ln())
        ));
    }
}

/// A positive diagonal proves a Lipschitz constant; no Jacobian and no difference quotient exceeds it.
///
/// Theorem: diagonal-lipschitz-certificate.
mod a_diagonal_certificate_bounds_the_lipschitz_constant {
    use super::*;

    const NAMES: [&str; 10] = [
        "relu",
        "leaky_relu",
        "tanh",
        "gelu",
        "abs",
        "silu",
        "sigmoid",
        "elu",
        "hardswish",
        "selu",
    ];

    /// Adversarial layers: Gaussian, integer, graded rows, of one sign, at mixed scales.
    fn drawn(widths: &[usize], seed: u64, shape: u8) -> Layers {
        let mut rng = stream(seed, 0, Purpose::Probe);
        let mut layers = Layers::new();
        for w in widths.windows(2) {
            let scale = 2f64.powi(rng.random_range(-3..4));
            let entries = (0..w[0] * w[1]).map(|e| {
                scale
                    * match shape {
                        0 => rng.sample::<f64, _>(StandardNormal),
                        1 => f64::from(rng.random_range(-2i32..3)),
                        2 => rng.sample::<f64, _>(StandardNormal) * 4f64.powi(-((e / w[0]) as i32)),
                        _ => rng.random::<f64>(),
                    }
            });
            layers.push((entries.collect(), w[1], w[0]));
        }
        layers
    }

    fn bounds(layers: &Layers, phi: &Activation) -> LipschitzBounds {
        let range = SlopeRange::of(phi).expect("a sector");
        let options = LipschitzOptions {
            iterations: 30,
            ..LipschitzOptions::default()
        };
        lipschitz(&network(layers, (range.lower, range.upper)), &options)
    }

    fn output(layers: &Layers, phi: &Activation, x: &[f64]) -> Vec<f64> {
        let mut x = x.to_vec();
        for (k, (w, r, c)) in layers.iter().enumerate() {
            let sum = |i: usize| (0..*c).map(|j| w[i * c + j] * x[j]).sum::<f64>();
            x = (0..*r).map(sum).collect();
            if k + 1 < layers.len() {
                x.iter_mut().for_each(|v| *v = phi.value(*v));
            }
        }
        x
    }

    fn distance(x: &[f64], y: &[f64]) -> f64 {
        x.iter()
            .zip(y)
            .map(|(a, b)| (a - b).powi(2))
            .sum::<f64>()
            .sqrt()
    }

    #[test]
    fn holds() {
        let draw = (
            prop::collection::vec(1usize..7, 2..7),
            0u8..4,
            prop::sample::select(NAMES.to_vec()),
            any::<u64>(),
        );
        check(draw, |(widths, shape, name, seed)| {
            let phi: Activation = name.parse().expect("a name");
            let layers = drawn(&widths, seed, shape);
            let found = bounds(&layers, &phi);
            let range = SlopeRange::of(&phi).expect("a sector");
            // six layers of at most six terms
            let rounding = gamma(6 * 8 * 8).ln_1p();
            let chain = network(&layers, (range.lower, range.upper));
            // biases do not enter the bounds
            let mut rng = stream(seed, 2, Purpose::Probe);
            let mut bias = |n: &usize| -> Option<Vec<f64>> {
                let entries = (0..*n).map(|_| rng.sample(StandardNormal));
                Some(entries.collect())
            };
            let biases: Vec<Option<Vec<f64>>> = widths[1..].iter().map(&mut bias).collect();
            let with_biases = local::Network::of_chain(&chain, &biases, &phi).expect("fits");
            if let Some(s) = with_biases.sampled(7, 40, seed) {
                for b in &found.all {
                    prop_assert!(s.largest.ln() <= b.value.ln() + rounding, "{}", b.name);
                }
            }
            let mut rng = stream(seed, 1, Purpose::Probe);
            let x: Vec<f64> = (0..widths[0]).map(|_| rng.sample(StandardNormal)).collect();
            let y: Vec<f64> = x
                .iter()
                .map(|v| v + 0.1 * rng.sample::<f64, _>(StandardNormal))
                .collect();
            // forward errors are at most those of the product of norms of absolute values, which the product of
            // Frobenius norms bounds, and activations evaluate with a few ulps of their argument or of 1
            let sizes: f64 = layers
                .iter()
                .map(|(w, _, _)| 1.0 + w.iter().map(|v| v * v).sum::<f64>().sqrt())
                .product();
            let slack = gamma(6 * 12) * sizes * 2.0 * (1.0 + distance(&x, &vec![0.0; x.len()]));
            let moved = distance(&output(&layers, &phi, &x), &output(&layers, &phi, &y));
            prop_assert!(moved <= found.best.value.ln().exp() * distance(&x, &y) + slack);
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // one unit a layer: the bound is the product, which is attained where all units are on
        let path: Layers = [2.0, 3.0, 0.5].map(|w| (vec![w], 1, 1)).to_vec();
        let b = bounds(&path, &Activation::Relu);
        assert!((b.best.value.ln() - 3f64.ln()).abs() < 1e-9);
        // y = relu(x) + relu(-x) = |x| has constant 1, which the certificate shows and the norms do not
        let tent: Layers = vec![(vec![1.0, -1.0], 2, 1), (vec![1.0, 1.0], 1, 2)];
        let b = bounds(&tent, &Activation::Relu);
        assert!((b.all[0].value.ln().exp() - 2.0).abs() < 1e-12);
        assert!(b.best.value.ln() < 0.05, "{}", b.best.value.ln().exp());
    }

    #[test]
    fn notices() {
        // slopes that leave the sector: the same network with an activation twice as steep
        let path: Layers = [2.0, 3.0, 0.5].map(|w| (vec![w], 1, 1)).to_vec();
        let b = bounds(&path, &Activation::Relu);
        let steep = network(&path, (0.0, 2.0));
        let twice = lipschitz(&steep, &LipschitzOptions::default());
        assert!(twice.best.value.ln() > b.best.value.ln() + 1.38);
        // and a bound that is a millionth too small is exceeded
        let linear = local::Network::of_chain(&steep, &[], &Activation::Linear).expect("fits");
        let jacobian = linear.ln_norm_at(&[1.0], vec![1.0], 40).expect("not zero");
        assert!(jacobian > b.best.value.ln() - 1e-6);
    }
}

/// `SlopeRange::of` encloses every slope of a named activation.
///
/// Theorem: slope-ranges.
mod slopes_stay_in_their_sector {
    use super::*;

    const NAMES: &str = "linear relu leaky_relu relu6 elu selu celu gelu gelu_tanh silu mish softplus \
                         sigmoid logsigmoid tanh tanhshrink erf hardtanh hardsigmoid hardswish softsign \
                         softshrink squareplus sin abs";

    fn all() -> impl Iterator<Item = (Activation, SlopeRange)> {
        NAMES.split_whitespace().map(|name| {
            let phi: Activation = name.parse().expect("a name");
            let range = SlopeRange::of(&phi).expect("a sector");
            (phi, range)
        })
    }

    /// Extreme slopes on a grid of step 1/2000 over [-20, 20].
    fn seen(phi: &Activation) -> (f64, f64) {
        let slopes = (-40_000..=40_000).map(|i| phi.derivative(f64::from(i) / 2000.0));
        slopes.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), s| {
            (l.min(s), h.max(s))
        })
    }

    #[test]
    fn holds() {
        for (phi, range) in all() {
            let (lower, upper) = seen(&phi);
            // the derivative itself rounds
            assert!(
                lower >= range.lower - 4e-16 && upper <= range.upper + 4e-16,
                "{phi}"
            );
        }
    }

    #[test]
    fn tight() {
        for (phi, range) in all() {
            let (lower, upper) = seen(&phi);
            // softsign and squareplus reach their limits far out
            assert!(
                lower <= range.lower + 3e-3 && upper >= range.upper - 3e-3,
                "{phi}"
            );
        }
    }

    #[test]
    fn notices() {
        for name in ["gelu", "gelu_tanh", "silu", "mish"] {
            let phi: Activation = name.parse().expect("a name");
            let range = SlopeRange::of(&phi).expect("a sector");
            let (lower, upper) = seen(&phi);
            assert!(
                lower < range.lower + 1e-6 && upper > range.upper - 1e-6,
                "{phi}"
            );
        }
        let refusal =
            |phi: &str| SlopeRange::of(&phi.parse().expect("a name")).map_err(|e| e.to_string());
        assert!(
            refusal("squared_relu")
                .unwrap_err()
                .contains("without limit")
        );
        assert!(SlopeRange::new(1.0, 0.5).is_err() && SlopeRange::new(0.0, f64::NAN).is_err());
    }
}

/// Block factorization with positive pivots proves a block tridiagonal matrix positive definite.
///
/// Theorem: block-cholesky-proves-definiteness.
mod block_factorization_proves_definiteness {
    use super::*;

    /// A matrix of the blocks' sizes with entries of modulus `alpha` off the diagonal, rows and columns scaled.
    fn matrix(alpha: f64, sizes: &[usize], grade: i32) -> BlockTridiagonal {
        let scale = |k: usize, i: usize| 2f64.powi(grade * (k as i32) + (i as i32 % 3));
        let squares = |(k, n): (usize, &usize)| -> Vec<f64> {
            (0..*n).map(|i| scale(k, i).powi(2)).collect()
        };
        let below = |(k, w): (usize, &[usize])| {
            Mat::from_fn(w[1], w[0], |i, j| {
                let sign = if (i * 7 + j * 3 + k).is_multiple_of(2) {
                    1.0
                } else {
                    -1.0
                };
                alpha * sign * scale(k + 1, i) * scale(k, j)
            })
        };
        BlockTridiagonal {
            diagonal: sizes
                .iter()
                .enumerate()
                .map(squares)
                .map(|s| Diagonal::exact(&s))
                .collect(),
            below: sizes.windows(2).enumerate().map(below).collect(),
            below_error: 0.0,
        }
    }

    /// Least eigenvalue of the unscaled matrix, by another library.
    fn least(alpha: f64, sizes: &[usize]) -> f64 {
        let m = matrix(alpha, sizes, 0);
        let starts: Vec<usize> = sizes
            .iter()
            .scan(0, |s, n| {
                *s += n;
                Some(*s - n)
            })
            .collect();
        let scale = |i: usize| 2f64.powi(i as i32 % 3);
        let total = sizes.iter().sum();
        let mut full = nalgebra::DMatrix::identity(total, total);
        for (k, b) in m.below.iter().enumerate() {
            for j in 0..b.ncols() {
                for i in 0..b.nrows() {
                    let x = b[(i, j)] / scale(i) / scale(j);
                    full[(starts[k + 1] + i, starts[k] + j)] = x;
                    full[(starts[k] + j, starts[k + 1] + i)] = x;
                }
            }
        }
        let e = nalgebra::SymmetricEigen::try_new(full, f64::EPSILON, 10_000).expect("converges");
        e.eigenvalues.iter().copied().fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn holds() {
        let sizes = prop::collection::vec(1usize..40, 1..5);
        check_few(
            2,
            (0.0..0.6f64, sizes, -60..60i32),
            |(alpha, sizes, grade)| {
                let total: usize = sizes.iter().sum();
                let error = gamma(64 * total);
                if matrix(alpha, &sizes, grade).proves_definite() {
                    prop_assert!(least(alpha, &sizes) > -error);
                }
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // [[1, a], [a, 1]] is definite up to a = 1
        assert!(matrix(1.0 - 1e-13, &[1, 1], 0).proves_definite());
        assert!(!matrix(1.0, &[1, 1], 0).proves_definite());
        // two blocks of width n with all entries a: definite up to a = 1/n
        for n in [5usize, 40] {
            let a = 1.0 / n as f64;
            assert!(matrix(a * (1.0 - 1e-10), &[n, n], 7).proves_definite());
            assert!(!matrix(a * (1.0 + 1e-10), &[n, n], 7).proves_definite());
        }
    }

    #[test]
    fn notices() {
        let mut m = matrix(0.1, &[4, 4, 4], 0);
        assert!(m.proves_definite());
        m.below_error = 0.6;
        assert!(!m.proves_definite(), "entries off by 60%");
        m.below_error = 0.0;
        m.diagonal[1].radius = vec![1.0; 4];
        assert!(
            !m.proves_definite(),
            "a diagonal block of which nothing is known"
        );
        let mut nan = matrix(0.1, &[4, 4, 4], 0);
        nan.below[1][(2, 2)] = f64::NAN;
        assert!(!nan.proves_definite());
        nan.below[1][(2, 2)] = 0.0;
        nan.diagonal[2].stored[(3, 3)] = f64::INFINITY;
        assert!(!nan.proves_definite());
    }
}
