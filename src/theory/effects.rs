//! What a multiplier alpha does to a given network and to its training: powers of alpha where there are
//! powers, and why not where there are none. Start with [`effects`]; each consequence says what its power is worth.
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//! use isometer::theory::effects::effects;
//!
//! // bias-free ReLU is homogeneous: 3 layers and a readout make alpha^4 of the output
//! let rows = effects(&Model::new(vec![8; 4], Activation::Relu), 10.0);
//! let output = rows.iter().find(|e| e.what.contains("output")).unwrap();
//! assert_eq!(output.exponent, Some(4));
//! assert!((output.log10_factor.unwrap() - 4.0).abs() < 1e-12);
//! ```

use crate::network::{AlphaAt, BiasLaw, Model, Normalization};
use crate::scale::Certainty;
use crate::theory::multiplier::{Optimizer, Placement, SCALE_INVARIANT, scaling};

/// One consequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// What changes.
    pub what: String,
    /// Under which update rule, where it matters.
    pub optimizer: Option<&'static str>,
    /// As this power of alpha; none where no power law holds.
    pub exponent: Option<i64>,
    /// `log10` of the factor at the alpha asked for.
    pub log10_factor: Option<f64>,
    /// In words.
    pub statement: String,
    /// What the power is worth.
    pub certainty: Certainty,
}

/// Powers of alpha in what the network computes; `None` where there is no such power.
#[derive(Clone, Debug)]
struct Powers {
    output: Option<i64>,
    input_gradient: Option<i64>,
    /// Name of the layers, power in effective and in stored gradients.
    gradients: Vec<(String, Option<i64>, Option<i64>)>,
    /// Why powers are missing, or what makes them hold.
    reason: String,
}

impl Powers {
    /// Power in the stored gradients of a layer that alpha multiplies.
    fn stored(&self) -> Option<i64> {
        self.gradients.first().and_then(|g| g.2)
    }
}

fn biased(model: &Model) -> bool {
    (1..=model.depth().min(2)).any(|l| model.layer(l).bias != BiasLaw::Zero)
}

fn powers(model: &Model) -> Powers {
    let layers = model.depth() + 1;
    let names = |own: usize| match model.alpha.at {
        AlphaAt::Layer(k) => vec![(format!("layer {k}"), k), ("any other layer".into(), own)],
        _ => vec![("every layer".to_string(), 1)],
    };
    let other = |k: usize| if k == 1 { 2 } else { 1 };
    let own = match model.alpha.at {
        AlphaAt::Layer(k) => other(k),
        _ => 1,
    };
    let none = |reason: String| Powers {
        output: None,
        input_gradient: None,
        gradients: names(own)
            .into_iter()
            .map(|(name, _)| (name, None, None))
            .collect(),
        reason,
    };
    let homogeneous = model.activation.slopes().is_some();
    if model.normalization != Normalization::None {
        let batch = matches!(model.normalization, Normalization::Batch { .. });
        if model.normalization_after && !homogeneous {
            return none(format!(
                "{} in front of the normalization is not homogeneous",
                model.activation
            ));
        }
        if biased(model) && (!batch || model.normalization_after) {
            return none("biases enter before the normalization and are not multiplied".into());
        }
        return invariant(model);
    }
    if model.residual.is_some() {
        return none("the skip connection is not multiplied, the branch is".into());
    }
    if !homogeneous {
        return none(format!("{} is not homogeneous", model.activation));
    }
    let placement = match model.alpha.at {
        AlphaAt::Weights => Placement::Weights,
        AlphaAt::Multiplier => Placement::Multiplier,
        AlphaAt::Layer(k) => Placement::Layer(k),
    };
    let whole = scaling(placement, layers, 1);
    if biased(model) {
        return Powers {
            input_gradient: Some(whole.input_gradient),
            reason: "biases are not multiplied; they leave the law of the input gradient alone, \
                     not the output"
                .into(),
            ..none(String::new())
        };
    }
    Powers {
        output: Some(whole.output),
        input_gradient: Some(whole.input_gradient),
        gradients: names(own)
            .into_iter()
            .map(|(name, layer)| {
                let s = scaling(placement, layers, layer);
                (name, Some(s.effective_gradient), Some(s.stored_gradient))
            })
            .collect(),
        reason: "no biases, and the activation is homogeneous".into(),
    }
}

/// Normalized hidden layers and a plain readout.
fn invariant(model: &Model) -> Powers {
    let readout = model.depth() + 1;
    let (function, gradient, _) = SCALE_INVARIANT;
    let (function, gradient) = (i64::from(function), i64::from(gradient));
    // what reaches the output goes through the readout alone
    let (through, gradients) = match model.alpha.at {
        AlphaAt::Weights | AlphaAt::Multiplier => {
            let outside = i64::from(model.alpha.at == AlphaAt::Multiplier);
            let layers = vec![(
                "every hidden layer".to_string(),
                Some(1 + gradient),
                Some(1 + gradient + outside),
            )];
            (1, layers)
        }
        AlphaAt::Layer(k) => {
            let own = if k == readout { 0 } else { gradient };
            let rest = i64::from(k == readout);
            let layers = vec![
                (format!("layer {k}"), Some(own), Some(own)),
                ("any other layer".into(), Some(rest), Some(rest)),
            ];
            (rest, layers)
        }
    };
    Powers {
        output: Some(function + through),
        input_gradient: Some(function + through),
        gradients,
        reason:
            "the normalization cancels alpha in every hidden layer; the readout is not normalized"
                .into(),
    }
}

/// Name of the row on number formats, which is given in bits as well.
const LOSS_SCALE: &str = "loss scale that alpha amounts to";

struct Rows {
    ln_alpha: f64,
    rows: Vec<Effect>,
}

impl Rows {
    fn push(
        &mut self,
        what: &str,
        optimizer: Option<Optimizer>,
        exponent: Option<i64>,
        statement: impl Into<String>,
    ) {
        let mut statement = statement.into();
        if let (LOSS_SCALE, Some(e)) = (what, exponent) {
            let bits = e as f64 * self.ln_alpha * std::f64::consts::LOG2_E + 0.0;
            statement.push_str(&format!(": {bits:+.1} bits"));
        }
        self.rows.push(Effect {
            what: what.into(),
            optimizer: optimizer.map(Optimizer::name),
            exponent,
            log10_factor: exponent
                .map(|e| e as f64 * self.ln_alpha * std::f64::consts::LOG10_E + 0.0),
            statement,
            certainty: Certainty::Exact,
        });
    }
}

/// Everything that multiplying by alpha does to this network and its training, with factors at `alpha`.
///
/// Powers compare networks with and without alpha at the same drawn numbers. With a multiplier outside the weights, the rows
/// on training say which hyperparameters on `W = alpha w` the run on `w` has; that holds for every
/// network (theorem: multiplier-equivalence). Where alpha is multiplied into stored weights once, hyperparameters keep their
/// meaning, and the rows compare steps, decay and thresholds with weights and gradients of another size.
///
/// # Examples
/// ```
/// use isometer::network::{Model, activation::Activation};
/// use isometer::theory::effects::effects;
/// // tanh is not homogeneous, so its output has no power of alpha
/// let rows = effects(&Model::new(vec![8; 4], Activation::Tanh), 2.0);
/// let output = rows.iter().find(|e| e.what.contains("output")).unwrap();
/// assert!(output.exponent.is_none() && !output.statement.is_empty());
/// ```
pub fn effects(model: &Model, alpha: f64) -> Vec<Effect> {
    let powers = powers(model);
    let mut rows = Rows {
        ln_alpha: alpha.abs().ln(),
        rows: Vec::new(),
    };
    let say = |power: Option<i64>, text: &str| match power {
        Some(_) => format!("{text}: {}", powers.reason),
        None => format!("no power law: {}; see the computed growth", powers.reason),
    };
    rows.push(
        "output",
        None,
        powers.output,
        say(powers.output, "at the same drawn weights"),
    );
    rows.push(
        "input gradient",
        None,
        powers.input_gradient,
        say(powers.input_gradient, "of the output"),
    );
    for (layer, effective, stored) in &powers.gradients {
        rows.push(
            &format!("gradient to effective weights, {layer}"),
            None,
            *effective,
            say(*effective, "of the output, to the weights as they act"),
        );
        rows.push(
            &format!("gradient to stored weights, {layer}"),
            None,
            *stored,
            say(*stored, "of the output, to the weights as they are trained"),
        );
    }
    match model.alpha.at {
        AlphaAt::Multiplier => reparametrised(alpha, &mut rows),
        AlphaAt::Weights | AlphaAt::Layer(_) => stored_once(powers.stored(), &mut rows),
    }
    for optimizer in Optimizer::ALL {
        let (exponent, statement) = if model.alpha.at == AlphaAt::Multiplier {
            (
                0,
                "the normalization cancels the multiplier, the stored weights keep their size",
            )
        } else {
            (
                optimizer.angular_step_if_scale_invariant(),
                "the function does not see alpha, the gradient goes as 1/alpha, the weights as alpha",
            )
        };
        rows.push(
            "angular step of a normalized layer",
            Some(optimizer),
            Some(i64::from(exponent)),
            statement,
        );
    }
    rows.rows
}

/// `W = alpha w`, `w` trained.
fn reparametrised(alpha: f64, rows: &mut Rows) {
    let mut shared: Vec<&'static str> = Vec::new();
    for optimizer in Optimizer::ALL {
        for c in optimizer.consequences(alpha) {
            let own = matches!(
                c.quantity,
                "effective learning rate"
                    | "decoupled decay per learning rate"
                    | "relative size of epsilon"
            );
            if !own && shared.contains(&c.quantity) {
                continue;
            }
            if !own {
                shared.push(c.quantity);
            }
            let what = match c.quantity {
                "stored gradient" => "stored over effective gradient",
                "gradient range of the number format" => LOSS_SCALE,
                other => other,
            };
            rows.push(
                what,
                own.then_some(optimizer),
                Some(i64::from(c.exponent)),
                c.statement,
            );
        }
    }
}

/// Stored weights multiplied once, gradients of the output as `alpha^stored`.
fn stored_once(stored: Option<i64>, rows: &mut Rows) {
    for optimizer in Optimizer::ALL {
        let (exponent, statement) = match optimizer {
            Optimizer::Sgd | Optimizer::Momentum => (
                stored.map(|s| s - 1),
                "step over weight: the gradient's power, less one for the weight",
            ),
            Optimizer::Adam | Optimizer::AdamW | Optimizer::Sign => (
                Some(-1),
                "step over weight: the step does not see the scale of gradients",
            ),
            Optimizer::Lars | Optimizer::Lamb => (
                Some(0),
                "step over weight: the trust ratio follows the weight",
            ),
        };
        rows.push(
            "effective learning rate, relative to the weights",
            Some(optimizer),
            exponent,
            statement,
        );
    }
    rows.push(
        "L2 pull against the gradient",
        None,
        stored.map(|s| 1 - s),
        "lambda w grows with the weights, the gradient by its own power",
    );
    rows.push(
        "L1 pull against the gradient",
        None,
        stored.map(|s| -s),
        "lambda sign(w) does not grow, the gradient does by its own power",
    );
    rows.push(
        "decoupled decay",
        None,
        Some(0),
        "the shrink per step, eta lambda, is relative to the weights",
    );
    rows.push(
        "clipping: gradient over threshold",
        None,
        stored,
        "the threshold stays, the gradient does not",
    );
    rows.push(
        LOSS_SCALE,
        None,
        stored,
        "gradients move by this power of alpha in the range of the number format",
    );
    for optimizer in [Optimizer::Adam, Optimizer::AdamW, Optimizer::Lamb] {
        rows.push(
            "relative size of epsilon",
            Some(optimizer),
            stored.map(|s| -s),
            "epsilon is compared with gradients of another size",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::activation::Activation;
    use crate::network::{Alpha, BiasInit};

    fn model(activation: Activation, at: AlphaAt) -> Model {
        let mut model = Model::new(vec![8; 11], activation);
        model.alpha = Alpha { value: 1.0, at };
        model
    }

    fn exponent(effects: &[Effect], what: &str, optimizer: Option<&str>) -> Option<i64> {
        let found = effects
            .iter()
            .find(|e| e.what == what && (optimizer.is_none() || e.optimizer == optimizer));
        found.unwrap_or_else(|| panic!("{what}")).exponent
    }

    /// Theorem: multiplier-powers.
    #[test]
    fn homogeneous_networks_have_powers() {
        let weights = effects(&model(Activation::Relu, AlphaAt::Weights), 2.0);
        assert_eq!(exponent(&weights, "output", None), Some(11));
        let stored = "gradient to stored weights, every layer";
        assert_eq!(exponent(&weights, stored, None), Some(10));
        let rate = "effective learning rate, relative to the weights";
        assert_eq!(exponent(&weights, rate, Some("sgd")), Some(9));
        let output = &weights[0];
        assert!((output.log10_factor.unwrap() - 11.0 * 2f64.log10()).abs() < 1e-12);
        let one = effects(&model(Activation::Relu, AlphaAt::Layer(3)), 2.0);
        assert_eq!(
            exponent(&one, "gradient to stored weights, layer 3", None),
            Some(0)
        );
        assert_eq!(
            exponent(&one, "gradient to stored weights, any other layer", None),
            Some(1)
        );
    }

    /// Theorem: multiplier-equivalence. Whatever the activation.
    #[test]
    fn a_multiplier_is_a_change_of_hyperparameters() {
        for activation in [Activation::Relu, Activation::Tanh] {
            let e = effects(&model(activation, AlphaAt::Multiplier), 3.0);
            let rate = |optimizer| exponent(&e, "effective learning rate", Some(optimizer));
            assert_eq!(
                (rate("sgd"), rate("adam"), rate("lars")),
                (Some(2), Some(1), Some(0))
            );
            assert_eq!(exponent(&e, "effective L2 coefficient", None), Some(-2));
        }
    }

    #[test]
    fn no_power_is_claimed_where_there_is_none() {
        let tanh = effects(&model(Activation::Tanh, AlphaAt::Weights), 2.0);
        assert_eq!(exponent(&tanh, "output", None), None);
        assert!(tanh[0].statement.contains("tanh is not homogeneous"));
        let mut biased = model(Activation::Relu, AlphaAt::Weights);
        biased.bias = BiasInit::Gaussian { variance: 0.1 };
        let e = effects(&biased, 2.0);
        assert_eq!(exponent(&e, "output", None), None);
        assert_eq!(exponent(&e, "input gradient", None), Some(11));
    }

    #[test]
    fn normalization_cancels_alpha() {
        let mut m = model(Activation::Tanh, AlphaAt::Layer(2));
        m.normalization = Normalization::Layer;
        let e = effects(&m, 2.0);
        assert_eq!(exponent(&e, "output", None), Some(0));
        assert_eq!(
            exponent(&e, "gradient to stored weights, layer 2", None),
            Some(-1)
        );
        let angular = "angular step of a normalized layer";
        assert_eq!(exponent(&e, angular, Some("sgd")), Some(-2));
        m.normalization_after = true;
        assert_eq!(exponent(&effects(&m, 2.0), "output", None), None);
    }
}
