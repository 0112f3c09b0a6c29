//! The layers of a network, scaled so that nothing leaves the range of `f64`.
//!
//! A [`Chain`] is what [`lipschitz`](crate::bounds::lipschitz::lipschitz) and [`local`](crate::bounds::local) take:
//! matrices that fit each other, one activation between each two, and a certified norm for each layer.
//!
//! ```
//! use isometer::bounds::{chain::Chain, slope::SlopeRange};
//! use isometer::linalg::view::MatrixRef;
//!
//! let first = MatrixRef::row_major(&[3.0, 0.0, 0.0, 4.0, 0.0, 0.0], 3, 2).unwrap();
//! let second = MatrixRef::row_major(&[1.0, 1.0, 1.0], 1, 3).unwrap();
//! let chain = Chain::new(&[first, second], SlopeRange::IDENTITY).unwrap();
//! assert_eq!(chain.widths(), [2, 3, 1]);
//! assert!((chain.norms()[1].to_linear().unwrap().0 - 3f64.sqrt()).abs() < 1e-12);
//! assert!(Chain::new(&[second, first], SlopeRange::IDENTITY).is_err()); // 1 output, 2 inputs
//! ```

use super::slope::SlopeRange;
use crate::linalg::dense::{self, Matrix};
use crate::linalg::norms;
use crate::linalg::view::{MatrixRef, NonFinite};
use crate::scale::{Enclosure, exponent_of};
use thiserror::Error;

/// Why a chain of layers has no Lipschitz bound.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ChainError {
    /// No layer.
    #[error("a network needs at least one layer")]
    Empty,
    /// Shapes that do not follow one another.
    #[error("layer {layer} takes {takes} inputs, but layer {before} gives {gives}; layers come in the order in which they are applied, each OUTPUTS x INPUTS", before = layer - 1)]
    Shape {
        /// Counted from 1.
        layer: usize,
        /// Its columns.
        takes: usize,
        /// Rows of the layer before.
        gives: usize,
    },
    /// NaN or infinity among the weights.
    #[error("layer {layer}: {found}")]
    NonFinite {
        /// Counted from 1.
        layer: usize,
        /// Where.
        found: NonFinite,
    },
    /// Complex weights.
    #[error("layer {layer}: complex weights; real ones are needed: save their real part")]
    Complex {
        /// Counted from 1.
        layer: usize,
    },
    /// Entries so far apart that a layer cannot be scaled exactly.
    #[error(
        "layer {layer}: entries span more than 1000 binary orders of magnitude; set the smallest to 0"
    )]
    Range {
        /// Counted from 1.
        layer: usize,
    },
    /// A bias of another length than its layer has outputs.
    #[error("layer {layer} gives {outputs} outputs, but its bias has {entries} entries")]
    Bias {
        /// Counted from 1.
        layer: usize,
        /// Length of the bias.
        entries: usize,
        /// Rows of the layer.
        outputs: usize,
    },
    /// NaN or infinity in a bias.
    #[error("the bias of layer {layer} holds {value} at [{index}]; find what wrote it")]
    BiasNonFinite {
        /// Counted from 1.
        layer: usize,
        /// From 0.
        index: usize,
        /// The entry.
        value: f64,
    },
    /// An input of the wrong length.
    #[error("the input has {entries} entries, but the first layer takes {inputs}")]
    Input {
        /// Length of the input.
        entries: usize,
        /// Columns of the first layer.
        inputs: usize,
    },
    /// NaN or infinity in an input.
    #[error("the input holds {value} at [{index}]; find what wrote it")]
    InputNonFinite {
        /// From 0.
        index: usize,
        /// The entry.
        value: f64,
    },
    /// A residual branch that changes the width.
    #[error("layer {layer} is {rows} x {cols}: a residual branch needs a square matrix")]
    Branch {
        /// Counted from 1.
        layer: usize,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
    },
}

/// Layers `W_1..W_L` with one activation between each two; the last has none after it.
#[derive(Clone, Debug)]
pub struct Chain {
    /// `W_k 2^-exponents[k]`, of norm about 1.
    pub(in crate::bounds) weights: Vec<Matrix>,
    pub(in crate::bounds) exponents: Vec<i64>,
    pub(in crate::bounds) norms: Vec<Enclosure>,
    pub(in crate::bounds) slope: SlopeRange,
}

impl Chain {
    /// Reads the layers, first applied first, each `outputs x inputs`.
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    pub fn new(layers: &[MatrixRef<'_>], slope: SlopeRange) -> Result<Chain, ChainError> {
        if layers.is_empty() {
            return Err(ChainError::Empty);
        }
        for (k, pair) in layers.windows(2).enumerate() {
            if pair[1].cols() != pair[0].rows() {
                return Err(ChainError::Shape {
                    layer: k + 2,
                    takes: pair[1].cols(),
                    gives: pair[0].rows(),
                });
            }
        }
        let mut chain = Chain {
            weights: Vec::with_capacity(layers.len()),
            exponents: Vec::with_capacity(layers.len()),
            norms: Vec::with_capacity(layers.len()),
            slope,
        };
        for (k, w) in layers.iter().enumerate() {
            let layer = k + 1;
            if w.element_type().is_complex() {
                return Err(ChainError::Complex { layer });
            }
            let norm = norms::two(w).map_err(|found| ChainError::NonFinite { layer, found })?;
            let (mantissa, _, _, shift) = norm.scaled();
            let exponent = match mantissa == 0.0 {
                true => 0,
                false => shift + i64::from(exponent_of(mantissa)),
            };
            chain
                .weights
                .push(scaled(w, exponent).ok_or(ChainError::Range { layer })?);
            chain.exponents.push(exponent);
            chain.norms.push(norm);
        }
        Ok(chain)
    }

    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.weights.len()
    }

    /// Width of the input, then of each layer.
    pub fn widths(&self) -> Vec<usize> {
        let outputs = self.weights.iter().map(|w| w.nrows());
        std::iter::once(self.weights[0].ncols())
            .chain(outputs)
            .collect()
    }

    /// Sector of the activation.
    pub fn slope(&self) -> SlopeRange {
        self.slope
    }

    /// Certified spectral norms of the layers.
    pub fn norms(&self) -> &[Enclosure] {
        &self.norms
    }

    /// Layers `from..to` (counted from 0) as a chain of their own.
    ///
    /// # Examples
    /// ```
    /// use isometer::bounds::{chain::Chain, slope::SlopeRange};
    /// use isometer::linalg::view::MatrixRef;
    /// let w = MatrixRef::row_major(&[2.0], 1, 1).unwrap();
    /// let chain = Chain::new(&[w; 5], SlopeRange::IDENTITY).unwrap();
    /// assert_eq!((chain.depth(), chain.segment(1, 4).depth()), (5, 3));
    /// ```
    pub fn segment(&self, from: usize, to: usize) -> Chain {
        Chain {
            weights: self.weights[from..to].to_vec(),
            exponents: self.exponents[from..to].to_vec(),
            norms: self.norms[from..to].to_vec(),
            slope: self.slope,
        }
    }

    /// Whether some layer is zero, so that the network is constant.
    pub fn vanishes(&self) -> bool {
        self.norms.iter().any(Enclosure::is_zero)
    }

    /// Sum of the exponents taken out of the layers.
    pub(in crate::bounds) fn exponent(&self) -> i64 {
        self.exponents.iter().sum()
    }
}

/// `W 2^-exponent`, if that is exact.
fn scaled(w: &MatrixRef<'_>, exponent: i64) -> Option<Matrix> {
    let mut exact = true;
    let m = dense::from_fn(w.rows(), w.cols(), |i, j| {
        let x = w.get(i, j).0;
        let y = crate::scale::ldexp(x, -exponent);
        exact &= crate::scale::ldexp(y, exponent) == x;
        y
    });
    exact.then_some(m)
}
