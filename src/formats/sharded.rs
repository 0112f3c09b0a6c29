//! A checkpoint in several files, described by a `*.safetensors.index.json` or, for PyTorch's own
//! format, a `*.bin.index.json`.

use super::mmap::Blob;
use super::safetensors::Contents;
use super::skip::SkipReason;
use super::{FormatError, file_contents};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::{Component, Path};

/// What is wrong with an index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Not JSON, or without a `weight_map` of strings.
    #[error("not an index of shards: {message}; copy or download it again")]
    Json {
        /// What is wrong.
        message: String,
    },
    /// Nothing is listed.
    #[error("the weight_map is empty; there is nothing to read")]
    NoTensors,
    /// A shard outside the directory of the index.
    #[error(
        "tensor '{tensor}' is mapped to '{shard}', which is outside the directory of the index; such paths are not followed"
    )]
    Outside {
        /// Name of the tensor.
        tensor: String,
        /// The shard as written.
        shard: String,
    },
    /// A shard that is not there.
    #[error(
        "shard '{shard}', which holds '{tensor}' and {others} other tensors, is missing; download it too"
    )]
    MissingShard {
        /// The shard.
        shard: String,
        /// One of its tensors.
        tensor: String,
        /// How many more tensors are mapped to it.
        others: usize,
    },
    /// A tensor that its shard does not hold.
    #[error(
        "tensor '{tensor}' is mapped to shard '{shard}', which does not hold it among its {present} tensors; the files are of different versions"
    )]
    MissingTensor {
        /// Name of the tensor.
        tensor: String,
        /// The shard.
        shard: String,
        /// How many tensors the shard holds.
        present: usize,
    },
}

/// What the shards of an index are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shards {
    Safetensors,
    Pytorch,
}

/// Whether the name is that of an index, and of what.
pub(super) fn index_of(path: &Path) -> Option<Shards> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".index.json")?;
    match stem.rsplit_once('.')?.1 {
        "safetensors" => Some(Shards::Safetensors),
        "bin" | "pt" | "pth" => Some(Shards::Pytorch),
        _ => None,
    }
}

/// The tensors of all shards, shard after shard in the order of the index.
pub(super) fn contents(path: &Path) -> Result<Contents, FormatError> {
    let file = path.display().to_string();
    let blob = Blob::open(path).map_err(|e| FormatError::io(&file, e))?;
    if blob.is_empty() {
        return Err(FormatError::EmptyFile { file });
    }
    let fail = |error| FormatError::Index {
        file: file.clone(),
        error: Box::new(error),
    };
    let map = weight_map(&blob).map_err(fail)?;
    let mut shards: Vec<&str> = Vec::new();
    let mut tensors: HashMap<&str, Vec<&str>> = HashMap::new();
    for (tensor, shard) in &map {
        let plain = Path::new(shard)
            .components()
            .all(|c| matches!(c, Component::Normal(_)));
        if !plain || shard.is_empty() {
            return Err(fail(IndexError::Outside {
                tensor: tensor.clone(),
                shard: shard.clone(),
            }));
        }
        let listed = tensors.entry(shard).or_default();
        if listed.is_empty() {
            shards.push(shard);
        }
        listed.push(tensor);
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut all = Contents::default();
    for shard in shards {
        let wanted = &tensors[shard];
        let at = directory.join(shard);
        if !at.exists() {
            return Err(fail(IndexError::MissingShard {
                shard: shard.to_string(),
                tensor: wanted[0].to_string(),
                others: wanted.len() - 1,
            }));
        }
        let mut found = file_contents(&at)?;
        let present: HashSet<&str> = found.entries.iter().map(|e| e.stored_name()).collect();
        if let Some(tensor) = wanted.iter().find(|t| !present.contains(*t)) {
            return Err(fail(IndexError::MissingTensor {
                tensor: tensor.to_string(),
                shard: shard.to_string(),
                present: present.len(),
            }));
        }
        let wanted: HashSet<&str> = wanted.iter().copied().collect();
        for entry in &mut found.entries {
            if !wanted.contains(entry.stored_name()) {
                *entry = entry.clone().skipped(SkipReason::NotIndexed);
            }
        }
        all.append(found);
    }
    Ok(all)
}

/// Pairs (tensor, shard) in file order.
fn weight_map(bytes: &[u8]) -> Result<Vec<(String, String)>, IndexError> {
    let json = |message: String| IndexError::Json { message };
    let index: Value = serde_json::from_slice(bytes).map_err(|e| json(e.to_string()))?;
    let map = index
        .get("weight_map")
        .and_then(Value::as_object)
        .ok_or_else(|| json("no object named weight_map".to_string()))?;
    if map.is_empty() {
        return Err(IndexError::NoTensors);
    }
    map.iter()
        .map(|(tensor, shard)| match shard.as_str() {
            Some(shard) => Ok((tensor.clone(), shard.to_string())),
            None => Err(json(format!("weight_map['{tensor}'] is not a file name"))),
        })
        .collect()
}
