//! Laws of whole networks against published values and each other.

use super::tests::{law, leaky, near, relu};
use super::*;

const WIDTHS: [usize; 4] = [5, 10, 6, 12];

fn network<'a>(widths: &'a [usize], sigma_w2: &'a [f64], slopes: (f64, f64)) -> Network<'a> {
    Network {
        widths,
        sigma_w2,
        slopes,
        keep: 1.0,
        ensemble: Ensemble::Gaussian,
        symmetric_biases: false,
    }
}

#[test]
fn one_layer_values() {
    // tests/data/theory.csv
    near(
        law(relu(4), 1).mean_ln_square(),
        -0.716_572_657_498_807_7,
        1e-11,
    ); // R172
    near(
        law(relu(16), 1).mean_ln_square(),
        -0.176_397_324_407_050_25,
        1e-11,
    ); // R174
    near(
        law(relu(16), 1).var_ln_square(),
        0.419_593_394_106_779_1,
        1e-11,
    ); // R175
    near(
        law(relu(1024), 1).mean_ln_square(),
        -0.002_445_311_643_550_774,
        1e-11,
    ); // R180
    near(
        law(leaky(20, 0.01), 1).kurtosis_ratio(),
        1.249_940_011_998_200_3,
        1e-13,
    ); // R202
    near(
        law(leaky(20, 0.2), 1).kurtosis_ratio(),
        1.227_810_650_887_574,
        1e-13,
    ); // R203
    let ratio = |keep, kurtosis, u4| layer_kurtosis_ratio(20, (1.0, 0.0), keep, kurtosis, u4);
    near(ratio(1.0, 3.0, 1.0).unwrap(), 1.25, 1e-13); // R200
    near(ratio(0.8, 3.0, 0.3).unwrap(), 1.325, 1e-13); // R204
    // uniform weights seen through a coordinate vector: 1 + (5 - 2.4)/n
    near(ratio(1.0, 1.8, 1.0).unwrap(), 1.13, 1e-13);
    let dropped = Network {
        keep: 0.8,
        ..network(&[20, 20], &[2.0], (1.0, 0.0))
    };
    near(dropped.jvp().unwrap().kurtosis_ratio(), 1.325, 1e-13); // R204
    // inverted dropout keeps the mean, not the mean square
    near(dropped.jvp().unwrap().ln_mean_square(), -0.8f64.ln(), 1e-15);
}

#[test]
fn network_values() {
    let variances = [1.7; 4];
    let plain = network(&WIDTHS, &variances, (1.0, 0.0));
    let jvp = plain.jvp().unwrap();
    let norm = (jvp.ln_moment(0.5).unwrap() + jvp.ln_p_alive()).exp();
    near(norm, 0.958_544_850_175_657_6, 1e-11); // R184
    near(jvp.var_ln_square(), 3.409_316_351_205_301, 1e-11); // R187
    let biased = Network {
        symmetric_biases: true,
        ..plain
    };
    let jvp = biased.jvp().unwrap();
    near(jvp.ln_mean_square().exp(), 1.473_900_000_000_000_2, 1e-12); // R192
    near(jvp.mean_ln_square(), -0.702_751_498_239_810_4, 1e-11); // R196
    for n in [plain, biased] {
        let gradient = n.input_gradient().unwrap();
        near(gradient.ln_mean_square().exp(), 1.044_012_5, 1e-12); // R188, R198
        near(gradient.kurtosis_ratio(), 5.454_166_666_666_664, 1e-12); // R189
    }
    for l in 1..=4 {
        let g = plain.weight_gradient(l, 6.78f64.ln()).unwrap();
        let share = g.ln_mean_square().exp() / [5.0, 10.0, 6.0, 12.0][l - 1];
        near(share, 0.832_753_499_999_999_9, 1e-12); // R190
        near(g.kurtosis_ratio(), 3.895_833_333_333_331, 1e-12); // R191
        assert_eq!(
            biased.weight_gradient(l, 0.0).unwrap_err(),
            LawError::Biased
        );
    }
    assert_eq!(biased.forward().unwrap_err(), LawError::Biased);
    let alive: f64 = WIDTHS[1..]
        .iter()
        .map(|n| 1.0 - 0.5f64.powi(*n as i32))
        .product();
    near(plain.forward().unwrap().p_zero(), 1.0 - alive, 1e-15);
}

#[test]
fn rectangular_haar_layers_keep_the_mean() {
    // E|W u|^2 = sigma_w2 n_out / max(n_in, n_out), and half of it passes a ReLU
    let widths = [6, 10, 4];
    let net = Network {
        ensemble: Ensemble::Haar,
        ..network(&widths, &[2.0, 2.0, 2.0], (1.0, 0.0))
    };
    near(net.jvp().unwrap().ln_mean_square().exp(), 0.4, 1e-14);
    // back: readout 2 * 1/2; to 10 of 10: 2 * 1/2; to 6 of 10: 2 * 0.6
    near(
        net.input_gradient().unwrap().ln_mean_square().exp(),
        1.2,
        1e-14,
    );
    let middle = net.weight_gradient(2, 0.0).unwrap();
    near(middle.ln_mean_square().exp(), 1.0, 1e-14);
}

#[test]
fn weight_gradients_share_one_law() {
    // Theorem: weight-gradient-law, leaky slopes included
    let variances = [1.1, 0.6, 2.0, 0.9];
    let net = network(&WIDTHS, &variances, (1.0, -0.3));
    let first = net.weight_gradient(1, 0.4).unwrap();
    for l in 2..=4 {
        let other = net.weight_gradient(l, 0.4).unwrap();
        let shift = (WIDTHS[l - 1] as f64 / variances[l - 1]).ln() - (5.0f64 / 1.1).ln();
        near(
            other.ln_mean_square() - shift,
            first.ln_mean_square(),
            1e-14,
        );
        for p in [0.05, 0.5, 0.95] {
            let (a, b) = (other.quantile_ln_square(p), first.quantile_ln_square(p));
            assert!((a.value - shift - b.value).abs() < 1e-12 + a.error + b.error);
        }
    }
    // at the input the readout's degrees of freedom come last instead
    let input = net.input_gradient().unwrap();
    assert!((input.var_ln_square() - first.var_ln_square()).abs() > 0.1);
    assert!(matches!(
        net.weight_gradient(5, 0.0),
        Err(LawError::NoSuchLayer { layer: 5, .. })
    ));
}

#[test]
fn constants_have_steps() {
    let orthogonal = Network {
        ensemble: Ensemble::Haar,
        ..network(&[8, 8, 8], &[0.5, 2.0, 3.0], (1.0, 1.0))
    };
    let law = orthogonal.forward().unwrap();
    near(law.mean_ln_square(), 0.0, 1e-15);
    assert_eq!(law.var_ln_square(), 0.0);
    assert_eq!(law.p_zero(), 0.0);
    assert_eq!(law.cdf_ln_square(1e-9).value, 1.0);
    assert_eq!(law.cdf_ln_square(-1e-9).value, 0.0);
    near(law.quantile_ln_square(0.3).value, 0.0, 1e-15);
    near(
        orthogonal.input_gradient().unwrap().mean_ln_square(),
        3f64.ln(),
        1e-15,
    );
}

#[test]
fn nonsense_is_refused() {
    assert_eq!(ProductLaw::new(&[]).unwrap_err(), LawError::NoLayers);
    assert!(matches!(
        ProductLaw::new(&[(relu(0), 1)]),
        Err(LawError::ZeroWidth { .. })
    ));
    let ambient = Factor::Sphere {
        n: 3,
        ambient: 2,
        gate: 0.5,
        below: 0.0,
        scale: 1.0,
    };
    assert!(matches!(
        ProductLaw::new(&[(ambient, 1)]),
        Err(LawError::Ambient { .. })
    ));
    let bad = |f: &dyn Fn(&mut Network)| {
        let mut net = network(&WIDTHS, &[1.0, 1.0, 1.0, 1.0], (1.0, 0.1));
        f(&mut net);
        net.input_gradient().unwrap_err()
    };
    assert!(matches!(
        bad(&|n| n.keep = 0.9),
        LawError::LeakyDropout { .. }
    ));
    assert!(matches!(
        bad(&|n| n.keep = 0.0),
        LawError::Probability { .. }
    ));
    assert!(matches!(
        bad(&|n| n.slopes = (0.0, 0.0)),
        LawError::Slopes { .. }
    ));
    assert!(matches!(bad(&|n| n.widths = &[4]), LawError::NoLayers));
    assert!(matches!(
        bad(&|n| n.sigma_w2 = &[1.0; 3]),
        LawError::Variances { .. }
    ));
    assert!(matches!(
        bad(&|n| n.sigma_w2 = &[1.0, 1.0, -1.0, 1.0]),
        LawError::Scale { .. }
    ));
}

#[test]
fn equal_widths_do_not_gate_the_last_matrix() {
    // one width and one variance: factors with and without gates differ in the gates alone
    let (n, depth) = (6, 9);
    let widths = vec![n; depth + 1];
    let sigma_w2 = vec![2.0; depth + 1];
    let network = Network {
        widths: &widths,
        sigma_w2: &sigma_w2,
        slopes: (1.0, 0.0),
        keep: 1.0,
        ensemble: Ensemble::Gaussian,
        symmetric_biases: false,
    };
    let law = network.input_gradient().unwrap();
    let dead = 1.0 - (1.0 - 0.5f64.powi(6)).powi(9);
    assert!((law.p_zero() - dead).abs() < 1e-14);
    let kurtosis = (1.0 + 2.0 / 6.0) * (1.0 + 5.0 / 6.0f64).powi(9);
    assert!((law.kurtosis_ratio() / kurtosis - 1.0).abs() < 1e-12);
    assert!((law.ln_mean_square() - 2f64.ln()).abs() < 1e-12);
    // an element has the same chance of being zero, and 3 for 1 + 2/n
    let element = network.input_gradient_element().unwrap();
    assert!((element.p_zero() - dead).abs() < 1e-14);
    let ratio = element.kurtosis_ratio() / law.kurtosis_ratio();
    assert!((ratio - 3.0 / (1.0 + 2.0 / 6.0)).abs() < 1e-12);
    let haar = Network {
        ensemble: Ensemble::Haar,
        ..network
    };
    assert!((haar.input_gradient().unwrap().p_zero() - dead).abs() < 1e-14);
}
