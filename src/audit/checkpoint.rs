//! The audit of a checkpoint: a finite pass over every tensor, then a spectral one over the matrices.
//!
//! Matrices of fewer than 8 rows or columns are measured, not judged. [`audit`] looks at every number once (NaN,
//! infinities, zeros, subnormals: exact), tells each tensor's role, measures its matrices (estimates within a
//! budget), and certifies what a finding about conditioning rests on. An [`Observer`] watches and may end it; what
//! is finished by then is returned.

use super::branches::{Stack, stacks};
use super::chains::{Chain, chains};
use super::initial::{self, Scale};
use super::lines::{Lines, lines};
use super::roles::{Named, Role, roles};
use super::rules::{Finding, Policy};
use super::spectra::{self, Part, Piece, SpectralOptions, measure, pieces};
use super::{judge, twins};
use crate::formats::{Collection, Content, Entry, SkipReason, Tensor};
use crate::linalg::condition::Measured;
use crate::linalg::element::ElementType;
use crate::linalg::entries::{Entries, entries};
use crate::linalg::norms;
use crate::linalg::spectrum;
use crate::linalg::view::MatrixRef;
use crate::scale::Certainty;
use rayon::prelude::*;
use std::collections::HashMap;

/// A tensor to be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Where it lies.
    pub collection: &'a Collection,
    /// Its number among the entries of the collection.
    pub entry: usize,
    /// The short name that tells it from the others.
    pub label: &'a str,
}

impl Subject<'_> {
    /// Name in the file.
    pub(super) fn name(&self) -> &str {
        self.entry().stored_name()
    }

    pub(super) fn shape(&self) -> &[usize] {
        self.entry().shape()
    }

    pub(super) fn dtype(&self) -> &str {
        self.entry().dtype()
    }

    pub(super) fn content(&self) -> &Content {
        self.entry().content()
    }

    fn entry(&self) -> &Entry {
        &self.collection.entries()[self.entry]
    }

    /// The numbers, whatever the number of axes; `None` where they are not read.
    pub(super) fn load(&self) -> Option<Result<Tensor, String>> {
        let loaded = match self.entry().content() {
            Content::Readable(_) => self.collection.load(self.entry).map(Some),
            Content::Skip(_) => self.collection.load_vector(self.entry),
        };
        loaded.map_err(|e| e.to_string()).transpose()
    }
}

/// All tensors of a collection.
pub fn subjects<'a>(collection: &'a Collection, labels: &'a [String]) -> Vec<Subject<'a>> {
    labels
        .iter()
        .enumerate()
        .map(|(entry, label)| Subject {
            collection,
            entry,
            label,
        })
        .collect()
}

/// What to do.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// Look for NaN, infinities and their like only.
    pub finite_only: bool,
    /// What may be spent on each matrix.
    pub spectral: SpectralOptions,
    /// Thresholds and silenced rules.
    pub policy: Policy,
    /// `lora_alpha` of an adapter whose file does not hold it: updates are multiplied by it over their rank. Without it
    /// they are taken as stored.
    pub lora_alpha: Option<f64>,
}

impl Default for AuditOptions {
    fn default() -> AuditOptions {
        AuditOptions {
            finite_only: false,
            spectral: SpectralOptions {
                budget: 10.0,
                certify: false,
                seed: 0,
            },
            policy: Policy::default(),
            lora_alpha: None,
        }
    }
}

/// Which pass is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Every number is looked at once.
    Finite,
    /// Singular values.
    Spectral,
}

/// Watches an audit and may end it.
pub trait Observer: Sync {
    /// A pass begins; `work` is the sum of what [`advanced`](Observer::advanced) will report.
    fn begin(&self, pass: Pass, work: u64);
    /// A tensor is done.
    fn advanced(&self, label: &str, work: u64);
    /// Whether to stop after the tensors under way.
    fn stopped(&self) -> bool;
}

/// An observer that sees nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn begin(&self, _: Pass, _: u64) {}
    fn advanced(&self, _: &str, _: u64) {}
    fn stopped(&self) -> bool {
        false
    }
}

/// One tensor.
#[derive(Clone, Debug)]
pub struct Audited {
    /// The short name.
    pub label: String,
    /// A source that names it alone.
    pub source: String,
    /// Name in the file.
    pub name: String,
    /// Shape as stored.
    pub shape: Vec<usize>,
    /// Number format as the file spells it.
    pub dtype: String,
    /// Number of entries.
    pub parameters: u64,
    /// What it is for.
    pub role: Role,
    /// Counts over its entries; `None` where they were not read.
    pub entries: Option<Entries>,
    /// Frobenius norm of a finite tensor.
    pub frobenius: Option<Measured>,
    /// Its matrices.
    pub parts: Vec<Part>,
    /// What its rows told.
    pub lines: Option<Lines>,
    /// Its scale beside those of initializers.
    pub scale: Option<Scale>,
    /// Why nothing, or not everything, is known.
    pub skipped: Option<String>,
    /// Whether the reason is damage, and not a format that is not read.
    pub damaged: bool,
    /// Counts over the block scales of a quantized tensor whose codes are not read.
    pub scales: Option<Entries>,
    /// Format of the entries; `None` where they were not read.
    pub element: Option<ElementType>,
    /// Smallest entry of a buffer that is a vector.
    pub lowest: Option<f64>,
    /// Whether a shard holds it although the index does not say so.
    pub unindexed: bool,
}

impl Audited {
    fn new(subject: &Subject<'_>, role: Role) -> Audited {
        let e = subject.entry();
        Audited {
            label: subject.label.to_string(),
            source: e.source(),
            name: e.stored_name().to_string(),
            shape: e.shape().to_vec(),
            dtype: e.dtype().to_string(),
            parameters: e.shape().iter().map(|d| *d as u64).product(),
            role,
            entries: None,
            frobenius: None,
            parts: Vec::new(),
            lines: None,
            scale: None,
            skipped: None,
            damaged: false,
            scales: None,
            element: None,
            lowest: None,
            unindexed: matches!(e.content(), Content::Skip(SkipReason::NotIndexed)),
        }
    }

    /// Number format: by its common name where the numbers were read, else as the file spells it.
    pub fn format(&self) -> &str {
        match self.element {
            Some(element) => element.as_str(),
            None => &self.dtype,
        }
    }

    /// Whether every number was read and is finite.
    pub fn is_finite(&self) -> bool {
        self.entries.is_some_and(|e| e.nonfinite() == 0)
    }

    /// Index of the first entry that is not finite, by axes, with its value.
    pub fn first_nonfinite(&self) -> Option<(Vec<u64>, f64)> {
        let (flat, value) = self.entries?.first_nonfinite?;
        let mut rest = flat;
        let mut index = vec![0; self.shape.len()];
        for (i, d) in index.iter_mut().zip(&self.shape).rev() {
            let d = (*d as u64).max(1);
            *i = rest % d;
            rest /= d;
        }
        Some((index, value))
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// All tensors, in order; those after an interruption know nothing but their shape.
    pub tensors: Vec<Audited>,
    /// Dense layers that feed each other.
    pub chains: Vec<Chain>,
    /// Residual blocks of two dense layers.
    pub stacks: Vec<Stack>,
    /// Gravest first, then in order of the tensors.
    pub findings: Vec<Finding>,
    /// Whether the audit was ended before it was done.
    pub interrupted: bool,
    /// Bytes of numbers that were looked at.
    pub bytes: u64,
    /// Whether only the finite pass was asked for.
    pub finite_only: bool,
}

impl Audit {
    /// The gravest level found.
    pub fn level(&self) -> Option<super::rules::Level> {
        self.findings.iter().map(Finding::level).max()
    }
}

/// Audits tensors that are listed but not read. Memory is bounded by the largest of them: they are mapped or read one at a time, and
/// of a matrix a Gram matrix is kept.
///
/// # Examples
/// ```
/// use isometer::audit::{checkpoint::{AuditOptions, Unobserved, audit, subjects}, rules::Level};
/// use isometer::formats::open_bytes;
/// let file = open_bytes("w.txt", b"1 nan\n2 3\n".to_vec()).unwrap();
/// let labels = ["w".to_string()];
/// let options = AuditOptions { finite_only: true, ..Default::default() };
/// let found = audit(&subjects(&file, &labels), &options, &Unobserved);
/// assert_eq!((found.findings[0].rule, found.level()), ("nan", Some(Level::Error)));
/// assert_eq!(found.tensors[0].first_nonfinite().unwrap().0, [0, 1]);
/// ```
pub fn audit(subjects: &[Subject<'_>], options: &AuditOptions, observer: &impl Observer) -> Audit {
    let named: Vec<Named<'_>> = subjects
        .iter()
        .map(|s| Named {
            name: s.entry().stored_name(),
            shape: s.entry().shape(),
        })
        .collect();
    let mut out = Audit {
        tensors: subjects
            .iter()
            .zip(roles(&named))
            .map(|(s, role)| Audited::new(s, role))
            .collect(),
        finite_only: options.finite_only,
        ..Audit::default()
    };
    finite_pass(subjects, &mut out, observer);
    let twins = twins::twins(subjects, &out.tensors, &|| observer.stopped());
    if !options.finite_only {
        spectral_pass(subjects, &mut out, options, observer);
    }
    out.interrupted = observer.stopped();
    let kinds: Vec<Role> = out.tensors.iter().map(|t| t.role.clone()).collect();
    judge::confirm(&mut out.tensors, options, &|i, k, part| {
        let Some(Ok(tensor)) = subjects[i].load() else {
            return;
        };
        let Ok(flat) = tensor.matrix() else { return };
        if let Some(piece) = pieces(flat, subjects[i].entry().shape(), &kinds[i]).get(k) {
            spectra::certify(piece, part, &options.spectral);
        }
    });
    out.chains = chains(&out.tensors);
    out.stacks = stacks(&out.tensors);
    out.findings = judge::findings(&out.tensors, &out.chains, &twins, &options.policy);
    out
}

/// Looks at every number once, on all threads within a tensor, so that one tensor at a time is touched.
fn finite_pass(subjects: &[Subject<'_>], out: &mut Audit, observer: &impl Observer) {
    let bytes = |t: &Audited| t.parameters.saturating_mul(4).max(1);
    observer.begin(
        Pass::Finite,
        out.tensors.iter().map(bytes).fold(0, u64::saturating_add),
    );
    for (subject, t) in subjects.iter().zip(&mut out.tensors) {
        if observer.stopped() {
            return;
        }
        let work = bytes(t);
        match subject.load() {
            None => {
                if let Content::Skip(reason) = subject.entry().content() {
                    t.skipped = Some(reason.to_string());
                }
                // the scales of a quantized tensor are finite or nothing is
                match subject.collection.block_scales(subject.entry) {
                    Ok(None) => {}
                    Ok(Some(scales)) => {
                        if let Ok(matrix) = scales.matrix() {
                            t.scales = Some(entries(&matrix));
                        }
                        scales.release();
                    }
                    Err(why) => {
                        t.skipped = Some(why.to_string());
                        t.damaged = true;
                    }
                }
            }
            Some(Err(why)) => {
                t.skipped = Some(why);
                t.damaged = true;
            }
            Some(Ok(tensor)) => match tensor.matrix() {
                Err(e) => {
                    t.skipped = Some(e.to_string());
                    t.damaged = true;
                }
                Ok(matrix) => {
                    let found = entries(&matrix);
                    let lowest = matches!(t.role, Role::Buffer)
                        .then(|| lowest(&matrix))
                        .flatten();
                    t.lowest = lowest;
                    out.bytes +=
                        (matrix.rows() * matrix.cols() * matrix.element_type().size()) as u64;
                    t.element = Some(matrix.element_type());
                    t.entries = Some(found);
                    tensor.release();
                }
            },
        }
        observer.advanced(subject.label, work);
    }
}

/// Smallest entry of a vector.
fn lowest(a: &MatrixRef<'_>) -> Option<f64> {
    let mut line = vec![0.0; a.cols() * a.components()];
    (a.rows() == 1).then(|| {
        a.read_row(0, &mut line);
        line.iter().copied().fold(f64::INFINITY, f64::min)
    })
}

/// Largest order of a Gram matrix of which each thread may hold one.
const SMALL_ORDER: usize = 1024;

fn spectral_pass(
    subjects: &[Subject<'_>],
    out: &mut Audit,
    options: &AuditOptions,
    observer: &impl Observer,
) {
    let index: HashMap<String, usize> = out
        .tensors
        .iter()
        .enumerate()
        .map(|(k, t)| (t.name.clone(), k))
        .collect();
    let (small, large): (Vec<usize>, Vec<usize>) = (0..subjects.len())
        .filter(|k| out.tensors[*k].is_finite())
        .partition(|k| order(&out.tensors[*k]) <= SMALL_ORDER);
    let total = small
        .iter()
        .chain(&large)
        .map(|k| work(&out.tensors[*k]))
        .fold(0, u64::saturating_add);
    observer.begin(Pass::Spectral, total);
    let tensors = &out.tensors;
    let one = |k: usize| {
        if observer.stopped() {
            return None;
        }
        let t = &tensors[k];
        let partner = match &t.role {
            Role::LowRankFactor { up: true, partner } => index.get(partner).map(|p| &subjects[*p]),
            _ => None,
        };
        let alpha = low_rank_alpha(&t.name)
            .and_then(|name| index.get(&name))
            .map(|a| &subjects[*a]);
        let found = spectral(&subjects[k], t, partner, alpha, options);
        observer.advanced(&t.label, work(t));
        Some((k, found))
    };
    let mut found: Vec<(usize, Spectral)> = small.par_iter().filter_map(|k| one(*k)).collect();
    found.extend(large.iter().filter_map(|k| one(*k)));
    for (k, s) in found {
        let t = &mut out.tensors[k];
        t.frobenius = s.frobenius;
        t.parts = s.parts;
        t.lines = s.lines;
        t.scale = s.scale;
        t.skipped = t.skipped.take().or(s.skipped);
    }
}

/// Smaller side of the matrix of a tensor.
fn order(t: &Audited) -> usize {
    let rows = t.shape.first().copied().unwrap_or(1);
    let cols: usize = t.shape.iter().skip(1).product();
    rows.min(cols)
}

/// A measure of the time a tensor takes, for progress: operations of its spectrum and of reading it.
fn work(t: &Audited) -> u64 {
    let n = order(t).max(1);
    let reading = t.parameters.saturating_mul(20);
    let rows = (t.parameters as usize / n).max(1);
    reading.saturating_add(spectrum::work(rows, n).min(1e18) as u64)
}

#[derive(Default)]
struct Spectral {
    frobenius: Option<Measured>,
    parts: Vec<Part>,
    lines: Option<Lines>,
    scale: Option<Scale>,
    skipped: Option<String>,
}

/// Name of the scalar that kohya's files keep beside a pair of factors.
fn low_rank_alpha(name: &str) -> Option<String> {
    let stem = &name[..name.find(".lora_up")?];
    Some(format!("{stem}.alpha"))
}

fn spectral(
    subject: &Subject<'_>,
    t: &Audited,
    partner: Option<&Subject<'_>>,
    alpha: Option<&Subject<'_>>,
    options: &AuditOptions,
) -> Spectral {
    let Some(Ok(tensor)) = subject.load() else {
        return Spectral::default();
    };
    let out = spectral_of(&tensor, t, partner, alpha, options);
    tensor.release();
    out
}

fn spectral_of(
    tensor: &Tensor,
    t: &Audited,
    partner: Option<&Subject<'_>>,
    alpha: Option<&Subject<'_>>,
    options: &AuditOptions,
) -> Spectral {
    let mut out = Spectral::default();
    let Ok(flat) = tensor.matrix() else {
        return out;
    };
    let largest = t.entries.map_or(0.0, |e| e.largest);
    let is_matrix = t.shape.len() >= 2 && t.role != Role::Scalar && t.role != Role::Buffer;
    if !is_matrix || matches!(t.role, Role::LowRankFactor { .. }) {
        out.frobenius = frobenius(&flat);
    }
    if !is_matrix {
        return out;
    }
    if let Role::LowRankFactor { up, .. } = t.role {
        if up && let Some(partner) = partner {
            match product(&flat, partner, alpha, options) {
                Ok(part) => out.parts.push(part),
                Err(why) => out.skipped = Some(why),
            }
        }
        return out;
    }
    let found = pieces(flat, &t.shape, &t.role);
    // a list that grows would begin with room for four
    out.parts.reserve_exact(found.len());
    for piece in found {
        match measure(&piece, largest, &options.spectral) {
            Ok(part) => out.parts.push(part),
            Err(why) => out.skipped = Some(why),
        }
    }
    // the whole has no name; where it was not measured, a member says nothing about it
    out.frobenius = out
        .parts
        .iter()
        .find(|p| p.name.is_none())
        .map(|p| p.frobenius)
        .or_else(|| frobenius(&flat));
    if flat.components() == 1 && t.role.is_judged() {
        let whole = pieces(flat, &t.shape, &Role::Stack);
        let oriented = match t.role {
            Role::Convolution(_) => pieces(flat, &t.shape, &t.role),
            _ => whole,
        };
        if let Some(Piece { matrix, .. }) = oriented.first() {
            let by_rows = !t.role.units_are_columns();
            let found = lines(matrix, by_rows, largest);
            out.scale = initial::fans(&t.role, &t.shape).and_then(|f| initial::scale(&found, f));
            out.lines = Some(found);
        }
    }
    out
}

fn frobenius(a: &MatrixRef<'_>) -> Option<Measured> {
    let enclosure = norms::frobenius(a).ok()?;
    Some(Measured {
        enclosure,
        certainty: Certainty::Certified,
    })
}

/// The spectrum of a low-rank update with its scale.
fn product(
    up: &MatrixRef<'_>,
    partner: &Subject<'_>,
    alpha: Option<&Subject<'_>>,
    options: &AuditOptions,
) -> Result<Part, String> {
    let down = partner.load().ok_or("the other factor is not read")??;
    let down = down.matrix().map_err(|e| e.to_string())?;
    let rank = down.rows();
    let stored = match alpha.and_then(Subject::load) {
        Some(Ok(t)) => t.matrix().ok().map(|m| m.get(0, 0).0),
        _ => None,
    };
    let scale = stored
        .or(options.lora_alpha)
        .map_or(1.0, |a| (a / rank as f64).abs());
    let s = spectrum::of_factors(up, &down).map_err(|e| e.to_string())?;
    Ok(spectra::of_product(s, rank, scale))
}

#[cfg(test)]
mod tests;
