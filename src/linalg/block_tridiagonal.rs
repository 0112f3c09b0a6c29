//! A proof that a symmetric block tridiagonal matrix is positive definite, in time linear in the
//! number of blocks.

use super::dense::{self, Matrix};
use super::rounding::{U, gamma, sum_up, up};
use faer::Mat;

/// One diagonal block, of which the lower half is read.
#[derive(Clone, Debug)]
pub struct Diagonal {
    /// The block as stored.
    pub stored: Matrix,
    /// How far the block meant may be from it: the difference `E` satisfies
    /// `|S E S|_2 <= sum_i s_i^2 radius_i` for every diagonal `S`. It does where `|E| <= R` entrywise with
    /// `R` positive semidefinite and non-negative, whose diagonal is `radius`.
    pub radius: Vec<f64>,
}

impl Diagonal {
    /// A diagonal matrix, known exactly.
    pub fn exact(entries: &[f64]) -> Diagonal {
        let n = entries.len();
        let mut stored = Mat::zeros(n, n);
        for (i, x) in entries.iter().enumerate() {
            stored[(i, i)] = *x;
        }
        Diagonal {
            stored,
            radius: vec![0.0; n],
        }
    }
}

/// `M` with blocks `M_kk` on the diagonal and `M_(k+1)k` below.
#[derive(Clone, Debug)]
pub struct BlockTridiagonal {
    /// `M_kk`.
    pub diagonal: Vec<Diagonal>,
    /// `M_(k+1)k`, of shape `n_(k+1) x n_k`.
    pub below: Vec<Matrix>,
    /// Entries of `below` are within this relative distance of those meant.
    pub below_error: f64,
}

impl BlockTridiagonal {
    /// Whether `M` is proved positive definite, rounding included; `false` proves nothing.
    ///
    /// The matrix is scaled by powers of two to a diagonal between 1/2 and 2, shifted down by a slack
    /// that covers every error, and factored: each entry of the factor is an inner product of at most
    /// two blocks' lengths, so that theorem cholesky-proves-definiteness holds with that length in
    /// place of the order. Theorem: block-cholesky-proves-definiteness.
    pub fn proves_definite(&self) -> bool {
        let Some(scales) = self.scales() else {
            return false;
        };
        let Some((mut diagonal, below, slack)) = self.scaled(&scales) else {
            return false;
        };
        for block in &mut diagonal {
            for i in 0..block.nrows() {
                block[(i, i)] -= slack;
            }
        }
        for k in 0..diagonal.len() {
            if k > 0 {
                let (before, here) = diagonal.split_at_mut(k);
                let mut coupling = below[k - 1].clone();
                dense::solve_right_lower_transposed(coupling.as_mut(), before[k - 1].as_ref());
                dense::subtract_gram_lower(here[0].as_mut(), coupling.as_ref());
            }
            if !dense::cholesky_lower(diagonal[k].as_mut()) {
                return false;
            }
        }
        true
    }

    /// Exponents of the powers of two that bring the diagonal near 1.
    fn scales(&self) -> Option<Vec<Vec<i32>>> {
        let exponent = |d: f64| -> Option<i32> {
            let sound = d.is_finite() && d > 1e-290 && d < 1e290;
            sound.then(|| (-0.5 * d.log2()).round() as i32)
        };
        self.diagonal
            .iter()
            .map(|b| {
                (0..b.stored.nrows())
                    .map(|i| exponent(b.stored[(i, i)]))
                    .collect()
            })
            .collect()
    }

    /// The scaled blocks, and the slack to take off the diagonal.
    fn scaled(&self, scales: &[Vec<i32>]) -> Option<(Vec<Matrix>, Vec<Matrix>, f64)> {
        let power = |e: i32| 2f64.powi(e);
        let mut diagonal = Vec::with_capacity(self.diagonal.len());
        let mut below = Vec::with_capacity(self.below.len());
        let (mut trace, mut radius, mut coupling) = (0.0, 0.0, 0.0f64);
        let mut longest = 0;
        let mut count = 0;
        for (k, block) in self.diagonal.iter().enumerate() {
            let s = &scales[k];
            let n = s.len();
            count += n;
            let m = Mat::from_fn(n, n, |i, j| {
                if i >= j {
                    block.stored[(i, j)] * power(s[i]) * power(s[j])
                } else {
                    0.0
                }
            });
            trace += sum_up((0..n).map(|i| m[(i, i)]));
            radius += sum_up((0..n).map(|i| block.radius[i] * power(2 * s[i])));
            diagonal.push(m);
            let before = if k > 0 { scales[k - 1].len() } else { 0 };
            longest = longest.max(before + n);
            if k > 0 {
                let t = &scales[k - 1];
                let b = Mat::from_fn(n, before, |i, j| {
                    self.below[k - 1][(i, j)] * power(s[i]) * power(t[j])
                });
                let squares = sum_up((0..before).map(|j| {
                    let c = b.col_as_slice(j);
                    up(dense::dot(c, c) * (1.0 + gamma(n + 2)))
                }));
                coupling = coupling.max(up(squares.sqrt()));
                below.push(b);
            }
        }
        let g = gamma(longest + 2);
        // a symmetric block tridiagonal matrix with zero diagonal blocks has at most twice the norm of
        // its largest block; the shift of a diagonal entry is rounded once; underflow, as in the dense
        // proof, is charged with a constant far above count^2 2^-1074
        let slack = up((g / (1.0 - g)) * trace
            + radius
            + 2.0 * self.below_error * coupling
            + 4.0 * U
            + 1e-290);
        let sound = slack.is_finite() && slack < 0.25 && count < 1 << 24;
        sound.then_some((diagonal, below, slack))
    }
}
