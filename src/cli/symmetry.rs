//! `isometer symmetry`.

use super::args_claims::SymmetryArgs;
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::sources;
use isometer::formats::Tensor;
use isometer::linalg::symmetry::{row_fingerprint, row_permutation, symmetry};
use isometer::report::symmetry::{Permuted, Report, Row};
use std::collections::HashMap;

pub fn run(args: &SymmetryArgs, output: &Output) -> anyhow::Result<Outcome> {
    let opened = sources::open(&args.sources, &args.filter)?;
    for note in &opened.notes {
        output.note(note);
    }
    let mut report = Report {
        tolerance: args.tolerance,
        rows: Vec::new(),
        permuted: Vec::new(),
        broken: Vec::new(),
        skipped: Vec::new(),
    };
    // biases by source; matrices by shape and fingerprint, to be compared with later ones
    let biases: HashMap<&str, &sources::Item> = opened
        .items
        .iter()
        .filter(|i| i.shape.len() == 1)
        .map(|i| (i.source.as_str(), i))
        .collect();
    let mut seen: HashMap<(usize, usize, u64), Vec<&sources::Item>> = HashMap::new();
    let progress = output.progress(opened.items.len());
    for item in &opened.items {
        progress.inc(1);
        if let Some((_, reason)) = &item.skip {
            report.skipped.push((item.source.clone(), reason.clone()));
            continue;
        }
        let tensor = opened.load(item)?;
        let matrix = tensor.matrix()?;
        let bias_name = item
            .source
            .strip_suffix("weight")
            .map(|stem| format!("{stem}bias"));
        let bias = bias_name
            .as_deref()
            .and_then(|name| biases.get(name))
            .filter(|b| b.shape == [matrix.rows()] && matrix.components() == 1);
        let bias_tensor = match bias {
            Some(b) => opened.load_any(b)?,
            None => None,
        };
        let bias_view = bias_tensor.as_ref().map(Tensor::matrix).transpose()?;
        let bias_view = bias_view.filter(|b| b.components() == 1);
        let found = match symmetry(&matrix, bias_view.as_ref(), args.tolerance) {
            Ok(found) => found,
            Err(bad) => {
                report.broken.push((item.source.clone(), bad.to_string()));
                continue;
            }
        };
        report.rows.push(Row {
            source: item.source.clone(),
            label: item.label.clone(),
            units: matrix.rows(),
            inputs: matrix.cols(),
            bias: bias_view.and(bias).map(|b| b.source.clone()),
            found,
        });
        let Ok(fingerprint) = row_fingerprint(&matrix) else {
            continue;
        };
        let alike = seen
            .entry((matrix.rows(), matrix.cols(), fingerprint))
            .or_default();
        for earlier in alike.iter() {
            let other = opened.load(earlier)?;
            if let Ok(Some(order)) = row_permutation(&other.matrix()?, &matrix) {
                report.permuted.push(Permuted {
                    first: earlier.source.clone(),
                    second: item.source.clone(),
                    order,
                });
                break;
            }
        }
        alike.push(item);
    }
    progress.finish_and_clear();
    let exit = match report.verdict() {
        "distinct" => Exit::Fine,
        "unusable" => {
            output.error(&report.sentence());
            Exit::Refused
        }
        _ => Exit::Finding,
    };
    Ok(Outcome {
        document: report.render(output.format, &output.style),
        exit,
    })
}
