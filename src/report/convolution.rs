//! What the report of a condition number says about a convolution.

use super::document;
use super::number::{Rounding, decimal, limits_text, value_text};
use crate::bounds::convolution::{ConvolutionConditioning, NormBound};
use crate::linalg::condition::Measured;
use crate::linalg::convolution::{Convolution, Layout, Padding};
use crate::scale::Enclosure;
use serde_json::{Map, Value, json};

/// How a tensor was taken as a convolution, and what its kernel as a matrix would have said.
#[derive(Clone, Debug)]
pub struct Detail {
    axes: usize,
    input: [usize; 2],
    output: [usize; 2],
    taps: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    channels: [usize; 2],
    groups: usize,
    padding: Padding,
    layout: Layout,
    reshaped: Enclosure,
    bounds: Vec<NormBound>,
}

impl Detail {
    /// Describes a convolution that has been judged.
    pub fn new(c: &Convolution, found: &ConvolutionConditioning, layout: Layout) -> Detail {
        let (k, g) = (c.kernel(), c.geometry());
        Detail {
            axes: k.axes(),
            input: g.size,
            output: c.output(),
            taps: k.taps(),
            stride: g.stride,
            dilation: g.dilation,
            channels: [k.outputs(), k.inputs()],
            groups: k.groups(),
            padding: g.padding,
            layout,
            reshaped: found.reshaped,
            bounds: found.bounds.clone(),
        }
    }

    /// The axes that the kernel has.
    fn own(&self, pair: [usize; 2]) -> Vec<usize> {
        pair[2 - self.axes..].to_vec()
    }

    fn text(&self, pair: [usize; 2]) -> String {
        let sides: Vec<String> = self.own(pair).iter().map(usize::to_string).collect();
        sides.join("x")
    }

    /// The `convolution` member of a result.
    pub fn json(&self, norm: &Measured) -> Value {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| {
            map.insert(key.into(), value);
        };
        put("input", json!(self.own(self.input)));
        put("output", json!(self.own(self.output)));
        put("kernel", json!(self.own(self.taps)));
        put("stride", json!(self.own(self.stride)));
        put("dilation", json!(self.own(self.dilation)));
        put("output_channels", json!(self.channels[0]));
        put("input_channels", json!(self.channels[1]));
        put("groups", json!(self.groups));
        put("padding", padding_text(self.padding).into());
        put("layout", self.layout.as_str().into());
        let reshaped = Measured {
            enclosure: self.reshaped,
            certainty: crate::scale::Certainty::Certified,
        };
        put("reshaped_norm", document::measured(&reshaped));
        if !self.reshaped.is_zero() {
            let ratio = Measured {
                enclosure: norm.enclosure.ratio(&self.reshaped),
                certainty: norm.certainty,
            };
            put("norm_over_reshaped_norm", document::measured(&ratio));
        }
        if !self.bounds.is_empty() {
            put("bounds", self.bounds.iter().map(bound_json).collect());
        }
        Value::Object(map)
    }

    /// What a reader of the norm should know, in one line.
    pub fn remark(&self, norm: &Measured) -> String {
        let input = self.text(self.input);
        let place = match self.padding {
            Padding::Circular if self.axes == 1 => format!("on a circle of {input} points"),
            Padding::Circular => format!("on a {input} torus"),
            Padding::Same | Padding::Zeros(_) => format!("on {input} with zeros around"),
        };
        if self.reshaped.is_zero() {
            return format!("convolution {place}: every entry is zero");
        }
        let rest = self.channels[1] / self.groups * self.taps[0] * self.taps[1];
        let ratio = norm.enclosure.ratio(&self.reshaped);
        let mut text = format!(
            "convolution {place}: norm {}; the {}x{rest} matrix that torch's spectral_norm divides by has norm {}, and dividing by it leaves a convolution of norm {}",
            value_text(&norm.enclosure, 5),
            self.channels[0],
            value_text(&self.reshaped, 5),
            value_text(&ratio, 4),
        );
        if !self.bounds.is_empty() {
            let bounds: Vec<String> = self.bounds.iter().map(bound_text).collect();
            text += &format!("; {}", bounds.join(", "));
        }
        text
    }
}

fn padding_text(p: Padding) -> String {
    match p {
        Padding::Circular => "circular".into(),
        Padding::Same => "zeros".into(),
        Padding::Zeros(n) => format!("zeros:{n}"),
    }
}

fn bound_json(b: &NormBound) -> Value {
    let mut map = Map::new();
    map.insert("name".into(), b.name.into());
    map.insert(
        "kind".into(),
        if b.upper { "upper" } else { "lower" }.into(),
    );
    let (value, _, _) = b.value.log10();
    let linear = b.value.to_linear().map(|(value, ..)| value);
    map.insert("value".into(), document::optional(linear));
    map.insert("log10".into(), document::number(value));
    map.insert("certainty".into(), b.certainty.as_str().into());
    if let Some(p) = b.failure_probability {
        map.insert("failure_probability".into(), json!(p));
    }
    Value::Object(map)
}

fn bound_text(b: &NormBound) -> String {
    let (sign, rounding) = if b.upper {
        ("<=", Rounding::Up)
    } else {
        (">=", Rounding::Down)
    };
    let value = match b.value.to_linear() {
        Some((value, ..)) => decimal(value, 6, rounding),
        None => limits_text(&b.value),
    };
    match b.failure_probability {
        Some(p) => format!(
            "{sign} {value} by {} (fails with probability {p:e})",
            b.name
        ),
        None => format!("{sign} {value} by {}", b.name),
    }
}
