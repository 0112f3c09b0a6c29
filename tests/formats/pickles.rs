//! Pickles that no `torch.save` writes: programs, lies, knots.

use super::assert_names;
use isometer::formats::{Collection, FormatError, open_bytes};
use proptest::prelude::*;
use std::io::Write;

/// An archive around a pickle, with a storage `0` of 16 bytes.
pub fn archive(pickle: &[u8]) -> Vec<u8> {
    members(&[("a/data.pkl", pickle), ("a/data/0", &[0; 16])])
}

fn members(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn attempt(pickle: &[u8]) -> Result<Collection, FormatError> {
    open_bytes("x.pt", archive(pickle))
}

fn message(pickle: &[u8]) -> String {
    let message = attempt(pickle).expect_err("refused").to_string();
    assert!(message.starts_with("x.pt: "), "{message}");
    message
}

fn text(text: &str) -> Vec<u8> {
    [
        &b"X"[..],
        &(text.len() as u32).to_le_bytes(),
        text.as_bytes(),
    ]
    .concat()
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    [&b"\x80\x02"[..], &parts.concat(), b"."].concat()
}

/// Instructions for a tensor over storage `0`, of `count` binary32 numbers.
fn tensor(count: u32, offset: u32, shape: &[u32], strides: &[u32]) -> Vec<u8> {
    let int = |n: &u32| [&b"J"[..], &n.to_le_bytes()].concat();
    let tuple = |items: &[u32]| {
        let items: Vec<u8> = items.iter().flat_map(int).collect();
        [&b"("[..], &items, b"t"].concat()
    };
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        int(&count),
        b"tQ".to_vec(),
        int(&offset),
        tuple(shape),
        tuple(strides),
        b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
    ]
    .concat()
}

fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> = entries
        .iter()
        .flat_map(|(key, value)| [text(key), value.clone()].concat())
        .collect();
    [&b"}("[..], &entries, b"u"].concat()
}

fn sound() -> Vec<u8> {
    tensor(4, 0, &[2, 2], &[2, 1])
}

/// `os.system('touch ...')`, which Python would run.
fn command(file: &str) -> Vec<u8> {
    [
        b"cposix\nsystem\n".to_vec(),
        text(&format!("touch {file}")),
        b"\x85R".to_vec(),
    ]
    .concat()
}

#[test]
fn nothing_is_called() {
    let dir = tempfile::tempdir().unwrap();
    let witness = dir.path().join("called");
    let command = command(&witness.display().to_string());
    assert_names(
        &message(&join(&[&command])),
        &["posix.system", "does not", "hostile", "state_dict()"],
    );
    // Beside tensors it is a remark; in the place of a part of a tensor it is a refusal.
    let all = attempt(&join(&[&dict(&[("w", sound()), ("x", command.clone())])])).unwrap();
    assert_eq!(all.entries().len(), 1);
    assert_names(&all.notes()[0], &["posix.system", "does not"]);
    let in_place = [
        b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec(),
        command,
        b"K\0))tR".to_vec(),
    ];
    assert_names(
        &message(&join(&[&in_place.concat()])),
        &["without a storage"],
    );
    // Every instruction that calls, and what only a call could name.
    for pickle in [
        b"(iposix\nsystem\n.".to_vec(),
        b"(cposix\nsystem\no.".to_vec(),
        b"cposix\nsystem\n)\x81.".to_vec(),
        b"cposix\nsystem\n)}\x92.".to_vec(),
        [text("posix"), text("system"), b"\x93)R.".to_vec()].concat(),
    ] {
        assert_names(&message(&pickle), &["posix.system"]);
    }
    let chained = b"cbuiltins\ngetattr\n)R)R.";
    assert_names(&message(chained), &["builtins.getattr"]);
    assert!(!witness.exists());
}

#[test]
fn tensors_that_lie() {
    let say = |count, offset, shape: &[u32], strides: &[u32]| {
        message(&join(&[&dict(&[(
            "w",
            tensor(count, offset, shape, strides),
        )])]))
    };
    assert!(attempt(&join(&[&dict(&[("w", sound())])])).is_ok());
    assert_names(&say(5, 0, &[2, 2], &[2, 1]), &["'w'", "20 bytes", "has 16"]);
    assert_names(&say(4, 1, &[2, 2], &[2, 1]), &["'w'", "20 bytes", "'0'"]);
    assert_names(&say(4, 0, &[2, 2], &[3, 1]), &["'w'", "20 bytes"]);
    assert_names(&say(4, 0, &[2], &[2, 1]), &["'w'", "dimensions"]);
    assert_names(&say(4, u32::MAX, &[2, 2], &[2, 1]), &["negative offset"]);
    assert_names(&say(4, 0, &[u32::MAX, 2], &[2, 1]), &["shape"]);
    let huge = [1 << 30, 1 << 30, 1 << 30];
    assert_names(&say(4, 0, &huge, &[1 << 30, 1 << 30, 1]), &["'w'", "needs"]);
    // Far more entries than numbers, without a byte beyond the storage.
    let all = attempt(&join(&[&tensor(4, 0, &huge, &[0, 0, 0])])).unwrap();
    assert!(
        all.load(0)
            .unwrap_err()
            .to_string()
            .contains("repeat 4 stored")
    );
    let swapped = |from: &[u8], to: &[u8]| {
        let mut pickle = join(&[&sound()]);
        let at = pickle.windows(from.len()).position(|w| w == from).unwrap();
        pickle[at..at + to.len()].copy_from_slice(to);
        message(&pickle)
    };
    assert_names(
        &swapped(b"X\x01\0\0\x000", b"X\x01\0\0\x009"),
        &["storage '9'"],
    );
    assert_names(&swapped(b"FloatS", b"FleaxS"), &["torch.FleaxStorage"]);
}

#[test]
fn archives_that_lie() {
    let pickle = join(&[&sound()]);
    let say = |list: &[(&str, &[u8])]| open_bytes("x.pt", members(list)).unwrap_err().to_string();
    let data: &[u8] = &[0; 16];
    assert_names(
        &say(&[
            ("a/data.pkl", &pickle),
            ("a/data/0", data),
            ("a/byteorder", b"big"),
        ]),
        &["'big'", "little-endian"],
    );
    assert_names(
        &say(&[("a/data.pkl", &pickle), ("b/data.pkl", &pickle)]),
        &["a/data.pkl", "b/data.pkl"],
    );
    assert_names(
        &say(&[("a/data.pkl", &pickle), ("b/data/0", data)]),
        &["storage '0'"],
    );
    assert_names(&say(&[("a/x", data)]), &["1 members", "data.pkl"]);
    assert_names(
        &open_bytes("x.pt", b"hello".to_vec())
            .unwrap_err()
            .to_string(),
        &["torch.save"],
    );
    // A storage whose bytes are not those that were written is noticed when it is read.
    let mut file = members(&[("a/data.pkl", &pickle), ("a/data/0", data)]);
    let second = file.windows(8).position(|w| w == b"a/data/0").unwrap();
    file[second + 8] ^= 1;
    let all = open_bytes("x.pt", file).unwrap();
    assert_names(
        &all.load(0).unwrap_err().to_string(),
        &["a/data/0", "checksum"],
    );
}

#[test]
fn a_pickle_bomb_is_not_inflated() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    zip.start_file("a/data.pkl", options).unwrap();
    zip.write_all(&vec![b'}'; 8 << 20]).unwrap();
    let file = zip.finish().unwrap().into_inner();
    let message = open_bytes("x.pt", file).unwrap_err().to_string();
    assert_names(&message, &["a/data.pkl", "8388608 bytes"]);
    // As many containers as bytes.
    assert_names(&self::message(&vec![b'}'; 1 << 20]), &["objects"]);
}

#[test]
fn lengths_that_lie() {
    let long = u64::MAX.to_le_bytes();
    for opcode in [0x8d, 0x8e, 0x95, 0x96] {
        let pickle = [&[opcode][..], &long, b"."].concat();
        assert_names(
            &message(&pickle),
            &["data.pkl", "byte 0", "18446744073709551615"],
        );
    }
    for opcode in [b'X', b'B', b'T', 0x8b] {
        assert_names(&message(&[opcode, 0xff, 0xff, 0xff, 0x7f]), &["2147483647"]);
    }
    assert_names(&message(b"c"), &["truncated"]);
    assert_names(&message(b""), &["truncated"]);
    for pickle in [
        &b"R."[..],
        b"t.",
        b"a.",
        b"(R.",
        b"N(0s.",
        b"h\x01.",
        b"gx\n.",
        b"b.",
        b"1.",
        b"Q.",
    ] {
        assert_names(&message(pickle), &["does not fit the stack"]);
    }
    for opcode in [0x82, 0x83, 0x84, 0x97, 0x98, 0xff] {
        assert_names(&message(&[opcode, b'.']), &[&format!("{opcode:#04x}")]);
    }
}

#[test]
fn knots_are_untied() {
    // A list that holds itself, and a dictionary beside it.
    let knot = join(&[
        b"}q\x01(",
        &text("me"),
        b"h\x01",
        &text("w"),
        &sound(),
        b"u",
    ]);
    assert_eq!(attempt(&knot).unwrap().entries().len(), 1);
    assert_names(&message(b"]q\x01h\x01a."), &["no tensors"]);
    let object = b"cfoo\nBar\n)\x81q\x01}(X\x01\0\0\0ah\x01ub.";
    assert_names(&message(object), &["foo.Bar"]);

    // Each list holds the one before it twice: 2^40 ways to one tensor, or to none.
    let doubling = |leaf: Vec<u8>| {
        let step: &[u8] = b"q\x00](h\x00h\x00e";
        join(&[&leaf, &step.repeat(40)])
    };
    assert_names(&message(&doubling(sound())), &["refer to each other"]);
    assert_names(&message(&doubling(b"]".to_vec())), &["no tensors"]);

    let deep = |levels: usize| join(&[&sound(), &b"\x85q\x02".repeat(levels)]);
    assert_eq!(attempt(&deep(100)).unwrap().entries().len(), 1);
    assert_names(&message(&deep(100_000)), &["containers within each other"]);
    // The deepest objects that are read, on a thread of ordinary size.
    let nested = b"cfoo\nBar\n)\x81}(X\x01\0\0\0a".repeat(90);
    let nested = join(&[&nested, &sound(), &b"ub".repeat(90)]);
    assert_eq!(attempt(&nested).unwrap().entries().len(), 1);
}

/// Every byte of a small checkpoint set to every value that differs in one bit, and to extremes.
#[test]
fn every_changed_byte_of_a_pickle_is_read_or_refused() {
    let pickle = join(&[&dict(&[("w", sound()), ("x", command("/dev/null"))])]);
    for at in 0..pickle.len() {
        for change in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
            let mut changed = pickle.clone();
            changed[at] ^= change;
            match attempt(&changed) {
                Ok(all) => drop(super::read_all(&all)),
                Err(e) => assert!(e.to_string().starts_with("x.pt: ")),
            }
        }
    }
}

proptest! {
    #[test]
    fn random_instructions_never_panic(
        opcodes in prop::collection::vec(
            prop::sample::select(&b"()]}.0123NKMJXcqhjrRtQusabelod\x81\x85\x86\x87\x88\x8a\x8c\x8f\x90\x91\x92\x93\x94"[..]),
            0..60,
        ),
        sound_first: bool,
    ) {
        let start = if sound_first { sound() } else { Vec::new() };
        if let Ok(all) = attempt(&join(&[&start, &opcodes])) {
            let _ = super::read_all(&all);
        }
    }
}
