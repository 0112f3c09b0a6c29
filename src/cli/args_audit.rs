//! Arguments of `isometer audit` and `isometer explain`.

use super::args::{Filter, finite};
use clap::{ArgAction, Args, ValueHint};
use std::path::PathBuf;

pub const AUDIT_HELP: &str = "\
Examples:
  isometer audit model.safetensors                      is it broken, and where
  isometer audit checkpoint/ --finite-only              NaN, infinities, zeros
  isometer audit model.safetensors --fail-on warning    for CI: exit 1
  isometer audit model.safetensors --fail-on spike=0.5 --ignore quantizes-badly
  isometer audit adapter.safetensors --json | jq '.findings'
  isometer audit model.safetensors --report model.html  a page with plots

First every number is looked at once; then each matrix gets its singular values, beside those of a random matrix of
its shape and norm. Large condition numbers of embeddings, and low rank in adapters, are normal and not
flagged; stacked gates and fused query-key-value weights are judged member by member. Numbers are
estimates with predicted errors (in JSON: lo, hi); what a finding about conditioning rests on is certified first.

x random: sigma_max over the edge of the random spectrum. Exit code 1 for a broken checkpoint, and for
what --fail-on names. Ctrl-C prints what is finished.";

/// `isometer audit`.
#[derive(Args, Debug)]
pub struct AuditArgs {
    /// Files, FILE::TENSOR, directories of checkpoint shards, or - for stdin
    #[arg(required = true, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    pub sources: Vec<String>,
    /// Look at the numbers only, not at the spectra
    #[arg(long)]
    pub finite_only: bool,
    /// Exit with code 1 on this rule (with another threshold) or on error, warning or note; may be repeated
    #[arg(long, value_name = "RULE[=THRESHOLD]", action = ArgAction::Append)]
    pub fail_on: Vec<String>,
    /// Do not report this rule; may be repeated
    #[arg(long, value_name = "RULE", action = ArgAction::Append)]
    pub ignore: Vec<String>,
    /// Seconds for each matrix, at ten billion operations a second; beyond, the largest singular value only
    #[arg(long, value_name = "SECONDS", value_parser = not_negative, default_value_t = 10.0)]
    pub budget: f64,
    /// Certified singular values at both ends, not only where a finding rests on them
    #[arg(long, conflicts_with = "finite_only")]
    pub certify: bool,
    /// lora_alpha of an adapter; read from adapter_config.json beside the file unless given
    #[arg(long, value_name = "A", value_parser = finite)]
    pub lora_alpha: Option<f64>,
    /// Also write a page with plots that opens in any browser, without network
    #[arg(long, value_name = "FILE.html", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    /// Which tensors.
    #[command(flatten)]
    pub filter: Filter,
}

fn not_negative(text: &str) -> Result<f64, String> {
    match finite(text)? {
        s if s >= 0.0 => Ok(s),
        _ => Err("must not be negative".into()),
    }
}

pub const EXPLAIN_HELP: &str = "\
Examples:
  isometer explain                     all rules of isometer audit
  isometer explain ill-conditioned     what one means and what to do";

/// `isometer explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// A rule of isometer audit; all in one line each without
    #[arg(value_name = "RULE")]
    pub rule: Option<String>,
}

pub const DIFF_HELP: &str = "\
Examples:
  isometer diff before.safetensors after.safetensors
  isometer diff base/ merged/ --include '*.q_proj.weight'
  isometer diff epoch9.safetensors epoch10.safetensors --fail-above 0.1

|B-A|/|A|: Frobenius norm of the change over that of A. rank of B-A: stable rank of the change, small where an adapter was merged.

angle: largest angle in degrees between the leading singular directions of A and B on the shorter side, as many (of) as precede the
largest gap among the first eight. NaN or infinities that were not there before are a finding (exit
code 1), and so is a change beyond --fail-above. Names are matched as they are, or, where none agrees,
without the prefix that all names of a side share.";

/// `isometer diff`.
#[derive(Args, Debug)]
pub struct DiffArgs {
    /// The checkpoint before: a file, a directory of shards, or - for stdin
    #[arg(value_name = "A", value_hint = ValueHint::AnyPath)]
    pub before: String,
    /// The checkpoint after
    #[arg(value_name = "B", value_hint = ValueHint::AnyPath)]
    pub after: String,
    /// Exit with code 1 if a tensor moved by more than this share of its Frobenius norm
    #[arg(long, value_name = "SHARE", value_parser = not_negative)]
    pub fail_above: Option<f64>,
    /// Rows for tensors that did not change, too
    #[arg(long)]
    pub all: bool,
    /// Seconds for each matrix, at ten billion operations a second; beyond, the largest singular value only
    #[arg(long, value_name = "SECONDS", value_parser = not_negative, default_value_t = 10.0)]
    pub budget: f64,
    /// Which tensors.
    #[command(flatten)]
    pub filter: Filter,
}
