//! Residual blocks of two dense layers, told from names and shapes, and how far gradients can grow through a stack of them.
//!
//! Upper bounds, certified where the spectral norms are: `prod (1 + |W_out| |W_in|)`. The audit finds the stacks by
//! itself:
//!
//! ```
//! use isometer::audit::checkpoint::{AuditOptions, Unobserved, audit, subjects};
//! use isometer::formats::open_bytes;
//!
//! // a safetensors file of two blocks, 2 -> 4 -> 2, every layer of norm 3
//! let (mut header, mut data) = (Vec::new(), Vec::new());
//! for name in ["h.0.fc1", "h.0.fc2", "h.1.fc1", "h.1.fc2"] {
//!     let (rows, cols) = if name.ends_with('1') { (4, 2) } else { (2, 4) };
//!     let from = data.len();
//!     for k in 0..8 {
//!         data.extend((if k / cols == k % cols { 3.0f64 } else { 0.0 }).to_le_bytes());
//!     }
//!     let to = data.len();
//!     header.push(format!(r#""{name}.weight":{{"dtype":"F64","shape":[{rows},{cols}],"data_offsets":[{from},{to}]}}"#));
//! }
//! let header = format!("{{{}}}", header.join(","));
//! let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
//! let file = open_bytes("blocks.safetensors", bytes).unwrap();
//! let labels: Vec<String> = file.entries().iter().map(|e| e.name()).collect();
//! let found = audit(&subjects(&file, &labels), &AuditOptions::default(), &Unobserved);
//! let stack = &found.stacks[0];
//! assert!((stack.blocks.len(), stack.width) == (2, 2));
//! assert!((stack.log10_growth - 2.0).abs() < 1e-9); // (1 + 3 * 3)^2
//! assert!((stack.steepest().norm.to_linear().unwrap().0 - 9.0).abs() < 1e-9);
//! ```

use super::chains::{family, sides};
use super::checkpoint::Audited;
use crate::linalg::rounding::up;
use crate::scale::{Certainty, Enclosure, LogScale};
use std::collections::{BTreeMap, HashMap};

/// One block `x + W_out phi(W_in x)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Label of the layer that widens, `d -> f`.
    pub input: String,
    /// Label of the layer that comes back, `f -> d`.
    pub output: String,
    /// `|W_out| |W_in|`, which bounds the Jacobian of the branch where no slope of `phi` exceeds 1.
    pub norm: Enclosure,
}

/// Blocks of one family: names that differ in numbers only, and one width of the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// In the order of the file, at least two.
    pub blocks: Vec<Block>,
    /// Width of the stream, `d`.
    pub width: usize,
    /// `log10` of the product of `1 + |W_out| |W_in|`, rounded up: no gradient grows by more through these branches and their skip
    /// connections, normalization and attention apart. Theorems: residual-block-bounds, gradient-norm-bound.
    pub log10_growth: f64,
    /// What the spectral norms are worth.
    pub certainty: Certainty,
}

impl Stack {
    /// The block whose norm has the largest upper limit.
    pub fn steepest(&self) -> &Block {
        let size = |b: &&Block| b.norm.log10().2;
        self.blocks
            .iter()
            .max_by(|a, b| size(a).total_cmp(&size(b)))
            .expect("a stack has at least two blocks")
    }
}

/// Every beginning of a name that ends in a number: `h.3.mlp.fc1` gives `h.3` and `h.3.mlp.fc1`.
fn numbered(name: &str) -> impl Iterator<Item = &str> {
    let bytes = name.as_bytes();
    (1..=bytes.len())
        .filter(|k| bytes[k - 1].is_ascii_digit() && !bytes.get(*k).is_some_and(u8::is_ascii_digit))
        .map(|k| &name[..k])
}

/// The only pairs `d -> f`, `f -> d` with `f` other than `d` among these matrices, as (in, out).
fn pairs(members: &[usize], side: impl Fn(usize) -> (usize, usize)) -> Vec<(usize, usize)> {
    let mut by_shape: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for k in members {
        by_shape.entry(side(*k)).or_default().push(*k);
    }
    by_shape
        .iter()
        .filter(|((d, f), _)| d < f)
        .filter_map(|((d, f), wide)| {
            match (wide[..].as_ref(), by_shape.get(&(*f, *d))?[..].as_ref()) {
                // two that widen are a gated unit, whose slope weights alone do not bound
                ([a], [b]) => Some((*a, *b)),
                _ => None,
            }
        })
        .collect()
}

/// All stacks, in the order of the file. Two dense layers make a block where they are the only ones of their shapes under a
/// common numbered beginning of their names, the longest one first, and another block is named alike.
pub fn stacks(tensors: &[Audited]) -> Vec<Stack> {
    let side = |k: usize| sides(&tensors[k]).filter(|_| !tensors[k].parts.is_empty());
    let mut groups: HashMap<&str, Vec<usize>> = HashMap::new();
    for k in (0..tensors.len()).filter(|k| side(*k).is_some()) {
        for beginning in numbered(&tensors[k].name) {
            groups.entry(beginning).or_default().push(k);
        }
    }
    let mut groups: Vec<(&str, Vec<usize>)> =
        groups.into_iter().filter(|g| g.1.len() > 1).collect();
    groups.sort_by_key(|(name, members)| (std::cmp::Reverse(name.len()), members[0]));
    let mut taken = vec![false; tensors.len()];
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (_, mut members) in groups {
        members.retain(|k| !taken[*k]);
        for (a, b) in pairs(&members, |k| side(k).unwrap_or_default()) {
            (taken[a], taken[b]) = (true, true);
            found.push((a, b));
        }
    }
    found.sort_unstable();
    let mut families: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut index = HashMap::new();
    for (a, b) in found {
        let width = side(a).unwrap_or_default().0;
        let key = (family(&tensors[a].name), family(&tensors[b].name), width);
        let k = *index.entry(key).or_insert(families.len());
        match families.get_mut(k) {
            Some(list) => list.push((a, b)),
            None => families.push(vec![(a, b)]),
        }
    }
    families
        .into_iter()
        .filter(|list| list.len() > 1)
        .map(|list| {
            let (width, _) = side(list[0].0).unwrap_or_default();
            stack(tensors, width, &list)
        })
        .collect()
}

fn stack(tensors: &[Audited], width: usize, list: &[(usize, usize)]) -> Stack {
    let norm = |k: usize| tensors[k].parts[0].sigma_max;
    let blocks: Vec<Block> = list
        .iter()
        .map(|(a, b)| Block {
            input: tensors[*a].label.clone(),
            output: tensors[*b].label.clone(),
            norm: norm(*a).enclosure.times(&norm(*b).enclosure),
        })
        .collect();
    // each logarithm is good to a few roundings, which `up` covers, and so is each sum
    let growth = blocks
        .iter()
        .map(|b| up(LogScale::ONE.plus(b.norm.hi()).log10()));
    Stack {
        width,
        log10_growth: growth.fold(0.0, |sum, x| up(sum + x)),
        certainty: list
            .iter()
            .flat_map(|(a, b)| [norm(*a).certainty, norm(*b).certainty])
            .find(|c| *c != Certainty::Certified)
            .unwrap_or(Certainty::Certified),
        blocks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::checkpoint::{AuditOptions, Subject, Unobserved, audit};
    use crate::formats::open_bytes;
    use nalgebra::DMatrix;
    use rand::{RngExt, SeedableRng};

    /// Stacks among matrices `[out, in]` of these names with entries uniform in `[-1, 1)`, and the entries.
    fn found(shapes: &[(&str, usize, usize)], certify: bool) -> (Vec<Stack>, Vec<Vec<f64>>) {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut header = serde_json::Map::new();
        let (mut data, mut all) = (Vec::new(), Vec::new());
        for (name, out, inputs) in shapes {
            let w: Vec<f64> = (0..out * inputs)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect();
            let start = data.len();
            data.extend(w.iter().flat_map(|x| x.to_le_bytes()));
            let entry = serde_json::json!({
                "dtype": "F64", "shape": [out, inputs], "data_offsets": [start, data.len()]});
            header.insert((*name).into(), entry);
            all.push(w);
        }
        let text = serde_json::Value::Object(header).to_string();
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend(text.bytes().chain(data));
        let file = open_bytes("b.safetensors", bytes).unwrap();
        let subject = |k: usize| Subject {
            collection: &file,
            entry: k,
            label: file.entries()[k].stored_name(),
        };
        let subjects: Vec<Subject<'_>> = (0..shapes.len()).map(subject).collect();
        let mut options = AuditOptions::default();
        options.spectral.certify = certify;
        (
            stacks(&audit(&subjects, &options, &Unobserved).tensors),
            all,
        )
    }

    /// `in out` of every block.
    fn names(stacks: &[Stack]) -> Vec<Vec<String>> {
        let both = |b: &Block| format!("{} {}", b.input, b.output);
        stacks
            .iter()
            .map(|s| s.blocks.iter().map(both).collect())
            .collect()
    }

    #[test]
    fn blocks_are_found_by_name_and_shape_whatever_their_order() {
        // attention and gated units are no blocks; the layer that comes back may come first
        let mut file = Vec::new();
        for k in 0..3 {
            file.push((format!("h.{k}.attn.q"), 4, 4));
            file.push((format!("h.{k}.attn.o"), 4, 4));
            file.push((format!("h.{k}.mlp.dense_4h_to_h"), 4, 16));
            file.push((format!("h.{k}.mlp.dense_h_to_4h"), 16, 4));
            file.push((format!("g.{k}.gate"), 12, 4));
            file.push((format!("g.{k}.up"), 12, 4));
            file.push((format!("g.{k}.down"), 4, 12));
        }
        // two blocks to a stage, and a pair that stands alone
        for k in 0..4 {
            file.push((format!("s.{}.b.{}.f.0", k / 2, k % 2), 9, 3));
            file.push((format!("s.{}.b.{}.f.2", k / 2, k % 2), 3, 9));
        }
        file.push(("once.0.fc1".into(), 9, 3));
        file.push(("once.0.fc2".into(), 3, 9));
        let shapes: Vec<(&str, usize, usize)> =
            file.iter().map(|(n, a, b)| (n.as_str(), *a, *b)).collect();
        let (stacks, _) = found(&shapes, false);
        assert_eq!(
            names(&stacks),
            [
                vec![
                    "h.0.mlp.dense_h_to_4h h.0.mlp.dense_4h_to_h",
                    "h.1.mlp.dense_h_to_4h h.1.mlp.dense_4h_to_h",
                    "h.2.mlp.dense_h_to_4h h.2.mlp.dense_4h_to_h",
                ],
                vec![
                    "s.0.b.0.f.0 s.0.b.0.f.2",
                    "s.0.b.1.f.0 s.0.b.1.f.2",
                    "s.1.b.0.f.0 s.1.b.0.f.2",
                    "s.1.b.1.f.0 s.1.b.1.f.2",
                ],
            ]
        );
        assert_eq!((stacks[0].width, stacks[1].width), (4, 3));
        assert_eq!(stacks[0].certainty, Certainty::Estimate);
    }

    /// The Jacobian of a stack with slopes of either sign stays under the bound, and comes near it.
    #[test]
    fn no_jacobian_exceeds_the_bound_and_some_come_near() {
        let shapes = [("0.a", 7, 3), ("0.b", 3, 7), ("1.a", 7, 3), ("1.b", 3, 7)];
        let (stacks, w) = found(&shapes, true);
        assert_eq!(stacks[0].certainty, Certainty::Certified);
        let bound = 10f64.powf(stacks[0].log10_growth);
        let w: Vec<DMatrix<f64>> = w
            .iter()
            .zip(shapes)
            .map(|(x, (_, rows, cols))| DMatrix::from_row_slice(rows, cols, x))
            .collect();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(6);
        let mut most = 0.0f64;
        for _ in 0..2000 {
            let mut jacobian = DMatrix::<f64>::identity(3, 3);
            for k in [0, 2] {
                let slopes: Vec<f64> = (0..7).map(|_| rng.random_range(-1.0..=1.0)).collect();
                let gated = DMatrix::from_fn(7, 3, |i, j| slopes[i] * w[k][(i, j)]);
                jacobian = &jacobian + &w[k + 1] * gated * &jacobian;
            }
            most = most.max(jacobian.singular_values()[0]);
        }
        assert!(most <= bound && most > 0.1 * bound, "{most} {bound}");
    }
}
