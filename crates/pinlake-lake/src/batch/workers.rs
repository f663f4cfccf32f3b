//! The crew of a batch: each worker takes the next chunk, prepares it, waits for its turn to admit it, and encodes what is new
//! into a file of its own.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use pinlake_core::{Clock, Error, Result, Timestamp, TopicPartition};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Built, Output, Progress, cores, joined};
use crate::archive::unescape;
use crate::keys::KeyIndex;
use crate::parquet_file::{Closing, FileWriter};
use crate::quarantine::{self, QuarantineRows};
use crate::raw::{RawChunk, lines};
use crate::rows::{Admitted, Counts, Prepared, Recipe};
use crate::schema::with_meta;
use crate::store::Store;
use crate::stream::with_places;

/// Chunks that may wait for a worker.
const CHUNKS_WAITING_MAX: usize = 2;
/// A worker's file is closed at this size.
const FILE_BYTES_MAX: usize = 128 << 20;
/// Quarantined records that a worker gathers before it writes them.
const QUARANTINE_ROWS_MAX: usize = 10_000;

/// The workers of one table.
pub(super) struct Crew {
    workers: Vec<JoinHandle<Result<Files>>>,
    shared: Arc<Shared>,
}

struct Shared {
    recipe: Arc<Recipe>,
    into: Store,
    quarantine: Store,
    /// The columns of the files: with Pinlake's own where the rows say where they came from.
    placed: Option<SchemaRef>,
    progress: Arc<Progress>,
    chunks: Mutex<mpsc::Receiver<RawChunk>>,
    turn: Mutex<Turn>,
    turned: Condvar,
}

/// What only one worker at a time may touch, in the order of the chunks.
struct Turn {
    next: u64,
    failed: bool,
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
    pub(super) fn start(output: &Output<'_>, progress: &Arc<Progress>) -> (Crew, mpsc::Sender<RawChunk>) {
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
        let shared = Arc::new(Shared {
            recipe: output.recipe.clone(),
            into: output.into.clone(),
            quarantine: output.quarantine.clone(),
            placed: output.placed.then(|| with_meta(output.recipe.schema())),
            progress: progress.clone(),
            chunks: Mutex::new(receiver),
            turn: Mutex::new(Turn { next: 0, failed: false, index: output.recipe.new_index(), counts: BTreeMap::new() }),
            turned: Condvar::new(),
        });
        let start = |_| {
            let shared = shared.clone();
            tokio::task::spawn_blocking(move || shared.work().inspect_err(|_| shared.fail()))
        };
        let workers = (0..cores()).map(start).collect();
        (Crew { workers, shared }, sender)
    }

    /// Waits for all workers and for the store.
    pub(super) async fn finish(self, clock: &Clock) -> Result<Built> {
        let (mut rows, mut quarantined) = (Vec::new(), Vec::new());
        let mut failed = None;
        for worker in self.workers {
            match joined(worker.await).and_then(|files| files) {
                Ok(files) => {
                    rows.extend(files.rows);
                    quarantined.extend(files.quarantined);
                }
                // The first worker to fail has the reason; the others only stopped for it.
                Err(error) => failed = failed.filter(|kept: &Error| kept.message() != STOPPED).or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let shared = Arc::into_inner(self.shared).ok_or_else(|| Error::internal("a batch worker outlived its batch"))?;
        let turn = shared.turn.into_inner().unwrap_or_else(PoisonError::into_inner);
        let schema = shared.placed.as_ref().unwrap_or(shared.recipe.schema());
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

const STOPPED: &str = "stopped because another worker failed";

impl Shared {
    fn work(&self) -> Result<Files> {
        let mut files = Files::default();
        let (mut writer, mut set_aside) = (None, QuarantineRows::default());
        while let Some(chunk) = self.next_chunk() {
            let bytes = chunk.bytes;
            let admitted = self.chunk(&chunk, &mut set_aside)?;
            if admitted.rows.num_rows() > 0 {
                write(&mut writer, &self.into, &admitted.rows, &mut files.rows)?;
            }
            if set_aside.len() >= QUARANTINE_ROWS_MAX {
                self.write_quarantine(&mut set_aside, &mut files)?;
            }
            self.progress.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        }
        if let Some(writer) = writer {
            files.rows.push(writer.close()?);
        }
        if !set_aside.is_empty() {
            self.write_quarantine(&mut set_aside, &mut files)?;
        }
        Ok(files)
    }

    fn next_chunk(&self) -> Option<RawChunk> {
        // Whoever holds the lock waits for the next chunk; the others wait for the lock.
        lock(&self.chunks).blocking_recv()
    }

    fn chunk(&self, chunk: &RawChunk, set_aside: &mut QuarantineRows) -> Result<Admitted> {
        let contents = chunk.pieces.iter().map(|piece| piece.content()).collect::<Result<Vec<_>>>()?;
        let (mut records, mut firsts) = (Vec::new(), Vec::with_capacity(contents.len()));
        for content in &contents {
            firsts.push(records.len());
            records.extend(lines(content).map(unescape));
        }
        let values: Vec<&[u8]> = records.iter().map(AsRef::as_ref).collect();
        let prepared = self.recipe.prepare(&values)?;
        let of = &chunk.pieces[0].object.of;
        let place = |record: u32| {
            let record = record as usize;
            let at = firsts.partition_point(|first| *first <= record) - 1;
            let line = record - firsts[at];
            (at, line, chunk.pieces[at].start.plus(line as u64))
        };
        for rejected in &prepared.rejected {
            let (at, line, offset) = place(rejected.record);
            let time = chunk.pieces[at].times().nth(line);
            set_aside.push(&rejected.reason, values[rejected.record as usize], of, offset, time);
        }
        let mut admitted = self.admit(chunk.number, of, prepared)?;
        if let Some(schema) = &self.placed {
            let times: Vec<Timestamp> = chunk.pieces.iter().flat_map(|piece| piece.times()).collect();
            let placed = |source: &u32| (place(*source).2, times.get(*source as usize).copied().unwrap_or_default());
            let places: Vec<_> = admitted.sources.iter().map(placed).collect();
            admitted.rows = with_places(schema, &admitted.rows, of, &places)?;
        }
        Ok(admitted)
    }

    /// Admits a chunk when all before it have been.
    fn admit(&self, number: u64, of: &TopicPartition, prepared: Prepared) -> Result<Admitted> {
        let mut turn = lock(&self.turn);
        while turn.next != number && !turn.failed {
            turn = self.turned.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        if turn.failed {
            return Err(Error::internal(STOPPED));
        }
        let admitted = prepared.admit(&mut turn.index)?;
        turn.counts.entry(of.clone()).or_default().add(&admitted.counts);
        turn.next += 1;
        self.turned.notify_all();
        Ok(admitted)
    }

    fn write_quarantine(&self, set_aside: &mut QuarantineRows, files: &mut Files) -> Result<()> {
        let rows = set_aside.batches()?;
        set_aside.clear();
        let mut writer = FileWriter::start(self.quarantine.objects(), &rows[0])?;
        rows.iter().try_for_each(|rows| writer.write(rows))?;
        files.quarantined.push(writer.close()?);
        Ok(())
    }

    fn fail(&self) {
        lock(&self.turn).failed = true;
        self.turned.notify_all();
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
