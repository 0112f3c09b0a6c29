//! Files that are written whole or not at all, and small ones that are read.

use super::exit::BadFlag;
use anyhow::Context;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What can be refused before anything is computed: no such directory, a directory in the way, no right to write.
///
/// # Errors
/// [`BadFlag`] with the flag named.
pub fn check(flag: &'static str, out: &Path) -> Result<(), BadFlag> {
    let refuse = |message: String| Err(BadFlag { flag, message });
    let directory = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return refuse(format!(
            "there is no directory {}; create it first",
            directory.display()
        ));
    }
    match fs::metadata(out) {
        Ok(there) if there.is_dir() => return refuse(format!("{} is a directory", out.display())),
        // a device is written as it stands
        Ok(there) if !there.is_file() => return Ok(()),
        _ => {}
    }
    let part = part(out);
    if let Err(e) = File::create(&part).and_then(|_| fs::remove_file(&part)) {
        return refuse(format!("cannot write {}: {e}", out.display()));
    }
    Ok(())
}

/// The unfinished file: a short name of its own, since the name may be as long as names can be.
fn part(target: &Path) -> PathBuf {
    target.with_file_name(format!(".isometer.{}.part", std::process::id()))
}

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
    let part = part(&target);
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
