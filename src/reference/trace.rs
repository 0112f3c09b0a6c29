//! The forward pass with everything kept, and products with the Jacobian.

use super::gradients::Gradients;
use super::mlp::Mlp;
use super::normalize::Normalized;
use super::scaled::Scaled;
use crate::network::Normalization;

/// One forward pass of one example, or of a batch.
///
/// Methods that speak of the example panic for a batch of several; their counterparts in the plural
/// take and return one vector for each example.
#[derive(Clone, Debug)]
pub struct Trace<'a> {
    mlp: &'a Mlp,
    input: Vec<Scaled>,
    layers: Vec<LayerTrace>,
    outputs: Vec<Scaled>,
}

#[derive(Clone, Debug)]
struct LayerTrace {
    /// `W a + b`.
    affine: Vec<Scaled>,
    stage: Stage,
    /// `A(..)`.
    activated: Vec<Scaled>,
    /// `x_l` of residual layers; `activated` of others.
    stream: Option<Vec<Scaled>>,
}

/// The derivative of `A`.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    before: Option<Normalized>,
    /// `phi'`, times the dropout factors where nothing normalizes in between.
    slopes: Vec<Scaled>,
    /// Normalization after the activation, then the dropout factors.
    after: Option<(Normalized, Option<Vec<Scaled>>)>,
}

impl Stage {
    /// `A` with its derivative.
    fn pass(mlp: &Mlp, l: usize, input: &[Scaled]) -> (Stage, Vec<Scaled>) {
        let kind = mlp.architecture.normalization;
        let (early, late) = match mlp.architecture.normalization_after {
            true => (Normalization::None, kind),
            false => (kind, Normalization::None),
        };
        let normalized = Normalized::of(early, input);
        let normalized = normalized.map(|(record, out)| (record, mlp.stored(out)));
        let argument = normalized.as_ref().map_or(input, |(_, out)| out);
        let pairs = argument.iter().map(|h| mlp.elementwise.apply(h));
        let (values, mut slopes): (Vec<_>, Vec<_>) = pairs.unzip();
        let mut out = mlp.stored(values);
        let mut after = Normalized::of(late, &out).map(|(record, normalized)| {
            out = mlp.stored(normalized);
            (record, None)
        });
        let mask = |example| mlp.mask(l, example).map(Scaled::from);
        if let Some(masks) = (0..out.len()).map(mask).collect::<Option<Vec<Scaled>>>() {
            out = mlp.stored(hadamard(&out, &masks));
            match &mut after {
                Some((_, last)) => *last = Some(masks),
                None => slopes = hadamard(&slopes, &masks),
            }
        }
        let before = normalized.map(|(record, _)| record);
        let stage = Stage {
            before,
            slopes,
            after,
        };
        (stage, out)
    }

    /// The derivative times `u`.
    pub(super) fn forward(&self, u: &[Scaled]) -> Vec<Scaled> {
        let out = match &self.before {
            Some(record) => hadamard(&record.differential(u), &self.slopes),
            None => hadamard(u, &self.slopes),
        };
        match &self.after {
            None => out,
            Some((record, None)) => record.differential(&out),
            Some((record, Some(masks))) => hadamard(&record.differential(&out), masks),
        }
    }

    /// The transposed derivative times `v`.
    pub(super) fn backward(&self, v: &[Scaled]) -> Vec<Scaled> {
        let out = match &self.after {
            None => hadamard(v, &self.slopes),
            Some((record, None)) => hadamard(&record.differential(v), &self.slopes),
            Some((record, Some(masks))) => {
                hadamard(&record.differential(&hadamard(v, masks)), &self.slopes)
            }
        };
        match &self.before {
            Some(record) => record.differential(&out),
            None => out,
        }
    }
}

fn hadamard(a: &[Scaled], b: &[Scaled]) -> Vec<Scaled> {
    a.iter().zip(b).map(|(a, b)| a.hadamard(b)).collect()
}

/// `a + beta b`.
pub(super) fn sum(a: &[Scaled], beta: f64, b: &[Scaled]) -> Vec<Scaled> {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| a.plus(&b.clone().times(beta))).collect()
}

impl Mlp {
    /// The forward pass of one example.
    ///
    /// # Panics
    ///
    /// If the input is not as long as the network's, or if the network normalizes over a batch.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::reference::{Architecture, Dense, Mlp, Scaled};
    /// let layers = vec![Dense::new(1, 1, vec![1e200]), Dense::new(1, 1, vec![1e200])];
    /// let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Linear)).unwrap();
    /// let y = mlp.forward(&Scaled::new(vec![1.0])).output().ln_square(); // 1e400 is no f64
    /// assert!((y - 800.0 * 10f64.ln()).abs() < 1e-9);
    /// ```
    pub fn forward(&self, input: &Scaled) -> Trace<'_> {
        self.forward_batch(std::slice::from_ref(input))
    }

    /// The forward pass of a batch. Examples meet in batch normalization only.
    ///
    /// # Panics
    ///
    /// If there is no example, an input is not as long as the network's, or if batch normalization
    /// has one example only, whose value is its mean.
    pub fn forward_batch(&self, inputs: &[Scaled]) -> Trace<'_> {
        let n = self.width(0);
        assert!(!inputs.is_empty(), "a batch of no examples");
        assert!(
            inputs.iter().all(|x| x.len() == n),
            "inputs of a network of {n}"
        );
        let batched = matches!(self.architecture.normalization, Normalization::Batch { .. });
        assert!(
            inputs.len() > 1 || !batched,
            "batch normalization of one example"
        );
        let inputs = self.stored(inputs.to_vec());
        let mut layers: Vec<LayerTrace> = Vec::with_capacity(self.depth);
        for l in 1..=self.depth {
            let x = layers.last().map_or(inputs.as_slice(), LayerTrace::output);
            let dense = self.layer(l);
            let affine = |a: &[Scaled]| self.stored(a.iter().map(|x| dense.affine(x)).collect());
            let layer = match self.architecture.beta {
                None => {
                    let affine = affine(x);
                    let (stage, activated) = Stage::pass(self, l, &affine);
                    LayerTrace {
                        affine,
                        stage,
                        activated,
                        stream: None,
                    }
                }
                Some(beta) => {
                    let (stage, activated) = Stage::pass(self, l, x);
                    let affine = affine(&activated);
                    LayerTrace {
                        stream: Some(self.stored(sum(x, beta, &affine))),
                        affine,
                        stage,
                        activated,
                    }
                }
            };
            layers.push(layer);
        }
        let last = layers.last().map_or(inputs.as_slice(), LayerTrace::output);
        let readout = self.layer(self.depth + 1);
        let outputs = last.iter().map(|x| readout.affine(x)).collect();
        Trace {
            mlp: self,
            outputs: self.stored(outputs),
            input: inputs,
            layers,
        }
    }
}

impl LayerTrace {
    fn output(&self) -> &[Scaled] {
        self.stream.as_ref().unwrap_or(&self.activated)
    }
}

/// The only one.
pub(super) fn single(batch: &[Scaled]) -> &Scaled {
    assert_eq!(batch.len(), 1, "one example of a batch of several");
    &batch[0]
}

impl<'a> Trace<'a> {
    /// The network.
    pub fn mlp(&self) -> &'a Mlp {
        self.mlp
    }

    /// Examples in the batch.
    pub fn examples(&self) -> usize {
        self.input.len()
    }

    /// `y`, the output of the readout.
    pub fn output(&self) -> &Scaled {
        single(&self.outputs)
    }

    /// [`output`](Trace::output) of each example.
    pub fn outputs(&self) -> &[Scaled] {
        &self.outputs
    }

    /// `x_l`, the input for `l = 0`.
    ///
    /// # Panics
    ///
    /// If `l` is beyond the last layer.
    pub fn activation(&self, l: usize) -> &Scaled {
        single(self.activations(l))
    }

    /// [`activation`](Trace::activation) of each example.
    pub fn activations(&self, l: usize) -> &[Scaled] {
        match l {
            0 => &self.input,
            l => self.layers[l - 1].output(),
        }
    }

    /// What the stage `A` of layer `l`, from 1, acts on: `h_l = W_l x_(l-1) + b_l` in plain layers, `x_(l-1)` in
    /// residual ones.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::reference::{Architecture, Dense, Mlp, Scaled};
    /// let layers = vec![Dense::new(1, 1, vec![-2.0]).with_bias(vec![1.0]), Dense::new(1, 1, vec![1.0])];
    /// let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Relu)).unwrap();
    /// let trace = mlp.forward(&Scaled::new(vec![3.0]));
    /// assert_eq!((trace.pre_activation(1).get(0), trace.activation(1).get(0)), (-5.0, 0.0));
    /// ```
    pub fn pre_activation(&self, l: usize) -> &Scaled {
        single(self.pre_activations(l))
    }

    /// [`pre_activation`](Trace::pre_activation) of each example.
    pub fn pre_activations(&self, l: usize) -> &[Scaled] {
        match self.mlp.architecture.beta {
            None => &self.layers[l - 1].affine,
            Some(_) => self.activations(l - 1),
        }
    }

    /// What `W_l` multiplies: `x_(l-1)`, in residual layers `A(x_(l-1))`. `l = L + 1` is the readout.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    pub fn weight_input(&self, l: usize) -> &Scaled {
        single(self.weight_inputs(l))
    }

    /// [`weight_input`](Trace::weight_input) of each example.
    pub fn weight_inputs(&self, l: usize) -> &[Scaled] {
        match self.mlp.architecture.beta {
            Some(_) if l <= self.mlp.depth => &self.layers[l - 1].activated,
            _ => self.activations(l - 1),
        }
    }

    pub(super) fn stage(&self, l: usize) -> &Stage {
        &self.layers[l - 1].stage
    }

    /// `J u`, `J` the Jacobian of `x_L` with respect to the input.
    ///
    /// # Panics
    ///
    /// If `u` is not as long as the input.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::reference::{Architecture, Dense, Mlp, Scaled};
    /// let layers = vec![Dense::new(2, 2, vec![2.0, 1.0, 0.0, 3.0]), Dense::new(1, 2, vec![1.0; 2])];
    /// let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Linear)).unwrap();
    /// let trace = mlp.forward(&Scaled::new(vec![1.0, 1.0]));
    /// // up to the last hidden layer: J is the first matrix
    /// assert_eq!(trace.jvp(&Scaled::new(vec![0.0, 1.0])).to_vec(), [1.0, 3.0]);
    /// assert_eq!(trace.vjp(&Scaled::new(vec![1.0, 0.0])).to_vec(), [2.0, 1.0]);
    /// ```
    pub fn jvp(&self, u: &Scaled) -> Scaled {
        single(&self.jvps(std::slice::from_ref(u))).clone()
    }

    /// [`jvp`](Trace::jvp) of a batch: `J` is that of all outputs with respect to all inputs.
    ///
    /// # Panics
    ///
    /// Unless there is one tangent of the right length for each example.
    pub fn jvps(&self, u: &[Scaled]) -> Vec<Scaled> {
        self.expect(u, self.mlp.width(0));
        let mut u = u.to_vec();
        for (l, layer) in (1..).zip(&self.layers) {
            let dense = self.mlp.layer(l);
            let stored = |v| self.mlp.stored(v);
            let linear = |u: &[Scaled]| stored(u.iter().map(|u| dense.linear(u)).collect());
            u = stored(match self.mlp.architecture.beta {
                None => layer.stage.forward(&linear(&u)),
                Some(beta) => sum(&u, beta, &linear(&stored(layer.stage.forward(&u)))),
            });
        }
        u
    }

    /// `J^T v`, `J` the Jacobian of `x_L` with respect to the input.
    ///
    /// Theorem: vjp-is-adjoint.
    ///
    /// # Panics
    ///
    /// If `v` is not as long as `x_L`.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, activation::Activation};
    /// use isometer::reference::{Mlp, Scaled};
    /// let mlp = Mlp::draw(&Model::new(vec![3; 4], Activation::Tanh), 1, 0).unwrap();
    /// let trace = mlp.forward(&Scaled::new(vec![1.0, -0.5, 2.0]));
    /// let (u, v) = (Scaled::new(vec![1.0, 2.0, 3.0]), Scaled::new(vec![-1.0, 0.5, 0.25]));
    /// let value = |(m, e): (f64, i64)| m * 2f64.powi(e as i32);
    /// assert!((value(v.dot(&trace.jvp(&u))) - value(trace.vjp(&v).dot(&u))).abs() < 1e-13); // adjoint
    /// ```
    pub fn vjp(&self, v: &Scaled) -> Scaled {
        single(&self.vjps(std::slice::from_ref(v))).clone()
    }

    /// [`vjp`](Trace::vjp) of a batch.
    ///
    /// # Panics
    ///
    /// Unless there is one cotangent of the right length for each example.
    pub fn vjps(&self, v: &[Scaled]) -> Vec<Scaled> {
        self.expect(v, self.mlp.width(self.mlp.depth));
        self.backpropagate(v.to_vec(), |_| {})
    }

    /// Takes cotangents of `x_L` back to the input, showing those of each `W_l a + b` on the way, from the
    /// last layer to the first.
    pub(super) fn backpropagate(
        &self,
        mut v: Vec<Scaled>,
        mut see: impl FnMut(Vec<Scaled>),
    ) -> Vec<Scaled> {
        for l in (1..=self.mlp.depth).rev() {
            let dense = self.mlp.layer(l);
            let stored = |v| self.mlp.stored(v);
            let transposed = |d: &[Scaled]| stored(d.iter().map(|d| dense.transposed(d)).collect());
            let stage = self.stage(l);
            match self.mlp.architecture.beta {
                None => {
                    let delta = stored(stage.backward(&v));
                    v = transposed(&delta);
                    see(delta);
                }
                Some(beta) => {
                    let delta = v.iter().map(|v| v.clone().times(beta));
                    let delta = stored(delta.collect());
                    let branch = stored(stage.backward(&transposed(&delta)));
                    v = stored(sum(&v, 1.0, &branch));
                    see(delta);
                }
            }
        }
        v
    }

    /// Gradients of `c . y` for a cotangent `c` of the readout.
    ///
    /// # Panics
    ///
    /// If `c` is not as long as the readout.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::reference::{Architecture, Dense, Mlp, Scaled};
    /// let layers = vec![Dense::new(1, 1, vec![2.0]), Dense::new(1, 1, vec![5.0])];
    /// let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Tanh)).unwrap();
    /// let trace = mlp.forward(&Scaled::new(vec![0.25]));
    /// let slope = 5.0 * (1.0 - 0.5f64.tanh().powi(2)) * 2.0;
    /// assert!((trace.backward(&Scaled::new(vec![1.0])).input().get(0) - slope).abs() < 1e-14);
    /// ```
    pub fn backward(&self, cotangent: &Scaled) -> Gradients<'_> {
        self.backward_batch(std::slice::from_ref(cotangent))
    }

    /// Gradients of the sum over examples of `c . y`.
    ///
    /// # Panics
    ///
    /// Unless there is one cotangent of the right length for each example.
    pub fn backward_batch(&self, cotangents: &[Scaled]) -> Gradients<'_> {
        self.expect(cotangents, self.mlp.width(self.mlp.depth + 1));
        Gradients::new(self, cotangents)
    }

    fn expect(&self, vectors: &[Scaled], len: usize) {
        assert_eq!(vectors.len(), self.examples(), "vectors for a batch");
        assert!(
            vectors.iter().all(|v| v.len() == len),
            "vectors of length {len}"
        );
    }
}
