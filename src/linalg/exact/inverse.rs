//! Exact inverse by remainders modulo primes.

use super::modular::{self, Field, PRIME_BITS};
use super::{IntegerMatrix, TooMuchWork, bit_length, hadamard_bits};
use dashu_int::ops::UnsignedAbs;
use dashu_int::{IBig, UBig};
use rayon::prelude::*;

/// Why there is no exact inverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InverseError {
    /// Only square matrices have an inverse; see [`IntegerMatrix::gram`] for the others.
    #[error("a {rows} x {cols} matrix has no inverse")]
    NotSquare {
        /// Rows of the integer matrix.
        rows: usize,
        /// Columns of the integer matrix.
        cols: usize,
    },
    /// The determinant is zero: proved.
    #[error("the matrix of order {order} is exactly singular")]
    Singular {
        /// Order of the integer matrix.
        order: usize,
    },
    /// The estimate exceeds the budget.
    #[error(transparent)]
    TooMuchWork(#[from] TooMuchWork),
}

/// The inverse of an integer matrix, exactly: entry `(i, j)` is
/// `adjugate[i * order + j] / determinant * 2^(exponent - row_shift[i] - col_shift[j])`.
///
/// The shifts undo powers of two pulled out of the columns and rows of the source, so that a
/// graded matrix costs no more than a level one.
#[derive(Clone, Debug)]
pub struct ExactInverse {
    order: usize,
    multiplicity: usize,
    exponent: i64,
    row_shift: Vec<usize>,
    col_shift: Vec<usize>,
    adjugate: Vec<IBig>,
    determinant: IBig,
}

/// The inverse rounded to `f64`: see [`ExactInverse::rounded`].
#[derive(Clone, Debug)]
pub struct RoundedInverse {
    /// Rows and columns.
    pub order: usize,
    /// Row-major entries, the largest of magnitude in `[1/2, 2]`.
    pub entries: Vec<f64>,
    /// The inverse is about `entries * 2^exponent`.
    pub exponent: i64,
    /// Each entry is off by at most `relative_error` times itself plus `absolute_error`
    /// (in the unit of `entries`).
    pub relative_error: f64,
    /// See [`RoundedInverse::relative_error`]; 0 unless entries were set to zero.
    pub absolute_error: f64,
    /// Each singular value stands for one of the stored matrix when 1, twice when 2 (complex).
    pub multiplicity: usize,
}

impl IntegerMatrix {
    /// The exact inverse of a square matrix, scaling included.
    ///
    /// Determinant and adjugate are found modulo enough primes to exceed twice Hadamard's bound on
    /// both, then combined by the Chinese remainder theorem (primes that divide the determinant
    /// are passed over). Theorem: exact-inverse-by-primes. Work: `2 n^3` per prime of 49 bits, and
    /// as many word products as `n^2 * primes^2` to combine.
    ///
    /// # Errors
    /// [`InverseError`]; singularity is proved before it is reported.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::exact::{DEFAULT_BUDGET, IntegerMatrix};
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
    /// let inverse = IntegerMatrix::new(&a).unwrap().inverse(DEFAULT_BUDGET).unwrap().rounded();
    /// let entries: Vec<f64> = inverse.entries.iter().map(|x| x * 2f64.powi(inverse.exponent as i32)).collect();
    /// assert_eq!(entries, [-2.0, 1.0, 1.5, -0.5]);
    /// ```
    pub fn inverse(&self, budget: u64) -> Result<ExactInverse, InverseError> {
        let n = self.rows;
        if n != self.cols {
            return Err(InverseError::NotSquare {
                rows: self.rows,
                cols: self.cols,
            });
        }
        let nf = n as f64;
        TooMuchWork::check(nf * nf * nf, budget)?;
        let balanced = self.balanced();
        let bits = |k| hadamard_bits(n, n, &balanced.entries, k);
        // One more bit for the sign.
        let needed = (bits(n).max(bits(n.saturating_sub(1))) + 1).div_ceil(PRIME_BITS) as usize;
        let k = needed as f64;
        let work = k * (nf * nf * (nf + k) + modular::reduction_work(&balanced.entries));
        TooMuchWork::check(work, budget)?;

        let modulo = |&p: &u64| {
            let field = Field::new(p);
            let mut a: Vec<f64> = balanced.entries.iter().map(|x| field.residue(x)).collect();
            let determinant = modular::adjugate(field, &mut a, n)?;
            a.push(determinant);
            Some((p, a))
        };
        let mut primes = modular::primes();
        let mut images: Vec<(u64, Vec<f64>)> = Vec::with_capacity(needed);
        let mut vanished = 0;
        while images.len() < needed {
            let batch: Vec<u64> = primes
                .by_ref()
                .take(if images.is_empty() && vanished == 0 {
                    1
                } else {
                    needed - images.len()
                })
                .collect();
            let before = images.len();
            images.extend(batch.par_iter().filter_map(modulo).collect::<Vec<_>>());
            vanished += batch.len() - (images.len() - before);
            // The determinant is divisible by every prime that vanished: by more than its bound?
            if vanished >= needed {
                return Err(InverseError::Singular { order: n });
            }
        }
        let mut combined = combine(&images);
        let determinant = combined.pop().unwrap_or(IBig::ONE);
        Ok(ExactInverse {
            order: n,
            multiplicity: self.multiplicity,
            exponent: -self.exponent,
            row_shift: balanced.col,
            col_shift: balanced.row,
            adjugate: combined,
            determinant,
        })
    }
}

/// Integers of magnitude below half the product of the moduli from their remainders.
fn combine(images: &[(u64, Vec<f64>)]) -> Vec<IBig> {
    let product: UBig = images.iter().map(|(p, _)| UBig::from(*p)).product();
    let half = &product >> 1usize;
    // x = sum over primes of (r * (P/p)^-1 mod p) * P/p, modulo P.
    let parts: Vec<(Field, f64, Vec<u64>)> = images
        .iter()
        .map(|&(p, _)| {
            let field = Field::new(p);
            let cofactor = &product / p;
            let inverse = field.invert(field.residue(cofactor.as_ibig()));
            (field, inverse, limbs(&cofactor))
        })
        .collect();
    // The sum is below (number of primes) * P.
    let length = limbs(&product).len() + 1;
    let count = images.first().map_or(0, |(_, r)| r.len());
    (0..count)
        .into_par_iter()
        .map(|t| {
            let mut sum = vec![0; length];
            for ((p, residues), (field, inverse, cofactor)) in images.iter().zip(&parts) {
                let r = field.mul(residues[t], *inverse) as i64;
                let r = if r < 0 { r + *p as i64 } else { r };
                add_product(&mut sum, cofactor, r as u64);
            }
            let bytes: Vec<u8> = sum.iter().flat_map(|w| w.to_le_bytes()).collect();
            let sum = UBig::from_le_bytes(&bytes);
            let x = sum % &product;
            if x > half {
                IBig::from(x) - IBig::from(product.clone())
            } else {
                IBig::from(x)
            }
        })
        .collect()
}

/// Little-endian 64-bit digits.
fn limbs(x: &UBig) -> Vec<u64> {
    x.to_le_bytes()
        .chunks(8)
        .map(|c| c.iter().rev().fold(0, |w, &b| w << 8 | u64::from(b)))
        .collect()
}

/// `sum += x * f`; the sum has room for the carry.
fn add_product(sum: &mut [u64], x: &[u64], f: u64) {
    let mut carry = 0u128;
    let (low, high) = sum.split_at_mut(x.len());
    for (s, &x) in low.iter_mut().zip(x) {
        carry += u128::from(*s) + u128::from(x) * u128::from(f);
        *s = carry as u64;
        carry >>= 64;
    }
    for s in high {
        carry += u128::from(*s);
        *s = carry as u64;
        carry >>= 64;
    }
}

impl ExactInverse {
    /// Rows and columns.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Entry `(i, j)` as `(numerator, denominator, exponent)`: numerator / denominator `* 2^exponent`.
    ///
    /// # Panics
    /// If the index is outside the shape.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::exact::{DEFAULT_BUDGET, IntegerMatrix};
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
    /// let inverse = IntegerMatrix::new(&a).unwrap().inverse(DEFAULT_BUDGET).unwrap();
    /// let (numerator, denominator, exponent) = inverse.entry(1, 0); // 3/2
    /// let text = |x: &dyn std::fmt::Display| x.to_string().parse::<f64>().unwrap();
    /// assert_eq!(text(numerator) / text(denominator) * 2f64.powi(exponent as i32), 1.5);
    /// ```
    pub fn entry(&self, i: usize, j: usize) -> (&IBig, &IBig, i64) {
        assert!(i < self.order && j < self.order);
        (
            &self.adjugate[i * self.order + j],
            &self.determinant,
            self.exponent - (self.row_shift[i] + self.col_shift[j]) as i64,
        )
    }

    /// The inverse in `f64` with a common power of two: relative error of each entry at most
    /// `2^-52`. Entries more than about `2^1000` below the largest become zero, with an absolute
    /// error of at most `2^-998` in the unit of the entries.
    pub fn rounded(&self) -> RoundedInverse {
        let n = self.order;
        let quotients: Vec<Option<(f64, i64)>> = (0..n * n)
            .into_par_iter()
            .map(|t| {
                let (num, den, e) = self.entry(t / n, t % n);
                quotient(num, den).map(|(q, k)| (q, k + e))
            })
            .collect();
        // Quotients lie in [2^63, 2^65].
        let top = quotients.iter().flatten().map(|&(_, e)| e).max();
        let exponent = top.unwrap_or(0) + 64;
        let mut absolute_error = 0.0;
        let entries = quotients
            .iter()
            .map(|q| match *q {
                None => 0.0,
                Some((q, e)) if e - exponent > -1064 => {
                    // q * 2^(e - exponent) >= 2^(63 - 1063): a normal number, exact.
                    crate::scale::ldexp(q, e - exponent)
                }
                Some(_) => {
                    absolute_error = f64::MIN_POSITIVE * 2f64.powi(24);
                    0.0
                }
            })
            .collect();
        RoundedInverse {
            order: n,
            entries,
            exponent,
            relative_error: f64::EPSILON,
            absolute_error,
            multiplicity: self.multiplicity,
        }
    }
}

/// `num / den` as `q * 2^e` with `q` in `[2^63, 2^65]` up to sign and relative error below
/// `2^-53 (1 + 2^-10) + 2^-63`; `None` for zero.
fn quotient(num: &IBig, den: &IBig) -> Option<(f64, i64)> {
    if num.is_zero() {
        return None;
    }
    let negative = num.sign() != den.sign();
    let e = bit_length(num) as i64 - bit_length(den) as i64 - 64;
    let (num, den) = (num.unsigned_abs(), den.unsigned_abs());
    // |num| < 2^bn, |den| >= 2^(bd-1): the integer quotient has 64 or 65 bits.
    let q: UBig = if e < 0 {
        (num << (-e) as usize) / den
    } else {
        num / (den << e as usize)
    };
    let q = q.to_f64().value();
    Some((if negative { -q } else { q }, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::exact::DEFAULT_BUDGET;
    use crate::linalg::view::MatrixRef;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Theorem: exact-inverse-by-primes.
        #[test]
        fn inverse_times_matrix_is_the_identity(n in 1usize..7, seed: u64, spread in 0i32..60) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let data: Vec<f64> = (0..n * n).map(|_| {
                let x: f64 = rng.random_range(-1.0..1.0);
                x * 2f64.powi(rng.random_range(-spread..=spread))
            }).collect();
            let a = IntegerMatrix::new(&MatrixRef::row_major(&data, n, n).unwrap()).unwrap();
            let inverse = a.inverse(DEFAULT_BUDGET).unwrap();
            // sum over k of inverse(i, k) * a(k, j) = identity(i, j), in integers.
            let low = (0..n * n).map(|t| inverse.entry(t / n, t % n).2).min().unwrap();
            for i in 0..n {
                for j in 0..n {
                    let mut sum = IBig::ZERO;
                    for k in 0..n {
                        let (x, _, e) = inverse.entry(i, k);
                        sum += (x << (e - low) as usize) * a.entry(k, j);
                    }
                    let scale = (-low - a.exponent()) as usize;
                    let (_, determinant, _) = inverse.entry(0, 0);
                    let expected = if i == j { determinant << scale } else { IBig::ZERO };
                    prop_assert_eq!(sum, expected);
                }
            }
            let rounded = inverse.rounded();
            let top = rounded.entries.iter().fold(0f64, |m, x| m.max(x.abs()));
            prop_assert!((0.5..=2.0).contains(&top));
            prop_assert_eq!(rounded.absolute_error, 0.0);
        }
    }

    #[test]
    fn rounded_entries_are_close_and_small_ones_vanish() {
        // diag(3, 2^1000 * 7): inverse diag(1/3, 2^-1000 / 7).
        let data = [3.0, 0.0, 0.0, 7.0 * 2f64.powi(1000)];
        let a = IntegerMatrix::new(&MatrixRef::row_major(&data, 2, 2).unwrap()).unwrap();
        let r = a.inverse(DEFAULT_BUDGET).unwrap().rounded();
        let third = crate::scale::ldexp(r.entries[0], r.exponent);
        assert!((third - 1.0 / 3.0).abs() <= r.relative_error / 3.0);
        assert_eq!(r.entries[3], 0.0);
        assert!(r.absolute_error > 0.0 && r.absolute_error < 1e-290);
    }

    #[test]
    fn singular_and_rectangular_matrices_have_none() {
        let singular = MatrixRef::row_major(&[1.0, 2.0, 0.1, 0.2], 2, 2).unwrap();
        let singular = IntegerMatrix::new(&singular).unwrap();
        assert_eq!(
            singular.inverse(DEFAULT_BUDGET).unwrap_err(),
            InverseError::Singular { order: 2 }
        );
        assert!(matches!(
            singular.inverse(1).unwrap_err(),
            InverseError::TooMuchWork(_)
        ));
        let wide = MatrixRef::row_major(&[1.0, 2.0], 1, 2).unwrap();
        let wide = IntegerMatrix::new(&wide).unwrap();
        assert!(wide.inverse(DEFAULT_BUDGET).is_err());
        // A determinant divisible by the first prime of the list is no obstacle.
        let p = modular::primes().next().unwrap() as f64;
        let a = MatrixRef::row_major(&[p, 0.0, 3.0, 1.0], 2, 2).map(|a| IntegerMatrix::new(&a));
        let inverse = a.unwrap().unwrap().inverse(DEFAULT_BUDGET).unwrap();
        assert_eq!(inverse.entry(0, 0).0, &IBig::ONE);
    }
}
