//! A prediction for every alpha: where between vanishing and exploding does a multiplier put the gradients?
//!
//!     cargo run --example prediction_sweep

use isometer::network::Model;
use isometer::network::activation::Activation;
use isometer::theory::sweep::{Response, sweep};

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 30 He-initialized ReLU layers of width 128, all weights times alpha
    let model = Model::new(vec![128; 31], Activation::Relu);
    let alphas = [0.5, 0.7, 1.0, 1.4, 2.0];
    let result = sweep(&model, &alphas, 10.0, 0.9, || ())?;
    for p in &result.points {
        println!(
            "alpha {:4}: gradient 10^{:+.2} over the depth, {}",
            p.alpha,
            p.log10_gradient(),
            p.verdict.as_str()
        );
    }
    // ReLU is homogeneous: a factor of alpha on each of 30 layers
    let (first, last) = (&result.points[0], &result.points[4]);
    let gain = last.log10_rms_gradient - first.log10_rms_gradient;
    assert!((gain - 30.0 * 4f64.log10()).abs() < 1e-9);
    assert_eq!(result.response, Response::Grows);
    let critical = result.critical.mean_square.ok_or("no critical alpha")?;
    assert!((critical - 1.0).abs() < 1e-12);
    println!("critical alpha for the mean square: {critical}");
    Ok(())
}
