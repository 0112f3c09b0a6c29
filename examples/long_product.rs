//! All singular values of a product of 1,000 random layers, far outside the range of f64.
//!
//!     cargo run --release --example long_product

use isometer::linalg::product::{GaussianChain, ProductOptions, spectrum};

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut layers = GaussianChain {
        depth: 1000,
        width: 8,
        alpha: 1.0,
        seed: 1,
    };
    let s = spectrum(&mut layers, &ProductOptions::default())?;
    for (i, (value, error)) in s
        .log2_singular_values
        .iter()
        .zip(&s.log2_error_estimate)
        .enumerate()
    {
        println!(
            "log2 sigma_{} = {value:.6} (predicted error {error:.1e})",
            i + 1
        );
    }
    let residual = s
        .determinant_residual
        .ok_or("a square chain has a determinant")?;
    println!("determinant identity holds to {residual:.1e} in log2");
    assert!(s.reliable.iter().all(|&r| r));
    assert!(residual.abs() < 1e-6);
    Ok(())
}
