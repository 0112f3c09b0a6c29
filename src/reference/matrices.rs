//! Measures of networks drawn whole, matrix by matrix: any model, `O(n^2)` numbers for each layer.
//!
//! [`Deferred`](crate::reference::deferred::Deferred) is quicker where it applies; the two have the same law.

use super::draw::DrawError;
use super::measure::{Quantity, Sampler};
use super::mlp::Mlp;
use super::random::{Purpose, Stream, stream};
use super::scaled::Scaled;
use crate::network::{Model, Normalization};
use rand_distr::{Distribution, StandardNormal};

/// The sampler of whole networks. Nothing is measured of networks that normalize over batches: their signals
/// and gradients have a law of their own only where the batch has reached its fixed point.
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::reference::{matrices::Matrices, measure::{Quantity, Sampler}};
/// let mut model = Model::new(vec![6; 4], Activation::Linear);
/// model.weights = "orthogonal".parse().unwrap();
/// let sampler = Matrices::new(&model, 1).unwrap();
/// let mut out = vec![0.0; sampler.quantities().len()];
/// sampler.sample(0, &mut out);
/// let at = sampler.quantities().iter().position(|q| *q == Quantity::Jvp).unwrap();
/// assert!(out[at].abs() < 1e-12); // rotations keep lengths: ln 1
/// ```
#[derive(Clone, Debug)]
pub struct Matrices {
    model: Model,
    seed: u64,
    quantities: Vec<Quantity>,
}

impl Matrices {
    /// A sampler of the networks of `model`.
    ///
    /// # Errors
    /// A model of which no network can be drawn.
    pub fn new(model: &Model, seed: u64) -> Result<Matrices, DrawError> {
        // whether it can be drawn is the same for all samples
        Mlp::draw(model, seed, 0)?;
        let mut quantities = Vec::new();
        if !matches!(model.normalization, Normalization::Batch { .. }) {
            quantities = Quantity::of_depth(model.depth());
            if model.depth() > 2 {
                quantities.push(Quantity::Growth);
            }
        }
        Ok(Matrices {
            model: model.clone(),
            seed,
            quantities,
        })
    }

    fn single(&self, mlp: &Mlp, rng: &mut Stream, out: &mut [f64]) {
        let n0 = self.model.widths[0];
        let depth = self.model.depth();
        let x = on_sphere(n0, (n0 as f64).sqrt(), rng);
        let u = on_sphere(n0, 1.0, rng);
        let trace = mlp.forward(&x);
        let mut cotangent = vec![0.0; self.model.readout];
        cotangent[0] = 1.0;
        let gradients = trace.backward(&Scaled::new(cotangent));
        for (place, quantity) in out.iter_mut().zip(&self.quantities) {
            *place = match *quantity {
                Quantity::Forward => trace.activation(depth).ln_square() - x.ln_square(),
                Quantity::Jvp => trace.jvp(&u).ln_square(),
                Quantity::InputGradient => gradients.input().ln_square(),
                Quantity::InputGradientElement => {
                    let g = gradients.input();
                    2.0 * (g.values()[0].abs().ln() + LN_2 * g.exponent() as f64)
                }
                Quantity::WeightGradient(l) => gradients.ln_weight_square(l),
                Quantity::Growth => {
                    let ln = |l| gradients.delta(l).ln_square();
                    (ln(2) - ln(depth)) / (depth - 2) as f64
                }
            };
        }
    }
}

const LN_2: f64 = std::f64::consts::LN_2;

fn on_sphere(n: usize, radius: f64, rng: &mut Stream) -> Scaled {
    let values: Vec<f64> = (0..n).map(|_| StandardNormal.sample(rng)).collect();
    let square: f64 = values.iter().map(|x: &f64| x * x).sum();
    Scaled::new(values).times(radius / square.sqrt())
}

impl Sampler for Matrices {
    fn quantities(&self) -> &[Quantity] {
        &self.quantities
    }

    fn sample(&self, index: u64, out: &mut [f64]) {
        let rng = &mut stream(self.seed, index, Purpose::Probe);
        match Mlp::draw(&self.model, self.seed, index) {
            Ok(mlp) => self.single(&mlp, rng, out),
            // not reached after `new`; comparisons refuse what is not a number
            Err(_) => out.fill(f64::NAN),
        }
    }
}
