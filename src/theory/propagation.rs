//! Second moments of signals and gradients layer by layer, at finite depth and infinite width.

use crate::network::activation::Activation;
use crate::scale::LogScale;
use crate::theory::averages::moments;
use crate::theory::mean_field::{LengthMap, LengthMapError};

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

/// Moments of an activation at any variance, also outside the range of `f64`.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    activation: &'a Activation,
    powers: [Option<Power>; 2],
}

impl<'a> Field<'a> {
    /// For one activation.
    pub fn new(activation: &'a Activation) -> Field<'a> {
        Field {
            activation,
            powers: [None; 2],
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
            return self.inside(ln_q);
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

    fn inside(&self, ln_q: f64) -> LnMoments {
        self.plain(ln_q.exp())
    }

    /// Moments at a variance in the range of `f64`.
    pub fn plain(&self, q: f64) -> LnMoments {
        let m = moments(self.activation, q);
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
pub fn layers(
    activation: &Activation,
    variances: &[(f64, f64)],
    ln_input: f64,
) -> Result<Vec<Layer>, LengthMapError> {
    for &(w, b) in variances {
        LengthMap::new(Activation::Linear, w, b)?;
    }
    let mut field = Field::new(activation);
    let mut ln_x = ln_input;
    let mut ln_gradient = 0.0;
    let mut error = 0.0;
    let mut out: Vec<Layer> = Vec::with_capacity(variances.len());
    for &(w, b) in variances {
        let ln_q = ln_affine(w, ln_x, b);
        let layer = match out.last() {
            // stationary to rounding: the moments are those of the layer below
            Some(last) if (last.ln_q - ln_q).abs() <= 2.0 * f64::EPSILON * last.ln_q.abs().max(0.1) => {
                Layer { ln_q, ..*last }
            }
            _ => {
                let m = field.at(ln_q);
                error += m.error;
                Layer {
                    ln_q,
                    ln_second: m.ln_second,
                    ln_slope: m.ln_slope,
                    ln_chi: 0.0,
                    ln_gradient: 0.0,
                    error,
                }
            }
        };
        let ln_chi = w.ln() + layer.ln_slope;
        ln_gradient += ln_chi;
        ln_x = layer.ln_second;
        out.push(Layer {
            ln_chi,
            ln_gradient,
            ..layer
        });
    }
    Ok(out)
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
pub fn ln_width_factor(n_in: usize, n_out: usize) -> f64 {
    (n_out as f64 / n_in as f64).ln()
}

impl LengthMap {
    /// `depth` equal layers, the first with pre-activations of variance `q`; see [`layers`].
    /// `ln_gradient` starts with the first layer.
    pub fn profile(&self, q: f64, depth: usize) -> Vec<Layer> {
        let mut ln_x = None;
        let mut field = Field::new(self.activation());
        let mut out: Vec<Layer> = Vec::with_capacity(depth);
        let mut ln_gradient = 0.0;
        let mut error = 0.0;
        let ln_w = self.sigma_w2().ln();
        for _ in 0..depth {
            let ln_q = match ln_x {
                None => q.ln(),
                Some(ln_x) => ln_affine(self.sigma_w2(), ln_x, self.sigma_b2()),
            };
            let m = match out.last() {
                Some(l) if (l.ln_q - ln_q).abs() <= 2.0 * f64::EPSILON * l.ln_q.abs().max(0.1) => {
                    LnMoments {
                        ln_second: l.ln_second,
                        ln_slope: l.ln_slope,
                        error: 0.0,
                    }
                }
                _ => field.at(ln_q),
            };
            error += m.error;
            ln_gradient += ln_w + m.ln_slope;
            ln_x = Some(m.ln_second);
            out.push(Layer {
                ln_q,
                ln_second: m.ln_second,
                ln_slope: m.ln_slope,
                ln_chi: ln_w + m.ln_slope,
                ln_gradient,
                error,
            });
        }
        out
    }
}
