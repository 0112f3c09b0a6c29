//! The `key=value` list after the name of an initializer.

use super::InitError;
use crate::network::text::{folded, nearest};
use std::cell::RefCell;

/// Names are compared without case, hyphens and underscores, so that `GlorotUniform` and
/// `xavier_normal_` are read as well.
pub(super) fn bare(name: &str) -> String {
    folded(name).replace(['_', '-'], "")
}

/// The parameters after a name; what is asked for is remembered, for the error about the rest.
pub(super) struct Parameters {
    pub(super) name: &'static str,
    pub(super) given: Vec<(String, String)>,
    asked: RefCell<Vec<&'static str>>,
}

impl Parameters {
    pub(super) fn parse(name: &'static str, text: &str) -> Result<Parameters, InitError> {
        let mut given: Vec<(String, String)> = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let Some((key, value)) = part.split_once('=') else {
                return Err(InitError::NoKey {
                    name: name.into(),
                    given: part.trim().into(),
                    example: example(name, part.trim()),
                });
            };
            let key = folded(key);
            if given.iter().any(|(known, _)| *known == key) {
                return Err(InitError::Exclusive {
                    name: name.into(),
                    first: key.clone(),
                    second: key,
                });
            }
            given.push((key, value.trim().to_string()));
        }
        Ok(Parameters {
            name,
            given,
            asked: RefCell::new(Vec::new()),
        })
    }

    /// The value of the first of `keys`, which are names for one parameter.
    pub(super) fn text(
        &self,
        keys: &[&'static str],
    ) -> Result<Option<(&'static str, &str)>, InitError> {
        self.asked.borrow_mut().extend(keys);
        let mut found: Option<(&'static str, &str)> = None;
        for &key in keys {
            let Some((_, value)) = self.given.iter().find(|(given, _)| given == key) else {
                continue;
            };
            if let Some((first, _)) = found {
                return Err(self.exclusive(first, key));
            }
            found = Some((key, value));
        }
        Ok(found)
    }

    pub(super) fn number(&self, keys: &[&'static str]) -> Result<Option<f64>, InitError> {
        let Some((key, value)) = self.text(keys)? else {
            return Ok(None);
        };
        match value.parse::<f64>() {
            Ok(x) if !x.is_nan() => Ok(Some(x)),
            _ => Err(self.value(key, value, "a number is needed")),
        }
    }

    pub(super) fn choice<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&str, T)],
        wanted: &'static str,
    ) -> Result<Option<T>, InitError> {
        let Some((key, value)) = self.text(&[key])? else {
            return Ok(None);
        };
        let found = choices.iter().find(|(word, _)| bare(word) == bare(value));
        match found {
            Some((_, choice)) => Ok(Some(*choice)),
            None => Err(self.value(key, value, wanted)),
        }
    }

    pub(super) fn value(&self, key: &'static str, value: &str, wanted: &'static str) -> InitError {
        InitError::Value {
            name: self.name.into(),
            key,
            value: value.into(),
            wanted,
        }
    }

    pub(super) fn exclusive(&self, first: &str, second: &str) -> InitError {
        InitError::Exclusive {
            name: self.name.into(),
            first: first.into(),
            second: second.into(),
        }
    }

    pub(super) fn missing(&self, key: &'static str, example: &'static str) -> InitError {
        InitError::Missing {
            name: self.name.into(),
            key,
            example,
        }
    }

    /// Refuses what nothing asked for.
    pub(super) fn finish(&self) -> Result<(), InitError> {
        let asked = self.asked.borrow();
        let stray = self
            .given
            .iter()
            .find(|(key, _)| !asked.contains(&key.as_str()));
        let Some((key, _)) = stray else {
            return Ok(());
        };
        let takes = match asked.as_slice() {
            [] => "it takes none".to_string(),
            known => match nearest(key, known) {
                Some(word) => format!("did you mean {word}? It takes {}", known.join(", ")),
                None => format!("it takes {}", known.join(", ")),
            },
        };
        Err(InitError::UnknownParameter {
            name: self.name.into(),
            key: key.clone(),
            takes,
        })
    }
}

/// How a bare value after `name` was probably meant.
fn example(name: &str, value: &str) -> String {
    let key = match name {
        "xavier_normal" | "xavier_uniform" | "kaiming_normal" | "kaiming_uniform"
        | "orthogonal" | "identity" => "gain",
        "constant" => "value",
        "sparse" => "sparsity",
        "variance_scaling" => "scale",
        "gaussian" => "sigma_w2",
        "uniform" | "random_uniform" => "b",
        _ => "std",
    };
    match value.parse::<f64>() {
        Ok(_) => format!("{key}={value}"),
        Err(_) => format!("{key}=1"),
    }
}
