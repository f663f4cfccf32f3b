//! Records as clients write them.

use super::*;

fn parsed(text: &str) -> Result<NewRecord, u16> {
    NewRecord::parse(text.as_bytes()).map_err(|error| error.code())
}

#[test]
fn each_type_is_stored_as_it_is_meant() {
    let text = r#"{"partition_id":3,"headers":[{"name":"h","value":"aGk="},{"name":"n","value":null}],
        "key":{"type":"STRING","data":"kä"},"value":{"type":"JSON","data":{ "b" : 1, "a": [1.50] }},"timestamp":"2021-02-05T19:14:42Z"}"#;
    let record = parsed(text).unwrap();
    assert_eq!(record.partition, Some(3));
    assert_eq!(record.timestamp, Some(Timestamp(1_612_552_482_000)));
    assert_eq!(record.headers, [("h".to_owned(), Some(Bytes::from("hi"))), ("n".to_owned(), None)]);
    assert_eq!(record.key, Some(Data { kind: Kind::String, bytes: Bytes::from("kä") }));
    assert_eq!(record.value, Some(Data { kind: Kind::Json, bytes: Bytes::from(r#"{"b":1,"a":[1.50]}"#) }));
    assert!(!record.is_plain());
    let record = parsed(r#"{"value":{"type":"BINARY","data":"AP8="}}"#).unwrap();
    assert_eq!(record.value.as_ref().unwrap().bytes.as_ref(), [0, 255]);
    assert!(record.is_plain());
    for text in
        ["{}", r#"{"value":null,"key":{"type":"JSON","data":null}}"#, r#"{"key":{"data":null},"value":{"type":"STRING"}}"#]
    {
        let record = parsed(text).unwrap();
        assert_eq!((record.key, record.value), (None, None), "{text}");
    }
}

#[test]
fn what_is_wrong_has_its_code() {
    for (text, code) in [
        ("{", 400),
        ("[]", 422),
        (r#"{"partition_id":-1}"#, 422),
        (r#"{"timestamp":"noon"}"#, 422),
        (r#"{"timestamp":-5}"#, 422),
        (r#"{"value":{"type":"BINARY","data":"%"}}"#, 42206),
        (r#"{"value":{"type":"STRING","data":1}}"#, 42206),
        (r#"{"value":{"type":"XML","data":1}}"#, 42206),
        (r#"{"value":{"data":1}}"#, 42206),
        (r#"{"headers":[{"name":"h","value":"%"}]}"#, 42206),
        (r#"{"value":{"type":"AVRO","data":1}}"#, 42207),
        (r#"{"value":{"schema_id":1,"data":1}}"#, 42207),
    ] {
        assert_eq!(parsed(text).unwrap_err(), code, "{text}");
    }
}

#[test]
fn an_answer_says_where_a_record_is() {
    let record = parsed(r#"{"key":{"type":"BINARY","data":"AP8="},"value":{"type":"JSON","data":"x"}}"#).unwrap();
    let answer = record.stored(2, Offset(7), Timestamp(1_600_000_000_123)).answer("c", "t");
    let expected = json!({
        "error_code": 200, "cluster_id": "c", "topic_name": "t", "partition_id": 2, "offset": 7,
        "timestamp": "2020-09-13T12:26:40.123Z", "key": {"type": "BINARY", "size": 2}, "value": {"type": "JSON", "size": 3},
    });
    assert_eq!(answer, expected);
}
