//! All singular values of a convolution on a torus, by one decomposition for each frequency.

use super::symbol::Stencil;
use super::{Convolution, NoConvergence};
use crate::linalg::singular::SingularValues;
use rayon::prelude::*;

impl Convolution {
    /// All singular values on the torus of the input's size, whatever the padding, largest first
    /// (Sedghi, Gupta and Long, arXiv:1805.10408). With circular padding they are those of the map.
    ///
    /// # Errors
    /// [`NoConvergence`].
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::convolution::{Convolution, Geometry, Kernel, Layout};
    /// use isometer::linalg::view::MatrixRef;
    /// let taps = MatrixRef::row_major(&[3.0, 1.0], 1, 2).unwrap();
    /// let kernel = Kernel::new(&taps, &[1, 1, 2], Layout::OutputsFirst, 1).unwrap();
    /// let s = Convolution::new(kernel, Geometry::torus(1, 4)).unwrap().torus_spectrum().unwrap();
    /// // |3 + e^(iw)| at w = 0, +-pi/2, pi
    /// let sigma: Vec<f64> = (0..4).map(|i| s.log(i).to_linear().unwrap()).collect();
    /// assert!((sigma[0] - 4.0).abs() < 1e-12 && (sigma[1] - 10f64.sqrt()).abs() < 1e-12);
    /// assert!((sigma[2] - sigma[1]).abs() < 1e-12 && (sigma[3] - 2.0).abs() < 1e-12);
    /// ```
    pub fn torus_spectrum(&self) -> Result<SingularValues, NoConvergence> {
        let stencil = Stencil::new(&self.on_torus(self.geometry().size));
        let grid = stencil.half_grid();
        let per_group: Vec<Option<Vec<f64>>> = (0..stencil.groups() * grid.len())
            .into_par_iter()
            .map(|k| {
                let f = grid[k % grid.len()];
                let s = stencil.evaluate(k / grid.len(), f).singular_values()?;
                Some(s.repeat(f.multiplicity))
            })
            .collect();
        let failed = NoConvergence {
            frequencies: grid.len(),
        };
        let nested: Option<Vec<Vec<f64>>> = per_group.into_iter().collect();
        let mut values: Vec<f64> = nested.ok_or(failed)?.concat();
        values.sort_by(|a, b| b.total_cmp(a));
        let top = values.first().copied().unwrap_or(0.0);
        let steps = (stencil.rows() + stencil.cols() + 10) as f64;
        Ok(SingularValues {
            error: 2.0 * steps * f64::EPSILON * top + stencil.error(),
            exponent: self.kernel().exponent(),
            values,
        })
    }
}
