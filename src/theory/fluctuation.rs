//! Leading fluctuations of gradients of wide networks with any activation.
//!
//! For positively homogeneous activations the laws at finite width are exact and none of this is needed. For the others the
//! variance of the logarithm of a squared gradient is `V/n` to leading order in the width. Two things
//! fluctuate: the layer's own average of `phi'^2` over `n` units, and the variance `q` of the
//! pre-activations that it inherits from the layers below, to which the average responds.
//!
//! Start with [`fluctuations`]. Asymptotic: first order in 1/width at fixed depth.
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::theory::fluctuation::{FluctuationLayer, fluctuations};
//!
//! // ReLU, known exactly: each of 10 layers of width 100 adds 5/100
//! let layer = FluctuationLayer { width: 100, sigma_w2: 2.0, sigma_b2: 0.0 };
//! let f = fluctuations(&Activation::Relu, 100, 1.0, &[layer; 10]).unwrap();
//! assert!(f.ln_mean_square.abs() < 1e-12 && (f.var_ln_square - 0.5).abs() < 1e-12);
//! ```

use crate::network::activation::Activation;
use crate::scale::Certainty;
use crate::theory::quadrature::gaussian_averages;
use std::collections::HashMap;

/// Variances of pre-activations between this and its reciprocal: fourth powers of activations that
/// grow quadratically stay in the range of `f64`.
const LEAST_Q: f64 = 1e-70;

/// A layer with Gaussian weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FluctuationLayer {
    /// Number of units.
    pub width: usize,
    /// Variance of a weight times fan-in.
    pub sigma_w2: f64,
    /// Variance of the biases.
    pub sigma_b2: f64,
}

/// Why there is no prediction.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FluctuationError {
    /// A layer without units or with variances out of range.
    #[error("layer {layer}: width {width}, sigma_w^2 {sigma_w2}, sigma_b^2 {sigma_b2}")]
    Layer {
        /// Layer, from 1.
        layer: usize,
        /// Its width.
        width: usize,
        /// Its variance of the weights.
        sigma_w2: f64,
        /// Its variance of the biases.
        sigma_b2: f64,
    },
    /// The input.
    #[error("mean square of the input {mean_square}: it must be finite and positive")]
    Input {
        /// The mean square.
        mean_square: f64,
    },
    /// Pre-activations or slopes leave the range in which averages make sense.
    #[error("layer {layer}: pre-activation variance {q}, mean squared slope {slope}")]
    Degenerate {
        /// Layer, from 1.
        layer: usize,
        /// Variance of the pre-activations in the limit.
        q: f64,
        /// Mean of `phi'^2` there; NaN if `q` is out of range already.
        slope: f64,
    },
}

/// Leading order in the width, at the end of the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fluctuation {
    /// `ln` of the mean square of `|J u|`, width to infinity.
    pub ln_mean_square: f64,
    /// Variance of `ln |J u|^2`, for a unit `u` in no special relation to the input.
    pub var_ln_square: f64,
    /// Variance of `ln q`, `q` the variance of the last pre-activations.
    pub var_ln_q: f64,
    /// Asymptotic: first order in 1/width at fixed depth.
    pub certainty: Certainty,
}

impl Fluctuation {
    /// Variance of the logarithm of the squared gradient of a Gaussian linear readout with respect to `n0` inputs:
    /// the last product with `W_1^T` adds that of a chi-square, `2/n0` to leading order.
    pub fn var_ln_input_gradient(&self, n0: usize) -> f64 {
        self.var_ln_square + 2.0 / n0 as f64
    }
}

/// Averages of one layer at pre-activation variance `q`.
struct Response {
    /// `E phi^2` and its derivative in `q`.
    length: f64,
    length_slope: f64,
    /// `E phi'^2` and its derivative in `q`.
    slope: f64,
    slope_slope: f64,
    fourth_slope: f64,
    fourth_length: f64,
    mixed: f64,
}

fn response(activation: &Activation, q: f64) -> Response {
    let root = q.sqrt();
    let mut breaks: Vec<f64> = activation.kinks().iter().map(|k| k / root).collect();
    if root > 1.0 {
        // features of the activation are narrow here
        for x in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0] {
            breaks.extend([x / root, -x / root]);
        }
    }
    let a = gaussian_averages(
        |z| {
            let (f, d) = (
                activation.value(root * z).powi(2),
                activation.derivative(root * z).powi(2),
            );
            // d/dq E f(sqrt(q) z) = E f (z^2 - 1) / (2q), kinks and jumps included
            let tilt = (z * z - 1.0) / (2.0 * q);
            [f, f * tilt, d, d * tilt, d * d, f * f, f * d]
        },
        &breaks,
    );
    Response {
        length: a[0].value,
        length_slope: a[1].value,
        slope: a[2].value,
        slope_slope: a[3].value,
        fourth_slope: a[4].value,
        fourth_length: a[5].value,
        mixed: a[6].value,
    }
}

/// Networks deeper than this take their averages from a [`Table`].
const DIRECT: usize = 32;

/// Averages interpolated in `ln q`: quantities of first order in 1/width want no more digits, and a
/// thousand layers at slowly moving lengths share a few nodes.
struct Table<'a> {
    activation: &'a Activation,
    nodes: HashMap<i64, [f64; 7]>,
}

/// Nodes per unit of `ln q`; the quintic through six of them is right to about 1e-6.
const PER_NAT: f64 = 6.0;
/// Nodes of the interpolation, from the one at or below.
const OFFSETS: [i64; 6] = [-2, -1, 0, 1, 2, 3];

impl Table<'_> {
    /// Averages divided by their powers of `q`, so that those of homogeneous activations are constant.
    fn node(&mut self, i: i64) -> [f64; 7] {
        let activation = self.activation;
        *self.nodes.entry(i).or_insert_with(|| {
            let q = (i as f64 / PER_NAT).exp();
            let r = response(activation, q);
            [
                r.length / q,
                r.length_slope,
                r.slope,
                r.slope_slope * q,
                r.fourth_slope,
                r.fourth_length / (q * q),
                r.mixed / q,
            ]
        })
    }

    fn at(&mut self, q: f64) -> Response {
        let place = q.ln() * PER_NAT;
        let i = place.floor();
        let t = place - i;
        let weight = |k: i64| -> f64 {
            let others = OFFSETS.iter().filter(|j| **j != k);
            others.map(|&j| (t - j as f64) / (k - j) as f64).product()
        };
        let mut a = [0.0; 7];
        for k in OFFSETS {
            let w = weight(k);
            for (a, x) in a.iter_mut().zip(self.node(i as i64 + k)) {
                *a += w * x;
            }
        }
        Response {
            length: a[0] * q,
            length_slope: a[1],
            slope: a[2],
            slope_slope: a[3] / q,
            fourth_slope: a[4],
            fourth_length: a[5] * q * q,
            mixed: a[6] * q,
        }
    }
}

/// Leading-order fluctuation of `ln |J u|^2` through Gaussian layers, from an input with the given mean square `|x|^2/n0`.
/// Theorem: log-gradient-fluctuations.
///
/// # Errors
/// [`FluctuationError`] names the layer.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::fluctuation::{FluctuationLayer, fluctuations};
/// let layer = |width| FluctuationLayer { width, sigma_w2: 1.5, sigma_b2: 0.1 };
/// let var = |n| fluctuations(&Activation::Tanh, n, 1.0, &[layer(n); 8]).unwrap().var_ln_square;
/// assert!((var(100) / var(400) - 4.0).abs() < 1e-9); // of order 1/width
/// ```
pub fn fluctuations(
    activation: &Activation,
    input: usize,
    mean_square: f64,
    layers: &[FluctuationLayer],
) -> Result<Fluctuation, FluctuationError> {
    profile(activation, input, mean_square, layers, |_| ())
}

/// As [`fluctuations`]; `each` sees the variance of `ln |J u|^2` up to and including each layer, first
/// layer first.
///
/// # Errors
/// [`FluctuationError`] names the layer.
pub fn profile(
    activation: &Activation,
    input: usize,
    mean_square: f64,
    layers: &[FluctuationLayer],
    mut each: impl FnMut(f64),
) -> Result<Fluctuation, FluctuationError> {
    if !(mean_square > 0.0 && mean_square.is_finite()) {
        return Err(FluctuationError::Input { mean_square });
    }
    let mut fan_in = input as f64;
    let mut length = mean_square;
    let mut ln_mean_square = 0.0;
    // covariance of (delta q, delta ln g)
    let (mut qq, mut qg, mut gg) = (0.0, 0.0, 0.0);
    let mut var_ln_q = 0.0;
    let mut cached: Option<(f64, Response)> = None;
    let mut table = Table {
        activation,
        nodes: HashMap::new(),
    };
    // length fluctuation of the layer below: response, own variance, own covariance with ln g
    let mut below = (0.0, 0.0, 0.0);
    for (i, layer) in layers.iter().enumerate() {
        let FluctuationLayer {
            width,
            sigma_w2: s,
            sigma_b2,
        } = *layer;
        if width == 0 || !(s > 0.0 && s.is_finite() && sigma_b2 >= 0.0 && sigma_b2.is_finite()) {
            return Err(FluctuationError::Layer {
                layer: i + 1,
                width,
                sigma_w2: s,
                sigma_b2,
            });
        }
        let n = width as f64;
        let q = s * length + sigma_b2;
        let (gain, own, joint) = below;
        (qq, qg) = (
            (s * gain).powi(2) * qq + s * s * own,
            s * gain * qg + s * joint,
        );
        if !(q > LEAST_Q && q < LEAST_Q.recip()) {
            let (layer, slope) = (i + 1, f64::NAN);
            return Err(FluctuationError::Degenerate { layer, q, slope });
        }
        let r = match cached.take() {
            Some((at, r)) if (at - q).abs() <= 4.0 * f64::EPSILON * q => r,
            // the table has no place for the ends of the range
            _ if layers.len() > DIRECT && q > 1e-100 && q < 1e100 => table.at(q),
            _ => response(activation, q),
        };
        if !(r.slope > 0.0 && r.slope.is_finite()) {
            let (layer, slope) = (i + 1, r.slope);
            return Err(FluctuationError::Degenerate { layer, q, slope });
        }
        var_ln_q = qq / (q * q);
        ln_mean_square += (s * r.slope * n / fan_in).ln();
        let beta = r.slope_slope / r.slope;
        // own noise: averages over n units of phi'^2 zeta^2 and phi^2
        let noise = (3.0 * r.fourth_slope / (r.slope * r.slope) - 1.0) / n;
        let joint = (r.mixed / r.slope - r.length) / n;
        gg += 2.0 * beta * qg + beta * beta * qq + noise;
        each(gg);
        // what the next layer inherits: response to q, its own noise, and their covariance with ln g
        below = (
            r.length_slope,
            (r.fourth_length - r.length * r.length) / n,
            joint,
        );
        qg += beta * qq;
        length = r.length;
        fan_in = n;
        cached = Some((q, r));
    }
    Ok(Fluctuation {
        ln_mean_square,
        var_ln_square: gg,
        var_ln_q,
        certainty: Certainty::Asymptotic,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::activation::Custom;

    fn layers(width: usize, sigma_w2: f64, sigma_b2: f64, depth: usize) -> Vec<FluctuationLayer> {
        let layer = FluctuationLayer {
            width,
            sigma_w2,
            sigma_b2,
        };
        vec![layer; depth]
    }

    /// Theorem: log-gradient-fluctuations. The exact laws: 5/n a layer for ReLU, 2/n for linear layers, and for leaky slopes
    /// `6 (1+a^4)/(1+a^2)^2 - 1`.
    #[test]
    fn homogeneous_activations_agree_with_their_exact_laws() {
        let a = 0.3f64;
        let leaky = 6.0 * (1.0 + a.powi(4)) / (1.0 + a * a).powi(2) - 1.0;
        for (phi, per_layer, s) in [
            (Activation::Relu, 5.0, 2.0),
            (Activation::Linear, 2.0, 1.0),
            (Activation::LeakyRelu { slope: a }, leaky, 1.4),
            (Activation::Abs, 2.0, 1.0),
        ] {
            let f = fluctuations(&phi, 64, 1.0, &layers(64, s, 0.0, 12)).unwrap();
            let expected = 12.0 * per_layer / 64.0;
            assert!((f.var_ln_square - expected).abs() < 1e-12, "{phi}");
            assert!((f.var_ln_input_gradient(10) - expected - 0.2).abs() < 1e-12);
        }
        // the squared length of ReLU has the same law as |J u|^2, one layer behind
        let f = fluctuations(&Activation::Relu, 64, 1.0, &layers(64, 2.0, 0.0, 12)).unwrap();
        assert!((f.var_ln_q - 11.0 * 5.0 / 64.0).abs() < 1e-12);
        assert!(f.ln_mean_square.abs() < 1e-12);
    }

    /// The table of deep networks is an interpolation: layer by layer it agrees with direct averages.
    #[test]
    fn the_table_agrees_with_direct_averages() {
        for phi in [
            Activation::Tanh,
            Activation::Elu { alpha: 1.0 },
            Activation::Relu6,
        ] {
            let mut table = Table {
                activation: &phi,
                nodes: HashMap::new(),
            };
            for q in [0.013, 0.4, 1.0, 3.3, 47.0] {
                let (a, b) = (table.at(q), response(&phi, q));
                for (x, y) in [
                    (a.length, b.length),
                    (a.length_slope, b.length_slope),
                    (a.slope, b.slope),
                    (a.fourth_slope, b.fourth_slope),
                    (a.fourth_length, b.fourth_length),
                    (a.mixed, b.mixed),
                ] {
                    assert!((x / y - 1.0).abs() < 1e-5, "{phi} at {q}: {x} {y}");
                }
                let scale = b.slope / q;
                assert!((a.slope_slope - b.slope_slope).abs() < 1e-5 * scale);
            }
        }
    }

    /// Expectation of a product of four sums over `n` independent units: the sum over the set partitions
    /// of the factors. `moment` gives the expectation of the product of the given factors in one unit.
    fn product_of_sums(n: f64, factors: [usize; 4], moment: &impl Fn(&[usize]) -> f64) -> f64 {
        let mut total = 0.0;
        // restricted growth strings
        for code in 0..256usize {
            let label = [0, 1, 2, 3].map(|i| (code >> (2 * i)) & 3);
            let mut top = 0;
            let mut grown = true;
            for (i, l) in label.iter().enumerate() {
                grown &= if i == 0 { *l == 0 } else { *l <= top + 1 };
                top = top.max(*l);
            }
            if !grown {
                continue;
            }
            let mut term = 1.0;
            for block in 0..=top {
                let members: Vec<usize> = (0..4)
                    .filter(|i| label[*i] == block)
                    .map(|i| factors[i])
                    .collect();
                term *= (n - block as f64) * moment(&members);
            }
            total += term;
        }
        total
    }

    /// Theorem: log-gradient-fluctuations. Two layers of `phi = x^2`, whose moments are polynomial: the exact
    /// `E|Ju|^4/(E|Ju|^2)^2 - 1` at finite width, times the width, tends to the prediction. Length fluctuations, their
    /// effect on slopes and the covariance of both all matter here.
    #[test]
    fn second_layer_inherits_exact_fluctuations() {
        let square = Activation::Custom(Custom::new("square", |x| x * x, |x| 2.0 * x, []));
        // Gaussian moments
        let even = |k: i32| -> f64 {
            if k % 2 == 1 {
                0.0
            } else {
                (1..=k / 2).map(|i| f64::from(2 * i - 1)).product()
            }
        };
        // factors: 0 = x^2 = z^4, 1 = g^2 = 4 z^2 zeta^2, 2 = x g = 2 z^3 zeta, 3 = 1/n
        let s = 0.5;
        let exact = |n: f64| {
            let moment = |members: &[usize]| {
                let (mut z, mut zeta, mut c) = (0, 0, 1.0);
                for m in members {
                    match m {
                        0 => z += 4,
                        1 => (z, zeta, c) = (z + 2, zeta + 2, 4.0 * c),
                        2 => (z, zeta, c) = (z + 3, zeta + 1, 2.0 * c),
                        _ => c /= n,
                    }
                }
                c * even(z) * even(zeta)
            };
            let e = |f: [usize; 4]| {
                let ones = f.iter().filter(|x| **x == 3).count() as i32;
                product_of_sums(n, f, &moment) * (s / n).powi(4 - ones)
            };
            // given A = var h, B = var v, C = cov: E h^2 v^2 = AB + 2 C^2, E h^4 v^4 = 9 A^2B^2 + 72 A B C^2 + 24 C^4
            let mean = e([0, 1, 3, 3]) + 2.0 * e([2, 2, 3, 3]);
            let (aabb, abcc, cccc) = (e([0, 0, 1, 1]), e([0, 1, 2, 2]), e([2, 2, 2, 2]));
            let square = (9.0 * aabb + 72.0 * abcc + 24.0 * cccc) / n
                + (1.0 - 1.0 / n) * (aabb + 4.0 * abcc + 4.0 * cccc);
            square / (mean * mean) - 1.0
        };
        let n = 1e5;
        // Richardson: the next order is 1/n^2
        let limit = 2.0 * (2.0 * n) * exact(2.0 * n) - n * exact(n);
        let net = [
            FluctuationLayer {
                width: 1_000_000,
                sigma_w2: 1.0,
                sigma_b2: 0.0,
            },
            FluctuationLayer {
                width: 1_000_000,
                sigma_w2: s,
                sigma_b2: 0.0,
            },
        ];
        let f = fluctuations(&square, 10, 1.0, &net).unwrap();
        let predicted = 1e6 * f.var_ln_square;
        assert!(
            (predicted / limit - 1.0).abs() < 1e-6,
            "{predicted} {limit}"
        );
        // leaving out the fluctuation of lengths would be noticed
        let alone = 2.0 * (3.0 * 16.0 * 3.0 / 16.0 - 1.0);
        assert!((alone / limit - 1.0).abs() > 0.2, "{alone} {limit}");
    }

    #[test]
    fn smooth_networks_and_refusals() {
        // width and depth enter as expected
        let f = |n, l| {
            fluctuations(&Activation::Tanh, n, 1.0, &layers(n, 1.5, 0.1, l))
                .unwrap()
                .var_ln_square
        };
        assert!((f(50, 9) / f(100, 9) - 2.0).abs() < 1e-12);
        // at a fixed point of q the increments settle
        let (a, b, c) = (f(100, 198), f(100, 199), f(100, 200));
        assert!(((c - b) / (b - a) - 1.0).abs() < 1e-9);
        assert!(fluctuations(&Activation::Tanh, 3, 0.0, &[]).is_err());
        assert!(fluctuations(&Activation::Tanh, 3, 1.0, &layers(0, 1.0, 0.0, 1)).is_err());
        assert!(matches!(
            fluctuations(&Activation::SquaredRelu, 3, 1.0, &layers(5, 9.0, 0.0, 30)),
            Err(FluctuationError::Degenerate { .. })
        ));
    }
}
