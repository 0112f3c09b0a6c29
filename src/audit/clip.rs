//! Clipping of stored gradients: by the global norm, by the norm of each tensor, by value; and the angle by which each
//! turns the step.
//!
//! Norms are certified, factors and angles closed forms of them. Start with [`clip`].
//!
//! ```
//! use isometer::audit::clip::clip;
//! use isometer::linalg::view::MatrixRef;
//!
//! // two tensors of norms 6 and 8: clipping each to 5 turns the step, clipping both together does not
//! let g = [MatrixRef::row_major(&[6.0], 1, 1).unwrap(), MatrixRef::row_major(&[8.0], 1, 1).unwrap()];
//! let c = clip(&g, 5.0).unwrap();
//! assert!((c.norm.to_linear().unwrap().0 - 10.0).abs() < 1e-12 && (c.factor - 0.5).abs() < 1e-12);
//! assert!((c.per_tensor.angle.unwrap() - (14.0 / 200f64.sqrt()).acos()).abs() < 1e-7);
//! ```

use crate::linalg::norms::Squares;
use crate::linalg::view::{MatrixRef, NonFinite};
use crate::scale::{Enclosure, LogScale};
use crate::theory::optimisation::{OptimisationError, clipping_factor};

/// Added by `torch.nn.utils.clip_grad_norm_` to the norm before it divides.
pub const TORCH_EPSILON: f64 = 1e-6;

/// One tensor of gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clipped {
    /// Its norm.
    pub norm: Enclosure,
    /// Factor of clipping by its own norm.
    pub own_factor: f64,
    /// Entries above the threshold in magnitude.
    pub above: u64,
}

/// One way of clipping all tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// Norm of all gradients afterwards.
    pub norm: LogScale,
    /// Angle in radians between the step before and after; none for a zero gradient.
    pub angle: Option<f64>,
}

/// What a threshold does to a set of gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct Clipping {
    /// One for each tensor.
    pub tensors: Vec<Clipped>,
    /// Norm of all of them together.
    pub norm: Enclosure,
    /// Factor of clipping by the global norm.
    pub factor: f64,
    /// The factor PyTorch applies.
    pub torch_factor: f64,
    /// Clipping by the global norm: the direction stays.
    pub global: Way,
    /// Clipping each tensor by its own norm.
    pub per_tensor: Way,
    /// Clipping each entry.
    pub by_value: Way,
}

/// Why there is no clipping.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClipError {
    /// NaN or an infinity in a tensor.
    #[error("tensor {tensor} holds {entry}")]
    NonFinite {
        /// Which, from 0.
        tensor: usize,
        /// Position and value.
        entry: NonFinite,
    },
    /// The threshold.
    #[error(transparent)]
    Threshold(#[from] OptimisationError),
}

/// `2^-exponent` times a magnitude.
fn in_units(x: LogScale, exponent: i64) -> f64 {
    (x.ln() - exponent as f64 * std::f64::consts::LN_2).exp()
}

fn visit(a: &MatrixRef<'_>, mut f: impl FnMut(f64)) {
    let mut line = vec![0.0; a.cols() * a.components()];
    for i in 0..a.rows() {
        a.read_row(i, &mut line);
        line.iter().for_each(|x| f(*x));
    }
}

/// Clips gradients at a threshold, in every way. Norms neither overflow nor underflow.
/// Theorem: layerwise-rescaling.
///
/// # Errors
/// [`ClipError`].
///
/// # Examples
/// ```
/// use isometer::audit::clip::clip;
/// use isometer::linalg::view::MatrixRef;
/// let g = MatrixRef::row_major(&[3.0, 4.0], 1, 2).unwrap();
/// let c = clip(&[g], 1.0).unwrap();
/// assert!((c.factor - 0.2).abs() < 1e-15 && c.global.angle.unwrap() < 1e-7);
/// // clipping by value makes (1, 1) of (3, 4): cos = 7 / (5 sqrt 2)
/// assert!((c.by_value.angle.unwrap() - (7.0 / 50f64.sqrt()).acos()).abs() < 1e-9);
/// ```
pub fn clip(gradients: &[MatrixRef<'_>], threshold: f64) -> Result<Clipping, ClipError> {
    clipping_factor(0.0, threshold)?;
    for (tensor, g) in gradients.iter().enumerate() {
        if let Some(entry) = g.first_nonfinite() {
            return Err(ClipError::NonFinite { tensor, entry });
        }
    }
    let mut total = Squares::default();
    let mut tensors = Vec::with_capacity(gradients.len());
    for g in gradients {
        let mut own = Squares::default();
        let mut above = 0;
        visit(g, |x| {
            own.push(x);
            total.push(x);
            above += u64::from(x.abs() > threshold);
        });
        let norm = own.root();
        tensors.push(Clipped {
            norm,
            own_factor: factor(&norm, threshold),
            above,
        });
    }
    let norm = total.root();
    let factor_of_all = factor(&norm, threshold);
    let exponent = match norm.value().log2() {
        x if x.is_finite() => x.ceil() as i64,
        _ => 0,
    };
    let threshold_log = LogScale::from_linear(threshold).unwrap_or(LogScale::ZERO);
    let sizes: Vec<f64> = tensors
        .iter()
        .map(|t| in_units(t.norm.value(), exponent))
        .collect();
    let whole: f64 = sizes.iter().map(|s| s * s).sum();
    // the mean factor, weighted with squares, is the component along the gradient; what is left is across
    let along = sizes
        .iter()
        .zip(&tensors)
        .map(|(s, t)| t.own_factor * s * s)
        .sum::<f64>()
        / whole;
    let across: f64 = sizes
        .iter()
        .zip(&tensors)
        .map(|(s, t)| ((t.own_factor - along) * s).powi(2))
        .sum();
    let per_tensor = way(along, across.sqrt(), whole.sqrt(), exponent);
    let limit = in_units(threshold_log, exponent);
    let scaled = |x: f64| crate::scale::ldexp(x, -exponent);
    let cut = |y: f64| y.clamp(-limit, limit);
    let mut dot = 0.0;
    for g in gradients {
        let mut part = 0.0;
        visit(g, |x| part += scaled(x) * cut(scaled(x)));
        dot += part;
    }
    let along = dot / whole;
    let mut across = Squares::default();
    for g in gradients {
        visit(g, |x| across.push(cut(scaled(x)) - along * scaled(x)));
    }
    let across = across.root().value().to_linear_saturating();
    let by_value = match tensors.iter().all(|t| t.above == 0) {
        true => way(1.0, 0.0, whole.sqrt(), exponent),
        false => way(along, across, whole.sqrt(), exponent),
    };
    Ok(Clipping {
        norm,
        factor: factor_of_all,
        torch_factor: (threshold / (norm.value().to_linear_saturating() + TORCH_EPSILON)).min(1.0),
        global: way(factor_of_all, 0.0, whole.sqrt(), exponent),
        per_tensor,
        by_value,
        tensors,
    })
}

/// `min(1, c/|g|)`; below the range of `f64` only where the norm is above it.
fn factor(norm: &Enclosure, threshold: f64) -> f64 {
    match norm.to_linear() {
        Some((g, ..)) => clipping_factor(g, threshold).unwrap_or(1.0),
        None => (threshold.ln() - norm.value().ln()).exp().min(1.0),
    }
}

/// Components along and across a gradient of norm `whole`, in units of `2^exponent`.
fn way(along: f64, across: f64, whole: f64, exponent: i64) -> Way {
    if whole == 0.0 {
        return Way {
            norm: LogScale::ZERO,
            angle: None,
        };
    }
    let left = (along * whole).hypot(across);
    Way {
        norm: LogScale::from_scaled(left, exponent).unwrap_or(LogScale::ZERO),
        angle: (left > 0.0).then(|| across.atan2(along * whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(x: &[f64]) -> MatrixRef<'_> {
        MatrixRef::row_major(x, 1, x.len()).unwrap()
    }

    #[test]
    fn angles_are_those_of_the_vectors() {
        let (a, b) = ([3.0, 4.0], [0.6, 0.8]);
        let c = clip(&[row(&a), row(&b)], 1.0).unwrap();
        assert!((c.norm.value().ln() - 0.5 * 26f64.ln()).abs() < 1e-14);
        assert!((c.factor - 1.0 / 26f64.sqrt()).abs() < 1e-15);
        assert!(c.torch_factor < c.factor && c.torch_factor > 0.999_999 * c.factor);
        assert_eq!(c.global.angle, Some(0.0));
        // (0.6, 0.8, 0.6, 0.8) against (3, 4, 0.6, 0.8), and (1, 1, 0.6, 0.8)
        let angle = |v: [f64; 4]| {
            let g = [3.0, 4.0, 0.6, 0.8];
            let dot: f64 = g.iter().zip(&v).map(|(a, b)| a * b).sum();
            let norm = |x: &[f64]| x.iter().map(|a| a * a).sum::<f64>().sqrt();
            (dot / norm(&g) / norm(&v)).acos()
        };
        assert!((c.per_tensor.angle.unwrap() - angle([0.6, 0.8, 0.6, 0.8])).abs() < 1e-14);
        assert!((c.by_value.angle.unwrap() - angle([1.0, 1.0, 0.6, 0.8])).abs() < 1e-14);
        assert!((c.per_tensor.norm.ln() - 0.5 * 2f64.ln()).abs() < 1e-14);
        assert_eq!((c.tensors[0].above, c.tensors[1].above), (2, 0));
        let scaled = [3e-300, 4e-300];
        let tiny = clip(&[row(&scaled)], 1e-300).unwrap();
        assert!((tiny.factor - 0.2).abs() < 1e-14 && tiny.tensors[0].own_factor == tiny.factor);
    }

    #[test]
    fn nothing_happens_below_the_threshold() {
        let c = clip(&[row(&[0.1, 0.2])], 1.0).unwrap();
        assert_eq!(
            (
                c.factor,
                c.torch_factor,
                c.per_tensor.angle,
                c.by_value.angle
            ),
            (1.0, 1.0, Some(0.0), Some(0.0))
        );
        let zero = clip(&[row(&[0.0])], 1.0).unwrap();
        assert_eq!((zero.factor, zero.global.angle), (1.0, None));
        assert!(clip(&[row(&[f64::INFINITY])], 1.0).is_err());
        assert!(clip(&[], f64::NAN).is_err());
        assert_eq!(clip(&[], 1.0).unwrap().factor, 1.0);
    }
}
