//! The rank, proved by elimination modulo primes.

use super::modular::{self, Field, PRIME_BITS};
use super::{IntegerMatrix, TooMuchWork, hadamard_bits};
use rayon::prelude::*;

impl IntegerMatrix {
    /// The rank of the stored matrix, exactly.
    ///
    /// Theorem: integer-rank-by-primes. The rank modulo a prime never exceeds the rank. If it is at
    /// most `r` for primes whose product exceeds Hadamard's bound on the minors of order `r + 1`,
    /// each of those minors is a multiple of the product yet smaller, hence zero. A matrix of full
    /// rank therefore usually costs one elimination; a proof of deficiency costs one for every 49
    /// bits of that bound.
    ///
    /// # Errors
    /// [`TooMuchWork`] if the estimate exceeds `budget` (see [`super::DEFAULT_BUDGET`]).
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::exact::{DEFAULT_BUDGET, IntegerMatrix};
    /// use isometer::linalg::view::MatrixRef;
    /// let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], 3, 3).unwrap();
    /// assert_eq!(IntegerMatrix::new(&a).unwrap().rank(DEFAULT_BUDGET).unwrap(), 2);
    /// ```
    pub fn rank(&self, budget: u64) -> Result<usize, TooMuchWork> {
        let (m, n) = (self.rows, self.cols);
        let full = m.min(n);
        let per_prime = |r: usize| {
            // Sum over pivots k < r of (m - k - 1) (n - k).
            (0..r)
                .map(|k| (m - k - 1) as f64 * (n - k) as f64)
                .sum::<f64>()
        };
        TooMuchWork::check(per_prime(full), budget)?;
        let balanced = self.balanced();
        let reduction = modular::reduction_work(&balanced.entries);
        let rank_modulo = |p: u64| {
            let field = Field::new(p);
            let mut a: Vec<f64> = balanced.entries.iter().map(|x| field.residue(x)).collect();
            modular::rank(field, &mut a, m, n)
        };
        let mut primes = modular::primes();
        let mut used = 0u64;
        let mut rank = 0;
        loop {
            // `used` primes gave at most `rank`; how many more prove it?
            let needed = if rank == full {
                0
            } else if used == 0 {
                1
            } else {
                hadamard_bits(m, n, &balanced.entries, rank + 1)
                    .div_ceil(PRIME_BITS)
                    .saturating_sub(used)
            };
            if needed == 0 {
                return Ok(rank / self.multiplicity);
            }
            TooMuchWork::check(needed as f64 * (per_prime(rank) + reduction), budget)?;
            let batch: Vec<u64> = primes.by_ref().take(needed as usize).collect();
            let best = batch.par_iter().map(|&p| rank_modulo(p)).max();
            used += batch.len() as u64;
            rank = rank.max(best.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::exact::DEFAULT_BUDGET;
    use crate::linalg::view::MatrixRef;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn rank_of(data: &[f64], rows: usize, cols: usize) -> usize {
        let a = MatrixRef::row_major(data, rows, cols).unwrap();
        IntegerMatrix::new(&a)
            .unwrap()
            .rank(DEFAULT_BUDGET)
            .unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Products of small integer factors have the rank of the factors, exactly.
        /// Theorem: integer-rank-by-primes.
        #[test]
        fn products_have_the_rank_of_their_factors(
            m in 1usize..9, n in 1usize..9, r in 0usize..6, seed: u64, grade in 0i32..130,
        ) {
            let r = r.min(m).min(n);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            // Unit triangular leading blocks make both factors of rank r.
            let mut factor = |i: usize, k: usize| f64::from(match i.cmp(&k) {
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => 1,
                std::cmp::Ordering::Greater => rng.random_range(-1000..=1000),
            });
            let left: Vec<f64> = (0..m * r).map(|t| factor(t / r, t % r)).collect();
            let right: Vec<f64> = (0..n * r).map(|t| factor(t / r, t % r)).collect();
            let data: Vec<f64> = (0..m * n).map(|t| {
                let (i, j) = (t / n, t % n);
                let x: f64 = (0..r).map(|k| left[i * r + k] * right[j * r + k]).sum();
                x * 2f64.powi(grade * (i as i32 - j as i32))
            }).collect();
            prop_assert_eq!(rank_of(&data, m, n), r);
            // Notices: one more independent entry raises the rank where there is room.
            if r == 0 {
                let mut bumped = data;
                bumped[0] += 2f64.powi(-900);
                prop_assert_eq!(rank_of(&bumped, m, n), 1);
            }
        }
    }

    /// Theorem: integer-rank-by-primes.
    #[test]
    fn one_bit_decides_the_rank() {
        let third = 1.0 / 3.0;
        assert_eq!(rank_of(&[1.0, third, third, third * third], 2, 2), 2);
        assert_eq!(rank_of(&[9.0, 3.0, 3.0, 1.0], 2, 2), 1);
        assert_eq!(rank_of(&[9.0, 3.0, 3.0, 1f64.next_up()], 2, 2), 2);
        assert_eq!(rank_of(&[0.0; 6], 2, 3), 0);
        // A prime of the list as determinant: the rank modulo it is 1, the rank is 2.
        let p = modular::primes().next().unwrap() as f64;
        assert_eq!(rank_of(&[p, 0.0, 3.0, 1.0], 2, 2), 2);
        assert_eq!(rank_of(&[p, 0.0, 0.0, p], 2, 2), 2);
    }

    #[test]
    fn complex_ranks_count_stored_columns() {
        // Second row is i times the first.
        let data = [[1.0, 2.0], [3.0, -1.0], [-2.0, 1.0], [1.0, 3.0]];
        let a = IntegerMatrix::new(&MatrixRef::row_major(&data, 2, 2).unwrap()).unwrap();
        assert_eq!(a.rank(DEFAULT_BUDGET), Ok(1));
    }

    #[test]
    fn a_large_singular_matrix_is_refused_within_a_small_budget() {
        let a = MatrixRef::row_major(&[1.0; 64], 8, 8).unwrap();
        let a = IntegerMatrix::new(&a).unwrap();
        assert!(a.rank(10).is_err());
        assert_eq!(a.rank(DEFAULT_BUDGET), Ok(1));
    }
}
