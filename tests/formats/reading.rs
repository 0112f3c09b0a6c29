//! Well-formed files, written by NumPy, SciPy, safetensors and the crates npyz and safetensors.

use super::{Rows, a, data, npy, only, open_data, real, rows, z};
use isometer::formats::{Content, Source, open, open_bytes};
use isometer::linalg::element::ElementType;

#[test]
fn npy_of_every_float_and_order() {
    let formats = [
        ("f2", ElementType::F16),
        ("f4", ElementType::F32),
        ("f8", ElementType::F64),
        ("c8", ElementType::C64),
        ("c16", ElementType::C128),
    ];
    for (kind, element) in formats {
        for endian in ["le", "be"] {
            for order in ["C", "F"] {
                let name = format!("formats/{endian}_{kind}_{order}.npy");
                let tensor = only(&name);
                let expected = if kind.starts_with('c') { z() } else { a() };
                assert_eq!(rows(&tensor), expected, "{name}");
                assert_eq!(tensor.element_type(), element, "{name}");
                assert_eq!(tensor.matrix().unwrap().element_type(), element);
                assert_eq!(tensor.note(), None);
                assert_eq!(tensor.entry().name(), format!("{endian}_{kind}_{order}"));
                assert_eq!(tensor.entry().shape(), [3, 4]);
            }
        }
    }
}

#[test]
fn npy_of_every_version_and_gz() {
    for name in ["version1.npy", "version2.npy", "version3.npy", "a.npy.gz"] {
        assert_eq!(rows(&only(&format!("formats/{name}"))), a(), "{name}");
    }
}

#[test]
fn npy_integers_are_exact_or_refused() {
    let k = [[1.0, -2.0, 3.0], [40.0, 50.0, -60.0]];
    for kind in ["i1", "le_i2", "be_i2", "le_i4", "be_i4", "le_i8", "be_i8"] {
        let tensor = only(&format!("formats/int_{kind}.npy"));
        assert_eq!(rows(&tensor), real(2, 3, |i, j| k[i][j]), "{kind}");
        assert!(tensor.note().unwrap().contains("exactly"));
    }
    for kind in ["u1", "le_u2", "be_u4", "le_u8"] {
        let tensor = only(&format!("formats/int_{kind}.npy"));
        assert_eq!(rows(&tensor), real(2, 3, |i, j| k[i][j].abs()), "{kind}");
    }
    let truth = real(2, 3, |i, j| f64::from(k[i][j] > 0.0));
    assert_eq!(rows(&only("formats/bool.npy")), truth);

    let all = open_data("formats/int_too_large.npy").unwrap();
    let message = all.load(0).unwrap_err().to_string();
    super::assert_names(&message, &["[1, 1]", "9007199254740993"]);
}

#[test]
fn large_integers_that_are_exact_are_read() {
    for (kind, value) in [
        ("<i8", i64::MIN as i128),
        ("<u8", 1 << 63),
        (">u8", 3 << 60),
    ] {
        let bits = value as u64;
        let bytes = if kind.starts_with('>') {
            bits.to_be_bytes()
        } else {
            bits.to_le_bytes()
        };
        let dict = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (1, 1), }}");
        let all = open_bytes("x.npy", npy(&dict, &bytes)).unwrap();
        assert_eq!(rows(&all.load(0).unwrap()), [[(value as f64, 0.0)]]);
    }
}

#[test]
fn tensors_are_flattened_in_c_order_and_labelled() {
    let expected = real(2, 12, |i, j| (12 * i + j) as f64);
    for name in [
        "cube_C.npy",
        "cube_F.npy",
        "int_cube_C.npy",
        "int_cube_F.npy",
    ] {
        let tensor = only(&format!("formats/{name}"));
        assert_eq!(rows(&tensor), expected, "{name}");
        assert_eq!(tensor.entry().shape(), [2, 3, 4]);
        let stem = name.strip_suffix(".npy").unwrap();
        assert_eq!(tensor.entry().name(), format!("{stem}#reshape(d0,-1)"));
        // The label leads back to the tensor.
        let again = open(&Source::parse(&tensor.entry().source())).unwrap();
        assert_eq!(rows(&again.load(0).unwrap()), expected);
    }
}

#[test]
fn what_is_not_a_matrix_is_skipped_with_a_reason() {
    for (name, reason) in [
        ("scalar.npy", "0-D: not a matrix"),
        ("vector.npy", "1-D: not a matrix"),
        ("empty.npy", "shape [0, 3] has no entries"),
        ("record.npy", "records"),
        ("text.npy", "strings"),
        ("object.npy", "objects"),
        ("raw.npy", "bfloat16"),
        ("longdouble.npy", "f16: not a number format"),
    ] {
        let all = open_data(&format!("formats/{name}")).unwrap();
        let Content::Skip(why) = all.entries()[0].content() else {
            panic!("{name} was not skipped");
        };
        assert!(why.to_string().contains(reason), "{name}: {why}");
        let message = all.load(0).unwrap_err().to_string();
        super::assert_names(&message, &[name, &why.to_string()]);
    }
    let vector = open_data("formats/vector.npy").unwrap().load_vector(0);
    assert_eq!(rows(&vector.unwrap().unwrap()), real(1, 5, |_, j| j as f64));
    assert!(
        open_data("formats/le_f4_C.npy")
            .unwrap()
            .load_vector(0)
            .unwrap()
            .is_none()
    );
    assert!(
        open_data("formats/text.npy")
            .unwrap()
            .load_vector(0)
            .unwrap()
            .is_none()
    );
}

/// Name, expected numbers or reason.
fn check_checkpoint(file: &str, expected: &[(&str, Result<Rows, &str>)]) {
    let all = open_data(file).unwrap();
    assert_eq!(all.entries().len(), expected.len(), "{file}");
    for (name, what) in expected {
        let i = all.entries().iter().position(|e| e.name() == *name);
        let i = i.unwrap_or_else(|| panic!("{file}: no {name}"));
        match (what, all.entries()[i].content()) {
            (Ok(numbers), Content::Readable(shape)) => {
                let tensor = all.load(i).unwrap();
                assert_eq!(&rows(&tensor), numbers, "{file}::{name}");
                assert_eq!(
                    (shape.rows(), shape.cols()),
                    (numbers.len(), numbers[0].len())
                );
                assert_eq!(shape.element_type(), tensor.element_type());
            }
            (Err(reason), Content::Skip(why)) => assert_eq!(why.to_string(), *reason),
            (_, found) => panic!("{file}::{name}: {found:?}"),
        }
    }
}

#[test]
fn npz_stored_and_deflated() {
    let cube = real(2, 12, |i, j| (12 * i + j) as f64);
    for file in ["formats/stored.npz", "formats/deflated.npz"] {
        check_checkpoint(
            file,
            &[
                ("w", Ok(a())),
                ("half", Ok(a())),
                ("fortran", Ok(a())),
                ("cube#reshape(d0,-1)", Ok(cube.clone())),
                (
                    "ids",
                    Err("<i8: integer tensors of a checkpoint are not weights"),
                ),
                ("bias", Err("1-D: not a matrix")),
                ("z", Ok(z())),
            ],
        );
    }
}

#[test]
fn safetensors_of_every_kind() {
    let cube = real(2, 12, |i, j| (12 * i + j) as f64);
    check_checkpoint(
        "formats/model.safetensors",
        &[
            ("w", Ok(a())),
            ("d", Ok(a())),
            ("h", Ok(a())),
            ("cube#reshape(d0,-1)", Ok(cube)),
            (
                "ids",
                Err("I64: integer tensors of a checkpoint are not weights"),
            ),
            (
                "mask",
                Err("BOOL: integer tensors of a checkpoint are not weights"),
            ),
            ("bias", Err("1-D: not a matrix")),
            ("z", Ok(z())),
        ],
    );
    let all = open_data("formats/model.safetensors").unwrap();
    let keys: Vec<(&str, &str)> = all
        .metadata()
        .iter()
        .map(|m| (m.key.as_str(), m.value.as_str()))
        .collect();
    assert!(keys.contains(&("format", "np")) && keys.contains(&("note", "small")));
    assert!(all.notes().is_empty());
}

#[test]
fn safetensors_small_floats_and_unknown_types() {
    let json = r#"{"b":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]},
        "e4":{"dtype":"F8_E4M3","shape":[1,2],"data_offsets":[4,6]},
        "e5":{"dtype":"F8_E5M2","shape":[2,1],"data_offsets":[6,8]},
        "q":{"dtype":"F4","shape":[1,4],"data_offsets":[8,10]}}"#;
    // 1.0 and -2.0 as bfloat16, e4m3, e5m2.
    let bytes = [0x80, 0x3f, 0x00, 0xc0, 0x38, 0xc0, 0x3c, 0xc0, 0x12, 0x34];
    let all = open_bytes("x.safetensors", super::safetensors(json, &bytes)).unwrap();
    let row = real(1, 2, |_, j| [1.0, -2.0][j]);
    assert_eq!(rows(&all.load(0).unwrap()), row);
    assert_eq!(rows(&all.load(1).unwrap()), row);
    assert_eq!(
        rows(&all.load(2).unwrap()),
        real(2, 1, |i, _| [1.0, -2.0][i])
    );
    assert!(
        all.load(3)
            .unwrap_err()
            .to_string()
            .contains("F4: packed 4-bit codes")
    );
}

#[test]
fn real_checkpoint_matches_its_reference_list() {
    let all = open_data("checkpoints/silero_vad_16k.safetensors").unwrap();
    let list = std::fs::read_to_string(data("reference/silero_vad_16k.csv")).unwrap();
    for line in list.lines().skip(1) {
        let line = line.replace("reshape(d0,-1)", "reshape");
        let cells: Vec<&str> = line.split(',').collect();
        let name = cells[0]
            .trim_matches('"')
            .replace("reshape", "reshape(d0,-1)");
        let i = all.entries().iter().position(|e| e.name() == name).unwrap();
        let tensor = all.load(i).unwrap();
        let m = tensor.matrix().unwrap();
        assert_eq!(format!("{}x{}", m.rows(), m.cols()), cells[1]);
        assert_eq!(tensor.entry().dtype(), cells[2]);
        assert_eq!(m.first_nonfinite(), None);
    }
}

#[test]
fn matrix_market_of_every_symmetry() {
    let s = real(3, 3, |i, j| match (i, j) {
        (0 | 1, _) if i == j => 2.0,
        (2, 2) => 2.5,
        _ => -f64::from(i.abs_diff(j) == 1),
    });
    let w = [[0.0, 2.0, -3.0], [-2.0, 0.0, 4.0], [3.0, -4.0, 0.0]];
    let h = vec![
        vec![(1.0, 0.0), (2.0, 1.0), (0.0, 0.0)],
        vec![(2.0, -1.0), (3.0, 0.0), (0.0, -1.0)],
        vec![(0.0, 0.0), (0.0, 1.0), (5.0, 0.0)],
    ];
    for layout in ["array", "coordinate"] {
        let read = |name: &str| rows(&only(&format!("formats/{layout}_{name}.mtx")));
        assert_eq!(read("general"), a());
        assert_eq!(read("complex"), z());
        assert_eq!(
            read("symmetric"),
            s.iter()
                .map(|r| r.iter().map(|x| (x.0 + 0.0, 0.0)).collect())
                .collect::<Rows>()
        );
        assert_eq!(read("skew"), real(3, 3, |i, j| w[i][j]));
        assert_eq!(read("hermitian"), h);
    }
    assert_eq!(rows(&only("formats/a.mtx.gz")), a());
    let pattern = real(3, 3, |i, j| f64::from(i.abs_diff(j) <= 1));
    assert_eq!(rows(&only("formats/pattern.mtx")), pattern);
    let integers = only("formats/array_integer.mtx");
    assert_eq!(rows(&integers)[1][2], (-60.0, 0.0));
    assert_eq!(integers.note(), None);
}

#[test]
fn matrix_market_collection_files_have_their_sizes() {
    let table = std::fs::read_to_string(data("reference/matrices_f64.csv")).unwrap();
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let tensor = only(&format!("matrices/{}", cells[0]));
        let rows = rows(&tensor);
        assert_eq!(
            (rows.len().to_string(), rows[0].len().to_string()),
            (cells[1].into(), cells[2].into())
        );
        let nonzero = rows.iter().flatten().filter(|&&x| x != (0.0, 0.0)).count();
        let stored: usize = cells[3].parse().unwrap();
        assert!(nonzero <= stored, "{}: {nonzero} > {stored}", cells[0]);
        if cells[0] != "young1c.mtx" {
            // No explicit zeros in these.
            assert_eq!(nonzero, stored, "{}", cells[0]);
        }
        assert_eq!(tensor.note(), None);
    }
}

fn mtx(text: &str) -> isometer::formats::Tensor {
    let all = open_bytes("x.mtx", text.as_bytes().to_vec()).unwrap();
    all.load(0).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn matrix_market_repeats_are_summed_and_noted() {
    let t = mtx("%%MatrixMarket matrix coordinate real general\n2 2 3\n1 1 1\n1 1 2\n2 2 5\n");
    assert_eq!(rows(&t), real(2, 2, |i, j| [[3.0, 0.0], [0.0, 5.0]][i][j]));
    super::assert_names(
        t.note().unwrap(),
        &["1 repeated positions", "0 of the sums rounded"],
    );
    let t = mtx("%%MatrixMarket matrix coordinate real general\n1 1 2\n1 1 1\n1 1 1e-20\n");
    assert!(t.note().unwrap().contains("1 of the sums rounded"));
    // An upper entry of a symmetric file counts like its mirror image.
    let t = mtx("%%MatrixMarket matrix coordinate real symmetric\n2 2 1\n1 2 7\n");
    assert_eq!(rows(&t)[1][0], (7.0, 0.0));
    assert!(t.note().unwrap().contains("above the diagonal"));
    let t = mtx("%%MatrixMarket matrix coordinate integer general\n1 1 1\n1 1 9007199254740993\n");
    assert!(t.note().unwrap().contains("1 integer entries"));
    // Comments, blank lines, capitals and Fortran exponents.
    let t =
        mtx("%%MATRIXMARKET Matrix ARRAY Real General\r\n% c\r\n\r\n1 2\r\n1.5D+01\r\n% d\r\n-2d0");
    assert_eq!(rows(&t), real(1, 2, |_, j| [15.0, -2.0][j]));
}

#[test]
fn text_of_every_separator() {
    for name in ["a.txt", "a.csv", "a.tsv", "a.csv.gz"] {
        let tensor = only(&format!("formats/{name}"));
        assert_eq!(rows(&tensor), a(), "{name}");
        assert_eq!(tensor.note().is_some(), name == "a.tsv");
    }
    assert_eq!(rows(&only("formats/complex.txt")), z());
    for text in [
        "1;2\n3;4",
        "1, 2\n3,4\n\n",
        "\u{feff}1\t2\r\n3\t4",
        "  1   2 # x\n% y\n 3 4",
        "\"1\",\"2\"\n3,4",
    ] {
        let all = open_bytes("-", text.as_bytes().to_vec()).unwrap();
        assert_eq!(
            rows(&all.load(0).unwrap()),
            real(2, 2, |i, j| (2 * i + j + 1) as f64),
            "{text}"
        );
    }
}

#[test]
fn text_keeps_nan_infinities_and_complex() {
    let all = open_bytes("-", b"nan,-inf,1+2j\nInfinity,-3j,(1e-2-2.5e+1j)".to_vec()).unwrap();
    let m = rows(&all.load(0).unwrap());
    assert!(m[0][0].0.is_nan());
    assert_eq!(m[0][1..], [(f64::NEG_INFINITY, 0.0), (1.0, 2.0)]);
    assert_eq!(m[1], [(f64::INFINITY, 0.0), (0.0, -3.0), (0.01, -25.0)]);
}

#[test]
fn text_notes_headers_and_underflow() {
    let all = open_bytes("x.csv", b",a,b\n0,1,2\n1,3,1e-400\n".to_vec()).unwrap();
    let tensor = all.load(0).unwrap();
    super::assert_names(
        tensor.note().unwrap(),
        &["line 1 was read as a header", "row index", "1 non-zero"],
    );
    assert_eq!(tensor.entry().shape(), [2, 3]);
}

#[test]
fn unknown_extensions_are_sniffed() {
    for name in [
        "le_f4_C.npy",
        "stored.npz",
        "model.safetensors",
        "array_general.mtx",
        "a.mtx.gz",
        "a.npy.gz",
        "a.csv",
    ] {
        let bytes = std::fs::read(data("formats").join(name)).unwrap();
        let plain = super::read_all(&open_data(&format!("formats/{name}")).unwrap()).unwrap();
        for alias in ["-", "file", "x.dat", "dir.d/x"] {
            let all = open_bytes(alias, bytes.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(super::read_all(&all).unwrap(), plain, "{name} as {alias}");
        }
    }
}
