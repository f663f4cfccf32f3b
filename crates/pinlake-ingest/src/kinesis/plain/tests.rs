//! What is read at once is what the model reads, and the usual bodies are read at once.

use proptest::prelude::*;

use super::*;
use crate::aws::model::Input;
use crate::aws::read;
use crate::kinesis::MODEL;

/// A body's records as text: stream, then key, data and hash of each.
type Found = (String, Vec<(Vec<u8>, Vec<u8>, Option<u128>)>);

fn plain(operation: &str, body: &Bytes) -> Option<Found> {
    let Plain { stream, incoming, is_single } = read(operation, body)?;
    assert_eq!(is_single, operation == "PutRecord");
    let hash = |index| incoming.hashes.iter().find(|(of, _)| *of == index).map(|(_, hash)| *hash);
    let record = |index| {
        let (key, data) = incoming.records.get(index);
        (key.unwrap().to_vec(), data.unwrap().to_vec(), hash(index))
    };
    Some((stream, (0..incoming.records.len()).map(record).collect()))
}

/// The same as the model has it; `None` if it refuses it.
fn by_model(operation: &str, body: &Bytes) -> Option<Found> {
    let input: Input = MODEL.operation(operation)?.read(read::json(body)?).ok()?;
    let entries = if operation == "PutRecord" { std::slice::from_ref(&*input) } else { input.items("Records") };
    let record = |entry: &crate::aws::value::Value| {
        let hash = entry.text("ExplicitHashKey").map(|hash| hash.parse().unwrap());
        (entry.text("PartitionKey").unwrap().as_bytes().to_vec(), entry.blob("Data").unwrap().to_vec(), hash)
    };
    Some((input.text("StreamName")?.to_owned(), entries.iter().map(record).collect()))
}

#[test]
fn what_clients_send_is_read_at_once() {
    for (operation, body) in [
        ("PutRecord", r#"{"StreamName": "s", "Data": "AP8=", "PartitionKey": "k"}"#),
        ("PutRecord", r#"{"Data":"","ExplicitHashKey":"0","PartitionKey":"ü","StreamName":"s.-_9"}"#),
        (
            "PutRecords",
            r#"{"Records": [{"Data": "AP8=", "PartitionKey": "k"}, {"PartitionKey":"l","Data":""}], "StreamName": "s"}"#,
        ),
        (
            "PutRecords",
            " {\n\"StreamName\"\t:\r\"s\",\"Records\":[{\"ExplicitHashKey\":\"340282366920938463463374607431768211455\",\"Data\":\"eA==\",\"PartitionKey\":\"k\"}]} ",
        ),
    ] {
        let body = Bytes::from(body);
        assert!(plain(operation, &body).is_some(), "{body:?}");
        assert_eq!(plain(operation, &body), by_model(operation, &body));
    }
}

#[test]
fn data_that_is_no_base64_is_left_to_the_model() {
    for data in [
        "A",
        "AA",
        "AA=",
        "AAA",
        "AB==",
        "AAB=",
        "A===",
        "====",
        "AA==AA==",
        "AA=A",
        "A A=",
        " AA==",
        "AA== ",
        "-_8=",
        "AAAA=",
        "AAA\u{e9}",
    ] {
        let body = Bytes::from(format!(r#"{{"StreamName":"s","Data":"{data}","PartitionKey":"k"}}"#));
        assert_eq!(plain("PutRecord", &body), None, "{data}");
    }
}

#[test]
fn what_is_unusual_is_left_to_the_model() {
    let key = "k".repeat(257);
    let long = format!(r#"{{"StreamName":"s","Data":"","PartitionKey":"{key}"}}"#);
    for body in [
        "",
        "{}",
        "[]",
        r#"{"StreamName":"s","Data":"AP8=","PartitionKey":"k""#,
        r#"{"StreamName":"s","Data":"AP8=","PartitionKey":"k"}x"#,
        r#"{"StreamName":"s","Data":"AP8=","PartitionKey":"k",}"#,
        r#"{"StreamName":"s","Data":"AP8=","PartitionKey":"k","PartitionKey":"l"}"#,
        r#"{"StreamName":"s","Data":"AP8=","PartitionKey":"k","StreamARN":"a"}"#,
        r#"{"StreamName":"s","Data":"AP8=","PartitionKey":"k","ExplicitHashKey":"01"}"#,
        r#"{"StreamName":"s","Data":"AP8=","PartitionKey":"k","ExplicitHashKey":"340282366920938463463374607431768211456"}"#,
        r#"{"StreamName":"s","Data":"AP8=","PartitionKey":""}"#,
        r#"{"StreamName":"s","Data":"AP8=","PartitionKey":null}"#,
        r#"{"StreamName":"s","Data":"AP8=","PartitionKey":7}"#,
        r#"{"StreamName":"s","Data":"AP8=","PartitionKey":"\n"}"#,
        "{\"StreamName\":\"s\",\"Data\":\"AP8=\",\"PartitionKey\":\"\n\"}",
        r#"{"StreamName":"s","Data":"AP8","PartitionKey":"k"}"#,
        r#"{"StreamName":"s","Data":"AP\/=","PartitionKey":"k"}"#,
        r#"{"StreamName":"s\"","Data":"AP8=","PartitionKey":"k"}"#,
        r#"{"StreamName":"s t","Data":"AP8=","PartitionKey":"k"}"#,
        r#"{"StreamName":"","Data":"AP8=","PartitionKey":"k"}"#,
        r#"{"Data":"AP8=","PartitionKey":"k"}"#,
        &long,
    ] {
        let body = Bytes::copy_from_slice(body.as_bytes());
        assert_eq!(plain("PutRecord", &body), None, "{body:?}");
    }
    let records = |count: usize| {
        let records = vec![r#"{"Data":"","PartitionKey":"k"}"#; count].join(",");
        plain("PutRecords", &format!(r#"{{"Records":[{records}],"StreamName":"s"}}"#).into()).map(|(_, records)| records.len())
    };
    assert_eq!((records(0), records(1), records(500), records(501)), (None, Some(1), Some(500), None));
    assert_eq!(plain("GetRecords", &Bytes::from_static(br#"{"StreamName":"s","Data":"","PartitionKey":"k"}"#)), None);
}

/// JSON strings: plain ones, escapes, and what they stand for.
fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9+/]{0,12}",
        2 => "[ -~ü€]{0,6}",
        1 => Just("AP8=".to_owned()),
        1 => Just("\\u0041".to_owned()),
        1 => Just("0".to_owned()),
    ]
    .prop_map(|text| format!("\"{text}\""))
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![9 => string(), 1 => Just("null".to_owned()), 1 => Just("1".to_owned()), 1 => Just("[{}]".to_owned())]
}

fn record(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    let member = (prop::sample::select(names), value()).prop_map(|(name, value)| format!("\"{name}\": {value}"));
    prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(",")))
}

/// A record as it should be, in any order.
fn good_record() -> impl Strategy<Value = String> {
    let data =
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|data| format!("\"Data\":\"{}\"", STANDARD.encode_to_string(data)));
    let key = "[a-z ü]{1,9}".prop_map(|key| format!("\"PartitionKey\" : \"{key}\""));
    let hash = prop::option::of(any::<u128>()).prop_map(|hash| hash.map(|hash| format!("\"ExplicitHashKey\":\"{hash}\"")));
    (data, key, hash)
        .prop_flat_map(|(data, key, hash)| {
            Just([Some(data), Some(key), hash].into_iter().flatten().collect::<Vec<_>>()).prop_shuffle()
        })
        .prop_map(|members| format!("{{{}}}", members.join(", ")))
}

proptest! {
    #[test]
    fn good_records_are_read_at_once(records in prop::collection::vec(good_record(), 1..20)) {
        let body = Bytes::from(format!("{{\"Records\":[{}],\"StreamName\":\"s\"}}", records.join(" ,")));
        let found = plain("PutRecords", &body);
        prop_assert_eq!(found.as_ref().map(|(_, records)| records.len()), Some(records.len()));
        prop_assert_eq!(found, by_model("PutRecords", &body));
    }

    #[test]
    fn what_is_read_at_once_is_what_the_model_reads(
        one in record(&["StreamName", "Data", "PartitionKey", "ExplicitHashKey", "StreamARN"]),
        records in prop::collection::vec(prop_oneof![good_record(), record(&["Data", "PartitionKey", "ExplicitHashKey"])], 0..3),
        end in prop_oneof![5 => Just(""), 1 => Just(" "), 1 => Just("x")],
    ) {
        let all = format!("{{\"StreamName\":\"s\",\"Records\":[{}]}}{end}", records.join(","));
        for (operation, body) in [("PutRecord", Bytes::from(one)), ("PutRecords", all.into())] {
            let found = plain(operation, &body);
            prop_assert!(found.is_none() || found == by_model(operation, &body), "{body:?}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let body = Bytes::from([br#"{"StreamName":"s","Data":""#, bytes.as_slice()].concat());
        let found = plain("PutRecord", &body);
        prop_assert!(found.is_none() || found == by_model("PutRecord", &body));
    }
}
