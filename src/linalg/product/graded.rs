//! Graded triangular matrices and their singular values.
//!
//! The accumulated triangular factor of a long chain is kept as `T = diag(2^e) U` with integer
//! exponents `e_i` and rows of `U` of size about one, so that neither overflow nor underflow can
//! touch it. Its singular values are found by one-sided Jacobi rotations on the columns
//! `2^(e_i) u_i` of `T^T` (Demmel and Veselic 1992: high relative accuracy, governed by the
//! condition of the *row-scaled* `U` alone), after one QR step that concentrates them (Drmac and
//! Veselic 2008). With `g = e_j - e_i <= 0` the tangent `t` of a rotation is stored as
//! `tau = t 2^-g`, an O(1) number: mantissas are rotated by
//! `u_i <- c (u_i - tau 2^(2g) u_j)`, `u_j <- c (u_j + tau u_i)`. Once `2^(2g)` underflows the
//! rotation is a Gram-Schmidt step, which is what it tends to.

use super::kernel::{Dense, Kernel, inline_norm, power_of_two};
use crate::linalg::vectorised::vectorised;
use crate::scale::exponent_of;

/// Exponent of a row that is zero.
const ZERO_ROW: i64 = i64::MIN / 4;

/// `diag(2^exponents) * U`, `U` upper triangular, stored row after row.
#[derive(Clone, Debug)]
pub(super) struct Graded<T> {
    exponents: Vec<i64>,
    rows: Vec<T>,
}

/// Logarithms of singular values.
#[derive(Clone, Debug)]
pub(super) struct LogValues {
    /// `(exponent, log2 of a mantissa norm in [1, 2))`, largest first; `None` for a computed zero.
    pub values: Vec<Option<(i64, f64)>>,
    /// Whether the rotations converged.
    pub converged: bool,
}

impl<T: Kernel> Graded<T> {
    pub fn identity(n: usize) -> Self {
        Graded {
            exponents: vec![0; n],
            rows: Dense::<T>::identity(n).data,
        }
    }

    /// `T <- r T` for upper triangular `r` with entries of size about one.
    pub fn premultiply(&mut self, r: &Dense<T>) {
        let n = r.cols;
        let mut g = r.clone();
        let mut next = vec![ZERO_ROW; n];
        for l in 0..n {
            for (i, next) in next.iter_mut().enumerate().take(l + 1) {
                if r.data[i + l * n] != T::ZERO {
                    *next = (*next).max(self.exponents[l]);
                }
            }
        }
        for l in 0..n {
            let e = self.exponents[l];
            for (g, &e_max) in g.data[l * n..=l * n + l].iter_mut().zip(&next) {
                *g = g.scale(if e_max == ZERO_ROW {
                    0.0
                } else {
                    power_of_two(e - e_max)
                });
            }
        }
        T::upper_times_rows(&g, &mut self.rows);
        for (i, row) in self.rows.chunks_exact_mut(n).enumerate() {
            let max = row[i..].iter().fold(0.0f64, |m, v| m.max(v.to_f64().abs()));
            if max < f64::MIN_POSITIVE || next[i] == ZERO_ROW {
                row.fill(T::ZERO);
                next[i] = ZERO_ROW;
                continue;
            }
            let x = i64::from(exponent_of(max));
            if x != 0 {
                let s = f64::from_bits(((1023 - x) as u64) << 52);
                for v in &mut row[i..] {
                    *v = v.scale(s);
                }
            }
            next[i] += x;
        }
        self.exponents = next;
    }

    /// Singular values of `T`.
    pub fn log_values(self) -> LogValues {
        let n = self.exponents.len();
        let mut columns: Vec<Column<T>> = self
            .rows
            .chunks_exact(n.max(1))
            .zip(&self.exponents)
            .filter(|&(_, e)| *e != ZERO_ROW)
            .map(|(row, &exponent)| Column::new(row.to_vec(), exponent))
            .collect();
        columns.sort_by(|a, b| b.size().total_cmp(&a.size()));
        concentrate(&mut columns);
        let converged = rotate_all(&mut columns);
        let mut values: Vec<(i64, f64)> = columns
            .iter()
            .map(|c| (c.exponent, c.square.to_f64().log2() * 0.5))
            .collect();
        values.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
        let mut values: Vec<_> = values.into_iter().map(Some).collect();
        values.resize(n, None);
        LogValues { values, converged }
    }
}

/// `2^exponent * v`, `|v|` in [1, 2) up to rounding.
struct Column<T> {
    exponent: i64,
    v: Vec<T>,
    square: T,
}

impl<T: Kernel> Column<T> {
    fn new(v: Vec<T>, exponent: i64) -> Self {
        let mut c = Column {
            exponent,
            v,
            square: T::ZERO,
        };
        c.normalise();
        c
    }

    #[inline(always)]
    fn normalise(&mut self) {
        let size = inline_norm(&self.v).to_f64();
        if size > 0.0 {
            let e = i64::from(exponent_of(size));
            if e != 0 {
                // two factors: 2^-e alone may leave the range of f64
                let (a, b) = (-e / 2, -e - (-e / 2));
                let (a, b) = (crate::scale::ldexp(1.0, a), crate::scale::ldexp(1.0, b));
                for v in &mut self.v {
                    *v = v.scale(a).scale(b);
                }
                self.exponent += e;
            }
        }
        self.square = T::dot(&self.v, &self.v);
    }

    /// log2 of the norm.
    fn size(&self) -> f64 {
        self.exponent as f64 + 0.5 * self.square.to_f64().log2()
    }
}

/// Replaces the columns `M = V D` by the rows of `R D`, `V = Q R`: same singular values, nearly
/// orthogonal already where the grading is steep.
fn concentrate<T: Kernel>(columns: &mut Vec<Column<T>>) {
    let m = columns.len();
    if m < 2 {
        return;
    }
    let rows = columns[0].v.len();
    let mut a = Dense {
        rows,
        cols: m,
        data: columns.iter().flat_map(|c| c.v.iter().copied()).collect(),
    };
    let mut r = Dense::zeros(0, 0);
    T::qr(&mut a, &mut r);
    let exponents: Vec<i64> = columns.iter().map(|c| c.exponent).collect();
    *columns = (0..m)
        .map(|i| {
            let mut v = vec![T::ZERO; m];
            for j in i..m {
                v[j] = r
                    .at(i, j)
                    .scale(power_of_two((exponents[j] - exponents[i]).min(0)));
            }
            Column::new(v, exponents[i])
        })
        .filter(|c| c.square.to_f64() > 0.0)
        .collect();
}

vectorised! {
/// Cyclic sweeps until every pair is orthogonal to working accuracy.
fn rotate_all<T: Kernel>(columns: &mut [Column<T>]) -> bool {
    let m = columns.len();
    let tol = 4.0 * T::EPS * (m as f64).sqrt();
    for _sweep in 0..40 {
        columns.sort_by(|a, b| b.size().total_cmp(&a.size()));
        let mut rotated = false;
        for i in 0..m {
            for j in i + 1..m {
                let (head, tail) = columns.split_at_mut(j);
                let (mut x, mut y) = (&mut head[i], &mut tail[0]);
                if x.exponent < y.exponent {
                    (x, y) = (y, x);
                }
                let d = T::dot(&x.v, &y.v);
                let threshold = tol * (x.square.to_f64() * y.square.to_f64()).sqrt();
                if d.to_f64().abs() <= threshold {
                    continue;
                }
                rotated = true;
                let delta = power_of_two(y.exponent - x.exponent);
                let delta2 = delta * delta;
                // tau = sign(zeta) / (delta |zeta| + sqrt(delta^2 + (delta zeta)^2))
                let z = (y.square.scale(delta2) - x.square) / d.scale(2.0);
                let magnitude = T::ONE / (z.abs() + (T::from(delta2) + z * z).sqrt());
                let tau = if z >= T::ZERO { magnitude } else { -magnitude };
                let t = tau.scale(delta);
                let c = T::ONE / (T::ONE + t * t).sqrt();
                let s = tau.scale(delta2);
                for (x, y) in x.v.iter_mut().zip(y.v.iter_mut()) {
                    let (a, b) = (*x, *y);
                    *x = c * (a - s * b);
                    *y = c * (b + tau * a);
                }
                x.square = T::dot(&x.v, &x.v);
                y.normalise();
            }
        }
        for c in columns.iter_mut() {
            c.normalise();
        }
        if !rotated {
            return true;
        }
    }
    false
}
}

/// Row norms of the inverse of an upper triangular matrix, with the inverse itself.
pub(super) fn inverse_upper<T: Kernel>(c: &Dense<T>) -> (Dense<T>, Vec<f64>) {
    let n = c.cols;
    let mut inverse = Dense::identity(n);
    T::solve_upper(c, &mut inverse);
    let squares = square_rows(&inverse);
    (inverse, squares.into_iter().map(f64::sqrt).collect())
}

vectorised! {
/// Squared row norms of an upper triangular matrix.
fn square_rows<T: Kernel>(a: &Dense<T>) -> Vec<f64> {
    let n = a.cols;
    let mut squares = vec![0.0; n];
    for (j, column) in a.data.chunks_exact(n.max(1)).enumerate() {
        for (s, v) in squares.iter_mut().zip(&column[..=j]) {
            let v = v.to_f64();
            *s += v * v;
        }
    }
    squares
}
}

vectorised! {
/// Normalises every column of an upper triangular matrix; returns the norms (infinite, and the
/// column replaced by a unit vector, where it left the range of `f64`).
pub(super) fn normalise_columns<T: Kernel>(c: &mut Dense<T>) -> Vec<f64> {
    let n = c.cols;
    let mut norms = vec![0.0; n];
    for (j, column) in c.data.chunks_exact_mut(n.max(1)).enumerate() {
        let x = &mut column[..=j];
        let max = x.iter().fold(0.0f64, |m, v| m.max(v.to_f64().abs()));
        let sum: f64 = x.iter().map(|v| v.to_f64()).sum();
        if !sum.is_finite() || !(1e-150..=1e150).contains(&max) {
            x.fill(T::ZERO);
            x[j] = T::ONE;
            norms[j] = f64::INFINITY;
            continue;
        }
        let size = inline_norm(x);
        let inverse = T::ONE / size;
        for v in x.iter_mut() {
            *v *= inverse;
        }
        norms[j] = size.to_f64();
    }
    norms
}
}

vectorised! {
/// `x - q (q^T x)` for every column of `x`, twice.
pub(super) fn project_out<T: Kernel>(x: &mut Dense<T>, q: &Dense<T>) -> () {
    let m = q.rows.max(1);
    for x in x.data.chunks_exact_mut(m) {
        for _ in 0..2 {
            for q in q.data.chunks_exact(m) {
                let s = -T::dot(q, x);
                T::axpy(x, s, q);
            }
        }
    }
}
}
