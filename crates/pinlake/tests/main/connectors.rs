//! Kafka Connect's API of a real server: the configuration that nearly everybody has, and the objects that it makes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::server::Server;

pub(crate) const TOPIC: &str = "0a1b2c3d4e5f.pin";
/// How long a connector may take for what it usually does at once.
const WAIT: Duration = Duration::from_secs(60);

/// The classic connector, as it is configured nearly everywhere.
pub(crate) fn classic() -> Value {
    json!({
        "connector.class": "io.confluent.connect.s3.S3SinkConnector",
        "s3.region": "us-east-1",
        "flush.size": "1",
        "schema.compatibility": "NONE",
        "tasks.max": "3",
        "topics.regex": "0a1b2c3d4e5f.*",
        "format.class": "io.confluent.connect.s3.format.json.JsonFormat",
        "partitioner.class": "io.confluent.connect.storage.partitioner.DefaultPartitioner",
        "value.converter.schemas.enable": "false",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "storage.class": "io.confluent.connect.s3.storage.S3Storage",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "s3.bucket.name": "user-0a1b2c3d4e5f-bucket",
    })
}

/// Posts a record, as the classic scripts do.
pub(crate) async fn post(server: &Server, index: u64) {
    let body = format!("{{\"records\":[{{\"value\":{{ \"index\": {index}, \"title\": \"a  b\" }}}}]}}");
    let request = reqwest::Client::new().post(format!("{}/topics/{TOPIC}", server.url));
    let answer = request.header("content-type", "application/vnd.kafka.json.v2+json").body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Calls the API; the answer's status and JSON, null where there is none.
pub(crate) async fn call(server: &Server, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), format!("{}{path}", server.url));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

/// Waits until an answer is as wanted.
pub(crate) async fn until(server: &Server, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let asked = async {
        let mut turns = tokio::time::interval(Duration::from_millis(20));
        loop {
            turns.tick().await;
            let (_, answer) = call(server, "GET", path, None).await;
            if is_wanted(&answer) {
                return answer;
            }
        }
    };
    let waited = tokio::time::timeout(WAIT, asked).await;
    match waited {
        Ok(answer) => answer,
        Err(_) => panic!("{path} is still {}", call(server, "GET", path, None).await.1),
    }
}

/// Waits until the connector has everything before `offset` of the topic's partition.
async fn written(server: &Server, offset: u64) {
    let path = "/connectors/classic/offsets";
    until(server, path, |answer| answer["offsets"][0]["offset"]["kafka_offset"] == offset).await;
}

/// All objects of a bucket: their names and contents.
pub(crate) fn objects(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let root = data.join("buckets/user-0a1b2c3d4e5f-bucket");
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // A local store writes beside the name, which has a '#' then: what a kill leaves of that is no object.
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().contains('#') {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn expected(count: u64) -> BTreeMap<String, Vec<u8>> {
    let one = |index| {
        let name = format!("topics/{TOPIC}/partition=0/{TOPIC}+0+{index:010}.json");
        (name, format!("{{\"index\":{index},\"title\":\"a  b\"}}\n").into_bytes())
    };
    (0..count).map(one).collect()
}

#[tokio::test]
async fn the_classic_connector_makes_the_classic_objects_also_after_kills() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let server = Server::start(data, "127.0.0.1:0").await;
    post(&server, 0).await;
    let (status, answer) = call(&server, "POST", "/connectors", Some(json!({ "name": "classic", "config": classic() }))).await;
    assert_eq!((status, answer["type"].as_str()), (201, Some("sink")), "{answer}");
    let again = json!({ "name": "classic", "config": classic() });
    assert_eq!(call(&server, "POST", "/connectors", Some(again)).await.0, 409);
    post(&server, 1).await;
    written(&server, 2).await;
    assert_eq!(objects(data), expected(2));
    let status =
        until(&server, "/connectors/classic/status", |status| status["tasks"].as_array().is_some_and(|t| t.len() == 3)).await;
    assert_eq!(status["connector"]["state"], "RUNNING", "{status}");
    assert!(status["tasks"].as_array().unwrap().iter().all(|task| task["state"] == "RUNNING"), "{status}");

    let mut server = server;
    for round in 1..4 {
        post(&server, 2 * round).await;
        assert!(server.kill().await);
        server = Server::start(data, "127.0.0.1:0").await;
        post(&server, 2 * round + 1).await;
        written(&server, 2 * round + 2).await;
        assert_eq!(objects(data), expected(2 * round + 2));
    }
    assert_eq!(server.get("/connectors/classic/topics").await, json!({ "classic": { "topics": [TOPIC] } }));
    assert_eq!(server.get("/connectors/classic/config").await["flush.size"], "1");
}

#[tokio::test]
async fn a_connector_is_paused_stopped_moved_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let server = Server::start(data, "127.0.0.1:0").await;
    assert_eq!(call(&server, "PUT", "/connectors/classic/config", Some(classic())).await.0, 201);
    post(&server, 0).await;
    written(&server, 1).await;
    for (call_, state) in [("pause", "PAUSED"), ("resume", "RUNNING"), ("pause", "PAUSED")] {
        assert_eq!(call(&server, "PUT", &format!("/connectors/classic/{call_}"), None).await.0, 202);
        until(&server, "/connectors/classic/status", |status| status["connector"]["state"] == state).await;
    }
    post(&server, 1).await;
    let moved =
        json!({ "offsets": [{ "partition": { "kafka_topic": TOPIC, "kafka_partition": 0 }, "offset": { "kafka_offset": 0 } }] });
    assert_eq!(call(&server, "PATCH", "/connectors/classic/offsets", Some(moved.clone())).await.0, 400);
    assert_eq!(call(&server, "PUT", "/connectors/classic/stop", None).await.0, 204);
    until(&server, "/connectors/classic/status", |status| status["connector"]["state"] == "STOPPED").await;
    assert_eq!(objects(data), expected(1));
    let (status, answer) = call(&server, "PATCH", "/connectors/classic/offsets", Some(moved)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(call(&server, "PUT", "/connectors/classic/resume", None).await.0, 202);
    written(&server, 2).await;
    assert_eq!(objects(data), expected(2));
    assert_eq!(call(&server, "DELETE", "/connectors/classic", None).await.0, 204);
    assert_eq!(call(&server, "GET", "/connectors/classic/status", None).await.0, 404);
    assert_eq!(server.get("/connectors").await, json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_a_connector_is_said_before_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), "127.0.0.1:0").await;
    let mut config = classic();
    config.as_object_mut().unwrap().remove("flush.size");
    let (status, answer) = call(&server, "POST", "/connectors", Some(json!({ "name": "classic", "config": config }))).await;
    assert_eq!((status, &answer["error_code"]), (400, &json!(400)));
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("Missing required configuration \"flush.size\" which has no default value."), "{message}");
    let path = "/connector-plugins/S3SinkConnector/config/validate";
    config["name"] = json!("classic");
    let (status, answer) = call(&server, "PUT", path, Some(config)).await;
    assert_eq!((status, &answer["error_count"]), (200, &json!(1)));
    let plugins = server.get("/connector-plugins").await;
    assert_eq!(plugins[0]["class"], "io.confluent.connect.s3.S3SinkConnector");
    let about = reqwest::Client::new().get(&server.url).header("accept", "application/json").send().await.unwrap();
    let about: Value = about.json().await.unwrap();
    assert_eq!(about["kafka_cluster_id"].as_str().map(str::len), Some(22), "{about}");
    // The topic in which the server keeps them is its own.
    let topics = server.get("/topics").await;
    assert!(topics.as_array().unwrap().iter().all(|topic| topic != "__connectors"), "{topics}");
}
