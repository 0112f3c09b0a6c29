//! Draws from an exact law itself, millions a second, without a matrix.
//!
//! [`LawSampler`] draws every factor of a [`ProductLaw`]: the number of open gates by Walker's alias
//! method, each chi-square by one normal and one uniform number (Marsaglia and Tsang 2000), the
//! product with one logarithm for many factors. It shares no step with the inversion that computes
//! distribution functions, so the two check each other. A product of equal chi-squares has no law
//! simpler than that (the multiplication theorem of the gamma function needs shapes one half
//! apart), so the cost is that of the depth; [`QuantileTable`] is what collapses it: inverse
//! transform sampling from the inverted law, at one cost for any depth.
//!
//! ```
//! use isometer::reference::random::{Purpose, stream};
//! use isometer::theory::laws::{Factor, ProductLaw};
//! use isometer::verify::{law_sampler::LawSampler, statistics::{ks_distance, ks_p_value}};
//!
//! // three ReLU layers of width 4: draws against the inverted distribution function
//! let relu = Factor::Gated { n: 4, gate: 0.5, below: 0.0, scale: 0.5 };
//! let law = ProductLaw::new(&[(relu, 3)]).unwrap();
//! let (sampler, mut rng) = (LawSampler::new(&law), stream(3, 0, Purpose::Other(0)));
//! let mut ln: Vec<f64> = (0..300).map(|_| sampler.sample(&mut rng)).filter(|x| x.is_finite()).collect();
//! ln.sort_by(f64::total_cmp);
//! let d = ks_distance(&ln, |x| law.cdf_ln_square(x).value);
//! assert!(ks_p_value(ln.len(), d) > 1e-3);
//! ```

use crate::reference::random::Stream;
use crate::theory::laws::{Factor, ProductLaw};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

/// Products are kept within this range of 1 before a logarithm is taken.
const RANGE: f64 = 1e60;

/// Numbers of open gates by Walker's alias method.
#[derive(Clone, Debug)]
struct Alias {
    cut: Vec<f64>,
    other: Vec<u32>,
}

impl Alias {
    fn binomial(n: usize, p: f64) -> Alias {
        let weights: Vec<f64> = (0..=n)
            .map(|k| super::statistics::binomial_mass(k, n, p))
            .collect();
        let size = weights.len();
        let total: f64 = weights.iter().sum();
        let mut scaled: Vec<f64> = weights.iter().map(|w| w / total * size as f64).collect();
        let mut other: Vec<u32> = (0..size as u32).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..size).partition(|&i| scaled[i] < 1.0);
        let mut cut = vec![1.0; size];
        while let (Some(s), Some(&l)) = (small.pop(), large.last()) {
            cut[s] = scaled[s];
            other[s] = l as u32;
            scaled[l] -= 1.0 - scaled[s];
            if scaled[l] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        Alias { cut, other }
    }

    #[inline]
    fn draw(&self, rng: &mut Stream) -> usize {
        let u = rng.random::<f64>() * self.cut.len() as f64;
        let i = (u as usize).min(self.cut.len() - 1);
        if u - i as f64 <= self.cut[i] {
            i
        } else {
            self.other[i] as usize
        }
    }
}

/// A chi-square number of `degrees >= 0`.
#[inline]
fn chi_square(degrees: usize, rng: &mut Stream) -> f64 {
    match degrees {
        0 => 0.0,
        1 => {
            let z: f64 = StandardNormal.sample(rng);
            z * z
        }
        _ => {
            let d = 0.5 * degrees as f64 - 1.0 / 3.0;
            let c = (9.0 * d).sqrt().recip();
            loop {
                let z: f64 = StandardNormal.sample(rng);
                let t = 1.0 + c * z;
                if t <= 0.0 {
                    continue;
                }
                let v = t * t * t;
                let u: f64 = rng.random();
                let s = z * z;
                if u < 1.0 - 0.0331 * s * s || u.ln() < 0.5 * s + d * (1.0 - v + v.ln()) {
                    return 2.0 * d * v;
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Draw {
    /// `chi2_n`.
    ChiSquare(usize),
    /// `chi2_K + below2 chi2_{n-K}`, over itself plus `chi2_rest` where on a sphere.
    Gated {
        n: usize,
        open: Option<Alias>,
        below2: f64,
        sphere: Option<usize>,
    },
}

/// Draws `ln X` from an exact law, factor by factor.
///
/// # Examples
/// ```
/// use isometer::reference::random::{Purpose, stream};
/// use isometer::theory::laws::{Factor, ProductLaw};
/// use isometer::verify::law_sampler::LawSampler;
/// let law = ProductLaw::new(&[(Factor::ChiSquare { n: 2, scale: 1.0 }, 1)]).unwrap();
/// let (sampler, mut rng) = (LawSampler::new(&law), stream(1, 0, Purpose::Other(0)));
/// let mean = (0..4000).map(|_| sampler.sample(&mut rng)).sum::<f64>() / 4000.0;
/// assert!((mean - law.mean_ln_square()).abs() < 0.1); // deviation pi/sqrt 6 over the root of 4000: 0.02
/// ```
#[derive(Clone, Debug)]
pub struct LawSampler {
    ln_scale: f64,
    /// Factors, how often each occurs, and what it is divided by to be about 1.
    draws: Vec<(Draw, u64, f64)>,
}

impl LawSampler {
    /// The sampler of a law.
    pub fn new(law: &ProductLaw) -> LawSampler {
        let (factors, offset) = law.factors();
        let mut ln_scale = offset;
        let mut draws = Vec::new();
        for &(factor, count) in factors {
            let (draw, scale, size) = match factor {
                Factor::ChiSquare { n, scale } => (Some(Draw::ChiSquare(n)), scale, n as f64),
                Factor::Constant { scale } => (None, scale, 1.0),
                Factor::Gated {
                    n,
                    gate,
                    below,
                    scale,
                } if gate == 1.0 || below * below == 1.0 => {
                    (Some(Draw::ChiSquare(n)), scale, n as f64)
                }
                Factor::Gated {
                    n,
                    gate,
                    below,
                    scale,
                } => {
                    let draw = Draw::Gated {
                        n,
                        open: Some(Alias::binomial(n, gate)),
                        below2: below * below,
                        sphere: None,
                    };
                    (Some(draw), scale, n as f64)
                }
                Factor::Sphere {
                    n,
                    ambient,
                    gate,
                    below,
                    scale,
                } => {
                    let plain = gate == 1.0 || below * below == 1.0;
                    let draw = Draw::Gated {
                        n,
                        open: (!plain).then(|| Alias::binomial(n, gate)),
                        below2: below * below,
                        sphere: Some(ambient - n),
                    };
                    (Some(draw), scale, 1.0)
                }
            };
            ln_scale += count as f64 * (scale * size).ln();
            draws.extend(draw.map(|d| (d, count, size.recip())));
        }
        LawSampler { ln_scale, draws }
    }

    /// One value of `ln X`, `-inf` for zero.
    pub fn sample(&self, rng: &mut Stream) -> f64 {
        let mut ln = self.ln_scale;
        let mut product = 1.0f64;
        for (draw, count, unit) in &self.draws {
            for _ in 0..*count {
                product *= unit * draw.sample(rng);
                if !(1.0 / RANGE..RANGE).contains(&product) {
                    if product == 0.0 {
                        return f64::NEG_INFINITY;
                    }
                    ln += product.ln();
                    product = 1.0;
                }
            }
        }
        ln + product.ln()
    }
}

impl Draw {
    #[inline]
    fn sample(&self, rng: &mut Stream) -> f64 {
        match self {
            Draw::ChiSquare(n) => chi_square(*n, rng),
            Draw::Gated {
                n,
                open,
                below2,
                sphere,
            } => {
                let k = open.as_ref().map_or(*n, |alias| alias.draw(rng));
                let above = chi_square(k, rng);
                let passed_below = *below2 > 0.0 && k < *n;
                if !passed_below && sphere.is_none() {
                    return above;
                }
                let under = chi_square(n - k, rng);
                let sum = above + below2 * under;
                match sphere {
                    None => sum,
                    Some(rest) => sum / (above + under + chi_square(*rest, rng)),
                }
            }
        }
    }
}

/// The inverse of a distribution function, tabulated: draws at a cost that does not depend on the depth.
///
/// Between the table's points the inverse is interpolated linearly in the normal deviate, and the
/// whole is the inverse transform of the exact law up to [`QuantileTable::error`].
///
/// # Examples
/// ```
/// use isometer::reference::random::{Purpose, stream};
/// use isometer::theory::laws::{Factor, ProductLaw};
/// use isometer::verify::law_sampler::QuantileTable;
/// let law = ProductLaw::new(&[(Factor::ChiSquare { n: 2, scale: 1.0 }, 1)]).unwrap();
/// let (table, mut rng) = (QuantileTable::new(&law, 33), stream(1, 0, Purpose::Other(0)));
/// let below = (0..4000).filter(|_| table.sample(&mut rng) <= 2f64.ln()).count();
/// assert!((below as f64 / 4000.0 - 0.632).abs() < 0.04 && table.error() < 0.02); // 1 - 1/e
/// ```
#[derive(Clone, Debug)]
pub struct QuantileTable {
    p_alive: f64,
    /// `ln X` at equally spaced normal deviates from `-REACH` to `REACH`.
    values: Vec<f64>,
    error: f64,
}

/// Normal deviates covered by a [`QuantileTable`]; beyond, with probability [`BEYOND`] in all, the last
/// interval is continued.
const REACH: f64 = 5.0;
/// `P(|Z| > REACH)`.
const BEYOND: f64 = 5.8e-7;

impl QuantileTable {
    /// Tabulates a law at `points` deviates (at least 3).
    pub fn new(law: &ProductLaw, points: usize) -> QuantileTable {
        let points = points.max(3);
        let step = 2.0 * REACH / (points - 1) as f64;
        let quantile = |z: f64| {
            let p = 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
            law.quantile_ln_square(p).value
        };
        let values: Vec<f64> = (0..points)
            .map(|i| quantile(-REACH + step * i as f64))
            .collect();
        // largest error of a probability half way between points
        let error = (0..points - 1)
            .map(|i| -REACH + step * (i as f64 + 0.5))
            .zip(values.windows(2))
            .map(|(z, w)| {
                let p = 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
                (law.cdf_ln_square(0.5 * (w[0] + w[1])).value - p).abs()
            })
            .fold(BEYOND, f64::max);
        QuantileTable {
            p_alive: law.ln_p_alive().exp(),
            values,
            error,
        }
    }

    /// Largest error of a probability, measured half way between the points: up to about
    /// `1 / error^2` draws cannot tell the table from the law.
    pub fn error(&self) -> f64 {
        self.error
    }

    /// One value of `ln X`, `-inf` for zero.
    pub fn sample(&self, rng: &mut Stream) -> f64 {
        if self.p_alive < 1.0 && rng.random::<f64>() >= self.p_alive {
            return f64::NEG_INFINITY;
        }
        let z: f64 = StandardNormal.sample(rng);
        let last = self.values.len() - 1;
        let at = (z + REACH) / (2.0 * REACH) * last as f64;
        // the first and the last interval go on beyond the table
        let i = (at.max(0.0) as usize).min(last - 1);
        let t = at - i as f64;
        self.values[i] + t * (self.values[i + 1] - self.values[i])
    }
}
