//! The central observation of Pennington, Schoenholz and Ganguli, "Resurrecting the sigmoid in deep learning through
//! dynamical isometry" (2017, arXiv:1711.04735), as a table: largest squared singular value of the input-output
//! Jacobian at criticality, tanh with orthogonal against Gaussian weights.
//!
//!     cargo run --example figure_dynamical_isometry

use isometer::network::activation::Activation;
use isometer::theory::criticality::edge_at_q;
use isometer::theory::spectrum::{Ensemble, LayerGroup, Spectrum, SquaredSlopes, spectrum};

/// `depth` layers on the edge of chaos at a length that shrinks with depth, `q* = 1/(4 sqrt(L))`: then the spread of all
/// squared slopes together, about `8 q*^2 L`, stays the same.
fn at_criticality(
    depth: usize,
    ensemble: Ensemble,
) -> Result<Spectrum, Box<dyn std::error::Error>> {
    let q = 0.25 / (depth as f64).sqrt();
    let edge = edge_at_q(&Activation::Tanh, q).ok_or("no edge of chaos")?;
    Ok(spectrum(&[LayerGroup {
        ensemble,
        sigma_w2: edge.sigma_w2.value,
        slopes: SquaredSlopes::new(&Activation::Tanh, q)?,
        count: depth,
    }])?)
}

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("depth  Gaussian sigma_max^2  per layer  orthogonal sigma_max^2");
    for depth in [4, 16, 64, 256] {
        let gaussian = at_criticality(depth, Ensemble::Gaussian)?;
        let orthogonal = at_criticality(depth, Ensemble::Orthogonal)?;
        let (g, o) = (gaussian.upper.ln.exp(), orthogonal.upper.ln.exp());
        let per_layer = g / depth as f64;
        println!("{depth:5}  {g:20.3}  {per_layer:9.3}  {o:22.3}");
        // criticality: the mean squared singular value is 1 in both
        assert!(gaussian.ln_mean.abs() < 1e-6 && orthogonal.ln_mean.abs() < 1e-6);
        // Gaussian: variance and edge grow in proportion to depth, about e for each layer
        assert!(gaussian.normalised_variance >= depth as f64);
        assert!(per_layer > std::f64::consts::E && per_layer < 5.0);
        // orthogonal: bounded at any depth
        assert!(o < 5.0, "{o}");
        assert!(orthogonal.normalised_variance < 1.0);
    }
    Ok(())
}
