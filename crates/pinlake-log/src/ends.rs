//! Where deleted topics ended, so that a topic that is created again goes on behind them: one small file for each name that was ever
//! deleted, some ten bytes a partition. It is written before the topic goes and kept for good: the partitions of the next topic of that
//! name start by it as long as they have no segment, and those that the next topic lacks find their ends in it later.

use std::path::{Path, PathBuf};

use pinlake_core::{Error, Offset, Result, TopicName};
use serde::{Deserialize, Serialize};

use crate::checked;
use crate::disk::Disk;

/// Beside the topics, none of which may be called so.
const FOLDER: &str = "=ended";
const VERSION: u32 = 1;

/// Where the partitions of all deleted topics of one name ended, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ends {
    version: u32,
    next: Vec<Offset>,
}

impl Ends {
    /// Of a topic whose partitions end so.
    pub(crate) fn new(next: Vec<Offset>) -> Self {
        Self { version: VERSION, next }
    }

    /// Where a partition ended; zero if there never was one.
    pub(crate) fn of(&self, partition: u32) -> Offset {
        self.next.get(partition as usize).copied().unwrap_or_default()
    }

    /// What is noted of `topic` in the log at `root`.
    ///
    /// # Errors
    /// `Corrupt` if the note is damaged, `Internal` when the disk fails.
    pub(crate) fn load(disk: &Disk, root: &Path, topic: &TopicName) -> Result<Self> {
        let path = path(root, topic);
        let read = disk.read_whole(&path);
        let read = read.map_err(|error| Error::internal(format!("can't read {}", path.display())).with_source(error))?;
        let Some(bytes) = read else { return Ok(Self::new(Vec::new())) };
        checked::decode(&bytes).filter(|ends: &Self| ends.version == VERSION).ok_or_else(|| {
            Error::corrupt(format!(
                "{} does not read, it says where deleted topics ended: restore it from a copy, or remove it to have a new topic \
                 '{topic}' start at offset 0 again",
                path.display()
            ))
        })
    }

    /// Adds these ends to what is noted, durably. No end ever moves back, and a topic that never held anything takes no note.
    pub(crate) fn note(&self, disk: &Disk, root: &Path, topic: &TopicName) -> Result<()> {
        let before = Self::load(disk, root, topic)?;
        let partitions =
            u32::try_from(self.next.len().max(before.next.len())).expect("a topic's partitions are counted in 32 bits");
        let next = |partition| self.of(partition).max(before.of(partition));
        if (0..partitions).all(|partition| next(partition) == before.of(partition)) {
            return Ok(());
        }
        let bytes = checked::encode(&Self::new((0..partitions).map(next).collect()));
        let path = path(root, topic);
        disk.create_dir(&root.join(FOLDER)).and_then(|()| disk.replace(&path, &bytes, true)).map_err(|error| {
            match crate::disk::is_full(&error) {
                true => Error::retry("the disk is full: make room for the note of where the topic ends").with_source(error),
                false => Error::internal(format!("can't write {}", path.display())).with_source(error),
            }
        })
    }
}

/// The name ends so that it is never that of another topic's unfinished file, and is no longer than a file system takes.
fn path(root: &Path, topic: &TopicName) -> PathBuf {
    root.join(FOLDER).join(format!("{topic}="))
}
