//! One bound of the norm for every input size.

use super::{Convolution, Geometry, Kernel, Padding};
use crate::linalg::rounding::{down, up};
use crate::scale::Enclosure;

/// Proved bound of the norm of a convolution for inputs of *every* size, padded with zeros or circular (where
/// the stride divides the size), from the norm on one torus of `points` outputs an axis.
///
/// Between grid points the square of the norm of a symbol whose taps span `n` steps exceeds the greatest
/// value on the grid by a factor `1 / cos^2(pi n / (2 points))` an axis at most: the root of the usual
/// `1/cos(pi n / points)` (Ehlich and Zeller, Math. Z. 86, 1964), because a squared modulus is not
/// negative. Theorem: grid-maximum. The upper limit is the bound; the lower limit is a value
/// that some size comes close to.
///
/// `None` unless `points` exceeds the span of the taps on both axes.
///
/// # Examples
/// ```
/// use isometer::linalg::convolution::{Kernel, Layout, resolution_free_bound};
/// use isometer::linalg::view::MatrixRef;
/// let taps = MatrixRef::row_major(&[1.0, -1.0], 1, 2).unwrap();
/// let kernel = Kernel::new(&taps, &[1, 1, 2], Layout::OutputsFirst, 1).unwrap();
/// let bound = resolution_free_bound(&kernel, [1, 1], [1, 1], 64).unwrap().to_linear().unwrap().2;
/// assert!((2.0..2.001).contains(&bound)); // 2 is reached on every even circle
/// ```
pub fn resolution_free_bound(
    kernel: &Kernel,
    stride: [usize; 2],
    dilation: [usize; 2],
    points: usize,
) -> Option<Enclosure> {
    let size = [0, 1].map(|axis| {
        if kernel.taps()[axis] > 1 {
            points * stride[axis]
        } else {
            stride[axis]
        }
    });
    let geometry = Geometry {
        size,
        stride,
        dilation,
        padding: Padding::Circular,
    };
    let torus = Convolution::new(kernel.clone(), geometry).ok()?;
    let mut factor = 1.0;
    for axis in 0..2 {
        // polyphase components step by the stride: floor(d t / s) spans at most floor(d (k - 1) / s)
        let span = dilation[axis] * (kernel.taps()[axis] - 1) / stride[axis];
        if span == 0 {
            continue;
        }
        if span >= points {
            return None;
        }
        let angle = std::f64::consts::FRAC_PI_2 * span as f64 / points as f64;
        // the angle is good to four roundings and stays below pi/2; the absolute term covers what they do
        // to a small cosine
        let cosine = down(libm::cos(angle) - 1e-15);
        factor = up(factor / cosine);
    }
    let norm = torus.torus_norm();
    let (value, lo, hi, exponent) = norm.scaled();
    Enclosure::new(value, lo, up(hi * factor), exponent)
}
