//! The header of a GGUF file, value by value; no length is believed before it is compared with what
//! is left of the file.

use super::GgufError;
use crate::formats::mmap::Blob;

/// Arrays within arrays; no model has more than one.
const DEEPEST: u32 = 4;
/// Longer texts (templates, licences) are passed over.
const LONGEST_TEXT: usize = 4096;

pub(super) struct Reader<'a> {
    blob: &'a Blob,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(blob: &'a Blob) -> Reader<'a> {
        Reader { blob, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The magic string and a version that is read.
    pub(super) fn magic(&mut self) -> Result<(), GgufError> {
        let found = &self.blob[..self.blob.len().min(4)];
        if found != b"GGUF" {
            let found = found.to_vec();
            return Err(GgufError::Magic { found });
        }
        self.at = 4;
        match self.u32("version")? {
            2 | 3 => Ok(()),
            version if matches!(version.swap_bytes(), 1..=3) => Err(GgufError::BigEndian),
            version => Err(GgufError::Version { version }),
        }
    }

    /// Refuses `count` items of at least `shortest` bytes if the file cannot hold them.
    pub(super) fn room(
        &self,
        part: &'static str,
        count: u64,
        shortest: u64,
    ) -> Result<(), GgufError> {
        let needed = count.saturating_mul(shortest);
        let available = (self.blob.len() - self.at) as u64;
        match needed <= available {
            true => Ok(()),
            false => Err(GgufError::Truncated {
                part,
                at: self.at,
                needed,
                available,
            }),
        }
    }

    fn take(&mut self, part: &'static str, length: u64) -> Result<&'a [u8], GgufError> {
        self.room(part, length, 1)?;
        let taken = &self.blob[self.at..self.at + length as usize];
        self.at += length as usize;
        Ok(taken)
    }

    fn unsigned(&mut self, part: &'static str, width: u64) -> Result<u64, GgufError> {
        let bytes = self.take(part, width)?;
        Ok(bytes.iter().rev().fold(0, |w, &b| w << 8 | u64::from(b)))
    }

    pub(super) fn u32(&mut self, part: &'static str) -> Result<u32, GgufError> {
        self.unsigned(part, 4).map(|n| n as u32)
    }

    pub(super) fn u64(&mut self, part: &'static str) -> Result<u64, GgufError> {
        self.unsigned(part, 8)
    }

    fn raw_text(&mut self, part: &'static str) -> Result<&'a [u8], GgufError> {
        let length = self.u64(part)?;
        self.take(part, length)
    }

    pub(super) fn text(&mut self, part: &'static str) -> Result<String, GgufError> {
        let bytes = self.raw_text(part)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The value of a key as text; `None` for arrays and long texts, which are passed over.
    pub(super) fn value(&mut self, key: &str) -> Result<Option<String>, GgufError> {
        let id = self.u32("value type")?;
        let part = "value";
        Ok(match id {
            0 => Some(self.unsigned(part, 1)?.to_string()),
            1 => Some((self.unsigned(part, 1)? as u8 as i8).to_string()),
            2 => Some(self.unsigned(part, 2)?.to_string()),
            3 => Some((self.unsigned(part, 2)? as u16 as i16).to_string()),
            4 => Some(self.unsigned(part, 4)?.to_string()),
            5 => Some((self.unsigned(part, 4)? as u32 as i32).to_string()),
            6 => Some(f32::from_bits(self.u32(part)?).to_string()),
            7 => Some((self.unsigned(part, 1)? != 0).to_string()),
            8 => {
                let text = self.raw_text(part)?;
                let short = text.len() <= LONGEST_TEXT;
                short.then(|| String::from_utf8_lossy(text).into_owned())
            }
            9 => {
                self.array(key, 0)?;
                None
            }
            10 => Some(self.u64(part)?.to_string()),
            11 => Some((self.u64(part)? as i64).to_string()),
            12 => Some(f64::from_bits(self.u64(part)?).to_string()),
            id => {
                let key = key.to_string();
                return Err(GgufError::ValueType { key, id });
            }
        })
    }

    fn array(&mut self, key: &str, depth: u32) -> Result<(), GgufError> {
        if depth == DEEPEST {
            let (key, limit) = (key.to_string(), DEEPEST);
            return Err(GgufError::Nested { key, limit });
        }
        let part = "array";
        let id = self.u32(part)?;
        let count = self.u64(part)?;
        match id {
            0 | 1 | 7 => self.items(part, count, 1),
            2 | 3 => self.items(part, count, 2),
            4..=6 => self.items(part, count, 4),
            10..=12 => self.items(part, count, 8),
            8 => {
                self.room(part, count, 8)?;
                for _ in 0..count {
                    self.raw_text(part)?;
                }
                Ok(())
            }
            9 => {
                self.room(part, count, 12)?;
                for _ in 0..count {
                    self.array(key, depth + 1)?;
                }
                Ok(())
            }
            id => {
                let key = key.to_string();
                Err(GgufError::ValueType { key, id })
            }
        }
    }

    fn items(&mut self, part: &'static str, count: u64, width: u64) -> Result<(), GgufError> {
        self.room(part, count, width)?;
        self.at += (count * width) as usize;
        Ok(())
    }
}
