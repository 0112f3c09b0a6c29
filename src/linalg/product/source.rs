//! Where the layers of a chain come from.

use crate::linalg::view::MatrixRef;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// One layer as plain doubles, column after column; reused from read to read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    rows: usize,
    cols: usize,
    data: Vec<f64>,
}

impl Layer {
    /// An empty layer to read into.
    pub fn new() -> Layer {
        Layer::default()
    }

    /// A `rows x cols` layer whose entries come from `f(row, col)`.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::product::Layer;
    /// let layer = Layer::from_fn(2, 3, |row, col| (10 * row + col) as f64);
    /// assert_eq!((layer.rows(), layer.cols(), layer.get(1, 2)), (2, 3, 12.0));
    /// assert_eq!(layer.transposed().get(2, 1), 12.0);
    /// ```
    pub fn from_fn(rows: usize, cols: usize, mut f: impl FnMut(usize, usize) -> f64) -> Layer {
        let mut data = Vec::with_capacity(rows * cols);
        for j in 0..cols {
            for i in 0..rows {
                data.push(f(i, j));
            }
        }
        Layer { rows, cols, data }
    }

    /// Sets the shape, zeroes the entries and lends them: entry `(i, j)` is `[i + j * rows]`.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::product::Layer;
    /// let mut layer = Layer::new();
    /// layer.reset(2, 2).copy_from_slice(&[1.0, 2.0, 3.0, 4.0]); // column after column
    /// assert_eq!((layer.get(1, 0), layer.get(0, 1)), (2.0, 3.0));
    /// ```
    pub fn reset(&mut self, rows: usize, cols: usize) -> &mut [f64] {
        (self.rows, self.cols) = (rows, cols);
        self.data.clear();
        self.data.resize(rows * cols, 0.0);
        &mut self.data
    }

    /// Number of rows: the width after the layer.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns: the width before the layer.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The entries, column after column.
    pub fn entries(&self) -> &[f64] {
        &self.data
    }

    /// Entry `(i, j)`.
    ///
    /// # Panics
    /// If the index is outside the shape.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        assert!(i < self.rows && j < self.cols, "index [{i}, {j}]");
        self.data[i + j * self.rows]
    }

    /// Rows and columns exchanged.
    pub fn transposed(&self) -> Layer {
        Layer::from_fn(self.cols, self.rows, |i, j| self.get(j, i))
    }

    pub(super) fn column(&self, j: usize) -> &[f64] {
        &self.data[j * self.rows..(j + 1) * self.rows]
    }

    pub(super) fn entries_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }
}

/// A chain of layers with random access. Layer 0 is applied first. A layer is read several times
/// (a scan, a forward pass, a backward pass) and must be the same each time.
///
/// # Examples
/// ```
/// use isometer::linalg::product::{Layer, LayerSource, ProductOptions, spectrum};
/// /// `diag(k + 1, 1)` for layer `k`: a product of norm `depth!`.
/// struct Growing(usize);
/// impl LayerSource for Growing {
///     type Error = std::convert::Infallible;
///     fn depth(&self) -> usize {
///         self.0
///     }
///     fn read(&mut self, k: usize, into: &mut Layer) -> Result<(), Self::Error> {
///         into.reset(2, 2).copy_from_slice(&[(k + 1) as f64, 0.0, 0.0, 1.0]);
///         Ok(())
///     }
/// }
/// let s = spectrum(&mut Growing(10), &ProductOptions::default()).unwrap();
/// assert!((s.log2_norm() - 3628800f64.log2()).abs() < 1e-9);
/// ```
pub trait LayerSource {
    /// Why a layer could not be read.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Number of layers.
    fn depth(&self) -> usize;

    /// Reads layer `k`, `k < depth()`, into `into`.
    ///
    /// # Errors
    /// Whatever the source can fail with; passed on with the index of the layer.
    fn read(&mut self, k: usize, into: &mut Layer) -> Result<(), Self::Error>;

    /// 2 where every layer is the real embedding `[[B, -C], [C, B]]` of a complex one, whose
    /// singular values come in pairs of which one is reported; else 1.
    fn multiplicity(&self) -> usize {
        1
    }
}

impl LayerSource for &[Layer] {
    type Error = std::convert::Infallible;

    fn depth(&self) -> usize {
        self.len()
    }

    fn read(&mut self, k: usize, into: &mut Layer) -> Result<(), Self::Error> {
        into.clone_from(&self[k]);
        Ok(())
    }
}

/// Stored matrices as a chain, widened exactly to `f64` one at a time. If one is complex, all are
/// embedded as real matrices of twice the size.
#[derive(Clone, Copy, Debug)]
pub struct MatrixChain<'a> {
    layers: &'a [MatrixRef<'a>],
    complex: bool,
}

impl<'a> MatrixChain<'a> {
    /// The chain `layers[L-1] ... layers[0]`.
    pub fn new(layers: &'a [MatrixRef<'a>]) -> MatrixChain<'a> {
        MatrixChain {
            layers,
            complex: layers.iter().any(|m| m.element_type().is_complex()),
        }
    }
}

impl LayerSource for MatrixChain<'_> {
    type Error = std::convert::Infallible;

    fn depth(&self) -> usize {
        self.layers.len()
    }

    fn read(&mut self, k: usize, into: &mut Layer) -> Result<(), Self::Error> {
        let m = &self.layers[k];
        let (rows, cols) = (m.rows(), m.cols());
        if self.complex {
            let data = into.reset(2 * rows, 2 * cols);
            for j in 0..cols {
                for i in 0..rows {
                    let (re, im) = m.get(i, j);
                    data[i + j * 2 * rows] = re;
                    data[rows + i + j * 2 * rows] = im;
                    data[i + (cols + j) * 2 * rows] = -im;
                    data[rows + i + (cols + j) * 2 * rows] = re;
                }
            }
        } else {
            let data = into.reset(rows, cols);
            for j in 0..cols {
                for i in 0..rows {
                    data[i + j * rows] = m.get(i, j).0;
                }
            }
        }
        Ok(())
    }

    fn multiplicity(&self) -> usize {
        if self.complex { 2 } else { 1 }
    }
}

/// Square layers with independent `N(0, alpha^2)` entries. Layer `k` is stream `k` of a ChaCha
/// generator, so it does not depend on the order of reading or on threads.
///
/// # Examples
/// ```
/// use isometer::linalg::product::{GaussianChain, Layer, LayerSource};
/// let mut chain = GaussianChain { depth: 3, width: 2, alpha: 0.0, seed: 1 };
/// let mut layer = Layer::new();
/// chain.read(2, &mut layer).unwrap();
/// assert_eq!((chain.depth(), layer.entries()), (3, &[0.0; 4][..])); // alpha = 0
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianChain {
    /// Number of layers.
    pub depth: usize,
    /// Rows and columns of each layer.
    pub width: usize,
    /// Factor on standard normal entries.
    pub alpha: f64,
    /// Seed of the generator.
    pub seed: u64,
}

impl LayerSource for GaussianChain {
    type Error = std::convert::Infallible;

    fn depth(&self) -> usize {
        self.depth
    }

    fn read(&mut self, k: usize, into: &mut Layer) -> Result<(), Self::Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(k as u64);
        for x in into.reset(self.width, self.width) {
            let z: f64 = StandardNormal.sample(&mut rng);
            *x = self.alpha * z;
        }
        Ok(())
    }
}
