//! The log as whoever writes to it meets it: a topic is deleted once archive and tables have all of it, and doors are told to wait once those
//! are far behind. Everything else is the log's own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::Counter;
use pinlake_core::producers::ProducerState;
use pinlake_core::{
    Batch, Committed, Error, Followers, Log, Offset, OffsetRange, ReadLimit, Result, Timestamp, TopicDescription, TopicName,
    TopicPartition, TopicSpec,
};
use pinlake_ingest::groups::Groups;
use pinlake_lake::lake::Lake;

/// A log and the lake that follows it.
pub(crate) struct FollowedLog {
    log: Arc<dyn Log>,
    lake: Arc<Lake>,
    followers: Followers,
    groups: Groups,
    is_own: bool,
    slowed: Counter,
}

impl FollowedLog {
    /// `log`, which is this server's own or a cluster.
    pub(crate) fn new(log: Arc<dyn Log>, lake: Arc<Lake>, followers: Followers, groups: Groups, is_own: bool) -> Self {
        metrics::describe_counter!("pinlake_slowed_appends_total", "appends that waited for archive or tables far behind");
        let slowed = metrics::counter!("pinlake_slowed_appends_total");
        // Shown before it counts anything.
        slowed.increment(0);
        Self { log, lake, followers, groups, is_own, slowed }
    }
}

#[async_trait]
impl Log for FollowedLog {
    async fn create_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        // In a cluster it would begin at 0 again, and nobody could tell its records from those that were taken.
        if !self.is_own && self.lake.knows(topic) && self.log.topic(topic).await.is_err() {
            return Err(Error::invalid(format!(
                "topic '{topic}' was there before, archive and tables hold records of it, and the cluster would begin anew at offset 0: \
                 choose another name"
            )));
        }
        self.log.create_topic(topic, spec).await
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>> {
        self.log.topics().await
    }

    async fn topic(&self, topic: &TopicName) -> Result<TopicDescription> {
        self.log.topic(topic).await
    }

    /// Has archive and tables take what the topic holds first: the log refuses to drop what they have not.
    async fn delete_topic(&self, topic: &TopicName) -> Result<()> {
        self.log.topic(topic).await?;
        if self.lake.pipeline().follows(topic) {
            self.lake.flush().await?;
        }
        self.log.delete_topic(topic).await?;
        // A log of our own goes on behind its end, if it is made again; in a cluster its followers would miss what they stand at.
        if !self.is_own
            && self.lake.knows(topic)
            && let Err(error) = self.lake.topic_deleted(topic).await
        {
            tracing::warn!(%topic, %error, "starts will miss a topic that was deleted on purpose, for that could not be noted");
        }
        if let Err(error) = self.groups.topic_deleted(topic).await {
            tracing::warn!(%topic, %error, "what groups have committed of a deleted topic is still there: it goes by itself a little later");
        }
        Ok(())
    }

    async fn alter_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        self.log.alter_topic(topic, spec).await
    }

    /// Has archive and tables take what would go first, as for a topic that is deleted.
    async fn trim(&self, of: &TopicPartition, before: Offset) -> Result<Offset> {
        if self.lake.pipeline().follows(&of.topic) {
            self.lake.flush().await?;
        }
        self.log.trim(of, before).await
    }

    async fn append(&self, to: &TopicPartition, batch: Batch) -> Result<OffsetRange> {
        self.log.append(to, batch).await
    }

    async fn come_along(&self, to: &TopicPartition) {
        // What can't be told here is told by the append.
        // How long a cluster keeps records is its own to say, whoever follows.
        if self.is_own
            && let Ok(end) = self.log.stable_end(to).await
            && self.followers.come_along(to, end).await
        {
            self.slowed.increment(1);
        }
    }

    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        self.log.read(from, at, max, wait).await
    }

    async fn read_committed(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Committed> {
        self.log.read_committed(from, at, max, wait).await
    }

    async fn stable_end(&self, of: &TopicPartition) -> Result<Offset> {
        self.log.stable_end(of).await
    }

    async fn producers(&self, of: &TopicPartition) -> Result<Vec<(ProducerState, Option<Offset>)>> {
        self.log.producers(of).await
    }

    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange> {
        self.log.range(of).await
    }

    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.log.offset_at(of, time).await
    }
}
