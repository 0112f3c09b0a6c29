//! Linear algebra modulo primes just below `2^50`, residues held in `f64`.
//!
//! With `p < 2^50` and residues in `[-p/2, p/2]` a product `f u` is the exact sum of its rounded
//! value `h` and `l = fma(f, u, -h)`. The quotient `q = round(h / p)` is off by at most
//! `1/2 + 3 * 2^-53 * 2^48 < 0.6`, so `h - q p` is an integer below `0.6 p + |l| < 2^53` and the
//! fused `fma(-q, p, h)` returns it without rounding; adding `l` is exact for the same reason.

use super::bit_length;
use dashu_int::{IBig, Sign, Word};
use pulp::{Arch, Simd, WithSimd};

/// Every prime used is larger than `2^PRIME_BITS`.
pub(super) const PRIME_BITS: u64 = 49;

/// Adding and subtracting `1.5 * 2^52` rounds a number below `2^51` to the nearest integer.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// The integers modulo a prime below `2^50`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    p: f64,
    inv: f64,
}

impl Field {
    pub(super) fn new(p: u64) -> Field {
        let p = p as f64;
        Field { p, inv: 1.0 / p }
    }

    /// The residue of an integer `|x| < 2^52` nearest to zero.
    #[inline(always)]
    fn reduce(self, x: f64) -> f64 {
        let q = (x * self.inv + ROUND) - ROUND;
        (-q).mul_add(self.p, x)
    }

    /// `f u - q p` for some integer `q`, of magnitude at most `0.6 p`.
    #[inline(always)]
    fn product(self, f: f64, u: f64) -> f64 {
        let h = f * u;
        let l = f.mul_add(u, -h);
        let q = (h * self.inv + ROUND) - ROUND;
        (-q).mul_add(self.p, h) + l
    }

    /// Product of two residues.
    #[inline(always)]
    pub(super) fn mul(self, f: f64, u: f64) -> f64 {
        self.reduce(self.product(f, u))
    }

    /// Multiplicative inverse of a non-zero residue, by the extended Euclidean algorithm.
    pub(super) fn invert(self, x: f64) -> f64 {
        let p = self.p as i64;
        let (mut r, mut s) = (p, (x as i64).rem_euclid(p));
        let (mut t, mut u) = (0i64, 1i64);
        while s != 0 {
            let q = r / s;
            (r, s) = (s, r - q * s);
            (t, u) = (u, t - q * u);
        }
        self.reduce(t as f64)
    }

    /// The residue of an integer.
    pub(super) fn residue(self, x: &IBig) -> f64 {
        let p = self.p as u64;
        let (sign, words) = x.as_sign_words();
        let r = words.iter().rev().fold(0, |r: u64, &w| {
            (((u128::from(r) << Word::BITS) | u128::from(w)) % u128::from(p)) as u64
        });
        let r = self.reduce(r as f64);
        if sign == Sign::Negative { -r } else { r }
    }

    /// `row -= f * pivot`.
    #[inline(always)]
    fn eliminate(self, row: &mut [f64], f: f64, pivot: &[f64]) {
        for (a, &u) in row.iter_mut().zip(pivot) {
            *a = self.reduce(*a - self.product(f, u));
        }
    }
}

/// Rank modulo `p` of a `rows x cols` matrix of residues, which is overwritten.
pub(super) fn rank(field: Field, a: &mut [f64], rows: usize, cols: usize) -> usize {
    Arch::new().dispatch(RankKernel {
        field,
        a,
        rows,
        cols,
    })
}

/// Replaces an `n x n` matrix of residues by its adjugate (determinant times inverse) and returns
/// its determinant; `None`, with the matrix destroyed, if it is singular modulo `p`.
pub(super) fn adjugate(field: Field, a: &mut [f64], n: usize) -> Option<f64> {
    Arch::new().dispatch(AdjugateKernel { field, a, n })
}

// Named kernels rather than closures: a closure reaches the vectorised function through the
// `FnOnce` shim, which the compiler may leave outside it, with every fused operation a call.

struct RankKernel<'a> {
    field: Field,
    a: &'a mut [f64],
    rows: usize,
    cols: usize,
}

impl WithSimd for RankKernel<'_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        let RankKernel {
            field,
            a,
            rows,
            cols,
        } = self;
        let mut r = 0;
        for c in 0..cols {
            let Some(found) = (r..rows).find(|&i| a[i * cols + c] != 0.0) else {
                continue;
            };
            if found != r {
                let (above, below) = a.split_at_mut(found * cols);
                above[r * cols..(r + 1) * cols].swap_with_slice(&mut below[..cols]);
            }
            let (above, below) = a.split_at_mut((r + 1) * cols);
            let pivot = &above[r * cols + c..];
            let inverse = field.invert(pivot[0]);
            for row in below.chunks_exact_mut(cols) {
                if row[c] != 0.0 {
                    let f = field.mul(row[c], inverse);
                    field.eliminate(&mut row[c..], f, pivot);
                }
            }
            r += 1;
            if r == rows {
                break;
            }
        }
        r
    }
}

struct AdjugateKernel<'a> {
    field: Field,
    a: &'a mut [f64],
    n: usize,
}

impl WithSimd for AdjugateKernel<'_> {
    type Output = Option<f64>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Option<f64> {
        let AdjugateKernel { field, a, n } = self;
        let mut swaps = Vec::new();
        let mut determinant = 1.0;
        for k in 0..n {
            let found = (k..n).find(|&i| a[i * n + k] != 0.0)?;
            if found != k {
                let (above, below) = a.split_at_mut(found * n);
                above[k * n..(k + 1) * n].swap_with_slice(&mut below[..n]);
                swaps.push((k, found));
                determinant = -determinant;
            }
            let pivot = a[k * n + k];
            determinant = field.mul(determinant, pivot);
            let inverse = field.invert(pivot);
            a[k * n + k] = 1.0;
            let (above, rest) = a.split_at_mut(k * n);
            let (row, below) = rest.split_at_mut(n);
            scale(field, row, inverse);
            for half in [above, below] {
                for other in half.chunks_exact_mut(n) {
                    let f = std::mem::replace(&mut other[k], 0.0);
                    if f != 0.0 {
                        field.eliminate(other, f, row);
                    }
                }
            }
        }
        // Undo the row exchanges on the columns of the inverse.
        for &(k, other) in swaps.iter().rev() {
            for row in a.chunks_exact_mut(n) {
                row.swap(k, other);
            }
        }
        scale(field, a, determinant);
        Some(determinant)
    }
}

#[inline(always)]
fn scale(field: Field, xs: &mut [f64], f: f64) {
    for x in xs {
        *x = field.mul(*x, f);
    }
}

/// Primes below `2^50`, largest first.
pub(super) fn primes() -> impl Iterator<Item = u64> {
    (1 << PRIME_BITS..1u64 << (PRIME_BITS + 1))
        .rev()
        .filter(|&n| is_prime(n))
}

/// Deterministic Miller-Rabin: the first 12 primes as bases decide every `n < 3.3 * 10^24`
/// (Sorenson and Webster, Math. Comp. 86, 2017).
fn is_prime(n: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if n < 2 {
        return false;
    }
    for b in BASES {
        if n.is_multiple_of(b) {
            return n == b;
        }
    }
    let mul = |a: u64, b: u64| (u128::from(a) * u128::from(b) % u128::from(n)) as u64;
    let s = (n - 1).trailing_zeros();
    let d = (n - 1) >> s;
    BASES.iter().all(|&base| {
        let (mut x, mut square, mut e) = (1, base, d);
        while e > 0 {
            if e & 1 == 1 {
                x = mul(x, square);
            }
            square = mul(square, square);
            e >>= 1;
        }
        if x == 1 || x == n - 1 {
            return true;
        }
        (1..s).any(|_| {
            x = mul(x, x);
            x == n - 1
        })
    })
}

/// Word operations to reduce all entries modulo one prime.
pub(super) fn reduction_work(entries: &[IBig]) -> f64 {
    entries
        .iter()
        .map(|x| match bit_length(x) {
            0..=64 => 4.0,
            bits => bits as f64 / 2.0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn primes_are_prime() {
        let small: Vec<u64> = (0..60).filter(|&n| is_prime(n)).collect();
        assert_eq!(
            small,
            [
                2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59
            ]
        );
        // Strong pseudoprimes to the bases 2 and 2, 3, 5, 7; a Carmichael number.
        assert!(!is_prime(2047) && !is_prime(3_215_031_751) && !is_prime(561));
        // The largest prime below 2^50.
        assert_eq!(primes().next(), Some((1 << 50) - 27));
    }

    proptest! {
        #[test]
        fn residues_multiply_as_integers(a in any::<i64>(), b in any::<i64>(), skip in 0usize..3) {
            let p = primes().nth(skip).unwrap();
            let f = Field::new(p);
            let (x, y) = (f.residue(&IBig::from(a)), f.residue(&IBig::from(b)));
            let half = (p / 2) as f64;
            prop_assert!(x.abs() <= half && y.abs() <= half);
            let expected = (i128::from(a) * i128::from(b)).rem_euclid(i128::from(p));
            prop_assert_eq!((f.mul(x, y) as i128).rem_euclid(i128::from(p)), expected);
            let wide = f.residue(&(IBig::from(a) * IBig::from(b)));
            prop_assert_eq!(wide, f.mul(x, y));
            if x != 0.0 {
                prop_assert_eq!(f.mul(x, f.invert(x)), 1.0);
            }
        }
    }
}
