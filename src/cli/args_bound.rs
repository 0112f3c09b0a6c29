//! Arguments of `isometer bound`.

use super::args::{ChainArgs, at_least_one, finite};
use super::args_conv::ConvArgs;
use super::model::ModelArgs;
use clap::{Args, ValueHint};

pub const BOUND_HELP: &str = "\
Examples:
  isometer bound layer0.npy layer1.npy                 a product, layer0 first
  isometer bound mlp.safetensors --include '*.weight' --activation relu
  isometer bound mlp.npz --activation tanh --at x.npy  and the Jacobian at x
  isometer bound cnn.safetensors --conv 32x32 --padding zeros --activation relu
  isometer bound --gaussian 20x32 --alpha 0.25 --activation relu
  isometer bound --depth 20 --width 128 --activation tanh --init xavier_normal
  isometer bound mlp.npz --slopes 0:1.13               any with such slopes

Without an activation the bounds are on the spectral norm of the product, with one on the Lipschitz constant of
the network in the Euclidean norm, for any biases. Upper bounds marked certified include rounding. The slack is
the tightest upper bound over the largest value found from below, in orders of magnitude. Biases
(NAME.bias beside NAME.weight, b1 beside W1, or one vector for each matrix of a file without such names) decide
where the activation is evaluated, so they matter to the lower bounds alone.

With --conv HxW tensors with 3 or 4 axes are convolutions, the first on an input of that size; the sizes of
the others follow. Dense layers may come after them. A dense layer that reads fewer points than the feature
map has is taken to stand behind a pooling that does not stretch.

With model flags a network is drawn (--seed). Normalization and dropout are refused: the first has no
useful global bound, the second is no part of the trained map.";

/// `isometer bound`.
#[derive(Args, Debug)]
pub struct BoundArgs {
    /// The layers.
    #[command(flatten)]
    pub chain: ChainArgs,
    /// Range of the slopes of an activation that has no name here
    #[arg(long, value_name = "LOW:HIGH", value_parser = slopes, conflicts_with = "activation", allow_hyphen_values = true)]
    pub slopes: Option<(f64, f64)>,
    /// Matrices are stored INPUTS x OUTPUTS (Keras, GPT-2)
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
    /// An input, as a tensor of any shape: the norm of the Jacobian there as well
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::FilePath)]
    pub at: Option<String>,
    /// How kernels act.
    #[command(flatten)]
    pub conv: ConvArgs,
    /// A network to draw instead.
    #[command(flatten)]
    pub model: ModelArgs,
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
