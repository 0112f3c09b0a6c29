//! The binary number formats gradients are kept in, by the constants that decide underflow,
//! overflow and lost updates (IEEE 754-2019; bfloat16 is binary32 with 16 bits cut off).

use super::text::{TextError, folded};
use crate::scale::{exponent_of, ldexp};
use std::fmt;
use std::str::FromStr;

/// A binary floating-point format.
///
/// # Examples
/// ```
/// use isometer::network::NumberFormat;
/// let half = NumberFormat::F16;
/// assert_eq!((half.max(), half.smallest_normal(), half.unit_roundoff()), (65504.0, 2f64.powi(-14), 2f64.powi(-11)));
/// assert_eq!("bf16".parse::<NumberFormat>().unwrap().unit_roundoff(), 2f64.powi(-8));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NumberFormat {
    /// IEEE binary16.
    F16,
    /// bfloat16.
    Bf16,
    /// IEEE binary32.
    #[default]
    F32,
    /// IEEE binary64.
    F64,
}

impl NumberFormat {
    /// All formats, from the narrowest.
    pub const ALL: [NumberFormat; 4] = [
        NumberFormat::F16,
        NumberFormat::Bf16,
        NumberFormat::F32,
        NumberFormat::F64,
    ];

    /// Bits of the significand, the hidden one included.
    pub fn precision(self) -> i32 {
        match self {
            NumberFormat::F16 => 11,
            NumberFormat::Bf16 => 8,
            NumberFormat::F32 => 24,
            NumberFormat::F64 => 53,
        }
    }

    /// Exponent of the largest power of two that is a number of the format.
    pub fn log2_largest_power(self) -> i32 {
        match self {
            NumberFormat::F16 => 15,
            NumberFormat::Bf16 | NumberFormat::F32 => 127,
            NumberFormat::F64 => 1023,
        }
    }

    /// The largest finite number, `(2 - 2^(1-p)) 2^emax`.
    pub fn max(self) -> f64 {
        (2.0 - power_of_two(1 - self.precision())) * power_of_two(self.log2_largest_power())
    }

    /// Base-2 logarithm of the magnitude from which on rounding to nearest gives infinity,
    /// `(2 - 2^-p) 2^emax` (65520 in f16).
    ///
    /// # Examples
    /// ```
    /// use isometer::network::NumberFormat;
    /// assert!((NumberFormat::F16.log2_overflow().exp2() - 65520.0).abs() < 1e-9);
    /// ```
    pub fn log2_overflow(self) -> f64 {
        (2.0 - power_of_two(-self.precision())).log2() + f64::from(self.log2_largest_power())
    }

    /// Exponent of the smallest normal number.
    pub fn log2_smallest_normal(self) -> i32 {
        1 - self.log2_largest_power()
    }

    /// The smallest normal number: below it precision fades, and hardware that flushes subnormal
    /// numbers returns 0.
    pub fn smallest_normal(self) -> f64 {
        power_of_two(self.log2_smallest_normal())
    }

    /// Exponent of the smallest positive number.
    pub fn log2_smallest_subnormal(self) -> i32 {
        self.log2_smallest_normal() - (self.precision() - 1)
    }

    /// The smallest positive number.
    pub fn smallest_subnormal(self) -> f64 {
        power_of_two(self.log2_smallest_subnormal())
    }

    /// Exponent of the largest magnitude that rounds to 0: half the smallest positive number, a tie
    /// that goes to the even 0. Anything above it rounds up. (2^-1075 of f64 is no f64.)
    ///
    /// # Examples
    /// ```
    /// use isometer::network::NumberFormat;
    /// let half = NumberFormat::F16;
    /// assert_eq!(half.log2_rounds_to_zero(), -25);
    /// assert!(half.nearest(2f64.powi(-25)) == 0.0 && half.nearest(1.001 * 2f64.powi(-25)) > 0.0);
    /// ```
    pub fn log2_rounds_to_zero(self) -> i32 {
        self.log2_smallest_subnormal() - 1
    }

    /// Largest relative error of rounding to nearest, `2^-p`.
    pub fn unit_roundoff(self) -> f64 {
        power_of_two(-self.precision())
    }

    /// The number of the format nearest to `x`, ties to even: subnormal numbers below
    /// [`smallest_normal`](NumberFormat::smallest_normal), infinity from
    /// [`log2_overflow`](NumberFormat::log2_overflow) on. One rounding, whatever the hardware has.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::NumberFormat;
    /// assert_eq!(NumberFormat::F16.nearest(2049.0), 2048.0); // a tie goes to the even neighbour
    /// assert_eq!(NumberFormat::F16.nearest(65520.0), f64::INFINITY);
    /// assert_eq!(NumberFormat::F16.nearest(1e-9), 0.0);
    /// ```
    pub fn nearest(self, x: f64) -> f64 {
        if self == NumberFormat::F64 || x == 0.0 || !x.is_finite() {
            return x;
        }
        let size = exponent_of(x).max(self.log2_smallest_normal());
        let last_place = size - (self.precision() - 1);
        // exact: a multiple of the last place has at most 53 bits, and nothing underflows upwards
        let rounded = ldexp(
            ldexp(x, -i64::from(last_place)).round_ties_even(),
            last_place.into(),
        );
        match rounded.abs() > self.max() {
            true => f64::INFINITY.copysign(x),
            false => rounded,
        }
    }

    /// Name as [`FromStr`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            NumberFormat::F16 => "f16",
            NumberFormat::Bf16 => "bf16",
            NumberFormat::F32 => "f32",
            NumberFormat::F64 => "f64",
        }
    }
}

/// `2^k` within the range of f64, exactly, subnormal numbers included.
fn power_of_two(k: i32) -> f64 {
    libm::ldexp(1.0, k)
}

impl fmt::Display for NumberFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for NumberFormat {
    type Err = TextError;

    /// `f16`, `bf16`, `f32`, `f64`, or the names of NumPy and PyTorch.
    fn from_str(text: &str) -> Result<NumberFormat, TextError> {
        match folded(text).as_str() {
            "f16" | "fp16" | "float16" | "half" => Ok(NumberFormat::F16),
            "bf16" | "bfloat16" => Ok(NumberFormat::Bf16),
            "f32" | "fp32" | "float32" | "float" | "single" => Ok(NumberFormat::F32),
            "f64" | "fp64" | "float64" | "double" => Ok(NumberFormat::F64),
            _ => Err(TextError::Unknown {
                what: "number format",
                given: text.into(),
                expected: "f16, bf16, f32 or f64",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    #[test]
    fn constants_are_those_of_the_formats() {
        let [h, b, s, d] = NumberFormat::ALL;
        assert_eq!(
            [h.max(), h.smallest_normal(), h.smallest_subnormal()],
            [
                f16::MAX.to_f64(),
                f16::MIN_POSITIVE.to_f64(),
                f16::from_bits(1).to_f64()
            ]
        );
        assert_eq!(
            [b.max(), b.smallest_normal(), b.smallest_subnormal()],
            [
                bf16::MAX.to_f64(),
                bf16::MIN_POSITIVE.to_f64(),
                bf16::from_bits(1).to_f64()
            ]
        );
        assert_eq!(
            [s.max(), s.smallest_normal(), s.smallest_subnormal()],
            [
                f64::from(f32::MAX),
                f64::from(f32::MIN_POSITIVE),
                f64::from(f32::from_bits(1))
            ]
        );
        assert_eq!(
            [d.max(), d.smallest_normal(), d.smallest_subnormal()],
            [f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1)]
        );
        assert_eq!(2.0 * h.unit_roundoff(), f16::EPSILON.to_f64());
        assert_eq!(2.0 * b.unit_roundoff(), bf16::EPSILON.to_f64());
        assert_eq!(2.0 * s.unit_roundoff(), f64::from(f32::EPSILON));
        assert_eq!(2.0 * d.unit_roundoff(), f64::EPSILON);
        assert!((h.log2_overflow() - 65520f64.log2()).abs() < 1e-14);
    }

    #[test]
    fn rounding_agrees_with_the_limits() {
        // a step that f32 keeps, since `half` may round through it
        let zero = power_of_two(NumberFormat::F16.log2_rounds_to_zero());
        assert_eq!(f16::from_f64(zero).to_f64(), 0.0);
        assert!(f16::from_f64(zero * (1.0 + 1e-6)).to_f64() > 0.0);
        let zero = power_of_two(NumberFormat::F32.log2_rounds_to_zero());
        assert_eq!(zero as f32, 0.0);
        assert!((zero * (1.0 + 1e-6)) as f32 > 0.0);
        assert!(f16::from_f64(65520.0).is_infinite() && f16::from_f64(65519.9).is_finite());
    }

    /// Against the conversions of the hardware and of `half`, both of which are given numbers that
    /// f32 holds, so that they round once; ties, subnormal numbers and overflow included.
    #[test]
    fn rounding_is_to_nearest_even() {
        let mut state = 1u64;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 32
        };
        for _ in 0..100_000 {
            let single = f32::from_bits(draw() as u32);
            if !single.is_finite() {
                continue;
            }
            let x = f64::from(single);
            assert_eq!(
                NumberFormat::F16.nearest(x),
                f16::from_f32(single).to_f64(),
                "{x:e}"
            );
            assert_eq!(
                NumberFormat::Bf16.nearest(x),
                bf16::from_f32(single).to_f64(),
                "{x:e}"
            );
            assert_eq!(NumberFormat::F32.nearest(x), x);
            // doubles around the range of the format
            let x =
                x * (1.0 + draw() as f64 * 2f64.powi(-50)) * 2f64.powi((draw() % 60) as i32 - 30);
            assert_eq!(NumberFormat::F32.nearest(x), f64::from(x as f32), "{x:e}");
        }
        // all of f16, ties between neighbours, and what is just off a tie by less than f32 shows
        for bits in 0..0x7bffu16 {
            let (a, b) = (
                f16::from_bits(bits).to_f64(),
                f16::from_bits(bits + 1).to_f64(),
            );
            let tie = 0.5 * (a + b);
            let even = if bits % 2 == 0 { a } else { b };
            let round = |x: f64| NumberFormat::F16.nearest(x);
            assert_eq!([round(a), round(b), round(-tie)], [a, b, -even]);
            assert_eq!([round(tie.next_down()), round(tie.next_up())], [a, b]);
        }
        assert_eq!(NumberFormat::F16.nearest(65520.0), f64::INFINITY);
        assert_eq!(NumberFormat::F16.nearest(65520f64.next_down()), 65504.0);
        assert_eq!(NumberFormat::Bf16.nearest(-f64::MAX), f64::NEG_INFINITY);
        assert_eq!(NumberFormat::F32.nearest(5e-324), 0.0);
        assert!(NumberFormat::F16.nearest(f64::NAN).is_nan());
        assert_eq!(NumberFormat::F64.nearest(5e-324), 5e-324);
    }

    #[test]
    fn names_round_trip() {
        for format in NumberFormat::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("BFloat16".parse(), Ok(NumberFormat::Bf16));
        let refused = "f8".parse::<NumberFormat>().unwrap_err().to_string();
        assert!(
            refused.contains("'f8'") && refused.contains("bf16"),
            "{refused}"
        );
    }
}
