//! Certified enclosures of the extreme singular values: the ladder.
//!
//! | rung | proof | cost (flops) | reach |
//! |---|---|---|---|
//! | structure | read off the entries | O(mn) | exact |
//! | `gram` | deflated Cholesky gap, Kato-Temple | mn^2 + n^3 | kappa^2 u n < 1 |
//! | `factor` | approximate inverse factor, Kato-Temple | 3mn^2 + 2n^3 | kappa u n^1.5 < 1 |
//! | `doubledouble` | the same in 106 bits | about 100 mn^2 | kappa to 1e27 |
//! | exact | rational arithmetic | small or sparse-valued matrices | any kappa |
//!
//! Every rung returns an interval that is true whether or not the next one is climbed; intervals
//! are intersected. What no rung can bound below is reported with `lo = 0`.
//!
//! All proofs assume IEEE arithmetic rounded to nearest without flush-to-zero, which Rust
//! guarantees on its supported platforms, and conventional matrix products (`dense`).

pub mod doubledouble;
pub mod factor;
pub mod gram;
pub mod temple;

use super::condition::Method;
use super::dense;
use super::extended::DdVec;
use super::rounding::{sqrt_down, sqrt_up, up};
use gram::{Limits, Problem};

/// Relative width below which an enclosure is not worth another rung.
const NARROW: f64 = 1e-10;

/// Largest `m n^2` for which the double-double rung is climbed: some seconds on one core.
const DOUBLE_DOUBLE_WORK: f64 = 4e8;

/// Limits of the extreme singular values of a scaled matrix, and how they were proved.
#[derive(Clone, Copy, Debug)]
pub struct Extremes {
    /// Limits of the largest singular value.
    pub largest: Limits,
    /// Limits of the smallest of the `n` singular values.
    pub smallest: Limits,
    /// Best guess of the smallest singular value, inside the limits.
    pub smallest_value: f64,
    /// The rung that gave the limits of the smallest value.
    pub method: Method,
}

fn width(l: &Limits) -> f64 {
    if l.hi == l.lo { 0.0 } else { (l.hi - l.lo) / l.lo }
}

/// Climbs the floating-point rungs until the enclosure is narrow or the work would be unreasonable.
pub fn extremes(p: &Problem) -> Extremes {
    let n = p.order();
    let g = p.gram();
    let top = gram::certify_top(p, &g);
    let largest = Limits {
        lo: sqrt_down(top.largest.lo),
        hi: sqrt_up(top.largest.hi),
    };
    let mut out = Extremes {
        largest,
        smallest: Limits {
            lo: 0.0,
            hi: largest.hi,
        },
        smallest_value: 0.0,
        method: Method::Gram,
    };
    if let Some(b) = gram::certify_bottom(p, &g) {
        out.smallest = Limits {
            lo: sqrt_down(b.smallest.lo),
            hi: sqrt_up(b.smallest.hi),
        };
        out.smallest_value = middle(&out.smallest);
        if width(&out.smallest) <= NARROW {
            return out;
        }
    }
    drop(g);
    let mut l = dense::qr_factor_lower(p.a.as_ref());
    if let Some(s) = factor::certify_smallest(p, &l) {
        out.improve(s.sigma, Method::InverseFactor);
        if width(&out.smallest) <= NARROW {
            return out;
        }
    }
    let work = p.a.nrows() as f64 * (n as f64).powi(2);
    if work <= DOUBLE_DOUBLE_WORK
        && let Some(s) = doubledouble::certify_smallest(p)
    {
        out.improve(s.sigma, Method::DoubleDouble);
        if width(&out.smallest) > NARROW {
            // a cluster at the bottom has no gap to use; elsewhere the gap is now proved
            let sharp = factor::sharpen(p, &l, s);
            out.improve(sharp.sigma, Method::DoubleDouble);
        }
    }
    if out.smallest.lo == 0.0 {
        // Nothing proves a positive value. Any vector still bounds it from above.
        upper_from_vector(p, &mut l, &mut out);
    }
    out
}

impl Extremes {
    /// Intersects the limits of the smallest singular value with another proved interval.
    pub fn improve(&mut self, with: Limits, method: Method) {
        let narrower = self.smallest.lo == 0.0 || width(&with) < width(&self.smallest);
        if narrower {
            self.method = method;
            self.smallest_value = middle(&with);
        }
        self.smallest.lo = self.smallest.lo.max(with.lo);
        self.smallest.hi = self.smallest.hi.min(with.hi);
        self.smallest_value = self.smallest_value.clamp(self.smallest.lo, self.smallest.hi);
    }
}

fn middle(l: &Limits) -> f64 {
    l.lo + 0.5 * (l.hi - l.lo)
}

/// `sigma_min <= |Av|/|v|` for the vector that inverse iteration suggests.
fn upper_from_vector(p: &Problem, l: &mut faer::Mat<f64>, out: &mut Extremes) {
    let n = p.order();
    // pivots at rounding level would overflow the solves; any floor will do for a suggestion
    let floor = 1e-18 * p.frobenius;
    for i in 0..n {
        if !(l[(i, i)].abs() >= floor) {
            l[(i, i)] = floor;
        }
    }
    let mut best = f64::INFINITY;
    if let Some(ritz) = gram::smallest_ritz(l, 1e-10)
        && let Some(q) = temple::quotient(&p.a, &DdVec::from_f64(ritz.vector), p.frobenius)
    {
        best = sqrt_up(q.rho_hi);
    }
    // the shortest column is another vector, and an exact zero one where a column vanishes
    for j in 0..n {
        let c = p.a.col_as_slice(j);
        if c.iter().all(|&x| x == 0.0) {
            best = 0.0;
        }
        best = best.min(up(dense::norm2(c) * 1.0000001 + 1e-160));
    }
    out.smallest.hi = out.smallest.hi.min(best);
    out.smallest_value = out.smallest.hi;
}
