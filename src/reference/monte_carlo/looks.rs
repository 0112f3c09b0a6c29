//! When to look at a growing sample without losing the error rate.

/// One look at the data: after so many samples, at this level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Samples by then.
    pub samples: u64,
    /// Probability spent on a false alarm at this look.
    pub alpha: f64,
}

/// Looks at `total / 2^k` samples, from at least `first` up to `total`. Half of `alpha` is kept for the last look,
/// half of the rest for the one before, and so on; the first look has what is left, so that the
/// levels sum to `alpha`. A run that is stopped at the first look that disagrees at its own level, and only
/// then, raises a false alarm with probability at most `alpha` (theorem: spent-levels).
///
/// # Examples
/// ```
/// use isometer::reference::monte_carlo::looks;
/// let all = looks(1000, 200, 0.01);
/// assert!(all.iter().map(|l| l.samples).eq([250, 500, 1000]));
/// assert!((all.iter().map(|l| l.alpha).sum::<f64>() - 0.01).abs() < 1e-15);
/// ```
pub fn looks(total: u64, first: u64, alpha: f64) -> Vec<Look> {
    let mut out = vec![];
    let mut samples = total;
    let mut left = alpha;
    loop {
        let last = samples / 2 < first.max(1);
        let spent = if last { left } else { 0.5 * left };
        out.push(Look {
            samples,
            alpha: spent,
        });
        if last {
            break;
        }
        left -= spent;
        samples /= 2;
    }
    out.reverse();
    out
}
