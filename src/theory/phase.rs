//! A table of the moments of an activation, for pictures that need many length maps.
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::theory::{mean_field::{LengthMap, Limit}, phase::PhaseTable};
//!
//! let cell = PhaseTable::new(&Activation::Tanh).cell(2.0, 0.1);
//! let map = LengthMap::new(Activation::Tanh, 2.0, 0.1).unwrap();
//! let Limit::Fixed(point) = map.limit(1.0) else { panic!() };
//! assert!((cell.chi_1 / point.chi_1.value - 1.0).abs() < 1e-4); // the table against the map
//! ```

use crate::network::activation::Activation;
use crate::theory::averages::moments;
use rayon::prelude::*;

const LOWEST: f64 = -24.0;
const HIGHEST: f64 = 24.0;
const PER_NAT: usize = 24;

/// `E phi^2` and `E phi'^2` as cubic interpolants in `ln q`.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::phase::PhaseTable;
/// let table = PhaseTable::new(&Activation::Tanh);
/// assert!(table.cell(0.5, 0.0).chi_1 < 1.0 && table.cell(4.0, 0.0).chi_1 > 1.0); // order, chaos
/// assert!(table.error() < 1e-6);
/// ```
#[derive(Clone, Debug)]
pub struct PhaseTable {
    /// `(second, slope)` at the nodes.
    nodes: Vec<(f64, f64)>,
    error: f64,
}

/// One cell of a phase diagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// `ln` of the length reached from `q = 1`; infinite where it leaves the table, minus infinite
    /// where it falls below it.
    pub ln_q: f64,
    /// `sigma_w2 E phi'^2` there.
    pub chi_1: f64,
}

fn ln_q(i: usize) -> f64 {
    LOWEST + i as f64 / PER_NAT as f64
}

impl PhaseTable {
    /// Tabulates an activation between `ln q = -24` and 24.
    pub fn new(activation: &Activation) -> PhaseTable {
        let count = (HIGHEST - LOWEST) as usize * PER_NAT;
        let at = |ln_q: f64| {
            let m = moments(activation, ln_q.exp());
            (m.second.value, m.slope.value)
        };
        let mut table = PhaseTable {
            nodes: (0..=count).into_par_iter().map(|i| at(ln_q(i))).collect(),
            error: 0.0,
        };
        // measured where it is largest: midway between nodes
        let relative = |y: f64, truth: f64| match truth > 0.0 {
            true => (y / truth - 1.0).abs(),
            false => 0.0,
        };
        table.error = (3..count - 3)
            .into_par_iter()
            .step_by(4)
            .map(|i| {
                let x = ln_q(i) + 0.5 / PER_NAT as f64;
                let ((a, b), (c, d)) = (table.at(x), at(x));
                relative(a, c).max(relative(b, d))
            })
            .reduce(|| 0.0, f64::max);
        table
    }

    /// Largest relative error of either moment, measured midway between nodes.
    pub fn error(&self) -> f64 {
        self.error
    }

    /// `(E phi^2, E phi'^2)` by the cubic through four nodes.
    fn at(&self, x: f64) -> (f64, f64) {
        let place = (x - LOWEST) * PER_NAT as f64;
        let i = (place as usize).clamp(1, self.nodes.len() - 3);
        let t = place - i as f64;
        let w = [
            -t * (t - 1.0) * (t - 2.0) / 6.0,
            (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
            -(t + 1.0) * t * (t - 2.0) / 2.0,
            (t + 1.0) * t * (t - 1.0) / 6.0,
        ];
        let mut out = (0.0, 0.0);
        for (w, y) in w.iter().zip(&self.nodes[i - 1..i + 3]) {
            out = (out.0 + w * y.0, out.1 + w * y.1);
        }
        out
    }

    /// The cell of weights of variance `sigma_w2 / fan_in` and biases of variance `sigma_b2`.
    pub fn cell(&self, sigma_w2: f64, sigma_b2: f64) -> Cell {
        // q' - q at a node, and between nodes
        let node = |i: usize| sigma_w2 * self.nodes[i].0 + sigma_b2 - ln_q(i).exp();
        let start = (-LOWEST) as usize * PER_NAT;
        let first = node(start);
        let chi = |slope: f64| sigma_w2 * slope;
        // a layer at which q = 1 is fixed to rounding has arrived
        if first.abs() <= 1e-15 {
            return Cell {
                ln_q: 0.0,
                chi_1: chi(self.nodes[start].1),
            };
        }
        let found = if first > 0.0 {
            (start + 1..self.nodes.len())
                .find(|&i| node(i) <= 0.0)
                .map(|i| i - 1)
        } else {
            (0..start).rev().find(|&i| node(i) >= 0.0)
        };
        let Some(i) = found else {
            let (ln_q, (_, slope)) = if first > 0.0 {
                (f64::INFINITY, self.nodes[self.nodes.len() - 1])
            } else {
                (f64::NEG_INFINITY, self.nodes[0])
            };
            return Cell {
                ln_q,
                chi_1: chi(slope),
            };
        };
        let (mut lo, mut hi) = (ln_q(i), ln_q(i + 1));
        for _ in 0..30 {
            let middle = 0.5 * (lo + hi);
            if sigma_w2 * self.at(middle).0 + sigma_b2 > middle.exp() {
                lo = middle;
            } else {
                hi = middle;
            }
        }
        Cell {
            ln_q: lo,
            chi_1: chi(self.at(lo).1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::mean_field::{LengthMap, Limit};

    #[test]
    fn cells_agree_with_the_fixed_points() {
        for phi in [
            Activation::Tanh,
            Activation::Gelu,
            Activation::Elu { alpha: 1.0 },
            Activation::Sigmoid,
        ] {
            let table = PhaseTable::new(&phi);
            assert!(table.error() < 1e-6, "{phi} {}", table.error());
            for (w, b) in [
                (0.5, 0.0),
                (0.9, 0.3),
                (1.7, 0.05),
                (1.9, 1.0),
                (2.5, 0.2),
                (9.0, 0.1),
            ] {
                let cell = table.cell(w, b);
                match LengthMap::new(phi.clone(), w, b).unwrap().limit(1.0) {
                    Limit::Fixed(p) if p.q.value > 0.0 => {
                        let loss = 1.0 / (1.0 - p.chi_parallel.value).abs();
                        let tolerance = 2.0 * (table.error() + 1e-9) * (1.0 + loss);
                        assert!(
                            (cell.ln_q - p.q.value.ln()).abs() < tolerance,
                            "{phi} {w} {b}: {cell:?} {p:?}"
                        );
                        assert!((cell.chi_1 / p.chi_1.value - 1.0).abs() < tolerance);
                    }
                    Limit::Fixed(p) => {
                        assert_eq!(cell.ln_q, f64::NEG_INFINITY, "{phi} {w} {b}: {p:?}");
                        assert!((cell.chi_1 - p.chi_1.value).abs() < 1e-4);
                    }
                    _ => assert_eq!(cell.ln_q, f64::INFINITY),
                }
            }
        }
    }
}
