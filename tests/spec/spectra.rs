//! Edges of the limiting spectra of Jacobians.

use super::support::check;
use isometer::network::activation::Activation;
use isometer::theory::spectrum::{
    Ensemble, LayerGroup, SquaredSlopes, fuss_catalan_moment, ln_edge_relu_gaussian,
    ln_edges_smooth_limit, spectrum,
};
use proptest::prelude::*;

fn upper(ensemble: Ensemble, sigma_w2: f64, phi: &Activation, count: usize) -> f64 {
    let slopes = SquaredSlopes::new(phi, 1.0).unwrap();
    let group = LayerGroup {
        ensemble,
        sigma_w2,
        slopes,
        count,
    };
    spectrum(&[group]).unwrap().upper.ln
}

/// The edge of a product is the first critical point of `(1+z)/(z S(z))`, `S` the product of the factors' transforms.
///
/// Theorem: s-transform-edges.
mod the_edge_of_a_product_is_a_critical_point_of_its_transform {
    use super::*;

    #[test]
    fn holds() {
        // quotients of successive moments rise to the edge from below
        check((1..30usize, 1..60usize), |(depth, k)| {
            let edge = upper(Ensemble::Gaussian, 1.0, &Activation::Linear, depth);
            let quotient = fuss_catalan_moment(depth, k + 1) / fuss_catalan_moment(depth, k);
            prop_assert!(quotient.ln() <= edge + 1e-9, "{} {}", quotient.ln(), edge);
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // moments behave as edge^k k^(-3/2): the quotient is 3/(2k) below the edge
        for depth in [1, 3] {
            let k = 60;
            let edge = upper(Ensemble::Gaussian, 1.0, &Activation::Linear, depth);
            let quotient = fuss_catalan_moment(depth, k + 1) / fuss_catalan_moment(depth, k);
            assert!((edge - quotient.ln() - 1.5 / k as f64).abs() < 3.0 / (k * k) as f64);
        }
    }

    #[test]
    fn notices() {
        // moments of one layer more pass the edge of one layer less
        let edge = upper(Ensemble::Gaussian, 1.0, &Activation::Linear, 3);
        let quotient = fuss_catalan_moment(4, 30) / fuss_catalan_moment(4, 29);
        assert!(quotient.ln() > edge);
    }
}

/// The edge of wide ReLU layers with Gaussian weights in closed form.
///
/// Theorem: relu-gaussian-edge.
mod the_edge_of_wide_relu_layers_is_a_minimum_in_closed_form {
    use super::*;

    fn ln_f(z: f64, depth: usize, p: f64) -> f64 {
        z.ln_1p() - z.ln() + depth as f64 * (z / p).ln_1p()
    }

    #[test]
    fn holds() {
        check(
            (1..200usize, 0.05..1.0f64, -12.0..6.0f64),
            |(depth, p, ln_z)| {
                let edge = ln_edge_relu_gaussian(depth, p);
                prop_assert!(edge <= ln_f(ln_z.exp(), depth, p) + 1e-12 * (1.0 + edge.abs()));
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // Marchenko and Pastur; and the route through numerical transforms
        assert!((ln_edge_relu_gaussian(1, 1.0) - 4f64.ln()).abs() < 1e-14);
        for depth in [2, 7] {
            let other = upper(Ensemble::Gaussian, 2.0, &Activation::Relu, depth);
            assert!((ln_edge_relu_gaussian(depth, 0.5) - other).abs() < 1e-8);
        }
    }

    #[test]
    fn notices() {
        // half a per cent off the critical point and the value is larger by second order, seen at once
        let p = 0.5;
        for depth in [2usize, 20] {
            let l = depth as f64;
            let z = (1.0 - l + ((l - 1.0).powi(2) + 4.0 * l * p).sqrt()) / (2.0 * l);
            let edge = ln_edge_relu_gaussian(depth, p);
            assert!((ln_f(z, depth, p) - edge).abs() < 1e-12);
            assert!(ln_f(1.05 * z, depth, p) > edge + 1e-5);
        }
    }
}

/// Smooth activations on orthogonal weights share a limit with finite edges.
///
/// Theorem: smooth-universal-limit.
mod smooth_activations_share_edges_that_stay_finite {
    use super::*;

    fn ln_f(z: f64, s: f64) -> f64 {
        ((1.0 + z) / z).abs().ln() + s * z
    }

    #[test]
    fn holds() {
        check((0.01..5.0f64, 0.001..20.0f64), |(s, z)| {
            let (lower, upper) = ln_edges_smooth_limit(s);
            prop_assert!(upper <= ln_f(z, s) + 1e-12 * (1.0 + upper.abs()));
            prop_assert!(lower >= ln_f(-1.0 - z, s) - 1e-12 * (1.0 + lower.abs()));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        for s in [0.1, 1.0, 4.0] {
            let (lower, upper) = ln_edges_smooth_limit(s);
            assert!((lower + upper + s).abs() < 1e-13, "their product is e^-s");
            let z = 0.5 * ((1.0f64 + 4.0 / s).sqrt() - 1.0);
            assert!((ln_f(z, s) - upper).abs() < 1e-13);
        }
    }

    #[test]
    fn notices() {
        let (_, upper) = ln_edges_smooth_limit(1.0);
        let (_, other) = ln_edges_smooth_limit(1.01);
        assert!(other > upper + 1e-3 && ln_f(1.0, 1.0) > upper + 1e-3);
    }
}

/// Singular values of independent entries fill the law of Marchenko and Pastur, whose distribution function has a closed form.
///
/// Theorem: marchenko-pastur.
mod independent_entries_fill_the_marchenko_pastur_law {
    use super::*;
    use isometer::linalg::singular::singular_values;
    use isometer::linalg::view::MatrixRef;
    use isometer::theory::marchenko_pastur::MarchenkoPastur;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    /// `E t^k` by parts: `b^k` less the integral of `k t^(k-1)` times the distribution function.
    fn moment(law: &MarchenkoPastur, k: i32) -> f64 {
        let steps = 20_000;
        let (lower, upper) = (law.lower(), law.upper());
        let h = (upper - lower) / f64::from(steps);
        let area: f64 = (0..steps)
            .map(|i| {
                let x = lower + (f64::from(i) + 0.5) * h;
                // t = x^2, dt = 2 x dx
                h * 2.0 * x * f64::from(k) * x.powi(2 * (k - 1)) * law.cdf(x)
            })
            .sum();
        upper.powi(2 * k) - area
    }

    fn narayana_sum(q: f64, k: u32) -> f64 {
        let choose = |n: u32, r: u32| {
            (0..r)
                .map(|i| f64::from(n - i) / f64::from(i + 1))
                .product::<f64>()
        };
        (1..=k)
            .map(|i| choose(k, i) * choose(k, i - 1) / f64::from(k) * q.powi(i as i32 - 1))
            .sum()
    }

    /// Singular values in the unit of the law, for entries of variance `s^2`.
    fn drawn(m: usize, n: usize, s: f64, seed: u64) -> Vec<f64> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let x: Vec<f64> = (0..m * n)
            .map(|_| {
                let z: f64 = StandardNormal.sample(&mut rng);
                s * z
            })
            .collect();
        let all = singular_values(&MatrixRef::row_major(&x, m, n).unwrap()).unwrap();
        let unit = s * (m.max(n) as f64).sqrt();
        all.values
            .iter()
            .map(|v| v * 2f64.powi(all.exponent as i32) / unit)
            .collect()
    }

    /// Half the distance that as many independent draws of the law exceed once in a million (Massart 1990): eigenvalues repel
    /// each other and lie far closer.
    fn limit(n: usize) -> f64 {
        0.5 * (2e6f64.ln() / (2.0 * n as f64)).sqrt()
    }

    #[test]
    fn holds() {
        check((1..400usize, 1..400usize, 1..6i32), |(m, n, k)| {
            let law = MarchenkoPastur::new(m, n).unwrap();
            let q = m.min(n) as f64 / m.max(n) as f64;
            let expected = narayana_sum(q, k as u32);
            // the midpoint rule errs by h^2/24 times the variation of the slope of the integrand
            let h = (law.upper() - law.lower()) / 20_000.0;
            let variation = f64::from(2 * k * (2 * k + 1)) * 4f64.powi(k);
            let tolerance = h * h / 24.0 * variation + 1e-12 * law.upper().powi(2 * k);
            let found = moment(&law, k);
            prop_assert!((found - expected).abs() < tolerance, "{found} {expected}");
            Ok(())
        });
    }

    #[test]
    fn tight() {
        for (seed, (m, n)) in [(120, 120), (60, 150), (200, 80)].into_iter().enumerate() {
            let law = MarchenkoPastur::new(m, n).unwrap();
            let values = drawn(m, n, 0.3, seed as u64);
            assert!(law.distance(&values) < limit(values.len()));
            // fluctuations of the largest are of order n^(-2/3)
            let width = 4.0 * (values.len() as f64).powf(-2.0 / 3.0);
            assert!(
                (values[0] - law.upper()).abs() < width,
                "{} {}",
                values[0],
                law.upper()
            );
        }
    }

    #[test]
    fn notices() {
        let (m, n) = (150, 120);
        let values = drawn(m, n, 1.0, 9);
        assert!(MarchenkoPastur::new(m, 30).unwrap().distance(&values) > limit(n));
        let stretched: Vec<f64> = values.iter().map(|x| 1.2 * x).collect();
        assert!(MarchenkoPastur::new(m, n).unwrap().distance(&stretched) > limit(n));
        assert!(
            (moment(&MarchenkoPastur::new(m, n).unwrap(), 3) / narayana_sum(0.7, 3) - 1.0).abs()
                > 1e-2
        );
    }
}
