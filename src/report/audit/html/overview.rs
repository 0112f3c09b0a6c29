//! The overview: largest singular value and condition number of every matrix in the order of the file, drawn here so that it is there
//! without a script.

use super::escape;
use super::row::{Row, kappa, sigma_max, times_random};
use crate::audit::roles::{Gates, Role};
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 948.0;
/// Height of a panel without its title.
const PANEL: f64 = 190.0;
/// From the top of one panel to the top of the next.
const STEP: f64 = 250.0;
const TOP: f64 = 30.0;
/// Room for marks at infinity or zero, beyond the logarithmic axis.
const BEYOND: f64 = 18.0;

/// A shape of its own for each role, so that colour is not the only carrier: class of the colour, and path about the origin for a mark of
/// radius `r`.
fn mark(role: &Role, x: f64, y: f64, r: f64) -> (&'static str, String) {
    let polygon = |corners: &[(f64, f64)]| {
        let mut d = String::new();
        for (k, (a, b)) in corners.iter().enumerate() {
            let letter = if k == 0 { 'M' } else { 'L' };
            let _ = write!(d, "{letter}{:.1} {:.1}", x + a * r, y + b * r);
        }
        d.push('z');
        d
    };
    match role {
        Role::Matrix(_) => (
            "k0",
            format!(
                "M{:.1} {y:.1}a{r:.1} {r:.1} 0 1 0 {:.1} 0a{r:.1} {r:.1} 0 1 0 {:.1} 0z",
                x - r,
                2.0 * r,
                -2.0 * r
            ),
        ),
        Role::Convolution(_) => (
            "k1",
            polygon(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
        ),
        Role::Depthwise(_) => (
            "k2",
            polygon(&[(0.0, -1.3), (1.1, 0.0), (0.0, 1.3), (-1.1, 0.0)]),
        ),
        Role::Embedding => ("k3", polygon(&[(0.0, -1.2), (1.2, 0.9), (-1.2, 0.9)])),
        Role::Gates(Gates::Lstm) => ("k4", polygon(&[(0.0, 1.2), (1.2, -0.9), (-1.2, -0.9)])),
        Role::Gates(Gates::Gru) => ("k5", polygon(&[(-1.2, 0.0), (0.9, -1.2), (0.9, 1.2)])),
        Role::FusedQkv(..) => (
            "k6",
            polygon(&[
                (-0.4, -1.3),
                (0.4, -1.3),
                (0.4, -0.4),
                (1.3, -0.4),
                (1.3, 0.4),
                (0.4, 0.4),
                (0.4, 1.3),
                (-0.4, 1.3),
                (-0.4, 0.4),
                (-1.3, 0.4),
                (-1.3, -0.4),
                (-0.4, -0.4),
            ]),
        ),
        Role::LowRankFactor { .. } => (
            "k7",
            polygon(&[
                (0.0, -1.3),
                (1.24, -0.4),
                (0.76, 1.05),
                (-0.76, 1.05),
                (-1.24, -0.4),
            ]),
        ),
        _ => (
            "k8",
            polygon(&[
                (-1.2, -0.8),
                (-0.8, -1.2),
                (0.0, -0.4),
                (0.8, -1.2),
                (1.2, -0.8),
                (0.4, 0.0),
                (1.2, 0.8),
                (0.8, 1.2),
                (0.0, 0.4),
                (-0.8, 1.2),
                (-1.2, 0.8),
                (-0.4, 0.0),
            ]),
        ),
    }
}

/// A logarithmic axis from the bottom to the top of a panel.
struct Axis {
    top: f64,
    bottom: f64,
    lo: f64,
    hi: f64,
}

impl Axis {
    /// Room for all finite values, and beyond it for infinite ones and zeros where there are any.
    fn new(top: f64, values: impl Iterator<Item = f64> + Clone) -> Axis {
        let finite = values.clone().filter(|v| v.is_finite());
        let (lo, hi) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
            (a.min(v), b.max(v))
        });
        let (lo, hi) = if lo <= hi { (lo, hi) } else { (0.0, 0.0) };
        let pad = (0.06 * (hi - lo)).max(0.5 * (0.6 - (hi - lo))).max(0.05);
        let room = |wanted: f64| {
            let any = values.clone().any(|v| v == wanted);
            if any { BEYOND } else { 0.0 }
        };
        Axis {
            top: top + room(f64::INFINITY),
            bottom: top + PANEL - room(f64::NEG_INFINITY),
            lo: lo - pad,
            hi: hi + pad,
        }
    }

    fn y(&self, log10: f64) -> f64 {
        if log10 == f64::INFINITY {
            return self.top - 0.6 * BEYOND;
        }
        if log10 == f64::NEG_INFINITY {
            return self.bottom + 0.6 * BEYOND;
        }
        self.bottom - (log10 - self.lo) / (self.hi - self.lo) * (self.bottom - self.top)
    }

    /// Decimal logarithms of the ticks with their labels.
    fn ticks(&self) -> Vec<(f64, String)> {
        let (first, last) = (self.lo.ceil() as i64, self.hi.floor() as i64);
        let step = ((last - first) / 7).max(0) + 1;
        let mut out: Vec<(f64, String)> = (first..=last)
            .filter(|e| e.rem_euclid(step) == 0)
            .map(|e| (e as f64, power(e)))
            .collect();
        if last - first < 2 {
            for e in first - 1..=last {
                for digit in [2.0, 5.0f64] {
                    let at = e as f64 + digit.log10();
                    if at > self.lo && at < self.hi && (-4..5).contains(&e) {
                        out.push((at, format!("{}", digit * 10f64.powi(e as i32))));
                    }
                }
            }
        }
        out
    }
}

/// A power of ten, with its exponent raised where digits would be many.
fn power(e: i64) -> String {
    match e {
        -2..=3 => format!("{}", 10f64.powi(e as i32)),
        _ => format!("10<tspan dy=\"-5\" font-size=\"9\">{e}</tspan>"),
    }
}

/// One quantity: decimal logarithm of a row, that of a random matrix beside it.
struct Panel {
    title: &'static str,
    values: Vec<(Option<f64>, Option<f64>)>,
}

/// The legend and the plot; `None` where no row has a matrix.
pub fn figure(rows: &[Row<'_>]) -> Option<String> {
    let shown: Vec<&Row<'_>> = rows.iter().filter(|r| r.part.is_some()).collect();
    if shown.is_empty() {
        return None;
    }
    let parts = || shown.iter().filter_map(|r| r.part);
    let panels = [
        Panel {
            title: "largest singular value",
            values: parts()
                .map(|p| {
                    (
                        Some(p.sigma_max.enclosure.log10().0),
                        Some(p.baseline.sigma_max.log10()),
                    )
                })
                .collect(),
        },
        Panel {
            title: "condition number",
            values: parts()
                .map(|p| {
                    let cond = p.cond.map(|c| c.enclosure.log10().0);
                    let excess = p.baseline.log_cond_excess;
                    (
                        cond,
                        cond.zip(excess)
                            .map(|(c, e)| c - e)
                            .filter(|b| b.is_finite()),
                    )
                })
                .collect(),
        },
    ];
    let mut out = legend(&shown);
    // outlines of small marks would cover their colour
    let dense = if shown.len() > 250 { " dense" } else { "" };
    let height = TOP + STEP + PANEL + 42.0;
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Overview plot\"><svg class=\"overview{dense}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Largest singular value and condition number of {} matrices in the order of the file, on logarithmic axes; the table below holds the numbers\">",
        shown.len()
    );
    for (k, panel) in panels.iter().enumerate() {
        draw(&mut out, panel, &shown, TOP + k as f64 * STEP);
    }
    out.push_str("</svg></div>\n");
    Some(out)
}

fn legend(shown: &[&Row<'_>]) -> String {
    let mut names: Vec<(&str, &Role)> = Vec::new();
    for row in shown {
        let role = &row.tensor.role;
        if names.iter().all(|(name, _)| *name != role.as_str()) {
            names.push((role.as_str(), role));
        }
    }
    let mut out = String::from("<ul class=\"legend\">");
    for (name, role) in names {
        let (class, d) = mark(role, 8.0, 8.0, 5.0);
        let _ = write!(
            out,
            "<li><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\"><path class=\"{class}\" d=\"{d}\"/></svg>{name}</li>"
        );
    }
    out.push_str(
        "<li><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\"><path class=\"random\" d=\"M1 8h14\"/></svg>random matrix of the same shape and norm</li></ul>\n",
    );
    out
}

fn draw(out: &mut String, panel: &Panel, shown: &[&Row<'_>], top: f64) {
    let all = panel
        .values
        .iter()
        .flat_map(|(v, b)| [*v, *b])
        .flatten()
        .filter(|v| !v.is_nan());
    let axis = Axis::new(top, all.clone());
    let n = shown.len() as f64;
    let each = (RIGHT - LEFT) / n;
    let x = |k: usize| LEFT + (k as f64 + 0.5) * each;
    let (foot, middle) = (top + PANEL, 0.5 * (LEFT + RIGHT));
    let _ = write!(
        out,
        "<text class=\"title\" x=\"{LEFT}\" y=\"{:.0}\">{}</text>",
        top - 10.0,
        panel.title
    );
    let _ = write!(
        out,
        "<path class=\"frame\" d=\"M{LEFT} {top}H{RIGHT}V{foot}H{LEFT}z\"/>"
    );
    for (at, label) in axis.ticks() {
        let y = axis.y(at);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text class=\"y\" x=\"{:.0}\" y=\"{:.1}\">{label}</text>",
            LEFT - 8.0,
            y + 4.0
        );
    }
    for (end, label) in [(f64::INFINITY, "inf"), (f64::NEG_INFINITY, "0")] {
        if all.clone().any(|v| v == end) {
            let line = if end > 0.0 { axis.top } else { axis.bottom };
            let _ = write!(
                out,
                "<path class=\"edge\" d=\"M{LEFT} {line:.1}H{RIGHT}\"/><text class=\"y\" x=\"{:.0}\" y=\"{:.1}\">{label}</text>",
                LEFT - 8.0,
                axis.y(end) + 4.0
            );
        }
    }
    let step = numbering(shown.len());
    for k in (0..shown.len()).filter(|k| *k == 0 || (k + 1).is_multiple_of(step)) {
        let _ = write!(
            out,
            "<text class=\"x\" x=\"{:.1}\" y=\"{:.0}\">{}</text>",
            x(k),
            foot + 16.0,
            k + 1
        );
    }
    let _ = write!(
        out,
        "<text class=\"x\" x=\"{middle:.0}\" y=\"{:.0}\">matrix, in the order of the file</text>",
        foot + 32.0
    );
    let half = (0.45 * each).clamp(1.0, 14.0);
    let mut random = String::new();
    for (k, (_, base)) in panel.values.iter().enumerate() {
        if let Some(base) = base.filter(|b| b.is_finite()) {
            let _ = write!(
                random,
                "M{:.1} {:.1}h{:.1}",
                x(k) - half,
                axis.y(base),
                2.0 * half
            );
        }
    }
    let _ = write!(out, "<path class=\"random\" d=\"{random}\"/>");
    let r = (0.4 * each).clamp(1.7, 5.0);
    for (k, (value, _)) in panel.values.iter().enumerate() {
        let (Some(value), Some(part)) = (value.filter(|v| !v.is_nan()), shown[k].part) else {
            continue;
        };
        let (class, d) = mark(&shown[k].tensor.role, x(k), axis.y(value), r);
        let kappa = kappa(part).map_or(String::new(), |c| format!(", kappa {c}"));
        let _ = write!(
            out,
            "<a href=\"#r{}\" tabindex=\"-1\"><path class=\"{class}\" d=\"{d}\"><title>{}: sigma_max {}{kappa}, {:.2} x random</title></path></a>",
            shown[k].id,
            escape::text(&shown[k].label()),
            sigma_max(part),
            times_random(part)
        );
    }
}

/// Distance between the numbers on the horizontal axis: a round one, for a dozen of them at most.
fn numbering(n: usize) -> usize {
    let mut decade = 1;
    loop {
        for step in [decade, 2 * decade, 5 * decade] {
            if n / step <= 12 {
                return step;
            }
        }
        decade *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_round_and_few() {
        assert_eq!(
            [8, 13, 30, 100, 130, 3000].map(numbering),
            [1, 2, 5, 10, 20, 500]
        );
    }

    #[test]
    fn an_axis_holds_its_values_and_keeps_infinity_apart() {
        let values = [0.0, 2.0, f64::INFINITY];
        let axis = Axis::new(100.0, values.iter().copied());
        assert!(
            axis.y(f64::INFINITY) < axis.top && axis.y(2.0) > axis.top && axis.y(0.0) < axis.bottom
        );
        assert_eq!(axis.bottom, 100.0 + PANEL);
        let labels: Vec<String> = axis.ticks().into_iter().map(|(_, l)| l).collect();
        assert_eq!(labels, ["1", "10", "100"]);
        let narrow = Axis::new(0.0, [0.3, 0.31].into_iter());
        assert!(!narrow.ticks().is_empty());
        let wide = Axis::new(0.0, [-300.0, 300.0].into_iter());
        assert!((4..=9).contains(&wide.ticks().len()));
        assert!(
            Axis::new(0.0, [f64::INFINITY].into_iter())
                .ticks()
                .iter()
                .all(|(v, _)| v.is_finite())
        );
    }
}
