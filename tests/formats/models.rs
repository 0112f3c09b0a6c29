//! PyTorch, ONNX and GGUF files of the libraries that people write them with.

use super::{Rows, a, assert_names, data, only, open_data, read_all, real, rows, z};
use isometer::formats::{Collection, Content, SkipReason, Source, open, open_bytes};
use isometer::linalg::element::ElementType;

fn listed(file: &str) -> Collection {
    open_data(&format!("formats/{file}")).unwrap_or_else(|e| panic!("{e}"))
}

/// The number of the only entry of this name.
fn at(all: &Collection, name: &str) -> usize {
    let hits: Vec<usize> = (0..all.entries().len())
        .filter(|&k| all.entries()[k].stored_name() == name)
        .collect();
    assert_eq!(hits.len(), 1, "{name} in {:?}", names(all));
    hits[0]
}

fn names(all: &Collection) -> Vec<&str> {
    all.entries().iter().map(|e| e.stored_name()).collect()
}

fn numbers(all: &Collection, name: &str) -> Rows {
    let k = at(all, name);
    let tensor = match all.entries()[k].content() {
        Content::Readable(_) => all.load(k),
        Content::Skip(_) => all.load_vector(k).map(|t| t.expect(name)),
    };
    rows(&tensor.unwrap_or_else(|e| panic!("{e}")))
}

fn reason(all: &Collection, name: &str) -> SkipReason {
    match all.entries()[at(all, name)].content() {
        Content::Skip(reason) => reason.clone(),
        Content::Readable(_) => panic!("{name} is readable"),
    }
}

fn counting(rows: usize, cols: usize) -> Rows {
    real(rows, cols, |i, j| (i * cols + j) as f64)
}

/// The shape, number format and content that every way of storing A must have.
fn check_state(all: &Collection) {
    for name in [
        "f64",
        "f32",
        "f16",
        "bf16",
        "transposed",
        "part",
        "tied",
        "parameter",
    ] {
        assert_eq!(numbers(all, name), a(), "{name}");
    }
    for name in ["c64", "c128"] {
        assert_eq!(numbers(all, name), z(), "{name}");
    }
    let types = [
        ("f64", ElementType::F64),
        ("f32", ElementType::F32),
        ("f16", ElementType::F16),
        ("bf16", ElementType::BF16),
        ("c64", ElementType::C64),
        ("c128", ElementType::C128),
    ];
    for (name, element) in types {
        assert_eq!(all.load(at(all, name)).unwrap().element_type(), element);
    }
    assert_eq!(numbers(all, "cube"), counting(2, 12));
    // T[i, j, k] = 12 i + 4 j + k, with axes (k, i, j) and (j, i, k).
    let permuted = real(4, 6, |k, ij| (12 * (ij / 3) + 4 * (ij % 3) + k) as f64);
    assert_eq!(numbers(all, "permuted"), permuted);
    let rolled = real(3, 8, |j, ik| (12 * (ik / 4) + 4 * j + ik % 4) as f64);
    assert_eq!(numbers(all, "rolled"), rolled);
    assert_eq!(numbers(all, "bias"), counting(1, 5));
    assert_eq!(numbers(all, "strided"), real(1, 5, |_, j| 2.0 * j as f64));
    assert_eq!(numbers(all, "scalar"), real(1, 1, |_, _| 3.0));
    let repeated = SkipReason::Repeated {
        entries: 12,
        stored: 1,
    };
    assert_eq!(reason(all, "expanded"), repeated);
    assert!(reason(all, "conjugate").to_string().contains("conjugated"));
    assert!(reason(all, "sparse").to_string().contains("sparse"));
    assert!(matches!(reason(all, "empty"), SkipReason::Empty { .. }));
    for name in ["ids", "mask"] {
        assert!(matches!(reason(all, name), SkipReason::Integer { .. }));
    }
}

#[test]
fn pytorch_archives() {
    for file in ["state.pt", "deflated.pt"] {
        let all = listed(file);
        assert_eq!(all.entries().len(), 25, "{file}");
        check_state(&all);
        // A in 8 bits, as other readers round it.
        let eight = numbers(&all, "e5m2");
        assert_eq!((eight[0][0], eight[2][1]), ((1.0, 0.0), (-1.5, 0.0)));
        assert_eq!(numbers(&all, "e4m3")[2][1], (-1.5, 0.0));
        assert!(matches!(reason(&all, "u16"), SkipReason::Integer { .. }));
        assert_eq!(all.entries()[at(&all, "part")].bytes(), Some(96));
        assert_eq!(all.entries()[at(&all, "part")].dtype(), "float64");
    }
    for file in ["tensor.pt", "protocol4.pt"] {
        assert_eq!(rows(&only(&format!("formats/{file}"))), a(), "{file}");
    }
    assert_eq!(numbers(&listed("unchecked.pt"), "w"), a());
}

#[test]
fn pytorch_streams_of_old_versions() {
    let all = listed("legacy.pt");
    assert_eq!(all.entries().len(), 22);
    check_state(&all);
}

/// Tied tensors are listed under both names and lie in one place.
#[test]
fn tied_tensors_share_storage() {
    for file in ["state.pt", "legacy.pt"] {
        let all = listed(file);
        let place = |name| all.entries()[at(&all, name)].storage().expect(name);
        assert_eq!(place("f32"), place("tied"), "{file}");
        assert_ne!(place("f32"), place("parameter"), "{file}");
        assert!(place("f32").0.ends_with(file));
    }
    let all = listed("deflated.pt");
    assert_eq!(all.entries()[at(&all, "f32")].storage(), None);
    assert_eq!(all.entries()[at(&all, "f32")].bytes(), Some(48));
    // The place is where the numbers are, in every format.
    for file in [
        "state.pt",
        "legacy.pt",
        "model.safetensors",
        "stored.npz",
        "model.gguf",
        "model.onnx",
    ] {
        let bytes = std::fs::read(data("formats").join(file)).unwrap();
        let all = listed(file);
        let name = if file.ends_with("npz") { "w" } else { "f32" };
        let name = if file.ends_with("safetensors") {
            "w"
        } else {
            name
        };
        let entry = &all.entries()[at(&all, name)];
        let (_, at) = entry.storage().unwrap();
        let at = at as usize;
        let size = entry.bytes().unwrap() as usize / 12;
        let second = match &bytes[at + size..at + 2 * size] {
            b @ &[_, _, _, _] => f64::from(f32::from_le_bytes(b.try_into().unwrap())),
            b => f64::from_le_bytes(b.try_into().unwrap()),
        };
        assert_eq!(second, a()[0][1].0, "{file}");
    }
}

#[test]
fn pytorch_names_are_paths() {
    let all = listed("training.pt");
    for name in [
        "model.fc.weight",
        "model.head.0.bias",
        "optimizer.state.0.exp_avg",
        "optimizer.state.3.step",
        "history.0.weight",
    ] {
        at(&all, name);
    }
    assert_eq!(all.entries().len(), 18);
    assert_eq!(numbers(&all, "history.0.weight"), a());
    assert!(all.notes().is_empty(), "{:?}", all.notes());
}

/// Modules pickled whole are read as far as they consist of tensors, and say so.
#[test]
fn whole_modules_are_read_without_their_code() {
    let all = listed("module.pt");
    let expected = [
        "seen",
        "fc.weight",
        "fc.bias",
        "head.0.weight",
        "head.0.bias",
    ];
    assert_eq!(names(&all), expected);
    assert_eq!(numbers(&all, "fc.weight"), a());
    assert_names(&all.notes()[0], &["__main__.Small", "does not"]);
    let all = listed("module_legacy.pt");
    assert_eq!(names(&all), ["seen", "inner.w"]);
    assert_eq!(numbers(&all, "inner.w"), a());
    let all = listed("script.pt");
    assert_eq!(names(&all), ["seen", "inner.w"]);
    assert_eq!(numbers(&all, "inner.w"), a());
    assert!(all.notes().is_empty());
}

/// Frobenius norms by `torch.load(...)[name].double().norm()`.
#[test]
fn a_real_checkpoint_in_the_old_format() {
    let all = open_data("checkpoints/facenet_onet.pt").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(all.entries().len(), 21);
    for (name, expected) in [
        ("conv1.weight", 5.963_289_561_714_721_5),
        ("conv1.bias", 1.387_385_519_159_416_9),
        ("conv4.weight", 6.765_263_876_771_764),
        ("prelu5.weight", 1.868_987_206_775_689),
        ("dense5.weight", 6.717_829_231_305_17),
        ("dense6_3.bias", 1.784_958_782_329_558),
    ] {
        let numbers = numbers(&all, name);
        let squares: f64 = numbers.iter().flatten().map(|(x, _)| x * x).sum();
        let norm = squares.sqrt();
        // Two sums of n squares in different orders: n u apart at most.
        let n = numbers.iter().map(Vec::len).sum::<usize>() as f64;
        assert!(
            (norm - expected).abs() <= n * f64::EPSILON * expected,
            "{name}: {norm}"
        );
    }
    assert_eq!(all.entries()[0].shape(), [32, 3, 3, 3]);
}

#[test]
fn onnx_models() {
    let all = listed("model.onnx");
    for name in [
        "f32",
        "f64",
        "f16",
        "f32_typed",
        "f64_typed",
        "f16_typed",
        "bf16_typed",
        "k/k_out/value",
        "unnamed/value",
        "first/first_out/value",
        "choice/y/then_branch/w",
    ] {
        assert_eq!(numbers(&all, name), a(), "{name}");
    }
    let scaled = |factor: f64| {
        let a = a();
        real(3, 4, |i, j| factor * a[i][j].0)
    };
    assert_eq!(numbers(&all, "second/second_out/value"), scaled(2.0));
    assert_eq!(numbers(&all, "choice/y/else_branch/w"), scaled(-1.0));
    assert_eq!(numbers(&all, "Scaled/inner/s/value"), scaled(3.0));
    for name in ["c64", "c64_typed", "c128_typed"] {
        assert_eq!(numbers(&all, name), z(), "{name}");
    }
    assert_eq!(numbers(&all, "e4m3_typed")[2][1], (-1.5, 0.0));
    assert_eq!(numbers(&all, "e5m2_typed")[2][1], (-1.5, 0.0));
    assert_eq!(numbers(&all, "cube"), counting(2, 12));
    assert_eq!(numbers(&all, "bias"), counting(1, 5));
    assert!(matches!(reason(&all, "ids"), SkipReason::Integer { .. }));
    assert!(matches!(reason(&all, "int4"), SkipReason::Integer { .. }));
    assert!(matches!(
        reason(&all, "text"),
        SkipReason::NotNumbers { .. }
    ));
    assert!(matches!(
        reason(&all, "sparse"),
        SkipReason::NotDense { .. }
    ));
    // Known by its content, too.
    let bytes = std::fs::read(data("formats/model.onnx")).unwrap();
    assert_eq!(open_bytes("-", bytes).unwrap().entries().len(), 25);
}

#[test]
fn onnx_numbers_beside_the_model() {
    let all = listed("external.onnx");
    assert_eq!(numbers(&all, "w"), a());
    assert_eq!(numbers(&all, "v"), a());
    let (file, at) = all.entries()[1].storage().unwrap();
    assert!(
        file.ends_with("external.weights") && at == 48,
        "{file} {at}"
    );
    assert!(all.entries()[1].file().ends_with("external.onnx"));

    // A stream has nothing beside it.
    let bytes = std::fs::read(data("formats/external.onnx")).unwrap();
    let all = open_bytes("external.onnx", bytes.clone()).unwrap();
    assert_eq!(
        reason(&all, "w"),
        SkipReason::External {
            file: "external.weights".to_string()
        }
    );

    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("m.onnx");
    let say = || open(&Source::path(&model)).unwrap_err().to_string();
    std::fs::write(&model, &bytes).unwrap();
    assert_names(&say(), &["m.onnx", "'external.weights'", "'w'"]);
    let weights = dir.path().join("external.weights");
    std::fs::write(&weights, [0; 143]).unwrap();
    assert_names(&say(), &["'v'", "144", "143"]);
    // A path of the same length that leads outside.
    let text = b"external.weights";
    let places: Vec<usize> = (0..bytes.len() - text.len())
        .filter(|&k| &bytes[k..k + text.len()] == text)
        .collect();
    for outside in [b"../../etc/passwd", b"/etc/./././hosts"] {
        let mut changed = bytes.clone();
        for &k in &places {
            changed[k..k + 16].copy_from_slice(outside);
        }
        std::fs::write(&model, &changed).unwrap();
        assert_names(&say(), &["outside"]);
    }
    #[cfg(unix)]
    {
        std::fs::write(&model, &bytes).unwrap();
        std::fs::remove_file(&weights).unwrap();
        let real = std::fs::canonicalize(data("formats/external.weights")).unwrap();
        std::os::unix::fs::symlink(real, &weights).unwrap();
        assert_names(&say(), &["outside"]);
    }
}

#[test]
fn gguf_models() {
    let all = listed("model.gguf");
    for name in ["f32", "f16", "f64", "bf16"] {
        assert_eq!(numbers(&all, name), a(), "{name}");
    }
    assert_eq!(numbers(&all, "cube"), counting(2, 12));
    assert_eq!(all.entries()[at(&all, "cube")].shape(), [2, 3, 4]);
    assert_eq!(numbers(&all, "bias"), counting(1, 5));
    assert!(matches!(reason(&all, "ids"), SkipReason::Integer { .. }));
    assert_eq!(numbers(&all, "Q8_0"), rows(&only("formats/gguf_q8_0.npy")));
    let note = all.load(at(&all, "Q8_0")).unwrap();
    assert!(note.note().unwrap().contains("exactly"));
    let value = |key: &str| {
        let found = all.metadata().iter().find(|m| m.key == key);
        found.map(|m| m.value.clone()).unwrap_or_default()
    };
    assert_eq!(value("general.name"), "small");
    assert_eq!(
        (value("eps"), value("flag"), value("deep")),
        ("0.5".into(), "true".into(), "-7".into())
    );
}

/// The scales are those that the writer put there, in the order of the blocks.
#[test]
fn scales_of_quantised_blocks() {
    let all = listed("model.gguf");
    let scales = |name: &str| {
        let tensor = all.block_scales(at(&all, name)).unwrap().expect(name);
        let found = rows(&tensor);
        assert_eq!(found.len(), 1);
        found[0].iter().map(|x| x.0).collect::<Vec<_>>()
    };
    for (name, expected) in [
        ("Q2_K", vec![0.5, 1.5, 2.0, 3.0]),
        ("Q3_K", vec![0.5, 2.0]),
        ("Q4_K", vec![0.5, 1.5, 2.0, 3.0]),
        ("Q5_K", vec![0.5, 1.5, 2.0, 3.0]),
        ("Q6_K", vec![0.5, 2.0]),
    ] {
        assert_eq!(scales(name), expected, "{name}");
        assert!(matches!(reason(&all, name), SkipReason::Quantised { .. }));
    }
    // Amplitudes are at most 1: a scale is 1/8, 1/16 or 1/127 of a block's extent.
    for (name, count, largest) in [
        ("Q4_0", 16, 0.126),
        ("Q5_0", 16, 0.063),
        ("Q8_0", 16, 0.008),
    ] {
        let found = scales(name);
        assert_eq!(found.len(), count, "{name}");
        assert!(
            found.iter().all(|d| *d != 0.0 && d.abs() < largest),
            "{name}: {found:?}"
        );
    }
    // Scale and minimum by turns: extent 2 in 15 or 31 steps, from -1.
    for (name, steps) in [("Q4_1", 15.0), ("Q5_1", 31.0)] {
        let found = scales(name);
        assert_eq!(found.len(), 32, "{name}");
        for pair in found.chunks(2) {
            assert!((pair[0] * steps - 2.0).abs() < 0.01, "{name}: {pair:?}");
            assert!((pair[1] + 1.0).abs() < 0.01, "{name}: {pair:?}");
        }
    }
    assert!(all.block_scales(at(&all, "f32")).unwrap().is_none());
}

/// A checkpoint in two forms is read once, from the form that runs no code.
#[test]
fn directories_prefer_safetensors() {
    let dir = tempfile::tempdir().unwrap();
    let put = |from: &str, to: &str| {
        std::fs::copy(data("formats").join(from), dir.path().join(to)).unwrap();
    };
    let open_dir = || open(&Source::path(dir.path()));
    put("unchecked.pt", "pytorch_model.bin");
    assert_eq!(names(&open_dir().unwrap()), ["w"]);
    put("model.safetensors", "model.safetensors");
    let all = open_dir().unwrap();
    assert_eq!(
        all.entries()
            .iter()
            .filter(|e| e.stored_name() == "w")
            .count(),
        1
    );
    let note = all.notes().iter().find(|n| n.contains("left out")).unwrap();
    assert_names(note, &["pytorch_model.bin", "model.safetensors"]);
    // Another model is not left out, a pickle without tensors is, a broken checkpoint is an error.
    put("training.pt", "training.pt");
    std::fs::write(
        dir.path().join("arguments.bin"),
        super::pickles::archive(b"\x80\x02}."),
    )
    .unwrap();
    let all = open_dir().unwrap();
    at(&all, "history.0.weight");
    assert!(
        all.notes()
            .iter()
            .any(|n| n.contains("arguments.bin: no tensors"))
    );
    let whole = std::fs::read(data("formats/state.pt")).unwrap();
    std::fs::write(dir.path().join("cut.pt"), &whole[..whole.len() - 9]).unwrap();
    assert_names(&open_dir().unwrap_err().to_string(), &["cut.pt", "zip"]);
}

#[test]
fn pytorch_shards_are_read_through_their_index() {
    let dir = tempfile::tempdir().unwrap();
    for (from, to) in [("unchecked.pt", "m-1.bin"), ("legacy.pt", "m-2.bin")] {
        std::fs::copy(data("formats").join(from), dir.path().join(to)).unwrap();
    }
    let index = dir.path().join("pytorch_model.bin.index.json");
    let map = r#"{"weight_map": {"w": "m-1.bin", "bf16": "m-2.bin"}}"#;
    std::fs::write(&index, map).unwrap();
    for source in [dir.path(), &index] {
        let all = open(&Source::path(source)).unwrap();
        assert_eq!(numbers(&all, "w"), a());
        assert_eq!(numbers(&all, "bf16"), a());
        assert_eq!(reason(&all, "f32"), SkipReason::NotIndexed);
    }
    std::fs::write(&index, map.replace("bf16", "other")).unwrap();
    let message = open(&Source::path(&index)).unwrap_err().to_string();
    assert_names(&message, &["'other'", "m-2.bin", "its 22 tensors"]);
}

#[test]
fn everything_listed_can_be_read() {
    for (file, count) in [("state.pt", 227), ("module.pt", 30), ("model.gguf", 589)] {
        assert_eq!(read_all(&listed(file)).unwrap(), count, "{file}");
    }
}
