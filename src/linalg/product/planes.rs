//! Products and QR of small matrices held row after row in blocks of neighbouring columns, so
//! that every inner loop runs over independent columns: no sums across a register, and in
//! double-double the leading and the trailing parts are registers of their own.

use super::inner::{Inner, LANES};
use super::kernel::{Dense, inline_norm, reshape};
use super::source::Layer;
use crate::linalg::vectorised::vectorised;

/// A matrix as rows of blocks; columns are padded with zeros.
struct Planes<T: Inner> {
    /// Blocks per row.
    width: usize,
    data: Vec<T::Blocks>,
}

impl<T: Inner> Planes<T> {
    #[inline(always)]
    fn zeros(rows: usize, cols: usize) -> Self {
        let width = cols.div_ceil(LANES);
        Planes {
            width,
            data: vec![T::NONE; rows * width],
        }
    }

    #[inline(always)]
    fn load(a: &Dense<T>) -> Self {
        let mut p = Self::zeros(a.rows, a.cols);
        for (j, column) in a.data.chunks_exact(a.rows.max(1)).enumerate() {
            for (x, row) in column.iter().zip(p.data.chunks_exact_mut(p.width)) {
                T::set(&mut row[j / LANES], j % LANES, *x);
            }
        }
        p
    }

    #[inline(always)]
    fn store(&self, out: &mut Dense<T>) {
        for (j, column) in out.data.chunks_exact_mut(out.rows.max(1)).enumerate() {
            for (x, row) in column.iter_mut().zip(self.data.chunks_exact(self.width)) {
                *x = T::get(&row[j / LANES], j % LANES);
            }
        }
    }

    /// Applies `I - tau x x^T` to rows `first..` from block `from` on.
    #[inline(always)]
    fn reflect(&mut self, first: usize, from: usize, tau: T, x: &[T]) {
        let width = self.width;
        let rows = &mut self.data[first * width..];
        for b in from..width {
            let mut s = T::NONE;
            for (x, row) in x.iter().zip(rows.chunks_exact(width)) {
                s = T::add_multiple(s, *x, row[b]);
            }
            for (x, row) in x.iter().zip(rows.chunks_exact_mut(width)) {
                row[b] = T::add_multiple(row[b], -(tau * *x), s);
            }
        }
    }
}

vectorised! {
/// `out = w q`.
pub(super) fn multiply<T: Inner>(w: &Layer, q: &Dense<T>, out: &mut Dense<T>) -> () {
    reshape(out, w.rows(), q.cols);
    let m = w.rows();
    if w.cols() == 0 {
        return;
    }
    let q = Planes::load(q);
    let mut y = Planes::<T>::zeros(m, out.cols);
    for (i, row) in y.data.chunks_exact_mut(q.width.max(1)).enumerate() {
        for (b, y) in row.iter_mut().enumerate() {
            let mut s = T::NONE;
            for (w, q) in w.entries()[i..].iter().step_by(m).zip(q.data.chunks_exact(q.width)) {
                s = T::add_scaled(s, *w, q[b]);
            }
            *y = s;
        }
    }
    y.store(out);
}
}

vectorised! {
/// `out = w^T p`.
pub(super) fn multiply_transposed<T: Inner>(w: &Layer, p: &Dense<T>, out: &mut Dense<T>) -> () {
    reshape(out, w.cols(), p.cols);
    let p = Planes::load(p);
    let mut y = Planes::<T>::zeros(w.cols(), out.cols);
    let columns = w.entries().chunks_exact(w.rows().max(1));
    for (row, w) in y.data.chunks_exact_mut(p.width.max(1)).zip(columns) {
        for (b, y) in row.iter_mut().enumerate() {
            let mut s = T::NONE;
            for (w, p) in w.iter().zip(p.data.chunks_exact(p.width)) {
                s = T::add_scaled(s, *w, p[b]);
            }
            *y = s;
        }
    }
    y.store(out);
}
}

vectorised! {
/// Householder QR (Golub and Van Loan, algorithm 5.2.1): `a`, with at least as many rows as
/// columns, becomes the orthonormal factor, formed backwards.
pub(super) fn qr<T: Inner>(a: &mut Dense<T>, r: &mut Dense<T>) -> () {
    let (m, n) = (a.rows, a.cols);
    reshape(r, n, n);
    if n == 0 {
        return;
    }
    let mut planes = Planes::load(a);
    let width = planes.width;
    // vectors in place of the columns of `a` below the diagonal
    let mut tau = vec![T::ZERO; n];
    for (j, tau) in tau.iter_mut().enumerate() {
        let (block, lane) = (j / LANES, j % LANES);
        let x = &mut a.data[j * m + j..(j + 1) * m];
        for (x, row) in x.iter_mut().zip(planes.data[j * width..].chunks_exact(width)) {
            *x = T::get(&row[block], lane);
        }
        let alpha = x[0];
        let length = if x.len() > 1 { inline_norm(x) } else { alpha.abs() };
        // below 2^-1000 of the largest entry: zero to any working precision
        if length.to_f64() < 1e-300 || x.len() == 1 {
            r.data[j * n + j] = if x.len() == 1 { alpha } else { T::ZERO };
        } else {
            let beta = if alpha >= T::ZERO { -length } else { length };
            let inverse = T::ONE / (alpha - beta);
            *tau = (beta - alpha) / beta;
            r.data[j * n + j] = beta;
            x[0] = T::ONE;
            for v in &mut x[1..] {
                *v *= inverse;
            }
            // columns before j are finished, what happens to them there does not matter
            planes.reflect(j, (j + 1) / LANES, *tau, x);
        }
        for l in j + 1..n {
            r.data[l * n + j] = T::get(&planes.data[j * width + l / LANES], l % LANES);
        }
    }
    planes.data.fill(T::NONE);
    for j in (0..n).rev() {
        T::set(&mut planes.data[j * width + j / LANES], j % LANES, T::ONE);
        if tau[j] != T::ZERO {
            planes.reflect(j, j / LANES, tau[j], &a.data[j * m + j..(j + 1) * m]);
        }
    }
    planes.store(a);
}
}
