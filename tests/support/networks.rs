//! Small networks with integer weights: every forward and backward pass is exact.

use isometer::network::activation::Activation;
use isometer::reference::{Architecture, Dense, Gradients, Mlp, Scaled};
use proptest::prelude::*;
use proptest::sample::select;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A network as proptest draws it: widths from input to last hidden layer, one output.
#[derive(Clone, Debug)]
pub struct Net {
    pub widths: Vec<usize>,
    /// Slope below zero; 1 above.
    pub slope: f64,
    pub seed: u64,
}

/// Slopes whose multiples are exact.
const SLOPES: [f64; 4] = [0.0, 0.25, -1.0, 1.0];

pub fn nets() -> impl Strategy<Value = Net> {
    (
        prop::collection::vec(1..=4usize, 2..=5),
        select(&SLOPES[..]),
        any::<u64>(),
    )
        .prop_map(|(widths, slope, seed)| Net {
            widths,
            slope,
            seed,
        })
}

impl Net {
    /// Matrices, the readout included.
    pub fn matrices(&self) -> usize {
        self.widths.len()
    }

    pub fn activation(&self) -> Activation {
        Activation::LeakyRelu { slope: self.slope }
    }

    /// Integer weights of size 1 to 3; all positive if so wished.
    pub fn dense(&self, positive: bool) -> Vec<Dense> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut widths = self.widths.clone();
        widths.push(1);
        widths
            .windows(2)
            .map(|w| {
                let entries = (0..w[0] * w[1])
                    .map(|_| {
                        let x = f64::from(rng.random_range(1..=3i32));
                        if positive || rng.random_bool(0.5) {
                            x
                        } else {
                            -x
                        }
                    })
                    .collect();
                Dense::new(w[1], w[0], entries)
            })
            .collect()
    }

    pub fn mlp(&self) -> Mlp {
        build(self.dense(false), self.activation())
    }

    /// Integers from 1 to 4 with random signs.
    pub fn input(&self) -> Scaled {
        probe(self.widths[0], self.seed ^ 0xa5)
    }
}

pub fn build(layers: Vec<Dense>, activation: Activation) -> Mlp {
    Mlp::from_layers(layers, Architecture::new(activation)).expect("layers that fit")
}

/// Integers from 1 to 4 with random signs.
pub fn probe(n: usize, seed: u64) -> Scaled {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let entry = |_| {
        let x = f64::from(rng.random_range(1..=4i32));
        if rng.random_bool(0.5) { x } else { -x }
    };
    Scaled::new((0..n).map(entry).collect())
}

/// The layer with its entries multiplied; `multiplier` says whether outside what is stored.
pub fn multiplied(layer: &Dense, alpha: f64, multiplier: bool) -> Dense {
    let weights = layer.weights.iter().map(|w| alpha * w).collect();
    let scaled = Dense::new(layer.rows, layer.cols, weights);
    if multiplier {
        scaled.with_multiplier(alpha)
    } else {
        scaled
    }
}

/// `m 2^e` in the range of `f64`.
pub fn number((m, e): (f64, i64)) -> f64 {
    m * 2f64.powi(e as i32)
}

/// Output and all gradients of `y` at an input.
pub fn backward<T>(mlp: &Mlp, x: &Scaled, f: impl FnOnce(f64, &Gradients<'_>) -> T) -> T {
    let trace = mlp.forward(x);
    let y = trace.output().get(0);
    f(y, &trace.backward(&Scaled::new(vec![1.0])))
}
