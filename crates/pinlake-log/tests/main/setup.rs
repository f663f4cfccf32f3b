//! Logs in folders of their own, and copies of folders as a crash would leave them.

use std::path::Path;
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

/// The only partition of a new topic `t`.
pub(crate) async fn partition(log: &DiskLog) -> TopicPartition {
    topic(log, "t", 1).await.partition(0)
}

/// Copies a folder; `len` says how much of each file is copied.
pub(crate) fn copy(from: &Path, to: &Path, len: &dyn Fn(&Path, u64) -> u64) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target, len);
        } else {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes.truncate(usize::try_from(len(&path, bytes.len() as u64)).unwrap());
            std::fs::write(target, bytes).unwrap();
        }
    }
}

/// A copy of a folder as it is: what `kill -9` leaves.
pub(crate) fn copy_whole(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    copy(from, to.path(), &|_, len| len);
    to
}
