//! Tail probabilities of a sum of independent logarithms by Fourier inversion on a shifted line.
//!
//! Theorem: shifted-inversion-error. With `K` the log-transform of the centred sum `Y` and `c > 0`,
//! `P(Y > y)` is the integral of `e^{K(s) - s y} / s` over `Re s = c`, divided by `2 pi i`; with `c < 0`, minus
//! that integral is `P(Y < y)`. The trapezoidal rule there makes an error that is a sum of other tail
//! probabilities, so a Chernoff bound covers it; the rest of the integral is covered by a bound that falls
//! exponentially.

use super::complex::Complex;
use super::mixture::Mixture;

/// Discretisation and truncation errors are pushed below `e^-DIGITS` of the terms.
const DIGITS: f64 = 42.0;
/// More nodes than this are not spent on transforms that decay slowly.
const MOST_NODES: f64 = 20_000.0;
/// Within so many standard deviations the contours made at construction serve.
pub(super) const BULK: f64 = 3.0;

/// The centred sum of all logarithms.
pub(super) struct Sum {
    pub groups: Vec<Mixture>,
    pub deviation: f64,
    /// The transform exists right of `-pole`.
    pub pole: f64,
    pub least: f64,
    pub largest: f64,
}

impl Sum {
    pub fn new(groups: Vec<Mixture>) -> Sum {
        let variance: f64 = groups.iter().map(|g| g.count * g.variance).sum();
        let (least, largest) = groups.iter().fold((0.0, 0.0), |(a, b), g| {
            let (x, y) = g.support();
            (a + g.count * x, b + g.count * y)
        });
        Sum {
            deviation: variance.sqrt(),
            pole: groups
                .iter()
                .map(Mixture::pole)
                .fold(f64::INFINITY, f64::min),
            least,
            largest,
            groups,
        }
    }

    /// `ln E e^{sY}`, up to multiples of `2 pi i`.
    pub fn ln_mgf(&self, s: Complex) -> Complex {
        self.groups
            .iter()
            .fold(Complex::ZERO, |sum, g| sum + g.ln_mgf(s).scale(g.count))
    }

    pub fn ln_mgf_real(&self, c: f64) -> f64 {
        self.ln_mgf(Complex::new(c, 0.0)).re
    }

    fn rate(&self, c: f64, t: f64) -> f64 {
        self.groups.iter().map(|g| g.count * g.rate(c, t)).sum()
    }

    fn ln_bound(&self, c: f64, t: f64) -> f64 {
        let estimate = self.rate(c, t) == 0.0;
        let bound = |t: f64| -> f64 {
            let each = self.groups.iter();
            each.map(|g| g.count * g.ln_bound(c, t, estimate)).sum()
        };
        if estimate {
            // an estimate may fall into a zero of the transform
            bound(t).max(bound(0.93 * t)).max(bound(0.87 * t))
        } else {
            bound(t)
        }
    }
}

/// A one-sided tail probability with its density and absolute error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub probability: f64,
    pub density: f64,
    pub error: f64,
}

/// The transform at equidistant points of a vertical line.
#[derive(Clone, Debug)]
pub(super) struct Contour {
    /// Abscissa; positive lines give upper tails, negative ones lower tails.
    c: f64,
    step: f64,
    ln_mgf: f64,
    /// A second abscissa further out with its transform, for the discretisation error.
    outer: (f64, f64),
    /// `e^{K(c + ikh) - K(c)}`.
    values: Vec<Complex>,
    /// Bound of what is left out, relative to `e^{K(c) - cy}`.
    truncation: f64,
    /// Relative rounding error of the terms.
    rounding: f64,
}

impl Contour {
    /// The line through `c` with aliases at the distance `period`.
    fn new(sum: &Sum, c: f64, outer: f64, period: f64) -> Contour {
        let ln_mgf = sum.ln_mgf_real(c);
        let step = std::f64::consts::TAU / period;
        let cap = (MOST_NODES * step).min(
            sum.groups
                .iter()
                .map(Mixture::frequency)
                .fold(f64::INFINITY, f64::min)
                .max(40.0 / sum.deviation.max(f64::MIN_POSITIVE)),
        );
        // what is left beyond t, over pi: bound(t) / (rate t)
        let left = |t: f64| {
            let rate = sum.rate(c, t) * t;
            let rate = if rate > 0.0 { rate } else { 1.0 };
            sum.ln_bound(c, t) - ln_mgf - (rate * std::f64::consts::PI).ln()
        };
        let mut high = (6.0 / sum.deviation).min(cap);
        let mut low = 0.5 * high;
        while high < cap && left(high) > -DIGITS {
            low = high;
            high = (1.5 * high).min(cap);
        }
        for _ in 0..4 {
            let middle = 0.5 * (low + high);
            if left(middle) > -DIGITS {
                low = middle;
            } else {
                high = middle;
            }
        }
        let nodes = (high / step).ceil() as usize;
        let values = (0..=nodes)
            .map(|k| {
                let s = Complex::new(c, k as f64 * step);
                (sum.ln_mgf(s) - Complex::new(ln_mgf, 0.0)).exp()
            })
            .collect();
        let layers: f64 = sum.groups.iter().map(|g| g.count).sum();
        Contour {
            c,
            step,
            ln_mgf,
            outer: (outer, sum.ln_mgf_real(outer)),
            values,
            truncation: left(nodes as f64 * step).exp(),
            rounding: f64::EPSILON
                * (32.0 + ln_mgf.abs() + 4.0 * layers * (c.abs() + 4.0 / sum.deviation)),
        }
    }

    /// A line for the upper (`side = 1`) or lower (`side = -1`) tail within [`BULK`] deviations.
    pub fn bulk(sum: &Sum, side: f64) -> Contour {
        let mut c = (1.0 / sum.deviation).min(0.5 * room(sum, side));
        // a normal law has 1/2 here; rare small factors can have far more
        let tame = |c: f64| sum.ln_mgf_real(side * c) < 2.0;
        while !tame(c) {
            c *= 0.7;
        }
        Contour::with_accuracy(sum, side * c, 0.0, DIGITS)
    }

    /// A line near the saddle point of `y`, for small relative errors far out in the tail.
    pub fn far(sum: &Sum, y: f64) -> Contour {
        let side = y.signum();
        let most = 0.8 * room(sum, side);
        let mut c = (1.0 / sum.deviation).min(0.5 * most);
        let exponent = |c: f64| sum.ln_mgf_real(side * c) - side * c * y;
        let mut best = exponent(c);
        for ratio in [1.3, 0.77] {
            loop {
                let next = (ratio * c).min(most);
                let value = exponent(next);
                if next == c || !(value < best || best.is_nan()) {
                    break;
                }
                (c, best) = (next, value);
            }
        }
        // the probability is below e^best by a factor of about c times the deviation
        let ln_probability = best.min(0.0) - (1.0 + c * sum.deviation).ln();
        Contour::with_accuracy(sum, side * c, y, DIGITS - ln_probability)
    }

    /// The longest step that keeps all aliases at `y` below `e^-digits`.
    fn with_accuracy(sum: &Sum, c: f64, y: f64, digits: f64) -> Contour {
        let room = room(sum, c.signum());
        let (outer, far) = [0.1, 0.3, 0.6, 1.0]
            .iter()
            .map(|share| {
                let outer = c + c.signum() * (share * c.abs()).min(0.8 * share * (room - c.abs()));
                let aliases = sum.ln_mgf_real(outer) - outer * y + digits;
                (outer, aliases.max(0.0) / (outer - c).abs())
            })
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((c, 0.0));
        Contour::new(sum, c, outer, far.max(digits / c.abs()))
    }

    /// `P(Y > y)` on positive lines, `P(Y < y)` on negative ones.
    pub fn tail(&self, y: f64) -> Tail {
        let size = (self.ln_mgf - self.c * y).exp();
        let scale = size * self.step / std::f64::consts::PI;
        let (mut probability, mut density, mut modulus) = (0.0, 0.0, 0.0);
        for (k, value) in self.values.iter().enumerate() {
            let t = k as f64 * self.step;
            let (sin, cos) = (t * y).sin_cos();
            let s = Complex::new(self.c, t);
            let term = *value * Complex::new(cos, -sin);
            let quotient = term / s;
            let weight = if k == 0 { 0.5 } else { 1.0 };
            probability += weight * quotient.re;
            density += weight * term.re;
            modulus += weight * value.abs() / s.abs();
        }
        let side = self.c.signum();
        let period = std::f64::consts::TAU / self.step;
        // aliases on the side of the bulk are probabilities below 1, the others below Chernoff's bound
        let near = (-self.c.abs() * period).exp();
        let (outer, ln_outer) = self.outer;
        let gap = (outer - self.c).abs() * period;
        let far = (ln_outer - outer * y - gap).exp() / -(-gap).exp_m1();
        let rounding = self.rounding + f64::EPSILON * (self.c * y).abs();
        Tail {
            probability: (side * probability * scale).clamp(0.0, 1.0),
            density: (density * scale).max(0.0),
            error: near / (1.0 - near) + far + size * self.truncation + scale * modulus * rounding,
        }
    }
}

/// How far a line may be moved to this side.
fn room(sum: &Sum, side: f64) -> f64 {
    if side > 0.0 {
        // terms of recurrences over the counts stay within range
        150.0_f64.max(20.0 / sum.deviation)
    } else {
        sum.pole
    }
}
