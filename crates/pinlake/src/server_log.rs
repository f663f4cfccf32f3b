//! The server's log: on this machine's disk, or a Kafka cluster. Only what differs between the two stands here; all else goes through
//! `Log`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use pinlake_core::topic_store::OwnTopics;
use pinlake_core::{Clock, Followers, Log, Offset, TopicPartition};
use pinlake_ingest::groups::GroupSettings;
use pinlake_log::{DiskLog, HeldFolder, LogSettings};

use crate::cluster::{self, Probe};
use crate::config::Config;

/// The topic that keeps the groups in a cluster, which does not let others write to Kafka's own.
const GROUPS_TOPIC: &str = "__pinlake_groups";
/// How long a cluster may take to answer whether it is there.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The log that everything goes through.
#[derive(Clone)]
pub(crate) struct ServerLog {
    shared: Arc<dyn Log>,
    /// None for a cluster.
    disk: Option<Arc<DiskLog>>,
    /// Asks a cluster whether it is there.
    probe: Option<Probe>,
    /// This machine's folder, where the log is a cluster: two servers would not see what the other commits to the lake.
    _folder: Option<Arc<HeldFolder>>,
}

impl ServerLog {
    /// Opens the log that the configuration asks for.
    pub(crate) async fn open(config: &Config, clock: Clock, followers: Followers) -> Result<Self> {
        if config.log.kafka.is_set() {
            let opened = cluster::open(&config.log.kafka, clock).await;
            let connecting = || format!("connecting to the Kafka cluster at {}", config.log.kafka.described());
            let (shared, probe) = opened.with_context(connecting)?;
            let folder = DiskLog::hold(&config.log_folder())?;
            return Ok(Self { shared, disk: None, probe: Some(probe), _folder: Some(Arc::new(folder)) });
        }
        let settings = LogSettings { durability: config.log.durability, ..LogSettings::default() };
        let log = DiskLog::open(&config.log_folder(), settings, clock, followers).await;
        Ok(Self::on(log.with_context(|| format!("opening the log in '{}'", config.data_dir.display()))?))
    }

    /// A log on disk.
    pub(crate) fn on(disk: DiskLog) -> Self {
        let disk = Arc::new(disk);
        Self { shared: disk.clone(), disk: Some(disk), probe: None, _folder: None }
    }

    /// The log itself.
    pub(crate) fn shared(&self) -> &Arc<dyn Log> {
        &self.shared
    }

    /// Whether it is on this machine's disk, and so this server's alone.
    pub(crate) fn is_own(&self) -> bool {
        self.disk.is_some()
    }

    /// How groups are kept in it, whose other `settings` hold.
    pub(crate) fn group_settings(&self, settings: GroupSettings) -> Result<GroupSettings> {
        Ok(if self.is_own() { settings } else { GroupSettings { topic: GROUPS_TOPIC.parse()?, ..settings } })
    }

    /// Where streams and connectors are kept.
    pub(crate) fn own_topics(&self) -> OwnTopics {
        if self.is_own() { OwnTopics::OF_DISK } else { OwnTopics::OF_CLUSTER }
    }

    /// Where a partition of a topic that is not there would begin: behind the end of the last one of that name, but in a cluster at 0.
    pub(crate) fn begins(&self, of: &TopicPartition) -> pinlake_core::Result<Offset> {
        self.disk.as_ref().map_or(Ok(Offset::ZERO), |disk| disk.begins(of))
    }

    /// How many partitions have stopped. Of a cluster nobody here knows.
    pub(crate) fn stopped_partitions(&self) -> usize {
        self.disk.as_ref().map_or(0, |disk| disk.health().len())
    }

    /// Why records can't be taken or read, if it is so.
    pub(crate) async fn problem(&self) -> Option<String> {
        if let Some(disk) = &self.disk {
            let stopped = disk.health();
            return stopped.first().map(|partition| format!("partition {} stopped: {}", partition.partition, partition.error));
        }
        self.reach().await.err().map(|error| error.to_string())
    }

    /// Fails soon where the log is a cluster that is away: its own calls wait for better times.
    pub(crate) async fn reach(&self) -> pinlake_core::Result<()> {
        match &self.probe {
            Some(probe) => probe(ANSWER_MAX).await,
            None => Ok(()),
        }
    }

    /// Drains what waits and lets the folder go. A cluster has nothing to be told.
    pub(crate) async fn close(&self) -> pinlake_core::Result<()> {
        match &self.disk {
            Some(disk) => disk.close().await,
            None => Ok(()),
        }
    }
}
