//! The table against the public service model, as botocore has it. `PINLAKE_TEST_AWS_PYTHON` names a python that has botocore; without
//! it the test says so and is skipped.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value as Json, json};

use super::*;

#[test]
fn kinesis_is_as_its_service_model_states() {
    check("kinesis", &kinesis::MODEL);
}

#[test]
fn firehose_is_as_its_service_model_states() {
    check("firehose", &firehose::MODEL);
}

fn check(service: &str, model: &Model) {
    let Some(python) = std::env::var_os("PINLAKE_TEST_AWS_PYTHON") else {
        eprintln!("skipped: PINLAKE_TEST_AWS_PYTHON names no python that has botocore");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/kinesis/service_model.py");
    let printed = Command::new(python).arg(script).arg(service).args(others(model)).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let stated: Map<String, Json> = serde_json::from_slice(&printed.stdout).unwrap();
    for operation in &model.operations {
        let name = operation.0.name;
        assert_eq!(Some(&described(&operation.0)), stated.get(name), "{name}");
    }
}

/// The structures that the table does not look into.
fn others(model: &Model) -> Vec<&'static str> {
    fn add(shape: &Shape, name: &'static str, found: &mut Vec<&'static str>) {
        match shape {
            Shape::Other => found.push(name),
            Shape::Structure(of) => of.members.iter().for_each(|member| add(&member.shape, member.name, found)),
            Shape::List { item, .. } => add(item, name, found),
            _ => {}
        }
    }
    let mut found = Vec::new();
    let members = model.operations.iter().flat_map(|operation| &operation.0.members);
    members.for_each(|member| add(&member.shape, member.name, &mut found));
    found
}

/// A structure as the script prints it.
fn described(structure: &Structure) -> Json {
    let members = structure.members.iter().map(|member| {
        let mut shape = shape(&member.shape);
        shape["required"] = json!(member.required == member.as_aws);
        (member.name.to_owned(), shape)
    });
    json!({"kind": "structure", "members": members.collect::<Map<_, _>>()})
}

fn shape(shape: &Shape) -> Json {
    let bounded = |kind: &str, bounds: &Bounds| json!({"kind": kind, "min": bounds.min, "max": bounds.max});
    match shape {
        Shape::Text { length, pattern } => {
            let mut text = bounded("text", length);
            text["pattern"] = json!(pattern.as_ref().map(|pattern| pattern.text));
            text
        }
        Shape::Enum(values) => json!({"kind": "enum", "values": values}),
        Shape::Int(bounds) => bounded("int", bounds),
        Shape::Flag => json!({"kind": "flag"}),
        Shape::Time => json!({"kind": "time"}),
        Shape::Blob(length) => bounded("blob", length),
        Shape::List { length, item } => {
            let mut list = bounded("list", length);
            list["item"] = self::shape(item);
            list
        }
        Shape::Map { length, key, value } => {
            let mut map = bounded("map", length);
            map["key"] = self::shape(key);
            map["value"] = self::shape(value);
            map
        }
        Shape::Structure(structure) => described(structure),
        Shape::Other => json!({"kind": "other"}),
    }
}
