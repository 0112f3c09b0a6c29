//! Kernels as frameworks store them.

use crate::linalg::element::ElementType;
use crate::linalg::norms;
use crate::linalg::view::{MatrixRef, NonFinite};
use crate::scale::{Enclosure, exponent_of, ldexp};

/// The order of the axes of a stored kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Output channels, input channels of a group, then space: PyTorch (OIHW, OIW).
    #[default]
    OutputsFirst,
    /// Space, input channels of a group, output channels: Keras and TensorFlow (HWIO, WIO).
    OutputsLast,
}

impl Layout {
    /// The word used on the command line and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Layout::OutputsFirst => "oihw",
            Layout::OutputsLast => "hwio",
        }
    }
}

/// A tensor that is no convolution kernel.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum KernelError {
    /// Neither 3 nor 4 axes.
    #[error("shape {shape:?} is no convolution kernel: 3 axes (1-D) or 4 (2-D) are needed")]
    Axes {
        /// The shape.
        shape: Vec<usize>,
    },
    /// An axis of length 0, or a shape that is not that of the entries.
    #[error("shape {shape:?} does not describe {entries} entries")]
    Entries {
        /// The shape.
        shape: Vec<usize>,
        /// Entries there are.
        entries: usize,
    },
    /// Complex entries.
    #[error("complex kernels are not supported")]
    Complex,
    /// The output channels cannot be shared out.
    #[error("{outputs} output channels cannot be divided into {groups} groups")]
    Groups {
        /// Output channels.
        outputs: usize,
        /// Groups asked for.
        groups: usize,
    },
    /// An entry is NaN or infinite.
    #[error(
        "the kernel, as a matrix of its first axis by the others, holds {0}; repair the entry or find what wrote it"
    )]
    NonFinite(NonFinite),
}

/// A real convolution kernel, scaled by a power of two to a largest entry in `[1/2, 1)`.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Tap after tap; within a tap the `outputs x inputs-of-a-group` matrix row by row.
    data: Vec<f64>,
    taps: [usize; 2],
    axes: usize,
    outputs: usize,
    /// Input channels of one group.
    inputs: usize,
    groups: usize,
    exponent: i64,
    element_type: ElementType,
    reshaped: Enclosure,
}

impl Kernel {
    /// Reads a kernel of the given stored shape from a matrix of its first axis by all the others in
    /// C order, which is how tensors come out of `formats`.
    ///
    /// # Errors
    /// See [`KernelError`].
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::convolution::{Kernel, Layout};
    /// use isometer::linalg::view::MatrixRef;
    /// let data: Vec<f32> = (0..24).map(|i| i as f32).collect();
    /// // 2 outputs, 3 inputs, 2 x 2 taps, stored as PyTorch does
    /// let stored = MatrixRef::row_major(&data, 2, 12).unwrap();
    /// let k = Kernel::new(&stored, &[2, 3, 2, 2], Layout::OutputsFirst, 1).unwrap();
    /// assert_eq!((k.outputs(), k.inputs(), k.taps()), (2, 3, [2, 2]));
    /// ```
    pub fn new(
        view: &MatrixRef<'_>,
        shape: &[usize],
        layout: Layout,
        groups: usize,
    ) -> Result<Kernel, KernelError> {
        let (axes, taps, inputs, outputs) = match (layout, shape) {
            (Layout::OutputsFirst, &[o, i, w]) => (1, [1, w], i, o),
            (Layout::OutputsLast, &[w, i, o]) => (1, [1, w], i, o),
            (Layout::OutputsFirst, &[o, i, h, w]) => (2, [h, w], i, o),
            (Layout::OutputsLast, &[h, w, i, o]) => (2, [h, w], i, o),
            _ => {
                return Err(KernelError::Axes {
                    shape: shape.to_vec(),
                });
            }
        };
        let rest = shape[1..].iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        if shape.contains(&0) || view.rows() != shape[0] || Some(view.cols()) != rest {
            return Err(KernelError::Entries {
                shape: shape.to_vec(),
                entries: view.rows() * view.cols(),
            });
        }
        if view.element_type().is_complex() {
            return Err(KernelError::Complex);
        }
        if groups == 0 || !outputs.is_multiple_of(groups) {
            return Err(KernelError::Groups { outputs, groups });
        }
        if let Some(bad) = view.first_nonfinite() {
            return Err(bad.into());
        }
        let max = view.max_component();
        let exponent = if max == 0.0 {
            0
        } else {
            i64::from(exponent_of(max)) + 1
        };
        let count = taps[0] * taps[1];
        let mut data = Vec::with_capacity(count * inputs * outputs);
        let mut plain = Vec::with_capacity(count * inputs * outputs);
        for tap in 0..count {
            for o in 0..outputs {
                for i in 0..inputs {
                    let flat = match layout {
                        Layout::OutputsFirst => (o * inputs + i) * count + tap,
                        Layout::OutputsLast => (tap * inputs + i) * outputs + o,
                    };
                    let x = view.get(flat / view.cols(), flat % view.cols()).0;
                    data.push(ldexp(x, -exponent));
                    plain.push(x);
                }
            }
        }
        let reshaped = reshaped_norm(&plain, count, outputs, inputs)?;
        Ok(Kernel {
            data,
            taps,
            axes,
            outputs,
            inputs,
            groups,
            exponent,
            element_type: view.element_type(),
            reshaped,
        })
    }

    /// Height and width; the height of a kernel of one dimension is 1.
    pub fn taps(&self) -> [usize; 2] {
        self.taps
    }

    /// Axes in space: 1 or 2.
    pub fn axes(&self) -> usize {
        self.axes
    }

    /// Output channels.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Input channels, of all groups together.
    pub fn inputs(&self) -> usize {
        self.inputs * self.groups
    }

    /// Groups: output and input channels are shared out in their order.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The format of the stored entries.
    pub fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// Power of two by which every number computed from the scaled entries is to be multiplied.
    pub fn exponent(&self) -> i64 {
        self.exponent
    }

    /// Whether every entry is zero.
    pub fn is_zero(&self) -> bool {
        self.data.iter().all(|x| *x == 0.0)
    }

    /// Spectral norm of the kernel reshaped to `outputs x (inputs-of-a-group taps)`, a proved enclosure: what
    /// `torch.nn.utils.spectral_norm` divides by. The convolution's own norm is up to the root
    /// of the number of taps larger (Tsuzuku, Sato and Sugiyama, arXiv:1802.04034), and not below it
    /// divided by that root.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::convolution::{Kernel, Layout};
    /// use isometer::linalg::view::MatrixRef;
    /// let taps = MatrixRef::row_major(&[3.0, 4.0], 1, 2).unwrap();
    /// let kernel = Kernel::new(&taps, &[1, 1, 2], Layout::OutputsFirst, 1).unwrap();
    /// assert!((kernel.reshaped_norm().to_linear().unwrap().0 - 5.0).abs() < 1e-13); // the convolution has 7
    /// ```
    pub fn reshaped_norm(&self) -> Enclosure {
        self.reshaped
    }

    /// Scaled entry of tap `tap`, output channel `o` and input channel `i` of its group.
    pub(super) fn at(&self, tap: usize, o: usize, i: usize) -> f64 {
        self.data[(tap * self.outputs + o) * self.inputs + i]
    }

    /// Scaled taps of all channels, each an `outputs x inputs-of-a-group` matrix.
    pub(crate) fn matrices(&self) -> Vec<faer::Mat<f64>> {
        let (m, n) = (self.outputs, self.inputs);
        (0..self.taps[0] * self.taps[1])
            .map(|tap| faer::Mat::from_fn(m, n, |o, i| self.at(tap, o, i)))
            .collect()
    }

    /// Scaled taps of one group, each an `outputs x inputs` matrix of that group in column-major order.
    pub(super) fn group(&self, g: usize) -> Vec<faer::Mat<f64>> {
        let out = self.outputs / self.groups;
        (0..self.taps[0] * self.taps[1])
            .map(|tap| faer::Mat::from_fn(out, self.inputs, |o, i| self.at(tap, g * out + o, i)))
            .collect()
    }
}

fn reshaped_norm(
    plain: &[f64],
    taps: usize,
    outputs: usize,
    inputs: usize,
) -> Result<Enclosure, KernelError> {
    let mut rows = vec![0.0; plain.len()];
    for (k, x) in plain.iter().enumerate() {
        let (tap, o, i) = (k / (outputs * inputs), k / inputs % outputs, k % inputs);
        rows[(o * inputs + i) * taps + tap] = *x;
    }
    let entries = rows.len();
    let view =
        MatrixRef::row_major(&rows, outputs, inputs * taps).map_err(|_| KernelError::Entries {
            shape: vec![outputs, inputs, taps],
            entries,
        })?;
    Ok(norms::two(&view)?)
}
