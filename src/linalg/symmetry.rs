//! Units of a layer that are copies of each other, zero, or constant: rows of a weight matrix (with their biases),
//! compared exactly or up to a relative distance.
//!
//! *Has initialization or pruning left units that gradient descent can never tell apart?* Units with equal incoming
//! and outgoing weights get equal gradients and stay equal. Start with [`symmetry`]. Exact with tolerance 0.
//!
//! ```
//! use isometer::linalg::{symmetry::symmetry, view::MatrixRef};
//!
//! let w = MatrixRef::row_major(&[1.0, 2.0, 0.0, 0.0, -1.0, -2.0, 3.0, 3.0], 4, 2).unwrap();
//! let found = symmetry(&w, None, 0.0).unwrap();
//! assert_eq!((found.zero, found.constant), (vec![1], vec![3]));
//! assert!(found.copies[0].first == 0 && found.copies[0].second == 2 && found.copies[0].negated);
//! ```

use super::view::{MatrixRef, NonFinite};
use std::collections::HashMap;

/// A unit that repeats an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The earlier row, from 0.
    pub first: usize,
    /// The row that repeats it.
    pub second: usize,
    /// Whether it repeats it with the opposite sign.
    pub negated: bool,
}

/// What was found among the rows of a matrix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symmetry {
    /// Rows of zeros.
    pub zero: Vec<usize>,
    /// Rows (biases left out) whose entries are all the same number, not zero; only of rows with more than one.
    pub constant: Vec<usize>,
    /// Rows equal to an earlier one up to sign, neither of them zero; each refers to the first of its kind.
    pub copies: Vec<Copy>,
    /// Columns of zeros: inputs nothing is made of.
    pub unused: Vec<usize>,
}

impl Symmetry {
    /// Whether anything was found.
    pub fn is_empty(&self) -> bool {
        self.zero.is_empty()
            && self.constant.is_empty()
            && self.copies.is_empty()
            && self.unused.is_empty()
    }
}

/// Rows widened, a bias as the last entry of each.
struct Rows {
    cols: usize,
    len: usize,
    data: Vec<f64>,
}

impl Rows {
    fn new(a: &MatrixRef<'_>, bias: Option<&MatrixRef<'_>>) -> Result<Rows, NonFinite> {
        for m in [Some(a), bias].into_iter().flatten() {
            if let Some(bad) = m.first_nonfinite() {
                return Err(bad);
            }
        }
        let cols = a.cols() * a.components();
        let len = cols + usize::from(bias.is_some());
        let mut data = vec![0.0; len * a.rows()];
        let mut biases = vec![0.0; a.rows()];
        if let Some(b) = bias {
            b.read_row(0, &mut biases);
        }
        for (i, row) in data.chunks_exact_mut(len.max(1)).enumerate() {
            a.read_row(i, &mut row[..cols]);
            if let Some(last) = row.get_mut(cols) {
                *last = biases[i];
            }
        }
        Ok(Rows { cols, len, data })
    }

    fn count(&self) -> usize {
        self.data.len() / self.len.max(1)
    }

    fn get(&self, i: usize) -> &[f64] {
        &self.data[i * self.len..(i + 1) * self.len]
    }

    /// Whether the first entry that is not zero is negative.
    fn negative(&self, i: usize) -> bool {
        self.get(i)
            .iter()
            .find(|x| **x != 0.0)
            .is_some_and(|x| *x < 0.0)
    }

    /// The row up to sign: bits of the entries times the sign of the first that is not zero, zeros without sign.
    fn key(&self, i: usize) -> Vec<u64> {
        let sign = if self.negative(i) { -1.0 } else { 1.0 };
        self.get(i)
            .iter()
            .map(|x| (sign * x + 0.0).to_bits())
            .collect()
    }
}

/// Finds copies, dead and constant rows of an `m x n` matrix, with the biases of its rows (a `1 x m` matrix) where given.
///
/// `tolerance` is a relative distance: rows `x`, `y` are copies if `|x - y| <= tolerance max(|x|, |y|)` (or with `x + y`); 0 compares
/// exactly. Two roundings of one row to a format are within `2u`. Exact comparison takes one pass by hashing; otherwise rows are sorted by their
/// component along one unit vector, which moves by no more than the distance, so that no pair is missed.
/// Theorem: projection-window.
///
/// # Errors
/// The first entry that is NaN or infinite.
///
/// # Panics
/// If there are not as many biases as rows.
///
/// # Examples
/// ```
/// use isometer::linalg::{symmetry::symmetry, view::MatrixRef};
/// let w = MatrixRef::row_major(&[1.0, 2.0, 1.0, 2.0], 2, 2).unwrap();
/// assert_eq!(symmetry(&w, None, 0.0).unwrap().copies.len(), 1);
/// let b = MatrixRef::row_major(&[0.5, -0.5], 1, 2).unwrap(); // different biases: no copies
/// assert!(symmetry(&w, Some(&b), 0.0).unwrap().is_empty());
/// ```
pub fn symmetry(
    a: &MatrixRef<'_>,
    bias: Option<&MatrixRef<'_>>,
    tolerance: f64,
) -> Result<Symmetry, NonFinite> {
    if let Some(b) = bias {
        assert_eq!((b.rows(), b.cols()), (1, a.rows()), "shape of the biases");
    }
    let rows = Rows::new(a, bias)?;
    let mut found = Symmetry::default();
    let mut used = vec![false; rows.cols];
    for i in 0..rows.count() {
        let weights = &rows.get(i)[..rows.cols];
        if weights.iter().all(|x| *x == 0.0) {
            found.zero.push(i);
        } else if weights.len() > 1 && weights.iter().all(|x| *x == weights[0]) {
            found.constant.push(i);
        }
        for (u, x) in used.iter_mut().zip(weights) {
            *u |= *x != 0.0;
        }
    }
    found.unused = (0..a.cols())
        .filter(|j| (0..a.components()).all(|c| !used[j * a.components() + c]))
        .collect();
    found.copies = match tolerance > 0.0 {
        true => near_copies(&rows, tolerance),
        false => exact_copies(&rows),
    };
    found
        .copies
        .retain(|c| found.zero.binary_search(&c.second).is_err());
    Ok(found)
}

fn exact_copies(rows: &Rows) -> Vec<Copy> {
    let mut first: HashMap<Vec<u64>, usize> = HashMap::new();
    let mut copies = Vec::new();
    for second in 0..rows.count() {
        match first.entry(rows.key(second)) {
            std::collections::hash_map::Entry::Vacant(v) => {
                v.insert(second);
            }
            std::collections::hash_map::Entry::Occupied(o) => copies.push(Copy {
                first: *o.get(),
                second,
                negated: rows.negative(*o.get()) != rows.negative(second),
            }),
        }
    }
    copies
}

fn near_copies(rows: &Rows, tolerance: f64) -> Vec<Copy> {
    let top = rows.data.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if top == 0.0 {
        return Vec::new();
    }
    // entries of magnitude at most 1, a direction of norm 1 without pattern
    let scale = |x: f64| x / top;
    let entry = |j: usize| {
        let mixed = (j as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    let length = (0..rows.len)
        .map(|j| entry(j) * entry(j))
        .sum::<f64>()
        .sqrt();
    let size = |i: usize| {
        rows.get(i)
            .iter()
            .map(|x| scale(*x).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let sizes: Vec<f64> = (0..rows.count()).map(size).collect();
    let component = |i: usize| {
        let terms = rows.get(i).iter().enumerate();
        terms.map(|(j, x)| scale(*x) * entry(j)).sum::<f64>() / length
    };
    // (component, row, sign); rounding of a component is within n u of the size
    let mut sorted: Vec<(f64, usize, bool)> = (0..rows.count())
        .filter(|i| sizes[*i] > 0.0)
        .flat_map(|i| {
            let c = component(i);
            [(c, i, false), (-c, i, true)]
        })
        .collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let slack = 4.0 * (rows.len + 4) as f64 * f64::EPSILON;
    let widest = sizes.iter().fold(0.0f64, |m, s| m.max(*s));
    let mut leader: Vec<Option<(usize, bool)>> = vec![None; rows.count()];
    let place: HashMap<usize, usize> = sorted
        .iter()
        .enumerate()
        .filter(|(_, s)| !s.2)
        .map(|(k, s)| (s.1, k))
        .collect();
    let mut copies = Vec::new();
    for first in 0..rows.count() {
        let Some(at) = place
            .get(&first)
            .copied()
            .filter(|_| leader[first].is_none())
        else {
            continue;
        };
        // no partner is longer than |x| / (1 - tolerance) where that is positive
        let longest = match tolerance < 1.0 {
            true => (sizes[first] / (1.0 - tolerance)).min(widest),
            false => widest,
        };
        let reach = (tolerance + slack) * longest * (1.0 + slack);
        let here = sorted[at].0;
        let below = sorted[..at]
            .iter()
            .rev()
            .take_while(|s| here - s.0 <= reach);
        let above = sorted[at + 1..].iter().take_while(|s| s.0 - here <= reach);
        for (_, second, negated) in below.chain(above) {
            if *second <= first || leader[*second].is_some() {
                continue;
            }
            let sign = if *negated { -1.0 } else { 1.0 };
            let pairs = rows.get(first).iter().zip(rows.get(*second));
            let apart = pairs
                .map(|(x, y)| (scale(*x) - sign * scale(*y)).powi(2))
                .sum::<f64>()
                .sqrt();
            if apart <= tolerance * sizes[first].max(sizes[*second]) {
                leader[*second] = Some((first, *negated));
            }
        }
    }
    for (second, l) in leader.iter().enumerate() {
        if let Some((first, negated)) = *l {
            copies.push(Copy {
                first,
                second,
                negated,
            });
        }
    }
    copies
}

/// A number that two matrices with the same rows in any order share; different ones rarely do.
///
/// # Errors
/// The first entry that is NaN or infinite.
///
/// # Examples
/// ```
/// use isometer::linalg::{symmetry::row_fingerprint, view::MatrixRef};
/// let of = |x: &[f64; 4]| row_fingerprint(&MatrixRef::row_major(x, 2, 2).unwrap()).unwrap();
/// assert_eq!(of(&[1.0, 2.0, 3.0, 4.0]), of(&[3.0, 4.0, 1.0, 2.0]));
/// assert_ne!(of(&[1.0, 2.0, 3.0, 4.0]), of(&[1.0, 2.0, 3.0, 5.0]));
/// ```
pub fn row_fingerprint(a: &MatrixRef<'_>) -> Result<u64, NonFinite> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let rows = Rows::new(a, None)?;
    let one = |i: usize| {
        let mut hasher = DefaultHasher::new();
        for x in rows.get(i) {
            (x + 0.0).to_bits().hash(&mut hasher);
        }
        hasher.finish()
    };
    Ok((0..rows.count()).map(one).fold(0, u64::wrapping_add))
}

/// For each row of `a` the row of `b` equal to it, if the rows of one matrix are those of the other in some order, exactly.
/// Repeated rows are given out in order.
///
/// # Errors
/// The first entry that is NaN or infinite.
///
/// # Examples
/// ```
/// use isometer::linalg::{symmetry::row_permutation, view::MatrixRef};
/// let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, 2).unwrap();
/// let b = MatrixRef::row_major(&[5.0, 6.0, 1.0, 2.0, 3.0, 4.0], 3, 2).unwrap();
/// assert_eq!(row_permutation(&a, &b).unwrap(), Some(vec![1, 2, 0]));
/// ```
pub fn row_permutation(
    a: &MatrixRef<'_>,
    b: &MatrixRef<'_>,
) -> Result<Option<Vec<usize>>, NonFinite> {
    if (a.rows(), a.cols(), a.components()) != (b.rows(), b.cols(), b.components()) {
        return Ok(None);
    }
    let (x, y) = (Rows::new(a, None)?, Rows::new(b, None)?);
    let bits = |r: &[f64]| r.iter().map(|v| (v + 0.0).to_bits()).collect::<Vec<u64>>();
    let mut places: HashMap<Vec<u64>, Vec<usize>> = HashMap::new();
    for j in (0..y.count()).rev() {
        places.entry(bits(y.get(j))).or_default().push(j);
    }
    Ok((0..x.count())
        .map(|i| places.get_mut(&bits(x.get(i))).and_then(Vec::pop))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(x: &[f64], m: usize, n: usize, tolerance: f64) -> Symmetry {
        symmetry(&MatrixRef::row_major(x, m, n).unwrap(), None, tolerance).unwrap()
    }

    #[test]
    fn copies_zeros_and_constants() {
        let x = [
            1.0, 2.0, 0.0, //
            0.0, -0.0, 0.0, //
            -1.0, -2.0, -0.0, //
            3.0, 3.0, 0.0, //
            1.0, 2.0, 0.0,
        ];
        let s = of(&x, 5, 3, 0.0);
        assert_eq!(s.zero, [1]);
        assert_eq!(s.unused, [2]);
        assert!(s.constant.is_empty());
        let copy = |second, negated| Copy {
            first: 0,
            second,
            negated,
        };
        assert_eq!(s.copies, [copy(2, true), copy(4, false)]);
        assert_eq!(of(&x, 5, 3, 1e-12).copies, s.copies);
        let constant = of(&[0.5; 6], 3, 2, 0.0);
        assert_eq!((constant.constant.len(), constant.copies.len()), (3, 2));
        // biases tell units apart
        let (w, b) = ([1.0, 2.0, 1.0, 2.0], [0.0, 1.0]);
        let w = MatrixRef::row_major(&w, 2, 2).unwrap();
        let b = MatrixRef::row_major(&b, 1, 2).unwrap();
        assert!(symmetry(&w, Some(&b), 0.0).unwrap().is_empty());
        assert_eq!(symmetry(&w, None, 0.0).unwrap().copies.len(), 1);
    }

    #[test]
    fn one_bit_is_noticed_and_tolerated() {
        let x = [1.0, 2.0, 1.0, 2f64.next_up()];
        assert!(of(&x, 2, 2, 0.0).copies.is_empty());
        assert_eq!(of(&x, 2, 2, 1e-15).copies.len(), 1);
        assert!(of(&x, 2, 2, 1e-17).copies.is_empty());
    }

    #[test]
    fn permutations_of_rows() {
        let (x, y) = (
            [1.0, 2.0, 3.0, 4.0, 1.0, 2.0],
            [3.0, 4.0, 1.0, 2.0, 1.0, 2.0],
        );
        let view = |v| MatrixRef::row_major(v, 3, 2).unwrap();
        assert_eq!(
            row_permutation(&view(&x), &view(&y)).unwrap(),
            Some(vec![1, 0, 2])
        );
        let print = |v| row_fingerprint(&view(v)).unwrap();
        assert_eq!(print(&x), print(&y));
        let z = [3.0, 4.0, 1.0, 2.0, 3.0, 4.0];
        assert_ne!(print(&x), print(&z));
        assert_eq!(row_permutation(&view(&x), &view(&z)).unwrap(), None);
    }
}
