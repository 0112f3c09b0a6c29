//! `isometer phase`: the figure, and a document about it.

use super::figure::{Axis, Curve, Figure};
use super::predict::{from_ln, short, short_or_dash};
use super::table::{Column, Table, csv};
use super::{Format, Style, document};
use crate::theory::correlation::Phase;
use crate::theory::criticality::EdgeOfChaos;
use crate::theory::diagram::{Axes, Diagram, Line, LinePoint};
use serde_json::{Map, Value, json};

/// Points of the edge in the document, at most.
const LISTED: usize = 64;

/// Everything `isometer phase` has to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file written.
    pub out: String,
    /// Its size.
    pub bytes: usize,
    /// What is in it.
    pub diagram: Diagram,
}

fn axis_names(axes: Axes) -> (&'static str, &'static str, &'static str) {
    match axes {
        Axes::Sigma => ("sigma_w2", "sigma_b2", "ln_chi_1"),
        Axes::DepthAlpha => ("depth", "log10_alpha", "log10_rms_gradient"),
    }
}

fn phase_word(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::Ordered) => "ordered",
        Some(Phase::Critical) => "critical",
        Some(Phase::Chaotic) => "chaotic",
        None => "none",
    }
}

/// The diagram as a figure.
pub fn figure(d: &Diagram) -> Figure {
    let held_label = match (&d.edge, d.axes) {
        (EdgeOfChaos::Homogeneous { .. }, Axes::Sigma) => "chi_1 = 1",
        (_, Axes::Sigma) => "edge of chaos",
        (_, Axes::DepthAlpha) => "critical alpha",
    };
    let curve = |line: &Line| Curve {
        label: match line.held {
            true => held_label.into(),
            false => format!("{held_label}, length not held"),
        },
        points: line.points.iter().map(|p| (p.x, p.y)).collect(),
        dashed: !line.held,
    };
    let (title, x, y, legend) = match d.axes {
        Axes::Sigma => (
            "order to chaos",
            "sigma_w^2: variance of weights x fan-in",
            "sigma_b^2: variance of biases",
            "ln chi_1 per layer, squared gradients",
        ),
        Axes::DepthAlpha => (
            "gradients over depth and alpha",
            "depth (layers)",
            "log10 alpha",
            "log10 of rms gradient",
        ),
    };
    let none = match &d.edge {
        EdgeOfChaos::None { .. } => " (no edge of chaos)",
        _ => "",
    };
    let mark = d.mark.filter(|m| d.shows(m.x, m.y)).map(|m| {
        let what = match (m.ln_gradient, m.chi_1) {
            (Some(ln), _) => format!("your model: gradient {}", from_ln(0.5 * ln)),
            (None, Some(chi)) => format!("your model: chi_1 = {}", short(chi)),
            (None, None) => "your model".into(),
        };
        (m.x, m.y, what)
    });
    Figure {
        title: format!("{}: {title}{none}", d.activation),
        x: Axis {
            label: x.into(),
            range: d.x,
        },
        y: Axis {
            label: y.into(),
            range: d.y,
        },
        columns: d.resolution,
        values: d.values.clone(),
        limit: d.limit,
        legend: legend.into(),
        curves: d.lines.iter().map(curve).collect(),
        mark,
    }
}

impl Report {
    /// The report in a layout.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => self.csv(),
            Format::Table | Format::Markdown => self.table().render(format, style),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.diagram.mark {
            Some(m) if m.phase.is_some() => phase_word(m.phase),
            _ => "drawn",
        }
    }

    fn sentence(&self) -> String {
        let d = &self.diagram;
        let Some(m) = d.mark else {
            return self.edge_sentence();
        };
        let here = format!(
            "sigma_w2 = {}, sigma_b2 = {}",
            short(m.sigma_w2),
            short(m.sigma_b2)
        );
        let Some(chi) = m.chi_1 else {
            return format!("{here}: the length of signals settles nowhere, so there is no phase.");
        };
        let what = match m.phase {
            Some(Phase::Ordered) => format!("squared gradients shrink by {} a layer", short(chi)),
            Some(Phase::Chaotic) => format!("squared gradients grow by {} a layer", short(chi)),
            _ => "squared gradients keep their mean from layer to layer".into(),
        };
        let fix = match (m.phase, m.critical_sigma_w2) {
            (Some(Phase::Critical), _) => String::new(),
            (_, Some(w)) => format!(
                "; with these biases the edge of chaos is at sigma_w2 = {}, weights times {}",
                short(w),
                short((w / m.sigma_w2).sqrt())
            ),
            (_, None) => {
                "; with these biases no sigma_w2 both holds the length of signals and keeps gradients: change the biases, normalize, or change the activation"
                    .into()
            }
        };
        format!("{here}: {what}{fix}.")
    }

    fn edge_sentence(&self) -> String {
        let d = &self.diagram;
        match &d.edge {
            EdgeOfChaos::None { searched, .. } => format!(
                "{} has no edge of chaos for lengths q from {:e} to {:e}: no variances hold a length and keep gradients; normalize, or change the activation.",
                d.activation, searched.0, searched.1
            ),
            _ if d.lines.is_empty() => format!(
                "the edge of chaos of {} is not within these axes; leave out --x and --y to see it.",
                d.activation
            ),
            EdgeOfChaos::Homogeneous { sigma_w2 } => format!(
                "gradients of {} keep their mean at sigma_w2 = {}, and lengths too if biases are zero; give --sigma-w2 or --init to mark a model.",
                d.activation,
                short(*sigma_w2)
            ),
            EdgeOfChaos::Curves(_) => format!(
                "the edge of chaos of {} is the black line; give --sigma-w2 or --init to mark a model.",
                d.activation
            ),
        }
    }

    /// At most [`LISTED`] points of the edge, evenly from all parts, ends included.
    fn edge(&self) -> Vec<(bool, LinePoint)> {
        let all: Vec<(bool, LinePoint)> = self
            .diagram
            .lines
            .iter()
            .flat_map(|l| l.points.iter().map(|p| (l.held, *p)))
            .filter(|(_, p)| self.diagram.shows(p.x, p.y))
            .collect();
        if all.len() <= LISTED {
            return all;
        }
        (0..LISTED)
            .map(|i| all[i * (all.len() - 1) / (LISTED - 1)])
            .collect()
    }

    fn json(&self) -> Map<String, Value> {
        let d = &self.diagram;
        let mut map = document::frame(Some("phase"), self.verdict(), &self.sentence());
        let (x, y, colour) = axis_names(d.axes);
        let axis = |name: &str, range: (f64, f64)| json!({"quantity": name, "from": document::number(range.0), "to": document::number(range.1)});
        map.insert("out".into(), self.out.as_str().into());
        map.insert("bytes".into(), self.bytes.into());
        map.insert("activation".into(), d.activation.to_string().into());
        let axes = match d.axes {
            Axes::Sigma => "sigma",
            Axes::DepthAlpha => "depth-alpha",
        };
        map.insert("axes".into(), axes.into());
        map.insert("x".into(), axis(x, d.x));
        map.insert("y".into(), axis(y, d.y));
        map.insert("resolution".into(), d.resolution.into());
        map.insert(
            "colour".into(),
            json!({"quantity": colour, "from": -d.limit, "to": d.limit}),
        );
        map.insert("certainty".into(), "asymptotic".into());
        map.insert("relative_error".into(), document::number(d.error));
        let exists = !matches!(d.edge, EdgeOfChaos::None { .. });
        map.insert("edge_exists".into(), exists.into());
        let points = self.edge().into_iter().map(|(held, p)| {
            json!({
                x: document::number(p.x),
                y: document::number(p.y),
                "q": document::optional(p.q),
                "length_held": held,
            })
        });
        map.insert("edge".into(), points.collect());
        map.insert("model".into(), self.mark());
        map
    }

    fn mark(&self) -> Value {
        let d = &self.diagram;
        let Some(m) = d.mark else {
            return Value::Null;
        };
        let (x, y, _) = axis_names(d.axes);
        let mut map = Map::new();
        map.insert(x.into(), document::number(m.x));
        map.insert(y.into(), document::number(m.y));
        map.insert("sigma_w2".into(), document::number(m.sigma_w2));
        map.insert("sigma_b2".into(), document::number(m.sigma_b2));
        map.insert("q_star".into(), document::optional(m.q_star));
        map.insert("chi_1".into(), document::optional(m.chi_1));
        map.insert("phase".into(), phase_word(m.phase).into());
        map.insert(
            "critical_sigma_w2".into(),
            document::optional(m.critical_sigma_w2),
        );
        map.insert(
            "ln_mean_square_gradient".into(),
            document::optional(m.ln_gradient),
        );
        map.insert("shown".into(), d.shows(m.x, m.y).into());
        Value::Object(map)
    }

    fn table(&self) -> Table {
        let d = &self.diagram;
        let (x, y, colour) = axis_names(d.axes);
        let range =
            |name: &str, r: (f64, f64)| format!("{name} from {} to {}", short(r.0), short(r.1));
        let mut rows = vec![
            [
                "figure".to_string(),
                format!("{} ({} bytes)", self.out, self.bytes),
            ],
            ["activation".into(), d.activation.to_string()],
            ["x".into(), range(x, d.x)],
            ["y".into(), range(y, d.y)],
            ["colour".into(), range(colour, (-d.limit, d.limit))],
            ["grid".into(), format!("{0} x {0}", d.resolution)],
        ];
        let start = d.lines.first().and_then(|l| l.points.first());
        let edge = match (d.axes, &d.edge, start) {
            (_, EdgeOfChaos::None { .. }, _) => "none exists".to_string(),
            (_, _, None) => "not within these axes".into(),
            (Axes::Sigma, _, Some(p)) => {
                format!("in view, from {x} = {}, {y} = {}", short(p.x), short(p.y))
            }
            (Axes::DepthAlpha, _, Some(p)) => {
                format!("in view, at alpha = {}", short(10f64.powf(p.y)))
            }
        };
        rows.push(["edge of chaos".into(), edge]);
        if let Some(m) = d.mark {
            let place = if d.shows(m.x, m.y) {
                "star"
            } else {
                "outside the axes"
            };
            rows.push([
                "model".into(),
                format!(
                    "{place}: sigma_w2 = {}, sigma_b2 = {}, chi_1 = {}, q* = {}",
                    short(m.sigma_w2),
                    short(m.sigma_b2),
                    short_or_dash(m.chi_1),
                    short_or_dash(m.q_star)
                ),
            ]);
            if let Some(ln) = m.ln_gradient {
                let norm = format!(
                    "factor {} on the root mean square gradient",
                    from_ln(0.5 * ln)
                );
                rows.push(["over its depth".into(), norm]);
            }
        }
        let verdict = self.verdict();
        Table {
            columns: vec![Column::text("what"), Column::text("value")],
            rows: rows.into_iter().map(Vec::from).collect(),
            remarks: vec![String::new()],
            verdict: format!("{verdict}: {}", self.sentence()),
            alarming: matches!(verdict, "ordered" | "chaotic"),
        }
    }

    fn csv(&self) -> Vec<u8> {
        let (x, y, _) = axis_names(self.diagram.axes);
        let mut records = vec![["kind", x, y, "q", "chi_1"].map(String::from).to_vec()];
        let text = |v: Option<f64>| v.map_or(String::new(), |v| format!("{v}"));
        for (held, p) in self.edge() {
            let kind = if held { "edge" } else { "edge-length-not-held" };
            let (px, py) = (format!("{}", p.x), format!("{}", p.y));
            records.push(vec![kind.into(), px, py, text(p.q), "1".into()]);
        }
        if let Some(m) = self.diagram.mark {
            records.push(vec![
                "model".into(),
                format!("{}", m.x),
                format!("{}", m.y),
                text(m.q_star),
                text(m.chi_1),
            ]);
        }
        csv(&records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::activation::Activation;
    use crate::report::figure::Picture;
    use crate::theory::diagram::sigma;

    fn report(activation: Activation, model: Option<(f64, f64)>) -> Report {
        let diagram = sigma(&activation, (None, None), 24, model, &|| ()).unwrap();
        Report {
            out: "x.svg".into(),
            bytes: 1,
            diagram,
        }
    }

    #[test]
    fn figures_have_axes_edge_and_mark() {
        let r = report(Activation::Tanh, Some((2.25, 0.05)));
        let svg = figure(&r.diagram).svg().unwrap();
        for word in [
            "tanh",
            "sigma_w^2",
            "sigma_b^2",
            "ln chi_1",
            "edge of chaos",
            "your model",
        ] {
            assert!(svg.contains(word), "{word}");
        }
        let gelu = figure(&report(Activation::Gelu, None).diagram);
        assert!(gelu.curves.iter().any(|c| c.dashed) && gelu.curves.iter().any(|c| !c.dashed));
        assert!(gelu.mark.is_none());
    }

    #[test]
    fn verdicts_name_the_phase_and_the_way_back() {
        let chaotic = report(Activation::Tanh, Some((2.25, 0.05)));
        assert_eq!(chaotic.verdict(), "chaotic");
        assert!(
            chaotic.sentence().contains("sigma_w2 = 1.76095"),
            "{}",
            chaotic.sentence()
        );
        assert_eq!(
            report(Activation::Relu, Some((2.0, 0.0))).verdict(),
            "critical"
        );
        let none = report(Activation::Softplus { beta: 1.0 }, None);
        assert_eq!(none.verdict(), "drawn");
        assert!(none.sentence().contains("no edge of chaos"));
        assert!(figure(&none.diagram).title.contains("no edge of chaos"));
    }

    #[test]
    fn documents_list_at_most_so_many_points() {
        let r = report(Activation::Tanh, None);
        let map = r.json();
        let edge = map["edge"].as_array().unwrap();
        assert!(edge.len() > 10 && edge.len() <= LISTED, "{}", edge.len());
        assert!(map["model"].is_null() && map["edge_exists"] == true);
        let csv = String::from_utf8(r.render(Format::Csv, &Style::PLAIN)).unwrap();
        assert!(
            csv.starts_with("kind,sigma_w2,sigma_b2,q,chi_1\nedge,"),
            "{csv}"
        );
    }
}
