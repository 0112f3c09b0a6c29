//! The edge of chaos: where squared gradient norms keep their mean through every layer.
//!
//! `chi_1 = sigma_w2 E phi'(u)^2 = 1` at a fixed point `q` of the length. ReLU has one point, `sigma_w2 = 2`; tanh
//! a curve. Start with [`edge_of_chaos`] or [`gains`]. Width to infinity; closed form or quadrature, with its
//! error.
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::theory::criticality::{EdgeOfChaos, edge_at_q, edge_of_chaos};
//! use isometer::theory::mean_field::LengthMap;
//!
//! let EdgeOfChaos::Homogeneous { sigma_w2 } = edge_of_chaos(&Activation::Relu) else { panic!() };
//! assert!((sigma_w2 - 2.0).abs() < 1e-14);
//! let e = edge_at_q(&Activation::Tanh, 0.5).unwrap();
//! let map = LengthMap::new(Activation::Tanh, e.sigma_w2.value, e.sigma_b2.value).unwrap();
//! assert!((map.next(0.5).value - 0.5).abs() < 1e-12); // the length stays
//! assert!((map.chi_1(0.5).value - 1.0).abs() < 1e-12); // and so does the gradient
//! ```

use crate::network::activation::Activation;
use crate::network::framework::{torch_gain, torch_gain_squared};
use crate::theory::averages::{Moments, moments};
use crate::theory::mean_field::{LengthMap, Limit, Stability};
use crate::theory::quadrature::Average;
use crate::theory::roots::bracketed;

/// Range of `q` that is searched for the edge.
pub const SEARCHED: (f64, f64) = (1e-8, 1e9);
const STEP: f64 = 0.25;

/// A point of the edge: `chi_1 = 1` at the fixed point `q`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EdgePoint {
    /// Fixed point of the length.
    pub q: Average,
    /// Variance of the weights times the fan-in.
    pub sigma_w2: Average,
    /// Variance of the biases.
    pub sigma_b2: Average,
    /// Slope of the length map: below 1 the length is held, above 1 it drifts away.
    pub chi_parallel: Average,
}

/// The edge of chaos of an activation.
#[derive(Clone, Debug, PartialEq)]
pub enum EdgeOfChaos {
    /// A single point without biases, at which every length is fixed.
    Homogeneous {
        /// The variance; 2 for ReLU.
        sigma_w2: f64,
    },
    /// Curves parametrised by `q` between these limits, ascending. A limit 0 is the point `q = 0`,
    /// `sigma_b2 = 0`; a limit at the end of [`SEARCHED`] is where the search stopped.
    Curves(Vec<(f64, f64)>),
    /// None in the range searched: `chi_1 = 1` would need `sigma_b2 < 0` everywhere.
    None {
        /// Largest `sigma_b2 / q` met, negative.
        best: f64,
        /// The length at which it was met.
        q: f64,
        /// Range of `q` searched.
        searched: (f64, f64),
    },
}

fn edge_of(q: f64, m: &Moments) -> EdgePoint {
    let sigma_w2 = Average::closed_form(1.0).over(m.slope);
    let sigma_b2 = m.second.over(m.slope).times(-1.0).plus(q);
    EdgePoint {
        q: Average {
            value: q,
            error: 0.0,
        },
        sigma_w2,
        sigma_b2: Average {
            error: sigma_b2.error + f64::EPSILON * q,
            ..sigma_b2
        },
        chi_parallel: m.parallel.over(m.slope),
    }
}

/// The point of the edge with fixed point `q`: `sigma_w2 = 1 / E phi'^2`,
/// `sigma_b2 = q - sigma_w2 E phi^2`. `None` if that variance is negative beyond its error.
///
/// Theorem: edge-parametrisation.
///
/// # Examples
/// ```
/// use isometer::{network::activation::Activation, theory::criticality::edge_at_q};
/// let e = edge_at_q(&Activation::Relu, 7.0).unwrap(); // any length will do
/// assert!((e.sigma_w2.value - 2.0).abs() < 1e-14 && e.sigma_b2.value.abs() < 1e-12);
/// ```
pub fn edge_at_q(activation: &Activation, q: f64) -> Option<EdgePoint> {
    let mut point = edge_of(q, &moments(activation, q));
    if !point.sigma_w2.value.is_finite() || point.sigma_b2.value < -point.sigma_b2.error {
        return None;
    }
    point.sigma_b2.value = point.sigma_b2.value.max(0.0);
    Some(point)
}

/// Values over the range searched, with their errors.
struct Scan<F: Fn(f64) -> Average> {
    f: F,
    nodes: Vec<(f64, Average)>,
}

impl<F: Fn(f64) -> Average> Scan<F> {
    fn new(f: F) -> Scan<F> {
        let (start, end) = (SEARCHED.0.ln(), SEARCHED.1.ln());
        let count = ((end - start) / STEP).ceil();
        let nodes = (0..=count as usize)
            .map(|i| {
                let ln_q = start + (end - start) * i as f64 / count;
                (ln_q, f(ln_q.exp()))
            })
            .filter(|(_, y)| y.value.abs() > y.error)
            .collect();
        Scan { f, nodes }
    }

    /// `(q, error, rises)` of every change of sign.
    fn roots(&self) -> Vec<(f64, f64, bool)> {
        let mut out = Vec::new();
        for pair in self.nodes.windows(2) {
            let ((a, fa), (b, fb)) = (pair[0], pair[1]);
            if (fa.value > 0.0) == (fb.value > 0.0) {
                continue;
            }
            let root = bracketed(|x| (self.f)(x.exp()).value, (a, fa.value), (b, fb.value));
            let q = root.exp();
            // slope over a step that is wide beside the error and narrow beside the bend
            let h = 1e-4;
            let rate =
                ((self.f)((root + h).exp()).value - (self.f)((root - h).exp()).value) / (2.0 * h);
            let error = q * (self.f)(q).error / rate.abs();
            out.push((
                q,
                error.min(q * (b - a)) + 2.0 * f64::EPSILON * q,
                fb.value > 0.0,
            ));
        }
        out
    }
}

/// `sigma_b2 / q` on the edge.
fn relative_bias(activation: &Activation, q: f64) -> Average {
    edge_of(q, &moments(activation, q))
        .sigma_b2
        .times(q.recip())
}

/// `sigma_w2` of the single point of a homogeneous activation.
fn homogeneous_edge(activation: &Activation) -> Option<f64> {
    let (below, above) = activation.slopes()?;
    Some(2.0 / (below * below + above * above))
}

/// All parts of the edge.
///
/// Theorem: edge-parametrisation.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::criticality::{EdgeOfChaos, edge_of_chaos};
/// assert!(matches!(edge_of_chaos(&Activation::Tanh), EdgeOfChaos::Curves(c) if c[0].0 == 0.0)); // from q = 0
/// ```
pub fn edge_of_chaos(activation: &Activation) -> EdgeOfChaos {
    if let Some(sigma_w2) = homogeneous_edge(activation) {
        return EdgeOfChaos::Homogeneous { sigma_w2 };
    }
    let scan = Scan::new(|q| relative_bias(activation, q));
    let mut curves = Vec::new();
    let mut open = scan.nodes.first().filter(|(_, y)| y.value > 0.0).map(|_| {
        if activation.value(0.0) == 0.0 {
            0.0
        } else {
            SEARCHED.0
        }
    });
    for (q, _, rises) in scan.roots() {
        match open.take() {
            None if rises => open = Some(q),
            Some(start) if !rises => curves.push((start, q)),
            other => open = other,
        }
    }
    curves.extend(open.map(|start| (start, SEARCHED.1)));
    if !curves.is_empty() {
        return EdgeOfChaos::Curves(curves);
    }
    let best = scan
        .nodes
        .iter()
        .max_by(|a, b| a.1.value.total_cmp(&b.1.value));
    let (ln_q, best) = best.map_or((f64::NAN, f64::NAN), |(x, y)| (*x, y.value));
    EdgeOfChaos::None {
        best,
        q: ln_q.exp(),
        searched: SEARCHED,
    }
}

/// All points of the edge with this variance of the biases, by ascending `q`; homogeneous
/// activations, whose `q` is free, have none here.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::criticality::edge_at_bias;
/// let e = edge_at_bias(&Activation::Tanh, 0.05);
/// assert!(e.len() == 1 && e[0].sigma_w2.value > 1.7 && e[0].sigma_w2.value < 1.8);
/// ```
pub fn edge_at_bias(activation: &Activation, sigma_b2: f64) -> Vec<EdgePoint> {
    if activation.slopes().is_some() {
        return Vec::new();
    }
    let scan = Scan::new(|q| {
        let b = edge_of(q, &moments(activation, q)).sigma_b2;
        // beside q: relative, and of one sign where the bias is far from its target
        b.plus(-sigma_b2).times(q.recip())
    });
    let mut points = Vec::new();
    if sigma_b2 == 0.0 && activation.value(0.0) == 0.0 {
        let m = moments(activation, 0.0);
        if m.slope.value > 0.0 {
            points.push(edge_of(0.0, &m));
        }
    }
    for (q, error, _) in scan.roots() {
        let at = edge_of(q, &moments(activation, q));
        points.push(EdgePoint {
            q: Average { value: q, error },
            ..at
        });
    }
    points
}

/// Points where `chi_1 = chi_parallel = 1` at `q > 0`: the length is held to second order too
/// (Roberts, Yaida and Hanin 2022, section 5.3). Empty for homogeneous activations, where it holds
/// at every length, and for those like tanh that have it at `q = 0` only.
///
/// # Examples
/// ```
/// use isometer::{network::activation::Activation, theory::criticality::half_stable};
/// assert!(half_stable(&Activation::Tanh).is_empty()); // it has one at q = 0 only
/// assert!(!half_stable(&Activation::Gelu).is_empty());
/// ```
pub fn half_stable(activation: &Activation) -> Vec<EdgePoint> {
    if activation.slopes().is_some() {
        return Vec::new();
    }
    let scan = Scan::new(|q| {
        let m = moments(activation, q);
        m.parallel.over(m.slope).plus(-1.0)
    });
    let points = scan.roots().into_iter().filter_map(|(q, error, _)| {
        edge_at_q(activation, q).map(|at| EdgePoint {
            q: Average { value: q, error },
            ..at
        })
    });
    points.collect()
}

/// A multiplier on all weights that keeps the mean square of gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CriticalAlpha {
    /// The multiplier.
    pub alpha: Average,
    /// The fixed point of the length there; `None` where every length has `chi_1 = 1`.
    pub q: Option<Average>,
    /// Whether the length returns there when disturbed, so that deep networks show this growth.
    pub attracting: bool,
}

/// Every `alpha > 0` such that weights of variance `alpha^2 sigma_w2` give `chi_1 = 1` at a fixed
/// point of the length; biases are not multiplied. Empty if there is none. Means of squares at
/// infinite width.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::criticality::critical_alphas;
/// use isometer::theory::mean_field::LengthMap;
/// // sigma_w2 = 8 is four times the critical 2 of ReLU
/// let found = critical_alphas(&LengthMap::new(Activation::Relu, 8.0, 0.0).unwrap());
/// assert!((found[0].alpha.value - 0.5).abs() < 1e-12);
/// ```
pub fn critical_alphas(map: &LengthMap) -> Vec<CriticalAlpha> {
    if map.sigma_w2() == 0.0 {
        return Vec::new();
    }
    if let Some(sigma_w2) = homogeneous_edge(map.activation()) {
        return vec![CriticalAlpha {
            alpha: Average::closed_form((sigma_w2 / map.sigma_w2()).sqrt()),
            q: None,
            attracting: false,
        }];
    }
    edge_at_bias(map.activation(), map.sigma_b2())
        .into_iter()
        .map(|edge| CriticalAlpha {
            alpha: edge.sigma_w2.times(map.sigma_w2().recip()).sqrt(),
            q: Some(edge.q),
            attracting: attracts(map, &edge),
        })
        .collect()
}

fn attracts(map: &LengthMap, edge: &EdgePoint) -> bool {
    if edge.q.value > 0.0 {
        return edge.chi_parallel.value < 1.0 - edge.chi_parallel.error;
    }
    // at 0 the slope is 1: the next order decides
    LengthMap::new(map.activation().clone(), edge.sigma_w2.value, 0.0).is_ok_and(|m| {
        m.fixed_points()
            .points
            .first()
            .is_some_and(|p| p.q.value == 0.0 && p.stability == Stability::Attracting)
    })
}

/// Gains of an activation at one length; a gain is the root of `sigma_w2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gains {
    /// Keeps the variance `q` through a layer without biases: `sqrt(q / E phi^2)`.
    pub forward: Average,
    /// Keeps the mean square of gradients at that length: `1 / sqrt(E phi'^2)`.
    pub backward: Average,
    /// `chi_1` at the forward gain.
    pub chi_at_forward: Average,
    /// Slope of the length map at the forward gain: above 1 the length drifts away from `q`.
    pub chi_parallel_at_forward: Average,
    /// What PyTorch's `calculate_gain` recommends, for the activations it knows.
    pub torch: Option<AtGain>,
}

/// A gain and where it leads from the length asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtGain {
    /// The gain.
    pub gain: f64,
    /// Where the length goes, without biases.
    pub limit: Limit,
    /// Growth of squared gradient norms per layer there; `None` where no limit was found.
    pub chi_1: Option<Average>,
}

/// Gains at pre-activation variance `q > 0`.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::criticality::gains;
/// let g = gains(&Activation::Relu, 1.0);
/// assert!((g.forward.value - 2f64.sqrt()).abs() < 1e-14 && (g.backward.value - 2f64.sqrt()).abs() < 1e-14);
/// // tanh: what PyTorch recommends, 5/3, is not what keeps variance 1
/// let t = gains(&Activation::Tanh, 1.0);
/// assert!((t.torch.unwrap().gain - 5.0 / 3.0).abs() < 1e-15 && t.forward.value < 1.6);
/// ```
pub fn gains(activation: &Activation, q: f64) -> Gains {
    let m = moments(activation, q);
    let w = Average::closed_form(q).over(m.second);
    let product = |a: Average| Average {
        value: w.value * a.value,
        error: w.value * a.error + a.value.abs() * w.error,
    };
    Gains {
        forward: w.sqrt(),
        backward: Average::closed_form(1.0).over(m.slope).sqrt(),
        chi_at_forward: product(m.slope),
        chi_parallel_at_forward: product(m.parallel),
        torch: torch_gain(activation)
            .zip(torch_gain_squared(activation))
            .and_then(|(gain, square)| at_gain(activation, gain, square, q)),
    }
}

/// Where a gain leads from length `q`; its square is given apart, since rounding `sqrt(2)^2` would
/// move ReLU off its edge. `None` if the square is no variance.
fn at_gain(activation: &Activation, gain: f64, square: f64, q: f64) -> Option<AtGain> {
    let map = LengthMap::new(activation.clone(), square, 0.0).ok()?;
    let limit = map.limit(q);
    let chi_1 = match limit {
        Limit::Fixed(p) => Some(p.chi_1),
        Limit::Every(chi) | Limit::Diverges(chi) => Some(chi),
        Limit::Unsettled => None,
    };
    Some(AtGain { gain, limit, chi_1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: Average, b: f64, tolerance: f64) {
        assert!((a.value - b).abs() <= tolerance * b.abs(), "{a:?} {b}");
    }

    /// Theorem: edge-parametrisation.
    #[test]
    fn published_points_of_the_edge() {
        let at = |phi: Activation, q| edge_at_q(&phi, q).unwrap();
        let elu = Activation::Elu { alpha: 1.0 };
        // theory.csv R024 .. R055
        near(at(Activation::Tanh, 1.0).sigma_w2, 2.15330264890279, 1e-13);
        near(
            at(Activation::Erf, 1.0).sigma_b2,
            0.18413967780745277,
            1e-13,
        );
        near(
            at(Activation::Silu, 1.0).sigma_b2,
            0.062471500225166565,
            1e-13,
        );
        near(at(Activation::Silu, 20.0).sigma_w2, 1.97546663700729, 1e-13);
        near(
            at(Activation::Gelu, 0.5).sigma_w2,
            2.4555064168258998,
            1e-13,
        );
        near(
            at(Activation::Gelu, 1.0).sigma_b2,
            0.0671916747056337,
            1e-13,
        );
        near(
            at(Activation::Gelu, 20.0).sigma_b2,
            0.47533676789897683,
            1e-12,
        );
        near(at(elu, 1.0).sigma_b2, 0.0346602520092012, 1e-12);
        near(at(Activation::Mish, 1.0).sigma_w2, 2.087317681972859, 1e-13);
        near(
            at(Activation::Mish, 1.0).sigma_b2,
            0.055818143551451205,
            1e-12,
        );
        near(
            at(Activation::Mish, 20.0).sigma_w2,
            1.9469262627670587,
            1e-13,
        );
        near(
            at(Activation::Mish, 20.0).sigma_b2,
            0.5928923695883732,
            1e-12,
        );
    }

    /// Theorem: edge-parametrisation.
    #[test]
    fn points_of_the_edge_are_fixed_and_critical() {
        for phi in [Activation::Tanh, Activation::Gelu, Activation::Selu] {
            for q in [0.3, 1.0, 5.0] {
                let Some(e) = edge_at_q(&phi, q) else {
                    continue;
                };
                let map = LengthMap::new(phi.clone(), e.sigma_w2.value, e.sigma_b2.value).unwrap();
                assert!((map.next(q).value / q - 1.0).abs() < 1e-14);
                assert!((map.chi_1(q).value - 1.0).abs() < 1e-14);
                assert!((map.chi_1(1.01 * q).value - 1.0).abs() > 1e-5);
            }
        }
    }

    #[test]
    fn the_edge_at_given_bias() {
        // theory.csv R056, R059, R060, R062, R065
        let only = |phi: &Activation, b| {
            let points = edge_at_bias(phi, b);
            assert_eq!(points.len(), 1, "{points:?}");
            points[0]
        };
        near(only(&Activation::Sigmoid, 0.0).q, 45.6242777973797, 1e-11);
        near(only(&Activation::Sigmoid, 0.0).sigma_w2, 103.0076, 1e-6);
        near(
            only(&Activation::Tanh, 0.05).sigma_w2,
            1.7609546396067381,
            1e-12,
        );
        near(only(&Activation::Tanh, 0.2).q, 1.1644962874579818, 1e-12);
        near(
            only(&Activation::Tanh, 2.5e-5).q,
            0.02797190525019287,
            1e-10,
        );
        near(
            only(&Activation::Erf, 0.05).sigma_w2,
            1.3758390073466804,
            1e-12,
        );
        let start = only(&Activation::Tanh, 0.0);
        assert!(start.q.value == 0.0 && (start.sigma_w2.value - 1.0).abs() < 1e-13);
        let q = only(&Activation::Tanh, 2.5e-5).q;
        assert!((q.value - 0.02797190525019287).abs() <= q.error && q.error < 1e-10);
        // a bias of 1 % more is another point
        assert!((only(&Activation::Tanh, 0.202).q.value - 1.1644962874579818).abs() > 1e-3);
    }

    #[test]
    fn the_shape_of_the_edge() {
        assert_eq!(
            edge_of_chaos(&Activation::Relu),
            EdgeOfChaos::Homogeneous { sigma_w2: 2.0 }
        );
        let EdgeOfChaos::Curves(c) = edge_of_chaos(&Activation::Tanh) else {
            panic!()
        };
        assert_eq!(c, [(0.0, SEARCHED.1)]);
        let EdgeOfChaos::Curves(c) = edge_of_chaos(&Activation::Sigmoid) else {
            panic!()
        };
        assert!(c.len() == 1 && (c[0].0 / 45.6242777973797 - 1.0).abs() < 1e-12);
        let softplus = edge_of_chaos(&Activation::Softplus { beta: 1.0 });
        assert!(
            matches!(softplus, EdgeOfChaos::None { best, .. } if best < 0.0),
            "{softplus:?}"
        );
        // gelu starts at 1 / phi'(0)^2 = 4
        let gelu = edge_at_bias(&Activation::Gelu, 0.0);
        assert!(gelu[0].q.value == 0.0 && (gelu[0].sigma_w2.value - 4.0).abs() < 1e-12);
    }

    #[test]
    fn half_stable_points() {
        // theory.csv R068, R070, R073, R074, R075, R076
        let only = |phi: &Activation| {
            let points = half_stable(phi);
            assert_eq!(points.len(), 1, "{points:?}");
            points[0]
        };
        let gelu = only(&Activation::Gelu);
        near(gelu.q, 3.5615528128088227, 1e-11);
        near(gelu.sigma_w2, 1.9830582574, 1e-10);
        near(gelu.sigma_b2, 0.1729223907560664, 1e-10);
        near(only(&Activation::Silu).sigma_b2, 0.5551431707215322, 1e-10);
        let mish = only(&Activation::Mish);
        near(mish.q, 1.6701691324780812, 1e-11);
        near(mish.sigma_w2, 2.01352406971953, 1e-11);
        near(mish.sigma_b2, 0.09452178737066541, 1e-10);
        assert!(half_stable(&Activation::Tanh).is_empty());
        assert!(half_stable(&Activation::Erf).is_empty());
    }

    #[test]
    fn gains_and_where_they_lead() {
        let gelu = gains(&Activation::Gelu, 1.0);
        near(gelu.forward, 1.5335, 1e-4);
        assert!(gelu.chi_parallel_at_forward.value > 1.0);
        let silu = gains(&Activation::Silu, 1.0);
        near(silu.forward, 1.6765, 1e-4);
        assert!(silu.chi_parallel_at_forward.value > 1.0);
        let tanh = gains(&Activation::Tanh, 1.0);
        assert!(tanh.chi_parallel_at_forward.value < 1.0);
        // R095
        near(
            tanh.torch.unwrap().chi_1.unwrap(),
            1.2098313203828288,
            1e-12,
        );
        let relu = gains(&Activation::Relu, 3.0);
        near(relu.forward, std::f64::consts::SQRT_2, 1e-15);
        near(relu.backward, std::f64::consts::SQRT_2, 1e-15);
        assert!(matches!(relu.torch.unwrap().limit, Limit::Every(_)));
        // selu holds q = 1 at gain 1 (Klambauer 2017)
        let selu = gains(&Activation::Selu, 1.0);
        near(selu.forward, 1.0, 1e-12);
        near(selu.chi_at_forward, 1.07157499, 1e-8);
        near(selu.chi_parallel_at_forward, 0.78264788, 1e-8);
    }

    #[test]
    fn critical_multipliers() {
        let alphas = |phi, w, b| critical_alphas(&LengthMap::new(phi, w, b).unwrap());
        let relu = alphas(Activation::Relu, 0.5, 0.0);
        assert!((relu[0].alpha.value - 2.0).abs() < 1e-15 && relu[0].q.is_none());
        // tanh with weights of variance 4: the multiplier lands on the edge
        let [tanh] = alphas(Activation::Tanh, 4.0, 0.05)[..] else {
            panic!()
        };
        near(tanh.alpha, (1.7609546396067381f64 / 4.0).sqrt(), 1e-12);
        assert!(tanh.attracting);
        let [origin] = alphas(Activation::Tanh, 1.0, 0.0)[..] else {
            panic!()
        };
        assert!((origin.alpha.value - 1.0).abs() < 1e-13 && origin.attracting);
        assert!(alphas(Activation::Softplus { beta: 1.0 }, 1.0, 0.1).is_empty());
        assert!(alphas(Activation::Tanh, 0.0, 0.1).is_empty());
    }
}
