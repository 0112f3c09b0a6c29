//! Source strings, directories, shards, and what a listing may touch.

use super::{a, assert_names, data, read_all, rows, safetensors};
use isometer::formats::{Content, Source, open};
use std::fs;
use std::path::Path;

fn source(dir: &Path, text: &str) -> Source {
    Source::parse(&format!("{}/{text}", dir.display()))
}

fn refusal(source: &Source) -> String {
    open(source).unwrap_err().to_string()
}

fn names(source: &Source) -> Vec<String> {
    let all = open(source).unwrap_or_else(|e| panic!("{e}"));
    all.entries()
        .iter()
        .map(|e| e.stored_name().to_string())
        .collect()
}

/// A safetensors file with 1 x 1 tensors of these names.
fn shard(names: &[&str]) -> Vec<u8> {
    let entries: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(k, n)| {
            format!(
                r#""{n}":{{"dtype":"F32","shape":[1,1],"data_offsets":[{},{}]}}"#,
                4 * k,
                4 * k + 4
            )
        })
        .collect();
    safetensors(
        &format!("{{{}}}", entries.join(",")),
        &vec![0; 4 * names.len()],
    )
}

#[test]
fn a_source_is_stdin_a_path_or_a_tensor_of_a_path() {
    assert!(Source::parse("-").is_stdin());
    assert_eq!(Source::parse("-::w").tensor_name(), Some("w"));
    assert_eq!(
        Source::parse("gone.npz::w"),
        Source::tensor("gone.npz", "w")
    );
    assert_eq!(Source::parse("gone.npy"), Source::path("gone.npy"));
    assert_eq!(Source::parse("gone.npz::w").to_string(), "gone.npz::w");

    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(data("formats/stored.npz")).unwrap();
    fs::write(dir.path().join("a::b.npz"), &whole).unwrap();
    assert_eq!(names(&source(dir.path(), "a::b.npz")).len(), 7);
    assert_eq!(names(&source(dir.path(), "a::b.npz::w")), ["w"]);
    fs::write(dir.path().join("a"), &whole).unwrap();
    // The longest existing path wins over the first separator.
    assert_eq!(
        names(&source(dir.path(), "a::b.npz::cube#reshape(d0,-1)")),
        ["cube"]
    );
    assert_eq!(names(&source(dir.path(), "a::half")), ["half"]);
    assert_names(
        &refusal(&source(dir.path(), "a::nothing")),
        &["'nothing'", "half, fortran"],
    );
    assert_names(
        &refusal(&source(dir.path(), "gone.npy")),
        &["gone.npy", "no such file"],
    );
}

#[test]
fn a_directory_is_all_its_tensor_files_in_natural_order() {
    let dir = tempfile::tempdir().unwrap();
    assert_names(&refusal(&Source::path(dir.path())), &["no *.safetensors"]);
    let npy = fs::read(data("formats/le_f4_C.npy")).unwrap();
    for name in [
        "layer10.npy",
        "layer2.npy",
        "layer1.npy",
        "notes.txt",
        "config.json",
    ] {
        fs::write(dir.path().join(name), &npy).unwrap();
    }
    fs::create_dir(dir.path().join("sub.npy")).unwrap();
    let all = Source::path(dir.path());
    assert_eq!(names(&all), ["layer1", "layer2", "layer10"]);
    let one = open(&source(dir.path(), "::layer2")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(rows(&one.load(0).unwrap()), a());
    assert!(one.entries()[0].source().ends_with("layer2.npy"));

    fs::write(dir.path().join("x.safetensors"), shard(&["w"])).unwrap();
    fs::write(dir.path().join("y.safetensors"), shard(&["w"])).unwrap();
    assert_eq!(names(&all), ["layer1", "layer2", "layer10", "w", "w"]);
    let message = refusal(&Source::tensor(dir.path(), "w"));
    assert_names(&message, &["x.safetensors::w", "y.safetensors::w"]);
    assert_eq!(names(&source(dir.path(), "y.safetensors::w")), ["w"]);

    fs::write(dir.path().join("broken.npz"), b"PK").unwrap();
    assert_names(&refusal(&all), &["broken.npz"]);
}

#[test]
fn shards_are_read_through_their_index() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("model.safetensors.index.json");
    let write = |map: &str| {
        fs::write(&index, format!(r#"{{"metadata":{{}},"weight_map":{map}}}"#)).unwrap()
    };
    fs::write(
        dir.path().join("m-1.safetensors"),
        shard(&["a", "b", "stray"]),
    )
    .unwrap();
    fs::write(dir.path().join("m-2.safetensors"), shard(&["c"])).unwrap();
    fs::write(dir.path().join("unrelated.safetensors"), shard(&["z"])).unwrap();

    write(r#"{"c":"m-2.safetensors","b":"m-1.safetensors","a":"m-1.safetensors"}"#);
    for source in [Source::path(dir.path()), Source::path(&index)] {
        assert_eq!(names(&source), ["c", "a", "b", "stray"]);
        let all = open(&source).unwrap();
        assert_eq!(read_all(&all).unwrap(), 3);
        assert!(matches!(all.entries()[3].content(), Content::Skip(_)));
    }
    assert_eq!(names(&Source::tensor(&index, "b")), ["b"]);

    let message = |map: &str| {
        write(map);
        refusal(&Source::path(dir.path()))
    };
    assert_names(
        &message(r#"{"a":"m-1.safetensors","d":"m-3.safetensors","e":"m-3.safetensors"}"#),
        &["index.json", "m-3.safetensors", "'d'", "1 other"],
    );
    assert_names(
        &message(r#"{"d":"m-2.safetensors"}"#),
        &["'d'", "m-2.safetensors", "its 1 tensors"],
    );
    assert_names(
        &message(r#"{"d":"../x.safetensors"}"#),
        &["'d'", "../x.safetensors", "outside"],
    );
    assert_names(&message(r#"{"d":"/etc/passwd"}"#), &["outside"]);
    assert_names(&message(r#"{"d":""}"#), &["outside"]);
    assert_names(&message(r#"{"d":7}"#), &["weight_map['d']"]);
    assert_names(&message("{}"), &["empty"]);
    fs::write(&index, "{").unwrap();
    assert_names(&refusal(&Source::path(&index)), &["not an index of shards"]);
    fs::write(&index, "[]").unwrap();
    assert_names(&refusal(&Source::path(&index)), &["weight_map"]);
    fs::write(dir.path().join("fp16.safetensors.index.json"), "{}").unwrap();
    assert_names(
        &refusal(&Source::path(dir.path())),
        &["fp16.safetensors.index.json", "several"],
    );

    // A truncated shard is named with its tensor.
    fs::remove_file(dir.path().join("fp16.safetensors.index.json")).unwrap();
    let whole = shard(&["c"]);
    fs::write(
        dir.path().join("m-2.safetensors"),
        &whole[..whole.len() - 1],
    )
    .unwrap();
    assert_names(
        &message(r#"{"c":"m-2.safetensors"}"#),
        &["m-2.safetensors", "'c'", "truncated"],
    );
}

/// A checkpoint far larger than memory is listed and viewed without being read.
#[cfg(unix)]
#[test]
fn listing_and_viewing_do_not_read_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.safetensors");
    let bytes = 1u64 << 40;
    let json =
        format!(r#"{{"w":{{"dtype":"F32","shape":[524288,524288],"data_offsets":[0,{bytes}]}}}}"#);
    fs::write(&path, safetensors(&json, &[])).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    // A file of holes; a file system without them cannot show the property.
    if file.set_len(8 + json.len() as u64 + bytes).is_err() {
        return;
    }
    let all = open(&Source::path(&path)).unwrap();
    let tensor = all.load(0).unwrap();
    let m = tensor.matrix().unwrap();
    assert_eq!((m.rows(), m.cols()), (524_288, 524_288));
    assert_eq!(m.get(524_287, 524_287), (0.0, 0.0));
}

/// Pipes cannot be mapped; they are read instead.
#[cfg(unix)]
#[test]
fn pipes_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe.npy");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|s| s.success()) {
        return;
    }
    let writer = {
        let path = path.clone();
        std::thread::spawn(move || fs::write(path, fs::read(data("formats/le_f4_C.npy")).unwrap()))
    };
    let all = open(&Source::path(&path)).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(rows(&all.load(0).unwrap()), a());
}

/// Tensors outlive their collection and may be loaded from several threads.
#[test]
fn tensors_can_be_loaded_in_parallel() {
    let all = super::open_data("formats/deflated.npz").unwrap();
    let tensors = std::thread::scope(|s| {
        let handles: Vec<_> = (0..3)
            .map(|i| {
                s.spawn({
                    let all = &all;
                    move || all.load(i).unwrap()
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|h| h.join().unwrap())
            .collect::<Vec<_>>()
    });
    drop(all);
    for tensor in &tensors {
        assert_eq!(rows(tensor), a());
    }
}
