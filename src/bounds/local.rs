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
