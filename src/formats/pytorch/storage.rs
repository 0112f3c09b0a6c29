//! Where the numbers of storages lie, and tensors as views of them.

use super::{PytorchError, fail};
use crate::formats::archive::{Archive, Member};
use crate::formats::mmap::Blob;
use crate::formats::pytorch::dtype::Dtype;
use crate::formats::skip::{Flat, SkipReason};
use crate::formats::slice::Layout;
use crate::formats::tensor::{Loaded, Stored};
use crate::formats::{Entry, FormatError};
use crate::linalg::element::ElementType;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// All storages of a file.
pub(super) enum Storages {
    /// Members of an archive under `prefix`.
    Archive {
        archive: Arc<Archive>,
        prefix: String,
        members: HashMap<String, Arc<Member>>,
    },
    /// Parts of a file, by key; filled once the pickle has said how large their numbers are.
    Stream {
        blob: Blob,
        parts: HashMap<String, Range<usize>>,
    },
}

/// The bytes of one storage.
#[derive(Clone)]
enum Bytes {
    Plain(Blob, Range<usize>),
    Member(Arc<Archive>, Arc<Member>),
}

/// A tensor as a pickle describes it; offset and strides count numbers.
pub(super) struct View {
    pub(super) key: String,
    pub(super) dtype: Dtype,
    pub(super) offset: usize,
    pub(super) layout: Layout,
    /// Numbers in the storage, by the pickle.
    pub(super) count: usize,
    /// Bytes of one of these.
    pub(super) count_item: usize,
}

/// A tensor that is read on demand.
struct Tensor {
    file: String,
    bytes: Bytes,
    range: Range<usize>,
    layout: Layout,
    element: ElementType,
    flat: Flat,
}

impl Storages {
    fn find(&self, key: &str) -> Option<Bytes> {
        match self {
            Storages::Archive {
                archive,
                prefix,
                members,
            } => {
                let member = members.get(&format!("{prefix}data/{key}"))?;
                Some(match member.stored_at {
                    _ if member.needs_check() => Bytes::Member(archive.clone(), member.clone()),
                    Some(at) => Bytes::Plain(archive.blob().clone(), at..at + member.size),
                    None => Bytes::Member(archive.clone(), member.clone()),
                })
            }
            Storages::Stream { blob, parts } => {
                let part = parts.get(key)?;
                Some(Bytes::Plain(blob.clone(), part.clone()))
            }
        }
    }

    /// A tensor as an entry; `entry` makes one of dtype and shape.
    pub(super) fn entry(
        &self,
        file: &Arc<str>,
        name: &str,
        view: View,
        entry: impl FnOnce(String, Vec<usize>) -> Entry,
    ) -> Result<Entry, PytorchError> {
        let View {
            key,
            dtype,
            offset,
            layout,
            count,
            count_item,
        } = view;
        let tensor = || name.to_string();
        let bytes = self.find(&key).ok_or_else(|| PytorchError::NoStorage {
            tensor: tensor(),
            key: key.clone(),
        })?;
        let available = bytes.len();
        let extent = |needed: Option<usize>| PytorchError::Extent {
            tensor: tensor(),
            key: key.clone(),
            needed: needed.map_or_else(|| "too many".to_string(), |n| n.to_string()),
            available,
        };
        // The storage as the pickle counts it, then the view within it.
        let declared = count.checked_mul(count_item);
        if declared.is_none_or(|n| n > available) {
            return Err(extent(declared));
        }
        let item = dtype.item;
        let reach = layout.extent();
        let end = reach.and_then(|n| n.checked_add(offset)?.checked_mul(item));
        if end.is_none_or(|n| n > available) {
            return Err(extent(end));
        }
        let reach = reach.unwrap_or(0);
        let stored = available / item;
        let entries = layout
            .shape
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))
            .unwrap_or(usize::MAX);
        let entry = entry(dtype.name.to_string(), layout.shape.clone());
        if reach > 0 && entries > stored {
            return Ok(entry.skipped(SkipReason::Repeated { entries, stored }));
        }
        let range = offset * item..(offset + reach) * item;
        let size = if reach == 0 { 0 } else { entries * item };
        let entry = match bytes.place() {
            Some(start) => {
                let start = start + range.start;
                entry.stored_in(file, start..start + size)
            }
            None => entry.sized(size),
        };
        Ok(match dtype.element() {
            Err(reason) => entry.skipped(reason),
            Ok(element) => entry.numbers(element, |flat| Tensor {
                file: file.to_string(),
                bytes,
                range,
                layout,
                element,
                flat,
            }),
        })
    }
}

impl Bytes {
    fn len(&self) -> usize {
        match self {
            Bytes::Plain(_, range) => range.len(),
            Bytes::Member(_, member) => member.size,
        }
    }

    /// Offset in the file, if the bytes lie in it as they are.
    fn place(&self) -> Option<usize> {
        match self {
            Bytes::Plain(_, range) => Some(range.start),
            Bytes::Member(_, member) => member.stored_at,
        }
    }
}

impl Stored for Tensor {
    fn load(&self) -> Result<Loaded, FormatError> {
        let (blob, whole) = match &self.bytes {
            Bytes::Plain(blob, range) => (blob.clone(), range.clone()),
            Bytes::Member(archive, member) => archive
                .bytes(member)
                .map_err(|error| fail(&self.file, PytorchError::Archive(error)))?,
        };
        let range = whole.start + self.range.start..whole.start + self.range.end;
        Ok(self.layout.load(&blob, range, self.element, self.flat))
    }
}
