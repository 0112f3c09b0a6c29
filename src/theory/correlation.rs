//! How the correlation of two inputs changes with depth.
//!
//! The variable is the gap `1 - c`, so that nothing is lost near `c = 1`. Both inputs have the same length.

use crate::network::activation::Activation;
use crate::theory::averages::{mean, moments};
use crate::theory::mean_field::{FixedPoint, LengthMap, Limit};
use crate::theory::quadrature::{Average, integrate};

/// Averages over a pair of pre-activations of variance `q` and correlation `1 - gap`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// `E phi(u)^2 - E phi(u_1) phi(u_2)`, evaluated as `E (phi(u_1) - phi(u_2))^2 / 2`.
    pub deficit: Average,
    /// `E phi'(u_1) phi'(u_2)`.
    pub slopes: Average,
}

/// Pair averages at variance `q > 0` and `0 <= gap <= 2`.
///
/// Closed forms for homogeneous activations (arc-cosine kernels; Cho and Saul 2009), erf (Williams
/// 1997) and sine; otherwise two-dimensional quadrature, split along the kinks of both arguments.
///
/// Theorem: gaussian-closed-forms.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::correlation::pair;
/// // uncorrelated inputs of a ReLU (gap 1): E phi phi = 1/(2 pi), E phi' phi' = 1/4
/// let p = pair(&Activation::Relu, 1.0, 1.0);
/// assert!((0.5 - p.deficit.value - 0.5 / std::f64::consts::PI).abs() < 1e-14);
/// assert!((p.slopes.value - 0.25).abs() < 1e-14);
/// ```
pub fn pair(activation: &Activation, q: f64, gap: f64) -> Pair {
    if let Some(closed) = closed_pair(activation, q, gap) {
        return closed;
    }
    if gap == 0.0 {
        return Pair {
            deficit: Average::closed_form(0.0),
            slopes: moments(activation, q).slope,
        };
    }
    let deviation = q.sqrt();
    let smooth = activation.kinks().is_empty() && !matches!(activation, Activation::Custom(_));
    if smooth
        && deviation <= 4.0
        && let Some(pair) = lattice(activation, deviation, gap)
    {
        return pair;
    }
    panels(activation, q, gap)
}

/// `sin t - t cos t`, accurate for small `t`.
fn sin_minus_t_cos(t: f64) -> f64 {
    if t > 1.0 {
        return t.sin() - t * t.cos();
    }
    // sum over k >= 1 of (-1)^(k+1) 2k t^(2k+1) / (2k+1)!
    let (mut sum, mut power) = (0.0, t);
    for k in 1..=12 {
        let k = f64::from(k);
        power *= -t * t / (2.0 * k * (2.0 * k + 1.0));
        sum -= 2.0 * k * power;
    }
    sum
}

fn closed_pair(activation: &Activation, q: f64, gap: f64) -> Option<Pair> {
    use std::f64::consts::PI;
    let c = 1.0 - gap;
    let (deficit, slopes) = match activation {
        Activation::Erf => {
            let (x, y) = (2.0 * q / (1.0 + 2.0 * q), 2.0 * q * c / (1.0 + 2.0 * q));
            let cos_x = (1.0 + 4.0 * q).sqrt() / (1.0 + 2.0 * q);
            let cos_y =
                ((1.0 + 2.0 * q * gap) * (1.0 + 4.0 * q - 2.0 * q * gap)).sqrt() / (1.0 + 2.0 * q);
            // asin x - asin y by its sine and cosine; the sine without a difference
            let sine = if c >= 0.0 {
                x * x * gap * (1.0 + c) / (x * cos_y + y * cos_x)
            } else {
                x * cos_y - y * cos_x
            };
            (
                2.0 / PI * sine.atan2(cos_x * cos_y + x * y),
                4.0 / (PI * (1.0 + 2.0 * q) * cos_y),
            )
        }
        Activation::Sin => {
            let near = -0.5 * (-q * gap).exp_m1();
            (
                near * (1.0 + (-q * (2.0 - gap)).exp()),
                0.5 * ((-q * gap).exp() + (-q * (2.0 - gap)).exp()),
            )
        }
        _ => {
            let (below, above) = activation.slopes()?;
            // phi(x) = even |x| + odd x
            let (odd, even) = (0.5 * (above + below), 0.5 * (above - below));
            let t = 2.0 * (0.5 * gap).sqrt().min(1.0).asin();
            let folded = gap - 2.0 / PI * sin_minus_t_cos(t);
            (
                q * (odd * odd * gap + even * even * folded),
                odd * odd + even * even * (1.0 - 2.0 * t / PI),
            )
        }
    };
    Some(Pair {
        deficit: Average::closed_form(deficit),
        slopes: Average::closed_form(slopes),
    })
}

/// Both arguments from independent `p` and `m`: `u = s (a p +- b m)`.
fn arms(gap: f64) -> (f64, f64) {
    ((1.0 - 0.5 * gap).max(0.0).sqrt(), (0.5 * gap).sqrt())
}

/// Trapezoidal rule in the plane; the lattice and its shift by half a cell are compared.
fn lattice(activation: &Activation, s: f64, gap: f64) -> Option<Pair> {
    const RANGE: f64 = 9.0;
    let (a, b) = arms(gap);
    let mut h = (0.42 / s).min(0.6);
    let sum = |start: f64, h: f64| {
        let count = (RANGE / h) as i64;
        let mut total = [0.0; 4];
        for i in -count..=count {
            let p = start + i as f64 * h;
            // exchange of the arguments is m -> -m
            for j in 0..=count {
                let m = start + j as f64 * h;
                let fold = if start == 0.0 && j == 0 { 1.0 } else { 2.0 };
                let weight = fold * (-0.5 * (p * p + m * m)).exp();
                if weight < 1e-20 {
                    continue;
                }
                let (x, y) = (s * (a * p + b * m), s * (a * p - b * m));
                let difference = activation.value(x) - activation.value(y);
                let product = activation.derivative(x) * activation.derivative(y);
                total[0] += weight * 0.5 * difference * difference;
                total[1] += weight * product;
                total[2] += weight * product.abs();
            }
        }
        total.map(|t| t * h * h / std::f64::consts::TAU)
    };
    for _ in 0..3 {
        let (t, u) = (sum(0.0, h), sum(0.5 * h, h));
        let scale = [0.5 * (t[0] + u[0]), 0.5 * (t[2] + u[2])];
        let settled = (0..2).all(|k| (t[k] - u[k]).abs() <= 1e-11 * scale[k]);
        if settled {
            let average = |k: usize| Average {
                value: 0.5 * (t[k] + u[k]),
                error: 1e-3 * (t[k] - u[k]).abs() + 32.0 * f64::EPSILON * scale[k],
            };
            return Some(Pair {
                deficit: average(0),
                slopes: average(1),
            });
        }
        h *= 0.5;
    }
    None
}

/// Nested adaptive panels with the kinks of both arguments as boundaries.
fn panels(activation: &Activation, q: f64, gap: f64) -> Pair {
    const RANGE: f64 = 9.0;
    let s = q.sqrt();
    let (a, b) = arms(gap);
    let mut lines = activation.kinks();
    if s > 2.0 {
        lines.extend([-8.0, -2.0, 0.0, 2.0, 8.0]);
    }
    let lines: Vec<f64> = lines.into_iter().map(|k| k / s).collect();
    let unit = [
        1.0 / (q * gap),
        1.0 / moments(activation, q).slope.value.max(1e-300),
    ];
    let inner = |p: f64| {
        let breaks: Vec<f64> = lines
            .iter()
            .flat_map(|k| [(k - a * p) / b, (a * p - k) / b])
            .collect();
        let weight = (-0.5 * p * p).exp() / std::f64::consts::PI;
        let f = |m: f64| {
            let (x, y) = (s * (a * p + b * m), s * (a * p - b * m));
            let difference = activation.value(x) - activation.value(y);
            let product = activation.derivative(x) * activation.derivative(y);
            let w = (-0.5 * m * m).exp();
            [
                w * 0.5 * difference * difference * unit[0],
                w * product * unit[1],
            ]
        };
        integrate(f, 0.0, RANGE, &breaks, 1e-11).map(|y| y.value * weight)
    };
    let mut breaks = Vec::new();
    for x in &lines {
        for y in &lines {
            breaks.push((x + y) / (2.0 * a));
        }
        // the strip where the two arguments straddle the kink
        for reach in [0.5, 1.5, 3.0, 6.0, 9.0] {
            breaks.extend([(x - reach * b) / a, (x + reach * b) / a]);
        }
    }
    breaks.retain(|x| x.is_finite());
    // the inner integrals are right to about 1e-13: asking for less error outside would chase that
    let [deficit, slopes] = integrate(inner, -RANGE, RANGE, &breaks, 1e-9);
    let back = |y: Average, unit: f64| Average {
        value: y.value / unit,
        error: (y.error + 1e-12) / unit,
    };
    Pair {
        deficit: back(deficit, unit[0]),
        slopes: back(slopes, unit[1]),
    }
}

/// One step of the correlation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// `1 - c'`.
    pub gap: Average,
    /// `d c' / d c`.
    pub slope: Average,
}

/// Order of a wide random network, by the growth of squared gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `chi_1 < 1`: gradients vanish, inputs become alike.
    Ordered,
    /// `chi_1 = 1` within the error.
    Critical,
    /// `chi_1 > 1`: gradients explode, inputs become unlike.
    Chaotic,
}

impl Phase {
    /// From the growth per layer and its error.
    pub fn of(chi_1: Average) -> Phase {
        let excess = chi_1.value - 1.0;
        if excess.abs() <= chi_1.error {
            Phase::Critical
        } else if excess < 0.0 {
            Phase::Ordered
        } else {
            Phase::Chaotic
        }
    }
}

/// The mean-field quantities of a layer repeated forever.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanField {
    /// Where the length goes.
    pub limit: Limit,
    /// Growth of a squared gradient norm per layer there; `None` where no limit was found.
    pub chi_1: Option<Average>,
    /// Slope of the length map, at a fixed point.
    pub chi_parallel: Option<Average>,
    /// `-1 / ln |chi_parallel|`: layers in which a deviation of the length falls by `e`; infinite if
    /// it does not.
    pub xi_q: Option<Average>,
    /// `1 - c*`, `c*` the correlation to which all pairs of inputs tend. `None` without a positive
    /// `q*`, and for linear layers, where every correlation stays.
    pub c_star_gap: Option<Average>,
    /// `-1 / ln` of the slope of the correlation map at `c*`.
    pub xi_c: Option<Average>,
    /// `1 / ln chi_1`: layers in which a squared gradient norm grows by `e`; negative where it falls,
    /// infinite at criticality.
    pub gradient_depth_scale: Option<Average>,
    /// Ordered, critical or chaotic.
    pub phase: Option<Phase>,
}

/// `1 / ln x` with the error of `x`; infinite where `x = 1` within it.
fn inverse_log(x: Average) -> Average {
    if (x.value - 1.0).abs() <= x.error {
        return Average {
            value: f64::INFINITY,
            error: 0.0,
        };
    }
    let value = x.value.ln().recip();
    Average {
        value,
        error: value * value * x.error / x.value + f64::EPSILON * value.abs(),
    }
}

impl LengthMap {
    /// `1 - c'` and the slope after a layer whose pre-activations have variance `q` and correlation
    /// `1 - gap` (Schoenholz et al., arXiv:1611.01232, eq. 5, with `q` not necessarily fixed).
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::theory::mean_field::LengthMap;
    /// let he = LengthMap::new(Activation::Relu, 2.0, 0.0).unwrap();
    /// let c = he.correlate(1.0, 1.0); // uncorrelated inputs leave with correlation 1/pi
    /// assert!((1.0 - c.gap.value - 1.0 / std::f64::consts::PI).abs() < 1e-13);
    /// ```
    pub fn correlate(&self, q: f64, gap: f64) -> Correlation {
        let next = self.next(q);
        let pair = pair(self.activation(), q, gap);
        Correlation {
            gap: pair.deficit.times(self.sigma_w2()).over(next),
            slope: pair.slopes.times(self.sigma_w2() * q).over(next),
        }
    }

    /// `(q, 1 - c)` of the pre-activations of `depth` layers, the first given. The error of the gap is
    /// that of its last step; earlier ones are damped or grow by the slope of the map.
    pub fn correlations(&self, q: f64, gap: f64, depth: usize) -> Vec<(f64, Average)> {
        let mut state = (q, Average::closed_form(gap));
        let mut out = Vec::with_capacity(depth);
        for layer in 0..depth {
            if layer > 0 {
                let (q, gap) = state;
                state = (self.next(q).value, self.correlate(q, gap.value).gap);
            }
            out.push(state);
        }
        out
    }

    /// The stable correlation at a fixed point `q > 0` and the slope there; `None` where every
    /// correlation is fixed.
    ///
    /// The map is convex on `[0, 1]`, so Newton's iteration from `c = 0` rises to the root.
    ///
    /// Theorem: correlation-map-convexity.
    pub fn c_star(&self, point: &FixedPoint) -> Option<Correlation> {
        self.stable_correlation(point.q.value, point.chi_1)
    }

    fn stable_correlation(&self, q: f64, chi_1: Average) -> Option<Correlation> {
        if *self.activation() == Activation::Linear {
            return (self.sigma_b2() > 0.0).then_some(Correlation {
                gap: Average::closed_form(0.0),
                slope: chi_1,
            });
        }
        if Phase::of(chi_1) != Phase::Chaotic {
            return Some(Correlation {
                gap: Average::closed_form(0.0),
                slope: chi_1,
            });
        }
        let offset = mean(self.activation(), q);
        if self.sigma_b2() == 0.0 && offset.value.abs() <= offset.error {
            let at = self.correlate(q, 1.0);
            return Some(Correlation {
                gap: Average::closed_form(1.0),
                slope: at.slope,
            });
        }
        let mut gap = 1.0;
        let mut at = self.correlate(q, gap);
        for _ in 0..100 {
            let room = 1.0 - at.slope.value;
            // c' - c over 1 - slope, positive until the root is passed by rounding
            let step = (gap - at.gap.value) / room;
            if room <= 0.0 || step.abs() <= 4.0 * f64::EPSILON * gap {
                break;
            }
            gap = (gap - step).clamp(f64::MIN_POSITIVE, 1.0);
            at = self.correlate(q, gap);
            if step < 2.0 * at.gap.error / room {
                break;
            }
        }
        let room = (1.0 - at.slope.value).abs().max(f64::EPSILON);
        Some(Correlation {
            gap: Average {
                value: gap,
                error: (at.gap.error + (gap - at.gap.value).abs()) / room,
            },
            slope: at.slope,
        })
    }

    /// Everything at the limit reached from variance `q` of the first pre-activations.
    pub fn mean_field(&self, q: f64) -> MeanField {
        let limit = self.limit(q);
        let (chi_1, point) = match limit {
            Limit::Fixed(p) => (Some(p.chi_1), Some(p)),
            Limit::Every(chi) | Limit::Diverges(chi) => (Some(chi), None),
            Limit::Unsettled => (None, None),
        };
        let scale_free = self.activation().slopes().is_some() && self.sigma_b2() == 0.0;
        let correlation = if scale_free {
            // normalized by q' = chi q the map has slope 1 at c = 1, whatever sigma_w2
            self.stable_correlation(1.0, Average::closed_form(1.0))
        } else {
            point
                .filter(|p| p.q.value > 0.0)
                .and_then(|p| self.c_star(&p))
        };
        let depth = |chi: Average| {
            inverse_log(Average {
                value: chi.value.abs(),
                ..chi
            })
            .times(-1.0)
        };
        let falling = |chi: Average| {
            let scale = depth(chi);
            Average {
                value: if scale.value > 0.0 {
                    scale.value
                } else {
                    f64::INFINITY
                },
                error: scale.error,
            }
        };
        MeanField {
            limit,
            chi_1,
            chi_parallel: point.map(|p| p.chi_parallel),
            xi_q: point.map(|p| falling(p.chi_parallel)),
            c_star_gap: correlation.map(|c| c.gap),
            xi_c: correlation.map(|c| falling(c.slope)),
            gradient_depth_scale: chi_1.map(inverse_log),
            phase: chi_1.map(Phase::of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(activation: Activation, w: f64, b: f64) -> LengthMap {
        LengthMap::new(activation, w, b).unwrap()
    }

    #[test]
    fn published_mean_fields() {
        // theory.csv R079, R081, R082
        let m = map(Activation::Tanh, 2.25, 0.05).mean_field(1.0);
        let near = |a: Option<Average>, b: f64| {
            let a = a.unwrap();
            assert!((a.value - b).abs() < 1e-10 * b.abs().max(1.0), "{a:?} {b}");
        };
        near(m.xi_q, 1.2729746682703655);
        near(m.xi_c, 15.117086452825244);
        near(m.gradient_depth_scale, 11.322426759140729);
        assert_eq!(m.phase, Some(Phase::Chaotic));
        // R087
        let m = map(Activation::Tanh, 1.0, 0.05).mean_field(1.0);
        near(m.gradient_depth_scale, -3.626975618052957);
        assert_eq!(
            (m.phase, m.c_star_gap.unwrap().value),
            (Some(Phase::Ordered), 0.0)
        );
        // R091, R093
        let m = map(Activation::Tanh, 9.0, 0.3).mean_field(1.0);
        near(m.c_star_gap, 1.0 - 0.19631719479900986);
        near(m.gradient_depth_scale, 1.6848821202375939);
        // R096, R098, R099
        let m = map(Activation::Tanh, 25.0 / 9.0, 0.0).mean_field(1.0);
        near(m.xi_q, 1.187816812247041);
        near(m.xi_c, 12.117896554588212);
        near(m.gradient_depth_scale, 5.249868949856005);
        assert_eq!(m.c_star_gap.unwrap().value, 1.0);
        // R103, R104
        let m = map(Activation::Erf, 2.0, 0.1).mean_field(1.0);
        near(m.c_star_gap, 1.0 - 0.6472293691070916);
        near(m.xi_c, 11.388999830293567);
        // R108, R109, R110
        let m = map(Activation::Tanh, 2.89, 0.09).mean_field(1.0);
        near(m.xi_q, 1.0149550635046585);
        near(m.c_star_gap, 1.0 - 0.47966810138233584);
        near(m.xi_c, 9.470628499318163);
    }

    #[test]
    fn relu_correlations() {
        // theory.csv R118, R120, R121
        let relu = map(Activation::Relu, 2.0, 0.0);
        let c = relu.correlations(1.0, 1.0, 1001);
        assert!((1.0 - c[2].1.value - 0.4937310902003716).abs() < 1e-14);
        assert!((1.0 - c[20].1.value - 0.9484284791559852).abs() < 1e-13);
        assert!((1e6 * c[1000].1.value - 43.12973253850494).abs() < 1e-4);
        // near 1 the gap shrinks by (2 sqrt 2 / 3 pi) gap^(3/2)
        for gap in [1e-6f64, 1e-10, 1e-14] {
            let lost = gap - relu.correlate(1.0, gap).gap.value;
            let truth = 2.0 * 2f64.sqrt() / (3.0 * std::f64::consts::PI) * gap.powf(1.5);
            assert!(
                (lost / truth - 1.0).abs() < 1e-2 * gap.sqrt() + 1e-15 / gap.sqrt(),
                "{gap}"
            );
        }
    }

    /// Theorem: gaussian-closed-forms.
    #[test]
    fn quadrature_meets_the_closed_forms() {
        for phi in [
            Activation::Erf,
            Activation::Sin,
            Activation::Relu,
            Activation::LeakyRelu { slope: 0.2 },
            Activation::Abs,
        ] {
            for q in [0.01, 1.0, 9.0] {
                for gap in [1e-8, 1e-3, 0.3, 1.0, 1.7] {
                    let closed = closed_pair(&phi, q, gap).unwrap();
                    let nested = panels(&phi, q, gap);
                    let near = |a: Average, b: f64| {
                        assert!((a.value - b).abs() <= a.error, "{phi} {q} {gap}: {a:?} {b}")
                    };
                    near(nested.deficit, closed.deficit.value);
                    near(nested.slopes, closed.slopes.value);
                    assert!(nested.deficit.error < 2e-9 * q * gap);
                    let true_error = (nested.deficit.value / closed.deficit.value - 1.0).abs();
                    assert!(
                        true_error < 1e-11 + 1e-16 / gap,
                        "{phi} {q} {gap} {true_error}"
                    );
                    if phi.kinks().is_empty() {
                        let flat = lattice(&phi, q.sqrt(), gap).unwrap();
                        assert!(
                            (flat.deficit.value / closed.deficit.value - 1.0).abs()
                                < 1e-8 * (gap < 1e-4) as u8 as f64 + 1e-11
                        );
                        assert!((flat.slopes.value - closed.slopes.value).abs() < 1e-12);
                    }
                }
            }
        }
    }

    #[test]
    fn the_two_rules_agree() {
        for phi in [Activation::Tanh, Activation::Gelu, Activation::Mish] {
            for gap in [1e-4, 0.5, 1.0] {
                let a = lattice(&phi, 1.2, gap).unwrap();
                let b = panels(&phi, 1.44, gap);
                assert!((a.deficit.value / b.deficit.value - 1.0).abs() < 1e-10);
                assert!((a.slopes.value - b.slopes.value).abs() < 1e-10);
            }
        }
    }

    /// Theorem: correlation-map-convexity.
    #[test]
    fn the_map_is_convex_and_its_limit_attracts() {
        let elu = map(Activation::Elu { alpha: 1.0 }, 1.8, 0.02);
        let Limit::Fixed(p) = elu.limit(1.0) else {
            panic!("no fixed point")
        };
        let slopes: Vec<f64> = (0..5)
            .map(|i| {
                elu.correlate(p.q.value, 1.0 - 0.25 * f64::from(i))
                    .slope
                    .value
            })
            .collect();
        assert!(slopes.windows(2).all(|s| s[0] < s[1]), "{slopes:?}");
        // the slope at c = 1 is chi_1
        assert!((slopes[4] - p.chi_1.value).abs() < 1e-12);
        let star = elu.c_star(&p).unwrap();
        for start in [0.02, 1.0, 1.4] {
            let mut gap = start;
            for _ in 0..12 {
                gap = elu.correlate(p.q.value, gap).gap.value;
            }
            let closer = (gap - star.gap.value).abs() < (start - star.gap.value).abs();
            assert!(closer, "{start} {gap} {star:?}");
        }
    }

    #[test]
    fn degenerate_layers_are_named() {
        let m = map(Activation::Linear, 1.0, 0.0).mean_field(1.0);
        assert!(m.c_star_gap.is_none() && m.phase == Some(Phase::Critical));
        assert_eq!(m.gradient_depth_scale.unwrap().value, f64::INFINITY);
        let m = map(Activation::Relu, 3.0, 0.0).mean_field(1.0);
        assert_eq!((m.phase, m.xi_q), (Some(Phase::Chaotic), None));
        assert_eq!(m.c_star_gap.unwrap().value, 0.0);
        assert_eq!(m.xi_c.unwrap().value, f64::INFINITY);
        let m = map(Activation::Tanh, 0.5, 0.0).mean_field(1.0);
        assert!(m.c_star_gap.is_none() && m.phase == Some(Phase::Ordered));
    }
}
