//! Matrices as they are stored: a shape, two strides, and entries in their own format.
//!
//! Everything in [`linalg`](crate::linalg) takes a [`MatrixRef`], which borrows and converts nothing: slices of
//! `f16`, `bf16`, `f32`, `f64` or complex pairs, faer and nalgebra matrices, or the raw bytes of a file. Start with
//! [`MatrixRef::row_major`]. Layers are `outputs x inputs`: row `i` holds the weights that come into unit `i`.
//!
//! ```
//! use isometer::linalg::view::MatrixRef;
//!
//! let a = MatrixRef::row_major(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3).unwrap();
//! assert_eq!((a.rows(), a.cols(), a.element_type().as_str()), (2, 3, "f32"));
//! assert_eq!(a.get(1, 0), (4.0, 0.0)); // real and imaginary part
//! assert_eq!(a.transposed().get(0, 1), (4.0, 0.0));
//! assert_eq!(a.block(0..2, 1..2).get(1, 0), (5.0, 0.0));
//! ```

use super::element::{ElementType, f8_e4m3_to_f64, f8_e5m2_to_f64};
use half::{bf16, f16};
use nalgebra as na;
use std::ops::Range;

/// Borrowed entries of a [`MatrixRef`].
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// IEEE binary16 values.
    F16(&'a [f16]),
    /// bfloat16 values.
    BF16(&'a [bf16]),
    /// Single precision values.
    F32(&'a [f32]),
    /// Double precision values.
    F64(&'a [f64]),
    /// Double precision (re, im) pairs.
    Complex(&'a [[f64; 2]]),
    /// A faer view of any strides; element `k` is `(k % rows, k / rows)`.
    Faer(faer::MatRef<'a, f64>),
    /// A nalgebra view; element `k` is `(k % rows, k / rows)`.
    Nalgebra(na::DMatrixView<'a, f64>),
    /// Little-endian bytes of any [`ElementType`], at any alignment (a memory-mapped file).
    Bytes(ElementType, &'a [u8]),
}

/// A borrowed matrix: entry `(i, j)` is element `offset + i*row_stride + j*col_stride`.
#[derive(Clone, Copy, Debug)]
pub struct MatrixRef<'a> {
    rows: usize,
    cols: usize,
    offset: usize,
    row_stride: usize,
    col_stride: usize,
    elements: Elements<'a>,
}

/// Why a slice and a shape do not make a matrix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The last entry of the shape lies beyond the slice.
    #[error(
        "a {rows} x {cols} matrix with strides ({row_stride}, {col_stride}) needs {needed} elements, the slice has {available}"
    )]
    TooShort {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
        /// Elements between vertically adjacent entries.
        row_stride: usize,
        /// Elements between horizontally adjacent entries.
        col_stride: usize,
        /// Elements the shape needs.
        needed: u128,
        /// Elements there are.
        available: usize,
    },
}

/// The first entry that is not a finite number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonFinite {
    /// Row of the entry, from 0.
    pub row: usize,
    /// Column of the entry, from 0.
    pub col: usize,
    /// The entry: NaN or an infinity.
    pub value: f64,
}

impl std::fmt::Display for NonFinite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.value.is_nan() {
            "NaN"
        } else if self.value > 0.0 {
            "+inf"
        } else {
            "-inf"
        };
        write!(f, "{name} at [{}, {}]", self.row, self.col)
    }
}

/// A Rust type that can be borrowed as matrix entries without conversion.
pub trait Element: Sized + sealed::Sealed {
    /// Wraps a slice of entries.
    fn elements(slice: &[Self]) -> Elements<'_>;
}
mod sealed {
    pub trait Sealed {}
}
macro_rules! element {
    ($($ty:ty => $variant:ident),*) => {$(
        impl sealed::Sealed for $ty {}
        impl Element for $ty {
            fn elements(slice: &[Self]) -> Elements<'_> { Elements::$variant(slice) }
        }
    )*};
}
element!(f16 => F16, bf16 => BF16, f32 => F32, f64 => F64, [f64; 2] => Complex);

impl<'a> MatrixRef<'a> {
    /// A `rows x cols` matrix stored row after row.
    ///
    /// # Errors
    /// [`ViewError::TooShort`] if the slice holds fewer than `rows * cols` entries.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
    /// assert_eq!(a.get(0, 1).0, 2.0);
    /// assert!(MatrixRef::row_major(&[1.0, 2.0, 3.0], 2, 2).is_err());
    /// ```
    pub fn row_major<T: Element>(
        data: &'a [T],
        rows: usize,
        cols: usize,
    ) -> Result<Self, ViewError> {
        Self::with_strides(T::elements(data), rows, cols, cols, 1)
    }

    /// A `rows x cols` matrix stored column after column.
    ///
    /// # Errors
    /// [`ViewError::TooShort`] if the slice holds fewer than `rows * cols` entries.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::col_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
    /// assert_eq!(a.get(0, 1).0, 3.0);
    /// ```
    pub fn col_major<T: Element>(
        data: &'a [T],
        rows: usize,
        cols: usize,
    ) -> Result<Self, ViewError> {
        Self::with_strides(T::elements(data), rows, cols, 1, rows)
    }

    /// Any layout: strides count elements, not bytes.
    ///
    /// # Errors
    /// [`ViewError::TooShort`] if the last entry lies beyond the slice.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::{Elements, MatrixRef};
    /// // every other entry of a row-major 2 x 4 block
    /// let data = [1.0, 9.0, 2.0, 9.0, 3.0, 9.0, 4.0, 9.0];
    /// let a = MatrixRef::with_strides(Elements::F64(&data), 2, 2, 4, 2).unwrap();
    /// assert_eq!((a.get(0, 1).0, a.get(1, 1).0), (2.0, 4.0));
    /// ```
    pub fn with_strides(
        elements: Elements<'a>,
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self, ViewError> {
        let available = match elements {
            Elements::F16(s) => s.len(),
            Elements::BF16(s) => s.len(),
            Elements::F32(s) => s.len(),
            Elements::F64(s) => s.len(),
            Elements::Complex(s) => s.len(),
            Elements::Faer(m) => m.nrows() * m.ncols(),
            Elements::Nalgebra(m) => m.len(),
            Elements::Bytes(ty, b) => b.len() / ty.size(),
        };
        let needed = if rows == 0 || cols == 0 {
            0
        } else {
            (rows as u128 - 1) * row_stride as u128 + (cols as u128 - 1) * col_stride as u128 + 1
        };
        if needed > available as u128 {
            return Err(ViewError::TooShort {
                rows,
                cols,
                row_stride,
                col_stride,
                needed,
                available,
            });
        }
        Ok(MatrixRef {
            rows,
            cols,
            offset: 0,
            row_stride,
            col_stride,
            elements,
        })
    }

    /// Borrows a nalgebra matrix or view without copying: pass `m.as_view()`, `m.view(..)`, ...
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::MatrixRef;
    /// let m = nalgebra::DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(MatrixRef::from_nalgebra(m.as_view()).get(1, 0).0, 3.0);
    /// ```
    pub fn from_nalgebra(m: na::DMatrixView<'a, f64>) -> Self {
        MatrixRef {
            rows: m.nrows(),
            cols: m.ncols(),
            offset: 0,
            row_stride: 1,
            col_stride: m.nrows(),
            elements: Elements::Nalgebra(m),
        }
    }

    /// Borrows a faer matrix or view of any strides without copying.
    pub fn from_faer(m: faer::MatRef<'a, f64>) -> Self {
        MatrixRef {
            rows: m.nrows(),
            cols: m.ncols(),
            offset: 0,
            row_stride: 1,
            col_stride: m.nrows(),
            elements: Elements::Faer(m),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The format of the entries.
    pub fn element_type(&self) -> ElementType {
        match self.elements {
            Elements::F16(_) => ElementType::F16,
            Elements::BF16(_) => ElementType::BF16,
            Elements::F32(_) => ElementType::F32,
            Elements::F64(_) | Elements::Faer(_) | Elements::Nalgebra(_) => ElementType::F64,
            Elements::Complex(_) => ElementType::C128,
            Elements::Bytes(ty, _) => ty,
        }
    }

    /// The same entries with rows and columns exchanged (no conjugation: singular values agree).
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[1.0, 2.0, 3.0], 1, 3).unwrap().transposed();
    /// assert_eq!((a.rows(), a.get(2, 0).0), (3, 3.0));
    /// ```
    pub fn transposed(self) -> Self {
        MatrixRef {
            rows: self.cols,
            cols: self.rows,
            offset: self.offset,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            elements: self.elements,
        }
    }

    /// The block of the given rows and columns.
    ///
    /// # Panics
    /// If a range leaves the shape.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
    /// assert_eq!(a.block(1..2, 0..2).get(0, 1).0, 4.0);
    /// ```
    pub fn block(self, rows: Range<usize>, cols: Range<usize>) -> Self {
        assert!(
            rows.start <= rows.end && rows.end <= self.rows,
            "rows {rows:?} of {}",
            self.rows
        );
        assert!(
            cols.start <= cols.end && cols.end <= self.cols,
            "columns {cols:?} of {}",
            self.cols
        );
        MatrixRef {
            rows: rows.len(),
            cols: cols.len(),
            offset: self.offset + rows.start * self.row_stride + cols.start * self.col_stride,
            ..self
        }
    }

    /// The same entries in row order with another number of columns; `None` if they do not lie row
    /// after row without gaps, or their number is no multiple of `cols`.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3).unwrap();
    /// assert_eq!(a.reshaped(2).unwrap().get(2, 0).0, 5.0);
    /// assert!(a.reshaped(4).is_none() && a.transposed().reshaped(3).is_none());
    /// ```
    pub fn reshaped(self, cols: usize) -> Option<Self> {
        let count = self.rows * self.cols;
        let gapless = (self.col_stride == 1 || self.cols == 1)
            && (self.row_stride == self.cols || self.rows == 1);
        (gapless && cols > 0 && count.is_multiple_of(cols)).then(|| MatrixRef {
            rows: count / cols,
            cols,
            row_stride: cols,
            col_stride: 1,
            ..self
        })
    }

    /// Entry `(i, j)` widened exactly to (re, im); `im` is 0 for real formats.
    ///
    /// # Panics
    /// If the index is outside the shape.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[[1.0, -2.0]], 1, 1).unwrap();
    /// assert_eq!(a.get(0, 0), (1.0, -2.0)); // 1 - 2i
    /// ```
    pub fn get(&self, i: usize, j: usize) -> (f64, f64) {
        assert!(
            i < self.rows && j < self.cols,
            "index [{i}, {j}] outside {} x {}",
            self.rows,
            self.cols
        );
        self.at(self.offset + i * self.row_stride + j * self.col_stride)
    }

    fn at(&self, k: usize) -> (f64, f64) {
        match self.elements {
            Elements::F16(s) => (s[k].to_f64(), 0.0),
            Elements::BF16(s) => (s[k].to_f64(), 0.0),
            Elements::F32(s) => (f64::from(s[k]), 0.0),
            Elements::F64(s) => (s[k], 0.0),
            Elements::Complex(s) => (s[k][0], s[k][1]),
            Elements::Faer(m) => (m[(k % m.nrows(), k / m.nrows())], 0.0),
            Elements::Nalgebra(m) => (m[(k % m.nrows(), k / m.nrows())], 0.0),
            Elements::Bytes(ty, b) => decode(ty, &b[k * ty.size()..(k + 1) * ty.size()]),
        }
    }
}

/// Decodes one little-endian entry of `ty.size()` bytes.
fn decode(ty: ElementType, b: &[u8]) -> (f64, f64) {
    let f4 = |k: usize| f64::from(f32::from_le_bytes([b[k], b[k + 1], b[k + 2], b[k + 3]]));
    let f8 = |k: usize| {
        let mut w = [0u8; 8];
        w.copy_from_slice(&b[k..k + 8]);
        f64::from_le_bytes(w)
    };
    match ty {
        ElementType::F8E4M3 => (f8_e4m3_to_f64(b[0]), 0.0),
        ElementType::F8E5M2 => (f8_e5m2_to_f64(b[0]), 0.0),
        ElementType::F16 => (f16::from_le_bytes([b[0], b[1]]).to_f64(), 0.0),
        ElementType::BF16 => (bf16::from_le_bytes([b[0], b[1]]).to_f64(), 0.0),
        ElementType::F32 => (f4(0), 0.0),
        ElementType::F64 => (f8(0), 0.0),
        ElementType::C64 => (f4(0), f4(4)),
        ElementType::C128 => (f8(0), f8(8)),
    }
}

impl<'a> MatrixRef<'a> {
    /// The first entry, in row order, that is NaN or infinite.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[1.0, f64::INFINITY, 3.0, f64::NAN], 2, 2).unwrap();
    /// let bad = a.first_nonfinite().unwrap();
    /// assert_eq!((bad.row, bad.col, bad.value), (0, 1, f64::INFINITY));
    /// ```
    pub fn first_nonfinite(&self) -> Option<NonFinite> {
        if self.scan().is_some() {
            return None;
        }
        for row in 0..self.rows {
            for col in 0..self.cols {
                let (re, im) = self.at(self.offset + row * self.row_stride + col * self.col_stride);
                if !(re.is_finite() && im.is_finite()) {
                    let value = if re.is_finite() { im } else { re };
                    return Some(NonFinite { row, col, value });
                }
            }
        }
        None
    }

    /// Largest magnitude of a real or imaginary part of a matrix without NaN (0 when empty).
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::MatrixRef;
    /// assert_eq!(MatrixRef::row_major(&[1f32, -7.0], 1, 2).unwrap().max_component(), 7.0);
    /// ```
    pub fn max_component(&self) -> f64 {
        self.scan().unwrap_or(f64::INFINITY)
    }

    /// Largest component magnitude, or `None` if any entry is not finite.
    pub(super) fn scan(&self) -> Option<f64> {
        let (lines, len) = self.storage_lines();
        let mut buffer = vec![0.0; len * self.components()];
        let mut max = 0.0f64;
        for line in 0..lines {
            self.read_storage_line(line, &mut buffer);
            max = line_max(max, &buffer);
            if !max.is_finite() {
                return None;
            }
        }
        Some(max)
    }

    /// Number and length of the lines, rows or columns, whose entries lie closer together.
    pub(super) fn storage_lines(&self) -> (usize, usize) {
        if self.col_stride <= self.row_stride {
            (self.rows, self.cols)
        } else {
            (self.cols, self.rows)
        }
    }

    /// Widens line `line` of [`Self::storage_lines`] into `out`.
    pub(super) fn read_storage_line(&self, line: usize, out: &mut [f64]) {
        self.decode_line(self.col_stride <= self.row_stride, line, out);
    }

    /// Real numbers per entry: 2 for complex formats.
    pub fn components(&self) -> usize {
        if self.element_type().is_complex() {
            2
        } else {
            1
        }
    }

    /// Widens row `row` exactly into `out`, complex entries as (re, im) pairs.
    ///
    /// # Panics
    /// If there is no such row, or `out` does not hold `cols * components` numbers.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[1f32, 2.0, 3.0, 4.0], 2, 2).unwrap();
    /// let mut row = [0.0; 2];
    /// a.read_row(1, &mut row);
    /// assert_eq!(row, [3.0, 4.0]);
    /// ```
    pub fn read_row(&self, row: usize, out: &mut [f64]) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        assert_eq!(out.len(), self.cols * self.components());
        self.decode_line(true, row, out);
    }

    /// Format and bytes of the entries, where they lie in a file or buffer without gaps in row order.
    pub(super) fn gapless_bytes(&self) -> Option<(ElementType, &'a [u8])> {
        let Elements::Bytes(element, bytes) = self.elements else {
            return None;
        };
        let flat = self.reshaped(1)?;
        let start = flat.offset * element.size();
        Some((element, &bytes[start..start + flat.rows * element.size()]))
    }

    /// Whether walking along a row touches neighbouring memory.
    pub(super) fn rows_are_contiguous(&self) -> bool {
        self.col_stride <= self.row_stride
    }

    /// Widens one row (`by_rows`) or column exactly into `out`, complex entries as (re, im) pairs.
    pub(super) fn decode_line(&self, by_rows: bool, line: usize, out: &mut [f64]) {
        let (start, step) = if by_rows {
            (self.offset + line * self.row_stride, self.col_stride)
        } else {
            (self.offset + line * self.col_stride, self.row_stride)
        };
        let len = out.len() / self.components();
        if step == 1 {
            let end = start + len;
            match self.elements {
                Elements::F64(s) => return out.copy_from_slice(&s[start..end]),
                Elements::F32(s) => {
                    return widen_all(out, s[start..end].iter().map(|&x| f64::from(x)));
                }
                Elements::F16(s) => {
                    return widen_all(out, s[start..end].iter().map(|x| x.to_f64()));
                }
                Elements::BF16(s) => {
                    return widen_all(out, s[start..end].iter().map(|x| x.to_f64()));
                }
                Elements::Bytes(ty, b) => {
                    let b = &b[start * ty.size()..end * ty.size()];
                    match ty {
                        ElementType::F64 => {
                            let (words, _) = b.as_chunks::<8>();
                            return widen_all(out, words.iter().map(|&w| f64::from_le_bytes(w)));
                        }
                        ElementType::F32 => {
                            let (words, _) = b.as_chunks::<4>();
                            let wide = |&w: &[u8; 4]| f64::from(f32::from_le_bytes(w));
                            return widen_all(out, words.iter().map(wide));
                        }
                        ElementType::BF16 => {
                            let (words, _) = b.as_chunks::<2>();
                            // bfloat16 is the upper half of a binary32
                            let wide =
                                |w: &[u8; 2]| f64::from(f32::from_le_bytes([0, 0, w[0], w[1]]));
                            return widen_all(out, words.iter().map(wide));
                        }
                        _ => {}
                    }
                }
                Elements::Faer(m) if m.nrows() == len && start.is_multiple_of(len) => {
                    if let Some(c) = m.col(start / len).try_as_col_major() {
                        return out.copy_from_slice(c.as_slice());
                    }
                }
                Elements::Complex(_) | Elements::Faer(_) | Elements::Nalgebra(_) => {}
            }
        }
        if self.components() == 1 {
            for (k, x) in out.iter_mut().enumerate() {
                *x = self.at(start + k * step).0;
            }
        } else {
            for (k, pair) in out.chunks_exact_mut(2).enumerate() {
                (pair[0], pair[1]) = self.at(start + k * step);
            }
        }
    }
}

fn widen_all(out: &mut [f64], from: impl Iterator<Item = f64>) {
    for (o, x) in out.iter_mut().zip(from) {
        *o = x;
    }
}

/// Largest magnitude so far and in `line`; infinite if the line holds NaN or an infinity.
fn line_max(max: f64, line: &[f64]) -> f64 {
    let mut lanes = [max; 8];
    let mut bad = false;
    let (chunks, rest) = line.as_chunks::<8>();
    for c in chunks {
        for k in 0..8 {
            let x = c[k].abs();
            // a comparison with NaN is false, so NaN is counted on its own
            bad |= x.is_nan();
            lanes[k] = if x > lanes[k] { x } else { lanes[k] };
        }
    }
    let tail = rest.iter().chain(&lanes).fold(max, |m, x| {
        bad |= x.is_nan();
        m.max(x.abs())
    });
    if bad { f64::INFINITY } else { tail }
}

#[cfg(test)]
mod tests;
