//! Where a partition was trimmed to: the first offset that is kept, if that is not the first of its segments. One small file of the
//! partition. It must not be taken for where the segments begin, which retention may have moved past it.

use std::path::{Path, PathBuf};

use pinlake_core::{Error, Offset, Result};
use serde::{Deserialize, Serialize};

use crate::checked;
use crate::disk::Disk;

const FILE: &str = "start";
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Start {
    version: u32,
    start: Offset,
}

/// What the partition in `dir` was trimmed to; zero if it never was.
///
/// # Errors
/// `Corrupt` if the file is damaged, `Internal` when the disk fails.
pub(crate) fn load(disk: &Disk, dir: &Path) -> Result<Offset> {
    let path = path(dir);
    let read = disk.read_whole(&path);
    let read = read.map_err(|error| Error::internal(format!("can't read {}", path.display())).with_source(error))?;
    let Some(bytes) = read else { return Ok(Offset::ZERO) };
    let start = checked::decode(&bytes).filter(|start: &Start| start.version == VERSION).ok_or_else(|| {
        Error::corrupt(format!(
            "{} does not read, it says up to where records were let go: restore it from a copy, or remove it to have what is left of them \
             back",
            path.display()
        ))
    })?;
    Ok(start.start)
}

/// Notes it, durably. After an error either may be noted.
pub(crate) fn store(disk: &Disk, dir: &Path, start: Offset) -> Result<()> {
    let path = path(dir);
    let bytes = checked::encode(&Start { version: VERSION, start });
    disk.replace(&path, &bytes, true).map_err(|error| match crate::disk::is_full(&error) {
        true => Error::retry("the disk is full: make room for the note of what is let go").with_source(error),
        false => Error::internal(format!("can't write {}", path.display())).with_source(error),
    })
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}
