//! Magnitudes kept as logarithms, bounds with a direction, enclosures, and the words for what a number is worth.
//!
//! *How is a number written that no `f64` holds, and how is it said what it can be relied on for?*
//!
//! | type | holds | start with |
//! |---|---|---|
//! | [`LogScale`] | a magnitude `x >= 0` as `ln x` | [`LogScale::from_linear`], [`LogScale::log10`] |
//! | [`Enclosure`] | `lo <= x <= hi` around a best value | [`Enclosure::to_linear`], [`Enclosure::log10`] |
//! | [`UpperBound`], [`LowerBound`] | one end of an interval, rounded away from the truth | [`UpperBound::over`] |
//! | [`Certainty`] | the word: certified, exact, upper, lower, asymptotic, estimate ... | [`Certainty::as_str`] |
//!
//! Norms of long products leave the range of `f64` (about 1e±308) long before they stop being meaningful: a hundred
//! layers of gain 2000 make 1e330. [`LogScale`] holds a non-negative real as its natural logarithm. Its operators
//! mean what they mean for the quantity: `*` and `/` exist; a sum is the named method [`LogScale::plus`], because
//! `+` on logarithms would silently multiply.
//!
//! ```compile_fail
//! use isometer::scale::LogScale;
//! let sum = LogScale::ONE + LogScale::ONE; // no `+`: write `plus`
//! ```
//! ```
//! use isometer::scale::LogScale;
//! let sum = LogScale::ONE.plus(LogScale::ONE);
//! assert!((sum.to_linear().unwrap() - 2.0).abs() < 1e-15);
//!
//! let norm = LogScale::from_linear(2000.0).unwrap().powf(100.0);
//! assert!((norm.log10() - 330.10299956639813).abs() < 1e-9);
//! assert!(norm.to_linear().is_none()); // refused, not infinity
//! ```
//!
//! An [`Enclosure`] carries its limits through quotients, products and roots, rounded outward, so that a proof
//! stays one:
//!
//! ```
//! use isometer::scale::Enclosure;
//! let sigma_max = Enclosure::new(3.0, 2.999, 3.001, 0).unwrap();
//! let sigma_min = Enclosure::new(0.5, 0.499, 0.501, 0).unwrap();
//! let (kappa, lo, hi) = sigma_max.ratio(&sigma_min).to_linear().unwrap();
//! assert_eq!(kappa, 6.0);
//! assert!(lo <= 2.999 / 0.501 && 3.001 / 0.499 <= hi);
//! ```

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Div, Mul};

mod enclosure;

pub use enclosure::Enclosure;

/// What a number is worth. The same words appear in types, JSON and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// A proved enclosure, rounding included.
    Certified,
    /// A closed form.
    Exact,
    /// A proved upper bound.
    Upper,
    /// A proved lower bound.
    Lower,
    /// True except with a stated failure probability.
    Probabilistic,
    /// True in a stated limit.
    Asymptotic,
    /// An estimate that carries its standard or predicted error.
    Estimate,
}

impl Certainty {
    /// The word used in JSON and tables.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Certainty;
    /// assert_eq!(Certainty::Certified.to_string(), "certified");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Certainty::Certified => "certified",
            Certainty::Exact => "exact",
            Certainty::Upper => "upper",
            Certainty::Lower => "lower",
            Certainty::Probabilistic => "probabilistic",
            Certainty::Asymptotic => "asymptotic",
            Certainty::Estimate => "estimate",
        }
    }
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A non-negative magnitude stored as its natural logarithm; zero and infinity are legal values.
///
/// The logarithm is a rounded `f64`: the relative error of the magnitude is about
/// `|ln x| * 2^-53`, which is why results of long products also state an error in the logarithm.
///
/// # Examples
/// ```
/// use isometer::scale::LogScale;
/// let tiny = LogScale::from_scaled(1.0, -2000).unwrap(); // 2^-2000
/// let huge = LogScale::from_log2(2003.0).unwrap();
/// assert!(((tiny * huge).to_linear().unwrap() - 8.0).abs() < 1e-11);
/// assert!((huge / LogScale::ZERO).is_infinite()); // a condition number
/// assert!(tiny < LogScale::ONE);
/// ```
#[derive(Clone, Copy, PartialEq)]
pub struct LogScale {
    ln: f64,
}

impl LogScale {
    /// The magnitude zero.
    pub const ZERO: LogScale = LogScale {
        ln: f64::NEG_INFINITY,
    };
    /// The magnitude one.
    pub const ONE: LogScale = LogScale { ln: 0.0 };
    /// An infinite magnitude (a condition number of a singular matrix).
    pub const INFINITY: LogScale = LogScale { ln: f64::INFINITY };

    /// From a natural logarithm; `None` for NaN.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::LogScale;
    /// assert_eq!(LogScale::from_ln(0.0), Some(LogScale::ONE));
    /// assert_eq!(LogScale::from_ln(f64::NAN), None);
    /// ```
    pub fn from_ln(ln: f64) -> Option<LogScale> {
        (!ln.is_nan()).then_some(LogScale { ln })
    }

    /// From a base-2 logarithm; `None` for NaN.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::LogScale;
    /// assert!((LogScale::from_log2(-3.0).unwrap().to_linear().unwrap() - 0.125).abs() < 1e-15);
    /// ```
    pub fn from_log2(log2: f64) -> Option<LogScale> {
        LogScale::from_ln(log2 * std::f64::consts::LN_2)
    }

    /// From a plain number; `None` for negative numbers and NaN.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::LogScale;
    /// assert!((LogScale::from_linear(1000.0).unwrap().log10() - 3.0).abs() < 1e-15);
    /// assert_eq!(LogScale::from_linear(0.0), Some(LogScale::ZERO));
    /// assert_eq!(LogScale::from_linear(-1.0), None);
    /// ```
    pub fn from_linear(x: f64) -> Option<LogScale> {
        (x >= 0.0).then(|| LogScale { ln: x.ln() })
    }

    /// `mantissa * 2^exponent` without forming it; `None` for negative or NaN mantissas.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::LogScale;
    /// // 0.75 * 2^5000
    /// assert!((LogScale::from_scaled(0.75, 5000).unwrap().log2() - 4999.584962500721).abs() < 1e-9);
    /// ```
    pub fn from_scaled(mantissa: f64, exponent: i64) -> Option<LogScale> {
        LogScale::from_linear(mantissa).map(|m| LogScale {
            ln: m.ln + exponent as f64 * std::f64::consts::LN_2,
        })
    }

    /// Natural logarithm (`-inf` for zero).
    pub fn ln(self) -> f64 {
        self.ln
    }

    /// Base-10 logarithm.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::LogScale;
    /// assert!((LogScale::from_ln(-1e5).unwrap().log10() + 43429.44819032518).abs() < 1e-9);
    /// ```
    pub fn log10(self) -> f64 {
        self.ln / std::f64::consts::LN_10
    }

    /// Base-2 logarithm.
    pub fn log2(self) -> f64 {
        self.ln / std::f64::consts::LN_2
    }

    /// The plain number, or `None` where a finite non-zero magnitude would overflow or underflow.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::LogScale;
    /// assert!(LogScale::from_log2(-2000.0).unwrap().to_linear().is_none());
    /// assert_eq!(LogScale::from_log2(-2000.0).unwrap().to_linear_saturating(), 0.0);
    /// assert_eq!(LogScale::ZERO.to_linear(), Some(0.0)); // a true zero is no underflow
    /// ```
    pub fn to_linear(self) -> Option<f64> {
        let x = self.ln.exp();
        let lost = (x == 0.0 && self.ln > f64::NEG_INFINITY)
            || (x.is_infinite() && self.ln < f64::INFINITY);
        (!lost).then_some(x)
    }

    /// The plain number, saturated to 0 or infinity outside the range of `f64`.
    pub fn to_linear_saturating(self) -> f64 {
        self.ln.exp()
    }

    /// Sum of two magnitudes, stable for any difference of scale.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::LogScale;
    /// // 2^2000 + 2^2000 = 2^2001
    /// let x = LogScale::from_log2(2000.0).unwrap();
    /// assert!((x.plus(x).log2() - 2001.0).abs() < 1e-9);
    /// ```
    pub fn plus(self, other: LogScale) -> LogScale {
        let (hi, lo) = if self.ln >= other.ln {
            (self.ln, other.ln)
        } else {
            (other.ln, self.ln)
        };
        if lo == f64::NEG_INFINITY || hi == f64::INFINITY {
            return LogScale { ln: hi };
        }
        LogScale {
            ln: hi + (lo - hi).exp().ln_1p(),
        }
    }

    /// The magnitude raised to a real power; `0^0 = 1`.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::LogScale;
    /// let layer = LogScale::from_linear(10.0).unwrap();
    /// assert!((layer.powf(500.0).log10() - 500.0).abs() < 1e-9);
    /// ```
    pub fn powf(self, p: f64) -> LogScale {
        LogScale {
            ln: if p == 0.0 { 0.0 } else { self.ln * p },
        }
    }

    /// Whether the magnitude is zero.
    pub fn is_zero(self) -> bool {
        self.ln == f64::NEG_INFINITY
    }

    /// Whether the magnitude is infinite.
    pub fn is_infinite(self) -> bool {
        self.ln == f64::INFINITY
    }
}

impl Mul for LogScale {
    type Output = LogScale;
    /// Product; `0 * inf` is zero, as for a zero layer in an unbounded chain.
    fn mul(self, other: LogScale) -> LogScale {
        if self.is_zero() || other.is_zero() {
            return LogScale::ZERO;
        }
        LogScale {
            ln: self.ln + other.ln,
        }
    }
}

impl Div for LogScale {
    type Output = LogScale;
    /// Quotient; `x / 0` is infinite for every `x`, zero included, as a condition number must be.
    fn div(self, other: LogScale) -> LogScale {
        if other.is_zero() {
            return LogScale::INFINITY;
        }
        if self.is_zero() || other.is_infinite() {
            return LogScale::ZERO;
        }
        LogScale {
            ln: self.ln - other.ln,
        }
    }
}

impl PartialOrd for LogScale {
    fn partial_cmp(&self, other: &LogScale) -> Option<Ordering> {
        self.ln.partial_cmp(&other.ln)
    }
}

impl fmt::Debug for LogScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogScale(10^{})", self.log10())
    }
}

/// A proved upper bound of a non-negative quantity.
///
/// Arithmetic rounds up. A quotient takes an upper numerator and a *lower* denominator
/// ([`UpperBound::over`]), so the classic mistake of dividing two upper bounds does not compile:
///
/// ```compile_fail
/// use isometer::scale::UpperBound;
/// let a = UpperBound::new(2.0).unwrap();
/// let q = a.over(a); // needs a LowerBound below the bar
/// ```
/// ```
/// use isometer::scale::{LowerBound, UpperBound};
/// let a = UpperBound::new(2.0).unwrap();
/// let q = a.over(LowerBound::new(0.5).unwrap());
/// assert!(q.get() >= 4.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct UpperBound(f64);

/// A proved lower bound of a non-negative quantity. Arithmetic rounds down; never below zero.
///
/// # Examples
/// ```
/// use isometer::scale::{LowerBound, UpperBound};
/// // |1 - x| >= 1 - 0.3 for |x| <= 0.3, never rounded up
/// let rest = LowerBound::new(1.0).unwrap().minus(UpperBound::new(0.3).unwrap());
/// assert!(rest.get() <= 0.7 && rest.get() > 0.7 - 1e-15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct LowerBound(f64);

impl UpperBound {
    /// Wraps a proved bound; `None` for negative numbers and NaN.
    pub fn new(x: f64) -> Option<UpperBound> {
        (x >= 0.0).then_some(UpperBound(x))
    }
    /// The bound that always holds.
    pub const INFINITE: UpperBound = UpperBound(f64::INFINITY);
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
    /// Sum, rounded up.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::UpperBound;
    /// let third = UpperBound::new(1.0 / 3.0).unwrap();
    /// assert!(third.plus(third).plus(third).get() > 1.0); // never below the sum
    /// ```
    pub fn plus(self, other: UpperBound) -> UpperBound {
        UpperBound((self.0 + other.0).next_up())
    }
    /// Product, rounded up (`0 * inf` is `inf`: nothing is known about the second factor).
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::UpperBound;
    /// let zero = UpperBound::new(0.0).unwrap();
    /// assert_eq!(zero.times(UpperBound::INFINITE), UpperBound::INFINITE);
    /// ```
    pub fn times(self, other: UpperBound) -> UpperBound {
        let p = self.0 * other.0;
        UpperBound(if p.is_nan() {
            f64::INFINITY
        } else {
            p.next_up()
        })
    }
    /// Quotient by a lower bound, rounded up; infinite when the lower bound is zero.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::{LowerBound, UpperBound};
    /// let one = UpperBound::new(1.0).unwrap();
    /// assert!(one.over(LowerBound::new(3.0).unwrap()).get() > 1.0 / 3.0);
    /// assert_eq!(one.over(LowerBound::ZERO), UpperBound::INFINITE);
    /// ```
    pub fn over(self, below: LowerBound) -> UpperBound {
        if below.0 == 0.0 {
            return UpperBound(f64::INFINITY);
        }
        let q = self.0 / below.0;
        UpperBound(if q.is_nan() {
            f64::INFINITY
        } else {
            q.next_up()
        })
    }
    /// Square root, rounded up.
    pub fn sqrt(self) -> UpperBound {
        UpperBound(self.0.sqrt().next_up())
    }
}

impl LowerBound {
    /// The bound that always holds.
    pub const ZERO: LowerBound = LowerBound(0.0);
    /// Wraps a proved bound; `None` for negative numbers and NaN.
    pub fn new(x: f64) -> Option<LowerBound> {
        (x >= 0.0).then_some(LowerBound(x))
    }
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
    /// Sum, rounded down.
    pub fn plus(self, other: LowerBound) -> LowerBound {
        LowerBound((self.0 + other.0).next_down().max(0.0))
    }
    /// Difference with an upper bound, rounded down and clipped at zero.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::{LowerBound, UpperBound};
    /// let small = LowerBound::new(0.1).unwrap();
    /// assert_eq!(small.minus(UpperBound::new(0.5).unwrap()), LowerBound::ZERO); // clipped
    /// ```
    pub fn minus(self, other: UpperBound) -> LowerBound {
        let d = self.0 - other.0;
        LowerBound(if d.is_nan() {
            0.0
        } else {
            d.next_down().max(0.0)
        })
    }
    /// Product, rounded down.
    pub fn times(self, other: LowerBound) -> LowerBound {
        let p = self.0 * other.0;
        LowerBound(if p.is_nan() {
            0.0
        } else {
            p.next_down().max(0.0)
        })
    }
    /// Quotient by an upper bound, rounded down; zero when the upper bound is infinite.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::{LowerBound, UpperBound};
    /// let q = LowerBound::new(1.0).unwrap().over(UpperBound::new(3.0).unwrap());
    /// assert!(q.get() < 1.0 / 3.0 && q.get() > 0.333333);
    /// ```
    pub fn over(self, above: UpperBound) -> LowerBound {
        let q = self.0 / above.0;
        LowerBound(if q.is_nan() {
            0.0
        } else {
            q.next_down().max(0.0)
        })
    }
    /// Square root, rounded down.
    pub fn sqrt(self) -> LowerBound {
        LowerBound(self.0.sqrt().next_down().max(0.0))
    }
}

/// `m * 2^e` with one rounding at most, saturating; `e` may be any integer.
///
/// # Examples
/// ```
/// use isometer::scale::ldexp;
/// assert_eq!(ldexp(0.75, 4), 12.0);
/// assert_eq!(ldexp(1.0, -100_000), 0.0);
/// ```
pub fn ldexp(m: f64, e: i64) -> f64 {
    libm::ldexp(m, e.clamp(-5000, 5000) as i32)
}

/// `m * 2^e` rounded down (for non-negative `m`).
pub fn ldexp_down(m: f64, e: i64) -> f64 {
    let x = ldexp(m, e);
    if e == 0 || m == 0.0 || ldexp(x, -e) == m && x.is_finite() {
        return x;
    }
    x.next_down().max(0.0)
}

/// `m * 2^e` rounded up (for non-negative `m`).
///
/// # Examples
/// ```
/// use isometer::scale::{ldexp_down, ldexp_up};
/// // 1 + 2^-52 does not fit among the subnormal numbers
/// let x = 1.0 + f64::EPSILON;
/// assert!(ldexp_down(x, -1070) < ldexp_up(x, -1070));
/// assert_eq!(ldexp_up(x, 10), 1024.0 * x); // exact
/// ```
pub fn ldexp_up(m: f64, e: i64) -> f64 {
    let x = ldexp(m, e);
    if e == 0 || m == 0.0 || ldexp(x, -e) == m && x.is_finite() {
        return x;
    }
    x.next_up()
}

/// Binary exponent `floor(log2 |x|)` of a finite non-zero number, subnormals included.
///
/// # Examples
/// ```
/// use isometer::scale::exponent_of;
/// assert_eq!(exponent_of(-12.0), 3); // 8 <= 12 < 16
/// assert_eq!(exponent_of(f64::from_bits(1)), -1074);
/// ```
pub fn exponent_of(x: f64) -> i32 {
    let bits = x.to_bits() & 0x7fff_ffff_ffff_ffff;
    let biased = (bits >> 52) as i32;
    if biased == 0 {
        // subnormal: position of the leading bit
        63 - bits.leading_zeros() as i32 - 1074
    } else {
        biased - 1023
    }
}
