//! Counting singular values above a threshold.

use super::gram::Problem;

impl Problem {
    /// How many singular values exceed `threshold` times the largest: the positive inertia of the
    /// shifted Gram matrix (Sylvester), counted from a Bunch-Kaufman factorisation. Not a proof.
    pub fn count_above(&self, threshold: f64) -> Option<usize> {
        let g = self.gram();
        let top = g.largest_ritz(1e-6)?.theta;
        let mut shifted = g.lower;
        for i in 0..self.order() {
            shifted[(i, i)] -= top * threshold * threshold;
        }
        let f = shifted.lblt(faer::Side::Lower);
        let (d, e) = (f.B_diag().column_vector(), f.B_subdiag().column_vector());
        let n = self.order();
        let (mut i, mut positive) = (0, 0);
        while i < n {
            if i + 1 < n && e[i] != 0.0 {
                let (trace, det) = (d[i] + d[i + 1], d[i] * d[i + 1] - e[i] * e[i]);
                positive += if det < 0.0 {
                    1
                } else if trace > 0.0 {
                    2
                } else {
                    0
                };
                i += 2;
            } else {
                positive += usize::from(d[i] > 0.0);
                i += 1;
            }
        }
        Some(positive)
    }
}
