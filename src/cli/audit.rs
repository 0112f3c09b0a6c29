//! `isometer audit`, `isometer explain` and `isometer diff`.

use super::args::Global;
use super::args_audit::{AuditArgs, DiffArgs, ExplainArgs};
use super::exit::{BadFlag, Exit, Outcome};
use super::nearest::near;
use super::output::Output;
use super::{file, interrupt, sources, threads};
use indicatif::ProgressBar;
use isometer::audit::checkpoint::{AuditOptions, Observer, Pass, Subject, audit};
use isometer::audit::diff::diff as compare;
use isometer::audit::rules::{Finding, Level, Policy, RULES, Rule, rule};
use isometer::audit::spectra::SpectralOptions;
use isometer::report::Format;
use isometer::report::audit::{FailOn, Report, Verdict};
use isometer::report::diff;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

pub fn run(args: &AuditArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    let (fail_on, policy) = policy(args)?;
    if let Some(out) = &args.report {
        check_report(out)?;
    }
    let mut damage = Vec::new();
    let opened = sources::open_with(&args.sources, &args.filter, |source, error| {
        if !error.is_damage() {
            return Err(error);
        }
        // the finding names the source already
        let message = error.to_string();
        let message = message
            .strip_prefix(source)
            .and_then(|rest| rest.strip_prefix(": "))
            .map_or(message.clone(), String::from);
        damage.push(Finding {
            rule: "unreadable",
            tensor: source.to_string(),
            message,
        });
        Ok(())
    })?;
    for note in &opened.notes {
        output.note(note);
    }
    let options = AuditOptions {
        finite_only: args.finite_only,
        spectral: SpectralOptions {
            budget: args.budget,
            certify: args.certify,
            seed: global.seed,
        },
        policy,
        lora_alpha: args.lora_alpha.or_else(|| lora_alpha(&opened)),
    };
    threads::prepare_tasks(global, opened.items.len());
    let subjects: Vec<Subject<'_>> = opened.subjects().collect();
    let watch = Watch::new(output);
    let mut found = audit(&subjects, &options, &watch);
    found.findings.splice(0..0, damage);
    watch.replace(ProgressBar::hidden());
    let report = Report {
        audit: found,
        fail_on,
        notes: opened.notes.clone(),
        seconds: None,
    };
    let exit = match report.verdict() {
        Verdict::Unusable => {
            output.error(&report.sentence());
            Exit::Refused
        }
        _ if report.fails() => Exit::Finding,
        _ => Exit::Fine,
    };
    let document = report.render(output.format, &output.style);
    if let Some(out) = &args.report {
        if let Err(e) = file::write(out, &report.html()) {
            // the work is not lost for a full disk; JSON is one document, and that is the refusal
            if output.format != Format::Json {
                output.write(&document)?;
            }
            return Err(e.context("--report"));
        }
        output.note(&format!("the report is in {}", out.display()));
    }
    Ok(Outcome { document, exit })
}

/// What can be refused before hours of work.
fn check_report(out: &Path) -> Result<(), BadFlag> {
    let extension = out.extension().map(|e| e.to_ascii_lowercase());
    match extension.as_ref().and_then(|e| e.to_str()) {
        Some("html" | "htm") => file::check("--report", out),
        _ => Err(bad(
            "--report",
            format!("{} names no page: end it in .html", out.display()),
        )),
    }
}

/// Progress on stderr with the time that is left, and the way to stop.
struct Watch<'a> {
    output: &'a Output,
    bar: Mutex<ProgressBar>,
    cancel: Arc<AtomicBool>,
}

impl Watch<'_> {
    fn new(output: &Output) -> Watch<'_> {
        Watch {
            output,
            bar: Mutex::new(ProgressBar::hidden()),
            cancel: interrupt::flag(),
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut ProgressBar) -> T) -> T {
        // a panic elsewhere must not hide behind a poisoned bar
        f(&mut self
            .bar
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn replace(&self, bar: ProgressBar) {
        self.with(|old| {
            old.finish_and_clear();
            *old = bar;
        });
    }
}

impl Observer for Watch<'_> {
    fn begin(&self, pass: Pass, work: u64) {
        let what = match pass {
            Pass::Finite => "numbers",
            Pass::Spectral => "spectra",
        };
        self.replace(self.output.share_of_work(what, work));
    }

    fn advanced(&self, label: &str, work: u64) {
        self.with(|bar| {
            bar.set_message(label.to_string());
            bar.inc(work);
        });
    }

    fn stopped(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

fn policy(args: &AuditArgs) -> Result<(Vec<FailOn>, Policy), BadFlag> {
    let mut policy = Policy::default();
    let mut fail_on = Vec::new();
    for text in &args.fail_on {
        let (name, threshold) = match text.split_once('=') {
            Some((name, t)) => (name, Some(t)),
            None => (text.as_str(), None),
        };
        let level = [Level::Error, Level::Warning, Level::Note]
            .into_iter()
            .find(|l| l.as_str() == name);
        if let Some(level) = level {
            if threshold.is_some() {
                return Err(bad(
                    "--fail-on",
                    format!("{name} is a level and takes no threshold"),
                ));
            }
            fail_on.push(FailOn::Level(level));
            continue;
        }
        let r = known("--fail-on", name)?;
        fail_on.push(FailOn::Rule(r.name));
        if let Some(t) = threshold {
            let Some((_, unit)) = r.threshold else {
                return Err(bad(
                    "--fail-on",
                    format!("{name} takes no threshold: any finding counts"),
                ));
            };
            match t.parse::<f64>() {
                Ok(t) if t.is_finite() => policy.thresholds.push((r.name, t)),
                _ => {
                    return Err(bad(
                        "--fail-on",
                        format!("'{t}' is not a threshold for {name}: write a number, {unit}"),
                    ));
                }
            }
        }
    }
    for name in &args.ignore {
        policy.silenced.push(known("--ignore", name)?.name);
    }
    Ok((fail_on, policy))
}

fn bad(flag: &'static str, message: String) -> BadFlag {
    BadFlag { flag, message }
}

fn known(flag: &'static str, name: &str) -> Result<&'static Rule, BadFlag> {
    rule(name).ok_or_else(|| {
        let names: Vec<&str> = RULES.iter().map(|r| r.name).collect();
        let close = near(name, names.iter().map(ToString::to_string));
        let meant = match close.first() {
            Some(close) => format!(" (did you mean {close}?)"),
            None => String::new(),
        };
        bad(
            flag,
            format!(
                "no rule '{name}'{meant}; the rules are {}",
                names.join(", ")
            ),
        )
    })
}

/// `lora_alpha` in the configuration that PEFT writes beside an adapter.
fn lora_alpha(opened: &sources::Opened) -> Option<f64> {
    let file = opened
        .items
        .iter()
        .find(|i| i.name.contains("lora_"))?
        .file();
    let config = Path::new(&file).parent()?.join("adapter_config.json");
    let text = file::read_text(&config).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    value.get("lora_alpha")?.as_f64().filter(|a| a.is_finite())
}

/// `isometer explain`.
pub fn explain(args: &ExplainArgs, output: &Output) -> anyhow::Result<Outcome> {
    let document = match &args.rule {
        None => isometer::report::audit::list(output.format, &output.style),
        Some(name) => isometer::report::audit::explain(known("RULE", name)?, output.format),
    };
    Ok(Outcome {
        document,
        exit: Exit::Fine,
    })
}

/// `isometer diff`.
pub fn diff(args: &DiffArgs, global: &Global, output: &Output) -> anyhow::Result<Outcome> {
    if args.before == "-" && args.after == "-" {
        return Err(bad(
            "-",
            "stdin can be read once only; name a file for one side".into(),
        )
        .into());
    }
    let open = |source: &String| sources::open(std::slice::from_ref(source), &args.filter);
    let (before, after) = (open(&args.before)?, open(&args.after)?);
    for note in before.notes.iter().chain(&after.notes) {
        output.note(note);
    }
    threads::prepare_tasks(global, before.items.len());
    let options = SpectralOptions {
        budget: args.budget,
        certify: false,
        seed: global.seed,
    };
    let watch = Watch::new(output);
    let (a, b): (Vec<_>, Vec<_>) = (before.subjects().collect(), after.subjects().collect());
    let difference = compare(&a, &b, &options, &watch);
    watch.replace(ProgressBar::hidden());
    let report = diff::Report {
        difference,
        fail_above: args.fail_above,
        all: args.all,
    };
    let exit = match report.verdict() {
        "unusable" => {
            output.error(&report.sentence());
            Exit::Refused
        }
        _ if report.fails() => Exit::Finding,
        _ => Exit::Fine,
    };
    Ok(Outcome {
        document: report.render(output.format, &output.style),
        exit,
    })
}
