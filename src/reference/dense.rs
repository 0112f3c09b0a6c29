//! One layer of weights: `h = W x + b`.

use super::scaled::Scaled;
use crate::linalg::dense::{axpy_inline, dot_inline};
use crate::linalg::vectorised::vectorised;

/// A dense layer.
///
/// # Examples
/// ```
/// use isometer::reference::Dense;
/// let layer = Dense::new(1, 2, vec![3.0, 4.0]).with_bias(vec![0.5]).with_multiplier(2.0);
/// assert_eq!((layer.rows, layer.cols, layer.bias, layer.multiplier), (1, 2, Some(vec![0.5]), 2.0));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Rows of `W`: outputs.
    pub rows: usize,
    /// Columns of `W`: inputs.
    pub cols: usize,
    /// The effective entries, row after row: the stored ones times [`multiplier`](Dense::multiplier).
    pub weights: Vec<f64>,
    /// Effective over stored weights.
    pub multiplier: f64,
    /// The bias, if there is one.
    pub bias: Option<Vec<f64>>,
}

vectorised! {
/// `y = W x` for row-major `W`.
fn multiply(w: &[f64], x: &[f64], y: &mut [f64]) -> () {
    for (row, y) in w.chunks_exact(x.len()).zip(y) {
        *y = dot_inline(row, x);
    }
}
}

vectorised! {
/// `x += W^T y` for row-major `W`.
fn multiply_transposed(w: &[f64], y: &[f64], x: &mut [f64]) -> () {
    for (row, y) in w.chunks_exact(x.len()).zip(y) {
        if *y != 0.0 {
            axpy_inline(*y, row, x);
        }
    }
}
}

impl Dense {
    /// A layer from effective weights, row after row, without a bias.
    ///
    /// # Panics
    ///
    /// Unless there are `rows * cols` weights.
    pub fn new(rows: usize, cols: usize, weights: Vec<f64>) -> Dense {
        assert_eq!(
            weights.len(),
            rows * cols,
            "entries of a {rows} x {cols} layer"
        );
        Dense {
            rows,
            cols,
            weights,
            multiplier: 1.0,
            bias: None,
        }
    }

    /// The layer with a bias.
    ///
    /// # Panics
    ///
    /// Unless there is one entry a row.
    #[must_use]
    pub fn with_bias(mut self, bias: Vec<f64>) -> Dense {
        assert_eq!(bias.len(), self.rows, "entries of a bias");
        self.bias = Some(bias);
        self
    }

    /// The layer with its weights understood as `multiplier` times the stored ones.
    #[must_use]
    pub fn with_multiplier(mut self, multiplier: f64) -> Dense {
        self.multiplier = multiplier;
        self
    }

    /// `W x`.
    pub(super) fn linear(&self, x: &Scaled) -> Scaled {
        assert_eq!(
            x.len(),
            self.cols,
            "inputs of a {} x {} layer",
            self.rows,
            self.cols
        );
        let mut y = vec![0.0; self.rows];
        multiply(&self.weights, x.values(), &mut y);
        Scaled::with_exponent(y, x.exponent())
    }

    /// `W x + b`.
    pub(super) fn affine(&self, x: &Scaled) -> Scaled {
        let h = self.linear(x);
        match &self.bias {
            Some(bias) => h.plus(&Scaled::new(bias.clone())),
            None => h,
        }
    }

    /// `W^T y`.
    pub(super) fn transposed(&self, y: &Scaled) -> Scaled {
        assert_eq!(
            y.len(),
            self.rows,
            "outputs of a {} x {} layer",
            self.rows,
            self.cols
        );
        let mut x = vec![0.0; self.cols];
        multiply_transposed(&self.weights, y.values(), &mut x);
        Scaled::with_exponent(x, y.exponent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_definition() {
        let entry = |i: usize, j: usize| (i * 7 + j * 3) as f64 - 20.0;
        let (rows, cols) = (5, 37);
        let weights = (0..rows * cols)
            .map(|k| entry(k / cols, k % cols))
            .collect();
        let layer = Dense::new(rows, cols, weights).with_bias(vec![1.0; rows]);
        let x: Vec<f64> = (0..cols).map(|j| (j as f64) - 11.0).collect();
        let y: Vec<f64> = (0..rows).map(|i| 3.0 - i as f64).collect();
        // integers: exact in any order
        let wx: Vec<f64> = (0..rows)
            .map(|i| 1.0 + (0..cols).map(|j| entry(i, j) * x[j]).sum::<f64>())
            .collect();
        let wty: Vec<f64> = (0..cols)
            .map(|j| (0..rows).map(|i| entry(i, j) * y[i]).sum())
            .collect();
        assert_eq!(layer.affine(&Scaled::new(x)).to_vec(), wx);
        assert_eq!(layer.transposed(&Scaled::new(y)).to_vec(), wty);
    }

    #[test]
    fn a_bias_joins_at_its_true_scale() {
        let layer = Dense::new(1, 1, vec![1.0]).with_bias(vec![4.0]);
        let at = |e: i64| layer.affine(&Scaled::with_exponent(vec![1.0], e));
        assert_eq!(at(2).to_vec(), [8.0]);
        assert_eq!(at(5000), Scaled::with_exponent(vec![1.0], 5000));
        assert_eq!(at(-5000), Scaled::new(vec![4.0]));
    }
}
