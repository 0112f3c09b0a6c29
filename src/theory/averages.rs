//! Averages of an activation and its slope over a Gaussian pre-activation.
//!
//! In a wide layer a pre-activation is Gaussian with variance `q`, so all of
//! [`mean_field`](crate::theory::mean_field) is made of `E phi(u)^2` (what goes forward) and `E phi'(u)^2` (what
//! comes back). Start with [`moments`]. Closed forms where there are any, else quadrature to rounding level; each
//! [`Average`] carries its estimated error.
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::theory::averages::moments;
//!
//! let m = moments(&Activation::Relu, 3.0); // q/2 and 1/2
//! assert!((m.second.value - 1.5).abs() < 1e-14 && (m.slope.value - 0.5).abs() < 1e-15);
//! let t = moments(&Activation::Tanh, 1e-6); // almost linear
//! assert!((t.slope.value - (1.0 - 2e-6)).abs() < 1e-11);
//! ```

use crate::network::activation::Activation;
use crate::theory::quadrature::{Average, gaussian_averages};

const INV_SQRT_TAU: f64 = 0.398_942_280_401_432_7;

/// What the length map needs at one variance; `u` is Gaussian with that variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// `E phi(u)^2`.
    pub second: Average,
    /// `E phi'(u)^2`.
    pub slope: Average,
    /// `E[phi(u) phi'(u) z] / sqrt q`, `u = sqrt(q) z`: the derivative of `second` in `q`. Unlike
    /// `E phi'^2 + E phi phi''` it needs no second derivative, so kinks lose nothing.
    pub parallel: Average,
}

/// Largest standard deviation, in units of the width of the activation's bend, for which the
/// trapezoidal rule is the cheaper one.
const NARROW: f64 = 6.0;

/// Width of the bend of the activation: the scale on which it is analytic.
fn bend(activation: &Activation) -> f64 {
    match activation {
        Activation::Softplus { beta } => beta.recip(),
        Activation::Celu { alpha } => *alpha,
        _ => 1.0,
    }
}

/// `E f(mean + sqrt(q) z, z)` for standard Gaussian `z`, `q > 0`; `f` is analytic except at the
/// kinks of the activation.
///
/// Smooth activations at moderate `q` use the trapezoidal rule, which converges exponentially for
/// analytic functions with Gaussian weight (Trefethen and Weideman, SIAM Review 56, 2014);
/// otherwise adaptive panels split at the kinks and graded towards the bend at 0.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::averages::average;
/// // E u^2 and E u for u of mean 3 and variance 4
/// let [square, mean] = average(&Activation::Linear, 3.0, 4.0, |u, _z| [u * u, u]);
/// assert!((square.value - 13.0).abs() < 1e-12 && (mean.value - 3.0).abs() < 1e-12);
/// ```
pub fn average<const N: usize>(
    activation: &Activation,
    mean: f64,
    q: f64,
    f: impl Fn(f64, f64) -> [f64; N],
) -> [Average; N] {
    let deviation = q.sqrt();
    let kinks = activation.kinks();
    let width = deviation / bend(activation);
    let smooth = kinks.is_empty() && !matches!(activation, Activation::Custom(_));
    if smooth
        && width <= NARROW
        && let Some(averages) = trapezoid(|z| f(mean + deviation * z, z), width)
    {
        return averages;
    }
    let breaks: Vec<f64> = kinks
        .into_iter()
        .chain(graded(bend(activation), deviation))
        .map(|x| (x - mean) / deviation)
        .collect();
    let mut averages = gaussian_averages(|z| f(mean + deviation * z, z), &breaks);
    // what lies beyond 12 standard deviations, by the integrand there
    let edges = [12.0, -12.0].map(|z| f(mean + deviation * z, z));
    for (k, a) in averages.iter_mut().enumerate() {
        a.error += 1e-32 * edges.iter().map(|e| e[k].abs()).sum::<f64>();
        // abscissae, weights and the activation itself
        a.error += 8.0 * f64::EPSILON * a.value.abs();
    }
    averages
}

/// Breaks on both sides of 0, growing from the bend outwards, as far as 12 standard deviations.
///
/// Far out the activation is a power but for exponentially small terms, and panels `[x, 3x]` do for
/// a power.
fn graded(bend: f64, deviation: f64) -> impl Iterator<Item = f64> {
    let far = if deviation > bend {
        12.0 * deviation
    } else {
        0.0
    };
    let next = move |x: &f64| match *x / bend {
        r if r < 2.9 => Some(x + bend),
        r if r < 25.0 => Some(1.6 * x),
        _ => Some(3.0 * x),
    };
    std::iter::successors(Some(bend), next)
        .take_while(move |x| *x < far)
        .flat_map(|x| [-x, x])
        .chain((far > 0.0).then_some(0.0))
}

/// Trapezoidal rule over the line; `None` if it has not settled.
///
/// The rule and its shift by half a step differ by twice the error of the step. Their mean, the rule
/// of half the step, has about the square of that relative error.
fn trapezoid<const N: usize>(f: impl Fn(f64) -> [f64; N], width: f64) -> Option<[Average; N]> {
    const RANGE: f64 = 10.0;
    let mut h = (0.42 / width).min(0.7);
    let sum = |start: f64, h: f64| {
        let (mut sum, mut modulus) = ([0.0; N], [0.0; N]);
        let count = ((RANGE - start) / h) as i64;
        for i in -count..=count {
            let z = start + i as f64 * h;
            let weight = h * INV_SQRT_TAU * (-0.5 * z * z).exp();
            for (k, y) in f(z).into_iter().enumerate() {
                sum[k] += weight * y;
                modulus[k] += weight * y.abs();
            }
        }
        (sum, modulus)
    };
    let (mut coarse, mut modulus) = sum(0.0, h);
    for _ in 0..4 {
        let (shifted, other) = sum(0.5 * h, h);
        let mut out = [Average {
            value: 0.0,
            error: 0.0,
        }; N];
        let mut settled = true;
        for k in 0..N {
            let difference = (coarse[k] - shifted[k]).abs();
            coarse[k] = 0.5 * (coarse[k] + shifted[k]);
            modulus[k] = 0.5 * (modulus[k] + other[k]);
            settled &= difference <= 1e-10 * modulus[k];
            out[k] = Average {
                value: coarse[k],
                error: 1e-5 * difference + 12.0 * f64::EPSILON * modulus[k],
            };
        }
        if settled {
            return Some(out);
        }
        h *= 0.5;
    }
    None
}

/// The closed forms that hold for centred pre-activations of variance `q`.
///
/// Theorem: gaussian-closed-forms.
fn closed_moments(activation: &Activation, q: f64) -> Option<Moments> {
    let pi = std::f64::consts::PI;
    let (second, slope, parallel) = match activation {
        Activation::Erf => {
            let root = (1.0 + 4.0 * q).sqrt();
            (
                // asin(2q / (1 + 2q)), well conditioned at both ends
                2.0 / pi * (2.0 * q).atan2(root),
                4.0 / (pi * root),
                4.0 / (pi * (1.0 + 2.0 * q) * root),
            )
        }
        Activation::Sin => {
            let decay = (-2.0 * q).exp();
            (-0.5 * (-2.0 * q).exp_m1(), 0.5 * (1.0 + decay), decay)
        }
        _ => {
            let (below, above) = activation.slopes()?;
            let mean = 0.5 * (below * below + above * above);
            (q * mean, mean, mean)
        }
    };
    Some(Moments {
        second: Average::closed_form(second),
        slope: Average::closed_form(slope),
        parallel: Average::closed_form(parallel),
    })
}

/// Moments at pre-activation variance `q >= 0`, centred. At `q = 0` they are the limits from above:
/// at a kink at 0, the mean over both sides.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::averages::moments;
/// // erf has closed forms (Williams 1997): E erf(u)^2 = 2/pi asin(2q / (1 + 2q))
/// let m = moments(&"erf".parse::<Activation>().unwrap(), 0.5);
/// assert!((m.second.value - 2.0 / std::f64::consts::PI * 0.5f64.asin()).abs() < 1e-14);
/// ```
pub fn moments(activation: &Activation, q: f64) -> Moments {
    if let Some(closed) = closed_moments(activation, q) {
        return closed;
    }
    if q > 0.0 {
        return moments_around(activation, 0.0, q);
    }
    let origin = activation.value(0.0);
    // the limit of `parallel` is resolved at tiny q only where phi(0) = 0
    let small = if origin == 0.0 { 1e-200 } else { 1e-8 };
    let near = moments_around(activation, 0.0, small);
    let [slope] = average(activation, 0.0, 1e-200, |x, _| {
        [activation.derivative(x).powi(2)]
    });
    Moments {
        second: Average::closed_form(origin * origin),
        slope,
        parallel: Average {
            value: near.parallel.value,
            error: near.parallel.error + 10.0 * small * near.parallel.value.abs(),
        },
    }
}

/// Moments of pre-activations with a mean (a constant bias) and variance `q > 0`. Where
/// `phi(mean)` is not 0, `parallel` loses digits as `q` goes to 0, by `1 / sqrt q`; its error says so.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::averages::moments_around;
/// assert!((moments_around(&Activation::Linear, 3.0, 1.0).second.value - 10.0).abs() < 1e-12);
/// ```
pub fn moments_around(activation: &Activation, mean: f64, q: f64) -> Moments {
    let deviation = q.sqrt();
    let [second, slope, parallel] = average(activation, mean, q, |x, z| {
        let (y, d) = (activation.value(x), activation.derivative(x));
        [y * y, d * d, y * d * z / deviation]
    });
    Moments {
        second,
        slope,
        parallel,
    }
}

/// `E phi(u)` at variance `q`. The error is relative to `E |phi(u)|`.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::averages::mean;
/// let m = mean(&Activation::Relu, 1.0); // 1 / sqrt(2 pi)
/// assert!((m.value - 0.3989422804014327).abs() < 1e-14);
/// ```
pub fn mean(activation: &Activation, q: f64) -> Average {
    if let Some((below, above)) = activation.slopes() {
        return Average::closed_form((above - below) * INV_SQRT_TAU * q.sqrt());
    }
    if activation.is_odd() {
        return Average::closed_form(0.0);
    }
    if q == 0.0 {
        return Average::closed_form(activation.value(0.0));
    }
    let [mean] = average(activation, 0.0, q, |x, _| [activation.value(x)]);
    mean
}

/// Variance of `phi(u)` at variance `q`, as the average of `(phi(u) - E phi(u))^2`.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::averages::variance;
/// let v = variance(&Activation::Relu, 1.0); // 1/2 - 1/(2 pi)
/// assert!((v.value - 0.3408450569081046).abs() < 1e-13);
/// ```
pub fn variance(activation: &Activation, q: f64) -> Average {
    let centre = mean(activation, q).value;
    if q == 0.0 {
        return Average::closed_form(0.0);
    }
    let [variance] = average(activation, 0.0, q, |x, _| {
        [(activation.value(x) - centre).powi(2)]
    });
    variance
}

/// `E |phi'(u)|^(2k)` at variance `q`: the moments `mu_k` of the squared slopes.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::averages::slope_moment;
/// let leaky = Activation::LeakyRelu { slope: 0.5 };
/// assert!((slope_moment(&leaky, 1.0, 2).value - (1.0 + 0.0625) / 2.0).abs() < 1e-14); // E phi'^4
/// ```
pub fn slope_moment(activation: &Activation, q: f64, k: u32) -> Average {
    if let Some((below, above)) = activation.slopes() {
        let power = |s: f64| (s * s).powi(k as i32);
        return Average::closed_form(0.5 * (power(below) + power(above)));
    }
    if *activation == Activation::Erf {
        let k = f64::from(k);
        let top = (4.0 / std::f64::consts::PI).powf(k);
        return Average::closed_form(top / (1.0 + 4.0 * k * q).sqrt());
    }
    let [moment] = average(activation, 0.0, q.max(1e-200), |x, _| {
        [(activation.derivative(x).powi(2)).powi(k as i32)]
    });
    moment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::activation::Custom;
    use crate::theory::quadrature::gaussian_average;

    fn near(a: Average, truth: f64, relative: f64) {
        assert!(
            (a.value / truth - 1.0).abs() <= relative && (a.value - truth).abs() <= a.error,
            "{a:?} is not {truth}"
        );
    }

    #[test]
    fn published_values() {
        // theory.csv R001 .. R018
        let tanh = moments(&Activation::Tanh, 1.0);
        near(tanh.second, 0.3942944903978412, 1e-14);
        near(tanh.slope, 0.46440290244826826, 1e-14);
        near(
            moments(&Activation::Gelu, 1.0).second,
            0.4252214825702987,
            1e-14,
        );
        let silu = moments(&Activation::Silu, 1.0);
        near(silu.second, 0.35577551981735217, 1e-14);
        near(silu.slope, 0.3794823516328293, 1e-14);
        let softplus = moments(&Activation::Softplus { beta: 1.0 }, 1.0);
        near(softplus.second, 0.9212459088593002, 1e-14);
        near(
            moments(&Activation::Mish, 1.0).slope,
            0.47908375837396977,
            1e-14,
        );
    }

    /// `E gelu^2` in closed form (R023).
    fn gelu_square(q: f64) -> f64 {
        let pi = std::f64::consts::PI;
        q / 4.0
            + q * q.atan2((1.0 + 2.0 * q).sqrt()) / (2.0 * pi)
            + q * q / (pi * (1.0 + q) * (1.0 + 2.0 * q).sqrt())
    }

    const RANGE: [f64; 11] = [1e-12, 1e-6, 1e-3, 0.1, 1.0, 7.0, 35.0, 40.0, 1e3, 1e6, 1e12];

    /// Theorem: gaussian-closed-forms.
    #[test]
    fn quadrature_meets_the_closed_forms_over_24_decades() {
        for q in RANGE {
            let gelu = moments(&Activation::Gelu, q);
            near(gelu.second, gelu_square(q), 1e-13);
            assert!((gelu_square(q * 1.001) / gelu.second.value - 1.0).abs() > 5e-4);
            for phi in [
                Activation::Erf,
                Activation::Relu,
                Activation::LeakyRelu { slope: 0.2 },
                Activation::Abs,
                Activation::Linear,
            ] {
                let closed = closed_moments(&phi, q).unwrap();
                let direct = moments_around(&phi, 0.0, q);
                near(direct.second, closed.second.value, 1e-13);
                near(direct.slope, closed.slope.value, 1e-13);
                near(direct.parallel, closed.parallel.value, 1e-13);
            }
        }
        for q in [1e-6, 0.3, 4.0, 20.0] {
            let closed = closed_moments(&Activation::Sin, q).unwrap();
            let direct = moments_around(&Activation::Sin, 0.0, q);
            near(direct.second, closed.second.value, 1e-13);
            near(direct.slope, closed.slope.value, 1e-13);
            assert!((direct.parallel.value - closed.parallel.value).abs() < 1e-14);
        }
    }

    #[test]
    fn both_rules_agree_for_every_activation() {
        for phi in Activation::all() {
            for q in [1e-10, 1e-3, 0.4, 3.0, 30.0, 50.0, 1e4] {
                if phi == Activation::Sin && q > 100.0 {
                    continue;
                }
                let a = moments(&phi, q);
                // brute force: many equal panels through the same points
                let s = q.sqrt();
                let mut breaks: Vec<f64> = phi.kinks().iter().map(|k| k / s).collect();
                breaks.extend((-700..700).map(|i| f64::from(i) * 0.017));
                let b = gaussian_average(|z| phi.value(s * z).powi(2), &breaks);
                let c = gaussian_average(|z| phi.derivative(s * z).powi(2), &breaks);
                assert!(
                    (a.second.value / b.value - 1.0).abs() < 1e-12 || b.value < 1e-25,
                    "{phi} {q}: {a:?} {b:?}"
                );
                assert!((a.slope.value / c.value - 1.0).abs() < 1e-12 || c.value < 1e-25);
            }
        }
    }

    #[test]
    fn the_parallel_form_is_the_derivative() {
        for phi in Activation::all() {
            for q in [0.05, 0.8, 12.0] {
                let h = 1e-3 * q;
                let e = |q: f64| moments(&phi, q).second.value;
                let d =
                    (8.0 * (e(q + h) - e(q - h)) - e(q + 2.0 * h) + e(q - 2.0 * h)) / (12.0 * h);
                let p = moments(&phi, q).parallel;
                assert!(
                    (d - p.value).abs() < 1e-8 * (1.0 + d.abs()),
                    "{phi} {q}: {d} {p:?}"
                );
            }
        }
    }

    #[test]
    fn narrow_features_are_not_missed() {
        // E tanh'^2 -> (4/3) / sqrt(2 pi q), corrections of relative order 1/q
        let slope = moments(&Activation::Tanh, 1e12).slope.value;
        assert!((slope / (4.0 / 3.0 * INV_SQRT_TAU / 1e6) - 1.0).abs() < 1e-11);
        let sharp = moments(&Activation::Softplus { beta: 1e4 }, 1.0);
        assert!((sharp.slope.value - 0.5).abs() < 1e-4 && sharp.slope.error < 1e-12);
    }

    #[test]
    fn limits_at_zero() {
        let tanh = moments(&Activation::Tanh, 0.0);
        assert_eq!(tanh.second.value, 0.0);
        near(tanh.slope, 1.0, 1e-14);
        near(tanh.parallel, 1.0, 1e-14);
        // selu: both sides of the kink count half
        let (scale, alpha) = (1.050_700_987_355_480_5f64, 1.673_263_242_354_377_3f64);
        let truth = 0.5 * scale * scale * (1.0 + alpha * alpha);
        near(moments(&Activation::Selu, 0.0).slope, truth, 1e-13);
        // sigmoid: E phi'^2 + E phi phi'' at 0
        let sigmoid = moments(&Activation::Sigmoid, 0.0);
        near(sigmoid.parallel, 1.0 / 16.0, 1e-7);
    }

    #[test]
    fn means_variances_and_fourth_moments() {
        // E softplus(u) - E softplus(-u) = E u = 0, and softplus(x) = x/2 + even part
        near(mean(&Activation::Relu, 4.0), 2.0 * INV_SQRT_TAU, 1e-14);
        let q = 0.7;
        // E gelu = q pdf / sqrt(1 + q): Stein's identity
        near(
            mean(&Activation::Gelu, q),
            q * INV_SQRT_TAU / (1.0 + q).sqrt(),
            1e-14,
        );
        for phi in [
            Activation::Gelu,
            Activation::Silu,
            Activation::Elu { alpha: 1.0 },
        ] {
            let m = mean(&phi, q).value;
            near(
                variance(&phi, q),
                moments(&phi, q).second.value - m * m,
                1e-13,
            );
            near(
                slope_moment(&phi, q, 1),
                moments(&phi, q).slope.value,
                1e-14,
            );
        }
        let direct = average(&Activation::Erf, 0.0, q, |x, _| {
            [Activation::Erf.derivative(x).powi(4)]
        });
        near(slope_moment(&Activation::Erf, q, 2), direct[0].value, 1e-14);
        near(
            slope_moment(&Activation::LeakyRelu { slope: 0.5 }, q, 2),
            0.53125,
            1e-14,
        );
    }

    #[test]
    fn a_constant_bias_moves_the_gates() {
        // P(z > -b/s) = Phi(b/s)
        let (b, q) = (0.4f64, 2.0f64);
        let m = moments_around(&Activation::Relu, b, q);
        near(m.slope, 0.5 * libm::erfc(-b / (2.0 * q).sqrt()), 1e-14);
    }

    #[test]
    fn custom_activations_take_the_panels() {
        let phi = Activation::Custom(Custom::new(
            "my tanh",
            f64::tanh,
            |x: f64| x.cosh().powi(-2),
            Vec::new(),
        ));
        for q in [1e-8, 1.0, 100.0] {
            let (a, b) = (moments(&phi, q), moments(&Activation::Tanh, q));
            near(a.second, b.second.value, 1e-13);
            near(a.slope, b.slope.value, 1e-13);
        }
    }
}
