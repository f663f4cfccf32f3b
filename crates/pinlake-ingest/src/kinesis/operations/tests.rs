//! The operations as their callers see them: on a log in memory, in time that stands still until it is moved.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pinlake_core::topic_store::OwnTopics;
use pinlake_core::{Clock, Log, MemoryLog, TopicSpec};
use serde_json::json;

use super::*;
use crate::groups::{GroupSettings, Groups};
use crate::kinesis::streams::Streams;
use crate::settings::DoorSettings;

mod reading;
mod records;
mod resharding;
mod settings;
mod shards;
mod streams;
mod subscribing;
mod throttling;

const NOW: Timestamp = Timestamp(1_600_000_000_000);
const ACCOUNT: &str = "123456789012";

/// Doors onto a log, and the clock they go by.
struct World {
    log: Arc<dyn Log>,
    clock: Clock,
    settings: KinesisSettings,
    doors: Doors,
    metrics: DoorMetrics,
}

impl World {
    /// Where everything is done at once.
    async fn new() -> Self {
        Self::with(KinesisSettings { transition: Duration::ZERO, ..KinesisSettings::default() }).await
    }

    async fn with(settings: KinesisSettings) -> Self {
        Self::on(Arc::new(MemoryLog::new()), Clock::manual(NOW), settings).await
    }

    async fn on(log: Arc<dyn Log>, clock: Clock, settings: KinesisSettings) -> Self {
        let groups = Groups::open(log.clone(), clock.clone(), GroupSettings::default()).await.unwrap();
        let streams =
            Streams::open(log.clone(), clock.clone(), &TopicName::new(OwnTopics::OF_DISK.streams).unwrap()).await.unwrap();
        let door_settings = DoorSettings { kinesis: settings.clone(), ..DoorSettings::default() };
        let auto_create = Arc::new(|name: &TopicName| name.as_str().starts_with("auto").then(TopicSpec::default));
        let doors = Doors::new(log.clone(), clock.clone(), door_settings, auto_create, groups, streams);
        Self { log, clock, settings, doors, metrics: DoorMetrics::new("test") }
    }

    /// The server dies and starts again.
    async fn restart(&mut self) {
        *self = Self::on(self.log.clone(), self.clock.clone(), self.settings.clone()).await;
    }

    async fn call<const N: usize>(&self, operation: &str, members: [(&'static str, Value); N]) -> Result<Value, AwsError> {
        let words = Words::of(&self.settings, Some("eu-west-1"));
        let context = Context { doors: &self.doors, metrics: &self.metrics, words, caller: None };
        serve(&context, operation, &Value::map(members)).await
    }

    /// The same, of a call that must succeed, as JSON.
    async fn json<const N: usize>(&self, operation: &str, members: [(&'static str, Value); N]) -> serde_json::Value {
        match self.call(operation, members).await {
            Ok(answer) => serde_json::from_slice(&answer.to_json()).unwrap(),
            Err(error) => panic!("{operation}: {error:?}"),
        }
    }

    /// The same, of a call that must be refused: type and text.
    async fn refused<const N: usize>(&self, operation: &str, members: [(&'static str, Value); N]) -> String {
        match self.call(operation, members).await {
            Ok(answer) => panic!("{operation}: {answer:?}"),
            Err(error) => format!("{}: {}", error.kind, error.message.unwrap_or_default()),
        }
    }

    async fn create(&self, stream: &str, shards: i64) {
        self.json("CreateStream", [("StreamName", stream.into()), ("ShardCount", shards.into())]).await;
    }

    async fn status(&self, stream: &str) -> String {
        let answer = self.json("DescribeStreamSummary", [("StreamName", stream.into())]).await;
        answer["StreamDescriptionSummary"]["StreamStatus"].as_str().unwrap().to_owned()
    }

    /// Shards as JSON.
    async fn shards(&self, stream: &str) -> Vec<serde_json::Value> {
        self.json("ListShards", [("StreamName", stream.into())]).await["Shards"].as_array().unwrap().clone()
    }

    /// Puts a record; answers shard and sequence number.
    async fn put(&self, stream: &str, key: &str, data: &str) -> (u32, String) {
        let data = Bytes::copy_from_slice(data.as_bytes());
        let members = [("StreamName", stream.into()), ("PartitionKey", key.into()), ("Data", data.into())];
        let answer = self.json("PutRecord", members).await;
        let shard = names::shard_number(answer["ShardId"].as_str().unwrap()).unwrap();
        (shard, answer["SequenceNumber"].as_str().unwrap().to_owned())
    }

    async fn iterator(&self, stream: &str, shard: u32, kind: &str) -> String {
        let id = crate::kinesis::sequence::shard_id(shard);
        let members = [("StreamName", stream.into()), ("ShardId", id.into()), ("ShardIteratorType", kind.into())];
        self.json("GetShardIterator", members).await["ShardIterator"].as_str().unwrap().to_owned()
    }

    /// Reads on from an iterator.
    async fn get(&self, iterator: &str) -> Value {
        self.call("GetRecords", [("ShardIterator", iterator.into())]).await.unwrap()
    }
}

fn arn(stream: &str) -> String {
    format!("arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/{stream}")
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}
