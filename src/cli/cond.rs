//! `isometer cond`.

use super::args::{CondArgs, Global};
use super::exit::{BadFlag, Exit, Outcome};
use super::output::Output;
use super::{sources, threads};
use isometer::bounds::convolution::{
    ConvolutionError, ConvolutionOptions, convolution_condition_with,
};
use isometer::bounds::operator::OperatorOptions;
use isometer::linalg::condition::{
    ConditionError, ConditionOptions, Conditioning, Norm, condition,
};
use isometer::linalg::convolution::{Convolution, Geometry, Kernel, KernelError, Progress};
use isometer::linalg::view::MatrixRef;
use isometer::report::cond::{Report, Row, SkipKind, Skipped, Verdict};
use isometer::report::convolution::Detail;
use isometer::report::plots;

/// Opens every source first, so that a misspelt path fails before hours of work, then loads and
/// drops one tensor at a time.
pub fn run(args: &CondArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    let target = args.picture.target()?;
    if target.is_some() && !args.spectrum {
        return Err(BadFlag {
            flag: "--plot",
            message: "what is drawn is all singular values; add --spectrum".into(),
        }
        .into());
    }
    if args.conv.wanted() && args.norm() != Norm::Two {
        return Err(BadFlag {
            flag: "--norm",
            message: "the condition number of a convolution is that of the spectral norm; leave --norm out".into(),
        }
        .into());
    }
    if args.conv.strides() > 1 {
        return Err(BadFlag {
            flag: "--stride",
            message: "one stride for all; a list is for the layers of a chain (bound)".into(),
        }
        .into());
    }
    let opened = sources::open(&args.sources, &args.filter)?;
    let readable = opened.items.iter().filter(|i| i.skip.is_none()).count();
    if target.is_some() && readable > 1 {
        return Err(BadFlag {
            flag: "--plot",
            message: format!(
                "one matrix makes a picture, here are {readable}; name one as FILE::TENSOR or by --include"
            ),
        }
        .into());
    }
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
    let kernels = |shape: &[usize]| matches!(shape.len(), 3 | 4);
    let flattened = opened
        .items
        .iter()
        .filter(|i| i.skip.is_none() && kernels(&i.shape));
    if !args.conv.wanted() && flattened.count() > 0 {
        output.note("tensors with 3 or 4 axes are taken as matrices of the first axis by the others; --conv HxW gives the convolution's own norm");
    }
    // even one convolution can take minutes
    let bars = if args.conv.wanted() { 2 } else { 1 };
    let progress = output.progress(opened.items.len().max(bars));
    progress.set_length(opened.items.len() as u64);
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
                let row = |label: &str, source: &str, conditioning, convolution| Row {
                    source: source.into(),
                    label: label.into(),
                    shape: item.shape.clone(),
                    note: tensor.note().map(String::from),
                    conditioning,
                    convolution,
                };
                let found = match args.conv.geometry(&item.shape, 0) {
                    None => {
                        threads::prepare(global, matrix.rows(), matrix.cols());
                        condition(&matrix, &options)
                            .map(|c| row(&item.label, &item.source, c, None))
                            .map_err(|e| (skip_kind(&e), e.to_string()))
                    }
                    Some(geometry) => {
                        let label = bare(&item.label);
                        let tell = |done: usize, of: usize| {
                            progress.set_message(frequencies(label, done, of));
                        };
                        convolution(&matrix, &item.shape, geometry, args, global, &tell)
                            .map(|(c, detail)| row(label, bare(&item.source), c, Some(detail)))
                    }
                };
                match found {
                    Ok(row) => report.rows.push(row),
                    Err((kind, reason)) => report.skipped.push(skipped(kind, reason)),
                }
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    if let (Some(target), [row]) = (target, &report.rows[..])
        && let Some(picture) = plots::spectrum(row)
    {
        target.save_beside(&picture, output)?;
    }
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

/// A name without the suffix that says a tensor was reshaped.
pub(super) fn bare(name: &str) -> &str {
    name.split_once("#reshape").map_or(name, |(name, _)| name)
}

/// How far a convolution is, for the progress bar.
pub(super) fn frequencies(name: &str, done: usize, of: usize) -> String {
    format!("{name}: {done} of {of} frequencies")
}

/// The tensor as the convolution it is.
fn convolution(
    matrix: &MatrixRef<'_>,
    shape: &[usize],
    geometry: Geometry,
    args: &CondArgs,
    global: &Global,
    progress: Progress<'_>,
) -> Result<(Conditioning, Detail), (SkipKind, String)> {
    let layout = args.conv.layout();
    let kernel = Kernel::new(matrix, shape, layout, args.conv.groups()).map_err(|e| {
        let kind = match e {
            KernelError::NonFinite(_) => SkipKind::NonFinite,
            KernelError::Complex => SkipKind::Unsupported,
            _ => SkipKind::NotAConvolution,
        };
        (kind, e.to_string())
    })?;
    let c = Convolution::new(kernel, geometry)
        .map_err(|e| (SkipKind::NotAConvolution, e.to_string()))?;
    threads::prepare(global, c.rows(), c.cols());
    let options = ConvolutionOptions {
        effort: args.effort(),
        operator: OperatorOptions {
            seed: global.seed,
            ..OperatorOptions::default()
        },
    };
    let found = convolution_condition_with(&c, &options, Some(progress)).map_err(|e| {
        let kind = match &e {
            ConvolutionError::Explicit(inner) => skip_kind(inner),
            _ => SkipKind::NoConvergence,
        };
        (kind, e.to_string())
    })?;
    let detail = Detail::new(&c, &found, layout);
    Ok((found.conditioning, detail))
}

fn skip_kind(error: &ConditionError) -> SkipKind {
    match error {
        ConditionError::Empty { .. } => SkipKind::Empty,
        ConditionError::NonFinite(_) => SkipKind::NonFinite,
        ConditionError::NotSquare { .. } => SkipKind::NotSquare,
        ConditionError::NoConvergence { .. } => SkipKind::NoConvergence,
    }
}
