//! Tests of stored matrices.

use super::*;
use crate::linalg::widen::Widened;

/// Every borrowed form of one matrix widens to the same numbers.
#[test]
fn all_views_agree() {
    let (m, n) = (3, 2);
    let value = |i: usize, j: usize| (1 + 2 * i + 7 * j) as f64 - 4.5;
    let rows: Vec<f64> = (0..m * n).map(|k| value(k / n, k % n)).collect();
    let cols: Vec<f64> = (0..m * n).map(|k| value(k % m, k / m)).collect();
    let halves: Vec<f16> = rows.iter().map(|&x| f16::from_f64(x)).collect();
    let shorts: Vec<bf16> = rows.iter().map(|&x| bf16::from_f64(x)).collect();
    let singles: Vec<f32> = rows.iter().map(|&x| x as f32).collect();
    let pairs: Vec<[f64; 2]> = rows.iter().map(|&x| [x, 0.0]).collect();
    // one byte too many in front, so that nothing is aligned
    let bytes: Vec<u8> = std::iter::once(0)
        .chain(singles.iter().flat_map(|x| x.to_le_bytes()))
        .collect();
    let nal = na::DMatrix::from_fn(m + 2, n + 1, |i, j| {
        if i >= 2 && j >= 1 {
            value(i - 2, j - 1)
        } else {
            f64::NAN
        }
    });
    let fae = faer::Mat::from_fn(n, m, |j, i| value(i, j));
    let backwards = faer::Mat::from_fn(m, n, |i, j| value(m - 1 - i, j));
    let views = [
        MatrixRef::row_major(&rows, m, n).unwrap(),
        MatrixRef::col_major(&cols, m, n).unwrap(),
        MatrixRef::row_major(&halves, m, n).unwrap(),
        MatrixRef::row_major(&shorts, m, n).unwrap(),
        MatrixRef::row_major(&singles, m, n).unwrap(),
        MatrixRef::with_strides(Elements::Bytes(ElementType::F32, &bytes[1..]), m, n, n, 1)
            .unwrap(),
        MatrixRef::from_nalgebra(nal.view((2, 1), (m, n))),
        MatrixRef::from_faer(fae.transpose()),
        MatrixRef::from_faer(backwards.reverse_rows()),
    ];
    let expected = views[0].widen().unwrap();
    for (k, v) in views.iter().enumerate() {
        assert_eq!((v.rows(), v.cols()), (m, n));
        let w: Widened = v.widen().unwrap();
        assert_eq!(w.mat, expected.mat, "view {k}");
        assert_eq!(
            v.transposed().widen().unwrap().mat,
            expected.mat,
            "transposed view {k}"
        );
        for i in 0..m {
            for j in 0..n {
                assert_eq!(v.get(i, j), (value(i, j), 0.0), "view {k}");
            }
        }
    }
    let complex = MatrixRef::row_major(&pairs, m, n).unwrap().widen().unwrap();
    assert_eq!((complex.mat.nrows(), complex.mat.ncols()), (2 * m, 2 * n));
    assert_eq!(complex.mat[(m, n)], expected.mat[(0, 0)]);
}

#[test]
fn the_first_bad_entry_in_row_order_is_named() {
    for columns in [false, true] {
        let mut data = vec![1.0f32; 20 * 9];
        let at = |i: usize, j: usize| if columns { i + 20 * j } else { 9 * i + j };
        data[at(17, 2)] = f32::NAN;
        data[at(11, 8)] = f32::NEG_INFINITY;
        let view = if columns {
            MatrixRef::col_major(&data, 20, 9)
        } else {
            MatrixRef::row_major(&data, 20, 9)
        };
        let bad = view.unwrap().first_nonfinite().unwrap();
        assert_eq!((bad.row, bad.col, bad.value), (11, 8, f64::NEG_INFINITY));
    }
}

#[test]
fn blocks_and_reshapes_are_the_entries_they_name() {
    let rows: Vec<f64> = (0..24).map(f64::from).collect();
    let nal = na::DMatrix::from_row_slice(4, 6, &rows);
    let fae = faer::Mat::from_fn(4, 6, |i, j| (6 * i + j) as f64);
    let bytes: Vec<u8> = rows.iter().flat_map(|x| x.to_le_bytes()).collect();
    let views = [
        MatrixRef::row_major(&rows, 4, 6).unwrap(),
        MatrixRef::with_strides(Elements::Bytes(ElementType::F64, &bytes), 4, 6, 6, 1).unwrap(),
        MatrixRef::from_nalgebra(nal.as_view()),
        MatrixRef::from_faer(fae.as_ref()),
    ];
    for v in views {
        // twice, so that offsets add up; whole columns, so that the quick path of faer is taken
        for (r, c) in [(1..4, 2..5), (0..4, 3..5), (2..3, 0..6)] {
            let block = v.block(r.clone(), c.clone());
            let twice = v.block(r.start..4, 0..6).block(0..r.len(), c.clone());
            let mut line = vec![0.0; c.len()];
            for i in 0..r.len() {
                block.read_row(i, &mut line);
                for (j, x) in line.iter().enumerate() {
                    let expected = (6 * (r.start + i) + c.start + j) as f64;
                    assert_eq!((*x, twice.get(i, j).0), (expected, expected));
                    assert_eq!(block.transposed().get(j, i).0, expected);
                }
            }
            assert_eq!(block.widen().unwrap().mat, twice.widen().unwrap().mat);
        }
    }
    let folded = views[0].reshaped(3).unwrap();
    assert_eq!((folded.rows(), folded.get(5, 1).0), (8, 16.0));
    assert_eq!(
        views[0].block(1..3, 0..6).reshaped(4).unwrap().get(2, 3).0,
        17.0
    );
    assert!(views[0].reshaped(5).is_none() && views[0].transposed().reshaped(3).is_none());
}

#[test]
fn a_short_slice_is_refused() {
    let e = MatrixRef::row_major(&[1.0, 2.0, 3.0], 2, 2).unwrap_err();
    assert!(matches!(
        e,
        ViewError::TooShort {
            needed: 4,
            available: 3,
            ..
        }
    ));
}
