//! Why a source cannot be opened or a tensor not be read.

use super::gguf::GgufError;
use super::matrix_market::MatrixMarketError;
use super::npy::NpyError;
use super::npz::NpzError;
use super::onnx::OnnxError;
use super::pytorch::PytorchError;
use super::safetensors::SafetensorsError;
use super::sharded::IndexError;
use super::skip::SkipReason;
use super::text::TextError;
use std::io;

/// The formats that are read, as error messages list them.
const KNOWN: &str = "npy, npz, safetensors and PyTorch (one file, *.index.json or a directory), \
    GGUF, ONNX, Matrix Market (.mtx) and text (.csv, .tsv, .txt); npy, Matrix Market and text also as .gz";

/// A refusal to open or read; each names the file, the place in it, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Nothing has this path.
    #[error("{path}: no such file or directory")]
    Missing {
        /// The path as it was given.
        path: String,
    },
    /// The operating system refused.
    #[error("{file}: cannot be read: {error}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// A file of no bytes.
    #[error("{file}: the file is empty; copy or download it again")]
    EmptyFile {
        /// The file.
        file: String,
    },
    /// A directory in which no file has a known format.
    #[error(
        "{dir}: no *.safetensors, *.pt, *.bin, *.gguf, *.onnx, *.npy, *.npz or *.mtx file in this directory (subdirectories are not searched)"
    )]
    EmptyDirectory {
        /// The directory.
        dir: String,
    },
    /// Neither the extension nor the first bytes tell the format.
    #[error("{file}: not a known format; Isometer reads {KNOWN}")]
    UnknownFormat {
        /// The file.
        file: String,
    },
    /// A format that is recognised but not read.
    #[error("{file}: {format} files are not supported yet; {advice}")]
    Unsupported {
        /// The file.
        file: String,
        /// What the file is.
        format: &'static str,
        /// How to convert it.
        advice: &'static str,
    },
    /// The tensor after `::` is not there.
    #[error("{file}: no tensor named '{tensor}'; {}", super::available(names))]
    NoSuchTensor {
        /// The file or directory.
        file: String,
        /// The name asked for.
        tensor: String,
        /// All names there are.
        names: Vec<String>,
    },
    /// Several files of a directory hold a tensor of this name.
    #[error("{file}: '{tensor}' is in several files; name one of {candidates}")]
    AmbiguousTensor {
        /// The directory.
        file: String,
        /// The name asked for.
        tensor: String,
        /// The sources that would each be unambiguous.
        candidates: String,
    },
    /// Several index files in one directory: several models, or several precisions of one.
    #[error("{dir}: several indices of shards, name one of {candidates}")]
    AmbiguousIndex {
        /// The directory.
        dir: String,
        /// The index files.
        candidates: String,
    },
    /// [`load`](super::Collection::load) was asked for an entry that is skipped.
    #[error("{source_name}: cannot be read as a matrix: {reason}")]
    Skipped {
        /// The source of the entry.
        source_name: String,
        /// Why it is skipped.
        reason: SkipReason,
    },
    /// The matrix would not fit in memory as a dense array.
    #[error(
        "{file}: {rows} x {cols} needs {bytes} bytes as a dense matrix, the limit is {limit}; extract a block of it"
    )]
    TooLarge {
        /// The file.
        file: String,
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
        /// Bytes the dense matrix needs.
        bytes: u128,
        /// Bytes allowed.
        limit: u128,
    },
    /// A damaged or unusable npy file.
    #[error("{file}: {error}")]
    Npy {
        /// The file.
        file: String,
        /// What is wrong.
        error: Box<NpyError>,
    },
    /// A damaged or unusable npz archive.
    #[error("{file}: {error}")]
    Npz {
        /// The file.
        file: String,
        /// What is wrong.
        error: Box<NpzError>,
    },
    /// A damaged or unusable PyTorch file.
    #[error("{file}: {error}")]
    Pytorch {
        /// The file.
        file: String,
        /// What is wrong.
        error: Box<PytorchError>,
    },
    /// A damaged or unusable GGUF file.
    #[error("{file}: {error}")]
    Gguf {
        /// The file.
        file: String,
        /// What is wrong.
        error: Box<GgufError>,
    },
    /// A damaged or unusable ONNX model.
    #[error("{file}: {error}")]
    Onnx {
        /// The file.
        file: String,
        /// What is wrong.
        error: Box<OnnxError>,
    },
    /// A damaged safetensors file.
    #[error("{file}: {error}")]
    Safetensors {
        /// The file.
        file: String,
        /// What is wrong.
        error: Box<SafetensorsError>,
    },
    /// An index that does not describe its shards.
    #[error("{file}: {error}")]
    Index {
        /// The index file.
        file: String,
        /// What is wrong.
        error: Box<IndexError>,
    },
    /// A damaged Matrix Market file.
    #[error("{file}: {error}")]
    MatrixMarket {
        /// The file.
        file: String,
        /// What is wrong, with its line.
        error: Box<MatrixMarketError>,
    },
    /// Text that is not a matrix.
    #[error("{file}: {error}")]
    Text {
        /// The file.
        file: String,
        /// What is wrong, with its line.
        error: Box<TextError>,
    },
}

impl FormatError {
    /// Whether the file is of a known format but damaged: a finding about a checkpoint, and not a mistake of the one who named it.
    ///
    /// # Examples
    /// ```
    /// use isometer::formats::open_bytes;
    /// let cut = b"\x93NUMPY\x01\x00\x76\x00{".to_vec(); // an npy header that ends too soon
    /// assert!(open_bytes("x.npy", cut).unwrap_err().is_damage());
    /// ```
    pub fn is_damage(&self) -> bool {
        if let FormatError::Pytorch { error, .. } = self {
            return error.is_damage();
        }
        !matches!(
            self,
            FormatError::Missing { .. }
                | FormatError::Io { .. }
                | FormatError::EmptyDirectory { .. }
                | FormatError::UnknownFormat { .. }
                | FormatError::Unsupported { .. }
                | FormatError::NoSuchTensor { .. }
                | FormatError::AmbiguousTensor { .. }
                | FormatError::AmbiguousIndex { .. }
                | FormatError::Skipped { .. }
                | FormatError::TooLarge { .. }
        )
    }

    pub(super) fn io(file: &str, error: io::Error) -> FormatError {
        let file = file.to_string();
        match error.kind() {
            io::ErrorKind::NotFound => FormatError::Missing { path: file },
            _ => FormatError::Io { file, error },
        }
    }
}
