//! Every independently computed value of `tests/data/reference/theory.csv`, from the public library.
//!
//! A row is found by its case and its quantity; a row that nothing computes is a failure, and so is a
//! comparison that lets a wrong value pass.

#[path = "theory/finite.rs"]
mod finite;
#[path = "theory/wide.rs"]
mod wide;

use serde_json::Value;
use std::path::Path;

/// Rows in the table.
const ROWS: usize = 144;

/// A computed value with the rounding of the arithmetic that made it.
#[derive(Clone, Copy, Debug)]
pub struct Computed {
    value: f64,
    rounding: f64,
}

/// Rounded once or twice.
pub fn plain(value: f64) -> Option<Vec<Computed>> {
    Some(vec![computed(value)])
}

/// One of several routes to a value.
pub fn computed(value: f64) -> Computed {
    Computed {
        value,
        rounding: f64::EPSILON * value.abs(),
    }
}

/// From its logarithm, whose last digit is worth `|ln| 2^-53` of the value.
pub fn from_ln(ln: f64) -> Computed {
    Computed {
        value: ln.exp(),
        rounding: f64::EPSILON * (1.0 + ln.abs()) * ln.exp(),
    }
}

/// From its logarithm with the error that the library states for it.
pub fn from_ln_within(ln: f64, error: f64) -> Computed {
    let own = from_ln(ln);
    Computed {
        rounding: own.rounding + error * own.value,
        ..own
    }
}

/// Parameters of a row.
pub struct Params(Value);

impl Params {
    pub fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some()
    }

    pub fn number(&self, key: &str) -> f64 {
        self.0[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key} of {} is no number", self.0))
    }

    pub fn integer(&self, key: &str) -> usize {
        self.0[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key} of {} is no integer", self.0)) as usize
    }

    pub fn text(&self, key: &str) -> &str {
        self.0[key]
            .as_str()
            .unwrap_or_else(|| panic!("{key} of {} is no text", self.0))
    }

    /// An integer, or the text that stands in its place.
    pub fn text_or_integer(&self, key: &str) -> Result<usize, &str> {
        match self.0[key].as_u64() {
            Some(n) => Ok(n as usize),
            None => Err(self.text(key)),
        }
    }

    pub fn widths(&self) -> Vec<usize> {
        let list = self.0["widths"].as_array().expect("widths");
        list.iter().map(|n| n.as_u64().unwrap() as usize).collect()
    }
}

struct Row {
    id: String,
    case: String,
    quantity: String,
    params: Params,
    value: f64,
    tolerance: f64,
}

/// Splits a csv line at commas outside quotes; a doubled quote is one quote.
fn fields(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                out.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(String::new()),
            c => out.last_mut().unwrap().push(c),
        }
    }
    out
}

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/reference/theory.csv");
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("id,case,params_json,quantity,value,tolerance,source")
    );
    lines
        .map(|line| {
            let f = fields(line);
            assert_eq!(f.len(), 7, "{line}");
            Row {
                id: f[0].clone(),
                case: f[1].clone(),
                params: Params(serde_json::from_str(&f[2]).unwrap()),
                quantity: f[3].clone(),
                value: f[4].parse().unwrap(),
                tolerance: f[5].parse().unwrap(),
            }
        })
        .collect()
}

/// Every route to the row's quantity.
fn compute(row: &Row) -> Option<Vec<Computed>> {
    wide::compute(&row.case, &row.quantity, &row.params)
        .or_else(|| finite::compute(&row.case, &row.quantity, &row.params))
}

/// Whether a computed value is the row's, to the row's tolerance.
fn agrees(row: &Row, c: Computed) -> bool {
    (c.value - row.value).abs() <= row.tolerance + c.rounding
}

#[test]
fn every_row_is_reproduced() {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for row in rows() {
        let head = format!("{} {} {}: ", row.id, row.case, row.quantity);
        let Some(routes) = compute(&row).filter(|r| !r.is_empty()) else {
            wrong.push(head + "nothing computes it");
            continue;
        };
        for c in routes {
            if !agrees(&row, c) {
                wrong.push(format!(
                    "{head}computed {:e}, reference {:e}, off by {:.2e}, tolerance {:.1e}",
                    c.value,
                    row.value,
                    (c.value - row.value).abs(),
                    row.tolerance
                ));
            }
            // the comparison must notice a value that is off by ten tolerances
            let off = match row.tolerance {
                0.0 => 1e-6 * row.value.abs(),
                t => 10.0 * t,
            };
            for value in [c.value - off, c.value + off] {
                if agrees(&row, Computed { value, ..c }) {
                    wrong.push(format!("{head}an error of {off:e} passes"));
                }
            }
        }
        checked += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(checked, ROWS);
}

#[test]
fn rows_that_nobody_knows_are_not_passed_over() {
    let known = &rows()[0];
    for (case, quantity) in [
        ("no_such_case", known.quantity.as_str()),
        (known.case.as_str(), "no such quantity"),
    ] {
        assert!(wide::compute(case, quantity, &known.params).is_none());
        assert!(finite::compute(case, quantity, &known.params).is_none());
    }
}
