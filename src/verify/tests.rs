use super::check::{Method, Options, against_laws, check, sampler};
use super::comparison::exact::compare_law;
use super::comparison::{Comparison, jacobian, judge};
use super::law_sampler::{LawSampler, QuantileTable};
use super::suite::{grid, run as run_suite};
use crate::network::activation::Activation;
use crate::network::{Alpha, AlphaAt, Model};
use crate::reference::measure::Quantity;
use crate::reference::monte_carlo::{Control, Measurement};
use crate::reference::random::{Purpose, stream};
use crate::theory::laws::{Factor, ProductLaw};
use crate::theory::predict::{gradient_law, laws, predict};
use crate::theory::prediction::Prediction;

fn model(widths: &[usize], activation: Activation, init: &str) -> Model {
    let mut m = Model::new(widths.to_vec(), activation);
    m.weights = init.parse().unwrap();
    m
}

fn relu(depth: usize, width: usize) -> Model {
    model(&vec![width; depth + 1], Activation::Relu, "kaiming_normal")
}

fn options(samples: u64) -> Options {
    Options {
        samples,
        ..Options::default()
    }
}

fn measured(m: &Model, samples: u64) -> Measurement {
    let (sampler, _) = sampler(m, Method::Auto, 5).unwrap();
    let mut out = Measurement::new(sampler.quantities());
    out.extend(sampler.as_ref(), samples, &Control::default());
    out
}

/// Predictions of one model against networks of another.
fn caught(predicted: &Model, drawn: &Model, samples: u64) -> bool {
    let depth = predicted.depth();
    let laws = laws(predicted, &[1, depth / 2 + 1, depth + 1])
        .unwrap()
        .unwrap();
    let (sampler, method) = sampler(drawn, Method::Auto, 3).unwrap();
    against_laws(
        &laws,
        &[],
        sampler.as_ref(),
        method,
        &options(samples),
        &Control::default(),
    )
    .unwrap()
    .disagrees()
}

#[test]
fn exact_laws_agree_with_the_networks_they_describe() {
    let leaky = Activation::LeakyRelu { slope: 0.2 };
    let mut biased = model(&[6, 9, 7], Activation::Relu, "kaiming_normal");
    biased.bias = "uniform:0.7".parse().unwrap();
    let mut dropped = relu(3, 12);
    dropped.dropout = 0.25;
    let mut scaled = relu(4, 10);
    scaled.alpha = Alpha {
        value: -1.5,
        at: AlphaAt::Multiplier,
    };
    let cases = [
        relu(5, 16),
        model(&[20, 7, 30, 12], leaky.clone(), "xavier_normal"),
        model(&[8, 8, 8], leaky, "orthogonal"),
        model(&[6, 11, 4, 9], Activation::Relu, "orthogonal:gain=1.4"),
        model(&[5, 5, 5], Activation::Linear, "normal"),
        model(&[5, 5, 5], Activation::Linear, "orthogonal"),
        model(&[7, 9, 5], Activation::Abs, "normal"),
        biased,
        dropped,
        scaled,
    ];
    for m in cases {
        let c = check(&m, &options(1500), &Control::default()).unwrap();
        assert!(!c.disagrees(), "{m:?}: {:#?}", c.worst());
        assert_eq!(c.samples, 1500);
        let tested = c.comparisons.iter().filter(|c| !c.p_value.is_nan()).count();
        assert!(tested >= 16, "{m:?}: {tested}");
    }
}

/// What a wrong theory would say is noticed: each by a prediction perturbed on purpose.
#[test]
fn wrong_predictions_are_caught() {
    let truth = relu(20, 64);
    // growth per layer off by one per cent
    let mut off = truth.clone();
    off.weights = "normal:sigma_w2=2.02".parse().unwrap();
    assert!(caught(&off, &truth, 16_000));
    // variance of a normal law cut at two deviations, not rescaled
    off.weights = "normal:sigma_w2=1.547483".parse().unwrap();
    assert!(caught(&off, &truth, 1000));
    // one unit more in every layer, same variance of entries over fan-in
    let wider = relu(20, 17);
    assert!(caught(&wider, &relu(20, 16), 16_000));
    // the truth itself
    assert!(!caught(&truth, &truth, 4000));
}

/// A coin of probability 0.51, with the mean kept: only the fluctuations and the zeros differ.
#[test]
fn an_unfair_coin_is_caught() {
    let truth = relu(20, 4);
    let law = |gate: f64| {
        let factor = Factor::Gated {
            n: 4,
            gate,
            below: 0.0,
            scale: 0.5 * 0.5 / gate,
        };
        ProductLaw::new(&[(factor, 20)]).unwrap()
    };
    let m = measured(&truth, 40_000);
    let column = m.column(Quantity::Jvp).unwrap();
    let verdict = |law: &ProductLaw| {
        let mut c = compare_law("jvp", law, column);
        judge(&mut c, 1e-3)
    };
    assert!(!verdict(&law(0.5)));
    assert!(verdict(&law(0.51)));
}

/// Theorem: spent-levels. At a level of 0.2, hardly ever more than 18 of 40 runs raise an alarm.
#[test]
fn sequential_false_alarms_stay_below_the_level() {
    let m = relu(3, 6);
    let laws = laws(&m, &[1, 2, 4]).unwrap().unwrap();
    let alarms = (0..40)
        .filter(|&seed| {
            let o = Options {
                samples: 2000,
                confidence: 0.8,
                seed,
                method: Method::Auto,
                histogram: false,
            };
            let (s, method) = sampler(&m, o.method, seed).unwrap();
            let run = against_laws(&laws, &[], s.as_ref(), method, &o, &Control::default());
            run.unwrap().disagrees()
        })
        .count();
    // Bin(40, 0.2) exceeds 18 with probability 1e-4
    assert!(alarms <= 18, "{alarms}");
}

#[test]
fn disagreement_ends_a_run_early_and_only_that_does() {
    let truth = relu(5, 8);
    let mut off = truth.clone();
    off.weights = "normal:sigma_w2=3".parse().unwrap();
    let laws = laws(&off, &[1]).unwrap().unwrap();
    let (sampler, method) = sampler(&truth, Method::Auto, 3).unwrap();
    let c = against_laws(
        &laws,
        &[],
        sampler.as_ref(),
        method,
        &options(1 << 20),
        &Control::default(),
    )
    .unwrap();
    assert!(c.disagrees() && c.samples == 1024, "{}", c.samples);
    assert!(c.alpha_at_look < c.alpha / 500.0);
}

#[test]
fn a_heavy_tail_is_judged_by_a_moment_that_exists_in_the_sample() {
    let m = measured(&relu(60, 8), 3000);
    let law = gradient_law(&relu(60, 8)).unwrap().unwrap().0;
    let values = m.column(Quantity::InputGradient).unwrap();
    let c: Vec<Comparison> = compare_law("g", &law, values);
    let moment = c.iter().find(|c| c.quantity.contains("ln_moment")).unwrap();
    let s: f64 = moment.quantity.rsplit('_').next().unwrap().parse().unwrap();
    assert!(s < 0.5 && moment.p_value > 1e-4, "{moment:?}");
    // the trap: the plain mean is far below E X, beyond what its own scatter suggests
    let plain = values.iter().map(|x| x.exp()).sum::<f64>() / values.len() as f64;
    assert!(plain.ln() < law.ln_mean_square() - 1.0, "{plain}");
}

#[test]
fn draws_from_the_law_have_the_law() {
    let mut dropped = relu(6, 9);
    dropped.dropout = 0.5;
    let cases = [
        relu(30, 12),
        relu(3, 2),
        dropped,
        model(
            &[4, 9, 3],
            Activation::LeakyRelu { slope: 0.3 },
            "orthogonal",
        ),
        model(&[4, 9, 3], Activation::LeakyRelu { slope: 0.3 }, "normal"),
        model(&[9, 4, 6], Activation::Linear, "orthogonal"),
    ];
    for (i, m) in cases.iter().enumerate() {
        let law = gradient_law(m).unwrap().unwrap().0;
        let rng = &mut stream(1, i as u64, Purpose::Other(7));
        let factors = LawSampler::new(&law);
        let by_factors: Vec<f64> = (0..20_000).map(|_| factors.sample(rng)).collect();
        let mut c = compare_law("factors", &law, &by_factors);
        if i < 2 {
            let table = QuantileTable::new(&law, 201);
            assert!(table.error() < 2e-3, "{m:?}: {}", table.error());
            let by_table: Vec<f64> = (0..5000).map(|_| table.sample(rng)).collect();
            c.extend(compare_law("table", &law, &by_table));
        }
        assert!(!judge(&mut c, 1e-4), "{m:?}: {c:#?}");
    }
}

#[test]
fn models_that_cannot_be_deferred_are_drawn_whole() {
    let uniform = model(&[5, 5], Activation::Relu, "kaiming_uniform");
    assert_eq!(
        sampler(&uniform, Method::Auto, 0).unwrap().1,
        Method::Matrices
    );
    assert_eq!(
        sampler(&relu(2, 4), Method::Auto, 0).unwrap().1,
        Method::Deferred
    );
    assert!(sampler(&uniform, Method::Deferred, 0).is_err());
}

/// Asymptotic predictions hold to their order, and one that is off does not.
#[test]
fn asymptotic_predictions_are_held_to_their_order() {
    let mut residual = model(&[6, 6, 6], Activation::Relu, "kaiming_normal");
    residual.residual = Some("0.5".parse().unwrap());
    let mut rms = model(&[12, 12, 12, 12], Activation::Tanh, "normal:sigma_w2=1");
    rms.normalization = "rms".parse().unwrap();
    for m in [
        model(&[24, 24, 24, 24], Activation::Tanh, "normal:sigma_w2=1.5"),
        model(&[16, 16, 16], Activation::Relu, "kaiming_uniform"),
        residual,
        rms,
    ] {
        let c = check(&m, &options(2500), &Control::default()).unwrap();
        assert!(!c.disagrees(), "{m:?}: {:#?}", c.worst());
        assert!(c.comparisons.iter().any(|c| !c.p_value.is_nan()), "{m:?}");
    }
}

/// The grid at a size for every day; `isometer check --suite --samples 100000` is the large one.
#[test]
fn the_grid_agrees_in_a_small_version() {
    let cases = grid();
    for case in &cases {
        assert!(case.model.validate().is_ok(), "{}", case.name);
    }
    let suite = run_suite(&cases, &options(1000), &Control::default()).unwrap();
    let bad: Vec<_> = suite
        .outcomes
        .iter()
        .filter(|o| o.disagrees())
        .map(|o| (o.name, o.worst()))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(suite.outcomes.len(), cases.len());
    for outcome in &suite.outcomes {
        assert!(
            outcome.worst().is_some(),
            "nothing tested: {}",
            outcome.name
        );
    }
}

/// Rank, traces and volume of explicit products; each noticed when it is off.
#[test]
fn explicit_jacobians_agree_and_notice() {
    let narrow = relu(4, 5);
    let wide = model(&[40, 40, 40], Activation::Relu, "kaiming_normal");
    let linear = model(&[6; 5], Activation::Linear, "normal:sigma_w2=1");
    let mut seen = std::collections::BTreeSet::new();
    for m in [narrow, wide, linear] {
        let mut prediction = predict(&m, &Default::default()).unwrap();
        let run = |p: &Prediction| jacobian::compare(&m, p, 8000, 9, &Control::default());
        let mut c = run(&prediction);
        assert!(!judge(&mut c, 1e-3), "{m:?}: {c:#?}");
        seen.extend(c.iter().map(|c| c.quantity.clone()));
        let j = &mut prediction.jacobian;
        j.expected_rank = j.expected_rank.map(|r| (r - 0.5).max(1.0));
        j.ln_expected_trace = j.ln_expected_trace.map(|t| t + 0.2);
        j.ln_expected_trace_of_square = j.ln_expected_trace_of_square.map(|t| t - 0.3);
        j.log2_lyapunov.iter_mut().for_each(|x| *x += 0.1);
        let mut wrong = run(&prediction);
        assert!(judge(&mut wrong, 1e-3));
        for c in wrong {
            assert!(c.p_value < 1e-4, "{m:?}: {c:?}");
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}
