//! Gradients with respect to input, weights and biases.

use super::scaled::{Scaled, aligned};
use super::trace::{Trace, single};
use crate::linalg::dense::axpy;

/// Gradients of a scalar function of the readout, `c . y` summed over the batch.
#[derive(Clone, Debug)]
pub struct Gradients<'a> {
    trace: &'a Trace<'a>,
    inputs: Vec<Scaled>,
    /// With respect to `W_l a + b_l`, from the readout to layer 1.
    deltas: Vec<Vec<Scaled>>,
}

impl<'a> Gradients<'a> {
    pub(super) fn new(trace: &'a Trace<'a>, cotangents: &[Scaled]) -> Gradients<'a> {
        let mlp = trace.mlp();
        let readout = mlp.layer(mlp.depth() + 1);
        let cotangents = mlp.stored(cotangents.to_vec());
        let last = cotangents.iter().map(|c| readout.transposed(c)).collect();
        let last = mlp.stored(last);
        let mut deltas = Vec::with_capacity(mlp.depth() + 1);
        deltas.push(cotangents);
        let inputs = trace.backpropagate(last, |delta| deltas.push(delta));
        Gradients {
            trace,
            inputs,
            deltas,
        }
    }

    /// The forward pass.
    pub fn trace(&self) -> &'a Trace<'a> {
        self.trace
    }

    /// With respect to the input.
    ///
    /// # Panics
    ///
    /// For a batch of several examples.
    pub fn input(&self) -> &Scaled {
        single(&self.inputs)
    }

    /// With respect to the input of each example.
    pub fn inputs(&self) -> &[Scaled] {
        &self.inputs
    }

    /// With respect to `W_l a + b_l`, for `l` in `1..=L+1`.
    ///
    /// # Panics
    ///
    /// If there is no such layer, or for a batch of several examples.
    pub fn delta(&self, l: usize) -> &Scaled {
        single(self.deltas(l))
    }

    /// [`delta`](Gradients::delta) of each example.
    pub fn deltas(&self, l: usize) -> &[Scaled] {
        &self.deltas[self.deltas.len() - l]
    }

    /// The layers that share the weights of layer `l`.
    fn uses(&self, l: usize) -> std::ops::RangeInclusive<usize> {
        let mlp = self.trace.mlp();
        match mlp.tied() && l <= mlp.depth() {
            true => 1..=mlp.depth(),
            false => l..=l,
        }
    }

    /// `ln |dy/dW_l|_F^2` with respect to the stored weights, for `l` in `1..=L+1`; `-inf` for 0. For one
    /// use by one example the gradient is `delta x^T`, and the matrix is not formed.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::reference::{Architecture, Dense, Mlp, Scaled};
    /// let layers = vec![Dense::new(1, 2, vec![1.0, 1.0]), Dense::new(1, 1, vec![3.0])];
    /// let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Linear)).unwrap();
    /// let trace = mlp.forward(&Scaled::new(vec![1.0, 2.0]));
    /// let ln = trace.backward(&Scaled::new(vec![1.0])).ln_weight_square(1); // 3 (1, 2): 9 * 5
    /// assert!((ln - 45f64.ln()).abs() < 1e-14);
    /// ```
    pub fn ln_weight_square(&self, l: usize) -> f64 {
        let mlp = self.trace.mlp();
        let (delta, input) = (self.deltas(l), self.trace.weight_inputs(l));
        if mlp.format.is_some() || self.uses(l).count() != 1 || delta.len() != 1 {
            return self.weight(l).ln_square();
        }
        let ln_multiplier = 2.0 * mlp.layer(l).multiplier.abs().ln();
        ln_multiplier + delta[0].ln_square() + input[0].ln_square()
    }

    /// With respect to the stored weights of layer `l`, row after row; for tied layers the sum over uses.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::reference::{Architecture, Dense, Mlp, Scaled};
    /// // alpha = 2 outside the stored weight 1: the stored gradient carries the factor
    /// let layers = vec![Dense::new(1, 1, vec![2.0]).with_multiplier(2.0), Dense::new(1, 1, vec![1.0])];
    /// let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Linear)).unwrap();
    /// let trace = mlp.forward(&Scaled::new(vec![3.0]));
    /// let gradients = trace.backward(&Scaled::new(vec![1.0]));
    /// assert_eq!((gradients.weight(1).get(0), gradients.effective_weight(1).get(0)), (6.0, 3.0));
    /// ```
    pub fn weight(&self, l: usize) -> Scaled {
        let mlp = self.trace.mlp();
        self.kept(self.total(l).times(mlp.layer(l).multiplier))
    }

    fn kept(&self, v: Scaled) -> Scaled {
        self.trace.mlp().stored(vec![v]).remove(0)
    }

    /// With respect to the effective weights, `multiplier` times the stored ones.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    pub fn effective_weight(&self, l: usize) -> Scaled {
        self.kept(self.total(l))
    }

    fn total(&self, l: usize) -> Scaled {
        let mut total: Option<Scaled> = None;
        for l in self.uses(l) {
            let part = outer(self.deltas(l), self.trace.weight_inputs(l));
            total = Some(match total {
                Some(total) => total.plus(&part),
                None => part,
            });
        }
        total.unwrap_or_else(|| Scaled::zeros(0))
    }

    /// With respect to the bias of layer `l`, whether or not it has one; for tied layers the sum over uses.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    pub fn bias(&self, l: usize) -> Scaled {
        let all = self.uses(l).flat_map(|l| self.deltas(l));
        let zero = Scaled::zeros(self.trace.mlp().width(l));
        self.kept(all.fold(zero, |sum, delta| sum.plus(delta)))
    }

    /// `ln |dy/db_l|^2`.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    pub fn ln_bias_square(&self, l: usize) -> f64 {
        self.bias(l).ln_square()
    }

    /// `<W_l, dy/dW_l>` over effective weights, as `(m, e)`, meaning `m 2^e`: the derivative of the function
    /// with respect to the logarithm of a factor on `W_l`. For tied layers that of this use alone.
    ///
    /// Theorem: euler-identity.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::reference::{Architecture, Dense, Mlp, Scaled};
    /// let layers = vec![Dense::new(1, 1, vec![2.0]), Dense::new(1, 1, vec![3.0])];
    /// let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Relu)).unwrap();
    /// let trace = mlp.forward(&Scaled::new(vec![1.0]));
    /// let gradients = trace.backward(&Scaled::new(vec![1.0]));
    /// let value = |l| gradients.euler(l).0 * 2f64.powi(gradients.euler(l).1 as i32);
    /// assert_eq!((value(1), value(2)), (6.0, 6.0)); // homogeneous: y itself, for every layer
    /// ```
    pub fn euler(&self, l: usize) -> (f64, i64) {
        let dense = self.trace.mlp().layer(l);
        let pairs = self.deltas(l).iter().zip(self.trace.weight_inputs(l));
        let terms: Vec<(f64, i64)> = pairs.map(|(d, x)| d.dot(&dense.linear(x))).collect();
        let terms = Scaled::from_terms(&terms);
        (terms.values().iter().sum(), terms.exponent())
    }

    /// `ln` of the sum over layers of [`ln_weight_square`](Gradients::ln_weight_square), the readout
    /// included and tied layers once: the diagonal of the empirical tangent kernel of the weights.
    pub fn ln_kernel(&self) -> f64 {
        let mlp = self.trace.mlp();
        let own = (1..=mlp.depth() + 1).filter(|l| *self.uses(*l).start() == *l);
        let parts: Vec<f64> = own.map(|l| self.ln_weight_square(l)).collect();
        let top = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match top == f64::NEG_INFINITY {
            true => top,
            false => top + parts.iter().map(|x| (x - top).exp()).sum::<f64>().ln(),
        }
    }
}

/// `sum delta x^T` over examples, row after row.
fn outer(deltas: &[Scaled], inputs: &[Scaled]) -> Scaled {
    let pairs = deltas.iter().zip(inputs);
    let brought = pairs.map(|(d, x)| match x.is_zero() {
        true => Scaled::zeros(d.len()),
        false => d.clone().times_power_of_two(x.exponent()),
    });
    let (brought, exponent) = aligned(&brought.collect::<Vec<_>>());
    let (rows, cols) = (deltas[0].len(), inputs[0].len());
    let mut out = vec![0.0; rows * cols];
    for (i, row) in out.chunks_exact_mut(cols).enumerate() {
        for (delta, x) in brought.iter().zip(inputs) {
            if delta[i] != 0.0 {
                axpy(delta[i], x.values(), row);
            }
        }
    }
    Scaled::with_exponent(out, exponent)
}
