//! Files in the formats people have, written byte by byte so that no reader checks itself.

use serde_json::{Map, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Version 1.0 npy of C-ordered little-endian entries (numpy.lib.format).
pub fn npy(descr: &str, shape: &[usize], entries: &[u8]) -> Vec<u8> {
    let sides: String = shape.iter().map(|s| format!("{s},")).collect();
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sides}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.bytes());
    out.extend(entries);
    out
}

/// One tensor: name, dtype, shape, little-endian entries.
pub type Tensor<'a> = (&'a str, &'a str, Vec<usize>, Vec<u8>);

/// A safetensors file.
pub fn safetensors(tensors: &[Tensor<'_>]) -> Vec<u8> {
    let mut header = Map::new();
    let mut data: Vec<u8> = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
        header.insert(name.to_string(), entry);
        data.extend(bytes);
    }
    let mut text = serde_json::to_string(&header).unwrap();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text.bytes());
    out.extend(data);
    out
}

pub fn f64s(xs: &[f64]) -> Vec<u8> {
    xs.iter().flat_map(|x| x.to_le_bytes()).collect()
}

pub fn f32s(xs: &[f32]) -> Vec<u8> {
    xs.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The upper half of an f32 is a bfloat16.
pub fn bf16s(xs: &[f32]) -> Vec<u8> {
    xs.iter()
        .flat_map(|x| ((x.to_bits() >> 16) as u16).to_le_bytes())
        .collect()
}

pub fn f16s(xs: &[f64]) -> Vec<u8> {
    xs.iter()
        .flat_map(|x| half::f16::from_f64(*x).to_le_bytes())
        .collect()
}

/// A scratch directory with these files in it.
pub fn directory(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        write(directory.path(), name, bytes);
    }
    directory
}

pub fn write(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Whitespace-separated text of a matrix, shortest round-trip decimals.
pub fn text(rows: usize, cols: usize, entry: impl Fn(usize, usize) -> f64) -> String {
    let mut out = String::new();
    for i in 0..rows {
        let row: Vec<String> = (0..cols).map(|j| format!("{:e}", entry(i, j))).collect();
        out.push_str(&row.join(" "));
        out.push('\n');
    }
    out
}
