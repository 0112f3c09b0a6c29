//! An activation of your own: its edge of chaos, its gain, and what depth does with it.
//!
//!     cargo run --example custom_activation

use isometer::network::activation::{Activation, Custom};
use isometer::network::{BiasInit, Model, WeightInit};
use isometer::theory::criticality::{edge_at_q, gains};
use isometer::theory::predict::{Options, predict};
use isometer::theory::prediction::Verdict;

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // x / sqrt(1 + x^2): odd, saturating, no kinks
    let phi = Activation::Custom(Custom::new(
        "isru",
        |x| x / (1.0 + x * x).sqrt(),
        |x| (1.0 + x * x).powf(-1.5),
        [],
    ));
    let g = gains(&phi, 1.0);
    println!(
        "gain that keeps variance 1: {:.6}; chi there: {:.6}",
        g.forward.value, g.chi_at_forward.value
    );

    // where gradients neither vanish nor explode, at pre-activations of variance 1/2
    let edge = edge_at_q(&phi, 0.5).ok_or("no edge there")?;
    println!(
        "edge of chaos: sigma_w^2 = {:.6}, sigma_b^2 = {:.6}",
        edge.sigma_w2.value, edge.sigma_b2.value
    );
    let at = |sigma_w2: f64| {
        let mut model = Model::new(vec![1000; 101], phi.clone());
        model.weights = WeightInit::gaussian(sigma_w2);
        model.bias = BiasInit::Gaussian {
            variance: edge.sigma_b2.value,
        };
        predict(&model, &Options::default())
    };
    let critical = at(edge.sigma_w2.value)?;
    let chaotic = at(2.0 * edge.sigma_w2.value)?;
    println!("at the edge: {}", critical.sentence);
    println!("beyond it:   {}", chaotic.sentence);
    assert_eq!(critical.verdict, Verdict::Stable);
    assert_eq!(chaotic.verdict, Verdict::Exploding);
    Ok(())
}
