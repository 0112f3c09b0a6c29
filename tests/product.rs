//! Singular values of long products against independent computations.

use dashu_int::IBig;
use isometer::linalg::product::{
    Arithmetic, GaussianChain, Layer, MatrixChain, ProductError, ProductOptions, ProductSpectrum,
    leading, spectrum,
};
use isometer::linalg::view::MatrixRef;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::io::Read;
use std::path::Path;

fn solve(layers: &[Layer]) -> ProductSpectrum {
    spectrum(&mut &layers[..], &ProductOptions::default()).expect("a valid chain")
}

/// Every error must be covered by its prediction, or the value be flagged.
fn check_against(s: &ProductSpectrum, truth: &[f64], must_be_reliable: bool) -> f64 {
    assert_eq!(s.log2_singular_values.len(), truth.len());
    let mut worst = 0.0f64;
    for (i, t) in truth.iter().enumerate() {
        let error = (s.log2_singular_values[i] - t).abs();
        if s.reliable[i] {
            let predicted = s.log2_error_estimate[i];
            assert!(
                error <= predicted,
                "value {i}: error {error:e} > {predicted:e}"
            );
            assert!(error <= 1e-9);
        } else {
            assert!(!must_be_reliable, "value {i} is flagged: {s:?}");
        }
        worst = worst.max(error);
    }
    worst
}

// ---- reference chains ----------------------------------------------------------------------

fn read_npz(path: &Path) -> Vec<Layer> {
    let file = std::fs::File::open(path).expect("reference chain");
    let mut archive = zip::ZipArchive::new(file).expect("npz");
    let mut names: Vec<String> = archive
        .file_names()
        .map(|name| name.expect("a name").into_owned())
        .collect();
    names.sort();
    let mut layer = |name: &String| {
        let mut bytes = Vec::new();
        let mut entry = archive.by_name(name).expect("layer");
        entry.read_to_end(&mut bytes).expect("readable layer");
        let npy = npyz::NpyFile::new(&bytes[..]).expect("npy");
        let (rows, cols) = (npy.shape()[0] as usize, npy.shape()[1] as usize);
        let fortran = npy.order() == npyz::Order::Fortran;
        let data: Vec<f64> = npy.into_vec().expect("f64 entries");
        Layer::from_fn(rows, cols, |i, j| {
            data[if fortran { i + j * rows } else { i * cols + j }]
        })
    };
    names.iter().map(&mut layer).collect()
}

#[test]
fn reference_chains_to_nine_digits() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chains");
    let text = std::fs::read_to_string(dir.join("truth.json")).expect("truth");
    let truth: serde_json::Value = serde_json::from_str(&text).expect("json");
    for (name, values) in truth.as_object().expect("object") {
        let layers = read_npz(&dir.join(format!("{name}.npz")));
        let truth: Vec<f64> = values
            .as_array()
            .expect("values")
            .iter()
            .map(|v| v.as_str().expect("digits").parse().expect("number"))
            .collect();
        let s = solve(&layers);
        let worst = check_against(&s, &truth, true);
        let predicted = s.log2_error_estimate.iter().copied().fold(0.0, f64::max);
        println!(
            "{name}: error {worst:.1e}, predicted {predicted:.1e}, {:?}",
            s.arithmetic
        );
        if let Some(residual) = s.determinant_residual {
            println!(
                "  determinant {residual:.1e} of {:.1e}",
                s.determinant_tolerance.unwrap()
            );
            assert!(residual <= s.determinant_tolerance.unwrap());
        }
        // negative control: the same judgement notices a layer that is off by 1e-6
        let mut broken = layers.clone();
        let w = &layers[layers.len() / 2];
        broken[layers.len() / 2] = Layer::from_fn(w.rows(), w.cols(), |i, j| {
            w.get(i, j) * if i == 0 { 1.0 + 1e-6 } else { 1.0 }
        });
        let b = solve(&broken);
        let moved = (0..truth.len())
            .any(|i| (b.log2_singular_values[i] - truth[i]).abs() > b.log2_error_estimate[i]);
        assert!(moved, "{name}: a perturbed layer went unnoticed");
    }
}

// ---- exact proof ----------------------------------------------------------------------------

/// `x = m 2^e` exactly.
fn decompose(x: f64) -> (i64, i64) {
    if x == 0.0 {
        return (0, 0);
    }
    let bits = x.abs().to_bits();
    let (biased, fraction) = ((bits >> 52) as i64, (bits & ((1 << 52) - 1)) as i64);
    let (m, e) = if biased == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, biased - 1075)
    };
    let twos = i64::from(m.trailing_zeros());
    (if x < 0.0 { -(m >> twos) } else { m >> twos }, e + twos)
}

/// `J^T J = gram * 2^exponent`, exactly.
struct ExactGram {
    n: usize,
    gram: Vec<IBig>,
    exponent: i64,
}

impl ExactGram {
    fn new(layers: &[Layer]) -> ExactGram {
        let n = layers[0].cols();
        let mut j: Vec<Vec<IBig>> = (0..n)
            .map(|i| (0..n).map(|k| IBig::from(i64::from(i == k))).collect())
            .collect();
        let mut exponent = 0i64;
        for w in layers {
            let parts: Vec<(i64, i64)> = w.entries().iter().map(|&x| decompose(x)).collect();
            let low = parts
                .iter()
                .filter(|p| p.0 != 0)
                .map(|p| p.1)
                .min()
                .unwrap_or(0);
            exponent += low;
            let entry = |i: usize, l: usize| {
                let (m, e) = parts[i + l * w.rows()];
                if m == 0 {
                    IBig::ZERO
                } else {
                    IBig::from(m) << (e - low) as usize
                }
            };
            j = (0..w.rows())
                .map(|i| {
                    let row: Vec<IBig> = (0..w.cols()).map(|l| entry(i, l)).collect();
                    (0..n)
                        .map(|k| (0..w.cols()).map(|l| &row[l] * &j[l][k]).sum())
                        .collect()
                })
                .collect();
        }
        let mut gram = Vec::with_capacity(n * n);
        for a in 0..n {
            for b in 0..n {
                gram.push(j.iter().map(|row| &row[a] * &row[b]).sum());
            }
        }
        ExactGram {
            n,
            gram,
            exponent: 2 * exponent,
        }
    }

    /// How many singular values lie below `2^log2`: negative eigenvalues of `J^T J - s^2`, by
    /// Jacobi's rule on leading minors from fraction-free elimination (Bareiss 1968).
    fn count_below(&self, log2: f64) -> usize {
        let n = self.n;
        let square = 2.0 * log2;
        let (mantissa, shift) = decompose((square - square.floor()).exp2());
        let lift = self.exponent - (square.floor() as i64 + shift);
        let up = lift.max(0) as usize;
        let s = IBig::from(mantissa) << (-lift).max(0) as usize;
        let mut a: Vec<IBig> = self.gram.iter().map(|g| g << up).collect();
        for i in 0..n {
            a[i * n + i] -= &s;
        }
        let mut previous = IBig::ONE;
        let mut below = 0;
        for k in 0..n {
            let pivot = a[k * n + k].clone();
            assert!(pivot != IBig::ZERO, "a leading minor vanishes");
            below += usize::from((pivot < IBig::ZERO) != (previous < IBig::ZERO));
            for i in k + 1..n {
                for l in i..n {
                    let x = (&a[i * n + l] * &pivot - &a[k * n + i] * &a[k * n + l]) / &previous;
                    a[i * n + l] = x;
                }
            }
            previous = pivot;
        }
        below
    }

    /// Proves that value `i` lies within `radius` (in log2) of `log2`.
    fn proves(&self, i: usize, log2: f64, radius: f64) -> bool {
        self.count_below(log2 + radius) >= self.n - i
            && self.count_below(log2 - radius) < self.n - i
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Gaussian,
    Leaky,
    Scaled,
    NearOrthogonal,
}

fn chain(kind: Kind, n: usize, depth: usize, seed: u64) -> Vec<Layer> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..depth)
        .map(|_| {
            let scale = match kind {
                Kind::Scaled => 10f64.powf(rng.random_range(-6.0..-2.0)),
                _ => 1.0,
            };
            let slopes: Vec<f64> = (0..n)
                .map(|_| if rng.random_bool(0.5) { 1.0 } else { 0.1 })
                .collect();
            let mut rotation = Layer::from_fn(n, n, |i, j| f64::from(u8::from(i == j)));
            if let Kind::NearOrthogonal = kind {
                for i in 0..n {
                    for j in i + 1..n {
                        let (s, c) = rng.random_range(0.0..6.0f64).sin_cos();
                        let old = rotation.clone();
                        rotation = Layer::from_fn(n, n, |a, b| match a {
                            a if a == i => c * old.get(i, b) - s * old.get(j, b),
                            a if a == j => s * old.get(i, b) + c * old.get(j, b),
                            a => old.get(a, b),
                        });
                    }
                }
            }
            Layer::from_fn(n, n, |i, j| {
                let z: f64 = StandardNormal.sample(&mut rng);
                // a grid of 2^-30 keeps the exact integers of the check short
                let grid = |x: f64| (x * f64::powi(2.0, 30)).round() * f64::powi(2.0, -30);
                match kind {
                    Kind::Gaussian => grid(z),
                    Kind::Leaky => grid(z * slopes[i] * 1.3),
                    Kind::Scaled => z * scale,
                    Kind::NearOrthogonal => grid(rotation.get(i, j) + 0.01 * z),
                }
            })
        })
        .collect()
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn long() -> bool {
    std::env::var_os("ISOMETER_LONG").is_some()
}

fn prove_all(kind: Kind, n: usize, depth: usize, seed: u64) -> Result<(), TestCaseError> {
    let layers = chain(kind, n, depth, seed);
    let s = solve(&layers);
    let exact = ExactGram::new(&layers);
    for i in 0..n {
        let v = s.log2_singular_values[i];
        prop_assert!(s.reliable[i]);
        prop_assert!(s.log2_error_estimate[i] <= 1e-9);
        prop_assert!(exact.proves(i, v, 1e-9), "{kind:?} {n} {depth}: value {i}");
        // the predicted error itself is proved to cover
        prop_assert!(exact.proves(i, v, s.log2_error_estimate[i].max(1e-13)));
    }
    // negative control: the proof refuses a value that is off by a part in 10^8
    prop_assert!(!exact.proves(0, s.log2_singular_values[0] + 1e-8, 1e-9));
    Ok(())
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Gaussian),
        Just(Kind::Leaky),
        Just(Kind::Scaled),
        Just(Kind::NearOrthogonal)
    ]
}

proptest! {
    #![proptest_config(config(if long() { 64 } else { 10 }))]

    #[test]
    fn exact_inertia_proves_every_value(
        kind in kinds(),
        n in 2usize..=6,
        depth in 20usize..=100,
        seed in any::<u64>(),
    ) {
        prove_all(kind, n, depth, seed)?;
    }
}

#[test]
fn exact_inertia_proves_large_chains() {
    let cases: &[(usize, usize)] = if long() {
        &[(8, 200), (12, 100)]
    } else {
        &[(8, 60)]
    };
    for &(n, depth) in cases {
        for kind in [
            Kind::Gaussian,
            Kind::Leaky,
            Kind::Scaled,
            Kind::NearOrthogonal,
        ] {
            prove_all(kind, n, depth, 7).expect("proved");
        }
    }
}

// ---- adversarial chains ----------------------------------------------------------------------

/// Every value that is not flagged is proved to lie within its predicted error.
fn prove_unflagged(name: &str, layers: &[Layer]) -> ProductSpectrum {
    let s = solve(layers);
    let exact = ExactGram::new(layers);
    for i in 0..exact.n {
        if s.reliable[i] {
            let radius = s.log2_error_estimate[i].max(1e-13);
            assert!(
                exact.proves(i, s.log2_singular_values[i], radius),
                "{name}: value {i} of {s:?}"
            );
        }
    }
    println!(
        "{name}: {:?} {:?} {:?}",
        s.arithmetic, s.reliable, s.log2_error_estimate
    );
    s
}

fn diagonal(d: &[f64]) -> Layer {
    Layer::from_fn(d.len(), d.len(), |i, j| if i == j { d[i] } else { 0.0 })
}

fn gaussian(n: usize, depth: usize, seed: u64) -> Vec<Layer> {
    chain(Kind::Gaussian, n, depth, seed)
}

/// `adj(A)` rounded is an approximate inverse up to scale; here by Gauss-Jordan in f64.
fn inverse(a: &Layer) -> Layer {
    let n = a.rows();
    let mut m: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            (0..2 * n)
                .map(|j| {
                    if j < n {
                        a.get(i, j)
                    } else {
                        f64::from(u8::from(i + n == j))
                    }
                })
                .collect()
        })
        .collect();
    for k in 0..n {
        let p = (k..n)
            .max_by(|&x, &y| m[x][k].abs().total_cmp(&m[y][k].abs()))
            .expect("a row");
        m.swap(k, p);
        let d = m[k][k];
        m[k].iter_mut().for_each(|x| *x /= d);
        let pivot = m[k].clone();
        for (i, row) in m.iter_mut().enumerate() {
            if i != k {
                let f = row[k];
                row.iter_mut().zip(&pivot).for_each(|(x, y)| *x -= f * y);
            }
        }
    }
    Layer::from_fn(n, n, |i, j| m[i][n + j])
}

#[test]
fn graded_sandwich_is_covered() {
    let q = gaussian(4, 2, 3);
    for spread in [1e-3, 1e-6, 1e-9] {
        let d: Vec<f64> = (0..4).map(|i| f64::powi(spread, i)).collect();
        let r: Vec<f64> = d.iter().rev().copied().collect();
        prove_unflagged(
            "sandwich",
            &[
                diagonal(&d),
                q[0].clone(),
                diagonal(&r),
                q[1].clone(),
                diagonal(&d),
            ],
        );
    }
}

#[test]
fn growth_that_is_undone_is_covered_or_flagged() {
    let a = gaussian(3, 1, 5).remove(0);
    let b = inverse(&a);
    for half in [2, 10, 40, 80, 600] {
        let mut layers = vec![a.clone(); half];
        layers.extend(vec![b.clone(); half]);
        let s = prove_unflagged("undone", &layers);
        if half == 2 {
            assert!(s.reliable.iter().all(|&r| r));
        }
    }
    // exact inverses: the product is the identity, and finding that out takes
    // 2.8 bits per layer, beyond double-double at last
    let a = Layer::from_fn(2, 2, |i, j| [[2.0, 1.0], [1.0, 1.0]][i][j]);
    let b = Layer::from_fn(2, 2, |i, j| [[1.0, -1.0], [-1.0, 2.0]][i][j]);
    for half in [3, 12, 30, 80] {
        let mut layers = vec![a.clone(); half];
        layers.extend(vec![b.clone(); half]);
        let s = solve(&layers);
        for i in 0..2 {
            let covered = s.log2_singular_values[i].abs() <= s.log2_error_estimate[i];
            assert!(covered || !s.reliable[i], "{half}: {s:?}");
            assert_eq!(s.reliable[i], half < 30, "{half}: {s:?}");
        }
    }
}

#[test]
fn near_singular_layers_are_covered_or_flagged() {
    for tiny in [1e-8, 1e-13, 1e-16] {
        let mut layers = gaussian(4, 12, 9);
        for w in layers.iter_mut().step_by(3) {
            let old = w.clone();
            // the last row repeats the first up to `tiny`
            *w = Layer::from_fn(4, 4, |i, j| {
                if i == 3 {
                    old.get(0, j) + tiny * old.get(3, j)
                } else {
                    old.get(i, j)
                }
            });
        }
        let s = prove_unflagged("near-singular", &layers);
        assert!(s.reliable[0]);
    }
}

#[test]
fn a_start_in_the_wrong_order_is_recovered() {
    // The growing direction comes last, behind an orthogonal first layer that pivoting cannot
    // see through.
    let mut layers = vec![diagonal(&[1.0, 1.0, 1.0])];
    layers.extend(vec![
        Layer::from_fn(3, 3, |i, j| match (i, j) {
            (0, 0) => 0.5,
            (2, 2) => 2.0,
            (i, j) if i <= j => 1.0,
            _ => 0.0,
        });
        120
    ]);
    let s = prove_unflagged("order", &layers);
    assert!(s.reliable.iter().all(|&r| r));
    assert_eq!(s.arithmetic, Arithmetic::Double);
}

#[test]
fn a_hidden_singular_layer_is_never_a_silent_number() {
    let mut layers = gaussian(3, 6, 11);
    layers[3] = Layer::from_fn(3, 3, |i, j| ((i + 1) * (j + 2)) as f64);
    let s = solve(&layers);
    assert!(s.reliable[0]);
    assert!(!s.reliable[1] && !s.reliable[2]);
}

fn agrees_with_its_transpose(
    kind: Kind,
    n: usize,
    depth: usize,
    seed: u64,
) -> Result<(), TestCaseError> {
    let layers = chain(kind, n, depth, seed);
    let transposed: Vec<Layer> = layers.iter().rev().map(Layer::transposed).collect();
    let (a, b) = (solve(&layers), solve(&transposed));
    for i in 0..n {
        let gap = (a.log2_singular_values[i] - b.log2_singular_values[i]).abs();
        prop_assert!(gap <= a.log2_error_estimate[i] + b.log2_error_estimate[i]);
    }
    Ok(())
}

#[test]
fn errors_that_turn_vectors_are_charged_to_the_neighbours() {
    agrees_with_its_transpose(Kind::Scaled, 8, 29, 14283079527644361157).expect("covered");
}

// ---- properties --------------------------------------------------------------------------------

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn scaling_a_layer_shifts_every_value(
        kind in kinds(), n in 1usize..=9, depth in 1usize..=40, k in -900i32..900, seed in any::<u64>(),
    ) {
        let layers = chain(kind, n, depth, seed);
        let mut scaled = layers.clone();
        let w = &layers[depth / 2];
        let factor = f64::powi(2.0, k);
        scaled[depth / 2] = Layer::from_fn(n, n, |i, j| w.get(i, j) * factor);
        let (a, b) = (solve(&layers), solve(&scaled));
        for (x, y) in a.log2_singular_values.iter().zip(&b.log2_singular_values) {
            // same mantissas: the sum with the exponent is rounded once on each side
            let ulp = f64::EPSILON * x.abs().max(y.abs());
            prop_assert!((x + f64::from(k) - y).abs() <= 1.5 * ulp);
        }
    }

    #[test]
    fn transposed_chains_have_the_same_values(
        kind in kinds(), n in 1usize..=9, depth in 1usize..=40, seed in any::<u64>(),
    ) {
        agrees_with_its_transpose(kind, n, depth, seed)?;
    }

    #[test]
    fn determinant_and_majorization(
        kind in kinds(), n in 1usize..=12, depth in 1usize..=60, seed in any::<u64>(),
    ) {
        let layers = chain(kind, n, depth, seed);
        let s = solve(&layers);
        prop_assert!(s.determinant_residual.unwrap() <= s.determinant_tolerance.unwrap());
        prop_assert!(s.log2_norm() <= s.log2_norm_bound.unwrap());
        prop_assert!(s.log2_cond() <= s.log2_cond_bound.unwrap());
        // Horn 1950: partial sums are at most those of the layers
        let mut factors = vec![0.0; n];
        for w in &layers {
            let one = solve(std::slice::from_ref(w));
            for (f, v) in factors.iter_mut().zip(&one.log2_singular_values) {
                *f += v;
            }
        }
        let (mut product, mut bound, mut slack) = (0.0, 0.0, 1e-12);
        for (i, factor) in factors.iter().enumerate() {
            product += s.log2_singular_values[i];
            bound += factor;
            slack += s.log2_error_estimate[i] + 1e-12 * bound.abs();
            prop_assert!(product <= bound + slack);
        }
        // negative control: the identity notices a spectrum of a slightly different chain
        let mut broken = layers.clone();
        broken[0] = Layer::from_fn(n, n, |i, j| {
            layers[0].get(i, j) * if i == 0 { 1.0 + 1e-7 } else { 1.0 }
        });
        let b = solve(&broken);
        let moved: f64 = b.log2_singular_values.iter().sum::<f64>()
            - s.log2_singular_values.iter().sum::<f64>();
        prop_assert!(moved.abs() > s.determinant_tolerance.unwrap());
    }

    #[test]
    fn dead_units_give_exact_zeros(
        n in 2usize..=8, depth in 2usize..=30, dead in 1usize..=3, seed in any::<u64>(),
    ) {
        let dead = dead.min(n - 1);
        let mut layers = chain(Kind::Gaussian, n, depth, seed);
        let at = (seed % depth as u64) as usize;
        let w = layers[at].clone();
        // masked rows at one layer, and zero columns elsewhere
        layers[at] = Layer::from_fn(n, n, |i, j| if i < dead { 0.0 } else { w.get(i, j) });
        let w = layers[0].clone();
        layers[0] = Layer::from_fn(n, n, |i, j| if j == n - 1 { 0.0 } else { w.get(i, j) });
        let s = solve(&layers);
        prop_assert_eq!(s.exact_zeros, dead);
        for i in 0..n {
            prop_assert!(s.reliable[i]);
            prop_assert_eq!(s.log2_singular_values[i] == f64::NEG_INFINITY, i >= n - dead);
        }
        prop_assert_eq!(s.log2_cond(), f64::INFINITY);
        prop_assert_eq!(s.determinant_residual, None);
    }

    #[test]
    fn bottlenecks_count_zeros_and_keep_the_rest(
        widths in proptest::collection::vec(1usize..=9, 3..12), seed in any::<u64>(),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let layers: Vec<Layer> = widths.windows(2).map(|w| Layer::from_fn(w[1], w[0], |_, _| {
            let z: f64 = StandardNormal.sample(&mut rng);
            (z * f64::powi(2.0, 30)).round() * f64::powi(2.0, -30)
        })).collect();
        let s = solve(&layers);
        let count = widths[0].min(widths[widths.len() - 1]);
        let rank = *widths.iter().min().unwrap();
        prop_assert_eq!(s.log2_singular_values.len(), count);
        prop_assert_eq!(s.exact_zeros, count - rank);
        prop_assert!(s.log2_norm() <= s.log2_norm_bound.unwrap());
        let exact = ExactGram::new(&layers);
        for i in 0..rank {
            prop_assert!(s.reliable[i]);
            let (v, e) = (s.log2_singular_values[i], s.log2_error_estimate[i].max(1e-13));
            // zeros of the Gram matrix beyond the rank lie below every threshold
            prop_assert!(exact.proves(i, v, e), "value {i} of {widths:?}");
        }
        if let Some(bound) = s.log2_cond_bound {
            prop_assert!(s.log2_cond() <= bound);
        }
    }
}

#[test]
fn orthogonal_layers_give_zero() {
    // Hadamard / 2 is orthogonal exactly
    let h = Layer::from_fn(4, 4, |i, j| {
        if (i & j).count_ones() % 2 == 0 {
            0.5
        } else {
            -0.5
        }
    });
    let s = solve(&vec![h; 1000]);
    for (v, e) in s.log2_singular_values.iter().zip(&s.log2_error_estimate) {
        assert!(v.abs() <= *e && *e < 1e-9, "{v:e} {e:e}");
    }
}

#[test]
fn range_of_f64_is_no_limit() {
    let g = gaussian(3, 3, 2);
    let times = |w: &Layer, f: f64| Layer::from_fn(3, 3, |i, j| w.get(i, j) * f);
    let base = solve(&g);
    let layers = [
        times(&g[0], 1e300),
        times(&g[1], 1e-300),
        times(&g[2], 1e300),
    ];
    let s = solve(&layers);
    let shift = 300.0 * std::f64::consts::LOG2_10;
    for (x, y) in base
        .log2_singular_values
        .iter()
        .zip(&s.log2_singular_values)
    {
        assert!((x + shift - y).abs() < 1e-9);
    }
    // both in one layer: the large value is right, the other one is right or flagged
    let mixed = [diagonal(&[1e300, 1e-300]), diagonal(&[1e300, 1e-300])];
    let s = solve(&mixed);
    assert!((s.log2_norm() - 2.0 * shift).abs() < 1e-9);
    assert!(!s.reliable[1] || (s.log2_singular_values[1] + 2.0 * shift).abs() < 1e-9);
    // subnormal layers
    let tiny = solve(&[diagonal(&[4e-320, 4e-320])]);
    assert!((tiny.log2_norm() - 4e-320f64.log2()).abs() < 1e-9);
}

#[test]
fn leading_values_agree_with_all_values() {
    let mut source = GaussianChain {
        depth: 60,
        width: 40,
        alpha: 0.2,
        seed: 4,
    };
    let all = spectrum(&mut source, &ProductOptions::default()).expect("spectrum");
    let options = ProductOptions {
        tolerance: 1e-9,
        ..ProductOptions::default()
    };
    let top = leading(&mut source, 5, &options).expect("leading");
    for i in 0..5 {
        let error = (all.log2_singular_values[i] - top.log2_singular_values[i]).abs();
        println!(
            "{i}: {error:.1e} predicted {:.1e}",
            top.log2_error_estimate[i]
        );
        assert!(error <= top.log2_error_estimate[i] + all.log2_error_estimate[i]);
        assert!(top.reliable[i]);
    }
    println!("sweeps {}", top.sweeps);
    assert!(matches!(
        leading(&mut source, 41, &options),
        Err(ProductError::Count {
            asked: 41,
            available: 40
        })
    ));
}

#[test]
fn inherent_sensitivity_covers_stored_precision() {
    let layers = gaussian(5, 40, 21);
    let rounded: Vec<Layer> = layers
        .iter()
        .map(|w| Layer::from_fn(5, 5, |i, j| f64::from(w.get(i, j) as f32)))
        .collect();
    let (a, b) = (solve(&layers), solve(&rounded));
    let predicted = a.log2_error(f64::powi(2.0, -24));
    for (i, p) in predicted.iter().enumerate() {
        let moved = (a.log2_singular_values[i] - b.log2_singular_values[i]).abs();
        assert!(moved <= *p && *p < 1e4 * moved.max(1e-9), "{moved:e} {p:e}");
    }
}

#[test]
fn complex_layers_count_once() {
    let data = [[0.0, 1.0], [2.0, 0.0], [0.0, 0.0], [0.0, 3.0]];
    let m = MatrixRef::row_major(&data, 2, 2).expect("view");
    let layers = [m, m];
    let s = spectrum(&mut MatrixChain::new(&layers), &ProductOptions::default()).expect("spectrum");
    assert_eq!((s.rows, s.cols, s.log2_singular_values.len()), (2, 2, 2));
    // |det| = 9
    let sum: f64 = s.log2_singular_values.iter().sum();
    assert!((sum - 9f64.log2()).abs() < 1e-12);
    assert!(s.determinant_residual.unwrap() <= s.determinant_tolerance.unwrap());
}

#[test]
fn unusable_chains_are_named() {
    let options = ProductOptions::default();
    let none: &[Layer] = &[];
    assert!(matches!(
        spectrum(&mut { none }, &options),
        Err(ProductError::NoLayers)
    ));
    let mut layers = gaussian(3, 4, 1);
    let w = layers[2].clone();
    layers[2] = Layer::from_fn(3, 3, |i, j| {
        if (i, j) == (1, 2) {
            f64::NAN
        } else {
            w.get(i, j)
        }
    });
    let message = spectrum(&mut &layers[..], &options)
        .unwrap_err()
        .to_string();
    assert_eq!(message, "layer 2 holds NaN at [1, 2]");
    layers[2] = Layer::from_fn(3, 4, |_, _| 1.0);
    let message = spectrum(&mut &layers[..], &options)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "layer 2 takes 4 inputs, but layer 1 gives 3 outputs"
    );
    layers[2] = Layer::from_fn(0, 3, |_, _| 1.0);
    assert!(matches!(
        spectrum(&mut &layers[..], &options),
        Err(ProductError::EmptyLayer { layer: 2, .. })
    ));
}

#[test]
fn a_zero_layer_makes_a_zero_product() {
    let mut layers = gaussian(3, 4, 1);
    layers[1] = Layer::from_fn(3, 3, |_, _| 0.0);
    let s = solve(&layers);
    assert_eq!(s.exact_zeros, 3);
    assert_eq!(s.log2_norm(), f64::NEG_INFINITY);
    assert!(s.norm().is_zero());
}

/// The plain product in `f64` loses what the library keeps: the reason for all of this.
#[test]
fn the_naive_product_loses_the_small_values() {
    let layers = gaussian(6, 200, 13);
    let s = solve(&layers);
    let mut j = nalgebra::DMatrix::<f64>::identity(6, 6);
    for w in &layers {
        j = nalgebra::DMatrix::from_column_slice(6, 6, w.entries()) * j;
    }
    let naive = j.try_svd(false, false, f64::EPSILON, 1000).expect("finite");
    let mut naive: Vec<f64> = naive.singular_values.iter().map(|x| x.log2()).collect();
    naive.sort_by(|a, b| b.total_cmp(a));
    assert!((naive[0] - s.log2_singular_values[0]).abs() < 1e-9);
    assert!((naive[5] - s.log2_singular_values[5]).abs() > 50.0);
}
