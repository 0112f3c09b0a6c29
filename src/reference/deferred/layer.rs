//! Vectors with an exponent, and the conditional laws of `W x`, `W u` and `W^T v`.

use crate::network::{Layer, WeightKind};
use crate::reference::random::Stream;
use rand_distr::{Distribution, Gamma, StandardNormal};
use std::f64::consts::LN_2;

/// Vectors whose largest entry leaves `2^-100..2^100` are rescaled.
const COMFORT: f64 = 1.267_650_600_228_229_4e30;

/// A standard normal number.
pub(super) fn gaussian(rng: &mut Stream) -> f64 {
    StandardNormal.sample(rng)
}

fn gaussians(n: usize, rng: &mut Stream) -> Vec<f64> {
    (0..n).map(|_| gaussian(rng)).collect()
}

/// A chi-square number of `degrees`, 0 for none.
fn chi_square(degrees: usize, rng: &mut Stream) -> f64 {
    Gamma::new(0.5 * degrees as f64, 2.0).map_or(0.0, |law| law.sample(rng))
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

/// `2^exponent * values`, so that no depth overflows.
#[derive(Clone, Debug)]
pub(super) struct Vector {
    pub values: Vec<f64>,
    pub exponent: i64,
}

impl Vector {
    /// Uniform on the sphere of a radius.
    pub fn on_sphere(n: usize, radius: f64, rng: &mut Stream) -> Vector {
        let mut values = gaussians(n, rng);
        let scale = radius / dot(&values, &values).sqrt();
        values.iter_mut().for_each(|x| *x *= scale);
        Vector {
            values,
            exponent: 0,
        }
    }

    fn largest(&self) -> f64 {
        self.values.iter().fold(0.0, |m: f64, x| m.max(x.abs()))
    }

    /// Brings the largest entry near 1 if it is far from it.
    pub fn normalise(&mut self) {
        let largest = self.largest();
        if largest == 0.0 {
            self.exponent = 0;
        } else if !(1.0 / COMFORT..=COMFORT).contains(&largest) && largest.is_finite() {
            let shift = largest.log2().floor() as i64;
            self.rescale(self.exponent + shift);
        }
    }

    /// The same vector with another exponent.
    pub fn rescale(&mut self, exponent: i64) {
        let mut shift = self.exponent - exponent;
        while shift != 0 {
            let step = shift.clamp(-1000, 1000);
            let factor = (step as f64).exp2();
            self.values.iter_mut().for_each(|x| *x *= factor);
            shift -= step;
            if self.largest() == 0.0 || self.largest().is_infinite() {
                break;
            }
        }
        self.exponent = exponent;
    }

    /// Whether every entry is below `2^power`.
    pub fn is_below(&self, power: i64) -> bool {
        let largest = self.largest();
        largest == 0.0 || largest.log2() + (self.exponent as f64) < power as f64
    }

    pub fn multiply(&mut self, factors: &[f64]) {
        for (x, d) in self.values.iter_mut().zip(factors) {
            *x *= d;
        }
    }

    /// `ln |x|^2`, `-inf` for zero.
    pub fn ln_square(&self) -> f64 {
        dot(&self.values, &self.values).ln() + 2.0 * LN_2 * self.exponent as f64
    }

    /// `ln x_i^2`.
    pub fn ln_element(&self, i: usize) -> f64 {
        2.0 * (self.values[i].abs().ln() + LN_2 * self.exponent as f64)
    }
}

/// The law of one weight matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeferredLayer {
    rows: usize,
    cols: usize,
    haar: bool,
    /// Deviation of an entry, or common singular value, is `scale 2^exponent`.
    scale: f64,
    exponent: i64,
}

impl DeferredLayer {
    /// `None` for laws that are not rotation invariant.
    pub fn new(layer: &Layer) -> Option<DeferredLayer> {
        let (haar, scale) = match layer.weight.kind {
            WeightKind::Gaussian if layer.weight.mean == 0.0 => {
                (false, layer.entry_variance().sqrt())
            }
            WeightKind::Orthogonal => (true, layer.singular_value()?),
            _ => return None,
        };
        let exponent = if scale > 0.0 {
            scale.log2().floor() as i64
        } else {
            0
        };
        Some(DeferredLayer {
            rows: layer.fan_out,
            cols: layer.fan_in,
            haar,
            scale: scale * (-(exponent as f64)).exp2(),
            exponent,
        })
    }

    fn ambient(&self) -> usize {
        self.rows.max(self.cols)
    }

    /// `W x`, and what a wide Haar matrix cuts off, squared.
    pub fn forward(&self, x: &Vector, rng: &mut Stream) -> (Vector, f64) {
        let mut values = gaussians(self.rows, rng);
        let square = dot(&x.values, &x.values);
        let (factor, rest) = if self.haar {
            let cut = chi_square(self.ambient() - self.rows, rng);
            let radius = dot(&values, &values) + cut;
            let unit = self.scale * self.scale * square / radius;
            (unit.sqrt(), unit * cut)
        } else {
            (self.scale * square.sqrt(), 0.0)
        };
        values.iter_mut().for_each(|z| *z *= factor);
        let exponent = x.exponent + self.exponent;
        (Vector { values, exponent }, rest)
    }

    /// `W u` given `image = W x`.
    pub fn second(
        &self,
        x: &Vector,
        image: &Vector,
        rest: f64,
        u: &Vector,
        rng: &mut Stream,
    ) -> Vector {
        let along = ratio(dot(&x.values, &u.values), dot(&x.values, &x.values));
        let across = u
            .values
            .iter()
            .zip(&x.values)
            .map(|(u, x)| (u - along * x).powi(2))
            .sum::<f64>()
            .sqrt();
        let mut fresh = gaussians(self.rows, rng);
        let y = &image.values;
        let factor = if self.haar {
            // a uniform unit vector orthogonal to O x, of which the first rows are seen
            let hidden = self.ambient() - self.rows;
            let beyond = if hidden > 0 { gaussian(rng) } else { 0.0 };
            let others = chi_square(hidden.saturating_sub(1), rng);
            let depth = rest.sqrt();
            let overlap = ratio(dot(y, &fresh) + depth * beyond, dot(y, y) + rest);
            for (z, y) in fresh.iter_mut().zip(y) {
                *z -= overlap * y;
            }
            let radius = dot(&fresh, &fresh) + (beyond - overlap * depth).powi(2) + others;
            if self.ambient() > 1 {
                self.scale * across / radius.sqrt()
            } else {
                0.0
            }
        } else {
            self.scale * across
        };
        for (z, y) in fresh.iter_mut().zip(y) {
            *z = *z * factor + along * y;
        }
        Vector {
            values: fresh,
            exponent: u.exponent + self.exponent,
        }
    }

    /// `W^T v` given `image = W x`.
    pub fn backward(
        &self,
        x: &Vector,
        image: &Vector,
        rest: f64,
        v: &Vector,
        rng: &mut Stream,
    ) -> Vector {
        let y = &image.values;
        let square = dot(&x.values, &x.values);
        let mut fresh = gaussians(self.cols, rng);
        let overlap = ratio(dot(&x.values, &fresh), square);
        for (z, x) in fresh.iter_mut().zip(&x.values) {
            *z -= overlap * x;
        }
        let met = ratio(dot(y, &v.values), square);
        let factor = if self.haar {
            let s2 = self.scale * self.scale;
            // the part of v orthogonal to O x, in all of the ambient space
            let c = met / s2;
            let across = v
                .values
                .iter()
                .zip(y)
                .map(|(v, y)| (v - c * y).powi(2))
                .sum::<f64>()
                + c * c * rest;
            let radius = dot(&fresh, &fresh) + chi_square(self.ambient() - self.cols, rng);
            if self.ambient() > 1 {
                self.scale * (across / radius).sqrt()
            } else {
                0.0
            }
        } else {
            self.scale * dot(&v.values, &v.values).sqrt()
        };
        for (z, x) in fresh.iter_mut().zip(&x.values) {
            *z = *z * factor + met * x;
        }
        Vector {
            values: fresh,
            exponent: v.exponent + self.exponent,
        }
    }

    /// One row, of a matrix met nowhere else.
    pub fn row(&self, rng: &mut Stream) -> Vector {
        let mut values = gaussians(self.cols, rng);
        let factor = if self.haar {
            let cut = chi_square(self.ambient() - self.cols, rng);
            self.scale / (dot(&values, &values) + cut).sqrt()
        } else {
            self.scale
        };
        values.iter_mut().for_each(|z| *z *= factor);
        Vector {
            values,
            exponent: self.exponent,
        }
    }
}

/// `a / b`, 0 where nothing has been met.
fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}
