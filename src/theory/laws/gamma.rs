//! Ratios of gamma functions off the real axis, with absolute errors in proportion to `|s|`: a power
//! of 10^6 layers then costs three digits instead of six.

use super::complex::Complex;
use crate::theory::special::digamma;

/// `B_2k / (2k (2k - 1))` (DLMF 5.11.1).
const STIRLING: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1260.0,
    -1.0 / 1680.0,
    1.0 / 1188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
    -3617.0 / 122_400.0,
];
/// From this real part on the series above is exact to rounding.
const LARGE: f64 = 11.0;

/// `ln Gamma(z + s) - ln Gamma(z) - s ln z` for `z > 0` and `Re(z + s) > 0`, continuous in `s` and 0
/// at `s = 0`.
pub(super) fn ln_gamma_ratio(z: f64, s: Complex) -> Complex {
    let real = z + s.re.min(0.0);
    let shift = (LARGE - real).ceil().max(0.0) as usize;
    let mut out = Complex::ZERO;
    for j in 0..shift {
        out = out - s.scale((z + j as f64).recip()).ln_1p();
    }
    let y = z + shift as f64;
    if shift > 0 {
        out = out + s.scale((shift as f64 / z).ln_1p());
    }
    let q = s.scale(y.recip());
    let l = q.ln_1p();
    out = out + (s + Complex::new(y - 0.5, 0.0)) * l - s;
    // (1 + q)^(1 - 2k) - 1 by recurrence
    let mut power = -(q / (q + Complex::ONE));
    let step = power * (power + Complex::new(2.0, 0.0));
    let mut weight = y.recip();
    for c in STIRLING {
        out = out + power.scale(c * weight);
        power = power + (power + Complex::ONE) * step;
        weight /= y * y;
    }
    out
}

/// `digamma(x) - ln x`, without the cancellation for large `x`.
pub(super) fn digamma_less_ln(x: f64) -> f64 {
    if x < 20.0 {
        return digamma(x) - x.ln();
    }
    let s = (x * x).recip();
    // DLMF 5.11.2
    let series = s * (1.0 / 12.0 - s * (1.0 / 120.0 - s * (1.0 / 252.0 - s * (1.0 / 240.0))));
    -0.5 / x - series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::special::{ln_gamma, trigamma};

    #[test]
    fn agrees_with_the_real_function() {
        for z in [0.5, 1.0, 3.5, 40.0, 1000.0] {
            for s in [-0.49, -0.1, 0.3, 2.0, 17.5] {
                let ours = ln_gamma_ratio(z, Complex::new(s, 0.0));
                let truth = ln_gamma(z + s) - ln_gamma(z) - s * z.ln();
                let size = ln_gamma(z).abs() + ln_gamma(z + s).abs() + 1.0 + (s * z.ln()).abs();
                assert!((ours.re - truth).abs() < 4e-15 * size, "{z} {s}");
                assert_eq!(ours.im, 0.0);
            }
        }
    }

    #[test]
    fn modulus_on_the_vertical_axis() {
        // |Gamma(1/2 + it)|^2 = pi / cosh(pi t), |Gamma(1 + it)|^2 = pi t / sinh(pi t)
        for t in [0.1, 1.0, 5.0, 20.0] {
            let x = std::f64::consts::PI * t;
            let half = 2.0 * ln_gamma_ratio(0.5, Complex::new(0.0, t)).re;
            assert!((half + x.cosh().ln()).abs() < 1e-13, "{t}");
            let one = 2.0 * ln_gamma_ratio(1.0, Complex::new(0.0, t)).re;
            assert!((one - (x / x.sinh()).ln()).abs() < 1e-13, "{t}");
        }
    }

    #[test]
    fn small_shifts_lose_nothing() {
        // first two terms of the expansion in s
        for z in [0.5, 2.0, 8.0, 333.5, 50_000.0] {
            let s = Complex::new(2e-9, -3e-9);
            let truth = s.scale(digamma_less_ln(z)) + (s * s).scale(0.5 * trigamma(z));
            let error = (ln_gamma_ratio(z, s) - truth).abs();
            assert!(
                error < 8.0 * f64::EPSILON * s.abs() * (1.0 + z.recip()),
                "{z} {error}"
            );
        }
    }

    #[test]
    fn digamma_less_its_logarithm() {
        for x in [0.5, 3.0, 19.9, 20.1, 100.0] {
            assert!(
                (digamma_less_ln(x) - (digamma(x) - x.ln())).abs() < 2e-15,
                "{x}"
            );
        }
        assert!((digamma_less_ln(1e8) * 2e8 + 1.0).abs() < 1e-8);
    }
}
