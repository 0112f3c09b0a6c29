//! PyTorch's `.pt`, `.pth` and `.bin`, read without running anything that they contain.
//!
//! A checkpoint is a pickle, that is a program, beside raw storages: since PyTorch 1.6 in a zip
//! archive (`data.pkl`, `data/0`, ...; TorchScript likewise), before that one after the other in a
//! stream. The pickle is read as data. Format: PyTorch's `torch/serialization.py`.

mod dtype;
mod legacy;
mod machine;
mod pickle;
mod storage;
mod walk;

pub use pickle::PickleError;

use super::FormatError;
use super::archive::{Archive, ArchiveError};
use super::mmap::Blob;
use super::safetensors::Contents;
use pickle::Pickle;
use std::sync::Arc;
use storage::Storages;
use walk::Findings;

pub(super) use legacy::is_legacy;

/// What is wrong with a PyTorch file.
#[derive(Debug, thiserror::Error)]
pub enum PytorchError {
    /// The zip archive is damaged.
    #[error("{0}")]
    Archive(ArchiveError),
    /// Neither an archive nor a stream of `torch.save`.
    #[error(
        "not written by torch.save: it starts with {found:02x?}, neither with a zip archive nor with PyTorch's pickled magic number"
    )]
    NotPytorch {
        /// The first bytes.
        found: Vec<u8>,
    },
    /// A zip archive without a pickle.
    #[error("a zip archive of {members} members, none of them the data.pkl of torch.save")]
    NoPickle {
        /// Members there are.
        members: usize,
    },
    /// An archive that holds more than one checkpoint.
    #[error("several checkpoints in one archive: '{first}' and '{second}'; unpack it")]
    SeveralPickles {
        /// One.
        first: String,
        /// Another.
        second: String,
    },
    /// Numbers in the order of another machine.
    #[error(
        "its byte order is '{order}', only little-endian files are read; save it again on a little-endian machine"
    )]
    ByteOrder {
        /// The content of the member `byteorder`.
        order: String,
    },
    /// The pickle is damaged.
    #[error("{member}: {error}")]
    Pickle {
        /// The member, or the part of the stream.
        member: String,
        /// What is wrong.
        error: PickleError,
    },
    /// No tensor, and something that only its own code could turn into one.
    #[error(
        "no tensor can be read without calling {global}, which Isometer does not do; the file is hostile or holds a whole pickled object: save model.state_dict() instead"
    )]
    NeedsCode {
        /// What the pickle would call.
        global: String,
    },
    /// Nothing but plain data.
    #[error("no tensors in it; save model.state_dict()")]
    NoTensors,
    /// A tensor whose description makes no sense.
    #[error("tensor '{tensor}': {what}; damaged or hostile")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A number format, or a class of storages, of an unknown name.
    #[error("tensor '{tensor}': unknown number format '{dtype}'; convert it to float32")]
    Dtype {
        /// Name of the tensor.
        tensor: String,
        /// The name.
        dtype: String,
    },
    /// A storage that the file does not hold.
    #[error("tensor '{tensor}': its storage '{key}' is not in the file; copy or download it again")]
    NoStorage {
        /// Name of the tensor.
        tensor: String,
        /// Key of the storage.
        key: String,
    },
    /// A tensor beyond the end of its storage.
    #[error(
        "tensor '{tensor}' needs {needed} bytes of storage '{key}', which has {available}; truncated or damaged"
    )]
    Extent {
        /// Name of the tensor.
        tensor: String,
        /// Key of the storage.
        key: String,
        /// Bytes, or `too many`.
        needed: String,
        /// Bytes there are.
        available: usize,
    },
    /// Containers within containers.
    #[error(
        "more than {limit} containers within each other at '{path}'; hostile, or no checkpoint"
    )]
    TooDeep {
        /// Where.
        path: String,
        /// How many are allowed.
        limit: usize,
    },
    /// Parts that are shared so often that listing them would not end.
    #[error(
        "the parts of the pickle refer to each other far more often than a checkpoint's do, at '{path}'; hostile"
    )]
    TooMany {
        /// Where.
        path: String,
    },
    /// The storages after the pickles of an old file.
    #[error(
        "storage '{key}' at byte {at}: {needed} bytes are needed, there are {available}; copy or download it again"
    )]
    Stream {
        /// Key of the storage.
        key: String,
        /// Offset in the file.
        at: usize,
        /// Bytes, or `too many`.
        needed: String,
        /// Bytes left.
        available: usize,
    },
    /// The list of storages in an old file is not one, or does not fit the tensors.
    #[error("the list of storages is damaged: {what}")]
    Keys {
        /// What is wrong.
        what: String,
    },
}

impl PytorchError {
    /// Whether bytes are wrong, and not only of a kind that is not read.
    pub(super) fn is_damage(&self) -> bool {
        matches!(
            self,
            PytorchError::Archive(_) | PytorchError::Pickle { .. } | PytorchError::Tensor { .. }
        )
    }
}

fn fail(file: &str, error: PytorchError) -> FormatError {
    FormatError::Pytorch {
        file: file.to_string(),
        error: Box::new(error),
    }
}

/// Lists the tensors of a file.
pub(super) fn contents(file: &str, stem: &str, blob: &Blob) -> Result<Contents, FormatError> {
    let read = if blob.starts_with(b"PK") {
        from_archive(file, stem, blob)
    } else if is_legacy(blob) {
        legacy::contents(file, stem, blob)
    } else {
        let found = blob[..blob.len().min(8)].to_vec();
        Err(PytorchError::NotPytorch { found })
    };
    read.map_err(|error| fail(file, error))
}

fn from_archive(file: &str, stem: &str, blob: &Blob) -> Result<Contents, PytorchError> {
    let mut archive = Archive::open(blob).map_err(PytorchError::Archive)?;
    let members = archive.members().map_err(PytorchError::Archive)?;
    let mut pickles = members
        .keys()
        .filter(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
    let main = pickles.next().ok_or(PytorchError::NoPickle {
        members: members.len(),
    })?;
    if let Some(second) = pickles.next() {
        let mut both = [main.clone(), second.clone()];
        both.sort();
        let [first, second] = both;
        return Err(PytorchError::SeveralPickles { first, second });
    }
    let prefix = main.strip_suffix("data.pkl").unwrap_or(main).to_string();
    let small = |name: &str| {
        let member = members.get(name);
        let bytes = member.map(|member| archive.small(member));
        bytes.transpose().map_err(PytorchError::Archive)
    };
    if let Some((blob, range)) = small(&format!("{prefix}byteorder"))?
        && &blob[range.clone()] != b"little"
    {
        let order = &blob[range];
        let order = String::from_utf8_lossy(&order[..order.len().min(16)]).into_owned();
        return Err(PytorchError::ByteOrder { order });
    }
    let Some((bytes, range)) = small(main)? else {
        let members = members.len();
        return Err(PytorchError::NoPickle { members });
    };
    let member = main.clone();
    let pickle =
        Pickle::read(&bytes[range]).map_err(|error| PytorchError::Pickle { member, error })?;
    let findings = walk::walk(&pickle)?;
    let storages = Storages::Archive {
        archive: Arc::new(archive),
        prefix,
        members: members.into_iter().map(|(k, m)| (k, Arc::new(m))).collect(),
    };
    listed(file, stem, &storages, findings)
}

/// The entries, and a remark on what was not called; an error if that is all there is.
fn listed(
    file: &str,
    stem: &str,
    storages: &Storages,
    mut findings: Findings,
) -> Result<Contents, PytorchError> {
    let uncalled = std::mem::take(&mut findings.uncalled);
    let entries = walk::entries(file, stem, storages, findings)?;
    if entries.is_empty() {
        return Err(match uncalled.into_keys().next() {
            Some(global) => PytorchError::NeedsCode { global },
            None => PytorchError::NoTensors,
        });
    }
    let mut notes = Vec::new();
    if !uncalled.is_empty() {
        const SHOWN: usize = 3;
        let names: Vec<&str> = uncalled.keys().take(SHOWN).map(String::as_str).collect();
        let more = match uncalled.len().saturating_sub(SHOWN) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        notes.push(format!(
            "{file}: the pickle would call {}{more}, which Isometer does not do; tensors beside that are read",
            names.join(", ")
        ));
    }
    Ok(Contents {
        entries,
        notes,
        ..Contents::default()
    })
}
