//! What an operator may set about the log. Plain data: it must not open or check anything on disk.

use std::time::Duration;

use pinlake_core::{Error, Result};
use serde::Deserialize;

/// Segments hold positions of 32 bits, as Kafka's do.
const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;

/// When an append is acknowledged; in a configuration `fsync`, `interval` or `os`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// After the disk has it. The default.
    #[default]
    Fsync,
    /// After the operating system has it; synced every [`LogSettings::sync_interval`].
    Interval,
    /// After the operating system has it; synced when the system likes, at a roll and at close.
    Os,
}

/// The log's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// When an append is acknowledged; `fsync`.
    pub durability: Durability,
    /// How often [`Durability::Interval`] syncs; 1 second.
    pub sync_interval: Duration,
    /// A segment is sealed before it grows past this; 256 MiB. A larger batch gets a segment to itself.
    pub segment_bytes: u64,
    /// A segment is sealed once its first batch is this old; 7 days.
    pub segment_age: Duration,
    /// About how many bytes of log one entry of the offset index covers; 4096.
    pub index_interval_bytes: u32,
    /// How many bytes may wait to be written over all partitions before appends are refused, an append counting for 1 KiB at least; 64 MiB.
    pub append_bytes_max: usize,
    /// How many appends one write and sync takes at most; 1024.
    pub round_appends_max: usize,
    /// How many bytes one write and sync takes at most, one batch at least; 16 MiB.
    pub round_bytes_max: usize,
    /// While a partition is synced, so many bytes of appends are written at once for its next sync, and fewer when that begins; 512 KiB.
    pub ahead_bytes: usize,
    /// How many partitions are written and synced at the same moment; 32.
    pub sync_lanes: usize,
    /// How many reads may be at the disk at the same moment, others wait; 64.
    pub reads_max: usize,
    /// How many bytes of the newest batches are kept in memory over all partitions; 64 MiB.
    pub tail_bytes_max: usize,
    /// After so many bytes a partition notes how far it is known to be good, which bounds what recovery scans; 16 MiB.
    pub checkpoint_bytes: u64,
    /// How often retention looks; 5 minutes.
    pub retention_check: Duration,
    /// Lets retention drop what a follower still needs; off.
    pub retention_ignores_followers: bool,
    /// Appends are refused when the disk has less room than this left; 64 MiB.
    pub disk_free_min: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            sync_interval: Duration::from_secs(1),
            segment_bytes: 256 << 20,
            segment_age: Duration::from_secs(7 * 24 * 3600),
            index_interval_bytes: 4096,
            append_bytes_max: 64 << 20,
            round_appends_max: 1024,
            round_bytes_max: 16 << 20,
            ahead_bytes: 512 << 10,
            sync_lanes: 32,
            reads_max: 64,
            tail_bytes_max: 64 << 20,
            checkpoint_bytes: 16 << 20,
            retention_check: Duration::from_secs(300),
            retention_ignores_followers: false,
            disk_free_min: 64 << 20,
        }
    }
}

impl LogSettings {
    /// Refuses what the log can't work with.
    pub(crate) fn validate(&self) -> Result<()> {
        if !(1..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return Err(Error::invalid(format!(
                "segment size {} is not within 1 to {SEGMENT_BYTES_MAX} bytes",
                self.segment_bytes
            )));
        }
        let counts = [self.append_bytes_max, self.round_appends_max, self.round_bytes_max, self.sync_lanes, self.reads_max];
        if counts.contains(&0) || self.retention_check.is_zero() || self.sync_interval.is_zero() {
            return Err(Error::invalid(
                "append bytes, round appends, round bytes, sync lanes, reads, retention check and sync interval must be above 0",
            ));
        }
        Ok(())
    }
}
