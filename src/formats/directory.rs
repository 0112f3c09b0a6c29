//! A directory as one checkpoint: its safetensors index if it has one, otherwise all its files.

use super::safetensors::Contents;
use super::{FormatError, file_contents, sharded};
use std::path::{Path, PathBuf};

/// Lists the tensors of all files of a directory, not of its subdirectories.
pub(super) fn contents(dir: &Path) -> Result<Contents, FormatError> {
    let name = dir.display().to_string();
    let io = |e| FormatError::io(&name, e);
    let mut files = Vec::new();
    for item in std::fs::read_dir(dir).map_err(io)? {
        let path = item.map_err(io)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort_by_cached_key(|path| natural(path));
    let indices: Vec<&PathBuf> = files.iter().filter(|p| sharded::is_index(p)).collect();
    match indices[..] {
        [] => {}
        [index] => return sharded::contents(index),
        _ => {
            let names: Vec<String> = indices.iter().map(|p| p.display().to_string()).collect();
            return Err(FormatError::AmbiguousIndex {
                dir: name,
                candidates: names.join(", "),
            });
        }
    }
    files.retain(|path| is_tensor_file(path));
    if files.is_empty() {
        return Err(FormatError::EmptyDirectory { dir: name });
    }
    let mut all = Contents::default();
    for path in &files {
        all.append(file_contents(path)?);
    }
    Ok(all)
}

/// Text files are left out: in a checkpoint they are notes and logs.
fn is_tensor_file(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".safetensors", ".npy", ".npz", ".mtx"]
        .iter()
        .any(|extension| name.ends_with(extension))
}

/// Sorts `layer2` before `layer10`: runs of digits compare by value.
fn natural(path: &Path) -> (Vec<(String, Option<u64>)>, PathBuf) {
    let mut key = Vec::new();
    let (mut text, mut number) = (String::new(), None);
    for c in path.to_string_lossy().chars() {
        if let Some(d) = c.to_digit(10) {
            let n: u64 = number.unwrap_or(0);
            number = Some(n.saturating_mul(10).saturating_add(u64::from(d)));
            continue;
        }
        if number.is_some() {
            key.push((std::mem::take(&mut text), number.take()));
        }
        text.push(c);
    }
    key.push((text, number));
    (key, path.to_path_buf())
}
