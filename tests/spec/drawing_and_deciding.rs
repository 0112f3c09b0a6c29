//! Random networks, and deciding by a sample of them. Seeds are fixed; every statistical test states the
//! probability with which another seed would fail it.

use super::support::{Outcome, check, check_few};
use isometer::network::Model;
use isometer::network::activation::Activation;
use isometer::reference::Mlp;
use isometer::reference::deferred::Deferred;
use isometer::reference::matrices::Matrices;
use isometer::reference::measure::{Quantity, Sampler};
use isometer::reference::monte_carlo::{Control, Measurement, looks};
use isometer::reference::random::{Purpose, Stream, stream};
use isometer::verify::statistics::{holm, ks_two_sample, ks_two_sample_p_value};
use proptest::prelude::*;
use rand::RngExt;
use rand_distr::{Distribution, Exp1, StandardNormal};

fn model(widths: &[usize], activation: Activation, init: &str) -> Model {
    let mut m = Model::new(widths.to_vec(), activation);
    m.weights = init.parse().unwrap();
    m
}

fn sorted(mut x: Vec<f64>) -> Vec<f64> {
    x.sort_by(f64::total_cmp);
    x
}

/// `sqrt(N)` times the distance between a sample and a distribution function: above 2.7 with probability
/// `2 exp(-2 2.7^2) = 9e-7`.
fn distance(sample: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    let n = sample.len() as f64;
    let off = sorted(sample).into_iter().enumerate();
    let off = off.map(|(i, z)| (cdf(z) - (i as f64 + 0.5) / n).abs());
    off.fold(0.0, f64::max) * n.sqrt()
}

const FAR: f64 = 2.7;

/// Norms drawn a layer at a time have the joint law of those of whole matrices.
///
/// Theorem: deferred-decisions.
mod matrices_can_be_drawn_when_they_are_met {
    use super::*;

    const SIZE: u64 = 4000;

    fn columns(sampler: &dyn Sampler) -> Measurement {
        let mut out = Measurement::new(sampler.quantities());
        out.extend(sampler, SIZE, &Control::default());
        out
    }

    fn deferred(m: &Model) -> Measurement {
        columns(&Deferred::new(m, 17).unwrap())
    }

    /// Logarithms of the ratio of two quantities, the second one taken `shift` networks further on.
    fn ratios(m: &Measurement, q: Quantity, r: Quantity, shift: usize) -> Vec<f64> {
        let (x, y) = (m.column(q).unwrap(), m.column(r).unwrap());
        // both are 0 in dead networks; isometries make some ratios constant up to rounding
        let ratio = |a: f64, b: f64| if a == b { 0.0 } else { a - b };
        let pairs = x.iter().zip(y.iter().cycle().skip(shift));
        sorted(pairs.map(|(a, b)| (ratio(*a, *b) * 1e9).round()).collect())
    }

    fn p_value(x: &[f64], y: &[f64]) -> f64 {
        ks_two_sample_p_value(x.len(), y.len(), ks_two_sample(x, y))
    }

    fn cases() -> Vec<Model> {
        let leaky = Activation::LeakyRelu { slope: 0.3 };
        let mut biased = model(&[5, 8, 6], Activation::Tanh, "normal:sigma_w2=3");
        biased.bias = "gaussian:0.5".parse().unwrap();
        let mut constant = model(&[6, 6, 6], Activation::Relu, "orthogonal:gain=1.2");
        constant.bias = "constant:0.3".parse().unwrap();
        let mut dropped = model(&[6, 9, 4], Activation::Gelu, "normal");
        dropped.dropout = 0.3;
        dropped.readout = 3;
        let mut many = model(&[3, 4], leaky.clone(), "orthogonal");
        many.readout = 7;
        vec![
            biased,
            constant,
            dropped,
            many,
            model(&[7, 4, 9, 3], Activation::Tanh, "orthogonal:gain=2"),
            model(&[4, 7, 7, 5], leaky, "normal"),
        ]
    }

    /// Pairs whose ratio shows the joint law.
    const PAIRS: [(Quantity, Quantity); 2] = [
        (Quantity::InputGradient, Quantity::Forward),
        (Quantity::InputGradient, Quantity::WeightGradient(1)),
    ];

    #[test]
    fn holds() {
        // level 1e-4 over all quantities
        let mut p_values = Vec::new();
        for (k, m) in cases().iter().enumerate() {
            let (a, b) = (columns(&Matrices::new(m, 17).unwrap()), deferred(m));
            for &q in b.quantities() {
                let [x, y] = [&a, &b].map(|m| sorted(m.column(q).unwrap().to_vec()));
                p_values.push((p_value(&x, &y), k, q));
            }
            for (q, r) in PAIRS {
                let [x, y] = [&a, &b].map(|m| ratios(m, q, r, 0));
                p_values.push((p_value(&x, &y), k, q));
            }
        }
        let level = 1e-4 / p_values.len() as f64;
        let bad: Vec<_> = p_values.iter().filter(|(p, ..)| *p < level).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }

    #[test]
    fn tight() {
        // nothing fresh is left: W^T v and W u follow from W x
        let all_equal = |m: &Model, same: &[usize], truth: Option<f64>| {
            let sampler = Deferred::new(m, 7).unwrap();
            let mut row = vec![f64::NAN; sampler.quantities().len()];
            for i in 0..20 {
                sampler.sample(i, &mut row);
                let truth = truth.unwrap_or(row[same[0]]);
                let off = same.iter().map(|q| (row[*q] - truth).abs());
                assert!(off.fold(0.0, f64::max) < 1e-12, "{m:?}: {row:?}");
            }
        };
        let linear = |widths: &[usize], init| model(widths, Activation::Linear, init);
        // one unit: the tangent is the signal
        all_equal(&linear(&[1; 5], "normal:sigma_w2=3"), &[0, 1], None);
        // square orthogonal chains are isometries
        for widths in [vec![5, 5, 5], vec![1, 1], vec![2, 2, 2, 2]] {
            let m = linear(&widths, "orthogonal:gain=3");
            all_equal(&m, &[0, 1], Some(m.depth() as f64 * 9f64.ln()));
        }
        // widening keeps |x|, narrowing keeps gradients
        all_equal(&linear(&[3, 7, 7], "orthogonal"), &[0, 1], Some(0.0));
        let mut narrow = linear(&[7, 7, 3], "orthogonal");
        narrow.readout = 3;
        all_equal(&narrow, &[2], Some(0.0));
    }

    #[test]
    fn notices() {
        // W^T v drawn regardless of W x: gradients of the next network
        let m = model(&[2, 2, 2], Activation::Linear, "normal");
        let (a, b) = (columns(&Matrices::new(&m, 17).unwrap()), deferred(&m));
        let (q, r) = PAIRS[0];
        assert!(p_value(&ratios(&a, q, r, 0), &ratios(&b, q, r, 0)) > 1e-4);
        assert!(p_value(&ratios(&a, q, r, 0), &ratios(&b, q, r, 1)) < 1e-9);
        // entries whose deviation is off by a tenth
        let off = deferred(&model(
            &[2, 2, 2],
            Activation::Linear,
            "normal:sigma_w2=1.21",
        ));
        let [x, y] = [&a, &off].map(|m| sorted(m.column(q).unwrap().to_vec()));
        assert!(p_value(&x, &y) < 1e-9);
        // matrices of another law, or met twice, are not deferred
        let uniform = model(&[4, 4], Activation::Relu, "kaiming_uniform");
        let mut tied = model(&[4, 4, 4], Activation::Relu, "orthogonal");
        assert!(Deferred::new(&uniform, 0).is_err() && Deferred::new(&tied, 0).is_ok());
        tied.tied = true;
        assert!(Deferred::new(&tied, 0).is_err());
    }
}

/// With a positive diagonal of `R`, `Q` is uniform on the matrices with orthonormal columns.
///
/// Theorem: haar-by-qr.
mod the_q_of_a_gaussian_matrix_is_uniform {
    use super::*;

    /// Columns of a matrix.
    type Columns = Vec<Vec<f64>>;

    fn dot(x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).map(|(a, b)| a * b).sum()
    }

    /// `Q` by Gram and Schmidt, each step twice, and the smallest diagonal entry of `R` over `|A|`.
    fn gram_schmidt(a: &Columns) -> (Columns, f64) {
        let mut q: Columns = Vec::new();
        let mut least = f64::INFINITY;
        for column in a {
            let mut c = column.clone();
            for _ in 0..2 {
                for q in &q {
                    let along = dot(q, &c);
                    c.iter_mut().zip(q).for_each(|(c, q)| *c -= along * q);
                }
            }
            let r = dot(&c, &c).sqrt();
            least = least.min(r);
            q.push(c.iter().map(|c| c / r).collect());
        }
        let size = a.iter().map(|c| dot(c, c)).sum::<f64>().sqrt();
        (q, least / size)
    }

    /// `m x n` standard normal entries, those behind layer 1 of a sample.
    fn gaussian(m: usize, n: usize, seed: u64, sample: u64) -> Columns {
        let mut rng = stream(seed, sample, Purpose::Layer(1));
        let mut column = || (0..m).map(|_| StandardNormal.sample(&mut rng)).collect();
        (0..n).map(|_| column()).collect()
    }

    /// Orthonormal columns as the library draws them.
    fn drawn(m: usize, n: usize, seed: u64, sample: u64) -> Columns {
        let mlp = Mlp::draw(
            &model(&[n, m], Activation::Tanh, "orthogonal"),
            seed,
            sample,
        )
        .unwrap();
        let w = &mlp.layer(1).weights;
        (0..n)
            .map(|j| (0..m).map(|i| w[i * n + j]).collect())
            .collect()
    }

    /// A coordinate of a uniform vector on the sphere in three dimensions is uniform (Archimedes).
    fn off(sample: impl Iterator<Item = f64>) -> f64 {
        distance(sample.collect(), |z| 0.5 * (1.0 + z))
    }

    const SAMPLES: u64 = 3000;

    #[test]
    fn holds() {
        // there is one such factorisation
        check((1..=6usize, 0..=3usize, any::<u64>()), |(n, more, seed)| {
            let m = n + more;
            let (truth, least) = gram_schmidt(&gaussian(m, n, seed, 0));
            // roundings times the condition number
            let slack = 256.0 * f64::EPSILON * n as f64 / least;
            for (found, truth) in drawn(m, n, seed, 0).iter().zip(&truth) {
                for (x, y) in found.iter().zip(truth) {
                    prop_assert!((x - y).abs() <= slack, "{x} {y} {slack:e}");
                }
            }
            Ok(())
        });
        // u . Q v for unit vectors, in other words an entry of U Q V; fails with probability 1e-5
        let unit = [
            [1.0, 0.0, 0.0],
            [0.0, 0.0, 1.0],
            [2.0 / 3.0, -2.0 / 3.0, 1.0 / 3.0],
        ];
        let all: Vec<Columns> = (0..SAMPLES).map(|s| drawn(3, 3, 4, s)).collect();
        for u in unit {
            for v in unit {
                let entry = |q: &Columns| (0..3).map(|j| v[j] * dot(&u, &q[j])).sum();
                let d = off(all.iter().map(entry));
                assert!(d < FAR, "{u:?} {v:?}: {d}");
            }
        }
        // determinants of both signs, within 6 standard errors
        let positive = all.iter().filter(|q| {
            let [a, b, c] = [&q[0], &q[1], &q[2]];
            let cross = [
                a[1] * b[2] - a[2] * b[1],
                a[2] * b[0] - a[0] * b[2],
                a[0] * b[1] - a[1] * b[0],
            ];
            dot(&cross, c) > 0.0
        });
        let half = 0.5 * SAMPLES as f64;
        assert!((positive.count() as f64 - half).abs() < 6.0 * (0.5 * half).sqrt());
    }

    #[test]
    fn tight() {
        // mean square 1/m in every column, mean 0 over signs: one entry is a fair sign (6 standard errors)
        check_few(4, (1..=5usize, any::<u64>()), |(m, seed)| {
            for q in drawn(m, m, seed, 0) {
                prop_assert!((dot(&q, &q) / m as f64 - 1.0 / m as f64).abs() < 1e-14);
            }
            Ok(())
        });
        let signs: Vec<f64> = (0..SAMPLES).map(|s| drawn(1, 1, 9, s)[0][0]).collect();
        assert!(signs.iter().all(|s| s.abs() == 1.0));
        assert!(signs.iter().sum::<f64>().abs() < 6.0 * (SAMPLES as f64).sqrt());
    }

    #[test]
    fn notices() {
        let first = |f: &dyn Fn(Columns) -> f64| off((0..SAMPLES).map(|s| f(gaussian(3, 3, 4, s))));
        assert!(first(&|a| gram_schmidt(&a).0[2][2]) < FAR);
        // a positive diagonal of Q, not of R; and R as reflections leave it, `r_11 a_11 < 0`
        assert!(first(&|a| gram_schmidt(&a).0[2][2].abs()) > 10.0 * FAR);
        assert!(first(&|a| -a[0][0].signum() * gram_schmidt(&a).0[0][0]) > 10.0 * FAR);
        // entries that are not normal
        let cubed = |mut a: Columns| {
            a.iter_mut().flatten().for_each(|x| *x = x.powi(3));
            gram_schmidt(&a).0[0][0]
        };
        assert!(first(&cubed) > 2.0 * FAR);
    }
}

/// Accepted proposals have the normal law within the limits.
///
/// Theorem: truncated-normal-rejection.
mod a_normal_law_cut_anywhere_is_drawn_by_rejection {
    use super::*;
    use std::f64::consts::{E, PI, SQRT_2};

    const COUNT: usize = 20_000;

    /// Draws in deviations of the uncut law.
    fn drawn(lower: f64, upper: f64, seed: u64) -> Vec<f64> {
        let init = format!("trunc_normal:mean=0,std=1,a={lower},b={upper}");
        let m = model(&[COUNT / 100, 100], Activation::Tanh, &init);
        let law = m.layer(1);
        let (mean, std) = law.weight.uncut(law.fan_in).unwrap();
        let mlp = Mlp::draw(&m, seed, 0).unwrap();
        let entries = mlp.layer(1).weights.iter();
        entries.map(|w| (w - mean) / std).collect()
    }

    /// The distribution function, from the side of the tail, so that probabilities keep their digits.
    fn cdf(lower: f64, upper: f64) -> impl Fn(f64) -> f64 {
        let below = |z: f64| 0.5 * libm::erfc(-z / SQRT_2);
        let flip = lower < 0.0 && upper.abs() < lower.abs() || upper <= 0.0;
        move |z| match flip {
            true => (below(z) - below(lower)) / (below(upper) - below(lower)),
            false => 1.0 - (below(-z) - below(-upper)) / (below(-lower) - below(-upper)),
        }
    }

    #[test]
    fn holds() {
        let limits = [
            (-2.0, 2.0),
            (-0.5, 0.7),
            (0.0, f64::INFINITY),
            (f64::NEG_INFINITY, -0.3),
            (1.0, 1.4),
            (2.0, f64::INFINITY),
            (1.9, 2.0),
            (f64::NEG_INFINITY, -1.8),
            (-2.0, -1.9),
            (-1e-3, 40.0),
            (-8.0, 1.5),
        ];
        // each fails with probability 9e-7; initializers have no limits further out
        for (k, (lower, upper)) in limits.into_iter().enumerate() {
            let sample = drawn(lower, upper, k as u64);
            // the mean is taken off and put back
            let within = |z: &f64| lower - 1e-11 <= *z && *z <= upper + 1e-11;
            assert!(sample.iter().all(within), "[{lower}, {upper}]");
            let d = distance(sample, cdf(lower, upper));
            assert!(d < FAR, "[{lower}, {upper}]: {d}");
        }
    }

    /// A tail from `a`: an exponential proposal, and whether it is accepted.
    fn propose(a: f64, rng: &mut Stream) -> (f64, bool) {
        let rate = 0.5 * (a + (a * a + 4.0).sqrt());
        let step: f64 = Exp1.sample(rng);
        let z = a + step / rate;
        (z, rng.random::<f64>() < (-0.5 * (z - rate).powi(2)).exp())
    }

    /// What the library drew, drawn again; and the share of proposals that were accepted.
    fn again(a: f64, seed: u64) -> (Vec<f64>, f64) {
        let mut rng = stream(seed, 0, Purpose::Layer(1));
        let (mut out, mut tries) = (Vec::new(), 0);
        while out.len() < COUNT {
            tries += 1;
            let (z, accepted) = propose(a, &mut rng);
            out.extend(accepted.then_some(z));
        }
        (out, COUNT as f64 / f64::from(tries))
    }

    #[test]
    fn tight() {
        // from 0 on, the worst case; 6 standard errors
        let worst = (PI / (2.0 * E)).sqrt();
        let error = worst * ((1.0 - worst) / COUNT as f64).sqrt();
        for (a, attained) in [(1e-12, true), (1.0, false), (2.0, false)] {
            let (truth, share) = again(a, 3);
            let found = drawn(a, f64::INFINITY, 3);
            let same = |(x, y): (&f64, &f64)| (x - y).abs() < 1e-12 * (1.0 + y);
            assert!(found.iter().zip(&truth).all(same), "{a}");
            let off = (share - worst) / error;
            assert!(
                if attained { off.abs() < 6.0 } else { off > 6.0 },
                "{a}: {off}"
            );
        }
    }

    #[test]
    fn notices() {
        // limits a twentieth off, and every proposal accepted
        let off = |lower, upper| distance(drawn(-0.5, 0.7, 1), cdf(lower, upper));
        assert!(off(-0.5, 0.7) < FAR && off(-0.5, 0.735) > FAR && off(-0.525, 0.7) > FAR);
        let mut rng = stream(3, 0, Purpose::Other(1));
        let all = (0..COUNT).map(|_| propose(1.0, &mut rng).0).collect();
        assert!(distance(all, cdf(1.0, f64::INFINITY)) > 2.0 * FAR);
    }
}

/// Levels of the looks that sum to `a`, each shared out by Holm, keep all false alarms below `a`.
///
/// Theorem: spent-levels.
mod levels_spent_at_looks_bound_all_false_alarms {
    use super::*;

    /// Points of the unit interval, as fractions with this denominator.
    const GRID: i64 = 1 << 12;

    /// Whether the first statement falls with every set it is in by its least p-value times its size.
    fn closed(p: &[f64], i: usize, alpha: f64) -> bool {
        (1u32..1 << p.len()).filter(|s| s >> i & 1 == 1).all(|s| {
            let of = (0..p.len()).filter(|j| s >> j & 1 == 1).map(|j| p[j]);
            of.fold(1.0, f64::min) * f64::from(s.count_ones()) <= alpha
        })
    }

    /// Of all points `t`, the share at which some look rejects a true statement; `p` gives their p-values at
    /// look `k`, those of `wrong` false statements are 0.
    fn alarms(levels: &[f64], wrong: usize, p: impl Fn(i64, usize) -> Vec<f64>) -> f64 {
        let rejects = |t: i64, k: usize, level: f64| {
            let mut all = p(t, k);
            let right = all.len();
            all.resize(right + wrong, 0.0);
            holm(&all)[..right].iter().any(|p| *p <= level)
        };
        let alarm = |t: &i64| (0..levels.len()).any(|k| rejects(*t, k, levels[k]));
        (0..GRID).filter(alarm).count() as f64 / GRID as f64
    }

    /// The p-value that is uniform and small just behind a place.
    fn behind(t: i64, place: f64) -> f64 {
        let start = (place * GRID as f64) as i64;
        ((t - start).rem_euclid(GRID) + 1) as f64 / GRID as f64
    }

    fn levels(total: u64, alpha: f64) -> Vec<f64> {
        looks(total, 1, alpha).iter().map(|l| l.alpha).collect()
    }

    #[test]
    fn holds() {
        let samples = (0..1u64 << 40, 1..1u64 << 20, 1e-6..0.5f64);
        check(samples, |(total, first, alpha)| {
            let all = looks(total, first, alpha);
            let sum: f64 = all.iter().map(|l| l.alpha).sum();
            prop_assert!((sum - alpha).abs() <= 4.0 * f64::EPSILON * alpha);
            prop_assert!(all.iter().all(|l| l.alpha > 0.0));
            prop_assert_eq!(all[all.len() - 1].samples, total);
            prop_assert!(all.windows(2).all(|w| w[1].samples / 2 == w[0].samples));
            prop_assert!(all[0].samples >= first.min(total));
            Ok(())
        });
        // Holm rejects what closed testing does; products of these numbers are exact
        let p_values = prop::collection::vec(1..=1024u32, 1..=6);
        check((p_values, 1..512u32), |(p, alpha)| {
            let p: Vec<f64> = p.iter().map(|p| f64::from(*p) / 4096.0).collect();
            let alpha = f64::from(alpha) / 4096.0;
            for (i, adjusted) in holm(&p).iter().enumerate() {
                prop_assert_eq!(*adjusted <= alpha, closed(&p, i, alpha));
            }
            Ok(())
        });
        // any dependence: true statements small at arbitrary places, false ones always
        let places = prop::collection::vec(0.0..1.0f64, 1..=12);
        check_few(8, (places, 0..4usize), |(places, wrong)| -> Outcome {
            let p = |t: i64, k: usize| {
                let of_look = places.iter().skip(k).step_by(3);
                of_look.map(|x| behind(t, *x)).collect()
            };
            let share = alarms(&levels(4, 0.25), wrong, p);
            prop_assert!(share <= 0.25, "{share}");
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // rejections at different looks, or of different statements, that never coincide
        let levels = levels(4, 0.25);
        assert_eq!(levels, [0.0625, 0.0625, 0.125]);
        let spent = |k: usize| levels[..k].iter().sum::<f64>();
        assert_eq!(alarms(&levels, 0, |t, k| vec![behind(t, spent(k))]), 0.25);
        let four = |t, k| {
            let place = |i: usize| spent(k) + 0.25 * i as f64 * levels[k];
            (0..4).map(|i| behind(t, place(i))).collect()
        };
        assert_eq!(alarms(&levels, 0, four), 0.25);
    }

    #[test]
    fn notices() {
        // the whole level at every look; one more look; p-values that are not adjusted
        let apart = |t, k: usize| vec![behind(t, 0.25 * k as f64)];
        assert_eq!(alarms(&[0.25; 3], 0, apart), 0.75);
        let mut more = levels(4, 0.25);
        more.push(0.125);
        assert_eq!(alarms(&more, 0, apart), 0.375);
        let least = |t, _| {
            vec![
                (0..4)
                    .map(|i| behind(t, 0.25 * f64::from(i)))
                    .fold(1.0, f64::min),
            ]
        };
        assert_eq!(alarms(&[0.25], 0, least), 1.0);
        // a p-value that is too small too often
        assert_eq!(alarms(&[0.25], 0, |t, _| vec![0.5 * behind(t, 0.0)]), 0.5);
    }
}
