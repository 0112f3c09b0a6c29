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

/// Subtracts the mean if `centred` and divides by the root mean square, in place; returns 1 over the
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

/// `(P u - y (y.u)/n) inverse`, in place.
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

    const KINDS: [Normalization; 3] = [
        Normalization::Layer,
        Normalization::Rms,
        Normalization::Batch {
            size: BatchSize::Finite(5),
        },
    ];

    /// The power of two that example `b` is given at: very different ones unless batched.
    fn exponent(kind: Normalization, b: usize) -> i64 {
        match kind {
            Normalization::Batch { .. } => 4000,
            _ => 2000 * b as i64,
        }
    }

    /// Five examples of four units, away from the origin.
    fn batch(kind: Normalization) -> Vec<Scaled> {
        let unit = |b: usize, i: usize| ((b * 7 + i * 5) % 11) as f64 - 3.0 + 0.1 * (b * i) as f64;
        let example = |b| (0..4).map(|i| unit(b, i)).collect();
        (0..5)
            .map(|b| Scaled::with_exponent(example(b), exponent(kind, b)))
            .collect()
    }

    #[test]
    fn means_are_zero_and_mean_squares_one() {
        for kind in KINDS {
            let (_, out) = Normalized::of(kind, &batch(kind)).unwrap();
            let groups: Vec<Vec<f64>> = match kind {
                Normalization::Batch { .. } => (0..4)
                    .map(|i| out.iter().map(|v| v.get(i)).collect())
                    .collect(),
                _ => out.iter().map(Scaled::to_vec).collect(),
            };
            for group in groups {
                let n = group.len() as f64;
                let mean = group.iter().sum::<f64>() / n;
                let square = group.iter().map(|x| x * x).sum::<f64>() / n;
                assert!((square - 1.0).abs() < 1e-14, "{kind}");
                assert!(kind == Normalization::Rms || mean.abs() < 1e-15, "{kind}");
            }
        }
    }

    /// The derivative is symmetric, kills what was normalized away, and is that of differences.
    #[test]
    fn derivatives_are_symmetric_and_right() {
        for kind in KINDS {
            let at = batch(kind);
            let (record, _) = Normalized::of(kind, &at).unwrap();
            let probe = |salt: usize| -> Vec<Scaled> {
                let entry = |b: usize, i: usize| ((b * 3 + i * salt) % 7) as f64 - 3.0;
                (0..5)
                    .map(|b| Scaled::new((0..4).map(|i| entry(b, i)).collect()))
                    .map(|v| v.times_power_of_two(4000))
                    .collect()
            };
            // of each example, or of the batch
            let inner = |a: &[Scaled], b: &[Scaled]| -> Scaled {
                let each: Vec<_> = a.iter().zip(b).map(|(a, b)| a.dot(b)).collect();
                let each = Scaled::from_terms(&each);
                match kind {
                    Normalization::Batch { .. } => {
                        let sum = each.values().iter().sum();
                        Scaled::with_exponent(vec![sum], each.exponent())
                    }
                    _ => each,
                }
            };
            let (u, v) = (probe(2), probe(5));
            let (ju, jv) = (record.differential(&u), record.differential(&v));
            let (left, right) = (inner(&v, &ju), inner(&jv, &u));
            let error = left.plus(&right.times(-1.0));
            assert!(
                error.ln_square() < left.ln_square() + 2.0 * (1e-14f64).ln(),
                "{kind}"
            );
            // h itself is a direction in which nothing changes
            let still = record.differential(&at);
            for s in &still {
                assert!(s.ln_square() < 2.0 * (1e-14f64).ln(), "{kind}: {s:?}");
            }
            // a step of h in the direction u, brought to the scale of the example
            let h = 2f64.powi(-20);
            let scale = |b: usize| exponent(kind, b) - 4002;
            let moved = |sign: f64| -> Vec<Scaled> {
                let step = |(b, x): (usize, &Scaled)| {
                    let u = u[b].clone().times_power_of_two(scale(b));
                    x.plus(&u.times(sign * h))
                };
                let each: Vec<Scaled> = at.iter().enumerate().map(step).collect();
                Normalized::of(kind, &each).unwrap().1
            };
            let (up, down) = (moved(1.0), moved(-1.0));
            // h^2 times a third derivative of order 10, and rounding over h
            let tolerance = 100.0 * h * h + 16.0 * f64::EPSILON / h;
            for b in 0..5 {
                let truth = ju[b].clone().times_power_of_two(scale(b)).to_vec();
                for i in 0..4 {
                    let difference = (up[b].get(i) - down[b].get(i)) / (2.0 * h);
                    let error = (difference - truth[i]).abs();
                    assert!(error < tolerance, "{kind}: {difference} {truth:?}");
                }
            }
        }
    }

    #[test]
    fn no_spread_is_zero() {
        let equal = vec![Scaled::new(vec![0.1; 7]); 6];
        let kinds = [KINDS[0], KINDS[2]];
        for kind in kinds {
            let (record, out) = Normalized::of(kind, &equal).unwrap();
            assert!(out.iter().all(Scaled::is_zero), "{kind}");
            let through = record.differential(&equal);
            assert!(through.iter().all(Scaled::is_zero), "{kind}");
        }
        let (_, out) = Normalized::of(Normalization::Rms, &[Scaled::zeros(3)]).unwrap();
        assert!(out[0].is_zero());
    }
}
