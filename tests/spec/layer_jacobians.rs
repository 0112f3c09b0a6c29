//! Jacobians of networks as products of layers. Integer weights make every pass exact.

use super::networks::{Net, build, nets, number, probe};
use super::structured::{Draw, Exact, Structure};
use super::support::{Limits, check, gamma, two};
use isometer::network::activation::Activation;
use isometer::reference::{Dense, Mlp, Scaled};
use proptest::prelude::*;
use proptest::sample::select;

/// `<v, J u> = <J^T v, u>`.
///
/// Theorem: vjp-is-adjoint.
mod backpropagation_is_the_adjoint_of_the_tangent_map {
    use super::*;

    /// `|v|^T |W_L| ... |W_1| |u|`, and the number of roundings on the longest way through.
    fn size(mlp: &Mlp, u: &Scaled, v: &Scaled) -> (f64, usize) {
        let mut x: Vec<f64> = u.to_vec().iter().map(|x| x.abs()).collect();
        let mut roundings = 2;
        for l in 1..=mlp.depth() {
            let w = mlp.layer(l);
            x = (0..w.rows)
                .map(|i| {
                    (0..w.cols)
                        .map(|j| w.weights[i * w.cols + j].abs() * x[j])
                        .sum()
                })
                .collect();
            roundings += w.rows.max(w.cols) + 2;
        }
        let total = v.to_vec().iter().zip(&x).map(|(v, x)| v.abs() * x).sum();
        (total, roundings)
    }

    fn defect(mlp: &Mlp, at: &Scaled, u: &Scaled, v: &Scaled) -> f64 {
        let trace = mlp.forward(at);
        number(v.dot(&trace.jvp(u))) - number(trace.vjp(v).dot(u))
    }

    #[test]
    fn holds() {
        let smooth = select(vec![
            Activation::Tanh,
            Activation::Sin,
            Activation::Erf,
            Activation::Sigmoid,
        ]);
        check((nets(), smooth, any::<u64>()), |(net, phi, seed)| {
            let mlp = build(net.dense(false), phi);
            let (u, v) = (
                probe(mlp.width(0), seed),
                probe(mlp.width(mlp.depth()), !seed),
            );
            // slopes of these activations are at most 1.13
            let (size, k) = size(&mlp, &u, &v);
            let bound = 2.0 * gamma(k) * size * 1.13f64.powi(mlp.depth() as i32);
            prop_assert!(defect(&mlp, &net.input(), &u, &v).abs() <= bound);
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // where nothing is rounded, the two numbers are one
        check((nets(), any::<u64>()), |(net, seed)| {
            let mlp = net.mlp();
            let (u, v) = (
                probe(mlp.width(0), seed),
                probe(mlp.width(mlp.depth()), !seed),
            );
            prop_assert_eq!(defect(&mlp, &net.input(), &u, &v), 0.0);
            Ok(())
        });
    }

    #[test]
    fn notices() {
        // the adjoint at another input, where another gate is open, is another map
        let mlp = build(
            vec![
                Dense::new(2, 2, vec![1.0, 0.0, 0.0, 1.0]),
                Dense::new(1, 2, vec![1.0, 1.0]),
            ],
            Activation::Relu,
        );
        let (here, there) = (Scaled::new(vec![1.0, 1.0]), Scaled::new(vec![1.0, -1.0]));
        let (u, v) = (Scaled::new(vec![1.0, 2.0]), Scaled::new(vec![3.0, 4.0]));
        let (a, b) = (mlp.forward(&here), mlp.forward(&there));
        assert_eq!(number(v.dot(&a.jvp(&u))), 11.0);
        assert_eq!(number(b.vjp(&v).dot(&u)), 3.0);
    }
}

/// With slopes of size at most 1, `|dy/dx| <= |W_{L+1}| ... |W_1|`.
///
/// Theorem: gradient-norm-bound.
mod the_gradient_is_at_most_the_product_of_layer_norms {
    use super::*;

    fn exact(layer: &Dense) -> Exact {
        Exact::from_fn(layer.rows, layer.cols, |i, j| {
            layer.weights[i * layer.cols + j] as i64
        })
    }

    fn bound(layers: &[Dense]) -> Limits {
        layers
            .iter()
            .map(|w| two(&exact(w)))
            .fold(Limits::point(1.0), Limits::times)
    }

    fn gradient(layers: &[Dense], phi: Activation, x: &Scaled) -> Limits {
        let mlp = build(layers.to_vec(), phi);
        let trace = mlp.forward(x);
        let g = trace.backward(&Scaled::new(vec![1.0])).input().to_vec();
        let square: f64 = g.iter().map(|x| x * x).sum();
        let roundings: usize = layers.iter().map(|w| w.rows.max(w.cols) + 2).sum();
        // the entries err relative to the product with moduli: at most 4^L times larger here
        let slack = gamma(roundings) * 1e3;
        Limits {
            lo: square.sqrt() * (1.0 - slack) - slack,
            hi: square.sqrt() * (1.0 + slack) + slack,
        }
    }

    #[test]
    fn holds() {
        let phi = select(vec![
            Activation::Relu,
            Activation::Tanh,
            Activation::Abs,
            Activation::Linear,
            Activation::Softplus { beta: 1.0 },
            Activation::LeakyRelu { slope: 0.25 },
        ]);
        check((nets(), phi), |(net, phi)| {
            let layers = net.dense(false);
            prop_assert!(!gradient(&layers, phi, &net.input()).is_above(bound(&layers)));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // isometries and open gates
        check(
            (1..=4usize, any::<u64>(), 1..=3usize),
            |(n, seed, depth)| {
                let draw = Draw {
                    structure: Structure::Isometry,
                    grade: 0,
                    seed,
                };
                let q = draw.build(n, n);
                let square = Dense::new(n, n, q.doubles());
                let mut layers = vec![square; depth];
                layers.push(Dense::new(1, n, q.doubles()[..n].to_vec()));
                let x = probe(n, seed);
                let ratio = gradient(&layers, Activation::Abs, &x);
                // |z| has slopes of size 1 but at 0
                let dead = build(layers.clone(), Activation::Abs)
                    .forward(&x)
                    .pre_activation(1)
                    .to_vec()
                    .contains(&0.0);
                prop_assert!(dead || depth > 1 || ratio.meets(bound(&layers)));
                Ok(())
            },
        );
    }

    #[test]
    fn notices() {
        // gelu has slopes up to 1.129: the bound fails where they are taken
        let layers = vec![Dense::new(1, 1, vec![1.0]), Dense::new(1, 1, vec![1.0])];
        let steep = gradient(&layers, Activation::Gelu, &Scaled::new(vec![1.4]));
        assert!(steep.is_above(bound(&layers)));
        // and one norm less is refuted
        let layers = vec![Dense::new(1, 1, vec![3.0]), Dense::new(1, 1, vec![2.0])];
        let g = gradient(&layers, Activation::Relu, &Scaled::new(vec![1.0]));
        assert!(!g.is_above(bound(&layers)) && g.is_above(bound(&layers[..1])));
    }
}

/// The Jacobian is the product of its layers: `J u` and the product of explicit matrices agree to the bit.
#[test]
fn the_tangent_map_is_the_product_of_gated_layers() {
    check((nets(), any::<u64>()), |(net, seed): (Net, u64)| {
        let mlp = net.mlp();
        let trace = mlp.forward(&net.input());
        let u = probe(mlp.width(0), seed);
        let mut x = u.to_vec();
        for l in 1..=mlp.depth() {
            let (w, h) = (mlp.layer(l), trace.pre_activation(l).to_vec());
            x = (0..w.rows)
                .map(|i| {
                    let sum: f64 = (0..w.cols).map(|j| w.weights[i * w.cols + j] * x[j]).sum();
                    net.activation().derivative(h[i]) * sum
                })
                .collect();
        }
        prop_assert_eq!(trace.jvp(&u).to_vec(), x);
        Ok(())
    });
}
