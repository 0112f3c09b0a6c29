//! Edges and moments of limiting spectra in closed form. All are asymptotic in the width.

/// `x ln y` with `0 ln 0 = 0`.
fn x_ln_y(x: f64, y: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x * y.ln() }
}

/// `ln` of the upper edge `(L+1)^(L+1)/L^L` for `depth` linear layers with Gaussian weights of `sigma_w2 = 1`
/// (Fuss-Catalan law); about `ln(e (L + 1/2))`.
///
/// # Examples
/// ```
/// use isometer::theory::spectrum::ln_edge_fuss_catalan;
/// assert!((ln_edge_fuss_catalan(2) - (27.0 / 4.0f64).ln()).abs() < 1e-14); // 3^3 / 2^2
/// ```
pub fn ln_edge_fuss_catalan(depth: usize) -> f64 {
    let l = depth as f64;
    (1.0 + l).ln()
        + if depth == 0 {
            0.0
        } else {
            l * l.recip().ln_1p()
        }
}

/// Moment `binom((L+1)k, k)/(Lk+1)` of the Fuss-Catalan law of `depth` linear Gaussian layers.
///
/// # Examples
/// ```
/// use isometer::theory::spectrum::fuss_catalan_moment;
/// // one layer: the Catalan numbers
/// assert!((1..5).map(|k| fuss_catalan_moment(1, k).round()).eq([1.0, 2.0, 5.0, 14.0]));
/// ```
pub fn fuss_catalan_moment(depth: usize, k: usize) -> f64 {
    let top = ((depth + 1) * k) as f64;
    let binomial: f64 = (1..=k).map(|i| (top - (k - i) as f64) / i as f64).product();
    binomial / ((depth * k) as f64 + 1.0)
}

/// `ln` of the upper edge for Gaussian weights and slopes 1 with probability `p`, 0 otherwise, at
/// `sigma_w2 = 1/p` (He's choice for ReLU, `p = 1/2`): with `z = (1-L+sqrt((L-1)^2+4Lp))/(2L)` the edge
/// is `(1+z)/z (1+z/p)^L`. Theorem: relu-gaussian-edge.
///
/// # Examples
/// ```
/// use isometer::theory::spectrum::{ln_edge_fuss_catalan, ln_edge_relu_gaussian};
/// assert!((ln_edge_relu_gaussian(5, 1.0) - ln_edge_fuss_catalan(5)).abs() < 1e-13); // no gates
/// ```
pub fn ln_edge_relu_gaussian(depth: usize, p: f64) -> f64 {
    let l = depth as f64;
    // the root without the cancellation of 1 - L against the square root
    let z = 2.0 * p / ((l - 1.0) + ((l - 1.0).powi(2) + 4.0 * l * p).sqrt());
    z.ln_1p() - z.ln() + l * (z / p).ln_1p()
}

/// `ln` of the upper edge for orthogonal weights and slopes 1 with probability `p`, 0 otherwise, at
/// `sigma_w2 = 1/p`: `(1-p)/p L^L/(L-1)^(L-1)` when `L(1-p) > 1`, otherwise `p^-L`, where an atom of
/// mass `1 - L(1-p)` sits (Pennington, Schoenholz and Ganguli, arXiv:1802.09979).
/// Theorem: s-transform-edges.
///
/// # Examples
/// ```
/// use isometer::theory::spectrum::ln_edge_relu_orthogonal;
/// assert!((ln_edge_relu_orthogonal(1, 0.5) - 2f64.ln()).abs() < 1e-15); // half 0, half sigma_w2 = 2
/// assert!((ln_edge_relu_orthogonal(4, 0.5) - (256.0 / 27.0f64).ln()).abs() < 1e-14);
/// ```
pub fn ln_edge_relu_orthogonal(depth: usize, p: f64) -> f64 {
    let l = depth as f64;
    if l * (1.0 - p) <= 1.0 {
        return -l * p.ln();
    }
    ((1.0 - p) / p).ln() + l.ln() - x_ln_y(l - 1.0, (l - 1.0) / l)
}

/// `ln` of the lower and upper edge of the universal limit of smooth activations with orthogonal
/// weights at criticality: depth to infinity with `L (E phi'^4/(E phi'^2)^2 - 1) -> s` held fixed, so that
/// `S(z) = e^(-s z)`. Both edges are finite: the condition number stays bounded at infinite depth.
/// At any finite depth the slopes have tails, and the true lower edge is zero if they come near zero.
/// Theorem: smooth-universal-limit.
///
/// # Examples
/// ```
/// use isometer::theory::spectrum::ln_edges_smooth_limit;
/// // extrema of (1 + z)/z e^(s z) at z = (-1 +- sqrt(1 + 4/s))/2, which is 1 and -2 for s = 1/2
/// let (lower, upper) = ln_edges_smooth_limit(0.5);
/// assert!((upper - (2f64.ln() + 0.5)).abs() < 1e-14 && (lower + 2f64.ln() + 1.0).abs() < 1e-14);
/// ```
pub fn ln_edges_smooth_limit(s: f64) -> (f64, f64) {
    let root = (1.0 + 4.0 / s).sqrt();
    // z+ = (root - 1)/2, z- = -(root + 1)/2, and z+ = -(1 + z-)
    let up = 2.0 / (s * (1.0 + root));
    let upper = up.recip().ln_1p() + s * up;
    let lower = -up.recip().ln_1p() - s * (1.0 + up);
    (lower, upper)
}
