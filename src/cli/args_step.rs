//! Arguments of `isometer step`.

use super::args::{Filter, finite};
use clap::{ArgAction, Args, Subcommand, ValueEnum, ValueHint};
use isometer::theory::multiplier::Optimizer;

pub const STEP_HELP: &str = "\
Examples:
  isometer step lars w.safetensors --gradients g.safetensors --lr 2
  isometer step clip grads.npz --max-norm 1
  isometer step descent --curvature 1,100 --lr 0.015

isometer step lars --help (or lamb, clip, descent) explains each.";

/// `isometer step`.
#[derive(Args, Debug)]
pub struct StepArgs {
    /// What to compute.
    #[command(subcommand)]
    pub what: StepCommand,
}

/// The calculations.
#[derive(Debug, Subcommand)]
pub enum StepCommand {
    /// Trust ratio and step of LARS for each tensor
    #[command(after_help = LARS_HELP)]
    Lars(LarsArgs),
    /// Trust ratio and step of LAMB for each tensor
    #[command(after_help = LAMB_HELP)]
    Lamb(LambArgs),
    /// Global norm, clipping factor, and by how much other ways of clipping turn the step
    #[command(after_help = CLIP_HELP)]
    Clip(ClipArgs),
    /// Learning rates for which descent on a quadratic converges, overshoots, diverges
    #[command(after_help = DESCENT_HELP)]
    Descent(DescentArgs),
}

const LARS_HELP: &str = "\
Examples:
  isometer step lars weights.safetensors --gradients grads.safetensors
  isometer step lars w.npz --gradients g.npz --trust 0.001 --weight-decay 1e-4

ratio = trust |w| / (|g| + weight_decay |w|), step = lr * ratio * (g + weight_decay w) (You, Gitman and
Ginsburg 2017). A zero norm gives ratio 1. Biases and norm scales (1-D) keep ratio 1 and have no decay,
as is the convention; --include-1d treats them like the rest. Tensors are matched by name; NaN or an
infinity, or shapes that disagree, are findings (exit code 1).";

/// `isometer step lars`.
#[derive(Args, Debug)]
pub struct LarsArgs {
    /// Weights: files, FILE::TENSOR, directories of checkpoint shards, or -
    #[arg(required = true, value_name = "WEIGHTS", value_hint = ValueHint::AnyPath)]
    pub weights: Vec<String>,
    /// Gradients, with the names of the weights; may be repeated
    #[arg(long, required = true, value_name = "SOURCE", action = ArgAction::Append, value_hint = ValueHint::AnyPath)]
    pub gradients: Vec<String>,
    /// Trust coefficient
    #[arg(long, value_name = "T", value_parser = not_negative, default_value_t = 0.001)]
    pub trust: f64,
    /// What both rules share.
    #[command(flatten)]
    pub common: RatioArgs,
}

const LAMB_HELP: &str = "\
Examples:
  isometer step lamb w.safetensors --direction r.safetensors --weight-decay 0.01
  isometer step lamb w.npz --exp-avg m.npz --exp-avg-sq v.npz --at-step 1000
  isometer step lamb w.npz --gradients g.npz   first step: moments g and g^2

ratio = |w| / |r + weight_decay w|, step = lr * ratio * (r + weight_decay w), r the bias-corrected direction of
Adam (You et al. 2020, phi the identity). The step over the weights is the learning rate, whatever the
gradient. A zero norm gives ratio 1; biases and norm scales (1-D) are left out unless --include-1d.";

/// `isometer step lamb`.
#[derive(Args, Debug)]
// the group spelled out does not fit a line
#[command(
    override_usage = "isometer step lamb [OPTIONS] <WEIGHTS>... --direction <R>
       isometer step lamb [OPTIONS] <WEIGHTS>... --exp-avg <M> --exp-avg-sq <V>
       isometer step lamb [OPTIONS] <WEIGHTS>... --gradients <G>"
)]
#[command(group(clap::ArgGroup::new("from").required(true).args(["direction", "exp_avg", "gradients"])))]
pub struct LambArgs {
    /// Weights: files, FILE::TENSOR, directories of checkpoint shards, or -
    #[arg(required = true, value_name = "WEIGHTS", value_hint = ValueHint::AnyPath)]
    pub weights: Vec<String>,
    /// Adam's direction, with the names of the weights
    #[arg(long, value_name = "SOURCE", action = ArgAction::Append, value_hint = ValueHint::AnyPath)]
    pub direction: Vec<String>,
    /// First moments as the optimizer stores them
    #[arg(long, value_name = "SOURCE", action = ArgAction::Append, requires = "exp_avg_sq", value_hint = ValueHint::AnyPath)]
    pub exp_avg: Vec<String>,
    /// Second moments
    #[arg(long, value_name = "SOURCE", action = ArgAction::Append, requires = "exp_avg", value_hint = ValueHint::AnyPath)]
    pub exp_avg_sq: Vec<String>,
    /// Gradients of the first step
    #[arg(long, value_name = "SOURCE", action = ArgAction::Append, value_hint = ValueHint::AnyPath)]
    pub gradients: Vec<String>,
    /// Steps taken, for the bias correction
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..), default_value_t = 1)]
    pub at_step: u32,
    /// Decay of the moments
    #[arg(long, value_name = "B1,B2", value_parser = betas, default_value = "0.9,0.999")]
    pub betas: (f64, f64),
    /// Added to the root of the second moment
    #[arg(long, value_name = "EPS", value_parser = not_negative, default_value_t = 1e-6)]
    pub epsilon: f64,
    /// What both rules share.
    #[command(flatten)]
    pub common: RatioArgs,
}

/// What LARS and LAMB share.
#[derive(Args, Debug)]
pub struct RatioArgs {
    /// Weight decay
    #[arg(long, value_name = "W", value_parser = not_negative, default_value_t = 0.0)]
    pub weight_decay: f64,
    /// Learning rate
    #[arg(long, value_name = "L", value_parser = positive, default_value_t = 1.0)]
    pub lr: f64,
    /// Treat 1-D tensors (biases, norm scales) like the rest
    #[arg(long)]
    pub include_1d: bool,
    /// Which tensors.
    #[command(flatten)]
    pub filter: Filter,
}

const CLIP_HELP: &str = "\
Examples:
  isometer step clip grads.safetensors --max-norm 1
  isometer step clip grads.npz --max-norm 0.5 --per-tensor

Clipping by the global norm multiplies all gradients by min(1, C/|g|) and keeps the direction. Clipping
each tensor by its own norm, or each entry, turns the step; the angle is given. Clipping cannot repair
NaN or infinities: they are findings (exit code 1).";

/// `isometer step clip`.
#[derive(Args, Debug)]
pub struct ClipArgs {
    /// Gradients: files, FILE::TENSOR, directories of checkpoint shards, or -
    #[arg(required = true, value_name = "GRADS", value_hint = ValueHint::AnyPath)]
    pub gradients: Vec<String>,
    /// The threshold
    #[arg(long, required = true, value_name = "C", value_parser = positive)]
    pub max_norm: f64,
    /// Clip each tensor by its own norm
    #[arg(long)]
    pub per_tensor: bool,
    /// Which tensors.
    #[command(flatten)]
    pub filter: Filter,
}

const DESCENT_HELP: &str = "\
Examples:
  isometer step descent --curvature 1,100
  isometer step descent --curvature 1,100 --lr 0.015
  isometer step descent --curvature 1,100 --lr 0.03 --momentum 0.9
  isometer step descent --matrix hessian.npy --lr 0.1
  isometer step descent --matrix design.npy --gram   Hessian of |A x - b|^2 / 2
  isometer step descent --curvature 1,100 --lr 0.1 --alpha 0.25
  isometer step descent --curvature 1,9 --lr 1 --scale-invariant --weight-norm 3

The error along an eigenvector of curvature h is multiplied by 1 - lr h at every step: it converges for lr
in (0, 2/h), and above 1/h it overshoots, changing sign at every step, which is no divergence. A learning
rate that diverges is a finding (exit code 1). A mean over m examples divides curvatures by m.";

/// `isometer step descent`.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("hessian").required(true).args(["curvature", "matrix"])))]
pub struct DescentArgs {
    /// Smallest and largest eigenvalue of the Hessian
    #[arg(long, value_name = "MIN,MAX", value_parser = pair, allow_hyphen_values = true)]
    pub curvature: Option<(f64, f64)>,
    /// The Hessian: a symmetric matrix
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    pub matrix: Option<String>,
    /// The matrix is the design matrix A of a least-squares problem, the Hessian A^T A
    #[arg(long, requires = "matrix")]
    pub gram: bool,
    /// Learning rate to judge
    #[arg(long, value_name = "ETA", value_parser = positive)]
    pub lr: Option<f64>,
    /// Momentum of the learning rate judged: heavy ball
    #[arg(long, value_name = "M", value_parser = decay)]
    pub momentum: Option<f64>,
    /// Momentum as Nesterov has it
    #[arg(long, requires = "momentum")]
    pub nesterov: bool,
    /// The weights trained are w, those that act alpha w
    #[arg(long, value_name = "A", value_parser = positive)]
    pub alpha: Option<f64>,
    /// Update rule, for what alpha and scale invariance do to the learning rate
    #[arg(long, value_enum, value_name = "RULE", default_value = "sgd")]
    optimizer: Rule,
    /// The weights stand before a normalization: the learning rate of their direction
    #[arg(long, requires_all = ["weight_norm", "lr"])]
    pub scale_invariant: bool,
    /// Norm of scale-invariant weights
    #[arg(long, value_name = "N", value_parser = positive, requires = "scale_invariant")]
    pub weight_norm: Option<f64>,
    /// Weight decay of scale-invariant weights
    #[arg(long, value_name = "W", value_parser = positive, requires = "scale_invariant")]
    pub weight_decay: Option<f64>,
}

impl DescentArgs {
    /// The update rule.
    pub fn optimizer(&self) -> Optimizer {
        match self.optimizer {
            Rule::Sgd if self.momentum.is_some() => Optimizer::Momentum,
            Rule::Sgd => Optimizer::Sgd,
            Rule::Momentum => Optimizer::Momentum,
            Rule::Adam => Optimizer::Adam,
            Rule::Adamw => Optimizer::AdamW,
            Rule::Lars => Optimizer::Lars,
            Rule::Lamb => Optimizer::Lamb,
            Rule::Sign | Rule::Lion => Optimizer::Sign,
        }
    }
}

/// `--optimizer`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rule {
    /// Plain gradient descent
    Sgd,
    /// With momentum
    Momentum,
    /// Adam
    Adam,
    /// Adam with decoupled decay
    Adamw,
    /// Layer-wise trust ratio
    Lars,
    /// Trust ratio on Adam
    Lamb,
    /// Sign of the gradient
    Sign,
    /// Sign of an average
    Lion,
}

fn not_negative(text: &str) -> Result<f64, String> {
    match finite(text)? {
        x if x >= 0.0 => Ok(x),
        _ => Err("must not be negative".into()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match finite(text)? {
        x if x > 0.0 => Ok(x),
        _ => Err("must be above 0".into()),
    }
}

fn decay(text: &str) -> Result<f64, String> {
    match finite(text)? {
        x if (0.0..1.0).contains(&x) => Ok(x),
        _ => Err("must be at least 0 and below 1".into()),
    }
}

fn pair(text: &str) -> Result<(f64, f64), String> {
    match text.split_once(',') {
        Some((a, b)) => Ok((finite(a.trim())?, finite(b.trim())?)),
        None => Err("write two numbers with a comma between, such as 1,100".into()),
    }
}

fn betas(text: &str) -> Result<(f64, f64), String> {
    let (a, b) = pair(text)?;
    Ok((decay(&a.to_string())?, decay(&b.to_string())?))
}
