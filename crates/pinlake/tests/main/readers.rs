//! Readers that know nothing of Pinlake open its tables: deltalake, Polars and DuckDB see the rows that Pinlake's own SQL
//! shows, after streaming, after a rebuild, and after so many commits that the table has a checkpoint.
//!
//! They are Python libraries; `PINLAKE_TEST_PYTHON` names a python that has those of `tests/python/requirements.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use pinlake_emulator::{Acked, Datetimes, EmulateOptions, Kind, Mode, emulate};
use serde_json::{Map, Value, json};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::server::Server;

/// Names the python.
const PYTHON: &str = "PINLAKE_TEST_PYTHON";
/// Seed of the traffic: rounds of different lengths draw the same posts, so that a key has one content.
const SEED: u64 = 11;
/// More commits than lie between two checkpoints.
const COMMITS: u64 = 21;
const READERS: [&str; 4] = ["sql", "deltalake", "polars", "duckdb"];
/// The columns that say where a row came from.
const ORIGIN_COLUMNS: usize = 4;
const KAFKA_JSON: &str = "application/vnd.kafka.json.v2+json";
const KAFKA_BINARY: &str = "application/vnd.kafka.binary.v2+json";

/// The python that has the libraries; says so where there is none, and the test is skipped.
pub(crate) fn python_with_libraries() -> Option<OsString> {
    let python = std::env::var_os(PYTHON);
    if python.is_none() {
        say(&format!("skipped: {PYTHON} names no python that has tests/python/requirements.txt"));
    }
    python
}

#[expect(clippy::print_stderr, reason = "for whoever reads the test's output")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// What `script` of `tests/python` prints as JSON; `None` where there is no python with the libraries.
pub(crate) async fn python<S: AsRef<OsStr>>(script: &str, args: &[S]) -> Option<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
    let mut command = Command::new(python_with_libraries()?);
    command.arg("-B").arg(script).args(args).kill_on_drop(true);
    let done = command.output().await.unwrap();
    let complaints = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{complaints}");
    if !complaints.is_empty() {
        say(&complaints);
    }
    Some(serde_json::from_slice(&done.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_sees_the_rows_that_sql_shows() {
    if python_with_libraries().is_none() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    let mut sent = Sent::default();

    sent.posts(&server, 0, 300).await;
    sent.poison(&server).await;
    server.post("/api/v1/flush", json!({})).await;
    compare(&server, data.path(), &sent).await;
    rebuild_changes_no_row(&server).await;
    compare(&server, data.path(), &sent).await;

    for commit in 0..COMMITS {
        sent.posts(&server, 300 + commit * 8, 300 + commit * 8 + 8).await;
        server.post("/api/v1/flush", json!({})).await;
    }
    sent.poison(&server).await;
    server.post("/api/v1/flush", json!({})).await;
    for kind in Kind::ALL {
        let checkpoint = data.path().join(format!("lake/tables/{}/_delta_log/_last_checkpoint", kind.name()));
        assert!(checkpoint.exists(), "{} is there after {COMMITS} commits", checkpoint.display());
    }
    compare(&server, data.path(), &sent).await;
}

/// What the server took, by table.
#[derive(Default)]
struct Sent {
    keys: BTreeMap<&'static str, BTreeSet<i64>>,
    poison: BTreeMap<&'static str, u64>,
}

impl Sent {
    /// Sends the posts `from..to` of the run through both doors; a fifth repeats another, some of them in other bytes.
    async fn posts(&mut self, server: &Server, from: u64, to: u64) {
        // Room for all records, so that none waits for a reader.
        let (acked, mut told) = mpsc::channel::<Acked>(4096);
        let options = EmulateOptions {
            mode: Mode::Both,
            seed: SEED,
            start_at: from,
            count: Some(to),
            duplicates: 0.2,
            datetimes: Datetimes::MixedRepeats,
            records_a_request: 4,
            acked: Some(acked),
            ..EmulateOptions::new(server.url.parse().unwrap())
        };
        emulate(&options, &|_, _| {}).await.unwrap();
        drop(options);
        while let Some(one) = told.recv().await {
            let kind = Kind::ALL.into_iter().find(|kind| one.topic.as_str().ends_with(kind.name())).unwrap();
            self.keys.entry(kind.name()).or_default().insert(one.key.unwrap());
        }
    }

    /// Sends records that every table's cleaning must refuse, through both doors.
    async fn poison(&mut self, server: &Server) {
        let wrong = [
            (Kind::Pin, json!({"index": 900_001, "follower_count": "many"})),
            (Kind::Geo, json!({"ind": 900_001, "timestamp": "yesterday"})),
            (Kind::User, json!({"ind": 900_001, "age": "old"})),
        ];
        for (kind, wrong) in wrong {
            let values = [wrong, json!([1, 2]), json!("é \u{1f600} \" \\ \u{1}"), json!(""), json!(7)];
            let topic = format!("{}/topics/{}", server.url, kind.topic("0a1b2c3d4e5f"));
            let records: Vec<Value> = values.iter().map(|value| json!({"value": value})).collect();
            send(&topic, KAFKA_JSON, &json!({"records": records})).await;
            // 0xff 0x00 is no UTF-8.
            send(&topic, KAFKA_BINARY, &json!({"records": [{"value": "/wA="}]})).await;
            let stream = format!("{}/streams/{}/records", server.url, kind.stream("0a1b2c3d4e5f"));
            let records: Vec<Value> = values.iter().map(|value| json!({"Data": value, "PartitionKey": "k"})).collect();
            send(&stream, "application/json", &json!({"Records": records})).await;
            *self.poison.entry(kind.name()).or_default() += values.len() as u64 * 2 + 1;
        }
    }
}

async fn send(url: &str, content_type: &str, body: &Value) {
    let client = reqwest::Client::new();
    let answer = client.post(url).header("content-type", content_type).body(body.to_string()).send().await.unwrap();
    let status = answer.status();
    assert!(status.is_success(), "{url}: {status} {}", answer.text().await.unwrap());
}

/// All tables: the path in the lake, the name in SQL, and how many rows it has.
fn tables(sent: &Sent) -> Vec<(String, String, u64)> {
    let table = |kind: Kind| {
        let name = kind.name();
        [
            (format!("tables/{name}"), format!("\"{name}\""), sent.keys[name].len() as u64),
            (format!("quarantine/{name}"), format!("quarantine.\"{name}\""), sent.poison[name]),
        ]
    };
    Kind::ALL.into_iter().flat_map(table).collect()
}

/// Holds what each reader sees against the other readers, SQL and what was sent.
async fn compare(server: &Server, data: &Path, sent: &Sent) {
    let mut answers = Map::new();
    for (path, name, rows) in tables(sent) {
        let count = server.rows(&format!("SELECT count(*) FROM {name}")).await;
        assert_eq!(count, [json!([rows])], "{name} holds what was sent");
        answers.insert(path, whole_table(server, &name).await);
    }
    let file = data.join("answers.json");
    std::fs::write(&file, Value::Object(answers).to_string()).unwrap();
    let report = python("readers.py", &[data.join("lake"), file]).await.unwrap();
    for (path, name, rows) in tables(sent) {
        for reader in READERS {
            assert_eq!(report[&path][reader]["rows"], rows, "{reader} sees each row of {name}");
            assert_eq!(report[&path][reader], report[&path]["sql"], "{reader} sees the values of {name} that SQL shows");
        }
    }
}

/// A table's rows as SQL shows them, times as microseconds.
async fn whole_table(server: &Server, name: &str) -> Value {
    let described = server.post("/api/v1/sql", json!({"sql": format!("SELECT * FROM {name} LIMIT 0")})).await;
    let (mut columns, mut selected) = (Vec::new(), Vec::new());
    for column in described["columns"].as_array().unwrap() {
        let (column, kind) = (column["name"].as_str().unwrap(), column["type"].as_str().unwrap());
        let is_time = kind.starts_with("Timestamp");
        selected.push(if is_time { format!("CAST(\"{column}\" AS BIGINT)") } else { format!("\"{column}\"") });
        columns.push(column.to_owned());
    }
    let rows = server.rows(&format!("SELECT {} FROM {name}", selected.join(", "))).await;
    json!({"columns": columns, "rows": rows})
}

/// Rebuilds all tables: they keep their clean rows, though a repeat may now be the one that stands for its post.
async fn rebuild_changes_no_row(server: &Server) {
    let before = clean_rows(server).await;
    server.post("/api/v1/tables/all/rebuild", json!({})).await;
    assert_eq!(clean_rows(server).await, before, "a rebuild changes no row");
}

async fn clean_rows(server: &Server) -> Vec<BTreeSet<String>> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let rows = server.rows(&format!("SELECT * FROM \"{}\"", kind.name())).await;
        let clean = |row: &Value| {
            let values = row.as_array().unwrap();
            Value::from(&values[..values.len() - ORIGIN_COLUMNS]).to_string()
        };
        all.push(rows.iter().map(clean).collect());
    }
    all
}
