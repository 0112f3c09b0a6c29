//! What a tensor of a checkpoint is for, told from its name, its shape and its neighbours: by convention, not by
//! proof.
//!
//! ```
//! use isometer::audit::roles::{Named, Role, roles};
//!
//! // factors of a low-rank update are judged as their product
//! let of = |tensors: &[(&str, [usize; 2])]| {
//!     let named: Vec<Named<'_>> = tensors.iter().map(|(name, shape)| Named { name, shape }).collect();
//!     roles(&named)
//! };
//! let found = of(&[("q.lora_A.weight", [4, 64]), ("q.lora_B.weight", [64, 4])]);
//! assert!(found.iter().all(|r| r.as_str() == "low-rank-factor"));
//! let plain = of(&[("mlp.fc.weight", [64, 64])]);
//! assert!(matches!(plain[0], Role::Matrix(_)) && plain[0].is_judged());
//! ```

use std::collections::{HashMap, HashSet};

/// Which way the axes of a matrix are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// `[out, in]`: `torch.nn.Linear`.
    OutIn,
    /// `[in, out]`: Keras `Dense`, `Conv1D` of GPT-2.
    InOut,
}

/// How the axes of a kernel are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelLayout {
    /// `[out, in, taps...]`: PyTorch, ONNX.
    OutInTaps,
    /// `[taps..., in, out]`: Keras, Flax.
    TapsInOut,
}

/// The gates stacked in one weight of a recurrent layer, in PyTorch's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gates {
    /// Input, forget, cell, output.
    Lstm,
    /// Reset, update, new.
    Gru,
}

impl Gates {
    /// Names in stored order.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Gates::Lstm => &["input", "forget", "cell", "output"],
            Gates::Gru => &["reset", "update", "new"],
        }
    }
}

/// What a tensor is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Weights of a dense layer.
    Matrix(Orientation),
    /// A kernel; its matrix has one row for each output channel.
    Convolution(KernelLayout),
    /// A kernel with one input channel for each output channel: its matrix says nothing of the layer's norm.
    Depthwise(KernelLayout),
    /// Rows looked up one at a time, or the output layer of a vocabulary: large condition numbers are normal.
    Embedding,
    /// Stacked gates of a recurrent layer, judged one by one.
    Gates(Gates),
    /// Query, key and value stacked, judged one by one; heights (or, `InOut`, widths) of the three.
    FusedQkv(Orientation, [usize; 3]),
    /// A factor of a low-rank update; the other one is named, and the product is judged with the one that comes last.
    LowRankFactor {
        /// Whether this is the factor applied last (`lora_B`, `lora_up`).
        up: bool,
        /// Name of the other factor.
        partner: String,
    },
    /// Scales of a normalization layer.
    NormScale,
    /// A bias, or shifts of a normalization layer.
    Bias,
    /// Statistics, counters, masks, positions: state and not weights.
    Buffer,
    /// A vector of unknown purpose.
    Vector,
    /// One number.
    Scalar,
    /// More than two axes that are no kernel: stacked experts or heads, judged as one matrix.
    Stack,
}

impl Role {
    /// The word used in JSON and tables.
    pub fn as_str(&self) -> &'static str {
        match self {
            Role::Matrix(_) => "matrix",
            Role::Convolution(_) => "convolution",
            Role::Depthwise(_) => "depthwise",
            Role::Embedding => "embedding",
            Role::Gates(Gates::Lstm) => "lstm-gates",
            Role::Gates(Gates::Gru) => "gru-gates",
            Role::FusedQkv(..) => "fused-qkv",
            Role::LowRankFactor { .. } => "low-rank-factor",
            Role::NormScale => "norm-scale",
            Role::Bias => "bias",
            Role::Buffer => "buffer",
            Role::Vector => "vector",
            Role::Scalar => "scalar",
            Role::Stack => "stack",
        }
    }

    /// Whether the stored columns are the units of the layer, and not the rows.
    pub fn units_are_columns(&self) -> bool {
        matches!(
            self,
            Role::Matrix(Orientation::InOut) | Role::FusedQkv(Orientation::InOut, _)
        )
    }

    /// Whether its condition number says something about the layer, so that it is compared with others.
    ///
    /// # Examples
    /// ```
    /// use isometer::audit::roles::{Orientation, Role};
    /// assert!(Role::Matrix(Orientation::OutIn).is_judged());
    /// assert!(!Role::Embedding.is_judged()); // large condition numbers are normal there
    /// ```
    pub fn is_judged(&self) -> bool {
        matches!(
            self,
            Role::Matrix(_) | Role::Convolution(_) | Role::Gates(_) | Role::FusedQkv(..)
        )
    }
}

/// Name and shape of a tensor.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Name in the file.
    pub name: &'a str,
    /// Shape as stored.
    pub shape: &'a [usize],
}

/// The role of each tensor, in order.
///
/// # Examples
/// ```
/// use isometer::audit::roles::{Named, Orientation, Role, roles};
/// let of = |name, shape| roles(&[Named { name, shape }]).remove(0);
/// assert_eq!(of("encoder.fc1.weight", &[4, 3]), Role::Matrix(Orientation::OutIn));
/// assert_eq!(of("tok_embeddings.weight", &[32000, 512]), Role::Embedding);
/// ```
pub fn roles(tensors: &[Named<'_>]) -> Vec<Role> {
    let context = Context::new(tensors);
    tensors.iter().map(|t| context.role(t)).collect()
}

struct Context<'a> {
    shapes: HashMap<&'a str, &'a [usize]>,
    /// Some kernel is stored with its taps first.
    keras: bool,
    /// The first kernel of the file: a signal of one channel enters there.
    first_kernel: Option<&'a str>,
    /// Names of normalization layers: they have running statistics, or a scale and no matrix.
    normalizations: HashSet<&'a str>,
}

/// Separators of the parts of a name.
const SEPARATORS: [char; 4] = ['.', '/', '_', ':'];

/// Axes with at most this many entries may be the taps of a kernel.
const MOST_TAPS: usize = 16;

/// The same for the one axis of a filter over time; more are a stack of matrices.
const LONGEST: usize = 256;

impl<'a> Context<'a> {
    fn new(tensors: &[Named<'a>]) -> Context<'a> {
        let shapes: HashMap<&str, &[usize]> = tensors.iter().map(|t| (t.name, t.shape)).collect();
        let keras = tensors.iter().any(|t| {
            let last = last_part(t.name);
            (last == "kernel" || last == "kernel:0") && taps_first(t.shape)
        });
        let normalizations = tensors
            .iter()
            .filter_map(|t| {
                let stem = stem(t.name)?;
                let last = last_part(t.name);
                (last.starts_with("running_") || last.starts_with("moving_")).then_some(stem)
            })
            .collect();
        let first_kernel = tensors.iter().find(|t| t.shape.len() > 2).map(|t| t.name);
        Context {
            first_kernel,
            shapes,
            keras,
            normalizations,
        }
    }

    fn role(&self, t: &Named<'a>) -> Role {
        let lower = t.name.to_lowercase();
        let last = last_part(&lower).trim_end_matches(":0").to_string();
        if is_buffer(&lower, &last) {
            return Role::Buffer;
        }
        match t.shape {
            [] => Role::Scalar,
            [_] => self.vector(t, &lower, &last),
            [1, 1] => Role::Scalar,
            [rows, cols] => self.matrix(t, &lower, &last, *rows, *cols),
            shape => self.kernel(t, &lower, &last, shape),
        }
    }

    fn vector(&self, t: &Named<'a>, lower: &str, last: &str) -> Role {
        let is_b = |p: &str| matches!(p, "b" | "bias" | "beta");
        if last.contains("bias")
            || has_part(last, is_b)
            || matches!(last, "beta" | "b" | "shift")
            || last.starts_with("b_")
        {
            return Role::Bias;
        }
        let of_norm = stem(t.name).is_some_and(|s| self.normalizations.contains(s));
        let named = lower.contains("norm")
            || has_part(lower, |p| {
                matches!(p, "ln" | "bn" | "rms" | "gamma" | "layerscale")
                    || p.strip_prefix("ln")
                        .or(p.strip_prefix("bn"))
                        .is_some_and(|r| !r.is_empty() && r.bytes().all(|b| b.is_ascii_digit()))
            });
        let scale = matches!(last, "weight" | "gamma" | "scale" | "g" | "w");
        if (scale && (of_norm || named)) || last == "gamma" {
            Role::NormScale
        } else {
            Role::Vector
        }
    }

    fn matrix(&self, t: &Named<'a>, lower: &str, last: &str, rows: usize, cols: usize) -> Role {
        if let Some(role) = self.low_rank(t) {
            return role;
        }
        if let Some(gates) = self.gates(t, lower, rows, cols) {
            return Role::Gates(gates);
        }
        if is_embedding(lower, last, rows, cols) {
            return Role::Embedding;
        }
        let orientation = self.orientation(t, lower, last, rows, cols);
        match fused(lower, last, orientation, rows, cols) {
            Some(heights) => Role::FusedQkv(orientation, heights),
            None => Role::Matrix(orientation),
        }
    }

    fn orientation(
        &self,
        t: &Named<'a>,
        lower: &str,
        last: &str,
        rows: usize,
        cols: usize,
    ) -> Orientation {
        // GPT-2 stores [in, out], as do Keras and Flax
        let conv1d = has_part(lower, |p| matches!(p, "attn" | "mlp"))
            && ["c_attn", "c_fc", "c_proj"]
                .iter()
                .any(|n| lower.contains(n));
        let bias = t
            .name
            .strip_suffix(last)
            .map(|s| format!("{s}bias"))
            .and_then(|b| self.shapes.get(b.as_str()).copied());
        match bias {
            Some([n]) if *n == rows && rows != cols => Orientation::OutIn,
            Some([n]) if *n == cols && rows != cols => Orientation::InOut,
            _ if conv1d || last == "kernel" => Orientation::InOut,
            _ => Orientation::OutIn,
        }
    }

    /// `weight_ih`, `weight_hh` and their like: the hidden-to-hidden weight of `h` units has `g h` rows and `h` columns.
    fn gates(&self, t: &Named<'a>, lower: &str, rows: usize, cols: usize) -> Option<Gates> {
        const PAIRS: [(&str, &str); 3] = [
            ("w_ih", "w_hh"),
            ("weight_ih", "weight_hh"),
            ("kernel_ih", "kernel_hh"),
        ];
        let count = PAIRS.iter().find_map(|(input, hidden)| {
            let hidden_cols = if lower.contains(hidden) {
                cols
            } else if lower.contains(input) {
                let other = t.name.replace("_ih", "_hh");
                match self.shapes.get(other.as_str()) {
                    Some([_, c]) => *c,
                    _ => return None,
                }
            } else {
                return None;
            };
            (hidden_cols > 0 && rows.is_multiple_of(hidden_cols)).then(|| rows / hidden_cols)
        })?;
        match count {
            4 => Some(Gates::Lstm),
            3 => Some(Gates::Gru),
            _ => None,
        }
    }

    fn low_rank(&self, t: &Named<'a>) -> Option<Role> {
        const PAIRS: [(&str, &str); 4] = [
            ("lora_A", "lora_B"),
            ("lora_down", "lora_up"),
            ("lora.down", "lora.up"),
            ("lora_linear_layer.down", "lora_linear_layer.up"),
        ];
        PAIRS.iter().find_map(|(down, up)| {
            let (from, to, is_up) = if t.name.contains(up) {
                (up, down, true)
            } else if t.name.contains(down) {
                (down, up, false)
            } else {
                return None;
            };
            let partner = t.name.replacen(from, to, 1);
            let other = self.shapes.get(partner.as_str())?;
            let (inner, outer) = if is_up {
                (other, &t.shape)
            } else {
                (&t.shape, other)
            };
            // [rank, in] and [out, rank]
            (inner.len() == outer.len() && outer.get(1) == inner.first())
                .then_some(Role::LowRankFactor { up: is_up, partner })
        })
    }

    fn kernel(&self, t: &Named<'a>, lower: &str, last: &str, shape: &[usize]) -> Role {
        if let Some(role) = self
            .low_rank(t)
            .filter(|_| shape[2..].iter().all(|d| *d == 1))
        {
            return role;
        }
        let keras = taps_first(shape) && (last == "kernel" || self.keras && !taps_last(shape));
        let layout = if keras {
            KernelLayout::TapsInOut
        } else if taps_last(shape) {
            KernelLayout::OutInTaps
        } else {
            return Role::Stack;
        };
        let inputs = match layout {
            KernelLayout::OutInTaps => shape[1],
            KernelLayout::TapsInOut => shape[shape.len() - 2],
        };
        let taps: usize = match layout {
            KernelLayout::OutInTaps => shape[2..].iter().product(),
            KernelLayout::TapsInOut => shape[..shape.len() - 2].iter().product(),
        };
        let many = match layout {
            KernelLayout::OutInTaps => shape[0],
            KernelLayout::TapsInOut => shape[shape.len() - 1],
        };
        let depthwise = inputs == 1 && many > 1 && taps > 1;
        let named = ["depthwise", "dwconv", "dw_", ".dw.", "conv_dw"]
            .iter()
            .any(|n| lower.contains(n));
        if depthwise && (named || self.first_kernel != Some(t.name)) {
            Role::Depthwise(layout)
        } else {
            Role::Convolution(layout)
        }
    }
}

fn taps_last(shape: &[usize]) -> bool {
    (3..=5).contains(&shape.len())
        && shape[2..]
            .iter()
            .all(|d| *d <= if shape.len() == 3 { LONGEST } else { MOST_TAPS })
}

fn taps_first(shape: &[usize]) -> bool {
    (3..=5).contains(&shape.len()) && shape[..shape.len() - 2].iter().all(|d| *d <= MOST_TAPS)
}

/// The part after the last dot or slash.
fn last_part(name: &str) -> &str {
    name.rsplit(['.', '/']).next().unwrap_or(name)
}

/// Everything before the last dot or slash.
fn stem(name: &str) -> Option<&str> {
    name.rfind(['.', '/']).map(|at| &name[..at])
}

fn has_part(name: &str, test: impl Fn(&str) -> bool) -> bool {
    name.split(SEPARATORS).any(test)
}

fn is_buffer(lower: &str, last: &str) -> bool {
    last.starts_with("running_")
        || last.starts_with("moving_")
        || matches!(
            last,
            "num_batches_tracked"
                | "inv_freq"
                | "position_ids"
                | "masked_bias"
                | "attn_mask"
                | "freqs_cis"
                | "relative_position_index"
        )
        || lower.contains("rotary_emb.")
}

fn is_embedding(lower: &str, last: &str, rows: usize, cols: usize) -> bool {
    // far more rows than any layer has units: a vocabulary
    const VOCABULARY: usize = 8192;
    let named = [
        "embed",
        "wte",
        "wpe",
        "lm_head",
        "relative_attention_bias",
        "pos_emb",
        "cls_token",
        "codebook",
        "lookup",
    ]
    .iter()
    .any(|n| lower.contains(n))
        || has_part(lower, |p| p == "emb")
        || matches!(last, "token_embd" | "output" if rows >= VOCABULARY);
    // an `embed_dense` or `patch_embed.proj` multiplies: only tables of rows are looked up
    let multiplies = lower.contains("proj") || lower.contains("dense") || lower.contains("linear");
    (named && !multiplies) || (rows >= VOCABULARY && rows >= 8 * cols)
}

/// Heights of query, key and value; grouped queries have smaller keys and values of equal size.
fn fused(
    lower: &str,
    last: &str,
    orientation: Orientation,
    rows: usize,
    cols: usize,
) -> Option<[usize; 3]> {
    let (out, inputs) = match orientation {
        Orientation::OutIn => (rows, cols),
        Orientation::InOut => (cols, rows),
    };
    let named = [
        "in_proj_weight",
        "c_attn",
        "qkv_proj",
        "wqkv",
        "w_pack",
        "to_qkv",
    ]
    .iter()
    .any(|n| lower.contains(n))
        || has_part(lower, |p| p == "qkv");
    // heads interleave query, key and value there: a split by thirds would mix them
    let interleaved = lower.contains("query_key_value");
    if !named || interleaved || last.contains("bias") {
        return None;
    }
    if out == 3 * inputs {
        return Some([inputs; 3]);
    }
    let rest = out.checked_sub(inputs)?;
    (rest > 0 && rest < 2 * inputs && rest.is_multiple_of(2)).then_some([
        inputs,
        rest / 2,
        rest / 2,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles_of(list: &[(&str, &[usize])]) -> Vec<&'static str> {
        let named: Vec<Named<'_>> = list
            .iter()
            .map(|(name, shape)| Named { name, shape })
            .collect();
        roles(&named).iter().map(Role::as_str).collect()
    }

    #[test]
    fn names_of_the_frameworks_are_understood() {
        let cases: &[(&str, &[usize], &str)] = &[
            ("fc1.weight", &[64, 32], "matrix"),
            ("fc1.bias", &[64], "bias"),
            ("bn1.weight", &[64], "norm-scale"),
            ("bn1.running_var", &[64], "buffer"),
            ("bn1.num_batches_tracked", &[], "buffer"),
            ("model.layers.0.input_layernorm.weight", &[64], "norm-scale"),
            ("h.0.ln_1.weight", &[64], "norm-scale"),
            ("h.0.attn.c_attn.weight", &[64, 192], "fused-qkv"),
            ("h.0.mlp.c_fc.weight", &[64, 256], "matrix"),
            ("wte.weight", &[50257, 64], "embedding"),
            ("lm_head.weight", &[50257, 64], "embedding"),
            ("attn.in_proj_weight", &[192, 64], "fused-qkv"),
            ("blocks.0.attn.qkv.weight", &[192, 64], "fused-qkv"),
            ("self_attn.qkv_proj.weight", &[96, 64], "fused-qkv"),
            ("attention.query_key_value.weight", &[192, 64], "matrix"),
            ("patch_embed.proj.weight", &[64, 3, 16, 16], "convolution"),
            ("conv1.weight", &[64, 3, 7, 7], "convolution"),
            ("features.1.conv_dw.weight", &[64, 1, 3, 3], "depthwise"),
            ("features.2.weight", &[64, 1, 3, 3], "depthwise"),
            ("enc_b_ih", &[768], "bias"),
            ("experts.w1", &[8, 512, 512], "stack"),
            ("rnn.weight_ih_l0", &[256, 10], "lstm-gates"),
            ("rnn.weight_hh_l0", &[256, 64], "lstm-gates"),
            ("enc_w_ih", &[768, 300], "gru-gates"),
            ("enc_w_hh", &[768, 256], "gru-gates"),
            ("rnn2.weight_hh_l0", &[64, 64], "matrix"),
            ("temperature", &[1], "vector"),
        ];
        let list: Vec<(&str, &[usize])> = cases.iter().map(|c| (c.0, c.1)).collect();
        let found = roles_of(&list);
        let wrong: Vec<_> = cases
            .iter()
            .zip(&found)
            .filter(|(c, f)| c.2 != **f)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn low_rank_factors_find_each_other() {
        let peft = [
            ("base.q_proj.lora_A.weight", &[8usize, 64][..]),
            ("base.q_proj.lora_B.weight", &[32, 8]),
            ("kohya.lora_down.weight", &[4, 64, 1, 1]),
            ("kohya.lora_up.weight", &[64, 4, 1, 1]),
            ("lonely.lora_A.weight", &[8, 64]),
        ];
        assert_eq!(
            roles_of(&peft),
            [
                "low-rank-factor",
                "low-rank-factor",
                "low-rank-factor",
                "low-rank-factor",
                "matrix"
            ]
        );
    }

    #[test]
    fn kernels_with_taps_first_are_recognised_in_company() {
        let keras = [
            ("conv2d/kernel:0", &[3usize, 3, 16, 32][..]),
            ("dense/kernel:0", &[100, 10]),
            ("dense/bias:0", &[10]),
            ("bn/gamma:0", &[32]),
            ("bn/moving_mean:0", &[32]),
        ];
        let named: Vec<Named<'_>> = keras
            .iter()
            .map(|(name, shape)| Named { name, shape })
            .collect();
        let found = roles(&named);
        assert_eq!(found[0], Role::Convolution(KernelLayout::TapsInOut));
        assert_eq!(found[1], Role::Matrix(Orientation::InOut));
        assert_eq!(
            found[2..].iter().map(Role::as_str).collect::<Vec<_>>(),
            ["bias", "norm-scale", "buffer"]
        );
    }

    #[test]
    fn a_square_dense_layer_is_not_an_embedding_and_a_vocabulary_is() {
        assert_eq!(
            roles_of(&[
                ("a", &[4096, 4096]),
                ("b", &[128_000, 4096]),
                ("embeddings.LayerNorm.weight", &[64])
            ]),
            ["matrix", "embedding", "norm-scale"]
        );
    }
}
