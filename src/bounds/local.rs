//! Lower bounds of a Lipschitz constant: norms of the Jacobian at points.
//!
//! *How steep is the network where it is used?* Every `|J(x)|` is a lower bound of the Lipschitz constant.
//! [`Network::sampled`] looks at random points by the power method (estimates), [`norm_at`] computes one exactly up
//! to rounding.
//!
//! ```
//! use isometer::bounds::{chain::Chain, local::norm_at, slope::SlopeRange};
//! use isometer::linalg::view::MatrixRef;
//! use isometer::network::activation::Activation;
//!
//! // y = 5 tanh(3 x): slope 15 at 0, 15 (1 - tanh(3)^2) at 1
//! let layers = [MatrixRef::row_major(&[3.0], 1, 1).unwrap(), MatrixRef::row_major(&[5.0], 1, 1).unwrap()];
//! let phi = Activation::Tanh;
//! let chain = Chain::new(&layers, SlopeRange::of(&phi).unwrap()).unwrap();
//! let slope = |x: f64| norm_at(&chain, &[], &phi, &[x]).unwrap().unwrap().to_linear().unwrap();
//! assert!((slope(0.0) - 15.0).abs() < 1e-12);
//! assert!((slope(1.0) - 15.0 * (1.0 - 3f64.tanh().powi(2))).abs() < 1e-12);
//! ```

use super::affine::{Affine, DenseMap};
use super::chain::{Chain, ChainError};
use crate::linalg::dense::{self, Matrix};
use crate::linalg::product::{MatrixChain, ProductOptions, spectrum};
use crate::linalg::view::MatrixRef;
use crate::network::activation::Activation;
use crate::scale::LogScale;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Iterations of the power method at one point.
pub(in crate::bounds) const ITERATIONS: usize = 40;

/// Layers with an activation between them, ready to be evaluated: `x_k = phi(W_k x_(k-1) + b_k)`, or with a branch
/// `x_k = x_(k-1) + beta (W_k phi(x_(k-1)) + b_k)`; nothing follows the last layer, `W x + b`.
///
/// # Examples
/// ```
/// use isometer::bounds::{chain::Chain, local::Network, slope::SlopeRange};
/// use isometer::linalg::view::MatrixRef;
/// use isometer::network::activation::Activation;
/// let layers = [MatrixRef::row_major(&[3.0, 0.0, 0.0, 1.0], 2, 2).unwrap(); 2];
/// let chain = Chain::new(&layers, SlopeRange::IDENTITY).unwrap();
/// let net = Network::of_chain(&chain, &[], &Activation::Linear).unwrap();
/// let found = net.sampled(4, 50, 1).unwrap();
/// assert!((found.largest.to_linear().unwrap() - 9.0).abs() < 1e-6);
/// ```
pub struct Network<'a> {
    layers: Vec<Affine<'a>>,
    phi: &'a Activation,
    beta: Option<f64>,
}

/// The largest norm of the Jacobian found at Gaussian points.
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

impl<'a> Network<'a> {
    /// From layers that fit each other.
    pub fn new(layers: Vec<Affine<'a>>, phi: &'a Activation) -> Network<'a> {
        Network {
            layers,
            phi,
            beta: None,
        }
    }

    /// From a chain and the biases of its layers (none at all, or an entry for each layer).
    ///
    /// # Errors
    ///
    /// A bias that does not fit its layer or is not finite.
    pub fn of_chain(
        chain: &'a Chain,
        biases: &[Option<Vec<f64>>],
        phi: &'a Activation,
    ) -> Result<Network<'a>, ChainError> {
        let mut layers = Vec::with_capacity(chain.depth());
        for (k, (w, e)) in chain.weights.iter().zip(&chain.exponents).enumerate() {
            let bias = biases.get(k).cloned().flatten();
            check_bias(k + 1, w.nrows(), bias.as_deref())?;
            layers.push(Affine::new(DenseMap::new(w), *e).with_bias(bias));
        }
        Ok(Network::new(layers, phi))
    }

    /// The same with residual branches around all layers but the last.
    #[must_use]
    pub fn with_branches(mut self, beta: f64) -> Network<'a> {
        self.beta = Some(beta);
        self
    }

    /// Length of the input.
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |l| l.map.cols())
    }

    /// Norms of the Jacobian at `points` random inputs; `None` where all vanish.
    pub fn sampled(&self, points: usize, iterations: usize, seed: u64) -> Option<Sampled> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let inputs = self.inputs();
        let mut norms: Vec<f64> = (0..points)
            .map(|k| {
                let scale = 2f64.powi(k as i32 % 7 - 3);
                let x: Vec<f64> = (0..inputs)
                    .map(|_| scale * rng.sample::<f64, _>(StandardNormal))
                    .collect();
                let start: Vec<f64> = (0..inputs).map(|_| rng.sample(StandardNormal)).collect();
                self.ln_norm_at(&x, start, iterations)
                    .unwrap_or(f64::NEG_INFINITY)
            })
            .collect();
        norms.sort_by(f64::total_cmp);
        Some(Sampled {
            largest: LogScale::from_ln(*norms.last()?)?,
            median: LogScale::from_ln(norms[norms.len() / 2])?,
            points,
        })
    }

    /// Slopes of every activation at an input; layers act at their own scale.
    fn slopes(&self, x: &[f64]) -> Option<Vec<Vec<f64>>> {
        let mut x = x.to_vec();
        let mut all = Vec::with_capacity(self.layers.len() - 1);
        for layer in &self.layers[..self.layers.len() - 1] {
            let before = match self.beta {
                None => layer.value(&x),
                Some(_) => x.clone(),
            };
            if !before.iter().all(|v| v.is_finite()) {
                return None;
            }
            all.push(before.iter().map(|v| self.phi.derivative(*v)).collect());
            let active: Vec<f64> = before.iter().map(|v| self.phi.value(*v)).collect();
            match self.beta {
                None => x = active,
                Some(beta) => {
                    let branch = layer.value(&active);
                    x.iter_mut().zip(branch).for_each(|(x, y)| *x += beta * y);
                }
            }
        }
        Some(all)
    }

    /// `ln |J|` at an input by the power method on `J^T J`, every vector brought back to unit size: a lower
    /// bound up to rounding. `None` where an activation overflows or everything vanishes.
    ///
    /// # Panics
    ///
    /// Unless input and start have the length of the input.
    pub fn ln_norm_at(&self, x: &[f64], start: Vec<f64>, iterations: usize) -> Option<f64> {
        let slopes = self.slopes(x)?;
        let mut v = start;
        let mut found = None;
        for _ in 0..iterations {
            unit(&mut v)?;
            let mut ln = 0.0;
            for k in 0..self.layers.len() {
                ln += self.push(k, slopes.get(k), &mut v)?;
            }
            found = Some(ln);
            for k in (0..self.layers.len()).rev() {
                self.pull(k, slopes.get(k), &mut v)?;
            }
        }
        found
    }

    /// A tangent through layer `k`, brought to unit size; the logarithm of what it was stretched by.
    fn push(&self, k: usize, slopes: Option<&Vec<f64>>, v: &mut Vec<f64>) -> Option<f64> {
        let layer = &self.layers[k];
        match (self.beta, slopes) {
            (Some(beta), Some(d)) => {
                let inner: Vec<f64> = v.iter().zip(d).map(|(v, d)| v * d).collect();
                let branch = layer.product(&inner);
                add(v, beta, layer.exponent, &branch);
                unit(v)
            }
            _ => {
                *v = layer.product(v);
                times(v, slopes);
                Some(unit(v)? + layer.exponent as f64 * std::f64::consts::LN_2)
            }
        }
    }

    /// A cotangent back through layer `k`.
    fn pull(&self, k: usize, slopes: Option<&Vec<f64>>, v: &mut Vec<f64>) -> Option<f64> {
        let layer = &self.layers[k];
        match (self.beta, slopes) {
            (Some(beta), Some(_)) => {
                let mut branch = layer.pulled(v);
                times(&mut branch, slopes);
                add(v, beta, layer.exponent, &branch);
            }
            _ => {
                times(v, slopes);
                *v = layer.pulled(v);
            }
        }
        unit(v)
    }
}

/// Refuses a bias of another length than its layer has outputs, NaN and infinities.
pub(in crate::bounds) fn check_bias(
    layer: usize,
    outputs: usize,
    bias: Option<&[f64]>,
) -> Result<(), ChainError> {
    let Some(bias) = bias else {
        return Ok(());
    };
    if bias.len() != outputs {
        return Err(ChainError::Bias {
            layer,
            entries: bias.len(),
            outputs,
        });
    }
    match bias.iter().position(|b| !b.is_finite()) {
        Some(index) => Err(ChainError::BiasNonFinite {
            layer,
            index,
            value: bias[index],
        }),
        None => Ok(()),
    }
}

/// `|J|` at an input from the singular values of the product of the layers `D_k W_k`, kept as logarithms: exact up to
/// the rounding of that computation. `None` where an activation overflows.
///
/// # Errors
///
/// Biases or an input that do not fit.
///
/// # Examples
/// ```
/// use isometer::bounds::{chain::Chain, local::norm_at, slope::SlopeRange};
/// use isometer::linalg::view::MatrixRef;
/// use isometer::network::activation::Activation;
/// // relu(x - 1): off at 0, on at 2
/// let layers = [MatrixRef::row_major(&[1.0], 1, 1).unwrap(); 2];
/// let chain = Chain::new(&layers, SlopeRange::of(&Activation::Relu).unwrap()).unwrap();
/// let biases = [Some(vec![-1.0]), None];
/// let at = |x: f64| norm_at(&chain, &biases, &Activation::Relu, &[x]).unwrap().unwrap();
/// assert!(at(0.0).is_zero() && (at(2.0).to_linear().unwrap() - 1.0).abs() < 1e-14);
/// ```
pub fn norm_at(
    chain: &Chain,
    biases: &[Option<Vec<f64>>],
    phi: &Activation,
    x: &[f64],
) -> Result<Option<LogScale>, ChainError> {
    let network = Network::of_chain(chain, biases, phi)?;
    check_input(network.inputs(), x)?;
    let Some(slopes) = network.slopes(x) else {
        return Ok(None);
    };
    let layers: Vec<Matrix> = chain
        .weights
        .iter()
        .enumerate()
        .map(|(k, w)| match slopes.get(k) {
            Some(d) => dense::from_fn(w.nrows(), w.ncols(), |i, j| d[i] * w[(i, j)]),
            None => w.clone(),
        })
        .collect();
    let views: Vec<MatrixRef<'_>> = layers
        .iter()
        .map(|w| MatrixRef::from_faer(w.as_ref()))
        .collect();
    let ln = spectrum(&mut MatrixChain::new(&views), &ProductOptions::default())
        .ok()
        .map(|s| s.norm().ln() + chain.exponent() as f64 * std::f64::consts::LN_2);
    Ok(ln.and_then(LogScale::from_ln))
}

/// Refuses an input of another length, NaN and infinities.
pub(in crate::bounds) fn check_input(inputs: usize, x: &[f64]) -> Result<(), ChainError> {
    if x.len() != inputs {
        return Err(ChainError::Input {
            entries: x.len(),
            inputs,
        });
    }
    match x.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(ChainError::InputNonFinite {
            index,
            value: x[index],
        }),
        None => Ok(()),
    }
}

fn times(v: &mut [f64], slopes: Option<&Vec<f64>>) {
    if let Some(d) = slopes {
        v.iter_mut().zip(d).for_each(|(v, d)| *v *= d);
    }
}

fn add(v: &mut [f64], beta: f64, exponent: i64, branch: &[f64]) {
    let factor = crate::scale::ldexp(beta, exponent);
    v.iter_mut().zip(branch).for_each(|(v, b)| *v += factor * b);
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
    use crate::bounds::slope::SlopeRange;

    fn chain(layers: &[(&[f64], usize, usize)]) -> Chain {
        let views: Vec<MatrixRef<'_>> = layers
            .iter()
            .map(|(x, m, n)| MatrixRef::row_major(x, *m, *n).unwrap())
            .collect();
        Chain::new(&views, SlopeRange::new(0.0, 1.0).unwrap()).unwrap()
    }

    /// A bias decides which ReLUs are open: by hand, `J = w_2 D W_1` with one unit closed.
    #[test]
    fn biases_decide_which_units_are_open() {
        let c = chain(&[(&[3.0, 0.0, 0.0, 4.0], 2, 2), (&[1.0, 1.0], 1, 2)]);
        let at = |b: f64| {
            let biases = [Some(vec![0.0, b]), None];
            let x = [1.0, 1.0];
            let exact = norm_at(&c, &biases, &Activation::Relu, &x).unwrap();
            let network = Network::of_chain(&c, &biases, &Activation::Relu).unwrap();
            let power = network.ln_norm_at(&x, vec![1.0, 2.0], 60).unwrap();
            let exact = exact.unwrap().ln();
            assert!((exact - power).abs() < 1e-12, "{exact} {power}");
            exact.exp()
        };
        assert!((at(0.0) - 5.0).abs() < 1e-14);
        assert!((at(-10.0) - 3.0).abs() < 1e-14);
    }

    /// `x + W phi(x)` with all units open and a readout: `|r (I + beta W)|`.
    #[test]
    fn branches_add_the_identity() {
        let c = chain(&[(&[0.0, 1.0, 0.0, 0.0], 2, 2), (&[1.0, 0.0], 1, 2)]);
        let network = Network::of_chain(&c, &[], &Activation::Relu)
            .unwrap()
            .with_branches(2.0);
        let at = |x: &[f64]| network.ln_norm_at(x, vec![0.6, 0.8], 80).unwrap().exp();
        assert!((at(&[1.0, 1.0]) - 5f64.sqrt()).abs() < 1e-14);
        assert!((at(&[1.0, -1.0]) - 1.0).abs() < 1e-14);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let c = chain(&[(&[1.0, 2.0], 1, 2)]);
        let phi = Activation::Relu;
        let long = [Some(vec![1.0, 2.0])];
        let error = norm_at(&c, &long, &phi, &[0.0, 0.0]).unwrap_err();
        assert!(error.to_string().contains("2 entries"), "{error}");
        let error = norm_at(&c, &[Some(vec![f64::NAN])], &phi, &[0.0, 0.0]).unwrap_err();
        assert!(error.to_string().contains("NaN"), "{error}");
        let error = norm_at(&c, &[], &phi, &[0.0]).unwrap_err();
        assert!(error.to_string().contains("1 entries"), "{error}");
        assert!(norm_at(&c, &[], &phi, &[0.0, f64::INFINITY]).is_err());
    }
}
