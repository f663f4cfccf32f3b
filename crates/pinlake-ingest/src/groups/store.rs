//! The groups' topic: records are appended to it, and the state is what is in it. A change is seen once it is durable, in the
//! order of the log. It must not decide what may change.
//!
//! When much lies behind the last snapshot, the whole state is written again, and what lies before it goes. A snapshot is
//! between two marks and counts only if it is whole, so that a death in the middle changes nothing.

mod replay;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pinlake_core::{BatchBuilder, Clock, ErrorKind, Log, Offset, OffsetRange, Result, TopicName, TopicPartition, TopicSpec};
use tokio::sync::oneshot;

use super::OFFSETS_TOPIC;
use super::error::GroupError;
use super::record::Entry;
use super::settings::GroupSettings;
use super::state::State;
use replay::Replay;

/// The largest batch: room for the largest group, which is one record.
const BATCH_BYTES_MAX: u32 = 64 << 20;
/// Records that wait are appended together up to this size.
const GATHER_BYTES_MAX: usize = 1 << 20;

/// The state of all groups, and the way to change it.
pub(crate) struct Store {
    log: Arc<dyn Log>,
    clock: Clock,
    to: TopicPartition,
    settings: GroupSettings,
    /// Changed by the one task that appends, after each append.
    state: Mutex<State>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Whether the appending task is there.
    appending: bool,
    waiting: VecDeque<Change>,
    bytes: usize,
    /// Whether the last append failed.
    failing: bool,
    /// What lies behind the last snapshot.
    behind: Behind,
}

/// Records that are appended together, and who waits for them.
struct Change {
    entries: Vec<(Entry, Vec<u8>)>,
    bytes: usize,
    answer: oneshot::Sender<Result<(), GroupError>>,
    /// Dropped once the state has the change, or never will.
    _inflight: Inflight,
}

/// Held while a change is on its way: whoever holds another clone can tell.
pub(crate) type Inflight = Arc<()>;

/// How much was written since the last snapshot, and how much that one was.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Behind {
    records: u64,
    bytes: u64,
    snapshot_records: u64,
    snapshot_bytes: u64,
}

/// A change that was handed in; dropping it does not take it back.
pub(crate) struct Pending(oneshot::Receiver<Result<(), GroupError>>);

impl Pending {
    /// Waits until the change is durable and seen.
    pub(crate) async fn durable(self) -> Result<(), GroupError> {
        self.0.await.unwrap_or(Err(GroupError::Storage))
    }
}

impl Store {
    /// Creates the topic if it is not there, and reads all of it.
    pub(crate) async fn open(log: Arc<dyn Log>, clock: Clock, settings: GroupSettings) -> Result<Arc<Self>> {
        let topic = TopicName::new(OFFSETS_TOPIC)?;
        let spec = TopicSpec { retention_ms: None, batch_bytes_max: BATCH_BYTES_MAX, ..TopicSpec::with_partitions(1) };
        match log.create_topic(&topic, spec).await {
            Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
            _ => {}
        }
        let to = topic.partition(0);
        let Replay { state, behind, .. } = replay::read(&*log, &to).await?;
        let queue = Mutex::new(Queue { behind, ..Queue::default() });
        Ok(Arc::new(Self { log, clock, to, settings, state: Mutex::new(state), queue }))
    }

    /// The state as far as it is durable. Must not be held for long.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Hands a change in: its records get their places in the order of the calls. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`GroupError::CoordinatorNotAvailable`] if too much waits already.
    pub(crate) fn submit(self: &Arc<Self>, entries: Vec<Entry>, inflight: Inflight) -> Result<Pending, GroupError> {
        let encode = |entry: Entry| entry.encode().map(|value| (entry, value));
        let entries: Vec<_> = entries.into_iter().map(encode).collect::<Result<_>>().map_err(|error| GroupError::from(&error))?;
        let bytes = entries.iter().map(|(_, value)| value.len()).sum();
        let (answer, answered) = oneshot::channel();
        let mut queue = lock(&self.queue);
        if queue.bytes > 0 && queue.bytes + bytes > self.settings.queued_bytes_max {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        queue.bytes += bytes;
        queue.waiting.push_back(Change { entries, bytes, answer, _inflight: inflight });
        if !std::mem::replace(&mut queue.appending, true) {
            tokio::spawn(self.clone().append_all());
        }
        Ok(Pending(answered))
    }

    async fn append_all(self: Arc<Self>) {
        let _ends = AppendingEnds(&self);
        loop {
            let changes = lock(&self.queue).take();
            if changes.is_empty() {
                return;
            }
            self.append(changes).await;
            if lock(&self.queue).behind.is_much(&self.settings) {
                self.snapshot().await;
            }
        }
    }

    async fn append(&self, changes: Vec<Change>) {
        let mut builder = BatchBuilder::new(self.clock.now());
        for (_, value) in changes.iter().flat_map(|change| &change.entries) {
            builder.push(None, Some(value));
        }
        let appended = self.append_batch(builder).await;
        let mut answers = Vec::with_capacity(changes.len());
        match &appended {
            Ok(offsets) => {
                lock(&self.queue).failing = false;
                let mut state = self.state();
                let mut at = offsets.start.0;
                for change in changes {
                    for (entry, _) in change.entries {
                        state.apply(entry, at);
                        at += 1;
                    }
                    answers.push(change.answer);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut lock(&self.queue).failing, true) {
                    tracing::warn!("changes of consumer groups are not stored, their clients are told: {error}");
                }
                answers.extend(changes.into_iter().map(|change| change.answer));
            }
        }
        let outcome = appended.map(drop).map_err(|error| GroupError::from(&error));
        for answer in answers {
            // Whoever went away needs no answer.
            let _ = answer.send(outcome.clone());
        }
    }

    async fn append_batch(&self, builder: BatchBuilder) -> Result<OffsetRange> {
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
            tracing::warn!("no snapshot of the consumer groups, the next one is tried later: {error}");
        }
        let mut queue = lock(&self.queue);
        let Behind { records, bytes, .. } = queue.behind;
        queue.behind = Behind { snapshot_records: records, snapshot_bytes: bytes, ..Behind::default() };
    }

    /// Answers where it begins.
    async fn write_snapshot(&self) -> Result<Offset> {
        let groups: Vec<_> = self.state().groups().cloned().collect();
        let mut builder = BatchBuilder::new(self.clock.now());
        builder.push(None, Some(&Entry::SnapshotBegin.encode()?));
        let mut start = None;
        let mut parts = 0;
        for group in groups.iter().map(Some).chain([None]) {
            let records = match group {
                Some(group) => self.state().records_of(group),
                None => self.state().records_of_transactions(),
            };
            for record in records {
                let part = Entry::Snapshot(Box::new(record)).encode()?;
                parts += 1;
                if builder.size_bytes() + part.len() > GATHER_BYTES_MAX && !builder.is_empty() {
                    let full = std::mem::replace(&mut builder, BatchBuilder::new(self.clock.now()));
                    let offsets = self.append_batch(full).await?;
                    start.get_or_insert(offsets.start);
                }
                builder.push(None, Some(&part));
            }
        }
        builder.push(None, Some(&Entry::SnapshotEnd { parts }.encode()?));
        let offsets = self.append_batch(builder).await?;
        Ok(start.unwrap_or(offsets.start))
    }
}

impl Queue {
    /// The changes that are appended next, in one batch; none ends the appending.
    fn take(&mut self) -> Vec<Change> {
        let mut bytes = 0;
        let mut next = Vec::new();
        while let Some(change) = self.waiting.pop_front_if(|change| bytes == 0 || bytes + change.bytes <= GATHER_BYTES_MAX) {
            bytes += change.bytes;
            next.push(change);
        }
        self.bytes -= bytes;
        self.appending = !next.is_empty();
        next
    }
}

impl Behind {
    /// Whether a snapshot is worth its own size.
    fn is_much(&self, settings: &GroupSettings) -> bool {
        self.records >= settings.snapshot_records.max(self.snapshot_records)
            || self.bytes >= settings.snapshot_bytes.max(self.snapshot_bytes)
    }
}

/// However the appending task ends (the log may panic), the next change starts a new one.
struct AppendingEnds<'a>(&'a Store);

impl Drop for AppendingEnds<'_> {
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
