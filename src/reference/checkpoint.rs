//! A network from the dense layers of a checkpoint.

use super::dense::Dense;
use super::mlp::{Architecture, LayersError, Mlp};
use crate::formats::{Collection, Content, FormatError, Tensor};
use std::cmp::Ordering;

/// Which dimension of a stored matrix is which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[outputs, inputs]`, as PyTorch stores `nn.Linear`.
    #[default]
    OutputsFirst,
    /// `[inputs, outputs]`, as Keras and Flax store kernels.
    InputsFirst,
}

/// Why a checkpoint gives no network.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A tensor that is no matrix of real numbers.
    #[error(
        "{name} has shape {shape:?} and number format {dtype}; a dense layer is a real 2-D tensor"
    )]
    NotAMatrix {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Its number format.
        dtype: String,
    },
    /// A tensor that could not be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Consecutive layers do not fit.
    #[error(
        "{name} takes {inputs} inputs, but {previous} before it gives {outputs} outputs; choose the layers and their order, or the other layout"
    )]
    Chain {
        /// The tensor.
        name: String,
        /// Its inputs.
        inputs: usize,
        /// The tensor before.
        previous: String,
        /// Its outputs.
        outputs: usize,
    },
    /// A bias of another length than its layer has outputs.
    #[error(
        "{bias} has {entries} entries, but its layer {name} gives {outputs} outputs; if matrices are stored the other way round, choose the other layout"
    )]
    Bias {
        /// The bias.
        bias: String,
        /// Its entries.
        entries: usize,
        /// The weights.
        name: String,
        /// Their outputs.
        outputs: usize,
    },
    /// An entry that is NaN or infinite.
    #[error("{name} holds {value}: nothing can be computed with it")]
    NonFinite {
        /// The tensor.
        name: String,
        /// The entry.
        value: f64,
    },
    /// The layers make no network.
    #[error("{} make no network: {source}", names.join(", "))]
    Layers {
        /// The tensors.
        names: Vec<String>,
        /// What is wrong.
        source: LayersError,
    },
}

/// A network read from a file.
#[derive(Clone, Debug)]
pub struct FromCheckpoint {
    /// The network.
    pub mlp: Mlp,
    /// The tensor and, if there is one, the bias of each layer; the last is the readout.
    pub names: Vec<(String, Option<String>)>,
}

/// Readable 2-D tensors of a file, ordered by name with runs of digits as numbers, so that
/// `layers.10` follows `layers.9`.
///
/// # Examples
/// ```
/// use isometer::formats::{Source, open};
/// use isometer::reference::dense_layers;
/// let file = open(&Source::path("tests/data/checkpoints/silero_vad_16k.safetensors")).unwrap();
/// assert!(dense_layers(&file).iter().all(|&i| file.entries()[i].shape().len() == 2));
/// ```
pub fn dense_layers(collection: &Collection) -> Vec<usize> {
    let entries = collection.entries();
    let two = |i: &usize| {
        let entry = &entries[*i];
        entry.shape().len() == 2
            && matches!(entry.content(), Content::Readable(r) if !r.element_type().is_complex())
    };
    let mut out: Vec<usize> = (0..entries.len()).filter(two).collect();
    out.sort_by(|a, b| natural(entries[*a].stored_name(), entries[*b].stored_name()));
    out
}

/// Compares names with runs of digits as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a, b);
    loop {
        let (p, q) = match (x.chars().next(), y.chars().next()) {
            (None, None) => return a.cmp(b),
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(p), Some(q)) => (p, q),
        };
        let order = if p.is_ascii_digit() && q.is_ascii_digit() {
            let number = |text: &str| {
                let end = text.find(|c: char| !c.is_ascii_digit());
                text[..end.unwrap_or(text.len())].len()
            };
            let (m, n) = (number(x), number(y));
            let (left, right) = (
                x[..m].trim_start_matches('0'),
                y[..n].trim_start_matches('0'),
            );
            (x, y) = (&x[m..], &y[n..]);
            (left.len(), left).cmp(&(right.len(), right))
        } else {
            (x, y) = (&x[p.len_utf8()..], &y[q.len_utf8()..]);
            p.cmp(&q)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Names that the bias beside weights of this name may have: `fc1.weight` has `fc1.bias`,
/// `dense/kernel:0` has `dense/bias:0`, `W1` has `b1`.
///
/// # Examples
/// ```
/// use isometer::reference::bias_names;
/// assert!(bias_names("fc1.weight").contains(&"fc1.bias".to_string()));
/// assert!(bias_names("W1").contains(&"b1".to_string()));
/// ```
pub fn bias_names(weights: &str) -> Vec<String> {
    let pairs = [
        ("weight", "bias"),
        ("kernel", "bias"),
        ("Weight", "Bias"),
        ("W", "b"),
        ("w", "b"),
    ];
    let swap = |(from, to): &(&str, &str)| {
        let at = weights.rfind(from)?;
        Some(format!(
            "{}{to}{}",
            &weights[..at],
            &weights[at + from.len()..]
        ))
    };
    pairs.iter().filter_map(swap).collect()
}

impl Mlp {
    /// The network whose layers are the entries `order` of a file, the last being the readout; each bias
    /// is found by name. [`dense_layers`] gives the order that most files mean.
    ///
    /// # Errors
    ///
    /// Tensors that are no dense layers, cannot be read, or do not fit each other, by name.
    ///
    /// # Panics
    ///
    /// If there is no such entry.
    ///
    /// # Examples
    /// ```
    /// use isometer::formats::open_bytes;
    /// use isometer::network::activation::Activation;
    /// use isometer::reference::{Architecture, Layout, Mlp, Scaled, dense_layers};
    /// let header = r#"{"fc1.weight":{"dtype":"F64","shape":[1,1],"data_offsets":[0,8]},
    ///                 "fc2.weight":{"dtype":"F64","shape":[1,1],"data_offsets":[8,16]},
    ///                 "fc1.bias":{"dtype":"F64","shape":[1],"data_offsets":[16,24]}}"#;
    /// let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    /// bytes.extend(header.as_bytes());
    /// for x in [2.0f64, 3.0, -1.0] {
    ///     bytes.extend(x.to_le_bytes());
    /// }
    /// let file = open_bytes("net.safetensors", bytes).unwrap();
    /// let architecture = Architecture::new(Activation::Relu);
    /// let net = Mlp::from_checkpoint(&file, &dense_layers(&file), Layout::OutputsFirst, architecture).unwrap();
    /// assert_eq!(net.mlp.forward(&Scaled::new(vec![4.0])).output().get(0), 21.0); // 3 relu(2 * 4 - 1)
    /// ```
    pub fn from_checkpoint(
        collection: &Collection,
        order: &[usize],
        layout: Layout,
        architecture: Architecture,
    ) -> Result<FromCheckpoint, CheckpointError> {
        let mut layers: Vec<Dense> = Vec::with_capacity(order.len());
        let mut names: Vec<(String, Option<String>)> = Vec::with_capacity(order.len());
        for &index in order {
            let name = collection.entries()[index].stored_name().to_string();
            let dense = matrix(collection, index, layout)?;
            if let (Some(last), Some((previous, _))) = (layers.last(), names.last())
                && last.rows != dense.cols
            {
                return Err(CheckpointError::Chain {
                    name,
                    inputs: dense.cols,
                    previous: previous.clone(),
                    outputs: last.rows,
                });
            }
            let bias = bias(collection, &name, dense.rows)?;
            let (dense, found) = match bias {
                Some((found, entries)) => (dense.with_bias(entries), Some(found)),
                None => (dense, None),
            };
            layers.push(dense);
            names.push((name, found));
        }
        match Mlp::from_layers(layers, architecture) {
            Ok(mlp) => Ok(FromCheckpoint { mlp, names }),
            Err(source) => Err(CheckpointError::Layers {
                names: names.into_iter().map(|(name, _)| name).collect(),
                source,
            }),
        }
    }
}

fn matrix(collection: &Collection, index: usize, layout: Layout) -> Result<Dense, CheckpointError> {
    let entry = &collection.entries()[index];
    let refused = || CheckpointError::NotAMatrix {
        name: entry.stored_name().into(),
        shape: entry.shape().into(),
        dtype: entry.dtype().into(),
    };
    if entry.shape().len() != 2 {
        return Err(refused());
    }
    let tensor = collection.load(index)?;
    let view = tensor.matrix().map_err(|_| refused())?;
    if view.element_type().is_complex() {
        return Err(refused());
    }
    let view = match layout {
        Layout::OutputsFirst => view,
        Layout::InputsFirst => view.transposed(),
    };
    let (rows, cols) = (view.rows(), view.cols());
    let weights = (0..rows * cols).map(|k| view.get(k / cols, k % cols).0);
    let weights = finite(entry.stored_name(), weights.collect())?;
    Ok(Dense::new(rows, cols, weights))
}

/// The name and the entries of the bias beside weights of this name.
fn bias(
    collection: &Collection,
    weights: &str,
    outputs: usize,
) -> Result<Option<(String, Vec<f64>)>, CheckpointError> {
    for wanted in bias_names(weights) {
        let mut entries = collection.entries().iter();
        let Some(index) = entries.position(|e| e.stored_name() == wanted) else {
            continue;
        };
        let Some(tensor) = collection.load_vector(index)? else {
            continue;
        };
        let entries = vector(&tensor);
        if entries.len() != outputs {
            return Err(CheckpointError::Bias {
                bias: wanted,
                entries: entries.len(),
                name: weights.into(),
                outputs,
            });
        }
        let entries = finite(&wanted, entries)?;
        return Ok(Some((wanted, entries)));
    }
    Ok(None)
}

fn vector(tensor: &Tensor) -> Vec<f64> {
    let Ok(view) = tensor.matrix() else {
        return Vec::new();
    };
    (0..view.cols()).map(|j| view.get(0, j).0).collect()
}

fn finite(name: &str, entries: Vec<f64>) -> Result<Vec<f64>, CheckpointError> {
    match entries.iter().find(|x| !x.is_finite()) {
        None => Ok(entries),
        Some(value) => Err(CheckpointError::NonFinite {
            name: name.into(),
            value: *value,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_people_read_them() {
        let mut names = vec![
            "l.10.weight",
            "l.9.weight",
            "fc",
            "l.1.weight",
            "l.02.weight",
            "l.2.weight",
        ];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(
            names,
            [
                "fc",
                "l.1.weight",
                "l.02.weight",
                "l.2.weight",
                "l.9.weight",
                "l.10.weight"
            ]
        );
    }

    #[test]
    fn biases_go_by_the_name_of_their_weights() {
        for (weights, bias) in [
            ("net.0.weight", "net.0.bias"),
            ("weight_net.1.weight", "weight_net.1.bias"),
            ("dense_3/kernel:0", "dense_3/bias:0"),
            ("W12", "b12"),
            ("wte.weight", "wte.bias"),
        ] {
            assert_eq!(bias_names(weights)[0], bias);
        }
        assert!(bias_names("x").is_empty());
    }
}
