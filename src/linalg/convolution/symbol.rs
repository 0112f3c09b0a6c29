//! The symbol `F(w)` of a convolution on a torus: one small complex matrix for each frequency.

use super::Convolution;
use crate::linalg::certify::gram::collatz_wielandt;
use crate::linalg::dd::two_sum;
use crate::linalg::rounding::{gamma, sqrt_up, up};
use crate::linalg::vectorised::vectorised;
use faer::Mat;

/// A frequency of the half grid: real kernels have `F(-w) = conj F(w)`, so one of each pair suffices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequency {
    /// Index on each axis of the output torus.
    pub index: [usize; 2],
    /// 2 where it stands for a pair of conjugate frequencies, 1 where it is its own conjugate.
    pub multiplicity: usize,
}

/// Where one tap goes in the symbol.
#[derive(Clone, Copy, Debug)]
struct Term {
    /// Steps of the output torus.
    offset: [usize; 2],
    /// First row and column of the block it fills.
    corner: [usize; 2],
}

/// The symbol of every group, polyphase components side by side (theorem: polyphase-symbol), transposed
/// where that makes it tall.
pub struct Stencil {
    rows: usize,
    cols: usize,
    grid: [usize; 2],
    terms: Vec<Term>,
    /// Blocks of each group, one for each term.
    blocks: Vec<Vec<Mat<f64>>>,
    waves: [Vec<[f64; 2]>; 2],
    error: f64,
}

/// A symbol as computed: real part above imaginary part, `2 rows x cols`.
pub struct Symbol {
    /// Both parts.
    pub stacked: Mat<f64>,
}

impl Stencil {
    /// Prepares the symbols of a convolution on a torus.
    pub fn new(c: &Convolution) -> Stencil {
        let k = c.kernel();
        let g = c.geometry();
        let (out, input) = (k.outputs() / k.groups(), k.inputs() / k.groups());
        let phases = g.stride[0] * g.stride[1];
        let wide = input * phases;
        let transposed = out < wide;
        let (rows, cols) = (out.max(wide), out.min(wide));
        let grid = c.output();
        let count = k.taps()[0] * k.taps()[1];
        let terms: Vec<Term> = (0..count)
            .map(|tap| {
                let t = [tap / k.taps()[1], tap % k.taps()[1]];
                let mut offset = [0; 2];
                let mut phase = [0; 2];
                for axis in 0..2 {
                    let at = g.dilation[axis] * t[axis];
                    offset[axis] = at / g.stride[axis] % grid[axis];
                    phase[axis] = at % g.stride[axis];
                }
                let start = (phase[0] * g.stride[1] + phase[1]) * input;
                let corner = if transposed { [start, 0] } else { [0, start] };
                Term { offset, corner }
            })
            .collect();
        let blocks: Vec<Vec<Mat<f64>>> = (0..k.groups())
            .map(|group| {
                let taps = k.group(group);
                taps.into_iter()
                    .map(|m| {
                        if transposed {
                            m.transpose().to_owned()
                        } else {
                            m
                        }
                    })
                    .collect()
            })
            .collect();
        let sizes = blocks.iter().map(|b| {
            let mut sum = Mat::<f64>::zeros(rows, cols);
            for (term, block) in terms.iter().zip(b) {
                for j in 0..block.ncols() {
                    for i in 0..block.nrows() {
                        sum[(term.corner[0] + i, term.corner[1] + j)] += block[(i, j)].abs();
                    }
                }
            }
            sqrt_up(collatz_wielandt(&sum))
        });
        let size = sizes.fold(0.0, f64::max);
        // a wave is within 16u, a sum of count products within gamma_count of the sum of sizes, which
        // is itself rounded; entries that underflow in scaling or in products are charged last
        let error = up(gamma(count + 20) * size * (1.0 + gamma(count)) + 1e-290);
        Stencil {
            rows,
            cols,
            grid,
            terms,
            blocks,
            waves: grid.map(waves),
            error,
        }
    }

    /// Rows of a symbol, not fewer than its columns.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of a symbol: how many singular values each frequency has.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// How many groups there are, each with its own symbols.
    pub fn groups(&self) -> usize {
        self.blocks.len()
    }

    /// Upper bound of `|computed - F(w)|_2`, for every group and frequency. Theorem: symbol-error.
    pub fn error(&self) -> f64 {
        self.error
    }

    /// Mean of `|F(w)|_F^2` over all frequencies of the largest group, roughly.
    pub fn mean_square(&self) -> f64 {
        let squares = |b: &Vec<Mat<f64>>| -> f64 {
            let columns = b.iter().flat_map(|m| (0..m.ncols()).map(move |j| (m, j)));
            columns
                .map(|(m, j)| {
                    let c = m.col_as_slice(j);
                    crate::linalg::dense::dot(c, c)
                })
                .sum()
        };
        self.blocks.iter().map(squares).fold(0.0, f64::max)
    }

    /// Why every symbol is singular whatever the frequency: fewer rows or columns are reached by a tap
    /// that is not zero than there are columns.
    pub fn deficiency(&self) -> Option<String> {
        self.blocks.iter().find_map(|blocks| {
            let mut used = [vec![false; self.rows], vec![false; self.cols]];
            for (term, block) in self.terms.iter().zip(blocks) {
                for j in 0..block.ncols() {
                    for (i, x) in block.col_as_slice(j).iter().enumerate() {
                        if *x != 0.0 {
                            used[0][term.corner[0] + i] = true;
                            used[1][term.corner[1] + j] = true;
                        }
                    }
                }
            }
            let [rows, cols] = used.map(|u| u.iter().filter(|x| **x).count());
            let rank = rows.min(cols);
            (rank < self.cols).then(|| {
                format!(
                    "exactly singular: no tap reaches more than {rank} of {} channels and phases of a group",
                    self.cols
                )
            })
        })
    }

    /// One of each pair of conjugate frequencies.
    pub fn half_grid(&self) -> Vec<Frequency> {
        let [h, w] = self.grid;
        let mut all = Vec::with_capacity(h * w / 2 + 2);
        for x in 0..=w / 2 {
            let own = (2 * x).is_multiple_of(w);
            let rows = if own { h / 2 + 1 } else { h };
            for y in 0..rows {
                let real = own && (2 * y).is_multiple_of(h);
                all.push(Frequency {
                    index: [y, x],
                    multiplicity: if real { 1 } else { 2 },
                });
            }
        }
        all
    }

    /// `F(w)` of one group by the sum over its taps.
    pub fn evaluate(&self, group: usize, f: Frequency) -> Symbol {
        let mut stacked = Mat::zeros(2 * self.rows, self.cols);
        for (term, block) in self.terms.iter().zip(&self.blocks[group]) {
            let [a, b] = [0, 1].map(|axis| {
                let n = self.grid[axis] as u64;
                let turn = (f.index[axis] as u64 * term.offset[axis] as u64) % n;
                self.waves[axis][turn as usize]
            });
            let wave = [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]];
            add_block(&mut stacked, self.rows, term.corner, block, wave);
        }
        Symbol { stacked }
    }
}

impl Stencil {
    /// Whether `evaluate` commits no error at all: waves are 1 or -1 and every sum is exact.
    pub fn is_exact(&self, group: usize, f: Frequency) -> bool {
        let mut sum = Mat::<f64>::zeros(self.rows, self.cols);
        for (term, block) in self.terms.iter().zip(&self.blocks[group]) {
            let sign = (0..2).map(|axis| {
                let n = self.grid[axis] as u64;
                let turn = (f.index[axis] as u64 * term.offset[axis] as u64) % n;
                self.waves[axis][turn as usize]
            });
            let Some(sign) = sign
                .map(|w| (w[1] == 0.0 && w[0].abs() == 1.0).then_some(w[0]))
                .try_fold(1.0, |p, s| s.map(|s| p * s))
            else {
                return false;
            };
            for j in 0..block.ncols() {
                for i in 0..block.nrows() {
                    let entry = &mut sum[(term.corner[0] + i, term.corner[1] + j)];
                    let (s, lost) = two_sum(*entry, sign * block[(i, j)]);
                    if lost != 0.0 {
                        return false;
                    }
                    *entry = s;
                }
            }
        }
        true
    }
}

vectorised! {
fn add_block(stacked: &mut Mat<f64>, rows: usize, corner: [usize; 2], block: &Mat<f64>, wave: [f64; 2]) -> () {
    let len = block.nrows();
    for j in 0..block.ncols() {
        let (re, im) = stacked.col_as_slice_mut(corner[1] + j).split_at_mut(rows);
        let source = block.col_as_slice(j);
        let re = &mut re[corner[0]..corner[0] + len];
        let im = &mut im[corner[0]..corner[0] + len];
        for ((k, r), i) in source.iter().zip(re).zip(im) {
            *r = k.mul_add(wave[0], *r);
            *i = k.mul_add(wave[1], *i);
        }
    }
}
}

/// `exp(2 pi i j / n)` for all `j`, each part within `4 u`: the angle is reduced to an octant in integers,
/// has a relative error of three roundings there, and sine and cosine are good to an ulp.
fn waves(n: usize) -> Vec<[f64; 2]> {
    (0..n).map(|j| wave(j as u64, n as u64)).collect()
}

fn wave(j: u64, n: u64) -> [f64; 2] {
    if 2 * j > n {
        let [c, s] = wave(n - j, n);
        return [c, -s];
    }
    if 4 * j > n {
        // pi minus the angle: n - 2j out of 2n
        let [c, s] = quarter(n - 2 * j, 2 * n);
        return [-c, s];
    }
    quarter(j, n)
}

/// An angle of at most a quarter turn.
fn quarter(j: u64, n: u64) -> [f64; 2] {
    if 8 * j > n {
        // a quarter minus the angle: n - 4j out of 4n
        let [c, s] = octant(n - 4 * j, 4 * n);
        return [s, c];
    }
    octant(j, n)
}

fn octant(j: u64, n: u64) -> [f64; 2] {
    let angle = std::f64::consts::TAU * j as f64 / n as f64;
    [libm::cos(angle), libm::sin(angle)]
}

impl Symbol {
    /// Half the number of stacked rows.
    pub fn rows(&self) -> usize {
        self.stacked.nrows() / 2
    }

    /// Upper bound of the square of the Frobenius norm.
    pub fn square(&self) -> f64 {
        let m = self.stacked.nrows();
        let n = self.stacked.ncols();
        let sum: f64 = (0..n)
            .map(|j| {
                let c = self.stacked.col_as_slice(j);
                crate::linalg::dense::dot(c, c)
            })
            .sum();
        up(sum * (1.0 + gamma(m + n + 2)) + 1e-290)
    }

    /// Whether the imaginary part vanishes.
    pub fn is_real(&self) -> bool {
        let m = self.rows();
        (0..self.stacked.ncols())
            .all(|j| self.stacked.col_as_slice(j)[m..].iter().all(|x| *x == 0.0))
    }

    /// The entries as (re, im) pairs, column after column.
    pub fn pairs(&self) -> Vec<[f64; 2]> {
        let m = self.rows();
        let mut out = Vec::with_capacity(m * self.stacked.ncols());
        for j in 0..self.stacked.ncols() {
            let (re, im) = self.stacked.col_as_slice(j).split_at(m);
            out.extend(re.iter().zip(im).map(|(r, i)| [*r, *i]));
        }
        out
    }

    /// All singular values, largest first; `None` where the iteration fails.
    pub fn singular_values(&self) -> Option<Vec<f64>> {
        let (m, n) = (self.rows(), self.stacked.ncols());
        let part = |k: usize| self.stacked.as_ref().subrows(k * m, m);
        if self.is_real() {
            return part(0).singular_values().ok();
        }
        let (re, im) = (part(0), part(1));
        let complex = Mat::from_fn(m, n, |i, j| faer::c64::new(re[(i, j)], im[(i, j)]));
        complex.singular_values().ok()
    }
}
