//! The ledger: for each source partition of each table, what the log gave and what became of it; from the commits' own word, or
//! counted again in the tables and the archive.

use std::collections::BTreeMap;

use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use pinlake_core::{ErrorKind, OffsetRange, Result, TopicName, TopicPartition};

use super::Lake;
use super::compare::{Comparison, Proof};
use crate::live::TableView;
use crate::sql::parameters::Parameters;
use crate::sql::query::{self, NamedTable, Query};
use crate::stream::Standing;

/// A table's accounts, a line a source partition.
#[derive(Debug, Clone)]
pub struct TableAccount {
    /// The table.
    pub table: String,
    /// Its accounts.
    pub accounts: Vec<Account>,
    /// The table beside its rebuild; `None` where the commits were believed.
    pub comparison: Option<Comparison>,
}

/// One line of the ledger.
#[derive(Debug, Clone)]
pub struct Account {
    /// The source partition.
    pub of: TopicPartition,
    /// What the log holds.
    pub log: OffsetRange,
    /// Whether the log has the partition no more: its topic was deleted, and the table keeps what it took.
    pub deleted: bool,
    /// Where the table stands and what it counted.
    pub standing: Standing,
    /// Records that the archive holds: read again, or as its manifest says.
    pub archived: u64,
    /// Records that the manifest says it holds.
    pub archive_stated: u64,
    /// By how many records archive and table differ in what they took, where they took the same offsets.
    pub disputed: u64,
    /// Rows and quarantined records that were found by counting; `None` where the commits were believed.
    pub found: Option<(u64, u64)>,
}

impl Lake {
    /// The ledger as of the last commits; `deep` counts rows and quarantined records again, reads the archive and compares
    /// the table with what a rebuild would make of it.
    pub async fn ledger(&self, deep: bool) -> Result<Vec<TableAccount>> {
        let mut tables = Vec::new();
        for (index, spec) in self.pipeline.tables.iter().enumerate() {
            let table = spec.name.clone();
            tables.push(if deep { self.counted_again(index, table).await? } else { self.as_committed(index, table).await? });
        }
        Ok(tables)
    }

    async fn as_committed(&self, index: usize, table: String) -> Result<TableAccount> {
        let mut archived: BTreeMap<TopicPartition, u64> = BTreeMap::new();
        for entry in self.archive.entries().await? {
            *archived.entry(entry.of).or_default() += entry.records;
        }
        let mut accounts = Vec::new();
        for (of, standing) in self.tables[index].status().committed {
            let (log, deleted) = self.range_beside(&of, &standing).await?;
            let archived = archived.get(&of).copied().unwrap_or_default();
            accounts.push(Account { of, log, deleted, standing, archived, archive_stated: archived, disputed: 0, found: None });
        }
        Ok(TableAccount { table, accounts, comparison: None })
    }

    async fn counted_again(&self, index: usize, table: String) -> Result<TableAccount> {
        let Proof { comparison, archived, committed } = self.compare(index).await?;
        let (rows, quarantined) = (self.count(committed.rows).await?, self.count(committed.quarantine).await?);
        let mut accounts = Vec::new();
        for (of, standing) in committed.status.committed {
            let (log, deleted) = self.range_beside(&of, &standing).await?;
            let (archived, held) = archived.get(&of).copied().unwrap_or_default();
            let is_same_range = (held.first, held.next) == (standing.start, standing.position);
            let disputed = if is_same_range { held.records.abs_diff(standing.counts.total()) } else { 0 };
            let count_of = |counts: &BTreeMap<TopicPartition, u64>| counts.get(&of).copied().unwrap_or_default();
            let found = Some((count_of(&rows), count_of(&quarantined)));
            accounts.push(Account { of, log, deleted, standing, archived, archive_stated: held.records, disputed, found });
        }
        Ok(TableAccount { table, accounts, comparison: Some(comparison) })
    }

    /// What the log holds; of a deleted topic nothing, behind what the table took. A damaged partition has lost its records.
    async fn range_beside(&self, of: &TopicPartition, standing: &Standing) -> Result<(OffsetRange, bool)> {
        match self.log.range(of).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok((OffsetRange { start: standing.position, end: standing.position }, true))
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok((OffsetRange::default(), false)),
            range => Ok((range?, false)),
        }
    }

    /// Rows by source partition.
    async fn count(&self, view: TableView) -> Result<BTreeMap<TopicPartition, u64>> {
        let sql = "SELECT arrow_cast(_topic, 'Utf8View') AS topic, _partition, count(*) AS n FROM counted GROUP BY 1, 2";
        let tables = vec![NamedTable::of(("public".to_owned(), "counted".to_owned()), view)];
        let store = self.store.clone();
        let query = Query {
            sql: sql.to_owned(),
            tables,
            questions: Vec::new(),
            parameters: Parameters::new(),
            store,
            rows_max: usize::MAX,
        };
        let counted = query::run(query, self.limits, ()).await?;
        let mut counts = BTreeMap::new();
        for batch in &counted.batches {
            let (topics, partitions) = (batch.column(0).as_string_view(), batch.column(1).as_primitive::<Int32Type>());
            let numbers = batch.column(2).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let of = TopicName::new(topics.value(row))?.partition(partitions.value(row).cast_unsigned());
                counts.insert(of, numbers.value(row).cast_unsigned());
            }
        }
        Ok(counts)
    }
}
