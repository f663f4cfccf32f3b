//! Reading a state's topic from its first record to its last. It must not write to it.

use std::time::Duration;

use super::{Behind, Kept, Stored};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::log::{Log, ReadLimit};
use crate::position::TopicPartition;

const READ_BYTES: usize = 4 << 20;
/// How long a read may take to bring what is known to be there: a cluster may make readers wait.
const WAIT: Duration = Duration::from_secs(10);

/// What the records read so far add up to.
#[derive(Debug)]
pub(super) struct Replay<S> {
    pub(super) state: S,
    pub(super) behind: Behind,
    /// A snapshot that has not ended yet, and how much of it was there.
    snapshot: Option<(S, Behind)>,
    /// Records that nobody of ours wrote.
    foreign: u64,
}

/// Reads all that is in the topic.
pub(super) async fn read<S: Kept>(log: &dyn Log, from: &TopicPartition) -> Result<Replay<S>> {
    let range = log.range(from).await?;
    let mut replay = Replay::<S>::new();
    let mut at = range.start;
    while at < range.end {
        let batches = log.read(from, at, ReadLimit { bytes: READ_BYTES }, WAIT).await?;
        for batch in &batches {
            replay.take_batch(batch, at.0);
        }
        let next = batches.last().map_or(at, |batch| batch.offsets().end);
        if next <= at {
            return Err(Error::internal(format!("{from} can't be read past offset {at}: look for damage with 'pinlake check'")));
        }
        at = next;
    }
    if replay.foreign > 0 {
        tracing::warn!(
            records = replay.foreign,
            "records of {from} were passed over: this version of Pinlake did not write them"
        );
    }
    Ok(replay)
}

impl<S: Kept> Replay<S> {
    pub(super) fn new() -> Self {
        Self { state: S::default(), behind: Behind::default(), snapshot: None, foreign: 0 }
    }

    fn take_batch(&mut self, batch: &Batch, from: i64) {
        if batch.is_control() {
            return;
        }
        for record in batch.records() {
            let value = record.map(|record| (record.offset.0, record.value.unwrap_or_default()));
            match value {
                Ok((at, _)) if at < from => {}
                Ok((at, value)) => self.take(at, value),
                Err(_) => self.foreign += 1,
            }
        }
    }

    pub(super) fn take(&mut self, at: i64, value: &[u8]) {
        self.behind.add(value.len());
        let Ok(stored) = serde_json::from_slice(value) else {
            self.foreign += 1;
            return;
        };
        match stored {
            Stored::SnapshotBegin => {
                let mut size = Behind::default();
                size.add(value.len());
                self.snapshot = Some((S::default(), size));
            }
            Stored::Snapshot(change) => {
                if let Some((state, size)) = &mut self.snapshot {
                    state.apply(change, at);
                    size.add(value.len());
                }
            }
            Stored::SnapshotEnd { parts } => {
                if let Some((state, mut size)) = self.snapshot.take().filter(|(_, size)| size.records == parts + 1) {
                    self.state = state;
                    size.add(value.len());
                    let Behind { records, bytes, .. } = size;
                    self.behind = Behind { snapshot_records: records, snapshot_bytes: bytes, ..Behind::default() };
                }
            }
            // A snapshot is written in one go: one that is interrupted was given up.
            Stored::Change(change) => {
                self.snapshot = None;
                self.state.apply(change, at);
            }
        }
    }
}

impl Behind {
    fn add(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes as u64;
    }
}
