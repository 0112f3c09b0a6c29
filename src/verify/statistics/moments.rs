//! Moments of samples, and the test of a variance.

use super::normal::skewed_p_value;

/// Moments of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Size.
    pub count: usize,
    /// Mean.
    pub mean: f64,
    /// Unbiased variance.
    pub variance: f64,
    /// Fourth cumulant, by the moments about the mean.
    pub fourth_cumulant: f64,
}

/// Moments in two passes.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::moments;
/// let m = moments(&[1.0, 2.0, 3.0]);
/// assert_eq!((m.count, m.mean, m.variance), (3, 2.0, 1.0));
/// ```
pub fn moments(values: &[f64]) -> Moments {
    let n = values.len() as f64;
    let rough = values.iter().sum::<f64>() / n;
    let mean = rough + values.iter().map(|x| x - rough).sum::<f64>() / n;
    let (mut second, mut fourth) = (0.0, 0.0);
    for x in values {
        let square = (x - mean).powi(2);
        second += square;
        fourth += square * square;
    }
    Moments {
        count: values.len(),
        mean,
        variance: second / (n - 1.0),
        fourth_cumulant: fourth / n - 3.0 * (second / n).powi(2),
    }
}

/// Standard error of an unbiased variance, and the p-value of the one measured, for a law of this variance
/// and fourth cumulant (that of the prediction where it is known, else one estimated from the sample).
///
/// `Var s^2 = kappa_4/n + 2 sigma^4/(n-1)` exactly. Tails are those of the gamma law with this mean and
/// variance, exact for normal samples. `None` where the standard error exceeds a third of the
/// variance: there the gamma law says little.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::variance_p_value;
/// // normal samples: the standard error of a variance is sqrt(2/(n - 1)) of it
/// let (error, p) = variance_p_value(1.0, 1.0, 0.0, 201).unwrap();
/// assert!((error - 0.1).abs() < 1e-12 && p > 0.9);
/// ```
pub fn variance_p_value(
    measured: f64,
    variance: f64,
    fourth_cumulant: f64,
    count: usize,
) -> Option<(f64, f64)> {
    let n = count as f64;
    let error = (fourth_cumulant / n + 2.0 * variance * variance / (n - 1.0)).sqrt();
    if !(error <= variance / 3.0 && error > 0.0) {
        return None;
    }
    let p = skewed_p_value((measured - variance) / error, 2.0 * error / variance);
    Some((error, p))
}
