//! p-values of means.

use std::f64::consts::FRAC_1_SQRT_2;

/// `P(|Z| >= |z|)` of a standard normal `Z`, to full relative accuracy.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::normal_p_value;
/// assert!((normal_p_value(-1.0) - 0.31731050786291415).abs() < 1e-14);
/// ```
pub fn normal_p_value(z: f64) -> f64 {
    libm::erfc(z.abs() * FRAC_1_SQRT_2)
}

/// The `z >= 0` with `P(|Z| >= z) = p`: how many standard errors a p-value amounts to. Infinite
/// where `p` is 0.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::equivalent_deviation;
/// assert!((equivalent_deviation(0.05) - 1.959963984540054).abs() < 1e-9);
/// ```
pub fn equivalent_deviation(p: f64) -> f64 {
    if p.is_nan() || p >= 1.0 {
        return if p.is_nan() { p } else { 0.0 };
    }
    if p <= 0.0 {
        return f64::INFINITY;
    }
    // erfc(38.6 / sqrt 2) is the last that is not 0
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if normal_p_value(middle) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// p-value of a deviation of `z` standard errors of a statistic whose law has the given skewness
/// (third standardised cumulant): twice the smaller tail of the gamma law of this skewness.
///
/// A mean of `n` independent terms has the skewness of one over `sqrt n`; the gamma law then agrees
/// with its Edgeworth series to order `1/n`, where the normal law is off by `skewness z^3 / 6` in relative
/// terms. Tails by the cube root of Wilson and Hilferty (Proc. Nat. Acad. Sci. 17, 1931), which is itself
/// of that order.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::{normal_p_value, skewed_p_value};
/// assert!((skewed_p_value(2.0, 0.0) - normal_p_value(2.0)).abs() < 1e-12);
/// assert!(skewed_p_value(4.0, 0.5) > normal_p_value(4.0)); // a longer tail
/// ```
pub fn skewed_p_value(z: f64, skewness: f64) -> f64 {
    if skewness.abs() < 1e-6 {
        return normal_p_value(z);
    }
    let half = 0.5 * skewness;
    // chi-square over its degrees, 8 / skewness^2
    let ratio = 1.0 + half * z;
    let w = if ratio > 0.0 {
        6.0 / skewness * (ratio.cbrt() - 1.0 + skewness * skewness / 36.0)
    } else {
        f64::INFINITY
    };
    normal_p_value(w)
}
