//! `linalg::product`: all singular values of long Gaussian chains.

use criterion::{Criterion, criterion_group, criterion_main};
use isometer::linalg::product::{GaussianChain, ProductOptions, leading, spectrum};

fn chains(c: &mut Criterion) {
    let mut group = c.benchmark_group("linalg::product");
    group.sample_size(10);
    for (depth, width) in [(10_000, 16), (1000, 64), (20, 256)] {
        let mut source = GaussianChain {
            depth,
            width,
            alpha: (width as f64).sqrt().recip(),
            seed: 1,
        };
        for factors in [true, false] {
            let options = ProductOptions {
                factors,
                ..ProductOptions::default()
            };
            let name = if factors {
                "spectrum"
            } else {
                "spectrum-without-bounds"
            };
            group.bench_function(format!("{name}/{depth}x{width}"), |b| {
                b.iter(|| spectrum(&mut source, &options).map(|s| s.log2_norm()));
            });
        }
        group.bench_function(format!("leading-4/{depth}x{width}"), |b| {
            b.iter(|| leading(&mut source, 4, &ProductOptions::default()).map(|s| s.sweeps));
        });
    }
    group.finish();
}

criterion_group!(benches, chains);
criterion_main!(benches);
