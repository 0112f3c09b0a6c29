//! Drawing weights and biases from their laws.

use super::random::Stream;
use super::truncated::TruncatedNormal;
use crate::linalg::dense::orthonormal_columns;
use crate::network::{BiasLaw, Layer, WeightKind};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

/// The effective weights of a layer, row after row, into `out`, which is emptied first.
pub(super) fn fill(layer: &Layer, rng: &mut Stream, out: &mut Vec<f64>) {
    let Layer {
        fan_in, fan_out, ..
    } = *layer;
    let mean = layer.weight.mean;
    let std = layer.entry_variance().sqrt();
    let count = fan_in * fan_out;
    out.clear();
    match layer.weight.kind {
        WeightKind::Gaussian => out.extend((0..count).map(|_| {
            let z: f64 = StandardNormal.sample(rng);
            std.mul_add(z, mean)
        })),
        WeightKind::Uniform => {
            let half = 3f64.sqrt() * std;
            out.extend((0..count).map(|_| half.mul_add(2.0 * rng.random::<f64>() - 1.0, mean)));
        }
        WeightKind::TruncatedNormal { lower, upper } => {
            let (mean, std) = layer.weight.uncut(fan_in).unwrap_or((mean, std));
            let law = TruncatedNormal::new(lower, upper);
            out.extend((0..count).map(|_| std.mul_add(law.sample(rng), mean)));
        }
        WeightKind::Orthogonal => {
            haar(fan_out, fan_in, rng, out);
            let scale = layer.singular_value().unwrap_or(std);
            out.iter_mut().for_each(|w| *w *= scale);
        }
        WeightKind::Identity => {
            out.resize(count, 0.0);
            let scale = layer.diagonal().unwrap_or(mean);
            for i in 0..fan_in.min(fan_out) {
                out[i * fan_in + i] = scale;
            }
        }
        WeightKind::Constant => out.resize(count, mean),
        WeightKind::Sparse { density } => {
            out.resize(count, 0.0);
            let kept = (density * fan_out as f64).round() as usize;
            let std = std / density.sqrt();
            let mut rows: Vec<usize> = (0..fan_out).collect();
            for column in 0..fan_in {
                // the first places of a random permutation
                for i in 0..kept {
                    rows.swap(i, rng.random_range(i..fan_out));
                    let z: f64 = StandardNormal.sample(rng);
                    out[rows[i] * fan_in + column] = std.mul_add(z, mean);
                }
            }
        }
    }
}

/// Orthonormal rows or columns, whichever are fewer, Haar distributed; row after row.
fn haar(rows: usize, cols: usize, rng: &mut Stream, out: &mut Vec<f64>) {
    let (long, short) = (rows.max(cols), rows.min(cols));
    let normal: Vec<f64> = (0..long * short)
        .map(|_| StandardNormal.sample(rng))
        .collect();
    let q = orthonormal_columns(&normal, long, short);
    match rows < cols {
        // columns of Q are the rows
        true => out.extend(q),
        false => out.extend((0..rows * cols).map(|k| q[k / cols + k % cols * rows])),
    }
}

/// A bias of `len` entries; `None` if there is none.
pub(super) fn bias(law: BiasLaw, len: usize, rng: &mut Stream) -> Option<Vec<f64>> {
    let std = law.variance().sqrt();
    let draw = |entry: &mut dyn FnMut() -> f64| Some((0..len).map(|_| entry()).collect());
    match law {
        BiasLaw::Zero => None,
        BiasLaw::Constant(c) => Some(vec![c; len]),
        BiasLaw::Gaussian { .. } => draw(&mut || {
            let z: f64 = StandardNormal.sample(rng);
            std * z
        }),
        BiasLaw::Uniform { .. } => {
            draw(&mut || 3f64.sqrt() * std * (2.0 * rng.random::<f64>() - 1.0))
        }
    }
}
