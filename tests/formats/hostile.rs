//! Mutated files thrown at every reader: anything but a panic.

use super::{data, read_all};
use isometer::formats::open_bytes;
use proptest::prelude::*;

const SEEDS: &[&str] = &[
    "le_f4_C.npy",
    "be_c16_F.npy",
    "int_cube_F.npy",
    "record.npy",
    "version2.npy",
    "a.npy.gz",
    "stored.npz",
    "deflated.npz",
    "model.safetensors",
    "state.pt",
    "deflated.pt",
    "legacy.pt",
    "module.pt",
    "script.pt",
    "training.pt",
    "unchecked.pt",
    "model.onnx",
    "external.onnx",
    "model.gguf",
    "coordinate_hermitian.mtx",
    "array_skew.mtx",
    "pattern.mtx",
    "a.mtx.gz",
    "a.csv",
    "a.tsv",
    "complex.txt",
];

#[derive(Clone, Debug)]
enum Change {
    Set(u8),
    Flip(u8),
    Insert(u8, usize),
    Remove(usize),
    /// A run of digits becomes another number.
    Number(u64),
    Cut,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<u8>().prop_map(Change::Set),
        (0u8..8).prop_map(|b| Change::Flip(1 << b)),
        (any::<u8>(), 1usize..20).prop_map(|(b, n)| Change::Insert(b, n)),
        (1usize..20).prop_map(Change::Remove),
        prop_oneof![
            Just(0),
            Just(u64::MAX),
            Just(1 << 40),
            any::<u64>(),
            0u64..9
        ]
        .prop_map(Change::Number),
        Just(Change::Cut),
    ]
}

fn apply(bytes: &mut Vec<u8>, place: f64, change: &Change) {
    let at = (place * bytes.len() as f64) as usize;
    if at >= bytes.len() {
        return;
    }
    match change {
        Change::Set(b) => bytes[at] = *b,
        Change::Flip(mask) => bytes[at] ^= mask,
        Change::Insert(b, n) => drop(bytes.splice(at..at, vec![*b; *n])),
        Change::Remove(n) => drop(bytes.drain(at..(at + n).min(bytes.len()))),
        Change::Number(value) => {
            let Some(start) = (at..bytes.len()).find(|&k| bytes[k].is_ascii_digit()) else {
                return;
            };
            let end = (start..bytes.len()).find(|&k| !bytes[k].is_ascii_digit());
            let end = end.unwrap_or(bytes.len());
            bytes.splice(start..end, value.to_string().into_bytes());
        }
        Change::Cut => bytes.truncate(at),
    }
}

proptest! {
    #[test]
    fn mutated_files_never_panic(
        seed in 0..SEEDS.len(),
        changes in prop::collection::vec((0.0f64..1.0, change()), 1..6),
        anonymous: bool,
    ) {
        let name = SEEDS[seed];
        let mut bytes = std::fs::read(data("formats").join(name)).unwrap();
        for (place, change) in &changes {
            apply(&mut bytes, *place, change);
        }
        let name = if anonymous { "-" } else { name };
        if let Err(e) = open_bytes(name, bytes).and_then(|all| read_all(&all)) {
            prop_assert!(e.to_string().starts_with(name));
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), format in 0usize..10) {
        let (name, magic): (&str, &[u8]) = [
            ("x.npy", &b"\x93NUMPY\x01\x00"[..]),
            ("x.npz", b"PK\x03\x04"),
            ("x.safetensors", b"\x40\0\0\0\0\0\0\0{"),
            ("x.mtx", b"%%MatrixMarket matrix coordinate real general\n"),
            ("x.csv", b"1,2\n"),
            ("x.npy.gz", b"\x1f\x8b\x08\0"),
            ("x.pt", b"PK\x03\x04"),
            ("x.pt", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."),
            ("x.onnx", b"\x08\x08\x3a\x40"),
            ("x.gguf", b"GGUF\x03\0\0\0"),
        ][format];
        for start in [&b""[..], magic] {
            let bytes = [start, &bytes].concat();
            let _ = open_bytes(name, bytes).and_then(|all| read_all(&all));
        }
    }
}
