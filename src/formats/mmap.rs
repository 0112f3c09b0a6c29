//! The bytes of a whole file, mapped or in memory. The only `unsafe` code of the crate.

use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

/// Most bytes read from a pipe: an endless one must not fill the memory.
const LONGEST_STREAM: u64 = 1 << 34;

/// Shared, immutable bytes; clones share them.
#[derive(Clone)]
pub(super) struct Blob(Arc<Bytes>);

enum Bytes {
    Mapped(memmap2::Mmap),
    Memory(Vec<u8>),
}

impl Blob {
    /// Maps a regular file without reading it. Pipes, which cannot be mapped, are read to their
    /// end; devices, which may have none, are refused.
    pub(super) fn open(path: &Path) -> io::Result<Blob> {
        let mut file = File::open(path)?;
        let info = file.metadata()?;
        if is_device(&info) {
            let message = "a device, not a file; pipe what it gives into isometer COMMAND -";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if info.is_file() && info.len() > 0 {
            return Ok(Blob(Arc::new(Bytes::Mapped(map(&file)?))));
        }
        Blob::read(&mut file)
    }

    /// Reads a stream to its end, which must come within [`LONGEST_STREAM`] bytes.
    pub(super) fn read(stream: &mut dyn Read) -> io::Result<Blob> {
        let mut bytes = Vec::new();
        if stream.take(LONGEST_STREAM + 1).read_to_end(&mut bytes)? as u64 > LONGEST_STREAM {
            let message = format!("the stream is longer than {LONGEST_STREAM} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(Blob::from_vec(bytes))
    }

    pub(super) fn from_vec(bytes: Vec<u8>) -> Blob {
        Blob(Arc::new(Bytes::Memory(bytes)))
    }

    /// Lets the system take back the memory behind a range that was read from a mapped file; it is read again
    /// if it is asked for again. Without it, pages of a file larger than the memory would push out everything else.
    pub(super) fn release(&self, range: &Range<usize>) {
        if let Bytes::Mapped(m) = &*self.0 {
            forget(m, range);
        }
    }

    pub(super) fn is_gzip(&self) -> bool {
        self.starts_with(&[0x1f, 0x8b])
    }

    /// A stream of the content, decompressed as it is read if the bytes are gzip.
    pub(super) fn reader(&self) -> Box<dyn BufRead> {
        let cursor = Cursor::new(self.clone());
        if self.is_gzip() {
            Box::new(BufReader::new(MultiGzDecoder::new(cursor)))
        } else {
            Box::new(cursor)
        }
    }
}

#[cfg(unix)]
fn is_device(info: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    info.file_type().is_char_device() || info.file_type().is_block_device()
}

#[cfg(not(unix))]
fn is_device(_: &std::fs::Metadata) -> bool {
    false
}

#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the mapping is private and read-only, lives as long as the `Blob` that owns it, and
    // is only lent out as `&[u8]` bounded by that owner, so no Rust code can write to it or outlive
    // it. What Rust cannot rule out is another process changing the file meanwhile: every bit
    // pattern is a valid `u8` and numbers are decoded from bytes on each read, so changed content
    // gives wrong numbers but no invalid values in safe code; a file that is *shortened* while
    // mapped makes the kernel end the process with SIGBUS. That is the risk of the user who edits
    // a checkpoint while it is being measured, and the documentation of `formats` says so.
    unsafe { memmap2::Mmap::map(file) }
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn forget(m: &memmap2::Mmap, range: &Range<usize>) {
    let length = range.end.min(m.len()).saturating_sub(range.start);
    if length == 0 {
        return;
    }
    // SAFETY: MADV_DONTNEED loses what was written to private pages and nothing else. This mapping is read-only and backed by the
    // file, so that the next access finds the bytes of the file again, under the same assumption that `map` makes: a
    // reference into the range stays valid. The range lies inside the mapping.
    let advised = unsafe {
        m.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, length)
    };
    // advice that is not taken costs memory, not correctness
    let _ = advised;
}

#[cfg(not(unix))]
fn forget(_: &memmap2::Mmap, _: &Range<usize>) {}

impl Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &*self.0 {
            Bytes::Mapped(m) => m,
            Bytes::Memory(v) => v,
        }
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
