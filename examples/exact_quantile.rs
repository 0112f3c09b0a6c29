//! The exact law of a gradient: how small can it be in one network out of a thousand?
//!
//!     cargo run --example exact_quantile

use isometer::network::Model;
use isometer::network::activation::Activation;
use isometer::theory::laws::{Ensemble, Network};
use isometer::theory::predict::{Options, predict};

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 50 He-initialized ReLU layers of width 16: the mean square gradient is preserved ...
    let widths = [16; 51];
    let sigma_w2 = [2.0; 50];
    let network = Network {
        widths: &widths,
        sigma_w2: &sigma_w2,
        slopes: (1.0, 0.0),
        keep: 1.0,
        ensemble: Ensemble::Gaussian,
        symmetric_biases: false,
    };
    let law = network.jvp()?;
    assert!(law.ln_mean_square().abs() < 1e-12);

    // ... but the typical one is not, and nothing was sampled to know by how much.
    for p in [0.001, 0.05, 0.5, 0.95] {
        let q = law.quantile_ln_square(p);
        println!(
            "P(|J u|^2 <= {:.3e}) = {p} (the quantile is right to {:.0e} in ln)",
            q.value.exp(),
            q.error
        );
    }
    // Gil-Pelaez and Monte Carlo agree on this one: 0.97706
    let below_one = law.cdf_ln_square(0.0);
    assert!((below_one.value - 0.977_062_233_440_954_9).abs() < 1e-10);

    // The same through the model of `isometer predict`.
    let model = Model::new(widths.to_vec(), Activation::Relu);
    let prediction = predict(&model, &Options { cdf: vec![0.0] })?;
    let jvp = prediction.jvp.ok_or("no law")?;
    assert_eq!(jvp.cdf_ln_square[0].1, below_one.value);
    println!("{}: {}", prediction.verdict.as_str(), prediction.sentence);
    Ok(())
}
