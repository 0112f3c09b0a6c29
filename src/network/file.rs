//! Models as TOML.
//!
//! ```toml
//! widths = [784, 256, 256, 10]   # or: depth = 3, width = 256, input = 784
//! activation = "relu"
//! init = "kaiming_normal"        # or: sigma_w2 = 2.0, also beside init = "orthogonal"
//! bias = "default"               # or: sigma_b2 = 0.05
//! alpha = 1.0
//! alpha_at = "weights"           # "multiplier", "layer:3"
//! normalization = "none"         # "batch:32", "layer", "rms"
//! normalization_after = false
//! residual = "none"              # 0.5, "1/sqrt(L)", 0
//! dropout = 0.0
//! readout = 1
//! number_format = "f32"
//! tied = false
//! ```
//!
//! Only the widths and the activation are needed.

use super::activation::Activation;
use super::initializer::WeightInit;
use super::model::{Model, ModelError};
use super::options::{Alpha, AlphaAt, BiasInit, Residual};
use super::text::{folded, nearest};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const KEYS: [&str; 18] = [
    "widths",
    "depth",
    "width",
    "input",
    "activation",
    "init",
    "sigma_w2",
    "bias",
    "sigma_b2",
    "alpha",
    "alpha_at",
    "normalization",
    "normalization_after",
    "residual",
    "dropout",
    "readout",
    "number_format",
    "tied",
];

/// Where in a file, both counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    fn of(text: &str, at: usize) -> Place {
        // an end of file inside a character cannot be, but costs nothing to survive
        let before = text.get(..at.min(text.len())).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text is no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelFileError {
    /// Not TOML.
    #[error("{place}: not TOML: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        message: String,
    },
    /// A key that means nothing.
    #[error("{place}: no key is called '{key}'; {hint}")]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// The nearest known key, or all of them.
        hint: String,
    },
    /// A value that cannot be read.
    #[error("{place}: {key}: {message}")]
    Value {
        /// Where the value begins.
        place: Place,
        /// The key.
        key: &'static str,
        /// What is wrong and what to write.
        message: String,
    },
    /// Two keys that say the same thing.
    #[error("{place}: {key} and {other} say the same thing; leave one out")]
    Conflict {
        /// Where the first stands.
        place: Place,
        /// The key there.
        key: &'static str,
        /// The other key.
        other: &'static str,
    },
    /// A key without which there is no model.
    #[error("{key} is missing; write {example}")]
    Missing {
        /// The key.
        key: &'static str,
        /// How to write it.
        example: &'static str,
    },
    /// The values contradict each other, or one means nothing.
    #[error("{}{error}", prefix(.place, .key))]
    Refused {
        /// Where the value begins that the complaint is about, if the file has it.
        place: Option<Place>,
        /// Its key.
        key: &'static str,
        /// The complaint.
        error: Box<ModelError>,
    },
}

fn prefix(place: &Option<Place>, key: &str) -> String {
    match place {
        Some(place) => format!("{place}: {key}: "),
        None => String::new(),
    }
}

/// The top level of a file.
struct Reader<'a> {
    text: &'a str,
    table: DeTable<'a>,
}

impl<'a> Reader<'a> {
    fn parse(text: &'a str) -> Result<Reader<'a>, ModelFileError> {
        let table = DeTable::parse(text).map_err(|error| ModelFileError::Syntax {
            place: Place::of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().to_string(),
        })?;
        let reader = Reader {
            text,
            table: table.into_inner(),
        };
        // the map is sorted; the first stray key of the file is the one to name
        let stray = reader
            .table
            .iter()
            .filter(|(key, _)| !KEYS.contains(&key.get_ref().as_ref()))
            .min_by_key(|(key, _)| key.span().start);
        match stray {
            Some((key, value)) => Err(reader.unknown(key.get_ref(), key.span(), value.get_ref())),
            None => Ok(reader),
        }
    }

    fn unknown(&self, key: &str, span: Range<usize>, value: &DeValue) -> ModelFileError {
        let hint = match (value, nearest(&folded(key), &KEYS)) {
            (DeValue::Table(_), _) => {
                "all keys stand at the top of the file, outside of [tables]".to_string()
            }
            (_, Some(word)) => format!("did you mean {word}?"),
            (_, None) => format!("the keys are {}", KEYS.join(", ")),
        };
        ModelFileError::UnknownKey {
            place: Place::of(self.text, span.start),
            key: key.into(),
            hint,
        }
    }

    fn get(&self, key: &str) -> Option<&Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    fn place(&self, key: &str) -> Option<Place> {
        let value = self.get(key)?;
        Some(Place::of(self.text, value.span().start))
    }

    fn wrong(
        &self,
        key: &'static str,
        value: &Spanned<DeValue>,
        message: impl Into<String>,
    ) -> ModelFileError {
        ModelFileError::Value {
            place: Place::of(self.text, value.span().start),
            key,
            message: message.into(),
        }
    }

    /// At most one of two keys.
    fn one_of(&self, key: &'static str, other: &'static str) -> Result<(), ModelFileError> {
        match (self.place(key), self.get(other)) {
            (Some(place), Some(_)) => Err(ModelFileError::Conflict { place, key, other }),
            _ => Ok(()),
        }
    }

    /// A value given by its text form.
    fn parsed<T: FromStr>(
        &self,
        key: &'static str,
        example: &str,
    ) -> Result<Option<T>, ModelFileError>
    where
        T::Err: fmt::Display,
    {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let DeValue::String(text) = value.get_ref() else {
            let message = format!("a string is needed, such as {key} = \"{example}\"");
            return Err(self.wrong(key, value, message));
        };
        match text.parse() {
            Ok(x) => Ok(Some(x)),
            Err(error) => Err(self.wrong(key, value, error.to_string())),
        }
    }

    fn real(&self, key: &'static str) -> Result<Option<f64>, ModelFileError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match real(value.get_ref()) {
            Some(x) => Ok(Some(x)),
            None => Err(self.wrong(key, value, "a number is needed")),
        }
    }

    fn count(&self, key: &'static str) -> Result<Option<usize>, ModelFileError> {
        match self.get(key) {
            Some(value) => self.as_count(key, value).map(Some),
            None => Ok(None),
        }
    }

    fn as_count(
        &self,
        key: &'static str,
        value: &Spanned<DeValue>,
    ) -> Result<usize, ModelFileError> {
        let read = match value.get_ref() {
            DeValue::Integer(n) => usize::from_str_radix(n.as_str(), n.radix()).ok(),
            _ => None,
        };
        read.ok_or_else(|| self.wrong(key, value, "an integer that is not negative is needed"))
    }

    fn boolean(&self, key: &'static str) -> Result<Option<bool>, ModelFileError> {
        match self.get(key).map(|value| (value, value.get_ref())) {
            None => Ok(None),
            Some((_, DeValue::Boolean(b))) => Ok(Some(*b)),
            Some((value, _)) => Err(self.wrong(key, value, "true or false is needed")),
        }
    }

    fn widths(&self) -> Result<Vec<usize>, ModelFileError> {
        for other in ["depth", "width", "input"] {
            self.one_of("widths", other)?;
        }
        if let Some(value) = self.get("widths") {
            let DeValue::Array(widths) = value.get_ref() else {
                let message = "a list of integers is needed, such as widths = [784, 256, 256]";
                return Err(self.wrong("widths", value, message));
            };
            return widths.iter().map(|n| self.as_count("widths", n)).collect();
        }
        let (depth, width) = (self.count("depth")?, self.count("width")?);
        let missing = |key, example| ModelFileError::Missing { key, example };
        let (depth, width) = match (depth, width) {
            (Some(depth), Some(width)) => (depth, width),
            (Some(_), None) => return Err(missing("width", "width = 256 beside depth")),
            (None, Some(_)) => return Err(missing("depth", "depth = 10 beside width")),
            (None, None) => {
                let example = "widths = [784, 256, 256], or depth = 2 and width = 256";
                return Err(missing("widths", example));
            }
        };
        let mut widths =
            Model::equal_widths(depth, width).map_err(|error| ModelFileError::Refused {
                place: self.place("depth"),
                key: "depth",
                error: error.into(),
            })?;
        if let Some(input) = self.count("input")? {
            widths[0] = input;
        }
        Ok(widths)
    }

    fn weights(&self) -> Result<Option<WeightInit>, ModelFileError> {
        let named: Option<WeightInit> = self.parsed("init", "kaiming_normal")?;
        let Some(sigma_w2) = self.real("sigma_w2")? else {
            return Ok(named);
        };
        let plain = WeightInit::Normal {
            mean: 0.0,
            std: 1.0,
        };
        let made = named.unwrap_or(plain).with_sigma_w2(sigma_w2);
        made.map(Some).map_err(|error| ModelFileError::Refused {
            place: self.place("sigma_w2"),
            key: "sigma_w2",
            error: Box::new(error.into()),
        })
    }

    fn bias(&self) -> Result<Option<BiasInit>, ModelFileError> {
        self.one_of("bias", "sigma_b2")?;
        match self.real("sigma_b2")? {
            Some(variance) => Ok(Some(BiasInit::Gaussian { variance })),
            None => self.parsed("bias", "none"),
        }
    }

    fn residual(&self) -> Result<Option<Residual>, ModelFileError> {
        let Some(value) = self.get("residual") else {
            return Ok(None);
        };
        match value.get_ref() {
            DeValue::String(text) if folded(text) == "none" => Ok(None),
            DeValue::String(_) => self.parsed("residual", "1/sqrt(L)"),
            other => match real(other) {
                Some(0.0) => Ok(Some(Residual::Zero)),
                Some(beta) => Ok(Some(Residual::Constant(beta))),
                None => {
                    let message = "a number, \"1/sqrt(L)\" or \"none\" is needed";
                    Err(self.wrong("residual", value, message))
                }
            },
        }
    }
}

fn real(value: &DeValue) -> Option<f64> {
    match value {
        DeValue::Float(x) => x.as_str().parse().ok(),
        DeValue::Integer(n) if n.radix() == 10 => n.as_str().parse().ok(),
        DeValue::Integer(n) => i128::from_str_radix(n.as_str(), n.radix())
            .ok()
            .map(|n| n as f64),
        _ => None,
    }
}

impl Model {
    /// Reads a model from TOML (the keys are listed in the documentation of [`Model::to_toml`]) and
    /// validates it.
    ///
    /// # Errors
    ///
    /// Each names the key, its line and column, and what to write.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, ModelFileError};
    /// let model = Model::from_toml("depth = 3\nwidth = 16\nactivation = \"tanh\"\nsigma_w2 = 1.5").unwrap();
    /// assert_eq!((model.widths.len(), model.layer(2).weight.sigma_w2), (4, 1.5));
    /// assert_eq!(Model::from_toml(&model.to_toml()).unwrap(), model);
    /// let wrong = Model::from_toml("widths = [2, 2]\nactivatoin = \"relu\"");
    /// assert!(matches!(wrong, Err(ModelFileError::UnknownKey { .. })));
    /// ```
    pub fn from_toml(text: &str) -> Result<Model, ModelFileError> {
        let reader = Reader::parse(text)?;
        let activation: Option<Activation> = reader.parsed("activation", "relu")?;
        let mut model = Model::new(
            reader.widths()?,
            activation.ok_or(ModelFileError::Missing {
                key: "activation",
                example: "activation = \"relu\"",
            })?,
        );
        if let Some(weights) = reader.weights()? {
            model.weights = weights;
        }
        if let Some(bias) = reader.bias()? {
            model.bias = bias;
        }
        model.alpha = Alpha {
            value: reader.real("alpha")?.unwrap_or(1.0),
            at: reader
                .parsed("alpha_at", "multiplier")?
                .unwrap_or(AlphaAt::Weights),
        };
        if let Some(normalization) = reader.parsed("normalization", "batch:32")? {
            model.normalization = normalization;
        }
        model.normalization_after = reader.boolean("normalization_after")?.unwrap_or(false);
        model.residual = reader.residual()?;
        model.dropout = reader.real("dropout")?.unwrap_or(0.0);
        model.readout = reader.count("readout")?.unwrap_or(1);
        if let Some(format) = reader.parsed("number_format", "f32")? {
            model.number_format = format;
        }
        model.tied = reader.boolean("tied")?.unwrap_or(false);
        match model.validate() {
            Ok(()) => Ok(model),
            Err(error) => {
                // the complaint may be about a value given under the other of two keys
                let named = error.key();
                let keys: &[&'static str] = match named {
                    "widths" => &["widths", "width", "input", "depth"],
                    "init" => &["init", "sigma_w2"],
                    "bias" => &["bias", "sigma_b2"],
                    "alpha" => &["alpha", "init", "sigma_w2"],
                    _ => &[],
                };
                let mut keys = keys.iter().copied().chain([named]);
                let key = keys.find(|key| reader.get(key).is_some()).unwrap_or(named);
                Err(ModelFileError::Refused {
                    place: reader.place(key),
                    key,
                    error: error.into(),
                })
            }
        }
    }

    /// The model as TOML; [`Model::from_toml`] reads back the same model, number for number. A custom
    /// activation is written by its name, which is not read back.
    ///
    /// Keys: `widths` (or `depth`, `width` and, where it differs, `input`), `activation`, `init`, `bias`,
    /// `alpha`, `alpha_at`, `normalization`, `normalization_after`, `residual`, `dropout`, `readout`,
    /// `number_format`, `tied`. `sigma_w2` and `sigma_b2` are read as well, in place of `init` and `bias`.
    ///
    /// # Examples
    /// ```
    /// use isometer::network::{Model, activation::Activation};
    /// let text = Model::new(vec![4, 3], Activation::Gelu).to_toml();
    /// assert!(text.contains("widths = [4, 3]") && text.contains("activation = \"gelu\""));
    /// ```
    pub fn to_toml(&self) -> String {
        let quoted = |x: &dyn fmt::Display| toml::Value::String(x.to_string()).to_string();
        let float = |x: f64| toml::Value::Float(x).to_string();
        let mut lines = Vec::new();
        let mut line = |key: &str, value: String| lines.push(format!("{key} = {value}\n"));
        match self.widths.as_slice() {
            // long enough to be better counted than read
            [input, width, rest @ ..] if rest.len() >= 3 && rest.iter().all(|n| n == width) => {
                line("depth", self.depth().to_string());
                line("width", width.to_string());
                if input != width {
                    line("input", input.to_string());
                }
            }
            all => line("widths", format!("{all:?}")),
        }
        line("activation", quoted(&self.activation));
        line("init", quoted(&self.weights));
        line("bias", quoted(&self.bias));
        line("alpha", float(self.alpha.value));
        line("alpha_at", quoted(&self.alpha.at));
        line("normalization", quoted(&self.normalization));
        line("normalization_after", self.normalization_after.to_string());
        line(
            "residual",
            match self.residual {
                None => quoted(&"none"),
                Some(Residual::Constant(beta)) => float(beta),
                Some(Residual::Zero) => "0".into(),
                Some(residual) => quoted(&residual),
            },
        );
        line("dropout", float(self.dropout));
        line("readout", self.readout.to_string());
        line("number_format", quoted(&self.number_format));
        line("tied", self.tied.to_string());
        lines.concat()
    }
}
