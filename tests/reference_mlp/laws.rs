//! Drawn weights against the laws they are drawn from. Deviations are counted in standard errors; five
//! happen by chance once in two million.

use isometer::network::activation::Activation;
use isometer::network::{Layer, Model, Normalization, WeightKind};
use isometer::reference::{DrawError, Mlp};

const SIGMAS: f64 = 5.0;

fn model(widths: &[usize], init: &str) -> Model {
    let mut model = Model::new(widths.to_vec(), Activation::Tanh);
    model.weights = init.parse().unwrap();
    model
}

/// Entries of layer 1 of many samples.
fn entries(model: &Model, samples: u64) -> Vec<f64> {
    let each = |s| Mlp::draw(model, 1, s).unwrap().layer(1).weights.clone();
    (0..samples).flat_map(each).collect()
}

/// First, second and fourth moments about 0 of independent entries.
fn moments_agree(init: &str, layer: &Layer, drawn: &[f64], factor: f64) {
    let n = drawn.len() as f64;
    let average = |power: i32| drawn.iter().map(|w| w.powi(power)).sum::<f64>() / n;
    let mean = layer.weight.mean;
    let square = layer.entry_variance() + mean * mean;
    let kurtosis = layer.kurtosis();
    let first = (average(1) - mean).abs() / (layer.entry_variance() / n).sqrt();
    let second = (average(2) - factor * square).abs() / (square * ((kurtosis - 1.0) / n).sqrt());
    // the variance of w^4 from the sample
    let spread = (average(8) - average(4).powi(2)).sqrt() / n.sqrt();
    let fourth = (average(4) - kurtosis * square * square).abs() / spread;
    assert!(
        first < SIGMAS,
        "{init}: mean off by {first} standard errors"
    );
    assert!(
        fourth < SIGMAS,
        "{init}: fourth moment off by {fourth} standard errors"
    );
    assert_eq!(
        second < SIGMAS,
        factor == 1.0,
        "{init}: mean square off by {second} standard errors"
    );
}

#[test]
fn moments_are_those_of_the_law() {
    for init in [
        "kaiming_normal",
        "xavier_uniform",
        "torch:linear",
        "keras:dense",
        "normal:mean=0.3,std=0.1",
        "uniform:a=-0.5,b=1",
        "trunc_normal:std=0.5,a=-1,b=1",
        "trunc_normal:mean=1,std=0.5,a=0,b=1.2",
        "trunc_normal:a=1,b=40",
        "truncated_normal",
        "lecun_normal",
        "sparse:sparsity=0.3",
        "variance_scaling:scale=3,mode=fan_out",
    ] {
        let m = model(&[40, 25], init);
        let drawn = entries(&m, 60);
        moments_agree(init, &m.layer(1), &drawn, 1.0);
        // noticed: a variance off by 8 percent
        if m.layer(1).weight.mean == 0.0 {
            moments_agree(init, &m.layer(1), &drawn, 1.08);
        }
        let limits = match m.layer(1).weight.kind {
            WeightKind::Uniform => Some((3.0 * m.layer(1).entry_variance()).sqrt()),
            _ => None,
        };
        if let Some(half) = limits {
            let mean = m.layer(1).weight.mean;
            assert!(
                drawn
                    .iter()
                    .all(|w| (w - mean).abs() <= half * (1.0 + 1e-15))
            );
            assert!(drawn.iter().any(|w| (w - mean).abs() > 0.999 * half));
        }
    }
}

#[test]
fn limits_are_kept() {
    let drawn = entries(
        &model(&[40, 25], "trunc_normal:mean=1,std=0.5,a=0,b=1.2"),
        5,
    );
    assert!(drawn.iter().all(|w| (-1e-14..=1.2 + 1e-14).contains(w)));
    assert!(drawn.iter().any(|w| *w > 1.19) && drawn.iter().any(|w| *w < 0.1));
    // a negative multiplier mirrors
    let mut m = model(&[40, 25], "trunc_normal:a=-1,b=2");
    m.alpha.value = -1.0;
    let drawn = entries(&m, 5);
    assert!(
        drawn
            .iter()
            .all(|w| (-2.0 - 1e-14..=1.0 + 1e-14).contains(w))
    );
    moments_agree("mirrored", &m.layer(1), &drawn, 1.0);
}

/// PyTorch's `sparse_`: in each column `ceil(sparsity rows)` zeros, at places that differ.
#[test]
fn sparse_columns_have_equally_many_zeros() {
    for (rows, sparsity, zeros) in [(10, 0.1, 1), (25, 0.3, 8), (7, 0.5, 4)] {
        let m = model(&[60, rows], &format!("sparse:sparsity={sparsity},std=1"));
        let mlp = Mlp::draw(&m, 2, 0).unwrap();
        let w = &mlp.layer(1).weights;
        let mut per_row = vec![0; rows];
        for j in 0..60 {
            let empty: Vec<usize> = (0..rows).filter(|i| w[i * 60 + j] == 0.0).collect();
            assert_eq!(empty.len(), zeros);
            empty.iter().for_each(|i| per_row[*i] += 1);
        }
        // a row is empty in a column with probability p
        let p = zeros as f64 / rows as f64;
        let bound = SIGMAS * (60.0 * p * (1.0 - p)).sqrt();
        assert!(
            per_row
                .iter()
                .all(|k| (f64::from(*k) - 60.0 * p).abs() < bound)
        );
        let variance = w.iter().map(|w| w * w).sum::<f64>() / ((rows - zeros) * 60) as f64;
        let error = (2.0 / ((rows - zeros) * 60) as f64).sqrt();
        assert!((variance - 1.0).abs() < SIGMAS * error);
    }
}

/// Theorem: haar-by-qr. `W W^T` or `W^T W`, whichever is smaller, is the identity times the squared singular value.
#[test]
fn orthogonal_weights_are_orthogonal() {
    for widths in [[30, 30], [30, 12], [12, 30], [1, 5], [5, 1]] {
        let m = model(&widths, "orthogonal:gain=1.7");
        let mlp = Mlp::draw(&m, 3, 0).unwrap();
        let (rows, cols) = (widths[1], widths[0]);
        let w = |i: usize, j: usize| mlp.layer(1).weights[i * cols + j];
        let short = rows.min(cols);
        for a in 0..short {
            for b in 0..short {
                let dot: f64 = match rows <= cols {
                    true => (0..cols).map(|j| w(a, j) * w(b, j)).sum(),
                    false => (0..rows).map(|i| w(i, a) * w(i, b)).sum(),
                };
                let truth = if a == b { 1.7 * 1.7 } else { 0.0 };
                // Householder QR: a small multiple of the order times the unit roundoff
                assert!(
                    (dot - truth).abs() < 30.0 * 2.9 * 10.0 * f64::EPSILON,
                    "{widths:?}"
                );
            }
        }
        assert!(
            (mlp.layer(1).weights.iter().map(|w| w * w).sum::<f64>() - short as f64 * 2.89).abs()
                < 1e-12
        );
    }
}

/// Theorem: haar-by-qr. Second moments of Haar measure on O(n) in pairs of entries (Collins and Sniady 2006): with
/// `d = (n - 1) n (n + 2)`, `E q11^4 = 3/(n(n+2))`, `E q11^2 q12^2 = 1/(n(n+2))`, `E q11^2 q22^2 = (n+1)/d`,
/// `E q11 q12 q21 q22 = -1/d`. Without the sign correction of QR, `E q11` is not 0.
#[test]
fn orthogonal_weights_are_haar_distributed() {
    let n = 4;
    let m = model(&vec![n; 3001], "orthogonal");
    let mlp = Mlp::draw(&m, 4, 0).unwrap();
    let nf = n as f64;
    let d = (nf - 1.0) * nf * (nf + 2.0);
    type Function = fn(&[f64]) -> f64;
    let rules: [(Function, f64); 7] = [
        (|q| q[0], 0.0),
        (|q| q[15], 0.0),
        (|q| q[0] * q[5], 0.0),
        (|q| q[0].powi(4), 3.0 / (nf * (nf + 2.0))),
        (|q| (q[0] * q[1]).powi(2), 1.0 / (nf * (nf + 2.0))),
        (|q| (q[0] * q[5]).powi(2), (nf + 1.0) / d),
        (|q| q[0] * q[1] * q[4] * q[5], -1.0 / d),
    ];
    for (k, (of, truth)) in rules.into_iter().enumerate() {
        let values: Vec<f64> = (1..=3000).map(|l| of(&mlp.layer(l).weights)).collect();
        let mean = values.iter().sum::<f64>() / 3000.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 2999.0;
        let off = (mean - truth).abs() / (variance / 3000.0).sqrt();
        assert!(off < SIGMAS, "rule {k}: {off} standard errors");
    }
    // determinants of both signs
    let negative = (1..=3000).filter(|l| {
        nalgebra::DMatrix::from_row_slice(n, n, &mlp.layer(*l).weights).determinant() < 0.0
    });
    let off = (negative.count() as f64 - 1500.0).abs() / 750f64.sqrt();
    assert!(off < SIGMAS, "{off}");
}

#[test]
fn weights_without_randomness() {
    let w = |widths: &[usize], init| {
        Mlp::draw(&model(widths, init), 0, 0)
            .unwrap()
            .layer(1)
            .weights
            .clone()
    };
    assert_eq!(w(&[3, 2], "identity"), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(w(&[2, 2], "constant:value=-0.3"), [-0.3; 4]);
    assert_eq!(w(&[2, 2], "zeros"), [0.0; 4]);
    let mut m = model(&[2, 2], "identity");
    m.alpha.value = -2.0;
    assert_eq!(
        Mlp::draw(&m, 0, 0).unwrap().layer(1).weights,
        [-2.0, 0.0, 0.0, -2.0]
    );
}

#[test]
fn biases_have_their_law() {
    for (bias, variance, kurtosis) in [
        ("gaussian:0.25", 0.25, 3.0),
        ("uniform:0.6", 0.12, 1.8),
        ("torch:linear", 1.0 / 9.0, 1.8),
    ] {
        let mut m = model(&[3, 2000], "normal");
        m.bias = bias.parse().unwrap();
        let mlp = Mlp::draw(&m, 6, 0).unwrap();
        let b = mlp.layer(1).bias.as_ref().unwrap();
        let (mean, square) = (
            b.iter().sum::<f64>() / 2e3,
            b.iter().map(|b| b * b).sum::<f64>() / 2e3,
        );
        let kurtosis: f64 = kurtosis;
        assert!(mean.abs() < SIGMAS * (variance / 2e3f64).sqrt(), "{bias}");
        assert!(
            (square / variance - 1.0).abs() < SIGMAS * ((kurtosis - 1.0) / 2e3).sqrt(),
            "{bias}"
        );
    }
    let mut m = model(&[3, 4], "normal");
    m.bias = "constant:-0.5".parse().unwrap();
    assert_eq!(
        Mlp::draw(&m, 6, 0).unwrap().layer(1).bias,
        Some(vec![-0.5; 4])
    );
    m.bias = "none".parse().unwrap();
    assert_eq!(Mlp::draw(&m, 6, 0).unwrap().layer(1).bias, None);
}

#[test]
fn dropout_keeps_its_share() {
    let mut m = model(&[10, 4000, 10], "normal");
    m.dropout = 0.3;
    let mlp = Mlp::draw(&m, 7, 0).unwrap();
    let factors = mlp.dropout(1).unwrap();
    assert_eq!(factors.len(), 4000);
    assert!(factors.iter().all(|f| *f == 0.0 || *f == 1.0 / 0.7));
    let kept = factors.iter().filter(|f| **f > 0.0).count() as f64;
    assert!((kept - 2800.0).abs() < SIGMAS * (4000.0f64 * 0.21).sqrt());
    assert!(mlp.dropout(3).is_none());
    // examples of a batch drop different units
    m.normalization = "batch:8".parse().unwrap();
    let mlp = Mlp::draw(&m, 7, 0).unwrap();
    assert_eq!(mlp.dropout(1).unwrap().len(), 8 * 4000);
    m.dropout = 0.0;
    assert!(Mlp::draw(&m, 7, 0).unwrap().dropout(1).is_none());
}

#[test]
fn tied_layers_are_one() {
    let mut m = model(&[5; 11], "orthogonal");
    m.tied = true;
    m.bias = "gaussian:0.1".parse().unwrap();
    let mlp = Mlp::draw(&m, 8, 0).unwrap();
    assert!(mlp.tied() && mlp.depth() == 10);
    assert_eq!(mlp.layer(1), mlp.layer(10));
    assert_eq!((mlp.width(10), mlp.width(11)), (5, 1));
    // a depth of 1 has one layer and a readout, tied or not
    m.widths = vec![5; 2];
    assert!(Mlp::draw(&m, 8, 0).is_ok());
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let mut m = model(&[5, 5], "normal");
    m.normalization = "batch:inf".parse::<Normalization>().unwrap();
    assert_eq!(Mlp::draw(&m, 0, 0).unwrap_err(), DrawError::InfiniteBatch);
    m.normalization = Normalization::None;
    m.widths = vec![5, 1_000_000, 1_000_000];
    let message = Mlp::draw(&m, 0, 0).unwrap_err().to_string();
    assert!(message.contains("1000006000000"), "{message}");
    m.widths = vec![5, 5];
    m.weights = "constant:value=1e300".parse().unwrap();
    let message = Mlp::draw(&m, 0, 0).unwrap_err().to_string();
    assert!(message.contains("1e300"), "{message}");
    m.widths = vec![5];
    assert!(matches!(Mlp::draw(&m, 0, 0), Err(DrawError::Model(_))));
}
