//! What other programs write is read back bit for bit.

use super::support::{Outcome, check};
use isometer::formats::{Tensor, open_bytes};
use proptest::prelude::*;
use std::io::Write;

/// Any finite double, from the bits of a seed.
fn value(seed: u64, k: usize) -> f64 {
    f64::from_bits(seed.rotate_left(k as u32) >> 2)
}

fn bits(tensor: &Tensor) -> Vec<u64> {
    let m = tensor.matrix().unwrap();
    (0..m.rows() * m.cols())
        .map(|t| m.get(t / m.cols(), t % m.cols()).0.to_bits())
        .collect()
}

fn only(name: &str, bytes: Vec<u8>) -> Tensor {
    open_bytes(name, bytes).unwrap().load(0).unwrap()
}

/// An array in the format npy, written by the npyz crate; row after row in memory order C.
fn npy(
    rows: usize,
    cols: usize,
    fortran: bool,
    big: bool,
    value: impl Fn(usize) -> f64,
) -> Vec<u8> {
    use npyz::WriterBuilder;
    let endian = if big { ">f8" } else { "<f8" };
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .dtype(npyz::DType::Plain(endian.parse().unwrap()))
        .shape(&[rows as u64, cols as u64])
        .order(if fortran {
            npyz::Order::Fortran
        } else {
            npyz::Order::C
        })
        .writer(&mut bytes)
        .begin_nd()
        .unwrap();
    writer.extend((0..rows * cols).map(value)).unwrap();
    writer.finish().unwrap();
    bytes
}

/// In either order and either byte order.
///
/// Theorem: binary-round-trip.
mod npy_comes_back_bit_for_bit {
    use super::*;

    #[test]
    fn holds() {
        let shape = (1usize..6, 1usize..6);
        check(
            (shape, any::<bool>(), any::<bool>(), any::<u64>()),
            |((rows, cols), fortran, big, seed)| {
                let found = bits(&only(
                    "x.npy",
                    npy(rows, cols, fortran, big, |k| value(seed, k)),
                ));
                for (t, found) in found.into_iter().enumerate() {
                    let (i, j) = (t / cols, t % cols);
                    let k = if fortran { i + j * rows } else { t };
                    prop_assert_eq!(found, value(seed, k).to_bits());
                }
                Ok(())
            },
        );
    }

    #[test]
    fn tight() {
        // the ends of the range, both zeros, and the neighbours of 1
        let hard = [
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            -0.0,
            0.0,
            1f64.next_up(),
            1f64.next_down(),
            -f64::MAX,
        ];
        let found = bits(&only("x.npy", npy(2, 4, false, true, |k| hard[k])));
        assert_eq!(found, hard.map(f64::to_bits));
    }

    #[test]
    fn notices() {
        // the order is read from the file and not assumed
        let found = |fortran| bits(&only("x.npy", npy(2, 2, fortran, false, |k| k as f64)));
        assert_ne!(found(true), found(false));
        // a flipped bit is another number
        let mut bytes = npy(1, 1, false, false, |_| 1.0);
        *bytes.last_mut().unwrap() ^= 1;
        assert_ne!(bits(&only("x.npy", bytes)), [1f64.to_bits()]);
    }
}

/// Archives of arrays, stored or deflated.
///
/// Theorem: binary-round-trip.
mod npz_comes_back_bit_for_bit {
    use super::*;
    use zip::write::SimpleFileOptions;

    fn archive(arrays: &[(usize, usize)], seed: u64, deflated: bool) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let method = if deflated {
            zip::CompressionMethod::Deflated
        } else {
            zip::CompressionMethod::Stored
        };
        for (t, (rows, cols)) in arrays.iter().enumerate() {
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file(format!("t{t}.npy"), options).unwrap();
            let bytes = npy(*rows, *cols, false, false, |k| value(seed, k + 7 * t));
            zip.write_all(&bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn round_trip(arrays: &[(usize, usize)], seed: u64, deflated: bool) -> Outcome {
        let all = open_bytes("x.npz", archive(arrays, seed, deflated)).unwrap();
        prop_assert_eq!(all.entries().len(), arrays.len());
        for (i, entry) in all.entries().iter().enumerate() {
            let t: usize = entry.name()[1..].parse().unwrap();
            let expected: Vec<u64> = (0..arrays[t].0 * arrays[t].1)
                .map(|k| value(seed, k + 7 * t).to_bits())
                .collect();
            prop_assert_eq!(bits(&all.load(i).unwrap()), expected);
        }
        Ok(())
    }

    fn shapes() -> impl Strategy<Value = Vec<(usize, usize)>> {
        prop::collection::vec((1usize..5, 1usize..5), 1..4)
    }

    #[test]
    fn holds() {
        check(
            (shapes(), any::<u64>(), any::<bool>()),
            |(arrays, seed, deflated)| round_trip(&arrays, seed, deflated),
        );
    }

    #[test]
    fn tight() {
        // deflated or not, the arrays are the same; the files are not
        let arrays = [(4, 4), (1, 3)];
        assert_ne!(
            archive(&arrays, 1 << 40, true),
            archive(&arrays, 1 << 40, false)
        );
        round_trip(&arrays, 1 << 40, true).unwrap();
        round_trip(&arrays, 1 << 40, false).unwrap();
    }

    #[test]
    fn notices() {
        // a byte of stored data is guarded by a check sum
        let mut bytes = archive(&[(2, 2)], 3 << 50, false);
        let wanted = value(3 << 50, 1).to_le_bytes();
        let at = bytes.windows(8).position(|w| w == wanted).unwrap();
        bytes[at] ^= 1;
        let read = open_bytes("x.npz", bytes).and_then(|all| all.load(0));
        assert!(read.is_err());
    }
}

/// As the safetensors crate writes them.
///
/// Theorem: binary-round-trip.
mod safetensors_come_back_bit_for_bit {
    use super::*;
    use safetensors::tensor::{Dtype, TensorView, serialize};

    fn single(seed: u64, t: usize, k: usize) -> f32 {
        f32::from_bits((seed.rotate_left((7 * t + k) as u32) >> 34) as u32)
    }

    fn file(shapes: &[(usize, usize)], seed: u64) -> Vec<u8> {
        let buffers: Vec<Vec<u8>> = shapes
            .iter()
            .enumerate()
            .map(|(t, (r, c))| {
                (0..r * c)
                    .flat_map(|k| single(seed, t, k).to_le_bytes())
                    .collect()
            })
            .collect();
        let views = shapes
            .iter()
            .zip(&buffers)
            .enumerate()
            .map(|(t, (&(r, c), bytes))| {
                (
                    format!("t{t}"),
                    TensorView::new(Dtype::F32, vec![r, c], bytes).unwrap(),
                )
            });
        serialize(views, None).unwrap()
    }

    fn shapes() -> impl Strategy<Value = Vec<(usize, usize)>> {
        prop::collection::vec((1usize..5, 1usize..5), 1..4)
    }

    #[test]
    fn holds() {
        check((shapes(), any::<u64>()), |(shapes, seed)| {
            let all = open_bytes("x.safetensors", file(&shapes, seed)).unwrap();
            prop_assert_eq!(all.entries().len(), shapes.len());
            prop_assert!(all.notes().is_empty());
            for (i, entry) in all.entries().iter().enumerate() {
                let t: usize = entry.name()[1..].parse().unwrap();
                let tensor = all.load(i).unwrap();
                let m = tensor.matrix().unwrap();
                prop_assert_eq!((m.rows(), m.cols()), shapes[t]);
                let expected: Vec<u64> = (0..shapes[t].0 * shapes[t].1)
                    .map(|k| f64::from(single(seed, t, k)).to_bits())
                    .collect();
                prop_assert_eq!(bits(&tensor), expected);
            }
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // half precision widens exactly, every one of its finite values
        let all: Vec<u16> = (0..=u16::MAX)
            .filter(|b| half::f16::from_bits(*b).is_finite())
            .collect();
        let raw: Vec<u8> = all.iter().flat_map(|b| b.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F16, vec![1, all.len()], &raw).unwrap();
        let found = bits(&only(
            "x.safetensors",
            serialize([("t", view)], None).unwrap(),
        ));
        let expected: Vec<u64> = all
            .iter()
            .map(|b| f64::from(half::f16::from_bits(*b)).to_bits())
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn notices() {
        // a file cut by a byte is refused, a flipped byte is another number
        let mut bytes = file(&[(2, 2)], 9);
        let whole = bits(&only("x.safetensors", bytes.clone()));
        *bytes.last_mut().unwrap() ^= 1;
        assert_ne!(bits(&only("x.safetensors", bytes.clone())), whole);
        bytes.pop();
        let read = open_bytes("x.safetensors", bytes).and_then(|all| all.load(0));
        assert!(read.is_err());
    }
}

/// Decimal text holds the nearest double: what is printed with enough digits comes back.
///
/// Theorem: decimal-round-trip.
mod text_and_matrix_market_come_back_bit_for_bit {
    use super::*;

    fn numbers() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(
            any::<u64>().prop_map(|b| f64::from_bits(b >> 1 & !(1 << 62) | b << 63)),
            1..20,
        )
    }

    /// As text and as a Matrix Market array, printed by `print`.
    fn files(numbers: &[f64], print: impl Fn(f64) -> String) -> [(&'static str, Vec<u8>); 2] {
        let csv: String = numbers.iter().map(|x| print(*x) + "\n").collect();
        let mtx = format!(
            "%%MatrixMarket matrix array real general\n{} 1\n{csv}",
            numbers.len()
        );
        [("x.csv", csv.into_bytes()), ("x.mtx", mtx.into_bytes())]
    }

    fn comes_back(numbers: &[f64], print: impl Fn(f64) -> String) -> bool {
        let expected: Vec<u64> = numbers.iter().map(|x| x.to_bits()).collect();
        files(numbers, print)
            .into_iter()
            .all(|(name, bytes)| bits(&only(name, bytes)) == expected)
    }

    #[test]
    fn holds() {
        check(numbers(), |numbers| {
            let shortest = comes_back(&numbers, |x| format!("{x:e}"));
            let digits = comes_back(&numbers, |x| format!("{x:.16e}"));
            prop_assert!(shortest && digits);
            Ok(())
        });
    }

    #[test]
    fn tight() {
        // 17 significant digits are needed
        let x = 1.0 + 2.0 * f64::EPSILON;
        assert!(comes_back(&[x], |x| format!("{x:.16e}")));
        assert!(!comes_back(
            &[9007199254740993.0f64.next_up()],
            |x| format!("{x:.14e}")
        ));
        // halfway between two doubles the even one is read
        let tie = "1.00000000000000011102230246251565404236316680908203125";
        assert_eq!(
            bits(&only("x.csv", tie.as_bytes().to_vec())),
            [1f64.to_bits()]
        );
    }

    #[test]
    fn notices() {
        // with one digit more the tie is broken upward
        let above = "1.000000000000000111022302462515654042363166809082031251";
        assert_eq!(
            bits(&only("x.csv", above.as_bytes().to_vec())),
            [1f64.next_up().to_bits()]
        );
        // six digits lose most doubles
        assert!(!comes_back(&[std::f64::consts::PI], |x| format!("{x:.6e}")));
    }
}
