//! One query: the tables it names, its limits, its answer.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemorySchemaProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use pinlake_core::pipeline::Question;
use pinlake_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::depth::STACK_BYTES;
use super::interrupt;
use super::parameters::{self, Parameters};
use crate::error;
use crate::live::{TableView, register_store};
use crate::store::Store;

/// What one query may take.
#[derive(Debug, Clone, Copy)]
pub struct QueryLimits {
    /// Memory of its joins, groups and sorts, bytes.
    pub memory_bytes: usize,
    /// How long it may run.
    pub time: Duration,
}

impl Default for QueryLimits {
    /// 512 MiB and a minute.
    fn default() -> Self {
        Self { memory_bytes: 512 << 20, time: Duration::from_secs(60) }
    }
}

/// A query's answer.
#[derive(Debug)]
pub struct QueryResult {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// Whether rows were left out.
    pub truncated: bool,
    /// Version and uncommitted rows of every table that was read.
    pub snapshot: BTreeMap<String, (u64, usize)>,
}

/// A table name as SQL gives it: schema (`public` if none) and name.
pub type TableName = (String, String);

/// A table that a query may read.
#[derive(Debug, Clone)]
pub struct NamedTable {
    /// Its name.
    pub name: TableName,
    /// Its rows.
    pub rows: Arc<dyn TableProvider>,
    /// Version and uncommitted rows, for a table that has versions.
    pub snapshot: Option<(u64, usize)>,
}

impl NamedTable {
    /// A view under that name.
    pub fn of(name: TableName, view: TableView) -> NamedTable {
        NamedTable { name, snapshot: Some((view.version, view.tail_rows())), rows: Arc::new(view) }
    }
}

/// The tables and questions that `sql` names.
///
/// # Errors
/// `Invalid` when it does not parse, is too deep, is more than one statement or does not only read.
pub fn tables_of(sql: &str) -> Result<Vec<TableName>> {
    super::depth::check(sql)?;
    let context = SessionContext::new_with_config(super::config());
    let state = context.state();
    let failed = |e| error::query("reading the SQL", e);
    let dialect = state.config().options().sql_parser.dialect;
    let statement = state.sql_to_statement(sql, &dialect).map_err(failed)?;
    super::check_reads(&statement)?;
    let references = state.resolve_table_references(&statement).map_err(failed)?;
    let name = |reference: &TableReference| (reference.schema().unwrap_or("public").to_owned(), reference.table().to_owned());
    let tables = references.iter().filter(|reference| !state.table_functions().contains_key(reference.table()));
    Ok(tables.map(name).collect())
}

/// A query with all that it reads.
#[derive(Debug)]
pub struct Query {
    /// One statement.
    pub sql: String,
    /// The tables it names.
    pub tables: Vec<NamedTable>,
    /// Questions that it names as views over them.
    pub questions: Vec<Question>,
    /// The values of the names that it or a question leaves open.
    pub parameters: Parameters,
    /// Where the tables' files lie.
    pub store: Store,
    /// Rows of the answer at most.
    pub rows_max: usize,
}

/// Runs `query` on threads of its own, because neither planning nor every operator gives way: nothing else waits for them. `held` is
/// let go when it is really over, which may be after the answer that it took too long. A caller who goes away stops it.
///
/// # Errors
/// `Invalid` for SQL that is wrong, that writes or that takes more than `limits` allow: the same again would end the same.
pub async fn run(query: Query, limits: QueryLimits, held: impl Send + 'static) -> Result<QueryResult> {
    let rows_max = query.rows_max;
    on_threads(query, limits, held, move |started| started.keep(rows_max)).await
}

/// Runs `query` as [`run`] does, and hands its answer on while it comes.
///
/// # Errors
/// As [`run`]; `Invalid` when the answer has more rows than it may, `Retry` when nobody takes it any more.
pub(crate) async fn stream(query: Query, limits: QueryLimits, into: mpsc::Sender<Part>, held: impl Send + 'static) -> Result<()> {
    let rows_max = query.rows_max;
    on_threads(query, limits, held, move |started| started.hand_on(into, rows_max)).await
}

/// What [`stream`] hands on: the columns, rows, and the end if it went well.
#[derive(Debug)]
pub(crate) enum Part {
    /// The answer's columns.
    Columns(SchemaRef),
    /// Some of its rows.
    Rows(RecordBatch),
    /// All rows have been handed on.
    End,
}

async fn on_threads<T, F>(
    query: Query,
    limits: QueryLimits,
    held: impl Send + 'static,
    take: impl FnOnce(Started) -> F + Send + 'static,
) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send,
{
    let stopped = CancellationToken::new();
    let _stop = stopped.clone().drop_guard();
    let query = Query { store: query.store.served_by(Handle::current()), ..query };
    let work = move || {
        let _held = held;
        let threads = runtime()?;
        // On a thread with the large stack.
        let answered = threads.spawn(async move {
            let answer = async { take(query.start(limits, &stopped).await?).await };
            stopped.run_until_cancelled(answer).await
        });
        // Only a panic ends it otherwise.
        let gave_up = |_| Error::invalid("the query engine gave up on this query: write it another way");
        let answered = threads.block_on(answered).map_err(gave_up)?;
        answered.unwrap_or_else(|| Err(Error::internal("the query was stopped")))
    };
    let late = |_| {
        let seconds = limits.time.as_secs();
        Error::invalid(format!("the query took longer than {seconds} s: ask for less, or raise query.time_max"))
    };
    let ended = tokio::time::timeout(limits.time, tokio::task::spawn_blocking(work)).await.map_err(late)?;
    ended.map_err(|e| Error::internal("the query was cut short").with_source(e))?
}

/// A query's threads. When it is dropped, it waits for them.
fn runtime() -> Result<Runtime> {
    let failed = |e| Error::internal("starting a query's threads").with_source(e);
    Builder::new_multi_thread().enable_all().thread_name("pinlake-query").thread_stack_size(STACK_BYTES).build().map_err(failed)
}

impl Query {
    async fn start(self, limits: QueryLimits, stopped: &CancellationToken) -> Result<Started> {
        let pool = Arc::new(FairSpillPool::new(limits.memory_bytes));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().map_err(failed)?;
        let context = SessionContext::new_with_config_rt(super::config(), runtime);
        super::register_functions(&context);
        without_unbounded_functions(&context);
        register_store(&context, &self.store);
        let mut snapshot = BTreeMap::new();
        for NamedTable { name: (schema, name), rows, snapshot: seen } in self.tables {
            let shown = if schema == "public" { name.clone() } else { format!("{schema}.{name}") };
            snapshot.extend(seen.map(|seen| (shown, seen)));
            make_schema(&context, &schema)?;
            context.register_table(TableReference::partial(schema, name), rows).map_err(failed)?;
        }
        for question in self.questions {
            make_schema(&context, "question")?;
            let view = context.sql(&question.sql).await.map_err(failed)?;
            let view = parameters::bind(view, &self.parameters, failed)?;
            context.register_table(TableReference::partial("question", question.name), view.into_view()).map_err(failed)?;
        }
        let frame = context.sql_with_options(&self.sql, super::read_only()).await.map_err(failed)?;
        let frame = parameters::bind(frame, &self.parameters, failed)?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let (state, plan) = frame.into_parts();
        let plan = interrupt::plan(&state, &plan, stopped).await.map_err(failed)?;
        let rows = execute_stream(plan, state.task_ctx()).map_err(failed)?;
        Ok(Started { schema, rows, snapshot })
    }
}

/// A query whose answer begins to come.
struct Started {
    schema: SchemaRef,
    rows: SendableRecordBatchStream,
    snapshot: BTreeMap<String, (u64, usize)>,
}

impl Started {
    /// Keeps its first rows.
    async fn keep(mut self, rows_max: usize) -> Result<QueryResult> {
        let (mut batches, mut left, mut truncated) = (Vec::new(), rows_max, false);
        while let Some(batch) = self.rows.next().await {
            let batch = batch.map_err(failed)?;
            if batch.num_rows() > left {
                truncated = true;
                batches.push(batch.slice(0, left));
                break;
            }
            left -= batch.num_rows();
            batches.push(batch);
        }
        Ok(QueryResult { schema: self.schema, batches, truncated, snapshot: self.snapshot })
    }

    /// Hands all rows on, as fast as they are taken.
    async fn hand_on(mut self, into: mpsc::Sender<Part>, rows_max: usize) -> Result<()> {
        let gone = |_| Error::retry("nobody takes the answer any more");
        into.send(Part::Columns(self.schema)).await.map_err(gone)?;
        let mut left = rows_max;
        while let Some(batch) = self.rows.next().await {
            let batch = batch.map_err(failed)?;
            left = left.checked_sub(batch.num_rows()).ok_or_else(|| {
                Error::invalid(format!("the answer has more than {rows_max} rows: ask for less, or for a shorter interval"))
            })?;
            into.send(Part::Rows(batch)).await.map_err(gone)?;
        }
        into.send(Part::End).await.map_err(gone)
    }
}

fn failed(error: DataFusionError) -> Error {
    if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) {
        return Error::invalid("the query takes more memory than it may: ask for less, or raise query.memory_max")
            .with_source(error.strip_backtrace());
    }
    if let Some(name) = unbounded_function(&error.to_string()) {
        return Error::invalid(format!("queries have no function {name}: its result can be as large as a number says"));
    }
    let error = error::query("running the query", error);
    match error.kind() {
        // What the engine did not expect, it meets again.
        ErrorKind::Internal => Error::invalid("the query engine can't run this query: write it another way").with_source(error),
        _ => error,
    }
}

/// Functions whose result is as large as a number in the query says: no memory limit sees what they allocate.
const UNBOUNDED_FUNCTIONS: [&str; 7] = ["repeat", "lpad", "rpad", "range", "generate_series", "array_repeat", "array_resize"];

/// Takes them out, with their other names.
fn without_unbounded_functions(context: &SessionContext) {
    for name in UNBOUNDED_FUNCTIONS {
        context.deregister_udf(name);
    }
}

/// The function of those that the engine misses, by its words.
fn unbounded_function(error: &str) -> Option<&str> {
    let name = error.split_once("Invalid function '")?.1.split('\'').next()?;
    UNBOUNDED_FUNCTIONS.contains(&name.replacen("list_", "array_", 1).as_str()).then_some(name)
}

fn make_schema(context: &SessionContext, name: &str) -> Result<()> {
    let catalog = context.catalog("datafusion").ok_or_else(|| Error::internal("the session has no catalog"))?;
    if catalog.schema(name).is_none() {
        catalog.register_schema(name, Arc::new(MemorySchemaProvider::new())).map_err(|e| error::query("naming tables", e))?;
    }
    Ok(())
}
