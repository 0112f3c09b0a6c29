//! What names a matrix on the command line.

use super::tensor::RESHAPED;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where tensors come from: a file, one tensor of a file, a directory, or standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    place: Place,
    tensor: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Stdin,
    Path(PathBuf),
}

impl Source {
    /// A file or a directory, all its tensors.
    pub fn path(path: impl Into<PathBuf>) -> Source {
        Source {
            place: Place::Path(path.into()),
            tensor: None,
        }
    }

    /// One tensor of a file or directory.
    ///
    /// # Examples
    /// ```
    /// use isometer::formats::{Source, open};
    /// let name = "conv1.weight";
    /// let source = Source::tensor("tests/data/checkpoints/silero_vad_16k.safetensors", name);
    /// assert_eq!((source.tensor_name(), open(&source).unwrap().entries()[0].stored_name()), (Some(name), name));
    /// ```
    pub fn tensor(path: impl Into<PathBuf>, name: impl Into<String>) -> Source {
        Source {
            place: Place::Path(path.into()),
            tensor: Some(name.into()),
        }
    }

    /// Standard input.
    pub fn stdin() -> Source {
        Source {
            place: Place::Stdin,
            tensor: None,
        }
    }

    /// Reads `path`, `path::tensor`, or `-` (also `-::tensor`).
    ///
    /// Both paths and tensor names may contain `::`, so the file system decides: text that names
    /// something that exists is a path; otherwise the longest part before a `::` that exists is
    /// the path; if nothing exists the first `::` separates.
    ///
    /// # Examples
    /// ```
    /// use isometer::formats::Source;
    /// let s = Source::parse("model.safetensors::fc.weight");
    /// assert_eq!(s.tensor_name(), Some("fc.weight"));
    /// assert!(Source::parse("-").is_stdin() && Source::parse("a.npy").tensor_name().is_none());
    /// ```
    pub fn parse(text: &str) -> Source {
        if text == "-" {
            return Source::stdin();
        }
        if Path::new(text).exists() {
            return Source::path(text);
        }
        // As labels of merged dimensions come back from a report.
        let text = text.strip_suffix(RESHAPED).unwrap_or(text);
        if let Some(name) = text.strip_prefix("-::") {
            return Source {
                place: Place::Stdin,
                tensor: Some(name.to_string()),
            };
        }
        let existing = text
            .rmatch_indices("::")
            .find(|(at, _)| Path::new(&text[..*at]).exists());
        match existing.or_else(|| text.match_indices("::").next()) {
            Some((at, _)) => Source::tensor(&text[..at], &text[at + 2..]),
            None => Source::path(text),
        }
    }

    /// The tensor asked for, if one was named.
    pub fn tensor_name(&self) -> Option<&str> {
        self.tensor.as_deref()
    }

    /// Whether this is standard input.
    pub fn is_stdin(&self) -> bool {
        self.place == Place::Stdin
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Stdin => write!(f, "-")?,
            Place::Path(p) => write!(f, "{}", p.display())?,
        }
        match &self.tensor {
            Some(name) => write!(f, "::{name}"),
            None => Ok(()),
        }
    }
}
