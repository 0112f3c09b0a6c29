//! The command line. One library call and one report call for each subcommand; the only place
//! that touches the terminal, and `output` the only writer.

mod alpha;
mod args;
mod args_alpha;
mod args_audit;
mod args_bound;
mod args_check;
mod args_claims;
mod args_conv;
mod args_network;
mod args_step;
mod audit;
mod biases;
mod bound;
mod check;
mod claims;
mod cond;
mod exit;
mod file;
mod gain;
mod help;
mod interrupt;
mod model;
mod nearest;
mod output;
mod phase;
mod picture;
mod precision;
mod predict;
mod product;
mod sources;
mod step;
mod symmetry;
mod tooling;

use args::{Cli, Command};
use clap::FromArgMatches;
use clap::error::ErrorKind;
use exit::{Exit, Outcome, Refusal};
use isometer::report::text::{is_unprintable, visible};
use output::Output;
use std::ffi::OsString;
use std::process::ExitCode;

/// Parses the arguments, runs the command, writes its document, and returns the exit code.
pub fn main() -> ExitCode {
    let raw: Vec<OsString> = std::env::args_os().collect();
    let outcome = match parse(&raw) {
        Ok(cli) => {
            note_pipes(&raw, &cli.global);
            run(&cli)
        }
        Err(error) => return refuse_usage(&raw, &error),
    };
    ExitCode::from(outcome as u8)
}

fn parse(raw: &[OsString]) -> Result<Cli, clap::Error> {
    let command = help::definition().color(output::color_choice(raw));
    Cli::from_arg_matches(&command.try_get_matches_from(raw)?)
}

fn run(cli: &Cli) -> Exit {
    let output = Output::new(&cli.global);
    threads::configure(&cli.global);
    let (name, result) = match &cli.command {
        None => (None, tooling::greet(&output)),
        Some(Command::Cond(args)) => (Some("cond"), cond::run(args, &cli.global, &output)),
        Some(Command::Product(args)) => (Some("product"), product::run(args, &cli.global, &output)),
        Some(Command::Bound(args)) => (Some("bound"), bound::run(args, &cli.global, &output)),
        Some(Command::Predict(args)) => (Some("predict"), predict::run(args, &output)),
        Some(Command::Gain(args)) => (Some("gain"), gain::run(args, &output)),
        Some(Command::Phase(args)) => (Some("phase"), phase::run(args, &cli.global, &output)),
        Some(Command::Alpha(args)) => (Some("alpha"), alpha::run(args, &cli.global, &output)),
        Some(Command::Precision(args)) => (Some("precision"), precision::run(args, &output)),
        Some(Command::Step(args)) => (Some("step"), step::run(args, &cli.global, &output)),
        Some(Command::Symmetry(args)) => (Some("symmetry"), symmetry::run(args, &output)),
        Some(Command::Claims(args)) => (Some("claims"), claims::run(args, &output)),
        Some(Command::Check(args)) => (Some("check"), check::run(args, &cli.global, &output)),
        Some(Command::Audit(args)) => (Some("audit"), audit::run(args, &cli.global, &output)),
        Some(Command::Diff(args)) => (Some("diff"), audit::diff(args, &cli.global, &output)),
        Some(Command::Explain(args)) => (Some("explain"), audit::explain(args, &output)),
        Some(Command::Completions(args)) => {
            (Some("completions"), tooling::completions(args, &output))
        }
        Some(Command::Man(args)) => (Some("man"), tooling::man(args, &output)),
    };
    let finished = result.and_then(|Outcome { document, exit }| {
        output.write(&document)?;
        Ok(exit)
    });
    match finished {
        Ok(exit) => exit,
        Err(error) => output.refuse(name, &Refusal::of(&error)),
    }
}

/// Help and version go to stdout with code 0; anything else is a usage error.
fn refuse_usage(raw: &[OsString], error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match output::write_stdout(error.render().to_string().as_bytes()) {
            Ok(()) => ExitCode::from(Exit::Fine as u8),
            Err(_) => ExitCode::from(Exit::Refused as u8),
        };
    }
    let mut text = error.to_string();
    if error.kind() == ErrorKind::InvalidUtf8 {
        let culprit = raw.iter().find(|a| a.to_str().is_none());
        let name = culprit.map_or(String::new(), |a| a.to_string_lossy().into_owned());
        text = format!(
            "error: {name:?} is no UTF-8 text, as names of sources have to be: rename the file, link to it under another name, or pipe it into isometer COMMAND -\n"
        );
        output::write_stderr(&text);
    } else if raw
        .iter()
        .any(|a| a.to_string_lossy().contains(is_unprintable))
    {
        // what was typed is shown, and must not drive the terminal
        let lines: Vec<_> = text.lines().map(visible).collect();
        output::write_stderr(&format!("{}\n", lines.join("\n")));
    } else {
        let _ = error.print();
    }
    if args::wants_json(raw) {
        let message = exit::first_paragraph(&text);
        let document =
            isometer::report::document::refusal(args::command_name(raw), "usage", &message);
        let _ = output::write_stdout(&document);
    }
    ExitCode::from(Exit::Refused as u8)
}

/// Says why nothing happens where a named pipe waits for its other end.
#[cfg(unix)]
fn note_pipes(raw: &[OsString], global: &args::Global) {
    use std::os::unix::fs::FileTypeExt;
    for arg in raw.iter().skip(1).filter_map(|a| a.to_str()) {
        let path = arg.split_once("::").map_or(arg, |(path, _)| path);
        if std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_fifo()) {
            Output::new(global).note(&format!("{path} is a pipe: waiting for its other end"));
        }
    }
}

#[cfg(not(unix))]
fn note_pipes(_: &[OsString], _: &args::Global) {}

/// How many threads a run may use, and when they are started.
pub(crate) mod threads {
    use super::args::Global;
    use isometer::linalg::parallel::{set_sequential, set_threads};

    /// Matrices with a shorter side below this are done before a thread pool has started.
    const WORTH_A_POOL: usize = 128;

    /// An explicit number takes effect at once; otherwise the pool waits for work worth it.
    pub fn configure(global: &Global) {
        if global.threads == 0 {
            set_sequential();
        } else {
            set_threads(global.threads);
        }
    }

    /// Starts the pool before the first matrix that is large enough to gain from it.
    pub fn prepare(global: &Global, rows: usize, cols: usize) {
        if global.threads == 0 && rows.min(cols) >= WORTH_A_POOL {
            set_threads(0);
        }
    }

    /// Starts the pool before that many tasks, each worth a thread of its own.
    pub fn prepare_tasks(global: &Global, tasks: usize) {
        if global.threads == 0 && tasks > 1 {
            set_threads(0);
        }
    }
}
