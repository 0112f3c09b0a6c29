//! Which format a file has: by its first bytes where a format has a signature, otherwise by its
//! extension, otherwise by what the first bytes look like.

use super::mmap::Blob;
use super::safetensors::{self, Contents};
use super::{FormatError, archive, gguf, matrix_market, npy, npz, onnx, pytorch, text};
use std::io::Read;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Npy,
    /// npz or PyTorch: the members tell.
    Zip,
    Pytorch,
    Gguf,
    Onnx,
    Safetensors,
    MatrixMarket,
    Text,
}

/// Why a known format is refused, and what to do.
struct Refusal {
    format: &'static str,
    advice: &'static str,
}

/// Lists the tensors of a file. `beside` is the directory in which a model may keep its numbers;
/// `None` for a stream.
pub(super) fn contents(
    file: &str,
    blob: &Blob,
    beside: Option<&Path>,
) -> Result<Contents, FormatError> {
    if blob.is_empty() {
        let file = file.to_string();
        return Err(FormatError::EmptyFile { file });
    }
    let first = first_bytes(file, blob)?;
    let format = by_signature(&first)
        .or_else(|| by_extension(file))
        .or_else(|| by_appearance(&first, blob.len()));
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
        Format::Zip | Format::Pytorch | Format::Gguf | Format::Onnx | Format::Safetensors
            if blob.is_gzip() =>
        {
            return Err(refuse(Refusal {
                format: "gzip-compressed archive",
                advice: "run gunzip on it first, so that tensors can be read one at a time",
            }));
        }
        Format::Safetensors => return safetensors::contents(file, blob),
        Format::Pytorch => return pytorch::contents(file, stem, blob),
        Format::Zip if archive::is_pytorch(blob) => return pytorch::contents(file, stem, blob),
        Format::Zip => npz::entries(file, blob)?,
        Format::Gguf => return gguf::contents(file, blob),
        Format::Onnx => return onnx::contents(file, blob, beside),
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
        "npz" => Ok(Format::Zip),
        "safetensors" => Ok(Format::Safetensors),
        "mtx" | "mm" => Ok(Format::MatrixMarket),
        "csv" | "tsv" => Ok(Format::Text),
        "pt" | "pth" | "ckpt" | "bin" => Ok(Format::Pytorch),
        "onnx" => Ok(Format::Onnx),
        "gguf" => Ok(Format::Gguf),
        "ggml" => Err(Refusal {
            format: "GGML",
            advice: "convert it to GGUF with the scripts of llama.cpp",
        }),
        "pkl" | "pickle" => Err(PICKLE),
        "h5" | "hdf5" | "keras" => Err(HDF5),
        "mat" => Err(Refusal {
            format: "MATLAB",
            advice: "convert with scipy.io.loadmat and numpy.savez, or save with mmwrite as .mtx",
        }),
        _ => return None,
    })
}

const OLD_TAR: Refusal = Refusal {
    format: "PyTorch tar (before 0.1.10)",
    advice: "load it with torch.load and save model.state_dict() again",
};
const PICKLE: Refusal = Refusal {
    format: "Python pickle",
    advice: "load it in Python and save the arrays with numpy.savez",
};
const HDF5: Refusal = Refusal {
    format: "HDF5",
    advice: "convert with h5py and numpy.savez",
};

/// Formats that begin with a magic string.
fn by_signature(first: &[u8]) -> Option<Result<Format, Refusal>> {
    /// Where a tar archive has its magic string.
    const TAR: usize = 257;
    Some(if first.starts_with(b"\x93NUMPY") {
        Ok(Format::Npy)
    } else if first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06") {
        Ok(Format::Zip)
    } else if first.len() >= 14 && first[..14].eq_ignore_ascii_case(b"%%MatrixMarket") {
        Ok(Format::MatrixMarket)
    } else if first.starts_with(b"GGUF") {
        Ok(Format::Gguf)
    } else if pytorch::is_legacy(first) {
        Ok(Format::Pytorch)
    } else if first.starts_with(b"\x89HDF") {
        Err(HDF5)
    } else if first
        .get(TAR..)
        .is_some_and(|rest| rest.starts_with(b"ustar"))
    {
        Err(OLD_TAR)
    } else {
        return None;
    })
}

fn by_appearance(first: &[u8], length: usize) -> Option<Result<Format, Refusal>> {
    let header = first.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    let is_safetensors = first.get(8) == Some(&b'{') && header.is_some_and(|n| n < length as u64);
    Some(if is_safetensors {
        Ok(Format::Safetensors)
    } else if matches!(first, [0x80, 2..=5, ..]) {
        Err(PICKLE)
    } else if is_text(first) {
        Ok(Format::Text)
    } else if onnx::is_likely(first) {
        Ok(Format::Onnx)
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
