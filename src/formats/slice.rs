//! Numbers where they lie in a file, in any order that strides can say.

use super::FormatError;
use super::mmap::Blob;
use super::skip::Flat;
use super::tensor::{Data, Loaded, Stored};
use crate::linalg::element::ElementType;
use std::ops::Range;

/// Little-endian numbers of a mapped file, with strides that count elements.
pub(super) struct Slice {
    blob: Blob,
    range: Range<usize>,
    element: ElementType,
    row_stride: usize,
    col_stride: usize,
}

impl Slice {
    /// A matrix in C order; that the range lies in the file has been checked.
    pub(super) fn dense(
        blob: Blob,
        range: Range<usize>,
        element: ElementType,
        flat: Flat,
    ) -> Slice {
        Slice {
            blob,
            range,
            element,
            row_stride: flat.cols,
            col_stride: 1,
        }
    }
}

impl Stored for Slice {
    fn load(&self) -> Result<Loaded, FormatError> {
        Ok(Loaded {
            data: Data::Bytes {
                blob: self.blob.clone(),
                range: self.range.clone(),
                element: self.element,
            },
            row_stride: self.row_stride,
            col_stride: self.col_stride,
            note: None,
        })
    }
}

/// A shape and how far apart its entries lie, counted in elements.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

impl Layout {
    /// Elements from the first entry to the last, both included; `None` if that cannot be counted.
    /// Zero for an empty shape.
    pub(super) fn extent(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape
            .iter()
            .zip(&self.strides)
            .try_fold(1usize, |reach, (&d, &s)| {
                reach.checked_add((d - 1).checked_mul(s)?)
            })
    }

    /// The numbers as a matrix of shape `flat`: in place where one row and one column stride say it,
    /// otherwise copied into C order. `range` holds the [`extent`](Layout::extent), and the shape
    /// has no more entries than that, so a copy is no longer than what is stored.
    pub(super) fn load(
        &self,
        blob: &Blob,
        range: Range<usize>,
        element: ElementType,
        flat: Flat,
    ) -> Loaded {
        let (data, (row_stride, col_stride)) = match self.matrix_strides(flat) {
            Some(strides) => (
                Data::Bytes {
                    blob: blob.clone(),
                    range,
                    element,
                },
                strides,
            ),
            None => {
                let bytes = self.gather(&blob[range], element.size());
                let data = Data::Bytes {
                    range: 0..bytes.len(),
                    blob: Blob::from_vec(bytes),
                    element,
                };
                (data, (flat.cols, 1))
            }
        };
        Loaded {
            data,
            row_stride,
            col_stride,
            note: None,
        }
    }

    /// Row and column stride, if all but the first dimension merge into one. Repeated entries
    /// (stride 0) are copied.
    fn matrix_strides(&self, flat: Flat) -> Option<(usize, usize)> {
        let repeats = |(d, s): (&usize, &usize)| *d > 1 && *s == 0;
        if self.shape.iter().zip(&self.strides).any(repeats) {
            return None;
        }
        let first = usize::from(self.shape.len() > 1);
        // The innermost stride, and what the next dimension outwards must have to continue it.
        let mut run: Option<(usize, usize)> = None;
        let inner = self.shape.iter().zip(&self.strides).skip(first).rev();
        for (&d, &s) in inner.filter(|(d, _)| **d > 1) {
            run = match run {
                None => Some((s, s.checked_mul(d)?)),
                Some((stride, next)) if next == s => Some((stride, s.checked_mul(d)?)),
                Some(_) => return None,
            };
        }
        let row = match self.shape.first() {
            Some(2..) if first == 1 => self.strides[0],
            // One row: any stride is right, and a stored one may be arbitrary.
            _ => flat.cols,
        };
        Some((row, run.map_or(1, |(stride, _)| stride)))
    }

    /// The entries in C order.
    fn gather(&self, raw: &[u8], item: usize) -> Vec<u8> {
        let count: usize = self.shape.iter().product();
        let mut out = Vec::with_capacity(count * item);
        let mut index = vec![0usize; self.shape.len()];
        let mut at = 0usize;
        for _ in 0..count {
            out.extend_from_slice(&raw[at * item..(at + 1) * item]);
            for axis in (0..self.shape.len()).rev() {
                if index[axis] + 1 < self.shape[axis] {
                    index[axis] += 1;
                    at += self.strides[axis];
                    break;
                }
                at -= self.strides[axis] * index[axis];
                index[axis] = 0;
            }
        }
        out
    }
}
