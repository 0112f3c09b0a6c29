//! Measured values beside the law predicted for them, in a bounded number of classes: what `isometer check --plot`
//! draws.

use crate::scale::Certainty;
use crate::theory::laws::ProductLaw;
use crate::theory::prediction::Law;

/// Classes.
const CLASSES: usize = 40;

/// A histogram of `ln` of a squared norm, given that it is not zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Ends of the classes, one more than there are.
    pub edges: Vec<f64>,
    /// Values measured in each class; those outside all are left out.
    pub counts: Vec<u64>,
    /// Probability of each class by the predicted law.
    pub expected: Vec<f64>,
    /// Values measured, exact zeros left out.
    pub alive: u64,
    /// Exact zeros.
    pub zeros: u64,
    /// What the law is worth.
    pub certainty: Certainty,
}

impl Histogram {
    /// Against an exact law.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::laws::{Factor, ProductLaw};
    /// use isometer::verify::histogram::Histogram;
    /// let law = ProductLaw::new(&[(Factor::ChiSquare { n: 4, scale: 0.25 }, 1)]).unwrap();
    /// let values: Vec<f64> = (1..200).map(|k| law.quantile_ln_square(f64::from(k) / 200.0).value).collect();
    /// let h = Histogram::exact(&values, &law).unwrap();
    /// assert!(h.alive == 199 && h.zeros == 0 && h.edges.len() == h.counts.len() + 1);
    /// ```
    pub fn exact(values: &[f64], law: &ProductLaw) -> Option<Histogram> {
        let cdf = |x| law.cdf_ln_square(x).value;
        Histogram::new(values, law.certainty(), cdf)
    }

    /// Against the log-normal law of a prediction; `None` where its variance is not predicted.
    pub fn log_normal(values: &[f64], law: &Law) -> Option<Histogram> {
        let (mean, deviation) = (law.mean_ln_square?, law.var_ln_square?.sqrt());
        let scale = deviation * std::f64::consts::SQRT_2;
        let cdf = |x: f64| 0.5 * libm::erfc((mean - x) / scale);
        (deviation > 0.0).then(|| Histogram::new(values, law.certainty, cdf))?
    }

    /// Classes of equal width over the values but for the outermost 0.1% on each side.
    fn new(values: &[f64], certainty: Certainty, cdf: impl Fn(f64) -> f64) -> Option<Histogram> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let cut = sorted.len() / 1000;
        let (lo, hi) = (*sorted.get(cut)?, *sorted.get(sorted.len() - 1 - cut)?);
        if lo >= hi {
            return None;
        }
        let step = (hi - lo) / CLASSES as f64;
        let edges: Vec<f64> = (0..=CLASSES).map(|i| lo + step * i as f64).collect();
        let below = |x: f64| sorted.partition_point(|v| *v < x) as u64;
        let counts = edges.windows(2).map(|e| below(e[1]) - below(e[0]));
        let probabilities: Vec<f64> = edges.iter().map(|&x| cdf(x)).collect();
        let expected = probabilities.windows(2).map(|p| (p[1] - p[0]).max(0.0));
        Some(Histogram {
            counts: counts.collect(),
            expected: expected.collect(),
            alive: sorted.len() as u64,
            zeros: values.iter().filter(|x| **x == f64::NEG_INFINITY).count() as u64,
            edges,
            certainty,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_count_what_lies_in_them_whatever_the_order() {
        // quantiles of the uniform law on [0, 1], backwards, and two zeros
        let mut values: Vec<f64> = (0..4000)
            .rev()
            .map(|k| (f64::from(k) + 0.5) / 4000.0)
            .collect();
        values.extend([f64::NEG_INFINITY; 2]);
        let cdf = |x: f64| x.clamp(0.0, 1.0);
        let h = Histogram::new(&values, Certainty::Exact, cdf).unwrap();
        assert_eq!((h.alive, h.zeros, h.counts.len()), (4000, 2, CLASSES));
        for (count, p) in h.counts.iter().zip(&h.expected) {
            assert!((*count as f64 - 4000.0 * p).abs() <= 1.5, "{count} {p}");
        }
        values.reverse();
        assert_eq!(Histogram::new(&values, Certainty::Exact, cdf), Some(h));
        assert!(Histogram::new(&[1.0, 1.0], Certainty::Exact, cdf).is_none());
    }
}
