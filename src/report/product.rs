//! Singular values of a long product: the verdict and every layout.
//!
//! ```
//! use isometer::linalg::product::{GaussianChain, ProductOptions, spectrum};
//! use isometer::report::{Format, Style, product::{Report, Values, Verdict}};
//!
//! let mut chain = GaussianChain { depth: 400, width: 3, alpha: 1.0, seed: 1 };
//! let all = spectrum(&mut chain, &ProductOptions::default()).unwrap();
//! let report = Report { shape: (3, 3), layers: 400, values: Values::All(all), skipped: vec![] };
//! assert_eq!(report.verdict(), Verdict::IllConditioned); // far below the precision of f64
//! assert!(String::from_utf8(report.render(Format::Csv, &Style::PLAIN)).unwrap().lines().count() >= 4);
//! ```

use super::cond::{SkipKind, Skipped};
use super::table::{Column, Table, csv};
use super::{Format, Style, document};
use crate::linalg::product::{Leading, ProductSpectrum};
use serde_json::{Map, Value, json};

/// Values shown at each end of a long table.
const SHOWN: usize = 5;

/// What was computed.
#[derive(Clone, Debug)]
pub enum Values {
    /// All singular values, with the bounds that follow from the layers.
    All(ProductSpectrum),
    /// The largest ones.
    Leading(Leading),
}

/// Everything `isometer product` has to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// Rows and columns of the product.
    pub shape: (usize, usize),
    /// Number of layers.
    pub layers: usize,
    /// What was computed.
    pub values: Values,
    /// Tensors of the sources that are no layers.
    pub skipped: Vec<Skipped>,
}

/// What the singular values come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every direction survives in double precision.
    Fine,
    /// Some direction falls below the precision of `f64`.
    IllConditioned,
    /// Some direction is annihilated.
    Singular,
}

impl Verdict {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Fine => "fine",
            Verdict::IllConditioned => "ill-conditioned",
            Verdict::Singular => "singular",
        }
    }
}

impl Report {
    fn log2(&self) -> &[f64] {
        match &self.values {
            Values::All(s) => &s.log2_singular_values,
            Values::Leading(l) => &l.log2_singular_values,
        }
    }

    fn errors(&self) -> &[f64] {
        match &self.values {
            Values::All(s) => &s.log2_error_estimate,
            Values::Leading(l) => &l.log2_error_estimate,
        }
    }

    fn reliable(&self) -> &[bool] {
        match &self.values {
            Values::All(s) => &s.reliable,
            Values::Leading(l) => &l.reliable,
        }
    }

    /// log10 of largest over smallest of the values computed.
    fn log10_ratio(&self) -> f64 {
        match self.log2() {
            [first, .., last] if *last > f64::NEG_INFINITY => {
                (first - last) * std::f64::consts::LOG10_2
            }
            [first] if *first > f64::NEG_INFINITY => 0.0,
            _ => f64::INFINITY,
        }
    }

    fn log10_norm(&self) -> f64 {
        let top = self.log2().first().copied();
        top.unwrap_or(f64::NEG_INFINITY) * std::f64::consts::LOG10_2
    }

    /// The gravest thing found.
    pub fn verdict(&self) -> Verdict {
        let ratio = self.log10_ratio();
        if ratio == f64::INFINITY {
            Verdict::Singular
        } else if ratio > -(f64::EPSILON / 2.0).log10() {
            Verdict::IllConditioned
        } else {
            Verdict::Fine
        }
    }

    /// What it means and what to do, in one line.
    pub fn sentence(&self) -> String {
        let norm = self.log10_norm();
        if norm == f64::NEG_INFINITY {
            return "the product is zero: every direction is annihilated; look for the layer that is all zeros or the pair whose ranges miss each other.".into();
        }
        let mut parts = vec![format!("norm {}", power(norm))];
        if let Values::All(s) = &self.values
            && let Some(bound) = s.log10_norm_bound()
        {
            let slack = (bound - norm).max(0.0);
            parts.push(format!(
                "{slack:.1} orders of magnitude below the product of the layers' norms"
            ));
        }
        let ratio = self.log10_ratio();
        let all = matches!(self.values, Values::All(_));
        let spread = if all {
            "kappa"
        } else {
            "largest over smallest of these values"
        };
        parts.push(match self.verdict() {
            Verdict::Singular => {
                let zeros = self.log2().iter().filter(|x| **x == f64::NEG_INFINITY).count();
                format!("{zeros} of {} directions are annihilated exactly", self.log2().len())
            }
            Verdict::IllConditioned => format!(
                "{spread} {}: directions are spread over {ratio:.0} orders of magnitude where f64 keeps 16, so work with factors or logarithms, never with the product; scaling layers changes the norm and leaves kappa",
                power(ratio)
            ),
            Verdict::Fine => format!("{spread} {}: no direction is lost in f64", power(ratio)),
        });
        let unreliable = self.reliable().iter().filter(|ok| !**ok).count();
        if unreliable > 0 {
            parts.push(format!(
                "{unreliable} values are unreliable: their predicted error exceeds the tolerance"
            ));
        }
        format!("{}.", parts.join("; "))
    }

    /// The report in one of the layouts.
    pub fn render(&self, format: Format, style: &Style) -> Vec<u8> {
        match format {
            Format::Json => document::bytes(self.json()),
            Format::Csv => self.csv(),
            Format::Table | Format::Markdown => self.table().render(format, style),
        }
    }

    fn json(&self) -> Map<String, Value> {
        let mut map = document::frame(Some("product"), self.verdict().as_str(), &self.sentence());
        let mut put = |key: &str, value: Value| {
            map.insert(key.into(), value);
        };
        let numbers = |xs: &[f64]| xs.iter().map(|&x| document::number(x)).collect::<Value>();
        let optional = |x: Option<f64>| x.map_or(Value::Null, document::number);
        put("shape", json!([self.shape.0, self.shape.1]));
        put("layers", json!(self.layers));
        put("log10_norm", document::number(self.log10_norm()));
        if let Values::All(s) = &self.values {
            put("log10_cond", document::number(s.log10_cond()));
            put("log10_norm_bound", optional(s.log10_norm_bound()));
            put("log10_cond_bound", optional(s.log10_cond_bound()));
            put("determinant_residual", optional(s.determinant_residual));
            put("determinant_tolerance", optional(s.determinant_tolerance));
            put("arithmetic", s.arithmetic.as_str().into());
            put("exact_zeros", json!(s.exact_zeros));
        }
        put("certainty", "estimate".into());
        put("log2_singular_values", numbers(self.log2()));
        put("log2_error_estimate", numbers(self.errors()));
        put("reliable", json!(self.reliable()));
        let skipped: Value = self
            .skipped
            .iter()
            .map(|s| json!({"source": s.source, "kind": s.kind.as_str(), "reason": s.reason}))
            .collect();
        put("skipped", skipped);
        map
    }

    fn cells(&self, index: usize) -> Vec<String> {
        let (log2, error) = (self.log2()[index], self.errors()[index]);
        let log10 = log2 * std::f64::consts::LOG10_2;
        vec![
            (index + 1).to_string(),
            format!("{log2:.6}"),
            format!("{log10:.6}"),
            if error == 0.0 {
                "0".into()
            } else {
                format!("{error:.0e}")
            },
            match (self.reliable()[index], log2 == f64::NEG_INFINITY) {
                (false, _) => "unreliable",
                (true, true) => "exact",
                (true, false) => "estimate",
            }
            .into(),
        ]
    }

    fn csv(&self) -> Vec<u8> {
        let header = [
            "index",
            "log2_singular_value",
            "log2_error_estimate",
            "reliable",
        ];
        let mut records = vec![header.map(String::from).to_vec()];
        for (i, log2) in self.log2().iter().enumerate() {
            records.push(vec![
                (i + 1).to_string(),
                log2.to_string(),
                self.errors()[i].to_string(),
                self.reliable()[i].to_string(),
            ]);
        }
        csv(&records)
    }

    fn table(&self) -> Table {
        let columns = vec![
            Column::number("index"),
            Column::number("log2 sigma"),
            Column::number("log10 sigma"),
            Column::number("+- log2"),
            Column::text("worth"),
        ];
        let n = self.log2().len();
        let rows = if n <= 2 * SHOWN + 1 {
            (0..n).map(|i| self.cells(i)).collect()
        } else {
            let gap = vec!["...".to_string(); columns.len()];
            let head = (0..SHOWN).map(|i| self.cells(i));
            let tail = (n - SHOWN..n).map(|i| self.cells(i));
            head.chain([gap]).chain(tail).collect()
        };
        let mut remarks = vec![format!(
            "product of {} layers, {} x {}",
            self.layers, self.shape.0, self.shape.1
        )];
        if let Values::All(s) = &self.values {
            let bound = |x: Option<f64>| x.map_or("none exists".into(), power);
            remarks.push(format!(
                "norm  {}   product of the layers' norms   {}",
                power(self.log10_norm()),
                bound(s.log10_norm_bound())
            ));
            remarks.push(format!(
                "kappa {}   product of the layers' kappas  {}",
                power(s.log10_cond()),
                bound(s.log10_cond_bound())
            ));
        }
        if let Some(skip) = self.skipped.iter().find(|s| s.kind == SkipKind::NotAMatrix) {
            remarks.push(format!(
                "{} tensors of the sources are no layers ({}, ...)",
                self.skipped.len(),
                skip.source
            ));
        }
        let verdict = self.verdict();
        Table {
            columns,
            rows,
            remarks,
            verdict: format!("{}: {}", verdict.as_str(), self.sentence()),
            alarming: verdict != Verdict::Fine,
        }
    }
}

/// `10^log10` in a form that stays short at every magnitude.
fn power(log10: f64) -> String {
    match log10 {
        f64::INFINITY => "inf".into(),
        f64::NEG_INFINITY => "0".into(),
        x if x.abs() < 4.0 => format!("{:.4}", 10f64.powf(x)),
        x => format!("10^{x:.2}"),
    }
}
