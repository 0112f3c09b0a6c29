//! The scalar multiplier alpha on weights: what it does to signals, gradients and training.
//!
//! Two questions that are often mixed up. *Scaling*: the same stored numbers, multiplied; for a bias-free
//! positively homogeneous network everything is a power of alpha ([`scaling`]). *Reparametrising*: the same
//! function written as `W = alpha w` with `w` stored ([`Optimizer::equivalent`]): training `w` is training `W` with
//! other hyperparameters (Yang and Hu, arXiv:2011.14522).
//!
//! ```
//! use isometer::theory::multiplier::{Optimizer, Placement, scaling};
//!
//! // alpha outside each of 3 weight matrices; the gradient of the first
//! let s = scaling(Placement::Multiplier, 3, 1);
//! assert_eq!((s.output, s.input_gradient, s.effective_gradient, s.stored_gradient), (3, 3, 2, 3));
//! // training w in W = alpha w with SGD is training W at alpha^2 the learning rate; Adam feels alpha
//! assert_eq!(Optimizer::Sgd.equivalent().learning_rate, 2);
//! assert_eq!(Optimizer::Adam.equivalent().learning_rate, 1);
//! ```

use crate::theory::special::digamma;

/// Where alpha multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The stored weights of all layers, the readout included, are multiplied once.
    Weights,
    /// Every layer multiplies by alpha outside its stored weights.
    Multiplier,
    /// The stored weights of one layer, from 1, are multiplied once.
    Layer(usize),
}

/// Powers of alpha, for a bias-free positively homogeneous network of `layers` weight matrices (readout included) and
/// `alpha > 0`. Exact. Gradients are those of the output `y`; a loss adds its own factor `dloss/dy`, taken at the scaled output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaling {
    /// Output, and every hidden signal counted up to its layer.
    pub output: i64,
    /// Gradient with respect to the input, and the Jacobian.
    pub input_gradient: i64,
    /// Gradient of layer `layer` with respect to the weights as they act.
    pub effective_gradient: i64,
    /// Gradient of layer `layer` with respect to the weights as they are stored and trained.
    pub stored_gradient: i64,
}

/// Powers of alpha in signals and in the gradients of weight matrix `layer` (from 1); gradients are
/// evaluated at the scaled weights. With biases, or activations that are not homogeneous, there is no such law.
/// Theorem: multiplier-powers.
///
/// # Examples
/// ```
/// use isometer::theory::multiplier::{Placement, scaling};
/// // stored weights of layer 2 of 3 multiplied: its own gradient does not see the factor
/// let s = scaling(Placement::Layer(2), 3, 2);
/// assert_eq!((s.output, s.input_gradient, s.stored_gradient), (1, 1, 0));
/// ```
pub fn scaling(placement: Placement, layers: usize, layer: usize) -> Scaling {
    let all = layers as i64;
    match placement {
        Placement::Weights => Scaling {
            output: all,
            input_gradient: all,
            effective_gradient: all - 1,
            stored_gradient: all - 1,
        },
        Placement::Multiplier => Scaling {
            output: all,
            input_gradient: all,
            effective_gradient: all - 1,
            stored_gradient: all,
        },
        Placement::Layer(k) => {
            let own = i64::from(k != layer);
            Scaling {
                output: 1,
                input_gradient: 1,
                effective_gradient: own,
                stored_gradient: own,
            }
        }
    }
}

/// Update rules, in the forms whose dependence on scale differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optimizer {
    /// `w - eta g`.
    Sgd,
    /// SGD with heavy-ball or Nesterov momentum.
    Momentum,
    /// Adam; L2 decay enters through the gradient.
    Adam,
    /// Adam with decoupled weight decay.
    AdamW,
    /// Sign of the gradient or of its average (signSGD, Lion).
    Sign,
    /// Layer-wise trust ratio on the gradient.
    Lars,
    /// Layer-wise trust ratio on Adam's direction.
    Lamb,
}

/// Powers of alpha by which the hyperparameters of a run on `w` turn into those of the same run on
/// `W = alpha w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equivalent {
    /// Learning rate: `eta alpha^k` on `W`.
    pub learning_rate: i32,
    /// Coefficient of `lambda |w|^2 / 2` added to the loss.
    pub l2: i32,
    /// Coefficient of `lambda |w|_1` added to the loss.
    pub l1: i32,
    /// Coefficient of decoupled decay, `w - eta lambda w`; for LAMB the decay inside the trust ratio. The shrink per step stays
    /// `eta lambda` outside a trust ratio.
    pub decoupled: i32,
    /// Clipping threshold on the gradient of this layer, by norm or by value.
    pub clip: i32,
    /// Adam's epsilon, where there is one.
    pub epsilon: i32,
}

/// One row of the table of consequences.
#[derive(Clone, Debug, PartialEq)]
pub struct Consequence {
    /// What changes.
    pub quantity: &'static str,
    /// As this power of alpha.
    pub exponent: i32,
    /// The factor.
    pub factor: f64,
    /// In words.
    pub statement: &'static str,
}

impl Optimizer {
    /// All of them.
    pub const ALL: [Optimizer; 7] = [
        Optimizer::Sgd,
        Optimizer::Momentum,
        Optimizer::Adam,
        Optimizer::AdamW,
        Optimizer::Sign,
        Optimizer::Lars,
        Optimizer::Lamb,
    ];

    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Optimizer::Sgd => "sgd",
            Optimizer::Momentum => "momentum",
            Optimizer::Adam => "adam",
            Optimizer::AdamW => "adamw",
            Optimizer::Sign => "sign",
            Optimizer::Lars => "lars",
            Optimizer::Lamb => "lamb",
        }
    }

    /// The run on `W = alpha w`, `alpha > 0`, that repeats a run on `w`: same function at every step. Exact; the trust ratio of
    /// LARS and LAMB as published, without a floor or clamp. Theorem: multiplier-equivalence.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::multiplier::Optimizer;
    /// let adam = Optimizer::Adam.equivalent();
    /// assert_eq!((adam.learning_rate, adam.epsilon), (1, -1));
    /// assert_eq!(Optimizer::Lars.equivalent().learning_rate, 0); // a trust ratio forgets the scale
    /// ```
    pub fn equivalent(self) -> Equivalent {
        let learning_rate = match self {
            Optimizer::Sgd | Optimizer::Momentum => 2,
            Optimizer::Adam | Optimizer::AdamW | Optimizer::Sign => 1,
            Optimizer::Lars | Optimizer::Lamb => 0,
        };
        Equivalent {
            learning_rate,
            l2: -2,
            l1: -1,
            decoupled: if self == Optimizer::Lamb {
                -1
            } else {
                -learning_rate
            },
            clip: -1,
            epsilon: -1,
        }
    }

    /// Power of alpha in the learning rate relative to `|w|` when the function does not depend on the scale of `w` (a
    /// normalized layer) and the stored weights are multiplied by alpha: the gradient scales as `1/alpha`, so the angle turned in a step does
    /// as this power. Theorem: multiplier-equivalence.
    pub fn angular_step_if_scale_invariant(self) -> i32 {
        match self {
            Optimizer::Sgd | Optimizer::Momentum => -2,
            Optimizer::Adam | Optimizer::AdamW | Optimizer::Sign => -1,
            Optimizer::Lars | Optimizer::Lamb => 0,
        }
    }

    /// The table of what writing a layer as `W = alpha w` does to training.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::multiplier::Optimizer;
    /// let rows = Optimizer::Sgd.consequences(0.5);
    /// assert!(rows.iter().all(|r| (r.factor - 0.5f64.powi(r.exponent)).abs() < 1e-12));
    /// ```
    pub fn consequences(self, alpha: f64) -> Vec<Consequence> {
        let e = self.equivalent();
        let row = |quantity, exponent, statement| Consequence {
            quantity,
            exponent,
            factor: alpha.powi(exponent),
            statement,
        };
        let adaptive = matches!(self, Optimizer::Adam | Optimizer::AdamW | Optimizer::Lamb);
        let mut rows = vec![
            row(
                "stored gradient",
                1,
                "the gradient of the stored weights is alpha times that of the effective ones",
            ),
            row(
                "effective learning rate",
                e.learning_rate,
                match e.learning_rate {
                    2 => "gradient and step are both multiplied: alpha^2 times the learning rate",
                    1 => "the step ignores the scale of gradients: alpha times the learning rate",
                    _ => "the trust ratio cancels alpha: the relative step is unchanged",
                },
            ),
            row(
                "effective L2 coefficient",
                e.l2,
                "lambda |w|^2/2 = (lambda/alpha^2) |W|^2/2",
            ),
            row(
                "effective L1 coefficient",
                e.l1,
                "lambda |w|_1 = (lambda/alpha) |W|_1",
            ),
            row(
                "decoupled decay per learning rate",
                e.decoupled,
                match self {
                    Optimizer::Lamb => {
                        "the decay inside the trust ratio weighs 1/alpha against Adam's direction"
                    }
                    _ => "the shrink per step is unchanged, whatever the data step becomes",
                },
            ),
            row(
                "effective clipping threshold",
                e.clip,
                "clipping is not invariant: gradients grow by alpha, the threshold does not",
            ),
            row(
                "gradient range of the number format",
                1,
                "stored gradients move by log2 alpha bits: alpha acts as a loss scale of this layer",
            ),
        ];
        if adaptive {
            rows.push(row(
                "relative size of epsilon",
                e.epsilon,
                "epsilon is compared with gradients alpha times as large",
            ));
        }
        rows
    }
}

/// Effects of alpha on a normalized layer: the function does not change, `gradient(alpha w) = gradient(w)/alpha`, and SGD's
/// effective learning rate is `eta/|w|^2`: powers of alpha `(function, gradient, effective rate)`.
pub const SCALE_INVARIANT: (i32, i32, i32) = (0, -1, -2);

/// The alpha at which a squared norm that grows by `e^ln_square_per_layer` at alpha 1 stands still, for homogeneous
/// networks with one factor alpha in each layer: `exp(-ln_square_per_layer / 2)`. Mean-square or typical, as the
/// growth is.
///
/// # Examples
/// ```
/// use isometer::theory::multiplier::critical_alpha;
/// assert!((critical_alpha(4f64.ln()) - 0.5).abs() < 1e-15);
/// ```
pub fn critical_alpha(ln_square_per_layer: f64) -> f64 {
    (-0.5 * ln_square_per_layer).exp()
}

/// Critical alpha of products of `n x n` matrices of independent standard Gaussian entries: `(typical, mean_square)`,
/// `exp(-(ln 2 + digamma(n/2))/2)` and `1/sqrt(n)`. The typical one is the larger: between them the mean square explodes
/// while almost every norm dies. Exact; NaN for `n = 0`.
///
/// # Examples
/// ```
/// use isometer::theory::multiplier::critical_alpha_of_gaussian_product;
/// let (typical, mean_square) = critical_alpha_of_gaussian_product(4);
/// assert!((mean_square - 0.5).abs() < 1e-15 && (typical - 0.57236).abs() < 1e-4);
/// ```
pub fn critical_alpha_of_gaussian_product(n: usize) -> (f64, f64) {
    let n = n as f64;
    (
        critical_alpha(std::f64::consts::LN_2 + digamma(0.5 * n)),
        critical_alpha(n.ln()),
    )
}

/// Values of alpha that keep a norm within a factor of its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WithinFactor {
    /// The alpha with the largest probability.
    pub best_alpha: f64,
    /// That probability.
    pub best_probability: f64,
    /// Interval around it on which the probability is at least the one asked for; none if it is never reached.
    pub interval: Option<(f64, f64)>,
}

/// Why the question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum WithinFactorError {
    /// The factor must exceed 1.
    #[error("factor {factor}: it must be finite and above 1")]
    Factor {
        /// The factor.
        factor: f64,
    },
    /// The probability must be in (0, 1).
    #[error("probability {probability} is not strictly between 0 and 1")]
    Probability {
        /// The probability.
        probability: f64,
    },
    /// The number of multiplied layers.
    #[error("alpha multiplies no layer")]
    NoLayers,
    /// The distribution function does not bracket its median.
    #[error("the distribution function has no median between e^-{limit} and e^{limit}")]
    NoMedian {
        /// Where the search ended.
        limit: f64,
    },
}

/// For which alpha, multiplying `layers` layers of a homogeneous network, a norm ends within the factor `factor` of where it
/// started, up or down, with probability at least `probability`.
///
/// `cdf_ln_square(x)`: probability that the squared norm at alpha 1, relative to its start, is at most `e^x` and not zero, given that it is not
/// zero; `p_zero` is the probability that it is. The law of the logarithm only moves with alpha, by `2 layers ln alpha`. The search
/// supposes that the probability of the moving window rises and falls once, which unimodal laws guarantee.
///
/// # Errors
/// [`WithinFactorError`].
///
/// # Examples
/// ```
/// use isometer::theory::multiplier::alpha_within_factor;
/// // a squared norm with a uniform logarithm between -1 and 1: alpha = 1 keeps all of it within e^(1/2)
/// let cdf = |x: f64| ((x + 1.0) / 2.0).clamp(0.0, 1.0);
/// let found = alpha_within_factor(4, 2.0, 0.9, 0.0, cdf).unwrap();
/// let (from, to) = found.interval.unwrap();
/// assert!(from < 1.0 && 1.0 < to && (found.best_probability - 1.0).abs() < 1e-9);
/// ```
pub fn alpha_within_factor(
    layers: usize,
    factor: f64,
    probability: f64,
    p_zero: f64,
    cdf_ln_square: impl Fn(f64) -> f64,
) -> Result<WithinFactor, WithinFactorError> {
    const LIMIT: f64 = 1e12;
    if !(factor > 1.0 && factor.is_finite()) {
        return Err(WithinFactorError::Factor { factor });
    }
    if !(probability > 0.0 && probability < 1.0) {
        return Err(WithinFactorError::Probability { probability });
    }
    if layers == 0 {
        return Err(WithinFactorError::NoLayers);
    }
    let half = 2.0 * factor.ln();
    // centre of the window in units of the law at alpha 1
    let inside = |c: f64| (1.0 - p_zero) * (cdf_ln_square(c + half) - cdf_ln_square(c - half));
    let quantile = |p: f64| -> Result<f64, WithinFactorError> {
        let mut reach = 1.0;
        while cdf_ln_square(-reach) > p || cdf_ln_square(reach) < p {
            reach *= 2.0;
            if reach > LIMIT {
                return Err(WithinFactorError::NoMedian { limit: LIMIT });
            }
        }
        Ok(bisect(-reach, reach, |x| cdf_ln_square(x) < p))
    };
    let (low, high) = (quantile(0.001)? - half, quantile(0.999)? + half);
    const STEPS: usize = 200;
    let at = |i: usize| low + (high - low) * i as f64 / STEPS as f64;
    let best = (0..=STEPS)
        .max_by(|i, j| inside(at(*i)).total_cmp(&inside(at(*j))))
        .unwrap_or(0);
    let (mut a, mut b) = (at(best.saturating_sub(1)), at((best + 1).min(STEPS)));
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    for _ in 0..60 {
        let (left, right) = (b - golden * (b - a), a + golden * (b - a));
        if inside(left) >= inside(right) {
            b = right;
        } else {
            a = left;
        }
    }
    let centre = 0.5 * (a + b);
    let best_probability = inside(centre);
    let alpha = |c: f64| (-c / (2.0 * layers as f64)).exp();
    let interval = (best_probability >= probability).then(|| {
        let lower = bisect(low - half, centre, |c| inside(c) < probability);
        let upper = bisect(centre, high + half, |c| inside(c) >= probability);
        (alpha(upper), alpha(lower))
    });
    Ok(WithinFactor {
        best_alpha: alpha(centre),
        best_probability,
        interval,
    })
}

/// Where a predicate turns from true to false.
fn bisect(mut a: f64, mut b: f64, before: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..80 {
        let middle = 0.5 * (a + b);
        if before(middle) {
            a = middle;
        } else {
            b = middle;
        }
    }
    0.5 * (a + b)
}

#[cfg(test)]
mod tests;
