//! Which format a file has: by its extension, or by its first bytes if that says nothing.

use super::mmap::Blob;
use super::safetensors::{self, Contents};
use super::{FormatError, matrix_market, npy, npz, text};
use std::io::Read;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Npy,
    Npz,
    Safetensors,
    MatrixMarket,
    Text,
}

/// Why a known format is refused, and what to do.
struct Refusal {
    format: &'static str,
    advice: &'static str,
}

/// Lists the tensors of a file.
pub(super) fn contents(file: &str, blob: &Blob) -> Result<Contents, FormatError> {
    if blob.is_empty() {
        let file = file.to_string();
        return Err(FormatError::EmptyFile { file });
    }
    let format = match by_extension(file) {
        Some(known) => Some(known),
        None => by_content(&first_bytes(file, blob)?, blob.len()),
    };
    let refuse = |refusal: Refusal| FormatError::Unsupported {
        file: file.to_string(),
        format: refusal.format,
        advice: refusal.advice,
    };
    let format = format
        .ok_or_else(|| FormatError::UnknownFormat {
            file: file.to_string(),
        })?
        .map_err(refuse)?;
    let stem = stem(file);
    let entries = match format {
        Format::Npz | Format::Safetensors if blob.is_gzip() => {
            return Err(refuse(Refusal {
                format: "gzip-compressed archive",
                advice: "run gunzip on it first, so that tensors can be read one at a time",
            }));
        }
        Format::Safetensors => return safetensors::contents(file, blob),
        Format::Npz => npz::entries(file, blob)?,
        Format::Npy => npy::entries(file, stem, blob)?,
        Format::MatrixMarket => matrix_market::entries(file, stem, blob)?,
        Format::Text => text::entries(file, stem, blob)?,
    };
    Ok(Contents {
        entries,
        ..Contents::default()
    })
}

/// The file name without directories and extensions of known formats.
fn stem(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let name = name.strip_suffix(".gz").unwrap_or(name);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// The beginning of the content, decompressed.
fn first_bytes(file: &str, blob: &Blob) -> Result<Vec<u8>, FormatError> {
    let mut first = Vec::new();
    blob.reader()
        .take(4096)
        .read_to_end(&mut first)
        .map_err(|e| FormatError::io(file, e))?;
    Ok(first)
}

fn by_extension(file: &str) -> Option<Result<Format, Refusal>> {
    let name = file.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension {
        "npy" => Ok(Format::Npy),
        "npz" => Ok(Format::Npz),
        "safetensors" => Ok(Format::Safetensors),
        "mtx" | "mm" => Ok(Format::MatrixMarket),
        "csv" | "tsv" => Ok(Format::Text),
        "pt" | "pth" | "ckpt" | "bin" => Err(PYTORCH),
        "pkl" | "pickle" => Err(PICKLE),
        "onnx" => Err(Refusal {
            format: "ONNX",
            advice: "convert with onnx.load, onnx.numpy_helper.to_array for each initializer, and numpy.savez",
        }),
        "gguf" | "ggml" => Err(GGUF),
        "h5" | "hdf5" | "keras" => Err(HDF5),
        "mat" => Err(Refusal {
            format: "MATLAB",
            advice: "convert with scipy.io.loadmat and numpy.savez, or save with mmwrite as .mtx",
        }),
        _ => return None,
    })
}

const PYTORCH: Refusal = Refusal {
    format: "PyTorch",
    advice: "convert with safetensors.torch.save_file(torch.load(path, weights_only=True), 'out.safetensors')",
};
const PICKLE: Refusal = Refusal {
    format: "Python pickle",
    advice: "load it in Python and save the arrays with numpy.savez",
};
const GGUF: Refusal = Refusal {
    format: "GGUF",
    advice: "use the safetensors checkpoint it was converted from",
};
const HDF5: Refusal = Refusal {
    format: "HDF5",
    advice: "convert with h5py and numpy.savez",
};

fn by_content(first: &[u8], length: usize) -> Option<Result<Format, Refusal>> {
    let header = first.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    let is_safetensors = first.get(8) == Some(&b'{') && header.is_some_and(|n| n < length as u64);
    Some(if first.starts_with(b"\x93NUMPY") {
        Ok(Format::Npy)
    } else if first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06") {
        Ok(Format::Npz)
    } else if first.len() >= 14 && first[..14].eq_ignore_ascii_case(b"%%MatrixMarket") {
        Ok(Format::MatrixMarket)
    } else if is_safetensors {
        Ok(Format::Safetensors)
    } else if first.starts_with(b"GGUF") {
        Err(GGUF)
    } else if first.starts_with(b"\x89HDF") {
        Err(HDF5)
    } else if matches!(first, [0x80, 2..=5, ..]) {
        Err(PICKLE)
    } else if is_text(first) {
        Ok(Format::Text)
    } else {
        return None;
    })
}

/// Printable, or UTF-16, which the text reader refuses by name.
fn is_text(first: &[u8]) -> bool {
    let control = |b: &u8| *b == 0x7f || *b < b' ' && !b.is_ascii_whitespace();
    let utf16 = first.starts_with(b"\xff\xfe") || first.starts_with(b"\xfe\xff");
    utf16 || !first.is_empty() && !first.iter().any(control)
}
