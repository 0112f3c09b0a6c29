//! Magnitudes kept as logarithms, bounds with a direction, and enclosures.
//!
//! Norms of long products leave the range of `f64` (about 1e±308) long before they stop being
//! meaningful. [`LogScale`] holds a non-negative real as its natural logarithm. Its operators mean
//! what they mean for the quantity: `*` and `/` exist; a sum is the named method
//! [`LogScale::plus`], because `+` on logarithms would silently multiply.
//!
//! ```compile_fail
//! use isometer::scale::LogScale;
//! let sum = LogScale::ONE + LogScale::ONE; // no `+`: write `plus`
//! ```
//! ```
//! use isometer::scale::LogScale;
//! let sum = LogScale::ONE.plus(LogScale::ONE);
//! assert!((sum.to_linear().unwrap() - 2.0).abs() < 1e-15);
//! ```

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Div, Mul};

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
    pub fn from_ln(ln: f64) -> Option<LogScale> {
        (!ln.is_nan()).then_some(LogScale { ln })
    }

    /// From a base-2 logarithm; `None` for NaN.
    pub fn from_log2(log2: f64) -> Option<LogScale> {
        LogScale::from_ln(log2 * std::f64::consts::LN_2)
    }

    /// From a plain number; `None` for negative numbers and NaN.
    pub fn from_linear(x: f64) -> Option<LogScale> {
        (x >= 0.0).then(|| LogScale { ln: x.ln() })
    }

    /// `mantissa * 2^exponent` without forming it; `None` for negative or NaN mantissas.
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
    pub fn log10(self) -> f64 {
        self.ln / std::f64::consts::LN_10
    }

    /// Base-2 logarithm.
    pub fn log2(self) -> f64 {
        self.ln / std::f64::consts::LN_2
    }

    /// The plain number, or `None` where a finite non-zero magnitude would overflow or underflow.
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
    pub fn plus(self, other: UpperBound) -> UpperBound {
        UpperBound((self.0 + other.0).next_up())
    }
    /// Product, rounded up (`0 * inf` is `inf`: nothing is known about the second factor).
    pub fn times(self, other: UpperBound) -> UpperBound {
        let p = self.0 * other.0;
        UpperBound(if p.is_nan() {
            f64::INFINITY
        } else {
            p.next_up()
        })
    }
    /// Quotient by a lower bound, rounded up; infinite when the lower bound is zero.
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

/// A magnitude `value` together with proved (or, for estimates, predicted) limits `lo <= hi`.
///
/// Limits are held as `f64` mantissas times a common power of two, so that singular values near
/// the ends of the range of `f64` and condition numbers beyond it keep full relative precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Enclosure {
    value: f64,
    lo: f64,
    hi: f64,
    exponent: i64,
}

impl Enclosure {
    /// The point zero.
    pub const ZERO: Enclosure = Enclosure {
        value: 0.0,
        lo: 0.0,
        hi: 0.0,
        exponent: 0,
    };

    /// The enclosure that always holds, `[0, inf]`.
    pub const UNKNOWN: Enclosure = Enclosure {
        value: f64::INFINITY,
        lo: 0.0,
        hi: f64::INFINITY,
        exponent: 0,
    };

    /// `[lo, hi] * 2^exponent` around `value * 2^exponent`; the value is clamped into the limits.
    /// `None` when the limits are not ordered, negative, or NaN.
    pub fn new(value: f64, lo: f64, hi: f64, exponent: i64) -> Option<Enclosure> {
        if !(lo >= 0.0 && lo <= hi) || value.is_nan() {
            return None;
        }
        Some(Enclosure {
            value: value.clamp(lo, hi),
            lo,
            hi,
            exponent,
        })
    }

    /// A point known exactly: `x * 2^exponent`.
    pub fn point(x: f64, exponent: i64) -> Option<Enclosure> {
        Enclosure::new(x, x, x, exponent)
    }

    /// An infinite condition number: everything at infinity.
    pub fn infinite() -> Enclosure {
        Enclosure {
            value: f64::INFINITY,
            lo: f64::INFINITY,
            hi: f64::INFINITY,
            exponent: 0,
        }
    }

    /// Value as a logarithm.
    pub fn value(&self) -> LogScale {
        scaled(self.value, self.exponent)
    }
    /// Lower limit as a logarithm (rounded to nearest; see [`Enclosure::to_linear`] for outward rounding).
    pub fn lo(&self) -> LogScale {
        scaled(self.lo, self.exponent)
    }
    /// Upper limit as a logarithm (rounded to nearest; see [`Enclosure::to_linear`] for outward rounding).
    pub fn hi(&self) -> LogScale {
        scaled(self.hi, self.exponent)
    }

    /// `(value, lo, hi)` as plain numbers, limits rounded outward; `None` if the finite non-zero
    /// value does not fit in `f64`.
    pub fn to_linear(&self) -> Option<(f64, f64, f64)> {
        let value = ldexp(self.value, self.exponent);
        let lost =
            self.value != 0.0 && self.value.is_finite() && (value == 0.0 || value.is_infinite());
        (!lost).then(|| {
            (
                value,
                ldexp_down(self.lo, self.exponent),
                ldexp_up(self.hi, self.exponent),
            )
        })
    }

    /// `(value, lo, hi, exponent)`: the limits as they are held, without rounding, each to be
    /// multiplied by `2^exponent`.
    pub fn scaled(&self) -> (f64, f64, f64, i64) {
        (self.value, self.lo, self.hi, self.exponent)
    }

    /// `(value, lo, hi)` as base-10 logarithms, limits rounded outward: exact statements about
    /// magnitudes that no `f64` holds.
    pub fn log10(&self) -> (f64, f64, f64) {
        let part = |m: f64| -> (f64, f64) {
            if m == 0.0 || m.is_infinite() {
                return (m.log10(), 0.0);
            }
            let (a, b) = (m.log10(), self.exponent as f64 * std::f64::consts::LOG10_2);
            // One ulp for log10, one for the product (constant and multiplication), half for the
            // sum, each at most EPSILON relative to its operand; doubled.
            (a + b, 4.0 * f64::EPSILON * (a.abs() + b.abs()))
        };
        let plain = ldexp(self.value, self.exponent);
        let value = if plain.is_normal() {
            plain.log10()
        } else {
            part(self.value).0
        };
        let (lo, below) = part(self.lo);
        let (hi, above) = part(self.hi);
        (value, lo - below, hi + above)
    }

    /// Relative width `(hi - lo) / lo`; infinite when `lo` is zero and `hi` is not.
    pub fn relative_width(&self) -> f64 {
        if self.hi == self.lo {
            0.0
        } else {
            (self.hi - self.lo) / self.lo
        }
    }

    /// Whether the lower limit is strictly positive.
    pub fn is_positive(&self) -> bool {
        self.lo > 0.0
    }

    /// Whether the enclosure is the single point zero.
    pub fn is_zero(&self) -> bool {
        self.hi == 0.0
    }

    /// The same magnitude multiplied by `2^k`.
    pub fn shifted(mut self, k: i64) -> Enclosure {
        self.exponent += k;
        self
    }

    /// Quotient of two enclosures of non-negative quantities, limits rounded outward.
    /// A zero denominator gives an upper limit of infinity; `0/0` is infinite by convention.
    pub fn ratio(&self, below: &Enclosure) -> Enclosure {
        if below.hi == 0.0 {
            return Enclosure::infinite();
        }
        let (above, below) = (self.normalised(), below.normalised());
        let hi = if below.lo == 0.0 {
            f64::INFINITY
        } else {
            let q = above.hi / below.lo;
            // NaN: infinity over infinity
            if q.is_nan() { above.hi } else { q.next_up() }
        };
        let lo = (above.lo / below.hi).next_down().max(0.0);
        let value = above.value / below.value;
        Enclosure {
            value: if value.is_nan() { f64::INFINITY } else { value }.clamp(lo, hi),
            lo,
            hi,
            exponent: above.exponent - below.exponent,
        }
    }

    /// The same enclosure with `hi` brought near 1, so that quotients of mantissas stay in range.
    fn normalised(&self) -> Enclosure {
        if self.hi == 0.0 || self.hi.is_infinite() {
            return *self;
        }
        let k = i64::from(exponent_of(self.hi));
        let lo = ldexp_down(self.lo, -k);
        // Exact: a normal number, or a subnormal one that becomes normal.
        let hi = ldexp(self.hi, -k);
        Enclosure {
            value: ldexp(self.value, -k).clamp(lo, hi),
            lo,
            hi,
            exponent: self.exponent + k,
        }
    }

    /// Square root, limits rounded outward.
    pub fn sqrt(&self) -> Enclosure {
        if self.hi == 0.0 {
            return Enclosure::ZERO;
        }
        let x = self.normalised(); // which can be doubled without overflow
        let odd = x.exponent.rem_euclid(2);
        let up = (1 + odd) as f64;
        let lo = (x.lo * up).sqrt().next_down().max(0.0);
        let hi = (x.hi * up).sqrt().next_up();
        Enclosure {
            value: (x.value * up).sqrt().clamp(lo, hi),
            lo,
            hi,
            exponent: (x.exponent - odd) / 2,
        }
    }

    /// Product of two enclosures of non-negative quantities, limits rounded outward.
    pub fn times(&self, other: &Enclosure) -> Enclosure {
        let (a, b) = (self.normalised(), other.normalised());
        let lo = (a.lo * b.lo).next_down().max(0.0);
        let hi = if a.hi == 0.0 || b.hi == 0.0 {
            0.0
        } else {
            (a.hi * b.hi).next_up()
        };
        let value = a.value * b.value;
        Enclosure {
            value: if value.is_nan() { hi } else { value }.clamp(lo, hi),
            lo,
            hi,
            exponent: a.exponent + b.exponent,
        }
    }

    /// Intersection of two enclosures of the same quantity; `None` if they are disjoint, which
    /// for two proved enclosures would be a bug.
    pub fn intersect(&self, other: &Enclosure) -> Option<Enclosure> {
        // Bring `other` to our exponent, outward.
        let k = other.exponent - self.exponent;
        let lo = self.lo.max(ldexp_down(other.lo, k));
        let hi = self.hi.min(ldexp_up(other.hi, k));
        let value = if other.relative_width() < self.relative_width() {
            ldexp(other.value, k)
        } else {
            self.value
        };
        (lo <= hi).then(|| Enclosure {
            value: value.clamp(lo, hi),
            lo,
            hi,
            exponent: self.exponent,
        })
    }

    /// Whether `x * 2^exponent` lies inside, compared without rounding in favour of inclusion
    /// (exact when exponents agree).
    pub fn contains_scaled(&self, x: f64, exponent: i64) -> bool {
        let k = exponent - self.exponent;
        ldexp_up(x, k) >= self.lo && ldexp_down(x, k) <= self.hi
    }
}

fn scaled(m: f64, e: i64) -> LogScale {
    LogScale::from_scaled(m, e).unwrap_or(LogScale::ZERO)
}

/// `m * 2^e` with one rounding at most, saturating; `e` may be any integer.
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
pub fn ldexp_up(m: f64, e: i64) -> f64 {
    let x = ldexp(m, e);
    if e == 0 || m == 0.0 || ldexp(x, -e) == m && x.is_finite() {
        return x;
    }
    x.next_up()
}

/// Binary exponent `floor(log2 |x|)` of a finite non-zero number, subnormals included.
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
