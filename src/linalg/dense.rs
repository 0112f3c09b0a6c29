//! Dense kernels with a known error bound, on column-major `f64` matrices.
//!
//! Heavy products go through faer, whose kernels are conventional: every entry is a sum of
//! `k` products accumulated in some order, with or without fused multiply-add, so the computed
//! product satisfies `|fl(XY) - XY| <= gamma_k |X||Y|` (Higham, Accuracy and Stability of Numerical
//! Algorithms, 2nd ed., section 3.5). Theorem: dot-product-error. The test `products_obey_their_bound` guards that assumption.
//! The Cholesky factorisation is our own, because its error bound is part of every proof.

use super::parallel;
use super::tridiagonal;
use super::vectorised::vectorised;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::prelude::ReborrowMut;
use faer::{Accum, Mat, MatMut, MatRef};

/// A dense column-major matrix, for modules that do not name the library behind it.
pub type Matrix = Mat<f64>;

/// A matrix by its entries.
pub fn from_fn(rows: usize, cols: usize, f: impl FnMut(usize, usize) -> f64) -> Matrix {
    Mat::from_fn(rows, cols, f)
}

/// Order below which the recursive factorisations stop splitting.
const LEAF: usize = 32;

vectorised! {
/// `x^T y` of two slices with sixteen running sums.
pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    dot_inline(x, y)
}
}

vectorised! {
/// `y += alpha x`.
pub fn axpy(alpha: f64, x: &[f64], y: &mut [f64]) -> () {
    axpy_inline(alpha, x, y);
}
}

/// [`dot`] for use inside a vectorised body.
#[inline(always)]
pub fn dot_inline(x: &[f64], y: &[f64]) -> f64 {
    let mut acc = [0.0f64; 16];
    let (xc, xr) = x.as_chunks::<16>();
    let (yc, yr) = y.as_chunks::<16>();
    for (a, b) in xc.iter().zip(yc) {
        for k in 0..16 {
            acc[k] = a[k].mul_add(b[k], acc[k]);
        }
    }
    let mut s = 0.0;
    for (a, b) in xr.iter().zip(yr) {
        s = a.mul_add(*b, s);
    }
    acc.iter().sum::<f64>() + s
}

/// `y += alpha x` for use inside a vectorised body.
#[inline(always)]
pub fn axpy_inline(alpha: f64, x: &[f64], y: &mut [f64]) {
    for (a, b) in x.iter().zip(y) {
        *b = alpha.mul_add(*a, *b);
    }
}

vectorised! {
/// Sums of the first four powers of the entries, with eight running sums each.
pub fn power_sums(x: &[f64]) -> [f64; 4] {
    let mut sums = [[0.0f64; 8]; 4];
    let (chunks, rest) = x.as_chunks::<8>();
    for c in chunks {
        for k in 0..8 {
            let square = c[k] * c[k];
            sums[0][k] += c[k];
            sums[1][k] += square;
            sums[2][k] = square.mul_add(c[k], sums[2][k]);
            sums[3][k] = square.mul_add(square, sums[3][k]);
        }
    }
    let mut total = sums.map(|s| s.iter().sum::<f64>());
    for v in rest {
        for (t, p) in total.iter_mut().zip(1..=4) {
            *t += v.powi(p);
        }
    }
    total
}
}

vectorised! {
/// Sum of squares of what rounding to multiples of `step > 0` takes away.
pub fn rounding_loss(x: &[f64], step: f64) -> f64 {
    let mut sums = [0.0f64; 8];
    let inverse = 1.0 / step;
    let (chunks, rest) = x.as_chunks::<8>();
    for c in chunks {
        for k in 0..8 {
            let t = c[k] * inverse;
            let lost = t - t.round_ties_even();
            sums[k] = lost.mul_add(lost, sums[k]);
        }
    }
    let tail: f64 = rest
        .iter()
        .map(|v| (v * inverse - (v * inverse).round_ties_even()).powi(2))
        .sum();
    (sums.iter().sum::<f64>() + tail) * step * step
}
}

/// Euclidean norm of a vector whose squares neither overflow nor matter when they underflow.
pub fn norm2(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

/// `C = X Y` (`m x k` times `k x n`).
pub fn product(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Mat<f64> {
    let mut c = Mat::zeros(x.nrows(), y.ncols());
    let par = parallel::for_work(2.0 * x.nrows() as f64 * x.ncols() as f64 * y.ncols() as f64);
    faer::linalg::matmul::matmul(c.as_mut(), Accum::Replace, x, y, 1.0, par);
    c
}

/// `C = X U` for an upper triangular `U`; the lower half of `U` is not read.
pub fn product_upper(x: MatRef<'_, f64>, u: MatRef<'_, f64>) -> Mat<f64> {
    let mut c = Mat::zeros(x.nrows(), u.ncols());
    let par = parallel::for_work(x.nrows() as f64 * (u.ncols() as f64).powi(2));
    triangular::matmul(
        c.as_mut(),
        BlockStructure::Rectangular,
        Accum::Replace,
        x,
        BlockStructure::Rectangular,
        u,
        BlockStructure::TriangularUpper,
        1.0,
        par,
    );
    c
}

/// Lower half of the Gram matrix `A^T A` (`n x n` for an `m x n` matrix); the upper half is zero.
pub fn gram_lower(a: MatRef<'_, f64>) -> Mat<f64> {
    let n = a.ncols();
    let mut g = Mat::zeros(n, n);
    let par = parallel::for_work(a.nrows() as f64 * (n as f64).powi(2));
    triangular::matmul(
        g.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Replace,
        a.transpose(),
        BlockStructure::Rectangular,
        a,
        BlockStructure::Rectangular,
        1.0,
        par,
    );
    g
}

/// `M <- M - X X^T` in the lower half of `M`.
pub fn subtract_gram_lower(m: MatMut<'_, f64>, x: MatRef<'_, f64>) {
    update_gram_lower(m, x, -1.0);
}

/// `M <- M + X X^T` in the lower half of `M`.
pub fn add_gram_lower(m: MatMut<'_, f64>, x: MatRef<'_, f64>) {
    update_gram_lower(m, x, 1.0);
}

fn update_gram_lower(m: MatMut<'_, f64>, x: MatRef<'_, f64>, factor: f64) {
    let par = parallel::for_work(x.ncols() as f64 * (x.nrows() as f64).powi(2));
    triangular::matmul(
        m,
        BlockStructure::TriangularLower,
        Accum::Add,
        x,
        BlockStructure::Rectangular,
        x.transpose(),
        BlockStructure::Rectangular,
        factor,
        par,
    );
}

/// Factors a symmetric matrix, given by its lower half, as `L L^T` in place; `false` when a pivot
/// is not positive, in which case nothing is proved and the contents are unspecified.
///
/// Every entry of `L` is an inner product of length at most `n` followed by one division or square
/// root, so success implies `M + E = L L^T` with `|E| <= gamma_{n+1} |L||L|^T` (Higham, theorem
/// 10.3), in particular `lambda_min(M) >= -gamma_{n+1}/(1-gamma_{n+1}) trace(M)` (Rump, BIT 46,
/// 2006). Theorem: cholesky-proves-definiteness.
pub fn cholesky_lower(m: MatMut<'_, f64>) -> bool {
    cholesky_rec(m)
}

fn cholesky_rec(mut m: MatMut<'_, f64>) -> bool {
    let n = m.nrows();
    if n <= LEAF {
        return cholesky_leaf(m);
    }
    let k = split(n);
    let (mut m11, _, mut m21, mut m22) = m.rb_mut().split_at_mut(k, k);
    if !cholesky_rec(m11.rb_mut()) {
        return false;
    }
    solve_right_lower_transposed(m21.rb_mut(), m11.as_ref());
    subtract_gram_lower(m22.rb_mut(), m21.as_ref());
    cholesky_rec(m22)
}

/// Half of `n`, rounded up to a multiple of the leaf size.
fn split(n: usize) -> usize {
    (n / 2).div_ceil(LEAF) * LEAF
}

vectorised! {
fn cholesky_leaf(m: MatMut<'_, f64>) -> bool {
    let mut m = m;
    let n = m.nrows();
    for j in 0..n {
        let pivot = m[(j, j)];
        // also false for NaN
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        let d = pivot.sqrt();
        m[(j, j)] = d;
        for i in j + 1..n {
            m[(i, j)] /= d;
        }
        for k in j + 1..n {
            let f = m[(k, j)];
            for i in k..n {
                m[(i, k)] = (-f).mul_add(m[(i, j)], m[(i, k)]);
            }
        }
    }
    true
}
}

/// `X <- X L^-T` for a lower triangular `L` (`k x k`) and an `m x k` matrix `X`.
pub fn solve_right_lower_transposed(mut x: MatMut<'_, f64>, l: MatRef<'_, f64>) {
    let k = l.nrows();
    if k <= LEAF {
        let m = x.nrows();
        // rows in strips that stay in the first-level cache
        const STRIP: usize = 128;
        let mut start = 0;
        while start < m {
            let len = STRIP.min(m - start);
            solve_strip(x.rb_mut().subrows_mut(start, len), l);
            start += len;
        }
        return;
    }
    let h = split(k);
    let (l11, _, l21, l22) = l.split_at(h, h);
    let (mut x1, mut x2) = x.rb_mut().split_at_col_mut(h);
    solve_right_lower_transposed(x1.rb_mut(), l11);
    let par = parallel::for_work(2.0 * x1.nrows() as f64 * h as f64 * (k - h) as f64);
    faer::linalg::matmul::matmul(
        x2.rb_mut(),
        Accum::Add,
        x1.as_ref(),
        l21.transpose(),
        -1.0,
        par,
    );
    solve_right_lower_transposed(x2, l22);
}

vectorised! {
/// The same for a few rows and a small `L`.
fn solve_strip(x: MatMut<'_, f64>, l: MatRef<'_, f64>) -> () {
    let mut x = x;
    for j in 0..l.nrows() {
        let (done, mut rest) = x.rb_mut().split_at_col_mut(j);
        let Some(target) = rest.rb_mut().col_mut(0).try_as_col_major_mut() else {
            unreachable!("columns of our matrices are contiguous")
        };
        let target = target.as_slice_mut();
        for i in 0..j {
            if let Some(c) = done.as_ref().col(i).try_as_col_major() {
                axpy_inline(-l[(j, i)], c.as_slice(), target);
            }
        }
        let d = l[(j, j)];
        for t in target {
            *t /= d;
        }
    }
}
}

/// An entry type that widens to `f64`.
pub trait Widen: Copy {
    /// The same number.
    fn widen(self) -> f64;
}
impl Widen for f64 {
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
}
impl Widen for f32 {
    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

/// Adds `a * column` to `y` and returns `column^T x`, in one pass.
#[inline(always)]
fn axpy_dot<T: Widen>(a: f64, column: &[T], x: &[f64], y: &mut [f64]) -> f64 {
    const LANES: usize = 16;
    let mut acc = [0.0f64; LANES];
    let (cc, cr) = column.as_chunks::<LANES>();
    let (xc, xr) = x.as_chunks::<LANES>();
    let (yc, yr) = y.as_chunks_mut::<LANES>();
    for ((c, x), y) in cc.iter().zip(xc).zip(yc) {
        // whole blocks in locals: the compiler cannot tell that `y` is apart from the rest
        let v = c.map(T::widen);
        let mut block = *y;
        for k in 0..LANES {
            block[k] = v[k].mul_add(a, block[k]);
            acc[k] = v[k].mul_add(x[k], acc[k]);
        }
        *y = block;
    }
    let mut sum: f64 = acc.iter().sum();
    for ((c, x), y) in cr.iter().zip(xr).zip(yr) {
        let v = c.widen();
        *y = v.mul_add(a, *y);
        sum = v.mul_add(*x, sum);
    }
    sum
}

vectorised! {
/// `y = S x` for a symmetric matrix given by its lower half, reading each entry once.
pub fn apply_symmetric_lower(s: &Mat<f64>, x: &[f64], y: &mut [f64]) -> () {
    y.fill(0.0);
    for j in 0..x.len() {
        let col = &s.col_as_slice(j)[j..x.len()];
        let (head, tail) = y[j..].split_at_mut(1);
        head[0] += col[0] * x[j] + axpy_dot(x[j], &col[1..], &x[j + 1..], tail);
    }
}
}

vectorised! {
/// [`apply_symmetric_lower`] with entries in single precision.
pub fn apply_symmetric_lower_single(s: &Mat<f32>, x: &[f64], y: &mut [f64]) -> () {
    y.fill(0.0);
    for j in 0..x.len() {
        let col = &s.col_as_slice(j)[j..x.len()];
        let (head, tail) = y[j..].split_at_mut(1);
        let diagonal = f64::from(col[0]) * x[j];
        head[0] += diagonal + axpy_dot(x[j], &col[1..], &x[j + 1..], tail);
    }
}
}

vectorised! {
/// Solves `L y = x` in place for a lower triangular matrix.
pub fn solve_lower(l: &Mat<f64>, x: &mut [f64]) -> () {
    let n = x.len();
    for j in 0..n {
        let col = &l.col_as_slice(j)[j..n];
        let (head, tail) = x[j..].split_at_mut(1);
        head[0] /= col[0];
        axpy_inline(-head[0], &col[1..], tail);
    }
}
}

vectorised! {
/// Solves `L^T y = x` in place for a lower triangular matrix.
pub fn solve_lower_transposed(l: &Mat<f64>, x: &mut [f64]) -> () {
    let n = x.len();
    for j in (0..n).rev() {
        let col = &l.col_as_slice(j)[j..n];
        let (head, tail) = x[j..].split_at_mut(1);
        head[0] = (head[0] - dot_inline(&col[1..], tail)) / col[0];
    }
}
}

/// The triangular factor of a QR factorisation of a tall matrix, as `L = R^T` (lower triangular,
/// `n x n`): `A^T A = L L^T` up to rounding, without forming the Gram matrix.
pub fn qr_factor_lower(a: MatRef<'_, f64>) -> Mat<f64> {
    let n = a.ncols();
    let qr = a.qr();
    let r = qr.thin_R();
    Mat::from_fn(n, n, |i, j| if i >= j { r[(j, i)] } else { 0.0 })
}

/// `A x`; each entry is a sum of `cols` products.
pub fn apply(a: &Mat<f64>, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; a.nrows()];
    for (j, x) in x.iter().enumerate() {
        axpy(*x, a.col_as_slice(j), &mut y);
    }
    y
}

/// `A^T x`; each entry is a sum of `rows` products.
pub fn apply_transposed(a: &Mat<f64>, x: &[f64]) -> Vec<f64> {
    (0..a.ncols()).map(|j| dot(a.col_as_slice(j), x)).collect()
}

/// Eigenvalues, ascending, and the orthonormal eigenvectors in the columns, of a symmetric matrix
/// given by its lower half; `None` where the iteration fails.
pub fn symmetric_eigen(m: &Mat<f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let e = m.self_adjoint_eigen(faer::Side::Lower).ok()?;
    Some((
        e.S().column_vector().iter().copied().collect(),
        e.U().to_owned(),
    ))
}

/// Eigenvalues alone, ascending, of a symmetric matrix given by its lower half, which is overwritten.
pub fn symmetric_eigenvalues(mut m: Mat<f64>) -> Option<Vec<f64>> {
    use faer::dyn_stack::{MemBuffer, MemStack};
    use faer::linalg::evd::tridiag::{tridiag_in_place, tridiag_in_place_scratch};
    let n = m.nrows();
    if n > 1 {
        let par = parallel::for_work((n as f64).powi(3));
        // blocks of one reflector: nobody applies them
        let mut reflectors = Mat::zeros(1, n - 1);
        let mut memory =
            MemBuffer::new(tridiag_in_place_scratch::<f64>(n, par, Default::default()));
        let stack = MemStack::new(&mut memory);
        tridiag_in_place(
            m.as_mut(),
            reflectors.as_mut(),
            par,
            stack,
            Default::default(),
        );
    }
    let diagonal: Vec<f64> = (0..n).map(|i| m[(i, i)]).collect();
    let beside: Vec<f64> = (1..n).map(|i| m[(i, i - 1)]).collect();
    tridiagonal::eigenvalues(&diagonal, &beside)
}

/// The first `min(m, n)` columns of `Q` in `A = Q R` with a positive diagonal of `R`, column after
/// column, for a column-major `m x n` matrix. Sequential, so that it does not depend on threads.
///
/// The sign makes the factorisation unique, and so `Q` Haar distributed for Gaussian `A` (Mezzadri,
/// Notices AMS 54, 2007). Theorem: haar-by-qr.
pub fn orthonormal_columns(a: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    use faer::dyn_stack::{MemBuffer, MemStack};
    use faer::linalg::householder::{
        apply_block_householder_sequence_on_the_left_in_place_scratch as apply_scratch,
        apply_block_householder_sequence_on_the_left_in_place_with_conj as apply,
    };
    use faer::linalg::qr::no_pivoting::factor::{
        qr_in_place, qr_in_place_scratch, recommended_block_size,
    };
    let rank = rows.min(cols);
    let mut factors = MatRef::from_column_major_slice(a, rows, cols).to_owned();
    let block = recommended_block_size::<f64>(rows, cols);
    let mut reflectors = Mat::<f64>::zeros(block, rank);
    let par = faer::Par::Seq;
    let scratch = qr_in_place_scratch::<f64>(rows, cols, block, par, Default::default())
        .or(apply_scratch::<f64>(rows, block, rank));
    let mut memory = MemBuffer::new(scratch);
    qr_in_place(
        factors.as_mut(),
        reflectors.as_mut(),
        par,
        MemStack::new(&mut memory),
        Default::default(),
    );
    let mut q = Mat::from_fn(rows, rank, |i, j| f64::from(u8::from(i == j)));
    apply(
        factors.as_ref().subcols(0, rank),
        reflectors.as_ref(),
        faer::Conj::No,
        q.as_mut(),
        par,
        MemStack::new(&mut memory),
    );
    let sign = |j: usize| if factors[(j, j)] < 0.0 { -1.0 } else { 1.0 };
    (0..rank)
        .flat_map(|j| {
            q.col_as_slice(j)
                .iter()
                .map(|x| sign(j) * x)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Inverse of a lower triangular matrix, or `None` when a pivot is zero.
pub fn invert_lower(l: &Mat<f64>) -> Option<Mat<f64>> {
    let n = l.nrows();
    if (0..n).any(|i| l[(i, i)] == 0.0) {
        return None;
    }
    let mut x = Mat::zeros(n, n);
    let par = parallel::for_work((n as f64).powi(3) / 3.0);
    faer::linalg::triangular_inverse::invert_lower_triangular(x.as_mut(), l.as_ref(), par);
    (0..n)
        .all(|j| x.col_as_slice(j).iter().all(|v| v.is_finite()))
        .then_some(x)
}

#[cfg(test)]
pub(crate) mod tests;
