//! How much can this network amplify a disturbance of its input, at most? Proved, without a solver.
//!
//!     cargo run --example certified_bound

use isometer::bounds::chain::Chain;
use isometer::bounds::lipschitz::{LipschitzOptions, lipschitz};
use isometer::bounds::slope::SlopeRange;
use isometer::linalg::view::MatrixRef;
use isometer::network::activation::Activation;
use isometer::scale::Certainty;

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // y = W3 tanh(W2 tanh(W1 x)), weights outputs x inputs; biases do not matter
    let w1 = [1.0, -0.5, 0.3, 0.8, -0.6, 0.4];
    let w2 = [0.5, 0.2, -0.7, -0.3, 0.9, 0.1, 0.6, -0.4, 0.2];
    let w3 = [1.0, -1.0, 0.5];
    let layers = [
        MatrixRef::row_major(&w1, 3, 2)?,
        MatrixRef::row_major(&w2, 3, 3)?,
        MatrixRef::row_major(&w3, 1, 3)?,
    ];
    let chain = Chain::new(&layers, SlopeRange::of(&Activation::Tanh)?)?;
    let bounds = lipschitz(&chain, &LipschitzOptions::default());
    for b in &bounds.all {
        println!(
            "{:22} {:.6} ({})",
            b.name,
            b.value.ln().exp(),
            b.certainty.as_str()
        );
    }
    assert_eq!(bounds.best.certainty, Certainty::Certified);
    let (best, naive) = (bounds.best.value.ln(), bounds.all[0].value.ln());
    assert!(best < naive, "tighter than the product of norms");

    // The slope of tanh at 0 is 1, so the product of the weights is reached by a gradient at 0.
    let through = |j: usize| -> f64 {
        (0..3)
            .map(|i| w3[i] * (0..3).map(|k| w2[3 * i + k] * w1[2 * k + j]).sum::<f64>())
            .sum()
    };
    let at_zero = through(0).hypot(through(1));
    println!("gradient at 0          {at_zero:.6}");
    assert!(at_zero <= best.exp());
    Ok(())
}
