//! Limiting spectrum of `J J^T` for wide networks, by the S-transform.
//!
//! As the width `n` of a square network grows at fixed depth, the squared singular values of
//! `J = D_L W_L ... D_1 W_1` fill a law whose S-transform is the product over the layers of those of
//! `W W^T` and `D^2` (Pennington, Schoenholz and Ganguli, arXiv:1711.04735 and 1802.09979). With
//! `psi(x) = E[x m/(1 - x m)]`, `chi` its inverse and `S(z) = (1+z) chi(z)/z`, a law has no mass where `psi` is
//! real and increasing, so the ends of its support are the extrema of `(1+z)/(z S(z))`: no density is
//! ever formed. Everything here is asymptotic in the width, and per squared norm.
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::theory::spectrum::{Ensemble, LayerGroup, SquaredSlopes, spectrum};
//!
//! // one linear Gaussian layer: Marchenko and Pastur, squared singular values from 0 to 4
//! let slopes = SquaredSlopes::new(&Activation::Linear, 1.0).unwrap();
//! let layer = LayerGroup { ensemble: Ensemble::Gaussian, sigma_w2: 1.0, slopes, count: 1 };
//! let s = spectrum(&[layer]).unwrap();
//! assert!((s.upper.ln - 4f64.ln()).abs() < 1e-9 && (s.normalised_variance - 1.0).abs() < 1e-12);
//! ```

mod closed;
mod series;
mod slopes;

pub use closed::{
    fuss_catalan_moment, ln_edge_fuss_catalan, ln_edge_relu_gaussian, ln_edge_relu_orthogonal,
    ln_edges_smooth_limit,
};
pub use series::normalised_moments;
pub use slopes::SquaredSlopes;

use crate::scale::Certainty;

/// Ensemble of square weight matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensemble {
    /// Independent Gaussian entries of variance `sigma_w2 / n`.
    Gaussian,
    /// `sqrt(sigma_w2)` times a Haar orthogonal matrix.
    Orthogonal,
}

/// `count` equal layers, weights followed by the activation.
#[derive(Clone, Debug)]
pub struct LayerGroup {
    /// Law of the weights.
    pub ensemble: Ensemble,
    /// Variance of a weight times fan-in; for orthogonal weights the squared gain.
    pub sigma_w2: f64,
    /// Law of the squared slope.
    pub slopes: SquaredSlopes,
    /// Number of layers.
    pub count: usize,
}

/// Why there is no limiting spectrum.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SpectrumError {
    /// The variance of the pre-activations.
    #[error(
        "pre-activation variance {q}: it must be finite and positive (zero only without a kink at zero)"
    )]
    Variance {
        /// The variance.
        q: f64,
    },
    /// The slope is zero everywhere.
    #[error("the activation is constant wherever pre-activations can be: the Jacobian is zero")]
    Dead,
    /// Probability of keeping a unit.
    #[error("keep probability {keep} is not in (0, 1]")]
    Keep {
        /// The probability.
        keep: f64,
    },
    /// The variance of the weights.
    #[error("sigma_w^2 = {sigma_w2} must be finite and positive")]
    Weights {
        /// The variance.
        sigma_w2: f64,
    },
    /// No layers.
    #[error("a spectrum needs at least one layer")]
    Empty,
}

/// An end of the support, as the natural logarithm of a squared singular value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// `ln` of the edge; `-inf` for an edge at zero, `inf` for unbounded slopes.
    pub ln: f64,
    /// Estimated error of `ln`.
    pub error: f64,
}

/// Summary of the limiting law of the squared singular values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spectrum {
    /// `ln` of the mean squared singular value.
    pub ln_mean: f64,
    /// Variance divided by the squared mean.
    pub normalised_variance: f64,
    /// Share of non-zero singular values.
    pub nonzero: f64,
    /// Largest squared singular value.
    pub upper: Edge,
    /// Share of singular values exactly at the upper edge.
    pub mass_at_upper: f64,
    /// Smallest squared singular value apart from those that vanish identically; `-inf` also for
    /// activations whose slope comes arbitrarily close to zero, however improbably.
    pub lower: Edge,
    /// Asymptotic: width to infinity first, at fixed depth.
    pub certainty: Certainty,
}

/// Product of S-transforms with the moments it needs.
struct Product<'a> {
    groups: &'a [LayerGroup],
    means: Vec<f64>,
    gaussian: usize,
}

struct At {
    ln: f64,
    error: f64,
    slope: f64,
}

impl Product<'_> {
    /// `ln |(1+z)/(z S(z))|` and its derivative.
    fn at(&self, z: f64) -> Option<At> {
        let gaussians = self.gaussian as f64;
        let mut out = At {
            ln: ((1.0 + z) / z).abs().ln() + gaussians * (1.0 + z).abs().ln(),
            error: f64::EPSILON,
            slope: (1.0 + gaussians) / (1.0 + z) - z.recip(),
        };
        for (group, mean) in self.groups.iter().zip(&self.means) {
            let p = group.slopes.point(z, *mean)?;
            let count = group.count as f64;
            let ln = group.sigma_w2.ln() + (z * p.w / (1.0 + z)).abs().ln();
            out.ln += count * ln;
            out.error += count * (p.error + f64::EPSILON * (1.0 + ln.abs()));
            out.slope += count * (z.recip() - (1.0 + z).recip() + p.ln_slope);
        }
        Some(out)
    }

    /// First extremum of the edge function along `z(t)`, `t > 0`, which moves away from
    /// `z(0)` where the function is monotone; `falling` is the sign of its derivative in `z` there.
    /// Without an extremum, the value at the end of the domain, or `limit` if that is infinity.
    fn extremum(&self, z: impl Fn(f64) -> f64, start: f64, limit: (f64, f64), last: f64) -> Edge {
        let before = |t: f64| self.at(z(t)).filter(|at| t < last && at.slope < 0.0);
        let (mut lo, cap) = (start, limit.1);
        let mut hi = start;
        while before(hi).is_some() {
            lo = hi;
            if hi >= cap {
                return Edge {
                    ln: limit.0,
                    error: f64::EPSILON * limit.0.abs(),
                };
            }
            hi *= 1.7;
        }
        while hi - lo > 1e-9 * hi {
            let middle = 0.5 * (lo + hi);
            if before(middle).is_some() {
                lo = middle;
            } else {
                hi = middle;
            }
        }
        match self.at(z(lo)) {
            // at an extremum an error of z is harmless; elsewhere the domain ends within the
            // resolution of the slopes
            Some(at) if self.at(z(hi)).is_some() => Edge {
                ln: at.ln,
                error: at.error,
            },
            Some(at) => Edge {
                ln: at.ln,
                error: at.error + self.depth() * slopes::NEAREST,
            },
            None => Edge {
                ln: f64::NAN,
                error: f64::INFINITY,
            },
        }
    }

    fn depth(&self) -> f64 {
        self.groups.iter().map(|g| g.count as f64).sum()
    }

    /// A single layer of orthogonal weights keeps the support of its slopes.
    fn is_slopes_alone(&self) -> bool {
        self.depth() == 1.0 && self.gaussian == 0
    }

    fn limit(&self, end: impl Fn(&SquaredSlopes) -> f64) -> f64 {
        self.groups
            .iter()
            .map(|g| g.count as f64 * (g.sigma_w2 * end(&g.slopes)).ln())
            .sum()
    }

    /// How far `z` is followed: differences to the end of the support are exact for atoms only.
    fn cap(&self) -> f64 {
        if self.groups.iter().all(|g| g.slopes.is_atomic()) {
            1e10
        } else {
            1e6
        }
    }

    fn upper(&self, variance: f64) -> Edge {
        if self
            .groups
            .iter()
            .any(|g| g.slopes.support().1.is_infinite())
        {
            return Edge {
                ln: f64::INFINITY,
                error: 0.0,
            };
        }
        let limit = self.limit(|s| s.support().1);
        if self.is_slopes_alone() {
            return Edge {
                ln: limit,
                error: 4.0 * f64::EPSILON,
            };
        }
        self.extremum(
            |t| t,
            0.01 / (1.0 + variance),
            (limit, self.cap()),
            f64::INFINITY,
        )
    }

    fn lower(&self) -> Edge {
        let zero = Edge {
            ln: f64::NEG_INFINITY,
            error: 0.0,
        };
        let p = self.nonzero();
        let smallest = |g: &&LayerGroup| g.slopes.nonzero() - p <= 1e-14;
        let multiplicity: usize = self.groups.iter().filter(smallest).map(|g| g.count).sum();
        let touches = self
            .groups
            .iter()
            .filter(smallest)
            .any(|g| g.slopes.support().0 == 0.0);
        let whole = 1.0 - p <= 1e-14;
        if touches || (whole && self.gaussian > 0) || (!whole && multiplicity > 1) {
            return zero;
        }
        let limit = self.limit(|s| s.support().0);
        if self.is_slopes_alone() {
            return Edge {
                ln: limit,
                error: 4.0 * f64::EPSILON,
            };
        }
        // beyond z = -1 the Gaussian factor has no real branch
        let last = if self.gaussian > 0 {
            1.0 - p
        } else {
            f64::INFINITY
        };
        let room = if whole { 1.0 } else { p * (1.0 - p) };
        let start = 1e-3 * room / (10.0 + self.depth());
        self.extremum(|t| -p - t, start, (limit, self.cap()), last)
    }

    /// A free product keeps the largest of the masses at zero.
    fn nonzero(&self) -> f64 {
        self.groups
            .iter()
            .map(|g| g.slopes.nonzero())
            .fold(1.0, f64::min)
    }
}

/// Mean, variance and edges of the limiting law of the squared singular values of
/// `J = D_L W_L ... D_1 W_1`, square layers, width to infinity at fixed depth.
///
/// Layers of different laws may be mixed; their order does not matter. Theorem: s-transform-edges.
///
/// # Errors
/// [`SpectrumError::Empty`] without layers, [`SpectrumError::Weights`] for a variance that is not positive.
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::spectrum::{Ensemble, LayerGroup, SquaredSlopes, ln_edge_relu_gaussian, spectrum};
/// let slopes = SquaredSlopes::new(&Activation::Relu, 1.0).unwrap();
/// let layers = LayerGroup { ensemble: Ensemble::Gaussian, sigma_w2: 2.0, slopes, count: 5 };
/// let s = spectrum(&[layers]).unwrap();
/// assert!((s.upper.ln - ln_edge_relu_gaussian(5, 0.5)).abs() < 1e-8); // the closed form
/// assert!(s.ln_mean.abs() < 1e-12);
/// ```
pub fn spectrum(groups: &[LayerGroup]) -> Result<Spectrum, SpectrumError> {
    check(groups)?;
    let means: Vec<f64> = groups.iter().map(|g| g.slopes.moment(1).value).collect();
    let mut normalised_variance = 0.0;
    let mut ln_mean = 0.0;
    for (g, mean) in groups.iter().zip(&means) {
        let gaussian = f64::from(u8::from(g.ensemble == Ensemble::Gaussian));
        let second = g.slopes.moment(2).value / (mean * mean);
        normalised_variance += g.count as f64 * ((second - 1.0).max(0.0) + gaussian);
        ln_mean += g.count as f64 * (g.sigma_w2 * mean).ln();
    }
    let gaussian = groups
        .iter()
        .filter(|g| g.ensemble == Ensemble::Gaussian)
        .map(|g| g.count)
        .sum();
    let product = Product {
        groups,
        means,
        gaussian,
    };
    // free products: atoms a and b meet in the atom ab when their masses exceed 1 together
    let missing: f64 = groups
        .iter()
        .map(|g| g.count as f64 * (1.0 - g.slopes.mass_at_sup()))
        .sum();
    let mass_at_upper = if gaussian == 0 {
        (1.0 - missing).max(0.0)
    } else {
        0.0
    };
    Ok(Spectrum {
        ln_mean,
        normalised_variance,
        nonzero: product.nonzero(),
        upper: product.upper(normalised_variance),
        mass_at_upper,
        lower: product.lower(),
        certainty: Certainty::Asymptotic,
    })
}

fn check(groups: &[LayerGroup]) -> Result<(), SpectrumError> {
    if groups.iter().all(|g| g.count == 0) {
        return Err(SpectrumError::Empty);
    }
    for g in groups {
        if !(g.sigma_w2 > 0.0 && g.sigma_w2.is_finite()) {
            return Err(SpectrumError::Weights {
                sigma_w2: g.sigma_w2,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
