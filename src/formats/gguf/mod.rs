//! llama.cpp's `.gguf`: key-value pairs, tensor descriptions, then aligned little-endian tensors.
//!
//! Format: `docs/gguf.md` of ggml, versions 2 and 3. Plain floats are read as stored and `Q8_0` is
//! expanded, which is exact in binary32; of other quantised blocks only the scales are read.

mod blocks;
mod reader;
mod types;

use super::mmap::Blob;
use super::safetensors::Contents;
use super::skip::{SkipReason, byte_len};
use super::slice::Slice;
use super::{Entry, FormatError, Metadata};
use crate::linalg::element::ElementType;
use blocks::{Expanded, Scales};
use reader::Reader;
use std::collections::HashSet;
use std::sync::Arc;
use types::{Kind, Type};

/// What is wrong with a GGUF file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    /// Not the magic string.
    #[error("not a GGUF file: it starts with {found:02x?}; copy or download it again")]
    Magic {
        /// The first bytes.
        found: Vec<u8>,
    },
    /// A version that is not read.
    #[error(
        "GGUF version {version} is not read (2 and 3 are); convert the model again with a current llama.cpp"
    )]
    Version {
        /// The version.
        version: u32,
    },
    /// The numbers are in the order of another machine.
    #[error(
        "a big-endian GGUF file; only little-endian ones are read: convert the model again for them"
    )]
    BigEndian,
    /// The file ends inside its header.
    #[error(
        "truncated: the {part} at byte {at} needs {needed} bytes, there are {available}; copy or download it again"
    )]
    Truncated {
        /// Which part.
        part: &'static str,
        /// Offset.
        at: usize,
        /// Bytes needed at least.
        needed: u64,
        /// Bytes left.
        available: u64,
    },
    /// A value type that the format does not have.
    #[error("key '{key}' has a value of unknown type {id}; the file is damaged")]
    ValueType {
        /// The key.
        key: String,
        /// The type.
        id: u32,
    },
    /// Arrays within arrays.
    #[error("key '{key}' holds more than {limit} arrays within each other; damaged or hostile")]
    Nested {
        /// The key.
        key: String,
        /// How many are allowed.
        limit: u32,
    },
    /// An alignment that is no multiple of eight.
    #[error(
        "general.alignment is {alignment}, which must be a positive multiple of 8; the file is damaged"
    )]
    Alignment {
        /// The alignment.
        alignment: u64,
    },
    /// More dimensions than the format has.
    #[error(
        "tensor '{tensor}' has {dimensions} dimensions, the format allows {limit}; the file is damaged"
    )]
    Dimensions {
        /// Name of the tensor.
        tensor: String,
        /// How many.
        dimensions: u32,
        /// How many are allowed.
        limit: u32,
    },
    /// A shape that does not consist of whole blocks, or of more bytes than can be addressed.
    #[error(
        "tensor '{tensor}': shape {shape:?} does not consist of whole {dtype} blocks of {block} numbers, or is too large"
    )]
    Shape {
        /// Name of the tensor.
        tensor: String,
        /// The shape, outermost dimension first.
        shape: Vec<u64>,
        /// The type.
        dtype: String,
        /// Numbers in a block.
        block: usize,
    },
    /// A tensor that does not start at a multiple of the alignment.
    #[error(
        "tensor '{tensor}': offset {offset} is no multiple of the alignment {alignment}; the file is damaged"
    )]
    Offset {
        /// Name of the tensor.
        tensor: String,
        /// Offset in the data.
        offset: u64,
        /// The alignment.
        alignment: u64,
    },
    /// A tensor beyond the end of the file.
    #[error(
        "truncated: tensor '{tensor}' ends at byte {needed} of the file, which has {available}; copy or download it again"
    )]
    Extent {
        /// Name of the tensor.
        tensor: String,
        /// File offset of its end.
        needed: u128,
        /// Size of the file.
        available: u64,
    },
    /// Two tensors of one name.
    #[error("tensor '{tensor}' is listed twice; the file is damaged")]
    Duplicate {
        /// Name of the tensor.
        tensor: String,
    },
}

/// A tensor as the header describes it.
struct Info {
    name: String,
    /// Innermost dimension first, as stored.
    dims: Vec<u64>,
    id: u32,
    offset: u64,
}

/// Lists the tensors; only the header is touched.
pub(super) fn contents(file: &str, blob: &Blob) -> Result<Contents, FormatError> {
    parse(file, blob).map_err(|error| FormatError::Gguf {
        file: file.to_string(),
        error: Box::new(error),
    })
}

fn parse(file: &str, blob: &Blob) -> Result<Contents, GgufError> {
    /// The format's own limit.
    const MOST_DIMENSIONS: u32 = 4;
    /// Name length, number of dimensions, type and offset: no description is shorter.
    const SHORTEST_INFO: u64 = 24;
    /// A key's length, its type and a value of one byte.
    const SHORTEST_PAIR: u64 = 13;
    let mut reader = Reader::new(blob);
    reader.magic()?;
    let tensors = reader.u64("number of tensors")?;
    let pairs = reader.u64("number of keys")?;
    reader.room("keys", pairs, SHORTEST_PAIR)?;
    let mut metadata = Vec::new();
    let mut alignment: u64 = 32;
    for _ in 0..pairs {
        let key = reader.text("key")?;
        let value = reader.value(&key)?;
        if key == "general.alignment" {
            alignment = value.as_ref().and_then(|v| v.parse().ok()).unwrap_or(0);
        }
        metadata.extend(value.map(|value| Metadata {
            file: file.to_string(),
            key,
            value,
        }));
    }
    if alignment == 0 || !alignment.is_multiple_of(8) {
        return Err(GgufError::Alignment { alignment });
    }
    reader.room("tensor descriptions", tensors, SHORTEST_INFO)?;
    let mut infos = Vec::new();
    let mut names = HashSet::new();
    for _ in 0..tensors {
        let name = reader.text("tensor name")?;
        let dimensions = reader.u32("number of dimensions")?;
        if dimensions > MOST_DIMENSIONS {
            return Err(GgufError::Dimensions {
                tensor: name,
                dimensions,
                limit: MOST_DIMENSIONS,
            });
        }
        let mut dims = Vec::new();
        for _ in 0..dimensions {
            dims.push(reader.u64("dimension")?);
        }
        let id = reader.u32("tensor type")?;
        let offset = reader.u64("tensor offset")?;
        if !names.insert(name.clone()) {
            return Err(GgufError::Duplicate { tensor: name });
        }
        infos.push(Info {
            name,
            dims,
            id,
            offset,
        });
    }
    let place: Arc<str> = file.into();
    let data = (reader.at() as u64)
        .checked_next_multiple_of(alignment)
        .ok_or(GgufError::Alignment { alignment })?;
    let entries = infos
        .iter()
        .map(|info| entry(&place, blob, info, data, alignment))
        .collect::<Result<_, _>>()?;
    Ok(Contents {
        entries,
        metadata,
        notes: Vec::new(),
    })
}

fn entry(
    place: &Arc<str>,
    blob: &Blob,
    info: &Info,
    data: u64,
    alignment: u64,
) -> Result<Entry, GgufError> {
    let tensor = || info.name.clone();
    let kind = Type::of(info.id);
    let dtype = kind.map_or_else(|| format!("type {}", info.id), |k| k.name.to_string());
    let block = kind.map_or(1, |k| k.block);
    let bad_shape = || GgufError::Shape {
        tensor: tensor(),
        shape: info.dims.iter().rev().copied().collect(),
        dtype: dtype.clone(),
        block,
    };
    let shape: Option<Vec<usize>> = info
        .dims
        .iter()
        .rev()
        .map(|&d| usize::try_from(d).ok())
        .collect();
    let shape = shape.ok_or_else(bad_shape)?;
    // Blocks run along the innermost dimension.
    let row = shape.last().copied().unwrap_or(1);
    let numbers = byte_len(&shape, 1).ok_or_else(bad_shape)?;
    if !row.is_multiple_of(block) {
        return Err(bad_shape());
    }
    if !info.offset.is_multiple_of(alignment) {
        return Err(GgufError::Offset {
            tensor: tensor(),
            offset: info.offset,
            alignment,
        });
    }
    let available = blob.len() as u64;
    let length = kind.map_or(Some(0), |k| (numbers / block).checked_mul(k.bytes));
    let length = length.ok_or_else(bad_shape)?;
    let needed = u128::from(data) + u128::from(info.offset) + length as u128;
    if needed > u128::from(available) && length > 0 {
        return Err(GgufError::Extent {
            tensor: tensor(),
            needed,
            available,
        });
    }
    let entry = Entry::member(place, &info.name, dtype.clone(), shape);
    let Some(kind) = kind else {
        return Ok(entry.skipped(SkipReason::UnknownDtype { dtype }));
    };
    if length == 0 {
        // Nowhere to point at, and `numbers` says that it is empty.
        return Ok(entry.sized(0).numbers(ElementType::F32, |flat| {
            Slice::dense(blob.clone(), 0..0, ElementType::F32, flat)
        }));
    }
    let end = needed as usize;
    let range = end - length..end;
    let mut entry = entry.stored_in(place, range.clone());
    if let Some((element, offsets)) = kind.scales() {
        let count = numbers / block * offsets.len();
        entry = entry.scaled(
            element,
            count,
            Scales {
                blob: blob.clone(),
                range: range.clone(),
                stride: kind.bytes,
                element,
                offsets,
            },
        );
    }
    Ok(match kind.kind {
        Kind::Float(element) => entry.numbers(element, |flat| {
            Slice::dense(blob.clone(), range, element, flat)
        }),
        Kind::Q8_0 => entry.numbers(ElementType::F32, |flat| Expanded {
            blob: blob.clone(),
            range,
            flat,
        }),
        Kind::Integer => entry.skipped(SkipReason::Integer { dtype }),
        Kind::Blocks(..) => entry.skipped(SkipReason::Quantised {
            dtype,
            block,
            bytes: kind.bytes,
        }),
    })
}
