//! Runs of dense layers that feed each other, and how far gradients can grow through them.
//!
//! Upper bounds, certified where all spectral norms are: `prod sigma_max` for plain layers with activations of
//! slope at most 1, `prod (1 + sigma_max)` for residual blocks.
//!
//! ```
//! use isometer::audit::checkpoint::{AuditOptions, Unobserved, audit, subjects};
//! use isometer::formats::open_bytes;
//!
//! // a safetensors file by hand: two layers, 10 I and 100 I
//! let header = r#"{"fc1.weight":{"dtype":"F64","shape":[2,2],"data_offsets":[0,32]},
//!                 "fc2.weight":{"dtype":"F64","shape":[2,2],"data_offsets":[32,64]}}"#;
//! let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
//! bytes.extend(header.as_bytes());
//! for x in [10.0f64, 0.0, 0.0, 10.0, 100.0, 0.0, 0.0, 100.0] {
//!     bytes.extend(x.to_le_bytes());
//! }
//! let file = open_bytes("two.safetensors", bytes).unwrap();
//! let labels: Vec<String> = file.entries().iter().map(|e| e.name()).collect();
//! let found = audit(&subjects(&file, &labels), &AuditOptions::default(), &Unobserved);
//! assert_eq!(found.chains[0].tensors.len(), 2);
//! assert!((found.chains[0].log10_plain - 3.0).abs() < 1e-9); // 10 * 100
//! ```

use super::checkpoint::Audited;
use super::roles::{Orientation, Role};
use crate::linalg::rounding::up;
use crate::scale::{Certainty, Enclosure, LogScale};

/// Consecutive dense layers whose names differ in numbers only and whose shapes fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Labels, first layer first.
    pub tensors: Vec<String>,
    /// `log10` of the product of the upper limits of the spectral norms, rounded up: with activations of slope at most 1, no gradient grows by more through a
    /// plain chain. Theorem: gradient-norm-bound.
    pub log10_plain: f64,
    /// `log10` of the product of `1 + sigma_max`: the same where each layer is the branch of a residual block `x + phi(W x)`.
    /// Theorem: residual-block-bounds.
    pub log10_residual: f64,
    /// What the spectral norms are worth: bounds of both kinds are certified only where all of them are.
    pub certainty: Certainty,
}

/// Inputs and outputs of a dense layer.
pub(super) fn sides(t: &Audited) -> Option<(usize, usize)> {
    match (&t.role, t.shape.as_slice()) {
        (Role::Matrix(Orientation::OutIn), [out, inputs]) => Some((*inputs, *out)),
        (Role::Matrix(Orientation::InOut), [inputs, out]) => Some((*inputs, *out)),
        _ => None,
    }
}

/// The name without its digits.
pub(super) fn family(name: &str) -> String {
    name.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// All chains of at least two layers, in file order; biases and scales between the layers do not interrupt them.
pub fn chains(tensors: &[Audited]) -> Vec<Chain> {
    let mut out: Vec<Vec<&Audited>> = Vec::new();
    for t in tensors.iter().filter(|t| t.shape.len() >= 2) {
        let Some((inputs, _)) = sides(t).filter(|_| !t.parts.is_empty()) else {
            out.push(Vec::new());
            continue;
        };
        let fits = out.last().and_then(|run| run.last()).is_some_and(|before| {
            family(&before.name) == family(&t.name)
                && sides(before).is_some_and(|(_, o)| o == inputs)
        });
        match out.last_mut() {
            Some(run) if fits => run.push(t),
            _ => out.push(vec![t]),
        }
    }
    out.into_iter()
        .filter(|run| run.len() > 1)
        .map(|run| {
            let norms = || {
                run.iter()
                    .filter_map(|t| t.parts.first())
                    .map(|p| p.sigma_max.enclosure)
            };
            let one = Enclosure::point(1.0, 0).unwrap_or(Enclosure::UNKNOWN);
            let plain = norms().fold(one, |product, norm| product.times(&norm));
            // each logarithm is good to a few roundings, which `up` covers, and so is each sum
            let residual = norms().map(|norm| up(LogScale::ONE.plus(norm.hi()).log10()));
            Chain {
                certainty: run
                    .iter()
                    .filter_map(|t| t.parts.first())
                    .map(|p| p.sigma_max.certainty)
                    .find(|c| *c != Certainty::Certified)
                    .unwrap_or(Certainty::Certified),
                tensors: run.iter().map(|t| t.label.clone()).collect(),
                log10_plain: plain.log10().2,
                log10_residual: residual.fold(0.0, |sum, x| up(sum + x)),
            }
        })
        .collect()
}
