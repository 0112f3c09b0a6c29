//! Weights and the tensors that belong to them, matched by name across sources.

use crate::cli::args::Filter;
use crate::cli::output::Output;
use crate::cli::sources::{self, Item, Opened};
use isometer::audit::steps::{Step, StepError};
use isometer::formats::Tensor;
use isometer::linalg::view::MatrixRef;
use isometer::report::step::Left;
use isometer::report::step::ratios::{Report, Row};
use std::collections::HashMap;

/// One tensor of weights and its partners, one of each role.
pub struct Pair {
    source: String,
    label: String,
    shape: Vec<usize>,
    weights: Tensor,
    partners: Vec<Tensor>,
}

/// What was matched, and what was not.
pub struct Pairs {
    pub pairs: Vec<Pair>,
    pub unmatched: Vec<Left>,
}

impl Pair {
    /// Biases, norm scales, scalars.
    pub fn is_1d(&self) -> bool {
        self.shape.len() < 2
    }

    /// Hands the matrices to a calculation.
    pub fn with<T>(
        &self,
        f: impl FnOnce(&MatrixRef<'_>, &[MatrixRef<'_>]) -> T,
    ) -> anyhow::Result<T> {
        let partners: Vec<MatrixRef<'_>> = self
            .partners
            .iter()
            .map(Tensor::matrix)
            .collect::<Result<_, _>>()?;
        Ok(f(&self.weights.matrix()?, &partners))
    }

    /// Puts the result where it belongs.
    pub fn file(&self, step: Result<Step, StepError>, report: &mut Report) {
        match step {
            Ok(step) => report.rows.push(Row {
                source: self.source.clone(),
                label: self.label.clone(),
                shape: self.shape.clone(),
                step,
            }),
            Err(error) => report.broken.push(Left {
                source: self.source.clone(),
                label: self.label.clone(),
                role: "weights",
                reason: error.to_string(),
            }),
        }
    }
}

/// The name without what frameworks add to tell a gradient or a wrapped module.
fn bare(name: &str) -> &str {
    let mut bare = name;
    for prefix in ["module.", "grad.", "grads.", "_orig_mod."] {
        bare = bare.strip_prefix(prefix).unwrap_or(bare);
    }
    for suffix in [".grad", "_grad", ".exp_avg", ".exp_avg_sq"] {
        bare = bare.strip_suffix(suffix).unwrap_or(bare);
    }
    bare
}

fn left(item: &Item, role: &'static str, reason: impl Into<String>) -> Left {
    Left {
        source: item.source.clone(),
        label: item.label.clone(),
        role,
        reason: reason.into(),
    }
}

/// Matches by stored name, first as it is, then without [`bare`]'s additions; a lone tensor on each side needs no name.
pub fn pairs(
    weights: &[String],
    roles: &[(&'static str, &Vec<String>)],
    filter: &Filter,
    output: &Output,
) -> anyhow::Result<Pairs> {
    let own = sources::open(weights, filter)?;
    let others: Vec<(&'static str, Opened)> = roles
        .iter()
        .map(|(role, texts)| Ok((*role, sources::open(texts, filter)?)))
        .collect::<anyhow::Result<_>>()?;
    for opened in std::iter::once(&own).chain(others.iter().map(|o| &o.1)) {
        for note in &opened.notes {
            output.note(note);
        }
    }
    let mut out = Pairs {
        pairs: Vec::new(),
        unmatched: Vec::new(),
    };
    let lone = own.items.len() == 1 && others.iter().all(|(_, o)| o.items.len() == 1);
    let indices: Vec<HashMap<&str, usize>> = others
        .iter()
        .map(|(_, o)| {
            let names = |f: fn(&Item) -> &str| {
                o.items
                    .iter()
                    .enumerate()
                    .rev()
                    .map(move |(k, i)| (f(i), k))
            };
            // exact names win over bare ones
            let mut index: HashMap<&str, usize> = names(|i| bare(&i.name)).collect();
            index.extend(names(|i| &i.name));
            index
        })
        .collect();
    let mut used: Vec<Vec<bool>> = others
        .iter()
        .map(|(_, o)| vec![false; o.items.len()])
        .collect();
    'weights: for item in &own.items {
        let mut found = Vec::new();
        for (k, (role, _)) in others.iter().enumerate() {
            let at = match lone {
                true => Some(0),
                false => indices[k]
                    .get(item.name.as_str())
                    .or_else(|| indices[k].get(bare(&item.name)))
                    .copied(),
            };
            match at {
                Some(at) => found.push(at),
                None => {
                    out.unmatched.push(left(
                        item,
                        "weights",
                        format!("nothing of this name among the {role}"),
                    ));
                    continue 'weights;
                }
            }
        }
        let Some(tensor) = own.load_any(item)? else {
            out.unmatched.push(left(item, "weights", no_numbers(item)));
            continue;
        };
        let mut partners = Vec::new();
        for (k, at) in found.iter().enumerate() {
            used[k][*at] = true;
            let partner = &others[k].1.items[*at];
            match others[k].1.load_any(partner)? {
                Some(t) => partners.push(t),
                None => {
                    out.unmatched
                        .push(left(partner, others[k].0, no_numbers(partner)));
                    continue 'weights;
                }
            }
        }
        out.pairs.push(Pair {
            source: item.source.clone(),
            label: item.label.clone(),
            shape: item.shape.clone(),
            weights: tensor,
            partners,
        });
    }
    for (k, (role, opened)) in others.iter().enumerate() {
        for (item, _) in opened
            .items
            .iter()
            .zip(&used[k])
            .filter(|(_, used)| !**used)
        {
            out.unmatched
                .push(left(item, role, "nothing of this name among the weights"));
        }
    }
    Ok(out)
}

fn no_numbers(item: &Item) -> String {
    match &item.skip {
        Some((_, reason)) => reason.clone(),
        None => "it holds no numbers".into(),
    }
}
