//! `isometer cond`.

use super::args::{CondArgs, Global};
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::{sources, threads};
use isometer::linalg::condition::{ConditionError, ConditionOptions, condition};
use isometer::report::cond::{Report, Row, SkipKind, Skipped, Verdict};

/// Opens every source first, so that a misspelt path fails before hours of work, then loads and
/// drops one tensor at a time.
pub fn run(args: &CondArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    let opened = sources::open(&args.sources, &args.filter)?;
    let options = ConditionOptions {
        norm: args.norm(),
        effort: args.effort(),
    };
    let mut report = Report {
        fail_above: args.fail_above,
        spectrum: args.spectrum,
        ..Report::default()
    };
    for note in &opened.notes {
        output.note(note);
    }
    let progress = output.progress(opened.items.len());
    let mut last_error = None;
    for item in &opened.items {
        progress.set_message(item.label.clone());
        let skipped = |kind, reason| Skipped {
            source: item.source.clone(),
            label: item.label.clone(),
            kind,
            reason,
        };
        if let Some((kind, reason)) = &item.skip {
            report.skipped.push(skipped(*kind, reason.clone()));
            progress.inc(1);
            continue;
        }
        match opened.load(item) {
            Err(error) => {
                report
                    .skipped
                    .push(skipped(SkipKind::Unreadable, error.to_string()));
                last_error = Some(error);
            }
            Ok(tensor) => {
                let matrix = tensor.matrix()?;
                threads::prepare(global, matrix.rows(), matrix.cols());
                match condition(&matrix, &options) {
                    Ok(conditioning) => report.rows.push(Row {
                        source: item.source.clone(),
                        label: item.label.clone(),
                        shape: item.shape.clone(),
                        note: tensor.note().map(String::from),
                        conditioning,
                    }),
                    Err(error) => {
                        let kind = skip_kind(&error);
                        report.skipped.push(skipped(kind, error.to_string()));
                    }
                }
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let exit = match report.verdict() {
        Verdict::Fine | Verdict::IllConditioned | Verdict::Singular => Exit::Fine,
        Verdict::AboveThreshold | Verdict::Broken => Exit::Finding,
        Verdict::Unusable => match (last_error, opened.items.len()) {
            // The one source there was could not be read: the reader's own words are the clearest.
            (Some(error), 1) => return Err(error.into()),
            _ => {
                output.error(&report.sentence());
                Exit::Refused
            }
        },
    };
    Ok(Outcome {
        document: report.render(output.format, &output.style),
        exit,
    })
}

fn skip_kind(error: &ConditionError) -> SkipKind {
    match error {
        ConditionError::Empty { .. } => SkipKind::Empty,
        ConditionError::NonFinite(_) => SkipKind::NonFinite,
        ConditionError::NotSquare { .. } => SkipKind::NotSquare,
        ConditionError::NoConvergence { .. } => SkipKind::NoConvergence,
    }
}
