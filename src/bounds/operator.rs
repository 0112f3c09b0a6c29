//! The norm of a map that is given by products only: a proved lower bound, and an upper bound that
//! fails with a stated probability.
//!
//! Lanczos from a random start builds polynomials `p_k` with `|p_k(A^T A) v| = 1`. The largest eigenvalue `l`
//! satisfies `p_k(l) <= 1/|c|` with `c` the component of `v` along its eigenvector, and `|c|` is rarely small
//! (Hochstenbach, Electron. Trans. Numer. Anal. 40, 2013). Theorem: lanczos-polynomial-bound.
//!
//! ```
//! use isometer::bounds::operator::{OperatorOptions, operator_norm};
//! use isometer::linalg::{operator::StoredMatrix, view::MatrixRef};
//!
//! let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
//! let n = operator_norm(&StoredMatrix::new(a).unwrap(), &OperatorOptions::default()).unwrap();
//! let (largest, smallest) = (5.464985704219043, 0.365966190626258);
//! assert!(n.lower <= largest && largest <= n.upper && n.upper / n.lower < 1.001);
//! assert!(smallest <= n.smallest_upper && n.failure_probability < 0.01);
//! ```

use crate::linalg::dense::{self, Matrix};
use crate::linalg::operator::{LinearOperator, quotient};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// How hard to try, and how sure to be.
#[derive(Clone, Copy, Debug)]
pub struct OperatorOptions {
    /// Seed of the random start.
    pub seed: u64,
    /// Probability, over the start, that the upper bound is too small.
    pub failure_probability: f64,
    /// Most steps; each costs a product with the map and one with its transpose.
    pub max_steps: usize,
    /// Stop when upper and lower bound agree to this relative distance.
    pub tolerance: f64,
    /// Most bytes for the Krylov basis.
    pub memory: usize,
}

impl Default for OperatorOptions {
    fn default() -> OperatorOptions {
        OperatorOptions {
            seed: 0,
            failure_probability: 1e-10,
            max_steps: 200,
            tolerance: 1e-4,
            memory: 1 << 29,
        }
    }
}

/// What was found about the singular values of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorNorm {
    /// Certified lower bound of the norm: `|A x| / |x|` of a vector, rounding included.
    pub lower: f64,
    /// Upper bound of the norm, probabilistic; it takes the Lanczos recurrence with full
    /// reorthogonalisation to be exact up to the stated rounding of the products.
    pub upper: f64,
    /// Probability that `upper` is too small.
    pub failure_probability: f64,
    /// Certified upper bound of the smallest of the `min(rows, cols)` singular values, by another vector.
    pub smallest_upper: f64,
    /// Steps taken.
    pub steps: usize,
}

/// A map whose norm cannot be bounded.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum OperatorError {
    /// No rows or no columns.
    #[error("a {rows} x {cols} map has no singular values")]
    Empty {
        /// Rows of the map.
        rows: usize,
        /// Columns of the map.
        cols: usize,
    },
    /// A product was NaN or infinite.
    #[error("step {step} of the iteration met a product that is not finite")]
    NonFinite {
        /// The step, from 1.
        step: usize,
    },
    /// A probability outside (0, 1).
    #[error("a failure probability of {0} is not between 0 and 1")]
    Probability(f64),
    /// The eigenvalues of the tridiagonal matrix could not be found.
    #[error("the eigenvalue iteration did not converge after {steps} steps")]
    NoConvergence {
        /// Steps taken.
        steps: usize,
    },
}

/// Bounds the norm of a map from both sides.
///
/// # Errors
/// See [`OperatorError`].
///
/// Theorem: lanczos-polynomial-bound.
///
/// # Examples
/// ```
/// use isometer::bounds::operator::{OperatorError, OperatorOptions, operator_norm};
/// use isometer::linalg::{operator::StoredMatrix, view::MatrixRef};
/// let a = StoredMatrix::new(MatrixRef::row_major(&[0.0, 3.0, 4.0, 0.0], 2, 2).unwrap()).unwrap();
/// let n = operator_norm(&a, &OperatorOptions::default()).unwrap();
/// assert!(n.lower <= 4.0 && 4.0 <= n.upper && n.smallest_upper >= 3.0);
/// let sure = OperatorOptions { failure_probability: 0.0, ..Default::default() };
/// assert!(matches!(operator_norm(&a, &sure), Err(OperatorError::Probability(_))));
/// ```
pub fn operator_norm(
    op: &impl LinearOperator,
    options: &OperatorOptions,
) -> Result<OperatorNorm, OperatorError> {
    let (rows, cols) = (op.rows(), op.cols());
    if rows == 0 || cols == 0 {
        return Err(OperatorError::Empty { rows, cols });
    }
    let p = options.failure_probability;
    if !(p > 0.0 && p < 1.0) {
        return Err(OperatorError::Probability(p));
    }
    // the smaller side: a shorter random vector hides less from the leading eigenvector
    let transposed = rows < cols;
    let n = rows.min(cols);
    let mut middle = vec![0.0; rows.max(cols)];
    let ln_target = -ln_component_quantile(n, p);
    let mut krylov = Krylov::new(start(n, options.seed));
    let room = (options.memory / (8 * n)).max(2);
    let most = options.max_steps.min(n).min(room).max(1);
    let mut upper = f64::INFINITY;
    let mut next_look = 8;
    loop {
        let (q, w) = krylov.vectors();
        if transposed {
            op.apply_transposed(q, &mut middle);
            op.apply(&middle, w);
        } else {
            op.apply(q, &mut middle);
            op.apply_transposed(&middle, w);
        }
        let finished = krylov.advance()?;
        let steps = krylov.steps();
        if !(finished || steps >= most || steps >= next_look) {
            continue;
        }
        next_look = steps + 4 + steps / 8;
        // every polynomial bounds the same eigenvalue with the same component of the start
        upper = upper.min(krylov.bound(ln_target, finished));
        let (values, vectors) = krylov.ritz()?;
        let theta = values[values.len() - 1].max(0.0);
        let settled = upper.sqrt() <= theta.sqrt() * (1.0 + options.tolerance);
        if finished || steps >= most || settled {
            let (lower, _) = quotient(op, &krylov.combine(&vectors, steps - 1), transposed);
            let (_, smallest_upper) = quotient(op, &krylov.combine(&vectors, 0), transposed);
            // both products of a step are off by the rounding of the map, as is the recurrence, a
            // few roundings a step
            let relative = 1e-15 * (n as f64).sqrt().max(steps as f64);
            let norm = upper.sqrt() * (1.0 + relative) + 2.0 * op.rounding();
            return Ok(OperatorNorm {
                lower,
                upper: norm.max(lower),
                failure_probability: p,
                smallest_upper,
                steps,
            });
        }
    }
}

fn start(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    loop {
        let mut v: Vec<f64> = (0..n).map(|_| StandardNormal.sample(&mut rng)).collect();
        let size = dense::norm2(&v);
        if size > 0.0 {
            v.iter_mut().for_each(|x| *x /= size);
            return v;
        }
    }
}

/// `ln d` such that a fixed component of a uniform unit vector of `n` entries is below `d` in magnitude with
/// probability at most `p`.
///
/// The square of the component is Beta(1/2, (n-1)/2); its density against the component is at most
/// `2/B(1/2, (n-1)/2)` for `n >= 3`, so that `d = p B/2` errs on the safe side (by a factor `1 + p^2` or so).
fn ln_component_quantile(n: usize, p: f64) -> f64 {
    match n {
        1 => 0.0,
        2 => (0.5 * std::f64::consts::PI * p).sin().ln(),
        _ => {
            let b = 0.5 * (n as f64 - 1.0);
            let ln_beta = 0.5 * std::f64::consts::PI.ln() + libm::lgamma(b) - libm::lgamma(b + 0.5);
            p.ln() + ln_beta - std::f64::consts::LN_2
        }
    }
}

/// The recurrence with full reorthogonalisation.
struct Krylov {
    basis: Vec<Vec<f64>>,
    next: Vec<f64>,
    alpha: Vec<f64>,
    beta: Vec<f64>,
}

impl Krylov {
    fn new(v: Vec<f64>) -> Krylov {
        Krylov {
            next: vec![0.0; v.len()],
            basis: vec![v],
            alpha: Vec::new(),
            beta: Vec::new(),
        }
    }

    fn steps(&self) -> usize {
        self.alpha.len()
    }

    /// The last basis vector and the place for its image.
    fn vectors(&mut self) -> (&[f64], &mut [f64]) {
        (&self.basis[self.alpha.len()], &mut self.next)
    }

    /// Takes in the image; true when the Krylov space is exhausted.
    fn advance(&mut self) -> Result<bool, OperatorError> {
        let k = self.alpha.len();
        let a = dense::dot(&self.basis[k], &self.next);
        if !a.is_finite() {
            return Err(OperatorError::NonFinite { step: k + 1 });
        }
        self.alpha.push(a);
        for _ in 0..2 {
            for b in &self.basis {
                let c = dense::dot(b, &self.next);
                dense::axpy(-c, b, &mut self.next);
            }
        }
        let b = dense::norm2(&self.next);
        self.beta.push(b);
        let scale = self
            .alpha
            .iter()
            .chain(&self.beta)
            .fold(0.0f64, |m, x| m.max(x.abs()));
        let exhausted = b <= 1e-14 * scale || self.basis.len() == self.next.len();
        if !exhausted {
            self.basis.push(self.next.iter().map(|x| x / b).collect());
        }
        Ok(exhausted)
    }

    /// Least `x` beyond the largest Ritz value with `ln p_k(x) = target`, rounded up.
    fn bound(&self, target: f64, finished: bool) -> f64 {
        let k = self.steps();
        let gershgorin = (0..k).fold(0.0f64, |m, j| {
            let before = if j > 0 { self.beta[j - 1] } else { 0.0 };
            m.max(self.alpha[j].abs() + before + self.beta[j])
        });
        if gershgorin == 0.0 {
            return 0.0;
        }
        let mut hi = gershgorin;
        // ln p_k grows like k ln x, so doubling ends
        while self.ln_polynomial(hi, finished) < target {
            hi *= 2.0;
            if !hi.is_finite() {
                return f64::INFINITY;
            }
        }
        let mut lo = 0.0;
        while hi - lo > 1e-15 * hi {
            let x = 0.5 * (lo + hi);
            if x <= lo || x >= hi {
                break;
            }
            if self.ln_polynomial(x, finished) < target {
                lo = x;
            } else {
                hi = x;
            }
        }
        hi
    }

    /// `ln p_k(x)`; minus infinity up to the largest root, the largest Ritz value. The ratios of neighbouring
    /// polynomials obey `r_j = (x - alpha_j - beta_(j-1) / r_(j-1)) / beta_j`, all positive beyond it.
    fn ln_polynomial(&self, x: f64, finished: bool) -> f64 {
        let k = self.steps();
        let mut r = f64::INFINITY;
        let mut sum = 0.0;
        for j in 0..k {
            let before = if j > 0 { self.beta[j - 1] / r } else { 0.0 };
            let numerator = x - self.alpha[j] - before;
            if numerator.is_nan() || numerator <= 0.0 {
                return f64::NEG_INFINITY;
            }
            if finished && j + 1 == k {
                // an exhausted space contains the eigenvector: its root is the eigenvalue
                return f64::INFINITY;
            }
            r = numerator / self.beta[j];
            sum += r.ln();
        }
        sum
    }

    /// Ritz values, ascending, and coefficients of their vectors.
    fn ritz(&self) -> Result<(Vec<f64>, Matrix), OperatorError> {
        let k = self.steps();
        let t = dense::from_fn(k, k, |i, j| match i.abs_diff(j) {
            0 => self.alpha[i],
            1 => self.beta[i.min(j)],
            _ => 0.0,
        });
        dense::symmetric_eigen(&t).ok_or(OperatorError::NoConvergence { steps: k })
    }

    fn combine(&self, vectors: &Matrix, column: usize) -> Vec<f64> {
        let mut x = vec![0.0; self.next.len()];
        for (j, b) in self.basis.iter().take(self.steps()).enumerate() {
            dense::axpy(vectors[(j, column)], b, &mut x);
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Diagonal(Vec<f64>);

    impl LinearOperator for Diagonal {
        fn rows(&self) -> usize {
            self.0.len()
        }
        fn cols(&self) -> usize {
            self.0.len()
        }
        fn apply(&self, x: &[f64], y: &mut [f64]) {
            for ((y, x), d) in y.iter_mut().zip(x).zip(&self.0) {
                *y = d * x;
            }
        }
        fn apply_transposed(&self, y: &[f64], x: &mut [f64]) {
            self.apply(y, x);
        }
        fn rounding(&self) -> f64 {
            f64::EPSILON * self.0.iter().fold(0.0f64, |m, x| m.max(x.abs()))
        }
    }

    fn options(seed: u64, failure_probability: f64, max_steps: usize) -> OperatorOptions {
        OperatorOptions {
            seed,
            failure_probability,
            max_steps,
            tolerance: 0.0,
            ..OperatorOptions::default()
        }
    }

    #[test]
    fn small_and_degenerate_maps_are_exact() {
        for entries in [
            vec![3.0],
            vec![2.0, 2.0, 2.0],
            vec![0.0, 0.0],
            vec![1.0, 5.0],
        ] {
            let norm = entries.iter().copied().fold(0.0, f64::max);
            let b = operator_norm(&Diagonal(entries), &options(1, 1e-6, 50)).unwrap();
            assert!(b.lower <= norm && norm <= b.upper, "{b:?}");
            assert!(b.upper - b.lower <= 1e-12 * norm, "{b:?}");
        }
        let empty = operator_norm(&Diagonal(vec![]), &options(0, 0.1, 5)).unwrap_err();
        assert!(matches!(empty, OperatorError::Empty { .. }));
        let nan = operator_norm(&Diagonal(vec![f64::NAN]), &options(0, 0.1, 5)).unwrap_err();
        assert_eq!(nan, OperatorError::NonFinite { step: 1 });
        let p = operator_norm(&Diagonal(vec![1.0]), &options(0, 0.0, 5)).unwrap_err();
        assert_eq!(p, OperatorError::Probability(0.0));
    }

    /// Against the exact law of the component for n = 3 (uniform) and n = 2 (arc sine), and statrs.
    #[test]
    fn quantiles_err_on_the_safe_side() {
        assert!((ln_component_quantile(3, 0.01).exp() - 0.01).abs() < 1e-15);
        assert!((ln_component_quantile(2, 0.5).exp() - 0.5f64.sqrt()).abs() < 1e-15);
        use statrs::distribution::{Beta, ContinuousCDF};
        for n in [5usize, 40, 1000] {
            let law = Beta::new(0.5, 0.5 * (n as f64 - 1.0)).unwrap();
            for p in [0.05, 1e-3] {
                let d = ln_component_quantile(n, p).exp();
                let failure = law.cdf(d * d);
                assert!(
                    failure <= p * (1.0 + 1e-9) && failure > 0.99 * p,
                    "{n} {p} {failure}"
                );
            }
        }
    }
}
