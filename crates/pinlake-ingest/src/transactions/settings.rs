//! What can be set about transactions: plain data with documented defaults.

use std::time::Duration;

/// Limits and habits of transactions.
#[derive(Debug, Clone)]
pub struct TransactionSettings {
    /// The longest timeout that a producer may ask for. Default 15 min.
    pub timeout_max: Duration,
    /// A transactional id that nothing happened to for so long is forgotten; its producer must be initialised again. Default 7 days.
    pub retention: Duration,
    /// The most transactional ids. Default 10,000.
    pub ids_max: usize,
    /// The most partitions of one transaction. Default 10,000.
    pub partitions_max: usize,
    /// The most partitions of all open transactions together. Default 200,000.
    pub all_partitions_max: usize,
    /// The most consumer groups whose offsets one transaction commits. Default 1,000.
    pub groups_max: usize,
    /// How often transactions are looked through for those that took too long, must still be ended, or may be forgotten. Default 1 s.
    pub check_every: Duration,
    /// The longest pause between two tries to end a transaction while the log does not take it; the first is `check_every`, and each is
    /// twice the one before. Default 30 s.
    pub retry_max: Duration,
    /// A snapshot is written when so many records lie behind the last one. Default 20,000.
    pub snapshot_records: u64,
    /// The same in bytes. Default 64 MiB.
    pub snapshot_bytes: u64,
    /// Bytes of records that wait for the log; over it calls are refused as if the disk were full. Default 64 MiB.
    pub queued_bytes_max: usize,
}

impl Default for TransactionSettings {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            timeout_max: Duration::from_secs(15 * 60),
            retention: Duration::from_secs(7 * 24 * 3600),
            ids_max: 10_000,
            partitions_max: 10_000,
            all_partitions_max: 200_000,
            groups_max: 1000,
            check_every: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
            snapshot_records: 20_000,
            snapshot_bytes: 64 * MIB as u64,
            queued_bytes_max: 64 * MIB,
        }
    }
}
