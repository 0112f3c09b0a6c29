//! `isometer check`.

use super::args::Global;
use super::args_check::CheckArgs;
use super::exit::{BadFlag, Exit, Outcome, Unusable};
use super::output::Output;
use super::{interrupt, threads};
use isometer::reference::monte_carlo::Control;
use isometer::report::check::{Report, SuiteReport};
use isometer::report::plots;
use isometer::verify::check::{CheckError, Options, check};
use isometer::verify::suite::{grid, run as run_suite};

/// Networks of one model, unless said otherwise.
const SAMPLES: u64 = 10_000;
/// Networks of each case of the grid, unless said otherwise.
const SUITE_SAMPLES: u64 = 20_000;

/// Predicts, measures and compares; a disagreement is a finding.
pub fn run(args: &CheckArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    let target = args.picture.target()?;
    let options = Options {
        samples: args
            .samples
            .unwrap_or(if args.suite { SUITE_SAMPLES } else { SAMPLES }),
        confidence: args.confidence,
        seed: global.seed,
        method: args.method(),
        histogram: target.is_some(),
    };
    if args.suite && target.is_some() {
        return Err(BadFlag {
            flag: "--plot",
            message: "one network makes a picture; leave out --suite and give the model".into(),
        }
        .into());
    }
    let model = match (args.suite, args.model.is_given()) {
        (true, true) => {
            return Err(BadFlag {
                flag: "--suite",
                message: "the grid brings its own networks; leave the model out".into(),
            }
            .into());
        }
        (true, false) => None,
        (false, _) => Some(args.model.resolve()?),
    };
    threads::prepare_tasks(global, 2);
    let cancel = interrupt::flag();
    let cases = grid();
    let total = if args.suite {
        cases.len() as u64
    } else {
        options.samples
    };
    let bar = output.countdown(total);
    let advance = |done: u64, of: u64| {
        bar.set_length(of);
        bar.set_position(bar.position().max(done));
    };
    let control = Control {
        progress: Some(&advance),
        cancel: Some(&cancel),
    };
    let (document, disagrees) = match model {
        None => {
            let suite = run_suite(&cases, &options, &control).map_err(refused)?;
            let disagrees = suite.disagrees();
            let report = SuiteReport { suite };
            (report.render(output.format, &output.style), disagrees)
        }
        Some(model) => {
            let check = check(&model, &options, &control).map_err(refused)?;
            let disagrees = check.disagrees();
            if let Some(target) = target {
                let histogram = check.histogram.as_ref().ok_or_else(|| {
                    Unusable("nothing to draw: no gradient has a predicted law here".into())
                })?;
                target.save_beside(&plots::measured(histogram), output)?;
            }
            let report = Report {
                model: model.to_toml(),
                check,
            };
            (report.render(output.format, &output.style), disagrees)
        }
    };
    bar.finish_and_clear();
    Ok(Outcome {
        document,
        exit: if disagrees { Exit::Finding } else { Exit::Fine },
    })
}

/// Flags that are wrong are usage, everything else is about the model.
fn refused(error: CheckError) -> anyhow::Error {
    match error {
        CheckError::Option {
            name,
            value,
            wanted,
        } => BadFlag {
            flag: if name == "samples" {
                "--samples"
            } else {
                "--confidence"
            },
            message: format!("{value}: {wanted}"),
        }
        .into(),
        other => Unusable(other.to_string()).into(),
    }
}
