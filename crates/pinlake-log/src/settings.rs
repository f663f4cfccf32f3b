//! What an operator may set about the log. Plain data: it must not open or check anything on disk.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use pinlake_core::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Segments hold positions of 32 bits, as Kafka's do.
const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;
/// How often `interval` syncs when no duration is given.
const INTERVAL_DEFAULT: Duration = Duration::from_millis(100);

/// When an append is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// After the disk has it. The default.
    #[default]
    Fsync,
    /// After the operating system has it; synced this often.
    Interval(Duration),
    /// After the operating system has it; synced when the system likes, at a roll and at close.
    Os,
}

impl FromStr for Durability {
    type Err = Error;

    /// `fsync`, `os`, `interval` (100 ms) or `interval:250ms`.
    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "fsync" => Ok(Self::Fsync),
            None if text == "os" => Ok(Self::Os),
            None if text == "interval" => Ok(Self::Interval(INTERVAL_DEFAULT)),
            Some(("interval", duration)) => match humantime::parse_duration(duration.trim()) {
                Ok(every) if !every.is_zero() => Ok(Self::Interval(every)),
                _ => Err(Error::invalid(format!("durability interval '{duration}' is not a duration such as 100ms"))),
            },
            _ => Err(Error::invalid(format!("durability '{text}' is not one of fsync, interval, interval:DURATION, os"))),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fsync => f.write_str("fsync"),
            Self::Interval(every) => write!(f, "interval:{}", humantime::format_duration(*every)),
            Self::Os => f.write_str("os"),
        }
    }
}

impl Serialize for Durability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Durability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The log's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// When an append is acknowledged; `fsync`.
    pub durability: Durability,
    /// A segment is sealed before it grows past this; 256 MiB. A larger batch gets a segment to itself.
    pub segment_bytes: u64,
    /// A segment is sealed once its first batch is this old; 7 days.
    pub segment_age: Duration,
    /// About how many bytes of log one entry of the offset index covers; 4096.
    pub index_interval_bytes: u32,
    /// How many appends may wait in one partition before callers wait for room; 1024.
    pub append_queue: usize,
    /// How many bytes may wait to be written over all partitions before appends are refused; 64 MiB.
    pub append_bytes_max: usize,
    /// How many bytes one write and sync takes at most, one batch at least; 16 MiB.
    pub round_bytes_max: usize,
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
            segment_bytes: 256 << 20,
            segment_age: Duration::from_secs(7 * 24 * 3600),
            index_interval_bytes: 4096,
            append_queue: 1024,
            append_bytes_max: 64 << 20,
            round_bytes_max: 16 << 20,
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
        let counts = [self.append_queue, self.append_bytes_max, self.round_bytes_max, self.sync_lanes, self.reads_max];
        if counts.contains(&0) || self.retention_check.is_zero() {
            return Err(Error::invalid(
                "append queue, append bytes, round bytes, sync lanes, reads and retention check must be above 0",
            ));
        }
        Ok(())
    }
}
