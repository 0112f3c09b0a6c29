//! Tensors that are listed but not read, and shapes seen as matrices.

/// Why an entry of a collection is not a matrix that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// A single number.
    #[error("0-D: not a matrix")]
    Scalar,
    /// A vector.
    #[error("1-D: not a matrix")]
    OneDimensional,
    /// A dimension is zero, so there are no entries and no condition number.
    #[error("shape {shape:?} has no entries")]
    Empty {
        /// The shape.
        shape: Vec<usize>,
    },
    /// Integers or booleans in a checkpoint: counters, indices, masks, quantised codes.
    #[error("{dtype}: integer tensors of a checkpoint are not weights")]
    Integer {
        /// The format as the file names it.
        dtype: String,
    },
    /// A number format that is not read.
    #[error(
        "{dtype}: not a number format that is read; save as float16, bfloat16, float32 or float64"
    )]
    UnknownDtype {
        /// The format as the file names it.
        dtype: String,
    },
    /// Floats of fewer than eight bits, packed: codes of a quantised tensor.
    #[error("{dtype}: packed {bits}-bit codes mean nothing without their scales")]
    Packed {
        /// The format as the file names it.
        dtype: String,
        /// Bits of a code.
        bits: usize,
    },
    /// Powers of two (8-bit exponents): the scales of a quantised tensor, no weights themselves.
    #[error("{dtype}: powers of two are the scales of other tensors, not weights")]
    PowersOfTwo {
        /// The format as the file names it.
        dtype: String,
    },
    /// Blocks of quantised codes. [`block_scales`](super::Collection::block_scales) reads their
    /// scales.
    #[error(
        "{dtype}: quantised blocks of {block} numbers in {bytes} bytes are not expanded; only their scales are read"
    )]
    Quantised {
        /// The format as the file names it.
        dtype: String,
        /// Numbers in a block.
        block: usize,
        /// Bytes of a block.
        bytes: usize,
    },
    /// A tensor that is not an array of numbers with strides.
    #[error("{what}: not a dense tensor; convert it before saving")]
    NotDense {
        /// Sparse, quantised, nested and the like.
        what: String,
    },
    /// A view that shows stored numbers more than once.
    #[error(
        "{entries} entries that repeat {stored} stored numbers; call .contiguous() before saving"
    )]
    Repeated {
        /// Entries of the view.
        entries: usize,
        /// Numbers in its storage.
        stored: usize,
    },
    /// Numbers in another file, which cannot be found from a stream.
    #[error("its numbers lie in '{file}'; open the model by its path")]
    External {
        /// The file, relative to the model.
        file: String,
    },
    /// Records, objects, text or dates.
    #[error("{dtype}: {what} are not numbers")]
    NotNumbers {
        /// The format as the file names it.
        dtype: String,
        /// `records`, `objects`, `strings` or `dates`.
        what: &'static str,
    },
    /// numpy raw bytes, which is how bfloat16 and 8-bit floats come out of `numpy.save`.
    #[error(
        "{dtype}: raw bytes of unstated meaning (numpy.save writes bfloat16 and float8 this way); save as float32, or as safetensors"
    )]
    RawBytes {
        /// The format as the file names it.
        dtype: String,
    },
    /// A zip member that is not an npy file.
    #[error("not an .npy member")]
    NotAnArray,
    /// A zip member compressed by something other than deflate.
    #[error("compressed by {method}; only stored and deflated members are read")]
    Compression {
        /// The method as the zip library names it.
        method: String,
    },
    /// An encrypted zip member.
    #[error("encrypted; save without a password")]
    Encrypted,
    /// A tensor that lies in a shard but that the index assigns elsewhere or not at all.
    #[error("in this shard, but the index does not list it here")]
    NotIndexed,
}

/// A shape seen as a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flat {
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Whether trailing dimensions were merged.
    pub(super) reshaped: bool,
}

/// `(d0, d1, ...)` as `d0 x (d1 d2 ...)`; vectors and scalars as one row, with the reason why they
/// are no matrices. The caller has checked that the product of the dimensions fits in `usize`,
/// unless one of them is zero.
pub(super) fn flatten(shape: &[usize]) -> Result<(Flat, Option<SkipReason>), SkipReason> {
    let row = |cols| Flat {
        rows: 1,
        cols,
        reshaped: false,
    };
    match shape {
        dims if dims.contains(&0) => Err(SkipReason::Empty {
            shape: dims.to_vec(),
        }),
        [] => Ok((row(1), Some(SkipReason::Scalar))),
        [n] => Ok((row(*n), Some(SkipReason::OneDimensional))),
        [rows, rest @ ..] => {
            let flat = Flat {
                rows: *rows,
                cols: rest.iter().product(),
                reshaped: rest.len() > 1,
            };
            Ok((flat, None))
        }
    }
}

/// Bytes of a dense array, if that fits in `usize`.
pub(super) fn byte_len(shape: &[usize], item: usize) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(item, |n, &d| n.checked_mul(d))
}
