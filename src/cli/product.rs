//! `isometer product`.

use super::args::{Global, ProductArgs, check_gaussian};
use super::exit::{BadFlag, Exit, Outcome, Unusable};
use super::output::Output;
use super::{sources, threads};
use anyhow::anyhow;
use isometer::formats::Tensor;
use isometer::linalg::product::{
    LayerSource, MatrixChain, ProductError, ProductOptions, leading, spectrum,
};
use isometer::report::product::{Report, Values};
use isometer::report::table::Table;
use isometer::report::{Format, cond::Skipped};
use isometer::report::{document, plots};
use std::cell::Cell;

/// Reads the chain, or draws it, and reports its singular values.
pub fn run(args: &ProductArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    args.picture.target()?;
    if let Some(mut chain) = args.chain.drawn(args.alpha, global.seed) {
        let width = chain.width;
        check_gaussian(chain.depth, width, 1)?;
        threads::prepare(global, width, width);
        let name = |k: usize| format!("layer {k}");
        return compute(&mut chain, (width, width), args, output, &name, Vec::new());
    }
    if args.chain.sources.is_empty() {
        return Err(BadFlag {
            flag: "SOURCE",
            message: "which layers? give files, or --gaussian DEPTHxWIDTH".into(),
        }
        .into());
    }
    let opened = sources::open(&args.chain.sources, &args.chain.filter)?;
    let sources::Layers {
        names,
        tensors,
        skipped,
        ..
    } = opened.layers(output)?;
    let matrices = tensors
        .iter()
        .map(Tensor::matrix)
        .collect::<Result<Vec<_>, _>>()?;
    let (Some(first), Some(last)) = (matrices.first(), matrices.last()) else {
        return Err(sources::no_layer(&skipped).into());
    };
    let shape = (last.rows(), first.cols());
    for m in &matrices {
        threads::prepare(global, m.rows(), m.cols());
    }
    let name = |k: usize| format!("layer {k} ({})", names[k]);
    let mut chain = MatrixChain::new(&matrices);
    compute(&mut chain, shape, args, output, &name, skipped)
}

fn compute<S: LayerSource>(
    chain: &mut S,
    shape: (usize, usize),
    args: &ProductArgs,
    output: &Output,
    name: &dyn Fn(usize) -> String,
    skipped: Vec<Skipped>,
) -> anyhow::Result<Outcome> {
    let layers = chain.depth();
    let progress = output.progress(layers);
    let stage = Cell::new(None);
    let observer = |now, done: usize, total: usize| {
        if stage.replace(Some(now)) != Some(now) {
            progress.set_message(format!("{now:?}").to_lowercase());
        }
        progress.set_length(total as u64);
        progress.set_position(done as u64);
    };
    let options = ProductOptions {
        progress: Some(&observer),
        ..ProductOptions::default()
    };
    let values = match args.leading {
        Some(k) => leading(chain, k, &options).map(Values::Leading),
        None => spectrum(chain, &options).map(Values::All),
    };
    progress.finish_and_clear();
    match values {
        Ok(values) => {
            let report = Report {
                shape,
                layers,
                values,
                skipped,
            };
            if let Some(target) = args.picture.target()? {
                target.save_beside(&plots::product(&report), output)?;
            }
            Ok(Outcome {
                document: report.render(output.format, &output.style),
                exit: Exit::Fine,
            })
        }
        Err(ProductError::NonFinite { layer, entry }) => Ok(broken(
            "product",
            output,
            &format!("{} holds {entry}: the product", name(layer)),
        )),
        Err(error) => Err(refusal(error, name)),
    }
}

/// A layer that holds NaN or an infinity is a finding about the input, not a failure to compute.
pub(super) fn broken(command: &str, output: &Output, what: &str) -> Outcome {
    let sentence = format!("{what} is undefined; find what wrote it.");
    let document = if output.format == Format::Json {
        let mut map = document::frame(Some(command), "broken", &sentence);
        map.insert("error".into(), document::error("non-finite", &sentence));
        document::bytes(map)
    } else {
        let verdict = Table {
            verdict: format!("broken: {sentence}"),
            alarming: true,
            ..Table::default()
        };
        verdict.render(output.format, &output.style)
    };
    Outcome {
        document,
        exit: Exit::Finding,
    }
}

/// The error with layers called by their names.
fn refusal(error: ProductError, name: &dyn Fn(usize) -> String) -> anyhow::Error {
    match error {
        ProductError::Shapes {
            layer,
            previous,
            rows,
            cols,
        } => Unusable(format!(
            "{} takes {cols} inputs, but {} gives {rows} outputs; sources are applied in the order given, first one first",
            name(layer),
            name(previous)
        ))
        .into(),
        ProductError::EmptyLayer { layer, rows, cols } => {
            Unusable(format!("{} is {rows} x {cols}: it has no entries", name(layer))).into()
        }
        ProductError::Count { asked, available } => BadFlag {
            flag: "--leading",
            message: format!("{asked} values asked for, the product has {available}"),
        }
        .into(),
        other => anyhow!(other),
    }
}
