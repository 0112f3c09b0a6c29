//! Matrix-vector products in twice the working precision, with rigorous error bounds.
//!
//! The vector is a double-double `v = hi + lo`; each entry of the product accumulates `a*hi` with
//! error-free transformations and everything below in a second sum, as in the Dot2 algorithm of
//! Ogita, Rump and Oishi (SIAM J. Sci. Comput. 26, 2005, algorithm 5.3).
//! Theorem: compensated-product-error.

use super::dd::{Dd, quick_two_sum, two_prod, two_sum};
use super::rounding::{U, sqrt_up, up};
use super::vectorised::vectorised;
use faer::Mat;

/// A vector of double-doubles, stored as two arrays.
#[derive(Clone, Debug)]
pub struct DdVec {
    /// Leading parts.
    pub hi: Vec<f64>,
    /// Trailing parts, `|lo_i| <= u |hi_i|`.
    pub lo: Vec<f64>,
}

impl DdVec {
    /// A double vector, exactly.
    pub fn from_f64(hi: Vec<f64>) -> DdVec {
        let lo = vec![0.0; hi.len()];
        DdVec { hi, lo }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.hi.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.hi.is_empty()
    }

    /// Entry `i`.
    pub fn get(&self, i: usize) -> Dd {
        Dd {
            hi: self.hi[i],
            lo: self.lo[i],
        }
    }

    /// `self += x` for a double vector.
    pub fn add_f64(&mut self, x: &[f64]) {
        for (i, &b) in x.iter().enumerate() {
            let (s, e) = two_sum(self.hi[i], b);
            (self.hi[i], self.lo[i]) = quick_two_sum(s, e + self.lo[i]);
        }
    }

    /// Squared Euclidean norm of the vector.
    ///
    /// The double-double sum of squares of `n` entries carries a relative error below
    /// `(n + 10) 2^-100`, which is far below the slack of `rounding::up` for `n < 2^50`.
    pub fn norm2_squared(&self) -> Dd {
        sum_of_squares(&self.hi, &self.lo)
    }

    /// Upper bound of the Euclidean norm.
    pub fn norm2_up(&self) -> f64 {
        sqrt_up(up(self.norm2_squared().hi) + self.len() as f64 * TINY)
    }
}

vectorised! {
fn sum_of_squares(hi: &[f64], lo: &[f64]) -> Dd {
    let mut s = Dd::ZERO;
    for (&h, &l) in hi.iter().zip(lo) {
        let mut p = Dd::from_product(h, h);
        p.lo = (2.0 * h).mul_add(l, p.lo);
        s += p;
    }
    s
}
}

/// Covers the underflow of one error term: `2^-1074` is lost at most, `2^-1070` is charged.
const TINY: f64 = 1e-322;

/// Relative error factor of a compensated product of length `n`: the error is at most
/// `compensated(n) * |a|^T|v|`.
///
/// Derivation: `n` products and sums leave `n` product errors of relative size `u`, `n` sum errors
/// of total size `gamma_n` and `n` terms `a*lo` of relative size `u`; these `3n` numbers of total
/// size `(gamma_n + 2u)|a|^T|v|` are added in double with relative error `gamma_{3n+3}`. The product
/// `gamma_{3n+3}(gamma_n + 2u)` is below `4(n+4)^2 u^2` whenever `n u < 2^-10`.
fn compensated(n: usize) -> f64 {
    let k = (n + 4) as f64;
    4.0 * k * k * U * U
}

/// A product `y` together with a bound of `|y - exact|_2`.
pub struct Bounded {
    /// The computed product.
    pub vector: DdVec,
    /// Bound of the Euclidean norm of its error.
    pub error: f64,
}

/// `y = A v` for an `m x n` matrix.
///
/// `frobenius` bounds `|A|_F` from above; `| |A||v| |_2 <= |A|_F |v|_2` turns the entrywise bound
/// into a normwise one.
pub fn apply(a: &Mat<f64>, v: &DdVec, frobenius: f64) -> Bounded {
    let (m, n) = (a.nrows(), a.ncols());
    let mut hi = vec![0.0; m];
    let mut lo = vec![0.0; m];
    compensated_columns(a, v, &mut hi, &mut lo);
    let error =
        up(compensated(n) * frobenius * v.norm2_up() + (m as f64).sqrt() * 3.0 * n as f64 * TINY);
    Bounded {
        vector: DdVec { hi, lo },
        error,
    }
}

/// `y = A^T v` for an `m x n` matrix; see [`apply`].
pub fn apply_transposed(a: &Mat<f64>, v: &DdVec, frobenius: f64) -> Bounded {
    let (m, n) = (a.nrows(), a.ncols());
    let mut hi = vec![0.0; n];
    let mut lo = vec![0.0; n];
    compensated_dots(a, v, &mut hi, &mut lo);
    let error = up(compensated(m + LANES) * frobenius * v.norm2_up()
        + (n as f64).sqrt() * 3.0 * m as f64 * TINY);
    Bounded {
        vector: DdVec { hi, lo },
        error,
    }
}

vectorised! {
fn compensated_columns(a: &Mat<f64>, v: &DdVec, hi: &mut [f64], lo: &mut [f64]) -> () {
    let m = hi.len();
    for (j, (&vh, &vl)) in v.hi.iter().zip(&v.lo).enumerate() {
        let col = &a.col_as_slice(j)[..m];
        let lo = &mut lo[..m];
        for i in 0..m {
            let (p, e) = two_prod(col[i], vh);
            let (s, t) = two_sum(hi[i], p);
            hi[i] = s;
            lo[i] += col[i].mul_add(vl, t + e);
        }
    }
    for (h, l) in hi.iter_mut().zip(lo) {
        (*h, *l) = two_sum(*h, *l);
    }
}
}

/// Running sums of a compensated dot product.
const LANES: usize = 8;

vectorised! {
fn compensated_dots(a: &Mat<f64>, v: &DdVec, hi: &mut [f64], lo: &mut [f64]) -> () {
    let (vh, vh_rest) = v.hi.as_chunks::<LANES>();
    let (vl, vl_rest) = v.lo.as_chunks::<LANES>();
    for (j, (hi, lo)) in hi.iter_mut().zip(lo).enumerate() {
        let col = &a.col_as_slice(j)[..v.hi.len()];
        let mut s = [0.0f64; LANES];
        let mut c = [0.0f64; LANES];
        let (chunks, rest) = col.as_chunks::<LANES>();
        for ((x, h), l) in chunks.iter().zip(vh).zip(vl) {
            for k in 0..LANES {
                let (p, e) = two_prod(x[k], h[k]);
                let (sum, t) = two_sum(s[k], p);
                s[k] = sum;
                c[k] += x[k].mul_add(l[k], t + e);
            }
        }
        let (mut sum, mut comp) = (0.0, 0.0);
        for ((&x, &h), &l) in rest.iter().zip(vh_rest).zip(vl_rest) {
            let (p, e) = two_prod(x, h);
            let (s2, t) = two_sum(sum, p);
            sum = s2;
            comp += x.mul_add(l, t + e);
        }
        for k in 0..LANES {
            let (s2, t) = two_sum(sum, s[k]);
            sum = s2;
            comp += t + c[k];
        }
        (*hi, *lo) = two_sum(sum, comp);
    }
}
}

/// Upper bound of the Frobenius norm of a matrix with entries of magnitude at most 1.
pub fn frobenius_up(a: &Mat<f64>) -> f64 {
    let mut s = 0.0;
    for j in 0..a.ncols() {
        let c = a.col_as_slice(j);
        s += super::dense::dot(c, c);
    }
    let k = a.nrows() + a.ncols() + 4;
    sqrt_up(up(
        s * (1.0 + super::rounding::gamma(k)) + a.nrows() as f64 * a.ncols() as f64 * TINY
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::dense::tests::{defect, random};
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};

    fn vector(n: usize, seed: u64) -> DdVec {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        DdVec {
            hi: (0..n).map(|_| rng.random_range(0.5..1.0)).collect(),
            lo: (0..n)
                .map(|_| f64::from(rng.random_range(-512..=512i32)) * 2f64.powi(-64))
                .collect(),
        }
    }

    /// Norm of the exact error of `y` as the product of the rows and `v`.
    fn error(rows: &[Vec<f64>], v: &DdVec, y: &DdVec) -> f64 {
        let square = |(i, row): (usize, &Vec<f64>)| {
            let x = [row, row, &vec![-1.0][..]].concat();
            let z = [&v.hi[..], &v.lo, &[y.lo[i]]].concat();
            defect(&x, &z, y.hi[i]).powi(2)
        };
        rows.iter().enumerate().map(square).sum::<f64>().sqrt()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Theorem: compensated-product-error. Holds in both directions; notices when the
        /// compensation is left out.
        #[test]
        fn products_obey_their_bound(m in 1usize..40, n in 1usize..40, seed: u64) {
            let a = random(m, n, seed);
            let size = frobenius_up(&a);
            let rows: Vec<Vec<f64>> = (0..m).map(|i| (0..n).map(|j| a[(i, j)]).collect()).collect();
            let cols: Vec<Vec<f64>> = (0..n).map(|j| a.col_as_slice(j).to_vec()).collect();
            let (x, w) = (vector(n, seed ^ 1), vector(m, seed ^ 2));
            let y = apply(&a, &x, size);
            prop_assert!(error(&rows, &x, &y.vector) <= y.error);
            let z = apply_transposed(&a, &w, size);
            prop_assert!(error(&cols, &w, &z.vector) <= z.error);
            let plain = DdVec::from_f64(y.vector.hi.clone());
            prop_assert!(m * n < 4 || error(&rows, &x, &plain) > y.error);
        }
    }
}
