//! The rules of an audit: what each finds, what follows from it, and what to do.
//!
//! ```
//! use isometer::audit::rules::{Level, Policy, rule};
//!
//! let nan = rule("nan").unwrap();
//! assert!(nan.level == Level::Error && nan.threshold.is_none());
//! assert!(rule("no-such-rule").is_none());
//! let strict = Policy { thresholds: vec![("ill-conditioned", 10.0)], silenced: vec!["dead-units"] };
//! assert_eq!(strict.threshold("ill-conditioned"), 10.0);
//! assert!(!strict.wants("dead-units") && strict.wants("nan"));
//! ```

use std::fmt;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Out of line: look before you train on or ship.
    Warning,
    /// The checkpoint is broken.
    Error,
}

impl Level {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A rule, with the texts of `isometer explain`.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Permanent name.
    pub name: &'static str,
    /// How grave its findings are.
    pub level: Level,
    /// What it finds, in one line.
    pub finds: &'static str,
    /// Default threshold, and what it counts.
    pub threshold: Option<(f64, &'static str)>,
    /// What follows for someone who trains or runs the network.
    pub consequence: &'static str,
    /// A line of code or a command; `TENSOR` stands for the name.
    pub remedy: &'static str,
}

/// All rules, gravest first.
pub const RULES: [Rule; 21] = [
    Rule {
        name: "nan",
        level: Level::Error,
        finds: "a tensor holds NaN",
        threshold: None,
        consequence: "Every output that meets the tensor is NaN, and so is every gradient; training cannot recover, since an optimizer step adds NaN to the weights.",
        remedy: "go back to the last checkpoint without it; to see how far it spread: isometer audit FILE --finite-only",
    },
    Rule {
        name: "inf",
        level: Level::Error,
        finds: "a tensor holds an infinity",
        threshold: None,
        consequence: "The first product of the infinity with zero, or a difference of two, is NaN. An infinity usually comes from a cast of a number beyond the format (float16 ends at 65504) or an overflowed update.",
        remedy: "if the source was wider, cast again after: w.clamp_(-65504, 65504), or store TENSOR in bfloat16",
    },
    Rule {
        name: "unreadable",
        level: Level::Error,
        finds: "the bytes of a tensor cannot be read",
        threshold: None,
        consequence: "The file is cut short or damaged at this tensor; loaders fail or, worse, read something else.",
        remedy: "copy or download the file again and compare its size and checksum with the origin",
    },
    Rule {
        name: "shard-mismatch",
        level: Level::Error,
        finds: "a shard holds a tensor that the index assigns elsewhere or not at all",
        threshold: None,
        consequence: "Loaders follow the index and ignore the tensor: the shards are of two versions, or the index was edited.",
        remedy: "write the checkpoint again with save_pretrained, or fetch index and shards of one revision",
    },
    Rule {
        name: "negative-variance",
        level: Level::Error,
        finds: "a running variance is negative",
        threshold: None,
        consequence: "Batch normalization takes its root: the channel is NaN at inference, though training went well.",
        remedy: "recompute the statistics: model.train() over a few batches without gradients, after module.reset_running_stats()",
    },
    Rule {
        name: "zero-tensor",
        level: Level::Warning,
        finds: "all weights of a layer, or all scales of a normalization, are zero",
        threshold: None,
        consequence: "The layer passes nothing on and nothing back: in a plain chain every gradient before it is zero; on a residual branch the branch is off (some initializers want that at the start).",
        remedy: "if the model was trained, TENSOR was never loaded or saved: compare with state_dict keys; at the start: torch.nn.init.kaiming_normal_(w)",
    },
    Rule {
        name: "constant-tensor",
        level: Level::Warning,
        finds: "all weights of a layer are the same number",
        threshold: None,
        consequence: "All units of the layer compute the same and receive the same gradient, for ever: the layer has one unit.",
        remedy: "torch.nn.init.kaiming_normal_(w); see isometer symmetry FILE",
    },
    Rule {
        name: "singular",
        level: Level::Warning,
        finds: "a weight matrix is exactly singular",
        threshold: None,
        consequence: "Some direction of the input, or of the gradient, is lost whatever the precision.",
        remedy: "see the rank and the reason: isometer cond FILE::TENSOR; if unwanted, draw the dependent rows again",
    },
    Rule {
        name: "dead-units",
        level: Level::Warning,
        finds: "units have weights that are all zero",
        threshold: None,
        consequence: "The unit puts out its bias whatever the input; with ReLU and a bias of 0 it never learns. After pruning that is intended, and the rows can be cut out.",
        remedy: "cut them out (torch.nn.utils.prune.remove keeps zeros) or draw them again",
    },
    Rule {
        name: "duplicate-units",
        level: Level::Warning,
        finds: "units have equal weights",
        threshold: None,
        consequence: "Equal units with equal biases stay equal under every gradient step: capacity is lost.",
        remedy: "break the tie: w[j] += 0.01 * w.std() * torch.randn_like(w[j]); see isometer symmetry FILE",
    },
    Rule {
        name: "ill-conditioned",
        level: Level::Warning,
        finds: "a condition number is far above that of a random matrix of the shape and above those of its kind",
        threshold: Some((3.0, "decades above a random matrix of the shape")),
        consequence: "Gradients through the layer shrink by that factor in some directions relative to others; the layer is close to losing a direction, and rounding to fewer bits may lose it.",
        remedy: "isometer cond FILE::TENSOR --spectrum shows the directions; orthogonal initialization or weight decay keeps the ratio down",
    },
    Rule {
        name: "norm-outlier",
        level: Level::Warning,
        finds: "a spectral norm is far from those of its kind in the file",
        threshold: Some((1.0, "decades from the median of tensors of one role")),
        consequence: "The layer amplifies (or damps) signals and gradients more than its peers: a loose learning rate, a missing multiplier, or a merge that scaled one layer.",
        remedy: "isometer cond FILE::TENSOR; to scale: w.mul_(median_norm / torch.linalg.matrix_norm(w, 2))",
    },
    Rule {
        name: "spike",
        level: Level::Note,
        finds: "one direction is far stronger than in a random matrix of the same Frobenius norm",
        threshold: Some((1.0, "decades of sigma_max above the random edge")),
        consequence: "One direction carries most of what the layer does; training makes such directions, and so do biases merged into weights or a mean that is not zero.",
        remedy: "w.mean() and torch.svd_lowrank(w, 4) tell which; with a mean far from 0: w -= w.mean()",
    },
    Rule {
        name: "rank-collapse",
        level: Level::Warning,
        finds: "a layer uses a small part of its directions while its kind uses many",
        threshold: Some((
            0.1,
            "of the median share of directions used (effective rank over full rank)",
        )),
        consequence: "The layer could be replaced by a narrower one; in training it is a sign of a collapsed representation or of weight decay that won.",
        remedy: "isometer cond FILE::TENSOR --spectrum; lower weight decay for the layer, or factor it",
    },
    Rule {
        name: "subnormal-flood",
        level: Level::Warning,
        finds: "many numbers are subnormal in their format",
        threshold: Some((0.01, "share of the numbers that are not zero")),
        consequence: "They carry few digits, are slow on some machines, and become zero where subnormals are flushed: the tensor is too small for its format.",
        remedy: "store TENSOR in bfloat16 or float32, or keep a scale beside it: (w * 1024).half()",
    },
    Rule {
        name: "closed-channels",
        level: Level::Note,
        finds: "scales of a normalization layer are zero",
        threshold: None,
        consequence: "The channels put out their shift whatever the input.",
        remedy: "intended after pruning or zero-gamma initialization of residual branches; else reset: scale[idx] = 1",
    },
    Rule {
        name: "f16-overflow",
        level: Level::Note,
        finds: "numbers would be infinite in float16",
        threshold: None,
        consequence: "Casting with .half() makes them infinite, and the first product with zero NaN.",
        remedy: "use bfloat16, or rescale the layer and its successor",
    },
    Rule {
        name: "gradient-growth",
        level: Level::Note,
        finds: "the spectral norms of layers that feed each other multiply to much",
        threshold: Some((6.0, "decades of the product of sigma_max along the chain")),
        consequence: "A gradient can grow by that factor through the chain; it need not, since the bound is attained only where leading directions line up and every slope is 1.",
        remedy: "the tighter bound: isometer bound FILE; to damp: scale each layer by the inverse root of its sigma_max, or normalize",
    },
    Rule {
        name: "quantizes-badly",
        level: Level::Note,
        finds: "rounding to 8-bit integers with one scale loses much",
        threshold: Some((0.05, "relative Frobenius error")),
        consequence: "A few large entries set the scale and the others round to few steps: activations and gradients lose accuracy with per-tensor int8.",
        remedy: "use one scale for each output channel (per_channel_weight_observer in PyTorch), or keep TENSOR in 16 bits",
    },
    Rule {
        name: "duplicate-tensor",
        level: Level::Note,
        finds: "two tensors hold the same numbers",
        threshold: None,
        consequence: "Tied weights saved twice, or layers copied from one another: fine when meant, a mistake of a merge when not.",
        remedy: "tie them in the model, or save one of them",
    },
    Rule {
        name: "not-read",
        level: Level::Note,
        finds: "tensors in formats that are not judged",
        threshold: None,
        consequence: "Nothing is known of them: the audit covers the rest.",
        remedy: "isometer audit FILE --json lists each with its reason under skipped",
    },
];

/// The rule of that name.
///
/// # Examples
/// ```
/// use isometer::audit::rules::rule;
/// let r = rule("ill-conditioned").unwrap();
/// assert!(r.threshold.is_some() && !r.remedy.is_empty());
/// ```
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|r| r.name == name)
}

/// What the user changed about the rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Thresholds by name of the rule, instead of the default.
    pub thresholds: Vec<(&'static str, f64)>,
    /// Rules that are silent.
    pub silenced: Vec<&'static str>,
}

impl Policy {
    /// The threshold in force; infinite for rules without one.
    ///
    /// # Examples
    /// ```
    /// use isometer::audit::rules::{Policy, rule};
    /// let plain = Policy::default();
    /// assert_eq!(plain.threshold("ill-conditioned"), rule("ill-conditioned").unwrap().threshold.unwrap().0);
    /// assert_eq!(plain.threshold("nan"), f64::INFINITY);
    /// ```
    pub fn threshold(&self, name: &str) -> f64 {
        self.thresholds
            .iter()
            .rev()
            .find(|(rule, _)| *rule == name)
            .map(|(_, t)| *t)
            .or_else(|| rule(name)?.threshold.map(|(t, _)| t))
            .unwrap_or(f64::INFINITY)
    }

    /// Whether findings of the rule are wanted.
    pub fn wants(&self, name: &str) -> bool {
        !self.silenced.contains(&name)
    }
}

/// One thing found.
///
/// # Examples
/// ```
/// use isometer::audit::rules::{Finding, Level};
/// let f = Finding { rule: "inf", tensor: "fc.weight".into(), message: String::new() };
/// assert_eq!(f.level(), Level::Error);
/// assert!(!f.remedy().contains("TENSOR")); // the name is filled in
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static str,
    /// Name of the tensor; empty for the checkpoint as a whole.
    pub tensor: String,
    /// What was found, with numbers, in one sentence.
    pub message: String,
}

impl Finding {
    /// How grave it is.
    pub fn level(&self) -> Level {
        rule(self.rule).map_or(Level::Note, |r| r.level)
    }

    /// What to do, with the tensor's name filled in.
    pub fn remedy(&self) -> String {
        let text = rule(self.rule).map_or("", |r| r.remedy);
        text.replace("TENSOR", &self.tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_texts_complete() {
        for (k, r) in RULES.iter().enumerate() {
            assert!(
                RULES[k + 1..].iter().all(|s| s.name != r.name),
                "{}",
                r.name
            );
            assert!(!r.finds.is_empty() && r.consequence.ends_with('.') && !r.remedy.is_empty());
            assert!(
                r.name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit())
            );
        }
        assert!(RULES.is_sorted_by(|a, b| a.level >= b.level
            || a.level == Level::Note
            || b.level == Level::Warning));
    }

    #[test]
    fn the_last_threshold_given_wins() {
        let policy = Policy {
            thresholds: vec![("spike", 2.0), ("spike", 0.5)],
            silenced: vec!["nan"],
        };
        assert_eq!(policy.threshold("spike"), 0.5);
        assert_eq!(policy.threshold("norm-outlier"), 1.0);
        assert!(
            policy.threshold("nan").is_infinite() && !policy.wants("nan") && policy.wants("inf")
        );
    }
}
