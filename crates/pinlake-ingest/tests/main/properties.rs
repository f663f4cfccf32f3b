//! Whatever bytes a body holds: no panic, no answer of 5xx, nothing stored unless the answer says so, values come back as sent.

use axum::body::Body;
use axum::http::Request;
use pinlake_ingest::DoorSettings;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::setup::{KAFKA_JSON, open, post, send, stored};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Bytes that look like a body in part, so that more than the first byte is looked at.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..8),
        prop::sample::select(vec![
            "{\"records\":[",
            "{\"value\":",
            "{\"key\":",
            "\"partition\":",
            "{\"Data\":",
            "\"PartitionKey\":",
            "\"k\"",
            "\"\\ud800\"",
            "\"\\u00",
            "{\"Records\":[",
            "\"data\":",
            "null",
            "1e999999",
            "-",
            "99999999999999999999",
            "[[[[[[[[",
            "}",
            "]",
            ",",
            " ",
            "{\"index\":1}",
            "\"ExplicitHashKey\":",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((".*", inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_body_is_answered_without_a_5xx(body in any_body(), binary: bool) {
        block_on(async {
            let (log, router) = open(DoorSettings::default());
            let kafka = if binary { "application/vnd.kafka.binary.v2+json" } else { KAFKA_JSON };
            for (method, path, content_type) in [
                ("POST", "/topics/a.pin", kafka),
                ("PUT", "/streams/streaming-a/record", "application/json"),
                ("PUT", "/streams/streaming-a/records", "application/json"),
                ("POST", "/streams/new", "application/json"),
                ("GET", "/streams", "application/json"),
                ("POST", "/pin/", "application/json"),
            ] {
                let before = stored(&*log).await.len();
                let request = Request::builder().method(method).uri(path).header("content-type", content_type);
                let (status, _, answer) = send(&router, request.body(Body::from(body.clone())).unwrap()).await;
                assert!(!status.is_server_error(), "{method} {path}: {status} {answer}");
                assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{answer}");
                assert!(status.is_success() || stored(&*log).await.len() == before, "{status} and something stored");
            }
        });
    }

    #[test]
    fn any_path_and_headers_are_answered(path in "/[!-~]{0,40}", content_type in "[ -~]{0,40}", accept in "[ -~]{0,40}", method in "GET|POST|PUT|DELETE|PATCH") {
        block_on(async {
            let Ok(uri) = path.parse::<axum::http::Uri>() else { return };
            let (_, router) = open(DoorSettings::default());
            let request = Request::builder().method(method.as_str()).uri(uri).header("content-type", content_type).header("accept", accept);
            let (status, _, _) = send(&router, request.body(Body::from("{}")).unwrap()).await;
            assert!(status.as_u16() < 500 || status == 501, "{status}");
        });
    }

    #[test]
    fn values_come_back_as_sent(values in proptest::collection::vec(any_json(), 1..6), pretty: bool) {
        block_on(async {
            let (log, router) = open(DoorSettings::default());
            let body = json!({"records": values.iter().map(|value| json!({"value": value})).collect::<Vec<_>>()});
            let body = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() };
            let (status, answer) = post(&router, "a.pin", body).await;
            assert_eq!(status, 200, "{answer}");
            let text = |value: &Value| if value.is_null() { "-".to_owned() } else { value.to_string() };
            let expected: Vec<String> = values.iter().map(|value| format!("a.pin/0 - {}", text(value))).collect();
            assert_eq!(stored(&*log).await, expected);
        });
    }
}

#[tokio::test]
async fn invalid_utf8_is_400_for_the_whole_request() {
    let (log, router) = open(DoorSettings::default());
    let (status, body) = post(&router, "a.pin", b"{\"records\":[{\"value\":1},{\"value\":\"\xff\"}]}".to_vec()).await;
    assert_eq!(status, 400);
    assert!(body.contains("not UTF-8: byte 34"), "{body}");
    assert!(stored(&*log).await.is_empty());
}

#[tokio::test]
async fn a_million_brackets_cost_no_stack() {
    let (log, router) = open(DoorSettings::default());
    let depth = 1_000_000;
    let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let (status, _) = post(&router, "a.pin", format!("{{\"records\":[{{\"value\":{value}}}]}}")).await;
    assert_eq!(status, 200, "a value is text, whatever its depth");
    assert_eq!(stored(&*log).await, [format!("a.pin/0 - {value}")]);
    let (status, _) = post(&router, "a.pin", "[".repeat(depth)).await;
    assert!(status.is_client_error());
}
