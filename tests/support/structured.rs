//! Matrices with structure by construction, in integers times a power of two: products are exact,
//! and a failing draw prints all that is needed to build it again.

use isometer::linalg::product::Layer;
use isometer::linalg::view::MatrixRef;
use proptest::prelude::*;
use proptest::sample::select;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a matrix is by construction. `grade` (0 to 8) sets how much so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    /// Entries from -9 to 9.
    Integers,
    /// Rows falling by `2^-grade` from first to last.
    Graded,
    /// A product of factors of rank `1 + grade` at most.
    LowRank,
    /// Entries zero with probability `grade/9`.
    Masked,
    /// Values of the format f16.
    Half,
    /// Orthogonal times diagonal times orthogonal, times an integer.
    Spectrum,
    /// Orthonormal rows or columns, times an integer.
    Isometry,
}

const STRUCTURES: [Structure; 7] = [
    Structure::Integers,
    Structure::Graded,
    Structure::LowRank,
    Structure::Masked,
    Structure::Half,
    Structure::Spectrum,
    Structure::Isometry,
];

/// A matrix as proptest draws it, but for its shape.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    pub structure: Structure,
    pub grade: u32,
    pub seed: u64,
}

/// Integers times `2^exponent`, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    pub rows: usize,
    pub cols: usize,
    pub entries: Vec<i64>,
    pub exponent: i32,
}

impl Exact {
    pub fn from_fn(rows: usize, cols: usize, mut f: impl FnMut(usize, usize) -> i64) -> Exact {
        let entries = (0..rows * cols).map(|t| f(t / cols, t % cols)).collect();
        Exact {
            rows,
            cols,
            entries,
            exponent: 0,
        }
    }

    pub fn identity(n: usize) -> Exact {
        Exact::from_fn(n, n, |i, j| i64::from(i == j))
    }

    /// `c` times the orthogonal matrix that reflects `v`, with `c = v . v`, cut to shape.
    ///
    /// The first `min(rows, cols)` rows or columns stay orthogonal, of length `c`.
    pub fn reflection(rows: usize, cols: usize, v: &[i64]) -> (Exact, i64) {
        let c: i64 = v.iter().map(|x| x * x).sum();
        let matrix = Exact::from_fn(rows, cols, |i, j| c * i64::from(i == j) - 2 * v[i] * v[j]);
        (matrix, c)
    }

    /// `c P diag(d) Q^T` with orthogonal `P` and `Q` and an integer `c`, returned beside it.
    pub fn with_spectrum(rows: usize, cols: usize, d: &[i64], seed: u64) -> (Exact, i64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (p, a) = Exact::reflection(rows, rows, &direction(rows, &mut rng));
        let (q, b) = Exact::reflection(cols, cols, &direction(cols, &mut rng));
        let middle = Exact::from_fn(rows, cols, |i, j| if i == j { d[i] } else { 0 });
        (p.times(&middle).times(&q), a * b)
    }

    pub fn get(&self, i: usize, j: usize) -> i64 {
        self.entries[i * self.cols + j]
    }

    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.get(i, j) as f64 * 2f64.powi(self.exponent)
    }

    /// The product `self * right`.
    ///
    /// # Panics
    /// If the shapes do not fit or an entry needs more than 53 bits: a draw that is not exact is a mistake of its strategy.
    pub fn times(&self, right: &Exact) -> Exact {
        assert_eq!(self.cols, right.rows, "shapes");
        let mut product = Exact::from_fn(self.rows, right.cols, |i, j| {
            let sum: i128 = (0..self.cols)
                .map(|k| i128::from(self.get(i, k)) * i128::from(right.get(k, j)))
                .sum();
            assert!(sum.unsigned_abs() < 1 << 53, "{sum} is not a double");
            sum as i64
        });
        product.exponent = self.exponent + right.exponent;
        product
    }

    pub fn transposed(&self) -> Exact {
        let mut t = Exact::from_fn(self.cols, self.rows, |i, j| self.get(j, i));
        t.exponent = self.exponent;
        t
    }

    /// The same matrix times an integer.
    pub fn scaled(&self, factor: i64) -> Exact {
        let mut s = self.clone();
        s.entries.iter_mut().for_each(|x| *x *= factor);
        s
    }

    pub fn is_zero(&self) -> bool {
        self.entries.iter().all(|x| *x == 0)
    }

    /// The entries as doubles, row after row.
    pub fn doubles(&self) -> Vec<f64> {
        let unit = 2f64.powi(self.exponent);
        self.entries.iter().map(|&x| x as f64 * unit).collect()
    }

    /// What the library makes of the matrix.
    pub fn view<T>(&self, f: impl FnOnce(&MatrixRef<'_>) -> T) -> T {
        let data = self.doubles();
        f(&MatrixRef::row_major(&data, self.rows, self.cols).expect("a shape"))
    }

    pub fn layer(&self) -> Layer {
        Layer::from_fn(self.rows, self.cols, |i, j| self.at(i, j))
    }
}

/// Small integers, not all zero.
fn direction(n: usize, rng: &mut ChaCha8Rng) -> Vec<i64> {
    let mut v: Vec<i64> = (0..n).map(|_| rng.random_range(-1..=1)).collect();
    let k = rng.random_range(0..n);
    v[k] = 1;
    v
}

impl Draw {
    /// The matrix in a shape of at most 8 x 8.
    pub fn build(&self, rows: usize, cols: usize) -> Exact {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let grade = i64::from(self.grade);
        let mut small = |top: i64| {
            let rng = &mut rng;
            Exact::from_fn(rows, cols, |_, _| rng.random_range(-top..=top))
        };
        match self.structure {
            Structure::Integers => small(9),
            Structure::Graded => {
                let mut a = small(9);
                for i in 0..rows {
                    let fall = grade * (rows - 1 - i) as i64 / (rows.max(2) - 1) as i64;
                    for j in 0..cols {
                        a.entries[i * cols + j] <<= fall;
                    }
                }
                a
            }
            Structure::LowRank => {
                let r = (1 + self.grade as usize).min(rows.min(cols));
                let mut factor = |m, n| Exact::from_fn(m, n, |_, _| rng.random_range(-3..=3));
                factor(rows, r).times(&factor(r, cols))
            }
            Structure::Masked => {
                let mut a = small(9);
                for x in &mut a.entries {
                    if rng.random_range(0..9) < grade {
                        *x = 0;
                    }
                }
                a
            }
            Structure::Half => {
                // 11 significant bits and a few binades
                let mut a = small(2047);
                for x in &mut a.entries {
                    *x <<= rng.random_range(0..=grade.min(3));
                }
                a.exponent = -12;
                a
            }
            Structure::Spectrum => {
                let d: Vec<i64> = (0..rows.min(cols))
                    .map(|_| rng.random_range(0..=1 + grade))
                    .collect();
                Exact::with_spectrum(rows, cols, &d, self.seed).0
            }
            Structure::Isometry => {
                let v = direction(rows.max(cols), &mut rng);
                Exact::reflection(rows, cols, &v).0
            }
        }
    }
}

/// Any structure.
pub fn draws() -> impl Strategy<Value = Draw> {
    (select(&STRUCTURES[..]), 0..=8u32, any::<u64>()).prop_map(|(structure, grade, seed)| Draw {
        structure,
        grade,
        seed,
    })
}

/// One matrix with sides up to `side`.
pub fn matrices(side: usize) -> impl Strategy<Value = Exact> {
    (draws(), 1..=side, 1..=side).prop_map(|(draw, rows, cols)| draw.build(rows, cols))
}

/// One square matrix.
pub fn squares(side: usize) -> impl Strategy<Value = Exact> {
    (draws(), 1..=side).prop_map(|(draw, n)| draw.build(n, n))
}

/// Two to `longest` matrices that fit, the one that acts first in front.
pub fn chains(side: usize, longest: usize) -> impl Strategy<Value = Vec<Exact>> {
    (
        prop::collection::vec(1..=side, 3..=longest + 1),
        prop::collection::vec(draws(), longest),
    )
        .prop_map(|(widths, draws)| {
            widths
                .windows(2)
                .zip(draws)
                .map(|(w, draw)| draw.build(w[1], w[0]))
                .collect()
        })
}

/// The product of a chain, the first matrix acting first.
pub fn product(chain: &[Exact]) -> Exact {
    chain[1..]
        .iter()
        .fold(chain[0].clone(), |below, w| w.times(&below))
}
