//! MODEL: a file, or flags that describe one.

use super::args::{finite, whole};
use super::exit::{BadFlag, Unusable};
use super::{file, sources};
use anyhow::Context;
use clap::{ArgAction, Args, ValueHint};
use isometer::network::activation::Activation;
use isometer::network::{
    Alpha, AlphaAt, BiasInit, Model, Normalization, NumberFormat, Residual, WeightInit,
};
use std::path::PathBuf;

/// Flags that describe a network, or the file that does.
#[derive(Args, Debug)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// Description in TOML; the other model flags change what it says
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    model: Option<PathBuf>,
    /// Hidden layers, all of the same width (with --width)
    #[arg(long, value_name = "L", value_parser = whole::<usize>, requires = "width", conflicts_with = "widths")]
    depth: Option<usize>,
    /// Units of the input and of every hidden layer (with --depth)
    #[arg(long, value_name = "N", value_parser = whole::<usize>, requires = "depth", conflicts_with = "widths")]
    width: Option<usize>,
    /// Units of the input and of each hidden layer, such as 784,256,256
    #[arg(long, value_name = "N0,N1,...", value_delimiter = ',', value_parser = width)]
    widths: Vec<usize>,
    /// Activation, with a parameter where it has one: relu, tanh, gelu, leaky_relu:0.2, ...
    #[arg(long, value_name = "NAME")]
    activation: Option<Activation>,
    /// Initializer: xavier_normal, kaiming_uniform, orthogonal, torch:linear, keras:dense, ...
    #[arg(long, value_name = "NAME")]
    init: Option<WeightInit>,
    /// Variance of the weights times fan-in, Gaussian unless --init names another law; with
    /// --init orthogonal, W = sqrt(S) times a Haar matrix
    #[arg(long, value_name = "S", value_parser = finite)]
    sigma_w2: Option<f64>,
    /// Gaussian biases of this variance
    #[arg(long, value_name = "S", value_parser = finite, conflicts_with = "bias")]
    sigma_b2: Option<f64>,
    /// Biases: none, gaussian:VARIANCE, uniform:HALF_WIDTH, constant:C
    #[arg(long, value_name = "LAW")]
    bias: Option<BiasInit>,
    /// Scalar that multiplies weights
    #[arg(long, value_name = "A", value_parser = finite)]
    alpha: Option<f64>,
    /// What alpha multiplies: the stored weights, a multiplier outside them, or one layer
    #[arg(long, value_name = "weights|multiplier|layer:K")]
    alpha_at: Option<AlphaAt>,
    /// Normalization of the pre-activations
    #[arg(long, value_name = "none|batch:B|layer|rms")]
    normalization: Option<Normalization>,
    /// Normalize after the activation instead
    #[arg(long)]
    normalization_after: bool,
    /// Residual branches x + BETA W phi(x): a number, 1/sqrt(L), or 0
    #[arg(long, value_name = "BETA", allow_hyphen_values = true)]
    residual: Option<Residual>,
    /// Probability with which a unit is dropped (inverted dropout)
    #[arg(long, value_name = "P", value_parser = finite)]
    dropout: Option<f64>,
    /// Outputs of the linear readout
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    readout: Option<usize>,
    /// Number format of weights and gradients
    #[arg(long, value_name = "f16|bf16|f32|f64")]
    format_bits: Option<NumberFormat>,
    /// One weight matrix for all layers: a recurrent network over L steps
    #[arg(long, action = ArgAction::SetTrue)]
    tied: bool,
}

fn width(text: &str) -> Result<usize, String> {
    text.trim()
        .parse()
        .map_err(|_| "each width is a whole number of units, as in 784,256,256".into())
}

fn unusable(error: impl std::error::Error) -> Unusable {
    Unusable(format!("this is no model to predict: {error}"))
}

impl ModelArgs {
    /// Whether any flag says what network is meant.
    pub fn is_given(&self) -> bool {
        self.model.is_some() || self.depth.is_some() || !self.widths.is_empty()
    }

    /// The activation asked for on the command line.
    pub fn activation(&self) -> Option<&Activation> {
        self.activation.as_ref()
    }

    /// The multiplier asked for on the command line.
    pub fn alpha(&self) -> Option<f64> {
        self.alpha
    }

    /// The first flag given beyond those that mean something without a model: the activation and alpha.
    pub fn beyond_activation(&self) -> Option<&'static str> {
        [
            ("--model", self.model.is_some()),
            ("--depth", self.depth.is_some()),
            ("--widths", !self.widths.is_empty()),
            ("--init", self.init.is_some()),
            ("--sigma-w2", self.sigma_w2.is_some()),
            ("--sigma-b2", self.sigma_b2.is_some()),
            ("--bias", self.bias.is_some()),
            ("--alpha-at", self.alpha_at.is_some()),
            ("--normalization", self.normalization.is_some()),
            ("--normalization-after", self.normalization_after),
            ("--residual", self.residual.is_some()),
            ("--dropout", self.dropout.is_some()),
            ("--readout", self.readout.is_some()),
            ("--format-bits", self.format_bits.is_some()),
            ("--tied", self.tied),
        ]
        .into_iter()
        .find_map(|(flag, given)| given.then_some(flag))
    }

    /// The number format asked for on the command line.
    pub fn format_bits(&self) -> Option<NumberFormat> {
        self.format_bits
    }

    /// Whether the description comes from a file.
    pub fn is_from_file(&self) -> bool {
        self.model.is_some()
    }

    /// The model described, checked.
    ///
    /// # Errors
    /// An unreadable file, a key or flag that is wrong, or a model that is infeasible.
    pub fn resolve(&self) -> anyhow::Result<Model> {
        if !self.has_shape() {
            return Err(BadFlag {
                flag: "--depth",
                message: "a model needs its shape: --depth L --width N, --widths N0,N1,..., or --model FILE.toml".into(),
            }
            .into());
        }
        self.resolve_layers()
    }

    /// Whether depth and widths are given.
    pub fn has_shape(&self) -> bool {
        self.model.is_some() || self.depth.is_some() || !self.widths.is_empty()
    }

    /// The flag that gives the shape.
    pub fn shape_flag(&self) -> &'static str {
        match (&self.model, self.depth) {
            (Some(_), _) => "--model",
            (_, Some(_)) => "--depth",
            _ => "--widths",
        }
    }

    /// Whether the activation is given.
    pub fn has_activation(&self) -> bool {
        self.model.is_some() || self.activation.is_some()
    }

    /// Whether weights, biases or a whole model are given.
    pub fn has_layers(&self) -> bool {
        self.has_shape()
            || self.init.is_some()
            || self.sigma_w2.is_some()
            || self.sigma_b2.is_some()
            || self.bias.is_some()
    }

    /// Like [`ModelArgs::resolve`] where the shape does not matter: without one the widths of the
    /// model mean nothing.
    ///
    /// # Errors
    /// As there, except for a missing shape.
    pub fn resolve_layers(&self) -> anyhow::Result<Model> {
        let mut model = match &self.model {
            Some(path) => {
                let text = file::read_text(path).with_context(|| {
                    let name = path.display().to_string();
                    let near = match path.exists() {
                        true => String::new(),
                        false => sources::nearby(&name),
                    };
                    format!("--model: cannot read {name}{near}")
                })?;
                Model::from_toml(&text).map_err(|e| Unusable(format!("{}: {e}", path.display())))?
            }
            None => Model::new(vec![1, 1], Activation::Relu),
        };
        if let (Some(depth), Some(width)) = (self.depth, self.width) {
            model.widths = Model::equal_widths(depth, width).map_err(unusable)?;
        }
        if !self.widths.is_empty() {
            model.widths.clone_from(&self.widths);
        }
        self.apply(&mut model)?;
        model.validate().map_err(unusable)?;
        Ok(model)
    }

    fn apply(&self, model: &mut Model) -> anyhow::Result<()> {
        let set = |to: &mut f64, from: Option<f64>| {
            if let Some(x) = from {
                *to = x;
            }
        };
        if let Some(activation) = &self.activation {
            model.activation = activation.clone();
        }
        if let Some(init) = &self.init {
            model.weights = init.clone();
        }
        if let Some(s) = self.sigma_w2 {
            model.weights = match &self.init {
                Some(init) => init.clone().with_sigma_w2(s).map_err(|e| BadFlag {
                    flag: "--sigma-w2",
                    message: e.to_string(),
                })?,
                None => WeightInit::gaussian(s),
            };
        }
        if let Some(variance) = self.sigma_b2 {
            model.bias = BiasInit::Gaussian { variance };
        }
        if let Some(bias) = &self.bias {
            model.bias = *bias;
        }
        set(&mut model.alpha.value, self.alpha);
        if let Some(at) = self.alpha_at {
            model.alpha = Alpha { at, ..model.alpha };
        }
        if let Some(normalization) = self.normalization {
            model.normalization = normalization;
        }
        model.normalization_after |= self.normalization_after;
        if let Some(residual) = self.residual {
            model.residual = Some(residual);
        }
        set(&mut model.dropout, self.dropout);
        if let Some(readout) = self.readout {
            model.readout = readout;
        }
        if let Some(format) = self.format_bits {
            model.number_format = format;
        }
        model.tied |= self.tied;
        Ok(())
    }
}
