//! `schema/isometer-1.json` against what the commands print, by a validator of the keywords it uses.

use super::files::{directory, f32s, safetensors};
use super::run_in;
use serde_json::{Value, json};

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/isometer-1.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The first complaint about `value`, with its place; an unknown keyword is a complaint, too.
fn complaint(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    for (keyword, wanted) in schema.as_object().unwrap() {
        let list = || wanted.as_array().unwrap().iter();
        let found = match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" => None,
            "$ref" => {
                let pointer = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                complaint(root, root.pointer(pointer).unwrap(), value, at)
            }
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("{other} is no type"),
                };
                let fits = match wanted {
                    Value::Array(names) => names.iter().any(is),
                    name => is(name),
                };
                (!fits).then(|| format!("{at}: {value} is no {wanted}"))
            }
            "const" => (value != wanted).then(|| format!("{at}: {value} is not {wanted}")),
            "enum" => (!list().any(|w| w == value)).then(|| format!("{at}: {value} not allowed")),
            "minimum" => (value.as_f64() < wanted.as_f64() && value.is_number())
                .then(|| format!("{at}: {value} is below {wanted}")),
            "required" => value.as_object().and_then(|map| {
                let missing = list().find(|k| !map.contains_key(k.as_str().unwrap()))?;
                Some(format!("{at}: {missing} is missing"))
            }),
            "properties" => value.as_object().and_then(|map| {
                let known = wanted.as_object().unwrap().iter();
                known
                    .filter_map(|(k, s)| Some((k, s, map.get(k)?)))
                    .find_map(|(k, s, v)| complaint(root, s, v, &format!("{at}/{k}")))
            }),
            "items" => value.as_array().and_then(|items| {
                let place = |i: usize| format!("{at}/{i}");
                let mut items = items.iter().enumerate();
                items.find_map(|(i, v)| complaint(root, wanted, v, &place(i)))
            }),
            "anyOf" => {
                let each: Option<Vec<String>> =
                    list().map(|s| complaint(root, s, value, at)).collect();
                each.map(|all| all.join(" | "))
            }
            other => Some(format!("the validator does not know {other}")),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The definition that a document is to be held against: by its command, or by its failure.
fn against(root: &Value, document: &Value) -> Option<String> {
    let name = match (&document["command"], document.get("error")) {
        (_, Some(_)) => "error",
        (Value::Null, None) => "greeting",
        (command, None) => command.as_str().unwrap(),
    };
    let definition = root.pointer(&format!("/$defs/{name}"));
    complaint(root, definition.expect(name), document, name)
        .or_else(|| complaint(root, root, document, "document"))
}

#[test]
fn every_document_fits_the_published_schema() {
    let entries: Vec<f32> = (0..36).map(|i| ((i * 7) % 5) as f32 - 1.5).collect();
    let here = directory(&[
        (
            "a.safetensors",
            safetensors(&[
                ("fc.weight", "F32", vec![4, 4], f32s(&entries[..16])),
                ("conv.weight", "F32", vec![2, 2, 3, 3], f32s(&entries)),
                ("fc.bias", "F32", vec![4], f32s(&entries[..4])),
                ("steps", "I64", vec![1], vec![0; 8]),
            ]),
        ),
        (
            "bad.safetensors",
            safetensors(&[("fc.weight", "F32", vec![1, 2], f32s(&[f32::NAN, 1.0]))]),
        ),
        ("m.txt", b"2 1\n1 3\n".to_vec()),
        ("zero.txt", b"0 0\n0 0\n".to_vec()),
        ("torn.npy", b"\x93NUMPY\x01".to_vec()),
    ]);
    let root = schema();
    let mut commands = Vec::new();
    for line in "
cond m.txt --spectrum --fail-above 2
cond zero.txt --estimate
cond a.safetensors bad.safetensors
cond a.safetensors::conv.weight --conv 6x6 --padding zeros
product m.txt zero.txt
product --gaussian 3x4 --leading 1
product bad.safetensors
predict --depth 3 --width 8 --activation relu --cdf 0
predict --depth 3 --width 8 --activation tanh --sigma-w2 9
predict --depth 3 --width 8 --activation linear --residual 0.5
predict --depth 3 --width 8 --activation relu --normalization batch:8
check --depth 2 --width 4 --activation relu --samples 20
alpha --depth 2 --width 4 --activation relu --sweep 0.5,2
gain --activation relu --activation tanh
precision --depth 2 --width 4 --activation relu
precision a.safetensors
phase --activation tanh --resolution 4 --out p.svg
bound m.txt zero.txt
bound --gaussian 2x3 --activation relu
audit a.safetensors bad.safetensors torn.npy
audit a.safetensors --finite-only
diff a.safetensors bad.safetensors
diff a.safetensors a.safetensors --all
explain
explain nan
step descent --curvature 1,4 --lr 0.1
step descent --matrix m.txt
step descent --matrix zero.txt
step clip a.safetensors --max-norm 1
step lars a.safetensors --gradients a.safetensors
step lamb a.safetensors --gradients a.safetensors
symmetry a.safetensors
symmetry zero.txt bad.safetensors
claims large-alpha-vanishes
completions fish
man
cond missing.npy
cond torn.npy
bogus"
        .lines()
    {
        let mut args: Vec<&str> = line.split_whitespace().collect();
        args.push("--json");
        let run = run_in(here.path(), &args, b"");
        let document = run.json();
        if let Some(complaint) = against(&root, &document) {
            panic!("isometer {line}: {complaint}");
        }
        commands.extend(document["command"].as_str().map(String::from));
    }
    // nothing was left out
    for name in root["$defs"].as_object().unwrap().keys() {
        let helper = ["number", "enclosure", "certainty", "error", "greeting"];
        assert!(
            helper.contains(&name.as_str()) || commands.contains(name),
            "no document of {name} was held against its definition"
        );
    }
}

/// The control: documents that break the contract are told from those that keep it.
#[test]
fn the_schema_refuses_what_breaks_the_contract() {
    let root = schema();
    let run = run_in(
        std::path::Path::new("."),
        &["cond", "-", "--json"],
        b"1 2\n3 4\n",
    );
    let sound = run.json();
    assert_eq!(against(&root, &sound), None);
    for (pointer, broken) in [
        ("/schema", json!("isometer/2")),
        ("/verdict", json!(null)),
        ("/results", json!({})),
        ("/results/0/shape", json!("2x2")),
        ("/results/0/certainty", json!("sure")),
        ("/results/0/cond/value", json!("large")),
        ("/results/0/cond", json!({"value": 1.0})),
    ] {
        let mut document = sound.clone();
        *document.pointer_mut(pointer).unwrap() = broken;
        assert!(against(&root, &document).is_some(), "{pointer}");
    }
}
