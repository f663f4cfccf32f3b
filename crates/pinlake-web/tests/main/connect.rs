//! Kafka Connect's API from outside, over connectors that are only remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use pinlake_core::{Error, Offset, Result, TopicName, TopicPartition};
use pinlake_web::Parts;
use pinlake_web::connect::{About, Config, Connectors, Plugin, Restart, Status, TaskStatus, Wanted};
use serde_json::{Value, json};

use super::{Answer, parts, send};

const CLASS: &str = "io.confluent.connect.s3.S3SinkConnector";

/// Remembers connectors, and everything that is done to them.
#[derive(Default)]
struct FakeConnectors {
    there: Mutex<BTreeMap<String, Config>>,
    done: Mutex<Vec<String>>,
}

impl FakeConnectors {
    fn find(&self, name: &str) -> Result<Config> {
        let there = self.there.lock().unwrap();
        there.get(name).cloned().ok_or_else(|| Error::not_found(format!("Connector {name} not found")))
    }

    fn note(&self, name: &str, what: String) -> Result<()> {
        self.find(name)?;
        self.done.lock().unwrap().push(what);
        Ok(())
    }

    fn done(&self) -> Vec<String> {
        std::mem::take(&mut *self.done.lock().unwrap())
    }
}

#[async_trait]
impl Connectors for FakeConnectors {
    fn about(&self) -> About {
        let [version, commit, cluster_id, worker_id] = ["3.9.0", "abc", "cluster", "127.0.0.1:8082"].map(str::to_owned);
        About { version, commit, cluster_id, worker_id }
    }

    fn plugins(&self) -> Vec<Plugin> {
        let plugin = |class: &str, kind| Plugin { class: class.to_owned(), kind, version: "1".to_owned() };
        vec![plugin(CLASS, "sink"), plugin("org.apache.kafka.connect.json.JsonConverter", "converter")]
    }

    fn definitions(&self, plugin: &str) -> Result<Value> {
        if plugin.ends_with("S3SinkConnector") {
            Ok(json!([{ "name": "flush.size" }]))
        } else {
            Err(Error::not_found("no plugin"))
        }
    }

    fn validate(&self, config: &Config) -> Result<Value> {
        Ok(json!({ "name": config.get("connector.class"), "error_count": 0, "groups": [], "configs": [] }))
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(self.there.lock().unwrap().keys().cloned().collect())
    }

    async fn config(&self, name: &str) -> Result<Config> {
        self.find(name)
    }

    async fn status(&self, name: &str) -> Result<Status> {
        self.find(name)?;
        let task = |id, state, trace: Option<&str>| TaskStatus { id, state, trace: trace.map(str::to_owned) };
        Ok(Status { state: "RUNNING", trace: None, tasks: vec![task(0, "RUNNING", None), task(1, "FAILED", Some("why"))] })
    }

    async fn create(&self, name: &str, config: Config, state: Wanted) -> Result<()> {
        if self.find(name).is_ok() {
            return Err(Error::conflict(format!("Connector {name} already exists")));
        }
        if config.get("flush.size").is_none_or(|size| size != "1") {
            return Err(Error::invalid("Connector configuration is invalid"));
        }
        self.there.lock().unwrap().insert(name.to_owned(), config);
        self.note(name, format!("create {name} {state:?}"))
    }

    async fn alter(&self, name: &str, config: Config) -> Result<()> {
        self.note(name, format!("alter {name}"))?;
        self.there.lock().unwrap().insert(name.to_owned(), config);
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.note(name, format!("delete {name}"))?;
        self.there.lock().unwrap().remove(name);
        Ok(())
    }

    async fn want(&self, name: &str, state: Wanted) -> Result<()> {
        self.note(name, format!("want {name} {state:?}"))
    }

    async fn restart(&self, name: &str, which: Restart) -> Result<()> {
        self.note(name, format!("restart {name} {which:?}"))
    }

    async fn topics(&self, name: &str) -> Result<BTreeSet<TopicName>> {
        self.find(name)?;
        Ok([TopicName::new("b")?, TopicName::new("a")?].into())
    }

    async fn forget_topics(&self, name: &str) -> Result<()> {
        self.note(name, format!("forget {name}"))
    }

    async fn offsets(&self, name: &str) -> Result<Vec<(TopicPartition, Offset)>> {
        self.find(name)?;
        Ok(vec![(TopicName::new("a")?.partition(2), Offset(7))])
    }

    async fn alter_offsets(&self, name: &str, offsets: Vec<(TopicPartition, Option<Offset>)>) -> Result<()> {
        let all: Vec<String> = offsets.iter().map(|(of, to)| format!("{of} {:?}", to.map(|to| to.0))).collect();
        self.note(name, format!("move {name} {}", all.join(", ")))
    }

    async fn reset_offsets(&self, name: &str) -> Result<()> {
        self.note(name, format!("reset {name}"))
    }
}

fn router(connectors: &Arc<FakeConnectors>) -> Router {
    pinlake_web::router(Parts { connectors: Some(connectors.clone()), ..parts(&Arc::default()) })
}

async fn call(connectors: &Arc<FakeConnectors>, method: &str, path: &str, body: impl Into<Body>) -> Answer {
    send(router(connectors), method, path, &[("content-type", "application/json")], body).await
}

/// Connectors with one, `s`.
async fn with_one() -> Arc<FakeConnectors> {
    let connectors = Arc::new(FakeConnectors::default());
    let body = json!({ "name": " s ", "config": { "connector.class": CLASS, "flush.size": 1, "off": null } }).to_string();
    let answer = call(&connectors, "POST", "/connectors", body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.header("location"), "/connectors/s");
    let expected = json!({
        "name": "s",
        "config": { "connector.class": CLASS, "flush.size": "1", "name": "s" },
        "tasks": [{ "connector": "s", "task": 0 }, { "connector": "s", "task": 1 }],
        "type": "sink",
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(connectors.done(), ["create s Running"]);
    connectors
}

#[track_caller]
fn is_error(answer: &Answer, status: u16, message: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.json()["error_code"], status);
    let found = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(found.contains(message), "{found:?} does not hold {message:?}");
}

#[tokio::test]
async fn what_is_asked_of_a_connector_is_answered_in_connects_form() {
    let connectors = with_one().await;
    let task = |id: u32| json!({ "connector": "s", "task": id });
    let config = json!({ "connector.class": CLASS, "flush.size": "1", "name": "s" });
    let info = json!({ "name": "s", "config": config, "tasks": [task(0), task(1)], "type": "sink" });
    let worker = "127.0.0.1:8082";
    let failed = json!({ "id": 1, "state": "FAILED", "worker_id": worker, "trace": "why" });
    let status = json!({
        "name": "s",
        "connector": { "state": "RUNNING", "worker_id": worker },
        "tasks": [{ "id": 0, "state": "RUNNING", "worker_id": worker }, failed],
        "type": "sink",
    });
    for (path, expected) in [
        ("/connectors", json!(["s"])),
        ("/connectors/", json!(["s"])),
        ("/connectors?expand=status", json!({ "s": { "status": status } })),
        ("/connectors?expand=info&expand=status&expand=x", json!({ "s": { "info": info, "status": status } })),
        ("/connectors/s", info.clone()),
        ("/connectors/s/config", config.clone()),
        ("/connectors/s/status", status.clone()),
        ("/connectors/s/tasks", json!([{ "id": task(0), "config": config }, { "id": task(1), "config": config }])),
        ("/connectors/s/tasks-config", json!({ "s-0": config, "s-1": config })),
        ("/connectors/s/tasks/1/status", failed.clone()),
        ("/connectors/s/topics", json!({ "s": { "topics": ["a", "b"] } })),
        (
            "/connectors/s/offsets",
            json!({ "offsets": [{ "partition": { "kafka_topic": "a", "kafka_partition": 2 }, "offset": { "kafka_offset": 7 } }] }),
        ),
        ("/connector-plugins", json!([{ "class": CLASS, "type": "sink", "version": "1" }])),
        ("/connector-plugins/S3SinkConnector/config", json!([{ "name": "flush.size" }])),
    ] {
        let answer = call(&connectors, "GET", path, "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(answer.json(), expected, "{path}");
    }
    let all = call(&connectors, "GET", "/connector-plugins?connectorsOnly=false", "").await;
    assert_eq!(all.json().as_array().unwrap().len(), 2);
    assert!(connectors.done().is_empty());
}

#[tokio::test]
async fn every_change_has_its_status_and_is_done_once() {
    let connectors = with_one().await;
    for (method, path, body, status, done) in [
        ("PUT", "/connectors/s/pause", "", 202, "want s Paused"),
        ("PUT", "/connectors/s/resume", "", 202, "want s Running"),
        ("PUT", "/connectors/s/stop", "", 204, "want s Stopped"),
        ("POST", "/connectors/s/restart", "", 204, "restart s Connector"),
        (
            "POST",
            "/connectors/s/restart?includeTasks=true&onlyFailed=true",
            "",
            202,
            "restart s All { with_tasks: true, only_failed: true }",
        ),
        ("POST", "/connectors/s/restart?onlyFailed=true", "", 202, "restart s All { with_tasks: false, only_failed: true }"),
        ("POST", "/connectors/s/tasks/1/restart", "", 204, "restart s Task(1)"),
        ("PUT", "/connectors/s/topics/reset", "", 200, "forget s"),
        ("DELETE", "/connectors/s/offsets", "", 200, "reset s"),
        (
            "PATCH",
            "/connectors/s/offsets",
            r#"{"offsets":[{"partition":{"kafka_topic":"a","kafka_partition":0},"offset":{"kafka_offset":5}},
               {"partition":{"kafka_topic":"b","kafka_partition":"1"},"offset":null}]}"#,
            200,
            "move s a/0 Some(5), b/1 None",
        ),
        ("PUT", "/connectors/s/config", r#"{"flush.size":"2"}"#, 200, "alter s"),
        ("PATCH", "/connectors/s/config", r#"{"x":true,"flush.size":null}"#, 200, "alter s"),
    ] {
        let answer = call(&connectors, method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert_eq!(connectors.done(), [done]);
    }
    assert_eq!(
        connectors.find("s").unwrap(),
        Config::from([("name", "s"), ("x", "true")].map(|(n, v)| (n.to_owned(), v.to_owned())))
    );
    let made = call(&connectors, "PUT", "/connectors/new%20one/config", r#"{"flush.size":"1"}"#).await;
    assert_eq!((made.status.as_u16(), made.json()["name"].as_str()), (201, Some("new one")));
    assert_eq!(call(&connectors, "DELETE", "/connectors/s", "").await.status, 204);
    is_error(&call(&connectors, "GET", "/connectors/s", "").await, 404, "Connector s not found");
    let paused = r#"{"name":"p","initial_state":"paused","config":{"flush.size":"1"}}"#;
    assert_eq!(call(&connectors, "POST", "/connectors", paused).await.status, 201);
    assert_eq!(connectors.done().last().unwrap(), "create p Paused");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_connects_form() {
    let connectors = with_one().await;
    for (method, path, body, status, message) in [
        ("POST", "/connectors", r#"{"name":"s","config":{"flush.size":"1"}}"#, 409, "already exists"),
        ("POST", "/connectors", r#"{"name":"t","config":{"flush.size":"0"}}"#, 400, "configuration is invalid"),
        ("POST", "/connectors", r#"{"name":"t","config":{"name":"u"}}"#, 400, "(u) doesn't match connector name in the URL (t)"),
        ("POST", "/connectors", r#"{"name":"t","config":{"a":[1]}}"#, 400, "takes text, not a list"),
        ("POST", "/connectors", r#"{"name":"t","initial_state":"up","config":{}}"#, 400, "RUNNING, PAUSED or STOPPED, not 'UP'"),
        ("POST", "/connectors", "{", 400, "the request body is not right"),
        ("POST", "/connectors", "", 400, "the request body is not right"),
        ("GET", "/connectors/none/status", "", 404, "not found"),
        ("PUT", "/connectors/none/pause", "", 404, "not found"),
        ("GET", "/connectors/s/tasks/9/status", "", 404, "No status found for task s-9"),
        ("POST", "/connectors/s/tasks/x/restart", "", 404, "HTTP 404 Not Found"),
        ("PATCH", "/connectors/s/offsets", r#"{"offsets":[]}"#, 400, "need to be provided"),
        (
            "PATCH",
            "/connectors/s/offsets",
            r#"{"offsets":[{"partition":{"kafka_topic":"a","kafka_partition":-1},"offset":null}]}"#,
            400,
            "'kafka_partition' takes a number from 0 on",
        ),
        ("GET", "/connectors/s/none", "", 404, "HTTP 404 Not Found"),
        ("GET", "/connectors/s/tasks/1/none", "", 404, "HTTP 404 Not Found"),
        ("GET", "/connector-plugins/S3Sink", "", 404, "HTTP 404 Not Found"),
        ("POST", "/connectors/s/pause", "", 405, "HTTP 405 Method Not Allowed"),
        ("GET", "/connector-plugins/FileSink/config", "", 404, "no plugin"),
        (
            "PUT",
            "/connector-plugins/FileSink/config/validate",
            r#"{"connector.class":"S3Sink"}"#,
            400,
            "Included connector type S3Sink does not match request type FileSink",
        ),
    ] {
        is_error(&call(&connectors, method, path, body).await, status, message);
    }
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(pinlake_web::BODY_BYTES_MAX));
    is_error(&call(&connectors, "POST", "/connectors", large).await, 413, "larger than");
    assert!(connectors.done().is_empty());
}

#[tokio::test]
async fn a_configuration_is_validated_under_any_of_the_plugins_names() {
    let connectors = with_one().await;
    for plugin in ["S3Sink", "S3SinkConnector", CLASS] {
        let path = format!("/connector-plugins/{plugin}/config/validate");
        let answer = call(&connectors, "PUT", &path, json!({ "connector.class": CLASS, "tasks.max": 3 }).to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.json()["error_count"].as_i64()), (200, Some(0)), "{}", answer.body);
    }
}

#[tokio::test]
async fn the_root_is_connects_for_those_who_ask_for_json() {
    let connectors = with_one().await;
    let expected = json!({ "version": "3.9.0", "commit": "abc", "kafka_cluster_id": "cluster" });
    assert_eq!(root(&connectors, "application/json").await.json(), expected);
    assert_eq!(root(&connectors, "*/*").await.json(), json!({}));
    assert!(root(&connectors, "text/html,application/json;q=0.9").await.body.starts_with("<!doctype html>"));
}

async fn root(connectors: &Arc<FakeConnectors>, accept: &str) -> Answer {
    send(router(connectors), "GET", "/", &[("accept", accept)], "").await
}
