//! What `/metrics` shows: every metric with its meaning, and the same ones as the documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::Server;

/// Far more than the two seconds after which lag is measured.
const LAG_WAIT: Duration = Duration::from_secs(60);

/// The units that a name may end with, before `_total`.
const UNITS: [&str; 8] = ["bytes", "seconds", "records", "requests", "rows", "syncs", "appends", "offset"];

async fn scrape(server: &Server) -> String {
    reqwest::get(format!("{}/metrics", server.url)).await.unwrap().text().await.unwrap()
}

/// A server that has done all that is counted.
async fn busy(server: &Server) -> String {
    let records = json!({"records": [{"value": {"index": 1}}, {"value": {"index": 1}}, {"value": 7}]});
    for (topic, status) in [("m.pin", 200), ("nobodys", 404)] {
        let request = reqwest::Client::new().post(format!("{}/topics/{topic}", server.url)).body(records.to_string());
        let answer = request.header("content-type", "application/vnd.kafka.json.v2+json").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
    server.post("/api/v1/flush", Value::Null).await;
    let measured = async {
        loop {
            let text = scrape(server).await;
            if text.contains("pinlake_lag_records{") {
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
