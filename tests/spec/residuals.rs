//! Residual blocks.

use super::structured::{Exact, squares};
use super::support::{Limits, check, conditioning, two};
use isometer::network::Residual;
use isometer::network::activation::Activation;
use isometer::theory::mean_field::LengthMap;
use isometer::theory::residual::{homogeneous_growth, stream};
use proptest::prelude::*;

/// The singular values of `I + B` lie in `[1 - |B|, 1 + |B|]`.
///
/// Theorem: residual-singular-values.
mod singular_values_of_a_residual_block_are_near_one {
    use super::*;

    /// `c I + B`, so that `B/c` is the branch.
    fn block(b: &Exact, c: i64) -> Exact {
        let mut block = Exact::from_fn(b.rows, b.rows, |i, j| {
            b.get(i, j) + if i == j { c } else { 0 }
        });
        block.exponent = b.exponent;
        block
    }

    fn within(b: &Exact, c: i64, branch: Limits) -> bool {
        let unit = c as f64 * 2f64.powi(b.exponent);
        let [top, bottom, _] = conditioning(&block(b, c));
        top.lo <= (unit + branch.hi).next_up() && bottom.hi >= (unit - branch.hi).next_down()
    }

    #[test]
    fn holds() {
        check((squares(6), 1..500i64), |(b, c)| {
            prop_assert!(within(&b, c, two(&b)));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // multiples of the identity reach both ends
        for (x, [lo, hi]) in [(3, [13.0, 13.0]), (-3, [7.0, 7.0])] {
            let [top, bottom, _] = conditioning(&block(&Exact::identity(3).scaled(x), 10));
            assert!(bottom.contains(lo) && top.contains(hi));
        }
    }

    #[test]
    fn notices() {
        // a branch a little smaller than it is
        let b = Exact::identity(2).scaled(3);
        assert!(within(&b, 10, Limits::point(3.0)));
        assert!(!within(&b, 10, Limits::point(3.0 - 1e-9)));
        // and blocks with branches of norm 1 or more may be singular
        let [_, bottom, _] = conditioning(&block(&Exact::identity(2).scaled(-10), 10));
        assert_eq!(bottom.hi, 0.0);
    }
}

/// Variance and squared gradient grow by `1 + beta^2 sigma_w2 m` a block.
///
/// Theorem: residual-growth.
mod residual_streams_grow_by_one_plus_the_branch {
    use super::*;

    fn branch(w: f64, slope: f64) -> LengthMap {
        LengthMap::new(Activation::LeakyRelu { slope }, w, 0.0).unwrap()
    }

    #[test]
    fn holds() {
        check(
            (0.1..4.0f64, 0.0..1.0f64, 0.01..1.0f64, 1..60usize),
            |(w, a, beta, depth)| {
                let map = branch(w, a);
                let scale = Residual::Constant(beta);
                let per_block = (beta * beta * w * 0.5 * (1.0 + a * a)).ln_1p();
                let whole = homogeneous_growth(&map, scale, depth).unwrap();
                let blocks = stream(&map, scale, 0.0, depth);
                let last = blocks.last().unwrap();
                let slack = 1e-12 * (1.0 + whole.abs()) + last.error;
                prop_assert!((whole - depth as f64 * per_block).abs() <= slack);
                prop_assert!(
                    (last.ln_q - whole).abs() <= slack && (last.ln_gradient - whole).abs() <= slack
                );
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // beta = 1/sqrt L: exp(sigma_w2 m), reached as 1/L
        let map = branch(2.0, 0.0);
        for depth in [100, 10_000] {
            let found = homogeneous_growth(&map, Residual::InverseSqrtDepth, depth).unwrap();
            assert!((found - 1.0).abs() <= 0.51 / depth as f64);
        }
        assert_eq!(homogeneous_growth(&map, Residual::Zero, 50), Some(0.0));
    }

    #[test]
    fn notices() {
        // beta enters as its square; and other activations have no such law
        let map = branch(2.0, 0.0);
        let growth = |beta| homogeneous_growth(&map, Residual::Constant(beta), 1).unwrap();
        assert!((growth(0.2).exp_m1() / growth(0.1).exp_m1() - 4.0).abs() < 1e-12);
        let tanh = LengthMap::new(Activation::Tanh, 2.0, 0.0).unwrap();
        assert_eq!(homogeneous_growth(&tanh, Residual::Constant(1.0), 3), None);
    }
}
