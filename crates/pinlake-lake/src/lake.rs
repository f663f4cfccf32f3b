//! The whole lake of one pipeline: archive, tables, SQL, rebuild and ledger behind one value.

mod asking;
mod compare;
mod gold;
mod ledger;
mod positions;
mod raw_view;
mod rebuild;
mod system;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use pinlake_core::pipeline::{Pipeline, Question};
use pinlake_core::{Clock, Error, Followers, Log, Offset, Result, TopicPartition};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

pub use compare::Comparison;
pub use ledger::{Account, TableAccount};
pub use rebuild::Rebuilt;

pub use crate::maintain::Compaction;
pub use crate::table::Vacuumed;

use crate::archive::{Archive, ArchiveSettings, ArchiveStatus, FOLLOWER, MANIFEST_DIR, ManifestEntry};
use crate::batch::QUARANTINE_DIR;
use crate::follow::{Ends, FollowSettings, Follower, Status};
use crate::gold::{GOLD_DIR, Golds};
use crate::readers::stable_end_of;
use crate::runs;
use crate::sql::query::QueryLimits;
use crate::store::Store;

/// Folder of the tables within the store.
const TABLES_DIR: &str = "tables";
/// How long an end waits for archive and tables to take what is acknowledged.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);
/// Queries that run at once; the next ones wait.
const QUERIES_AT_ONCE: usize = 4;
/// Queries that may wait or run; more are refused.
const QUERIES_MAX: usize = 64;

/// What the archive has of an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archived {
    /// A record, in this object.
    Record(ManifestEntry),
    /// No record: it passed the offset over.
    WithoutRecord,
}

/// A running lake.
pub struct Lake {
    log: Arc<dyn Log>,
    pipeline: Arc<Pipeline>,
    store: Store,
    clock: Clock,
    archive: Archive,
    tables: Vec<Follower>,
    gold: Golds,
    limits: QueryLimits,
    running: Arc<Semaphore>,
    accepted: Semaphore,
    ending: CancellationToken,
    rebuilding: Mutex<()>,
    proving: Mutex<()>,
}

impl Lake {
    /// Registers everybody who will follow the log, before anything of it may be dropped.
    pub fn register(pipeline: &Arc<Pipeline>, followers: &Followers) {
        let archived = pipeline.clone();
        followers.register(FOLLOWER, move |topic| archived.follows(topic));
        for (index, table) in pipeline.tables.iter().enumerate() {
            let followed = pipeline.clone();
            followers.register(&table.name, move |topic| followed.route(index, topic).is_some());
        }
    }

    /// Opens archive and tables in `store` and starts to follow `log`.
    ///
    /// # Errors
    /// What is wrong with the pipeline or the store.
    pub async fn start(
        log: Arc<dyn Log>,
        followers: &Followers,
        pipeline: Arc<Pipeline>,
        store: Store,
        clock: Clock,
        limits: QueryLimits,
    ) -> Result<Lake> {
        crate::meters::describe();
        Self::register(&pipeline, followers);
        let settings = ArchiveSettings {
            pipeline: pipeline.clone(),
            objects: store.clone(),
            manifest: store.folder(MANIFEST_DIR),
            clock: clock.clone(),
        };
        let archive = Archive::start(log.clone(), followers.clone(), settings).await?;
        let mut tables = Vec::new();
        for (index, table) in pipeline.tables.iter().enumerate() {
            let settings = FollowSettings {
                pipeline: pipeline.clone(),
                index,
                table: store.folder(TABLES_DIR).folder(&table.name),
                quarantine: store.folder(QUARANTINE_DIR).folder(&table.name),
                clock: clock.clone(),
            };
            tables.push(Follower::start(log.clone(), followers.clone(), settings).await?);
        }
        let gold = Golds::new(store.folder(GOLD_DIR), clock.clone());
        let (running, accepted) = (Arc::new(Semaphore::new(QUERIES_AT_ONCE)), Semaphore::new(QUERIES_MAX));
        Ok(Lake {
            log,
            pipeline,
            store,
            clock,
            archive,
            tables,
            gold,
            limits,
            running,
            accepted,
            ending: CancellationToken::new(),
            rebuilding: Mutex::new(()),
            proving: Mutex::new(()),
        })
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// Where everything lies.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How each table is doing, in the pipeline's order.
    pub fn status(&self) -> Vec<Status> {
        self.tables.iter().map(Follower::status).collect()
    }

    /// How the archive is doing.
    pub fn archive_status(&self) -> ArchiveStatus {
        self.archive.status()
    }

    /// The running table of that name.
    pub fn table(&self, name: &str) -> Result<&Follower> {
        self.index(name).map(|index| &self.tables[index])
    }

    /// The place of the table of that name in the pipeline.
    fn index(&self, name: &str) -> Result<usize> {
        let index = self.pipeline.tables.iter().position(|table| table.name == name);
        index.ok_or_else(|| {
            let known: Vec<&str> = self.pipeline.tables.iter().map(|table| table.name.as_str()).collect();
            Error::not_found(format!("table '{name}' does not exist: there are {}", known.join(", ")))
        })
    }

    /// The question of that name.
    pub fn question(&self, name: &str) -> Result<&Question> {
        let found = self.pipeline.questions.iter().find(|question| question.name == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = self.pipeline.questions.iter().map(|question| question.name.as_str()).collect();
            Error::not_found(format!("question '{name}' does not exist: there are {}", known.join(", ")))
        })
    }

    /// How far all partitions are decided that the table at `index`, or any table, follows: nobody waits for an open transaction.
    async fn ends(&self, index: Option<usize>) -> Result<Ends> {
        let mut ends = Ends::new();
        for topic in self.log.topics().await? {
            let followed = match index {
                Some(index) => self.pipeline.route(index, &topic.name).is_some(),
                None => self.pipeline.follows(&topic.name),
            };
            for partition in (0..topic.spec.partitions).filter(|_| followed) {
                let of = topic.name.partition(partition);
                if let Some(end) = stable_end_of(&*self.log, &of).await? {
                    ends.insert(of, end);
                }
            }
        }
        Ok(ends)
    }

    /// Has archive and tables commit everything that is acknowledged now.
    pub async fn flush(&self) -> Result<Vec<Status>> {
        self.archive.flush(self.ends(None).await?).await?;
        let mut done = Vec::new();
        for (index, table) in self.tables.iter().enumerate() {
            done.push(table.flush(self.ends(Some(index)).await?).await?);
        }
        Ok(done)
    }

    /// How many objects the archive has.
    pub async fn archived_objects(&self) -> Result<u64> {
        Ok(self.archive.entries().await?.iter().filter(|entry| entry.object.is_some()).count() as u64)
    }

    /// What the archive has of an offset; `None` while it waits to be archived.
    pub async fn archived_in(&self, of: &TopicPartition, offset: Offset) -> Result<Option<Archived>> {
        let objects = self.archive.objects(|topic| *topic == of.topic).await?;
        let Some(found) = objects.into_iter().find(|object| object.entry.of == *of && object.entry.contains(offset)) else {
            return Ok(None);
        };
        let records = usize::try_from(found.entry.records).unwrap_or(usize::MAX);
        let mut places = runs::places(found.entry.first, &found.runs).take(records);
        let is_record = places.any(|place| place.0 == offset);
        Ok(Some(if is_record { Archived::Record(found.entry) } else { Archived::WithoutRecord }))
    }

    /// Commits everything that is acknowledged and ends, tables before the archive. Records that a table or the archive is too
    /// far behind to take in [`CATCH_UP_MAX`] stay in the log, and come in after a restart.
    pub async fn stop(&self) -> Result<()> {
        match tokio::time::timeout(CATCH_UP_MAX, self.catch_up()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "ending with records that only the log holds"),
            Err(_) => tracing::warn!("ending with records that only the log holds: they come in after a restart"),
        }
        let mut done = Ok(());
        for table in &self.tables {
            done = done.and(table.stop().await);
        }
        // It goes on trying while its store fails. What it has not written, it takes from the log at the next start.
        let late = |_| Error::retry("the archive's store does not answer: what is not archived is after the next start");
        done.and(tokio::time::timeout(CATCH_UP_MAX, self.archive.stop()).await.map_err(late).flatten())
    }

    /// Flushes archive and tables side by side, each as far as it gets.
    async fn catch_up(&self) -> Result<()> {
        let ends = self.ends(None).await?;
        let tables = futures::future::join_all(self.tables.iter().map(|table| table.flush(ends.clone())));
        let (archive, tables) = futures::join!(self.archive.flush(ends.clone()), tables);
        tables.into_iter().try_for_each(|done| done.map(drop)).and(archive.map(drop))
    }
}
