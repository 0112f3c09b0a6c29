//! Widening of a stored matrix to scaled `f64` for computation: what every decomposition starts from.
//!
//! ```
//! use isometer::linalg::view::MatrixRef;
//!
//! // 1 x 3 becomes 3 x 1, its largest entry near 1
//! let a = MatrixRef::row_major(&[1e300, -4e300, 2e300], 1, 3).unwrap();
//! let w = a.widen().unwrap();
//! assert!(w.transposed && w.mat.nrows() == 3 && w.mat[(1, 0)].abs() <= 1.0);
//! assert_eq!(w.mat[(1, 0)] / w.mat[(0, 0)], -4.0);
//! ```

use super::view::{MatrixRef, NonFinite};
use crate::scale::{exponent_of, ldexp};

/// A matrix widened to `f64` for computation: tall (`rows >= cols`), scaled by a power of two to
/// entries of magnitude at most 1, complex entries `B + iC` embedded as `[[B, -C], [C, B]]`, whose
/// singular values are those of the complex matrix, each twice. Theorem: complex-embedding.
#[derive(Clone, Debug)]
pub struct Widened {
    /// The scaled entries, column-major.
    pub mat: faer::Mat<f64>,
    /// The stored matrix is `mat * 2^exponent` (up to [`Widened::rounded`] entries).
    pub exponent: i64,
    /// Each singular value of `mat` stands for one of the stored matrix when 1, twice when 2.
    pub multiplicity: usize,
    /// Whether `mat` is the stored matrix transposed: its singular values are the same, its 1- and
    /// infinity-norm change places.
    pub transposed: bool,
    /// How many entries underflowed in scaling; each moved by at most 2^-1075.
    pub rounded: usize,
}

/// Lines widened at a time when the stored order has to be transposed.
const BLOCK: usize = 16;

impl MatrixRef<'_> {
    /// Widens exactly to scaled `f64`; see [`Widened`].
    ///
    /// # Errors
    /// The first entry that is NaN or infinite.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[3.0, 4.0], 2, 1).unwrap();
    /// let w = a.widen().unwrap();
    /// assert_eq!(w.mat[(1, 0)] * 2f64.powi(w.exponent as i32), 4.0);
    /// ```
    pub fn widen(&self) -> Result<Widened, NonFinite> {
        let Some(max) = self.scan() else {
            return Err(self.first_nonfinite().unwrap_or(NonFinite {
                row: 0,
                col: 0,
                value: f64::NAN,
            }));
        };
        let (rows, cols) = (self.rows(), self.cols());
        // Square matrices are taken in whichever orientation is contiguous.
        let transpose = rows < cols || (rows == cols && self.rows_are_contiguous());
        let tall = if transpose { self.transposed() } else { *self };
        let exponent = if max == 0.0 {
            0
        } else {
            i64::from(exponent_of(max)) + 1
        };
        let (m, n) = (tall.rows(), tall.cols());
        let multiplicity = tall.components();
        let mut mat = faer::Mat::zeros(multiplicity * m, multiplicity * n);
        let mut rounded = 0usize;
        let by_rows = tall.rows_are_contiguous() && n > 1;
        let (lines, len) = if by_rows { (m, n) } else { (n, m) };
        let mut buffer = vec![vec![0.0; len * multiplicity]; BLOCK.min(lines)];
        for start in (0..lines).step_by(BLOCK) {
            let count = BLOCK.min(lines - start);
            for (k, line) in buffer[..count].iter_mut().enumerate() {
                tall.decode_line(by_rows, start + k, line);
                rounded += shrink(line, exponent);
            }
            if multiplicity == 1 && !by_rows {
                for (k, line) in buffer[..count].iter().enumerate() {
                    mat.col_as_slice_mut(start + k).copy_from_slice(line);
                }
            } else if multiplicity == 1 {
                for j in 0..n {
                    let target = &mut mat.col_as_slice_mut(j)[start..start + count];
                    for (t, line) in target.iter_mut().zip(&buffer) {
                        *t = line[j];
                    }
                }
            } else {
                for (k, line) in buffer[..count].iter().enumerate() {
                    for (l, pair) in line.chunks_exact(2).enumerate() {
                        let (i, j) = if by_rows {
                            (start + k, l)
                        } else {
                            (l, start + k)
                        };
                        let (re, im) = (pair[0], pair[1]);
                        mat[(i, j)] = re;
                        mat[(m + i, n + j)] = re;
                        mat[(m + i, j)] = im;
                        mat[(i, n + j)] = -im;
                    }
                }
            }
        }
        Ok(Widened {
            mat,
            exponent,
            multiplicity,
            transposed: transpose,
            rounded: rounded * multiplicity,
        })
    }
}

/// Multiplies by `2^-exponent`; returns how many entries were rounded, which only underflow does.
fn shrink(line: &mut [f64], exponent: i64) -> usize {
    if exponent == 0 {
        return 0;
    }
    if exponent.abs() <= 1000 {
        let factor = 2f64.powi(-exponent as i32);
        let mut smallest = f64::INFINITY;
        for x in line.iter_mut() {
            let y = *x * factor;
            // zero stays zero; anything else below the normal range may have been rounded
            let size = if *x == 0.0 { f64::INFINITY } else { y.abs() };
            smallest = if size < smallest { size } else { smallest };
            *x = y;
        }
        if smallest >= f64::MIN_POSITIVE || exponent < 0 {
            return 0;
        }
        // rare: count every entry that may have lost bits
        return line.iter().filter(|x| x.abs() < f64::MIN_POSITIVE).count();
    }
    let mut rounded = 0;
    for x in line {
        let y = ldexp(*x, -exponent);
        if ldexp(y, exponent) != *x {
            rounded += 1;
        }
        *x = y;
    }
    rounded
}
