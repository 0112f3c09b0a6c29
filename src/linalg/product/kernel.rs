//! Small dense kernels, generic over [`Real`], and their blocked counterparts for wide layers.
//!
//! Everything is column-major. Up to [`SMALL`] columns plain vectorised loops beat the per-call
//! overhead of a blocked library.

use super::inner::Inner;
use super::planes;
use super::source::Layer;
use crate::linalg::dd::{Dd, Real};
use crate::linalg::vectorised::vectorised;
use crate::scale::exponent_of;
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_upper_triangular_in_place;
use faer::{Accum, MatMut, MatRef};

/// Widths up to this one use the kernels of this file, wider ones faer.
pub(super) const SMALL: usize = 48;

/// A column-major matrix.
#[derive(Clone, Debug, Default)]
pub(super) struct Dense<T> {
    pub rows: usize,
    pub cols: usize,
    pub data: Vec<T>,
}

impl<T: Real> Dense<T> {
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Dense {
            rows,
            cols,
            data: vec![T::ZERO; rows * cols],
        }
    }

    pub fn identity(n: usize) -> Self {
        let mut m = Self::zeros(n, n);
        for i in 0..n {
            m.data[i * (n + 1)] = T::ONE;
        }
        m
    }

    pub fn column(&self, j: usize) -> &[T] {
        &self.data[j * self.rows..(j + 1) * self.rows]
    }

    pub fn at(&self, i: usize, j: usize) -> T {
        self.data[i + j * self.rows]
    }
}

/// `2^e` for `e <= 0`; zero below the normal range.
#[inline(always)]
pub(super) fn power_of_two(e: i64) -> f64 {
    if e < -1022 {
        0.0
    } else {
        f64::from_bits(((e.min(1023) + 1023) as u64) << 52)
    }
}

/// Euclidean norm that survives squares below the range of `f64`. Entries are at most about 1e150.
#[inline(always)]
pub(super) fn inline_norm<T: Inner>(x: &[T]) -> T {
    let s = T::dot(x, x);
    if s.to_f64() > 1e-200 {
        return s.sqrt();
    }
    let max = x.iter().fold(0.0f64, |m, v| m.max(v.to_f64().abs()));
    if max < f64::MIN_POSITIVE {
        return T::ZERO;
    }
    let e = i64::from(exponent_of(max));
    let up = f64::from_bits(((1023 - e) as u64) << 52);
    let mut s = T::ZERO;
    for v in x {
        let v = v.scale(up);
        s += v * v;
    }
    s.sqrt().scale(power_of_two(e))
}

vectorised! {
/// [`inline_norm`] for callers that are not vectorised themselves.
pub(super) fn norm<T: Inner>(x: &[T]) -> T {
    inline_norm(x)
}
}

/// Arithmetic that chains can be run in.
pub(super) trait Kernel: Inner {
    /// `out = w q`.
    fn multiply(w: &Layer, q: &Dense<Self>, out: &mut Dense<Self>) {
        planes::multiply(w, q, out);
    }

    /// `out = w^T p`.
    fn multiply_transposed(w: &Layer, p: &Dense<Self>, out: &mut Dense<Self>) {
        planes::multiply_transposed(w, p, out);
    }

    /// `a = q r` with `q` (in place of `a`, which has at least as many rows as columns)
    /// orthonormal and `r` upper triangular.
    fn qr(a: &mut Dense<Self>, r: &mut Dense<Self>) {
        planes::qr(a, r);
    }

    /// `c = r^-1 c` for upper triangular `r` (diagonal non-zero) and `c`.
    fn solve_upper(r: &Dense<Self>, c: &mut Dense<Self>) {
        small_solve_upper(r, c);
    }

    /// `rows = g rows` for upper triangular `g` (column-major) and `rows` (row-major).
    fn upper_times_rows(g: &Dense<Self>, rows: &mut Vec<Self>) {
        small_upper_times_rows(g, rows);
    }
}

impl Kernel for Dd {}

fn view(a: &Dense<f64>) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(&a.data, a.rows, a.cols)
}

fn view_mut(a: &mut Dense<f64>) -> MatMut<'_, f64> {
    MatMut::from_column_major_slice_mut(&mut a.data, a.rows, a.cols)
}

impl Kernel for f64 {
    fn multiply(w: &Layer, q: &Dense<f64>, out: &mut Dense<f64>) {
        if q.cols <= SMALL {
            return planes::multiply(w, q, out);
        }
        reshape(out, w.rows(), q.cols);
        let w = MatRef::from_column_major_slice(w.entries(), w.rows(), w.cols());
        let par = faer::get_global_parallelism();
        matmul(view_mut(out), Accum::Replace, w, view(q), 1.0, par);
    }

    fn multiply_transposed(w: &Layer, p: &Dense<f64>, out: &mut Dense<f64>) {
        if p.cols <= SMALL {
            return planes::multiply_transposed(w, p, out);
        }
        reshape(out, w.cols(), p.cols);
        let w = MatRef::from_column_major_slice(w.entries(), w.rows(), w.cols());
        let par = faer::get_global_parallelism();
        matmul(
            view_mut(out),
            Accum::Replace,
            w.transpose(),
            view(p),
            1.0,
            par,
        );
    }

    fn qr(a: &mut Dense<f64>, r: &mut Dense<f64>) {
        if a.cols <= SMALL {
            return planes::qr(a, r);
        }
        let n = a.cols;
        reshape(r, n, n);
        let f = view(a).qr();
        let top = f.thin_R();
        for j in 0..n {
            for i in 0..=j {
                r.data[i + j * n] = top[(i, j)];
            }
        }
        let q = f.compute_thin_Q();
        view_mut(a).copy_from(&q);
    }

    fn solve_upper(r: &Dense<f64>, c: &mut Dense<f64>) {
        if r.cols <= SMALL {
            return small_solve_upper(r, c);
        }
        let par = faer::get_global_parallelism();
        solve_upper_triangular_in_place(view(r), view_mut(c), par);
    }

    fn upper_times_rows(g: &Dense<f64>, rows: &mut Vec<f64>) {
        let n = g.cols;
        if n <= SMALL {
            return small_upper_times_rows(g, rows);
        }
        use faer::linalg::matmul::triangular::{BlockStructure, matmul};
        let mut out = vec![0.0; n * n];
        let upper = BlockStructure::TriangularUpper;
        matmul(
            MatMut::from_row_major_slice_mut(&mut out, n, n),
            upper,
            Accum::Replace,
            view(g),
            upper,
            MatRef::from_row_major_slice(rows, n, n),
            upper,
            1.0,
            faer::get_global_parallelism(),
        );
        *rows = out;
    }
}

pub(super) fn reshape<T: Real>(a: &mut Dense<T>, rows: usize, cols: usize) {
    (a.rows, a.cols) = (rows, cols);
    a.data.clear();
    a.data.resize(rows * cols, T::ZERO);
}

vectorised! {
fn small_solve_upper<T: Kernel>(r: &Dense<T>, c: &mut Dense<T>) -> () {
    let n = r.cols;
    let inverse: Vec<T> = (0..n).map(|i| T::ONE / r.data[i * (n + 1)]).collect();
    for (j, x) in c.data.chunks_exact_mut(n.max(1)).enumerate() {
        for i in (0..=j).rev() {
            let (above, here) = x.split_at_mut(i);
            here[0] *= inverse[i];
            T::axpy(above, -here[0], &r.data[i * n..i * n + i]);
        }
    }
}
}

vectorised! {
fn small_upper_times_rows<T: Kernel>(g: &Dense<T>, rows: &mut [T]) -> () {
    let n = g.cols;
    // row i of the result needs rows l >= i only: in place, from the top
    for i in 0..n {
        let (head, tail) = rows.split_at_mut((i + 1) * n);
        let y = &mut head[i * n + i..];
        let d = g.data[i * (n + 1)];
        for v in y.iter_mut() {
            *v *= d;
        }
        for l in i + 1..n {
            let x = &tail[(l - i - 1) * n + l..(l - i) * n];
            T::axpy(&mut y[l - i..], g.data[i + l * n], x);
        }
    }
}
}

/// Order in which column-pivoted QR would take the columns: a start that sets decreasing order.
pub(super) fn pivot_order(w: &Layer) -> Vec<usize> {
    let n = w.cols();
    if n > SMALL {
        let f = MatRef::from_column_major_slice(w.entries(), w.rows(), n).col_piv_qr();
        return f.P().arrays().0.to_vec();
    }
    let mut a: Vec<Vec<f64>> = (0..n).map(|j| w.column(j).to_vec()).collect();
    order_by_elimination(&mut a)
}

vectorised! {
/// Pivot order of columns, which are overwritten: modified Gram-Schmidt, as only the order matters.
fn order_by_elimination(a: &mut [Vec<f64>]) -> Vec<usize> {
    let n = a.len();
    let m = a.first().map_or(0, Vec::len);
    let mut order: Vec<usize> = (0..n).collect();
    for j in 0..n.min(m) {
        let mut best = (j, -1.0);
        for (l, column) in a.iter().enumerate().skip(j) {
            let size = inline_norm(&column[..]);
            if size > best.1 {
                best = (l, size);
            }
        }
        a.swap(j, best.0);
        order.swap(j, best.0);
        if best.1 <= 0.0 {
            break;
        }
        let (head, tail) = a.split_at_mut(j + 1);
        let q = &mut head[j];
        for v in q.iter_mut() {
            *v /= best.1;
        }
        for column in tail {
            let s = -f64::dot(q, column);
            f64::axpy(column, s, q);
        }
    }
    order
}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample<T: Real>(rows: usize, cols: usize) -> Dense<T> {
        let mut x = 1u64;
        let mut m = Dense::zeros(rows, cols);
        for v in &mut m.data {
            x = x
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            *v = T::from((x >> 11) as f64 / (1u64 << 53) as f64 - 0.5);
        }
        m
    }

    fn check_qr<T: Kernel>(rows: usize, cols: usize) {
        let a = sample::<T>(rows, cols);
        let (mut q, mut r) = (a.clone(), Dense::zeros(0, 0));
        T::qr(&mut q, &mut r);
        let tol = 8.0 * T::EPS * rows as f64;
        for j in 0..cols {
            for i in 0..cols {
                let g = T::dot(q.column(i), q.column(j)).to_f64() - f64::from(u8::from(i == j));
                assert!(g.abs() <= tol, "orthogonality {g:e}");
            }
            for i in 0..rows {
                let mut s = -a.at(i, j);
                for l in 0..=j {
                    s += q.at(i, l) * r.at(l, j);
                }
                assert!(s.to_f64().abs() <= tol, "residual {s:?}");
            }
        }
    }

    #[test]
    fn qr_reproduces_the_matrix_in_both_arithmetics() {
        for (m, n) in [(1, 1), (5, 5), (9, 4), (17, 17), (33, 20), (60, 55)] {
            check_qr::<f64>(m, n);
            check_qr::<Dd>(m, n);
        }
    }

    #[test]
    fn triangular_kernels_agree_with_plain_loops() {
        for n in [1usize, 3, 16, 50] {
            let mut g = sample::<f64>(n, n);
            let mut h = sample::<f64>(n, n);
            for j in 0..n {
                for i in j + 1..n {
                    g.data[i + j * n] = 0.0;
                    h.data[i + j * n] = 0.0;
                }
                g.data[j * (n + 1)] += 2.0;
            }
            let mut rows = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..n {
                    rows[i * n + j] = h.at(i, j);
                }
            }
            f64::upper_times_rows(&g, &mut rows);
            let mut product = Dense::zeros(n, n);
            for i in 0..n {
                for j in i..n {
                    let s: f64 = (i..=j).map(|l| g.at(i, l) * h.at(l, j)).sum();
                    assert!((s - rows[i * n + j]).abs() < 1e-13);
                    product.data[i + j * n] = s;
                }
            }
            f64::solve_upper(&g, &mut product);
            for (a, b) in product.data.iter().zip(&h.data) {
                assert!((a - b).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn norm_survives_tiny_entries() {
        let x = [3e-250, 4e-250];
        assert!((norm(&x) / 5e-250 - 1.0).abs() < 1e-15);
        assert_eq!(norm::<f64>(&[]), 0.0);
    }
}
