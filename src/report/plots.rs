//! Results as charts: gradients over depth, singular values, a measured law.
//!
//! ```
//! use isometer::linalg::product::{GaussianChain, ProductOptions, spectrum};
//! use isometer::report::{figure::Picture, plots, product::{Report, Values}};
//!
//! let mut chain = GaussianChain { depth: 20, width: 4, alpha: 1.0, seed: 1 };
//! let all = spectrum(&mut chain, &ProductOptions::default()).unwrap();
//! let report = Report { shape: (4, 4), layers: 20, values: Values::All(all), skipped: vec![] };
//! assert!(plots::product(&report).svg().unwrap().starts_with("<svg"));
//! ```

use super::chart::{Chart, Ink, Series, Shape};
use super::cond::Row;
use super::predict::short;
use super::product::{Report as Product, Values};
use crate::theory::marchenko_pastur::MarchenkoPastur;
use crate::theory::precision::{GRADIENT_FORMATS, Subnormals};
use crate::theory::predict::GradientBand;
use crate::theory::prediction::Prediction;
use crate::verify::histogram::Histogram;
use std::f64::consts::{LOG2_10, LOG10_E};

fn line(label: &str, ink: Ink, points: Vec<(f64, f64)>, dashed: bool) -> Series {
    Series {
        label: label.into(),
        ink,
        shape: Shape::Line { points, dashed },
    }
}

/// `isometer predict`: gradient norms by layer, root mean square and typical, over the root mean square at the last hidden
/// layer. The lines of number formats are where an element of average size rounds to zero.
pub fn gradients(p: &Prediction, bands: &[GradientBand]) -> Chart {
    let log10 = |ln_square: f64| 0.5 * ln_square * LOG10_E;
    let at = |l: usize| l as f64;
    let rms = p
        .layers
        .iter()
        .map(|l| (at(l.layer), log10(l.ln_mean_square_gradient)))
        .collect();
    let typical: Vec<(f64, f64)> = p
        .layers
        .iter()
        .filter_map(|l| Some((at(l.layer), log10(l.typical_ln_square_gradient?))))
        .collect();
    let mut series = Vec::new();
    if !bands.is_empty() {
        let rows = bands
            .iter()
            .map(|b| (at(b.layer), log10(b.ln_square.0), log10(b.ln_square.1)));
        series.push(Series {
            label: "5% to 95% of networks".into(),
            ink: Ink::Blue,
            shape: Shape::Band(rows.collect()),
        });
    }
    series.push(line("root mean square", Ink::Vermillion, rms, true));
    if !typical.is_empty() {
        let label = match bands.is_empty() {
            true => "typical",
            false => "typical; band: 5% to 95% of networks",
        };
        series.push(line(label, Ink::Blue, typical, false));
    }
    let width = p.layers.iter().map(|l| l.width).min().unwrap_or(1) as f64;
    let levels = GRADIENT_FORMATS.iter().map(|f| {
        let zero = f.ln_zero_threshold(Subnormals::Kept) * LOG10_E;
        (
            zero + 0.5 * width.log10(),
            format!("{}: elements round to 0", f.name()),
        )
    });
    Chart {
        title: format!("gradients over depth: {}", p.verdict.as_str()),
        caption: "relative to the root mean square at the last hidden layer".into(),
        x: "layer".into(),
        y: "log10 of the gradient's norm".into(),
        series,
        levels: levels.collect(),
    }
}

/// The end of a tensor's name, as much as fits over a picture.
fn name(label: &str) -> String {
    const FITS: usize = 40;
    let tensor = label.rsplit_once("::").map_or(label, |(_, t)| t);
    let tensor = tensor.split_once("#reshape").map_or(tensor, |(t, _)| t);
    let count = tensor.chars().count();
    match count > FITS {
        true => format!(
            "...{}",
            tensor.chars().skip(count - FITS).collect::<String>()
        ),
        false => tensor.into(),
    }
}

/// `isometer product`: log2 of the singular values with their predicted errors, beside the product of the layers' norms.
pub fn product(report: &Product) -> Chart {
    let (log2, errors, bound) = match &report.values {
        Values::All(s) => (
            &s.log2_singular_values,
            &s.log2_error_estimate,
            s.log2_norm_bound,
        ),
        Values::Leading(l) => (&l.log2_singular_values, &l.log2_error_estimate, None),
    };
    let index = |k: usize| (k + 1) as f64;
    let points: Vec<(f64, f64)> = log2
        .iter()
        .enumerate()
        .map(|(k, s)| (index(k), *s))
        .collect();
    let band = points
        .iter()
        .zip(errors)
        .map(|(p, e)| (p.0, p.1 - e, p.1 + e))
        .collect();
    let zeros = log2.iter().filter(|s| **s == f64::NEG_INFINITY).count();
    let known = errors.iter().copied().filter(|e| e.is_finite());
    let mut caption = format!(
        "predicted errors up to {}",
        short(known.fold(0.0, f64::max))
    );
    if zeros > 0 {
        caption.push_str(&format!("; {zeros} exact zeros are below every axis"));
    }
    let mut series = vec![
        Series {
            label: "predicted error".into(),
            ink: Ink::Grey,
            shape: Shape::Band(band),
        },
        Series {
            label: "singular values of the product".into(),
            ink: Ink::Blue,
            shape: Shape::Points(points.clone()),
        },
    ];
    if let (Some(b), Some(last)) = (bound.filter(|b| b.is_finite()), points.last()) {
        let ends = vec![(1.0, b), (last.0, b)];
        series.push(line(
            "product of the layers' norms",
            Ink::Vermillion,
            ends,
            true,
        ));
    }
    Chart {
        title: format!(
            "{} layers, {} x {}",
            report.layers, report.shape.0, report.shape.1
        ),
        caption,
        x: "index".into(),
        y: "log2 of the singular value".into(),
        series,
        levels: Vec::new(),
    }
}

/// `isometer cond --spectrum`: singular values beside those of a random matrix of the same shape and Frobenius norm; `None`
/// without singular values.
pub fn spectrum(row: &Row) -> Option<Chart> {
    let c = &row.conditioning;
    let all = c.singular_values.as_ref()?;
    let top = *all.values.first()?;
    let shift = all.exponent as f64 / LOG2_10;
    let log10 = |scaled: f64| scaled.log10() + shift;
    let index = |k: usize| (k + 1) as f64;
    let count = all.values.len();
    // by parts of the largest one, so that no square leaves the range
    let frobenius = top
        * all
            .values
            .iter()
            .map(|s| (s / top).powi(2))
            .sum::<f64>()
            .sqrt();
    let law = MarchenkoPastur::new(c.rows, c.cols)?;
    // |A|_F = s sqrt(m n), and the unit of the law is s sqrt(max(m, n))
    let unit = frobenius / (count as f64).sqrt();
    let random = (0..count)
        .map(|k| {
            let p = 1.0 - (k as f64 + 0.5) / count as f64;
            (index(k), log10(unit * law.quantile(p)))
        })
        .collect();
    let values: Vec<(f64, f64)> = (0..count)
        .map(|k| (index(k), log10(all.values[k])))
        .collect();
    let zeros = all.values.iter().filter(|s| **s == 0.0).count();
    let noise = all.values.iter().filter(|s| **s <= all.error).count();
    let mut caption = format!(
        "{} x {} {}, kappa {}",
        c.rows,
        c.cols,
        c.element_type,
        c.cond
            .enclosure
            .to_linear()
            .map_or("beyond f64".into(), |(v, _, _)| short(v))
    );
    if noise > 0 {
        caption.push_str(&format!(
            "; {noise} values are rounding noise, {zeros} are 0"
        ));
    }
    let rounding = log10(top * c.element_type.unit_roundoff());
    Some(Chart {
        title: name(&row.label),
        caption,
        x: "index".into(),
        y: "log10 of the singular value".into(),
        series: vec![
            line(
                "random matrix of this shape and norm",
                Ink::Vermillion,
                random,
                true,
            ),
            Series {
                label: "singular values".into(),
                ink: Ink::Blue,
                shape: Shape::Points(values),
            },
        ],
        levels: vec![(rounding, format!("rounding to {}", c.element_type))],
    })
}

/// `isometer check`: the measured input gradient over the law predicted for it, as densities.
pub fn measured(h: &Histogram) -> Chart {
    let widths: Vec<f64> = h.edges.windows(2).map(|e| e[1] - e[0]).collect();
    let heights = h
        .counts
        .iter()
        .zip(&widths)
        .map(|(n, w)| *n as f64 / (h.alive as f64 * w));
    let predicted = h
        .edges
        .windows(2)
        .zip(h.expected.iter().zip(&widths))
        .map(|(e, (p, w))| (0.5 * (e[0] + e[1]), p / w));
    let zeros = match h.zeros {
        0 => String::new(),
        n => format!(", {n} exact zeros left out"),
    };
    Chart {
        title: "input gradient, measured and predicted".into(),
        caption: format!("n = {} networks{zeros}", h.alive),
        x: "ln of the squared norm of dy/dx".into(),
        y: "density".into(),
        series: vec![
            Series {
                label: "measured".into(),
                ink: Ink::Grey,
                shape: Shape::Bars {
                    edges: h.edges.clone(),
                    heights: heights.collect(),
                },
            },
            line(
                &format!("predicted ({})", h.certainty.as_str()),
                Ink::Blue,
                predicted.collect(),
                false,
            ),
        ],
        levels: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Model;
    use crate::network::activation::Activation;
    use crate::theory::predict::{Options, gradient_bands, predict};

    #[test]
    fn names_fit_over_a_picture() {
        assert_eq!(name("a/b.npz::conv.weight#reshape(d0,-1)"), "conv.weight");
        let long = name(&"x".repeat(100));
        assert!(long.starts_with("...x") && long.len() == 43);
    }

    /// The band at layer 1 holds the typical gradient, and its law has the mean square of the picture.
    #[test]
    fn bands_hold_the_typical_gradient() {
        let model = Model::new(vec![8, 16, 16, 12, 8], Activation::Relu);
        let bands = gradient_bands(&model).unwrap();
        let p = predict(&model, &Options::default()).unwrap();
        assert_eq!(bands.iter().map(|b| b.layer).collect::<Vec<_>>(), [1, 2, 3]);
        for b in &bands {
            let layer = &p.layers[b.layer - 1];
            let typical = layer.typical_ln_square_gradient.unwrap();
            assert!(b.ln_square.0 < typical && typical < b.ln_square.1, "{b:?}");
        }
        let chart = gradients(&p, &bands);
        assert_eq!(chart.series.len(), 3);
        assert_eq!(gradients(&p, &[]).series.len(), 2);
    }
}
