//! The API's description against the routes and against real answers: neither may say more than the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Answer, get, router, send};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

async fn document() -> Value {
    get("/api/v1/openapi.json").await.json()
}

/// Every method and path of the document.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(|(method, operation)| (method.clone(), path.clone(), operation))
    });
    each.collect()
}

/// The path with the examples of its parameters in their places, and those of the query behind it.
fn example_path(path: &str, operation: &Value) -> String {
    let (mut path, mut query) = (path.to_owned(), Vec::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        let example = match &parameter["example"] {
            Value::String(text) => text.clone(),
            Value::Null => panic!("parameter '{name}' of {path} has no example"),
            other => other.to_string(),
        };
        match parameter["in"].as_str().unwrap() {
            "path" => path = path.replace(&format!("{{{name}}}"), &example),
            _ => query.push(format!("{name}={example}")),
        }
    }
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

/// Sends an operation as its examples show it.
async fn example(method: &str, path: &str, operation: &Value) -> Answer {
    let body = &operation["requestBody"]["content"]["application/json"]["example"];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(router(&Arc::default()), &method.to_uppercase(), &example_path(path, operation), &[], body).await
}

#[tokio::test]
async fn the_document_and_the_routes_name_the_same_operations() {
    let document = document().await;
    let described: BTreeSet<(String, String)> =
        operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    // The routes can't be listed from outside: the paths are read from their table, the methods are tried.
    let mut served = BTreeSet::new();
    for line in include_str!("../../src/routes.rs").lines() {
        let Some(path) = line.trim().trim_start_matches('(').strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
            continue;
        };
        if !path.starts_with("/api/v1/") {
            continue;
        }
        for method in METHODS {
            let sample = path.replace("{partition}", "0").replace("{offset}", "0").replace(['{', '}'], "");
            let answer = send(router(&Arc::default()), &method.to_uppercase(), &sample, &[], "").await;
            if answer.status != 405 {
                served.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    assert_eq!(described, served);
}

#[tokio::test]
async fn every_example_is_answered_as_the_document_says() {
    let document = document().await;
    for (method, path, operation) in operations(&document) {
        let answer = example(&method, &path, operation).await;
        let status = answer.status.as_u16().to_string();
        let response = &operation["responses"][&status];
        assert!(answer.status.is_success() && response.is_object(), "{method} {path} answers {status}: {}", answer.body);
        let schema = &response["content"]["application/json"]["schema"];
        if let Some(stream) = response["content"]["text/event-stream"]["schema"].as_object() {
            let stream = Value::Object(stream.clone());
            assert!(answer.header("content-type") == "text/event-stream" && answer.body.contains("\ndata: "), "{}", answer.body);
            for event in answer.body.lines().filter_map(|line| line.strip_prefix("data: ")) {
                check(&document, &stream, &serde_json::from_str(event).unwrap())
                    .unwrap_or_else(|wrong| panic!("{path}: {wrong}"));
            }
        } else if schema.is_null() {
            assert_eq!(answer.body, "", "{method} {path}");
        } else {
            check(&document, schema, &answer.json()).unwrap_or_else(|wrong| panic!("{method} {path}: {wrong}"));
        }
    }
}

#[tokio::test]
async fn request_examples_and_errors_fit_the_document() {
    let document = document().await;
    for (method, path, operation) in operations(&document) {
        let content = &operation["requestBody"]["content"]["application/json"];
        if content.is_object() {
            check(&document, &content["schema"], &content["example"]).unwrap_or_else(|wrong| panic!("{method} {path}: {wrong}"));
        }
    }
    let error = get("/api/v1/topics/none").await.json();
    check(&document, &document["components"]["responses"]["NotFound"]["content"]["application/json"]["schema"], &error).unwrap();
}

#[test]
fn the_check_refuses_what_does_not_fit() {
    let schema = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": { "a": { "type": ["integer", "null"] }, "b": { "type": "array", "items": { "type": "string", "enum": ["x"] } } }
    });
    let of = |value: Value| check(&Value::Null, &schema, &value);
    of(serde_json::json!({ "a": null, "b": ["x"] })).unwrap();
    for wrong in ["{}", r#"{"a":1.5}"#, r#"{"a":1,"c":1}"#, r#"{"a":1,"b":["y"]}"#, r#"{"a":1,"b":{}}"#, "[]"] {
        of(serde_json::from_str(wrong).unwrap()).unwrap_err();
    }
}

/// As much of JSON Schema as the document uses; what it does not know is a mistake in the document.
fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).ok_or(format!("{reference} is not there"))?;
        return check(document, target, value);
    }
    if let Some(cases) = schema["oneOf"].as_array() {
        let fits = cases.iter().filter(|case| check(document, case, value).is_ok()).count();
        return if fits == 1 { Ok(()) } else { Err(format!("{value} fits {fits} of the cases")) };
    }
    let listed = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    if !listed(&schema["type"]).iter().any(|kind| is_of(kind.as_str().unwrap_or("nothing"), value)) {
        return Err(format!("{value} is not of type {}", schema["type"]));
    }
    if schema["enum"].as_array().is_some_and(|cases| !cases.contains(value)) {
        return Err(format!("{value} is none of {}", schema["enum"]));
    }
    for item in value.as_array().into_iter().flatten() {
        if !schema["items"].is_null() {
            check(document, &schema["items"], item)?;
        }
    }
    value.as_object().map_or(Ok(()), |object| check_object(document, schema, object))
}

fn check_object(document: &Value, schema: &Value, object: &Map<String, Value>) -> Result<(), String> {
    for name in schema["required"].as_array().into_iter().flatten() {
        if !object.contains_key(name.as_str().unwrap()) {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, value) in object {
        let property = &schema["properties"][name];
        let other = &schema["additionalProperties"];
        match (property.is_null(), other) {
            (false, _) => check(document, property, value).map_err(|wrong| format!("{name}: {wrong}"))?,
            (true, Value::Bool(false)) => return Err(format!("'{name}' is not described")),
            (true, Value::Object(_)) => check(document, other, value).map_err(|wrong| format!("{name}: {wrong}"))?,
            (true, _) => {}
        }
    }
    Ok(())
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("the document names a type '{other}'"),
    }
}
