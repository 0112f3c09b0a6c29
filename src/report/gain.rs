//! `isometer gain`: a row for each activation, and what PyTorch's gains do.
//!
//! ```
//! use isometer::network::activation::Activation;
//! use isometer::report::{Format, Style, gain::Report};
//! use isometer::theory::gain::survey;
//!
//! let rows = survey(&[Activation::Relu], 1.0).unwrap();
//! let text = Report { at_q: 1.0, rows }.render(Format::Csv, &Style::PLAIN);
//! assert!(String::from_utf8(text).unwrap().contains("1.41421")); // sqrt 2
//! ```

use super::predict::{from_ln, short, short_or_dash};
use super::table::{Column, Table, csv};
use super::{Format, Style, document};
use crate::theory::correlation::Phase;
use crate::theory::criticality::EdgeOfChaos;
use crate::theory::gain::{ActivationGain, LAYERS};
use crate::theory::mean_field::Limit;
use serde_json::{Map, Value, json};

/// Everything `isometer gain` has to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// Variance of the pre-activations at which gains were taken.
    pub at_q: f64,
    /// One entry for each activation.
    pub rows: Vec<ActivationGain>,
}

/// Activations named in a sentence before the rest is only counted.
const NAMED: usize = 8;

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        [one] => one.clone(),
        [most @ .., last] if names.len() <= NAMED => format!("{} and {last}", most.join(", ")),
        _ => format!(
            "{} and {} more",
            names[..NAMED].join(", "),
            names.len() - NAMED
        ),
    }
}

fn edge(edge: &EdgeOfChaos) -> Value {
    match edge {
        EdgeOfChaos::Homogeneous { sigma_w2 } => {
            json!({"kind": "point", "sigma_w2": document::number(*sigma_w2), "sigma_b2": 0.0})
        }
        EdgeOfChaos::Curves(curves) => {
            let curves: Vec<Value> = curves
                .iter()
                .map(|(a, b)| json!([document::number(*a), document::number(*b)]))
                .collect();
            json!({"kind": "curve", "q": curves})
        }
        EdgeOfChaos::None { best, q, searched } => json!({
            "kind": "none",
            "largest_sigma_b2_over_q": document::number(*best),
            "at_q": document::number(*q),
            "searched_q": [searched.0, searched.1],
        }),
    }
}

fn limit(row: &ActivationGain) -> Option<&'static str> {
    row.gains.torch.map(|t| match t.limit {
        Limit::Fixed(_) => "fixed",
        Limit::Every(_) => "every",
        Limit::Diverges(_) => "diverges",
        Limit::Unsettled => "unsettled",
    })
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

    fn json(&self) -> Map<String, Value> {
        let mut map = document::frame(Some("gain"), "listed", &self.sentence());
        map.insert("at_q".into(), document::number(self.at_q));
        map.insert("layers".into(), LAYERS.into());
        let results: Vec<Value> = self.rows.iter().map(result).collect();
        map.insert("results".into(), results.into());
        map
    }

    fn names(&self, which: impl Fn(&ActivationGain) -> bool) -> Vec<String> {
        let rows = self.rows.iter().filter(|r| which(r));
        rows.map(|r| r.activation.to_string()).collect()
    }

    /// Activations that PyTorch's gain does this to, with the growth of squared norms per layer.
    fn growth(&self, phase: Phase) -> Vec<String> {
        let rows = self
            .rows
            .iter()
            .filter(|r| r.phase_at_torch() == Some(phase));
        rows.map(|r| {
            let torch = r.gains.torch;
            let chi = torch.and_then(|t| t.chi_1).map_or(f64::NAN, |c| c.value);
            let over = r.ln_gradient_at_torch.map_or(f64::NAN, |ln| 0.5 * ln);
            format!(
                "{} (chi {chi:.3} a layer, norm x{} over {LAYERS})",
                r.activation,
                from_ln(over)
            )
        })
        .collect()
    }

    fn sentence(&self) -> String {
        let mut parts = Vec::new();
        let keeps = self.names(|r| r.phase_at_torch() == Some(Phase::Critical));
        if !keeps.is_empty() {
            parts.push(format!(
                "PyTorch's gain keeps squared gradients for {}",
                listed(&keeps)
            ));
        }
        let grows = self.growth(Phase::Chaotic);
        if !grows.is_empty() {
            parts.push(format!(
                "PyTorch's gain lets squared gradients grow for {}",
                listed(&grows)
            ));
        }
        let shrinks = self.growth(Phase::Ordered);
        if !shrinks.is_empty() {
            parts.push(format!(
                "PyTorch's gain lets squared gradients shrink for {}",
                listed(&shrinks)
            ));
        }
        let dies = self.names(|r| r.q_star() == Some(0.0));
        if !dies.is_empty() {
            parts.push(format!(
                "PyTorch's gain lets signals die out for {}",
                listed(&dies)
            ));
        }
        let without = self.names(|r| r.gains.torch.is_none());
        if !without.is_empty() {
            parts.push(format!("calculate_gain has none for {}", listed(&without)));
        }
        let unstable = self.names(ActivationGain::forward_is_unstable);
        if !unstable.is_empty() {
            parts.push(format!(
                "the forward gain is an unstable fixed point for {}: take a point of their edge of chaos (isometer phase)",
                listed(&unstable)
            ));
        }
        format!("{}.", parts.join("; "))
    }

    fn table(&self) -> Table {
        let rows = self.rows.iter().map(|r| {
            let g = &r.gains;
            vec![
                r.activation.to_string(),
                short(g.forward.value),
                short(g.backward.value),
                short(g.chi_at_forward.value),
                short(g.chi_parallel_at_forward.value),
                short_or_dash(g.torch.map(|t| t.gain)),
                short_or_dash(r.q_star()),
                short_or_dash(g.torch.and_then(|t| t.chi_1).map(|c| c.value)),
                r.ln_gradient_at_torch
                    .map_or("-".into(), |ln| from_ln(0.5 * ln)),
            ]
        });
        Table {
            columns: vec![
                Column::text("activation"),
                Column::number("forward"),
                Column::number("backward"),
                Column::number("chi fwd").expendable(1),
                Column::number("drift").expendable(2),
                Column::number("torch"),
                Column::number("q*"),
                Column::number("chi torch"),
                Column::number("50 layers"),
            ],
            rows: rows.collect(),
            remarks: vec![
                String::new(),
                format!(
                    "forward keeps the variance q = {} of pre-activations, backward the mean square of gradients;",
                    short(self.at_q)
                ),
                "chi fwd: growth of squared gradients per layer at the forward gain; drift above 1: q is not held;".into(),
                "torch: calculate_gain, the q* it leads to, chi there, and its factor on gradient norms over 50 layers.".into(),
                "Without biases; exact for one slope on each side of zero, otherwise of infinite width.".into(),
                String::new(),
            ],
            verdict: format!("listed: {}", self.sentence()),
            alarming: false,
        }
    }

    fn csv(&self) -> Vec<u8> {
        let header = [
            "activation",
            "forward_gain",
            "backward_gain",
            "chi_at_forward_gain",
            "chi_parallel_at_forward_gain",
            "torch",
            "q_star",
            "chi_at_torch_gain",
            "ln_mean_square_gradient_over_50_layers",
            "certainty",
        ];
        let text = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x}"));
        let mut records = vec![header.map(String::from).to_vec()];
        for r in &self.rows {
            let g = &r.gains;
            records.push(vec![
                r.activation.to_string(),
                format!("{}", g.forward.value),
                format!("{}", g.backward.value),
                format!("{}", g.chi_at_forward.value),
                format!("{}", g.chi_parallel_at_forward.value),
                text(g.torch.map(|t| t.gain)),
                text(r.q_star()),
                text(g.torch.and_then(|t| t.chi_1).map(|c| c.value)),
                text(r.ln_gradient_at_torch),
                r.certainty.as_str().into(),
            ]);
        }
        csv(&records)
    }
}

fn result(r: &ActivationGain) -> Value {
    let g = &r.gains;
    let chi = g.torch.and_then(|t| t.chi_1);
    let effect = r.phase_at_torch().map(|p| match p {
        Phase::Critical => "keeps",
        Phase::Chaotic => "grows",
        Phase::Ordered => "shrinks",
    });
    json!({
        "activation": r.activation.to_string(),
        "certainty": r.certainty.as_str(),
        "forward_gain": document::number(g.forward.value),
        "backward_gain": document::number(g.backward.value),
        "gain_error": document::number(g.forward.error.max(g.backward.error)),
        "frameworks": {"torch": document::optional(g.torch.map(|t| t.gain))},
        "q_star": document::optional(r.q_star()),
        "limit_at_torch_gain": limit(r),
        "chi_at_torch_gain": document::optional(chi.map(|c| c.value)),
        "chi_at_torch_gain_error": document::optional(chi.map(|c| c.error)),
        "effect_of_torch_gain": effect,
        "ln_mean_square_gradient_over_50_layers": document::optional(r.ln_gradient_at_torch),
        "chi_at_forward_gain": document::number(g.chi_at_forward.value),
        "chi_parallel_at_forward_gain": document::number(g.chi_parallel_at_forward.value),
        "forward_gain_unstable": r.forward_is_unstable(),
        "edge_of_chaos": edge(&r.edge),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::activation::Activation;
    use crate::theory::gain::survey;

    fn report(activations: &[Activation]) -> Report {
        Report {
            at_q: 1.0,
            rows: survey(activations, 1.0).unwrap(),
        }
    }

    #[test]
    fn the_sentence_tells_what_each_gain_does() {
        let r = report(&[Activation::Relu, Activation::Tanh, Activation::Gelu]);
        let sentence = r.sentence();
        for part in [
            "keeps squared gradients for relu",
            "grow for tanh (chi 1.210 a layer",
            "none for gelu",
            "unstable fixed point for gelu",
        ] {
            assert!(sentence.contains(part), "{part}: {sentence}");
        }
    }

    #[test]
    fn rows_fit_on_a_screen() {
        let r = report(&Activation::all());
        let text = String::from_utf8(r.render(Format::Table, &Style::PLAIN)).unwrap();
        for line in text.lines().take(Activation::all().len() + 2) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn json_has_a_null_where_there_is_no_gain() {
        let gelu = &report(&[Activation::Gelu]).json()["results"][0];
        assert!(gelu["frameworks"]["torch"].is_null() && gelu["q_star"].is_null());
        assert_eq!(gelu["edge_of_chaos"]["kind"], "curve");
    }
}
