//! Exact laws of squared norms in finite-width networks with (leaky) ReLU, without sampling.
//!
//! At initialization the squared norm of a signal, of a tangent or of a gradient is a product of
//! independent factors, one per layer (theorem: sign-symmetric-gates). Its logarithm is a sum, the
//! transform of each term is a finite sum, and inverting the product of the transforms gives
//! probabilities and quantiles. Equal layers enter as a power: a million layers cost as much as ten.
//!
//! Everything is about **squared** norms, in total over all layers. Logarithmic quantities are conditional
//! on a non-zero norm; means include the zeros.
//!
//! Start with [`Network`] for a whole network, with [`ProductLaw::new`] for factors of your own. Moments are closed
//! forms (exact); probabilities and quantiles come from an inversion and carry a bound of its error.
//!
//! ```
//! use isometer::theory::laws::{Ensemble, Network};
//!
//! // 50 ReLU layers of width 16 at sigma_w2 = 2
//! let network = Network {
//!     widths: &[16; 51],
//!     sigma_w2: &[2.0; 50],
//!     slopes: (1.0, 0.0),
//!     keep: 1.0,
//!     ensemble: Ensemble::Gaussian,
//!     symmetric_biases: false,
//! };
//! let law = network.jvp().unwrap();
//! assert!(law.ln_mean_square().abs() < 1e-12); // He keeps the mean
//! assert!((law.ln_kurtosis_ratio() - 50.0 * (1.0 + 5.0 / 16.0f64).ln()).abs() < 1e-10); // rare large draws make it
//! // and 97.7 % of all networks lie below it
//! assert!((law.cdf_ln_square(0.0).value - 0.9770622334409549).abs() < 1e-10);
//! ```

mod builders;
mod complex;
mod factor;
mod gamma;
mod inversion;
mod mixture;
mod product_law;

pub use builders::{Ensemble, Network, layer_kurtosis_ratio};
pub use factor::{Factor, LawError};
pub use product_law::{ProductLaw, Uncertain};

#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod tests;
