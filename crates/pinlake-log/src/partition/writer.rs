//! A partition's way to its files; everything here blocks. It alone appends, rolls, notes checkpoints and removes segments. It must not
//! decide when: that is the owner's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use pinlake_core::{Batch, Error, Offset};

use super::{Context, Segments};
use crate::checkpoint::Checkpoint;
use crate::disk::{File, is_full};
use crate::index::Index;
use crate::remembered::State;
use crate::segment::{Extent, Segment};
use crate::start;

/// How an operation on the disk failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing has changed, and it may be tried again.
    Refused(Error),
    /// Nobody can tell what the disk holds now.
    Broken(Error),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) | Fault::Broken(error) => error,
        }
    }
}

/// Where a round goes: its place in the active segment's file.
#[derive(Debug, Clone)]
pub(super) struct Place {
    context: Arc<Context>,
    file: Arc<File>,
    position: u64,
    /// Told when the file is cut.
    cut: Arc<AtomicBool>,
}

impl Place {
    /// The place behind a round of so many bytes.
    pub(super) fn behind(mut self, bytes: u64) -> Self {
        self.position += bytes;
        self
    }

    /// Writes batches all at once, behind the first `bytes` of the round. If the disk is full, nothing of the round is left.
    pub(super) fn write(&self, batches: &[Batch], bytes: u64) -> Result<(), Fault> {
        if batches.is_empty() {
            return Ok(());
        }
        let buffers: Vec<Bytes> = batches.iter().map(|batch| batch.bytes().clone()).collect();
        let dir = self.file.path().parent().expect("a segment is in a folder");
        let room = check_room(&self.context, dir, buffers.iter().map(|buffer| buffer.len() as u64).sum());
        if room.is_err() && bytes == 0 {
            return room;
        }
        let wrote = room.and_then(|()| self.append(&buffers, self.position + bytes));
        if matches!(wrote, Err(Fault::Refused(_))) {
            // What was written of it must not be found by anyone, least of all by recovery.
            self.file.set_len(self.position).map_err(|error| broken("cut", &self.file, error))?;
            self.cut.store(true, Ordering::Release);
        }
        wrote
    }

    fn append(&self, buffers: &[Bytes], at: u64) -> Result<(), Fault> {
        self.file.write_at(buffers, at).map_err(|error| match is_full(&error) {
            true => {
                let text = "the disk is full: make room, appends work again by themselves";
                Fault::Refused(Error::retry(text).with_source(error))
            }
            false => broken("write to", &self.file, error),
        })
    }
}

/// The writing end of a partition's active segment.
#[derive(Debug)]
pub(super) struct Writer {
    context: Arc<Context>,
    dir: PathBuf,
    segments: Segments,
    /// Where the first segment starts, if there is none yet.
    begin: Offset,
    /// The active segment, open since the last append unless that is long ago.
    file: Option<Arc<File>>,
    used: bool,
    unsynced: bool,
    /// Whether the file was cut and not synced since: what was cut off may have been synced with what was before it.
    cut: Arc<AtomicBool>,
    /// Bytes appended since the last checkpoint.
    unnoted: u64,
}

impl Writer {
    pub(super) fn new(context: Arc<Context>, dir: PathBuf, segments: Segments, begin: Offset) -> Self {
        Self { context, dir, segments, begin, file: None, used: false, unsynced: false, cut: Arc::default(), unnoted: 0 }
    }

    /// Writes batches, which already have their offsets, all at once: to the round that begins at `position`, of which `bytes` are written already.
    /// They count once they are noted. Answers where the round is.
    pub(super) fn write(&mut self, batches: &[Batch], position: u64, bytes: u64) -> Result<Place, Fault> {
        let file = self.open()?;
        let place = Place { context: self.context.clone(), file, position, cut: self.cut.clone() };
        place.write(batches, bytes)?;
        self.unsynced = true;
        Ok(place)
    }

    /// Takes note of written batches, which are as durable as they have to be.
    pub(super) fn note(&mut self, batches: &[Batch]) {
        let Some(active) = self.active() else { return };
        let before = active.extent().bytes;
        active.note(batches, self.context.clock.now());
        self.used = true;
        self.unnoted += active.extent().bytes - before;
    }

    /// Makes everything appended and cut off durable.
    pub(super) fn sync(&mut self) -> Result<(), Fault> {
        // Asked before: another cut may come while it is synced.
        let cut = self.cut.swap(false, Ordering::AcqRel);
        if !self.unsynced && !cut {
            return Ok(());
        }
        let file = self.file.as_ref().expect("what is unsynced is open");
        let began = tokio::time::Instant::now();
        file.sync_data().map_err(|error| broken("sync", file, error))?;
        self.context.meters.observe_sync(began.elapsed());
        self.unsynced = false;
        Ok(())
    }

    /// Takes note that somebody else made everything appended durable.
    pub(super) fn synced(&mut self) {
        self.unsynced = false;
    }

    /// Seals the active segment and starts the next.
    pub(super) fn roll(&mut self, state: State) -> Result<(), Fault> {
        let Some(active) = self.active() else { return Ok(()) };
        self.sync()?;
        let next = active.extent().end;
        self.file = Some(self.create(next)?);
        active.seal();
        let noted = Checkpoint::at_last_of(&self.all(), state);
        if let Err(error) = noted.store(&self.context.disk, &self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "no checkpoint was written at a roll");
        } else {
            self.unnoted = 0;
        }
        Ok(())
    }

    /// Whether so much was appended and synced since the last checkpoint that the next is due, with `more` bytes to come.
    pub(super) fn checkpoint_due(&self, every: u64, more: u64) -> bool {
        !self.unsynced && self.unnoted + more >= every
    }

    /// Notes that the partition is good up to its end, which must be synced.
    pub(super) fn checkpoint(&mut self, state: State, durable: bool) -> Result<(), Fault> {
        if self.unnoted == 0 || self.active().is_none() {
            return Ok(());
        }
        let noted = Checkpoint::at_end_of(&self.all(), state, durable)
            .and_then(|checkpoint| checkpoint.store(&self.context.disk, &self.dir));
        noted.map_err(|error| Fault::Refused(Error::internal("can't write a checkpoint").with_source(error)))?;
        self.unnoted = 0;
        Ok(())
    }

    /// Notes durably that nothing is kept before `start`, which is no offset that a failure could take back.
    pub(super) fn trim(&mut self, start: Offset) -> Result<(), Fault> {
        self.sync()?;
        start::store(&self.context.disk, &self.dir, start).map_err(Fault::Refused)
    }

    /// Removes the first `count` segments, oldest first and each for good before the next, so that neither a crash nor a failure leaves a
    /// hole. After a failure the rest stays, until retention asks again.
    pub(super) fn drop_front(&mut self, count: usize) -> Result<(), Fault> {
        for _ in 0..count {
            let oldest = self.segments.read().unwrap_or_else(PoisonError::into_inner)[0].clone();
            let removed = oldest.remove().and_then(|()| {
                self.segments.write().unwrap_or_else(PoisonError::into_inner).remove(0);
                self.context.disk.sync_dir(&self.dir)
            });
            if let Err(error) = removed {
                tracing::warn!(segment = %oldest.log_path().display(), %error, "a segment past its retention was not removed, it is tried again");
                break;
            }
        }
        Ok(())
    }

    /// Lets the file go if nothing was appended since the last call, so that idle partitions hold none.
    pub(super) fn rest(&mut self) {
        if !self.used && !self.unsynced && !self.cut.load(Ordering::Acquire) {
            self.file = None;
        }
        self.used = false;
    }

    fn all(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn active(&self) -> Option<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    /// The active segment's file; makes the first segment.
    fn open(&mut self) -> Result<Arc<File>, Fault> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let file = match self.active() {
            Some(active) => {
                let file = self.context.disk.open_or_create(&active.log_path());
                Arc::new(file.map_err(|error| refused(&active.log_path(), error))?)
            }
            None => {
                let above = self.dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(&self.dir);
                check_room(&self.context, above, 0)?;
                self.create(self.begin)?
            }
        };
        self.file = Some(file.clone());
        Ok(file)
    }

    /// Makes an empty segment and makes it the active one.
    fn create(&self, base: Offset) -> Result<Arc<File>, Fault> {
        let Context { disk, settings, .. } = &*self.context;
        let segment =
            Segment::new(disk, &self.dir, settings.index_interval_bytes, base, Extent::empty(base), Some(Index::default()));
        let path = segment.log_path();
        let file = disk.create_dir(&self.dir).and_then(|()| disk.open_or_create(&path)).map_err(|error| refused(&path, error))?;
        if let Err(error) = file.set_len(0).and_then(|()| disk.sync_dir(&self.dir)) {
            // Left behind, it would look like damage at the next start once the segment before has grown past it.
            let undone = disk.remove_file(&path).and_then(|()| disk.sync_dir(&self.dir));
            return Err(if undone.is_ok() { refused(&path, error) } else { broken("make", &file, error) });
        }
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(segment));
        Ok(Arc::new(file))
    }
}

/// Refuses to write `len` bytes to the disk that holds `dir` if too little room would be left.
fn check_room(context: &Context, dir: &Path, len: u64) -> Result<(), Fault> {
    let floor = context.settings.disk_free_min;
    let free = context.disk.free_bytes(dir).map_err(|error| {
        Fault::Refused(Error::retry("can't tell how much room the disk has: check the data folder").with_source(error))
    })?;
    if free >= floor.saturating_add(len) {
        return Ok(());
    }
    let text =
        format!("the disk is full: {free} bytes are free and {floor} must stay so; make room, appends work again by themselves");
    Err(Fault::Refused(Error::retry(text)))
}

fn refused(path: &Path, error: io::Error) -> Fault {
    let what = if is_full(&error) { "the disk is full" } else { "can't open the active segment" };
    Fault::Refused(Error::retry(format!("{what} ({}): try again when that is put right", path.display())).with_source(error))
}

fn broken(what: &str, file: &File, error: io::Error) -> Fault {
    Fault::Broken(Error::internal(format!("can't {what} {}", file.path().display())).with_source(error))
}
