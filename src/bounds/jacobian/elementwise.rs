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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::singular::singular_values;

    fn norm(m: &[f64], rows: usize, cols: usize) -> f64 {
        let s = singular_values(&MatrixRef::row_major(m, rows, cols).unwrap()).unwrap();
        s.values[0] * 2f64.powi(s.exponent as i32)
    }

    /// Theorem: pooling-norms, against explicit matrices.
    #[test]
    fn pooling_is_bounded_and_attained() {
        for size in 1..6usize {
            for stride in 1..6usize {
                let outputs = 7;
                let inputs = (outputs - 1) * stride + size;
                let mut average = vec![0.0; outputs * inputs];
                let mut maximum = vec![0.0; outputs * inputs];
                for o in 0..outputs {
                    for k in 0..size {
                        average[o * inputs + o * stride + k] = 1.0 / size as f64;
                    }
                    // all windows that contain an input choose the last they can share
                    let last = o * stride + size - 1;
                    let shared = last - last % stride.max(1).min(size);
                    let pick = shared.clamp(o * stride, last);
                    maximum[o * inputs + pick] = 1.0;
                }
                let (a, m) = (
                    norm(&average, outputs, inputs),
                    norm(&maximum, outputs, inputs),
                );
                let (bound_a, bound_m) = (average_pooling(size, stride), max_pooling(size, stride));
                assert!(
                    a <= bound_a + 1e-14 && m <= bound_m + 1e-14,
                    "{size} {stride}"
                );
                if stride >= size {
                    assert!((a - bound_a).abs() < 1e-14 && (m - bound_m).abs() < 1e-14);
                }
            }
        }
        assert!(
            average_pooling(4, 4) < 0.51,
            "a wrong power would be noticed"
        );
    }

    #[test]
    fn slopes_masks_and_tables() {
        let d = activation(&Activation::Relu, &[1.0, -1.0]).unwrap();
        assert_eq!(d, [1.0, 0.0]);
        let w = [3.0, 4.0, 30.0, 40.0];
        let n = dense(&d, &MatrixRef::row_major(&w, 2, 2).unwrap()).unwrap();
        assert!(n.exact_product);
        let (value, lo, hi) = n.enclosure.to_linear().unwrap();
        assert!(lo <= 5.0 && 5.0 <= hi && (value - 5.0).abs() < 1e-14);
        assert_eq!(dropout(&[true, false], 0.5), 2.0);
        assert_eq!(dropout(&[false, false], 0.5), 0.0);
        assert_eq!(embedding(&[3, 5, 3, 3, 3]), 2.0);
        assert_eq!(embedding(&[]), 0.0);
        assert!(activation(&Activation::Relu, &[f64::NAN]).is_err());
    }
}
