//! Exact laws of squared norms in finite-width networks with (leaky) ReLU, without sampling.
//!
//! At initialization the squared norm of a signal, of a tangent or of a gradient is a product of
//! independent factors, one per layer (theorem: sign-symmetric-gates). Its logarithm is a sum, the
//! transform of each term is a finite sum, and inverting the product of the transforms gives
//! probabilities and quantiles. Equal layers enter as a power: a million layers cost as much as ten.
//!
//! Everything is about **squared** norms, in total over all layers. Logarithmic quantities are conditional
//! on a non-zero norm; means include the zeros.

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
