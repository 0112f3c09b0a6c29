//! Arguments of `isometer check`.

use super::args::{finite, whole};
use super::model::ModelArgs;
use clap::{Args, ValueEnum};
use isometer::verify::check::Method;

pub const CHECK_HELP: &str = "\
Examples:
  isometer check --depth 50 --width 64 --activation relu --samples 10000
  isometer check --depth 20 --width 32 --activation tanh --samples 5000
  isometer check --widths 30,8,20,12 --init orthogonal --confidence 0.99
  isometer check --model network.toml --json
  isometer check --depth 50 --width 64 --activation relu --plot law.svg
  isometer check --suite                    every family of networks, a minute
  isometer check --suite --samples 200000   the same, to be surer

Networks are drawn, run forward and backward, and measured; the theory's numbers are held against
that. A right prediction is said to disagree with probability at most 1 - CONFIDENCE, over all
comparisons of the table and all looks at the growing sample. Exact predictions are tested as
they are; predictions for wide layers by networks of one, two and four times the width, whose deviation
must vanish as the width grows. Exit code 1 if the prediction disagrees. Ctrl-C ends the run
and prints what was finished.

With Gaussian or orthogonal weights no matrix is drawn: what a forward and a backward pass meet of it has a
law that is sampled instead (--sampler deferred). --sampler matrices draws them all the same.";

/// `isometer check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The network.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Networks to measure, at most [default: 10000; with --suite 20000]
    #[arg(long, value_name = "N", value_parser = whole::<u64>, help_heading = "Measurement")]
    pub samples: Option<u64>,
    /// One minus the probability that a right prediction is said to disagree
    #[arg(
        long,
        value_name = "C",
        default_value_t = 0.999,
        value_parser = finite,
        help_heading = "Measurement"
    )]
    pub confidence: f64,
    /// How networks are drawn
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value = "auto",
        help_heading = "Measurement"
    )]
    sampler: SamplerName,
    /// A grid of networks from all families instead of one
    #[arg(long, help_heading = "Measurement")]
    pub suite: bool,
    /// Picture.
    #[command(flatten)]
    pub picture: super::picture::PlotArgs,
}

impl CheckArgs {
    /// How networks are drawn.
    pub fn method(&self) -> Method {
        match self.sampler {
            SamplerName::Auto => Method::Auto,
            SamplerName::Matrices => Method::Matrices,
            SamplerName::Deferred => Method::Deferred,
        }
    }
}

/// `--sampler`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SamplerName {
    /// Deferred where the model allows it
    Auto,
    /// Whole weight matrices
    Matrices,
    /// Only what the passes meet of them
    Deferred,
}
