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
///
/// # Examples
/// ```
/// use isometer::linalg::product::{MatrixChain, ProductOptions, leading};
/// use isometer::linalg::view::MatrixRef;
/// let layers = vec![MatrixRef::row_major(&[3.0, 0.0, 0.0, 1.0], 2, 2).unwrap(); 50];
/// let top = leading(&mut MatrixChain::new(&layers), 1, &ProductOptions::default()).unwrap();
/// assert!((top.log2_singular_values[0] - 50.0 * 3f64.log2()).abs() < 1e-9);
/// ```
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
        if let Some(error) = truncation(&history, depth)
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
///
/// A change that is all rounding has no ratio to extrapolate. What is left behind it is the change
/// over one minus the spectral ratio, and no more than about that gap itself: a value that trails
/// by a relative gap `d` is off by at most `d`. The smaller of `c / d` and `d` is at most
/// `sqrt(c)`.
fn truncation(history: &[Vec<f64>], depth: usize) -> Option<Vec<f64>> {
    let [.., a, b, c] = history else {
        return None;
    };
    let last = c.len() - 1;
    let change = |x: f64, y: f64| if x == y { 0.0 } else { (x - y).abs() };
    Some(
        (0..c.len())
            .map(|i| {
                let (before, now) = (change(b[i], a[i]), change(c[i], b[i]));
                // asymptotic ratio (sigma_{p+1} / sigma_i)^4, the last carried value standing in
                let spectral = (4.0 * (c[last] - c[i])).exp2().min(1.0);
                let noise = 4.0 * f64::EPSILON * (1.0 + c[i].abs()) * (depth as f64).sqrt();
                if now == 0.0 {
                    return 0.0;
                }
                if now <= noise {
                    return (noise / (1.0 - spectral)).min(noise.sqrt());
                }
                let measured = if before > 0.0 { now / before } else { 0.0 };
                let ratio = spectral.max(measured);
                if ratio < 1.0 {
                    now * (ratio / (1.0 - ratio)).max(1.0)
                } else {
                    f64::INFINITY
                }
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::truncation;

    #[test]
    fn converged_values_have_finite_errors_and_growing_changes_do_not() {
        // first value: rounding only, the changes growing; second: moving faster and faster
        let history = [
            vec![10.0, 5.0, 1.0],
            vec![10.0, 5.1, 1.0],
            vec![10.0 + 1.8e-15, 5.4, 1.0],
        ];
        let error = truncation(&history, 4).expect("three sweeps");
        assert!(error[0] > 0.0 && error[0] < 1e-12, "{error:?}");
        assert_eq!(error[1], f64::INFINITY);
        assert_eq!(error[2], 0.0);
        // nothing known of the gap: half of the digits
        let tied = [vec![1.0, 1.0], vec![1.0, 1.0], vec![1.0 + 2.3e-16, 1.0]];
        let error = truncation(&tied, 1).expect("three sweeps");
        assert!(error[0] < 1e-7 && error[0] > 1e-9, "{error:?}");
    }
}
