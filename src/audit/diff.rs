//! What changed between two checkpoints, layer by layer: which tensors are new or gone, by how much the others
//! moved, whether the change has low rank (a merged adapter), how far the leading directions turned. Start with
//! [`diff`]. Norms and counts as exact as f64 gives them, singular values estimates.

use super::checkpoint::{Observer, Pass, Subject};
use super::roles::{Named, Role, roles};
use super::spectra::{OPERATIONS_A_SECOND, Piece, SpectralOptions, measure, pieces};
use crate::formats::{Content, Tensor};
use crate::linalg::condition::Measured;
use crate::linalg::entries::entries;
use crate::linalg::norms::Squares;
use crate::linalg::spectrum::{directions, directions_work};
use crate::linalg::view::MatrixRef;
use std::collections::{HashMap, HashSet};

/// Most leading directions that are compared.
const DIRECTIONS: usize = 8;

/// What became of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The same numbers; the number format may differ.
    Same,
    /// Other numbers.
    Changed,
    /// In the second checkpoint only.
    New,
    /// In the first checkpoint only.
    Missing,
    /// Another shape.
    Reshaped,
    /// One of the two could not be read.
    Unread,
}

impl Status {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Same => "same",
            Status::Changed => "changed",
            Status::New => "new",
            Status::Missing => "missing",
            Status::Reshaped => "reshaped",
            Status::Unread => "unread",
        }
    }
}

/// How the numbers of a tensor changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// `|B - A|_F / |A|_F`; infinite where `A` is zero and `B` is not.
    pub relative_frobenius: f64,
    /// Largest magnitude of an entry of `B - A`.
    pub largest: f64,
    /// Share of the entries that differ.
    pub share: f64,
    /// NaN and infinities in `A` and in `B`; the other numbers are over entries finite in both.
    pub nonfinite: (u64, u64),
    /// What only matrices have.
    pub matrix: Option<MatrixChange>,
}

/// How a matrix changed.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixChange {
    /// Largest singular value before.
    pub before: Measured,
    /// Largest singular value after.
    pub after: Measured,
    /// Largest singular value of the difference.
    pub difference: Measured,
    /// `|B - A|_F^2 / |B - A|_2^2`: small where an adapter was merged.
    pub stable_rank: f64,
    /// The leading directions, where they were compared.
    pub angle: Option<Angle>,
}

/// The turn of the leading singular directions on the shorter side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Angle {
    /// Largest principal angle, in degrees.
    pub degrees: f64,
    /// How many directions: those before the largest gap of `A`.
    pub directions: usize,
    /// That gap, `sigma_k / sigma_{k+1}`: with a gap near 1 an angle means little.
    pub gap: f64,
}

/// One tensor of either checkpoint.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Name.
    pub label: String,
    /// What became of it.
    pub status: Status,
    /// Shapes before and after.
    pub shapes: (Option<Vec<usize>>, Option<Vec<usize>>),
    /// Number formats before and after.
    pub dtypes: (Option<String>, Option<String>),
    /// How its numbers changed.
    pub change: Option<Change>,
    /// Why something is not known.
    pub remark: Option<String>,
}

/// Both checkpoints.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// In the order of the first checkpoint, then what is new.
    pub tensors: Vec<Compared>,
    /// Prefixes that were taken off to make names agree, before and after.
    pub prefixes: (String, String),
    /// Whether it was ended before it was done.
    pub interrupted: bool,
}

/// Compares tensors of the same names. Where no name agrees, prefixes that all names of a side share
/// (`module.`, `model.`) are taken off.
///
/// # Examples
/// ```
/// use isometer::audit::checkpoint::{AuditOptions, Unobserved, subjects};
/// use isometer::audit::diff::{Status, diff};
/// use isometer::formats::open_bytes;
/// let before = open_bytes("w.txt", b"3 0\n0 4\n".to_vec()).unwrap();
/// let after = open_bytes("w.txt", b"3 0\n0 9\n".to_vec()).unwrap();
/// let labels = ["w".to_string()];
/// let options = AuditOptions::default().spectral;
/// let d = diff(&subjects(&before, &labels), &subjects(&after, &labels), &options, &Unobserved);
/// assert_eq!(d.tensors[0].status, Status::Changed);
/// let change = d.tensors[0].change.as_ref().unwrap();
/// assert!((change.relative_frobenius - 1.0).abs() < 1e-12); // |5| / |(3, 4)|
/// assert_eq!((change.largest, change.share), (5.0, 0.25));
/// ```
pub fn diff(
    before: &[Subject<'_>],
    after: &[Subject<'_>],
    options: &SpectralOptions,
    observer: &impl Observer,
) -> Difference {
    let prefixes = prefixes(before, after);
    let plain = |s: &Subject<'_>, prefix: &str| {
        s.name()
            .strip_prefix(prefix)
            .unwrap_or(s.name())
            .to_string()
    };
    let index: HashMap<String, &Subject<'_>> =
        after.iter().map(|s| (plain(s, &prefixes.1), s)).collect();
    let named: Vec<Named<'_>> = before
        .iter()
        .map(|s| Named {
            name: s.name(),
            shape: s.shape(),
        })
        .collect();
    observer.begin(Pass::Spectral, before.len() as u64);
    let mut out = Difference::default();
    let mut met = HashSet::new();
    for (s, role) in before.iter().zip(roles(&named)) {
        if observer.stopped() {
            out.interrupted = true;
            break;
        }
        let name = plain(s, &prefixes.0);
        let other = index.get(&name).copied();
        out.tensors.push(compare(s, other, &role, options));
        met.insert(name);
        observer.advanced(s.label, 1);
    }
    for s in after
        .iter()
        .filter(|s| !out.interrupted && !met.contains(&plain(s, &prefixes.1)))
    {
        out.tensors.push(Compared {
            label: s.label.to_string(),
            status: Status::New,
            shapes: (None, Some(s.shape().to_vec())),
            dtypes: (None, Some(s.dtype().to_string())),
            change: None,
            remark: None,
        });
    }
    out.prefixes = prefixes;
    out
}

fn prefixes(before: &[Subject<'_>], after: &[Subject<'_>]) -> (String, String) {
    let names: HashSet<&str> = after.iter().map(Subject::name).collect();
    if before.iter().any(|s| names.contains(s.name())) {
        return Default::default();
    }
    (shared(before), shared(after))
}

/// The leading parts that all names share, with their dot; never a whole name.
fn shared(list: &[Subject<'_>]) -> String {
    let Some(first) = list.first().filter(|_| list.len() > 1) else {
        return String::new();
    };
    let common = list.iter().fold(first.name(), |p, s| {
        let same = p
            .bytes()
            .zip(s.name().bytes())
            .take_while(|(a, b)| a == b)
            .count();
        p.get(..same).unwrap_or("")
    });
    common
        .rfind('.')
        .map_or(String::new(), |at| common[..=at].to_string())
}

fn compare(
    a: &Subject<'_>,
    b: Option<&Subject<'_>>,
    role: &Role,
    options: &SpectralOptions,
) -> Compared {
    let mut out = Compared {
        label: a.label.to_string(),
        status: Status::Missing,
        shapes: (Some(a.shape().to_vec()), b.map(|b| b.shape().to_vec())),
        dtypes: (
            Some(a.dtype().to_string()),
            b.map(|b| b.dtype().to_string()),
        ),
        change: None,
        remark: None,
    };
    let Some(b) = b else { return out };
    if a.shape() != b.shape() {
        out.status = Status::Reshaped;
        return out;
    }
    let read = |s: &Subject<'_>| -> Result<Tensor, String> {
        match (s.load(), s.content()) {
            (Some(read), _) => read,
            (None, Content::Skip(reason)) => Err(reason.to_string()),
            (None, Content::Readable(_)) => Err("not read".into()),
        }
    };
    let compared = read(a).and_then(|a| Ok((a, read(b)?))).and_then(|(x, y)| {
        let (x, y) = (
            x.matrix().map_err(|e| e.to_string())?,
            y.matrix().map_err(|e| e.to_string())?,
        );
        change(&x, &y, a.shape(), role, options)
    });
    match compared {
        Err(why) => {
            out.status = Status::Unread;
            out.remark = Some(why);
        }
        Ok((change, remark)) => {
            out.status = if change.share > 0.0 {
                Status::Changed
            } else {
                Status::Same
            };
            out.change = Some(change);
            out.remark = remark;
        }
    }
    out
}

fn change(
    a: &MatrixRef<'_>,
    b: &MatrixRef<'_>,
    shape: &[usize],
    role: &Role,
    options: &SpectralOptions,
) -> Result<(Change, Option<String>), String> {
    let parts = a.components();
    if parts != b.components() {
        return Err("one of them is complex, the other is not".into());
    }
    let (rows, cols) = (a.rows(), a.cols());
    let (mut x, mut y) = (vec![0.0; cols * parts], vec![0.0; cols * parts]);
    let mut difference = vec![0.0; rows * cols * parts];
    let (mut norm, mut moved) = (Squares::default(), Squares::default());
    let (mut largest, mut differing) = (0.0f64, 0u64);
    for (i, row) in difference
        .chunks_exact_mut((cols * parts).max(1))
        .enumerate()
    {
        a.read_row(i, &mut x);
        b.read_row(i, &mut y);
        for ((d, x), y) in row.iter_mut().zip(&x).zip(&y) {
            let same = x == y || x.is_nan() && y.is_nan();
            differing += u64::from(!same);
            if x.is_finite() {
                norm.push(*x);
            }
            if x.is_finite() && y.is_finite() {
                *d = y - x;
                moved.push(*d);
                largest = largest.max(d.abs());
            }
        }
    }
    let (norm, moved) = (norm.root(), moved.root());
    let found = (entries(a), entries(b));
    let mut out = Change {
        relative_frobenius: if moved.is_zero() {
            0.0
        } else {
            moved.ratio(&norm).value().to_linear_saturating()
        },
        largest,
        share: differing as f64 / ((rows * cols * parts).max(1)) as f64,
        nonfinite: (found.0.nonfinite(), found.1.nonfinite()),
        matrix: None,
    };
    let plain = out.nonfinite == (0, 0) && parts == 1 && shape.len() >= 2 && *role != Role::Buffer;
    let moved_at_all = largest > 0.0 && largest.is_finite();
    if !(plain && moved_at_all && rows.min(cols) > 1) {
        return Ok((out, None));
    }
    // the kernel's own orientation, where the role tells
    let whole = |m| pieces(m, shape, role).swap_remove(0).matrix;
    let (a, b) = (whole(*a), whole(*b));
    let difference = MatrixRef::row_major(&difference, rows, cols).map_err(|e| e.to_string())?;
    let top = |matrix: MatrixRef<'_>, largest: f64| {
        measure(&Piece { name: None, matrix }, largest, options)
    };
    let moved = top(whole(difference), largest)?;
    let (before, after) = (top(a, found.0.largest)?, top(b, found.1.largest)?);
    let affordable = directions_work(a.rows(), a.cols()) <= options.budget * OPERATIONS_A_SECOND;
    let pair = affordable
        .then(|| {
            Some((
                directions(&a, found.0.largest)?,
                directions(&b, found.1.largest)?,
            ))
        })
        .flatten();
    let angle = pair.map(|(u, v)| {
        let (k, gap) = u.leading(DIRECTIONS);
        Angle {
            degrees: u.angle(&v, k).to_degrees(),
            directions: k,
            gap,
        }
    });
    out.matrix = Some(MatrixChange {
        before: before.sigma_max,
        after: after.sigma_max,
        difference: moved.sigma_max,
        stable_rank: moved.stable_rank,
        angle,
    });
    let remark = (!affordable).then(|| "directions not compared within the budget".to_string());
    Ok((out, remark.or(moved.degraded)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::checkpoint::{Unobserved, subjects};
    use crate::formats::{Collection, open_bytes};

    /// A safetensors file in memory.
    fn file(tensors: &[(&str, &[usize], Vec<f32>)]) -> Collection {
        let mut header = serde_json::Map::new();
        let mut data = Vec::new();
        for (name, shape, values) in tensors {
            let start = data.len();
            data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            header.insert(
                name.to_string(),
                serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}),
            );
        }
        let text = serde_json::Value::Object(header).to_string();
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend(text.bytes());
        bytes.extend(data);
        open_bytes("a.safetensors", bytes).unwrap()
    }

    fn compared(a: &Collection, b: &Collection) -> Difference {
        let labels = |c: &Collection| {
            c.entries()
                .iter()
                .map(|e| e.stored_name().to_string())
                .collect::<Vec<_>>()
        };
        let (la, lb) = (labels(a), labels(b));
        let options = SpectralOptions {
            budget: 10.0,
            certify: false,
            seed: 0,
        };
        diff(&subjects(a, &la), &subjects(b, &lb), &options, &Unobserved)
    }

    fn waves(n: usize, f: f32) -> Vec<f32> {
        (0..n).map(|k| (f * k as f32).sin()).collect()
    }

    #[test]
    fn every_fate_of_a_tensor_is_told() {
        let a = file(&[
            ("same", &[8, 8], waves(64, 0.7)),
            ("moved", &[8, 8], waves(64, 0.9)),
            ("gone", &[3], waves(3, 1.0)),
            ("wider", &[2, 2], waves(4, 1.0)),
            ("broken", &[2, 2], waves(4, 1.0)),
        ]);
        let mut moved = waves(64, 0.9);
        // a rank-one change of known norms
        for (k, v) in moved.iter_mut().enumerate() {
            *v += if k / 8 == 3 { 0.5 } else { 0.0 };
        }
        let b = file(&[
            ("same", &[8, 8], waves(64, 0.7)),
            ("moved", &[8, 8], moved),
            ("wider", &[2, 3], waves(6, 1.0)),
            ("broken", &[2, 2], vec![f32::NAN; 4]),
            ("fresh", &[1], vec![1.0]),
        ]);
        let d = compared(&a, &b);
        let status: Vec<(&str, &str)> = d
            .tensors
            .iter()
            .map(|t| (t.label.as_str(), t.status.as_str()))
            .collect();
        assert_eq!(
            status,
            [
                ("same", "same"),
                ("moved", "changed"),
                ("gone", "missing"),
                ("wider", "reshaped"),
                ("broken", "changed"),
                ("fresh", "new")
            ]
        );
        let change = d.tensors[1].change.as_ref().unwrap();
        let matrix = change.matrix.as_ref().unwrap();
        let norm: f64 = waves(64, 0.9)
            .iter()
            .map(|x| f64::from(*x).powi(2))
            .sum::<f64>()
            .sqrt();
        assert!((change.relative_frobenius - 0.5 * 8f64.sqrt() / norm).abs() < 1e-6);
        assert!((matrix.stable_rank - 1.0).abs() < 1e-6 && change.share == 0.125);
        assert_eq!(d.tensors[4].change.as_ref().unwrap().nonfinite, (0, 4));
    }

    #[test]
    fn prefixes_of_wrappers_are_taken_off() {
        let a = file(&[
            ("module.fc.weight", &[2, 2], waves(4, 1.0)),
            ("module.fc.bias", &[2], waves(2, 1.0)),
        ]);
        let b = file(&[
            ("fc.weight", &[2, 2], waves(4, 1.0)),
            ("fc.bias", &[2], waves(2, 1.0)),
        ]);
        let d = compared(&a, &b);
        assert_eq!(d.prefixes, ("module.fc.".into(), "fc.".into()));
        assert!(d.tensors.len() == 2 && d.tensors.iter().all(|t| t.status == Status::Same));
    }
}
