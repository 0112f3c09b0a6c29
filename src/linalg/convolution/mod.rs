//! Convolutions as linear maps: their singular values on a torus, with proof, and what zero padding
//! makes of them.
//!
//! `y[o, p] = sum_(i,t) K[o, i, t] x[i, s p + d t - pad]`, the cross-correlation that deep learning calls
//! convolution, with stride `s`, dilation `d` and groups. On a torus (circular padding) a Fourier
//! transform splits it into one small complex matrix for each frequency, the symbol
//! (Sedghi, Gupta and Long, arXiv:1805.10408; stride by polyphase components). Theorem: polyphase-symbol.
//!
//! Zero padding is no circulant: the number of the torus of the same size is *not* an upper bound.
//! The zero-padded map is a submatrix of the circulant on a larger torus, whose norm is.
//! Theorem: torus-embedding.
//!
//! Start with [`Kernel::new`] and [`Convolution::new`]; then [`Convolution::torus_norm`] or
//! [`Convolution::torus_extremes`] (certified), [`Convolution::torus_spectrum`] (estimate),
//! [`Convolution::zero_padding_bound`] and [`resolution_free_bound`] (certified, from above).
//! [`bounds::convolution`](crate::bounds::convolution) chooses among them.
//!
//! ```
//! use isometer::linalg::convolution::{Convolution, Geometry, Kernel, Layout};
//! use isometer::linalg::view::MatrixRef;
//!
//! // the difference y[p] = x[p] - x[p + 1] on a circle of 8: symbol 1 - e^(iw), from 0 to 2
//! let taps = MatrixRef::row_major(&[1.0, -1.0], 1, 2).unwrap();
//! let kernel = Kernel::new(&taps, &[1, 1, 2], Layout::OutputsFirst, 1).unwrap();
//! // the reshaped kernel, which spectral normalization divides by, knows nothing of that
//! assert!((kernel.reshaped_norm().to_linear().unwrap().0 - 2f64.sqrt()).abs() < 1e-12);
//! let c = Convolution::new(kernel, Geometry::torus(1, 8)).unwrap();
//! assert!((c.torus_norm().to_linear().unwrap().0 - 2.0).abs() < 1e-12);
//! let s = c.torus_spectrum().unwrap(); // 2 |sin(w / 2)|
//! assert!(s.log(7).to_linear_saturating() < 1e-12);
//! assert!((s.log(3).to_linear().unwrap() - 2f64.sqrt()).abs() < 1e-12);
//! ```

mod kernel;
mod race;
mod resolution;
mod spectrum;
pub(super) mod symbol;
mod zeros;

pub use kernel::{Kernel, KernelError, Layout};
pub use resolution::resolution_free_bound;
pub use zeros::ZeroPadded;

use super::view::NonFinite;
use crate::scale::Enclosure;

/// What is told of a long computation: frequencies done, frequencies in all.
pub type Progress<'a> = &'a dyn Fn(usize, usize);

/// What surrounds the signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// The signal repeats.
    #[default]
    Circular,
    /// Zeros, `d (k - 1)` of them on each axis, half before (rounded down) and the rest after: the
    /// size is kept at stride 1.
    Same,
    /// So many zeros on every side.
    Zeros(usize),
}

/// Where a kernel acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Height and width of the input; a signal of one dimension has height 1.
    pub size: [usize; 2],
    /// Stride along each axis; 1 along the height of a signal of one dimension.
    pub stride: [usize; 2],
    /// Dilation along each axis: the distance of neighbouring taps.
    pub dilation: [usize; 2],
    /// What surrounds the input.
    pub padding: Padding,
}

impl Geometry {
    /// Stride 1, dilation 1, circular padding.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::convolution::{Geometry, Padding};
    /// let g = Geometry::torus(4, 6);
    /// assert_eq!((g.size, g.stride, g.padding), ([4, 6], [1, 1], Padding::Circular));
    /// ```
    pub fn torus(height: usize, width: usize) -> Geometry {
        Geometry {
            size: [height, width],
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::Circular,
        }
    }
}

/// Most positions of an input or output: every one has a frequency with a matrix of its own to bound.
pub const MAX_POSITIONS: usize = 1 << 24;

/// A kernel and a geometry that do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// A size, stride or dilation of 0.
    #[error("size, stride and dilation must be at least 1")]
    Zero,
    /// An input or output of more than [`MAX_POSITIONS`] positions, or a step beyond 2^31.
    #[error(
        "an input of {height} x {width} with this stride, dilation and padding is too large: at most {MAX_POSITIONS} positions"
    )]
    TooLarge {
        /// Height asked for.
        height: usize,
        /// Width asked for.
        width: usize,
    },
    /// A strided convolution on a torus must step around it evenly.
    #[error(
        "with circular padding stride {stride} must divide the size {size}; use zeros for the others"
    )]
    Stride {
        /// Size of the axis.
        size: usize,
        /// Stride along it.
        stride: usize,
    },
    /// A kernel of one dimension and an input of two.
    #[error("a kernel with one axis needs an input of one length, not {height} x {width}")]
    Dimensions {
        /// Height asked for.
        height: usize,
        /// Width asked for.
        width: usize,
    },
    /// The kernel reaches over the padded input.
    #[error("{reach} taps and gaps do not fit into {padded} padded points: there is no output")]
    NoOutput {
        /// Extent of the dilated kernel.
        reach: usize,
        /// Extent of the padded input.
        padded: usize,
    },
}

/// A convolution with everything that makes it a matrix.
#[derive(Clone, Debug)]
pub struct Convolution {
    kernel: Kernel,
    geometry: Geometry,
    before: [usize; 2],
    output: [usize; 2],
}

/// Why a decomposition failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the singular value iteration did not converge at one of {frequencies} frequencies")]
pub struct NoConvergence {
    /// How many symbols there were.
    pub frequencies: usize,
}

/// What is proved about the extreme singular values on a torus.
#[derive(Clone, Debug)]
pub struct TorusExtremes {
    /// Largest singular value.
    pub largest: Enclosure,
    /// Smallest of the `min(rows, cols)` singular values; the lower limit is 0 where nothing better
    /// could be proved.
    pub smallest: Enclosure,
    /// Why the map is singular, or what could not be proved.
    pub remark: Option<String>,
}

impl Convolution {
    /// Puts a kernel on an input.
    ///
    /// # Errors
    /// See [`GeometryError`].
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::convolution::{Convolution, Geometry, Kernel, Layout, Padding};
    /// use isometer::linalg::view::MatrixRef;
    /// let taps = MatrixRef::row_major(&[1.0, 2.0, 3.0], 1, 3).unwrap();
    /// let kernel = Kernel::new(&taps, &[1, 1, 3], Layout::OutputsFirst, 1).unwrap();
    /// let geometry = Geometry { stride: [1, 2], padding: Padding::Zeros(1), ..Geometry::torus(1, 8) };
    /// assert_eq!(Convolution::new(kernel, geometry).unwrap().output(), [1, 4]);
    /// ```
    pub fn new(kernel: Kernel, geometry: Geometry) -> Result<Convolution, GeometryError> {
        let Geometry {
            size: [height, width],
            stride,
            dilation,
            padding,
        } = geometry;
        let too_large = GeometryError::TooLarge { height, width };
        if height == 0 || width == 0 || stride.contains(&0) || dilation.contains(&0) {
            return Err(GeometryError::Zero);
        }
        if kernel.axes() == 1 && (height > 1 || stride[0] > 1) {
            return Err(GeometryError::Dimensions { height, width });
        }
        let (mut before, mut output) = ([0; 2], [0; 2]);
        let limit = 1usize << 31;
        for axis in 0..2 {
            let (n, s) = (geometry.size[axis], stride[axis]);
            let reach = dilation[axis]
                .checked_mul(kernel.taps()[axis] - 1)
                .filter(|r| *r < limit)
                .ok_or(too_large)?;
            if n >= limit || s >= limit {
                return Err(too_large);
            }
            let flat = kernel.axes() == 1 && axis == 0;
            let (first, last) = match padding {
                Padding::Circular => {
                    if !n.is_multiple_of(s) {
                        return Err(GeometryError::Stride { size: n, stride: s });
                    }
                    output[axis] = n / s;
                    continue;
                }
                Padding::Same => (reach / 2, reach - reach / 2),
                Padding::Zeros(_) if flat => (0, 0),
                Padding::Zeros(p) if p < limit => (p, p),
                Padding::Zeros(_) => return Err(too_large),
            };
            let padded = n + first + last;
            if padded < reach + 1 {
                return Err(GeometryError::NoOutput {
                    reach: reach + 1,
                    padded,
                });
            }
            before[axis] = first;
            output[axis] = (padded - reach - 1) / s + 1;
        }
        let channels = kernel.inputs().max(kernel.outputs());
        let fits = |[h, w]: [usize; 2]| {
            let positions = h.checked_mul(w).filter(|p| *p <= MAX_POSITIONS)?;
            positions.checked_mul(channels)
        };
        fits(geometry.size).ok_or(too_large)?;
        fits(output).ok_or(too_large)?;
        Ok(Convolution {
            kernel,
            geometry,
            before,
            output,
        })
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Where it acts.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Height and width of the output.
    pub fn output(&self) -> [usize; 2] {
        self.output
    }

    /// Rows of the matrix: output channels times output points.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::convolution::{Convolution, Geometry, Kernel, Layout};
    /// use isometer::linalg::view::MatrixRef;
    /// let taps = MatrixRef::row_major(&[1.0; 12], 2, 6).unwrap(); // 2 outputs, 3 inputs, 2 taps
    /// let kernel = Kernel::new(&taps, &[2, 3, 2], Layout::OutputsFirst, 1).unwrap();
    /// let c = Convolution::new(kernel, Geometry::torus(1, 8)).unwrap();
    /// assert_eq!((c.rows(), c.cols()), (16, 24));
    /// ```
    pub fn rows(&self) -> usize {
        self.kernel.outputs() * self.output[0] * self.output[1]
    }

    /// Columns of the matrix: input channels times input points.
    pub fn cols(&self) -> usize {
        self.kernel.inputs() * self.geometry.size[0] * self.geometry.size[1]
    }

    /// Whether the input is a torus.
    pub fn is_circular(&self) -> bool {
        self.geometry.padding == Padding::Circular
    }

    /// Zeros before the first point of an axis that some tap can meet, and after the last.
    fn reachable_padding(&self, axis: usize) -> (usize, usize) {
        let reach = self.geometry.dilation[axis] * (self.kernel.taps()[axis] - 1);
        // the last tap of the last output, less the last point of the input
        let end = self.geometry.stride[axis] * (self.output[axis] - 1) + reach;
        let after = (end + 1).saturating_sub(self.before[axis] + self.geometry.size[axis]);
        (self.before[axis].min(reach), after.min(reach))
    }

    /// The same kernel, stride and dilation on a torus, no smaller than asked for and a multiple of the
    /// stride.
    fn on_torus(&self, size: [usize; 2]) -> Convolution {
        let s = self.geometry.stride;
        let size = [0, 1].map(|axis| size[axis].next_multiple_of(s[axis]));
        Convolution {
            kernel: self.kernel.clone(),
            geometry: Geometry {
                size,
                padding: Padding::Circular,
                ..self.geometry
            },
            before: [0; 2],
            output: [size[0] / s[0], size[1] / s[1]],
        }
    }

    /// The matrix entry by entry, channels fastest in rows and columns, to be multiplied by
    /// `2^exponent` of the kernel. Where taps meet on a small torus entries are rounded sums. `None` where
    /// it would have more than `limit` entries.
    pub(crate) fn materialise(&self, limit: usize) -> Option<super::dense::Matrix> {
        let (rows, cols) = (self.rows(), self.cols());
        if rows.checked_mul(cols)? > limit {
            return None;
        }
        let mut a = faer::Mat::zeros(rows, cols);
        let (k, [h, w]) = (&self.kernel, self.geometry.size);
        let (out, input) = (k.outputs() / k.groups(), k.inputs() / k.groups());
        for p in 0..self.output[0] * self.output[1] {
            let at = [p / self.output[1], p % self.output[1]];
            for tap in 0..k.taps()[0] * k.taps()[1] {
                let t = [tap / k.taps()[1], tap % k.taps()[1]];
                let Some([y, x]) = self.source(at, t) else {
                    continue;
                };
                let q = (y % h) * w + x % w;
                for g in 0..k.groups() {
                    for o in 0..out {
                        for i in 0..input {
                            let (r, c) = (g * out + o, g * input + i);
                            a[(p * k.outputs() + r, q * k.inputs() + c)] += k.at(tap, r, i);
                        }
                    }
                }
            }
        }
        Some(a)
    }

    /// The point that tap `t` of output `at` reads; `None` in the padding.
    fn source(&self, at: [usize; 2], t: [usize; 2]) -> Option<[usize; 2]> {
        let g = &self.geometry;
        let mut point = [0; 2];
        for axis in 0..2 {
            let position = g.stride[axis] * at[axis] + g.dilation[axis] * t[axis];
            point[axis] = if self.is_circular() {
                position % g.size[axis]
            } else {
                position
                    .checked_sub(self.before[axis])
                    .filter(|x| *x < g.size[axis])?
            };
        }
        Some(point)
    }
}

impl From<NonFinite> for KernelError {
    fn from(bad: NonFinite) -> KernelError {
        KernelError::NonFinite(bad)
    }
}

#[cfg(test)]
mod tests;
