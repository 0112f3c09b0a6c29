//! Law of the rank of `J` at finite width, and exact moments of `tr J^T J` and `tr (J^T J)^2`.
//!
//! With Gaussian weights the gates of a ReLU layer may be replaced by fair coins that are independent of
//! everything else (Hanin, arXiv:1801.03744; symmetric biases do not change it), so `K_l` surviving
//! units are binomial and the rank is that of a product of generic matrices.
//!
//! ```
//! use isometer::theory::rank::{GatedLayer, RankLaw};
//!
//! // ReLU of width 8, 100 layers deep: some layer has few open gates, so most directions are lost
//! let law = RankLaw::new(8, &vec![GatedLayer { width: 8, survive: 0.5 }; 100]).unwrap();
//! assert!((law.p_zero() - (1.0 - (1.0 - 0.5f64.powi(8)).powi(100))).abs() < 1e-12);
//! assert!(law.mean() < 1.5);
//! ```

use std::collections::BTreeMap;

use crate::scale::Certainty;
use crate::theory::special::binomial_weights;

/// Why there is no law.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RankError {
    /// A width of zero.
    #[error("width 0 at position {layer} (0 is the input)")]
    Width {
        /// Position among the widths.
        layer: usize,
    },
    /// A probability outside its range.
    #[error("layer {layer}: survival probability {probability} is not in (0, 1]")]
    Probability {
        /// Layer, from 1.
        layer: usize,
        /// The probability.
        probability: f64,
    },
    /// A variance or squared slope outside its range.
    #[error("layer {layer}: {what} = {value} must be finite and positive")]
    Scale {
        /// Layer, from 1.
        layer: usize,
        /// Name of the quantity.
        what: &'static str,
        /// The number.
        value: f64,
    },
}

/// A layer as the rank sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GatedLayer {
    /// Number of units.
    pub width: usize,
    /// Probability that a unit passes gradients: 1/2 for ReLU, 1 for slopes that never vanish, times
    /// the keep probability of dropout.
    pub survive: f64,
}

/// Law of `rank J = min(n_0, K_1, ..., K_L)`, `K_l` binomial and independent.
#[derive(Clone, Debug, PartialEq)]
pub struct RankLaw {
    /// `ln P(rank >= r)` for `r = 0..=` the smallest width; `-inf` does not occur but for underflow.
    ln_at_least: Vec<f64>,
}

impl RankLaw {
    /// Law for an input of `input` units: weights Gaussian or Haar, biases absent or symmetric.
    /// Theorem: rank-law. Exact.
    ///
    /// # Errors
    /// [`RankError`] names the layer with a width of zero or a probability outside `(0, 1]`.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::rank::{GatedLayer, RankLaw};
    /// // two ReLU layers of two units: K_1, K_2 binomial, P(K >= 1) = 3/4, P(K = 2) = 1/4
    /// let layer = GatedLayer { width: 2, survive: 0.5 };
    /// let law = RankLaw::new(5, &[layer, layer]).unwrap();
    /// assert!((law.p_zero() - 7.0 / 16.0).abs() < 1e-15 && (law.p_full() - 1.0 / 16.0).abs() < 1e-15);
    /// assert!((law.mean() - 10.0 / 16.0).abs() < 1e-15);
    /// ```
    pub fn new(input: usize, layers: &[GatedLayer]) -> Result<RankLaw, RankError> {
        let mut smallest = input;
        let mut distinct: BTreeMap<(usize, u64), usize> = BTreeMap::new();
        if input == 0 {
            return Err(RankError::Width { layer: 0 });
        }
        for (i, layer) in layers.iter().enumerate() {
            if layer.width == 0 {
                return Err(RankError::Width { layer: i + 1 });
            }
            if !(layer.survive > 0.0 && layer.survive <= 1.0) {
                return Err(RankError::Probability {
                    layer: i + 1,
                    probability: layer.survive,
                });
            }
            smallest = smallest.min(layer.width);
            *distinct
                .entry((layer.width, layer.survive.to_bits()))
                .or_default() += 1;
        }
        let mut ln_at_least = vec![0.0; smallest + 1];
        for ((width, bits), count) in distinct {
            let survive = f64::from_bits(bits);
            if survive == 1.0 {
                continue;
            }
            let weights = binomial_weights(width, survive);
            // whichever tail is small is summed, so that neither loses digits
            let mut above = vec![0.0; width + 2];
            for k in (0..=width).rev() {
                above[k] = above[k + 1] + weights[k];
            }
            let mut below = 0.0;
            for (r, ln) in ln_at_least.iter_mut().enumerate() {
                let tail: f64 = if below < 0.5 {
                    f64::ln_1p(-below)
                } else {
                    above[r].ln()
                };
                *ln += count as f64 * tail;
                below += weights[r];
            }
        }
        Ok(RankLaw { ln_at_least })
    }

    /// Largest possible rank, `min(n_0, n_1, ..., n_L)`.
    pub fn largest(&self) -> usize {
        self.ln_at_least.len() - 1
    }

    /// `ln P(rank >= r)`; `-inf` beyond the largest possible rank.
    pub fn ln_at_least(&self, r: usize) -> f64 {
        self.ln_at_least
            .get(r)
            .copied()
            .unwrap_or(f64::NEG_INFINITY)
    }

    /// `P(rank = r)`.
    ///
    /// # Examples
    /// ```
    /// use isometer::theory::rank::{GatedLayer, RankLaw};
    /// let law = RankLaw::new(2, &[GatedLayer { width: 2, survive: 0.5 }]).unwrap();
    /// assert!((law.probability(1) - 0.5).abs() < 1e-15 && (law.ln_at_least(1) - 0.75f64.ln()).abs() < 1e-14);
    /// ```
    pub fn probability(&self, r: usize) -> f64 {
        let (here, next) = (self.ln_at_least(r), self.ln_at_least(r + 1));
        if here == f64::NEG_INFINITY {
            return 0.0;
        }
        -here.exp() * (next - here).exp_m1()
    }

    /// `P(J = 0)`.
    pub fn p_zero(&self) -> f64 {
        self.probability(0)
    }

    /// Probability of the largest possible rank.
    pub fn p_full(&self) -> f64 {
        self.ln_at_least(self.largest()).exp()
    }

    /// `E rank`: the sum over `r` of `P(rank >= r)`.
    pub fn mean(&self) -> f64 {
        self.ln_at_least[1..].iter().rev().map(|ln| ln.exp()).sum()
    }

    /// What the numbers are worth.
    pub fn certainty(&self) -> Certainty {
        Certainty::Exact
    }
}

/// A layer as the trace recursion sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceLayer {
    /// Number of units.
    pub width: usize,
    /// Variance of a weight times fan-in.
    pub sigma_w2: f64,
    /// `E d` of the squared slope `d` of a unit.
    pub mean_slope: f64,
    /// `E d^2`.
    pub square_slope: f64,
}

impl TraceLayer {
    /// Slopes `below` and `above` zero with fair coins, behind inverted dropout with probability `keep`
    /// of keeping a unit.
    pub fn homogeneous(width: usize, sigma_w2: f64, (below, above): (f64, f64), keep: f64) -> Self {
        TraceLayer {
            width,
            sigma_w2,
            mean_slope: 0.5 * (below.powi(2) + above.powi(2)) / keep,
            square_slope: 0.5 * (below.powi(4) + above.powi(4)) / keep.powi(3),
        }
    }
}

/// Moments of `J^T J`, in logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceMoments {
    /// `ln E tr J^T J`: of the sum of the squared singular values.
    pub ln_mean_trace: f64,
    /// `ln E tr (J^T J)^2`.
    pub ln_mean_trace_of_square: f64,
    /// `ln E (tr J^T J)^2`.
    pub ln_mean_squared_trace: f64,
    /// `ln Var tr J^T J`, without cancellation.
    pub ln_variance_of_trace: f64,
    /// Exact for positively homogeneous activations.
    pub certainty: Certainty,
}

/// `e^ln` times a 3 x 3 matrix with non-negative entries.
#[derive(Clone, Copy)]
struct Scaled {
    ln: f64,
    m: [[f64; 3]; 3],
}

impl Scaled {
    fn new(m: [[f64; 3]; 3]) -> Scaled {
        Scaled { ln: 0.0, m }.normalised()
    }

    fn normalised(mut self) -> Scaled {
        let top = self.m.iter().flatten().fold(0.0, |a: f64, b| a.max(*b));
        self.m.iter_mut().flatten().for_each(|x| *x /= top);
        self.ln += top.ln();
        self
    }

    fn times(&self, other: &Scaled) -> Scaled {
        let mut m = [[0.0; 3]; 3];
        for (i, row) in m.iter_mut().enumerate() {
            for (j, x) in row.iter_mut().enumerate() {
                *x = (0..3).map(|k| self.m[i][k] * other.m[k][j]).sum();
            }
        }
        let ln = self.ln + other.ln;
        Scaled { ln, m }.normalised()
    }

    fn power(mut self, mut n: usize) -> Scaled {
        let mut out = Scaled::new([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        while n > 0 {
            if n & 1 == 1 {
                out = self.times(&out);
            }
            self = self.times(&self);
            n >>= 1;
        }
        out
    }
}

/// Exact moments of `J^T J` for Gaussian weights and independent squared slopes: positively
/// homogeneous activations with any rectangular widths, dropout, and symmetric biases.
/// Theorem: trace-recursion.
///
/// Runs of equal layers are raised to their power by squaring, so depth costs its logarithm.
///
/// # Errors
/// [`RankError`] names the layer with a width of zero or a scale that is not positive.
///
/// # Examples
/// ```
/// use isometer::theory::rank::{TraceLayer, trace_moments};
/// // one linear layer from 3 to 4 units: 12 entries of variance 1/3
/// let t = trace_moments(3, &[TraceLayer::homogeneous(4, 1.0, (1.0, 1.0), 1.0)]).unwrap();
/// assert!((t.ln_mean_trace - 4f64.ln()).abs() < 1e-14);
/// assert!((t.ln_variance_of_trace - (2.0 * 12.0 / 9.0f64).ln()).abs() < 1e-13); // of 12 squares
/// ```
pub fn trace_moments(input: usize, layers: &[TraceLayer]) -> Result<TraceMoments, RankError> {
    if input == 0 {
        return Err(RankError::Width { layer: 0 });
    }
    let n0 = input as f64;
    let mut ln_mean = n0.ln();
    // tr (J^T J)^2, variance of the trace and 1, in units of the squared mean trace
    let mut state = Scaled::new([[n0.recip(), 0.0, 0.0], [0.0; 3], [1.0, 0.0, 0.0]]);
    let mut fan_in = n0;
    let mut i = 0;
    while i < layers.len() {
        let layer = layers[i];
        if layer.width == 0 {
            return Err(RankError::Width { layer: i + 1 });
        }
        for (what, value) in [
            ("sigma_w^2", layer.sigma_w2),
            ("mean squared slope", layer.mean_slope),
            ("mean fourth power of the slope", layer.square_slope),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                let layer = i + 1;
                return Err(RankError::Scale { layer, what, value });
            }
        }
        let run = layers[i..].iter().take_while(|l| **l == layer).count();
        let n = layer.width as f64;
        // P1 = sum of d, P2 = sum of d^2: c1 = Var P1 / (E P1)^2, c2 = E P2 / (E P1)^2
        let kurtosis = layer.square_slope / layer.mean_slope.powi(2);
        let (c1, c2) = ((kurtosis - 1.0).max(0.0) / n, kurtosis / n);
        let step = Scaled::new([
            [1.0 + c1 + c2, c2, c2],
            [2.0 * c2, 1.0 + c1, c1],
            [0.0, 0.0, 1.0],
        ]);
        state = step.power(run).times(&state);
        let gain = (layer.sigma_w2 * layer.mean_slope).ln();
        // n/fan_in once, then square layers
        ln_mean += (n / fan_in).ln() + run as f64 * gain;
        fan_in = n;
        i += run;
    }
    let [square, variance, one] = [0, 1, 2].map(|k: usize| state.m[k][0]);
    let at = |x: f64| x.ln() + state.ln + 2.0 * ln_mean;
    Ok(TraceMoments {
        ln_mean_trace: ln_mean,
        ln_mean_trace_of_square: at(square),
        ln_mean_squared_trace: at(variance + one),
        ln_variance_of_trace: at(variance),
        certainty: Certainty::Exact,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, relative: f64) {
        assert!((a / b - 1.0).abs() <= relative, "{a} against {b}");
    }

    fn relu(width: usize) -> GatedLayer {
        GatedLayer {
            width,
            survive: 0.5,
        }
    }

    /// Theorem: rank-law (theory.csv R209).
    #[test]
    fn expected_rank_of_a_he_network() {
        let law = RankLaw::new(16, &[relu(16); 5]).unwrap();
        assert!((law.mean() - 5.695_645_746_044_668).abs() < 1e-12);
        let dropped = GatedLayer {
            width: 16,
            survive: 0.45,
        };
        let other = RankLaw::new(16, &[dropped; 5]).unwrap();
        assert!(other.mean() < law.mean() - 0.5, "dropout is noticed");
    }

    /// Theorem: rank-law. All binary outcomes of the gates, counted.
    #[test]
    fn law_of_the_rank_by_enumeration() {
        let widths = [3usize, 2, 4];
        let mut truth = [0.0; 3];
        for a in 0..8u32 {
            for b in 0..4u32 {
                for c in 0..16u32 {
                    let r = [a, b, c].map(u32::count_ones).into_iter().min().unwrap();
                    truth[r.min(2) as usize] += 1.0 / 512.0;
                }
            }
        }
        let law = RankLaw::new(5, &widths.map(relu)).unwrap();
        assert_eq!(law.largest(), 2);
        let mut sum = 0.0;
        for (r, p) in truth.iter().enumerate() {
            assert!((law.probability(r) - p).abs() < 1e-15, "{r}");
            sum += p * r as f64;
        }
        assert!((law.mean() - sum).abs() < 1e-15);
        assert!((law.p_full() - truth[2]).abs() < 1e-15);
        assert_eq!(law.probability(3), 0.0);
    }

    #[test]
    fn rank_in_the_corners() {
        let line = GatedLayer {
            width: 7,
            survive: 1.0,
        };
        let law = RankLaw::new(9, &[line; 3]).unwrap();
        assert_eq!((law.mean(), law.p_full(), law.p_zero()), (7.0, 1.0, 0.0));
        // alive with probability (1 - 2^-n)^L
        let law = RankLaw::new(16, &vec![relu(16); 1_000_000]).unwrap();
        near(
            law.mean(),
            (1e6 * f64::ln_1p(-(0.5f64.powi(16)))).exp(),
            1e-3,
        );
        near(
            law.ln_at_least(1),
            1e6 * f64::ln_1p(-(0.5f64.powi(16))),
            1e-12,
        );
        near(law.ln_at_least(16), -16e6 * 2f64.ln(), 1e-13);
        assert_eq!(
            RankLaw::new(3, &[relu(0)]).unwrap_err(),
            RankError::Width { layer: 1 }
        );
        let bad = GatedLayer {
            width: 1,
            survive: 1.5,
        };
        assert!(RankLaw::new(3, &[bad]).is_err());
    }

    fn layers(widths: &[usize], sigma_w2: f64, slopes: (f64, f64)) -> Vec<TraceLayer> {
        widths
            .iter()
            .map(|n| TraceLayer::homogeneous(*n, sigma_w2, slopes, 1.0))
            .collect()
    }

    /// Theorem: trace-recursion (theory.csv R212, R213, R215).
    #[test]
    fn trace_moments_of_the_reference() {
        let t = trace_moments(8, &layers(&[20, 5, 10], 1.5, (0.0, 1.0))).unwrap();
        near(t.ln_mean_squared_trace.exp(), 34.910_485_839_843_75, 1e-13);
        let t = trace_moments(16, &layers(&[16; 5], 1.0, (1.0, 1.0))).unwrap();
        near(t.ln_mean_trace.exp(), 16.0, 1e-14);
        near(t.ln_mean_squared_trace.exp(), 288.866_546_630_859_4, 1e-13);
        near(
            t.ln_variance_of_trace.exp(),
            288.866_546_630_859_4 - 256.0,
            1e-12,
        );
    }

    /// Theorem: trace-recursion. The plain recursion in `(E tr (J^T J)^2, E (tr J^T J)^2)` with moments of
    /// the binomial summed directly.
    #[test]
    fn trace_moments_by_direct_sums() {
        let widths = [4usize, 7, 7, 7, 2];
        let (n0, s2) = (3usize, 1.7);
        let (mut mean, mut t2, mut t) = (3.0, 3.0, 9.0);
        let mut fan_in = n0 as f64;
        for n in widths {
            let s = s2 / fan_in;
            let (mut k1, mut k2) = (0.0, 0.0);
            for (k, p) in binomial_weights(n, 0.5).iter().enumerate() {
                k1 += p * k as f64;
                k2 += p * (k * k) as f64;
            }
            (mean, t2, t) = (
                s * k1 * mean,
                s * s * (k1 * t + (k1 + k2) * t2),
                s * s * (k2 * t + 2.0 * k1 * t2),
            );
            fan_in = n as f64;
        }
        let m = trace_moments(n0, &layers(&widths, s2, (0.0, 1.0))).unwrap();
        near(m.ln_mean_trace.exp(), mean, 1e-13);
        near(m.ln_mean_trace_of_square.exp(), t2, 1e-13);
        near(m.ln_mean_squared_trace.exp(), t, 1e-13);
        near(m.ln_variance_of_trace.exp(), t - mean * mean, 1e-12);
        // and a recursion without the off-diagonal products is not this one
        assert!((m.ln_mean_trace_of_square.exp() / (t2 - 0.01) - 1.0).abs() > 1e-4);
    }

    /// Theorem: trace-recursion. With one input `tr J^T J = |J u|^2`, whose relative second moment is known: a
    /// factor `1 + (6 (1+a^4)/(1+a^2)^2 - 1)/n` for each leaky layer (theory.csv R202, R203), `1 + (6/keep - 1)/n`
    /// with dropout (R204), and `tr (J^T J)^2` is its square.
    #[test]
    fn one_input_gives_the_kurtosis_of_a_direction() {
        for (a, ratio) in [
            (0.01, 1.249_940_011_998_200_3),
            (0.2, 1.227_810_650_887_574),
        ] {
            let m = trace_moments(1, &layers(&[20; 3], 0.4, (a, 1.0))).unwrap();
            let found = m.ln_mean_squared_trace - 2.0 * m.ln_mean_trace;
            near(found, 3.0 * f64::ln(ratio), 1e-13);
            near(m.ln_mean_trace_of_square, m.ln_mean_squared_trace, 1e-12);
        }
        let dropped = TraceLayer::homogeneous(20, 2.0, (0.0, 1.0), 0.8);
        let m = trace_moments(1, &[dropped]).unwrap();
        near(
            m.ln_mean_squared_trace - 2.0 * m.ln_mean_trace,
            f64::ln(1.325),
            1e-13,
        );
    }

    #[test]
    fn traces_at_depth_a_million() {
        let m = trace_moments(1, &layers(&vec![16; 1_000_000], 2.0, (0.0, 1.0))).unwrap();
        // weights into the first layer have fan-in 1
        near(m.ln_mean_trace, 16f64.ln(), 1e-9);
        near(
            m.ln_mean_squared_trace,
            1e6 * f64::ln(1.0 + 5.0 / 16.0),
            1e-4,
        );
        let exact = 2.0 * 16f64.ln() + 1e6 * f64::ln(1.0 + 5.0 / 16.0);
        near(m.ln_mean_squared_trace, exact, 1e-12);
        let none = trace_moments(5, &[]).unwrap();
        assert_eq!(none.ln_variance_of_trace, f64::NEG_INFINITY);
        assert!((none.ln_mean_trace_of_square - 5f64.ln()).abs() < 1e-15);
        let bad = layers(&[3], -1.0, (0.0, 1.0));
        assert!(trace_moments(2, &bad).is_err());
    }
}
