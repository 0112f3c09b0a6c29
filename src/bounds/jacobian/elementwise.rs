//! Layers that act on single entries or average them: activations, dropout, pooling, embeddings. Norms are exact
//! unless windows of pooling overlap.
//!
//! ```
//! use isometer::bounds::jacobian::elementwise::{activation, average_pooling, dropout};
//! use isometer::network::activation::Activation;
//!
//! assert_eq!(activation(&Activation::Relu, &[-2.0, 3.0]).unwrap(), [0.0, 1.0]);
//! assert_eq!((dropout(&[true, false], 0.5), average_pooling(4, 4)), (2.0, 0.5));
//! ```

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
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::elementwise::activation;
/// use isometer::network::activation::Activation;
/// assert_eq!(activation(&Activation::Relu, &[-1.0, 2.0]).unwrap(), [0.0, 1.0]);
/// ```
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
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::elementwise::dense;
/// use isometer::linalg::view::MatrixRef;
/// let w = MatrixRef::row_major(&[9.0, 9.0, 3.0, 4.0], 2, 2).unwrap();
/// let n = dense(&[0.0, 1.0], &w).unwrap(); // the first unit is off
/// assert!(n.exact_product && (n.enclosure.to_linear().unwrap().0 - 5.0).abs() < 1e-12);
/// ```
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
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::elementwise::dropout;
/// assert_eq!((dropout(&[true, false], 0.5), dropout(&[false, false], 0.5)), (2.0, 0.0));
/// ```
pub fn dropout(mask: &[bool], keep: f64) -> f64 {
    match mask.iter().any(|m| *m) {
        true => 1.0 / keep,
        false => 0.0,
    }
}

/// Norm of average pooling over windows of `size` with `stride >= size` (no overlap): `1/sqrt(size)`, exactly. Of
/// overlapping windows, `ceil(size/stride)` of which share an entry, at most `sqrt(ceil(size/stride) / size)`.
/// Theorem: pooling-norms.
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::elementwise::average_pooling;
/// assert_eq!(average_pooling(4, 4), 0.5);
/// ```
pub fn average_pooling(size: usize, stride: usize) -> f64 {
    (overlaps(size, stride) / size.max(1) as f64).sqrt()
}

/// Bound of max pooling's Jacobian: each output copies one input, and an input serves at most
/// `ceil(size/stride)` windows (per dimension: multiply): 1 without overlap. Theorem: pooling-norms.
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::elementwise::max_pooling;
/// assert_eq!(max_pooling(2, 2), 1.0);
/// assert!((max_pooling(3, 2) - 2f64.sqrt()).abs() < 1e-15); // two windows share an entry
/// ```
pub fn max_pooling(size: usize, stride: usize) -> f64 {
    overlaps(size, stride).sqrt()
}

fn overlaps(size: usize, stride: usize) -> f64 {
    size.max(1).div_ceil(stride.max(1)) as f64
}

/// Norm of an embedding's Jacobian with respect to its table, for the tokens of a batch: rows are copied, so it
/// is the root of the largest number of times that one token occurs.
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::elementwise::embedding;
/// assert_eq!(embedding(&[7, 3, 7, 7, 7]), 2.0); // token 7 four times
/// ```
pub fn embedding(tokens: &[usize]) -> f64 {
    let mut counts = std::collections::HashMap::new();
    for t in tokens {
        *counts.entry(t).or_insert(0usize) += 1;
    }
    (counts.values().copied().max().unwrap_or(0) as f64).sqrt()
}
