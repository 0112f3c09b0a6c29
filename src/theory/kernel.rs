//! Diagonals of the limiting kernels of a wide network: the Gaussian process of its outputs and
//! the neural tangent kernel.
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::theory::{kernel::kernel, mean_field::LengthMap};
//!
//! // He-initialized ReLU: Theta' = q' + Theta, and the length stays at 2 |x|^2/n
//! let he = LengthMap::new(Activation::Relu, 2.0, 0.0).unwrap();
//! let k = kernel(&he, 9, 1.0);
//! assert!((k.nngp.to_linear().unwrap() - 2.0).abs() < 1e-12);
//! assert!((k.ntk.to_linear().unwrap() - 20.0).abs() < 1e-11);
//! ```

use crate::scale::LogScale;
use crate::theory::mean_field::LengthMap;

/// Diagonals at one input; readout included, in the NTK parametrisation (weights `sigma_w / sqrt n`
/// times standard normals, both weights and biases trained).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kernel {
    /// Variance of an output over random networks.
    pub nngp: LogScale,
    /// `sum over parameters of (d output / d parameter)^2`, per output.
    pub ntk: LogScale,
    /// Estimated relative error of both.
    pub error: f64,
}

/// Kernels after `hidden` hidden layers and a linear readout with the same variances, for an input
/// with `|x|^2 / n_0 = input_mean_square`: `q' = sigma_w2 E phi^2 + sigma_b2` and
/// `Theta' = q' + chi Theta`, started with `Theta = q` of the first layer (Jacot et al.,
/// arXiv:1806.07572, prop. 1 and theorem 1, with general variances).
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::{kernel::kernel, mean_field::LengthMap};
/// // linear layers of variance 1: each of the 3 weight matrices adds 1 to the tangent kernel
/// let k = kernel(&LengthMap::new(Activation::Linear, 1.0, 0.0).unwrap(), 2, 1.0);
/// assert!((k.nngp.to_linear().unwrap() - 1.0).abs() < 1e-14);
/// assert!((k.ntk.to_linear().unwrap() - 3.0).abs() < 1e-14);
/// ```
pub fn kernel(map: &LengthMap, hidden: usize, input_mean_square: f64) -> Kernel {
    let layers = map.profile(map.first(input_mean_square), hidden + 1);
    let part = |ln: f64| LogScale::from_ln(ln).unwrap_or(LogScale::ZERO);
    let (mut ntk, mut chi) = (LogScale::ZERO, LogScale::ZERO);
    for layer in &layers {
        ntk = part(layer.ln_q).plus(chi * ntk);
        chi = part(layer.ln_chi);
    }
    let last = layers
        .last()
        .map_or((f64::NEG_INFINITY, 0.0), |l| (l.ln_q, l.error));
    Kernel {
        nngp: part(last.0),
        ntk,
        error: last.1 + 8.0 * f64::EPSILON * (1.0 + hidden as f64) * (1.0 + ntk.ln().abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::activation::Activation;

    fn at(activation: Activation, w: f64, b: f64, hidden: usize) -> (f64, f64, f64) {
        let k = kernel(&LengthMap::new(activation, w, b).unwrap(), hidden, 1.0);
        (
            k.nngp.to_linear().unwrap(),
            k.ntk.to_linear().unwrap(),
            k.error,
        )
    }

    #[test]
    fn published_kernels() {
        // theory.csv R291, R296, R297, R300
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
        near(at(Activation::Relu, 2.0, 0.1, 5).0, 2.6);
        let erf = at(Activation::Erf, 2.0, 0.1, 60);
        near(erf.1, 8452.4129726286);
        assert!((erf.1 / 8452.4129726286 - 1.0).abs() < erf.2 + 1e-14);
        let (w, b) = (1.9830582574375475, 0.1729223907560664);
        near(at(Activation::Gelu, w, b, 5).0, 2.1605588538730993);
        near(
            at(Activation::LeakyRelu { slope: 0.2 }, 1.9, 0.0, 5).1,
            10.732220187115312,
        );
        // one more layer is noticed
        assert!((at(Activation::Erf, 2.0, 0.1, 61).1 / 8452.4129726286 - 1.0).abs() > 1e-2);
    }

    #[test]
    fn the_linear_kernel_is_a_sum() {
        // q constant at 1, chi = 1: Theta = L + 1
        let (nngp, ntk, _) = at(Activation::Linear, 1.0, 0.0, 7);
        assert!((nngp - 1.0).abs() < 1e-14 && (ntk - 8.0).abs() < 1e-13);
        // far outside f64
        let k = kernel(
            &LengthMap::new(Activation::Relu, 8.0, 0.0).unwrap(),
            2000,
            1.0,
        );
        let truth = 8f64.ln() + 2000.0 * 4f64.ln();
        assert!((k.nngp.ln() - truth).abs() < 1e-9);
        assert!((k.ntk.ln() - truth - 2001f64.ln()).abs() < 1e-9);
    }
}
