//! A log in memory behind the doors, and requests to them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use futures::FutureExt;
use http_body_util::BodyExt;
use pinlake_core::pipeline::Pattern;
use pinlake_core::topic_store::OwnTopics;
use pinlake_core::{Clock, Log, MemoryLog, Offset, ReadLimit, Timestamp, TopicName, TopicSpec};
use pinlake_ingest::groups::GroupSettings;
use pinlake_ingest::{AutoCreate, DoorSettings, Doors, Groups, Streams};
use tower::ServiceExt;

/// Kafka's `json` content type.
pub(crate) const KAFKA_JSON: &str = "application/vnd.kafka.json.v2+json";

/// 2020-09-13, where the tests' clock stands.
pub(crate) const NOW: Timestamp = Timestamp(1_600_000_000_000);

/// A pipeline's patterns: classic names with one partition, `multi*` with three, `small*` with a low limit.
pub(crate) fn auto_create() -> AutoCreate {
    let patterns: Vec<Pattern> =
        ["*.pin", "*.geo", "*.user", "streaming-*", "Kinesis-Prod-Stream", "Pinterest_data"].map(Pattern::new).to_vec();
    Arc::new(move |topic: &TopicName| match topic.as_str() {
        name if name.starts_with("multi") => Some(TopicSpec::with_partitions(3)),
        name if name.starts_with("small") => Some(TopicSpec { batch_bytes_max: 1000, ..TopicSpec::default() }),
        name => patterns.iter().any(|pattern| pattern.matches(name)).then(TopicSpec::default),
    })
}

/// Doors onto any log. Their groups and streams are elsewhere, for a log that does not do all that a log must.
pub(crate) fn doors(log: Arc<dyn Log>, settings: DoorSettings) -> Doors {
    let own = Arc::new(MemoryLog::new());
    doors_with(log, settings, groups(own.clone()), streams(own))
}

/// Doors onto a log with these groups and streams.
pub(crate) fn doors_with(log: Arc<dyn Log>, settings: DoorSettings, groups: Groups, streams: Streams) -> Doors {
    Doors::new(log, Clock::manual(NOW), settings, auto_create(), groups, streams)
}

/// Streams in a log.
pub(crate) fn streams(log: Arc<MemoryLog>) -> Streams {
    let topic = TopicName::new(OwnTopics::OF_DISK.streams).unwrap();
    let opened = Streams::open(log, Clock::manual(NOW), &topic);
    opened.now_or_never().expect("a log in memory waits for nothing").unwrap()
}

/// Groups in a log.
pub(crate) fn groups(log: Arc<MemoryLog>) -> Groups {
    let opened = Groups::open(log, Clock::manual(NOW), GroupSettings::default());
    opened.now_or_never().expect("a log in memory waits for nothing").unwrap()
}

/// Doors onto a new log.
pub(crate) fn open(settings: DoorSettings) -> (Arc<MemoryLog>, Router) {
    let log = Arc::new(MemoryLog::new());
    (log.clone(), doors_with(log.clone(), settings, groups(log.clone()), streams(log)).router())
}

/// Status, headers and text of an answer.
pub(crate) async fn send(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// Posts a Kafka REST body.
pub(crate) async fn post(router: &Router, topic: &str, body: impl Into<Body>) -> (StatusCode, String) {
    let request = Request::post(format!("/topics/{topic}")).header("content-type", KAFKA_JSON).body(body.into()).unwrap();
    let (status, _, body) = send(router, request).await;
    (status, body)
}

/// A stored record as text: topic/partition, key, value; `-` for none. The server's own topics are left out.
pub(crate) async fn stored(log: &dyn Log) -> Vec<String> {
    let text = |bytes: Option<&[u8]>| bytes.map_or("-".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned());
    let mut found = Vec::new();
    for topic in log.topics().await.unwrap().into_iter().filter(|topic| !topic.name.as_str().starts_with("__")) {
        for partition in 0..topic.spec.partitions {
            let from = topic.name.partition(partition);
            let range = log.range(&from).await.unwrap();
            if range.is_empty() {
                continue;
            }
            let whole = ReadLimit { bytes: usize::MAX };
            for batch in log.read(&from, Offset::ZERO, whole, Duration::ZERO).await.unwrap() {
                for record in batch.records().map(Result::unwrap) {
                    found.push(format!("{from} {} {}", text(record.key), text(record.value)));
                }
            }
        }
    }
    found
}
