//! The tensors of a model, graph by graph.

use super::OnnxError;
use super::external::Files;
use super::tensor::Proto;
use super::wire::{Field, Message, text};
use crate::formats::Entry;
use crate::formats::mmap::Blob;
use crate::formats::skip::SkipReason;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Graphs within graphs: bodies of loops and branches.
const DEEPEST: usize = 32;

struct Walk<'a> {
    file: Arc<str>,
    blob: &'a Blob,
    files: Files<'a>,
    entries: Vec<Entry>,
    /// Bytes that names may still take.
    budget: usize,
}

pub(super) fn entries(
    file: &str,
    blob: &Blob,
    beside: Option<&Path>,
) -> Result<Vec<Entry>, OnnxError> {
    let mut walk = Walk {
        file: file.into(),
        blob,
        files: Files::new(beside),
        entries: Vec::new(),
        budget: blob.len().saturating_mul(4).saturating_add(1 << 20),
    };
    let mut model = Message::new(blob, 0..blob.len());
    let mut graphs = 0;
    while let Some((number, field)) = model.next()? {
        match (number, field) {
            (7, Field::Bytes(graph)) => {
                graphs += 1;
                walk.graph(graph, "", 0)?;
            }
            (25, Field::Bytes(function)) => walk.function(function)?,
            _ => {}
        }
    }
    match graphs {
        0 => Err(OnnxError::NoGraph),
        _ => Ok(walk.entries),
    }
}

impl Walk<'_> {
    fn graph(&mut self, range: Range<usize>, path: &str, depth: usize) -> Result<(), OnnxError> {
        let mut graph = Message::new(self.blob, range);
        while let Some((number, field)) = graph.next()? {
            match (number, field) {
                (1, Field::Bytes(node)) => self.node(node, path, depth)?,
                (5, Field::Bytes(tensor)) => self.initializer(tensor, path)?,
                (15, Field::Bytes(tensor)) => self.sparse(tensor, path)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn function(&mut self, range: Range<usize>) -> Result<(), OnnxError> {
        let mut name = String::new();
        let mut nodes = Vec::new();
        let mut function = Message::new(self.blob, range);
        while let Some((number, field)) = function.next()? {
            match (number, field) {
                (1, Field::Bytes(bytes)) => name = text(self.blob, bytes),
                (7, Field::Bytes(node)) => nodes.push(node),
                _ => {}
            }
        }
        nodes
            .into_iter()
            .try_for_each(|node| self.node(node, &name, 0))
    }

    fn node(&mut self, range: Range<usize>, path: &str, depth: usize) -> Result<(), OnnxError> {
        let (mut name, mut output) = (None, None);
        let mut attributes = Vec::new();
        let mut node = Message::new(self.blob, range);
        while let Some((number, field)) = node.next()? {
            match (number, field) {
                (2, Field::Bytes(bytes)) if output.is_none() => output = Some(bytes),
                (3, Field::Bytes(bytes)) => name = Some(bytes),
                (5, Field::Bytes(attribute)) => attributes.push(attribute),
                _ => {}
            }
        }
        for attribute in attributes {
            self.attribute(attribute, path, &[name.clone(), output.clone()], depth)?;
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        range: Range<usize>,
        path: &str,
        node: &[Option<Range<usize>>],
        depth: usize,
    ) -> Result<(), OnnxError> {
        let mut name = None;
        let (mut tensors, mut sparse, mut graphs) = (Vec::new(), Vec::new(), Vec::new());
        let mut attribute = Message::new(self.blob, range);
        while let Some((number, field)) = attribute.next()? {
            match (number, field) {
                (1, Field::Bytes(bytes)) => name = Some(bytes),
                (5 | 10, Field::Bytes(tensor)) => tensors.push(tensor),
                (6 | 11, Field::Bytes(graph)) => graphs.push(graph),
                (22 | 23, Field::Bytes(tensor)) => sparse.push(tensor),
                _ => {}
            }
        }
        if tensors.is_empty() && sparse.is_empty() && graphs.is_empty() {
            return Ok(());
        }
        let parts = node.iter().cloned().chain([name]).flatten();
        let parts: Vec<String> = parts.map(|part| text(self.blob, part)).collect();
        let parts: Vec<&str> = [path]
            .into_iter()
            .chain(parts.iter().map(String::as_str))
            .filter(|part| !part.is_empty())
            .collect();
        let inner = parts.join("/");
        self.spend(inner.len())?;
        // Exporters call the tensor of every constant `value`: where it is used tells more.
        for tensor in tensors {
            self.tensor(Proto::read(self.blob, tensor)?, &inner)?;
        }
        for tensor in sparse {
            self.sparse(tensor, &inner)?;
        }
        for graph in graphs {
            if depth + 1 == DEEPEST {
                const LETTERS: usize = 100;
                return Err(OnnxError::TooDeep {
                    path: inner.chars().take(LETTERS).collect(),
                    limit: DEEPEST,
                });
            }
            self.graph(graph, &inner, depth + 1)?;
        }
        Ok(())
    }

    fn spend(&mut self, letters: usize) -> Result<(), OnnxError> {
        let left = self.budget.checked_sub(letters);
        self.budget = left.ok_or(OnnxError::Names)?;
        Ok(())
    }

    fn initializer(&mut self, range: Range<usize>, path: &str) -> Result<(), OnnxError> {
        let proto = Proto::read(self.blob, range)?;
        let parts = [path, proto.name.as_str()];
        let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        let name = parts.join("/");
        self.tensor(proto, &name)
    }

    fn tensor(&mut self, proto: Proto, name: &str) -> Result<(), OnnxError> {
        self.spend(name.len())?;
        let entry = proto.entry(&self.file, self.blob, &mut self.files, name)?;
        self.entries.push(entry);
        Ok(())
    }

    /// The values of a sparse tensor carry its name.
    fn sparse(&mut self, range: Range<usize>, path: &str) -> Result<(), OnnxError> {
        let mut name = String::new();
        let mut tensor = Message::new(self.blob, range);
        while let Some((number, field)) = tensor.next()? {
            if let (1, Field::Bytes(values)) = (number, field) {
                name = Proto::read(self.blob, values)?.name;
            }
        }
        let parts: Vec<&str> = [path, &name]
            .into_iter()
            .filter(|p| !p.is_empty())
            .collect();
        let name = parts.join("/");
        self.spend(name.len())?;
        let what = "sparse tensor".to_string();
        let entry = Entry::member(&self.file, &name, "-".to_string(), Vec::new());
        self.entries
            .push(entry.skipped(SkipReason::NotDense { what }));
        Ok(())
    }
}
