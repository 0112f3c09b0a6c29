//! The first rung: proofs on the Gram matrix `G = A^T A`.
//!
//! A computed `B = fl(A^T A)` differs from `G` by at most `gamma_m |A|^T|A|`. One Cholesky
//! factorisation that runs to completion proves a one-sided bound on an eigenvalue of `B`
//! (`dense::cholesky_lower`). Adding a rank-one term in the direction of the extreme eigenvector
//! turns a bound on the *second* eigenvalue into a bound on the *first* of the deflated matrix
//! (interlacing), which is the gap that the Kato-Temple inequality needs.
//! Theorems: gram-error, deflated-cholesky-gap, kato-temple.

use super::temple;
use crate::linalg::dense;
use crate::linalg::extended::DdVec;
use crate::linalg::lanczos::{self, Extreme, Stop};
use crate::linalg::rounding::{U, down, gamma, max_up, sum_up, up};
use crate::linalg::vectorised::vectorised;
use faer::Mat;

/// A tall real matrix with entries of magnitude at most 1, and bounds on it.
pub struct Problem {
    /// `m x n`, `m >= n >= 1`.
    pub a: Mat<f64>,
    /// Upper bound of the Frobenius norm.
    pub frobenius: f64,
    /// 2 when the matrix embeds a complex one, whose eigenvectors come in pairs.
    pub multiplicity: usize,
    /// Whether the pairs have exactly equal eigenvalues, as those of an embedding do; a computed
    /// inverse factor of an embedding has them equal up to rounding only.
    exact_pairs: bool,
}

/// The computed Gram matrix and what it may be off by.
pub struct Gram {
    /// Lower half of `fl(A^T A)`.
    pub lower: Mat<f64>,
    /// Upper bound of `|B - A^T A|_2`.
    pub error: f64,
    /// Upper bound of `|B|_F`.
    frobenius: f64,
}

/// Lower and upper limit of an eigenvalue of `G` (a squared singular value).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Proved lower limit.
    pub lo: f64,
    /// Proved upper limit.
    pub hi: f64,
}

/// What is proved about the top of the spectrum of `G`.
#[derive(Clone, Debug)]
pub struct Top {
    /// Limits of the largest eigenvalue.
    pub largest: Limits,
    /// Upper bound of every eigenvalue after the first (after the first pair, in an embedding).
    pub second: f64,
}

/// What is proved about the bottom of the spectrum of `G`.
#[derive(Clone, Copy, Debug)]
pub struct Bottom {
    /// Limits of the smallest eigenvalue.
    pub smallest: Limits,
    /// Lower limit of every other eigenvalue (after the first pair, in an embedding).
    pub second: f64,
}

impl Problem {
    /// Wraps a scaled tall matrix.
    pub fn new(a: Mat<f64>, multiplicity: usize) -> Problem {
        let frobenius = crate::linalg::extended::frobenius_up(&a);
        Problem {
            a,
            frobenius,
            multiplicity,
            exact_pairs: true,
        }
    }

    /// The same where eigenvalues come in pairs that are only nearly equal.
    pub fn nearly_paired(a: Mat<f64>, multiplicity: usize) -> Problem {
        Problem {
            exact_pairs: multiplicity == 1,
            ..Problem::new(a, multiplicity)
        }
    }

    /// Number of columns, the smaller dimension.
    pub fn order(&self) -> usize {
        self.a.ncols()
    }

    /// Computes the Gram matrix and its error bound.
    pub fn gram(&self) -> Gram {
        let (m, n) = (self.a.nrows(), self.a.ncols());
        let lower = dense::gram_lower(self.a.as_ref());
        // | |A|^T|A| |_2 <= |A|_F^2 always, and the Collatz-Wielandt quotient is usually tighter
        let nu = collatz_wielandt(&self.a).min(up(self.frobenius * self.frobenius));
        // each of the m products of an entry may underflow by 2^-1075
        let underflow = m as f64 * n as f64 * 1e-320;
        let error = up(gamma(m + 2) * nu + underflow);
        let mut s = 0.0;
        for j in 0..n {
            let c = &lower.col_as_slice(j)[j..];
            s += 2.0 * dense::dot(c, c);
        }
        let frobenius = up(s * (1.0 + gamma(2 * n + 4))).sqrt().next_up();
        Gram {
            lower,
            error,
            frobenius,
        }
    }
}

/// Upper bound of `| |A|^T |A| |_2`: for any positive `x`, the spectral radius of a non-negative
/// matrix is at most `max_i (Mx)_i / x_i` (Collatz 1942). Theorem: collatz-wielandt.
pub fn collatz_wielandt(a: &Mat<f64>) -> f64 {
    let (m, n) = (a.nrows(), a.ncols());
    let mut x = vec![1.0; n];
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let y = abs_apply(a, &x);
        let w = abs_apply_transposed(a, &y);
        let ratio = max_up(w.iter().zip(&x).map(|(w, x)| w / x));
        // sums of n and m non-negative products, and a division
        best = best.min(up(ratio * (1.0 + gamma(m + n + 4))));
        let top = w.iter().copied().fold(0.0, f64::max);
        if top == 0.0 {
            break;
        }
        for (x, w) in x.iter_mut().zip(&w) {
            *x = (w / top).max(1e-3);
        }
    }
    best
}

/// `|A| x` for non-negative `x`.
pub fn abs_apply(a: &Mat<f64>, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; a.nrows()];
    abs_columns(a, x, &mut y);
    y
}

/// `|A|^T x` for non-negative `x`.
pub fn abs_apply_transposed(a: &Mat<f64>, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; a.ncols()];
    abs_dots(a, x, &mut y);
    y
}

vectorised! {
fn abs_columns(a: &Mat<f64>, x: &[f64], y: &mut [f64]) -> () {
    for (j, &xj) in x.iter().enumerate() {
        for (yi, &v) in y.iter_mut().zip(a.col_as_slice(j)) {
            *yi += v.abs() * xj;
        }
    }
}
}

vectorised! {
fn abs_dots(a: &Mat<f64>, x: &[f64], y: &mut [f64]) -> () {
    let (v, vr) = x.as_chunks::<8>();
    for (j, y) in y.iter_mut().enumerate() {
        let mut acc = [0.0f64; 8];
        let (c, cr) = a.col_as_slice(j)[..x.len()].as_chunks::<8>();
        for (c, v) in c.iter().zip(v) {
            for k in 0..8 {
                acc[k] += c[k].abs() * v[k];
            }
        }
        let rest: f64 = cr.iter().zip(vr).map(|(c, v)| c.abs() * v).sum();
        *y = acc.iter().sum::<f64>() + rest;
    }
}
}

vectorised! {
/// Lower half of `sign (B - mu I) + s sum v v^T`.
fn form_shifted(lower: &Mat<f64>, sign: f64, mu: f64, s: f64, deflate: &[&[f64]], m: &mut Mat<f64>) -> () {
    let n = lower.ncols();
    for j in 0..n {
        let src = &lower.col_as_slice(j)[j..n];
        let dst = &mut m.col_as_slice_mut(j)[j..n];
        for (d, &b) in dst.iter_mut().zip(src) {
            *d = sign * b;
        }
        for v in deflate {
            let t = s * v[j];
            for (d, &x) in dst.iter_mut().zip(&v[j..n]) {
                *d = t.mul_add(x, *d);
            }
        }
        dst[0] -= sign * mu;
    }
}
}

impl Gram {
    fn order(&self) -> usize {
        self.lower.ncols()
    }

    /// Proves a bound on an eigenvalue of `G` by factoring
    /// `M = sign (B - mu I) + s (v v^T + ...)`: success means `sign (G - mu I) + s(...) > -slack`.
    /// Returns the slack, or `None` when the factorisation breaks down.
    fn definite(&self, sign: f64, mu: f64, s: f64, deflate: &[&[f64]]) -> Option<f64> {
        let n = self.order();
        let mut m = Mat::zeros(n, n);
        let mut squares = 0.0;
        for v in deflate {
            squares += dense::dot(v, v);
        }
        form_shifted(&self.lower, sign, mu, s, deflate, &mut m);
        let trace = sum_up((0..n).map(|i| m[(i, i)].max(0.0)));
        if !dense::cholesky_lower(m.as_mut()) {
            return None;
        }
        // forming an entry costs at most five roundings of its terms |b|, s|v_i v_j| and mu
        let formation = 8.0 * U * (self.frobenius + s * squares * 1.001 + mu.abs());
        let g = gamma(n + 2);
        // underflow inside the factorisation is charged with a constant far above n^2 2^-1074
        let slack = up(self.error + formation + g / (1.0 - g) * trace + 1e-290);
        slack.is_finite().then_some(slack)
    }

    /// Order of magnitude of the slack of a proof near the top or the bottom of the spectrum.
    fn expected_slack(&self, mu: f64, top: bool) -> f64 {
        let n = self.order();
        let trace = if top {
            n as f64 * mu
        } else {
            (0..n).map(|i| self.lower[(i, i)]).sum::<f64>()
        };
        self.error + gamma(n + 2) * trace + 8.0 * U * (self.frobenius + 2.0 * mu)
    }

    /// Largest eigenvalue of a small `B` by a full decomposition.
    fn largest_eigenvalue(&self) -> Option<f64> {
        if self.order() >= LARGE {
            return None;
        }
        let all = self
            .lower
            .self_adjoint_eigenvalues(faer::Side::Lower)
            .ok()?;
        all.into_iter().reduce(f64::max)
    }

    /// Largest eigenvalue of `B` by Lanczos. Where memory traffic matters, most of the iteration
    /// reads the matrix in single precision, and a few steps from its result restore the rest.
    pub fn largest_ritz(&self, tolerance: f64) -> Option<Extreme> {
        let n = self.order();
        let stop = |tolerance, second, max_iterations| Stop {
            tolerance,
            second,
            max_iterations,
        };
        let double = |x: &[f64], y: &mut [f64]| dense::apply_symmetric_lower(&self.lower, x, y);
        if n < LARGE {
            return lanczos::largest(n, &stop(tolerance, 0.1, 300), double);
        }
        let single = Mat::from_fn(n, n, |i, j| self.lower[(i, j)] as f32);
        let coarse = lanczos::largest(n, &stop(1e-7, 0.1, 300), |x, y| {
            dense::apply_symmetric_lower_single(&single, x, y);
        })?;
        let fine =
            lanczos::largest_from(coarse.vector, &stop(tolerance, f64::INFINITY, 16), double)?;
        Some(Extreme {
            second: coarse.second,
            ..fine
        })
    }
}

/// Order from which memory traffic matters and full decompositions cost too much.
const LARGE: usize = 256;

/// The partner `J v` of a vector of the complex embedding: `(x, y) -> (-y, x)`.
fn partner(v: &[f64]) -> Vec<f64> {
    let h = v.len() / 2;
    v[h..]
        .iter()
        .map(|x| -x)
        .chain(v[..h].iter().copied())
        .collect()
}

/// Limits of the largest eigenvalue of `A^T A`, and an upper bound of the others.
pub fn certify_top(p: &Problem, g: &Gram) -> Top {
    // The trace of G bounds every eigenvalue, whatever else fails.
    let trace = up(p.frobenius * p.frobenius);
    let mut top = Top {
        largest: Limits { lo: 0.0, hi: trace },
        second: trace,
    };
    let Some(ritz) = g.largest_ritz(1e-9) else {
        return top;
    };
    let trial = DdVec::from_f64(ritz.vector.clone());
    let quotient = temple::quotient(&p.a, &trial, p.frobenius);
    if let Some(q) = &quotient {
        top.largest.lo = q.rho_lo;
    }
    // A deflated proof, where the spectrum offers a gap.
    let doubled;
    let mut directions: Vec<&[f64]> = vec![&ritz.vector];
    if p.multiplicity == 2 {
        doubled = partner(&ritz.vector);
        directions.push(&doubled);
    }
    if p.order() <= p.multiplicity {
        // nothing but the leading eigenvalue: the gap is the whole axis
        top.second = 0.0;
    } else if let Some((second, _)) = ritz.second {
        let gap = ritz.theta - second;
        let slack = g.expected_slack(ritz.theta, true);
        if gap > 4.0 * slack {
            for fraction in [0.5, 0.8] {
                let mu = second + fraction * gap;
                if let Some(slack) = g.definite(-1.0, mu, gap, &directions) {
                    top.second = up(mu + slack);
                    break;
                }
            }
        }
    }
    // Temple's inequality needs every eigenvalue to equal the largest or to lie below `second`.
    let sharp = quotient.filter(|_| p.exact_pairs);
    if let Some((_, hi)) = sharp.and_then(|q| q.largest(top.second)) {
        top.largest.hi = top.largest.hi.min(hi);
        return top;
    }
    // No gap: factor just above the largest eigenvalue. In a cluster the Krylov space may end on a
    // smaller member, so a small matrix is decomposed instead.
    let theta = g.largest_eigenvalue().unwrap_or(ritz.theta).max(ritz.theta);
    let slack = g.expected_slack(theta, true);
    for step in [2.0f64, 30.0, 1e3, 1e6] {
        let mu = theta + step * (slack + ritz.residual * 1e-3 * step.sqrt());
        if mu > top.largest.hi {
            break;
        }
        if let Some(slack) = g.definite(-1.0, mu, 0.0, &[]) {
            top.largest.hi = top.largest.hi.min(up(mu + slack));
            break;
        }
    }
    top.second = top.second.min(top.largest.hi);
    top
}

/// Limits of the smallest eigenvalue of `A^T A`, when the Gram matrix is accurate enough to show
/// that it is positive; `None` otherwise.
pub fn certify_bottom(p: &Problem, g: &Gram) -> Option<Bottom> {
    let n = p.order();
    if !p.exact_pairs {
        // Temple's inequality below would need pairs of equal eigenvalues
        return None;
    }
    let mut l = g.lower.clone();
    if !dense::cholesky_lower(l.as_mut()) {
        return None;
    }
    let ritz = smallest_ritz(&l, 1e-10)?;
    let lambda = 1.0 / ritz.theta;
    let slack = g.expected_slack(lambda, false);
    // Below this the proof could not succeed; the next rung works on A itself.
    if !(lambda > 8.0 * slack) {
        return None;
    }
    let v = refine(p, &l, &ritz.vector, lambda);
    let quotient = temple::quotient(&p.a, &v, p.frobenius)?;
    let mut directions: Vec<&[f64]> = vec![&ritz.vector];
    let doubled;
    if p.multiplicity == 2 {
        doubled = partner(&ritz.vector);
        directions.push(&doubled);
    }
    let mut smallest = Limits {
        lo: 0.0,
        hi: quotient.rho_hi,
    };
    if n <= p.multiplicity {
        // a single eigenvalue is its own Rayleigh quotient
        smallest.lo = quotient.rho_lo;
        let second = f64::INFINITY;
        return Some(Bottom { smallest, second });
    }
    if let Some((inverse, _)) = ritz.second {
        let second = 1.0 / inverse;
        let gap = second - lambda;
        if gap > 4.0 * slack && gap > 1e-9 * lambda {
            for fraction in [0.5, 0.2] {
                let mu = lambda + fraction * gap;
                let proof = g.definite(1.0, mu, gap, &directions);
                let second = proof.map_or(0.0, |slack| down(mu - slack));
                if let Some((lo, _)) = quotient.smallest(second) {
                    smallest.lo = lo;
                    return Some(Bottom { smallest, second });
                }
            }
        }
    }
    for step in [2.0, 30.0] {
        let mu = lambda - step * slack;
        if mu <= slack {
            break;
        }
        if let Some(slack) = g.definite(1.0, mu, 0.0, &[]) {
            smallest.lo = down(mu - slack);
            let second = smallest.lo;
            return Some(Bottom { smallest, second });
        }
    }
    None
}

/// Smallest eigenpair of `L L^T` by inverse Lanczos: the largest of `L^-T L^-1`.
pub fn smallest_ritz(l: &Mat<f64>, tolerance: f64) -> Option<Extreme> {
    let stop = Stop {
        tolerance,
        second: 0.1,
        max_iterations: 120,
    };
    let ritz = lanczos::largest(l.ncols(), &stop, |x, y| {
        y.copy_from_slice(x);
        dense::solve_lower(l, y);
        dense::solve_lower_transposed(l, y);
    })?;
    (ritz.theta > 0.0 && ritz.theta.is_finite()).then_some(ritz)
}

/// One inverse iteration `G x = v` carried to double-double by iterative refinement, with
/// `A^T A ~ L L^T` as the solver. Only the quality of the enclosure depends on it.
pub fn refine(p: &Problem, l: &Mat<f64>, v: &[f64], lambda: f64) -> DdVec {
    let solve = |b: &mut [f64]| {
        dense::solve_lower(l, b);
        dense::solve_lower_transposed(l, b);
        // the solution grows by 1/lambda; keep the iterate of order one
        for x in b.iter_mut() {
            *x *= lambda;
        }
    };
    let mut x = v.to_vec();
    solve(&mut x);
    let mut x = DdVec::from_f64(x);
    let kappa2 = p.frobenius * p.frobenius / lambda;
    let mut previous = f64::INFINITY;
    for _ in 0..8 {
        let y = crate::linalg::extended::apply(&p.a, &x, p.frobenius);
        let z = crate::linalg::extended::apply_transposed(&p.a, &y.vector, p.frobenius);
        let mut r: Vec<f64> = (0..v.len())
            .map(|i| {
                // G x lambda^-1 should be v
                let d = crate::linalg::dd::Dd::from_product(v[i], lambda) - z.vector.get(i);
                d.to_f64() / lambda
            })
            .collect();
        solve(&mut r);
        let size = dense::norm2(&r) / dense::norm2(&x.hi).max(f64::MIN_POSITIVE);
        if !(size < previous) {
            break;
        }
        x.add_f64(&r);
        // the next correction would be about size^2/previous; stop when it cannot be seen
        let next = if previous.is_finite() {
            size * size / previous
        } else {
            size
        };
        if next * kappa2 < 1e-10 {
            break;
        }
        previous = size;
    }
    x
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::linalg::dense::tests::{defect, random};
    use crate::linalg::exact::IntegerMatrix;
    use crate::linalg::rounding::{sqrt_down, sqrt_up};
    use crate::linalg::view::MatrixRef;
    use proptest::prelude::*;

    pub(crate) const BUDGET: u64 = 100_000_000_000;

    pub(crate) fn exactly(a: &Mat<f64>) -> IntegerMatrix {
        let data: Vec<f64> = (0..a.ncols())
            .flat_map(|j| a.col_as_slice(j).to_vec())
            .collect();
        let view = MatrixRef::col_major(&data, a.nrows(), a.ncols()).unwrap();
        IntegerMatrix::new(&view).unwrap()
    }

    /// A tall matrix whose columns fall off by `2^-grade` each, largest entry in `[1/2, 1)`.
    pub(crate) fn graded(m: usize, n: usize, grade: i32, seed: u64) -> Problem {
        let mut a = random(m.max(n), n, seed);
        for j in 0..n {
            a.col_as_slice_mut(j)
                .iter_mut()
                .for_each(|x| *x *= 2f64.powi(-grade * j as i32));
        }
        crate::linalg::certify::factor::scale_to_unit(&mut a).unwrap();
        Problem::new(a, 1)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Theorem: gram-error. No entry of the difference exceeds its 2-norm.
        #[test]
        fn gram_errors_stay_below_their_bound(m in 1usize..60, n in 1usize..30, seed: u64) {
            let p = graded(m, n, 0, seed);
            let g = p.gram();
            for (i, j) in [(0, 0), (n - 1, 0), (n - 1, n - 1), (n / 2, n / 3)] {
                let off = defect(p.a.col_as_slice(i), p.a.col_as_slice(j), g.lower[(i, j)]);
                prop_assert!(off.abs() <= g.error);
            }
            prop_assert!(g.error <= 1e-14 * p.frobenius * p.frobenius);
        }

        /// Theorem: collatz-wielandt. Holds, and is tight for a matrix with a clear leading pair.
        #[test]
        fn collatz_wielandt_quotients_bound_the_norm(m in 1usize..20, n in 1usize..20, seed: u64) {
            let a = random(m, n, seed);
            let size = Mat::from_fn(m, n, |i, j| a[(i, j)].abs());
            let norm = size.singular_values().unwrap()[0].powi(2);
            prop_assert!(collatz_wielandt(&a) >= norm * (1.0 - 1e-13));
            let a = Mat::from_fn(m, n, |i, j| (0.5 + (a[(i, j)] * 7.0).sin().abs() / 2.0) * 0.99);
            let norm = a.singular_values().unwrap()[0].powi(2);
            prop_assert!(collatz_wielandt(&a) <= norm * 1.1);
        }

        /// Theorem: deflated-cholesky-gap. Every limit against exact inertia.
        #[test]
        fn gaps_are_proved_on_the_right_side(m in 1usize..8, n in 1usize..6, grade in 0i32..6, seed: u64) {
            let p = graded(m, n, grade, seed);
            let exact = exactly(&p.a);
            let g = p.gram();
            let top = certify_top(&p, &g);
            let above = exact.count_below(sqrt_up(top.second), 0, BUDGET).unwrap().above;
            prop_assert!(above <= 1, "{above} singular values above {top:?}");
            let (lo, hi) = (sqrt_down(top.largest.lo), sqrt_up(top.largest.hi));
            prop_assert!(exact.proves_sigma_max_in(lo, hi, 0, BUDGET).unwrap());
            if let Some(Bottom { smallest, .. }) = certify_bottom(&p, &g) {
                let (lo, hi) = (sqrt_down(smallest.lo), sqrt_up(smallest.hi));
                prop_assert!(exact.proves_sigma_min_in(lo, hi, 0, BUDGET).unwrap());
                prop_assert!(lo > 0.0);
            }
        }
    }

    /// Notices: Theorem: deflated-cholesky-gap proves nothing beyond the neighbouring eigenvalue, whatever
    /// is deflated and however strongly.
    #[test]
    fn a_false_gap_is_not_proved() {
        let d = [1.0, 0.75, 0.5];
        let p = Problem::new(
            Mat::from_fn(3, 3, |i, j| if i == j { d[i] } else { 0.0 }),
            1,
        );
        let g = p.gram();
        let e = [[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]];
        assert!(g.definite(-1.0, 0.6, 1.0, &[&e[0]]).is_some());
        assert!(g.definite(1.0, 0.5, 1.0, &[&e[2]]).is_some());
        for v in &e {
            for s in [0.1, 1.0, 1e6] {
                assert_eq!(
                    g.definite(-1.0, 0.56, s, &[v]),
                    None,
                    "0.5625 is above 0.56"
                );
                assert_eq!(g.definite(1.0, 0.57, s, &[v]), None, "0.5625 is below 0.57");
            }
        }
    }
}
