//! The header of an npy array.
//!
//! Format: numpy `lib/format.py`, versions 1.0 to 3.0. It is parsed here and not by a crate because
//! a checkpoint reader has to go on after a number format it does not know (the tensor is skipped,
//! not the archive), has to name the byte that is wrong, and must neither recurse nor allocate at
//! the word of a hostile header.

use super::npy::NpyError;
use super::skip::{SkipReason, byte_len};
use crate::linalg::element::ElementType;
use std::io::{self, Read};

const MAGIC: &[u8] = b"\x93NUMPY";
/// numpy itself refuses longer headers (`max_header_size`) unless told otherwise.
const LONGEST_HEADER: usize = 1 << 16;

/// What the numbers of an array are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
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
    pub(super) kind: Kind,
    pub(super) big_endian: bool,
    pub(super) fortran: bool,
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
}

pub(super) fn truncated(part: &'static str, needed: usize, available: usize) -> NpyError {
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
