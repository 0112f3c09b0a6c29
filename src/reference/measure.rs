//! What is measured of one random network: logarithms of squared norms, in the units that
//! predictions are given in.
//!
//! A [`Sampler`] is a function of an index, so that runs can be split and repeated;
//! [`Measurement`](crate::reference::monte_carlo::Measurement) collects.

use std::fmt;

/// One number measured of every network: the natural logarithm of a squared norm, `-inf` for an exact
/// zero.
///
/// The input is uniform on the sphere `|x_0|^2 = n_0`, the tangent a uniform unit vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// `|x_L|^2 / |x_0|^2`.
    Forward,
    /// `|J u|^2` for a fixed unit vector `u`, `J` from the input to the last hidden layer.
    Jvp,
    /// `|dy/dx_0|^2` of one output `y`.
    InputGradient,
    /// `(dy/dx_0)_1^2`, one element of that.
    InputGradientElement,
    /// `|dy/dW_l|_F^2` for the stored weights of layer `l`, from 1; the readout is layer `L + 1`.
    WeightGradient(usize),
    /// `ln(|dy/dh_2|^2 / |dy/dh_L|^2) / (L - 2)`, growth per layer between layers whose inputs are alike:
    /// the first one sees the input of the network.
    Growth,
}

impl fmt::Display for Quantity {
    /// The keys of predictions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quantity::Forward => f.write_str("forward"),
            Quantity::Jvp => f.write_str("jvp"),
            Quantity::InputGradient => f.write_str("input_gradient"),
            Quantity::InputGradientElement => f.write_str("input_gradient_element"),
            Quantity::Growth => f.write_str("growth"),
            Quantity::WeightGradient(l) => write!(f, "weight_gradient[{l}]"),
        }
    }
}

impl Quantity {
    /// Everything that is measured of a network of `depth` hidden layers: weight gradients of the
    /// first layer, one in the middle, and the readout.
    ///
    /// # Examples
    /// ```
    /// use isometer::reference::measure::Quantity;
    /// let all = Quantity::of_depth(10);
    /// assert!(all.contains(&Quantity::Jvp) && all.contains(&Quantity::WeightGradient(11)));
    /// ```
    pub fn of_depth(depth: usize) -> Vec<Quantity> {
        let mut all = vec![
            Quantity::Forward,
            Quantity::Jvp,
            Quantity::InputGradient,
            Quantity::InputGradientElement,
        ];
        let mut layers = vec![1, depth / 2 + 1, depth + 1];
        layers.dedup();
        all.extend(layers.into_iter().map(Quantity::WeightGradient));
        all
    }
}

/// Draws networks and measures them.
///
/// Sample `index` is a function of the seed and the index alone, whichever thread draws it.
pub trait Sampler: Sync {
    /// What is measured, in the order of [`Sampler::sample`].
    fn quantities(&self) -> &[Quantity];

    /// Measures network `index`; `out` has one place for each quantity.
    fn sample(&self, index: u64, out: &mut [f64]);
}
