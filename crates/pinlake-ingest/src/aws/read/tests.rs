//! What is read, and what is refused.

use pinlake_core::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::aws::value::Value;

fn values() -> impl Strategy<Value = Value> {
    let simple = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i32>().prop_map(|eighths| Value::Float(f64::from(eighths) / 8.0)),
        any::<String>().prop_map(Value::Text),
        any::<Vec<u8>>().prop_map(|bytes| Value::Blob(bytes.into())),
        (-(1_i64 << 45)..1 << 45).prop_map(|ms| Value::Time(Timestamp(ms))),
    ];
    simple.prop_recursive(4, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            prop::collection::vec((any::<String>().prop_map(Cow::Owned), inner), 0..8).prop_map(Value::Map),
        ]
    })
}

/// What a printed value is read as.
fn node(value: &Value, in_json: bool) -> Node<'_> {
    use base64::Engine;
    match value {
        Value::Null => Node::Null,
        Value::Bool(flag) => Node::Bool(*flag),
        Value::Int(number) => Node::Int(*number),
        Value::Float(number) => Node::Float(*number),
        Value::Text(text) => Node::Text(Cow::Borrowed(text)),
        Value::Blob(bytes) if in_json => Node::Text(base64::engine::general_purpose::STANDARD.encode(bytes).into()),
        Value::Blob(bytes) => Node::Blob(bytes.clone()),
        Value::Time(time) if in_json => Node::Float(time.0 as f64 / 1000.0),
        Value::Time(time) => Node::Time(time.0 as f64),
        Value::List(items) => Node::List(items.iter().map(|item| node(item, in_json)).collect()),
        Value::Map(members) => {
            Node::Map(members.iter().map(|(name, value)| (Cow::Borrowed(&**name), node(value, in_json))).collect())
        }
    }
}

/// Equal but for the last bits of numbers that JSON spells in decimals.
fn alike(left: &Node<'_>, right: &Node<'_>) -> bool {
    match (left, right) {
        (Node::Float(left), Node::Float(right)) => (left - right).abs() < 1e-5,
        (Node::List(left), Node::List(right)) => left.len() == right.len() && left.iter().zip(right).all(|(l, r)| alike(l, r)),
        (Node::Map(left), Node::Map(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| l.0 == r.0 && alike(&l.1, &r.1))
        }
        _ => left == right,
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read(value in values()) {
        let (json_text, cbor_bytes) = (Bytes::from(value.to_json()), Bytes::from(value.to_cbor()));
        let read = json(&json_text).unwrap();
        prop_assert!(alike(&read, &node(&value, true)), "{read:?}");
        prop_assert_eq!(cbor(&cbor_bytes).unwrap(), node(&value, false));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        let bytes = Bytes::from(bytes);
        let _ = (json(&bytes), cbor(&bytes));
    }

    #[test]
    fn what_is_cut_or_changed_is_read_or_refused(value in values(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for (printed, is_json) in [(value.to_json(), true), (value.to_cbor(), false)] {
            let at = at.index(printed.len());
            let mut changed = printed.clone();
            changed[at] = byte;
            let (cut, changed) = (Bytes::from(printed[..at].to_vec()), Bytes::from(changed));
            let _ = (json(&changed), cbor(&changed), json(&cut), cbor(&cut));
            prop_assert!(is_json || cbor(&cut).is_none(), "an item is not shorter than it says");
        }
    }
}

fn cbor_of(bytes: &'static [u8]) -> Option<Node<'static>> {
    cbor(Box::leak(Box::new(Bytes::from_static(bytes))))
}

fn json_of(text: String) -> bool {
    json(&text.into()).is_some()
}

#[test]
fn announced_lengths_are_not_believed() {
    let claims: [&[u8]; 5] = [
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff\x61a",
        b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x7b\x00\x00\x00\x7f\xff\xff\xff\xffabc",
        b"\x9a\xff\xff\xff\xff\x00\x00",
    ];
    for claim in claims {
        assert_eq!(cbor_of(claim), None, "{claim:x?}");
    }
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(json_of(nested(DEPTH_MAX + 1)));
    assert!(!json_of(nested(DEPTH_MAX + 2)));
    assert!(cbor(&[&[0x81; DEPTH_MAX][..], &[0x80]].concat().into()).is_some());
    assert!(cbor(&[&[0x81; DEPTH_MAX + 1][..], &[0x80]].concat().into()).is_none());
    assert!(cbor(&[&[0xc2; 100_000][..], &[0]].concat().into()).is_none(), "tags are levels too");
    assert!(cbor(&[0x9f; 1 << 20][..].to_vec().into()).is_none());

    let many = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    assert!(json_of(many(NODES_MAX - 1)));
    assert!(!json_of(many(NODES_MAX)));
    let many = |count: usize| Bytes::from(Value::List(vec![Value::Int(0); count]).to_cbor());
    assert!(cbor(&many(NODES_MAX - 1)).is_some());
    assert!(cbor(&many(NODES_MAX)).is_none());
}

#[test]
fn every_form_of_cbor_is_read() {
    let text = |text: &'static str| Node::Text(Cow::Borrowed(text));
    let bytes = |bytes: &'static [u8]| Node::Blob(Bytes::from_static(bytes));
    let forms: Vec<(&'static [u8], Option<Node<'static>>)> = vec![
        (b"\xbf\x61a\x01\xff", Some(Node::Map(vec![("a".into(), Node::Int(1))]))),
        (b"\x9f\x01\x9f\xff\xff", Some(Node::List(vec![Node::Int(1), Node::List(Vec::new())]))),
        (b"\x7f\x61a\x62bc\xff", Some(text("abc"))),
        (b"\x5f\x41a\x42bc\xff", Some(bytes(b"abc"))),
        (b"\xf7", Some(Node::Null)),
        (b"\xf9\x3c\x00", Some(Node::Float(1.0))),
        (b"\xfa\x3f\x80\x00\x00", Some(Node::Float(1.0))),
        (b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", Some(Node::Float(18_446_744_073_709_551_615.0))),
        (b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff", Some(Node::Float(-18_446_744_073_709_551_616.0))),
        (b"\xc1\x1b\x00\x00\x01\x74\x87\x6e\x80\x07", Some(Node::Time(1_600_000_000_007.0))),
        (b"\xc1\xfb\x42\x77\x48\x76\xe8\x00\x70\x00", Some(Node::Time(1_600_000_000_007.0))),
        (b"\xd9\xd9\xf7\x01", Some(Node::Int(1))),
        (b"\xbf\x61a\xff", None),
        (b"\xa1\x01\x01", None),
        (b"\xff", None),
        (b"\x01\x01", None),
        (b"\x62\xff\xff", None),
        (b"", None),
    ];
    for (sent, expected) in forms {
        assert_eq!(cbor_of(sent), expected, "{sent:x?}");
    }
}

#[test]
fn texts_and_bytes_stay_where_they_were_sent() {
    let body = Bytes::from_static(b"\xa1\x61B\x43abc");
    let Some(Node::Map(members)) = cbor(&body) else { panic!() };
    let Node::Blob(bytes) = &members[0].1 else { panic!() };
    assert_eq!(bytes.as_ptr(), body[4..].as_ptr());
    let body = Bytes::from_static(br#"{"a":"b"}"#);
    let Some(Node::Map(members)) = json(&body) else { panic!() };
    assert!(matches!(&members[0], (Cow::Borrowed("a"), Node::Text(Cow::Borrowed("b")))));
}

#[test]
fn json_is_one_text_and_nothing_else() {
    for text in ["", " ", "{", "{}{}", "{} x", "hello", "{'a':1}", "nul", "\u{feff}{}", "{\"a\":\"\\ud800\"}"] {
        assert!(!json_of(text.to_owned()), "{text}");
    }
    assert!(json_of(" {} \n".to_owned()));
    assert!(json(&Bytes::from_static(b"{\"a\":\"\xff\"}")).is_none());
}
