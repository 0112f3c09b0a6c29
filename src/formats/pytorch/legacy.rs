//! The stream that `torch.save` wrote before 1.6: pickles (magic number, version, machine, the
//! object, the keys of its storages), then for each key a 64-bit count and the numbers.

use super::pickle::{Node, Pickle, Value};
use super::storage::Storages;
use super::walk;
use super::{PytorchError, listed};
use crate::formats::mmap::Blob;
use crate::formats::safetensors::Contents;
use std::collections::HashMap;

/// 0x1950a86a20f9469cfc6c as a pickled integer of ten bytes.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// Whether the first bytes pickle the magic number; protocol 4 puts a frame before it.
pub(in crate::formats) fn is_legacy(first: &[u8]) -> bool {
    const WITHIN: usize = 32;
    let start = &first[..first.len().min(WITHIN)];
    matches!(start, [0x80, 2..=5, ..]) && start.windows(MAGIC.len()).any(|w| w == MAGIC)
}

pub(super) fn contents(file: &str, stem: &str, blob: &Blob) -> Result<Contents, PytorchError> {
    let mut at = 0;
    let mut next = |member: &'static str| {
        let pickle = Pickle::read(&blob[at..]).map_err(|error| PytorchError::Pickle {
            member: format!("{member} (from byte {at})"),
            error,
        })?;
        at += pickle.end;
        Ok(pickle)
    };
    for member in ["magic number", "version", "machine"] {
        next(member)?;
    }
    let main = next("pickle")?;
    let keys = next("list of storages")?;
    let findings = walk::walk(&main)?;
    // Of all storages, also those of tensors that are not read: the count alone does not say how
    // many bytes follow.
    let mut items: HashMap<String, usize> = HashMap::new();
    for (key, item) in main
        .persistent_ids()
        .filter_map(|id| walk::stored(&main, id))
    {
        let known = *items.entry(key.clone()).or_insert(item);
        if known != item {
            return Err(PytorchError::Keys {
                what: format!("storage '{key}' has two types"),
            });
        }
    }
    drop(main);

    let mut parts = HashMap::new();
    for key in listed_keys(&keys)? {
        let available = blob.len() - at;
        let short = |needed: Option<usize>| PytorchError::Stream {
            key: key.clone(),
            at,
            needed: needed.map_or_else(|| "too many".to_string(), |n| n.to_string()),
            available,
        };
        let Some(&count) = blob[at..].first_chunk::<8>() else {
            return Err(short(Some(8)));
        };
        let Some(item) = items.get(&key) else {
            return Err(PytorchError::Keys {
                what: format!("nothing says what storage '{key}' consists of"),
            });
        };
        let needed = usize::try_from(i64::from_le_bytes(count)).ok();
        let needed = needed.and_then(|n| n.checked_mul(*item)?.checked_add(8));
        match needed {
            Some(n) if n <= available => {
                parts.insert(key, at + 8..at + n);
                at += n;
            }
            _ => return Err(short(needed)),
        }
    }
    let storages = Storages::Stream {
        blob: blob.clone(),
        parts,
    };
    listed(file, stem, &storages, findings)
}

fn listed_keys(pickle: &Pickle<'_>) -> Result<Vec<String>, PytorchError> {
    let damaged = |what: &str| PytorchError::Keys {
        what: what.to_string(),
    };
    let Some(Node::List(keys)) = pickle.node(pickle.root) else {
        return Err(damaged("it is no list"));
    };
    let key = |value: &Value| match value {
        Value::Int(n) => Some(n.to_string()),
        other => pickle.text(*other),
    };
    let keys: Option<Vec<String>> = keys.iter().map(key).collect();
    keys.ok_or_else(|| damaged("a key is no text"))
}
