//! Convolutions and the matrices that their definition makes of them.

use super::structured::Exact;
use isometer::linalg::convolution::{
    Convolution, Geometry, GeometryError, Kernel, Layout, Padding,
};
use isometer::linalg::view::MatrixRef;
use isometer::reference::random::{Purpose, stream};
use proptest::prelude::*;
use rand::RngExt;

/// A convolution with integer taps, output channels first, and the matrix its definition makes of it.
#[derive(Clone, Debug)]
pub struct Draw {
    pub values: Vec<i64>,
    pub outputs: usize,
    /// Input channels of a group.
    pub inputs: usize,
    pub groups: usize,
    pub taps: [usize; 2],
    pub geometry: Geometry,
}

impl Draw {
    /// One channel in one dimension, stride 1.
    pub fn line(values: &[i64], size: usize, padding: Padding) -> Draw {
        Draw::square(values, [1, values.len()], [1, size], padding)
    }

    /// One channel, stride 1.
    pub fn square(values: &[i64], taps: [usize; 2], size: [usize; 2], padding: Padding) -> Draw {
        Draw {
            values: values.to_vec(),
            outputs: 1,
            inputs: 1,
            groups: 1,
            taps,
            geometry: Geometry {
                padding,
                ..Geometry::torus(size[0], size[1])
            },
        }
    }

    pub fn random(mut self, seed: u64) -> Draw {
        let mut rng = stream(seed, 0, Purpose::Probe);
        let count = self.outputs * self.inputs * self.taps[0] * self.taps[1];
        self.values = (0..count).map(|_| rng.random_range(-99..=99)).collect();
        self
    }

    pub fn on(&self, size: [usize; 2], padding: Padding) -> Draw {
        let mut moved = self.clone();
        (moved.geometry.size, moved.geometry.padding) = (size, padding);
        moved
    }

    pub fn kernel(&self) -> Kernel {
        let shape = [self.outputs, self.inputs, self.taps[0], self.taps[1]];
        let data: Vec<f64> = self.values.iter().map(|&x| x as f64).collect();
        let view = MatrixRef::row_major(&data, self.outputs, data.len() / self.outputs);
        let view = view.expect("a matrix");
        Kernel::new(&view, &shape, Layout::OutputsFirst, self.groups).expect("a kernel")
    }

    pub fn try_build(&self) -> Result<Convolution, GeometryError> {
        Convolution::new(self.kernel(), self.geometry)
    }

    pub fn build(&self) -> Convolution {
        self.try_build().expect("a convolution")
    }

    pub fn tap(&self, o: usize, i: usize, t: [usize; 2]) -> i64 {
        self.values[((o * self.inputs + i) * self.taps[0] + t[0]) * self.taps[1] + t[1]]
    }

    pub fn every_tap(&self) -> impl Iterator<Item = [usize; 2]> {
        let [h, w] = self.taps;
        (0..h * w).map(move |t| [t / w, t % w])
    }

    pub fn reach(&self, axis: usize) -> usize {
        self.geometry.dilation[axis] * (self.taps[axis] - 1)
    }

    pub fn before(&self, axis: usize) -> usize {
        match self.geometry.padding {
            Padding::Circular => 0,
            Padding::Same => self.reach(axis) / 2,
            Padding::Zeros(p) => p,
        }
    }

    /// Outputs along an axis.
    pub fn points(&self, axis: usize) -> usize {
        let (n, s) = (self.geometry.size[axis], self.geometry.stride[axis]);
        let padded = match self.geometry.padding {
            Padding::Circular => return n / s,
            Padding::Same => n + self.reach(axis),
            Padding::Zeros(p) => n + 2 * p,
        };
        (padded - self.reach(axis) - 1) / s + 1
    }

    /// `y[o, p] = sum K[o, i, t] x[i, s p + d t - before]`, entry by entry.
    pub fn matrix(&self) -> Exact {
        let g = &self.geometry;
        let [h, w] = g.size;
        let out = [self.points(0), self.points(1)];
        let cols = self.inputs * self.groups * h * w;
        let mut a = Exact::from_fn(self.outputs * out[0] * out[1], cols, |_, _| 0);
        for row in 0..a.rows {
            let (o, p) = (
                row / (out[0] * out[1]),
                [row / out[1] % out[0], row % out[1]],
            );
            let group = o / (self.outputs / self.groups);
            for t in self.every_tap() {
                let read = [0, 1].map(|axis| {
                    let at = g.stride[axis] * p[axis] + g.dilation[axis] * t[axis];
                    match g.padding {
                        Padding::Circular => Some(at % g.size[axis]),
                        _ => at
                            .checked_sub(self.before(axis))
                            .filter(|x| *x < g.size[axis]),
                    }
                });
                let [Some(y), Some(x)] = read else { continue };
                for i in 0..self.inputs {
                    let channel = group * self.inputs + i;
                    a.entries[row * cols + (channel * h + y) * w + x] += self.tap(o, i, t);
                }
            }
        }
        a
    }
}

/// Channels, taps, strides, dilations and groups of all kinds, small enough to write down.
pub fn draws(padding: impl Strategy<Value = Padding>) -> impl Strategy<Value = Draw> {
    let pair = |high: usize| [1..=high, 1..=high];
    let sizes = (pair(3), pair(3), pair(2), pair(2));
    let channels = (1usize..=2, 1usize..=2, 1usize..=2);
    (sizes, channels, padding, any::<u64>()).prop_filter_map(
        "no output",
        |((points, taps, stride, dilation), (o, inputs, groups), padding, seed)| {
            // a circular input is a multiple of the stride; the others take any size
            let rest = |axis: usize| match padding {
                Padding::Circular => 0,
                _ => seed as usize / (axis + 1) % stride[axis],
            };
            let draw = Draw {
                values: Vec::new(),
                outputs: o * groups,
                inputs,
                groups,
                taps,
                geometry: Geometry {
                    size: [0, 1].map(|a| points[a] * stride[a] + rest(a)),
                    stride,
                    dilation,
                    padding,
                },
            }
            .random(seed);
            draw.try_build().is_ok().then_some(draw)
        },
    )
}

pub fn tori() -> impl Strategy<Value = Draw> {
    draws(Just(Padding::Circular))
}

pub fn zeros() -> impl Strategy<Value = Draw> {
    draws(prop_oneof![
        Just(Padding::Same),
        (0usize..5).prop_map(Padding::Zeros)
    ])
}
