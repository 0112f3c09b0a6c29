//! Values in, bytes out: text tables, markdown, CSV, JSON, HTML and pictures. Pure: nothing here reads a file,
//! asks about a terminal, or prints.
//!
//! One module for each command, each with a `Report` that is filled with what the library computed and rendered in
//! a [`Format`] for a [`Style`]; [`number`], [`table`] and [`document`] are what they share, `chart` and `figure`
//! (with the feature `cli`) draw.
//!
//! Limits are rounded outward wherever digits are dropped, so a printed interval still contains the truth; JSON
//! keeps every bit (shortest round-trip decimals). A `verdict()` is a word for programs, a `sentence()` one for
//! people.
//!
//! ```
//! use isometer::linalg::{condition::{ConditionOptions, condition}, view::MatrixRef};
//! use isometer::report::{Format, Style, cond::{Report, Row, Verdict}};
//!
//! let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
//! let report = Report {
//!     rows: vec![Row {
//!         source: "a".into(),
//!         label: "a".into(),
//!         shape: vec![2, 2],
//!         note: None,
//!         conditioning: condition(&a, &ConditionOptions::default()).unwrap(),
//!         convolution: None,
//!     }],
//!     fail_above: Some(10.0),
//!     ..Report::default()
//! };
//! assert_eq!(report.verdict(), Verdict::AboveThreshold); // kappa is 14.93...
//! let text = String::from_utf8(report.render(Format::Table, &Style::PLAIN)).unwrap();
//! assert!(text.contains("14.93303437[3, 4]") && text.contains("certified"));
//! ```

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
