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

#[cfg(test)]
mod tests {
    use super::*;

    /// Theorem: spent-levels.
    #[test]
    fn levels_sum_to_alpha_and_sizes_double() {
        for (total, first) in [(100_000, 1000), (1, 1), (999, 1000), (4096, 1), (0, 5)] {
            let all = looks(total, first, 1e-3);
            let sum: f64 = all.iter().map(|l| l.alpha).sum();
            assert!((sum - 1e-3).abs() < 1e-18);
            assert!(all.iter().all(|l| l.alpha > 0.0));
            assert_eq!(all.last().unwrap().samples, total);
            assert!(all.windows(2).all(|w| w[1].samples / 2 == w[0].samples));
            assert!(all[0].samples >= first.min(total));
            // noticed: one more look at the last level would overspend
            assert!(sum + all.last().unwrap().alpha > 1e-3 * 1.4);
        }
        assert_eq!(looks(4000, 1000, 1e-3).len(), 3);
    }
}
