//! `--plot`.

use super::files::directory;
use super::{run, run_in};
use serde_json::json;
use std::fs;
use std::path::Path;

/// Small pictures, one for each command.
const PICTURES: [(&str, &str); 4] = [
    ("predict", "--depth 30 --width 32 --activation relu"),
    ("product", "--gaussian 6x8"),
    ("cond", "- --spectrum"),
    (
        "check",
        "--depth 3 --width 8 --activation relu --samples 400",
    ),
];

fn draw(at: &Path, command: &str, args: &str, file: &str) -> super::Run {
    let words = [command, "--quiet"].into_iter();
    let args: Vec<&str> = words
        .chain(args.split(' '))
        .chain(["--plot", file])
        .collect();
    run_in(at, &args, b"1 2 3\n4 5 6\n7 8 10\n")
}

/// Elements by name, and all text but numbers.
fn structure(svg: &str) -> Vec<String> {
    let mut out = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        let words: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
        out.push(format!("{name} {}", words.trim()));
    }
    out
}

#[test]
fn pictures_keep_their_structure() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/plots");
    for (command, args) in PICTURES {
        let here = directory(&[]);
        let ended = draw(here.path(), command, args, "p.svg");
        assert_eq!(ended.code, 0, "{command}: {}", ended.stderr);
        let svg = fs::read_to_string(here.path().join("p.svg")).unwrap();
        let snapshot = kept.join(format!("{command}.svg"));
        if std::env::var_os("ISOMETER_BLESS").is_some() {
            fs::write(&snapshot, &svg).unwrap();
        }
        let before = fs::read_to_string(snapshot).unwrap();
        assert_eq!(structure(&svg), structure(&before), "{command}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{command}");
        // nothing but the picture is left
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), 1, "{command}");
        assert_eq!(draw(here.path(), command, args, "p.png").code, 0);
        let png = fs::read(here.path().join("p.png")).unwrap();
        assert_eq!(png[..4], [0x89, b'P', b'N', b'G'], "{command}");
    }
}

#[test]
fn what_cannot_be_drawn_is_refused_and_nothing_is_left() {
    let here = directory(&[]);
    for (command, args) in PICTURES {
        for file in ["p.pdf", "p", "missing/p.svg"] {
            let args = format!("{args} --json");
            let refused = draw(here.path(), command, &args, file);
            assert_eq!(
                (refused.code, &refused.json()["error"]["kind"]),
                (2, &json!("usage")),
                "{command} {file}"
            );
            if !file.contains('/') {
                assert!(
                    refused.stderr.contains(".svg or .png"),
                    "{}",
                    refused.stderr
                );
            }
        }
    }
    let suite = draw(here.path(), "check", "--suite", "p.svg");
    let no_spectrum = draw(here.path(), "cond", "-", "p.svg");
    assert!(
        no_spectrum.stderr.contains("--spectrum"),
        "{}",
        no_spectrum.stderr
    );
    assert_eq!((suite.code, no_spectrum.code), (2, 2));
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
    let many = "tests/data/checkpoints/silero_vad_16k.safetensors";
    let out = here.path().join("p.svg");
    let several = ["cond", many, "--spectrum", "--plot", out.to_str().unwrap()];
    let several = run(&several, "");
    assert_eq!(several.code, 2);
    assert!(
        several.stderr.contains("FILE::TENSOR"),
        "{}",
        several.stderr
    );
    assert!(!out.exists());
}

/// The picture of the README is what its command draws.
#[test]
fn the_picture_of_the_readme_is_drawn_by_its_command() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let command = readme
        .lines()
        .find_map(|l| {
            l.strip_prefix("isometer ")?
                .strip_suffix(" --plot gradients.svg")
        })
        .unwrap();
    let here = directory(&[]);
    let args: Vec<&str> = command.split(' ').collect();
    let args = [&args[..], &["--plot", "gradients.svg"]].concat();
    assert_eq!(run_in(here.path(), &args, b"").code, 0);
    let drawn = fs::read_to_string(here.path().join("gradients.svg")).unwrap();
    let kept = root.join("docs/gradients.svg");
    if std::env::var_os("ISOMETER_BLESS").is_some() {
        fs::write(&kept, &drawn).unwrap();
    }
    let shown = fs::read_to_string(kept).unwrap();
    assert_eq!(drawn, shown);
    assert!(shown.len() < 60_000 && readme.contains("(docs/gradients.svg)"));
}
