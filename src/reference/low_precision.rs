//! The same passes in a narrower number format, to see what it loses.
//!
//! Weights, biases, every stored vector (normalized, activated, affine, residual stream) and every
//! stored element of a gradient are rounded to the format, to nearest even, with its subnormal
//! numbers and its infinity. Each product-sum is computed in double precision or better and rounded
//! once, as by hardware with wide accumulators: narrower accumulation only loses more.

use super::gradients::Gradients;
use super::mlp::Mlp;
use super::scaled::Scaled;
use crate::network::NumberFormat;

/// What a format made of the elements of a gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Elements.
    pub elements: usize,
    /// Those that are 0 in the format and not in the reference.
    pub became_zero: usize,
    /// Those that are infinite or NaN.
    pub overflowed: usize,
}

impl Losses {
    /// Compares vectors element by element.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    ///
    /// # Examples
    /// ```
    /// use isometer::reference::{Losses, Scaled};
    /// let found = Losses::between(&Scaled::new(vec![1.0, 0.0]), &Scaled::new(vec![1.0, 1e-9]));
    /// assert_eq!((found.elements, found.became_zero, found.overflowed), (2, 1, 0));
    /// ```
    pub fn between(narrow: &Scaled, reference: &Scaled) -> Losses {
        assert_eq!(narrow.len(), reference.len(), "lengths of a comparison");
        let pairs = narrow.values().iter().zip(reference.values());
        let count =
            |what: &dyn Fn(f64, f64) -> bool| pairs.clone().filter(|(a, b)| what(**a, **b)).count();
        Losses {
            elements: narrow.len(),
            became_zero: count(&|a, b| a == 0.0 && b != 0.0),
            overflowed: count(&|a, _| !a.is_finite()),
        }
    }
}

/// What a format made of a gradient step on one layer of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Updates {
    /// Weights.
    pub elements: usize,
    /// Those whose gradient is not 0.
    pub wanted: usize,
    /// Those of them that the step leaves as they are: `w + step == w` in the format.
    pub lost: usize,
}

pub(super) fn rounded(v: &Scaled, format: NumberFormat) -> Scaled {
    let entries = (0..v.len()).map(|i| format.nearest(v.get(i)));
    Scaled::new(entries.collect())
}

impl Mlp {
    /// The network with weights and biases rounded to `format`, whose passes round all they store.
    ///
    /// Stored weights are rounded, the multiplier is not; it acts inside the product-sum. A loss scale
    /// is a factor on the cotangent.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{NumberFormat, activation::Activation};
    /// use isometer::reference::{Architecture, Dense, Mlp, Scaled};
    /// let layers = vec![Dense::new(1, 1, vec![1e-5]), Dense::new(1, 1, vec![1e-5])];
    /// let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Linear)).unwrap();
    /// let half = mlp.in_format(NumberFormat::F16);
    /// assert!(half.forward(&Scaled::new(vec![1.0])).output().is_zero()); // 1e-10 underflows
    /// assert!(!mlp.forward(&Scaled::new(vec![1.0])).output().is_zero());
    /// ```
    #[must_use]
    pub fn in_format(&self, format: NumberFormat) -> Mlp {
        let mut narrow = self.clone();
        narrow.format = Some(format);
        for layer in &mut narrow.layers {
            let alpha = layer.multiplier;
            let round = |w: &mut f64| *w = alpha * format.nearest(*w / alpha);
            layer.weights.iter_mut().for_each(round);
            layer
                .bias
                .iter_mut()
                .flatten()
                .for_each(|b| *b = format.nearest(*b));
        }
        narrow
    }

    /// The format that passes round to, if any.
    pub fn format(&self) -> Option<NumberFormat> {
        self.format
    }
}

impl Gradients<'_> {
    /// A step of gradient descent `w - rate g` on the stored weights of layer `l`, in the format of the
    /// network (f64 for a network in none). `rate` includes the inverse of a loss scale. The step is
    /// computed in double precision and only the new weight is rounded: the best case.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{NumberFormat, activation::Activation};
    /// use isometer::reference::{Architecture, Dense, Mlp, Scaled};
    /// let layers = vec![Dense::new(1, 1, vec![1.0]), Dense::new(1, 1, vec![1.0])];
    /// let mlp = Mlp::from_layers(layers, Architecture::new(Activation::Linear)).unwrap();
    /// let half = mlp.in_format(NumberFormat::Bf16);
    /// let lost = |rate| half.forward(&Scaled::new(vec![1.0])).backward(&Scaled::new(vec![1.0])).updates(1, rate).lost;
    /// assert_eq!((lost(1e-3), lost(1e-2)), (1, 0)); // bf16 near 1: steps of 2^-8 = 0.0039 downward
    /// ```
    pub fn updates(&self, l: usize, rate: f64) -> Updates {
        let mlp = self.trace().mlp();
        let format = mlp.format.unwrap_or(NumberFormat::F64);
        let dense = mlp.layer(l);
        let gradient = self.weight(l).times(rate);
        let mut out = Updates {
            elements: gradient.len(),
            ..Updates::default()
        };
        for (i, effective) in dense.weights.iter().enumerate() {
            if gradient.values()[i] == 0.0 {
                continue;
            }
            let w = format.nearest(effective / dense.multiplier);
            out.wanted += 1;
            out.lost += usize::from(format.nearest(w - gradient.get(i)) == w);
        }
        out
    }
}
