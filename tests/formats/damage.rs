//! Files cut short or altered: each must be refused with its place, and nothing may panic.

use super::{assert_names, data, npy, read_all, safetensors};
use isometer::formats::{Content, FormatError, open_bytes};

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data("formats").join(name)).unwrap()
}

/// Opens and reads everything.
fn attempt(name: &str, bytes: Vec<u8>) -> Result<usize, FormatError> {
    read_all(&open_bytes(name, bytes)?)
}

fn message(name: &str, bytes: Vec<u8>) -> String {
    let error = attempt(name, bytes).expect_err(name).to_string();
    assert!(error.starts_with(name), "file not named: {error}");
    error
}

#[test]
fn every_prefix_of_a_binary_file_is_refused() {
    for name in [
        "le_f4_C.npy",
        "be_c16_F.npy",
        "int_be_i4.npy",
        "version3.npy",
        "a.npy.gz",
        "a.mtx.gz",
        "a.csv.gz",
        "stored.npz",
        "deflated.npz",
        "model.safetensors",
        "state.pt",
        "deflated.pt",
        "legacy.pt",
        "module_legacy.pt",
    ] {
        let whole = bytes(name);
        assert!(attempt(name, whole.clone()).is_ok(), "{name}");
        for cut in 0..whole.len() {
            let error = attempt(name, whole[..cut].to_vec());
            let error = error
                .expect_err(&format!("{name} cut at {cut}"))
                .to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}

/// Padding at the end and unread parts may be missing, numbers may not.
#[test]
fn every_prefix_of_a_model_is_refused_or_whole() {
    let (whole, end) = (bytes("model.gguf"), 4772);
    for cut in 0..whole.len() {
        match attempt("m.gguf", whole[..cut].to_vec()) {
            Ok(n) => assert!(n == 589 && cut >= end, "cut at {cut}"),
            Err(e) => assert!(e.to_string().starts_with("m.gguf") && cut < end, "{e}"),
        }
    }
    // A model may end after any field: functions, for one, are not needed.
    let whole = bytes("model.onnx");
    let count = attempt("m.onnx", whole.clone()).unwrap();
    for cut in 0..whole.len() {
        match attempt("m.onnx", whole[..cut].to_vec()) {
            Ok(n) => assert!(n < count || cut > 2100, "cut at {cut}"),
            Err(e) => assert!(e.to_string().starts_with("m.onnx")),
        }
    }
}

/// Nothing but the zip format has checksums: a changed byte may change a number, but never the
/// process.
#[test]
fn every_changed_byte_of_a_model_is_read_or_refused() {
    for name in [
        "model.gguf",
        "model.onnx",
        "external.onnx",
        "tensor.pt",
        "module_legacy.pt",
        "legacy.pt",
    ] {
        let whole = bytes(name);
        for at in 0..whole.len() {
            for change in [1, 0xff] {
                let mut changed = whole.clone();
                changed[at] ^= change;
                if let Err(e) = attempt(name, changed) {
                    assert!(e.to_string().starts_with(name), "{e}");
                }
            }
        }
    }
}

#[test]
fn every_prefix_of_a_matrix_market_file_is_refused_or_differs_in_the_last_token_only() {
    for name in [
        "coordinate_general.mtx",
        "array_hermitian.mtx",
        "pattern.mtx",
        "array_complex.mtx",
    ] {
        let whole = bytes(name);
        let count = attempt(name, whole.clone()).unwrap();
        let end = whole.trim_ascii_end().len();
        let last = whole[..end]
            .iter()
            .rposition(u8::is_ascii_whitespace)
            .unwrap();
        for cut in 0..whole.len() {
            match attempt(name, whole[..cut].to_vec()) {
                Ok(n) => assert!(n == count && cut > last + 1, "{name} cut at {cut}"),
                Err(e) => assert!(cut < end, "{name} cut at {cut}: {e}"),
            }
        }
    }
}

#[test]
fn every_prefix_of_text_is_sound() {
    for name in ["a.txt", "a.csv", "a.tsv", "complex.txt"] {
        let whole = bytes(name);
        for cut in 0..whole.len() {
            if let Ok(n) = attempt(name, whole[..cut].to_vec()) {
                assert!(n <= 12, "{name} cut at {cut}: {n} numbers");
            }
        }
    }
}

#[test]
fn every_flipped_byte_of_an_npz_array_is_noticed() {
    // Only the archive format has checksums; the others cannot notice.
    for name in ["stored.npz", "deflated.npz"] {
        let whole = bytes(name);
        let local = b"PK\x03\x04";
        let second = whole.windows(4).skip(1).position(|w| w == local).unwrap() + 1;
        // Fixed part of the local header and the member name `w.npy`.
        for at in 30 + 5..second {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            // A damaged dtype may read as an unknown one: then the array is reported as skipped.
            let noticed = match open_bytes(name, changed.clone()) {
                Ok(all) => matches!(all.entries()[0].content(), Content::Skip(_)),
                Err(_) => true,
            };
            assert!(
                noticed || attempt(name, changed).is_err(),
                "{name} byte {at}"
            );
        }
    }
}

#[test]
fn empty_and_foreign_files() {
    for name in [
        "x.npy",
        "x.npz",
        "x.safetensors",
        "x.mtx",
        "x.csv",
        "x",
        "-",
    ] {
        assert!(message(name, Vec::new()).contains("empty"), "{name}");
    }
    assert_names(
        &message("blob", vec![0, 1, 2, 3]),
        &["safetensors", "Matrix Market", "npy"],
    );
    for name in ["m.h5", "m.mat", "m.pkl", "m.ggml"] {
        assert_names(&message(name, vec![1]), &["not supported yet"]);
    }
    assert_names(&message("m", b"\x80\x02}q".to_vec()), &["pickle"]);
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    assert_names(&message("m.pt", tar), &["tar", "state_dict"]);
    assert_names(
        &message("x.npy", b"hello world".to_vec()),
        &["not an npy file"],
    );
    assert_names(&message("x.npz", b"hello world".to_vec()), &["zip"]);
    assert_names(
        &message("x.mtx", b"hello\n".to_vec()),
        &["line 1", "hello", "%%MatrixMarket"],
    );
    assert_names(&message("x.csv", b"\xff\xfe1\0".to_vec()), &["UTF-16"]);
    for file in [
        "model.safetensors",
        "stored.npz",
        "state.pt",
        "model.onnx",
        "model.gguf",
    ] {
        use std::io::Write;
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&bytes(file)).unwrap();
        let packed = gz.finish().unwrap();
        assert_names(&message(&format!("{file}.gz"), packed), &["gunzip"]);
    }
}

#[test]
fn safetensors_headers_that_lie() {
    let name = "x.safetensors";
    let say = |json: &str, payload: usize| message(name, safetensors(json, &vec![0; payload]));

    for length in [u64::MAX, 1 << 63, 1000] {
        let mut file = length.to_le_bytes().to_vec();
        file.extend(b"{}");
        assert_names(&message(name, file), &[&length.to_string(), "2 after them"]);
    }
    assert_names(&message(name, vec![1, 2]), &["2 bytes"]);
    assert_names(&say("{", 0), &["bytes 8..9"]);
    assert_names(&say("[]", 0), &["object of tensors"]);
    let mut file = safetensors(
        r#"{"xx":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}"#,
        &[0; 4],
    );
    file[10] = 0xff;
    assert_names(&message(name, file), &["not valid"]);

    let t = |shape: &str, dtype: &str, begin: u64, end: u64| {
        format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
    };
    let one = |entry: &str| format!(r#"{{"w":{entry}}}"#);
    assert_names(
        &say(&one(&t("[2,2]", "F32", 0, 17)), 32),
        &["'w'", "16 bytes", "give 17"],
    );
    assert_names(
        &say(&one(&t("[2,2]", "F32", 0, 16)), 15),
        &["'w'", "truncated"],
    );
    assert_names(
        &say(&one(&t("[2,2]", "F32", 16, 0)), 16),
        &["'w'", "backwards"],
    );
    assert_names(
        &say(&one(&t("[2,2]", "F32", u64::MAX, u64::MAX)), 16),
        &["'w'", "truncated"],
    );
    let huge = "[4294967296,4294967296,4294967296]";
    assert_names(&say(&one(&t(huge, "F32", 0, 16)), 16), &["'w'", "too many"]);
    assert_names(&say(&one(&t(huge, "F4", 0, 16)), 16), &["'w'", "too many"]);
    assert_names(
        &say(&one(&t("[-1]", "F32", 0, 4)), 4),
        &["'w'", "bad header entry"],
    );
    assert_names(&say(&one(r#"{"dtype":"F32"}"#), 4), &["'w'", "shape"]);
    let two = |a: &str, b: &str| format!(r#"{{"v":{a},"w":{b}}}"#);
    let overlap = two(&t("[2,2]", "F32", 0, 16), &t("[2,2]", "F32", 12, 28));
    assert_names(
        &say(&overlap, 28),
        &[
            "'v'",
            "'w'",
            "overlap",
            &format!("byte {}", 8 + overlap.len() + 12),
        ],
    );
    let twice = format!(r#"{{"w":{0},"w":{0}}}"#, t("[1]", "F32", 0, 4));
    assert_names(&say(&twice, 4), &["'w'", "twice"]);

    // Unused bytes are a remark, an empty tensor and an empty file are not damage.
    let all = open_bytes(name, safetensors(&one(&t("[1,1]", "F32", 4, 8)), &[0; 9])).unwrap();
    assert_names(&all.notes()[0], &[name, "5 bytes"]);
    assert_eq!(
        attempt(name, safetensors(&one(&t("[0,7]", "F32", 0, 0)), &[])).unwrap(),
        0
    );
    assert_eq!(attempt(name, safetensors("{}", &[])).unwrap(), 0);
}

#[test]
fn npy_headers_that_lie() {
    let name = "x.npy";
    let say = |dict: &str| message(name, npy(dict, &[0; 64]));
    let dict =
        |shape: &str| format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
    assert!(attempt(name, npy(&dict("(2, 4)"), &[0; 64])).is_ok());
    assert_names(&say(&dict("(2, 5)")), &["truncated", "array"]);
    assert_names(
        &say(&dict("(18446744073709551615, 18446744073709551615)")),
        &["shape"],
    );
    assert_names(
        &say(&dict("(99999999999999999999, 1)")),
        &["dimension", "byte"],
    );
    assert_names(&say(&dict("(-1, 1)")), &["dimension"]);
    assert_names(&say("{'descr': '<f8'}"), &["fortran_order"]);
    assert_names(&say("{'descr': '<f8"), &["closing quote"]);
    assert_names(&say("{'descr': [[[[[["), &["closing bracket"]);
    assert_names(&say("{'what': 1}"), &["'descr'"]);
    assert_names(&say(""), &["'{'"]);
    let mut file = npy(&dict("(2, 4)"), &[0; 64]);
    file[6] = 9;
    assert_names(&message(name, file.clone()), &["version 9.0"]);
    file[6] = 2;
    assert_names(&message(name, file), &["header at byte 12", "limit"]);
    // Bytes after the array are only a remark.
    let all = open_bytes(name, npy(&dict("(2, 3)"), &[0; 64])).unwrap();
    assert!(all.load(0).unwrap().note().unwrap().contains("ignored"));
}

#[test]
fn npz_sizes_that_lie() {
    let whole = bytes("deflated.npz");
    let central = whole.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let with = |at: usize, value: u32| {
        let mut changed = whole.clone();
        changed[central + at..central + at + 4].copy_from_slice(&value.to_le_bytes());
        message("x.npz", changed)
    };
    // Compressed size at 20, uncompressed at 24, checksum at 16.
    assert_names(&with(24, 223), &["w.npy", "declares 223", "needs 224"]);
    assert_names(&with(24, u32::MAX - 1), &["w.npy", "declares 4294967294"]);
    assert_names(&with(16, 0), &["w.npy"]);
    assert_names(&with(20, 8), &["w.npy"]);
}

#[test]
fn a_zip_bomb_is_not_inflated() {
    use std::io::Write;
    // A header that claims 2^40 entries over 40 bytes of data, with a directory that agrees.
    let claim = "{'descr': '<f8', 'fortran_order': False, 'shape': (1048576, 1048576), }";
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    zip.start_file("w.npy", options).unwrap();
    zip.write_all(&npy(claim, &[0; 40])).unwrap();
    let honest = zip.finish().unwrap().into_inner();
    assert_names(&message("x.npz", honest), &["w.npy", "needs 8796093022"]);
    // A deflated npy.gz of the same kind ends where its data ends.
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(&npy(claim, &[0; 40])).unwrap();
    assert_names(
        &message("x.npy.gz", gz.finish().unwrap()),
        &["truncated", "8796093022"],
    );
}

#[test]
fn zip_archives_without_arrays() {
    use std::io::Write;
    let options = zip::write::SimpleFileOptions::default();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("notes.txt", options).unwrap();
    zip.write_all(b"x").unwrap();
    let file = zip.finish().unwrap().into_inner();
    assert_names(&message("model", file), &["1 members", "data.pkl", ".npy"]);
}

#[test]
fn matrix_market_faults_name_their_line() {
    let say = |text: &str| message("x.mtx", text.as_bytes().to_vec());
    let general =
        |rest: &str| format!("%%MatrixMarket matrix coordinate real general\n% c\n{rest}");
    assert_names(&say(&general("2 2\n")), &["line 3", "three integers"]);
    assert_names(&say(&general("2 x 1\n")), &["line 3", "2 x 1"]);
    assert_names(
        &say(&general("2 2 1\n3 1 1.0\n")),
        &["line 4", "(3, 1)", "1..2"],
    );
    assert_names(
        &say(&general("2 2 1\n0 1 1.0\n")),
        &["line 4", "(0, 1)", "count from 1"],
    );
    assert_names(&say(&general("2 2 1\n1 -1 1.0\n")), &["line 4", "(1, -1)"]);
    assert_names(
        &say(&general("2 2 1\n1 1\n")),
        &["line 4", "expected 3", "found 2"],
    );
    assert_names(
        &say(&general("2 2 1\n1 1 1 1 1 1\n")),
        &["line 4", "found 6"],
    );
    assert_names(&say(&general("2 2 1\n1 1 abc\n")), &["line 4", "'abc'"]);
    assert_names(
        &say(&general("2 2 1\n1 1 1e999\n")),
        &["line 4", "1e999", "range"],
    );
    assert_names(
        &say(&general("2 2 3\n1 1 1\n")),
        &["3 entries", "after 1", "line 4"],
    );
    assert_names(
        &say(&general("2 2 1\n1 1 1\n2 2 1\n")),
        &["line 5", "more than the 1"],
    );
    assert_names(
        &say(&general("100000 100000 0\n")),
        &["80000000000 bytes", "17179869184"],
    );
    let banner = |words: &str, rest: &str| say(&format!("%%MatrixMarket matrix {words}\n{rest}"));
    assert_names(
        &banner("array pattern general", "1 1\n1\n"),
        &["array", "pattern"],
    );
    assert_names(&banner("array real hermitian", "1 1\n1\n"), &["hermitian"]);
    assert_names(
        &banner("coordinate real symmetric", "2 3 0\n"),
        &["square", "2 x 3"],
    );
    assert_names(
        &banner("coordinate real skew-symmetric", "2 2 1\n1 1 5\n"),
        &["line 3", "diagonal", "zero"],
    );
    assert_names(
        &banner("coordinate complex hermitian", "2 2 1\n2 2 5 1\n"),
        &["line 3", "diagonal", "real"],
    );
    assert_names(
        &banner("coordinate integer general", "1 1 1\n1 1 1.5\n"),
        &["line 3", "1.5"],
    );
    assert_names(
        &banner("array quaternion general", "1 1\n1\n"),
        &["line 1", "quaternion"],
    );
}

#[test]
fn text_faults_name_line_and_column() {
    let say = |text: &str| message("x.csv", text.as_bytes().to_vec());
    assert_names(&say("1,2\n3,4,5\n"), &["line 2 has 3", "line 1 has 2"]);
    assert_names(&say("# c\n1 2\n\n3\n"), &["line 4 has 1", "line 2 has 2"]);
    assert_names(&say("1,2\n3,x1\n"), &["line 2, value 2", "'x1'"]);
    assert_names(&say("1,2\n3,\n"), &["line 2, value 2", "empty"]);
    assert_names(&say("1,5;2,5\n"), &["line 1, value 1", "'1,5'"]);
    assert_names(&say("1e309\n"), &["line 1, value 1", "1e309", "range"]);
    assert_names(&say("a,b\nc,d\n"), &["line 2, value 1", "'c'"]);
    assert_names(&say("# only\n\n"), &["no numbers", "2 lines"]);
    assert_names(&say("a,b\n"), &["no numbers"]);
    let binary: Vec<u8> = (0..=255).collect();
    assert_names(&message("x.csv", binary), &["line"]);
}
