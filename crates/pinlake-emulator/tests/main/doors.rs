//! A server with the two doors that remembers what it was asked, and fails on purpose.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

/// What the server has taken: the values of each topic or stream in order.
#[derive(Debug, Default)]
struct Taken {
    seen: Vec<Seen>,
    topics: BTreeMap<String, Vec<String>>,
    /// Answers that the next requests get instead of being taken.
    failures: Vec<(StatusCode, String)>,
    /// Whether the next `PutRecords` takes its first record alone.
    is_throttled: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Doors {
    taken: Arc<Mutex<Taken>>,
    pub(crate) url: String,
}

#[derive(Deserialize)]
struct RestBody {
    records: Vec<RestRecord>,
}

#[derive(Deserialize)]
struct RestRecord {
    value: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    data: Box<RawValue>,
    partition_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entries {
    records: Vec<Entry>,
}

impl Doors {
    /// Serves on a loopback port of the system's choice until the test's runtime ends.
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let doors = Self { taken: Arc::default(), url };
        let app = Router::new().fallback(answer).with_state(doors.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        doors
    }

    /// The next requests get these answers.
    pub(crate) fn fail(&self, failures: &[(u16, &str)]) {
        let failure = |(status, text): &(u16, &str)| (StatusCode::from_u16(*status).unwrap(), (*text).to_owned());
        self.taken.lock().unwrap().failures.extend(failures.iter().rev().map(failure));
    }

    /// The next `PutRecords` takes one record only.
    pub(crate) fn throttle(&self) {
        self.taken.lock().unwrap().is_throttled = true;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.taken.lock().unwrap().seen.clone()
    }

    /// The values that `topic` took.
    pub(crate) fn values(&self, topic: &str) -> Vec<String> {
        self.taken.lock().unwrap().topics.get(topic).cloned().unwrap_or_default()
    }

    pub(crate) fn topics(&self) -> Vec<String> {
        self.taken.lock().unwrap().topics.keys().cloned().collect()
    }
}

/// A failure with 50003, Kafka REST's code for what may be tried again, says when.
async fn answer(
    State(doors): State<Doors>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, String) {
    let mut taken = doors.taken.lock().unwrap();
    let content_type = headers.get("content-type").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let body = String::from_utf8(body.to_vec()).unwrap();
    taken.seen.push(Seen { method, path: uri.path().to_owned(), content_type, body: body.clone() });
    let mut told = HeaderMap::new();
    if let Some((status, text)) = taken.failures.pop() {
        if text.contains("50003") {
            told.insert("retry-after", HeaderValue::from_static("0"));
        }
        return (status, told, text);
    }
    let path: Vec<&str> = uri.path().split('/').skip_while(|part| !matches!(*part, "topics" | "streams")).collect();
    let answer = match path[..] {
        ["topics", topic] => taken.produce(topic, &body),
        ["streams", stream, "record"] => taken.put(stream, &serde_json::from_str(&body).unwrap()),
        ["streams", stream, "records"] => taken.put_all(stream, &serde_json::from_str(&body).unwrap()),
        _ => return (StatusCode::NOT_FOUND, told, "no such door".to_owned()),
    };
    (StatusCode::OK, told, answer.to_string())
}

impl Taken {
    fn take(&mut self, topic: &str, value: &RawValue) -> usize {
        let values = self.topics.entry(topic.to_owned()).or_default();
        values.push(value.get().to_owned());
        values.len() - 1
    }

    fn produce(&mut self, topic: &str, body: &str) -> Value {
        let body: RestBody = serde_json::from_str(body).unwrap();
        let offset = |record: &RestRecord| json!({"partition": 0, "offset": self.take(topic, &record.value), "error_code": null, "error": null});
        let offsets: Vec<Value> = body.records.iter().map(offset).collect();
        json!({"offsets": offsets, "key_schema_id": null, "value_schema_id": null})
    }

    fn put(&mut self, stream: &str, entry: &Entry) -> Value {
        assert!(!entry.partition_key.is_empty());
        json!({"SequenceNumber": format!("{:056}", self.take(stream, &entry.data)), "ShardId": "shardId-000000000000"})
    }

    fn put_all(&mut self, stream: &str, entries: &Entries) -> Value {
        let is_throttled = std::mem::take(&mut self.is_throttled);
        let mut answers = Vec::new();
        for (place, entry) in entries.records.iter().enumerate() {
            answers.push(match is_throttled && place > 0 {
                true => json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}),
                false => self.put(stream, entry),
            });
        }
        let failed = answers.iter().filter(|answer| answer["ErrorCode"].is_string()).count();
        json!({"FailedRecordCount": failed, "Records": answers})
    }
}
