//! Networks from files.

use isometer::formats::{Collection, Source, open, open_bytes};
use isometer::network::activation::Activation;
use isometer::reference::{Architecture, FromCheckpoint, Layout, Mlp, Scaled, dense_layers};
use safetensors::tensor::{Dtype, TensorView, serialize};

/// A safetensors file of f64 tensors.
fn file(tensors: &[(&str, &[usize], &[f64])]) -> Collection {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, x)| x.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        let view = TensorView::new(Dtype::F64, shape.to_vec(), bytes).unwrap();
        (name.to_string(), view)
    });
    open_bytes("net.safetensors", serialize(views, None).unwrap()).unwrap()
}

fn load(collection: &Collection, layout: Layout) -> Result<FromCheckpoint, String> {
    let order = dense_layers(collection);
    let architecture = Architecture::new(Activation::Relu);
    Mlp::from_checkpoint(collection, &order, layout, architecture).map_err(|e| e.to_string())
}

#[test]
fn layers_are_found_with_their_biases() {
    let collection = file(&[
        ("net.10.weight", &[1, 2], &[1.0, -1.0]),
        ("net.2.weight", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        ("net.2.bias", &[2], &[10.0, 20.0]),
        ("norm.weight", &[2], &[1.0, 1.0]),
        ("conv.weight", &[1, 1, 3], &[1.0, 1.0, 1.0]),
    ]);
    let FromCheckpoint { mlp, names } = load(&collection, Layout::OutputsFirst).unwrap();
    assert_eq!(
        names,
        [
            ("net.2.weight".to_string(), Some("net.2.bias".to_string())),
            ("net.10.weight".to_string(), None)
        ]
    );
    let trace = mlp.forward(&Scaled::new(vec![1.0, 1.0, 1.0]));
    assert_eq!(trace.pre_activation(1).to_vec(), [16.0, 35.0]);
    assert_eq!(trace.output().to_vec(), [-19.0]);
}

#[test]
fn kernels_are_transposed() {
    let collection = file(&[
        ("dense/bias:0", &[2], &[10.0, 20.0]),
        ("dense/kernel:0", &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]),
        ("dense_1/kernel:0", &[2, 1], &[1.0, -1.0]),
    ]);
    let FromCheckpoint { mlp, names } = load(&collection, Layout::InputsFirst).unwrap();
    assert_eq!(names[0].1.as_deref(), Some("dense/bias:0"));
    let trace = mlp.forward(&Scaled::new(vec![1.0, 1.0, 1.0]));
    assert_eq!(trace.output().to_vec(), [-19.0]);
    let refused = load(&collection, Layout::OutputsFirst).unwrap_err();
    assert!(refused.contains("dense/bias:0 has 2 entries"), "{refused}");
    assert!(refused.contains("other layout"), "{refused}");
}

#[test]
fn complaints_name_the_tensors() {
    let one = |name, shape: &'static [usize], x: &'static [f64]| (name, shape, x);
    let a = one("a.weight", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let complaint = |tensors: &[(&str, &[usize], &[f64])]| {
        load(&file(tensors), Layout::OutputsFirst).unwrap_err()
    };
    let text = complaint(&[a, one("b.weight", &[1, 3], &[1.0; 3])]);
    assert!(
        text.contains("b.weight takes 3 inputs, but a.weight before it gives 2"),
        "{text}"
    );
    let text = complaint(&[a, one("a.bias", &[3], &[1.0; 3])]);
    assert!(
        text.contains("a.bias has 3 entries, but its layer a.weight gives 2"),
        "{text}"
    );
    let text = complaint(&[a, one("b.weight", &[1, 2], &[1.0, f64::NAN])]);
    assert!(text.contains("b.weight holds NaN"), "{text}");
    let text = complaint(&[a]);
    assert!(
        text.contains("a.weight make no network: 1 layers"),
        "{text}"
    );
    let text = complaint(&[a, one("b.weight", &[1, 2], &[1e300, 1.0])]);
    assert!(
        text.contains("b.weight") && text.contains("1e300"),
        "{text}"
    );
    let tall = file(&[a, one("k.weight", &[1, 2, 1], &[1.0; 2])]);
    let text = Mlp::from_checkpoint(
        &tall,
        &[0, 1],
        Layout::default(),
        Architecture::new(Activation::Relu),
    );
    let text = text.unwrap_err().to_string();
    assert!(text.contains("k.weight has shape [1, 2, 1]"), "{text}");
}

/// A published checkpoint: its layers are no chain, which is said by name.
#[test]
fn a_real_checkpoint_is_read() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/checkpoints/silero_vad_16k.safetensors"
    );
    let collection = open(&Source::path(path)).unwrap();
    let order = dense_layers(&collection);
    assert!(!order.is_empty());
    let refused = load(&collection, Layout::OutputsFirst).unwrap_err();
    let names: Vec<&str> = order
        .iter()
        .map(|i| collection.entries()[*i].stored_name())
        .collect();
    assert!(names.iter().any(|n| refused.contains(n)), "{refused}");
}
