//! `--conv`: how a tensor acts as a convolution.

use clap::{Args, ValueEnum};
use isometer::linalg::convolution::{Geometry, Layout, Padding};

/// A length for every axis, or one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// The same along every axis.
    One(usize),
    /// Height and width.
    Two(usize, usize),
}

impl Sides {
    /// For a kernel of so many axes; `flat` stands for the height of a signal that has none.
    fn of(self, axes: usize, flat: usize) -> [usize; 2] {
        match (self, axes) {
            (Sides::One(n), 1) => [flat, n],
            (Sides::One(n), _) => [n, n],
            (Sides::Two(h, w), _) => [h, w],
        }
    }
}

/// Taking kernels as convolutions.
#[derive(Args, Debug)]
#[command(next_help_heading = "Convolutions")]
pub struct ConvArgs {
    /// Take tensors with 3 or 4 axes as convolutions of an input of this size (N for 1-D kernels)
    #[arg(long, value_name = "HxW", value_parser = sides)]
    conv: Option<Sides>,
    /// Stride, for both axes or as HxW; `bound` takes one for each convolution, as in 2,1,1
    #[arg(long, value_name = "S", requires = "conv", default_value = "1", value_delimiter = ',', value_parser = sides)]
    stride: Vec<Sides>,
    /// Dilation, for both axes or as HxW
    #[arg(long, value_name = "D", requires = "conv", default_value = "1", value_parser = sides)]
    dilation: Sides,
    /// Groups that channels are shared out into; as many as channels for a depthwise kernel (in a
    /// chain those of the first layer: later ones follow from their channels)
    #[arg(long, value_name = "G", requires = "conv", default_value_t = 1, value_parser = super::args::at_least_one)]
    groups: usize,
    /// What surrounds the input: circular, zeros (the size is kept at stride 1) or zeros:P
    #[arg(long, value_name = "PADDING", requires = "conv", default_value = "circular", value_parser = padding)]
    padding: Padding,
    /// Order of the axes: oihw as in PyTorch, hwio as in Keras (oiw and wio for 1-D)
    #[arg(
        long,
        value_enum,
        value_name = "LAYOUT",
        requires = "conv",
        default_value = "oihw"
    )]
    layout: LayoutName,
}

/// `--layout`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LayoutName {
    /// Output channels, input channels, space
    #[value(alias = "oiw")]
    Oihw,
    /// Space, input channels, output channels
    #[value(alias = "wio")]
    Hwio,
}

impl ConvArgs {
    /// Whether kernels are to be taken as convolutions.
    pub fn wanted(&self) -> bool {
        self.conv.is_some()
    }

    /// Strides given.
    pub fn strides(&self) -> usize {
        self.stride.len()
    }

    /// The geometry for a tensor of this shape, if it is to be taken as a convolution: number `k` of a chain, from
    /// 0.
    pub fn geometry(&self, shape: &[usize], k: usize) -> Option<Geometry> {
        let axes = match shape.len() {
            3 => 1,
            4 => 2,
            _ => return None,
        };
        Some(Geometry {
            size: self.conv?.of(axes, 1),
            stride: self.stride.get(k).or(self.stride.first())?.of(axes, 1),
            dilation: self.dilation.of(axes, 1),
            padding: self.padding,
        })
    }

    /// The order of the axes.
    pub fn layout(&self) -> Layout {
        match self.layout {
            LayoutName::Oihw => Layout::OutputsFirst,
            LayoutName::Hwio => Layout::OutputsLast,
        }
    }

    /// Groups.
    pub fn groups(&self) -> usize {
        self.groups
    }
}

fn sides(text: &str) -> Result<Sides, String> {
    let side = |t: &str| match t.parse::<usize>() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(format!(
            "{t:?} is no length; write 32x32, or one number for every axis"
        )),
    };
    match text.split_once(['x', 'X']) {
        Some((h, w)) => Ok(Sides::Two(side(h)?, side(w)?)),
        None => Ok(Sides::One(side(text)?)),
    }
}

fn padding(text: &str) -> Result<Padding, String> {
    match text {
        "circular" => Ok(Padding::Circular),
        "zeros" => Ok(Padding::Same),
        other => other
            .strip_prefix("zeros:")
            .and_then(|p| p.parse().ok())
            .map(Padding::Zeros)
            .ok_or_else(|| "write circular, zeros, or zeros:P with P zeros on every side".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_paddings_say_how_to_write_them() {
        assert_eq!(sides("16x8"), Ok(Sides::Two(16, 8)));
        assert_eq!(sides("16"), Ok(Sides::One(16)));
        assert!(sides("16x0").unwrap_err().contains("32x32"));
        assert_eq!(padding("zeros:2"), Ok(Padding::Zeros(2)));
        assert!(padding("same").unwrap_err().contains("zeros:P"));
        assert_eq!(Sides::One(5).of(1, 1), [1, 5]);
        assert_eq!(Sides::One(5).of(2, 1), [5, 5]);
    }
}
