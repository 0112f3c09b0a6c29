//! Models as TOML: an exact round trip, and errors that point at the key.

use isometer::network::activation::Activation;
use isometer::network::{
    Alpha, AlphaAt, BatchSize, BiasInit, Ensemble, FanMode, KaimingGain, Model, ModelFileError,
    Normalization, NumberFormat, Residual, ScalingDistribution, Shape, WeightInit,
};
use proptest::prelude::*;
use proptest::sample::select;

/// Numbers of any size whose squares stay within double precision, with all bits in use.
fn size() -> impl Strategy<Value = f64> {
    (1.0..2.0f64, -60..60i32).prop_map(|(m, e)| m * f64::from(e).exp2())
}

fn signed() -> impl Strategy<Value = f64> {
    (size(), any::<bool>()).prop_map(|(x, negative)| if negative { -x } else { x })
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        select(Activation::all()),
        signed().prop_map(|slope| Activation::LeakyRelu { slope }),
        size().prop_map(|alpha| Activation::Elu { alpha }),
        size().prop_map(|alpha| Activation::Celu { alpha }),
        size().prop_map(|beta| Activation::Softplus { beta }),
        size().prop_map(|lambda| Activation::SoftShrink { lambda }),
    ]
}

fn gain() -> impl Strategy<Value = KaimingGain> {
    let known = vec![
        Activation::Linear,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Relu,
        Activation::Selu,
    ];
    prop_oneof![
        Just(KaimingGain::OfModel),
        signed().prop_map(KaimingGain::Explicit),
        signed().prop_map(|slope| KaimingGain::Nonlinearity(Activation::LeakyRelu { slope })),
        select(known).prop_map(KaimingGain::Nonlinearity),
    ]
}

fn weights() -> impl Strategy<Value = WeightInit> {
    let shape = || select(vec![Shape::Normal, Shape::Uniform]);
    let ensemble = select(vec![
        Ensemble::Gaussian,
        Ensemble::Uniform,
        Ensemble::TruncatedNormal,
        Ensemble::Orthogonal,
    ]);
    let distribution = select(vec![
        ScalingDistribution::TruncatedNormal,
        ScalingDistribution::UntruncatedNormal,
        ScalingDistribution::Uniform,
    ]);
    let fan = select(vec![FanMode::FanIn, FanMode::FanOut]);
    let any_fan = select(vec![FanMode::FanIn, FanMode::FanOut, FanMode::FanAvg]);
    let scale = prop_oneof![Just(1.0), Just(2.0), size()];
    prop_oneof![
        (size(), ensemble)
            .prop_map(|(sigma_w2, ensemble)| WeightInit::SigmaW2 { sigma_w2, ensemble }),
        (shape(), signed()).prop_map(|(shape, gain)| WeightInit::Xavier { shape, gain }),
        (shape(), fan, gain()).prop_map(|(shape, mode, gain)| WeightInit::Kaiming {
            shape,
            mode,
            gain
        }),
        (scale, any_fan, distribution).prop_map(|(scale, mode, distribution)| {
            WeightInit::VarianceScaling {
                scale,
                mode,
                distribution,
            }
        }),
        (signed(), size()).prop_map(|(mean, std)| WeightInit::Normal { mean, std }),
        (signed(), size()).prop_map(|(mean, std)| WeightInit::TruncatedNormal { mean, std }),
        (signed(), size()).prop_map(|(low, width)| WeightInit::Uniform {
            low,
            high: low + width
        }),
        (signed(), size(), size(), size()).prop_map(|(mean, std, below, above)| {
            WeightInit::TruncNormal {
                mean,
                std,
                low: mean - below.min(1e3 * std),
                high: mean + above.max(1e-3 * std).max(1e-3 * mean.abs()),
            }
        }),
        signed().prop_map(|gain| WeightInit::Orthogonal { gain }),
        signed().prop_map(|gain| WeightInit::Identity { gain }),
        signed().prop_map(|value| WeightInit::Constant { value }),
        (0.0..=1.0f64, size()).prop_map(|(sparsity, std)| WeightInit::Sparse { sparsity, std }),
        select(vec![
            WeightInit::Dirac,
            WeightInit::TorchLinear,
            WeightInit::KerasDense,
            WeightInit::Constant { value: 0.0 },
            WeightInit::Constant { value: 1.0 },
        ]),
    ]
}

fn bias() -> impl Strategy<Value = BiasInit> {
    prop_oneof![
        select(vec![
            BiasInit::FrameworkDefault,
            BiasInit::TorchLinear,
            BiasInit::None,
        ]),
        size().prop_map(|variance| BiasInit::Gaussian { variance }),
        size().prop_map(|half_width| BiasInit::Uniform { half_width }),
        signed().prop_map(BiasInit::Constant),
    ]
}

/// Widths: any, equal ones, or equal ones after another input.
fn widths() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        prop::collection::vec(1..2000usize, 2..9),
        (1..9usize, 1..2000usize).prop_map(|(depth, width)| vec![width; depth + 1]),
        (1..9usize, 1..2000usize, 1..2000usize).prop_map(|(depth, width, input)| {
            let mut widths = vec![width; depth + 1];
            widths[0] = input;
            widths
        }),
    ]
}

fn models() -> impl Strategy<Value = Model> {
    let alpha = (
        signed(),
        prop_oneof![
            Just(AlphaAt::Weights),
            Just(AlphaAt::Multiplier),
            (1..9usize).prop_map(AlphaAt::Layer),
        ],
    );
    let normalization = prop_oneof![
        Just(Normalization::None),
        Just(Normalization::Layer),
        Just(Normalization::Rms),
        Just(Normalization::Batch {
            size: BatchSize::Infinite
        }),
        (4..999usize).prop_map(|b| Normalization::Batch {
            size: BatchSize::Finite(b)
        }),
    ];
    let residual = prop_oneof![
        Just(None),
        Just(Some(Residual::Zero)),
        Just(Some(Residual::InverseSqrtDepth)),
        signed().prop_map(|beta| Some(Residual::Constant(beta))),
    ];
    (
        (widths(), activation(), weights(), bias(), alpha),
        (normalization, any::<bool>(), residual),
        (
            0.0..1.0f64,
            1..50usize,
            select(NumberFormat::ALL.to_vec()),
            any::<bool>(),
        ),
    )
        .prop_map(
            |((widths, activation, weights, bias, (value, at)), (norm, after, residual), rest)| {
                let mut model = Model::new(widths, activation);
                (model.weights, model.bias) = (weights, bias);
                model.alpha = Alpha { value, at };
                (model.normalization, model.normalization_after) = (norm, after);
                model.residual = residual;
                (
                    model.dropout,
                    model.readout,
                    model.number_format,
                    model.tied,
                ) = rest;
                repaired(model)
            },
        )
}

/// What contradicts itself gives way, so that the draw is of sound models without rejections.
fn repaired(mut model: Model) -> Model {
    let equal = model.widths.iter().all(|n| *n == model.widths[0]);
    if let AlphaAt::Layer(k) = &mut model.alpha.at {
        *k = (*k).min(model.widths.len());
    }
    if !equal {
        model.residual = None;
        model.tied = false;
    }
    if model.normalization == Normalization::None {
        model.normalization_after = false;
    }
    if model.tied {
        model.activation = Activation::Linear;
        model.alpha.at = AlphaAt::Weights;
    }
    if model.validate().is_err() {
        // widths too small for the normalization, orthogonal weights that widen
        model.normalization = Normalization::None;
        model.normalization_after = false;
        if matches!(model.weights, WeightInit::SigmaW2 { .. }) {
            model.weights = WeightInit::default();
        }
    }
    model
}

proptest! {
    #[test]
    fn models_round_trip(model in models()) {
        prop_assert_eq!(model.validate(), Ok(()));
        let text = model.to_toml();
        let back = Model::from_toml(&text);
        prop_assert!(back.is_ok(), "{}\n{}", text, back.unwrap_err());
        prop_assert_eq!(back.unwrap(), model, "{}", text);
    }

    #[test]
    fn initializers_round_trip(init in weights()) {
        prop_assert_eq!(init.to_string().parse::<WeightInit>(), Ok(init));
    }

    /// Arbitrary text is refused, never a panic.
    #[test]
    fn garbage_is_survived(text in ".{0,80}", value in "[-a-z0-9_:=,.]{0,20}") {
        let _ = Model::from_toml(&text);
        let _ = value.parse::<WeightInit>();
        let _ = Model::from_toml(&format!("width = 3\ndepth = 2\nactivation = '{value}'\nbias = '{value}'"));
    }
}

#[test]
fn a_number_off_by_one_bit_is_another_model() {
    let mut model = Model::new(vec![8, 8], Activation::Tanh);
    model.alpha.value = 0.1;
    let mut other = model.clone();
    other.alpha.value = 0.1f64.next_up();
    assert_ne!(model.to_toml(), other.to_toml());
    assert_eq!(Model::from_toml(&other.to_toml()).unwrap(), other);
}

#[test]
fn all_keys_are_read() {
    let model = Model::from_toml(
        r#"
        input = 784                 # a comment
        depth = 3
        width = 0x100
        activation = "leaky_relu:0.2"
        init = "orthogonal"
        sigma_w2 = 2
        sigma_b2 = 5e-2
        alpha = 3
        alpha_at = "layer:2"
        normalization = "batch:32"
        normalization_after = true
        dropout = 0.25
        readout = 10
        number_format = "bf16"
        "#,
    )
    .unwrap();
    assert_eq!(model.widths, [784, 256, 256, 256]);
    assert_eq!(model.activation, Activation::LeakyRelu { slope: 0.2 });
    assert_eq!(
        model.weights,
        WeightInit::SigmaW2 {
            sigma_w2: 2.0,
            ensemble: Ensemble::Orthogonal
        }
    );
    assert_eq!(model.bias, BiasInit::Gaussian { variance: 0.05 });
    assert_eq!(
        (model.alpha.value, model.alpha.at),
        (3.0, AlphaAt::Layer(2))
    );
    let size = BatchSize::Finite(32);
    assert_eq!(model.normalization, Normalization::Batch { size });
    assert!(model.normalization_after);
    assert_eq!((model.dropout, model.readout), (0.25, 10));
    assert_eq!(model.number_format, NumberFormat::Bf16);
}

#[test]
fn little_is_needed() {
    let model = Model::from_toml("widths = [3, 4]\nactivation = \"tanh\"").unwrap();
    assert_eq!(model, Model::new(vec![3, 4], Activation::Tanh));
    for (text, residual) in [
        ("0", Some(Residual::Zero)),
        ("0.0", Some(Residual::Zero)),
        ("1", Some(Residual::Constant(1.0))),
        ("0.5", Some(Residual::Constant(0.5))),
        ("'0.5'", Some(Residual::Constant(0.5))),
        ("'1/sqrt(L)'", Some(Residual::InverseSqrtDepth)),
        ("'none'", None),
    ] {
        let text = format!("widths = [4, 4]\nactivation = 'tanh'\nresidual = {text}");
        assert_eq!(Model::from_toml(&text).unwrap().residual, residual);
    }
}

#[test]
fn errors_point_at_the_key() {
    let base = "depth = 2\nwidth = 8\nactivation = \"relu\"\n";
    for (line, hints) in [
        (
            "wdth = 8",
            vec!["line 4, column 1", "'wdth'", "did you mean width?"],
        ),
        (
            "lr = 8",
            vec!["line 4, column 1", "'lr'", "the keys are widths"],
        ),
        (
            "[model]\nwidth = 3",
            vec!["line 4, column 2", "outside of [tables]"],
        ),
        ("init = kaiming", vec!["line 4", "not TOML"]),
        (
            "init = 3",
            vec!["line 4, column 8", "init", "init = \"kaiming_normal\""],
        ),
        (
            "init = \"kaimnig_normal\"",
            vec!["line 4, column 8", "did you mean kaiming_normal?"],
        ),
        (
            "init = \"he_normal\"\nsigma_w2 = 2",
            vec!["line 5, column 12", "sigma_w2 and he_normal"],
        ),
        ("sigma_w2 = -2", vec!["line 4, column 12", "not negative"]),
        (
            "bias = \"none\"\nsigma_b2 = 1",
            vec!["line 4", "bias and sigma_b2"],
        ),
        ("sigma_b2 = -1", vec!["line 4, column 12", "not negative"]),
        ("widths = [8, 8]", vec!["line 4", "widths and depth"]),
        ("depth = 3", vec!["line 4", "not TOML"]),
        ("input = -1", vec!["line 4, column 9", "not negative"]),
        ("input = 0", vec!["width 0 at position 0"]),
        ("alpha = \"big\"", vec!["line 4, column 9", "a number"]),
        ("alpha = nan", vec!["line 4, column 9", "alpha = NaN"]),
        ("alpha = 1e999", vec!["line 4, column 9", "finite"]),
        (
            "alpha_at = \"layer:9\"",
            vec!["line 4, column 12", "1 to 3"],
        ),
        (
            "alpha_at = \"bias\"",
            vec!["line 4", "weights, multiplier or layer:K"],
        ),
        (
            "normalization = \"batch:3\"",
            vec!["line 4, column 17", "batch:4"],
        ),
        ("normalization_after = true", vec!["line 4", "choose one"]),
        ("normalization_after = 1", vec!["true or false"]),
        ("residual = true", vec!["1/sqrt(L)"]),
        (
            "residual = \"half\"",
            vec!["line 4, column 12", "1/sqrt(L)"],
        ),
        ("dropout = 1.0", vec!["line 4, column 11", "below 1"]),
        ("readout = 0", vec!["line 4, column 11", "readout = 1"]),
        ("readout = 1.5", vec!["integer"]),
        ("number_format = \"f8\"", vec!["line 4", "bf16"]),
        ("tied = true", vec!["line 4, column 8", "untie"]),
    ] {
        let message = Model::from_toml(&format!("{base}{line}"))
            .unwrap_err()
            .to_string();
        for hint in hints {
            assert!(message.contains(hint), "{line}: {message}");
        }
    }
    for (text, hint) in [
        ("", "widths is missing"),
        ("depth = 3", "width is missing"),
        ("width = 3", "depth is missing"),
        ("widths = [3, 4]", "activation = \"relu\""),
        ("widths = 3\nactivation = 'relu'", "a list of integers"),
        (
            "widths = [3, 'x']\nactivation = 'relu'",
            "line 1, column 14",
        ),
        (
            "depth = 10_000_001\nwidth = 1\nactivation = 'relu'",
            "line 1, column 9",
        ),
        (
            "depth = 9223372036854775807\nwidth = 1\nactivation = 'relu'",
            "can be described",
        ),
    ] {
        let message = Model::from_toml(text).unwrap_err().to_string();
        assert!(message.contains(hint), "{text}: {message}");
    }
}

#[test]
fn columns_count_characters() {
    let text = "activation = 'relu' # \u{e4}\n\"\u{fc}\" = 1\n";
    let Err(ModelFileError::UnknownKey { place, .. }) = Model::from_toml(text) else {
        panic!("accepted");
    };
    assert_eq!((place.line, place.column), (2, 1));
    let text = "widths = [1, 1] # \u{e4}\r\nactivation = '\u{fc}'";
    let Err(ModelFileError::Value { place, .. }) = Model::from_toml(text) else {
        panic!("accepted");
    };
    assert_eq!((place.line, place.column), (2, 14));
}
