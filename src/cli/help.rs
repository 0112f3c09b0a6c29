//! The tree of commands as it is met: texts that fit any screen, wrong values that are told from unknown
//! flags, and a description for programs.

use super::args::Cli;
use clap::{Arg, Command, CommandFactory};
use serde_json::{Value, json};

/// The definition of every command.
pub fn definition() -> Command {
    polished(Cli::command())
}

fn polished(command: Command) -> Command {
    let command = match command
        .get_after_help()
        .map(|text| flowing(&text.to_string()))
    {
        Some(text) => command.after_help(text),
        None => command,
    };
    command
        .mut_args(|arg| {
            // otherwise `--lr -1` is refused as an unknown flag, with the advice to write `-- -1`
            let value = arg.get_action().takes_values() && !arg.is_positional();
            arg.allow_negative_numbers(value)
        })
        .mut_subcommands(polished)
}

/// Lines that follow each other become one paragraph, which clap breaks where the screen ends; examples, which are
/// indented, keep their lines.
fn flowing(text: &str) -> String {
    let loose = |line: &str| !line.is_empty() && !line.starts_with(' ');
    let mut out = String::with_capacity(text.len());
    let mut before = "";
    for line in text.lines() {
        if !out.is_empty() {
            out.push(if loose(before) && loose(line) {
                ' '
            } else {
                '\n'
            });
        }
        out.push_str(line);
        before = line;
    }
    out
}

/// Every command with its arguments, as the greeting gives it to programs.
pub fn interface() -> Value {
    let mut all = Vec::new();
    describe(&definition(), "", &mut all);
    all.into()
}

fn describe(command: &Command, path: &str, all: &mut Vec<Value>) {
    let mut children = command.get_subcommands().peekable();
    if children.peek().is_none() {
        // flags of every command stand with the tree, not with its leaves
        let global = definition();
        let arguments = command.get_arguments().chain(global.get_arguments());
        all.push(json!({
            "command": path,
            "about": command.get_about().map(ToString::to_string),
            "arguments": arguments.map(argument).collect::<Value>(),
        }));
    }
    for child in children {
        describe(
            child,
            format!("{path} {}", child.get_name()).trim_start(),
            all,
        );
    }
}

fn argument(arg: &Arg) -> Value {
    let takes = arg.get_action().takes_values();
    let names = arg.get_value_names().filter(|_| takes);
    let values: Vec<String> = match takes {
        true => arg
            .get_possible_values()
            .iter()
            .map(|v| v.get_name().to_string())
            .collect(),
        false => Vec::new(),
    };
    let default: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|v| v.to_string_lossy())
        .collect();
    json!({
        "flag": arg.get_long().map(|long| format!("--{long}")),
        "value": names.and_then(|n| n.first()).map(ToString::to_string),
        "values": values,
        "default": default.first(),
        "required": arg.is_required_set(),
        "about": arg.get_help().map(ToString::to_string),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands that do something, by their whole name.
    fn leaves() -> Vec<(String, Command)> {
        fn walk(command: Command, path: String, out: &mut Vec<(String, Command)>) {
            for child in command.get_subcommands() {
                walk(child.clone(), format!("{path} {}", child.get_name()), out);
            }
            out.push((path, command));
        }
        let mut out = Vec::new();
        walk(definition(), "isometer".into(), &mut out);
        out
    }

    fn after(command: &Command) -> String {
        command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn help_fits_eighty_columns() {
        for (path, command) in leaves() {
            for line in after(&command).lines().filter(|l| l.starts_with(' ')) {
                assert!(
                    line.len() <= 80,
                    "{path}: an example that is broken: {line}"
                );
            }
            for width in [80, 100] {
                let mut command = command.clone().bin_name(&path).term_width(width);
                let (long, short) = (command.render_long_help(), command.render_help());
                for line in long.to_string().lines().chain(short.to_string().lines()) {
                    assert!(line.chars().count() <= width, "{path}: {line}");
                }
            }
        }
    }

    #[test]
    fn every_command_has_an_example_and_every_example_is_understood() {
        for (path, command) in leaves() {
            let text = after(&command);
            let mut examples = 0;
            for line in text.lines() {
                let line = line.strip_prefix("Example: ").unwrap_or(line).trim_start();
                let Some(line) = line.split(" | ").find(|part| part.starts_with("isometer "))
                else {
                    continue;
                };
                let line = line.split("  ").next().unwrap_or(line);
                let line = line.split(" > ").next().unwrap_or(line);
                let words: Vec<&str> = line.split(' ').map(|w| w.trim_matches('\'')).collect();
                if words.contains(&"--help") {
                    continue;
                }
                assert!(line.starts_with(path.as_str()), "{path} shows {line}");
                if let Err(e) = definition().try_get_matches_from(&words) {
                    panic!("{line}: {e}");
                }
                examples += 1;
            }
            assert!(examples > 0 || path == "isometer", "{path} has no example");
        }
    }

    #[test]
    fn paragraphs_flow_and_examples_stay() {
        assert_eq!(
            flowing("Examples:\n  a\n  b\n\nOne\ntwo.\n\nThree"),
            "Examples:\n  a\n  b\n\nOne two.\n\nThree"
        );
    }

    #[test]
    fn a_negative_value_is_judged_as_a_value() {
        for line in [
            "step clip g.npz --max-norm -1",
            "cond a.npy --threads -1",
            "product --gaussian -1",
        ] {
            let words = std::iter::once("isometer").chain(line.split(' '));
            let error = definition()
                .try_get_matches_from(words)
                .unwrap_err()
                .to_string();
            assert!(!error.contains("-- -"), "{line}: {error}");
        }
    }

    #[test]
    fn programs_are_told_every_flag() {
        let all = interface();
        let lars = all
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["command"] == "step lars")
            .unwrap();
        let flag = |name: &str| {
            let all = lars["arguments"].as_array().unwrap().iter();
            all.filter(|a| a["flag"] == name)
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(flag("--lr")[0]["default"], "1");
        assert_eq!(flag("--lr")[0]["value"], "L");
        assert_eq!(flag("--include-1d")[0]["value"], Value::Null);
        assert_eq!(flag("--format").len(), 1);
        assert_eq!(flag("--format")[0]["values"][3], "json");
    }
}
