//! What equal initial weights do.

use super::networks::{backward, build, probe};
use super::support::check;
use isometer::network::activation::Activation;
use isometer::reference::Dense;
use proptest::prelude::*;

/// Hidden units that start alike stay alike under gradient steps.
///
/// Theorem: equal-units-stay-equal.
mod equal_hidden_units_stay_equal {
    use super::*;

    /// Layers of widths `n_0, n, n, 1` with one number each.
    fn constant(n0: usize, n: usize, c: [f64; 3]) -> Vec<Dense> {
        vec![
            Dense::new(n, n0, vec![c[0]; n * n0]),
            Dense::new(n, n, vec![c[1]; n * n]),
            Dense::new(1, n, vec![c[2]; n]),
        ]
    }

    /// Steps of `w - rate (y - 1) dy/dw` on one example after the other.
    fn trained(mut layers: Vec<Dense>, steps: u64, seed: u64) -> Vec<Dense> {
        let n0 = layers[0].cols;
        for step in 0..steps {
            let x = probe(n0, seed.wrapping_add(step));
            let mlp = build(layers.clone(), Activation::Tanh);
            let gradients = backward(&mlp, &x, |y, g| {
                (1..=3)
                    .map(|l| {
                        g.weight(l)
                            .to_vec()
                            .iter()
                            .map(|d| (y - 1.0) * d)
                            .collect::<Vec<f64>>()
                    })
                    .collect::<Vec<_>>()
            });
            for (layer, g) in layers.iter_mut().zip(&gradients) {
                let w = layer
                    .weights
                    .iter()
                    .zip(g)
                    .map(|(w, g)| w - 0.125 * g)
                    .collect();
                *layer = Dense::new(layer.rows, layer.cols, w);
            }
        }
        layers
    }

    /// Whether rows of the first layer are equal, and rows and columns of those above, up to rounding of
    /// sums that different units may take in different order.
    fn alike(layers: &[Dense], slack: f64) -> bool {
        let first = &layers[0];
        let rows = first.weights.chunks(first.cols).all(|r| {
            r.iter()
                .zip(&first.weights)
                .all(|(a, b)| (a - b).abs() <= slack)
        });
        let above = layers[1..]
            .iter()
            .all(|w| w.weights.iter().all(|x| (x - w.weights[0]).abs() <= slack));
        rows && above
    }

    fn numbers() -> impl Strategy<Value = [f64; 3]> {
        let one = || (1..=8i32).prop_map(|k| f64::from(k) / 16.0);
        [one(), one(), one()]
    }

    #[test]
    fn holds() {
        check(
            (1..4usize, 2..5usize, numbers(), 0..20u64, any::<u64>()),
            |(n0, n, c, steps, seed)| {
                let end = trained(constant(n0, n, c), steps, seed);
                // twenty steps whose gradients are below 10 and differ by rounding alone
                prop_assert!(alike(&end, 1e-10));
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // they do move: it is the symmetry that stays, not the weights
        let start = constant(2, 3, [0.25, 0.5, 0.125]);
        let end = trained(start.clone(), 10, 3);
        assert!(alike(&end, 1e-10));
        assert!((end[0].weights[0] - start[0].weights[0]).abs() > 1e-3);
        assert!(
            (end[0].weights[0] - end[0].weights[1]).abs() > 1e-3,
            "the inputs differ"
        );
    }

    #[test]
    fn notices() {
        // one weight off, and the units part
        let mut start = constant(2, 3, [0.25, 0.5, 0.125]);
        start[0].weights[0] = 0.3;
        let end = trained(start, 10, 3);
        assert!(!alike(&end, 1e-3));
    }
}

/// Least squares forgets where it started.
///
/// Theorem: linear-regression-start.
mod linear_regression_is_unaffected_by_equal_weights {
    use super::*;
    use nalgebra::{DMatrix, DVector};

    /// Gradient descent on `|Xw - t|^2/2` with the step `1/trace(X^T X)`.
    fn descend(x: &DMatrix<f64>, t: &DVector<f64>, start: f64, steps: usize) -> DVector<f64> {
        let gram = x.transpose() * x;
        let right = x.transpose() * t;
        let step = 1.0 / gram.trace();
        let mut w = DVector::from_element(x.ncols(), start);
        for _ in 0..steps {
            w -= step * (&gram * &w - &right);
        }
        w
    }

    /// `n + 2` examples whose Gram matrix is at least the identity.
    fn data(n: usize, extra: &[i32]) -> (DMatrix<f64>, DVector<f64>) {
        let x = DMatrix::from_fn(n + 2, n, |i, j| {
            if i < n {
                f64::from(u8::from(i == j))
            } else {
                f64::from(extra[(i + j) % extra.len()])
            }
        });
        let t = DVector::from_fn(n + 2, |i, _| f64::from(extra[i % extra.len()]) + i as f64);
        (x, t)
    }

    #[test]
    fn holds() {
        check(
            (1..4usize, prop::collection::vec(-2..=2i32, 3), -4..=4i32),
            |(n, extra, start)| {
                let (x, t) = data(n, &extra);
                let w = descend(&x, &t, f64::from(start), 2000);
                // the smallest eigenvalue is at least 1, the trace at most 27: (1 - 1/27)^2000 < 1e-32
                let residual = x.transpose() * (&x * &w - &t);
                prop_assert!(residual.amax() <= 1e-11, "{residual}");
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // the minimizer has unequal weights, reached from equal ones
        let (x, t) = data(3, &[1, -2, 0]);
        let (a, b) = (descend(&x, &t, 0.0, 2000), descend(&x, &t, 5.0, 2000));
        assert!((&a - &b).amax() < 1e-11);
        assert!((a[0] - a[1]).abs() > 0.1);
    }

    #[test]
    fn notices() {
        // with dependent columns the start is remembered: the hypothesis is needed
        let x = DMatrix::from_element(3, 2, 1.0);
        let t = DVector::from_element(3, 2.0);
        let start = DVector::from_vec(vec![3.0f64, 0.0]);
        let gram = x.transpose() * &x;
        let mut w = start;
        for _ in 0..2000 {
            w -= (1.0 / gram.trace()) * (&gram * &w - x.transpose() * &t);
        }
        assert!((w[0] - w[1] - 3.0).abs() < 1e-12);
    }
}
