//! Many tests, one error rate.

/// p-values adjusted by Holm's step-down procedure: rejecting those at most `alpha` keeps the
/// probability of any false rejection at most `alpha`, however the tests depend on each other
/// (theorem: spent-levels). NaN stands for no test and stays.
///
/// # Examples
/// ```
/// use isometer::verify::statistics::holm;
/// let adjusted = holm(&[0.01, f64::NAN, 0.04, 0.03]);
/// assert!((adjusted[0] - 0.03).abs() < 1e-15 && adjusted[1].is_nan());
/// assert!((adjusted[3] - 0.06).abs() < 1e-15 && (adjusted[2] - 0.06).abs() < 1e-15); // never decreasing
/// ```
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len())
        .filter(|&i| !p_values[i].is_nan())
        .collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut out = vec![f64::NAN; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        let factor = (order.len() - rank) as f64;
        largest = largest.max((p_values[i] * factor).min(1.0));
        out[i] = largest;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Theorem: spent-levels. Three of the four are rejected at 0.05 only in the order of their size.
    #[test]
    fn step_down_by_hand() {
        let adjusted = holm(&[0.01, f64::NAN, 0.04, 0.03, 0.005]);
        let expected = [0.03, f64::NAN, 0.06, 0.06, 0.02];
        for (a, e) in adjusted.iter().zip(expected) {
            assert!((a - e).abs() < 1e-15 || (a.is_nan() && e.is_nan()));
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
