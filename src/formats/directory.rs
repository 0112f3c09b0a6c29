//! A directory as one checkpoint: its index of shards if it has one, otherwise all its files.

use super::safetensors::Contents;
use super::sharded::Shards;
use super::{Entry, FormatError, PytorchError, file_contents, sharded};
use std::collections::{HashMap, HashSet};
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
    let index_of = |shards| {
        files
            .iter()
            .filter(move |p| sharded::index_of(p) == Some(shards))
    };
    let indices: Vec<&PathBuf> = index_of(Shards::Safetensors).collect();
    match indices[..] {
        [] => {}
        [index] => {
            let mut all = sharded::contents(index)?;
            for other in index_of(Shards::Pytorch) {
                all.notes
                    .push(left_out(other, &index.display().to_string()));
            }
            return Ok(all);
        }
        _ => return Err(ambiguous(name, &indices)),
    }
    let indices: Vec<&PathBuf> = index_of(Shards::Pytorch).collect();
    let has_safetensors = files.iter().any(|p| has_extension(p, &[".safetensors"]));
    match indices[..] {
        [] => {}
        [index] if !has_safetensors => return sharded::contents(index),
        [_] => {}
        _ => return Err(ambiguous(name, &indices)),
    }
    let mut all = Contents::default();
    for path in files.iter().filter(|p| has_extension(p, &TENSORS)) {
        all.append(file_contents(path)?);
    }
    let mut refused = None;
    // Pickles last, to see which of them only repeat a safer file.
    let safe = Safe::of(&all);
    for path in files.iter().filter(|p| has_extension(p, &PICKLES)) {
        match file_contents(path) {
            Err(e) if is_no_checkpoint(&e) => {
                all.notes.push(format!("left out: {e}"));
                refused = Some(e);
            }
            Err(e) => return Err(e),
            Ok(found) => match safe.twin(&found) {
                Some(twin) => all.notes.push(left_out(path, twin)),
                None => all.append(found),
            },
        }
    }
    let found_any = files
        .iter()
        .any(|p| has_extension(p, &TENSORS) || has_extension(p, &PICKLES));
    match refused {
        Some(e) if all.entries.is_empty() => Err(e),
        None if !found_any => Err(FormatError::EmptyDirectory { dir: name }),
        _ => Ok(all),
    }
}

/// The tensors of safetensors files: names and shapes, and the files that hold them.
struct Safe(HashMap<(String, Vec<usize>), String>);

impl Safe {
    fn of(all: &Contents) -> Safe {
        let is_safe = |e: &&Entry| has_extension(Path::new(e.file()), &[".safetensors"]);
        let pair = |e: &Entry| (key(e), e.file().to_string());
        Safe(all.entries.iter().filter(is_safe).map(pair).collect())
    }

    /// A file that holds the same tensors. Of tied ones safetensors keep only one.
    fn twin(&self, found: &Contents) -> Option<&str> {
        let known: Vec<Option<&String>> =
            found.entries.iter().map(|e| self.0.get(&key(e))).collect();
        let pairs = || found.entries.iter().zip(&known);
        let stored: HashSet<(&str, u64)> = pairs()
            .filter(|(_, twin)| twin.is_some())
            .filter_map(|(e, _)| e.storage())
            .collect();
        let repeated = pairs().all(|(e, twin)| {
            twin.is_some() || e.storage().is_some_and(|place| stored.contains(&place))
        });
        match repeated {
            true => known.iter().flatten().next().map(|file| file.as_str()),
            false => None,
        }
    }
}

fn key(entry: &Entry) -> (String, Vec<usize>) {
    (entry.stored_name().to_string(), entry.shape().to_vec())
}

fn ambiguous(dir: String, indices: &[&PathBuf]) -> FormatError {
    let names: Vec<String> = indices.iter().map(|p| p.display().to_string()).collect();
    FormatError::AmbiguousIndex {
        dir,
        candidates: names.join(", "),
    }
}

fn left_out(path: &Path, twin: &str) -> String {
    format!(
        "left out: {}, whose tensors are those of {twin}",
        path.display()
    )
}

/// Whether a file that only looks like a checkpoint is refused: arguments and tokenizers are
/// pickled beside models under the same extensions. A damaged checkpoint is not among these.
fn is_no_checkpoint(error: &FormatError) -> bool {
    match error {
        FormatError::Pytorch { error, .. } => matches!(
            **error,
            PytorchError::NeedsCode { .. }
                | PytorchError::NoTensors
                | PytorchError::NotPytorch { .. }
        ),
        FormatError::EmptyFile { .. } | FormatError::Unsupported { .. } => true,
        _ => false,
    }
}

const PICKLES: [&str; 4] = [".pt", ".pth", ".bin", ".ckpt"];
const TENSORS: [&str; 6] = [".safetensors", ".npy", ".npz", ".mtx", ".gguf", ".onnx"];

/// Text files are left out: in a checkpoint they are notes and logs.
fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    extensions.iter().any(|extension| name.ends_with(extension))
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
