//! Digamma, trigamma and binomial weights to rounding level.
//!
//! `statrs::function::gamma::digamma` loses digits near its root at 1.4616 and has no trigamma;
//! the tests compare with it elsewhere.
//!
//! ```
//! use isometer::theory::special::{digamma, trigamma};
//!
//! assert!((digamma(2.0) - digamma(1.0) - 1.0).abs() < 1e-15); // psi(x + 1) = psi(x) + 1/x
//! assert!((trigamma(1.0) - trigamma(2.0) - 1.0).abs() < 1e-15);
//! ```

/// Asymptotic series are used from here on; smaller arguments are shifted up.
const LARGE: f64 = 10.0;

/// `B_2k / (2k)` for digamma.
const DIGAMMA: [f64; 7] = [
    1.0 / 12.0,
    -1.0 / 120.0,
    1.0 / 252.0,
    -1.0 / 240.0,
    1.0 / 132.0,
    -691.0 / 32760.0,
    1.0 / 12.0,
];
/// `B_2k` for trigamma.
const BERNOULLI: [f64; 7] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
];

/// `d/dx ln Gamma(x)` for `x > 0`; NaN elsewhere (DLMF 5.5.2, 5.11.2).
///
/// # Examples
/// ```
/// use isometer::theory::special::digamma;
/// assert!((digamma(1.0) + 0.5772156649015329).abs() < 1e-15); // minus Euler's constant
/// ```
pub fn digamma(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let (mut shift, mut y) = (0.0, x);
    while y < LARGE {
        shift += y.recip();
        y += 1.0;
    }
    let s = (y * y).recip();
    let series = DIGAMMA.iter().rev().fold(0.0, |sum, b| s * (b + sum));
    (y.ln() - 0.5 / y - series) - shift
}

/// Second derivative of `ln Gamma(x)` for `x > 0`; NaN elsewhere (DLMF 5.15.5, 5.15.8).
///
/// # Examples
/// ```
/// use isometer::theory::special::trigamma;
/// assert!((trigamma(1.0) - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-14);
/// ```
pub fn trigamma(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let (mut shift, mut y) = (0.0, x);
    while y < LARGE {
        shift += (y * y).recip();
        y += 1.0;
    }
    let s = (y * y).recip();
    let series = BERNOULLI.iter().rev().fold(0.0, |sum, b| s * (b + sum));
    shift + (y.recip() + 0.5 * s + series / y)
}

/// `ln Gamma(x)` for `x > 0`.
///
/// # Examples
/// ```
/// use isometer::theory::special::ln_gamma;
/// assert!((ln_gamma(5.0) - 24f64.ln()).abs() < 1e-14);
/// ```
pub fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// Probabilities of `0..=n` successes in `n` trials, each with probability `p`; they sum to 1 to
/// rounding. Weights below the range of `f64` are 0.
///
/// Built outward from the mode by ratios and normalised: logarithms of factorials would lose
/// `log10 n` digits.
///
/// # Examples
/// ```
/// use isometer::theory::special::binomial_weights;
/// let w = binomial_weights(2, 0.5);
/// assert!((w[0] - 0.25).abs() < 1e-15 && (w[1] - 0.5).abs() < 1e-15);
/// ```
pub fn binomial_weights(n: usize, p: f64) -> Vec<f64> {
    let mut w = vec![0.0; n + 1];
    if p <= 0.0 || p >= 1.0 {
        w[if p <= 0.0 { 0 } else { n }] = 1.0;
        return w;
    }
    let odds = p / (1.0 - p);
    let mode = (((n + 1) as f64 * p).floor() as usize).min(n);
    w[mode] = 1.0;
    for k in mode + 1..=n {
        w[k] = w[k - 1] * ((n - k + 1) as f64 / k as f64 * odds);
    }
    for k in (0..mode).rev() {
        w[k] = w[k + 1] * ((k + 1) as f64 / (n - k) as f64 / odds);
    }
    // smallest first
    let above: f64 = w[mode..].iter().rev().sum();
    let sum = w[..mode].iter().sum::<f64>() + above;
    for x in &mut w {
        *x /= sum;
    }
    w
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digamma_at_known_points() {
        const GAMMA: f64 = 0.577_215_664_901_532_9;
        let near = |a: f64, b: f64| assert!((a - b).abs() <= 4.0 * f64::EPSILON * (1.0 + b.abs()));
        near(digamma(1.0), -GAMMA);
        near(digamma(0.5), -GAMMA - 2.0 * 2f64.ln());
        near(digamma(1.461_632_144_968_362_3), 0.0);
        // harmonic numbers
        let mut h = -GAMMA;
        for n in 1..200 {
            near(digamma(f64::from(n)), h);
            h += f64::from(n).recip();
        }
        assert!(digamma(0.0).is_nan() && digamma(-1.5).is_nan());
    }

    #[test]
    fn trigamma_at_known_points() {
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() <= 8.0 * f64::EPSILON);
        let pi = std::f64::consts::PI;
        near(trigamma(1.0), pi * pi / 6.0);
        near(trigamma(0.5), pi * pi / 2.0);
        // sum over the squares
        let mut t = pi * pi / 6.0;
        for n in 1..60 {
            assert!((trigamma(f64::from(n)) - t).abs() < 1e-15 * 8.0);
            t -= f64::from(n * n).recip();
        }
    }

    #[test]
    fn agrees_with_statrs_where_that_is_accurate() {
        for i in 1..400 {
            let x = f64::from(i) * 0.37;
            let theirs = statrs::function::gamma::digamma(x);
            assert!(
                (digamma(x) - theirs).abs() < 1e-11 * (1.0 + theirs.abs()),
                "{x}"
            );
        }
    }

    #[test]
    fn trigamma_is_the_derivative_of_digamma() {
        for x in [0.5, 1.0, 2.5, 7.0, 9.99, 10.01, 500.0] {
            let h = 1e-3 * x;
            let d = (8.0 * (digamma(x + h) - digamma(x - h)) - digamma(x + 2.0 * h)
                + digamma(x - 2.0 * h))
                / (12.0 * h);
            assert!((d / trigamma(x) - 1.0).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn binomial_weights_are_exact_for_small_n() {
        let w = binomial_weights(5, 0.5);
        for (k, c) in [1.0, 5.0, 10.0, 10.0, 5.0, 1.0].iter().enumerate() {
            assert!((w[k] - c / 32.0).abs() < 1e-17);
        }
        assert_eq!(binomial_weights(3, 0.0), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(binomial_weights(3, 1.0), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(binomial_weights(0, 0.5), [1.0]);
    }

    #[test]
    fn binomial_moments() {
        for (n, p) in [(1, 0.3), (7, 0.9), (100, 0.5), (5000, 0.5), (100_000, 0.01)] {
            let w = binomial_weights(n, p);
            let mean: f64 = w.iter().enumerate().map(|(k, w)| k as f64 * w).sum();
            let truth = n as f64 * p;
            let square: f64 = w
                .iter()
                .enumerate()
                .map(|(k, w)| (k as f64 - truth).powi(2) * w)
                .sum();
            assert!((mean / truth - 1.0).abs() < 1e-12, "{n} {p}");
            assert!(
                (square / (truth * (1.0 - p)) - 1.0).abs() < 1e-11,
                "{n} {p}"
            );
        }
    }
}
