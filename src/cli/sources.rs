//! From SOURCE arguments to tensors, in order.

use super::args::Filter;
use super::exit::{BadFlag, Unusable};
use super::nearest::near;
use super::output::Output;
use globset::{Glob, GlobSet, GlobSetBuilder};
use isometer::audit::checkpoint::Subject;
use isometer::formats::{
    self, Collection, Content, Entry, FormatError, SkipReason, Source, Tensor,
};
use isometer::report::cond::{SkipKind, Skipped};
use std::path::Path;

/// A source that could not be opened, with a hint where one helps.
#[derive(Debug, thiserror::Error)]
#[error("{error}{hint}")]
pub struct SourceError {
    error: FormatError,
    hint: String,
}

impl SourceError {
    /// The word for scripts.
    pub fn kind(&self) -> &'static str {
        match self.error {
            FormatError::Missing { .. } => "not-found",
            FormatError::NoSuchTensor { .. } => "no-such-tensor",
            _ => "unreadable",
        }
    }
}

impl SourceError {
    /// Whether the file is damaged, and not missing or of another kind.
    pub fn is_damage(&self) -> bool {
        self.error.is_damage()
    }
}

impl From<FormatError> for SourceError {
    fn from(error: FormatError) -> SourceError {
        let hint = match &error {
            FormatError::Missing { path } => nearby(path),
            FormatError::NoSuchTensor { tensor, names, .. } => {
                match near(tensor, names.iter().cloned()) {
                    close if close.is_empty() => String::new(),
                    close => format!("; did you mean {}?", close.join(" or ")),
                }
            }
            _ => String::new(),
        };
        SourceError { error, hint }
    }
}

/// One tensor of the sources.
pub struct Item {
    /// A source that names this tensor alone.
    pub source: String,
    /// The name in the file; of the file for formats without names.
    pub name: String,
    /// The short name that tells it from its neighbours.
    pub label: String,
    /// Shape as stored.
    pub shape: Vec<usize>,
    /// Why it is no matrix, if it is none.
    pub skip: Option<(SkipKind, String)>,
    /// Which of the sources it is from.
    pub collection: usize,
    entry: usize,
}

/// All tensors of all sources, listed but not read.
pub struct Opened {
    /// In the order of the sources, and within a source in the order of the file.
    pub items: Vec<Item>,
    /// Remarks about the files as a whole.
    pub notes: Vec<String>,
    collections: Vec<Collection>,
}

/// The matrices of the sources as the layers of a chain, first one first.
pub struct Layers {
    /// The label of each.
    pub names: Vec<String>,
    /// The shape of each as stored.
    pub shapes: Vec<Vec<usize>>,
    /// What was read.
    pub tensors: Vec<Tensor>,
    /// Tensors that are no matrices.
    pub skipped: Vec<Skipped>,
}

/// The refusal of sources without a single matrix.
pub fn no_layer(skipped: &[Skipped]) -> Unusable {
    let why = skipped.first().map_or(
        "the sources hold no tensor, or --include and --exclude left none".into(),
        |s| format!("{}: {}", s.source, s.reason),
    );
    Unusable(format!("no layer in the input: {why}"))
}

impl Item {
    /// The file that holds it.
    pub fn file(&self) -> &str {
        self.source
            .strip_suffix(&self.name)
            .map_or(self.source.as_str(), |f| f.trim_end_matches("::"))
    }
}

impl Opened {
    /// The tensors for an audit.
    pub fn subjects(&self) -> impl Iterator<Item = Subject<'_>> {
        self.items.iter().map(|i| Subject {
            collection: &self.collections[i.collection],
            entry: i.entry,
            label: i
                .label
                .split_once("#reshape")
                .map_or(i.label.as_str(), |(bare, _)| bare),
        })
    }

    /// Reads every matrix, and passes remarks about the files on.
    pub fn layers(&self, output: &Output) -> Result<Layers, SourceError> {
        for note in &self.notes {
            output.note(note);
        }
        let mut layers = Layers {
            names: Vec::new(),
            shapes: Vec::new(),
            tensors: Vec::new(),
            skipped: Vec::new(),
        };
        for item in &self.items {
            match &item.skip {
                Some((kind, reason)) => layers.skipped.push(Skipped {
                    source: item.source.clone(),
                    label: item.label.clone(),
                    kind: *kind,
                    reason: reason.clone(),
                }),
                None => {
                    layers.names.push(item.label.clone());
                    layers.shapes.push(item.shape.clone());
                    layers.tensors.push(self.load(item)?);
                }
            }
        }
        Ok(layers)
    }

    /// Reads one tensor.
    pub fn load(&self, item: &Item) -> Result<Tensor, SourceError> {
        Ok(self.collections[item.collection].load(item.entry)?)
    }

    /// Reads one tensor of any number of dimensions; `None` if it holds no numbers.
    pub fn load_any(&self, item: &Item) -> Result<Option<Tensor>, SourceError> {
        let collection = &self.collections[item.collection];
        match item.skip {
            None => Ok(Some(collection.load(item.entry)?)),
            Some(_) => Ok(collection.load_vector(item.entry)?),
        }
    }
}

/// Opens every source and lists the tensors that the filter leaves.
pub fn open(sources: &[String], filter: &Filter) -> anyhow::Result<Opened> {
    open_with(sources, filter, |_, error| Err(error))
}

/// The same for those who can go on without a source: `damaged` decides.
pub fn open_with(
    sources: &[String],
    filter: &Filter,
    mut damaged: impl FnMut(&str, SourceError) -> Result<(), SourceError>,
) -> anyhow::Result<Opened> {
    if sources.iter().filter(|s| *s == "-").count() > 1 {
        return Err(BadFlag {
            flag: "-",
            message: "stdin can be read once only; name it once".into(),
        }
        .into());
    }
    let include = globs("--include", &filter.include)?;
    let exclude = globs("--exclude", &filter.exclude)?;
    let mut matched = vec![false; filter.include.len()];
    let mut wanted = |e: &Entry| {
        let hits = [e.stored_name(), &e.source()].map(|name| include.matches(name));
        hits.iter().flatten().for_each(|k| matched[*k] = true);
        let included = filter.include.is_empty() || hits.iter().any(|h| !h.is_empty());
        included && !exclude.is_match(e.stored_name()) && !exclude.is_match(e.source())
    };
    let mut opened = Opened {
        items: Vec::new(),
        notes: Vec::new(),
        collections: Vec::new(),
    };
    let mut lost = false;
    for text in sources {
        let listed = match formats::open(&Source::parse(text)).map_err(SourceError::from) {
            Ok(listed) => listed,
            Err(error) => {
                damaged(text, error)?;
                lost = true;
                continue;
            }
        };
        let collection = opened.collections.len();
        for (entry, e) in listed
            .entries()
            .iter()
            .enumerate()
            .filter(|(_, e)| wanted(e))
        {
            opened.items.push(Item {
                source: e.source(),
                name: e.stored_name().to_string(),
                label: label(e, sources.len(), listed.entries().len()),
                shape: e.shape().to_vec(),
                skip: match e.content() {
                    Content::Readable(_) => None,
                    Content::Skip(reason) => Some((skip_kind(reason), reason.to_string())),
                },
                collection,
                entry,
            });
        }
        opened.notes.extend_from_slice(listed.notes());
        opened.collections.push(listed);
    }
    let vain: Vec<String> = filter
        .include
        .iter()
        .zip(matched)
        .filter(|(_, matched)| !matched)
        .map(|(pattern, _)| in_vain(pattern, &opened.collections))
        .collect();
    let total: usize = opened.collections.iter().map(|c| c.entries().len()).sum();
    if opened.items.is_empty() && total > 0 && !lost {
        let why = match vain.is_empty() {
            true => "--exclude leaves none".to_string(),
            false => vain.join("; "),
        };
        return Err(Unusable(format!(
            "no tensor is left of {}: {why}",
            some(&opened.collections)
        ))
        .into());
    }
    opened.notes.extend(vain);
    Ok(opened)
}

/// A pattern that matches nothing, with what it may have been meant for.
fn in_vain(pattern: &str, collections: &[Collection]) -> String {
    let names = collections.iter().flat_map(|c| c.entries());
    let close = near(pattern, names.map(|e| e.stored_name().to_string()));
    let meant = match close.first() {
        Some(close) => format!(" (did you mean {close}?)"),
        None => String::new(),
    };
    format!("--include '{pattern}' matches no tensor{meant}")
}

/// How many tensors there are, and the names of the first.
fn some(collections: &[Collection]) -> String {
    const SHOWN: usize = 4;
    let all: Vec<&str> = collections
        .iter()
        .flat_map(|c| c.entries())
        .map(Entry::stored_name)
        .collect();
    let first = all[..all.len().min(SHOWN)].join(", ");
    match all.len() {
        1 => format!("1 ({first})"),
        n @ ..=SHOWN => format!("{n} ({first})"),
        n => format!("{n} ({first}, ...)"),
    }
}

/// Tensors of one file need not repeat its path.
fn label(e: &Entry, sources: usize, entries: usize) -> String {
    match (sources, entries) {
        (1, 2..) => e.name(),
        _ if e.source() == "-" => "stdin".into(),
        _ => e.source(),
    }
}

fn skip_kind(reason: &SkipReason) -> SkipKind {
    match reason {
        SkipReason::Empty { .. } => SkipKind::Empty,
        SkipReason::Scalar
        | SkipReason::OneDimensional
        | SkipReason::Integer { .. }
        | SkipReason::NotNumbers { .. }
        | SkipReason::NotAnArray
        | SkipReason::NotIndexed => SkipKind::NotAMatrix,
        SkipReason::UnknownDtype { .. }
        | SkipReason::Packed { .. }
        | SkipReason::PowersOfTwo { .. }
        | SkipReason::Quantised { .. }
        | SkipReason::NotDense { .. }
        | SkipReason::Repeated { .. }
        | SkipReason::External { .. }
        | SkipReason::RawBytes { .. }
        | SkipReason::Compression { .. }
        | SkipReason::Encrypted => SkipKind::Unsupported,
    }
}

fn globs(flag: &'static str, patterns: &[String]) -> Result<GlobSet, BadFlag> {
    let bad = |error: globset::Error| BadFlag {
        flag,
        message: error.to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(bad)?);
    }
    set.build().map_err(bad)
}

/// The files beside a missing one whose names are close to it, as a half-sentence.
pub(super) fn nearby(missing: &str) -> String {
    let (file, _) = missing.split_once("::").unwrap_or((missing, ""));
    let path = Path::new(file);
    let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
        return String::new();
    };
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    let Ok(listing) = std::fs::read_dir(parent.unwrap_or(Path::new("."))) else {
        return String::new();
    };
    let beside = listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names = near(name, beside);
    if names.is_empty() {
        String::new()
    } else {
        format!("; nearby: {}", names.join(", "))
    }
}
