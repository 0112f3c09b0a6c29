//! The bound that a diagonal certificate proves, as a smooth function of the certificate, with its
//! gradient. Nothing here has a role in soundness: what the search finds is proved afterwards.

use crate::bounds::chain::Chain;
use crate::linalg::dense::{self, Matrix};

/// Logarithms of the certificate, relative to a running scale: `lambda_k = exp(theta_k) / c_k`, where
/// `c_k` is the mean of the diagonal of `W_k X_(k-1)^-1 W_k^T`. In these coordinates changing an early layer
/// rescales the later ones, without which deep networks stall.
pub type Point = Vec<Vec<f64>>;

/// Everything the gradient needs.
pub struct State {
    /// `ln` of the smoothed squared bound of the scaled layers.
    pub value: f64,
    /// `ln` of the squared bound itself.
    pub ln_square: f64,
    /// Certificate by hidden layer.
    pub lambda: Point,
    steps: Vec<Step>,
    /// Weights of the eigenvectors of the last matrix, `V diag(omega) V^T`.
    last: Matrix,
    /// `X_(L-1)^-1 W_L^T`.
    reach: Matrix,
}

struct Step {
    /// `X~^-1 W^T`, before the next layer's sector joins.
    early: Matrix,
    /// `X^-1 W^T`.
    reach: Matrix,
    /// `W X^-1 W^T`.
    gain: Matrix,
    /// `L^-1` of `X`.
    root: Matrix,
}

/// The objective for one chain.
pub struct Objective<'a> {
    chain: &'a Chain,
    /// `lower * upper` of the sector.
    product: f64,
    /// Square of its middle.
    middle2: f64,
    /// Power of the mean over eigenvalues that stands for the largest.
    pub sharpness: f64,
    /// Weight of `-ln det X`, which keeps the search off the boundary where nothing else does: with
    /// the middle of the sector at 0, `X^-1` does not appear in the value.
    pub barrier: f64,
}

impl<'a> Objective<'a> {
    pub fn new(chain: &'a Chain) -> Objective<'a> {
        let s = chain.slope;
        Objective {
            chain,
            product: s.lower * s.upper,
            middle2: (0.5 * (s.lower + s.upper)).powi(2),
            sharpness: 64.0,
            barrier: 0.0,
        }
    }

    /// `0.25 m^-2`, at which `X` is half its first term when `lambda K` is uniform.
    pub fn middle_square(&self) -> f64 {
        self.middle2
    }

    /// `W_k X~^-1 W^T` of each hidden layer as met with the certificate so far; used to start.
    pub fn start(&self, choose: impl Fn(&Matrix) -> Vec<f64>) -> Option<Point> {
        let mut theta = Point::new();
        let mut early = identity(self.chain.weights[0].ncols());
        for w in self.hidden() {
            let root = inverse_root(&early)?;
            let z = dense::product(root.as_ref(), w.transpose());
            let k = dense::product(z.transpose(), z.as_ref());
            let scale = mean_diagonal(&k);
            let mut lambda = choose(&k);
            // a sector that reaches below zero may need smaller steps
            let mut next = None;
            for _ in 0..60 {
                if let Some((_, x)) = self.advance(&early, w, &lambda) {
                    next = Some(x);
                    break;
                }
                lambda.iter_mut().for_each(|l| *l *= 0.5);
            }
            early = next?;
            theta.push(lambda.iter().map(|l| (l * scale).ln()).collect());
        }
        Some(theta)
    }

    fn hidden(&self) -> &[Matrix] {
        &self.chain.weights[..self.chain.depth() - 1]
    }

    /// From `X~_(k-1)` and `lambda_k`: the step's matrices and `X~_k`, if both are definite.
    fn advance(&self, early: &Matrix, w: &Matrix, lambda: &[f64]) -> Option<(Step, Matrix)> {
        let early_root = inverse_root(early)?;
        let early_reach = reach(&early_root, w);
        let (reach, root) = match self.product == 0.0 {
            true => (early_reach.clone(), early_root),
            false => {
                let mut x = early.clone();
                add_sector(&mut x, w, lambda, self.product);
                let root = inverse_root(&x)?;
                (self::reach(&root, w), root)
            }
        };
        let gain = dense::product(w.as_ref(), reach.as_ref());
        let n = lambda.len();
        let x = dense::from_fn(n, n, |i, j| {
            let coupling = self.middle2 * lambda[i] * gain[(i, j)] * lambda[j];
            match i == j {
                true => lambda[i] - coupling,
                false => -coupling,
            }
        });
        let step = Step {
            early: early_reach,
            reach,
            gain,
            root,
        };
        Some((step, x))
    }

    /// The value at a point; `None` where the certificate is not feasible.
    pub fn at(&self, theta: &Point) -> Option<State> {
        let mut early = identity(self.chain.weights[0].ncols());
        let mut steps = Vec::with_capacity(theta.len());
        let mut lambdas = Point::with_capacity(theta.len());
        for (w, t) in self.hidden().iter().zip(theta) {
            let root = inverse_root(&early)?;
            let z = dense::product(root.as_ref(), w.transpose());
            let scale = z.as_ref().norm_l2().powi(2) / t.len() as f64;
            let lambda: Vec<f64> = t.iter().map(|t| t.exp() / scale).collect();
            if !lambda.iter().all(|l| l.is_finite() && *l > 0.0) {
                return None;
            }
            let (step, x) = self.advance(&early, w, &lambda)?;
            early = x;
            steps.push(step);
            lambdas.push(lambda);
        }
        let w = self.chain.weights.last()?;
        let reach = reach(&inverse_root(&early)?, w);
        let gain = dense::product(w.as_ref(), reach.as_ref());
        let (values, vectors) = dense::symmetric_eigen(&gain)?;
        let top = values
            .last()
            .copied()
            .filter(|t| *t > 0.0 && t.is_finite())?;
        let s = self.sharpness;
        let powers: Vec<f64> = values.iter().map(|v| (v.max(0.0) / top).powf(s)).collect();
        let sum: f64 = powers.iter().sum();
        // d ln(sum v^s)/s = sum v^(s-1) dv / sum v^s
        let omega: Vec<f64> = powers
            .iter()
            .zip(&values)
            .map(|(p, v)| if *p == 0.0 { 0.0 } else { p / v / sum })
            .collect();
        let n = values.len();
        let weighted = dense::from_fn(n, n, |i, j| vectors[(i, j)] * omega[j]);
        Some(State {
            value: top.ln()
                + sum.ln() / s
                + self.barrier * steps.iter().map(ln_det_root).sum::<f64>(),
            ln_square: top.ln(),
            lambda: lambdas,
            steps,
            last: dense::product(weighted.as_ref(), vectors.transpose()),
            reach,
        })
    }

    /// The gradient with respect to `theta`, in reverse order of the evaluation.
    pub fn gradient(&self, state: &State) -> Point {
        let mut gradient: Point = state.lambda.iter().map(|l| vec![0.0; l.len()]).collect();
        // minus the derivative with respect to X~ of the layer at hand
        let mut s = sandwich(&state.reach, &state.last);
        for k in (0..state.lambda.len()).rev() {
            let (lambda, step) = (&state.lambda[k], &state.steps[k]);
            let n = lambda.len();
            let inner = dense::from_fn(n, n, |i, j| {
                self.middle2 * lambda[i] * s[(i, j)] * lambda[j]
            });
            let gain_inner = dense::product(step.gain.as_ref(), inner.as_ref());
            let mut total = 0.0;
            let mut late = sandwich(&step.reach, &inner);
            if self.barrier > 0.0 {
                add(
                    &mut late,
                    self.barrier,
                    &dense::product(step.root.transpose(), step.root.as_ref()),
                );
            }
            let sector =
                (self.product != 0.0).then(|| sector_diagonal(&self.chain.weights[k], &late));
            for i in 0..n {
                // K (m^2 lambda S lambda) has m^2 (K lambda S)_ii lambda_i on its diagonal
                let mut d = -s[(i, i)] * lambda[i] + 2.0 * gain_inner[(i, i)];
                if let Some(sector) = &sector {
                    d -= self.product * sector[i] * lambda[i];
                }
                gradient[k][i] = d;
                total += d;
            }
            s = late;
            let trace: f64 = (0..step.gain.nrows())
                .map(|i| self.early_gain(k, step, i))
                .sum();
            // lambda = exp(theta)/c with c = trace/n, so d ln c carries minus the total
            let factor = -total / trace;
            let y = dense::product(step.early.as_ref(), step.early.transpose());
            add(&mut s, factor, &y);
        }
        gradient
    }

    /// Diagonal entry of `W X~^-1 W^T`.
    fn early_gain(&self, k: usize, step: &Step, i: usize) -> f64 {
        let w = &self.chain.weights[k];
        (0..w.ncols()).map(|j| w[(i, j)] * step.early[(j, i)]).sum()
    }
}

/// `-ln det X`.
fn ln_det_root(step: &Step) -> f64 {
    let root = &step.root;
    (0..root.nrows()).map(|i| 2.0 * root[(i, i)].ln()).sum()
}

/// `x += t y`.
fn add(x: &mut Matrix, t: f64, y: &Matrix) {
    for j in 0..x.ncols() {
        for i in 0..x.nrows() {
            x[(i, j)] += t * y[(i, j)];
        }
    }
}

/// Diagonal of `W S W^T`.
fn sector_diagonal(w: &Matrix, s: &Matrix) -> Vec<f64> {
    let ws = dense::product(w.as_ref(), s.as_ref());
    (0..w.nrows())
        .map(|i| (0..w.ncols()).map(|j| ws[(i, j)] * w[(i, j)]).sum())
        .collect()
}

fn identity(n: usize) -> Matrix {
    dense::from_fn(n, n, |i, j| if i == j { 1.0 } else { 0.0 })
}

fn mean_diagonal(k: &Matrix) -> f64 {
    (0..k.nrows()).map(|i| k[(i, i)]).sum::<f64>() / k.nrows() as f64
}

/// `L^-1` with `X = L L^T`, if `X` is definite.
fn inverse_root(x: &Matrix) -> Option<Matrix> {
    let mut l = x.clone();
    if !dense::cholesky_lower(l.as_mut()) {
        return None;
    }
    let n = l.nrows();
    for j in 1..n {
        for i in 0..j {
            l[(i, j)] = 0.0;
        }
    }
    dense::invert_lower(&l)
}

/// `X^-1 W^T` from `L^-1`.
fn reach(root: &Matrix, w: &Matrix) -> Matrix {
    let z = dense::product(root.as_ref(), w.transpose());
    dense::product(root.transpose(), z.as_ref())
}

/// `Y K Y^T`.
fn sandwich(y: &Matrix, k: &Matrix) -> Matrix {
    let left = dense::product(y.as_ref(), k.as_ref());
    dense::product(left.as_ref(), y.transpose())
}

/// `X += p W^T diag(lambda) W`.
fn add_sector(x: &mut Matrix, w: &Matrix, lambda: &[f64], p: f64) {
    let scaled = dense::from_fn(w.nrows(), w.ncols(), |i, j| p * lambda[i] * w[(i, j)]);
    let g = dense::product(w.transpose(), scaled.as_ref());
    for j in 0..x.ncols() {
        for i in 0..x.nrows() {
            x[(i, j)] += g[(i, j)];
        }
    }
}
