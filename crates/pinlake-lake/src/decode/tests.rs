//! Every form of payload and every way it can be wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::*;

fn decoder() -> Decoder {
    let column = |name: &str, kind| RawColumn { name: name.to_owned(), kind };
    Decoder::new(&[
        column("ind", RawType::Bigint),
        column("name", RawType::String),
        column("price", RawType::Double),
        column("ok", RawType::Boolean),
    ])
}

/// The `ind` and the record of each row.
type Rows = Vec<(i64, u32)>;
/// The record and the reason of each reject.
type Rejects = Vec<(u32, String)>;

/// The `ind`s of the decoded rows with their sources, and the reasons of the others.
fn decode(records: &[&str]) -> (Rows, Rejects) {
    let bytes: Vec<&[u8]> = records.iter().map(|record| record.as_bytes()).collect();
    let decoded = decoder().decode(&bytes).unwrap();
    let inds = decoded.rows.column(0).as_primitive::<Int64Type>().iter().map(|ind| ind.unwrap_or(-1));
    (inds.zip(decoded.sources).collect(), decoded.rejected.into_iter().map(|reject| (reject.record, reject.reason)).collect())
}

fn reasons(record: &str) -> String {
    let (rows, rejected) = decode(&[r#"{"ind":1}"#, record, r#"{"ind":2}"#]);
    assert_eq!(rows, [(1, 0), (2, 2)], "the records beside {record} are decoded");
    assert_eq!(rejected.len(), 1, "{record}");
    rejected[0].1.clone()
}

#[test]
fn plain_objects_are_decoded_together() {
    let (rows, rejected) = decode(&[r#"{"ind":1,"name":"a","price":1.5,"ok":true,"other":[1,{"x":2}]}"#, r#" {"name":null} "#]);
    assert_eq!(rows, [(1, 0), (-1, 1)]);
    assert!(rejected.is_empty());
}

#[test]
fn wrapped_objects_are_unwrapped() {
    let plain = r#"{"ind":7}"#;
    let string = serde_json::to_string(plain).unwrap();
    let twice = serde_json::to_string(&string).unwrap();
    let base64 = STANDARD.encode(plain);
    let base64_string = format!("\"{base64}\"");
    let base64_of_string = STANDARD.encode(&string);
    let records = [plain, &string, &twice, &base64, &base64_string, &base64_of_string];
    let (rows, rejected) = decode(&records);
    assert_eq!(rows, (0..6).map(|source| (7, source)).collect::<Vec<_>>());
    assert!(rejected.is_empty(), "{rejected:?}");
}

#[test]
fn too_many_wrappings_are_refused() {
    let mut wrapped = r#"{"ind":7}"#.to_owned();
    for _ in 0..4 {
        wrapped = serde_json::to_string(&wrapped).unwrap();
    }
    assert_eq!(reasons(&wrapped), "wrapped more than 3 deep");
}

#[test]
fn poison_is_set_aside_with_the_reason() {
    for (record, reason) in [
        ("", "empty"),
        (r#""""#, "empty"),
        ("[1]", "a JSON array, not an object"),
        ("true", "a JSON boolean, not an object"),
        ("1234", "a JSON number, not an object"),
        ("not json", "not JSON: expected ident at line 1 column 2"),
        (r#"{"ind":1"#, "not JSON: EOF while parsing an object at line 1 column 8"),
        (r#"{"ind":1}{"ind":2}"#, "not JSON: trailing characters at line 1 column 10"),
        (r#"{"name":{"a":1}}"#, "name is nested, not a plain value"),
        (r#"{"ind":1.5}"#, "ind is '1.5', not a whole number"),
        (r#"{"ind":"x"}"#, "ind is 'x', not a whole number"),
        (r#"{"ind":99999999999999999999}"#, "ind is '99999999999999999999', not a whole number"),
        (r#"{"ind":true}"#, "ind is 'true', not a whole number"),
        (r#"{"price":"1e999"}"#, "price is '1e999', not a number"),
        (r#"{"ok":"yes"}"#, "ok is 'yes', not true or false"),
    ] {
        assert_eq!(reasons(record), reason, "{record}");
    }
}

#[test]
fn numbers_are_taken_as_they_are_written() {
    let (rows, rejected) = decode(&[r#"{"ind":9223372036854775807}"#, r#"{"ind":"12"}"#, r#"{"ind":12.0}"#, r#"{"ind":-3}"#]);
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [i64::MAX, 12, 12, -3]);
    assert!(rejected.is_empty());
}

#[test]
fn invalid_utf8_is_set_aside() {
    let decoded = decoder().decode(&[b"{\"ind\":1}", b"{\"name\":\"\xff\xfe\"}", b"\xff"]).unwrap();
    assert_eq!(decoded.sources, [0]);
    assert_eq!(decoded.rejected.len(), 2);
}

/// Pieces that make sense only together must not decode into rows that belong to no record.
#[test]
fn pieces_of_objects_never_join_across_records() {
    let (rows, rejected) = decode(&[r#"{"name":"}"#, r#"{","ind":1}"#, r#"{"ind":3}{"ind":4}"#, r#"{"ind":5}"#]);
    assert_eq!(rows, [(5, 3)]);
    assert_eq!(rejected.len(), 3);
}

proptest! {
    #[test]
    fn every_record_ends_up_once(records in proptest::collection::vec(prop_oneof![
        any::<Vec<u8>>(),
        "[\\{\\}\":,a-z0-9\\[\\] ]{0,20}".prop_map(String::into_bytes),
        (0..1000_i64).prop_map(|ind| format!("{{\"ind\":{ind}}}").into_bytes()),
    ], 0..30)) {
        let bytes: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let decoded = decoder().decode(&bytes).unwrap();
        let mut seen: Vec<u32> = decoded.sources.iter().copied().chain(decoded.rejected.iter().map(|reject| reject.record)).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..u32::try_from(records.len()).unwrap()).collect::<Vec<_>>());
        prop_assert_eq!(decoded.rows.num_rows(), decoded.sources.len());
    }
}
