//! What a change of a matrix can do to its singular values and its condition number.
//!
//! All are exact inequalities, evaluated in floating point.
//!
//! ```
//! use isometer::bounds::perturbation::{multiplicative, weyl};
//! let (lo, hi) = weyl(2.0, 0.5);
//! assert!(lo <= 1.5 && 2.5 <= hi && hi - lo < 1.0 + 1e-14); // rounded outward
//! // rows scaled by between 1 and e, columns not at all: each singular value grows by that much at most
//! let (lo, hi) = multiplicative((0.0, 1.0), (0.0, 0.0));
//! assert!(lo.abs() < 1e-14 && (hi - 1.0).abs() < 1e-14);
//! ```

use crate::scale::{Enclosure, LogScale};

/// Interval of each singular value of `A + E` from those of `A`: `|sigma_i(A+E) - sigma_i(A)| <= |E|_2` (Weyl;
/// Horn and Johnson, Matrix Analysis, corollary 7.3.5). Theorem: singular-value-perturbation.
///
/// # Examples
/// ```
/// use isometer::bounds::perturbation::weyl;
/// let (lo, _) = weyl(0.1, 0.5);
/// assert_eq!(lo, 0.0); // may have become singular
/// ```
pub fn weyl(singular_value: f64, norm_of_change: f64) -> (f64, f64) {
    let lo = (singular_value - norm_of_change).next_down().max(0.0);
    (lo, (singular_value + norm_of_change).next_up())
}

/// Mirsky's bound on all singular values together: `sqrt(sum (sigma_i(A+E) - sigma_i(A))^2) <= |E|_F`. The excess of
/// the left side over the right one, for two spectra of one length in descending order: positive beyond
/// rounding means that they are not those of matrices that far apart.
///
/// # Examples
/// ```
/// use isometer::bounds::perturbation::mirsky_excess;
/// // diag(3, 4) to diag(3, 5) is a change of Frobenius norm 1: allowed, and just so
/// assert!(mirsky_excess(&[4.0, 3.0], &[5.0, 3.0], 1.0).abs() < 1e-14);
/// assert!(mirsky_excess(&[4.0, 3.0], &[5.0, 3.0], 0.9) > 0.09); // impossible
/// ```
pub fn mirsky_excess(before: &[f64], after: &[f64], frobenius_of_change: f64) -> f64 {
    let squares: f64 = before.iter().zip(after).map(|(a, b)| (a - b).powi(2)).sum();
    squares.sqrt() - frobenius_of_change
}

/// Interval of `kappa(A + E)` for `|E|_2 <= change`, from enclosures of the extreme singular values of `A`, rounded
/// outward; no upper end where `A + E` may be singular. `None` where a singular value does not fit in `f64`.
///
/// # Examples
/// ```
/// use isometer::bounds::perturbation::cond_after;
/// use isometer::scale::Enclosure;
/// let (max, min) = (Enclosure::point(4.0, 0).unwrap(), Enclosure::point(1.0, 0).unwrap());
/// let (lo, hi) = cond_after(&max, &min, 0.5).unwrap();
/// assert!((lo - 3.5 / 1.5).abs() < 1e-12 && (hi.unwrap() - 4.5 / 0.5).abs() < 1e-12);
/// assert_eq!(cond_after(&max, &min, 2.0).unwrap().1, None); // may be singular
/// ```
pub fn cond_after(
    sigma_max: &Enclosure,
    sigma_min: &Enclosure,
    change: f64,
) -> Option<(f64, Option<f64>)> {
    let (_, max_lo, max_hi) = sigma_max.to_linear()?;
    let (_, min_lo, min_hi) = sigma_min.to_linear()?;
    let top = (weyl(max_lo, change).0, weyl(max_hi, change).1);
    let bottom = (weyl(min_lo, change).0, weyl(min_hi, change).1);
    let hi = (bottom.0 > 0.0).then(|| (top.1 / bottom.0).next_up());
    Some(((top.0 / bottom.1).next_down().max(1.0), hi))
}

/// Interval of `ln sigma_i(D_1 A D_2)` relative to `ln sigma_i(A)` for nonsingular `D_1`, `D_2`, from the natural logarithms of
/// their extreme singular values `(smallest, largest)`: a relative bound, which holds for the smallest values as
/// well (Eisenstat and Ipsen, SIAM J. Numer. Anal. 32, 1995, theorem 3.3; Ostrowski). What rescaling
/// rows, columns or whole layers by `alpha` can do. Theorem: multiplicative-perturbation.
///
/// # Examples
/// ```
/// use isometer::bounds::perturbation::multiplicative;
/// // rows times 1/2 to 2, columns times 1 to 4
/// let ln2 = 2f64.ln();
/// let (lo, hi) = multiplicative((-ln2, ln2), (0.0, 2.0 * ln2));
/// assert!((lo + ln2).abs() < 1e-15 && (hi - 3.0 * ln2).abs() < 1e-14);
/// ```
pub fn multiplicative(left: (f64, f64), right: (f64, f64)) -> (f64, f64) {
    (left.0 + right.0, left.1 + right.1)
}

/// `|J|` after some layers are multiplied by `alpha`, from the logarithm of the norm before: every
/// singular value moves by the same factor `|alpha|^count`, so the condition number does not move.
/// Theorem: condition-of-multiples.
///
/// # Examples
/// ```
/// use isometer::bounds::perturbation::scaled;
/// use isometer::scale::LogScale;
/// // alpha = -1/2 on three layers
/// assert!((scaled(LogScale::ONE, -0.5, 3).to_linear().unwrap() - 0.125).abs() < 1e-15);
/// ```
pub fn scaled(norm: LogScale, alpha: f64, count: u32) -> LogScale {
    match LogScale::from_linear(alpha.abs()) {
        Some(a) => norm * a.powf(f64::from(count)),
        None => norm,
    }
}
