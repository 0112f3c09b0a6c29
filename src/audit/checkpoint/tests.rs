//! Tests of the audit of a checkpoint.

use super::*;
use crate::formats::open_bytes;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Stops after some tensors.
struct Patience {
    left: AtomicUsize,
}

impl Observer for Patience {
    fn begin(&self, _: Pass, _: u64) {}
    fn advanced(&self, _: &str, _: u64) {
        let _ = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    }
    fn stopped(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

/// Three 2 x 2 identities.
fn file() -> Collection {
    let mut header = serde_json::Map::new();
    for k in 0..3 {
        let entry = serde_json::json!({"dtype": "F32", "shape": [2, 2], "data_offsets": [16 * k, 16 * k + 16]});
        header.insert(format!("w{k}"), entry);
    }
    let text = serde_json::Value::Object(header).to_string();
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.bytes());
    for _ in 0..3 {
        bytes.extend([1.0f32, 0.0, 0.0, 1.0].iter().flat_map(|x| x.to_le_bytes()));
    }
    open_bytes("i.safetensors", bytes).unwrap()
}

#[test]
fn what_is_finished_survives_an_interruption() {
    let collection = file();
    let labels: Vec<String> = (0..3).map(|k| format!("w{k}")).collect();
    let all = subjects(&collection, &labels);
    for (patience, read, measured) in [(2, 2, 0), (4, 3, 1), (100, 3, 3)] {
        let observer = Patience {
            left: AtomicUsize::new(patience),
        };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let found = pool.install(|| audit(&all, &AuditOptions::default(), &observer));
        assert_eq!(found.interrupted, patience < 6);
        assert_eq!(
            found.tensors.iter().filter(|t| t.entries.is_some()).count(),
            read
        );
        assert_eq!(
            found.tensors.iter().filter(|t| !t.parts.is_empty()).count(),
            measured
        );
    }
}
