//! Averages over Gaussian variables by adaptive Gauss-Kronrod quadrature, split at kinks.
//!
//! Gauss-Hermite is the wrong rule for activations: the poles of tanh at `i pi/2` hold it at 1e-7 even with
//! 200 nodes. Panels that halve where needed reach rounding level, and kinks of the integrand are
//! panel boundaries.
//!
//! ```
//! use isometer::theory::quadrature::gaussian_averages;
//!
//! let [second, fourth] = gaussian_averages(|z| [z.powi(2), z.powi(4)], &[]);
//! assert!((second.value - 1.0).abs() < 1e-13 && (fourth.value - 3.0).abs() < 1e-12);
//! ```

const HALF: usize = 10;

/// Nodes of the Kronrod rule with 21 points on `[0, 1]`, the odd ones those of Gauss with 10
/// (Piessens et al., QUADPACK, 1983, routine qk21).
const NODES: [f64; HALF] = [
    0.995_657_163_025_808_1,
    0.973_906_528_517_171_7,
    0.930_157_491_355_708_2,
    0.865_063_366_688_984_5,
    0.780_817_726_586_416_9,
    0.679_409_568_299_024_4,
    0.562_757_134_668_604_7,
    0.433_395_394_129_247_2,
    0.294_392_862_701_460_2,
    0.148_874_338_981_631_22,
];
const KRONROD: [f64; HALF] = [
    0.011_694_638_867_371_874,
    0.032_558_162_307_964_725,
    0.054_755_896_574_351_995,
    0.075_039_674_810_919_96,
    0.093_125_454_583_697_6,
    0.109_387_158_802_297_64,
    0.123_491_976_262_065_84,
    0.134_709_217_311_473_34,
    0.142_775_938_577_060_09,
    0.147_739_104_901_338_49,
];
const KRONROD_CENTRE: f64 = 0.149_445_554_002_916_9;
const GAUSS: [f64; HALF / 2] = [
    0.066_671_344_308_688_14,
    0.149_451_349_150_580_6,
    0.219_086_362_515_982_04,
    0.269_266_719_309_996_35,
    0.295_524_224_714_752_87,
];

/// Where the Gaussian weight is cut: the density there is 5e-32, below rounding for every
/// integrand that grows more slowly than `e^(z^2/4)`.
const RANGE: f64 = 12.0;
/// Width of the first panels: the rule is exact to rounding there for integrands with poles at a
/// distance of at least 1.5.
const PANEL: f64 = 1.5;
const MAX_DEPTH: usize = 48;
/// Halving ends after this many panels: an integrand that is noise costs no more, and says so in
/// its error.
const MAX_PANELS: usize = 20_000;

/// An average with an estimate of its absolute error (truncation and rounding).
///
/// # Examples
/// ```
/// use isometer::theory::quadrature::Average;
/// let (a, b) = (Average { value: 6.0, error: 0.06 }, Average { value: 2.0, error: 0.0 });
/// let q = a.over(b);
/// assert!(q.value == 3.0 && (q.error - 0.03).abs() < 1e-12);
/// assert!((a.times(2.0).error - 0.12).abs() < 1e-12 && a.plus(1.0).value == 7.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Average {
    /// The value.
    pub value: f64,
    /// Estimated absolute error.
    pub error: f64,
}

impl Average {
    /// A value from a closed form of a few operations: wrong by some roundings.
    pub fn closed_form(value: f64) -> Average {
        Average {
            value,
            error: 8.0 * f64::EPSILON * value.abs(),
        }
    }

    /// `factor * self`; the factor counts as exact.
    pub fn times(self, factor: f64) -> Average {
        Average {
            value: factor * self.value,
            error: factor.abs() * self.error + f64::EPSILON * (factor * self.value).abs(),
        }
    }

    /// `shift + self`; the shift counts as exact.
    pub fn plus(self, shift: f64) -> Average {
        let value = shift + self.value;
        Average {
            value,
            error: self.error + f64::EPSILON * value.abs(),
        }
    }

    /// `self / below`, errors to first order.
    pub fn over(self, below: Average) -> Average {
        let value = self.value / below.value;
        Average {
            value,
            error: (self.error + value.abs() * below.error) / below.value.abs()
                + f64::EPSILON * value.abs(),
        }
    }

    /// The square root, the error to first order.
    pub fn sqrt(self) -> Average {
        let value = self.value.sqrt();
        Average {
            value,
            error: 0.5 * self.error / value + f64::EPSILON * value,
        }
    }
}

/// Integral over one panel, its error, and the integral of the modulus.
fn panel<const N: usize>(
    f: &impl Fn(f64) -> [f64; N],
    a: f64,
    b: f64,
) -> ([f64; N], [f64; N], [f64; N]) {
    let (centre, half) = (0.5 * (a + b), 0.5 * (b - a));
    let middle = f(centre);
    let mut kronrod = middle.map(|y| KRONROD_CENTRE * y);
    let mut gauss = [0.0; N];
    let mut modulus = middle.map(|y| KRONROD_CENTRE * y.abs());
    for (i, (x, w)) in NODES.iter().zip(&KRONROD).enumerate() {
        let (left, right) = (f(centre - half * x), f(centre + half * x));
        for k in 0..N {
            let sum = left[k] + right[k];
            kronrod[k] += w * sum;
            modulus[k] += w * (left[k].abs() + right[k].abs());
            if i % 2 == 1 {
                gauss[k] += GAUSS[i / 2] * sum;
            }
        }
    }
    let mut error = [0.0; N];
    for k in 0..N {
        error[k] = (kronrod[k] - gauss[k]).abs() * half;
        kronrod[k] *= half;
        modulus[k] *= half;
    }
    (kronrod, error, modulus)
}

/// Integrals of the `N` components of `f` over `[a, b]`, with panels split at `breaks`.
///
/// A panel is halved while the difference of its two rules exceeds 1e-14 of the integral of the
/// modulus, or its share of `absolute`, whichever is larger. The difference is the error of the lower
/// rule, so the estimate is generous.
///
/// # Examples
/// ```
/// use isometer::theory::quadrature::integrate;
/// let [i] = integrate(|x| [x.abs()], -1.0, 3.0, &[0.0], 1e-12); // 1/2 + 9/2
/// assert!((i.value - 5.0).abs() < 1e-14 && i.error < 1e-10);
/// ```
pub fn integrate<const N: usize>(
    f: impl Fn(f64) -> [f64; N],
    a: f64,
    b: f64,
    breaks: &[f64],
    absolute: f64,
) -> [Average; N] {
    let mut edges: Vec<f64> = breaks
        .iter()
        .copied()
        .filter(|x| *x > a && *x < b)
        .chain([a, b])
        .collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let mut stack = Vec::new();
    for pair in edges.windows(2) {
        let count = ((pair[1] - pair[0]) / PANEL).ceil().max(1.0);
        let width = (pair[1] - pair[0]) / count;
        for i in 0..count as usize {
            let left = pair[0] + i as f64 * width;
            let right = if i + 1 == count as usize {
                pair[1]
            } else {
                left + width
            };
            stack.push((left, right, 0, panel(&f, left, right)));
        }
    }
    let mut scale = [0.0; N];
    for (_, _, _, (_, _, modulus)) in &stack {
        for k in 0..N {
            scale[k] += modulus[k];
        }
    }
    let span = b - a;
    let mut out = [Average {
        value: 0.0,
        error: 0.0,
    }; N];
    let mut panels = stack.len();
    while let Some((left, right, depth, (value, error, modulus))) = stack.pop() {
        let middle = 0.5 * (left + right);
        let share = ((right - left) / span).max(1e-3);
        // rounding does not get better by halving, nor does what is not finite
        let fine = (0..N).all(|k| {
            let tolerance = (1e-14 * scale[k]).max(absolute) * share;
            error[k] <= tolerance.max(2.0 * f64::EPSILON * modulus[k]) || !error[k].is_finite()
        });
        let spent = depth == MAX_DEPTH || panels > MAX_PANELS;
        if fine || spent || middle <= left || middle >= right {
            for k in 0..N {
                out[k].value += value[k];
                out[k].error += error[k] + f64::EPSILON * modulus[k];
            }
        } else {
            panels += 2;
            stack.push((left, middle, depth + 1, panel(&f, left, middle)));
            stack.push((middle, right, depth + 1, panel(&f, middle, right)));
        }
    }
    out
}

/// `E f(z)` for standard Gaussian `z`; `breaks` are the points where `f` or a derivative jumps.
///
/// Features much narrower than 1 need breaks around them, or they can fall between the nodes.
pub fn gaussian_averages<const N: usize>(
    f: impl Fn(f64) -> [f64; N],
    breaks: &[f64],
) -> [Average; N] {
    const INV_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
    let weighted = |z: f64| {
        let weight = INV_SQRT_TAU * (-0.5 * z * z).exp();
        f(z).map(|y| if weight == 0.0 { 0.0 } else { weight * y })
    };
    integrate(weighted, -RANGE, RANGE, breaks, 1e-300)
}

/// `E f(z)` for standard Gaussian `z`, one function.
///
/// # Examples
/// ```
/// use isometer::theory::quadrature::gaussian_average;
/// let a = gaussian_average(f64::abs, &[0.0]); // sqrt(2/pi), the kink a boundary of panels
/// assert!((a.value - 0.7978845608028654).abs() < 1e-14 && a.error < 1e-12);
/// ```
pub fn gaussian_average(f: impl Fn(f64) -> f64, breaks: &[f64]) -> Average {
    let [average] = gaussian_averages(|z| [f(z)], breaks);
    average
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_integrates_polynomials_exactly() {
        // degree 31 for the Kronrod rule, which also fixes every digit of its constants
        for degree in 0..=31 {
            let f = |x: f64| [x.powi(degree)];
            let (value, _, _) = panel(&f, -1.0, 1.0);
            let truth = if degree % 2 == 1 {
                0.0
            } else {
                2.0 / f64::from(degree + 1)
            };
            assert!((value[0] - truth).abs() <= 4.0 * f64::EPSILON, "{degree}");
        }
        // and 32 is too much
        let (value, error, _) = panel(&|x: f64| [x.powi(32)], -1.0, 1.0);
        assert!((value[0] - 2.0 / 33.0).abs() > 1e-13 && error[0] > 1e-13);
    }

    #[test]
    fn gaussian_moments() {
        let mut truth = 1.0;
        for k in 0..12 {
            let m = gaussian_average(|z| z.powi(2 * k), &[]);
            assert!((m.value / truth - 1.0).abs() < 1e-14, "{k}: {}", m.value);
            assert!((m.value - truth).abs() <= m.error);
            truth *= f64::from(2 * k + 1);
        }
    }

    #[test]
    fn kinks_are_integrated_exactly_when_named() {
        let half = 0.5 * libm::erfc(0.3 / std::f64::consts::SQRT_2);
        let step = |z: f64| f64::from(u8::from(z > 0.3));
        let named = gaussian_average(step, &[0.3]);
        assert!((named.value - half).abs() < 1e-15 && named.error < 1e-13);
        // a kink that is not named is found by halving, to its error
        let unnamed = gaussian_average(step, &[]);
        assert!((unnamed.value - half).abs() <= unnamed.error);
    }

    #[test]
    fn noise_ends() {
        // digits from the tail of x: no panel is small enough
        let noise = |z: f64| (z.to_bits() & 0xff) as f64;
        let average = gaussian_average(noise, &[]);
        assert!((average.value - 127.5).abs() < 10.0 && average.error > 1e-6);
    }

    #[test]
    fn published_values_of_tanh() {
        // 30 digits of mpmath: tests/data/theory.csv, R001 and R002
        let [a, b] = gaussian_averages(|z| [z.tanh().powi(2), z.cosh().powi(-4)], &[]);
        assert!((a.value - 0.394_294_490_397_841_2).abs() < 1e-15);
        assert!((b.value - 0.464_402_902_448_268_26).abs() < 1e-15);
    }
}
