//! Measures of a random network without drawing its matrices.
//!
//! A forward and a backward pass meet a layer only through `W x` and `W^T v`. For Gaussian and for Haar
//! weights the law of the second given the first is known in closed form, so that both are drawn
//! when they are needed: `O(n)` numbers for each layer instead of `O(n^2)`, for any activation, bias and
//! dropout, with the joint law of all norms (theorem: deferred-decisions). No prediction is used.
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//! use isometer::reference::{deferred::Deferred, measure::{Quantity, Sampler}};
//!
//! // Haar layers of width 100,000: 10^10 numbers each, of which none is drawn
//! let mut model = Model::new(vec![100_000; 3], Activation::Linear);
//! model.weights = "orthogonal".parse().unwrap();
//! let sampler = Deferred::new(&model, 1).unwrap();
//! let mut out = vec![0.0; sampler.quantities().len()];
//! sampler.sample(0, &mut out);
//! let at = sampler.quantities().iter().position(|q| *q == Quantity::Jvp).unwrap();
//! assert!(out[at].abs() < 1e-9); // a rotation keeps lengths
//! ```

mod layer;
#[cfg(test)]
mod tests;

use super::measure::{Quantity, Sampler};
use super::random::{Purpose, Stream, stream};
use crate::network::activation::Activation;
use crate::network::{BiasLaw, Model, Normalization};
use layer::{DeferredLayer, Vector, gaussian};
use rand::RngExt;

/// Stream of the draws, apart from those of the matrices.
const PURPOSE: Purpose = Purpose::Other(1);

/// Why a model needs its matrices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeferredError {
    /// The weights of a layer are neither Gaussian nor Haar.
    #[error("layer {layer}: only independent Gaussian and Haar weights can be deferred")]
    Weights {
        /// The layer, from 1.
        layer: usize,
    },
    /// Something meets the matrices more than once each way.
    #[error("{what}: matrices are met in more than one direction")]
    Structure {
        /// What does.
        what: &'static str,
    },
}

/// The sampler of deferred decisions.
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::reference::{deferred::Deferred, measure::Sampler};
/// let sampler = Deferred::new(&Model::new(vec![1000; 3], Activation::Relu), 1).unwrap();
/// let mut a = vec![0.0; sampler.quantities().len()];
/// let mut b = a.clone();
/// sampler.sample(5, &mut a); // O(n) numbers a layer, not O(n^2)
/// sampler.sample(5, &mut b);
/// assert!(a == b && a[0].is_finite());
/// ```
#[derive(Clone, Debug)]
pub struct Deferred {
    widths: Vec<usize>,
    layers: Vec<DeferredLayer>,
    biases: Vec<BiasLaw>,
    ln_stored: Vec<f64>,
    activation: Activation,
    keep: f64,
    seed: u64,
    quantities: Vec<Quantity>,
}

/// What the backward pass needs of a layer: `x_(l-1)`, `W_l x_(l-1)`, the slopes.
struct Kept {
    input: Vector,
    image: Vector,
    /// Squared length of the part of `O x` that a wide Haar matrix cuts off, in units of `image`.
    rest: f64,
    slopes: Vec<f64>,
}

impl Deferred {
    /// A sampler of the networks of `model`.
    ///
    /// # Errors
    /// [`DeferredError`] for models that need matrices.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, activation::Activation};
    /// use isometer::reference::deferred::{Deferred, DeferredError};
    /// let mut model = Model::new(vec![64; 5], Activation::Tanh);
    /// assert!(Deferred::new(&model, 1).is_ok());
    /// model.weights = "kaiming_uniform".parse().unwrap(); // neither Gaussian nor Haar
    /// assert!(matches!(Deferred::new(&model, 1), Err(DeferredError::Weights { layer: 1 })));
    /// ```
    pub fn new(model: &Model, seed: u64) -> Result<Deferred, DeferredError> {
        let structure = |what| Err(DeferredError::Structure { what });
        if model.normalization != Normalization::None {
            return structure("normalization");
        }
        if model.residual.is_some() {
            return structure("residual branches");
        }
        if model.tied {
            return structure("tied weights");
        }
        let all: Vec<_> = (1..=model.depth() + 1).map(|l| model.layer(l)).collect();
        let layers = all
            .iter()
            .enumerate()
            .map(|(i, l)| DeferredLayer::new(l).ok_or(DeferredError::Weights { layer: i + 1 }))
            .collect::<Result<_, _>>()?;
        Ok(Deferred {
            widths: model.widths.clone(),
            layers,
            biases: all.iter().map(|l| l.bias).collect(),
            ln_stored: all.iter().map(|l| 2.0 * l.multiplier.abs().ln()).collect(),
            activation: model.activation.clone(),
            keep: model.keep(),
            seed,
            quantities: Quantity::of_depth(model.depth()),
        })
    }

    fn depth(&self) -> usize {
        self.widths.len() - 1
    }

    /// Biases, activation, dropout: `x_l` from `h = image`, its slopes, all in place of `h`.
    fn activate(&self, l: usize, mut h: Vector, rng: &mut Stream) -> (Vector, Vec<f64>) {
        let bias = self.biases[l - 1];
        if bias != BiasLaw::Zero {
            // the true scale, or a larger one: what underflows is nothing beside the bias
            h.rescale(h.exponent.max(0));
            let unit = (-(h.exponent.min(1000) as f64)).exp2();
            for value in &mut h.values {
                *value += unit * draw_bias(bias, rng);
            }
        }
        let homogeneous = self.activation.slopes();
        let small = self.activation.value(0.0) == 0.0 && h.is_below(-500);
        let slopes: Vec<f64> = match homogeneous {
            Some((below, above)) => h
                .values
                .iter()
                .map(|x| if *x > 0.0 { above } else { below })
                .collect(),
            // so close to 0 that the activation is its tangent
            None if small => h
                .values
                .iter()
                .map(|x| self.activation.derivative(x.signum() * 1e-300))
                .collect(),
            None => {
                h.rescale(0);
                h.values
                    .iter()
                    .map(|x| self.activation.derivative(*x))
                    .collect()
            }
        };
        let linear = homogeneous.is_some() || small;
        for (x, d) in h.values.iter_mut().zip(&slopes) {
            *x = if linear {
                *x * d
            } else {
                self.activation.value(*x)
            };
        }
        let mut slopes = slopes;
        if self.keep < 1.0 {
            for (x, d) in h.values.iter_mut().zip(&mut slopes) {
                let mask = if rng.random::<f64>() < self.keep {
                    1.0 / self.keep
                } else {
                    0.0
                };
                *x *= mask;
                *d *= mask;
            }
        }
        h.normalise();
        (h, slopes)
    }
}

fn draw_bias(law: BiasLaw, rng: &mut Stream) -> f64 {
    match law {
        BiasLaw::Zero => 0.0,
        BiasLaw::Constant(c) => c,
        BiasLaw::Gaussian { variance } => variance.sqrt() * gaussian(rng),
        BiasLaw::Uniform { variance } => (12.0 * variance).sqrt() * (rng.random::<f64>() - 0.5),
    }
}

impl Sampler for Deferred {
    fn quantities(&self) -> &[Quantity] {
        &self.quantities
    }

    fn sample(&self, index: u64, out: &mut [f64]) {
        let depth = self.depth();
        let rng = &mut stream(self.seed, index, PURPOSE);
        let n0 = self.widths[0];
        let mut x = Vector::on_sphere(n0, (n0 as f64).sqrt(), rng);
        let mut u = Vector::on_sphere(n0, 1.0, rng);
        let ln_input = (n0 as f64).ln();
        let mut kept = Vec::with_capacity(depth);
        for l in 1..=depth {
            let layer = &self.layers[l - 1];
            let (image, rest) = layer.forward(&x, rng);
            let mut tangent = layer.second(&x, &image, rest, &u, rng);
            let (next, slopes) = self.activate(l, image.clone(), rng);
            tangent.multiply(&slopes);
            tangent.normalise();
            u = tangent;
            kept.push(Kept {
                input: std::mem::replace(&mut x, next),
                image,
                rest,
                slopes,
            });
        }
        let forward = x.ln_square() - ln_input;
        let jvp = u.ln_square();
        // ln |dy/dW_l|^2 by layer, filled from the readout down
        let mut weights = vec![f64::NEG_INFINITY; depth + 1];
        weights[depth] = x.ln_square() + self.ln_stored[depth];
        let mut v = self.layers[depth].row(rng);
        for (l, layer) in kept.iter().enumerate().rev() {
            v.multiply(&layer.slopes);
            v.normalise();
            weights[l] = product(v.ln_square(), layer.input.ln_square()) + self.ln_stored[l];
            v = self.layers[l].backward(&layer.input, &layer.image, layer.rest, &v, rng);
            v.normalise();
        }
        for (place, quantity) in out.iter_mut().zip(&self.quantities) {
            *place = match *quantity {
                Quantity::Forward => forward,
                Quantity::Jvp => jvp,
                Quantity::InputGradient => v.ln_square(),
                Quantity::InputGradientElement => v.ln_element(0),
                Quantity::WeightGradient(l) => weights[l - 1],
                Quantity::Growth => f64::NAN,
            };
        }
    }
}

/// Log of a product of two squares, 0 if one of them is.
fn product(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else {
        a + b
    }
}
