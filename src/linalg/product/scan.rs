//! First look at a chain: shapes, non-finite entries, exact power-of-two scales, structural
//! zeros, and what the separate factors say (norms, condition numbers, determinants).
//!
//! A unit (one coordinate between two layers) is *live* when some path of non-zero entries leads
//! to it from the input and from it to the output. Rows and columns of dead units contribute
//! nothing to the product and are removed; the smallest number of live units between layers bounds
//! the rank, exactly.

use super::bidiagonal::Bidiagonal;
use super::inner::Inner;
use super::kernel::{SMALL, norm};
use super::source::{Layer, LayerSource};
use super::{ProductError, Progress, Stage};
use crate::linalg::vectorised::vectorised;
use crate::linalg::view::NonFinite;
use crate::scale::{exponent_of, ldexp};
use faer::MatRef;

/// What the factors say separately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Factors {
    /// Upper bound of the sum of log2 of the layer norms.
    pub log2_norm_bound: f64,
    /// Upper bound of the sum of log2 of the layer condition numbers.
    pub log2_cond_bound: f64,
    /// Sum of log2 |det|.
    pub log2_det: f64,
    /// Predicted error of `log2_det`, in units of the relative error of one layer.
    pub det_sensitivity: f64,
}

/// A scanned chain: reads give live rows and columns, scaled to entries below 1 in magnitude.
pub(super) struct Live<'s, S> {
    source: &'s mut S,
    raw: Layer,
    /// Widths of the raw chain, `depth + 1` of them.
    pub widths: Vec<usize>,
    /// Live units per level; `None` when all are.
    masks: Option<Vec<Vec<bool>>>,
    /// Layer `k` is its scaled version times `2^scales[k]`.
    pub scales: Vec<i64>,
    /// Exact upper bound of the rank: the fewest live units of a level.
    pub rank: usize,
    pub factors: Option<Factors>,
}

impl<'s, S: LayerSource> Live<'s, S> {
    pub fn scan(
        source: &'s mut S,
        with_factors: bool,
        progress: Progress<'_>,
    ) -> Result<Self, ProductError> {
        let depth = source.depth();
        if depth == 0 {
            return Err(ProductError::NoLayers);
        }
        let mut raw = Layer::new();
        let mut widths = Vec::with_capacity(depth + 1);
        let mut scales = Vec::with_capacity(depth);
        let mut masks: Vec<Vec<bool>> = Vec::with_capacity(depth + 1);
        let mut all_live = true;
        let mut factors = Factors::default();
        for k in 0..depth {
            read(source, k, &mut raw)?;
            if raw.rows() == 0 || raw.cols() == 0 {
                return Err(ProductError::EmptyLayer {
                    layer: k,
                    rows: raw.rows(),
                    cols: raw.cols(),
                });
            }
            match widths.last() {
                None => {
                    widths.push(raw.cols());
                    masks.push(vec![true; raw.cols()]);
                }
                Some(&before) if before != raw.cols() => {
                    return Err(ProductError::Shapes {
                        layer: k,
                        previous: k - 1,
                        rows: before,
                        cols: raw.cols(),
                    });
                }
                Some(_) => {}
            }
            widths.push(raw.rows());
            let max = largest(&raw).map_err(|entry| ProductError::NonFinite { layer: k, entry })?;
            let exponent = if max == 0.0 {
                0
            } else {
                i64::from(exponent_of(max)) + 1
            };
            scales.push(exponent);
            let (rows_live, columns_live) = reach(&raw, &masks[k]);
            all_live &= columns_live && rows_live.iter().all(|&x| x);
            masks.push(rows_live);
            if with_factors {
                rescale(&mut raw, exponent);
                add_factors(&mut factors, &raw, exponent);
            }
            progress.report(Stage::Scan, k + 1, depth);
        }
        if with_factors {
            let valley = widths
                .windows(2)
                .skip_while(|w| w[1] <= w[0])
                .all(|w| w[1] >= w[0]);
            let ends = widths[0].min(widths[widths.len() - 1]);
            if !valley {
                factors.log2_cond_bound = f64::NAN;
            } else if widths.iter().any(|w| *w < ends) {
                factors.log2_cond_bound = f64::INFINITY;
            }
        }
        let mut live = Live {
            source,
            raw,
            widths,
            masks: None,
            scales,
            rank: 0,
            factors: with_factors.then_some(factors),
        };
        if !all_live {
            live.reach_backward(&mut masks)?;
            live.masks = Some(masks);
        }
        live.rank = (0..=depth)
            .map(|level| live.width(level))
            .min()
            .unwrap_or(0);
        Ok(live)
    }

    /// Removes units that nothing downstream listens to.
    fn reach_backward(&mut self, masks: &mut [Vec<bool>]) -> Result<(), ProductError> {
        for k in (0..self.depth()).rev() {
            read(self.source, k, &mut self.raw)?;
            let (before, after) = masks.split_at_mut(k + 1);
            for (j, live) in before[k].iter_mut().enumerate() {
                *live &= self
                    .raw
                    .column(j)
                    .iter()
                    .zip(&after[0])
                    .any(|(&x, &heard)| heard && x != 0.0);
            }
        }
        Ok(())
    }

    pub fn depth(&self) -> usize {
        self.scales.len()
    }

    /// Live units of a level, `0..=depth`.
    pub fn width(&self, level: usize) -> usize {
        match &self.masks {
            None => self.widths[level],
            Some(masks) => masks[level].iter().filter(|&&x| x).count(),
        }
    }

    pub fn multiplicity(&self) -> usize {
        self.source.multiplicity().max(1)
    }

    /// Layer `k`, live part, scaled by `2^-scales[k]`.
    pub fn read(&mut self, k: usize, into: &mut Layer) -> Result<(), ProductError> {
        match &self.masks {
            None => read(self.source, k, into)?,
            Some(masks) => {
                read(self.source, k, &mut self.raw)?;
                let rows = indices(&masks[k + 1]);
                let cols = indices(&masks[k]);
                let data = into.reset(rows.len(), cols.len());
                for (j, &col) in cols.iter().enumerate() {
                    for (i, &row) in rows.iter().enumerate() {
                        data[i + j * rows.len()] = self.raw.get(row, col);
                    }
                }
            }
        }
        rescale(into, self.scales[k]);
        Ok(())
    }
}

fn indices(mask: &[bool]) -> Vec<usize> {
    (0..mask.len()).filter(|&i| mask[i]).collect()
}

fn read<S: LayerSource>(source: &mut S, k: usize, into: &mut Layer) -> Result<(), ProductError> {
    source.read(k, into).map_err(|e| ProductError::Source {
        layer: k,
        source: Box::new(e),
    })
}

/// Largest magnitude, or the first entry in row order that is not finite.
fn largest(w: &Layer) -> Result<f64, NonFinite> {
    let max = w.entries().iter().fold(0.0f64, |m, x| m.max(x.abs()));
    // `max` drops NaN, a sum keeps it
    if max.is_finite() && !w.entries().iter().any(|x| x.is_nan()) {
        return Ok(max);
    }
    for row in 0..w.rows() {
        for col in 0..w.cols() {
            let value = w.get(row, col);
            if !value.is_finite() {
                return Err(NonFinite { row, col, value });
            }
        }
    }
    Ok(max)
}

/// Multiplies by `2^-exponent`: exact, save for entries 2^-1022 below the largest.
fn rescale(w: &mut Layer, exponent: i64) {
    if exponent == 0 {
        return;
    }
    let (a, b) = (-exponent / 2, -exponent - (-exponent / 2));
    let (a, b) = (ldexp(1.0, a), ldexp(1.0, b));
    for x in w.entries_mut() {
        *x = *x * a * b;
    }
}

/// Rows with a non-zero entry in a live column, and whether every live column has an entry.
fn reach(w: &Layer, live: &[bool]) -> (Vec<bool>, bool) {
    if !w.entries().contains(&0.0) {
        let any = live.contains(&true);
        return (vec![any; w.rows()], true);
    }
    let mut rows = vec![false; w.rows()];
    let mut columns = true;
    for (j, _) in live.iter().enumerate().filter(|(_, live)| **live) {
        let mut used = false;
        for (row, x) in rows.iter_mut().zip(w.column(j)) {
            *row |= *x != 0.0;
            used |= *x != 0.0;
        }
        columns &= used;
    }
    (rows, columns)
}

/// Adds the logs of norm, condition number and determinant of one scaled layer.
fn add_factors(sum: &mut Factors, w: &Layer, exponent: i64) {
    let (rows, cols) = (w.rows(), w.cols());
    let shape = Bidiagonal::of(if rows >= cols {
        w.clone()
    } else {
        w.transposed()
    });
    let (top, last) = (shape.largest(), shape.smallest());
    // backward error of the bidiagonalisation (Golub and Van Loan, section 8.6)
    let error = rows.max(cols) as f64 * f64::EPSILON * top;
    sum.log2_norm_bound += (top + error).log2() + exponent as f64;
    sum.log2_cond_bound += if last > error {
        ((top + error) / (last - error)).log2()
    } else {
        f64::INFINITY
    };
    if rows == cols {
        let n = rows as f64;
        sum.log2_det += log2_det(w) + n * exponent as f64;
        let frobenius = norm(w.entries());
        sum.det_sensitivity += frobenius * n.sqrt() / last;
    }
}

/// log2 |det| by elimination with partial pivoting; the determinant itself may leave `f64`.
fn log2_det(w: &Layer) -> f64 {
    let n = w.rows();
    let pivots = if n > SMALL {
        let f = MatRef::from_column_major_slice(w.entries(), n, n).partial_piv_lu();
        (0..n).map(|i| f.U()[(i, i)]).collect()
    } else {
        eliminate(&mut w.entries().to_vec(), n)
    };
    let (mut mantissa, mut exponent) = (1.0f64, 0i64);
    for x in pivots {
        mantissa *= x.abs();
        if mantissa != 0.0 {
            let e = i64::from(exponent_of(mantissa));
            mantissa = ldexp(mantissa, -e);
            exponent += e;
        }
    }
    mantissa.log2() + exponent as f64
}

vectorised! {
/// Pivots of an elimination with partial pivoting, up to the first that vanishes.
fn eliminate(a: &mut [f64], n: usize) -> Vec<f64> {
    let mut pivots = Vec::with_capacity(n);
    for j in 0..n {
        let (left, right) = a.split_at_mut((j + 1) * n);
        let x = &mut left[j * n..];
        let mut p = j;
        for i in j..n {
            if x[i].abs() > x[p].abs() {
                p = i;
            }
        }
        x.swap(j, p);
        pivots.push(x[j]);
        if x[j] == 0.0 {
            break;
        }
        let inverse = x[j].recip();
        for v in &mut x[j + 1..] {
            *v *= inverse;
        }
        for column in right.chunks_exact_mut(n) {
            column.swap(j, p);
            let s = -column[j];
            f64::axpy(&mut column[j + 1..], s, &x[j + 1..]);
        }
    }
    pivots
}
}
