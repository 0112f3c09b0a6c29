//! The transform `E S^s` of one factor, as a finite sum.
//!
//! Theorem: gated-square-mixture.

use super::complex::Complex;
use super::factor::Shape;
use super::gamma::{digamma_less_ln, ln_gamma_ratio};
use crate::theory::special::trigamma;

/// Numbers of open gates less likely than this, relative to the most likely one, are left out: the law
/// moves by less than `1e-35` per layer in total variation.
const LEAST_COUNT: f64 = 1e-40;
/// The same for the terms of a quadrature: less than 1e-21 per layer.
const LEAST_ATOM: f64 = 1e-26;

enum Terms {
    /// `chi2_K`: the weights of `K = first, first + 1, ...`; `top` is the place of the largest.
    Counts {
        first: usize,
        top: usize,
        weights: Vec<f64>,
    },
    /// `chi2_n v`: values `ln v - centre` with their weights.
    Atoms {
        centre: f64,
        points: Vec<(f64, f64)>,
    },
}

/// One factor, conditional on being positive, with the number of times it occurs.
pub(super) struct Mixture {
    pub count: f64,
    shape: Shape,
    terms: Terms,
    /// Mean and variance of the logarithm of one factor.
    pub mean: f64,
    pub variance: f64,
}

impl Mixture {
    pub fn new(shape: Shape, count: f64) -> Mixture {
        let base = shape.base as f64;
        let terms = if shape.below2 == 0.0 {
            let (mut first, mut weights) = shape.counts(LEAST_COUNT);
            if first == 0 {
                weights.remove(0);
                first = 1;
            }
            let total: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|w| *w /= total);
            let largest = weights.iter().copied().fold(0.0, f64::max);
            let top = weights.iter().position(|w| *w == largest).unwrap_or(0);
            Terms::Counts {
                first,
                top,
                weights,
            }
        } else {
            let mut points = atoms(&shape);
            let centre = points.iter().map(|(v, w)| v * w).sum();
            points.iter_mut().for_each(|(v, _)| *v -= centre);
            Terms::Atoms { centre, points }
        };
        let (mut mean, mut variance) = match &terms {
            Terms::Counts { first, weights, .. } => {
                let value = |i: usize| {
                    let k = (first + i) as f64;
                    digamma_less_ln(0.5 * k) + (k / base).ln()
                };
                let mean: f64 = (0..weights.len()).map(|i| weights[i] * value(i)).sum();
                let variance = (0..weights.len())
                    .map(|i| {
                        let d = value(i) - mean;
                        weights[i] * (d * d + trigamma(0.5 * (first + i) as f64))
                    })
                    .sum();
                (mean, variance)
            }
            Terms::Atoms { centre, points } => {
                let n = shape.n as f64;
                let spread: f64 = points.iter().map(|(v, w)| w * v * v).sum();
                (
                    digamma_less_ln(0.5 * n) + (n / base).ln() + centre,
                    spread + trigamma(0.5 * n),
                )
            }
        };
        if shape.sphere {
            mean -= digamma_less_ln(0.5 * base);
            variance -= trigamma(0.5 * base);
        }
        Mixture {
            count,
            shape,
            terms,
            mean,
            variance: variance.max(0.0),
        }
    }

    /// Smallest number of degrees of freedom that occurs: the transform exists for
    /// `Re s > -freedom / 2`, and always where there are no chi-square variables.
    fn freedom(&self) -> f64 {
        match &self.terms {
            Terms::Counts { first, .. } => *first as f64,
            Terms::Atoms { .. } if self.shape.sphere && self.shape.base == self.shape.n => {
                f64::INFINITY
            }
            Terms::Atoms { .. } => self.shape.n as f64,
        }
    }

    /// Bound of the probability that was left out of one factor.
    pub fn omitted(&self) -> f64 {
        match &self.terms {
            Terms::Counts { .. } => 1e-35,
            Terms::Atoms { .. } => 1e-21,
        }
    }

    /// Minus the left end of the strip in which the transform exists.
    pub fn pole(&self) -> f64 {
        0.5 * self.freedom()
    }

    /// Smallest and largest logarithm of one factor, less its mean.
    pub fn support(&self) -> (f64, f64) {
        if !self.shape.sphere {
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        let (below2, whole) = (self.shape.below2, self.shape.base == self.shape.n);
        let least = if whole && below2 > 0.0 {
            below2.min(1.0).ln()
        } else {
            f64::NEG_INFINITY
        };
        (least - self.mean, below2.max(1.0).ln() - self.mean)
    }

    /// Gamma functions common to all terms, the mean taken out.
    fn common(&self, s: Complex) -> Complex {
        let base = self.shape.base as f64;
        let (degrees, offset) = match &self.terms {
            Terms::Counts { first, top, .. } => ((first + top) as f64, 0.0),
            Terms::Atoms { centre, .. } => (self.shape.n as f64, *centre),
        };
        let mut out = s.scale((degrees / base).ln() + offset - self.mean);
        if self.shape.sphere {
            if degrees == base {
                return out;
            }
            out = out - ln_gamma_ratio(0.5 * base, s);
        }
        out + ln_gamma_ratio(0.5 * degrees, s)
    }

    /// `ln E e^{s (ln S - mean)}` for one factor, up to multiples of `2 pi i`. Its absolute error is a few
    /// roundings of `|s|` for small `s`.
    pub fn ln_mgf(&self, s: Complex) -> Complex {
        let sum = match &self.terms {
            Terms::Counts {
                first,
                top,
                weights,
            } => relative(*first, *top, weights, s),
            Terms::Atoms { points, .. } => points.iter().fold(Complex::ZERO, |sum, (v, w)| {
                sum + s.scale(*v).exp_m1().scale(*w)
            }),
        };
        self.common(s) + sum.ln_1p()
    }

    /// Logarithm of a bound of `|E e^{(c + it)(ln S - mean)}|` that decreases in `t`.
    ///
    /// Every term decreases by itself, so the moduli are added. Values on the whole sphere with two slopes
    /// have no such bound: the modulus stands in for it if `estimate`, else the value at `t = 0`.
    pub fn ln_bound(&self, c: f64, t: f64, estimate: bool) -> f64 {
        let s = Complex::new(c, t);
        let common = self.common(s).re;
        let sum = match &self.terms {
            Terms::Counts {
                first,
                top,
                weights,
            } => {
                let step = |k: usize| (s.scale(2.0 / k as f64) + Complex::ONE).abs();
                let middle = first + top;
                let start = [1.0, (next_parity(middle, s) + Complex::ONE).abs()];
                let (mut sum, mut pair) = (0.0, start);
                for (i, w) in weights[*top..].iter().enumerate() {
                    let r = pair[i % 2];
                    sum += w * r;
                    pair[i % 2] = r * step(middle + i);
                }
                pair = start;
                for i in 1..=*top {
                    let r = pair[i % 2] / step(middle - i);
                    sum += weights[top - i] * r;
                    pair[i % 2] = r;
                }
                sum
            }
            Terms::Atoms { points, .. } if estimate => points
                .iter()
                .fold(Complex::ZERO, |sum, (v, w)| {
                    sum + s.scale(*v).exp().scale(*w)
                })
                .abs(),
            Terms::Atoms { points, .. } => points.iter().map(|(v, w)| w * (c * v).exp()).sum(),
        };
        common + sum.ln()
    }

    /// Rate at which the bound falls exponentially from `t` on, at least; 0 on the sphere.
    pub fn rate(&self, c: f64, t: f64) -> f64 {
        if self.shape.sphere {
            return 0.0;
        }
        let degrees = match &self.terms {
            Terms::Counts { first, weights, .. } => first + weights.len() - 1,
            Terms::Atoms { .. } => self.shape.n,
        };
        t.atan2(0.5 * degrees as f64 + c)
    }

    /// Largest frequency at which the transform is meaningful.
    pub fn frequency(&self) -> f64 {
        match &self.terms {
            Terms::Counts { .. } => f64::INFINITY,
            Terms::Atoms { .. } => largest_frequency(self.shape.n),
        }
    }
}

/// Weighted sum of `r_k / r_m - 1`, `r_k = Gamma(k/2 + s) / Gamma(k/2)`, over `k = first, first + 1, ...`, with
/// `m = first + top` the likeliest.
///
/// By recurrence on the differences from 1, outward from `m`: errors stay in proportion to `|s|`, and terms
/// smaller than that of `m` cannot hide in the rounding of larger ones.
fn relative(first: usize, top: usize, weights: &[f64], s: Complex) -> Complex {
    let middle = first + top;
    let step = |k: usize| s.scale(2.0 / k as f64);
    let start = [Complex::ZERO, next_parity(middle, s)];
    let (mut sum, mut pair) = (Complex::ZERO, start);
    for (i, w) in weights[top..].iter().enumerate() {
        let e = pair[i % 2];
        sum = sum + e.scale(*w);
        pair[i % 2] = e + step(middle + i) * (e + Complex::ONE);
    }
    pair = start;
    for i in 1..=top {
        let q = step(middle - i);
        let e = (pair[i % 2] - q) / (q + Complex::ONE);
        sum = sum + e.scale(weights[top - i]);
        pair[i % 2] = e;
    }
    sum
}

/// `r_{k+1} / r_k - 1` in the notation of [`relative`].
fn next_parity(k: usize, s: Complex) -> Complex {
    let k = k as f64;
    let difference = ln_gamma_ratio(0.5 * (k + 1.0), s) - ln_gamma_ratio(0.5 * k, s)
        + s.scale(k.recip().ln_1p());
    difference.exp_m1()
}

/// Beyond this the modulus of `Gamma(n/2 + it) / Gamma(n/2)` is below 1e-17.
fn largest_frequency(n: usize) -> f64 {
    25.0 + 6.1 * (n as f64).sqrt()
}

/// Atoms `(ln v, weight)` of `v = B + a^2 (1 - B)`, with `B ~ Beta(K/2, (n-K)/2)` and `K ~ Bin(n, gate)`.
///
/// In `u = ln(B/(1-B))` every density is analytic in the strip `|Im u| < pi` and decays exponentially, and so
/// does its product with `v^s`; the trapezoidal rule converges geometrically, on one grid for all `K`.
fn atoms(shape: &Shape) -> Vec<(f64, f64)> {
    let n = shape.n as f64;
    let half = 0.5 * n;
    // bandwidth of the densities (8.6 standard deviations, at least the strip's 37/pi) and of v^(it)
    let step = std::f64::consts::TAU / (largest_frequency(shape.n) + 13.0 + 3.1 * n.sqrt());
    let (first, weights) = shape.counts(LEAST_ATOM);
    let mut grid = std::collections::BTreeMap::<i64, f64>::new();
    let mut out = Vec::new();
    let mut density = Vec::new();
    for (i, weight) in weights.iter().enumerate() {
        let k = first + i;
        if k == 0 || k == shape.n {
            let v = if k == 0 { shape.below2.ln() } else { 0.0 };
            out.push((v, *weight));
            continue;
        }
        let (open, closed) = (k as f64 / n, (shape.n - k) as f64 / n);
        let mode = (open / closed).ln();
        let at = |j: i64| {
            let d = j as f64 * step - mode;
            -half * ((closed * (-d).exp_m1()).ln_1p() + closed * d)
        };
        let centre = (mode / step).round() as i64;
        density.clear();
        // the rarer the count, the sooner its density is negligible, but not before it is normalised
        let cut = (LEAST_ATOM / weight).ln().min(-37.0);
        let mut total = 0.0;
        for (start, direction) in [(centre, 1), (centre - 1, -1)] {
            let mut j = start;
            loop {
                let ln = at(j);
                if ln < cut {
                    break;
                }
                let x = ln.exp();
                total += x;
                density.push((j, x));
                j += direction;
            }
        }
        for (j, x) in &density {
            *grid.entry(*j).or_default() += weight * (x / total);
        }
    }
    for (j, weight) in grid {
        let u = j as f64 * step;
        let (b, c) = (((-u).exp() + 1.0).recip(), (u.exp() + 1.0).recip());
        let v = (b + shape.below2 * c).ln();
        // far out v is one of its limits to the last bit
        match out.last_mut() {
            Some((last, w)) if *last == v => *w += weight,
            _ => out.push((v, weight)),
        }
    }
    out.retain(|(_, w)| *w > LEAST_ATOM);
    let total: f64 = out.iter().map(|(_, w)| w).sum();
    out.iter_mut().for_each(|(_, w)| *w /= total);
    out
}
