//! Arguments of `isometer symmetry` and `isometer claims`.

use super::args::{Filter, finite};
use clap::{Args, ValueHint};

pub const SYMMETRY_HELP: &str = "\
Examples:
  isometer symmetry model.safetensors
  isometer symmetry layer.npy --tolerance 1e-6
  isometer symmetry before.npz after.npz     permutations of layers, too

Rows are units. A row equal to another, up to sign, is a copy: if the outgoing weights are equal as well, both
get the same gradient and training never tells them apart. Zero rows are dead units, zero columns unused
inputs. Biases named like the weights (fc.weight, fc.bias) belong to the rows. Anything found is a finding
(exit code 1).";

/// `isometer symmetry`.
#[derive(Args, Debug)]
pub struct SymmetryArgs {
    /// Files, FILE::TENSOR, directories of checkpoint shards, or - for stdin
    #[arg(required = true, value_name = "WEIGHTS", value_hint = ValueHint::AnyPath)]
    pub sources: Vec<String>,
    /// Relative distance up to which rows count as copies; exact equality unless given
    #[arg(long, value_name = "T", value_parser = share, default_value_t = 0.0)]
    pub tolerance: f64,
    /// Which tensors.
    #[command(flatten)]
    pub filter: Filter,
}

fn share(text: &str) -> Result<f64, String> {
    match finite(text)? {
        x if (0.0..1.0).contains(&x) => Ok(x),
        _ => Err("must be at least 0 and below 1".into()),
    }
}

pub const CLAIMS_HELP: &str = "\
Examples:
  isometer claims
  isometer claims large-alpha-vanishes
  isometer claims --json

Statements found in print about alpha, gradients and initialization. Each verdict (true, false, true only if) is decided by a
computation that runs now, from closed forms and from networks that are drawn and differentiated; with an ID
the cases are shown. A computation that contradicts its verdict would be a finding (exit code 1).";

/// `isometer claims`.
#[derive(Args, Debug)]
pub struct ClaimsArgs {
    /// One claim in full; all in one line each without
    #[arg(value_name = "ID")]
    pub id: Option<String>,
}
