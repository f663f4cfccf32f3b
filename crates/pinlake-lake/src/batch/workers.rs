//! The crew of a batch: each worker takes the next chunk, prepares it, waits for its turn to admit it, and encodes what is new
//! into a file of its own.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use pinlake_core::pipeline::{Route, Routed};
use pinlake_core::{Clock, Error, Result, TopicName, TopicPartition};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Built, Output, Progress, cores, joined};
use crate::keys::KeyIndex;
use crate::parquet_file::{Closing, FileWriter};
use crate::quarantine::{self, QuarantineRows};
use crate::raw::{RawChunk, RawRecord};
use crate::rows::{Admitted, Counts, Prepared, Recipe};
use crate::schema::with_meta;
use crate::store::Store;
use crate::stream::{UNCLAIMED, with_places};

/// Chunks that may wait for a worker.
const CHUNKS_WAITING_MAX: usize = 2;
/// A worker's file is closed at this size.
const FILE_BYTES_MAX: usize = 128 << 20;
/// Quarantined records that a worker gathers before it writes them.
const QUARANTINE_ROWS_MAX: usize = 10_000;
/// Their bytes, beside those of one chunk.
const QUARANTINE_BYTES_MAX: usize = 16 << 20;

/// The workers of one table.
pub(super) struct Crew {
    workers: Vec<JoinHandle<Result<Files>>>,
    shared: Arc<Shared>,
}

struct Shared {
    recipe: Arc<Recipe>,
    files: Option<Folders>,
    routes: BTreeMap<TopicName, Route>,
    progress: Arc<Progress>,
    chunks: Mutex<mpsc::Receiver<RawChunk>>,
    turn: Mutex<Turn>,
    turned: Condvar,
}

/// Where the files go.
struct Folders {
    rows: Store,
    quarantine: Store,
    /// The columns with Pinlake's own, where the rows say where they came from.
    placed: Option<SchemaRef>,
}

/// What only one worker at a time may touch, in the order of the chunks.
struct Turn {
    next: u64,
    /// Why the first worker failed.
    failed: Option<Error>,
    index: KeyIndex,
    counts: BTreeMap<TopicPartition, Counts>,
}

#[derive(Default)]
struct Files {
    rows: Vec<Closing>,
    quarantined: Vec<Closing>,
}

impl Crew {
    /// Starts a worker for each core; chunks go into the sender.
    pub(super) fn start(
        output: &Output<'_>,
        routes: BTreeMap<TopicName, Route>,
        progress: &Arc<Progress>,
    ) -> (Crew, mpsc::Sender<RawChunk>) {
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
        let shared = Arc::new(Shared {
            recipe: output.recipe.clone(),
            files: output.files.map(|files| Folders {
                rows: files.rows.clone(),
                quarantine: files.quarantine.clone(),
                placed: files.placed.then(|| with_meta(output.recipe.schema())),
            }),
            routes,
            progress: progress.clone(),
            chunks: Mutex::new(receiver),
            turn: Mutex::new(Turn { next: 0, failed: None, index: output.recipe.new_index(), counts: BTreeMap::new() }),
            turned: Condvar::new(),
        });
        let start = |_| {
            let shared = shared.clone();
            tokio::task::spawn_blocking(move || {
                let mut ends = WorkerEnds { shared: &shared, failed: Some(Error::internal("a batch worker panicked")) };
                let done = shared.work();
                ends.failed = done.as_ref().err().cloned();
                done
            })
        };
        let workers = (0..cores()).map(start).collect();
        (Crew { workers, shared }, sender)
    }

    /// Waits for all workers and for the store.
    pub(super) async fn finish(self, clock: &Clock) -> Result<Built> {
        let (mut rows, mut quarantined) = (Vec::new(), Vec::new());
        for worker in self.workers {
            if let Ok(files) = joined(worker.await).and_then(|files| files) {
                rows.extend(files.rows);
                quarantined.extend(files.quarantined);
            }
        }
        if let Some(error) = lock(&self.shared.turn).failed.take() {
            return Err(error);
        }
        let shared = Arc::into_inner(self.shared).ok_or_else(|| Error::internal("a batch worker outlived its batch"))?;
        let turn = shared.turn.into_inner().unwrap_or_else(PoisonError::into_inner);
        let placed = shared.files.as_ref().and_then(|files| files.placed.as_ref());
        let schema = placed.unwrap_or(shared.recipe.schema());
        let mut built = Built { rows: Vec::new(), quarantined: Vec::new(), counts: turn.counts, index: turn.index };
        for file in rows {
            built.rows.push(file.finish(schema, clock).await?);
        }
        for file in quarantined {
            built.quarantined.push(file.finish(&quarantine::schema(), clock).await?);
        }
        Ok(built)
    }
}

/// Stops the other workers when one ends before its time.
struct WorkerEnds<'a> {
    shared: &'a Shared,
    failed: Option<Error>,
}

impl Drop for WorkerEnds<'_> {
    fn drop(&mut self) {
        if let Some(error) = self.failed.take() {
            lock(&self.shared.turn).failed.get_or_insert(error);
            self.shared.turned.notify_all();
            // Whoever reads the lake must not wait for workers that are gone. A worker that waits for a chunk lets go with the next.
            lock(&self.shared.chunks).close();
        }
    }
}

impl Shared {
    fn work(&self) -> Result<Files> {
        let mut files = Files::default();
        let (mut writer, mut set_aside) = (None, QuarantineRows::default());
        while let Some(chunk) = self.next_chunk() {
            let bytes = chunk.bytes;
            let admitted = self.chunk(&chunk, &mut set_aside)?;
            if let Some(folders) = &self.files {
                if admitted.rows.num_rows() > 0 {
                    write(&mut writer, &folders.rows, &admitted.rows, &mut files.rows)?;
                }
                if set_aside.len() >= QUARANTINE_ROWS_MAX || set_aside.bytes() >= QUARANTINE_BYTES_MAX {
                    folders.write_quarantine(&mut set_aside, &mut files)?;
                }
            } else {
                set_aside.clear();
            }
            self.progress.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        }
        if let Some(writer) = writer {
            files.rows.push(writer.close()?);
        }
        if let Some(folders) = self.files.as_ref().filter(|_| !set_aside.is_empty()) {
            folders.write_quarantine(&mut set_aside, &mut files)?;
        }
        Ok(files)
    }

    fn next_chunk(&self) -> Option<RawChunk> {
        // Whoever holds the lock waits for the next chunk; the others wait for the lock.
        lock(&self.chunks).blocking_recv()
    }

    fn chunk(&self, chunk: &RawChunk, set_aside: &mut QuarantineRows) -> Result<Admitted> {
        let contents = chunk.contents()?;
        let of = chunk.of();
        let route = self.routes.get(&of.topic).unwrap_or(&Route::All);
        let (mut records, mut places, mut others) = (Vec::new(), Vec::new(), Counts::default());
        for RawRecord { value, offset, time, key } in chunk.records(&contents) {
            match route.of(key) {
                Routed::Here => {
                    records.push(value);
                    places.push((offset, time));
                }
                Routed::Elsewhere => others.elsewhere += 1,
                Routed::Unclaimed => {
                    others.quarantined += 1;
                    set_aside.push(UNCLAIMED, &value, of, offset, time);
                }
            }
        }
        let values: Vec<&[u8]> = records.iter().map(AsRef::as_ref).collect();
        let prepared = self.recipe.prepare(&values)?;
        for rejected in &prepared.rejected {
            let (offset, time) = places[rejected.record as usize];
            set_aside.push(&rejected.reason, values[rejected.record as usize], of, offset, time);
        }
        let mut admitted = self.admit(chunk.number, of, prepared, &others)?;
        if let Some(schema) = self.files.as_ref().and_then(|files| files.placed.as_ref()) {
            let place = |source: &u32| {
                let (offset, time) = places[*source as usize];
                (offset, time.unwrap_or_default())
            };
            let placed: Vec<_> = admitted.sources.iter().map(place).collect();
            admitted.rows = with_places(schema, &admitted.rows, of, &placed)?;
        }
        Ok(admitted)
    }

    /// Admits a chunk when all before it have been.
    fn admit(&self, number: u64, of: &TopicPartition, prepared: Prepared, others: &Counts) -> Result<Admitted> {
        let mut turn = lock(&self.turn);
        while turn.next != number && turn.failed.is_none() {
            turn = self.turned.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(error) = &turn.failed {
            return Err(error.clone());
        }
        let admitted = prepared.admit(&mut turn.index)?;
        let counts = turn.counts.entry(of.clone()).or_default();
        counts.add(&admitted.counts);
        counts.add(others);
        turn.next += 1;
        self.turned.notify_all();
        Ok(admitted)
    }
}

impl Folders {
    fn write_quarantine(&self, set_aside: &mut QuarantineRows, files: &mut Files) -> Result<()> {
        let rows = set_aside.batches()?;
        set_aside.clear();
        let mut writer = FileWriter::start(self.quarantine.objects(), &rows[0])?;
        rows.iter().try_for_each(|rows| writer.write(rows))?;
        files.quarantined.push(writer.close()?);
        Ok(())
    }
}

fn write(writer: &mut Option<FileWriter>, into: &Store, rows: &RecordBatch, done: &mut Vec<Closing>) -> Result<()> {
    let mut open = match writer.take() {
        Some(open) => open,
        None => FileWriter::start(into.objects(), rows)?,
    };
    open.write(rows)?;
    if open.size_bytes() >= FILE_BYTES_MAX {
        done.push(open.close()?);
    } else {
        *writer = Some(open);
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
