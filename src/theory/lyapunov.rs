//! Growth of volumes and of singular values with depth at finite width.
//!
//! A Gaussian layer multiplies the squared volume of an `i`-dimensional box by a product of `i`
//! independent chi-squares, whatever the box is; ReLU gates leave `K` of the rows, `K` binomial and
//! independent of everything else. Volumes therefore have explicit laws at any depth. Exponents of
//! the singular values are their differences in the limit of depth at fixed width (Newman 1986; Akemann, Burda
//! and Kieburg, arXiv:1406.0803), the opposite order of limits to [`crate::theory::spectrum`].
//!
//! A product with ReLU loses rank as it deepens, so its exponents are conditional: given that the
//! rank is at least `r`, which has probability `prod_l P(K_l >= r)`, the `K_l` are independent binomials
//! conditioned on `K_l >= r`.
//!
//! Start with [`VolumeLayer::exponents`]. Exact in the limit of depth at fixed width.
//!
//! ```
//! use isometer::theory::spectrum::Ensemble;
//! use isometer::theory::lyapunov::VolumeLayer;
//!
//! // width 1: E ln |N(0, 1)| = -(gamma + ln 2) / 2
//! let one = VolumeLayer::square(Ensemble::Gaussian, 1, 1.0, 1.0);
//! assert!((one.exponents(1).unwrap()[0] + 0.6351814227307392).abs() < 1e-13);
//! // orthogonal layers stretch every direction alike
//! let turn = VolumeLayer::square(Ensemble::Orthogonal, 5, 4.0, 1.0);
//! assert!(turn.exponents(5).unwrap().iter().all(|x| (x - 2f64.ln()).abs() < 1e-12));
//! assert!(turn.ln_condition_growth(5).unwrap().abs() < 1e-12);
//! ```

use crate::scale::Certainty;
use crate::theory::special::{binomial_weights, digamma, trigamma};
use crate::theory::spectrum::Ensemble;

/// Why there are no exponents.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum LyapunovError {
    /// The dimension does not fit the layer.
    #[error("dimension {dimension} in a layer of width {width}")]
    Dimension {
        /// Dimension of the volume or rank conditioned on.
        dimension: usize,
        /// Width of the layer.
        width: usize,
    },
    /// A probability outside its range.
    #[error("survival probability {probability} is not in (0, 1]")]
    Probability {
        /// The probability.
        probability: f64,
    },
    /// A variance outside its range.
    #[error("sigma_w^2 = {sigma_w2} must be finite and positive")]
    Variance {
        /// The variance.
        sigma_w2: f64,
    },
    /// Haar weights between unequal widths.
    #[error("orthogonal weights from {fan_in} to {width} units: only square layers have this law")]
    NotSquare {
        /// Units below.
        fan_in: usize,
        /// Units of the layer.
        width: usize,
    },
}

/// A layer with gates: each unit passes gradients with slope 1 with probability `survive`,
/// independently (ReLU 1/2, linear 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VolumeLayer {
    /// Law of the weights.
    pub ensemble: Ensemble,
    /// Units below.
    pub fan_in: usize,
    /// Units of the layer.
    pub width: usize,
    /// Variance of a weight times fan-in; squared gain for orthogonal weights.
    pub sigma_w2: f64,
    /// Probability that a unit passes gradients.
    pub survive: f64,
}

/// Mean and variance of the logarithm of a volume (not of its square), per layer or in total.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogVolume {
    /// Mean of `ln`.
    pub mean: f64,
    /// Variance of `ln`.
    pub variance: f64,
}

impl VolumeLayer {
    /// A square layer.
    pub fn square(ensemble: Ensemble, n: usize, sigma_w2: f64, survive: f64) -> VolumeLayer {
        VolumeLayer {
            ensemble,
            fan_in: n,
            width: n,
            sigma_w2,
            survive,
        }
    }

    fn check(&self, dimension: usize) -> Result<(), LyapunovError> {
        let width = self.width.min(self.fan_in);
        if dimension == 0 || dimension > width {
            return Err(LyapunovError::Dimension { dimension, width });
        }
        if !(self.survive > 0.0 && self.survive <= 1.0) {
            return Err(LyapunovError::Probability {
                probability: self.survive,
            });
        }
        if !(self.sigma_w2 > 0.0 && self.sigma_w2.is_finite()) {
            return Err(LyapunovError::Variance {
                sigma_w2: self.sigma_w2,
            });
        }
        if self.ensemble == Ensemble::Orthogonal && self.width != self.fan_in {
            return Err(LyapunovError::NotSquare {
                fan_in: self.fan_in,
                width: self.width,
            });
        }
        Ok(())
    }

    /// `(K, P(K | K >= least))`.
    fn survivors(&self, least: usize) -> Vec<(usize, f64)> {
        let weights = binomial_weights(self.width, self.survive);
        let total: f64 = weights[least..].iter().rev().sum();
        if total == 0.0 {
            // the tail is below the range of f64; its ratio of neighbours is far below 1
            return vec![(least, 1.0)];
        }
        (least..=self.width)
            .map(|k| (k, weights[k] / total))
            .filter(|(_, p)| *p > 0.0)
            .collect()
    }

    /// `E ln chi^2` minus the normaliser for the `j`-th of the factors of a volume, `j` from 1.
    fn ln_factor(&self, k: usize, j: usize) -> f64 {
        let chi = digamma(0.5 * (k + 1 - j) as f64);
        match self.ensemble {
            Ensemble::Gaussian => chi + (2.0 * self.sigma_w2 / self.fan_in as f64).ln(),
            Ensemble::Orthogonal => {
                chi - digamma(0.5 * (self.width + 1 - j) as f64) + self.sigma_w2.ln()
            }
        }
    }

    /// Law of the logarithm of the factor by which the layer multiplies an `i`-dimensional volume, given
    /// that at least `least >= i` units survive. Exact. Theorem: volume-growth.
    ///
    /// # Errors
    /// [`LyapunovError`] for dimensions that do not fit and parameters out of range.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::{lyapunov::VolumeLayer, spectrum::Ensemble};
    /// // one dimension of a 1 x 1 Gaussian layer: ln |z| has variance pi^2/8
    /// let v = VolumeLayer::square(Ensemble::Gaussian, 1, 1.0, 1.0).ln_volume(1, 1).unwrap();
    /// assert!((v.variance - std::f64::consts::PI.powi(2) / 8.0).abs() < 1e-12);
    /// ```
    pub fn ln_volume(&self, i: usize, least: usize) -> Result<LogVolume, LyapunovError> {
        self.check(i)?;
        if least < i || least > self.width {
            return Err(LyapunovError::Dimension {
                dimension: least,
                width: self.width,
            });
        }
        let law = self.survivors(least);
        let spread = |k: usize| -> f64 {
            (1..=i)
                .map(|j| {
                    let chi = trigamma(0.5 * (k + 1 - j) as f64);
                    match self.ensemble {
                        Ensemble::Gaussian => chi,
                        // the ratio is independent of its denominator
                        Ensemble::Orthogonal => chi - trigamma(0.5 * (self.width + 1 - j) as f64),
                    }
                })
                .sum()
        };
        let means: Vec<f64> = law
            .iter()
            .map(|(k, _)| 0.5 * (1..=i).map(|j| self.ln_factor(*k, j)).sum::<f64>())
            .collect();
        let mean: f64 = law.iter().zip(&means).map(|((_, p), m)| p * m).sum();
        let variance = law
            .iter()
            .zip(&means)
            .map(|((k, p), m)| p * (0.25 * spread(*k) + (m - mean).powi(2)))
            .sum();
        Ok(LogVolume { mean, variance })
    }

    /// Lyapunov exponents `lambda_1 >= ... >= lambda_r` per layer of norms (not squared) in a deep product of
    /// such square layers, given that its rank is at least `r`:
    /// `lambda_i = [ln(2 sigma_w2/n) + E(digamma((K-i+1)/2) | K >= r)] / 2` for Gaussian weights. Exact as the limit of
    /// `ln sigma_i / L`; at finite depth asymptotic. Theorem: volume-growth.
    ///
    /// # Errors
    /// [`LyapunovError`] for `r` above the width and parameters out of range.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::{lyapunov::VolumeLayer, spectrum::Ensemble};
    /// let layer = VolumeLayer::square(Ensemble::Gaussian, 16, 1.0, 1.0);
    /// let all = layer.exponents(16).unwrap(); // descending; their spread is the growth of ln kappa
    /// assert!(all.windows(2).all(|w| w[0] > w[1]));
    /// assert!((all[0] - all[15] - layer.ln_condition_growth(16).unwrap()).abs() < 1e-13);
    /// ```
    pub fn exponents(&self, r: usize) -> Result<Vec<f64>, LyapunovError> {
        self.check(r)?;
        if self.width != self.fan_in {
            return Err(LyapunovError::NotSquare {
                fan_in: self.fan_in,
                width: self.width,
            });
        }
        let law = self.survivors(r);
        Ok((1..=r)
            .map(|i| {
                0.5 * law
                    .iter()
                    .map(|(k, p)| p * self.ln_factor(*k, i))
                    .sum::<f64>()
            })
            .collect())
    }

    /// The `i`-th exponent given only that the `i`-th singular value is not zero, for each `i`: the
    /// typical growth of whatever is left. Each entry has a condition of its own.
    ///
    /// # Errors
    /// As [`VolumeLayer::exponents`].
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::{lyapunov::VolumeLayer, spectrum::Ensemble};
    /// let relu = VolumeLayer::square(Ensemble::Gaussian, 8, 2.0, 0.5);
    /// let (all, left) = (relu.exponents(1).unwrap(), relu.exponents_of_survivors().unwrap());
    /// assert!(left.len() == 8 && (left[0] - all[0]).abs() < 1e-13);
    /// ```
    pub fn exponents_of_survivors(&self) -> Result<Vec<f64>, LyapunovError> {
        (1..=self.width)
            .map(|i| Ok(self.exponents(i)?[i - 1]))
            .collect()
    }

    /// Growth of the logarithm of `sigma_1/sigma_r` per layer, given that the rank is at least `r`: the limit of
    /// `E ln kappa / L` for `r` equal to the width of a linear network.
    ///
    /// # Errors
    /// As [`VolumeLayer::exponents`].
    pub fn ln_condition_growth(&self, r: usize) -> Result<f64, LyapunovError> {
        let exponents = self.exponents(r)?;
        Ok(exponents[0] - exponents[r - 1])
    }
}

/// Mean and variance of the logarithm of the volume of the image of a fixed `i`-dimensional unit cube, given that the
/// rank stays at least `i`. Exact at every depth; for `i = n_0` the volume is `sqrt(det J^T J)`.
/// Theorem: volume-growth.
///
/// # Errors
/// [`LyapunovError`] of the first layer that does not fit.
///
/// # Examples
/// ```
/// use isometer::theory::{spectrum::Ensemble, lyapunov::{VolumeLayer, ln_volume}};
/// let layer = VolumeLayer::square(Ensemble::Orthogonal, 3, 4.0, 1.0); // twice a rotation
/// let area = ln_volume(2, &[layer, layer]).unwrap();
/// assert!((area.mean - 4.0 * 2f64.ln()).abs() < 1e-12 && area.variance.abs() < 1e-12);
/// ```
pub fn ln_volume(i: usize, layers: &[VolumeLayer]) -> Result<LogVolume, LyapunovError> {
    let mut total = LogVolume {
        mean: 0.0,
        variance: 0.0,
    };
    for run in layers.chunk_by(|a, b| a == b) {
        let one = run[0].ln_volume(i, i)?;
        total.mean += run.len() as f64 * one.mean;
        total.variance += run.len() as f64 * one.variance;
    }
    Ok(total)
}

/// `E ln det (J^T J)` of `depth` square layers whose slopes `(below, above)` do not vanish: linear and leaky ReLU. Exact.
///
/// # Errors
/// [`LyapunovError`] for parameters out of range; slope zero gives `-inf`.
///
/// # Examples
/// ```
/// use isometer::theory::{spectrum::Ensemble, lyapunov::{VolumeLayer, mean_ln_det}};
/// let layer = VolumeLayer::square(Ensemble::Orthogonal, 3, 4.0, 1.0);
/// assert!((mean_ln_det(&layer, (1.0, 1.0), 2).unwrap() - 6.0 * 4f64.ln()).abs() < 1e-12);
/// ```
pub fn mean_ln_det(
    layer: &VolumeLayer,
    (below, above): (f64, f64),
    depth: usize,
) -> Result<f64, LyapunovError> {
    let linear = VolumeLayer {
        survive: 1.0,
        ..*layer
    };
    let volume = linear.ln_volume(layer.fan_in, layer.width)?;
    let slopes = layer.width as f64 * (below.abs().ln() + above.abs().ln());
    Ok(depth as f64 * (2.0 * volume.mean + slopes))
}

/// Growth per step of a linear recurrence `h <- W h` with the same `W` at every step, as the
/// logarithm of a norm (not squared).
///
/// A Haar orthogonal `W` of squared gain `sigma_w2` multiplies every norm by exactly `sqrt(sigma_w2)`. For Gaussian `W`
/// the spectral radius tends to `sqrt(sigma_w2)` (the circular law and Geman's theorem), which governs the rate in the limit of many steps and then width.
///
/// # Errors
/// [`LyapunovError::Variance`].
///
/// # Examples
/// ```
/// use isometer::scale::Certainty;
/// use isometer::theory::{spectrum::Ensemble, lyapunov::ln_growth_of_tied_weights};
/// let (ln, worth) = ln_growth_of_tied_weights(Ensemble::Orthogonal, 4.0).unwrap();
/// assert!((ln - 2f64.ln()).abs() < 1e-15 && worth == Certainty::Exact);
/// ```
pub fn ln_growth_of_tied_weights(
    ensemble: Ensemble,
    sigma_w2: f64,
) -> Result<(f64, Certainty), LyapunovError> {
    if !(sigma_w2 > 0.0 && sigma_w2.is_finite()) {
        return Err(LyapunovError::Variance { sigma_w2 });
    }
    let certainty = match ensemble {
        Ensemble::Orthogonal => Certainty::Exact,
        Ensemble::Gaussian => Certainty::Asymptotic,
    };
    Ok((0.5 * sigma_w2.ln(), certainty))
}

#[cfg(test)]
mod tests {
    use super::Ensemble::{Gaussian, Orthogonal};
    use super::*;
    use crate::theory::quadrature::integrate;

    fn linear(n: usize) -> VolumeLayer {
        VolumeLayer::square(Gaussian, n, 1.0, 1.0)
    }

    fn relu(n: usize) -> VolumeLayer {
        VolumeLayer::square(Gaussian, n, 2.0, 0.5)
    }

    /// Theorem: volume-growth (theory.csv R217 to R224).
    #[test]
    fn exponents_of_gaussian_products() {
        for (n, first, last) in [
            (2, -0.288_607_832_450_766_43, -0.981_755_013_010_711_8),
            (8, -0.065_088_346_344_045_14, -1.674_902_193_570_657_2),
        ] {
            let e = linear(n).exponents(n).unwrap();
            assert!((e[0] - first).abs() < 1e-13 && (e[n - 1] - last).abs() < 1e-13);
            assert!(e.windows(2).all(|w| w[0] > w[1]));
        }
        let e = linear(64).exponents(64).unwrap();
        assert!((e[0] + 0.007_853_186_132_369_627).abs() < 1e-13);
        let growth = linear(64).ln_condition_growth(64).unwrap();
        assert!((growth - 2.706_769_778_278_205_4).abs() < 1e-13);
        let det = mean_ln_det(&linear(8), (1.0, 1.0), 5).unwrap();
        assert!((det + 45.932_954_929_921_415).abs() < 1e-11);
    }

    /// Theorem: volume-growth. `E ln` of chi-squares by quadrature of their density, mixed over the gates.
    #[test]
    fn relu_growth_by_quadrature() {
        let n = 6;
        let ln_chi = |k: f64| {
            let norm = 0.5 * k * 2f64.ln() + crate::theory::special::ln_gamma(0.5 * k);
            let f = |y: f64| {
                let density = (0.5 * k * y - 0.5 * y.exp() - norm).exp();
                [density * y, density * y * y]
            };
            let [mean, square] = integrate(f, -60.0, 6.0, &[], 1e-16);
            (mean.value, square.value)
        };
        for i in 1..=n {
            let weights = binomial_weights(n, 0.5);
            let total: f64 = weights[i..].iter().sum();
            let (mut mean, mut square) = (0.0, 0.0);
            for (k, weight) in weights.iter().enumerate().skip(i) {
                // sums of independent logarithms
                let (mut m, mut v) = (0.0, 0.0);
                for j in 1..=i {
                    let (a, b) = ln_chi((k - j + 1) as f64);
                    m += 0.5 * (a + (2.0 / n as f64).ln());
                    v += 0.25 * (b - a * a);
                }
                mean += weight / total * m;
                square += weight / total * (v + m * m);
            }
            let law = relu(n).ln_volume(i, i).unwrap();
            assert!((law.mean - mean).abs() < 1e-11, "{i}");
            assert!((law.variance - (square - mean * mean)).abs() < 1e-10, "{i}");
            // exponents given the same rank sum to the volume
            let sum: f64 = relu(n).exponents(i).unwrap().iter().sum();
            assert!((sum - law.mean).abs() < 1e-13);
            // given a higher rank the same volume grows faster
            if i < n {
                assert!(relu(n).ln_volume(i, i + 1).unwrap().mean > law.mean + 1e-3);
            }
        }
        let deep = ln_volume(2, &[relu(6); 1000]).unwrap();
        let one = relu(6).ln_volume(2, 2).unwrap();
        assert!((deep.mean / (1000.0 * one.mean) - 1.0).abs() < 1e-13);
    }

    /// The typical drift of a He network of width 16, 0.17640 nats of squared norm per layer.
    #[test]
    fn drift_of_a_direction() {
        let first = relu(16).exponents_of_survivors().unwrap()[0];
        assert!((2.0 * first + 0.176_40).abs() < 5e-6, "{first}");
    }

    /// Theorem: volume-growth. A Haar layer with ReLU multiplies a squared norm by twice a Beta variable; without gates it is an isometry.
    #[test]
    fn orthogonal_layers() {
        let isometry = VolumeLayer::square(Orthogonal, 7, 1.0, 1.0);
        for i in 1..=7 {
            let law = isometry.ln_volume(i, i).unwrap();
            assert!(law.mean.abs() < 1e-14 && law.variance.abs() < 1e-14);
        }
        // n = 2, one gate open: x in the circle, cos^2 uniform in angle, E ln cos^2 = -2 ln 2
        let half = VolumeLayer::square(Orthogonal, 2, 1.0, 0.5);
        let law = half.ln_volume(1, 1).unwrap();
        let given_one = -2.0 * 2f64.ln() / 2.0;
        assert!((law.mean - 2.0 / 3.0 * given_one).abs() < 1e-14);
        // E ln^2 cos^2 = 4 ln^2 2 + pi^2/3, halves for the norm
        let square =
            2.0 / 3.0 * 0.25 * (4.0 * 2f64.ln().powi(2) + std::f64::consts::PI.powi(2) / 3.0);
        assert!((law.variance - (square - law.mean.powi(2))).abs() < 1e-14);
    }

    #[test]
    fn leaky_determinants_and_refusals() {
        let leaky = mean_ln_det(&linear(4), (0.1, 1.0), 3).unwrap();
        let plain = mean_ln_det(&linear(4), (1.0, 1.0), 3).unwrap();
        assert!((leaky - plain - 12.0 * 0.1f64.ln()).abs() < 1e-12);
        assert_eq!(
            mean_ln_det(&linear(4), (0.0, 1.0), 3).unwrap(),
            f64::NEG_INFINITY
        );
        assert!(matches!(
            linear(4).exponents(5),
            Err(LyapunovError::Dimension {
                dimension: 5,
                width: 4
            })
        ));
        let wide = VolumeLayer {
            fan_in: 3,
            ..VolumeLayer::square(Orthogonal, 4, 1.0, 1.0)
        };
        assert!(matches!(
            wide.ln_volume(1, 1),
            Err(LyapunovError::NotSquare { .. })
        ));
        assert!(
            VolumeLayer::square(Gaussian, 4, 1.0, 0.0)
                .exponents(1)
                .is_err()
        );
        assert!(
            VolumeLayer::square(Gaussian, 4, -1.0, 1.0)
                .exponents(1)
                .is_err()
        );
        // wide layers keep their conditions where the binomial tail underflows
        assert!(relu(1200).exponents(1200).unwrap()[1199].is_finite());
    }

    #[test]
    fn tied_weights() {
        let (ln, certainty) = ln_growth_of_tied_weights(Orthogonal, 1.0).unwrap();
        assert_eq!((ln, certainty), (0.0, Certainty::Exact));
        let (ln, certainty) = ln_growth_of_tied_weights(Gaussian, 4.0).unwrap();
        assert!((ln - 2f64.ln()).abs() < 1e-15 && certainty == Certainty::Asymptotic);
        assert!(ln_growth_of_tied_weights(Gaussian, f64::NAN).is_err());
    }
}
