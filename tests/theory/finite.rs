//! Rows that hold at finite width, and those about number formats and optimisation.

use super::{Computed, Params, computed, from_ln, plain};
use isometer::network::NumberFormat;
use isometer::network::activation::Activation;
use isometer::network::{Model, WeightInit};
use isometer::theory::laws::{Ensemble, LawError, Network, ProductLaw, layer_kurtosis_ratio};
use isometer::theory::lyapunov::{VolumeLayer, ln_volume, mean_ln_det};
use isometer::theory::multiplier::Optimizer;
use isometer::theory::optimisation::{
    Method, best_gradient_descent, best_heavy_ball, lamb_trust_ratio, lars_trust_ratio,
};
use isometer::theory::precision::{Direction, depth_to_threshold};
use isometer::theory::rank::{GatedLayer, RankLaw, TraceLayer, trace_moments};
use isometer::theory::spectrum::Ensemble as Square;

type Routes = Option<Vec<Computed>>;
/// Picks one of the laws of a network.
type Law<'a> = &'a dyn Fn(&Network<'_>) -> Result<ProductLaw, LawError>;

/// The routes to a row, `None` for rows that are not of this kind.
pub fn compute(case: &str, quantity: &str, p: &Params) -> Routes {
    match case {
        "rectangular_init" | "init_variance" | "truncated_normal" => initializer(case, quantity, p),
        "relu_he_layer_log" => he_layer(quantity, p),
        "relu_jvp_exact" | "relu_input_grad_exact" | "relu_weight_grad_exact" => {
            homogeneous(case, quantity, p)
        }
        "relu_exact_cdf" if quantity == "P(log|Ju|^2 < t | alive)" => {
            let widths = vec![p.integer("width"); p.integer("depth") + 1];
            let law = network(&widths, p.number("sigma_w2"), false, &|n| n.jvp());
            let t = p.number("t");
            let beyond = 1.0 - law.survival_ln_square(t).value;
            Some(vec![computed(law.cdf_ln_square(t).value), computed(beyond)])
        }
        "relu_one_layer_kurtosis" | "leaky_relu_one_layer" | "dropout_relu_one_layer" => {
            one_layer(quantity, p)
        }
        "relu_jacobian_rank" if quantity.starts_with("E rank(J)") => {
            let widths = p.widths();
            let layers: Vec<_> = widths[1..]
                .iter()
                .map(|&width| GatedLayer {
                    width,
                    survive: 0.5,
                })
                .collect();
            plain(RankLaw::new(widths[0], &layers).unwrap().mean())
        }
        "jacobian_trace_exact" => trace(quantity, p),
        "ginibre_logdet" if quantity == "E log det(J^T J)" => {
            let (n, depth) = (p.integer("n"), p.integer("L"));
            let layer = VolumeLayer::square(Square::Gaussian, n, 1.0, 1.0);
            let volume = ln_volume(n, &vec![layer; depth]).unwrap();
            let det = mean_ln_det(&layer, (1.0, 1.0), depth).unwrap();
            Some(vec![computed(2.0 * volume.mean), computed(det)])
        }
        "ginibre_lyapunov" => exponents(quantity, p),
        "alpha_multiplier_same_function"
            if quantity == "Adam (eps->0) effective lr on W = alpha" =>
        {
            let power = Optimizer::Adam.equivalent().learning_rate;
            plain(p.number("alpha").powi(power))
        }
        "underflow_depth" | "precision" | "lost_update" => formats(case, quantity, p),
        "heavy_ball_rate" | "gd_rate" | "momentum_stability" | "nesterov_stability"
        | "lars_trust_ratio" | "lamb_note" => steps(case, quantity, p),
        _ => None,
    }
}

fn initializer(case: &str, quantity: &str, p: &Params) -> Routes {
    let model = |init: &str, widths: Vec<usize>| {
        let mut model = Model::new(widths, Activation::Relu);
        model.weights = init.parse().unwrap();
        model
    };
    let two_sigma = || WeightInit::TruncatedNormal {
        mean: 0.0,
        std: 1.0,
    };
    match (case, quantity) {
        ("rectangular_init", _) => {
            let init = match p.text("init") {
                "xavier" => "xavier_normal",
                "kaiming_fan_in_relu" => "kaiming_normal",
                "kaiming_fan_out_relu" => "kaiming_normal:mode=fan_out",
                other => panic!("{other}"),
            };
            let model = model(init, vec![p.integer("fan_in"), p.integer("fan_out")]);
            let layer = model.layer(1);
            let (below, above) = model.activation.slopes()?;
            let slope = 0.5 * (below * below + above * above);
            match quantity {
                "forward factor fan_in*var*1/2" => plain(layer.weight.sigma_w2 * slope),
                "backward factor fan_out*var*1/2" => {
                    plain(layer.fan_out as f64 * layer.entry_variance() * slope)
                }
                _ => None,
            }
        }
        ("init_variance", "weight variance = 1/(3 fan_in)") => {
            assert!(p.text("init").starts_with("torch nn.Linear default"));
            let n = p.integer("fan_in");
            plain(model("torch:linear", vec![n, 10]).layer(1).entry_variance())
        }
        ("truncated_normal", "mean-square gain over depth") => {
            let (n, depth) = (64, p.integer("depth"));
            let mut model = model("kaiming_normal", vec![n; depth + 1]);
            let nominal = model.layer(1).entry_variance();
            model.weights = WeightInit::TruncatedNormal {
                mean: 0.0,
                std: nominal.sqrt(),
            };
            let sigma_w2 = model.layer(1).weight.sigma_w2;
            let law = network(&model.widths, sigma_w2, false, &|n| n.jvp());
            Some(vec![from_ln(law.ln_mean_square())])
        }
        ("truncated_normal", _) => {
            let mut model = model("kaiming_normal", vec![16, 16]);
            model.weights = two_sigma();
            let variance = model.layer(1).entry_variance();
            match quantity {
                "variance/sigma^2" => plain(variance),
                q if q.starts_with("std ratio") => plain(variance.sqrt()),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A law of a ReLU network with equal variances, readout included.
fn network(widths: &[usize], sigma_w2: f64, symmetric_biases: bool, law: Law<'_>) -> ProductLaw {
    law(&Network {
        widths,
        sigma_w2: &vec![sigma_w2; widths.len()],
        slopes: (1.0, 0.0),
        keep: 1.0,
        ensemble: Ensemble::Gaussian,
        symmetric_biases,
    })
    .unwrap()
}

fn he_layer(quantity: &str, p: &Params) -> Routes {
    let widths = [p.integer("n_in"), p.integer("n_out")];
    let law = network(&widths, p.number("sigma_w2"), false, &|n| n.jvp());
    match quantity {
        "E[log(|Ju|^2 factor) | alive]" => plain(law.mean_ln_square()),
        "Var[log factor | alive]" => plain(law.var_ln_square()),
        _ => None,
    }
}

fn homogeneous(case: &str, quantity: &str, p: &Params) -> Routes {
    let widths = p.widths();
    let sigma_w2 = p.number("sigma_w2");
    let biased = p.number("sigma_b2") > 0.0;
    let with = |law: Law<'_>| network(&widths, sigma_w2, biased, law);
    match case {
        "relu_jvp_exact" => {
            let law = with(&|n| n.jvp());
            match quantity {
                "E|Ju|" => Some(vec![from_ln(law.ln_moment(0.5)? + law.ln_p_alive())]),
                "Var[log|Ju|^2 | alive]" => plain(law.var_ln_square()),
                "E|Ju|^2 = prod sw2 n_l/(2 n_{l-1})" => Some(vec![
                    from_ln(law.ln_mean_square()),
                    from_ln(law.ln_moment(1.0)? + law.ln_p_alive()),
                ]),
                "E[log|Ju|^2 | alive]" => plain(law.mean_ln_square()),
                _ => None,
            }
        }
        "relu_input_grad_exact" => {
            let law = with(&|n| n.input_gradient());
            match quantity {
                "E|dy/dx0|^2 (scalar output)" => Some(vec![from_ln(law.ln_mean_square())]),
                "E|dy/dx0|^4/(E)^2=(1+2/n0)prod(1+5/n_l)" => plain(law.kurtosis_ratio()),
                _ => None,
            }
        }
        _ => (1..=widths.len())
            .map(|layer| {
                let ln_input = match p.has("x0_norm2") {
                    true => p.number("x0_norm2").ln(),
                    false => 0.3,
                };
                let law = network(&widths, sigma_w2, biased, &|n| {
                    n.weight_gradient(layer, ln_input)
                });
                match quantity {
                    "E|dy/dW_l|_F^2 / n_{l-1}, same for every l=1..L+1" => {
                        let ln_n = (widths[layer - 1] as f64).ln();
                        Some(from_ln(law.ln_mean_square() - ln_n))
                    }
                    "E|dy/dW_l|_F^4/(E..)^2 = prod over hidden (1+5/n)" => {
                        Some(computed(law.kurtosis_ratio()))
                    }
                    _ => None,
                }
            })
            .collect(),
    }
}

fn one_layer(quantity: &str, p: &Params) -> Routes {
    if !quantity.starts_with("E|Ju|^4/(E|Ju|^2)^2") {
        return None;
    }
    let n = p.integer("n");
    let below = if p.has("a") { p.number("a") } else { 0.0 };
    let keep = if p.has("keep") { p.number("keep") } else { 1.0 };
    if p.has("dist") {
        assert_eq!((p.text("dist"), p.text("u")), ("normal", "e1"));
    }
    let formula = layer_kurtosis_ratio(n, (1.0, below), keep, 3.0, 1.0).unwrap();
    let law = Network {
        widths: &[n, n],
        sigma_w2: &[2.0],
        slopes: (1.0, below),
        keep,
        ensemble: Ensemble::Gaussian,
        symmetric_biases: false,
    }
    .jvp()
    .unwrap();
    Some(vec![computed(formula), computed(law.kurtosis_ratio())])
}

fn trace(quantity: &str, p: &Params) -> Routes {
    let widths = p.widths();
    let phi: Activation = p.text("act").parse().unwrap();
    let slopes = phi.slopes()?;
    let layers: Vec<_> = widths[1..]
        .iter()
        .map(|&n| TraceLayer::homogeneous(n, p.number("sigma_w2"), slopes, 1.0))
        .collect();
    let m = trace_moments(widths[0], &layers).unwrap();
    match quantity {
        "E tr (J^T J)" => Some(vec![from_ln(m.ln_mean_trace)]),
        "E (tr J^T J)^2" => Some(vec![from_ln(m.ln_mean_squared_trace)]),
        _ => None,
    }
}

fn exponents(quantity: &str, p: &Params) -> Routes {
    let n = p.integer("n");
    let layer = VolumeLayer::square(Square::Gaussian, n, 1.0, 1.0);
    let all = layer.exponents(n).unwrap();
    match quantity {
        "largest exponent (digamma(n/2)+log(2/n))/2" => plain(all[0]),
        "smallest exponent (digamma(1/2)+log(2/n))/2" => plain(all[n - 1]),
        "log condition-number growth per layer (lambda_max-lambda_min)" => Some(vec![
            computed(layer.ln_condition_growth(n).unwrap()),
            computed(all[0] - all[n - 1]),
        ]),
        _ => None,
    }
}

fn formats(case: &str, quantity: &str, p: &Params) -> Routes {
    let format = |name: &str| -> NumberFormat {
        match name {
            "fp16" => NumberFormat::F16,
            "bf16" => NumberFormat::Bf16,
            other => panic!("format {other}"),
        }
    };
    match case {
        "underflow_depth"
            if quantity == "depth where rms gradient = threshold (mean-square law)" =>
        {
            let log2 = match p.text("threshold") {
                "fp16 2^-24 (smallest subnormal)" => NumberFormat::F16.log2_smallest_subnormal(),
                "fp16 min normal 2^-14" => NumberFormat::F16.log2_smallest_normal(),
                other => panic!("{other}"),
            };
            let threshold = f64::from(log2) * std::f64::consts::LN_2;
            let start = p.number("g0_rms").ln();
            plain(depth_to_threshold(start, p.number("chi").ln(), threshold)?)
        }
        "precision" if quantity == "smallest subnormal 2^-133" => {
            let format = format(p.text("format"));
            plain(f64::from(format.log2_smallest_subnormal()).exp2())
        }
        "lost_update" if quantity.starts_with("largest lost step") => {
            let direction = match p.text("direction") {
                "increase" => Direction::Increase,
                "decrease" => Direction::Decrease,
                other => panic!("{other}"),
            };
            let format = format(p.text("format"));
            plain(format.lost_step(p.number("w"), direction).step)
        }
        _ => None,
    }
}

fn steps(case: &str, quantity: &str, p: &Params) -> Routes {
    match (case, quantity) {
        ("heavy_ball_rate", "(sqrt k-1)/(sqrt k+1)") => {
            let kappa = p.number("kappa");
            let tuned = best_heavy_ball(1.0, kappa).unwrap();
            plain(tuned.rate)
        }
        ("gd_rate", "spectral radius of I-eta H, eta=2/(L+mu)") => {
            let kappa = p.number("kappa");
            let tuned = best_gradient_descent(1.0, kappa).unwrap();
            let radius = |lambda| tuned.method.radius(tuned.step, lambda).unwrap();
            Some(
                [tuned.rate, radius(1.0), radius(kappa)]
                    .map(computed)
                    .to_vec(),
            )
        }
        ("momentum_stability", "max stable lr 2(1+beta)/lambda_max (heavy ball)") => {
            let method = Method::HeavyBall {
                beta: p.number("beta"),
            };
            plain(method.largest_step(p.number("lambda_max")).unwrap())
        }
        ("nesterov_stability", "max stable lr 2(1+beta)/((1+2beta) lambda_max)") => {
            let method = Method::Nesterov {
                beta: p.number("beta"),
            };
            plain(method.largest_step(p.number("lambda_max")).unwrap())
        }
        ("lars_trust_ratio", "eta|w|/(|g|+lambda|w|)") => plain(
            lars_trust_ratio(
                p.number("w_norm"),
                p.number("g_norm"),
                p.number("weight_decay"),
                p.number("eta"),
            )
            .unwrap(),
        ),
        ("lamb_note", "|w|/|r+lambda w| (phi=identity) ") => {
            plain(lamb_trust_ratio(p.number("w_norm"), p.number("update_norm")).unwrap())
        }
        _ => None,
    }
}
