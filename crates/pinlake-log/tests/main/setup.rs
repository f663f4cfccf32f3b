//! Logs in folders of their own, and copies of folders as a crash would leave them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pinlake_core::testing::log_contract::topic;
use pinlake_core::{Clock, Followers, Timestamp, TopicPartition};
use pinlake_log::disk::{Disk, Faults};
use pinlake_log::{DiskLog, LogSettings};

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A log in `dir` on the machine's disk.
pub(crate) async fn open(dir: &Path, settings: LogSettings) -> DiskLog {
    DiskLog::open(dir, settings, Clock::manual(NOW), Followers::default()).await.unwrap()
}

/// A log in `dir` on a disk that fails as told.
pub(crate) async fn open_faulty(dir: &Path, settings: LogSettings) -> (DiskLog, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let disk = Disk::with_faults(faults.clone());
    let log = DiskLog::open_on(disk, dir, settings, Clock::manual(NOW), Followers::default()).await.unwrap();
    (log, faults)
}

/// Settings that let folders in memory be used up.
pub(crate) fn settings() -> LogSettings {
    LogSettings { disk_free_min: 0, ..LogSettings::default() }
}

/// The last segment of a partition's folder.
pub(crate) fn last_segment(partition: &Path) -> PathBuf {
    let paths = std::fs::read_dir(partition).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

/// The only partition of a new topic `t`.
pub(crate) async fn partition(log: &DiskLog) -> TopicPartition {
    topic(log, "t", 1).await.partition(0)
}

/// Copies a folder as it is at one moment, though a log may be at work in it; `change` may change what each file holds.
pub(crate) fn copy(from: &Path, to: &Path, change: &dyn Fn(&Path, &mut Vec<u8>)) {
    let mut before = read_whole(from);
    let files = loop {
        // Files are replaced and removed between two looks at them: what is read twice the same was there at once.
        let again = read_whole(from);
        match again {
            Some(files) if before.as_ref() == Some(&files) => break files,
            again => before = again,
        }
    };
    std::fs::create_dir_all(to).unwrap();
    for (path, bytes) in files {
        let target = to.join(path.strip_prefix(from).unwrap());
        match bytes {
            None => std::fs::create_dir_all(target).unwrap(),
            Some(mut bytes) => {
                change(&path, &mut bytes);
                std::fs::write(target, bytes).unwrap();
            }
        }
    }
}

/// What each file in a folder holds, and `None` for each folder, which comes before what is in it. `None` if one went while it was read.
fn read_whole(folder: &Path) -> Option<BTreeMap<PathBuf, Option<Vec<u8>>>> {
    let mut found = BTreeMap::new();
    for entry in there(std::fs::read_dir(folder))? {
        let path = there(entry)?.path();
        if path.is_dir() {
            found.extend(read_whole(&path)?);
            found.insert(path, None);
        } else {
            let bytes = there(std::fs::read(&path))?;
            found.insert(path, Some(bytes));
        }
    }
    Some(found)
}

/// `None` if it has gone.
fn there<T>(result: std::io::Result<T>) -> Option<T> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        result => Some(result.unwrap()),
    }
}

/// A new folder, in memory where the machine has one: these tests need the order of writes and syncs, not their cost.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// A copy of a folder as it is: what `kill -9` leaves.
pub(crate) fn copy_whole(from: &Path) -> tempfile::TempDir {
    let to = folder();
    copy(from, to.path(), &|_, _| ());
    to
}
