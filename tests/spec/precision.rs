//! Number formats.

use super::support::check;
use half::{bf16, f16};
use isometer::network::NumberFormat;
use isometer::theory::laws::{Ensemble, Network};
use isometer::theory::precision::{Direction, Subnormals, p_element_below};
use proptest::prelude::*;
use proptest::sample::select;

const FORMATS: [NumberFormat; 3] = [NumberFormat::F16, NumberFormat::Bf16, NumberFormat::F32];

/// Rounding by an independent implementation. The crate rounds doubles to bf16 twice, so that numbers of at most
/// 24 bits are what it can be asked.
fn reference(format: NumberFormat, x: f64) -> f64 {
    match format {
        NumberFormat::F16 => f64::from(f16::from_f64(x)),
        NumberFormat::Bf16 => f64::from(bf16::from_f32(x as f32)),
        _ => f64::from(x as f32),
    }
}

/// A number of the format, near its limits or in the middle.
fn numbers() -> impl Strategy<Value = (NumberFormat, f64)> {
    (
        select(&FORMATS[..]),
        0..1i64 << 11,
        any::<bool>(),
        any::<u32>(),
    )
        .prop_map(|(f, m, minus, e)| {
            let (low, high) = (f.log2_smallest_subnormal(), f.log2_largest_power());
            let exponent = low - 11 + (e % (high - low + 12) as u32) as i32;
            let x = m as f64 * 2f64.powi(exponent.max(-160));
            (f, reference(f, if minus { -x } else { x }))
        })
        .prop_filter("finite", |(_, x)| x.is_finite())
}

/// Where numbers become zero, infinite, or another number.
///
/// Theorem: ties-to-even-thresholds.
mod rounding_is_to_nearest_with_ties_to_even {
    use super::*;

    #[test]
    fn holds() {
        check((numbers(), -9..=9i32), |((f, w), k)| {
            // eighths of the last place beside a number: all ties and both sides of each; 24 bits at most for bf16
            let ulp = f
                .round(w.abs() * 2f64.powi(1 - f.precision()), Subnormals::Kept)
                .max(f.smallest_subnormal());
            let x = w + f64::from(k) * 0.125 * ulp;
            let narrow = f64::from(x as f32) == x || f != NumberFormat::Bf16;
            prop_assert!(
                !narrow || f.round(x, Subnormals::Kept) == reference(f, x),
                "{f:?} {x:e}"
            );
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // at the thresholds themselves
        for f in FORMATS {
            let half = 0.5 * f.smallest_subnormal();
            assert_eq!(f.round(half, Subnormals::Kept), 0.0);
            assert!((f.ln_zero_threshold(Subnormals::Kept) - half.ln()).abs() < 1e-12);
            let over = f.max() + 0.5 * 2f64.powi(f.log2_largest_power() + 1 - f.precision());
            assert_eq!(f.round(over, Subnormals::Kept), f64::INFINITY);
            assert!((f.ln_overflow_threshold() - over.ln()).abs() < 1e-12);
        }
    }

    #[test]
    fn notices() {
        // one double beside them
        for f in FORMATS {
            let half = 0.5 * f.smallest_subnormal();
            assert_eq!(
                f.round(half.next_up(), Subnormals::Kept),
                f.smallest_subnormal()
            );
            assert_eq!(f.round(half.next_up(), Subnormals::Flushed), 0.0);
            let over = f.max() + 0.5 * 2f64.powi(f.log2_largest_power() + 1 - f.precision());
            assert_eq!(f.round(over.next_down(), Subnormals::Kept), f.max());
        }
    }
}

/// A step is lost if and only if it is at most half the spacing on its side, ties as the significand decides.
///
/// Theorem: lost-updates.
mod a_step_below_half_the_spacing_is_lost {
    use super::*;

    fn moves(f: NumberFormat, w: f64, direction: Direction, step: f64) -> bool {
        let to = match direction {
            Direction::Increase => w + step,
            Direction::Decrease => w - step,
        };
        f.round(to, Subnormals::Kept) != w
    }

    const BOTH: [Direction; 2] = [Direction::Increase, Direction::Decrease];

    #[test]
    fn holds() {
        check(
            (numbers(), select(&BOTH[..]), 1..=15u32),
            |((f, w), direction, k)| {
                let lost = f.lost_step(w, direction);
                let step = f64::from(k) / 8.0 * lost.step;
                let gone = step < lost.step || (step == lost.step && lost.inclusive);
                prop_assert_eq!(
                    moves(f, w, direction, step),
                    !gone,
                    "{:?} {:e} {:?}",
                    f,
                    w,
                    lost
                );
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // at 1 the spacing below is half of that above; the reference rounding agrees
        let f = NumberFormat::F16;
        let (up, down) = (
            f.lost_step(1.0, Direction::Increase),
            f.lost_step(1.0, Direction::Decrease),
        );
        assert_eq!((up.step, down.step), (2f64.powi(-11), 2f64.powi(-12)));
        assert!(up.inclusive && down.inclusive);
        assert_eq!(reference(f, 1.0 + up.step), 1.0);
        assert_eq!(reference(f, 1.0 - down.step), 1.0);
    }

    #[test]
    fn notices() {
        // a little beyond each threshold (the reference reads 20 bits after the point) nothing is lost
        let f = NumberFormat::F16;
        for (direction, sign) in [(Direction::Increase, 1.0), (Direction::Decrease, -1.0)] {
            let step = f.lost_step(1.0, direction).step;
            assert_ne!(reference(f, 1.0 + sign * step * (1.0 + 2f64.powi(-7))), 1.0);
        }
        // an odd significand gives ties away
        let odd = 1.0 + 2f64.powi(-10);
        assert!(!f.lost_step(odd, Direction::Increase).inclusive);
        assert_ne!(reference(f, odd + 2f64.powi(-11)), odd);
    }
}

/// One element of a gradient is the norm times a coordinate of a uniform direction.
///
/// Theorem: element-of-a-gradient.
mod an_element_of_a_gradient_is_a_coordinate_of_its_direction {
    use super::*;

    fn net(n: usize) -> [usize; 3] {
        [n, 6, 4]
    }

    fn network<'a>(widths: &'a [usize], s: &'a [f64]) -> Network<'a> {
        Network {
            widths,
            sigma_w2: s,
            slopes: (1.0, 0.25),
            keep: 1.0,
            ensemble: Ensemble::Gaussian,
            symmetric_biases: false,
        }
    }

    #[test]
    fn holds() {
        // the law of the element, and the law of the norm averaged over directions
        let s = [1.5, 1.0, 2.0];
        for n in [2, 9] {
            let widths = net(n);
            let net = network(&widths, &s);
            let (norm, element) = (
                net.input_gradient().unwrap(),
                net.input_gradient_element().unwrap(),
            );
            for ln_t in [-3.0, 0.0] {
                let mixed = p_element_below(n, 0.0, ln_t, |x| norm.cdf_ln_square(x).value);
                let direct = element.cdf_ln_square(2.0 * ln_t);
                assert!(
                    (mixed.value - direct.value).abs() <= mixed.error + direct.error + 1e-8,
                    "{n} {ln_t}"
                );
            }
        }
    }

    #[test]
    fn tight() {
        // in one dimension the element is the norm
        let widths = net(1);
        let s = [1.5, 1.0, 2.0];
        let norm = network(&widths, &s).input_gradient().unwrap();
        let cdf = |x: f64| norm.cdf_ln_square(x).value;
        assert_eq!(p_element_below(1, 0.0, 0.3, cdf).value, cdf(0.6));
    }

    #[test]
    fn notices() {
        // the norm over sqrt n is not the law of an element: small elements are far more frequent
        let widths = net(16);
        let s = [1.5, 1.0, 2.0];
        let norm = network(&widths, &s).input_gradient().unwrap();
        let cdf = |x: f64| norm.cdf_ln_square(x).value;
        let ln_t = norm.mean_ln_square() / 2.0 - 16f64.ln() / 2.0 - 3.0;
        let wrong = cdf(2.0 * ln_t + 16f64.ln());
        assert!(p_element_below(16, 0.0, ln_t, cdf).value > 3.0 * wrong);
    }
}
