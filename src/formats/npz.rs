//! NumPy's `.npz`: a zip archive with one `.npy` member for each array, stored or deflated.

use super::archive::LARGEST_RATIO;
use super::mmap::Blob;
use super::npy::{NpyError, read_exactly};
use super::npy_header::Header;
use super::skip::{Flat, SkipReason};
use super::tensor::{Loaded, Stored};
use super::{Entry, FormatError};
use std::io::Cursor;
use std::sync::Arc;
use zip::{CompressionMethod, ZipArchive, result::ZipError};

/// What is wrong with an npz archive.
#[derive(Debug, thiserror::Error)]
pub enum NpzError {
    /// The zip directory cannot be read.
    #[error(
        "not a complete zip archive ({error}); the end is missing if a copy or download was cut short"
    )]
    Archive {
        /// What the zip library said.
        error: ZipError,
    },
    /// The directory lists a name twice, so that a name does not tell which array is meant.
    #[error("the archive lists the same member name more than once; write it again")]
    DuplicateNames,
    /// No member is an array.
    #[error(
        "a zip archive of {members} members: none is an .npy array, and none the data.pkl of a PyTorch archive"
    )]
    NoArrays {
        /// Members there are.
        members: usize,
    },
    /// A member cannot be found where the directory says.
    #[error("member {index} of the archive cannot be read ({error}); copy or download it again")]
    Unreadable {
        /// Position in the directory.
        index: usize,
        /// What the zip library said.
        error: ZipError,
    },
    /// The member's npy data are damaged.
    #[error("{member}: {error}")]
    Member {
        /// Name of the member.
        member: String,
        /// What is wrong.
        error: NpyError,
    },
    /// The directory and the npy header disagree about the size.
    #[error(
        "{member}: the archive declares {declared} bytes, its npy header needs {needed}; one of them is damaged"
    )]
    Size {
        /// Name of the member.
        member: String,
        /// Uncompressed bytes by the directory.
        declared: u64,
        /// Bytes by the npy header.
        needed: u64,
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
    /// The stored bytes are not those that were written.
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

type Zip = ZipArchive<Cursor<Blob>>;

/// One array of an archive.
struct Member {
    file: String,
    blob: Blob,
    zip: Zip,
    index: usize,
    name: String,
    header: Header,
    flat: Flat,
    /// Where the npy bytes lie if they are not compressed.
    stored_at: Option<usize>,
    crc32: u32,
}

/// Lists the members; of each, no more than the npy header is decompressed.
pub(super) fn entries(file: &str, blob: &Blob) -> Result<Vec<Entry>, FormatError> {
    list(file, blob).map_err(|error| FormatError::Npz {
        file: file.to_string(),
        error: Box::new(error),
    })
}

fn list(file: &str, blob: &Blob) -> Result<Vec<Entry>, NpzError> {
    let mut zip =
        Zip::new(Cursor::new(blob.clone())).map_err(|error| NpzError::Archive { error })?;
    if zip.has_duplicate_names() {
        return Err(NpzError::DuplicateNames);
    }
    let place: Arc<str> = file.into();
    let mut entries = Vec::with_capacity(zip.len());
    let mut arrays = 0;
    for index in 0..zip.len() {
        let member = zip
            .by_index_raw(index)
            .map_err(|error| NpzError::Unreadable { index, error })?;
        if member.is_dir() {
            continue;
        }
        let name = String::from_utf8_lossy(member.name_raw()).into_owned();
        let skip = |reason| Entry::member(file, &name, "-".to_string(), Vec::new()).skipped(reason);
        let Some(array) = name.strip_suffix(".npy").map(str::to_string) else {
            entries.push(skip(SkipReason::NotAnArray));
            continue;
        };
        arrays += 1;
        let method = member.compression();
        let unreadable = if member.encrypted() {
            Some(SkipReason::Encrypted)
        } else if !matches!(
            method,
            CompressionMethod::Stored | CompressionMethod::Deflated
        ) {
            let method = method.to_string();
            Some(SkipReason::Compression { method })
        } else {
            None
        };
        if let Some(reason) = unreadable {
            entries.push(skip(reason));
            continue;
        }
        let declared = member.size();
        let compressed = member.compressed_size();
        let stored = method == CompressionMethod::Stored;
        let crc32 = member.crc32();
        let data_start = member.data_start();
        drop(member);

        let fail = |error| NpzError::Member {
            member: name.clone(),
            error,
        };
        let mut reader = zip
            .by_index(index)
            .map_err(|error| NpzError::Unreadable { index, error })?;
        let header = Header::read(&mut reader).map_err(fail)?;
        drop(reader);
        if let Some(needed) = header.total_bytes().map_err(fail)? {
            let needed = needed as u64;
            if needed != declared {
                let member = name;
                return Err(NpzError::Size {
                    member,
                    declared,
                    needed,
                });
            }
        }
        if declared > compressed.saturating_mul(LARGEST_RATIO) || stored && declared != compressed {
            let member = name;
            return Err(NpzError::Ratio {
                member,
                compressed,
                declared,
            });
        }
        let stored_at = match data_start {
            Some(at) if stored => {
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                let end = at.saturating_add(declared as usize);
                if end > blob.len() {
                    return Err(fail(NpyError::Truncated {
                        part: "array",
                        needed: end as u64,
                        available: blob.len() as u64,
                    }));
                }
                Some(at)
            }
            _ => None,
        };
        let mut entry = Entry::member(file, &array, header.dtype.clone(), header.shape.clone());
        if let Some(total) = header.total_bytes().map_err(fail)? {
            entry = match stored_at {
                Some(at) => entry.stored_in(&place, at + header.start..at + total),
                None => entry.sized(total - header.start),
            };
        }
        entries.push(match header.element(true) {
            Err(reason) => entry.skipped(reason),
            Ok(element) => entry.numbers(element, |flat| Member {
                file: file.to_string(),
                blob: blob.clone(),
                zip: zip.clone(),
                index,
                name,
                header,
                flat,
                stored_at,
                crc32,
            }),
        });
    }
    if arrays == 0 {
        return Err(NpzError::NoArrays { members: zip.len() });
    }
    Ok(entries)
}

impl Stored for Member {
    fn load(&self) -> Result<Loaded, FormatError> {
        self.read().map_err(|error| FormatError::Npz {
            file: self.file.clone(),
            error: Box::new(error),
        })
    }
}

impl Member {
    fn read(&self) -> Result<Loaded, NpzError> {
        let fail = |error| NpzError::Member {
            member: self.name.clone(),
            error,
        };
        let total = self.header.total_bytes().map_err(fail)?.unwrap_or(0);
        if let Some(at) = self.stored_at {
            self.check(&self.blob[at..at + total])?;
            return self.header.decode(&self.blob, at, self.flat).map_err(fail);
        }
        // A clone shares the directory and the bytes; only the position is its own.
        let mut zip = self.zip.clone();
        let reader = zip
            .by_index(self.index)
            .map_err(|error| NpzError::Unreadable {
                index: self.index,
                error,
            })?;
        // The size was checked against the compressed bytes, so it may be reserved.
        let (bytes, more) = read_exactly(reader, total, total).map_err(fail)?;
        if more {
            return Err(NpzError::Size {
                member: self.name.clone(),
                declared: total as u64 + 1,
                needed: total as u64,
            });
        }
        self.check(&bytes)?;
        self.header
            .decode(&Blob::from_vec(bytes), 0, self.flat)
            .map_err(fail)
    }

    fn check(&self, bytes: &[u8]) -> Result<(), NpzError> {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        if crc.sum() != self.crc32 {
            return Err(NpzError::Checksum {
                member: self.name.clone(),
                found: crc.sum(),
                expected: self.crc32,
            });
        }
        Ok(())
    }
}
