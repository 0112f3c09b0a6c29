//! Layers `x -> W x + b` seen through products with `W`, so that dense layers and convolutions are one.
//!
//! ```
//! use isometer::bounds::{affine::Affine, local::Network};
//! use isometer::linalg::{operator::StoredMatrix, view::MatrixRef};
//! use isometer::network::activation::Activation;
//!
//! let w = StoredMatrix::new(MatrixRef::row_major(&[2.0, 0.0, 0.0, 1.0], 2, 2).unwrap()).unwrap();
//! let layer = Affine::new(w, 3).with_bias(Some(vec![1.0, -1.0])); // 2^3 W x + b
//! let relu = Activation::Relu;
//! let net = Network::new(vec![layer], &relu);
//! let ln = net.ln_norm_at(&[0.0, 0.0], vec![1.0, 1.0], 60).unwrap();
//! assert!((ln - 16f64.ln()).abs() < 1e-9);
//! ```

use crate::linalg::dense::{self, Matrix};
use crate::linalg::operator::LinearOperator;
use crate::linalg::rounding::{gamma, up};

/// A layer `x -> 2^exponent A x + b`.
pub struct Affine<'a> {
    pub(in crate::bounds) map: Box<dyn LinearOperator + 'a>,
    pub(in crate::bounds) exponent: i64,
    pub(in crate::bounds) bias: Option<Vec<f64>>,
}

impl<'a> Affine<'a> {
    /// A layer without bias.
    pub fn new(map: impl LinearOperator + 'a, exponent: i64) -> Affine<'a> {
        Affine {
            map: Box::new(map),
            exponent,
            bias: None,
        }
    }

    /// The layer with a bias, one number for each output, if there is one.
    #[must_use]
    pub fn with_bias(mut self, bias: Option<Vec<f64>>) -> Affine<'a> {
        self.bias = bias;
        self
    }

    /// `A v`, without exponent and bias.
    pub(in crate::bounds) fn product(&self, v: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; self.map.rows()];
        self.map.apply(v, &mut y);
        y
    }

    /// `A^T v`.
    pub(in crate::bounds) fn pulled(&self, v: &[f64]) -> Vec<f64> {
        let mut x = vec![0.0; self.map.cols()];
        self.map.apply_transposed(v, &mut x);
        x
    }

    /// The whole layer.
    pub(in crate::bounds) fn value(&self, x: &[f64]) -> Vec<f64> {
        let mut y = self.product(x);
        y.iter_mut()
            .for_each(|v| *v = crate::scale::ldexp(*v, self.exponent));
        if let Some(bias) = &self.bias {
            y.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
        }
        y
    }
}

/// A stored matrix as a map.
pub struct DenseMap<'a> {
    matrix: &'a Matrix,
    rounding: f64,
}

impl<'a> DenseMap<'a> {
    /// Takes the matrix as it is, entries of moderate size.
    pub(in crate::bounds) fn new(matrix: &'a Matrix) -> DenseMap<'a> {
        let longest = matrix.nrows().max(matrix.ncols());
        // every product is off by gamma_n | |A| | |x|, and | |A| | <= |A|_F
        let rounding = up(gamma(longest + 2) * super::product::frobenius_up(matrix) + 1e-290);
        DenseMap { matrix, rounding }
    }
}

impl LinearOperator for DenseMap<'_> {
    fn rows(&self) -> usize {
        self.matrix.nrows()
    }

    fn cols(&self) -> usize {
        self.matrix.ncols()
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) {
        y.copy_from_slice(&dense::apply(self.matrix, x));
    }

    fn apply_transposed(&self, y: &[f64], x: &mut [f64]) {
        x.copy_from_slice(&dense::apply_transposed(self.matrix, y));
    }

    fn rounding(&self) -> f64 {
        self.rounding
    }
}

/// Layers one after the other, without biases, as one map; each is divided by a power of two that brings its
/// norm to at most 1.
pub struct Composition<'a> {
    layers: &'a [Affine<'a>],
    /// Taken out of the layers' products.
    shifts: Vec<i64>,
    rounding: f64,
}

impl<'a> Composition<'a> {
    /// The map, with upper bounds of the norms of its layers' products (exponents left out); `None` where one of
    /// them is zero or not finite.
    pub(in crate::bounds) fn new(
        layers: &'a [Affine<'a>],
        norms: &[f64],
    ) -> Option<Composition<'a>> {
        let mut shifts = Vec::with_capacity(layers.len());
        // |fl(x_k) - x_k| <= error |x_0| and |x_k| <= size |x_0|
        let (mut size, mut error) = (1.0f64, 0.0f64);
        for (layer, norm) in layers.iter().zip(norms) {
            if !(*norm > 0.0 && norm.is_finite()) {
                return None;
            }
            let shift = i64::from(crate::scale::exponent_of(*norm)) + 1;
            let norm = crate::scale::ldexp_up(*norm, -shift);
            let rounding = crate::scale::ldexp_up(layer.map.rounding(), -shift);
            error = up(up(norm * error) + up(rounding * up(size + error)));
            size = up(norm * size);
            shifts.push(shift);
        }
        Some(Composition {
            layers,
            shifts,
            // products of tiny numbers may fall below the normal range
            rounding: up(error + 1e-280),
        })
    }

    /// What the norm of the map is to be multiplied by, as a power of two.
    pub(in crate::bounds) fn exponent(&self) -> i64 {
        let own: i64 = self.layers.iter().map(|l| l.exponent).sum();
        own + self.shifts.iter().sum::<i64>()
    }
}

impl LinearOperator for Composition<'_> {
    fn rows(&self) -> usize {
        self.layers.last().map_or(0, |l| l.map.rows())
    }

    fn cols(&self) -> usize {
        self.layers.first().map_or(0, |l| l.map.cols())
    }

    fn apply(&self, x: &[f64], y: &mut [f64]) {
        let mut v = x.to_vec();
        for (layer, shift) in self.layers.iter().zip(&self.shifts) {
            v = layer.product(&v);
            v.iter_mut()
                .for_each(|v| *v = crate::scale::ldexp(*v, -shift));
        }
        y.copy_from_slice(&v);
    }

    fn apply_transposed(&self, y: &[f64], x: &mut [f64]) {
        let mut v = y.to_vec();
        for (layer, shift) in self.layers.iter().zip(&self.shifts).rev() {
            v = layer.pulled(&v);
            v.iter_mut()
                .for_each(|v| *v = crate::scale::ldexp(*v, -shift));
        }
        x.copy_from_slice(&v);
    }

    fn rounding(&self) -> f64 {
        self.rounding
    }
}
