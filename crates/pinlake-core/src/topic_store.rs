//! State that lasts in a topic of its own: changes are appended to it, and the state is what they add up to. A change is seen once it is
//! durable, in the order of the log. It must not know what the state is, or decide what may change.
//!
//! When much lies behind the last snapshot, the whole state is written again, and what lies before it goes. A snapshot is
//! between two marks and counts only if it is whole, so that a death in the middle changes nothing.

mod replay;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::batch::BatchBuilder;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Log, TopicSpec};
use crate::position::{Offset, OffsetRange, TopicName, TopicPartition};
use replay::Replay;

/// The topics in which a server keeps its streams and sinks: named here, because who writes them and who hides them from clients do not know
/// each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnTopics {
    /// What the log does not know of Kinesis's streams.
    pub streams: &'static str,
    /// Connectors and where they stand.
    pub sinks: &'static str,
    /// Delivery streams and where they stand.
    pub deliveries: &'static str,
}

impl OwnTopics {
    /// In a log of the server's own.
    pub const OF_DISK: Self = Self { streams: "__streams", sinks: "__connectors", deliveries: "__deliveries" };
    /// In a cluster, which may be such a server itself and hides its own.
    pub const OF_CLUSTER: Self =
        Self { streams: "__pinlake_streams", sinks: "__pinlake_connectors", deliveries: "__pinlake_deliveries" };

    /// Whether it is one of them.
    pub fn has(self, topic: &TopicName) -> bool {
        [self.streams, self.sinks, self.deliveries].contains(&topic.as_str())
    }
}

/// The largest batch: room for the largest change, which is one record.
pub const BATCH_BYTES_MAX: u32 = 64 << 20;
/// Records that wait are appended together up to this size.
const GATHER_BYTES_MAX: usize = 1 << 20;

/// A state that is made of changes, and of nothing else.
pub trait Kept: Default + Send + 'static {
    /// One change, which is one record: JSON.
    type Change: Serialize + DeserializeOwned + Send + 'static;
    /// Names a part of the state: snapshots are made part by part.
    type Part: Send + Sync;
    /// What is kept, as warnings say it.
    const WHAT: &'static str;

    /// Takes the change that stands `at` in the topic. One that makes no sense here changes nothing.
    fn apply(&mut self, change: Self::Change, at: i64);
    /// All parts.
    fn parts(&self) -> Vec<Self::Part>;
    /// The changes that make a part what it is.
    fn changes_of(&self, part: &Self::Part) -> Vec<Self::Change>;
}

/// When snapshots are written, and how much may wait.
#[derive(Debug, Clone, Copy)]
pub struct StoreLimits {
    /// A snapshot is written when so many records lie behind the last one.
    pub snapshot_records: u64,
    /// The same in bytes.
    pub snapshot_bytes: u64,
    /// Bytes of changes that wait for the log.
    pub queued_bytes_max: usize,
}

/// The state, and the way to change it.
pub struct TopicStore<S: Kept> {
    log: Arc<dyn Log>,
    clock: Clock,
    to: TopicPartition,
    limits: StoreLimits,
    is_made: AtomicBool,
    /// Changed by the one task that appends, after each append.
    state: Mutex<S>,
    queue: Mutex<Queue<S::Change>>,
}

struct Queue<C> {
    /// Whether the appending task is there.
    appending: bool,
    waiting: VecDeque<Waiting<C>>,
    bytes: usize,
    /// Whether the last append failed.
    failing: bool,
    /// What lies behind the last snapshot.
    behind: Behind,
}

/// Changes that are appended together, and who waits for them.
struct Waiting<C> {
    changes: Vec<(C, Vec<u8>)>,
    bytes: usize,
    answer: oneshot::Sender<Result<()>>,
    /// Dropped once the state has the changes, or never will.
    _inflight: Inflight,
}

/// Held while changes are on their way: whoever holds another clone can tell.
pub type Inflight = Arc<()>;

/// How much was written since the last snapshot, and how much that one was.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Behind {
    records: u64,
    bytes: u64,
    snapshot_records: u64,
    snapshot_bytes: u64,
}

/// What a record of the topic holds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored<C> {
    /// A snapshot begins.
    SnapshotBegin,
    /// One change that is part of it.
    Snapshot(C),
    /// A snapshot of so many changes ends.
    SnapshotEnd { parts: u64 },
    /// A change, as it is.
    #[serde(untagged)]
    Change(C),
}

/// Changes that were handed in; dropping it does not take them back.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<()>>);

impl Pending {
    /// Waits until the changes are durable and seen.
    pub async fn durable(self) -> Result<()> {
        self.0.await.unwrap_or_else(|_| Err(Error::internal("the change was given up: look for a panic in the server's log")))
    }
}

impl<S: Kept> TopicStore<S> {
    /// Creates the topic if it is not there, and reads all of it.
    pub async fn open(log: Arc<dyn Log>, clock: Clock, topic: &TopicName, limits: StoreLimits) -> Result<Arc<Self>> {
        let store = Self::open_unmade(log, clock, topic, limits).await?;
        store.make_topic().await?;
        Ok(store)
    }

    /// Reads all of the topic, which is created by the first change if it is not there.
    pub async fn open_unmade(log: Arc<dyn Log>, clock: Clock, topic: &TopicName, limits: StoreLimits) -> Result<Arc<Self>> {
        let to = topic.partition(0);
        // Looked up first: in a cluster that is no right to make topics.
        let is_made = !log.topic(topic).await.is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let Replay { state, behind, .. } = if is_made { replay::read(&*log, &to).await? } else { Replay::new() };
        let queue = Mutex::new(Queue { behind, ..Queue::default() });
        Ok(Arc::new(Self { log, clock, to, limits, is_made: AtomicBool::new(is_made), state: Mutex::new(state), queue }))
    }

    async fn make_topic(&self) -> Result<()> {
        if self.is_made.load(Ordering::Acquire) {
            return Ok(());
        }
        let spec = TopicSpec { retention_ms: None, batch_bytes_max: BATCH_BYTES_MAX, ..TopicSpec::with_partitions(1) };
        match self.log.create_topic(&self.to.topic, spec).await {
            Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
            _ => {}
        }
        self.is_made.store(true, Ordering::Release);
        Ok(())
    }

    /// The state as far as it is durable. Must not be held for long.
    pub fn state(&self) -> MutexGuard<'_, S> {
        lock(&self.state)
    }

    /// Hands changes in: they get their places in the order of the calls. Needs a tokio runtime.
    ///
    /// # Errors
    /// `Retry` if too much waits already.
    pub fn submit(self: &Arc<Self>, changes: Vec<S::Change>, inflight: Inflight) -> Result<Pending> {
        let changes = changes.into_iter().map(|change| Ok((encode(&change)?, change)));
        let changes: Vec<_> = changes.map(|encoded| encoded.map(|(bytes, change)| (change, bytes))).collect::<Result<_>>()?;
        let bytes = changes.iter().map(|(_, value)| value.len()).sum();
        let (answer, answered) = oneshot::channel();
        let mut queue = lock(&self.queue);
        if queue.bytes > 0 && queue.bytes + bytes > self.limits.queued_bytes_max {
            return Err(Error::retry(format!("too many changes of {} wait for the log: try again", S::WHAT)));
        }
        queue.bytes += bytes;
        queue.waiting.push_back(Waiting { changes, bytes, answer, _inflight: inflight });
        if !std::mem::replace(&mut queue.appending, true) {
            tokio::spawn(self.clone().append_all());
        }
        Ok(Pending(answered))
    }

    async fn append_all(self: Arc<Self>) {
        let _ends = AppendingEnds(&self);
        loop {
            let waiting = lock(&self.queue).take();
            if waiting.is_empty() {
                return;
            }
            self.append(waiting).await;
            if lock(&self.queue).behind.is_much(self.limits) {
                self.snapshot().await;
            }
        }
    }

    async fn append(&self, waiting: Vec<Waiting<S::Change>>) {
        let mut builder = BatchBuilder::new(self.clock.now());
        for (_, value) in waiting.iter().flat_map(|waiting| &waiting.changes) {
            builder.push(None, Some(value));
        }
        let appended = self.append_batch(builder).await;
        let mut answers = Vec::with_capacity(waiting.len());
        match &appended {
            Ok(offsets) => {
                lock(&self.queue).failing = false;
                let mut state = self.state();
                let mut at = offsets.start.0;
                for waiting in waiting {
                    for (change, _) in waiting.changes {
                        state.apply(change, at);
                        at += 1;
                    }
                    answers.push(waiting.answer);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut lock(&self.queue).failing, true) {
                    tracing::warn!("changes of {} are not stored, their clients are told: {error}", S::WHAT);
                }
                answers.extend(waiting.into_iter().map(|waiting| waiting.answer));
            }
        }
        let outcome = appended.map(drop);
        for answer in answers {
            // Whoever went away needs no answer.
            let _ = answer.send(outcome.clone());
        }
    }

    async fn append_batch(&self, builder: BatchBuilder) -> Result<OffsetRange> {
        self.make_topic().await?;
        let (records, bytes) = (u64::from(builder.len()), builder.size_bytes() as u64);
        let offsets = self.log.append(&self.to, builder.build()?).await?;
        let behind = &mut lock(&self.queue).behind;
        behind.records += records;
        behind.bytes += bytes;
        Ok(offsets)
    }

    /// Writes a snapshot and lets go what lies before it. Nothing else is appended meanwhile.
    async fn snapshot(&self) {
        lock(&self.queue).behind = Behind::default();
        let written = match self.write_snapshot().await {
            Ok(start) => self.log.trim(&self.to, start).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::warn!("no snapshot of {}, the next one is tried later: {error}", S::WHAT);
        }
        let mut queue = lock(&self.queue);
        let Behind { records, bytes, .. } = queue.behind;
        queue.behind = Behind { snapshot_records: records, snapshot_bytes: bytes, ..Behind::default() };
    }

    /// Answers where it begins.
    async fn write_snapshot(&self) -> Result<Offset> {
        let parts = self.state().parts();
        let mut builder = BatchBuilder::new(self.clock.now());
        builder.push(None, Some(&encode(&Stored::<S::Change>::SnapshotBegin)?));
        let mut start = None;
        let mut count = 0;
        for part in &parts {
            let changes = self.state().changes_of(part);
            for change in changes {
                let value = encode(&Stored::Snapshot(change))?;
                count += 1;
                if builder.size_bytes() + value.len() > GATHER_BYTES_MAX && !builder.is_empty() {
                    let full = std::mem::replace(&mut builder, BatchBuilder::new(self.clock.now()));
                    let offsets = self.append_batch(full).await?;
                    start.get_or_insert(offsets.start);
                }
                builder.push(None, Some(&value));
            }
        }
        builder.push(None, Some(&encode(&Stored::<S::Change>::SnapshotEnd { parts: count })?));
        let offsets = self.append_batch(builder).await?;
        Ok(start.unwrap_or(offsets.start))
    }
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::internal("a change can't be written as JSON").with_source(error))
}

impl<C> Default for Queue<C> {
    fn default() -> Self {
        Self { appending: false, waiting: VecDeque::new(), bytes: 0, failing: false, behind: Behind::default() }
    }
}

impl<C> Queue<C> {
    /// The changes that are appended next, in one batch; none ends the appending.
    fn take(&mut self) -> Vec<Waiting<C>> {
        let mut bytes = 0;
        let mut next = Vec::new();
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| bytes == 0 || bytes + waiting.bytes <= GATHER_BYTES_MAX) {
            bytes += waiting.bytes;
            next.push(waiting);
        }
        self.bytes -= bytes;
        self.appending = !next.is_empty();
        next
    }
}

impl Behind {
    /// Whether a snapshot is worth its own size.
    fn is_much(&self, limits: StoreLimits) -> bool {
        self.records >= limits.snapshot_records.max(self.snapshot_records)
            || self.bytes >= limits.snapshot_bytes.max(self.snapshot_bytes)
    }
}

/// However the appending task ends (the log may panic), the next change starts a new one.
struct AppendingEnds<'a, S: Kept>(&'a TopicStore<S>);

impl<S: Kept> Drop for AppendingEnds<'_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = lock(&self.0.queue);
            // Their senders go with them, so that nobody waits for a task that is gone.
            *queue = Queue { behind: queue.behind, ..Queue::default() };
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
