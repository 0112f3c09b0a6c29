//! A second implementation: the network from its definition in dual numbers `v + d eps`, `eps^2 = 0`,
//! without exponents, matrices or shared code.

use crate::networks::{Case, value};
use isometer::network::Normalization;
use isometer::network::activation::Activation;
use isometer::reference::Scaled;
use std::ops::{Add, Mul, Sub};

#[derive(Clone, Copy, Debug, Default)]
pub struct Dual {
    pub v: f64,
    pub d: f64,
}

fn constant(v: f64) -> Dual {
    Dual { v, d: 0.0 }
}

impl Add for Dual {
    type Output = Dual;
    fn add(self, b: Dual) -> Dual {
        Dual {
            v: self.v + b.v,
            d: self.d + b.d,
        }
    }
}

impl Sub for Dual {
    type Output = Dual;
    fn sub(self, b: Dual) -> Dual {
        Dual {
            v: self.v - b.v,
            d: self.d - b.d,
        }
    }
}

impl Mul for Dual {
    type Output = Dual;
    fn mul(self, b: Dual) -> Dual {
        Dual {
            v: self.v * b.v,
            d: self.v * b.d + self.d * b.v,
        }
    }
}

impl Dual {
    fn over_root(self, b: Dual) -> Dual {
        let root = b.v.sqrt();
        Dual {
            v: self.v / root,
            d: self.d / root - 0.5 * self.v * b.d / (b.v * root),
        }
    }

    fn through(self, phi: &Activation) -> Dual {
        Dual {
            v: phi.value(self.v),
            d: phi.derivative(self.v) * self.d,
        }
    }
}

fn sum(x: impl IntoIterator<Item = Dual>) -> Dual {
    x.into_iter().fold(Dual::default(), Add::add)
}

/// Mean 0 if `centred`, mean square 1.
fn standardise(x: &[Dual], centred: bool) -> Vec<Dual> {
    let over_n = constant(1.0 / x.len() as f64);
    let mean = if centred {
        sum(x.iter().copied()) * over_n
    } else {
        constant(0.0)
    };
    let c: Vec<Dual> = x.iter().map(|x| *x - mean).collect();
    let square = sum(c.iter().map(|c| *c * *c)) * over_n;
    c.into_iter().map(|c| c.over_root(square)).collect()
}

type Batch = Vec<Vec<Dual>>;

fn normalize(kind: Normalization, x: Batch) -> Batch {
    match kind {
        Normalization::None => x,
        Normalization::Layer => x.iter().map(|x| standardise(x, true)).collect(),
        Normalization::Rms => x.iter().map(|x| standardise(x, false)).collect(),
        Normalization::Batch { .. } => {
            let unit = |i: usize| x.iter().map(|x| x[i]).collect::<Vec<_>>();
            let units: Vec<_> = (0..x[0].len())
                .map(|i| standardise(&unit(i), true))
                .collect();
            (0..x.len())
                .map(|b| units.iter().map(|u| u[b]).collect())
                .collect()
        }
    }
}

/// Derivatives of inputs, and of stored weights and biases of each layer.
pub struct Direction {
    pub inputs: Vec<Vec<f64>>,
    pub stored: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Direction {
    pub fn zero(case: &Case) -> Direction {
        let zeros = |v: &Vec<f64>| vec![0.0; v.len()];
        Direction {
            inputs: case.inputs.iter().map(|x| vec![0.0; x.len()]).collect(),
            stored: case
                .stored
                .iter()
                .map(|(w, b)| (zeros(w), zeros(b)))
                .collect(),
        }
    }

    /// All inputs and parameters at once; tied layers move together.
    pub fn everything(case: &Case) -> Direction {
        let mut out = Direction::zero(case);
        for (b, x) in out.inputs.iter_mut().enumerate() {
            x.iter_mut()
                .enumerate()
                .for_each(|(k, x)| *x = value(700 + b as u64, k));
        }
        for (l, (w, b)) in (1..).zip(&mut out.stored) {
            let own = if case.structure.tied && l <= case.depth {
                1
            } else {
                l as u64
            };
            w.iter_mut()
                .enumerate()
                .for_each(|(k, w)| *w = value(720 + own, k));
            b.iter_mut()
                .enumerate()
                .for_each(|(k, b)| *b = value(740 + own, k));
        }
        out
    }
}

/// Outputs of the network, those of the last hidden layer first.
pub fn forward(case: &Case, direction: &Direction) -> (Batch, Batch) {
    let s = case.structure;
    let both = |v: &[f64], d: &[f64]| -> Vec<Dual> {
        v.iter()
            .zip(d)
            .map(|(v, d)| Dual { v: *v, d: *d })
            .collect()
    };
    let affine = |l: usize, x: &Batch| -> Batch {
        let ((w, b), (dw, db)) = (&case.stored[l - 1], &direction.stored[l - 1]);
        let (w, b) = (both(w, dw), both(b, db));
        let one = |x: &Vec<Dual>| {
            let row = |i: usize| {
                let product = sum((0..x.len()).map(|j| w[i * x.len() + j] * x[j]));
                let scaled = constant(s.multiplier) * product;
                if s.bias { scaled + b[i] } else { scaled }
            };
            (0..case.widths[l]).map(row).collect()
        };
        x.iter().map(one).collect()
    };
    let stage = |l: usize, x: Batch| -> Batch {
        let (early, late) = if s.after {
            (Normalization::None, s.normalization)
        } else {
            (s.normalization, Normalization::None)
        };
        let mut x = normalize(early, x);
        x.iter_mut()
            .flatten()
            .for_each(|x| *x = x.through(&case.activation));
        let mut x = normalize(late, x);
        for (x, mask) in x.iter_mut().zip(&case.masks[l - 1]) {
            x.iter_mut()
                .zip(mask)
                .for_each(|(x, m)| *x = *x * constant(*m));
        }
        x
    };
    let inputs = case.inputs.iter().zip(&direction.inputs);
    let mut x: Batch = inputs.map(|(v, d)| both(&v.to_vec(), d)).collect();
    for l in 1..=case.depth {
        x = match s.beta {
            None => stage(l, affine(l, &x)),
            Some(beta) => {
                let branch = affine(l, &stage(l, x.clone()));
                let add = |(x, h): (Vec<Dual>, Vec<Dual>)| {
                    x.iter()
                        .zip(&h)
                        .map(|(x, h)| *x + constant(beta) * *h)
                        .collect()
                };
                x.into_iter().zip(branch).map(add).collect()
            }
        };
    }
    let y = affine(case.depth + 1, &x);
    (x, y)
}

/// The function that is differentiated, `c . y` summed over the batch.
pub fn objective(case: &Case, direction: &Direction) -> Dual {
    let y = forward(case, direction).1;
    let pairs = y.iter().zip(&case.cotangents);
    sum(pairs.flat_map(|(y, c)| y.iter().zip(c.to_vec()).map(|(y, c)| *y * constant(c))))
}

/// The derivative of the objective along `direction` by the gradients of the reference MLP.
pub fn along(case: &Case, direction: &Direction) -> f64 {
    let trace = case.mlp.forward_batch(&case.inputs);
    let gradients = trace.backward_batch(&case.cotangents);
    let inner =
        |g: &Scaled, d: &[f64]| -> f64 { g.to_vec().iter().zip(d).map(|(g, d)| g * d).sum() };
    let inputs = gradients.inputs().iter().zip(&direction.inputs);
    let mut total: f64 = inputs.map(|(g, d)| inner(g, d)).sum();
    for (l, (w, b)) in (1..).zip(&direction.stored) {
        // a shared matrix moves once
        if !(case.structure.tied && (2..=case.depth).contains(&l)) {
            total += inner(&gradients.weight(l), w);
            if case.structure.bias {
                total += inner(&gradients.bias(l), b);
            }
        }
    }
    total
}

/// Rounding: see `golden::TOLERANCE`; here errors are relative to the largest entry.
const TOLERANCE: f64 = 5.5e-12;

fn agree(label: &str, got: f64, want: f64, size: f64) {
    assert!(
        (got - want).abs() <= TOLERANCE * size,
        "{label}: {got:e}, not {want:e}"
    );
}

#[test]
fn outputs_and_jacobian_products_agree() {
    for case in Case::all() {
        let label = case.label();
        let trace = case.mlp.forward_batch(&case.inputs);
        let mut direction = Direction::zero(&case);
        direction.inputs = Direction::everything(&case).inputs;
        let u: Vec<Scaled> = direction
            .inputs
            .iter()
            .map(|u| Scaled::from(u.as_slice()))
            .collect();
        let ju = trace.jvps(&u);
        let (x, y) = forward(&case, &direction);
        for b in 0..x.len() {
            for (i, x) in x[b].iter().enumerate() {
                agree(&label, trace.activations(case.depth)[b].get(i), x.v, 10.0);
                agree(&label, ju[b].get(i), x.d, 10.0 + x.d.abs());
            }
            for (i, y) in y[b].iter().enumerate() {
                agree(&label, trace.outputs()[b].get(i), y.v, 10.0);
            }
        }
    }
}

#[test]
fn every_entry_of_every_gradient_agrees() {
    for case in Case::all() {
        let label = case.label();
        let trace = case.mlp.forward_batch(&case.inputs);
        let gradients = trace.backward_batch(&case.cotangents);
        let size = 10.0;
        for (b, gradient) in gradients.inputs().iter().enumerate() {
            for i in 0..gradient.len() {
                let mut direction = Direction::zero(&case);
                direction.inputs[b][i] = 1.0;
                agree(
                    &label,
                    gradient.get(i),
                    objective(&case, &direction).d,
                    size,
                );
            }
        }
        let tied = |l: usize| case.structure.tied && l <= case.depth;
        for l in 1..=case.depth + 1 {
            let uses = if tied(l) { 1..=case.depth } else { l..=l };
            let (weight, bias) = (gradients.weight(l), gradients.bias(l));
            let effective = gradients.effective_weight(l);
            for k in 0..weight.len() {
                let mut direction = Direction::zero(&case);
                uses.clone()
                    .for_each(|l| direction.stored[l - 1].0[k] = 1.0);
                let want = objective(&case, &direction).d;
                agree(&label, weight.get(k), want, size);
                agree(
                    &label,
                    effective.get(k) * case.structure.multiplier,
                    want,
                    size,
                );
            }
            for k in 0..bias.len() {
                let mut direction = Direction::zero(&case);
                uses.clone()
                    .for_each(|l| direction.stored[l - 1].1[k] = 1.0);
                if case.structure.bias {
                    agree(&label, bias.get(k), objective(&case, &direction).d, size);
                }
            }
        }
    }
}
