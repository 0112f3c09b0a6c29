//! Tensors that hold the same numbers.

use super::checkpoint::{Audited, Subject};
use crate::formats::Tensor;
use std::collections::HashMap;

/// Fewer entries than this agree by accident or by design (scales of 1, biases of 0).
const FEW: u64 = 64;

/// Pairs (earlier, later) of tensors of one shape and format with equal entries that are not all the same number; each later one
/// beside the first of its kind. Only tensors whose counts and largest magnitudes agree are compared.
pub fn twins(
    subjects: &[Subject<'_>],
    tensors: &[Audited],
    stopped: &dyn Fn() -> bool,
) -> Vec<(usize, usize)> {
    let mut alike: HashMap<(&[usize], &str, u64, u64), Vec<usize>> = HashMap::new();
    let mut found = Vec::new();
    for (k, t) in tensors.iter().enumerate() {
        let Some(e) = t.entries.filter(|e| !e.constant && t.parameters >= FEW) else {
            continue;
        };
        let key = (
            t.shape.as_slice(),
            t.dtype.as_str(),
            e.largest.to_bits(),
            e.zero,
        );
        let group = alike.entry(key).or_default();
        if stopped() {
            break;
        }
        match group
            .iter()
            .find(|first| equal(&subjects[**first], &subjects[k]))
        {
            Some(first) => found.push((*first, k)),
            None => group.push(k),
        }
    }
    found
}

fn equal(a: &Subject<'_>, b: &Subject<'_>) -> bool {
    let (Some(Ok(a)), Some(Ok(b))) = (a.load(), b.load()) else {
        return false;
    };
    same_numbers(&a, &b)
}

fn same_numbers(a: &Tensor, b: &Tensor) -> bool {
    let (Ok(a), Ok(b)) = (a.matrix(), b.matrix()) else {
        return false;
    };
    if (a.rows(), a.cols(), a.components()) != (b.rows(), b.cols(), b.components()) {
        return false;
    }
    let len = a.cols() * a.components();
    let (mut x, mut y) = (vec![0.0; len], vec![0.0; len]);
    (0..a.rows()).all(|i| {
        a.read_row(i, &mut x);
        b.read_row(i, &mut y);
        x.iter().zip(&y).all(|(x, y)| x.to_bits() == y.to_bits())
    })
}
