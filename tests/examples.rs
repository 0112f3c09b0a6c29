//! Every example runs to its end; their assertions are part of the suite.

#[path = "../examples/audit.rs"]
mod audit;
#[path = "../examples/certified_bound.rs"]
mod certified_bound;
#[path = "../examples/checkpoint.rs"]
mod checkpoint;
#[path = "../examples/condition_check.rs"]
mod condition_check;
#[path = "../examples/custom_activation.rs"]
mod custom_activation;
#[path = "../examples/exact_quantile.rs"]
mod exact_quantile;
#[path = "../examples/figure_dynamical_isometry.rs"]
mod figure_dynamical_isometry;
#[path = "../examples/gradient_budget.rs"]
mod gradient_budget;
#[path = "../examples/long_product.rs"]
mod long_product;
#[path = "../examples/prediction_sweep.rs"]
mod prediction_sweep;

#[test]
fn audit_names_the_singular_layer() {
    audit::main().unwrap();
}

#[test]
fn checkpoint_finds_the_singular_matrix() {
    checkpoint::main().unwrap();
}

#[test]
fn condition_check_proves_and_refuses() {
    condition_check::main().unwrap();
}

#[test]
fn long_product_is_reliable() {
    long_product::main().unwrap();
}

#[test]
fn exact_quantile_needs_no_samples() {
    exact_quantile::main().unwrap();
}

#[test]
fn custom_activation_has_its_edge() {
    custom_activation::main().unwrap();
}

#[test]
fn certified_bound_is_tighter_than_norms() {
    certified_bound::main().unwrap();
}

#[test]
fn orthogonal_tanh_stays_bounded_and_gaussian_grows() {
    figure_dynamical_isometry::main().unwrap();
}

#[test]
fn gradient_budget_tells_wide_from_narrow() {
    gradient_budget::main().unwrap();
}

#[test]
fn prediction_sweep_has_its_critical_alpha() {
    prediction_sweep::main().unwrap();
}

#[test]
fn every_example_is_run() {
    let listed = [
        "audit.rs",
        "certified_bound.rs",
        "checkpoint.rs",
        "condition_check.rs",
        "custom_activation.rs",
        "exact_quantile.rs",
        "figure_dynamical_isometry.rs",
        "gradient_budget.rs",
        "long_product.rs",
        "prediction_sweep.rs",
    ];
    let mut found: Vec<String> =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
    found.sort();
    assert_eq!(found, listed);
}
