//! Rayleigh quotients with rigorous limits, and the Kato-Temple inequalities that sharpen them.

use crate::linalg::dd::{DD_EPS, Dd};
use crate::linalg::extended::{self, DdVec};
use crate::linalg::rounding::{down, sqrt_down, sqrt_up, up};
use faer::Mat;

/// Rigorous facts about the trial vector `v` and `G = A^T A`: with `rho = |Av|^2/|v|^2`,
/// `rho_lo <= rho <= rho_hi` and `|Gv - rho v|/|v| <= residual`.
#[derive(Clone, Copy, Debug)]
pub struct Quotient {
    /// Lower limit of the quotient.
    pub rho_lo: f64,
    /// Upper limit of the quotient.
    pub rho_hi: f64,
    /// Upper bound of the relative residual norm.
    pub residual: f64,
}

/// Evaluates [`Quotient`] in twice the working precision. `frobenius` bounds `|A|_F` from above.
/// `None` when `v` is zero or not finite.
pub fn quotient(a: &Mat<f64>, v: &DdVec, frobenius: f64) -> Option<Quotient> {
    let nv2 = v.norm2_squared();
    // a lower limit far above what underflow can hide in a sum of squares
    if !(nv2.hi > 1e-100 && nv2.hi.is_finite()) {
        return None;
    }
    let y = extended::apply(a, v, frobenius);
    let ny2 = y.vector.norm2_squared();
    let theta = (ny2 / nv2).hi;
    // |Av| lies within y.error of |y|; the sums of squares are good to far better than 2^-52.
    let norm_v_lo = sqrt_down(down(nv2.hi));
    // The last term covers squares of y that underflow: m 2^-1074 / |v|^2, under the root.
    let relative = up(y.error / norm_v_lo + 1e-100);
    let root = ny2.hi.max(0.0).sqrt() / nv2.hi.sqrt();
    let (lo, hi) = (one_sided(ny2, nv2, -1.0), one_sided(ny2, nv2, 1.0));
    let (rho_lo, rho_hi) = if relative <= 1e-17 * root {
        // cross term 2 |y| e + e^2, below 2^-52 relative: one more unit in the last place
        (lo.next_down(), hi.next_up())
    } else {
        let r_lo = (sqrt_down(lo) - relative).next_down().max(0.0);
        let r_hi = up(sqrt_up(hi) + relative);
        (down(r_lo * r_lo), up(r_hi * r_hi))
    };
    let z = extended::apply_transposed(a, &y.vector, frobenius);
    let mut sum = 0.0f64;
    let mut magnitude = 0.0f64;
    for i in 0..v.len() {
        let r = z.vector.get(i) - v.get(i).scale(theta);
        sum += r.hi * r.hi;
        magnitude = magnitude.max(z.vector.hi[i].abs() + theta * v.hi[i].abs());
    }
    let n = v.len() as f64;
    // evaluation of r itself: a few double-double roundings of its two terms in each entry
    let evaluation = up(8.0 * DD_EPS * magnitude * n.sqrt());
    let norm_r = sqrt_up(up(sum * (1.0 + n * f64::EPSILON)) + n * 1e-320);
    let residual = up((norm_r + evaluation + z.error + frobenius * y.error) / norm_v_lo);
    (residual.is_finite() && rho_hi.is_finite()).then_some(Quotient {
        rho_lo,
        rho_hi,
        residual,
    })
}

/// `ny2/nv2` rounded in the direction of `sign`; both are double-double sums whose relative error is
/// below 2^-80 for fewer than 2^20 entries (charged as 2^-60).
fn one_sided(ny2: Dd, nv2: Dd, sign: f64) -> f64 {
    let q = (ny2 / nv2)
        * Dd {
            hi: 1.0,
            lo: sign * 2f64.powi(-60),
        };
    if sign > 0.0 {
        if q.lo > 0.0 { q.hi.next_up() } else { q.hi }
    } else if q.lo < 0.0 {
        q.hi.next_down().max(0.0)
    } else {
        q.hi.max(0.0)
    }
}

impl Quotient {
    /// `lambda_1(G)` given that every other eigenvalue (other than copies of it) is at most `mu`:
    /// `rho <= lambda_1 <= rho + residual^2/(rho - mu)` (Temple 1928, Kato 1949).
    /// Theorem: kato-temple. `None` when `mu` is not below the quotient.
    pub fn largest(&self, mu: f64) -> Option<(f64, f64)> {
        let gap = down(self.rho_lo - mu);
        if !(self.rho_lo > mu && gap > 0.0) {
            return None;
        }
        let extra = up(self.residual * self.residual / gap);
        Some((self.rho_lo, (self.rho_hi + extra).next_up()))
    }

    /// `lambda_n(G)` given that every other eigenvalue (other than copies of it) is at least `mu`:
    /// `rho - residual^2/(mu - rho) <= lambda_n <= rho`. Theorem: kato-temple.
    pub fn smallest(&self, mu: f64) -> Option<(f64, f64)> {
        let gap = down(mu - self.rho_hi);
        if !(mu > self.rho_hi && gap > 0.0) {
            return None;
        }
        let less = up(self.residual * self.residual / gap);
        Some(((self.rho_lo - less).next_down().max(0.0), self.rho_hi))
    }
}
