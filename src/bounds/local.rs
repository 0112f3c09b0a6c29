//! Lower bounds of a Lipschitz constant: norms of the Jacobian at points.

use super::chain::Chain;
use crate::linalg::dense;
use crate::network::activation::Activation;
use crate::scale::LogScale;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Iterations of the power method at one point.
const ITERATIONS: usize = 40;

/// The largest norm of the Jacobian found at Gaussian points, for layers without bias.
///
/// Each is a lower bound of the Lipschitz constant up to rounding: `|J v| / |v|` for a vector found by the
/// power method. Points are standard normal, at scales from 1/8 to 8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampled {
    /// Largest norm met.
    pub largest: LogScale,
    /// Median over the points.
    pub median: LogScale,
    /// Points.
    pub points: usize,
}

/// Norms of the Jacobian at `points` random inputs; `None` where all vanish.
pub fn sampled(chain: &Chain, phi: &Activation, points: usize, seed: u64) -> Option<Sampled> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let inputs = chain.widths()[0];
    let mut norms: Vec<f64> = (0..points)
        .map(|k| {
            let scale = 2f64.powi(k as i32 % 7 - 3);
            let x: Vec<f64> = (0..inputs)
                .map(|_| scale * rng.sample::<f64, _>(StandardNormal))
                .collect();
            let start: Vec<f64> = (0..inputs).map(|_| rng.sample(StandardNormal)).collect();
            ln_norm_at(chain, phi, &x, start).unwrap_or(f64::NEG_INFINITY)
        })
        .collect();
    norms.sort_by(f64::total_cmp);
    Some(Sampled {
        largest: LogScale::from_ln(*norms.last()?)?,
        median: LogScale::from_ln(norms[norms.len() / 2])?,
        points,
    })
}

/// Slopes of every hidden layer at an input; layers act at their own scale.
fn slopes(chain: &Chain, phi: &Activation, x: &[f64]) -> Option<Vec<Vec<f64>>> {
    let mut x = x.to_vec();
    let mut all = Vec::with_capacity(chain.depth() - 1);
    for (w, e) in chain
        .weights
        .iter()
        .zip(&chain.exponents)
        .take(chain.depth() - 1)
    {
        let h: Vec<f64> = dense::apply(w, &x)
            .into_iter()
            .map(|v| crate::scale::ldexp(v, *e))
            .collect();
        if !h.iter().all(|v| v.is_finite()) {
            return None;
        }
        all.push(h.iter().map(|v| phi.derivative(*v)).collect());
        x = h.iter().map(|v| phi.value(*v)).collect();
    }
    Some(all)
}

/// `ln |J|` at an input by the power method on `J^T J`, every vector brought back to unit size.
pub fn ln_norm_at(chain: &Chain, phi: &Activation, x: &[f64], start: Vec<f64>) -> Option<f64> {
    let slopes = slopes(chain, phi, x)?;
    let mut v = start;
    let mut found = None;
    for _ in 0..ITERATIONS {
        unit(&mut v)?;
        let mut ln = 0.0;
        for (k, w) in chain.weights.iter().enumerate() {
            v = dense::apply(w, &v);
            if let Some(d) = slopes.get(k) {
                v.iter_mut().zip(d).for_each(|(v, d)| *v *= d);
            }
            ln += unit(&mut v)?;
        }
        found = Some(ln);
        for (k, w) in chain.weights.iter().enumerate().rev() {
            if let Some(d) = slopes.get(k) {
                v.iter_mut().zip(d).for_each(|(v, d)| *v *= d);
            }
            v = dense::apply_transposed(w, &v);
            unit(&mut v)?;
        }
    }
    found.map(|ln| ln + chain.exponent() as f64 * std::f64::consts::LN_2)
}

/// Divides by the norm and returns its logarithm; `None` for zero.
fn unit(v: &mut [f64]) -> Option<f64> {
    let top = v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if !(top > 0.0 && top.is_finite()) {
        return None;
    }
    v.iter_mut().for_each(|x| *x /= top);
    let norm = dense::norm2(v);
    v.iter_mut().for_each(|x| *x /= norm);
    Some(top.ln() + norm.ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::lipschitz::{LipschitzOptions, lipschitz};
    use crate::bounds::slope::SlopeRange;
    use crate::linalg::view::MatrixRef;
    use proptest::prelude::*;

    fn layers(widths: &[usize], seed: u64, shape: u8) -> Vec<(Vec<f64>, usize, usize)> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        widths
            .windows(2)
            .map(|w| {
                let scale = 2f64.powi(rng.random_range(-3..4));
                let entry = |e: usize, rng: &mut ChaCha8Rng| match shape {
                    // dense, integer, graded by rows, one sign
                    0 => rng.sample::<f64, _>(StandardNormal),
                    1 => f64::from(rng.random_range(-2i32..3)),
                    2 => rng.sample::<f64, _>(StandardNormal) * 2f64.powi(-((e / w[0]) as i32) * 2),
                    _ => rng.random::<f64>(),
                };
                let m = (0..w[0] * w[1])
                    .map(|e| scale * entry(e, &mut rng))
                    .collect();
                (m, w[1], w[0])
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Theorem: diagonal-lipschitz-certificate. No Jacobian of an adversarial network, and no quotient of differences,
        /// exceeds any upper bound.
        #[test]
        fn nothing_sampled_exceeds_an_upper_bound(
            widths in prop::collection::vec(1usize..7, 2..7),
            shape in 0u8..4,
            name in prop::sample::select(vec!["relu", "leaky_relu", "tanh", "gelu", "abs", "silu", "sigmoid", "elu", "hardswish"]),
            seed: u64,
        ) {
            let phi: Activation = name.parse().unwrap();
            let drawn = layers(&widths, seed, shape);
            let views: Vec<MatrixRef<'_>> = drawn.iter().map(|(x, r, c)| MatrixRef::row_major(x, *r, *c).unwrap()).collect();
            let chain = Chain::new(&views, SlopeRange::of(&phi).unwrap()).unwrap();
            let options = LipschitzOptions { iterations: 45, ..LipschitzOptions::default() };
            let bounds = lipschitz(&chain, &options);
            if let Some(s) = sampled(&chain, &phi, 7, seed) {
                // 1e-12: rounding of a product of at most six layers of width six
                for b in &bounds.all {
                    prop_assert!(s.largest.ln() <= b.value.ln() + 1e-12, "{}: {} > {}", b.name, s.largest.ln(), b.value.ln());
                }
            }
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 1);
            for _ in 0..5 {
                let x: Vec<f64> = (0..widths[0]).map(|_| rng.sample(StandardNormal)).collect();
                let y: Vec<f64> = x.iter().map(|v| v + 0.1 * rng.sample::<f64, _>(StandardNormal)).collect();
                let f = |x: &[f64]| {
                    let mut x = x.to_vec();
                    for (k, (w, r, c)) in drawn.iter().enumerate() {
                        let h: Vec<f64> = (0..*r).map(|i| (0..*c).map(|j| w[i * c + j] * x[j]).sum()).collect();
                        x = if k + 1 == drawn.len() { h } else { h.iter().map(|v| phi.value(*v)).collect() };
                    }
                    x
                };
                let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                let (fx, fy) = (f(&x), f(&y));
                let size = fx.iter().chain(&fy).fold(0.0f64, |m, v| m.max(v.abs()));
                let naive = bounds.all[0].value.ln().exp();
                let slack = 1e-14 * (size + naive * 10.0);
                let allowed = bounds.best.value.ln().exp() * distance(&x, &y);
                prop_assert!(distance(&fx, &fy) <= allowed + slack);
            }
        }
    }

    #[test]
    fn the_norm_at_a_point_is_attained_by_a_single_path() {
        // one unit a layer: the Jacobian is a number
        let drawn = [(vec![2.0], 1, 1), (vec![-3.0], 1, 1), (vec![0.5], 1, 1)];
        let views: Vec<MatrixRef<'_>> = drawn
            .iter()
            .map(|(x, r, c)| MatrixRef::row_major(x, *r, *c).unwrap())
            .collect();
        let chain = Chain::new(&views, SlopeRange::new(0.0, 1.0).unwrap()).unwrap();
        let at = |x: f64, phi: &Activation| ln_norm_at(&chain, phi, &[x], vec![1.0]);
        assert!((at(1.0, &Activation::Linear).unwrap() - 3f64.ln()).abs() < 1e-14);
        // relu: the second layer is dead on one side, the first on the other
        assert_eq!(at(1.0, &Activation::Relu), None);
        assert_eq!(at(-1.0, &Activation::Relu), None);
    }
}
