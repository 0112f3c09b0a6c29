//! Order-to-chaos diagrams: growth of gradients over two parameters of a network. [`sigma`] has the variances as
//! axes, [`depth_alpha`] depth and the multiplier. Width to infinity.
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::theory::diagram::sigma;
//!
//! let d = sigma(&Activation::Tanh, (Some((0.5, 4.5)), Some((0.0, 1.0))), 2, None, &|| ()).unwrap();
//! assert!(d.values[0] < 0.0 && d.values[1] > 0.0); // ln chi_1: order on the left, chaos on the right
//! ```

use crate::network::activation::Activation;
use crate::network::{AlphaAt, BiasLaw, Model, Normalization};
use crate::theory::correlation::Phase;
use crate::theory::criticality::{
    EdgeOfChaos, critical_alphas, edge_at_bias, edge_at_q, edge_of_chaos,
};
use crate::theory::mean_field::{LengthMap, LengthMapError, Limit};
use crate::theory::phase::PhaseTable;
use crate::theory::propagation::layers;
use rayon::prelude::*;

/// Most columns and rows.
pub const FINEST: usize = 2000;
/// Deepest network on an axis.
pub const DEEPEST: f64 = 10_000.0;
/// Points on each part of the edge, from its first length to its last.
const EDGE_POINTS: usize = 600;

/// First and last value of an axis.
pub type Ends = (f64, f64);

/// Why there is no diagram.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DiagramError {
    /// An axis that is no interval.
    #[error(
        "the {axis} axis from {from:?} to {to:?} is no interval within {lowest:?} to {highest:?}"
    )]
    Axis {
        /// `x` or `y`.
        axis: &'static str,
        /// First value.
        from: f64,
        /// Last value.
        to: f64,
        /// Least value allowed.
        lowest: f64,
        /// Largest value allowed.
        highest: f64,
    },
    /// A grid too coarse or too fine.
    #[error("a grid of {resolution} x {resolution}: the sides must be 2 to {FINEST}")]
    Resolution {
        /// Cells asked for along each side.
        resolution: usize,
    },
    /// More than plain layers.
    #[error("a diagram is of plain layers W phi(x) + b: leave out {what}")]
    NotPlain {
        /// What the model has besides.
        what: &'static str,
    },
    /// The law of the weights depends on a width that was not given.
    #[error("the variance of {weights} weights depends on the width: give --depth L --width N")]
    Width {
        /// The initializer.
        weights: String,
    },
    /// Variances that are none.
    #[error(transparent)]
    Field(#[from] LengthMapError),
}

/// What the axes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axes {
    /// Variance of the weights times fan-in, and variance of the biases. Values: `ln chi_1` (squared
    /// norms, per layer) at the length reached from `q = 1`.
    Sigma,
    /// Depth, and the common logarithm of the multiplier alpha on all weights. Values: common
    /// logarithm of the root mean square gradient norm over that depth.
    DepthAlpha,
}

/// A point on the edge of chaos; which coordinates it has depends on the axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinePoint {
    /// Horizontal coordinate.
    pub x: f64,
    /// Vertical coordinate.
    pub y: f64,
    /// Length held there; `None` where every length has `chi_1 = 1`.
    pub q: Option<f64>,
}

/// A connected part of the edge within the axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Whether the length returns there when disturbed, so that deep networks show this growth.
    pub held: bool,
    /// Points.
    pub points: Vec<LinePoint>,
}

/// The user's model in the diagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// Horizontal coordinate.
    pub x: f64,
    /// Vertical coordinate.
    pub y: f64,
    /// Variance of the weights times fan-in, alpha included.
    pub sigma_w2: f64,
    /// Variance of the biases.
    pub sigma_b2: f64,
    /// Length reached from an input of mean square 1 per unit; infinite where it diverges.
    pub q_star: Option<f64>,
    /// Growth of squared gradient norms per layer there.
    pub chi_1: Option<f64>,
    /// Ordered, critical or chaotic.
    pub phase: Option<Phase>,
    /// Log of the factor on the squared gradient norm over the model's depth, where depth is an axis.
    pub ln_gradient: Option<f64>,
    /// The `sigma_w2` nearest to the model's at which its biases are on the edge.
    pub critical_sigma_w2: Option<f64>,
}

/// A field over two parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagram {
    /// The activation.
    pub activation: Activation,
    /// What the axes are.
    pub axes: Axes,
    /// Ends of the horizontal axis.
    pub x: (f64, f64),
    /// Ends of the vertical axis.
    pub y: (f64, f64),
    /// Columns, and rows.
    pub resolution: usize,
    /// Row after row from the bottom; infinite where a factor is 0 or overflows.
    pub values: Vec<f64>,
    /// Size of the values that nine in ten stay below.
    pub limit: f64,
    /// The edge within the axes.
    pub lines: Vec<Line>,
    /// The edge as a whole.
    pub edge: EdgeOfChaos,
    /// The model.
    pub mark: Option<Mark>,
    /// Estimated relative error of `chi_1` away from jumps.
    pub error: f64,
}

impl Diagram {
    /// Whether a point is within the axes.
    pub fn shows(&self, x: f64, y: f64) -> bool {
        inside(self.x, self.y, x, y)
    }
}

fn inside(xs: (f64, f64), ys: (f64, f64), x: f64, y: f64) -> bool {
    (xs.0..=xs.1).contains(&x) && (ys.0..=ys.1).contains(&y)
}

fn check(axis: &'static str, range: (f64, f64), within: (f64, f64)) -> Result<(), DiagramError> {
    let (from, to) = range;
    if from < to && from >= within.0 && to <= within.1 {
        return Ok(());
    }
    Err(DiagramError::Axis {
        axis,
        from,
        to,
        lowest: within.0,
        highest: within.1,
    })
}

fn grid(range: (f64, f64), count: usize, i: usize) -> f64 {
    range.0 + (range.1 - range.0) * (i as f64 / (count - 1) as f64)
}

fn check_resolution(resolution: usize) -> Result<(), DiagramError> {
    if (2..=FINEST).contains(&resolution) {
        Ok(())
    } else {
        Err(DiagramError::Resolution { resolution })
    }
}

/// The next of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten.
fn round_up(x: f64) -> f64 {
    let power = 10f64.powf(x.log10().floor());
    [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|&y| y >= x * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// Nine in ten values are no larger, rounded up and kept within `within`.
fn colour_limit(values: &[f64], within: (f64, f64)) -> f64 {
    let mut sizes: Vec<f64> = values
        .iter()
        .map(|v| v.abs())
        .filter(|v| v.is_finite())
        .collect();
    sizes.sort_by(f64::total_cmp);
    let at = sizes.get(sizes.len() * 9 / 10).copied().unwrap_or(within.1);
    round_up(at.clamp(within.0, within.1))
}

/// A point of the edge with whether the length is held.
type EdgePoint = (LinePoint, bool);

/// The whole edge, part by part.
fn parts(activation: &Activation, edge: &EdgeOfChaos) -> Vec<Vec<EdgePoint>> {
    let EdgeOfChaos::Curves(curves) = edge else {
        return Vec::new();
    };
    let part = |&(from, to): &(f64, f64)| {
        let (start, end) = (from.max(1e-8).ln(), to.ln());
        (0..EDGE_POINTS)
            .into_par_iter()
            .filter_map(|i| {
                let q = match i {
                    0 => from,
                    _ => grid((start, end), EDGE_POINTS, i).exp(),
                };
                let e = edge_at_q(activation, q)?;
                let point = LinePoint {
                    x: e.sigma_w2.value,
                    y: e.sigma_b2.value,
                    q: Some(e.q.value),
                };
                Some((point, e.chi_parallel.value <= 1.0 + e.chi_parallel.error))
            })
            .collect()
    };
    curves.iter().map(part).collect()
}

/// Runs of points within the axes, with one neighbour on each side, broken where the length ceases to
/// be held.
fn visible(part: &[EdgePoint], x: (f64, f64), y: (f64, f64)) -> Vec<Line> {
    let within = |i: usize| part.get(i).is_some_and(|(p, _)| inside(x, y, p.x, p.y));
    let mut out: Vec<Line> = Vec::new();
    let mut open = false;
    for (i, &(point, held)) in part.iter().enumerate() {
        if !(within(i) || i > 0 && within(i - 1) || within(i + 1)) {
            open = false;
            continue;
        }
        match out.last_mut() {
            Some(line) if open && line.held == held => line.points.push(point),
            Some(line) if open => {
                line.points.push(point);
                out.push(Line {
                    held,
                    points: vec![point],
                });
            }
            _ => out.push(Line {
                held,
                points: vec![point],
            }),
        }
        open = true;
    }
    out
}

/// Axes that show the edge: `sigma_w2` from 0 past its least value and its start, `sigma_b2` up to
/// where the edge leaves them.
fn ranges(edge: &EdgeOfChaos, parts: &[Vec<EdgePoint>]) -> ((f64, f64), (f64, f64)) {
    let points: Vec<LinePoint> = parts.iter().flatten().map(|(p, _)| *p).collect();
    let least = points.iter().map(|p| p.x).fold(f64::INFINITY, f64::min);
    let right = match edge {
        EdgeOfChaos::Homogeneous { sigma_w2 } => 2.0 * sigma_w2,
        _ if points.is_empty() => 4.0,
        _ => {
            // a part that starts without biases does so within the axes
            let start = points[0].x;
            let start = if start < 10.0 * least { start } else { least };
            round_up((2.5 * least).max(1.15 * start))
        }
    };
    let leaves = points
        .windows(2)
        .find(|p| p[0].x <= right && p[1].x > right && p[1].y > p[0].y)
        .map(|p| p[1].y);
    let top = match leaves {
        Some(y) if y > 0.0 => round_up(y),
        _ => 1.0,
    };
    ((0.0, right), (0.0, top))
}

/// Variances of the layer that a model repeats. `shaped` says whether its widths are meant.
///
/// # Errors
/// [`DiagramError::NotPlain`], [`DiagramError::Width`].
pub fn repeated_layer(model: &Model, shaped: bool) -> Result<(f64, f64), DiagramError> {
    let plain = [
        (
            model.normalization != Normalization::None,
            "the normalization",
        ),
        (model.residual.is_some(), "the residual branches"),
        (model.dropout > 0.0, "the dropout"),
        (model.tied, "the tying of weights"),
        (
            matches!(model.alpha.at, AlphaAt::Layer(_)),
            "alpha at a single layer",
        ),
    ];
    if let Some((_, what)) = plain.into_iter().find(|(has, _)| *has) {
        return Err(DiagramError::NotPlain { what });
    }
    let layer = |widths: Vec<usize>| {
        let mut repeated = model.clone();
        repeated.widths = widths;
        repeated.layer(repeated.depth())
    };
    let variances = |l: crate::network::Layer| {
        let w = l.singular_value().map_or(l.weight.sigma_w2, |g| g * g);
        (w, l.bias.variance())
    };
    let width = *model.widths.last().unwrap_or(&1);
    let own = layer(vec![width; 3]);
    if matches!(own.bias, BiasLaw::Constant(_)) {
        return Err(DiagramError::NotPlain {
            what: "the constant biases, which are no variance",
        });
    }
    if own.weight.mean != 0.0 && own.singular_value().is_none() {
        return Err(DiagramError::NotPlain {
            what: "weights whose mean is not zero",
        });
    }
    if shaped {
        return Ok(variances(own));
    }
    let (narrow, wide) = (
        variances(layer(vec![64; 3])),
        variances(layer(vec![4096; 3])),
    );
    let same = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs();
    if !same(narrow.0, wide.0) || !same(narrow.1, wide.1) {
        return Err(DiagramError::Width {
            weights: model.weights.to_string(),
        });
    }
    Ok(narrow)
}

fn mark(map: &LengthMap, x: f64, y: f64) -> Mark {
    let m = map.mean_field(map.first(1.0));
    let near = |a: f64, b: f64| {
        let far = |w: f64| (w / map.sigma_w2()).ln().abs();
        if far(a) <= far(b) { a } else { b }
    };
    let critical = match map.activation().slopes() {
        Some((below, above)) => vec![2.0 / (below * below + above * above)],
        None => edge_at_bias(map.activation(), map.sigma_b2())
            .iter()
            .filter(|e| e.chi_parallel.value <= 1.0 + e.chi_parallel.error)
            .map(|e| e.sigma_w2.value)
            .collect(),
    };
    Mark {
        x,
        y,
        sigma_w2: map.sigma_w2(),
        sigma_b2: map.sigma_b2(),
        q_star: match m.limit {
            Limit::Fixed(p) => Some(p.q.value),
            Limit::Every(_) => Some(map.first(1.0)),
            Limit::Diverges(_) => Some(f64::INFINITY),
            Limit::Unsettled => None,
        },
        chi_1: m.chi_1.map(|c| c.value),
        phase: m.phase,
        ln_gradient: None,
        critical_sigma_w2: critical.into_iter().reduce(near),
    }
}

/// `ln chi_1` over `(sigma_w2, sigma_b2)` with the edge of chaos. Without ranges the axes are chosen
/// so that the edge and the model are in view. `tick` is called for each row done.
///
/// # Errors
/// [`DiagramError`].
pub fn sigma(
    activation: &Activation,
    (x, y): (Option<Ends>, Option<Ends>),
    resolution: usize,
    model: Option<(f64, f64)>,
    tick: &(dyn Fn() + Sync),
) -> Result<Diagram, DiagramError> {
    check_resolution(resolution)?;
    let edge = edge_of_chaos(activation);
    let parts = parts(activation, &edge);
    let (mut xs, mut ys) = ranges(&edge, &parts);
    if let Some((w, b)) = model {
        xs.1 = xs.1.max(round_up(1.1 * w));
        ys.1 = ys.1.max(round_up(1.1 * b));
    }
    let (xs, ys) = (x.unwrap_or(xs), y.unwrap_or(ys));
    check("x", xs, (0.0, 1e9))?;
    check("y", ys, (0.0, 1e9))?;
    let mark = match model {
        Some((w, b)) => Some(mark(&LengthMap::new(activation.clone(), w, b)?, w, b)),
        None => None,
    };
    let slopes = activation.slopes();
    let table = slopes.is_none().then(|| PhaseTable::new(activation));
    let chi = |w: f64, b: f64| match (&table, slopes) {
        (Some(table), _) => table.cell(w, b).chi_1,
        (None, Some((below, above))) => 0.5 * w * (below * below + above * above),
        (None, None) => f64::NAN,
    };
    let values: Vec<f64> = (0..resolution)
        .into_par_iter()
        .flat_map_iter(|j| {
            let b = grid(ys, resolution, j);
            let row: Vec<f64> = (0..resolution)
                .map(|i| chi(grid(xs, resolution, i), b).ln())
                .collect();
            tick();
            row
        })
        .collect();
    let lines = match edge {
        EdgeOfChaos::Homogeneous { sigma_w2 } if (xs.0..=xs.1).contains(&sigma_w2) => {
            let at = |y| LinePoint {
                x: sigma_w2,
                y,
                q: None,
            };
            vec![Line {
                held: true,
                points: vec![at(ys.0), at(ys.1)],
            }]
        }
        _ => parts.iter().flat_map(|p| visible(p, xs, ys)).collect(),
    };
    Ok(Diagram {
        activation: activation.clone(),
        axes: Axes::Sigma,
        x: xs,
        y: ys,
        resolution,
        limit: colour_limit(&values, (0.05, 1.0)),
        values,
        lines,
        edge,
        mark,
        error: table.map_or(4.0 * f64::EPSILON, |t| t.error()),
    })
}

/// Common logarithm of the root mean square gradient norm over depth and alpha, in layers of equal
/// width with the model's weights and biases. The vertical axis is `log10 alpha`; `alphas` are
/// alphas. `tick` is called for each row done.
///
/// # Errors
/// [`DiagramError`].
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::theory::diagram::depth_alpha;
/// let model = Model::new(vec![8, 8], Activation::Relu); // critical at alpha = 1
/// let d = depth_alpha(&model, false, (Some((1.0, 9.0)), Some((0.1, 10.0))), 3, &|| ()).unwrap();
/// assert_eq!((d.resolution, d.values.len()), (3, 9)); // depths 1, 5, 9; log10 alpha -1, 0, 1
/// assert!((d.values[8] - 9.0).abs() < 4.5 && d.values[4].abs() < 1e-6);
/// ```
pub fn depth_alpha(
    model: &Model,
    shaped: bool,
    (depths, alphas): (Option<Ends>, Option<Ends>),
    resolution: usize,
    tick: &(dyn Fn() + Sync),
) -> Result<Diagram, DiagramError> {
    check_resolution(resolution)?;
    let mut plain = model.clone();
    plain.alpha.value = 1.0;
    let (sigma_w2, sigma_b2) = repeated_layer(&plain, shaped)?;
    let own = model.alpha.value.abs();
    let map =
        |alpha: f64| LengthMap::new(model.activation.clone(), sigma_w2 * alpha * alpha, sigma_b2);
    let critical: Vec<(f64, Option<f64>, bool)> = critical_alphas(&map(1.0)?)
        .iter()
        .map(|c| {
            let q = c.q.map(|q| q.value);
            (c.alpha.value, q, c.attracting || q.is_none())
        })
        .collect();
    let deepest = if shaped { model.depth() as f64 } else { 50.0 };
    let xs = depths.unwrap_or((1.0, (2.0 * deepest).clamp(10.0, DEEPEST)));
    check("x", xs, (1.0, DEEPEST))?;
    let alphas = alphas.unwrap_or_else(|| {
        let known = critical.iter().map(|c| c.0).chain(shaped.then_some(own));
        let (low, high) = known.fold((f64::INFINITY, 0.0f64), |(a, b), x| (a.min(x), b.max(x)));
        if low <= high {
            (low / 2.0, high * 2.0)
        } else {
            (0.5, 2.0)
        }
    });
    check("y", alphas, (1e-100, 1e100))?;
    let ys = (alphas.0.log10(), alphas.1.log10());
    let depth = xs.1.ceil() as usize;
    let profile = |alpha: f64, depth: usize| -> Result<Vec<f64>, LengthMapError> {
        let m = map(alpha)?;
        let run = layers(
            &model.activation,
            &vec![(m.sigma_w2(), m.sigma_b2()); depth],
            0.0,
        )?;
        Ok(std::iter::once(0.0)
            .chain(run.iter().map(|l| l.ln_gradient))
            .collect())
    };
    let to_log10_norm = 0.5 * std::f64::consts::LOG10_E;
    let rows = (0..resolution)
        .into_par_iter()
        .map(|j| {
            let sums = profile(10f64.powf(grid(ys, resolution, j)), depth)?;
            let at = |i: usize| {
                let d = grid(xs, resolution, i);
                let l = (d.floor() as usize).min(depth - 1);
                let t = d - l as f64;
                to_log10_norm * ((1.0 - t) * sums[l] + t * sums[l + 1])
            };
            let row: Vec<f64> = (0..resolution).map(at).collect();
            tick();
            Ok(row)
        })
        .collect::<Result<Vec<_>, LengthMapError>>()?;
    let values = rows.concat();
    let lines = critical
        .iter()
        .filter(|(alpha, ..)| (alphas.0..=alphas.1).contains(alpha))
        .map(|&(alpha, q, held)| {
            let at = |x| LinePoint {
                x,
                y: alpha.log10(),
                q,
            };
            Line {
                held,
                points: vec![at(xs.0), at(xs.1)],
            }
        })
        .collect();
    let mark = match shaped {
        true => {
            let sums = profile(own, model.depth())?;
            let (x, y) = (model.depth() as f64, own.log10());
            Some(Mark {
                ln_gradient: sums.last().copied(),
                ..mark(&map(own)?, x, y)
            })
        }
        false => None,
    };
    Ok(Diagram {
        activation: model.activation.clone(),
        axes: Axes::DepthAlpha,
        x: xs,
        y: ys,
        resolution,
        limit: colour_limit(&values, (0.5, 10.0)),
        values,
        lines,
        edge: edge_of_chaos(&model.activation),
        mark,
        error: 1e-12,
    })
}

#[cfg(test)]
mod tests;
