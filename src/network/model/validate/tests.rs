use super::*;
use crate::network::Residual;
use crate::network::activation::Activation;

/// What `change` does to a sound model of widths 8, 8, 8 is refused with the hints, under the key.
fn refused(key: &str, hints: &[&str], change: impl Fn(&mut Model)) {
    let mut model = Model::new(vec![8; 3], Activation::Relu);
    model.validate().unwrap();
    change(&mut model);
    let error = model.validate().unwrap_err();
    assert_eq!(error.key(), key, "{error}");
    for hint in hints {
        assert!(error.to_string().contains(hint), "{error}");
    }
}

fn accepted(change: impl Fn(&mut Model)) {
    let mut model = Model::new(vec![8; 3], Activation::Relu);
    change(&mut model);
    model.validate().unwrap();
}

#[test]
fn widths_that_are_no_network() {
    refused("widths", &["0 widths"], |m| m.widths = vec![]);
    refused("widths", &["1 widths", "784,256"], |m| m.widths = vec![8]);
    refused("widths", &["width 0 at position 1"], |m| m.widths[1] = 0);
    refused("readout", &["readout = 1"], |m| m.readout = 0);
    refused("widths", &["units of a layer", "1000000000000"], |m| {
        m.widths[2] = 1_000_000_000_000;
    });
    refused("readout", &["1000001 outputs"], |m| {
        m.readout = MAX_WIDTH + 1;
    });
    refused("normalization", &["batch:inf"], |m| {
        m.normalization = Normalization::Batch {
            size: BatchSize::Finite(usize::MAX),
        };
    });
    assert_eq!(
        Model::equal_widths(MAX_DEPTH + 1, 1),
        Err(ModelError::TooDeep {
            depth: MAX_DEPTH + 1
        })
    );
    assert!(Model::equal_widths(0, 5).is_err());
    assert_eq!(Model::equal_widths(2, 5), Ok(vec![5; 3]));
}

#[test]
fn numbers_that_mean_nothing() {
    for alpha in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0] {
        refused("alpha", &["other than 0"], |m| m.alpha.value = alpha);
    }
    refused("alpha", &["zeros"], |m| m.alpha.value = 0.0);
    accepted(|m| m.alpha.value = -1.0);
    for at in [0, 4] {
        refused("alpha_at", &["1 to 3", "readout"], |m| {
            m.alpha.at = AlphaAt::Layer(at)
        });
    }
    accepted(|m| m.alpha.at = AlphaAt::Layer(3));
    for p in [1.0, -0.1, 1.5, f64::NAN] {
        refused("dropout", &["below 1"], |m| m.dropout = p);
    }
    accepted(|m| m.dropout = 0.999);
    for bias in [
        BiasInit::Gaussian { variance: -1.0 },
        BiasInit::Uniform { half_width: -1.0 },
        BiasInit::Uniform { half_width: 1e200 },
        BiasInit::Gaussian { variance: f64::NAN },
        BiasInit::Constant(f64::INFINITY),
    ] {
        refused("bias", &["not negative"], |m| m.bias = bias);
    }
    refused("init", &["not negative"], |m| {
        m.weights = WeightInit::gaussian(-1.0)
    });
    refused("init", &["not negative"], |m| {
        m.weights = WeightInit::gaussian(f64::NAN)
    });
    refused("activation", &["finite"], |m| {
        m.activation = Activation::LeakyRelu { slope: f64::NAN };
    });
    refused("residual", &["finite"], |m| {
        m.residual = Some(Residual::Constant(f64::NAN))
    });
}

#[test]
fn weights_beyond_double_precision() {
    refused("alpha", &["too large"], |m| m.alpha.value = 1e160);
    refused("alpha", &["too small"], |m| m.alpha.value = 1e-170);
    refused("alpha", &["layer 3", "too large"], |m| {
        m.alpha.value = 1e160;
        m.alpha.at = AlphaAt::Layer(3);
    });
    accepted(|m| m.alpha.value = 1e150);
    // 0 that was asked for is no loss
    accepted(|m| m.weights = WeightInit::Constant { value: 0.0 });
}

#[test]
fn batches_too_small_for_a_variance() {
    let batch = |size| Normalization::Batch { size };
    for size in 0..=3 {
        refused("normalization", &["infinite", "batch:4"], |m| {
            m.normalization = batch(BatchSize::Finite(size));
        });
    }
    accepted(|m| m.normalization = batch(BatchSize::Finite(4)));
    accepted(|m| m.normalization = batch(BatchSize::Infinite));
    refused("normalization_after", &["none"], |m| {
        m.normalization_after = true
    });
}

#[test]
fn normalizations_without_gradients() {
    for (normalization, width) in [(Normalization::Layer, 2), (Normalization::Rms, 1)] {
        refused("widths", &["exactly 0"], |m| {
            m.normalization = normalization;
            m.widths[2] = width;
        });
        accepted(|m| {
            m.normalization = normalization;
            m.widths = vec![1, width + 1, 8];
        });
    }
}

#[test]
fn branches_that_cannot_be_added() {
    refused("widths", &["position 2 has 9"], |m| {
        m.residual = Some(Residual::InverseSqrtDepth);
        m.widths[2] = 9;
    });
    accepted(|m| m.residual = Some(Residual::Zero));
}

#[test]
fn haar_by_variance_where_it_widens() {
    let haar = WeightInit::SigmaW2 {
        sigma_w2: 2.0,
        ensemble: Ensemble::Orthogonal,
    };
    refused("init", &["layer 2", "8 to 9", "orthogonal:gain"], |m| {
        m.weights = haar.clone();
        m.widths[2] = 9;
    });
    refused("init", &["layer 3"], |m| {
        m.weights = haar.clone();
        m.readout = 9;
    });
    accepted(|m| {
        m.weights = haar.clone();
        m.widths[2] = 7;
    });
    accepted(|m| {
        m.weights = WeightInit::Orthogonal { gain: 1.4 };
        m.widths[2] = 9;
    });
}

#[test]
fn tied_layers() {
    let tied = |m: &mut Model, phi: Activation| {
        m.tied = true;
        m.activation = phi;
    };
    refused("tied", &["kaiming_normal", "relu", "untie"], |m| {
        tied(m, Activation::Relu)
    });
    refused("tied", &["leaky_relu"], |m| {
        tied(m, Activation::LeakyRelu { slope: 0.5 })
    });
    refused("widths", &["position 1", "square"], |m| {
        tied(m, Activation::Linear);
        m.widths[1] = 9;
    });
    refused("alpha_at", &["layer:3"], |m| {
        tied(m, Activation::Linear);
        m.alpha.at = AlphaAt::Layer(1);
    });
    accepted(|m| tied(m, Activation::Linear));
    accepted(|m| {
        tied(m, Activation::Linear);
        m.alpha.at = AlphaAt::Layer(3);
    });
    accepted(|m| {
        tied(m, Activation::Relu);
        m.weights = WeightInit::Orthogonal { gain: 1.0 };
    });
}

#[test]
fn a_million_equal_layers_are_one_question() {
    let mut model = Model::new(vec![8; 1_000_001], Activation::Relu);
    model.weights = "trunc_normal:a=-1".parse().unwrap();
    let start = std::time::Instant::now();
    model.validate().unwrap();
    // three laws instead of a million; the scan of the widths takes milliseconds
    assert!(start.elapsed().as_millis() < 500);
}
