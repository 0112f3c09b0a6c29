//! The length map of a wide random layer and its fixed points.
//!
//! With weights of variance `sigma_w2 / fan_in` and biases of variance `sigma_b2`, the variance of
//! the pre-activations passes from layer to layer as `q' = sigma_w2 E phi(sqrt(q) z)^2 + sigma_b2`
//! when the width is infinite (Poole et al., arXiv:1606.05340, eq. 3). `chi` acts on squared norms.
//!
//! Start with [`LengthMap`]: [`LengthMap::chi_1`] is the growth of gradients at a length, [`LengthMap::limit`]
//! where depth leads.
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::theory::mean_field::{LengthMap, Limit};
//!
//! // He: every length is kept, and so is the squared gradient
//! let he = LengthMap::new(Activation::Relu, 2.0, 0.0).unwrap();
//! assert!((he.next(3.0).value - 3.0).abs() < 1e-14);
//! assert!(matches!(he.limit(3.0), Limit::Every(chi) if (chi.value - 1.0).abs() < 1e-14));
//! // tanh at sigma_w2 = 0.5: signals die, and gradients with them, by 1/2 a layer
//! let tanh = LengthMap::new(Activation::Tanh, 0.5, 0.0).unwrap();
//! let Limit::Fixed(point) = tanh.limit(1.0) else { panic!() };
//! assert!(point.q.value == 0.0 && (point.chi_1.value - 0.5).abs() < 1e-12);
//! ```

use thiserror::Error;

use crate::network::activation::Activation;
use crate::theory::averages::{Moments, moments};
use crate::theory::quadrature::Average;
use crate::theory::roots::bracketed;

/// Fixed points are searched for up to here.
pub const LARGEST_Q: f64 = 1e12;
/// ... and from here up, or from the variance of the biases if that is smaller but not 0.
pub const SMALLEST_Q: f64 = 1e-12;
/// Step of the search in `ln q`.
const STEP: f64 = 0.5;

/// A variance that is no variance.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum LengthMapError {
    /// Negative, infinite or NaN.
    #[error("{name} = {value} is not a finite variance >= 0")]
    Variance {
        /// Which one.
        name: &'static str,
        /// What was given.
        value: f64,
    },
}

/// A wide random layer: `q' = sigma_w2 E phi^2 + sigma_b2`.
#[derive(Clone, Debug, PartialEq)]
pub struct LengthMap {
    activation: Activation,
    sigma_w2: f64,
    sigma_b2: f64,
}

/// A fixed point of the length map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FixedPoint {
    /// Pre-activation variance.
    pub q: Average,
    /// `sigma_w2 E phi'^2`: growth of a squared gradient norm per layer.
    pub chi_1: Average,
    /// Slope of the length map.
    pub chi_parallel: Average,
    /// What a small deviation of the length does.
    pub stability: Stability,
}

/// What a small deviation from a fixed point does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// It shrinks.
    Attracting,
    /// It grows.
    Repelling,
    /// It shrinks from one side and grows on the other.
    HalfStable,
    /// Not decided within the error.
    Marginal,
}

/// Where the length goes with depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// To a fixed point, `q = 0` included.
    Fixed(FixedPoint),
    /// Nowhere: every length is a fixed point, with this `chi_1` (ReLU at variance 2).
    Every(Average),
    /// To infinity, or beyond [`LARGEST_Q`]; with `chi_1` there.
    Diverges(Average),
    /// The map is not monotone and the iteration has not settled after 10,000 layers.
    Unsettled,
}

/// The fixed points of a length map.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedPoints {
    /// Ascending; empty if there is none or if every length is one.
    pub points: Vec<FixedPoint>,
    /// Whether every length is a fixed point.
    pub every: bool,
    /// Whether lengths above the last fixed point grow without limit, as far as was searched.
    pub grows: bool,
    /// Whether the map increases with `q` wherever it was evaluated, so that lengths move
    /// monotonically to the next fixed point.
    pub monotone: bool,
    /// The range of `q` that was searched; 0 is looked at separately.
    pub searched: (f64, f64),
}

/// The length map at one length.
#[derive(Clone, Copy, Debug)]
struct Step {
    ln_q: f64,
    /// `q'/q - 1`
    excess: Average,
    chi_parallel: f64,
}

impl Step {
    /// -1, 0 or 1; 0 when the sign is not decided within the error.
    fn sign(&self) -> i8 {
        if self.excess.value.abs() <= self.excess.error {
            0
        } else if self.excess.value > 0.0 {
            1
        } else {
            -1
        }
    }

    /// Derivative of the excess in `ln q`.
    fn slope(&self) -> f64 {
        self.chi_parallel - 1.0 - self.excess.value
    }
}

impl LengthMap {
    /// A layer with weights of variance `sigma_w2 / fan_in` and biases of variance `sigma_b2`.
    ///
    /// # Errors
    /// [`LengthMapError::Variance`] unless both are finite and not negative.
    pub fn new(
        activation: Activation,
        sigma_w2: f64,
        sigma_b2: f64,
    ) -> Result<LengthMap, LengthMapError> {
        for (name, value) in [("sigma_w2", sigma_w2), ("sigma_b2", sigma_b2)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(LengthMapError::Variance { name, value });
            }
        }
        Ok(LengthMap {
            activation,
            sigma_w2,
            sigma_b2,
        })
    }

    /// The activation.
    pub fn activation(&self) -> &Activation {
        &self.activation
    }

    /// Variance of the weights times the fan-in.
    pub fn sigma_w2(&self) -> f64 {
        self.sigma_w2
    }

    /// Variance of the biases.
    pub fn sigma_b2(&self) -> f64 {
        self.sigma_b2
    }

    /// Pre-activation variance of the first layer for an input of mean square `|x|^2 / n_0`.
    pub fn first(&self, input_mean_square: f64) -> f64 {
        self.sigma_w2 * input_mean_square + self.sigma_b2
    }

    /// Variance of the next pre-activation.
    pub fn next(&self, q: f64) -> Average {
        self.apply(&moments(&self.activation, q))
    }

    fn apply(&self, m: &Moments) -> Average {
        m.second.times(self.sigma_w2).plus(self.sigma_b2)
    }

    /// `sigma_w2 E phi'^2` at variance `q`: mean growth of a squared gradient norm through the
    /// layer (Schoenholz et al., arXiv:1611.01232, eq. 13).
    pub fn chi_1(&self, q: f64) -> Average {
        moments(&self.activation, q).slope.times(self.sigma_w2)
    }

    fn step(&self, ln_q: f64) -> Step {
        let q = ln_q.exp();
        let m = moments(&self.activation, q);
        let next = self.apply(&m);
        Step {
            ln_q,
            excess: Average {
                value: (next.value - q) / q,
                error: next.error / q + 2.0 * f64::EPSILON * (1.0 + ln_q.abs()),
            },
            chi_parallel: m.parallel.times(self.sigma_w2).value,
        }
    }

    fn point(&self, q: f64, spread: f64, stability: Option<Stability>) -> FixedPoint {
        let m = moments(&self.activation, q);
        let chi_parallel = m.parallel.times(self.sigma_w2);
        let gap = (1.0 - chi_parallel.value).abs();
        let error = if q == 0.0 {
            0.0
        } else {
            (self.apply(&m).error / gap).min(spread * q) + 4.0 * f64::EPSILON * q
        };
        let decided = gap > chi_parallel.error;
        FixedPoint {
            q: Average { value: q, error },
            chi_1: m.slope.times(self.sigma_w2),
            chi_parallel,
            stability: stability.unwrap_or(if !decided {
                Stability::Marginal
            } else if chi_parallel.value.abs() < 1.0 {
                Stability::Attracting
            } else {
                Stability::Repelling
            }),
        }
    }

    /// All fixed points between [`SMALLEST_Q`] and [`LARGEST_Q`], and 0 if that is one.
    ///
    /// The relative excess `q'/q - 1` is followed in `ln q` in steps of one half together with its
    /// derivative, so that a pair of fixed points between two nodes shows as an extremum. A feature
    /// of a user's activation that is narrower than that can be missed.
    pub fn fixed_points(&self) -> FixedPoints {
        if let Some((below, above)) = self.activation.slopes() {
            return self.homogeneous(0.5 * self.sigma_w2 * (below * below + above * above));
        }
        let low = if self.sigma_b2 > 0.0 {
            // every image is at least sigma_b2
            self.sigma_b2.min(LARGEST_Q) * (1.0 - 1e-9)
        } else {
            SMALLEST_Q
        };
        let (start, end) = (low.ln(), LARGEST_Q.ln());
        let count = ((end - start) / STEP).ceil().max(1.0);
        let nodes: Vec<Step> = (0..=count as usize)
            .map(|i| self.step(start + (end - start) * i as f64 / count))
            .collect();
        let mut points = Vec::new();
        let zero = self.sigma_b2 == 0.0 && self.activation.value(0.0) == 0.0;
        let every = nodes.iter().all(|s| s.sign() == 0);
        let lowest = nodes.iter().map(Step::sign).find(|s| *s != 0);
        if zero && !every {
            points.push(self.point(
                0.0,
                0.0,
                Some(match lowest {
                    Some(1) => Stability::Repelling,
                    _ => Stability::Attracting,
                }),
            ));
        }
        let mut last: Option<Step> = None;
        let mut flat = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            if node.sign() == 0 {
                flat.push(*node);
                continue;
            }
            if let Some(before) = last.filter(|b| b.sign() == node.sign()) {
                if let [.., touch] = flat[..] {
                    points.push(self.point(touch.ln_q.exp(), STEP, Some(Stability::HalfStable)));
                } else if before.excess.value * before.slope() < 0.0
                    && node.excess.value * node.slope() > 0.0
                {
                    self.between(&before, &nodes[i], &mut points);
                }
            } else if let Some(before) = last {
                points.push(self.crossing(&before, node));
            }
            flat.clear();
            last = Some(*node);
        }
        FixedPoints {
            points,
            every,
            grows: last.is_some_and(|s| s.sign() > 0),
            monotone: nodes.iter().all(|s| s.chi_parallel > -1e-9),
            searched: (low, LARGEST_Q),
        }
    }

    /// The fixed point between two lengths that move in opposite directions.
    fn crossing(&self, a: &Step, b: &Step) -> FixedPoint {
        let root = bracketed(
            |ln_q| self.step(ln_q).excess.value,
            (a.ln_q, a.excess.value),
            (b.ln_q, b.excess.value),
        );
        let stability = (a.sign() < 0).then_some(Stability::Repelling);
        self.point(root.exp(), b.ln_q - a.ln_q, stability)
    }

    /// Fixed points at an extremum of the excess that turns towards 0: two, one or none.
    fn between(&self, a: &Step, b: &Step, points: &mut Vec<FixedPoint>) {
        let top = bracketed(
            |ln_q| self.step(ln_q).slope(),
            (a.ln_q, a.slope()),
            (b.ln_q, b.slope()),
        );
        let touch = self.step(top);
        if touch.sign() == -a.sign() {
            points.push(self.crossing(a, &touch));
            points.push(self.crossing(&touch, b));
        } else if touch.sign() == 0 {
            // within the error of a double root
            let spread = (touch.excess.error).sqrt();
            points.push(self.point(top.exp(), spread, Some(Stability::HalfStable)));
        }
    }

    /// `q' = growth q + sigma_b2`.
    fn homogeneous(&self, growth: f64) -> FixedPoints {
        let chi = Average::closed_form(growth);
        let critical = (growth - 1.0).abs() <= chi.error;
        let stability = if growth < 1.0 {
            Stability::Attracting
        } else {
            Stability::Repelling
        };
        let mut points = Vec::new();
        if !critical && (growth < 1.0 || self.sigma_b2 == 0.0) {
            let q = (self.sigma_b2 / (1.0 - growth)).max(0.0);
            points.push(FixedPoint {
                q: Average {
                    value: q,
                    error: q * (chi.error / (1.0 - growth).abs() + 2.0 * f64::EPSILON),
                },
                chi_1: chi,
                chi_parallel: chi,
                stability,
            });
        }
        FixedPoints {
            points,
            every: critical && self.sigma_b2 == 0.0,
            grows: !critical && growth > 1.0 || critical && self.sigma_b2 > 0.0,
            monotone: true,
            searched: (0.0, f64::INFINITY),
        }
    }

    /// Where the length goes with depth from variance `q` of the first pre-activations.
    pub fn limit(&self, q: f64) -> Limit {
        let found = self.fixed_points();
        if found.every {
            return Limit::Every(self.chi_1(q));
        }
        if !found.monotone {
            return self.iterate(q);
        }
        // a start at the fixed point itself, to its error, stays
        let here = |p: &&FixedPoint| (p.q.value - q).abs() <= 4.0 * p.q.error;
        if let Some(point) = found.points.iter().find(here) {
            return Limit::Fixed(*point);
        }
        let below = found.points.iter().rev().find(|p| p.q.value < q);
        let above = found.points.iter().find(|p| p.q.value > q);
        let rises = self.next(q).value > q;
        match (rises, below, above) {
            (true, _, Some(point)) | (false, Some(point), _) => Limit::Fixed(*point),
            (true, _, None) => Limit::Diverges(self.chi_1(LARGEST_Q.max(q))),
            // below every fixed point and falling: only rounding can bring this about
            (false, None, _) => self.iterate(q),
        }
    }

    fn iterate(&self, mut q: f64) -> Limit {
        for _ in 0..10_000 {
            let next = self.next(q);
            if (next.value - q).abs() <= next.error {
                return Limit::Fixed(self.point(next.value, 1.0, None));
            }
            q = next.value;
            if q > LARGEST_Q {
                return Limit::Diverges(self.chi_1(q));
            }
        }
        Limit::Unsettled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::activation::Custom;

    fn map(activation: Activation, sigma_w2: f64, sigma_b2: f64) -> LengthMap {
        LengthMap::new(activation, sigma_w2, sigma_b2).unwrap()
    }

    fn fixed(limit: Limit) -> FixedPoint {
        match limit {
            Limit::Fixed(p) => p,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn published_fixed_points() {
        // theory.csv R077, R088, R094, R100, R106 with chi_1: R078, R089, R095, R107
        let rows = [
            (
                Activation::Tanh,
                2.25,
                0.05,
                0.8894249172824913,
                1.0923379294862612,
            ),
            (
                Activation::Tanh,
                9.0,
                0.3,
                6.6726873232570565,
                1.8103375711432186,
            ),
            (
                Activation::Tanh,
                25.0 / 9.0,
                0.0,
                1.1784804903859072,
                1.2098313203828288,
            ),
            (Activation::Erf, 2.0, 0.1, 1.0462553601214324, f64::NAN),
            (
                Activation::Tanh,
                2.89,
                0.09,
                1.4112709772517162,
                1.1702660713448079,
            ),
        ];
        for (phi, w, b, q, chi) in rows {
            let layer = map(phi, w, b);
            let p = fixed(layer.limit(1.0));
            assert!((p.q.value - q).abs() < 1e-13 * q, "{p:?}");
            assert!(p.q.error < 1e-13 * q && p.stability == Stability::Attracting);
            assert!(chi.is_nan() || (p.chi_1.value - chi).abs() < 1e-13);
            // the check notices a layer with 0.1 % more variance
            let other = fixed(map(layer.activation().clone(), 1.001 * w, b).limit(1.0));
            assert!((other.q.value / q - 1.0).abs() > 1e-4);
        }
    }

    #[test]
    fn iteration_arrives_at_the_fixed_point() {
        for phi in Activation::all() {
            for (w, b) in [(1.3, 0.2), (0.8, 0.0)] {
                let layer = map(phi.clone(), w, b);
                let limit = layer.limit(0.7);
                let mut q = 0.7;
                for _ in 0..80 {
                    q = layer.next(q).value.min(1e3);
                }
                match limit {
                    Limit::Fixed(p) => assert!(
                        (q - p.q.value).abs() < 1e-6 * (1.0 + q) || p.chi_parallel.value > 0.8,
                        "{phi} {w} {b}: {q} {p:?}"
                    ),
                    Limit::Diverges(_) => assert!(q > 10.0, "{phi} {w} {b}: {q}"),
                    Limit::Every(_) | Limit::Unsettled => panic!("{phi} {w} {b}"),
                }
            }
        }
    }

    #[test]
    fn marginal_cases_are_named() {
        assert!(
            matches!(map(Activation::Relu, 2.0, 0.0).limit(3.0), Limit::Every(c) if c.value == 1.0)
        );
        assert!(matches!(
            map(Activation::Linear, 1.0, 0.0).limit(3.0),
            Limit::Every(_)
        ));
        assert!(matches!(
            map(Activation::Relu, 2.0, 0.1).limit(3.0),
            Limit::Diverges(_)
        ));
        let he = 2.0 / 1.04;
        assert!(matches!(
            map(Activation::LeakyRelu { slope: 0.2 }, he, 0.0).limit(1.0),
            Limit::Every(_)
        ));
        // 0 collapses, 2.1 diverges, and below 2 a bias holds the length
        assert_eq!(
            fixed(map(Activation::Relu, 1.9, 0.0).limit(1.0)).q.value,
            0.0
        );
        assert!(matches!(
            map(Activation::Relu, 2.1, 0.0).limit(1.0),
            Limit::Diverges(_)
        ));
        let p = fixed(map(Activation::Relu, 1.0, 0.3).limit(1.0));
        assert!((p.q.value - 0.6).abs() < 1e-15);
        // softplus from sigma_w2 = 2 on
        let softplus = Activation::Softplus { beta: 1.0 };
        assert!(matches!(
            map(softplus, 2.0, 0.0).limit(1.0),
            Limit::Diverges(_)
        ));
        // tanh at (1, 0): 0 attracts, algebraically
        let p = fixed(map(Activation::Tanh, 1.0, 0.0).limit(1.0));
        assert!(p.q.value == 0.0 && p.stability == Stability::Attracting);
        assert!((p.chi_1.value - 1.0).abs() <= p.chi_1.error);
    }

    #[test]
    fn every_fixed_point_is_found() {
        // gelu near its half-stable point: 0 < repelling < attracting, and growth above sigma_w2 = 2
        let found = map(Activation::Gelu, 2.351_66, 0.0).fixed_points();
        assert!(found.grows && found.monotone);
        assert_eq!(found.points[0].stability, Stability::Attracting);
        assert_eq!(found.points[1].stability, Stability::Repelling);
        assert!(
            (found.points[1].q.value - 1.0).abs() < 1e-3,
            "{:?}",
            found.points
        );
        // the half-stable point (R068, R070): lengths above it come down to it, lengths below fall on
        // to an attracting one, and a little less or more bias leaves one or three
        let (w, b) = (1.983_058_257_437_547_5, 0.172_922_390_756_066_4);
        let at = map(Activation::Gelu, w, b).fixed_points().points;
        let kinds: Vec<Stability> = at.iter().map(|p| p.stability).collect();
        assert_eq!(kinds, [Stability::Attracting, Stability::HalfStable]);
        assert!((at[1].q.value - 3.561_552_812_808_8).abs() <= at[1].q.error);
        let count = |b| map(Activation::Gelu, w, b).fixed_points().points.len();
        assert_eq!((count(b * (1.0 - 1e-7)), count(b * (1.0 + 1e-7))), (1, 3));
    }

    #[test]
    fn a_pair_between_two_nodes_is_found() {
        // E phi^2 = q + 6 a^2 q^2 + 15 q^3 t^2 ... built to touch: phi = x (1 - c x^2)
        let phi = |c: f64| {
            Activation::Custom(Custom::new(
                "cubic",
                move |x: f64| x * (1.0 - c * x * x),
                move |x: f64| 1.0 - 3.0 * c * x * x,
                Vec::new(),
            ))
        };
        // E phi^2 = q - 6 c q^2 + 15 c^2 q^3, minimum of E phi^2 / q = 1 - 6t + 15 t^2 at t = 0.2: 0.4
        for (w, count) in [(2.5 + 1e-6, 1), (2.5 - 1e-6, 3), (2.4, 3)] {
            let found = map(phi(1.0), w, 0.0).fixed_points();
            assert_eq!(found.points.len(), count, "{w}: {:?}", found.points);
        }
        let exact = map(phi(1.0), 2.4, 0.0).fixed_points();
        let root = (36f64 - 60.0 * (1.0 - 1.0 / 2.4)).sqrt();
        for (p, t) in exact.points[1..]
            .iter()
            .zip([(6.0 - root) / 30.0, (6.0 + root) / 30.0])
        {
            assert!((p.q.value - t).abs() < 1e-13, "{p:?} {t}");
        }
    }

    #[test]
    fn variances_are_checked() {
        let error = LengthMap::new(Activation::Tanh, -1.0, 0.0).unwrap_err();
        assert!(error.to_string().contains("sigma_w2 = -1"));
        assert!(LengthMap::new(Activation::Tanh, 1.0, f64::NAN).is_err());
    }
}
