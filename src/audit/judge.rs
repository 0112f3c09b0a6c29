//! From measurements to findings.

use super::chains::Chain;
use super::checkpoint::{AuditOptions, Audited};
use super::roles::Role;
use super::rules::{Finding, Policy};
use super::spectra::Part;
use crate::linalg::element::ElementType;
use crate::scale::{Certainty, Enclosure};
use std::collections::BTreeMap;

/// Fewer peers than this make no baseline.
const PEERS: usize = 4;

/// Decades a condition number must lie above the median of its kind, where there is one, to be called an outlier.
const ABOVE_PEERS: f64 = 1.5;

/// Smaller matrices have condition numbers and ranks by chance.
const SMALLEST: usize = 8;

/// Sizes that no float16 holds.
const F16_MAX: f64 = 65504.0;

/// A part of a tensor of a judged role, with enough rows and columns.
fn judged(t: &Audited) -> impl Iterator<Item = &Part> {
    let role = t.role.is_judged();
    t.parts
        .iter()
        .filter(move |p| role && p.rows.min(p.cols) >= SMALLEST)
}

/// What is usual for each kind of tensor.
struct Peers {
    log_cond_excess: BTreeMap<&'static str, f64>,
    log_norm: BTreeMap<&'static str, f64>,
    share: BTreeMap<&'static str, f64>,
}

impl Peers {
    fn new(tensors: &[Audited]) -> Peers {
        let collect = |value: &dyn Fn(&Part) -> Option<f64>| {
            let mut by_role: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
            for t in tensors {
                let values = judged(t).filter_map(value).filter(|v| !v.is_nan());
                by_role.entry(t.role.as_str()).or_default().extend(values);
            }
            by_role
                .into_iter()
                .filter(|(_, v)| v.len() >= PEERS)
                .map(|(role, v)| (role, median(v)))
                .collect()
        };
        Peers {
            log_cond_excess: collect(&|p| p.baseline.log_cond_excess),
            log_norm: collect(&|p| Some(p.sigma_max.enclosure.log10().0).filter(|l| l.is_finite())),
            share: collect(&|p| Some(p.effective_rank? / p.rows.min(p.cols) as f64)),
        }
    }
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    let n = v.len();
    if n == 0 {
        return f64::NAN;
    }
    0.5 * (v[(n - 1) / 2] + v[n / 2])
}

/// Whether the condition number is far above a random matrix and its own kind.
fn is_ill(t: &Audited, part: &Part, peers: &Peers, policy: &Policy) -> bool {
    let usual = peers.log_cond_excess.get(t.role.as_str());
    part.baseline.log_cond_excess.is_some_and(|excess| {
        excess > policy.threshold("ill-conditioned")
            && usual.is_none_or(|u| excess > u + ABOVE_PEERS)
    })
}

/// Replaces by certified numbers what findings about condition numbers will rest on.
pub fn confirm(
    tensors: &mut [Audited],
    options: &AuditOptions,
    certify: &dyn Fn(usize, usize, &mut Part),
) {
    let peers = Peers::new(tensors);
    for (i, t) in tensors.iter_mut().enumerate() {
        let proved = |p: &Part| p.cond.is_some_and(|c| c.certainty == Certainty::Certified);
        let open: Vec<Option<&'static str>> = judged(t)
            .filter(|p| !proved(p) && is_ill(t, p, &peers, &options.policy))
            .map(|p| p.name)
            .collect();
        for name in open {
            if let Some(k) = t.parts.iter().position(|p| p.name == name) {
                certify(i, k, &mut t.parts[k]);
            }
        }
    }
}

/// All findings, gravest first and otherwise in the order of the tensors.
pub fn findings(
    tensors: &[Audited],
    chains: &[Chain],
    twins: &[(usize, usize)],
    policy: &Policy,
) -> Vec<Finding> {
    let peers = Peers::new(tensors);
    let mut out = Vec::new();
    // rounded up to what is shown: an upper bound stays one
    let shown = |log10: f64| (10.0 * log10).ceil() / 10.0;
    let steep = |c: &&Chain| c.log10_plain > policy.threshold("gradient-growth");
    for c in chains
        .iter()
        .filter(steep)
        .filter(|_| policy.wants("gradient-growth"))
    {
        out.push(Finding {
            rule: "gradient-growth",
            tensor: c.tensors[0].clone(),
            message: format!(
                "the {} layers from here to {} let gradients grow by up to 1e{:.1} as a plain chain, 1e{:.1} as residual branches",
                c.tensors.len(),
                c.tensors[c.tensors.len() - 1],
                shown(c.log10_plain),
                shown(c.log10_residual)
            ),
        });
    }
    let mut unread: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for t in tensors {
        let mut put = |rule: &'static str, message: String| {
            if policy.wants(rule) {
                out.push(Finding {
                    rule,
                    tensor: t.label.clone(),
                    message,
                });
            }
        };
        if t.unindexed {
            put(
                "shard-mismatch",
                "in a shard, but the index does not list it there".into(),
            );
        } else if t.damaged {
            put("unreadable", t.skipped.clone().unwrap_or_default());
        } else if let (None, Some(reason)) = (&t.entries, &t.skipped) {
            unread.entry(reason.clone()).or_default().push(&t.label);
        }
        of_entries(t, policy, &mut put);
        of_lines(t, policy, &mut put);
        of_spectra(t, &peers, policy, &mut put);
    }
    for (first, second) in twins {
        if policy.wants("duplicate-tensor") {
            out.push(Finding {
                rule: "duplicate-tensor",
                tensor: tensors[*second].label.clone(),
                message: format!("holds the same numbers as {}", tensors[*first].label),
            });
        }
    }
    for (reason, names) in unread {
        if policy.wants("not-read") {
            let more = match names.len() {
                1 => String::new(),
                n => format!(" and {} more", n - 1),
            };
            out.push(Finding {
                rule: "not-read",
                tensor: String::new(),
                message: format!("{}{more}: {reason}", names[0]),
            });
        }
    }
    out.sort_by_key(|f| std::cmp::Reverse(f.level()));
    out
}

fn of_entries(t: &Audited, policy: &Policy, put: &mut impl FnMut(&'static str, String)) {
    if let Some(s) = t.scales.filter(|s| s.nonfinite() > 0) {
        let rule = if s.nan > 0 { "nan" } else { "inf" };
        let block = s.first_nonfinite.map_or(0, |(k, _)| k);
        put(
            rule,
            format!(
                "{} of {} block scales are not finite, first scale {block}",
                s.nonfinite(),
                s.count
            ),
        );
    }
    let Some(e) = t.entries else { return };
    let place = || match t.first_nonfinite() {
        Some((index, _)) if index.is_empty() => String::new(),
        Some((index, _)) => format!(", first at {index:?}"),
        None => String::new(),
    };
    let share = |n: u64| format!("{n} of {}", e.count);
    if e.nan > 0 {
        put(
            "nan",
            format!("{} entries are NaN{}", share(e.nan), place()),
        );
    }
    if e.inf > 0 {
        put(
            "inf",
            format!("{} entries are infinite{}", share(e.inf), place()),
        );
    }
    let weights = t.role.is_judged()
        || matches!(
            t.role,
            Role::Depthwise(_) | Role::Embedding | Role::NormScale
        );
    if e.zero == e.count {
        if weights {
            put("zero-tensor", format!("all {} entries are zero", e.count));
        }
        return;
    }
    if t.role == Role::NormScale && e.zero > 0 {
        put(
            "closed-channels",
            format!("{} scales are zero", share(e.zero)),
        );
    }
    if e.constant && e.count > 1 && t.role.is_judged() {
        put(
            "constant-tensor",
            format!("all {} entries are {}", e.count, e.largest),
        );
    }
    let nonzero = (e.count - e.zero).max(1) as f64;
    let flood = e.subnormal as f64 / nonzero;
    if flood > policy.threshold("subnormal-flood") {
        put(
            "subnormal-flood",
            format!(
                "{} entries are subnormal in {}",
                share(e.subnormal),
                t.dtype
            ),
        );
    }
    let wide = t.element.is_some_and(|f| {
        !matches!(
            f,
            ElementType::F16 | ElementType::F8E4M3 | ElementType::F8E5M2
        )
    });
    if wide && e.largest > F16_MAX {
        put(
            "f16-overflow",
            format!(
                "the largest magnitude is {:.4e}, float16 ends at 65504",
                e.largest
            ),
        );
    }
    let variance = t.name.ends_with("running_var") || t.name.contains("moving_variance");
    if let Some(lowest) = t.lowest.filter(|x| variance && *x < 0.0) {
        put(
            "negative-variance",
            format!("the smallest running variance is {lowest:.4e}"),
        );
    }
}

fn some(list: &[usize]) -> String {
    let shown: Vec<String> = list.iter().take(3).map(ToString::to_string).collect();
    let more = if list.len() > 3 { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn of_lines(t: &Audited, policy: &Policy, put: &mut impl FnMut(&'static str, String)) {
    let Some(l) = &t.lines else { return };
    if t.entries.is_some_and(|e| e.constant) {
        return;
    }
    if !l.dead.is_empty() {
        put(
            "dead-units",
            format!(
                "{} with weights that are all zero: unit {}",
                counted(l.dead.len(), "unit"),
                some(&l.dead)
            ),
        );
    }
    if let Some((first, second)) = l.copies.first() {
        put(
            "duplicate-units",
            format!(
                "{} equal to an earlier one: unit {second} equals unit {first}",
                counted(l.copies.len(), "unit")
            ),
        );
    }
    // the format itself is no finer than 8 bits
    let narrow = t.element.is_some_and(|f| f.size() == 1);
    if !narrow && l.int8_error > policy.threshold("quantizes-badly") {
        put(
            "quantizes-badly",
            format!(
                "8-bit integers with one scale lose {:.1}% of the norm, with one scale a row {:.1}%",
                100.0 * l.int8_error,
                100.0 * l.int8_error_by_row
            ),
        );
    }
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn four(e: &Enclosure) -> String {
    e.to_linear()
        .map_or_else(|| format!("1e{:.0}", e.log10().0), |(x, _, _)| short(x))
}

/// Four digits, plain or scientific.
fn short(x: f64) -> String {
    if x != 0.0 && !(1e-3..1e5).contains(&x.abs()) {
        format!("{x:.3e}")
    } else {
        let digits = (3 - x.abs().max(1.0).log10().floor() as i32).max(0) as usize;
        format!("{x:.digits$}")
    }
}

fn of_spectra(
    t: &Audited,
    peers: &Peers,
    policy: &Policy,
    put: &mut impl FnMut(&'static str, String),
) {
    if t.entries.is_none_or(|e| e.constant) {
        return;
    }
    let role = t.role.as_str();
    for part in judged(t) {
        let named = part.name.map_or(String::new(), |n| format!("{n} part: "));
        let norm = part.sigma_max.enclosure.log10().0;
        let cond = part.cond.map(|c| c.enclosure);
        let proved = part
            .cond
            .is_some_and(|c| c.certainty == Certainty::Certified);
        if proved && part.sigma_min.is_some_and(|s| s.enclosure.is_zero()) {
            put(
                "singular",
                format!("{named}exactly singular, {} x {}", part.rows, part.cols),
            );
        } else if is_ill(t, part, peers, policy)
            && let (Some(cond), Some(excess)) = (cond, part.baseline.log_cond_excess)
        {
            let usual = peers.log_cond_excess.get(role).map_or(String::new(), |u| {
                format!(", its kind {:.0} times", 10f64.powf(*u))
            });
            put(
                "ill-conditioned",
                format!(
                    "{named}kappa {} ({}), {:.0} times a random {} x {} matrix{usual}",
                    four(&cond),
                    if proved { "certified" } else { "estimate" },
                    10f64.powf(excess),
                    part.rows,
                    part.cols
                ),
            );
        }
        if let Some(usual) = peers
            .log_norm
            .get(role)
            .filter(|u| (norm - **u).abs() > policy.threshold("norm-outlier"))
        {
            put(
                "norm-outlier",
                format!(
                    "{named}sigma_max {}, the median of its kind is {}",
                    four(&part.sigma_max.enclosure),
                    short(10f64.powf(*usual))
                ),
            );
        }
        let excess = part.baseline.log_excess;
        if excess > policy.threshold("spike") {
            put(
                "spike",
                format!(
                    "{named}sigma_max {} is {:.0} times the edge of a random matrix of its norm",
                    four(&part.sigma_max.enclosure),
                    10f64.powf(excess)
                ),
            );
        }
        if let (Some(rank), Some(usual)) = (part.effective_rank, peers.share.get(role)) {
            let share = rank / part.rows.min(part.cols) as f64;
            if share < policy.threshold("rank-collapse") * usual {
                put(
                    "rank-collapse",
                    format!(
                        "{named}effective rank {} of {}, {:.0}% where its kind uses {:.0}%",
                        short(rank),
                        part.rows.min(part.cols),
                        100.0 * share,
                        100.0 * usual
                    ),
                );
            }
        }
    }
}
