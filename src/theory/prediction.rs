//! What the theory has to say about a network, in one value: laws of squared norms with what each
//! is worth, growth, spectrum, critical multiplier, underflow, verdict and fix.
//!
//! The certainty of a [`Law`] and of [`Growth`] says whether it holds at the widths given (`exact`) or for wide
//! layers (`asymptotic`); [`predict`](crate::theory::predict::predict) fills them in.
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//! use isometer::theory::predict::{Options, predict};
//!
//! let at = |phi| predict(&Model::new(vec![64; 9], phi), &Options::default()).unwrap();
//! assert_eq!(at(Activation::Relu).growth.certainty.as_str(), "exact");
//! assert_eq!(at(Activation::Tanh).growth.certainty.as_str(), "asymptotic");
//! ```

use crate::scale::Certainty;
use serde_json::Value;

/// Quantiles that are always given.
pub const QUANTILES: [f64; 3] = [0.05, 0.5, 0.95];

/// The law of a squared norm. Logarithms are natural; those of the distribution are conditional on
/// the norm not being exactly zero, the mean square is not.
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    /// Exact at finite width, or asymptotic.
    pub certainty: Certainty,
    /// `ln E X`, zeros included.
    pub ln_mean_square: f64,
    /// `E ln X`, given `X > 0`.
    pub mean_ln_square: Option<f64>,
    /// `Var ln X`, given `X > 0`.
    pub var_ln_square: Option<f64>,
    /// `ln (E X^2 / (E X)^2)`, zeros included.
    pub ln_kurtosis_ratio: Option<f64>,
    /// `P(X = 0)`.
    pub p_zero: f64,
    /// `(p, quantile of ln X)`, given `X > 0`.
    pub quantiles_ln_square: Vec<(f64, f64)>,
    /// `(x, P(ln X <= x))`, given `X > 0`, where asked for.
    pub cdf_ln_square: Vec<(f64, f64)>,
    /// Estimated absolute error of the probabilities, where they come from an inversion.
    pub error: Option<f64>,
}

impl Law {
    /// The law of `X e^shift`.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, activation::Activation};
    /// use isometer::theory::predict::{Options, predict};
    /// let p = predict(&Model::new(vec![8; 4], Activation::Relu), &Options::default()).unwrap();
    /// let law = p.jvp.unwrap();
    /// let twice = law.shifted(2f64.ln());
    /// assert!((twice.ln_mean_square - law.ln_mean_square - 2f64.ln()).abs() < 1e-15);
    /// assert_eq!((twice.p_zero, twice.var_ln_square), (law.p_zero, law.var_ln_square));
    /// ```
    pub fn shifted(&self, shift: f64) -> Law {
        let move_values = |rows: &[(f64, f64)]| rows.iter().map(|(p, x)| (*p, x + shift)).collect();
        Law {
            ln_mean_square: self.ln_mean_square + shift,
            mean_ln_square: self.mean_ln_square.map(|x| x + shift),
            quantiles_ln_square: move_values(&self.quantiles_ln_square),
            cdf_ln_square: Vec::new(),
            ..self.clone()
        }
    }
}

/// Mean-field quantities at the fixed point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeanField {
    /// Fixed point of the variance of pre-activations; `inf` where it diverges, 0 where it dies.
    pub q_star: Option<f64>,
    /// Growth of squared gradients per layer there.
    pub chi_1: Option<f64>,
    /// Slope of the length map there.
    pub chi_parallel: Option<f64>,
    /// Stable correlation of two inputs.
    pub c_star: Option<f64>,
    /// Depth scale of the length map, in layers.
    pub xi_q: Option<f64>,
    /// Depth scale of the correlation map, in layers.
    pub xi_c: Option<f64>,
    /// `1 / ln chi_1`, in layers; negative where gradients decay.
    pub gradient_depth_scale: Option<f64>,
    /// `ordered`, `critical`, `chaotic`, or why there is no phase.
    pub phase: String,
    /// What is special.
    pub note: Option<String>,
}

/// One layer of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerPicture {
    /// 1 to L.
    pub layer: usize,
    /// Its width.
    pub width: usize,
    /// Variance of its pre-activations for an input with `|x|^2 = n_0`.
    pub q: Option<f64>,
    /// Factor on the mean square gradient from this layer's output back to its input.
    pub chi: f64,
    /// `ln` of the mean square gradient at this layer's output over that at the last one's.
    pub ln_mean_square_gradient: f64,
    /// The same, mean of the logarithm.
    pub typical_ln_square_gradient: Option<f64>,
}

/// Growth of squared gradients per layer, averaged over the depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Geometric mean over layers of the factor on the mean square; 0 or infinity outside the range of
    /// `f64`, where [`Growth::ln_chi`] has it.
    pub chi: f64,
    /// Its natural logarithm.
    pub ln_chi: f64,
    /// Mean over layers of the drift of the mean logarithm.
    pub typical_ln_square_per_layer: Option<f64>,
    /// What both are worth.
    pub certainty: Certainty,
}

/// The Jacobian from the input to the last hidden layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Jacobian {
    /// Expected rank, exact.
    pub expected_rank: Option<f64>,
    /// `ln E tr J^T J`, exact.
    pub ln_expected_trace: Option<f64>,
    /// `ln E tr (J^T J)^2`, exact.
    pub ln_expected_trace_of_square: Option<f64>,
    /// Normalised variance of the limiting spectrum of `J J^T`.
    pub variance: Option<f64>,
    /// Lyapunov exponents in bits per layer, largest first.
    pub log2_lyapunov: Vec<f64>,
    /// Edges of the limiting spectrum of `J J^T`.
    pub edge: Option<(f64, f64)>,
}

/// Diagonal of the kernels of the infinitely wide network, for `|x|^2 = n_0`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kernel {
    /// Output variance.
    pub nngp: Option<f64>,
    /// Neural tangent kernel.
    pub ntk: Option<f64>,
}

/// Multipliers of all weights at which growth stops.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CriticalAlpha {
    /// Of the mean square.
    pub mean_square: Option<f64>,
    /// Of the typical gradient.
    pub typical: Option<f64>,
}

/// Underflow of the elements of gradients in a number format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Underflow {
    /// `f16`, `bf16`, `f32`.
    pub format: &'static str,
    /// Depth at which the root mean square element rounds to zero; `inf` for never.
    pub underflow_depth_mean: Option<f64>,
    /// Depth at which the typical element rounds to zero; `inf` for never.
    pub underflow_depth_typical: Option<f64>,
    /// Probability that an element of the input gradient of this network rounds to zero.
    pub p_underflow: Option<f64>,
}

/// What gradients will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Within a factor of ten over the whole depth, typically.
    Stable,
    /// Lost on the way back.
    Vanishing,
    /// Blown up on the way back.
    Exploding,
}

impl Verdict {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Stable => "stable",
            Verdict::Vanishing => "vanishing",
            Verdict::Exploding => "exploding",
        }
    }
}

/// What to change, as code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// In words.
    pub what: String,
    /// A line of PyTorch.
    pub torch: String,
    /// A line of Keras.
    pub keras: String,
}

/// Everything predicted for a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The model as resolved, for documents: key and value.
    pub description: Vec<(String, Value)>,
    /// Mean field.
    pub mean_field: MeanField,
    /// `|x_L|^2 / |x_0|^2`.
    pub forward: Option<Law>,
    /// `|J u|^2` for a fixed unit vector `u`, `J` up to the last hidden layer.
    pub jvp: Option<Law>,
    /// `|dy/dx_0|^2` of one output.
    pub input_gradient: Option<Law>,
    /// `|dy/dW_l|_F^2` for stored weights and `|x_0|^2 = n_0`, by layer from 1, the readout last; a sample
    /// of the layers where there are very many.
    pub weight_gradients: Vec<(usize, Law)>,
    /// Growth per layer.
    pub growth: Growth,
    /// Spectrum.
    pub jacobian: Jacobian,
    /// Kernels.
    pub kernel: Kernel,
    /// Critical multipliers.
    pub critical_alpha: CriticalAlpha,
    /// Underflow by number format.
    pub precision: Vec<Underflow>,
    /// The picture, first layer first.
    pub layers: Vec<LayerPicture>,
    /// What it rests on.
    pub hypotheses: Vec<String>,
    /// Why gradients do what they do.
    pub reasons: Vec<String>,
    /// What to change.
    pub fix: Option<Fix>,
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict in a sentence.
    pub sentence: String,
}
