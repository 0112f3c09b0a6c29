//! Members of a zip archive by name: in place if they are stored, decompressed within limits if not.

use super::mmap::Blob;
use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::ops::Range;
use zip::{CompressionMethod, ZipArchive, result::ZipError};

/// Deflate expands each byte to at most 1032: more is not deflate but a lie about the size.
pub(super) const LARGEST_RATIO: u64 = 1032;

/// What is wrong with a zip archive or a member of it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The zip directory cannot be read.
    #[error(
        "not a complete zip archive ({error}); the end is missing if a copy or download was cut short"
    )]
    Directory {
        /// What the zip library said.
        error: ZipError,
    },
    /// The directory lists a name twice, so that a name does not tell which member is meant.
    #[error("the archive lists the same member name more than once; write it again")]
    DuplicateNames,
    /// A member cannot be found where the directory says, or not be decompressed.
    #[error("{member}: cannot be read ({error}); copy or download it again")]
    Unreadable {
        /// Name of the member, or its position in the directory.
        member: String,
        /// What the zip library said.
        error: ZipError,
    },
    /// A member that needs a password or another decompressor.
    #[error(
        "{member}: {what}; write the archive with stored or deflated members, without a password"
    )]
    Method {
        /// Name of the member.
        member: String,
        /// `encrypted`, or the method.
        what: String,
    },
    /// A member that ends beyond the file, or is shorter than the directory says.
    #[error(
        "{member}: truncated: {needed} bytes are needed, there are {available}; copy or download it again"
    )]
    Truncated {
        /// Name of the member.
        member: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes there are.
        available: u64,
    },
    /// More output than deflate can make from the input.
    #[error(
        "{member}: {compressed} compressed bytes cannot hold the {declared} that the archive declares; damaged or hostile"
    )]
    Ratio {
        /// Name of the member.
        member: String,
        /// Compressed bytes.
        compressed: u64,
        /// Uncompressed bytes by the directory.
        declared: u64,
    },
    /// A member that has to be held in memory and is far larger than the archive.
    #[error("{member}: {declared} bytes in an archive of {archive}; hostile, or not what it seems")]
    TooLarge {
        /// Name of the member.
        member: String,
        /// Uncompressed bytes.
        declared: u64,
        /// Bytes of the archive.
        archive: u64,
    },
    /// The bytes are not those that were written.
    #[error(
        "{member}: checksum {found:08x}, the archive says {expected:08x}; copy or download it again"
    )]
    Checksum {
        /// Name of the member.
        member: String,
        /// CRC-32 of the bytes.
        found: u32,
        /// CRC-32 in the directory.
        expected: u32,
    },
}

/// A zip archive and its members.
#[derive(Clone)]
pub(super) struct Archive {
    blob: Blob,
    zip: ZipArchive<Cursor<Blob>>,
}

/// A file of the archive.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Uncompressed bytes.
    pub(super) size: usize,
    /// Where the bytes lie if they are not compressed.
    pub(super) stored_at: Option<usize>,
    index: usize,
    crc32: u32,
}

/// Whether a zip archive is one of `torch.save` or of TorchScript: only these have a `data.pkl`.
/// A damaged archive is not.
pub(super) fn is_pytorch(blob: &Blob) -> bool {
    ZipArchive::new(Cursor::new(blob.clone())).is_ok_and(|zip| {
        zip.file_names()
            .flatten()
            .any(|name| name == "data.pkl" || name.ends_with("/data.pkl"))
    })
}

impl Archive {
    /// Reads the directory.
    pub(super) fn open(blob: &Blob) -> Result<Archive, ArchiveError> {
        let zip = ZipArchive::new(Cursor::new(blob.clone()))
            .map_err(|error| ArchiveError::Directory { error })?;
        if zip.has_duplicate_names() {
            return Err(ArchiveError::DuplicateNames);
        }
        Ok(Archive {
            blob: blob.clone(),
            zip,
        })
    }

    pub(super) fn blob(&self) -> &Blob {
        &self.blob
    }

    /// The members that are files, by name.
    pub(super) fn members(&mut self) -> Result<HashMap<String, Member>, ArchiveError> {
        let mut members = HashMap::new();
        for index in 0..self.zip.len() {
            let member = self.member(index)?;
            members.insert(member.name.clone(), member);
        }
        Ok(members)
    }

    fn member(&mut self, index: usize) -> Result<Member, ArchiveError> {
        let entry = self
            .zip
            .by_index_raw(index)
            .map_err(|error| ArchiveError::Unreadable {
                member: format!("member {index}"),
                error,
            })?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let method = entry.compression();
        let what = match method {
            _ if entry.encrypted() => Some("encrypted".to_string()),
            CompressionMethod::Stored | CompressionMethod::Deflated => None,
            other => Some(format!("compressed by {other}")),
        };
        if let Some(what) = what {
            return Err(ArchiveError::Method { member: name, what });
        }
        let (declared, compressed) = (entry.size(), entry.compressed_size());
        let stored = method == CompressionMethod::Stored;
        if declared > compressed.saturating_mul(LARGEST_RATIO) || stored && declared != compressed {
            return Err(ArchiveError::Ratio {
                member: name,
                compressed,
                declared,
            });
        }
        let start = entry.data_start();
        let available = self.blob.len() as u64;
        let needed = start.unwrap_or(0).saturating_add(compressed);
        if needed > available {
            return Err(ArchiveError::Truncated {
                member: name,
                needed,
                available,
            });
        }
        Ok(Member {
            name,
            size: usize::try_from(declared).unwrap_or(usize::MAX),
            stored_at: start.filter(|_| stored).map(|at| at as usize),
            index,
            crc32: entry.crc32(),
        })
    }

    /// The bytes of a member that a reader holds in memory: refused if they are out of proportion
    /// to the archive.
    pub(super) fn small(&self, member: &Member) -> Result<(Blob, Range<usize>), ArchiveError> {
        /// Compressed text of this size is ordinary whatever the rest of the archive.
        const ORDINARY: usize = 1 << 22;
        if member.size > ORDINARY.max(self.blob.len().saturating_mul(4)) {
            return Err(ArchiveError::TooLarge {
                member: member.name.clone(),
                declared: member.size as u64,
                archive: self.blob.len() as u64,
            });
        }
        self.bytes(member)
    }

    /// The bytes of a member, checked against their checksum.
    pub(super) fn bytes(&self, member: &Member) -> Result<(Blob, Range<usize>), ArchiveError> {
        if let Some(at) = member.stored_at {
            let range = at..at + member.size;
            member.check(&self.blob[range.clone()])?;
            return Ok((self.blob.clone(), range));
        }
        let unreadable = |error| ArchiveError::Unreadable {
            member: member.name.clone(),
            error,
        };
        // A clone shares the directory and the bytes; only the position is its own.
        let mut zip = self.zip.clone();
        let reader = zip.by_index(member.index).map_err(unreadable)?;
        // Memory grows with what arrives and not with what the directory claims.
        let mut bytes = Vec::new();
        reader
            .take(member.size as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| unreadable(ZipError::Io(e)))?;
        if bytes.len() != member.size {
            return Err(ArchiveError::Truncated {
                member: member.name.clone(),
                needed: member.size as u64,
                available: bytes.len() as u64,
            });
        }
        member.check(&bytes)?;
        let range = 0..bytes.len();
        Ok((Blob::from_vec(bytes), range))
    }
}

impl Member {
    /// Whether the directory has a checksum: PyTorch can be told not to compute any.
    pub(super) fn needs_check(&self) -> bool {
        self.crc32 != 0
    }

    fn check(&self, bytes: &[u8]) -> Result<(), ArchiveError> {
        if !self.needs_check() {
            return Ok(());
        }
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        if crc.sum() != self.crc32 {
            return Err(ArchiveError::Checksum {
                member: self.name.clone(),
                found: crc.sum(),
                expected: self.crc32,
            });
        }
        Ok(())
    }
}
