//! What every target asserts: bytes are read or refused, and what is listed is read or refused.

use isometer::formats::{Collection, Content, Tensor, open_bytes};

/// Sparse files may describe dense matrices that are much larger than they are.
const LARGEST: usize = 1 << 22;

/// Opens the bytes as a file of this name and reads all of it.
pub fn reads(name: &str, bytes: &[u8]) {
    if let Ok(all) = open_bytes(name, bytes.to_vec()) {
        for k in 0..all.entries().len() {
            entry(&all, k);
        }
    }
}

fn entry(all: &Collection, k: usize) {
    let entry = &all.entries()[k];
    assert!(!entry.source().is_empty());
    let readable = match entry.content() {
        Content::Readable(r) => r.rows().saturating_mul(r.cols()) <= LARGEST,
        Content::Skip(reason) => {
            assert!(!reason.to_string().is_empty());
            assert!(all.load(k).is_err(), "a skipped entry loads");
            false
        }
    };
    if readable && let Ok(tensor) = all.load(k) {
        touch(&tensor);
    }
    for tensor in [all.load_vector(k), all.block_scales(k)].into_iter().flatten().flatten() {
        touch(&tensor);
    }
}

/// Corners of the matrix: the layout must reach them within the data.
fn touch(tensor: &Tensor) {
    let matrix = tensor.matrix().expect("shape and data agree");
    let (rows, cols) = (matrix.rows(), matrix.cols());
    for i in [0, rows / 2, rows - 1] {
        for j in [0, cols / 2, cols - 1] {
            matrix.get(i, j);
        }
    }
}

/// A PyTorch archive around a pickle: without a checksum, so that changes reach the reader of
/// pickles, and with a storage for small keys.
pub fn pytorch_archive(pickle: &[u8]) -> Vec<u8> {
    let numbers = [0u8; 256];
    let members: [(&str, &[u8]); 3] = [
        ("a/data.pkl", pickle),
        ("a/data/0", &numbers),
        ("a/data/1", &numbers[..64]),
    ];
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let offset = file.len() as u32;
        // From `version needed` to `extra length`; stored, no date, no checksum.
        let mut common = vec![10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0];
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(content);
        directory.extend(b"PK\x01\x02\x0a\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, size) = (file.len() as u32, directory.len() as u32);
    let count = members.len() as u16;
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend(count.to_le_bytes());
    file.extend(count.to_le_bytes());
    file.extend(size.to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}
