//! Runs of convolutions on one torus are convolutions: their kernels are multiplied out, rounding charged.

use crate::bounds::product::{frobenius_up, ln_hi};
use crate::linalg::convolution::{Convolution, Kernel, Layout};
use crate::linalg::dense::{self, Matrix};
use crate::linalg::rounding::{gamma, up};
use crate::linalg::view::MatrixRef;

/// Operations that the norms of all runs may cost.
const WORK: f64 = 4e10;

/// A product of convolutions, `2^exponent` times the convolution with these taps.
struct Run {
    taps: Vec<Matrix>,
    extent: [usize; 2],
    exponent: i64,
    /// Upper bound of the norm of the difference to the exact product, without the exponent.
    error: f64,
}

/// `ln` of the least product of norms over all cuts, from `ln` of each layer's own norm; `None` where no two
/// neighbours can be multiplied out.
pub(super) fn runs(layers: &[Option<&Convolution>], own: &[f64]) -> Option<f64> {
    let depth = layers.len();
    let mut best = vec![f64::INFINITY; depth + 1];
    best[0] = 0.0;
    let (mut spent, mut useful) = (0.0, false);
    for from in 0..depth {
        let relax = |best: &mut Vec<f64>, to: usize, ln: f64| {
            let total = best[from] + ln;
            best[to] = best[to].min(total + total.abs() * 2.0 * f64::EPSILON);
        };
        relax(&mut best, from + 1, own[from]);
        let Some(first) = layers[from].filter(|c| fits(c, c)) else {
            continue;
        };
        let mut run = Run::start(first);
        for (to, next) in layers.iter().enumerate().skip(from + 1) {
            let Some(next) = next.filter(|c| fits(first, c)) else {
                break;
            };
            spent += cost(first, next, &run);
            if spent > WORK {
                break;
            }
            let Some(longer) = run.extended(next) else {
                break;
            };
            run = longer;
            let Some(ln) = run.ln_norm(first) else {
                break;
            };
            useful = true;
            relax(&mut best, to + 1, ln);
        }
    }
    useful.then_some(best[depth])
}

/// Whether a convolution continues one on the torus of the first: no stride, no groups, the same dilation.
fn fits(first: &Convolution, c: &Convolution) -> bool {
    let (a, b) = (first.geometry(), c.geometry());
    c.is_circular()
        && first.is_circular()
        && a.size == b.size
        && b.stride == [1, 1]
        && a.dilation == b.dilation
        && c.kernel().groups() == 1
        && c.kernel().axes() == first.kernel().axes()
}

/// Operations of multiplying out and of proving the norm, roughly.
fn cost(first: &Convolution, next: &Convolution, run: &Run) -> f64 {
    let points = (first.output()[0] * first.output()[1]) as f64;
    let (o, i) = (
        next.kernel().outputs() as f64,
        first.kernel().inputs() as f64,
    );
    let inner = next.kernel().inputs() as f64;
    let taps = (next.kernel().taps()[0] * next.kernel().taps()[1]) as f64;
    let products = 2.0 * taps * run.taps.len() as f64 * o * inner * i;
    let symbols = points * run.taps.len() as f64 * o * i * 2.0;
    products + symbols + points * 4.0 * o.max(i) * o.min(i) * o.min(i)
}

impl Run {
    fn start(c: &Convolution) -> Run {
        Run {
            taps: c.kernel().matrices(),
            extent: c.kernel().taps(),
            exponent: c.kernel().exponent(),
            error: 0.0,
        }
    }

    /// The run with one more convolution after it. A tap of the product is a sum over pairs of taps, so each entry
    /// is off by `gamma_n` times the same sum of magnitudes; a convolution of non-negative entries on a torus has the
    /// norm of the sum of its taps.
    fn extended(&self, next: &Convolution) -> Option<Run> {
        let after = next.kernel().matrices();
        let [th, tw] = next.kernel().taps();
        let extent = [self.extent[0] + th - 1, self.extent[1] + tw - 1];
        let (rows, cols) = (after[0].nrows(), self.taps[0].ncols());
        let mut taps: Vec<Matrix> = (0..extent[0] * extent[1])
            .map(|_| dense::from_fn(rows, cols, |_, _| 0.0))
            .collect();
        for (t, b) in after.iter().enumerate() {
            for (s, a) in self.taps.iter().enumerate() {
                let at = [t / tw + s / self.extent[1], t % tw + s % self.extent[1]];
                let product = dense::product(b.as_ref(), a.as_ref());
                taps[at[0] * extent[1] + at[1]] += product;
            }
        }
        let terms = after[0].ncols() + after.len().min(self.taps.len()) + 4;
        let (size_after, size) = (magnitude(&after), magnitude(&self.taps));
        let rounding = up(gamma(terms) * up(size_after * size));
        let error = up(up(size_after * self.error) + rounding + 1e-290);
        let top = taps.iter().map(frobenius_up).fold(0.0f64, f64::max);
        if !(top > 0.0 && top.is_finite()) {
            return None;
        }
        let e = i64::from(crate::scale::exponent_of(top));
        for tap in &mut taps {
            *tap = dense::from_fn(rows, cols, |i, j| crate::scale::ldexp(tap[(i, j)], -e));
        }
        Some(Run {
            taps,
            extent,
            exponent: self.exponent + next.kernel().exponent() + e,
            // scaled entries below the normal range lose their last bits
            error: up(crate::scale::ldexp_up(error, -e) + 1e-290),
        })
    }

    /// Upper bound of `ln` of the norm on the torus of the first convolution.
    fn ln_norm(&self, first: &Convolution) -> Option<f64> {
        let (rows, cols) = (self.taps[0].nrows(), self.taps[0].ncols());
        let count = self.taps.len();
        let entries: Vec<f64> = (0..rows * cols * count)
            .map(|k| self.taps[k % count][(k / count / cols, k / count % cols)])
            .collect();
        let view = MatrixRef::row_major(&entries, rows, cols * count).ok()?;
        let shape = match first.kernel().axes() {
            1 => vec![rows, cols, self.extent[1]],
            _ => vec![rows, cols, self.extent[0], self.extent[1]],
        };
        let kernel = Kernel::new(&view, &shape, Layout::OutputsFirst, 1).ok()?;
        let norm = Convolution::new(kernel, *first.geometry())
            .ok()?
            .torus_norm();
        let (_, _, hi, exponent) = norm.scaled();
        let hi = up(crate::scale::ldexp_up(hi, exponent) + self.error);
        let point = crate::scale::Enclosure::new(hi, hi, hi, self.exponent)?;
        Some(ln_hi(&point))
    }
}

/// `|sum of |taps| |_F`, rounded up.
fn magnitude(taps: &[Matrix]) -> f64 {
    let (m, n) = (taps[0].nrows(), taps[0].ncols());
    let sum = dense::from_fn(m, n, |i, j| taps.iter().map(|t| t[(i, j)].abs()).sum());
    up(frobenius_up(&sum) * (1.0 + gamma(taps.len() + 2)))
}
