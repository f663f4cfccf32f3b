//! The log as clients see it: the topics in which the server keeps its own state are not there, at whatever door. The one place that
//! decides which those are; everything else is the log's own.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pinlake_core::producers::ProducerState;
use pinlake_core::topic_store::OwnTopics;
use pinlake_core::{
    Batch, Committed, Error, Log, Offset, OffsetRange, ReadLimit, Reason, Result, Timestamp, TopicDescription, TopicName,
    TopicPartition, TopicSpec,
};

use crate::groups::{Groups, OFFSETS_TOPIC};
use crate::transactions::TRANSACTIONS_TOPIC;

/// A log without the server's own topics.
pub struct ClientLog {
    log: Arc<dyn Log>,
    /// Where the groups are, if not where Kafka has them.
    groups: TopicName,
}

impl ClientLog {
    /// `log` without the topics that keep `groups` and streams, and without those of Kafka's names for such: a cluster has its own of them.
    pub fn new(log: Arc<dyn Log>, groups: &Groups) -> Self {
        Self { log, groups: groups.topic().clone() }
    }

    fn is_own(&self, topic: &TopicName) -> bool {
        let own = if self.groups.as_str() == OFFSETS_TOPIC { OwnTopics::OF_DISK } else { OwnTopics::OF_CLUSTER };
        *topic == self.groups || [OFFSETS_TOPIC, TRANSACTIONS_TOPIC].contains(&topic.as_str()) || own.has(topic)
    }

    /// The log, for a topic that is not the server's own.
    fn of(&self, topic: &TopicName) -> Result<&dyn Log> {
        if self.is_own(topic) {
            let text = format!("topic '{topic}' is the server's own: choose another name");
            return Err(Error::not_found(text).because(Reason::OwnTopic));
        }
        Ok(&*self.log)
    }
}

#[async_trait]
impl Log for ClientLog {
    async fn create_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        self.of(topic)?.create_topic(topic, spec).await
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>> {
        let topics = self.log.topics().await?;
        Ok(topics.into_iter().filter(|topic| !self.is_own(&topic.name)).collect())
    }

    async fn topic(&self, topic: &TopicName) -> Result<TopicDescription> {
        self.of(topic)?.topic(topic).await
    }

    async fn delete_topic(&self, topic: &TopicName) -> Result<()> {
        self.of(topic)?.delete_topic(topic).await
    }

    async fn alter_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        self.of(topic)?.alter_topic(topic, spec).await
    }

    async fn trim(&self, of: &TopicPartition, before: Offset) -> Result<Offset> {
        self.of(&of.topic)?.trim(of, before).await
    }

    async fn append(&self, to: &TopicPartition, batch: Batch) -> Result<OffsetRange> {
        self.of(&to.topic)?.append(to, batch).await
    }

    async fn come_along(&self, to: &TopicPartition) {
        self.log.come_along(to).await;
    }

    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        self.of(&from.topic)?.read(from, at, max, wait).await
    }

    async fn read_committed(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Committed> {
        self.of(&from.topic)?.read_committed(from, at, max, wait).await
    }

    async fn stable_end(&self, of: &TopicPartition) -> Result<Offset> {
        self.of(&of.topic)?.stable_end(of).await
    }

    async fn producers(&self, of: &TopicPartition) -> Result<Vec<(ProducerState, Option<Offset>)>> {
        self.of(&of.topic)?.producers(of).await
    }

    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange> {
        self.of(&of.topic)?.range(of).await
    }

    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.of(&of.topic)?.offset_at(of, time).await
    }
}
