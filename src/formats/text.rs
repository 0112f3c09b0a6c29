//! Matrices as text: one row a line, separated by commas, semicolons, tabs or blanks.

use super::lines::{BadNumber, LineError, Lines, Losses, real, shown};
use super::mmap::Blob;
use super::tensor::{Data, Loaded, Stored};
use super::{DENSE_LIMIT, Entry, FormatError};
use crate::linalg::element::ElementType;
use std::sync::Arc;

/// What is wrong with a text file.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// Only blank lines and comments.
    #[error(
        "no numbers in {lines} lines; write one row a line, values separated by blanks or commas"
    )]
    NoNumbers {
        /// Lines read.
        lines: u64,
    },
    /// A row of another length than the first.
    #[error(
        "line {line} has {found} values, line {first} has {expected}; every row needs the same number"
    )]
    Ragged {
        /// Line number from 1.
        line: u64,
        /// Values on it.
        found: usize,
        /// Line of the first row.
        first: u64,
        /// Values on the first row.
        expected: usize,
    },
    /// Nothing between two separators.
    #[error(
        "line {line}, value {column} is empty; write the number, or remove the header and index column (pandas: to_csv(header=False, index=False))"
    )]
    EmptyCell {
        /// Line number from 1.
        line: u64,
        /// Position in the row, from 1.
        column: usize,
    },
    /// A token that is not a number.
    #[error("line {line}, value {column}: '{token}' {problem}")]
    Number {
        /// Line number from 1.
        line: u64,
        /// Position in the row, from 1.
        column: usize,
        /// The token.
        token: String,
        /// What is wrong with it.
        problem: BadNumber,
    },
    /// Two bytes a character.
    #[error("the text is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")]
    Utf16,
    /// More numbers than a dense matrix may have.
    #[error("line {line}: more than {limit} bytes of numbers; save as .npy")]
    TooLarge {
        /// Line number from 1.
        line: u64,
        /// Bytes allowed.
        limit: u128,
    },
    /// A line that cannot be read.
    #[error(transparent)]
    Line(#[from] LineError),
}

/// A parsed file.
struct Parsed {
    data: Data,
    cols: usize,
    note: Option<String>,
}

/// The single entry of a text file. Text has no header, so the shape is only known once all is
/// parsed: the numbers are kept.
/// Theorem: decimal-round-trip.
pub(super) fn entries(file: &str, name: &str, blob: &Blob) -> Result<Vec<Entry>, FormatError> {
    let (parsed, rows) = parse(blob).map_err(|error| FormatError::Text {
        file: file.to_string(),
        error: Box::new(error),
    })?;
    let element = match parsed.data {
        Data::Complex(_) => ElementType::C128,
        _ => ElementType::F64,
    };
    let shape = vec![rows, parsed.cols];
    let entry = Entry::alone(file, name, "decimal".to_string(), shape);
    Ok(vec![entry.numbers(element, |_| parsed)])
}

impl Stored for Parsed {
    fn load(&self) -> Result<Loaded, FormatError> {
        Ok(Loaded {
            data: self.data.clone(),
            row_stride: self.cols,
            col_stride: 1,
            note: self.note.clone(),
        })
    }
}

/// What stands between two values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Byte(u8),
    Blanks,
}

impl Separator {
    fn of(line: &[u8]) -> Separator {
        let byte = [b';', b',', b'\t'].into_iter().find(|b| line.contains(b));
        byte.map_or(Separator::Blanks, Separator::Byte)
    }

    fn split(self, line: &[u8]) -> impl Iterator<Item = &[u8]> {
        line.split(move |&b| match self {
            Separator::Byte(s) => b == s,
            Separator::Blanks => b.is_ascii_whitespace(),
        })
        .map(unquoted)
        .filter(move |t| self != Separator::Blanks || !t.is_empty())
    }
}

fn unquoted(cell: &[u8]) -> &[u8] {
    let cell = cell.trim_ascii();
    match cell {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner.trim_ascii(),
        _ => cell,
    }
}

#[derive(Default)]
struct Values {
    re: Vec<f64>,
    /// Empty until the first complex token.
    im: Vec<f64>,
}

impl Values {
    fn push(&mut self, (re, im): (f64, Option<f64>)) {
        if im.is_some() && self.im.is_empty() {
            self.im.resize(self.re.len(), 0.0);
        }
        if im.is_some() || !self.im.is_empty() {
            self.im.push(im.unwrap_or(0.0));
        }
        self.re.push(re);
    }
}

fn parse(blob: &Blob) -> Result<(Parsed, usize), TextError> {
    if blob.starts_with(b"\xff\xfe") || blob.starts_with(b"\xfe\xff") {
        return Err(TextError::Utf16);
    }
    let mut lines = Lines::new(blob.reader());
    let mut values = Values::default();
    let mut losses = Losses::default();
    let mut notes = Vec::new();
    let mut rows = 0;
    // Line and length of the first row of numbers.
    let mut first: Option<(u64, usize)> = None;
    let mut separator = None;
    while lines.advance_past(b"#%")? {
        let line = lines.number();
        let text = lines
            .text()
            .split(|&b| b == b'#')
            .next()
            .unwrap_or_default();
        let starting = separator.is_none();
        let separator = *separator.get_or_insert_with(|| Separator::of(text));
        if starting && is_header(separator, text) {
            notes.push(format!("line {line} was read as a header"));
            if separator.split(text).next().is_some_and(<[u8]>::is_empty) {
                notes.push(
                    "its first label is empty: the first column may be a row index and not data"
                        .to_string(),
                );
            }
            continue;
        }
        let before = values.re.len();
        for (k, token) in separator.split(text).enumerate() {
            let column = k + 1;
            if token.is_empty() {
                return Err(TextError::EmptyCell { line, column });
            }
            let value = number(token, &mut losses).map_err(|problem| TextError::Number {
                line,
                column,
                token: shown(token),
                problem,
            })?;
            values.push(value);
        }
        let found = values.re.len() - before;
        let (first, expected) = *first.get_or_insert((line, found));
        if found != expected {
            return Err(TextError::Ragged {
                line,
                found,
                first,
                expected,
            });
        }
        rows += 1;
        if (values.re.len() + values.im.len()) as u128 * 8 > DENSE_LIMIT {
            let limit = DENSE_LIMIT;
            return Err(TextError::TooLarge { line, limit });
        }
    }
    let Some((_, cols)) = first else {
        let lines = lines.number();
        return Err(TextError::NoNumbers { lines });
    };
    losses.describe(&mut notes);
    let data = if values.im.is_empty() {
        Data::Real(Arc::new(values.re))
    } else {
        let pairs = values.re.iter().zip(&values.im).map(|(&re, &im)| [re, im]);
        Data::Complex(Arc::new(pairs.collect()))
    };
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    Ok((Parsed { data, cols, note }, rows))
}

/// A first row of labels: no cell is a number or looks like one gone wrong (`1,5`, `-`).
fn is_header(separator: Separator, text: &[u8]) -> bool {
    let mut labels = separator
        .split(text)
        .filter(|cell| !cell.is_empty())
        .peekable();
    labels.peek().is_some()
        && labels.all(|cell| {
            let numeric = cell[0].is_ascii_digit() || b"+-.(".contains(&cell[0]);
            !numeric && number(cell, &mut Losses::default()).is_err()
        })
}

/// A real number, or a complex one as Python and numpy print it: `1+2j`, `(1-2j)`, `3j`; `i` is
/// read as `j`.
fn number(token: &[u8], losses: &mut Losses) -> Result<(f64, Option<f64>), BadNumber> {
    match real(token, losses) {
        Err(BadNumber::Syntax) => {}
        other => return other.map(|x| (x, None)),
    }
    let token = match token {
        [b'(', inner @ .., b')'] => inner.trim_ascii(),
        _ => token,
    };
    let [body @ .., b'j' | b'i' | b'J'] = token else {
        return Err(BadNumber::Syntax);
    };
    // The sign of the imaginary part is the last one that is not an exponent's.
    let sign = (1..body.len())
        .rev()
        .find(|&k| b"+-".contains(&body[k]) && !b"eE".contains(&body[k - 1]));
    let (re, im) = body.split_at(sign.unwrap_or(0));
    // Python prints an infinite imaginary part as `+infj`, numpy.savetxt as `+-1j` when negative.
    let re = re
        .strip_suffix(b"+")
        .filter(|_| im.starts_with(b"-"))
        .unwrap_or(re);
    let re = if re.is_empty() {
        0.0
    } else {
        real(re, losses)?
    };
    Ok((re, Some(real(im, losses)?)))
}
