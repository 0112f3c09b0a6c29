//! Double-double arithmetic: an unevaluated sum `hi + lo` with `|lo| <= ulp(hi)/2`, about 106 bits.
//!
//! Error bounds (Joldes, Muller, Popescu, "Tight and rigorous error bounds for basic building
//! blocks of double-word arithmetic", ACM TOMS 44, 2017), relative, with `u = 2^-53`, barring
//! underflow and overflow: [`Dd::add`] 3u^2 + 13u^3 (their algorithm 6), [`Dd::mul`] 5u^2
//! (algorithm 12), [`Dd::scale`] 2u^2 (algorithm 9), [`Dd::div`], which corrects twice, 8u^2.
//! Theorem: double-double-error.
//! The kernel only ever quotes [`DD_EPS`], which covers all of them with room to spare.
//!
//! ```
//! use isometer::linalg::dd::{Dd, two_prod, two_sum};
//!
//! assert_eq!(two_sum(1e16, 1.0), (1e16, 1.0)); // the sum, and what rounding lost
//! assert_eq!(two_prod(1e8 + 1.0, 1e8 + 1.0), (10000000200000000.0, 1.0));
//! let root = Dd::from(2.0).sqrt();
//! assert!((root * root - Dd::from(2.0)).abs().to_f64() < 1e-30);
//! ```

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// Relative error bound of one double-double operation used throughout: `2^-102 > 10 * 2^-106`.
pub const DD_EPS: f64 = 1.0 / (1u128 << 102) as f64;

/// `a + b` as a rounded sum and its exact error (Knuth; any order of magnitude).
///
/// # Examples
/// ```
/// use isometer::linalg::dd::two_sum;
/// assert_eq!(two_sum(1.0, 2f64.powi(-60)), (1.0, 2f64.powi(-60)));
/// ```
#[inline(always)]
pub fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// `a + b` as a rounded sum and its exact error, for `|a| >= |b|` or `a = 0` (Dekker).
#[inline(always)]
pub fn quick_two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    (s, b - (s - a))
}

/// `a * b` as a rounded product and its exact error, barring underflow of the error.
///
/// # Examples
/// ```
/// use isometer::linalg::dd::two_prod;
/// let x = 1.0 + 2f64.powi(-30);
/// assert_eq!(two_prod(x, x), (1.0 + 2f64.powi(-29), 2f64.powi(-60)));
/// ```
#[inline(always)]
pub fn two_prod(a: f64, b: f64) -> (f64, f64) {
    let p = a * b;
    (p, a.mul_add(b, -p))
}

/// A double-double number.
///
/// # Examples
/// ```
/// use isometer::linalg::dd::Dd;
/// let third = Dd::from(1.0) / Dd::from(3.0);
/// assert!(third.lo != 0.0 && (third * Dd::from(3.0) - Dd::from(1.0)).to_f64().abs() < 1e-31);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dd {
    /// Leading part: the number rounded to nearest.
    pub hi: f64,
    /// Trailing part.
    pub lo: f64,
}

impl Dd {
    /// Zero.
    pub const ZERO: Dd = Dd { hi: 0.0, lo: 0.0 };
    /// One.
    pub const ONE: Dd = Dd { hi: 1.0, lo: 0.0 };

    /// Exact product of two doubles.
    #[inline(always)]
    pub fn from_product(a: f64, b: f64) -> Dd {
        let (hi, lo) = two_prod(a, b);
        Dd { hi, lo }
    }

    /// Magnitude.
    #[inline(always)]
    pub fn abs(self) -> Dd {
        if self.hi < 0.0 { -self } else { self }
    }

    /// Square root; zero for negative input.
    #[inline(always)]
    pub fn sqrt(self) -> Dd {
        if self.hi <= 0.0 {
            return Dd::ZERO;
        }
        let s = self.hi.sqrt();
        let r = self - Dd::from_product(s, s);
        let (hi, lo) = quick_two_sum(s, r.hi / (2.0 * s));
        Dd { hi, lo }
    }

    /// Product with a power of two or any double.
    #[inline(always)]
    pub fn scale(self, b: f64) -> Dd {
        let (p, e) = two_prod(self.hi, b);
        let (hi, lo) = quick_two_sum(p, self.lo.mul_add(b, e));
        Dd { hi, lo }
    }

    /// Rounded to the nearest double.
    #[inline(always)]
    pub fn to_f64(self) -> f64 {
        self.hi
    }
}

impl From<f64> for Dd {
    #[inline(always)]
    fn from(x: f64) -> Dd {
        Dd { hi: x, lo: 0.0 }
    }
}
impl Neg for Dd {
    type Output = Dd;
    #[inline(always)]
    fn neg(self) -> Dd {
        Dd {
            hi: -self.hi,
            lo: -self.lo,
        }
    }
}
impl Add for Dd {
    type Output = Dd;
    #[inline(always)]
    fn add(self, b: Dd) -> Dd {
        let (s, e) = two_sum(self.hi, b.hi);
        let (t, f) = two_sum(self.lo, b.lo);
        let (s, e) = quick_two_sum(s, e + t);
        let (hi, lo) = quick_two_sum(s, e + f);
        Dd { hi, lo }
    }
}
impl Sub for Dd {
    type Output = Dd;
    #[inline(always)]
    fn sub(self, b: Dd) -> Dd {
        self + (-b)
    }
}
impl Mul for Dd {
    type Output = Dd;
    #[inline(always)]
    fn mul(self, b: Dd) -> Dd {
        let (p, e) = two_prod(self.hi, b.hi);
        let t = self.lo * b.lo;
        let t = self.hi.mul_add(b.lo, t);
        let t = self.lo.mul_add(b.hi, t);
        let (hi, lo) = quick_two_sum(p, e + t);
        Dd { hi, lo }
    }
}
impl Div for Dd {
    type Output = Dd;
    #[inline(always)]
    fn div(self, b: Dd) -> Dd {
        let q = self.hi / b.hi;
        // 2^+-inf quotients carry no correction
        if !q.is_finite() || q == 0.0 {
            return Dd { hi: q, lo: 0.0 };
        }
        let r = self - b.scale(q);
        let (q, e) = quick_two_sum(q, r.hi / b.hi);
        let r = self - b * Dd { hi: q, lo: e };
        let (hi, lo) = quick_two_sum(q, e + r.hi / b.hi);
        Dd { hi, lo }
    }
}
macro_rules! assign {
    ($($tr:ident $f:ident $op:tt),*) => {$(
        impl $tr for Dd {
            #[inline(always)]
            fn $f(&mut self, b: Dd) { *self = *self $op b; }
        }
    )*};
}
assign!(AddAssign add_assign +, SubAssign sub_assign -, MulAssign mul_assign *, DivAssign div_assign /);

impl PartialOrd for Dd {
    fn partial_cmp(&self, b: &Dd) -> Option<std::cmp::Ordering> {
        match self.hi.partial_cmp(&b.hi) {
            Some(std::cmp::Ordering::Equal) => self.lo.partial_cmp(&b.lo),
            other => other,
        }
    }
}

/// The real scalar the small dense algorithms are written over: `f64` or [`Dd`].
pub trait Real:
    Copy
    + std::fmt::Debug
    + PartialOrd
    + From<f64>
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Send
    + Sync
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Bound on the relative error of one operation.
    const EPS: f64;
    /// Magnitude.
    fn abs(self) -> Self;
    /// Square root (zero for negative input).
    fn sqrt(self) -> Self;
    /// Multiplication by a double (exact for powers of two, barring underflow).
    fn scale(self, b: f64) -> Self;
    /// Rounded to the nearest double.
    fn to_f64(self) -> f64;
}

impl Real for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const EPS: f64 = f64::EPSILON / 2.0;
    #[inline(always)]
    fn abs(self) -> f64 {
        f64::abs(self)
    }
    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self.max(0.0))
    }
    #[inline(always)]
    fn scale(self, b: f64) -> f64 {
        self * b
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}

impl Real for Dd {
    const ZERO: Dd = Dd::ZERO;
    const ONE: Dd = Dd::ONE;
    const EPS: f64 = DD_EPS;
    #[inline(always)]
    fn abs(self) -> Dd {
        Dd::abs(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Dd {
        Dd::sqrt(self)
    }
    #[inline(always)]
    fn scale(self, b: f64) -> Dd {
        Dd::scale(self, b)
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self.hi
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Theorem: error-free-transformations.
        #[test]
        fn transformations_are_error_free(a in -1e6f64..1e6, b in -1e6f64..1e6) {
            // Exact in integers: scale to a grid where everything fits in i128.
            let (a, b) = ((a * 1048576.0).round(), (b * 1048576.0).round());
            let (p, e) = two_prod(a, b);
            prop_assert_eq!(p as i128 + e as i128, (a as i128) * (b as i128));
            let (s, t) = two_sum(a, b * 1048576.0);
            prop_assert_eq!(s as i128 + t as i128, a as i128 + (b * 1048576.0) as i128);
        }

        /// Theorem: double-double-error. Addition, also under cancellation, and multiplication,
        /// against integers.
        #[test]
        fn operations_obey_their_bounds(a in 0.5f64..1.0, b in -1.0f64..-0.5, k in -999i64..999, l in -999i64..999, near in 0u8..3) {
            use crate::linalg::dense::tests::int;
            use dashu_int::ops::Abs;
            let tail = |k: i64| k as f64 * 2f64.powi(-64);
            let x = Dd { hi: a, lo: tail(k) };
            let y = match near {
                0 => Dd { hi: b, lo: tail(l) },
                // all but the last bits cancel
                1 => Dd { hi: -a, lo: tail(l) },
                _ => Dd { hi: -a.next_up(), lo: tail(l) },
            };
            let exact = |d: Dd, e| int(d.hi, e) + int(d.lo, e);
            let (sum, product) = (x + y, x * y);
            let truth = exact(x, 400) + exact(y, 400);
            prop_assert!(((exact(sum, 400) - &truth).abs() << 106usize) <= truth.abs() * 4);
            let truth = exact(x, 400) * exact(y, 400);
            let off = (exact(product, 800) - &truth).abs() << 106usize;
            prop_assert!(off <= truth.clone().abs() * 5);
            // Notices: a double product is outside.
            let off = (int(x.hi * y.hi, 800) - &truth).abs() << 106usize;
            prop_assert!(off > truth.abs() * 16 || (k == 0 && l == 0));
        }

        #[test]
        fn division_and_square_root_invert(a in 1e-3f64..1e3, l in -1e-17f64..1e-17, b in 1e-3f64..1e3) {
            let x = Dd::from(a) + Dd::from(a * l);
            let y = Dd::from(b);
            let back = x / y * y - x;
            prop_assert!(back.abs().hi <= 8.0 * DD_EPS * a);
            let r = x.sqrt();
            prop_assert!((r * r - x).abs().hi <= 8.0 * DD_EPS * a);
        }
    }
}
