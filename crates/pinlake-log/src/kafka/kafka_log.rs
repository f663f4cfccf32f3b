//! `Log` over a cluster. It has no state of its own but what is in flight: what a cluster acknowledged is the cluster's to keep.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pinlake_core::{
    Batch, Clock, Committed, Error, ErrorKind, Log, Offset, OffsetRange, ReadLimit, Result, Timestamp, TopicDescription,
    TopicName, TopicPartition, TopicSpec,
};

use tokio::task::JoinSet;

use super::append::Appender;
use super::cluster::{Cluster, ClusterInfo};
use super::options::ClusterOptions;
use super::{offsets, read, topics};

/// A cluster of Kafka's as the log.
///
/// What differs from a log of Pinlake's own: a topic that is created again starts at 0, which is how Kafka does it; durable is what all replicas in
/// sync have; the brokers' own topics (`__consumer_offsets`) are not listed; and transactions are between a client and the cluster, so a
/// batch of one, or a marker, can't be appended here.
#[derive(Debug)]
pub struct KafkaLog {
    cluster: Arc<Cluster>,
    appender: Arc<Appender>,
}

impl KafkaLog {
    /// Reaches the cluster.
    ///
    /// # Errors
    /// `Invalid` for options that can't work, a broker that refuses the login or is too old; `Retry` if no broker can be reached within the
    /// request's time.
    pub async fn connect(options: ClusterOptions, clock: Clock) -> Result<Self> {
        let cluster = Arc::new(Cluster::connect(options, clock).await?);
        let appender = Arc::new(Appender::new(cluster.clone()));
        Ok(Self { cluster, appender })
    }

    /// The cluster as it answers now, each broker tried.
    ///
    /// # Errors
    /// As [`KafkaLog::connect`], if no broker answers.
    pub async fn check(&self) -> Result<ClusterInfo> {
        self.cluster.check().await
    }

    /// Whether any broker answers within so long.
    ///
    /// # Errors
    /// `Retry`, with where the cluster should be, if none does; `Invalid` if one refuses the login.
    pub async fn reach(&self, within: Duration) -> Result<()> {
        self.cluster.reach(within).await
    }

    /// A producer id that the cluster gave to nobody else, and its epoch: what a door gives to an idempotent producer.
    ///
    /// # Errors
    /// `Invalid` if this login may have none, `Retry` if no broker can be reached.
    pub async fn new_producer(&self) -> Result<(i64, i16)> {
        self.appender.new_producer().await
    }

    fn observed<T>(&self, done: Result<T>) -> Result<T> {
        // A call that is wrong by itself says nothing about the cluster.
        if matches!(&done, Err(error) if matches!(error.kind(), ErrorKind::Retry | ErrorKind::Corrupt | ErrorKind::Internal)) {
            self.cluster.meters().observe_error();
        }
        done
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn create_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        self.observed(topics::create(&self.cluster, topic, &spec).await)
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>> {
        self.observed(topics::list(&self.cluster).await)
    }

    async fn topic(&self, topic: &TopicName) -> Result<TopicDescription> {
        self.observed(topics::describe(&self.cluster, topic).await)
    }

    async fn delete_topic(&self, topic: &TopicName) -> Result<()> {
        let deleted = topics::delete(&self.cluster, topic).await;
        self.appender.forget(topic);
        self.observed(deleted)
    }

    async fn alter_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        self.observed(topics::alter(&self.cluster, topic, &spec).await)
    }

    async fn trim(&self, of: &TopicPartition, before: Offset) -> Result<Offset> {
        self.observed(offsets::trim(&self.cluster, of, before).await)
    }

    async fn append(&self, to: &TopicPartition, batch: Batch) -> Result<OffsetRange> {
        if batch.is_control() || batch.is_transactional() {
            let text = "the cluster's transactions are between it and the producer: send them to its brokers";
            return self.observed(Err(Error::invalid(text)));
        }
        self.observed(self.appender.append(to, batch).await)
    }

    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        let (cluster, from) = (self.cluster.clone(), from.clone());
        self.observed(on_its_own(async move { read::read(&cluster, &from, at, max, wait).await }).await)
    }

    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange> {
        self.observed(offsets::range(&self.cluster, of).await)
    }

    async fn read_committed(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Committed> {
        let (cluster, from) = (self.cluster.clone(), from.clone());
        self.observed(on_its_own(async move { read::read_committed(&cluster, &from, at, max, wait).await }).await)
    }

    async fn stable_end(&self, of: &TopicPartition) -> Result<Offset> {
        self.observed(offsets::stable_end(&self.cluster, of).await)
    }

    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.observed(offsets::at_time(&self.cluster, of, time).await)
    }
}

/// Runs a read in a task, which ends when its caller goes away. A caller may look at its read only now and then, while it does something
/// else; the read must not meanwhile keep a turn on a connection that others wait for.
async fn on_its_own<T: Send + 'static>(read: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let mut reading = JoinSet::new();
    reading.spawn(read);
    let cut_short = || Error::retry("a read was cut short");
    reading.join_next().await.unwrap_or_else(|| Ok(Err(cut_short()))).unwrap_or_else(|_| Err(cut_short()))
}
