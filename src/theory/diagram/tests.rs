//! Diagrams against points of the edge and exact powers.

use super::*;

fn quiet() {}

#[test]
fn the_field_changes_sign_on_the_edge() {
    let axes = (Some((0.5, 2.5)), Some((0.0, 0.4)));
    let d = sigma(&Activation::Tanh, axes, 41, Some((2.25, 0.05)), &quiet).unwrap();
    let step = 2.0 / 40.0;
    // theory.csv R059: the edge at sigma_b2 = 0.05 is at 1.76095; row 5 is there
    let row = &d.values[5 * 41..6 * 41];
    let turn = row.iter().position(|v| *v > 0.0).unwrap() as f64;
    let at = 0.5 + step * turn;
    assert!((at - 1.7609546396067381).abs() <= step, "{at}");
    // theory.csv R078
    let m = d.mark.unwrap();
    assert!((m.chi_1.unwrap() - 1.0923379294862612).abs() < 1e-9);
    assert_eq!(m.phase, Some(Phase::Chaotic));
    assert!((m.critical_sigma_w2.unwrap() - 1.7609546396067381).abs() < 1e-9);
    assert_eq!(d.lines.len(), 1);
    let line = &d.lines[0];
    let nearest = line.points.iter().map(|p| (p.y - 0.05).abs());
    assert!(line.held && nearest.fold(1.0, f64::min) < 0.01);
}

#[test]
fn the_axes_show_the_edge_where_there_is_one() {
    for (phi, has) in [
        (Activation::Relu, true),
        (Activation::Tanh, true),
        (Activation::Gelu, true),
        (Activation::Sigmoid, true),
        (Activation::Softplus { beta: 1.0 }, false),
    ] {
        let d = sigma(&phi, (None, None), 16, None, &quiet).unwrap();
        assert_eq!(!d.lines.is_empty(), has, "{phi}");
        assert!(d.values.iter().all(|v| !v.is_nan()), "{phi}");
        assert!(d.limit > 0.0);
    }
    let gelu = sigma(&Activation::Gelu, (None, None), 16, None, &quiet).unwrap();
    assert!(gelu.lines.iter().any(|l| l.held) && gelu.lines.iter().any(|l| !l.held));
}

#[test]
fn gradients_of_relu_over_depth_are_powers() {
    let mut model = Model::new(vec![64; 31], Activation::Relu);
    model.weights = crate::network::WeightInit::gaussian(2.0);
    let axes = (Some((1.0, 100.0)), Some((0.5, 2.0)));
    let d = depth_alpha(&model, true, axes, 21, &quiet).unwrap();
    // norm alpha^L
    let truth = 100.0 * 2f64.log10();
    assert!((d.values[21 * 21 - 1] - truth).abs() < 1e-10);
    assert!((d.values[20] + truth).abs() < 1e-10);
    assert!((d.values[21 * 21 - 1] - 1.001 * truth).abs() > 1e-3);
    assert!(d.lines.len() == 1 && d.lines[0].points[0].y.abs() < 1e-15);
    let m = d.mark.unwrap();
    assert_eq!((m.x, m.y, m.phase), (30.0, 0.0, Some(Phase::Critical)));
}

#[test]
fn what_is_no_diagram_is_refused() {
    let d = |x, n| sigma(&Activation::Relu, (x, None), n, None, &quiet);
    assert!(matches!(
        d(Some((2.0, 1.0)), 10),
        Err(DiagramError::Axis { axis: "x", .. })
    ));
    assert!(d(Some((f64::NAN, 1.0)), 10).is_err() && d(Some((-1.0, 1.0)), 10).is_err());
    assert!(matches!(d(None, 1), Err(DiagramError::Resolution { .. })));
    let mut model = Model::new(vec![8; 4], Activation::Tanh);
    model.dropout = 0.1;
    let e = repeated_layer(&model, true).unwrap_err();
    assert!(e.to_string().contains("dropout"), "{e}");
}

#[test]
fn limits_are_round() {
    for (x, y) in [(1.0, 1.0), (2.3, 2.5), (0.21, 0.25), (87.0, 100.0)] {
        assert!((round_up(x) / y - 1.0).abs() < 1e-12, "{x}");
    }
}
