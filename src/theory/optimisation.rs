//! Step sizes and rates on quadratics, trust ratios, clipping. Exact closed forms.
//!
//! Curvatures are eigenvalues of the Hessian. For a deep linear network with squared loss the
//! Gauss-Newton Hessian is `J^T J`, so its condition number is that of `J`, squared.
//!
//! ```
//! use isometer::theory::optimisation::{best_gradient_descent, best_heavy_ball};
//!
//! // kappa = 9: (k - 1)/(k + 1) against (sqrt k - 1)/(sqrt k + 1)
//! assert!((best_gradient_descent(1.0, 9.0).unwrap().rate - 0.8).abs() < 1e-14);
//! let ball = best_heavy_ball(1.0, 9.0).unwrap();
//! assert!((ball.rate - 0.5).abs() < 1e-14 && (ball.step - 0.25).abs() < 1e-14);
//! ```

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum OptimisationError {
    /// Curvatures must be positive and ordered.
    #[error("curvatures [{smallest}, {largest}]: 0 < smallest <= largest < inf is needed")]
    Curvature {
        /// Smallest eigenvalue.
        smallest: f64,
        /// Largest eigenvalue.
        largest: f64,
    },
    /// Momentum.
    #[error("momentum {beta} is not in [0, 1)")]
    Momentum {
        /// The coefficient.
        beta: f64,
    },
    /// Learning rate.
    #[error("learning rate {eta} is not above zero and finite")]
    LearningRate {
        /// The learning rate.
        eta: f64,
    },
    /// A norm or coefficient.
    #[error("{what} = {value} must be finite and not negative")]
    Negative {
        /// Name of the quantity.
        what: &'static str,
        /// The number.
        value: f64,
    },
}

/// Iterations for gradients `g` of a quadratic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// `x - eta g`.
    GradientDescent,
    /// Polyak: `v = beta v - eta g`, `x + v`.
    HeavyBall {
        /// Momentum.
        beta: f64,
    },
    /// Nesterov: the gradient is taken at `x + beta v`.
    Nesterov {
        /// Momentum.
        beta: f64,
    },
}

impl Method {
    fn beta(self) -> Result<f64, OptimisationError> {
        match self {
            Method::GradientDescent => Ok(0.0),
            Method::HeavyBall { beta } | Method::Nesterov { beta } => {
                if (0.0..1.0).contains(&beta) {
                    Ok(beta)
                } else {
                    Err(OptimisationError::Momentum { beta })
                }
            }
        }
    }

    /// Supremum of the stable step sizes at the largest curvature: `2/lambda`, `2(1+beta)/lambda` or
    /// `2(1+beta)/((1+2 beta) lambda)`. Theorem: momentum-stability.
    ///
    /// # Errors
    /// [`OptimisationError`] for curvature or momentum out of range.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::optimisation::Method;
    /// assert_eq!(Method::GradientDescent.largest_step(4.0).unwrap(), 0.5);
    /// assert_eq!(Method::HeavyBall { beta: 0.5 }.largest_step(4.0).unwrap(), 0.75);
    /// ```
    pub fn largest_step(self, lambda_max: f64) -> Result<f64, OptimisationError> {
        curvatures(lambda_max, lambda_max)?;
        let beta = self.beta()?;
        let limit = 2.0 * (1.0 + beta) / lambda_max;
        Ok(match self {
            Method::Nesterov { .. } => limit / (1.0 + 2.0 * beta),
            _ => limit,
        })
    }

    /// Whether the error along a direction of this curvature changes sign for ever: the roots of the iteration are negative or
    /// complex.
    ///
    /// # Errors
    /// [`OptimisationError::Momentum`].
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::optimisation::Method;
    /// assert!(Method::GradientDescent.oscillates(0.4, 3.0).unwrap()); // 1 - 1.2 < 0
    /// assert!(!Method::GradientDescent.oscillates(0.3, 3.0).unwrap());
    /// ```
    pub fn oscillates(self, step: f64, lambda: f64) -> Result<bool, OptimisationError> {
        let (trace, determinant) = self.polynomial(step, lambda)?;
        Ok(trace < 0.0 || 0.25 * trace * trace < determinant)
    }

    /// Trace and determinant of `z^2 - trace z + determinant`.
    fn polynomial(self, step: f64, lambda: f64) -> Result<(f64, f64), OptimisationError> {
        let beta = self.beta()?;
        let contraction = 1.0 - step * lambda;
        Ok(match self {
            Method::GradientDescent => (contraction, 0.0),
            Method::HeavyBall { .. } => (contraction + beta, beta),
            Method::Nesterov { .. } => ((1.0 + beta) * contraction, beta * contraction),
        })
    }

    /// Spectral radius of the iteration at one curvature: the factor by which the error shrinks per step in the long
    /// run. Theorem: momentum-stability.
    ///
    /// # Errors
    /// [`OptimisationError::Momentum`].
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::optimisation::Method;
    /// assert!((Method::GradientDescent.radius(0.1, 3.0).unwrap() - 0.7).abs() < 1e-15);
    /// assert!((Method::HeavyBall { beta: 0.81 }.radius(0.5, 1.0).unwrap() - 0.9).abs() < 1e-12); // sqrt beta
    /// ```
    pub fn radius(self, step: f64, lambda: f64) -> Result<f64, OptimisationError> {
        let (trace, determinant) = self.polynomial(step, lambda)?;
        let discriminant = 0.25 * trace * trace - determinant;
        Ok(if discriminant <= 0.0 {
            determinant.sqrt()
        } else {
            0.5 * trace.abs() + discriminant.sqrt()
        })
    }
}

fn curvatures(smallest: f64, largest: f64) -> Result<(), OptimisationError> {
    if smallest > 0.0 && smallest <= largest && largest.is_finite() {
        Ok(())
    } else {
        Err(OptimisationError::Curvature { smallest, largest })
    }
}

/// Best constants for a spectrum of curvatures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// The method with its momentum.
    pub method: Method,
    /// Step size.
    pub step: f64,
    /// Factor on the error per step in the long run.
    pub rate: f64,
}

impl Tuned {
    /// Steps until the error has shrunk by `factor < 1`, asymptotically; 0 when one step is exact.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::optimisation::{best_gradient_descent, best_heavy_ball};
    /// let steps = |k: f64| (best_gradient_descent(1.0, k).unwrap().steps(1e-6), best_heavy_ball(1.0, k).unwrap().steps(1e-6));
    /// let (plain, ball) = steps(1e4); // in proportion to kappa, and to its root
    /// assert!((plain / ball - 100.0).abs() < 0.1);
    /// ```
    pub fn steps(&self, factor: f64) -> f64 {
        if self.rate == 0.0 {
            return 0.0;
        }
        factor.ln() / self.rate.ln()
    }
}

/// Gradient descent with its best step `2/(lambda_max + lambda_min)` and rate `(k-1)/(k+1)`.
///
/// Theorem: gradient-descent-on-quadratics.
///
/// # Errors
/// [`OptimisationError::Curvature`].
///
/// # Examples
/// ```
/// use isometer::theory::optimisation::best_gradient_descent;
/// let best = best_gradient_descent(1.0, 3.0).unwrap();
/// assert!((best.step - 0.5).abs() < 1e-15 && (best.rate - 0.5).abs() < 1e-15);
/// assert!((best.steps(0.125) - 3.0).abs() < 1e-12);
/// ```
pub fn best_gradient_descent(smallest: f64, largest: f64) -> Result<Tuned, OptimisationError> {
    curvatures(smallest, largest)?;
    Ok(Tuned {
        method: Method::GradientDescent,
        step: 2.0 / (largest + smallest),
        rate: (largest - smallest) / (largest + smallest),
    })
}

/// Heavy ball with its best constants: rate `(sqrt k - 1)/(sqrt k + 1)`, momentum its square, step
/// `4/(sqrt lambda_max + sqrt lambda_min)^2` (Polyak 1964).
///
/// # Errors
/// [`OptimisationError::Curvature`].
///
/// # Examples
/// ```
/// use isometer::theory::optimisation::{Method, best_heavy_ball};
/// let best = best_heavy_ball(1.0, 9.0).unwrap();
/// assert!((best.rate - 0.5).abs() < 1e-14);
/// let Method::HeavyBall { beta } = best.method else { panic!() };
/// assert!((beta - 0.25).abs() < 1e-14); // the square of the rate
/// ```
pub fn best_heavy_ball(smallest: f64, largest: f64) -> Result<Tuned, OptimisationError> {
    curvatures(smallest, largest)?;
    let (a, b) = (smallest.sqrt(), largest.sqrt());
    let rate = (b - a) / (b + a);
    Ok(Tuned {
        method: Method::HeavyBall { beta: rate * rate },
        step: 4.0 / (a + b).powi(2),
        rate,
    })
}

/// Nesterov's method with step `1/lambda_max` and momentum `(sqrt k - 1)/(sqrt k + 1)`: rate `1 - 1/sqrt k`.
///
/// # Errors
/// [`OptimisationError::Curvature`].
///
/// # Examples
/// ```
/// use isometer::theory::optimisation::standard_nesterov;
/// let n = standard_nesterov(1.0, 4.0).unwrap();
/// assert!((n.step - 0.25).abs() < 1e-15 && (n.rate - 0.5).abs() < 1e-15); // 1 - 1/sqrt 4
/// ```
pub fn standard_nesterov(smallest: f64, largest: f64) -> Result<Tuned, OptimisationError> {
    curvatures(smallest, largest)?;
    let (a, b) = (smallest.sqrt(), largest.sqrt());
    Ok(Tuned {
        method: Method::Nesterov {
            beta: (b - a) / (b + a),
        },
        step: largest.recip(),
        rate: 1.0 - a / b,
    })
}

fn not_negative(what: &'static str, value: f64) -> Result<f64, OptimisationError> {
    if value >= 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(OptimisationError::Negative { what, value })
    }
}

/// LARS' factor on the learning rate of a layer, `eta |w| / (|g| + lambda |w|)` (You, Gitman and Ginsburg,
/// arXiv:1708.03888); 1 if either norm is zero.
///
/// Theorem: lars-step.
///
/// # Errors
/// [`OptimisationError::Negative`] names the argument.
///
/// # Examples
/// ```
/// use isometer::theory::optimisation::lars_trust_ratio;
/// assert!((lars_trust_ratio(2.0, 0.5, 0.25, 0.001).unwrap() - 0.002).abs() < 1e-15);
/// assert_eq!(lars_trust_ratio(0.0, 0.5, 0.0, 0.001).unwrap(), 1.0);
/// ```
pub fn lars_trust_ratio(
    weight_norm: f64,
    gradient_norm: f64,
    weight_decay: f64,
    eta: f64,
) -> Result<f64, OptimisationError> {
    let w = not_negative("norm of the weights", weight_norm)?;
    let g = not_negative("norm of the gradient", gradient_norm)?;
    let decay = not_negative("weight decay", weight_decay)?;
    let eta = not_negative("trust coefficient", eta)?;
    Ok(if w == 0.0 || g == 0.0 {
        1.0
    } else {
        eta * w / (g + decay * w)
    })
}

/// LAMB's factor, `|w| / |r + lambda w|` with the Adam direction `r` and the identity in place of `phi` (You et al., arXiv:1904.00962); 1 if
/// either norm is zero. `update_norm` is that of the sum.
///
/// # Errors
/// [`OptimisationError::Negative`] names the argument.
///
/// # Examples
/// ```
/// use isometer::theory::optimisation::lamb_trust_ratio;
/// assert_eq!(lamb_trust_ratio(2.0, 4.0).unwrap(), 0.5);
/// ```
pub fn lamb_trust_ratio(weight_norm: f64, update_norm: f64) -> Result<f64, OptimisationError> {
    let w = not_negative("norm of the weights", weight_norm)?;
    let u = not_negative("norm of the update", update_norm)?;
    Ok(if w == 0.0 || u == 0.0 { 1.0 } else { w / u })
}

/// Factor `min(1, c/|g|)` of clipping by norm; 1 for a zero gradient.
///
/// Theorem: clipping.
///
/// # Errors
/// [`OptimisationError::Negative`] names the argument.
///
/// # Examples
/// ```
/// use isometer::theory::optimisation::clipping_factor;
/// assert_eq!((clipping_factor(10.0, 1.0).unwrap(), clipping_factor(0.5, 1.0).unwrap()), (0.1, 1.0));
/// ```
pub fn clipping_factor(gradient_norm: f64, threshold: f64) -> Result<f64, OptimisationError> {
    let g = not_negative("norm of the gradient", gradient_norm)?;
    let c = not_negative("threshold", threshold)?;
    Ok(if g <= c { 1.0 } else { c / g })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} against {b}");
    }

    /// theory.csv R276 to R281.
    #[test]
    fn published_formulae() {
        near(
            best_heavy_ball(1.0, 100.0).unwrap().rate,
            0.818_181_818_181_818_2,
            1e-15,
        );
        near(
            best_gradient_descent(1.0, 100.0).unwrap().rate,
            0.980_198_019_801_980_2,
            1e-15,
        );
        let beta = 0.9;
        near(
            Method::HeavyBall { beta }.largest_step(1.0).unwrap(),
            3.8,
            1e-14,
        );
        near(
            Method::Nesterov { beta }.largest_step(1.0).unwrap(),
            1.357_142_857_142_857_2,
            1e-14,
        );
        near(
            lars_trust_ratio(10.0, 0.5, 1e-4, 1e-3).unwrap(),
            0.019_960_079_840_319_36,
            1e-16,
        );
        assert_eq!(lamb_trust_ratio(10.0, 2.5).unwrap(), 4.0);
    }

    /// Theorem: momentum-stability. The error of each method, iterated.
    #[test]
    fn radii_are_the_rates_of_the_iterations() {
        for method in [
            Method::GradientDescent,
            Method::HeavyBall { beta: 0.5 },
            Method::Nesterov { beta: 0.5 },
        ] {
            let limit = method.largest_step(2.0).unwrap();
            near(method.radius(limit, 2.0).unwrap(), 1.0, 1e-14);
            assert!(method.radius(0.99 * limit, 2.0).unwrap() < 1.0);
            assert!(method.radius(1.01 * limit, 2.0).unwrap() > 1.0);
            for step in [0.05, 0.3, 0.9 * limit] {
                let beta = method.beta().unwrap();
                let (mut x, mut v) = (1.0f64, 0.0);
                let mut envelope = f64::NEG_INFINITY;
                for t in 0..400 {
                    let at = match method {
                        Method::Nesterov { .. } => x + beta * v,
                        _ => x,
                    };
                    v = beta * v - step * 2.0 * at;
                    x += v;
                    if t >= 390 {
                        envelope = envelope.max(x.abs().max(v.abs()).ln());
                    }
                }
                // constants and powers of t cost O(ln t / t)
                near(
                    envelope / 391.0,
                    method.radius(step, 2.0).unwrap().ln(),
                    0.02,
                );
            }
        }
    }

    #[test]
    fn tuned_constants_are_optimal() {
        let (a, b) = (0.03, 5.0);
        for tuned in [
            best_gradient_descent(a, b).unwrap(),
            best_heavy_ball(a, b).unwrap(),
        ] {
            let worst = |step: f64| {
                [a, b]
                    .map(|l| tuned.method.radius(step, l).unwrap())
                    .into_iter()
                    .fold(0.0, f64::max)
            };
            // a double root: rounding enters by its square root
            near(worst(tuned.step), tuned.rate, 1e-7);
            assert!(worst(1.02 * tuned.step) > tuned.rate + 1e-5);
            assert!(worst(0.98 * tuned.step) > tuned.rate + 1e-5);
        }
        let n = standard_nesterov(a, b).unwrap();
        near(n.method.radius(n.step, a).unwrap(), n.rate, 1e-7);
        assert!(best_heavy_ball(a, b).unwrap().rate < n.rate);
        near(n.steps(n.rate.powi(7)), 7.0, 1e-12);
        assert_eq!(best_gradient_descent(1.0, 1.0).unwrap().steps(1e-9), 0.0);
    }

    #[test]
    fn zero_norms_and_refusals() {
        assert_eq!(lars_trust_ratio(0.0, 1.0, 0.1, 0.1).unwrap(), 1.0);
        assert_eq!(lars_trust_ratio(1.0, 0.0, 0.1, 0.1).unwrap(), 1.0);
        assert_eq!(lamb_trust_ratio(0.0, 3.0).unwrap(), 1.0);
        assert_eq!(clipping_factor(4.0, 1.0).unwrap(), 0.25);
        assert_eq!(clipping_factor(0.5, 1.0).unwrap(), 1.0);
        assert_eq!(clipping_factor(0.0, 0.0).unwrap(), 1.0);
        assert!(clipping_factor(f64::NAN, 1.0).is_err());
        assert!(best_heavy_ball(0.0, 1.0).is_err());
        assert!(best_heavy_ball(2.0, 1.0).is_err());
        assert!(Method::HeavyBall { beta: 1.0 }.largest_step(1.0).is_err());
    }
}
