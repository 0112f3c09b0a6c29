//! An audit of a checkpoint from code: which layers are out of line, and by how much.
//!
//!     cargo run --example audit

use isometer::audit::checkpoint::{AuditOptions, Unobserved, audit, subjects};
use isometer::formats::{Source, open};

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = "tests/data/checkpoints/silero_vad_16k.safetensors";
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
    // the short-time Fourier transform of this voice detector has two rows of zeros
    assert!(
        found
            .findings
            .iter()
            .any(|f| f.rule == "singular" && f.tensor == "stft_conv.weight")
    );
    Ok(())
}
