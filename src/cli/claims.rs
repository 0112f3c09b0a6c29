//! `isometer claims`.

use super::args_claims::ClaimsArgs;
use super::exit::{BadFlag, Exit, Outcome};
use super::output::Output;
use anyhow::Context;
use isometer::report::claims::{Entry, Report};
use isometer::verify::claims::{all, find};

/// Runs the computation of one claim, or of all.
pub fn run(args: &ClaimsArgs, output: &Output) -> anyhow::Result<Outcome> {
    let claims = match &args.id {
        None => all(),
        Some(id) => vec![find(id).map_err(|unknown| BadFlag {
            flag: "ID",
            message: unknown.to_string(),
        })?],
    };
    let progress = output.progress(claims.len());
    let mut entries = Vec::new();
    for claim in claims {
        progress.set_message(claim.id);
        let evidence = claim
            .evidence()
            .with_context(|| format!("claim {}", claim.id))?;
        entries.push(Entry { claim, evidence });
        progress.inc(1);
    }
    progress.finish_and_clear();
    let report = Report {
        entries,
        in_full: args.id.is_some(),
    };
    Ok(Outcome {
        exit: if report.holds() {
            Exit::Fine
        } else {
            Exit::Finding
        },
        document: report.render(output.format, &output.style),
    })
}
