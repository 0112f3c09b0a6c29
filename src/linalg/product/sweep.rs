//! The two passes over a chain: discrete QR forward, covariant vectors backward.

use super::graded::{Graded, LogValues, inverse_upper, normalise_columns, project_out};
use super::kernel::{Dense, Kernel, norm, pivot_order};
use super::scan::Live;
use super::source::{Layer, LayerSource};
use super::splitting::Splitting;
use super::{ProductError, Progress, Stage};
use crate::linalg::vectorised::vectorised;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::collections::HashMap;

/// Bytes of triangular factors kept for the backward pass before segments are recomputed.
const BUDGET: usize = 64 << 20;

/// What one forward and one backward pass say about the singular values of a chain, seen through
/// the span of its start.
pub(super) struct Pass {
    /// Logarithms, largest first, without the scales of the layers.
    pub values: LogValues,
    /// `sum_k |W_k|_F |p_k| |m_{k-1}| / |p_k^T W_k m_{k-1}|` for each value: its relative change
    /// for a relative change one of every layer, to first order.
    pub sensitivity: Vec<f64>,
    /// What independent relative errors one in every step add up to: the root of the sum of
    /// squares over distinct layers, plain sums over layers that recur bit for bit, whose rounding
    /// errors may recur with them, plus the final triangular factor.
    pub rounding: Vec<f64>,
}

/// What the backward pass needs of layer `k`.
struct Record<T> {
    r: Dense<T>,
    /// Basis before the layer; kept only where the chain is wider than the start.
    q: Option<Dense<T>>,
    frobenius: f64,
    /// Largest norm of a row or column: the size of one rounding error of the step, in units of
    /// the roundoff.
    spread: f64,
    fingerprint: u64,
}

/// Coordinates in the order column pivoting takes the first layer, as a square start.
pub(super) fn pivoted_start<T: Kernel, S: LayerSource>(
    live: &mut Live<'_, S>,
) -> Result<Dense<T>, ProductError> {
    let mut w = Layer::new();
    live.read(0, &mut w)?;
    let n = w.cols();
    let mut q = Dense::zeros(n, n);
    for (j, i) in pivot_order(&w).into_iter().enumerate() {
        q.data[i + j * n] = T::ONE;
    }
    Ok(q)
}

/// Seeded random directions at the end of the chain: `rows x cols`, orthonormal.
pub(super) fn random_basis<T: Kernel>(rows: usize, cols: usize) -> Dense<T> {
    let mut rng = ChaCha8Rng::seed_from_u64(0x1509_3e7e);
    let mut q = Dense::zeros(rows, cols);
    for x in &mut q.data {
        let z: f64 = StandardNormal.sample(&mut rng);
        *x = T::from(z);
    }
    let mut r = Dense::zeros(0, 0);
    T::qr(&mut q, &mut r);
    q
}

/// A basis computed in double, made orthonormal in `T`: enough wherever it spans the whole input
/// space, since only its orthogonality then enters the result.
pub(super) fn refine<T: Kernel>(basis: &Dense<f64>) -> Dense<T> {
    let mut q = Dense {
        rows: basis.rows,
        cols: basis.cols,
        data: basis.data.iter().map(|&x| T::from(x)).collect(),
    };
    let mut r = Dense::zeros(0, 0);
    T::qr(&mut q, &mut r);
    q
}

/// Carries a basis of the output space backward through the transposed layers: a basis of the
/// row space with directions in decreasing order of growth, whatever order the chain started in.
pub(super) fn backward_basis<T: Kernel, S: LayerSource>(
    live: &mut Live<'_, S>,
    end: Dense<T>,
    progress: Progress<'_>,
) -> Result<Dense<T>, ProductError> {
    let depth = live.depth();
    let (mut w, mut z, mut next, mut r) =
        (Layer::new(), end, Dense::zeros(0, 0), Dense::zeros(0, 0));
    for k in (0..depth).rev() {
        live.read(k, &mut w)?;
        T::multiply_transposed(&w, &z, &mut next);
        T::qr(&mut next, &mut r);
        std::mem::swap(&mut z, &mut next);
        progress.report(Stage::Start, depth - k, depth);
    }
    Ok(z)
}

/// Forward QR from `start`: the final basis and the graded triangular factor.
pub(super) fn forward<T: Kernel, S: LayerSource>(
    live: &mut Live<'_, S>,
    start: Dense<T>,
    progress: Progress<'_>,
) -> Result<(Dense<T>, Graded<T>), ProductError> {
    let depth = live.depth();
    let mut t = Graded::identity(start.cols);
    let mut q = start;
    let (mut w, mut next, mut r) = (Layer::new(), Dense::zeros(0, 0), Dense::zeros(0, 0));
    for k in 0..depth {
        live.read(k, &mut w)?;
        T::multiply(&w, &q, &mut next);
        T::qr(&mut next, &mut r);
        std::mem::swap(&mut q, &mut next);
        t.premultiply(&r);
        progress.report(Stage::Forward, k + 1, depth);
    }
    Ok((q, t))
}

/// Both passes. Memory: the records of one segment and one basis per segment, about
/// `sqrt(depth)` matrices of each once the budget is exceeded.
pub(super) fn analyse<T: Kernel, S: LayerSource>(
    live: &mut Live<'_, S>,
    start: Dense<T>,
    progress: Progress<'_>,
) -> Result<Pass, ProductError> {
    let depth = live.depth();
    let n = start.cols;
    let widest = (0..=depth)
        .map(|level| live.width(level))
        .max()
        .unwrap_or(n);
    let wide = widest > n;
    let bytes = size_of::<T>() * n * (n + if wide { widest } else { 0 });
    let segment = (BUDGET / bytes.max(1)).max(depth.isqrt()).clamp(1, depth);

    let mut checkpoints: Vec<Dense<T>> = Vec::new();
    let mut records: Vec<Record<T>> = Vec::new();
    let mut t = Graded::identity(n);
    let mut q = start;
    let mut step = Step::new(wide);
    let mut splitting = Splitting::new(n);
    let mut seen: HashMap<u64, usize> = HashMap::new();
    for k in 0..depth {
        if k % segment == 0 {
            checkpoints.push(q.clone());
            records.clear();
        }
        let record = step.forward(live, k, &mut q)?;
        t.premultiply(&record.r);
        splitting.step(&record.r, record.spread);
        *seen.entry(record.fingerprint).or_default() += 1;
        records.push(record);
        progress.report(Stage::Forward, k + 1, depth);
    }
    let values = t.log_values();
    seen.retain(|_, times| *times > 1);
    let recurring = seen.into_keys().map(|f| (f, vec![0.0; n])).collect();

    let mut backward = Backward::new(n, wide.then_some(q), recurring);
    for (s, checkpoint) in checkpoints.into_iter().enumerate().rev() {
        let range = s * segment..((s + 1) * segment).min(depth);
        if records.is_empty() {
            let mut q = checkpoint;
            for k in range.clone() {
                records.push(step.forward(live, k, &mut q)?);
            }
        }
        for k in range.rev() {
            if let Some(record) = records.pop() {
                backward.step(live, k, record)?;
            }
            progress.report(Stage::Backward, depth - k, depth);
        }
    }
    Ok(backward.finish(values, &splitting.finish(T::EPS)))
}

/// Buffers of the forward step.
struct Step<T> {
    w: Layer,
    next: Dense<T>,
    wide: bool,
}

impl<T: Kernel> Step<T> {
    fn new(wide: bool) -> Self {
        Step {
            w: Layer::new(),
            next: Dense::zeros(0, 0),
            wide,
        }
    }

    /// `W_k q = q' r`.
    fn forward<S: LayerSource>(
        &mut self,
        live: &mut Live<'_, S>,
        k: usize,
        q: &mut Dense<T>,
    ) -> Result<Record<T>, ProductError> {
        live.read(k, &mut self.w)?;
        T::multiply(&self.w, q, &mut self.next);
        let mut r = Dense::zeros(0, 0);
        T::qr(&mut self.next, &mut r);
        std::mem::swap(q, &mut self.next);
        Ok(Record {
            r,
            // after the swap `next` holds the old basis
            q: self.wide.then(|| self.next.clone()),
            frobenius: norm(self.w.entries()),
            spread: spread(&self.w),
            fingerprint: fingerprint(&self.w),
        })
    }
}

/// The backward recursion of covariant vectors (Ginelli et al. 2007): `C_{k-1} = R_k^-1 C_k` with
/// normalised columns holds the forward vectors of all indices in the basis `Q_{k-1}`; the rows of
/// `C_k^-1` are the backward vectors inside the span of `Q_k`. Where the chain is wider than that
/// span, the part of `W^T p` outside it is carried as well.
struct Backward<T> {
    c: Dense<T>,
    /// Backward vectors in full space as columns, and the buffer for the next ones.
    full: Option<(Dense<T>, Dense<T>)>,
    /// Norms of the backward vectors, forward vectors having norm one.
    norms: Vec<f64>,
    inside: Vec<f64>,
    sensitivity: Vec<f64>,
    squares: Vec<f64>,
    /// Sums for layers that recur.
    recurring: HashMap<u64, Vec<f64>>,
    w: Layer,
}

impl<T: Kernel> Backward<T> {
    fn new(n: usize, end: Option<Dense<T>>, recurring: HashMap<u64, Vec<f64>>) -> Self {
        Backward {
            c: Dense::identity(n),
            full: end.map(|q| (q, Dense::zeros(0, 0))),
            norms: vec![1.0; n],
            inside: vec![1.0; n],
            sensitivity: vec![0.0; n],
            squares: vec![0.0; n],
            recurring,
            w: Layer::new(),
        }
    }

    fn step<S: LayerSource>(
        &mut self,
        live: &mut Live<'_, S>,
        k: usize,
        mut record: Record<T>,
    ) -> Result<(), ProductError> {
        guard_diagonal(&mut record.r);
        T::solve_upper(&record.r, &mut self.c);
        let growth = normalise_columns(&mut self.c);
        let mut group = self.recurring.get_mut(&record.fingerprint);
        for (i, (p, g)) in self.norms.iter().zip(&growth).enumerate() {
            let angle = p * g;
            let angle = if angle.is_nan() { f64::INFINITY } else { angle };
            self.sensitivity[i] += record.frobenius * angle;
            match &mut group {
                Some(sums) => sums[i] += record.spread * angle,
                None => self.squares[i] += (record.spread * angle).powi(2),
            }
        }
        let (inverse, inside) = inverse_upper(&self.c);
        self.norms.clone_from(&inside);
        self.inside = inside;
        if let (Some((p, next)), Some(q)) = (&mut self.full, &record.q) {
            live.read(k, &mut self.w)?;
            T::multiply_transposed(&self.w, p, next);
            scale_columns(next, &growth);
            project_out(next, q);
            for (p, column) in self.norms.iter_mut().zip(next.data.chunks_exact(q.rows)) {
                *p = p.hypot(norm(column).to_f64());
            }
            add_inside(next, q, &inverse);
            std::mem::swap(p, next);
        }
        Ok(())
    }

    fn finish(mut self, values: LogValues, mixing: &[f64]) -> Pass {
        for sums in self.recurring.values() {
            for (square, s) in self.squares.iter_mut().zip(sums) {
                *square += s * s;
            }
        }
        let rounding = self.squares.iter().zip(&self.inside).zip(mixing);
        Pass {
            rounding: rounding.map(|((s, t), m)| s.sqrt() + t + m).collect(),
            sensitivity: self.sensitivity,
            values,
        }
    }
}

vectorised! {
/// Largest Euclidean norm of a row or a column.
fn spread(w: &Layer) -> f64 {
    let mut rows = vec![0.0f64; w.rows()];
    let mut largest = 0.0f64;
    for j in 0..w.cols() {
        let mut column = 0.0;
        for (row, x) in rows.iter_mut().zip(w.column(j)) {
            let square = x * x;
            *row += square;
            column += square;
        }
        largest = largest.max(column);
    }
    rows.into_iter().fold(largest, f64::max).sqrt()
}
}

/// Hash of the entries (FNV-1a by words).
fn fingerprint(w: &Layer) -> u64 {
    w.entries().iter().fold(0xcbf2_9ce4_8422_2325, |h, x| {
        (h ^ x.to_bits())
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(23)
    })
}

/// Replaces vanishing diagonal entries so that solves stay finite; the sensitivity of their index
/// is then beyond any tolerance.
fn guard_diagonal<T: Kernel>(r: &mut Dense<T>) {
    let n = r.cols;
    let floor = 1e-120
        * r.data
            .iter()
            .fold(1e-100f64, |m, v| m.max(v.to_f64().abs()));
    for i in 0..n {
        let d = &mut r.data[i * (n + 1)];
        if d.to_f64().abs() < floor {
            *d = T::from(floor);
        }
    }
}

/// Multiplies columns by finite factors; columns whose factor or result is not finite become zero
/// (their index is already reported as lost).
fn scale_columns<T: Kernel>(a: &mut Dense<T>, factors: &[f64]) {
    for (column, &f) in a.data.chunks_exact_mut(a.rows).zip(factors) {
        let max = column.iter().fold(0.0f64, |m, v| m.max(v.to_f64().abs()));
        let fits = f.is_finite() && max * f < 1e140;
        for v in column {
            *v = if fits { v.scale(f) } else { T::ZERO };
        }
    }
}

vectorised! {
/// `out += q inverse^T` for upper triangular `inverse`.
fn add_inside<T: Kernel>(out: &mut Dense<T>, q: &Dense<T>, inverse: &Dense<T>) -> () {
    for (i, column) in out.data.chunks_exact_mut(q.rows).enumerate() {
        for j in i..q.cols {
            T::axpy(column, inverse.at(i, j), q.column(j));
        }
    }
}
}
