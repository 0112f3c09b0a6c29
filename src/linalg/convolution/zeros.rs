//! Zero padding: the map by its products, and proved upper bounds of its norm.

use super::{Convolution, Progress};
use crate::linalg::certify::gram::collatz_wielandt;
use crate::linalg::operator::LinearOperator;
use crate::linalg::parallel;
use crate::linalg::rounding::{gamma, sqrt_up, up};
use crate::scale::Enclosure;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef};

/// Tori that are tried beside the smallest one.
const MORE_TORI: usize = 2;

/// Operations beyond which only the smallest torus is tried: some seconds.
const TORUS_WORK: f64 = 2e10;

impl Convolution {
    /// Proved upper bound of the largest singular value of a zero-padded convolution, as an enclosure of the
    /// norm on a larger torus: its upper limit is the bound, its lower limit bounds nothing.
    ///
    /// The map is a submatrix of the circulant on every torus with at least as many points beyond the
    /// input as there are zeros on one side that a tap can reach; the least of a few is
    /// taken. Theorem: torus-embedding. The norm on the torus of the input's own size is no
    /// bound. For a convolution that is circular already this is [`Convolution::torus_norm`].
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::convolution::{Convolution, Geometry, Kernel, Layout, Padding};
    /// use isometer::linalg::view::MatrixRef;
    /// let taps = MatrixRef::row_major(&[1.0, 1.0, 1.0], 1, 3).unwrap();
    /// let kernel = Kernel::new(&taps, &[1, 1, 3], Layout::OutputsFirst, 1).unwrap();
    /// let c = Convolution::new(kernel, Geometry { padding: Padding::Same, ..Geometry::torus(1, 5) }).unwrap();
    /// // the tridiagonal matrix of ones of order 5 has norm 1 + 2 cos(pi / 6)
    /// let norm = 1.0 + 2.0 * (std::f64::consts::PI / 6.0).cos();
    /// let (_, _, bound) = c.zero_padding_bound().to_linear().unwrap();
    /// assert!(norm <= bound && bound < 3.0 + 1e-12);
    /// ```
    pub fn zero_padding_bound(&self) -> Enclosure {
        self.zero_padding_bound_with(None)
    }

    /// The same, telling how many frequencies of a torus are done.
    pub fn zero_padding_bound_with(&self, progress: Option<Progress<'_>>) -> Enclosure {
        if self.is_circular() {
            return self.torus_norm_with(progress);
        }
        let least = [0, 1].map(|axis| {
            let (before, after) = self.reachable_padding(axis);
            self.geometry().size[axis] + before.max(after)
        });
        let k = self.kernel();
        let s = self.geometry().stride;
        let mut best: Option<Enclosure> = None;
        for more in 0..=MORE_TORI {
            let size = [0, 1].map(|axis| {
                // an axis with a single tap is not padded and gains nothing
                let grow = if k.taps()[axis] > 1 { more } else { 0 };
                least[axis].next_multiple_of(s[axis]) + grow * s[axis]
            });
            let torus = self.on_torus(size);
            let (m, n) = (
                k.outputs() / k.groups(),
                k.inputs() * s[0] * s[1] / k.groups(),
            );
            let points = (torus.output[0] * torus.output[1] * k.groups()) as f64;
            let work = points * m.max(n) as f64 * (m.min(n) as f64).powi(2) * 4.0;
            if more > 0 && work > TORUS_WORK {
                break;
            }
            let norm = torus.torus_norm_with(progress);
            let hi = |e: &Enclosure| e.scaled().2;
            if best.as_ref().is_none_or(|b| hi(&norm) < hi(b)) {
                best = Some(norm);
            }
        }
        best.unwrap_or(Enclosure::UNKNOWN)
    }
}

/// A convolution, zero-padded or circular, as a map given by its products: signals with channels fastest,
/// then width, then height. Entries are those of the kernel times `2^-exponent`.
///
/// # Examples
/// ```
/// use isometer::linalg::convolution::{Convolution, Geometry, Kernel, Layout, Padding, ZeroPadded};
/// use isometer::linalg::{operator::LinearOperator, view::MatrixRef};
/// let taps = MatrixRef::row_major(&[0.5, 0.5, 0.5], 1, 3).unwrap();
/// let kernel = Kernel::new(&taps, &[1, 1, 3], Layout::OutputsFirst, 1).unwrap();
/// let c = Convolution::new(kernel, Geometry { padding: Padding::Same, ..Geometry::torus(1, 3) }).unwrap();
/// let mut y = [0.0; 3];
/// ZeroPadded::new(&c).apply(&[1.0, 2.0, 4.0], &mut y);
/// let unit = 2f64.powi(c.kernel().exponent() as i32); // entries are scaled
/// assert_eq!(y.map(|v| v * unit), [1.5, 3.5, 3.0]);
/// ```
pub struct ZeroPadded<'a> {
    conv: &'a Convolution,
    /// Taps of each group.
    taps: Vec<Vec<Mat<f64>>>,
    rounding: f64,
}

impl<'a> ZeroPadded<'a> {
    /// Prepares the products.
    pub fn new(conv: &'a Convolution) -> ZeroPadded<'a> {
        let k = conv.kernel();
        let taps: Vec<Vec<Mat<f64>>> = (0..k.groups()).map(|g| k.group(g)).collect();
        // | |Z| |_2 <= |sum of |taps| |_2: the symbol of a non-negative kernel is largest at frequency 0
        let sizes = taps.iter().map(|taps| {
            let sum = Mat::from_fn(taps[0].nrows(), taps[0].ncols(), |i, j| {
                taps.iter().map(|t| t[(i, j)].abs()).sum::<f64>()
            });
            sqrt_up(collatz_wielandt(&sum))
        });
        let size = sizes.fold(0.0, f64::max);
        let count = k.taps()[0] * k.taps()[1];
        let longest = count * (k.inputs().max(k.outputs()) / k.groups());
        let rounding = up(gamma(longest + 2) * size * (1.0 + gamma(count)) + 1e-290);
        ZeroPadded {
            conv,
            taps,
            rounding,
        }
    }

    /// Calls `f` with every run of outputs that read neighbouring inputs through one tap.
    fn runs(&self, mut f: impl FnMut(&Run)) {
        let c = self.conv;
        let g = c.geometry();
        let [th, tw] = c.kernel().taps();
        for tap in 0..th * tw {
            let t = [tap / tw, tap % tw];
            for y in 0..c.output[0] {
                let mut x = 0;
                while x < c.output[1] {
                    let Some([sy, sx]) = c.source([y, x], t) else {
                        x += 1;
                        continue;
                    };
                    let left = (g.size[1] - 1 - sx) / g.stride[1] + 1;
                    let len = left.min(c.output[1] - x);
                    f(&Run {
                        tap,
                        output: y * c.output[1] + x,
                        input: sy * g.size[1] + sx,
                        len,
                    });
                    x += len;
                }
            }
        }
    }
}

/// Outputs `output..output + len` read inputs `input`, `input + stride`, ...
struct Run {
    tap: usize,
    output: usize,
    input: usize,
    len: usize,
}

/// Columns of a signal with `channels` rows: `len` of them from `first`, every `stride`-th.
fn columns(x: &[f64], channels: usize, first: usize, len: usize, stride: usize) -> MatRef<'_, f64> {
    let from = &x[first * channels..];
    MatRef::from_column_major_slice_with_stride(from, channels, len, stride * channels)
}

fn columns_mut(
    x: &mut [f64],
    channels: usize,
    first: usize,
    len: usize,
    stride: usize,
) -> MatMut<'_, f64> {
    let from = &mut x[first * channels..];
    MatMut::from_column_major_slice_with_stride_mut(from, channels, len, stride * channels)
}

impl LinearOperator for ZeroPadded<'_> {
    fn rows(&self) -> usize {
        self.conv.rows()
    }

    fn cols(&self) -> usize {
        self.conv.cols()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) {
        let k = self.conv.kernel();
        let stride = self.conv.geometry().stride[1];
        y.fill(0.0);
        self.runs(|run| {
            let from = columns(x, k.inputs(), run.input, run.len, stride);
            for (g, taps) in self.taps.iter().enumerate() {
                let tap = &taps[run.tap];
                let (o, i) = (tap.nrows(), tap.ncols());
                let to = columns_mut(y, k.outputs(), run.output, run.len, 1);
                let par = parallel::for_work(2.0 * (o * i * run.len) as f64);
                let (to, from) = (to.subrows_mut(g * o, o), from.subrows(g * i, i));
                matmul(to, Accum::Add, tap.as_ref(), from, 1.0, par);
            }
        });
    }

    fn apply_transposed(&self, y: &[f64], x: &mut [f64]) {
        let k = self.conv.kernel();
        let stride = self.conv.geometry().stride[1];
        x.fill(0.0);
        self.runs(|run| {
            let from = columns(y, k.outputs(), run.output, run.len, 1);
            for (g, taps) in self.taps.iter().enumerate() {
                let tap = &taps[run.tap];
                let (o, i) = (tap.nrows(), tap.ncols());
                let to = columns_mut(x, k.inputs(), run.input, run.len, stride);
                let par = parallel::for_work(2.0 * (o * i * run.len) as f64);
                let (to, from) = (to.subrows_mut(g * i, i), from.subrows(g * o, o));
                matmul(to, Accum::Add, tap.transpose(), from, 1.0, par);
            }
        });
    }

    fn rounding(&self) -> f64 {
        self.rounding
    }
}
