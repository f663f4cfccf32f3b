//! The ledger: for each source partition, what a table took from the log and what became of it. The arithmetic is here and
//! nowhere else, so that the API, the command line and the page agree on what "closed" means.

use pinlake_core::{OffsetRange, TopicName};
use serde::{Deserialize, Serialize};

/// Every table's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Whether the tables and the archive were counted again, or what their commits recorded was believed.
    pub deep: bool,
    /// Whether every table's account closes.
    pub closed: bool,
    /// The tables, in the pipeline's order.
    pub tables: Vec<TableLedger>,
}

/// One table's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLedger {
    /// The table.
    pub table: String,
    /// Whether the account of every source partition closes.
    pub closed: bool,
    /// The source partitions, by topic and number.
    pub partitions: Vec<PartitionLedger>,
    /// The table beside what a rebuild from the archive would make of it; `null` unless everything was counted again.
    pub comparison: Option<RebuildComparison>,
}

/// A table beside what a rebuild from the archive would make of it, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildComparison {
    /// Rows that a rebuild would make.
    pub rebuilt: u64,
    /// Rows that are the same on both sides.
    pub same: u64,
    /// Rows with the same key and other content: where a key came with other content, the stream kept what came first, and a
    /// rebuild keeps what stands first in the archive. There are never more of them than conflicts.
    pub differing: u64,
    /// Rows that a rebuild would make and that are not in the table.
    pub missing: u64,
    /// Rows of the table that a rebuild would not make.
    pub extra: u64,
    /// Rows of the table whose key is there once already.
    pub doubled: u64,
}

/// What a table took from one partition, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionLedger {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// What the log holds.
    pub log: LogRange,
    /// Whether the topic was deleted: the log has nothing of it, and the table keeps what it took.
    pub deleted: bool,
    /// The first offset that the table took.
    pub start: i64,
    /// The next offset that the table takes: it has taken every offset from `start` up to it.
    pub position: i64,
    /// Records that became rows.
    pub rows: u64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Records whose key and content were there already.
    pub duplicates: u64,
    /// Records whose key was there already, with other content.
    pub conflicts: u64,
    /// Records of a shared topic that belong to another table.
    pub elsewhere: u64,
    /// Offsets that are no record to take: transaction markers, records of aborted transactions, and what compaction removed.
    pub without_record: u64,
    /// Records in the archive.
    pub archived: u64,
    /// Records that the table has passed and that are nowhere.
    pub lost: u64,
    /// Records that are counted more than once.
    pub doubled: u64,
}

/// A half-open range of offsets: `end` is the offset that the next record gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRange {
    /// The first offset that the log keeps.
    pub start: i64,
    /// The first offset after the last record.
    pub end: i64,
}

impl From<OffsetRange> for LogRange {
    fn from(range: OffsetRange) -> Self {
        Self { start: range.start.0, end: range.end.0 }
    }
}

impl PartitionLedger {
    /// Offsets of which it is known what became of them.
    pub fn accounted(&self) -> u64 {
        self.rows + self.quarantined + self.duplicates + self.conflicts + self.elsewhere + self.without_record
    }

    /// Offsets in the log that the table has not taken yet. They are no gap: they come with the next commit, or when their transaction ends.
    pub fn pending(&self) -> u64 {
        u64::try_from(self.log.end - self.position).unwrap_or(0)
    }

    /// Whether each offset that the table took became exactly one thing, and the log does not end before the position.
    pub fn closes(&self) -> bool {
        u64::try_from(self.position - self.start) == Ok(self.accounted())
            && self.position <= self.log.end
            && self.lost == 0
            && self.doubled == 0
    }

    /// The same account with `lost` or `doubled` set to what the counts say: each offset counts once, so their difference is a number
    /// of records.
    #[must_use]
    pub fn balanced(mut self) -> Self {
        let (taken, accounted) = (u64::try_from(self.position - self.start).unwrap_or(0), self.accounted());
        self.lost = self.lost.max(taken.saturating_sub(accounted));
        self.doubled = self.doubled.max(accounted.saturating_sub(taken));
        self
    }
}

impl TableLedger {
    /// A table's account, which closes when each of its partitions' does and a rebuild would make the same rows.
    pub fn of(table: impl Into<String>, partitions: Vec<PartitionLedger>, comparison: Option<RebuildComparison>) -> Self {
        let conflicts = partitions.iter().map(|partition| partition.conflicts).sum();
        let agree = comparison.is_none_or(|comparison| comparison.agrees(conflicts));
        Self { table: table.into(), closed: agree && partitions.iter().all(PartitionLedger::closes), partitions, comparison }
    }
}

impl RebuildComparison {
    /// Whether both sides are the same but for keys that came with several contents, of which there are `conflicts`.
    pub fn agrees(&self, conflicts: u64) -> bool {
        self.missing == 0 && self.extra == 0 && self.doubled == 0 && self.differing <= conflicts
    }
}

impl Ledger {
    /// All accounts, which close when each table's does.
    pub fn of(tables: Vec<TableLedger>, deep: bool) -> Self {
        Self { deep, closed: tables.iter().all(|table| table.closed), tables }
    }
}
