//! A Delta table as its one owner sees it: files, positions and counts in a snapshot, and commits that carry all three.
//!
//! Every position is a `txn` action, so it survives compaction, vacuum and checkpoints, and is committed with the rows it
//! stands for. After a commit whose outcome is unknown the table is read again and the positions tell what happened.

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake_core::kernel::{Action, Add, CommitInfo, LogicalFileView, Remove, Transaction};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::operations::vacuum::VacuumMode;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::StreamExt;
use pinlake_core::{Clock, Error, ErrorKind, Result, Timestamp};
use serde_json::Value;

use crate::error;
use crate::schema::delta_columns;
use crate::store::Store;

/// Commits between two checkpoints.
const CHECKPOINT_INTERVAL: &str = "20";
/// How long old log entries and removed files stay for readers of older snapshots.
const LOG_RETENTION: &str = "interval 1 days";

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

    /// Deletes files that no snapshot of the last day needs, and reads the newest snapshot. Files that are not the table's
    /// are deleted too once they are that old: what a process left that died before its commit.
    pub async fn vacuum(&mut self) -> Result<usize> {
        // Its own commits say the same again: the one that said it last may be cleaned up with the log's old entries.
        let info = self.last_info().await?.map(|info| (INFO_KEY.to_owned(), info));
        let properties = CommitProperties::default().with_metadata(info);
        let vacuum = self.delta.clone().vacuum().with_mode(VacuumMode::Full).with_commit_properties(properties);
        let (table, metrics) = vacuum.await.map_err(|e| error::delta("removing old files", e))?;
        self.delta.state = table.state;
        Ok(metrics.files_deleted.len())
    }

    /// Reads the newest snapshot.
    pub async fn reload(&mut self) -> Result<()> {
        self.delta.update_state().await.map_err(|e| error::delta("reading the newest snapshot", e))
    }

    /// Commits a change on the snapshot that the owner holds. Returns the new version.
    ///
    /// # Errors
    /// `Conflict` when another writer moved a position or removed a file of ours; any error leaves the outcome unknown: the
    /// owner reloads and looks at its positions.
    pub async fn commit(&mut self, change: Change) -> Result<u64> {
        let now = self.clock.now().0;
        let data_change = change.data_change;
        let removed = change.remove.into_iter().map(|file| Action::Remove(remove_of(file, data_change, now)));
        let added = change.add.into_iter().map(|file| Action::Add(Add { data_change, ..file }));
        let transactions = change.transactions.into_iter();
        let transactions = transactions.map(|(id, version)| Transaction::new_with_last_update(id, version, Some(now))).collect();
        let properties = CommitProperties::default()
            .with_application_transactions(transactions)
            .with_metadata(change.info.map(|info| (INFO_KEY.to_owned(), info)));
        let builder: CommitBuilder = properties.into();
        let operation = if data_change {
            let mode = if change.replace { SaveMode::Overwrite } else { SaveMode::Append };
            DeltaOperation::Write { mode, partition_by: None, predicate: None }
        } else {
            DeltaOperation::Optimize { predicate: None, target_size: 0 }
        };
        let state = self.delta.snapshot().map_err(|e| error::delta("reading a snapshot", e))?;
        let snapshot: &dyn TableReference = state.snapshot();
        let commit =
            builder.with_actions(removed.chain(added).collect()).build(Some(snapshot), self.delta.log_store(), operation);
        let done = commit.await.map_err(|e| error::delta("committing", e))?;
        self.delta.state = Some(done.snapshot());
        Ok(done.version())
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

async fn create(store: &Store, name: &str, schema: &Schema) -> Result<DeltaTable> {
    let created = CreateBuilder::new()
        .with_log_store(store.delta())
        .with_table_name(name)
        .with_columns(delta_columns(schema)?)
        .with_configuration([
            ("delta.checkpointInterval", Some(CHECKPOINT_INTERVAL)),
            ("delta.logRetentionDuration", Some(LOG_RETENTION)),
            ("delta.deletedFileRetentionDuration", Some(LOG_RETENTION)),
        ])
        .await;
    match created {
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
