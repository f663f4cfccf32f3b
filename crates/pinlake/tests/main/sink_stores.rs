//! Sinks and what is not Pinlake's: a store that speaks S3, and readers of Parquet.
//!
//! The store is `moto_server` of the python that `PINLAKE_TEST_AWS_PYTHON` names (`conformance/kinesis/requirements.txt`); the readers are
//! those of `PINLAKE_TEST_PYTHON`.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::aws_clients::{PYTHON, named};
use crate::connectors::{TOPIC, call, classic, objects, post, until};
use crate::readers::{python, python_with_libraries};
use crate::server::Server;

const BUCKET: &str = "user-0a1b2c3d4e5f-bucket";
/// A signature that the store does not look at, but wants to see.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20300131/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
/// How long the store may take until it listens.
const START_WAIT: Duration = Duration::from_secs(120);

/// A store that speaks S3, in memory.
pub(crate) struct Store {
    pub(crate) url: String,
    /// Dies with the test.
    _child: Child,
}

impl Store {
    /// Starts one with an empty bucket; `None` where there is no python that has it.
    pub(crate) async fn start(bucket: &str) -> Option<Self> {
        let mut command = Command::new(named(PYTHON, "requirements.txt")?);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listens = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, url)) = line.split_once("Running on ") {
                    return url.trim().to_owned();
                }
            }
            panic!("moto_server ended before it listened");
        };
        let url = tokio::time::timeout(START_WAIT, listens).await.expect("moto_server listens");
        // It tells of each request, and must not wait for somebody who reads that.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let made = reqwest::Client::new().put(format!("{url}/{bucket}")).send().await.unwrap();
        assert!(made.status().is_success(), "{}", made.status());
        Some(Self { url, _child: child })
    }

    /// All objects of a bucket: their names and contents.
    pub(crate) async fn objects(&self, bucket: &str) -> BTreeMap<String, Vec<u8>> {
        let listed = reqwest::get(format!("{}/{bucket}?list-type=2", self.url)).await.unwrap().text().await.unwrap();
        assert!(listed.contains("<IsTruncated>false</IsTruncated>"), "{listed}");
        let mut found = BTreeMap::new();
        for part in listed.split("<Key>").skip(1) {
            let name = part.split("</Key>").next().unwrap();
            let url = format!("{}/{bucket}/{}", self.url, name.replace('+', "%2B"));
            let answer = reqwest::Client::new().get(url).header("authorization", SIGNED).send().await.unwrap();
            assert!(answer.status().is_success(), "{name}: {}", answer.status());
            found.insert(name.to_owned(), answer.bytes().await.unwrap().to_vec());
        }
        found
    }
}

/// A configuration with other or more settings.
fn with(config: Value, more: &[(&str, &str)]) -> Value {
    let mut config = config;
    for (name, value) in more {
        config[*name] = json!(value);
    }
    config
}

async fn make(server: &Server, name: &str, config: Value) {
    let (status, answer) = call(server, "PUT", &format!("/connectors/{name}/config"), Some(config)).await;
    assert_eq!(status, 201, "{answer}");
}

/// Waits until a connector has everything before `offset`.
async fn has_written(server: &Server, name: &str, offset: u64) {
    let path = format!("/connectors/{name}/offsets");
    until(server, &path, |answer| answer["offsets"][0]["offset"]["kafka_offset"] == offset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_speaks_s3_has_the_objects_that_a_folder_has() {
    let Some(store) = Store::start(BUCKET).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), "127.0.0.1:0").await;
    let at = [("store.url", store.url.as_str()), ("aws.access.key.id", "test"), ("aws.secret.access.key", "test")];
    post(&server, 0).await;
    make(&server, "files", classic()).await;
    make(&server, "store", with(classic(), &at)).await;
    let gzip = [("flush.size", "3"), ("s3.compression.type", "gzip"), ("topics.dir", "zipped"), ("tasks.max", "1")];
    make(&server, "files-gzip", with(classic(), &gzip)).await;
    make(&server, "store-gzip", with(with(classic(), &gzip), &at)).await;
    for index in 1..12 {
        post(&server, index).await;
        if index % 5 == 0 {
            assert!(server.kill().await, "it ran until it was killed");
            server = Server::start(folder.path(), "127.0.0.1:0").await;
        }
    }
    for name in ["files", "store", "files-gzip", "store-gzip"] {
        has_written(&server, name, 12).await;
    }
    let found = store.objects(BUCKET).await;
    assert_eq!(found.len(), 12 + 4, "{:?}", found.keys());
    assert_eq!(found, objects(folder.path()));
    let first = format!("topics/{TOPIC}/partition=0/{TOPIC}+0+0000000003.json");
    assert_eq!(found[&first], b"{\"index\":3,\"title\":\"a  b\"}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_fails_the_task_and_says_why() {
    let Some(store) = Store::start("another-bucket").await else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), "127.0.0.1:0").await;
    post(&server, 0).await;
    let at = [("store.url", store.url.as_str()), ("aws.access.key.id", "test"), ("aws.secret.access.key", "a secret")];
    let few = [("s3.part.retries", "1"), ("s3.retry.backoff.ms", "10"), ("tasks.max", "1")];
    make(&server, "store", with(with(classic(), &at), &few)).await;
    let status = until(&server, "/connectors/store/status", |status| status["tasks"][0]["state"] == "FAILED").await;
    let trace = status["tasks"][0]["trace"].as_str().unwrap();
    assert!(trace.contains(BUCKET) && !trace.contains("a secret"), "{trace}");
    // The bucket comes; the task goes on where it was.
    let made = reqwest::Client::new().put(format!("{}/{BUCKET}", store.url)).send().await.unwrap();
    assert!(made.status().is_success());
    assert_eq!(call(&server, "POST", "/connectors/store/restart?includeTasks=true", None).await.0 / 100, 2);
    has_written(&server, "store", 1).await;
    assert_eq!(store.objects(BUCKET).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_parquet_open_what_a_sink_writes() {
    if python_with_libraries().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), "127.0.0.1:0").await;
    let values = [
        json!({"n": 1, "x": 1.5, "text": "ä\"\n", "yes": true, "tags": ["a", "b"], "of": {"a": 1, "b": null}}),
        json!({"n": -9_007_199_254_740_993_i64, "x": 2.5, "text": null, "yes": false, "tags": [], "of": {"a": 2, "b": "c"}}),
        json!({"n": 3, "more": "late", "tags": null}),
    ];
    let records: Vec<Value> = values.iter().map(|value| json!({ "value": value })).collect();
    let request = reqwest::Client::new().post(format!("{}/topics/{TOPIC}", server.url));
    let request = request.header("content-type", "application/vnd.kafka.json.v2+json");
    let answer = request.body(json!({ "records": records }).to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let format = "io.confluent.connect.s3.format.parquet.ParquetFormat";
    for codec in ["none", "snappy", "lz4", "zstd"] {
        let more = [("format.class", format), ("flush.size", "3"), ("parquet.codec", codec), ("topics.dir", codec)];
        make(&server, codec, with(classic(), &more)).await;
        has_written(&server, codec, 3).await;
    }
    let found = objects(folder.path());
    let names: Vec<&String> = found.keys().collect();
    assert_eq!(found.len(), 4, "{names:?}");
    let root = folder.path().join("buckets").join(BUCKET);
    let paths: Vec<_> = names.iter().map(|name| root.join(name)).collect();
    let read = python("sink_objects.py", &paths).await.unwrap();
    let none = Value::Null;
    let wanted: Vec<Value> = values
        .iter()
        .map(|value| {
            let names = ["n", "x", "text", "yes", "tags", "of", "more"];
            names.iter().map(|name| ((*name).to_owned(), value.get(name).unwrap_or(&none).clone())).collect()
        })
        .collect();
    for reader in ["duckdb", "polars"] {
        let of_files = read[reader].as_array().unwrap();
        assert_eq!(of_files.len(), 4);
        for (rows, name) in of_files.iter().zip(&names) {
            assert_eq!(*rows, json!(wanted), "{name} by {reader}");
        }
    }
}
