//! Small networks of every kind with weights from an integer formula, as in
//! `tests/data/reference_mlp/golden.py`.

use isometer::network::activation::Activation;
use isometer::network::{BatchSize, Normalization};
use isometer::reference::{Architecture, Dense, Mlp, Scaled};

/// Examples in batches; other networks see one.
const EXAMPLES: usize = 6;
pub const READOUT: usize = 2;

/// A number in [-1, 1), exact in double precision.
pub fn value(tensor: u64, index: usize) -> f64 {
    let mask = 0xffff_ffff;
    let mut x = (tensor * 1_000_003 + index as u64 + 1).wrapping_mul(2_654_435_761) & mask;
    x ^= x >> 16;
    x = (x * 2_246_822_519) & mask;
    x ^= x >> 13;
    x = (x * 3_266_489_917) & mask;
    x ^= x >> 16;
    x as f64 / 2f64.powi(31) - 1.0
}

pub fn values(tensor: u64, count: usize, scale: f64) -> Vec<f64> {
    (0..count).map(|k| scale * value(tensor, k)).collect()
}

/// `examples` vectors of length `n`.
pub fn rows(tensor: u64, examples: usize, n: usize) -> Vec<Scaled> {
    let all = values(tensor, examples * n, 1.0);
    all.chunks(n).map(Scaled::from).collect()
}

/// Everything that differs from the plain network.
#[derive(Clone, Copy, Debug)]
pub struct Structure {
    pub name: &'static str,
    pub bias: bool,
    pub multiplier: f64,
    pub dropout: bool,
    pub tied: bool,
    pub beta: Option<f64>,
    pub normalization: Normalization,
    pub after: bool,
}

const PLAIN: Structure = Structure {
    name: "plain",
    bias: false,
    multiplier: 1.0,
    dropout: false,
    tied: false,
    beta: None,
    normalization: Normalization::None,
    after: false,
};
const BATCH: Normalization = Normalization::Batch {
    size: BatchSize::Finite(EXAMPLES),
};

macro_rules! structure {
    ($name:literal $(, $field:ident: $value:expr)*) => {
        Structure { name: $name $(, $field: $value)*, ..PLAIN }
    };
}

pub const STRUCTURES: [Structure; 16] = [
    PLAIN,
    structure!("bias", bias: true),
    structure!("multiplier", bias: true, multiplier: -1.5),
    structure!("dropout", bias: true, dropout: true),
    structure!("tied", bias: true, tied: true),
    structure!("residual", bias: true, beta: Some(0.7)),
    structure!("residual_dropout", beta: Some(-0.4), dropout: true, multiplier: 2.5),
    structure!("layer", bias: true, normalization: Normalization::Layer),
    structure!("layer_after", normalization: Normalization::Layer, after: true, multiplier: 0.3),
    structure!("rms", bias: true, normalization: Normalization::Rms, dropout: true),
    structure!("rms_after", normalization: Normalization::Rms, after: true, bias: true),
    structure!("batch", bias: true, normalization: BATCH),
    structure!("batch_after", normalization: BATCH, after: true, bias: true, dropout: true),
    structure!("residual_layer", normalization: Normalization::Layer, beta: Some(0.6), bias: true),
    structure!("residual_rms_after", normalization: Normalization::Rms, after: true, beta: Some(1.1), dropout: true),
    structure!("residual_batch", normalization: BATCH, beta: Some(0.5)),
];

pub fn structure(name: &str) -> Structure {
    let found = STRUCTURES.into_iter().find(|s| s.name == name);
    found.unwrap_or_else(|| panic!("no structure {name}"))
}

/// A network with inputs and cotangents, and everything needed to compute it by other means.
pub struct Case {
    pub structure: Structure,
    pub activation: Activation,
    pub depth: usize,
    pub widths: Vec<usize>,
    /// Stored weights and biases of each layer, the readout last; tied ones are repeated.
    pub stored: Vec<(Vec<f64>, Vec<f64>)>,
    /// Dropout factors: layers, then examples.
    pub masks: Vec<Vec<Vec<f64>>>,
    pub inputs: Vec<Scaled>,
    pub cotangents: Vec<Scaled>,
    pub mlp: Mlp,
}

impl Case {
    pub fn new(activation: &Activation, structure: Structure) -> Case {
        let square = structure.tied || structure.beta.is_some();
        let mut widths = if square { vec![5; 4] } else { vec![4, 6, 5, 5] };
        let depth = widths.len() - 1;
        widths.push(READOUT);
        let examples = if structure.normalization == BATCH {
            EXAMPLES
        } else {
            1
        };
        let draw = |l: usize| {
            let own = if structure.tied && l <= depth {
                1
            } else {
                l as u64
            };
            let (n, m) = (widths[l - 1], widths[l]);
            let weights = values(own, n * m, 1.4 * (3.0 / n as f64).sqrt());
            (weights, values(100 + own, m, 0.3))
        };
        let stored: Vec<_> = (1..=depth + 1).map(draw).collect();
        let dense = |l: usize| {
            let (weights, bias) = &stored[l - 1];
            let effective = weights.iter().map(|w| structure.multiplier * w).collect();
            let dense = Dense::new(widths[l], widths[l - 1], effective);
            let dense = dense.with_multiplier(structure.multiplier);
            if structure.bias {
                dense.with_bias(bias.clone())
            } else {
                dense
            }
        };
        let architecture = Architecture {
            activation: activation.clone(),
            normalization: structure.normalization,
            normalization_after: structure.after,
            beta: structure.beta,
        };
        let mlp = if structure.tied {
            Mlp::recurrent(dense(1), depth, dense(depth + 1), architecture)
        } else {
            Mlp::from_layers((1..=depth + 1).map(dense).collect(), architecture)
        };
        let factor = |x: f64| if x > -0.4 { 2.0 } else { 0.0 };
        let factors = |l: usize| -> Vec<f64> {
            let all = values(200 + l as u64, examples * widths[l], 1.0);
            all.into_iter().map(factor).collect()
        };
        let flat: Vec<Vec<f64>> = (1..=depth).map(factors).collect();
        let mut mlp = mlp.unwrap();
        let mut masks = vec![vec![vec![1.0; 6]; examples]; depth];
        if structure.dropout {
            mlp = mlp.with_dropout(flat.clone()).unwrap();
            let split =
                |(l, f): (usize, &Vec<f64>)| f.chunks(widths[l + 1]).map(<[f64]>::to_vec).collect();
            masks = flat.iter().enumerate().map(split).collect();
        }
        Case {
            structure,
            activation: activation.clone(),
            depth,
            stored,
            masks,
            inputs: rows(300, examples, widths[0]),
            cotangents: rows(400, examples, READOUT),
            widths,
            mlp,
        }
    }

    /// Every activation with every structure.
    pub fn all() -> impl Iterator<Item = Case> {
        Activation::all()
            .into_iter()
            .flat_map(|phi| STRUCTURES.map(|s| Case::new(&phi, s)))
    }

    pub fn label(&self) -> String {
        format!("{} {}", self.activation, self.structure.name)
    }
}
