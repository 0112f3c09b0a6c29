//! Files that are written whole or not at all, and small ones that are read.

use anyhow::Context;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// Writes beside the target and renames, so that no reader ever sees half a file: afterwards either
/// the whole new one is there or the old one is. A device or pipe is written as it stands.
///
/// # Errors
/// Whatever writing meets, with the path and what to do.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let written = match fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        // renaming onto it would replace the device by a file
        Ok(there) if !there.is_file() => File::options()
            .write(true)
            .open(path)
            .and_then(|mut device| device.write_all(bytes)),
        _ => write_beside(path, bytes),
    };
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // a link keeps pointing where it does: what it names is replaced
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    // short and of its own, since the name may be as long as names can be
    let part = target.with_file_name(format!(".isometer.{}.part", std::process::id()));
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&part, &target));
    if moved.is_err() {
        // Best effort: the error that matters is the one above.
        let _ = fs::remove_file(&part);
    }
    moved
}

/// Longest file of words that is read: descriptions of networks and adapters are a few kilobytes.
const LONGEST: u64 = 1 << 20;

/// Reads a small text file, and never without end: not from a device, not from the wrong file.
///
/// # Errors
/// Whatever reading meets, or a file that is too long to be a description.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(LONGEST + 1)
        .read_to_string(&mut text)?;
    match text.len() as u64 > LONGEST {
        false => Ok(text),
        true => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("longer than {LONGEST} bytes, which no description is"),
        )),
    }
}
