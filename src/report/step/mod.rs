//! `isometer step`: trust ratios, clipping, and descent on a quadratic.

pub mod clip;
pub mod descent;
pub mod ratios;

use super::document;
use crate::linalg::condition::Measured;
use crate::scale::{Certainty, Enclosure, LogScale};
use serde_json::{Map, Value};

/// A tensor that has no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The source that names it.
    pub source: String,
    /// The short name.
    pub label: String,
    /// `weights`, `gradients`, ...
    pub role: &'static str,
    /// Why, in half a sentence.
    pub reason: String,
}

impl Left {
    fn json(&self) -> Value {
        serde_json::json!({"source": self.source, "role": self.role, "reason": self.reason})
    }

    fn line(&self) -> String {
        format!("{} ({}): {}", self.label, self.role, self.reason)
    }
}

fn lefts(all: &[Left]) -> Value {
    all.iter().map(Left::json).collect()
}

/// The frame of a document of one of the calculations.
fn frame(which: &str, verdict: &str, sentence: &str) -> Map<String, Value> {
    let mut map = document::frame(Some("step"), verdict, sentence);
    map.insert("step".into(), which.into());
    map
}

/// A norm with its limits.
fn norm(e: &Enclosure) -> Value {
    document::measured(&Measured {
        enclosure: *e,
        certainty: Certainty::Certified,
    })
}

/// A magnitude as text: plain where `f64` holds it.
fn text(x: LogScale) -> String {
    super::predict::from_ln(x.ln())
}

/// A magnitude in JSON; null beyond `f64`, where the logarithm beside it speaks.
fn linear(x: LogScale) -> Value {
    if x.is_infinite() {
        return document::number(f64::INFINITY);
    }
    x.to_linear().map_or(Value::Null, document::number)
}
