//! Jacobians of single layers in closed form.

use super::structured::{Exact, squares};
use super::support::{check, check_given, conditioning, foreign, gamma, two};
use isometer::bounds::jacobian::{attention, elementwise, normalization, residual, softmax};
use isometer::linalg::norms;
use isometer::linalg::view::MatrixRef;
use isometer::reference::random::{Purpose, stream};
use nalgebra::DMatrix;
use proptest::prelude::*;
use rand::RngExt;

/// Largest and smallest singular value of an explicit Jacobian, row-major, with a relative error of the
/// largest: an independent library.
fn extremes(m: &[f64], rows: usize, cols: usize) -> (f64, f64) {
    let m = DMatrix::from_row_slice(rows, cols, m);
    let total = m.norm();
    let svd = m
        .try_svd(false, false, f64::EPSILON, 10_000)
        .expect("converges");
    let s = svd.singular_values;
    assert!(
        (s.norm() - total).abs() <= 1e-12 * total,
        "the other library is wrong"
    );
    (s.max(), s.min())
}

/// What an explicit Jacobian and its decomposition may be off by, relative to its norm: a few roundings for
/// each of its entries.
fn rounding(n: usize) -> f64 {
    gamma(64 * (n + 4))
}

/// `|diag(p) - p p^T|` solves `sum p_i^2/(p_i - t) = 1`, between `max p(1-p)` and twice that.
///
/// Theorem: softmax-secular-equation.
mod softmax_has_the_norm_of_its_secular_equation {
    use super::*;

    fn explicit(p: &[f64]) -> f64 {
        let n = p.len();
        let entry = |i: usize, k: usize| f64::from(u8::from(i == k)) * p[i] - p[i] * p[k];
        let m: Vec<f64> = (0..n * n).map(|e| entry(e / n, e % n)).collect();
        extremes(&m, n, n).0
    }

    #[test]
    fn holds() {
        let logits = prop::collection::vec(-24i32..25, 1..14);
        check((logits, -4i32..3), |(logits, scale)| {
            let x: Vec<f64> = logits
                .iter()
                .map(|k| f64::from(*k) * 2f64.powi(scale))
                .collect();
            let p = softmax::softmax(&x).expect("finite");
            let (norm, truth) = (softmax::norm(&p).expect("finite"), explicit(&p));
            let slack = rounding(p.len());
            prop_assert!((norm - truth).abs() <= slack, "{norm} {truth}");
            let (lo, hi) = softmax::simple_bounds(&p);
            prop_assert!(lo <= norm + slack && norm <= hi + slack);
            Ok(())
        });
    }

    #[test]
    fn tight() {
        assert_eq!(softmax::norm(&[0.5, 0.5]), Ok(0.5));
        assert_eq!(softmax::norm(&[1.0]), Ok(0.0));
        assert_eq!(softmax::norm(&[1.0, 0.0]), Ok(0.0));
        // two outcomes: 2 p (1 - p), the upper of the simple bounds
        let two = softmax::norm(&[0.9, 0.1]).expect("finite");
        assert!((two - 0.18).abs() < 1e-16);
        assert!((softmax::simple_bounds(&[0.9, 0.1]).1 - 0.18).abs() < 1e-15);
    }

    #[test]
    fn notices() {
        // the norm of slightly different probabilities
        let p = [0.5, 0.3, 0.2];
        let off = [0.5 + 1e-9, 0.3 - 1e-9, 0.2];
        let (norm, other) = (softmax::norm(&p).expect("finite"), explicit(&off));
        assert!((norm - explicit(&p)).abs() < rounding(3));
        assert!((norm - other).abs() > 1e3 * rounding(3));
        assert!(softmax::norm(&[]).is_err() && softmax::softmax(&[1.0, f64::NAN]).is_err());
    }
}

/// Layer and RMS normalization divide by the spread, but for the direction they remove.
///
/// Theorem: normalization-jacobians.
mod normalizations_divide_by_the_spread {
    use super::*;

    /// `diag(gamma) (C - c c^T/(n s^2))/s`, `C` removing the mean or the identity.
    fn explicit(x: &[f64], gamma: &[f64], eps: f64, centred: bool) -> (f64, f64) {
        let n = x.len();
        let mean = match centred {
            true => x.iter().sum::<f64>() / n as f64,
            false => 0.0,
        };
        let c: Vec<f64> = x.iter().map(|v| v - mean).collect();
        let s2 = c.iter().map(|v| v * v).sum::<f64>() / n as f64 + eps;
        let entry = |i: usize, j: usize| {
            let centring = if centred { 1.0 / n as f64 } else { 0.0 };
            let g = gamma.get(i).copied().unwrap_or(1.0);
            g * (f64::from(u8::from(i == j)) - centring - c[i] * c[j] / (n as f64 * s2)) / s2.sqrt()
        };
        let m: Vec<f64> = (0..n * n).map(|e| entry(e / n, e % n)).collect();
        extremes(&m, n, n)
    }

    #[test]
    fn holds() {
        let draw = (
            prop::collection::vec(-8i32..9, 1..9),
            prop::collection::vec(-8i32..9, 9),
            prop::sample::select(vec![0.0, 1e-5, 0.3]),
            any::<(bool, bool)>(),
        );
        check_given(60, draw, |(x, gains, eps, (scaled, centred))| {
            let x: Vec<f64> = x.iter().map(|v| f64::from(*v) * 0.25).collect();
            let gamma: Vec<f64> = match scaled {
                true => gains[..x.len()]
                    .iter()
                    .map(|g| f64::from(*g) * 0.5)
                    .collect(),
                false => vec![],
            };
            let found = match centred {
                true => normalization::layer(&x, &gamma, eps),
                false => normalization::rms(&x, &gamma, eps),
            };
            // no spread and no eps: not differentiable
            let found = found.ok()?;
            let (top, bottom) = explicit(&x, &gamma, eps, centred);
            let slack = rounding(x.len()) * 4.0 / found.scale;
            Some((|| {
                prop_assert!(
                    top <= found.norm + slack && top >= found.norm_lower - slack,
                    "{found:?} {top}"
                );
                prop_assert!(bottom >= found.smallest - slack);
                if gamma.is_empty() {
                    prop_assert!(
                        (top - found.norm).abs() <= slack
                            && (bottom - found.smallest).abs() <= slack
                    );
                }
                Ok(())
            })())
        });
    }

    #[test]
    fn tight() {
        let rms = normalization::rms(&[3.0, -4.0, 0.0, 0.0], &[], 0.0).expect("spread");
        assert_eq!((rms.norm, rms.smallest, rms.scale), (0.4, 0.0, 2.5));
        // gamma on the removed directions is not felt: the lower end of the interval
        let x = [1.0, -1.0, 0.0];
        let g = normalization::layer(&x, &[2.0, 2.0, 2.0], 0.0).expect("spread");
        assert!((g.norm_lower - g.norm).abs() < 1e-14);
        let unit =
            normalization::batch_training(&[1.0, -1.0, 1.0, -1.0], -2.0, 0.0).expect("spread");
        assert_eq!((unit.norm, unit.smallest), (2.0, 0.0));
        assert_eq!(
            normalization::batch_inference(&[2.0, -3.0], &[3.0, 0.0], 1.0),
            Ok((1.0, 3.0))
        );
    }

    #[test]
    fn notices() {
        let x = [1.0, -1.0, 2.0, 0.5];
        let found = normalization::layer(&x, &[], 0.0).expect("spread");
        // the variance with n - 1 in place of n
        let wrong = 1.0 / (found.scale * (4.0f64 / 3.0).sqrt());
        let (top, _) = explicit(&x, &[], 0.0, true);
        assert!((top - found.norm).abs() < 1e-13 && (top - wrong).abs() > 0.1 * top);
        assert!(normalization::layer(&[1.0, 1.0], &[], 0.0).is_err());
        assert!(
            normalization::layer(&x, &[1.0], 0.0).is_err()
                && normalization::rms(&[], &[], 1.0).is_err()
        );
        assert!(normalization::batch_inference(&[1.0], &[0.0], 0.0).is_err());
    }
}

/// Pooling without overlap does not stretch; with overlap, by the root of the windows that share an entry.
///
/// Theorem: pooling-norms.
mod pooling_does_not_stretch {
    use super::*;

    const OUTPUTS: usize = 7;

    fn average(size: usize, stride: usize) -> f64 {
        let inputs = (OUTPUTS - 1) * stride + size;
        let mut m = vec![0.0; OUTPUTS * inputs];
        for o in 0..OUTPUTS {
            m[o * inputs + o * stride..][..size].fill(1.0 / size as f64);
        }
        extremes(&m, OUTPUTS, inputs).0
    }

    /// Every window takes the entry that as many others as possible take as well.
    fn maximum(size: usize, stride: usize) -> f64 {
        let inputs = (OUTPUTS - 1) * stride + size;
        let mut m = vec![0.0; OUTPUTS * inputs];
        let shared = size.div_ceil(stride);
        for o in 0..OUTPUTS {
            // groups of `shared` windows meet at the first entry of the group's last one
            let meeting = (o / shared * shared + shared - 1) * stride;
            m[o * inputs + meeting.clamp(o * stride, o * stride + size - 1)] = 1.0;
        }
        extremes(&m, OUTPUTS, inputs).0
    }

    #[test]
    fn holds() {
        for size in 1..7 {
            for stride in 1..7 {
                let slack = rounding(40);
                assert!(
                    average(size, stride) <= elementwise::average_pooling(size, stride) + slack
                );
                assert!(maximum(size, stride) <= elementwise::max_pooling(size, stride) + slack);
            }
        }
    }

    #[test]
    fn tight() {
        for size in 1..7 {
            for stride in size..7 {
                let bound = elementwise::average_pooling(size, stride);
                assert!((average(size, stride) - bound).abs() < rounding(40));
            }
            for stride in 1..7 {
                let bound = elementwise::max_pooling(size, stride);
                assert!(
                    (maximum(size, stride) - bound).abs() < rounding(40),
                    "{size} {stride}"
                );
            }
        }
    }

    #[test]
    fn notices() {
        // a bound that forgets the overlap
        assert!(maximum(3, 1) > elementwise::max_pooling(3, 3) + 0.7);
        assert!(average(4, 2) > elementwise::average_pooling(4, 4) + 0.1);
        assert_eq!(elementwise::embedding(&[3, 5, 3, 3, 3]), 2.0);
        assert_eq!(
            (
                elementwise::embedding(&[]),
                elementwise::dropout(&[false], 0.5)
            ),
            (0.0, 0.0)
        );
        assert_eq!(elementwise::dropout(&[true, false], 0.5), 2.0);
        let w = [3.0, 4.0, 30.0, 40.0];
        let d = elementwise::dense(&[1.0, 0.0], &MatrixRef::row_major(&w, 2, 2).expect("2 x 2"));
        let d = d.expect("finite");
        assert!(d.exact_product && d.enclosure.contains_scaled(5.0, 0));
    }
}

/// `|I + B|^2 <= 1 + 2 mu + |B|^2` with `mu` the largest eigenvalue of the symmetric part.
///
/// Theorem: residual-block-bounds.
mod a_turning_branch_stretches_less_than_its_norm {
    use super::*;

    fn bounds(b: &Exact) -> residual::ResidualBounds {
        b.view(|v| residual::residual(v).expect("square"))
    }

    fn block(b: &Exact) -> Vec<f64> {
        let m = foreign(b) + DMatrix::identity(b.rows, b.rows);
        m.transpose().as_slice().to_vec()
    }

    #[test]
    fn holds() {
        check(squares(6), |b| {
            let r = bounds(&b);
            let (top, bottom) = extremes(&block(&b), b.rows, b.rows);
            let slack = rounding(b.rows) * (1.0 + two(&b).hi);
            prop_assert!(
                top <= r.upper_by_log_norm + slack && bottom >= r.lower - slack,
                "{r:?} {top}"
            );
            prop_assert!(r.upper_by_log_norm <= r.upper);
            Ok(())
        });
    }

    #[test]
    fn tight() {
        let quarter = |x: [[i64; 2]; 2]| {
            let mut b = Exact::from_fn(2, 2, |i, j| x[i][j]);
            b.exponent = -2;
            b
        };
        let stretch = bounds(&quarter([[1, 0], [0, 1]]));
        assert!(
            (stretch.upper_by_log_norm - 1.25).abs() < 1e-13
                && (stretch.upper - 1.25).abs() < 1e-14
        );
        assert!((bounds(&quarter([[-1, 0], [0, -1]])).lower - 0.75).abs() < 1e-14);
        // a rotation: sqrt(1 + b^2)
        let turn = bounds(&quarter([[0, -1], [1, 0]]));
        assert!((turn.upper_by_log_norm - 1.0625f64.sqrt()).abs() < 1e-13);
    }

    #[test]
    fn notices() {
        let b = Exact::identity(2);
        let r = bounds(&b);
        let [top, _, _] = conditioning(&b.scaled(2));
        // I + B = 2 I: a bound without the symmetric part, sqrt(1 + |B|^2), would be too small
        assert!(top.lo > 2f64.sqrt() && r.upper_by_log_norm >= top.lo && r.log_norm > 0.999);
        let flat = Exact::from_fn(1, 2, |_, _| 1);
        assert!(flat.view(|v| residual::residual(v).is_err()));
    }
}

/// The Jacobian of attention in closed form, and its bound by three terms.
///
/// Theorem: attention-jacobian.
mod attention_is_bounded_by_three_terms {
    use super::*;
    use attention::{Attention, Head, MultiHead};

    fn drawn(seed: u64, tokens: usize) -> (Head, Vec<f64>) {
        let mut rng = stream(seed, 0, Purpose::Probe);
        let mut numbers =
            |n: usize| -> Vec<f64> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let head = Head {
            width: 4,
            key_width: 3,
            value_width: 2,
            query: numbers(12),
            key: numbers(12),
            value: numbers(8),
        };
        (head, numbers(tokens * 4))
    }

    fn norm(at: &Attention, inputs: usize) -> f64 {
        let j = at.jacobian();
        let rows = at.output().len();
        let view = MatrixRef::row_major(&j, rows, inputs).expect("a matrix");
        let (value, _, _) = norms::two(&view)
            .expect("finite")
            .to_linear()
            .expect("in range");
        value
    }

    fn norm_of(at: &MultiHead, inputs: usize) -> f64 {
        let j = at.jacobian();
        let view = MatrixRef::row_major(&j, at.output().len(), inputs).expect("a matrix");
        let norm = norms::two(&view).expect("finite").to_linear();
        norm.expect("in range").0
    }

    /// Several heads: the closed form is the sum of what the heads do, moves as differences say, and is bounded.
    #[test]
    fn holds_for_several_heads() {
        check(
            (any::<u64>(), 1usize..5, 1usize..4),
            |(seed, tokens, count)| {
                let (first, x) = drawn(seed, tokens);
                let more = (1..count as u64).map(|k| drawn(seed.wrapping_add(k), tokens).0);
                let heads: Vec<Head> = std::iter::once(first).chain(more).collect();
                let mut rng = stream(seed, 1, Purpose::Probe);
                let projection: Vec<f64> = (0..6 * count)
                    .map(|_| rng.random_range(-1.0..1.0))
                    .collect();
                let at = |x: &[f64]| MultiHead::at(&heads, &projection, x).expect("fits");
                let (here, n) = (at(&x), x.len());
                // entries that add up to 1 at most
                let direction: Vec<f64> = (0..n)
                    .map(|_| rng.random_range(-1.0..1.0) / n as f64)
                    .collect();
                let moved = here.jvp(&direction).expect("a tangent");
                let j = here.jacobian();
                // fourth-order differences: the 1e-9 of one head along one entry, times 26 = 5^5/5! for mixed
                // derivatives, times the six columns that an output sums
                let h = 2f64.powi(-10);
                let f = |d: f64| {
                    let y: Vec<f64> = x.iter().zip(&direction).map(|(x, v)| x + d * v).collect();
                    at(&y).output()
                };
                let (a, b, c, d) = (f(2.0 * h), f(h), f(-h), f(-2.0 * h));
                for (i, row) in j.chunks(n).enumerate() {
                    let product: f64 = row.iter().zip(&direction).map(|(a, b)| a * b).sum();
                    prop_assert!((product - moved[i]).abs() < 10.0 * rounding(n));
                    let slope = (8.0 * (b[i] - c[i]) - (a[i] - d[i])) / (12.0 * h);
                    prop_assert!((slope - moved[i]).abs() < 2e-7);
                }
                let (truth, bounds) = (norm_of(&here, n), here.bounds());
                prop_assert!(truth <= bounds.upper * (1.0 + rounding(n)));
                prop_assert!(bounds.upper <= bounds.upper_with_half * (1.0 + rounding(n)));
                Ok(())
            },
        );
    }

    #[test]
    fn holds() {
        check((any::<u64>(), 1usize..6), |(seed, tokens)| {
            let (head, x) = drawn(seed, tokens);
            let at = Attention::at(&head, &x).expect("fits");
            let (jacobian, n) = (at.jacobian(), x.len());
            for k in 0..n {
                // fourth-order differences at h = 2^-10: h^4 times a fifth derivative, which a softmax of scores of
                // size 1 keeps below 1e3, and u/h
                let h = 2f64.powi(-10);
                let f = |d: f64| {
                    let mut y = x.clone();
                    y[k] += d;
                    Attention::at(&head, &y).expect("fits").output()
                };
                let (a, b, c, d) = (f(2.0 * h), f(h), f(-h), f(-2.0 * h));
                let mut unit = vec![0.0; n];
                unit[k] = 1.0;
                let column = at.jvp(&unit).expect("a tangent");
                for i in 0..column.len() {
                    let slope = (8.0 * (b[i] - c[i]) - (a[i] - d[i])) / (12.0 * h);
                    prop_assert!((slope - jacobian[i * n + k]).abs() < 1e-9);
                    prop_assert!((column[i] - jacobian[i * n + k]).abs() < rounding(n));
                }
            }
            let (truth, bounds) = (norm(&at, n), at.bounds());
            prop_assert!(truth <= bounds.upper * (1.0 + rounding(n)));
            prop_assert!(bounds.upper <= bounds.upper_with_half * (1.0 + rounding(n)));
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // one token attends to itself: the value map alone
        let (head, x) = drawn(3, 1);
        let at = Attention::at(&head, &x).expect("fits");
        assert!((at.bounds().upper / norm(&at, 4) - 1.0).abs() < 1e-12);
        // heads of one token that read and write coordinates of their own, with equal norms: both bounds of several
        // heads are attained
        let head = |from: usize| Head {
            width: 4,
            key_width: 1,
            value_width: 2,
            query: vec![0.0; 4],
            key: vec![0.0; 4],
            value: (0..8)
                .map(|e| f64::from(u8::from(e / 2 == from + e % 2)))
                .collect(),
        };
        let identity: Vec<f64> = (0..16)
            .map(|e| f64::from(u8::from(e / 4 == e % 4)))
            .collect();
        let one = MultiHead::at(&[head(0)], &identity[..8], &x).expect("fits");
        assert!((one.bounds().upper - 1.0).abs() < 1e-12);
        assert!((norm_of(&one, 4) - 1.0).abs() < 1e-12);
        // a projection that reads the second head alone: the sum over heads is attained
        let mut last = identity.clone();
        last[..8].fill(0.0);
        let two = MultiHead::at(&[head(0), head(2)], &last, &x).expect("fits");
        assert!((two.bounds().upper - 1.0).abs() < 1e-12);
        assert!((norm_of(&two, 4) - 1.0).abs() < 1e-12);
        // heads that read the same coordinate and a projection that keeps them apart: the root of the sum of
        // squares is attained
        let both = MultiHead::at(&[head(0), head(0)], &identity, &x).expect("fits");
        assert!((both.bounds().upper - 2f64.sqrt()).abs() < 1e-12);
        assert!((norm_of(&both, 4) - 2f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn notices() {
        // scores twice as steep move the Jacobian
        let (mut head, x) = drawn(3, 4);
        let at = Attention::at(&head, &x).expect("fits");
        head.query.iter_mut().for_each(|q| *q *= 2.0);
        let steep = Attention::at(&head, &x).expect("fits");
        let moved = at
            .jacobian()
            .iter()
            .zip(steep.jacobian())
            .any(|(a, b)| (a - b).abs() > 1e-3);
        assert!(moved);
        let message = Attention::at(&head, &x[1..])
            .expect_err("one value short")
            .to_string();
        assert!(message.contains("15 values where 12"), "{message}");
        // heads whose blocks of the projection are exchanged are another map
        let heads = [drawn(3, 4).0, drawn(4, 4).0];
        let (blocks, x) = ([1.0, 0.0, 0.0, 1.0], drawn(3, 4).1);
        let one = MultiHead::at(&heads, &[&blocks[..], &[0.0; 4]].concat(), &x).expect("fits");
        let other = MultiHead::at(&heads, &[&[0.0; 4][..], &blocks].concat(), &x).expect("fits");
        let away = |a: &[f64], b: &[f64]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-3);
        assert!(away(&one.jacobian(), &other.jacobian()));
        assert!(!away(
            &one.jacobian(),
            &Attention::at(&heads[0], &x).expect("fits").jacobian()
        ));
        assert!(MultiHead::at(&heads, &[1.0; 6], &x).is_err());
        assert!(MultiHead::at(&[], &[1.0; 6], &x).is_err());
    }
}
