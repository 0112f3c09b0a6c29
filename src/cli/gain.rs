//! `isometer gain`.

use super::args_network::GainArgs;
use super::exit::{BadFlag, Exit, Outcome};
use super::output::Output;
use isometer::network::activation::Activation;
use isometer::report::gain::Report;
use isometer::theory::gain::survey;

/// Surveys the activations asked for, or all of them.
pub fn run(args: &GainArgs, output: &Output) -> anyhow::Result<Outcome> {
    let activations = match args.activation.is_empty() {
        true => Activation::all(),
        false => args.activation.clone(),
    };
    let rows = survey(&activations, args.at_q).map_err(|e| BadFlag {
        flag: "--at-q",
        message: e.to_string(),
    })?;
    let report = Report {
        at_q: args.at_q,
        rows,
    };
    Ok(Outcome {
        document: report.render(output.format, &output.style),
        exit: Exit::Fine,
    })
}
