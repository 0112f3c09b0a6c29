//! What the two text formats share: numbered lines and decimal numbers.

use std::io::{BufRead, Read};

/// Longest line that is read, in bytes; binary data fed to a text reader stops here.
const LONGEST_LINE: u64 = 1 << 28;

/// Lines of a stream, numbered from 1; one is held at a time.
pub(super) struct Lines {
    reader: Box<dyn BufRead>,
    buffer: Vec<u8>,
    number: u64,
}

/// Why the next line cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// A line longer than any matrix row that fits in memory: probably not text.
    #[error("line {line} is longer than {limit} bytes; is this a text file?")]
    TooLong {
        /// Line number from 1.
        line: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes behind the line cannot be read or decompressed.
    #[error("line {line} cannot be read: {error}")]
    Read {
        /// Line number from 1.
        line: u64,
        /// What the system or the decompressor said.
        error: std::io::Error,
    },
}

impl Lines {
    pub(super) fn new(reader: Box<dyn BufRead>) -> Lines {
        Lines {
            reader,
            buffer: Vec::new(),
            number: 0,
        }
    }

    /// Number of the current line; 0 before the first.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Moves to the next line; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, LineError> {
        self.buffer.clear();
        let line = self.number + 1;
        (&mut self.reader)
            .take(LONGEST_LINE + 1)
            .read_until(b'\n', &mut self.buffer)
            .map_err(|error| LineError::Read { line, error })?;
        if self.buffer.is_empty() {
            return Ok(false);
        }
        if self.buffer.len() as u64 > LONGEST_LINE {
            return Err(LineError::TooLong {
                line,
                limit: LONGEST_LINE,
            });
        }
        self.number = line;
        Ok(true)
    }

    /// Moves to the next line that is neither blank nor starts with one of these bytes.
    pub(super) fn advance_past(&mut self, comment: &[u8]) -> Result<bool, LineError> {
        while self.advance()? {
            let text = self.text().trim_ascii_start();
            if text.first().is_some_and(|b| !comment.contains(b)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The current line without its line end and, on the first, without a UTF-8 byte order mark.
    pub(super) fn text(&self) -> &[u8] {
        let text = self.buffer.as_slice();
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        match text.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if self.number == 1 => rest,
            _ => text,
        }
    }
}

/// Why a token is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNumber {
    /// Not written as a number.
    #[error("is not a number")]
    Syntax,
    /// A finite decimal beyond 1.8e308, which would silently become an infinity.
    #[error("is beyond the range of f64 (about 1.8e308); rescale the matrix")]
    Overflow,
}

/// How many decimals lost more than the usual half unit in the last place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    /// Non-zero decimals below 2^-1075, stored as zero.
    pub(super) to_zero: u64,
    /// Integers beyond 2^53 that have no exact `f64`.
    pub(super) integers: u64,
}

impl Losses {
    /// Sentences for a tensor's note, if anything was lost.
    pub(super) fn describe(&self, notes: &mut Vec<String>) {
        if self.to_zero > 0 {
            notes.push(format!(
                "{} non-zero entries below 2.5e-324 were rounded to 0",
                self.to_zero
            ));
        }
        if self.integers > 0 {
            notes.push(format!(
                "{} integer entries beyond 2^53 were rounded to the nearest f64",
                self.integers
            ));
        }
    }
}

/// A decimal rounded to the nearest `f64`; `nan` and `inf` are accepted, and so is the exponent
/// letter `d` of Fortran.
pub(super) fn real(token: &[u8], losses: &mut Losses) -> Result<f64, BadNumber> {
    let text = std::str::from_utf8(token).map_err(|_| BadNumber::Syntax)?;
    let x: f64 = match text.parse() {
        Ok(x) => x,
        Err(_) => fortran(text).ok_or(BadNumber::Syntax)?,
    };
    if x.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) {
        return Err(BadNumber::Overflow);
    }
    let mantissa = text.bytes().take_while(|b| !b"eEdD".contains(b));
    if x == 0.0 && mantissa.into_iter().any(|b| (b'1'..=b'9').contains(&b)) {
        losses.to_zero += 1;
    }
    Ok(x)
}

fn fortran(text: &str) -> Option<f64> {
    let at = text.find(['d', 'D'])?;
    format!("{}e{}", &text[..at], &text[at + 1..]).parse().ok()
}

/// An integer, exact where `f64` can hold it and counted where it cannot.
pub(super) fn integer(token: &[u8], losses: &mut Losses) -> Result<f64, BadNumber> {
    let text = std::str::from_utf8(token).map_err(|_| BadNumber::Syntax)?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadNumber::Syntax);
    }
    let x = real(token, losses)?;
    if !text.parse::<i128>().is_ok_and(|exact| x as i128 == exact) {
        losses.integers += 1;
    }
    Ok(x)
}

/// A token as an error message shows it: printable, and cut if long.
pub(super) fn shown(token: &[u8]) -> String {
    let mut text: String = String::from_utf8_lossy(token)
        .chars()
        .take(40)
        .flat_map(char::escape_debug)
        .collect();
    if token.len() > 40 {
        text.push_str("...");
    }
    text
}
