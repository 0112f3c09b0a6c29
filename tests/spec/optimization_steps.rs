//! Step sizes on quadratics, trust ratios, clipping.

use super::support::{check, gamma};
use isometer::theory::optimisation::{
    Method, best_gradient_descent, best_heavy_ball, clipping_factor, lamb_trust_ratio,
    lars_trust_ratio,
};
use proptest::prelude::*;

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn vectors() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-99..=99i32).prop_map(|x| f64::from(x) / 8.0), 1..8)
}

/// On a quadratic the error is multiplied by `1 - eta lambda`: it dies out for all curvatures up to `lambda` if and only if
/// `0 < eta < 2/lambda`, at best by `(k-1)/(k+1)` a step.
///
/// Theorem: gradient-descent-on-quadratics.
mod gradient_descent_converges_below_two_over_the_curvature {
    use super::*;

    /// The error after steps on `lambda w^2/2` from 1.
    fn after(step: f64, lambda: f64, steps: i32) -> f64 {
        (0..steps).fold(1.0, |w, _| w - step * lambda * w)
    }

    #[test]
    fn holds() {
        check((0.01..100.0f64, 0.01..3.0f64), |(lambda, share)| {
            let limit = Method::GradientDescent.largest_step(lambda).unwrap();
            prop_assert!((limit * lambda - 2.0).abs() <= 4.0 * f64::EPSILON);
            let step = share * limit;
            let rate = Method::GradientDescent.radius(step, lambda).unwrap();
            prop_assert!(
                (after(step, lambda, 1).abs() - rate).abs() <= gamma(4) * (1.0 + step * lambda)
            );
            // just off the limit nothing can be said in floating point
            let off = (share - 1.0).abs() > 1e-9;
            prop_assert!(!off || (rate < 1.0) == (share < 1.0));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // the best step treats both ends alike, and every other step is worse at one of them
        check(
            (0.01..1.0f64, 1.0..100.0f64, 0.5..1.5f64),
            |(a, b, other)| {
                let best = best_gradient_descent(a, b).unwrap();
                let k = b / a;
                prop_assert!((best.rate - (k - 1.0) / (k + 1.0)).abs() <= 8.0 * f64::EPSILON);
                let worst = |step: f64| after(step, a, 1).abs().max(after(step, b, 1).abs());
                prop_assert!((worst(best.step) - best.rate).abs() <= gamma(8) * 2.0);
                prop_assert!(worst(best.step * other) >= best.rate - gamma(16) * 3.0);
                Ok(())
            },
        );
    }

    #[test]
    fn notices() {
        // at the limit the error stays, above it grows
        assert_eq!(after(2.0, 1.0, 100).abs(), 1.0);
        assert!(after(2.02, 1.0, 500).abs() > 1e3 && after(1.98, 1.0, 500).abs() < 1e-3);
        assert!(after(-0.1, 1.0, 100) > 1e3);
    }
}

/// Heavy ball and Nesterov: stability limits and the best rate.
///
/// Theorem: momentum-stability.
mod momentum_is_stable_below_its_limit {
    use super::*;

    #[test]
    fn holds() {
        check(
            (0.0..0.99f64, 0.01..100.0f64, 0.01..2.0f64, any::<bool>()),
            |(beta, lambda, share, nesterov)| {
                let method = if nesterov {
                    Method::Nesterov { beta }
                } else {
                    Method::HeavyBall { beta }
                };
                let step = share * method.largest_step(lambda).unwrap();
                let radius = method.radius(step, lambda).unwrap();
                let off = (share - 1.0).abs() > 1e-6;
                prop_assert!(!off || (radius < 1.0) == (share < 1.0), "{radius}");
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // tuned heavy ball has equal rates at both ends, the root of its momentum
        for (a, b) in [(1.0f64, 100.0), (0.1, 7.0)] {
            let best = best_heavy_ball(a, b).unwrap();
            let rate = (b.sqrt() - a.sqrt()) / (b.sqrt() + a.sqrt());
            assert!((best.rate - rate).abs() < 1e-14);
            for lambda in [a, b, 0.5 * (a + b)] {
                // double roots at the ends amplify rounding to its square root
                assert!((best.method.radius(best.step, lambda).unwrap() - rate).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn notices() {
        // the limit of heavy ball is too large for Nesterov
        let beta = 0.5;
        let step = 0.99 * Method::HeavyBall { beta }.largest_step(1.0).unwrap();
        assert!(Method::HeavyBall { beta }.radius(step, 1.0).unwrap() < 1.0);
        assert!(Method::Nesterov { beta }.radius(step, 1.0).unwrap() > 1.0);
    }
}

/// The LARS step `eta |w|/(|g| + lambda |w|) (g + lambda w)` is at most `eta |w|` long, exactly so without decay.
///
/// Theorem: lars-step.
mod the_lars_step_is_a_fixed_share_of_the_weights {
    use super::*;

    fn step(w: &[f64], g: &[f64], decay: f64, eta: f64) -> Vec<f64> {
        let trust = lars_trust_ratio(norm(w), norm(g), decay, eta).unwrap();
        w.iter()
            .zip(g)
            .map(|(w, g)| trust * (g + decay * w))
            .collect()
    }

    fn pairs() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
        (vectors(), vectors()).prop_map(|(w, mut g)| {
            g.resize(w.len(), 1.0);
            (w, g)
        })
    }

    #[test]
    fn holds() {
        check((pairs(), 0.0..2.0f64), |((w, g), decay)| {
            let skipped = norm(&w) == 0.0 || norm(&g) == 0.0;
            let bound = 0.001 * norm(&w) * (1.0 + gamma(40));
            prop_assert!(skipped || norm(&step(&w, &g, decay, 0.001)) <= bound);
            Ok(())
        });
    }

    #[test]
    fn tight() {
        check((pairs(), -20..=20i32), |((w, g), e)| {
            if norm(&w) > 0.0 && norm(&g) > 0.0 {
                let length = norm(&step(&w, &g, 0.0, 0.25));
                prop_assert!((length / (0.25 * norm(&w)) - 1.0).abs() <= gamma(40));
                // whatever the scale of the gradient
                let scaled: Vec<f64> = g.iter().map(|x| x * 2f64.powi(e)).collect();
                prop_assert_eq!(step(&w, &scaled, 0.0, 0.25), step(&w, &g, 0.0, 0.25));
                // LAMB: the same with the direction of Adam
                let trust = lamb_trust_ratio(norm(&w), norm(&g)).unwrap();
                prop_assert!((trust * norm(&g) / norm(&w) - 1.0).abs() <= gamma(8));
            }
            Ok(())
        });
    }

    #[test]
    fn notices() {
        // a gradient against the weights makes the step with decay shorter; and zero norms are not scaled
        let (w, g) = ([1.0, 0.0], [-1.0, 0.0]);
        assert!(norm(&step(&w, &g, 0.5, 1.0)) < 0.4);
        assert_eq!(lars_trust_ratio(0.0, 3.0, 0.1, 0.01), Ok(1.0));
    }
}

/// Clipping by the norm keeps the direction and bounds the norm.
///
/// Theorem: clipping.
mod clipping_keeps_the_direction_and_bounds_the_norm {
    use super::*;

    fn clipped(g: &[f64], c: f64) -> Vec<f64> {
        let f = clipping_factor(norm(g), c).unwrap();
        g.iter().map(|x| f * x).collect()
    }

    #[test]
    fn holds() {
        check((vectors(), 0.01..30.0f64), |(g, c)| {
            let h = clipped(&g, c);
            prop_assert!(
                norm(&h) <= c * (1.0 + gamma(20)) && norm(&h) <= norm(&g) * (1.0 + gamma(20))
            );
            for i in 0..g.len() {
                for j in 0..g.len() {
                    let turn = (g[i] * h[j] - g[j] * h[i]).abs();
                    prop_assert!(turn <= gamma(4) * 2.0 * (g[i] * h[j]).abs());
                }
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // below the threshold nothing changes, above it the norm is the threshold
        assert_eq!(clipped(&[3.0, 4.0], 5.0), [3.0, 4.0]);
        assert!((norm(&clipped(&[30.0, 40.0], 5.0)) - 5.0).abs() <= 5.0 * gamma(20));
    }

    #[test]
    fn notices() {
        // clipping entry by entry turns the vector
        let g = [3.0f64, 0.5];
        let h = g.map(|x| x.clamp(-1.0, 1.0));
        assert!((g[0] * h[1] - g[1] * h[0]).abs() > 0.9);
        // and is no bound for the norm
        assert!(norm(&h) > 1.1);
    }
}

/// Rescaling the gradients of layers separately turns the step.
///
/// Theorem: layerwise-rescaling.
mod layerwise_rescaling_turns_the_step {
    use super::*;

    fn cosine(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / (norm(a) * norm(b))
    }

    /// Two layers of one weight each.
    fn rescaled(g: [f64; 2], factors: [f64; 2]) -> [f64; 2] {
        [g[0] * factors[0], g[1] * factors[1]]
    }

    #[test]
    fn holds() {
        // the new step still descends: its pairing with the gradient is positive
        check(
            (0.01..9.0f64, 0.01..9.0f64, 0.001..9.0f64, 0.001..9.0f64),
            |(x, y, a, b)| {
                let (g, h) = ([x, y], rescaled([x, y], [a, b]));
                // cos of the angle is at least 2 sqrt(ab)/(a + b) (Kantorovich)
                let bound = 2.0 * (a * b).sqrt() / (a + b);
                prop_assert!(cosine(&g, &h) >= bound * (1.0 - gamma(40)));
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // norms as the inverse roots of the factors: the bound is attained
        for (a, b) in [(1.0f64, 100.0f64), (3.0, 0.5)] {
            let g = [b.sqrt(), a.sqrt()];
            let h = rescaled(g, [a, b]);
            let bound = 2.0 * (a * b).sqrt() / (a + b);
            assert!((cosine(&g, &h) - bound).abs() < 1e-14);
        }
    }

    #[test]
    fn notices() {
        // LARS on layers with |w| = 1 and |g| = 1 and 0.01: the step points 44 degrees elsewhere
        let g = [1.0, 0.01];
        let factors = g.map(|g| lars_trust_ratio(1.0, g, 0.0, 1.0).unwrap());
        let angle = cosine(&g, &rescaled(g, factors)).acos().to_degrees();
        assert!((angle - 44.43).abs() < 0.01, "{angle}");
        // equal factors do not turn it
        assert!((cosine(&g, &rescaled(g, [7.0, 7.0])) - 1.0).abs() <= gamma(20));
    }
}
