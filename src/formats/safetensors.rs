//! Hugging Face's `.safetensors`: an 8-byte length, a JSON header, raw little-endian tensors.
//!
//! The header is read here and not by the `safetensors` crate because that crate refuses a whole
//! file for one number format it does not know, keeps the last of two tensors of one name, and its
//! refusals name neither tensor nor offset.

use super::mmap::Blob;
use super::skip::{SkipReason, byte_len};
use super::slice::Slice;
use super::{Entry, FormatError, Metadata};
use crate::linalg::element::ElementType;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// The limit of the format's reference implementation.
const LONGEST_HEADER: u64 = 100_000_000;

/// What is wrong with a safetensors file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SafetensorsError {
    /// Not even a length.
    #[error(
        "{length} bytes, but a safetensors file starts with an 8-byte header length; truncated, or not one"
    )]
    TooShort {
        /// Bytes there are.
        length: usize,
    },
    /// The header ends beyond the file, or is longer than the format allows.
    #[error(
        "the first 8 bytes claim a header of {header} bytes, the file has {available} after them; truncated, or not a safetensors file"
    )]
    HeaderLength {
        /// Bytes claimed.
        header: u64,
        /// Bytes after the length.
        available: u64,
    },
    /// The header is not a JSON object of tensors.
    #[error("the header (bytes 8..{end}) is not valid: {message}; copy or download the file again")]
    Json {
        /// End of the header.
        end: u64,
        /// What the JSON parser said, with line and column in the header.
        message: String,
    },
    /// A tensor without usable dtype, shape or offsets.
    #[error("tensor '{tensor}': bad header entry: {message}; the file is damaged")]
    Entry {
        /// Name of the tensor.
        tensor: String,
        /// What the JSON parser said.
        message: String,
    },
    /// Two tensors of one name.
    #[error("tensor '{tensor}' is listed twice; the file is damaged")]
    Duplicate {
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor that starts after it ends.
    #[error("tensor '{tensor}': data_offsets {begin}..{end} run backwards; the file is damaged")]
    Backwards {
        /// Name of the tensor.
        tensor: String,
        /// First byte, counted from the end of the header.
        begin: u64,
        /// One past the last byte.
        end: u64,
    },
    /// A tensor beyond the end of the file.
    #[error(
        "truncated: tensor '{tensor}' ends at byte {needed} of the file, which has {available}; copy or download it again"
    )]
    Truncated {
        /// Name of the tensor.
        tensor: String,
        /// File offset of its end.
        needed: u64,
        /// Size of the file.
        available: u64,
    },
    /// Offsets and shape disagree.
    #[error(
        "tensor '{tensor}' at byte {at} of the file: {dtype} of shape {shape:?} needs {needed}, data_offsets give {given}"
    )]
    Size {
        /// Name of the tensor.
        tensor: String,
        /// File offset of its start.
        at: u64,
        /// The number format.
        dtype: String,
        /// The shape.
        shape: Vec<u64>,
        /// Bytes the shape needs, as text; bits if they do not fill bytes.
        needed: String,
        /// Bytes between the offsets.
        given: u64,
    },
    /// Two tensors share bytes.
    #[error("tensors '{first}' and '{second}' overlap at byte {at} of the file, which is damaged")]
    Overlap {
        /// The one that starts first.
        first: String,
        /// The other.
        second: String,
        /// File offset where the second starts.
        at: u64,
    },
}

/// What a file or several hold.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) entries: Vec<Entry>,
    pub(super) metadata: Vec<Metadata>,
    pub(super) notes: Vec<String>,
}

impl Contents {
    pub(super) fn append(&mut self, other: Contents) {
        self.entries.extend(other.entries);
        self.metadata.extend(other.metadata);
        self.notes.extend(other.notes);
    }
}

#[derive(serde::Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The header's members in file order, so that repeated names are seen.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Lists the tensors; only the header is touched.
pub(super) fn contents(file: &str, blob: &Blob) -> Result<Contents, FormatError> {
    parse(file, blob).map_err(|error| FormatError::Safetensors {
        file: file.to_string(),
        error: Box::new(error),
    })
}

fn parse(file: &str, blob: &Blob) -> Result<Contents, SafetensorsError> {
    let Some((length, rest)) = blob.split_first_chunk::<8>() else {
        return Err(SafetensorsError::TooShort { length: blob.len() });
    };
    let header = u64::from_le_bytes(*length);
    let available = rest.len() as u64;
    if header > available || header > LONGEST_HEADER {
        return Err(SafetensorsError::HeaderLength { header, available });
    }
    let json = &rest[..header as usize];
    let base = 8 + header;
    let Members(members) = serde_json::from_slice(json).map_err(|e| SafetensorsError::Json {
        end: base,
        message: e.to_string(),
    })?;

    let place: Arc<str> = file.into();
    let mut out = Contents::default();
    let mut names = HashSet::new();
    let mut extents: Vec<(u64, u64, &str)> = Vec::new();
    for (name, value) in &members {
        if !names.insert(name.as_str()) {
            let tensor = name.clone();
            return Err(SafetensorsError::Duplicate { tensor });
        }
        if name == "__metadata__" {
            out.metadata = metadata(file, value);
            continue;
        }
        let info: Info = Deserialize::deserialize(value).map_err(|e: serde_json::Error| {
            SafetensorsError::Entry {
                tensor: name.clone(),
                message: e.to_string(),
            }
        })?;
        let (begin, end) = info.data_offsets;
        out.entries
            .push(entry(file, &place, blob, name, &info, base)?);
        if begin < end {
            extents.push((begin, end, name));
        }
    }
    extents.sort_unstable();
    let mut unused = 0;
    let mut reached: (u64, &str) = (0, "");
    for &(begin, end, name) in &extents {
        if begin < reached.0 {
            return Err(SafetensorsError::Overlap {
                first: reached.1.to_string(),
                second: name.to_string(),
                at: base + begin,
            });
        }
        unused += begin - reached.0;
        reached = (end, name);
    }
    unused += blob.len() as u64 - base - reached.0;
    if unused > 0 {
        out.notes.push(format!(
            "{file}: {unused} bytes belong to no tensor, which the format forbids"
        ));
    }
    Ok(out)
}

fn metadata(file: &str, value: &Value) -> Vec<Metadata> {
    let object = value.as_object().into_iter().flatten();
    object
        .map(|(key, value)| Metadata {
            file: file.to_string(),
            key: key.clone(),
            value: match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
        })
        .collect()
}

fn entry(
    file: &str,
    place: &Arc<str>,
    blob: &Blob,
    name: &str,
    info: &Info,
    base: u64,
) -> Result<Entry, SafetensorsError> {
    let (begin, end) = info.data_offsets;
    let tensor = || name.to_string();
    if end < begin {
        let tensor = tensor();
        return Err(SafetensorsError::Backwards { tensor, begin, end });
    }
    let available = blob.len() as u64;
    if end > available - base {
        return Err(SafetensorsError::Truncated {
            tensor: tensor(),
            needed: base.saturating_add(end),
            available,
        });
    }
    let size_error = |bits: Option<usize>| SafetensorsError::Size {
        tensor: tensor(),
        at: base + begin,
        dtype: info.dtype.clone(),
        shape: info.shape.clone(),
        needed: match bits {
            None => "too many bytes".to_string(),
            Some(bits) if bits % 8 == 0 => format!("{} bytes", bits / 8),
            Some(bits) => format!("{bits} bits"),
        },
        given: end - begin,
    };
    let shape: Vec<usize> = info
        .shape
        .iter()
        .map(|&d| usize::try_from(d).ok())
        .collect::<Option<_>>()
        .ok_or_else(|| size_error(None))?;
    let dtype = info.dtype.as_str();
    let kind = kind(dtype);
    let bits = kind
        .as_ref()
        .map_or_else(|(_, bits)| *bits, |e| Some(8 * e.size()));
    if let Some(bits) = bits {
        // Formats below a byte are packed; the reference demands whole bytes.
        let needed = byte_len(&shape, bits);
        if needed.map(|n| n as u128) != Some(8 * u128::from(end - begin)) {
            return Err(size_error(needed));
        }
    } else if byte_len(&shape, 1).is_none() {
        return Err(size_error(None));
    }
    let range = (base + begin) as usize..(base + end) as usize;
    let entry = Entry::member(file, name, dtype.to_string(), shape).stored_in(place, range.clone());
    Ok(match kind {
        Err((reason, _)) => entry.skipped(reason),
        Ok(element) => entry.numbers(element, |flat| {
            Slice::dense(blob.clone(), range, element, flat)
        }),
    })
}

/// A number format, or why it is skipped and the bits of one item if that is known.
fn kind(dtype: &str) -> Result<ElementType, (SkipReason, Option<usize>)> {
    let named = || dtype.to_string();
    let integer = |bytes: usize| Err((SkipReason::Integer { dtype: named() }, Some(8 * bytes)));
    let packed = |bits| {
        Err((
            SkipReason::Packed {
                dtype: named(),
                bits,
            },
            Some(bits),
        ))
    };
    match dtype {
        "F64" => Ok(ElementType::F64),
        "F32" => Ok(ElementType::F32),
        "F16" => Ok(ElementType::F16),
        "BF16" => Ok(ElementType::BF16),
        "F8_E4M3" => Ok(ElementType::F8E4M3),
        "F8_E5M2" => Ok(ElementType::F8E5M2),
        "C64" => Ok(ElementType::C64),
        "C128" => Ok(ElementType::C128),
        "BOOL" | "I8" | "U8" => integer(1),
        "I16" | "U16" => integer(2),
        "I32" | "U32" => integer(4),
        "I64" | "U64" => integer(8),
        "F4" => packed(4),
        "F6_E2M3" | "F6_E3M2" => packed(6),
        "F8_E8M0" => Err((SkipReason::PowersOfTwo { dtype: named() }, Some(8))),
        "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => {
            Err((SkipReason::UnknownDtype { dtype: named() }, Some(8)))
        }
        _ => Err((SkipReason::UnknownDtype { dtype: named() }, None)),
    }
}
