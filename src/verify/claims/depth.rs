//! Depth, saturation and initialization.

use super::tools::{SEED, input, log10_input_gradient, matrix, median, network, normals};
use super::{Case, Claim, ClaimError, Evidence, Verdict};
use crate::linalg::norms;
use crate::linalg::symmetry::symmetry;
use crate::network::activation::Activation;
use crate::network::{AlphaAt, BatchSize, Normalization};
use crate::reference::{Architecture, Dense, Mlp, Scaled};
use crate::theory::gain::survey;
use crate::theory::laws::{Ensemble, Network};
use crate::theory::mean_field::LengthMap;
use crate::theory::multiplier::critical_alpha_of_gaussian_product;
use crate::theory::normalization::{Normalization as Shape, Position, growth};

pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "below-one-vanishes",
        statement: "Weights below 1 make gradients vanish and weights above 1 make them explode, as 0.01^L and 1.5^L do.",
        origin: "a chain of single units",
        verdict: Verdict::OnlyIf,
        condition: "layers have one unit; with Gaussian entries alpha N(0,1) at width n the typical threshold is exp(-(ln 2 + psi(n/2))/2), 0.5724 at n = 4, and that of the mean square 1/sqrt(n)",
        theorem: "volume-growth",
        command: "isometer alpha --depth 100 --width 4 --activation linear --sigma-w2 4",
        compute: below_one,
    },
    Claim {
        id: "deeper-is-worse",
        statement: "The deeper the network, the smaller (or larger) its gradients.",
        origin: "0.25^L for sigmoid units",
        verdict: Verdict::OnlyIf,
        condition: "chi differs from 1, or the width is finite and weights are Gaussian (typical drift -5/(2n) a layer for ReLU); orthogonal linear layers keep every gradient at any depth",
        theorem: "sign-symmetric-gates",
        command: "isometer predict --depth 50 --width 16 --activation relu",
        compute: deeper_is_worse,
    },
    Claim {
        id: "saturated-tanh-is-dead",
        statement: "In a deep tanh network with weights from N(0,1) all gradients are zero, because the units are saturated.",
        origin: "histograms of activations at -1 and 1",
        verdict: Verdict::False,
        condition: "the few units that are not saturated carry a factor of about the width: with 500 units and 10 layers gradients grow by orders of magnitude",
        theorem: "edge-parametrisation",
        command: "isometer predict --depth 10 --width 500 --activation tanh --sigma-w2 500",
        compute: saturated_tanh,
    },
    Claim {
        id: "equal-initialization-breaks",
        statement: "If all weights start equal, the model cannot learn.",
        origin: "symmetry of hidden units",
        verdict: Verdict::OnlyIf,
        condition: "there is a hidden layer: its units stay copies for ever; linear and softmax regression are convex and reach their optimum from any start",
        theorem: "equal-units-stay-equal",
        command: "isometer symmetry model.safetensors",
        compute: equal_initialization,
    },
    Claim {
        id: "zero-centred-needed",
        statement: "Gradients are well behaved only with activations that are zero-centred.",
        origin: "advice on sigmoid against tanh",
        verdict: Verdict::False,
        condition: "ReLU is not zero-centred and keeps the mean square gradient exactly at gain sqrt(2); tanh is, and at PyTorch's gain lets gradients grow by 1.21 per squared norm and layer",
        theorem: "edge-parametrisation",
        command: "isometer gain",
        compute: zero_centred,
    },
    Claim {
        id: "batch-norm-forgives-initialization",
        statement: "With batch normalization the initialization does not matter: gradients neither vanish nor explode.",
        origin: "the forward pass no longer depends on the scale of the weights",
        verdict: Verdict::False,
        condition: "at initialization batch norm with ReLU multiplies gradient norms by about 1.21 a layer, whatever alpha is: depth explodes",
        theorem: "batch-norm-growth",
        command: "isometer predict --depth 50 --width 256 --activation relu --normalization batch:64",
        compute: batch_norm_growth,
    },
    Claim {
        id: "normalization-cures-gradients",
        statement: "A normalization layer keeps gradients from growing and shrinking with depth.",
        origin: "deep normalized networks train",
        verdict: Verdict::OnlyIf,
        condition: "it is layer or RMS norm in front of ReLU in a wide network (growth exactly 1); with tanh or GELU, or with batch norm, the mean square grows at every layer",
        theorem: "layer-norm-growth",
        command: "isometer predict --depth 50 --width 256 --activation tanh --normalization layer",
        compute: normalization_cures,
    },
    Claim {
        id: "small-spectral-radius-is-safe",
        statement: "If the recurrent matrix has spectral radius below 1, gradients through time cannot explode.",
        origin: "the power method's view of W^t",
        verdict: Verdict::OnlyIf,
        condition: "W is normal (its singular values are the moduli of its eigenvalues); otherwise powers can first grow by orders of magnitude, and spectral radius rules only what is left after many steps",
        theorem: "non-normal-transient",
        command: "isometer cond recurrent.npy --spectrum",
        compute: spectral_radius,
    },
];

/// Theorem: volume-growth.
fn below_one() -> Result<Evidence, ClaimError> {
    let mut cases = Vec::new();
    for weight in [0.01f64, 1.5] {
        let after = 100.0 * weight.log10();
        cases.push(
            Case::new(
                format!("100 layers of one unit, weight {weight}"),
                (after < 0.0) == (weight < 1.0),
            )
            .with("log10_gradient", after)
            .under_condition(),
        );
    }
    for (n, alpha) in [(4usize, 0.8), (100, 0.5)] {
        let mut model = network(100, n, Activation::Linear, n as f64);
        model.alpha.value = alpha;
        let logs: Vec<f64> = (0..9)
            .map(|s| log10_input_gradient(&model, s))
            .collect::<Result<_, _>>()?;
        let typical = median(&logs);
        let (threshold, mean_square) = critical_alpha_of_gaussian_product(n);
        cases.push(
            Case::new(
                format!("100 linear layers of {n} units, entries {alpha} N(0,1), median of 9"),
                (typical < 0.0) == (alpha < 1.0),
            )
            .with("log10_gradient", typical)
            .with("typical_threshold_of_alpha", threshold)
            .with("mean_square_threshold_of_alpha", mean_square),
        );
    }
    Ok(Evidence { cases })
}

/// Theorem: sign-symmetric-gates.
fn deeper_is_worse() -> Result<Evidence, ClaimError> {
    let drift = |n: usize,
                 sigma_w2: f64,
                 slopes: (f64, f64),
                 ensemble: Ensemble|
     -> Result<(f64, f64), ClaimError> {
        let law = Network {
            widths: &[n; 2],
            sigma_w2: &[sigma_w2],
            slopes,
            keep: 1.0,
            ensemble,
            symmetric_biases: false,
        }
        .jvp()?;
        Ok((law.ln_mean_square(), law.mean_ln_square()))
    };
    let mut cases = Vec::new();
    for (name, (mean, typical), condition) in [
        (
            "ReLU, He, width 16",
            drift(16, 2.0, (1.0, 0.0), Ensemble::Gaussian)?,
            true,
        ),
        (
            "ReLU, He, width 1024",
            drift(1024, 2.0, (1.0, 0.0), Ensemble::Gaussian)?,
            true,
        ),
        (
            "ReLU, half of He's variance, width 16",
            drift(16, 1.0, (1.0, 0.0), Ensemble::Gaussian)?,
            true,
        ),
        (
            "linear, orthogonal, width 16",
            drift(16, 1.0, (1.0, 1.0), Ensemble::Haar)?,
            false,
        ),
    ] {
        let case = Case::new(
            format!("{name}: typical squared gradient changes per layer"),
            typical.abs() > 1e-9,
        )
        .with("mean_ln_square_per_layer", typical)
        .with("ln_mean_square_per_layer", mean);
        cases.push(if condition {
            case.under_condition()
        } else {
            case
        });
    }
    Ok(Evidence { cases })
}

/// Theorem: edge-parametrisation.
fn saturated_tanh() -> Result<Evidence, ClaimError> {
    let (depth, width) = (10, 500);
    let model = network(depth, width, Activation::Tanh, width as f64);
    let mlp = Mlp::draw(&model, SEED, 0)?;
    let trace = mlp.forward(&input(width));
    let last = trace.activation(depth);
    let saturated = (0..width).filter(|i| last.get(*i).abs() > 0.99).count() as f64 / width as f64;
    let gradients = trace.backward(&Scaled::new(vec![1.0]));
    let log10 = |ln_square: f64| 0.5 * ln_square / std::f64::consts::LN_10;
    let growth = log10(gradients.delta(1).ln_square()) - log10(gradients.delta(depth).ln_square());
    Ok(Evidence {
        cases: vec![
            Case::new(
                "10 layers of 500 tanh units, W from N(0,1): gradients shrink towards the input",
                growth < 0.0,
            )
            .with("share_of_units_above_0.99", saturated)
            .with("log10_growth_from_last_layer_to_first", growth),
        ],
    })
}

/// Data of a small regression: 8 points in 3 dimensions.
fn data() -> (Vec<f64>, Vec<f64>) {
    let x = normals(24, 31);
    let y = x
        .chunks(3)
        .map(|p| 2.0 * p[0] - p[1] + 0.5 * p[2])
        .collect();
    (x, y)
}

/// Descent of linear regression from equal weights; largest error of the weights at the end.
fn linear_regression() -> f64 {
    let (x, y) = data();
    let mut w = [0.1; 3];
    for _ in 0..4000 {
        let mut g = [0.0; 3];
        for (p, y) in x.chunks(3).zip(&y) {
            let error = p.iter().zip(&w).map(|(a, b)| a * b).sum::<f64>() - y;
            g.iter_mut().zip(p).for_each(|(g, p)| *g += error * p / 8.0);
        }
        w.iter_mut().zip(&g).for_each(|(w, g)| *w -= 0.1 * g);
    }
    w.iter()
        .zip([2.0, -1.0, 0.5])
        .map(|(w, t)| (w - t).abs())
        .fold(0.0, f64::max)
}

/// Descent of softmax regression with three classes from equal weights; norm of the gradient at the end.
fn softmax_regression() -> f64 {
    let (x, y) = data();
    let class = |y: f64| {
        if y < -1.0 {
            0
        } else {
            usize::from(y > 1.0) + 1
        }
    };
    let mut w = [[0.1; 3]; 3];
    let mut norm = 0.0;
    for _ in 0..4000 {
        // a little decay keeps the optimum finite
        let mut g = w.map(|row| row.map(|v| 0.1 * v));
        for (p, y) in x.chunks(3).zip(&y) {
            let scores = w.map(|row| row.iter().zip(p).map(|(a, b)| a * b).sum::<f64>().exp());
            let total: f64 = scores.iter().sum();
            for (k, (row, score)) in g.iter_mut().zip(scores).enumerate() {
                let error = score / total - f64::from(u8::from(k == class(*y)));
                row.iter_mut()
                    .zip(p)
                    .for_each(|(g, p)| *g += error * p / 8.0);
            }
        }
        for (row, g) in w.iter_mut().zip(&g) {
            row.iter_mut().zip(g).for_each(|(w, g)| *w -= 0.5 * g);
        }
        norm = g.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
    }
    norm
}

/// A hidden layer of four tanh units after steps of descent from constant weights: how many are copies.
fn copies_after_training(constant: bool) -> Result<usize, ClaimError> {
    let (x, y) = data();
    let start = |count: usize, purpose: u32| match constant {
        true => vec![0.3; count],
        false => normals(count, purpose),
    };
    let mut layers = vec![
        Dense::new(4, 3, start(12, 32)),
        Dense::new(1, 4, start(4, 33)),
    ];
    for _ in 0..50 {
        let mlp = Mlp::from_layers(layers.clone(), Architecture::new(Activation::Tanh))?;
        for (p, y) in x.chunks(3).zip(&y) {
            let trace = mlp.forward(&Scaled::new(p.to_vec()));
            let error = trace.output().get(0) - y;
            let gradients = trace.backward(&Scaled::new(vec![error / 8.0]));
            for (l, layer) in layers.iter_mut().enumerate() {
                let g = gradients.weight(l + 1).to_vec();
                layer
                    .weights
                    .iter_mut()
                    .zip(g)
                    .for_each(|(w, g)| *w -= 0.05 * g);
            }
        }
    }
    let found = symmetry(&matrix(&layers[0].weights, 4, 3)?, None, 0.0)?;
    Ok(found.copies.len())
}

/// Theorem: equal-units-stay-equal.
fn equal_initialization() -> Result<Evidence, ClaimError> {
    let (linear, softmax) = (linear_regression(), softmax_regression());
    let (tied, free) = (copies_after_training(true)?, copies_after_training(false)?);
    Ok(Evidence {
        cases: vec![
            // 4000 steps leave the slowest of three directions far below this
            Case::new("linear regression from equal weights misses the optimum", linear > 1e-6).with("largest_error_of_a_weight", linear),
            Case::new("softmax regression from equal weights misses the optimum", softmax > 1e-6).with("gradient_norm_at_the_end", softmax),
            Case::new("four tanh units from equal weights are still copies after 50 passes, as those from random weights are not", tied == 3 && free == 0)
                .with("copies_from_equal_weights", tied as f64)
                .with("copies_from_random_weights", free as f64)
                .under_condition(),
        ],
    })
}

/// Theorem: edge-parametrisation.
fn zero_centred() -> Result<Evidence, ClaimError> {
    let mut cases = Vec::new();
    for (row, centred) in survey(&[Activation::Relu, Activation::Tanh], 1.0)?
        .iter()
        .zip([false, true])
    {
        let chi = row
            .gains
            .torch
            .and_then(|t| t.chi_1)
            .map_or(f64::INFINITY, |c| c.value);
        let well = (chi - 1.0).abs() < 1e-9;
        let case = Case::new(
            format!("{} at PyTorch's gain", row.activation),
            well == centred,
        );
        cases.push(case.with("growth_of_squared_gradients_per_layer", chi));
    }
    Ok(Evidence { cases })
}

/// Theorem: batch-norm-growth.
fn batch_norm_growth() -> Result<Evidence, ClaimError> {
    const BATCH: usize = 32;
    let (depth, width) = (12, 100);
    let map = LengthMap::new(Activation::Relu, 2.0, 0.0)?;
    let theory = growth(&map, Shape::Batch(Some(BATCH)), Position::Before)?
        .value
        .sqrt();
    let mut model = network(depth, width, Activation::Relu, 2.0);
    model.normalization = Normalization::Batch {
        size: BatchSize::Finite(BATCH),
    };
    let inputs: Vec<Scaled> = normals(BATCH * width, 34)
        .chunks(width)
        .map(|x| Scaled::new(x.to_vec()))
        .collect();
    let cotangents: Vec<Scaled> = normals(BATCH, 35)
        .into_iter()
        .map(|c| Scaled::new(vec![c]))
        .collect();
    let mut cases = Vec::new();
    for alpha in [0.01, 1.0, 100.0] {
        model.alpha.value = alpha;
        model.alpha.at = AlphaAt::Weights;
        let mlp = Mlp::draw(&model, SEED, 0)?;
        let trace = mlp.forward_batch(&inputs);
        let gradients = trace.backward_batch(&cotangents);
        let total = |l: usize| {
            gradients
                .deltas(l)
                .iter()
                .map(|d| d.ln_square().exp())
                .sum::<f64>()
                .ln()
        };
        // the gradient of pre-activations from layer 2 to the last but one, where alpha cancels; it enters each as 1/alpha
        let layers = (depth - 3) as f64;
        let per_layer = ((total(2) - total(depth - 1)) / (2.0 * layers)).exp();
        cases.push(
            Case::new(
                format!("ReLU, {depth} layers of {width}, batches of {BATCH}, alpha {alpha}"),
                (per_layer - 1.0).abs() < 0.02,
            )
            .with("growth_of_gradient_norms_per_layer", per_layer)
            .with("predicted_growth", theory),
        );
    }
    Ok(Evidence { cases })
}

/// Theorems: layer-norm-growth, batch-norm-growth.
fn normalization_cures() -> Result<Evidence, ClaimError> {
    let mut cases = Vec::new();
    for (name, activation, shape) in [
        ("layer norm, ReLU", Activation::Relu, Shape::Layer),
        ("RMS norm, ReLU", Activation::Relu, Shape::Rms),
        ("layer norm, tanh", Activation::Tanh, Shape::Layer),
        ("RMS norm, GELU", Activation::Gelu, Shape::Rms),
        ("batch norm, ReLU", Activation::Relu, Shape::Batch(None)),
    ] {
        let condition = activation == Activation::Relu && shape != Shape::Batch(None);
        let map = LengthMap::new(activation, 2.0, 0.0)?;
        let rate = growth(&map, shape, Position::Before)?;
        let case = Case::new(name, (rate.value - 1.0).abs() <= 1e-9 + rate.error)
            .with("growth_of_squared_gradients_per_layer", rate.value);
        cases.push(if condition {
            case.under_condition()
        } else {
            case
        });
    }
    Ok(Evidence { cases })
}

/// Largest `log10` of the norm of a power up to 60.
fn largest_power(w: [f64; 4]) -> Result<(f64, f64), ClaimError> {
    let mut power = w.to_vec();
    let (mut top, mut at) = (f64::NEG_INFINITY, 0.0);
    for k in 1..=60 {
        let norm = norms::two(&matrix(&power, 2, 2)?)?.value().log10();
        if norm > top {
            (top, at) = (norm, f64::from(k));
        }
        power = super::tools::times(&power, &w, 2);
    }
    Ok((top, at))
}

/// Theorem: non-normal-transient.
fn spectral_radius() -> Result<Evidence, ClaimError> {
    let mut cases = Vec::new();
    for (name, w, normal) in [
        ("[[0.9, 0], [0, 0.5]], normal", [0.9, 0.0, 0.0, 0.5], true),
        (
            "0.9 times a rotation, normal",
            [0.54, -0.72, 0.72, 0.54],
            true,
        ),
        (
            "[[0.9, 50], [0, 0.9]], not normal",
            [0.9, 50.0, 0.0, 0.9],
            false,
        ),
    ] {
        let (top, at) = largest_power(w)?;
        let case = Case::new(format!("{name}: no power of W exceeds norm 1"), top <= 0.0)
            .with("spectral_radius", 0.9)
            .with("log10_of_the_largest_norm", top)
            .with("after_steps", at);
        cases.push(if normal { case.under_condition() } else { case });
    }
    Ok(Evidence { cases })
}
