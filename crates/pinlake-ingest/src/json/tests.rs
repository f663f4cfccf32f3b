//! Compaction keeps everything but insignificant white space.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

fn compacted(text: &str) -> String {
    let mut out = b"before".to_vec();
    compact(text, &mut out);
    String::from_utf8(out.split_off(6)).unwrap()
}

#[test]
fn only_insignificant_white_space_goes() {
    for (sent, kept) in [
        ("{}", "{}"),
        (
            " \n{ \"a b\" :\t[ 1.0e+5 , 1.00, -0, 12345678901234567890123 ] }\r\n",
            "{\"a b\":[1.0e+5,1.00,-0,12345678901234567890123]}",
        ),
        (r#"{"z": " \" , \\", "a": "\\"}"#, r#"{"z":" \" , \\","a":"\\"}"#),
        (r#""\u0020 \ud800 é""#, r#""\u0020 \ud800 é""#),
        ("  null ", "null"),
        (r#"{"b":1,"a":2,"b":3}"#, r#"{"b":1,"a":2,"b":3}"#),
    ] {
        assert_eq!(compacted(sent), kept);
    }
}

#[test]
fn a_compact_value_is_not_copied() {
    let body = bytes::Bytes::from_static(br#" {"a":" x "} "#);
    let mut records = Records::over(body.clone());
    let text = std::str::from_utf8(&body).unwrap();
    let span = Scanner::new(text).value().unwrap().span(&mut records);
    assert_eq!(records.bytes(span), br#"{"a":" x "}"#);
    assert_eq!(records.bytes(span).as_ptr(), body[1..].as_ptr());
    let span = Scanner::new(r#" {"a" : 1} "#).value().unwrap().span(&mut records);
    assert_eq!(records.bytes(span), br#"{"a":1}"#);
}

#[test]
fn strings_are_unescaped() {
    let string = |text: &str| Scanner::new(text).value().unwrap().string().map(Cow::into_owned);
    assert_eq!(string(r#" "a b" "#).as_deref(), Some("a b"));
    assert_eq!(string(r#""\u00e9\"\\""#).as_deref(), Some("é\"\\"));
    assert_eq!(string(r#""\ud800""#), None);
    assert_eq!(string("1"), None);
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        ".*".prop_map(Json::from)
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            proptest::collection::vec((".*", inner), 0..6).prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_pretty_text_compacts_to_the_compact_text(value in any_json()) {
        prop_assert_eq!(compacted(&serde_json::to_string_pretty(&value).unwrap()), serde_json::to_string(&value).unwrap());
    }

    #[test]
    fn any_text_is_compacted_without_panic(text in ".*") {
        compacted(&text);
    }
}
