//! The last step before the log: records of concurrent requests for one partition share batches.
//!
//! While an append of a partition is under way, what arrives is gathered into the next batch; one task a partition appends
//! them in turn and ends when nothing is left. A caller that goes away changes nothing for the others: its records are
//! in the batch or never were.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pinlake_core::{BatchBuilder, Error, Log, Offset, Result, Timestamp, TopicPartition};
use tokio::sync::oneshot;

use crate::records::Records;

/// The most bytes that a record's own fields take in a batch, beside its key and value.
pub(crate) const RECORD_OVERHEAD_MAX: usize = 32;

/// Limits of one gathered batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GatherLimits {
    pub(crate) bytes: usize,
    pub(crate) records: u32,
}

/// One partition's waiting records.
pub(crate) struct Lane {
    to: TopicPartition,
    log: Arc<dyn Log>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// Whether the appending task is there.
    appending: bool,
    gathered: VecDeque<Gathered>,
    /// How large the last batch became: what the next one makes room for.
    last_bytes: usize,
}

/// A batch that is being filled, and who waits for which part of it.
struct Gathered {
    builder: BatchBuilder,
    callers: Vec<Caller>,
    queued: Queued,
}

struct Caller {
    first: u32,
    answer: oneshot::Sender<Result<Offset>>,
}

impl Lane {
    pub(crate) fn new(log: Arc<dyn Log>, to: TopicPartition) -> Arc<Self> {
        Arc::new(Self { to, log, waiting: Mutex::default() })
    }

    pub(crate) fn to(&self) -> &TopicPartition {
        &self.to
    }

    /// Appends these records of `records`, next to each other, together with what others send meanwhile; answers the first
    /// one's offset. `bytes` is what they take in a batch at most and must fit `limits`.
    pub(crate) async fn append(
        self: &Arc<Self>,
        records: &Records,
        indices: impl Iterator<Item = usize>,
        bytes: usize,
        limits: GatherLimits,
        now: Timestamp,
        queued: Queued,
    ) -> Result<Offset> {
        let (answer, answered) = oneshot::channel();
        let start = {
            let mut waiting = self.lock();
            let gathered = waiting.room_for(bytes, limits, now);
            gathered.callers.push(Caller { first: gathered.builder.len(), answer });
            for index in indices {
                let (key, value) = records.get(index);
                gathered.builder.push_at(now, key, value);
            }
            gathered.queued.absorb(queued);
            !std::mem::replace(&mut waiting.appending, true)
        };
        if start {
            tokio::spawn(Arc::clone(self).append_all());
        }
        answered.await.unwrap_or_else(|_| Err(Error::internal("the append was given up before the log answered")))
    }

    async fn append_all(self: Arc<Self>) {
        let _ends = AppendingEnds(&self);
        // Requests that are ready to run join the first batch.
        tokio::task::yield_now().await;
        loop {
            let next = {
                let mut waiting = self.lock();
                let next = waiting.gathered.pop_front();
                waiting.appending = next.is_some();
                next
            };
            let Some(gathered) = next else { return };
            self.append_one(gathered).await;
        }
    }

    async fn append_one(&self, gathered: Gathered) {
        let Gathered { builder, callers, queued } = gathered;
        self.lock().last_bytes = builder.size_bytes();
        let appended = match builder.build() {
            Ok(batch) => self.log.append(&self.to, batch).await,
            Err(error) => Err(error),
        };
        drop(queued);
        for caller in callers {
            let answer = appended.as_ref().map(|offsets| offsets.start.plus(u64::from(caller.first))).map_err(Error::clone);
            // Whoever went away needs no answer.
            let _ = caller.answer.send(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Records are added whole or the thread dies before it counts its caller, who is then answered by the dropped sender.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn room_for(&mut self, bytes: usize, limits: GatherLimits, now: Timestamp) -> &mut Gathered {
        let fits = |last: &Gathered| last.builder.size_bytes() + bytes <= limits.bytes && last.builder.len() < limits.records;
        if !self.gathered.back().is_some_and(fits) {
            let builder = BatchBuilder::with_capacity(now, self.last_bytes.max(bytes).min(limits.bytes));
            self.gathered.push_back(Gathered { builder, callers: Vec::new(), queued: Queued::default() });
        }
        self.gathered.back_mut().expect("one was just pushed if none was there")
    }
}

/// However the appending task ends (the log may panic), the next caller starts a new one.
struct AppendingEnds<'a>(&'a Lane);

impl Drop for AppendingEnds<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut waiting = self.0.lock();
            waiting.appending = false;
            // Their senders go with them, so that nobody waits for a task that is gone.
            waiting.gathered.clear();
        }
    }
}

/// Bytes that wait for the log, counted until dropped.
#[derive(Debug, Default)]
pub(crate) struct Queued {
    total: Arc<AtomicUsize>,
    bytes: usize,
}

impl Queued {
    /// Counts `bytes` into `total`, or refuses if that would be over `bytes_max`.
    pub(crate) fn enter(total: &Arc<AtomicUsize>, bytes: usize, bytes_max: usize) -> Result<Self> {
        let queued = Self { total: total.clone(), bytes };
        let before = total.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before + bytes > bytes_max {
            return Err(Error::retry(format!("{before} bytes wait for the log already, {bytes_max} may: try again later")));
        }
        Ok(queued)
    }

    fn absorb(&mut self, mut other: Queued) {
        if self.bytes == 0 {
            *self = other;
        } else {
            self.bytes += std::mem::take(&mut other.bytes);
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
