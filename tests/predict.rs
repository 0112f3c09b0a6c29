//! Predictions from a model to the document, each against a second route that shares no code with it.

#[path = "predict/document.rs"]
mod document;
#[path = "predict/laws.rs"]
mod laws;
#[path = "predict/properties.rs"]
mod properties;
#[path = "predict/regimes.rs"]
mod regimes;

use isometer::network::Model;
use isometer::network::activation::Activation;
use isometer::theory::predict::{Options, predict};
use isometer::theory::prediction::Prediction;

/// A model by its widths, activation and initializer.
fn model(widths: &[usize], activation: &str, init: &str) -> Model {
    let activation: Activation = activation.parse().unwrap();
    let mut model = Model::new(widths.to_vec(), activation);
    model.weights = init.parse().unwrap();
    model
}

/// `depth` layers of one width with Gaussian weights of variance `sigma_w2 / n`.
fn equal(depth: usize, n: usize, activation: &str, sigma_w2: f64) -> Model {
    let init = format!("gaussian:sigma_w2={sigma_w2}");
    model(&vec![n; depth + 1], activation, &init)
}

fn predicted(model: &Model) -> Prediction {
    predict(model, &Options::default()).unwrap_or_else(|e| panic!("{model:?}: {e}"))
}

/// Two numbers agree, and the check would notice if one of them were off by ten tolerances.
#[track_caller]
fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a:e} against {b:e}");
    assert!(
        (a + 10.0 * tolerance - b).abs() > tolerance,
        "tolerance lost in rounding"
    );
}
