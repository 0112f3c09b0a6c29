//! A condition check inside your own code: refuse to solve with a matrix that cannot support it.
//!
//!     cargo run --example condition_check

use isometer::linalg::condition::{ConditionOptions, condition};
use isometer::linalg::view::MatrixRef;

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Hilbert matrix of order 8, row by row, as f64.
    let n = 8;
    let hilbert: Vec<f64> = (0..n * n)
        .map(|k| 1.0 / (k / n + k % n + 1) as f64)
        .collect();
    let a = MatrixRef::row_major(&hilbert, n, n)?;
    let c = condition(&a, &ConditionOptions::default())?;

    let (kappa, lo, hi) = c.cond.enclosure.to_linear().ok_or("beyond f64")?;
    println!(
        "kappa = {kappa:.10e}, proved to lie in [{lo:e}, {hi:e}] ({})",
        c.method
    );
    assert!(hi - lo <= 1e-9 * lo);
    assert!(c.resolvable, "u * kappa < 1 in f64");

    // The same numbers stored as bf16 cannot be told from a singular matrix.
    let short: Vec<half::bf16> = hilbert.iter().map(|&x| half::bf16::from_f64(x)).collect();
    let c = condition(
        &MatrixRef::row_major(&short, n, n)?,
        &ConditionOptions::default(),
    )?;
    println!("as bf16: {}", c.remark.as_deref().unwrap_or("resolvable"));
    assert!(!c.resolvable);
    Ok(())
}
