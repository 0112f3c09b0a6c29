use super::*;

/// Weights of a network 2 -> 2 -> 2 -> 1 with ReLU, and its input.
#[derive(Clone)]
struct Net {
    w: [[f64; 4]; 3],
}

const X: [f64; 2] = [0.7, -0.4];

fn start() -> Net {
    Net {
        w: [
            [0.9, 0.3, -0.5, -1.1],
            [0.8, -0.6, 0.4, 1.2],
            [1.5, 0.7, 0.0, 0.0],
        ],
    }
}

/// Output, gradients with respect to the three matrices as they act, and to the input; `m` multiplies each matrix.
fn run(net: &Net, m: [f64; 3]) -> (f64, [[f64; 4]; 3], [f64; 2]) {
    let at = |l: usize, i: usize, j: usize| m[l] * net.w[l][2 * i + j];
    let layer = |l: usize, x: [f64; 2]| [0, 1].map(|i| at(l, i, 0) * x[0] + at(l, i, 1) * x[1]);
    let relu = |h: [f64; 2]| h.map(|x| x.max(0.0));
    let h1 = layer(0, X);
    let x1 = relu(h1);
    let h2 = layer(1, x1);
    let x2 = relu(h2);
    let y = at(2, 0, 0) * x2[0] + at(2, 0, 1) * x2[1];
    let gate = |h: f64| f64::from(u8::from(h > 0.0));
    let d2 = [0, 1].map(|j| at(2, 0, j) * gate(h2[j]));
    let d1 = [0, 1].map(|j| (at(1, 0, j) * d2[0] + at(1, 1, j) * d2[1]) * gate(h1[j]));
    let d0 = [0, 1].map(|j| at(0, 0, j) * d1[0] + at(0, 1, j) * d1[1]);
    let outer = |d: [f64; 2], x: [f64; 2]| [d[0] * x[0], d[0] * x[1], d[1] * x[0], d[1] * x[1]];
    let gradients = [outer(d1, X), outer(d2, x1), [x2[0], x2[1], 0.0, 0.0]];
    (y, gradients, d0)
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * (1.0 + a.abs()), "{a} against {b}");
}

/// Theorem: multiplier-powers. Forward and backward by hand, every placement, every layer.
#[test]
fn powers_of_alpha_are_those_of_the_network() {
    let alpha = 1.7f64;
    let net = start();
    let (y, g, dx) = run(&net, [1.0; 3]);
    assert!(y != 0.0 && g.iter().all(|g| g.iter().any(|x| *x != 0.0)));
    for placement in [
        Placement::Weights,
        Placement::Multiplier,
        Placement::Layer(1),
        Placement::Layer(3),
    ] {
        let mut stored = net.clone();
        let mut m = [1.0; 3];
        for (l, multiplier) in m.iter_mut().enumerate() {
            match placement {
                Placement::Weights => stored.w[l].iter_mut().for_each(|w| *w *= alpha),
                Placement::Multiplier => *multiplier = alpha,
                Placement::Layer(k) if k == l + 1 => {
                    stored.w[l].iter_mut().for_each(|w| *w *= alpha);
                }
                Placement::Layer(_) => {}
            }
        }
        let (y2, g2, dx2) = run(&stored, m);
        for (l, multiplier) in m.iter().enumerate() {
            let s = scaling(placement, 3, l + 1);
            let power = |e: i64| alpha.powi(e as i32);
            close(y2, power(s.output) * y);
            close(dx2[0], power(s.input_gradient) * dx[0]);
            for i in 0..4 {
                close(g2[l][i], power(s.effective_gradient) * g[l][i]);
                // the chain rule through the multiplier
                close(multiplier * g2[l][i], power(s.stored_gradient) * g[l][i]);
            }
        }
    }
}

/// Hyperparameters of a run.
#[derive(Clone, Copy)]
struct Hyper {
    eta: f64,
    l2: f64,
    l1: f64,
    decoupled: f64,
    clip: f64,
    epsilon: f64,
}

fn norm(v: &[f64; 4]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Effective weights of the middle layer after some steps on it, stored as `W / alpha`; the loss is `(y - 1)^2 / 2`.
fn train(optimizer: Optimizer, alpha: f64, h: Hyper) -> [f64; 4] {
    let mut net = start();
    net.w[1].iter_mut().for_each(|w| *w /= alpha);
    let (mut m, mut v) = ([0.0f64; 4], [0.0f64; 4]);
    for t in 1..=3 {
        let (y, g, _) = run(&net, [1.0, alpha, 1.0]);
        let mut g = g[1].map(|x| alpha * (y - 1.0) * x);
        let clip = (h.clip / norm(&g)).min(1.0);
        let w = net.w[1];
        for i in 0..4 {
            g[i] = clip * g[i] + h.l2 * w[i] + h.l1 * w[i].signum();
        }
        let mut step = match optimizer {
            Optimizer::Sgd | Optimizer::Lars => g,
            Optimizer::Sign => g.map(f64::signum),
            Optimizer::Momentum => {
                for i in 0..4 {
                    m[i] = 0.9 * m[i] + g[i];
                }
                m
            }
            Optimizer::Adam | Optimizer::AdamW | Optimizer::Lamb => {
                let mut d = [0.0; 4];
                for i in 0..4 {
                    m[i] = 0.9 * m[i] + 0.1 * g[i];
                    v[i] = 0.99 * v[i] + 0.01 * g[i] * g[i];
                    let (a, b) = (1.0 - 0.9f64.powi(t), 1.0 - 0.99f64.powi(t));
                    d[i] = m[i] / a / ((v[i] / b).sqrt() + h.epsilon);
                }
                d
            }
        };
        match optimizer {
            Optimizer::Lars => {
                let ratio = norm(&w) / norm(&step);
                step = step.map(|x| ratio * x);
            }
            Optimizer::Lamb => {
                for i in 0..4 {
                    step[i] += h.decoupled * w[i];
                }
                let ratio = norm(&w) / norm(&step);
                step = step.map(|x| ratio * x);
            }
            _ => {}
        }
        for i in 0..4 {
            net.w[1][i] -= h.eta * step[i];
            if optimizer != Optimizer::Lamb {
                net.w[1][i] -= h.eta * h.decoupled * w[i];
            }
        }
    }
    net.w[1].map(|w| alpha * w)
}

/// Theorem: multiplier-equivalence (theory.csv R254). Three steps of every optimizer with every kind of decay, clipping and
/// epsilon, on the stored weights and on the effective ones.
#[test]
fn training_stored_weights_is_training_effective_ones() {
    let alpha = 3.0f64;
    let h = Hyper {
        eta: 0.01,
        l2: 0.02,
        l1: 0.03,
        decoupled: 0.04,
        clip: 0.5,
        epsilon: 0.05,
    };
    for optimizer in Optimizer::ALL {
        let e = optimizer.equivalent();
        let translated = |e: Equivalent| Hyper {
            eta: h.eta * alpha.powi(e.learning_rate),
            l2: h.l2 * alpha.powi(e.l2),
            l1: h.l1 * alpha.powi(e.l1),
            decoupled: h.decoupled * alpha.powi(e.decoupled),
            clip: h.clip * alpha.powi(e.clip),
            epsilon: h.epsilon * alpha.powi(e.epsilon),
        };
        let stored = train(optimizer, alpha, h);
        let effective = train(optimizer, 1.0, translated(e));
        for i in 0..4 {
            close(stored[i], effective[i]);
        }
        // every exponent matters
        let off = |a: [f64; 4]| (0..4).map(|i| (a[i] - stored[i]).abs()).fold(0.0, f64::max);
        for wrong in [
            Equivalent {
                learning_rate: e.learning_rate + 1,
                ..e
            },
            Equivalent { l2: e.l2 + 1, ..e },
            Equivalent {
                decoupled: e.decoupled + 1,
                ..e
            },
        ] {
            let sign = optimizer == Optimizer::Sign && wrong.l2 != e.l2;
            assert!(
                sign || off(train(optimizer, 1.0, translated(wrong))) > 1e-6,
                "{optimizer:?} {wrong:?}"
            );
        }
    }
    let adam = Optimizer::Adam.consequences(alpha);
    let rate = adam
        .iter()
        .find(|c| c.quantity == "effective learning rate")
        .unwrap();
    assert_eq!(rate.factor, 3.0);
    assert_eq!(Optimizer::Sgd.consequences(alpha)[1].factor, 9.0);
}

/// Theorem: multiplier-equivalence (theory.csv R256, R257). `f(w) = <a, w>/|w|` does not see the scale of `w`.
#[test]
fn scale_invariant_weights() {
    let a = [0.3, -1.0, 0.8, 0.1];
    let gradient = |w: [f64; 4]| {
        let n = norm(&w);
        let dot: f64 = a.iter().zip(&w).map(|(a, w)| a * w).sum();
        let mut g = [0.0; 4];
        for i in 0..4 {
            g[i] = (a[i] - dot * w[i] / (n * n)) / n;
        }
        g
    };
    let w = start().w[1];
    let alpha = 4.0f64;
    let (g, scaled) = (gradient(w), gradient(w.map(|x| alpha * x)));
    close(norm(&scaled) / norm(&g), alpha.powi(SCALE_INVARIANT.1));
    assert_eq!(alpha.powi(SCALE_INVARIANT.1), 0.25);
    assert_eq!(alpha.powi(SCALE_INVARIANT.2), 0.0625);
    // gradients are orthogonal to the weights, so the angle of a small step is |step|/|w|
    let angle = |g: [f64; 4], w: [f64; 4]| norm(&g) / norm(&w);
    let ratio = angle(scaled, w.map(|x| alpha * x)) / angle(g, w);
    close(
        ratio,
        alpha.powi(Optimizer::Sgd.angular_step_if_scale_invariant()),
    );
    let signs = angle(scaled.map(f64::signum), w.map(|x| alpha * x)) / angle(g.map(f64::signum), w);
    close(
        signs,
        alpha.powi(Optimizer::Sign.angular_step_if_scale_invariant()),
    );
    assert_eq!(Optimizer::Lars.angular_step_if_scale_invariant(), 0);
}

#[test]
fn critical_alpha_of_products() {
    let (typical, mean_square) = critical_alpha_of_gaussian_product(4);
    assert!((typical - 0.572_4).abs() < 5e-5, "{typical}");
    assert_eq!(mean_square, 0.5);
    // digamma(2) = 1 - gamma
    close(
        typical,
        (-0.5 * (2f64.ln() + 1.0 - 0.577_215_664_901_532_9)).exp(),
    );
    for n in 1..200 {
        let (typical, mean_square) = critical_alpha_of_gaussian_product(n);
        // digamma(x) < ln x: typical growth is below growth in the mean
        assert!(typical > mean_square);
    }
}

/// A normal law of the logarithm: the answers are quantiles of the normal distribution.
#[test]
fn alpha_that_keeps_within_a_factor() {
    let (mean, sigma, layers) = (-12.0f64, 3.0f64, 50);
    let cdf = |x: f64| 0.5 * libm::erfc(-(x - mean) / (sigma * 2f64.sqrt()));
    let factor = 20.0f64;
    let found = alpha_within_factor(layers, factor, 0.8, 0.0, cdf).unwrap();
    // centred at the median; flat at the top, so alpha is worth the root of rounding
    assert!((found.best_alpha - (0.12f64).exp()).abs() < 1e-7);
    let window = libm::erf(2.0 * factor.ln() / (sigma * 2f64.sqrt()));
    close(found.best_probability, window);
    let (lo, hi) = found.interval.unwrap();
    assert!(lo < found.best_alpha && found.best_alpha < hi);
    for alpha in [lo, hi] {
        let shift = 2.0 * layers as f64 * f64::ln(alpha);
        let p = cdf(2.0 * factor.ln() - shift) - cdf(-2.0 * factor.ln() - shift);
        assert!((p - 0.8).abs() < 1e-10);
    }
    // dead networks count as failures
    let dead = alpha_within_factor(layers, factor, 0.8, 0.3, cdf).unwrap();
    assert!(dead.interval.is_none());
    close(dead.best_probability, 0.7 * window);
    assert!(alpha_within_factor(layers, 1.0, 0.8, 0.0, cdf).is_err());
    assert!(alpha_within_factor(layers, 2.0, 1.0, 0.0, cdf).is_err());
    assert!(alpha_within_factor(0, 2.0, 0.5, 0.0, cdf).is_err());
    assert!(matches!(
        alpha_within_factor(3, 2.0, 0.5, 0.0, |_| 0.4),
        Err(WithinFactorError::NoMedian { .. })
    ));
}
