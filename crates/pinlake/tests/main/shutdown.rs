//! Starts that must fail and ends that must not lose anything: a busy port, a busy data folder, SIGTERM under load.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use pinlake_core::testing::held_port::HeldPort;
use pinlake_emulator::{EmulateOptions, Mode, emulate};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::server::{Server, spawn};

/// Records that are acknowledged before the server is asked to end.
const ACKED_FIRST: usize = 500;
/// How long a server that ends gives its tables, and then its archive, to catch up.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);

/// A start that fails; answers its reason.
async fn refused(data: &Path, listen: &str) -> String {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pinlake"));
    command
        .args(["serve", "--data-dir"])
        .arg(data)
        .env("PINLAKE_HTTP_LISTEN", listen)
        .env("PINLAKE_KAFKA_LISTEN", "127.0.0.1:0")
        .kill_on_drop(true);
    let ran: Output = command.output().await.unwrap();
    let reason = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{reason}");
    reason
}

#[tokio::test]
async fn a_busy_port_is_named() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let port = HeldPort::new();
    let address = port.address().to_string();
    let taken = std::net::TcpListener::bind(port.address()).unwrap();
    let reason = refused(&data, &address).await;
    assert!(reason.contains(&format!("error: {address} can't be used (")) && reason.contains("end the other server"), "{reason}");
    let elsewhere = refused(&data, "192.0.2.1:0").await;
    assert!(elsewhere.contains("this machine has no such address"), "{elsewhere}");
    assert!(!data.exists(), "a start that can't listen leaves nothing behind");
    drop(taken);
    let server = Server::start(&data, &address).await;
    server.until_ready().await;
}

#[tokio::test]
async fn a_lake_beside_another_log_is_told_at_the_start() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path();
    let restarted = async |server: Server| {
        server.terminate().await;
        assert!(server.ended().await.success());
        Server::start(data, "127.0.0.1:0").await
    };
    let server = Server::start(data, "127.0.0.1:0").await;
    let options = EmulateOptions { count: Some(5), ..EmulateOptions::new(server.url.parse().unwrap()) };
    emulate(&options, &|_, _| ()).await.unwrap();
    let topic = format!("{}/api/v1/topics/0a1b2c3d4e5f.pin", server.url);
    assert!(reqwest::Client::new().delete(topic).send().await.unwrap().status().is_success());
    let server = restarted(server).await;
    assert!(server.shown.contains(&"✓ archive and tables".to_owned()), "a deleted topic is no fault: {:?}", server.shown);
    server.terminate().await;
    server.ended().await;
    std::fs::remove_dir_all(data.join("log")).unwrap();
    let server = Server::start(data, "127.0.0.1:0").await;
    let told = "✗ archive and tables: the archive stands at 5 of 0a1b2c3d4e5f.geo/0, but the log holds 0..0: ";
    assert!(server.shown.iter().any(|line| line.starts_with(told) && line.contains("restore")), "{:?}", server.shown);
    assert_eq!(server.rows("SELECT count(*) FROM geo").await.len(), 1, "what is there can be read");
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_leaves_the_first_unharmed() {
    let data = tempfile::tempdir().unwrap();
    let first = Server::start(data.path(), "127.0.0.1:0").await;
    first.post("/api/v1/topics/my.pin", json!({})).await;
    let produce = async |index: u64| {
        let url = format!("{}/topics/my.pin", first.url);
        let body = json!({"records": [{"value": {"index": index}}]}).to_string();
        let request = reqwest::Client::new().post(url).header("Content-Type", "application/vnd.kafka.json.v2+json").body(body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["offsets"][0]["offset"], index, "{answer}");
    };
    produce(0).await;
    let reason = refused(data.path(), "127.0.0.1:0").await;
    assert!(reason.contains("error: opening the log in ") && reason.contains("another"), "{reason}");
    produce(1).await;
    first.post("/api/v1/flush", json!({})).await;
    assert_eq!(first.rows("SELECT count(*) FROM pin").await, [json!([2])]);
    assert_eq!(first.get("/api/v1/ledger?deep=true").await["closed"], true);
}

#[tokio::test]
async fn nothing_is_left_behind_when_a_server_ends_before_it_listens() {
    let data = tempfile::tempdir().unwrap();
    let mut child = spawn(data.path(), "127.0.0.1:0", &[]);
    child.kill().await.unwrap();
    let server = Server::start(data.path(), "127.0.0.1:0").await;
    server.terminate().await;
    assert!(server.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_end_under_load_commits_all_that_it_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let config = patient_config(place.path()).await;
    let data = place.path().join("data");
    let server = Server::start_with(&data, "127.0.0.1:0", &["--config", &config]).await;
    server.post("/api/v1/topics/quiet.pin", json!({"partitions": 3})).await;
    let (sender, mut receiver) = mpsc::channel(64);
    let options = EmulateOptions {
        mode: Mode::Both,
        seed: 11,
        records_a_request: 5,
        retries_max: 0,
        acked: Some(sender),
        ..EmulateOptions::new(server.url.parse().unwrap())
    };
    let load = tokio::spawn(async move { emulate(&options, &|_, _| {}).await });
    let mut acked = Vec::new();
    while acked.len() < ACKED_FIRST {
        acked.push(receiver.recv().await.expect("the load goes on"));
    }
    let began = Instant::now();
    server.terminate().await;
    while let Some(one) = receiver.recv().await {
        acked.push(one);
    }
    assert!(load.await.unwrap().is_err(), "the load ran into the end of the server");
    let status = server.ended().await;
    // What a slow disk can't take in this time stays in the log, and comes in after the restart.
    let had_time = began.elapsed() < CATCH_UP_MAX;
    assert!(status.code() == Some(0) || !had_time, "it ended in order: {status}");

    let server = Server::start_with(&data, "127.0.0.1:0", &["--config", &config]).await;
    // The commits' own word: counting again would commit first.
    let ledger = server.get("/api/v1/ledger").await;
    let lines: Vec<&Value> =
        ledger["tables"].as_array().unwrap().iter().flat_map(|table| table["partitions"].as_array().unwrap()).collect();
    let mut logged = 0;
    for topic in server.get("/api/v1/topics").await["topics"].as_array().unwrap() {
        for of in topic["offsets"].as_array().unwrap().iter().filter(|of| of["end"] != 0) {
            let here = |line: &&&Value| line["topic"] == topic["name"] && line["partition"] == of["partition"];
            if had_time {
                let line = lines.iter().find(here).unwrap_or_else(|| panic!("a table holds {topic:#}: {ledger:#}"));
                assert_eq!(line["position"], of["end"], "the table has committed all: {line:#}");
                assert_eq!(line["archived"], of["end"], "and so has the archive: {line:#}");
            }
            logged += of["end"].as_u64().unwrap();
        }
    }
    assert!(logged >= acked.len() as u64, "{logged} records in the log, {} acknowledged", acked.len());
    let ledger = server.get("/api/v1/ledger?deep=true").await;
    assert_eq!(ledger["closed"], true, "{ledger:#}");
    assert_eq!(server.get("/api/v1/topics/quiet.pin").await["partitions"], 3, "a topic without records stays too");
    for table in ["pin", "geo", "user"] {
        let keys: std::collections::BTreeSet<i64> =
            server.rows(&format!("SELECT ind FROM \"{table}\"")).await.iter().map(|row| row[0].as_i64().unwrap()).collect();
        for one in acked.iter().filter(|one| one.topic.as_str().ends_with(table)) {
            assert!(keys.contains(&one.key.unwrap()), "{table} holds the acknowledged key {:?}", one.key);
        }
    }
}

/// A configuration under which nothing is committed by itself, so that what is committed was committed at the end.
async fn patient_config(place: &Path) -> String {
    let folder = place.join("pipeline");
    let init = tokio::process::Command::new(env!("CARGO_BIN_EXE_pinlake")).arg("init").arg(&folder).output().await.unwrap();
    assert!(init.status.success());
    let path = folder.join("pipeline.yml");
    let patient = "{ records: 10000000, bytes: 1GiB, age: 1h }";
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("{ records: 10000, bytes: 64MiB, age: 60s }", patient);
    let text = text.replace("    key: [ind]\n", &format!("    key: [ind]\n    commit: {patient}\n"));
    assert_eq!(text.matches(patient).count(), 4, "archive and three tables are patient");
    std::fs::write(&path, text).unwrap();
    folder.join("pinlake.yml").to_str().unwrap().to_owned()
}
