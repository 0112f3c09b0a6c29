//! Entries of a collection and the tensors they load.

use super::FormatError;
use super::mmap::Blob;
use super::skip::{Flat, SkipReason, flatten};
use crate::linalg::element::ElementType;
use crate::linalg::view::{Elements, MatrixRef, ViewError};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Appended to the name of a tensor whose trailing dimensions are merged.
pub(super) const RESHAPED: &str = "#reshape(d0,-1)";

/// One tensor of a collection as its file describes it; none of its numbers have been read.
#[derive(Clone, Debug)]
pub struct Entry {
    name: String,
    file: String,
    alone: bool,
    dtype: String,
    shape: Vec<usize>,
    content: Content,
    vector: Option<Readable>,
    scales: Option<Readable>,
    bytes: Option<u64>,
    storage: Option<(Arc<str>, u64)>,
}

/// What an entry is good for.
#[derive(Clone, Debug)]
pub enum Content {
    /// A matrix that [`Collection::load`](super::Collection::load) reads.
    Readable(Readable),
    /// A tensor that is listed but not read.
    Skip(SkipReason),
}

/// A matrix that can be loaded.
#[derive(Clone)]
pub struct Readable {
    element: ElementType,
    flat: Flat,
    stored: Arc<dyn Stored>,
}

/// Something a format can turn into a matrix on demand.
pub(super) trait Stored: Send + Sync {
    fn load(&self) -> Result<Loaded, FormatError>;
}

/// Entries and their layout; strides count elements.
pub(super) struct Loaded {
    pub(super) data: Data,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
    pub(super) note: Option<String>,
}

/// Numbers as stored, or as converted if they cannot be used as stored.
#[derive(Clone)]
pub(super) enum Data {
    /// Little-endian entries inside a file or a buffer.
    Bytes {
        blob: Blob,
        range: Range<usize>,
        element: ElementType,
    },
    Real(Arc<Vec<f64>>),
    Complex(Arc<Vec<[f64; 2]>>),
}

impl Entry {
    /// The entry of a file that holds one matrix only.
    pub(super) fn alone(file: &str, name: &str, dtype: String, shape: Vec<usize>) -> Entry {
        Entry {
            alone: true,
            ..Entry::member(file, name, dtype, shape)
        }
    }

    /// One of many entries of a file.
    pub(super) fn member(file: &str, name: &str, dtype: String, shape: Vec<usize>) -> Entry {
        Entry {
            name: name.to_string(),
            file: file.to_string(),
            alone: false,
            dtype,
            shape,
            content: Content::Skip(SkipReason::Scalar),
            vector: None,
            scales: None,
            bytes: None,
            storage: None,
        }
    }

    pub(super) fn skipped(mut self, reason: SkipReason) -> Entry {
        self.content = Content::Skip(reason);
        self.vector = None;
        self
    }

    /// An entry of a readable number format: a matrix, or a vector that is skipped as a matrix.
    pub(super) fn numbers<S: Stored + 'static>(
        mut self,
        element: ElementType,
        stored: impl FnOnce(Flat) -> S,
    ) -> Entry {
        match flatten(&self.shape) {
            Err(reason) => self.skipped(reason),
            Ok((flat, not_a_matrix)) => {
                let readable = Readable {
                    element,
                    flat,
                    stored: Arc::new(stored(flat)),
                };
                match not_a_matrix {
                    None => self.content = Content::Readable(readable),
                    Some(reason) => {
                        self.content = Content::Skip(reason);
                        self.vector = Some(readable);
                    }
                }
                self
            }
        }
    }

    /// How many bytes the numbers take where they are stored.
    pub(super) fn sized(mut self, bytes: usize) -> Entry {
        self.bytes = Some(bytes as u64);
        self
    }

    /// Where the numbers lie, uncompressed.
    pub(super) fn stored_in(mut self, file: &Arc<str>, range: Range<usize>) -> Entry {
        self.storage = Some((file.clone(), range.start as u64));
        self.sized(range.len())
    }

    /// The factors of quantised blocks, as a row of `count` numbers.
    pub(super) fn scaled(
        mut self,
        element: ElementType,
        count: usize,
        stored: impl Stored + 'static,
    ) -> Entry {
        let flat = Flat {
            rows: 1,
            cols: count,
            reshaped: false,
        };
        self.scales = Some(Readable {
            element,
            flat,
            stored: Arc::new(stored),
        });
        self
    }

    /// The name in the file; for formats without names, the name of the file without extension.
    pub fn stored_name(&self) -> &str {
        &self.name
    }

    /// The name of the matrix: [`stored_name`](Entry::stored_name), with `#reshape(d0,-1)` appended
    /// where trailing dimensions are merged to make a matrix of a tensor.
    ///
    /// # Examples
    /// ```
    /// use isometer::formats::{Source, open};
    /// let file = "tests/data/checkpoints/silero_vad_16k.safetensors";
    /// let one = open(&Source::tensor(file, "conv1.weight")).unwrap();
    /// assert_eq!(one.entries()[0].stored_name(), "conv1.weight");
    /// assert_eq!(one.entries()[0].name(), "conv1.weight#reshape(d0,-1)");
    /// ```
    pub fn name(&self) -> String {
        self.suffixed(&self.name)
    }

    /// The source string that names this entry alone, with the suffix of [`name`](Entry::name).
    pub fn source(&self) -> String {
        if self.alone {
            self.suffixed(&self.file)
        } else {
            self.suffixed(&format!("{}::{}", self.file, self.name))
        }
    }

    fn suffixed(&self, name: &str) -> String {
        match &self.content {
            Content::Readable(r) if r.flat.reshaped => format!("{name}{RESHAPED}"),
            _ => name.to_string(),
        }
    }

    /// The file that holds the tensor; `-` for standard input.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The number format as the file spells it (`F32`, `<f8`, `pattern`, `decimal`).
    pub fn dtype(&self) -> &str {
        &self.dtype
    }

    /// The shape as stored.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes of the tensor's numbers as stored, once decompressed; `None` where numbers are text or
    /// their size is not known.
    ///
    /// # Examples
    /// ```
    /// use isometer::formats::{Source, open};
    /// let source = Source::tensor("tests/data/checkpoints/silero_vad_16k.safetensors", "conv1.weight");
    /// assert_eq!(open(&source).unwrap().entries()[0].bytes(), Some(128 * 129 * 3 * 4)); // f32
    /// ```
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// The file and the byte offset of the tensor's first number; `None` for numbers that are
    /// compressed or text. Entries with the same offset in the same file are views of the same
    /// numbers, as tied weights are; the file is not [`file`](Entry::file) where a model keeps its
    /// numbers in a file of their own.
    pub fn storage(&self) -> Option<(&str, u64)> {
        self.storage.as_ref().map(|(file, at)| (&**file, *at))
    }

    /// A readable matrix, or the reason why the entry is skipped. The numbers of a skipped vector
    /// can still be had from [`load_vector`](super::Collection::load_vector).
    pub fn content(&self) -> &Content {
        &self.content
    }
}

impl Readable {
    /// The format of the entries handed out.
    pub fn element_type(&self) -> ElementType {
        self.element
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.flat.rows
    }

    /// Columns of the matrix.
    pub fn cols(&self) -> usize {
        self.flat.cols
    }
}

impl fmt::Debug for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {} {}", self.rows(), self.cols(), self.element)
    }
}

/// A loaded tensor: it owns its numbers, or shares the mapped file they lie in.
#[derive(Clone)]
pub struct Tensor {
    entry: Entry,
    flat: Flat,
    data: Data,
    row_stride: usize,
    col_stride: usize,
    note: Option<String>,
}

impl Tensor {
    pub(super) fn load(entry: &Entry) -> Result<Tensor, FormatError> {
        match &entry.content {
            Content::Skip(reason) => Err(FormatError::Skipped {
                source_name: entry.source(),
                reason: reason.clone(),
            }),
            Content::Readable(readable) => Tensor::read(entry, readable),
        }
    }

    pub(super) fn load_vector(entry: &Entry) -> Result<Option<Tensor>, FormatError> {
        let vector = entry.vector.as_ref();
        vector.map(|r| Tensor::read(entry, r)).transpose()
    }

    pub(super) fn load_scales(entry: &Entry) -> Result<Option<Tensor>, FormatError> {
        let scales = entry.scales.as_ref();
        scales.map(|r| Tensor::read(entry, r)).transpose()
    }

    fn read(entry: &Entry, readable: &Readable) -> Result<Tensor, FormatError> {
        let loaded = readable.stored.load()?;
        Ok(Tensor {
            entry: entry.clone(),
            flat: readable.flat,
            data: loaded.data,
            row_stride: loaded.row_stride,
            col_stride: loaded.col_stride,
            note: loaded.note,
        })
    }

    /// The entry this was loaded from: name, source, stored shape and stored number format.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The format of the entries of [`matrix`](Tensor::matrix).
    pub fn element_type(&self) -> ElementType {
        match &self.data {
            Data::Bytes { element, .. } => *element,
            Data::Real(_) => ElementType::F64,
            Data::Complex(_) => ElementType::C128,
        }
    }

    /// What a reader of the result should know about the conversion, in one sentence or several
    /// joined by semicolons.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Lets go of the numbers: where they lie in a mapped file, the memory behind them may be taken back. Dropping the
    /// tensor leaves them cached by the process, which counts as its memory.
    pub fn release(self) {
        if let Data::Bytes { blob, range, .. } = &self.data {
            blob.release(range);
        }
    }

    /// The tensor as a matrix, without copying: `shape[0]` rows, all further dimensions as columns
    /// in C order.
    ///
    /// # Errors
    /// [`ViewError`] if shape and data disagree, which the readers rule out.
    ///
    /// # Examples
    /// ```
    /// use isometer::formats::open_bytes;
    /// let file = open_bytes("m.csv", b"1,2,3\n4,5,6\n".to_vec()).unwrap();
    /// let tensor = file.load(0).unwrap();
    /// let m = tensor.matrix().unwrap();
    /// assert_eq!((m.rows(), m.cols(), m.get(0, 2).0), (2, 3, 3.0));
    /// ```
    pub fn matrix(&self) -> Result<MatrixRef<'_>, ViewError> {
        let elements = match &self.data {
            Data::Bytes {
                blob,
                range,
                element,
            } => Elements::Bytes(*element, &blob[range.clone()]),
            Data::Real(v) => Elements::F64(v),
            Data::Complex(v) => Elements::Complex(v),
        };
        MatrixRef::with_strides(
            elements,
            self.flat.rows,
            self.flat.cols,
            self.row_stride,
            self.col_stride,
        )
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} x {} {}",
            self.entry.source(),
            self.flat.rows,
            self.flat.cols,
            self.element_type()
        )
    }
}
