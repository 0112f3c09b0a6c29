//! Networks of convolutions against their matrices.

use super::*;
use crate::bounds::Bound;
use crate::bounds::overview::{Activated, OverviewOptions};
use crate::linalg::convolution::{Layout, Padding};
use crate::linalg::norms;
use crate::network::activation::Activation;

fn kernel(outputs: usize, inputs: usize, side: usize, seed: usize) -> Kernel {
    let data: Vec<f64> = (0..outputs * inputs * side * side)
        .map(|k| ((k * k * (seed + 2) + 3 * k + seed) % 17) as f64 - 7.5)
        .collect();
    let view = MatrixRef::row_major(&data, outputs, inputs * side * side).unwrap();
    let shape = [outputs, inputs, side, side];
    Kernel::new(&view, &shape, Layout::OutputsFirst, 1).unwrap()
}

fn on(size: usize, padding: Padding, stride: usize) -> Geometry {
    Geometry {
        padding,
        stride: [stride, stride],
        ..Geometry::torus(size, size)
    }
}

fn options() -> OverviewOptions {
    OverviewOptions {
        points: 6,
        ..OverviewOptions::default()
    }
}

/// The norm of the product of the layers' matrices.
fn truth(maps: &FeatureMaps) -> f64 {
    let mut layers = maps.explicit().unwrap().into_iter();
    let (mut product, mut exponent) = layers.next().unwrap();
    for (m, e) in layers {
        product = dense::product(m.as_ref(), product.as_ref());
        exponent += e;
    }
    let norm = norms::two(&MatrixRef::from_faer(product.as_ref())).unwrap();
    norm.shifted(exponent).to_linear().unwrap().0
}

fn value(b: &Bound) -> f64 {
    b.value.ln().exp()
}

/// Both routes, and every bound on its side of the truth.
fn both(maps: &FeatureMaps) -> [FeatureMapOverview; 2] {
    let truth = truth(maps);
    let small = maps.overview(None, &options(), None).unwrap();
    let mut large = small.clone();
    maps.large(None, &options(), &mut large).unwrap();
    for found in [&small, &large] {
        for b in &found.overview.upper {
            assert!(value(b) >= truth * (1.0 - 1e-12), "{b:?} {truth}");
        }
        for b in &found.overview.lower {
            assert!(value(b) <= truth * (1.0 + 1e-12), "{b:?} {truth}");
        }
    }
    // the products find the norm from both sides
    assert!(large.overview.slack_log10().unwrap() < 1e-3);
    [small, large]
}

#[test]
fn zero_padded_strided_and_flattened_layers_agree_with_their_matrices() {
    let w: Vec<f64> = (0..2 * 27).map(|k| ((k * 7) % 11) as f64 - 5.0).collect();
    let dense = MatrixRef::row_major(&w, 2, 27).unwrap();
    let stored = [
        Stored::Convolution(kernel(2, 1, 3, 1), on(6, Padding::Same, 1)),
        Stored::Convolution(kernel(3, 2, 3, 2), on(0, Padding::Same, 2)),
        Stored::Dense(dense),
    ];
    let maps = FeatureMaps::new(&stored, Flattening::ChannelsFirst).unwrap();
    let sizes: Vec<_> = maps.shapes().iter().map(|s| (s.channels, s.size)).collect();
    let wanted = [(1, [6, 6]), (2, [6, 6]), (3, [3, 3]), (2, [1, 1])];
    assert_eq!(sizes, wanted);
    let [small, large] = both(&maps);
    assert_eq!(small.overview.widths, [36, 72, 27, 2]);
    assert_eq!(large.failure_probability, Some(1e-10));
    // the order of flattening moves the product, not its bounds
    let last = FeatureMaps::new(&stored, Flattening::ChannelsLast).unwrap();
    assert!((truth(&last) / truth(&maps) - 1.0).abs() > 1e-3);
}

/// Theorem: segment-norm-bound. Runs on one torus are multiplied out: with all layers in one run the bound is the
/// norm of the linear map.
#[test]
fn runs_on_a_torus_are_convolutions() {
    let stored = [
        Stored::Convolution(kernel(2, 1, 3, 1), on(5, Padding::Circular, 1)),
        Stored::Convolution(kernel(2, 2, 3, 3), on(5, Padding::Circular, 1)),
        Stored::Convolution(kernel(1, 2, 2, 4), on(5, Padding::Circular, 1)),
    ];
    let maps = FeatureMaps::new(&stored, Flattening::default()).unwrap();
    let [_, large] = both(&maps);
    let segments = large.overview.upper.iter().find(|b| b.name == "segments");
    assert!((value(segments.unwrap()) / truth(&maps) - 1.0).abs() < 1e-12);
    let product = large
        .overview
        .upper
        .iter()
        .find(|b| b.name == "product of norms");
    assert!(value(product.unwrap()) > 1.05 * truth(&maps));
}

/// With an activation both routes evaluate the same network, biases and flattening included.
#[test]
fn both_routes_evaluate_the_same_network() {
    let w: Vec<f64> = (0..3 * 32).map(|k| ((k * 5) % 13) as f64 - 6.0).collect();
    let stored = [
        Stored::Convolution(kernel(2, 1, 3, 1), on(4, Padding::Same, 1)),
        Stored::Dense(MatrixRef::row_major(&w, 3, 32).unwrap()),
    ];
    let maps = FeatureMaps::new(&stored, Flattening::ChannelsFirst).unwrap();
    let x: Vec<f64> = (0..16).map(|k| ((k * 3) % 7) as f64 - 3.0).collect();
    let biases = [Some(vec![20.0, -5.0]), None];
    let at = |maps: &FeatureMaps, biases: &[Option<Vec<f64>>], small: bool| {
        let activated = Activated {
            activation: &Activation::Relu,
            slope: SlopeRange::of(&Activation::Relu).unwrap(),
            biases,
            at: Some(&x),
        };
        let mut found = maps.overview(Some(&activated), &options(), None).unwrap();
        if !small {
            let spread = maps.spread(biases).unwrap();
            let activated = Activated {
                biases: &spread,
                ..activated
            };
            maps.large(Some(&activated), &options(), &mut found)
                .unwrap();
        }
        let lower = &found.overview.lower;
        let best = value(found.overview.upper.last().unwrap());
        for b in lower {
            assert!(value(b) <= best * (1.0 + 1e-12), "{b:?} {best}");
        }
        value(lower.iter().find(|b| b.name.contains("given")).unwrap())
    };
    let (small, large) = (at(&maps, &biases, true), at(&maps, &biases, false));
    assert!((small / large - 1.0).abs() < 1e-6, "{small} {large}");
    let without = at(&maps, &[], true);
    assert!((small / without - 1.0).abs() > 1e-3, "{small} {without}");
}

#[test]
fn a_pooled_map_leaves_the_product_of_norms() {
    let w = [1.0; 8];
    let stored = [
        Stored::Convolution(kernel(2, 1, 3, 1), on(4, Padding::Same, 1)),
        Stored::Dense(MatrixRef::row_major(&w, 4, 2).unwrap()),
    ];
    let maps = FeatureMaps::new(&stored, Flattening::default()).unwrap();
    let found = maps.overview(None, &options(), None).unwrap();
    assert_eq!((found.pooled, found.overview.lower.len()), (Some(2), 0));
    assert_eq!(
        found.overview.upper.last().unwrap().name,
        "product of norms"
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let conv = |o, i| Stored::Convolution(kernel(o, i, 3, 1), on(4, Padding::Same, 1));
    let error = |stored: &[Stored<'_>]| {
        FeatureMaps::new(stored, Flattening::default())
            .err()
            .unwrap()
            .to_string()
    };
    assert!(error(&[conv(2, 1), conv(2, 3)]).contains("takes 3 channels, but layer 1 gives 2"));
    let w = [1.0; 33];
    let odd = Stored::Dense(MatrixRef::row_major(&w, 1, 33).unwrap());
    assert!(error(&[conv(2, 1), odd.clone()]).contains("takes 33 inputs"));
    assert!(error(&[odd, conv(1, 1)]).contains("layer 1 is dense"));
    let large = Stored::Convolution(kernel(1, 1, 3, 1), on(2, Padding::Zeros(0), 1));
    assert!(error(&[large]).contains("on 2 x 2"));
    assert!(error(&[]).contains("at least one layer"));
    let nan = [f64::NAN];
    let bad = Stored::Dense(MatrixRef::row_major(&nan, 1, 1).unwrap());
    let one = [1.0];
    let good = Stored::Dense(MatrixRef::row_major(&one, 1, 1).unwrap());
    assert!(error(&[good, bad]).contains("layer 2"));
}
