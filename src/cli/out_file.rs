//! Files that a command writes besides its document: refused early, written whole or not at all.

use super::exit::BadFlag;
use anyhow::Context;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The directory that receives the file.
fn directory(out: &Path) -> &Path {
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// What can be refused before anything is computed: no such directory, a directory in the way, no right to write.
///
/// # Errors
/// [`BadFlag`] with the flag named.
pub fn check(flag: &'static str, out: &Path) -> Result<(), BadFlag> {
    let refuse = |message: String| Err(BadFlag { flag, message });
    let directory = directory(out);
    if !directory.is_dir() {
        return refuse(format!(
            "there is no directory {}; create it first",
            directory.display()
        ));
    }
    if out.is_dir() {
        return refuse(format!("{} is a directory", out.display()));
    }
    let part = part(out);
    if let Err(e) = File::create_new(&part).and_then(|_| fs::remove_file(&part)) {
        return refuse(format!("cannot write in {}: {e}", directory.display()));
    }
    Ok(())
}

/// Name of the unfinished file.
fn part(out: &Path) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    directory(out).join(format!(".{name}.{}.part", std::process::id()))
}

/// Writes beside the target and renames, so that no reader ever sees half a file.
///
/// # Errors
/// Whatever writing meets; the unfinished file is gone then.
pub fn write(out: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = part(out);
    let written = File::create_new(&part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, out));
    if written.is_err() {
        // nothing more can be done about a left-over if this fails too
        let _ = fs::remove_file(&part);
    }
    written.with_context(|| format!("cannot write {}", out.display()))
}
