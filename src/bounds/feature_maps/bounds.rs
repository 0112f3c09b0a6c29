//! What follows with certainty about a network of convolutions.

use super::circular;
use super::{FeatureMapError, FeatureMaps, Layer, Shape};
use crate::bounds::Bound;
use crate::bounds::affine::{Affine, Composition, DenseMap};
use crate::bounds::chain::ChainError;
use crate::bounds::local::{self, Network, check_bias};
use crate::bounds::operator::{OperatorOptions, operator_norm};
use crate::bounds::overview::{self, Activated, Overview, OverviewOptions};
use crate::bounds::product::{certified, ln_hi, sum_of_logs};
use crate::bounds::slope::SlopeRange;
use crate::linalg::convolution::{Convolution, ZeroPadded};
use crate::linalg::dense::{self, Matrix};
use crate::linalg::rounding::up;
use crate::linalg::view::MatrixRef;
use crate::scale::{Certainty, Enclosure, LogScale};

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

/// What is told of the work: the layer, from 0, and how many of its frequencies are done, of how many.
pub type Progress<'a> = &'a dyn Fn(usize, usize, usize);

/// Longest side of maps that are written down, and most entries of one.
const EXPLICIT_SIDE: usize = 256;
const EXPLICIT_ENTRIES: usize = EXPLICIT_SIDE * EXPLICIT_SIDE;

/// Operations for all products with the composition; and the least number of products worth the name.
const PRODUCT_WORK: f64 = 2e10;
const FEWEST_STEPS: f64 = 10.0;

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

impl FeatureMaps {
    /// Certified enclosure of the norm of each layer; its upper end alone for zero-padded ones.
    pub fn norms(&self, progress: Option<Progress<'_>>) -> Vec<Enclosure> {
        let norm = |(k, layer): (usize, &Layer)| match layer {
            Layer::Dense { norm, .. } => *norm,
            Layer::Convolution(c) => {
                let frequencies = |done, of| {
                    if let Some(tell) = progress {
                        tell(k, done, of);
                    }
                };
                c.zero_padding_bound_with(Some(&frequencies))
            }
        };
        self.layers.iter().enumerate().map(norm).collect()
    }

    /// Every layer as a matrix with its power of two, if all are small and their entries exact.
    pub(super) fn explicit(&self) -> Option<Vec<(Matrix, i64)>> {
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
    pub(super) fn spread(
        &self,
        biases: &[Option<Vec<f64>>],
    ) -> Result<Vec<Option<Vec<f64>>>, ChainError> {
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
    ///
    /// # Examples
    /// ```
    /// use isometer::bounds::feature_maps::{FeatureMaps, Flattening, Stored};
    /// use isometer::bounds::overview::OverviewOptions;
    /// use isometer::linalg::convolution::{Geometry, Kernel, Layout};
    /// use isometer::linalg::view::MatrixRef;
    /// // x[p] - x[p + 1], then x[p] + x[p + 1]: 1 - e^(2iw), of norm 2 where the norms multiply to 4
    /// let conv = |taps: &[f64; 2]| {
    ///     let kernel = Kernel::new(&MatrixRef::row_major(taps, 1, 2).unwrap(), &[1, 1, 2], Layout::OutputsFirst, 1);
    ///     Stored::Convolution(kernel.unwrap(), Geometry::torus(1, 8))
    /// };
    /// let net = FeatureMaps::new(&[conv(&[1.0, -1.0]), conv(&[1.0, 1.0])], Flattening::default()).unwrap();
    /// let o = net.overview(None, &OverviewOptions::default(), None).unwrap().overview;
    /// assert!((o.upper.last().unwrap().value.to_linear().unwrap() - 2.0).abs() < 1e-9);
    /// ```
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

    pub(super) fn large(
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
