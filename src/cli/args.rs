//! Arguments, and the help texts that go with them.

use super::args_alpha::{ALPHA_HELP, AlphaArgs, PRECISION_HELP, PrecisionArgs};
use super::args_audit::{AUDIT_HELP, AuditArgs, DIFF_HELP, DiffArgs, EXPLAIN_HELP, ExplainArgs};
use super::args_bound::{BOUND_HELP, BoundArgs};
use super::args_check::{CHECK_HELP, CheckArgs};
use super::args_claims::{CLAIMS_HELP, ClaimsArgs, SYMMETRY_HELP, SymmetryArgs};
use super::args_conv::ConvArgs;
use super::args_network::{GAIN_HELP, GainArgs, PHASE_HELP, PhaseArgs};
use super::args_step::{STEP_HELP, StepArgs};
use super::exit::BadFlag;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use isometer::linalg::condition::{Effort, Norm};
use isometer::linalg::product::GaussianChain;
use isometer::report::Format;
use std::ffi::OsString;
use std::path::PathBuf;

/// Condition numbers with proof, and backprop treated as a product of layer Jacobians.
///
/// How far is a matrix, or a network, from an isometry? isometer reads the matrices in npy, npz,
/// safetensors, PyTorch, ONNX, GGUF, Matrix Market and text files and says how much each one
/// stretches, what that number is worth, and what to do about it.
#[derive(Debug, Parser)]
#[command(name = "isometer", version, propagate_version = true, after_help = TOP_HELP)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command; without one, a greeting.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const TOP_HELP: &str = "\
Exit codes: 0 fine; 1 a finding (a --fail-* threshold crossed, a broken checkpoint);
2 usage, unreadable or unusable input.

A SOURCE is a file, FILE::TENSOR, a directory of checkpoint shards, or - for stdin.";

/// Flags of every command.
#[derive(Args, Debug)]
pub struct Global {
    /// Layout of the result on stdout
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "LAYOUT",
        default_value = "table",
        help_heading = "Output"
    )]
    format: Layout,
    /// Short for --format json: exactly one JSON document on stdout, also on refusal
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
    /// No progress and no notes on stderr (errors still appear)
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Colour in tables and messages; NO_COLOR in the environment means never
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Output"
    )]
    pub color: When,
    /// Threads to compute with; 0 means one for each core
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value_t = 0,
        value_parser = threads,
        help_heading = "Computation"
    )]
    pub threads: usize,
    /// Seed of everything that draws random numbers
    #[arg(
        long,
        global = true,
        value_name = "S",
        default_value_t = 0,
        value_parser = whole::<u64>,
        help_heading = "Computation"
    )]
    pub seed: u64,
}

impl Global {
    /// The layout asked for.
    pub fn format(&self) -> Format {
        match (self.json, self.format) {
            (true, _) | (_, Layout::Json) => Format::Json,
            (_, Layout::Table) => Format::Table,
            (_, Layout::Markdown) => Format::Markdown,
            (_, Layout::Csv) => Format::Csv,
        }
    }
}

/// More threads than any machine has cores would only take memory and time to start.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if n <= 1024 => Ok(n),
        _ => Err("write a whole number from 0 (one for each core) to 1024".into()),
    }
}

/// `--format`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Layout {
    /// Aligned columns and a verdict
    Table,
    /// A markdown table and a verdict
    Markdown,
    /// Comma-separated values with a header
    Csv,
    /// One JSON document, schema isometer/1
    Json,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Where the output is a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Whether a checkpoint is broken, which of its layers are out of line, and what to do
    #[command(after_help = AUDIT_HELP)]
    Audit(AuditArgs),
    /// What changed between two checkpoints, layer by layer
    #[command(after_help = DIFF_HELP)]
    Diff(DiffArgs),
    /// What a finding of audit means, and what to do about it
    #[command(after_help = EXPLAIN_HELP)]
    Explain(ExplainArgs),
    /// Condition number of every matrix in the sources, with what it is worth
    #[command(after_help = COND_HELP)]
    Cond(CondArgs),
    /// Singular values of a long product of matrices, without overflow
    #[command(after_help = PRODUCT_HELP)]
    Product(ProductArgs),
    /// Bounds on the norm of a chain of layers, from loosest to tightest, beside lower bounds
    #[command(after_help = BOUND_HELP)]
    Bound(BoundArgs),
    /// What gradients will do in a network: laws, verdict, and the fix as code
    #[command(after_help = PREDICT_HELP)]
    Predict(PredictArgs),
    /// Gains of activations, PyTorch's beside what it does over depth
    #[command(after_help = GAIN_HELP)]
    Gain(GainArgs),
    /// Order-to-chaos diagram as SVG or PNG, with the edge of chaos and your model
    #[command(after_help = PHASE_HELP)]
    Phase(PhaseArgs),
    /// Growth against alpha, the critical alpha, and what alpha does to training
    #[command(after_help = ALPHA_HELP)]
    Alpha(AlphaArgs),
    /// Underflow, overflow and lost updates by number format; whether one loss scale fits
    #[command(after_help = PRECISION_HELP)]
    Precision(PrecisionArgs),
    /// Trust ratios, clipping, and learning rates that converge
    #[command(after_help = STEP_HELP)]
    Step(StepArgs),
    /// Units that are copies of each other, dead or constant; layers that are permutations
    #[command(after_help = SYMMETRY_HELP)]
    Symmetry(SymmetryArgs),
    /// Statements found in print about alpha and gradients, each decided by a computation
    #[command(after_help = CLAIMS_HELP)]
    Claims(ClaimsArgs),
    /// Predictions held against random networks, with honest statistics
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Completion script for a shell, on stdout
    #[command(
        after_help = "Example: isometer completions bash > ~/.local/share/bash-completion/completions/isometer"
    )]
    Completions(CompletionsArgs),
    /// Manual pages, as roff on stdout or one file for each command
    #[command(after_help = "Example: isometer man --out ~/.local/share/man/man1")]
    Man(ManArgs),
}

const COND_HELP: &str = "\
Examples:
  isometer cond model.safetensors                  every matrix of a checkpoint
  isometer cond model.safetensors::fc1.weight      one tensor
  isometer cond model.safetensors --include '*.weight' --fail-above 1e6
  printf '1 2\\n3 4\\n' | isometer cond -            text or npy on stdin
  isometer cond model.safetensors::conv1.weight --conv 32x32 --padding zeros
  isometer cond model.safetensors::fc1.weight --spectrum --plot fc1.svg

kappa = sigma_max / sigma_min has no unit; log10 kappa is the number of decimal digits a linear
solve loses. The default is a certified enclosure of the numbers as stored: rounding is accounted
for, a singular matrix is proved singular. Where kappa exceeds 1/u of the storage format (bf16: 256;
f16: 2e3; f32: 1.7e7; f64: 9e15) rounded entries cannot tell the matrix from a
singular one, and the result says so (resolvable: false).

With --conv HxW a tensor with 3 or 4 axes is taken as the convolution it is: the linear map on inputs of
that size, whose norm the kernel reshaped to a matrix understates by up to the root of its number of
taps. On a torus (circular) both ends are enclosed; with zeros the norm is enclosed between a
signal and a larger torus, and kappa of a large map is bounded from below only. Without --conv such a
tensor is the matrix of its first axis by all the others.

A tensor that holds NaN or an infinity has no condition number: it is named with the index of the
first bad entry, and the exit code is 1.";

/// `isometer cond`.
#[derive(Args, Debug)]
pub struct CondArgs {
    /// Files, FILE::TENSOR, directories of checkpoint shards, or - for stdin
    #[arg(required = true, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    pub sources: Vec<String>,
    /// Norm of the condition number; 1, inf and fro need square matrices
    #[arg(long, value_enum, value_name = "NORM", default_value = "2")]
    norm: NormName,
    /// Lanczos estimates with a predicted error instead of a proof: faster on large matrices
    #[arg(long, conflicts_with = "spectrum")]
    estimate: bool,
    /// All singular values, with stable and effective rank
    #[arg(long)]
    pub spectrum: bool,
    /// Exit with code 1 if any kappa exceeds K
    #[arg(long, value_name = "K", value_parser = threshold)]
    pub fail_above: Option<f64>,
    /// How kernels act.
    #[command(flatten)]
    pub conv: ConvArgs,
    /// Picture.
    #[command(flatten)]
    pub picture: super::picture::PlotArgs,
    /// Which tensors.
    #[command(flatten)]
    pub filter: Filter,
}

impl CondArgs {
    /// The norm asked for.
    pub fn norm(&self) -> Norm {
        match self.norm {
            NormName::Two => Norm::Two,
            NormName::One => Norm::One,
            NormName::Inf => Norm::Inf,
            NormName::Fro => Norm::Frobenius,
        }
    }

    /// The effort asked for.
    pub fn effort(&self) -> Effort {
        match (self.estimate, self.spectrum) {
            (true, _) => Effort::Estimate,
            (_, true) => Effort::Spectrum,
            _ => Effort::Certified,
        }
    }
}

fn threshold(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // nothing exceeds infinity: the gate would be open
        Ok(k) if k >= 1.0 && k.is_finite() => Ok(k),
        Ok(_) => Err("a condition number is at least 1; write a finite number, such as 1e6".into()),
        Err(_) => Err("write a number, such as 1e6".into()),
    }
}

/// `--norm`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum NormName {
    /// Spectral norm: largest over smallest singular value
    #[value(name = "2")]
    Two,
    /// Largest absolute column sum
    #[value(name = "1")]
    One,
    /// Largest absolute row sum
    Inf,
    /// Frobenius norm
    Fro,
}

/// Which tensors of the sources.
#[derive(Args, Debug)]
pub struct Filter {
    /// Only tensors whose name matches; may be repeated
    #[arg(long, value_name = "GLOB", action = ArgAction::Append, help_heading = "Tensors")]
    pub include: Vec<String>,
    /// Not the tensors whose name matches; may be repeated
    #[arg(long, value_name = "GLOB", action = ArgAction::Append, help_heading = "Tensors")]
    pub exclude: Vec<String>,
}

const PRODUCT_HELP: &str = "\
Examples:
  isometer product layer0.npy layer1.npy layer2.npy      layer0 acts first
  isometer product model.safetensors --include 'fc*.weight'
  isometer product --gaussian 200x64                 200 layers, N(0, 1)
  isometer product --gaussian 100x256 --alpha 0.0625     isometric on average
  isometer product --gaussian 200x64 --plot product.svg

Singular values come as base-2 logarithms, since those of a deep product leave the range of any
floating point number; log10 kappa and log10 of the norm are given beside the product of the
layers' own norms, which bounds them. Their difference is the slack: orders of magnitude by which
multiplying norms overstates what the product does.";

/// The layers of a chain: read, or drawn.
#[derive(Args, Debug)]
pub struct ChainArgs {
    /// The layers, first applied first, each OUTPUTS x INPUTS; a source with several tensors gives them in its own order
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath, conflicts_with = "gaussian")]
    pub sources: Vec<String>,
    /// Random layers instead of sources: DEPTH square matrices of size WIDTH, entries N(0, 1)
    #[arg(long, value_name = "DEPTHxWIDTH", value_parser = depth_by_width)]
    pub gaussian: Option<(usize, usize)>,
    /// Which tensors.
    #[command(flatten)]
    pub filter: Filter,
}

impl ChainArgs {
    /// The random layers asked for, times `alpha`.
    pub fn drawn(&self, alpha: Option<f64>, seed: u64) -> Option<GaussianChain> {
        self.gaussian.map(|(depth, width)| GaussianChain {
            depth,
            width,
            alpha: alpha.unwrap_or(1.0),
            seed,
        })
    }
}

/// `isometer product`.
#[derive(Args, Debug)]
pub struct ProductArgs {
    /// The layers.
    #[command(flatten)]
    pub chain: ChainArgs,
    /// Scalar that multiplies every random layer
    #[arg(long, value_name = "A", requires = "gaussian", value_parser = finite)]
    pub alpha: Option<f64>,
    /// Only the K largest singular values
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    pub leading: Option<usize>,
    /// Picture.
    #[command(flatten)]
    pub picture: super::picture::PlotArgs,
}

pub(super) fn depth_by_width(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once(['x', 'X']).and_then(|(depth, width)| {
        Some((depth.parse::<usize>().ok()?, width.parse::<usize>().ok()?))
    });
    match sides {
        Some((depth, width)) if depth > 0 && width > 0 => Ok((depth, width)),
        Some(_) => Err("depth and width must be at least 1".into()),
        None => Err("write DEPTHxWIDTH, for example 200x64".into()),
    }
}

/// Refuses random layers that would not fit in memory or take days: `kept` of them are held at once.
pub(super) fn check_gaussian(depth: usize, width: usize, kept: usize) -> Result<(), BadFlag> {
    /// Numbers held at once: 2 GiB of doubles.
    const MAX_NUMBERS: f64 = (1u64 << 28) as f64;
    /// Multiplications: about a day of one core.
    const MAX_WORK: f64 = 1e15;
    let (d, w) = (depth as f64, width as f64);
    let trouble = if kept as f64 * w * w > MAX_NUMBERS || d > MAX_NUMBERS {
        "do not fit in memory"
    } else if d * w.powi(3) > MAX_WORK {
        "would take days"
    } else {
        return Ok(());
    };
    Err(BadFlag {
        flag: "--gaussian",
        message: format!(
            "{depth} layers of {width} x {width} {trouble}; ask for fewer or smaller ones, such as 200x64"
        ),
    })
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match whole(text)? {
        0 => Err("must be at least 1".into()),
        k => Ok(k),
    }
}

/// A whole number that is not negative, in words that say so.
pub(super) fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    use std::num::IntErrorKind::PosOverflow;
    let (large, other) = ("too large", "write a whole number, such as 50");
    match text.parse::<u64>() {
        Ok(n) => T::try_from(n).map_err(|_| large.into()),
        Err(e) if *e.kind() == PosOverflow => Err(large.into()),
        Err(_) => Err(other.into()),
    }
}

pub(super) fn finite(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(x),
        Ok(_) => Err("must be a finite number".into()),
        Err(_) => Err("write a number, such as 0.125".into()),
    }
}

const PREDICT_HELP: &str = "\
Examples:
  isometer predict --depth 50 --width 256 --activation relu
  isometer predict --depth 30 --width 512 --activation tanh --init xavier_normal
  isometer predict --widths 784,256,256 --activation relu --init torch:linear
  isometer predict --depth 100 --width 4 --activation linear --sigma-w2 4
  isometer predict --model network.toml --json
  isometer predict --depth 50 --width 256 --activation relu --plot gradients.svg

Gradients are predicted at initialization, without drawing a network. For ReLU, leaky ReLU and linear
layers with Gaussian or orthogonal weights the laws are exact at the widths given; otherwise they
are those of wide layers, and say so (asymptotic). Mean and typical differ: the mean square over networks is
made by rare large draws, the typical gradient (exp of the mean log) is what one run sees.";

/// `isometer predict`.
#[derive(Args, Debug)]
pub struct PredictArgs {
    /// The network.
    #[command(flatten)]
    pub model: super::model::ModelArgs,
    /// Also the probability that the log of a squared norm is at most X; may be repeated
    #[arg(long, value_name = "X", action = ArgAction::Append, value_parser = finite)]
    pub cdf: Vec<f64>,
    /// Picture.
    #[command(flatten)]
    pub picture: super::picture::PlotArgs,
}

/// `isometer completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// `isometer man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Directory that receives one page for each command; without it all pages go to stdout
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}

/// Whether the raw arguments ask for JSON, for usage errors that clap reports before it has parsed
/// them.
pub fn wants_json(raw: &[OsString]) -> bool {
    let flags: Vec<&str> = raw
        .iter()
        .skip(1)
        .map(|a| a.to_str().unwrap_or_default())
        .take_while(|a| *a != "--")
        .collect();
    flags
        .iter()
        .any(|a| *a == "--json" || *a == "--format=json")
        || flags.windows(2).any(|w| w == ["--format", "json"])
}

/// The command named by the raw arguments, if they name one that exists.
pub fn command_name(raw: &[OsString]) -> Option<&'static str> {
    raw.iter().skip(1).find_map(|a| {
        [
            "audit",
            "diff",
            "explain",
            "cond",
            "product",
            "bound",
            "predict",
            "gain",
            "phase",
            "alpha",
            "precision",
            "step",
            "symmetry",
            "claims",
            "check",
            "completions",
            "man",
        ]
        .into_iter()
        .find(|name| a.to_str() == Some(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_can_be_named_in_a_usage_error() {
        for command in Cli::command().get_subcommands() {
            let raw = ["isometer".into(), command.get_name().into()];
            assert_eq!(command_name(&raw), Some(command.get_name()));
        }
    }

    #[test]
    fn json_is_seen_before_parsing_but_not_behind_two_dashes() {
        let raw = |args: &[&str]| args.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&raw(&["isometer", "--bogus", "--json"])));
        assert!(wants_json(&raw(&["isometer", "--format", "json"])));
        assert!(!wants_json(&raw(&["isometer", "cond", "--", "--json"])));
    }

    #[test]
    fn shapes_and_thresholds_say_how_to_write_them() {
        assert_eq!(depth_by_width("200x64"), Ok((200, 64)));
        assert!(depth_by_width("200").unwrap_err().contains("200x64"));
        assert!(depth_by_width("0x3").is_err());
        assert!(
            threshold("0.5").is_err() && threshold("nan").is_err() && threshold("1e400").is_err()
        );
        assert_eq!(whole::<u8>("255"), Ok(255));
        assert!(whole::<u8>("256").is_err_and(|e| e.contains("large")));
        for wrong in ["", "-1", "nan", "1.5", "1e3"] {
            assert!(
                whole::<usize>(wrong).is_err_and(|e| e.contains("whole number")),
                "{wrong}"
            );
        }
        assert_eq!(threshold("1e6"), Ok(1e6));
    }
}
