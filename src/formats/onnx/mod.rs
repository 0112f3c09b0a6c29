//! ONNX models: initializers, constants, and the tensors of subgraphs and functions.
//!
//! Format: `onnx.proto`, which also says how large models keep numbers in files beside them.

mod external;
mod graph;
mod tensor;
mod wire;

use super::FormatError;
use super::mmap::Blob;
use super::safetensors::Contents;
use std::path::Path;

/// What is wrong with an ONNX model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// A field that protocol buffers do not have, or no longer.
    #[error(
        "not an ONNX model: a field of kind {kind} at byte {at}; the file is damaged or of another format"
    )]
    Wire {
        /// Offset.
        at: usize,
        /// The kind, 0 to 7.
        kind: u64,
    },
    /// An integer without an end.
    #[error("an integer at byte {at} has no end; the file is damaged or no ONNX model")]
    Varint {
        /// Offset.
        at: usize,
    },
    /// A length beyond the end of the message that holds it.
    #[error(
        "truncated: {needed} bytes are needed at byte {at}, there are {available}; copy or download it again"
    )]
    Truncated {
        /// Offset.
        at: usize,
        /// Bytes needed.
        needed: u64,
        /// Bytes left.
        available: u64,
    },
    /// No graph in the model.
    #[error("no graph in it: not an ONNX model, or an empty one")]
    NoGraph,
    /// Graphs within graphs.
    #[error("more than {limit} graphs within each other at '{path}'; damaged or hostile")]
    TooDeep {
        /// Where.
        path: String,
        /// How many are allowed.
        limit: usize,
    },
    /// Names out of proportion to the file.
    #[error("the names of nested graphs are longer than the model; damaged or hostile")]
    Names,
    /// A negative or unusable dimension.
    #[error("tensor '{tensor}': dimensions {dims:?} are no shape; the file is damaged")]
    Shape {
        /// Name of the tensor.
        tensor: String,
        /// The dimensions.
        dims: Vec<i64>,
    },
    /// Numbers and shape disagree.
    #[error(
        "tensor '{tensor}': {dtype} of shape {shape:?} needs {needed} bytes, there are {given}; truncated or damaged"
    )]
    Size {
        /// Name of the tensor.
        tensor: String,
        /// The number format.
        dtype: String,
        /// The shape.
        shape: Vec<usize>,
        /// Bytes needed.
        needed: usize,
        /// Bytes there are.
        given: usize,
    },
    /// A number that has more bits than its format.
    #[error("tensor '{tensor}': the value {value} is no {dtype}; the file is damaged")]
    Value {
        /// Name of the tensor.
        tensor: String,
        /// The number.
        value: u64,
        /// The number format.
        dtype: String,
    },
    /// Numbers in a file outside the directory of the model.
    #[error("tensor '{tensor}' lies in '{location}', which is outside the directory of the model")]
    Outside {
        /// Name of the tensor.
        tensor: String,
        /// The path as written.
        location: String,
    },
    /// Numbers in a file that is not there.
    #[error(
        "the file '{location}', which holds tensor '{tensor}', cannot be read: {message}; copy or download it too"
    )]
    Missing {
        /// Name of the tensor.
        tensor: String,
        /// The path as written.
        location: String,
        /// What the system said.
        message: String,
    },
    /// Numbers beyond the end of their file.
    #[error(
        "tensor '{tensor}' ends at byte {needed} of '{location}', which has {available}; copy or download it again"
    )]
    Extent {
        /// Name of the tensor.
        tensor: String,
        /// The path as written.
        location: String,
        /// Offset of its end, or `too many`.
        needed: String,
        /// Bytes there are.
        available: usize,
    },
    /// An offset or a length that is no number, or no location at all.
    #[error("tensor '{tensor}': external data with {key} '{value}'; the file is damaged")]
    External {
        /// Name of the tensor.
        tensor: String,
        /// `location`, `offset` or `length`.
        key: &'static str,
        /// What is written there.
        value: String,
    },
}

fn fail(file: &str, error: OnnxError) -> FormatError {
    FormatError::Onnx {
        file: file.to_string(),
        error: Box::new(error),
    }
}

/// Whether the bytes begin like a model: its version, then one of its other fields.
pub(super) fn is_likely(first: &[u8]) -> bool {
    let fields = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42];
    matches!(first, [0x08, 1..=32, tag, ..] if fields.contains(tag))
}

/// Lists the tensors.
pub(super) fn contents(
    file: &str,
    blob: &Blob,
    beside: Option<&Path>,
) -> Result<Contents, FormatError> {
    let entries = graph::entries(file, blob, beside).map_err(|error| fail(file, error))?;
    Ok(Contents {
        entries,
        ..Contents::default()
    })
}
