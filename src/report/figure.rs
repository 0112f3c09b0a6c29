//! A field over a plane as SVG or PNG: filled contours about zero, curves, a marked point.
//!
//! kuva lays out axes, legend and colour bar. The bands are traced by `contour` as one path for each
//! level: kuva would draw a polygon for each cell, which shows seams and takes megabytes.
//!
//! ```
//! use isometer::report::figure::{Axis, Figure, Picture};
//!
//! let axis = |label: &str| Axis { label: label.into(), range: (0.0, 1.0) };
//! let figure = Figure {
//!     title: "a slope".into(),
//!     x: axis("x"),
//!     y: axis("y"),
//!     columns: 2,
//!     values: vec![-1.0, 1.0, -1.0, 1.0],
//!     limit: 1.0,
//!     legend: "height".into(),
//!     curves: vec![],
//!     mark: None,
//! };
//! assert!(figure.svg().unwrap().contains("a slope"));
//! ```

use contour::ContourBuilder;
use kuva::backend::{raster::RasterBackend, svg::SvgBackend};
use kuva::plot::legend::LegendPosition;
use kuva::plot::scatter::MarkerShape;
use kuva::plot::{ColorMap, ContourPlot, LinePlot, ScatterPlot};
use kuva::render::layout::{ComputedLayout, Layout};
use kuva::render::plots::Plot;
use kuva::render::render::{PathData, Primitive, Scene, render_multiple};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

/// Bands on each side of zero.
const BANDS: usize = 10;
/// Width and height of the figure, in pixels of the SVG.
pub(super) const SIZE: (f64, f64) = (680.0, 480.0);
/// Pixels of the PNG for each of the SVG.
const PNG_SCALE: f32 = 2.0;

/// Blue where the field is negative, red where it is positive, near white about zero (the ends of
/// ColorBrewer's RdBu, which stay apart for colour-blind readers).
const NEGATIVE: (f64, f64, f64) = (33.0, 102.0, 172.0);
const POSITIVE: (f64, f64, f64) = (178.0, 24.0, 43.0);
const NEUTRAL: f64 = 247.0;

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it shows.
    pub label: String,
    /// First and last value.
    pub range: (f64, f64),
}

impl Axis {
    /// `count` values from end to end.
    pub fn grid(&self, count: usize) -> Vec<f64> {
        let last = (count.max(2) - 1) as f64;
        let (a, b) = self.range;
        (0..count)
            .map(|i| a + (b - a) * (i as f64 / last))
            .collect()
    }
}

/// A curve on top of the field.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub label: String,
    /// Points in the units of the axes.
    pub points: Vec<(f64, f64)>,
    /// Whether it is drawn dashed.
    pub dashed: bool,
}

/// A scalar field over a rectangle.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Title.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Columns of the grid.
    pub columns: usize,
    /// Values row after row from the bottom, on the grids of the axes; NaN where there is none.
    pub values: Vec<f64>,
    /// Values beyond this size get the colour of the ends.
    pub limit: f64,
    /// What the colours show.
    pub legend: String,
    /// Curves.
    pub curves: Vec<Curve>,
    /// A marked point with its name.
    pub mark: Option<(f64, f64, String)>,
}

/// Why a figure cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FigureError {
    /// The values are no grid.
    #[error("{values} values do not fill rows of {columns}; a figure needs at least 2 x 2")]
    Grid {
        /// Number of values.
        values: usize,
        /// Columns asked for.
        columns: usize,
    },
    /// Nothing finite is left to draw.
    #[error("nothing to draw: no value is finite")]
    Empty,
    /// The backend refused.
    #[error("the figure cannot be rendered: {0}")]
    Backend(String),
}

fn colour(v: f64, limit: f64) -> (u8, u8, u8) {
    let t = (v / limit).clamp(-1.0, 1.0);
    let (end, t) = if t < 0.0 {
        (NEGATIVE, -t)
    } else {
        (POSITIVE, t)
    };
    let mix = |end: f64| (NEUTRAL + (end - NEUTRAL) * t).round() as u8;
    (mix(end.0), mix(end.1), mix(end.2))
}

fn hex((r, g, b): (u8, u8, u8)) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// What can be drawn.
pub trait Picture {
    /// The elements, placed.
    ///
    /// # Errors
    /// [`FigureError`].
    fn scene(&self) -> Result<Scene, FigureError>;

    /// The figure as SVG text.
    ///
    /// # Errors
    /// [`FigureError`].
    fn svg(&self) -> Result<String, FigureError> {
        Ok(SvgBackend::new().render_scene(&self.scene()?))
    }

    /// The figure as PNG bytes, at twice the resolution of the SVG.
    ///
    /// # Errors
    /// [`FigureError`].
    fn png(&self) -> Result<Vec<u8>, FigureError> {
        RasterBackend::new()
            .with_scale(PNG_SCALE)
            .render_scene(&self.scene()?)
            .map_err(FigureError::Backend)
    }
}

impl Figure {
    fn rows(&self) -> Result<usize, FigureError> {
        let values = self.values.len();
        let rows = values / self.columns.max(1);
        if self.columns < 2 || rows < 2 || rows * self.columns != values {
            return Err(FigureError::Grid {
                values,
                columns: self.columns,
            });
        }
        Ok(rows)
    }

    /// Points of a curve as they are drawn. The raster backend starts the dashes anew at each
    /// point, so those of dashed curves are set apart by more than a dash.
    fn drawn(&self, curve: &Curve) -> Vec<(f64, f64)> {
        if !curve.dashed {
            return curve.points.clone();
        }
        const APART: f64 = 0.025;
        let scale = |r: (f64, f64)| (r.1 - r.0).abs();
        let (dx, dy) = (scale(self.x.range), scale(self.y.range));
        let mut out: Vec<(f64, f64)> = Vec::new();
        for &p in &curve.points {
            let far = |q: &(f64, f64)| ((p.0 - q.0) / dx).hypot((p.1 - q.1) / dy) >= APART;
            if out.last().is_none_or(far) {
                out.push(p);
            }
        }
        out.extend(curve.points.last());
        out
    }

    fn levels(&self) -> Vec<f64> {
        let step = self.limit / BANDS as f64;
        (0..2 * BANDS)
            .map(|i| (i as f64 - BANDS as f64) * step)
            .collect()
    }

    /// Regions above each level, lowest first, each painted over the one before.
    fn bands(&self, rows: usize, place: &ComputedLayout) -> Vec<Primitive> {
        let limit = self.limit;
        let levels = self.levels();
        let step = limit / BANDS as f64;
        // NaN would break the tracing; it is painted over in grey afterwards
        let clipped: Vec<f64> = self
            .values
            .iter()
            .map(|v| {
                if v.is_nan() {
                    0.0
                } else {
                    v.clamp(-limit, limit)
                }
            })
            .collect();
        // samples of `contour` sit at the centres of cells
        let at = |t: f64, count: usize, range: (f64, f64)| {
            let t = ((t - 0.5) / (count - 1) as f64).clamp(0.0, 1.0);
            range.0 + t * (range.1 - range.0)
        };
        let traced = ContourBuilder::new(self.columns, rows, true).contours(&clipped, &levels);
        let paint = |fill: (u8, u8, u8), d: String| {
            Primitive::Path(Box::new(PathData {
                d,
                fill: Some(hex(fill).into()),
                stroke: "none".into(),
                stroke_width: 0.0,
                opacity: None,
                stroke_dasharray: None,
            }))
        };
        let mut out = Vec::new();
        for contour in traced.unwrap_or_default() {
            let mut d = String::new();
            for polygon in contour.geometry() {
                for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
                    for (k, p) in ring.coords().enumerate() {
                        let px = place.map_x(at(p.x, self.columns, self.x.range));
                        let py = place.map_y(at(p.y, rows, self.y.range));
                        let word = if k == 0 { 'M' } else { 'L' };
                        // writing to a String cannot fail
                        let _ = write!(d, "{word}{px:.2} {py:.2}");
                    }
                    d.push('Z');
                }
            }
            if !d.is_empty() {
                let middle = contour.threshold() + 0.5 * step;
                out.push(paint(colour(middle, limit), d));
            }
        }
        out.extend(self.missing(rows, place).map(|d| paint((190, 190, 190), d)));
        out
    }

    /// Cells without a value, as one path.
    fn missing(&self, rows: usize, place: &ComputedLayout) -> Option<String> {
        let (xs, ys) = (self.x.grid(self.columns), self.y.grid(rows));
        let mut d = String::new();
        for (j, row) in self.values.chunks_exact(self.columns).enumerate() {
            for (i, _) in row.iter().enumerate().filter(|(_, v)| v.is_nan()) {
                let side = |grid: &[f64], k: usize| {
                    let last = grid.len() - 1;
                    let low = 0.5 * (grid[k] + grid[k.saturating_sub(1)]);
                    (low, 0.5 * (grid[k] + grid[(k + 1).min(last)]))
                };
                let ((x0, x1), (y0, y1)) = (side(&xs, i), side(&ys, j));
                let (x0, x1) = (place.map_x(x0), place.map_x(x1));
                let (y0, y1) = (place.map_y(y0), place.map_y(y1));
                let _ = write!(
                    d,
                    "M{x0:.2} {y0:.2}L{x1:.2} {y0:.2}L{x1:.2} {y1:.2}L{x0:.2} {y1:.2}Z"
                );
            }
        }
        (!d.is_empty()).then_some(d)
    }
}

impl Picture for Figure {
    fn scene(&self) -> Result<Scene, FigureError> {
        let rows = self.rows()?;
        let limit = self.limit;
        let (x, y) = (self.x.range, self.y.range);
        let map = ColorMap::Custom(Arc::new(move |t| {
            hex(colour((2.0 * t - 1.0) * limit, limit))
        }));
        // Stands for the field in the layout of axes and colour bar; its bands are replaced below.
        let placeholder = ContourPlot::new()
            .with_grid(vec![vec![-limit, limit]; 2], vec![x.0, x.1], vec![y.0, y.1])
            .with_levels(&self.levels())
            .with_filled()
            .with_colormap(map)
            .with_legend(self.legend.as_str());
        let mut plots: Vec<Plot> = vec![placeholder.into()];
        let mut named = BTreeSet::new();
        for curve in &self.curves {
            let mut line = LinePlot::new()
                .with_data(self.drawn(curve))
                .with_color("black")
                .with_stroke_width(2.0);
            // one entry for all curves of a name
            if named.insert(curve.label.as_str()) {
                line = line.with_legend(curve.label.as_str());
            }
            if curve.dashed {
                line = line.with_dashed();
            }
            plots.push(line.into());
        }
        if let Some((mx, my, label)) = &self.mark {
            let star = ScatterPlot::new()
                .with_data(vec![(*mx, *my)])
                .with_color("black")
                .with_marker(MarkerShape::Star)
                .with_size(8.0)
                .with_legend(label.as_str());
            plots.push(star.into());
        }
        let layout = Layout::auto_from_plots(&plots)
            .with_title(self.title.as_str())
            .with_x_label(self.x.label.as_str())
            .with_y_label(self.y.label.as_str())
            .with_x_axis_min(x.0)
            .with_x_axis_max(x.1)
            .with_y_axis_min(y.0)
            .with_y_axis_max(y.1)
            .with_width(SIZE.0)
            .with_height(SIZE.1)
            .with_box_axes()
            .with_legend_position(LegendPosition::OutsideBottomColumns)
            .with_legend_box(false);
        let place = ComputedLayout::from_layout(&layout);
        let mut scene = render_multiple(plots, layout);
        let bands = self.bands(rows, &place);
        let is_path = |e: &Primitive| matches!(e, Primitive::Path(_));
        let start = scene.elements.iter().position(is_path).unwrap_or(0);
        let count = scene.elements[start..]
            .iter()
            .take_while(|e| is_path(e))
            .count();
        scene.elements.splice(start..start + count, bands);
        Ok(scene)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        let (columns, rows) = (40, 30);
        let x = Axis {
            label: "x".into(),
            range: (0.0, 2.0),
        };
        let y = Axis {
            label: "y".into(),
            range: (-1.0, 1.0),
        };
        let mut values = Vec::new();
        for b in y.grid(rows) {
            values.extend(x.grid(columns).iter().map(|a| a - 1.0 + b));
        }
        Figure {
            title: "a plane".into(),
            x,
            y,
            columns,
            values,
            limit: 1.0,
            legend: "height".into(),
            curves: vec![Curve {
                label: "zero".into(),
                points: vec![(0.0, 1.0), (2.0, -1.0)],
                dashed: true,
            }],
            mark: Some((0.5, 0.5, "here".into())),
        }
    }

    #[test]
    fn svg_holds_labels_bands_and_mark() {
        let svg = figure().svg().unwrap();
        for word in ["a plane", ">x<", ">y<", "height", "zero", "here"] {
            assert!(svg.contains(word), "{word}");
        }
        // the ends of the scale and the two sides of zero
        assert!(svg.contains(&hex(colour(0.95, 1.0))) && svg.contains(&hex(colour(-0.95, 1.0))));
        assert!(svg.len() < 100_000, "{}", svg.len());
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn the_zero_line_is_where_the_field_changes_sign() {
        let mut f = figure();
        // zero at x = 1.2, six tenths of the way
        let xs = f.x.grid(f.columns);
        f.values = xs
            .iter()
            .cycle()
            .take(f.values.len())
            .map(|x| x - 1.2)
            .collect();
        let scene = f.scene().unwrap();
        let frame = scene.elements.iter().find_map(|e| match e {
            Primitive::ClipStart { x, width, .. } => Some((*x, *width)),
            _ => None,
        });
        let (left, width) = frame.unwrap();
        let fill = kuva::render::color::Color::from(hex(colour(0.05, 1.0)));
        let d = scene.elements.iter().find_map(|e| match e {
            Primitive::Path(p) if p.fill.as_ref() == Some(&fill) => Some(p.d.clone()),
            _ => None,
        });
        let d = d.unwrap();
        let pixels = d
            .split(['M', 'L', 'Z'])
            .filter_map(|p| p.split(' ').next()?.parse().ok());
        let first: f64 = pixels.fold(f64::INFINITY, f64::min);
        assert!((first - (left + 0.6 * width)).abs() < 0.02, "{first}");
    }

    #[test]
    fn png_is_a_png_and_missing_cells_are_grey() {
        let mut f = figure();
        f.values[5] = f64::NAN;
        assert!(f.svg().unwrap().contains("#bebebe"));
        assert_eq!(f.png().unwrap()[..4], [0x89, b'P', b'N', b'G']);
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        let mut f = figure();
        f.columns = 7;
        assert!(matches!(f.svg(), Err(FigureError::Grid { columns: 7, .. })));
    }
}
