//! Matrix norms that neither overflow nor underflow.
//!
//! Every norm is computed on entries scaled by a power of two to magnitude at most 1 and returned
//! as an [`Enclosure`] that covers the rounding of the sum.

use super::rounding::{gamma, up};
use super::view::{MatrixRef, NonFinite};
use crate::scale::{Enclosure, exponent_of, ldexp};

/// Largest absolute column sum `|A|_1`.
///
/// # Errors
/// The first entry that is NaN or infinite.
pub fn one(a: &MatrixRef<'_>) -> Result<Enclosure, NonFinite> {
    inf(&a.transposed())
}

/// Largest absolute row sum `|A|_inf`.
///
/// # Errors
/// The first entry that is NaN or infinite.
pub fn inf(a: &MatrixRef<'_>) -> Result<Enclosure, NonFinite> {
    let e = scale(a)?;
    let mut best = 0.0f64;
    for i in 0..a.rows() {
        let sum: f64 = (0..a.cols()).map(|j| magnitude(a.get(i, j), e)).sum();
        best = best.max(sum);
    }
    // n additions; the modulus of a complex entry adds two roundings
    Ok(around(best, gamma(a.cols() + 4), e))
}

/// Frobenius norm: the root of the sum of squared moduli.
///
/// # Errors
/// The first entry that is NaN or infinite.
pub fn frobenius(a: &MatrixRef<'_>) -> Result<Enclosure, NonFinite> {
    let e = scale(a)?;
    let mut total = 0.0f64;
    for i in 0..a.rows() {
        // one partial sum a row keeps the rounding at rows + cols terms
        let row: f64 = (0..a.cols())
            .map(|j| {
                let (re, im) = a.get(i, j);
                let (re, im) = (ldexp(re, -e), ldexp(im, -e));
                re * re + im * im
            })
            .sum();
        total += row;
    }
    Ok(around(total.sqrt(), gamma(a.rows() + a.cols() + 6), e))
}

/// Largest modulus of an entry.
///
/// # Errors
/// The first entry that is NaN or infinite.
pub fn max(a: &MatrixRef<'_>) -> Result<Enclosure, NonFinite> {
    let e = scale(a)?;
    let mut best = 0.0f64;
    for i in 0..a.rows() {
        for j in 0..a.cols() {
            best = best.max(magnitude(a.get(i, j), e));
        }
    }
    let relative = if a.element_type().is_complex() {
        gamma(4)
    } else {
        0.0
    };
    Ok(around(best, relative, e))
}

/// Exponent that brings the largest component into `[1/2, 1)`.
fn scale(a: &MatrixRef<'_>) -> Result<i64, NonFinite> {
    match a.first_nonfinite() {
        Some(bad) => Err(bad),
        None => {
            let m = a.max_component();
            Ok(if m == 0.0 {
                0
            } else {
                i64::from(exponent_of(m)) + 1
            })
        }
    }
}

fn magnitude((re, im): (f64, f64), e: i64) -> f64 {
    let (re, im) = (ldexp(re, -e), ldexp(im, -e));
    if im == 0.0 {
        re.abs()
    } else {
        libm::hypot(re, im)
    }
}

/// `x` within a relative error, and within what underflow below 2^-1000 of the largest entry may hide.
fn around(x: f64, relative: f64, e: i64) -> Enclosure {
    if x == 0.0 || relative == 0.0 {
        return Enclosure::point(x, e).unwrap_or(Enclosure::ZERO);
    }
    let slack = up(x * relative + 1e-290);
    Enclosure::new(x, (x - slack).max(0.0), up(x + slack), e).unwrap_or(Enclosure::ZERO)
}
