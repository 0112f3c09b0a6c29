//! `TensorProto`: a shape, a number format, and numbers in one of four places.

use super::external::Files;
use super::wire::{Field, Message, text, varints};
use super::{OnnxError, fail};
use crate::formats::mmap::Blob;
use crate::formats::skip::{Flat, SkipReason, byte_len};
use crate::formats::slice::Slice;
use crate::formats::tensor::{Data, Loaded, Stored};
use crate::formats::{Entry, FormatError};
use crate::linalg::element::ElementType;
use std::ops::Range;
use std::sync::Arc;

/// A tensor as its message describes it.
#[derive(Default)]
pub(super) struct Proto {
    pub(super) name: String,
    dims: Vec<i64>,
    data_type: u64,
    raw: Option<Range<usize>>,
    /// `float_data` and `double_data`.
    fixed: Vec<Range<usize>>,
    /// `int32_data`, which also holds the bits of small floats.
    bits: Vec<Range<usize>>,
    external: bool,
    location: Option<String>,
    offset: Option<String>,
    length: Option<String>,
    segmented: bool,
}

/// Numbers of a tensor that are not in one piece as they are used.
struct Typed {
    file: String,
    name: String,
    blob: Blob,
    chunks: Vec<Range<usize>>,
    /// Whether the numbers are integers of variable length that hold the bits of `element`.
    varint: bool,
    element: ElementType,
    flat: Flat,
}

impl Proto {
    pub(super) fn read(blob: &Blob, range: Range<usize>) -> Result<Proto, OnnxError> {
        let mut proto = Proto::default();
        let mut message = Message::new(blob, range);
        while let Some((number, field)) = message.next()? {
            match (number, field) {
                (1, Field::Varint(d, _)) => proto.dims.push(d as i64),
                (1, Field::Bytes(packed)) => {
                    varints(blob, packed, &mut |d| proto.dims.push(d as i64))?;
                }
                (2, Field::Varint(id, _)) => proto.data_type = id,
                (3, _) => proto.segmented = true,
                (4 | 10, Field::Bytes(data) | Field::Fixed(data)) => proto.fixed.push(data),
                (5, Field::Bytes(data) | Field::Varint(_, data)) => proto.bits.push(data),
                (8, Field::Bytes(name)) => proto.name = text(blob, name),
                (9, Field::Bytes(raw)) => proto.raw = Some(raw),
                (13, Field::Bytes(pair)) => proto.pair(blob, pair)?,
                (14, Field::Varint(place, _)) => proto.external = place == 1,
                _ => {}
            }
        }
        Ok(proto)
    }

    fn pair(&mut self, blob: &Blob, range: Range<usize>) -> Result<(), OnnxError> {
        let (mut key, mut value) = (String::new(), String::new());
        let mut message = Message::new(blob, range);
        while let Some((number, field)) = message.next()? {
            match (number, field) {
                (1, Field::Bytes(bytes)) => key = text(blob, bytes),
                (2, Field::Bytes(bytes)) => value = text(blob, bytes),
                _ => {}
            }
        }
        match key.as_str() {
            "location" => self.location = Some(value),
            "offset" => self.offset = Some(value),
            "length" => self.length = Some(value),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn entry(
        self,
        file: &Arc<str>,
        blob: &Blob,
        files: &mut Files<'_>,
        name: &str,
    ) -> Result<Entry, OnnxError> {
        let tensor = || name.to_string();
        let bad_shape = || OnnxError::Shape {
            tensor: tensor(),
            dims: self.dims.clone(),
        };
        let shape: Option<Vec<usize>> =
            self.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let shape = shape.ok_or_else(bad_shape)?;
        let (dtype, kind) = kind(self.data_type);
        let size = kind.as_ref().map_or(1, |element| element.size());
        let needed = byte_len(&shape, size).ok_or_else(bad_shape)?;
        let entry = Entry::member(file, name, dtype.clone(), shape.clone());
        let element = match kind {
            Err(reason) => return Ok(entry.skipped(reason)),
            Ok(_) if self.segmented => {
                let what = "segment of a tensor".to_string();
                return Ok(entry.skipped(SkipReason::NotDense { what }));
            }
            Ok(element) => element,
        };
        let wrong_size = |given| OnnxError::Size {
            tensor: tensor(),
            dtype: dtype.clone(),
            shape: shape.clone(),
            needed,
            given,
        };
        if self.external {
            return self.elsewhere(files, entry, element, name, needed);
        }
        let dense = |entry: Entry, range: Range<usize>| {
            entry
                .stored_in(file, range.clone())
                .numbers(element, |flat| {
                    Slice::dense(blob.clone(), range, element, flat)
                })
        };
        let varint = matches!(element.size(), 1 | 2);
        let chunks = match self.raw {
            Some(raw) if raw.len() == needed => return Ok(dense(entry, raw)),
            Some(raw) => return Err(wrong_size(raw.len())),
            None if varint => self.bits,
            None => self.fixed,
        };
        let given = match varint {
            false => chunks.iter().map(Range::len).sum::<usize>(),
            // The last byte of each integer has its top bit clear.
            true => {
                let bytes = chunks.iter().flat_map(|c| &blob[c.clone()]);
                bytes.filter(|b| **b & 0x80 == 0).count() * size
            }
        };
        if given != needed {
            return Err(wrong_size(given));
        }
        Ok(match &chunks[..] {
            [one] if !varint => dense(entry, one.clone()),
            _ => entry.sized(needed).numbers(element, |flat| Typed {
                file: file.to_string(),
                name: name.to_string(),
                blob: blob.clone(),
                chunks,
                varint,
                element,
                flat,
            }),
        })
    }

    /// A tensor in a file beside the model.
    fn elsewhere(
        &self,
        files: &mut Files<'_>,
        entry: Entry,
        element: ElementType,
        name: &str,
        needed: usize,
    ) -> Result<Entry, OnnxError> {
        let tensor = || name.to_string();
        let bad = |key, value: Option<&String>| OnnxError::External {
            tensor: tensor(),
            key,
            value: value.cloned().unwrap_or_default(),
        };
        let number = |key, value: Option<&String>, default: usize| match value {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| bad(key, value)),
        };
        let location = self
            .location
            .as_ref()
            .ok_or_else(|| bad("location", None))?;
        let offset: usize = number("offset", self.offset.as_ref(), 0)?;
        let length: usize = number("length", self.length.as_ref(), needed)?;
        if length != needed {
            return Err(bad("length", self.length.as_ref()));
        }
        let Some((file, blob)) = files.get(name, location)? else {
            let file = location.clone();
            return Ok(entry.skipped(SkipReason::External { file }));
        };
        let end = offset.checked_add(length);
        let range = match end {
            Some(end) if end <= blob.len() => offset..end,
            _ => {
                return Err(OnnxError::Extent {
                    tensor: tensor(),
                    location: location.clone(),
                    needed: end.map_or_else(|| "too many".to_string(), |n| n.to_string()),
                    available: blob.len(),
                });
            }
        };
        Ok(entry
            .stored_in(&file, range.clone())
            .numbers(element, |flat| Slice::dense(blob, range, element, flat)))
    }
}

impl Stored for Typed {
    fn load(&self) -> Result<Loaded, FormatError> {
        let bytes = self.bytes().map_err(|error| fail(&self.file, error))?;
        Ok(Loaded {
            data: Data::Bytes {
                range: 0..bytes.len(),
                blob: Blob::from_vec(bytes),
                element: self.element,
            },
            row_stride: self.flat.cols,
            col_stride: 1,
            note: None,
        })
    }
}

impl Typed {
    fn bytes(&self) -> Result<Vec<u8>, OnnxError> {
        if !self.varint {
            let parts: Vec<&[u8]> = self.chunks.iter().map(|c| &self.blob[c.clone()]).collect();
            return Ok(parts.concat());
        }
        let size = self.element.size();
        let mut bytes = Vec::new();
        let mut too_large = None;
        for chunk in &self.chunks {
            varints(&self.blob, chunk.clone(), &mut |value| {
                if value >> (8 * size) != 0 {
                    too_large.get_or_insert(value);
                }
                bytes.extend_from_slice(&value.to_le_bytes()[..size]);
            })?;
        }
        match too_large {
            None => Ok(bytes),
            Some(value) => Err(OnnxError::Value {
                tensor: self.name.clone(),
                value,
                dtype: self.element.as_str().to_string(),
            }),
        }
    }
}

/// The name of a number format, and the format or why it is skipped.
fn kind(data_type: u64) -> (String, Result<ElementType, SkipReason>) {
    const INTEGERS: [(u64, &str); 13] = [
        (2, "UINT8"),
        (3, "INT8"),
        (4, "UINT16"),
        (5, "INT16"),
        (6, "INT32"),
        (7, "INT64"),
        (9, "BOOL"),
        (12, "UINT32"),
        (13, "UINT64"),
        (21, "UINT4"),
        (22, "INT4"),
        (25, "UINT2"),
        (26, "INT2"),
    ];
    let float = |name: &str, element| (name.to_string(), Ok(element));
    let skip = |name: &str, reason: fn(String) -> SkipReason| {
        (name.to_string(), Err(reason(name.to_string())))
    };
    match data_type {
        1 => float("FLOAT", ElementType::F32),
        10 => float("FLOAT16", ElementType::F16),
        11 => float("DOUBLE", ElementType::F64),
        14 => float("COMPLEX64", ElementType::C64),
        15 => float("COMPLEX128", ElementType::C128),
        16 => float("BFLOAT16", ElementType::BF16),
        17 => float("FLOAT8E4M3FN", ElementType::F8E4M3),
        19 => float("FLOAT8E5M2", ElementType::F8E5M2),
        8 => skip("STRING", |dtype| SkipReason::NotNumbers {
            dtype,
            what: "strings",
        }),
        18 => skip("FLOAT8E4M3FNUZ", |dtype| SkipReason::UnknownDtype { dtype }),
        20 => skip("FLOAT8E5M2FNUZ", |dtype| SkipReason::UnknownDtype { dtype }),
        23 => skip("FLOAT4E2M1", |dtype| SkipReason::Packed { dtype, bits: 4 }),
        24 => skip("FLOAT8E8M0", |dtype| SkipReason::PowersOfTwo { dtype }),
        id => match INTEGERS.iter().find(|(known, _)| *known == id) {
            Some((_, name)) => skip(name, |dtype| SkipReason::Integer { dtype }),
            None => skip(&format!("type {id}"), |dtype| SkipReason::UnknownDtype {
                dtype,
            }),
        },
    }
}
