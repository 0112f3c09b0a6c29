//! NumPy's `.npy`: a short Python dictionary followed by the raw array.

use super::mmap::Blob;
use super::npy_header::{Header, Kind, truncated};
use super::skip::Flat;
use super::tensor::{Data, Loaded, Stored};
use super::{Entry, FormatError};
use crate::linalg::element::ElementType;
use std::io::{self, Read};
use std::sync::Arc;

/// What is wrong with an npy file or an npz member.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// Not the magic string.
    #[error("not an npy file: it starts with {found:02x?}, not with \\x93NUMPY")]
    Magic {
        /// The first bytes.
        found: Vec<u8>,
    },
    /// A version that numpy has not defined.
    #[error("npy version {major}.{minor} is unknown (1.0, 2.0 and 3.0 are); save again with numpy")]
    Version {
        /// Byte 6.
        major: u8,
        /// Byte 7.
        minor: u8,
    },
    /// A header length beyond what numpy reads.
    #[error(
        "the header at byte {at} claims {length} bytes, the limit is {limit}; the file is damaged"
    )]
    HeaderLength {
        /// Offset of the header text.
        at: usize,
        /// Bytes claimed.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The header is not the dictionary that numpy writes.
    #[error("the header is damaged at byte {at}: expected {expected}")]
    Header {
        /// Offset in the file.
        at: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// The bytes end too early.
    #[error(
        "truncated: the {part} needs {needed} bytes, there are {available}; copy or download it again"
    )]
    Truncated {
        /// `header` or `array`.
        part: &'static str,
        /// Bytes from the start of the file.
        needed: u64,
        /// Bytes there are.
        available: u64,
    },
    /// The shape does not fit in memory.
    #[error(
        "shape {shape:?} of {dtype} has more bytes than can be addressed; the header is damaged"
    )]
    Shape {
        /// The shape.
        shape: Vec<usize>,
        /// The format.
        dtype: String,
    },
    /// An integer that has no exact `f64`.
    #[error(
        "entry {index:?} = {value} has no exact f64; convert to float64 in numpy if rounding is acceptable"
    )]
    InexactInteger {
        /// Index of the entry in the stored shape.
        index: Vec<usize>,
        /// The entry.
        value: i128,
    },
    /// The bytes cannot be read or decompressed.
    #[error("cannot be read past byte {at}: {error}; copy or download it again")]
    Read {
        /// Bytes read before.
        at: u64,
        /// What the system or the decompressor said.
        error: io::Error,
    },
}

impl Header {
    /// The matrix whose file (header included) starts at byte `from` of `blob`. `flat` is its
    /// shape; that `total_bytes` lie there has been checked.
    /// Theorem: binary-round-trip.
    pub(super) fn decode(&self, blob: &Blob, from: usize, flat: Flat) -> Result<Loaded, NpyError> {
        let total = self.total_bytes()?.unwrap_or(self.start);
        let start = from + self.start;
        let range = start..from + total;
        let raw = &blob[range.clone()];
        let (row_stride, col_stride) = match self.fortran && !flat.reshaped {
            true => (1, flat.rows),
            false => (flat.cols, 1),
        };
        // Merged trailing dimensions have one stride only in C order.
        let reorder = self.fortran && flat.reshaped;
        let (data, note) = match &self.kind {
            Kind::Float(element) if !reorder && !self.swapped(*element) => {
                let data = Data::Bytes {
                    blob: blob.clone(),
                    range,
                    element: *element,
                };
                (data, None)
            }
            Kind::Float(element) => {
                let mut bytes = match reorder {
                    true => c_order(raw, &self.shape, element.size()),
                    false => raw.to_vec(),
                };
                if self.swapped(*element) {
                    let component = element.size() / if element.is_complex() { 2 } else { 1 };
                    bytes.chunks_exact_mut(component).for_each(<[u8]>::reverse);
                }
                let range = 0..bytes.len();
                let blob = Blob::from_vec(bytes);
                let element = *element;
                (
                    Data::Bytes {
                        blob,
                        range,
                        element,
                    },
                    None,
                )
            }
            Kind::Integer { signed, bytes } => {
                let ordered;
                let raw = match reorder {
                    true => {
                        ordered = c_order(raw, &self.shape, *bytes);
                        &ordered
                    }
                    false => raw,
                };
                let values = self.integers(raw, *signed, *bytes, !reorder)?;
                let note = format!("{} entries converted exactly to f64", self.dtype);
                (Data::Real(Arc::new(values)), Some(note))
            }
            // `element` refuses these; an empty view is the harmless answer.
            Kind::Skip(_) => (Data::Real(Arc::new(Vec::new())), None),
        };
        Ok(Loaded {
            data,
            row_stride,
            col_stride,
            note,
        })
    }

    fn swapped(&self, element: ElementType) -> bool {
        self.big_endian && element.size() > 1
    }

    fn integers(
        &self,
        raw: &[u8],
        signed: bool,
        bytes: usize,
        stored_order: bool,
    ) -> Result<Vec<f64>, NpyError> {
        let mut values = Vec::with_capacity(raw.len() / bytes);
        for (k, item) in raw.chunks_exact(bytes).enumerate() {
            let byte = |i: usize| {
                if self.big_endian {
                    item[bytes - 1 - i]
                } else {
                    item[i]
                }
            };
            let bits = (0..bytes).fold(0u64, |w, i| w | u64::from(byte(i)) << (8 * i));
            let unused = 64 - 8 * bytes as u32;
            let value = if signed {
                i128::from((bits << unused) as i64 >> unused)
            } else {
                i128::from(bits)
            };
            let x = value as f64;
            if x as i128 != value {
                let index = unravel(k, &self.shape, self.fortran && stored_order);
                return Err(NpyError::InexactInteger { index, value });
            }
            values.push(x);
        }
        Ok(values)
    }
}

/// Index of the k-th stored element.
fn unravel(mut k: usize, shape: &[usize], fortran: bool) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    let mut axis = |i: usize| {
        index[i] = k % shape[i];
        k /= shape[i];
    };
    if fortran {
        (0..shape.len()).for_each(&mut axis);
    } else {
        (0..shape.len()).rev().for_each(&mut axis);
    }
    index
}

/// Copies a Fortran-ordered array into C order.
fn c_order(raw: &[u8], shape: &[usize], item: usize) -> Vec<u8> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = item;
    for &d in shape {
        strides.push(stride);
        stride *= d;
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut index = vec![0usize; shape.len()];
    let mut at = 0usize;
    while out.len() < raw.len() {
        out.extend_from_slice(&raw[at..at + item]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}

/// An npy file; gzip is decompressed on reading.
struct File {
    file: String,
    blob: Blob,
    header: Header,
    flat: Flat,
}

/// The single entry of an npy file, read no further than its header.
pub(super) fn entries(file: &str, name: &str, blob: &Blob) -> Result<Vec<Entry>, FormatError> {
    let fail = |error| FormatError::Npy {
        file: file.to_string(),
        error: Box::new(error),
    };
    let header = Header::read(&mut blob.reader()).map_err(fail)?;
    let needed = header.total_bytes().map_err(fail)?;
    if let Some(needed) = needed.filter(|&n| !blob.is_gzip() && n > blob.len()) {
        return Err(fail(truncated("array", needed, blob.len())));
    }
    let shape = header.shape.clone();
    let dtype = header.dtype.clone();
    let mut entry = Entry::alone(file, name, dtype, shape);
    if let Some(needed) = needed {
        entry = match blob.is_gzip() {
            false => entry.stored_in(&file.into(), header.start..needed),
            true => entry.sized(needed - header.start),
        };
    }
    Ok(vec![match header.element(false) {
        Err(reason) => entry.skipped(reason),
        Ok(element) => entry.numbers(element, |flat| File {
            file: file.to_string(),
            blob: blob.clone(),
            header,
            flat,
        }),
    }])
}

impl Stored for File {
    fn load(&self) -> Result<Loaded, FormatError> {
        self.read().map_err(|error| FormatError::Npy {
            file: self.file.clone(),
            error: Box::new(error),
        })
    }
}

impl File {
    fn read(&self) -> Result<Loaded, NpyError> {
        let total = self.header.total_bytes()?.unwrap_or(0);
        let (blob, more) = if self.blob.is_gzip() {
            let (bytes, more) = read_exactly(self.blob.reader(), total, 0)?;
            (Blob::from_vec(bytes), more)
        } else {
            (self.blob.clone(), self.blob.len() > total)
        };
        let mut loaded = self.header.decode(&blob, 0, self.flat)?;
        if more {
            let extra = "bytes after the array were ignored".to_string();
            loaded.note = Some(match loaded.note {
                Some(note) => format!("{note}; {extra}"),
                None => extra,
            });
        }
        Ok(loaded)
    }
}

/// The first `total` bytes of a stream, and whether more follow; reading past the end makes a
/// decompressor verify its checksum. Beyond `reserve`, memory grows with what arrives and not with
/// what a header claims.
pub(super) fn read_exactly(
    reader: impl Read,
    total: usize,
    reserve: usize,
) -> Result<(Vec<u8>, bool), NpyError> {
    let mut bytes = Vec::with_capacity(reserve.min(total) + 1);
    let n = reader
        .take(total as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| NpyError::Read {
            at: bytes.len() as u64,
            error,
        })?;
    if n < total {
        return Err(truncated("array", total, n));
    }
    bytes.truncate(total);
    Ok((bytes, n > total))
}
