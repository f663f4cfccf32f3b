//! The forms of `Accept` and `Content-Type` in the field.

use axum::http::HeaderValue;

use super::*;

fn accept(values: &[&str]) -> Result<Answer, RestError> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
    }
    answer_type(&headers)
}

#[test]
fn accept_is_met_or_refused() {
    use Answer::{Json, Kafka};
    for (values, expected) in [
        (&[][..], Some(Kafka)),
        (&["*/*"], Some(Kafka)),
        (&["application/*"], Some(Kafka)),
        (&["application/vnd.kafka.v2+json"], Some(Kafka)),
        (&["application/vnd.kafka.json.v2+json"], Some(Kafka)),
        (&["Application/VND.kafka.v2+JSON ; q=0.9"], Some(Kafka)),
        (&["application/vnd.kafka.v2+json; q=0.9, application/json; q=0.5"], Some(Kafka)),
        (&["application/json"], Some(Json)),
        (&["text/csv, application/json;q=0.1"], Some(Json)),
        (&["text/csv", "application/json"], Some(Json)),
        (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Some(Json)),
        (&["text/csv"], None),
        (&["text/csv, */*;q=0"], None),
        (&["application/vnd.kafka.v3+json"], None),
        (&[""], Some(Kafka)),
        (&[" , "], Some(Kafka)),
        (&["", "application/json"], Some(Json)),
        (&["text/csv,"], None),
    ] {
        assert_eq!(accept(values).ok(), expected, "{values:?}");
    }
}

#[test]
fn content_type_sets_the_format() {
    let format = |value: &str, plain: bool| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
        format_of(&headers, "t", plain).ok()
    };
    assert_eq!(format("application/vnd.kafka.json.v2+json", false), Some(Format::Json));
    assert_eq!(format("APPLICATION/vnd.kafka.json.v2+json;charset=utf-8", false), Some(Format::Json));
    assert_eq!(format("application/vnd.kafka.binary.v2+json ; charset=utf-8", false), Some(Format::Binary));
    assert_eq!(format("application/json", true), Some(Format::Json));
    for refused in
        ["application/json", "application/vnd.kafka.v2+json", "application/vnd.kafka.protobuf.v2+json", "text/plain", ""]
    {
        assert_eq!(format(refused, false), None, "{refused}");
    }
}
