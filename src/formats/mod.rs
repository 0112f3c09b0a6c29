//! Bytes to named tensors: npy, npz, safetensors, PyTorch, GGUF, ONNX, Matrix Market and text.
//!
//! | format | recognised by | read as |
//! |---|---|---|
//! | `.npy`, `.npz` | magic number | floats, complex, integers that are exact in f64; C and Fortran order, both byte orders |
//! | `.safetensors` | header | F16, BF16, F32, F64, FP8; mapped, one file or an index with shards |
//! | `.pt`, `.pth`, `.bin` | zip or legacy pickle | data only: no function that a pickle names is ever called |
//! | `.onnx` | protocol buffers | initializers, external data beside the file |
//! | `.gguf` | magic number | floats; quantised blocks are listed, their scales can be read |
//! | `.mtx` | `%%MatrixMarket` | array and coordinate, general, symmetric, skew, Hermitian |
//! | text, csv, tsv | what is left | rows of decimals, complex as `1+2i` |
//!
//! npy, Matrix Market and text may be gzipped (`.gz`); a directory is its index of shards, or all files in it.
//! Contents decide first, the extension second.
//!
//! [`open`] lists what a [`Source`] holds without reading any tensor; [`Collection::load`] then reads one at a time
//! and hands out [`MatrixRef`](crate::linalg::view::MatrixRef)s over the bytes as stored, so that memory is bounded
//! by the largest tensor and not by the checkpoint. Numbers are widened exactly or refused.
//!
//! Files are memory-mapped. A file that is overwritten while it is being read gives wrong numbers;
//! one that is *shortened* meanwhile ends the process (SIGBUS). Do not edit a checkpoint in place
//! while it is being measured.
//!
//! ```
//! use isometer::formats::{Content, Source, open};
//!
//! let file = open(&Source::path("tests/data/checkpoints/silero_vad_16k.safetensors")).unwrap();
//! let i = file.entries().iter().position(|e| e.stored_name() == "conv1.weight").unwrap();
//! assert_eq!((file.entries()[i].shape(), file.entries()[i].dtype()), (&[128, 129, 3][..], "F32"));
//! let Content::Readable(matrix) = file.entries()[i].content() else { panic!() };
//! assert_eq!((matrix.rows(), matrix.cols()), (128, 387)); // trailing axes merged
//! assert!(file.load(i).unwrap().matrix().unwrap().get(0, 0).0.is_finite());
//! ```

mod archive;
mod directory;
mod error;
mod gguf;
mod lines;
mod matrix_market;
mod mmap;
mod npy;
mod npy_header;
mod npz;
mod onnx;
mod pytorch;
mod safetensors;
mod sharded;
mod skip;
mod slice;
mod sniff;
mod source;
mod tensor;
mod text;

pub use archive::ArchiveError;
pub use error::FormatError;
pub use gguf::GgufError;
pub use lines::{BadNumber, LineError};
pub use matrix_market::MatrixMarketError;
pub use npy::NpyError;
pub use npz::NpzError;
pub use onnx::OnnxError;
pub use pytorch::{PickleError, PytorchError};
pub use safetensors::SafetensorsError;
pub use sharded::IndexError;
pub use skip::SkipReason;
pub use source::Source;
pub use tensor::{Content, Entry, Readable, Tensor};
pub use text::TextError;

use mmap::Blob;
use safetensors::Contents;
use source::Place;
use std::path::Path;
use tensor::RESHAPED;

/// Most bytes of a dense matrix made from a Matrix Market or text file.
const DENSE_LIMIT: u128 = 1 << 34;

/// One key of a safetensors file's `__metadata__`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The file.
    pub file: String,
    /// The key.
    pub key: String,
    /// The value; JSON text if it is not a string.
    pub value: String,
}

/// The tensors of a source, listed but not read.
#[derive(Debug)]
pub struct Collection {
    entries: Vec<Entry>,
    metadata: Vec<Metadata>,
    notes: Vec<String>,
}

impl Collection {
    /// All tensors, readable or skipped, in file order.
    ///
    /// # Examples
    /// ```
    /// use isometer::formats::{Content, SkipReason, Source, open};
    /// let file = open(&Source::path("tests/data/checkpoints/silero_vad_16k.safetensors")).unwrap();
    /// let skipped = file.entries().iter().filter(|e| matches!(e.content(), Content::Skip(SkipReason::OneDimensional)));
    /// assert!(skipped.count() > 0 && file.entries().len() > 5); // biases are listed, too
    /// ```
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Reads entry `i` of [`entries`](Collection::entries). Entries may be loaded from several
    /// threads; each holds its own numbers or shares the mapped file.
    ///
    /// # Errors
    /// [`FormatError::Skipped`] for a skipped entry, otherwise what is wrong with its data.
    ///
    /// # Panics
    /// If there is no entry `i`.
    ///
    /// # Examples
    /// ```
    /// use isometer::formats::{FormatError, open_bytes};
    /// let header = r#"{"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    /// let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    /// bytes.extend(header.as_bytes());
    /// bytes.extend(2.5f32.to_le_bytes());
    /// let file = open_bytes("b.safetensors", bytes).unwrap();
    /// assert!(matches!(file.load(0), Err(FormatError::Skipped { .. }))); // a vector is no matrix
    /// assert_eq!(file.load_vector(0).unwrap().unwrap().matrix().unwrap().get(0, 0).0, 2.5);
    /// ```
    pub fn load(&self, i: usize) -> Result<Tensor, FormatError> {
        Tensor::load(&self.entries[i])
    }

    /// Reads a 0-D or 1-D entry, which [`load`](Collection::load) refuses, as a matrix of one row:
    /// for audits that look for NaN in biases. `None` for every other entry.
    ///
    /// # Errors
    /// What is wrong with its data.
    ///
    /// # Panics
    /// If there is no entry `i`.
    pub fn load_vector(&self, i: usize) -> Result<Option<Tensor>, FormatError> {
        Tensor::load_vector(&self.entries[i])
    }

    /// Reads the scales of a quantised entry (GGUF's blocks) as a matrix of one row, in the order in
    /// which they are stored: the numbers that can be NaN or infinite although the codes they
    /// scale cannot. Blocks with a scale and a minimum give both, one after the other. `None` for
    /// every other entry.
    ///
    /// # Errors
    /// What is wrong with its data.
    ///
    /// # Panics
    /// If there is no entry `i`.
    pub fn block_scales(&self, i: usize) -> Result<Option<Tensor>, FormatError> {
        Tensor::load_scales(&self.entries[i])
    }

    /// The `__metadata__` of safetensors files.
    pub fn metadata(&self) -> &[Metadata] {
        &self.metadata
    }

    /// Remarks about the files as a whole, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl From<Contents> for Collection {
    fn from(contents: Contents) -> Collection {
        Collection {
            entries: contents.entries,
            metadata: contents.metadata,
            notes: contents.notes,
        }
    }
}

/// Lists the tensors of a source, or the one it names.
///
/// Of files with headers or directories only these are read, of PyTorch files the pickle; a text file has to be
/// parsed to know its shape, and standard input to be read to its end.
///
/// # Errors
/// [`FormatError`]: the source is missing, of no known format, damaged in its headers, or without
/// the tensor named.
///
/// # Examples
/// ```
/// use isometer::formats::{FormatError, Source, open};
/// let file = "tests/data/checkpoints/silero_vad_16k.safetensors";
/// let one = open(&Source::tensor(file, "conv1.weight")).unwrap();
/// assert_eq!(one.entries().len(), 1);
/// let none = open(&Source::tensor(file, "conv99.weight"));
/// assert!(matches!(none, Err(FormatError::NoSuchTensor { .. })));
/// ```
pub fn open(source: &Source) -> Result<Collection, FormatError> {
    let (place, collection) = match source.place() {
        Place::Stdin => {
            let blob =
                Blob::read(&mut std::io::stdin().lock()).map_err(|e| FormatError::io("-", e))?;
            ("-".to_string(), sniff::contents("-", &blob, None)?.into())
        }
        Place::Path(path) => (path.display().to_string(), open_path(path)?),
    };
    match source.tensor_name() {
        None => Ok(collection),
        Some(name) => select(collection, &place, name),
    }
}

/// Lists the tensors of a file that is already in memory; `name` stands for it in messages and
/// labels, and its extension, if it has one, tells the format.
///
/// # Errors
/// As [`open`].
///
/// # Examples
/// ```
/// use isometer::formats::open_bytes;
/// let file = open_bytes("m.txt", b"1 2\n3 4\n".to_vec()).unwrap();
/// let tensor = file.load(0).unwrap();
/// assert_eq!(tensor.matrix().unwrap().get(1, 0), (3.0, 0.0));
/// ```
pub fn open_bytes(name: &str, bytes: Vec<u8>) -> Result<Collection, FormatError> {
    sniff::contents(name, &Blob::from_vec(bytes), None).map(Collection::from)
}

fn open_path(path: &Path) -> Result<Collection, FormatError> {
    let contents = if path.is_dir() {
        directory::contents(path)?
    } else if sharded::index_of(path).is_some() {
        sharded::contents(path)?
    } else {
        file_contents(path)?
    };
    Ok(Collection::from(contents))
}

fn file_contents(path: &Path) -> Result<Contents, FormatError> {
    let file = path.display().to_string();
    let blob = Blob::open(path).map_err(|e| FormatError::io(&file, e))?;
    let beside = path.parent().filter(|p| !p.as_os_str().is_empty());
    sniff::contents(&file, &blob, Some(beside.unwrap_or(Path::new("."))))
}

fn select(mut all: Collection, place: &str, name: &str) -> Result<Collection, FormatError> {
    let wanted = name.strip_suffix(RESHAPED).unwrap_or(name);
    let matches = |e: &Entry| e.stored_name() == wanted || e.stored_name() == name;
    let count = all.entries.iter().filter(|e| matches(e)).count();
    let (file, tensor) = (place.to_string(), name.to_string());
    match count {
        0 => Err(FormatError::NoSuchTensor {
            file,
            tensor,
            names: all
                .entries
                .iter()
                .map(|e| e.stored_name().to_string())
                .collect(),
        }),
        1 => {
            all.entries.retain(matches);
            Ok(all)
        }
        _ => {
            let sources: Vec<String> = all
                .entries
                .iter()
                .filter(|e| matches(e))
                .map(Entry::source)
                .collect();
            Err(FormatError::AmbiguousTensor {
                file,
                tensor,
                candidates: sources.join(", "),
            })
        }
    }
}

/// A sentence that names what there is.
fn available(all: &[String]) -> String {
    const SHOWN: usize = 8;
    let names = &all[..all.len().min(SHOWN)];
    let more = match all.len().checked_sub(SHOWN) {
        Some(n @ 1..) => format!(" and {n} more"),
        _ => String::new(),
    };
    match names.is_empty() {
        true => "it holds no tensors".to_string(),
        false => format!("it holds {}{more}", names.join(", ")),
    }
}
