//! The law of a product of independent factors.

use std::sync::Arc;

use super::complex::Complex;
use super::factor::{Factor, LawError, Shape};
use super::inversion::{BULK, Contour, Sum, Tail};
use super::mixture::Mixture;
use crate::scale::Certainty;

/// A number with its absolute error: a bound of discretisation and truncation, and an estimate of
/// rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uncertain {
    /// The number.
    pub value: f64,
    /// Its absolute error.
    pub error: f64,
}

/// The exact law of a squared norm that is a product of independent [`Factor`]s.
///
/// In total over all factors, per squared norm. Quantities named `ln_mean_square` and `kurtosis_ratio` count
/// the zeros; everything about the logarithm is conditional on a non-zero value.
///
/// # Examples
/// ```
/// use isometer::theory::laws::{Factor, ProductLaw};
/// // an exponential variable of mean 2: ln X has mean ln 2 - gamma and variance pi^2/6
/// let law = ProductLaw::new(&[(Factor::ChiSquare { n: 2, scale: 1.0 }, 1)]).unwrap();
/// assert!((law.mean_ln_square() - (2f64.ln() - 0.5772156649015329)).abs() < 1e-13);
/// assert!((law.var_ln_square() - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-13);
/// assert!((law.kurtosis_ratio() - 2.0).abs() < 1e-13 && law.p_zero() == 0.0);
/// assert!((law.survival_ln_square(2f64.ln()).value - (-1f64).exp()).abs() < 1e-11);
/// ```
#[derive(Clone)]
pub struct ProductLaw {
    ln_mean_square: f64,
    ln_kurtosis_ratio: f64,
    ln_alive: f64,
    mean: f64,
    offset: f64,
    factors: Arc<[(Factor, u64)]>,
    sum: Arc<Sum>,
    /// Lines for the lower and the upper tail; none if the logarithm is constant.
    bulk: Option<[Contour; 2]>,
}

impl std::fmt::Debug for ProductLaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProductLaw")
            .field("ln_mean_square", &self.ln_mean_square)
            .field("mean_ln_square", &self.mean)
            .field("var_ln_square", &self.var_ln_square())
            .field("p_zero", &self.p_zero())
            .finish_non_exhaustive()
    }
}

impl ProductLaw {
    /// The law of a product in which every factor occurs, independently, the given number of times.
    ///
    /// The cost depends on the number of different shapes and on their widths, not on the number of times.
    ///
    /// # Errors
    /// An empty product, or a factor that is not one; see [`LawError`].
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::laws::{Factor, ProductLaw};
    /// // chi-square of 2 degrees is exponential with mean 2
    /// let law = ProductLaw::new(&[(Factor::ChiSquare { n: 2, scale: 1.0 }, 1)]).unwrap();
    /// assert!((law.ln_mean_square() - 2f64.ln()).abs() < 1e-14);
    /// let p = law.cdf_ln_square(2f64.ln()); // P(X <= 2) = 1 - 1/e
    /// assert!((p.value - (1.0 - (-1f64).exp())).abs() < 1e-11);
    /// ```
    pub fn new(factors: &[(Factor, u64)]) -> Result<ProductLaw, LawError> {
        let mut shapes: Vec<(Shape, f64)> = Vec::new();
        let mut offset = 0.0;
        let mut seen = false;
        for (index, &(factor, count)) in factors.iter().enumerate() {
            let (shape, ln_scale) = factor.split(index)?;
            if count == 0 {
                continue;
            }
            seen = true;
            offset += count as f64 * ln_scale;
            let Some(shape) = shape else { continue };
            match shapes.iter_mut().find(|(s, _)| *s == shape) {
                Some((_, n)) => *n += count as f64,
                None => shapes.push((shape, count as f64)),
            }
        }
        if !seen {
            return Err(LawError::NoLayers);
        }
        let total = |f: fn(&Shape) -> f64| shapes.iter().map(|(s, n)| n * f(s)).sum::<f64>();
        let (ln_mean, ln_kurtosis_ratio, ln_alive) = (
            total(Shape::ln_mean),
            total(Shape::ln_kurtosis_ratio),
            total(Shape::ln_alive),
        );
        let groups: Vec<Mixture> = shapes.iter().map(|&(s, n)| Mixture::new(s, n)).collect();
        let mean = offset + groups.iter().map(|g| g.count * g.mean).sum::<f64>();
        let sum = Sum::new(groups);
        let bulk =
            (sum.deviation > 0.0).then(|| [Contour::bulk(&sum, -1.0), Contour::bulk(&sum, 1.0)]);
        Ok(ProductLaw {
            ln_mean_square: offset + ln_mean,
            ln_kurtosis_ratio,
            ln_alive,
            mean,
            offset: 0.0,
            factors: factors.into(),
            sum: Arc::new(sum),
            bulk,
        })
    }

    /// The law of the same variable multiplied by `e^ln_factor`; costs nothing.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::laws::{Factor, ProductLaw};
    /// let law = ProductLaw::new(&[(Factor::ChiSquare { n: 4, scale: 0.25 }, 3)]).unwrap();
    /// assert!((law.scaled(7.0).ln_mean_square() - 7.0).abs() < 1e-13);
    /// ```
    #[must_use]
    pub fn scaled(mut self, ln_factor: f64) -> ProductLaw {
        self.offset += ln_factor;
        self
    }

    /// The factors the law was made of, and the logarithm of what [`ProductLaw::scaled`] multiplied them by.
    pub fn factors(&self) -> (&[(Factor, u64)], f64) {
        (&self.factors, self.offset)
    }

    /// What the moments are worth: they are closed forms. Probabilities carry their own error.
    pub fn certainty(&self) -> Certainty {
        Certainty::Exact
    }

    /// `ln E X`, zeros included.
    pub fn ln_mean_square(&self) -> f64 {
        self.ln_mean_square + self.offset
    }

    /// `E X^2 / (E X)^2`, zeros included; infinite beyond the range of `f64`.
    pub fn kurtosis_ratio(&self) -> f64 {
        self.ln_kurtosis_ratio.exp()
    }

    /// `ln(E X^2 / (E X)^2)`, zeros included.
    pub fn ln_kurtosis_ratio(&self) -> f64 {
        self.ln_kurtosis_ratio
    }

    /// `E(ln X | X > 0)`: the typical size.
    pub fn mean_ln_square(&self) -> f64 {
        self.mean + self.offset
    }

    /// `Var(ln X | X > 0)`.
    pub fn var_ln_square(&self) -> f64 {
        self.sum.deviation * self.sum.deviation
    }

    /// `P(X = 0)`, to relative accuracy however small.
    pub fn p_zero(&self) -> f64 {
        // +0 for laws without zeros
        -self.ln_alive.exp_m1() + 0.0
    }

    /// `ln P(X > 0)`.
    pub fn ln_p_alive(&self) -> f64 {
        self.ln_alive
    }

    /// `ln E(X^s | X > 0)`; with zeros, for `s > 0`, add [`ProductLaw::ln_p_alive`].
    ///
    /// `None` where the moment is infinite, and for `|s|` beyond 150, where it is not computed.
    /// Numbers of open gates rarer than 1e-40 are left out.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::laws::{Factor, ProductLaw};
    /// let law = ProductLaw::new(&[(Factor::ChiSquare { n: 2, scale: 1.0 }, 1)]).unwrap();
    /// assert!((law.ln_moment(2.0).unwrap() - 8f64.ln()).abs() < 1e-12); // E X^2 = 2 * 2^2
    /// assert_eq!(law.ln_moment(-1.0), None); // infinite
    /// ```
    pub fn ln_moment(&self, s: f64) -> Option<f64> {
        if s <= -self.sum.pole || s.is_nan() || s.abs() > 150.0 {
            return None;
        }
        let centred = self.sum.ln_mgf(Complex::new(s, 0.0)).re;
        Some(s * self.mean_ln_square() + centred)
    }

    /// `P(ln X <= x | X > 0)`.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::laws::{Factor, ProductLaw};
    /// // the product of two squared normals is below 0 in the logarithm with probability P(|z1 z2| <= 1)
    /// let law = ProductLaw::new(&[(Factor::ChiSquare { n: 1, scale: 1.0 }, 2)]).unwrap();
    /// let p = law.cdf_ln_square(0.0);
    /// assert!((p.value + law.survival_ln_square(0.0).value - 1.0).abs() < 1e-9 && p.error < 1e-9);
    /// assert!(p.value > 0.7 && p.value < 0.8);
    /// ```
    pub fn cdf_ln_square(&self, x: f64) -> Uncertain {
        self.tails(x).0
    }

    /// `P(ln X > x | X > 0)`.
    pub fn survival_ln_square(&self, x: f64) -> Uncertain {
        self.tails(x).1
    }

    /// Lower and upper tail.
    fn tails(&self, x: f64) -> (Uncertain, Uncertain) {
        let exact = |value| Uncertain { value, error: 0.0 };
        let y = x - self.mean_ln_square();
        if y.is_nan() {
            return (exact(y), exact(y));
        }
        // the support of laws on spheres ends
        if y >= self.sum.largest || (self.bulk.is_none() && y >= 0.0) {
            return (exact(1.0), exact(0.0));
        }
        if y < self.sum.least || self.bulk.is_none() {
            return (exact(0.0), exact(1.0));
        }
        let tail = self.tail(y, y >= 0.0);
        let near = Uncertain {
            value: tail.probability,
            error: tail.error,
        };
        let rest = Uncertain {
            value: 1.0 - near.value,
            error: near.error + f64::EPSILON,
        };
        if y >= 0.0 { (rest, near) } else { (near, rest) }
    }

    /// The tail beyond `y`, centred, on its own side of the mean.
    fn tail(&self, y: f64, upper: bool) -> Tail {
        let nothing = Tail {
            probability: 0.0,
            density: 0.0,
            error: 0.0,
        };
        let Some(bulk) = &self.bulk else {
            return nothing;
        };
        if !y.is_finite() {
            return nothing;
        }
        let mut tail = if y.abs() <= BULK * self.sum.deviation {
            bulk[usize::from(upper)].tail(y)
        } else {
            Contour::far(&self.sum, y).tail(y)
        };
        // the position of the mean is rounded too, and rare terms were left out
        let omitted: f64 = self.sum.groups.iter().map(|g| g.count * g.omitted()).sum();
        tail.error += tail.density * self.position_error(y) + omitted;
        tail
    }

    fn position_error(&self, y: f64) -> f64 {
        let layers: f64 = self
            .sum
            .groups
            .iter()
            .map(|g| g.count * (1.0 + g.mean.abs()))
            .sum();
        4.0 * f64::EPSILON * (layers + self.mean_ln_square().abs() + y.abs())
    }

    /// The `x` with `P(ln X <= x | X > 0) = p`; infinite for `p` of 0 and 1 (the ends of the
    /// support are not looked for), NaN outside.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::laws::{Factor, ProductLaw};
    /// let law = ProductLaw::new(&[(Factor::ChiSquare { n: 2, scale: 1.0 }, 1)]).unwrap();
    /// let median = law.quantile_ln_square(0.5).value; // of an exponential with mean 2: 2 ln 2
    /// assert!((median - (2.0 * 2f64.ln()).ln()).abs() < 1e-10);
    /// ```
    pub fn quantile_ln_square(&self, p: f64) -> Uncertain {
        let mean = self.mean_ln_square();
        let exact = |value| Uncertain { value, error: 0.0 };
        if !(0.0..=1.0).contains(&p) {
            return exact(f64::NAN);
        }
        let deviation = self.sum.deviation;
        if self.bulk.is_none() {
            return exact(mean);
        }
        if p == 0.0 || p == 1.0 {
            return exact(if p == 0.0 {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            });
        }
        // everything from the side of the mean on which the quantile lies
        let upper = self.tail(0.0, true).probability > 1.0 - p;
        let target = if upper { 1.0 - p } else { p };
        let side = if upper { 1.0 } else { -1.0 };
        // tail(inner) > target > tail(outer), distances from the mean
        let (mut inner, mut outer) = (0.0, f64::INFINITY);
        let mut z = 0.0;
        let mut tail = self.tail(0.0, upper);
        for _ in 0..100 {
            if tail.probability > target {
                inner = z;
            } else {
                outer = z;
            }
            // Newton's step on the logarithm of the tail
            let step = (tail.probability / target).ln() * tail.probability / tail.density;
            let limit = 2.0 * deviation;
            let mut next = z + if step.is_finite() {
                step.clamp(-limit, limit)
            } else {
                limit
            };
            if !(next >= inner && next <= outer) {
                next = if outer.is_finite() {
                    0.5 * (inner + outer)
                } else {
                    inner + limit
                };
            }
            let moved = (next - z).abs();
            z = next;
            tail = self.tail(side * z, upper);
            if moved <= 2.0 * f64::EPSILON * (z + mean.abs()) + 1e-14 * deviation {
                break;
            }
        }
        let y = (side * z).clamp(self.sum.least, self.sum.largest);
        let off = (tail.probability - target).abs() + tail.error;
        Uncertain {
            value: mean + y,
            error: off / tail.density + f64::EPSILON * mean.abs(),
        }
    }
}
