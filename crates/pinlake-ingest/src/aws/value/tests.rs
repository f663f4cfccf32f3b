//! How values are printed.

use super::*;

fn json(value: &Value) -> String {
    String::from_utf8(value.to_json()).unwrap()
}

fn all() -> Value {
    Value::map([
        ("Null", Value::List(vec![Value::Null])),
        ("Gone", Value::Null),
        ("Flag", true.into()),
        ("Number", (-5_i64).into()),
        ("Float", 0.5.into()),
        ("Text", "a\"\\\n\u{1}é".into()),
        ("Blob", Bytes::from_static(b"\x00\xff").into()),
        ("Time", Timestamp(1_600_000_000_007).into()),
        ("Before", Timestamp(-1500).into()),
        ("Map", Value::Map(Vec::new())),
    ])
}

#[test]
fn json_is_compact_with_base64_and_seconds() {
    let expected = r#"{"Null":[null],"Flag":true,"Number":-5,"Float":0.5,"Text":"a\"\\\n\u0001é","Blob":"AP8=","Time":1600000000.007,"Before":-1.500,"Map":{}}"#;
    assert_eq!(json(&all()), expected);
}

#[test]
fn cbor_has_bytes_and_tagged_milliseconds() {
    let value = Value::map([("B", Bytes::from_static(b"\x00\xff").into()), ("T", Timestamp(1_600_000_000_007).into())]);
    let expected = b"\xa2\x61B\x42\x00\xff\x61T\xc1\x1b\x00\x00\x01\x74\x87\x6e\x80\x07";
    assert_eq!(value.to_cbor(), expected);
}
