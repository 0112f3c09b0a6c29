//! The tests of Kolmogorov and Smirnov.

use super::binomial::mass;

/// Samples up to which the one-sided law is summed exactly.
const EXACT: usize = 100_000;

/// `E sqrt(n) D_n` for large `n`: `sqrt(pi/2) ln 2`.
pub const EXPECTED_DISTANCE: f64 = 0.868_731_160_636_159_7;
/// Deviation of `sqrt(n) D_n` for large `n`: root of `pi^2/12 - (pi/2) ln^2 2`.
pub const EXPECTED_DISTANCE_DEVIATION: f64 = 0.260_332_838_148_396_8;

/// `D_n`, the largest distance between the distribution function of a sorted sample and `cdf`.
///
/// `cdf` is monotone, so an interval between two points where it is known bounds what can happen inside: only
/// intervals that may hold the maximum are divided, a few `sqrt n` evaluations in all.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::ks_distance;
/// assert!((ks_distance(&[0.2, 0.9], |x| x.clamp(0.0, 1.0)) - 0.4).abs() < 1e-15); // just below 0.9
/// ```
pub fn ks_distance(sorted: &[f64], mut cdf: impl FnMut(f64) -> f64) -> f64 {
    let n = sorted.len();
    if n == 0 {
        return 0.0;
    }
    let count = n as f64;
    let mut best = 0.0f64;
    let mut at = |i: usize, best: &mut f64| {
        let f = cdf(sorted[i]);
        *best = best
            .max((i + 1) as f64 / count - f)
            .max(f - i as f64 / count);
        f
    };
    let first = at(0, &mut best);
    let last = at(n - 1, &mut best);
    // breadth first, so that the maximum is soon nearly known
    let mut intervals = vec![(0, n - 1, first, last)];
    while !intervals.is_empty() {
        let mut next = Vec::with_capacity(2 * intervals.len());
        for (i, j, fi, fj) in intervals {
            let bound = (j as f64 / count - fi).max(fj - (i + 1) as f64 / count);
            if j - i < 2 || bound <= best {
                continue;
            }
            let m = i + (j - i) / 2;
            let fm = at(m, &mut best);
            next.push((i, m, fi, fm));
            next.push((m, j, fm, fj));
        }
        intervals = next;
    }
    best
}

/// `P(D+ >= d)` for `n` samples. Up to 100,000 the sum of Smirnov (1944), whose terms are all positive:
/// rounding only. Beyond, `exp(-(6 n d + 1)^2 / (18 n))`, whose relative error is of order `(1 + n^2 d^4) / n`.
fn one_sided(n: usize, d: f64) -> f64 {
    if d <= 0.0 {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    let count = n as f64;
    if n > EXACT {
        return (-(6.0 * count * d + 1.0).powi(2) / (18.0 * count)).exp();
    }
    let top = (count * (1.0 - d)).floor() as usize;
    let sum: f64 = (0..=top)
        .map(|j| {
            let p = d + j as f64 / count;
            if p >= 1.0 {
                0.0
            } else {
                d / p * mass(j as f64, count, p)
            }
        })
        .sum();
    sum.min(1.0)
}

/// `2 sum_{k>=1} (-1)^(k-1) exp(-2 k^2 t^2)`, the law of Kolmogorov.
fn kolmogorov_tail(t: f64) -> f64 {
    use std::f64::consts::{PI, TAU};
    if t < 1.0 {
        // the dual series converges where this one does not
        let sum: f64 = (0..20)
            .map(|k| (-f64::from(2 * k + 1).powi(2) * PI * PI / (8.0 * t * t)).exp())
            .sum();
        return (1.0 - TAU.sqrt() / t * sum).clamp(0.0, 1.0);
    }
    let sum: f64 = (1..20)
        .map(|k| {
            let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
            sign * (-2.0 * f64::from(k * k) * t * t).exp()
        })
        .sum();
    (2.0 * sum).clamp(0.0, 1.0)
}

/// p-value of a distance `d` between the distribution function of `n` samples and a continuous one.
///
/// With the exact one-sided tail `P+`, the two-sided tail is `2 (P+ - P+^4 + P+^9 - ...)`, which holds in the limit
/// of large `n` and misses `O(1/n)` of it at finite `n`. It is at most `2 P+`, and `2 P+` is a bound at every `n`; the smaller
/// the p-value, the less the two differ (relatively by `P+^3`), so that small p-values are exact.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::ks_p_value;
/// // one uniform number: P(D >= 0.9) = 0.2
/// assert!((ks_p_value(1, 0.9) - 0.2).abs() < 1e-3);
/// ```
pub fn ks_p_value(n: usize, d: f64) -> f64 {
    let one = one_sided(n, d);
    if one == 0.0 {
        return 0.0;
    }
    let t = (-0.5 * one.ln()).max(0.0).sqrt();
    if t < 1e-3 {
        return 1.0;
    }
    kolmogorov_tail(t)
}

/// Largest distance between the distribution functions of two sorted samples.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::ks_two_sample;
/// assert_eq!(ks_two_sample(&[1.0, 2.0], &[1.5, 3.0]), 0.5);
/// ```
pub fn ks_two_sample(x: &[f64], y: &[f64]) -> f64 {
    let (n, m) = (x.len() as f64, y.len() as f64);
    let (mut i, mut j, mut d) = (0, 0, 0.0f64);
    while i < x.len() && j < y.len() {
        // the total order, so that NaN ends nothing
        let at = if x[i].total_cmp(&y[j]).is_lt() {
            x[i]
        } else {
            y[j]
        };
        let up_to = |v: f64| v.total_cmp(&at).is_le();
        while i < x.len() && up_to(x[i]) {
            i += 1;
        }
        while j < y.len() && up_to(y[j]) {
            j += 1;
        }
        d = d.max((i as f64 / n - j as f64 / m).abs());
    }
    d
}

/// p-value of a distance `d` between two samples of one continuous law.
///
/// Exact for equal sizes (Gnedenko and Korolyuk 1951): `2 sum_j (-1)^(j-1) C(2n, n - jk) / C(2n, n)` with `k = n d`. For
/// unequal ones the limit law with the correction of Stephens (1970), good to a few per cent.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::ks_two_sample_p_value;
/// assert!((ks_two_sample_p_value(2, 2, 1.0) - 1.0 / 3.0).abs() < 1e-12); // 2 of the 6 orders
/// ```
pub fn ks_two_sample_p_value(n: usize, m: usize, d: f64) -> f64 {
    if n != m {
        let root = ((n * m) as f64 / (n + m) as f64).sqrt();
        return kolmogorov_tail(((root + 0.12 + 0.11 / root) * d).max(1e-3));
    }
    let k = (n as f64 * d).round() as usize;
    if k == 0 {
        return 1.0;
    }
    // C(2n, n - s) / C(2n, n) = prod_{i=1}^{s} (n - s + i) / (n + i)
    let ratio = |s: usize| -> f64 {
        (1..=s)
            .map(|i| (-(s as f64) / (n + i) as f64).ln_1p())
            .sum::<f64>()
            .exp()
    };
    let mut sum = 0.0;
    for j in 1..=n / k {
        let term = ratio(j * k);
        sum += if j % 2 == 1 { term } else { -term };
        if term < 1e-18 * sum {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}
