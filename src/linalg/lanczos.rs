//! Extreme eigenpairs of a symmetric operator by Lanczos with full reorthogonalisation.
//!
//! Nothing here is trusted by a proof: the certificates verify what these vectors suggest.
//! Golub and Van Loan, Matrix Computations, 4th ed., section 10.3; residual bounds from Parlett,
//! The Symmetric Eigenvalue Problem, section 13.2.

use super::dense::{axpy, dot, norm2};
use faer::{Mat, Side};
use rand::{RngExt, SeedableRng};

/// The two largest Ritz values of an operator.
#[derive(Clone, Debug)]
pub struct Extreme {
    /// Largest Ritz value.
    pub theta: f64,
    /// Its unit Ritz vector.
    pub vector: Vec<f64>,
    /// Bound of the residual norm of the pair, in exact arithmetic.
    pub residual: f64,
    /// Second Ritz value and its residual bound; `None` when the Krylov space has dimension 1.
    pub second: Option<(f64, f64)>,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// Relative residual of the leading pair.
    pub tolerance: f64,
    /// Residual of the second pair, relative to the gap between the two; infinite where the second
    /// value does not matter.
    pub second: f64,
    /// Largest dimension of the Krylov space.
    pub max_iterations: usize,
}

/// Largest eigenpair of the symmetric positive semidefinite operator `op` (`y <- op(x)`) of order
/// `n >= 1`. The start vector is fixed, so results repeat exactly. `None` if the operator returns a
/// value that is not finite.
pub fn largest(n: usize, stop: &Stop, op: impl FnMut(&[f64], &mut [f64])) -> Option<Extreme> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0x1505_3E7E);
    let mut q: Vec<f64> = (0..n).map(|_| rng.random::<f64>() + 0.1).collect();
    // a start without sign changes suits non-negative matrices; alternate some signs for the rest
    for (i, x) in q.iter_mut().enumerate() {
        if rng.random::<f64>() < 0.4 && i > 0 {
            *x = -*x;
        }
    }
    largest_from(q, stop, op)
}

/// [`largest`] from a start vector that is not zero.
pub fn largest_from(
    start: Vec<f64>,
    stop: &Stop,
    mut op: impl FnMut(&[f64], &mut [f64]),
) -> Option<Extreme> {
    let n = start.len();
    let mut q = start;
    normalise(&mut q);
    let max = stop.max_iterations.min(n).max(1);
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(max.min(64));
    let (mut alpha, mut beta): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut w = vec![0.0; n];
    let mut next_check = 4usize;
    loop {
        op(&q, &mut w);
        basis.push(std::mem::take(&mut q));
        let k = basis.len();
        let a = dot(&basis[k - 1], &w);
        if !a.is_finite() {
            return None;
        }
        alpha.push(a);
        // two passes of classical Gram-Schmidt against the whole basis
        for _ in 0..2 {
            for b in &basis {
                let c = dot(b, &w);
                axpy(-c, b, &mut w);
            }
        }
        let b = norm2(&w);
        let scale = alpha
            .iter()
            .chain(&beta)
            .fold(0.0f64, |m, x| m.max(x.abs()));
        let exhausted = k >= max || b <= 1e-14 * scale || !b.is_finite();
        if exhausted || k >= next_check {
            next_check = k + 4 + k / 8;
            let ritz = tridiagonal(&alpha, &beta)?;
            let r = |j: usize| b.abs() * ritz.vectors[(k - 1, j)].abs();
            let theta = ritz.values[k - 1];
            let first = r(k - 1);
            let second = (k > 1).then(|| (ritz.values[k - 2], r(k - 2)));
            let settled = match second {
                Some((t, rt)) => rt <= stop.second * (theta - t) || stop.second.is_infinite(),
                None => n == 1,
            };
            if exhausted || (first <= stop.tolerance * theta && settled) {
                let mut vector = vec![0.0; n];
                for (j, b) in basis.iter().enumerate() {
                    let c = ritz.vectors[(j, k - 1)];
                    axpy(c, b, &mut vector);
                }
                normalise(&mut vector);
                return Some(Extreme {
                    theta,
                    vector,
                    residual: first,
                    second,
                });
            }
        }
        beta.push(b);
        q = w.iter().map(|x| x / b).collect();
    }
}

struct Ritz {
    /// Ascending.
    values: Vec<f64>,
    vectors: Mat<f64>,
}

fn tridiagonal(alpha: &[f64], beta: &[f64]) -> Option<Ritz> {
    let k = alpha.len();
    let t = Mat::from_fn(k, k, |i, j| {
        if i == j {
            alpha[i]
        } else if i.abs_diff(j) == 1 {
            beta[i.min(j)]
        } else {
            0.0
        }
    });
    let e = t.self_adjoint_eigen(Side::Lower).ok()?;
    let s = e.S().column_vector();
    Some(Ritz {
        values: (0..k).map(|i| s[i]).collect(),
        vectors: e.U().to_owned(),
    })
}

fn normalise(x: &mut [f64]) {
    let s = norm2(x);
    if s > 0.0 {
        for v in x {
            *v /= s;
        }
    }
}
