//! What can be set about consumer groups: plain data with documented defaults.

use std::ops::RangeInclusive;
use std::time::Duration;

use pinlake_core::TopicName;

use super::OFFSETS_TOPIC;

/// Limits and habits of consumer groups.
#[derive(Debug, Clone)]
pub struct GroupSettings {
    /// The topic that keeps the groups. Default [`OFFSETS_TOPIC`]; a cluster has one of that name for its own groups.
    pub topic: TopicName,
    /// Session timeouts that a member may ask for. Default 6 s to 30 min.
    pub session_timeout: RangeInclusive<Duration>,
    /// How long the first members of a group wait for others. Default 100 ms, anew with each that comes.
    pub initial_delay: Duration,
    /// How long they wait at most, however many come. Default 500 ms.
    pub initial_delay_max: Duration,
    /// The most members of one group. Default 1,000.
    pub members_max: usize,
    /// The most groups. Default 10,000.
    pub groups_max: usize,
    /// The most bytes of names and metadata that one member may bring. Default 1 MiB.
    pub member_bytes_max: usize,
    /// The most bytes that the members of one group and their assignments take. Default 16 MiB.
    pub group_bytes_max: usize,
    /// The most bytes that the members of all groups take. Default 256 MiB.
    pub members_bytes_max: usize,
    /// The longest text committed with an offset, bytes. Default 4,096.
    pub offset_metadata_bytes_max: usize,
    /// The most committed offsets of all groups, those of open transactions included. Default 1,000,000.
    pub offsets_max: usize,
    /// Offsets of a group without members go this long after it lost its last one (or, if it never had any, after their
    /// commit). Default 7 days.
    pub offsets_retention: Duration,
    /// How often groups are looked through for what may go. Default 10 min.
    pub check_every: Duration,
    /// A snapshot is written when so many records lie behind the last one. Default 20,000.
    pub snapshot_records: u64,
    /// The same in bytes. Default 64 MiB.
    pub snapshot_bytes: u64,
    /// Bytes of records that wait for the log; over it calls are refused as if the disk were full. Default 64 MiB.
    pub queued_bytes_max: usize,
}

impl Default for GroupSettings {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            topic: TopicName::new(OFFSETS_TOPIC).expect("a legal name"),
            session_timeout: Duration::from_secs(6)..=Duration::from_secs(30 * 60),
            initial_delay: Duration::from_millis(100),
            initial_delay_max: Duration::from_millis(500),
            members_max: 1000,
            groups_max: 10_000,
            member_bytes_max: MIB,
            group_bytes_max: 16 * MIB,
            members_bytes_max: 256 * MIB,
            offset_metadata_bytes_max: 4096,
            offsets_max: 1_000_000,
            offsets_retention: Duration::from_secs(7 * 24 * 3600),
            check_every: Duration::from_secs(10 * 60),
            snapshot_records: 20_000,
            snapshot_bytes: 64 * MIB as u64,
            queued_bytes_max: 64 * MIB,
        }
    }
}
