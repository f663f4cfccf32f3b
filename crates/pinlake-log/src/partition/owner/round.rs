//! Appends of one partition that are written and synced at once. Plain data: the owner fills it and answers those who wait.

use pinlake_core::producers::ProducerState;
use pinlake_core::{Batch, Error, Offset, OffsetRange};
use tokio::task::JoinHandle;

use crate::partition::Caller;
use crate::partition::writer::Fault;

/// Appends that are written and synced at once.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) batches: Vec<Batch>,
    pub(super) bytes: u64,
    pub(super) callers: Vec<(Caller, OffsetRange)>,
    /// The producers as they were before, newest change last.
    pub(super) before: Vec<(i64, Option<ProducerState>)>,
    /// Where it begins in the active segment's file.
    pub(super) position: u64,
    /// From its first record to its last.
    pub(super) offsets: OffsetRange,
    /// Whether room was made for its first batch, however large that is.
    pub(super) has_room: bool,
    pub(super) ahead: Ahead,
    /// The last write ahead, where it has not ended.
    pub(super) writing: Option<JoinHandle<Result<(), Fault>>>,
}

/// What of a round was written while the one before was synced.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ahead {
    pub(super) batches: usize,
    pub(super) bytes: u64,
    /// How many syncs of the whole file system had failed before.
    pub(super) failed_syncs: u64,
}

impl Round {
    /// An empty round at the end of what is durable.
    pub(super) fn at(position: u64, begin: Offset) -> Self {
        Self {
            batches: Vec::new(),
            bytes: 0,
            callers: Vec::new(),
            before: Vec::new(),
            position,
            offsets: OffsetRange { start: begin, end: begin },
            has_room: true,
            ahead: Ahead::default(),
            writing: None,
        }
    }

    /// An empty round behind this one, in the same segment.
    pub(super) fn next(&self) -> Self {
        Self { has_room: false, ..Self::at(self.position + self.bytes, self.offsets.end) }
    }

    /// Waits until all that is ahead is in the file, or not.
    pub(super) async fn written(&mut self) -> Result<(), Fault> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let wrote = writing
            .await
            .unwrap_or_else(|error| Err(Fault::Broken(Error::internal("a write to the disk was cut short").with_source(error))));
        self.writing = None;
        wrote
    }

    /// Takes a batch that has its offsets.
    pub(super) fn push(&mut self, batch: Batch, caller: Caller) {
        let offsets = batch.offsets();
        self.offsets.end = offsets.end;
        self.bytes += batch.bytes().len() as u64;
        self.batches.push(batch);
        self.callers.push((caller, offsets));
    }
}
