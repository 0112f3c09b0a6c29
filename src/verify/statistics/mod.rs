//! Tests of hypotheses, with what their p-values are worth.
//!
//! All p-values are two-sided unless said. Exact ones (binomial, Kolmogorov-Smirnov) hold at every
//! sample size; those from the normal law are corrected for skewness and say so.
//!
//! ```
//! use isometer::verify::statistics::{binomial_p_value, holm, normal_p_value};
//!
//! assert!((binomial_p_value(0, 10, 0.5) - 2.0 / 1024.0).abs() < 1e-15);
//! assert!((normal_p_value(1.959963984540054) - 0.05).abs() < 1e-12);
//! // the smallest of two p-values is doubled
//! assert_eq!(holm(&[0.04, 0.01]), [0.04, 0.02]);
//! ```

mod binomial;
mod holm;
mod kolmogorov;
mod moments;
mod normal;

pub use binomial::{binomial_p_value, binomial_tails, clopper_pearson};
pub use holm::holm;
pub use kolmogorov::{
    EXPECTED_DISTANCE, EXPECTED_DISTANCE_DEVIATION, ks_distance, ks_p_value, ks_two_sample,
    ks_two_sample_p_value,
};
pub use moments::{Moments, moments, variance_p_value};
pub use normal::{equivalent_deviation, normal_p_value, skewed_p_value};

/// `P(K = k)` for `K ~ Bin(n, p)`.
pub(super) fn binomial_mass(k: usize, n: usize, p: f64) -> f64 {
    binomial::mass(k as f64, n as f64, p)
}

#[cfg(test)]
mod tests;
