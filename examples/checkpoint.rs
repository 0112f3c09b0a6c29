//! The worst-conditioned matrix of a checkpoint, read without copying.
//!
//!     cargo run --example checkpoint

use isometer::formats::{Content, Source, open};
use isometer::linalg::condition::{ConditionOptions, condition};

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/checkpoints/silero_vad_16k.safetensors"
    );
    let checkpoint = open(&Source::path(path))?;
    let mut worst: Option<(String, f64)> = None;
    for (i, entry) in checkpoint.entries().iter().enumerate() {
        if !matches!(entry.content(), Content::Readable(_)) {
            continue;
        }
        let tensor = checkpoint.load(i)?;
        let c = condition(&tensor.matrix()?, &ConditionOptions::default())?;
        let log10 = c.cond.enclosure.value().log10();
        if worst.as_ref().is_none_or(|(_, w)| log10 > *w) {
            worst = Some((entry.name().to_string(), log10));
        }
    }
    let (name, log10) = worst.ok_or("no matrix in the file")?;
    println!("{name}: log10 kappa = {log10}");
    assert_eq!(
        log10,
        f64::INFINITY,
        "one matrix of this file is exactly singular"
    );
    Ok(())
}
