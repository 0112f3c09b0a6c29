//! Measures of networks drawn whole, matrix by matrix: any model, `O(n^2)` numbers for each layer.

use super::draw::DrawError;
use super::measure::{Quantity, Sampler};
use super::mlp::Mlp;
use super::random::{Purpose, Stream, stream};
use super::scaled::Scaled;
use crate::network::{BatchSize, Model, Normalization};
use rand_distr::{Distribution, StandardNormal};

/// The sampler of whole networks. Batches have independent inputs; sums of squares then run over
/// the examples, and the cotangent of each output is a standard normal number.
#[derive(Clone, Debug)]
pub struct Matrices {
    model: Model,
    seed: u64,
    batch: Option<usize>,
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
        let batch = match model.normalization {
            Normalization::Batch {
                size: BatchSize::Finite(size),
            } => Some(size),
            _ => None,
        };
        let mut quantities = match batch {
            // signals and gradients of one example are no quantity of their own
            Some(_) => Vec::new(),
            None => Quantity::of_depth(model.depth()),
        };
        if model.depth() > 1 {
            quantities.push(Quantity::Growth);
        }
        Ok(Matrices {
            model: model.clone(),
            seed,
            batch,
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
                    (ln(1) - ln(depth)) / (depth - 1) as f64
                }
            };
        }
    }

    fn batch(&self, mlp: &Mlp, size: usize, rng: &mut Stream, out: &mut [f64]) {
        let n0 = self.model.widths[0];
        let inputs: Vec<Scaled> = (0..size)
            .map(|_| on_sphere(n0, (n0 as f64).sqrt(), rng))
            .collect();
        let trace = mlp.forward_batch(&inputs);
        let cotangents: Vec<Scaled> = (0..size)
            .map(|_| {
                let mut c = vec![0.0; self.model.readout];
                c[0] = StandardNormal.sample(rng);
                Scaled::new(c)
            })
            .collect();
        let gradients = trace.backward_batch(&cotangents);
        let ln = |l: usize| {
            let terms = gradients.deltas(l).iter().map(Scaled::ln_square);
            ln_sum(&terms.collect::<Vec<_>>())
        };
        let (low, high) = middle(self.model.depth());
        for place in out {
            *place = (ln(low) - ln(high)) / (high - low) as f64;
        }
    }
}

const LN_2: f64 = std::f64::consts::LN_2;

/// The layers between which batches grow as at their fixed point: the middle half, away from
/// how inputs and cotangents start.
fn middle(depth: usize) -> (usize, usize) {
    let low = depth.div_ceil(4).max(1);
    (low, (3 * depth / 4).max(low + 1))
}

/// `ln` of a sum of numbers given by their logarithms.
fn ln_sum(terms: &[f64]) -> f64 {
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + terms.iter().map(|t| (t - top).exp()).sum::<f64>().ln()
}

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
        match (Mlp::draw(&self.model, self.seed, index), self.batch) {
            (Ok(mlp), None) => self.single(&mlp, rng, out),
            (Ok(mlp), Some(size)) => self.batch(&mlp, size, rng, out),
            // not reached after `new`; comparisons refuse what is not a number
            (Err(_), _) => out.fill(f64::NAN),
        }
    }
}
