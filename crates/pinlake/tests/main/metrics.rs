//! What `/metrics` shows: every metric with its meaning, and the same ones as the documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::Server;

/// Far more than the two seconds after which lag is measured.
const LAG_WAIT: Duration = Duration::from_secs(60);

/// The units that a name may end with, before `_total`.
const UNITS: [&str; 17] = [
    "alerts",
    "runs",
    "bytes",
    "errors",
    "seconds",
    "records",
    "requests",
    "rows",
    "syncs",
    "transactions",
    "appends",
    "offset",
    "connections",
    "refused",
    "members",
    "lag",
    "consumers",
];

async fn scrape(server: &Server) -> String {
    reqwest::get(format!("{}/metrics", server.url)).await.unwrap().text().await.unwrap()
}

/// A frame of Kafka's wire protocol: API, version, correlation id 1, no client id, and the body.
fn frame(key: u8, version: u8, body: &[u8]) -> Vec<u8> {
    let head = [0, key, 0, version, 0, 0, 0, 1, 0xff, 0xff];
    let length = u32::try_from(head.len() + body.len()).unwrap();
    [&length.to_be_bytes()[..], &head, body].concat()
}

/// Fetches nothing, commits an offset of `m.pin` for group `h`, joins group `g`, and sends what is no request.
async fn speak_kafka(address: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let fetch = frame(1, 4, &[&[0xff; 4][..], &[0; 12], &[0], &[0; 4]].concat());
    let commit = frame(
        8,
        2,
        &[&b"\0\x01h"[..], &[0xff; 4], &[0; 2], &[0xff; 8], b"\0\0\0\x01\0\x05m.pin", &[0, 0, 0, 1], &[0; 12], &[0; 2]].concat(),
    );
    let join = frame(11, 0, b"\0\x01g\0\0\x27\x10\0\0\0\x08consumer\0\0\0\x01\0\x05range\0\0\0\0");
    for request in [fetch, commit, join] {
        stream.write_all(&request).await.unwrap();
        let length = stream.read_i32().await.unwrap();
        let mut answer = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut answer).await.unwrap();
    }
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)), "it is cut off");
}

/// A server that has done all that is counted.
async fn busy(server: &Server) -> String {
    let records = json!({"records": [{"value": {"index": 1}}, {"value": {"index": 1}}, {"value": 7}]});
    for (topic, status) in [("m.pin", 200), ("nobodys", 404)] {
        let request = reqwest::Client::new().post(format!("{}/topics/{topic}", server.url)).body(records.to_string());
        let answer = request.header("content-type", "application/vnd.kafka.json.v2+json").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
    let refused = reqwest::Client::new().post(&server.url).header("X-Amz-Target", "Kinesis_20131202.DescribeStream");
    let refused = refused.header("Content-Type", "application/x-amz-json-1.1").body(r#"{"StreamName":"nobodys"}"#);
    assert_eq!(refused.send().await.unwrap().status().as_u16(), 400);
    speak_kafka(server.kafka()).await;
    server.post("/api/v1/flush", Value::Null).await;
    let measured = async {
        loop {
            let text = scrape(server).await;
            if text.contains("pinlake_lag_records{") && text.contains("pinlake_group_lag{") {
                return text;
            }
        }
    };
    tokio::time::timeout(LAG_WAIT, measured).await.expect("lag is measured")
}

/// The first column of the documentation's table of metrics, with the types of the second.
fn documented() -> BTreeMap<String, String> {
    let rows = include_str!("../../../../docs/operating.md").lines().filter_map(|line| line.strip_prefix("| `pinlake_"));
    let row = |row: &str| {
        let mut cells = row.split(" | ");
        (format!("pinlake_{}", cells.next().unwrap().trim_matches('`')), cells.next().unwrap().to_owned())
    };
    rows.map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_says_what_it_is() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let text = busy(&server).await;
    let after = |start: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(start)?.split_once(' '));
        lines.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
    };
    let (types, helps) = (after("# TYPE "), after("# HELP "));
    assert_eq!(types, documented(), "docs/operating.md lists the same metrics with the same types");
    for (name, kind) in &types {
        assert!(helps.get(name).is_some_and(|help| !help.is_empty()), "{name} has no HELP");
        let unit = name.strip_suffix("_total").unwrap_or(name);
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        assert!(name == "pinlake_partitions_stopped" || UNITS.iter().any(|known| unit.ends_with(known)), "{name} has no unit");
    }
    let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let families: BTreeSet<&str> = samples.map(|line| line.split(['{', ' ']).next().unwrap()).collect();
    for sample in families {
        let of = ["_bucket", "_sum", "_count"].iter().find_map(|part| sample.strip_suffix(part)).unwrap_or(sample);
        assert!(types.contains_key(sample) || types.get(of).is_some_and(|kind| kind == "histogram"), "{sample} has no TYPE");
    }
}
