//! The conditioning of a convolution, circular or zero-padded, with every bound of its norm.
//!
//! *By how much does this layer stretch a feature map?* [`convolution_condition`] chooses the route: on a torus one
//! Cholesky proof for each frequency (certified), for a small zero-padded map the explicit matrix (certified), for
//! a large one a larger torus from above, a vector from below, and Lanczos between (probabilistic, with its failure
//! probability).
//!
//! ```
//! use isometer::bounds::convolution::{ConvolutionOptions, convolution_condition};
//! use isometer::linalg::convolution::{Convolution, Geometry, Kernel, Layout};
//! use isometer::linalg::view::MatrixRef;
//!
//! // y[p] = 3 x[p] + x[p + 1] on a circle of 6: |3 + e^(iw)| goes from 2 to 4
//! let taps = MatrixRef::row_major(&[3.0, 1.0], 1, 2).unwrap();
//! let kernel = Kernel::new(&taps, &[1, 1, 2], Layout::OutputsFirst, 1).unwrap();
//! let c = Convolution::new(kernel, Geometry::torus(1, 6)).unwrap();
//! let found = convolution_condition(&c, &ConvolutionOptions::default()).unwrap();
//! let (kappa, lo, hi) = found.conditioning.cond.enclosure.to_linear().unwrap();
//! assert!(lo <= 2.0 && 2.0 <= hi && (kappa - 2.0).abs() < 1e-9);
//! // the kernel as a 1 x 2 matrix has norm sqrt 10
//! assert!((found.reshaped.to_linear().unwrap().0 - 10f64.sqrt()).abs() < 1e-12);
//! ```

use super::operator::{OperatorError, OperatorOptions, operator_norm};
use crate::linalg::condition::{
    ConditionError, ConditionOptions, Conditioning, Effort, Measured, Method, condition,
};
use crate::linalg::convolution::{Convolution, NoConvergence, Progress, ZeroPadded};
use crate::linalg::view::MatrixRef;
use crate::scale::{Certainty, Enclosure};

/// What to compute.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConvolutionOptions {
    /// Certified enclosures (default), or all singular values with a predicted error; an estimate
    /// is computed from all singular values too.
    pub effort: Effort,
    /// Lanczos for zero padding: seed and failure probability.
    pub operator: OperatorOptions,
}

/// One bound of the norm.
#[derive(Clone, Debug, PartialEq)]
pub struct NormBound {
    /// What it is.
    pub name: &'static str,
    /// Whether it bounds from above.
    pub upper: bool,
    /// The bound, as a point.
    pub value: Enclosure,
    /// What it is worth.
    pub certainty: Certainty,
    /// Probability that it is wrong, where it is probabilistic.
    pub failure_probability: Option<f64>,
}

/// A convolution and what it does to lengths.
#[derive(Clone, Debug)]
pub struct ConvolutionConditioning {
    /// Singular values and condition number of the map.
    pub conditioning: Conditioning,
    /// Norm of the kernel reshaped to `outputs x rest`, which is not that of the map.
    pub reshaped: Enclosure,
    /// Every bound of the norm of a zero-padded map that is too large to be decomposed.
    pub bounds: Vec<NormBound>,
}

/// Why a convolution has no conditioning.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConvolutionError {
    /// A decomposition on the torus failed.
    #[error(transparent)]
    Torus(#[from] NoConvergence),
    /// The explicit matrix of a small map has no condition number.
    #[error(transparent)]
    Explicit(#[from] ConditionError),
    /// Lanczos failed.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

/// Zero-padded maps with no more than this many entries and rows or columns are written down and treated as
/// any other matrix.
const EXPLICIT_ENTRIES: usize = 1 << 21;
const EXPLICIT_SIDE: usize = 768;

/// Floating-point operations for Lanczos on a zero-padded map.
const LANCZOS_WORK: f64 = 1e10;

/// Conditioning of a convolution as a map between signals.
///
/// On a torus both ends are proved (theorem: threshold-race) or the whole spectrum is decomposed. With
/// zeros a small map is written down; of a large one the norm is enclosed between a vector and a
/// larger torus (theorem: torus-embedding), and the smallest singular value is bounded from above only.
///
/// # Errors
/// See [`ConvolutionError`].
///
/// # Examples
/// ```
/// use isometer::bounds::convolution::{ConvolutionOptions, convolution_condition};
/// use isometer::linalg::convolution::{Convolution, Geometry, Kernel, Layout, Padding};
/// use isometer::linalg::view::MatrixRef;
/// let taps = MatrixRef::row_major(&[1.0, 1.0, 1.0], 1, 3).unwrap();
/// let kernel = Kernel::new(&taps, &[1, 1, 3], Layout::OutputsFirst, 1).unwrap();
/// let c = Convolution::new(kernel, Geometry { padding: Padding::Same, ..Geometry::torus(1, 4) }).unwrap();
/// // a small zero-padded map is written down: tridiagonal ones, norm 1 + 2 cos(pi / 5)
/// let found = convolution_condition(&c, &ConvolutionOptions::default()).unwrap().conditioning;
/// let norm = 1.0 + 2.0 * (std::f64::consts::PI / 5.0).cos();
/// assert!((found.sigma_max.enclosure.to_linear().unwrap().0 - norm).abs() < 1e-12);
/// ```
pub fn convolution_condition(
    c: &Convolution,
    options: &ConvolutionOptions,
) -> Result<ConvolutionConditioning, ConvolutionError> {
    convolution_condition_with(c, options, None)
}

/// The same, telling how many frequencies of a torus are done.
///
/// # Errors
/// See [`ConvolutionError`].
pub fn convolution_condition_with(
    c: &Convolution,
    options: &ConvolutionOptions,
    progress: Option<Progress<'_>>,
) -> Result<ConvolutionConditioning, ConvolutionError> {
    let (conditioning, bounds) = match (c.is_circular(), options.effort) {
        (true, Effort::Certified) => (torus(c, progress)?, Vec::new()),
        _ if c.kernel().is_zero() => (torus(c, progress)?, Vec::new()),
        (true, _) => (torus_spectrum(c)?, Vec::new()),
        (false, _) => match explicit(c, options)? {
            Some(conditioning) => (conditioning, Vec::new()),
            None => zero_padded(c, options, progress)?,
        },
    };
    Ok(ConvolutionConditioning {
        conditioning,
        reshaped: c.kernel().reshaped_norm(),
        bounds,
    })
}

fn assemble(c: &Convolution, top: Measured, bottom: Measured, method: Method) -> Conditioning {
    let element = c.kernel().element_type();
    Conditioning::of_map((c.rows(), c.cols()), element, top, bottom, method)
}

fn torus(
    c: &Convolution,
    progress: Option<Progress<'_>>,
) -> Result<Conditioning, ConvolutionError> {
    let x = c.torus_extremes_with(progress);
    let measured = |enclosure| Measured {
        enclosure,
        certainty: Certainty::Certified,
    };
    let (top, bottom) = (measured(x.largest), measured(x.smallest));
    let mut found = assemble(c, top, bottom, Method::TorusCholesky);
    found.remark = x.remark;
    if found.rank.numerical.is_none() && !x.largest.is_zero() {
        // some singular value may lie below the threshold: count them
        let s = c.torus_spectrum()?;
        let u = c.kernel().element_type().unit_roundoff();
        found.rank.numerical = Some(s.numerical_rank(c.rows(), c.cols(), u));
    }
    Ok(found)
}

fn torus_spectrum(c: &Convolution) -> Result<Conditioning, ConvolutionError> {
    let s = c.torus_spectrum()?;
    let measured = |x: f64| Measured {
        enclosure: Enclosure::new(x, (x - s.error).max(0.0), x + s.error, s.exponent)
            .unwrap_or(Enclosure::UNKNOWN),
        certainty: Certainty::Estimate,
    };
    let ends = (s.values[0], s.values[s.values.len() - 1]);
    let mut found = assemble(c, measured(ends.0), measured(ends.1), Method::TorusSvd);
    let u = c.kernel().element_type().unit_roundoff();
    found.rank.numerical = Some(s.numerical_rank(c.rows(), c.cols(), u));
    found.singular_values = Some(s);
    Ok(found)
}

/// A small map as a dense matrix; its entries are those of the kernel, so nothing is rounded.
fn explicit(
    c: &Convolution,
    options: &ConvolutionOptions,
) -> Result<Option<Conditioning>, ConvolutionError> {
    if c.rows().min(c.cols()) > EXPLICIT_SIDE {
        return Ok(None);
    }
    let Some(a) = c.materialise(EXPLICIT_ENTRIES) else {
        return Ok(None);
    };
    let dense_options = ConditionOptions {
        effort: options.effort,
        ..ConditionOptions::default()
    };
    let view = MatrixRef::from_faer(a.as_ref());
    let mut found = condition(&view, &dense_options)?;
    let exponent = c.kernel().exponent();
    for m in [&mut found.sigma_max, &mut found.sigma_min] {
        m.enclosure = m.enclosure.shifted(exponent);
    }
    if let Some(s) = &mut found.singular_values {
        s.exponent += exponent;
    }
    found.set_element_type(&view, c.kernel().element_type());
    Ok(Some(found))
}

fn zero_padded(
    c: &Convolution,
    options: &ConvolutionOptions,
    progress: Option<Progress<'_>>,
) -> Result<(Conditioning, Vec<NormBound>), ConvolutionError> {
    let exponent = c.kernel().exponent();
    let point = |x: f64| Enclosure::point(x, exponent).unwrap_or(Enclosure::UNKNOWN);
    let taps = c.kernel().taps();
    let outputs = (c.output()[0] * c.output()[1]) as f64;
    let channels = (c.kernel().inputs() * c.kernel().outputs() / c.kernel().groups()) as f64;
    let step = 4.0 * (taps[0] * taps[1]) as f64 * channels * outputs;
    let operator = OperatorOptions {
        max_steps: ((LANCZOS_WORK / step) as usize).clamp(12, options.operator.max_steps.max(12)),
        ..options.operator
    };
    let lanczos = operator_norm(&ZeroPadded::new(c), &operator)?;
    let (_, _, above, _) = c.zero_padding_bound_with(progress).scaled();
    let largest = Enclosure::new(lanczos.lower, lanczos.lower.min(above), above, exponent)
        .unwrap_or(Enclosure::UNKNOWN);
    let smallest = Enclosure::new(
        lanczos.smallest_upper,
        0.0,
        lanczos.smallest_upper,
        exponent,
    )
    .unwrap_or(Enclosure::UNKNOWN);
    let top = Measured {
        enclosure: largest,
        certainty: Certainty::Certified,
    };
    let bottom = Measured {
        enclosure: smallest,
        certainty: Certainty::Upper,
    };
    let mut found = assemble(c, top, bottom, Method::TorusEmbedding);
    found.cond.certainty = Certainty::Lower;
    found.remark = Some(
        "too large to be written down as a matrix: the smallest singular value is bounded from above only".into(),
    );
    let bound = |name, upper, value, certainty, failure_probability| NormBound {
        name,
        upper,
        value: point(value),
        certainty,
        failure_probability,
    };
    let failure = Some(lanczos.failure_probability);
    let bounds = vec![
        bound("larger torus", true, above, Certainty::Upper, None),
        bound(
            "Lanczos polynomial",
            true,
            lanczos.upper,
            Certainty::Probabilistic,
            failure,
        ),
        bound("a signal", false, lanczos.lower, Certainty::Lower, None),
    ];
    Ok((found, bounds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::convolution::{Geometry, Kernel, Layout, Padding};

    fn conv(channels: usize, size: usize, padding: Padding) -> Convolution {
        let count = channels * channels * 9;
        let data: Vec<f64> = (0..count)
            .map(|k| ((k * k + 3 * k) % 17) as f64 - 7.0)
            .collect();
        let view = MatrixRef::row_major(&data, channels, channels * 9).unwrap();
        let shape = [channels, channels, 3, 3];
        let k = Kernel::new(&view, &shape, Layout::OutputsFirst, 1).unwrap();
        let geometry = Geometry {
            padding,
            ..Geometry::torus(size, size)
        };
        Convolution::new(k, geometry).unwrap()
    }

    /// The same zero-padded map written down and by its products: the enclosures of the norm overlap, and the
    /// bounds lie on their side of the truth, closely.
    #[test]
    fn products_and_the_explicit_matrix_agree() {
        let c = conv(2, 10, Padding::Same);
        let options = ConvolutionOptions::default();
        let dense = explicit(&c, &options).unwrap().unwrap();
        let (x, bounds) = zero_padded(&c, &options, None).unwrap();
        let truth = dense.sigma_max.enclosure.to_linear().unwrap();
        let (_, lo, hi) = x.sigma_max.enclosure.to_linear().unwrap();
        assert!(
            lo <= truth.2 && truth.1 <= hi && hi < 1.1 * lo,
            "{lo} {truth:?} {hi}"
        );
        let least = dense.sigma_min.enclosure.to_linear().unwrap().1;
        assert!(least <= x.sigma_min.enclosure.to_linear().unwrap().2);
        assert_eq!(x.cond.certainty, Certainty::Lower);
        let dense_kappa = dense.cond.enclosure.to_linear().unwrap();
        assert!(x.cond.enclosure.to_linear().unwrap().1 <= dense_kappa.2);
        for b in bounds {
            let value = b.value.to_linear().unwrap().0;
            let right = if b.upper {
                value >= truth.1
            } else {
                value <= truth.2
            };
            assert!(
                right && (value / truth.0 - 1.0).abs() < 0.1,
                "{b:?} {truth:?}"
            );
        }
    }

    /// Certified, spectrum and explicit routes on a torus tell one story.
    #[test]
    fn routes_on_a_torus_agree() {
        let c = conv(3, 6, Padding::Circular);
        let by = |effort| {
            let options = ConvolutionOptions {
                effort,
                ..ConvolutionOptions::default()
            };
            convolution_condition(&c, &options).unwrap().conditioning
        };
        let (proved, seen) = (by(Effort::Certified), by(Effort::Spectrum));
        for (a, b) in [
            (&proved.sigma_max, &seen.sigma_max),
            (&proved.sigma_min, &seen.sigma_min),
        ] {
            assert!(a.enclosure.intersect(&b.enclosure).is_some(), "{a:?} {b:?}");
        }
        assert_eq!(proved.rank.numerical, seen.rank.numerical);
        assert_eq!((proved.rows, proved.cols), (108, 108));
        assert_eq!(proved.cond.certainty, Certainty::Certified);
    }
}
