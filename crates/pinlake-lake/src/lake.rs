//! The whole lake of one pipeline: archive, tables, SQL, rebuild and ledger behind one value.

mod compare;
mod ledger;
mod positions;
mod raw_view;
mod rebuild;
mod system;

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use pinlake_core::pipeline::{Chosen, Pipeline, Question};
use pinlake_core::{Clock, Error, Followers, Log, Offset, Result, TopicName, TopicPartition};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

pub use compare::Comparison;
pub use ledger::{Account, TableAccount};
pub use rebuild::Rebuilt;

use crate::archive::{Archive, ArchiveSettings, ArchiveStatus, DescribedObject, FOLLOWER, MANIFEST_DIR, ManifestEntry};
use crate::batch::QUARANTINE_DIR;
use crate::follow::{Ends, FollowSettings, Follower, Status};
use crate::live::TableView;
use crate::readers::stable_end_of;
use crate::runs;
use crate::sql::query::{self, NamedTable, Query, QueryLimits, QueryResult, TableName};
use crate::store::Store;

/// Folder of the tables within the store.
const TABLES_DIR: &str = "tables";
/// How long an end waits for archive and tables to take what is acknowledged.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);
/// Queries that run at once; the next ones wait.
const QUERIES_AT_ONCE: usize = 4;
/// Queries that may wait or run; more are refused.
const QUERIES_MAX: usize = 64;

/// What the archive has of an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archived {
    /// A record, in this object.
    Record(ManifestEntry),
    /// No record: it passed the offset over.
    WithoutRecord,
}

/// A running lake.
pub struct Lake {
    log: Arc<dyn Log>,
    pipeline: Arc<Pipeline>,
    store: Store,
    clock: Clock,
    archive: Archive,
    tables: Vec<Follower>,
    limits: QueryLimits,
    running: Arc<Semaphore>,
    accepted: Semaphore,
    ending: CancellationToken,
    rebuilding: Mutex<()>,
    proving: Mutex<()>,
}

impl Lake {
    /// Registers everybody who will follow the log, before anything of it may be dropped.
    pub fn register(pipeline: &Arc<Pipeline>, followers: &Followers) {
        let archived = pipeline.clone();
        followers.register(FOLLOWER, move |topic| archived.follows(topic));
        for (index, table) in pipeline.tables.iter().enumerate() {
            let followed = pipeline.clone();
            followers.register(&table.name, move |topic| followed.route(index, topic).is_some());
        }
    }

    /// Opens archive and tables in `store` and starts to follow `log`.
    ///
    /// # Errors
    /// What is wrong with the pipeline or the store.
    pub async fn start(
        log: Arc<dyn Log>,
        followers: &Followers,
        pipeline: Arc<Pipeline>,
        store: Store,
        clock: Clock,
        limits: QueryLimits,
    ) -> Result<Lake> {
        crate::meters::describe();
        Self::register(&pipeline, followers);
        let settings = ArchiveSettings {
            pipeline: pipeline.clone(),
            objects: store.clone(),
            manifest: store.folder(MANIFEST_DIR),
            clock: clock.clone(),
        };
        let archive = Archive::start(log.clone(), followers.clone(), settings).await?;
        let mut tables = Vec::new();
        for (index, table) in pipeline.tables.iter().enumerate() {
            let settings = FollowSettings {
                pipeline: pipeline.clone(),
                index,
                table: store.folder(TABLES_DIR).folder(&table.name),
                quarantine: store.folder(QUARANTINE_DIR).folder(&table.name),
                clock: clock.clone(),
            };
            tables.push(Follower::start(log.clone(), followers.clone(), settings).await?);
        }
        let (running, accepted) = (Arc::new(Semaphore::new(QUERIES_AT_ONCE)), Semaphore::new(QUERIES_MAX));
        Ok(Lake {
            log,
            pipeline,
            store,
            clock,
            archive,
            tables,
            limits,
            running,
            accepted,
            ending: CancellationToken::new(),
            rebuilding: Mutex::new(()),
            proving: Mutex::new(()),
        })
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// Where everything lies.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How each table is doing, in the pipeline's order.
    pub fn status(&self) -> Vec<Status> {
        self.tables.iter().map(Follower::status).collect()
    }

    /// How the archive is doing.
    pub fn archive_status(&self) -> ArchiveStatus {
        self.archive.status()
    }

    /// The running table of that name.
    pub fn table(&self, name: &str) -> Result<&Follower> {
        self.index(name).map(|index| &self.tables[index])
    }

    /// The place of the table of that name in the pipeline.
    fn index(&self, name: &str) -> Result<usize> {
        let index = self.pipeline.tables.iter().position(|table| table.name == name);
        index.ok_or_else(|| {
            let known: Vec<&str> = self.pipeline.tables.iter().map(|table| table.name.as_str()).collect();
            Error::not_found(format!("table '{name}' does not exist: there are {}", known.join(", ")))
        })
    }

    /// The question of that name.
    pub fn question(&self, name: &str) -> Result<&Question> {
        let found = self.pipeline.questions.iter().find(|question| question.name == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = self.pipeline.questions.iter().map(|question| question.name.as_str()).collect();
            Error::not_found(format!("question '{name}' does not exist: there are {}", known.join(", ")))
        })
    }

    /// Answers `sql` as [`Lake::query_choosing`] does, with the pipeline's own choices.
    ///
    /// # Errors
    /// The same.
    pub async fn query(&self, sql: &str, rows_max: usize) -> Result<QueryResult> {
        self.query_choosing(sql, self.pipeline.choose([])?, rows_max).await
    }

    /// Answers `sql` with everything that is acknowledged when it is asked, and what is `chosen` of the pipeline's choices.
    ///
    /// # Errors
    /// See [`query::run`]; `Retry` when too many queries wait, or after [`Lake::end_queries`].
    pub async fn query_choosing(&self, sql: &str, chosen: Chosen, rows_max: usize) -> Result<QueryResult> {
        let answered = self.ending.run_until_cancelled(self.answer(sql, chosen, rows_max)).await;
        answered.unwrap_or_else(|| Err(Error::retry("the server is ending: ask again when it is back")))
    }

    /// Cuts running queries short and refuses new ones.
    pub fn end_queries(&self) {
        self.ending.cancel();
    }

    async fn answer(&self, sql: &str, chosen: Chosen, rows_max: usize) -> Result<QueryResult> {
        let _accepted =
            self.accepted.try_acquire().map_err(|_| Error::retry(format!("{QUERIES_MAX} queries wait or run already")))?;
        let busy = |_| Error::retry(format!("{QUERIES_AT_ONCE} other queries run for long already: try again"));
        let running = tokio::time::timeout(self.limits.time, self.running.clone().acquire_owned()).await.map_err(busy)?;
        let running = running.map_err(|e| Error::internal("no more queries are run").with_source(e))?;
        let mut named = query::tables_of(sql)?;
        let lists = named.iter().any(|(schema, _)| schema == "information_schema")
            || sql.trim_start().to_ascii_lowercase().starts_with("show");
        let mut questions = Vec::new();
        for (_, name) in named.iter().filter(|(schema, _)| schema == "question") {
            questions.push(self.question(name)?.clone());
        }
        for question in &questions {
            named.extend(query::tables_of(&question.sql)?);
        }
        named.sort();
        named.dedup();
        let tables = futures::future::try_join_all(named.into_iter().map(|name| self.named_table(name))).await?;
        let mut tables: Vec<NamedTable> = tables.into_iter().flatten().collect();
        if lists {
            let known: Vec<TableName> = tables.iter().map(|table| table.name.clone()).collect();
            tables.extend(self.listed(&known).await?);
            tables.extend(self.listed_questions(&questions));
        }
        let query = Query { sql: sql.to_owned(), tables, questions, chosen, store: self.store.clone(), rows_max };
        query::run(query, self.limits, running).await
    }

    /// Every table that SQL can read but the `known` ones: what it is called and its columns, not what it holds.
    async fn listed(&self, known: &[TableName]) -> Result<Vec<NamedTable>> {
        let tables = ["public", "raw", "quarantine"].into_iter();
        let tables = tables.flat_map(|schema| self.pipeline.tables.iter().map(move |table| (schema, table.name.as_str())));
        let names = tables.chain(system::TABLES.map(|name| ("system", name)));
        let names = names.map(|(schema, name)| (schema.to_owned(), name.to_owned())).filter(|name| !known.contains(name));
        let table = async |name: TableName| match name.0.as_str() {
            "raw" => {
                let columns = &self.pipeline.tables[self.index(&name.1)?].schema;
                let rows = raw_view::table(&self.store, Vec::new(), columns)?;
                Ok(Some(NamedTable { name, rows: Arc::new(rows), snapshot: None }))
            }
            _ => self.named_table(name).await,
        };
        Ok(futures::future::try_join_all(names.map(table)).await?.into_iter().flatten().collect())
    }

    /// The questions but the `known` ones as mere names: a list of all must not fail for one that is wrong.
    fn listed_questions(&self, known: &[Question]) -> impl Iterator<Item = NamedTable> {
        let others = self.pipeline.questions.iter().filter(|question| known.iter().all(|known| known.name != question.name));
        others.map(|question| NamedTable {
            name: ("question".to_owned(), question.name.clone()),
            rows: Arc::new(EmptyTable::new(Arc::new(Schema::empty()))),
            snapshot: None,
        })
    }

    /// What a table name in SQL stands for; `None` for names that are not ours to know.
    async fn named_table(&self, name: TableName) -> Result<Option<NamedTable>> {
        let rows = match name.0.as_str() {
            "raw" => self.raw_table(&name.1).await?,
            "system" => self.system_table(&name.1).await?,
            // A question is a view over tables, and the engine's own tables are its own.
            "question" | "information_schema" => return Ok(None),
            _ => {
                let view = self.view(&name).await?;
                return Ok(Some(NamedTable::of(name, view)));
            }
        };
        Ok(Some(NamedTable { name, rows, snapshot: None }))
    }

    /// The records of the archive that feed a table.
    async fn raw_table(&self, name: &str) -> Result<Arc<dyn TableProvider>> {
        let index = self.index(name)?;
        let route = |topic: &TopicName| self.pipeline.route(index, topic);
        let late = |_| Error::retry("the archive's store does not answer: try again later");
        let objects = self.archive.objects(|topic| route(topic).is_some());
        let objects = tokio::time::timeout(self.limits.time, objects).await.map_err(late)??.into_iter();
        let objects = objects.filter_map(DescribedObject::raw);
        let objects = objects.filter_map(|object| route(&object.of.topic).map(|route| (object, route))).collect();
        Ok(Arc::new(raw_view::table(&self.store.served_by(Handle::current()), objects, &self.pipeline.tables[index].schema)?))
    }

    async fn view(&self, (schema, name): &TableName) -> Result<TableView> {
        match schema.as_str() {
            "public" => {
                let index =
                    self.pipeline.tables.iter().position(|table| *name == table.name || is_classic_name(name, &table.name));
                let index = index.ok_or_else(|| self.no_table(name))?;
                let ends = self.ends(Some(index)).await?;
                let late = |_| Error::retry(format!("table '{name}' is behind the log: try again, or look at /api/v1/tables"));
                tokio::time::timeout(self.limits.time, self.tables[index].view(ends)).await.map_err(late)?
            }
            "quarantine" => self.table(name)?.quarantine().await,
            _ => Err(self.no_table(&format!("{schema}.{name}"))),
        }
    }

    /// What there is instead of a table that a query names.
    fn no_table(&self, name: &str) -> Error {
        let known: Vec<&str> = self.pipeline.tables.iter().map(|table| table.name.as_str()).collect();
        Error::invalid(format!("table '{name}' does not exist: there are {}; SHOW TABLES lists all", known.join(", ")))
    }

    /// How far all partitions are decided that the table at `index`, or any table, follows: nobody waits for an open transaction.
    async fn ends(&self, index: Option<usize>) -> Result<Ends> {
        let mut ends = Ends::new();
        for topic in self.log.topics().await? {
            let followed = match index {
                Some(index) => self.pipeline.route(index, &topic.name).is_some(),
                None => self.pipeline.follows(&topic.name),
            };
            for partition in (0..topic.spec.partitions).filter(|_| followed) {
                let of = topic.name.partition(partition);
                if let Some(end) = stable_end_of(&*self.log, &of).await? {
                    ends.insert(of, end);
                }
            }
        }
        Ok(ends)
    }

    /// Has archive and tables commit everything that is acknowledged now.
    pub async fn flush(&self) -> Result<Vec<Status>> {
        self.archive.flush(self.ends(None).await?).await?;
        let mut done = Vec::new();
        for (index, table) in self.tables.iter().enumerate() {
            done.push(table.flush(self.ends(Some(index)).await?).await?);
        }
        Ok(done)
    }

    /// How many objects the archive has.
    pub async fn archived_objects(&self) -> Result<u64> {
        Ok(self.archive.entries().await?.iter().filter(|entry| entry.object.is_some()).count() as u64)
    }

    /// What the archive has of an offset; `None` while it waits to be archived.
    pub async fn archived_in(&self, of: &TopicPartition, offset: Offset) -> Result<Option<Archived>> {
        let objects = self.archive.objects(|topic| *topic == of.topic).await?;
        let Some(found) = objects.into_iter().find(|object| object.entry.of == *of && object.entry.contains(offset)) else {
            return Ok(None);
        };
        let records = usize::try_from(found.entry.records).unwrap_or(usize::MAX);
        let mut places = runs::places(found.entry.first, &found.runs).take(records);
        let is_record = places.any(|place| place.0 == offset);
        Ok(Some(if is_record { Archived::Record(found.entry) } else { Archived::WithoutRecord }))
    }

    /// Commits everything that is acknowledged and ends, tables before the archive. Records that a table or the archive is too
    /// far behind to take in [`CATCH_UP_MAX`] stay in the log, and come in after a restart.
    pub async fn stop(&self) -> Result<()> {
        match tokio::time::timeout(CATCH_UP_MAX, self.catch_up()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "ending with records that only the log holds"),
            Err(_) => tracing::warn!("ending with records that only the log holds: they come in after a restart"),
        }
        let mut done = Ok(());
        for table in &self.tables {
            done = done.and(table.stop().await);
        }
        // It goes on trying while its store fails. What it has not written, it takes from the log at the next start.
        let late = |_| Error::retry("the archive's store does not answer: what is not archived is after the next start");
        done.and(tokio::time::timeout(CATCH_UP_MAX, self.archive.stop()).await.map_err(late).flatten())
    }

    /// Flushes archive and tables side by side, each as far as it gets.
    async fn catch_up(&self) -> Result<()> {
        let ends = self.ends(None).await?;
        let tables = futures::future::join_all(self.tables.iter().map(|table| table.flush(ends.clone())));
        let (archive, tables) = futures::join!(self.archive.flush(ends.clone()), tables);
        tables.into_iter().try_for_each(|done| done.map(drop)).and(archive.map(drop))
    }
}

/// `<id>_pin_table` is what the classic scripts call the table `pin`.
fn is_classic_name(name: &str, table: &str) -> bool {
    let id = name.strip_suffix("_table").and_then(|rest| rest.strip_suffix(table)).and_then(|rest| rest.strip_suffix('_'));
    id.is_some_and(|id| !id.is_empty())
}
