//! `softmax`: `J = diag(p) - p p^T`.
//!
//! Exact to rounding; the norm is at most 1/2.
//!
//! ```
//! use isometer::bounds::jacobian::softmax::{norm, softmax};
//!
//! let sharp = softmax(&[20.0, 0.0, 0.0]).unwrap();
//! assert!(norm(&sharp).unwrap() < 1e-8); // a decided softmax passes no gradient
//! assert!((norm(&softmax(&[0.0, 0.0]).unwrap()).unwrap() - 0.5).abs() < 1e-15);
//! ```

use super::{JacobianError, checked};

/// `exp(x_i) / sum exp(x_j)`, without overflow.
///
/// # Errors
///
/// Empty input, NaN or infinities.
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::softmax::softmax;
/// let p = softmax(&[1000.0, 1000.0 + 3f64.ln()]).unwrap();
/// assert!((p[1] - 0.75).abs() < 1e-12);
/// ```
pub fn softmax(x: &[f64]) -> Result<Vec<f64>, JacobianError> {
    checked("logits", x)?;
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = x.iter().map(|v| (v - top).exp()).collect();
    let sum: f64 = e.iter().sum();
    Ok(e.into_iter().map(|v| v / sum).collect())
}

/// Spectral norm of `diag(p) - p p^T` for non-negative `p` of sum 1: the root of the secular equation
/// `sum_i p_i^2 / (p_i - t) = 1` between the two largest entries (Golub, SIAM Review 15, 1973, for rank-one
/// modifications). Theorem: softmax-secular-equation. Relative error a few `1e-15`.
///
/// # Errors
///
/// Empty input, NaN or infinities.
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::softmax::norm;
/// assert!((norm(&[0.25; 4]).unwrap() - 0.25).abs() < 1e-15);
/// // of two entries p, 1 - p: 2 p (1 - p)
/// assert!((norm(&[0.9, 0.1]).unwrap() - 0.18).abs() < 1e-15);
/// ```
pub fn norm(p: &[f64]) -> Result<f64, JacobianError> {
    checked("probabilities", p)?;
    let mut sorted: Vec<f64> = p.iter().copied().filter(|x| *x > 0.0).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (Some(&first), Some(&second)) = (sorted.first(), sorted.get(1)) else {
        return Ok(0.0);
    };
    if first == second {
        return Ok(first);
    }
    // with t = first - d: g(d) = first^2/d - sum_(i>1) p_i^2 / (first - p_i - d) - 1 falls from +inf to -inf
    let value = |d: f64| -> f64 {
        let rest: f64 = sorted[1..].iter().map(|q| q * q / ((first - q) - d)).sum();
        // a pole is met only where d rounds to the whole gap
        first * first / d - rest - 1.0
    };
    let gap = first - second;
    let (mut lo, mut hi) = (0.0f64, gap);
    for _ in 0..200 {
        let mid = 0.5 * (lo + hi);
        if mid <= lo || mid >= hi {
            break;
        }
        if value(mid) > 0.0 {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    Ok(first - 0.5 * (lo + hi))
}

/// Sound bounds that need no iteration: at most `2 max p (1 - p)` and never above 1/2, at least `max p (1 - p)`.
/// Theorem: softmax-secular-equation.
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::softmax::{norm, simple_bounds};
/// let p = [0.7, 0.2, 0.1];
/// let (lower, upper) = simple_bounds(&p);
/// assert!(lower <= norm(&p).unwrap() && norm(&p).unwrap() <= upper && upper <= 0.5);
/// ```
pub fn simple_bounds(p: &[f64]) -> (f64, f64) {
    let top = p.iter().map(|x| x * (1.0 - x)).fold(0.0f64, f64::max);
    (top, (2.0 * top).next_up().min(0.5))
}
