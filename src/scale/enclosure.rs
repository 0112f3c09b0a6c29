//! A magnitude between two limits.

use crate::scale::{LogScale, exponent_of, ldexp, ldexp_down, ldexp_up};

/// A magnitude `value` together with proved (or, for estimates, predicted) limits `lo <= hi`.
///
/// Limits are held as `f64` mantissas times a common power of two, so that singular values near
/// the ends of the range of `f64` and condition numbers beyond it keep full relative precision.
///
/// # Examples
/// ```
/// use isometer::scale::Enclosure;
/// // between 1 and 1.25, times 2^-3000: no f64 is that small
/// let x = Enclosure::new(1.1, 1.0, 1.25, -3000).unwrap();
/// assert!(x.is_positive() && x.to_linear().is_none());
/// let (value, lo, hi) = x.log10();
/// assert!(lo < value && value < hi && (lo + 903.0899869919436).abs() < 1e-9);
/// ```
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
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Enclosure;
    /// assert!(Enclosure::new(2.0, 1.0, 3.0, 0).is_some());
    /// assert!(Enclosure::new(2.0, 3.0, 1.0, 0).is_none()); // out of order
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Enclosure;
    /// let x = Enclosure::point(3.0, 2).unwrap();
    /// assert_eq!((x.to_linear(), x.relative_width()), (Some((12.0, 12.0, 12.0)), 0.0));
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Enclosure;
    /// let x = Enclosure::new(1.5, 1.25, 1.75, 2).unwrap();
    /// assert_eq!(x.to_linear(), Some((6.0, 5.0, 7.0)));
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Enclosure;
    /// let (value, lo, hi) = Enclosure::point(1.0, 10_000).unwrap().log10();
    /// assert!(lo <= value && value <= hi && (value - 3010.299956639812).abs() < 1e-9);
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Enclosure;
    /// assert_eq!(Enclosure::new(5.0, 4.0, 6.0, 100).unwrap().relative_width(), 0.5);
    /// assert_eq!(Enclosure::UNKNOWN.relative_width(), f64::INFINITY);
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Enclosure;
    /// assert_eq!(Enclosure::point(3.0, 0).unwrap().shifted(4).to_linear().unwrap().0, 48.0);
    /// ```
    pub fn shifted(mut self, k: i64) -> Enclosure {
        self.exponent += k;
        self
    }

    /// Quotient of two enclosures of non-negative quantities, limits rounded outward.
    /// A zero denominator gives an upper limit of infinity; `0/0` is infinite by convention.
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Enclosure;
    /// let four = Enclosure::point(4.0, 0).unwrap();
    /// let some = Enclosure::new(1.0, 0.0, 2.0, 0).unwrap(); // perhaps 0
    /// let q = four.ratio(&some);
    /// assert!(q.hi().is_infinite() && q.lo().to_linear().unwrap() <= 2.0);
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Enclosure;
    /// let (_, lo, hi) = Enclosure::point(2.0, 0).unwrap().sqrt().to_linear().unwrap();
    /// assert!(lo * lo < 2.0 && hi * hi > 2.0);
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Enclosure;
    /// let x = Enclosure::new(2.0, 1.0, 3.0, 0).unwrap();
    /// let (_, lo, hi) = x.times(&x).to_linear().unwrap();
    /// assert!(lo <= 1.0 && 9.0 <= hi && hi - lo < 8.0 + 1e-12);
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Enclosure;
    /// let a = Enclosure::new(2.0, 1.0, 3.0, 0).unwrap();
    /// let b = Enclosure::new(3.0, 2.5, 4.0, 0).unwrap();
    /// let (_, lo, hi) = a.intersect(&b).unwrap().to_linear().unwrap();
    /// assert_eq!((lo, hi), (2.5, 3.0));
    /// assert!(a.intersect(&Enclosure::point(4.0, 0).unwrap()).is_none());
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// use isometer::scale::Enclosure;
    /// let x = Enclosure::new(5.0, 4.0, 6.0, 0).unwrap();
    /// assert!(x.contains_scaled(1.25, 2) && !x.contains_scaled(1.25, 3));
    /// ```
    pub fn contains_scaled(&self, x: f64, exponent: i64) -> bool {
        let k = exponent - self.exponent;
        ldexp_up(x, k) >= self.lo && ldexp_down(x, k) <= self.hi
    }
}

fn scaled(m: f64, e: i64) -> LogScale {
    LogScale::from_scaled(m, e).unwrap_or(LogScale::ZERO)
}
