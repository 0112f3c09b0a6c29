//! Curves, points, bands and bars over one pair of axes, in the language of [`figure`](super::figure).
//!
//! Colours are those of Okabe and Ito, told apart by colour-blind readers.
//!
//! ```
//! use isometer::report::chart::{Chart, Ink, Series, Shape};
//! use isometer::report::figure::Picture;
//!
//! let line = Shape::Line { points: vec![(0.0, 1.0), (1.0, 2.0)], dashed: false };
//! let chart = Chart {
//!     title: "norms".into(),
//!     caption: String::new(),
//!     x: "layer".into(),
//!     y: "log10".into(),
//!     series: vec![Series { label: "typical".into(), ink: Ink::Blue, shape: line }],
//!     levels: vec![],
//! };
//! let svg = chart.svg().unwrap();
//! assert!(svg.starts_with("<svg") && svg.contains("norms") && svg.contains("typical"));
//! ```

use super::figure::{FigureError, Picture, SIZE};
use kuva::plot::annotations::ReferenceLine;
use kuva::plot::legend::LegendPosition;
use kuva::plot::{BandPlot, Histogram, LinePlot, ScatterPlot};
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use kuva::render::render::{Scene, render_multiple};

/// Points of a curve, at most.
const DRAWN: usize = 400;
/// Points of a dashed curve, at most: the raster backend starts the dashes anew at each point, so they are set apart
/// by more than a dash.
const DASHED: usize = 40;
/// Share of the horizontal axis left free beside the first and last point.
const MARGIN: f64 = 0.02;
/// Intervals of an axis, about.
const INTERVALS: f64 = 6.0;

/// What a series is in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// The result.
    Blue,
    /// What it is compared with.
    Vermillion,
    /// A second result.
    Green,
    /// Background.
    Grey,
}

impl Ink {
    fn hex(self) -> &'static str {
        match self {
            Ink::Blue => "#0072b2",
            Ink::Vermillion => "#d55e00",
            Ink::Green => "#009e73",
            Ink::Grey => "#b0b0b0",
        }
    }
}

/// How a series is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A curve through points.
    Line {
        /// Points.
        points: Vec<(f64, f64)>,
        /// Dashed.
        dashed: bool,
    },
    /// Single points.
    Points(Vec<(f64, f64)>),
    /// Between two curves: `(x, low, high)`.
    Band(Vec<(f64, f64, f64)>),
    /// Bars between neighbouring edges.
    Bars {
        /// One more than bars.
        edges: Vec<f64>,
        /// Heights.
        heights: Vec<f64>,
    },
}

impl Shape {
    /// `(x, y)` of everything finite that has to fit.
    fn extent(&self) -> Vec<(f64, f64)> {
        match self {
            Shape::Line { points, .. } | Shape::Points(points) => points.clone(),
            Shape::Band(rows) => rows
                .iter()
                .flat_map(|(x, low, high)| [(*x, *low), (*x, *high)])
                .collect(),
            Shape::Bars { edges, heights } => edges
                .iter()
                .map(|x| (*x, 0.0))
                .chain(edges.iter().copied().zip(heights.iter().copied()))
                .collect(),
        }
    }
}

/// A named series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name in the legend; a band has none there, the series that it goes with names it.
    pub label: String,
    /// Colour.
    pub ink: Ink,
    /// Form.
    pub shape: Shape,
}

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Title.
    pub title: String,
    /// One line under the title.
    pub caption: String,
    /// Label of the horizontal axis.
    pub x: String,
    /// Label of the vertical axis.
    pub y: String,
    /// Series, the lowest first.
    pub series: Vec<Series>,
    /// Horizontal lines with their labels; drawn where they are in range or within a third of it.
    pub levels: Vec<(f64, String)>,
}

/// Steps of 1, 2 or 5 times a power of ten, and a range of whole steps about `lo` to `hi`.
fn scale(lo: f64, hi: f64) -> (f64, f64, f64) {
    let size = (hi - lo).max(1e-9 * lo.abs().max(hi.abs())).max(1e-300);
    let raw = size / INTERVALS;
    let power = 10f64.powf(raw.log10().floor());
    let step = match raw / power {
        r if r < 1.5 => power,
        r if r < 3.5 => 2.0 * power,
        r if r < 7.5 => 5.0 * power,
        _ => 10.0 * power,
    };
    let (a, b) = ((lo / step).floor() * step, (hi / step).ceil() * step);
    match a < b {
        true => (a, b, step),
        false => (a - step, b + step, step),
    }
}

fn finite(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let ok = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite();
    points.iter().filter(ok).copied().collect()
}

/// At most `most` of them, evenly, both ends included.
fn thinned<T: Copy>(all: &[T], most: usize) -> Vec<T> {
    if all.len() <= most {
        return all.to_vec();
    }
    (0..most)
        .map(|i| all[i * (all.len() - 1) / (most - 1)])
        .collect()
}

fn plot(series: &Series) -> Option<Plot> {
    let (colour, label) = (series.ink.hex(), series.label.as_str());
    Some(match &series.shape {
        Shape::Line { points, dashed } => {
            let line = LinePlot::new()
                .with_data(thinned(
                    &finite(points),
                    if *dashed { DASHED } else { DRAWN },
                ))
                .with_color(colour)
                .with_stroke_width(2.0)
                .with_legend(label);
            if *dashed { line.with_dashed() } else { line }.into()
        }
        Shape::Points(points) => ScatterPlot::new()
            .with_data(thinned(&finite(points), DRAWN))
            .with_color(colour)
            .with_size(3.0)
            .with_legend(label)
            .into(),
        Shape::Band(rows) => {
            let ok = |r: &&(f64, f64, f64)| r.0.is_finite() && r.1.is_finite() && r.2.is_finite();
            let rows: Vec<_> = rows.iter().filter(ok).copied().collect();
            let rows = thinned(&rows, DRAWN);
            if rows.is_empty() {
                return None;
            }
            let xs: Vec<f64> = rows.iter().map(|r| r.0).collect();
            let low: Vec<f64> = rows.iter().map(|r| r.1).collect();
            let high: Vec<f64> = rows.iter().map(|r| r.2).collect();
            Plot::Band(
                BandPlot::new(xs, low, high)
                    .with_color(colour)
                    .with_opacity(0.25),
            )
        }
        Shape::Bars { edges, heights } => Histogram::from_bins(edges.clone(), heights.clone())
            .with_color(colour)
            .with_legend(label)
            .into(),
    })
}

impl Picture for Chart {
    fn scene(&self) -> Result<Scene, FigureError> {
        let extent: Vec<(f64, f64)> = self.series.iter().flat_map(|s| s.shape.extent()).collect();
        let extent = finite(&extent);
        let ends = |of: fn(&(f64, f64)) -> f64| {
            let values = extent.iter().map(of);
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
                (a.min(v), b.max(v))
            })
        };
        let (x, mut y) = (ends(|p| p.0), ends(|p| p.1));
        if extent.is_empty() {
            return Err(FigureError::Empty);
        }
        let reach = (y.1 - y.0) / 3.0;
        let near = |v: f64| v >= y.0 - reach && v <= y.1 + reach;
        let levels: Vec<&(f64, String)> = self.levels.iter().filter(|l| near(l.0)).collect();
        for (v, _) in &levels {
            y = (y.0.min(*v), y.1.max(*v));
        }
        let (_, _, x_step) = scale(x.0, x.1);
        let (y0, y1, y_step) = scale(y.0, y.1);
        let points = |s: &Series| matches!(s.shape, Shape::Points(_));
        let pad = match self.series.iter().any(points) {
            _ if x.0 == x.1 => 0.5,
            true => MARGIN * (x.1 - x.0),
            false => 0.0,
        };
        let plots: Vec<Plot> = self.series.iter().filter_map(plot).collect();
        let mut layout = Layout::auto_from_plots(&plots)
            .with_title(self.title.as_str())
            .with_subtitle(self.caption.as_str())
            .with_x_label(self.x.as_str())
            .with_y_label(self.y.as_str())
            .with_x_axis_min(x.0 - pad)
            .with_x_axis_max(x.1 + pad)
            .with_x_tick_step(x_step)
            .with_y_axis_min(y0)
            .with_y_axis_max(y1)
            .with_y_tick_step(y_step)
            .with_width(SIZE.0)
            .with_height(SIZE.1)
            .with_box_axes()
            .with_show_grid(false)
            .with_legend_position(LegendPosition::OutsideBottomColumns)
            .with_legend_box(false);
        for (v, label) in levels {
            layout = layout.with_reference_line(
                ReferenceLine::horizontal(*v)
                    .with_color("#555555")
                    .with_stroke_width(1.0)
                    .with_dasharray("2 3")
                    .with_label(label.as_str()),
            );
        }
        Ok(render_multiple(plots, layout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        Chart {
            title: "title".into(),
            caption: "caption".into(),
            x: "across".into(),
            y: "up".into(),
            series: vec![Series {
                label: "what".into(),
                ink: Ink::Blue,
                shape: Shape::Line {
                    points,
                    dashed: false,
                },
            }],
            levels: vec![(1.2, "close".into()), (50.0, "far".into())],
        }
    }

    #[test]
    fn words_and_near_levels_are_drawn_far_ones_are_not() {
        let svg = chart(vec![(0.0, 0.0), (1.0, 1.0), (2.0, f64::NAN)])
            .svg()
            .unwrap();
        for word in ["title", "caption", "across", ">up<", "what", "close"] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(!svg.contains("far") && !svg.contains("NaN") && svg.contains("#0072b2"));
    }

    #[test]
    fn nothing_finite_is_no_picture_and_one_point_is() {
        let nothing = chart(vec![(0.0, f64::NEG_INFINITY)]);
        assert_eq!(nothing.svg(), Err(FigureError::Empty));
        assert!(chart(vec![(3.0, 7.0)]).svg().unwrap().contains("what"));
    }

    #[test]
    fn axes_end_on_whole_steps() {
        assert_eq!(scale(0.0, 6.0), (0.0, 6.0, 1.0));
        assert_eq!(scale(-34.2, 1.0), (-35.0, 5.0, 5.0));
        let (a, b, step) = scale(2.0, 2.0);
        assert!(a < 2.0 && b > 2.0 && step > 0.0);
    }

    #[test]
    fn long_curves_keep_their_ends() {
        let points: Vec<(f64, f64)> = (0..5000).map(|k| (f64::from(k), 1.0)).collect();
        let kept = thinned(&points, DRAWN);
        assert_eq!(
            (kept.len(), kept[0].0, kept[DRAWN - 1].0),
            (DRAWN, 0.0, 4999.0)
        );
    }
}
