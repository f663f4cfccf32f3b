//! What the converters make of bytes.

use pinlake_core::{Batch, Record, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn datum(converter: Converter, bytes: &[u8]) -> Result<Datum<'_>, String> {
    converter.convert(Some(bytes)).map(|(datum, _)| datum)
}

fn json_of(text: &str) -> String {
    match datum(Converter::Json, text.as_bytes()).unwrap() {
        Datum::Json(text) => text.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn json_keeps_its_digits_its_order_and_what_strings_hold() {
    assert_eq!(json_of(" { \"b\" : 1.10 ,\n\"a\":\t[ 1 , \"x  y\\\" z\\\\\" ] }\r\n"), r#"{"b":1.10,"a":[1,"x  y\" z\\"]}"#);
    assert_eq!(json_of("12345678901234567890123"), "12345678901234567890123");
    assert!(matches!(datum(Converter::Json, b"{\"a\":1}").unwrap(), Datum::Json(Cow::Borrowed(_))));
}

#[test]
fn what_is_no_json_is_refused() {
    for bytes in [&b""[..], b"{", b"{\"a\":1} x", b"\"\xff\"", b"nul", b"1 2"] {
        assert!(datum(Converter::Json, bytes).unwrap_err().starts_with("is no JSON: "), "{bytes:?}");
    }
    assert!(datum(Converter::Json, "[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn null_is_nothing_whatever_says_so() {
    for converter in [Converter::Bytes, Converter::Text, Converter::Json, Converter::JsonWithSchema] {
        assert!(converter.convert(None).unwrap().0.is_null());
    }
    assert!(datum(Converter::Json, b" null ").unwrap().is_null());
    assert!(datum(Converter::JsonWithSchema, b"null").unwrap().is_null());
    assert!(datum(Converter::JsonWithSchema, br#"{"schema":null,"payload":null}"#).unwrap().is_null());
    assert!(!datum(Converter::Text, b"null").unwrap().is_null());
}

#[test]
fn an_envelope_gives_its_payload_and_nothing_else_is_one() {
    let text = br#"{"payload": { "a": 1 }, "schema": {"type":"struct"}}"#;
    assert_eq!(datum(Converter::JsonWithSchema, text).unwrap(), Datum::Json(Cow::Borrowed("{\"a\":1}")));
    for bytes in [&b"{\"a\":1}"[..], br#"{"payload":1}"#, br#"{"schema":1,"payload":1,"more":1}"#, b"1", br#"[{"type":"x"},1]"#] {
        let why = datum(Converter::JsonWithSchema, bytes).unwrap_err();
        assert!(why.contains("set schemas.enable to false"), "{why}");
    }
}

#[test]
fn a_schema_has_a_number_of_its_own() {
    let number = |schema: &str| {
        let text = format!("{{\"schema\":{schema},\"payload\":1}}");
        Converter::JsonWithSchema.convert(Some(text.as_bytes())).unwrap().1
    };
    assert_eq!(number("{\"type\":\"int32\"}"), number("{ \"type\" : \"int32\" }"));
    assert_ne!(number("{\"type\":\"int32\"}"), number("{\"type\":\"int64\"}"));
    assert_ne!(number("null"), 0);
    assert_eq!(number_of("null"), 0x5b9b_c4ba_5281_08e4, "it must not change between versions");
}

#[test]
fn text_is_utf_8_with_marks_for_what_is_not() {
    assert_eq!(datum(Converter::Text, b"a\xffb").unwrap(), Datum::Text(Cow::Borrowed("a\u{fffd}b")));
}

#[test]
fn a_misfit_names_the_stage_and_the_offset() {
    let batch = Batch::of(&[Record::of_key_value("k", "v")], Timestamp(7)).unwrap();
    let view = batch.records().next().unwrap().unwrap();
    let (stage, why) = Converters { key: Converter::Text, value: Converter::Json }.convert(&view).unwrap_err();
    assert_eq!(stage, Stage::Value);
    assert!(why.starts_with("the value at offset 0 is no JSON: "), "{why}");
    let converted = Converters { key: Converter::Text, value: Converter::Bytes }.convert(&view).unwrap();
    assert_eq!((converted.key, converted.value), (Datum::Text(Cow::Borrowed("k")), Datum::Bytes(b"v")));
    assert_eq!(converted.timestamp, Timestamp(7));
}

/// Any JSON value.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |f| f.is_finite()).prop_map(Value::from),
        "\\PC*|[ \"\\\\\n\t]*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[ a-c\"\\\\]{0,3}", inner), 0..5).prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn json_out_is_the_value_that_came_in_on_one_line(value in values()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        match datum(Converter::Json, text.as_bytes()).unwrap() {
            Datum::Json(text) => prop_assert_eq!(text.as_ref(), value.to_string()),
            Datum::Null => prop_assert!(value.is_null()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        for converter in [Converter::Text, Converter::Json, Converter::JsonWithSchema] {
            let _ = datum(converter, &bytes);
        }
    }
}
