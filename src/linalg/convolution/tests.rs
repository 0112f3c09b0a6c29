use super::*;
use crate::linalg::dense::{self, Matrix};
use crate::linalg::operator::LinearOperator;
use crate::linalg::view::MatrixRef;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};

/// A kernel in PyTorch's layout with entries uniform in `(-1, 1)`.
fn random(outputs: usize, inputs: usize, taps: [usize; 2], groups: usize, seed: u64) -> Kernel {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let count = outputs * (inputs / groups) * taps[0] * taps[1];
    let data: Vec<f64> = (0..count)
        .map(|_| 2.0 * rng.random::<f64>() - 1.0)
        .collect();
    kernel(&data, &[outputs, inputs / groups, taps[0], taps[1]], groups)
}

fn kernel(data: &[f64], shape: &[usize], groups: usize) -> Kernel {
    let view = MatrixRef::row_major(data, shape[0], data.len() / shape[0]).unwrap();
    Kernel::new(&view, shape, Layout::OutputsFirst, groups).unwrap()
}

/// Singular values of the explicit matrix, in the scale of the kernel.
fn explicit(c: &Convolution) -> Vec<f64> {
    let a: Matrix = c.materialise(10_000_000).unwrap();
    a.singular_values().unwrap()
}

/// Relative error of the decomposition of the explicit matrix, as predicted in `singular`.
fn noise(c: &Convolution) -> f64 {
    2.0 * (c.rows() + c.cols() + 10) as f64 * f64::EPSILON
}

fn limits(e: &Enclosure) -> (f64, f64, f64) {
    let (value, lo, hi, _) = e.scaled();
    (value, lo, hi)
}

/// Any convolution with channels, taps, strides, dilations and groups of all kinds, small enough to write
/// down as a matrix.
fn convolutions(padding: impl Strategy<Value = Padding>) -> impl Strategy<Value = Convolution> {
    let pair = |low: usize, high: usize| [low..=high, low..=high];
    let sizes = (pair(1, 5), pair(1, 4), pair(1, 3), pair(1, 3));
    (
        sizes,
        1usize..=3,
        1usize..=3,
        1usize..=3,
        padding,
        any::<u64>(),
    )
        .prop_filter_map(
            "no output",
            |((points, taps, stride, dilation), o, i, groups, padding, seed)| {
                let k = random(o * groups, i * groups, taps, groups, seed);
                // a circular input is a multiple of the stride; the others take any size
                let rest = |axis: usize| match padding {
                    Padding::Circular => 0,
                    _ => seed as usize / (axis + 1) % stride[axis],
                };
                let geometry = Geometry {
                    size: [0, 1].map(|a| points[a] * stride[a] + rest(a)),
                    stride,
                    dilation,
                    padding,
                };
                Convolution::new(k, geometry).ok()
            },
        )
}

fn zeros() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::Same), (0usize..5).prop_map(Padding::Zeros)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// The products are those of the explicit matrix, zero-padded or circular.
    #[test]
    fn products_agree(c in convolutions(prop_oneof![zeros(), Just(Padding::Circular)]), seed: u64) {
        let op = ZeroPadded::new(&c);
        let a = c.materialise(10_000_000).unwrap();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let x = dense::from_fn(op.cols(), 1, |_, _| rng.random::<f64>() - 0.5);
        let y = dense::from_fn(op.rows(), 1, |_, _| rng.random::<f64>() - 0.5);
        let (mut ax, mut aty) = (vec![1.0; op.rows()], vec![1.0; op.cols()]);
        op.apply(x.col_as_slice(0), &mut ax);
        op.apply_transposed(y.col_as_slice(0), &mut aty);
        let far = |m: &Matrix, v: &[f64]| {
            let d: f64 = m.col_as_slice(0).iter().zip(v).map(|(a, b)| (a - b).powi(2)).sum();
            d.sqrt()
        };
        let size = dense::norm2(x.col_as_slice(0)).max(dense::norm2(y.col_as_slice(0)));
        prop_assert!(far(&dense::product(a.as_ref(), x.as_ref()), &ax) <= 2.0 * op.rounding() * size);
        prop_assert!(far(&dense::product(a.transpose(), y.as_ref()), &aty) <= 2.0 * op.rounding() * size);
    }
}

/// The norm of a positive kernel on any torus is the sum of its entries; the reshaped matrix sees a
/// third of it, the slices a ninth. A mean filter attains the ratio root of the number of taps.
#[test]
fn positive_kernels_attain_the_greatest_ratio() {
    for taps in [3usize, 7] {
        let k = kernel(&vec![1.0; 16 * 16 * taps * taps], &[16, 16, taps, taps], 1);
        let c = Convolution::new(k, Geometry::torus(16, 16)).unwrap();
        let (_, lo, hi) = c.torus_norm().to_linear().unwrap();
        let truth = 16.0 * (taps * taps) as f64;
        assert!(
            lo <= truth && truth <= hi && hi - lo < 1e-10 * hi,
            "{lo} {hi}"
        );
        let (reshaped, ..) = c.kernel().reshaped_norm().to_linear().unwrap();
        assert!((truth / reshaped / taps as f64 - 1.0).abs() < 1e-12);
    }
}

/// 16 x 16 x 3 x 3 on a 16 x 16 torus: the reshaped matrix understates the norm. The matrix of order
/// 4096 is too large to decompose here, so the norm is checked where it is explicit, at 6 x 6, and by a vector
/// at 16 x 16.
#[test]
fn the_reshaped_norm_of_a_random_kernel_is_too_small() {
    let k = random(16, 16, [3, 3], 1, 9);
    let small = Convolution::new(k.clone(), Geometry::torus(6, 6)).unwrap();
    let (_, lo, hi) = limits(&small.torus_norm());
    let truth = explicit(&small)[0];
    assert!(lo * (1.0 - noise(&small)) <= truth && truth <= hi * (1.0 + noise(&small)));
    let c = Convolution::new(k, Geometry::torus(16, 16)).unwrap();
    let (value, lo, hi) = c.torus_norm().to_linear().unwrap();
    assert!(hi - lo < 1e-12 * hi);
    let (reshaped, ..) = c.kernel().reshaped_norm().to_linear().unwrap();
    assert!(value > 1.3 * reshaped, "{value} {reshaped}");
    let op = ZeroPadded::new(&c);
    let mut x: Vec<f64> = (0..op.cols()).map(|i| (i as f64).sin()).collect();
    let mut y = vec![0.0; op.rows()];
    for _ in 0..60 {
        op.apply(&x, &mut y);
        op.apply_transposed(&y, &mut x);
        let size = dense::norm2(&x);
        x.iter_mut().for_each(|v| *v /= size);
    }
    op.apply(&x, &mut y);
    let seen = crate::scale::ldexp(dense::norm2(&y), c.kernel().exponent());
    assert!(seen <= hi && seen > 0.99 * hi, "{seen} {hi}");
}

/// Layouts: the same kernel stored either way, in one and two dimensions.
#[test]
fn layouts_are_told_apart() {
    let (o, i, h, w) = (2, 3, 2, 3);
    let value =
        |o: usize, i: usize, y: usize, x: usize| (o * 31 + i * 7 + y * 5 + x) as f64 % 11.0 - 5.0;
    let mut first = vec![0.0; o * i * h * w];
    let mut last = first.clone();
    for a in 0..o {
        for b in 0..i {
            for y in 0..h {
                for x in 0..w {
                    first[((a * i + b) * h + y) * w + x] = value(a, b, y, x);
                    last[((y * w + x) * i + b) * o + a] = value(a, b, y, x);
                }
            }
        }
    }
    let view = MatrixRef::row_major(&last, h, w * i * o).unwrap();
    let keras = Kernel::new(&view, &[h, w, i, o], Layout::OutputsLast, 1).unwrap();
    let torch = kernel(&first, &[o, i, h, w], 1);
    for tap in 0..h * w {
        for (a, b) in [(0, 0), (1, 2), (1, 0)] {
            assert_eq!(keras.at(tap, a, b), torch.at(tap, a, b));
        }
    }
    assert_eq!(
        (keras.outputs(), keras.inputs(), keras.taps()),
        (o, i, [h, w])
    );
    let flat: Vec<f64> = (0..o * i * w).map(|k| first[k]).collect();
    let line = kernel(&flat, &[o, i, w], 1);
    assert_eq!((line.axes(), line.taps()), (1, [1, w]));
}

#[test]
fn what_is_no_convolution_is_refused() {
    let data = [1.0; 8];
    let view = MatrixRef::row_major(&data, 2, 4).unwrap();
    let new = |shape: &[usize], groups| Kernel::new(&view, shape, Layout::OutputsFirst, groups);
    assert!(matches!(new(&[2, 4], 1), Err(KernelError::Axes { .. })));
    assert!(matches!(
        new(&[2, 2, 3], 1),
        Err(KernelError::Entries { .. })
    ));
    assert!(matches!(
        new(&[2, 2, 2], 3),
        Err(KernelError::Groups { .. })
    ));
    let bad = [1.0, f64::NAN];
    let view = MatrixRef::row_major(&bad, 1, 2).unwrap();
    let e = Kernel::new(&view, &[1, 1, 2], Layout::OutputsFirst, 1).unwrap_err();
    assert!(e.to_string().contains("NaN at [0, 1]"), "{e}");
    let k = random(1, 1, [3, 3], 1, 0);
    let geometry = |size, stride, padding| Geometry {
        size,
        stride,
        dilation: [1, 1],
        padding,
    };
    let refused = |g| Convolution::new(k.clone(), g).unwrap_err();
    assert_eq!(
        refused(geometry([4, 4], [0, 1], Padding::Same)),
        GeometryError::Zero
    );
    assert_eq!(
        refused(geometry([4, 5], [2, 2], Padding::Circular)),
        GeometryError::Stride { size: 5, stride: 2 }
    );
    assert_eq!(
        refused(geometry([2, 9], [1, 1], Padding::Zeros(0))),
        GeometryError::NoOutput {
            reach: 3,
            padded: 2
        }
    );
    let line = kernel(&[1.0, 2.0], &[1, 1, 2], 1);
    let e = Convolution::new(line, Geometry::torus(2, 4)).unwrap_err();
    assert!(matches!(e, GeometryError::Dimensions { .. }));
}

/// Theorem: torus-embedding, thousands of one-channel kernels; the torus of the input's own size is
/// below the truth for some.
#[test]
fn random_kernels_never_exceed_the_bound_and_exceed_the_small_torus() {
    let mut below = 0;
    let mut worst = 0.0f64;
    for seed in 0..2000u64 {
        let taps = [1 + seed as usize % 3, 2 + seed as usize / 3 % 2];
        let size = [3 + seed as usize / 7 % 2, 2 + seed as usize / 5 % 4];
        let geometry = Geometry {
            padding: Padding::Same,
            ..Geometry::torus(size[0], size[1])
        };
        let c = Convolution::new(random(1, 1, taps, 1, seed), geometry).unwrap();
        let truth = explicit(&c)[0];
        let (_, _, hi) = limits(&c.zero_padding_bound());
        assert!(truth <= hi * (1.0 + noise(&c)), "{seed}: {truth} > {hi}");
        worst = worst.max(truth / hi);
        if limits(&c.torus_norm()).2 < truth * (1.0 - 1e-9) {
            below += 1;
        }
    }
    assert!(below > 20, "the small torus was too small {below} times");
    assert!(worst > 0.99, "no kernel comes near the bound: {worst}");
}
