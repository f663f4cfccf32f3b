//! A Delta table as its one owner sees it: files, positions and counts in a snapshot, and commits that carry all three.
//!
//! Every position is a `txn` action, so it survives compaction, vacuum and checkpoints, and is committed with the rows it
//! stands for. After a commit whose outcome is unknown the table is read again and the positions tell what happened.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::temporal_conversions::try_duration_ms_to_duration;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake_core::kernel::{
    Action, Add, CommitInfo, LogicalFileView, MetadataExt, Remove, StructField, StructType, Transaction,
};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::operations::vacuum::{Clock as VacuumClock, VacuumMode};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::{StreamExt, TryStreamExt};
use pinlake_core::{Clock, Error, ErrorKind, Result, Timestamp};
use serde_json::Value;

use crate::error;
use crate::schema::delta_columns;
use crate::store::Store;

/// Commits between two checkpoints.
const CHECKPOINT_INTERVAL: &str = "20";
/// How long old log entries and removed files stay for readers of older snapshots.
const LOG_RETENTION: &str = "interval 1 days";

/// The same: how long a removed file stays unless somebody says otherwise.
pub(crate) const REMOVED_KEPT: Duration = Duration::from_secs(24 * 3600);
/// The longest time that removed files can be kept for: a hundred years.
const KEPT_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Commits that are looked at first for what the last one of ours said.
const HISTORY_FIRST: usize = 8;

/// Where a commit of ours keeps what it says of itself.
pub const INFO_KEY: &str = "pinlake";

/// A Delta table and the snapshot its owner holds. A clone shares what the snapshot holds.
#[derive(Debug, Clone)]
pub struct Table {
    delta: DeltaTable,
    store: Store,
    schema: SchemaRef,
    clock: Clock,
}

/// What one commit changes.
#[derive(Debug, Default)]
pub struct Change {
    /// Files to add.
    pub add: Vec<Add>,
    /// Files to remove.
    pub remove: Vec<Add>,
    /// Whether rows change; false for compaction, which only moves them.
    pub data_change: bool,
    /// New values of transaction ids: positions and counts.
    pub transactions: Vec<(String, i64)>,
    /// What the commit says of itself, under [`INFO_KEY`] in the table's history.
    pub info: Option<Value>,
    /// Whether the change replaces all rows.
    pub replace: bool,
    /// The table's columns from now on, if they change: those that it has, each of its type, and new ones that may be null.
    pub columns: Option<Vec<StructField>>,
}

/// What a vacuum removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vacuumed {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One commit, as a table's history shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitLine {
    /// The version it made.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// `create`, `append`, `rebuild`, `compact` or the operation's own name.
    pub operation: String,
    /// What it said of itself, under [`INFO_KEY`].
    pub info: Option<Value>,
}

impl Table {
    /// Opens the table in `store`, or creates it with these columns.
    ///
    /// # Errors
    /// `Conflict` when it exists with other columns.
    pub async fn open(store: Store, name: &str, schema: SchemaRef, clock: Clock) -> Result<Table> {
        let mut delta = DeltaTable::new(store.delta());
        match delta.load().await {
            Ok(()) => check_schema(&delta, &schema, name)?,
            Err(DeltaTableError::NotATable(_)) => delta = create(&store, name, &schema).await?,
            Err(error) => return Err(error::delta(&format!("opening table '{name}'"), error)),
        }
        Ok(Table { delta, store, schema, clock })
    }

    /// Opens the table in `store` with the columns that it has; `None` if there is none.
    pub async fn existing(store: Store, clock: Clock) -> Result<Option<Table>> {
        let mut delta = DeltaTable::new(store.delta());
        match delta.load().await {
            Ok(()) => {}
            Err(DeltaTableError::NotATable(_)) => return Ok(None),
            Err(error) => return Err(error::delta("opening a table", error)),
        }
        let schema = schema_of(&delta)?;
        Ok(Some(Table { delta, store, schema, clock }))
    }

    /// Creates a table with these columns and its first change in one commit.
    ///
    /// # Errors
    /// As of [`Table::commit`]: any leaves the outcome unknown.
    pub async fn create(store: Store, name: &str, columns: Vec<StructField>, change: Change, clock: Clock) -> Result<Table> {
        let now = clock.now().0;
        let properties = CommitProperties::default()
            // Otherwise it would commit this, after a table that another process creates meanwhile, once more.
            .with_max_retries(0)
            .with_application_transactions(transactions(change.transactions, now))
            .with_metadata(change.info.map(|info| (INFO_KEY.to_owned(), info)));
        let added = change.add.into_iter().map(Action::Add);
        let created = creation(&store, name, columns).with_actions(added).with_commit_properties(properties).await;
        let delta = created.map_err(|e| error::delta(&format!("creating table '{name}'"), e))?;
        let schema = schema_of(&delta)?;
        Ok(Table { delta, store, schema, clock })
    }

    /// Whether there is a table in `store`.
    pub async fn exists(store: &Store) -> Result<bool> {
        let found = store.delta().is_delta_table_location().await;
        found.map_err(|e| error::delta("looking for a table", e))
    }

    /// The version of the snapshot.
    pub fn version(&self) -> u64 {
        self.delta.version().unwrap_or_default()
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Where it lies.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The time of its commits.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The files of the snapshot.
    pub fn files(&self) -> Result<Vec<Add>> {
        let state = self.delta.snapshot().map_err(|e| error::delta("reading a snapshot", e))?;
        let add = |file: LogicalFileView| Add {
            path: file.path().into_owned(),
            size: file.size(),
            modification_time: file.modification_time(),
            data_change: true,
            stats: file.stats(),
            ..Add::default()
        };
        Ok(state.log_data().iter().map(add).collect())
    }

    /// The columns as Delta has them.
    pub fn columns(&self) -> Result<Vec<StructField>> {
        let state = self.delta.snapshot().map_err(|e| error::delta("reading a snapshot", e))?;
        Ok(state.schema().fields().cloned().collect())
    }

    /// The value of a transaction id in the snapshot.
    pub async fn transaction(&self, id: &str) -> Result<Option<i64>> {
        let state = self.delta.snapshot().map_err(|e| error::delta("reading a snapshot", e))?;
        let found = state.snapshot().transaction_version(&*self.delta.log_store(), id).await;
        found.map_err(|e| error::delta("reading a transaction id", e))
    }

    /// What our last commit said of itself: the value of [`INFO_KEY`]; `None` if no commit of ours is left in the history.
    /// For the newest snapshot only.
    pub async fn last_info(&self) -> Result<Option<Value>> {
        // The last commits nearly always have it, and reading the whole history lists a day of commits.
        for commits in [Some(HISTORY_FIRST), None] {
            let mut history = self.delta.history(commits);
            while let Some(commit) = history.next().await {
                let mut commit = commit.map_err(|e| error::delta("reading the history", e))?;
                if let Some(info) = commit.info.remove(INFO_KEY) {
                    return Ok(Some(info));
                }
            }
        }
        Ok(None)
    }

    /// What the commit of the snapshot's own version said of itself; `None` if it was none of ours.
    pub async fn own_info(&self) -> Result<Option<Value>> {
        // The history goes from the newest commit, which may be newer than the snapshot, down to the limit.
        let mut history = self.delta.history(Some(1));
        let mut own = None;
        while let Some(commit) = history.next().await {
            own = commit.map_err(|e| error::delta("reading the history", e))?.info.remove(INFO_KEY);
        }
        Ok(own)
    }

    /// The last `count` commits, the newest first.
    pub async fn history(&self, count: usize) -> Result<Vec<CommitLine>> {
        let mut history = self.delta.history(Some(count));
        let (mut lines, mut version) = (Vec::new(), self.version());
        while let Some(commit) = history.next().await {
            let commit = commit.map_err(|e| error::delta("reading the history", e))?;
            lines.push(line_of(version, &commit));
            version = version.saturating_sub(1);
        }
        Ok(lines)
    }

    /// The table as it was one version ago; `None` if this is its first version.
    pub async fn previous(&self) -> Result<Option<Table>> {
        let Some(version) = self.version().checked_sub(1) else { return Ok(None) };
        let mut delta = DeltaTable::new(self.store.delta());
        delta.load_version(version).await.map_err(|e| error::delta("reading an older version", e))?;
        Ok(Some(Table { delta, store: self.store.clone(), schema: self.schema.clone(), clock: self.clock.clone() }))
    }

    /// Deletes files that no snapshot of the time `keep` needs, and reads the newest snapshot. Files that never were the table's, which a
    /// process left that died before its commit, are deleted once they are a day old, or `keep` if that is longer: a younger one may be about
    /// to be committed. `info` is what the last commit said of itself: the vacuum's own say the same again, because that one may be cleaned up
    /// with the log's old entries.
    pub async fn vacuum(&mut self, keep: Duration, info: Option<Value>) -> Result<Vacuumed> {
        let files = self.store.objects();
        let listed = files.list(None).map_ok(|meta| (meta.location.to_string(), meta.size)).try_collect().await;
        let sizes: HashMap<String, u64> = listed.map_err(|e| error::store("listing a table's files", e))?;
        let mut done = Vacuumed::default();
        for (mode, keep) in [(VacuumMode::Lite, keep), (VacuumMode::Full, keep.max(REMOVED_KEPT))] {
            if mode == VacuumMode::Lite && keep >= REMOVED_KEPT {
                continue;
            }
            let keep = i64::try_from(keep.min(KEPT_MAX).as_millis()).ok().and_then(try_duration_ms_to_duration);
            let keep = keep.expect("a hundred years are a duration");
            let properties = CommitProperties::default().with_metadata(info.clone().map(|info| (INFO_KEY.to_owned(), info)));
            let vacuum = self.delta.clone().vacuum().with_mode(mode).with_commit_properties(properties);
            let vacuum = vacuum.with_retention_period(keep).with_enforce_retention_duration(false);
            let vacuum = vacuum.with_clock(Arc::new(TimeOfVacuum(self.clock.clone())));
            let (table, metrics) = vacuum.await.map_err(|e| error::delta("removing old files", e))?;
            self.delta.state = table.state;
            // It names files again that it has deleted before.
            let deleted = metrics.files_deleted.iter().filter_map(|path| sizes.get(path));
            deleted.for_each(|bytes| done.add(Vacuumed { files: 1, bytes: *bytes }));
        }
        Ok(done)
    }

    /// Reads the newest snapshot.
    pub async fn reload(&mut self) -> Result<()> {
        self.delta.update_state().await.map_err(|e| error::delta("reading the newest snapshot", e))
    }

    /// Commits a change on the snapshot that the owner holds. Returns the new version.
    ///
    /// # Errors
    /// `Conflict` when another writer moved a position, or came first where files are removed; any error leaves the outcome unknown: the
    /// owner reloads and looks at its positions.
    pub async fn commit(&mut self, change: Change) -> Result<u64> {
        let now = self.clock.now().0;
        let data_change = change.data_change;
        let removes = !change.remove.is_empty();
        let removed = change.remove.into_iter().map(|file| Action::Remove(remove_of(file, data_change, now)));
        let added = change.add.into_iter().map(|file| Action::Add(Add { data_change, ..file }));
        let properties = CommitProperties::default()
            .with_application_transactions(transactions(change.transactions, now))
            .with_metadata(change.info.map(|info| (INFO_KEY.to_owned(), info)));
        // Of removed files, the Delta library does not see that a compaction came first and moved their rows elsewhere: it would remove them once
        // more and so bring every row in twice. Whoever removes files commits right behind the snapshot that has them, or not at all.
        let properties = if removes { properties.with_max_retries(0) } else { properties };
        let builder: CommitBuilder = properties.into();
        let operation = if data_change {
            let mode = if change.replace { SaveMode::Overwrite } else { SaveMode::Append };
            DeltaOperation::Write { mode, partition_by: None, predicate: None }
        } else {
            DeltaOperation::Optimize { predicate: None, target_size: 0 }
        };
        let state = self.delta.snapshot().map_err(|e| error::delta("reading a snapshot", e))?;
        let snapshot: &dyn TableReference = state.snapshot();
        let is_new = change.columns.is_some();
        let columns = change.columns.map(|columns| with_columns(snapshot, columns)).transpose()?;
        let actions = columns.into_iter().chain(removed).chain(added).collect();
        let commit = builder.with_actions(actions).build(Some(snapshot), self.delta.log_store(), operation);
        let done = commit.await.map_err(|e| error::delta("committing", e))?;
        self.delta.state = Some(done.snapshot());
        if is_new {
            self.schema = schema_of(&self.delta)?;
        }
        Ok(done.version())
    }
}

impl Vacuumed {
    /// Adds what another vacuum removed.
    pub(crate) fn add(&mut self, other: Vacuumed) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// Our clock as a vacuum asks for it.
#[derive(Debug)]
struct TimeOfVacuum(Clock);

impl VacuumClock for TimeOfVacuum {
    fn current_timestamp_millis(&self) -> i64 {
        self.0.now().0
    }
}

fn line_of(version: u64, commit: &CommitInfo) -> CommitLine {
    let parameter = |name: &str| commit.operation_parameters.as_ref().and_then(|parameters| parameters.get(name)?.as_str());
    let operation = match (commit.operation.as_deref().unwrap_or_default(), parameter("mode")) {
        ("WRITE", Some("Overwrite")) => "rebuild".to_owned(),
        ("WRITE", _) => "append".to_owned(),
        ("OPTIMIZE", _) => "compact".to_owned(),
        ("CREATE TABLE", _) => "create".to_owned(),
        (other, _) => other.to_lowercase(),
    };
    let at = Timestamp(commit.timestamp.unwrap_or_default());
    CommitLine { version, at, operation, info: commit.info.get(INFO_KEY).cloned() }
}

fn transactions(values: Vec<(String, i64)>, now: i64) -> Vec<Transaction> {
    values.into_iter().map(|(id, version)| Transaction::new_with_last_update(id, version, Some(now))).collect()
}

/// The action that gives a table other columns.
fn with_columns(snapshot: &dyn TableReference, columns: Vec<StructField>) -> Result<Action> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| Error::internal("changing a table's columns").with_source(e);
    let columns = StructType::try_new(columns).map_err(|e| failed(e.into()))?;
    let metadata = snapshot.metadata().clone().with_schema(&columns).map_err(|e| failed(e.into()))?;
    Ok(Action::Metadata(metadata))
}

/// The columns that a table has.
fn schema_of(delta: &DeltaTable) -> Result<SchemaRef> {
    let state = delta.snapshot().map_err(|e| error::delta("reading a snapshot", e))?;
    let columns = state.schema();
    let schema: Schema =
        (&*columns).try_into_arrow().map_err(|e| Error::invalid("a table has a column that can't be read").with_source(e))?;
    Ok(Arc::new(schema))
}

fn creation(store: &Store, name: &str, columns: Vec<StructField>) -> CreateBuilder {
    let configuration = [
        ("delta.checkpointInterval", Some(CHECKPOINT_INTERVAL)),
        ("delta.logRetentionDuration", Some(LOG_RETENTION)),
        ("delta.deletedFileRetentionDuration", Some(LOG_RETENTION)),
    ];
    let creation = CreateBuilder::new().with_log_store(store.delta()).with_table_name(name).with_columns(columns);
    creation.with_configuration(configuration)
}

async fn create(store: &Store, name: &str, schema: &Schema) -> Result<DeltaTable> {
    match creation(store, name, delta_columns(schema)?).await {
        Ok(table) => Ok(table),
        Err(error) => {
            // Another process, or our own earlier try, may have been first.
            let mut table = DeltaTable::new(store.delta());
            table.load().await.map_err(|_| error::delta(&format!("creating table '{name}'"), error))?;
            check_schema(&table, schema, name)?;
            Ok(table)
        }
    }
}

fn check_schema(delta: &DeltaTable, schema: &Schema, name: &str) -> Result<()> {
    let state = delta.snapshot().map_err(|e| error::delta("reading a snapshot", e))?;
    let found: Vec<(String, String)> =
        state.schema().fields().map(|field| (field.name().clone(), field.data_type().to_string())).collect();
    let wanted: Vec<(String, String)> =
        delta_columns(schema)?.iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect();
    if found == wanted {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!(
            "table '{name}' exists with other columns ({}) than its cleaning yields ({}): give it another folder, or change the cleaning back",
            list(&found),
            list(&wanted)
        ),
    ))
}

fn list(columns: &[(String, String)]) -> String {
    columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect::<Vec<_>>().join(", ")
}

fn remove_of(file: Add, data_change: bool, now: i64) -> Remove {
    Remove {
        path: file.path,
        data_change,
        deletion_timestamp: Some(now),
        extended_file_metadata: Some(true),
        partition_values: Some(file.partition_values),
        size: Some(file.size),
        ..Remove::default()
    }
}
