//! Gradient growth of wide networks with batch, layer and RMS normalization at initialization.
//!
//! Growth is of the mean squared gradient norm, per layer, at infinite width and at the fixed point;
//! normalizations have gain 1, shift 0 and no epsilon. Start with [`growth`].
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::theory::mean_field::LengthMap;
//! use isometer::theory::normalization::{Normalization, Position, growth};
//!
//! let relu = LengthMap::new(Activation::Relu, 5.0, 0.0).unwrap();
//! let of = |n| growth(&relu, n, Position::Before).unwrap().value;
//! assert!((of(Normalization::Rms) - 1.0).abs() < 1e-14); // whatever sigma_w2
//! // batch normalization makes gradients explode: pi/(pi - 1) a layer
//! let pi = std::f64::consts::PI;
//! assert!((of(Normalization::Batch(None)) - pi / (pi - 1.0)).abs() < 1e-12);
//! ```

use thiserror::Error;

use crate::network::activation::Activation;
use crate::theory::averages::{moments, slope_moment, variance};
use crate::theory::mean_field::LengthMap;
use crate::theory::quadrature::{Average, integrate};

/// Why there is no growth rate.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum NormalizationError {
    /// The mean square of the gradient is infinite.
    #[error("batch {batch}: the mean squared gradient is infinite for batches of 3 or less")]
    BatchTooSmall {
        /// Size of the batch.
        batch: usize,
    },
    /// The average over the batch does not factor.
    #[error("batch {batch}, after the activation: only infinite batches have a closed law")]
    FiniteBatchAfter {
        /// Size of the batch.
        batch: usize,
    },
    /// A bias is shared by the batch: its law is not the one implemented.
    #[error(
        "batch normalization after the activation with sigma_b2 = {sigma_b2}: only without biases"
    )]
    BiasAfter {
        /// Variance of the biases.
        sigma_b2: f64,
    },
    /// The normalized quantity vanishes.
    #[error("the activation has no variance to normalize at q = {q}")]
    NoVariance {
        /// Variance of the pre-activations.
        q: f64,
    },
}

/// Where the normalization sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// `phi(norm(W x + b))`.
    Before,
    /// `norm(phi(W x + b))`.
    After,
}

/// What is normalized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalization {
    /// Each unit over a batch, to mean 0 and variance 1; `None` for an infinite batch.
    Batch(Option<usize>),
    /// Each sample over its units, to mean 0 and variance 1.
    Layer,
    /// Each sample over its units, to mean square 1.
    Rms,
}

/// Growth of the mean squared gradient norm per layer.
///
/// Before the activation layer and RMS normalization give
/// `sigma_w2 E phi'^2 / (sigma_w2 E phi^2 + sigma_b2)` at `q = 1`; after it
/// `sigma_w2 E phi'^2 / E phi^2` (RMS) or `/ Var phi` (layer) at `q = sigma_w2 + sigma_b2`. Batch
/// normalization before the activation does not see `sigma_w2` or biases.
///
/// # Errors
/// See [`NormalizationError`].
///
/// Theorems: layer-norm-growth, batch-norm-growth.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::mean_field::LengthMap;
/// use isometer::theory::normalization::{Normalization, NormalizationError, Position, growth};
/// let linear = LengthMap::new(Activation::Linear, 3.0, 0.0).unwrap();
/// let layer = growth(&linear, Normalization::Layer, Position::Before).unwrap();
/// assert!((layer.value - 1.0).abs() < 1e-14);
/// let batch = growth(&linear, Normalization::Batch(Some(2)), Position::Before);
/// assert!(matches!(batch, Err(NormalizationError::BatchTooSmall { batch: 2 })));
/// ```
pub fn growth(
    map: &LengthMap,
    normalization: Normalization,
    position: Position,
) -> Result<Average, NormalizationError> {
    let (phi, w, b) = (map.activation(), map.sigma_w2(), map.sigma_b2());
    match (normalization, position) {
        (Normalization::Batch(None), Position::Before) => {
            quotient(slope_moment(phi, 1.0, 1), variance(phi, 1.0), 1.0)
        }
        (Normalization::Batch(Some(batch)), Position::Before) => batch_growth(phi, batch),
        (Normalization::Batch(Some(batch)), Position::After) => {
            Err(NormalizationError::FiniteBatchAfter { batch })
        }
        (Normalization::Batch(None), Position::After) if b != 0.0 => {
            Err(NormalizationError::BiasAfter { sigma_b2: b })
        }
        (Normalization::Layer | Normalization::Rms, Position::Before) => {
            let m = moments(phi, 1.0);
            quotient(m.slope.times(w), m.second.times(w).plus(b), 1.0)
        }
        (Normalization::Rms, Position::After) => {
            let m = moments(phi, w + b);
            quotient(m.slope.times(w), m.second, w + b)
        }
        (Normalization::Layer | Normalization::Batch(None), Position::After) => {
            let slope = slope_moment(phi, w + b, 1);
            quotient(slope.times(w), variance(phi, w + b), w + b)
        }
    }
}

fn quotient(above: Average, below: Average, q: f64) -> Result<Average, NormalizationError> {
    if below.value > below.error {
        Ok(above.over(below))
    } else {
        Err(NormalizationError::NoVariance { q })
    }
}

/// Batch normalization before the activation, finite batch `B > 3`, any activation:
///
/// `[(B-1) E d^2 - E d^2 h^2 + E d_1 d_2 + E d_1 h_1 d_2 h_2] / ((B-3) (E phi^2 - E phi_1 phi_2))`,
///
/// `d = phi'(h)`, `h` uniform on the sphere of radius `sqrt B` orthogonal to the constants.
fn batch_growth(phi: &Activation, batch: usize) -> Result<Average, NormalizationError> {
    if batch <= 3 {
        return Err(NormalizationError::BatchTooSmall { batch });
    }
    let b = batch as f64;
    let [second, slope, outer] = single(phi, batch, |h| {
        let (y, d) = (phi.value(h), phi.derivative(h));
        [y * y, d * d, (d * h).powi(2)]
    });
    // E phi^2 - E phi_1 phi_2 as half the mean squared difference
    let [spread, slopes] = pair(phi, batch, |x, y| {
        let (d, e) = (phi.derivative(x), phi.derivative(y));
        [
            0.5 * (phi.value(x) - phi.value(y)).powi(2),
            d * e * (1.0 + x * y),
        ]
    });
    let above = Average {
        value: (b - 1.0) * slope.value - outer.value + slopes.value,
        error: (b - 1.0) * slope.error + outer.error + slopes.error,
    };
    if spread.value <= spread.error + 4.0 * f64::EPSILON * second.value {
        return Err(NormalizationError::NoVariance { q: 1.0 });
    }
    Ok(above.over(spread).times((b - 3.0).recip()))
}

/// `E f(h_1)` for a single coordinate: density `(1 - h^2/(B-1))^((B-4)/2)`. The substitution
/// `1 - h^2/(B-1) = exp(-w^2/(B-2))` makes the weight `exp(-w^2/2) w / t`, smooth for every `B`.
fn single<const N: usize>(
    phi: &Activation,
    batch: usize,
    f: impl Fn(f64) -> [f64; N],
) -> [Average; N] {
    let (radius, c) = ((batch as f64 - 1.0).sqrt(), batch as f64 - 2.0);
    let at = |w: f64| w.signum() * (-(-w * w / c).exp_m1()).sqrt();
    let weight = |w: f64| {
        let ratio = if w == 0.0 {
            1.0
        } else {
            w / (c.sqrt() * at(w))
        };
        (-0.5 * w * w).exp() * ratio
    };
    let breaks: Vec<f64> = phi
        .kinks()
        .iter()
        .chain([&0.0])
        .filter(|k| k.abs() < radius)
        .map(|k| k.signum() * (-c * (-(k / radius).powi(2)).ln_1p()).sqrt())
        .collect();
    let [norm] = integrate(|w| [weight(w)], -12.0, 12.0, &[0.0], 0.0);
    integrate(
        |w| f(radius * at(w)).map(|y| y * weight(w)),
        -12.0,
        12.0,
        &breaks,
        1e-15,
    )
    .map(|a| a.over(norm))
}

/// `E f(h_1, h_2)` for two coordinates, `f` symmetric: in polar coordinates the angle is uniform and the
/// radius is `sqrt((B-1)(1 - exp(-v^2/(B-3))))` with `v` of density `v exp(-v^2/2)`.
fn pair<const N: usize>(
    phi: &Activation,
    batch: usize,
    f: impl Fn(f64, f64) -> [f64; N],
) -> [Average; N] {
    use std::f64::consts::{PI, TAU};
    let b = batch as f64;
    // h_1, h_2 = R cos(theta -+ eta), correlation cos(2 eta) = -1/(B-1)
    let eta = 0.5 * (-1.0 / (b - 1.0)).acos();
    let kinks = phi.kinks();
    let radius = |v: f64| ((b - 1.0) * -(-v * v / (b - 3.0)).exp_m1()).sqrt();
    let inner = |v: f64| {
        let r = radius(v);
        let mut angles = Vec::new();
        for k in kinks.iter().filter(|k| k.abs() < r) {
            let turn = (k / r).acos();
            for base in [eta + turn, eta - turn, -eta + turn, -eta - turn] {
                angles.push(base.rem_euclid(TAU));
            }
        }
        // exchange of the two coordinates is theta -> -theta: half the circle
        let half = integrate(
            |theta| f(r * (theta - eta).cos(), r * (theta + eta).cos()),
            0.0,
            PI,
            &angles,
            1e-11,
        );
        half.map(|a| a.value / PI * v * (-0.5 * v * v).exp())
    };
    // radii where a kink enters, or two kinks meet
    let mut breaks = Vec::new();
    let (cos, sin) = ((2.0 * eta).cos(), (2.0 * eta).sin());
    for x in &kinks {
        breaks.push(x.abs());
        for y in &kinks {
            breaks.push(((x * x + y * y - 2.0 * cos * x * y).max(0.0)).sqrt() / sin);
        }
    }
    let breaks: Vec<f64> = breaks
        .into_iter()
        .filter(|r| *r > 0.0 && r * r < b - 1.0)
        .map(|r| (-(b - 3.0) * (-r * r / (b - 1.0)).ln_1p()).sqrt())
        .collect();
    let mut averages = integrate(inner, 0.0, 12.0, &breaks, 1e-9);
    for a in &mut averages {
        // the inner integrals, to 1e-13 absolute or 1e-14 relative
        a.error += 1e-12 * (1.0 + a.value.abs());
    }
    averages
}

/// `E |J u|^2` of a linear Gaussian layer with `sigma_w2 = 1` followed by RMS normalization, `n` units, `u` a
/// unit vector orthogonal to an input of mean square 1: `(n-1)/(n-2)`, the mean of
/// `chi2_{n-1} / chi2_n`. `None` for `n <= 2`, where it is infinite.
///
/// Theorem: rms-norm-linear-law.
///
/// # Examples
/// ```
/// use isometer::theory::normalization::rms_linear_mean_square;
/// assert_eq!((rms_linear_mean_square(5), rms_linear_mean_square(2)), (Some(4.0 / 3.0), None));
/// ```
pub fn rms_linear_mean_square(n: usize) -> Option<f64> {
    (n > 2).then(|| (n as f64 - 1.0) / (n as f64 - 2.0))
}

/// Weights before a normalization multiplied by `scale`: the gradient with respect to them is
/// multiplied by `1/scale` and the step they feel, relative to their size, by `1/scale^2`
/// (homogeneity of degree 0; van Laarhoven, arXiv:1706.05350). Theorem: scale-invariance.
///
/// # Examples
/// ```
/// use isometer::theory::normalization::scale_invariant_factors;
/// assert_eq!(scale_invariant_factors(2.0), (0.5, 0.25));
/// ```
pub fn scale_invariant_factors(scale: f64) -> (f64, f64) {
    (scale.recip(), scale.powi(-2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(phi: Activation, norm: Normalization) -> f64 {
        let map = LengthMap::new(phi, 1.7, 0.0).unwrap();
        growth(&map, norm, Position::Before).unwrap().value
    }

    /// Theorem: layer-norm-growth.
    #[test]
    fn published_rates_of_layer_norm() {
        // theory.csv R237 .. R243
        for (phi, truth) in [
            (Activation::Relu, 1.0),
            (Activation::Tanh, 1.1778072323041797),
            (Activation::Gelu, 1.0720315984362918),
            (Activation::Silu, 1.0666342412419147),
            (Activation::Erf, 1.2257000037856907),
        ] {
            for norm in [Normalization::Layer, Normalization::Rms] {
                assert!((rate(phi.clone(), norm) - truth).abs() < 1e-13, "{phi}");
            }
        }
    }

    /// The closed form for ReLU from arc-cosine kernels.
    fn relu_closed(b: f64) -> f64 {
        let pi = std::f64::consts::PI;
        let r = -1.0 / (b - 1.0);
        let p = 0.25 + r.asin() / (2.0 * pi);
        let k = ((1.0 - r * r).sqrt() + r * (pi - r.acos())) / (2.0 * pi);
        let (count, s2) = (b / 2.0 + b * (b - 1.0) * p, b / 2.0 + b * (b - 1.0) * k);
        let f = (b / 2.0) * (1.0 - 1.0 / b) - 0.5 - (b / 2.0 - count / b - s2 / b) / b;
        b / (b - 3.0) * f / ((b - 1.0) * (0.5 - k))
    }

    /// Theorem: batch-norm-growth.
    #[test]
    fn batch_growth_meets_the_closed_forms() {
        // theory.csv R227, R228, R229, R233
        let at = |phi: Activation, b: usize| batch_growth(&phi, b).unwrap();
        for (b, truth) in [
            (4, 3.084060948087733),
            (8, 1.7881899766587483),
            (32, 1.5219528305518795),
        ] {
            let a = at(Activation::Relu, b);
            assert!(
                (a.value - truth).abs() < 1e-11 && (a.value - truth).abs() <= a.error,
                "{a:?}"
            );
            assert!((relu_closed(b as f64) - truth).abs() < 1e-12);
        }
        let large = at(Activation::Relu, 100_000).value;
        assert!((large - relu_closed(1e5)).abs() < 1e-11);
        for b in [4usize, 5, 9, 300] {
            let truth = (b as f64 - 2.0) / (b as f64 - 3.0);
            assert!((at(Activation::Linear, b).value - truth).abs() < 1e-11);
        }
        assert!(matches!(
            batch_growth(&Activation::Relu, 3),
            Err(NormalizationError::BatchTooSmall { batch: 3 })
        ));
    }

    #[test]
    fn large_batches_arrive_at_the_limit() {
        // R232, R242
        let infinite = Normalization::Batch(None);
        let pi = std::f64::consts::PI;
        assert!((rate(Activation::Relu, infinite) - pi / (pi - 1.0)).abs() < 1e-14);
        assert!((rate(Activation::Relu, infinite).sqrt() - 1.2111738962363165).abs() < 1e-14);
        assert!((rate(Activation::Silu, infinite) - 1.2120811147571104).abs() < 1e-13);
        for phi in [
            Activation::Silu,
            Activation::Tanh,
            Activation::HardTanh,
            Activation::Elu { alpha: 1.0 },
        ] {
            let limit = rate(phi.clone(), infinite);
            let gap = |b: usize| rate(phi.clone(), Normalization::Batch(Some(b))) - limit;
            // corrections of order 1/B
            let ratio = gap(4000) / gap(8000);
            assert!((ratio - 2.0).abs() < 0.01, "{phi}: {ratio}");
        }
    }

    #[test]
    fn moments_on_the_sphere_are_exact() {
        // E h^2 = 1, E h^4 = 3 (B-1)/(B+1), E h1 h2 = -1/(B-1), and h1^2 h2^2 from sum h = 0
        for b in [4usize, 5, 7, 64] {
            let n = b as f64;
            let [two, four] = single(&Activation::HardTanh, b, |h| [h * h, h.powi(4)]);
            let fourth = 3.0 * (n - 1.0) / (n + 1.0);
            assert!((two.value - 1.0).abs() < 1e-13 && (four.value - fourth).abs() < 1e-12);
            let [cross, squares] = pair(&Activation::HardTanh, b, |x, y| [x * y, (x * y).powi(2)]);
            assert!(
                (cross.value + 1.0 / (n - 1.0)).abs() < 1e-12,
                "{b} {cross:?}"
            );
            // sum of squares is B: B E h^4 + B (B-1) E h1^2 h2^2 = B^2
            let truth = (n - fourth) / (n - 1.0);
            assert!((squares.value - truth).abs() < 1e-11, "{b} {squares:?}");
        }
    }

    #[test]
    fn after_the_activation() {
        let after =
            |phi, w, b, norm| growth(&LengthMap::new(phi, w, b).unwrap(), norm, Position::After);
        // homogeneous without biases: the same growth on both sides, at every variance
        for w in [0.1, 1.0, 30.0] {
            let rms = after(Activation::Relu, w, 0.0, Normalization::Rms).unwrap();
            assert!((rms.value - 1.0).abs() < 1e-14);
            let pi = std::f64::consts::PI;
            let layer = after(Activation::Relu, w, 0.0, Normalization::Layer).unwrap();
            assert!((layer.value - pi / (pi - 1.0)).abs() < 1e-13);
        }
        // tanh: sigma_w2 now matters, and small weights make it linear
        let small = after(Activation::Tanh, 1e-6, 0.0, Normalization::Rms).unwrap();
        assert!((small.value - 1.0).abs() < 1e-5);
        assert!(
            after(Activation::Tanh, 4.0, 0.0, Normalization::Rms)
                .unwrap()
                .value
                > 1.3
        );
        assert!(after(Activation::Relu, 1.0, 0.0, Normalization::Batch(Some(8))).is_err());
        assert!(after(Activation::Relu, 1.0, 0.1, Normalization::Batch(None)).is_err());
    }

    /// Theorem: rms-norm-linear-law.
    #[test]
    fn linear_rms_layers_and_scale_invariance() {
        // theory.csv R245, R256, R257
        assert_eq!(rms_linear_mean_square(10), Some(1.125));
        assert_eq!(rms_linear_mean_square(2), None);
        // second route: E chi2_{n-1} E 1/chi2_n with the density of chi2_n
        let inverse = integrate(
            |x: f64| {
                [
                    x.powf(4.0) * (-0.5 * x).exp(),
                    x.powf(3.0) * (-0.5 * x).exp(),
                ]
            },
            0.0,
            200.0,
            &[],
            0.0,
        );
        assert!((9.0 * inverse[1].value / inverse[0].value - 1.125).abs() < 1e-12);
        assert_eq!(scale_invariant_factors(4.0), (0.25, 0.0625));
    }
}
