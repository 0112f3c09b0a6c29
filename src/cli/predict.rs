//! `isometer predict`.

use super::args::PredictArgs;
use super::exit::{Exit, Outcome, Unusable};
use super::output::Output;
use isometer::report::plots;
use isometer::report::predict::Report;
use isometer::theory::predict::{Options, gradient_bands, predict};

/// Predicts and reports; a verdict about gradients is not a finding that fails a script.
pub fn run(args: &PredictArgs, output: &Output) -> anyhow::Result<Outcome> {
    let target = args.picture.target()?;
    let model = args.model.resolve()?;
    let options = Options {
        cdf: args.cdf.clone(),
    };
    let prediction =
        predict(&model, &options).map_err(|e| Unusable(format!("no prediction: {e}")))?;
    if let Some(target) = target {
        let bands = gradient_bands(&model).map_err(|e| Unusable(e.to_string()))?;
        target.save_beside(&plots::gradients(&prediction, &bands), output)?;
    }
    let report = Report { prediction };
    Ok(Outcome {
        document: report.render(output.format, &output.style),
        exit: Exit::Fine,
    })
}
