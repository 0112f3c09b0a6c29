//! The document of an audit.

use super::Report;
use crate::audit::branches::{Block, Stack};
use crate::audit::checkpoint::Audited;
use crate::audit::spectra::Part;
use crate::report::document::{self, measured, number, optional};
use serde_json::{Map, Value, json};

impl Report {
    pub(super) fn json(&self) -> Map<String, Value> {
        let verdict = self.verdict();
        let sentence = self.sentence();
        let mut map = document::frame(Some("audit"), verdict.as_str(), &sentence);
        if verdict == super::Verdict::Unusable {
            map.insert("error".into(), document::error("unusable-input", &sentence));
        }
        let a = &self.audit;
        let mut put = |key: &str, value: Value| {
            map.insert(key.into(), value);
        };
        put("interrupted", a.interrupted.into());
        put("finite_only", a.finite_only.into());
        put("bytes", a.bytes.into());
        put(
            "parameters",
            a.tensors.iter().map(|t| t.parameters).sum::<u64>().into(),
        );
        put(
            "findings",
            a.findings
                .iter()
                .map(|f| {
                    json!({
                        "level": f.level().as_str(), "rule": f.rule, "tensor": f.tensor,
                        "message": f.message, "remedy": f.remedy(),
                    })
                })
                .collect(),
        );
        put("tensors", a.tensors.iter().map(tensor).collect());
        put(
            "skipped",
            a.tensors
                .iter()
                .filter_map(|t| {
                    let reason = t.skipped.as_ref()?;
                    Some(json!({"source": t.source, "reason": reason, "damaged": t.damaged}))
                })
                .collect(),
        );
        put(
            "chains",
            a.chains
                .iter()
                .map(|c| {
                    json!({
                        "tensors": c.tensors, "log10_norm_bound": number(c.log10_plain),
                        "log10_norm_bound_residual": number(c.log10_residual),
                        "certainty": c.certainty.as_str(),
                    })
                })
                .collect(),
        );
        put("residual_blocks", a.stacks.iter().map(stack).collect());
        put("notes", json!(self.notes));
        if let Some(s) = self.seconds {
            put("seconds", json!(s));
        }
        map
    }
}

fn stack(s: &Stack) -> Value {
    let block = |b: &Block| {
        json!({
            "input": b.input, "output": b.output,
            "log10_norm_bound": number(b.norm.log10().2),
        })
    };
    json!({
        "width": s.width, "log10_norm_bound": number(s.log10_growth),
        "certainty": s.certainty.as_str(),
        "blocks": s.blocks.iter().map(block).collect::<Vec<_>>(),
    })
}

fn tensor(t: &Audited) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| {
        map.insert(key.into(), value);
    };
    put("name", t.label.as_str().into());
    put("source", t.source.as_str().into());
    put("shape", json!(t.shape));
    put("dtype", t.format().into());
    put("parameters", t.parameters.into());
    put("role", t.role.as_str().into());
    if let Some(e) = &t.entries {
        put("nan", e.nan.into());
        put("inf", e.inf.into());
        put("zero", e.zero.into());
        put("subnormal", e.subnormal.into());
        put("max_abs", number(e.largest));
        put(
            "first_nonfinite",
            t.first_nonfinite()
                .map_or(Value::Null, |(index, _)| json!(index)),
        );
    }
    put(
        "frobenius",
        t.frobenius.as_ref().map_or(Value::Null, measured),
    );
    if let Some(whole) = t.parts.first() {
        spectral(whole, &mut put);
    }
    let members: Vec<Value> = t
        .parts
        .iter()
        .filter(|p| p.name.is_some())
        .map(|p| {
            let mut map = Map::new();
            map.insert("part".into(), p.name.into());
            map.insert("shape".into(), json!([p.rows, p.cols]));
            spectral(p, &mut |key: &str, value: Value| {
                map.insert(key.into(), value);
            });
            Value::Object(map)
        })
        .collect();
    if !members.is_empty() {
        put("parts", members.into());
    }
    if let Some(l) = &t.lines {
        put("mean", number(l.mean));
        put("std", number(l.std));
        put(
            "kurtosis",
            optional(Some(l.kurtosis).filter(|k| !k.is_nan())),
        );
        put("dead_units", l.dead.len().into());
        put("duplicate_units", l.copies.len().into());
        put("unused_inputs", l.unused.len().into());
        put("int8_error", number(l.int8_error));
        put("int8_error_by_row", number(l.int8_error_by_row));
    }
    if let Some(s) = &t.scale {
        put("alpha_kaiming", number(s.alpha_kaiming));
        put("alpha_xavier", number(s.alpha_xavier));
        put("initializers", json!(s.initializers));
    }
    if let Some(reason) = &t.skipped {
        put("skipped", reason.as_str().into());
    }
    Value::Object(map)
}

fn spectral(p: &Part, put: &mut impl FnMut(&str, Value)) {
    put("sigma_max", measured(&p.sigma_max));
    put(
        "sigma_min",
        p.sigma_min.as_ref().map_or(Value::Null, measured),
    );
    put("cond", p.cond.as_ref().map_or(Value::Null, measured));
    if let Some(c) = &p.cond {
        put("log10_cond", document::log10(&c.enclosure));
    }
    let weakest = p
        .cond
        .as_ref()
        .map_or(p.sigma_max.certainty, |c| c.certainty);
    put("certainty", weakest.as_str().into());
    put("method", p.method.as_str().into());
    put("stable_rank", number(p.stable_rank));
    put("effective_rank", optional(p.effective_rank));
    put("gap", optional(p.gap));
    put("log_excess", number(p.baseline.log_excess));
    put("log_cond_excess", optional(p.baseline.log_cond_excess));
    put("random_sigma_max", number(p.baseline.sigma_max));
    put("marchenko_pastur_distance", optional(p.baseline.distance));
    if let Some(why) = &p.degraded {
        put("degraded", why.as_str().into());
    }
}
