//! A gradient budget as an assertion: this architecture trains in half precision, or the build fails.
//!
//!     cargo run --example gradient_budget

use isometer::network::Model;
use isometer::network::activation::Activation;
use isometer::theory::predict::{Options, predict};
use isometer::theory::prediction::Prediction;

/// log10 of the typical gradient norm at the first layer over that at the last.
fn decades(p: &Prediction) -> Option<f64> {
    let first = p.layers.first()?;
    let ln_square = first.typical_ln_square_gradient?;
    Some(0.5 * ln_square * std::f64::consts::LOG10_E)
}

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    const BUDGET: f64 = 1.0;
    for (width, fits) in [(512, true), (8, false)] {
        let model = Model::new(vec![width; 41], Activation::Relu);
        let p = predict(&model, &Options::default())?;
        let lost = decades(&p).ok_or("no law")?;
        println!("40 layers of width {width}: 10^{lost:+.2} on the typical gradient");
        assert_eq!(lost.abs() <= BUDGET, fits);

        // no more than one element in a thousand may round to zero in f16
        let f16 = p.precision.iter().find(|u| u.format == "f16");
        let zeros = f16.and_then(|u| u.p_underflow).ok_or("no law")?;
        println!("  P(an element underflows in f16) = {zeros:.2e}");
        assert_eq!(zeros < 1e-3, fits);
    }
    Ok(())
}
