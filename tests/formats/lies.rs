//! GGUF and ONNX headers that no writer makes.

use super::assert_names;
use isometer::formats::open_bytes;

fn message(name: &str, bytes: &[u8]) -> String {
    let message = open_bytes(name, bytes.to_vec())
        .expect_err(name)
        .to_string();
    assert!(message.starts_with(name), "{message}");
    message
}

/// A GGUF file of `tensors` claimed tensors and `pairs` claimed keys.
fn gguf(version: u32, tensors: u64, pairs: u64, rest: &[u8]) -> Vec<u8> {
    [
        &b"GGUF"[..],
        &version.to_le_bytes(),
        &tensors.to_le_bytes(),
        &pairs.to_le_bytes(),
        rest,
    ]
    .concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn tensor(name: &str, dims: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut bytes = text(name);
    bytes.extend((dims.len() as u32).to_le_bytes());
    dims.iter().for_each(|d| bytes.extend(d.to_le_bytes()));
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}

#[test]
fn gguf_headers_that_lie() {
    let say = |bytes: &[u8]| message("x.gguf", bytes);
    assert_names(&say(b"GGML"), &["not a GGUF file"]);
    assert_names(&say(b"GGUF"), &["truncated", "version"]);
    assert_names(&say(&gguf(1, 0, 0, &[])), &["version 1", "convert"]);
    assert_names(&say(&gguf(9, 0, 0, &[])), &["version 9"]);
    assert_names(&say(&gguf(3u32.swap_bytes(), 0, 0, &[])), &["big-endian"]);
    assert_names(&say(&gguf(3, 0, u64::MAX, &[0; 64])), &["keys", "64"]);
    assert_names(
        &say(&gguf(3, u64::MAX, 0, &[0; 64])),
        &["tensor descriptions"],
    );
    let key = |name: &str, value: &[u8]| gguf(3, 0, 1, &[&text(name), value, &[0; 16]].concat());
    assert_names(&say(&key("k", &[99, 0, 0, 0])), &["'k'", "type 99"]);
    let long = u64::MAX.to_le_bytes();
    assert_names(
        &say(&key("k", &[&[8, 0, 0, 0][..], &long].concat())),
        &["truncated", "value"],
    );
    for item in [0u32, 4, 8, 9, 12] {
        let array = [&9u32.to_le_bytes()[..], &item.to_le_bytes(), &long].concat();
        assert_names(&say(&key("k", &array)), &["truncated", "array"]);
    }
    let nested = [
        9u32.to_le_bytes().to_vec(),
        [&9u32.to_le_bytes()[..], &1u64.to_le_bytes()]
            .concat()
            .repeat(50),
    ];
    assert_names(
        &say(&key("k", &nested.concat())),
        &["'k'", "within each other"],
    );
    for alignment in [0u32, 7] {
        let value = [4u32.to_le_bytes(), alignment.to_le_bytes()].concat();
        assert_names(&say(&key("general.alignment", &value)), &["alignment"]);
    }

    let one = |dims: &[u64], kind, offset| {
        gguf(
            3,
            1,
            0,
            &[tensor("w", dims, kind, offset), vec![0; 96]].concat(),
        )
    };
    assert!(open_bytes("x.gguf", one(&[4, 4], 0, 0)).is_ok());
    assert_names(&say(&one(&[4, 5], 0, 32)), &["truncated", "'w'"]);
    assert_names(&say(&one(&[4, 4], 0, 8)), &["'w'", "alignment 32"]);
    assert_names(&say(&one(&[1 << 40, 1 << 40], 0, 0)), &["'w'", "too large"]);
    assert_names(&say(&one(&[31, 1], 8, 0)), &["'w'", "Q8_0", "32"]);
    assert_names(&say(&one(&[1; 5], 0, 0)), &["'w'", "5 dimensions"]);
    assert_names(&say(&one(&[1], 0, u64::MAX - 31)), &["truncated", "'w'"]);
    let twice = [
        tensor("w", &[1], 0, 0),
        tensor("w", &[1], 0, 0),
        vec![0; 96],
    ]
    .concat();
    assert_names(&say(&gguf(3, 2, 0, &twice)), &["'w'", "twice"]);
    // Types that came later, and tensors without numbers, are listed.
    let all = open_bytes("x.gguf", one(&[4], 250, 0)).unwrap();
    assert_eq!(all.entries()[0].dtype(), "type 250");
    let all = open_bytes("x.gguf", one(&[0, 4], 12, 0)).unwrap();
    assert_eq!(all.entries()[0].shape(), [4, 0]);
    assert_eq!(all.entries()[0].bytes(), Some(0));
}

/// A field that holds bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    [&bytes, content].concat()
}

/// A model with one initializer `w` of this type, these dimensions and other fields.
fn model(data_type: u8, dims: &[u8], rest: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|d| [0x08, *d]).collect();
    let tensor = [&dims, &[0x10, data_type][..], &field(8, b"w"), rest].concat();
    field(7, &field(5, &tensor))
}

#[test]
fn onnx_models_that_lie() {
    let say = |bytes: &[u8]| message("x.onnx", bytes);
    let raw = |n: usize| field(9, &vec![0; n]);
    assert!(open_bytes("x.onnx", model(1, &[2, 2], &raw(16))).is_ok());
    assert_names(
        &say(&model(1, &[2, 2], &raw(15))),
        &["'w'", "16 bytes", "15"],
    );
    assert_names(&say(&model(1, &[2, 2], &[])), &["'w'", "16 bytes", "0"]);
    assert_names(
        &say(&model(1, &[2, 2], &field(4, &[0; 12]))),
        &["'w'", "12"],
    );
    assert_names(
        &say(&model(10, &[2, 2], &field(5, &[0; 3]))),
        &["'w'", "8 bytes", "6"],
    );
    // 2^64 - 1 is the dimension -1.
    let minus = [&[0x08][..], &[0xff; 9], &[0x01]].concat();
    assert_names(
        &say(&model(1, &[], &[minus, raw(4)].concat())),
        &["'w'", "-1"],
    );
    // The bits of a half that has more than sixteen.
    let all = open_bytes("x.onnx", model(10, &[1, 1], &field(5, &[0x80, 0x80, 0x04]))).unwrap();
    assert_names(&all.load(0).unwrap_err().to_string(), &["'w'", "65536"]);
    assert_names(&say(b"\x08\x08"), &["no graph"]);
    assert_names(&say(&[0x3a, 0x7f]), &["truncated", "127"]);
    assert_names(&say(&[0x3b]), &["kind 3", "byte 0"]);
    assert_names(&say(&[0xff; 12]), &["no end", "byte 0"]);
    assert_names(
        &say(&[
            0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ]),
        &["truncated"],
    );
    let external = |pairs: &[(&str, &str)]| {
        let pair = |(k, v): &(&str, &str)| {
            field(
                13,
                &[field(1, k.as_bytes()), field(2, v.as_bytes())].concat(),
            )
        };
        let pairs: Vec<u8> = pairs.iter().flat_map(pair).collect();
        model(1, &[1, 1], &[pairs, vec![0x70, 1]].concat())
    };
    assert_names(&say(&external(&[])), &["'w'", "location"]);
    assert_names(
        &say(&external(&[("location", "x"), ("offset", "-1")])),
        &["'w'", "offset '-1'"],
    );
    assert_names(
        &say(&external(&[("location", "x"), ("length", "5")])),
        &["'w'", "length '5'"],
    );

    // A graph in an attribute of a node of a graph, and so on.
    let mut graph = Vec::new();
    for _ in 0..1000 {
        graph = field(1, &field(5, &field(6, &graph)));
    }
    assert_names(&say(&field(7, &graph)), &["within each other"]);
    // Long names of nodes around many tensors.
    let many = field(5, &[0x10, 1, 0x08, 0]).repeat(10_000);
    let node = [field(3, &[b'n'; 20_000]), field(5, &field(6, &many))].concat();
    assert_names(&say(&field(7, &field(1, &node))), &["names"]);
}
