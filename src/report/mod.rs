//! Values in, bytes out: text tables, markdown, CSV and JSON. Pure: nothing here reads a file,
//! asks about a terminal, or prints.
//!
//! Limits are rounded outward wherever digits are dropped, so a printed interval still contains
//! the truth; JSON keeps every bit (shortest round-trip decimals).

pub mod alpha;
pub mod audit;
pub mod bound;
#[cfg(feature = "cli")]
pub mod chart;
pub mod check;
pub mod claims;
pub mod cond;
pub mod convolution;
pub mod diff;
pub mod document;
#[cfg(feature = "cli")]
pub mod figure;
pub mod gain;
pub mod number;
#[cfg(feature = "cli")]
pub mod phase;
#[cfg(feature = "cli")]
pub mod plots;
pub mod precision;
pub mod predict;
pub mod product;
pub mod step;
pub mod symmetry;
pub mod table;
pub mod text;

/// How a report is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people, with a verdict in the last line.
    #[default]
    Table,
    /// A GitHub-flavoured markdown table and the verdict.
    Markdown,
    /// Comma-separated records with a header; no verdict.
    Csv,
    /// One JSON document.
    Json,
}

/// What the reader's screen can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns of text that fit; `None` keeps every column of the table at its natural width.
    pub width: Option<usize>,
    /// Whether ANSI colours may be written. Nothing is said by colour alone.
    pub colour: bool,
}

impl Style {
    /// No colour, nothing dropped: for files and pipes.
    pub const PLAIN: Style = Style {
        width: None,
        colour: false,
    };
}
