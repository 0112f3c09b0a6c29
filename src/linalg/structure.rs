//! Facts about a matrix that can be read off its stored entries without arithmetic: zero or
//! repeated lines, generalized diagonals, too few non-zeros to have full rank. Every fact is exact.
//!
//! *Why is this matrix singular?* [`structure`] answers where the entries alone do, in one pass; it is the first
//! rung of [`condition`](crate::linalg::condition::condition), and the sentence that a person can act on: a dead
//! unit, a duplicated feature.
//!
//! ```
//! use isometer::linalg::structure::{Parallel, Structure, structure};
//! use isometer::linalg::view::MatrixRef;
//!
//! let a = MatrixRef::row_major(&[1.0, 2.0, -2.0, -4.0], 2, 2).unwrap();
//! let twice = Parallel { first: 0, second: 1, opposite: true, exponent: 1 };
//! assert_eq!(structure(&a), Structure::ParallelRows(twice)); // row 1 is -2^1 times row 0
//! ```

use super::dd::Dd;
use super::view::MatrixRef;
use crate::scale::{Enclosure, exponent_of, ldexp};
use std::collections::HashMap;
use std::fmt;

/// What the stored entries show. Every variant but [`Structure::None`], [`Structure::Vector`] and
/// a [`Structure::GeneralizedDiagonal`] of full rank proves that the smallest of the
/// `min(rows, cols)` singular values is exactly zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Structure {
    /// Every entry is zero.
    Zero,
    /// One row or column, not zero: its only singular value is its length.
    Vector {
        /// The length.
        norm: Enclosure,
    },
    /// At most one non-zero entry in each row and column (real entries): the singular values are
    /// the magnitudes of those entries, and zeros.
    GeneralizedDiagonal {
        /// The largest singular value.
        largest: f64,
        /// The smallest singular value, 0 if `rank < min(rows, cols)`.
        smallest: f64,
        /// Number of non-zero entries.
        rank: usize,
    },
    /// A row of zeros in a matrix with no more rows than columns.
    ZeroRow(usize),
    /// A column of zeros in a matrix with no more columns than rows.
    ZeroCol(usize),
    /// Two rows that are multiples of each other, in a matrix with no more rows than columns.
    ParallelRows(Parallel),
    /// Two columns that are multiples of each other, in a matrix with no more columns than rows.
    ParallelCols(Parallel),
    /// A tall matrix with fewer different non-zero rows than columns.
    FewRows {
        /// Rows that are neither zero nor a multiple (by plus or minus a power of two) of another.
        distinct: usize,
        /// Columns of the matrix.
        cols: usize,
    },
    /// A wide matrix with fewer different non-zero columns than rows.
    FewCols {
        /// Columns that are neither zero nor a multiple (by plus or minus a power of two) of another.
        distinct: usize,
        /// Rows of the matrix.
        rows: usize,
    },
    /// The zero pattern alone bounds the rank: no choice of one non-zero for each row and column
    /// covers more than `rank` of them (Koenig's theorem).
    StructurallySingular {
        /// The largest number of non-zeros no two of which share a row or column.
        rank: usize,
        /// `min(rows, cols)`.
        full: usize,
    },
    /// Nothing that settles the matter.
    None,
}

/// Line `second` equals line `first` times `2^exponent`, or times `-2^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parallel {
    /// The earlier line, from 0.
    pub first: usize,
    /// The later line.
    pub second: usize,
    /// Whether the factor is negative.
    pub opposite: bool,
    /// The exponent of the factor.
    pub exponent: i32,
}

impl Structure {
    /// Whether the smallest of the `min(rows, cols)` singular values is proved to be zero.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::{structure::structure, view::MatrixRef};
    /// let dead = MatrixRef::row_major(&[0.0, 0.0, 1.0, 2.0], 2, 2).unwrap();
    /// assert!(structure(&dead).is_singular());
    /// ```
    pub fn is_singular(&self) -> bool {
        match self {
            Structure::None | Structure::Vector { .. } => false,
            Structure::GeneralizedDiagonal { smallest, .. } => *smallest == 0.0,
            _ => true,
        }
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parallel = |f: &mut fmt::Formatter<'_>, lines: &str, line: &str, p: &Parallel| {
            let Parallel { first, second, .. } = *p;
            match (p.opposite, p.exponent) {
                (false, 0) => write!(f, "{lines} {first} and {second} are equal"),
                (true, 0) => write!(f, "{lines} {first} and {second} differ only in sign"),
                (opposite, e) => {
                    let sign = if opposite { "-" } else { "" };
                    write!(f, "{line} {second} is {sign}2^{e} times {line} {first}")
                }
            }
        };
        match self {
            Structure::Zero => write!(f, "every entry is zero"),
            Structure::Vector { .. } => {
                write!(f, "a single line, whose only singular value is its length")
            }
            Structure::GeneralizedDiagonal { rank, .. } => write!(
                f,
                "at most one non-zero entry in each row and column, {rank} in all: the singular values are their magnitudes"
            ),
            Structure::ZeroRow(i) => write!(f, "row {i} is zero"),
            Structure::ZeroCol(j) => write!(f, "column {j} is zero"),
            Structure::ParallelRows(p) => parallel(f, "rows", "row", p),
            Structure::ParallelCols(p) => parallel(f, "columns", "column", p),
            Structure::FewRows { distinct, cols } => write!(
                f,
                "only {distinct} rows are non-zero and different, too few for {cols} columns"
            ),
            Structure::FewCols { distinct, rows } => write!(
                f,
                "only {distinct} columns are non-zero and different, too few for {rows} rows"
            ),
            Structure::StructurallySingular { rank, full } => write!(
                f,
                "the pattern of zeros allows rank {rank} at most, of {full}"
            ),
            Structure::None => write!(f, "no exact structure found"),
        }
    }
}

/// What one pass over the entries learns about one row or column.
#[derive(Clone, Copy, Default)]
struct Line {
    nonzeros: u32,
    /// Exponent and sign of the first non-zero entry, taken out of the fingerprint.
    exponent: i32,
    negative: bool,
    fingerprint: u64,
}

/// Sign, exponent of the lowest set bit, and odd mantissa, of a non-zero number.
fn parts(x: f64) -> (bool, i32, u64) {
    let bits = x.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let biased = ((bits >> 52) & 0x7ff) as i32;
    let (mantissa, exponent) = if biased == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, biased - 1075)
    };
    let zeros = mantissa.trailing_zeros();
    (x < 0.0, exponent + zeros as i32, mantissa >> zeros)
}

impl Line {
    /// `position` tells the entry, and its real from its imaginary part.
    fn push(&mut self, position: u64, (negative, exponent, mantissa): (bool, i32, u64)) {
        if self.fingerprint == 0 {
            self.exponent = exponent;
            self.negative = negative;
        }
        let relative = (exponent - self.exponent) as u64;
        let sign = u64::from(negative != self.negative);
        let word = mantissa ^ relative << 54 ^ sign << 53;
        let place = position.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // Rotate, add, multiply by an odd constant; collisions cost time, not truth.
        self.fingerprint = (self.fingerprint.rotate_left(26) ^ word ^ place)
            .wrapping_mul(0xd6e8_feb8_6659_fd93)
            | 1;
    }
}

/// Reads the structure of a matrix in one pass (and, where many entries are zero, a second one for
/// the pattern). A matrix with NaN or infinite entries has [`Structure::None`].
///
/// # Examples
/// ```
/// use isometer::linalg::{structure::{Structure, structure}, view::MatrixRef};
/// let swap = MatrixRef::row_major(&[0.0, -3.0, 2.0, 0.0], 2, 2).unwrap();
/// let expected = Structure::GeneralizedDiagonal { largest: 3.0, smallest: 2.0, rank: 2 };
/// assert_eq!(structure(&swap), expected);
/// assert!(!expected.is_singular());
/// ```
pub fn structure(a: &MatrixRef<'_>) -> Structure {
    let (m, n) = (a.rows(), a.cols());
    if m == 0 || n == 0 {
        return Structure::None;
    }
    let Some((rows, cols, total)) = scan(a) else {
        return Structure::None;
    };
    if total == 0 {
        return Structure::Zero;
    }
    let lone = |lines: &[Line]| lines.iter().all(|l| l.nonzeros <= 1);
    if !a.element_type().is_complex() && lone(&rows) && lone(&cols) {
        return generalized_diagonal(a, total as usize);
    }
    if m.min(n) == 1 {
        return Structure::Vector { norm: length(a) };
    }
    let transposed = a.transposed();
    let (row_classes, parallel_rows) = classes(a, &rows);
    let (col_classes, parallel_cols) = classes(&transposed, &cols);
    let zero = |lines: &[Line]| lines.iter().position(|l| l.nonzeros == 0);
    if m <= n {
        if let Some(i) = zero(&rows) {
            return Structure::ZeroRow(i);
        }
        if let Some(p) = parallel_rows {
            return Structure::ParallelRows(p);
        }
        if col_classes < m && m < n {
            return Structure::FewCols {
                distinct: col_classes,
                rows: m,
            };
        }
    }
    if n <= m {
        if let Some(j) = zero(&cols) {
            return Structure::ZeroCol(j);
        }
        if let Some(p) = parallel_cols {
            return Structure::ParallelCols(p);
        }
        if row_classes < n && n < m {
            return Structure::FewRows {
                distinct: row_classes,
                cols: n,
            };
        }
    }
    // A deficient pattern needs an all-zero p x q block with p + q > max(m, n), and no zero line.
    let zeros = m as u64 * n as u64 - total;
    if zeros >= 2 * (m.max(n) as u64 - 1) {
        let full = m.min(n);
        let rank = super::matching::structural_rank(a);
        if rank < full {
            return Structure::StructurallySingular { rank, full };
        }
    }
    Structure::None
}

/// Rows, columns and the number of non-zero entries; `None` if an entry is not finite.
fn scan(a: &MatrixRef<'_>) -> Option<(Vec<Line>, Vec<Line>, u64)> {
    if !a.rows_are_contiguous() {
        let (cols, rows, total) = scan(&a.transposed())?;
        return Some((rows, cols, total));
    }
    let (m, n) = (a.rows(), a.cols());
    let (mut rows, mut cols) = (vec![Line::default(); m], vec![Line::default(); n]);
    let components = a.components();
    let mut entries = vec![0.0; n * components];
    let mut total = 0u64;
    for (i, row) in rows.iter_mut().enumerate() {
        a.decode_line(true, i, &mut entries);
        if !entries.iter().all(|x| x.is_finite()) {
            return None;
        }
        for (j, (entry, col)) in entries.chunks_exact(components).zip(&mut cols).enumerate() {
            let mut zero = true;
            for (part, &x) in entry.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                let p = parts(x);
                row.push((2 * j + part) as u64, p);
                col.push((2 * i + part) as u64, p);
                zero = false;
            }
            if !zero {
                row.nonzeros += 1;
                col.nonzeros += 1;
                total += 1;
            }
        }
    }
    Some((rows, cols, total))
}

/// How many rows are pairwise no multiples by a power of two, zero rows aside, and the first
/// pair that is; equal fingerprints are confirmed entry by entry.
fn classes(a: &MatrixRef<'_>, lines: &[Line]) -> (usize, Option<Parallel>) {
    let mut seen: HashMap<(u64, u32), Vec<usize>> = HashMap::new();
    let mut count = 0;
    let mut pair = None;
    for (i, line) in lines.iter().enumerate().filter(|(_, l)| l.nonzeros > 0) {
        let bucket = seen.entry((line.fingerprint, line.nonzeros)).or_default();
        let twin = bucket.iter().find_map(|&k| {
            let p = Parallel {
                first: k,
                second: i,
                opposite: line.negative != lines[k].negative,
                exponent: line.exponent - lines[k].exponent,
            };
            is_parallel(a, &p).then_some(p)
        });
        match twin {
            Some(p) => pair = pair.or(Some(p)),
            None => {
                bucket.push(i);
                count += 1;
            }
        }
    }
    (count, pair)
}

fn is_parallel(a: &MatrixRef<'_>, p: &Parallel) -> bool {
    let same = |x: f64, y: f64| {
        if x == 0.0 || y == 0.0 {
            return x == y;
        }
        let ((sx, ex, mx), (sy, ey, my)) = (parts(x), parts(y));
        mx == my && ey - ex == p.exponent && (sx != sy) == p.opposite
    };
    (0..a.cols()).all(|j| {
        let (x, y) = (a.get(p.first, j), a.get(p.second, j));
        same(x.0, y.0) && same(x.1, y.1)
    })
}

fn generalized_diagonal(a: &MatrixRef<'_>, rank: usize) -> Structure {
    let (mut largest, mut smallest) = (0.0f64, f64::INFINITY);
    for i in 0..a.rows() {
        for j in 0..a.cols() {
            let x = a.get(i, j).0.abs();
            if x > 0.0 {
                largest = largest.max(x);
                smallest = smallest.min(x);
            }
        }
    }
    if rank < a.rows().min(a.cols()) {
        smallest = 0.0;
    }
    Structure::GeneralizedDiagonal {
        largest,
        smallest,
        rank,
    }
}

/// Euclidean length of a non-zero vector, enclosed.
///
/// Scaled to a largest component in `[1, 2)`, the squares are summed in double-double: each of the
/// `k` squares is exact or, below `2^-968`, off by less than `2^-1074`; each addition of
/// non-negative terms adds a relative error below `2^-102`, so for `k < 2^40` the sum is off by
/// less than `2^-61` of itself and its root, rounded to `f64`, by less than two units in the
/// last place.
fn length(a: &MatrixRef<'_>) -> Enclosure {
    let exponent = i64::from(exponent_of(a.max_component()));
    let mut sum = Dd::ZERO;
    for i in 0..a.rows() {
        for j in 0..a.cols() {
            let (re, im) = a.get(i, j);
            for x in [re, im] {
                let x = ldexp(x, -exponent);
                sum += Dd::from_product(x, x);
            }
        }
    }
    let root = sum.sqrt().to_f64();
    let (lo, hi) = (root.next_down().next_down(), root.next_up().next_up());
    Enclosure::new(root, lo, hi, exponent).unwrap_or(Enclosure::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::exact::{DEFAULT_BUDGET, IntegerMatrix};
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn of(data: &[f64], rows: usize, cols: usize) -> Structure {
        structure(&MatrixRef::row_major(data, rows, cols).unwrap())
    }

    #[test]
    fn zero_lines_count_only_on_the_short_side() {
        assert_eq!(of(&[0.0; 6], 2, 3), Structure::Zero);
        let data = [1.0, 2.0, 3.0, 4.0, 0.0, 0.0];
        assert_eq!(of(&data, 3, 2), Structure::None);
        assert_eq!(
            of(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0], 2, 3),
            Structure::ZeroRow(1)
        );
        assert_eq!(
            of(&[1.0, 0.0, 3.0, 0.0, 5.0, 0.0], 3, 2),
            Structure::ZeroCol(1)
        );
        // A tall matrix of which one row is left.
        let few = of(&[1.0, 3.0, 0.0, 0.0, -4.0, -12.0], 3, 2);
        assert_eq!(
            few,
            Structure::FewRows {
                distinct: 1,
                cols: 2
            }
        );
        assert!(few.is_singular());
    }

    #[test]
    fn parallel_lines_are_named_with_their_factor() {
        let equal = of(&[1.0, 2.0, 3.0, 5.0, 7.0, 11.0, 1.0, 2.0, 3.0], 3, 3);
        assert_eq!(equal.to_string(), "rows 0 and 2 are equal");
        let opposite = of(&[1.0, 5.0, -1.0, 2.0, 7.0, -2.0, 3.0, 0.0, -3.0], 3, 3);
        assert_eq!(opposite.to_string(), "columns 0 and 2 differ only in sign");
        let multiple = of(&[0.0, 0.3, 0.7, 0.0, -1.2, -2.8, 1.0, 1.0, 1.0], 3, 3);
        assert_eq!(multiple.to_string(), "row 1 is -2^2 times row 0");
        // Across the subnormal range.
        let tiny = f64::from_bits(3);
        let scaled = of(&[tiny, 2.0 * tiny, 3.0, 6.0], 2, 2);
        assert!(matches!(
            scaled,
            Structure::ParallelCols(Parallel { exponent: 1, .. }) | Structure::ParallelRows(_)
        ));
        // One unit in the last place apart is not parallel.
        assert_eq!(of(&[1.0, 2.0, 1f64.next_up(), 2.0], 2, 2), Structure::None);
        assert_eq!(of(&[0.1, 0.2, 0.1, f64::NAN], 2, 2), Structure::None);
    }

    #[test]
    fn complex_lines_are_compared_in_both_parts() {
        let row = |s: f64| [[s, 2.0 * s], [3.0 * s, -s]];
        let data = [row(1.0), row(-0.5)].concat();
        let a = MatrixRef::row_major(&data, 2, 2).unwrap();
        assert_eq!(structure(&a).to_string(), "row 1 is -2^-1 times row 0");
        let mut data = data;
        data[3][1] = 0.25;
        assert_eq!(
            structure(&MatrixRef::row_major(&data, 2, 2).unwrap()),
            Structure::None
        );
    }

    #[test]
    fn generalized_diagonals_show_their_singular_values() {
        let s = of(&[0.0, -3.0, 0.0, 0.5, 0.0, 0.0], 2, 3);
        assert_eq!(
            s,
            Structure::GeneralizedDiagonal {
                largest: 3.0,
                smallest: 0.5,
                rank: 2
            }
        );
        assert!(!s.is_singular());
        let s = of(&[0.0, 3.0, 0.0, 0.0], 2, 2);
        assert_eq!(
            s,
            Structure::GeneralizedDiagonal {
                largest: 3.0,
                smallest: 0.0,
                rank: 1
            }
        );
        assert!(s.is_singular());
    }

    #[test]
    fn zero_blocks_are_found() {
        // Strictly upper triangular without its first column; no zero or parallel line.
        let data = [
            1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 4.0,
        ];
        // Rows 2 and 3 are parallel after scaling by 4/3, which is no power of two.
        assert_eq!(
            of(&data, 4, 4),
            Structure::StructurallySingular { rank: 3, full: 4 }
        );
    }

    #[test]
    fn the_length_of_a_vector_is_enclosed() {
        let data = [3.0, 4.0, 0.0, 12.0];
        let Structure::Vector { norm } = of(&data, 1, 4) else {
            panic!()
        };
        assert!(norm.contains_scaled(13.0, 0) && norm.relative_width() < 1e-15);
        let lone = of(&[0.0, -7e-310, 0.0], 3, 1);
        assert!(matches!(
            lone,
            Structure::GeneralizedDiagonal {
                largest: 7e-310,
                ..
            }
        ));
        let Structure::Vector { norm } = of(&[0.0, -7e-310, 1e-322], 3, 1) else {
            panic!()
        };
        assert!(norm.contains_scaled(7e-310, 0));
    }

    proptest! {
        /// Whatever structure claims, exact arithmetic confirms.
        #[test]
        fn claims_are_confirmed_by_the_exact_rank(
            m in 1usize..7, n in 1usize..7, seed: u64, zeros in 0u32..10, levels in 1i32..4,
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let data: Vec<f64> = (0..m * n).map(|_| {
                if rng.random_range(0..10) < zeros { return 0.0; }
                f64::from(rng.random_range(-levels..=levels)) * 2f64.powi(rng.random_range(-1..=1))
            }).collect();
            let a = MatrixRef::row_major(&data, m, n).unwrap();
            let exact = IntegerMatrix::new(&a).unwrap();
            let rank = exact.rank(DEFAULT_BUDGET).unwrap();
            let s = structure(&a);
            prop_assert!(!s.is_singular() || rank < m.min(n), "{}", s);
            match s {
                Structure::GeneralizedDiagonal { largest, smallest, rank: r } => {
                    prop_assert_eq!(r, rank);
                    prop_assert!(exact.proves_sigma_max_in(largest, largest, 0, DEFAULT_BUDGET).unwrap());
                    prop_assert!(exact.proves_sigma_min_in(smallest, smallest, 0, DEFAULT_BUDGET).unwrap());
                }
                Structure::StructurallySingular { rank: r, .. } => prop_assert!(rank <= r),
                Structure::FewRows { distinct, .. } | Structure::FewCols { distinct, .. } => {
                    prop_assert!(rank <= distinct);
                }
                Structure::Vector { norm } => {
                    let (_, lo, hi) = norm.to_linear().unwrap();
                    prop_assert!(exact.proves_sigma_max_in(lo, hi, 0, DEFAULT_BUDGET).unwrap());
                }
                _ => {}
            }
        }
    }
}
