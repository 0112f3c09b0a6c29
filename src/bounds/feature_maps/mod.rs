//! Networks of convolutions: what their feature maps are, and bounds on the whole.
//!
//! A small network is written down matrix by matrix and bounded like any other chain. Of a large one every
//! convolution has a certified norm (a torus, or with zeros a larger torus), runs of convolutions on one torus
//! are multiplied out as convolutions, and the composition is seen through products.
//!
//! Start with [`FeatureMaps::new`], which follows the shape of the feature maps, then [`FeatureMaps::norms`]
//! (certified) or [`FeatureMaps::overview`].
//!
//! ```
//! use isometer::bounds::feature_maps::{FeatureMaps, Flattening, Stored};
//! use isometer::linalg::convolution::{Geometry, Kernel, Layout};
//! use isometer::linalg::view::MatrixRef;
//!
//! // one channel of 1 x 6, a circular difference, then a sum of the 6 points
//! let taps = MatrixRef::row_major(&[1.0, -1.0], 1, 2).unwrap();
//! let kernel = Kernel::new(&taps, &[1, 1, 2], Layout::OutputsFirst, 1).unwrap();
//! let sum = MatrixRef::row_major(&[1.0; 6], 1, 6).unwrap();
//! let layers = [Stored::Convolution(kernel, Geometry::torus(1, 6)), Stored::Dense(sum)];
//! let net = FeatureMaps::new(&layers, Flattening::ChannelsFirst).unwrap();
//! assert_eq!((net.shapes()[1].len(), net.shapes()[2].channels), (6, 1));
//! let norms = net.norms(None);
//! assert!((norms[0].to_linear().unwrap().0 - 2.0).abs() < 1e-12);
//! assert!((norms[1].to_linear().unwrap().0 - 6f64.sqrt()).abs() < 1e-12);
//! ```

use super::chain::{Chain, ChainError};
use super::slope::SlopeRange;
use crate::linalg::convolution::{Convolution, Geometry, GeometryError, Kernel, KernelError};
use crate::linalg::dense::{self, Matrix};
use crate::linalg::view::MatrixRef;
use crate::scale::Enclosure;
use thiserror::Error;

mod bounds;
mod circular;

pub use bounds::{FeatureMapOverview, Progress};

/// One layer as it is stored.
#[derive(Clone, Debug)]
pub enum Stored<'a> {
    /// A convolution; the geometry's size is that of the first layer's input, and replaced for later ones.
    Convolution(Kernel, Geometry),
    /// A dense layer, `outputs x inputs`.
    Dense(MatrixRef<'a>),
}

/// How dense layers read a feature map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flattening {
    /// Channel after channel: PyTorch.
    #[default]
    ChannelsFirst,
    /// Point after point: Keras.
    ChannelsLast,
}

/// Why layers make no network of convolutions.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum FeatureMapError {
    /// A convolution of other channels than there are.
    #[error("layer {layer} takes {takes} channels, but layer {before} gives {gives}", before = layer - 1)]
    Channels {
        /// Counted from 1.
        layer: usize,
        /// Its input channels.
        takes: usize,
        /// Output channels of the layer before.
        gives: usize,
    },
    /// A dense layer that no pooled feature map fits.
    #[error(
        "layer {layer} takes {takes} inputs, which {channels} channels of {height} x {width} cannot give, pooled or not"
    )]
    Flattened {
        /// Counted from 1.
        layer: usize,
        /// Its columns.
        takes: usize,
        /// Channels before it.
        channels: usize,
        /// Height of the feature map.
        height: usize,
        /// Its width.
        width: usize,
    },
    /// A convolution after the feature map is gone.
    #[error("layer {layer} is a convolution, but layer {before} is dense", before = layer - 1)]
    AfterDense {
        /// Counted from 1.
        layer: usize,
    },
    /// A convolution that does not fit its input.
    #[error("layer {layer}, on {height} x {width}: {source}")]
    Geometry {
        /// Counted from 1.
        layer: usize,
        /// Height of its input.
        height: usize,
        /// Its width.
        width: usize,
        /// What is wrong.
        source: GeometryError,
    },
    /// A tensor that is no kernel.
    #[error("layer {layer}: {source}")]
    Kernel {
        /// Counted from 1.
        layer: usize,
        /// What is wrong.
        source: KernelError,
    },
    /// What can be wrong with any chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// A feature map: channels, height, width. After a dense layer, units and 1 x 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Channels, or units.
    pub channels: usize,
    /// Height and width.
    pub size: [usize; 2],
}

impl Shape {
    /// Numbers in it.
    pub fn len(&self) -> usize {
        self.channels * self.size[0] * self.size[1]
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

enum Layer {
    Convolution(Convolution),
    /// Columns in the order of the feature map; `W 2^-exponent`.
    Dense {
        scaled: Matrix,
        exponent: i64,
        norm: Enclosure,
    },
}

/// Convolutions one after the other, then dense layers.
pub struct FeatureMaps {
    layers: Vec<Layer>,
    shapes: Vec<Shape>,
    /// The layer that reads fewer points than the last feature map has.
    pooled: Option<usize>,
}

impl FeatureMaps {
    /// Puts layers one after the other, the first on an input of the size its geometry gives.
    ///
    /// # Errors
    ///
    /// [`FeatureMapError`].
    ///
    /// # Examples
    /// ```
    /// use isometer::bounds::feature_maps::{FeatureMapError, FeatureMaps, Flattening, Stored};
    /// use isometer::linalg::convolution::{Geometry, Kernel, Layout};
    /// use isometer::linalg::view::MatrixRef;
    /// let taps = MatrixRef::row_major(&[1.0; 6], 2, 3).unwrap(); // 1 channel to 2
    /// let kernel = Kernel::new(&taps, &[2, 1, 3], Layout::OutputsFirst, 1).unwrap();
    /// let geometry = Geometry::torus(1, 8);
    /// let twice = [Stored::Convolution(kernel.clone(), geometry), Stored::Convolution(kernel, geometry)];
    /// let wrong = FeatureMaps::new(&twice, Flattening::default());
    /// assert!(matches!(wrong, Err(FeatureMapError::Channels { layer: 2, takes: 1, gives: 2, .. })));
    /// ```
    pub fn new(
        stored: &[Stored<'_>],
        flattening: Flattening,
    ) -> Result<FeatureMaps, FeatureMapError> {
        let mut maps = FeatureMaps {
            layers: Vec::with_capacity(stored.len()),
            shapes: Vec::with_capacity(stored.len() + 1),
            pooled: None,
        };
        for (k, layer) in stored.iter().enumerate() {
            let number = k + 1;
            match layer {
                Stored::Convolution(kernel, geometry) => {
                    maps.convolution(number, kernel, *geometry)?;
                }
                Stored::Dense(w) => maps.dense(number, w, flattening)?,
            }
        }
        match maps.layers.is_empty() {
            true => Err(ChainError::Empty.into()),
            false => Ok(maps),
        }
    }

    fn convolution(
        &mut self,
        layer: usize,
        kernel: &Kernel,
        geometry: Geometry,
    ) -> Result<(), FeatureMapError> {
        let size = match (self.layers.last(), self.shapes.last()) {
            (Some(Layer::Dense { .. }), _) => return Err(FeatureMapError::AfterDense { layer }),
            (_, Some(shape)) if shape.channels != kernel.inputs() => {
                return Err(FeatureMapError::Channels {
                    layer,
                    takes: kernel.inputs(),
                    gives: shape.channels,
                });
            }
            (_, Some(shape)) => shape.size,
            (_, None) => geometry.size,
        };
        let geometry = Geometry { size, ..geometry };
        let c = Convolution::new(kernel.clone(), geometry).map_err(|source| {
            FeatureMapError::Geometry {
                layer,
                height: size[0],
                width: size[1],
                source,
            }
        })?;
        if self.shapes.is_empty() {
            self.shapes.push(Shape {
                channels: kernel.inputs(),
                size,
            });
        }
        self.shapes.push(Shape {
            channels: kernel.outputs(),
            size: c.output(),
        });
        self.layers.push(Layer::Convolution(c));
        Ok(())
    }

    fn dense(
        &mut self,
        layer: usize,
        w: &MatrixRef<'_>,
        flattening: Flattening,
    ) -> Result<(), FeatureMapError> {
        let named = |e: ChainError| match e {
            ChainError::NonFinite { found, .. } => ChainError::NonFinite { layer, found },
            ChainError::Complex { .. } => ChainError::Complex { layer },
            ChainError::Range { .. } => ChainError::Range { layer },
            other => other,
        };
        let mut chain = Chain::new(std::slice::from_ref(w), SlopeRange::IDENTITY).map_err(named)?;
        let mut scaled = chain.weights.swap_remove(0);
        if let Some(shape) = self.shapes.last().copied() {
            let points = shape.size[0] * shape.size[1];
            let fewer = shape.channels > 0 && w.cols().is_multiple_of(shape.channels);
            if w.cols() != shape.len() {
                if !(fewer && w.cols() < shape.len() && points > 1) {
                    return Err(FeatureMapError::Flattened {
                        layer,
                        takes: w.cols(),
                        channels: shape.channels,
                        height: shape.size[0],
                        width: shape.size[1],
                    });
                }
                self.pooled = Some(layer);
            } else if flattening == Flattening::ChannelsFirst && points > 1 {
                // maps keep channels fastest
                let (rows, channels) = (scaled.nrows(), shape.channels);
                scaled = dense::from_fn(rows, w.cols(), |i, j| {
                    scaled[(i, (j % channels) * points + j / channels)]
                });
            }
        } else {
            self.shapes.push(Shape {
                channels: w.cols(),
                size: [1, 1],
            });
        }
        self.shapes.push(Shape {
            channels: w.rows(),
            size: [1, 1],
        });
        self.layers.push(Layer::Dense {
            scaled,
            exponent: chain.exponents[0],
            norm: chain.norms[0],
        });
        Ok(())
    }

    /// Feature maps: the input, then the output of each layer.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }
}

#[cfg(test)]
mod tests;
