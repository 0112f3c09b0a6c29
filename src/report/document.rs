//! JSON values and the frame around every document: `schema`, `command`, `verdict`.
//!
//! ```
//! use isometer::report::document::{bytes, frame, number};
//!
//! let mut map = frame(Some("cond"), "fine", "all is well");
//! map.insert("kappa".into(), number(2.5));
//! let text = String::from_utf8(bytes(map)).unwrap();
//! assert!(text.starts_with("{\n") && text.contains("\"verdict\": \"fine\"") && text.contains("2.5"));
//! ```

use crate::linalg::condition::Measured;
use crate::scale::Enclosure;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value, json};

/// Name and version of the JSON contract; keys are added to it, never renamed.
pub const SCHEMA: &str = "isometer/1";

/// A number; infinities are the strings `"inf"` and `"-inf"`, NaN is null.
///
/// # Examples
/// ```
/// use isometer::report::document::number;
/// assert_eq!((number(f64::INFINITY), number(0.5)), ("inf".into(), 0.5.into()));
/// assert!(number(f64::NAN).is_null());
/// ```
pub fn number(x: f64) -> Value {
    if x == f64::INFINITY {
        "inf".into()
    } else if x == f64::NEG_INFINITY {
        "-inf".into()
    } else {
        json!(x)
    }
}

/// A number that may be unknown: null.
pub fn optional(x: Option<f64>) -> Value {
    x.map_or(Value::Null, number)
}

/// `{value, lo, hi}` as plain numbers; a part that is finite and non-zero but outside `f64` is
/// null, and [`log10`] carries it.
///
/// # Examples
/// ```
/// use isometer::linalg::condition::Measured;
/// use isometer::report::document::measured;
/// use isometer::scale::{Certainty, Enclosure};
/// let m = Measured { enclosure: Enclosure::point(2.0, 0).unwrap(), certainty: Certainty::Exact };
/// assert_eq!((measured(&m)["lo"].as_f64(), measured(&m)["hi"].as_f64()), (Some(2.0), Some(2.0)));
/// ```
pub fn measured(m: &Measured) -> Value {
    let (log_value, log_lo, log_hi) = m.enclosure.log10();
    let part = |x: f64, log: f64| {
        if log.is_finite() && (x == 0.0 || x.is_infinite()) {
            Value::Null
        } else {
            number(x)
        }
    };
    match m.enclosure.to_linear() {
        Some((value, lo, hi)) => json!({
            "value": part(value, log_value),
            "lo": part(lo, log_lo),
            "hi": part(hi, log_hi),
        }),
        None => json!({"value": null, "lo": null, "hi": null}),
    }
}

/// `{value, lo, hi}` as base-10 logarithms, limits rounded outward.
///
/// # Examples
/// ```
/// use isometer::report::document::log10;
/// use isometer::scale::Enclosure;
/// let value = log10(&Enclosure::point(1.0, 5000).unwrap())["value"].as_f64().unwrap(); // 2^5000
/// assert!((value - 1505.1499783199057).abs() < 1e-9);
/// ```
pub fn log10(e: &Enclosure) -> Value {
    let (value, lo, hi) = e.log10();
    json!({"value": number(value), "lo": number(lo), "hi": number(hi)})
}

/// The start of every document.
pub fn frame(command: Option<&str>, verdict: &str, sentence: &str) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("schema".into(), SCHEMA.into());
    map.insert("command".into(), command.into());
    map.insert("verdict".into(), verdict.into());
    map.insert("verdict_sentence".into(), sentence.into());
    map
}

/// A document as indented text with a final newline.
pub fn bytes(map: Map<String, Value>) -> Vec<u8> {
    let mut out = format!("{:#}", Value::Object(map)).into_bytes();
    out.push(b'\n');
    out
}

/// The same with a list under `key` whose items are made one at a time: a tree of all of them would take ten times the text.
pub fn bytes_with<I: Iterator<Item = Value>>(
    map: &Map<String, Value>,
    key: &str,
    items: impl Fn() -> I,
) -> Vec<u8> {
    let mut out = Vec::new();
    // memory takes whatever is written, and every key is a string
    let written = serde_json::to_writer_pretty(&mut out, &Streamed { map, key, items });
    debug_assert!(written.is_ok(), "{written:?}");
    out.push(b'\n');
    out
}

struct Streamed<'a, F> {
    map: &'a Map<String, Value>,
    key: &'a str,
    items: F,
}

impl<I: Iterator<Item = Value>, F: Fn() -> I> Serialize for Streamed<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(Some(self.map.len()))?;
        for (key, value) in self.map {
            match key == self.key {
                true => out.serialize_entry(key, &Items(&self.items))?,
                false => out.serialize_entry(key, value)?,
            }
        }
        out.end()
    }
}

struct Items<'a, F>(&'a F);

impl<I: Iterator<Item = Value>, F: Fn() -> I> Serialize for Items<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_seq(None)?;
        for item in (self.0)() {
            out.serialize_element(&item)?;
        }
        out.end()
    }
}

/// The document of a refusal: nothing was computed, and why.
///
/// # Examples
/// ```
/// use isometer::report::document::refusal;
/// let text = String::from_utf8(refusal(Some("cond"), "input", "no such file")).unwrap();
/// assert!(text.contains("\"schema\": \"isometer/1\"") && text.contains("no such file"));
/// ```
pub fn refusal(command: Option<&str>, kind: &str, message: &str) -> Vec<u8> {
    let mut map = frame(command, "refused", message);
    map.insert("error".into(), error(kind, message));
    bytes(map)
}

/// The `error` member of a document.
pub fn error(kind: &str, message: &str) -> Value {
    json!({"kind": kind, "message": message})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_made_item_by_item_reads_the_same() {
        for n in [0, 1, 3] {
            let items = || (0..n).map(|k| json!({"name": k, "shape": [k, 2], "none": []}));
            let mut map = frame(Some("audit"), "fine", "\u{e9}");
            map.insert("tensors".into(), Value::Null);
            map.insert("notes".into(), json!([]));
            let streamed = bytes_with(&map, "tensors", items);
            map.insert("tensors".into(), items().collect());
            assert_eq!(streamed, bytes(map));
        }
    }
}
