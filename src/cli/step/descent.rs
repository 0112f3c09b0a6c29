//! `isometer step descent`.

use crate::cli::args::{Filter, Global};
use crate::cli::args_step::DescentArgs;
use crate::cli::exit::{BadFlag, Exit, Outcome, Unusable};
use crate::cli::output::Output;
use crate::cli::{sources, threads};
use isometer::linalg::symmetric::{Extremes, Signed, extreme_eigenvalues};
use isometer::report::step::descent::{Asked, Invariant, Report, Scaled};
use isometer::scale::Certainty;
use isometer::theory::descent::{self, Gram};
use isometer::theory::multiplier::Optimizer;
use isometer::theory::optimisation::{self, Method};

struct Curvature {
    source: String,
    extremes: Extremes,
    flat: usize,
}

pub fn run(args: &DescentArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    let Curvature {
        source,
        extremes,
        flat,
    } = curvature(args, global, output)?;
    let (smallest, largest) = (extremes.smallest, extremes.largest);
    let method = match (args.momentum, args.nesterov) {
        (None | Some(0.0), _) => Method::GradientDescent,
        (Some(beta), true) => Method::Nesterov { beta },
        (Some(beta), false) => Method::HeavyBall { beta },
    };
    let optimizer = args.optimizer();
    let scaled = args.alpha.map(|alpha| Scaled {
        alpha,
        optimizer,
        exponent: optimizer.equivalent().learning_rate,
    });
    let plain = matches!(optimizer, Optimizer::Sgd | Optimizer::Momentum);
    let asked = match args.lr {
        None => None,
        Some(given) => {
            let effective = scaled.map_or(given, |s| given * s.alpha.powi(s.exponent));
            let judgement = match plain {
                true => Some(descent::judge(method, effective, smallest, largest)?),
                false => None,
            };
            Some(Asked {
                given,
                effective,
                judgement,
            })
        }
    };
    let curved = largest.lo > 0.0 && smallest.hi >= 0.0;
    let (low, high) = (smallest.value, largest.value);
    let tuned = match smallest.lo > 0.0 {
        true => vec![
            optimisation::best_gradient_descent(low, high)?,
            optimisation::best_heavy_ball(low, high)?,
            optimisation::standard_nesterov(low, high)?,
        ],
        false => Vec::new(),
    };
    let report = Report {
        source,
        smallest,
        largest,
        certainty: extremes.certainty,
        flat,
        method,
        below: match curved {
            true => Some(descent::converging_below(method, largest)?),
            false => None,
        },
        overshoot: match curved {
            true => Some(descent::overshooting_above(largest)?),
            false => None,
        },
        asked,
        scaled,
        invariant: invariant(args, optimizer),
        tuned,
    };
    Ok(Outcome {
        exit: match report.is_finding() {
            true => Exit::Finding,
            false => Exit::Fine,
        },
        document: report.render(output.format, &output.style),
    })
}

fn invariant(args: &DescentArgs, optimizer: Optimizer) -> Option<Invariant> {
    let (norm, eta) = (args.weight_norm?, args.lr?);
    args.scale_invariant.then(|| Invariant {
        weight_norm: norm,
        effective: eta * norm.powi(optimizer.angular_step_if_scale_invariant()),
        equilibrium_angle: args
            .weight_decay
            .map(|w| descent::equilibrium_angle(eta, w)),
    })
}

fn curvature(args: &DescentArgs, global: &Global, output: &Output) -> anyhow::Result<Curvature> {
    let Some(source) = &args.matrix else {
        let (low, high) = args.curvature.unwrap_or_default();
        if low > high {
            return Err(BadFlag {
                flag: "--curvature",
                message: format!("{low} exceeds {high}; write MIN,MAX"),
            }
            .into());
        }
        return Ok(Curvature {
            source: "--curvature".into(),
            extremes: Extremes {
                smallest: Signed::point(low),
                largest: Signed::point(high),
                certainty: Certainty::Exact,
            },
            flat: 0,
        });
    };
    let all = Filter {
        include: Vec::new(),
        exclude: Vec::new(),
    };
    let opened = sources::open(std::slice::from_ref(source), &all)?;
    for note in &opened.notes {
        output.note(note);
    }
    let matrices: Vec<_> = opened.items.iter().filter(|i| i.skip.is_none()).collect();
    let [item] = matrices.as_slice() else {
        return Err(Unusable(format!(
            "{source} holds {} matrices; name one as FILE::TENSOR",
            matrices.len()
        ))
        .into());
    };
    let tensor = opened.load(item)?;
    let matrix = tensor.matrix()?;
    threads::prepare(global, matrix.rows(), matrix.cols());
    let unusable = |message: String| Unusable(format!("{}: {message}", item.label));
    if args.gram {
        let Gram { extremes, flat } =
            descent::gram(&matrix).map_err(|e| unusable(e.to_string()))?;
        return Ok(Curvature {
            source: item.source.clone(),
            extremes,
            flat,
        });
    }
    Ok(Curvature {
        source: item.source.clone(),
        extremes: extreme_eigenvalues(&matrix).map_err(|e| unusable(e.to_string()))?,
        flat: 0,
    })
}
