//! Law of the squared slope `phi'(h)^2` of a wide layer and its S-transform.

use crate::network::activation::Activation;
use crate::theory::quadrature::{Average, integrate};

use super::SpectrumError;

/// Gaussian variables are cut here, as in [`crate::theory::quadrature`].
const RANGE: f64 = 12.0;
/// Closest approach to an end of the support, relative to its upper end: below it, differences of
/// squared slopes are mostly rounding.
pub(super) const NEAREST: f64 = 1e-8;

/// Law of `m = phi'(sqrt(q) z)^2`, `z` standard Gaussian: the squared diagonal of `D` in a wide
/// layer whose pre-activations have variance `q`.
///
/// Pieces on which the slope is constant become atoms, so that piecewise linear activations need no
/// quadrature and the mass at zero is exact.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::spectrum::SquaredSlopes;
/// let relu = SquaredSlopes::new(&Activation::Relu, 1.0).unwrap();
/// assert!((relu.nonzero() - 0.5).abs() < 1e-15 && (relu.moment(2).value - 0.5).abs() < 1e-14);
/// let dropped = relu.with_dropout(0.5).unwrap(); // kept half the time, divided by 1/2
/// assert!((dropped.nonzero() - 0.25).abs() < 1e-15 && (dropped.moment(1).value - 1.0).abs() < 1e-14);
/// ```
#[derive(Clone, Debug)]
pub struct SquaredSlopes {
    activation: Activation,
    root_q: f64,
    /// `(value, probability)`, values distinct and not zero.
    atoms: Vec<(f64, f64)>,
    /// Intervals of `z` on which the slope varies.
    pieces: Vec<(f64, f64)>,
    breaks: Vec<f64>,
    /// Factor on the values: `keep^-2` of inverted dropout.
    scale: f64,
    /// Probability of surviving dropout.
    keep: f64,
    nonzero: f64,
    sup: f64,
    inf: f64,
}

/// `w` with `E[m / (w - m)] = z`, on the side of the support that `z` belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub w: f64,
    /// `d ln|w| / dz`.
    pub ln_slope: f64,
    /// Relative error of `w`.
    pub error: f64,
}

fn probability(a: f64, b: f64) -> f64 {
    let tail = |x: f64| 0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2);
    // differences of tails on the side where they are small
    if a >= 0.0 {
        tail(a) - tail(b)
    } else {
        tail(-b) - tail(-a)
    }
}

/// Points inside `(a, b)`, where a function analytic there and constant at all of them is constant.
fn probes(a: f64, b: f64) -> Vec<f64> {
    match (a.is_finite(), b.is_finite()) {
        (true, true) => [0.13, 0.29, 0.5, 0.71, 0.88]
            .map(|t| a + t * (b - a))
            .to_vec(),
        (true, false) => [0.37, 1.1, 2.3, 5.1].map(|t| a + t).to_vec(),
        (false, true) => [0.37, 1.1, 2.3, 5.1].map(|t| b - t).to_vec(),
        (false, false) => vec![-5.1, -1.3, -0.2, 0.4, 1.7, 6.0],
    }
}

/// Largest value of `f` on `[a, b]`, and where: a grid, then golden sections.
fn largest(f: &impl Fn(f64) -> f64, grid: &[f64]) -> (f64, f64) {
    let best = (0..grid.len())
        .max_by(|&i, &j| f(grid[i]).total_cmp(&f(grid[j])))
        .unwrap_or(0);
    let (mut a, mut b) = (
        grid[best.saturating_sub(1)],
        grid[(best + 1).min(grid.len() - 1)],
    );
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    for _ in 0..80 {
        let (left, right) = (b - golden * (b - a), a + golden * (b - a));
        if f(left) >= f(right) {
            b = right;
        } else {
            a = left;
        }
    }
    [grid[best], 0.5 * (a + b)]
        .map(|x| (f(x), x))
        .into_iter()
        .max_by(|x, y| x.0.total_cmp(&y.0))
        .unwrap_or((0.0, 0.0))
}

impl SquaredSlopes {
    /// The law at pre-activation variance `q`; `q = 0` is a point mass and wants a slope at zero.
    ///
    /// # Errors
    /// [`SpectrumError::Variance`] when `q` is negative, not finite, or zero at a kink.
    pub fn new(activation: &Activation, q: f64) -> Result<SquaredSlopes, SpectrumError> {
        let kinks = activation.kinks();
        if !(q.is_finite() && q >= 0.0) || (q == 0.0 && kinks.contains(&0.0)) {
            return Err(SpectrumError::Variance { q });
        }
        let root_q = q.sqrt();
        let mut law = SquaredSlopes {
            activation: activation.clone(),
            root_q,
            atoms: Vec::new(),
            pieces: Vec::new(),
            breaks: Vec::new(),
            scale: 1.0,
            keep: 1.0,
            nonzero: 1.0,
            sup: 0.0,
            inf: f64::INFINITY,
        };
        if q == 0.0 {
            law.atom(activation.derivative(0.0).powi(2), 1.0);
            return law.complete();
        }
        let edges: Vec<f64> = [f64::NEG_INFINITY]
            .into_iter()
            .chain(kinks)
            .chain([f64::INFINITY])
            .collect();
        for pair in edges.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let slopes: Vec<f64> = probes(a, b)
                .into_iter()
                .map(|x| activation.derivative(x))
                .collect();
            if slopes.iter().all(|s| *s == slopes[0]) {
                law.atom(slopes[0].powi(2), probability(a / root_q, b / root_q));
            } else {
                law.piece(a, b);
            }
        }
        law.complete()
    }

    fn atom(&mut self, value: f64, p: f64) {
        if p == 0.0 {
            return;
        }
        if value == 0.0 {
            self.nonzero -= p;
            return;
        }
        self.sup = self.sup.max(value);
        self.inf = self.inf.min(value);
        match self.atoms.iter_mut().find(|(v, _)| *v == value) {
            Some((_, mass)) => *mass += p,
            None => self.atoms.push((value, p)),
        }
    }

    /// A piece `a < x < b` with varying slope: its support and where the integrand peaks.
    fn piece(&mut self, a: f64, b: f64) {
        let reach = RANGE * self.root_q;
        let (from, to) = (a.next_up().max(-reach), b.next_down().min(reach));
        if from >= to {
            return;
        }
        const STEPS: usize = 400;
        let mut grid: Vec<f64> = (0..=STEPS)
            .map(|i| from + (to - from) * i as f64 / STEPS as f64)
            .chain((0..=2 * STEPS).map(|i| (i as f64 - STEPS as f64) * 0.05))
            .filter(|x| (from..=to).contains(x))
            .collect();
        grid.sort_by(f64::total_cmp);
        let square = |x: f64| self.activation.derivative(x).powi(2);
        let (mut sup, at_sup) = largest(&square, &grid);
        let (mut inf, at_inf) = largest(&|x| -square(x), &grid);
        inf = -inf;
        let crosses = grid
            .windows(2)
            .any(|p| self.activation.derivative(p[0]) * self.activation.derivative(p[1]) <= 0.0);
        // the support reaches as far as the slope does, however unlikely
        for (end, sign) in [(a, -1.0), (b, 1.0)] {
            if end.is_finite() {
                continue;
            }
            let (near, far) = (
                square(sign * reach.max(1e3)),
                square(sign * 1e6 * reach.max(1e3)),
            );
            if far > 4.0 * near && far > sup {
                sup = f64::INFINITY;
            }
            sup = sup.max(near).max(far);
            inf = inf.min(near).min(far);
        }
        if crosses || inf < 1e-9 * sup {
            inf = 0.0;
        }
        self.sup = self.sup.max(sup);
        self.inf = self.inf.min(inf);
        self.pieces.push((from / self.root_q, to / self.root_q));
        self.breaks
            .extend([at_sup, at_inf].map(|x| x / self.root_q));
        if self.root_q > 1.0 {
            for x in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0] {
                self.breaks.extend([x / self.root_q, -x / self.root_q]);
            }
        }
    }

    fn complete(mut self) -> Result<SquaredSlopes, SpectrumError> {
        if self.atoms.is_empty() && self.pieces.is_empty() {
            return Err(SpectrumError::Dead);
        }
        if !self.pieces.is_empty() {
            return Ok(self);
        }
        // all atoms: the mass is the sum of its parts, without cancellation
        self.nonzero = self.atoms.iter().map(|a| a.1).sum();
        if (self.nonzero - 1.0).abs() <= 4.0 * f64::EPSILON {
            self.nonzero = 1.0;
        }
        Ok(self)
    }

    /// The same slopes behind inverted dropout: kept with probability `keep` and divided by it.
    ///
    /// # Errors
    /// [`SpectrumError::Keep`] unless `0 < keep <= 1`.
    pub fn with_dropout(mut self, keep: f64) -> Result<SquaredSlopes, SpectrumError> {
        if !(keep > 0.0 && keep <= 1.0) {
            return Err(SpectrumError::Keep { keep });
        }
        let factor = (keep * keep).recip();
        for (value, p) in &mut self.atoms {
            *value *= factor;
            *p *= keep;
        }
        self.scale *= factor;
        self.keep *= keep;
        self.nonzero *= keep;
        self.sup *= factor;
        self.inf *= factor;
        Ok(self)
    }

    /// Probability that the slope is not zero.
    pub fn nonzero(&self) -> f64 {
        self.nonzero
    }

    /// Ends of the support of the non-zero squared slopes; the upper one may be infinite.
    pub fn support(&self) -> (f64, f64) {
        (self.inf, self.sup)
    }

    pub(super) fn mass_at_sup(&self) -> f64 {
        self.atoms
            .iter()
            .filter(|a| a.0 == self.sup)
            .map(|a| a.1)
            .sum()
    }

    pub(super) fn is_atomic(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Averages of two functions of the non-zero squared slope that vanish where it is zero.
    /// `absolute` is the error that rounding in `f` excuses.
    fn averages(&self, f: impl Fn(f64) -> [f64; 2], absolute: f64) -> [Average; 2] {
        const INV_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
        let mut out = [Average {
            value: 0.0,
            error: 0.0,
        }; 2];
        for (value, p) in &self.atoms {
            for (o, y) in out.iter_mut().zip(f(*value)) {
                o.value += p * y;
                o.error += f64::EPSILON * (p * y).abs();
            }
        }
        let weighted = |z: f64| {
            let slope = self.activation.derivative(self.root_q * z);
            let weight = self.keep * INV_SQRT_TAU * (-0.5 * z * z).exp();
            f(self.scale * slope * slope).map(|y| if weight == 0.0 { 0.0 } else { weight * y })
        };
        for (a, b) in &self.pieces {
            let part = integrate(weighted, *a, *b, &self.breaks, absolute);
            for (o, y) in out.iter_mut().zip(part) {
                o.value += y.value;
                o.error += y.error;
            }
        }
        out
    }

    /// `E m^k` for `k >= 1`.
    pub fn moment(&self, k: u32) -> Average {
        self.averages(|m| [m.powi(k as i32), 0.0], 1e-300)[0]
    }

    /// Inverse of `z = E[m / (w - m)]`: above the support for `z > 0`, below it for `z < 0`; `None`
    /// where `z` is beyond what the law reaches.
    ///
    /// In the distance `d` to the support, `1 / E[m / (d + a)]` is a weighted harmonic mean, hence
    /// concave and increasing: Newton's steps approach the root from the left.
    pub(super) fn point(&self, z: f64, mean: f64) -> Option<Point> {
        let target = z.abs();
        let distance = |m: f64| {
            if z > 0.0 { self.sup - m } else { m - self.inf }
        };
        let end = if self.sup.is_finite() { self.sup } else { mean };
        let least = if self.is_atomic() {
            1e-14 * self.inf
        } else {
            NEAREST * end
        };
        let (mut lo, mut hi) = (0.0, mean / target * (1.0 + 1e-12));
        let mut d = hi;
        for step in 1.. {
            // both components of order 1, where the support ends within rounding of `end`
            let noise = 200.0 * f64::EPSILON * (1.0 + end / d);
            let [f, g] = self.averages(
                |m| {
                    if m == 0.0 {
                        return [0.0; 2];
                    }
                    let r = (d + distance(m).max(0.0)).recip();
                    [m * r / target, m * d * r * r / target]
                },
                noise,
            );
            // Newton for 1/f = 1, with df/dd = -g/d
            let change = d * (f.value - 1.0) * f.value / g.value;
            if change < 0.0 {
                hi = d;
            } else {
                lo = d;
            }
            let uncertainty = d * f.error / g.value;
            if change.abs() <= 1e-13 * d + 0.01 * uncertainty || hi - lo <= 1e-15 * hi || step == 60
            {
                let w = if z > 0.0 { self.sup + d } else { self.inf - d };
                return Some(Point {
                    w,
                    ln_slope: -d / (target * g.value * w),
                    error: (uncertainty + change.abs() + f64::EPSILON * end) / w.abs(),
                });
            }
            let mut next = d + change;
            if !(next > lo && next < hi) {
                next = if lo == 0.0 {
                    0.01 * hi
                } else {
                    (lo * hi).sqrt()
                };
            }
            if next < least {
                return None;
            }
            d = next;
        }
        None
    }
}
