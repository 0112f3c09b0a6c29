//! Arguments of the commands about networks and activations.

use super::args::{finite, whole};
use clap::{ArgAction, Args, ValueEnum, ValueHint};
use isometer::network::activation::Activation;
use std::path::PathBuf;

pub const GAIN_HELP: &str = "\
Examples:
  isometer gain                                    every activation
  isometer gain --activation tanh --activation gelu
  isometer gain --at-q 4 --json

A gain multiplies 1/sqrt(fan-in) to give the standard deviation of the weights. The forward gain keeps
the variance q of the pre-activations, the backward gain the mean square of gradients at that q; only
for ReLU-like activations are they the same. A drift above 1 means that the forward gain holds q only
until something disturbs it.";

/// `isometer gain`.
#[derive(Args, Debug)]
pub struct GainArgs {
    /// Only this activation; may be repeated
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    pub activation: Vec<Activation>,
    /// Variance of the pre-activations at which gains are taken
    #[arg(
        long,
        value_name = "Q",
        default_value_t = 1.0,
        value_parser = finite
    )]
    pub at_q: f64,
}

pub const PHASE_HELP: &str = "\
Examples:
  isometer phase --activation tanh --out tanh.svg
  isometer phase --activation tanh --sigma-w2 2.25 --out mine.png
  isometer phase --activation gelu --init xavier_normal --out gelu.svg
  isometer phase --axes depth-alpha --activation relu --out alpha.svg

Colours: blue where squared gradients shrink from layer to layer (ordered), red where they grow (chaotic).
Black: the edge of chaos, where they keep their mean; dashed where the length of signals
drifts away from it. A star marks the model, if weights or biases are given. Infinite width.";

/// `isometer phase`.
#[derive(Args, Debug)]
pub struct PhaseArgs {
    /// The figure, .svg or .png
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: PathBuf,
    /// What the axes are
    #[arg(long, value_enum, value_name = "AXES", default_value = "sigma")]
    pub axes: AxesName,
    /// Ends of the horizontal axis: sigma_w2, or the depth
    #[arg(long, value_name = "A:B", value_parser = range, allow_hyphen_values = true)]
    pub x: Option<(f64, f64)>,
    /// Ends of the vertical axis: sigma_b2, or alpha
    #[arg(long, value_name = "A:B", value_parser = range, allow_hyphen_values = true)]
    pub y: Option<(f64, f64)>,
    /// Columns, and rows, that are computed
    #[arg(long, value_name = "N", value_parser = whole::<usize>, default_value_t = 200)]
    pub resolution: usize,
    /// The network.
    #[command(flatten)]
    pub model: super::model::ModelArgs,
}

/// `--axes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AxesName {
    /// Variance of the weights times fan-in, and of the biases
    Sigma,
    /// Depth, and the multiplier alpha on the weights (logarithmic)
    DepthAlpha,
}

fn range(text: &str) -> Result<(f64, f64), String> {
    let ends = text
        .split_once(':')
        .and_then(|(a, b)| Some((a.parse::<f64>().ok()?, b.parse::<f64>().ok()?)));
    match ends {
        Some((a, b)) if a.is_finite() && b.is_finite() && a < b => Ok((a, b)),
        Some(_) => Err("A:B must be finite with A < B".into()),
        None => Err("write A:B, for example 0.5:4".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_say_how_to_write_them() {
        assert_eq!(range("0.5:4"), Ok((0.5, 4.0)));
        assert!(range("4").unwrap_err().contains("0.5:4"));
        assert!(range("4:1").is_err() && range("0:inf").is_err() && range("nan:1").is_err());
    }
}
