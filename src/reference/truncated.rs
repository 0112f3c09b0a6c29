//! A normal variable kept within limits, by rejection: exact for any limits, however far out.

use super::random::Stream;
use rand::RngExt;
use rand_distr::{Distribution, Exp1, StandardNormal};

/// The law of a standard normal variable given that it lies within limits.
///
/// Proposals as in Robert, Statistics and Computing 5 (1995): the normal law where the limits contain
/// much of it, the uniform law on a short interval, a shifted exponential law in a tail. At least
/// about a third of the proposals are accepted. Theorem: truncated-normal-rejection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TruncatedNormal {
    lower: f64,
    upper: f64,
    proposal: Proposal,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Proposal {
    Normal,
    /// Acceptance `exp((peak^2 - z^2)/2)`.
    Uniform {
        peak: f64,
    },
    /// `lower + Exp(rate)`; acceptance `exp(-(z - rate)^2/2)`.
    Exponential {
        rate: f64,
    },
    /// The same from the upper limit, mirrored.
    Mirrored {
        rate: f64,
    },
}

/// The best exponential proposal for a tail from `a >= 0`, and the longest interval from `a` on which a
/// uniform proposal is accepted more often (Robert 1995, propositions 2.3 and 2.4).
fn tail(a: f64) -> (f64, f64) {
    let root = a.hypot(2.0);
    let rate = 0.5 * (a + root);
    // a (a - root) without cancellation
    let exponent = -a / (a + root);
    (rate, (0.5 + exponent).exp() / rate)
}

impl TruncatedNormal {
    /// Theorem: truncated-normal-rejection. Limits in standard deviations, the lower first; either may be infinite.
    pub(super) fn new(lower: f64, upper: f64) -> TruncatedNormal {
        let length = upper - lower;
        let proposal = if lower <= 0.0 && upper >= 0.0 {
            // sqrt(2 pi): where the uniform proposal and the normal one accept alike
            match length * length > std::f64::consts::TAU {
                true => Proposal::Normal,
                false => Proposal::Uniform { peak: 0.0 },
            }
        } else if lower > 0.0 {
            match tail(lower) {
                (_, short) if length <= short => Proposal::Uniform { peak: lower },
                (rate, _) => Proposal::Exponential { rate },
            }
        } else {
            match tail(-upper) {
                (_, short) if length <= short => Proposal::Uniform { peak: upper },
                (rate, _) => Proposal::Mirrored { rate },
            }
        };
        TruncatedNormal {
            lower,
            upper,
            proposal,
        }
    }

    /// Theorem: truncated-normal-rejection. A proposal, if it is accepted.
    fn propose(&self, rng: &mut Stream) -> Option<f64> {
        let beyond = |rate: f64, rng: &mut Stream| {
            let step: f64 = Exp1.sample(rng);
            step / rate
        };
        let (z, ln_acceptance) = match self.proposal {
            Proposal::Normal => (StandardNormal.sample(rng), 0.0),
            Proposal::Uniform { peak } => {
                let z = self.lower + (self.upper - self.lower) * rng.random::<f64>();
                (z, 0.5 * (peak - z) * (peak + z))
            }
            Proposal::Exponential { rate } => {
                let z = self.lower + beyond(rate, rng);
                (z, -0.5 * (z - rate) * (z - rate))
            }
            Proposal::Mirrored { rate } => {
                let z = self.upper - beyond(rate, rng);
                (z, -0.5 * (z + rate) * (z + rate))
            }
        };
        let within = self.lower <= z && z <= self.upper;
        let accepted =
            within && (ln_acceptance == 0.0 || rng.random::<f64>() < ln_acceptance.exp());
        accepted.then_some(z)
    }
}

impl TruncatedNormal {
    /// A draw.
    pub(super) fn sample(&self, rng: &mut Stream) -> f64 {
        loop {
            if let Some(z) = self.propose(rng) {
                return z;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::random::{Purpose, stream};

    /// Theorem: truncated-normal-rejection. Draws are turned to uniform ones by the distribution function and compared with it: the largest
    /// distance exceeds 2.2/sqrt(N) with probability 2 exp(-2 2.2^2) = 1.2e-4.
    #[test]
    fn draws_have_the_law() {
        let limits = [
            (-2.0, 2.0),
            (-0.5, 0.7),
            (0.0, f64::INFINITY),
            (f64::NEG_INFINITY, -0.3),
            (1.0, 1.4),
            (4.0, f64::INFINITY),
            (6.0, 6.1),
            (f64::NEG_INFINITY, -9.0),
            (-30.0, -29.9),
            (-1e-3, 40.0),
            (-8.0, 1.5),
        ];
        for (k, (lower, upper)) in limits.into_iter().enumerate() {
            let mut rng = stream(5, k as u64, Purpose::Other(1));
            let law = TruncatedNormal::new(lower, upper);
            let (count, mut tries) = (20_000, 0);
            let mut sample = Vec::with_capacity(count);
            while sample.len() < count {
                tries += 1;
                sample.extend(law.propose(&mut rng));
            }
            assert!(tries < 4 * count, "[{lower}, {upper}]: {tries} proposals");
            sample.sort_by(f64::total_cmp);
            assert!(lower <= sample[0] && sample[count - 1] <= upper);
            // from the side of the tail, so that the probabilities keep their digits
            let flip = lower < 0.0 && upper.abs() < lower.abs() || upper <= 0.0;
            let below = |z: f64| 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
            let above = |z: f64| below(-z);
            let distance = sample.iter().enumerate().map(|(i, &z)| {
                let p = match flip {
                    true => (below(z) - below(lower)) / (below(upper) - below(lower)),
                    false => 1.0 - (above(z) - above(upper)) / (above(lower) - above(upper)),
                };
                (p - (i as f64 + 0.5) / count as f64).abs()
            });
            let distance = distance.fold(0.0, f64::max) * (count as f64).sqrt();
            assert!(distance < 2.2, "[{lower}, {upper}]: {distance}");
        }
    }
}
