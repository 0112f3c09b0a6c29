//! How far rounding errors that mix two indices are amplified.
//!
//! An error below the diagonal at layer `k` is carried to the end of the chain by
//! `(R_k + E)(I + X) = (I + X') R'`: `X_ij` is multiplied by `R_ii / R_jj` at every later layer, and
//! `I + X` multiplies the triangular factor, whose singular values move by at most `|X|`
//! relatively (Ostrowski). An error above the diagonal changes the row-scaled `U` by
//! `E_ij / R_ii` times the ratio of growths *before* the layer. Both stay small under a dominated
//! splitting and explode where growth is undone later, even when the vectors of each index alone
//! see nothing of it (products of commuting symmetric matrices).

use super::ROUNDING;
use super::kernel::Dense;
use crate::linalg::dd::Real;
use crate::linalg::vectorised::vectorised;

/// Accumulated amplification for all pairs of indices, in units of the roundoff.
pub(super) struct Splitting {
    n: usize,
    /// `[i + j n]`, `i > j`: `X_ij`; `i < j`: the change of `U_ij`.
    pairs: Vec<f64>,
    /// `[i + j n]`, `i < j`: product of `|R_jj / R_ii|` so far.
    ratios: Vec<f64>,
    /// Sum of log2 `|R_ii|`.
    growth: Vec<f64>,
    diagonal: Vec<f64>,
}

impl Splitting {
    pub fn new(n: usize) -> Splitting {
        Splitting {
            n,
            pairs: vec![0.0; n * n],
            ratios: vec![1.0; n * n],
            growth: vec![0.0; n],
            diagonal: vec![0.0; n],
        }
    }

    /// One layer with triangular factor `r` and errors of size `spread`.
    pub fn step<T: Real>(&mut self, r: &Dense<T>, spread: f64) {
        for (i, (d, g)) in self.diagonal.iter_mut().zip(&mut self.growth).enumerate() {
            *d = r.at(i, i).to_f64().abs().max(1e-300);
            *g += d.log2();
        }
        advance(&self.diagonal, spread, &mut self.pairs, &mut self.ratios);
    }

    /// What mixing adds to the rounding error of each index. First order for pairs of equal
    /// growth; otherwise of second order, divided by the relative gap.
    pub fn finish(self, roundoff: f64) -> Vec<f64> {
        let mut squares = vec![0.0f64; self.n];
        for j in 0..self.n {
            for i in (0..self.n).filter(|&i| i != j) {
                let x = self.pairs[i + j * self.n];
                let gap = 1.0 - (-2.0 * (self.growth[i] - self.growth[j]).abs()).exp2();
                let x = x * (ROUNDING * roundoff * x / gap).min(1.0);
                let x = if x.is_nan() { f64::INFINITY } else { x };
                squares[i] += x * x;
                squares[j] += x * x;
            }
        }
        squares.into_iter().map(f64::sqrt).collect()
    }
}

vectorised! {
/// The recursions of `pairs` and `ratios` over one layer with diagonal `d`.
fn advance(d: &[f64], spread: f64, pairs: &mut [f64], ratios: &mut [f64]) -> () {
    let n = d.len();
    for j in 0..n {
        let (here, inverse) = (d[j], d[j].recip());
        let (upper, lower) = pairs[j * n..(j + 1) * n].split_at_mut(j);
        let before = &mut ratios[j * n..j * n + j];
        for ((y, z), d) in upper.iter_mut().zip(before).zip(d) {
            let quotient = *z / d;
            *y += quotient * spread;
            *z = quotient * here;
        }
        for (x, d) in lower[1..].iter_mut().zip(&d[j + 1..]) {
            *x = (*x * d + spread) * inverse;
        }
    }
}
}
