//! The proof of a Lipschitz bound from a diagonal certificate, rounding included.

use super::objective::Point;
use crate::bounds::chain::Chain;
use crate::linalg::block_tridiagonal::{BlockTridiagonal, Diagonal};
use crate::linalg::dense;
use crate::linalg::rounding::{U, gamma, up};

/// The least `ln` of the squared Lipschitz constant of the scaled layers, at or little above
/// `ln_square`, that the certificate is proved to give; `None` where no excess up to a factor 2 helps.
///
/// For slopes in `[a, b]`, multipliers `lambda_k >= 0` and `rho > 0`, the block tridiagonal matrix with
/// diagonal `I, Lambda_1, .., Lambda_(L-1), rho I`, to each of the first `L - 1` blocks of which
/// `ab W_(k+1)^T Lambda_(k+1) W_(k+1)` is added, and blocks `-(a+b)/2 Lambda_k W_k` and finally `W_L` below it,
/// is definite only if the network is `sqrt(rho)`-Lipschitz. Theorem: diagonal-lipschitz-certificate.
pub fn prove(chain: &Chain, lambda: &Point, ln_square: f64) -> Option<f64> {
    let hidden = chain.depth() - 1;
    let slope = chain.slope;
    let product = slope.lower * slope.upper;
    let middle = 0.5 * (slope.lower + slope.upper);
    let mut diagonal = Vec::with_capacity(hidden + 2);
    for k in 0..=hidden {
        let width = chain.weights[k].ncols();
        let base = match k {
            0 => vec![1.0; width],
            _ => lambda[k - 1].clone(),
        };
        let mut block = Diagonal::exact(&base);
        if k < hidden && product != 0.0 {
            add_sector(&mut block, &chain.weights[k], &lambda[k], product);
        }
        diagonal.push(block);
    }
    let mut below: Vec<_> = (0..hidden)
        .map(|k| {
            let w = &chain.weights[k];
            dense::from_fn(w.nrows(), w.ncols(), |i, j| {
                -(middle * lambda[k][i]) * w[(i, j)]
            })
        })
        .collect();
    below.push(chain.weights[hidden].clone());
    let outputs = chain.weights[hidden].nrows();
    diagonal.push(Diagonal::exact(&vec![1.0; outputs]));
    let mut matrix = BlockTridiagonal {
        diagonal,
        below,
        // the middle of the sector and two products round
        below_error: 4.0 * U,
    };
    for excess in [
        1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.7,
    ] {
        let rho = (ln_square + excess).exp();
        if !rho.is_finite() {
            return None;
        }
        matrix.diagonal[hidden + 1] = Diagonal::exact(&vec![rho; outputs]);
        if matrix.proves_definite() {
            // rho is what was proved; its logarithm is rounded up
            return Some(rho.ln().next_up());
        }
    }
    None
}

/// Adds `p W^T Lambda W` with the radius of its rounding.
fn add_sector(block: &mut Diagonal, w: &dense::Matrix, lambda: &[f64], p: f64) {
    let scaled = dense::from_fn(w.nrows(), w.ncols(), |i, j| (p * lambda[i]) * w[(i, j)]);
    let g = dense::product(w.transpose(), scaled.as_ref());
    // the product p, two factors, the sum and the addition to the block
    let error = gamma(w.nrows() + 6);
    for j in 0..w.ncols() {
        let own = block.stored[(j, j)];
        for i in j..w.ncols() {
            block.stored[(i, j)] += g[(i, j)];
        }
        // |W|^T |p| Lambda |W| is positive semidefinite with the diagonal of the sector itself
        block.radius[j] += up(error * (g[(j, j)].abs() * (1.0 + 4.0 * error) + own));
    }
}
