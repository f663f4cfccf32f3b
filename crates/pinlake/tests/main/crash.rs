//! `kill -9` under load, over and over: every acknowledged record is in the log, the archive holds each record once, each key
//! is in its table once, and the ledger closes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use pinlake_emulator::{Acked, EmulateOptions, Mode, Place, emulate};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::server::Server;

/// Kills of one run; `PINLAKE_CRASH_KILLS` asks for more.
const KILLS: u64 = 30;
/// The posts of the load: more than the run can send.
const POSTS: u64 = 1_000_000;

/// Moments that differ from kill to kill and are the same in every run: 20 ms up to about 0.7 s.
fn moment(kill: u64) -> Duration {
    Duration::from_millis(20 + kill.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 700)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_by_kills() {
    let kills = std::env::var("PINLAKE_CRASH_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let data = tempfile::tempdir().unwrap();
    // Below the ports that the system hands to clients, so that no retrying client takes it while the server is down.
    let address = format!("127.0.0.1:{}", 21_000 + std::process::id() % 9_000);
    let mut server = Server::start(data.path(), &address).await;
    let (sender, mut receiver) = mpsc::channel(1024);
    let gather = tokio::spawn(async move {
        let mut acked = Vec::new();
        while let Some(one) = receiver.recv().await {
            acked.push(one);
        }
        acked
    });
    let options = EmulateOptions {
        mode: Mode::Both,
        count: Some(POSTS),
        seed: 7,
        records_a_request: 5,
        retries_max: 1000,
        acked: Some(sender),
        ..EmulateOptions::new(server.url.parse().unwrap())
    };
    let stop = options.stop.clone();
    let load = tokio::spawn(async move { emulate(&options, &|_, _| {}).await });
    for kill in 0..kills {
        // The moment of the kill is the point of the test, not a wait for something.
        tokio::time::sleep(moment(kill)).await;
        server.kill().await;
        server = Server::start(data.path(), &address).await;
    }
    stop.cancel();
    load.await.unwrap().unwrap();
    let acked = gather.await.unwrap();
    assert!(acked.len() > 1000, "the load got through: {} records", acked.len());
    server.post("/api/v1/flush", json!({})).await;
    let log = read_log(&server).await;
    check_acknowledged(&acked, &log);
    check_archive(data.path(), &log);
    check_tables(&server, &acked).await;
    let ledger = server.get("/api/v1/ledger?deep=true").await;
    assert_eq!(ledger["closed"], true, "{ledger:#}");
}

/// The values of every partition, by topic and partition, in the order of their offsets.
type Log = BTreeMap<(String, u64), Vec<String>>;

async fn read_log(server: &Server) -> Log {
    let mut log = Log::new();
    let topics = server.get("/api/v1/topics").await;
    for topic in topics["topics"].as_array().unwrap() {
        let name = topic["name"].as_str().unwrap();
        for partition in topic["offsets"].as_array().unwrap() {
            let (number, end) = (partition["partition"].as_u64().unwrap(), partition["end"].as_u64().unwrap());
            let mut values = Vec::new();
            while (values.len() as u64) < end {
                let at = values.len();
                let path = format!("/api/v1/topics/{name}/records?partition={number}&offset={at}&limit=10000");
                let records = server.get(&path).await["records"].as_array().unwrap().clone();
                assert!(!records.is_empty(), "{name}/{number} is readable at {at}");
                for record in records {
                    assert_eq!(record["offset"].as_u64().unwrap(), values.len() as u64, "offsets are dense");
                    values.push(record["value"].as_str().unwrap().to_owned());
                }
            }
            log.insert((name.to_owned(), number), values);
        }
    }
    log
}

fn check_acknowledged(acked: &[Acked], log: &Log) {
    for one in acked {
        let values = &log[&(one.topic.to_string(), u64::from(one.partition))];
        if let Place::Offset(offset) = &one.place {
            let value: Value = serde_json::from_str(&values[usize::try_from(*offset).unwrap()]).unwrap();
            let key = value.get("index").or_else(|| value.get("ind")).and_then(Value::as_i64);
            assert_eq!(key, one.key, "{} at {offset} is the record that was acknowledged there", one.topic);
        }
    }
}

fn check_archive(data: &Path, log: &Log) {
    for ((topic, partition), values) in log {
        let folder = data.join(format!("lake/topics/{topic}/partition={partition}"));
        let mut objects: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        objects.retain(|path| path.extension().is_some_and(|end| end == "json"));
        objects.sort();
        let mut next = 0;
        for object in objects {
            let name = object.file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!(name, format!("{topic}+{partition}+{next:010}.json"), "objects follow one another");
            for line in std::fs::read_to_string(&object).unwrap().lines() {
                assert_eq!(line, values[next], "{name} holds the log's record {next}");
                next += 1;
            }
        }
        assert_eq!(next, values.len(), "the archive of {topic} is whole");
    }
}

async fn check_tables(server: &Server, acked: &[Acked]) {
    for table in ["pin", "geo", "user"] {
        let rows = server.rows(&format!("SELECT ind FROM \"{table}\"")).await;
        let keys: Vec<i64> = rows.iter().map(|row| row[0].as_i64().unwrap()).collect();
        let distinct: BTreeSet<i64> = keys.iter().copied().collect();
        assert_eq!(keys.len(), distinct.len(), "each key is in {table} once");
        let ours = |one: &&Acked| one.topic.as_str().ends_with(table);
        for one in acked.iter().filter(ours) {
            assert!(distinct.contains(&one.key.unwrap()), "{table} holds the acknowledged key {:?}", one.key);
        }
    }
}
