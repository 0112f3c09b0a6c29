//! The law of one layer's weights and bias, resolved from what the user named.

use super::truncated::{self, Moments};

/// One layer: `W` has `fan_out` rows and `fan_in` columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// Columns of `W`.
    pub fan_in: usize,
    /// Rows of `W`.
    pub fan_out: usize,
    /// The law of the effective entries: alpha is in it wherever it acts.
    pub weight: WeightLaw,
    /// The law of the bias; alpha never acts on it.
    pub bias: BiasLaw,
    /// Effective weights over stored weights: alpha where it multiplies outside the weights, 1
    /// otherwise. Gradients with respect to stored weights are those with respect to effective ones
    /// times this.
    pub multiplier: f64,
}

impl Layer {
    /// Variance of an effective entry, `sigma_w2 / fan_in`.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, activation::Activation};
    /// assert_eq!(Model::new(vec![50, 10], Activation::Relu).layer(1).entry_variance(), 0.04); // 2/50
    /// ```
    pub fn entry_variance(&self) -> f64 {
        self.weight.sigma_w2 / self.fan_in as f64
    }

    /// `E w^4 / (E w^2)^2` of an effective entry; see [`WeightLaw::kurtosis`].
    pub fn kurtosis(&self) -> f64 {
        self.weight.kurtosis(self.fan_in, self.fan_out)
    }

    /// The entries on the main diagonal of identity weights, with their sign; all others are 0.
    pub fn diagonal(&self) -> Option<f64> {
        let larger = self.fan_in.max(self.fan_out) as f64;
        (self.weight.kind == WeightKind::Identity).then_some(self.weight.mean * larger)
    }

    /// The common value of all `min(fan_in, fan_out)` singular values, for orthogonal and identity
    /// weights.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, activation::Activation};
    /// let mut model = Model::new(vec![8; 3], Activation::Tanh);
    /// model.weights = "orthogonal".parse().unwrap();
    /// model.alpha.value = 3.0;
    /// assert!((model.layer(1).singular_value().unwrap() - 3.0).abs() < 1e-14);
    /// ```
    pub fn singular_value(&self) -> Option<f64> {
        let isometric = matches!(
            self.weight.kind,
            WeightKind::Orthogonal | WeightKind::Identity
        );
        let larger = self.fan_in.max(self.fan_out) as f64;
        isometric.then(|| (self.weight.sigma_w2 * (larger / self.fan_in as f64)).sqrt())
    }
}

/// The law of the entries of a weight matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightLaw {
    /// Variance of an entry times the fan-in. For orthogonal and identity weights the mean square of
    /// an entry times the fan-in, `g^2 fan_in / max(fan_in, fan_out)` with all singular values `g`:
    /// square, `W = sqrt(sigma_w2) Q`.
    pub sigma_w2: f64,
    /// Mean of an entry (of the identity: the average over its entries). Not 0 for constants, the
    /// identity and off-centre laws only.
    pub mean: f64,
    /// The shape of the law.
    pub kind: WeightKind,
}

/// The shape of the law of the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightKind {
    /// Independent normal entries.
    Gaussian,
    /// Independent entries, uniform on an interval.
    Uniform,
    /// Independent normal entries kept within limits.
    TruncatedNormal {
        /// Lower limit less the mean of the uncut law, over its standard deviation.
        lower: f64,
        /// Upper limit likewise.
        upper: f64,
    },
    /// Orthonormal rows or columns (whichever are fewer), Haar distributed, times a scale.
    Orthogonal,
    /// Ones on the main diagonal, times a scale; not random.
    Identity,
    /// All entries equal; not random.
    Constant,
    /// In each column the same number of entries, at random places, is normal and the others 0.
    /// Columns are independent, and so are the entries of a row; those of a column are not.
    Sparse {
        /// Fraction of entries that are not 0.
        density: f64,
    },
}

impl WeightKind {
    /// Moments of the standardised law (variance 1) about its mean, where it has one.
    fn standard(self) -> Option<Moments> {
        let symmetric = |fourth| Moments {
            mean: 0.0,
            variance: 1.0,
            third: 0.0,
            fourth,
        };
        match self {
            WeightKind::Gaussian => Some(symmetric(3.0)),
            WeightKind::Uniform => Some(symmetric(1.8)),
            WeightKind::Sparse { density } => Some(symmetric(3.0 / density)),
            WeightKind::TruncatedNormal { lower, upper } => {
                let m = truncated::moments(lower, upper);
                Some(Moments {
                    mean: 0.0,
                    variance: 1.0,
                    third: m.third / m.variance.powf(1.5),
                    fourth: m.fourth / m.variance.powi(2),
                })
            }
            WeightKind::Orthogonal | WeightKind::Identity | WeightKind::Constant => None,
        }
    }
}

impl WeightLaw {
    /// The law of the entries times `factor`.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{WeightInit, activation::Activation};
    /// let law = WeightInit::gaussian(2.0).law(&Activation::Relu, 8, 8);
    /// assert_eq!((law.scaled(3.0).sigma_w2, law.scaled(0.0).is_zero()), (18.0, true));
    /// ```
    #[must_use]
    pub fn scaled(self, factor: f64) -> WeightLaw {
        let kind = match self.kind {
            WeightKind::TruncatedNormal { lower, upper } if factor < 0.0 => {
                WeightKind::TruncatedNormal {
                    lower: -upper,
                    upper: -lower,
                }
            }
            kind => kind,
        };
        WeightLaw {
            sigma_w2: self.sigma_w2 * factor * factor,
            mean: self.mean * factor,
            kind,
        }
    }

    /// `E w^4 / (E w^2)^2`, moments about 0, of an entry of a `fan_out x fan_in` matrix: 3 Gaussian,
    /// 1.8 uniform, 2.3655 normal cut at two standard deviations, `3/density` sparse, `3m/(m+2)`
    /// orthogonal and `m` identity with `m = max(fan_in, fan_out)` (for the identity averages are
    /// over the entries). NaN where all entries are 0. Theorem: initializer-moments.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{WeightInit, activation::Activation};
    /// let kurtosis = |text: &str| {
    ///     text.parse::<WeightInit>().unwrap().law(&Activation::Relu, 8, 8).kurtosis(8, 8)
    /// };
    /// assert_eq!(kurtosis("kaiming_normal"), 3.0);
    /// assert!((kurtosis("kaiming_uniform") - 1.8).abs() < 1e-14);
    /// ```
    pub fn kurtosis(&self, fan_in: usize, fan_out: usize) -> f64 {
        let m = fan_in.max(fan_out) as f64;
        match (self.kind, self.kind.standard()) {
            _ if self.is_zero() => f64::NAN,
            (_, Some(law)) => {
                // in units of the standard deviation
                let shift = self.mean / (self.sigma_w2 / fan_in as f64).sqrt();
                if !shift.is_finite() {
                    return 1.0;
                }
                let square = 1.0 + shift * shift;
                let fourth =
                    law.fourth + 4.0 * shift * law.third + shift * shift * (6.0 + shift * shift);
                fourth / square / square
            }
            // an entry of a unit vector uniform on the sphere in R^m
            (WeightKind::Orthogonal, _) => 3.0 * m / (m + 2.0),
            (WeightKind::Identity, _) => m,
            _ => 1.0,
        }
    }

    /// Mean and standard deviation of the normal law of a truncated one before it is cut.
    pub fn uncut(&self, fan_in: usize) -> Option<(f64, f64)> {
        let WeightKind::TruncatedNormal { lower, upper } = self.kind else {
            return None;
        };
        let cut = truncated::moments(lower, upper);
        let std = (self.sigma_w2 / fan_in as f64 / cut.variance).sqrt();
        Some((self.mean - std * cut.mean, std))
    }

    /// Whether all entries are 0.
    pub fn is_zero(&self) -> bool {
        self.sigma_w2 == 0.0 && self.mean == 0.0
    }

    /// Whether flipping the signs of any rows and any columns leaves the law of the matrix as it is,
    /// the hypothesis of the exact laws for gates.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{WeightInit, activation::Activation};
    /// let law = |text: &str| text.parse::<WeightInit>().unwrap().law(&Activation::Relu, 8, 8);
    /// assert!(law("kaiming_normal").is_symmetric() && !law("torch:ones").is_symmetric());
    /// ```
    pub fn is_symmetric(&self) -> bool {
        match self.kind {
            WeightKind::Gaussian | WeightKind::Uniform | WeightKind::Sparse { .. } => {
                self.mean == 0.0
            }
            WeightKind::TruncatedNormal { lower, upper } => self.mean == 0.0 && lower == -upper,
            WeightKind::Orthogonal => true,
            WeightKind::Identity | WeightKind::Constant => self.is_zero(),
        }
    }

    /// Whether all entries are independent with one law.
    pub fn has_independent_entries(&self) -> bool {
        match self.kind {
            WeightKind::Gaussian | WeightKind::Uniform | WeightKind::TruncatedNormal { .. } => true,
            WeightKind::Constant => true,
            WeightKind::Sparse { density } => density == 1.0,
            WeightKind::Orthogonal | WeightKind::Identity => false,
        }
    }
}

/// The law of the entries of a bias, which are independent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BiasLaw {
    /// No bias.
    Zero,
    /// Normal with mean 0.
    Gaussian {
        /// Variance of an entry.
        variance: f64,
    },
    /// Uniform about 0.
    Uniform {
        /// Variance of an entry: half-width squared over 3.
        variance: f64,
    },
    /// All entries equal.
    Constant(f64),
}

impl BiasLaw {
    /// Variance of an entry.
    pub fn variance(&self) -> f64 {
        match self {
            BiasLaw::Zero | BiasLaw::Constant(_) => 0.0,
            BiasLaw::Gaussian { variance } | BiasLaw::Uniform { variance } => *variance,
        }
    }

    /// Mean of an entry.
    pub fn mean(&self) -> f64 {
        match self {
            BiasLaw::Constant(c) => *c,
            _ => 0.0,
        }
    }

    /// `E b^2`, what the bias adds to the mean square of a pre-activation.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::BiasLaw;
    /// assert_eq!(BiasLaw::Constant(3.0).mean_square(), 9.0);
    /// assert_eq!(BiasLaw::Gaussian { variance: 0.5 }.mean_square(), 0.5);
    /// ```
    pub fn mean_square(&self) -> f64 {
        self.variance() + self.mean() * self.mean()
    }

    /// Whether `b` and `-b` have the same law.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::BiasLaw;
    /// assert!(BiasLaw::Zero.is_symmetric() && !BiasLaw::Constant(1.0).is_symmetric());
    /// ```
    pub fn is_symmetric(&self) -> bool {
        self.mean() == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law(kind: WeightKind, sigma_w2: f64, mean: f64) -> WeightLaw {
        WeightLaw {
            sigma_w2,
            mean,
            kind,
        }
    }

    /// Theorem: initializer-moments, in closed form.
    #[test]
    fn kurtosis_of_each_shape() {
        let k = |kind| law(kind, 2.0, 0.0).kurtosis(8, 4);
        assert_eq!(k(WeightKind::Gaussian), 3.0);
        assert_eq!(k(WeightKind::Uniform), 1.8);
        assert_eq!(k(WeightKind::Sparse { density: 0.25 }), 12.0);
        assert_eq!(k(WeightKind::Orthogonal), 2.4);
        assert_eq!(k(WeightKind::Identity), 8.0);
        let cut = WeightKind::TruncatedNormal {
            lower: -2.0,
            upper: 2.0,
        };
        assert!((k(cut) - 2.365_536_72).abs() < 5e-9);
        assert_eq!(law(WeightKind::Constant, 0.0, 0.3).kurtosis(8, 4), 1.0);
        assert!(law(WeightKind::Constant, 0.0, 0.0).kurtosis(8, 4).is_nan());
    }

    /// Theorem: initializer-moments, by summing fourth powers.
    #[test]
    fn kurtosis_by_a_second_route() {
        let k = |kind, m| law(kind, 1.0, 0.0).kurtosis(m, m);
        // Haar in two dimensions: entries are cosines of a uniform angle
        let (mut second, mut fourth) = (0.0, 0.0);
        for i in 0..64 {
            let c = (std::f64::consts::TAU * f64::from(i) / 64.0).cos();
            second += c * c / 64.0;
            fourth += c.powi(4) / 64.0;
        }
        let haar: f64 = fourth / (second * second);
        assert!((k(WeightKind::Orthogonal, 2) - haar).abs() < 1e-14);
        assert_eq!(k(WeightKind::Orthogonal, 1), 1.0);
        // a column of 5 with 2 normal entries: fourth moment 2/5 * 3, second 2/5
        let sparse = k(WeightKind::Sparse { density: 0.4 }, 5);
        assert!((sparse - 0.4 * 3.0 / 0.16).abs() < 1e-14);
        // limits that hardly cut leave the Gaussian
        let wide = WeightKind::TruncatedNormal {
            lower: -9.0,
            upper: 10.0,
        };
        assert!((k(wide, 5) - 3.0).abs() < 1e-13);
        // noticed: a cut elsewhere has another kurtosis
        let moved = WeightKind::TruncatedNormal {
            lower: -2.01,
            upper: 2.01,
        };
        assert!((k(moved, 5) - 2.365_536_72).abs() > 1e-3);
    }

    #[test]
    fn kurtosis_counts_moments_about_zero() {
        // uniform on [0, 1]: E w^4 = 1/5, E w^2 = 1/3
        let unit = law(WeightKind::Uniform, 5.0 / 12.0, 0.5);
        assert!((unit.kurtosis(5, 9) - 1.8).abs() < 1e-14);
        // normal with mean 1, variance 1: E w^2 = 2, E w^4 = 10
        let shifted = law(WeightKind::Gaussian, 5.0, 1.0);
        assert!((shifted.kurtosis(5, 9) - 2.5).abs() < 1e-14);
        // half-normal: E w^2 = 1, E w^4 = 3, moments about 0 those of the normal law
        let mean = (2.0 / std::f64::consts::PI).sqrt();
        let kind = WeightKind::TruncatedNormal {
            lower: 0.0,
            upper: f64::INFINITY,
        };
        let half = law(kind, 7.0 * (1.0 - mean * mean), mean);
        assert!((half.kurtosis(7, 1) - 3.0).abs() < 1e-13);
        assert!((half.scaled(-2.0).kurtosis(7, 1) - 3.0).abs() < 1e-13);
    }

    #[test]
    fn symmetry_is_known() {
        assert!(law(WeightKind::Gaussian, 1.0, 0.0).is_symmetric());
        assert!(!law(WeightKind::Gaussian, 1.0, 0.1).is_symmetric());
        assert!(law(WeightKind::Orthogonal, 1.0, 0.0).is_symmetric());
        assert!(!law(WeightKind::Identity, 1.0, 0.0).is_symmetric());
        assert!(law(WeightKind::Constant, 0.0, 0.0).is_symmetric());
        let skew = WeightKind::TruncatedNormal {
            lower: -1.0,
            upper: 2.0,
        };
        assert!(!law(skew, 1.0, 0.0).is_symmetric());
        assert!(BiasLaw::Uniform { variance: 1.0 }.is_symmetric());
        assert!(!BiasLaw::Constant(0.1).is_symmetric());
        assert_eq!(BiasLaw::Constant(-0.5).mean_square(), 0.25);
    }

    #[test]
    fn rectangular_isometries_keep_their_singular_values() {
        // gain 3 in both directions: |W|_F^2 = 9 min, entries average 9 min / (4 * 10)
        for (fan_in, fan_out) in [(4, 10), (10, 4), (4, 4)] {
            let entry: f64 = 9.0 * fan_in.min(fan_out) as f64 / (fan_in * fan_out) as f64;
            let layer = Layer {
                fan_in,
                fan_out,
                weight: law(WeightKind::Orthogonal, entry * fan_in as f64, 0.0),
                bias: BiasLaw::Zero,
                multiplier: 1.0,
            };
            assert!((layer.singular_value().unwrap() - 3.0).abs() < 1e-14);
        }
    }
}
