//! What tasks do, done by log and lake. Each can be done again for the same run without doing harm: tables are replaced by what is the same, gold tables know
//! which run they have taken.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pinlake_core::jobs::{SqlText, Trigger, Work as Kind};
use pinlake_core::{Clock, Error, ErrorKind, Followers, Log, Result, TopicName};
use pinlake_jobs::{Condition, Done, Runner, TaskCall};
use pinlake_lake::gold::{Effect, Gold};
use pinlake_lake::lake::Lake;
use pinlake_lake::sql::encode;
use pinlake_lake::sql::parameters::{self, Parameter, Parameters};
use pinlake_lake::store::Store;
use pinlake_web::Console;
use reqwest::Client;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::conditions::{Conditions, Rules};
use super::http;
use crate::console::AppConsole;
use crate::terminal::count;

/// Rows of a query that a task shows as its output.
const ROWS_SHOWN_MAX: usize = 100;
/// Rows that a failed check shows.
const ROWS_FOUND_MAX: usize = 5;
/// How often objects are listed that start runs.
const LIST_EVERY: Duration = Duration::from_secs(10);
/// How long until a rebuild is tried again while another runs.
const WAIT_FOR_REBUILD: Duration = Duration::from_millis(500);

/// Does what tasks say.
pub(crate) struct Work {
    console: Arc<AppConsole>,
    lake: Arc<Lake>,
    log: Arc<dyn Log>,
    client: Client,
    conditions: Conditions,
    /// When the newest objects below the URLs of triggers were written, and when that was looked up.
    objects: Mutex<HashMap<String, (Instant, Option<i64>)>>,
}

impl Work {
    /// Over the parts of a server.
    pub(crate) fn new(console: Arc<AppConsole>, lake: Arc<Lake>, log: Arc<dyn Log>, rules: Rules, followers: Followers) -> Self {
        // A redirect could send a secret elsewhere.
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        let conditions = Conditions::new(rules, followers, Clock::System);
        Self { console, lake, log, client: client.unwrap_or_default(), conditions, objects: Mutex::default() }
    }

    async fn archive(&self, call: &TaskCall) -> Result<Done> {
        let flushed = self.console.flush().await?;
        for table in &flushed.tables {
            call.log.info(format!("table {}: version {}, {}", table.table, table.version, count(table.rows, "row")));
        }
        Ok(done(format!("{} archived", count(flushed.objects, "object"))))
    }

    async fn rebuild(&self, call: &TaskCall, tables: &[String]) -> Result<Done> {
        let mut records = 0;
        for table in self.tables(tables) {
            let rebuilt = loop {
                match self.lake.rebuild(&table).await {
                    Err(error) if error.kind() == ErrorKind::Conflict && !call.cancel.is_cancelled() => {
                        tokio::time::sleep(WAIT_FOR_REBUILD).await;
                    }
                    ended => break ended?,
                }
            };
            let counts = rebuilt.counts;
            records += counts.total();
            call.log.info(format!(
                "table {table}: version {}, {} of {}, {}, {} quarantined",
                rebuilt.version,
                count(counts.rows, "row"),
                count(counts.total(), "record"),
                count(counts.duplicates, "duplicate"),
                counts.quarantined,
            ));
        }
        Ok(done(format!("{} cleaned", count(records, "record"))))
    }

    async fn check(&self, call: &TaskCall, queries: &[SqlText]) -> Result<Done> {
        let mut wrong = Vec::new();
        for query in queries {
            let found = self.rows(call, &query.sql, ROWS_FOUND_MAX).await.map_err(|error| of(&query.name, &error))?;
            if found.rows.is_empty() {
                call.log.info(format!("{}: good", query.name));
                continue;
            }
            let more = if found.truncated { " and more" } else { "" };
            let text = format!("{} found {}{more}", query.name, serde_json::Value::from(found.rows));
            call.log.error(text.clone());
            wrong.push(text);
        }
        match wrong.as_slice() {
            [] => Ok(done(format!("{} good", count(queries.len(), "check")))),
            _ => Err(Error::invalid(wrong.join("; "))),
        }
    }

    async fn questions(&self, call: &TaskCall, names: &[String]) -> Result<Done> {
        let pipeline = self.lake.pipeline().clone();
        // A job may name one that its files have got since the server started.
        for name in names {
            let known = self.lake.question(name);
            known.map_err(|error| {
                Error::new(error.kind(), format!("{}; what is new in the files is known from the next start on", error.message()))
            })?;
        }
        let wanted = pipeline.questions.iter().filter(|question| names.is_empty() || names.contains(&question.name));
        let (mut answered, mut rows) = (0, 0);
        for question in wanted {
            rows += self.keep(call, &question.name, &question.sql, &format!("/{}", question.name)).await?;
            answered += 1;
        }
        Ok(done(format!("{} answered, {}", count(answered, "question"), count(rows, "row"))))
    }

    /// Keeps the answer of a query in a gold table; answers how many rows it has.
    async fn keep(&self, call: &TaskCall, name: &str, sql: &str, part: &str) -> Result<u64> {
        let effect = call.effect();
        let gold = Gold {
            name: name.to_owned(),
            sql: sql.to_owned(),
            parameters: parameters(call),
            interval: call.run.interval,
            effect: Effect { app: format!("{}{part}", effect.app), version: effect.version },
            run: call.run.id.0,
        };
        let kept = self.lake.materialise(gold).await.map_err(|error| of(name, &error))?;
        let already = if kept.already { ", which it had already" } else { "" };
        call.log.info(format!("gold.{name}: version {}, {}{already}", kept.version, count(kept.rows, "row")));
        Ok(kept.rows)
    }

    async fn sql(&self, call: &TaskCall, query: &SqlText, into: Option<&str>) -> Result<Done> {
        if let Some(name) = into {
            let rows = self.keep(call, name, &query.sql, "").await?;
            return Ok(done(format!("{} in gold.{name}", count(rows, "row"))));
        }
        let found = self.rows(call, &query.sql, ROWS_SHOWN_MAX).await?;
        let message = format!("{}{}", count(found.rows.len(), "row"), if found.truncated { " and more" } else { "" });
        Ok(Done { message, output: Some(serde_json::Value::from(found.rows).to_string()) })
    }

    async fn upkeep(&self, call: &TaskCall, tables: &[String], keep: Option<Duration>) -> Result<Done> {
        for table in self.tables(tables) {
            let text = match keep {
                None => {
                    let done = self.lake.compact(&table).await?;
                    format!("table {table}: {} files are {} now", done.files_before, done.files_after)
                }
                Some(keep) => {
                    let gone = self.lake.vacuum(&table, keep).await?;
                    format!("table {table}: {} of {} bytes deleted", count(gone.files, "file"), gone.bytes)
                }
            };
            call.log.info(text);
        }
        Ok(done(if keep.is_none() { "small files are put together" } else { "what no snapshot needs is deleted" }.to_owned()))
    }

    async fn prove(&self, call: &TaskCall, deep: bool) -> Result<Done> {
        let ledger = self.console.ledger(deep).await?;
        for table in &ledger.tables {
            let text = format!("table {}: {}", table.table, if table.closed { "closed" } else { "NOT closed" });
            if table.closed { call.log.info(text) } else { call.log.error(text) }
        }
        let open: Vec<&str> = ledger.tables.iter().filter(|table| !table.closed).map(|table| table.table.as_str()).collect();
        match open.as_slice() {
            [] => Ok(done("the ledger closes".to_owned())),
            _ => Err(Error::corrupt(format!("the ledger of {} does not close: 'pinlake prove' says where", open.join(", ")))),
        }
    }

    /// The tables that a task names; all if it names none.
    fn tables(&self, named: &[String]) -> Vec<String> {
        if named.is_empty() {
            self.lake.pipeline().tables.iter().map(|table| table.name.clone()).collect()
        } else {
            named.to_vec()
        }
    }

    async fn rows(&self, call: &TaskCall, sql: &str, rows_max: usize) -> Result<Found> {
        let result = self.lake.query_with(sql, parameters(call), rows_max).await?;
        let mut rows = Vec::new();
        for batch in &result.batches {
            let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
            let objects = encode::rows_of(batch)?.into_iter();
            rows.extend(objects.map(|row| names.iter().cloned().zip(row).collect::<serde_json::Map<_, _>>().into()));
        }
        Ok(Found { rows, truncated: result.truncated })
    }
}

/// The first rows of an answer.
struct Found {
    rows: Vec<serde_json::Value>,
    truncated: bool,
}

#[async_trait]
impl Runner for Work {
    async fn run(&self, call: TaskCall) -> Result<Done> {
        let call = &call;
        match &call.task().spec.work {
            // What only asks, or knows when it is repeated, may be dropped at any time.
            Kind::Check { .. } | Kind::Questions { .. } | Kind::Sql { .. } | Kind::Http(_) | Kind::Prove { .. } => {
                let done = call.cancel.run_until_cancelled(self.carry_out(call)).await;
                done.unwrap_or_else(|| Err(Error::retry("the task was told to end")))
            }
            _ => self.carry_out(call).await,
        }
    }

    async fn standing(&self, of: &Trigger) -> Result<i64> {
        let place = |name: &str| {
            let tables = &self.lake.pipeline().tables;
            let place = tables.iter().position(|table| table.name == name);
            place.ok_or_else(|| Error::not_found(format!("table '{name}' does not exist")))
        };
        let standing = match of {
            Trigger::Rows { table, .. } => {
                let status = &self.lake.status()[place(table)?];
                status.committed.values().map(|standing| standing.counts.rows).sum()
            }
            Trigger::Version { table } => self.lake.status()[place(table)?].version,
            Trigger::Records { topic, .. } => return self.records(&TopicName::new(topic)?).await,
            Trigger::Object { url } => return self.newest_object(url).await,
        };
        Ok(i64::try_from(standing).unwrap_or(i64::MAX))
    }

    async fn conditions(&self) -> Result<Vec<Condition>> {
        self.conditions.look(&self.console, &self.lake, &*self.log).await
    }
}

impl Work {
    async fn carry_out(&self, call: &TaskCall) -> Result<Done> {
        match &call.task().spec.work {
            Kind::Archive => self.archive(call).await,
            Kind::Rebuild { tables } => self.rebuild(call, tables).await,
            Kind::Check { queries } => self.check(call, queries).await,
            Kind::Questions { names } => self.questions(call, names).await,
            Kind::Compact { tables } => self.upkeep(call, tables, None).await,
            Kind::Vacuum { tables, keep } => self.upkeep(call, tables, Some(keep.0)).await,
            Kind::Sql { query, into } => self.sql(call, query, into.as_deref()).await,
            Kind::Http(work) => http::send(&self.client, work, &call.run, &call.log).await,
            Kind::Prove { deep } => self.prove(call, *deep).await,
            // The scheduler does these itself.
            Kind::Job { .. } | Kind::Refused { .. } => Err(Error::internal("the scheduler does this itself")),
        }
    }

    /// When the newest object below a URL was written, which is not asked each time.
    async fn newest_object(&self, url: &str) -> Result<i64> {
        let mut known = self.objects.lock().await;
        let before = known.get(url).copied();
        if let Some((_, newest)) = before.filter(|(at, _)| at.elapsed() < LIST_EVERY) {
            return newest.ok_or_else(|| Error::not_found("the last look at the objects failed"));
        }
        // A look that is cut short was one too.
        known.insert(url.to_owned(), (Instant::now(), before.and_then(|(_, newest)| newest)));
        let newest = Store::open(url)?.newest_object().await?.map_or(0, |at| at.0);
        known.insert(url.to_owned(), (Instant::now(), Some(newest)));
        Ok(newest)
    }

    async fn records(&self, topic: &TopicName) -> Result<i64> {
        let partitions = self.log.topic(topic).await?.spec.partitions;
        let mut records = 0;
        for partition in 0..partitions {
            records += self.log.range(&topic.partition(partition)).await?.end.0;
        }
        Ok(records)
    }
}

/// What `$name` stands for in a task's SQL.
fn parameters(call: &TaskCall) -> Parameters {
    let text = call.run.parameters.iter().map(|(name, value)| (name.clone(), Parameter::Text(value.clone())));
    let mut all: Parameters = text.collect();
    all.extend(parameters::of_run(call.run.interval, call.run.id.0));
    all
}

fn done(message: String) -> Done {
    Done { message, output: None }
}

/// An error with the name of what it is about. Its causes are in the words, so it has no source that would say them again.
fn of(name: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("{name}: {error}"))
}
