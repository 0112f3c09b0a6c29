//! What a run ends with: the document, the exit code, and how errors map to both.

use super::sources::SourceError;

/// Exit codes, a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Nothing to report.
    Fine = 0,
    /// A threshold crossed, a broken checkpoint.
    Finding = 1,
    /// Usage, unreadable or unusable input.
    Refused = 2,
}

/// What a command hands back: bytes for stdout and the code.
pub struct Outcome {
    /// Bytes for stdout.
    pub document: Vec<u8>,
    /// The exit code.
    pub exit: Exit,
}

/// Input that is readable and well-formed but cannot be used for what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);

/// A flag whose value clap cannot judge.
#[derive(Debug, thiserror::Error)]
#[error("{flag}: {message}")]
pub struct BadFlag {
    /// The flag as typed.
    pub flag: &'static str,
    /// What is wrong with its value and what to write.
    pub message: String,
}

/// An error as scripts see it.
pub struct Refusal {
    /// One word for scripts.
    pub kind: &'static str,
    /// The chain of causes, outermost first.
    pub message: String,
}

impl Refusal {
    /// Maps any error of a command to its word; every one of them exits with code 2.
    pub fn of(error: &anyhow::Error) -> Refusal {
        let kind = error
            .chain()
            .find_map(|cause| {
                if cause.is::<BadFlag>() {
                    Some("usage")
                } else if cause.is::<Unusable>() {
                    Some("unusable-input")
                } else {
                    cause.downcast_ref::<SourceError>().map(SourceError::kind)
                }
            })
            .unwrap_or("io");
        Refusal {
            kind,
            message: format!("{error:#}"),
        }
    }
}

/// The message of a clap error without its `error: ` prefix, usage line and hints for terminals.
pub fn first_paragraph(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    text.split("\n\nUsage:")
        .next()
        .unwrap_or(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
