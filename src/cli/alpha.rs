//! `isometer alpha`.

use super::args::Global;
use super::args_alpha::AlphaArgs;
use super::exit::{Exit, Outcome, Unusable};
use super::output::Output;
use super::threads;
use isometer::report::alpha::Report;
use isometer::theory::sweep::sweep;

/// Sweeps of fewer values show no progress.
const LONG: usize = 50;

/// Predicts at every alpha and reports.
pub fn run(args: &AlphaArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    let alphas = args.alphas()?;
    let model = args.model.resolve()?;
    threads::prepare_tasks(global, alphas.len());
    let progress = output.progress(if alphas.len() < LONG { 0 } else { alphas.len() });
    let sweep = sweep(&model, &alphas, args.within, args.probability, || {
        progress.inc(1);
    });
    progress.finish_and_clear();
    let report = Report {
        sweep: sweep.map_err(|e| Unusable(format!("no prediction: {e}")))?,
        at: model.alpha.at,
    };
    Ok(Outcome {
        document: report.render(output.format, &output.style),
        exit: Exit::Fine,
    })
}
