//! Singular values and details for the script, drawn when a row is opened.
//!
//! Decimal logarithms in thousandths (an error of 0.12%, a tenth of a pixel), as differences from value to value: a spectrum of any length
//! takes less than a kilobyte.

use super::row::{Row, three};
use crate::audit::spectra::Part;
use crate::linalg::condition::Measured;
use crate::linalg::spectrum::Spectrum;
use crate::report::audit::join;
use crate::report::number::{limits_text, value_text};
use crate::report::text::visible;
use crate::theory::marchenko_pastur::MarchenkoPastur;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Singular values shown at each end, one by one.
const ENDS: usize = 25;
/// Singular values shown between.
const BETWEEN: usize = 150;

/// Which of `n` values are shown: all of few, else both ends and every so many between.
pub fn shown(n: usize) -> Vec<usize> {
    if n <= 2 * ENDS + BETWEEN {
        return (0..n).collect();
    }
    let inner = n - 2 * ENDS;
    (0..ENDS)
        .chain((0..BETWEEN).map(|k| ENDS + k * inner / BETWEEN))
        .chain(n - ENDS..n)
        .collect()
}

/// The first number, then differences.
fn differences(values: &[i64]) -> Vec<i64> {
    let before = std::iter::once(0).chain(values.iter().copied());
    values.iter().zip(before).map(|(v, b)| v - b).collect()
}

fn thousandths(log10: f64) -> i64 {
    (1000.0 * log10).round() as i64
}

/// Collects what the script needs; laws are shared by the matrices of one shape.
#[derive(Default)]
pub struct Data {
    laws: Vec<Value>,
    by_shape: HashMap<(usize, usize), usize>,
    rows: Map<String, Value>,
}

impl Data {
    /// Adds a row.
    pub fn add(&mut self, row: &Row<'_>) {
        let mut map = Map::new();
        if let Some((part, s)) = row.part.and_then(|p| Some((p, p.spectrum.as_ref()?))) {
            self.spectrum(part, s, &mut map);
        }
        map.insert("facts".into(), facts(row).into());
        self.rows.insert(row.id.to_string(), map.into());
    }

    /// The whole as one value.
    pub fn value(self) -> Value {
        json!({"laws": self.laws, "rows": self.rows})
    }

    fn spectrum(&mut self, part: &Part, s: &Spectrum, map: &mut Map<String, Value>) {
        let n = s.values.len();
        let shift = s.exponent as f64 * std::f64::consts::LOG10_2;
        // zeros come last; the script takes what is missing for zero
        let logs: Vec<i64> = shown(n)
            .into_iter()
            .map_while(|i| (s.values[i] > 0.0).then(|| thousandths(s.values[i].log10() + shift)))
            .collect();
        map.insert("sigma".into(), json!(differences(&logs)));
        // an update of low rank is compared with its own rank
        let long = match n == part.rows.min(part.cols) {
            true => part.rows.max(part.cols),
            false => part.rows.max(n),
        };
        if let Some(law) = self.law(long, n) {
            map.insert("law".into(), law.into());
        }
        // the unit of the law is |A|_F / sqrt(n)
        let unit = part.frobenius.enclosure.log10().0 - 0.5 * (n as f64).log10();
        if unit.is_finite() {
            map.insert("unit".into(), thousandths(unit).into());
        }
    }

    /// Number of the law: typical singular values, in its unit, at the indices shown.
    fn law(&mut self, long: usize, short: usize) -> Option<usize> {
        if let Some(known) = self.by_shape.get(&(long, short)) {
            return Some(*known);
        }
        let law = MarchenkoPastur::new(long, short)?;
        let at = shown(short);
        let quantiles: Vec<i64> = at
            .iter()
            .map(|i| law.quantile(1.0 - (*i as f64 + 0.5) / short as f64))
            .map(|x| thousandths(x.log10()))
            .collect();
        let at: Vec<i64> = at.into_iter().map(|i| i as i64 + 1).collect();
        self.laws.push(json!({
            "n": short, "at": differences(&at), "quantile": differences(&quantiles),
        }));
        self.by_shape.insert((long, short), self.laws.len() - 1);
        Some(self.laws.len() - 1)
    }
}

/// What the table has no room for, as pairs of a name and a text.
fn facts(row: &Row<'_>) -> Vec<Value> {
    let mut out = Vec::new();
    let mut put = |name: &str, text: String| {
        if !text.is_empty() {
            out.push(json!([name, text]));
        }
    };
    let t = row.tensor;
    for f in &row.findings {
        put(f.rule, visible(&f.message).into_owned());
    }
    if row.member().is_none() {
        put("source", visible(&t.source).into_owned());
        put("shape", join(&t.shape, " x "));
        put("parameters", t.parameters.to_string());
        if let Some(e) = &t.entries {
            let counts = [
                ("NaN", e.nan),
                ("infinite", e.inf),
                ("zero", e.zero),
                ("subnormal", e.subnormal),
            ];
            for (name, n) in counts.into_iter().filter(|(_, n)| *n > 0) {
                put(name, n.to_string());
            }
            put("largest magnitude", three(Some(e.largest)));
        }
        if let Some((index, value)) = t.first_nonfinite() {
            put(
                "first not finite",
                format!("{value} at [{}]", join(&index, ", ")),
            );
        }
        put(
            "not read",
            t.skipped
                .as_deref()
                .map_or(String::new(), |why| visible(why).into_owned()),
        );
    }
    if let Some(p) = row.part {
        let limits = |m: &Measured| {
            format!(
                "{}, limits {} ({})",
                value_text(&m.enclosure, 6),
                limits_text(&m.enclosure),
                m.certainty.as_str()
            )
        };
        put("matrix", format!("{} x {}", p.rows, p.cols));
        put("Frobenius norm", value_text(&p.frobenius.enclosure, 6));
        put("sigma_max", limits(&p.sigma_max));
        put(
            "sigma_min",
            p.sigma_min.as_ref().map_or(String::new(), limits),
        );
        put("kappa", p.cond.as_ref().map_or(String::new(), limits));
        put("sigma_1 / sigma_2", three(p.gap));
        put("random sigma_max", three(Some(p.baseline.sigma_max)));
        put(
            "kappa over random",
            three(p.baseline.log_cond_excess.map(|e| 10f64.powf(e))),
        );
        put("method", p.method.as_str().into());
        put(
            "limited",
            p.degraded
                .as_deref()
                .map_or(String::new(), |why| visible(why).into_owned()),
        );
    }
    if row.member().is_none() {
        if let Some(l) = &t.lines {
            put("mean", three(Some(l.mean)));
            put("kurtosis", three(Some(l.kurtosis)));
            put(
                "int8 error, one scale a row",
                three(Some(l.int8_error_by_row)),
            );
            for (name, n) in [
                ("dead units", l.dead.len()),
                ("duplicate units", l.copies.len()),
                ("unused inputs", l.unused.len()),
            ] {
                if n > 0 {
                    put(name, n.to_string());
                }
            }
        }
        put(
            "alpha_xavier",
            three(t.scale.as_ref().map(|s| s.alpha_xavier)),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_kept_and_indices_rise() {
        assert_eq!(shown(3), [0, 1, 2]);
        for n in [200, 201, 1000, 65_536] {
            let at = shown(n);
            assert!(at.len() <= 200 && at.is_sorted_by(|a, b| a < b), "{n}");
            assert_eq!(
                (at[0], at[24], at[at.len() - 1], at[at.len() - 25]),
                (0, 24, n - 1, n - 25)
            );
        }
    }

    #[test]
    fn differences_add_up() {
        let values = [-1234, -1235, -1235, 7];
        let mut sum = 0;
        let back: Vec<i64> = differences(&values)
            .into_iter()
            .map(|d| {
                sum += d;
                sum
            })
            .collect();
        assert_eq!(back, values);
    }
}
