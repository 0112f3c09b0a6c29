//! Convolutions on tori and between zeros.

use super::convolved::{Draw, tori, zeros};
use super::gallery::dyadic;
use super::structured::Exact;
use super::support::{Limits, Outcome, U, check, check_few, check_given, gamma, second_opinion};
use dashu_int::IBig;
use isometer::bounds::convolution::{ConvolutionOptions, convolution_condition};
use isometer::linalg::convolution::{Convolution, GeometryError, Padding, resolution_free_bound};
use isometer::linalg::parts::{Frequency, Stencil};
use isometer::scale::Enclosure;
use isometer::verify::claims;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn limits(e: Enclosure) -> Limits {
    e.into()
}

/// Whether limits can hold a number known to within `error`.
fn holds_within(l: Limits, x: f64, error: f64) -> bool {
    l.lo <= x + error && x - error <= l.hi
}

/// The norm of the matrix of a draw.
fn norm(draw: &Draw) -> Option<(f64, f64)> {
    second_opinion(&draw.matrix()).map(|(values, error)| (values[0], error))
}

/// On a torus the norm of one channel is the largest modulus of its symbol, at most `k |K|_F`.
///
/// Theorem: convolution-norm.
mod one_channel_has_the_norm_of_its_symbol {
    use super::*;

    /// The largest modulus of the symbol over the frequencies of the torus, and its error.
    fn modulus(draw: &Draw) -> (f64, f64) {
        let [h, w] = draw.geometry.size;
        let angle = |j: usize, n: usize| std::f64::consts::TAU * (j % n) as f64 / n as f64;
        let at = |f: usize| {
            let parts = draw.every_tap().map(|t| {
                let turn = angle(f / w * t[0], h) + angle(f % w * t[1], w);
                let (s, c) = turn.sin_cos();
                let k = draw.tap(0, 0, t) as f64;
                [k * c, k * s]
            });
            let [re, im] = parts.fold([0.0; 2], |[a, b], [x, y]| [a + x, b + y]);
            re.hypot(im)
        };
        let total: f64 = draw.values.iter().map(|x| x.abs() as f64).sum();
        // angles below 4 pi with four roundings, then sine, cosine and the sums
        let error = gamma(draw.values.len() + 80) * total;
        ((0..h * w).map(at).fold(0.0, f64::max), error)
    }

    fn frobenius(draw: &Draw) -> f64 {
        let squares = draw.values.iter().map(|x| x * x).sum::<i64>();
        (squares as f64).sqrt()
    }

    #[test]
    fn holds() {
        let sides = (1usize..=4).prop_flat_map(|k| (Just(k), k..k + 4));
        check((sides, any::<u64>()), |((k, n), seed)| {
            let draw = Draw::square(&[], [k, k], [n, n], Padding::Circular).random(seed);
            let found = limits(draw.build().torus_norm());
            let (largest, error) = modulus(&draw);
            prop_assert!(holds_within(found, largest, error), "{found:?} {largest}");
            let most = k as f64 * frobenius(&draw);
            prop_assert!(found.lo <= most * (1.0 + 4.0 * U), "{found:?} {most}");
            Ok(())
        });
        let claim = claims::find("spectral-norm-makes-conv-lipschitz").unwrap();
        assert_eq!(claim.evidence().unwrap().verdict(), Some(claim.verdict));
    }

    #[test]
    fn tight() {
        for (k, n) in [(1, 1), (2, 5), (3, 3), (4, 6)] {
            let c = Draw::square(&vec![-7; k * k], [k, k], [n, n], Padding::Circular).build();
            let found = limits(c.torus_norm());
            assert!(found.contains(7.0 * (k * k) as f64) && found.is_narrow(1e-12));
            // which is k times what the reshaped kernel shows
            assert!(limits(c.kernel().reshaped_norm()).contains(7.0 * k as f64));
        }
    }

    #[test]
    fn notices() {
        // any factor below k
        let ones = Draw::square(&[1; 9], [3, 3], [6, 6], Padding::Circular);
        assert!(limits(ones.build().torus_norm()).lo > (3.0 - 1e-9) * frobenius(&ones));
        // and zeros for padding: the symbol on two points vanishes, the map does not
        let line = Draw::line(&[1, 0, -1], 2, Padding::Same);
        assert!(modulus(&line).0 < 1e-14);
        assert!((norm(&line).unwrap().0 - 1.0).abs() < 1e-14);
    }
}

/// The norm at any size is at most that on one grid over `cos(pi n/(2 M))` an axis.
///
/// Theorem: grid-maximum.
mod a_grid_bounds_every_size {
    use super::*;

    fn bound(draw: &Draw, points: usize) -> Option<f64> {
        let g = &draw.geometry;
        resolution_free_bound(&draw.kernel(), g.stride, g.dilation, points).map(|e| limits(e).hi)
    }

    #[test]
    fn holds() {
        let sizes = [1usize..6, 1usize..6];
        check_few(2, (zeros(), sizes, 3usize..12), |(draw, sizes, points)| {
            let Some(most) = bound(&draw, points) else {
                // more steps than points: 2 taps apart at most
                prop_assert!((0..2).any(|a| draw.reach(a) / draw.geometry.stride[a] >= points));
                return Ok(());
            };
            let size = [0, 1].map(|a| sizes[a] * draw.geometry.stride[a]);
            for other in [draw.clone(), draw.on(size, Padding::Circular)] {
                if let Some((found, error)) = norm(&other) {
                    prop_assert!(found - error <= most, "{found} {most}");
                }
            }
            Ok(())
        });
    }

    /// `1 - exp(i n w)`, as far from the grid as can be where its modulus is 2.
    fn comb(n: usize) -> Draw {
        let mut values = vec![0; n + 1];
        (values[0], values[n]) = (1, -1);
        Draw::line(&values, 2 * n, Padding::Circular)
    }

    #[test]
    fn tight() {
        for (n, odd) in [(1, 3), (1, 11), (2, 3), (3, 5)] {
            let most = bound(&comb(n), n * odd).unwrap();
            // the torus of 2n points has the frequency pi/n
            let least = limits(comb(n).build().torus_norm()).lo;
            assert!((least - 2.0).abs() < 1e-13, "{least}");
            assert!((2.0..2.0 + 1e-12).contains(&most), "{n} {odd} {most}");
        }
    }

    #[test]
    fn notices() {
        let grid = |n: usize, points| {
            limits(
                comb(n)
                    .on([1, points], Padding::Circular)
                    .build()
                    .torus_norm(),
            )
        };
        // the grid alone, and the factor of a grid that is a little finer
        for (n, points) in [(1, 5), (2, 6)] {
            let top = grid(n, points).hi;
            assert!(top < 2.0 - 1e-3);
            let angle = std::f64::consts::FRAC_PI_2 * n as f64 / (points as f64 + 1e-6);
            assert!(top / angle.cos() < 2.0 - 1e-9);
        }
        // a grid no finer than the span sees nothing at all
        assert!(grid(3, 3).hi < 1e-13);
        assert_eq!(bound(&comb(3), 3), None);
    }
}

/// The singular values on a torus are those of the symbols, one block of columns for each phase.
///
/// Theorem: polyphase-symbol.
mod symbols_share_the_singular_values_of_the_map {
    use super::*;

    fn agree(c: &Convolution, truth: &[f64], error: f64) -> bool {
        let s = c.torus_spectrum().expect("converges");
        let unit = 2f64.powi(s.exponent as i32);
        let near = |(a, b): (&f64, &f64)| (a * unit - b).abs() <= s.error * unit + error;
        s.values.len() == truth.len() && s.values.iter().zip(truth).all(near)
    }

    #[test]
    fn holds() {
        check_given(5, tori(), |draw| {
            let (truth, error) = second_opinion(&draw.matrix())?;
            let same = agree(&draw.build(), &truth, error);
            let far = || Err(TestCaseError::fail(format!("{truth:?}")));
            Some(if same { Ok(()) } else { far() })
        });
    }

    /// `[3, 4]` at stride 2: every symbol is the row `[3, 4]`.
    fn pairs() -> Draw {
        let mut draw = Draw::line(&[3, 4], 10, Padding::Circular);
        draw.geometry.stride = [1, 2];
        draw
    }

    #[test]
    fn tight() {
        assert!(agree(&pairs().build(), &[5.0; 5], 0.0));
        // 1 + exp(i w) on 6 points
        let cosine = |j: f64| 2.0 * (std::f64::consts::PI * j / 6.0).cos();
        let truth = [0.0, 1.0, 1.0, 2.0, 2.0, 3.0].map(cosine);
        let c = Draw::line(&[1, 1], 6, Padding::Circular).build();
        assert!(agree(&c, &truth, 8.0 * U));
    }

    #[test]
    fn notices() {
        // phases run together: |3 + 4 exp(i w)| on 5 points
        let together = |j: f64| (25.0 + 24.0 * (std::f64::consts::TAU * j / 5.0).cos()).sqrt();
        let merged = [0.0, 1.0, 4.0, 2.0, 3.0].map(together);
        assert!(!agree(&pairs().build(), &merged, 1e-6));
        // a stride that does not step around the torus evenly
        let mut uneven = pairs();
        uneven.geometry.size[1] = 9;
        assert!(matches!(
            uneven.try_build(),
            Err(GeometryError::Stride { size: 9, stride: 2 })
        ));
    }
}

/// Computed symbols are within `gamma_(T+18)` of the sums of the magnitudes of their taps.
///
/// Theorem: symbol-error.
mod computed_symbols_are_near_the_exact_ones {
    use super::*;

    /// Binary places of the exact waves; their error is in the last dozen.
    const PLACES: usize = 160;

    fn pi() -> IBig {
        let arctan = |x: i64| -> IBig {
            let mut power = (IBig::ONE << PLACES) / x;
            let mut sum = IBig::ZERO;
            for k in 0..PLACES as i64 {
                let term = &power / (2 * k + 1);
                sum += if k % 2 == 0 { term } else { -term };
                power /= x * x;
            }
            sum
        };
        // Machin
        (arctan(5) * 4 - arctan(239)) * 4
    }

    /// `exp(2 pi i j / n)` by its series.
    fn wave(j: usize, n: usize) -> [IBig; 2] {
        let angle = pi() * 2 * j / n;
        let mut term = IBig::ONE << PLACES;
        let mut parts = [IBig::ZERO, IBig::ZERO];
        for k in 1usize.. {
            if term == IBig::ZERO {
                break;
            }
            let sign = if (k - 1) % 4 < 2 { 1 } else { -1 };
            parts[(k - 1) % 2] += &term * sign;
            term = ((term * &angle) >> PLACES) / k;
        }
        parts
    }

    /// Sums of the magnitudes of the taps of each entry of the symbols of a group, `c_out x c_in s`.
    fn magnitudes(draw: &Draw, group: usize) -> Exact {
        let out = draw.outputs / draw.groups;
        let s = draw.geometry.stride;
        Exact::from_fn(out, draw.inputs * s[0] * s[1], |o, col| {
            let taps = draw
                .every_tap()
                .filter(|t| phase(draw, *t) == col / draw.inputs);
            let sizes = taps.map(|t| draw.tap(group * out + o, col % draw.inputs, t).abs());
            sizes.sum()
        })
    }

    fn phase(draw: &Draw, t: [usize; 2]) -> usize {
        let g = &draw.geometry;
        let [a, b] = [0, 1].map(|axis| g.dilation[axis] * t[axis] % g.stride[axis]);
        a * g.stride[1] + b
    }

    /// The exact symbol, row by row.
    fn exact(draw: &Draw, group: usize, f: Frequency) -> Vec<[IBig; 2]> {
        let g = &draw.geometry;
        let out = draw.outputs / draw.groups;
        let cols = draw.inputs * g.stride[0] * g.stride[1];
        let mut symbol = vec![[IBig::ZERO, IBig::ZERO]; out * cols];
        for t in draw.every_tap() {
            let [[a, b], [c, d]] = [0, 1].map(|axis| {
                let n = draw.points(axis);
                let steps = g.dilation[axis] * t[axis] / g.stride[axis];
                wave(f.index[axis] * steps % n, n)
            });
            let wave = [(&a * &c - &b * &d) >> PLACES, (a * d + b * c) >> PLACES];
            for o in 0..out {
                for i in 0..draw.inputs {
                    let k = draw.tap(group * out + o, i, t);
                    let entry = &mut symbol[o * cols + phase(draw, t) * draw.inputs + i];
                    entry[0] += &wave[0] * k;
                    entry[1] += &wave[1] * k;
                }
            }
        }
        symbol
    }

    /// The largest error of an entry of the symbols of `computed` against those of `truth`, over the sum of
    /// magnitudes of its taps.
    fn worst(computed: &Draw, truth: &Draw) -> f64 {
        let c = computed.build();
        let stencil = Stencil::new(&c);
        let mut worst = 0.0f64;
        for group in 0..computed.groups {
            let sizes = magnitudes(truth, group);
            let (rows, cols) = (sizes.rows, sizes.cols);
            // stored so that it is tall
            let transposed = rows < cols;
            for f in stencil.half_grid() {
                let symbol = stencil.evaluate(group, f).stacked;
                for (at, exact) in exact(truth, group, f).iter().enumerate() {
                    let (o, col) = (at / cols, at % cols);
                    let (i, j) = if transposed { (col, o) } else { (o, col) };
                    let parts = [0, 1].map(|part| {
                        let x = symbol[(part * rows.max(cols) + i, j)];
                        let (num, den) = dyadic(x, c.kernel().exponent() + PLACES as i64);
                        (num / den - &exact[part]).to_f64().value() * 2f64.powi(-(PLACES as i32))
                    });
                    let off = parts[0].hypot(parts[1]);
                    if sizes.get(o, col) == 0 {
                        assert_eq!(off, 0.0);
                    } else {
                        worst = worst.max(off / sizes.get(o, col) as f64);
                    }
                }
            }
        }
        worst
    }

    fn taps(draw: &Draw) -> usize {
        draw.taps[0] * draw.taps[1]
    }

    #[test]
    fn holds() {
        check_few(4, tori(), |draw| {
            let relative = gamma(taps(&draw) + 18);
            prop_assert!(worst(&draw, &draw) <= relative);
            // and what is charged is no less than the statement
            let c = draw.build();
            let charged = Stencil::new(&c).error() * 2f64.powi(c.kernel().exponent() as i32);
            for group in 0..draw.groups {
                if let Some((sizes, error)) = second_opinion(&magnitudes(&draw, group)) {
                    prop_assert!(charged >= relative * (sizes[0] - error));
                }
            }
            Ok(())
        });
    }

    /// The last of four taps, so that every frequency has its own wave.
    fn waves(n: usize) -> Draw {
        Draw::square(&[0, 0, 0, 1], [2, 2], [n, n], Padding::Circular)
    }

    #[test]
    fn tight() {
        // waves alone are off by more than their own rounding
        let found = [7, 11].map(|n| worst(&waves(n), &waves(n)));
        let found = found[0].max(found[1]);
        assert!(U < found && found <= gamma(22), "{}", found / U);
        // and the sums of magnitudes are a symbol: that of positive taps at frequency 0
        let ones = Draw::line(&[1; 5], 8, Padding::Circular);
        assert!(limits(ones.build().torus_norm()).contains(magnitudes(&ones, 0).at(0, 0)));
    }

    #[test]
    fn notices() {
        // 2^48 and one more, which is beyond 19 units in 2^53
        let at = |x| Draw::line(&[x], 3, Padding::Circular);
        let (a, b) = (at(1 << 48), at((1 << 48) + 1));
        assert!(worst(&a, &a) <= gamma(19) && worst(&a, &b) > gamma(19));
        // taps at other places than those of the statement
        let moved = Draw::square(&[0, 0, 1, 0], [2, 2], [5, 5], Padding::Circular);
        assert!(worst(&moved, &waves(5)) > 0.1);
    }
}

/// One threshold for every frequency, and what does not pass it one by one, enclose both ends on a torus.
///
/// Theorem: threshold-race.
mod thresholds_enclose_both_ends_on_a_torus {
    use super::*;

    fn ends(draw: &Draw) -> [Limits; 2] {
        let x = draw.build().torus_extremes();
        [limits(x.largest), limits(x.smallest)]
    }

    fn enclose(found: [Limits; 2], truth: &[f64], error: f64) -> bool {
        holds_within(found[0], truth[0], error)
            && holds_within(found[1], truth[truth.len() - 1], error)
    }

    #[test]
    fn holds() {
        let property = |draw: &Draw, truth: &[f64], error: f64| -> Outcome {
            let found = ends(draw);
            prop_assert!(enclose(found, truth, error), "{found:?} {truth:?}");
            prop_assert!(found[0].is_narrow(1e-11), "{found:?}");
            let least = truth[truth.len() - 1];
            prop_assert!(found[1].lo > 0.0 || least < 1e-9 * truth[0], "{found:?}");
            prop_assert_eq!(limits(draw.build().torus_norm()), found[0]);
            Ok(())
        };
        check_given(5, tori(), |draw| {
            let (truth, error) = second_opinion(&draw.matrix())?;
            Some(property(&draw, &truth, error))
        });
    }

    fn laplacian(middle: i64, rest: i64) -> Draw {
        let r = rest;
        let values = [0, r, 0, r, middle, r, 0, r, 0];
        Draw::square(&values, [3, 3], [8, 8], Padding::Circular)
    }

    #[test]
    fn tight() {
        // a shift of each of two channels: every frequency ties
        let mut shift = Draw::square(&[0; 36], [3, 3], [9, 8], Padding::Circular);
        (shift.outputs, shift.inputs) = (2, 2);
        (shift.values[3], shift.values[9 * 3 + 7]) = (1, 1);
        for found in ends(&shift) {
            assert!(found.contains(1.0) && found.is_narrow(1e-11), "{found:?}");
        }
        // singular at frequency 0, where the sums are exact
        let [top, bottom] = ends(&laplacian(-4, 1));
        assert!(top.contains(8.0));
        assert_eq!(bottom, Limits::point(0.0));
    }

    #[test]
    fn notices() {
        // a Laplacian a little off is not singular
        let off = laplacian(-4001, 1000);
        let [_, bottom] = ends(&off);
        assert!(
            bottom.lo > 0.0 && (bottom.hi - 1.0).abs() < 1e-9,
            "{bottom:?}"
        );
        // and limits hold no other map's values, however near
        let (truth, error) = second_opinion(&off.matrix()).unwrap();
        assert!(enclose(ends(&off), &truth, error));
        let (near, error) = second_opinion(&laplacian(-4001, 1001).matrix()).unwrap();
        assert!(!enclose(ends(&off), &near, error));
    }
}

/// A zero-padded convolution is a submatrix of that on a torus with room for its zeros.
///
/// Theorem: torus-embedding.
mod larger_tori_contain_zero_padded_convolutions {
    use super::*;

    /// Points of the least torus along an axis.
    fn room(draw: &Draw, axis: usize) -> usize {
        let (n, s) = (draw.geometry.size[axis], draw.geometry.stride[axis]);
        let (before, reach) = (draw.before(axis), draw.reach(axis));
        let end = s * (draw.points(axis) - 1) + reach + 1;
        let after = end.saturating_sub(before + n);
        (n + before.min(reach).max(after.min(reach))).next_multiple_of(s)
    }

    /// Whether the matrix, without rows that vanish, is a submatrix of the one on a torus of `size` points, point `x` of the
    /// input being point `x + before` of the torus.
    fn is_submatrix(draw: &Draw, size: [usize; 2]) -> bool {
        let torus = draw.on(size, Padding::Circular);
        let (small, large) = (draw.matrix(), torus.matrix());
        let place = |index: usize, from: [usize; 2], to: [usize; 2], shift: [usize; 2]| {
            let (y, x) = (index / from[1] % from[0], index % from[1]);
            let channel = index / (from[0] * from[1]);
            (channel * to[0] + (y + shift[0]) % to[0]) * to[1] + (x + shift[1]) % to[1]
        };
        let [from, to] = [draw, &torus].map(|d| [d.points(0), d.points(1)]);
        let shift = [draw.before(0), draw.before(1)];
        let mut used = BTreeSet::new();
        (0..small.rows).all(|row| {
            if (0..small.cols).all(|col| small.get(row, col) == 0) {
                return true;
            }
            let at = place(row, from, to, [0, 0]);
            let same = |col| {
                let image = place(col, draw.geometry.size, size, shift);
                small.get(row, col) == large.get(at, image)
            };
            used.insert(at) && (0..small.cols).all(same)
        })
    }

    #[test]
    fn holds() {
        check_few(2, zeros(), |draw| {
            let size = [room(&draw, 0), room(&draw, 1)];
            prop_assert!(is_submatrix(&draw, size), "{size:?}");
            if let Some((found, error)) = norm(&draw) {
                let most = limits(draw.build().zero_padding_bound()).hi;
                prop_assert!(found - error <= most, "{found} {most}");
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // a shift that leaves something inside, and taps that do not overlap
        let shift = Draw::line(&[5, 0, 0], 4, Padding::Same);
        let mut pairs = Draw::line(&[3, 4], 6, Padding::Zeros(0));
        pairs.geometry.stride = [1, 2];
        for draw in [shift, pairs] {
            let bound = limits(draw.build().zero_padding_bound());
            assert!(bound.contains(5.0) && bound.is_narrow(1e-12), "{bound:?}");
        }
        // too large to write down: eigenvalues 2 + 2 cos(pi j/29) along each axis
        let smooth = Draw::square(
            &[1, 2, 1, 2, 4, 2, 1, 2, 1],
            [3, 3],
            [28, 28],
            Padding::Same,
        );
        let truth = (2.0 + 2.0 * (std::f64::consts::PI / 29.0).cos()).powi(2);
        let found = convolution_condition(&smooth.build(), &ConvolutionOptions::default()).unwrap();
        let norm = limits(found.conditioning.sigma_max.enclosure);
        assert!(norm.contains(truth) && norm.is_narrow(0.01), "{norm:?}");
        assert_eq!(found.bounds.len(), 3);
        for b in found.bounds {
            let value = limits(b.value).lo;
            assert_eq!(b.upper, value >= truth, "{} {value}", b.name);
        }
    }

    #[test]
    fn notices() {
        // on as many points as there are inputs the taps cancel
        let line = Draw::line(&[1, 0, -1], 2, Padding::Same);
        assert!(is_submatrix(&line, [1, 3]) && !is_submatrix(&line, [1, 2]));
        let c = line.build();
        assert!(limits(c.torus_norm()).hi < 1e-14 && limits(c.zero_padding_bound()).hi >= 1.0);
        // and it is not the only kernel whose own torus falls short
        let short = (0..100).filter(|&seed| {
            let draw = Draw::square(&[], [2, 3], [3, 3], Padding::Same).random(seed);
            let own = limits(draw.build().torus_norm()).hi;
            norm(&draw).is_some_and(|(found, error)| own < found - error)
        });
        assert!(short.count() > 1);
    }
}
