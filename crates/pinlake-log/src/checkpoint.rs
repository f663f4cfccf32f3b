//! How far a partition is known to be good, with its producers as they were there: what bounds recovery. A checkpoint never claims bytes
//! that were not synced before it was written, so losing one costs time and nothing else.

use std::io;
use std::path::Path;

use pinlake_core::Offset;
use pinlake_core::producers::ProducerState;
use serde::{Deserialize, Serialize};

use crate::checked;
use crate::disk::Disk;
use crate::segment::Segment;

const FILE: &str = "checkpoint";
const VERSION: u32 = 1;

/// A partition's last known good point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// The producers as of here.
    pub(crate) producers: Vec<ProducerState>,
}

impl Checkpoint {
    /// A checkpoint at the start of the segment at `base`.
    pub(crate) fn at_start_of(base: Offset, producers: Vec<ProducerState>) -> Self {
        Self {
            version: VERSION,
            segment: base,
            position: 0,
            next: base,
            began: None,
            max_timestamp: None,
            last: 0,
            index_crcs: (0, 0),
            producers,
        }
    }

    /// A checkpoint at the end of the active segment, whose index so far is written beside it.
    pub(crate) fn at_end_of(active: &Segment, producers: Vec<ProducerState>, durable: bool) -> io::Result<Self> {
        let extent = active.extent();
        let index = active.index().unwrap_or_default();
        Ok(Self {
            position: extent.bytes,
            next: extent.end,
            began: extent.began.map(|began| began.0),
            max_timestamp: extent.max_timestamp.map(|largest| largest.0),
            last: index.last(),
            index_crcs: active.write_index(&index, durable)?,
            ..Self::at_start_of(active.base, producers)
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

    /// Writes it in place of the one before.
    pub(crate) fn store(&self, disk: &Disk, dir: &Path, durable: bool) -> io::Result<()> {
        disk.replace(&dir.join(FILE), &checked::encode(self), durable)
    }
}
