//! `bounds` and `linalg::convolution`: times (median of some runs, on all cores) and how much tighter than the product of
//! norms the bounds are. `cargo bench --bench bounds`; names equal module paths.

use isometer::bounds::chain::Chain;
use isometer::bounds::lipschitz::{LipschitzOptions, lipschitz};
use isometer::bounds::overview::{Activated, OverviewOptions, overview};
use isometer::bounds::slope::SlopeRange;
use isometer::linalg::convolution::{Convolution, Geometry, Kernel, Layout};
use isometer::linalg::norms;
use isometer::linalg::product::{GaussianChain, Layer, LayerSource};
use isometer::linalg::view::MatrixRef;
use isometer::network::activation::Activation;
use std::hint::black_box;
use std::time::Instant;

/// Median seconds of a computation.
fn timed<T>(name: &str, runs: usize, mut f: impl FnMut() -> T) -> T {
    let mut seconds = Vec::with_capacity(runs);
    let mut last = None;
    for _ in 0..runs {
        let start = Instant::now();
        last = Some(black_box(f()));
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    println!("{name:<64} {:>9.4} s", seconds[runs / 2]);
    last.expect("at least one run")
}

fn gaussian(depth: usize, width: usize, alpha: f64, seed: u64) -> Vec<Layer> {
    let mut chain = GaussianChain {
        depth,
        width,
        alpha,
        seed,
    };
    (0..depth)
        .map(|k| {
            let mut layer = Layer::new();
            chain.read(k, &mut layer).expect("a layer of the chain");
            layer
        })
        .collect()
}

fn views(layers: &[Layer]) -> Vec<MatrixRef<'_>> {
    layers
        .iter()
        .map(|l| MatrixRef::col_major(l.entries(), l.rows(), l.cols()).expect("a matrix"))
        .collect()
}

/// A kernel with entries N(0, scale^2), `side x side`.
fn kernel(channels: usize, side: usize, scale: f64, seed: u64) -> Kernel {
    let n = channels * side;
    let layer = &gaussian(1, n, scale, seed)[0];
    let entries = &layer.entries()[..channels * channels * side * side];
    let view = MatrixRef::row_major(entries, channels, channels * side * side).expect("a matrix");
    let shape = [channels, channels, side, side];
    Kernel::new(&view, &shape, Layout::OutputsFirst, 1).expect("a kernel")
}

/// Whole report: every bound of a network of He-initialized ReLU layers.
fn overviews() {
    for (depth, width) in [(20, 32), (20, 128)] {
        let layers = gaussian(depth, width, (2.0 / width as f64).sqrt(), 0);
        let activated = Activated {
            activation: &Activation::Relu,
            slope: SlopeRange::of(&Activation::Relu).expect("a sector"),
            biases: &[],
            at: None,
        };
        let name = format!("bounds::overview/relu/{depth}x{width}");
        let found = timed(&name, 1, || {
            overview(
                &views(&layers),
                Some(&activated),
                &OverviewOptions::default(),
            )
        })
        .expect("bounds");
        for b in found.upper.iter().chain(&found.lower) {
            println!("    {:<34} log10 {:>9.4}", b.name, b.value.log10());
        }
    }
}

/// How many times tighter than the product of norms, mean of the logarithm over ten networks.
fn ratios() {
    for depth in [2, 20] {
        let mut gains: Vec<(&'static str, f64)> = Vec::new();
        for seed in 0..10 {
            let layers = gaussian(depth, 32, (2.0f64 / 32.0).sqrt(), seed);
            let slope = SlopeRange::of(&Activation::Relu).expect("a sector");
            let chain = Chain::new(&views(&layers), slope).expect("a chain");
            let bounds = lipschitz(&chain, &LipschitzOptions::default()).all;
            let plain = bounds[0].value.ln();
            for (k, b) in bounds.iter().enumerate() {
                let gain = (plain - b.value.ln()) / 10.0;
                match gains.get_mut(k) {
                    Some(sum) => sum.1 += gain,
                    None => gains.push((b.name, gain)),
                }
            }
        }
        for (name, ln) in gains {
            println!(
                "bounds::lipschitz/{name}/relu/{depth}x32: {:.2} times tighter",
                ln.exp()
            );
        }
    }
}

/// Largest side first: what proves the norm alone, both ends, and the whole spectrum.
fn convolutions() {
    for (channels, size) in [(16, 16), (64, 32)] {
        let c = Convolution::new(kernel(channels, 3, 1.0, 1), Geometry::torus(size, size))
            .expect("a convolution");
        let at = format!("{channels}x{channels}x3x3/torus-{size}x{size}");
        let spectrum = timed(
            &format!("linalg::convolution::torus_spectrum/{at}"),
            5,
            || c.torus_spectrum(),
        )
        .expect("a spectrum");
        let norm = timed(&format!("linalg::convolution::torus_norm/{at}"), 5, || {
            c.torus_norm()
        });
        timed(
            &format!("linalg::convolution::torus_extremes/{at}"),
            5,
            || c.torus_extremes().largest,
        );
        let e = norm.to_linear().expect("in range");
        let top = spectrum.log(0).ln().exp();
        println!("    norm {top:.6}, certified in [{:.9}, {:.9}]", e.1, e.2);
        let reshaped = c.kernel().reshaped_norm().to_linear().expect("in range").0;
        println!(
            "    kernel reshaped to a matrix {reshaped:.6}; largest slice {:.6}",
            slices(channels)
        );
    }
}

/// The largest norm of a single tap.
fn slices(channels: usize) -> f64 {
    let layer = &gaussian(1, 3 * channels, 1.0, 1)[0];
    let tap = |t: usize| {
        let entries: Vec<f64> = (0..channels * channels)
            .map(|k| layer.entries()[k * 9 + t])
            .collect();
        let view = MatrixRef::row_major(&entries, channels, channels).expect("a matrix");
        let norm = norms::two(&view).expect("finite").to_linear();
        norm.expect("in range").0
    };
    (0..9).map(tap).fold(0.0, f64::max)
}

fn main() {
    convolutions();
    ratios();
    overviews();
}
