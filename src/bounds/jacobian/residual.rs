//! Residual blocks `I + B`.
//!
//! ```
//! use isometer::bounds::jacobian::residual::residual;
//! use isometer::linalg::view::MatrixRef;
//!
//! let b = residual(&MatrixRef::row_major(&[-0.5, 0.0, 0.0, -0.5], 2, 2).unwrap()).unwrap();
//! assert!((b.lower - 0.5).abs() < 1e-12 && (b.upper - 1.5).abs() < 1e-12);
//! assert!((b.log_norm + 0.5).abs() < 1e-12); // the branch shrinks, so 1.5 is far off
//! assert!((b.upper_by_log_norm - 0.5).abs() < 1e-7);
//! ```

use super::JacobianError;
use crate::linalg::dense::{self, symmetric_eigen};
use crate::linalg::norms;
use crate::linalg::view::MatrixRef;

/// Bounds on the singular values of `I + B` for a square `B`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResidualBounds {
    /// `1 - |B|`, or 0.
    pub lower: f64,
    /// `1 + |B|`.
    pub upper: f64,
    /// `sqrt(1 + 2 mu + |B|^2)` with `mu` the logarithmic norm, the largest eigenvalue of `(B + B^T)/2`: never looser,
    /// and much tighter where `B` turns rather than stretches.
    pub upper_by_log_norm: f64,
    /// `mu`.
    pub log_norm: f64,
}

/// Bounds from the branch's Jacobian `B`. Theorem: residual-block-bounds.
///
/// # Errors
///
/// Not square, or not finite.
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::residual::residual;
/// use isometer::linalg::view::MatrixRef;
/// // a branch that turns by a right angle: I + B has both singular values sqrt 1.25
/// let b = residual(&MatrixRef::row_major(&[0.0, -0.5, 0.5, 0.0], 2, 2).unwrap()).unwrap();
/// assert!((b.lower - 0.5).abs() < 1e-12 && (b.upper - 1.5).abs() < 1e-12);
/// assert!((b.upper_by_log_norm - 1.25f64.sqrt()).abs() < 1e-12);
/// ```
pub fn residual(b: &MatrixRef<'_>) -> Result<ResidualBounds, JacobianError> {
    let n = b.rows();
    if n == 0 {
        return Err(JacobianError::Empty);
    }
    if b.cols() != n {
        return Err(JacobianError::Length {
            what: "columns of a residual branch",
            given: b.cols(),
            wanted: n,
        });
    }
    let bad = |index, value| JacobianError::NonFinite {
        what: "residual branch",
        index,
        value,
    };
    let norm = norms::two(b).map_err(|e| bad(e.row * n + e.col, e.value))?;
    let (_, _, hi) = norm.to_linear().ok_or(bad(0, f64::INFINITY))?;
    let half = dense::from_fn(n, n, |i, j| 0.5 * b.get(i, j).0 + 0.5 * b.get(j, i).0);
    let mut size = 0.0f64;
    for j in 0..n {
        size += half.col_as_slice(j).iter().map(|x| x * x).sum::<f64>();
    }
    // backward error of a symmetric eigensolver: a small multiple of n u times the norm
    let slack = 20.0 * (n as f64 + 2.0) * f64::EPSILON * size.sqrt();
    let mu = symmetric_eigen(&half)
        .and_then(|(values, _)| values.last().copied())
        .map_or(hi, |m| m + slack)
        .min(hi);
    let upper = (1.0 + hi).next_up();
    let square = 1.0 + 2.0 * mu + hi * hi;
    Ok(ResidualBounds {
        lower: (1.0 - hi).next_down().max(0.0),
        upper,
        upper_by_log_norm: (square.max(0.0).sqrt() * (1.0 + 1e-15)).min(upper),
        log_norm: mu,
    })
}
