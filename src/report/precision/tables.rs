//! The table for people.

use super::{Counted, Report, Subject, Verdict, layers_of};
use crate::report::cond::Skipped;
use crate::report::predict::{from_ln, short, short_or_dash};
use crate::report::table::{Column, Table};
use crate::theory::budget::{Budget, Crossing, ELEMENT_BITS, FormatBudget};
use crate::theory::precision::{GRADIENT_FORMATS, LayerRange, LossScale, Subnormals};

/// A loss scale in words.
pub(super) fn scale_text(s: &LossScale, name: &dyn Fn(usize) -> String) -> String {
    match *s {
        LossScale::Fits {
            above_log2,
            below_log2,
            power,
        } => {
            let between = format!("2^{above_log2:.1} to 2^{below_log2:.1}");
            match power {
                _ if above_log2 < 0.0 && 0.0 < below_log2 => {
                    format!("none needed ({between} fits)")
                }
                Some(k) => format!("2^{k} ({between} fits)"),
                None => format!("{between}, no power of two"),
            }
        }
        LossScale::Conflict {
            underflows,
            overflows,
            missing_bits,
        } if underflows == overflows => format!(
            "none: {} alone needs {missing_bits:.1} bits more than the format has",
            name(underflows)
        ),
        LossScale::Conflict {
            underflows,
            overflows,
            missing_bits,
        } => format!(
            "none: {} underflows before {} stops overflowing, {missing_bits:.1} bits are missing",
            name(underflows),
            name(overflows)
        ),
        LossScale::Empty => "nothing to scale".into(),
    }
}

impl Report {
    pub(super) fn table(&self) -> Table {
        let (columns, rows, remarks) = match &self.subject {
            Subject::Predicted(b) => self.predicted_table(b),
            Subject::Counted { tensors, skipped } => self.counted_table(tensors, skipped),
        };
        let verdict = self.verdict();
        Table {
            columns,
            rows,
            remarks,
            verdict: format!("{}: {}", verdict.as_str(), self.sentence()),
            alarming: !matches!(verdict, Verdict::Fits | Verdict::NeedsLossScale),
        }
    }

    fn predicted_table(&self, b: &Budget) -> (Vec<Column>, Vec<Vec<String>>, Vec<String>) {
        let depth = |x: f64| {
            if x.is_infinite() {
                "never".into()
            } else {
                format!("{x:.1}")
            }
        };
        let rows = b
            .formats
            .iter()
            .flat_map(|f| {
                let row = |name: String, c: &Crossing| {
                    vec![
                        name,
                        depth(c.depth_mean),
                        c.depth_typical.map_or("-".into(), depth),
                        short_or_dash(c.probability),
                    ]
                };
                [
                    row(format!("{} to zero", f.format), &f.underflow),
                    row(format!("{} to zero, flushed", f.format), &f.flushed),
                    row(format!("{} to infinity", f.format), &f.overflow),
                ]
            })
            .collect();
        let mut remarks = vec![
            String::new(),
            "depth: layers until a gradient of size 1 rounds to zero or to infinity, by its root mean square and typically; \
             probability: of an element of this network's input gradient; flushed: hardware without subnormal numbers."
                .into(),
            String::new(),
        ];
        let widest = |f: fn(f64, f64) -> f64, pick: fn(&LayerRange) -> f64| {
            b.layers.iter().map(|l| pick(&l.range)).reduce(f)
        };
        if let (Some(low), Some(high)) = (
            widest(f64::min, |r| r.ln_min),
            widest(f64::max, |r| r.ln_max),
        ) {
            remarks.push(format!(
                "elements of gradients to {} reach from {} (2^-{ELEMENT_BITS} of a layer's root mean square, lowest draw in 20) to \
                 {} (the norm, highest draw in 20), for dloss/dy = 1",
                layers_of(b.of),
                from_ln(low),
                from_ln(high)
            ));
        }
        for f in &b.formats {
            remarks.push(format!(
                "loss scale in {}: {}",
                f.format,
                scale_text(&f.loss_scale, &|i| self.name(i))
            ));
            remarks.push(format!("lost updates in {}: {}", f.format, lost_text(f)));
        }
        remarks.extend(b.hypotheses.iter().map(|h| format!("assuming {h}")));
        remarks.push(String::new());
        let columns = vec![
            Column::text("rounding"),
            Column::number("depth (mean)"),
            Column::number("depth (typical)"),
            Column::number("probability"),
        ];
        (columns, rows, remarks)
    }

    fn counted_table(
        &self,
        tensors: &[Counted],
        skipped: &[Skipped],
    ) -> (Vec<Column>, Vec<Vec<String>>, Vec<String>) {
        let rows = tensors
            .iter()
            .map(|t| {
                let c = &t.census;
                let mut row = vec![
                    t.label.clone(),
                    c.count.to_string(),
                    c.zeros.to_string(),
                    short_or_dash(c.smallest),
                    short_or_dash(c.largest),
                ];
                row.extend(GRADIENT_FORMATS.map(|f| {
                    let lost = c.lost(f);
                    match c.nonzero() {
                        0 => "-".into(),
                        n => {
                            let share = |k: u64| short(k as f64 / n as f64);
                            format!(
                                "{} / {} / {}",
                                share(lost.zero),
                                share(lost.subnormal),
                                share(lost.overflow)
                            )
                        }
                    }
                }));
                row
            })
            .collect();
        let mut remarks = vec![
            String::new(),
            "shares of the non-zero values that would round to zero / to a subnormal number / to infinity; min and max are \
             magnitudes of the finite non-zero values."
                .into(),
            String::new(),
        ];
        for f in GRADIENT_FORMATS {
            remarks.push(format!(
                "loss scale that keeps every element in {f}: {}",
                scale_text(&self.loss_scale(f, Subnormals::Kept), &|i| self.name(i))
            ));
        }
        remarks.extend(
            skipped
                .iter()
                .map(|s| format!("skipped {}: {}", s.label, s.reason)),
        );
        remarks.push(String::new());
        let columns = vec![
            Column::text("tensor"),
            Column::number("values"),
            Column::number("zeros"),
            Column::number("min"),
            Column::number("max"),
            Column::number("f16"),
            Column::number("bf16"),
            Column::number("f32"),
        ];
        (columns, rows, remarks)
    }
}

fn lost_text(f: &FormatBudget) -> String {
    let (low, high) = f.lost.relative;
    let mut out = format!(
        "a step up to {} to {} of a weight of root mean square size changes nothing",
        short(low),
        short(high)
    );
    if low == high {
        out = format!(
            "a step up to {} of a weight of root mean square size changes nothing",
            short(low)
        );
    }
    match f.lost.layers.as_deref() {
        Some([]) => out.push_str("; at this learning rate no layer's step is lost"),
        Some([first, .., last]) => out.push_str(&format!(
            "; at this learning rate the typical step is lost in {} layers ({first} to {last}): keep a master copy in f32",
            f.lost.layers.as_ref().map_or(0, Vec::len)
        )),
        Some([only]) => out.push_str(&format!(
            "; at this learning rate the typical step is lost in layer {only}: keep a master copy in f32"
        )),
        None => {}
    }
    out
}
