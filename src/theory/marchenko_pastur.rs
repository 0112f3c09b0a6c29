//! The singular values of a matrix of independent entries: the law a trained matrix is compared with.
//!
//! Marchenko and Pastur, Mat. Sb. 72 (1967): for an `m x n` matrix, `m >= n`, of independent entries of mean 0 and
//! variance `s^2`, the singular values divided by `s sqrt(m)` fill the interval `[1 - sqrt(q), 1 + sqrt(q)]`, `q = n/m`, with the
//! law below as both sides grow; the extreme ones converge to its ends (Bai and Yin 1993, four moments).
//! Theorem: marchenko-pastur.
//!
//! ```
//! use isometer::theory::marchenko_pastur::MarchenkoPastur;
//!
//! // a square matrix: the quarter circle on [0, 2], of density sqrt(4 - x^2)/pi
//! let law = MarchenkoPastur::new(100, 100).unwrap();
//! let below_one = 1.0 / 3.0 + 3f64.sqrt() / (2.0 * std::f64::consts::PI);
//! assert!((law.upper() - 2.0).abs() < 1e-15 && (law.cdf(1.0) - below_one).abs() < 1e-12);
//! ```

use std::f64::consts::PI;

/// The limiting law for one shape.
///
/// # Examples
/// ```
/// use isometer::theory::marchenko_pastur::MarchenkoPastur;
/// let law = MarchenkoPastur::new(400, 100).unwrap(); // q = 1/4: from 1/2 to 3/2
/// assert!((law.lower() - 0.5).abs() < 1e-15 && (law.upper() - 1.5).abs() < 1e-15);
/// assert!(law.cdf(0.5) < 1e-12 && (law.cdf(1.5) - 1.0).abs() < 1e-12);
/// assert!((law.quantile(law.cdf(1.1)) - 1.1).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarchenkoPastur {
    /// `min(m, n) / max(m, n)`, in `(0, 1]`.
    ratio: f64,
}

impl MarchenkoPastur {
    /// The law of an `m x n` matrix or its transpose; `None` without entries.
    pub fn new(rows: usize, cols: usize) -> Option<MarchenkoPastur> {
        let (long, short) = (rows.max(cols) as f64, rows.min(cols) as f64);
        (short > 0.0).then(|| MarchenkoPastur {
            ratio: short / long,
        })
    }

    /// Lower end of the singular values, in the unit `s sqrt(max(m, n))`.
    pub fn lower(&self) -> f64 {
        1.0 - self.ratio.sqrt()
    }

    /// Upper end of the singular values, in the unit `s sqrt(max(m, n))`.
    pub fn upper(&self) -> f64 {
        1.0 + self.ratio.sqrt()
    }

    /// Share of singular values at most `x`, in the unit `s sqrt(max(m, n))`.
    ///
    /// The density `sqrt((b - t)(t - a)) / (2 pi q t)` of `t = x^2` between `a = (1 - sqrt(q))^2` and
    /// `b = (1 + sqrt(q))^2`, integrated: with `t = 1 + q - 2 sqrt(q) cos(2 h)` it is a sum of arcs.
    pub fn cdf(&self, x: f64) -> f64 {
        if x <= self.lower() {
            return 0.0;
        }
        if x >= self.upper() {
            return 1.0;
        }
        let (q, root) = (self.ratio, self.ratio.sqrt());
        let t = x * x;
        let cos = ((1.0 + q - t) / (2.0 * root)).clamp(-1.0, 1.0);
        // theta in (0, pi): (b - t)(t - a) = 4 q sin^2 theta
        let theta = cos.acos();
        // integral of sin^2 / (1 + q - 2 sqrt(q) cos): half-angle substitution
        let skew = ((1.0 + root) * (0.5 * theta).tan()).atan2(1.0 - root);
        let area = (1.0 + q) * theta + 2.0 * root * theta.sin() - 2.0 * (1.0 - q) * skew;
        (area / (2.0 * PI * q)).clamp(0.0, 1.0)
    }

    /// The `x` below which a share `p` of the singular values lies, by bisection to the last bits; the ends of the interval for shares
    /// beyond 0 and 1.
    pub fn quantile(&self, p: f64) -> f64 {
        let (mut lo, mut hi) = (self.lower(), self.upper());
        if p >= 1.0 {
            return hi;
        }
        // an interval of length at most 2 halved to the spacing of doubles about 1
        for _ in 0..54 {
            let middle = 0.5 * (lo + hi);
            if self.cdf(middle) < p {
                lo = middle;
            } else {
                hi = middle;
            }
        }
        hi
    }

    /// Largest distance between [`cdf`](MarchenkoPastur::cdf) and the empirical one of singular values in the unit
    /// `s sqrt(max(m, n))`, largest first (Kolmogorov's distance).
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::marchenko_pastur::MarchenkoPastur;
    /// let law = MarchenkoPastur::new(100, 100).unwrap();
    /// let values: Vec<f64> = (0..100).rev().map(|k| law.quantile((f64::from(k) + 0.5) / 100.0)).collect();
    /// assert!((law.distance(&values) - 0.005).abs() < 1e-6); // its own quantiles
    /// assert!(law.distance(&[2.0; 100]) > 0.9);
    /// ```
    pub fn distance(&self, values: &[f64]) -> f64 {
        let n = values.len() as f64;
        values
            .iter()
            .rev()
            .enumerate()
            .map(|(k, &x)| {
                let f = self.cdf(x);
                (f - k as f64 / n).abs().max((f - (k + 1) as f64 / n).abs())
            })
            .fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The integral of the density by the midpoint rule in the angle, where it is smooth.
    fn by_quadrature(law: &MarchenkoPastur, x: f64) -> f64 {
        let q = law.ratio;
        let root = q.sqrt();
        let cos = ((1.0 + q - x * x) / (2.0 * root)).clamp(-1.0, 1.0);
        let (end, steps) = (cos.acos(), 20_000);
        let h = end / f64::from(steps);
        (0..steps)
            .map(|k| {
                let theta = (f64::from(k) + 0.5) * h;
                let t = 1.0 + q - 2.0 * root * theta.cos();
                // dt = 2 sqrt(q) sin(theta) d theta
                h * (2.0 * root * theta.sin()).powi(2) / (2.0 * PI * q * t)
            })
            .sum()
    }

    #[test]
    fn the_closed_form_is_the_integral_of_the_density() {
        for (m, n) in [(100, 100), (100, 99), (384, 1536), (50, 1), (3, 2)] {
            let law = MarchenkoPastur::new(m, n).unwrap();
            for k in 1..20 {
                let x = law.lower() + (law.upper() - law.lower()) * f64::from(k) / 20.0;
                let (closed, sum) = (law.cdf(x), by_quadrature(&law, x));
                assert!((closed - sum).abs() < 1e-6, "{m}x{n} {x}: {closed} {sum}");
            }
            assert_eq!((law.cdf(law.lower()), law.cdf(law.upper())), (0.0, 1.0));
        }
        assert!(MarchenkoPastur::new(0, 3).is_none());
    }

    #[test]
    fn quantiles_invert_the_distribution() {
        for (m, n) in [(100, 100), (300, 100), (1000, 3)] {
            let law = MarchenkoPastur::new(m, n).unwrap();
            for k in 1..50 {
                let p = f64::from(k) / 50.0;
                let back = law.cdf(law.quantile(p));
                assert!((back - p).abs() < 1e-12, "{m}x{n} {p}: {back}");
            }
            assert_eq!(law.quantile(1.0), law.upper());
            assert!(law.quantile(0.0) - law.lower() < 1e-15);
        }
    }

    /// Quantiles of the law are at distance 1/2n from it; the quarter circle is the square case.
    #[test]
    fn the_distance_is_kolmogorovs() {
        let law = MarchenkoPastur::new(64, 32).unwrap();
        let n = 32;
        let values: Vec<f64> = (0..n)
            .rev()
            .map(|k| law.quantile((f64::from(k) + 0.5) / f64::from(n)))
            .collect();
        assert!((law.distance(&values) - 0.5 / f64::from(n)).abs() < 1e-9);
        let moved: Vec<f64> = values.iter().map(|x| 1.2 * x).collect();
        assert!(law.distance(&moved) > 0.1);
        let square = MarchenkoPastur::new(7, 7).unwrap();
        let quarter = |x: f64| (x * (4.0 - x * x).sqrt() + 4.0 * (0.5 * x).asin()) / (2.0 * PI);
        for x in [0.1, 0.7, 1.3, 1.99] {
            assert!((square.cdf(x) - quarter(x)).abs() < 1e-14);
        }
    }
}
