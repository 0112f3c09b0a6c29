//! `isometer alpha`: growth against the multiplier, its critical values, and what it does to training.
//!
//! ```
//! use isometer::network::{AlphaAt, Model, activation::Activation};
//! use isometer::report::{Format, Style, alpha::Report};
//! use isometer::theory::sweep::sweep;
//!
//! let sweep = sweep(&Model::new(vec![4; 5], Activation::Linear), &[0.5, 2.0], 10.0, 0.9, || ()).unwrap();
//! let report = Report { sweep, at: AlphaAt::Weights };
//! assert!(report.sentence().contains("grows with alpha"));
//! assert!(!report.render(Format::Table, &Style::PLAIN).is_empty());
//! ```

use super::predict::{short, short_or_dash};
use super::table::{Column, Table, csv};
use super::{Format, Style, document};
use crate::network::AlphaAt;
use crate::theory::effects::Effect;
use crate::theory::prediction::Verdict;
use crate::theory::sweep::{Point, Response, Sweep, Within};
use serde_json::{Map, Value, json};

/// Everything `isometer alpha` has to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was computed.
    pub sweep: Sweep,
    /// What alpha multiplies.
    pub at: AlphaAt,
}

/// `10^x` as a factor, plain where it is short.
fn power(log10: f64) -> String {
    if log10.abs() < 4.0 {
        let factor = 10f64.powf(log10);
        format!("{factor:.4}")
    } else {
        format!("10^{log10:.2}")
    }
}

fn point(p: &Point) -> Value {
    json!({
        "alpha": document::number(p.alpha),
        "chi": document::number(p.chi),
        "typical_ln_square_per_layer": document::optional(p.typical_ln_square_per_layer),
        "log10_rms_gradient": document::number(p.log10_rms_gradient),
        "log10_typical_gradient": document::optional(p.log10_typical_gradient),
        "ln_mean_square_forward": document::optional(p.ln_mean_square_forward),
        "p_zero": document::number(p.p_zero),
        "certainty": p.certainty.as_str(),
        "verdict": p.verdict.as_str(),
    })
}

fn effect(e: &Effect) -> Value {
    json!({
        "what": e.what,
        "optimizer": e.optimizer,
        "exponent": e.exponent,
        "log10_factor": document::optional(e.log10_factor),
        "statement": e.statement,
        "certainty": e.certainty.as_str(),
    })
}

impl Report {
    /// The report in a layout.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => self.csv(),
            Format::Table | Format::Markdown => self.table(format).render(format, style),
        }
    }

    /// What it comes to, from the computed numbers alone.
    pub fn sentence(&self) -> String {
        let s = &self.sweep;
        let every = || s.points.iter().chain(s.at_critical.iter().map(|(_, p)| p));
        let size = |a: &&Point, b: &&Point| a.alpha.abs().total_cmp(&b.alpha.abs());
        let (Some(smallest), Some(largest)) = (every().min_by(size), every().max_by(size)) else {
            return "no alpha was given.".into();
        };
        let kind = if largest.log10_typical_gradient.is_some() {
            "typical"
        } else {
            "root mean square"
        };
        let over = format!("over {} layers", s.depth);
        let mut out = match s.response {
            Response::Grows => format!(
                "\"a large alpha makes gradients vanish\" is false here: the {kind} gradient grows with alpha throughout, \
                 to {} at alpha = {} and {} at {} {over}; small values make it vanish",
                power(largest.log10_gradient()),
                short(largest.alpha),
                power(smallest.log10_gradient()),
                short(smallest.alpha),
            ),
            Response::Falls => format!(
                "the {kind} gradient falls as alpha grows, to {} at alpha = {} {over}",
                power(largest.log10_gradient()),
                short(largest.alpha)
            ),
            Response::Turns => {
                let level =
                    |a: &&Point, b: &&Point| a.log10_gradient().total_cmp(&b.log10_gradient());
                let (low, high) = (every().min_by(level), every().max_by(level));
                let (low, high) = (low.unwrap_or(smallest), high.unwrap_or(largest));
                format!(
                    "the {kind} gradient is not monotone in alpha: smallest ({}) at {}, largest ({}) at {} {over}",
                    power(low.log10_gradient()),
                    short(low.alpha),
                    power(high.log10_gradient()),
                    short(high.alpha)
                )
            }
            Response::Independent => format!(
                "alpha does not change the gradient here ({} {over} at every value); it changes the step size",
                power(largest.log10_gradient())
            ),
            Response::Unknown => format!(
                "the {kind} gradient changes by {} {over} at alpha = {}",
                power(largest.log10_gradient()),
                short(largest.alpha)
            ),
        };
        if let (Some(limit), Response::Grows) = (s.saturated_beyond, s.response) {
            out.push_str(&format!(
                "; beyond alpha = {} that holds for the mean square only, the typical gradient falls",
                short(limit)
            ));
        }
        if let Some((_, p)) = s.at_critical.iter().find(|(name, _)| *name == "typical") {
            out.push_str(&format!(
                "; alpha = {} keeps the typical gradient",
                short(p.alpha)
            ));
            if p.log10_rms_gradient.abs() > 0.5 {
                out.push_str(&format!(
                    ", while the root mean square becomes {}",
                    power(p.log10_rms_gradient)
                ));
            }
        } else if let Some(alpha) = s.critical.mean_square {
            out.push_str(&format!(
                "; alpha = {} keeps the mean square gradient",
                short(alpha)
            ));
        }
        out.push('.');
        out
    }

    fn json(&self) -> Map<String, Value> {
        let s = &self.sweep;
        let mut map = document::frame(Some("alpha"), s.response.as_str(), &self.sentence());
        map.insert("alpha_at".into(), self.at.to_string().into());
        map.insert("depth".into(), s.depth.into());
        map.insert("results".into(), s.points.iter().map(point).collect());
        map.insert(
            "critical_alpha".into(),
            json!({
                "mean_square": document::optional(s.critical.mean_square),
                "typical": document::optional(s.critical.typical),
            }),
        );
        let at_critical: Map<String, Value> = s
            .at_critical
            .iter()
            .map(|(name, p)| ((*name).into(), point(p)))
            .collect();
        map.insert("at_critical".into(), Value::Object(at_critical));
        let w = &s.within;
        map.insert(
            "within".into(),
            json!({
                "factor": w.factor,
                "probability": w.probability,
                "lower": document::optional(w.interval.map(|i| i.0)),
                "upper": document::optional(w.interval.map(|i| i.1)),
                "best_alpha": document::optional(w.best.map(|b| b.0)),
                "best_probability": document::optional(w.best.map(|b| b.1)),
                "certainty": w.certainty.as_str(),
            }),
        );
        map.insert("consequences_at_alpha".into(), s.effects_at.into());
        map.insert(
            "consequences".into(),
            s.effects.iter().map(effect).collect(),
        );
        map.insert("remarks".into(), self.cautions().into());
        map.insert("hypotheses".into(), s.hypotheses.clone().into());
        map
    }

    fn cautions(&self) -> Vec<String> {
        let caution = |alpha: f64| {
            format!(
                "alpha beyond {}: a bounded activation then has less than one unit of a layer in its steep part; the root mean \
                 square, made by rare draws, stays as given, while most draws have a gradient near zero",
                short(alpha)
            )
        };
        self.sweep
            .saturated_beyond
            .map(caution)
            .into_iter()
            .collect()
    }

    fn table(&self, format: Format) -> Table {
        let s = &self.sweep;
        let rows = s
            .points
            .iter()
            .map(|p| {
                vec![
                    short(p.alpha),
                    short(p.chi),
                    short_or_dash(p.typical_ln_square_per_layer.map(f64::exp)),
                    power(p.log10_rms_gradient),
                    p.log10_typical_gradient.map_or("-".into(), power),
                    p.ln_mean_square_forward
                        .map_or("-".into(), super::predict::from_ln),
                    p.verdict.as_str().into(),
                ]
            })
            .collect();
        let mut remarks = vec![
            String::new(),
            format!(
                "chi, typical: factor on the squared gradient per layer, of the mean and of exp of the mean log; gradient: norm \
                 at the input over norm at the last hidden layer ({}); signal^2: |x_L|^2 / |x_0|^2",
                s.points.first().map_or("-", |p| p.certainty.as_str())
            ),
            String::new(),
        ];
        remarks.extend(self.critical());
        remarks.push(within(&s.within));
        remarks.extend(self.cautions());
        remarks.push(String::new());
        remarks.push(format!(
            "what alpha on {} does, with factors at alpha = {}:",
            match self.at {
                AlphaAt::Weights => "all stored weights".to_string(),
                AlphaAt::Multiplier => "a multiplier outside all stored weights".into(),
                AlphaAt::Layer(k) => format!("the stored weights of layer {k}"),
            },
            short(s.effects_at)
        ));
        remarks.extend(grouped(&s.effects, format));
        remarks.extend(s.hypotheses.iter().map(|h| format!("assuming {h}")));
        remarks.push(String::new());
        Table {
            columns: vec![
                Column::number("alpha"),
                Column::number("chi"),
                Column::number("typical"),
                Column::number("rms gradient"),
                Column::number("typical gradient"),
                Column::number("signal^2").expendable(1),
                Column::text("verdict"),
            ],
            rows,
            remarks,
            verdict: format!("{}: {}", s.response.as_str(), self.sentence()),
            alarming: !s.points.iter().any(|p| p.verdict == Verdict::Stable),
        }
    }

    fn critical(&self) -> Vec<String> {
        if self.sweep.at_critical.is_empty() {
            return vec![
                "critical alpha: none known; no value of alpha stops growth here, or it does not act on it"
                    .into(),
            ];
        }
        let line = |(name, p): &(&str, Point)| {
            let kept = match *name {
                "typical" => "typical gradient",
                _ => "mean square gradient",
            };
            let typical = p
                .log10_typical_gradient
                .map_or(String::new(), |x| format!(", typical {}", power(x)));
            format!(
                "critical alpha for the {kept}: {}; there, over the depth, rms {}{typical}",
                short(p.alpha),
                power(p.log10_rms_gradient)
            )
        };
        self.sweep.at_critical.iter().map(line).collect()
    }

    fn csv(&self) -> Vec<u8> {
        let header = [
            "alpha",
            "chi",
            "typical_ln_square_per_layer",
            "log10_rms_gradient",
            "log10_typical_gradient",
            "ln_mean_square_forward",
            "p_zero",
            "certainty",
            "verdict",
        ];
        let text = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x}"));
        let mut records = vec![header.map(String::from).to_vec()];
        records.extend(self.sweep.points.iter().map(|p| {
            vec![
                format!("{}", p.alpha),
                format!("{}", p.chi),
                text(p.typical_ln_square_per_layer),
                format!("{}", p.log10_rms_gradient),
                text(p.log10_typical_gradient),
                text(p.ln_mean_square_forward),
                format!("{}", p.p_zero),
                p.certainty.as_str().into(),
                p.verdict.as_str().into(),
            ]
        }));
        csv(&records)
    }
}

fn within(w: &Within) -> String {
    let question = format!(
        "within a factor {} of its start with probability {}",
        short(w.factor),
        short(w.probability)
    );
    let best = w.best.map_or(String::new(), |(alpha, p)| {
        format!("; most probable at alpha = {} ({})", short(alpha), short(p))
    });
    let worth = w.certainty.as_str();
    match w.interval {
        None => format!("no alpha keeps the gradient {question}{best} ({worth})"),
        Some((low, high)) if low == 0.0 && high.is_infinite() => {
            format!("every alpha keeps the gradient {question}{best} ({worth})")
        }
        Some((low, high)) => format!(
            "alpha from {} to {} keeps the gradient {question}{best} ({worth})",
            short(low),
            short(high)
        ),
    }
}

/// One line for each consequence; update rules that share an answer share the line.
fn grouped(effects: &[Effect], format: Format) -> Vec<String> {
    let mut lines: Vec<(Effect, Vec<&'static str>)> = Vec::new();
    for e in effects {
        let same = lines.iter_mut().find(|(first, _)| {
            (&first.what, first.exponent, &first.statement) == (&e.what, e.exponent, &e.statement)
        });
        match (same, e.optimizer) {
            (Some((_, names)), Some(name)) => names.push(name),
            _ => lines.push((e.clone(), e.optimizer.into_iter().collect())),
        }
    }
    let bullet = if format == Format::Markdown {
        "- "
    } else {
        "  "
    };
    lines
        .into_iter()
        .map(|(e, names)| {
            let under = if names.is_empty() {
                String::new()
            } else {
                format!(" ({})", names.join(", "))
            };
            let amount = match (e.exponent, e.log10_factor) {
                (Some(0), _) => "unchanged".into(),
                (Some(k), Some(factor)) => format!("alpha^{k} = {}", power(factor)),
                _ if e.statement.starts_with("no power law") => {
                    return format!("{bullet}{}{under}: {}", e.what, e.statement);
                }
                _ => "no power law".into(),
            };
            format!("{bullet}{}{under}: {amount}; {}", e.what, e.statement)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::activation::Activation;
    use crate::network::{Model, WeightInit};
    use crate::theory::sweep::sweep;

    fn report(alphas: &[f64]) -> Report {
        let mut model = Model::new(vec![4; 101], Activation::Linear);
        model.weights = WeightInit::gaussian(4.0);
        Report {
            sweep: sweep(&model, alphas, 10.0, 0.9, || ()).unwrap(),
            at: model.alpha.at,
        }
    }

    #[test]
    fn the_sentence_follows_the_numbers() {
        let s = report(&[]).sentence();
        assert!(s.contains("is false here"), "{s}");
        assert!(
            s.contains("alpha = 0.572372 keeps the typical gradient"),
            "{s}"
        );
        // the same numbers with the sign of growth turned would say otherwise
        let mut turned = report(&[0.25, 1.0]);
        turned.sweep.response = Response::Falls;
        assert!(!turned.sentence().contains("is false here"));
    }

    #[test]
    fn every_layout_has_its_shape() {
        let r = report(&[0.5, 1.0]);
        let json: Value = serde_json::from_slice(&r.render(Format::Json, &Style::PLAIN)).unwrap();
        assert_eq!(json["results"].as_array().unwrap().len(), 2);
        assert_eq!(json["verdict"], "grows-with-alpha");
        let table = String::from_utf8(r.render(Format::Table, &Style::PLAIN)).unwrap();
        assert!(table.contains("alpha^101"), "{table}");
        let rows = String::from_utf8(r.render(Format::Csv, &Style::PLAIN)).unwrap();
        assert_eq!(rows.lines().count(), 3);
        let md = String::from_utf8(r.render(Format::Markdown, &Style::PLAIN)).unwrap();
        assert!(md.starts_with("| alpha |"), "{md}");
    }

    #[test]
    fn factors_are_plain_where_they_are_short() {
        assert_eq!(power(0.0), "1.0000");
        assert_eq!(power(-100.0), "10^-100.00");
    }
}
