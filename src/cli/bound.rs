//! `isometer bound`.

use super::args::{Global, check_gaussian};
use super::args_bound::BoundArgs;
use super::biases::{self, Bias};
use super::cond::{bare, frequencies};
use super::exit::{BadFlag, Exit, Outcome, Unusable};
use super::output::Output;
use super::product::broken;
use super::{sources, threads};
use isometer::bounds::chain::ChainError;
use isometer::bounds::feature_maps::{FeatureMapError, FeatureMaps, Flattening, Stored};
use isometer::bounds::lipschitz::LipschitzOptions;
use isometer::bounds::overview::{Activated, OverviewOptions, overview};
use isometer::bounds::residual_chain;
use isometer::bounds::slope::SlopeRange;
use isometer::formats::Tensor;
use isometer::linalg::convolution::{Kernel, KernelError, Layout};
use isometer::linalg::product::{Layer, LayerSource};
use isometer::linalg::view::MatrixRef;
use isometer::network::activation::{Activation, Custom};
use isometer::network::{Model, Normalization};
use isometer::reference::Mlp;
use isometer::report::bound::{Maps, Report};
use isometer::report::cond::Skipped;

/// What is bounded.
struct Subject<'a> {
    names: Vec<String>,
    layers: Layers<'a>,
    biases: Vec<Option<Bias>>,
    skipped: Vec<Skipped>,
    activation: Option<(Activation, SlopeRange)>,
    /// The description of a drawn network.
    model: Option<String>,
    /// Scale of residual branches.
    branch: Option<f64>,
}

/// Layers that are matrices, or that may be convolutions.
enum Layers<'a> {
    Matrices(Vec<MatrixRef<'a>>),
    Maps(FeatureMaps),
}

/// Reads the chain, or draws it, and reports its bounds.
pub fn run(args: &BoundArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    let given = [
        ("SOURCE", !args.chain.sources.is_empty()),
        ("--gaussian", args.chain.gaussian.is_some()),
        ("--depth, --widths or --model", args.model.has_shape()),
    ];
    let given: Vec<&str> = given.iter().filter(|g| g.1).map(|g| g.0).collect();
    match given.as_slice() {
        [one] => compatible(one, args)?,
        [] => {
            return Err(flag(
                "SOURCE",
                "which layers? give files, --gaussian DEPTHxWIDTH, or a model to draw such as --depth 20 --width 128",
            ));
        }
        [first, second, ..] => {
            return Err(flag(
                match *second {
                    "--gaussian" => "--gaussian",
                    _ => args.model.shape_flag(),
                },
                &format!("not together with {first}: the layers come from one place"),
            ));
        }
    }
    if args.model.has_shape() {
        return drawn(args, global, output);
    }
    if let Some(mut chain) = args.chain.drawn(args.model.alpha(), global.seed) {
        check_gaussian(chain.depth, chain.width, chain.depth)?;
        threads::prepare(global, chain.width, chain.width);
        let mut layers = Vec::with_capacity(chain.depth);
        for k in 0..chain.depth {
            let mut layer = Layer::new();
            chain.read(k, &mut layer)?;
            layers.push(layer);
        }
        let views = layers
            .iter()
            .map(|l| MatrixRef::col_major(l.entries(), l.rows(), l.cols()))
            .collect::<Result<Vec<_>, _>>()?;
        let subject = Subject {
            names: (1..=chain.depth).map(|k| format!("layer {k}")).collect(),
            layers: Layers::Matrices(views),
            biases: Vec::new(),
            skipped: Vec::new(),
            activation: activation(args)?,
            model: None,
            branch: None,
        };
        return compute(&subject, args, global, output);
    }
    read(args, global, output)
}

fn flag(flag: &'static str, message: &str) -> anyhow::Error {
    BadFlag {
        flag,
        message: message.into(),
    }
    .into()
}

/// Refuses flags that mean nothing for layers from there.
fn compatible(origin: &str, args: &BoundArgs) -> anyhow::Result<()> {
    let drawn = args.model.has_shape();
    if let (false, Some(name)) = (drawn, args.model.beyond_activation()) {
        return Err(flag(
            name,
            &format!("describes a network to be drawn (--depth, --widths, --model), not {origin}"),
        ));
    }
    if origin == "SOURCE" && args.model.alpha().is_some() {
        return Err(flag(
            "--alpha",
            "multiplies random layers; sources are taken as they are",
        ));
    }
    if origin != "SOURCE" && args.conv.wanted() {
        return Err(flag(
            "--conv",
            "convolutions are read from sources; only dense layers are drawn",
        ));
    }
    if origin != "SOURCE" && args.transposed {
        return Err(flag("--transposed", "says how sources are stored"));
    }
    if drawn && args.slopes.is_some() {
        return Err(flag(
            "--slopes",
            "a drawn network has an activation; name it with --activation",
        ));
    }
    if args.at.is_some() && !drawn && args.slopes.is_none() && args.model.activation().is_none() {
        return Err(flag(
            "--at",
            "without an activation the Jacobian is the same everywhere; name one",
        ));
    }
    Ok(())
}

/// A network of the model.
fn drawn(args: &BoundArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    let model = args.model.resolve()?;
    if model.normalization != Normalization::None {
        return Err(flag(
            "--normalization",
            "a normalization has no useful global bound (1/sqrt(eps) for each layer); bound the network without it",
        ));
    }
    if model.dropout > 0.0 {
        return Err(flag(
            "--dropout",
            "dropout is no part of the trained map; leave it out",
        ));
    }
    let widest = model.widths.iter().copied().max().unwrap_or(0);
    threads::prepare(global, widest, widest);
    let mlp = Mlp::draw(&model, global.seed, 0).map_err(|e| Unusable(e.to_string()))?;
    let layers: Vec<_> = (1..=mlp.depth() + 1).map(|l| mlp.layer(l)).collect();
    let views = layers
        .iter()
        .map(|l| MatrixRef::row_major(&l.weights, l.rows, l.cols))
        .collect::<Result<Vec<_>, _>>()?;
    let depth = model.depth();
    let name = |k: usize| match k <= depth {
        true => format!("layer {k}"),
        false => "readout".into(),
    };
    let bias = |k: usize| {
        layers[k].bias.clone().map(|entries| Bias {
            source: name(k + 1),
            entries,
        })
    };
    let subject = Subject {
        names: (1..=layers.len()).map(name).collect(),
        biases: (0..layers.len()).map(bias).collect(),
        layers: Layers::Matrices(views),
        skipped: Vec::new(),
        activation: sector(&model)?,
        branch: model.beta(),
        model: Some(model.to_toml()),
    };
    compute(&subject, args, global, output)
}

/// The activation of a model; residual branches keep even a linear one.
fn sector(model: &Model) -> anyhow::Result<Option<(Activation, SlopeRange)>> {
    match (&model.activation, model.beta()) {
        (Activation::Linear, None) => Ok(None),
        (phi, _) => Ok(Some((phi.clone(), range(phi)?))),
    }
}

fn range(phi: &Activation) -> Result<SlopeRange, BadFlag> {
    SlopeRange::of(phi).map_err(|e| BadFlag {
        flag: "--activation",
        message: e.to_string(),
    })
}

/// The layers of the sources.
fn read(args: &BoundArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    let opened = sources::open(&args.chain.sources, &args.chain.filter)?;
    let sources::Layers {
        names,
        shapes,
        tensors,
        mut skipped,
    } = opened.layers(output)?;
    if tensors.is_empty() {
        return Err(sources::no_layer(&skipped).into());
    }
    let kernels = shapes.iter().filter(|s| matches!(s.len(), 3 | 4)).count();
    if !args.conv.wanted() && kernels > 0 {
        output.note("tensors with 3 or 4 axes are taken as matrices of the first axis by the others; --conv HxW takes them as convolutions");
    }
    let biases = biases::of(&opened)?;
    let used = |s: &Skipped| biases.iter().flatten().any(|b| b.source == s.source);
    skipped.retain(|s| !used(s));
    let names: Vec<String> = match args.conv.wanted() {
        true => names.iter().map(|n| bare(n).to_string()).collect(),
        false => names,
    };
    let layers = match args.conv.wanted() {
        false => Layers::Matrices(matrices(&tensors, args)?),
        true => match maps(&tensors, &shapes, kernels, args)? {
            Ok(maps) => Layers::Maps(maps),
            Err(error) => return fault(&error, &names, &biases, output),
        },
    };
    match &layers {
        Layers::Matrices(all) => {
            for m in all {
                threads::prepare(global, m.rows(), m.cols());
            }
        }
        Layers::Maps(_) => threads::prepare_tasks(global, kernels),
    }
    let subject = Subject {
        names,
        layers,
        biases,
        skipped,
        activation: activation(args)?,
        model: None,
        branch: None,
    };
    compute(&subject, args, global, output)
}

fn matrices<'a>(tensors: &'a [Tensor], args: &BoundArgs) -> anyhow::Result<Vec<MatrixRef<'a>>> {
    let mut all = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let m = tensor.matrix()?;
        all.push(if args.transposed { m.transposed() } else { m });
    }
    Ok(all)
}

/// The tensors as convolutions and dense layers; the inner error is about the layers.
fn maps(
    tensors: &[Tensor],
    shapes: &[Vec<usize>],
    kernels: usize,
    args: &BoundArgs,
) -> anyhow::Result<Result<FeatureMaps, FeatureMapError>> {
    if kernels == 0 {
        return Err(flag(
            "--conv",
            "no tensor has 3 or 4 axes: there is no convolution in the input",
        ));
    }
    let strides = args.conv.strides();
    if strides > 1 && strides != kernels {
        return Err(flag(
            "--stride",
            &format!("{strides} strides for {kernels} convolutions"),
        ));
    }
    let layout = args.conv.layout();
    let (mut stored, mut channels) = (Vec::with_capacity(tensors.len()), None);
    for (k, (tensor, shape)) in tensors.iter().zip(shapes).enumerate() {
        let view = tensor.matrix()?;
        let done = stored
            .iter()
            .filter(|s| matches!(s, Stored::Convolution(..)))
            .count();
        let Some(geometry) = args.conv.geometry(shape, done) else {
            let matrix = if args.transposed {
                view.transposed()
            } else {
                view
            };
            stored.push(Stored::Dense(matrix));
            continue;
        };
        let inputs = match layout {
            Layout::OutputsFirst => shape[1],
            Layout::OutputsLast => shape[shape.len() - 2],
        };
        let groups = match channels {
            None => args.conv.groups(),
            Some(before) if inputs > 0 && usize::is_multiple_of(before, inputs) => before / inputs,
            // refused with the numbers of channels
            Some(_) => 1,
        };
        match Kernel::new(&view, shape, layout, groups) {
            Ok(kernel) => {
                channels = Some(kernel.outputs());
                stored.push(Stored::Convolution(kernel, geometry));
            }
            Err(source) => {
                let layer = k + 1;
                return Ok(Err(FeatureMapError::Kernel { layer, source }));
            }
        }
    }
    let flattening = match layout {
        Layout::OutputsFirst => Flattening::ChannelsFirst,
        Layout::OutputsLast => Flattening::ChannelsLast,
    };
    Ok(FeatureMaps::new(&stored, flattening))
}

fn compute(
    subject: &Subject<'_>,
    args: &BoundArgs,
    global: &Global,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let options = OverviewOptions {
        lipschitz: LipschitzOptions {
            iterations: args.iterations,
            ..LipschitzOptions::default()
        },
        points: args.points,
        seed: global.seed,
    };
    let at = match (&args.at, &subject.activation) {
        (Some(source), Some(_)) => Some(biases::input("--at", source)?),
        _ => None,
    };
    let entries: Vec<Option<Vec<f64>>> = subject
        .biases
        .iter()
        .map(|b| b.as_ref().map(|b| b.entries.clone()))
        .collect();
    let activated = subject.activation.as_ref().map(|(phi, slope)| Activated {
        activation: phi,
        slope: *slope,
        biases: &entries,
        at: at.as_deref(),
    });
    let (found, maps) = match (&subject.layers, subject.branch, &activated) {
        (Layers::Maps(maps), ..) => {
            // even one layer can take minutes
            let bar = output.progress(subject.names.len().max(2));
            bar.set_length(subject.names.len() as u64);
            let tell = |layer: usize, done: usize, of: usize| {
                bar.set_position(layer as u64);
                bar.set_message(frequencies(&subject.names[layer], done, of));
            };
            let found = maps.overview(activated.as_ref(), &options, Some(&tell));
            bar.finish_and_clear();
            match found {
                Ok(found) => (Ok(found.overview.clone()), Some(found)),
                Err(error) => return fault(&error, &subject.names, &subject.biases, output),
            }
        }
        (Layers::Matrices(layers), Some(beta), Some(activated)) => {
            let found = residual_chain::overview(layers, beta, activated, &options);
            (found, None)
        }
        (Layers::Matrices(layers), ..) => (overview(layers, activated.as_ref(), &options), None),
    };
    let overview = match found {
        Ok(overview) => overview,
        Err(error) => return fault(&error.into(), &subject.names, &subject.biases, output),
    };
    let best = overview.upper.last().map(|b| b.value.log10());
    let exceeded = match (args.fail_above, best) {
        (Some(k), Some(best)) => best > k.log10(),
        _ => false,
    };
    let report = Report {
        overview,
        activation: subject
            .activation
            .as_ref()
            .map(|(phi, s)| (phi.to_string(), s.lower, s.upper)),
        skipped: subject.skipped.clone(),
        biases: entries.iter().flatten().count(),
        branch: subject.branch,
        model: subject.model.clone(),
        maps: maps.map(|found| Maps {
            names: subject.names.clone(),
            found,
        }),
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
    match args.model.activation() {
        None | Some(Activation::Linear) => Ok(None),
        Some(phi) => Ok(Some((phi.clone(), range(phi)?))),
    }
}

/// NaN in a layer is a finding, everything else a refusal, with layers called by their names.
fn fault(
    error: &FeatureMapError,
    names: &[String],
    biases: &[Option<Bias>],
    output: &Output,
) -> anyhow::Result<Outcome> {
    let name = |layer: &usize| format!("layer {layer} ({})", names[layer - 1]);
    let bias = |layer: &usize| match biases.get(layer - 1).and_then(Option::as_ref) {
        Some(b) => format!("the bias {} of {}", b.source, name(layer)),
        None => format!("the bias of {}", name(layer)),
    };
    let finding = |what: String| Ok(broken("bound", output, &format!("{what}: the bound")));
    let message = match error {
        FeatureMapError::Chain(error) => match error {
            ChainError::NonFinite { layer, found } => {
                return finding(format!("{} holds {found}", name(layer)));
            }
            ChainError::BiasNonFinite {
                layer,
                index,
                value,
            } => return finding(format!("{} holds {value} at [{index}]", bias(layer))),
            ChainError::Shape {
                layer,
                takes,
                gives,
            } => format!(
                "{} takes {takes} inputs, but {} gives {gives} outputs; sources are applied in the order given, first one first, each stored OUTPUTS x INPUTS (--transposed for the other layout)",
                name(layer),
                name(&(layer - 1))
            ),
            ChainError::Complex { layer } => {
                format!("{} is complex; real weights are needed", name(layer))
            }
            ChainError::Range { layer } => format!(
                "{}: entries span more than 1000 binary orders of magnitude",
                name(layer)
            ),
            ChainError::Bias {
                layer,
                entries,
                outputs,
            } => format!(
                "{} has {entries} entries, but the layer gives {outputs} outputs (--transposed if matrices are stored the other way round, --exclude if it is no bias)",
                bias(layer)
            ),
            ChainError::Branch { layer, rows, cols } => format!(
                "{} is {rows} x {cols}; a residual branch needs a square matrix",
                name(layer)
            ),
            ChainError::Input { .. } | ChainError::InputNonFinite { .. } => {
                return Err(flag("--at", &error.to_string()));
            }
            ChainError::Empty => "no layer in the input".into(),
        },
        FeatureMapError::Kernel { layer, source } => match source {
            KernelError::NonFinite(found) => {
                return finding(format!("{} holds {found}", name(layer)));
            }
            _ => format!("{}: {source}", name(layer)),
        },
        FeatureMapError::Channels {
            layer,
            takes,
            gives,
        } => format!(
            "{} takes {takes} channels, but {} gives {gives}; layers are applied in the order of the sources, first one first (--layout hwio for Keras)",
            name(layer),
            name(&(layer - 1))
        ),
        FeatureMapError::Flattened {
            layer,
            takes,
            channels,
            height,
            width,
        } => format!(
            "{} takes {takes} inputs, which {channels} channels of {height} x {width} cannot give, pooled or not (--transposed if matrices are stored INPUTS x OUTPUTS, --stride if a convolution has one)",
            name(layer)
        ),
        FeatureMapError::AfterDense { layer } => format!(
            "{} is a convolution, but {} before it is dense",
            name(layer),
            name(&(layer - 1))
        ),
        FeatureMapError::Geometry {
            layer,
            height,
            width,
            source,
        } => format!("{}, on {height} x {width}: {source}", name(layer)),
    };
    Err(Unusable(message).into())
}
