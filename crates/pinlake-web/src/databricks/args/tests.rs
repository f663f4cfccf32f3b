//! Fields of every kind, as clients send them and as they should not.

use axum::body::Body;
use axum::extract::FromRequest;
use axum::http::Request;
use axum::response::IntoResponse;
use serde_json::json;

use super::{Args, Failure};

async fn read(uri: &str, body: impl Into<Body>) -> Result<Args, Failure> {
    let request = Request::builder().uri(uri).header("host", "example:1").body(body.into()).unwrap();
    Args::from_request(request, &()).await
}

async fn of(body: serde_json::Value) -> Args {
    read("/", body.to_string()).await.unwrap()
}

fn said(failure: &Failure) -> (u16, String) {
    (failure.status.as_u16(), format!("{}: {}", failure.code, failure.message))
}

#[tokio::test]
async fn query_and_body_are_one_and_the_query_wins() {
    let args = read("/?run_id=7&name=a%20b%26c&flag=True&page_token=", r#"{"run_id":1,"job_id":2,"gone":null}"#).await.unwrap();
    let fields = args.fields();
    assert_eq!(fields.number("run_id").unwrap(), Some(7));
    assert_eq!(fields.number("job_id").unwrap(), Some(2));
    assert_eq!(fields.number("page_token").unwrap(), None);
    assert_eq!(fields.text("name").unwrap().as_deref(), Some("a b&c"));
    assert!(fields.flag("flag").unwrap() && !fields.flag("gone").unwrap());
    assert_eq!(args.host.as_deref(), Some("example:1"));
}

#[tokio::test]
async fn numbers_and_texts_stand_for_each_other() {
    let args = of(json!({ "a": " 12 ", "b": 12, "c": true, "d": {"x": 1, "y": null, "z": "t"}, "e": [1, "b"] })).await;
    let fields = args.fields();
    assert_eq!(fields.needed_number("a").unwrap(), 12);
    assert_eq!(fields.text("b").unwrap().as_deref(), Some("12"));
    assert_eq!(fields.text("c").unwrap().as_deref(), Some("true"));
    let dictionary: Vec<_> = fields.dictionary("d").unwrap().into_iter().collect();
    assert_eq!(format!("{dictionary:?}"), r#"[("x", "1"), ("y", ""), ("z", "t")]"#);
    assert_eq!(fields.texts("e").unwrap(), ["1", "b"]);
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_place() {
    let args = of(json!({
        "n": 1.5, "t": [], "f": "maybe", "o": 3, "l": {}, "tasks": [{"a": {"b": "x"}}, 5], "d": {"k": []}, "far": 9_999_999, "long": "x".repeat(500),
        "big": 99999999999999999999_f64,
    }))
    .await;
    let fields = args.fields();
    let wrong = |failure: Failure| said(&failure).1;
    assert_eq!(wrong(fields.number("n").unwrap_err()), "INVALID_PARAMETER_VALUE: 'n' takes a whole number, not 1.5");
    assert!(wrong(fields.number("big").unwrap_err()).contains("'big' takes a whole number"));
    assert_eq!(wrong(fields.text("t").unwrap_err()), "INVALID_PARAMETER_VALUE: 't' takes text, not []");
    assert!(wrong(fields.flag("f").unwrap_err()).contains("'f' takes true or false"));
    assert!(wrong(fields.object("o").unwrap_err()).contains("'o' takes an object, not 3"));
    assert!(wrong(fields.list("l").unwrap_err()).contains("'l' takes a list"));
    assert!(wrong(fields.objects("tasks").unwrap_err()).contains("'tasks[1]' takes an object, not 5"));
    assert!(wrong(fields.dictionary("d").unwrap_err()).contains("'d.k' takes text"));
    assert_eq!(wrong(fields.needed_text("none").unwrap_err()), "INVALID_PARAMETER_VALUE: Missing required field: none");
    assert!(wrong(fields.number_in("far", 1, 0, 100).unwrap_err()).contains("'far' takes 0 to 100, not 9999999"));
    assert!(wrong(fields.number("long").unwrap_err()).chars().count() < 300);
}

#[tokio::test]
async fn bodies_that_are_no_object_are_malformed() {
    for body in ["[]", "5", "\"x\"", "{", "{\"a\":}", "\u{1}", "{\"a\":1}x"] {
        let (status, message) = said(&read("/", body).await.unwrap_err());
        assert_eq!((status, message.starts_with("MALFORMED_REQUEST: the body ")), (400, true), "{body}: {message}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(said(&read("/", format!("{{\"a\":{deep}")).await.unwrap_err()).0, 400);
    for body in ["", "  \n", "null", "{}"] {
        assert!(read("/", body).await.is_ok(), "{body:?}");
    }
}

#[tokio::test]
async fn errors_say_when_to_come_back() {
    let busy = Failure::from(pinlake_core::Error::retry("too much")).into_response();
    assert_eq!(busy.status(), 503);
    assert_eq!(busy.headers()["retry-after"], "1");
}
