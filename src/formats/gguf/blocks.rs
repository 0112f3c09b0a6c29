//! Numbers out of quantised blocks.

use crate::formats::FormatError;
use crate::formats::mmap::Blob;
use crate::formats::skip::Flat;
use crate::formats::tensor::{Data, Loaded, Stored};
use crate::linalg::element::ElementType;
use half::f16;
use std::ops::Range;

/// `Q8_0`: blocks of a binary16 scale and 32 signed bytes.
pub(super) struct Expanded {
    pub(super) blob: Blob,
    pub(super) range: Range<usize>,
    pub(super) flat: Flat,
}

/// The scales of blocks.
pub(super) struct Scales {
    pub(super) blob: Blob,
    pub(super) range: Range<usize>,
    /// Bytes of a block.
    pub(super) stride: usize,
    pub(super) element: ElementType,
    /// Where the scales lie in a block.
    pub(super) offsets: &'static [usize],
}

impl Stored for Expanded {
    /// Scale times code. The scale has 11 significant bits and the code at most 8, which binary32
    /// holds, and the smallest product 2^-24 is normal there: nothing is rounded.
    fn load(&self) -> Result<Loaded, FormatError> {
        const BYTES: usize = 34;
        let blocks = self.blob[self.range.clone()].chunks_exact(BYTES);
        let mut bytes = Vec::with_capacity(blocks.len() * 32 * size_of::<f32>());
        for block in blocks {
            let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
            for &code in &block[2..] {
                let x = scale * f32::from(code as i8);
                bytes.extend_from_slice(&x.to_le_bytes());
            }
        }
        Ok(Loaded {
            data: Data::Bytes {
                range: 0..bytes.len(),
                blob: Blob::from_vec(bytes),
                element: ElementType::F32,
            },
            row_stride: self.flat.cols,
            col_stride: 1,
            note: Some("Q8_0 expanded exactly to f32".to_string()),
        })
    }
}

impl Stored for Scales {
    fn load(&self) -> Result<Loaded, FormatError> {
        let size = self.element.size();
        let blocks = self.blob[self.range.clone()].chunks_exact(self.stride);
        let mut bytes = Vec::with_capacity(blocks.len() * self.offsets.len() * size);
        for block in blocks {
            for &at in self.offsets {
                bytes.extend_from_slice(&block[at..at + size]);
            }
        }
        let count = bytes.len() / size;
        Ok(Loaded {
            data: Data::Bytes {
                range: 0..bytes.len(),
                blob: Blob::from_vec(bytes),
                element: self.element,
            },
            row_stride: count,
            col_stride: 1,
            note: None,
        })
    }
}
