//! The upkeep of a table: small files into large ones, and the removal of files that no snapshot needs. Checkpoints and the
//! clean-up of the log come with every commit. Memory is bounded: rows stream through, one row group at a time.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionContext;
use deltalake_core::kernel::Add;
use futures::StreamExt;
use pinlake_core::{Clock, Error, Result};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::live::{TableView, register_store};
use crate::parquet_file::FileWriter;
use crate::store::Store;
use crate::table::{Change, Table};
use crate::{error, sql};

/// Files below this size are small.
const SMALL_FILE_BYTES: i64 = 32 << 20;
/// So many small files are put together.
const SMALL_FILES_MIN: usize = 10;
/// The size of what they are put together to.
const COMPACTED_BYTES_MAX: i64 = 128 << 20;
/// Times a compaction is committed, when others commit first.
const TRIES_MAX: usize = 5;
/// Batches between reading and writing.
const BATCHES_WAITING_MAX: usize = 2;

/// What putting small files together came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compaction {
    /// Files of the table, with its quarantine, before.
    pub files_before: u64,
    /// And after.
    pub files_after: u64,
    /// Bytes of the small files that were put together.
    pub bytes: u64,
}

/// Which of a table's two parts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// Its rows.
    Rows,
    /// Its quarantine.
    Quarantine,
}

/// A finished compaction that no commit names yet.
#[derive(Debug)]
pub(crate) struct Compacted {
    /// What was compacted.
    pub(crate) part: Part,
    /// The files that were read.
    pub(crate) from: Vec<Add>,
    /// The file that holds their rows.
    pub(crate) to: Add,
}

/// The work of putting the table's small files together; `None` if there are few.
pub(crate) fn compaction(part: Part, table: &Table) -> Option<impl Future<Output = Result<Compacted>> + Send + 'static> {
    compaction_of(part, table, SMALL_FILES_MIN)
}

/// The same with any small files at all: for somebody who asks for it.
pub(crate) fn compaction_now(part: Part, table: &Table) -> Option<impl Future<Output = Result<Compacted>> + Send + 'static> {
    compaction_of(part, table, 2)
}

/// Files of the table.
pub(crate) fn files_of(table: &Table) -> Result<u64> {
    Ok(table.files()?.len() as u64)
}

impl Compacted {
    /// Bytes of the files that were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.from.iter().filter_map(|file| u64::try_from(file.size).ok()).sum()
    }
}

fn compaction_of(
    part: Part,
    table: &Table,
    files_min: usize,
) -> Option<impl Future<Output = Result<Compacted>> + Send + 'static> {
    let small = small_files(table.files().unwrap_or_default(), files_min);
    if small.is_empty() {
        return None;
    }
    let (store, schema, clock) = (table.store().clone(), table.schema().clone(), table.clock().clone());
    Some(async move {
        let to = compact(&store, &schema, &small, &clock).await?;
        Ok(Compacted { part, from: small, to })
    })
}

/// Commits a compaction, unless its files were replaced meanwhile. Returns how many files it replaced.
pub(crate) async fn replace_small(table: &mut Table, compacted: Compacted, info: Option<Value>) -> Result<usize> {
    let Compacted { from, to, .. } = compacted;
    let mut failed = None;
    for _ in 0..TRIES_MAX {
        let files = table.files()?;
        let is_there = |file: &Add| files.iter().any(|there| there.path == file.path);
        if failed.is_some() && is_there(&to) {
            // Only its answer was lost.
            return Ok(from.len());
        }
        if !from.iter().all(is_there) {
            return Ok(0);
        }
        let change = Change { add: vec![to.clone()], remove: from.clone(), info: info.clone(), ..Change::default() };
        match table.commit(change).await {
            Ok(_) => return Ok(from.len()),
            Err(error) => {
                table.reload().await?;
                failed = Some(error);
            }
        }
    }
    Err(failed.expect("the loop ran"))
}

/// The small files that are worth putting together; none if there are fewer than `files_min`.
fn small_files(mut files: Vec<Add>, files_min: usize) -> Vec<Add> {
    files.retain(|file| file.size < SMALL_FILE_BYTES);
    if files.len() < files_min {
        return Vec::new();
    }
    // The oldest first, so that rows that came together stay together.
    files.sort_by_key(|file| file.modification_time);
    let mut bytes = 0;
    let fits = |file: &Add| {
        bytes += file.size;
        bytes <= COMPACTED_BYTES_MAX
    };
    files.into_iter().take_while(fits).collect()
}

/// Writes the rows of `from`, files with columns of `schema`, into one file.
async fn compact(store: &Store, schema: &SchemaRef, from: &[Add], clock: &Clock) -> Result<Add> {
    let failed = |e| error::query("reading small files", e);
    let (sender, mut batches) = mpsc::channel(BATCHES_WAITING_MAX);
    let objects = store.objects();
    let write = tokio::task::spawn_blocking(move || {
        let mut writer: Option<FileWriter> = None;
        while let Some(rows) = batches.blocking_recv() {
            match writer.as_mut() {
                Some(open) => open.write(&rows)?,
                None => writer.insert(FileWriter::start(objects.clone(), &rows)?).write(&rows)?,
            }
        }
        writer.ok_or_else(|| Error::internal("small files without rows"))?.close()
    });
    let context = SessionContext::new_with_config(sql::config().with_target_partitions(1));
    register_store(&context, store);
    let view = TableView::of_files(store, schema.clone(), from);
    let mut rows = context.read_table(Arc::new(view)).map_err(failed)?.execute_stream().await.map_err(failed)?;
    while let Some(rows) = rows.next().await {
        if sender.send(rows.map_err(failed)?).await.is_err() {
            // The writer's own error says why.
            break;
        }
    }
    drop(sender);
    let closing = write.await.map_err(|e| Error::internal("compaction stopped").with_source(e))??;
    closing.finish(schema, clock).await
}
