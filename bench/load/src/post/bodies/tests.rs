//! The requests' bytes, and which keys they carry from lap to lap.

use std::collections::BTreeSet;

use super::{Bodies, Shape};

const SHAPE: Shape<'_> = Shape { to: "host:1", path: "/topics/x", records: 1, partitions: None, new_keys: false, stream: None };

fn lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| format!("{{\"index\":{n},\"unique_id\":\"abcdefgh-{n}\"}}\n").into_bytes()).collect()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn keys_of(request: &[u8]) -> Vec<u64> {
    text(request).split("\"index\":").skip(1).map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_request_is_whole_and_says_its_length() {
    let mut share = Bodies::shares(b"{\"n\":1}\n{\"n\":22}\n", &Shape { records: 2, partitions: Some(2), ..SHAPE }, 1).unwrap();
    let request = text(share[0].next()).to_owned();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"records":[{"partition":0,"value":{"n":1}},{"partition":1,"value":{"n":22}}]}"#);
    assert!(head.starts_with("POST /topics/x HTTP/1.1\r\nhost: host:1\r\n"), "{head}");
    assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
}

#[test]
fn every_line_goes_to_one_connection() {
    let mut shares = Bodies::shares(&lines(6), &SHAPE, 2).unwrap();
    let sent: Vec<Vec<u64>> = shares.iter_mut().map(|share| (0..4).flat_map(|_| keys_of(share.next())).collect()).collect();
    assert_eq!(sent, [[0, 2, 4, 0], [1, 3, 5, 1]]);
}

#[test]
fn a_connection_without_a_request_is_refused() {
    assert!(Bodies::shares(&lines(3), &Shape { records: 2, ..SHAPE }, 2).is_err());
}

#[test]
fn a_key_is_never_sent_twice() {
    let mut shares = Bodies::shares(&lines(20), &Shape { records: 5, new_keys: true, ..SHAPE }, 2).unwrap();
    let sent: Vec<String> = (0..8).map(|turn| text(shares[turn % 2].next()).to_owned()).collect();
    let keys: Vec<u64> = sent.iter().flat_map(|request| keys_of(request.as_bytes())).collect();
    assert_eq!(keys, (1_000_000_000..1_000_000_040).collect::<Vec<_>>());
    let ids: BTreeSet<&str> =
        sent.iter().flat_map(|request| request.split("unique_id\":\"").skip(1)).map(|rest| &rest[..8]).collect();
    assert_eq!(ids.len(), 40);
    assert!((0..4).all(|turn| sent[turn].len() == sent[turn + 4].len()));
}

#[test]
fn a_line_without_a_key_can_get_none() {
    assert!(Bodies::shares(b"{\"ind\":1}\n", &Shape { new_keys: true, ..SHAPE }, 1).is_err());
}

#[test]
fn kinesis_gets_one_record_or_many() {
    let request = |records| {
        let shape = Shape { records, stream: Some("s"), ..SHAPE };
        text(Bodies::shares(b"{}\n[]\n", &shape, 1).unwrap()[0].next()).to_owned()
    };
    let one = request(1);
    assert!(one.contains("x-amz-target: Kinesis_20131202.PutRecord\r\n"), "{one}");
    assert!(one.ends_with(r#"{"StreamName":"s","Data":"e30=","PartitionKey":"k0"}"#), "{one}");
    let two = request(2);
    assert!(two.contains("x-amz-target: Kinesis_20131202.PutRecords\r\n"), "{two}");
    let entries = r#"[{"Data":"e30=","PartitionKey":"k0"},{"Data":"W10=","PartitionKey":"k1"}]"#;
    assert!(two.ends_with(&format!(r#"{{"StreamName":"s","Records":{entries}}}"#)), "{two}");
}
