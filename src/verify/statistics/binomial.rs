//! Exact binomial tests.

/// `ln n! - ln(sqrt(2 pi n) (n/e)^n)`.
fn stirling_error(n: f64) -> f64 {
    if n == 0.0 {
        return 0.0;
    }
    if n < 16.0 {
        const HALF_LN_TAU: f64 = 0.918_938_533_204_672_7;
        return libm::lgamma(n + 1.0) - (n + 0.5) * n.ln() + n - HALF_LN_TAU;
    }
    let s = 1.0 / (n * n);
    (1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s * (1.0 / 1680.0 - s / 1188.0)))) / n
}

/// `x ln(x/m) + m - x` without cancellation.
fn deviance(x: f64, m: f64) -> f64 {
    if (x - m).abs() < 0.1 * (x + m) {
        let v = (x - m) / (x + m);
        let mut sum = (x - m) * v;
        let mut term = 2.0 * x * v;
        for j in 1..1000 {
            term *= v * v;
            let next = sum + term / f64::from(2 * j + 1);
            if next == sum {
                break;
            }
            sum = next;
        }
        return sum;
    }
    if x == 0.0 {
        return m;
    }
    x * (x / m).ln() + m - x
}

/// `P(K = k)` for `K ~ Bin(n, p)`, by the saddle-point form of Loader (2000), accurate to a few ulps
/// of its logarithm at any `n`.
pub(super) fn mass(k: f64, n: f64, p: f64) -> f64 {
    let q = 1.0 - p;
    if p <= 0.0 || q <= 0.0 {
        let sure = if p <= 0.0 { 0.0 } else { n };
        return f64::from(u8::from(k == sure));
    }
    if k == 0.0 {
        return (n * (-p).ln_1p()).exp();
    }
    if k == n {
        return (n * p.ln()).exp();
    }
    let exponent = stirling_error(n)
        - stirling_error(k)
        - stirling_error(n - k)
        - deviance(k, n * p)
        - deviance(n - k, n * q);
    (n / (std::f64::consts::TAU * k * (n - k))).sqrt() * exponent.exp()
}

/// `P(K >= k)` where `k` is above the mean: a falling series.
fn upper(k: f64, n: f64, p: f64) -> f64 {
    if k > n {
        return 0.0;
    }
    let first = mass(k, n, p);
    let odds = p / (1.0 - p);
    let (mut sum, mut term, mut i) = (1.0, 1.0, k);
    while i < n && term > 1e-18 * sum {
        term *= (n - i) / (i + 1.0) * odds;
        sum += term;
        i += 1.0;
    }
    (first * sum).min(1.0)
}

/// `(P(K <= k), P(K >= k))` for `K ~ Bin(n, p)`. The tail away from the mean has full relative accuracy.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::binomial_tails;
/// let (below, above) = binomial_tails(1, 2, 0.5);
/// assert!((below - 0.75).abs() < 1e-14 && (above - 0.75).abs() < 1e-14);
/// ```
pub fn binomial_tails(k: u64, n: u64, p: f64) -> (f64, f64) {
    let (k, n) = (k as f64, n as f64);
    if p <= 0.0 || p >= 1.0 {
        let sure = if p <= 0.0 { 0.0 } else { n };
        return (
            f64::from(u8::from(k >= sure)),
            f64::from(u8::from(k <= sure)),
        );
    }
    if k > n * p {
        let above = upper(k, n, p);
        (1.0 - above + mass(k, n, p), above)
    } else {
        let below = upper(n - k, n, 1.0 - p);
        (below, 1.0 - below + mass(k, n, p))
    }
}

/// Exact p-value of `k` successes out of `n` at probability `p`: twice the smaller tail, the test
/// that belongs to the interval of Clopper and Pearson.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::binomial_p_value;
/// assert!((binomial_p_value(10, 10, 0.5) - 2.0 / 1024.0).abs() < 1e-15);
/// assert_eq!(binomial_p_value(5, 10, 0.5), 1.0);
/// ```
pub fn binomial_p_value(k: u64, n: u64, p: f64) -> f64 {
    let (below, above) = binomial_tails(k, n, p);
    (2.0 * below.min(above)).min(1.0)
}

/// The interval of Clopper and Pearson (1934) for a probability: all `p` that
/// [`binomial_p_value`] does not reject at level `alpha`. It covers with probability at least `1 - alpha`.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::clopper_pearson;
/// let (lo, hi) = clopper_pearson(0, 10, 0.05);
/// assert!(lo == 0.0 && (hi - (1.0 - 0.025f64.powf(0.1))).abs() < 1e-9);
/// ```
pub fn clopper_pearson(k: u64, n: u64, alpha: f64) -> (f64, f64) {
    let solve = |reject_low: &dyn Fn(f64) -> bool| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if reject_low(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        0.5 * (low + high)
    };
    let lower = if k == 0 {
        0.0
    } else {
        solve(&|p| binomial_tails(k, n, p).1 < 0.5 * alpha)
    };
    let upper = if k == n {
        1.0
    } else {
        solve(&|p| binomial_tails(k, n, p).0 > 0.5 * alpha)
    };
    (lower, upper)
}
