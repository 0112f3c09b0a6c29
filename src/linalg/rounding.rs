//! Scalar bookkeeping of rigorous bounds: every function errs on the safe side.
//!
//! Bounds are assembled from non-negative terms with a few dozen double operations. Instead of
//! rounding each one outward, an assembled upper bound is passed once through [`up`], which
//! covers 128 roundings, and a lower bound through [`down`].

/// Unit roundoff of `f64`, `2^-53`.
pub const U: f64 = f64::EPSILON / 2.0;

/// Relative slack that covers 128 roundings: `(1+u)^128 - 1 < 2^-45`.
const SLACK: f64 = 1.0 / (1u64 << 45) as f64;

/// An upper bound of a non-negative expression whose double evaluation took at most 128 roundings
/// of non-negative terms (no cancellation), or of a number of either sign known to `2^-45` of itself.
/// NaN becomes infinity.
pub fn up(x: f64) -> f64 {
    if x.is_nan() {
        return f64::INFINITY;
    }
    (x + x.abs() * SLACK).next_up()
}

/// A lower bound in the same sense; NaN and negative numbers become 0.
pub fn down(x: f64) -> f64 {
    let y = (x * (1.0 - SLACK)).next_down();
    if y > 0.0 { y } else { 0.0 }
}

/// Upper bound of `gamma_k = k u / (1 - k u)`, the relative error of a `k`-term inner product
/// (Higham, lemma 3.1; theorem: dot-product-error); infinite when `k u >= 1/2`.
pub fn gamma(k: usize) -> f64 {
    let ku = k as f64 * U;
    if ku >= 0.5 {
        return f64::INFINITY;
    }
    up(ku / (1.0 - ku))
}

/// `sqrt` rounded up; infinite for NaN.
pub fn sqrt_up(x: f64) -> f64 {
    if x.is_nan() {
        return f64::INFINITY;
    }
    x.max(0.0).sqrt().next_up()
}

/// The largest of non-negative terms; infinite if any is NaN, which `f64::max` would drop.
pub fn max_up(terms: impl IntoIterator<Item = f64>) -> f64 {
    terms.into_iter().fold(
        0.0,
        |m, t| {
            if t.is_nan() { f64::INFINITY } else { m.max(t) }
        },
    )
}

/// `sqrt` rounded down; 0 for negative input.
pub fn sqrt_down(x: f64) -> f64 {
    if x <= 0.0 {
        0.0
    } else {
        x.sqrt().next_down().max(0.0)
    }
}

/// Upper bound of the sum of non-negative terms; its error is covered for any count below 2^40.
pub fn sum_up(terms: impl Iterator<Item = f64>) -> f64 {
    let mut s = 0.0f64;
    let mut k = 0usize;
    for t in terms {
        s += t;
        k += 1;
    }
    up(s * (1.0 + gamma(k + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_covers_what_it_promises() {
        // (1 + u)^128 - 1 < 129 u < 2^-45
        const { assert!(129.0 * U < SLACK) };
        assert!(up(1.0) > 1.0 && down(1.0) < 1.0);
        assert_eq!(up(f64::NAN), f64::INFINITY);
        assert_eq!(sqrt_up(f64::NAN), f64::INFINITY);
        assert_eq!(max_up([1.0, f64::NAN, 2.0]), f64::INFINITY);
        assert!(up(-1.0) > -1.0 && up(-f64::MIN_POSITIVE) > -f64::MIN_POSITIVE);
        assert!(up(5e-324) > 5e-324 && down(5e-324) == 0.0);
        assert_eq!(down(f64::NAN), 0.0);
        assert_eq!(down(-1.0), 0.0);
        assert!(gamma(1usize << 53).is_infinite());
        assert!(sum_up([0.1; 10].into_iter()) >= 1.0);
    }
}
