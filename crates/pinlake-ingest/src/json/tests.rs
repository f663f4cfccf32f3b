//! Compaction keeps everything but insignificant white space.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn compacted(text: &str) -> String {
    let mut out = b"before".to_vec();
    if compact(text, &mut out) { String::from_utf8(out.split_off(6)).unwrap() } else { text.to_owned() }
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
fn a_compact_text_is_not_copied() {
    let mut out = Vec::new();
    assert!(!compact(r#"{"a":" x "}"#, &mut out));
    assert!(out.is_empty());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((".*", inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
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
