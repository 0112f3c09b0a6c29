//! Normalization with `eps = 0`, without learned gain and shift, and its derivative.
//!
//! With `c = P h` (`P` subtracts the mean; the identity for RMS), `s^2 = |c|^2/n` and `y = c/s`,
//! `dy/dh = (P - y y^T/n)/s`, a symmetric matrix: products with it and with its transpose are the same.
//! Batch normalization does this to each unit over the examples, the others to each example over
//! the units.
//!
//! A vector whose spread is within the rounding of its mean has no direction: it is normalized to 0,
//! and no gradient passes. (Frameworks divide by a small `eps` there, or return NaN.)

use super::scaled::{Scaled, aligned};
use crate::network::Normalization;

/// What was normalized, as the derivative needs it.
#[derive(Clone, Debug)]
pub(super) struct Normalized {
    over: Over,
    /// Normalized values: one row an example.
    values: Vec<Vec<f64>>,
    /// `1/s` over `2^-exponent`: one an example or one a unit.
    inverse: Vec<f64>,
    /// One an example, or one for all.
    exponents: Vec<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Over {
    /// The units of an example.
    Units { centred: bool },
    /// The examples of a batch.
    Batch,
}

/// Theorem: standardisation-derivative. Subtracts the mean if `centred` and divides by the root mean square, in place; returns 1 over the
/// latter, 0 where nothing is left.
fn standardise(v: &mut [f64], centred: bool) -> f64 {
    let n = v.len() as f64;
    let before = v.iter().map(|x| x * x).sum::<f64>();
    if centred {
        let mean = v.iter().sum::<f64>() / n;
        v.iter_mut().for_each(|x| *x -= mean);
        // what rounding left of the mean
        let rest = v.iter().sum::<f64>() / n;
        v.iter_mut().for_each(|x| *x -= rest);
    }
    let square = v.iter().map(|x| x * x).sum::<f64>();
    let noise = if centred { n * f64::EPSILON } else { 0.0 };
    if square <= noise * noise * before {
        v.fill(0.0);
        return 0.0;
    }
    let inverse = (n / square).sqrt();
    v.iter_mut().for_each(|x| *x *= inverse);
    inverse
}

/// `(P u - y (y.u)/n) inverse`, in place. Theorem: standardisation-derivative.
fn differentiate(u: &mut [f64], y: &[f64], inverse: f64, centred: bool) {
    let n = u.len() as f64;
    let along = u.iter().zip(y).map(|(u, y)| u * y).sum::<f64>() / n;
    let mean = if centred {
        u.iter().sum::<f64>() / n
    } else {
        0.0
    };
    for (u, y) in u.iter_mut().zip(y) {
        *u = (*u - mean - y * along) * inverse;
    }
}

impl Normalized {
    /// Normalizes a batch; `None` if nothing normalizes.
    pub(super) fn of(kind: Normalization, batch: &[Scaled]) -> Option<(Normalized, Vec<Scaled>)> {
        let over = match kind {
            Normalization::None => return None,
            Normalization::Layer => Over::Units { centred: true },
            Normalization::Rms => Over::Units { centred: false },
            Normalization::Batch { .. } => Over::Batch,
        };
        let mut out = Normalized {
            over,
            values: Vec::new(),
            inverse: Vec::new(),
            exponents: Vec::new(),
        };
        match over {
            Over::Units { centred } => {
                for example in batch {
                    let mut values = example.values().to_vec();
                    out.inverse.push(standardise(&mut values, centred));
                    out.exponents.push(example.exponent());
                    out.values.push(values);
                }
            }
            Over::Batch => {
                let (mut rows, exponent) = aligned(batch);
                out.inverse = per_unit(&mut rows, |_, unit| standardise(unit, true));
                out.exponents = vec![exponent];
                out.values = rows;
            }
        }
        let values = out.values.iter().map(|v| Scaled::new(v.clone())).collect();
        Some((out, values))
    }

    /// The derivative times a batch of vectors.
    pub(super) fn differential(&self, u: &[Scaled]) -> Vec<Scaled> {
        match self.over {
            Over::Units { centred } => {
                let examples = u.iter().enumerate();
                let each = examples.map(|(i, u)| {
                    let mut rows = u.values().to_vec();
                    differentiate(&mut rows, &self.values[i], self.inverse[i], centred);
                    Scaled::with_exponent(rows, u.exponent() - self.exponents[i])
                });
                each.collect()
            }
            Over::Batch => {
                let (mut rows, exponent) = aligned(u);
                let mut y = vec![0.0; rows.len()];
                per_unit(&mut rows, |unit, u| {
                    for (y, row) in y.iter_mut().zip(&self.values) {
                        *y = row[unit];
                    }
                    differentiate(u, &y, self.inverse[unit], true);
                });
                let exponent = exponent - self.exponents[0];
                let scaled = |row| Scaled::with_exponent(row, exponent);
                rows.into_iter().map(scaled).collect()
            }
        }
    }
}

/// Calls `f` with the number of each unit and its values over the examples, and puts them back.
fn per_unit<T>(rows: &mut [Vec<f64>], mut f: impl FnMut(usize, &mut [f64]) -> T) -> Vec<T> {
    let units = rows.first().map_or(0, Vec::len);
    let mut column = vec![0.0; rows.len()];
    let one = |unit: usize| {
        for (c, row) in column.iter_mut().zip(rows.iter()) {
            *c = row[unit];
        }
        let out = f(unit, &mut column);
        for (c, row) in column.iter().zip(rows.iter_mut()) {
            row[unit] = *c;
        }
        out
    };
    (0..units).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::BatchSize;

    #[test]
    fn no_spread_is_zero() {
        let equal = vec![Scaled::new(vec![0.1; 7]); 6];
        let size = BatchSize::Finite(6);
        for kind in [Normalization::Layer, Normalization::Batch { size }] {
            let (record, out) = Normalized::of(kind, &equal).unwrap();
            assert!(out.iter().all(Scaled::is_zero), "{kind}");
            let through = record.differential(&equal);
            assert!(through.iter().all(Scaled::is_zero), "{kind}");
        }
        let (_, out) = Normalized::of(Normalization::Rms, &[Scaled::zeros(3)]).unwrap();
        assert!(out[0].is_zero());
    }
}
