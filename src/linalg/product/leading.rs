//! The leading singular values of a product of wide layers, by block subspace sweeps.

use super::scan::Live;
use super::source::LayerSource;
use super::sweep::{analyse, backward_basis, forward, random_basis};
use super::{Arithmetic, Estimate, ProductError, ProductOptions, Progress};

/// Vectors carried beyond those asked for.
const OVERSAMPLE: usize = 4;
/// Sweeps after which the iteration stops, converged or not.
const SWEEPS: usize = 30;

/// Leading singular values of a product.
#[derive(Clone, Debug)]
pub struct Leading {
    /// The values asked for, largest first; `-inf` for zero. Up to rounding they are lower bounds.
    pub log2_singular_values: Vec<f64>,
    /// Predicted absolute error of each: truncation of the iteration and rounding.
    pub log2_error_estimate: Vec<f64>,
    /// Whether the predicted error of each is within the tolerance.
    pub reliable: Vec<bool>,
    /// Last change of each value by a sweep.
    pub last_change: Vec<f64>,
    /// Forward sweeps taken.
    pub sweeps: usize,
}

/// The `count` largest singular values, at `O(L n^2 count)` per sweep.
///
/// A sweep carries a block of `count + 4` vectors forward and backward through the chain, with a
/// QR step at each layer; index `i` converges by `(sigma_{count+5} / sigma_i)^4` per sweep. Values
/// seen through a subspace never exceed the true ones, so the changes are of one sign and their
/// ratio extrapolates to the truncation error that is reported. It stops once that is below the
/// tolerance for every value asked for, or after 30 sweeps.
///
/// # Errors
/// [`ProductError`]; [`ProductError::Count`] if `count` is 0 or exceeds the number of values.
pub fn leading<S: LayerSource>(
    source: &mut S,
    count: usize,
    options: &ProductOptions<'_>,
) -> Result<Leading, ProductError> {
    let progress = Progress(options.progress);
    let mut live = Live::scan(source, false, progress)?;
    let (depth, multiplicity) = (live.depth(), live.multiplicity());
    let available = live.widths[0].min(live.widths[depth]) / multiplicity;
    if count == 0 || count > available {
        return Err(ProductError::Count {
            asked: count,
            available,
        });
    }
    let block = ((count + OVERSAMPLE) * multiplicity).min(live.rank);
    let kept = count.min(block / multiplicity);
    let mut out = Leading {
        log2_singular_values: vec![f64::NEG_INFINITY; count],
        log2_error_estimate: vec![0.0; count],
        reliable: vec![true; count],
        last_change: vec![0.0; count],
        sweeps: 0,
    };
    if kept == 0 {
        return Ok(out);
    }
    let shift: i64 = live.scales.iter().sum();
    let mut end = random_basis::<f64>(live.width(depth), block);
    let mut history: Vec<Vec<f64>> = Vec::new();
    let truncation = loop {
        let start = backward_basis(&mut live, end, progress)?;
        let (basis, t) = forward(&mut live, start, progress)?;
        end = basis;
        let logs: Vec<f64> = t
            .log_values()
            .values
            .iter()
            .map(|v| v.map_or(f64::NEG_INFINITY, |(e, l)| (e + shift) as f64 + l))
            .collect();
        history.push(logs);
        // a block as large as the rank misses nothing
        if block == live.rank {
            break vec![0.0; block];
        }
        if let Some(error) = truncation(&history)
            && (error[..kept * multiplicity]
                .iter()
                .all(|&e| e <= options.tolerance)
                || history.len() >= SWEEPS)
        {
            break error;
        }
    };
    let start = backward_basis(&mut live, end, progress)?;
    let pass = analyse(&mut live, start, progress)?;
    let estimate = Estimate::new(pass, shift, Arithmetic::Double, multiplicity);
    out.sweeps = history.len() + 1;
    for i in 0..kept {
        let last = history[history.len() - 1][i * multiplicity];
        out.log2_singular_values[i] = estimate.log2[i];
        out.last_change[i] = (estimate.log2[i] - last).abs();
        out.log2_error_estimate[i] = estimate.error[i] + truncation[i * multiplicity];
        out.reliable[i] = out.log2_error_estimate[i] <= options.tolerance;
    }
    Ok(out)
}

/// Extrapolated distance to the limit from the last two changes; `None` before there are two.
fn truncation(history: &[Vec<f64>]) -> Option<Vec<f64>> {
    let [.., a, b, c] = history else {
        return None;
    };
    let last = c.len() - 1;
    Some(
        (0..c.len())
            .map(|i| {
                let (before, now) = ((b[i] - a[i]).abs(), (c[i] - b[i]).abs());
                // asymptotic ratio (sigma_{p+1} / sigma_i)^4, the last carried value standing in
                let spectral = (4.0 * (c[last] - c[i])).exp2();
                let measured = if before > 0.0 { now / before } else { 0.0 };
                let ratio = spectral.max(measured).min(1.0);
                if ratio < 1.0 {
                    now * (ratio / (1.0 - ratio)).max(1.0)
                } else if now == 0.0 {
                    0.0
                } else {
                    f64::INFINITY
                }
            })
            .collect(),
    )
}
