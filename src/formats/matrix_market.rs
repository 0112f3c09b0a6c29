//! Matrix Market exchange files (`.mtx`), read into a dense matrix.
//!
//! Format: R. Boisvert, R. Pozo, K. Remington, "The Matrix Market Exchange Formats: Initial
//! Design", NISTIR 5935 (1996). Own code, because no maintained crate reads every field and
//! symmetry and names the line of a fault.

use super::lines::{BadNumber, LineError, Lines, Losses, integer, real, shown};
use super::mmap::Blob;
use super::tensor::{Data, Loaded, Stored};
use super::{DENSE_LIMIT, Entry, FormatError};
use crate::linalg::element::ElementType;
use std::sync::Arc;

/// What is wrong with a Matrix Market file.
#[derive(Debug, thiserror::Error)]
pub enum MatrixMarketError {
    /// The first line is not a banner.
    #[error(
        "line 1: expected '%%MatrixMarket matrix coordinate|array real|integer|complex|pattern general|symmetric|skew-symmetric|hermitian', found '{found}'"
    )]
    Banner {
        /// The line.
        found: String,
    },
    /// Words that the format does not combine.
    #[error("line 1: '{left}' and '{right}' do not go together in a Matrix Market file")]
    Combination {
        /// One word of the banner.
        left: &'static str,
        /// The other.
        right: &'static str,
    },
    /// No usable size line.
    #[error("line {line}: expected the size as {expected}, found '{found}'")]
    Size {
        /// Line number from 1.
        line: u64,
        /// The numbers wanted.
        expected: &'static str,
        /// The line.
        found: String,
    },
    /// A symmetry on a rectangle.
    #[error("line {line}: a {symmetry} matrix must be square, this is {rows} x {cols}")]
    NotSquare {
        /// Line number from 1.
        line: u64,
        /// The symmetry of the banner.
        symmetry: &'static str,
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
    },
    /// An entry line with too few or too many tokens.
    #[error("line {line}: expected {expected} numbers for an entry, found {found}")]
    Tokens {
        /// Line number from 1.
        line: u64,
        /// Tokens an entry has.
        expected: usize,
        /// Tokens there are.
        found: usize,
    },
    /// A token that is not a number.
    #[error("line {line}: '{token}' {problem}")]
    Number {
        /// Line number from 1.
        line: u64,
        /// The token.
        token: String,
        /// What is wrong with it.
        problem: BadNumber,
    },
    /// An index outside the matrix.
    #[error(
        "line {line}: index ({row}, {col}) is outside 1..{rows} x 1..{cols}; indices count from 1"
    )]
    Index {
        /// Line number from 1.
        line: u64,
        /// Row as written.
        row: String,
        /// Column as written.
        col: String,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },
    /// A diagonal entry that the symmetry forbids.
    #[error("line {line}: diagonal entry {index} of a {symmetry} matrix must {rule}")]
    Diagonal {
        /// Line number from 1.
        line: u64,
        /// Position on the diagonal, from 1.
        index: usize,
        /// The symmetry of the banner.
        symmetry: &'static str,
        /// What must hold.
        rule: &'static str,
    },
    /// The file ends too early.
    #[error("truncated: {declared} entries declared, the file ends after {found} at line {line}")]
    TooFew {
        /// Entries by the size line.
        declared: usize,
        /// Entries there are.
        found: usize,
        /// Last line.
        line: u64,
    },
    /// The file goes on.
    #[error("line {line}: more than the {declared} entries declared")]
    TooMany {
        /// Entries by the size line.
        declared: usize,
        /// Line of the first that is too many.
        line: u64,
    },
    /// A line that cannot be read.
    #[error(transparent)]
    Line(#[from] LineError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Real,
    Integer,
    Complex,
    Pattern,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symmetry {
    General,
    Symmetric,
    Skew,
    Hermitian,
}

impl Symmetry {
    fn as_str(self) -> &'static str {
        match self {
            Symmetry::General => "general",
            Symmetry::Symmetric => "symmetric",
            Symmetry::Skew => "skew-symmetric",
            Symmetry::Hermitian => "hermitian",
        }
    }
}

/// Banner and size line.
#[derive(Clone, Copy, Debug)]
struct Header {
    sparse: bool,
    field: Field,
    symmetry: Symmetry,
    rows: usize,
    cols: usize,
    /// Entries in the file.
    stored: usize,
}

impl Header {
    fn element(&self) -> ElementType {
        match self.field {
            Field::Complex => ElementType::C128,
            _ => ElementType::F64,
        }
    }

    fn dtype(&self) -> &'static str {
        match self.field {
            Field::Real => "real",
            Field::Integer => "integer",
            Field::Complex => "complex",
            Field::Pattern => "pattern",
        }
    }

    /// Numbers that give the value of an entry.
    fn tokens(&self) -> usize {
        match self.field {
            Field::Pattern => 0,
            Field::Real | Field::Integer => 1,
            Field::Complex => 2,
        }
    }
}

struct File {
    file: String,
    blob: Blob,
}

/// The single entry of a Matrix Market file, read no further than its size line.
pub(super) fn entries(file: &str, name: &str, blob: &Blob) -> Result<Vec<Entry>, FormatError> {
    let mut lines = Lines::new(blob.reader());
    let header = header(&mut lines).map_err(|error| FormatError::MatrixMarket {
        file: file.to_string(),
        error: Box::new(error),
    })?;
    let element = header.element();
    let bytes = header.rows as u128 * header.cols as u128 * element.size() as u128;
    if bytes > DENSE_LIMIT {
        return Err(FormatError::TooLarge {
            file: file.to_string(),
            rows: header.rows,
            cols: header.cols,
            bytes,
            limit: DENSE_LIMIT,
        });
    }
    let shape = vec![header.rows, header.cols];
    let entry = Entry::alone(file, name, header.dtype().to_string(), shape);
    Ok(vec![entry.numbers(element, |_| File {
        file: file.to_string(),
        blob: blob.clone(),
    })])
}

impl Stored for File {
    fn load(&self) -> Result<Loaded, FormatError> {
        read(&self.blob).map_err(|error| FormatError::MatrixMarket {
            file: self.file.clone(),
            error: Box::new(error),
        })
    }
}

fn header(lines: &mut Lines) -> Result<Header, MatrixMarketError> {
    lines.advance()?;
    let first = lines.text();
    let banner = || MatrixMarketError::Banner {
        found: shown(first),
    };
    let text = std::str::from_utf8(first).map_err(|_| banner())?;
    let words: Vec<String> = text
        .split_whitespace()
        .map(str::to_ascii_lowercase)
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ["%%matrixmarket", "matrix", layout, field, symmetry] = words[..] else {
        return Err(banner());
    };
    let sparse = match layout {
        "coordinate" => true,
        "array" => false,
        _ => return Err(banner()),
    };
    let field = match field {
        "real" | "double" => Field::Real,
        "integer" | "unsigned-integer" => Field::Integer,
        "complex" => Field::Complex,
        "pattern" => Field::Pattern,
        _ => return Err(banner()),
    };
    let symmetry = match symmetry {
        "general" => Symmetry::General,
        "symmetric" => Symmetry::Symmetric,
        "skew-symmetric" => Symmetry::Skew,
        "hermitian" => Symmetry::Hermitian,
        _ => return Err(banner()),
    };
    let clash = |left, right| Err(MatrixMarketError::Combination { left, right });
    match (sparse, field, symmetry) {
        (false, Field::Pattern, _) => return clash("array", "pattern"),
        (_, Field::Pattern, Symmetry::Skew) => return clash("pattern", "skew-symmetric"),
        (_, f, Symmetry::Hermitian) if f != Field::Complex => {
            return clash("hermitian", "a real field");
        }
        _ => {}
    }

    let mut header = Header {
        sparse,
        field,
        symmetry,
        rows: 0,
        cols: 0,
        stored: 0,
    };
    let expected = match sparse {
        true => "three integers: rows columns entries",
        false => "two integers: rows columns",
    };
    lines.advance_past(b"%")?;
    let size = lines.text();
    let numbers: Option<Vec<usize>> = tokens(size).map(index).collect();
    let found = shown(size);
    let line = lines.number();
    let numbers = numbers.unwrap_or_default();
    match (sparse, &numbers[..]) {
        (true, &[rows, cols, stored]) => {
            (header.rows, header.cols, header.stored) = (rows, cols, stored)
        }
        (false, &[rows, cols]) => (header.rows, header.cols) = (rows, cols),
        _ => {
            return Err(MatrixMarketError::Size {
                line,
                expected,
                found,
            });
        }
    }
    let (rows, cols) = (header.rows, header.cols);
    if symmetry != Symmetry::General && rows != cols {
        let symmetry = symmetry.as_str();
        return Err(MatrixMarketError::NotSquare {
            line,
            symmetry,
            rows,
            cols,
        });
    }
    if !sparse {
        // Saturation is harmless: so large a matrix is refused by its dense size.
        header.stored = match symmetry {
            Symmetry::General => rows.saturating_mul(cols),
            Symmetry::Skew => rows.saturating_mul(rows.saturating_sub(1)) / 2,
            Symmetry::Symmetric | Symmetry::Hermitian => {
                rows.saturating_mul(rows.saturating_add(1)) / 2
            }
        };
    }
    Ok(header)
}

fn tokens(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|t| !t.is_empty())
}

/// A count or an index: digits only.
fn index(token: &[u8]) -> Option<usize> {
    let digits = token.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(token).ok()?.parse().ok())?
}

/// The dense matrix as entries arrive.
struct Dense {
    header: Header,
    re: Vec<f64>,
    /// Empty for real fields.
    im: Vec<f64>,
    /// One bit for each position that has been written.
    seen: Vec<u64>,
    duplicates: u64,
    inexact: u64,
}

impl Dense {
    fn add(&mut self, i: usize, j: usize, re: f64, im: f64) {
        let k = i * self.header.cols + j;
        let bit = 1u64 << (k % 64);
        if self.seen[k / 64] & bit != 0 {
            self.duplicates += 1;
            let exact = sum(&mut self.re[k], re);
            let exact = exact & self.im.get_mut(k).is_none_or(|x| sum(x, im));
            self.inexact += u64::from(!exact);
            return;
        }
        self.seen[k / 64] |= bit;
        self.re[k] = re;
        if let Some(x) = self.im.get_mut(k) {
            *x = im;
        }
    }
}

/// Adds; says whether the sum is exact (Knuth's two-sum leaves no error).
fn sum(x: &mut f64, y: f64) -> bool {
    let (a, s) = (*x, *x + y);
    let b = s - a;
    *x = s;
    (a - (s - b)) + (y - b) == 0.0
}

fn read(blob: &Blob) -> Result<Loaded, MatrixMarketError> {
    let mut lines = Lines::new(blob.reader());
    let header = header(&mut lines)?;
    // `entries` has checked that this product is within the dense limit.
    let n = header.rows * header.cols;
    let complex = header.field == Field::Complex;
    let mut dense = Dense {
        header,
        re: vec![0.0; n],
        im: vec![0.0; if complex { n } else { 0 }],
        seen: vec![0; n.div_ceil(64)],
        duplicates: 0,
        inexact: 0,
    };
    let mut losses = Losses::default();
    let mut mirrored_upper = 0u64;
    let indices = if header.sparse { 2 } else { 0 };
    let expected = indices + header.tokens();
    let mut position = (usize::from(header.symmetry == Symmetry::Skew), 0);
    for found in 0..header.stored {
        if !lines.advance_past(b"%")? {
            return Err(MatrixMarketError::TooFew {
                declared: header.stored,
                found,
                line: lines.number(),
            });
        }
        let line = lines.number();
        let mut parts: [&[u8]; 4] = [b""; 4];
        let mut count = 0;
        for token in tokens(lines.text()) {
            if let Some(slot) = parts.get_mut(count) {
                *slot = token;
            }
            count += 1;
        }
        if count != expected {
            let found = count;
            return Err(MatrixMarketError::Tokens {
                line,
                expected,
                found,
            });
        }
        let (i, j) = if header.sparse {
            match (index(parts[0]), index(parts[1])) {
                (Some(i @ 1..), Some(j @ 1..)) if i <= header.rows && j <= header.cols => {
                    (i - 1, j - 1)
                }
                _ => {
                    return Err(MatrixMarketError::Index {
                        line,
                        row: shown(parts[0]),
                        col: shown(parts[1]),
                        rows: header.rows,
                        cols: header.cols,
                    });
                }
            }
        } else {
            position
        };
        let mut number = |k: usize| {
            let token = parts[indices + k];
            let parse = match header.field {
                Field::Integer => integer,
                _ => real,
            };
            parse(token, &mut losses).map_err(|problem| MatrixMarketError::Number {
                line,
                token: shown(token),
                problem,
            })
        };
        let (re, im) = match header.field {
            Field::Pattern => (1.0, 0.0),
            Field::Real | Field::Integer => (number(0)?, 0.0),
            Field::Complex => (number(0)?, number(1)?),
        };
        dense.add(i, j, re, im);
        let diagonal = |rule| MatrixMarketError::Diagonal {
            line,
            index: i + 1,
            symmetry: header.symmetry.as_str(),
            rule,
        };
        match header.symmetry {
            Symmetry::General => {}
            Symmetry::Skew if i == j && (re != 0.0 || im != 0.0) => {
                return Err(diagonal("be zero"));
            }
            Symmetry::Hermitian if i == j && im != 0.0 => return Err(diagonal("be real")),
            _ if i == j => {}
            Symmetry::Symmetric => dense.add(j, i, re, im),
            Symmetry::Skew => dense.add(j, i, -re, -im),
            Symmetry::Hermitian => dense.add(j, i, re, -im),
        }
        mirrored_upper += u64::from(header.symmetry != Symmetry::General && i < j);
        if !header.sparse {
            position.0 += 1;
            if position.0 == header.rows {
                let j = position.1 + 1;
                let top = match header.symmetry {
                    Symmetry::General => 0,
                    Symmetry::Skew => j + 1,
                    Symmetry::Symmetric | Symmetry::Hermitian => j,
                };
                position = (top, j);
            }
        }
    }
    if lines.advance_past(b"%")? {
        return Err(MatrixMarketError::TooMany {
            declared: header.stored,
            line: lines.number(),
        });
    }

    let mut notes = Vec::new();
    if dense.duplicates > 0 {
        notes.push(format!(
            "{} repeated positions were summed, {} of the sums rounded (the format forbids repetition)",
            dense.duplicates, dense.inexact
        ));
    }
    if mirrored_upper > 0 {
        notes.push(format!(
            "{mirrored_upper} entries above the diagonal were mirrored (the format stores the lower triangle)"
        ));
    }
    losses.describe(&mut notes);
    let data = if complex {
        let pairs = dense.re.iter().zip(&dense.im).map(|(&re, &im)| [re, im]);
        Data::Complex(Arc::new(pairs.collect()))
    } else {
        Data::Real(Arc::new(dense.re))
    };
    Ok(Loaded {
        data,
        row_stride: header.cols,
        col_stride: 1,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    })
}
