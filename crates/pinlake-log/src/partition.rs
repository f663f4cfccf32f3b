//! One partition as its callers see it: appends are queued for the owner task, reads are answered from memory or disk up to the readable
//! end. It must not write.

mod owner;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use pinlake_core::log::{check_batch, check_readable};
use pinlake_core::producers::ProducerState;
use pinlake_core::{
    AbortedTransaction, Batch, Clock, Committed, Error, Offset, OffsetRange, ReadLimit, Reason, Result, Timestamp,
    TopicPartition, TopicSpec,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::buffers::Buffers;
use crate::disk::{Disk, FileSystem, Lock};
use crate::meters::{Meters, PartitionMeters};
use crate::recovery::Recovered;
use crate::segment::{self, Segment};
use crate::settings::LogSettings;
use crate::syncer::Syncer;
use crate::tail::{Tail, TailBudget};
use owner::Owner;

/// The least that a waiting append counts for, bytes: it bounds how many small ones wait.
const APPEND_BYTES_MIN: usize = 1 << 10;

/// What all partitions of a log share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) disk: Disk,
    pub(crate) settings: LogSettings,
    pub(crate) clock: Clock,
    pub(crate) syncer: Syncer,
    pub(crate) tails: TailBudget,
    buffers: Buffers,
    pub(crate) meters: Meters,
    append_room: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    /// Held until the log is closed, or its last partition's owner has ended.
    pub(crate) lock: Mutex<Option<Lock>>,
}

impl Context {
    pub(crate) fn new(disk: Disk, settings: LogSettings, clock: Clock, lock: Lock, file_system: Option<FileSystem>) -> Self {
        let meters = Meters::new();
        Self {
            disk,
            clock,
            syncer: Syncer::new(settings.sync_lanes, file_system, meters.clone()),
            tails: TailBudget::new(settings.tail_bytes_max),
            buffers: Buffers::default(),
            meters,
            append_room: Arc::new(Semaphore::new(settings.append_bytes_max)),
            reads: Arc::new(Semaphore::new(settings.reads_max)),
            lock: Mutex::new(Some(lock)),
            settings,
        }
    }
}

/// The segments of a partition, oldest first; the last is the active one. Empty until something is appended.
pub(crate) type Segments = Arc<RwLock<Vec<Arc<Segment>>>>;

/// A topic's settings, as they are now.
pub(crate) type Spec = Arc<RwLock<TopicSpec>>;

/// The settings now.
pub(crate) fn settings_of(spec: &Spec) -> TopicSpec {
    spec.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A producer, and the first offset of the transaction that it has open.
pub(crate) type OpenProducer = (ProducerState, Option<Offset>);

/// What the owner is asked to do.
#[derive(Debug)]
enum Message {
    Append(Append),
    /// Sync what is only written.
    Sync,
    /// Drop what retention allows, but nothing from `floor` on. Answers how many segments went.
    Retain {
        floor: Option<Offset>,
        answer: oneshot::Sender<Result<usize>>,
    },
    /// Let go of what lies before `before`. Answers the first offset that is kept.
    Trim {
        before: Offset,
        answer: oneshot::Sender<Result<Offset>>,
    },
    /// Tell who produces.
    Producers(oneshot::Sender<Result<Vec<OpenProducer>>>),
    /// Sync, note the end as good, and end.
    Close(oneshot::Sender<Result<()>>),
    /// End: the topic goes.
    Delete(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Append {
    batch: Batch,
    caller: Caller,
}

/// Who waits for an append, and the room that it takes until it is answered.
#[derive(Debug)]
struct Caller {
    answer: oneshot::Sender<Result<OffsetRange>>,
    _room: OwnedSemaphorePermit,
}

impl Caller {
    fn answer(self, answer: Result<OffsetRange>) {
        // The caller may have gone away: the append stands all the same.
        let _ = self.answer.send(answer);
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Readable {
    range: OffsetRange,
    /// Where what is decided ends: the end, or the first record of the oldest open transaction.
    stable: Offset,
    deleted: bool,
}

/// One partition. Cheap when idle: a task, a queue, no thread and no open file.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) id: TopicPartition,
    spec: Spec,
    /// Without a bound of its own, because a sender that waits for room may be overtaken: appends are bounded by the room they take, other
    /// messages by their callers, who wait for the answer.
    inbox: mpsc::UnboundedSender<Message>,
    view: Arc<View>,
    context: Arc<Context>,
    /// Why nothing is appended or read: what was durable is damaged.
    refused: Option<Error>,
}

/// What the owner shows to readers.
#[derive(Debug)]
struct View {
    readable: watch::Sender<Readable>,
    segments: Segments,
    tail: Arc<Tail>,
    /// Set once, when a write or sync failed in a way that nobody can tell what the disk holds, or the owner is gone without a reason.
    stopped: OnceLock<Error>,
    /// Set when the owner ends because the log is closed.
    closed: AtomicBool,
    unsynced: AtomicBool,
    /// Whether a sync waits for its turn.
    sync_asked: AtomicBool,
    /// Bytes of appends that have no place in a round yet, and whether they have become so many that the owner should not leave them for later.
    waiting_bytes: AtomicUsize,
    much: Notify,
    meters: PartitionMeters,
}

impl View {
    fn new(id: &TopicPartition, segments: Vec<Arc<Segment>>, range: OffsetRange, stable: Offset) -> Self {
        let view = Self {
            readable: watch::Sender::new(Readable::default()),
            segments: Arc::new(RwLock::new(segments)),
            tail: Arc::default(),
            stopped: OnceLock::new(),
            closed: AtomicBool::new(false),
            unsynced: AtomicBool::new(false),
            sync_asked: AtomicBool::new(false),
            waiting_bytes: AtomicUsize::new(0),
            much: Notify::new(),
            meters: PartitionMeters::new(id),
        };
        view.show(range, stable);
        view
    }

    /// Shows a new readable range, and up to where it is decided.
    fn show(&self, range: OffsetRange, stable: Offset) {
        let bytes =
            self.segments.read().unwrap_or_else(PoisonError::into_inner).iter().map(|segment| segment.extent().bytes).sum();
        self.meters.observe(range.end.0, bytes);
        self.readable.send_modify(|readable| (readable.range, readable.stable) = (range, stable));
    }

    /// The segment that may hold `at`.
    fn segment_of(&self, at: Offset) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = segments.partition_point(|segment| segment.base <= at);
        after.checked_sub(1).map(|found| segments[found].clone())
    }
}

impl Partition {
    /// Starts the owner of a partition that recovery has made whole.
    pub(crate) fn start(context: &Arc<Context>, id: TopicPartition, spec: Spec, dir: PathBuf, recovered: Recovered) -> Self {
        let (inbox, messages) = mpsc::unbounded_channel();
        let Recovered { segments, range, remembered } = recovered;
        let view = Arc::new(View::new(&id, segments, range, remembered.transactions.stable_end(range)));
        let owner = Owner::new(context.clone(), id.clone(), spec.clone(), dir, view.clone(), remembered, messages);
        tokio::spawn(owner.run());
        Self { id, spec, inbox, view, context: context.clone(), refused: None }
    }

    /// A partition that recovery could not make whole: it has no owner, and every call answers `error`. Its records end at `end`, as far
    /// as can be told.
    pub(crate) fn refused(context: &Arc<Context>, error: Error, id: TopicPartition, spec: Spec, end: Offset) -> Self {
        let (inbox, _) = mpsc::unbounded_channel();
        let view = Arc::new(View::new(&id, Vec::new(), OffsetRange { start: end, end }, end));
        Self { id, spec, inbox, view, context: context.clone(), refused: Some(error) }
    }

    /// See [`pinlake_core::Log::append`].
    pub(crate) async fn append(&self, batch: Batch) -> Result<OffsetRange> {
        check_batch(&self.spec.read().unwrap_or_else(PoisonError::into_inner), &batch)?;
        let len = batch.bytes().len();
        if let Some(stopped) = self.stopped() {
            return Err(stopped.clone());
        }
        let most = self.context.settings.append_bytes_max;
        let room = u32::try_from(len.max(APPEND_BYTES_MIN).min(most)).expect("batches are smaller than 2 GiB");
        let room = self.context.append_room.clone().try_acquire_many_owned(room).map_err(|_| {
            Error::retry(format!("more than {most} bytes wait to be written, the disk can't keep up: try again later"))
        })?;
        let (answer, answered) = oneshot::channel();
        let append = Append { batch, caller: Caller { answer, _room: room } };
        let (before, much) = (self.view.waiting_bytes.fetch_add(len, Ordering::AcqRel), self.context.settings.ahead_bytes);
        // Nothing is awaited before this: appends are in the order in which they were first polled.
        self.inbox.send(Message::Append(append)).map_err(|_| self.gone())?;
        if before < much && before + len >= much {
            self.view.much.notify_one();
        }
        answered.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// See [`pinlake_core::Log::read`].
    pub(crate) async fn read(&self, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        self.read_before(|readable| readable.range.end, at, max, wait).await
    }

    /// See [`pinlake_core::Log::read_committed`].
    pub(crate) async fn read_committed(&self, at: Offset, max: ReadLimit, wait: Duration) -> Result<Committed> {
        let batches = self.read_before(|readable| readable.stable, at, max, wait).await?;
        let Some(last) = batches.last() else { return Ok(Committed::default()) };
        let range = OffsetRange { start: at, end: last.offsets().end };
        let aborted = self.aborted_in(range).await?;
        Ok(Committed { batches, aborted })
    }

    /// The aborted transactions that reach into a range that is decided.
    async fn aborted_in(&self, range: OffsetRange) -> Result<Vec<AbortedTransaction>> {
        let segments = self.view.segments.read().unwrap_or_else(PoisonError::into_inner).clone();
        if !segments.iter().any(|segment| segment.may_abort_before(range.end)) {
            return Ok(Vec::new());
        }
        self.at_the_disk(move |_| segment::aborted_in(&segments, range)).await
    }

    /// The batches from the one that holds `at` on, up to the end that readers may see now; waits for one.
    async fn read_before(&self, end: fn(&Readable) -> Offset, at: Offset, max: ReadLimit, wait: Duration) -> Result<Vec<Batch>> {
        self.check_whole()?;
        let readable = *self.view.readable.borrow();
        if readable.deleted {
            return Err(self.no_partition());
        }
        check_readable(&self.id, at, readable.range)?;
        if at >= end(&readable) && !self.wait_past(end, at, wait).await? {
            return Ok(Vec::new());
        }
        // What lies behind this is in memory or in the file already, but not acknowledged, or not decided.
        let end = end(&self.view.readable.borrow());
        let mut batches = match self.view.tail.read(at, max.bytes) {
            Some(batches) => batches,
            None => self.read_segment(at, max).await?,
        };
        batches.retain(|batch| batch.offsets().end <= end);
        Ok(batches)
    }

    async fn read_segment(&self, at: Offset, max: ReadLimit) -> Result<Vec<Batch>> {
        let (id, buffers) = (self.id.clone(), self.context.buffers.clone());
        self.at_the_disk(move |view| {
            let segment = view.segment_of(at).ok_or_else(|| no_longer_kept(&id, at))?;
            let mut batches = segment.read(at, max.bytes, &buffers)?;
            // The answer is cut at the limit; what was read beyond it is let go.
            let mut bytes = 0;
            let fit = batches.iter().take_while(|batch| {
                bytes += batch.bytes().len();
                bytes <= max.bytes
            });
            let fit = fit.count().max(1);
            batches.truncate(fit);
            Ok(batches)
        })
        .await
    }

    /// Waits until the end is past `at`: false if it did not come so far.
    async fn wait_past(&self, end: fn(&Readable) -> Offset, at: Offset, wait: Duration) -> Result<bool> {
        if wait.is_zero() {
            return Ok(false);
        }
        let mut readable = self.view.readable.subscribe();
        let past = readable.wait_for(|readable| end(readable) > at || readable.deleted);
        match tokio::time::timeout(wait, past).await {
            Ok(Ok(readable)) if readable.deleted => Err(self.no_partition()),
            Ok(Ok(_)) => Ok(true),
            Ok(Err(_)) | Err(_) => Ok(false),
        }
    }

    /// See [`pinlake_core::Log::range`].
    pub(crate) fn range(&self) -> Result<OffsetRange> {
        self.check_whole()?;
        Ok(self.view.readable.borrow().range)
    }

    /// See [`pinlake_core::Log::stable_end`].
    pub(crate) fn stable_end(&self) -> Result<Offset> {
        self.check_whole()?;
        Ok(self.view.readable.borrow().stable)
    }

    /// See [`pinlake_core::Log::producers`].
    pub(crate) async fn producers(&self) -> Result<Vec<OpenProducer>> {
        self.check_whole()?;
        let (answer, answered) = oneshot::channel();
        self.inbox.send(Message::Producers(answer)).map_err(|_| self.gone())?;
        answered.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// See [`pinlake_core::Log::trim`], but for the followers, who are not asked.
    pub(crate) async fn trim(&self, before: Offset) -> Result<Offset> {
        self.check_whole()?;
        let (answer, answered) = oneshot::channel();
        self.inbox.send(Message::Trim { before, answer }).map_err(|_| self.gone())?;
        answered.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// The offset after the last record, as far as can be told of a damaged partition.
    pub(crate) fn end_known(&self) -> Offset {
        self.view.readable.borrow().range.end
    }

    /// See [`pinlake_core::Log::offset_at`].
    pub(crate) async fn offset_at(&self, time: Timestamp) -> Result<Offset> {
        self.check_whole()?;
        self.at_the_disk(move |view| {
            let range = view.readable.borrow().range;
            let segments = view.segments.read().unwrap_or_else(PoisonError::into_inner).clone();
            for segment in segments {
                match segment.first_at(time, range.start) {
                    Ok(Some(offset)) => return Ok(offset.clamp(range.start, range.end)),
                    Ok(None) => {}
                    // Retention took it between the look and the search.
                    Err(error) if error.kind() == pinlake_core::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(range.end)
        })
        .await
    }

    /// Asks the owner to sync what is only written, if anything is.
    pub(crate) fn sync_soon(&self) {
        if self.view.unsynced.load(Ordering::Acquire) && !self.view.sync_asked.swap(true, Ordering::AcqRel) {
            // Whoever is gone has nothing to sync.
            let _ = self.inbox.send(Message::Sync);
        }
    }

    /// Drops what retention allows; answers how many segments went.
    pub(crate) async fn retain(&self, floor: Option<Offset>) -> Result<usize> {
        let (answer, answered) = oneshot::channel();
        self.inbox.send(Message::Retain { floor, answer }).map_err(|_| self.gone())?;
        answered.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// Drains, syncs and ends the owner.
    pub(crate) async fn close(&self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let closed = match self.inbox.send(Message::Close(answer)) {
            Ok(()) => answered.await.ok(),
            Err(_) => None,
        };
        closed.unwrap_or_else(|| self.died().map_or(Ok(()), |died| Err(died.clone())))
    }

    /// Ends the owner; appends and reads answer `NotFound` from then on.
    pub(crate) async fn delete(&self) {
        let (answer, answered) = oneshot::channel();
        self.view.readable.send_modify(|readable| readable.deleted = true);
        if self.inbox.send(Message::Delete(answer)).is_ok() {
            let _ = answered.await;
        }
        self.view.meters.observe(self.end_known().0, 0);
    }

    /// Why the partition takes no more appends, if it stopped or was refused.
    pub(crate) fn stopped(&self) -> Option<&Error> {
        let known = self.refused.as_ref().or_else(|| self.view.stopped.get());
        if known.is_none() && self.is_gone() { self.died() } else { known }
    }

    /// Why an owner that no longer answers has ended, if nobody asked it to: it panicked.
    fn died(&self) -> Option<&Error> {
        if self.refused.is_some() || self.view.closed.load(Ordering::Acquire) || self.view.readable.borrow().deleted {
            return None;
        }
        let died = || {
            let text = format!(
                "partition {} has stopped by a defect: look for 'panicked' in the server's log, then restart it",
                self.id
            );
            Error::internal(text)
        };
        Some(self.view.stopped.get_or_init(died))
    }

    fn check_whole(&self) -> Result<()> {
        self.refused.clone().map_or(Ok(()), Err)
    }

    /// Whether the owner has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.inbox.is_closed()
    }

    async fn at_the_disk<T: Send + 'static>(&self, read: impl FnOnce(&View) -> Result<T> + Send + 'static) -> Result<T> {
        let turn = self.context.reads.clone().acquire_owned().await.expect("the reads are never closed");
        let view = self.view.clone();
        let read = move || {
            let found = read(&view);
            drop(turn);
            found
        };
        tokio::task::spawn_blocking(read).await.map_err(|error| Error::internal("a read was cut short").with_source(error))?
    }

    /// Why the owner no longer answers.
    fn gone(&self) -> Error {
        if let Some(stopped) = self.stopped().or_else(|| self.died()) {
            return stopped.clone();
        }
        if self.view.readable.borrow().deleted { self.no_partition() } else { closed() }
    }

    fn no_partition(&self) -> Error {
        Error::not_found(format!("topic '{}' was deleted", self.id.topic))
    }
}

fn closed() -> Error {
    Error::retry("the log is closed: try again when the server is back")
}

fn no_longer_kept(id: &TopicPartition, at: Offset) -> Error {
    Error::not_found(format!("offset {at} of {id} is no longer kept")).because(Reason::OffsetOutOfRange)
}
