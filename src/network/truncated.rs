//! Moments of a standard normal variable kept within limits.

use std::f64::consts::SQRT_2;

/// 1 / sqrt(2 pi)
const INV_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
/// The density beyond is below 1e-32 of its peak.
const FAR: f64 = 12.0;
/// Gauss-Legendre, 10 points on [-1, 1]: nodes on the right and their weights.
const GAUSS: [(f64, f64); 5] = [
    (0.148_874_338_981_631_22, 0.295_524_224_714_752_87),
    (0.433_395_394_129_247_2, 0.269_266_719_309_996_36),
    (0.679_409_568_299_024_4, 0.219_086_362_515_982_04),
    (0.865_063_366_688_984_5, 0.149_451_349_150_580_6),
    (0.973_906_528_517_171_7, 0.066_671_344_308_688_14),
];

/// Mean, variance, and third and fourth central moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    pub(super) mean: f64,
    pub(super) variance: f64,
    pub(super) third: f64,
    pub(super) fourth: f64,
}

/// Moments of a standard normal variable conditional on `lower <= z <= upper`. The interval must be
/// non-empty and reach to within 2 of 0, which [`super::WeightInit::validate`] sees to.
pub(super) fn moments(lower: f64, upper: f64) -> Moments {
    if lower == -upper && upper >= 1.0 {
        symmetric(upper)
    } else {
        by_quadrature(lower.max(-FAR), upper.min(FAR))
    }
}

/// Theorem: initializer-moments. By parts, `E z^2 = 1 - 2 c f(c) / P`, `E z^4 = 3 E z^2 - 2 c^3 f(c) / P`, with the
/// density `f` and `P = erf(c / sqrt 2)`. It cancels for `c` well below 1.
fn symmetric(c: f64) -> Moments {
    let edge = 2.0 * c * INV_SQRT_TAU * (-0.5 * c * c).exp() / libm::erf(c / SQRT_2);
    let edge = if edge > 0.0 { edge } else { 0.0 }; // infinite c times 0
    let variance = 1.0 - edge;
    let beyond = if edge > 0.0 { c * c * edge } else { 0.0 };
    Moments {
        mean: 0.0,
        variance,
        third: 0.0,
        fourth: 3.0 * variance - beyond,
    }
}

/// Central moments as integrals of positive or centred terms, so that neither a narrow interval nor a
/// far one cancels. Panels of length at most 1 leave a truncation error far below rounding.
fn by_quadrature(lower: f64, upper: f64) -> Moments {
    let panels = (upper - lower).ceil().max(1.0);
    let half = 0.5 * (upper - lower) / panels;
    // relative to the largest density on the interval, which cannot underflow
    let peak = 0.0f64.clamp(lower, upper);
    let average = |g: &dyn Fn(f64) -> f64| {
        let (mut sum, mut mass) = (0.0, 0.0);
        for panel in 0..panels as usize {
            let centre = lower + half * (2.0 * panel as f64 + 1.0);
            for (node, weight) in GAUSS {
                for z in [centre - half * node, centre + half * node] {
                    let density = weight * (0.5 * (peak - z) * (peak + z)).exp();
                    sum += density * g(z);
                    mass += density;
                }
            }
        }
        sum / mass
    };
    // from the likeliest point, so that a narrow interval keeps its digits
    let offset = average(&|z| z - peak);
    let central = |power: i32| average(&|z| ((z - peak) - offset).powi(power));
    Moments {
        mean: peak + offset,
        variance: central(2),
        third: central(3),
        fourth: central(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} {b}");
    }

    /// Theorem: initializer-moments, against constants computed elsewhere.
    #[test]
    fn two_sigma_has_the_known_constants() {
        let m = moments(-2.0, 2.0);
        close(m.variance, 0.773_741_303_549_923_2, 1e-13); // R140
        close(m.variance.sqrt(), 0.879_625_661_034_239_8, 1e-13); // R141
        close(m.fourth / m.variance.powi(2), 2.365_536_72, 5e-9);
    }

    /// Theorem: initializer-moments, closed form against quadrature.
    #[test]
    fn both_routes_agree() {
        for c in [1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 11.0] {
            let (a, b) = (symmetric(c), by_quadrature(-c, c));
            // sums of 20 c terms, of size at most E|z|^k
            let rounding = 20.0 * c * f64::EPSILON;
            close(a.variance, b.variance, rounding);
            close(a.fourth, b.fourth, 3.0 * rounding);
            close(b.mean, 0.0, rounding);
            close(b.third, 0.0, 2.0 * rounding);
        }
        assert_eq!(symmetric(f64::INFINITY).variance, 1.0);
        assert_eq!(symmetric(f64::INFINITY).fourth, 3.0);
    }

    #[test]
    fn one_sided_laws_are_the_half_normal() {
        let m = moments(0.0, f64::INFINITY);
        let mean = (2.0 / std::f64::consts::PI).sqrt();
        close(m.mean, mean, 1e-15);
        close(m.variance, 1.0 - mean * mean, 1e-15);
        // E z^3 = 2 mean, E z^4 = 3
        close(m.third, 2.0 * mean - 3.0 * mean + 2.0 * mean.powi(3), 1e-15);
        close(
            m.fourth,
            3.0 - 8.0 * mean * mean + 6.0 * mean * mean - 3.0 * mean.powi(4),
            4e-15,
        );
    }

    #[test]
    fn narrow_intervals_are_uniform() {
        // the density changes by a relative `lower width` over the interval
        for lower in [-1e-6, 0.7, 1.9] {
            let width = 2e-6;
            let m = moments(lower, lower + width);
            close(m.variance / (width * width / 12.0), 1.0, 1e-9);
            close(m.fourth / m.variance.powi(2), 1.8, 1e-9);
        }
    }
}
