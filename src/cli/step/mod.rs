//! `isometer step`.

mod descent;
mod pairing;

use super::args::Global;
use super::args_step::{ClipArgs, LambArgs, LarsArgs, StepArgs, StepCommand};
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::sources;
use isometer::audit::clip::clip;
use isometer::audit::steps::{self, Adam, Direction, Lamb, Lars};
use isometer::linalg::view::MatrixRef;
use isometer::report::step::Left;
use isometer::report::step::clip as clip_report;
use isometer::report::step::ratios::{Optimizer, Report, Verdict};
use pairing::{Pairs, pairs};

/// One of the calculations.
pub fn run(args: &StepArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    match &args.what {
        StepCommand::Lars(args) => lars(args, output),
        StepCommand::Lamb(args) => lamb(args, output),
        StepCommand::Clip(args) => clipping(args, output),
        StepCommand::Descent(args) => descent::run(args, global, output),
    }
}

fn lars(args: &LarsArgs, output: &Output) -> anyhow::Result<Outcome> {
    let common = &args.common;
    let options = Lars {
        trust: args.trust,
        weight_decay: common.weight_decay,
        learning_rate: common.lr,
    };
    let Pairs { pairs, unmatched } = pairs(
        &args.weights,
        &[("gradients", &args.gradients)],
        &common.filter,
        output,
    )?;
    let mut report = Report {
        optimizer: Optimizer::Lars(options),
        rows: Vec::new(),
        unmatched,
        broken: Vec::new(),
    };
    for pair in &pairs {
        let step = pair.with(|weights, others| {
            let excluded = pair.is_1d() && !common.include_1d;
            steps::lars(weights, &others[0], excluded, options)
        })?;
        pair.file(step, &mut report);
    }
    finish(&report, output)
}

fn lamb(args: &LambArgs, output: &Output) -> anyhow::Result<Outcome> {
    let common = &args.common;
    let adam = Adam {
        beta1: args.betas.0,
        beta2: args.betas.1,
        epsilon: args.epsilon,
        step: args.at_step,
    };
    let options = Lamb {
        weight_decay: common.weight_decay,
        learning_rate: common.lr,
    };
    let given = !args.direction.is_empty();
    let partners: Vec<(&'static str, &Vec<String>)> = match (given, args.exp_avg.is_empty()) {
        (true, _) => vec![("direction", &args.direction)],
        (_, false) => vec![("exp_avg", &args.exp_avg), ("exp_avg_sq", &args.exp_avg_sq)],
        _ => vec![("gradients", &args.gradients)],
    };
    let Pairs { pairs, unmatched } = pairs(&args.weights, &partners, &common.filter, output)?;
    let mut report = Report {
        optimizer: Optimizer::Lamb(options, (!given).then_some(adam)),
        rows: Vec::new(),
        unmatched,
        broken: Vec::new(),
    };
    for pair in &pairs {
        let step = pair.with(|weights, others| {
            let excluded = pair.is_1d() && !common.include_1d;
            let direction = match others {
                [m, v] => Direction::Moments(*m, *v, adam),
                [r, ..] if given => Direction::Given(*r),
                [g, ..] => Direction::FirstStep(*g, adam),
                [] => Direction::Given(*weights),
            };
            steps::lamb(weights, direction, excluded, options)
        })?;
        pair.file(step, &mut report);
    }
    finish(&report, output)
}

fn finish(report: &Report, output: &Output) -> anyhow::Result<Outcome> {
    let exit = match report.verdict() {
        Verdict::Stepped => Exit::Fine,
        Verdict::Broken => Exit::Finding,
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

fn clipping(args: &ClipArgs, output: &Output) -> anyhow::Result<Outcome> {
    let opened = sources::open(&args.gradients, &args.filter)?;
    for note in &opened.notes {
        output.note(note);
    }
    let (mut names, mut tensors, mut skipped, mut broken) = (vec![], vec![], vec![], vec![]);
    for item in &opened.items {
        let left = |reason| Left {
            source: item.source.clone(),
            label: item.label.clone(),
            role: "gradients",
            reason,
        };
        match opened.load_any(item)? {
            None => skipped.push(left(match &item.skip {
                Some((_, reason)) => reason.clone(),
                None => "it holds no numbers".into(),
            })),
            Some(tensor) => {
                if let Some(bad) = tensor.matrix()?.first_nonfinite() {
                    broken.push(left(format!("it holds {bad}")));
                }
                names.push((item.source.clone(), item.label.clone()));
                tensors.push(tensor);
            }
        }
    }
    let views: Vec<MatrixRef<'_>> = tensors
        .iter()
        .map(|t| t.matrix())
        .collect::<Result<_, _>>()?;
    let report = clip_report::Report {
        threshold: args.max_norm,
        per_tensor: args.per_tensor,
        names,
        clipping: match broken.is_empty() {
            true => Some(clip(&views, args.max_norm)?),
            false => None,
        },
        broken,
        skipped,
    };
    let exit = match report.verdict() {
        clip_report::Verdict::Unchanged | clip_report::Verdict::Clipped => Exit::Fine,
        clip_report::Verdict::Broken => Exit::Finding,
        clip_report::Verdict::Unusable => {
            output.error(&report.sentence());
            Exit::Refused
        }
    };
    Ok(Outcome {
        document: report.render(output.format, &output.style),
        exit,
    })
}
