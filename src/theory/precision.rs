//! What number formats do to gradients: underflow, overflow, lost updates, loss scaling.
//!
//! Rounding is to nearest with ties to even. Magnitudes are natural logarithms; growth is per
//! squared norm and layer, thresholds are for single numbers.
//!
//! ```
//! use isometer::network::NumberFormat;
//! use isometer::theory::precision::{Direction, LayerRange, LossScale, Subnormals, depth_to_threshold, loss_scale};
//!
//! let (half, bit) = (NumberFormat::F16, 2f64.ln());
//! // squares fall by 4 a layer: from 1 to half of f16's smallest number, 2^-25, in 25 layers
//! let depth = depth_to_threshold(0.0, -2.0 * bit, half.ln_zero_threshold(Subnormals::Kept)).unwrap();
//! assert!((depth - 25.0).abs() < 1e-12);
//! // one layer at 2^-30, one at 1: any S between 2^5 and 2^16
//! let at = |log2: f64| LayerRange { ln_min: log2 * bit, ln_max: log2 * bit };
//! let LossScale::Fits { above_log2, below_log2, .. } = loss_scale(&[at(-30.0), at(0.0)], half, Subnormals::Kept)
//! else { panic!() };
//! assert!((above_log2 - 5.0).abs() < 1e-9 && (below_log2 - 16.0).abs() < 1e-3);
//! // in bf16 a weight of 1 does not notice steps of 2^-8
//! assert_eq!(NumberFormat::Bf16.lost_step(1.0, Direction::Increase).step, 2f64.powi(-8));
//! ```

use crate::network::NumberFormat;
use crate::theory::quadrature::{Average, integrate};

const LN_2: f64 = std::f64::consts::LN_2;

/// The formats that gradients are reduced to.
pub const GRADIENT_FORMATS: [NumberFormat; 3] =
    [NumberFormat::F16, NumberFormat::Bf16, NumberFormat::F32];

/// What hardware does below the smallest normal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subnormals {
    /// Gradual underflow, as IEEE 754 has it.
    Kept,
    /// Flush to zero and denormals as zero.
    Flushed,
}

/// A direction of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards larger values.
    Increase,
    /// Towards smaller values.
    Decrease,
}

/// `2^e`, subnormal results included.
fn exp2(e: i32) -> f64 {
    2f64.powi(e / 2) * 2f64.powi(e - e / 2)
}

/// Largest step that a weight does not notice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LostStep {
    /// Supremum of the lost steps.
    pub step: f64,
    /// Whether the supremum itself is lost: the tie goes to an even significand.
    pub inclusive: bool,
}

impl NumberFormat {
    /// `ln` of the threshold at and below which a number becomes zero (`Kept`: half the smallest
    /// subnormal, a tie that goes to the even zero) or below which it does (`Flushed`: the smallest normal).
    /// Theorem: ties-to-even-thresholds.
    pub fn ln_zero_threshold(self, subnormals: Subnormals) -> f64 {
        f64::from(match subnormals {
            Subnormals::Kept => self.log2_smallest_subnormal() - 1,
            Subnormals::Flushed => self.log2_smallest_normal(),
        }) * LN_2
    }

    /// `ln` of the threshold at and above which a number becomes infinite: half a spacing above the largest
    /// finite number. Theorem: ties-to-even-thresholds.
    pub fn ln_overflow_threshold(self) -> f64 {
        f64::from(self.log2_largest_power() + 1) * LN_2 + (-exp2(-1 - self.precision())).ln_1p()
    }

    /// Distance between neighbours in the binade of `|x|`.
    fn spacing(self, x: f64) -> f64 {
        let exponent = if x == 0.0 {
            self.log2_smallest_normal()
        } else {
            // exact: the exponent field of a normal, the leading bit of a subnormal
            libm::ilogb(x).max(self.log2_smallest_normal())
        };
        exp2(exponent - (self.precision() - 1))
    }

    /// The number of the format nearest to `x`, ties to even. Theorem: ties-to-even-thresholds.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::NumberFormat;
    /// use isometer::theory::precision::Subnormals;
    /// let x = 2f64.powi(-20); // subnormal in f16
    /// assert_eq!(NumberFormat::F16.round(x, Subnormals::Kept), x);
    /// assert_eq!(NumberFormat::F16.round(x, Subnormals::Flushed), 0.0);
    /// ```
    pub fn round(self, x: f64, subnormals: Subnormals) -> f64 {
        let rounded = self.nearest(x);
        if subnormals == Subnormals::Flushed && rounded.abs() < exp2(self.log2_smallest_normal()) {
            return 0f64.copysign(x);
        }
        rounded
    }

    /// Largest change of the weight `w` that rounding undoes; `w` is first rounded to the format.
    ///
    /// Half the spacing on that side: just above a power of two it is twice that just below.
    /// Theorem: lost-updates.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::NumberFormat;
    /// use isometer::theory::precision::Direction;
    /// let step = |d| NumberFormat::F32.lost_step(1.0, d).step;
    /// assert_eq!((step(Direction::Increase), step(Direction::Decrease)), (2f64.powi(-24), 2f64.powi(-25)));
    /// ```
    pub fn lost_step(self, w: f64, direction: Direction) -> LostStep {
        let w = self.round(w, Subnormals::Kept);
        let outward = (w >= 0.0) == (direction == Direction::Increase);
        let spacing = self.spacing(w);
        let power = w.abs() == exp2(libm::ilogb(w).clamp(-1074, 1023));
        let narrow = !outward && power && w.abs() > exp2(self.log2_smallest_normal());
        let side = if narrow { 0.5 * spacing } else { spacing };
        let significand = (w / spacing).abs();
        LostStep {
            step: 0.5 * side,
            inclusive: significand % 2.0 == 0.0 || narrow,
        }
    }
}

/// Depth at which a magnitude that starts at `e^ln_start` and whose square grows by `e^ln_square_per_layer` a layer meets
/// `e^ln_threshold`; `None` if it moves away or stays.
///
/// In mean-square terms give the root mean square and `ln chi`; in typical terms the mean of the logarithm.
/// The two differ: chi = 1 never underflows in the mean, but at finite width every typical gradient does.
///
/// # Examples
/// ```
/// use isometer::theory::precision::depth_to_threshold;
/// assert_eq!(depth_to_threshold(0.0, -2.0, -10.0), Some(10.0));
/// assert_eq!(depth_to_threshold(0.0, 2.0, -10.0), None); // grows: never
/// ```
pub fn depth_to_threshold(
    ln_start: f64,
    ln_square_per_layer: f64,
    ln_threshold: f64,
) -> Option<f64> {
    let distance = ln_threshold - ln_start;
    if distance == 0.0 {
        return Some(0.0);
    }
    let depth = 2.0 * distance / ln_square_per_layer;
    (depth > 0.0 && depth.is_finite()).then_some(depth)
}

/// Probability that one element of a gradient is at most `e^ln_threshold` in magnitude, which is also
/// the expected share of such elements.
///
/// `cdf_ln_square(x)` is the probability that the squared norm is at most `e^x` given that it is not zero,
/// `p_zero` the probability that it is. The direction is uniform and independent of the norm, as it is for the gradient with respect
/// to the inputs of Gaussian weights: a squared element is the squared norm times a Beta(1/2, (n-1)/2)
/// variable, `1/n` of it in the mean. Theorem: element-of-a-gradient.
///
/// # Examples
/// ```
/// use isometer::theory::precision::p_element_below;
/// // the norm is 1 for certain: of a unit vector in 3 dimensions a coordinate is uniform on [-1, 1]
/// let p = p_element_below(3, 0.0, 0.25f64.ln(), |x| f64::from(x >= 0.0));
/// assert!((p.value - 0.25).abs() < 1e-6);
/// ```
pub fn p_element_below(
    n: usize,
    p_zero: f64,
    ln_threshold: f64,
    cdf_ln_square: impl Fn(f64) -> f64,
) -> Average {
    let x = 2.0 * ln_threshold;
    let given_alive = if n <= 1 {
        Average {
            value: cdf_ln_square(x),
            error: 0.0,
        }
    } else {
        // the element is sin(theta), its density proportional to cos(theta)^(n-2)
        let power = (n - 2) as f64;
        let ln_density = |theta: f64| {
            if power == 0.0 {
                0.0
            } else {
                power * theta.cos().max(0.0).ln()
            }
        };
        let width = (n as f64).sqrt().recip();
        let breaks = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0].map(|k| k * width);
        let last = std::f64::consts::FRAC_PI_2.min(13.0 * width);
        let [below, total] = integrate(
            |theta: f64| {
                let density = ln_density(theta).exp() / width;
                [density * cdf_ln_square(x - 2.0 * theta.sin().ln()), density]
            },
            0.0,
            last,
            &breaks,
            1e-11,
        );
        Average {
            value: below.value / total.value,
            error: (below.error + total.error) / total.value,
        }
    };
    Average {
        value: p_zero + (1.0 - p_zero) * given_alive.value,
        error: (1.0 - p_zero) * given_alive.error,
    }
}

/// Smallest and largest magnitudes of the gradients of one layer that should survive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerRange {
    /// `ln` of the smallest magnitude.
    pub ln_min: f64,
    /// `ln` of the largest magnitude.
    pub ln_max: f64,
}

/// Whether one loss scale fits all layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossScale {
    /// Every `log2 S` strictly between these limits keeps all layers in range.
    Fits {
        /// Lower limit.
        above_log2: f64,
        /// Upper limit.
        below_log2: f64,
        /// The integer `log2 S` nearest to the middle, if one lies between the limits.
        power: Option<i32>,
    },
    /// No scale does: one layer needs more than another allows.
    Conflict {
        /// Index of the layer whose smallest gradients need the largest scale.
        underflows: usize,
        /// Index of the layer whose largest gradients allow the least.
        overflows: usize,
        /// How many bits of range are missing.
        missing_bits: f64,
    },
    /// No gradient to scale.
    Empty,
}

/// Whether a single factor on the loss keeps the gradients of all layers between underflow and overflow.
///
/// # Examples
/// ```
/// use isometer::network::NumberFormat;
/// use isometer::theory::precision::{LayerRange, LossScale, Subnormals, loss_scale};
/// let ln2 = 2f64.ln();
/// let tiny = LayerRange { ln_min: -60.0 * ln2, ln_max: -50.0 * ln2 };
/// let large = LayerRange { ln_min: 0.0, ln_max: 0.0 };
/// // f16 spans about 41 binary orders, these two layers 60
/// let found = loss_scale(&[tiny, large], NumberFormat::F16, Subnormals::Kept);
/// assert!(matches!(found, LossScale::Conflict { underflows: 0, overflows: 1, .. }));
/// ```
pub fn loss_scale(
    layers: &[LayerRange],
    format: NumberFormat,
    subnormals: Subnormals,
) -> LossScale {
    let zero = format.ln_zero_threshold(subnormals);
    let infinite = format.ln_overflow_threshold();
    let needs = layers.iter().map(|l| (zero - l.ln_min) / LN_2);
    let allows = layers.iter().map(|l| (infinite - l.ln_max) / LN_2);
    let most = needs.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let least = allows.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
    let (Some((underflows, above_log2)), Some((overflows, below_log2))) = (most, least) else {
        return LossScale::Empty;
    };
    if above_log2 >= below_log2 {
        return LossScale::Conflict {
            underflows,
            overflows,
            missing_bits: above_log2 - below_log2,
        };
    }
    let middle = (0.5 * (above_log2 + below_log2)).round();
    LossScale::Fits {
        above_log2,
        below_log2,
        power: (middle > above_log2 && middle < below_log2).then_some(middle as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::lyapunov::VolumeLayer;
    use crate::theory::spectrum::Ensemble;

    use NumberFormat::{Bf16 as BF16, F16, F32, F64};
    use Subnormals::{Flushed, Kept};

    /// Theorem: ties-to-even-thresholds. theory.csv R268.
    #[test]
    fn limits_of_the_formats() {
        assert_eq!(F16.max(), 65504.0);
        assert_eq!(BF16.max(), 3.389_531_389_251_535_5e38);
        assert_eq!(F32.max(), f64::from(f32::MAX));
        assert_eq!(F64.max(), f64::MAX);
        assert_eq!(
            exp2(BF16.log2_smallest_subnormal()),
            9.183_549_615_799_121e-41
        );
        assert_eq!(exp2(F64.log2_smallest_subnormal()), f64::from_bits(1));
        assert_eq!(F16.round(65519.99, Kept), 65504.0);
        assert_eq!(F16.round(65520.0, Kept), f64::INFINITY);
        assert!((F16.ln_overflow_threshold() - 65520f64.ln()).abs() < 1e-14);
        let half = exp2(-25);
        assert_eq!(F16.round(half, Kept), 0.0);
        assert_eq!(F16.round(half.next_up(), Kept), 2.0 * half);
        assert!((F16.ln_zero_threshold(Kept) - half.ln()).abs() < 1e-14);
        assert_eq!(F16.round(0.999 * exp2(-14), Flushed), 0.0);
        assert_eq!(F16.round(exp2(-14), Flushed), exp2(-14));
    }

    /// Theorem: ties-to-even-thresholds. Rounding to f32 is the compiler's.
    #[test]
    fn rounding_agrees_with_the_hardware() {
        let mut x = 1.234_567_890_123e-46f64;
        while x < 1e39 {
            for y in [x, -x] {
                assert_eq!(F32.round(y, Kept), f64::from(y as f32), "{y}");
                assert_eq!(F64.round(y, Kept), y);
            }
            x *= 1.037_1;
        }
    }

    /// Theorem: ties-to-even-thresholds. theory.csv R272, R273.
    #[test]
    fn lost_updates() {
        let down = F16.lost_step(1.0, Direction::Decrease);
        assert_eq!((down.step, down.inclusive), (0.000_244_140_625, true));
        let up = BF16.lost_step(1.0, Direction::Increase);
        assert_eq!((up.step, up.inclusive), (0.003_906_25, true));
        // at every weight: the step is lost, the next larger is not
        let near = [
            1.0,
            1.0 + exp2(-10),
            1.5,
            2.0,
            0.3,
            1000.0,
            exp2(-14),
            exp2(-20),
            0.0,
        ];
        for w in near.into_iter().flat_map(|w| [w, -w]) {
            let w = F16.round(w, Kept);
            for direction in [Direction::Increase, Direction::Decrease] {
                let lost = F16.lost_step(w, direction);
                let sign = if direction == Direction::Increase {
                    1.0
                } else {
                    -1.0
                };
                let moved = |step: f64| F16.round(w + sign * step, Kept) != w;
                assert_eq!(moved(lost.step), !lost.inclusive, "{w} {direction:?}");
                assert!(moved(lost.step * (1.0 + 1e-9)), "{w} {direction:?}");
                assert!(!moved(lost.step * (1.0 - 1e-9)), "{w} {direction:?}");
            }
        }
    }

    /// theory.csv R261, R265, and the typical depth of a He network of width 16.
    #[test]
    fn depth_of_underflow() {
        let chi = f64::ln(1.0 / 6.0);
        let to = |log2: f64| depth_to_threshold(0.0, chi, log2 * LN_2).unwrap();
        assert!((to(-24.0) - 18.568_934_747_257_995).abs() < 1e-12);
        assert!((to(-14.0) - 10.831_878_602_567_164).abs() < 1e-12);
        // round to zero half a subnormal later
        let zero = F16.ln_zero_threshold(Kept);
        let depth = depth_to_threshold(0.0, chi, zero).unwrap();
        assert!((depth - 19.342_640_361_727).abs() < 1e-3);
        // chi = 1 says never, the typical gradient says 196
        assert_eq!(depth_to_threshold(0.0, 0.0, zero), None);
        let relu = VolumeLayer::square(Ensemble::Gaussian, 16, 2.0, 0.5);
        let drift = 2.0 * relu.exponents(1).unwrap()[0];
        assert_eq!(depth_to_threshold(0.0, drift, zero).unwrap().floor(), 196.0);
        assert_eq!(depth_to_threshold(0.0, 0.1, zero), None);
        assert!(depth_to_threshold(0.0, 0.1, F16.ln_overflow_threshold()).is_some());
    }

    /// Theorem: element-of-a-gradient. A chi-square of `n` degrees has Gaussian elements.
    #[test]
    fn elements_of_a_gaussian_vector_are_gaussian() {
        for n in [1usize, 2, 3, 16, 1000] {
            let cdf =
                |x: f64| statrs::function::gamma::gamma_lr(0.5 * n as f64, 0.5 * x.exp().min(1e9));
            for t in [0.01, 0.5, 2.0] {
                let p = p_element_below(n, 0.25, f64::ln(t), cdf);
                let truth = 0.25 + 0.75 * libm::erf(t * std::f64::consts::FRAC_1_SQRT_2);
                assert!(
                    (p.value - truth).abs() < 1e-9 + p.error,
                    "{n} {t} {} {truth}",
                    p.value
                );
                assert!(p.error < 1e-8);
                // the norm alone would say something else
                assert!(
                    n == 1 || (cdf(2.0 * f64::ln(t)) - libm::erf(t * 0.5f64.sqrt())).abs() > 1e-4
                );
            }
        }
    }

    /// Theorem: element-of-a-gradient. A known norm: the uniform law on the sphere in three dimensions has uniform elements.
    #[test]
    fn elements_of_a_fixed_norm() {
        let step = |x: f64| if x >= 0.0 { 1.0 } else { 0.0 };
        let p = p_element_below(3, 0.0, f64::ln(0.3), step);
        assert!((p.value - 0.3).abs() < 1e-9, "{}", p.value);
    }

    #[test]
    fn one_loss_scale_or_none() {
        let layer = |a: f64, b: f64| LayerRange {
            ln_min: a * LN_2,
            ln_max: b * LN_2,
        };
        let fits = loss_scale(&[layer(-30.0, -20.0), layer(-28.0, -5.0)], F16, Kept);
        let LossScale::Fits {
            above_log2,
            below_log2,
            power: Some(power),
        } = fits
        else {
            panic!("{fits:?}");
        };
        assert!((above_log2 - 5.0).abs() < 1e-12 && below_log2 > 20.99 && below_log2 < 21.0);
        assert_eq!(power, 13);
        let conflict = loss_scale(&[layer(-10.0, 2.0), layer(-60.0, -50.0)], F16, Kept);
        let LossScale::Conflict {
            underflows,
            overflows,
            missing_bits,
        } = conflict
        else {
            panic!("{conflict:?}");
        };
        assert_eq!((underflows, overflows), (1, 0));
        assert!((missing_bits - 21.0).abs() < 1e-3);
        // flushing costs the ten bits of the subnormals and the tie
        let flushed = loss_scale(&[layer(-30.0, -20.0)], F16, Flushed);
        assert!(
            matches!(flushed, LossScale::Fits { above_log2, .. } if (above_log2 - 16.0).abs() < 1e-12)
        );
        assert_eq!(loss_scale(&[], F16, Kept), LossScale::Empty);
    }
}
