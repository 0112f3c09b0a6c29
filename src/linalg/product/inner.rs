//! Inner loops in both arithmetics. To be called from vectorised functions only.
//!
//! In double-double, sums of products keep their leading parts and the errors of these apart and
//! are normalised once (Ogita, Rump and Oishi, SIAM J. Sci. Comput. 26, 2005). Their errors are
//! relative to the sum of magnitudes rather than to a cancelled result, which is what the backward
//! error of every kernel here is made of.

use crate::linalg::dd::{Dd, Real, quick_two_sum, two_prod, two_sum};

/// Values handled together.
pub(super) const LANES: usize = 4;
/// One vector register of the least wide machine that matters.
pub(super) type Block = [f64; LANES];

/// A number with its inner loops. `Blocks` is [`LANES`] of them, part by part.
pub(super) trait Inner: Real {
    /// Numbers side by side.
    type Blocks: Copy;
    /// Zeros.
    const NONE: Self::Blocks;

    /// `x^T y`.
    fn dot(x: &[Self], y: &[Self]) -> Self;
    /// `y += a x`.
    fn axpy(y: &mut [Self], a: Self, x: &[Self]);
    /// `y + a x`.
    fn add_multiple(y: Self::Blocks, a: Self, x: Self::Blocks) -> Self::Blocks;
    /// `y + a x` for a plain double.
    fn add_scaled(y: Self::Blocks, a: f64, x: Self::Blocks) -> Self::Blocks;
    /// One of the numbers.
    fn get(x: &Self::Blocks, lane: usize) -> Self;
    /// Sets one of the numbers.
    fn set(x: &mut Self::Blocks, lane: usize, to: Self);
}

impl Inner for f64 {
    type Blocks = Block;
    const NONE: Block = [0.0; LANES];

    #[inline(always)]
    fn dot(x: &[f64], y: &[f64]) -> f64 {
        let mut acc = [0.0f64; 2 * LANES];
        let (xs, xt) = x.as_chunks::<{ 2 * LANES }>();
        let (ys, yt) = y.as_chunks::<{ 2 * LANES }>();
        for (a, b) in xs.iter().zip(ys) {
            for k in 0..2 * LANES {
                acc[k] = a[k].mul_add(b[k], acc[k]);
            }
        }
        let mut tail = 0.0f64;
        for (a, b) in xt.iter().zip(yt) {
            tail = a.mul_add(*b, tail);
        }
        tail + (((acc[0] + acc[4]) + (acc[1] + acc[5])) + ((acc[2] + acc[6]) + (acc[3] + acc[7])))
    }

    #[inline(always)]
    fn axpy(y: &mut [f64], a: f64, x: &[f64]) {
        let (ys, yt) = y.as_chunks_mut::<LANES>();
        let (xs, xt) = x.as_chunks::<LANES>();
        for (y, x) in ys.iter_mut().zip(xs) {
            *y = Self::add_scaled(*y, a, *x);
        }
        for (y, x) in yt.iter_mut().zip(xt) {
            *y = a.mul_add(*x, *y);
        }
    }

    #[inline(always)]
    fn add_multiple(y: Block, a: f64, x: Block) -> Block {
        Self::add_scaled(y, a, x)
    }

    #[inline(always)]
    fn add_scaled(mut y: Block, a: f64, x: Block) -> Block {
        for k in 0..LANES {
            y[k] = a.mul_add(x[k], y[k]);
        }
        y
    }

    #[inline(always)]
    fn get(x: &Block, lane: usize) -> f64 {
        x[lane]
    }

    #[inline(always)]
    fn set(x: &mut Block, lane: usize, to: f64) {
        x[lane] = to;
    }
}

/// `hi + lo + a b`, not normalised.
#[inline(always)]
fn accumulate((hi, lo): (f64, f64), a: Dd, b: Dd) -> (f64, f64) {
    let (p, e) = two_prod(a.hi, b.hi);
    let e = a.lo.mul_add(b.hi, a.hi.mul_add(b.lo, e));
    let (s, t) = two_sum(hi, p);
    (s, lo + (t + e))
}

/// `y + a x`, normalised.
#[inline(always)]
fn update(y: Dd, a: Dd, x: Dd) -> Dd {
    let (s, t) = accumulate((y.hi, y.lo), a, x);
    let (hi, lo) = quick_two_sum(s, t);
    Dd { hi, lo }
}

impl Inner for Dd {
    /// Leading and trailing parts.
    type Blocks = (Block, Block);
    const NONE: (Block, Block) = ([0.0; LANES], [0.0; LANES]);

    #[inline(always)]
    fn dot(x: &[Dd], y: &[Dd]) -> Dd {
        let (mut hi, mut lo) = Self::NONE;
        let (xs, xt) = x.as_chunks::<LANES>();
        let (ys, yt) = y.as_chunks::<LANES>();
        for (a, b) in xs.iter().zip(ys) {
            for k in 0..LANES {
                (hi[k], lo[k]) = accumulate((hi[k], lo[k]), a[k], b[k]);
            }
        }
        for ((a, b), k) in xt.iter().zip(yt).zip(0..LANES) {
            (hi[k], lo[k]) = accumulate((hi[k], lo[k]), *a, *b);
        }
        let (s, e) = two_sum(hi[0], hi[1]);
        let (t, f) = two_sum(hi[2], hi[3]);
        let (s, g) = two_sum(s, t);
        let rest = ((lo[0] + lo[1]) + (lo[2] + lo[3])) + ((e + f) + g);
        let (hi, lo) = two_sum(s, rest);
        Dd { hi, lo }
    }

    #[inline(always)]
    fn axpy(y: &mut [Dd], a: Dd, x: &[Dd]) {
        let (ys, yt) = y.as_chunks_mut::<LANES>();
        let (xs, xt) = x.as_chunks::<LANES>();
        for (y, x) in ys.iter_mut().zip(xs) {
            let mut sum = *y;
            for k in 0..LANES {
                sum[k] = update(sum[k], a, x[k]);
            }
            *y = sum;
        }
        for (y, x) in yt.iter_mut().zip(xt) {
            *y = update(*y, a, *x);
        }
    }

    #[inline(always)]
    fn add_multiple(y: Self::Blocks, a: Dd, x: Self::Blocks) -> Self::Blocks {
        let (mut hi, mut lo) = Self::NONE;
        for k in 0..LANES {
            let x = Dd {
                hi: x.0[k],
                lo: x.1[k],
            };
            (hi[k], lo[k]) = accumulate((y.0[k], y.1[k]), a, x);
            (hi[k], lo[k]) = quick_two_sum(hi[k], lo[k]);
        }
        (hi, lo)
    }

    #[inline(always)]
    fn add_scaled(y: Self::Blocks, a: f64, x: Self::Blocks) -> Self::Blocks {
        let (mut hi, mut lo) = Self::NONE;
        for k in 0..LANES {
            let (p, e) = two_prod(a, x.0[k]);
            let (s, t) = two_sum(y.0[k], p);
            let rest = y.1[k] + (t + a.mul_add(x.1[k], e));
            (hi[k], lo[k]) = quick_two_sum(s, rest);
        }
        (hi, lo)
    }

    #[inline(always)]
    fn get(x: &Self::Blocks, lane: usize) -> Dd {
        Dd {
            hi: x.0[lane],
            lo: x.1[lane],
        }
    }

    #[inline(always)]
    fn set(x: &mut Self::Blocks, lane: usize, to: Dd) {
        (x.0[lane], x.1[lane]) = (to.hi, to.lo);
    }
}
