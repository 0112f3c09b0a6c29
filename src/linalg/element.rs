//! Number formats that a matrix may be stored in, and what each can resolve.
//!
//! Rounding to a format with unit roundoff `u` changes entries by a relative `u` at most, and singular values by
//! about `u sigma_max`: a matrix with `kappa > 1/u` cannot be told from a singular one.
//!
//! ```
//! use isometer::linalg::element::ElementType;
//! assert_eq!(ElementType::BF16.largest_resolvable_cond(), 256.0);
//! assert_eq!(ElementType::F32.unit_roundoff(), 2f64.powi(-24));
//! assert_eq!((ElementType::C64.size(), ElementType::C64.is_complex()), (8, true));
//! ```

use std::fmt;

/// The format of one stored matrix entry. Every real format widens exactly to `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 8-bit float, 4 exponent and 3 fraction bits, finite-only variant (OCP E4M3FN).
    F8E4M3,
    /// 8-bit float, 5 exponent and 2 fraction bits (OCP E5M2).
    F8E5M2,
    /// IEEE binary16.
    F16,
    /// bfloat16.
    BF16,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
    /// Pairs (re, im) of binary32.
    C64,
    /// Pairs (re, im) of binary64.
    C128,
}

impl ElementType {
    /// Bytes per entry.
    pub fn size(self) -> usize {
        match self {
            ElementType::F8E4M3 | ElementType::F8E5M2 => 1,
            ElementType::F16 | ElementType::BF16 => 2,
            ElementType::F32 => 4,
            ElementType::F64 | ElementType::C64 => 8,
            ElementType::C128 => 16,
        }
    }

    /// Unit roundoff `u` of one real component: half the spacing of numbers near 1.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::element::ElementType;
    /// assert_eq!(ElementType::F64.unit_roundoff(), f64::EPSILON / 2.0);
    /// ```
    pub fn unit_roundoff(self) -> f64 {
        match self {
            ElementType::F8E4M3 => 2f64.powi(-4),
            ElementType::F8E5M2 => 2f64.powi(-3),
            ElementType::F16 => 2f64.powi(-11),
            ElementType::BF16 => 2f64.powi(-8),
            ElementType::F32 | ElementType::C64 => 2f64.powi(-24),
            ElementType::F64 | ElementType::C128 => 2f64.powi(-53),
        }
    }

    /// The largest condition number that entries rounded to this format can distinguish from a
    /// singular matrix: `1/u`.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::element::ElementType;
    /// assert_eq!(ElementType::F16.largest_resolvable_cond(), 2048.0);
    /// ```
    pub fn largest_resolvable_cond(self) -> f64 {
        1.0 / self.unit_roundoff()
    }

    /// Smallest positive normal number of one real component; smaller ones carry fewer digits.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::element::ElementType;
    /// assert_eq!(ElementType::F16.smallest_normal(), 2f64.powi(-14));
    /// ```
    pub fn smallest_normal(self) -> f64 {
        match self {
            ElementType::F8E4M3 => 2f64.powi(-6),
            ElementType::F8E5M2 | ElementType::F16 => 2f64.powi(-14),
            ElementType::BF16 | ElementType::F32 | ElementType::C64 => 2f64.powi(-126),
            ElementType::F64 | ElementType::C128 => f64::MIN_POSITIVE,
        }
    }

    /// Whether entries have an imaginary part.
    pub fn is_complex(self) -> bool {
        matches!(self, ElementType::C64 | ElementType::C128)
    }

    /// Lower-case name, as numpy and safetensors users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            ElementType::F8E4M3 => "f8_e4m3",
            ElementType::F8E5M2 => "f8_e5m2",
            ElementType::F16 => "f16",
            ElementType::BF16 => "bf16",
            ElementType::F32 => "f32",
            ElementType::F64 => "f64",
            ElementType::C64 => "c64",
            ElementType::C128 => "c128",
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Widens an OCP E4M3FN byte; `0x7f` and `0xff` are NaN, there is no infinity.
///
/// # Examples
/// ```
/// use isometer::linalg::element::f8_e4m3_to_f64;
/// assert_eq!((f8_e4m3_to_f64(0x38), f8_e4m3_to_f64(0x7e)), (1.0, 448.0));
/// assert!(f8_e4m3_to_f64(0x7f).is_nan());
/// ```
pub fn f8_e4m3_to_f64(bits: u8) -> f64 {
    let sign = if bits & 0x80 != 0 { -1.0 } else { 1.0 };
    let exponent = (bits >> 3) & 0x0f;
    let fraction = f64::from(bits & 0x07);
    if exponent == 0x0f && bits & 0x07 == 0x07 {
        return f64::NAN;
    }
    if exponent == 0 {
        sign * fraction * 2f64.powi(-9)
    } else {
        sign * (1.0 + fraction / 8.0) * 2f64.powi(i32::from(exponent) - 7)
    }
}

/// Widens an OCP E5M2 byte, which has IEEE infinities and NaNs.
///
/// # Examples
/// ```
/// use isometer::linalg::element::f8_e5m2_to_f64;
/// assert_eq!((f8_e5m2_to_f64(0x3c), f8_e5m2_to_f64(0x7b)), (1.0, 57344.0));
/// assert!(f8_e5m2_to_f64(0x7c).is_infinite());
/// ```
pub fn f8_e5m2_to_f64(bits: u8) -> f64 {
    // E5M2 is the upper byte of an IEEE binary16.
    half::f16::from_bits(u16::from(bits) << 8).to_f64()
}
