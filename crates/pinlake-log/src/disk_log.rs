//! The log: a folder of topics, each a folder of partitions, under one lock. It finds the partition that a call names; what happens there
//! is the partition's.
//!
//! Folders that start with `+` are topics on their way in, with `~` on their way out: no topic may be called so, and neither outlives a start.
//! What starts with `=` is the log's own.

mod folders;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use pinlake_core::log::{check_partitions, check_trim};
use pinlake_core::{
    Batch, Clock, Committed, Error, Followers, Log, Offset, OffsetRange, ReadLimit, Reason, Result, Timestamp, TopicDescription,
    TopicId, TopicName, TopicPartition, TopicSpec,
};
use tokio::task::AbortHandle;

use crate::disk::{Disk, Lock};
use crate::ends::Ends;
use crate::partition::{Context, OpenProducer, Partition, Spec, settings_of};
use crate::recovery::Recovered;
use crate::settings::{Durability, LogSettings};

const LOCK_FILE: &str = "=lock";

/// A log's folder, which no other process opens as long as this is kept.
#[derive(Debug)]
pub struct HeldFolder {
    _lock: Lock,
}
/// How many partitions are recovered, closed or deleted at the same moment.
const PARTITIONS_AT_ONCE: usize = 16;

/// The durable log on disk.
pub struct DiskLog {
    inner: Arc<Inner>,
    timers: Mutex<Vec<AbortHandle>>,
}

/// A partition that takes no more appends, and why: `Internal` after a failed write or sync, and reads go on; `Corrupt` if it was found
/// damaged when the log was opened, and nothing is read either.
#[derive(Debug, Clone)]
pub struct StoppedPartition {
    /// Which one.
    pub partition: TopicPartition,
    /// What failed.
    pub error: Error,
}

struct Inner {
    dir: PathBuf,
    context: Arc<Context>,
    followers: Followers,
    topics: RwLock<BTreeMap<TopicName, Arc<Topic>>>,
    /// Held while topics are made or deleted.
    changes: tokio::sync::Mutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    closed: bool,
}

impl Changes {
    fn check_open(&self) -> Result<()> {
        if self.closed { Err(Error::retry("the log is closed: try again when the server is back")) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct Topic {
    id: TopicId,
    spec: Spec,
    partitions: Vec<Arc<Partition>>,
}

impl Topic {
    fn describe(&self, name: &TopicName) -> TopicDescription {
        TopicDescription { name: name.clone(), id: self.id, spec: settings_of(&self.spec) }
    }
}

impl DiskLog {
    /// Opens the log in `dir`, or makes one there. Must run within a Tokio runtime. A partition that is damaged before its tail is refused
    /// and named by [`DiskLog::health`]: appends and reads answer `Corrupt` for it, all others work.
    ///
    /// # Errors
    /// `Conflict` when another process has it open, `Corrupt` when a topic's settings do not read, `Invalid` for settings
    /// that can't work, `Internal` when the disk fails.
    pub async fn open(dir: &Path, settings: LogSettings, clock: Clock, followers: Followers) -> Result<DiskLog> {
        Self::open_on(Disk::system(), dir, settings, clock, followers).await
    }

    /// Whether the log in `dir` could be opened now, as far as other processes go. Leaves nothing behind.
    ///
    /// # Errors
    /// `Conflict` when another process has it open, `Internal` when the disk fails.
    pub fn check_free(dir: &Path) -> Result<()> {
        let locked = Disk::system().is_locked(&dir.join(LOCK_FILE));
        let failed = |error| Error::internal(format!("can't look at the log in {}", dir.display())).with_source(error);
        if locked.map_err(failed)? { Err(in_use(dir)) } else { Ok(()) }
    }

    /// Takes the folder as an open log would, for a server whose log is elsewhere: what else it keeps on this machine is its alone too.
    ///
    /// # Errors
    /// `Conflict` when another process has it, `Internal` when the disk fails.
    pub fn hold(dir: &Path) -> Result<HeldFolder> {
        let failed = |error| Error::internal(format!("can't take the folder {}", dir.display())).with_source(error);
        let disk = Disk::system();
        disk.create_dir(dir).map_err(failed)?;
        let lock = disk.lock(&dir.join(LOCK_FILE)).map_err(failed)?.ok_or_else(|| in_use(dir))?;
        Ok(HeldFolder { _lock: lock })
    }

    /// Where a partition of a topic that is not there would begin: behind the end of the last one of that name.
    ///
    /// # Errors
    /// `Corrupt` if the note of it is damaged, `Internal` when the disk fails.
    pub fn begins(&self, of: &TopicPartition) -> Result<Offset> {
        Ok(self.inner.begins(&of.topic)?.of(of.partition.0))
    }

    /// The same on a disk that may fail. For tests.
    pub async fn open_on(disk: Disk, dir: &Path, settings: LogSettings, clock: Clock, followers: Followers) -> Result<DiskLog> {
        settings.validate()?;
        let failed = |error| Error::internal(format!("can't open the log in {}", dir.display())).with_source(error);
        disk.create_dir(dir).map_err(failed)?;
        let lock = disk.lock(&dir.join(LOCK_FILE)).map_err(failed)?.ok_or_else(|| in_use(dir))?;
        let file_system = disk.file_system(dir).map_err(failed)?;
        let context = Arc::new(Context::new(disk, settings, clock, lock, file_system));
        let inner =
            Inner { dir: dir.to_owned(), context, followers, topics: RwLock::default(), changes: tokio::sync::Mutex::default() };
        let inner = Arc::new(inner);
        inner.load().await?;
        let log = Self { timers: Mutex::new(start_timers(&inner)), inner };
        Ok(log)
    }

    /// Drains what waits, syncs it, notes every partition as good, ends all owners and lets the folder go. Appends answer `Retry` after it.
    ///
    /// # Errors
    /// The first partition's that could not be closed well; all are closed all the same.
    pub async fn close(&self) -> Result<()> {
        self.stop_timers();
        self.inner.changes.lock().await.closed = true;
        let closing = stream::iter(self.inner.partitions()).map(|partition| async move { partition.close().await });
        let closed: Vec<Result<()>> = closing.buffer_unordered(PARTITIONS_AT_ONCE).collect().await;
        self.inner.context.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        closed.into_iter().collect()
    }

    /// The partitions that have stopped after a failed write or sync, or were found damaged. Empty when all is well.
    pub fn health(&self) -> Vec<StoppedPartition> {
        let stopped = |partition: Arc<Partition>| {
            partition.stopped().map(|error| StoppedPartition { partition: partition.id.clone(), error: error.clone() })
        };
        self.inner.partitions().into_iter().filter_map(stopped).collect()
    }

    /// Drops what retention allows now, instead of at the next check. Answers how many segments went.
    ///
    /// # Errors
    /// The first partition's that could not be looked at; the others are.
    pub async fn retain_now(&self) -> Result<usize> {
        self.inner.retain().await
    }

    fn stop_timers(&self) {
        for timer in self.timers.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            timer.abort();
        }
    }
}

impl std::fmt::Debug for DiskLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskLog").field("dir", &self.inner.dir).finish_non_exhaustive()
    }
}

impl Drop for DiskLog {
    fn drop(&mut self) {
        self.stop_timers();
    }
}

fn start_timers(inner: &Arc<Inner>) -> Vec<AbortHandle> {
    let settings = &inner.context.settings;
    let retain = |inner: Arc<Inner>| async move {
        if let Err(error) = inner.retain().await {
            tracing::warn!(%error, "retention could not look at every partition");
        }
    };
    let mut timers = vec![every(settings.retention_check, Arc::downgrade(inner), retain)];
    if settings.durability == Durability::Interval {
        let sync = |inner: Arc<Inner>| async move { inner.partitions().iter().for_each(|partition| partition.sync_soon()) };
        timers.push(every(settings.sync_interval, Arc::downgrade(inner), sync));
    }
    timers
}

/// Calls `tick` on `owner` every `every`, for as long as there is an owner.
fn every<T, F>(every: Duration, owner: Weak<T>, tick: impl Fn(Arc<T>) -> F + Send + 'static) -> AbortHandle
where
    T: Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let ticks = async move {
        let mut interval = tokio::time::interval(every);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        interval.tick().await;
        loop {
            interval.tick().await;
            let Some(owner) = owner.upgrade() else { break };
            tick(owner).await;
        }
    };
    tokio::spawn(ticks).abort_handle()
}

impl Inner {
    async fn create(self: &Arc<Self>, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        let changes = self.changes.lock().await;
        changes.check_open()?;
        if self.topic(topic).is_ok() {
            return Err(Error::conflict(format!("topic '{topic}' exists already")));
        }
        let id = TopicId::random();
        let make = {
            let (inner, topic, spec) = (self.clone(), topic.clone(), spec.clone());
            move || inner.make_folder(&topic, id, &spec)
        };
        let begins = self.context.syncer.run(make).await??;
        let spec: Spec = Arc::new(RwLock::new(spec));
        let partitions = self.start_empty(topic, &spec, 0, &begins);
        self.take_in(topic, Topic { id, spec, partitions });
        Ok(())
    }

    async fn alter(self: &Arc<Self>, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        let changes = self.changes.lock().await;
        changes.check_open()?;
        let there = self.topic(topic)?;
        let before = settings_of(&there.spec);
        check_partitions(topic, &before, &spec)?;
        let (id, more) = (there.id, spec.partitions > before.partitions);
        let write = {
            let (inner, topic, spec) = (self.clone(), topic.clone(), spec.clone());
            move || {
                let begins = if more { inner.begins(&topic)? } else { Ends::default() };
                inner.write_settings(&topic, id, &spec).map(|()| begins)
            }
        };
        let begins = self.context.syncer.run(write).await??;
        // Those that run look at the settings each time.
        *there.spec.write().unwrap_or_else(PoisonError::into_inner) = spec;
        if more {
            let mut partitions = there.partitions.clone();
            partitions.extend(self.start_empty(topic, &there.spec, before.partitions, &begins));
            self.take_in(topic, Topic { id, spec: there.spec.clone(), partitions });
        }
        Ok(())
    }

    /// The partitions of a topic from number `from` on, none of which has held anything.
    fn start_empty(&self, topic: &TopicName, spec: &Spec, from: u32, begins: &Ends) -> Vec<Arc<Partition>> {
        let start = |number| {
            let (dir, empty) = (self.partition_dir(topic, number), Recovered::empty_at(begins.of(number)));
            Arc::new(Partition::start(&self.context, topic.partition(number), spec.clone(), dir, empty))
        };
        (from..settings_of(spec).partitions).map(start).collect()
    }

    async fn trim(&self, of: &TopicPartition, before: Offset) -> Result<Offset> {
        let partition = self.partition(of)?;
        let (range, floor) = (partition.range()?, self.floor_awaited(of));
        check_trim(of, before, range.end)?;
        match floor {
            Some(floor) if before > range.start && floor < before => Err(Error::retry(format!(
                "archive and tables have not taken all of {of} yet, they stand at {floor}: let go of what lies before {before} a little later"
            ))
            .because(Reason::NotFollowedYet)),
            _ => partition.trim(before).await,
        }
    }

    /// What retention may drop nothing from on: a follower still needs it.
    fn floor_of(&self, of: &TopicPartition) -> Option<Offset> {
        if self.context.settings.retention_ignores_followers { None } else { self.followers.floor(of) }
    }

    /// The same for whoever is asked to drop records: followers that nobody waits for do not count.
    fn floor_awaited(&self, of: &TopicPartition) -> Option<Offset> {
        if self.context.settings.retention_ignores_followers { None } else { self.followers.floor_awaited(of) }
    }

    async fn delete(self: &Arc<Self>, topic: &TopicName) -> Result<()> {
        let changes = self.changes.lock().await;
        changes.check_open()?;
        let there = self.topic(topic)?;
        self.check_followed(&there)?;
        // A disk that takes no note, most likely because it is full, leaves the topic untouched.
        let ends = self.ends_of(&there);
        let note = {
            let (inner, topic) = (self.clone(), topic.clone());
            move || inner.note_ends(&topic, &ends)
        };
        self.context.syncer.run(note).await??;
        let removed = self.topics.write().unwrap_or_else(PoisonError::into_inner).remove(topic).ok_or_else(|| no_topic(topic))?;
        let ending = stream::iter(removed.partitions.clone()).map(|partition| async move { partition.delete().await });
        ending.buffer_unordered(PARTITIONS_AT_ONCE).collect::<()>().await;
        // The owners are gone: nothing is acknowledged behind these ends, but something may have been since the first look.
        if let Err(behind) = self.check_followed(&removed) {
            self.is_back(topic).await;
            return Err(behind);
        }
        let ends = self.ends_of(&removed);
        for damaged in removed.partitions.iter().filter(|partition| partition.range().is_err()) {
            let end = ends.of(damaged.id.partition.0);
            tracing::warn!(partition = %damaged.id, %end, "a damaged partition is deleted: its topic goes on at the last offset known");
        }
        let remove = {
            let (inner, topic) = (self.clone(), topic.clone());
            move || inner.remove_folder(&topic, &ends)
        };
        let deleted = self.context.syncer.run(remove).await.flatten();
        if deleted.is_ok() || !self.is_back(topic).await {
            self.followers.forget(topic);
        }
        deleted
    }

    /// Refuses to drop records that a follower has not taken yet.
    fn check_followed(&self, topic: &Topic) -> Result<()> {
        for partition in &topic.partitions {
            let (Ok(range), Some(floor)) = (partition.range(), self.floor_awaited(&partition.id)) else { continue };
            if !range.is_empty() && floor < range.end {
                let text = format!(
                    "archive and tables have not taken all of {} yet, they stand at {floor} of {}: delete the topic a little later",
                    partition.id, range.end
                );
                return Err(Error::retry(text).because(Reason::NotFollowedYet));
            }
        }
        Ok(())
    }

    fn ends_of(&self, topic: &Topic) -> Ends {
        Ends::new(topic.partitions.iter().map(|partition| self.end_of(partition)).collect())
    }

    /// Where a partition ended.
    fn end_of(&self, partition: &Partition) -> Offset {
        if let Ok(range) = partition.range() {
            return range.end;
        }
        // What follows a damaged partition may know better than its files.
        let followed = self.followers.positions(&partition.id).into_iter().map(|(_, position)| position);
        followed.fold(partition.end_known(), Offset::max)
    }

    /// Opens a topic again that could not be deleted: false if its folder is gone from its place, or does not open.
    async fn is_back(&self, topic: &TopicName) -> bool {
        self.load_topic(topic).await.unwrap_or_else(|error| {
            tracing::error!(%topic, %error, "a topic that could not be deleted does not open again: check the disk, then restart the server");
            false
        })
    }

    async fn retain(&self) -> Result<usize> {
        let retain = |partition: Arc<Partition>| async move {
            match partition.retain(self.floor_of(&partition.id)).await {
                // Stopped partitions are named by `health`, and closed or deleted ones have nothing to drop.
                Err(_) if partition.stopped().is_some() || partition.is_gone() => Ok(0),
                other => other,
            }
        };
        let dropped: Vec<Result<usize>> =
            stream::iter(self.partitions()).map(retain).buffer_unordered(PARTITIONS_AT_ONCE).collect().await;
        dropped.into_iter().sum()
    }

    fn partitions(&self) -> Vec<Arc<Partition>> {
        self.read_topics().values().flat_map(|topic| topic.partitions.iter().cloned()).collect()
    }

    fn topic(&self, topic: &TopicName) -> Result<Arc<Topic>> {
        self.read_topics().get(topic).cloned().ok_or_else(|| no_topic(topic))
    }

    fn partition(&self, of: &TopicPartition) -> Result<Arc<Partition>> {
        let topics = self.read_topics();
        let topic = topics.get(&of.topic).ok_or_else(|| no_topic(&of.topic))?;
        let partition = topic.partitions.get(of.partition.0 as usize).cloned();
        partition.ok_or_else(|| {
            Error::not_found(format!("topic '{}' has {} partitions, none is {}", of.topic, topic.partitions.len(), of.partition))
        })
    }

    fn read_topics(&self) -> RwLockReadGuard<'_, BTreeMap<TopicName, Arc<Topic>>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_use(dir: &Path) -> Error {
    Error::conflict(format!("another process has the log in {} open: stop it, or choose another folder", dir.display()))
}

fn no_topic(topic: &TopicName) -> Error {
    Error::not_found(format!("topic '{topic}' does not exist"))
}

#[async_trait]
impl Log for DiskLog {
    async fn create_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        spec.validate()?;
        let (inner, topic) = (self.inner.clone(), topic.clone());
        // In a task of its own, so that a caller who goes away leaves nothing half done.
        let made = tokio::spawn(async move { inner.create(&topic, spec).await });
        made.await.map_err(|error| Error::internal("making the topic was cut short").with_source(error))?
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>> {
        Ok(self.inner.read_topics().iter().map(|(name, topic)| topic.describe(name)).collect())
    }

    async fn topic(&self, topic: &TopicName) -> Result<TopicDescription> {
        Ok(self.inner.topic(topic)?.describe(topic))
    }

    async fn alter_topic(&self, topic: &TopicName, spec: TopicSpec) -> Result<()> {
        spec.validate()?;
        let (inner, topic) = (self.inner.clone(), topic.clone());
        let altered = tokio::spawn(async move { inner.alter(&topic, spec).await });
        altered.await.map_err(|error| Error::internal("changing the topic was cut short").with_source(error))?
    }

    async fn trim(&self, of: &TopicPartition, before: Offset) -> Result<Offset> {
        self.inner.trim(of, before).await
    }

    async fn delete_topic(&self, topic: &TopicName) -> Result<()> {
        let (inner, topic) = (self.inner.clone(), topic.clone());
        let deleted = tokio::spawn(async move { inner.delete(&topic).await });
        deleted.await.map_err(|error| Error::internal("deleting the topic was cut short").with_source(error))?
    }

    async fn append(&self, to: &TopicPartition, batch: Batch) -> Result<OffsetRange> {
        self.inner.partition(to)?.append(batch).await
    }

    async fn read(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        self.inner.partition(from)?.read(at, max, wait).await
    }

    async fn read_committed(&self, from: &TopicPartition, at: Offset, max: ReadLimit, wait: Duration) -> Result<Committed> {
        self.inner.partition(from)?.read_committed(at, max, wait).await
    }

    async fn stable_end(&self, of: &TopicPartition) -> Result<Offset> {
        self.inner.partition(of)?.stable_end()
    }

    async fn producers(&self, of: &TopicPartition) -> Result<Vec<OpenProducer>> {
        self.inner.partition(of)?.producers().await
    }

    async fn range(&self, of: &TopicPartition) -> Result<OffsetRange> {
        self.inner.partition(of)?.range()
    }

    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.inner.partition(of)?.offset_at(time).await
    }
}
