//! `isometer phase`.

use super::args::Global;
use super::args_network::{AxesName, PhaseArgs};
use super::exit::{BadFlag, Exit, Outcome, Unusable};
use super::output::Output;
use super::picture::Target;
use super::threads;
use isometer::report::phase::{Report, figure};
use isometer::theory::diagram::{Diagram, DiagramError, depth_alpha, repeated_layer, sigma};

/// Computes the diagram, writes the figure, and reports what is in it.
pub fn run(args: &PhaseArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    let target = Target::new("--out", &args.out)?;
    if !args.model.has_activation() {
        return Err(BadFlag {
            flag: "--activation",
            message: "name the activation, for example --activation tanh".into(),
        }
        .into());
    }
    threads::prepare(global, args.resolution, args.resolution);
    let diagram = compute(args, output)?;
    let figure = figure(&diagram);
    let bytes = target.save(&figure)?;
    let report = Report {
        out: args.out.display().to_string(),
        bytes,
        diagram,
    };
    Ok(Outcome {
        document: report.render(output.format, &output.style),
        exit: Exit::Fine,
    })
}

fn compute(args: &PhaseArgs, output: &Output) -> anyhow::Result<Diagram> {
    let model = args.model.resolve_layers()?;
    let shaped = args.model.has_shape();
    let bar = output.progress(args.resolution);
    let tick = || bar.inc(1);
    let ranges = (args.x, args.y);
    let diagram = match args.axes {
        AxesName::Sigma => {
            let layer = match args.model.has_layers() {
                true => Some(repeated_layer(&model, shaped).map_err(refuse)?),
                false => None,
            };
            sigma(&model.activation, ranges, args.resolution, layer, &tick)
        }
        AxesName::DepthAlpha => depth_alpha(&model, shaped, ranges, args.resolution, &tick),
    };
    bar.finish_and_clear();
    diagram.map_err(refuse)
}

fn refuse(error: DiagramError) -> anyhow::Error {
    let message = error.to_string();
    let flag = match error {
        DiagramError::Axis { axis: "x", .. } => "--x",
        DiagramError::Axis { .. } => "--y",
        DiagramError::Resolution { .. } => "--resolution",
        DiagramError::Width { .. } => "--width",
        DiagramError::NotPlain { .. } | DiagramError::Field(_) => {
            return Unusable(message).into();
        }
    };
    BadFlag { flag, message }.into()
}
