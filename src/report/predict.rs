//! `isometer predict`: the per-layer picture, the laws, the verdict and the fix.
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//! use isometer::report::{Format, Style, predict::Report};
//! use isometer::theory::predict::{Options, predict};
//!
//! let prediction = predict(&Model::new(vec![8; 4], Activation::Relu), &Options::default()).unwrap();
//! let text = String::from_utf8(Report { prediction }.render(Format::Table, &Style::PLAIN)).unwrap();
//! assert!(text.contains("layer") && text.contains("chi"));
//! ```

use super::table::{Column, Table, csv};
use super::{Format, Style, document};
use crate::theory::prediction::{Law, Prediction, Verdict};
use serde_json::{Map, Value, json};

/// Layers shown in the picture; deeper networks are sampled evenly.
const SHOWN: usize = 16;
/// Characters on each side of the bar's origin.
const BAR: usize = 12;

/// Everything `isometer predict` has to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was computed.
    pub prediction: Prediction,
}

/// Six significant digits, in scientific notation outside `[1e-4, 1e6)`.
pub(super) fn short(x: f64) -> String {
    if x == 0.0 {
        return "0".into();
    }
    if !x.is_finite() {
        return format!("{x}");
    }
    if (1e-4..1e6).contains(&x.abs()) {
        let digits = (5.0 - x.abs().log10().floor()).clamp(0.0, 9.0) as usize;
        let text = format!("{x:.digits$}");
        if text.contains('.') {
            return text.trim_end_matches('0').trim_end_matches('.').into();
        }
        return text;
    }
    format!("{x:.4e}")
}

pub(super) fn short_or_dash(x: Option<f64>) -> String {
    x.map_or("-".into(), short)
}

/// A squared magnitude given by its natural logarithm, as a plain number or a power of ten.
pub(super) fn from_ln(ln: f64) -> String {
    let log10 = ln * std::f64::consts::LOG10_E;
    if log10.abs() < 290.0 {
        short(ln.exp())
    } else if ln == f64::NEG_INFINITY {
        "0".into()
    } else {
        format!("10^{log10:.2}")
    }
}

/// JSON of a law of a squared norm.
fn law(l: &Law) -> Value {
    let table = |rows: &[(f64, f64)]| {
        let map: Map<String, Value> = rows
            .iter()
            .map(|(k, v)| (format!("{k}"), document::number(*v)))
            .collect();
        Value::Object(map)
    };
    let mut map = Map::new();
    map.insert("certainty".into(), l.certainty.as_str().into());
    map.insert("ln_mean_square".into(), document::number(l.ln_mean_square));
    map.insert(
        "mean_ln_square".into(),
        document::optional(l.mean_ln_square),
    );
    map.insert("var_ln_square".into(), document::optional(l.var_ln_square));
    let kurtosis = l.ln_kurtosis_ratio.map(f64::exp).filter(|k| k.is_finite());
    map.insert("kurtosis_ratio".into(), document::optional(kurtosis));
    map.insert(
        "ln_kurtosis_ratio".into(),
        document::optional(l.ln_kurtosis_ratio),
    );
    map.insert("p_zero".into(), document::number(l.p_zero));
    map.insert("quantiles_ln_square".into(), table(&l.quantiles_ln_square));
    map.insert("cdf_ln_square".into(), table(&l.cdf_ln_square));
    if let Some(error) = l.error {
        map.insert("error".into(), document::number(error));
    }
    Value::Object(map)
}

/// A horizontal bar from the middle: `<` to the left for decay, `>` to the right for growth.
fn bar(value: f64, largest: f64) -> String {
    let length = if largest > 0.0 {
        ((value.abs() / largest) * BAR as f64).round() as usize
    } else {
        0
    };
    let length = length.min(BAR);
    if value < 0.0 {
        format!("{}{}|", " ".repeat(BAR - length), "<".repeat(length))
    } else {
        format!("{}|{}", " ".repeat(BAR), ">".repeat(length))
    }
}

impl Report {
    /// The report in a layout.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, activation::Activation};
    /// use isometer::report::{Format, Style, predict::Report};
    /// use isometer::theory::predict::{Options, predict};
    /// let prediction = predict(&Model::new(vec![8; 4], Activation::Relu), &Options::default()).unwrap();
    /// let json = Report { prediction }.render(Format::Json, &Style::PLAIN);
    /// assert!(String::from_utf8(json).unwrap().contains("\"command\": \"predict\""));
    /// ```
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => self.csv(),
            Format::Table | Format::Markdown => self.table().render(format, style),
        }
    }

    fn json(&self) -> Map<String, Value> {
        let p = &self.prediction;
        let mut map = document::frame(Some("predict"), p.verdict.as_str(), &p.sentence);
        let words = |w: &[String]| Value::from(w.to_vec());
        let model: Map<String, Value> = p
            .description
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        map.insert("model".into(), Value::Object(model));
        let m = &p.mean_field;
        map.insert(
            "mean_field".into(),
            json!({
                "q_star": document::optional(m.q_star),
                "chi_1": document::optional(m.chi_1),
                "chi_parallel": document::optional(m.chi_parallel),
                "c_star": document::optional(m.c_star),
                "xi_q": document::optional(m.xi_q),
                "xi_c": document::optional(m.xi_c),
                "gradient_depth_scale": document::optional(m.gradient_depth_scale),
                "phase": m.phase,
                "note": m.note,
            }),
        );
        let maybe = |l: &Option<Law>| l.as_ref().map_or(Value::Null, law);
        map.insert("forward".into(), maybe(&p.forward));
        map.insert("jvp".into(), maybe(&p.jvp));
        map.insert("input_gradient".into(), maybe(&p.input_gradient));
        map.insert(
            "weight_gradients".into(),
            p.weight_gradients
                .iter()
                .map(|(layer, l)| {
                    let mut entry = law(l);
                    if let Value::Object(map) = &mut entry {
                        map.insert("layer".into(), (*layer).into());
                    }
                    entry
                })
                .collect(),
        );
        map.insert(
            "growth".into(),
            json!({
                "chi": document::number(p.growth.chi),
                "ln_chi": document::number(p.growth.ln_chi),
                "typical_ln_square_per_layer": document::optional(p.growth.typical_ln_square_per_layer),
                "certainty": p.growth.certainty.as_str(),
            }),
        );
        let j = &p.jacobian;
        map.insert(
            "jacobian".into(),
            json!({
                "expected_rank": document::optional(j.expected_rank),
                "expected_trace": document::optional(j.ln_expected_trace.map(f64::exp).filter(|x| x.is_finite())),
                "ln_expected_trace": document::optional(j.ln_expected_trace),
                "expected_trace_of_square":
                    document::optional(j.ln_expected_trace_of_square.map(f64::exp).filter(|x| x.is_finite())),
                "ln_expected_trace_of_square": document::optional(j.ln_expected_trace_of_square),
                "variance": document::optional(j.variance),
                "log2_lyapunov": j.log2_lyapunov.iter().map(|x| document::number(*x)).collect::<Vec<_>>(),
                "spectral_edge": {
                    "lower": document::optional(j.edge.map(|e| e.0)),
                    "upper": document::optional(j.edge.map(|e| e.1)),
                },
            }),
        );
        map.insert(
            "kernel".into(),
            json!({"nngp": document::optional(p.kernel.nngp), "ntk": document::optional(p.kernel.ntk)}),
        );
        map.insert(
            "critical_alpha".into(),
            json!({
                "mean_square": document::optional(p.critical_alpha.mean_square),
                "typical": document::optional(p.critical_alpha.typical),
            }),
        );
        let precision: Map<String, Value> = p
            .precision
            .iter()
            .map(|x| {
                let value = json!({
                    "underflow_depth_mean": document::optional(x.underflow_depth_mean),
                    "underflow_depth_typical": document::optional(x.underflow_depth_typical),
                    "p_underflow": document::optional(x.p_underflow),
                });
                (x.format.to_string(), value)
            })
            .collect();
        map.insert("precision".into(), Value::Object(precision));
        let layers: Vec<Value> = p
            .layers
            .iter()
            .map(|l| {
                json!({
                    "layer": l.layer,
                    "width": l.width,
                    "q": document::optional(l.q),
                    "chi": document::number(l.chi),
                    "ln_mean_square_gradient": document::number(l.ln_mean_square_gradient),
                    "typical_ln_square_gradient": document::optional(l.typical_ln_square_gradient),
                })
            })
            .collect();
        map.insert("layers".into(), layers.into());
        map.insert("reasons".into(), words(&p.reasons));
        map.insert(
            "fix".into(),
            p.fix.as_ref().map_or(
                Value::Null,
                |f| json!({"what": f.what, "torch": f.torch, "keras": f.keras}),
            ),
        );
        map.insert("hypotheses".into(), words(&p.hypotheses));
        map
    }

    /// Indices of the layers shown: all of a shallow network, an even sample of a deep one.
    fn sample(&self) -> Vec<usize> {
        let count = self.prediction.layers.len();
        if count <= SHOWN {
            return (0..count).collect();
        }
        (0..SHOWN)
            .map(|i| (i * (count - 1) + (SHOWN - 1) / 2) / (SHOWN - 1))
            .collect()
    }

    fn table(&self) -> Table {
        let p = &self.prediction;
        let shown = self.sample();
        let level = |i: usize| {
            let l = &p.layers[i];
            l.typical_ln_square_gradient
                .unwrap_or(l.ln_mean_square_gradient)
        };
        let largest = shown
            .iter()
            .map(|&i| level(i).abs())
            .filter(|x| x.is_finite())
            .fold(0.0, f64::max);
        // differences below a tenth of a decade are no picture
        let largest = largest.max(0.1 * std::f64::consts::LN_10);
        let rows = shown
            .iter()
            .map(|&i| {
                let l = &p.layers[i];
                vec![
                    l.layer.to_string(),
                    l.width.to_string(),
                    short_or_dash(l.q),
                    short(l.chi),
                    from_ln(l.ln_mean_square_gradient),
                    l.typical_ln_square_gradient.map_or("-".into(), from_ln),
                    bar(level(i), largest),
                ]
            })
            .collect();
        Table {
            columns: vec![
                Column::number("layer"),
                Column::number("width"),
                Column::number("q").expendable(1),
                Column::number("chi"),
                Column::number("gradient^2 mean"),
                Column::number("typical"),
                Column::text("decay <|> growth").expendable(2),
            ],
            rows,
            remarks: self.remarks(),
            verdict: format!("{}: {}", p.verdict.as_str(), p.sentence),
            alarming: p.verdict != Verdict::Stable,
        }
    }

    fn remarks(&self) -> Vec<String> {
        let p = &self.prediction;
        let mut out = vec![
            String::new(),
            "gradient^2: squared norm of the gradient at a layer's output, relative to the last \
             hidden layer's; mean over networks and typical (exp of the mean log)."
                .into(),
            String::new(),
        ];
        let describe = |name: &str, l: &Law| {
            let quantile = |p: f64| {
                l.quantiles_ln_square
                    .iter()
                    .find(|(q, _)| *q == p)
                    .map_or("-".into(), |(_, x)| from_ln(*x))
            };
            let mean = from_ln(l.ln_mean_square);
            let worth = l.certainty.as_str();
            let Some(typical) = l.mean_ln_square.map(from_ln) else {
                return format!("{name}: mean {mean} ({worth})");
            };
            format!(
                "{name}: mean {mean}, typical {typical}, 5% {} to 95% {}, exactly zero with probability {} ({worth})",
                quantile(0.05),
                quantile(0.95),
                short(l.p_zero),
            )
        };
        if let Some(l) = &p.jvp {
            out.push(describe("|J u|^2", l));
        }
        if let Some(l) = &p.input_gradient {
            out.push(describe("|dy/dx|^2", l));
        }
        let m = &p.mean_field;
        let mut field = format!("mean field: {}", m.phase);
        for (name, value) in [
            ("q*", m.q_star),
            ("chi_1", m.chi_1),
            ("c*", m.c_star),
            ("gradient depth scale", m.gradient_depth_scale),
        ] {
            if let Some(x) = value {
                field.push_str(&format!(", {name} = {}", short(x)));
            }
        }
        if let Some(note) = &m.note {
            field.push_str(&format!(" ({note})"));
        }
        out.push(field);
        if p.critical_alpha.mean_square.is_some() || p.critical_alpha.typical.is_some() {
            out.push(format!(
                "critical alpha: {} keeps the mean square, {} keeps the typical gradient",
                short_or_dash(p.critical_alpha.mean_square),
                short_or_dash(p.critical_alpha.typical)
            ));
        }
        out.extend(p.reasons.iter().map(|r| format!("why: {r}")));
        if let Some(fix) = &p.fix {
            out.push(format!("fix: {}", fix.what));
            out.push(format!("  torch:  {}", fix.torch));
            out.push(format!("  keras:  {}", fix.keras));
        }
        out.extend(p.hypotheses.iter().map(|h| format!("assuming {h}")));
        out.push(String::new());
        out
    }

    fn csv(&self) -> Vec<u8> {
        let header = [
            "layer",
            "width",
            "q",
            "chi",
            "ln_mean_square_gradient",
            "typical_ln_square_gradient",
        ];
        let mut records = vec![header.map(String::from).to_vec()];
        let text = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x}"));
        for l in &self.prediction.layers {
            records.push(vec![
                l.layer.to_string(),
                l.width.to_string(),
                text(l.q),
                format!("{}", l.chi),
                format!("{}", l.ln_mean_square_gradient),
                text(l.typical_ln_square_gradient),
            ]);
        }
        csv(&records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_lose_their_size() {
        assert_eq!(short(0.0), "0");
        assert_eq!(short(1.0), "1");
        assert_eq!(short(0.572_374_9), "0.572375");
        assert_eq!(short(123_456.7), "123457");
        assert_eq!(short(1.5e-7), "1.5000e-7");
        assert_eq!(short(f64::INFINITY), "inf");
        assert_eq!(from_ln(0.0), "1");
        assert_eq!(from_ln(-2302.585), "10^-1000.00");
        assert_eq!(from_ln(f64::NEG_INFINITY), "0");
    }

    #[test]
    fn bars_point_where_gradients_go() {
        assert_eq!(bar(-1.0, 1.0), "<<<<<<<<<<<<|");
        assert_eq!(bar(0.5, 1.0), format!("{}|>>>>>>", " ".repeat(12)));
        assert_eq!(bar(0.0, 0.0), format!("{}|", " ".repeat(12)));
    }
}
