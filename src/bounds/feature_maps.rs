//! Networks of convolutions: what their feature maps are, and bounds on the whole.
//!
//! A small network is written down matrix by matrix and bounded like any other chain. Of a large one every
//! convolution has a certified norm (a torus, or with zeros a larger torus), runs of convolutions on one torus
//! are multiplied out as convolutions, and the composition is seen through products.

use super::Bound;
use super::affine::{Affine, Composition, DenseMap};
use super::chain::{Chain, ChainError};
use super::local::{self, Network, check_bias};
use super::operator::{OperatorOptions, operator_norm};
use super::overview::{self, Activated, Overview, OverviewOptions};
use super::product::{certified, ln_hi, sum_of_logs};
use super::slope::SlopeRange;
use crate::linalg::convolution::{
    Convolution, Geometry, GeometryError, Kernel, KernelError, ZeroPadded,
};
use crate::linalg::dense::{self, Matrix};
use crate::linalg::rounding::up;
use crate::linalg::view::MatrixRef;
use crate::scale::{Certainty, Enclosure, LogScale};
use thiserror::Error;

mod circular;

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
    #[error("layer {layer} takes {takes} inputs, which {channels} channels of {height} x {width} cannot give, pooled or not")]
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
    Dense { scaled: Matrix, exponent: i64, norm: Enclosure },
}

impl Layer {
    fn affine(&self) -> Affine<'_> {
        match self {
            Layer::Convolution(c) => Affine::new(ZeroPadded::new(c), c.kernel().exponent()),
            Layer::Dense {
                scaled, exponent, ..
            } => Affine::new(DenseMap::new(scaled), *exponent),
        }
    }
}

/// Convolutions one after the other, then dense layers.
pub struct FeatureMaps {
    layers: Vec<Layer>,
    shapes: Vec<Shape>,
    /// The layer that reads fewer points than the last feature map has.
    pooled: Option<usize>,
}

/// Bounds on a network of convolutions.
#[derive(Clone, Debug)]
pub struct FeatureMapOverview {
    /// The bounds.
    pub overview: Overview,
    /// Feature maps: the input, then the output of each layer.
    pub shapes: Vec<Shape>,
    /// Certified norm of each layer.
    pub norms: Vec<Enclosure>,
    /// The dense layer, from 1, before which something pools: it is taken not to stretch, and nothing but
    /// norms can be multiplied across it.
    pub pooled: Option<usize>,
    /// Probability that a probabilistic upper bound is wrong, if there is one.
    pub failure_probability: Option<f64>,
}

/// What is told of the work: layers done, layers in all.
pub type Progress<'a> = &'a dyn Fn(usize, usize);

/// Longest side of maps that are written down, and most entries of one.
const EXPLICIT_SIDE: usize = 512;
const EXPLICIT_ENTRIES: usize = 1 << 18;

/// Operations for all products with the composition; and the least number of products worth the name.
const PRODUCT_WORK: f64 = 2e10;
const FEWEST_STEPS: f64 = 10.0;

impl FeatureMaps {
    /// Puts layers one after the other, the first on an input of the size its geometry gives.
    ///
    /// # Errors
    ///
    /// [`FeatureMapError`].
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
        let mut chain =
            Chain::new(std::slice::from_ref(w), SlopeRange::IDENTITY).map_err(named)?;
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

    /// Certified enclosure of the norm of each layer; its upper end alone for large zero-padded ones. Calls
    /// `progress` before each layer.
    pub fn norms(&self, progress: Option<Progress<'_>>) -> Vec<Enclosure> {
        let all = self.layers.len();
        let norm = |(k, layer): (usize, &Layer)| {
            if let Some(tell) = progress {
                tell(k, all);
            }
            match layer {
                Layer::Dense { norm, .. } => *norm,
                Layer::Convolution(c) => c.zero_padding_bound(),
            }
        };
        self.layers.iter().enumerate().map(norm).collect()
    }

    /// Every layer as a matrix with its power of two, if all are small and their entries exact.
    fn explicit(&self) -> Option<Vec<(Matrix, i64)>> {
        if self.pooled.is_some() || self.shapes.iter().any(|s| s.len() > EXPLICIT_SIDE) {
            return None;
        }
        let matrix = |layer: &Layer| match layer {
            Layer::Dense {
                scaled, exponent, ..
            } => Some((scaled.clone(), *exponent)),
            Layer::Convolution(c) => {
                let g = c.geometry();
                // where taps meet on a small torus their sum would be rounded
                let meets = |a: usize| g.dilation[a] * (c.kernel().taps()[a] - 1) >= g.size[a];
                if c.is_circular() && (meets(0) || meets(1)) {
                    return None;
                }
                let m = c.materialise(EXPLICIT_ENTRIES)?;
                Some((m, c.kernel().exponent()))
            }
        };
        self.layers.iter().map(matrix).collect()
    }

    /// Biases of convolutions are one number for each channel; as many as outputs are wanted.
    fn spread(&self, biases: &[Option<Vec<f64>>]) -> Result<Vec<Option<Vec<f64>>>, ChainError> {
        let mut all = Vec::with_capacity(self.layers.len());
        for (k, shape) in self.shapes[1..].iter().enumerate() {
            let bias = biases.get(k).and_then(Option::as_ref);
            check_bias(k + 1, shape.channels, bias.map(Vec::as_slice))?;
            let points = shape.size[0] * shape.size[1];
            all.push(bias.map(|b| b.repeat(points)));
        }
        Ok(all)
    }

    fn affine(&self) -> Vec<Affine<'_>> {
        self.layers.iter().map(Layer::affine).collect()
    }

    /// Operations of a product with all layers and their transposes.
    fn work(&self) -> f64 {
        let each = |layer: &Layer| match layer {
            Layer::Dense { scaled, .. } => 4.0 * (scaled.nrows() * scaled.ncols()) as f64,
            Layer::Convolution(c) => {
                let k = c.kernel();
                let points = (c.output()[0] * c.output()[1]) as f64;
                let channels = (k.inputs() * k.outputs() / k.groups()) as f64;
                4.0 * (k.taps()[0] * k.taps()[1]) as f64 * channels * points
            }
        };
        self.layers.iter().map(each).sum()
    }

    /// Bounds the network: with an activation between layers, or the linear map without one.
    ///
    /// # Errors
    ///
    /// Biases or an input that do not fit.
    pub fn overview(
        &self,
        activated: Option<&Activated<'_>>,
        options: &OverviewOptions,
        progress: Option<Progress<'_>>,
    ) -> Result<FeatureMapOverview, FeatureMapError> {
        let norms = self.norms(progress);
        let biases = self.spread(activated.map_or(&[][..], |a| a.biases))?;
        let activated = activated.map(|a| Activated {
            biases: &biases,
            ..*a
        });
        let mut found = FeatureMapOverview {
            overview: Overview::new(self.widths(), Vec::new(), Vec::new()),
            shapes: self.shapes.clone(),
            norms,
            pooled: self.pooled,
            failure_probability: None,
        };
        match self.explicit() {
            Some(maps) => self.small(&maps, activated.as_ref(), options, &mut found)?,
            None => self.large(activated.as_ref(), options, &mut found)?,
        }
        Ok(found)
    }

    fn widths(&self) -> Vec<usize> {
        self.shapes.iter().map(Shape::len).collect()
    }

    fn small(
        &self,
        maps: &[(Matrix, i64)],
        activated: Option<&Activated<'_>>,
        options: &OverviewOptions,
        found: &mut FeatureMapOverview,
    ) -> Result<(), FeatureMapError> {
        let unscaled: Vec<Matrix> = maps
            .iter()
            .map(|(m, e)| {
                dense::from_fn(m.nrows(), m.ncols(), |i, j| {
                    crate::scale::ldexp(m[(i, j)], *e)
                })
            })
            .collect();
        let views: Vec<MatrixRef<'_>> = unscaled
            .iter()
            .map(|m| MatrixRef::from_faer(m.as_ref()))
            .collect();
        let ordered = activated.and_then(|a| a.at).map(|x| self.ordered(x));
        let activated = activated.map(|a| Activated {
            at: ordered.as_deref(),
            ..*a
        });
        found.overview = overview::overview(&views, activated.as_ref(), options)?;
        Ok(())
    }

    fn large(
        &self,
        activated: Option<&Activated<'_>>,
        options: &OverviewOptions,
        found: &mut FeatureMapOverview,
    ) -> Result<(), FeatureMapError> {
        let slope = activated.map_or(SlopeRange::IDENTITY, |a| a.slope);
        let gain = slope.lipschitz().ln() * (self.layers.len() - 1) as f64;
        let mut upper = self.products(&found.norms);
        if activated.is_none() {
            upper.extend(self.runs(&found.norms));
        }
        if activated.is_some() {
            for b in &mut upper {
                b.value = overview::raised(b.value, gain);
            }
        }
        let mut lower = Vec::new();
        let affordable = PRODUCT_WORK / self.work();
        if self.pooled.is_none() && affordable >= FEWEST_STEPS {
            match activated {
                None => self.composed(affordable, options.seed, found, &mut upper, &mut lower),
                Some(a) => {
                    let mut layers = self.affine();
                    for (layer, bias) in layers.iter_mut().zip(a.biases) {
                        layer.bias = bias.clone();
                    }
                    let network = Network::new(layers, a.activation);
                    // few points with enough iterations rather than the reverse
                    let iterations = (affordable as usize).clamp(1, local::ITERATIONS);
                    let most = (affordable as usize / iterations).max(1);
                    let points = options.points.min(most);
                    lower.extend(overview::sampled(
                        &network,
                        points,
                        iterations,
                        options.seed,
                    ));
                    if let Some(x) = a.at {
                        local::check_input(network.inputs(), x)?;
                        let x = self.ordered(x);
                        let start = vec![1.0; x.len()];
                        let ln = network.ln_norm_at(&x, start, iterations);
                        lower.extend(overview::at_input(ln.and_then(LogScale::from_ln)));
                    }
                }
            }
        }
        found.overview = Overview::new(self.widths(), upper, lower);
        Ok(())
    }

    /// An input given channel after channel, in the order of the maps: channels fastest.
    fn ordered(&self, x: &[f64]) -> Vec<f64> {
        let shape = self.shapes[0];
        let points = shape.size[0] * shape.size[1];
        if x.len() != shape.len() {
            // to be refused with its own length
            return x.to_vec();
        }
        (0..x.len())
            .map(|i| x[(i % shape.channels) * points + i / shape.channels])
            .collect()
    }

    /// The product of certified norms, and what the kernels as matrices give: `|K x| <= sqrt(taps) |K| |x|`, since an
    /// entry of the input is read through every tap once at most.
    fn products(&self, norms: &[Enclosure]) -> Vec<Bound> {
        if norms.iter().any(Enclosure::is_zero) {
            return vec![certified("product of norms", f64::NEG_INFINITY)];
        }
        let two = sum_of_logs(&mut norms.iter().map(ln_hi));
        let reshaped = self.layers.iter().map(|layer| match layer {
            Layer::Dense { norm, .. } => ln_hi(norm),
            Layer::Convolution(c) => {
                let taps = (c.kernel().taps()[0] * c.kernel().taps()[1]) as f64;
                let ln = 0.5 * taps.ln();
                up(ln_hi(&c.kernel().reshaped_norm()) + ln * (1.0 + 2.0 * f64::EPSILON))
            }
        });
        let reshaped = sum_of_logs(&mut reshaped.collect::<Vec<_>>().into_iter());
        vec![
            certified("kernels as matrices", reshaped),
            certified("product of norms", two),
        ]
    }

    /// The least product of norms over all ways to cut the chain into runs, those of convolutions on one torus
    /// multiplied out. Theorem: segment-norm-bound.
    fn runs(&self, norms: &[Enclosure]) -> Option<Bound> {
        if norms.iter().any(Enclosure::is_zero) {
            return None;
        }
        let convolutions: Vec<Option<&Convolution>> = self
            .layers
            .iter()
            .map(|layer| match layer {
                Layer::Convolution(c) => Some(c),
                Layer::Dense { .. } => None,
            })
            .collect();
        let own: Vec<f64> = norms.iter().map(ln_hi).collect();
        circular::runs(&convolutions, &own).map(|ln| certified("segments", ln))
    }

    /// Bounds of the linear map from products with it. Theorem: lanczos-polynomial-bound.
    fn composed(
        &self,
        affordable: f64,
        seed: u64,
        found: &mut FeatureMapOverview,
        upper: &mut Vec<Bound>,
        lower: &mut Vec<Bound>,
    ) {
        let layers = self.affine();
        let ends: Vec<f64> = found
            .norms
            .iter()
            .zip(&layers)
            .map(|(n, layer)| {
                let (_, _, hi, exponent) = n.scaled();
                crate::scale::ldexp_up(hi, exponent - layer.exponent)
            })
            .collect();
        let Some(map) = Composition::new(&layers, &ends) else {
            return;
        };
        let options = OperatorOptions {
            seed,
            max_steps: (affordable as usize).min(200),
            ..OperatorOptions::default()
        };
        let Ok(norm) = operator_norm(&map, &options) else {
            return;
        };
        let shift = map.exponent() as f64 * std::f64::consts::LN_2;
        let slack = |ln: f64| (ln.abs() + shift.abs() + 1.0) * 8.0 * f64::EPSILON;
        if norm.lower > 0.0 {
            let ln = norm.lower.ln() + shift;
            lower.push(certified("a signal", ln - slack(ln)));
        }
        if norm.upper.is_finite() && norm.upper > 0.0 {
            let ln = norm.upper.ln() + shift;
            upper.push(Bound {
                certainty: Certainty::Probabilistic,
                ..certified("Lanczos polynomial", ln + slack(ln))
            });
            found.failure_probability = Some(norm.failure_probability);
        }
    }
}

#[cfg(test)]
mod tests;
