//! How far a partition is known to be good, with what it remembers as of there: what bounds recovery. A checkpoint never claims bytes
//! that were not synced before it was written, so losing one costs time, and the memory of producers whose batches are no longer kept.

use std::io;
use std::path::Path;
use std::sync::Arc;

use pinlake_core::Offset;
use serde::{Deserialize, Serialize};

use crate::checked;
use crate::disk::Disk;
use crate::remembered::State;
use crate::segment::Segment;
use crate::txn_index::{Entry, Summary};

const FILE: &str = "checkpoint";
const VERSION: u32 = 1;

/// A partition's last known good point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    version: u32,
    /// The active segment's base offset.
    pub(crate) segment: Offset,
    /// How many of its bytes are good.
    pub(crate) position: u64,
    /// The offset after them.
    pub(crate) next: Offset,
    /// When the segment's first batch was appended.
    pub(crate) began: Option<i64>,
    /// Its largest timestamp.
    pub(crate) max_timestamp: Option<i64>,
    /// The last batch's offset within the segment.
    pub(crate) last: u32,
    /// CRCs of the two index files as of here.
    pub(crate) index_crcs: (u32, u32),
    /// What the partition remembers as of here.
    #[serde(flatten)]
    pub(crate) state: State,
    /// The transactions that were aborted in the active segment.
    #[serde(default)]
    pub(crate) aborted: Vec<Entry>,
    /// What the other segments' transaction indexes are, of those that have one.
    #[serde(default)]
    pub(crate) txn_indexes: Vec<Summary>,
}

impl Checkpoint {
    /// A checkpoint at the start of the segment at `base`, which nothing comes before.
    pub(crate) fn at_start_of(base: Offset) -> Self {
        Self {
            version: VERSION,
            segment: base,
            position: 0,
            next: base,
            began: None,
            max_timestamp: None,
            last: 0,
            index_crcs: (0, 0),
            state: State::default(),
            aborted: Vec::new(),
            txn_indexes: Vec::new(),
        }
    }

    /// A checkpoint at the start of the last segment, which is empty. There must be one.
    pub(crate) fn at_last_of(segments: &[Arc<Segment>], state: State) -> Self {
        let (active, sealed) = segments.split_last().expect("there is a segment");
        let txn_indexes = sealed.iter().filter_map(|segment| segment.txn_summary()).collect();
        Self { state, txn_indexes, ..Self::at_start_of(active.base) }
    }

    /// A checkpoint at the end of the last segment, whose index so far is written beside it. There must be one.
    pub(crate) fn at_end_of(segments: &[Arc<Segment>], state: State, durable: bool) -> io::Result<Self> {
        let active = segments.last().expect("there is a segment");
        let extent = active.extent();
        let index = active.index().unwrap_or_default();
        Ok(Self {
            position: extent.bytes,
            next: extent.end,
            began: extent.began.map(|began| began.0),
            max_timestamp: extent.max_timestamp.map(|largest| largest.0),
            last: index.last(),
            index_crcs: active.write_index(&index, durable)?,
            aborted: active.aborted_here(),
            ..Self::at_last_of(segments, state)
        })
    }

    /// Reads a partition's checkpoint; `None` if there is none or it is damaged.
    pub(crate) fn load(disk: &Disk, dir: &Path) -> io::Result<Option<Self>> {
        let Some(bytes) = disk.read_whole(&dir.join(FILE))? else { return Ok(None) };
        let checkpoint = checked::decode(&bytes).filter(|checkpoint: &Self| checkpoint.version == VERSION);
        if checkpoint.is_none() {
            tracing::warn!(dir = %dir.display(), "the checkpoint is damaged: the whole partition will be checked");
        }
        Ok(checkpoint)
    }

    /// Writes it in place of the one before, durably: what it says of producers may stand in no batch any more.
    pub(crate) fn store(&self, disk: &Disk, dir: &Path) -> io::Result<()> {
        disk.replace(&dir.join(FILE), &checked::encode(self), true)
    }
}
