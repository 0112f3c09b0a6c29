//! Laws of whole networks, from widths and variances.

use std::collections::BTreeMap;

use super::factor::{Factor, LawError, gate_kurtosis};
use super::product_law::ProductLaw;

/// Random weights whose laws are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensemble {
    /// Independent Gaussian entries of variance `sigma_w2 / fan_in`.
    Gaussian,
    /// `sqrt(sigma_w2)` times a Haar matrix; rectangular ones have orthonormal rows or columns.
    Haar,
}

/// A fully connected network at initialization: `L` hidden layers `x_l = phi(W_l x_{l-1} + b_l)` and a
/// linear readout.
///
/// `phi` has one slope on each side of 0. Laws hold at every input other than 0.
///
/// # Examples
/// ```
/// use isometer::theory::laws::{Ensemble, Network};
/// // 3 hidden layers of width 8 from 4 inputs, and a readout: four variances
/// let network = Network {
///     widths: &[4, 8, 8, 8],
///     sigma_w2: &[2.0, 2.0, 2.0, 1.0],
///     slopes: (1.0, 0.0),
///     keep: 1.0,
///     ensemble: Ensemble::Gaussian,
///     symmetric_biases: false,
/// };
/// // |J u|^2 gains a factor 8/4 from the widths; a gradient has mean square 1
/// assert!((network.jvp().unwrap().ln_mean_square() - 2f64.ln()).abs() < 1e-12);
/// assert!((network.forward().unwrap().ln_mean_square() - 2f64.ln()).abs() < 1e-12);
/// assert!(network.input_gradient().unwrap().ln_mean_square().abs() < 1e-12);
/// let element = network.input_gradient_element().unwrap();
/// assert!((element.ln_mean_square() + 4f64.ln()).abs() < 1e-12);
/// // |dy/dW_1|_F^2 = |x_0|^2 |delta_1|^2, for |x_0|^2 = e^0
/// let weights = network.weight_gradient(1, 0.0).unwrap();
/// assert!((weights.ln_mean_square() + 2f64.ln()).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Network<'a> {
    /// `n_0, n_1, ..., n_L`.
    pub widths: &'a [usize],
    /// `sigma_w2` of the hidden layers, then of the readout if there is one: `L` or `L + 1` numbers.
    pub sigma_w2: &'a [f64],
    /// Slopes of the activation above and below 0.
    pub slopes: (f64, f64),
    /// Keep probability of inverted dropout after every activation, 1 for none.
    pub keep: f64,
    /// Law of the weights.
    pub ensemble: Ensemble,
    /// Whether there are random biases, symmetric about 0. They change neither the Jacobian nor the input
    /// gradient (theorem: sign-symmetric-gates), but the signals and weight gradients. Constant
    /// biases other than 0 are not covered by any of these laws.
    pub symmetric_biases: bool,
}

/// Factors by layer, with equal ones counted: a hundred widths repeated a million times are a
/// hundred factors.
#[derive(Default)]
struct Product {
    factors: Vec<(Factor, u64)>,
    index: BTreeMap<Key, usize>,
}

/// Everything that tells one factor from another.
type Key = (u8, usize, usize, [u64; 3]);

fn key(factor: &Factor) -> Key {
    let bits = |a: f64, b: f64, c: f64| [a.to_bits(), b.to_bits(), c.to_bits()];
    match *factor {
        Factor::Gated {
            n,
            gate,
            below,
            scale,
        } => (0, n, 0, bits(gate, below, scale)),
        Factor::ChiSquare { n, scale } => (1, n, 0, bits(1.0, 1.0, scale)),
        Factor::Sphere {
            n,
            ambient,
            gate,
            below,
            scale,
        } => (2, n, ambient, bits(gate, below, scale)),
        Factor::Constant { scale } => (3, 0, 0, bits(1.0, 1.0, scale)),
    }
}

impl Product {
    fn push(&mut self, factor: Factor) {
        let next = self.factors.len();
        let at = *self.index.entry(key(&factor)).or_insert(next);
        if at == next {
            self.factors.push((factor, 0));
        }
        self.factors[at].1 += 1;
    }
}

impl Network<'_> {
    fn layers(&self) -> usize {
        self.widths.len().saturating_sub(1)
    }

    /// Checks what the factors do not; `readout` says whether its variance is needed.
    fn check(&self, readout: bool) -> Result<(), LawError> {
        let layers = self.layers();
        if layers == 0 {
            return Err(LawError::NoLayers);
        }
        if let Some(index) = self.widths.iter().position(|n| *n == 0) {
            return Err(LawError::ZeroWidth { index });
        }
        let expected = layers + usize::from(readout);
        let found = self.sigma_w2.len();
        if found != expected && (readout || found != layers + 1) {
            return Err(LawError::Variances { expected, found });
        }
        let bad = |s: &f64| !(*s > 0.0 && s.is_finite());
        if let Some(index) = self.sigma_w2.iter().position(bad) {
            return Err(LawError::Scale {
                index,
                value: self.sigma_w2[index],
            });
        }
        if !(self.keep > 0.0 && self.keep <= 1.0) {
            return Err(LawError::Probability { value: self.keep });
        }
        let (above, below) = self.slopes;
        if !(above.is_finite() && below.is_finite()) || (above == 0.0 && below == 0.0) {
            return Err(LawError::Slopes { above, below });
        }
        if self.keep < 1.0 && above.abs() != below.abs() && above != 0.0 && below != 0.0 {
            return Err(LawError::LeakyDropout {
                above,
                below,
                keep: self.keep,
            });
        }
        Ok(())
    }

    /// Gate probability, slope of closed gates, and what multiplies the squared norm.
    fn gate(&self) -> (f64, f64, f64) {
        let (above, below) = self.slopes;
        // the coins are fair, so the sides may be exchanged
        let (steep, flat) = if above.abs() >= below.abs() {
            (above, below)
        } else {
            (below, above)
        };
        let scale = (steep / self.keep).powi(2);
        if steep.abs() == flat.abs() {
            (self.keep, 0.0, scale)
        } else {
            (0.5 * self.keep, flat / steep, scale)
        }
    }

    /// Weights to a vector of `n` entries from one of `from`, then the gates; `fan_in` of the matrix.
    fn layer(&self, n: usize, from: usize, fan_in: usize, sigma_w2: f64, gated: bool) -> Factor {
        let (gate, below, gain) = if gated { self.gate() } else { (1.0, 0.0, 1.0) };
        match self.ensemble {
            Ensemble::Gaussian => Factor::Gated {
                n,
                gate,
                below,
                scale: gain * sigma_w2 / fan_in as f64,
            },
            Ensemble::Haar => Factor::Sphere {
                n,
                ambient: n.max(from),
                gate,
                below,
                scale: gain * sigma_w2,
            },
        }
    }

    /// One factor of a gradient on its way back: a matrix with `from` outputs on layer `layer`, with the
    /// gates of that layer or without.
    pub(crate) fn backward_factor(
        &self,
        layer: usize,
        from: usize,
        sigma_w2: f64,
        gated: bool,
    ) -> Factor {
        let n = self.widths[layer];
        self.layer(n, from, n, sigma_w2, gated)
    }

    /// `|x_k|^2 / |x_0|^2`.
    fn ahead(&self, product: &mut Product, k: usize) {
        for l in 1..=k {
            let (n, from) = (self.widths[l], self.widths[l - 1]);
            product.push(self.layer(n, from, from, self.sigma_w2[l - 1], true));
        }
    }

    /// `|dy/dh_k|^2` for the pre-activations of layer `k`, from the readout back.
    fn back(&self, product: &mut Product, k: usize) {
        let last = self.layers();
        for l in (k..=last).rev() {
            let from = if l == last { 1 } else { self.widths[l + 1] };
            let n = self.widths[l];
            product.push(self.layer(n, from, n, self.sigma_w2[l], true));
        }
    }

    /// Law of `|J u|^2` for the Jacobian `J = dx_L/dx_0` and a fixed unit vector `u`.
    ///
    /// # Errors
    /// A network that does not make sense, or leaky slopes with dropout.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::laws::{Ensemble, Network};
    /// let network = Network {
    ///     widths: &[3, 1, 1],
    ///     sigma_w2: &[2.0; 2],
    ///     slopes: (1.0, 0.0),
    ///     keep: 1.0,
    ///     ensemble: Ensemble::Gaussian,
    ///     symmetric_biases: false,
    /// };
    /// // two single ReLU units are both open one time in four
    /// assert!((network.jvp().unwrap().p_zero() - 0.75).abs() < 1e-15);
    /// ```
    pub fn jvp(&self) -> Result<ProductLaw, LawError> {
        self.check(false)?;
        let mut product = Product::default();
        self.ahead(&mut product, self.layers());
        ProductLaw::new(&product.factors)
    }

    /// Law of `|x_L|^2 / |x_0|^2`; without biases that of [`Network::jvp`].
    ///
    /// # Errors
    /// As [`Network::jvp`]; and random biases, which add to the signal.
    pub fn forward(&self) -> Result<ProductLaw, LawError> {
        if self.symmetric_biases {
            return Err(LawError::Biased);
        }
        self.jvp()
    }

    /// Law of `|dy/dx_0|^2`, where `y = <v, W_{L+1} x_L>` for a fixed unit vector `v`: a scalar output, or any
    /// unit combination of several. For `|v|` other than 1 scale by `ln |v|^2`.
    ///
    /// The gates act on the readout first, and the weights of layer 1 come last (Hanin 2018,
    /// arXiv:1801.03744, for ReLU). A Haar readout is one row of a Haar matrix times `sqrt(sigma_w2)`.
    ///
    /// # Errors
    /// As [`Network::jvp`], and a missing variance of the readout.
    pub fn input_gradient(&self) -> Result<ProductLaw, LawError> {
        self.check(true)?;
        let mut product = Product::default();
        self.back(&mut product, 1);
        let (n, from) = (self.widths[0], self.widths[1]);
        product.push(self.layer(n, from, n, self.sigma_w2[0], false));
        ProductLaw::new(&product.factors)
    }

    /// Law of the square of one element of `dy/dx_0`: the gradient leaves the first matrix in a uniform direction, so
    /// that one of its `n_0` coordinates takes the place of all in the last factor of
    /// [`Network::input_gradient`] (theorem: element-of-a-gradient).
    ///
    /// # Errors
    /// As [`Network::input_gradient`].
    pub fn input_gradient_element(&self) -> Result<ProductLaw, LawError> {
        self.check(true)?;
        let mut product = Product::default();
        self.back(&mut product, 1);
        let (input, from) = (self.widths[0], self.widths[1]);
        let mut last = self.layer(input, from, input, self.sigma_w2[0], false);
        if let Factor::Gated { n, .. } | Factor::Sphere { n, .. } = &mut last {
            *n = 1;
        }
        product.push(last);
        ProductLaw::new(&product.factors)
    }

    /// Law of `|dy/dW_l|_F^2` for `l = 1..=L+1`, the last the readout, at an input of
    /// squared norm `e^ln_input_square`; `y` as in [`Network::input_gradient`].
    ///
    /// With Gaussian weights all layers share one law up to the factor `n_{l-1} / sigma_w2_l`
    /// (theorem: weight-gradient-law).
    ///
    /// # Errors
    /// As [`Network::input_gradient`], random biases, and a layer that is not there.
    pub fn weight_gradient(
        &self,
        layer: usize,
        ln_input_square: f64,
    ) -> Result<ProductLaw, LawError> {
        if self.symmetric_biases {
            return Err(LawError::Biased);
        }
        self.check(true)?;
        let last = self.layers();
        if layer == 0 || layer > last + 1 {
            return Err(LawError::NoSuchLayer {
                layer,
                layers: last + 1,
            });
        }
        // dy/dW_l is the outer product of dy/dh_l and x_{l-1}, which are independent
        let mut product = Product::default();
        self.ahead(&mut product, layer - 1);
        self.back(&mut product, layer);
        Ok(ProductLaw::new(&product.factors)?.scaled(ln_input_square))
    }
}

/// `E|Ju|^4 / (E|Ju|^2)^2` of one layer of `n` units with independent weights from any law symmetric about 0.
///
/// `entry_kurtosis` is `E w^4 / (E w^2)^2` (normal 3, uniform 1.8, normal with a fraction `d` of non-zero
/// entries `3/d`), `sum_u4` the sum of `u_i^4` over the unit vector `u`. Per squared norm, zeros
/// included, exact. With Gaussian weights `1 + (6/keep - 1)/n` for ReLU and inverted dropout.
///
/// The gates `d` are coins independent of the moduli (theorem: sign-symmetric-gates), and a unit has
/// `E (Wu)_i^4 / (E (Wu)_i^2)^2 = 3 + (entry_kurtosis - 3) sum_u4`.
///
/// # Errors
/// No units, slopes that are both 0 or not finite, a keep probability outside `(0, 1]`.
///
/// # Examples
/// ```
/// use isometer::theory::laws::layer_kurtosis_ratio;
/// // Gaussian weights, ReLU, n = 10: 1 + 5/n whatever the vector
/// let ratio = |sum_u4| layer_kurtosis_ratio(10, (1.0, 0.0), 1.0, 3.0, sum_u4).unwrap();
/// assert!((ratio(0.1) - 1.5).abs() < 1e-14 && (ratio(1.0) - 1.5).abs() < 1e-14);
/// ```
pub fn layer_kurtosis_ratio(
    n: usize,
    slopes: (f64, f64),
    keep: f64,
    entry_kurtosis: f64,
    sum_u4: f64,
) -> Result<f64, LawError> {
    let (above, below) = slopes;
    if n == 0 {
        return Err(LawError::ZeroWidth { index: 0 });
    }
    if !(keep > 0.0 && keep <= 1.0) {
        return Err(LawError::Probability { value: keep });
    }
    let (steep, flat) = (above.abs().max(below.abs()), above.abs().min(below.abs()));
    if !(steep > 0.0 && steep.is_finite() && flat.is_finite()) {
        return Err(LawError::Slopes { above, below });
    }
    let gates = gate_kurtosis(0.5, (flat / steep).powi(2)) / keep;
    let unit = 3.0 + (entry_kurtosis - 3.0) * sum_u4;
    Ok(1.0 + (gates * unit - 1.0) / n as f64)
}
