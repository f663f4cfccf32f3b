//! The upkeep of a table: small files into large ones, and the removal of files that no snapshot needs. Checkpoints and the
//! clean-up of the log come with every commit. Memory is bounded: rows stream through, one row group at a time.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionContext;
use deltalake_core::kernel::Add;
use futures::StreamExt;
use pinlake_core::{Clock, Error, Result};
use tokio::sync::mpsc;

use crate::live::{TableView, register_store};
use crate::parquet_file::{DataFile, FileWriter};
use crate::store::Store;
use crate::{error, sql};

/// Files below this size are small.
const SMALL_FILE_BYTES: i64 = 32 << 20;
/// So many small files are put together.
const SMALL_FILES_MIN: usize = 10;
/// The size of what they are put together to.
const COMPACTED_BYTES_MAX: i64 = 128 << 20;
/// Batches between reading and writing.
const BATCHES_WAITING_MAX: usize = 2;

/// A finished compaction that no commit names yet.
#[derive(Debug)]
pub(crate) struct Compacted {
    /// The files that were read.
    pub(crate) from: Vec<Add>,
    /// The file that holds their rows.
    pub(crate) to: DataFile,
}

/// The small files that are worth putting together; none if there are few.
pub(crate) fn small_files(mut files: Vec<Add>) -> Vec<Add> {
    files.retain(|file| file.size < SMALL_FILE_BYTES);
    if files.len() < SMALL_FILES_MIN {
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
pub(crate) async fn compact(store: Store, schema: SchemaRef, from: Vec<Add>, clock: Clock) -> Result<Compacted> {
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
    register_store(&context, &store);
    let view = TableView::of_files(&store, schema.clone(), &from);
    let mut rows = context.read_table(Arc::new(view)).map_err(failed)?.execute_stream().await.map_err(failed)?;
    while let Some(rows) = rows.next().await {
        if sender.send(rows.map_err(failed)?).await.is_err() {
            // The writer's own error says why.
            break;
        }
    }
    drop(sender);
    let closing = write.await.map_err(|e| Error::internal("compaction stopped").with_source(e))??;
    Ok(Compacted { from, to: closing.finish(&schema, &clock).await? })
}
