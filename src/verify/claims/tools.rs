//! What several computations share.

use super::ClaimError;
use crate::linalg::view::MatrixRef;
use crate::network::activation::Activation;
use crate::network::{Model, WeightInit};
use crate::reference::random::{Purpose, stream};
use crate::reference::{Mlp, Scaled};
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::LN_10;

/// The seed of every claim: evidence is reproducible.
pub const SEED: u64 = 20;

/// Standard normal numbers, the same for the same purpose.
pub fn normals(count: usize, purpose: u32) -> Vec<f64> {
    let mut random = stream(SEED, 0, Purpose::Other(purpose));
    (0..count)
        .map(|_| StandardNormal.sample(&mut random))
        .collect()
}

/// A network of equal widths with Gaussian weights of variance `sigma_w2 / fan_in`.
pub fn network(depth: usize, width: usize, activation: Activation, sigma_w2: f64) -> Model {
    let mut model = Model::new(vec![width; depth + 1], activation);
    model.weights = WeightInit::gaussian(sigma_w2);
    model
}

/// Input of mean square about 1.
pub fn input(width: usize) -> Scaled {
    Scaled::new(normals(width, 1))
}

/// `log10 |dy/dx|` of a drawn network.
pub fn log10_input_gradient(model: &Model, sample: u64) -> Result<f64, ClaimError> {
    let mlp = Mlp::draw(model, SEED, sample)?;
    let trace = mlp.forward(&input(model.widths[0]));
    let gradients = trace.backward(&Scaled::new(vec![1.0]));
    Ok(0.5 * gradients.input().ln_square() / LN_10)
}

/// `ln` of the norms of the gradients with respect to stored weights, layer by layer, readout included.
pub fn ln_weight_gradients(model: &Model, sample: u64) -> Result<Vec<f64>, ClaimError> {
    let mlp = Mlp::draw(model, SEED, sample)?;
    let trace = mlp.forward(&input(model.widths[0]));
    let gradients = trace.backward(&Scaled::new(vec![1.0]));
    Ok((1..=model.depth() + 1)
        .map(|l| 0.5 * gradients.ln_weight_square(l))
        .collect())
}

pub fn matrix(entries: &[f64], rows: usize, cols: usize) -> Result<MatrixRef<'_>, ClaimError> {
    Ok(MatrixRef::row_major(entries, rows, cols)?)
}

/// `A B` of square matrices, row after row.
pub fn times(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    (0..n * n)
        .map(|k| (0..n).map(|l| a[k / n * n + l] * b[l * n + k % n]).sum())
        .collect()
}

/// Median; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => f64::NAN,
        _ if n.is_multiple_of(2) => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
        _ => sorted[n / 2],
    }
}

/// Levenshtein distance.
pub fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
