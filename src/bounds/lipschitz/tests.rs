use super::*;
use crate::bounds::slope::SlopeRange;
use crate::linalg::view::MatrixRef;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

/// Gaussian layers of the widths, `sqrt(2 / fan_in)`, row-major.
fn layers(widths: &[usize], seed: u64) -> Vec<(Vec<f64>, usize, usize)> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    widths
        .windows(2)
        .map(|w| {
            let scale = (2.0 / w[0] as f64).sqrt();
            let entries = (0..w[0] * w[1])
                .map(|_| scale * rng.sample::<f64, _>(StandardNormal))
                .collect();
            (entries, w[1], w[0])
        })
        .collect()
}

fn chain(layers: &[(Vec<f64>, usize, usize)], slope: (f64, f64)) -> Chain {
    let views: Vec<MatrixRef<'_>> = layers
        .iter()
        .map(|(x, r, c)| MatrixRef::row_major(x, *r, *c).unwrap())
        .collect();
    Chain::new(&views, SlopeRange::new(slope.0, slope.1).unwrap()).unwrap()
}

fn named(bounds: &LipschitzBounds, name: &str) -> f64 {
    bounds
        .all
        .iter()
        .find(|b| b.name == name)
        .unwrap()
        .value
        .ln()
}

#[test]
fn the_gradient_is_that_of_the_objective() {
    for slope in [(0.0, 1.0), (-0.13, 1.13), (0.1, 1.0), (-1.0, 1.0)] {
        let drawn = layers(&[5, 7, 6, 4, 3], 3);
        let chain = chain(&drawn, slope);
        let mut objective = Objective::new(&chain);
        objective.barrier = if slope.0 < 0.0 { 0.01 } else { 0.0 };
        let m2 = objective.middle_square();
        let mut theta = objective.start(|k| closed_form(k, m2, true)).unwrap();
        for (i, t) in theta.iter_mut().flatten().enumerate() {
            *t -= 0.3 + 0.01 * i as f64;
        }
        let state = objective.at(&theta).unwrap();
        let gradient = objective.gradient(&state);
        for k in 0..theta.len() {
            for i in 0..theta[k].len() {
                let h = 1e-5;
                let mut at = |d: f64| {
                    theta[k][i] += d;
                    let value = objective.at(&theta).unwrap().value;
                    theta[k][i] -= d;
                    value
                };
                let difference = (at(h) - at(-h)) / (2.0 * h);
                assert!(
                    (difference - gradient[k][i]).abs() < 1e-7,
                    "{slope:?} {k} {i}: {difference} {}",
                    gradient[k][i]
                );
            }
        }
    }
}

#[test]
fn tighter_kinds_are_tighter() {
    for (widths, factor) in [
        (vec![32, 32, 32], 1.1),
        (vec![32; 6], 1.4),
        (vec![32; 21], 10.0),
    ] {
        let chain = chain(&layers(&widths, 1), (0.0, 1.0));
        let b = lipschitz(&chain, &LipschitzOptions::default());
        let gain = named(&b, "ECLipsE-Fast") - named(&b, "diagonal certificate");
        assert!(gain > f64::ln(factor), "{widths:?}: {}", gain.exp());
        assert!(named(&b, "product of norms") > named(&b, "ECLipsE-Fast"));
    }
}

/// With a single output the search runs into the boundary, where nothing can be proved; it must come back as far
/// as it takes, and never be worse than where it started.
#[test]
fn a_search_that_ends_on_the_boundary_comes_back() {
    let mut widths = vec![16; 11];
    widths.push(1);
    for seed in 0..2 {
        let chain = chain(&layers(&widths, seed), (0.0, 1.0));
        let bounds = lipschitz(&chain, &LipschitzOptions::default());
        let closed = named(&bounds, "ECLipsE-Fast").min(named(&bounds, "diagonal closed form"));
        assert!(
            named(&bounds, "diagonal certificate") < closed,
            "{bounds:?}"
        );
    }
}
