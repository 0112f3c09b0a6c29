//! Counting what a number format would lose of numbers that exist. Exact.
//!
//! ```
//! use isometer::network::NumberFormat;
//! use isometer::theory::census::Census;
//!
//! // 1e-9 rounds to zero in f16, 1e-6 is subnormal there, 1e5 overflows
//! let c: Census = [1.0, 1e-9, 1e-6, 1e5, 0.0].into_iter().collect();
//! let lost = c.lost(NumberFormat::F16);
//! assert_eq!((lost.zero, lost.subnormal, lost.overflow), (1, 1, 1));
//! assert_eq!((c.share_lost(NumberFormat::F16), c.share_lost(NumberFormat::F32)), (0.5, 0.0));
//! ```

use crate::network::NumberFormat;
use crate::theory::precision::LayerRange;

/// Values that a format does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Non-zero values that round to zero.
    pub zero: u64,
    /// Values that round to a subnormal number: they lose digits, or all of themselves where
    /// hardware flushes subnormal numbers.
    pub subnormal: u64,
    /// Finite values that round to infinity.
    pub overflow: u64,
}

/// Magnitudes at which a format changes its answer.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// At and below: zero.
    zero: f64,
    /// Below, after rounding: subnormal.
    normal: f64,
    /// At and above: infinity.
    overflow: f64,
}

impl Limits {
    /// Theorem: ties-to-even-thresholds.
    fn of(format: NumberFormat) -> Limits {
        let exp2 = |e: i32| libm::ldexp(1.0, e);
        let half = 0.5 * format.smallest_subnormal();
        let step = exp2(format.log2_largest_power() - format.precision());
        Limits {
            zero: half,
            normal: format.smallest_normal() - half,
            // of f64 itself this is infinity, which no finite value reaches
            overflow: format.max() + step,
        }
    }
}

/// Counts over the values of one tensor.
#[derive(Clone, Debug)]
pub struct Census {
    /// Values seen.
    pub count: u64,
    /// Exact zeros among them.
    pub zeros: u64,
    /// NaN among them.
    pub nan: u64,
    /// Infinities among them.
    pub infinite: u64,
    /// Smallest non-zero magnitude, if there is a finite one.
    pub smallest: Option<f64>,
    /// Largest finite magnitude, if there is one other than 0.
    pub largest: Option<f64>,
    lost: [Lost; NumberFormat::ALL.len()],
    limits: [Limits; NumberFormat::ALL.len()],
}

impl Default for Census {
    fn default() -> Census {
        Census {
            count: 0,
            zeros: 0,
            nan: 0,
            infinite: 0,
            smallest: None,
            largest: None,
            lost: Default::default(),
            limits: NumberFormat::ALL.map(Limits::of),
        }
    }
}

impl Census {
    fn add(&mut self, value: f64) {
        self.count += 1;
        if value.is_nan() {
            self.nan += 1;
        } else if value.is_infinite() {
            self.infinite += 1;
        } else if value == 0.0 {
            self.zeros += 1;
        } else {
            let x = value.abs();
            self.smallest = Some(self.smallest.map_or(x, |s| s.min(x)));
            self.largest = Some(self.largest.map_or(x, |l| l.max(x)));
            for (lost, limits) in self.lost.iter_mut().zip(&self.limits) {
                if x <= limits.zero {
                    lost.zero += 1;
                } else if x < limits.normal {
                    lost.subnormal += 1;
                } else if x >= limits.overflow {
                    lost.overflow += 1;
                }
            }
        }
    }

    /// Finite values other than zero.
    pub fn nonzero(&self) -> u64 {
        self.count - self.zeros - self.nan - self.infinite
    }

    /// Whether there is a NaN or an infinity.
    pub fn broken(&self) -> bool {
        self.nan + self.infinite > 0
    }

    /// What the format would lose. Exact.
    pub fn lost(&self, format: NumberFormat) -> Lost {
        self.lost[format as usize]
    }

    /// Share of the finite non-zero values that the format rounds to zero or to infinity; 0 where there
    /// are none.
    pub fn share_lost(&self, format: NumberFormat) -> f64 {
        let lost = self.lost(format);
        match self.nonzero() {
            0 => 0.0,
            n => (lost.zero + lost.overflow) as f64 / n as f64,
        }
    }

    /// Logarithms of the smallest and the largest magnitude, if there are any.
    pub fn range(&self) -> Option<LayerRange> {
        Some(LayerRange {
            ln_min: self.smallest?.ln(),
            ln_max: self.largest?.ln(),
        })
    }
}

impl Extend<f64> for Census {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|x| self.add(x));
    }
}

impl FromIterator<f64> for Census {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Census {
        let mut census = Census::default();
        census.extend(values);
        census
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::precision::Subnormals::{Flushed, Kept};

    /// Theorem: ties-to-even-thresholds. The counts are those of rounding every value.
    #[test]
    fn counts_agree_with_rounding() {
        let mut values = vec![0.0, -0.0];
        let mut x = 3.1e-47f64;
        while x < 1e39 {
            values.extend([x, -x]);
            x *= 1.37;
        }
        for e in [-150, -149, -134, -133, -127, -126, -25, -24, -14, 16] {
            let p = libm::ldexp(1.0, e);
            values.extend([p, p.next_up(), p.next_down()]);
        }
        values.extend([65520.0, 65519.9, 65504.0, f64::MAX, f64::from_bits(1)]);
        let census: Census = values.iter().copied().collect();
        assert_eq!(census.zeros, 2);
        for format in NumberFormat::ALL {
            let count = |f: &dyn Fn(f64) -> bool| {
                values.iter().filter(|x| **x != 0.0 && f(**x)).count() as u64
            };
            let truth = Lost {
                zero: count(&|x| format.round(x, Kept) == 0.0),
                subnormal: count(&|x| {
                    format.round(x, Kept) != 0.0 && format.round(x, Flushed) == 0.0
                }),
                overflow: count(&|x| format.round(x, Kept).is_infinite()),
            };
            assert_eq!(census.lost(format), truth, "{format}");
        }
    }

    #[test]
    fn broken_values_are_counted_apart() {
        let census: Census = [f64::NAN, f64::INFINITY, 1e-9, 0.0, -3.0]
            .into_iter()
            .collect();
        assert_eq!((census.count, census.nan, census.infinite), (5, 1, 1));
        assert_eq!((census.smallest, census.largest), (Some(1e-9), Some(3.0)));
        assert!(census.broken());
        assert_eq!(census.share_lost(NumberFormat::F16), 0.5);
        assert_eq!(census.share_lost(NumberFormat::F64), 0.0);
        assert!(Census::default().range().is_none());
    }
}
