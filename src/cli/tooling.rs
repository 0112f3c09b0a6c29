//! The greeting, shell completions and manual pages.

use super::args::{CompletionsArgs, ManArgs};
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::{file, help};
use anyhow::Context;
use isometer::report::Format;
use isometer::report::document;
use serde_json::{Value, json};

const GREETING: &str = "\
isometer: how far is a matrix, or a network, from an isometry?

Three things to try:
  isometer audit model.safetensors          whether a checkpoint is broken, and what to do
  isometer predict --depth 50 --width 256 --activation tanh
                                            what gradients will do in a network
  printf '1 2\\n3 4\\n' | isometer cond -     condition number of a matrix, with proof

isometer COMMAND --help explains a command; isometer --help lists them all.
";

/// What `isometer` alone says.
pub fn greet(output: &Output) -> anyhow::Result<Outcome> {
    let commands: Value = help::definition()
        .get_subcommands()
        .map(|c| Value::from(c.get_name()))
        .collect();
    let keys = [("commands", commands), ("interface", help::interface())];
    text_or_json(output, None, GREETING.into(), keys)
}

/// `isometer completions`.
pub fn completions(args: &CompletionsArgs, output: &Output) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut help::definition(), "isometer", &mut script);
    let value = json!({
        "shell": args.shell.to_string(),
        "text": String::from_utf8_lossy(&script),
    });
    text_or_json(output, Some("completions"), script, [("script", value)])
}

/// `isometer man`.
pub fn man(args: &ManArgs, output: &Output) -> anyhow::Result<Outcome> {
    let pages = manual_pages()?;
    let Some(dir) = &args.out else {
        let all: Vec<u8> = pages.iter().flat_map(|(_, page)| page.clone()).collect();
        let value = pages
            .iter()
            .map(|(name, page)| json!({"name": name, "roff": String::from_utf8_lossy(page)}))
            .collect();
        return text_or_json(output, Some("man"), all, [("pages", value)]);
    };
    std::fs::create_dir_all(dir).with_context(|| format!("--out {}", dir.display()))?;
    let mut written = Vec::new();
    for (name, page) in &pages {
        let path = dir.join(name);
        file::write(&path, page).context("--out")?;
        written.push(path.display().to_string());
    }
    let text = format!("{}\n", written.join("\n")).into_bytes();
    text_or_json(output, Some("man"), text, [("files", json!(written))])
}

/// Name and roff of the page of every command.
fn manual_pages() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut root = help::definition().disable_help_subcommand(true);
    root.build();
    let mut commands = vec![root.clone()];
    commands.extend(root.get_subcommands().cloned());
    commands
        .into_iter()
        .map(|command| {
            let full = command
                .get_display_name()
                .unwrap_or(command.get_name())
                .to_string();
            let mut roff = Vec::new();
            clap_mangen::Man::new(command).render(&mut roff)?;
            Ok((format!("{full}.1"), roff))
        })
        .collect()
}

fn text_or_json(
    output: &Output,
    command: Option<&str>,
    text: Vec<u8>,
    keys: impl IntoIterator<Item = (&'static str, Value)>,
) -> anyhow::Result<Outcome> {
    let document = if output.format == Format::Json {
        let mut map = document::frame(command, "fine", "Nothing was computed.");
        map.extend(
            keys.into_iter()
                .map(|(key, value)| (key.to_string(), value)),
        );
        document::bytes(map)
    } else {
        text
    };
    Ok(Outcome {
        document,
        exit: Exit::Fine,
    })
}
