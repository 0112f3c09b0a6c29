//! The activation and its derivative at numbers of any magnitude.
//!
//! A pre-activation `h = 2^e v` is treated by its size:
//!
//! - Positively homogeneous activations (linear, ReLU, leaky ReLU, absolute value): slope times `v`,
//!   same power of two. Exact but for the rounding of the slope's product.
//! - `2^-200 <= |h| <= 2^200`: `phi(h)` and `phi'(h)` at `h` itself.
//! - `|h| < 2^-200` and `phi(0) = 0`: the leading monomial `c h^p` of `phi` on that side of 0. The next
//!   term is smaller by a factor of order `2^-200`, far below rounding. With `phi(0) != 0` the value
//!   at `h`, which differs from `phi(0)` by less than rounding.
//! - `|h| > 2^200`: where `phi` or `phi'` is asymptotically a monomial (`x` for GELU on the right, `1/x^2`
//!   for the derivative of softsign), that; the error is again of order `2^-200`. Elsewhere the value
//!   at the number with the mantissa of `h` and magnitude about `2^200`: the limit of a bounded function.
//!   (Sine has no limit; there rounding of `h` has long left no digit.)
//!
//! What is smaller than any double for a bounded `h`, such as the derivative of tanh at 400, is 0, as it
//! is in double precision.

use super::scaled::{Scaled, shifted};
use crate::network::activation::Activation;
use crate::scale::exponent_of;

/// Pre-activations beyond `2^LIMIT` or below `2^-LIMIT` in magnitude are replaced by asymptotes.
const LIMIT: i64 = 200;

/// `coefficient x^power`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Monomial {
    coefficient: f64,
    power: i32,
}

/// What `phi` and `phi'` are in one of the four extreme regions; `None` where they are evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Region {
    value: Option<Monomial>,
    derivative: Option<Monomial>,
}

/// An activation with its asymptotes.
#[derive(Clone, Debug)]
pub(super) struct Elementwise {
    phi: Activation,
    slopes: Option<(f64, f64)>,
    /// Below and above 0.
    near: [Region; 2],
    /// Below and above 0.
    far: [Region; 2],
}

impl Monomial {
    /// At `2^e v`.
    fn at(self, v: f64, e: i64) -> (f64, i64) {
        let own = i64::from(exponent_of(v));
        let mantissa = shifted(v, -own).powi(self.power);
        (
            self.coefficient * mantissa,
            i64::from(self.power) * (e + own),
        )
    }

    fn derivative(self) -> Monomial {
        Monomial {
            coefficient: self.coefficient * f64::from(self.power),
            power: self.power - 1,
        }
    }
}

impl Region {
    /// Both from the monomial that the value follows.
    fn of(coefficient: f64, power: i32) -> Region {
        let value = Monomial { coefficient, power };
        Region {
            value: Some(value),
            derivative: Some(value.derivative()),
        }
    }

    fn near(phi: &Activation, sign: f64) -> Region {
        let slope = phi.derivative(sign * 2f64.powi(-(LIMIT as i32)));
        match phi {
            _ if phi.value(0.0) != 0.0 => Region::default(),
            Activation::TanhShrink => Region::of(1.0 / 3.0, 3),
            Activation::SquaredRelu if sign > 0.0 => Region::of(1.0, 2),
            _ if slope != 0.0 && slope.is_finite() => Region::of(slope, 1),
            _ => Region::default(),
        }
    }

    fn far(phi: &Activation, sign: f64) -> Region {
        let there = sign * 2f64.powi(LIMIT as i32);
        let slope = phi.derivative(there);
        let nearer = phi.derivative(sign * 2f64.powi(LIMIT as i32 / 2));
        // a monomial of degree 1, as the functions of the list are where they are unbounded
        let linear = (phi.value(there) / there / slope - 1.0).abs() < 1e-9
            && (nearer / slope - 1.0).abs() < 1e-9;
        match phi {
            Activation::SquaredRelu if sign > 0.0 => Region::of(1.0, 2),
            Activation::Squareplus if sign < 0.0 => Region::of(-1.0, -1),
            Activation::Softsign => Region {
                value: None,
                derivative: Some(Monomial {
                    coefficient: 1.0,
                    power: -2,
                }),
            },
            _ if linear => Region::of(slope, 1),
            _ => Region::default(),
        }
    }
}

impl Elementwise {
    pub(super) fn new(phi: Activation) -> Elementwise {
        let slopes = phi.slopes();
        let both = |of: fn(&Activation, f64) -> Region| [of(&phi, -1.0), of(&phi, 1.0)];
        Elementwise {
            slopes,
            near: both(Region::near),
            far: both(Region::far),
            phi,
        }
    }

    /// `phi(h)` and `phi'(h)`, entry by entry.
    pub(super) fn apply(&self, h: &Scaled) -> (Scaled, Scaled) {
        if let Some((below, above)) = self.slopes {
            let slope = |x: &f64| if *x > 0.0 { above } else { below };
            let slopes: Vec<f64> = h.values().iter().map(slope).collect();
            let pairs = h.values().iter().zip(&slopes);
            let values = pairs.map(|(x, s)| x * s).collect();
            return (
                Scaled::with_exponent(values, h.exponent()),
                Scaled::new(slopes),
            );
        }
        let pieces = h.values().iter().map(|v| self.at(*v, h.exponent()));
        let (values, slopes): (Vec<_>, Vec<_>) = pieces.unzip();
        (Scaled::from_terms(&values), Scaled::from_terms(&slopes))
    }

    /// `phi` and `phi'` at `2^e v`, as mantissas and exponents.
    fn at(&self, v: f64, e: i64) -> ((f64, i64), (f64, i64)) {
        if v == 0.0 || !v.is_finite() {
            return ((self.phi.value(v), 0), (self.phi.derivative(v), 0));
        }
        let size = e + i64::from(exponent_of(v));
        let side = usize::from(v > 0.0);
        let region = match size {
            _ if size < -LIMIT => self.near[side],
            _ if size > LIMIT => self.far[side],
            _ => Region::default(),
        };
        let within = shifted(v, e - (size - size.clamp(-1000, LIMIT)));
        (
            match region.value {
                Some(value) => value.at(v, e),
                None => (self.phi.value(within), 0),
            },
            match region.derivative {
                Some(derivative) => derivative.at(v, e),
                None => (self.phi.derivative(within), 0),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::activation::Custom;

    fn log2(x: (f64, i64)) -> f64 {
        x.0.abs().log2() + x.1 as f64
    }

    /// The asymptotes meet the function where both hold: just inside the limits, `h = 2^(+-LIMIT/2)`,
    /// where the next term is `2^-100` of the leading one.
    #[test]
    fn asymptotes_meet_the_functions() {
        for phi in Activation::all() {
            let f = Elementwise::new(phi.clone());
            for (regions, size) in [(f.near, -100), (f.far, 100)] {
                for (region, sign) in regions.iter().zip([-1.3, 1.3]) {
                    let h = sign * 2f64.powi(size);
                    for (monomial, truth) in [
                        (region.value, phi.value(h)),
                        (region.derivative, phi.derivative(h)),
                    ] {
                        let Some(monomial) = monomial else { continue };
                        let (m, e) = monomial.at(h, 0);
                        let error = (shifted(m, e) - truth).abs();
                        assert!(error <= 1e-14 * truth.abs(), "{phi} at {h:e}");
                    }
                }
            }
        }
    }

    /// Nothing becomes infinite or 0 at magnitudes outside the range of doubles, unless its limit is.
    #[test]
    fn extreme_numbers_keep_their_order_of_magnitude() {
        let at = |phi: Activation, v: f64, e: i64| Elementwise::new(phi).at(v, e);
        for (phi, v, e, value, slope) in [
            (
                Activation::Tanh,
                -1.5,
                -9000,
                Some(-9000.0 + 1.5f64.log2()),
                0.0,
            ),
            (Activation::Gelu, 1.0, -9000, Some(-9001.0), -1.0),
            (Activation::Gelu, 1.0, 9000, Some(9000.0), 0.0),
            (Activation::Silu, 1.0, 9000, Some(9000.0), 0.0),
            (Activation::Softsign, 1.0, 9000, Some(0.0), -18000.0),
            (Activation::Squareplus, -1.0, 9000, Some(-9000.0), -18000.0),
            (Activation::SquaredRelu, 1.0, 9000, Some(18000.0), 9001.0),
            (Activation::SquaredRelu, 1.0, -9000, Some(-18000.0), -8999.0),
            (Activation::Sigmoid, 1.0, -9000, Some(-1.0), -2.0),
            (Activation::LogSigmoid, -1.0, 9000, Some(9000.0), 0.0),
            (
                Activation::Selu,
                1.0,
                9000,
                Some(9000.0 + 1.050_700_987_355_480_5f64.log2()),
                1.050_700_987_355_480_5f64.log2(),
            ),
            (Activation::Tanh, 1.0, 9000, Some(0.0), f64::NEG_INFINITY),
            (Activation::Gelu, -1.0, 9000, None, f64::NEG_INFINITY),
        ] {
            let (y, d) = at(phi.clone(), v, e);
            let close = |a: f64, b: f64| a == b || (a - b).abs() < 1e-11;
            assert!(
                close(log2(y), value.unwrap_or(f64::NEG_INFINITY)),
                "{phi}: {y:?}"
            );
            assert!(close(log2(d), slope), "{phi}: {d:?}");
        }
        let cubic = at(Activation::TanhShrink, 1.0, -9000);
        assert!((log2(cubic.0) + 27000.0 + 3f64.log2()).abs() < 1e-10);
        assert!((log2(cubic.1) + 18000.0).abs() < 1e-10);
    }

    #[test]
    fn homogeneous_activations_scale_exactly() {
        for phi in [
            Activation::Relu,
            Activation::LeakyRelu { slope: 0.3 },
            Activation::Abs,
        ] {
            let f = Elementwise::new(phi);
            let v = vec![1.5, -0.7, 0.0, 3e-9];
            let (at_one, slopes) = f.apply(&Scaled::new(v.clone()));
            let (far, same) = f.apply(&Scaled::with_exponent(v, -123_456));
            assert_eq!(at_one.times_power_of_two(-123_456), far);
            assert_eq!(slopes, same);
        }
    }

    #[test]
    fn in_between_it_is_the_function() {
        for phi in Activation::all() {
            let f = Elementwise::new(phi.clone());
            let h = vec![0.3, -2.5, 7.0, -1e-9, 40.0];
            let (y, d) = f.apply(&Scaled::new(h.clone()));
            for (i, h) in h.iter().enumerate() {
                assert_eq!(y.get(i), phi.value(*h), "{phi} at {h}");
                assert_eq!(d.get(i), phi.derivative(*h), "{phi} at {h}");
            }
        }
    }

    #[test]
    fn a_custom_function_is_linear_far_away_only_if_it_looks_so() {
        let cubic = Custom::new("cubic", |x| x * x * x, |x| 3.0 * x * x, []);
        let f = Elementwise::new(Activation::Custom(cubic));
        assert_eq!(f.far, [Region::default(); 2]);
        let ramp = Custom::new(
            "ramp",
            |x| 2.0 * x.max(0.0),
            |x| if x > 0.0 { 2.0 } else { 0.0 },
            [0.0],
        );
        let f = Elementwise::new(Activation::Custom(ramp));
        assert_eq!(f.far[1], Region::of(2.0, 1));
        assert_eq!(f.near[1], Region::of(2.0, 1));
        assert_eq!(f.far[0], Region::default());
    }
}
