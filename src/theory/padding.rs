//! What zero padding of a convolution takes from signal and gradient.
//!
//! Asymptotic in depth and channels.
//!
//! ```
//! use isometer::theory::padding::zero_padding_factor;
//!
//! // a long signal hardly notices its borders: 1/3 + 2/3 cos(pi / (n + 1))
//! let n = zero_padding_factor(99, 3).unwrap();
//! let known = 1.0 / 3.0 + 2.0 / 3.0 * (std::f64::consts::PI / 100.0).cos();
//! assert!((n.value - known).abs() < 1e-12);
//! ```

use crate::theory::quadrature::Average;

/// A convolution that has no such law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaddingError {
    /// `same` padding is symmetric for an odd number of taps.
    #[error("{taps} taps: symmetric zero padding needs an odd number")]
    Taps {
        /// Number of taps.
        taps: usize,
    },
    /// Nothing to convolve.
    #[error("a signal of length 0")]
    Empty,
}

/// Asymptotic growth of the mean square per layer of a 1-D convolution over `length` positions with
/// `taps` taps and zero padding that keeps the length, relative to circular padding: the largest
/// eigenvalue of the band matrix with entries `1/taps`.
///
/// Weights of variance `sigma_w2 / (taps channels)`, infinitely many channels, a homogeneous
/// activation: multiply by `sigma_w2 E phi'^2`. In more dimensions the factors of the axes multiply.
/// Three taps are in closed form, `(1 + 2 cos(pi / (length + 1))) / 3`; the others are enclosed by
/// row ratios (Collatz and Wielandt).
///
/// # Errors
/// See [`PaddingError`].
///
/// Theorem: zero-padding.
///
/// # Examples
/// ```
/// use isometer::theory::padding::zero_padding_factor;
/// // of three taps on two positions one falls off each end: the matrix of thirds has eigenvalue 2/3
/// assert!((zero_padding_factor(2, 3).unwrap().value - 2.0 / 3.0).abs() < 1e-14);
/// ```
pub fn zero_padding_factor(length: usize, taps: usize) -> Result<Average, PaddingError> {
    if taps.is_multiple_of(2) {
        return Err(PaddingError::Taps { taps });
    }
    match (length, taps) {
        (0, _) => Err(PaddingError::Empty),
        (_, 1) => Ok(Average::closed_form(1.0)),
        (n, 3) => {
            let angle = std::f64::consts::PI / (n as f64 + 1.0);
            Ok(Average::closed_form((1.0 + 2.0 * angle.cos()) / 3.0))
        }
        (n, k) if k >= 2 * n - 1 => Ok(Average::closed_form(n as f64 / k as f64)),
        (n, k) => Ok(largest_of_band(n, k)),
    }
}

/// Largest eigenvalue of the `n x n` matrix with `1/k` where `2 |i - j| < k`.
fn largest_of_band(n: usize, k: usize) -> Average {
    let reach = k / 2;
    // half a wave is close to the eigenvector
    let wave = std::f64::consts::PI / (n + reach) as f64;
    let mut x: Vec<f64> = (0..n)
        .map(|i| (wave * (i as f64 + 0.5 * (reach + 1) as f64)).sin())
        .collect();
    let (mut lo, mut hi) = (0.0, f64::INFINITY);
    let mut prefix = vec![0.0; n + 1];
    for _ in 0..20_000 {
        for i in 0..n {
            prefix[i + 1] = prefix[i] + x[i];
        }
        let (mut least, mut most, mut top) = (f64::INFINITY, 0.0f64, 0.0f64);
        for (i, x) in x.iter_mut().enumerate() {
            let sum = prefix[(i + reach + 1).min(n)] - prefix[i.saturating_sub(reach)];
            let y = sum / k as f64;
            least = least.min(y / *x);
            most = most.max(y / *x);
            top = top.max(y);
            *x = y;
        }
        x.iter_mut().for_each(|x| *x /= top);
        (lo, hi) = (least.max(lo), most.min(hi));
        if hi - lo <= 1e-14 * hi {
            break;
        }
    }
    let value = 0.5 * (lo + hi);
    Average {
        value,
        error: 0.5 * (hi - lo).abs() + 4.0 * (n as f64) * f64::EPSILON * value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Theorem: zero-padding.
    #[test]
    fn three_taps_in_closed_form() {
        // theory.csv R145
        let a = zero_padding_factor(8, 3).unwrap();
        assert!((a.value - 0.9597950805239388).abs() < 1e-15);
        for n in [2, 3, 8, 40] {
            let (closed, power) = (zero_padding_factor(n, 3).unwrap(), largest_of_band(n, 3));
            assert!((closed.value - power.value).abs() <= power.error + closed.error);
            assert!(power.error < 1e-12, "{power:?}");
        }
        // a signal of another length is noticed
        let other = zero_padding_factor(9, 3).unwrap();
        assert!((other.value - a.value).abs() > 1e-3);
    }

    #[test]
    fn other_numbers_of_taps() {
        assert_eq!(zero_padding_factor(9, 1).unwrap().value, 1.0);
        // every tap sees the whole signal
        assert!((zero_padding_factor(3, 7).unwrap().value - 3.0 / 7.0).abs() < 1e-15);
        let band = largest_of_band(3, 7);
        assert!((band.value - 3.0 / 7.0).abs() <= band.error);
        // wider kernels leak more, longer signals less
        let f = |n, k| zero_padding_factor(n, k).unwrap().value;
        assert!(f(20, 5) < f(20, 3) && f(20, 7) < f(20, 5) && f(40, 5) > f(20, 5));
        assert!(zero_padding_factor(8, 4).is_err() && zero_padding_factor(0, 3).is_err());
    }
}
