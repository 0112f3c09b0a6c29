//! Layer, RMS and batch normalization: `y = gamma (x - mean) / s` with `s = sqrt(variance + eps)`, and its
//! relatives.
//!
//! Every direction is divided by `s`, but for the mean, which is forgotten, and the length, which is kept only by
//! `eps`: the Jacobian is `diag(gamma) (I - 1 1^T/n - y y^T/n) / s` at `eps = 0` and `y` the output before `gamma`.
//!
//! ```
//! use isometer::bounds::jacobian::normalization::{layer, rms};
//!
//! let n = layer(&[2.0, 4.0, 6.0], &[], 0.0).unwrap(); // variance 8/3
//! assert!((n.scale - (8.0 / 3.0f64).sqrt()).abs() < 1e-14 && (n.norm * n.scale - 1.0).abs() < 1e-14);
//! assert!((rms(&[3.0, 4.0], &[], 0.0).unwrap().norm - 1.0 / 12.5f64.sqrt()).abs() < 1e-14);
//! ```

use super::{JacobianError, checked};

/// All singular values of a normalization's Jacobian, or what is known of them.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalizationSpectrum {
    /// The norm: exact without `gamma`, the upper end of an interval with one.
    pub norm: f64,
    /// A lower bound of the norm; equal to it where it is exact.
    pub norm_lower: f64,
    /// The least singular value: 0 for layer normalization, which forgets the mean.
    pub smallest: f64,
    /// `s`, by which most directions are divided.
    pub scale: f64,
}

/// Layer normalization over `x` with `gamma` (empty for all ones). Without `gamma` the singular values are `1/s` (`n - 2`
/// times), `eps/s^3` along `x - mean`, and 0 along the constant vector; with one, the norm lies between the third
/// largest and the largest `|gamma|` over `s`, by interlacing. Theorem: normalization-jacobians.
///
/// # Errors
///
/// Empty or unequal lengths, NaN, no variance with `eps = 0`.
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::normalization::layer;
/// // far below sqrt(eps) a normalization is nearly linear, 1/sqrt(eps) steep
/// let n = layer(&[1e-9, -1e-9, 0.0], &[], 1e-4).unwrap();
/// assert!((n.norm - 100.0).abs() < 1e-9 && n.smallest == 0.0);
/// ```
pub fn layer(x: &[f64], gamma: &[f64], eps: f64) -> Result<NormalizationSpectrum, JacobianError> {
    checked("activations", x)?;
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    spectrum(x.len(), gamma, variance, eps, "variance", 2)
}

/// RMS normalization: singular values `1/r` (`n - 1` times) and `eps/r^3` along `x`, `r = sqrt(mean square + eps)`.
/// Theorem: normalization-jacobians.
///
/// # Errors
///
/// As [`layer`].
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::normalization::rms;
/// let n = rms(&[3.0, 4.0, 5.0], &[], 0.0).unwrap(); // mean square 50/3
/// assert!((n.norm - (3.0f64 / 50.0).sqrt()).abs() < 1e-15 && n.smallest == 0.0);
/// ```
pub fn rms(x: &[f64], gamma: &[f64], eps: f64) -> Result<NormalizationSpectrum, JacobianError> {
    checked("activations", x)?;
    let square = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
    spectrum(x.len(), gamma, square, eps, "mean square", 1)
}

/// Batch normalization of one unit in training: the Jacobian from the `B` pre-activations of the unit to its
/// `B` outputs is that of layer normalization over the batch, times the unit's `gamma`. Units do not mix.
///
/// # Errors
///
/// As [`layer`].
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::normalization::batch_training;
/// let n = batch_training(&[-1.0, 0.0, 1.0], 2.0, 0.0).unwrap(); // variance 2/3, gamma 2
/// assert!((n.norm - 2.0 * 1.5f64.sqrt()).abs() < 1e-14);
/// ```
pub fn batch_training(
    unit: &[f64],
    gamma: f64,
    eps: f64,
) -> Result<NormalizationSpectrum, JacobianError> {
    let s = layer(unit, &[], eps)?;
    Ok(NormalizationSpectrum {
        norm: s.norm * gamma.abs(),
        norm_lower: s.norm_lower * gamma.abs(),
        smallest: s.smallest * gamma.abs(),
        scale: s.scale,
    })
}

/// Batch normalization in inference: diagonal, `gamma_i / sqrt(running variance_i + eps)`; returns the least and the
/// greatest factor in absolute value.
///
/// # Errors
///
/// Empty or unequal lengths, NaN, no variance with `eps = 0`.
///
/// # Examples
/// ```
/// use isometer::bounds::jacobian::normalization::batch_inference;
/// assert_eq!(batch_inference(&[3.0, -1.0], &[4.0, 1.0], 0.0).unwrap(), (1.0, 1.5));
/// ```
pub fn batch_inference(
    gamma: &[f64],
    running_variance: &[f64],
    eps: f64,
) -> Result<(f64, f64), JacobianError> {
    checked("gamma", gamma)?;
    checked("running variance", running_variance)?;
    same_length("running variance", running_variance, gamma.len())?;
    let mut ends = (f64::INFINITY, 0.0f64);
    for (g, v) in gamma.iter().zip(running_variance) {
        if v + eps <= 0.0 {
            return Err(JacobianError::Degenerate { what: "variance" });
        }
        let factor = g.abs() / (v + eps).sqrt();
        ends = (ends.0.min(factor), ends.1.max(factor));
    }
    Ok(ends)
}

fn same_length(what: &'static str, x: &[f64], wanted: usize) -> Result<(), JacobianError> {
    match x.len() == wanted {
        true => Ok(()),
        false => Err(JacobianError::Length {
            what,
            given: x.len(),
            wanted,
        }),
    }
}

/// The common part: `removed` directions are projected out (but for `eps`).
fn spectrum(
    n: usize,
    gamma: &[f64],
    square: f64,
    eps: f64,
    what: &'static str,
    removed: usize,
) -> Result<NormalizationSpectrum, JacobianError> {
    if !(square + eps > 0.0) {
        return Err(JacobianError::Degenerate { what });
    }
    let scale = (square + eps).sqrt();
    let along = eps / scale.powi(3);
    // with n > removed directions untouched the norm is 1/s; otherwise what eps leaves, if anything
    let plain = match n {
        n if n > removed => 1.0 / scale,
        n if n == removed => along,
        _ => 0.0,
    };
    let smallest = if removed == 2 { 0.0 } else { along };
    if gamma.is_empty() {
        return Ok(NormalizationSpectrum {
            norm: plain,
            norm_lower: plain,
            smallest,
            scale,
        });
    }
    checked("gamma", gamma)?;
    same_length("gamma", gamma, n)?;
    let mut sorted: Vec<f64> = gamma.iter().map(|g| g.abs()).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    Ok(NormalizationSpectrum {
        norm: (sorted[0] * plain).next_up(),
        norm_lower: sorted.get(removed).map_or(0.0, |g| g / scale),
        smallest: smallest * sorted[n - 1],
        scale,
    })
}
