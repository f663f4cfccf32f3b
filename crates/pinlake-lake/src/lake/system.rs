//! `system.<name>`: what the lake knows of itself, as tables.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use pinlake_core::{Error, Result, TopicPartition};

use super::Lake;
use crate::error;
use crate::readers::range_of;

/// The tables there are.
pub(super) const TABLES: [&str; 3] = ["topics", "commits", "ledger"];
/// The newest commits of each table that `system.commits` shows.
const COMMITS_MAX: usize = 100;

impl Lake {
    /// The table of that name.
    pub(super) async fn system_table(&self, name: &str) -> Result<Arc<dyn TableProvider>> {
        let columns = match name {
            "topics" => self.topic_columns().await?,
            "commits" => self.commit_columns().await?,
            "ledger" => self.ledger_columns().await?,
            _ => {
                let known = TABLES.map(|known| format!("system.{known}")).join(", ");
                return Err(Error::not_found(format!("table 'system.{name}' does not exist: there are {known}")));
            }
        };
        let fields: Vec<Field> =
            columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let rows = RecordBatch::try_new(schema.clone(), columns).map_err(|e| error::arrow("building a system table", e))?;
        let table = MemTable::try_new(schema, vec![vec![rows]]).map_err(|e| error::query("naming a system table", e))?;
        Ok(Arc::new(table))
    }

    /// One row a partition.
    async fn topic_columns(&self) -> Result<Columns> {
        let (mut partitions, mut starts, mut ends, mut tables) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for topic in self.log.topics().await? {
            let fed = self.pipeline.tables.iter().enumerate();
            let fed = fed.filter(|(index, _)| self.pipeline.route(*index, &topic.name).is_some());
            let fed: Vec<&str> = fed.map(|(_, table)| table.name.as_str()).collect();
            for partition in 0..topic.spec.partitions {
                let of = topic.name.partition(partition);
                let range = range_of(&*self.log, &of).await?;
                starts.push(range.map(|range| range.start.0));
                ends.push(range.map(|range| range.end.0));
                tables.push(fed.join(","));
                partitions.push(of);
            }
        }
        let [topic, partition] = places(&partitions);
        Ok(vec![
            topic,
            partition,
            ("start_offset", Arc::new(Int64Array::from(starts))),
            ("end_offset", Arc::new(Int64Array::from(ends))),
            ("tables", texts(tables)),
        ])
    }

    /// One row a commit, the newest first.
    async fn commit_columns(&self) -> Result<Columns> {
        let (mut tables, mut commits) = (Vec::new(), Vec::new());
        for (spec, table) in self.pipeline.tables.iter().zip(&self.tables) {
            for commit in table.commits(COMMITS_MAX).await? {
                tables.push(spec.name.clone());
                commits.push(commit);
            }
        }
        let times = TimestampMicrosecondArray::from_iter_values(commits.iter().map(|commit| commit.at.0.saturating_mul(1000)));
        let versions = commits.iter().map(|commit| commit.version.cast_signed());
        let rows: Int64Array = commits.iter().map(|commit| commit.rows.map(u64::cast_signed)).collect();
        Ok(vec![
            ("table", texts(tables)),
            ("version", Arc::new(Int64Array::from_iter_values(versions))),
            ("committed_at", Arc::new(times.with_timezone("UTC"))),
            ("operation", texts(commits.iter().map(|commit| commit.operation.clone()).collect())),
            ("rows", Arc::new(rows)),
        ])
    }

    /// One row a table and source partition, as of the last commits.
    async fn ledger_columns(&self) -> Result<Columns> {
        let (mut tables, mut partitions) = (Vec::new(), Vec::new());
        let mut numbers: [Vec<i64>; 11] = Default::default();
        for table in self.ledger(false).await? {
            for account in table.accounts {
                let (standing, counts) = (account.standing, account.standing.counts);
                let unsigned = [
                    counts.rows,
                    counts.quarantined,
                    counts.duplicates,
                    counts.conflicts,
                    counts.elsewhere,
                    counts.without_record,
                    account.archived,
                ];
                let signed = [account.log.start.0, account.log.end.0, standing.start.0, standing.position.0];
                let all = signed.into_iter().chain(unsigned.map(u64::cast_signed));
                numbers.iter_mut().zip(all).for_each(|(column, number)| column.push(number));
                tables.push(table.table.clone());
                partitions.push(account.of);
            }
        }
        let names = [
            "log_start",
            "log_end",
            "start",
            "position",
            "rows",
            "quarantined",
            "duplicates",
            "conflicts",
            "elsewhere",
            "without_record",
            "archived",
        ];
        let [topic, partition] = places(&partitions);
        let mut columns = vec![("table", texts(tables)), topic, partition];
        let numbers = numbers.into_iter().map(|column| -> ArrayRef { Arc::new(Int64Array::from(column)) });
        columns.extend(names.into_iter().zip(numbers));
        Ok(columns)
    }
}

/// Names and columns, in order.
type Columns = Vec<(&'static str, ArrayRef)>;

fn places(partitions: &[TopicPartition]) -> [(&'static str, ArrayRef); 2] {
    let topics = StringViewArray::from_iter_values(partitions.iter().map(|of| of.topic.as_str()));
    let numbers = Int32Array::from_iter_values(partitions.iter().map(|of| of.partition.0.cast_signed()));
    [("topic", Arc::new(topics)), ("partition", Arc::new(numbers))]
}

fn texts(values: Vec<String>) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values(values))
}
