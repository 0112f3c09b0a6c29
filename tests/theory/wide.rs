//! Rows about infinitely wide networks.

use super::{Computed, Params, computed, from_ln, from_ln_within, plain};
use isometer::network::Residual;
use isometer::network::activation::Activation;
use isometer::theory::averages::{mean, moments, variance};
use isometer::theory::correlation::MeanField;
use isometer::theory::criticality::{
    EdgeOfChaos, EdgePoint, edge_at_bias, edge_at_q, edge_of_chaos, half_stable,
};
use isometer::theory::kernel::kernel;
use isometer::theory::mean_field::{LengthMap, Limit};
use isometer::theory::normalization::{
    Normalization, Position, growth, rms_linear_mean_square, scale_invariant_factors,
};
use isometer::theory::padding::zero_padding_factor;
use isometer::theory::residual::{homogeneous_growth, stream};
use isometer::theory::spectrum::{
    Ensemble, LayerGroup, Spectrum, SquaredSlopes, ln_edge_fuss_catalan, ln_edge_relu_gaussian,
    ln_edge_relu_orthogonal, ln_edges_smooth_limit, spectrum,
};

type Routes = Option<Vec<Computed>>;

fn activation(p: &Params) -> Activation {
    match p.text("act") {
        "lrelu0.2" => Activation::LeakyRelu { slope: 0.2 },
        name => name.parse().unwrap(),
    }
}

fn map(p: &Params) -> LengthMap {
    LengthMap::new(activation(p), p.number("sigma_w2"), p.number("sigma_b2")).unwrap()
}

/// The routes to a row about wide networks, `None` for other rows.
pub fn compute(case: &str, quantity: &str, p: &Params) -> Routes {
    match case {
        "gauss_moment" | "closed_form" => gaussian(quantity, p),
        "edge_of_chaos" => edge(quantity, p),
        "half_stable_fixed_point" => twice_critical(quantity, p),
        "meanfield" => field(quantity, p),
        "relu_correlation_map" => correlation(quantity, p),
        "tanh_critical_sw1_sb0" => tanh_at_one(quantity, p),
        "conv1d_zero_pad_He" => plain(
            zero_padding_factor(p.integer("N"), p.integer("k"))
                .unwrap()
                .value,
        ),
        "fuss_catalan"
        | "relu_gaussian_spectrum"
        | "relu_orthogonal_spectrum"
        | "relu_spectrum_var"
        | "critical_orthogonal_spectrum"
        | "critical_gaussian_spectrum"
        | "universal_smooth_limit" => singular_values(case, quantity, p),
        "batchnorm_gradient_growth" => batch(quantity, p),
        "layernorm_before_activation" => layer_norm(quantity, p),
        "rmsnorm_linear_layer" => plain(rms_linear_mean_square(p.integer("n"))?),
        "scale_invariant_weights" => {
            let (gradient, step) = scale_invariant_factors(p.number("scale"));
            match quantity {
                "gradient norm ratio 1/scale" => plain(gradient),
                "effective lr ratio 1/scale^2" => plain(step),
                _ => None,
            }
        }
        "relu_resnet_scaled" | "relu_resnet_unscaled" => residual(quantity, p),
        "nngp_ntk" => kernels(quantity, p),
        _ => None,
    }
}

fn gaussian(quantity: &str, p: &Params) -> Routes {
    let m = moments(&activation(p), p.number("q"));
    match quantity {
        "E[phi'(sqrt(q)z)^2]" => plain(m.slope.value),
        "E[phi(sqrt(q)z)^2]" => {
            // the second moment is the variance and the square of the mean
            let phi = activation(p);
            let q = p.number("q");
            let apart = variance(&phi, q).value + mean(&phi, q).value.powi(2);
            Some(vec![computed(m.second.value), computed(apart)])
        }
        q if q.starts_with("E[gelu^2] = ") => plain(m.second.value),
        _ => None,
    }
}

fn edge(quantity: &str, p: &Params) -> Routes {
    let phi = activation(p);
    if quantity == "smallest q* admitting chi_1=1" {
        let EdgeOfChaos::Curves(curves) = edge_of_chaos(&phi) else {
            panic!("{phi} has an edge");
        };
        let at_zero = edge_at_bias(&phi, p.number("sigma_b2"));
        return Some(vec![computed(curves[0].0), computed(at_zero[0].q.value)]);
    }
    let point: EdgePoint = if p.has("q_star") {
        edge_at_q(&phi, p.number("q_star"))?
    } else {
        let points = edge_at_bias(&phi, p.number("sigma_b2"));
        assert_eq!(points.len(), 1, "{phi}: one point of the edge at this bias");
        points[0]
    };
    match quantity {
        "sigma_w^2" => plain(point.sigma_w2.value),
        "sigma_b^2" => plain(point.sigma_b2.value),
        "q*" => plain(point.q.value),
        _ => None,
    }
}

fn twice_critical(quantity: &str, p: &Params) -> Routes {
    let points = half_stable(&activation(p));
    assert_eq!(points.len(), 1);
    match quantity {
        "K*=q*" => plain(points[0].q.value),
        "C_W=sigma_w^2" => plain(points[0].sigma_w2.value),
        "C_b=sigma_b^2" => plain(points[0].sigma_b2.value),
        _ => None,
    }
}

fn field(quantity: &str, p: &Params) -> Routes {
    let map = map(p);
    let m: MeanField = map.mean_field(map.first(1.0));
    match quantity {
        "q*" => match m.limit {
            Limit::Fixed(point) => plain(point.q.value),
            _ => None,
        },
        "chi_1" => plain(m.chi_1?.value),
        "xi_q = -1/log(dq_map)" => plain(m.xi_q?.value),
        "c* (stable correlation fixed point)" => plain(1.0 - m.c_star_gap?.value),
        "xi_c = -1/log(sw2 E[phi'phi'] at c*)" => plain(m.xi_c?.value),
        "gradient-norm^2 depth scale 1/log(chi_1)" => plain(m.gradient_depth_scale?.value),
        _ => None,
    }
}

fn correlation(quantity: &str, p: &Params) -> Routes {
    let relu = LengthMap::new(Activation::Relu, 2.0, 0.0).unwrap();
    let layers = p.integer("layers");
    let path = relu.correlations(1.0, 1.0 - p.number("c0"), layers + 1);
    let gap = path[layers].1.value;
    match quantity {
        "c_l" => plain(1.0 - gap),
        q if q.starts_with("l^2 (1-c_l)") => plain((layers * layers) as f64 * gap),
        _ => None,
    }
}

fn tanh_at_one(quantity: &str, p: &Params) -> Routes {
    let tanh = LengthMap::new(Activation::Tanh, 1.0, 0.0).unwrap();
    let layers = p.integer("layers");
    let profile = tanh.profile(p.number("q0"), layers + 1);
    match quantity {
        "q_l" => Some(vec![from_ln(profile[layers].ln_q)]),
        "prod chi (gradient mean-square factor)" => {
            Some(vec![from_ln(profile[layers - 1].ln_gradient)])
        }
        _ => None,
    }
}

fn limiting(p: &Params, ensemble: Ensemble, phi: &Activation, q: f64, sigma_w2: f64) -> Spectrum {
    spectrum(&[LayerGroup {
        ensemble,
        sigma_w2,
        slopes: SquaredSlopes::new(phi, q).unwrap(),
        count: p.integer("L"),
    }])
    .unwrap()
}

fn singular_values(case: &str, quantity: &str, p: &Params) -> Routes {
    let top = |s: Spectrum| from_ln(s.upper.ln);
    let edge = quantity.starts_with("max ");
    match case {
        "fuss_catalan" if edge => {
            let general = limiting(p, Ensemble::Gaussian, &Activation::Linear, 1.0, 1.0);
            let closed = from_ln(ln_edge_fuss_catalan(p.integer("L")));
            Some(vec![top(general), closed])
        }
        "relu_gaussian_spectrum" | "relu_orthogonal_spectrum" if edge => {
            assert_eq!((p.number("p"), p.number("sigma_w2")), (0.5, 2.0));
            let (ensemble, closed) = match case {
                "relu_gaussian_spectrum" => (
                    Ensemble::Gaussian,
                    ln_edge_relu_gaussian(p.integer("L"), 0.5),
                ),
                _ => (
                    Ensemble::Orthogonal,
                    ln_edge_relu_orthogonal(p.integer("L"), 0.5),
                ),
            };
            let general = limiting(p, ensemble, &Activation::Relu, 1.0, 2.0);
            Some(vec![top(general), from_ln(closed)])
        }
        "relu_spectrum_var" if quantity == "variance of JJ^T spectrum" => {
            let ensemble = ensemble(p.text("weights"));
            let s = limiting(p, ensemble, &Activation::Relu, 1.0, 2.0);
            plain(s.normalised_variance * (2.0 * s.ln_mean).exp())
        }
        "critical_orthogonal_spectrum" | "critical_gaussian_spectrum" if edge => {
            let q = p.number("q_star");
            let phi = activation(p);
            let at = edge_at_q(&phi, q)?;
            let kind = ensemble(case.split('_').nth(1).unwrap());
            Some(vec![top(limiting(p, kind, &phi, q, at.sigma_w2.value))])
        }
        "universal_smooth_limit" if edge => Some(vec![from_ln(
            ln_edges_smooth_limit(p.number("sigma0_sq")).1,
        )]),
        _ => None,
    }
}

fn ensemble(name: &str) -> Ensemble {
    match name {
        "gaussian" => Ensemble::Gaussian,
        "orthogonal" => Ensemble::Orthogonal,
        other => panic!("{other} weights"),
    }
}

fn batch(quantity: &str, p: &Params) -> Routes {
    let size = match p.text_or_integer("B") {
        Ok(size) => Some(size),
        Err(text) => {
            assert_eq!(text, "inf");
            None
        }
    };
    let rate = |w| {
        let map = LengthMap::new(activation(p), w, 0.0).unwrap();
        growth(&map, Normalization::Batch(size), Position::Before)
            .unwrap()
            .value
    };
    // the scale of the weights is normalized away
    let rates = [rate(2.0), rate(0.3)];
    match quantity {
        "sqrt(pi/(pi-1))" => Some(rates.map(|x| computed(x.sqrt())).to_vec()),
        "lambda(B) closed form" | "(B-2)/(B-3)" | "E[phi'^2]/Var[phi] at q=1" => {
            Some(rates.map(computed).to_vec())
        }
        // measured in networks of finite width: the tolerance is statistical
        "measured geometric growth per layer, squared (14 float64 chains)"
        | "measured ARITHMETIC-mean growth per layer, squared (200 chains)" => {
            Some(rates.map(computed).to_vec())
        }
        _ => None,
    }
}

fn layer_norm(quantity: &str, p: &Params) -> Routes {
    if quantity != "chi = E[phi'^2]/E[phi^2] at q=1 (any sigma_w)" {
        return None;
    }
    let mut out = Vec::new();
    for w in [1.0, 0.37] {
        let map = LengthMap::new(activation(p), w, 0.0).unwrap();
        for kind in [Normalization::Layer, Normalization::Rms] {
            out.push(computed(
                growth(&map, kind, Position::Before).unwrap().value,
            ));
        }
    }
    Some(out)
}

fn residual(quantity: &str, p: &Params) -> Routes {
    let branch = LengthMap::new(Activation::Relu, p.number("sigma_w2"), 0.0).unwrap();
    let routes = |scale, depth| {
        let closed = homogeneous_growth(&branch, scale, depth).unwrap();
        let blocks = stream(&branch, scale, 0.0, depth);
        let last = blocks.last().unwrap();
        vec![
            from_ln(closed),
            from_ln_within(last.ln_gradient, last.error),
            from_ln_within(last.ln_q, last.error),
        ]
    };
    match quantity {
        "forward=gradient mean-square growth (1+1/L)^L" => {
            Some(routes(Residual::InverseSqrtDepth, p.integer("L")))
        }
        // (1+1/L)^L = e (1 - 1/(2L) + ...): at L = 2^52 the limit to rounding
        "e" => {
            let scale = Residual::InverseSqrtDepth;
            let ln = homogeneous_growth(&branch, scale, 1 << 52).unwrap();
            Some(vec![from_ln(ln)])
        }
        "2^L" => Some(routes(Residual::Constant(p.number("beta")), p.integer("L"))),
        _ => None,
    }
}

fn kernels(quantity: &str, p: &Params) -> Routes {
    assert_eq!(p.text("input"), "|x|^2/n0=1");
    let k = kernel(&map(p), p.integer("hidden_layers"), 1.0);
    match quantity {
        "NNGP variance after L hidden layers" => Some(vec![from_ln(k.nngp.ln())]),
        "NTK Theta(x,x): Theta<-q'+chi*Theta" => Some(vec![from_ln(k.ntk.ln())]),
        _ => None,
    }
}
