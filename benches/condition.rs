//! Condition numbers of Gaussian matrices: the certified ladder, the estimate, and the full
//! decomposition they are compared with. `cargo bench --bench condition`.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use isometer::linalg::condition::{ConditionOptions, Effort, condition};
use isometer::linalg::view::MatrixRef;
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

fn conditions(c: &mut Criterion) {
    isometer::linalg::parallel::set_threads(1);
    let mut group = c.benchmark_group("linalg/condition");
    group.sample_size(10);
    for n in [64usize, 256, 512] {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(n as u64);
        let data: Vec<f64> = (0..n * n)
            .map(|_| StandardNormal.sample(&mut rng))
            .collect();
        let a = MatrixRef::row_major(&data, n, n).expect("n * n entries");
        for (name, effort) in [
            ("certified", Effort::Certified),
            ("estimate", Effort::Estimate),
            ("spectrum", Effort::Spectrum),
        ] {
            let options = ConditionOptions {
                effort,
                ..Default::default()
            };
            group.bench_with_input(BenchmarkId::new(name, n), &a, |b, a| {
                b.iter(|| condition(a, &options));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, conditions);
criterion_main!(benches);
