//! Adversarial matrices, drawn as small descriptors and built from them alone: a failing draw
//! prints everything needed to build it again, and shrinks towards small plain matrices.

use super::gallery::{self, Dense};
use half::{bf16, f16};
use isometer::linalg::view::MatrixRef;
use proptest::prelude::*;
use proptest::sample::select;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What makes the matrix difficult. `grade` (0 to 60) sets how difficult.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Independent uniform entries.
    Uniform,
    /// Rows falling by `2^-grade` from first to last.
    GradedRows,
    /// Columns falling by `2^-grade` from first to last.
    GradedCols,
    /// Rows and columns falling.
    GradedBoth,
    /// The last line a combination of the others but for `2^-grade`.
    NearSingular,
    /// Singular values in two clusters, each of relative spread `2^-grade`.
    Clustered,
    /// A product of thin integer factors.
    IntegerLowRank,
    /// Small integers.
    Integers,
    /// Most entries zero.
    Masked,
    /// Repeated, opposite and zero lines.
    Duplicates,
    /// Entries of magnitudes from `2^-5 grade` to `2^5 grade`.
    MixedScale,
    /// Sylvester's orthogonal matrix of the next power of two, cut to shape, rows reflected.
    Orthogonal,
    /// A multiple of the identity, with `2^-grade` beside it.
    NearIdentity,
    /// Ones above, minus ones: triangular with a tiny smallest singular value.
    Triangular,
    /// `1/(i+j-1)`.
    Hilbert,
    /// `x_i^(j-1)`.
    Vandermonde,
    /// Kahan's triangular matrix (square).
    Kahan,
    /// `[ones; mu I]`.
    Lauchli,
    /// Binomial coefficients.
    Pascal,
    /// Frank's matrix (square).
    Frank,
    /// Magic squares (square).
    Magic,
    /// Complex uniform entries.
    Complex,
    /// Complex, last line a combination of the others but for `2^-grade`.
    ComplexNearSingular,
}

const KINDS: [Kind; 23] = [
    Kind::Uniform,
    Kind::GradedRows,
    Kind::GradedCols,
    Kind::GradedBoth,
    Kind::NearSingular,
    Kind::Clustered,
    Kind::IntegerLowRank,
    Kind::Integers,
    Kind::Masked,
    Kind::Duplicates,
    Kind::MixedScale,
    Kind::Orthogonal,
    Kind::NearIdentity,
    Kind::Triangular,
    Kind::Hilbert,
    Kind::Vandermonde,
    Kind::Kahan,
    Kind::Lauchli,
    Kind::Pascal,
    Kind::Frank,
    Kind::Magic,
    Kind::Complex,
    Kind::ComplexNearSingular,
];

/// The format the entries are stored in; complex matrices stay in double precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    F64,
    F32,
    BF16,
    F16,
}

/// A matrix as proptest draws it.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    pub kind: Kind,
    pub rows: usize,
    pub cols: usize,
    pub grade: i32,
    pub format: Format,
    /// Every entry times `2^scale`, or as much of it as does not overflow.
    pub scale: i32,
    pub transposed: bool,
    pub seed: u64,
}

/// Orders up to 8, sometimes 12; most draws in double precision at plain scale.
pub fn matrices() -> impl Strategy<Value = Draw> {
    let size = || prop_oneof![9 => 1usize..=8, 1 => 9usize..=12];
    (
        select(&KINDS[..]),
        size(),
        size(),
        any::<bool>(),
        0..=60i32,
        prop_oneof![
            4 => Just(Format::F64),
            2 => Just(Format::F32),
            1 => Just(Format::BF16),
            1 => Just(Format::F16),
        ],
        prop_oneof![5 => Just(0i32), 1 => -900..=900i32],
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(
            |(kind, rows, cols, square, grade, format, scale, transposed, seed)| Draw {
                kind,
                rows,
                cols: if square { rows } else { cols },
                grade,
                format,
                scale,
                transposed,
                seed,
            },
        )
}

/// A matrix in its storage format.
#[derive(Clone, Debug)]
pub struct Stored {
    pub rows: usize,
    pub cols: usize,
    entries: Entries,
}

#[derive(Clone, Debug)]
enum Entries {
    F64(Vec<f64>),
    F32(Vec<f32>),
    BF16(Vec<bf16>),
    F16(Vec<f16>),
    Complex(Vec<[f64; 2]>),
}

impl Stored {
    pub fn view(&self) -> MatrixRef<'_> {
        let (m, n) = (self.rows, self.cols);
        match &self.entries {
            Entries::F64(d) => MatrixRef::row_major(d, m, n),
            Entries::F32(d) => MatrixRef::row_major(d, m, n),
            Entries::BF16(d) => MatrixRef::row_major(d, m, n),
            Entries::F16(d) => MatrixRef::row_major(d, m, n),
            Entries::Complex(d) => MatrixRef::row_major(d, m, n),
        }
        .unwrap()
    }
}

impl Draw {
    pub fn build(&self) -> Stored {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let rescale = |x: f64, top: f64| {
            let room = 1000 - top.max(f64::MIN_POSITIVE).log2() as i32;
            // Two steps: the factor alone may leave the range.
            let scale = self.scale.min(room);
            x * 2f64.powi(scale / 2) * 2f64.powi(scale - scale / 2)
        };
        if matches!(self.kind, Kind::Complex | Kind::ComplexNearSingular) {
            let parts = [self.random(&mut rng), self.random(&mut rng)];
            let [re, im] = parts;
            let top = re
                .data
                .iter()
                .chain(&im.data)
                .fold(0f64, |m, x| m.max(x.abs()));
            let entries = re
                .data
                .iter()
                .zip(&im.data)
                .map(|(&x, &y)| [rescale(x, top), rescale(y, top)])
                .collect();
            return Stored {
                rows: re.rows,
                cols: re.cols,
                entries: Entries::Complex(entries),
            };
        }
        let mut dense = self.dense(&mut rng);
        if self.transposed {
            let Dense { rows, cols, data } = &dense;
            dense = Dense {
                rows: *cols,
                cols: *rows,
                data: (0..rows * cols)
                    .map(|t| data[(t % rows) * cols + t / rows])
                    .collect(),
            };
        }
        let Dense { rows, cols, data } = dense;
        // Narrow formats at plain scale; values they cannot hold stay in double precision.
        let top = data.iter().fold(0f64, |m, x| m.max(x.abs()));
        let entries = match self.format {
            Format::F32 if top < 1e38 => Entries::F32(data.iter().map(|&x| x as f32).collect()),
            Format::BF16 if top < 1e38 => {
                Entries::BF16(data.iter().map(|&x| bf16::from_f64(x)).collect())
            }
            Format::F16 if top < 6e4 => {
                Entries::F16(data.iter().map(|&x| f16::from_f64(x)).collect())
            }
            _ => Entries::F64(data.into_iter().map(|x| rescale(x, top)).collect()),
        };
        Stored {
            rows,
            cols,
            entries,
        }
    }

    /// Uniform entries, the last row nearly dependent for the near-singular kinds.
    fn random(&self, rng: &mut ChaCha8Rng) -> Dense {
        let (m, n) = (self.rows, self.cols);
        let mut a = Dense::from_fn(m, n, |_, _| 0.0);
        a.data.fill_with(|| rng.random_range(-1.0..1.0));
        if matches!(self.kind, Kind::NearSingular | Kind::ComplexNearSingular) && m > 1 {
            for j in 0..n {
                let sum: f64 = (0..m - 1).map(|i| a.data[i * n + j]).sum();
                let noise = a.data[(m - 1) * n + j] * 2f64.powi(-self.grade);
                a.data[(m - 1) * n + j] = sum + noise;
            }
        }
        a
    }

    fn dense(&self, rng: &mut ChaCha8Rng) -> Dense {
        let (m, n) = (self.rows, self.cols);
        let drop =
            |k: usize, len: usize| 2f64.powi(-(self.grade * k as i32) / (len.max(2) as i32 - 1));
        let each = |a: Dense, f: &mut dyn FnMut(usize, usize, f64) -> f64| Dense {
            data: a
                .data
                .iter()
                .enumerate()
                .map(|(t, &x)| f(t / a.cols, t % a.cols, x))
                .collect(),
            ..a
        };
        match self.kind {
            Kind::Uniform | Kind::NearSingular | Kind::Complex | Kind::ComplexNearSingular => {
                self.random(rng)
            }
            Kind::GradedRows => each(self.random(rng), &mut |i, _, x| x * drop(i, m)),
            Kind::GradedCols => each(self.random(rng), &mut |_, j, x| x * drop(j, n)),
            Kind::GradedBoth => each(self.random(rng), &mut |i, j, x| x * drop(i, m) * drop(j, n)),
            Kind::Clustered => {
                let v: Vec<f64> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
                let norm2: f64 = v.iter().map(|x| x * x).sum::<f64>().max(1e-3);
                // diag(d) times a Householder reflection, up to rounding.
                let spread = 2f64.powi(-self.grade);
                Dense::from_fn(m, n, |i, j| {
                    let (i, j) = (i as usize - 1, j as usize - 1);
                    let d = (1.0 + spread * i as f64) * if i % 2 == 0 { 1.0 } else { 1e-3 };
                    let identity = if i == j { 1.0 } else { 0.0 };
                    let vi = v.get(i).copied().unwrap_or(0.0);
                    d * (identity - 2.0 * vi * v[j] / norm2)
                })
            }
            Kind::IntegerLowRank => {
                let r = 1 + (self.grade as usize) % m.min(n);
                let mut factor = |len: usize| -> Vec<f64> {
                    (0..len * r)
                        .map(|_| f64::from(rng.random_range(-9..=9i32)))
                        .collect()
                };
                let (left, right) = (factor(m), factor(n));
                Dense::from_fn(m, n, |i, j| {
                    let (i, j) = (i as usize - 1, j as usize - 1);
                    (0..r).map(|k| left[i * r + k] * right[j * r + k]).sum()
                })
            }
            Kind::Integers => {
                let top = 1 + self.grade;
                each(self.random(rng), &mut |_, _, x| {
                    (x * f64::from(top)).round()
                })
            }
            Kind::Masked => {
                let a = self.random(rng);
                each(a, &mut |_, _, x| {
                    if rng.random_range(0..60) < self.grade {
                        0.0
                    } else {
                        x
                    }
                })
            }
            Kind::Duplicates => {
                let a = self.random(rng);
                let source: Vec<(usize, f64)> = (0..m)
                    .map(|i| match rng.random_range(0..4) {
                        0 => (rng.random_range(0..m), 1.0),
                        1 => (rng.random_range(0..m), -2.0),
                        2 if self.grade > 40 => (i, 0.0),
                        _ => (i, 1.0),
                    })
                    .collect();
                let data = a.data.clone();
                each(a, &mut |i, j, _| source[i].1 * data[source[i].0 * n + j])
            }
            Kind::MixedScale => {
                let a = self.random(rng);
                let limit = 5 * self.grade;
                each(a, &mut |_, _, x| {
                    x * 2f64.powi(rng.random_range(-limit..=limit))
                })
            }
            Kind::Orthogonal => {
                let order = m.max(n).next_power_of_two();
                let root = (order as f64).sqrt();
                Dense::from_fn(m, n, |i, j| {
                    let sign = ((i - 1) & (j - 1)).count_ones() % 2;
                    let unit = if self.grade % 2 == 0 { 1.0 } else { root };
                    (if sign == 0 { 1.0 } else { -1.0 }) / unit
                })
            }
            Kind::NearIdentity => {
                let c: f64 = rng.random_range(0.5..2.0);
                each(self.random(rng), &mut |i, j, x| {
                    let noise = if self.grade < 50 {
                        x * 2f64.powi(-self.grade)
                    } else {
                        0.0
                    };
                    if i == j { c + noise } else { noise }
                })
            }
            Kind::Triangular => Dense::from_fn(m, n, |i, j| match j.cmp(&i) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 1.0,
                std::cmp::Ordering::Greater => -1.0,
            }),
            Kind::Hilbert => gallery::hilbert(m, n),
            Kind::Vandermonde => gallery::vandermonde(m, n),
            Kind::Kahan => gallery::kahan(n),
            Kind::Lauchli => gallery::lauchli(n, 2f64.powi(-self.grade)),
            Kind::Pascal => gallery::pascal(m, n),
            Kind::Frank => gallery::frank(n),
            Kind::Magic => gallery::magic(n.max(3)),
        }
    }
}
