//! Second moments of signals and gradients layer by layer, at finite depth and infinite width.
//!
//! [`layers`] takes each layer's variances, so that pyramids and changing activations of scale can be followed;
//! logarithms, so that nothing overflows.
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::theory::propagation::layers;
//!
//! // linear layers of variances 4 and 1/4 undo each other
//! let all = layers(&Activation::Linear, &[(4.0, 0.0), (0.25, 0.0)], 0.0).unwrap();
//! assert!((all[0].q() - 4.0).abs() < 1e-14 && (all[1].q() - 1.0).abs() < 1e-14);
//! assert!(all[1].ln_gradient.abs() < 1e-14);
//! ```

use crate::network::activation::Activation;
use crate::scale::LogScale;
use crate::theory::averages::moments;
use crate::theory::mean_field::{LengthMap, LengthMapError};
use std::collections::HashMap;

/// Beyond this the moments are continued by their powers: `|ln q|` for `q` about 1e60 and 1e-60.
const FAR: f64 = 138.0;

/// Logarithms of the moments at one pre-activation variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LnMoments {
    /// `ln E phi^2`.
    pub ln_second: f64,
    /// `ln E phi'^2`.
    pub ln_slope: f64,
    /// Estimated absolute error of both logarithms.
    pub error: f64,
}

/// Moments as powers of `q` beyond [`FAR`].
#[derive(Clone, Copy, Debug)]
struct Power {
    at: LnMoments,
    second: f64,
    slope: f64,
}

/// Direct averages within one unit of `ln q` before a series is worth its nodes.
const DIRECT: u32 = 8;
/// Terms of a series.
const TERMS: usize = 20;

/// Chebyshev series of both logarithms on one unit of `ln q`, with the error of its truncation.
///
/// Averages over a Gaussian are analytic in `q > 0` whatever the kinks of the activation, and the
/// strip around the real axis of `ln q` is wide: coefficients fall below rounding within the terms.
#[derive(Clone, Debug)]
struct Series {
    second: [f64; TERMS],
    slope: [f64; TERMS],
    error: f64,
}

impl Series {
    fn new(low: f64, at: impl Fn(f64) -> LnMoments) -> Series {
        let angle = |j: usize| std::f64::consts::PI * (j as f64 + 0.5) / TERMS as f64;
        let values: Vec<LnMoments> = (0..TERMS)
            .map(|j| at(low + 0.5 * (1.0 + angle(j).cos())))
            .collect();
        let coefficients = |pick: fn(&LnMoments) -> f64| {
            let mut c = [0.0; TERMS];
            for (k, c) in c.iter_mut().enumerate() {
                let terms = values.iter().enumerate();
                let sum: f64 = terms
                    .map(|(j, v)| pick(v) * (k as f64 * angle(j)).cos())
                    .sum();
                *c = sum * if k == 0 { 1.0 } else { 2.0 } / TERMS as f64;
            }
            c
        };
        let (second, slope) = (coefficients(|v| v.ln_second), coefficients(|v| v.ln_slope));
        let tail = |c: &[f64; TERMS]| c[TERMS - 3..].iter().map(|x| x.abs()).sum::<f64>();
        let nodes = values.iter().map(|v| v.error).fold(0.0, f64::max);
        Series {
            error: nodes + tail(&second) + tail(&slope),
            second,
            slope,
        }
    }

    /// Clenshaw's recurrence at `t` in `[-1, 1]`.
    fn at(&self, t: f64) -> LnMoments {
        let sum = |c: &[f64; TERMS]| {
            let (mut a, mut b) = (0.0, 0.0);
            for x in c[1..].iter().rev() {
                (a, b) = (2.0 * t * a - b + x, a);
            }
            t * a - b + c[0]
        };
        LnMoments {
            ln_second: sum(&self.second),
            ln_slope: sum(&self.slope),
            error: self.error,
        }
    }
}

/// Largest error of a series that stands for direct averages.
const SERIES_ERROR: f64 = 1e-13;

#[derive(Clone, Debug)]
enum Panel {
    Seen(u32),
    Series(Box<Series>),
    /// The series did not converge.
    Rough,
}

/// Moments of an activation at any variance, also outside the range of `f64`.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::propagation::Field;
/// let m = Field::new(&Activation::Relu).at(-2000.0); // q = e^-2000, far below f64
/// assert!((m.ln_second + 2000.0 + 2f64.ln()).abs() < 1e-9 && (m.ln_slope + 2f64.ln()).abs() < 1e-12);
/// ```
#[derive(Clone, Debug)]
pub struct Field<'a> {
    activation: &'a Activation,
    powers: [Option<Power>; 2],
    panels: HashMap<i64, Panel>,
}

impl<'a> Field<'a> {
    /// For one activation.
    pub fn new(activation: &'a Activation) -> Field<'a> {
        Field {
            activation,
            powers: [None; 2],
            panels: HashMap::new(),
        }
    }

    /// Moments at `exp(ln_q)`. For `|ln q| > 138` they are continued by their local powers of `q`:
    /// activations are asymptotic to powers at 0 and infinity, to a relative `1e-30` there.
    pub fn at(&mut self, ln_q: f64) -> LnMoments {
        if let Some((below, above)) = self.activation.slopes() {
            let slope = (0.5 * (below * below + above * above)).ln();
            return LnMoments {
                ln_second: slope + ln_q,
                ln_slope: slope,
                error: 4.0 * f64::EPSILON * (1.0 + ln_q.abs()),
            };
        }
        if ln_q.abs() <= FAR {
            return self.shared(ln_q);
        }
        let end = FAR.copysign(ln_q);
        let side = usize::from(ln_q > 0.0);
        let power = self.powers[side].unwrap_or_else(|| {
            let (at, inner) = (self.inside(end), self.inside(end - 2f64.copysign(ln_q)));
            let rate = |a: f64, b: f64| {
                let rate = (a - b) / 2f64.copysign(ln_q);
                match rate {
                    // a moment that has underflowed stays 0
                    r if !r.is_finite() => 0.0,
                    r if (2.0 * r - (2.0 * r).round()).abs() < 1e-6 => (2.0 * r).round() / 2.0,
                    r => r,
                }
            };
            Power {
                at,
                second: rate(at.ln_second, inner.ln_second),
                slope: rate(at.ln_slope, inner.ln_slope),
            }
        });
        self.powers[side] = Some(power);
        let beyond = ln_q - end;
        let far = |ln: f64, rate: f64| if rate == 0.0 { ln } else { ln + rate * beyond };
        LnMoments {
            ln_second: far(power.at.ln_second, power.second),
            ln_slope: far(power.at.ln_slope, power.slope),
            error: power.at.error + 4.0 * f64::EPSILON * ln_q.abs(),
        }
    }

    /// Direct averages, until so many were asked for in one place that a series is cheaper.
    fn shared(&mut self, ln_q: f64) -> LnMoments {
        let low = ln_q.floor();
        let panel = self.panels.get(&(low as i64));
        let seen = match panel {
            Some(Panel::Series(series)) => return series.at(2.0 * (ln_q - low) - 1.0),
            Some(Panel::Rough) => return self.inside(ln_q),
            Some(Panel::Seen(count)) => *count,
            None => 0,
        };
        if seen < DIRECT {
            self.panels.insert(low as i64, Panel::Seen(seen + 1));
            return self.inside(ln_q);
        }
        let series = Series::new(low, |x| self.inside(x));
        // NaN where a moment is zero
        let panel = if series.error <= SERIES_ERROR {
            Panel::Series(Box::new(series))
        } else {
            Panel::Rough
        };
        self.panels.insert(low as i64, panel);
        self.shared(ln_q)
    }

    fn inside(&self, ln_q: f64) -> LnMoments {
        let m = moments(self.activation, ln_q.exp());
        let relative = |error: f64, value: f64| if value > 0.0 { error / value } else { 0.0 };
        LnMoments {
            ln_second: m.second.value.ln(),
            ln_slope: m.slope.value.ln(),
            error: relative(m.second.error, m.second.value)
                .max(relative(m.slope.error, m.slope.value)),
        }
    }
}

/// One layer `h = W x + b`, `x' = phi(h)`; squared norms, infinite width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// `ln q`, `q` the variance of the pre-activations `h`.
    pub ln_q: f64,
    /// `ln E phi(h)^2`: log mean square of the activations that leave the layer.
    pub ln_second: f64,
    /// `ln E phi'(h)^2`.
    pub ln_slope: f64,
    /// `ln(sigma_w2 E phi'(h)^2)`: log growth of a squared gradient norm through the layer.
    pub ln_chi: f64,
    /// Sum of `ln_chi` over this layer and those below it.
    pub ln_gradient: f64,
    /// Estimated absolute error of `ln_q`: the errors of quadrature, carried forward without
    /// damping.
    pub error: f64,
}

impl Layer {
    /// The pre-activation variance; 0 or infinity outside the range of `f64`.
    pub fn q(&self) -> f64 {
        self.ln_q.exp()
    }
}

/// Layers with variances of their own, for an input of mean square `exp(ln_input)` per unit.
///
/// `variances` holds `(sigma_w2, sigma_b2)` for each layer, weights of variance
/// `sigma_w2 / fan_in`. Then a forward tangent grows by `n_l/n_{l-1} exp(ln_chi)` in squared norm,
/// a backward gradient by `exp(ln_chi)`, both as means; [`ln_width_factor`] has the factor.
///
/// # Errors
/// [`LengthMapError::Variance`] for a variance that is negative, infinite or NaN.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::propagation::layers;
/// // ReLU layers of sigma_w2 = 8: squared signals and gradients grow by 4 a layer
/// let all = layers(&Activation::Relu, &[(8.0, 0.0); 3], 0.0).unwrap();
/// assert!((all[0].q() - 8.0).abs() < 1e-12 && (all[2].q() - 128.0).abs() < 1e-10);
/// assert!((all[2].ln_gradient - 3.0 * 4f64.ln()).abs() < 1e-12);
/// ```
pub fn layers(
    activation: &Activation,
    variances: &[(f64, f64)],
    ln_input: f64,
) -> Result<Vec<Layer>, LengthMapError> {
    for &(w, b) in variances {
        LengthMap::new(Activation::Linear, w, b)?;
    }
    let Some(&(w, b)) = variances.first() else {
        return Ok(Vec::new());
    };
    let first = ln_affine(w, ln_input, b);
    Ok(propagate(activation, variances.iter().copied(), first))
}

/// The layers, the first with pre-activations of variance `exp(first)`.
fn propagate(
    activation: &Activation,
    variances: impl ExactSizeIterator<Item = (f64, f64)>,
    first: f64,
) -> Vec<Layer> {
    let mut field = Field::new(activation);
    let (mut ln_gradient, mut error) = (0.0, 0.0);
    let mut out: Vec<Layer> = Vec::with_capacity(variances.len());
    for (w, b) in variances {
        let last = out.last();
        let ln_q = last.map_or(first, |l| ln_affine(w, l.ln_second, b));
        let near = |l: &&Layer| (l.ln_q - ln_q).abs() <= 2.0 * f64::EPSILON * ln_q.abs().max(0.1);
        let m = match last.filter(near) {
            // stationary to rounding: the moments of the layer below
            Some(l) => LnMoments {
                ln_second: l.ln_second,
                ln_slope: l.ln_slope,
                error: 0.0,
            },
            None => field.at(ln_q),
        };
        let ln_chi = w.ln() + m.ln_slope;
        ln_gradient += ln_chi;
        error += m.error;
        out.push(Layer {
            ln_q,
            ln_second: m.ln_second,
            ln_slope: m.ln_slope,
            ln_chi,
            ln_gradient,
            error,
        });
    }
    out
}

/// `ln(w exp(ln_x) + b)`.
fn ln_affine(w: f64, ln_x: f64, b: f64) -> f64 {
    let plain = w * ln_x.exp() + b;
    if plain.is_normal() {
        return plain.ln();
    }
    let part = |ln: f64| LogScale::from_ln(ln).unwrap_or(LogScale::ZERO);
    part(w.ln() + ln_x).plus(part(b.ln())).ln()
}

/// `ln` of `n_out / n_in`: what a rectangular layer adds to the growth of a forward tangent's
/// squared norm, and takes from the mean square per component of a backward gradient.
///
/// # Examples
/// ```
/// use isometer::theory::propagation::ln_width_factor;
/// assert!((ln_width_factor(2, 6) - 3f64.ln()).abs() < 1e-15);
/// ```
pub fn ln_width_factor(n_in: usize, n_out: usize) -> f64 {
    (n_out as f64 / n_in as f64).ln()
}

impl LengthMap {
    /// `depth` equal layers, the first with pre-activations of variance `q`; see [`layers`].
    /// `ln_gradient` starts with the first layer.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::activation::Activation;
    /// use isometer::theory::mean_field::LengthMap;
    /// let all = LengthMap::new(Activation::Relu, 4.0, 0.0).unwrap().profile(1.0, 3);
    /// assert!((all[2].q() - 4.0).abs() < 1e-12 && (all[2].ln_gradient - 8f64.ln()).abs() < 1e-12);
    /// ```
    pub fn profile(&self, q: f64, depth: usize) -> Vec<Layer> {
        let same = std::iter::repeat_n((self.sigma_w2(), self.sigma_b2()), depth);
        propagate(self.activation(), same, q.ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::mean_field::Limit;

    fn map(activation: Activation, w: f64, b: f64) -> LengthMap {
        LengthMap::new(activation, w, b).unwrap()
    }

    #[test]
    fn series_agree_with_direct_averages() {
        for phi in Activation::all()
            .into_iter()
            .filter(|a| a.slopes().is_none())
        {
            for low in [-6.0, -1.0, 0.0, 3.0] {
                let field = Field::new(&phi);
                let series = Series::new(low, |x| field.inside(x));
                for t in [0.03, 0.41, 0.77, 0.99] {
                    let (a, b) = (series.at(2.0 * t - 1.0), field.inside(low + t));
                    let bound = series.error + b.error + 64.0 * f64::EPSILON;
                    for (x, y) in [(a.ln_second, b.ln_second), (a.ln_slope, b.ln_slope)] {
                        // moments that vanish identically make the error NaN, and the series unused
                        if bound.is_finite() {
                            let size = 1.0 + y.abs();
                            assert!(
                                (x - y).abs() <= bound * size,
                                "{phi} {low} {t}: {x} {y} {bound}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn tanh_at_its_critical_point_decays_as_a_power() {
        // theory.csv R122, R123, R124
        let p = map(Activation::Tanh, 1.0, 0.0).profile(1.0, 101);
        assert!((p[1].q() - 0.39429449039784115).abs() < 1e-14);
        assert!((p[0].ln_gradient.exp() - 0.4644029024482682).abs() < 1e-14);
        assert!((p[10].q() - 0.05220008278702869).abs() < 1e-14);
        // prod chi at l = 100, and q_l ~ 1/(2 l)
        assert!((p[99].ln_gradient.exp() - 0.0071343).abs() < 1e-6);
        let deep = map(Activation::Tanh, 1.0, 0.0).profile(1.0, 3000);
        let at = |l: usize| deep[l].q() * 2.0 * l as f64;
        assert!((at(2999) - 1.0).abs() < 0.01 && (at(2999) - 1.0).abs() < (at(500) - 1.0).abs());
    }

    #[test]
    fn the_profile_is_the_plain_iteration() {
        for phi in Activation::all() {
            let layer = map(phi.clone(), 1.2, 0.1);
            let profile = layer.profile(0.9, 12);
            let (mut q, mut gradient) = (0.9f64, 0.0);
            for l in &profile {
                assert!(
                    (l.ln_q - q.ln()).abs() < 1e-12 * (1.0 + q.ln().abs()),
                    "{phi}"
                );
                gradient += layer.chi_1(q).value.ln();
                assert!((l.ln_gradient - gradient).abs() < 1e-11 * (1.0 + gradient.abs()));
                q = layer.next(q).value;
                if q > 1e12 {
                    break;
                }
            }
        }
    }

    #[test]
    fn settled_layers_grow_by_chi() {
        let layer = map(Activation::Tanh, 2.25, 0.05);
        let Limit::Fixed(p) = layer.limit(1.0) else {
            panic!("no fixed point")
        };
        let profile = layer.profile(1.0, 1000);
        let rate = profile[999].ln_gradient - profile[998].ln_gradient;
        assert!((rate - p.chi_1.value.ln()).abs() < 1e-12);
        assert!((profile[999].q() - p.q.value).abs() < 1e-13);
    }

    #[test]
    fn lengths_outside_the_range_of_f64() {
        // gelu at variance 8 grows like relu: 4 per layer
        let p = map(Activation::Gelu, 8.0, 0.0).profile(1.0, 1500);
        assert!((p[1499].ln_q - p[1498].ln_q - 4f64.ln()).abs() < 1e-12);
        assert!(p[1499].ln_q > 2000.0 && p[1499].q() == f64::INFINITY);
        // tanh at variance 0.1 shrinks like a linear layer
        let p = map(Activation::Tanh, 0.1, 0.0).profile(1.0, 1000);
        assert!((p[999].ln_q - p[998].ln_q - 0.1f64.ln()).abs() < 1e-12);
        // tanhshrink is a cube: E phi^2 = q^3 15/9, ln q triples
        let p = map(Activation::TanhShrink, 1.0, 0.0).profile(0.01, 8);
        let truth = 3.0 * p[6].ln_q + (15.0f64 / 9.0).ln();
        assert!((p[7].ln_q / truth - 1.0).abs() < 1e-12);
        // relu without bias, variance 1: 2^-1000 and beyond
        let p = map(Activation::Relu, 1.0, 0.0).profile(1.0, 2001);
        assert!((p[2000].ln_q + 2000.0 * 2f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn layers_of_their_own() {
        let v = [(2.0, 0.1), (1.5, 0.0), (0.7, 0.3)];
        let out = layers(&Activation::Gelu, &v, 0.0).unwrap();
        let mut x = 1.0;
        for ((w, b), l) in v.into_iter().zip(&out) {
            let layer = map(Activation::Gelu, w, b);
            let q = layer.first(x);
            assert!((l.q() / q - 1.0).abs() < 1e-14);
            assert!((l.ln_chi - layer.chi_1(q).value.ln()).abs() < 1e-13);
            x = crate::theory::averages::moments(&Activation::Gelu, q)
                .second
                .value;
        }
        // equal layers: the same as a profile
        let same = layers(&Activation::Tanh, &[(2.0, 0.1); 9], 0.0).unwrap();
        let one = map(Activation::Tanh, 2.0, 0.1);
        for (a, b) in same.iter().zip(one.profile(one.first(1.0), 9)) {
            assert!((a.ln_gradient - b.ln_gradient).abs() < 1e-13);
        }
        // xavier 784 -> 256 relu (R128): forward factor fan_in var / 2, here with n_out/n_in
        let var: f64 = 2.0 / (784.0 + 256.0);
        let chi = layers(&Activation::Relu, &[(784.0 * var, 0.0)], 0.0).unwrap()[0].ln_chi;
        assert!((chi.exp() - 0.7538461538461538).abs() < 1e-14);
        let backward = (chi + ln_width_factor(784, 256)).exp();
        assert!((backward - 0.24615384615).abs() < 1e-10);
        assert!(layers(&Activation::Relu, &[(-1.0, 0.0)], 0.0).is_err());
    }
}
