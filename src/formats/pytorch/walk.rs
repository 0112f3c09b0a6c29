//! From the objects of a pickle to named tensors.
//!
//! Only the functions by which PyTorch rebuilds tensors have a meaning; whatever else a pickle
//! would call stays uncalled, and is named if it was in the way.

use super::PytorchError;
use super::dtype::Dtype;
use super::pickle::{Node, Object, Pickle, Value};
use super::storage::{Storages, View};
use crate::formats::Entry;
use crate::formats::skip::SkipReason;
use crate::formats::slice::Layout;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Containers within containers; a module of a model is three.
const DEEPEST: usize = 200;

/// A tensor before its storage is looked up.
pub(super) enum Found {
    Tensor(View),
    Skipped {
        dtype: String,
        shape: Vec<usize>,
        reason: SkipReason,
    },
}

/// What a walk finds.
#[derive(Default)]
pub(super) struct Findings {
    /// Names and tensors, in the order of the pickle.
    pub(super) tensors: Vec<(String, Found)>,
    /// What the pickle would call, and how often.
    pub(super) uncalled: BTreeMap<String, usize>,
}

struct Walk<'a> {
    pickle: &'a Pickle<'a>,
    path: String,
    /// The containers on the way from the root.
    inside: Vec<Value>,
    /// Containers known to hold no tensor.
    barren: HashSet<u32>,
    /// Objects and letters of names that may still be visited: shared parts of a pickle are listed
    /// once for each way to them, of which there may be exponentially many.
    budget: usize,
    found: Findings,
}

/// Lists every tensor that can be reached from the root.
pub(super) fn walk(pickle: &Pickle<'_>) -> Result<Findings, PytorchError> {
    let mut walk = Walk {
        pickle,
        path: String::new(),
        inside: Vec::new(),
        barren: HashSet::new(),
        budget: pickle.end.saturating_mul(16).saturating_add(1 << 16),
        found: Findings::default(),
    };
    walk.visit(pickle.root)?;
    Ok(walk.found)
}

/// Lists tensors as entries.
pub(super) fn entries(
    file: &str,
    stem: &str,
    storages: &Storages,
    findings: Findings,
) -> Result<Vec<Entry>, PytorchError> {
    let place: Arc<str> = file.into();
    let entry = |name: &str, dtype, shape| match name {
        "" => Entry::alone(file, stem, dtype, shape),
        _ => Entry::member(file, name, dtype, shape),
    };
    let one = |(name, found): (String, Found)| match found {
        Found::Skipped {
            dtype,
            shape,
            reason,
        } => Ok(entry(&name, dtype, shape).skipped(reason)),
        Found::Tensor(view) => storages.entry(&place, &name, view, |dtype, shape| {
            entry(&name, dtype, shape)
        }),
    };
    findings.tensors.into_iter().map(one).collect()
}

impl<'a> Walk<'a> {
    fn visit(&mut self, value: Value) -> Result<(), PytorchError> {
        let Value::Node(id) = value else {
            return Ok(());
        };
        if self.barren.contains(&id) || self.inside.contains(&value) {
            return Ok(());
        }
        if self.inside.len() >= DEEPEST {
            return Err(PytorchError::TooDeep {
                path: self.shown(),
                limit: DEEPEST,
            });
        }
        self.spend(1)?;
        let before = self.found.tensors.len();
        self.inside.push(value);
        let pickle = self.pickle;
        match pickle.node(value) {
            Some(Node::Dict(entries)) => self.entries(entries, false)?,
            Some(Node::List(items) | Node::Tuple(items) | Node::Set(items)) => self.items(items)?,
            Some(Node::Persistent(id)) => self.persistent(*id)?,
            Some(Node::Object(object)) => self.object(object)?,
            None => {}
        }
        self.inside.pop();
        if self.found.tensors.len() == before {
            self.barren.insert(id);
        }
        Ok(())
    }

    fn spend(&mut self, cost: usize) -> Result<(), PytorchError> {
        match self.budget.checked_sub(cost) {
            Some(left) => self.budget = left,
            None => return Err(PytorchError::TooMany { path: self.shown() }),
        }
        Ok(())
    }

    /// The path for a message, not longer than a line.
    fn shown(&self) -> String {
        const LETTERS: usize = 100;
        self.path.chars().take(LETTERS).collect()
    }

    /// Visits a part under a name.
    fn part(&mut self, name: &str, value: Value) -> Result<(), PytorchError> {
        if !matches!(value, Value::Node(_)) {
            return self.spend(1);
        }
        let length = self.path.len();
        if !self.path.is_empty() && !name.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        // Each tensor copies the whole path.
        self.spend(self.path.len() + 1)?;
        self.visit(value)?;
        self.path.truncate(length);
        Ok(())
    }

    /// `module`: the dictionaries in which a module keeps its parts do not show in names, as in
    /// `state_dict()`.
    fn entries(&mut self, entries: &[Value], module: bool) -> Result<(), PytorchError> {
        for (k, pair) in entries.chunks_exact(2).enumerate() {
            if !matches!(pair[1], Value::Node(_)) {
                self.spend(1)?;
                continue;
            }
            let name = match pair[0] {
                Value::Int(n) => n.to_string(),
                key => self.pickle.text(key).unwrap_or_else(|| format!("#{k}")),
            };
            match name.as_str() {
                "_parameters" | "_buffers" | "_modules" if module => self.part("", pair[1])?,
                name => self.part(name, pair[1])?,
            }
        }
        Ok(())
    }

    fn items(&mut self, items: &[Value]) -> Result<(), PytorchError> {
        for (k, item) in items.iter().enumerate() {
            match item {
                Value::Node(_) => self.part(&k.to_string(), *item)?,
                _ => self.spend(1)?,
            }
        }
        Ok(())
    }

    fn persistent(&mut self, id: Value) -> Result<(), PytorchError> {
        match self.pickle.tuple(id) {
            // A storage on its own: a vector.
            Some([kind, class, ..]) if self.is_text(*kind, "storage") => {
                let storage = self.storage(Value::None, id, *class)?;
                let layout = Layout {
                    shape: vec![storage.count],
                    strides: vec![1],
                };
                let view = View { layout, ..storage };
                self.found
                    .tensors
                    .push((self.path.clone(), Found::Tensor(view)));
            }
            _ => {}
        }
        Ok(())
    }

    fn is_text(&self, value: Value, wanted: &str) -> bool {
        self.pickle.text(value).is_some_and(|text| text == wanted)
    }

    fn object(&mut self, object: &'a Object) -> Result<(), PytorchError> {
        self.call(object.callable, object.args)?;
        let module = true;
        match self.pickle.node(object.state) {
            Some(Node::Dict(entries)) if !self.inside.contains(&object.state) => {
                self.inside.push(object.state);
                self.entries(entries, module)?;
                self.inside.pop();
            }
            // `(__dict__, slots)`, and objects with a state of their own kind.
            _ => self.part("", object.state)?,
        }
        self.entries(&object.entries, false)?;
        self.items(&object.list)
    }

    /// What calling `callable` would give.
    fn call(&mut self, callable: Value, args: Value) -> Result<(), PytorchError> {
        let name = self.class(callable);
        let arg = |k: usize| self.pickle.tuple(args).and_then(|a| a.get(k)).copied();
        let skip = |what: &str| Found::Skipped {
            dtype: "-".to_string(),
            shape: Vec::new(),
            reason: SkipReason::NotDense {
                what: what.to_string(),
            },
        };
        let found = match name.as_str() {
            "torch._utils._rebuild_tensor" => self.tensor(args, None, None)?,
            "torch._utils._rebuild_tensor_v2" => self.tensor(args, None, arg(6))?,
            "torch._utils._rebuild_tensor_v3" => self.tensor(args, arg(6), arg(7))?,
            "torch._utils._rebuild_parameter"
            | "torch._utils._rebuild_parameter_with_state"
            | "torch.jit._pickle.restore_type_tag"
            | "torch.jit._pickle.build_tensorlist" => {
                return self.part("", arg(0).unwrap_or(Value::None));
            }
            "torch._tensor._rebuild_from_type_v2" => {
                let (function, args) = (arg(0), arg(2));
                self.spend(1)?;
                // One level: a wrapper of a wrapper is nothing that PyTorch writes.
                return match (function, args) {
                    (Some(function), Some(args))
                        if !self.class(function).contains("_from_type") =>
                    {
                        self.call(function, args)
                    }
                    _ => Ok(()),
                };
            }
            "torch._utils._rebuild_sparse_tensor" => skip("sparse tensor"),
            "torch._utils._rebuild_sparse_csr_tensor" => skip("compressed sparse tensor"),
            "torch._utils._rebuild_nested_tensor" => skip("nested tensor"),
            "torch._utils._rebuild_qtensor" => skip("quantised tensor"),
            "torch._utils._rebuild_meta_tensor_no_storage" => skip("meta tensor without numbers"),
            "torch._utils._rebuild_device_tensor_from_numpy"
            | "torch._utils._rebuild_device_tensor_from_cpu_tensor"
            | "torch._utils._rebuild_wrapper_subclass" => {
                skip("tensor of an unusual device or class")
            }
            _ => {
                if !is_data(&name) {
                    *self.found.uncalled.entry(name).or_default() += 1;
                }
                return self.part("args", args);
            }
        };
        self.found.tensors.push((self.path.clone(), found));
        Ok(())
    }

    /// The name of what would be called, if need be of what would have made it. Old pickles of
    /// modules wrap a class in a persistent id with its source text.
    fn class(&self, callable: Value) -> String {
        /// Calls of results of calls: beyond, one name is as good as another.
        const LINKS: usize = 8;
        let mut class = callable;
        let mut made = false;
        for _ in 0..LINKS {
            class = match self.pickle.node(class) {
                Some(Node::Persistent(id)) => match self.pickle.tuple(*id) {
                    Some([_, wrapped, ..]) => *wrapped,
                    _ => break,
                },
                Some(Node::Object(object)) => {
                    made = true;
                    object.callable
                }
                _ => break,
            };
        }
        match self.pickle.global(class) {
            Some(name) if made => format!("what {} returns", printable(&name)),
            Some(name) => printable(&name),
            None => "what is no function".to_string(),
        }
    }

    fn tensor(
        &self,
        args: Value,
        dtype: Option<Value>,
        metadata: Option<Value>,
    ) -> Result<Found, PytorchError> {
        let bad = |what| PytorchError::Tensor {
            tensor: self.shown(),
            what,
        };
        let Some([storage, offset, shape, strides, ..]) = self.pickle.tuple(args) else {
            return Err(bad("without storage, offset, shape and strides"));
        };
        let sizes = |value, what| {
            let value = self.size(value);
            let items = self.pickle.tuple(value).ok_or_else(|| bad(what))?;
            let size = |v: &Value| match v {
                Value::Int(n) => usize::try_from(*n).ok(),
                _ => None,
            };
            let sizes: Option<Vec<usize>> = items.iter().map(size).collect();
            sizes.ok_or_else(|| bad(what))
        };
        let shape = sizes(*shape, "with a shape that is not a tuple of sizes")?;
        let strides = sizes(*strides, "with strides that are not a tuple of sizes")?;
        if shape.len() != strides.len() {
            return Err(bad("with as many strides as it has not dimensions"));
        }
        let Value::Int(offset) = *offset else {
            return Err(bad("with an offset that is no number"));
        };
        let offset = usize::try_from(offset).map_err(|_| bad("with a negative offset"))?;
        let Some(Node::Persistent(id)) = self.pickle.node(*storage) else {
            return Err(bad("without a storage"));
        };
        let class = match self.pickle.tuple(*id) {
            Some([kind, class, ..]) if self.is_text(*kind, "storage") => *class,
            _ => return Err(bad("without a storage")),
        };
        let mut view = self.storage(dtype.unwrap_or(Value::None), *id, class)?;
        view.offset = view
            .offset
            .checked_add(offset)
            .ok_or_else(|| bad("with an offset beyond every file"))?;
        view.layout = Layout { shape, strides };
        // A view that conjugates or negates on reading.
        if let Some(Node::Dict(flags)) = metadata.and_then(|m| self.pickle.node(m))
            && flags.chunks_exact(2).any(|f| f[1] == Value::Bool(true))
        {
            return Ok(Found::Skipped {
                dtype: view.dtype.name.to_string(),
                shape: view.layout.shape,
                reason: SkipReason::NotDense {
                    what: "conjugated or negated view".to_string(),
                },
            });
        }
        Ok(Found::Tensor(view))
    }

    /// The tuple of a shape, which may be wrapped in `torch.Size`.
    fn size(&self, value: Value) -> Value {
        match self.pickle.node(value) {
            Some(Node::Object(object)) if self.class(object.callable) == "torch.Size" => {
                let args = self.pickle.tuple(object.args);
                args.and_then(|a| a.first()).copied().unwrap_or(value)
            }
            _ => value,
        }
    }

    /// `('storage', class, key, location, count)` and, in old files, `(key, offset, count)` of a
    /// part of it.
    fn storage(&self, dtype: Value, id: Value, class: Value) -> Result<View, PytorchError> {
        let bad = |what| PytorchError::Tensor {
            tensor: self.shown(),
            what,
        };
        let parts = self.pickle.tuple(id).unwrap_or(&[]);
        let key = parts.get(2).and_then(|key| storage_key(self.pickle, *key));
        let key = key.ok_or_else(|| bad("with a storage that has no key"))?;
        let count = match parts.get(4) {
            Some(Value::Int(n)) => usize::try_from(*n).ok(),
            _ => None,
        };
        let count = count.ok_or_else(|| bad("with a storage that has no size"))?;
        let class = self.pickle.global(class).unwrap_or_default();
        let unknown = |name: &str| PytorchError::Dtype {
            tensor: self.shown(),
            dtype: printable(name),
        };
        let counted = Dtype::of_storage(&class).ok_or_else(|| unknown(&class))?;
        let dtype = match self.pickle.global(dtype) {
            Some(name) => Dtype::named(&name).ok_or_else(|| unknown(&name))?,
            None => counted,
        };
        let offset = match parts.get(5).and_then(|view| self.pickle.tuple(*view)) {
            Some([_, Value::Int(offset), ..]) => usize::try_from(*offset).ok(),
            Some(_) => None,
            None => Some(0),
        };
        Ok(View {
            key,
            dtype,
            offset: offset.ok_or_else(|| bad("in a part of a storage without an offset"))?,
            layout: Layout {
                shape: Vec::new(),
                strides: Vec::new(),
            },
            count,
            count_item: counted.item,
        })
    }
}

/// The key of a storage and the bytes of one of its numbers, if this persistent id is of one.
pub(super) fn stored(pickle: &Pickle<'_>, id: Value) -> Option<(String, usize)> {
    let [kind, class, key, ..] = pickle.tuple(id)? else {
        return None;
    };
    let is_storage = pickle.text(*kind).is_some_and(|kind| kind == "storage");
    let dtype = Dtype::of_storage(&pickle.global(*class)?)?;
    let key = storage_key(pickle, *key)?;
    is_storage.then_some((key, dtype.item))
}

fn storage_key(pickle: &Pickle<'_>, key: Value) -> Option<String> {
    match key {
        Value::Int(n) => Some(n.to_string()),
        key => pickle.text(key),
    }
}

/// A name of a hostile file, fit for a terminal.
fn printable(name: &str) -> String {
    const LETTERS: usize = 80;
    let clean = |c: char| if c.is_control() { '?' } else { c };
    name.chars().take(LETTERS).map(clean).collect()
}

/// Classes whose objects are plain values and never hold a tensor that a caller would see
/// otherwise; TorchScript's classes are data by definition.
fn is_data(name: &str) -> bool {
    const EXACT: [&str; 24] = [
        "collections.OrderedDict",
        "collections.defaultdict",
        "collections.Counter",
        "collections.deque",
        "_codecs.encode",
        "__builtin__.set",
        "builtins.set",
        "builtins.frozenset",
        "builtins.complex",
        "builtins.bytearray",
        "torch.Size",
        "torch.device",
        "torch.serialization._get_layout",
        "torch.jit._pickle.build_intlist",
        "torch.jit._pickle.build_doublelist",
        "torch.jit._pickle.build_boollist",
        "numpy.dtype",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray._reconstruct",
        "pathlib.PosixPath",
        "datetime.datetime",
        "torch.ScriptObject",
    ];
    EXACT.contains(&name) || name.starts_with("__torch__.")
}
