//! `isometer bound`.

use super::args::{Global, check_gaussian};
use super::args_bound::BoundArgs;
use super::exit::{BadFlag, Exit, Outcome, Unusable};
use super::output::Output;
use super::product::broken;
use super::{sources, threads};
use isometer::bounds::chain::ChainError;
use isometer::bounds::lipschitz::LipschitzOptions;
use isometer::bounds::overview::{OverviewOptions, overview};
use isometer::bounds::slope::SlopeRange;
use isometer::formats::Tensor;
use isometer::linalg::product::{GaussianChain, Layer, LayerSource};
use isometer::linalg::view::MatrixRef;
use isometer::network::activation::{Activation, Custom};
use isometer::report::bound::Report;
use isometer::report::cond::Skipped;

/// Reads the chain, or draws it, and reports its bounds.
pub fn run(args: &BoundArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    if let Some((depth, width)) = args.gaussian {
        check_gaussian(depth, width, depth)?;
        threads::prepare(global, width, width);
        let mut chain = GaussianChain {
            depth,
            width,
            alpha: args.alpha.unwrap_or(1.0),
            seed: global.seed,
        };
        let mut layers = Vec::with_capacity(depth);
        for k in 0..depth {
            let mut layer = Layer::new();
            chain.read(k, &mut layer)?;
            layers.push(layer);
        }
        let views = layers
            .iter()
            .map(|l| MatrixRef::col_major(l.entries(), l.rows(), l.cols()))
            .collect::<Result<Vec<_>, _>>()?;
        let names: Vec<String> = (1..=depth).map(|k| format!("layer {k}")).collect();
        return compute(&views, &names, args, global, output, Vec::new());
    }
    let opened = sources::open(&args.sources, &args.filter)?;
    let sources::Layers {
        names,
        tensors,
        skipped,
    } = opened.layers(output)?;
    let mut matrices = tensors
        .iter()
        .map(Tensor::matrix)
        .collect::<Result<Vec<_>, _>>()?;
    if matrices.is_empty() {
        return Err(sources::no_layer(&skipped).into());
    }
    if args.transposed {
        matrices = matrices.into_iter().map(MatrixRef::transposed).collect();
    }
    for m in &matrices {
        threads::prepare(global, m.rows(), m.cols());
    }
    compute(&matrices, &names, args, global, output, skipped)
}

fn compute(
    layers: &[MatrixRef<'_>],
    names: &[String],
    args: &BoundArgs,
    global: &Global,
    output: &Output,
    skipped: Vec<Skipped>,
) -> anyhow::Result<Outcome> {
    let activation = activation(args)?;
    let options = OverviewOptions {
        lipschitz: LipschitzOptions {
            iterations: args.iterations,
            ..LipschitzOptions::default()
        },
        points: args.points,
        seed: global.seed,
    };
    let sector = activation.as_ref().map(|(phi, s)| (phi, *s));
    let overview = match overview(layers, sector, &options) {
        Ok(overview) => overview,
        Err(ChainError::NonFinite { layer, found }) => {
            let name = &names[layer - 1];
            let what = format!("layer {layer} ({name}) holds {found}: the bound");
            return Ok(broken("bound", output, &what));
        }
        Err(error) => return Err(refusal(&error, names)),
    };
    let best = overview.upper.last().map(|b| b.value.log10());
    let exceeded = match (args.fail_above, best) {
        (Some(k), Some(best)) => best > k.log10(),
        _ => false,
    };
    let report = Report {
        overview,
        activation: activation.map(|(phi, s)| (phi.to_string(), s.lower, s.upper)),
        skipped,
    };
    Ok(Outcome {
        document: report.render(output.format, &output.style),
        exit: if exceeded { Exit::Finding } else { Exit::Fine },
    })
}

/// The activation with its sector. One given by slopes alone is sampled as the piecewise linear function that
/// has both.
fn activation(args: &BoundArgs) -> anyhow::Result<Option<(Activation, SlopeRange)>> {
    if let Some((lower, upper)) = args.slopes {
        let range = SlopeRange::new(lower, upper)?;
        let name = format!("slopes {lower}:{upper}");
        let value = move |x: f64| if x > 0.0 { upper * x } else { lower * x };
        let derivative = move |x: f64| if x > 0.0 { upper } else { lower };
        let phi = Activation::Custom(Custom::new(name, value, derivative, vec![0.0]));
        return Ok(Some((phi, range)));
    }
    match &args.activation {
        None | Some(Activation::Linear) => Ok(None),
        Some(phi) => {
            let range = SlopeRange::of(phi).map_err(|e| BadFlag {
                flag: "--activation",
                message: e.to_string(),
            })?;
            Ok(Some((phi.clone(), range)))
        }
    }
}

/// The error with layers called by their names.
fn refusal(error: &ChainError, names: &[String]) -> anyhow::Error {
    let name = |layer: &usize| format!("layer {layer} ({})", names[layer - 1]);
    let message = match error {
        ChainError::Shape {
            layer,
            takes,
            gives,
        } => format!(
            "{} takes {takes} inputs, but {} gives {gives} outputs; sources are applied in the order given, first one first, each stored OUTPUTS x INPUTS (--transposed for the other layout)",
            name(layer),
            name(&(layer - 1))
        ),
        ChainError::NonFinite { layer, found } => format!("{} holds {found}", name(layer)),
        ChainError::Complex { layer } => {
            format!("{} is complex; real weights are needed", name(layer))
        }
        ChainError::Range { layer } => format!(
            "{}: entries span more than 1000 binary orders of magnitude",
            name(layer)
        ),
        ChainError::Empty => "no layer in the input".into(),
    };
    Unusable(message).into()
}
