//! The only writer: stdout for data, stderr for everything else, a closed pipe is not an error.

use super::args::{Global, When};
use super::exit::{Exit, Refusal};
use clap::ColorChoice;
use indicatif::{ProgressBar, ProgressStyle};
use isometer::report::text::shown;
use isometer::report::{Format, Style, document};
use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Where and how results are written.
pub struct Output {
    /// The layout asked for.
    pub format: Format,
    /// Width and colour of the reader's screen.
    pub style: Style,
    quiet: bool,
}

impl Output {
    /// Looks at the flags, the environment and the terminal.
    pub fn new(global: &Global) -> Output {
        let terminal = io::stdout().is_terminal();
        // A pipe gets every column unwrapped: its reader is a program or a pager.
        let width = terminal
            .then(terminal_size::terminal_size)
            .flatten()
            .map(|(columns, _)| usize::from(columns.0));
        Output {
            format: global.format(),
            style: Style {
                width,
                colour: match global.color {
                    When::Always => true,
                    When::Never => false,
                    When::Auto => terminal && !no_color(),
                },
            },
            quiet: global.quiet,
        }
    }

    /// A progress bar over so many tensors, if someone is there to look at it.
    pub fn progress(&self, tensors: usize) -> ProgressBar {
        if self.quiet || tensors < 2 || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(tensors as u64);
        if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {wide_bar} {msg}") {
            bar.set_style(style);
        }
        bar
    }

    /// A progress bar with the time that is left.
    pub fn countdown(&self, total: u64) -> ProgressBar {
        let bar = self.progress(usize::try_from(total).unwrap_or(usize::MAX));
        if let Ok(style) =
            ProgressStyle::with_template("{human_pos}/{human_len} {wide_bar} {eta} left")
        {
            bar.set_style(style);
        }
        bar
    }

    /// A bar for work in some unit, with the tensor under way and the time that is left.
    pub fn share_of_work(&self, what: &'static str, total: u64) -> ProgressBar {
        let bar = self.progress(usize::try_from(total).unwrap_or(usize::MAX));
        if let Ok(style) =
            ProgressStyle::with_template("{prefix} {percent}% {wide_bar} {eta} left  {msg}")
        {
            bar.set_style(style);
        }
        bar.with_prefix(what)
    }

    /// Writes a document to stdout.
    ///
    /// # Errors
    /// Whatever writing meets, except a closed pipe.
    pub fn write(&self, document: &[u8]) -> anyhow::Result<()> {
        use anyhow::Context;
        write_stdout(document).context("cannot write to stdout")
    }

    /// A remark on stderr, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            write_stderr(&format!("isometer: note: {}\n", shown(text)));
        }
    }

    /// An error message on stderr, `--quiet` or not.
    pub fn error(&self, text: &str) {
        write_stderr(&format!("isometer: {}\n", shown(text)));
    }

    /// Reports an error: always on stderr, and as a document where JSON was asked for.
    pub fn refuse(&self, command: Option<&str>, refusal: &Refusal) -> Exit {
        self.error(&refusal.message);
        if self.format == Format::Json {
            let document = document::refusal(command, refusal.kind, &refusal.message);
            // Nothing is left to tell the caller if this fails too; the exit code says it.
            let _ = write_stdout(&document);
        }
        Exit::Refused
    }
}

/// Writes to stdout; a reader that has gone away (`| head`) has what it wanted.
pub fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

pub fn write_stderr(text: &str) {
    // A closed stderr must not turn a result into a failure.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn no_color() -> bool {
    // The convention of no-color.org: any value that is not empty.
    std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
}

/// What clap may do with its own messages, read before it has parsed anything.
pub fn color_choice(raw: &[OsString]) -> ColorChoice {
    let words: Vec<&str> = raw.iter().filter_map(|a| a.to_str()).collect();
    let chosen = words
        .iter()
        .find_map(|w| w.strip_prefix("--color="))
        .or_else(|| {
            let at = words.iter().position(|w| *w == "--color")?;
            words.get(at + 1).copied()
        });
    match chosen {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}
