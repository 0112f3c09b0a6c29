//! Published matrices and a real checkpoint against independently computed values.
//!
//! The reference values are doubles with errors of their own, so a comparison allows for them:
//! `matrices.csv` states about 1e-14; the files made by a double-precision SVD are good to about
//! `n u` in sigma_max and `n u kappa` in sigma_min.

use isometer::formats::{Content, Source, open};
use isometer::linalg::condition::{ConditionOptions, Conditioning, condition};
use std::path::{Path, PathBuf};

fn data(sub: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(sub)
}

/// Splits a csv line at commas outside quotes.
fn fields(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(String::new()),
            c => out.last_mut().unwrap().push(c),
        }
    }
    out
}

fn table(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(data("reference").join(name)).unwrap();
    text.lines().skip(1).map(fields).collect()
}

/// The certified interval of `what`, widened by the relative error of the reference, holds it.
#[track_caller]
fn agrees(what: &str, (_, lo, hi): (f64, f64, f64), truth: f64, error: f64) {
    let slack = error * truth;
    assert!(
        lo - slack <= truth && truth <= hi + slack,
        "{what}: [{lo:e}, {hi:e}] does not hold {truth:e} (reference error {error:.1e})"
    );
    assert!(hi - lo <= 1e-9 * lo, "{what}: [{lo:e}, {hi:e}] is wide");
}

fn check(name: &str, c: &Conditioning, top: f64, bottom: f64, kappa: f64, relative: f64) {
    let u = f64::EPSILON;
    let n = (c.rows + c.cols) as f64;
    agrees(name, c.sigma_max.enclosure.to_linear().unwrap(), top, n * u);
    let error = relative + n * u;
    agrees(
        name,
        c.sigma_min.enclosure.to_linear().unwrap(),
        bottom,
        error,
    );
    agrees(name, c.cond.enclosure.to_linear().unwrap(), kappa, error);
}

fn only_matrix(path: &Path) -> Conditioning {
    let file = open(&Source::path(path)).unwrap();
    assert_eq!(file.entries().len(), 1);
    let tensor = file.load(0).unwrap();
    condition(&tensor.matrix().unwrap(), &ConditionOptions::default()).unwrap()
}

#[test]
fn matrices_known_by_ball_arithmetic() {
    for row in table("matrices.csv") {
        // The double-double rung of the two chemical plants takes a while in unoptimised builds.
        let c = only_matrix(&data("matrices").join(&row[0]));
        let v: Vec<f64> = row[2..5].iter().map(|x| x.parse().unwrap()).collect();
        check(&row[0], &c, v[0], v[1], v[2], 1e-13);
    }
}

#[test]
fn matrices_known_by_a_double_precision_svd() {
    for row in table("matrices_f64.csv") {
        if !data("matrices").join(&row[0]).exists() {
            continue;
        }
        let c = only_matrix(&data("matrices").join(&row[0]));
        let v: Vec<f64> = row[5..8].iter().map(|x| x.parse().unwrap()).collect();
        let n = (c.rows + c.cols) as f64;
        check(&row[0], &c, v[0], v[1], v[2], n * f64::EPSILON * v[2]);
        assert_eq!(c.rank.exact, Some(row[8].parse().unwrap()), "{}", row[0]);
    }
}

#[test]
fn a_real_checkpoint_layer_by_layer() {
    let file = open(&Source::path(data(
        "checkpoints/silero_vad_16k.safetensors",
    )))
    .unwrap();
    for row in table("silero_vad_16k.csv") {
        let i = (0..file.entries().len())
            .find(|&i| file.entries()[i].name() == row[0])
            .unwrap_or_else(|| panic!("{} is not in the file", row[0]));
        assert!(matches!(file.entries()[i].content(), Content::Readable(_)));
        let tensor = file.load(i).unwrap();
        let c = condition(&tensor.matrix().unwrap(), &ConditionOptions::default()).unwrap();
        let v: Vec<f64> = row[3..6].iter().map(|x| x.parse().unwrap()).collect();
        if v[1] == 0.0 {
            assert!(c.sigma_min.enclosure.is_zero() && c.cond.enclosure.lo().is_infinite());
            assert_eq!(c.rank.numerical, Some(255));
        } else {
            let n = (c.rows + c.cols) as f64;
            check(&row[0], &c, v[0], v[1], v[2], n * f64::EPSILON * v[2]);
        }
    }
}
