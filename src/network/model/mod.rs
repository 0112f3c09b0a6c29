//! A fully connected network at initialization, as it is described before it exists.

mod validate;

pub use validate::ModelError;

use super::activation::Activation;
use super::initializer::WeightInit;
use super::law::{BiasLaw, Layer};
use super::number_format::NumberFormat;
use super::options::{Alpha, AlphaAt, BiasInit, Normalization, Residual};

/// More layers than this are refused: a description holds one width a layer, and laws are composed
/// layer by layer.
pub const MAX_DEPTH: usize = 1_000_000;

/// Wider layers than this are refused: exact laws sum over the number of active units.
pub const MAX_WIDTH: usize = 1_000_000;

/// A fully connected network. `x_0` is the input; layer `l` of `1..=L` computes `h_l = W_l x_(l-1) + b_l`
/// and `x_l = phi(h_l)`, then a linear readout follows. What is said of weights holds for all
/// `L + 1` matrices.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// `n_0` of the input, then `n_1..n_L` of the layers.
    pub widths: Vec<usize>,
    /// `phi`.
    pub activation: Activation,
    /// How weights are drawn.
    pub weights: WeightInit,
    /// What the biases start from.
    pub bias: BiasInit,
    /// The multiplier on the weights.
    pub alpha: Alpha,
    /// What normalizes, if anything.
    pub normalization: Normalization,
    /// Whether it acts on the activation instead of the pre-activation.
    pub normalization_after: bool,
    /// `x + beta W phi(x)` instead of `phi(W x)`.
    pub residual: Option<Residual>,
    /// Probability that a unit is dropped after its activation; the others are divided by the
    /// probability of staying.
    pub dropout: f64,
    /// Outputs of the readout.
    pub readout: usize,
    /// The format that gradients are kept in.
    pub number_format: NumberFormat,
    /// Whether all layers share one square `W`, as in a recurrent network over `L` steps. The readout has
    /// weights of its own.
    pub tied: bool,
}

impl Model {
    /// A network with everything else at its default: `kaiming_normal` weights, the bias that goes with
    /// them (none), alpha 1, a scalar readout, f32.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, activation::Activation};
    /// let model = Model::new(vec![784, 256, 256], Activation::Relu);
    /// assert_eq!((model.depth(), model.keep(), model.beta()), (2, 1.0, None));
    /// ```
    pub fn new(widths: Vec<usize>, activation: Activation) -> Model {
        Model {
            widths,
            activation,
            weights: WeightInit::default(),
            bias: BiasInit::default(),
            alpha: Alpha::default(),
            normalization: Normalization::None,
            normalization_after: false,
            residual: None,
            dropout: 0.0,
            readout: 1,
            number_format: NumberFormat::default(),
            tied: false,
        }
    }

    /// `depth` layers and an input of one width.
    ///
    /// # Errors
    ///
    /// No layer, or more than [`MAX_DEPTH`].
    ///
    /// # Examples
    /// ```
    /// use isometer::network::Model;
    /// assert_eq!(Model::equal_widths(3, 10).unwrap(), [10, 10, 10, 10]); // the input first
    /// ```
    pub fn equal_widths(depth: usize, width: usize) -> Result<Vec<usize>, ModelError> {
        match depth {
            0 => Err(ModelError::NoLayer { given: 1 }),
            1..=MAX_DEPTH => Ok(vec![width; depth + 1]),
            _ => Err(ModelError::TooDeep { depth }),
        }
    }

    /// `L`, the number of layers before the readout.
    pub fn depth(&self) -> usize {
        self.widths.len().saturating_sub(1)
    }

    /// Probability that a unit stays, `1 - dropout`.
    pub fn keep(&self) -> f64 {
        1.0 - self.dropout
    }

    /// Scale of the residual branches, if there are any.
    pub fn beta(&self) -> Option<f64> {
        self.residual.map(|residual| residual.beta(self.depth()))
    }

    /// The layer's weights and bias, resolved.
    ///
    /// # Panics
    ///
    /// Unless `l` is in `1..=depth + 1`; the last is the readout.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, activation::Activation};
    /// let model = Model::new(vec![100, 50], Activation::Relu);
    /// let (first, readout) = (model.layer(1), model.layer(2));
    /// assert_eq!((first.fan_in, first.fan_out, readout.fan_in, readout.fan_out), (100, 50, 50, 1));
    /// ```
    pub fn layer(&self, l: usize) -> Layer {
        let readout = self.depth() + 1;
        assert!((1..=readout).contains(&l), "layer {l} of {readout}");
        let fan_in = self.widths[l - 1];
        let fan_out = match l == readout {
            true => self.readout,
            false => self.widths[l],
        };
        let (factor, multiplier) = match self.alpha.at {
            AlphaAt::Weights => (self.alpha.value, 1.0),
            AlphaAt::Multiplier => (self.alpha.value, self.alpha.value),
            AlphaAt::Layer(k) if k == l => (self.alpha.value, 1.0),
            AlphaAt::Layer(_) => (1.0, 1.0),
        };
        let drawn = self.weights.law(&self.activation, fan_in, fan_out);
        Layer {
            fan_in,
            fan_out,
            weight: drawn.scaled(factor),
            bias: self.bias_law(fan_in),
            multiplier,
        }
    }

    fn bias_law(&self, fan_in: usize) -> BiasLaw {
        let torch = BiasLaw::Uniform {
            variance: 1.0 / (3.0 * fan_in as f64),
        };
        let law = match self.bias {
            BiasInit::FrameworkDefault if self.weights == WeightInit::TorchLinear => torch,
            BiasInit::TorchLinear => torch,
            BiasInit::FrameworkDefault | BiasInit::None => BiasLaw::Zero,
            BiasInit::Gaussian { variance } => BiasLaw::Gaussian { variance },
            BiasInit::Uniform { half_width } => BiasLaw::Uniform {
                variance: half_width * half_width / 3.0,
            },
            BiasInit::Constant(c) => BiasLaw::Constant(c),
        };
        match law.mean_square() == 0.0 {
            true => BiasLaw::Zero,
            false => law,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::WeightKind;

    fn model(widths: &[usize], init: &str) -> Model {
        let mut model = Model::new(widths.to_vec(), Activation::Relu);
        model.weights = init.parse().unwrap();
        model
    }

    #[test]
    fn layers_have_their_shapes() {
        let mut m = model(&[784, 256, 10], "xavier_normal");
        m.readout = 3;
        assert_eq!(m.depth(), 2);
        let shapes: Vec<_> = (1..=3)
            .map(|l| (m.layer(l).fan_in, m.layer(l).fan_out))
            .collect();
        assert_eq!(shapes, [(784, 256), (256, 10), (10, 3)]);
        let variance = m.layer(1).entry_variance();
        assert!((variance - 2.0 / 1040.0).abs() < 1e-17);
        assert!((m.layer(3).entry_variance() - 2.0 / 13.0).abs() < 1e-16);
    }

    #[test]
    fn alpha_acts_where_it_is_said_to() {
        let mut m = model(&[50, 50, 50], "kaiming_normal");
        m.alpha.value = -3.0;
        let seen = |m: &Model| -> Vec<_> {
            (1..=3)
                .map(|l| (m.layer(l).weight.sigma_w2, m.layer(l).multiplier))
                .collect()
        };
        assert_eq!(seen(&m), [(18.0, 1.0); 3]);
        m.alpha.at = AlphaAt::Multiplier;
        assert_eq!(seen(&m), [(18.0, -3.0); 3]);
        m.alpha.at = AlphaAt::Layer(2);
        assert_eq!(seen(&m), [(2.0, 1.0), (18.0, 1.0), (2.0, 1.0)]);
        m.alpha.at = AlphaAt::Layer(3);
        assert_eq!(seen(&m), [(2.0, 1.0), (2.0, 1.0), (18.0, 1.0)]);
    }

    #[test]
    fn alpha_leaves_the_bias_alone() {
        let mut m = model(&[50, 50], "torch:linear");
        m.alpha.value = 10.0;
        assert_eq!(
            m.layer(1).bias,
            BiasLaw::Uniform {
                variance: 1.0 / 150.0
            }
        );
    }

    #[test]
    fn a_negative_alpha_mirrors_the_law() {
        let mut m = model(&[50, 50], "trunc_normal:a=-1,b=2");
        let before = m.layer(1).weight;
        m.alpha.value = -1.0;
        let after = m.layer(1).weight;
        assert_eq!(after.mean, -before.mean);
        assert_eq!(
            after.kind,
            WeightKind::TruncatedNormal {
                lower: -2.0,
                upper: 1.0
            }
        );
        assert!((after.kurtosis(50, 50) - before.kurtosis(50, 50)).abs() < 1e-13);
    }

    #[test]
    fn biases_are_those_of_the_framework() {
        let uniform = BiasLaw::Uniform {
            variance: 1.0 / 300.0,
        };
        for (init, bias, law) in [
            ("torch:linear", "default", uniform),
            ("torch:linear", "none", BiasLaw::Zero),
            ("keras:dense", "default", BiasLaw::Zero),
            ("kaiming_normal", "default", BiasLaw::Zero),
            ("kaiming_normal", "torch:linear", uniform),
            (
                "kaiming_normal",
                "gaussian:0.05",
                BiasLaw::Gaussian { variance: 0.05 },
            ),
            (
                "kaiming_normal",
                "uniform:3",
                BiasLaw::Uniform { variance: 3.0 },
            ),
            ("kaiming_normal", "constant:-0.5", BiasLaw::Constant(-0.5)),
            ("kaiming_normal", "gaussian:0", BiasLaw::Zero),
        ] {
            let mut m = model(&[100, 100], init);
            m.bias = bias.parse().unwrap();
            assert_eq!(m.layer(1).bias, law, "{init} {bias}");
        }
    }

    #[test]
    fn haar_weights_by_their_variance_are_scaled_isometries() {
        let m = model(&[64, 64, 32], "orthogonal:sigma_w2=2.25");
        for l in 1..=3 {
            assert_eq!(m.layer(l).singular_value(), Some(1.5));
        }
        assert_eq!(model(&[8, 8], "normal").layer(1).singular_value(), None);
    }

    #[test]
    #[should_panic(expected = "layer 4 of 3")]
    fn layers_beyond_the_readout_are_a_mistake_of_the_caller() {
        model(&[5, 5, 5], "normal").layer(4);
    }
}
