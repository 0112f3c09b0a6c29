//! Arguments of `isometer alpha` and `isometer precision`.

use super::args::{Filter, at_least_one, finite};
use super::exit::BadFlag;
use super::model::ModelArgs;
use clap::{Args, ValueHint};

/// Largest factor of `--within`: further out the tails of exact laws take minutes, and no training goes on.
const MOST_WITHIN: f64 = 1e12;

/// Most values of a sweep.
const MOST: usize = 100_000;

pub const ALPHA_HELP: &str = "\
Examples:
  isometer alpha --depth 100 --width 4 --activation linear --sigma-w2 4
  isometer alpha --depth 50 --width 256 --activation relu --sweep 0.5,1,2
  isometer alpha --depth 20 --width 500 --activation tanh --from 0.5 --to 100
  isometer alpha --depth 10 --width 64 --alpha 3 --alpha-at multiplier

alpha is the scalar that multiplies weights; --alpha-at says where. Without --sweep or --from, nine
values around the critical alpha are shown. Two critical values exist at finite width: one keeps the
mean square gradient, a larger one the typical gradient.";

/// `isometer alpha`.
#[derive(Args, Debug)]
pub struct AlphaArgs {
    /// The network.
    #[command(flatten)]
    pub model: ModelArgs,
    /// These values
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', value_parser = finite, allow_hyphen_values = true, conflicts_with_all = ["from", "to", "steps"], help_heading = "Sweep")]
    sweep: Vec<f64>,
    /// First of the log-spaced values (with --to)
    #[arg(
        long,
        value_name = "A",
        value_parser = finite,
        requires = "to",
        help_heading = "Sweep"
    )]
    from: Option<f64>,
    /// Last of the log-spaced values (with --from)
    #[arg(
        long,
        value_name = "B",
        value_parser = finite,
        requires = "from",
        help_heading = "Sweep"
    )]
    to: Option<f64>,
    /// How many log-spaced values
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value_t = 9, requires = "from", help_heading = "Sweep")]
    steps: usize,
    /// Factor on the gradient norm, up or down, that counts as staying where it was
    #[arg(
        long,
        value_name = "F",
        value_parser = finite,
        default_value_t = 10.0,
        help_heading = "Sweep"
    )]
    pub within: f64,
    /// Probability with which it has to stay there
    #[arg(
        long,
        value_name = "P",
        value_parser = finite,
        default_value_t = 0.9,
        help_heading = "Sweep"
    )]
    pub probability: f64,
}

impl AlphaArgs {
    /// The values asked for; none for the default ones.
    ///
    /// # Errors
    /// A flag whose value makes no sweep.
    pub fn alphas(&self) -> Result<Vec<f64>, BadFlag> {
        let bad = |flag, message: String| BadFlag { flag, message };
        if !(self.within > 1.0 && self.within <= MOST_WITHIN) {
            return Err(bad(
                "--within",
                format!(
                    "write a factor above 1 and up to {MOST_WITHIN:e}, not {:e}",
                    self.within
                ),
            ));
        }
        if !(self.probability > 0.0 && self.probability < 1.0) {
            return Err(bad(
                "--probability",
                format!("{} is not strictly between 0 and 1", self.probability),
            ));
        }
        if self.sweep.contains(&0.0) {
            return Err(bad(
                "--sweep",
                "alpha = 0 makes every weight zero; give values other than 0".into(),
            ));
        }
        let (Some(from), Some(to)) = (self.from, self.to) else {
            return Ok(self.sweep.clone());
        };
        for (flag, value) in [("--from", from), ("--to", to)] {
            if value <= 0.0 {
                return Err(bad(
                    flag,
                    format!("{value} cannot be log-spaced; give a value above 0, or use --sweep"),
                ));
            }
        }
        if self.steps > MOST {
            return Err(bad("--steps", format!("at most {MOST} values")));
        }
        let last = self.steps.max(2) - 1;
        Ok((0..self.steps)
            .map(|i| match i {
                _ if i == last => to,
                _ => from * (to / from).powf(i as f64 / last as f64),
            })
            .collect())
    }
}

pub const PRECISION_HELP: &str = "\
Examples:
  isometer precision --depth 50 --width 256 --activation relu
  isometer precision --depth 60 --width 16 --lr 1e-4 --format-bits bf16
  isometer precision gradients.safetensors
  isometer precision grads.npz --format-bits f16 --fail-underflow 0.01

For a network that does not exist yet: depth and probability of underflow and overflow, and whether
one loss scale fits all layers. For gradients in files: counts over every stored value. A tensor with
NaN or an infinity is a finding (exit code 1).";

/// `isometer precision`.
#[derive(Args, Debug)]
pub struct PrecisionArgs {
    /// Files of gradients, FILE::TENSOR, directories of checkpoint shards, or - for stdin
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    pub sources: Vec<String>,
    /// Learning rate of plain gradient descent: names the layers whose step is lost in each format
    #[arg(long, value_name = "ETA", value_parser = finite, conflicts_with = "sources")]
    pub lr: Option<f64>,
    /// Exit with code 1 if a larger share of elements is lost in the format of --format-bits
    /// (f16 unless given)
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub fail_underflow: Option<f64>,
    /// The network.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Which tensors.
    #[command(flatten)]
    pub filter: Filter,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if (0.0..=1.0).contains(&x) => Ok(x),
        Ok(_) => Err("a share is between 0 and 1".into()),
        Err(_) => Err("write a number, such as 0.01".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Wrapped {
        #[command(flatten)]
        args: AlphaArgs,
    }

    fn alphas(args: &[&str]) -> Result<Vec<f64>, String> {
        let parsed = Wrapped::try_parse_from([&["alpha"], args].concat());
        parsed
            .map_err(|e| e.to_string())?
            .args
            .alphas()
            .map_err(|e| e.to_string())
    }

    #[test]
    fn sweeps_have_their_ends() {
        assert_eq!(alphas(&["--sweep", "-1,2"]), Ok(vec![-1.0, 2.0]));
        let spaced = alphas(&["--from", "0.1", "--to", "10", "--steps", "3"]).unwrap();
        assert_eq!((spaced[0], spaced[2]), (0.1, 10.0));
        assert!((spaced[1] - 1.0).abs() < 1e-15);
        assert_eq!(
            alphas(&["--from", "2", "--to", "3", "--steps", "1"]),
            Ok(vec![2.0])
        );
        assert_eq!(alphas(&[]), Ok(vec![]));
        for wrong in [
            &["--from", "0", "--to", "1"][..],
            &["--sweep", "0"],
            &["--within", "1"],
            &["--within", "1e308"],
            &["--probability", "1"],
            &["--from", "1"],
            &["--sweep", "1", "--from", "1", "--to", "2"],
        ] {
            assert!(alphas(wrong).is_err(), "{wrong:?}");
        }
    }
}
