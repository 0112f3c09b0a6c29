//! Bounds of `isometer::bounds` against independently computed values.

use isometer::bounds::chain::Chain;
use isometer::bounds::lipschitz::{LipschitzOptions, lipschitz};
use isometer::bounds::slope::SlopeRange;
use isometer::linalg::view::MatrixRef;

/// The weights of `tests/data/lipschitz/lipsdp.py`.
fn weight(rows: usize, cols: usize, k: usize) -> Vec<f64> {
    let scale = 2f64.powi(-((cols as f64).log2() / 2.0 + 0.5).floor() as i32);
    let entry = |i: usize, j: usize| {
        let r = ((i * i + 3) * (2 * j + 5) * (k + 2) + 7 * i + k * j * j) % 31;
        (r as f64 - 15.0) / 16.0 * scale
    };
    (0..rows * cols)
        .map(|e| entry(e / cols, e % cols))
        .collect()
}

/// Theorem: diagonal-lipschitz-certificate. The certified bound is never below the optimum of the semidefinite
/// program over the same certificates, and within 1% of it.
#[test]
fn descent_reaches_the_optimum_of_the_semidefinite_program() {
    let table = include_str!("data/lipschitz/optima.csv");
    let mut seen = 0;
    for line in table.lines().skip(2) {
        let cells: Vec<&str> = line.split(',').collect();
        let widths: Vec<usize> = cells[0].split(' ').map(|w| w.parse().unwrap()).collect();
        let number = |i: usize| cells[i].parse::<f64>().unwrap();
        let layers: Vec<Vec<f64>> = widths
            .windows(2)
            .enumerate()
            .map(|(k, w)| weight(w[1], w[0], k + 1))
            .collect();
        let views: Vec<MatrixRef<'_>> = layers
            .iter()
            .zip(widths.windows(2))
            .map(|(x, w)| MatrixRef::row_major(x, w[1], w[0]).unwrap())
            .collect();
        let chain = Chain::new(&views, SlopeRange::new(number(1), number(2)).unwrap()).unwrap();
        let bounds = lipschitz(&chain, &LipschitzOptions::default());
        let slopes = number(2)
            .abs()
            .max(number(1).abs())
            .powi(widths.len() as i32 - 2);
        let naive = bounds.all[0].value.ln().exp();
        assert!((naive / (number(3) * slopes) - 1.0).abs() < 1e-10, "{line}");
        let excess = bounds.best.value.ln().exp() / number(4);
        assert!(excess > 1.0 - 1e-6, "{line}: {excess}");
        assert!(excess < 1.01, "{line}: {excess}");
        seen += 1;
    }
    assert_eq!(seen, 9);
}
