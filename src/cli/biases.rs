//! Which vectors of the sources are biases of which layers, and inputs.

use super::args::Filter;
use super::exit::BadFlag;
use super::sources::{self, Item, Opened};
use isometer::formats::Tensor;
use isometer::reference::bias_names;

/// The bias of a layer.
pub struct Bias {
    /// A source that names it alone.
    pub source: String,
    /// Its entries.
    pub entries: Vec<f64>,
}

/// The bias of each layer of the sources, in their order: by its name (`X.bias` beside `X.weight`), or where no layer of
/// a source has a name that says what its bias is called, by order if there is one vector for each.
pub fn of(opened: &Opened) -> anyhow::Result<Vec<Option<Bias>>> {
    let layers: Vec<&Item> = opened.items.iter().filter(|i| i.skip.is_none()).collect();
    let mut all = Vec::with_capacity(layers.len());
    for layer in &layers {
        let own = |i: &&Item| i.collection == layer.collection;
        let vectors: Vec<&Item> = opened
            .items
            .iter()
            .filter(|i| own(i) && i.skip.is_some() && i.shape.len() == 1)
            .collect();
        let siblings: Vec<&&Item> = layers.iter().filter(|i| own(i)).collect();
        let nameless = siblings.iter().all(|i| bias_names(&i.name).is_empty());
        let found = if nameless && vectors.len() == siblings.len() {
            let at = siblings.iter().position(|i| i.source == layer.source);
            at.map(|at| vectors[at])
        } else {
            let wanted = bias_names(&layer.name);
            wanted
                .iter()
                .find_map(|name| vectors.iter().find(|v| v.name == *name))
                .copied()
        };
        let bias = match found {
            None => None,
            Some(item) => opened.load_any(item)?.map(|tensor| Bias {
                source: item.source.clone(),
                entries: entries(&tensor),
            }),
        };
        all.push(bias);
    }
    Ok(all)
}

/// The one tensor of a source, entry after entry.
pub fn input(flag: &'static str, source: &str) -> anyhow::Result<Vec<f64>> {
    let everything = Filter {
        include: Vec::new(),
        exclude: Vec::new(),
    };
    let opened = sources::open(&[source.to_string()], &everything)?;
    let bad = |message: String| BadFlag { flag, message };
    let [item] = opened.items.as_slice() else {
        let count = opened.items.len();
        return Err(bad(format!(
            "{source} holds {count} tensors; name one as FILE::TENSOR"
        ))
        .into());
    };
    match opened.load_any(item)? {
        Some(tensor) => Ok(entries(&tensor)),
        None => {
            let why = item.skip.as_ref().map_or("", |(_, why)| why);
            Err(bad(format!("{source} is no input: {why}")).into())
        }
    }
}

fn entries(tensor: &Tensor) -> Vec<f64> {
    let Ok(view) = tensor.matrix() else {
        return Vec::new();
    };
    let (m, n) = (view.rows(), view.cols());
    (0..m * n).map(|k| view.get(k / n, k % n).0).collect()
}
