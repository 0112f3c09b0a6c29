//! Self-attention: `Y = softmax(X W_q W_k^T X^T / sqrt(d)) X W_v`, one head or several with an output projection.
//!
//! With `A = W_q W_k^T / sqrt(d)`, `p_i` the weights of token `i`, `J_i = diag(p_i) - p_i p_i^T` and `B_i = V^T J_i`, a change `dX`
//! moves token `i` by `sum_j p_ij dx_j W_v + B_i (X A^T dx_i + dX A^T x_i)`. Dot-product attention is not globally Lipschitz
//! (Kim, Papamakarios and Mnih, arXiv:2006.04710), so everything here is at a given `X`.
//!
//! ```
//! use isometer::bounds::jacobian::attention::{Attention, Head};
//!
//! // two equal tokens of width 1 look at each other with weights 1/2; the value is 2 x
//! let head =
//!     Head { width: 1, key_width: 1, value_width: 1, query: vec![1.0], key: vec![1.0], value: vec![2.0] };
//! let at = Attention::at(&head, &[0.0, 0.0]).unwrap();
//! assert_eq!(at.jacobian(), [1.0, 1.0, 1.0, 1.0]); // 2 * 1/2 everywhere, of norm 2
//! assert_eq!(at.jvp(&[1.0, 0.0]).unwrap(), [1.0, 1.0]);
//! assert!(at.bounds().upper >= 2.0 && at.bounds().upper <= at.bounds().upper_with_half);
//! ```

use super::{JacobianError, checked, softmax};
use crate::linalg::dense::{self, Matrix};
use crate::linalg::norms;
use crate::linalg::view::MatrixRef;

/// Weights of one head, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Width of a token, rows of all three.
    pub width: usize,
    /// Columns of `query` and `key`.
    pub key_width: usize,
    /// Columns of `value`.
    pub value_width: usize,
    /// `W_q`.
    pub query: Vec<f64>,
    /// `W_k`.
    pub key: Vec<f64>,
    /// `W_v`.
    pub value: Vec<f64>,
}

/// What the Jacobian of attention at some tokens is bounded by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionBounds {
    /// `|P| |W_v| + max_i |B_i X A^T| + sqrt(sum |B_i|^2 |A^T x_i|^2)`. Theorem: attention-jacobian.
    pub upper: f64,
    /// The same with each `|J_i|` replaced by the greatest that softmax allows, 1/2: what is usually quoted.
    pub upper_with_half: f64,
}

/// A head at given tokens.
#[derive(Clone, Debug)]
pub struct Attention {
    x: Matrix,
    value: Matrix,
    /// `A`.
    score: Matrix,
    p: Matrix,
    v: Matrix,
}

impl Attention {
    /// Evaluates the head at `tokens x width` activations, row-major.
    ///
    /// # Errors
    ///
    /// Lengths that do not fit, NaN or infinities.
    ///
    /// # Examples
    /// ```
    /// use isometer::bounds::jacobian::attention::{Attention, Head};
    /// let head =
    ///     Head { width: 1, key_width: 1, value_width: 1, query: vec![1.0], key: vec![1.0], value: vec![2.0] };
    /// // a single token attends to itself: Y = x W_v
    /// assert_eq!(Attention::at(&head, &[3.0]).unwrap().output(), [6.0]);
    /// assert!(Attention::at(&head, &[f64::NAN]).is_err());
    /// ```
    pub fn at(head: &Head, x: &[f64]) -> Result<Attention, JacobianError> {
        let fits = |what, v: &[f64], wanted: usize| {
            checked(what, v)?;
            match v.len() == wanted {
                true => Ok(()),
                false => Err(JacobianError::Length {
                    what,
                    given: v.len(),
                    wanted,
                }),
            }
        };
        let width = head.width;
        fits("query weights", &head.query, width * head.key_width)?;
        fits("key weights", &head.key, width * head.key_width)?;
        fits("value weights", &head.value, width * head.value_width)?;
        let tokens = x.len().checked_div(width).ok_or(JacobianError::Empty)?;
        fits("tokens", x, tokens * width)?;
        let x = matrix(x, tokens, width);
        let query = matrix(&head.query, width, head.key_width);
        let key = matrix(&head.key, width, head.key_width);
        let value = matrix(&head.value, width, head.value_width);
        let scale = 1.0 / (head.key_width as f64).sqrt();
        let a = dense::product(query.as_ref(), key.transpose());
        let score = dense::from_fn(width, width, |i, j| a[(i, j)] * scale);
        let logits = dense::product(
            dense::product(x.as_ref(), score.as_ref()).as_ref(),
            x.transpose(),
        );
        let mut p = dense::from_fn(tokens, tokens, |_, _| 0.0);
        for i in 0..tokens {
            let row: Vec<f64> = (0..tokens).map(|j| logits[(i, j)]).collect();
            for (j, q) in softmax::softmax(&row)?.into_iter().enumerate() {
                p[(i, j)] = q;
            }
        }
        let v = dense::product(x.as_ref(), value.as_ref());
        Ok(Attention {
            x,
            value,
            score,
            p,
            v,
        })
    }

    fn tokens(&self) -> usize {
        self.x.nrows()
    }

    /// Output, `tokens x value_width`, row-major.
    pub fn output(&self) -> Vec<f64> {
        rows(&dense::product(self.p.as_ref(), self.v.as_ref()))
    }

    fn attention_of(&self, i: usize) -> Vec<f64> {
        (0..self.tokens()).map(|j| self.p[(i, j)]).collect()
    }

    /// `B_i = V^T J_i`, `value_width x tokens`: column `j` is `p_j (v_j - mean of v under p)`.
    fn sensitivity(&self, i: usize) -> Matrix {
        let p = self.attention_of(i);
        let mean: Vec<f64> = (0..self.v.ncols())
            .map(|c| (0..p.len()).map(|j| p[j] * self.v[(j, c)]).sum())
            .collect();
        dense::from_fn(self.v.ncols(), p.len(), |c, j| {
            p[j] * (self.v[(j, c)] - mean[c])
        })
    }

    /// `A^T x_i`.
    fn pull(&self, i: usize) -> Vec<f64> {
        let row: Vec<f64> = (0..self.x.ncols()).map(|c| self.x[(i, c)]).collect();
        dense::apply_transposed(&self.score, &row)
    }

    /// The Jacobian times `dX` (`tokens x width`, row-major), for matrix-free norms.
    ///
    /// # Errors
    ///
    /// A wrong length.
    pub fn jvp(&self, dx: &[f64]) -> Result<Vec<f64>, JacobianError> {
        let (t, n) = (self.tokens(), self.x.ncols());
        if dx.len() != t * n {
            return Err(JacobianError::Length {
                what: "tangent",
                given: dx.len(),
                wanted: t * n,
            });
        }
        let dx = matrix(dx, t, n);
        let direct = dense::product(
            self.p.as_ref(),
            dense::product(dx.as_ref(), self.value.as_ref()).as_ref(),
        );
        let mut y = rows(&direct);
        let dc = self.v.ncols();
        for i in 0..t {
            let own: Vec<f64> = (0..n).map(|c| dx[(i, c)]).collect();
            // X A^T dx_i: the query moves; dX A^T x_i: the keys move
            let moved = dense::apply(&self.x, &dense::apply(&self.score_transposed(), &own));
            let keys = dense::apply(&dx, &self.pull(i));
            let logits: Vec<f64> = moved.iter().zip(&keys).map(|(a, b)| a + b).collect();
            for (c, d) in dense::apply(&self.sensitivity(i), &logits)
                .into_iter()
                .enumerate()
            {
                y[i * dc + c] += d;
            }
        }
        Ok(y)
    }

    fn score_transposed(&self) -> Matrix {
        self.score.transpose().to_owned()
    }

    /// The explicit Jacobian, row-major, `tokens value_width` rows and `tokens width` columns.
    pub fn jacobian(&self) -> Vec<f64> {
        let (t, n, dc) = (self.tokens(), self.x.ncols(), self.v.ncols());
        let mut j = vec![0.0; t * dc * t * n];
        let own = dense::product(self.x.as_ref(), self.score.transpose());
        for i in 0..t {
            let b = self.sensitivity(i);
            let query = dense::product(b.as_ref(), own.as_ref());
            let pull = self.pull(i);
            for c in 0..dc {
                for k in 0..t {
                    for d in 0..n {
                        let mut entry = self.p[(i, k)] * self.value[(d, c)] + b[(c, k)] * pull[d];
                        if i == k {
                            entry += query[(c, d)];
                        }
                        j[(i * dc + c) * t * n + k * n + d] = entry;
                    }
                }
            }
        }
        j
    }

    /// Bounds of the norm of the Jacobian, from norms of small matrices; each carries the rounding of
    /// their entries, so they are estimates from above rather than proofs.
    ///
    /// # Examples
    /// ```
    /// use isometer::bounds::jacobian::attention::{Attention, Head};
    /// use isometer::linalg::{norms::two, view::MatrixRef};
    /// let head = Head {
    ///     width: 2,
    ///     key_width: 1,
    ///     value_width: 2,
    ///     query: vec![1.0, -0.5],
    ///     key: vec![0.5, 1.0],
    ///     value: vec![1.0, 0.0, 0.0, 2.0],
    /// };
    /// let at = Attention::at(&head, &[1.0, 0.0, 0.5, -1.0, 0.0, 2.0]).unwrap(); // three tokens
    /// let j = at.jacobian();
    /// let norm = two(&MatrixRef::row_major(&j, 6, 6).unwrap()).unwrap().to_linear().unwrap().0;
    /// assert!(norm <= at.bounds().upper && at.bounds().upper <= at.bounds().upper_with_half);
    /// ```
    pub fn bounds(&self) -> AttentionBounds {
        let direct = norm(&self.p) * norm(&self.value);
        let own = dense::product(self.x.as_ref(), self.score.transpose());
        let own_norm = norm(&own);
        let spread = norm(&self.v);
        let (mut query, mut query_half) = (0.0f64, 0.0f64);
        let (mut keys, mut keys_half) = (0.0, 0.0);
        for i in 0..self.tokens() {
            let b = self.sensitivity(i);
            let pull = dense::norm2(&self.pull(i));
            query = query.max(norm(&dense::product(b.as_ref(), own.as_ref())));
            keys += (norm(&b) * pull).powi(2);
            query_half = query_half.max(0.5 * spread * own_norm);
            keys_half += (0.5 * spread * pull).powi(2);
        }
        AttentionBounds {
            upper: direct + query + keys.sqrt(),
            upper_with_half: direct + query_half + keys_half.sqrt(),
        }
    }
}

/// Several heads at the same tokens, their outputs side by side and projected: `Y = [Y_1 .. Y_h] W_o`.
#[derive(Clone, Debug)]
pub struct MultiHead {
    heads: Vec<Attention>,
    /// `W_o`, as many rows as the heads give columns together.
    projection: Matrix,
}

impl MultiHead {
    /// Evaluates the heads at `tokens x width` activations, row-major, and projects them by `projection`
    /// (row-major, one row for each column that the heads give together, head after head).
    ///
    /// # Errors
    ///
    /// No head, lengths that do not fit, NaN or infinities.
    ///
    /// # Examples
    /// ```
    /// use isometer::bounds::jacobian::attention::{Head, MultiHead};
    /// let head = |v| Head { width: 1, key_width: 1, value_width: 1, query: vec![1.0], key: vec![1.0], value: vec![v] };
    /// // two heads on one token, values 2 x and 3 x, projected by (10, 1)
    /// let at = MultiHead::at(&[head(2.0), head(3.0)], &[10.0, 1.0], &[1.0]).unwrap();
    /// assert_eq!((at.output(), at.jacobian()), (vec![23.0], vec![23.0]));
    /// ```
    pub fn at(heads: &[Head], projection: &[f64], x: &[f64]) -> Result<MultiHead, JacobianError> {
        let width = heads.first().ok_or(JacobianError::Empty)?.width;
        if let Some(other) = heads.iter().find(|h| h.width != width) {
            return Err(JacobianError::Length {
                what: "width of a head",
                given: other.width,
                wanted: width,
            });
        }
        let evaluated = heads
            .iter()
            .map(|h| Attention::at(h, x))
            .collect::<Result<Vec<_>, _>>()?;
        checked("output projection", projection)?;
        let rows: usize = heads.iter().map(|h| h.value_width).sum();
        if rows == 0 || !projection.len().is_multiple_of(rows) {
            return Err(JacobianError::Length {
                what: "output projection",
                given: projection.len(),
                wanted: projection.len().next_multiple_of(rows.max(1)),
            });
        }
        Ok(MultiHead {
            heads: evaluated,
            projection: matrix(projection, rows, projection.len() / rows),
        })
    }

    /// The rows of the projection that belong to head `h`.
    fn block(&self, h: usize) -> Matrix {
        let from: usize = self.heads[..h].iter().map(|a| a.v.ncols()).sum();
        let rows = self.heads[h].v.ncols();
        dense::from_fn(rows, self.projection.ncols(), |i, j| {
            self.projection[(from + i, j)]
        })
    }

    /// `Y_h W_h` summed over heads, `Y_h` of `tokens` rows, row-major.
    fn projected(&self, outputs: impl Iterator<Item = Vec<f64>>) -> Vec<f64> {
        let tokens = self.heads[0].tokens();
        let mut sum = dense::from_fn(tokens, self.projection.ncols(), |_, _| 0.0);
        for (h, y) in outputs.enumerate() {
            let y = matrix(&y, tokens, self.heads[h].v.ncols());
            sum += dense::product(y.as_ref(), self.block(h).as_ref());
        }
        rows(&sum)
    }

    /// Output, `tokens x columns of the projection`, row-major.
    pub fn output(&self) -> Vec<f64> {
        self.projected(self.heads.iter().map(Attention::output))
    }

    /// The Jacobian times `dX` (`tokens x width`, row-major).
    ///
    /// # Errors
    ///
    /// A wrong length.
    pub fn jvp(&self, dx: &[f64]) -> Result<Vec<f64>, JacobianError> {
        let parts = self
            .heads
            .iter()
            .map(|a| a.jvp(dx))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.projected(parts.into_iter()))
    }

    /// The explicit Jacobian, row-major: `tokens` times columns of the projection rows, `tokens width` columns.
    pub fn jacobian(&self) -> Vec<f64> {
        let (tokens, n) = (self.heads[0].tokens(), self.heads[0].x.ncols());
        let (outputs, inputs) = (self.projection.ncols(), tokens * n);
        let mut j = vec![0.0; tokens * outputs * inputs];
        for (h, head) in self.heads.iter().enumerate() {
            let own = head.jacobian();
            let (w, dc) = (self.block(h), head.v.ncols());
            for i in 0..tokens {
                for (c, o) in (0..dc).flat_map(|c| (0..outputs).map(move |o| (c, o))) {
                    let from = &own[(i * dc + c) * inputs..][..inputs];
                    let to = &mut j[(i * outputs + o) * inputs..][..inputs];
                    dense::axpy(w[(c, o)], from, to);
                }
            }
        }
        j
    }

    /// Bounds of the norm of the Jacobian: the better of `|W_o| sqrt(sum b_h^2)` and `sum b_h |W_h|`, `b_h` the bound
    /// of head `h` and `W_h` its rows of `W_o`. Theorem: attention-jacobian.
    pub fn bounds(&self) -> AttentionBounds {
        let each: Vec<(AttentionBounds, f64)> = self
            .heads
            .iter()
            .enumerate()
            .map(|(h, a)| (a.bounds(), norm(&self.block(h))))
            .collect();
        let whole = norm(&self.projection);
        let best = |pick: &dyn Fn(&AttentionBounds) -> f64| {
            let stacked: f64 = each.iter().map(|(b, _)| pick(b).powi(2)).sum();
            let summed: f64 = each.iter().map(|(b, w)| pick(b) * w).sum();
            (stacked.sqrt() * whole).min(summed)
        };
        AttentionBounds {
            upper: best(&|b| b.upper),
            upper_with_half: best(&|b| b.upper_with_half),
        }
    }
}

fn matrix(x: &[f64], rows: usize, cols: usize) -> Matrix {
    dense::from_fn(rows, cols, |i, j| x[i * cols + j])
}

fn rows(m: &Matrix) -> Vec<f64> {
    let n = m.ncols();
    (0..m.nrows() * n).map(|e| m[(e / n, e % n)]).collect()
}

/// Spectral norm, upper end; infinite where it is not finite.
fn norm(m: &Matrix) -> f64 {
    norms::two(&MatrixRef::from_faer(m.as_ref()))
        .ok()
        .and_then(|e| e.to_linear())
        .map_or(f64::INFINITY, |(_, _, hi)| hi)
}
