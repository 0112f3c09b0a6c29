//! `isometer precision`.

use super::args_alpha::PrecisionArgs;
use super::exit::{BadFlag, Exit, Outcome, Unusable};
use super::output::Output;
use super::sources;
use isometer::formats::Tensor;
use isometer::network::NumberFormat;
use isometer::report::cond::{SkipKind, Skipped};
use isometer::report::precision::{Counted, Report, Subject, Verdict};
use isometer::theory::budget::budget;
use isometer::theory::census::Census;

/// Predicts for a network, or counts the values of files.
pub fn run(args: &PrecisionArgs, output: &Output) -> anyhow::Result<Outcome> {
    let asked = args.model.format_bits();
    let (subject, format) = match (args.sources.is_empty(), args.model.is_given()) {
        (true, true) => {
            let model = args.model.resolve()?;
            let format = match args.model.is_from_file() {
                true => model.number_format,
                false => asked.unwrap_or(NumberFormat::F16),
            };
            let budget =
                budget(&model, args.lr).map_err(|e| Unusable(format!("no prediction: {e}")))?;
            (Subject::Predicted(budget), format)
        }
        (false, false) => (count(args, output)?, asked.unwrap_or(NumberFormat::F16)),
        (true, false) => {
            return Err(BadFlag {
                flag: "SOURCE",
                message: "name files of gradients, or a network: --depth L --width N, --widths N0,N1,..., or --model FILE.toml".into(),
            }
            .into());
        }
        (false, true) => {
            return Err(BadFlag {
                flag: "SOURCE",
                message: "gradients are either counted in files or predicted for a network; leave one of them out".into(),
            }
            .into());
        }
    };
    let report = Report {
        subject,
        format,
        fail_underflow: args.fail_underflow,
    };
    let exit = match report.verdict() {
        Verdict::Fits | Verdict::NeedsLossScale | Verdict::NoLossScale => Exit::Fine,
        Verdict::AboveThreshold | Verdict::Broken => Exit::Finding,
        Verdict::Unusable => {
            output.error(&report.sentence());
            Exit::Refused
        }
    };
    Ok(Outcome {
        document: report.render(output.format, &output.style),
        exit,
    })
}

/// Counts one tensor at a time.
fn count(args: &PrecisionArgs, output: &Output) -> anyhow::Result<Subject> {
    let opened = sources::open(&args.sources, &args.filter)?;
    for note in &opened.notes {
        output.note(note);
    }
    let (mut tensors, mut skipped) = (Vec::new(), Vec::new());
    let progress = output.progress(opened.items.len());
    let mut last_error = None;
    for item in &opened.items {
        progress.set_message(item.label.clone());
        let mut skip = |kind, reason| {
            skipped.push(Skipped {
                source: item.source.clone(),
                label: item.label.clone(),
                kind,
                reason,
            });
        };
        match (opened.load_any(item), &item.skip) {
            (Ok(Some(tensor)), _) => tensors.push(Counted {
                source: item.source.clone(),
                label: item.label.clone(),
                shape: item.shape.clone(),
                dtype: tensor.entry().dtype().into(),
                census: census(&tensor)?,
            }),
            (Ok(None), Some((kind, reason))) => skip(*kind, reason.clone()),
            (Ok(None), None) => skip(SkipKind::NotAMatrix, "it holds no numbers".into()),
            (Err(error), _) => {
                skip(SkipKind::Unreadable, error.to_string());
                last_error = Some(error);
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    match last_error {
        // The one source there was could not be read: the reader's own words are the clearest.
        Some(error) if opened.items.len() == 1 => Err(error.into()),
        _ => Ok(Subject::Counted { tensors, skipped }),
    }
}

/// Counts the values as stored; both parts of complex ones.
fn census(tensor: &Tensor) -> anyhow::Result<Census> {
    let matrix = tensor.matrix()?;
    let complex = matrix.element_type().is_complex();
    let mut census = Census::default();
    for i in 0..matrix.rows() {
        for j in 0..matrix.cols() {
            let (re, im) = matrix.get(i, j);
            census.extend([re].into_iter().chain(complex.then_some(im)));
        }
    }
    Ok(census)
}
