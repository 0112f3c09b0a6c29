//! Properties of predictions for random models of every regime.

use super::predicted;
use isometer::network::activation::Activation;
use isometer::network::{Alpha, AlphaAt, BatchSize, BiasInit, Model, Normalization, Residual};
use isometer::report::predict::Report;
use isometer::report::{Format, Style};
use isometer::theory::predict::{Options, PredictError, predict};
use isometer::theory::prediction::Law;
use proptest::prelude::*;
use proptest::sample::select;

fn widths() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        prop::collection::vec(1..40usize, 2..8),
        (1..30usize, 1..40usize).prop_map(|(depth, n)| vec![n; depth + 1]),
    ]
}

/// Activations with one slope on each side.
fn homogeneous() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::Relu),
        Just(Activation::Linear),
        Just(Activation::Abs),
        (0.0..2.0f64).prop_map(|slope| Activation::LeakyRelu { slope }),
    ]
}

fn weights() -> impl Strategy<Value = String> {
    prop_oneof![
        (0.01..20.0f64).prop_map(|s| format!("gaussian:sigma_w2={s}")),
        (0.1..4.0f64).prop_map(|g| format!("orthogonal:gain={g}")),
        select(vec![
            "xavier_normal",
            "kaiming_uniform",
            "torch:linear",
            "keras:dense",
            "he_normal",
            "lecun_normal",
            "sparse:sparsity=0.5,std=0.1",
        ])
        .prop_map(String::from),
    ]
}

fn special(m: &mut Model, kind: u8) {
    match kind {
        1 => m.normalization = Normalization::Layer,
        2 => m.normalization = Normalization::Rms,
        3 => {
            m.normalization = Normalization::Batch {
                size: BatchSize::Finite(16),
            }
        }
        4 => {
            m.normalization = Normalization::Batch {
                size: BatchSize::Infinite,
            }
        }
        5 => m.residual = Some(Residual::InverseSqrtDepth),
        6 => m.residual = Some(Residual::Constant(0.7)),
        7 => m.tied = true,
        8 => m.dropout = 0.25,
        9 => m.bias = BiasInit::Gaussian { variance: 0.3 },
        10 => m.bias = BiasInit::Constant(0.2),
        11 => {
            m.normalization = Normalization::Rms;
            m.normalization_after = true;
        }
        _ => {}
    }
}

fn any_model() -> impl Strategy<Value = Model> {
    let phi = prop_oneof![homogeneous(), select(Activation::all())];
    (
        widths(),
        phi,
        weights(),
        0..14u8,
        prop_oneof![Just(1.0), 0.01..10.0f64],
        0..3u8,
    )
        .prop_map(|(widths, phi, weights, kind, alpha, at)| {
            let mut m = Model::new(widths, phi);
            m.weights = weights.parse().unwrap();
            let at = match at {
                0 => AlphaAt::Weights,
                1 => AlphaAt::Multiplier,
                _ => AlphaAt::Layer(1),
            };
            m.alpha = Alpha { value: alpha, at };
            special(&mut m, kind);
            m
        })
}

fn check_law(law: &Law) -> Result<(), TestCaseError> {
    prop_assert!(!law.ln_mean_square.is_nan() && law.ln_mean_square < f64::INFINITY);
    prop_assert!((0.0..=1.0).contains(&law.p_zero), "{law:?}");
    for x in [law.mean_ln_square, law.var_ln_square, law.ln_kurtosis_ratio] {
        prop_assert!(x.is_none_or(f64::is_finite), "{law:?}");
    }
    prop_assert!(law.var_ln_square.is_none_or(|v| v >= 0.0));
    if law.p_zero == 0.0
        && let Some(mean) = law.mean_ln_square
    {
        // Jensen
        prop_assert!(
            mean <= law.ln_mean_square + 1e-9 * (1.0 + mean.abs()),
            "{law:?}"
        );
    }
    for pair in law.quantiles_ln_square.windows(2) {
        prop_assert!(
            pair[0].1 <= pair[1].1 + 1e-9 * (1.0 + pair[0].1.abs()),
            "{law:?}"
        );
    }
    for (_, p) in &law.cdf_ln_square {
        prop_assert!((0.0..=1.0).contains(p), "{law:?}");
    }
    let slack = 2.0 * law.error.unwrap_or(0.0);
    for pair in law.cdf_ln_square.windows(2) {
        prop_assert!(pair[0].1 <= pair[1].1 + slack, "{law:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// `alpha` on all weights is a shift of the log by `2 L ln alpha`, `2 (L + 1) ln alpha` with the readout.
    #[test]
    fn scaling_shifts(
        widths in widths(), phi in homogeneous(), weights in weights(), alpha in 1e-3..1e3f64,
    ) {
        let mut m = Model::new(widths, phi);
        m.weights = weights.parse().unwrap();
        m.bias = BiasInit::None;
        // sparse weights of a scalar output are all zero
        m.readout = 4;
        prop_assume!(predict(&m, &Options::default()).is_ok());
        let before = predicted(&m);
        m.alpha.value = alpha;
        let after = predicted(&m);
        let layers = m.depth() as f64;
        let ln = 2.0 * alpha.ln();
        for (a, b, power) in [
            (&after.jvp, &before.jvp, layers),
            (&after.forward, &before.forward, layers),
            (&after.input_gradient, &before.input_gradient, layers + 1.0),
        ] {
            let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
            let size = 1.0 + b.ln_mean_square.abs() + (power * ln).abs();
            let shift = a.ln_mean_square - b.ln_mean_square;
            prop_assert!((shift - power * ln).abs() <= 1e-14 * size * (layers + 2.0));
            let typical = a.mean_ln_square.unwrap() - b.mean_ln_square.unwrap();
            let size = size + b.mean_ln_square.unwrap().abs();
            prop_assert!((typical - power * ln).abs() <= 1e-13 * size * (layers + 2.0));
            // one layer more or less is noticed
            prop_assert!((shift - (power - 1.0) * ln).abs() > 0.5 * ln.abs() || alpha == 1.0);
            prop_assert!((a.p_zero - b.p_zero).abs() <= 1e-15);
        }
    }

    /// Every model is predicted in full or refused with a reason; nothing is NaN.
    #[test]
    fn predictions_are_finite(m in any_model()) {
        let options = Options { cdf: vec![-50.0, -5.0, -1.0, 0.0, 1.0, 5.0, 50.0] };
        let prediction = match predict(&m, &options) {
            Ok(p) => p,
            Err(
                e @ (PredictError::NotCovered { .. }
                | PredictError::Model(_)
                | PredictError::Weights { .. }),
            ) => {
                prop_assert!(e.to_string().len() > 20, "{e}");
                return Ok(());
            }
            Err(e) => return Err(TestCaseError::fail(format!("{e}"))),
        };
        let p = &prediction;
        for law in [&p.forward, &p.jvp, &p.input_gradient].into_iter().flatten() {
            check_law(law)?;
        }
        for (_, law) in &p.weight_gradients {
            check_law(law)?;
        }
        // chi itself may leave the range of f64
        prop_assert!(p.growth.ln_chi.is_finite() && !p.growth.chi.is_nan(), "{:?}", p.growth);
        prop_assert!(p.layers.iter().all(|l| l.chi >= 0.0 && l.ln_mean_square_gradient.is_finite()));
        for u in &p.precision {
            prop_assert!(u.p_underflow.is_none_or(|x| (0.0..=1.0).contains(&x)));
            prop_assert!(u.underflow_depth_mean.is_some_and(|x| x > 0.0));
        }
        let j = &p.jacobian;
        if let Some(rank) = j.expected_rank {
            let narrowest = *m.widths.iter().min().unwrap() as f64;
            prop_assert!((0.0..=narrowest + 1e-9).contains(&rank));
        }
        if let Some((lower, upper)) = j.edge {
            prop_assert!(lower <= upper && lower >= 0.0);
        }
        prop_assert!(j.log2_lyapunov.windows(2).all(|w| w[0] >= w[1]));
        prop_assert!(!p.sentence.is_empty() && !p.hypotheses.is_empty());
        let report = Report { prediction };
        for format in [Format::Json, Format::Table, Format::Csv, Format::Markdown] {
            let text = String::from_utf8(report.render(format, &Style::PLAIN)).unwrap();
            prop_assert!(!text.contains("NaN"), "{text}");
        }
    }
}
