//! The wire form of protocol buffers: numbered fields of four kinds, read in place.
//!
//! A schema compiler is not worth its build for the twenty fields that hold tensors.

use super::OnnxError;
use crate::formats::mmap::Blob;
use std::ops::Range;

/// The content of a field; ranges count from the start of the file.
#[derive(Clone, Debug)]
pub(super) enum Field {
    /// The number and where it is written.
    Varint(u64, Range<usize>),
    Fixed(Range<usize>),
    Bytes(Range<usize>),
}

/// The fields of one message, in the order of the file.
pub(super) struct Message<'a> {
    blob: &'a Blob,
    at: usize,
    end: usize,
}

impl<'a> Message<'a> {
    pub(super) fn new(blob: &'a Blob, range: Range<usize>) -> Message<'a> {
        Message {
            blob,
            at: range.start,
            end: range.end,
        }
    }

    /// Number and content of the next field.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Field)>, OnnxError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => {
                let from = self.at;
                let value = self.varint()?;
                Field::Varint(value, from..self.at)
            }
            1 => Field::Fixed(self.take(8)?),
            5 => Field::Fixed(self.take(4)?),
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            kind => return Err(OnnxError::Wire { at: start, kind }),
        };
        Ok(Some((tag >> 3, field)))
    }

    fn take(&mut self, length: u64) -> Result<Range<usize>, OnnxError> {
        let available = (self.end - self.at) as u64;
        if length > available {
            return Err(OnnxError::Truncated {
                at: self.at,
                needed: length,
                available,
            });
        }
        let range = self.at..self.at + length as usize;
        self.at = range.end;
        Ok(range)
    }

    fn varint(&mut self) -> Result<u64, OnnxError> {
        let at = self.at;
        let mut value = 0;
        // Ten groups of seven bits hold 64.
        for group in 0..10 {
            let byte = self.take(1)?;
            let byte = self.blob[byte.start];
            value |= u64::from(byte & 0x7f) << (7 * group);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(OnnxError::Varint { at })
    }
}

/// The numbers of a packed range of varints.
pub(super) fn varints(
    blob: &Blob,
    range: Range<usize>,
    each: &mut dyn FnMut(u64),
) -> Result<(), OnnxError> {
    let mut packed = Message::new(blob, range);
    while packed.at < packed.end {
        each(packed.varint()?);
    }
    Ok(())
}

pub(super) fn text(blob: &Blob, range: Range<usize>) -> String {
    String::from_utf8_lossy(&blob[range]).into_owned()
}
