//! Gold tables: answers that are kept. Each run of a job appends its answer to a Delta table of the store, in one commit that also says which
//! run it was, so that a run that is tried again adds nothing twice.
//!
//! A gold table has no owner task: any process may append to it at any time. Nothing of it is kept from call to call but the columns that a
//! list of tables shows; whoever wants a table reads its newest snapshot.

mod columns;
mod commit;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::datasource::empty::EmptyTable;
use futures::StreamExt;
use pinlake_core::jobs::Interval;
use pinlake_core::{Clock, Error, Result};

pub(crate) use files::{Stamp, Written, write};

use crate::error;
use crate::live::TableView;
use crate::maintain::{self, Compaction, Part, files_of};
use crate::sql::parameters::Parameters;
use crate::sql::query::NamedTable;
use crate::store::Store;
use crate::table::{REMOVED_KEPT, Table, Vacuumed};

/// Folder of the gold tables within the store, and their schema in SQL.
pub const GOLD_DIR: &str = "gold";
/// Rows of one answer at most.
pub const ROWS_MAX: usize = 10_000_000;
/// Gold tables of a store at most; no more are created, and no more are listed.
pub const TABLES_MAX: usize = 1000;
/// Bytes of a table's name at most.
const NAME_BYTES_MAX: usize = 100;
/// Bytes of the name of who appends at most.
const APP_BYTES_MAX: usize = 1000;
/// Tables that a list reads the columns of at once.
const READ_AT_ONCE: usize = 8;
/// Times a compaction starts again because another process was first.
const COMPACTIONS_MAX: usize = 1000;

/// An answer to keep.
#[derive(Debug, Clone)]
pub struct Gold {
    /// The table: lower-case letters, digits and `_`, a letter first.
    pub name: String,
    /// The query.
    pub sql: String,
    /// Values of the `$name`s in it, beside `$from`, `$to` and `$run`, which come from the next fields.
    pub parameters: Parameters,
    /// The data that the run stands for: the columns `_from` and `_to`.
    pub interval: Option<Interval>,
    /// What makes it happen once.
    pub effect: Effect,
    /// The run's number: the column `_run`.
    pub run: i64,
}

/// Names an effect, so that it happens once: who has it, and a number that is larger for each that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Who, such as a job's task: an id in the table's log.
    pub app: String,
    /// Which: the table takes none that is not above the last, and says so for one that is below it.
    pub version: i64,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Materialised {
    /// The table's version that has it.
    pub version: u64,
    /// Rows that this call added.
    pub rows: u64,
    /// Whether an earlier call had done it already: nothing was added.
    pub already: bool,
}

/// The gold tables of a store.
pub(crate) struct Golds {
    store: Store,
    clock: Clock,
    /// The columns of tables as they were last read.
    known: Mutex<BTreeMap<String, SchemaRef>>,
}

impl Gold {
    /// Checks what can be checked without the table.
    ///
    /// # Errors
    /// `Invalid`.
    pub(crate) fn check(&self) -> Result<()> {
        let app = &self.effect.app;
        check_name(&self.name)?;
        match (app.is_empty(), app.len() > APP_BYTES_MAX) {
            (true, _) => Err(Error::invalid("the effect has no app: name the task that it is of")),
            (_, true) => Err(Error::invalid(format!("the effect's app has {} bytes, {APP_BYTES_MAX} are the most", app.len()))),
            _ => Ok(()),
        }
    }
}

impl Golds {
    /// Those in `store`.
    pub(crate) fn new(store: Store, clock: Clock) -> Golds {
        Golds { store, clock, known: Mutex::default() }
    }

    /// Where a table lies.
    pub(crate) fn folder(&self, name: &str) -> Store {
        self.store.folder(name)
    }

    /// Whether the table has an effect already, and if so its version.
    pub(crate) async fn has(&self, name: &str, effect: &Effect) -> Result<Option<u64>> {
        let Some(table) = self.open(name).await? else { return Ok(None) };
        Ok(commit::has(name, &table, effect).await?.then_some(table.version()))
    }

    /// The newest snapshot of a table.
    pub(crate) async fn view(&self, name: &str) -> Result<TableView> {
        let table = if is_name(name) { self.open(name).await? } else { None };
        match table {
            Some(table) => TableView::new(&table, Vec::new()),
            None => Err(self.no_table(name).await?),
        }
    }

    /// What all tables are called and which columns they have; a table that can't be read has none.
    pub(crate) async fn listed(&self) -> Result<Vec<NamedTable>> {
        let names = self.names().await?;
        self.lock().retain(|name, _| names.contains(name));
        let listed = async |name: String| {
            let known = self.lock().get(&name).cloned();
            let schema = match known {
                Some(schema) => Some(schema),
                None => match self.open(&name).await {
                    Ok(table) => table.map(|table| table.schema().clone()),
                    Err(error) => {
                        tracing::warn!(table = format!("{GOLD_DIR}.{name}"), %error, "its columns are not listed");
                        Some(Arc::new(Schema::empty()))
                    }
                },
            };
            let name = (GOLD_DIR.to_owned(), name);
            schema.map(|schema| NamedTable { name, rows: Arc::new(EmptyTable::new(schema)), snapshot: None })
        };
        let listed = futures::stream::iter(names.into_iter().map(listed)).buffered(READ_AT_ONCE);
        Ok(listed.filter_map(|table| async { table }).collect().await)
    }

    /// The folders of tables, those also in which a first run has only begun to write.
    pub(crate) async fn names(&self) -> Result<BTreeSet<String>> {
        let listed = self.store.objects().list_with_delimiter(None).await;
        let folders = listed.map_err(|e| error::store("listing the gold tables", e))?.common_prefixes;
        let names = folders.iter().filter_map(|folder| folder.filename().filter(|name| is_name(name)).map(str::to_owned));
        Ok(names.take(TABLES_MAX).collect())
    }

    /// Puts all small files of a table together.
    pub(crate) async fn compact(&self, name: &str) -> Result<Compaction> {
        let mut table = self.existing(name).await?;
        let mut done = Compaction { files_before: files_of(&table)?, ..Compaction::default() };
        for _ in 0..COMPACTIONS_MAX {
            let Some(work) = maintain::compaction_now(Part::Rows, &table) else { break };
            done.bytes += put_together(&mut table, work).await?;
        }
        Ok(Compaction { files_after: files_of(&table)?, ..done })
    }

    /// Deletes files of a table that no snapshot of the time `keep` needs.
    pub(crate) async fn vacuum(&self, name: &str, keep: Duration) -> Result<Vacuumed> {
        self.existing(name).await?.vacuum(keep, None).await
    }

    /// Puts small files together when there are many, and deletes old ones then. Failing is no harm: the next run tries again.
    pub(crate) async fn tidy(&self, name: &str) {
        let tidied = async {
            let mut table = self.existing(name).await?;
            let Some(work) = maintain::compaction(Part::Rows, &table) else { return Ok(()) };
            put_together(&mut table, work).await?;
            table.vacuum(REMOVED_KEPT, None).await.map(drop)
        };
        if let Err(error) = tidied.await {
            tracing::warn!(table = format!("{GOLD_DIR}.{name}"), %error, "its files were not tidied up");
        }
    }

    async fn existing(&self, name: &str) -> Result<Table> {
        check_name(name)?;
        match self.open(name).await? {
            Some(table) => Ok(table),
            None => Err(self.no_table(name).await?),
        }
    }

    /// The newest snapshot of a table, if there is one of that name.
    async fn open(&self, name: &str) -> Result<Option<Table>> {
        let table = Table::existing(self.store.folder(name), self.clock.clone()).await?;
        if let Some(table) = &table {
            self.remember(name, table);
        }
        Ok(table)
    }

    fn remember(&self, name: &str, table: &Table) {
        let mut known = self.lock();
        if known.len() < TABLES_MAX || known.contains_key(name) {
            known.insert(name.to_owned(), table.schema().clone());
        }
    }

    /// What there is instead of a table that somebody names.
    async fn no_table(&self, name: &str) -> Result<Error> {
        let names = self.names().await?;
        let known: Vec<String> = names.iter().filter(|known| *known != name).map(|known| format!("{GOLD_DIR}.{known}")).collect();
        let known = match known.is_empty() {
            true => "there is none yet, until a job keeps an answer".to_owned(),
            false => format!("there are {}", known.join(", ")),
        };
        Ok(Error::invalid(format!("table '{GOLD_DIR}.{name}' does not exist: {known}; SHOW TABLES lists all")))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SchemaRef>> {
        // What it holds is whole at any time.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does and commits a compaction; returns the bytes of the files that it replaced.
async fn put_together(table: &mut Table, work: impl Future<Output = Result<maintain::Compacted>>) -> Result<u64> {
    let compacted = work.await?;
    let bytes = compacted.bytes();
    // Another process may have replaced the files: then its snapshot counts.
    match maintain::replace_small(table, compacted, None).await {
        Ok(files) if files > 0 => Ok(bytes),
        Ok(_) => Ok(0),
        Err(error) if error.kind() == pinlake_core::ErrorKind::Conflict => Ok(0),
        Err(error) => Err(error),
    }
}

fn check_name(name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "'{}' is no name of a gold table: up to {NAME_BYTES_MAX} lower-case letters, digits and '_', a letter first",
        name.chars().take(NAME_BYTES_MAX).collect::<String>()
    )))
}

fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.len() <= NAME_BYTES_MAX && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(legal)
}
