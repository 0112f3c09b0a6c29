//! What one pass over the rows of a matrix tells: moments of the entries, units that do nothing or repeat others, and
//! what rounding to 8-bit integers would lose.

use crate::linalg::dense;
use crate::linalg::view::MatrixRef;
use std::collections::HashMap;

/// Largest magnitude of a signed 8-bit code in symmetric quantization.
const CODES: f64 = 127.0;

/// Findings of one pass over a finite real matrix with one row (or column) for each unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// Number of entries.
    pub count: u64,
    /// Mean of the entries.
    pub mean: f64,
    /// Standard deviation of the entries.
    pub std: f64,
    /// Fourth central moment over the squared variance: 3 for a normal law, 1.8 for a uniform one; NaN for constants.
    pub kurtosis: f64,
    /// Units whose weights are all zero, by number.
    pub dead: Vec<usize>,
    /// Pairs (earlier, later) of units with equal weights that are not zero.
    pub copies: Vec<(usize, usize)>,
    /// Inputs whose weights are all zero, by number.
    pub unused: Vec<usize>,
    /// `|W - Q(W)|_F / |W|_F` of symmetric rounding to 8 bits with one scale.
    pub int8_error: f64,
    /// The same with one scale for each stored row.
    pub int8_error_by_row: f64,
}

/// One pass; `units_are_rows` says which lines are units, `largest` is the largest magnitude of an entry.
///
/// # Panics
/// If the entries are complex.
///
/// # Examples
/// ```
/// use isometer::audit::lines::lines;
/// use isometer::linalg::view::MatrixRef;
/// let w = MatrixRef::row_major(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], 3, 2).unwrap();
/// let l = lines(&w, true, 1.0);
/// assert_eq!((l.dead, l.copies, l.unused), (vec![1], vec![(0, 2)], vec![1]));
/// assert!((l.mean - 1.0 / 3.0).abs() < 1e-15 && l.int8_error < 1e-12);
/// ```
pub fn lines(a: &MatrixRef<'_>, units_are_rows: bool, largest: f64) -> Lines {
    assert_eq!(a.components(), 1, "a real matrix");
    let (rows, cols) = (a.rows(), a.cols());
    // powers of two keep the squares of any finite entries in range
    let unit = if largest > 0.0 {
        2f64.powi(largest.log2().floor() as i32)
    } else {
        1.0
    };
    let unit = if unit.is_normal() {
        unit
    } else {
        f64::MIN_POSITIVE
    };
    let mut sums = Sums {
        shift: centre(a, unit),
        ..Sums::default()
    };
    let mut line = vec![0.0; cols];
    let mut row_hash = Vec::with_capacity(if units_are_rows { rows } else { 0 });
    let mut col_hash = vec![0u64; if units_are_rows { 0 } else { cols }];
    let mut zero_rows = Vec::new();
    let mut used = vec![false; cols];
    for i in 0..rows {
        a.read_row(i, &mut line);
        line.iter_mut().for_each(|x| *x /= unit);
        let row = sums.add(&line, largest / unit);
        if row == 0.0 {
            zero_rows.push(i);
        } else {
            used.iter_mut()
                .zip(&line)
                .for_each(|(u, x)| *u |= *x != 0.0);
        }
        if units_are_rows {
            row_hash.push(line.iter().fold(0, |h, x| mix(h, *x)));
        } else {
            col_hash
                .iter_mut()
                .zip(&line)
                .for_each(|(h, x)| *h = mix(*h, *x));
        }
    }
    let zero_cols: Vec<usize> = (0..cols).filter(|j| !used[*j]).collect();
    let (dead, unused) = if units_are_rows {
        (zero_rows, zero_cols)
    } else {
        (zero_cols, zero_rows)
    };
    let hashes = if units_are_rows { row_hash } else { col_hash };
    let oriented = if units_are_rows { *a } else { a.transposed() };
    let n = (rows * cols) as f64;
    // about the mean of one row, so that little cancels where the mean is large beside the spread
    let off = sums.first / n;
    let mean = sums.shift + off;
    let variance = (sums.second / n - off * off).max(0.0);
    let fourth = sums.fourth / n - 4.0 * off * sums.third / n + 6.0 * off * off * sums.second / n
        - 3.0 * off.powi(4);
    let relative = |error: f64| {
        if sums.squares > 0.0 {
            (error / sums.squares).sqrt()
        } else {
            0.0
        }
    };
    Lines {
        count: (rows * cols) as u64,
        mean: mean * unit,
        std: variance.sqrt() * unit,
        kurtosis: fourth / (variance * variance),
        copies: copies(&oriented, &hashes, &dead),
        dead,
        unused,
        int8_error: relative(sums.rounded),
        int8_error_by_row: relative(sums.rounded_by_row),
    }
}

/// Mean of the first row in the given unit.
fn centre(a: &MatrixRef<'_>, unit: f64) -> f64 {
    let mut line = vec![0.0; a.cols()];
    if a.rows() > 0 {
        a.read_row(0, &mut line);
    }
    line.iter().map(|x| x / unit).sum::<f64>() / line.len().max(1) as f64
}

/// Sums over all entries; powers are of the entries less [`shift`](Sums::shift).
#[derive(Default)]
struct Sums {
    shift: f64,
    /// Squares of the entries themselves.
    squares: f64,
    first: f64,
    second: f64,
    third: f64,
    fourth: f64,
    rounded: f64,
    rounded_by_row: f64,
}

impl Sums {
    /// Adds a line; returns its largest magnitude.
    fn add(&mut self, line: &[f64], largest: f64) -> f64 {
        let moved: Vec<f64> = line.iter().map(|x| x - self.shift).collect();
        let [first, second, third, fourth] = dense::power_sums(&moved);
        self.first += first;
        self.second += second;
        self.third += third;
        self.fourth += fourth;
        self.squares += dense::dot(line, line);
        let most = line.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        if most == 0.0 {
            return 0.0;
        }
        self.rounded += dense::rounding_loss(line, largest / CODES);
        self.rounded_by_row += dense::rounding_loss(line, most / CODES);
        most
    }
}

/// A number that equal entries share and different ones rarely do; zeros of both signs are equal.
fn mix(hash: u64, x: f64) -> u64 {
    // splitmix64's multiplier: odd, so that no entry is lost
    (hash.rotate_left(23) ^ (x + 0.0).to_bits()).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// Pairs of equal rows; each later one beside the first of its kind.
fn copies(a: &MatrixRef<'_>, hashes: &[u64], dead: &[usize]) -> Vec<(usize, usize)> {
    let mut first: HashMap<u64, usize> = HashMap::with_capacity(hashes.len());
    let mut found = Vec::new();
    let (mut x, mut y) = (vec![0.0; a.cols()], vec![0.0; a.cols()]);
    for (i, hash) in hashes.iter().enumerate() {
        if dead.binary_search(&i).is_ok() {
            continue;
        }
        match first.get(hash) {
            None => {
                first.insert(*hash, i);
            }
            Some(&earlier) => {
                a.read_row(earlier, &mut x);
                a.read_row(i, &mut y);
                if x == y {
                    found.push((earlier, i));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::symmetry::symmetry;
    use proptest::prelude::*;

    proptest! {
        /// Units are found by hashing as they are by comparing all of them.
        #[test]
        fn units_agree_with_the_comparison_of_all(
            rows in 2usize..7, cols in 2usize..5, data in proptest::collection::vec(-1i8..=1, 36)
        ) {
            let x: Vec<f64> = data.iter().take(rows * cols).map(|v| f64::from(*v)).collect();
            let a = MatrixRef::row_major(&x, rows, cols).unwrap();
            let all = symmetry(&a, None, 0.0).unwrap();
            let found = lines(&a, true, a.max_component());
            let expected: Vec<(usize, usize)> =
                all.copies.iter().filter(|c| !c.negated).map(|c| (c.first, c.second)).collect();
            prop_assert_eq!(&found.dead, &all.zero);
            prop_assert_eq!(&found.unused, &all.unused);
            // a copy of a negated row refers to the row itself there
            let both: Vec<usize> = found.copies.iter().map(|c| c.1).collect();
            prop_assert!(expected.iter().all(|c| both.contains(&c.1)));
            for (i, j) in &found.copies {
                prop_assert_eq!(&x[i * cols..(i + 1) * cols], &x[j * cols..(j + 1) * cols]);
            }
            let turned = lines(&a.transposed(), false, a.max_component());
            prop_assert_eq!((&turned.dead, &turned.unused, &turned.copies), (&found.dead, &found.unused, &found.copies));
        }
    }

    #[test]
    fn moments_and_rounding_are_those_of_the_definition() {
        let n = 4000;
        // a uniform law on a grid, at a scale whose squares would underflow
        for scale in [1.0, 1e-200, 1e200] {
            let x: Vec<f64> = (0..n)
                .map(|k| scale * (2.0 * (f64::from(k) + 0.5) / f64::from(n) - 1.0))
                .collect();
            let a = MatrixRef::row_major(&x, 40, 100).unwrap();
            let l = lines(&a, true, a.max_component());
            assert!(
                (l.std / scale - (1.0f64 / 3.0).sqrt()).abs() < 1e-6
                    && l.mean.abs() < 1e-12 * scale
            );
            assert!((l.kurtosis - 1.8).abs() < 1e-5, "{}", l.kurtosis);
            // steps of 1/127, error uniform in half a step
            let expected = 1.0 / 127.0 / 12f64.sqrt() / l.std * scale;
            assert!((l.int8_error / expected - 1.0).abs() < 0.05);
            assert!(l.int8_error_by_row < l.int8_error);
        }
        // a mean a million times the spread, and a row of zeros, which counts as well
        let x: Vec<f64> = (0..n)
            .map(|k| 1.0 + if k % 2 == 0 { 1e-6 } else { -1e-6 })
            .collect();
        let l = lines(&MatrixRef::row_major(&x, 40, 100).unwrap(), true, 1.000_001);
        assert!(
            (l.std / 1e-6 - 1.0).abs() < 1e-6 && (l.kurtosis - 1.0).abs() < 1e-6,
            "{l:?}"
        );
        let half = MatrixRef::row_major(&[0.0, 0.0, 1.0, 1.0], 2, 2).map(|a| lines(&a, true, 1.0));
        assert_eq!(half.map(|l| (l.mean, l.std)), Ok((0.5, 0.5)));
        let mut spike = vec![0.01; 1000];
        spike[500] = 10.0;
        spike.iter_mut().step_by(2).for_each(|x| *x = -*x);
        let a = MatrixRef::row_major(&spike, 10, 100).unwrap();
        let l = lines(&a, true, 10.0);
        // everything else rounds to zero
        assert!(l.int8_error > 0.03 && l.int8_error_by_row < l.int8_error);
    }
}
