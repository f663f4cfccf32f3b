//! What the API asks, answered by log and lake.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pinlake_core::batch::Marker;
use pinlake_core::pipeline::{Question, Routed};
use pinlake_core::{
    Batch, Error, ErrorKind, Log, Offset, OffsetRange, ReadLimit, Result, TopicDescription, TopicName, TopicPartition, TopicSpec,
};
use pinlake_ingest::groups::Groups;
use pinlake_ingest::groups::calls::GroupLag;
use pinlake_lake::follow::Committal;
use pinlake_lake::lake::{Archived, Lake, TableAccount};
use pinlake_lake::records::Unpacked;
use pinlake_lake::sql::encode;
use pinlake_lake::stream::Standing;
use pinlake_web::answers::{
    ArchiveTrace, Column, Commit, Flushed, FlushedTable, GroupPosition, Ledger, LogRecord, OffsetKind, Outcome, Part,
    PartitionLedger, Payload, Quarantine, QuarantinedRecord, QuestionSummary, Readiness, RebuildComparison, Rebuilt, TableDetail,
    TableLedger, TablePosition, TableSummary, TableTrace, Topic, Trace,
};
use pinlake_web::console::{Console, Format, Query, QueryAnswer, QueryRequest, Rebuild, RecordsRequest};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::server_log::ServerLog;

/// The newest commits that a table's description shows.
const COMMITS_MAX: usize = 20;

/// The API's view of the server.
pub(crate) struct AppConsole {
    log: Arc<dyn Log>,
    server_log: ServerLog,
    lake: Arc<Lake>,
    groups: Groups,
    topic_defaults: TopicSpec,
}

impl AppConsole {
    /// `log` is the one that clients see of `server_log`.
    pub(crate) fn new(
        log: Arc<dyn Log>,
        server_log: ServerLog,
        lake: Arc<Lake>,
        groups: Groups,
        topic_defaults: TopicSpec,
    ) -> Self {
        Self { log, server_log, lake, groups, topic_defaults }
    }

    async fn describe(&self, topic: TopicDescription, lags: &[GroupLag]) -> Result<Topic> {
        let mut ranges = Vec::new();
        for partition in 0..topic.spec.partitions {
            let range = self.log.range(&topic.name.partition(partition)).await;
            // A damaged partition holds nothing that can be read; readiness says what is wrong with it.
            let damaged = range.as_ref().is_err_and(|error| error.kind() == ErrorKind::Corrupt);
            ranges.push(if damaged { OffsetRange::default() } else { range? });
        }
        let pipeline = self.lake.pipeline();
        let tables = pipeline.tables.iter().filter(|table| table.topics.follows(&topic.name)).map(|table| table.name.clone());
        let tables = tables.collect();
        let position = |lag: &GroupLag| GroupPosition {
            group: lag.group.to_string(),
            partition: lag.of.partition.0,
            committed: lag.committed.0,
            lag: lag.records(),
        };
        let groups = lags.iter().filter(|lag| lag.of.topic == topic.name).map(position).collect();
        Ok(Topic::of(topic, &ranges, tables, groups))
    }

    /// The rows of a query as JSON objects.
    async fn rows(&self, sql: &str) -> Result<Vec<Map<String, Value>>> {
        let result = self.lake.query(sql, 1000).await?;
        let mut rows = Vec::new();
        for batch in &result.batches {
            let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
            rows.extend(
                encode::rows_of(batch)?.into_iter().map(|values| names.iter().cloned().zip(values).collect::<Map<_, _>>()),
            );
        }
        Ok(rows)
    }

    fn summary(&self, index: usize) -> TableSummary {
        let status = &self.lake.status()[index];
        let sum = |of: fn(&Standing) -> u64| status.committed.values().map(of).sum();
        TableSummary {
            name: self.lake.pipeline().tables[index].name.clone(),
            version: i64::try_from(status.version).unwrap_or(i64::MAX),
            rows: sum(|standing| standing.counts.rows),
            quarantined: sum(|standing| standing.counts.quarantined),
            tail_records: status.pending_rows,
            files: status.files as u64,
            bytes: status.bytes,
            committed_at_ms: status.committed_at.map(|at| at.0),
            problem: status.failed.as_ref().map(ToString::to_string),
        }
    }

    /// What stands at an offset, as the log has it; as the archive has it where the log let it go.
    async fn place(&self, of: &TopicPartition, offset: Offset) -> Result<Place> {
        let batches = self.log.read(of, offset, ReadLimit { bytes: 1 }, Duration::ZERO).await.unwrap_or_default();
        let Some(batch) = batches.into_iter().next() else {
            let archived = self.lake.archived_in(of, offset).await?;
            let kind = if archived == Some(Archived::WithoutRecord) { OffsetKind::Nothing } else { OffsetKind::Record };
            return Ok(Place { kind, batch: None });
        };
        let unpacked = Unpacked::of(&batch);
        let kind = match batch.ends_transaction() {
            // The first one behind what compaction removed.
            _ if batch.base_offset() > offset => OffsetKind::Nothing,
            Some(Marker::Commit) => OffsetKind::CommitMarker,
            Some(Marker::Abort) => OffsetKind::AbortMarker,
            None if batch.is_transactional() && offset >= self.log.stable_end(of).await? => OffsetKind::Undecided,
            None if batch.is_transactional() && self.is_hidden(of, offset).await? => OffsetKind::Aborted,
            None if unpacked.problem().is_some() => OffsetKind::Unreadable,
            None if unpacked.records().any(|record| record.offset == offset) => OffsetKind::Record,
            None => OffsetKind::Nothing,
        };
        Ok(Place { kind, batch: Some(batch) })
    }

    /// Whether a decided batch of a transaction is none that readers of committed records see.
    async fn is_hidden(&self, of: &TopicPartition, offset: Offset) -> Result<bool> {
        let decided = self.log.read_committed(of, offset, ReadLimit { bytes: 1 }, Duration::ZERO).await?.visible();
        Ok(decided.first().is_some_and(|batch| batch.record_count() == 0))
    }

    async fn table_trace(&self, index: usize, of: &TopicPartition, offset: Offset, place: &Place) -> Result<Outcome> {
        let name = &self.lake.pipeline().tables[index].name;
        let there = format!("_topic = '{}' AND _partition = {} AND _offset = {offset}", of.topic, of.partition);
        if let Some(row) = self.rows(&format!("SELECT * FROM \"{name}\" WHERE {there}")).await?.pop() {
            let version = i64::try_from(self.lake.status()[index].version).ok();
            return Ok(Outcome::Row { version, row });
        }
        let position = self.lake.status()[index].committed.get(of).map_or(0, |standing| standing.position.0);
        if offset.0 >= position {
            return Ok(Outcome::Pending { position });
        }
        let quarantined = self.rows(&format!("SELECT reason FROM quarantine.\"{name}\" WHERE {there}")).await?.pop();
        if let Some(reason) = quarantined.and_then(|row| row.get("reason")?.as_str().map(str::to_owned)) {
            return Ok(Outcome::Quarantined { reason });
        }
        if !matches!(place.kind, OffsetKind::Record | OffsetKind::Unreadable) {
            return Ok(Outcome::WithoutRecord);
        }
        let unpacked = place.batch.as_ref().map(Unpacked::of);
        let record = unpacked.as_ref().and_then(|batch| batch.records().find(|record| record.offset == offset));
        // The log let it go: the table had taken it by then, and what became neither row nor quarantine was there already.
        let Some(record) = record else { return Ok(Outcome::Duplicate) };
        let route = self.lake.pipeline().route(index, &of.topic);
        if route.is_some_and(|route| route.of(record.key) == Routed::Elsewhere) {
            return Ok(Outcome::Elsewhere);
        }
        let kept = self.lake.table(name)?.find(record.value.unwrap_or_default().to_vec()).await?;
        Ok(match kept {
            Some(true) => Outcome::Duplicate,
            Some(false) => Outcome::Conflict,
            None => Outcome::Lost,
        })
    }
}

/// What stands at an offset.
struct Place {
    kind: OffsetKind,
    /// The log's batch that holds it, or the next one behind it.
    batch: Option<Batch>,
}

#[async_trait]
impl Console for AppConsole {
    async fn query(&self, request: QueryRequest) -> Result<QueryAnswer> {
        let begun = Instant::now();
        let sql = match &request.query {
            Query::Sql(sql) => sql,
            Query::Question(name) => &self.lake.question(name)?.sql,
        };
        let chosen = self.lake.pipeline().choose(request.choices.iter().map(String::as_str))?;
        let result = self.lake.query_choosing(sql, chosen, usize::try_from(request.rows_max).unwrap_or(usize::MAX)).await?;
        let (truncated, format) = (result.truncated, request.format);
        // Up to a million rows: nothing else waits for that.
        let encode = move || match format {
            Format::Json => encode::json(&result, elapsed_ms(begun)),
            Format::Csv => encode::csv(&result),
            Format::Arrow => encode::arrow_stream(&result),
        };
        // Only a panic ends it otherwise, and values that the encoder does not take are the query's.
        let gave_up = |_| Error::invalid("the answer has a value that can't be shown: cast it, or leave it out");
        let body = tokio::task::spawn_blocking(encode).await.map_err(gave_up)??;
        Ok(QueryAnswer { body: body.into(), truncated })
    }

    async fn questions(&self) -> Result<Vec<QuestionSummary>> {
        let pipeline = self.lake.pipeline();
        let summary = |question: &Question| QuestionSummary {
            name: question.name.clone(),
            description: question.description.clone(),
            sql: question.sql.clone(),
            choices: pipeline.choices_of(question).map(ToString::to_string).collect(),
        };
        Ok(pipeline.questions.iter().map(summary).collect())
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        self.server_log.reach().await?;
        let (mut topics, lags) = (Vec::new(), self.groups.lag().await);
        for topic in self.log.topics().await? {
            topics.push(self.describe(topic, &lags).await?);
        }
        Ok(topics)
    }

    async fn topic(&self, name: &TopicName) -> Result<Topic> {
        self.describe(self.log.topic(name).await?, &self.groups.lag().await).await
    }

    async fn create_topic(&self, name: &TopicName, spec: TopicSpec) -> Result<()> {
        self.log.create_topic(name, spec).await
    }

    fn topic_defaults(&self) -> TopicSpec {
        self.topic_defaults.clone()
    }

    async fn delete_topic(&self, name: &TopicName) -> Result<()> {
        self.log.delete_topic(name).await
    }

    async fn records(&self, request: RecordsRequest) -> Result<(Vec<LogRecord>, Offset)> {
        let limit = ReadLimit { bytes: request.bytes_max };
        let batches = self.log.read_committed(&request.from, request.offset, limit, request.wait).await?.visible();
        // They may unpack to many times as much.
        let found = tokio::task::spawn_blocking(move || records_of(&batches, &request)).await;
        found.map_err(|e| Error::internal("reading records stopped").with_source(e))?
    }

    async fn tables(&self) -> Result<Vec<TableSummary>> {
        Ok((0..self.lake.pipeline().tables.len()).map(|index| self.summary(index)).collect())
    }

    async fn table(&self, name: &str) -> Result<TableDetail> {
        let follower = self.lake.table(name)?;
        let pipeline = self.lake.pipeline();
        let index = pipeline.tables.iter().position(|table| table.name == name).expect("the table was just found");
        let column = |field: &std::sync::Arc<_>| column_of(field);
        let standing = |(of, standing): (&TopicPartition, &Standing)| TablePosition {
            topic: of.topic.clone(),
            partition: of.partition.0,
            position: standing.position.0,
        };
        Ok(TableDetail {
            summary: self.summary(index),
            location: format!("{}tables/{name}", self.lake.store().url()),
            columns: follower.recipe.schema().fields().iter().map(column).collect(),
            key: pipeline.tables[index].key.clone(),
            clean_sql: pipeline.tables[index].clean_sql.clone(),
            positions: follower.status().committed.iter().map(standing).collect(),
            commits: follower.commits(COMMITS_MAX).await?.into_iter().map(commit_of).collect(),
        })
    }

    async fn rebuild(&self, which: Rebuild) -> Result<Vec<Rebuilt>> {
        let names: Vec<String> = match which {
            Rebuild::All => self.lake.pipeline().tables.iter().map(|table| table.name.clone()).collect(),
            Rebuild::Table(name) => vec![name],
        };
        let lake = self.lake.clone();
        // Goes on when the caller goes away.
        let work = tokio::spawn(async move {
            let mut rebuilt = Vec::new();
            for name in names {
                let begun = Instant::now();
                let done = lake.rebuild(&name).await?;
                rebuilt.push(Rebuilt {
                    table: done.table,
                    version: i64::try_from(done.version).unwrap_or(i64::MAX),
                    records: done.counts.total(),
                    rows: done.counts.rows,
                    quarantined: done.counts.quarantined,
                    duplicates: done.counts.duplicates,
                    conflicts: done.counts.conflicts,
                    elsewhere: done.counts.elsewhere,
                    elapsed_ms: elapsed_ms(begun),
                });
            }
            Ok(rebuilt)
        });
        work.await.map_err(|e| Error::internal("the rebuild stopped").with_source(e))?
    }

    async fn flush(&self) -> Result<Flushed> {
        let before = self.lake.archived_objects().await?;
        self.lake.flush().await?;
        let tables = (0..self.lake.pipeline().tables.len()).map(|index| self.summary(index));
        let tables = tables.map(|table| FlushedTable { table: table.name, version: table.version, rows: table.rows }).collect();
        Ok(Flushed { objects: self.lake.archived_objects().await?.saturating_sub(before), tables })
    }

    async fn ledger(&self, deep: bool) -> Result<Ledger> {
        let accounts = self.lake.ledger(deep).await?;
        Ok(Ledger::of(accounts.into_iter().map(table_ledger).collect(), deep))
    }

    async fn quarantine(&self, table: &str, limit: usize) -> Result<Quarantine> {
        self.lake.table(table)?;
        let total = self.rows(&format!("SELECT count(*) AS n FROM quarantine.\"{table}\"")).await?;
        let total = total.first().and_then(|row| row.get("n")?.as_u64()).unwrap_or_default();
        let sql = format!(
            "SELECT reason, encode(raw, 'base64') AS raw, _topic, _partition, _offset, CAST(_ingested_at AS BIGINT) AS at \
             FROM quarantine.\"{table}\" ORDER BY _ingested_at DESC, _offset DESC LIMIT {limit}"
        );
        let records = self.rows(&sql).await?.iter().filter_map(quarantined).collect();
        Ok(Quarantine { table: table.to_owned(), total, records })
    }

    async fn trace(&self, of: &TopicPartition, offset: Offset) -> Result<Trace> {
        let range: OffsetRange = self.log.range(of).await?;
        if offset >= range.end || offset.0 < 0 {
            return Err(Error::not_found(format!("offset {offset} of {of} was never written: the next is {}", range.end)));
        }
        let place = self.place(of, offset).await?;
        // A batch that can't be read stands for all of its records.
        let whole = place.batch.as_ref().filter(|_| place.kind == OffsetKind::Unreadable);
        let taken_at = whole.map_or(offset, Batch::base_offset);
        let archive = match self.lake.archived_in(of, taken_at).await? {
            Some(Archived::Record(entry)) => {
                entry.object.map(|object| ArchiveTrace { object, start: entry.first.0, end: entry.next.0 })
            }
            Some(Archived::WithoutRecord) | None => None,
        };
        let mut tables = Vec::new();
        for index in 0..self.lake.pipeline().tables.len() {
            if self.lake.pipeline().route(index, &of.topic).is_some() {
                let table = self.lake.pipeline().tables[index].name.clone();
                tables.push(TableTrace { table, outcome: self.table_trace(index, of, taken_at, &place).await? });
            }
        }
        Ok(Trace {
            topic: of.topic.clone(),
            partition: of.partition.0,
            offset: offset.0,
            kind: place.kind,
            in_log: range.contains(offset),
            archive,
            tables,
        })
    }

    async fn readiness(&self) -> Readiness {
        let problem = self.server_log.problem().await;
        let mut parts = vec![problem.map_or_else(|| Part::ready("log"), |problem| Part::waiting("log", problem))];
        parts.push(part("archive", self.lake.archive_status().failed));
        for (status, table) in self.lake.status().iter().zip(&self.lake.pipeline().tables) {
            parts.push(part(&format!("table {}", table.name), status.failed.clone()));
        }
        Readiness::of(parts)
    }
}

/// The records of a request in `batches`, and where to go on.
fn records_of(batches: &[Batch], request: &RecordsRequest) -> Result<(Vec<LogRecord>, Offset)> {
    let (mut found, mut bytes, mut next) = (Vec::new(), 0, request.offset);
    for batch in batches {
        let unpacked = Unpacked::of(batch);
        for record in unpacked.records().filter(|record| record.offset >= request.offset) {
            bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            if found.len() >= request.records_max || (bytes > request.bytes_max && !found.is_empty()) {
                return Ok((found, record.offset));
            }
            found.push(LogRecord::of(&record)?);
        }
        next = next.max(batch.offsets().end);
    }
    Ok((found, next))
}

/// To the microsecond.
fn elapsed_ms(begun: Instant) -> f64 {
    (begun.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

fn commit_of(commit: Committal) -> Commit {
    Commit {
        version: i64::try_from(commit.version).unwrap_or(i64::MAX),
        at_ms: commit.at.0,
        operation: commit.operation,
        rows: commit.rows,
    }
}

fn part(name: &str, failed: Option<Error>) -> Part {
    failed.map_or_else(|| Part::ready(name), |error| Part::waiting(name, error.to_string()))
}

fn column_of(field: &pinlake_lake::schema::Field) -> Column {
    Column { name: field.name().clone(), kind: encode::type_name(field.data_type()) }
}

fn table_ledger(table: TableAccount) -> TableLedger {
    let line = |account: pinlake_lake::lake::Account| {
        let counts = account.standing.counts;
        let (rows, quarantined) = account.found.unwrap_or((counts.rows, counts.quarantined));
        PartitionLedger {
            topic: account.of.topic.clone(),
            partition: account.of.partition.0,
            log: account.log.into(),
            deleted: account.deleted,
            start: account.standing.start.0,
            position: account.standing.position.0,
            rows,
            quarantined,
            duplicates: counts.duplicates,
            conflicts: counts.conflicts,
            elsewhere: counts.elsewhere,
            without_record: counts.without_record,
            archived: account.archived,
            lost: account.archive_stated.saturating_sub(account.archived).max(account.disputed),
            doubled: account.archived.saturating_sub(account.archive_stated),
        }
        .balanced()
    };
    let comparison = table.comparison.map(|found| RebuildComparison {
        rebuilt: found.rebuilt,
        same: found.same,
        differing: found.differing,
        missing: found.missing,
        extra: found.extra,
        doubled: found.doubled,
    });
    TableLedger::of(table.table, table.accounts.into_iter().map(line).collect(), comparison)
}

fn quarantined(row: &Map<String, Value>) -> Option<QuarantinedRecord> {
    use base64::Engine;
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let raw = text("raw").and_then(|raw| base64::engine::general_purpose::STANDARD_NO_PAD.decode(raw.trim_end_matches('=')).ok());
    Some(QuarantinedRecord {
        topic: TopicName::new(text("_topic")?).ok()?,
        partition: u32::try_from(row.get("_partition")?.as_i64()?).ok()?,
        offset: row.get("_offset")?.as_i64()?,
        ingested_at_ms: row.get("at").and_then(Value::as_i64).map(|micros| micros / 1000),
        reason: text("reason")?.to_owned(),
        raw: raw.as_deref().map(Payload::of),
    })
}
