//! A console that answers fixed things, remembers what it was asked and fails when it is told to.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use pinlake_core::{Error, Offset, OffsetRange, Result, TopicDescription, TopicName, TopicPartition, TopicSpec};
use pinlake_web::answers::{
    ArchiveTrace, Column, Commit, Flushed, FlushedTable, GroupPosition, Header, Ledger, LogRange, LogRecord, OffsetKind, Outcome,
    Part, PartitionLedger, Payload, Quarantine, QuarantinedRecord, QuestionSummary, Readiness, RebuildComparison, Rebuilt,
    TableDetail, TableLedger, TablePosition, TableSummary, TableTrace, Topic, Trace,
};
use pinlake_web::{Console, QueryAnswer, QueryRequest, Rebuild, RecordsRequest};
use tokio::sync::Semaphore;

/// The only topic that is there; its one partition holds offsets 100 to 300.
pub(crate) const TOPIC: &str = "emulator.pin";

#[derive(Default)]
pub(crate) struct FakeConsole {
    /// What it was asked, as debug text.
    pub(crate) asked: Mutex<Vec<String>>,
    /// What it fails with.
    pub(crate) fails: Option<Error>,
    /// What a query is answered, if not what it always is.
    pub(crate) body: Option<String>,
    /// What a query waits for.
    pub(crate) gate: Option<Arc<Semaphore>>,
    /// What is not ready.
    pub(crate) waits: Option<&'static str>,
}

impl FakeConsole {
    pub(crate) fn failing(error: Error) -> Self {
        Self { fails: Some(error), ..Self::default() }
    }

    /// What it was last asked.
    pub(crate) fn last(&self) -> String {
        self.asked.lock().unwrap().last().cloned().unwrap_or_default()
    }

    fn ask(&self, what: String) -> Result<()> {
        self.asked.lock().unwrap().push(what);
        self.fails.clone().map_or(Ok(()), Err)
    }
}

pub(crate) fn topic_name() -> TopicName {
    TopicName::new(TOPIC).unwrap()
}

fn known(name: &TopicName) -> Result<()> {
    if name.as_str() == TOPIC { Ok(()) } else { Err(Error::not_found(format!("topic '{name}' does not exist"))) }
}

fn topic() -> Topic {
    let description = TopicDescription { name: topic_name(), id: pinlake_core::TopicId::random(), spec: TopicSpec::default() };
    let group = GroupPosition { group: "g".to_owned(), partition: 0, committed: 250, lag: 50 };
    Topic::of(description, &[OffsetRange { start: Offset(100), end: Offset(300) }], vec!["pin".to_owned()], vec![group])
}

fn summary() -> TableSummary {
    TableSummary {
        name: "pin".to_owned(),
        version: 7,
        rows: 280,
        quarantined: 12,
        tail_records: 8,
        files: 2,
        bytes: 4096,
        committed_at_ms: Some(1_700_000_000_000),
        problem: None,
    }
}

/// An account that closes.
pub(crate) fn account() -> PartitionLedger {
    PartitionLedger {
        topic: topic_name(),
        partition: 0,
        log: LogRange { start: 100, end: 300 },
        deleted: false,
        start: 10,
        position: 292,
        rows: 256,
        quarantined: 12,
        duplicates: 5,
        conflicts: 2,
        elsewhere: 3,
        without_record: 4,
        archived: 288,
        lost: 0,
        doubled: 0,
    }
}

pub(crate) fn comparison() -> RebuildComparison {
    RebuildComparison { rebuilt: 260, same: 258, differing: 2, missing: 0, extra: 0, doubled: 0 }
}

#[async_trait]
impl Console for FakeConsole {
    async fn query(&self, request: QueryRequest) -> Result<QueryAnswer> {
        self.ask(format!("{request:?}"))?;
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        if let Some(body) = &self.body {
            return Ok(QueryAnswer { body: body.clone().into(), truncated: false });
        }
        let body = r#"{"columns":[{"name":"n","type":"Int64"}],"rows":[[1]],"row_count":1,"elapsed_ms":0.5,"snapshot":{"pin":{"version":7,"tail_rows":8}}}"#;
        Ok(QueryAnswer { body: Bytes::from_static(body.as_bytes()), truncated: request.rows_max == 1 })
    }

    async fn questions(&self) -> Result<Vec<QuestionSummary>> {
        self.ask("questions".to_owned())?;
        let (name, description, sql) = ("popular_category_by_country".to_owned(), "Which <b>?".to_owned(), "SELECT 1".to_owned());
        Ok(vec![QuestionSummary { name, description, sql, choices: vec!["ties=all|first".to_owned()] }])
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        self.ask("topics".to_owned())?;
        Ok(vec![topic()])
    }

    async fn topic(&self, name: &TopicName) -> Result<Topic> {
        self.ask(format!("topic {name}"))?;
        known(name).map(|()| topic())
    }

    fn topic_defaults(&self) -> TopicSpec {
        TopicSpec { retention_ms: Some(1000), ..TopicSpec::default() }
    }

    async fn create_topic(&self, name: &TopicName, spec: TopicSpec) -> Result<()> {
        self.ask(format!("create {name} {spec:?}"))
    }

    async fn delete_topic(&self, name: &TopicName) -> Result<()> {
        self.ask(format!("delete {name}"))?;
        known(name)
    }

    async fn records(&self, request: RecordsRequest) -> Result<(Vec<LogRecord>, Offset)> {
        self.ask(format!("{request:?}"))?;
        let record = |offset: i64| LogRecord {
            offset,
            timestamp_ms: 1_700_000_000_000,
            key: Some(Payload::of(&[0xFF, 0x00])),
            value: Some(Payload::of(b"{\"index\":1}")),
            headers: vec![Header { name: "from".to_owned(), value: None }],
        };
        let records: Vec<LogRecord> = (request.offset.0..300).take(request.records_max).map(record).collect();
        let next = request.offset.plus(records.len() as u64);
        Ok((records, next))
    }

    async fn tables(&self) -> Result<Vec<TableSummary>> {
        self.ask("tables".to_owned())?;
        Ok(vec![summary()])
    }

    async fn table(&self, name: &str) -> Result<TableDetail> {
        self.ask(format!("table {name}"))?;
        if name != "pin" {
            return Err(Error::not_found(format!("table '{name}' does not exist")));
        }
        Ok(TableDetail {
            summary: summary(),
            location: "file:///tmp/lake/pin".to_owned(),
            columns: vec![Column { name: "ind".to_owned(), kind: "Int64".to_owned() }],
            key: vec!["ind".to_owned()],
            clean_sql: "SELECT index AS ind FROM raw".to_owned(),
            positions: vec![TablePosition { topic: topic_name(), partition: 0, position: 292 }],
            commits: vec![Commit { version: 7, at_ms: 1_700_000_000_000, operation: "append".to_owned(), rows: Some(80) }],
        })
    }

    async fn rebuild(&self, which: Rebuild) -> Result<Vec<Rebuilt>> {
        self.ask(format!("rebuild {which:?}"))?;
        let table = "pin".to_owned();
        Ok(vec![Rebuilt {
            table,
            version: 8,
            records: 292,
            rows: 270,
            quarantined: 12,
            duplicates: 5,
            conflicts: 3,
            elsewhere: 2,
            elapsed_ms: 12.5,
        }])
    }

    async fn flush(&self) -> Result<Flushed> {
        self.ask("flush".to_owned())?;
        Ok(Flushed { objects: 1, tables: vec![FlushedTable { table: "pin".to_owned(), version: 0, rows: 0 }] })
    }

    async fn ledger(&self, deep: bool) -> Result<Ledger> {
        self.ask(format!("ledger {deep}"))?;
        Ok(Ledger::of(vec![TableLedger::of("pin", vec![account()], deep.then(comparison))], deep))
    }

    async fn quarantine(&self, table: &str, limit: usize) -> Result<Quarantine> {
        self.ask(format!("quarantine {table} {limit}"))?;
        let record = QuarantinedRecord {
            topic: topic_name(),
            partition: 0,
            offset: 120,
            ingested_at_ms: None,
            reason: "not JSON".to_owned(),
            raw: Some(Payload::of(b"{oops")),
        };
        Ok(Quarantine { table: table.to_owned(), total: 12, records: vec![record] })
    }

    async fn trace(&self, of: &TopicPartition, offset: Offset) -> Result<Trace> {
        self.ask(format!("trace {of} {offset}"))?;
        let all = [
            Outcome::Row { version: Some(7), row: serde_json::from_str("{\"ind\":1}").unwrap() },
            Outcome::Quarantined { reason: "not JSON".to_owned() },
            Outcome::WithoutRecord,
            Outcome::Duplicate,
            Outcome::Conflict,
            Outcome::Elsewhere,
            Outcome::Pending { position: 292 },
            Outcome::Lost,
        ];
        let archive = ArchiveTrace { object: "topics/x.json".to_owned(), start: 0, end: 292 };
        Ok(Trace {
            topic: of.topic.clone(),
            partition: of.partition.0,
            offset: offset.0,
            kind: OffsetKind::Record,
            in_log: true,
            archive: Some(archive),
            tables: all.into_iter().map(|outcome| TableTrace { table: "pin".to_owned(), outcome }).collect(),
        })
    }

    async fn readiness(&self) -> Readiness {
        let log = Part::ready("log");
        Readiness::of(
            self.waits.map_or_else(|| vec![log.clone()], |part| vec![log.clone(), Part::waiting(part, "the object store")]),
        )
    }
}
