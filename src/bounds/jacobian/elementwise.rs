//! Layers that act on single entries or average them: activations, dropout, pooling, embeddings.

use super::{JacobianError, checked};
use crate::linalg::norms;
use crate::linalg::view::{MatrixRef, NonFinite};
use crate::network::activation::Activation;
use crate::scale::Enclosure;

/// Slopes of an activation at its pre-activations: `D` of `D W`; the norm is their largest absolute value.
///
/// # Errors
///
/// Empty input, NaN or infinities.
pub fn activation(phi: &Activation, h: &[f64]) -> Result<Vec<f64>, JacobianError> {
    checked("pre-activations", h)?;
    Ok(h.iter().map(|x| phi.derivative(*x)).collect())
}

/// Certified norm of `D W` for given slopes.
///
/// # Errors
///
/// NaN or infinite entries of the product.
///
/// # Panics
///
/// Unless there is one slope for each row.
pub fn dense(slopes: &[f64], w: &MatrixRef<'_>) -> Result<DenseNorm, NonFinite> {
    assert_eq!(slopes.len(), w.rows(), "one slope for each row");
    let (m, n) = (w.rows(), w.cols());
    let entries: Vec<f64> = (0..m * n)
        .map(|e| slopes[e / n] * w.get(e / n, e % n).0)
        .collect();
    let exact = (0..m * n).all(|e| {
        let (d, x) = (slopes[e / n], w.get(e / n, e % n).0);
        d == 0.0 || d == 1.0 || d == -1.0 || x == 0.0
    });
    let Some(view) = MatrixRef::row_major(&entries, m, n).ok() else {
        return Err(NonFinite {
            row: 0,
            col: 0,
            value: f64::NAN,
        });
    };
    Ok(DenseNorm {
        enclosure: norms::two(&view)?,
        exact_product: exact,
    })
}

/// The norm of `D W`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseNorm {
    /// Enclosure of the norm of the product as rounded.
    pub enclosure: Enclosure,
    /// Whether the product is exact (slopes 0 and 1): otherwise each entry carries one rounding, which moves the
    /// norm by `2^-53 |D W|_F` at most.
    pub exact_product: bool,
}

/// Norm of inverted dropout with a given mask: `1 / keep` unless everything is dropped.
pub fn dropout(mask: &[bool], keep: f64) -> f64 {
    match mask.iter().any(|m| *m) {
        true => 1.0 / keep,
        false => 0.0,
    }
}

/// Norm of average pooling over windows of `size` with `stride >= size` (no overlap): `1/sqrt(size)`, exactly. Of
/// overlapping windows, `ceil(size/stride)` of which share an entry, at most `sqrt(ceil(size/stride) / size)`.
/// Theorem: pooling-norms.
pub fn average_pooling(size: usize, stride: usize) -> f64 {
    (overlaps(size, stride) / size.max(1) as f64).sqrt()
}

/// Bound of max pooling's Jacobian: each output copies one input, and an input serves at most
/// `ceil(size/stride)` windows (per dimension: multiply): 1 without overlap. Theorem: pooling-norms.
pub fn max_pooling(size: usize, stride: usize) -> f64 {
    overlaps(size, stride).sqrt()
}

fn overlaps(size: usize, stride: usize) -> f64 {
    size.max(1).div_ceil(stride.max(1)) as f64
}

/// Norm of an embedding's Jacobian with respect to its table, for the tokens of a batch: rows are copied, so it
/// is the root of the largest number of times that one token occurs.
pub fn embedding(tokens: &[usize]) -> f64 {
    let mut counts = std::collections::HashMap::new();
    for t in tokens {
        *counts.entry(t).or_insert(0usize) += 1;
    }
    (counts.values().copied().max().unwrap_or(0) as f64).sqrt()
}
