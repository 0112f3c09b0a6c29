//! NumPy's `.npy`: a short Python dictionary followed by the raw array.
//!
//! Format: numpy `lib/format.py`, versions 1.0 to 3.0. The header is parsed here and not by a crate
//! because a checkpoint reader has to go on after a number format it does not know (the tensor is
//! skipped, not the archive), has to name the byte that is wrong, and must neither recurse nor
//! allocate at the word of a hostile header.

use super::mmap::Blob;
use super::skip::{Flat, SkipReason, byte_len};
use super::tensor::{Data, Loaded, Stored};
use super::{Entry, FormatError};
use crate::linalg::element::ElementType;
use std::io::{self, Read};
use std::sync::Arc;

const MAGIC: &[u8] = b"\x93NUMPY";
/// numpy itself refuses longer headers (`max_header_size`) unless told otherwise.
const LONGEST_HEADER: usize = 1 << 16;

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

/// What the numbers of an array are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Float(ElementType),
    Integer { signed: bool, bytes: usize },
    Skip(SkipReason),
}

/// A parsed header.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) shape: Vec<usize>,
    /// numpy's spelling, such as `<f4`.
    pub(super) dtype: String,
    kind: Kind,
    big_endian: bool,
    fortran: bool,
    /// Offset of the array in the file.
    pub(super) start: usize,
}

impl Header {
    /// Reads a header, and not a byte more.
    pub(super) fn read(reader: &mut dyn Read) -> Result<Header, NpyError> {
        let mut pre = [0u8; 12];
        let n = fill(reader, &mut pre[..8], 0)?;
        if n < 8 || !pre.starts_with(MAGIC) {
            if n > 0 && MAGIC.starts_with(&pre[..n.min(6)]) {
                return Err(truncated("header", 8, n));
            }
            let found = pre[..n.min(6)].to_vec();
            return Err(NpyError::Magic { found });
        }
        let at = match (pre[6], pre[7]) {
            (1, 0) => 10,
            (2 | 3, 0) => 12,
            (major, minor) => return Err(NpyError::Version { major, minor }),
        };
        let n = fill(reader, &mut pre[8..at], 8)?;
        if 8 + n < at {
            return Err(truncated("header", at, 8 + n));
        }
        // Unread length bytes of version 1.0 are still zero.
        let length = u32::from_le_bytes([pre[8], pre[9], pre[10], pre[11]]) as usize;
        if length > LONGEST_HEADER {
            let limit = LONGEST_HEADER;
            return Err(NpyError::HeaderLength { at, length, limit });
        }
        let mut text = vec![0u8; length];
        let n = fill(reader, &mut text, at)?;
        if n < length {
            return Err(truncated("header", at + length, at + n));
        }
        Dict {
            text: &text,
            at: 0,
            base: at,
        }
        .parse(at + length)
    }

    /// The format of the numbers once read, or why they are not read. Integers are skipped in a
    /// checkpoint and read from a file of their own.
    pub(super) fn element(&self, in_checkpoint: bool) -> Result<ElementType, SkipReason> {
        match &self.kind {
            Kind::Float(element) => Ok(*element),
            Kind::Integer { .. } if in_checkpoint => Err(SkipReason::Integer {
                dtype: self.dtype.clone(),
            }),
            Kind::Integer { .. } => Ok(ElementType::F64),
            Kind::Skip(reason) => Err(reason.clone()),
        }
    }

    /// Bytes of header and array together; `None` for formats whose size is unknown.
    pub(super) fn total_bytes(&self) -> Result<Option<usize>, NpyError> {
        let item = match &self.kind {
            Kind::Float(element) => element.size(),
            Kind::Integer { bytes, .. } => *bytes,
            Kind::Skip(_) => return Ok(None),
        };
        byte_len(&self.shape, item)
            .and_then(|n| n.checked_add(self.start))
            .map(Some)
            .ok_or_else(|| NpyError::Shape {
                shape: self.shape.clone(),
                dtype: self.dtype.clone(),
            })
    }

    /// The matrix whose file (header included) starts at byte `from` of `blob`. `flat` is its
    /// shape; that `total_bytes` lie there has been checked.
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

fn truncated(part: &'static str, needed: usize, available: usize) -> NpyError {
    NpyError::Truncated {
        part,
        needed: needed as u64,
        available: available as u64,
    }
}

/// Fills the buffer as far as the stream goes; returns the bytes read.
fn fill(reader: &mut dyn Read, buffer: &mut [u8], at: usize) -> Result<usize, NpyError> {
    let mut n = 0;
    while n < buffer.len() {
        match reader.read(&mut buffer[n..]) {
            Ok(0) => break,
            Ok(k) => n += k,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let at = (at + n) as u64;
                return Err(NpyError::Read { at, error });
            }
        }
    }
    Ok(n)
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

/// The header text, a Python dictionary literal.
struct Dict<'a> {
    text: &'a [u8],
    at: usize,
    /// Offset of the text in the file, for messages.
    base: usize,
}

impl<'a> Dict<'a> {
    fn parse(mut self, start: usize) -> Result<Header, NpyError> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{', "'{'")?;
        while !self.eat(b'}') {
            match self.string()? {
                b"descr" => {
                    self.expect(b':', "':'")?;
                    descr = Some(self.descr()?);
                }
                b"fortran_order" => {
                    self.expect(b':', "':'")?;
                    fortran = Some(self.boolean()?);
                }
                b"shape" => {
                    self.expect(b':', "':'")?;
                    shape = Some(self.shape()?);
                }
                _ => return Err(self.fault("'descr', 'fortran_order' or 'shape'")),
            }
            if !self.eat(b',') {
                self.expect(b'}', "',' or '}'")?;
                break;
            }
        }
        let (dtype, kind) = descr.ok_or_else(|| self.fault("a 'descr' entry"))?;
        Ok(Header {
            fortran: fortran.ok_or_else(|| self.fault("a 'fortran_order' entry"))?,
            shape: shape.ok_or_else(|| self.fault("a 'shape' entry"))?,
            big_endian: dtype.starts_with('>'),
            dtype,
            kind,
            start,
        })
    }

    fn fault(&self, expected: &'static str) -> NpyError {
        NpyError::Header {
            at: self.base + self.at.min(self.text.len()),
            expected,
        }
    }

    fn skip_space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), NpyError> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(self.fault(name))
        }
    }

    /// A quoted string without escapes, which are never needed in the keys and scalar dtypes.
    fn string(&mut self) -> Result<&'a [u8], NpyError> {
        self.skip_space();
        let quote = match self.text.get(self.at) {
            Some(q @ (b'\'' | b'"')) => *q,
            _ => return Err(self.fault("a quoted string")),
        };
        let rest = &self.text[self.at + 1..];
        let Some(length) = rest.iter().position(|&b| b == quote) else {
            return Err(self.fault("a closing quote"));
        };
        self.at += length + 2;
        Ok(&rest[..length])
    }

    fn boolean(&mut self) -> Result<bool, NpyError> {
        self.skip_space();
        let rest = &self.text[self.at..];
        for (word, value) in [(&b"True"[..], true), (&b"False"[..], false)] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.fault("True or False"))
    }

    fn shape(&mut self) -> Result<Vec<usize>, NpyError> {
        self.expect(b'(', "'('")?;
        let mut shape = Vec::new();
        while !self.eat(b')') {
            self.skip_space();
            let digits = self.text[self.at..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count();
            let number = std::str::from_utf8(&self.text[self.at..self.at + digits])
                .ok()
                .and_then(|s| s.parse().ok());
            shape.push(number.ok_or_else(|| self.fault("a dimension below 2^64"))?);
            self.at += digits;
            // Python 2 wrote long integers as `3L`.
            if self.text.get(self.at) == Some(&b'L') {
                self.at += 1;
            }
            if !self.eat(b',') {
                self.expect(b')', "',' or ')'")?;
                break;
            }
        }
        Ok(shape)
    }

    fn descr(&mut self) -> Result<(String, Kind), NpyError> {
        self.skip_space();
        if matches!(self.text.get(self.at), Some(b'[' | b'(')) {
            let from = self.at;
            self.balanced()?;
            let dtype = super::lines::shown(&self.text[from..self.at]);
            let what = "records";
            let reason = SkipReason::NotNumbers {
                dtype: dtype.clone(),
                what,
            };
            return Ok((dtype, Kind::Skip(reason)));
        }
        let dtype = super::lines::shown(self.string()?);
        let kind = kind(&dtype);
        Ok((dtype, kind))
    }

    /// Passes over a bracketed literal.
    fn balanced(&mut self) -> Result<(), NpyError> {
        let mut depth = 0usize;
        loop {
            match self.text.get(self.at) {
                None => return Err(self.fault("a closing bracket")),
                Some(b'\'' | b'"') => {
                    self.string()?;
                    continue;
                }
                Some(b'[' | b'(') => depth += 1,
                Some(b']' | b')') => depth -= 1,
                Some(_) => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// Reads numpy's type string: byte order, letter, size.
fn kind(dtype: &str) -> Kind {
    let body = dtype.strip_prefix(['<', '>', '|', '=']).unwrap_or(dtype);
    let dtype = dtype.to_string();
    match body {
        "f2" => Kind::Float(ElementType::F16),
        "f4" => Kind::Float(ElementType::F32),
        "f8" => Kind::Float(ElementType::F64),
        "c8" => Kind::Float(ElementType::C64),
        "c16" => Kind::Float(ElementType::C128),
        "b1" => integer(false, 1),
        "i1" => integer(true, 1),
        "i2" => integer(true, 2),
        "i4" => integer(true, 4),
        "i8" => integer(true, 8),
        "u1" => integer(false, 1),
        "u2" => integer(false, 2),
        "u4" => integer(false, 4),
        "u8" => integer(false, 8),
        _ => Kind::Skip(match body.as_bytes().first() {
            Some(b'O') => SkipReason::NotNumbers {
                dtype,
                what: "objects",
            },
            Some(b'S' | b'U' | b'a') => SkipReason::NotNumbers {
                dtype,
                what: "strings",
            },
            Some(b'm' | b'M') => SkipReason::NotNumbers {
                dtype,
                what: "dates",
            },
            Some(b'V') => SkipReason::RawBytes { dtype },
            _ => SkipReason::UnknownDtype { dtype },
        }),
    }
}

fn integer(signed: bool, bytes: usize) -> Kind {
    Kind::Integer { signed, bytes }
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
        error,
    };
    let header = Header::read(&mut blob.reader()).map_err(fail)?;
    let needed = header.total_bytes().map_err(fail)?;
    if let Some(needed) = needed.filter(|&n| !blob.is_gzip() && n > blob.len()) {
        return Err(fail(truncated("array", needed, blob.len())));
    }
    let shape = header.shape.clone();
    let dtype = header.dtype.clone();
    let entry = Entry::alone(file, name, dtype, shape);
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
            error,
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
