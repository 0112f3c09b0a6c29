//! Vectors with a power of two beside them, so that networks of any depth neither overflow nor
//! underflow.

use crate::linalg::dense::dot;
use crate::scale::{exponent_of, ldexp};
use std::f64::consts::LN_2;

/// A vector `2^exponent * values`, with the largest `|value|` in `[1, 2)` unless all are 0.
///
/// Exponents are kept within `2^60`: what is larger is infinite, what is smaller is 0. Only powers of powers,
/// as a hundred layers of squared ReLU, get there.
///
/// Entries more than `2^1022` times smaller than the largest lose digits, and those `2^1074` times
/// smaller are 0; scaling by powers of two is exact otherwise.
///
/// # Examples
/// ```
/// use isometer::reference::Scaled;
/// let tiny = Scaled::new(vec![3.0, 4.0]).times_power_of_two(-5000);
/// assert!((tiny.ln_square() - (25f64.ln() - 10000.0 * 2f64.ln())).abs() < 1e-9);
/// assert_eq!(tiny.get(0), 0.0); // outside f64
/// assert_eq!(tiny.times_power_of_two(5000).to_vec(), [3.0, 4.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scaled {
    values: Vec<f64>,
    exponent: i64,
}

const LARGEST: i64 = 1 << 60;

/// `m * 2^e`: exact unless the result is subnormal or overflows.
pub(super) fn shifted(m: f64, e: i64) -> f64 {
    if (-1000..=1000).contains(&e) {
        m * power_of_two(e)
    } else {
        ldexp(m, e)
    }
}

/// `2^e` for a normal number.
fn power_of_two(e: i64) -> f64 {
    f64::from_bits(((e + 1023) as u64) << 52)
}

/// Binary exponent of the largest magnitude; `None` if all are 0, or if one is not finite.
fn largest_exponent(values: &[f64]) -> Option<i64> {
    let largest = values.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    (largest > 0.0 && largest.is_finite()).then(|| i64::from(exponent_of(largest)))
}

impl Scaled {
    /// The vector `values`.
    ///
    /// # Examples
    /// ```
    /// use isometer::reference::Scaled;
    /// let v = Scaled::new(vec![3.0, 12.0]); // the largest entry is brought into [1, 2)
    /// assert_eq!((v.values(), v.exponent()), (&[0.375, 1.5][..], 3));
    /// ```
    pub fn new(values: Vec<f64>) -> Scaled {
        Scaled::with_exponent(values, 0)
    }

    /// The vector `2^exponent * values`.
    pub fn with_exponent(mut values: Vec<f64>, exponent: i64) -> Scaled {
        let Some(own) = largest_exponent(&values) else {
            return Scaled { values, exponent };
        };
        if own != 0 {
            for x in &mut values {
                *x = shifted(*x, -own);
            }
        }
        Scaled::within(values, exponent + own)
    }

    fn within(mut values: Vec<f64>, exponent: i64) -> Scaled {
        if exponent.abs() <= LARGEST {
            return Scaled { values, exponent };
        }
        let limit = if exponent > 0 { f64::INFINITY } else { 0.0 };
        for x in values.iter_mut().filter(|x| **x != 0.0) {
            *x = limit.copysign(*x);
        }
        Scaled {
            values,
            exponent: 0,
        }
    }

    /// The vector of 0s.
    pub fn zeros(len: usize) -> Scaled {
        Scaled {
            values: vec![0.0; len],
            exponent: 0,
        }
    }

    /// The vector of the numbers `m 2^e`, however far apart.
    ///
    /// # Examples
    /// ```
    /// use isometer::reference::Scaled;
    /// let v = Scaled::from_terms(&[(1.0, 5000), (3.0, 4999)]);
    /// assert_eq!(v.times_power_of_two(-4999).to_vec(), [2.0, 3.0]);
    /// ```
    pub fn from_terms(terms: &[(f64, i64)]) -> Scaled {
        let of = |&(m, e): &(f64, i64)| e + i64::from(exponent_of(m));
        let live = |t: &&(f64, i64)| t.0 != 0.0 && t.0.is_finite();
        let exponent = terms.iter().filter(live).map(of).max().unwrap_or(0);
        let values = terms.iter().map(|&(m, e)| shifted(m, e - exponent));
        Scaled::within(values.collect(), exponent)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The entries over `2^exponent`.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The power of two.
    pub fn exponent(&self) -> i64 {
        self.exponent
    }

    /// Whether all entries are 0.
    pub fn is_zero(&self) -> bool {
        self.values.iter().all(|x| *x == 0.0)
    }

    /// Entry `i`, 0 or infinite outside the range of `f64`.
    ///
    /// # Panics
    ///
    /// If there is no entry `i`.
    pub fn get(&self, i: usize) -> f64 {
        shifted(self.values[i], self.exponent)
    }

    /// The entries, 0 or infinite outside the range of `f64`.
    pub fn to_vec(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.get(i)).collect()
    }

    /// `ln |v|^2`, `-inf` for 0.
    ///
    /// # Examples
    /// ```
    /// use isometer::reference::Scaled;
    /// assert!((Scaled::new(vec![3.0, 4.0]).ln_square() - 25f64.ln()).abs() < 1e-15);
    /// assert_eq!(Scaled::zeros(2).ln_square(), f64::NEG_INFINITY);
    /// ```
    pub fn ln_square(&self) -> f64 {
        dot(&self.values, &self.values).ln() + 2.0 * self.exponent as f64 * LN_2
    }

    /// The inner product as `(m, e)`, meaning `m 2^e`.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    ///
    /// # Examples
    /// ```
    /// use isometer::reference::Scaled;
    /// let (m, e) = Scaled::new(vec![1.0, 2.0]).dot(&Scaled::new(vec![3.0, 4.0]));
    /// assert_eq!(m * 2f64.powi(e as i32), 11.0);
    /// ```
    pub fn dot(&self, other: &Scaled) -> (f64, i64) {
        assert_eq!(self.len(), other.len(), "lengths of an inner product");
        let value = dot(&self.values, &other.values);
        (value, self.exponent + other.exponent)
    }

    /// The vector times `factor`.
    #[must_use]
    pub fn times(mut self, factor: f64) -> Scaled {
        if factor == 1.0 || factor == 0.0 {
            self.values.iter_mut().for_each(|x| *x *= factor);
            return self;
        }
        // entries below 2 times one below 2 stay within range
        let own = i64::from(exponent_of(factor));
        let mantissa = shifted(factor, -own);
        self.values.iter_mut().for_each(|x| *x *= mantissa);
        Scaled::with_exponent(self.values, self.exponent + own)
    }

    /// The vector times `2^k`.
    #[must_use]
    pub fn times_power_of_two(self, k: i64) -> Scaled {
        Scaled::within(self.values, self.exponent + k)
    }

    /// The sum.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    ///
    /// # Examples
    /// ```
    /// use isometer::reference::Scaled;
    /// let sum = Scaled::new(vec![1.0, 2.0]).plus(&Scaled::with_exponent(vec![1.0, 0.0], 3));
    /// assert_eq!(sum.to_vec(), [9.0, 2.0]);
    /// ```
    #[must_use]
    pub fn plus(&self, other: &Scaled) -> Scaled {
        assert_eq!(self.len(), other.len(), "lengths of a sum");
        let exponent = match (self.is_zero(), other.is_zero()) {
            (true, _) => return other.clone(),
            (_, true) => return self.clone(),
            _ => self.exponent.max(other.exponent),
        };
        let (a, b) = (self.exponent - exponent, other.exponent - exponent);
        let pairs = self.values.iter().zip(&other.values);
        let values = pairs.map(|(x, y)| shifted(*x, a) + shifted(*y, b));
        Scaled::with_exponent(values.collect(), exponent)
    }

    /// Entry by entry product.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    ///
    /// # Examples
    /// ```
    /// use isometer::reference::Scaled;
    /// assert_eq!(Scaled::new(vec![2.0, 3.0]).hadamard(&Scaled::new(vec![5.0, 0.0])).to_vec(), [10.0, 0.0]);
    /// ```
    #[must_use]
    pub fn hadamard(&self, other: &Scaled) -> Scaled {
        assert_eq!(self.len(), other.len(), "lengths of a product");
        let pairs = self.values.iter().zip(&other.values);
        let values = pairs.map(|(x, y)| x * y).collect();
        Scaled::with_exponent(values, self.exponent + other.exponent)
    }
}

impl From<Vec<f64>> for Scaled {
    fn from(values: Vec<f64>) -> Scaled {
        Scaled::new(values)
    }
}

impl From<&[f64]> for Scaled {
    fn from(values: &[f64]) -> Scaled {
        Scaled::new(values.to_vec())
    }
}

/// The values of several vectors over one common power of two, which is returned beside them.
pub(super) fn aligned(batch: &[Scaled]) -> (Vec<Vec<f64>>, i64) {
    let live = batch.iter().filter(|v| !v.is_zero());
    let exponent = live.map(Scaled::exponent).max().unwrap_or(0);
    let at = |v: &Scaled| {
        let by = v.exponent - exponent;
        v.values.iter().map(|x| shifted(*x, by)).collect()
    };
    (batch.iter().map(at).collect(), exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for values in [
            vec![1.0, -3.5, 0.0],
            vec![5e-324, -1e-310],
            vec![f64::MAX, 1.0, f64::MIN_POSITIVE],
            vec![0.0, -0.0],
            vec![],
        ] {
            let v = Scaled::new(values.clone());
            let back = v.to_vec();
            // MIN_POSITIVE is 2^-2045 of MAX
            let kept = |x: f64| values.len() < 3 || x.abs() >= 1.0 || x == 0.0;
            for (a, b) in values.iter().zip(&back) {
                assert_eq!(if kept(*a) { *a } else { 0.0 }, *b);
            }
        }
    }

    #[test]
    fn the_largest_entry_is_between_one_and_two() {
        let v = Scaled::with_exponent(vec![3e-200, -7e-220], 1 << 40);
        let top = v.values().iter().fold(0.0f64, |m, x| m.max(x.abs()));
        assert!((1.0..2.0).contains(&top));
        let ln = (3e-200f64).ln() + (1u64 << 40) as f64 * LN_2;
        assert!((v.ln_square() / 2.0 / ln - 1.0).abs() < 1e-15);
    }

    #[test]
    fn sums_align() {
        let a = Scaled::with_exponent(vec![1.0, 2.0], 5000);
        let b = Scaled::with_exponent(vec![1.0, -8.0], 4998);
        let sum = a.plus(&b);
        assert_eq!(sum, Scaled::with_exponent(vec![1.25, 0.0], 5000));
        let far = Scaled::with_exponent(vec![1.0, 1.0], -5000);
        assert_eq!(a.plus(&far), a);
        assert_eq!(Scaled::zeros(2).plus(&far), far);
        let (values, exponent) = aligned(&[a, b, Scaled::zeros(2)]);
        assert_eq!(exponent, 5001);
        assert_eq!(values[1], [0.125, -1.0]);
        assert_eq!(values[2], [0.0, 0.0]);
    }

    #[test]
    fn products_keep_exponents() {
        let a = Scaled::with_exponent(vec![3.0, -1.0], 900);
        assert_eq!(a.clone().times(1e300).times(1e-300).len(), 2);
        assert_eq!(
            a.clone().times(-4.0),
            a.clone().times(-1.0).times_power_of_two(2)
        );
        let (m, e) = a.dot(&a);
        assert_eq!(shifted(m, e - 1800), 10.0);
        assert_eq!(a.hadamard(&a), Scaled::with_exponent(vec![9.0, 1.0], 1800));
        assert!(a.times(0.0).is_zero());
    }

    #[test]
    fn exponents_saturate() {
        let v = Scaled::with_exponent(vec![-1.0, 0.0], LARGEST);
        assert_eq!(v.values(), [-1.0, 0.0]);
        assert_eq!(v.hadamard(&v).to_vec(), [f64::INFINITY, 0.0]);
        assert!(v.clone().times_power_of_two(-2 * LARGEST - 1).is_zero());
        assert!(v.times(-2.0).to_vec()[0].is_infinite());
    }

    #[test]
    fn terms_may_be_far_apart() {
        let v = Scaled::from_terms(&[(1.0, 3000), (3.0, 2990), (1.0, -3000), (0.0, 9000)]);
        assert_eq!(v.exponent(), 3000);
        assert_eq!(v.values(), [1.0, 3.0 / 1024.0, 0.0, 0.0]);
        assert!(Scaled::from_terms(&[(0.0, 7)]).is_zero());
        let infinite = Scaled::from_terms(&[(f64::INFINITY, 0), (3.0, 5)]);
        assert_eq!(infinite.to_vec(), [f64::INFINITY, 96.0]);
    }
}
