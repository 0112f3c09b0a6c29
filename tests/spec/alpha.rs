//! The multiplier alpha on weights.

use super::networks::{Net, backward, build, multiplied, nets};
use super::structured::Exact;
use super::support::{check, cond, two};
use isometer::network::activation::Activation;
use isometer::reference::{Dense, Scaled};
use isometer::theory::multiplier::{Optimizer, Placement, scaling};
use proptest::prelude::*;
use proptest::sample::select;

/// Output, input gradient and weight gradients of a bias-free homogeneous network are multiplied by powers of alpha.
///
/// Theorem: multiplier-powers.
mod output_and_gradients_are_powers_of_alpha {
    use super::*;

    const PLACEMENTS: [Placement; 3] = [
        Placement::Weights,
        Placement::Multiplier,
        Placement::Layer(2),
    ];

    fn placed(layers: &[Dense], alpha: f64, placement: Placement) -> Vec<Dense> {
        layers
            .iter()
            .enumerate()
            .map(|(k, w)| match placement {
                Placement::Weights => multiplied(w, alpha, false),
                Placement::Multiplier => multiplied(w, alpha, true),
                Placement::Layer(l) if l == k + 1 => multiplied(w, alpha, false),
                Placement::Layer(_) => w.clone(),
            })
            .collect()
    }

    /// `(y, dy/dx, stored and effective dy/dW_l)`, all entries.
    fn everything(layers: Vec<Dense>, phi: Activation, x: &Scaled) -> Vec<Vec<f64>> {
        let count = layers.len();
        backward(&build(layers, phi), x, |y, g| {
            let mut all = vec![vec![y], g.input().to_vec()];
            for l in 1..=count {
                all.push(g.weight(l).to_vec());
                all.push(g.effective_weight(l).to_vec());
            }
            all
        })
    }

    /// The powers that the library states for them.
    fn powers(placement: Placement, count: usize) -> Vec<i64> {
        let first = scaling(placement, count, 1);
        let mut all = vec![first.output, first.input_gradient];
        for l in 1..=count {
            let s = scaling(placement, count, l);
            all.extend([s.stored_gradient, s.effective_gradient]);
        }
        all
    }

    fn obeys(
        layers: &[Dense],
        phi: Activation,
        x: &Scaled,
        alpha: f64,
        placement: Placement,
        powers: &[i64],
    ) -> bool {
        let before = everything(layers.to_vec(), phi.clone(), x);
        let after = everything(placed(layers, alpha, placement), phi, x);
        before.iter().zip(&after).zip(powers).all(|((b, a), p)| {
            b.iter()
                .zip(a)
                .all(|(b, a)| alpha.powi(*p as i32) * b == *a)
        })
    }

    #[test]
    fn holds() {
        let alpha = select(vec![2.0, 0.125, 3.0, 5.0]);
        check(
            (nets(), alpha, select(&PLACEMENTS[..])),
            |(net, alpha, placement)| {
                let powers = powers(placement, net.matrices());
                let layers = net.dense(false);
                prop_assert!(obeys(
                    &layers,
                    net.activation(),
                    &net.input(),
                    alpha,
                    placement,
                    &powers
                ));
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // with all units open no gradient vanishes: each power is seen, and no other would do
        check(
            (nets(), select(&PLACEMENTS[..]), any::<u8>()),
            |(net, placement, which)| {
                let count = net.matrices();
                let mut powers = powers(placement, count);
                let which = which as usize % powers.len();
                powers[which] += 1;
                let layers = net.dense(true);
                let x = Scaled::new(vec![1.0; net.widths[0]]);
                let all = everything(layers.clone(), net.activation(), &x);
                prop_assert!(all.iter().flatten().all(|g| *g != 0.0));
                prop_assert!(!obeys(
                    &layers,
                    net.activation(),
                    &x,
                    2.0,
                    placement,
                    &powers
                ));
                Ok(())
            },
        );
    }

    #[test]
    fn notices() {
        // with a bias, or an activation that is not homogeneous, there is no such law
        let net = Net {
            widths: vec![1, 1],
            slope: 0.0,
            seed: 3,
        };
        let powers = powers(Placement::Weights, 2);
        let x = Scaled::new(vec![1.0]);
        assert!(!obeys(
            &net.dense(true),
            Activation::Tanh,
            &x,
            2.0,
            Placement::Weights,
            &powers
        ));
        let layers = |alpha: f64| {
            vec![
                Dense::new(1, 1, vec![alpha]).with_bias(vec![1.0]),
                Dense::new(1, 1, vec![alpha]),
            ]
        };
        let y = |alpha| everything(layers(alpha), Activation::Relu, &Scaled::new(vec![1.0]))[0][0];
        assert_ne!(y(2.0), 4.0 * y(1.0));
    }
}

/// Training stored weights `w` is training `W = alpha w` with other hyperparameters, to the bit for powers of two.
///
/// Theorem: multiplier-equivalence.
mod a_run_on_stored_weights_is_a_run_on_effective_ones {
    use super::*;

    struct Hyper {
        rate: f64,
        l2: f64,
        clip: f64,
        epsilon: f64,
        decay: f64,
    }

    /// Three steps on the loss `sum (w_i - i)^2 + (sum w)^2` of the effective weights.
    fn run(optimizer: Optimizer, start: &[f64], alpha: f64, h: &Hyper) -> Vec<f64> {
        let mut w: Vec<f64> = start.iter().map(|x| x / alpha).collect();
        let n = w.len();
        let (mut m, mut v) = (vec![0.0; n], vec![0.0; n]);
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        for _ in 0..3 {
            let total: f64 = w.iter().map(|x| alpha * x).sum();
            let mut g: Vec<f64> = (0..n)
                .map(|i| alpha * (2.0 * (alpha * w[i] - i as f64) + 2.0 * total))
                .collect();
            let size = norm(&g);
            if size > h.clip {
                g.iter_mut().for_each(|x| *x *= h.clip / size);
            }
            let decoupled = matches!(optimizer, Optimizer::AdamW);
            for i in 0..n {
                g[i] += h.l2 * w[i];
                m[i] = 0.5 * m[i] + 0.5 * g[i];
                v[i] = 0.75 * v[i] + 0.25 * g[i] * g[i];
            }
            let step: Vec<f64> = match optimizer {
                Optimizer::Sgd => g.iter().map(|x| h.rate * x).collect(),
                Optimizer::Momentum => m.iter().map(|x| h.rate * x).collect(),
                Optimizer::Sign => g.iter().map(|x| h.rate * x.signum()).collect(),
                Optimizer::Adam | Optimizer::AdamW => (0..n)
                    .map(|i| h.rate * m[i] / (v[i].sqrt() + h.epsilon))
                    .collect(),
                Optimizer::Lars | Optimizer::Lamb => {
                    let trust = norm(&w) / norm(&g);
                    g.iter().map(|x| h.rate * trust * x).collect()
                }
            };
            for i in 0..n {
                let shrink = if decoupled {
                    h.rate * h.decay * w[i]
                } else {
                    0.0
                };
                w[i] -= step[i] + shrink;
            }
        }
        w.iter().map(|x| alpha * x).collect()
    }

    const HYPER: Hyper = Hyper {
        rate: 0.0625,
        l2: 0.5,
        clip: 64.0,
        epsilon: 0.125,
        decay: 0.25,
    };

    fn translated(optimizer: Optimizer, alpha: f64) -> Hyper {
        let e = optimizer.equivalent();
        Hyper {
            rate: HYPER.rate * alpha.powi(e.learning_rate),
            l2: HYPER.l2 * alpha.powi(e.l2),
            clip: HYPER.clip * alpha.powi(e.clip),
            epsilon: HYPER.epsilon * alpha.powi(e.epsilon),
            decay: HYPER.decay * alpha.powi(e.decoupled),
        }
    }

    const OPTIMIZERS: [Optimizer; 6] = [
        Optimizer::Sgd,
        Optimizer::Momentum,
        Optimizer::Adam,
        Optimizer::AdamW,
        Optimizer::Sign,
        Optimizer::Lars,
    ];

    fn starts() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec((1..=9i32).prop_map(f64::from), 2..5)
    }

    #[test]
    fn holds() {
        check(
            (select(&OPTIMIZERS[..]), starts(), -3..=3i32),
            |(optimizer, start, e)| {
                let alpha = 2f64.powi(e);
                let stored = run(optimizer, &start, alpha, &HYPER);
                let effective = run(optimizer, &start, 1.0, &translated(optimizer, alpha));
                prop_assert_eq!(stored, effective);
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // one step, in closed form: SGD on w moves W by alpha^2 times the rate
        let start = [3.0, 1.0];
        let h = Hyper {
            l2: 0.0,
            clip: f64::INFINITY,
            ..HYPER
        };
        let moved = |alpha: f64| {
            run(
                Optimizer::Sgd,
                &start,
                alpha,
                &Hyper {
                    rate: h.rate * 1e-6,
                    ..h
                },
            )[0] - start[0]
        };
        assert!((moved(2.0) / moved(1.0) - 4.0).abs() < 1e-4);
    }

    #[test]
    fn notices() {
        // one hyperparameter left as it was is another run
        let start = [3.0, 1.0, 7.0];
        let alpha = 4.0;
        for optimizer in OPTIMIZERS {
            let stored = run(optimizer, &start, alpha, &HYPER);
            let t = translated(optimizer, alpha);
            if optimizer != Optimizer::Lars {
                let wrong = Hyper {
                    rate: HYPER.rate,
                    ..translated(optimizer, alpha)
                };
                assert_ne!(stored, run(optimizer, &start, 1.0, &wrong), "{optimizer:?}");
            }
            if optimizer != Optimizer::Sign {
                let wrong = Hyper { l2: HYPER.l2, ..t };
                assert_ne!(stored, run(optimizer, &start, 1.0, &wrong), "{optimizer:?}");
            }
        }
    }
}

/// alpha changes growth by its powers, and conditioning not at all.
#[test]
fn alpha_changes_growth_and_never_conditioning() {
    check(
        (1..=5i64, prop::collection::vec(1..=9i64, 2..5)),
        |(alpha, d)| {
            let a = Exact::with_spectrum(d.len(), d.len(), &d, 1).0;
            prop_assert!(cond(&a).meets(cond(&a.scaled(alpha))));
            let ratio = two(&a.scaled(alpha)).over(two(&a));
            prop_assert!(ratio.contains(alpha as f64) && ratio.is_narrow(1e-12));
            Ok(())
        },
    );
}
