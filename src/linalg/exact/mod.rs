//! Exact arithmetic on stored matrices.
//!
//! *Is it really singular, or only nearly?* Every finite floating-point matrix is an integer matrix times a power
//! of two. On that integer matrix rank, inverse and the number of singular values below a threshold are decided
//! without any rounding: [`IntegerMatrix::rank`], [`IntegerMatrix::inverse`], [`IntegerMatrix::count_below`]. The
//! work grows with the number of bits, so every operation estimates it first and refuses with [`TooMuchWork`]
//! beyond the caller's budget ([`DEFAULT_BUDGET`] is a fraction of a second).
//!
//! ```
//! use isometer::linalg::exact::{DEFAULT_BUDGET, IntegerMatrix};
//! use isometer::linalg::view::MatrixRef;
//!
//! // 0.1 + 0.2 is not 0.3 in f64, so this matrix is regular by the last bit
//! let a = MatrixRef::row_major(&[0.1 + 0.2, 1.0, 0.3, 1.0], 2, 2).unwrap();
//! assert_eq!(IntegerMatrix::new(&a).unwrap().rank(DEFAULT_BUDGET).unwrap(), 2);
//!
//! // of the singular values 3 and 4, one is below 4 and one equals it
//! let d = MatrixRef::row_major(&[3.0, 0.0, 0.0, 4.0], 2, 2).unwrap();
//! let count = IntegerMatrix::new(&d).unwrap().count_below(4.0, 0, DEFAULT_BUDGET).unwrap();
//! assert_eq!((count.below, count.equal, count.above), (1, 1, 0));
//! ```

mod inertia;
mod inverse;
mod modular;
mod rank;

pub use inertia::SingularValueCount;
pub use inverse::{ExactInverse, InverseError, RoundedInverse};

use super::view::{MatrixRef, NonFinite};
use dashu_int::{IBig, UBig, Word};

/// A work limit that keeps one exact operation near 0.3 s on one core of a 2020s machine: the
/// unit is one modular multiply-add or one product of 64-bit words.
pub const DEFAULT_BUDGET: u64 = 200_000_000;

/// An exact operation was not started (or not finished) because it would cost too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exact computation needs about {operations:.1e} word operations, the limit is {budget:.1e}", operations = *.operations as f64, budget = *.budget as f64)]
pub struct TooMuchWork {
    /// Estimated word operations.
    pub operations: u64,
    /// The limit that was given.
    pub budget: u64,
}

impl TooMuchWork {
    fn check(operations: f64, budget: u64) -> Result<(), TooMuchWork> {
        if operations > budget as f64 {
            return Err(TooMuchWork {
                // `as` saturates
                operations: operations as u64,
                budget,
            });
        }
        Ok(())
    }
}

/// A matrix of integers times a power of two: entry `(i, j)` of the stored matrix is
/// `entries[i * cols + j] * 2^exponent`, exactly.
///
/// A complex matrix `B + iC` is embedded as `[[B, -C], [C, B]]`, which has every singular value
/// twice; ranks and counts are reported for the matrix as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegerMatrix {
    rows: usize,
    cols: usize,
    exponent: i64,
    multiplicity: usize,
    entries: Vec<IBig>,
}

/// Odd part and exponent of a finite non-zero number: `x = mantissa * 2^exponent`.
fn split(x: f64) -> (i64, i64) {
    let bits = x.to_bits();
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let biased = ((bits >> 52) & 0x7ff) as i64;
    let (mantissa, exponent) = if biased == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, biased - 1075)
    };
    let zeros = i64::from(mantissa.trailing_zeros());
    let odd = mantissa >> zeros;
    (if x < 0.0 { -odd } else { odd }, exponent + zeros)
}

impl IntegerMatrix {
    /// The stored numbers without rounding.
    ///
    /// # Errors
    /// The first entry that is NaN or infinite.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::{exact::IntegerMatrix, view::MatrixRef};
    /// let a = IntegerMatrix::new(&MatrixRef::row_major(&[0.5, 0.75], 1, 2).unwrap()).unwrap();
    /// assert_eq!(a.exponent(), -2);
    /// assert_eq!((a.entry(0, 0).to_string(), a.entry(0, 1).to_string()), ("2".into(), "3".into()));
    /// ```
    pub fn new(a: &MatrixRef<'_>) -> Result<IntegerMatrix, NonFinite> {
        if let Some(bad) = a.first_nonfinite() {
            return Err(bad);
        }
        let complex = a.element_type().is_complex();
        let (m, n) = (a.rows(), a.cols());
        let (rows, cols) = if complex { (2 * m, 2 * n) } else { (m, n) };
        let part = |i: usize, j: usize| {
            let (re, im) = a.get(i % m, j % n);
            match (i < m, j < n) {
                (true, false) => -im,
                (false, true) => im,
                _ => re,
            }
        };
        let mut exponent = i64::MAX;
        for i in 0..rows {
            for j in 0..cols {
                let x = part(i, j);
                if x != 0.0 {
                    exponent = exponent.min(split(x).1);
                }
            }
        }
        if exponent == i64::MAX {
            exponent = 0;
        }
        let mut entries = Vec::with_capacity(rows * cols);
        for i in 0..rows {
            for j in 0..cols {
                let x = part(i, j);
                entries.push(if x == 0.0 {
                    IBig::ZERO
                } else {
                    let (mantissa, e) = split(x);
                    IBig::from(mantissa) << (e - exponent) as usize
                });
            }
        }
        Ok(IntegerMatrix {
            rows,
            cols,
            exponent,
            multiplicity: if complex { 2 } else { 1 },
            entries,
        })
    }

    /// Rows of the integer matrix (twice those of a complex source).
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the integer matrix (twice those of a complex source).
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The power of two that scales the integers to the stored numbers.
    pub fn exponent(&self) -> i64 {
        self.exponent
    }

    /// How many singular values of the integer matrix stand for one of the stored matrix: 2 for a
    /// complex source, otherwise 1.
    pub fn multiplicity(&self) -> usize {
        self.multiplicity
    }

    /// Integer entry `(i, j)`.
    ///
    /// # Panics
    /// If the index is outside the shape.
    pub fn entry(&self, i: usize, j: usize) -> &IBig {
        assert!(i < self.rows && j < self.cols);
        &self.entries[i * self.cols + j]
    }

    /// Bits of the largest entry.
    pub fn bits(&self) -> usize {
        self.entries.iter().map(bit_length).max().unwrap_or(0)
    }

    /// The smaller Gram matrix, `A^T A` or `A A^T`, of order `min(rows, cols)`: its eigenvalues
    /// are the squared singular values.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::{exact::IntegerMatrix, view::MatrixRef};
    /// let g = IntegerMatrix::new(&MatrixRef::row_major(&[3.0, 4.0], 1, 2).unwrap()).unwrap().gram();
    /// assert_eq!((g.rows(), g.cols(), g.exponent()), (1, 1, 0));
    /// assert_eq!(g.entry(0, 0).to_string(), "25");
    /// ```
    pub fn gram(&self) -> IntegerMatrix {
        let tall = self.rows >= self.cols;
        let n = self.rows.min(self.cols);
        let len = self.rows.max(self.cols);
        let at = |k: usize, i: usize| {
            &self.entries[if tall {
                k * self.cols + i
            } else {
                i * self.cols + k
            }]
        };
        let mut entries = vec![IBig::ZERO; n * n];
        for i in 0..n {
            for j in 0..=i {
                let mut sum = IBig::ZERO;
                for k in 0..len {
                    let (x, y) = (at(k, i), at(k, j));
                    if !x.is_zero() && !y.is_zero() {
                        sum += x * y;
                    }
                }
                entries[j * n + i] = sum.clone();
                entries[i * n + j] = sum;
            }
        }
        IntegerMatrix {
            rows: n,
            cols: n,
            exponent: 2 * self.exponent,
            multiplicity: self.multiplicity,
            entries,
        }
    }

    /// Pulls powers of two out of the rows, then out of the columns:
    /// `entry(i, j) = balanced.entry(i, j) * 2^(row[i] + col[j])`.
    fn balanced(&self) -> Balanced {
        let (m, n) = (self.rows, self.cols);
        let mut entries = self.entries.clone();
        let mut pull = |lines: usize, len: usize, index: &dyn Fn(usize, usize) -> usize| {
            (0..lines)
                .map(|i| {
                    let common = (0..len)
                        .filter_map(|j| entries[index(i, j)].trailing_zeros())
                        .min()
                        .unwrap_or(0);
                    if common > 0 {
                        for j in 0..len {
                            let x = &mut entries[index(i, j)];
                            *x = std::mem::take(x) >> common;
                        }
                    }
                    common
                })
                .collect::<Vec<usize>>()
        };
        let row = pull(m, n, &|i, j| i * n + j);
        let col = pull(n, m, &|j, i| i * n + j);
        Balanced { entries, row, col }
    }
}

/// See [`IntegerMatrix::balanced`].
struct Balanced {
    entries: Vec<IBig>,
    row: Vec<usize>,
    col: Vec<usize>,
}

/// Upper bounds, in half bits, on the base-2 logarithm of the Euclidean norm of each line of a
/// matrix: `norm < 2^(h/2)`; 0 for a zero line (norm 0 < 1).
fn half_bits(lines: usize, len: usize, at: impl Fn(usize, usize) -> usize, e: &[IBig]) -> Vec<u64> {
    (0..lines)
        .map(|i| {
            let sum: UBig = (0..len).map(|j| e[at(i, j)].sqr()).sum();
            magnitude_bits(sum.as_words()) as u64
        })
        .collect()
}

/// Upper bound `b` with `|minor| < 2^b` for every minor of order `k`, by Hadamard's inequality on
/// the longest rows or the longest columns.
fn hadamard_bits(rows: usize, cols: usize, entries: &[IBig], k: usize) -> u64 {
    let longest = |mut h: Vec<u64>| {
        h.sort_unstable_by(|a, b| b.cmp(a));
        h.iter().take(k).sum::<u64>().div_ceil(2)
    };
    let by_row = longest(half_bits(rows, cols, |i, j| i * cols + j, entries));
    let by_col = longest(half_bits(cols, rows, |j, i| i * cols + j, entries));
    by_row.min(by_col)
}

/// Length of a little-endian magnitude in bits; 0 for zero.
fn magnitude_bits(words: &[Word]) -> usize {
    words.last().map_or(0, |w| {
        words.len() * Word::BITS as usize - w.leading_zeros() as usize
    })
}

/// `floor(log2 |x|) + 1`; 0 for zero.
fn bit_length(x: &IBig) -> usize {
    magnitude_bits(x.as_sign_words().1)
}
