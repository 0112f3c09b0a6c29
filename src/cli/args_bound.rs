//! Arguments of `isometer bound`.

use super::args::{Filter, at_least_one, depth_by_width, finite};
use clap::{Args, ValueHint};
use isometer::network::activation::Activation;

pub const BOUND_HELP: &str = "\
Examples:
  isometer bound layer0.npy layer1.npy layer2.npy       the plain product, layer0 applied first
  isometer bound mlp.safetensors --include '*.weight' --activation relu
  isometer bound --gaussian 20x32 --alpha 0.25 --activation relu
  isometer bound mlp.npz --slopes 0:1.13                any activation with slopes in that range

Without an activation the bounds are on the spectral norm of the product, with one on the Lipschitz constant of
the network in the Euclidean norm, for any biases. All upper bounds include rounding. The slack is the
tightest upper bound over the largest value found from below, in orders of magnitude.";

/// `isometer bound`.
#[derive(Args, Debug)]
pub struct BoundArgs {
    /// The layers, first applied first, each OUTPUTS x INPUTS; a source with several tensors gives them in its own order
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath, required_unless_present = "gaussian", conflicts_with = "gaussian")]
    pub sources: Vec<String>,
    /// Random layers instead of sources: DEPTH square matrices of size WIDTH, entries N(0, 1)
    #[arg(long, value_name = "DEPTHxWIDTH", value_parser = depth_by_width)]
    pub gaussian: Option<(usize, usize)>,
    /// Scalar that multiplies every random layer
    #[arg(long, value_name = "A", requires = "gaussian", value_parser = finite, allow_negative_numbers = true)]
    pub alpha: Option<f64>,
    /// Activation between layers; without one, the plain product
    #[arg(long, value_name = "NAME")]
    pub activation: Option<Activation>,
    /// Range of the slopes of an activation that has no name here
    #[arg(long, value_name = "LOW:HIGH", value_parser = slopes, conflicts_with = "activation", allow_hyphen_values = true)]
    pub slopes: Option<(f64, f64)>,
    /// Layers are stored INPUTS x OUTPUTS (Keras, GPT-2)
    #[arg(long)]
    pub transposed: bool,
    /// Iterations of the search for a certificate
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = at_least_one)]
    pub iterations: usize,
    /// Random inputs at which the norm of the Jacobian is measured
    #[arg(long, value_name = "N", default_value_t = 35, value_parser = at_least_one)]
    pub points: usize,
    /// Exit with code 1 if the tightest upper bound exceeds K
    #[arg(long, value_name = "K", value_parser = finite)]
    pub fail_above: Option<f64>,
    /// Which tensors.
    #[command(flatten)]
    pub filter: Filter,
}

fn slopes(text: &str) -> Result<(f64, f64), String> {
    let ends = text
        .split_once(':')
        .and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    match ends {
        Some((a, b)) if f64::is_finite(a) && f64::is_finite(b) && a <= b => Ok((a, b)),
        _ => Err("write LOW:HIGH, for example 0:1.13".into()),
    }
}
