//! Readers of tensor files: every format, number type and layout; every kind of damage.

mod damage;
mod hostile;
mod lies;
mod models;
mod pickles;
mod reading;
mod sources;

use isometer::formats::{Collection, Content, FormatError, Source, Tensor, open};
use std::path::PathBuf;

/// A file of `tests/data`.
fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn open_data(name: &str) -> Result<Collection, FormatError> {
    open(&Source::path(data(name)))
}

/// Rows of (re, im).
type Rows = Vec<Vec<(f64, f64)>>;

fn rows(tensor: &Tensor) -> Rows {
    let m = tensor.matrix().unwrap();
    (0..m.rows())
        .map(|i| (0..m.cols()).map(|j| m.get(i, j)).collect())
        .collect()
}

/// The only tensor of a file.
fn only(name: &str) -> Tensor {
    let all = open_data(name).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(all.entries().len(), 1, "{name}");
    all.load(0).unwrap_or_else(|e| panic!("{e}"))
}

/// Loads everything readable, touching each entry; returns how many numbers there were.
fn read_all(all: &Collection) -> Result<usize, FormatError> {
    let mut count = 0;
    for (i, entry) in all.entries().iter().enumerate() {
        let tensor = match entry.content() {
            Content::Readable(_) => Some(all.load(i)?),
            Content::Skip(_) => all.load_vector(i)?,
        };
        if let Some(tensor) = tensor {
            count += rows(&tensor).iter().map(Vec::len).sum::<usize>();
        }
    }
    Ok(count)
}

/// The matrix A of `make.py`.
fn a() -> Rows {
    real(3, 4, |i, j| {
        (i + 1) as f64 / 2f64.powi(j as i32) - 3.0 * j as f64
    })
}

/// The matrix Z of `make.py`: A + i (A with rows reversed).
fn z() -> Rows {
    let a = a();
    let pair = |i: usize, j: usize| (a[i][j].0, a[2 - i][j].0);
    (0..3)
        .map(|i| (0..4).map(|j| pair(i, j)).collect())
        .collect()
}

fn real(rows: usize, cols: usize, f: impl Fn(usize, usize) -> f64) -> Rows {
    (0..rows)
        .map(|i| (0..cols).map(|j| (f(i, j), 0.0)).collect())
        .collect()
}

/// An npy file of version 1.0 with this header dictionary.
fn npy(dict: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((dict.len() as u16).to_le_bytes());
    bytes.extend(dict.as_bytes());
    bytes.extend(payload);
    bytes
}

/// A safetensors file with this header.
fn safetensors(json: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes.extend(payload);
    bytes
}

/// A message must name all of these.
fn assert_names(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "'{part}' not named in: {message}");
    }
}
