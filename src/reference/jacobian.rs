//! The Jacobian from the input to the last hidden layer as a chain of matrices.

use super::scaled::{Scaled, aligned};
use super::trace::Trace;
use crate::linalg::product::{Layer, ProductError, ProductOptions, ProductSpectrum, spectrum};

/// `J = 2^exponent J_L ... J_1`: `J_l` is `A' W_l`, in residual layers `I + beta W_l A'`, with the derivative `A'`
/// of normalization, activation and dropout in one.
#[derive(Clone, Debug, PartialEq)]
pub struct Jacobian {
    layers: Vec<Layer>,
    exponent: i64,
}

impl Jacobian {
    /// The matrices, the first applied first, each times a power of two that brings its largest
    /// entry between 1 and 2; a source for [`crate::linalg::product`].
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The product of those powers of two is `2^-exponent`.
    pub fn exponent(&self) -> i64 {
        self.exponent
    }

    /// Singular values of `J`.
    ///
    /// # Errors
    ///
    /// As [`spectrum`].
    pub fn spectrum(&self, options: &ProductOptions<'_>) -> Result<ProductSpectrum, ProductError> {
        let mut out = spectrum(&mut self.layers.as_slice(), options)?;
        let shift = self.exponent as f64;
        out.log2_singular_values
            .iter_mut()
            .for_each(|x| *x += shift);
        // the sum may be rounded, the bound must stay one
        out.log2_norm_bound = out.log2_norm_bound.map(|x| (x + shift).next_up());
        Ok(out)
    }
}

impl Trace<'_> {
    /// The Jacobian of `x_L` with respect to the input, factor by factor. Takes as much memory as the weights.
    ///
    /// # Panics
    ///
    /// For a batch of several examples, whose Jacobians are one where batch normalization mixes them.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::product::ProductOptions;
    /// use isometer::network::{Model, activation::Activation};
    /// use isometer::reference::{Mlp, Scaled};
    /// let mut model = Model::new(vec![6; 9], Activation::Linear);
    /// model.weights = "orthogonal".parse().unwrap();
    /// let mlp = Mlp::draw(&model, 3, 0).unwrap();
    /// let j = mlp.forward(&Scaled::new(vec![1.0; 6])).jacobian();
    /// // a product of orthogonal matrices is one
    /// let s = j.spectrum(&ProductOptions::default()).unwrap();
    /// assert!(s.log2_singular_values.iter().all(|x| x.abs() < 1e-9));
    /// ```
    pub fn jacobian(&self) -> Jacobian {
        assert_eq!(self.examples(), 1, "the Jacobian of a batch");
        let mlp = self.mlp();
        let mut exponent = 0;
        let mut layers = Vec::with_capacity(mlp.depth());
        for l in 1..=mlp.depth() {
            let (dense, stage) = (mlp.layer(l), self.stage(l));
            let (rows, cols) = (dense.rows, dense.cols);
            let (layer, own) = match mlp.architecture.beta {
                None => {
                    // columns of A' W
                    let column =
                        |j: usize| (0..rows).map(|i| dense.weights[i * cols + j]).collect();
                    let through = |j| stage.forward(&[Scaled::new(column(j))]).remove(0);
                    let (columns, own) = aligned(&(0..cols).map(through).collect::<Vec<_>>());
                    (Layer::from_fn(rows, cols, |i, j| columns[j][i]), own)
                }
                Some(beta) => {
                    // rows of I + beta W A'
                    let through = |i: usize| {
                        let row = Scaled::from(&dense.weights[i * cols..(i + 1) * cols]);
                        let mut unit = vec![0.0; cols];
                        unit[i] = 1.0;
                        let back = stage.backward(&[row]).remove(0);
                        Scaled::new(unit).plus(&back.times(beta))
                    };
                    let (lines, own) = aligned(&(0..rows).map(through).collect::<Vec<_>>());
                    (Layer::from_fn(rows, cols, |i, j| lines[i][j]), own)
                }
            };
            exponent += own;
            layers.push(layer);
        }
        Jacobian { layers, exponent }
    }
}
