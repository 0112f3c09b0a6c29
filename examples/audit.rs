//! An audit of a checkpoint from code: which layers are out of line, and by how much.
//!
//!     cargo run --example audit [FILE]

use isometer::audit::checkpoint::{AuditOptions, Unobserved, audit, subjects};
use isometer::formats::{Source, open};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1);
    let file = file
        .as_deref()
        .unwrap_or("tests/data/checkpoints/silero_vad_16k.safetensors");
    let checkpoint = open(&Source::parse(file))?;
    let labels: Vec<String> = checkpoint
        .entries()
        .iter()
        .map(|e| e.stored_name().into())
        .collect();
    let found = audit(
        &subjects(&checkpoint, &labels),
        &AuditOptions::default(),
        &Unobserved,
    );
    for t in &found.tensors {
        for part in &t.parts {
            let (kappa, _, _) = part
                .cond
                .and_then(|c| c.enclosure.to_linear())
                .unwrap_or_default();
            let name = part.name.unwrap_or("");
            println!(
                "{:22} {name:7} {:12} kappa {kappa:9.3e}",
                t.label,
                t.role.as_str()
            );
        }
    }
    for finding in &found.findings {
        println!(
            "{}: {} ({})",
            finding.tensor,
            finding.message,
            finding.remedy()
        );
    }
    Ok(())
}
