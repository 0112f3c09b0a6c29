//! Complex numbers, as far as characteristic functions need them: functions that keep relative
//! accuracy near zero.

use std::ops::{Add, Div, Mul, Neg, Sub};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Complex {
    pub re: f64,
    pub im: f64,
}

impl Complex {
    pub const ZERO: Complex = Complex { re: 0.0, im: 0.0 };
    pub const ONE: Complex = Complex { re: 1.0, im: 0.0 };

    pub fn new(re: f64, im: f64) -> Complex {
        Complex { re, im }
    }

    pub fn scale(self, a: f64) -> Complex {
        Complex::new(a * self.re, a * self.im)
    }

    pub fn abs(self) -> f64 {
        self.re.hypot(self.im)
    }

    pub fn exp(self) -> Complex {
        let r = self.re.exp();
        Complex::new(r * self.im.cos(), r * self.im.sin())
    }

    /// `e^z - 1`, accurate near 0.
    pub fn exp_m1(self) -> Complex {
        let (sin, half) = (self.im.sin(), (0.5 * self.im).sin());
        let m = self.re.exp_m1();
        let versine = 2.0 * half * half;
        Complex::new(m - (m + 1.0) * versine, (m + 1.0) * sin)
    }

    /// Principal `ln(1 + z)`, accurate near 0.
    pub fn ln_1p(self) -> Complex {
        let one = 1.0 + self.re;
        let re = if self.re > -0.5 && self.re < 1.0 && self.im.abs() < 1.0 {
            0.5 * (self.re * (2.0 + self.re) + self.im * self.im).ln_1p()
        } else {
            one.hypot(self.im).ln()
        };
        Complex::new(re, self.im.atan2(one))
    }
}

impl Add for Complex {
    type Output = Complex;
    fn add(self, b: Complex) -> Complex {
        Complex::new(self.re + b.re, self.im + b.im)
    }
}

impl Sub for Complex {
    type Output = Complex;
    fn sub(self, b: Complex) -> Complex {
        Complex::new(self.re - b.re, self.im - b.im)
    }
}

impl Neg for Complex {
    type Output = Complex;
    fn neg(self) -> Complex {
        Complex::new(-self.re, -self.im)
    }
}

impl Mul for Complex {
    type Output = Complex;
    fn mul(self, b: Complex) -> Complex {
        Complex::new(
            self.re * b.re - self.im * b.im,
            self.re * b.im + self.im * b.re,
        )
    }
}

impl Div for Complex {
    type Output = Complex;
    /// Without protection against overflow: divisors here are of moderate size.
    fn div(self, b: Complex) -> Complex {
        let d = b.re * b.re + b.im * b.im;
        Complex::new(
            (self.re * b.re + self.im * b.im) / d,
            (self.im * b.re - self.re * b.im) / d,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_arguments_keep_their_digits() {
        for z in [Complex::new(1e-12, 3e-12), Complex::new(-2e-9, 1e-13)] {
            let square = (z * z).scale(0.5);
            assert!((z.exp_m1() - (z + square)).abs() < 1e-15 * z.abs());
            assert!((z.ln_1p() - (z - square)).abs() < 1e-15 * z.abs());
        }
    }

    #[test]
    fn logarithm_and_exponential_are_inverse() {
        for re in [-0.9, -0.3, 0.0, 0.4, 7.0] {
            for im in [-3.0, -0.1, 0.0, 0.7, 20.0] {
                let z = Complex::new(re, im);
                let back = z.ln_1p().exp_m1();
                assert!((back - z).abs() < 1e-14 * (1.0 + z.abs()), "{z:?}");
                let divisor = back + Complex::new(0.25, 0.5);
                assert!(((z * divisor) / divisor - z).abs() <= 1e-14 * z.abs());
                assert!(
                    (z.exp() - (z.exp_m1() + Complex::ONE)).abs() < 1e-14 * z.re.exp().max(1.0)
                );
            }
        }
    }
}
